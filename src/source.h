/* SPDX-License-Identifier: MIT */
/* What each transport does for a receiver; recv.c is written on top of it. All of it belongs to the receiver's thread. */
#ifndef RILL_SOURCE_H
#define RILL_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include <rill/rill.h>

#include "port.h"

struct rill_source {
    /* Finds the next message, which stays the next until it is taken. RILL_EEMPTY: none is there without asking the system.
     * RILL_EDISCONNECTED: none will come. RILL_EPEER, RILL_EVERSION, RILL_EQUOTA: told once for a lane that was closed. Other errors: try again. */
    int (*next)(void *state);

    /* The size of the message found. */
    uint64_t (*size)(const void *state);

    /* Takes the message found: as a message of its own (RILL_ENOMEM: it is still there), or into memory that is large enough. */
    int (*take)(void *state, rill_message **message);
    void (*take_into)(void *state, void *buffer);

    /* May there be anything for `next`? For spinning: no system call. */
    bool (*stirs)(const void *state);

    /* Asks the system for what `next` cannot see, without waiting. RILL_EDISCONNECTED: ask `next` once more, then it is the end. */
    int (*absorb)(void *state);

    /* Sleeps until something comes, the event, or the deadline. RILL_OK may be spurious. Counts *slept up if it did sleep. */
    int (*sleep)(void *state, rill_object event, int64_t deadline, uint64_t *slept);
};

extern const struct rill_source rill_inbox_source;
extern const struct rill_source rill_stream_source;
extern const struct rill_source rill_queue_source;

#endif
