/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "cbor_items.h"
#include "plan.h"

#define TYPES_MOST 256u /* that one type may reach */

/* ---- what a description has to be like ---- */

static bool is_name(const char *name)
{
    size_t length = name ? strnlen(name, RILL_TYPE_NAME_MOST + 1) : 0;
    return length && length <= RILL_TYPE_NAME_MOST && rill_cbor_is_utf8((const unsigned char *)name, length);
}

static const struct rill_field *fields_of(const struct rill_type *type, size_t *count)
{
    *count = type->field_count;
    return type->fields || !type->describe ? type->fields : type->describe(count);
}

/* What one item takes in memory; 0: the field says. */
static size_t item_size(uint32_t kind)
{
    switch (kind) {
    case RILL_FIELD_u8:
    case RILL_FIELD_i8:
        return 1;
    case RILL_FIELD_u16:
    case RILL_FIELD_i16:
        return 2;
    case RILL_FIELD_u32:
    case RILL_FIELD_i32:
    case RILL_FIELD_f32:
    case RILL_FIELD_enumeration:
        return 4;
    case RILL_FIELD_u64:
    case RILL_FIELD_i64:
    case RILL_FIELD_f64:
        return 8;
    case RILL_FIELD_boolean:
        return sizeof(bool);
    case RILL_FIELD_bytes:
        return sizeof(struct rill_blob);
    case RILL_FIELD_descriptor:
        return sizeof(int);
    case RILL_FIELD_text:
    case RILL_FIELD_octets:
    case RILL_FIELD_nested:
        return 0;
    default:
        return sizeof(void *);
    }
}

static bool is_kind_in_order(const struct rill_field *field)
{
    if (field->kind < RILL_FIELD_u8 || field->kind > RILL_FIELD_opaque || field->size == 0)
        return false;
    if (item_size(field->kind) && field->size != item_size(field->kind))
        return false;
    if (field->kind == RILL_FIELD_enumeration)
        return field->type && field->type->form == RILL_FORM_ENUM && field->type->names;
    if (field->kind == RILL_FIELD_nested)
        return field->type && field->type->form != RILL_FORM_ENUM && field->size == field->type->size;
    return !field->type;
}

static bool is_defaultable(uint32_t kind)
{
    return kind <= RILL_FIELD_boolean || kind == RILL_FIELD_enumeration || kind == RILL_FIELD_string;
}

/* The bytes of the member; 0: that cannot be. */
static size_t member_size(const struct rill_field *field)
{
    switch (field->shape) {
    case RILL_SHAPE_one:
        return field->size;
    case RILL_SHAPE_array:
        return field->count && field->count <= SIZE_MAX / 2 / field->size ? field->size * field->count : 0;
    case RILL_SHAPE_list:
        return sizeof(struct rill_list);
    case RILL_SHAPE_optional:
        return field->value_offset >= sizeof(bool) && field->value_offset <= SIZE_MAX / 4 && field->size <= SIZE_MAX / 4
                   ? field->value_offset + field->size
                   : 0;
    case RILL_SHAPE_defaulted:
        return is_defaultable(field->kind) ? field->size : 0;
    default:
        return 0;
    }
}

static bool is_shape_allowed(const struct rill_type *type, const struct rill_field *field)
{
    bool varies = field->shape == RILL_SHAPE_optional || field->shape == RILL_SHAPE_defaulted;
    bool whole = field->kind != RILL_FIELD_text && field->kind != RILL_FIELD_octets;
    if (field->shape != RILL_SHAPE_one && !whole)
        return false;
    if (type->form == RILL_FORM_UNION)
        return !varies && field->offset >= sizeof(uint32_t);
    if (type->form != RILL_FORM_PLAIN)
        return true;
    bool plain = field->kind < RILL_FIELD_nested || (field->kind == RILL_FIELD_nested && field->type->form == RILL_FORM_PLAIN);
    return plain && !varies && field->shape != RILL_SHAPE_list;
}

/* A default has to be a value that could be sent. */
static bool is_default_in_order(const struct rill_field *field)
{
    if (field->shape != RILL_SHAPE_defaulted)
        return true;
    const char *text = field->fallback.text;
    if (field->kind == RILL_FIELD_enumeration)
        return rill_enum_name_of(field->type, field->fallback.integer) != NULL;
    if (field->kind == RILL_FIELD_boolean)
        return field->fallback.integer == 0 || field->fallback.integer == 1;
    return field->kind != RILL_FIELD_string || !text || rill_cbor_is_utf8((const unsigned char *)text, strlen(text));
}

static bool is_field_in_order(const struct rill_type *type, const struct rill_field *fields, size_t index)
{
    const struct rill_field *field = &fields[index];
    if (!is_name(field->name) || !is_kind_in_order(field) || !is_shape_allowed(type, field) || !is_default_in_order(field))
        return false;
    size_t bytes = member_size(field);
    if (!bytes || field->offset > type->size || bytes > type->size - field->offset)
        return false;
    for (size_t i = 0; i < index; i++)
        if (strcmp(fields[i].name, field->name) == 0)
            return false;
    return true;
}

static bool is_enum_in_order(const struct rill_type *type)
{
    for (size_t i = 0; i < type->name_count; i++)
        if (!is_name(type->names[i].name) || type->names[i].value != (int32_t)type->names[i].value)
            return false;
    return type->names && type->name_count && type->size == sizeof(int32_t);
}

static bool is_type_in_order(const struct rill_type *type)
{
    if (!is_name(type->name) || !type->state)
        return false;
    if (type->form == RILL_FORM_ENUM)
        return is_enum_in_order(type);
    size_t count;
    const struct rill_field *fields = fields_of(type, &count);
    if (type->form < RILL_FORM_STRUCT || type->form > RILL_FORM_UNION || !fields || !count || count > RILL_FIELDS_MOST)
        return false;
    for (size_t i = 0; i < count; i++)
        if (!is_field_in_order(type, fields, i))
            return false;
    return true;
}

/* A struct cannot be inside itself but in a list. */
static bool nests_within(const struct rill_type *type, unsigned depth)
{
    if (type->form == RILL_FORM_ENUM)
        return true;
    size_t count;
    const struct rill_field *fields = fields_of(type, &count);
    for (size_t i = 0; i < count; i++)
        if (fields[i].type && fields[i].shape != RILL_SHAPE_list && (depth == 0 || !nests_within(fields[i].type, depth - 1)))
            return false;
    return true;
}

/* ---- all types that one reaches, itself first: types may have lists of each other ---- */

struct reach {
    const struct rill_type *types[TYPES_MOST];
    size_t count;
};

static size_t place_of(const struct reach *reach, const struct rill_type *type)
{
    size_t i = 0;
    while (i < reach->count && reach->types[i] != type)
        i++;
    return i;
}

static int add_type(struct reach *reach, const struct rill_type *type)
{
    if (place_of(reach, type) < reach->count)
        return RILL_OK;
    if (reach->count == TYPES_MOST || !is_type_in_order(type))
        return RILL_EINVAL;
    reach->types[reach->count++] = type;
    return RILL_OK;
}

static int find_reach(struct reach *reach, const struct rill_type *type)
{
    int code = add_type(reach, type);
    for (size_t i = 0; i < reach->count && code == RILL_OK; i++) {
        if (reach->types[i]->form == RILL_FORM_ENUM)
            continue;
        size_t count;
        const struct rill_field *fields = fields_of(reach->types[i], &count);
        for (size_t k = 0; k < count && code == RILL_OK; k++)
            if (fields[k].type)
                code = add_type(reach, fields[k].type);
    }
    for (size_t i = 0; i < reach->count && code == RILL_OK; i++)
        code = nests_within(reach->types[i], RILL_NESTING_MOST) ? RILL_OK : RILL_EINVAL;
    return code;
}

/* ---- the fingerprint: FNV-1a of the descriptions in the order in which they are reached ---- */

static uint64_t hash_bytes(uint64_t hash, const void *data, size_t size)
{
    const unsigned char *bytes = data;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static uint64_t hash_number(uint64_t hash, uint64_t number)
{
    unsigned char bytes[8];
    for (unsigned i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(number >> 8 * i);
    return hash_bytes(hash, bytes, sizeof bytes);
}

static uint64_t hash_text(uint64_t hash, const char *text)
{
    return hash_bytes(hash, text, strlen(text) + 1);
}

static uint64_t hash_field(uint64_t hash, const struct rill_field *field, const struct reach *reach)
{
    bool sized = field->kind == RILL_FIELD_text || field->kind == RILL_FIELD_octets;
    hash = hash_text(hash, field->name);
    hash = hash_number(hash, field->kind);
    hash = hash_number(hash, field->shape);
    hash = hash_number(hash, field->shape == RILL_SHAPE_array ? field->count : 0);
    hash = hash_number(hash, sized ? field->size : 0);
    return hash_number(hash, field->type ? place_of(reach, field->type) : TYPES_MOST);
}

static uint64_t hash_type(uint64_t hash, const struct rill_type *type, const struct reach *reach)
{
    hash = hash_text(hash, type->name);
    hash = hash_number(hash, type->form);
    if (type->form == RILL_FORM_ENUM) {
        for (size_t i = 0; i < type->name_count; i++)
            hash = hash_number(hash_text(hash, type->names[i].name), (uint64_t)type->names[i].value);
        return hash;
    }
    size_t count;
    const struct rill_field *fields = fields_of(type, &count);
    for (size_t i = 0; i < count; i++)
        hash = hash_field(hash, &fields[i], reach);
    return hash;
}

static uint64_t fingerprint_of(const struct reach *reach)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < reach->count; i++)
        hash = hash_type(hash, reach->types[i], reach);
    return hash ? hash : 1; /* 0 says that there is none */
}

/* ---- how plain structs are copied ---- */

static void add_step(struct rill_plan *plan, const struct rill_plan_step *step)
{
    struct rill_plan_step *last = plan->step_count ? &plan->steps[plan->step_count - 1] : NULL;
    if (!step->nested && last && !last->nested && last->offset + last->bytes == step->offset)
        last->bytes += step->bytes;
    else
        plan->steps[plan->step_count++] = *step;
}

static int add_plain_field(struct rill_plan *plan, const struct rill_plan_field *field)
{
    const struct rill_plan *nested = NULL;
    int code = field->kind == RILL_FIELD_nested ? rill_plan_of(field->type, &nested) : RILL_OK;
    if (code != RILL_OK)
        return code;
    bool run = !nested || nested->gapless;
    struct rill_plan_step step = {
        .offset = field->offset, .bytes = run ? field->size * field->count : field->size, .count = field->count, .nested = run ? NULL : nested};
    add_step(plan, &step);
    plan->packed_bytes += (nested ? nested->packed_bytes : field->size) * field->count;
    bool any = field->kind != RILL_FIELD_boolean && field->kind != RILL_FIELD_enumeration && field->kind != RILL_FIELD_text;
    plan->checked |= nested ? nested->checked : !any;
    return RILL_OK;
}

static int plan_plain(struct rill_plan *plan)
{
    plan->steps = calloc(plan->field_count, sizeof *plan->steps);
    if (!plan->steps)
        return RILL_ENOMEM;
    int code = RILL_OK;
    for (uint32_t i = 0; i < plan->field_count && code == RILL_OK; i++)
        code = add_plain_field(plan, &plan->fields[i]);
    plan->gapless = plan->step_count == 1 && !plan->steps[0].nested && plan->steps[0].offset == 0 && plan->steps[0].bytes == plan->type->size;
    return code;
}

/* ---- how much an encoded value can take, where it is all of known size ---- */

static uint64_t most_of_item(const struct rill_plan_field *field)
{
    const struct rill_plan *nested;
    switch (field->kind) {
    case RILL_FIELD_text:
    case RILL_FIELD_octets:
        return 9 + field->size;
    case RILL_FIELD_nested:
        if (rill_plan_of(field->type, &nested) != RILL_OK)
            return UINT64_MAX;
        return field->packed ? nested->packed_bytes + 32 : nested->most_bytes;
    case RILL_FIELD_string:
    case RILL_FIELD_bytes:
        return UINT64_MAX;
    default:
        return rill_is_handle_field(field->kind) ? UINT64_MAX : 9;
    }
}

/* Only what is small is of interest: the rest is measured. */
#define MOST_BYTES_BOUND ((uint64_t)1 << 20)

static uint64_t most_of_struct(const struct rill_plan *plan)
{
    uint64_t most = 9;
    for (uint32_t i = 0; i < plan->field_count; i++) {
        const struct rill_plan_field *field = &plan->fields[i];
        if (field->shape == RILL_SHAPE_list || field->count > MOST_BYTES_BOUND)
            return UINT64_MAX;
        uint64_t item = most_of_item(field);
        if (item > MOST_BYTES_BOUND)
            return UINT64_MAX;
        most += field->key_bytes + 9 + item * field->count;
        if (most > MOST_BYTES_BOUND)
            return UINT64_MAX;
    }
    return most;
}

/* ---- plans ---- */

static int plan_field(struct rill_plan_field *planned, const struct rill_field *field)
{
    size_t length = strlen(field->name);
    unsigned char *key = malloc(length + 9);
    if (!key)
        return RILL_ENOMEM;
    unsigned char *end = rill_cbor_write(key, RILL_CBOR_TEXT, length);
    memcpy(end, field->name, length);
    *planned = (struct rill_plan_field){
        .key = key,
        .key_bytes = (uint32_t)((size_t)(end - key) + length),
        .kind = (uint8_t)field->kind,
        .shape = (uint8_t)field->shape,
        .packed = RILL_PLAN_PACKS && field->kind == RILL_FIELD_nested && field->type->form == RILL_FORM_PLAIN,
        .offset = field->offset,
        .size = field->size,
        .count = field->shape == RILL_SHAPE_array ? field->count : 1,
        .value_offset = field->value_offset,
        .type = field->type,
        .fallback = &field->fallback,
        .name = field->name,
    };
    return RILL_OK;
}

static void free_plan(struct rill_plan *plan)
{
    for (uint32_t i = 0; i < plan->field_count; i++)
        free((void *)(uintptr_t)plan->fields[i].key);
    free(plan->steps);
    free(plan->prefix);
    free(plan);
}

/* RILL_TAG_TYPED([name, fingerprint, …; for plain structs the head of their bytes too. */
static int plan_prefix(struct rill_plan *plan)
{
    size_t length = strlen(plan->type->name);
    unsigned char *at = plan->prefix = malloc(length + 48);
    if (!at)
        return RILL_ENOMEM;
    at = rill_cbor_write(at, RILL_CBOR_TAG, RILL_TAG_TYPED);
    at = rill_cbor_write(at, RILL_CBOR_ARRAY, 3);
    at = rill_cbor_write(at, RILL_CBOR_TEXT, length);
    memcpy(at, plan->type->name, length);
    at = rill_cbor_write(at + length, RILL_CBOR_UINT, plan->fingerprint);
    if (RILL_PLAN_PACKS && plan->form == RILL_FORM_PLAIN)
        at = rill_cbor_write(at, RILL_CBOR_BYTES, plan->packed_bytes);
    plan->prefix_bytes = (size_t)(at - plan->prefix);
    return RILL_OK;
}

static void note_traits(struct rill_plan *plan, const struct reach *reach)
{
    for (size_t i = 0; i < reach->count; i++) {
        if (reach->types[i]->form == RILL_FORM_ENUM)
            continue;
        size_t count;
        const struct rill_field *fields = fields_of(reach->types[i], &count);
        for (size_t k = 0; k < count; k++) {
            uint32_t kind = fields[k].kind;
            plan->owns |= fields[k].shape == RILL_SHAPE_list || kind == RILL_FIELD_string || kind == RILL_FIELD_bytes;
            plan->handles |= rill_is_handle_field(kind);
            plan->descriptors |= kind == RILL_FIELD_descriptor;
        }
    }
}

static int fill_plan(struct rill_plan *plan, const struct rill_field *fields, size_t count, const struct reach *reach)
{
    int code = RILL_OK;
    for (size_t i = 0; i < count && code == RILL_OK; i++) {
        code = plan_field(&plan->fields[i], &fields[i]);
        plan->field_count += code == RILL_OK;
    }
    plan->fingerprint = fingerprint_of(reach);
    note_traits(plan, reach);
    if (code == RILL_OK && plan->form == RILL_FORM_PLAIN)
        code = plan_plain(plan);
    plan->most_bytes = code == RILL_OK ? most_of_struct(plan) : 0;
    return code == RILL_OK ? plan_prefix(plan) : code;
}

int rill_plan_make(const struct rill_type *type)
{
    struct reach *reach = calloc(1, sizeof *reach);
    if (!reach)
        return RILL_ENOMEM;
    struct rill_plan *plan = NULL;
    size_t count = 0;
    int code = find_reach(reach, type);
    if (code == RILL_OK && type->form == RILL_FORM_ENUM)
        code = RILL_EINVAL; /* not a value by itself */
    const struct rill_field *fields = code == RILL_OK ? fields_of(type, &count) : NULL;
    if (code == RILL_OK && !(plan = calloc(1, sizeof *plan + count * sizeof *plan->fields)))
        code = RILL_ENOMEM;
    if (code == RILL_OK) {
        plan->type = type;
        plan->form = type->form;
        code = fill_plan(plan, fields, count, reach);
    }
    free(reach);
    void *nobody = NULL;
    /* Release: whoever sees the plan sees all of it. Partner: rill_plan_peek. */
    if (code == RILL_OK && __atomic_compare_exchange_n(&type->state->plan, &nobody, plan, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        return RILL_OK;
    if (plan)
        free_plan(plan);
    return code;
}

int rill_type_forget(const struct rill_type *type)
{
    if (!type || !type->state)
        return RILL_EINVAL;
    struct rill_plan *plan = __atomic_exchange_n((struct rill_plan **)&type->state->plan, NULL, __ATOMIC_ACQ_REL);
    if (plan)
        free_plan(plan);
    return RILL_OK;
}

uint64_t rill_type_fingerprint(const struct rill_type *type)
{
    const struct rill_plan *plan;
    return rill_plan_of(type, &plan) == RILL_OK ? plan->fingerprint : 0;
}

/* ---- small questions ---- */

uint32_t rill_handle_kind_of(uint32_t field_kind)
{
    static const uint8_t kinds[] = {RILL_HANDLE_SENDER, RILL_HANDLE_RECEIVER, RILL_HANDLE_DESCRIPTOR,
                                    RILL_HANDLE_REGION, RILL_HANDLE_BUFFER,   RILL_HANDLE_OPAQUE};
    return kinds[field_kind - RILL_FIELD_sender];
}

const char *rill_enum_name_of(const struct rill_type *type, int64_t value)
{
    for (size_t i = 0; i < type->name_count; i++)
        if (type->names[i].value == value)
            return type->names[i].name;
    return NULL;
}

/* ---- plain structs ---- */

void rill_plain_pack(const struct rill_plan *plan, unsigned char *target, const unsigned char *value)
{
    for (size_t i = 0; i < plan->step_count; i++) {
        const struct rill_plan_step *step = &plan->steps[i];
        if (!step->nested) {
            memcpy(target, value + step->offset, step->bytes);
            target += step->bytes;
            continue;
        }
        for (size_t k = 0; k < step->count; k++) {
            rill_plain_pack(step->nested, target, value + step->offset + k * step->bytes);
            target += step->nested->packed_bytes;
        }
    }
}

void rill_plain_unpack(const struct rill_plan *plan, unsigned char *value, const unsigned char *source)
{
    for (size_t i = 0; i < plan->step_count; i++) {
        const struct rill_plan_step *step = &plan->steps[i];
        if (!step->nested) {
            memcpy(value + step->offset, source, step->bytes);
            source += step->bytes;
            continue;
        }
        for (size_t k = 0; k < step->count; k++) {
            rill_plain_unpack(step->nested, value + step->offset + k * step->bytes, source);
            source += step->nested->packed_bytes;
        }
    }
}

static bool is_item_sound(const struct rill_plan_field *field, const unsigned char *item)
{
    const unsigned char *end;
    switch (field->kind) {
    case RILL_FIELD_boolean:
        return *item <= 1;
    case RILL_FIELD_enumeration:
        return rill_enum_name_of(field->type, rill_load_enumeration(item)) != NULL;
    case RILL_FIELD_text:
        end = memchr(item, 0, field->size);
        return end && rill_cbor_is_utf8(item, (size_t)(end - item));
    case RILL_FIELD_nested:
        return rill_plain_is_sound(rill_plan_peek(field->type), item);
    default:
        return true;
    }
}

bool rill_plain_is_sound(const struct rill_plan *plan, const unsigned char *value)
{
    if (!plan->checked)
        return true;
    for (uint32_t i = 0; i < plan->field_count; i++)
        for (size_t k = 0; k < plan->fields[i].count; k++)
            if (!is_item_sound(&plan->fields[i], value + plan->fields[i].offset + k * plan->fields[i].size))
                return false;
    return true;
}
