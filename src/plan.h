/* SPDX-License-Identifier: MIT */
/*
 * What is worked out about a type at its first use: fingerprint, the encoded names of the fields, how plain structs are copied.
 *
 * A plan never changes once it is in type->state->plan, where one exchange puts it; a thread that made a second one meanwhile drops its own. It
 * lives as long as the type: for ever, or until rill_type_forget.
 */
#ifndef RILL_PLAN_H
#define RILL_PLAN_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <rill/type.h>

#define RILL_TYPE_NAME_MOST 63u
#define RILL_FIELDS_MOST 255u
#define RILL_NESTING_MOST 32u /* of structs by value */
#define RILL_VALUE_DEPTH_MOST 128u /* of lists in one another: each level is an array and a map, which RILL_CBOR_DEPTH_MOST has room for */

/* Plain structs lie on the wire as they do in a little-endian memory. On other machines they travel as maps. */
#define RILL_PLAN_PACKS (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)

struct rill_plan_field {
    const unsigned char *key; /* the name, encoded */
    uint32_t key_bytes;
    uint8_t kind, shape;      /* enum rill_field_kind, enum rill_field_shape */
    bool packed;              /* nested plain structs, which are copied */
    size_t offset, size, count, value_offset;
    const struct rill_type *type;
    const struct rill_default *fallback;
    const char *name;
};

/* A run of bytes to copy, or nested plain structs that have gaps. */
struct rill_plan_step {
    size_t offset, bytes; /* bytes: in memory */
    size_t count;
    const struct rill_plan *nested; /* NULL: a run */
};

struct rill_plan {
    const struct rill_type *type;
    uint64_t fingerprint;
    uint32_t form;
    uint32_t field_count;
    bool owns;        /* strings, blobs or lists in it, or in what it holds */
    bool handles;     /* likewise */
    bool descriptors; /* likewise */
    uint64_t most_bytes; /* that the encoded value may take, if that is known; else UINT64_MAX */

    unsigned char *prefix; /* of a message: all that does not depend on the value */
    size_t prefix_bytes;

    /* Plain structs only. */
    size_t packed_bytes;
    bool gapless;     /* as it is in memory */
    bool checked;     /* has fields that not every bytes are right for */
    struct rill_plan_step *steps;
    size_t step_count;

    struct rill_plan_field fields[];
};

/* RILL_EINVAL: the description is not in order. RILL_ENOMEM. */
int rill_plan_make(const struct rill_type *type);

static inline const struct rill_plan *rill_plan_peek(const struct rill_type *type)
{
    return __atomic_load_n((struct rill_plan **)&type->state->plan, __ATOMIC_ACQUIRE); /* partner: publish in plan.c */
}

static inline int rill_plan_of(const struct rill_type *type, const struct rill_plan **plan)
{
    if (!type || !type->state)
        return RILL_EINVAL;
    *plan = rill_plan_peek(type);
    if (__builtin_expect(*plan != NULL, 1))
        return RILL_OK;
    int code = rill_plan_make(type);
    if (code == RILL_OK)
        *plan = rill_plan_peek(type);
    return code;
}

/* ---- where a field's items lie ---- */

struct rill_span {
    unsigned char *items;
    size_t count;
};

/* The member of a list, whatever it is a list of. */
struct rill_list {
    void *items;
    size_t count;
};

static inline struct rill_span rill_span_of(const struct rill_plan_field *field, const void *value)
{
    unsigned char *member = (unsigned char *)(uintptr_t)value + field->offset;
    struct rill_list list;
    switch (field->shape) {
    case RILL_SHAPE_array:
        return (struct rill_span){member, field->count};
    case RILL_SHAPE_list:
        memcpy(&list, member, sizeof list);
        return (struct rill_span){list.items, list.count};
    case RILL_SHAPE_optional:
        return (struct rill_span){member + field->value_offset, *member != 0};
    default:
        return (struct rill_span){member, 1};
    }
}

static inline bool rill_is_sequence(const struct rill_plan_field *field)
{
    return field->shape == RILL_SHAPE_array || field->shape == RILL_SHAPE_list;
}

/* The case that a union holds, or NULL. */
static inline const struct rill_plan_field *rill_case_of(const struct rill_plan *plan, const void *value)
{
    uint32_t which;
    memcpy(&which, value, sizeof which);
    return which - 1 < plan->field_count ? &plan->fields[which - 1] : NULL;
}

static inline bool rill_is_handle_field(uint32_t kind)
{
    return kind >= RILL_FIELD_sender && kind <= RILL_FIELD_opaque;
}

/* enum rill_handle_kind of a field. */
uint32_t rill_handle_kind_of(uint32_t field_kind);

static inline uint64_t rill_load_unsigned(const unsigned char *at, size_t size)
{
    uint16_t two;
    uint32_t four;
    uint64_t eight;
    switch (size) {
    case 1:
        return *at;
    case 2:
        memcpy(&two, at, sizeof two);
        return two;
    case 4:
        memcpy(&four, at, sizeof four);
        return four;
    default:
        memcpy(&eight, at, sizeof eight);
        return eight;
    }
}

static inline int64_t rill_load_signed(const unsigned char *at, size_t size)
{
    unsigned unused = 64 - 8 * (unsigned)size;
    return (int64_t)(rill_load_unsigned(at, size) << unused) >> unused;
}

/* An enumeration is an int or an unsigned int, and its values fit the first. */
static inline int64_t rill_load_enumeration(const unsigned char *at)
{
    return rill_load_signed(at, sizeof(int32_t));
}

/* The name of a value, or NULL if it has none. */
const char *rill_enum_name_of(const struct rill_type *type, int64_t value);

/* ---- plain structs ---- */

/* Without gaps to `target`, packed_bytes; and back: the gaps are left as they are. */
void rill_plain_pack(const struct rill_plan *plan, unsigned char *target, const unsigned char *value);
void rill_plain_unpack(const struct rill_plan *plan, unsigned char *value, const unsigned char *source);

/* Are booleans 0 or 1, texts ended and UTF-8, enumerations of a known value? */
bool rill_plain_is_sound(const struct rill_plan *plan, const unsigned char *value);

/* ---- the parts of a value's life ---- */

/* Clears the memory of a value: zeros, descriptors -1; no defaults. */
void rill_value_clear(const struct rill_plan *plan, void *value);
/* Sets the defaulted fields that are not in `seen` (a bit for each field). RILL_ENOMEM: a string. */
int rill_value_default(const struct rill_plan *plan, void *value, const uint64_t seen[4]);
/* Makes the descriptors in the case that a cleared union now holds -1. */
void rill_value_clear_case(const struct rill_plan *plan, void *value);
/* Frees what it holds, closes its handles, and leaves it cleared. */
void rill_value_release(const struct rill_plan *plan, void *value);
/* The pointer or number of a handle's member, as a handle of its kind; false: there is none. */
bool rill_field_handle(const struct rill_plan_field *field, const unsigned char *member, struct rill_handle *handle);

#endif
