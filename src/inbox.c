/* SPDX-License-Identifier: MIT */
/* The next message out of all lanes, sleeping, and the life of an inbox. */
#include "inbox_parts.h"

#include <stdlib.h>
#include <string.h>

#include "../shm/carry.h"
#include "../shm/fence.h"
#include "../shm/wake.h"
#include "handle.h"
#include "message.h"
#include "piece.h"
#include "process.h"
#include "source.h"
#include "streak.h"

#define SKIPS_MOST 64u          /* records that are none passed over at one look */
#define RUN_MOST 512u           /* messages delivered before everything is looked at again */
#define OLD_LEAST ((uint64_t)16 << 20) /* bytes: a ring is marked again no sooner, which asks the system */
#define LINKS_MOST 8            /* links of a ring followed at one look: a hostile one could go round for ever */
#define PUBLISH_EVERY ((uint64_t)64 << 10)
#define ABSORB_EVERY 1024u      /* looks: what a hostile sender's writes to the page can hide is found then */
#define SETTLE_AFTER 4u
#define DRAINS_MOST 4u          /* looks at the socket for the packet of a record whose owner is gone */
#define LOOK_AGAIN 1            /* internal: a lane was dropped, the look has to start anew */
#define PENDING 2               /* internal: the objects of a record have not come yet */

/* ---- looking ---- */

/* Goes on behind the head of a ring, which is no message: its handles could not be sent. RILL_EPEER: it was none of that. */
static int pass_over(struct rill_inbox *inbox, struct rill_inring *ring)
{
    struct rill_record record;
    struct rill_large large = {0};
    ring->pending = NULL;
    int code = rill_ring_peek(&ring->reader, &record);
    if (code != RILL_OK || !record.carried)
        return RILL_EPEER;
    if (record.kind == RILL_KIND_LARGE) {
        unsigned char *block;
        memcpy(&large, record.payload, sizeof large);
        code = large.offset < RILL_PAGE_BYTES || large.offset % 8 || large.capacity < large.size
                   ? RILL_EPEER
                   : rill_inlane_at(ring->lane, large.offset, large.capacity, &block);
        if (code != RILL_OK)
            return code;
        rill_inlane_give_back(ring->lane, large.offset, block, large.capacity);
    }
    if (record.ticket)
        ring->reader.last_ticket = record.ticket;
    rill_inbox_count_taken(inbox, ring, record.length, record.length + large.size + record.carried->held);
    ring->lane->consumed_messages--;
    return RILL_OK;
}

/* The head of a ring, if it is a message that can be delivered. Passes over those that turned out to be none. RILL_EEMPTY: there is nothing. PENDING: its
 * packet has not come. LOOK_AGAIN: a link, to be followed first. */
static int settle_head(struct rill_inbox *inbox, struct rill_inring *ring, struct rill_record *head)
{
    ring->pending = NULL;
    for (unsigned i = 0; i < SKIPS_MOST; i++) {
        int code = rill_ring_peek(&ring->reader, head);
        if (code != RILL_OK)
            return code;
        if (head->kind == RILL_KIND_LINK)
            return LOOK_AGAIN;
        if (!head->carried)
            return RILL_OK;
        uint32_t state = rill_carry_state(head->carried);
        if (state == RILL_CARRY_SKIPPED || state == RILL_CARRY_DROPPED) {
            code = pass_over(inbox, ring);
            if (code != RILL_OK)
                return code;
            continue;
        }
        ring->pending_number = head->carried->number;
        if (rill_inlane_carry_stirs(ring->lane, state, ring->pending_number))
            return RILL_OK;
        ring->pending = head->carried;
        return PENDING;
    }
    return LOOK_AGAIN; /* so many: those behind them come at the next look */
}

/* Goes on to the block that a link names; the one that it leaves goes back to its owner. */
static int follow_link(struct rill_inring *ring, const struct rill_record *link)
{
    struct rill_span span;
    memcpy(&span, link->payload, sizeof span);
    unsigned char *block;
    int code = rill_inlane_at(ring->lane, span.offset, span.size, &block);
    if (code != RILL_OK)
        return code;
    struct rill_ring_reader next = ring->reader;
    code = rill_ring_open(&next, span, block);
    if (code != RILL_OK)
        return code;
    rill_inring_leave_block(ring);
    ring->reader = next;
    ring->block = rill_inblock_enter(ring->lane, span, block);
    return RILL_OK;
}

static int follow_links(struct rill_inring *ring)
{
    struct rill_record record;
    for (unsigned i = 0; i < LINKS_MOST && !ring->given_up; i++) {
        int code = rill_ring_peek(&ring->reader, &record);
        if (code != RILL_OK || record.kind != RILL_KIND_LINK)
            return code == RILL_EEMPTY ? RILL_OK : code;
        code = follow_link(ring, &record);
        if (code != RILL_OK)
            return code;
    }
    return RILL_OK;
}

/* Heads that wait for a packet which never came: their owner did not get to send it. G2 of shm/carry.h. False: look once more. */
static bool drop_pending_heads(struct rill_inbox *inbox, struct rill_inlane *lane)
{
    bool waits = false;
    for (uint32_t i = 0; i < lane->ring_count; i++)
        waits = waits || lane->rings[i]->pending;
    if (!waits)
        return true;
    if (lane->drained++ == 0) {
        (void)rill_inbox_take_packets(inbox); /* what the owner sent before it died is there */
        return false;
    }
    for (uint32_t i = 0; i < lane->ring_count; i++) {
        struct rill_inring *ring = lane->rings[i];
        bool dropped = !ring->pending || rill_carry_drop((struct rill_carried *)(uintptr_t)ring->pending);
        if (!dropped && lane->drained <= DRAINS_MOST)
            return (void)rill_inbox_take_packets(inbox), false; /* it is alive, and was faster */
        ring->given_up = ring->given_up || (!dropped && lane->drained > DRAINS_MOST);
        if (ring->pending && !ring->given_up && pass_over(inbox, ring) != RILL_OK)
            ring->given_up = true;
    }
    return false;
}

/* The owner of a channel's only lane has closed its sender, and may be given another one (reuse.h): the lane stays, armed. True: it rests. */
static bool rest_lane(struct rill_inbox *inbox, struct rill_inlane *lane)
{
    if (!inbox->may_rest || inbox->lane_count != 1 || lane->dead || lane->revoked ||
        atomic_load_explicit(&lane->header->closed, memory_order_seq_cst) != RILL_CLOSED_RESTING)
        return false;
    rill_inbox_remove_active(inbox, lane);
    lane->ending = false;
    if (rill_inlane_arm(lane))
        rill_port_fence_others();
    if (atomic_load_explicit(&lane->header->closed, memory_order_seq_cst) != RILL_CLOSED_RESTING || rill_inring_stirs(lane->rings[0]))
        rill_inbox_activate(inbox, lane); /* P2 of wake.h: it is in use again */
    return true;
}

/* No ring is added from here on, and an owner that commits without a fence will see it. True: it did so, and may have committed something meanwhile. */
static bool revoke(struct rill_inlane *lane)
{
    uint32_t rings = atomic_exchange_explicit(&lane->header->rings, RILL_RINGS_REVOKED, memory_order_seq_cst);
    if (rings != RILL_RINGS_REVOKED)
        lane->last_rings = rings;
    if (lane->revoked)
        return false;
    lane->revoked = true; /* so it stays armed */
    if (!rill_inlane_arm(lane))
        return false;
    rill_port_fence_others();
    return true;
}

static bool give_up(struct rill_inring *ring, uint32_t index)
{
    if (ring->given_up)
        return true;
    const struct rill_ring_reader *reader = &ring->reader;
    ring->given_up = rill_ring_poison(&ring->reader) && (index > 0 || rill_fence_ended(ring->lane->header, reader->offset + reader->position));
    return ring->given_up;
}

/* The lane's owner is gone: once its rings are empty they are given up for good. True: it was dropped. */
static bool finish_lane(struct rill_inbox *inbox, struct rill_inlane *lane)
{
    for (uint32_t i = 0; i < lane->ring_count; i++)
        if (rill_inring_stirs(lane->rings[i]))
            return false;
    uint32_t number = lane->number;
    if (!drop_pending_heads(inbox, lane))
        return inbox->lanes[number - 1] != lane; /* taking packets may have closed it */
    if (rest_lane(inbox, lane))
        return true;
    if (revoke(lane) || lane->last_rings != lane->ring_count) /* one was added just now: the next look opens it */
        return false;
    for (uint32_t i = 0; i < lane->ring_count; i++)
        if (!give_up(lane->rings[i], i))
            return false;
    rill_inbox_drop_lane(inbox, lane);
    return true;
}

/* Brings what is known of an active lane up to date. LOOK_AGAIN: the lane was dropped. */
static int update_lane(struct rill_inbox *inbox, struct rill_inlane *lane)
{
    if (atomic_load_explicit(&lane->header->closed, memory_order_seq_cst)) /* before the rings are read: no record follows it */
        lane->ending = true;
    uint32_t rings = atomic_load_explicit(&lane->header->rings, memory_order_seq_cst);
    int code = rill_inlane_open_rings(lane, rings == RILL_RINGS_REVOKED && lane->revoked ? lane->last_rings : rings);
    for (uint32_t i = 0; i < lane->ring_count && code == RILL_OK; i++)
        code = follow_links(lane->rings[i]);
    if (rill_inbox_is_fault(code)) {
        rill_inbox_refuse_lane(inbox, lane, code);
        return LOOK_AGAIN;
    }
    if (code == RILL_OK && lane->ending && finish_lane(inbox, lane))
        return LOOK_AGAIN;
    return code;
}

static int update_lanes(struct rill_inbox *inbox)
{
    for (uint32_t i = 0; i < inbox->active_count;) {
        int code = update_lane(inbox, inbox->active[i]);
        if (code == RILL_OK)
            i++;
        else if (code != LOOK_AGAIN)
            return code;
    }
    return RILL_OK;
}

/* The entry of a ring's head in the order. As settle_head. RILL_EPEER: its tickets do not rise. */
static int entry_of(struct rill_inbox *inbox, struct rill_inring *ring, struct rill_order_entry *entry)
{
    struct rill_record head;
    int code = settle_head(inbox, ring, &head);
    if (code != RILL_OK)
        return code;
    if (head.ticket && head.ticket <= ring->reader.last_ticket)
        return RILL_EPEER;
    uint64_t floor = ring->floor < inbox->drawn ? ring->floor : inbox->drawn;
    *entry = (struct rill_order_entry){.rank = head.ticket < floor ? floor : head.ticket, .ticket = head.ticket, .source = ring};
    return RILL_OK;
}

static void raise_floor(struct rill_inring *ring, uint64_t floor)
{
    if (ring->floor < floor)
        ring->floor = floor;
}

/* F2 of order.h: has it delivered all that can have been in it when it was marked? Then it is marked again. */
static void mark_ring(const struct rill_inbox *inbox, struct rill_inring *ring)
{
    if (ring->passed <= ring->old)
        return;
    raise_floor(ring, ring->mark);
    ring->mark = inbox->drawn;
    ring->passed = 0;
    const struct rill_inlane *lane = ring->lane;
    if (rill_port_memory_used(lane->own ? lane->own->segment.memory : lane->memory, &ring->old) != RILL_OK)
        ring->old = UINT64_MAX;
    if (ring->old < OLD_LEAST)
        ring->old = OLD_LEAST;
}

/* F1: it has no head. One whose packet has not come is none, its send has not returned. */
static void note_empty(struct rill_inbox *inbox, struct rill_inring *ring, int code)
{
    inbox->pending_seen = inbox->pending_seen || code == PENDING;
    raise_floor(ring, inbox->drawn);
}

static int collect_ring(struct rill_inbox *inbox, struct rill_inring *ring)
{
    if (ring->given_up)
        return RILL_OK;
    mark_ring(inbox, ring);
    struct rill_order_entry entry;
    int code = entry_of(inbox, ring, &entry);
    if (code == RILL_OK)
        rill_order_push(&inbox->order, entry);
    else if (code == RILL_EEMPTY || code == PENDING)
        note_empty(inbox, ring, code);
    return code < 0 && code != RILL_EEMPTY ? code : RILL_OK;
}

static int collect(struct rill_inbox *inbox)
{
    size_t rings = 0;
    for (uint32_t i = 0; i < inbox->active_count; i++)
        rings += inbox->active[i]->ring_count;
    int code = rill_order_reserve(&inbox->order, rings);
    inbox->order.count = 0;
    inbox->pending_seen = false;
    for (uint32_t i = 0; i < inbox->active_count && code == RILL_OK; i++) {
        struct rill_inlane *lane = inbox->active[i];
        for (uint32_t r = 0; r < lane->ring_count && code == RILL_OK; r++)
            code = collect_ring(inbox, lane->rings[r]);
        if (rill_inbox_is_fault(code)) {
            rill_inbox_refuse_lane(inbox, lane, code);
            return LOOK_AGAIN;
        }
    }
    return code;
}

/* Does the control page tell of packets that have to be taken? One ring alone has no order with others, and is armed only while we sleep. */
static bool packets_wait(const struct rill_inbox *inbox)
{
    if (inbox->pending_seen && atomic_load_explicit(&inbox->page->rang, memory_order_seq_cst) != inbox->rang_seen)
        return true;
    uint32_t rings = atomic_load_explicit(&inbox->page->rings, memory_order_seq_cst);
    return rings != inbox->rings_seen || (rings > 1 && atomic_load_explicit(&inbox->page->rang, memory_order_seq_cst) != inbox->rang_seen);
}

/* A packet could not be taken for want of descriptors or memory. What waits for its turn may hold just these; if there is but one ring, nothing that is not
 * here yet can come before it. */
static bool can_go_on(const struct rill_inbox *inbox, int shortage)
{
    return (shortage == RILL_ENOFD || shortage == RILL_ENOMEM) && atomic_load_explicit(&inbox->page->rings, memory_order_seq_cst) <= 1;
}

/* One look at everything that is not armed: T1 to T3 of order.h. RILL_EEMPTY: nothing. */
static int look_once(struct rill_inbox *inbox)
{
    inbox->drawn = atomic_load_explicit(&inbox->page->ticket, memory_order_seq_cst); /* T1 */
    inbox->bound = inbox->drawn;
    inbox->run_left = RUN_MOST;
    bool stirred = packets_wait(inbox); /* T2 */
    bool routine = ++inbox->looks % ABSORB_EVERY == 0;
    int shortage = RILL_OK;
    if ((stirred || routine) && !inbox->disconnected) {
        shortage = routine ? rill_inbox_absorb(inbox) : rill_inbox_take_packets(inbox);
        if (shortage == RILL_EDISCONNECTED)
            shortage = RILL_OK;
        if (shortage != RILL_OK && !can_go_on(inbox, shortage))
            return shortage;
    }
    int code = update_lanes(inbox);
    if (code == RILL_OK)
        code = collect(inbox); /* T3 */
    if (code != RILL_OK)
        return code;
    return inbox->order.count ? RILL_OK : shortage != RILL_OK ? shortage : RILL_EEMPTY;
}

/* What a header says of the messages of a streak. */
static void remember_header(struct rill_streak *streak, uint64_t word)
{
    streak->word = word;
    streak->size = RILL_HEADER_SIZE(word);
    streak->length = RILL_HEADER_BYTES + (word & RILL_HEADER_STAMPED ? RILL_TICKET_BYTES : 0) + rill_ring_padded(streak->size);
}

/* A streak of stamped messages remembers a stamped header, any other an unstamped one; and never a free one. */
static void start_streak(struct rill_streak *streak, struct rill_inring *ring, uint32_t left, uint64_t below)
{
    uint64_t stamped = below ? RILL_HEADER_STAMPED : 0;
    streak->ring = ring;
    streak->left = left;
    streak->below = below;
    if ((streak->word & RILL_HEADER_STAMPED) != stamped)
        remember_header(streak, RILL_HEADER(RILL_KIND_INLINE, 0) | stamped);
}

/* Is the only thing to deliver an unstamped message? Then those behind it need no look: each precedes whatever another ring can hold. */
static void begin_streak(struct rill_inbox *inbox)
{
    bool alone = inbox->order.count == 1 && inbox->order.heap[0].ticket == 0;
    start_streak(&inbox->streak, alone ? inbox->order.heap[0].source : NULL, alone ? RUN_MOST : 0, 0);
    if (alone)
        inbox->order.count = 0;
}

/* The first ring in the order of tickets may go on by itself as long as nothing of it counts as more than the second. False: it has no such message. */
static bool begin_stamped_streak(struct rill_inbox *inbox)
{
    const struct rill_order *order = &inbox->order;
    if (order->count == 0 || order->heap[0].ticket == 0 || order->heap[0].ticket >= inbox->bound)
        return false;
    struct rill_inring *ring = order->heap[0].source;
    uint64_t second = rill_order_second(order);
    if (ring->floor >= second && inbox->drawn >= second)
        return false; /* they are level: only the tickets decide */
    start_streak(&inbox->streak, ring, inbox->run_left, second < inbox->bound ? second : inbox->bound);
    return true;
}

/* Looks until there is something that may be delivered. */
static int look(struct rill_inbox *inbox)
{
    rill_inbox_publish_all(inbox, false);
    bool waited = false;
    for (;;) {
        int code = look_once(inbox);
        if (code == LOOK_AGAIN)
            continue;
        if (code == RILL_EEMPTY)
            rill_inbox_publish_all(inbox, true);
        if (code != RILL_OK) {
            inbox->order.count = 0; /* of the look before: nothing of it has been chosen */
            return code;
        }
        if (inbox->order.heap[0].ticket < inbox->bound) {
            begin_streak(inbox);
            return RILL_OK;
        }
        /* A ticket that nobody has drawn. Drawn since the bound was read: look again. Still not: the counter was tampered with. */
        if (inbox->order.heap[0].ticket >= atomic_load_explicit(&inbox->page->ticket, memory_order_seq_cst)) {
            if (waited) {
                start_streak(&inbox->streak, NULL, 0, 0); /* its ring may be empty by now, or at a link */
                inbox->bound = inbox->order.heap[0].ticket + 1;
                return RILL_OK;
            }
            waited = true;
        }
    }
}

/* ---- the next message ---- */

/* The packet with the objects of a record. */
static int find_objects(struct rill_inlane *lane, uint32_t state, uint64_t number, uint32_t count, struct rill_arrival **arrival)
{
    *arrival = (struct rill_arrival *)(uintptr_t)rill_inlane_find_arrival(lane, number);
    while (!*arrival && state == RILL_CARRY_CHAINED) {
        struct rill_arrival *next;
        int code = lane->arrival_count < RILL_ARRIVALS_MOST ? rill_arrival_from_chain(&lane->chain, &next) : RILL_EPEER;
        if (code != RILL_OK)
            return code;
        rill_inlane_add_arrival(lane, next);
        *arrival = next->number == number ? next : NULL;
    }
    return *arrival ? rill_arrival_unpack(*arrival, count) : RILL_EPEER;
}

/* The same for its handles: record->payload and size are without their descriptions then. RILL_ENOFD, RILL_ENOMEM: nothing is lost. */
static int examine_handles(struct rill_inbox *inbox, struct rill_inring *ring, struct rill_record *record)
{
    struct rill_carried_copy *copy = &inbox->chosen_carried;
    uint32_t state = rill_carry_state(record->carried);
    uint32_t objects = record->carried->objects;
    uint64_t number = record->carried->number;
    copy->handles = record->carried->handles;
    inbox->chosen_weight += record->carried->held;
    copy->section = record->carried->section;
    copy->descriptions = record->payload;
    if (copy->section > record->size || copy->section % 8 || copy->section > RILL_SECTION_MOST || (state == RILL_CARRY_EMPTY && objects))
        return RILL_EPEER;
    if (objects > inbox->max_objects)
        return RILL_EQUOTA;
    record->payload += copy->section;
    record->size -= copy->section;
    return objects ? find_objects(ring->lane, state, number, objects, &copy->arrival) : RILL_OK;
}

/* Checks a record that describes a message, and finds its bytes. */
static int examine(struct rill_inbox *inbox, struct rill_inring *ring, struct rill_record *record)
{
    if (record->kind == RILL_KIND_LARGE) {
        struct rill_large large;
        memcpy(&large, record->payload, sizeof large);
        if (large.offset < RILL_PAGE_BYTES || large.offset % 8 || large.size == 0 || large.capacity < large.size)
            return RILL_EPEER;
        int code = rill_inlane_at(ring->lane, large.offset, large.capacity, &record->payload);
        if (code != RILL_OK)
            return code;
        rill_fetch_to_write(record->payload); /* both are written when it is given back */
        rill_fetch_to_write(&ring->lane->header->returned);
        inbox->chosen_large = large;
        inbox->chosen_block = record->payload;
        record->size = large.size;
        inbox->chosen_weight = record->length + large.size;
    } else {
        inbox->chosen_weight = record->length;
    }
    inbox->chosen_carried = (struct rill_carried_copy){0};
    int code = record->carried ? examine_handles(inbox, ring, record) : RILL_OK;
    if (code != RILL_OK)
        return code;
    return record->size > inbox->max_message ? RILL_EQUOTA : RILL_OK;
}

/* Makes a ring's head the next message. LOOK_AGAIN: its lane had to be closed. */
static int choose(struct rill_inbox *inbox, struct rill_inring *ring)
{
    struct rill_record *record = &inbox->record;
    int code = rill_ring_peek(&ring->reader, record);
    if (code == RILL_EEMPTY || (code == RILL_OK && record->kind == RILL_KIND_LINK))
        code = RILL_EPEER; /* it was a message when it was looked at */
    if (code == RILL_OK)
        code = examine(inbox, ring, record);
    if (rill_inbox_is_fault(code)) {
        rill_inbox_refuse_lane(inbox, ring->lane, code);
        return LOOK_AGAIN;
    }
    if (code == RILL_OK)
        inbox->chosen = ring;
    return code;
}

/* The message behind the last one, if that was unstamped and alone. LOOK_AGAIN: look at everything. */
static int choose_of_streak(struct rill_inbox *inbox)
{
    struct rill_inring *ring = inbox->streak.ring;
    if (!inbox->streak.left)
        return LOOK_AGAIN;
    struct rill_record record;
    int code = rill_ring_peek(&ring->reader, &record);
    if (code != RILL_OK || record.kind == RILL_KIND_LINK || record.ticket || record.carried)
        return LOOK_AGAIN;
    inbox->streak.left--;
    return choose(inbox, ring);
}

/* T4: the ring whose head was delivered goes on with the next. */
static void reorder(struct rill_inbox *inbox, struct rill_inring *ring)
{
    struct rill_order_entry entry;
    int code = inbox->run_left ? entry_of(inbox, ring, &entry) : LOOK_AGAIN;
    if (code == RILL_OK)
        rill_order_replace(&inbox->order, entry);
    else if (code == RILL_EEMPTY || code == PENDING) {
        note_empty(inbox, ring, code);
        rill_order_pop(&inbox->order);
    } else if (rill_inbox_is_fault(code))
        rill_inbox_refuse_lane(inbox, ring->lane, code);
    else
        inbox->order.count = 0;
}

/* Brings the order up to date. */
static void end_stamped_streak(struct rill_inbox *inbox)
{
    struct rill_inring *ring = inbox->streak.ring;
    if (!inbox->streak.below)
        return;
    inbox->run_left = inbox->streak.left;
    start_streak(&inbox->streak, NULL, 0, 0);
    reorder(inbox, ring);
}

static int next_message(void *state)
{
    struct rill_inbox *inbox = state;
    if (inbox->chosen)
        return RILL_OK;
    end_stamped_streak(inbox);
    int code = choose_of_streak(inbox);
    while (code == LOOK_AGAIN) {
        code = rill_inbox_next_fault(inbox);
        if (code != RILL_OK)
            return code;
        if (inbox->order.count == 0 || inbox->order.heap[0].ticket >= inbox->bound)
            code = look(inbox);
        if (code == RILL_EEMPTY && inbox->faults[0] + inbox->faults[1] + inbox->faults[2] > 0)
            code = LOOK_AGAIN;
        if (code == RILL_OK)
            code = choose(inbox, inbox->streak.ring ? inbox->streak.ring : inbox->order.heap[0].source);
    }
    return code == RILL_EEMPTY && inbox->disconnected ? RILL_EDISCONNECTED : code;
}

static uint64_t size_of_next(const void *state)
{
    const struct rill_inbox *inbox = state;
    return inbox->record.size;
}

static void consume(struct rill_inbox *inbox)
{
    struct rill_inring *ring = inbox->chosen;
    const struct rill_record *record = &inbox->record;
    inbox->chosen = NULL;
    if (record->ticket)
        ring->reader.last_ticket = record->ticket;
    rill_inbox_count_taken(inbox, ring, record->length, inbox->chosen_weight);
    if (inbox->order.count == 0 || inbox->order.heap[0].source != ring)
        return;
    ring->passed += inbox->chosen_weight;
    inbox->run_left--;
    reorder(inbox, ring);
}

/* An allocation of the lane's arena, which is the message's until it is closed. */
static rill_message *message_in_arena(const struct rill_inbox *inbox)
{
    rill_message *made = rill_message_make_small(0);
    if (!made)
        return NULL;
    made->lane = inbox->chosen->lane;
    rill_inlane_reference(made->lane);
    made->data = inbox->record.payload;
    made->size = inbox->record.size;
    made->front = (uint64_t)(inbox->record.payload - inbox->chosen_block);
    made->offset = inbox->chosen_large.offset;
    made->capacity = inbox->chosen_large.capacity;
    made->generation = made->lane->generation;
    rill_inlane_link_message(made->lane, made);
    return made;
}

/* A header of a streak unlike the last one: true if its message can be taken the short way, and is remembered then. */
static bool learn(struct rill_streak *streak, uint64_t word, uint64_t max_message)
{
    uint64_t size = RILL_HEADER_SIZE(word);
    unsigned kind = RILL_KIND_INLINE | (streak->below ? (unsigned)RILL_HEADER_STAMPED : 0);
    if ((word & (RILL_HEADER_STAMPED | RILL_HEADER_HANDLES | 7)) != kind || size > RILL_INLINE_MAX || size > max_message)
        return false;
    remember_header(streak, word);
    return true;
}

/* The head of a streak's ring, of whatever length. NULL: the general path has to see to it. */
static const unsigned char *peek_of_streak(struct rill_inbox *inbox)
{
    struct rill_streak *streak = &inbox->streak;
    if (!streak->left)
        return NULL;
    const struct rill_ring_reader *reader = &streak->ring->reader;
    uint64_t word = atomic_load_explicit(rill_ring_header(reader->block, reader->position), memory_order_acquire); /* R1, as in streak.h */
    bool known = word == streak->word || learn(streak, word, inbox->max_message);
    return known ? rill_streak_peek(inbox) : NULL;
}

/* The next message that is simple, of the streak that goes on or of one that begins in the order of tickets. */
static const unsigned char *peek_simple(struct rill_inbox *inbox)
{
    if (inbox->chosen)
        return NULL;
    const unsigned char *payload = peek_of_streak(inbox);
    if (payload)
        return payload;
    end_stamped_streak(inbox);
    return begin_stamped_streak(inbox) ? peek_of_streak(inbox) : NULL;
}

static void advance_simple(struct rill_inbox *inbox)
{
    const struct rill_inring *ring = inbox->streak.ring;
    if (rill_streak_advance(inbox))
        rill_inbox_publish(inbox, ring->lane);
}

bool rill_inbox_take_simple(struct rill_inbox *inbox, rill_message **message)
{
    const unsigned char *payload = peek_simple(inbox);
    rill_message *made = payload ? rill_inring_message(inbox->streak.ring, payload, inbox->streak.size) : NULL;
    if (!made)
        return false;
    *message = made;
    advance_simple(inbox);
    return true;
}

bool rill_inbox_take_simple_into(struct rill_inbox *inbox, void *buffer, size_t capacity, size_t *size)
{
    const unsigned char *payload = peek_simple(inbox);
    if (!payload || inbox->streak.size > capacity)
        return false;
    *size = (size_t)inbox->streak.size;
    if (*size)
        memcpy(buffer, payload, *size);
    advance_simple(inbox);
    return true;
}

/* The handles of the message that is chosen. Their objects stay the arrival's as well until `keep_handles`. */
static int make_handles(struct rill_inbox *inbox, struct rill_attachment **attachment)
{
    const struct rill_carried_copy *copy = &inbox->chosen_carried;
    const struct rill_arrival *arrival = copy->arrival;
    *attachment = NULL;
    if (!copy->descriptions)
        return RILL_OK;
    return rill_attachment_make(copy->descriptions, copy->section, arrival ? arrival->objects : NULL, arrival ? arrival->count : 0, copy->handles,
                                inbox->chosen->lane, attachment);
}

/* The message was made, and has the objects; or it was not, and they are closed. */
static void forget_arrival(struct rill_inbox *inbox, bool made)
{
    struct rill_arrival *arrival = inbox->chosen_carried.arrival;
    if (!arrival)
        return;
    (void)rill_inlane_take_arrival(inbox->chosen->lane, arrival->number);
    arrival->count = made ? 0 : arrival->count;
    rill_arrival_free(arrival);
    inbox->chosen_carried.arrival = NULL;
}

static int take(void *state, rill_message **message)
{
    struct rill_inbox *inbox = state;
    const struct rill_record *record = &inbox->record;
    struct rill_attachment *attachment;
    int code = make_handles(inbox, &attachment);
    if (code == RILL_EPEER) {
        rill_inbox_refuse_lane(inbox, inbox->chosen->lane, code);
        return rill_inbox_next_fault(inbox);
    }
    if (code != RILL_OK)
        return code;
    rill_message *made = record->kind == RILL_KIND_LARGE ? message_in_arena(inbox) : rill_inring_message(inbox->chosen, record->payload, record->size);
    if (!made) {
        rill_attachment_discard(attachment);
        return RILL_ENOMEM;
    }
    made->attached = attachment;
    forget_arrival(inbox, true);
    consume(inbox);
    *message = made;
    return RILL_OK;
}

static int take_into(void *state, void *buffer)
{
    struct rill_inbox *inbox = state;
    const struct rill_record *record = &inbox->record;
    struct rill_attachment *attachment;
    if (record->size)
        memcpy(buffer, record->payload, record->size);
    if (record->kind == RILL_KIND_LARGE)
        rill_inlane_give_back(inbox->chosen->lane, inbox->chosen_large.offset, inbox->chosen_block, inbox->chosen_large.capacity);
    bool made = make_handles(inbox, &attachment) == RILL_OK;
    forget_arrival(inbox, made);
    if (made)
        rill_attachment_free(attachment); /* nobody takes them */
    consume(inbox);
    return RILL_OK;
}

/* ---- sleeping ---- */

static bool lane_stirs(const struct rill_inlane *lane)
{
    for (uint32_t i = 0; i < lane->ring_count; i++)
        if (rill_inring_stirs(lane->rings[i])) /* P2 of wake.h */
            return true;
    return lane->ending || atomic_load_explicit(&lane->header->closed, memory_order_seq_cst) != 0 ||
           atomic_load_explicit(&lane->header->rings, memory_order_seq_cst) != lane->ring_count;
}

static bool stirs(const void *state)
{
    const struct rill_inbox *inbox = state;
    for (uint32_t i = 0; i < inbox->active_count; i++)
        if (lane_stirs(inbox->active[i]))
            return true;
    return packets_wait(inbox);
}

bool rill_inbox_traffic(const struct rill_inbox *inbox, struct rill_traffic *traffic)
{
    if (inbox->active_count != 1 || inbox->active[0]->ring_count != 1 || packets_wait(inbox))
        return false;
    const struct rill_inlane *lane = inbox->active[0];
    const struct rill_ring_control *control = &lane->header->ring[0];
    traffic->messages = atomic_load_explicit(&control->sent_messages, memory_order_relaxed);
    traffic->bytes = atomic_load_explicit(&control->sent_weight, memory_order_relaxed);
    traffic->queued = traffic->bytes - lane->consumed;
    return true;
}

static void arm_all(struct rill_inbox *inbox)
{
    bool unfenced = false;
    for (uint32_t i = 0; i < inbox->active_count; i++)
        if (!(inbox->active[i]->parked & 1))
            unfenced |= rill_inlane_arm(inbox->active[i]);
    if (unfenced)
        rill_port_fence_others();
}

static void disarm_all(struct rill_inbox *inbox)
{
    for (uint32_t i = 0; i < inbox->active_count; i++)
        rill_inlane_disarm(inbox->active[i]);
}

/* Nothing came: the lanes that were armed for this sleep, still in their places, are looked at again without a packet. */
static void reactivate(struct rill_inbox *inbox, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        rill_inbox_activate(inbox, inbox->active[i]);
}

static bool anything_active_stirs(const struct rill_inbox *inbox)
{
    for (uint32_t i = 0; i < inbox->active_count; i++)
        if (lane_stirs(inbox->active[i]))
            return true;
    return false;
}

/* Notes for later, when these lanes may be armed, that some have memory to trim. Read without the lock: what another thread gives back at this moment is
 * seen at the next sleep. */
static bool anything_rests(struct rill_inbox *inbox)
{
    uint32_t noted = rill_rests_noted();
    inbox->rests |= noted != inbox->rests_seen;
    inbox->rests_seen = noted;
    for (uint32_t i = 0; i < inbox->active_count && !inbox->rests; i++)
        inbox->rests = rill_inlane_rests(inbox->active[i]);
    return inbox->rests;
}

/* Shall a sleep without deadline end after a while? While it stays so, that costs no call. */
static void set_restless(struct rill_inbox *inbox, bool restless)
{
    if (inbox->restless != restless && rill_port_set_patience(inbox->socket, restless ? RILL_TRIM_AFTER : 0))
        inbox->restless = restless;
}

static int64_t trim_lanes(void *state, int64_t now)
{
    struct rill_inbox *inbox = state;
    int64_t next = RILL_FOREVER;
    if (!anything_rests(inbox))
        return RILL_FOREVER;
    for (uint32_t i = 0; i < inbox->lane_capacity; i++) {
        int64_t due = inbox->lanes[i] ? rill_inlane_trim(inbox->lanes[i], now) : RILL_FOREVER;
        next = due < next ? due : next;
    }
    inbox->rests = next != RILL_FOREVER;
    return next;
}

/* For a receiver that only polls. */
void rill_inbox_trim_awake(struct rill_inbox *inbox)
{
    if (!anything_rests(inbox))
        return;
    int64_t now = rill_port_clock();
    if (inbox->trim_at <= now)
        inbox->trim_at = trim_lanes(inbox, now);
    if (inbox->trim_at == RILL_FOREVER)
        inbox->trim_at = 0; /* what rests next is looked at anew */
}

/* Gives silent owners' memory to the system, and mappings of pools. When to do it again; RILL_FOREVER: nothing is left. */
static int64_t trim(struct rill_inbox *inbox)
{
    bool pieces = rill_pieces_kept();
    if (!pieces && !anything_rests(inbox))
        return RILL_FOREVER;
    int64_t now = rill_port_clock(), next = trim_lanes(inbox, now);
    if (pieces)
        next = now + RILL_TRIM_AFTER < next ? now + RILL_TRIM_AFTER : next;
    return next;
}

/* Takes all packets. RILL_EREADY: there were some, or no sender is left. */
static int settle_packets(struct rill_inbox *inbox)
{
    uint64_t before = inbox->wakeups;
    int code = rill_inbox_take_packets(inbox);
    if (code == RILL_EDISCONNECTED || (code == RILL_OK && inbox->wakeups != before))
        return RILL_EREADY;
    return code;
}

/* Arms every lane that was looked at, and looks once more. From here on no lane is read before its packet, or a look at all of them, has made it
 * active again: a lane that had rung for its number and were read without, would be silent with its next message. */
static int arm_lanes(struct rill_inbox *inbox)
{
    (void)anything_rests(inbox);
    rill_inbox_publish_all(inbox, true);
    arm_all(inbox);
    if (anything_active_stirs(inbox) || rill_inbox_found_dead_before_sleep(inbox)) {
        disarm_all(inbox);
        return RILL_EREADY;
    }
    for (uint32_t i = 0; i < inbox->active_count; i++)
        inbox->active[i]->active = false;
    inbox->active_count = 0;
    rill_inbox_end_streak(inbox);
    return RILL_OK;
}

/* What the page tells of is taken here: those packets may have made the socket readable before, and would not do it again. */
static int arm(void *state)
{
    struct rill_inbox *inbox = state;
    int code = rill_inbox_retry_pending(inbox);
    rill_inbox_settle_socket(inbox); /* what it leaves there would be taken for a reason to wake */
    if (code == RILL_OK && (inbox->disconnected || inbox->faults[0] + inbox->faults[1] + inbox->faults[2] > 0))
        code = RILL_EREADY;
    if (code == RILL_OK && (inbox->unsettled >= SETTLE_AFTER || inbox->more_packets || packets_wait(inbox)))
        code = settle_packets(inbox);
    return code == RILL_OK ? arm_lanes(inbox) : code;
}

static int arrived(void *state)
{
    int code = rill_inbox_take_packets(state);
    return code == RILL_EDISCONNECTED ? RILL_OK : code;
}

static int sleep_until(void *state, rill_object event, int64_t deadline, uint64_t *slept)
{
    struct rill_inbox *inbox = state;
    int code = rill_inbox_retry_pending(inbox);
    if (code == RILL_OK && inbox->unsettled >= SETTLE_AFTER)
        code = settle_packets(inbox);
    uint32_t armed = inbox->active_count;
    bool for_ever = deadline == RILL_FOREVER && event == RILL_NO_OBJECT;
    int64_t trim_at = trim(inbox);
    if (for_ever)
        set_restless(inbox, trim_at != RILL_FOREVER);
    if (code == RILL_OK)
        code = arm_lanes(inbox);
    if (code != RILL_OK)
        return code == RILL_EREADY ? RILL_OK : code;
    ++*slept;
    code = rill_inbox_take_packet(inbox, event, for_ever || deadline < trim_at ? deadline : trim_at);
    if (code == RILL_ETIMEDOUT && (for_ever || trim_at < deadline)) {
        reactivate(inbox, armed);
        inbox->restless |= for_ever; /* whoever set the patience */
        (void)rill_pieces_drop(rill_port_clock() - RILL_TRIM_AFTER);
        return RILL_OK;
    }
    if (code == RILL_ETIMEDOUT || code == RILL_EINTERRUPTED || code == RILL_EEMPTY)
        reactivate(inbox, armed);
    return code == RILL_EDISCONNECTED ? RILL_OK : code;
}

const struct rill_source rill_inbox_source = {
    .next = next_message,
    .untold = rill_inbox_untold_fault,
    .size = size_of_next,
    .take = take,
    .take_into = take_into,
    .stirs = stirs,
    .absorb = rill_inbox_absorb,
    .arrived = arrived,
    .arm = arm,
    .sleep = sleep_until,
    .trim = trim_lanes,
    .pack = rill_inbox_pack,
    .unpack = rill_inbox_unpack,
    .moved = rill_inbox_moved,
};

/* ---- life ---- */

int rill_inbox_create(struct rill_page *page, rill_object socket, struct rill_inbox **inbox)
{
    struct rill_inbox *made = calloc(1, sizeof *made);
    if (!made)
        return RILL_ENOMEM;
    made->page = page;
    made->page_limit = page->limit;
    made->socket = socket;
    made->pending = RILL_NO_OBJECT;
    made->publish_every = page->limit && page->limit / 16 < PUBLISH_EVERY ? page->limit / 16 : PUBLISH_EVERY;
    made->max_lanes = page->max_lanes ? page->max_lanes : 16384;
    made->max_lane_bytes = page->max_lane_bytes ? page->max_lane_bytes : rill_port_memory_total();
    made->max_message = page->max_message ? page->max_message : UINT64_MAX;
    made->max_objects = page->max_objects ? page->max_objects : RILL_OBJECTS_MOST;
    remember_header(&made->streak, RILL_HEADER(RILL_KIND_INLINE, 0)); /* so that a free header is none that is remembered */
    *inbox = made;
    return RILL_OK;
}

static void renew_locks(struct rill_inbox *inbox)
{
    for (uint32_t i = 0; i < inbox->lane_capacity; i++)
        if (inbox->lanes[i])
            (void)pthread_mutex_init(&inbox->lanes[i]->lock, NULL);
}

void rill_inbox_destroy(struct rill_inbox *inbox, bool inherited)
{
    if (inherited)
        renew_locks(inbox); /* a thread of the parent may have held one */
    for (uint32_t i = 0; i < inbox->lane_capacity; i++)
        if (inbox->lanes[i])
            rill_inbox_drop_lane(inbox, inbox->lanes[i]);
    rill_port_close(inbox->pending);
    rill_arrival_free(inbox->spare);
    rill_order_free(&inbox->order);
    free(inbox->lanes);
    free(inbox->active);
    free(inbox);
}

/* What the parent reads in place goes back by the parent. */
static void forget_parents_messages(struct rill_inlane *lane)
{
    lane->lent = NULL;
    lane->blocks = NULL;
    for (uint32_t i = 0; i < lane->ring_count; i++) {
        struct rill_inblock *block = lane->rings[i]->block;
        if (!block)
            continue;
        block->previous = NULL;
        block->next = lane->blocks;
        if (lane->blocks)
            lane->blocks->previous = block;
        lane->blocks = block;
    }
}

/* A lane of the parent's own is another process's here: it needs a view and a handle like any other. */
static int inherit_lane(struct rill_inbox *inbox, struct rill_inlane *lane)
{
    lane->generation = atomic_load_explicit(&rill_generation, memory_order_relaxed);
    forget_parents_messages(lane);
    lane->returner.count = 0; /* the parent gives these back, or has by now */
    atomic_store_explicit(&lane->returner.resting, true, memory_order_relaxed);
    if (!lane->own)
        return RILL_OK;
    rill_object memory;
    int code = rill_port_duplicate(lane->own->segment.memory, &memory);
    if (code != RILL_OK)
        return code;
    code = rill_view_open(&lane->view, memory, inbox->max_lane_bytes);
    for (uint32_t i = 0; i < lane->ring_count && code == RILL_OK; i++) {
        struct rill_inring *ring = lane->rings[i];
        code = rill_view_at(&lane->view, ring->reader.offset, ring->reader.size, &ring->reader.block);
        if (ring->block && code == RILL_OK)
            ring->block->base = ring->reader.block;
    }
    unsigned char *header = NULL;
    if (code == RILL_OK)
        code = rill_view_at(&lane->view, 0, RILL_PAGE_BYTES, &header);
    if (code != RILL_OK) {
        rill_view_close(&lane->view);
        rill_port_close(memory);
        return code;
    }
    lane->header = (struct rill_lane_header *)(void *)header;
    lane->memory = memory;
    lane->own = NULL; /* what it refers to is the parent's; its mapping stays for messages read in place */
    return RILL_OK;
}

int rill_inbox_inherit(struct rill_inbox *inbox)
{
    renew_locks(inbox);
    inbox->restless = false; /* the parent may change it still; whatever it is, the next sleep sees to it */
    inbox->chosen = NULL;
    rill_inbox_end_streak(inbox);
    for (uint32_t i = 0; i < inbox->lane_capacity; i++) {
        if (inbox->lanes[i]) {
            int code = inherit_lane(inbox, inbox->lanes[i]);
            if (code != RILL_OK)
                return code;
        }
    }
    return RILL_OK;
}
