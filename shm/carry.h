/* SPDX-License-Identifier: MIT */
/*
 * Records with handles: how a record in a ring and the packet of kernel objects that belongs to it find each other.
 *
 * Descriptors cannot be put into memory, so they go in a packet on a socket, and the record says which one (its number). Two ways:
 *
 *   on the channel's socket   the packet is the wakeup as well, so a message with handles costs one system call. The record is committed first, as
 *                             PENDING, then the packet is sent. The order is this way round because a receiver that is woken by the packet must find the record.
 *   on the lane's own chain   where the channel's socket should not be filled further: the packet is sent first, then the record is committed, as CHAINED.
 *
 * A PENDING record counts as not there until its packet has come: its send has not returned. That is sound for the order across rings: if the send
 * had returned, its packet would have been counted in `rang` (wake.h, C4) before, and a look that sees a later message (order.h, T2) takes it first.
 *
 *   owner                                                receiver
 *   H1  commit with state = PENDING     before W2        G1  the packet is here: deliver, whatever the state says
 *   H2  packet sent:  PENDING -> SENT   cas, seq_cst     G2  owner gone, all packets taken, none for this record:
 *   H3  it failed:    state = SKIPPED   store, seq_cst       PENDING -> DROPPED   cas, seq_cst
 *                                                        G3  read SKIPPED: pass over the record
 *
 * H2 and G2 meet on one word. If G2 comes first, the owner (which was taken for dead and is alive) finds DROPPED and sends the message again in a new lane; the
 * objects of the packet that it had sent are closed by a receiver that knows no such lane. If H2 comes first, the packet is in the socket and G2 fails;
 * the receiver has to look at the socket once more. Without the word a message could be lost, or come twice, at a death that was none.
 * Killed between H1 and H2 the owner has not sent; whether the message is received depends on whether the packet went out, and both are right.
 */
#ifndef RILL_SHM_CARRY_H
#define RILL_SHM_CARRY_H

#include <stdbool.h>
#include <stdint.h>

#include "layout.h"

/* H2, also for a packet that went into the chain after all (`done`). False: the receiver has dropped the record; it does not exist. */
static inline bool rill_carry_sent(struct rill_carried *carried, uint32_t done)
{
    uint32_t expected = RILL_CARRY_PENDING;
    return atomic_compare_exchange_strong_explicit(&carried->state, &expected, done, memory_order_seq_cst, memory_order_seq_cst) ||
           expected != RILL_CARRY_DROPPED;
}

/* H3. */
static inline void rill_carry_skip(struct rill_carried *carried)
{
    atomic_store_explicit(&carried->state, RILL_CARRY_SKIPPED, memory_order_seq_cst);
}

/* G2. False: it was sent, so its packet can be had. */
static inline bool rill_carry_drop(struct rill_carried *carried)
{
    uint32_t expected = RILL_CARRY_PENDING;
    return atomic_compare_exchange_strong_explicit(&carried->state, &expected, RILL_CARRY_DROPPED, memory_order_seq_cst, memory_order_seq_cst) ||
           expected != RILL_CARRY_SENT;
}

static inline uint32_t rill_carry_state(const struct rill_carried *carried)
{
    return atomic_load_explicit(&carried->state, memory_order_seq_cst); /* G1, G3; partners H2, H3 */
}

#endif
