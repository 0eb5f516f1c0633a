/* SPDX-License-Identifier: MIT */
/*
 * A jemalloc arena over a segment: large messages are allocated in it. jemalloc's own bookkeeping stays in private memory, so a hostile
 * receiver, who can write to the whole segment, can spoil contents but never the allocator.
 *
 * Threads: the caller serialises all calls on one arena together with those on its segment.
 */
#ifndef RILL_SHM_ARENA_H
#define RILL_SHM_ARENA_H

#include <stdint.h>

#include "layout.h"
#include "segment.h"

struct rill_arena;

/* Makes an arena over the segment. What is free and has memory is lent to the receiver over the lane's header; without one (NULL) it goes to the system.
 * RILL_ENOMEM: no memory, or no arena left (jemalloc has 4,094 of them). */
int rill_arena_create(struct rill_segment *segment, struct rill_lane_header *header, struct rill_arena **arena);

/* Frees the arena's private parts. The segment must still be there; what was allocated in it stays as it is, for the receiver to read. */
void rill_arena_destroy(struct rill_arena **arena);

#define RILL_ARENA_ALIGNMENT 64

/* Allocates at least `*size` bytes aligned to `alignment` (a power of two, at least RILL_ARENA_ALIGNMENT), committed; gives where, and how many it has
 * become. RILL_ENOMEM. RILL_EBUSY: what is free is being given to the system by the receiver at this moment. */
int rill_arena_alloc_aligned(struct rill_arena *arena, uint64_t alignment, uint64_t *size, uint64_t *offset, unsigned char **pointer);
int rill_arena_alloc(struct rill_arena *arena, uint64_t *size, uint64_t *offset, unsigned char **pointer); /* to RILL_ARENA_ALIGNMENT */

/* How many bytes such an allocation would have; 0: too many. */
uint64_t rill_arena_capacity(uint64_t alignment, uint64_t size);

/* Makes an allocation smaller in place, if it can; gives how many bytes it has then. */
uint64_t rill_arena_shrink(struct rill_arena *arena, unsigned char *pointer, uint64_t size);

/* Frees an allocation. Punched: there is no memory behind it any more. */
void rill_arena_free(struct rill_arena *arena, unsigned char *pointer, bool punched);

/* Free memory that is more than `most` bytes goes to the system; what stays is lent to the receiver, who can give it to the system later, if it is more
 * than `unlent`. */
void rill_arena_rest(struct rill_arena *arena, uint64_t most, uint64_t unlent);

#endif
