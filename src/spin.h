/* SPDX-License-Identifier: MIT */
/*
 * How long to stay awake before sleeping. A wakeup costs both sides several microseconds, so a short spin pays when the other side is at
 * work on another processor, and never otherwise. What paid lately decides: a spin that found something makes the next one long, one that did
 * not halves it, down to none; then one wait in `every` tries again, more and more seldom. A try has to be long enough for the other side, which
 * has fallen asleep as well, to be woken and to answer: or two sides that could stay awake would never find out.
 */
#ifndef RILL_SPIN_H
#define RILL_SPIN_H

#include <stdbool.h>
#include <stdint.h>

#include "port.h"

#define RILL_SPIN_MOST INT64_C(60000)
#define RILL_SPIN_LEAST INT64_C(4000)
#define RILL_SPIN_TRY_FIRST 8u
#define RILL_SPIN_TRY_LAST 1024u
#define RILL_SPIN_CHECKS 64 /* looks between two looks at the clock */

/* A receiver that is a little faster than its sender catches up with it after every message, and then both fight for the line of the next header: the
 * queue moves several times slower than either of them could. So one that has found the next message at once several times in a row looks away
 * for a moment, and comes back to many. It goes on so as long as it does find many. */
#define RILL_LINGER_TIME INT64_C(500) /* ns */
#define RILL_LINGER_AFTER 4u
#define RILL_LINGER_AT_ONCE 2u /* looks */
#define RILL_LINGER_MANY 8u    /* messages */
#define RILL_LINGER_PAUSE 64u  /* waits before it is tried again */

struct rill_spin {
    int64_t fixed;  /* the user's: -1 never, 0 adapt, else ns */
    int64_t budget; /* ns; negative: not asked yet whether there is another processor at all */
    uint32_t skipped, every;
    int64_t close;      /* waits in a row that ended at once; negative: waits to go until they are counted again */
    uint64_t last_count; /* messages received when it last lingered */
};

static inline void rill_spin_start(struct rill_spin *spin, int64_t fixed)
{
    *spin = (struct rill_spin){.fixed = fixed, .budget = -1, .every = RILL_SPIN_TRY_FIRST};
}

/* How long this wait may spin, ns. */
static inline int64_t rill_spin_budget(struct rill_spin *spin)
{
    if (spin->fixed)
        return spin->fixed < 0 ? 0 : spin->fixed;
    if (spin->budget < 0)
        spin->budget = rill_port_single_processor() ? 0 : RILL_SPIN_MOST;
    if (spin->budget == 0 && ++spin->skipped >= spin->every) {
        spin->skipped = 0;
        return RILL_SPIN_MOST;
    }
    return spin->budget;
}

static inline void rill_spin_learn(struct rill_spin *spin, bool paid)
{
    if (paid) {
        spin->budget = RILL_SPIN_MOST;
        spin->every = RILL_SPIN_TRY_FIRST;
    } else if (spin->budget == 0) {
        spin->every = spin->every < RILL_SPIN_TRY_LAST ? spin->every * 2 : RILL_SPIN_TRY_LAST;
    } else {
        spin->budget = spin->budget / 2 >= RILL_SPIN_LEAST ? spin->budget / 2 : 0;
    }
}

/* Before a wait: should it look away first? `count` is of messages received so far. */
static inline bool rill_spin_lingers(struct rill_spin *spin, uint64_t count)
{
    if (spin->close < (int64_t)RILL_LINGER_AFTER)
        return false;
    bool many = spin->close == RILL_LINGER_AFTER || count - spin->last_count >= RILL_LINGER_MANY;
    spin->close = many ? RILL_LINGER_AFTER + 1 : -(int64_t)RILL_LINGER_PAUSE;
    spin->last_count = count;
    return many;
}

static inline void rill_spin_linger(void)
{
    int64_t end = rill_port_clock() + RILL_LINGER_TIME;
    do
        rill_port_relax();
    while (rill_port_clock() < end);
}

/* After a wait that did not linger: how many looks it took to find something. */
static inline void rill_spin_note(struct rill_spin *spin, unsigned looks)
{
    if (spin->close < 0)
        spin->close++;
    else if (spin->close < (int64_t)RILL_LINGER_AFTER)
        spin->close = looks < RILL_LINGER_AT_ONCE ? spin->close + 1 : 0;
}

#endif
