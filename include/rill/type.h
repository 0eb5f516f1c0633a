/* SPDX-License-Identifier: MIT */
/*
 * Typed messages: a struct is described once, by a list, and then sent and received by name.
 *
 *     #define POINT(F) F(i32, x) F(i32, y)
 *     RILL_STRUCT(point, POINT);                        // struct point, and point_type, its description
 *
 *     struct point p = {.x = 1, .y = 2};
 *     rill_send_as(tx, &point_type, &p);                // in one program
 *     rill_recv_as(rx, &point_type, &p);                // in the other: RILL_ETYPE if it was something else
 *
 * From the same list come encoding, decoding, comparing, printing and freeing (rill_type_…).
 *
 * Kinds of fields, and the member that each declares
 *     F(u8, a) … F(u64, a), F(i8, a) … F(i64, a)   uint8_t a … int64_t a
 *     F(f32, a), F(f64, a), F(boolean, a)          float a, double a, bool a
 *     F(string, a)                char *a: text (UTF-8) of any length, ending in 0; NULL travels as null
 *     F(text, a, 16)              char a[16]: text of up to 15 bytes
 *     F(bytes, a)                 struct rill_blob a: bytes of any number
 *     F(octets, a, 32)            uint8_t a[32]
 *     F(enumeration, a, color)    enum color a, which RILL_ENUM(color, …) has declared
 *     F(nested, a, point)         struct point a, which RILL_STRUCT, RILL_PLAIN_STRUCT or RILL_UNION has declared
 *     F(sender, a) F(receiver, a) F(region, a) F(buffer, a) F(opaque, a)    rill_sender *a, …: a handle; NULL travels as null
 *     F(descriptor, a)            int a: a file descriptor; -1: none. (0 is one: see rill_type_init.)
 * and what can be made of them; ITEM is a kind of the above but text and octets, with its own argument if it has one
 *     F(array, a, 4, ITEM…)       ITEM a[4]                                      F(array, corner, 4, nested, point)
 *     F(list, a, ITEM…)           struct { ITEM *items; size_t count; } a       F(list, path, nested, point)
 *     F(optional, a, ITEM…)       struct { bool present; ITEM value; } a
 *     F(defaulted, a, 7, ITEM…)   ITEM a: 7 if it is missing (numbers, boolean, enumeration; for string "text")
 *
 * What is on the wire is standard CBOR (RFC 8949), for any language to read and write:
 *     RILL_TAG_TYPED( [ "point", fingerprint, {"x": 1, "y": 2} ] )
 * A struct is a map from names to values, an array or list an array, an enumeration its number, a union a map of one entry, named after the
 * case; a handle is as in value.h. A RILL_PLAIN_STRUCT is a byte string: its fields one behind the other in the order of the list, little-endian,
 * without gaps, text and octets whole, boolean in 1 byte, enumeration in 4. At the top of a message that string stands as the third element; inside
 * of others as RILL_TAG_PLAIN([fingerprint, bytes]), and so does a list or array of plain structs, all in one byte string.
 *
 * Two programs whose types differ
 *   The name must be the same, and the fields must fit by name and kind; their order does not matter. Fields that the receiver does not know
 *   are skipped; of those that it knows, optional and defaulted ones may be missing. Numbers must fit the member. All else is RILL_ETYPE, with the
 *   first message. So add fields as optional or defaulted, and do not use a name again for something else. A plain struct has to be equal to the last
 *   field: another one has another fingerprint and is RILL_ETYPE. But its map form, without a fingerprint, is accepted (write 0): by
 *   hand from another language, for instance.
 *   A fingerprint is a hash of name, fields, kinds and nested types. It guards against mistakes; what a program that means harm sends
 *   is checked like everything from a peer.
 *
 * Memory: what decoding allocates (strings, blobs, lists) is malloc's, so a program may put its own allocations there and leave all of it to
 * rill_type_free.
 * Threads: descriptions may be used by any number of threads. A value is the caller's; nobody else may change it during a call.
 */
#ifndef RILL_TYPE_H
#define RILL_TYPE_H

#include <stdbool.h>

#include <rill/rill.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Tags, from the range that IANA gives out first come, first served; these are not registered. */
#define RILL_TAG_HANDLE UINT64_C(0x72696c00) /* + enum rill_handle_kind: a handle; the content is its index in the message */
#define RILL_TAG_TYPED UINT64_C(0x72696c20)  /* a typed message: [name, fingerprint, value] */
#define RILL_TAG_PLAIN UINT64_C(0x72696c21)  /* plain structs inside of a value: [fingerprint, bytes] */

/* ---------------------------------------------------------------- sending and receiving */

struct rill_type;

/* What decoding may cost at most. 0 in a field is its default. */
struct rill_limits {
    size_t size;        /* sizeof(struct rill_limits) */
    uint32_t max_depth; /* of arrays, maps and tags in one another (a list of structs is two of them); 0: 64; at most 512 */
    uint32_t reserved;  /* 0 */
    uint64_t max_items; /* of all kinds, keys included; 0: 4 million */
    uint64_t max_bytes; /* of memory for strings, blobs and lists, or for a tree of values; 0: 256 MiB */
};

/* Sends a value. On success what moves (receivers, buffers, opaque handles) is gone from it: the member is NULL. All else in it stays the caller's.
 * On an error the value with all its handles, and the channel, are as before. Waiting, threads and errors as rill_send_handles, and:
 * RILL_EINVAL   the description is not in order; a union without a case, an enumeration without such a value, text that is not UTF-8 or does not
 *               end within its array, a boolean that is neither, NULL items with a count, lists nested more than 128 deep. */
RILL_API int rill_send_as(rill_sender *sender, const struct rill_type *type, void *value);

/* The same with a deadline: RILL_AS_CONFIGURED, or as rill_send_until. */
RILL_API int rill_send_as_until(rill_sender *sender, const struct rill_type *type, void *value, int64_t deadline);

/* Receives the next message as a value, which is then the caller's: free what it holds with rill_type_free. *value is only written to: free what it
 * held before. On an error of the message's it holds nothing (zeros, descriptors -1) and the message is gone; to keep it, use rill_recv and
 * rill_message_as. The default limits hold. Waiting and errors as rill_recv and rill_message_as. */
RILL_API int rill_recv_as(rill_receiver *receiver, const struct rill_type *type, void *value);
RILL_API int rill_recv_as_until(rill_receiver *receiver, const struct rill_type *type, int64_t deadline, void *value); /* as rill_recv_until */

/* Decodes a message, and takes the handles that the value names out of it; the message stays open, and the caller's. limits may be NULL. On an error
 * *value holds nothing (zeros, descriptors -1), and the message is as before, except for the errors of taking handles.
 * Any thread, one at a time for one message. No system call but for handles.
 * RILL_ETYPE     it is another type, or one that this type is not compatible with (see above). Also if it is not typed at all.
 * RILL_EDECODE   it is not CBOR, or not within the limits, or text with a 0 inside, or a handle stands twice or is not there.
 * RILL_EINVAL    the description is not in order.
 * RILL_ENOMEM    no memory.
 * RILL_ENOMEM, RILL_ENOFD, RILL_EPEER, RILL_EVERSION   as rill_message_take: handles taken before the one that failed are closed. */
RILL_API int rill_message_as(rill_message *message, const struct rill_type *type, const struct rill_limits *limits, void *value);

/* What a message says that it is. */
struct rill_type_id {
    uint64_t fingerprint;
    char name[64];
};

/* Asks without decoding: to decode it later as what it is, or to pass it on unread with rill_forward. Any thread; no system call.
 * RILL_ETYPE   it does not say: bytes, or a value without a type. */
RILL_API int rill_message_type(const rill_message *message, struct rill_type_id *type);

/* ---------------------------------------------------------------- values without a channel */

/* Makes a value of which nothing is set: zeros, defaults, descriptors -1. RILL_EINVAL: the description is not in order. RILL_ENOMEM. */
RILL_API int rill_type_init(const struct rill_type *type, void *value);

/* Frees strings, blobs and lists, closes handles, and leaves zeros, and descriptors -1. May make system calls (handles). */
RILL_API int rill_type_free(const struct rill_type *type, void *value);

/* The bytes that rill_send_as would send, without handles: *size is how many there are; they are written if capacity suffices, else it is
 * RILL_EMSGSIZE. buffer may be NULL if capacity is 0. Errors as rill_send_as; RILL_EINVAL: there are handles in it. */
RILL_API int rill_type_encode(const struct rill_type *type, const void *value, void *buffer, size_t capacity, size_t *size);

/* The other way. Errors as rill_message_as; RILL_EDECODE also if it has handles. */
RILL_API int rill_type_decode(const struct rill_type *type, const void *data, size_t size, const struct rill_limits *limits, void *value);

/* *order is less than, equal to or greater than 0: by fields in the order of the list. A NaN is equal to itself and above all numbers; a missing
 * optional is below a present one, NULL below all text; handles compare as pointers or numbers. */
RILL_API int rill_type_compare(const struct rill_type *type, const void *a, const void *b, int *order);

/* Writes the value as text, for people: CBOR's diagnostic notation, enumerations by name. As snprintf: at most capacity - 1 bytes and a 0;
 * *size is what the whole text takes without the 0. RILL_EINVAL as rill_send_as, but for text that is not UTF-8. */
RILL_API int rill_type_print(const struct rill_type *type, const void *value, char *buffer, size_t capacity, size_t *size);

/* 0 if the description is not in order. */
RILL_API uint64_t rill_type_fingerprint(const struct rill_type *type);

/* ---------------------------------------------------------------- descriptions, as the macros make them and as a program may at run time */

enum rill_field_kind {
    RILL_FIELD_u8 = 1, RILL_FIELD_u16, RILL_FIELD_u32, RILL_FIELD_u64,
    RILL_FIELD_i8, RILL_FIELD_i16, RILL_FIELD_i32, RILL_FIELD_i64,
    RILL_FIELD_f32, RILL_FIELD_f64, RILL_FIELD_boolean,
    RILL_FIELD_text, RILL_FIELD_octets, RILL_FIELD_enumeration, RILL_FIELD_nested, /* up to here what a plain struct may have */
    RILL_FIELD_string, RILL_FIELD_bytes,
    RILL_FIELD_sender, RILL_FIELD_receiver, RILL_FIELD_descriptor, RILL_FIELD_region, RILL_FIELD_buffer, RILL_FIELD_opaque,
};

enum rill_field_shape {
    RILL_SHAPE_one = 1,
    RILL_SHAPE_array,
    RILL_SHAPE_list,      /* the member is a pointer followed by a size_t */
    RILL_SHAPE_optional,  /* the member is a bool followed, at value_offset, by the value */
    RILL_SHAPE_defaulted,
};

struct rill_default {
    int64_t integer;  /* integers, boolean, enumeration */
    double real;      /* f32, f64 */
    const char *text; /* string */
};

struct rill_field {
    const char *name;    /* at most 63 bytes, UTF-8 */
    uint32_t kind;       /* enum rill_field_kind: of one item */
    uint32_t shape;      /* enum rill_field_shape */
    size_t offset;       /* of the member in the struct */
    size_t size;         /* of one item */
    size_t count;        /* array: how many */
    size_t value_offset; /* optional: of the value in the member */
    const struct rill_type *type; /* enumeration, nested */
    struct rill_default fallback; /* defaulted */
};

struct rill_enum_name {
    const char *name;
    int64_t value; /* fits an int32_t */
};

enum rill_type_form {
    RILL_FORM_STRUCT = 1,
    RILL_FORM_PLAIN = 2, /* a struct of fields of fixed size */
    RILL_FORM_UNION = 3, /* a uint32_t (the number of the case, from 1), and the cases behind it */
    RILL_FORM_ENUM = 4,
};

/* What the library works out at the first use of a type, and keeps. */
struct rill_type_state {
    void *plan; /* NULL at first */
};

struct rill_type {
    const char *name; /* at most 63 bytes, UTF-8 */
    uint32_t form;    /* enum rill_type_form */
    uint32_t reserved;
    size_t size;      /* of the struct */
    const struct rill_field *fields; /* at most 255; NULL: ask `describe` */
    size_t field_count;
    const struct rill_field *(*describe)(size_t *count);
    const struct rill_enum_name *names; /* of an enumeration */
    size_t name_count;
    struct rill_type_state *state; /* its own, and only its own */
};

/* Forgets what was worked out about a type that was made at run time, so that its description and state can go. No other thread may be using it, nor
 * a type that contains it. Returns 0, or RILL_EINVAL. */
RILL_API int rill_type_forget(const struct rill_type *type);

/* Bytes of any number, from malloc where decoding made them. */
struct rill_blob {
    void *data;
    size_t size;
};

/* ---------------------------------------------------------------- the macros */

/* struct NAME and NAME_type. LIST is a macro that calls its argument for each field, see above. */
#define RILL_STRUCT(name, LIST) RILL_STRUCT_OF_FORM_(name, LIST, RILL_FORM_STRUCT)

/* The same for a struct of plain fields: u8 … f64, boolean, text, octets, enumeration, nested plain ones, and arrays of them. It is copied rather
 * than encoded, and cannot change later without being another type. */
#define RILL_PLAIN_STRUCT(name, LIST) RILL_STRUCT_OF_FORM_(name, LIST, RILL_FORM_PLAIN)

/* struct NAME { uint32_t which; union { … } as; }, where `which` is RILL_CASE(NAME, field) of the one that is meant; and NAME_type. The list is as
 * for a struct, without optional and defaulted fields. */
#define RILL_UNION(name, LIST) \
    struct name##_cases { char none_; LIST(RILL_CASE_FIELD_) }; \
    struct name { uint32_t which; union { LIST(RILL_DECLARE_FIELD_) } as; }; \
    RILL_DESCRIBE_(name, LIST, RILL_DESCRIBE_CASE_) \
    RILL_TYPE_OBJECT_(name, RILL_FORM_UNION, sizeof(struct name), name##_describe_, NULL, 0)

/* The number of a case: a constant, for `which` and for switch. */
#define RILL_CASE(name, field) ((uint32_t)offsetof(struct name##_cases, field))

/* enum NAME and NAME_type. The list is of F(constant, value). */
#define RILL_ENUM(name, LIST) \
    enum name { LIST(RILL_DECLARE_CONSTANT_) }; \
    static const struct rill_enum_name name##_names_[] = { LIST(RILL_DESCRIBE_CONSTANT_) }; \
    RILL_TYPE_OBJECT_(name, RILL_FORM_ENUM, sizeof(enum name), NULL, name##_names_, sizeof name##_names_ / sizeof name##_names_[0])

/* What they are made of; not for use by itself. */
#if defined(__GNUC__)
#define RILL_UNUSED_ __attribute__((unused))
#else
#define RILL_UNUSED_
#endif

#define RILL_STRUCT_OF_FORM_(name, LIST, form) \
    struct name { LIST(RILL_DECLARE_FIELD_) }; \
    RILL_DESCRIBE_(name, LIST, RILL_DESCRIBE_FIELD_) \
    RILL_TYPE_OBJECT_(name, form, sizeof(struct name), name##_describe_, NULL, 0)

/* In a function, so that each field can call the struct that it is in by one name. A type may have a list of itself: hence the declaration. */
#define RILL_DESCRIBE_(name, LIST, EACH) \
    static const struct rill_field *name##_describe_(size_t *count); \
    RILL_TYPE_DECLARE_(name) \
    RILL_UNUSED_ static const struct rill_field *name##_describe_(size_t *count) \
    { \
        typedef struct name rill_described_; \
        static const struct rill_field fields[] = { LIST(EACH) }; \
        *count = sizeof fields / sizeof fields[0]; \
        return fields; \
    }

/* C++ knows no tentative definition, so there a type cannot have a list of itself. */
#ifdef __cplusplus
#define RILL_TYPE_DECLARE_(name)
#else
#define RILL_TYPE_DECLARE_(name) static const struct rill_type name##_type;
#endif

#define RILL_TYPE_OBJECT_(name, form, size, describe, names, name_count) \
    static struct rill_type_state name##_state_; \
    RILL_UNUSED_ static const struct rill_type name##_type = {#name, form, 0, size, NULL, 0, describe, names, name_count, &name##_state_}

#define RILL_DECLARE_CONSTANT_(constant, value) constant = value,
#define RILL_DESCRIBE_CONSTANT_(constant, value) {#constant, value},

/* The type of one item. */
#define RILL_ITEM_(...) RILL_ITEM_OF_(__VA_ARGS__, ~, ~)
#define RILL_ITEM_OF_(kind, type, ...) RILL_C_##kind(type)
#define RILL_C_u8(type) uint8_t
#define RILL_C_u16(type) uint16_t
#define RILL_C_u32(type) uint32_t
#define RILL_C_u64(type) uint64_t
#define RILL_C_i8(type) int8_t
#define RILL_C_i16(type) int16_t
#define RILL_C_i32(type) int32_t
#define RILL_C_i64(type) int64_t
#define RILL_C_f32(type) float
#define RILL_C_f64(type) double
#define RILL_C_boolean(type) bool
#define RILL_C_string(type) char *
#define RILL_C_bytes(type) struct rill_blob
#define RILL_C_enumeration(type) enum type
#define RILL_C_nested(type) struct type
#define RILL_C_sender(type) rill_sender *
#define RILL_C_receiver(type) rill_receiver *
#define RILL_C_descriptor(type) int
#define RILL_C_region(type) rill_region *
#define RILL_C_buffer(type) rill_buffer *
#define RILL_C_opaque(type) rill_opaque *

/* The description of that type. */
#define RILL_ITEM_KIND_(...) RILL_ITEM_KIND_OF_(__VA_ARGS__, ~)
#define RILL_ITEM_KIND_OF_(kind, ...) RILL_FIELD_##kind
#define RILL_ITEM_TYPE_(...) RILL_ITEM_TYPE_OF_(__VA_ARGS__, ~, ~)
#define RILL_ITEM_TYPE_OF_(kind, type, ...) RILL_T_##kind(type)
#define RILL_T_u8(type) NULL
#define RILL_T_u16(type) NULL
#define RILL_T_u32(type) NULL
#define RILL_T_u64(type) NULL
#define RILL_T_i8(type) NULL
#define RILL_T_i16(type) NULL
#define RILL_T_i32(type) NULL
#define RILL_T_i64(type) NULL
#define RILL_T_f32(type) NULL
#define RILL_T_f64(type) NULL
#define RILL_T_boolean(type) NULL
#define RILL_T_string(type) NULL
#define RILL_T_bytes(type) NULL
#define RILL_T_enumeration(type) &type##_type
#define RILL_T_nested(type) &type##_type
#define RILL_T_sender(type) NULL
#define RILL_T_receiver(type) NULL
#define RILL_T_descriptor(type) NULL
#define RILL_T_region(type) NULL
#define RILL_T_buffer(type) NULL
#define RILL_T_opaque(type) NULL

#define RILL_ITEM_DEFAULT_(value, ...) RILL_ITEM_DEFAULT_OF_(value, __VA_ARGS__, ~)
#define RILL_ITEM_DEFAULT_OF_(value, kind, ...) RILL_D_##kind(value)
#define RILL_D_u8(value) {(int64_t)(value), 0, NULL}
#define RILL_D_u16(value) {(int64_t)(value), 0, NULL}
#define RILL_D_u32(value) {(int64_t)(value), 0, NULL}
#define RILL_D_u64(value) {(int64_t)(value), 0, NULL}
#define RILL_D_i8(value) {(int64_t)(value), 0, NULL}
#define RILL_D_i16(value) {(int64_t)(value), 0, NULL}
#define RILL_D_i32(value) {(int64_t)(value), 0, NULL}
#define RILL_D_i64(value) {(int64_t)(value), 0, NULL}
#define RILL_D_boolean(value) {(int64_t)(value), 0, NULL}
#define RILL_D_enumeration(value) {(int64_t)(value), 0, NULL}
#define RILL_D_f32(value) {0, (value), NULL}
#define RILL_D_f64(value) {0, (value), NULL}
#define RILL_D_string(value) {0, 0, (value)}

/* Each field's member. */
#define RILL_DECLARE_FIELD_(kind, ...) RILL_M_##kind(__VA_ARGS__)
#define RILL_M_u8(name) uint8_t name;
#define RILL_M_u16(name) uint16_t name;
#define RILL_M_u32(name) uint32_t name;
#define RILL_M_u64(name) uint64_t name;
#define RILL_M_i8(name) int8_t name;
#define RILL_M_i16(name) int16_t name;
#define RILL_M_i32(name) int32_t name;
#define RILL_M_i64(name) int64_t name;
#define RILL_M_f32(name) float name;
#define RILL_M_f64(name) double name;
#define RILL_M_boolean(name) bool name;
#define RILL_M_string(name) char *name;
#define RILL_M_text(name, capacity) char name[capacity];
#define RILL_M_bytes(name) struct rill_blob name;
#define RILL_M_octets(name, count) uint8_t name[count];
#define RILL_M_enumeration(name, type) enum type name;
#define RILL_M_nested(name, type) struct type name;
#define RILL_M_sender(name) rill_sender *name;
#define RILL_M_receiver(name) rill_receiver *name;
#define RILL_M_descriptor(name) int name;
#define RILL_M_region(name) rill_region *name;
#define RILL_M_buffer(name) rill_buffer *name;
#define RILL_M_opaque(name) rill_opaque *name;
#define RILL_M_array(name, count, ...) RILL_ITEM_(__VA_ARGS__) name[count];
#define RILL_M_list(name, ...) struct { RILL_ITEM_(__VA_ARGS__) *items; size_t count; } name;
#define RILL_M_optional(name, ...) struct { bool present; RILL_ITEM_(__VA_ARGS__) value; } name;
#define RILL_M_defaulted(name, value, ...) RILL_ITEM_(__VA_ARGS__) name;

/* Its place in the count of cases. */
#define RILL_CASE_FIELD_(kind, ...) RILL_CASE_NAME_(__VA_ARGS__, ~)
#define RILL_CASE_NAME_(name, ...) char name;

/* Its description. `place` is how the member is reached, up to its name: nothing, or "as." in a union. */
#define RILL_DESCRIBE_FIELD_(kind, ...) RILL_F_##kind(, __VA_ARGS__)
#define RILL_DESCRIBE_CASE_(kind, ...) RILL_F_##kind(as., __VA_ARGS__)
#define RILL_AT_(place, member) offsetof(rill_described_, place member)
#define RILL_SIMPLE_(place, name, kind, ctype, type) \
    {#name, RILL_FIELD_##kind, RILL_SHAPE_one, RILL_AT_(place, name), sizeof(ctype), 1, 0, type, {0, 0, NULL}},
#define RILL_F_u8(place, name) RILL_SIMPLE_(place, name, u8, uint8_t, NULL)
#define RILL_F_u16(place, name) RILL_SIMPLE_(place, name, u16, uint16_t, NULL)
#define RILL_F_u32(place, name) RILL_SIMPLE_(place, name, u32, uint32_t, NULL)
#define RILL_F_u64(place, name) RILL_SIMPLE_(place, name, u64, uint64_t, NULL)
#define RILL_F_i8(place, name) RILL_SIMPLE_(place, name, i8, int8_t, NULL)
#define RILL_F_i16(place, name) RILL_SIMPLE_(place, name, i16, int16_t, NULL)
#define RILL_F_i32(place, name) RILL_SIMPLE_(place, name, i32, int32_t, NULL)
#define RILL_F_i64(place, name) RILL_SIMPLE_(place, name, i64, int64_t, NULL)
#define RILL_F_f32(place, name) RILL_SIMPLE_(place, name, f32, float, NULL)
#define RILL_F_f64(place, name) RILL_SIMPLE_(place, name, f64, double, NULL)
#define RILL_F_boolean(place, name) RILL_SIMPLE_(place, name, boolean, bool, NULL)
#define RILL_F_string(place, name) RILL_SIMPLE_(place, name, string, char *, NULL)
#define RILL_F_text(place, name, capacity) RILL_SIMPLE_(place, name, text, char[capacity], NULL)
#define RILL_F_bytes(place, name) RILL_SIMPLE_(place, name, bytes, struct rill_blob, NULL)
#define RILL_F_octets(place, name, count) RILL_SIMPLE_(place, name, octets, uint8_t[count], NULL)
#define RILL_F_enumeration(place, name, type) RILL_SIMPLE_(place, name, enumeration, enum type, &type##_type)
#define RILL_F_nested(place, name, type) RILL_SIMPLE_(place, name, nested, struct type, &type##_type)
#define RILL_F_sender(place, name) RILL_SIMPLE_(place, name, sender, rill_sender *, NULL)
#define RILL_F_receiver(place, name) RILL_SIMPLE_(place, name, receiver, rill_receiver *, NULL)
#define RILL_F_descriptor(place, name) RILL_SIMPLE_(place, name, descriptor, int, NULL)
#define RILL_F_region(place, name) RILL_SIMPLE_(place, name, region, rill_region *, NULL)
#define RILL_F_buffer(place, name) RILL_SIMPLE_(place, name, buffer, rill_buffer *, NULL)
#define RILL_F_opaque(place, name) RILL_SIMPLE_(place, name, opaque, rill_opaque *, NULL)
#define RILL_SHAPED_(place, name, shape, count, value_offset, ...) \
    {#name, RILL_ITEM_KIND_(__VA_ARGS__), RILL_SHAPE_##shape, RILL_AT_(place, name), sizeof(RILL_ITEM_(__VA_ARGS__)), count, value_offset, \
     RILL_ITEM_TYPE_(__VA_ARGS__), {0, 0, NULL}},
#define RILL_F_array(place, name, count, ...) RILL_SHAPED_(place, name, array, count, 0, __VA_ARGS__)
#define RILL_F_list(place, name, ...) RILL_SHAPED_(place, name, list, 0, 0, __VA_ARGS__)
#define RILL_F_optional(place, name, ...) \
    RILL_SHAPED_(place, name, optional, 1, RILL_AT_(place, name.value) - RILL_AT_(place, name), __VA_ARGS__)
#define RILL_F_defaulted(place, name, value, ...) \
    {#name, RILL_ITEM_KIND_(__VA_ARGS__), RILL_SHAPE_defaulted, RILL_AT_(place, name), sizeof(RILL_ITEM_(__VA_ARGS__)), 1, 0, \
     RILL_ITEM_TYPE_(__VA_ARGS__), RILL_ITEM_DEFAULT_(value, __VA_ARGS__)},

#ifdef __cplusplus
}
#endif

#endif
