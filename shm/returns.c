/* SPDX-License-Identifier: MIT */
#include "returns.h"

#include <string.h>

#define SIZE_SHIFT 17
#define PUNCH_MIN ((uint64_t)16 << 10) /* below this a system call costs more than the pages are worth */
#define ACTIVE_ENOUGH 2
#define QUIET_MOST 8 /* pushes between two looks of an owner that goes on: blocks of its ring, and what was closed together; */
#define QUIET_BYTES ((uint64_t)4 << 20) /* and bytes beyond as many of the largest: large blocks are taken back when they have gone round */

bool rill_return_wants_punch(struct rill_returner *returner, const struct rill_lane_header *header, uint64_t size)
{
    uint64_t taken = atomic_load_explicit(&header->taken, memory_order_relaxed); /* a hint */
    if (taken != returner->taken) {
        returner->taken = taken;
        returner->idle = 0;
        returner->quiet = 0;
        returner->quiet_bytes = 0;
        returner->largest = size;
        if (returner->active < ACTIVE_ENOUGH)
            returner->active++;
    } else if (++returner->quiet > QUIET_MOST) {
        returner->quiet_bytes += size;
        returner->largest = size > returner->largest ? size : returner->largest;
        if (returner->quiet_bytes > QUIET_BYTES + QUIET_MOST * returner->largest)
            returner->active = 0;
    }
    bool reused = returner->active == ACTIVE_ENOUGH;
    if (!reused && returner->idle + size > returner->idle_max && size >= PUNCH_MIN)
        return true;
    returner->idle += size;
    return false;
}

bool rill_return_hold(struct rill_returner *returner, uint64_t offset)
{
    if (returner->count == RILL_RETURN_ENTRIES)
        return false;
    returner->held[returner->count++] = offset;
    return true;
}

/* Puts the chain that ends with the node `last`, whose second word is written already, on top of the stack. */
static void push_chain(struct rill_lane_header *header, uint64_t first, unsigned char *last)
{
    uint64_t top = atomic_load_explicit(&header->returned, memory_order_relaxed); /* only a guess for V1 */
    do
        memcpy(last, &top, sizeof top);
    while (!atomic_compare_exchange_weak_explicit(&header->returned, &top, first, memory_order_release /* V1, V4 */, memory_order_relaxed));
}

void rill_return_push(struct rill_returner *returner, struct rill_lane_header *header, uint64_t offset, unsigned char *block, uint64_t size,
                      bool punched)
{
    uint64_t words[2] = {0, punched ? UINT64_C(1) << 16 : 0};
    if (returner->count && size >= RILL_PAGE_BYTES) {
        memcpy(block + sizeof words, returner->held, returner->count * sizeof *returner->held);
        words[1] |= returner->count;
        returner->count = 0;
    }
    if (!punched && size >= RILL_REST_MIN) {
        words[1] |= size << SIZE_SHIFT;
        atomic_store_explicit(&returner->resting, true, memory_order_relaxed);
    }
    memcpy(block, words, sizeof words);
    push_chain(header, offset, block);
}

void rill_return_rest(struct rill_lane_header *header, uint64_t offset, unsigned char *block, uint64_t size)
{
    const uint64_t words[2] = {0, size << SIZE_SHIFT};
    memcpy(block, words, sizeof words);
    push_chain(header, offset, block);
}

uint64_t rill_return_recall(struct rill_lane_header *header)
{
    if (atomic_load_explicit(&header->returned, memory_order_relaxed) == 0)
        return 0;
    return atomic_exchange_explicit(&header->returned, 0, memory_order_acquire /* V3 */);
}

void rill_return_restore(struct rill_lane_header *header, uint64_t first, unsigned char *last)
{
    push_chain(header, first, last);
}

uint64_t rill_return_next(const unsigned char *node)
{
    uint64_t next;
    memcpy(&next, node, sizeof next);
    return next;
}

uint64_t rill_return_resting(const unsigned char *node)
{
    uint64_t word;
    memcpy(&word, node + sizeof word, sizeof word);
    return word >> SIZE_SHIFT;
}

void rill_return_mark_punched(unsigned char *node)
{
    uint64_t word;
    memcpy(&word, node + sizeof word, sizeof word);
    word = (word & 0xffff) | UINT64_C(1) << 16;
    memcpy(node + sizeof word, &word, sizeof word);
}

uint64_t rill_return_take(struct rill_lane_header *header)
{
    atomic_store_explicit(&header->taken, atomic_load_explicit(&header->taken, memory_order_relaxed) + 1, memory_order_relaxed);
    if (atomic_load_explicit(&header->returned, memory_order_relaxed) == 0)
        return 0;
    return atomic_exchange_explicit(&header->returned, 0, memory_order_acquire /* V2 */);
}
