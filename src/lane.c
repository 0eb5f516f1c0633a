/* SPDX-License-Identifier: MIT */
#include "lane.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../shm/fence.h"
#include "../shm/order.h"
#include "../shm/returns.h"
#include "../shm/wake.h"
#include "lock.h"
#include "packet.h"
#include "parts.h"
#include "waitable.h"
#include "process.h"

#define FIRST_BLOCK RILL_PAGE_BYTES
#define BUSY_BLOCK ((uint64_t)256 << 10) /* a busy ring grows in blocks of up to this, */
#define LARGE_BLOCK ((uint64_t)1 << 20)  /* or up to this, where it takes that to hold several messages, or in a burst */
#define BUSY_BYTES ((uint64_t)4 << 20)   /* what a busy ring grows to by itself: more than the caches between two cores, less than their share of the last one */
#define ROTATE_BYTES ((uint64_t)3 << 20) /* large blocks are lent by turns, so that this much lies between two uses of one */
#define WAKE_TRIES 16u                   /* the system may be short of memory for a moment */
#define FILLING_MIN ((uint64_t)16 << 20)  /* a loan of this size may take a while to fill */
#define PEAK_TIMES 4                     /* so often the most that is out is lent until it is counted anew */
#define LARGE_IDLE_LOOKS 8              /* blocks of rings that were needed since anything large was lent */
#define LARGE_MIN ((uint64_t)32 << 10)   /* an allocation of this size that comes back is reused as it is, without asking the arena */
#define HELD_MOST ((uint64_t)1 << 30)     /* what a receiver may have in hand beyond four times the queue's limit, or four more messages like this */
#define KEEP_MIN ((uint64_t)5 << 20)     /* what is kept when it comes back; what is more was a burst */
#define KEEP_MAX ((uint64_t)64 << 20)

/* A ring that comes round sooner than this is too small: with what it writes still in the other processor's cache, each line has to be fetched from
 * there. One that takes longer than the other time is larger than its traffic needs. Both follow from rates of some GB/s and caches of some MiB. */
#define ROUND_FAST INT64_C(4000000)
#define ROUND_SLOW INT64_C(500000000)

/* ---- blocks of rings that wait for reuse ---- */

static struct rill_block *spare_at(struct rill_lane *lane, size_t i)
{
    return &lane->spare[(lane->spare_first + i) & (lane->spare_capacity - 1)];
}

static bool spare_reserve(struct rill_lane *lane)
{
    if (lane->spare_count < lane->spare_capacity)
        return true;
    size_t larger = lane->spare_capacity ? lane->spare_capacity * 2 : 16;
    struct rill_block *list = malloc(larger * sizeof *list);
    if (!list)
        return false;
    for (size_t i = 0; i < lane->spare_count; i++)
        list[i] = *spare_at(lane, i);
    free(lane->spare);
    lane->spare = list;
    lane->spare_capacity = larger;
    lane->spare_first = 0;
    return true;
}

static void give_ring_block(struct rill_lane *lane, const struct rill_block *block)
{
    lane->ring_bytes -= block->size;
    rill_segment_give(&lane->segment, block->offset, block->size);
}

static void spare_add(struct rill_lane *lane, const struct rill_block *block, bool punched)
{
    if (punched || lane->ring_bytes > lane->keep_bytes || !spare_reserve(lane)) {
        give_ring_block(lane, block);
        return;
    }
    *spare_at(lane, lane->spare_count) = *block;
    lane->spare_count++;
}

static void spare_pop(struct rill_lane *lane, struct rill_block *block)
{
    *block = *spare_at(lane, 0);
    lane->spare_first = (lane->spare_first + 1) & (lane->spare_capacity - 1);
    lane->spare_count--;
}

/* The oldest that is large enough; smaller ones before it have been outgrown and go. False: none, or the ring goes round too fast and should grow, if it
 * can. */
static bool spare_take(struct rill_lane *lane, uint64_t size, int64_t now, bool can_grow, struct rill_block *block)
{
    while (lane->spare_count) {
        int64_t round = now - spare_at(lane, 0)->entered;
        bool fits = spare_at(lane, 0)->size >= size;
        if (fits && can_grow && round < ROUND_FAST && lane->ring_bytes < BUSY_BYTES)
            return false;
        spare_pop(lane, block);
        if (fits && (round < ROUND_SLOW || !lane->spare_count))
            return true;
        give_ring_block(lane, block);
    }
    return false;
}

/* A stack comes newest first; a queue wants the oldest first. */
static void spare_reverse(struct rill_lane *lane, size_t first)
{
    for (size_t last = lane->spare_count; first + 1 < last; first++, last--) {
        struct rill_block block = *spare_at(lane, first);
        *spare_at(lane, first) = *spare_at(lane, last - 1);
        *spare_at(lane, last - 1) = block;
    }
}

/* ---- what the receiver gives back ---- */

static void reclaim(struct rill_lane *lane, const struct rill_block *block, bool punched)
{
    if (block->kind == RILL_BLOCK_RING) {
        spare_add(lane, block, punched);
    } else if (!punched && block->size >= LARGE_MIN && lane->large_count < RILL_LARGE_MOST) {
        lane->large[lane->large_count++] = *block;
        lane->large_bytes += block->size;
    } else {
        rill_arena_free(lane->arena, rill_segment_at(&lane->segment, block->offset, 1), punched);
    }
}

/* The entries of a node: blocks that the receiver has punched. Each is read once, and counts only if it is in the table. */
static void reclaim_entries(struct rill_lane *lane, const unsigned char *entries, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        uint64_t offset;
        struct rill_block block;
        memcpy(&offset, entries + i * sizeof offset, sizeof offset);
        if (rill_blocks_remove(&lane->blocks, offset, &block))
            reclaim(lane, &block, true);
    }
}

static uint64_t bytes_out(const struct rill_lane *lane)
{
    return lane->blocks.bytes + lane->loaned;
}

/* How much free memory may rest dirty: with what is out it comes to the most that was out lately. */
static uint64_t dirty_most(const struct rill_lane *lane)
{
    uint64_t peak = lane->peak[0] > lane->peak[1] ? lane->peak[0] : lane->peak[1];
    uint64_t out = bytes_out(lane);
    return peak > out + lane->keep_bytes ? peak - out : lane->keep_bytes;
}

/* After anything was freed or allocated. */
static void rest_free(struct rill_lane *lane)
{
    if (lane->arena)
        rill_arena_rest(lane->arena, dirty_most(lane), KEEP_MIN);
}

/* After something was freed that was never sent: a receiver that sleeps does not learn of it, and gives nothing of it to the system. */
static void rest_unsent(struct rill_lane *lane)
{
    bool asleep = (atomic_load_explicit(&lane->header->parked, memory_order_relaxed) & 1) != 0; /* a hint */
    if (asleep)
        rill_arena_rest(lane->arena, KEEP_MIN, KEEP_MIN);
    else
        rest_free(lane);
}

/* In a shortage all that is free goes to the system. False: there is nothing. */
static bool give_up_free(struct rill_lane *lane)
{
    if (lane->arena)
        rill_arena_rest(lane->arena, 0, 0);
    return lane->arena != NULL;
}

/* The most that is out, in the latest stretch of lending and in the one before. A stretch is four times as long as that, so that sizes that come and go
 * have all come. */
static void note_peak(struct rill_lane *lane)
{
    uint64_t *peak = lane->peak;
    if (lane->large_lent - lane->peak_from > PEAK_TIMES * (peak[0] > peak[1] ? peak[0] : peak[1])) {
        peak[1] = peak[0];
        peak[0] = 0;
        lane->peak_from = lane->large_lent;
    }
    if (peak[0] < bytes_out(lane))
        peak[0] = bytes_out(lane);
}

static struct rill_block large_remove(struct rill_lane *lane, size_t index)
{
    struct rill_block block = lane->large[index];
    lane->large_count--;
    lane->large_bytes -= block.size;
    if (index < lane->large_count)
        memmove(&lane->large[index], &lane->large[index + 1], (lane->large_count - index) * sizeof *lane->large);
    return block;
}

/* As spare_reverse. */
static void large_reverse(struct rill_lane *lane, size_t first)
{
    for (size_t last = lane->large_count; first + 1 < last; first++, last--) {
        struct rill_block block = lane->large[first];
        lane->large[first] = lane->large[last - 1];
        lane->large[last - 1] = block;
    }
}

static void large_free(struct rill_lane *lane, size_t index)
{
    struct rill_block block = large_remove(lane, index);
    rill_arena_free(lane->arena, rill_segment_at(&lane->segment, block.offset, 1), false);
}

/* What came back and is more than goes round goes on resting on the return stack, and not here: so the receiver can give its pages to the system if
 * nothing is ever sent again (trim in inbox.c). */
static void rest_large(struct rill_lane *lane)
{
    while (lane->large_bytes > lane->rotate_bytes) {
        if (lane->large[lane->large_count - 1].size < RILL_REST_MIN || rill_blocks_reserve(&lane->blocks) != RILL_OK) {
            large_free(lane, lane->large_count - 1);
            continue;
        }
        struct rill_block block = large_remove(lane, lane->large_count - 1);
        rill_blocks_add(&lane->blocks, block);
        rill_return_rest(lane->header, block.offset, rill_segment_at(&lane->segment, block.offset, RILL_RETURN_BYTES_MIN), block.size);
    }
}

/* None of them fits: the arena may make something of them together. But those that are only too young stay, and this makes one more of their kind. */
static void free_large_blocks(struct rill_lane *lane, uint64_t capacity)
{
    for (size_t i = lane->large_count; i-- > 0;)
        if (lane->large[i].size != capacity)
            large_free(lane, i);
}

/* A block that was lent a moment ago lies in the other processor's own cache, and each of its lines would have to be fetched from there, or at least taken
 * away: to fill it takes two to four times as long as one that has been left alone while some MiB went by. */
static bool old_enough(const struct rill_lane *lane, const struct rill_block *block)
{
    return lane->large_lent - (uint64_t)block->entered >= lane->rotate_bytes || lane->large_count > RILL_LARGE_MOST / 2;
}

/* One of exactly this capacity, the one that came back first if there are several. */
static bool reuse_large(struct rill_lane *lane, uint64_t alignment, uint64_t capacity, bool any_age, struct rill_large *large, unsigned char **place)
{
    for (size_t i = 0; i < lane->large_count; i++) {
        const struct rill_block *found = &lane->large[i];
        unsigned char *address = rill_segment_at(&lane->segment, found->offset, found->size);
        if (found->size != capacity || ((uintptr_t)address & (alignment - 1)) || !(any_age || old_enough(lane, found)))
            continue;
        large->offset = found->offset;
        large->capacity = capacity;
        *place = address;
        (void)large_remove(lane, i);
        return true;
    }
    return false;
}

/* Takes everything back. The chain ends at the first node that is not a live block: each can be taken once, so it always ends. */
static void collect_returned(struct rill_lane *lane)
{
    uint64_t offset = rill_return_take(lane->header);
    size_t spare_before = lane->spare_count, large_before = lane->large_count;
    struct rill_block block;
    while (rill_blocks_remove(&lane->blocks, offset, &block)) {
        unsigned char *node = rill_segment_at(&lane->segment, block.offset, block.size);
        uint64_t words[2];
        atomic_store_explicit(&lane->last_node, node, memory_order_relaxed); /* a hint */
        memcpy(words, node, sizeof words);
        unsigned count = (unsigned)(words[1] & 0xffff);
        bool punched = (words[1] >> 16 & 1) != 0;
        if (count <= RILL_RETURN_ENTRIES && block.size >= RILL_PAGE_BYTES)
            reclaim_entries(lane, node + sizeof words, count);
        reclaim(lane, &block, punched);
        if (punched && block.kind == RILL_BLOCK_LARGE)
            (void)rill_port_memory_punch(lane->segment.memory, block.offset, RILL_PAGE_BYTES); /* the page that its node was in */
        offset = words[0];
    }
    spare_reverse(lane, spare_before);
    large_reverse(lane, large_before);
}

/* For a ring. Where that is all that the lane needs, time after time, large blocks are not kept for the next of their size: what is free and not used
 * goes to the system in the end. */
static void take_returned(struct rill_lane *lane)
{
    collect_returned(lane);
    lane->large_idle = lane->large_lent == lane->large_seen ? lane->large_idle + 1 : 0;
    lane->large_seen = lane->large_lent;
    if (lane->large_idle > LARGE_IDLE_LOOKS)
        free_large_blocks(lane, 0);
    rest_large(lane);
    rest_free(lane);
}

/* ---- growing ---- */

/* The size that a new block of rings should have now: a ring doubles until it is busy, then grows evenly. */
static uint64_t next_block_size(const struct rill_lane *lane, uint64_t least)
{
    bool burst = lane->ring_bytes >= lane->keep_bytes;
    uint64_t most = burst || least > BUSY_BLOCK / 8 ? LARGE_BLOCK : BUSY_BLOCK;
    uint64_t size = FIRST_BLOCK;
    while (size * 2 <= lane->ring_bytes && size < most)
        size *= 2;
    return size >= least ? size : (least + RILL_PAGE_BYTES - 1) & ~(RILL_PAGE_BYTES - 1);
}

/* `consumed` is the receiver's word. One that counts what it never gives back would make a queue with a limit grow without end: so memory
 * is added only up to a bound on what this side knows to be out of its hands. */
static bool held_too_much(const struct rill_lane *lane, uint64_t size)
{
    return lane->limit && lane->blocks.bytes / 4 > (lane->limit > size ? lane->limit : size) + HELD_MOST / 4;
}

static int take_committed(struct rill_lane *lane, uint64_t size, uint64_t *offset)
{
    int code = rill_segment_take(&lane->segment, size, RILL_PAGE_BYTES, offset);
    if (code != RILL_OK)
        return code;
    code = rill_segment_commit(&lane->segment, *offset, size);
    if (code != RILL_OK)
        rill_segment_give(&lane->segment, *offset, size);
    return code;
}

static int make_ring_block(struct rill_lane *lane, uint64_t least, struct rill_block *block)
{
    int code = held_too_much(lane, least) ? RILL_ENOMEM : rill_blocks_reserve(&lane->blocks);
    if (code != RILL_OK)
        return code;
    uint64_t size = next_block_size(lane, least);
    uint64_t offset;
    code = take_committed(lane, size, &offset);
    if (code == RILL_ENOMEM && give_up_free(lane))
        code = take_committed(lane, size, &offset);
    if (code != RILL_OK)
        return code;
    *block = (struct rill_block){.offset = offset, .size = size, .entered = rill_port_clock(), .kind = RILL_BLOCK_RING};
    lane->ring_bytes += size;
    return RILL_OK;
}

/* Why the receiver has closed this lane, if it has. */
static int refusal(const struct rill_lane *lane)
{
    int code = atomic_load_explicit(&lane->header->refused, memory_order_relaxed);
    if (code == RILL_OK)
        return RILL_OK;
    return code == RILL_EVERSION || code == RILL_EQUOTA ? code : RILL_EPEER;
}

/* A block with room for a record of `length` bytes and the link behind it: a used one, or a new one if the receiver is alive. */
static int find_ring_block(struct rill_lane *lane, rill_object socket, uint64_t length, struct rill_block *block)
{
    uint64_t least = length + RILL_LINK_BYTES;
    if (rill_blocks_reserve(&lane->blocks) != RILL_OK)
        return RILL_ENOMEM;
    take_returned(lane);
    int refused = refusal(lane);
    if (refused != RILL_OK)
        return refused;
    int64_t now = rill_port_clock();
    bool found = spare_take(lane, least, now, true, block);
    if (!found && rill_port_peer_gone(socket))
        return RILL_EBROKEN;
    int code = found ? RILL_OK : make_ring_block(lane, least, block);
    if (code != RILL_OK && spare_take(lane, least, now, false, block)) {
        found = true;
        code = RILL_OK;
    }
    if (found)
        block->entered = now;
    return code;
}

static int next_block(struct rill_lane *lane, struct rill_lane_ring *ring, rill_object socket, uint64_t length)
{
    (void)pthread_mutex_lock(&lane->lock);
    struct rill_block block;
    int code = find_ring_block(lane, socket, length, &block);
    if (code == RILL_OK) {
        rill_blocks_add(&lane->blocks, block); /* before the link: from then on it can come back */
        struct rill_span span = {.offset = block.offset, .size = block.size};
        if (!rill_ring_link(&ring->writer, span, rill_segment_at(&lane->segment, span.offset, span.size)))
            code = RILL_LANE_REVOKED;
    }
    (void)pthread_mutex_unlock(&lane->lock);
    return code;
}

/* ---- rings ---- */

static void start_ring(struct rill_lane *lane, struct rill_lane_ring *ring, unsigned index, const struct rill_block *block)
{
    ring->control = &lane->header->ring[index];
    ring->control->first = (struct rill_span){.offset = block->offset, .size = block->size};
    rill_ring_enter(&ring->writer, ring->control->first, rill_segment_at(&lane->segment, block->offset, block->size));
    rill_blocks_add(&lane->blocks, *block);
}

/* S1 of shm/order.h. What was committed without a fence before is seen by all from here on. */
static void count_ring(struct rill_page *page)
{
    rill_order_count_ring(page);
    if (rill_fence_channel_unfenced(page)) /* X2 of shm/fence.h */
        rill_port_fence_others();
}

/* Adds a ring, held by the caller. The receiver's revocation exchanges `rings`, so that a ring can only be added to a lane it still reads. */
static int add_ring(struct rill_lane *lane, struct rill_lane_ring **added)
{
    uint32_t index = atomic_load_explicit(&lane->ring_count, memory_order_relaxed);
    if (index == RILL_RINGS_MAX)
        return RILL_EBUSY;
    struct rill_block block;
    int code = make_ring_block(lane, FIRST_BLOCK, &block);
    if (code != RILL_OK)
        return code;
    struct rill_lane_ring *ring = &lane->rings[index];
    atomic_store_explicit(&ring->held, 1, memory_order_relaxed);
    start_ring(lane, ring, index, &block);
    uint32_t expected = index;
    if (!atomic_compare_exchange_strong_explicit(&lane->header->rings, &expected, index + 1, memory_order_seq_cst, memory_order_seq_cst))
        return RILL_LANE_REVOKED;
    count_ring(lane->page); /* before its first use */
    atomic_store_explicit(&lane->ring_count, index + 1, memory_order_release); /* partner: the load in rill_lane_hold */
    *added = ring;
    return RILL_OK;
}

static struct rill_lane_ring *try_rings(struct rill_lane *lane, uint32_t count)
{
    uint32_t start = count == 1 ? 0 : (uint32_t)((uintptr_t)pthread_self() >> 12) % count; /* a thread comes back to its ring */
    for (uint32_t i = 0; i < count; i++) {
        struct rill_lane_ring *ring = &lane->rings[(start + i) % count];
        if (rill_lane_try_ring(ring))
            return ring;
    }
    return NULL;
}

int rill_lane_hold(struct rill_lane *lane, struct rill_lane_ring **ring)
{
    for (;;) {
        uint32_t count = atomic_load_explicit(&lane->ring_count, memory_order_acquire);
        *ring = try_rings(lane, count);
        if (*ring)
            return RILL_OK;
        if (count < RILL_RINGS_MAX) {
            (void)pthread_mutex_lock(&lane->lock);
            int code = atomic_load_explicit(&lane->ring_count, memory_order_relaxed) == count ? add_ring(lane, ring) : RILL_EBUSY;
            (void)pthread_mutex_unlock(&lane->lock);
            if (code != RILL_EBUSY && code != RILL_ENOMEM)
                return code;
        }
        rill_port_yield(); /* every ring is held by a thread of this process that is inside a send */
    }
}

void rill_lane_suspend_fence(struct rill_lane *lane, struct rill_lane_ring *ring)
{
    ring->fenced = 0;
    bool worth = rill_port_single_threaded(); /* with more threads, to take the ring is a fence already */
    ring->unfenced = worth && rill_port_fence_register() && rill_fence_suspend(lane->header, lane->page);
}

void rill_lane_end_unfenced(struct rill_lane *lane, struct rill_lane_ring *ring)
{
    if (!ring->unfenced)
        return;
    rill_fence_resume(lane->header, lane->page);
    ring->unfenced = false;
    ring->fenced = 0;
}

int rill_lane_resume_fence(struct rill_lane *lane, struct rill_lane_ring *ring, uint64_t size)
{
    rill_ring_commit_again(&ring->writer, size); /* U3 */
    rill_lane_end_unfenced(lane, ring);
    if (atomic_load_explicit(&lane->header->rings, memory_order_seq_cst) != RILL_RINGS_REVOKED)
        return RILL_OK;
    if (rill_fence_was_sent(lane->header, ring->writer.offset + rill_ring_last(&ring->writer, size)))
        return RILL_LANE_LAST;
    rill_ring_withdraw(&ring->writer, size);
    return RILL_LANE_REVOKED;
}

/* ---- messages ---- */

/* Where a record's payload goes, and what is in front of the message's bytes. */
static struct rill_carried *put_carried(unsigned char **payload, const struct rill_parcel *parcel, const struct rill_load *load)
{
    struct rill_carried *carried = (struct rill_carried *)(void *)*payload;
    atomic_store_explicit(&carried->state, load->state, memory_order_relaxed); /* H1: before the commit */
    carried->objects = load->count;
    carried->handles = parcel->handle_count;
    carried->reserved = 0;
    carried->section = parcel->section_bytes;
    carried->number = load->number;
    carried->held = parcel->held;
    *payload += sizeof *carried;
    return carried;
}

static unsigned char *put_section(unsigned char *place, const struct rill_parcel *parcel)
{
    if (parcel->section_bytes)
        memcpy(place, parcel->section, (size_t)parcel->section_bytes);
    return place + parcel->section_bytes;
}

/* Commits the prepared record. With handles: their packet goes before it or behind it (shm/carry.h). An error of `rill_carry_finish` leaves a record
 * that is skipped: it counts in the limit until then, but is no message. */
static int commit(struct rill_lane *lane, struct rill_lane_ring *ring, rill_object socket, struct rill_record *record, struct rill_load *load,
                  uint64_t message_size)
{
    uint64_t flags = record->carried ? RILL_HEADER_HANDLES : 0;
    uint64_t size = record->size + (record->carried ? sizeof *record->carried : 0);
    if (!rill_ring_commit(&ring->writer, record->kind | (unsigned)flags, size, record->ticket))
        return RILL_LANE_REVOKED;
    uint64_t weight = record->length + (record->kind == RILL_KIND_LARGE ? message_size + (load ? load->section : 0) : 0) +
                      (load ? load->held : 0);
    int code = record->carried ? rill_carry_finish(lane, socket, load, record->carried) : RILL_OK;
    if (code == RILL_OK)
        rill_lane_count_sent(ring, message_size, weight);
    else
        rill_lane_count_skipped(ring, weight);
    return code;
}

/* Makes room in the ring and prepares a record with `payload` bytes behind `carried`; then the bytes can be put to record->payload. */
static int begin(struct rill_lane *lane, struct rill_lane_ring *ring, rill_object socket, uint64_t payload, const struct rill_parcel *parcel,
                 struct rill_load *load, struct rill_record *record)
{
    bool stamped = rill_order_needed(lane->page);
    if (stamped)
        rill_lane_end_unfenced(lane, ring);
    uint64_t whole = payload + (parcel ? sizeof *record->carried : 0);
    record->length = RILL_HEADER_BYTES + (stamped ? RILL_TICKET_BYTES : 0) + rill_ring_padded(whole);
    int code = rill_ring_fits(&ring->writer, record->length) ? RILL_OK : next_block(lane, ring, socket, record->length);
    if (code == RILL_OK && parcel)
        code = rill_carry_begin(lane, socket, parcel, load);
    if (code != RILL_OK)
        return code;
    /* Behind the packet: so the packets in a chain lie in the order of their records, but for one of each thread that is on its way. */
    record->ticket = stamped ? rill_order_draw(lane->page, &ring->writer.last_ticket) : 0;
    record->size = payload;
    record->payload = rill_ring_payload(&ring->writer, record->ticket);
    if (parcel)
        record->carried = put_carried(&record->payload, parcel, load);
    return RILL_OK;
}

static int put_inline(struct rill_lane *lane, struct rill_lane_ring *ring, rill_object socket, const struct rill_bytes *parts, size_t count,
                      uint64_t size, const struct rill_parcel *parcel, struct rill_load *load)
{
    struct rill_record record = {.kind = RILL_KIND_INLINE};
    int code = begin(lane, ring, socket, size + (parcel ? parcel->section_bytes : 0), parcel, load, &record);
    if (code != RILL_OK)
        return code;
    unsigned char *place = parcel ? put_section(record.payload, parcel) : record.payload;
    rill_parts_copy(place, parts, count);
    return commit(lane, ring, socket, &record, load, size);
}

static void free_large(struct rill_lane *lane, uint64_t offset)
{
    struct rill_block block;
    (void)pthread_mutex_lock(&lane->lock);
    if (rill_blocks_remove(&lane->blocks, offset, &block)) {
        rill_arena_free(lane->arena, rill_segment_at(&lane->segment, offset, 1), false);
        rest_free(lane);
    }
    (void)pthread_mutex_unlock(&lane->lock);
}

static int allocate_in_arena(struct rill_lane *lane, uint64_t alignment, struct rill_large *large, unsigned char **block)
{
    free_large_blocks(lane, large->capacity);
    large->capacity = large->size;
    return rill_arena_alloc_aligned(lane->arena, alignment, &large->capacity, &large->offset, block);
}

/* Under the lock. RILL_ENOTSUP: there is no arena for this lane, or not at this moment. */
static int allocate(struct rill_lane *lane, uint64_t alignment, struct rill_large *large, unsigned char **block)
{
    if (!lane->arena && !lane->arena_failed)
        lane->arena_failed = rill_arena_create(&lane->segment, lane->header, &lane->arena) != RILL_OK;
    if (!lane->arena)
        return RILL_ENOTSUP;
    uint64_t capacity = rill_arena_capacity(alignment, large->size);
    if (!capacity)
        return RILL_ENOMEM;
    if (reuse_large(lane, alignment, capacity, false, large, block)) {
        atomic_store_explicit(&lane->last_node, NULL, memory_order_relaxed); /* the stack is left alone for a while */
        return RILL_OK;
    }
    collect_returned(lane);
    bool reused = reuse_large(lane, alignment, capacity, false, large, block);
    large->capacity = capacity;
    int code = reused ? RILL_OK : allocate_in_arena(lane, alignment, large, block);
    if (code != RILL_OK && reuse_large(lane, alignment, capacity, true, large, block))
        code = RILL_OK; /* better a slow one than none */
    if (code == RILL_ENOMEM && give_up_free(lane))
        code = allocate_in_arena(lane, alignment, large, block);
    rest_large(lane);
    rest_free(lane);
    return code == RILL_EBUSY ? RILL_ENOTSUP : code;
}

/* Counts a loan that the user has in hand from now on, or has no more. What takes long to fill is told: the receiver shall not take the silence meanwhile
 * for the end, and give away the memory of the next one. */
static void count_loan(struct rill_lane *lane, uint64_t capacity)
{
    lane->loaned += capacity;
    note_peak(lane);
    if (capacity >= FILLING_MIN)
        atomic_store_explicit(&lane->header->filling, ++lane->filling, memory_order_relaxed); /* a hint */
}

static void uncount_loan(struct rill_lane *lane, uint64_t capacity)
{
    lane->loaned -= capacity;
    if (capacity >= FILLING_MIN)
        atomic_store_explicit(&lane->header->filling, --lane->filling, memory_order_relaxed);
}

static void free_loan(struct rill_lane *lane, unsigned char *block)
{
    rill_arena_free(lane->arena, block, false);
    rest_unsent(lane);
}

int rill_lane_loan(struct rill_lane *lane, rill_object socket, uint64_t alignment, struct rill_large *large, unsigned char **block)
{
    bool locked = rill_lock(&lane->lock);
    uint64_t commits = lane->segment.commits;
    int code = allocate(lane, alignment, large, block);
    bool grown = code == RILL_OK && lane->segment.commits != commits;
    if (grown && rill_port_peer_gone(socket))
        code = RILL_EBROKEN; /* memory was added for a receiver that will never read it, nor give any to the system */
    else if (grown && held_too_much(lane, large->size))
        code = RILL_ENOMEM;
    if (grown && code != RILL_OK)
        free_loan(lane, *block);
    if (code == RILL_EBROKEN)
        (void)give_up_free(lane);
    if (code == RILL_OK)
        count_loan(lane, large->capacity);
    rill_unlock(&lane->lock, locked);
    return code;
}

void rill_lane_unloan(struct rill_lane *lane, const struct rill_large *large, unsigned char *block)
{
    bool locked = rill_lock(&lane->lock);
    uncount_loan(lane, large->capacity);
    free_loan(lane, block);
    rill_unlock(&lane->lock, locked);
}

void rill_lane_shrink_loan(struct rill_lane *lane, struct rill_large *large, unsigned char *block)
{
    if (large->capacity < RILL_REST_MIN || large->size > large->capacity / 2)
        return; /* it would cost more than it gives */
    (void)pthread_mutex_lock(&lane->lock);
    uint64_t smaller = rill_arena_shrink(lane->arena, block, large->size ? large->size : 1);
    uncount_loan(lane, large->capacity);
    large->capacity = smaller;
    count_loan(lane, large->capacity);
    rest_unsent(lane);
    (void)pthread_mutex_unlock(&lane->lock);
}

static int lend(struct rill_lane *lane, const struct rill_large *large)
{
    int code = rill_blocks_reserve(&lane->blocks);
    if (code == RILL_OK) {
        uncount_loan(lane, large->capacity);
        rill_blocks_add(&lane->blocks, (struct rill_block){.offset = large->offset,
                                                           .size = large->capacity,
                                                           .entered = (int64_t)lane->large_lent,
                                                           .kind = RILL_BLOCK_LARGE});
        lane->large_lent += large->capacity;
    }
    return code;
}

static bool unlend(struct rill_lane *lane, const struct rill_large *large)
{
    struct rill_block block;
    bool still = rill_blocks_remove(&lane->blocks, large->offset, &block);
    if (still)
        count_loan(lane, large->capacity);
    return still;
}

int rill_lane_lend(struct rill_lane *lane, const struct rill_large *large)
{
    (void)pthread_mutex_lock(&lane->lock);
    int code = lend(lane, large);
    (void)pthread_mutex_unlock(&lane->lock);
    return code;
}

bool rill_lane_unlend(struct rill_lane *lane, const struct rill_large *large)
{
    (void)pthread_mutex_lock(&lane->lock);
    bool still = unlend(lane, large);
    (void)pthread_mutex_unlock(&lane->lock);
    return still;
}

/* Under the lock from the entry in the table to the commit, so that nothing that is returned in between is looked up. */
static int commit_loan(struct rill_lane *lane, struct rill_lane_ring *ring, const struct rill_large *large, uint64_t ticket)
{
    bool locked = rill_lock(&lane->lock);
    int code = lend(lane, large);
    if (code == RILL_OK && !rill_ring_commit(&ring->writer, RILL_KIND_LARGE, sizeof *large, ticket)) {
        (void)unlend(lane, large);
        code = RILL_LANE_REVOKED;
    }
    rill_unlock(&lane->lock, locked);
    return code;
}

int rill_lane_put_loan(struct rill_lane *lane, struct rill_lane_ring *ring, rill_object socket, const struct rill_large *large)
{
    struct rill_record record = {.kind = RILL_KIND_LARGE};
    int code = begin(lane, ring, socket, sizeof *large, NULL, NULL, &record);
    if (code != RILL_OK)
        return code;
    memcpy(record.payload, large, sizeof *large);
    code = commit_loan(lane, ring, large, record.ticket);
    if (code == RILL_OK)
        rill_lane_count_sent(ring, large->size, record.length + large->size);
    return code;
}

/* Takes a block and copies what is sent into it. On success it is in the table. */
static int fill_large(struct rill_lane *lane, rill_object socket, const struct rill_bytes *parts, size_t count, const struct rill_parcel *parcel,
                      struct rill_large *large)
{
    unsigned char *block;
    int code = rill_lane_loan(lane, socket, RILL_ARENA_ALIGNMENT, large, &block);
    if (code != RILL_OK)
        return code;
    rill_parts_copy(parcel ? put_section(block, parcel) : block, parts, count);
    code = rill_lane_lend(lane, large);
    if (code != RILL_OK)
        rill_lane_unloan(lane, large, block);
    return code;
}

static int put_large(struct rill_lane *lane, struct rill_lane_ring *ring, rill_object socket, const struct rill_bytes *parts, size_t count,
                     uint64_t size, const struct rill_parcel *parcel, struct rill_load *load)
{
    struct rill_large large = {.size = size + (parcel ? parcel->section_bytes : 0)};
    int code = fill_large(lane, socket, parts, count, parcel, &large);
    if (code != RILL_OK)
        return code;
    struct rill_record record = {.kind = RILL_KIND_LARGE};
    code = begin(lane, ring, socket, sizeof large, parcel, load, &record);
    if (code == RILL_OK) {
        memcpy(record.payload, &large, sizeof large);
        code = commit(lane, ring, socket, &record, load, size);
    } else {
        free_large(lane, large.offset);
        return code;
    }
    if (code == RILL_LANE_REVOKED && !record.carried)
        free_large(lane, large.offset);
    return code; /* a record that is skipped gives its block back by the receiver, and a lane that was given up takes all with it */
}

int rill_lane_put(struct rill_lane *lane, struct rill_lane_ring *ring, rill_object socket, const struct rill_bytes *parts, size_t count,
                  uint64_t size, const struct rill_parcel *parcel)
{
    struct rill_load load = {.nested = RILL_NO_OBJECT, .section = parcel ? parcel->section_bytes : 0, .held = parcel ? parcel->held : 0};
    int code = RILL_ENOTSUP;
    if (size + load.section > RILL_INLINE_MAX)
        code = put_large(lane, ring, socket, parts, count, size, parcel, &load);
    if (code == RILL_ENOTSUP)
        code = put_inline(lane, ring, socket, parts, count, size, parcel, &load);
    if (parcel)
        rill_carry_end(&load);
    return code;
}

/* ---- the receiver ---- */

static uint64_t sent_by(const struct rill_lane *lane)
{
    uint64_t sent = 0;
    uint32_t count = atomic_load_explicit(&lane->ring_count, memory_order_acquire);
    for (uint32_t i = 0; i < count; i++)
        sent += atomic_load_explicit(&lane->rings[i].sent, memory_order_relaxed);
    return sent;
}

uint64_t rill_lane_queued(const struct rill_lane *lane)
{
    uint64_t sent = sent_by(lane);
    uint64_t consumed = atomic_load_explicit(&lane->header->consumed, memory_order_acquire);
    return (int64_t)(sent - consumed) > 0 ? sent - consumed : 0; /* another thread's record may be consumed before it is counted as sent */
}

static int send_notice(rill_object socket, uint32_t kind, uint64_t word, const rill_object *object)
{
    struct rill_notice notice = {.kind = kind, .count = object ? 1 : 0, .word = word};
    struct rill_run_of_bytes run = {.data = &notice, .size = sizeof notice};
    return rill_port_send(socket, &run, 1, object, object ? 1 : 0, false);
}

void rill_lane_rang(struct rill_lane *lane, uint32_t due)
{
    atomic_fetch_add_explicit(&lane->page->rang, 1, memory_order_seq_cst); /* C4 of wake.h: behind the packet, before the send returns */
    if (due)
        atomic_store_explicit(&lane->rung, due, memory_order_release); /* behind C4: a thread that finds it noted need not ring */
}

int rill_lane_ring_receiver(struct rill_lane *lane, rill_object socket, uint32_t due)
{
    uint32_t number = atomic_load_explicit(&lane->header->number, memory_order_relaxed); /* written before the lane was first armed */
    int code = send_notice(socket, RILL_PACKET_WAKE, number, NULL);
    for (unsigned tries = 0; code != RILL_OK && code != RILL_EFULL && code != RILL_EBROKEN && tries < WAKE_TRIES; tries++) {
        rill_port_yield();
        code = send_notice(socket, RILL_PACKET_WAKE, number, NULL);
    }
    if (code == RILL_EBROKEN)
        return code;
    rill_lane_rang(lane, code == RILL_OK || code == RILL_EFULL ? due : 0); /* else the message is committed, and the next send rings again */
    return RILL_OK;
}

/* ---- waiting for room ---- */

static int make_room_socket(struct rill_lane *lane, rill_object socket)
{
    if (lane->room_socket != RILL_NO_OBJECT)
        return RILL_OK;
    rill_object pair[2];
    int code = rill_port_pair(pair);
    if (code != RILL_OK)
        return code;
    code = send_notice(socket, RILL_PACKET_ROOM, lane->id, &pair[1]);
    rill_port_close(pair[1]);
    if (code == RILL_OK)
        lane->room_socket = pair[0];
    else
        rill_port_close(pair[0]);
    return code == RILL_EFULL ? RILL_EAGAIN : code;
}

/* A loop that is armed listens to the room socket of the lane that is in use. */
static void unwatch(struct rill_room *room, rill_object socket)
{
    if (room->watched == socket) {
        rill_port_poller_remove(room->poller, socket);
        room->watched = RILL_NO_OBJECT;
    }
}

static int watch(struct rill_room *room, rill_object socket)
{
    if (room->watched == socket)
        return RILL_OK;
    if (room->watched != RILL_NO_OBJECT)
        unwatch(room, room->watched);
    int code = rill_port_poller_add(room->poller, socket, 0);
    if (code == RILL_OK)
        room->watched = socket;
    return code;
}

/* The end of the room socket means that the receiver is gone, or that it has given up this lane. */
static int room_socket_ended(struct rill_lane *lane, rill_object socket)
{
    if (rill_port_peer_gone(socket))
        return RILL_EBROKEN;
    if (lane->room)
        unwatch(lane->room, lane->room_socket);
    rill_port_close(lane->room_socket);
    lane->room_socket = RILL_NO_OBJECT;
    int refused = refusal(lane);
    bool revoked = atomic_load_explicit(&lane->header->rings, memory_order_seq_cst) == RILL_RINGS_REVOKED;
    return refused != RILL_OK ? refused : revoked ? RILL_LANE_REVOKED : RILL_OK;
}

static int sleep_on_room_socket(struct rill_lane *lane, rill_object socket, rill_object event, int64_t deadline)
{
    unsigned char byte[8];
    struct rill_packet packet = {.data = {byte}, .capacity = {sizeof byte}};
    int code = rill_port_receive(lane->room_socket, event, deadline, &packet);
    if (code == RILL_EEMPTY)
        return RILL_ETIMEDOUT;
    return code == RILL_EDISCONNECTED ? room_socket_ended(lane, socket) : code;
}

/* Where the count of what is received has to come so that at most `target` bytes are queued. Not from `consumed`, which moves: a mark beyond what was
 * sent is never reached. */
static bool want_room(struct rill_lane *lane, uint64_t target)
{
    uint64_t sent = sent_by(lane);
    return rill_wake_room_wanted(lane->header, sent - target ? sent - target : 1);
}

static int watch_room(struct rill_lane *lane, rill_object socket, uint64_t target, rill_object event, int64_t deadline)
{
    int code = make_room_socket(lane, socket);
    if (code != RILL_OK)
        return code;
    if (want_room(lane, target))
        code = sleep_on_room_socket(lane, socket, event, deadline);
    atomic_store_explicit(&lane->header->room_at, 0, memory_order_relaxed);
    return code;
}

/* What rang before is past. */
static int drain_room_socket(struct rill_lane *lane, rill_object socket)
{
    unsigned char byte[8];
    struct rill_packet packet = {.data = {byte}, .capacity = {sizeof byte}};
    int code;
    do
        code = rill_port_receive(lane->room_socket, RILL_NO_OBJECT, RILL_NOW, &packet);
    while (code == RILL_OK);
    return code == RILL_EEMPTY ? RILL_OK : code == RILL_EDISCONNECTED ? room_socket_ended(lane, socket) : code;
}

int rill_lane_arm_room(struct rill_lane *lane, rill_object socket, uint64_t target, struct rill_room *room)
{
    (void)pthread_mutex_lock(&lane->room_lock);
    bool armed_before = lane->room != NULL;
    lane->room = room;
    int code = RILL_OK;
    if (!lane->room_watched) { /* else the thread that watches signals the loop when it is done */
        code = make_room_socket(lane, socket);
        if (code == RILL_OK)
            code = watch(room, lane->room_socket);
        if (code == RILL_OK)
            code = drain_room_socket(lane, socket);
        if (code == RILL_OK && !want_room(lane, target))
            code = RILL_EREADY;
    }
    if (code != RILL_OK) {
        lane->room = NULL;
        if (armed_before)
            rill_port_event_signal(room->event); /* another loop's mark is gone */
    }
    (void)pthread_mutex_unlock(&lane->room_lock);
    return code;
}

static int await_watcher(struct rill_lane *lane, int64_t deadline)
{
    if (deadline == RILL_FOREVER)
        return pthread_cond_wait(&lane->room_changed, &lane->room_lock) == 0 ? RILL_OK : RILL_ESYSTEM;
    struct timespec time = {.tv_sec = (time_t)(deadline / 1000000000), .tv_nsec = (long)(deadline % 1000000000)};
    return pthread_cond_timedwait(&lane->room_changed, &lane->room_lock, &time) == 0 ? RILL_OK : RILL_ETIMEDOUT;
}

int rill_lane_wait_for_room(struct rill_lane *lane, rill_object socket, uint64_t target, rill_object event, int64_t deadline)
{
    (void)pthread_mutex_lock(&lane->room_lock);
    if (lane->room_watched) {
        int waited = await_watcher(lane, deadline);
        (void)pthread_mutex_unlock(&lane->room_lock);
        return waited;
    }
    lane->room_watched = true;
    (void)pthread_mutex_unlock(&lane->room_lock);
    int code = watch_room(lane, socket, target, event, deadline);
    (void)pthread_mutex_lock(&lane->room_lock);
    lane->room_watched = false;
    if (lane->room)
        rill_port_event_signal(lane->room->event); /* its mark is gone: let it arm again */
    lane->room = NULL;
    (void)pthread_cond_broadcast(&lane->room_changed);
    (void)pthread_mutex_unlock(&lane->room_lock);
    return code;
}

/* ---- life ---- */

static int prepare_locks(struct rill_lane *lane)
{
    pthread_condattr_t monotonic;
    if (pthread_mutex_init(&lane->lock, NULL) != 0 || pthread_mutex_init(&lane->room_lock, NULL) != 0 || pthread_condattr_init(&monotonic) != 0)
        return RILL_ENOMEM;
    int failed = pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC) || pthread_cond_init(&lane->room_changed, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    return failed ? RILL_ENOMEM : RILL_OK;
}

static void write_header(struct rill_lane *lane)
{
    struct rill_lane_header *header = lane->header;
    header->magic = RILL_LANE_MAGIC;
    header->version = RILL_LAYOUT_VERSION;
    header->fingerprint = RILL_FINGERPRINT;
    header->id[0] = lane->page->id[0];
    header->id[1] = lane->page->id[1];
    atomic_store_explicit(&header->rings, 1, memory_order_relaxed);
}

static int build(struct rill_lane *lane)
{
    int code = rill_segment_create(&lane->segment, RILL_PAGE_BYTES + FIRST_BLOCK);
    if (code == RILL_OK)
        code = rill_blocks_reserve(&lane->blocks);
    if (code == RILL_OK)
        code = rill_port_identify(lane->segment.memory, &lane->identity);
    if (code == RILL_OK)
        code = rill_port_owner_mark(lane->segment.memory);
    if (code == RILL_OK && !rill_port_random(&lane->id, sizeof lane->id))
        code = RILL_ESYSTEM;
    if (code != RILL_OK)
        return code;
    lane->header = (struct rill_lane_header *)(void *)rill_segment_at(&lane->segment, 0, RILL_PAGE_BYTES);
    write_header(lane);
    lane->ring_bytes = FIRST_BLOCK;
    start_ring(lane, &lane->rings[0], 0, &(struct rill_block){.offset = RILL_PAGE_BYTES, .size = FIRST_BLOCK, .kind = RILL_BLOCK_RING});
    atomic_store_explicit(&lane->ring_count, 1, memory_order_relaxed);
    return RILL_OK;
}

static void close_objects(struct rill_lane *lane)
{
    for (size_t i = 0; i < lane->kept_count; i++)
        rill_port_close(lane->kept[i]);
    rill_port_close(lane->room_socket);
    rill_carrier_close(&lane->carrier);
}

/* Only private memory and handles. */
static void dispose(struct rill_lane *lane)
{
    close_objects(lane);
    rill_blocks_clear(&lane->blocks);
    rill_segment_close(&lane->segment);
    free(lane->spare);
    free(lane);
}

/* A full queue must fit: its messages, what they leave unused at the ends of their blocks, and the blocks that writer and reader are in. With less, a
 * pipeline that fills its limit gives blocks to the system at each round, and pays for fresh pages at the next. */
static uint64_t bytes_to_keep(uint64_t limit)
{
    if (limit == 0)
        return KEEP_MIN;
    uint64_t keep = limit > KEEP_MAX ? KEEP_MAX : limit + limit / 4 + 2 * LARGE_BLOCK;
    return keep < KEEP_MIN ? KEEP_MIN : keep > KEEP_MAX ? KEEP_MAX : keep;
}

/* A receiver's quota is not for rotation. The page's word is only a guess of it: an error costs speed, or what the receiver does anyway. */
static uint64_t bytes_to_rotate(uint64_t quota)
{
    return quota && quota / 4 < ROTATE_BYTES ? quota / 4 : ROTATE_BYTES;
}

int rill_lane_create(struct rill_page *page, uint64_t limit, rill_object socket, struct rill_lane **lane)
{
    struct rill_lane *made = aligned_alloc(RILL_LINE_BYTES, sizeof *made);
    if (!made)
        return RILL_ENOMEM;
    memset(made, 0, sizeof *made);
    made->page = page;
    made->room_socket = RILL_NO_OBJECT;
    made->carrier.chain = RILL_NO_OBJECT;
    made->segment.memory = RILL_NO_OBJECT;
    made->limit = limit;
    made->most = limit ? limit : UINT64_MAX;
    made->keep_bytes = bytes_to_keep(limit);
    made->rotate_bytes = bytes_to_rotate(page->max_lane_bytes);
    atomic_init(&made->references, 1);
    int code = prepare_locks(made);
    if (code == RILL_OK)
        code = build(made);
    if (code != RILL_OK) {
        dispose(made);
        return code;
    }
    rill_own_add(made); /* before it is announced: a receiver in this process must recognise it */
    code = send_notice(socket, RILL_PACKET_LANE, made->id, &made->segment.memory);
    if (code != RILL_OK) {
        rill_own_remove(made);
        rill_lane_release(made);
        return code == RILL_EFULL ? RILL_EAGAIN : code;
    }
    count_ring(page); /* after the announcement, before the first use */
    *lane = made;
    return RILL_OK;
}

void rill_lane_close(struct rill_lane *lane, rill_object socket)
{
    rill_lane_end_unfenced(lane, &lane->rings[0]); /* no send is left that it would serve, and the receiver is spared a barrier */
    atomic_store_explicit(&lane->header->closed, 1, memory_order_seq_cst); /* after the last commit; partner C1 of inbox.c */
    uint32_t due = socket == RILL_NO_OBJECT ? 0 : rill_wake_due(lane->header, &lane->rung);
    if (due)
        (void)rill_lane_ring_receiver(lane, socket, due);
    rill_own_remove(lane);
    atomic_store_explicit(&lane->closed, 1, memory_order_release);
    rill_lane_release(lane);
}

bool rill_lane_can_rest(struct rill_lane *lane)
{
    (void)pthread_mutex_lock(&lane->lock);
    const struct rill_lane_ring *ring = &lane->rings[0];
    bool first = ring->writer.block == rill_segment_at(&lane->segment, ring->control->first.offset, ring->control->first.size);
    bool can = first && atomic_load_explicit(&lane->ring_count, memory_order_relaxed) == 1 && !lane->arena && lane->spare_count == 0 &&
               lane->carrier.number == 0 && lane->room_socket == RILL_NO_OBJECT &&
               atomic_load_explicit(&lane->header->rings, memory_order_seq_cst) == 1 &&
               atomic_load_explicit(&lane->header->refused, memory_order_relaxed) == 0;
    (void)pthread_mutex_unlock(&lane->lock);
    return can;
}

void rill_lane_rest(struct rill_lane *lane, uint32_t imports)
{
    rill_lane_end_unfenced(lane, &lane->rings[0]);
    atomic_store_explicit(&lane->header->imports, imports, memory_order_relaxed); /* before: read once `closed` says RESTING */
    atomic_store_explicit(&lane->header->closed, RILL_CLOSED_RESTING, memory_order_seq_cst); /* after the last commit */
}

void rill_lane_renew(struct rill_lane *lane)
{
    struct rill_lane_ring *ring = &lane->rings[0];
    ring->writer.position = 0;
    atomic_store_explicit(&ring->sent, 0, memory_order_relaxed);
    atomic_store_explicit(&ring->control->sent_messages, 0, memory_order_relaxed);
    atomic_store_explicit(&ring->control->sent_bytes, 0, memory_order_relaxed);
    atomic_store_explicit(&ring->control->sent_weight, 0, memory_order_relaxed);
    atomic_store_explicit(&lane->consumed_seen, 0, memory_order_relaxed);
}

void rill_lane_wake_up(struct rill_lane *lane)
{
    atomic_store_explicit(&lane->header->closed, 0, memory_order_seq_cst);
}

/* The arena is left alone: to destroy it would give pages of the parent's messages back to the system. And where a thread of the parent's was at work at that
 * moment, which holds the lock here for ever, no table is whole: they are left, too. */
void rill_lane_abandon(struct rill_lane *lane)
{
    lane->arena = NULL;
    if (pthread_mutex_trylock(&lane->lock) == 0) {
        (void)pthread_mutex_unlock(&lane->lock);
        rill_lane_release(lane);
    } else {
        close_objects(lane);
        rill_port_close(lane->segment.memory);
    }
}

void rill_lane_reference(struct rill_lane *lane)
{
    rill_reference(&lane->references);
}

void rill_lane_release(struct rill_lane *lane)
{
    if (!rill_dereference(&lane->references))
        return;
    rill_arena_destroy(&lane->arena);
    dispose(lane);
}

/* One receiver and one announcement are usual. A peer that hands the segment back again and again must not use up the descriptors: what does not
 * fit is closed, which drops the mark, and the mark is set again. Taken for dead in between, the lane is given up, and nothing is lost. */
void rill_lane_keep(struct rill_lane *lane, rill_object handle)
{
    (void)pthread_mutex_lock(&lane->lock);
    if (lane->kept_count < sizeof lane->kept / sizeof *lane->kept)
        lane->kept[lane->kept_count++] = handle;
    else {
        rill_port_close(handle);
        (void)rill_port_owner_mark(lane->segment.memory);
    }
    (void)pthread_mutex_unlock(&lane->lock);
}
