/* SPDX-License-Identifier: MIT */
/* The lanes of an inbox: taken in, closed, and what of them goes back to their owners. */
#include "inbox_parts.h"

#include <stdlib.h>
#include <string.h>

#include "../shm/carry.h"
#include "../shm/dirty.h"
#include "../shm/wake.h"
#include "lock.h"
#include "message.h"
#include "process.h"
#include "reuse.h"
#include "source.h"
#include "streak.h"

#define CHAIN_MOST (1u << 20)   /* returned blocks looked through at one time: a hostile chain could go round for ever */

/* ---- faults ---- */

static unsigned fault_index(int code)
{
    return code == RILL_EVERSION ? 1 : code == RILL_EQUOTA ? 2 : 0;
}

int rill_inbox_next_fault(struct rill_inbox *inbox)
{
    static const int codes[3] = {RILL_EPEER, RILL_EVERSION, RILL_EQUOTA};
    for (unsigned i = 0; i < 3; i++) {
        if (inbox->faults[i]) {
            inbox->faults[i]--;
            return codes[i];
        }
    }
    return RILL_OK;
}

void rill_inbox_untold_fault(void *state, int code)
{
    struct rill_inbox *inbox = state;
    inbox->faults[fault_index(code)]++;
}

bool rill_inbox_is_fault(int code)
{
    return code == RILL_EPEER || code == RILL_EVERSION || code == RILL_EQUOTA;
}

/* ---- lanes ---- */

int rill_inlane_at(struct rill_inlane *lane, uint64_t offset, uint64_t size, unsigned char **pointer)
{
    if (!lane->own)
        return rill_view_at(&lane->view, offset, size, pointer);
    bool locked = rill_lock(&lane->own->lock);
    *pointer = rill_segment_at(&lane->own->segment, offset, size);
    rill_unlock(&lane->own->lock, locked);
    return *pointer ? RILL_OK : RILL_EPEER;
}

void rill_inlane_release(struct rill_inlane *lane)
{
    if (!rill_dereference(&lane->references))
        return;
    rill_view_close(&lane->view);
    if (lane->own)
        rill_lane_release(lane->own);
    rill_port_close(lane->memory);
    rill_port_close(lane->room_socket);
    rill_port_close(lane->chain);
    while (lane->arrivals) {
        struct rill_arrival *arrival = lane->arrivals;
        lane->arrivals = arrival->next;
        rill_arrival_free(arrival);
    }
    (void)pthread_mutex_destroy(&lane->lock);
    free(lane);
}

/* Pages wholly inside a block of the lane, but for those that its node may reach into. */
static void punch(struct rill_inlane *lane, uint64_t offset, uint64_t size, bool keep_node)
{
    uint64_t begin = keep_node ? offset + RILL_PAGE_BYTES : offset;
    uint64_t first = (begin + RILL_PAGE_BYTES - 1) & ~(RILL_PAGE_BYTES - 1);
    uint64_t last = (offset + size) & ~(RILL_PAGE_BYTES - 1);
    if (last > first)
        (void)rill_port_memory_punch(lane->own ? lane->own->segment.memory : lane->memory, first, last - first);
}

static _Atomic uint32_t rests_noted; /* blocks that came to rest, in all lanes of this process */

uint32_t rill_rests_noted(void)
{
    return atomic_load_explicit(&rests_noted, memory_order_relaxed);
}

/* Under the lane's lock. */
void rill_inlane_return_locked(struct rill_inlane *lane, uint64_t offset, unsigned char *block, uint64_t size)
{
    if (size < RILL_RETURN_BYTES_MIN || offset % 8 || atomic_load_explicit(&lane->dropped, memory_order_relaxed))
        return; /* no block of ours is like this: let its owner miss it */
    bool punched = rill_return_wants_punch(&lane->returner, lane->header, size);
    if (punched && rill_return_hold(&lane->returner, offset)) {
        punch(lane, offset, size, false);
    } else {
        if (punched)
            punch(lane, offset, size, true);
        rill_return_push(&lane->returner, lane->header, offset, block, size, punched);
        if (!punched && size >= RILL_REST_MIN)
            atomic_fetch_add_explicit(&rests_noted, 1, memory_order_relaxed);
    }
    lane->traffic++;
}

void rill_inlane_give_back(struct rill_inlane *lane, uint64_t offset, unsigned char *block, uint64_t size)
{
    bool locked = rill_lock(&lane->lock);
    rill_inlane_return_locked(lane, offset, block, size);
    rill_unlock(&lane->lock, locked);
}

void rill_inlane_link_message(struct rill_inlane *lane, rill_message *message)
{
    bool locked = rill_lock(&lane->lock);
    lane->large_traffic++;
    message->previous = NULL;
    message->next = lane->lent;
    if (lane->lent)
        lane->lent->previous = message;
    lane->lent = message;
    rill_unlock(&lane->lock, locked);
}

void rill_inlane_close_message(rill_message *message)
{
    struct rill_inlane *lane = message->lane;
    bool locked = rill_lock(&lane->lock);
    lane->large_traffic++;
    if (message->next)
        message->next->previous = message->previous;
    if (message->previous)
        message->previous->next = message->next;
    else
        lane->lent = message->next;
    if (message->offset) /* else it became a private copy, and its allocation went back then */
        rill_inlane_return_locked(lane, message->offset, (unsigned char *)(uintptr_t)message->data - message->front, message->capacity);
    rill_unlock(&lane->lock, locked);
    rill_inlane_release(lane);
}

void rill_inlane_return_buffer(struct rill_inlane *lane, uint64_t offset, unsigned char *block, uint64_t size)
{
    bool locked = rill_lock(&lane->lock);
    lane->large_traffic++;
    rill_inlane_return_locked(lane, offset, block, size);
    rill_unlock(&lane->lock, locked);
    atomic_fetch_sub_explicit(&lane->buffers, 1, memory_order_release);
}

/* Punches the noted blocks of a chain from `at`; gives its last node. NULL: the chain is not sound, and its owner may keep what is lost of it. */
static unsigned char *punch_chain(struct rill_inlane *lane, uint64_t at)
{
    for (unsigned i = 0; i < CHAIN_MOST; i++) {
        unsigned char *node;
        if (at < RILL_PAGE_BYTES || at % 8 || rill_inlane_at(lane, at, RILL_RETURN_BYTES_MIN, &node) != RILL_OK)
            return NULL;
        uint64_t size = rill_return_resting(node), next = rill_return_next(node);
        if (size) {
            punch(lane, at, size, true);
            rill_return_mark_punched(node);
        }
        if (next == 0)
            return node;
        at = next;
    }
    return NULL;
}

static void punch_returned(struct rill_inlane *lane)
{
    uint64_t first = rill_return_recall(lane->header);
    if (!first)
        return; /* the owner has them: it may put some back */
    atomic_store_explicit(&lane->returner.resting, false, memory_order_relaxed);
    unsigned char *last = punch_chain(lane, first);
    if (last)
        rill_return_restore(lane->header, first, last);
}

/* Each range is read once. One that is not sound is the owner's loss. */
static void punch_dirty(struct rill_inlane *lane)
{
    unsigned char *list;
    uint64_t offset = rill_dirty_lent(lane->header), count;
    if (!offset || rill_inlane_at(lane, offset, RILL_PAGE_BYTES, &list) != RILL_OK || !rill_dirty_take(lane->header, offset))
        return;
    memcpy(&count, list + offsetof(struct rill_dirty_list, count), sizeof count);
    for (uint64_t i = 0; i < count && i < RILL_DIRTY_MOST; i++) {
        struct rill_span range;
        memcpy(&range, list + offsetof(struct rill_dirty_list, ranges) + i * sizeof range, sizeof range);
        if (range.offset >= RILL_PAGE_BYTES && range.size <= INT64_MAX && range.offset <= INT64_MAX - range.size)
            punch(lane, range.offset, range.size, false);
    }
    rill_dirty_done(lane->header, offset);
}

bool rill_inlane_rests(const struct rill_inlane *lane)
{
    return atomic_load_explicit(&lane->returner.resting, memory_order_relaxed) || rill_dirty_lent(lane->header);
}

/* When a silence will have been long enough, of what counts up as long as there is none. */
static int64_t silence_ends(struct rill_silence *silence, uint64_t count, int64_t now, int64_t after)
{
    if (!silence->since || count != silence->count)
        *silence = (struct rill_silence){.count = count, .since = now};
    return silence->since + after;
}

/* Blocks of rings are used by whatever is sent; free memory of the arena only by what is large, and it may lie there beside a stream of small messages. A
 * large buffer that is being filled is no silence, unless it goes on. */
int64_t rill_inlane_trim(struct rill_inlane *lane, int64_t now)
{
    (void)pthread_mutex_lock(&lane->lock);
    int64_t due = RILL_FOREVER, dirty_due = RILL_FOREVER;
    if (!atomic_load_explicit(&lane->dropped, memory_order_relaxed)) {
        bool fills = atomic_load_explicit(&lane->header->filling, memory_order_relaxed) != 0;
        int64_t after = fills ? RILL_TRIM_FILLING : RILL_TRIM_AFTER;
        uint64_t taken = atomic_load_explicit(&lane->header->taken, memory_order_relaxed); /* a hint */
        if (atomic_load_explicit(&lane->returner.resting, memory_order_relaxed))
            due = silence_ends(&lane->stack_silence, taken + lane->traffic, now, after);
        if (rill_dirty_lent(lane->header))
            dirty_due = silence_ends(&lane->dirty_silence, lane->large_traffic, now, after);
    }
    if (due <= now) {
        punch_returned(lane);
        due = RILL_FOREVER;
    }
    if (dirty_due <= now) {
        punch_dirty(lane);
        dirty_due = RILL_FOREVER;
    }
    (void)pthread_mutex_unlock(&lane->lock);
    return due < dirty_due ? due : dirty_due;
}

/* ---- blocks of rings ---- */

struct rill_inblock *rill_inblock_enter(struct rill_inlane *lane, struct rill_span span, unsigned char *base)
{
    struct rill_inblock *block = malloc(sizeof *block);
    if (!block)
        return NULL;
    atomic_init(&block->references, RILL_INBLOCK_BIAS);
    block->lent = 0;
    block->lane = lane;
    block->offset = span.offset;
    block->size = span.size;
    block->base = base;
    block->mapped = block->kept = false;
    rill_inlane_reference(lane);
    (void)pthread_mutex_lock(&lane->lock);
    block->previous = NULL;
    block->next = lane->blocks;
    if (lane->blocks)
        lane->blocks->previous = block;
    lane->blocks = block;
    (void)pthread_mutex_unlock(&lane->lock);
    return block;
}

static void free_block(struct rill_inblock *block)
{
    struct rill_inlane *lane = block->lane;
    (void)pthread_mutex_lock(&lane->lock);
    if (block->next)
        block->next->previous = block->previous;
    if (block->previous)
        block->previous->next = block->next;
    else
        lane->blocks = block->next;
    if (!block->kept)
        rill_inlane_return_locked(lane, block->offset, block->base, block->size);
    (void)pthread_mutex_unlock(&lane->lock);
    if (block->mapped)
        rill_port_memory_unmap(block->base, block->size);
    rill_inlane_release(lane);
    free(block);
}

int rill_inblock_free(struct rill_inblock *block)
{
    atomic_fetch_sub_explicit(&block->lane->pinned, block->size, memory_order_relaxed);
    free_block(block);
    return RILL_OK;
}

/* The ring goes on elsewhere. */
void rill_inring_leave_block(struct rill_inring *ring)
{
    struct rill_inblock *block = ring->block;
    ring->block = NULL;
    if (block)
        rill_inblock_leave(block);
    else
        rill_inlane_give_back(ring->lane, ring->reader.offset, ring->reader.block, ring->reader.size);
}

void rill_inblock_leave(struct rill_inblock *block)
{
    atomic_fetch_add_explicit(&block->lane->pinned, block->size, memory_order_relaxed); /* before K2: whoever frees it subtracts */
    uint32_t ours = RILL_INBLOCK_BIAS - block->lent;
    if (atomic_fetch_sub_explicit(&block->references, ours, memory_order_acq_rel) != ours) /* K2 */
        return;
    (void)rill_inblock_free(block);
}

static void close_rings(struct rill_inlane *lane)
{
    for (uint32_t i = 0; i < lane->ring_count; i++) {
        rill_inring_leave_block(lane->rings[i]);
        free(lane->rings[i]);
    }
    lane->ring_count = 0;
}

/* ---- lanes, on ---- */

void rill_inbox_activate(struct rill_inbox *inbox, struct rill_inlane *lane)
{
    if (lane->active)
        return;
    rill_inlane_disarm(lane);
    lane->active = true;
    inbox->active[inbox->active_count++] = lane;
}

void rill_inbox_remove_active(struct rill_inbox *inbox, struct rill_inlane *lane)
{
    for (uint32_t i = 0; i < inbox->active_count; i++) {
        if (inbox->active[i] == lane) {
            inbox->active[i] = inbox->active[--inbox->active_count];
            break;
        }
    }
    lane->active = false;
}

static struct rill_shelf *take_shelf(struct rill_inlane *lane)
{
    (void)pthread_mutex_lock(&lane->lock);
    struct rill_shelf *shelf = lane->shelf;
    lane->shelf = NULL;
    (void)pthread_mutex_unlock(&lane->lock);
    return shelf;
}

void rill_inbox_drop_lane(struct rill_inbox *inbox, struct rill_inlane *lane)
{
    rill_inbox_remove_active(inbox, lane);
    inbox->lanes[lane->number - 1] = NULL;
    inbox->lane_count--;
    rill_inbox_end_streak(inbox);
    inbox->chosen = NULL;
    (void)pthread_mutex_lock(&lane->lock);
    atomic_store_explicit(&lane->dropped, 1, memory_order_relaxed);
    (void)pthread_mutex_unlock(&lane->lock);
    rill_port_close(lane->room_socket);
    lane->room_socket = RILL_NO_OBJECT;
    rill_shelf_close(take_shelf(lane));
    close_rings(lane);
    rill_inlane_release(lane);
}

void rill_inbox_strip(struct rill_inbox *inbox)
{
    for (uint32_t i = 0; i < inbox->lane_capacity; i++)
        if (inbox->lanes[i])
            rill_inbox_drop_lane(inbox, inbox->lanes[i]);
    atomic_store_explicit(&inbox->page->rings, 0, memory_order_relaxed);
    atomic_store_explicit(&inbox->page->ticket, 1, memory_order_relaxed);
}

/* Closes a lane whose owner broke a rule: the owner learns of it at its next new block, our caller once. */
void rill_inbox_refuse_lane(struct rill_inbox *inbox, struct rill_inlane *lane, int code)
{
    inbox->faults[fault_index(code)]++;
    atomic_store_explicit(&lane->header->refused, code, memory_order_relaxed);
    (void)atomic_exchange_explicit(&lane->header->rings, RILL_RINGS_REVOKED, memory_order_seq_cst);
    lane->revoked = true;
    (void)rill_inlane_arm(lane); /* an owner that commits without a fence does not find the mark. What it commits right now is lost with the rest. */
    for (uint32_t i = 0; i < lane->ring_count; i++)
        (void)rill_ring_poison(&lane->rings[i]->reader);
    rill_inbox_drop_lane(inbox, lane);
}

/* Takes in the rings that the owner has added. Faults and shortages as rill_view_at. */
int rill_inlane_open_rings(struct rill_inlane *lane, uint32_t count)
{
    if (count > RILL_RINGS_MAX || count < lane->ring_count)
        return RILL_EPEER;
    while (lane->ring_count < count) {
        struct rill_inring *ring = calloc(1, sizeof *ring);
        if (!ring)
            return RILL_ENOMEM;
        struct rill_span first = lane->header->ring[lane->ring_count].first;
        unsigned char *block;
        int code = rill_inlane_at(lane, first.offset, first.size, &block);
        if (code == RILL_OK)
            code = rill_ring_open(&ring->reader, first, block);
        if (code != RILL_OK) {
            free(ring);
            return code;
        }
        ring->lane = lane;
        ring->block = rill_inblock_enter(lane, first, block);
        lane->rings[lane->ring_count++] = ring;
    }
    return RILL_OK;
}

/* ---- announcements ---- */

static int grow_slots(struct rill_inbox *inbox, uint32_t larger)
{
    struct rill_inlane **active = realloc(inbox->active, larger * sizeof(struct rill_inlane *));
    if (active)
        inbox->active = active;
    struct rill_inlane **lanes = active ? realloc(inbox->lanes, larger * sizeof(struct rill_inlane *)) : NULL;
    if (!lanes)
        return RILL_ENOMEM;
    memset(lanes + inbox->lane_capacity, 0, (larger - inbox->lane_capacity) * sizeof *lanes);
    inbox->lanes = lanes;
    inbox->lane_capacity = larger;
    return RILL_OK;
}

int rill_inbox_reserve_number(struct rill_inbox *inbox, uint32_t number)
{
    return number <= inbox->lane_capacity ? RILL_OK : grow_slots(inbox, number);
}

static int reserve_slot(struct rill_inbox *inbox, uint32_t *slot)
{
    for (uint32_t i = 0; i < inbox->lane_capacity; i++) {
        if (!inbox->lanes[i]) {
            *slot = i;
            return RILL_OK;
        }
    }
    *slot = inbox->lane_capacity;
    return grow_slots(inbox, inbox->lane_capacity ? inbox->lane_capacity * 2 : 4);
}

static int check_header(const struct rill_lane_header *header, const struct rill_page *page)
{
    if (header->magic != RILL_LANE_MAGIC)
        return RILL_EPEER;
    if (header->version != RILL_LAYOUT_VERSION || header->fingerprint != RILL_FINGERPRINT)
        return RILL_EVERSION;
    return header->id[0] == page->id[0] && header->id[1] == page->id[1] ? RILL_OK : RILL_EPEER;
}

int rill_inlane_map(struct rill_inbox *inbox, struct rill_inlane *lane)
{
    int code = RILL_OK;
    if (!lane->own)
        code = rill_view_open(&lane->view, lane->memory, inbox->max_lane_bytes);
    unsigned char *start = NULL;
    if (code == RILL_OK)
        code = rill_inlane_at(lane, 0, RILL_PAGE_BYTES, &start);
    if (code != RILL_OK)
        return code;
    lane->header = (struct rill_lane_header *)(void *)start;
    return check_header(lane->header, inbox->page);
}

static bool known_already(const struct rill_inbox *inbox, const struct rill_identity *identity)
{
    for (uint32_t i = 0; i < inbox->lane_capacity; i++)
        if (inbox->lanes[i] && memcmp(&inbox->lanes[i]->identity, identity, sizeof *identity) == 0)
            return true;
    return false;
}

/* What may wait unpunched for the owners of all lanes. With a limit each of them goes round in that much; without, they share what a burst may leave. */
static uint64_t idle_bytes(const struct rill_inbox *inbox)
{
    const uint64_t least = (uint64_t)256 << 10, some = (uint64_t)4 << 20, most = (uint64_t)64 << 20;
    uint64_t limit = inbox->page_limit;
    if (limit)
        return limit < some ? some : limit > most ? most : limit;
    uint64_t share = some / (inbox->lane_count + 1);
    return share < least ? least : share;
}

static void share_idle_bytes(struct rill_inbox *inbox)
{
    uint64_t bytes = idle_bytes(inbox);
    for (uint32_t i = 0; i < inbox->lane_capacity; i++) {
        struct rill_inlane *lane = inbox->lanes[i];
        if (!lane)
            continue;
        (void)pthread_mutex_lock(&lane->lock);
        lane->returner.idle_max = bytes;
        (void)pthread_mutex_unlock(&lane->lock);
    }
}

struct rill_inlane *rill_inlane_make(rill_object memory, uint64_t id)
{
    struct rill_inlane *lane = calloc(1, sizeof *lane);
    if (lane && pthread_mutex_init(&lane->lock, NULL) != 0) {
        free(lane);
        lane = NULL;
    }
    if (!lane)
        return NULL;
    lane->memory = memory;
    lane->room_socket = RILL_NO_OBJECT;
    lane->chain = RILL_NO_OBJECT;
    lane->id = id;
    lane->generation = atomic_load_explicit(&rill_generation, memory_order_relaxed);
    atomic_init(&lane->references, 1);
    return lane;
}

void rill_inbox_add_lane(struct rill_inbox *inbox, struct rill_inlane *lane, uint32_t number)
{
    lane->number = number;
    inbox->lanes[number - 1] = lane;
    inbox->lane_count++;
    share_idle_bytes(inbox);
    rill_inbox_activate(inbox, lane);
}

/* Takes the memory over, unless the result is a shortage (not a fault). */
int rill_inbox_accept_lane(struct rill_inbox *inbox, rill_object memory, uint64_t id)
{
    uint32_t slot;
    int code = reserve_slot(inbox, &slot);
    struct rill_inlane *lane = code == RILL_OK ? rill_inlane_make(memory, id) : NULL;
    if (!lane)
        return RILL_ENOMEM;
    code = rill_port_memory_check(memory, true);
    if (code == RILL_OK)
        code = rill_port_identify(memory, &lane->identity);
    if (code == RILL_OK && known_already(inbox, &lane->identity))
        code = RILL_EPEER;
    if (code == RILL_OK && inbox->lane_count >= inbox->max_lanes)
        code = RILL_EQUOTA;
    lane->own = rill_own_find(&lane->identity);
    if (code == RILL_OK)
        code = rill_inlane_map(inbox, lane);
    if (code == RILL_OK)
        code = rill_inlane_open_rings(lane, atomic_load_explicit(&lane->header->rings, memory_order_seq_cst));
    if (code != RILL_OK && !rill_inbox_is_fault(code))
        lane->memory = RILL_NO_OBJECT; /* a shortage: the caller keeps it and tries again */
    else if (lane->own) {
        rill_lane_keep(lane->own, memory);
        lane->memory = RILL_NO_OBJECT;
    }
    if (code == RILL_EQUOTA && lane->header == NULL && rill_inlane_map(inbox, lane) == RILL_OK) {
        atomic_store_explicit(&lane->header->refused, code, memory_order_relaxed); /* so that its owner learns of it */
    }
    if (code != RILL_OK) {
        if (rill_inbox_is_fault(code))
            inbox->faults[fault_index(code)]++;
        atomic_store_explicit(&lane->dropped, 1, memory_order_relaxed);
        close_rings(lane);
        rill_inlane_release(lane);
        return rill_inbox_is_fault(code) ? RILL_OK : code;
    }
    atomic_store_explicit(&lane->header->number, slot + 1, memory_order_relaxed); /* before the first arming, which orders it */
    rill_inbox_add_lane(inbox, lane, slot + 1);
    return RILL_OK;
}

int rill_inbox_retry_pending(struct rill_inbox *inbox)
{
    if (inbox->pending == RILL_NO_OBJECT)
        return RILL_OK;
    int code = rill_inbox_accept_lane(inbox, inbox->pending, inbox->pending_id);
    if (code == RILL_OK)
        inbox->pending = RILL_NO_OBJECT;
    return code;
}

/* ---- what was consumed ---- */

void rill_inbox_publish(struct rill_inbox *inbox, struct rill_inlane *lane)
{
    lane->published = lane->consumed;
    atomic_store_explicit(&lane->header->consumed_messages, lane->consumed_messages, memory_order_relaxed);
    if (!inbox->page_limit) {
        atomic_store_explicit(&lane->header->consumed, lane->consumed, memory_order_relaxed); /* for statistics only */
        return;
    }
    if (!rill_wake_consumed(lane->header, lane->consumed, &lane->rung_for))
        return;
    lane->owes_room = lane->room_socket == RILL_NO_OBJECT; /* it is still on its way */
    if (lane->owes_room)
        return;
    const unsigned char byte = 1;
    struct rill_run_of_bytes run = {.data = &byte, .size = sizeof byte};
    (void)rill_port_send(lane->room_socket, &run, 1, NULL, 0, false); /* full: it has a reason to wake already */
}

/* While messages keep coming, a sixteenth of the limit at a time is enough, unless the owner sleeps; a pause publishes everything. */
void rill_inbox_publish_all(struct rill_inbox *inbox, bool pause)
{
    for (uint32_t i = 0; i < inbox->active_count; i++) {
        struct rill_inlane *lane = inbox->active[i];
        uint64_t unpublished = lane->consumed - lane->published;
        bool asleep = atomic_load_explicit(&lane->header->room_at, memory_order_relaxed) != 0;
        if (unpublished && (pause || asleep || unpublished >= inbox->page_limit / 16))
            rill_inbox_publish(inbox, lane);
    }
}
