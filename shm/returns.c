/* SPDX-License-Identifier: MIT */
#include "returns.h"

#include <string.h>


#define PUNCH_MIN ((uint64_t)16 << 10) /* below this a system call costs more than the pages are worth */
#define ACTIVE_ENOUGH 2

bool rill_return_wants_punch(struct rill_returner *returner, const struct rill_lane_header *header, uint64_t size)
{
    uint64_t taken = atomic_load_explicit(&header->taken, memory_order_relaxed); /* a hint */
    if (taken != returner->taken) {
        returner->taken = taken;
        returner->idle = 0;
        if (returner->active < ACTIVE_ENOUGH)
            returner->active++;
    } else {
        returner->active = 0;
    }
    bool reused = returner->active == ACTIVE_ENOUGH && returner->idle == 0;
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

void rill_return_push(struct rill_returner *returner, struct rill_lane_header *header, uint64_t offset, unsigned char *block, uint64_t size,
                      bool punched)
{
    uint64_t words[2] = {0, punched ? UINT64_C(1) << 16 : 0};
    if (returner->count && size >= RILL_PAGE_BYTES) {
        memcpy(block + sizeof words, returner->held, returner->count * sizeof *returner->held);
        words[1] |= returner->count;
        returner->count = 0;
    }
    uint64_t top = atomic_load_explicit(&header->returned, memory_order_relaxed); /* only a guess for V1 */
    do {
        words[0] = top;
        memcpy(block, words, sizeof words);
    } while (!atomic_compare_exchange_weak_explicit(&header->returned, &top, offset, memory_order_release /* V1 */, memory_order_relaxed));
}

uint64_t rill_return_take(struct rill_lane_header *header)
{
    atomic_store_explicit(&header->taken, atomic_load_explicit(&header->taken, memory_order_relaxed) + 1, memory_order_relaxed);
    if (atomic_load_explicit(&header->returned, memory_order_relaxed) == 0)
        return 0;
    return atomic_exchange_explicit(&header->returned, 0, memory_order_acquire /* V2 */);
}
