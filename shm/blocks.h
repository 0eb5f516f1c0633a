/* SPDX-License-Identifier: MIT */
/*
 * The owner's private table of the blocks of its lane that the receiver may give back: where each begins, how large it is and what it
 * is part of. What comes back is looked up and removed here, so a block that was never handed out, or comes twice, does nothing.
 * Threads: the caller serialises.
 */
#ifndef RILL_SHM_BLOCKS_H
#define RILL_SHM_BLOCKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum rill_block_kind {
    RILL_BLOCK_RING = 1,  /* an extent of the segment that holds records */
    RILL_BLOCK_LARGE = 2, /* an allocation of the arena that holds a message */
};

struct rill_block {
    uint64_t offset; /* never 0: that is the lane's header */
    uint64_t size;
    int64_t entered; /* when it was lent last: rings, ns; large ones, in bytes lent until then (lane.c) */
    enum rill_block_kind kind;
};

struct rill_blocks {
    struct rill_block *slots; /* open addressing, linear probing; offset 0 is an empty slot */
    size_t count;
    uint64_t bytes;  /* of all of them */
    size_t capacity; /* a power of two, or 0 */
};

/* Makes sure that the next rill_blocks_add cannot fail. RILL_ENOMEM: nothing changed. */
int rill_blocks_reserve(struct rill_blocks *blocks);

/* Adds a block; only after a successful reserve. */
void rill_blocks_add(struct rill_blocks *blocks, struct rill_block block);

/* Removes the block at `offset` and gives it; false if there is none. */
bool rill_blocks_remove(struct rill_blocks *blocks, uint64_t offset, struct rill_block *block);

void rill_blocks_clear(struct rill_blocks *blocks);

#endif
