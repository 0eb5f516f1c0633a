/* SPDX-License-Identifier: MIT */
/*
 * How a receiver falls asleep and is woken, and how a sender waits for room: the whole protocol, without the socket that it rings.
 *
 * A lane's `parked` is a number that only the receiver counts up. Odd: the lane is armed, its owner rings after a commit. The owner remembers in
 * private memory the number for which it last rang, so that it rings once for each. It never writes the word: a sender killed or stopped
 * between clearing a flag and ringing would silence every other thread of its process.
 *
 *   receiver                                     sender
 *   P1  parked = odd          seq_cst            C1  commit of a record      seq_cst (ring.c)
 *   P2  look at the rings     seq_cst            C2  read parked             seq_cst
 *       nothing: sleep on the socket                 odd and not rung yet: ring
 *
 * One of P2 and C2 sees the other's write: in the single order of seq_cst operations either C1 precedes P2, and the receiver takes the record,
 * or P2, and with it P1, precedes C2, and the sender rings. With anything weaker both may read old values, and the receiver sleeps
 * on a queue that is not empty.
 *
 * An armed lane stays armed while the receiver is awake with others; it looks at that lane again when it rang:
 *   C3  the packet, which names the lane
 *   C4  rang += 1 in the control page   seq_cst, behind C3 and before the send returns
 * A receiver that is awake sees `rang` change without a system call, and takes the packets, in time for the order rule (order.h). C4 must not come
 * before C3: the receiver could find the socket still empty, take the count as dealt with, and miss the packet that comes then.
 *
 * When the socket is full the sender counts its packet as sent: the receiver has a reason to wake. It may then never be
 * named, so a receiver that took several packets looks at all lanes (inbox.c).
 *
 * Room. The owner of a lane waits until `consumed` reaches a mark:
 *   owner                                        receiver
 *   M1  room_at = mark        seq_cst            Q1  consumed = …            seq_cst, after every batch and before it parks
 *   M2  read consumed         seq_cst            Q2  read room_at            seq_cst; reached and not rung for yet: ring the lane's socket
 *       below: sleep on the lane's socket
 * The same argument: M2 sees Q1, or Q2 sees M1.
 */
#ifndef RILL_SHM_WAKE_H
#define RILL_SHM_WAKE_H

#include <stdbool.h>
#include <stdint.h>

#include "layout.h"

/* ---- the receiver of a lane ---- */

static inline void rill_wake_arm(struct rill_lane_header *lane, uint32_t *parked)
{
    *parked += 1;
    atomic_store_explicit(&lane->parked, *parked, memory_order_seq_cst); /* P1, partner C2 */
}

/* Relaxed: a sender that still sees the odd number rings once too often, which is harmless. */
static inline void rill_wake_disarm(struct rill_lane_header *lane, uint32_t *parked)
{
    *parked += 1;
    atomic_store_explicit(&lane->parked, *parked, memory_order_relaxed);
}

/* Publishes how much was consumed; true: the owner waits for this and must be rung. */
static inline bool rill_wake_consumed(struct rill_lane_header *lane, uint64_t consumed, uint64_t *rung_for)
{
    atomic_store_explicit(&lane->consumed, consumed, memory_order_seq_cst); /* Q1, partner M2 */
    uint64_t mark = atomic_load_explicit(&lane->room_at, memory_order_seq_cst); /* Q2, partner M1 */
    if (mark == 0 || mark == *rung_for || (int64_t)(consumed - mark) < 0)
        return false;
    *rung_for = mark;
    return true;
}

/* ---- the owner of a lane ---- */

/* After a commit: the armed number that has not been rung for, or 0. `rung` is shared by the owner's threads: two of them may both ring. */
static inline uint32_t rill_wake_due(const struct rill_lane_header *lane, const _Atomic uint32_t *rung)
{
    uint32_t parked = atomic_load_explicit(&lane->parked, memory_order_seq_cst); /* C2, partner P1 */
    if (!(parked & 1) || parked == atomic_load_explicit(rung, memory_order_acquire))
        return 0;
    return parked;
}

/* Before it sleeps for room: is `mark` still not reached? A mark is never 0. */
static inline bool rill_wake_room_wanted(struct rill_lane_header *lane, uint64_t mark)
{
    atomic_store_explicit(&lane->room_at, mark, memory_order_seq_cst); /* M1, partner Q2 */
    uint64_t consumed = atomic_load_explicit(&lane->consumed, memory_order_seq_cst); /* M2, partner Q1 */
    return (int64_t)(consumed - mark) < 0;
}

#endif
