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
 *            T3  look at every ring that is not armed, once
 *            T4  deliver what was seen: unstamped first, then in the order of tickets, while they are below the bound
 *
 * Why: let A return before B is called, B be seen at T3 and be delivered.
 *   - B has a ticket below the bound. B drew it (S3) after A returned, hence after A's commit, and before T1. So at T3 A is there to
 *     be seen: its ring was counted and its lane announced before A's commit, so T2 learns of them, and if its lane was armed, A rang and counted that
 *     before it returned, and T2 learns of that. A is unstamped, or its ticket is lower than B's: it goes first.
 *   - B is unstamped. Then it read rings == 1 (S2) after A's ring had been counted: it is the same ring.
 * A record that becomes visible after T3 waits for the next look, even if its ticket is below the bound: what precedes it may have been committed
 * behind T3's back in a ring already looked at. A bound that is read after T3 fails in the same way. A ticket whose owner died or is slow blocks nobody:
 * nothing waits for "the next" ticket.
 *
 * The counter is shared by all senders, so one that means harm can spoil the order between senders, but nothing else:
 *   - A sender never goes back: it uses the larger of what it drew and its ring's last ticket + 1. Tickets that do not rise in a ring are its lane's fault.
 *   - A visible ticket that is not below the counter, read again: the counter was tampered with. Then the lowest is delivered after a look that
 *     changed nothing.
 *   - A head counts as at least the last ticket delivered + 1 where its ring was seen empty before, so low tickets cannot hold back the others for ever.
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
    uint64_t rank;   /* what it counts as */
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

/* Replaces the first entry by another, or removes it. */
void rill_order_replace(struct rill_order *order, struct rill_order_entry entry);
void rill_order_pop(struct rill_order *order);

void rill_order_free(struct rill_order *order);

#endif
