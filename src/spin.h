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

/* A receiver that is a little faster than its sender catches up with it after every message, and then both fight for the lines between them: the
 * queue moves several times slower than either of them could. So one that has found the next message soon several times in a row looks away
 * for a moment, and comes back to many: with 1 KiB and 4 KiB messages that is a third more. It goes on so as long as it does find many. Where both
 * take turns it never does, and the tries become so seldom that a round trip does not feel them. The smaller the messages the more share a line, and
 * the longer it has to leave them alone: where crowds come, the moment grows, and messages of 8 and 64 bytes go half as fast again. */
#define RILL_LINGER_LEAST INT64_C(5000) /* ns */
#define RILL_LINGER_MOST INT64_C(20000)
#define RILL_LINGER_CROWD 256u /* messages: next time twice as long; with less than a quarter of it, half as long */
#define RILL_LINGER_AFTER 4u
#define RILL_LINGER_SOON 64u /* looks */
#define RILL_LINGER_MANY 16u    /* messages, or at least a quarter of them */
#define RILL_LINGER_BYTES (UINT64_C(8) << 10) /* with so many bytes */
#define RILL_LINGER_PAUSE 64    /* waits before it is tried again, and twice as many each time that it did not pay, */
#define RILL_LINGER_PAUSE_MOST 4096 /* up to this */

/* A flood, beyond all that, is of one sender that goes on at the rate of a processor which does nothing else. What is read of it a moment after it was written
 * has to be fetched from the other processor's own cache, line by line, at half the speed. So from such a one the receiver goes on looking away until so
 * much lies between the two that it has left that cache; but only while it comes, of which it asks often, so that the end of a flood waits no longer than
 * other messages. Measured near, with a queue of 4 MiB: 64 bytes from 63 to 85 M/s; far, 13 to 20, and 8 bytes 34 to 76. */
#define RILL_FLOOD_STEP RILL_LINGER_MOST
#define RILL_FLOOD_MOST INT64_C(1000000) /* ns */
#define RILL_FLOOD_MESSAGES 400u /* in a step: 20 a microsecond; or */
#define RILL_FLOOD_BYTES UINT64_C(200000) /* 10 GB/s */
#define RILL_FLOOD_LAG (UINT64_C(2560) << 10) /* bytes */

/* What a sender has sent, as it says, and how much of that is not received. */
struct rill_traffic {
    uint64_t messages, bytes, queued;
};

/* Between two looks, a step apart: does a flood go on, and is it not far enough ahead? */
static inline bool rill_spin_flooded(const struct rill_traffic *before, const struct rill_traffic *after, uint64_t limit)
{
    bool comes = after->messages - before->messages >= RILL_FLOOD_MESSAGES || after->bytes - before->bytes >= RILL_FLOOD_BYTES;
    uint64_t lag = limit && limit / 2 < RILL_FLOOD_LAG ? limit / 2 : RILL_FLOOD_LAG;
    return comes && after->queued < lag;
}

struct rill_spin {
    int64_t fixed;  /* the user's: -1 never, 0 adapt, else ns */
    int64_t budget; /* ns; negative: not asked yet whether there is another processor at all */
    uint32_t skipped, every;
    int64_t close;      /* waits in a row that ended soon; negative: waits to go until they are counted again */
    int64_t pause;      /* how many after the next try that does not pay; 0: the first */
    int64_t linger;     /* ns: how long it looks away next */
    uint64_t last_count, last_bytes; /* received when it last lingered */
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

static inline bool rill_spin_found_many(const struct rill_spin *spin, uint64_t count, uint64_t bytes)
{
    count -= spin->last_count;
    return count >= RILL_LINGER_MANY || (count >= RILL_LINGER_MANY / 4 && bytes - spin->last_bytes >= RILL_LINGER_BYTES);
}

static inline void rill_spin_fit_linger(struct rill_spin *spin, uint64_t found)
{
    if (found >= RILL_LINGER_CROWD && spin->linger < RILL_LINGER_MOST)
        spin->linger *= 2;
    else if (found < RILL_LINGER_CROWD / 4 && spin->linger > RILL_LINGER_LEAST)
        spin->linger /= 2;
}

/* Before a wait: how long should it look away first, ns? 0: not at all. `count` and `bytes` are of messages received so far. */
static inline int64_t rill_spin_lingers(struct rill_spin *spin, uint64_t count, uint64_t bytes)
{
    if (spin->close < (int64_t)RILL_LINGER_AFTER)
        return 0;
    bool first = spin->close == RILL_LINGER_AFTER;
    bool goes_on = first || rill_spin_found_many(spin, count, bytes);
    if (first) {
        spin->linger = RILL_LINGER_LEAST;
        spin->close = RILL_LINGER_AFTER + 1;
    } else if (goes_on) {
        rill_spin_fit_linger(spin, count - spin->last_count);
        spin->pause = 0;
    } else {
        spin->pause = spin->pause == 0 ? RILL_LINGER_PAUSE : spin->pause < RILL_LINGER_PAUSE_MOST ? spin->pause * 2 : RILL_LINGER_PAUSE_MOST;
        spin->close = -spin->pause;
    }
    spin->last_count = count;
    spin->last_bytes = bytes;
    return goes_on ? spin->linger : 0;
}

static inline void rill_spin_linger(int64_t time, int64_t deadline)
{
    int64_t end = rill_port_clock() + time;
    end = end > deadline ? deadline : end;
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
        spin->close = looks < RILL_LINGER_SOON ? spin->close + 1 : 0;
}

#endif
