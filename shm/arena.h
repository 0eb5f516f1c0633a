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

#include "segment.h"

struct rill_arena;

/* Makes an arena over the segment. RILL_ENOMEM: no memory, or no arena left (jemalloc has 4,094 of them). */
int rill_arena_create(struct rill_segment *segment, struct rill_arena **arena);

/* Frees the arena's private parts. The segment must still be there; what was allocated in it stays as it is, for the receiver to read. */
void rill_arena_destroy(struct rill_arena **arena);

#define RILL_ARENA_ALIGNMENT 64

/* Allocates at least `*size` bytes aligned to `alignment` (a power of two, at least RILL_ARENA_ALIGNMENT), committed; gives where, and how many it has
 * become. RILL_ENOMEM. */
int rill_arena_alloc_aligned(struct rill_arena *arena, uint64_t alignment, uint64_t *size, uint64_t *offset, unsigned char **pointer);
int rill_arena_alloc(struct rill_arena *arena, uint64_t *size, uint64_t *offset, unsigned char **pointer); /* to RILL_ARENA_ALIGNMENT */

/* How many bytes such an allocation would have; 0: too many. */
uint64_t rill_arena_capacity(uint64_t alignment, uint64_t size);

/* Makes an allocation smaller in place, if it can; gives how many bytes it has then. */
uint64_t rill_arena_shrink(struct rill_arena *arena, unsigned char *pointer, uint64_t size);

/* Frees an allocation. A punched one may not be used again before it is committed, so it must not rest in a cache: say so. */
void rill_arena_free(struct rill_arena *arena, unsigned char *pointer, bool punched);

/* Gives back to the system all that the arena holds free. After any punched block was freed, before the next allocation. */
void rill_arena_purge(struct rill_arena *arena);

#endif
