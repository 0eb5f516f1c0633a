/* SPDX-License-Identifier: MIT */
/*
 * Senders that contend for tickets take turns.
 *
 * Where several rings fill at once each message needs a ticket (shm/order.h), and the line of the counter goes to and fro between the processors: 60 to
 * 300 ns for each draw, where all the rest of a small send takes ten. So a sender stays away for a while if it sees over and over that others draw between
 * its own draws, and that this takes at least half of its time. The others draw from their own cache meanwhile, at full speed. When it comes back it has
 * more patience than they have, so that it is they who stay away next. It stays away with its message committed and its receiver woken, in no call of
 * the system, and for longer than a look only while the others go on.
 *
 * It is a guess about speed alone: order and arrival do not depend on it. Every number here is the sender's own, but for the counter's, which a peer
 * may put to anything: that can cost RILL_TURN_TIME.
 *
 * After T. E. Anderson, "The Performance of Spin Lock Alternatives for Shared-Memory Multiprocessors", IEEE TPDS 1 (1), 1990: delay after a conflict.
 */
#ifndef RILL_TURN_H
#define RILL_TURN_H

#include "../shm/order.h"
#include "port.h"

#define RILL_TURN_SUSPECT 2    /* contended draws in a row, and the next ones are timed, */
#define RILL_TURN_PATIENCE 4   /* and so many end a turn; */
#define RILL_TURN_PATIENT (-8) /* it begins to count here when it comes back, */
#define RILL_TURN_IDLE (-64)   /* and here where something else takes more time than the draws */
#define RILL_TURN_TIME 20000   /* ns away; measured with four senders on two processors, far: none 26 M/s, 2 us 26, 8 us 29, 20 us 32, 100 us 34 */
#define RILL_TURN_LOOK 4000    /* ns from one look at the counter to the next; each costs the others a miss */

struct rill_turn {
    int32_t contended; /* draws in a row with others between them, from one of the above on */
    bool over;
    int64_t drawn; /* when the last timed draw was done, ns; 0: it was not timed */
};

static inline void rill_turn_uncontended(struct rill_turn *turn)
{
    if (turn->contended > 0)
        turn->contended = 0;
    turn->drawn = 0;
}

/* Notes a contended draw that took from `begun` to `drawn`. */
static inline void rill_turn_contended(struct rill_turn *turn, int64_t begun, int64_t drawn)
{
    int64_t last = turn->drawn;
    turn->drawn = drawn;
    if (last == 0)
        return;
    if (drawn - begun < begun - last) {
        turn->contended = RILL_TURN_IDLE;
        turn->drawn = 0;
    } else if (++turn->contended >= RILL_TURN_PATIENCE) {
        turn->contended = RILL_TURN_PATIENT;
        turn->drawn = 0;
        turn->over = true;
    }
}

/* Draws a ticket, which is above `last`. */
static inline uint64_t rill_turn_draw(struct rill_turn *turn, struct rill_page *page, uint64_t *last)
{
    uint64_t before = *last;
    bool timed = turn->contended >= RILL_TURN_SUSPECT;
    int64_t begun = timed ? rill_port_clock() : 0;
    uint64_t ticket = rill_order_draw(page, last);
    if (ticket == before + 1)
        rill_turn_uncontended(turn);
    else if (timed)
        rill_turn_contended(turn, begun, rill_port_clock());
    else
        turn->contended++;
    return ticket;
}

/* Is it over? Asked once, while the ring is held. */
static inline bool rill_turn_is_over(struct rill_turn *turn)
{
    bool over = turn->over;
    turn->over = false;
    return over;
}

/* Stays away while the others draw. */
static inline void rill_turn_wait(const struct rill_page *page)
{
    int64_t end = rill_port_clock() + RILL_TURN_TIME;
    uint64_t seen, ticket = atomic_load_explicit(&page->ticket, memory_order_relaxed);
    do {
        seen = ticket;
        int64_t look = rill_port_clock() + RILL_TURN_LOOK;
        while (rill_port_clock() < look)
            rill_port_relax();
        ticket = atomic_load_explicit(&page->ticket, memory_order_relaxed);
    } while (ticket != seen && rill_port_clock() < end);
}

#endif
