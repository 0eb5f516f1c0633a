/* SPDX-License-Identifier: MIT */
/*
 * One way to a role that has slept for over a millisecond. Role 0 sleeps in `await`; role 1 reads the clock just before
 * `signal`, role 0 just after `await`. The clock is the same for all processors; the time travels on the board.
 */
#ifndef RILL_PERF_SLEEPER_H
#define RILL_PERF_SLEEPER_H

#include "perf/harness.h"

struct wake_calls {
    void (*signal)(struct run *run, void *end);
    void (*await)(struct run *run, void *end);
};

void sleeper_wake(struct run *run, void *end, struct wake_calls calls);
void sleeper_sleep(struct run *run, void *end, struct wake_calls calls);

#endif
