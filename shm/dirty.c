/* SPDX-License-Identifier: MIT */
#include "dirty.h"

#include <string.h>

#include <rill/rill.h>

#define LENT UINT64_C(1) /* a list begins on a page: its low bits are free */
#define TAKEN UINT64_C(2)
#define PUNCHED UINT64_C(3)
#define STATE(word) ((word) & (RILL_PAGE_BYTES - 1))

void rill_dirty_init(struct rill_dirty *dirty, struct rill_segment *segment, struct rill_lane_header *header)
{
    *dirty = (struct rill_dirty){.segment = segment, .header = header};
}

static void forget_all(struct rill_dirty *dirty)
{
    dirty->count = 0;
    dirty->bytes = 0;
    dirty->lent = false;
}

/* Are the ranges the owner's to use? */
static bool recall(struct rill_dirty *dirty)
{
    if (!dirty->lent)
        return true;
    uint64_t word = dirty->list | LENT;
    if (atomic_compare_exchange_strong_explicit(&dirty->header->dirty, &word, 0, memory_order_acquire /* D2 */, memory_order_acquire /* D3 */))
        dirty->lent = false;
    else if (word != (dirty->list | TAKEN))
        forget_all(dirty); /* PUNCHED; or a receiver that lies, and the owner does without */
    return !dirty->lent;
}

/* The first range that ends behind `offset`. */
static size_t find(const struct rill_dirty *dirty, uint64_t offset)
{
    size_t low = 0, high = dirty->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (dirty->ranges[middle].offset + dirty->ranges[middle].size <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void insert(struct rill_dirty *dirty, size_t at, uint64_t offset, uint64_t size)
{
    memmove(&dirty->ranges[at + 1], &dirty->ranges[at], (dirty->count - at) * sizeof *dirty->ranges);
    dirty->ranges[at] = (struct rill_span){.offset = offset, .size = size};
    dirty->count++;
}

static void erase(struct rill_dirty *dirty, size_t at)
{
    dirty->count--;
    memmove(&dirty->ranges[at], &dirty->ranges[at + 1], (dirty->count - at) * sizeof *dirty->ranges);
}

bool rill_dirty_add(struct rill_dirty *dirty, uint64_t offset, uint64_t size)
{
    if (!dirty->header || !recall(dirty))
        return false;
    size_t at = find(dirty, offset);
    bool before = at > 0 && dirty->ranges[at - 1].offset + dirty->ranges[at - 1].size == offset;
    bool behind = at < dirty->count && dirty->ranges[at].offset == offset + size;
    if (!before && !behind && dirty->count == RILL_DIRTY_MOST)
        return false;
    dirty->bytes += size;
    if (!before && !behind) {
        insert(dirty, at, offset, size);
        return true;
    }
    struct rill_span *range = &dirty->ranges[before ? at - 1 : at];
    range->offset = before ? range->offset : offset;
    range->size += size;
    if (before && behind) {
        range->size += dirty->ranges[at].size;
        erase(dirty, at);
    }
    return true;
}

/* Cuts [offset, end) out of the range at `at`, which it overlaps. False: there is no place for the second of two ends that remain. */
static bool cut(struct rill_dirty *dirty, size_t at, uint64_t offset, uint64_t end)
{
    struct rill_span *range = &dirty->ranges[at];
    uint64_t range_end = range->offset + range->size;
    uint64_t before = offset > range->offset ? offset - range->offset : 0, behind = range_end > end ? range_end - end : 0;
    if (before && behind && dirty->count == RILL_DIRTY_MOST)
        return false;
    dirty->bytes -= range->size - before - behind;
    if (before)
        range->size = before;
    else if (behind)
        *range = (struct rill_span){.offset = end, .size = behind};
    else
        erase(dirty, at);
    if (before && behind)
        insert(dirty, at + 1, end, behind);
    return true;
}

/* Gives the end of a range to the system, from `offset` on. */
static void punch_end(struct rill_dirty *dirty, size_t at, uint64_t offset)
{
    struct rill_span range = dirty->ranges[at];
    uint64_t end = range.offset + range.size;
    (void)rill_port_memory_punch(dirty->segment->memory, offset, end - offset);
    (void)cut(dirty, at, offset, end);
}

enum rill_dirty_claim rill_dirty_claim(struct rill_dirty *dirty, uint64_t offset, uint64_t size)
{
    if (!dirty->count)
        return RILL_DIRTY_NONE;
    uint64_t end = offset + size;
    size_t at = find(dirty, offset);
    if (at == dirty->count || dirty->ranges[at].offset >= end)
        return RILL_DIRTY_NONE;
    if (!recall(dirty))
        return RILL_DIRTY_AWAY;
    if (!dirty->count)
        return RILL_DIRTY_NONE; /* the receiver has punched all */
    bool whole = dirty->ranges[at].offset <= offset && dirty->ranges[at].offset + dirty->ranges[at].size >= end;
    while (at < dirty->count && dirty->ranges[at].offset < end) {
        if (!cut(dirty, at, offset, end)) {
            punch_end(dirty, at, end);
            continue;
        }
        at = find(dirty, offset);
    }
    return whole ? RILL_DIRTY_WHOLE : RILL_DIRTY_NONE;
}

void rill_dirty_bound(struct rill_dirty *dirty, uint64_t most)
{
    if (dirty->bytes <= most || !recall(dirty))
        return;
    while (dirty->bytes > most) {
        const struct rill_span *last = &dirty->ranges[dirty->count - 1];
        uint64_t excess = (dirty->bytes - most + RILL_PAGE_BYTES - 1) & ~(RILL_PAGE_BYTES - 1);
        punch_end(dirty, dirty->count - 1, excess < last->size ? last->offset + last->size - excess : last->offset);
    }
}

/* The list's page is one that the segment hands out, once. */
static bool have_list(struct rill_dirty *dirty)
{
    uint64_t offset;
    if (dirty->list)
        return true;
    if (rill_segment_take(dirty->segment, RILL_PAGE_BYTES, RILL_PAGE_BYTES, &offset) != RILL_OK)
        return false;
    if (rill_segment_commit(dirty->segment, offset, RILL_PAGE_BYTES) != RILL_OK) {
        rill_segment_give(dirty->segment, offset, RILL_PAGE_BYTES);
        return false;
    }
    dirty->list = offset;
    return true;
}

void rill_dirty_lend(struct rill_dirty *dirty)
{
    if (dirty->lent || !dirty->count)
        return;
    if (!have_list(dirty)) {
        rill_dirty_bound(dirty, 0); /* else it would stay for ever */
        return;
    }
    struct rill_dirty_list *list = (struct rill_dirty_list *)(void *)rill_segment_at(dirty->segment, dirty->list, RILL_PAGE_BYTES);
    list->count = dirty->count;
    memcpy(list->ranges, dirty->ranges, dirty->count * sizeof *dirty->ranges);
    dirty->lent = true;
    atomic_store_explicit(&dirty->header->dirty, dirty->list | LENT, memory_order_release); /* D1 */
}

/* ---- the receiver's side ---- */

uint64_t rill_dirty_lent(const struct rill_lane_header *header)
{
    uint64_t word = atomic_load_explicit(&header->dirty, memory_order_relaxed); /* a hint: D4 decides */
    return STATE(word) == LENT || STATE(word) == TAKEN ? word - STATE(word) : 0;
}

bool rill_dirty_take(struct rill_lane_header *header, uint64_t list)
{
    uint64_t word = list | LENT;
    bool taken = atomic_compare_exchange_strong_explicit(&header->dirty, &word, list | TAKEN, memory_order_acquire /* D4 */, memory_order_acquire);
    return taken || word == (list | TAKEN); /* this one's predecessor took it, and was killed */
}

void rill_dirty_done(struct rill_lane_header *header, uint64_t list)
{
    atomic_store_explicit(&header->dirty, list | PUNCHED, memory_order_release); /* D5 */
}
