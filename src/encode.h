/* SPDX-License-Identifier: MIT */
/*
 * A typed value's way into bytes, in two passes: `measure` checks the value, sums up its bytes and finds its handles, so that `emit` can write it
 * right into the memory of a channel. All errors are the first one's.
 */
#ifndef RILL_ENCODE_H
#define RILL_ENCODE_H

#include "plan.h"

/* A member of the value that holds a handle. */
struct rill_slot {
    unsigned char *member;
    uint32_t kind; /* enum rill_field_kind */
};

struct rill_measure {
    uint64_t bytes;
    struct rill_slot *slots; /* in the order in which they are encoded; to be freed */
    size_t count, capacity;
    uint32_t depth;
};

/* RILL_EINVAL: the value is not in order. RILL_ENOMEM. `slots` is to be freed in any case. */
int rill_measure(struct rill_measure *measure, const struct rill_plan *plan, const void *value);

/* Writes at most `capacity` bytes, as many as measured if the value is still the same, and gives how many. */
size_t rill_emit(const struct rill_plan *plan, const void *value, unsigned char *target, size_t capacity);

/* A value whose plan knows its most_bytes needs no measure, only this: in one pass. RILL_EINVAL: it is not in order. */
int rill_emit_bounded(const struct rill_plan *plan, const void *value, unsigned char *target, size_t *size);

#endif
