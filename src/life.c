/* SPDX-License-Identifier: MIT */
/* A typed value from its first to its last moment: cleared, filled with defaults, freed. */
#include <stdlib.h>
#include <string.h>

#include "plan.h"

/* ---- clearing ---- */

/* All but descriptors is nothing when it is 0. */
static void clear_descriptors(const struct rill_plan *plan, unsigned char *value);

static void clear_field(const struct rill_plan_field *field, unsigned char *value)
{
    unsigned char *items = value + field->offset + (field->shape == RILL_SHAPE_optional ? field->value_offset : 0);
    const struct rill_plan *nested = NULL;
    if (field->shape == RILL_SHAPE_list || (field->kind == RILL_FIELD_nested && rill_plan_of(field->type, &nested) != RILL_OK))
        return;
    for (size_t i = 0; i < field->count; i++) {
        if (field->kind == RILL_FIELD_descriptor)
            memset(items + i * field->size, 0xff, field->size); /* -1 */
        if (nested && nested->descriptors)
            clear_descriptors(nested, items + i * field->size);
    }
}

static void clear_descriptors(const struct rill_plan *plan, unsigned char *value)
{
    if (plan->form == RILL_FORM_UNION)
        return;
    for (uint32_t i = 0; i < plan->field_count; i++)
        clear_field(&plan->fields[i], value);
}

void rill_value_clear(const struct rill_plan *plan, void *value)
{
    memset(value, 0, plan->type->size);
    if (plan->descriptors)
        clear_descriptors(plan, value);
}

void rill_value_clear_case(const struct rill_plan *plan, void *value)
{
    if (plan->descriptors)
        clear_field(rill_case_of(plan, value), value);
}

/* ---- defaults ---- */

static int set_default(const struct rill_plan_field *field, unsigned char *member)
{
    float single = (float)field->fallback->real;
    int64_t integer = field->fallback->integer;
    char *text = NULL;
    switch (field->kind) {
    case RILL_FIELD_f32:
        memcpy(member, &single, sizeof single);
        return RILL_OK;
    case RILL_FIELD_f64:
        memcpy(member, &field->fallback->real, sizeof field->fallback->real);
        return RILL_OK;
    case RILL_FIELD_string:
        if (field->fallback->text && !(text = strdup(field->fallback->text)))
            return RILL_ENOMEM;
        memcpy(member, &text, sizeof text);
        return RILL_OK;
    default:
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        integer = (int64_t)((uint64_t)integer << (64 - 8 * field->size));
#endif
        memcpy(member, &integer, field->size);
        return RILL_OK;
    }
}

int rill_value_default(const struct rill_plan *plan, void *value, const uint64_t seen[4])
{
    int code = RILL_OK;
    for (uint32_t i = 0; i < plan->field_count && code == RILL_OK; i++)
        if (plan->fields[i].shape == RILL_SHAPE_defaulted && !(seen[i / 64] >> i % 64 & 1))
            code = set_default(&plan->fields[i], (unsigned char *)value + plan->fields[i].offset);
    return code;
}

/* ---- handles ---- */

bool rill_field_handle(const struct rill_plan_field *field, const unsigned char *member, struct rill_handle *handle)
{
    *handle = (struct rill_handle){.kind = rill_handle_kind_of(field->kind)};
    if (field->kind == RILL_FIELD_descriptor) {
        memcpy(&handle->as.descriptor, member, sizeof handle->as.descriptor);
        return handle->as.descriptor != -1;
    }
    memcpy(&handle->as.opaque, member, sizeof handle->as.opaque); /* a pointer, whatever to */
    return handle->as.opaque != NULL;
}

/* ---- freeing ---- */

static void release_struct(const struct rill_plan *plan, unsigned char *value);

static void release_item(const struct rill_plan_field *field, unsigned char *item)
{
    void *memory; /* the first member of a blob, too */
    struct rill_handle handle;
    if (field->kind == RILL_FIELD_nested) {
        const struct rill_plan *nested;
        if (rill_plan_of(field->type, &nested) == RILL_OK)
            release_struct(nested, item);
    } else if (field->kind == RILL_FIELD_string || field->kind == RILL_FIELD_bytes) {
        memcpy(&memory, item, sizeof memory);
        free(memory);
    } else if (rill_field_handle(field, item, &handle)) {
        (void)rill_handle_close(&handle);
    }
}

static void release_field(const struct rill_plan_field *field, unsigned char *value)
{
    struct rill_span span = rill_span_of(field, value);
    if (field->kind >= RILL_FIELD_nested)
        for (size_t i = 0; i < span.count; i++)
            release_item(field, span.items + i * field->size);
    if (field->shape == RILL_SHAPE_list)
        free(span.items);
}

static void release_struct(const struct rill_plan *plan, unsigned char *value)
{
    if (!plan->owns && !plan->handles)
        return;
    const struct rill_plan_field *field = plan->form == RILL_FORM_UNION ? rill_case_of(plan, value) : NULL;
    if (field)
        release_field(field, value);
    for (uint32_t i = 0; i < plan->field_count && plan->form != RILL_FORM_UNION; i++)
        release_field(&plan->fields[i], value);
}

void rill_value_release(const struct rill_plan *plan, void *value)
{
    release_struct(plan, value);
    rill_value_clear(plan, value);
}
