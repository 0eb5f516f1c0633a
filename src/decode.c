/* SPDX-License-Identifier: MIT */
#include "decode.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cbor_items.h"

#define DEPTH_DEFAULT 64u
#define ITEMS_DEFAULT (UINT64_C(4) * 1000 * 1000)
#define BYTES_DEFAULT ((uint64_t)256 << 20)

/* The bytes that are left, and what may be spent on them. */
struct input {
    const unsigned char *at, *end;
    struct rill_cbor_walk walk;
    uint64_t bytes; /* of memory that may still be allocated */
    struct rill_claims *claims;
};

static int decode_struct(struct input *in, const struct rill_plan *plan, unsigned char *value);

/* ---- heads ---- */

static int read_head(struct input *in, struct rill_cbor_head *head)
{
    if (!in->walk.items || !rill_cbor_read(&in->at, in->end, head))
        return RILL_EDECODE;
    in->walk.items--;
    return RILL_OK;
}

/* Reads the head of an item that has to be of this major kind. */
static int read_major(struct input *in, uint32_t major, struct rill_cbor_head *head)
{
    int code = read_head(in, head);
    return code != RILL_OK ? code : head->major == major ? RILL_OK : RILL_ETYPE;
}

static int read_definite(struct input *in, uint32_t major, uint64_t *argument)
{
    struct rill_cbor_head head;
    int code = read_major(in, major, &head);
    if (code != RILL_OK)
        return code;
    *argument = head.argument;
    return head.info == RILL_CBOR_INDEFINITE ? RILL_ETYPE : RILL_OK;
}

/* Null where a handle or a string is not there. */
static bool read_null(struct input *in)
{
    if (in->at == in->end || *in->at != RILL_CBOR_NULL_BYTE)
        return false;
    in->at++;
    return true;
}

static int skip(struct input *in)
{
    return rill_cbor_skip(&in->walk, &in->at, in->end);
}

static int spend(struct input *in, uint64_t count, uint64_t size)
{
    if (count > in->bytes / size)
        return RILL_EDECODE;
    in->bytes -= count * size;
    return RILL_OK;
}

/* ---- numbers ---- */

/* The most that an item of so many bytes can hold, without its sign. */
static uint64_t largest(size_t size, bool is_signed)
{
    return UINT64_MAX >> (64 - 8 * size + is_signed);
}

static void store_integer(unsigned char *item, uint64_t bits, size_t size)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    bits <<= 64 - 8 * size;
#endif
    memcpy(item, &bits, size);
}

static int decode_integer(struct input *in, size_t size, bool is_signed, unsigned char *item)
{
    struct rill_cbor_head head;
    int code = read_head(in, &head);
    if (code != RILL_OK)
        return code;
    bool negative = head.major == RILL_CBOR_NEGATIVE;
    if (head.major > RILL_CBOR_NEGATIVE || (negative && !is_signed) || head.argument > largest(size, is_signed))
        return RILL_ETYPE;
    uint64_t bits = negative ? ~head.argument : head.argument;
    switch (size) { /* of a size that the compiler knows each is one store */
    case 1:
        store_integer(item, bits, 1);
        break;
    case 2:
        store_integer(item, bits, 2);
        break;
    case 4:
        store_integer(item, bits, 4);
        break;
    default:
        store_integer(item, bits, 8);
        break;
    }
    return RILL_OK;
}

/* A number of any form that a float or double holds exactly: other languages write 1.0 as 1. */
static int read_number(struct input *in, double *number)
{
    struct rill_cbor_head head;
    int code = read_head(in, &head);
    if (code != RILL_OK)
        return code;
    if (head.major == RILL_CBOR_SIMPLE && head.info >= RILL_CBOR_HALF && head.info <= RILL_CBOR_DOUBLE) {
        *number = rill_cbor_number(head.info, head.argument);
        return RILL_OK;
    }
    if (head.major > RILL_CBOR_NEGATIVE || head.argument >> 53)
        return RILL_ETYPE;
    *number = head.major == RILL_CBOR_UINT ? (double)head.argument : -1 - (double)head.argument;
    return RILL_OK;
}

static int decode_f64(struct input *in, unsigned char *item)
{
    double number;
    int code = read_number(in, &number);
    if (code == RILL_OK)
        memcpy(item, &number, sizeof number);
    return code;
}

/* From 4 bytes the bits as they are: by way of a double a signalling NaN would become a quiet one. */
static int decode_f32(struct input *in, unsigned char *item)
{
    double number;
    if (in->end - in->at >= 5 && *in->at == (RILL_CBOR_SIMPLE << 5 | RILL_CBOR_SINGLE) && in->walk.items) {
        store_integer(item, rill_cbor_load(in->at + 1, 4), 4);
        in->walk.items--;
        in->at += 5;
        return RILL_OK;
    }
    int code = read_number(in, &number);
    bool fits = code == RILL_OK && (!isfinite(number) || fabs(number) <= 0x1.fffffep127);
    float single = fits ? (float)number : 0;
    if (code == RILL_OK && (!fits || (!isnan(number) && ((double)single < number || (double)single > number))))
        return RILL_ETYPE;
    memcpy(item, &single, sizeof single);
    return code;
}

static int decode_boolean(struct input *in, unsigned char *item)
{
    struct rill_cbor_head head;
    int code = read_major(in, RILL_CBOR_SIMPLE, &head);
    if (code != RILL_OK)
        return code;
    if (head.info != RILL_CBOR_FALSE && head.info != RILL_CBOR_TRUE)
        return RILL_ETYPE;
    *item = head.info == RILL_CBOR_TRUE;
    return RILL_OK;
}

static int decode_enumeration(struct input *in, const struct rill_type *type, unsigned char *item)
{
    int code = decode_integer(in, sizeof(int32_t), true, item);
    return code != RILL_OK ? code : rill_enum_name_of(type, rill_load_enumeration(item)) ? RILL_OK : RILL_ETYPE;
}

/* ---- text and bytes ---- */

/* Text or bytes that begin here: their sum, also if they come in pieces. The place stays at the content. */
struct content {
    uint64_t size;
    bool in_pieces;
    uint32_t major;
};

/* The pieces are added up by a walk of their own; then the place is where it was. */
static int add_up_pieces(struct input *in, struct content *content)
{
    const unsigned char *begin = in->at;
    struct rill_cbor_head piece;
    int code;
    while ((code = read_head(in, &piece)) == RILL_OK && !rill_cbor_is_break(&piece)) {
        if (piece.major != content->major || piece.info == RILL_CBOR_INDEFINITE || piece.argument > (uint64_t)(in->end - in->at))
            return RILL_EDECODE;
        in->at += piece.argument;
        content->size += piece.argument;
    }
    in->at = begin;
    return code;
}

static int read_content(struct input *in, uint32_t major, struct content *content)
{
    struct rill_cbor_head head;
    int code = read_major(in, major, &head);
    if (code != RILL_OK)
        return code;
    *content = (struct content){.size = head.argument, .in_pieces = head.info == RILL_CBOR_INDEFINITE, .major = major};
    if (content->in_pieces)
        return add_up_pieces(in, content);
    return head.argument <= (uint64_t)(in->end - in->at) ? RILL_OK : RILL_EDECODE;
}

/* Copies what read_content found. Pieces are read a second time, and may have changed: they are held to the sum. */
static int copy_content(struct input *in, const struct content *content, unsigned char *target)
{
    if (!content->in_pieces) {
        if (content->size)
            memcpy(target, in->at, (size_t)content->size);
        in->at += content->size;
        return RILL_OK;
    }
    uint64_t left = content->size;
    struct rill_cbor_head piece;
    while (rill_cbor_read(&in->at, in->end, &piece)) {
        if (rill_cbor_is_break(&piece))
            return left ? RILL_EDECODE : RILL_OK;
        if (piece.argument > left || piece.argument > (uint64_t)(in->end - in->at))
            return RILL_EDECODE;
        memcpy(target, in->at, (size_t)piece.argument);
        target += piece.argument;
        left -= piece.argument;
        in->at += piece.argument;
    }
    return RILL_EDECODE;
}

/* Of C: without a 0 inside. */
static bool is_c_text(const unsigned char *text, size_t size)
{
    return !memchr(text, 0, size) && rill_cbor_is_utf8(text, size);
}

static int decode_array_text(struct input *in, const struct rill_plan_field *field, unsigned char *item)
{
    struct content content;
    int code = read_content(in, RILL_CBOR_TEXT, &content);
    if (code == RILL_OK && content.size >= field->size)
        code = RILL_ETYPE;
    if (code == RILL_OK)
        code = copy_content(in, &content, item);
    return code != RILL_OK ? code : is_c_text(item, (size_t)content.size) ? RILL_OK : RILL_EDECODE;
}

static int decode_octets(struct input *in, const struct rill_plan_field *field, unsigned char *item)
{
    struct content content;
    int code = read_content(in, RILL_CBOR_BYTES, &content);
    if (code == RILL_OK && content.size != field->size)
        code = RILL_ETYPE;
    return code == RILL_OK ? copy_content(in, &content, item) : code;
}

/* Allocates for `size` bytes and `more`, and copies. What was allocated is in *made also on an error. */
static int take_content(struct input *in, const struct content *content, size_t more, unsigned char **made)
{
    if (content->size > SIZE_MAX / 2)
        return RILL_EDECODE;
    int code = spend(in, content->size + more, 1);
    if (code != RILL_OK)
        return code;
    *made = malloc((size_t)content->size + more);
    return *made ? copy_content(in, content, *made) : RILL_ENOMEM;
}

static int decode_string(struct input *in, unsigned char *item)
{
    struct content content;
    unsigned char *text = NULL;
    if (read_null(in))
        return RILL_OK;
    int code = read_content(in, RILL_CBOR_TEXT, &content);
    if (code == RILL_OK)
        code = take_content(in, &content, 1, &text);
    if (text)
        text[content.size] = 0;
    memcpy(item, &text, sizeof text);
    return code != RILL_OK ? code : is_c_text(text, (size_t)content.size) ? RILL_OK : RILL_EDECODE;
}

static int decode_blob(struct input *in, unsigned char *item)
{
    struct content content;
    int code = read_content(in, RILL_CBOR_BYTES, &content);
    if (code != RILL_OK)
        return code;
    if (!content.size)
        return copy_content(in, &content, item);
    unsigned char *data = NULL;
    code = take_content(in, &content, 0, &data);
    struct rill_blob blob = {.data = data, .size = data ? (size_t)content.size : 0};
    memcpy(item, &blob, sizeof blob);
    return code;
}

/* ---- handles ---- */

static int add_claim(struct rill_claims *claims, const struct rill_claim *claim)
{
    if (claims->count == claims->capacity) {
        size_t larger = claims->capacity ? claims->capacity * 2 : 8;
        struct rill_claim *list = realloc(claims->list, larger * sizeof *list);
        if (!list)
            return RILL_ENOMEM;
        claims->list = list;
        claims->capacity = larger;
    }
    claims->list[claims->count++] = *claim;
    return RILL_OK;
}

static int decode_handle(struct input *in, const struct rill_plan_field *field, unsigned char *item)
{
    struct rill_claim claim = {.member = item, .kind = rill_handle_kind_of(field->kind)};
    uint64_t tag;
    if (read_null(in))
        return RILL_OK;
    int code = read_definite(in, RILL_CBOR_TAG, &tag);
    if (code == RILL_OK && (tag <= RILL_TAG_HANDLE || tag >= RILL_TAG_HANDLE + RILL_HANDLE_OPAQUE))
        code = RILL_ETYPE;
    if (code == RILL_OK && claim.kind != RILL_HANDLE_OPAQUE && tag != RILL_TAG_HANDLE + claim.kind)
        code = RILL_ETYPE;
    if (code == RILL_OK)
        code = read_definite(in, RILL_CBOR_UINT, &claim.index);
    if (code != RILL_OK)
        return code;
    /* One more claim than there are handles is one that stands twice. */
    if (claim.index >= in->claims->offered || in->claims->count >= in->claims->offered)
        return RILL_EDECODE;
    return add_claim(in->claims, &claim);
}

/* ---- plain structs ---- */

static int unpack(const struct rill_plan *plan, const unsigned char *source, unsigned char *items, size_t count)
{
    if (plan->gapless && count)
        memcpy(items, source, count * plan->packed_bytes);
    for (size_t i = 0; i < count; i++) {
        unsigned char *item = items + i * plan->type->size;
        if (!plan->gapless)
            rill_plain_unpack(plan, item, source + i * plan->packed_bytes);
        if (plan->checked && !rill_plain_is_sound(plan, item))
            return RILL_ETYPE;
    }
    return RILL_OK;
}

/* What stands between the tag and the bytes; gives how many structs there are. The place is at the bytes then. */
static int read_packed(struct input *in, const struct rill_plan *plan, uint64_t *count)
{
    uint64_t entries, fingerprint, bytes;
    int code = read_definite(in, RILL_CBOR_ARRAY, &entries);
    if (code == RILL_OK && entries != 2)
        code = RILL_ETYPE;
    if (code == RILL_OK)
        code = read_definite(in, RILL_CBOR_UINT, &fingerprint);
    if (code == RILL_OK && (fingerprint != plan->fingerprint || !RILL_PLAN_PACKS))
        code = RILL_ETYPE;
    if (code == RILL_OK)
        code = read_definite(in, RILL_CBOR_BYTES, &bytes);
    if (code != RILL_OK)
        return code;
    if (bytes > (uint64_t)(in->end - in->at))
        return RILL_EDECODE;
    *count = bytes / plan->packed_bytes;
    return bytes % plan->packed_bytes ? RILL_ETYPE : RILL_OK;
}

/* Is it packed? Else it is in the form of maps. Moves behind the tag. */
static bool read_packed_tag(struct input *in)
{
    struct rill_cbor_head head;
    const unsigned char *at = in->at;
    if (!rill_cbor_read(&at, in->end, &head) || head.major != RILL_CBOR_TAG || head.argument != RILL_TAG_PLAIN)
        return false;
    in->at = at;
    return true;
}

static int decode_packed(struct input *in, const struct rill_plan *plan, unsigned char *items, uint64_t count)
{
    const unsigned char *source = in->at;
    in->at += count * plan->packed_bytes;
    return unpack(plan, source, items, (size_t)count);
}

/* ---- fields ---- */

static int decode_nested(struct input *in, const struct rill_plan_field *field, unsigned char *item)
{
    const struct rill_plan *plan;
    uint64_t count;
    int code = rill_plan_of(field->type, &plan);
    if (code != RILL_OK || plan->form != RILL_FORM_PLAIN || !read_packed_tag(in))
        return code == RILL_OK ? decode_struct(in, plan, item) : code;
    code = read_packed(in, plan, &count);
    if (code == RILL_OK && count != 1)
        code = RILL_ETYPE;
    return code == RILL_OK ? decode_packed(in, plan, item, 1) : code;
}

static inline int decode_item(struct input *in, const struct rill_plan_field *field, unsigned char *item)
{
    switch (field->kind) {
    case RILL_FIELD_f32:
        return decode_f32(in, item);
    case RILL_FIELD_f64:
        return decode_f64(in, item);
    case RILL_FIELD_boolean:
        return decode_boolean(in, item);
    case RILL_FIELD_text:
        return decode_array_text(in, field, item);
    case RILL_FIELD_octets:
        return decode_octets(in, field, item);
    case RILL_FIELD_enumeration:
        return decode_enumeration(in, field->type, item);
    case RILL_FIELD_nested:
        return decode_nested(in, field, item);
    case RILL_FIELD_string:
        return decode_string(in, item);
    case RILL_FIELD_bytes:
        return decode_blob(in, item);
    default:
        if (rill_is_handle_field(field->kind))
            return decode_handle(in, field, item);
        return decode_integer(in, field->size, field->kind >= RILL_FIELD_i8, item);
    }
}

/* The items of an array whose head was read; an indefinite one is counted by a walk of its own. */
static int count_items(struct input *in, const struct rill_cbor_head *head, uint64_t *count)
{
    *count = head->argument;
    if (head->info != RILL_CBOR_INDEFINITE)
        return *count <= (uint64_t)(in->end - in->at) ? RILL_OK : RILL_EDECODE; /* each takes a byte at least */
    const unsigned char *begin = in->at;
    int code = RILL_OK;
    while (code == RILL_OK && in->at < in->end && *in->at != 0xff) {
        code = skip(in);
        ++*count;
    }
    if (in->at == in->end)
        code = RILL_EDECODE;
    in->at = begin;
    return code;
}

/* Room for a list's items, cleared; it is in the value at once, so that it is freed whatever follows. */
static int make_list(struct input *in, const struct rill_plan_field *field, unsigned char *value, uint64_t count, unsigned char **items)
{
    struct rill_list list = {.count = (size_t)count};
    *items = NULL;
    if (!count)
        return RILL_OK;
    int code = spend(in, count, field->size);
    if (code != RILL_OK)
        return code;
    *items = list.items = calloc((size_t)count, field->size);
    if (!list.items)
        return RILL_ENOMEM;
    const struct rill_plan *nested = NULL;
    if (field->kind == RILL_FIELD_nested)
        code = rill_plan_of(field->type, &nested);
    for (uint64_t i = 0; i < count && code == RILL_OK; i++) {
        if (nested && nested->descriptors)
            rill_value_clear(nested, *items + i * field->size);
        if (field->kind == RILL_FIELD_descriptor)
            memset(*items + i * field->size, 0xff, field->size); /* -1 */
    }
    if (code != RILL_OK)
        free(list.items);
    else
        memcpy(value + field->offset, &list, sizeof list);
    return code;
}

/* Where the items of an array or list go, if there may be so many. */
static int place_items(struct input *in, const struct rill_plan_field *field, unsigned char *value, uint64_t count, unsigned char **items)
{
    if (field->shape == RILL_SHAPE_list)
        return make_list(in, field, value, count, items);
    *items = value + field->offset;
    return count == field->count ? RILL_OK : RILL_ETYPE;
}

static int decode_items(struct input *in, const struct rill_plan_field *field, unsigned char *value)
{
    struct rill_cbor_head head;
    uint64_t count;
    unsigned char *items;
    int code = read_major(in, RILL_CBOR_ARRAY, &head);
    if (code == RILL_OK)
        code = count_items(in, &head, &count);
    if (code == RILL_OK)
        code = place_items(in, field, value, count, &items);
    for (uint64_t i = 0; code == RILL_OK && i < count; i++)
        code = decode_item(in, field, items + i * field->size);
    if (code == RILL_OK && head.info == RILL_CBOR_INDEFINITE)
        code = in->at < in->end && *in->at++ == 0xff ? RILL_OK : RILL_EDECODE;
    return code;
}

static int decode_sequence(struct input *in, const struct rill_plan_field *field, unsigned char *value)
{
    if (!in->walk.depth)
        return RILL_EDECODE;
    if (field->kind != RILL_FIELD_nested || field->type->form != RILL_FORM_PLAIN || !read_packed_tag(in)) {
        in->walk.depth--;
        int code = decode_items(in, field, value);
        in->walk.depth++;
        return code;
    }
    const struct rill_plan *plan;
    uint64_t count;
    unsigned char *items;
    int code = rill_plan_of(field->type, &plan);
    if (code == RILL_OK)
        code = read_packed(in, plan, &count);
    if (code == RILL_OK)
        code = place_items(in, field, value, count, &items);
    return code == RILL_OK ? decode_packed(in, plan, items, count) : code;
}

static inline int decode_field(struct input *in, const struct rill_plan_field *field, unsigned char *value)
{
    if (rill_is_sequence(field))
        return decode_sequence(in, field, value);
    if (field->shape != RILL_SHAPE_optional)
        return decode_item(in, field, value + field->offset);
    if (!rill_is_handle_field(field->kind) && field->kind != RILL_FIELD_string && read_null(in))
        return RILL_OK;
    value[field->offset] = 1;
    return decode_item(in, field, value + field->offset + field->value_offset);
}

/* ---- structs and unions: maps ---- */

static const struct rill_plan_field *find_field(const struct rill_plan *plan, const unsigned char *name, uint64_t length)
{
    for (uint32_t i = 0; i < plan->field_count; i++) {
        const struct rill_plan_field *field = &plan->fields[i];
        if (strlen(field->name) == length && memcmp(field->name, name, (size_t)length) == 0)
            return field;
    }
    return NULL;
}

/* Reads a key; NULL if it is none of ours. Nearly always it is the next one in the order of the list, as the sender wrote it. */
static int read_key(struct input *in, const struct rill_plan *plan, uint32_t next, const struct rill_plan_field **field)
{
    if (next < plan->field_count && in->walk.items) {
        const struct rill_plan_field *expected = &plan->fields[next];
        if ((size_t)(in->end - in->at) >= expected->key_bytes && memcmp(in->at, expected->key, expected->key_bytes) == 0) {
            in->at += expected->key_bytes;
            in->walk.items--;
            *field = expected;
            return RILL_OK;
        }
    }
    const unsigned char *begin = in->at;
    struct rill_cbor_head head;
    *field = NULL;
    if (!rill_cbor_read(&in->at, in->end, &head))
        return RILL_EDECODE;
    if (head.major != RILL_CBOR_TEXT || head.info == RILL_CBOR_INDEFINITE) {
        in->at = begin;
        return skip(in);
    }
    if (head.argument > (uint64_t)(in->end - in->at) || !in->walk.items)
        return RILL_EDECODE;
    in->walk.items--;
    *field = find_field(plan, in->at, head.argument);
    in->at += head.argument;
    return RILL_OK;
}

/* What is missing takes its default, or may not be missing. */
static int fill_missing(const struct rill_plan *plan, unsigned char *value, const uint64_t seen[4])
{
    for (uint32_t i = 0; i < plan->field_count; i++)
        if (!(seen[i / 64] >> i % 64 & 1) && plan->fields[i].shape != RILL_SHAPE_optional && plan->fields[i].shape != RILL_SHAPE_defaulted)
            return RILL_ETYPE;
    return rill_value_default(plan, value, seen);
}

static uint32_t count_seen(const uint64_t seen[4])
{
    int count = 0;
    for (size_t i = 0; i < 4; i++)
        count += __builtin_popcountll(seen[i]);
    return (uint32_t)count;
}

static int decode_entry(struct input *in, const struct rill_plan *plan, unsigned char *value, uint32_t *next, uint64_t seen[4])
{
    const struct rill_plan_field *field;
    int code = read_key(in, plan, *next, &field);
    if (code != RILL_OK || !field)
        return code == RILL_OK ? skip(in) : code;
    uint32_t index = (uint32_t)(field - plan->fields);
    if (seen[index / 64] >> index % 64 & 1)
        return RILL_EDECODE; /* twice */
    seen[index / 64] |= UINT64_C(1) << index % 64;
    *next = index + 1;
    return decode_field(in, field, value);
}

/* Is there one more entry? */
static int more_entries(struct input *in, const struct rill_cbor_head *head, uint64_t done, bool *more)
{
    if (head->info != RILL_CBOR_INDEFINITE) {
        *more = done < head->argument;
        return RILL_OK;
    }
    if (in->at == in->end)
        return RILL_EDECODE;
    *more = *in->at != 0xff;
    in->at += !*more;
    return RILL_OK;
}

static int decode_map(struct input *in, const struct rill_plan *plan, unsigned char *value)
{
    struct rill_cbor_head head;
    uint64_t seen[4] = {0}, done = 0;
    uint32_t next = 0;
    bool more;
    int code = read_major(in, RILL_CBOR_MAP, &head);
    while (code == RILL_OK && (code = more_entries(in, &head, done, &more)) == RILL_OK && more) {
        code = decode_entry(in, plan, value, &next, seen);
        done++;
    }
    return code == RILL_OK && count_seen(seen) < plan->field_count ? fill_missing(plan, value, seen) : code;
}

static int decode_case(struct input *in, const struct rill_plan *plan, unsigned char *value)
{
    struct rill_cbor_head head;
    const struct rill_plan_field *field;
    bool more;
    int code = read_major(in, RILL_CBOR_MAP, &head);
    if (code == RILL_OK && head.info != RILL_CBOR_INDEFINITE && head.argument != 1)
        code = RILL_ETYPE;
    if (code == RILL_OK)
        code = read_key(in, plan, 0, &field);
    if (code != RILL_OK || !field)
        return code == RILL_OK ? RILL_ETYPE : code;
    uint32_t which = (uint32_t)(field - plan->fields) + 1;
    memcpy(value, &which, sizeof which);
    rill_value_clear_case(plan, value);
    code = decode_field(in, field, value);
    if (code == RILL_OK && head.info == RILL_CBOR_INDEFINITE && (code = more_entries(in, &head, 1, &more)) == RILL_OK && more)
        code = RILL_ETYPE;
    return code;
}

static int decode_struct(struct input *in, const struct rill_plan *plan, unsigned char *value)
{
    if (!in->walk.depth)
        return RILL_EDECODE;
    in->walk.depth--;
    int code = plan->form == RILL_FORM_UNION ? decode_case(in, plan, value) : decode_map(in, plan, value);
    in->walk.depth++;
    return code;
}

/* ---- messages ---- */

int rill_decode_type(const unsigned char *data, size_t size, struct rill_type_id *type, const unsigned char **body)
{
    const unsigned char *at = data, *end = data + size;
    struct rill_cbor_head head;
    *type = (struct rill_type_id){0};
    if (!rill_cbor_read(&at, end, &head) || head.major != RILL_CBOR_TAG || head.argument != RILL_TAG_TYPED)
        return RILL_ETYPE;
    if (!rill_cbor_read(&at, end, &head) || head.major != RILL_CBOR_ARRAY || head.argument != 3)
        return RILL_ETYPE;
    if (!rill_cbor_read(&at, end, &head) || head.major != RILL_CBOR_TEXT)
        return RILL_ETYPE;
    if (head.argument > RILL_TYPE_NAME_MOST || head.argument > (uint64_t)(end - at))
        return RILL_ETYPE;
    memcpy(type->name, at, (size_t)head.argument);
    at += head.argument;
    if (!is_c_text((unsigned char *)type->name, (size_t)head.argument))
        return RILL_ETYPE;
    if (!rill_cbor_read(&at, end, &head) || head.major != RILL_CBOR_UINT)
        return RILL_ETYPE;
    type->fingerprint = head.argument;
    *body = at;
    return RILL_OK;
}

/* A plain struct's bytes as the body of a message. */
static int decode_plain_body(struct input *in, const struct rill_plan *plan, uint64_t fingerprint, unsigned char *value)
{
    uint64_t bytes;
    int code = read_definite(in, RILL_CBOR_BYTES, &bytes);
    if (code == RILL_OK && (fingerprint != plan->fingerprint || bytes != plan->packed_bytes || !RILL_PLAN_PACKS))
        code = RILL_ETYPE;
    if (code == RILL_OK && bytes > (uint64_t)(in->end - in->at))
        code = RILL_EDECODE;
    return code == RILL_OK ? decode_packed(in, plan, value, 1) : code;
}

/* Another program's type of the same name, or this one written in another way. */
static int decode_other(struct input *in, const struct rill_plan *plan, unsigned char *value)
{
    struct rill_type_id type;
    int code = rill_decode_type(in->at, (size_t)(in->end - in->at), &type, &in->at);
    if (code != RILL_OK || strcmp(type.name, plan->type->name) != 0)
        return RILL_ETYPE;
    bool is_map = in->at < in->end && *in->at >> 5 == RILL_CBOR_MAP;
    return plan->form == RILL_FORM_PLAIN && !is_map ? decode_plain_body(in, plan, type.fingerprint, value) : decode_struct(in, plan, value);
}

static int decode_body(struct input *in, const struct rill_plan *plan, unsigned char *value)
{
    if ((size_t)(in->end - in->at) < plan->prefix_bytes || memcmp(in->at, plan->prefix, plan->prefix_bytes) != 0)
        return decode_other(in, plan, value);
    in->at += plan->prefix_bytes;
    if (!RILL_PLAN_PACKS || plan->form != RILL_FORM_PLAIN)
        return decode_struct(in, plan, value);
    return (size_t)(in->end - in->at) >= plan->packed_bytes ? decode_packed(in, plan, value, 1) : RILL_EDECODE;
}

/* Of a caller older or newer than this library: what it does not know has to be 0. */
static bool copy_limits(const struct rill_limits *limits, struct rill_limits *copy)
{
    const unsigned char *bytes = (const unsigned char *)limits;
    size_t size = limits->size;
    if (size < sizeof limits->size)
        return false;
    for (size_t i = sizeof *copy; i < size; i++)
        if (bytes[i])
            return false;
    memcpy(copy, limits, size < sizeof *copy ? size : sizeof *copy);
    return true;
}

int rill_limits_read(const struct rill_limits *limits, struct rill_limits *read)
{
    *read = (struct rill_limits){0};
    if (limits && !copy_limits(limits, read))
        return RILL_EINVAL;
    read->max_depth = read->max_depth ? read->max_depth : DEPTH_DEFAULT;
    read->max_items = read->max_items ? read->max_items : ITEMS_DEFAULT;
    read->max_bytes = read->max_bytes ? read->max_bytes : BYTES_DEFAULT;
    return read->max_depth <= RILL_CBOR_DEPTH_MOST && !read->reserved ? RILL_OK : RILL_EINVAL;
}

int rill_decode(const struct rill_plan *plan, const unsigned char *data, size_t size, const struct rill_limits *limits, void *value,
                struct rill_claims *claims)
{
    struct rill_limits most;
    int code = rill_limits_read(limits, &most);
    if (code != RILL_OK)
        return code;
    struct input in = {
        .at = data,
        .end = data + size,
        .walk = {.depth = most.max_depth, .items = most.max_items},
        .bytes = most.max_bytes,
        .claims = claims,
    };
    code = decode_body(&in, plan, value);
    return code == RILL_OK && in.at != in.end ? RILL_EDECODE : code;
}
