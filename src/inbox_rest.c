/* SPDX-License-Identifier: MIT */
/* An inbox between two channels (reuse.h). */
#include <string.h>

#include "../shm/wake.h"
#include "inbox.h"

static uint32_t count_lanes(const struct rill_inbox *inbox, struct rill_inlane **last)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < inbox->lane_capacity; i++) {
        if (inbox->lanes[i]) {
            *last = inbox->lanes[i];
            count++;
        }
    }
    return count;
}

/* Nothing of it is held or half done, but for what the owner may still do. */
static bool lane_can_rest(const struct rill_inlane *lane)
{
    return lane->ring_count == 1 && !lane->revoked && !lane->dead && !lane->arrivals && lane->chain == RILL_NO_OBJECT &&
           lane->room_socket == RILL_NO_OBJECT && lane->rings[0]->block && !lane->rings[0]->given_up && !lane->rings[0]->pending &&
           lane->returner.count == 0 && atomic_load_explicit(&lane->references, memory_order_acquire) == 2;
}

bool rill_inbox_can_rest(struct rill_inbox *inbox)
{
    struct rill_inlane *lane = NULL;
    uint32_t lanes = count_lanes(inbox, &lane);
    bool quiet = !inbox->chosen && inbox->pending == RILL_NO_OBJECT && inbox->faults[0] + inbox->faults[1] + inbox->faults[2] == 0;
    return quiet && (lanes == 0 || (lanes == 1 && lane_can_rest(lane)));
}

/* What its owner says, read once: it rests, and nothing lies in the ring, which is where it began. */
static bool lane_rests(const struct rill_inlane *lane, uint32_t exports)
{
    const struct rill_lane_header *header = lane->header;
    const struct rill_inring *ring = lane->rings[0];
    const struct rill_inblock *block = ring->block;
    return atomic_load_explicit(&header->closed, memory_order_seq_cst) == RILL_CLOSED_RESTING &&
           atomic_load_explicit(&header->imports, memory_order_relaxed) == exports &&
           atomic_load_explicit(&header->rings, memory_order_seq_cst) == 1 && !rill_ring_ready(&ring->reader) &&
           ring->reader.offset == header->ring[0].first.offset &&
           atomic_load_explicit(&block->references, memory_order_acquire) == RILL_INBLOCK_BIAS - block->lent;
}

/* The ring begins anew, in a block that is wiped as far as it was used. */
static void renew_lane(struct rill_inlane *lane)
{
    struct rill_inring *ring = lane->rings[0];
    memset(ring->reader.block, 0, (size_t)(ring->reader.position + RILL_HEADER_BYTES)); /* and the first header is free */
    ring->reader.position = 0;
    atomic_store_explicit(&ring->block->references, RILL_INBLOCK_BIAS, memory_order_relaxed);
    ring->block->lent = 0;
    ring->mark = ring->passed = ring->old = 0;
    lane->consumed = lane->published = lane->consumed_messages = 0;
    lane->rung_for = lane->unpacked = 0;
    lane->ending = lane->owes_room = false;
    lane->drained = 0;
    atomic_store_explicit(&lane->header->consumed, 0, memory_order_relaxed);
    atomic_store_explicit(&lane->header->consumed_messages, 0, memory_order_relaxed);
    atomic_store_explicit(&lane->header->unpacked, 0, memory_order_relaxed);
    lane->active = false;
    if (!(lane->parked & 1))
        rill_wake_arm(lane->header, &lane->parked);
}

bool rill_inbox_renew(struct rill_inbox *inbox, rill_object socket, uint32_t exports)
{
    struct rill_inlane *lane = NULL;
    uint32_t lanes = count_lanes(inbox, &lane);
    if (lane ? lanes > 1 || !lane_can_rest(lane) || !lane_rests(lane, exports) : exports != 0)
        return false;
    if (lane)
        renew_lane(lane);
    inbox->socket = socket;
    inbox->active_count = 0;
    rill_inbox_end_streak(inbox);
    inbox->disconnected = inbox->pending_seen = false;
    inbox->unsettled = 0;
    inbox->undropped = inbox->restless = false; /* that was the old socket */
    inbox->rings_seen = atomic_load_explicit(&inbox->page->rings, memory_order_relaxed);
    inbox->rang_seen = atomic_load_explicit(&inbox->page->rang, memory_order_relaxed);
    inbox->wakeups = 0;
    return true;
}
