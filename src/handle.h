/* SPDX-License-Identifier: MIT */
/*
 * Handles in messages: how each kind is taken apart for its way to another process, and put together there.
 *
 *   rill_handle --pack--> parcel: one description each, and kernel objects --transport--> attachment of a message: travellers --open--> rill_handle
 *
 * A description is bytes, in a section in front of the message's own; objects travel beside (SCM_RIGHTS). Each kind is one
 * struct rill_travel (handle.c lists them). What comes out of a section came from another process: `open` checks all of it.
 *
 * Within a process (the in-process transport) nothing is taken apart: the traveller holds the thing itself, in `live`.
 */
#ifndef RILL_HANDLE_H
#define RILL_HANDLE_H

#include <stdbool.h>
#include <stdint.h>

#include <rill/rill.h>

#include "port.h"

struct rill_endpoint;
struct rill_inlane;
struct rill_lane;
struct rill_lent; /* buffer.c */

#define RILL_SECTION_MOST ((uint64_t)64 << 20) /* bytes of descriptions in one message */
#define RILL_OBJECTS_MOST UINT32_C(1000000)    /* objects in one message: the system's own bounds are lower */

/* ---- on the wire ---- */

/* A description is this head, then what its kind adds, filled up to a multiple of 8. */
struct rill_handle_head {
    uint32_t kind;    /* enum rill_handle_kind, never RILL_HANDLE_OPAQUE */
    uint32_t objects; /* so many of the message's objects are its own */
    uint64_t bytes;   /* of the description, this head included */
};

/* ---- sending ---- */

/* Bytes that grow. Made as {0}; to be freed with free(blob.bytes). */
struct rill_blob {
    unsigned char *bytes;
    uint64_t size, capacity;
};
int rill_blob_add(struct rill_blob *blob, const void *data, uint64_t size); /* RILL_ENOMEM: nothing was added */

/* What travels beside a message's bytes. */
struct rill_parcel {
    unsigned char *section;
    uint64_t section_bytes, section_capacity;
    rill_object *objects; /* borrowed from the handles: sending copies them */
    uint32_t object_count, object_capacity;
    rill_object *owned; /* some of them, which were made for the way: closed with the parcel */
    uint32_t owned_count, owned_capacity;
    uint32_t handle_count;
    struct rill_handle *handles;      /* the caller's */
    struct rill_endpoint *through;    /* the sender that it goes through */
    struct rill_lane *lane;           /* buffers lie in its arena, so it has to go through this lane, and no other; NULL: it does not matter */
    uint64_t held;                    /* their bytes */
    struct rill_lent *lent;           /* copies that were made of buffers which lie elsewhere */
};

/* For `pack`. RILL_ENOMEM: nothing was added. */
int rill_parcel_describe(struct rill_parcel *parcel, uint32_t kind, uint32_t objects, const void *data, uint64_t bytes);
int rill_parcel_add_object(struct rill_parcel *parcel, rill_object object);
int rill_parcel_own_object(struct rill_parcel *parcel, rill_object object); /* the parcel's, only on success */

/* Takes the handles apart. On an error all of them are as before. Then one of _sent and _undo. `through` may be NULL (a program that is started). */
int rill_parcel_pack(struct rill_parcel *parcel, struct rill_handle *handles, size_t count, struct rill_endpoint *through);
void rill_parcel_sent(struct rill_parcel *parcel); /* the other side has it: what moves is gone here, and its pointers are NULL */
void rill_parcel_undo(struct rill_parcel *parcel); /* it was not sent */

/* The same for the copies of buffers that were made (buffer.c). */
void rill_lent_sent(struct rill_parcel *parcel);
void rill_lent_undo(struct rill_parcel *parcel);

/* ---- receiving ---- */

/* A handle that was received and not opened. */
struct rill_traveller {
    uint32_t kind;              /* 0: taken */
    uint32_t object_count;
    const unsigned char *description; /* what follows the head; in private memory */
    uint64_t bytes;
    rill_object *objects;       /* its own; `open` sets those that it keeps to RILL_NO_OBJECT */
    struct rill_handle live;    /* in process: the thing itself, then there is no description */
    struct rill_inlane *lane;   /* that it came through, referenced; NULL on other transports */
    unsigned char *place;       /* a buffer: where it lies in the lane, which was found out in the receiver's thread */
    uint32_t generation;        /* of the process that received it */
};

/* What a message came with. Owned by the message. */
struct rill_attachment {
    size_t count;
    uint64_t bytes; /* of its memory: what follows all lies in one piece */
    struct rill_inlane *lane;
    unsigned char *section;
    rill_object *objects;
    uint32_t object_count;
    struct rill_traveller travellers[];
};

/* Reads a section. Both are copied; on success the objects are the attachment's, on an error still the caller's. RILL_EPEER: it is not in order. RILL_ENOMEM.
 * `lane` is referenced on success. */
int rill_attachment_make(const unsigned char *section, uint64_t bytes, const rill_object *objects, uint32_t object_count, uint32_t handle_count,
                         struct rill_inlane *lane, struct rill_attachment **attachment);

/* In process: holds copies of what is copied, and what moves itself (the caller's pointers become NULL). On an error nothing changed. */
int rill_attachment_hold(struct rill_handle *handles, size_t count, struct rill_attachment **attachment);

/* Frees it, and leaves the objects to the caller. NULL is allowed. */
void rill_attachment_discard(struct rill_attachment *attachment);

/* Takes one out; `kind` and errors as rill_message_take. */
int rill_attachment_take(struct rill_attachment *attachment, size_t index, uint32_t kind, struct rill_handle *handle);

/* Closes what was not taken. NULL is allowed. */
void rill_attachment_free(struct rill_attachment *attachment);

/* A copy of an attachment's travellers for sending it on: handles of kind RILL_HANDLE_OPAQUE that borrow from it. */
struct rill_opaque {
    uint32_t magic;
    bool borrowed; /* of a message that is being forwarded: not to be freed */
    struct rill_traveller traveller;
};
#define RILL_OPAQUE_MAGIC UINT32_C(0x726f7061)

/* The untaken ones, as handles that borrow from it. Both arrays are to be freed. NULL: no memory. */
struct rill_handle *rill_attachment_borrow(struct rill_attachment *attachment, rill_opaque **storage, size_t *count);
void rill_attachment_forget(struct rill_attachment *attachment); /* they went with a message that was sent on */

/* ---- the kinds ---- */

struct rill_travel {
    /* Adds one description and the objects. Nothing moves yet; what it marks, `undo` takes back. */
    int (*pack)(struct rill_handle *handle, struct rill_parcel *parcel);
    void (*sent)(struct rill_handle *handle); /* NULL: nothing to do */
    void (*undo)(struct rill_handle *handle);

    /* For the in-process transport: gives the thing for the message to hold (a copy, or what moves itself); `held` then takes it from the caller. */
    int (*hold)(const struct rill_handle *handle, struct rill_handle *copy);
    bool moves; /* the caller's pointer becomes NULL */

    /* Puts it together. On success it keeps the objects that it needs and has set them to RILL_NO_OBJECT; the others are closed by the caller. */
    int (*open)(struct rill_traveller *traveller, struct rill_handle *handle);

    /* Checks what it says of the lane that it came through, in the receiver's thread. NULL: nothing to check. RILL_EPEER, or a shortage. */
    int (*arrive)(struct rill_traveller *traveller);

    /* Packs one that was received for its way onwards, where a copy of its description will not do. NULL: it will. */
    int (*repack)(const struct rill_traveller *traveller, struct rill_parcel *parcel);

    /* What has to happen, beyond closing the objects, when it is never opened. NULL: nothing. */
    void (*drop)(struct rill_traveller *traveller);
    void (*close)(struct rill_handle *handle);
};

extern const struct rill_travel rill_sender_travel, rill_receiver_travel, rill_descriptor_travel; /* ends.c, move.c */
extern const struct rill_travel rill_region_travel, rill_buffer_travel;                                           /* region.c, buffer.c */

/* The travel of a kind, or NULL if there is none such. RILL_HANDLE_OPAQUE has one too. */
const struct rill_travel *rill_travel_of(uint32_t kind);

#endif
