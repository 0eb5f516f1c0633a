/* SPDX-License-Identifier: MIT */
/* Random values of random types, made at run time: what is sent arrives, and what was spoiled on the way does no harm. */
#include "support.h"

#include <stdbool.h>

#include <cbor.h>

#include "types.h"

#define TYPES 24u
#define FIELDS 7u

/* The types of one round; each may contain those before it. */
struct universe {
    struct rill_type types[TYPES];
    struct rill_field fields[TYPES][FIELDS];
    struct rill_type_state states[TYPES];
    char names[TYPES][8];
    size_t count;
};

static const char *const field_names[FIELDS] = {"a", "beta", "a_long_name_that_takes_two_bytes_for_its_head", "d", "e", "f", "g"};

/* ---------------------------------------------------------------- types */

static size_t item_size(struct dice *dice, uint32_t kind)
{
    static const uint8_t sizes[] = {[RILL_FIELD_u8] = 1, [RILL_FIELD_u16] = 2, [RILL_FIELD_u32] = 4, [RILL_FIELD_u64] = 8, [RILL_FIELD_i8] = 1,
                                    [RILL_FIELD_i16] = 2, [RILL_FIELD_i32] = 4, [RILL_FIELD_i64] = 8, [RILL_FIELD_f32] = 4, [RILL_FIELD_f64] = 8,
                                    [RILL_FIELD_boolean] = 1, [RILL_FIELD_enumeration] = 4, [RILL_FIELD_string] = sizeof(char *),
                                    [RILL_FIELD_bytes] = sizeof(struct rill_blob)};
    return kind == RILL_FIELD_text || kind == RILL_FIELD_octets ? (size_t)roll_between(dice, 1, 40) : sizes[kind];
}

/* A type made before that may stand here, or NULL. */
static const struct rill_type *earlier(struct universe *all, struct dice *dice, bool plain)
{
    for (size_t i = 0; i < 8 && all->count; i++) {
        const struct rill_type *type = &all->types[roll_between(dice, 0, all->count - 1)];
        if (type->size < 4000 && (!plain || type->form == RILL_FORM_PLAIN))
            return type;
    }
    return NULL;
}

static uint32_t random_shape(struct dice *dice, uint32_t form, uint32_t kind)
{
    static const uint32_t shapes[] = {RILL_SHAPE_one, RILL_SHAPE_array, RILL_SHAPE_list, RILL_SHAPE_optional, RILL_SHAPE_defaulted};
    uint64_t most = form == RILL_FORM_STRUCT ? 4 : form == RILL_FORM_UNION ? 2 : 1;
    uint32_t shape = shapes[roll_between(dice, 0, most)];
    bool whole = kind != RILL_FIELD_text && kind != RILL_FIELD_octets;
    bool defaultable = kind <= RILL_FIELD_boolean || kind == RILL_FIELD_enumeration || kind == RILL_FIELD_string;
    return (shape != RILL_SHAPE_one && !whole) || (shape == RILL_SHAPE_defaulted && !defaultable) ? (uint32_t)RILL_SHAPE_one : shape;
}

static size_t member_size(const struct rill_field *field)
{
    switch (field->shape) {
    case RILL_SHAPE_array:
        return field->size * field->count;
    case RILL_SHAPE_list:
        return sizeof(void *) + sizeof(size_t);
    case RILL_SHAPE_optional:
        return field->value_offset + field->size;
    default:
        return field->size;
    }
}

static void make_field(struct universe *all, struct dice *dice, struct rill_type *type, struct rill_field *field, size_t index)
{
    bool plain = type->form == RILL_FORM_PLAIN;
    uint32_t kind = (uint32_t)roll_between(dice, RILL_FIELD_u8, plain ? RILL_FIELD_nested : RILL_FIELD_bytes);
    const struct rill_type *nested = kind == RILL_FIELD_nested ? earlier(all, dice, plain) : NULL;
    if (kind == RILL_FIELD_nested && !nested)
        kind = RILL_FIELD_i64;
    *field = (struct rill_field){
        .name = field_names[index],
        .kind = kind,
        .shape = random_shape(dice, type->form, kind),
        .count = (size_t)roll_between(dice, 1, 4),
        .value_offset = 8,
    };
    field->fallback.integer = 1; /* of every kind */
    field->type = kind == RILL_FIELD_enumeration ? &color_type : nested;
    field->size = nested ? nested->size : item_size(dice, kind);
    /* On multiples of 8, or of 1: with gaps and without. */
    size_t align = roll_between(dice, 0, 1) && plain ? 1 : 8;
    field->offset = type->form == RILL_FORM_UNION ? 8 : (type->size + align - 1) / align * align;
    size_t end = field->offset + member_size(field);
    type->size = end > type->size ? end : type->size;
}

static void make_type(struct universe *all, struct dice *dice)
{
    static const uint32_t forms[] = {RILL_FORM_STRUCT, RILL_FORM_STRUCT, RILL_FORM_PLAIN, RILL_FORM_UNION};
    size_t index = all->count;
    struct rill_type *type = &all->types[index];
    snprintf(all->names[index], sizeof all->names[index], "t%zu", index);
    *type = (struct rill_type){.name = all->names[index], .form = forms[roll_between(dice, 0, 3)], .fields = all->fields[index],
                               .field_count = (size_t)roll_between(dice, 1, FIELDS), .state = &all->states[index]};
    type->size = type->form == RILL_FORM_UNION ? 8 : 0;
    for (size_t i = 0; i < type->field_count; i++)
        make_field(all, dice, type, &all->fields[index][i], i);
    type->size = (type->size + 7) / 8 * 8;
    all->count++;
}

static struct universe *make_universe(struct dice *dice)
{
    struct universe *all = calloc(1, sizeof *all);
    require(all != NULL);
    while (all->count < TYPES)
        make_type(all, dice);
    return all;
}

static void free_universe(struct universe *all)
{
    for (size_t i = 0; i < all->count; i++)
        require_ok(rill_type_forget(&all->types[i]));
    free(all);
}

/* ---------------------------------------------------------------- values */

static void fill_struct(const struct rill_type *type, struct dice *dice, unsigned char *value, unsigned depth);

static char *random_text(struct dice *dice, size_t most)
{
    static const char *const pieces[] = {"a", "0", "\xc3\xbc", "\xe2\x82\xac", "\xf0\x9f\xa6\x80", "\x7f"};
    size_t length = 0, wanted = (size_t)roll_between(dice, 0, most);
    char *text = malloc(most + 5);
    require(text != NULL);
    for (;;) {
        const char *piece = pieces[roll_between(dice, 0, COUNT_OF(pieces) - 1)];
        if (length + strlen(piece) > wanted)
            break;
        memcpy(text + length, piece, strlen(piece));
        length += strlen(piece);
    }
    text[length] = 0;
    return text;
}

static void fill_scalar(const struct rill_field *field, struct dice *dice, unsigned char *item)
{
    static const int32_t colors[] = {color_red, color_green, color_none, color_last};
    uint64_t bits = roll(dice);
    if (roll_between(dice, 0, 2) == 0)
        bits = roll_between(dice, 0, 1) ? 0 : UINT64_MAX; /* the limits of every width */
    else if (roll_between(dice, 0, 1))
        bits >>= roll_between(dice, 0, 63);
    if (field->kind == RILL_FIELD_boolean)
        bits &= 1;
    if (field->kind == RILL_FIELD_enumeration)
        memcpy(item, &colors[bits % 4], sizeof colors[0]);
    else
        memcpy(item, &bits, field->size);
}

static void fill_item(const struct rill_field *field, struct dice *dice, unsigned char *item, unsigned depth)
{
    struct rill_blob blob = {.size = (size_t)roll_between(dice, 0, 300)};
    char *text = NULL;
    switch (field->kind) {
    case RILL_FIELD_text:
        text = random_text(dice, field->size - 1);
        memcpy(item, text, strlen(text) + 1);
        free(text);
        break;
    case RILL_FIELD_octets:
        fill(item, field->size, roll(dice));
        break;
    case RILL_FIELD_nested:
        fill_struct(field->type, dice, item, depth - 1);
        break;
    case RILL_FIELD_string:
        if (roll_between(dice, 0, 5))
            text = random_text(dice, roll_between(dice, 0, 9) ? 40 : 70000);
        memcpy(item, &text, sizeof text);
        break;
    case RILL_FIELD_bytes:
        blob.data = blob.size ? malloc(blob.size) : NULL;
        if (blob.size)
            fill(blob.data, blob.size, roll(dice));
        memcpy(item, &blob, sizeof blob);
        break;
    default:
        fill_scalar(field, dice, item);
        break;
    }
}

static void fill_list(const struct rill_field *field, struct dice *dice, unsigned char *member, unsigned depth)
{
    struct {
        unsigned char *items;
        size_t count;
    } list = {NULL, depth ? (size_t)roll_between(dice, 0, 5) : 0};
    if (list.count)
        list.items = calloc(list.count, field->size);
    for (size_t i = 0; i < list.count; i++)
        fill_item(field, dice, list.items + i * field->size, depth);
    memcpy(member, &list, sizeof list);
}

static void fill_field(const struct rill_field *field, struct dice *dice, unsigned char *value, unsigned depth)
{
    unsigned char *member = value + field->offset;
    if (field->shape == RILL_SHAPE_list)
        fill_list(field, dice, member, depth);
    else if (field->shape == RILL_SHAPE_array)
        for (size_t i = 0; i < field->count; i++)
            fill_item(field, dice, member + i * field->size, depth);
    else if (field->shape != RILL_SHAPE_optional)
        fill_item(field, dice, member, depth);
    else if ((*member = (unsigned char)roll_between(dice, 0, 1)) != 0)
        fill_item(field, dice, member + field->value_offset, depth);
}

static void fill_struct(const struct rill_type *type, struct dice *dice, unsigned char *value, unsigned depth)
{
    uint32_t which = (uint32_t)roll_between(dice, 1, type->field_count);
    if (type->form == RILL_FORM_UNION) {
        memcpy(value, &which, sizeof which);
        fill_field(&type->fields[which - 1], dice, value, depth);
        return;
    }
    for (size_t i = 0; i < type->field_count; i++)
        fill_field(&type->fields[i], dice, value, depth);
}

/* ---------------------------------------------------------------- the tests */

static void require_same(const struct rill_type *type, const void *a, const void *b)
{
    int order = 99;
    require_ok(rill_type_compare(type, a, b, &order));
    require_equal(0, order);
}

static unsigned char *encode(const struct rill_type *type, const void *value, size_t *size)
{
    require_code(RILL_EMSGSIZE, rill_type_encode(type, value, NULL, 0, size));
    unsigned char *bytes = malloc(*size);
    require(bytes != NULL);
    require_ok(rill_type_encode(type, value, bytes, *size, size));
    return bytes;
}

/* Through a channel, and the bytes through libcbor. */
static void pass(const struct rill_type *type, void *value, rill_sender *tx, rill_receiver *rx)
{
    static char texts[2][1 << 16];
    struct cbor_load_result result;
    unsigned char *copy = calloc(1, type->size);
    size_t size, length;
    require(copy != NULL);
    require_ok(rill_send_as(tx, type, value));
    require_ok(rill_recv_as(rx, type, copy));
    require_same(type, value, copy);
    unsigned char *bytes = encode(type, copy, &size);
    cbor_item_t *item = cbor_load(bytes, size, &result);
    require(item && result.read == size);
    cbor_decref(&item);
    free(bytes);
    require_ok(rill_type_print(type, value, texts[0], sizeof texts[0], &size));
    require_ok(rill_type_print(type, copy, texts[1], sizeof texts[1], &length));
    require(size == length && strcmp(texts[0], texts[1]) == 0);
    require_ok(rill_type_free(type, copy));
    free(copy);
}

static void run_round_trips(void *argument)
{
    (void)argument;
    struct dice dice = {.state = 2024};
    rill_sender *tx;
    rill_receiver *rx;
    require_ok(rill_channel(NULL, &tx, &rx));
    for (size_t round = 0; round < rounds(60); round++) {
        struct universe *all = make_universe(&dice);
        for (size_t i = 0; i < 200; i++) {
            const struct rill_type *type = &all->types[roll_between(&dice, 0, TYPES - 1)];
            test_note = (long long)(round * 1000 + i);
            unsigned char *value = calloc(1, type->size);
            require(value != NULL);
            fill_struct(type, &dice, value, 4);
            pass(type, value, tx, rx);
            require_ok(rill_type_free(type, value));
            free(value);
        }
        free_universe(all);
    }
    require_ok(rill_sender_close(&tx));
    require_ok(rill_receiver_close(&rx));
}

/* A byte changed, the end cut off, or another type's message: an error, or a value that is in order. */
static void run_spoilt(void *argument)
{
    (void)argument;
    struct dice dice = {.state = 77};
    struct rill_limits limits = {.size = sizeof limits, .max_bytes = 1 << 22};
    size_t accepted = 0, refused = 0;
    for (size_t round = 0; round < rounds(40); round++) {
        struct universe *all = make_universe(&dice);
        for (size_t i = 0; i < 400; i++) {
            const struct rill_type *type = &all->types[roll_between(&dice, 0, TYPES - 1)], *other = type;
            unsigned char *value = calloc(1, type->size);
            size_t size, again;
            require(value != NULL);
            fill_struct(type, &dice, value, 3);
            unsigned char *bytes = encode(type, value, &size);
            require_ok(rill_type_free(type, value));
            free(value);
            if (i % 3 == 0)
                bytes[roll_between(&dice, 0, size - 1)] ^= (unsigned char)(1u << roll_between(&dice, 0, 7));
            else if (i % 3 == 1)
                size = (size_t)roll_between(&dice, 0, size - 1);
            else
                other = &all->types[roll_between(&dice, 0, TYPES - 1)];
            test_note = (long long)(round * 1000 + i);
            value = calloc(1, other->size);
            int code = rill_type_decode(other, bytes, size, &limits, value);
            require(code == RILL_OK || code == RILL_EDECODE || code == RILL_ETYPE);
            require(code != RILL_OK || i % 3 != 1);
            require(code == RILL_ETYPE || i % 3 != 2 || other == type);
            free(bytes);
            if (code == RILL_OK)
                free(encode(other, value, &again));
            accepted += code == RILL_OK;
            refused += code != RILL_OK;
            require_ok(rill_type_free(other, value));
            free(value);
        }
        free_universe(all);
    }
    require(accepted > 0 && refused > 0);
}

/* Types are told apart by their fingerprints, and one made again has the same. */
static void run_fingerprints(void *argument)
{
    (void)argument;
    struct dice dice = {.state = 5}, again = dice;
    struct universe *all = make_universe(&dice), *same = make_universe(&again);
    for (size_t i = 0; i < TYPES; i++) {
        uint64_t fingerprint = rill_type_fingerprint(&all->types[i]);
        require(fingerprint && fingerprint == rill_type_fingerprint(&same->types[i]));
        for (size_t k = 0; k < i; k++)
            require(fingerprint != rill_type_fingerprint(&all->types[k]));
    }
    /* Whatever is changed deep inside changes what contains it. */
    struct rill_type_state states[2] = {{NULL}, {NULL}};
    struct rill_field inner_fields[] = {{"x", RILL_FIELD_u32, RILL_SHAPE_one, 0, 4, 1, 0, NULL, {0, 0, NULL}}};
    struct rill_type inner = {"inner", RILL_FORM_STRUCT, 0, 4, inner_fields, 1, NULL, NULL, 0, &states[0]};
    struct rill_field outer_fields[] = {{"in", RILL_FIELD_nested, RILL_SHAPE_list, 0, 4, 1, 0, &inner, {0, 0, NULL}}};
    struct rill_type outer = {"outer", RILL_FORM_STRUCT, 0, 16, outer_fields, 1, NULL, NULL, 0, &states[1]};
    uint64_t before = rill_type_fingerprint(&outer);
    require_ok(rill_type_forget(&outer));
    inner_fields[0].kind = RILL_FIELD_i32;
    require(before && rill_type_fingerprint(&outer) && rill_type_fingerprint(&outer) != before);
    require_ok(rill_type_forget(&outer));
    require_ok(rill_type_forget(&inner));
    free_universe(all);
    free_universe(same);
}

static const struct test tests[] = {
    {"random values of random types arrive as they were", run_round_trips, NULL, 120},
    {"spoilt values of random types are refused, or in order", run_spoilt, NULL, 120},
    {"types are known by their fingerprints", run_fingerprints, NULL, 0},
};

int main(void)
{
    return run_group("type_random", tests, COUNT_OF(tests));
}
