/* SPDX-License-Identifier: MIT */
/* Typed values as text: CBOR's diagnostic notation. */
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "plan.h"

/* What does not fit is only counted. */
struct page {
    char *text;
    size_t capacity, size;
    bool unsound;
    uint32_t depth;
};

static void put(struct page *page, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (page->size + i + 1 < page->capacity)
            page->text[page->size + i] = text[i];
    page->size += length;
}

static void put_text(struct page *page, const char *text)
{
    put(page, text, strlen(text));
}

__attribute__((format(printf, 2, 3))) static void put_format(struct page *page, const char *format, ...)
{
    char text[64];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    put(page, text, length > 0 ? (size_t)length : 0);
}

static void put_quoted(struct page *page, const char *text, size_t length)
{
    put_text(page, "\"");
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '"' || text[i] == '\\')
            put_format(page, "\\%c", text[i]);
        else if ((unsigned char)text[i] < 0x20)
            put_format(page, "\\u%04x", (unsigned)text[i]);
        else
            put(page, &text[i], 1);
    }
    put_text(page, "\"");
}

static void put_octets(struct page *page, const unsigned char *bytes, size_t size)
{
    put_text(page, "h'");
    for (size_t i = 0; i < size; i++)
        put_format(page, "%02x", bytes[i]);
    put_text(page, "'");
}

/* With a point, whatever the program's locale writes. */
static void put_finite(struct page *page, double number, int digits)
{
    char text[40];
    int length = snprintf(text, sizeof text, "%.*g", digits, number);
    for (int i = 0; i < length; i++)
        if (!strchr("0123456789+-e", text[i]))
            text[i] = '.';
    put(page, text, (size_t)length);
}

static void put_number(struct page *page, double number, int digits)
{
    if (isnan(number))
        put_text(page, "NaN");
    else if (isinf(number))
        put_text(page, number < 0 ? "-Infinity" : "Infinity");
    else
        put_finite(page, number, digits);
}

static void put_f32(struct page *page, const unsigned char *item)
{
    float number;
    memcpy(&number, item, sizeof number);
    put_number(page, (double)number, 9);
}

static void put_f64(struct page *page, const unsigned char *item)
{
    double number;
    memcpy(&number, item, sizeof number);
    put_number(page, number, 17);
}

static void put_string(struct page *page, const unsigned char *item)
{
    const char *text;
    memcpy(&text, item, sizeof text);
    if (text)
        put_quoted(page, text, strlen(text));
    else
        put_text(page, "null");
}

static void put_blob(struct page *page, const unsigned char *item)
{
    struct rill_blob blob;
    memcpy(&blob, item, sizeof blob);
    put_octets(page, blob.data, blob.size);
}

static void put_enumeration(struct page *page, const struct rill_plan_field *field, const unsigned char *item)
{
    const char *name = rill_enum_name_of(field->type, rill_load_enumeration(item));
    page->unsound |= !name;
    put_text(page, name ? name : "?");
}

static void put_handle(struct page *page, const struct rill_plan_field *field, const unsigned char *item)
{
    static const char *const names[] = {"sender", "receiver", "descriptor", "region", "buffer", "opaque"};
    struct rill_handle handle;
    if (!rill_field_handle(field, item, &handle))
        put_text(page, "null");
    else if (field->kind == RILL_FIELD_descriptor)
        put_format(page, "descriptor(%d)", handle.as.descriptor);
    else
        put_text(page, names[field->kind - RILL_FIELD_sender]);
}

static void put_struct(struct page *page, const struct rill_plan *plan, const unsigned char *value);

static void put_nested(struct page *page, const struct rill_plan_field *field, const unsigned char *item)
{
    const struct rill_plan *nested;
    if (rill_plan_of(field->type, &nested) == RILL_OK)
        put_struct(page, nested, item);
    else
        page->unsound = true;
}

static void put_item(struct page *page, const struct rill_plan_field *field, const unsigned char *item)
{
    switch (field->kind) {
    case RILL_FIELD_f32:
        put_f32(page, item);
        break;
    case RILL_FIELD_f64:
        put_f64(page, item);
        break;
    case RILL_FIELD_boolean:
        put_text(page, *item ? "true" : "false");
        break;
    case RILL_FIELD_text:
        page->unsound |= !memchr(item, 0, field->size);
        put_quoted(page, (const char *)item, strnlen((const char *)item, field->size));
        break;
    case RILL_FIELD_octets:
        put_octets(page, item, field->size);
        break;
    case RILL_FIELD_enumeration:
        put_enumeration(page, field, item);
        break;
    case RILL_FIELD_nested:
        put_nested(page, field, item);
        break;
    case RILL_FIELD_string:
        put_string(page, item);
        break;
    case RILL_FIELD_bytes:
        put_blob(page, item);
        break;
    default:
        if (rill_is_handle_field(field->kind))
            put_handle(page, field, item);
        else if (field->kind >= RILL_FIELD_i8)
            put_format(page, "%" PRId64, rill_load_signed(item, field->size));
        else
            put_format(page, "%" PRIu64, rill_load_unsigned(item, field->size));
        break;
    }
}

/* Name and value, if it is there. */
static void put_field(struct page *page, const struct rill_plan_field *field, const unsigned char *value, bool *first)
{
    struct rill_span span = rill_span_of(field, value);
    if (field->shape == RILL_SHAPE_optional && !span.count)
        return;
    if (!span.items && span.count) {
        page->unsound = true;
        return;
    }
    put_text(page, *first ? "" : ", ");
    *first = false;
    put_quoted(page, field->name, strlen(field->name));
    put_text(page, rill_is_sequence(field) ? ": [" : ": ");
    for (size_t i = 0; i < span.count; i++) {
        put_text(page, i ? ", " : "");
        put_item(page, field, span.items + i * field->size);
    }
    put_text(page, rill_is_sequence(field) ? "]" : "");
}

static void put_struct(struct page *page, const struct rill_plan *plan, const unsigned char *value)
{
    bool is_union = plan->form == RILL_FORM_UNION, first = true;
    const struct rill_plan_field *field = is_union ? rill_case_of(plan, value) : NULL;
    page->unsound |= page->depth == RILL_VALUE_DEPTH_MOST || (is_union && !field);
    if (page->unsound)
        return;
    page->depth++;
    put_text(page, "{");
    if (field)
        put_field(page, field, value, &first);
    for (uint32_t i = 0; i < plan->field_count && !is_union; i++)
        put_field(page, &plan->fields[i], value, &first);
    put_text(page, "}");
    page->depth--;
}

int rill_type_print(const struct rill_type *type, const void *value, char *buffer, size_t capacity, size_t *size)
{
    const struct rill_plan *plan;
    if (!value || (!buffer && capacity) || !size)
        return RILL_EINVAL;
    int code = rill_plan_of(type, &plan);
    if (code != RILL_OK)
        return code;
    struct page page = {.text = buffer, .capacity = capacity};
    put_struct(&page, plan, value);
    if (capacity)
        buffer[page.size < capacity ? page.size : capacity - 1] = 0;
    *size = page.size;
    return page.unsound ? RILL_EINVAL : RILL_OK;
}
