/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "plan.h"

static int compare_struct(const struct rill_plan *plan, const unsigned char *a, const unsigned char *b);

#define ORDER_OF(a, b) (((a) > (b)) - ((a) < (b)))

static int compare_number(double a, double b)
{
    return isnan(a) || isnan(b) ? (isnan(a) != 0) - (isnan(b) != 0) : ORDER_OF(a, b);
}

static int compare_f32(const unsigned char *a, const unsigned char *b)
{
    float numbers[2];
    memcpy(&numbers[0], a, sizeof numbers[0]);
    memcpy(&numbers[1], b, sizeof numbers[1]);
    return compare_number((double)numbers[0], (double)numbers[1]);
}

static int compare_f64(const unsigned char *a, const unsigned char *b)
{
    double numbers[2];
    memcpy(&numbers[0], a, sizeof numbers[0]);
    memcpy(&numbers[1], b, sizeof numbers[1]);
    return compare_number(numbers[0], numbers[1]);
}

static int compare_string(const unsigned char *a, const unsigned char *b)
{
    const char *texts[2];
    memcpy(&texts[0], a, sizeof texts[0]);
    memcpy(&texts[1], b, sizeof texts[1]);
    return texts[0] && texts[1] ? strcmp(texts[0], texts[1]) : (texts[0] != NULL) - (texts[1] != NULL);
}

static int compare_blob(const unsigned char *a, const unsigned char *b)
{
    struct rill_blob blobs[2];
    memcpy(&blobs[0], a, sizeof blobs[0]);
    memcpy(&blobs[1], b, sizeof blobs[1]);
    size_t least = blobs[0].size < blobs[1].size ? blobs[0].size : blobs[1].size;
    int order = least ? memcmp(blobs[0].data, blobs[1].data, least) : 0;
    return order ? order : ORDER_OF(blobs[0].size, blobs[1].size);
}

static int compare_handle(const struct rill_plan_field *field, const unsigned char *a, const unsigned char *b)
{
    struct rill_handle handles[2];
    (void)rill_field_handle(field, a, &handles[0]);
    (void)rill_field_handle(field, b, &handles[1]);
    if (field->kind == RILL_FIELD_descriptor)
        return ORDER_OF(handles[0].as.descriptor, handles[1].as.descriptor);
    return ORDER_OF((uintptr_t)handles[0].as.opaque, (uintptr_t)handles[1].as.opaque);
}

static int compare_nested(const struct rill_plan_field *field, const unsigned char *a, const unsigned char *b)
{
    const struct rill_plan *nested;
    return rill_plan_of(field->type, &nested) == RILL_OK ? compare_struct(nested, a, b) : 0;
}

static int compare_item(const struct rill_plan_field *field, const unsigned char *a, const unsigned char *b)
{
    switch (field->kind) {
    case RILL_FIELD_f32:
        return compare_f32(a, b);
    case RILL_FIELD_f64:
        return compare_f64(a, b);
    case RILL_FIELD_text:
        return strncmp((const char *)a, (const char *)b, field->size);
    case RILL_FIELD_octets:
        return memcmp(a, b, field->size);
    case RILL_FIELD_nested:
        return compare_nested(field, a, b);
    case RILL_FIELD_string:
        return compare_string(a, b);
    case RILL_FIELD_bytes:
        return compare_blob(a, b);
    default:
        if (rill_is_handle_field(field->kind))
            return compare_handle(field, a, b);
        if (field->kind >= RILL_FIELD_i8 && field->kind != RILL_FIELD_boolean)
            return ORDER_OF(rill_load_signed(a, field->size), rill_load_signed(b, field->size));
        return ORDER_OF(rill_load_unsigned(a, field->size), rill_load_unsigned(b, field->size));
    }
}

static int compare_field(const struct rill_plan_field *field, const unsigned char *a, const unsigned char *b)
{
    struct rill_span spans[2] = {rill_span_of(field, a), rill_span_of(field, b)};
    size_t least = spans[0].count < spans[1].count ? spans[0].count : spans[1].count;
    int order = 0;
    for (size_t i = 0; i < least && !order; i++)
        order = compare_item(field, spans[0].items + i * field->size, spans[1].items + i * field->size);
    return order ? order : ORDER_OF(spans[0].count, spans[1].count);
}

static int compare_union(const struct rill_plan *plan, const unsigned char *a, const unsigned char *b)
{
    uint32_t which[2];
    memcpy(&which[0], a, sizeof which[0]);
    memcpy(&which[1], b, sizeof which[1]);
    const struct rill_plan_field *field = rill_case_of(plan, a);
    return which[0] != which[1] || !field ? ORDER_OF(which[0], which[1]) : compare_field(field, a, b);
}

static int compare_struct(const struct rill_plan *plan, const unsigned char *a, const unsigned char *b)
{
    int order = plan->form == RILL_FORM_UNION ? compare_union(plan, a, b) : 0;
    for (uint32_t i = 0; i < plan->field_count && !order && plan->form != RILL_FORM_UNION; i++)
        order = compare_field(&plan->fields[i], a, b);
    return order;
}

int rill_type_compare(const struct rill_type *type, const void *a, const void *b, int *order)
{
    const struct rill_plan *plan;
    if (!a || !b || !order)
        return RILL_EINVAL;
    int code = rill_plan_of(type, &plan);
    if (code == RILL_OK)
        *order = compare_struct(plan, a, b);
    return code;
}
