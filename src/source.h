/* SPDX-License-Identifier: MIT */
/* What each transport does for a receiver; recv.c is written on top of it. All of it belongs to the receiver's thread. */
#ifndef RILL_SOURCE_H
#define RILL_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include <rill/rill.h>

#include "port.h"

#define RILL_TRIM_AFTER INT64_C(250000000)     /* ns of silence after which memory that waits for its owner goes to the system, */
#define RILL_TRIM_FILLING INT64_C(10000000000) /* or of a silence in which the owner's user fills a large buffer */

struct rill_parcel; /* handle.h */
struct rill_blob;

struct rill_source {
    /* Finds the next message, which stays the next until it is taken. RILL_EEMPTY: none is there without asking the system.
     * RILL_EDISCONNECTED: none will come. RILL_EPEER, RILL_EVERSION, RILL_EQUOTA: told once for a lane that was closed. Other errors: try again. */
    int (*next)(void *state);

    /* What `next` said was not told: it says so again. `code` is one of the three that are told once. NULL: it never says them. */
    void (*untold)(void *state, int code);

    /* The size of the message found. */
    uint64_t (*size)(const void *state);

    /* Takes the message found: as a message of its own (RILL_ENOMEM: it is still there), or into memory that is large enough for the size that was told.
     * In process another thread may meanwhile have made the channel a shared one: RILL_QUEUE_SHARED, and `next` finds the message there. */
    int (*take)(void *state, rill_message **message);
    int (*take_into)(void *state, void *buffer);

    /* May there be anything for `next`? For spinning: no system call. */
    bool (*stirs)(const void *state);

    /* Asks the system for what `next` cannot see, without waiting. RILL_EDISCONNECTED: ask `next` once more, then it is the end. */
    int (*absorb)(void *state);

    /* The socket has become readable: takes what came with it. Errors as absorb. */
    int (*arrived)(void *state);

    /* Gets ready for a sleep elsewhere: RILL_OK: nothing is there, and whatever comes from now on makes the socket readable (in process: rings the
     * bell). RILL_EREADY: there may be something for `next`. Other errors: try again. To be called when `next` says RILL_EEMPTY. */
    int (*arm)(void *state);

    /* Sleeps until something comes, the event, or the deadline. RILL_OK may be spurious. Counts *slept up if it did sleep. */
    int (*sleep)(void *state, rill_object event, int64_t deadline, uint64_t *slept);

    /* Gives to the system what silent senders have in their lanes and could use again. When to ask next, RILL_FOREVER: nothing is left. To be called when it
     * is armed; NULL: nothing ever is. */
    int64_t (*trim)(void *state, int64_t now);

    /* ---- a receiver that moves to another process; NULL: with its state it cannot ----
     * The socket, the control page and the reader's name travel without these. */

    /* Adds what the state holds: bytes to the blob, objects to the parcel. Nothing changes in the state, for the message may not be sent. RILL_EBUSY,
     * RILL_ENOMEM …: it stays. */
    int (*pack)(void *state, struct rill_parcel *parcel, struct rill_blob *blob);

    /* Fills a state that was just made. Everything comes from another process and is checked. On success it keeps the objects that it needs and has set
     * them to RILL_NO_OBJECT, the others are closed by the caller; on an error it has kept none, and the state is as it was made. RILL_EPEER: it
     * cannot be like this. Others: try again. */
    int (*unpack)(void *state, const unsigned char *bytes, uint64_t size, rill_object *objects, uint32_t count);

    /* The other process has it (it may be receiving already): the state is destroyed next, and must leave no trace in what is shared. NULL: nothing to do. */
    void (*moved)(void *state);
};

extern const struct rill_source rill_inbox_source;
extern const struct rill_source rill_stream_source;
extern const struct rill_source rill_queue_source;

#endif
