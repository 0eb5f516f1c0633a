/* SPDX-License-Identifier: MIT */
/* What the files of an inbox (inbox.c, inlane.c, inbox_packets.c) share; each call is explained where it stands, or here. */
#ifndef RILL_INBOX_PARTS_H
#define RILL_INBOX_PARTS_H

#include "../shm/carry.h"
#include "../shm/fence.h"
#include "../shm/wake.h"
#include "inbox.h"

/* Packets of objects that may wait for their records; an honest owner has one under way for each thread, and 8 on the socket. */
#define RILL_ARRIVALS_MOST 256u

/* ---- what a spinning receiver asks ---- */

/* The objects of this number, if they came already. */
static inline const struct rill_arrival *rill_inlane_find_arrival(const struct rill_inlane *lane, uint64_t number)
{
    const struct rill_arrival *found = lane->arrivals;
    while (found && found->number != number)
        found = found->next;
    return found;
}

/* G1 and G3 of shm/carry.h: can a record with this state be dealt with? One in the chain can as soon as the chain itself has come, as a packet. */
static inline bool rill_inlane_carry_stirs(const struct rill_inlane *lane, uint32_t state, uint64_t number)
{
    bool on_socket = state == RILL_CARRY_PENDING || state == RILL_CARRY_SENT;
    bool waits = on_socket || (state == RILL_CARRY_CHAINED && lane->chain == RILL_NO_OBJECT);
    return !waits || rill_inlane_find_arrival(lane, number);
}

/* May the ring have something to deliver? */
static inline bool rill_inring_stirs(const struct rill_inring *ring)
{
    if (ring->given_up)
        return false;
    if (ring->pending)
        return rill_inlane_carry_stirs(ring->lane, rill_carry_state(ring->pending), ring->pending_number);
    return rill_ring_ready(&ring->reader);
}

/* Gives the lane a new odd number. True: its owner commits without a fence, so the look that follows has to stand behind a rill_port_fence_others. */
static inline bool rill_inlane_arm(struct rill_inlane *lane)
{
    lane->parked += lane->parked & 1;
    rill_wake_arm(lane->header, &lane->parked); /* P1 of shm/wake.h, X1 of shm/fence.h */
    return rill_fence_lane_unfenced(lane->header); /* X2 */
}

/* Not one that is given up: its owner shall see it, whenever it comes to send. */
static inline void rill_inlane_disarm(struct rill_inlane *lane)
{
    if ((lane->parked & 1) && !lane->revoked)
        rill_wake_disarm(lane->header, &lane->parked);
}

/* ---- inlane.c ---- */

/* A fault that was not told yet, or RILL_OK. */
int rill_inbox_next_fault(struct rill_inbox *inbox);
/* For struct rill_source. */
void rill_inbox_untold_fault(void *state, int code);
/* Is it one for which a lane is closed? */
bool rill_inbox_is_fault(int code);
/* Gives a block back to the lane's owner. */
void rill_inlane_give_back(struct rill_inlane *lane, uint64_t offset, unsigned char *block, uint64_t size);
/* Notes a message that lies in the arena. */
void rill_inlane_link_message(struct rill_inlane *lane, rill_message *message);
/* Counts up when a large block comes to rest, in any lane, also one that is armed. */
uint32_t rill_rests_noted(void);
/* Has its owner memory that it could do without? A hint. */
bool rill_inlane_rests(const struct rill_inlane *lane);
/* Gives that to the system if it has not been used for RILL_TRIM_AFTER. When to ask again; RILL_FOREVER: there is nothing. */
int64_t rill_inlane_trim(struct rill_inlane *lane, int64_t now);
/* The ring goes on elsewhere. */
void rill_inring_leave_block(struct rill_inring *ring);
/* Where it would go to the system for packets, and finds none. */
void rill_inbox_trim_awake(struct rill_inbox *inbox);
/* From now on the lane is looked at. */
void rill_inbox_activate(struct rill_inbox *inbox, struct rill_inlane *lane);
/* From now on it is not. */
void rill_inbox_remove_active(struct rill_inbox *inbox, struct rill_inlane *lane);
/* The lane is gone: what it holds goes, too. */
void rill_inbox_drop_lane(struct rill_inbox *inbox, struct rill_inlane *lane);
void rill_inbox_refuse_lane(struct rill_inbox *inbox, struct rill_inlane *lane, int code);
int rill_inlane_open_rings(struct rill_inlane *lane, uint32_t count);
int rill_inbox_accept_lane(struct rill_inbox *inbox, rill_object memory, uint64_t id);
/* An announced lane for which there was no memory is tried again. */
int rill_inbox_retry_pending(struct rill_inbox *inbox);

/* ---- inbox_packets.c ---- */

void rill_inlane_add_arrival(struct rill_inlane *lane, struct rill_arrival *arrival);
struct rill_arrival *rill_inlane_take_arrival(struct rill_inlane *lane, uint64_t number);
int rill_inbox_take_packet(struct rill_inbox *inbox, rill_object event, int64_t deadline);
bool rill_inbox_found_dead_before_sleep(struct rill_inbox *inbox);
int rill_inbox_take_packets(struct rill_inbox *inbox);
/* For struct rill_source. */
int rill_inbox_absorb(void *state);

#endif
