/* SPDX-License-Identifier: MIT */
#include "encode.h"

#include <stdlib.h>
#include <string.h>

#include "cbor_items.h"

#define TAG_BYTES 5u /* rill's tags are that long, */
#define FINGERPRINT_MOST 9u

/* ---- measuring ---- */

static int measure_struct(struct rill_measure *measure, const struct rill_plan *plan, const unsigned char *value);

static int measure_text(struct rill_measure *measure, const char *text, size_t length)
{
    if (!rill_cbor_is_utf8((const unsigned char *)text, length))
        return RILL_EINVAL;
    measure->bytes += rill_cbor_head_size(length) + length;
    return RILL_OK;
}

static int measure_string(struct rill_measure *measure, const unsigned char *item)
{
    const char *text;
    memcpy(&text, item, sizeof text);
    if (text)
        return measure_text(measure, text, strlen(text));
    measure->bytes++;
    return RILL_OK;
}

static int measure_blob(struct rill_measure *measure, const unsigned char *item)
{
    struct rill_blob blob;
    memcpy(&blob, item, sizeof blob);
    if ((!blob.data && blob.size) || blob.size > SIZE_MAX / 2 - measure->bytes)
        return RILL_EINVAL;
    measure->bytes += rill_cbor_head_size(blob.size) + blob.size;
    return RILL_OK;
}

static int add_slot(struct rill_measure *measure, const struct rill_plan_field *field, const unsigned char *item)
{
    if (measure->count == measure->capacity) {
        size_t larger = measure->capacity ? measure->capacity * 2 : 8;
        struct rill_slot *slots = realloc(measure->slots, larger * sizeof *slots);
        if (!slots)
            return RILL_ENOMEM;
        measure->slots = slots;
        measure->capacity = larger;
    }
    measure->slots[measure->count++] = (struct rill_slot){.member = (unsigned char *)(uintptr_t)item, .kind = field->kind};
    return RILL_OK;
}

static int measure_handle(struct rill_measure *measure, const struct rill_plan_field *field, const unsigned char *item)
{
    struct rill_handle handle;
    if (!rill_field_handle(field, item, &handle)) {
        measure->bytes++;
        return RILL_OK;
    }
    measure->bytes += TAG_BYTES + rill_cbor_head_size(measure->count);
    return add_slot(measure, field, item);
}

static uint64_t plain_run_bytes(const struct rill_plan *plan, size_t count)
{
    uint64_t bytes = (uint64_t)plan->packed_bytes * count;
    return TAG_BYTES + 1 + rill_cbor_head_size(plan->fingerprint) + rill_cbor_head_size(bytes) + bytes;
}

static int measure_nested(struct rill_measure *measure, const struct rill_plan_field *field, const unsigned char *item)
{
    const struct rill_plan *plan;
    int code = rill_plan_of(field->type, &plan);
    return code == RILL_OK ? measure_struct(measure, plan, item) : code;
}

static size_t integer_size(const struct rill_plan_field *field, const unsigned char *item)
{
    bool is_signed = field->kind >= RILL_FIELD_i8;
    int64_t number = is_signed ? rill_load_signed(item, field->size) : 0;
    return rill_cbor_head_size(is_signed ? (uint64_t)(number < 0 ? ~number : number) : rill_load_unsigned(item, field->size));
}

static int measure_item(struct rill_measure *measure, const struct rill_plan_field *field, const unsigned char *item)
{
    int64_t number;
    const unsigned char *end;
    switch (field->kind) {
    case RILL_FIELD_f32:
        measure->bytes += 5;
        return RILL_OK;
    case RILL_FIELD_f64:
        measure->bytes += 9;
        return RILL_OK;
    case RILL_FIELD_boolean:
        measure->bytes++;
        return *item <= 1 ? RILL_OK : RILL_EINVAL;
    case RILL_FIELD_text:
        end = memchr(item, 0, field->size);
        return end ? measure_text(measure, (const char *)item, (size_t)(end - item)) : RILL_EINVAL;
    case RILL_FIELD_octets:
        measure->bytes += rill_cbor_head_size(field->size) + field->size;
        return RILL_OK;
    case RILL_FIELD_enumeration:
        number = rill_load_enumeration(item);
        measure->bytes += rill_cbor_head_size((uint64_t)(number < 0 ? ~number : number));
        return rill_enum_name_of(field->type, number) ? RILL_OK : RILL_EINVAL;
    case RILL_FIELD_nested:
        return measure_nested(measure, field, item);
    case RILL_FIELD_string:
        return measure_string(measure, item);
    case RILL_FIELD_bytes:
        return measure_blob(measure, item);
    default:
        if (rill_is_handle_field(field->kind))
            return measure_handle(measure, field, item);
        measure->bytes += integer_size(field, item);
        return RILL_OK;
    }
}

/* Plain structs, one or many, in one run of bytes. */
static int measure_plain(struct rill_measure *measure, const struct rill_plan_field *field, const struct rill_span *span)
{
    const struct rill_plan *plan;
    int code = rill_plan_of(field->type, &plan);
    if (code != RILL_OK)
        return code;
    for (size_t i = 0; plan->checked && i < span->count; i++)
        if (!rill_plain_is_sound(plan, span->items + i * field->size))
            return RILL_EINVAL;
    measure->bytes += plain_run_bytes(plan, span->count);
    return RILL_OK;
}

static int measure_field(struct rill_measure *measure, const struct rill_plan_field *field, const unsigned char *value)
{
    struct rill_span span = rill_span_of(field, value);
    if (field->shape == RILL_SHAPE_optional) {
        if (value[field->offset] > 1)
            return RILL_EINVAL; /* no bool */
        if (!span.count)
            return RILL_OK;
    }
    if ((!span.items && span.count) || span.count > SIZE_MAX / 2 / field->size)
        return RILL_EINVAL;
    measure->bytes += field->key_bytes;
    if (field->packed)
        return measure_plain(measure, field, &span);
    if (rill_is_sequence(field))
        measure->bytes += rill_cbor_head_size(span.count);
    int code = RILL_OK;
    for (size_t i = 0; i < span.count && code == RILL_OK; i++)
        code = measure_item(measure, field, span.items + i * field->size);
    return code;
}

static int measure_union(struct rill_measure *measure, const struct rill_plan *plan, const unsigned char *value)
{
    const struct rill_plan_field *field = rill_case_of(plan, value);
    measure->bytes++;
    return field ? measure_field(measure, field, value) : RILL_EINVAL;
}

/* How many entries the map of a struct has: all fields but optional ones that are not there. */
static uint64_t entries_of(const struct rill_plan *plan, const unsigned char *value)
{
    uint64_t entries = plan->field_count;
    for (uint32_t i = 0; i < plan->field_count; i++)
        entries -= plan->fields[i].shape == RILL_SHAPE_optional && !value[plan->fields[i].offset];
    return entries;
}

static int measure_map(struct rill_measure *measure, const struct rill_plan *plan, const unsigned char *value)
{
    int code = RILL_OK;
    measure->bytes += rill_cbor_head_size(entries_of(plan, value));
    for (uint32_t i = 0; i < plan->field_count && code == RILL_OK; i++)
        code = measure_field(measure, &plan->fields[i], value);
    return code;
}

static int measure_struct(struct rill_measure *measure, const struct rill_plan *plan, const unsigned char *value)
{
    if (measure->depth == RILL_VALUE_DEPTH_MOST)
        return RILL_EINVAL;
    measure->depth++;
    int code = plan->form == RILL_FORM_UNION ? measure_union(measure, plan, value) : measure_map(measure, plan, value);
    measure->depth--;
    return code;
}

int rill_measure(struct rill_measure *measure, const struct rill_plan *plan, const void *value)
{
    *measure = (struct rill_measure){.bytes = plan->prefix_bytes};
    if (!RILL_PLAN_PACKS || plan->form != RILL_FORM_PLAIN)
        return measure_struct(measure, plan, value);
    measure->bytes += plan->packed_bytes;
    return rill_plain_is_sound(plan, value) ? RILL_OK : RILL_EINVAL;
}

/* ---- writing ---- */

/* Writes between `at` and `end`. What does not fit is left out: a value that another thread changes after it was measured harms only itself. */
struct output {
    unsigned char *at, *end;
    uint64_t handles; /* so many were written */
    bool unsound;     /* a value that cannot be sent was met; only asked for where nothing was measured */
};

static inline bool has_room(struct output *out, size_t size)
{
    if (__builtin_expect((size_t)(out->end - out->at) >= size, 1))
        return true;
    out->end = out->at;
    return false;
}

static inline void put_head(struct output *out, uint32_t major, uint64_t argument)
{
    if (has_room(out, rill_cbor_head_size(argument)))
        out->at = rill_cbor_write(out->at, major, argument);
}

static inline void put_bytes(struct output *out, const void *data, size_t size)
{
    if (size && has_room(out, size)) {
        memcpy(out->at, data, size);
        out->at += size;
    }
}

static inline void put_integer(struct output *out, int64_t number)
{
    put_head(out, number < 0 ? RILL_CBOR_NEGATIVE : RILL_CBOR_UINT, (uint64_t)(number < 0 ? ~number : number));
}

/* A simple value, or a number of 4 or 8 bytes. */
static inline void put_simple(struct output *out, uint32_t info, uint64_t bits, size_t size)
{
    if (has_room(out, 1 + size)) {
        *out->at++ = (unsigned char)(RILL_CBOR_SIMPLE << 5 | info);
        if (size)
            rill_cbor_store(out->at, bits, size);
        out->at += size;
    }
}

static void put_text(struct output *out, const char *text)
{
    size_t length = text ? strlen(text) : 0;
    if (!text) {
        put_simple(out, RILL_CBOR_NULL, 0, 0);
        return;
    }
    put_head(out, RILL_CBOR_TEXT, length);
    put_bytes(out, text, length);
}

static void put_array_text(struct output *out, const struct rill_plan_field *field, const unsigned char *item)
{
    size_t length = strnlen((const char *)item, field->size);
    out->unsound |= length == field->size || !rill_cbor_is_utf8(item, length);
    put_head(out, RILL_CBOR_TEXT, length);
    put_bytes(out, item, length);
}

static void put_blob(struct output *out, const unsigned char *item)
{
    struct rill_blob blob;
    memcpy(&blob, item, sizeof blob);
    put_head(out, RILL_CBOR_BYTES, blob.size);
    put_bytes(out, blob.data, blob.size);
}

static void put_enumeration(struct output *out, const struct rill_plan_field *field, const unsigned char *item)
{
    int64_t number = rill_load_enumeration(item);
    out->unsound |= !rill_enum_name_of(field->type, number);
    put_integer(out, number);
}

static void put_handle(struct output *out, const struct rill_plan_field *field, const unsigned char *item)
{
    struct rill_handle handle;
    if (!rill_field_handle(field, item, &handle)) {
        put_simple(out, RILL_CBOR_NULL, 0, 0);
        return;
    }
    uint32_t kind = handle.kind == RILL_HANDLE_OPAQUE ? (uint32_t)rill_opaque_kind(handle.as.opaque) : handle.kind;
    put_head(out, RILL_CBOR_TAG, RILL_TAG_HANDLE + kind);
    put_head(out, RILL_CBOR_UINT, out->handles++);
}

static void put_packed(struct output *out, const struct rill_plan *plan, const unsigned char *items, size_t count)
{
    size_t bytes = plan->packed_bytes * count;
    if (!bytes || !has_room(out, bytes))
        return;
    if (plan->gapless)
        memcpy(out->at, items, bytes);
    else
        for (size_t i = 0; i < count; i++)
            rill_plain_pack(plan, out->at + i * plan->packed_bytes, items + i * plan->type->size);
    out->at += bytes;
}

static void put_plain(struct output *out, const struct rill_plan_field *field, const struct rill_span *span)
{
    const struct rill_plan *plan = rill_plan_peek(field->type);
    for (size_t i = 0; plan->checked && i < span->count; i++)
        out->unsound |= !rill_plain_is_sound(plan, span->items + i * field->size);
    put_head(out, RILL_CBOR_TAG, RILL_TAG_PLAIN);
    put_head(out, RILL_CBOR_ARRAY, 2);
    put_head(out, RILL_CBOR_UINT, plan->fingerprint);
    put_head(out, RILL_CBOR_BYTES, (uint64_t)plan->packed_bytes * span->count);
    put_packed(out, plan, span->items, span->count);
}

static void put_struct(struct output *out, const struct rill_plan *plan, const unsigned char *value);

static inline void put_item(struct output *out, const struct rill_plan_field *field, const unsigned char *item)
{
    const char *text;
    switch (field->kind) {
    case RILL_FIELD_u8:
    case RILL_FIELD_u16:
    case RILL_FIELD_u32:
    case RILL_FIELD_u64:
        put_head(out, RILL_CBOR_UINT, rill_load_unsigned(item, field->size));
        break;
    case RILL_FIELD_i8:
    case RILL_FIELD_i16:
    case RILL_FIELD_i32:
    case RILL_FIELD_i64:
        put_integer(out, rill_load_signed(item, field->size));
        break;
    case RILL_FIELD_f32:
        put_simple(out, RILL_CBOR_SINGLE, rill_load_unsigned(item, 4), 4);
        break;
    case RILL_FIELD_f64:
        put_simple(out, RILL_CBOR_DOUBLE, rill_load_unsigned(item, 8), 8);
        break;
    case RILL_FIELD_boolean:
        out->unsound |= *item > 1;
        put_simple(out, *item ? RILL_CBOR_TRUE : RILL_CBOR_FALSE, 0, 0);
        break;
    case RILL_FIELD_text:
        put_array_text(out, field, item);
        break;
    case RILL_FIELD_octets:
        put_head(out, RILL_CBOR_BYTES, field->size);
        put_bytes(out, item, field->size);
        break;
    case RILL_FIELD_enumeration:
        put_enumeration(out, field, item);
        break;
    case RILL_FIELD_nested:
        put_struct(out, rill_plan_peek(field->type), item);
        break;
    case RILL_FIELD_string:
        memcpy(&text, item, sizeof text);
        put_text(out, text);
        break;
    case RILL_FIELD_bytes:
        put_blob(out, item);
        break;
    default:
        put_handle(out, field, item);
        break;
    }
}

static inline void put_field(struct output *out, const struct rill_plan_field *field, const unsigned char *value)
{
    struct rill_span span = rill_span_of(field, value);
    if (field->shape == RILL_SHAPE_optional) {
        out->unsound |= value[field->offset] > 1;
        if (!span.count)
            return;
    }
    put_bytes(out, field->key, field->key_bytes);
    if (field->packed) {
        put_plain(out, field, &span);
        return;
    }
    if (rill_is_sequence(field))
        put_head(out, RILL_CBOR_ARRAY, span.count);
    for (size_t i = 0; i < span.count; i++)
        put_item(out, field, span.items + i * field->size);
}

static void put_struct(struct output *out, const struct rill_plan *plan, const unsigned char *value)
{
    if (plan->form == RILL_FORM_UNION) {
        const struct rill_plan_field *field = rill_case_of(plan, value);
        out->unsound |= !field;
        put_head(out, RILL_CBOR_MAP, 1);
        if (field)
            put_field(out, field, value);
        return;
    }
    put_head(out, RILL_CBOR_MAP, entries_of(plan, value));
    for (uint32_t i = 0; i < plan->field_count; i++)
        put_field(out, &plan->fields[i], value);
}

static void put_message(struct output *out, const struct rill_plan *plan, const unsigned char *value)
{
    put_bytes(out, plan->prefix, plan->prefix_bytes);
    if (RILL_PLAN_PACKS && plan->form == RILL_FORM_PLAIN)
        put_packed(out, plan, value, 1);
    else
        put_struct(out, plan, value);
}

size_t rill_emit(const struct rill_plan *plan, const void *value, unsigned char *target, size_t capacity)
{
    struct output out = {.at = target, .end = target + capacity};
    put_message(&out, plan, value);
    return (size_t)(out.at - target);
}

int rill_emit_bounded(const struct rill_plan *plan, const void *value, unsigned char *target, size_t *size)
{
    struct output out = {.at = target, .end = target + plan->prefix_bytes + plan->most_bytes};
    bool plain = RILL_PLAN_PACKS && plan->form == RILL_FORM_PLAIN;
    out.unsound = plain && !rill_plain_is_sound(plan, value);
    put_message(&out, plan, value);
    *size = (size_t)(out.at - target);
    return out.unsound ? RILL_EINVAL : RILL_OK;
}
