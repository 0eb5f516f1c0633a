/* SPDX-License-Identifier: MIT */
/*
 * How blocks go back from the receiver to the lane's owner: a stack, linked through the dead blocks themselves, so nothing can overflow
 * and nothing has to be allocated. Receiving threads push, one compare-and-swap each; only the owner takes, all at once.
 *
 * The top of a returned block becomes a node:
 *
 *     word 0   offset of the next node, 0 at the end
 *     word 1   bits 0..15 number of entries, bit 16: this block was punched behind its first page; bits 17..63: its size, if it is large and was not, so
 *              that the receiver can punch it later (the owner goes by its own table, and an owner who lies only loses pages of its own)
 *     words 2… entries: offsets of further blocks given back with this node, all of them punched
 *
 * Punching gives pages back to the system, so only who owns the block may do it: the receiver before it pushes. It does so when the
 * owner does not reuse what is given back (else a steady stream would pay for fresh pages). Entries exist so that a long row of punched blocks
 * costs one page and not one each.
 *
 * Order of the atomics on `returned`:
 *   V1  push   compare-and-swap, release: the node's words, and the receiver's last reads of the block, come before it
 *   V2  take   exchange, acquire: pairs with V1; after it the owner may overwrite the block
 *   V3  recall  exchange, acquire, by the receiver: pairs with V1, its own and the owner's
 *   V4  restore compare-and-swap, release: as V1
 * If V1 were relaxed, the owner could take a node whose words are not there yet, or overwrite what a receiver still reads. There is no ABA: whoever
 * removes, owner or receiver, removes everything, and what is linked in front of a top is right whatever lies behind that.
 * While the receiver has the stack the owner finds it empty, and takes fresh memory if it must.
 */
#ifndef RILL_SHM_RETURNS_H
#define RILL_SHM_RETURNS_H

#include <stdbool.h>
#include <stdint.h>

#include "layout.h"

#define RILL_RETURN_ENTRIES 500
#define RILL_RETURN_BYTES_MIN 16 /* a block must hold a node without entries */

/* What the receiver knows of a lane's returned blocks. Private; the caller serialises. */
struct rill_returner {
    uint64_t taken;     /* the owner's count when last seen */
    uint64_t idle_max;  /* how many bytes may wait unpunched for an owner that does not look */
    uint64_t idle;      /* bytes pushed since the owner last looked, not punched */
    unsigned active;    /* pushes that found that the owner had looked since the one before, while it went on looking */
    unsigned quiet;     /* pushes since it last looked, */
    uint64_t quiet_bytes, largest; /* and bytes of those beyond the first few, and the largest of all */
    unsigned count;     /* entries held back here, all punched */
    uint64_t held[RILL_RETURN_ENTRIES];
    _Atomic bool resting; /* large blocks were given back unpunched, because their owner seemed to go on. If it falls silent they are punched after all */
};

#define RILL_REST_MIN ((uint64_t)1 << 20)

/* Should this block be punched before it goes back? The answer counts the block. */
bool rill_return_wants_punch(struct rill_returner *returner, const struct rill_lane_header *header, uint64_t size);

/* Holds a punched block back to go with a later node; false if there is no more room, then push one. */
bool rill_return_hold(struct rill_returner *returner, uint64_t offset);

/* Pushes the block at `offset`, mapped at `block`, with all that was held back if it has room for that. */
void rill_return_push(struct rill_returner *returner, struct rill_lane_header *header, uint64_t offset, unsigned char *block, uint64_t size,
                      bool punched);

/* The owner takes the stack: the offset of its top, 0 if it is empty. */
uint64_t rill_return_take(struct rill_lane_header *header);

/* The owner puts back a block that it does not need now: it is as if the receiver had just returned it. */
void rill_return_rest(struct rill_lane_header *header, uint64_t offset, unsigned char *block, uint64_t size);

/* The receiver takes the stack as a whole, which makes every block in it its own again, and puts it back: the chain from `first` to the node `last`. */
uint64_t rill_return_recall(struct rill_lane_header *header);
void rill_return_restore(struct rill_lane_header *header, uint64_t first, unsigned char *last);

/* What a node says: where the next one is, and how large its block is if it may be punched (0: it may not). */
uint64_t rill_return_next(const unsigned char *node);
uint64_t rill_return_resting(const unsigned char *node);

/* Notes that its block is punched behind its first page. */
void rill_return_mark_punched(unsigned char *node);

#endif
