/* SPDX-License-Identifier: MIT */
/*
 * Order across rings: a message whose send returned before another's was called is received before it, in whatever processes.
 *
 * Within one ring order is the ring's. Across rings it is by tickets from one counter in the control page:
 *
 *   sender   S1  rings += 1 in the page           seq_cst, before a ring is used for the first time, after its lane was announced
 *            S2  read rings                       seq_cst, at every send, holding the ring
 *            S3  more than one: ticket += 1       seq_cst fetch-add, before the commit
 *            S4  commit                           ring.h W2
 *   receiver T1  read ticket: the bound           seq_cst
 *            T2  read rings and rang              seq_cst; changed since the packets were taken last (read before they were): take
 *                                                 them; they name new lanes and lanes that rang. With one ring `rang` decides nothing.
 *            T3  look at the head of every ring that is not armed, once
 *            T4  deliver heads, unstamped first, then in the order of tickets, while they are below the bound; what follows in the ring of one that
 *                was delivered is its next head. A ring that has none is not asked again before the next T3.
 *
 * Why: let A return before B is called, B be seen at T3 and be delivered.
 *   - B has a ticket below the bound. B drew it (S3) after A returned, hence after A's commit, and before T1. So at T3 A is there to
 *     be seen: its ring was counted and its lane announced before A's commit, so T2 learns of them, and if its lane was armed, A rang and counted that
 *     before it returned, and T2 learns of that. A is unstamped, or its ticket is lower than B's: it goes first.
 *   - B is unstamped. Then it read rings == 1 (S2) after A's ring had been counted: it is the same ring.
 * It does not matter whether B was there at T3 or came later: what precedes it was there. A bound that is read after T3 fails: what precedes B may have
 * been committed behind T3's back in a ring already looked at. A ticket whose owner died or is slow blocks nobody: nothing waits for "the next" ticket.
 *
 * Rings that never run empty. Without more, a ring that is always full of unstamped records or low tickets would hold back all others for ever. So each
 * ring has a floor, and its head counts as at least that:
 *   F1  a ring that has no head at T3 or T4: the floor becomes the T1 of this look
 *   F2  a ring is marked, now and then: T1 is kept, then the bytes of memory behind its lane are asked for. When more bytes than that have been taken from
 *       it, its floor becomes the T1 of the mark, and it is marked again.
 * Why that spoils no order: whatever counts as a floor T was committed after T was read. In F1 nothing was there; in F2 all that was there has been
 * taken, since it lay in that memory. So if A returned before B was called and B is in another ring, B's ticket is not below A's floor: it was drawn later.
 * It is above A's ticket as well. Hence A counts as no more than B does, and where they are equal the ticket decides.
 * Why it bounds the wait: a head with ticket t is behind such a ring only until that has been marked once after t was drawn and has delivered what it can
 * hold then, at most twice the memory of its lane (or 16 MiB twice, where that is more).
 *
 * The counter is shared by all senders, so one that means harm can spoil the order between senders, but nothing else:
 *   - A sender never goes back: it uses the larger of what it drew and its ring's last ticket + 1. Tickets that do not rise in a ring are its lane's fault.
 *   - A visible ticket that is not below the counter, read again: the counter was tampered with. Then the lowest is delivered after a look that
 *     changed nothing.
 *   - A floor counts only up to the counter as read at T1, so that one that was read while the counter stood too high does no harm for long.
 */
#ifndef RILL_SHM_ORDER_H
#define RILL_SHM_ORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "layout.h"

/* ---- the sender ---- */

/* No counter gets this far by itself. Behind it a ring counts on alone, so that a counter put to its end cannot make its tickets wrap. */
#define RILL_TICKET_MOST (UINT64_C(1) << 63)

/* Are there several rings, so that a record needs a ticket? Holding the ring. */
static inline bool rill_order_needed(const struct rill_page *page)
{
    return atomic_load_explicit(&page->rings, memory_order_seq_cst) > 1; /* S2 */
}

static inline uint64_t rill_order_draw(struct rill_page *page, uint64_t *last_ticket)
{
    uint64_t ticket = atomic_fetch_add_explicit(&page->ticket, 1, memory_order_seq_cst); /* S3 */
    if (ticket <= *last_ticket || ticket >= RILL_TICKET_MOST)
        ticket = *last_ticket + 1;
    *last_ticket = ticket;
    return ticket;
}

static inline void rill_order_count_ring(struct rill_page *page)
{
    atomic_fetch_add_explicit(&page->rings, 1, memory_order_seq_cst); /* S1 */
}

/* ---- the receiver: a heap of the rings that have something to deliver ---- */

struct rill_order_entry {
    uint64_t rank;   /* what it counts as: its ticket, or its ring's floor */
    uint64_t ticket; /* what it says: decides between equal ranks */
    void *source;
};

struct rill_order {
    struct rill_order_entry *heap; /* heap[0] goes first */
    size_t count;
    size_t capacity;
};

/* Makes room for this many entries in all. RILL_ENOMEM: nothing changed. */
int rill_order_reserve(struct rill_order *order, size_t count);

void rill_order_push(struct rill_order *order, struct rill_order_entry entry);

/* The lowest rank behind the first entry's; UINT64_MAX if there is only one. */
static inline uint64_t rill_order_second(const struct rill_order *order)
{
    uint64_t second = order->count > 1 ? order->heap[1].rank : UINT64_MAX;
    return order->count > 2 && order->heap[2].rank < second ? order->heap[2].rank : second;
}

/* Replaces the first entry by another, or removes it. */
void rill_order_replace(struct rill_order *order, struct rill_order_entry entry);
void rill_order_pop(struct rill_order *order);

void rill_order_free(struct rill_order *order);

#endif
