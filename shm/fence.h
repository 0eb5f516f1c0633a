/* SPDX-License-Identifier: MIT */
/*
 * Commits without a fence, for the owner of a channel's only ring; and how whoever needs their order makes up for it.
 *
 * Between a commit and the look at what others have written - is the receiver armed (wake.h), are there other rings (order.h), was the lane given up
 * (ring.h) - the processor has to wait until the commit, and all stores before it, can be seen by all. That is the exchange of W2, and of a short send it
 * is most. Those others write seldom. So an owner who has sent for long without meeting any of them says that it leaves the fence out, and they pay instead:
 * a barrier in every processor that runs such an owner, by a call of the system (rill_port_fence_others).
 *
 *   owner                                                       receiver, or who adds a ring: `other`
 *   begins   E1  unfenced = 1, in page and lane   seq_cst       X1  parked = odd | rings of the page += 1   seq_cst
 *            E2  read parked and rings of the page seq_cst      X2  read unfenced                           seq_cst
 *                armed, or several: unfenced = 0, no            X3  1: a barrier in all processors that run owners
 *   sends    U1  commit                           release       X4  look | use the ring
 *            U2  read parked and rings of the page
 *                behind U1 in the program; armed, or several: ends
 *   ends     U3  commit the same record again     exchange, W2
 *            U4  unfenced = 0                     release
 *                and go on behind an ordinary W2
 *
 * What holds: a commit is seen at X4, or its owner sees X1 and goes on as if it had committed by W2, behind X1.
 *   - X2 reads 1. A processor that ran the owner made its barrier between X1 and X4; one that did not has made it when it switched to something else. What the
 *     owner committed before its barrier is seen at X4. Where U1 is behind it, so is U2, and sees X1.
 *   - X2 reads 0, written before E1. Then in the single order of seq_cst operations X1 and X2 precede E1 and E2, which sees X1: the owner does not begin.
 *     (Each U2 would see it as well, but where a weaker load can pass a seq_cst store, the first of them might not.)
 *   - X2 reads 0, written by U4. It acquires what U4 released, so all that was committed without a fence is seen at X4, and what follows are W2s.
 * Without X3 the commit may lie in the owner's processor while X4 looks and U2 has read already; U2 in front of U1 is the same. With X2 in front of X1 the
 * owner may begin between them. Without U3 the owner, which knows of X1, would return without a W2 behind it: what another owner commits after that
 * could be seen before its own.
 *
 * The end of a lane that is given up. R2 of ring.h marks the place where nothing will be read any more, and W2 finds the mark; U1 overwrites it. So the
 * receiver revokes the lane and arms it for good (X1 to X3), looks (X4), and an owner whose commit was not seen there will see that at U2. The two
 * then agree by one word, the lane's `verdict`, which both set by compare-and-swap from 0:
 *   O1  the owner, behind U3, if the lane is revoked:     "this place, sent"
 *   O2  the receiver, when it has marked a place (R2):    "ended at this place"
 *   O1 first:  the record is sent. If O2 was about this very place its mark was overwritten, and the record is there to be read: O1 is behind U1. Any other
 *              place that O2 can be about lies behind it, so that the receiver has read it.
 *   O2 first:  if it is about the owner's place, the receiver has left that for good: the record is not sent, and goes elsewhere. If about any other, that
 *              lies behind, and the record was read.
 * After one of these the owner does not use the lane again.
 *
 * An owner that lies about `unfenced` misses wakeups of its own, or makes its receiver call the system once more whenever that falls asleep. A page that says 0
 * where it should say 1 spoils the order between senders, like its counter.
 *
 * For the idea: D. Dice, H. Huang, M. Yang, "Asymmetric Dekker Synchronization", Sun Microsystems, 2001; membarrier(2).
 * tests/models/fence.pml goes through all of it with a processor that keeps stores back.
 */
#ifndef RILL_SHM_FENCE_H
#define RILL_SHM_FENCE_H

#include <stdbool.h>
#include <stdint.h>

#include "layout.h"

/* ---- the owner ---- */

/* Does anybody need that commits are ordered before what follows? Behind U1. */
static inline bool rill_fence_missed(const struct rill_lane_header *lane, const struct rill_page *page)
{
    atomic_signal_fence(memory_order_seq_cst); /* U2 is behind U1 in the program; the processor is X3's matter */
    return (atomic_load_explicit(&lane->parked, memory_order_relaxed) & 1) | /* U2, partner X1 */
           (atomic_load_explicit(&page->rings, memory_order_relaxed) > 1);
}

static inline void rill_fence_resume(struct rill_lane_header *lane, struct rill_page *page)
{
    atomic_store_explicit(&lane->unfenced, 0, memory_order_release); /* U4, partner X2 */
    atomic_store_explicit(&page->unfenced, 0, memory_order_release);
}

/* May it leave the fence out from now on? Only in the one ring of the channel. */
static inline bool rill_fence_suspend(struct rill_lane_header *lane, struct rill_page *page)
{
    atomic_store_explicit(&page->unfenced, 1, memory_order_seq_cst); /* E1, partner X2 */
    atomic_store_explicit(&lane->unfenced, 1, memory_order_seq_cst);
    bool alone = (atomic_load_explicit(&lane->parked, memory_order_seq_cst) & 1) == 0 && /* E2, partner X1 */
                 atomic_load_explicit(&page->rings, memory_order_seq_cst) <= 1;
    if (!alone)
        rill_fence_resume(lane, page);
    return alone;
}

/* O1, in a lane that was found revoked behind U3: is the record at this place of the segment sent? */
static inline bool rill_fence_was_sent(struct rill_lane_header *lane, uint64_t place)
{
    uint64_t verdict = 0;
    return atomic_compare_exchange_strong_explicit(&lane->verdict, &verdict, place | 1, memory_order_seq_cst, memory_order_seq_cst) || verdict != place;
}

/* ---- the others ---- */

/* X2, behind X1: must the owner be made to fence? */
static inline bool rill_fence_lane_unfenced(const struct rill_lane_header *lane)
{
    return atomic_load_explicit(&lane->unfenced, memory_order_seq_cst) != 0;
}

static inline bool rill_fence_channel_unfenced(const struct rill_page *page)
{
    return atomic_load_explicit(&page->unfenced, memory_order_seq_cst) != 0;
}

/* O2, behind R2: has the ring ended at this place? False: a record came to be there. */
static inline bool rill_fence_ended(struct rill_lane_header *lane, uint64_t place)
{
    uint64_t verdict = 0;
    return atomic_compare_exchange_strong_explicit(&lane->verdict, &verdict, place, memory_order_seq_cst, memory_order_seq_cst) || verdict != (place | 1);
}

#endif
