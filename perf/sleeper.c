/* SPDX-License-Identifier: MIT */
#include "perf/sleeper.h"

#include <time.h>

#include "perf/roundtrip.h"

#define SLEEP_NS 1500000

/* The waker sleeps as well, so that both can be on one processor. It is awake when it takes the time. */
void sleeper_wake(struct run *run, void *end, struct wake_calls calls)
{
    struct board *board = run->board;
    int64_t stop = now() + (int64_t)(run->options->seconds * SECOND);
    uint64_t count = 0;
    meet_before(run);
    do {
        const struct timespec pause = {.tv_nsec = SLEEP_NS};
        nanosleep(&pause, NULL);
        atomic_store_explicit(&board->stamp, now(), memory_order_release);
        calls.signal(run, end);
        for (count++; atomic_load_explicit(&board->seen, memory_order_acquire) != count;)
            give_way();
    } while (now() < stop);
    atomic_store_explicit(&board->phase, PHASE_OVER, memory_order_release);
    calls.signal(run, end);
    meet_after(run);
}

void sleeper_sleep(struct run *run, void *end, struct wake_calls calls)
{
    struct board *board = run->board;
    struct histogram *times = new_histogram(run);
    int64_t cost = now_cost();
    meet_before(run);
    for (;;) {
        calls.await(run, end);
        int64_t woken = now();
        if (atomic_load_explicit(&board->phase, memory_order_acquire) == PHASE_OVER)
            break;
        histogram_add(times, woken - atomic_load_explicit(&board->stamp, memory_order_acquire) - cost);
        atomic_fetch_add_explicit(&board->seen, 1, memory_order_release);
    }
    report_times(run, times);
    meet_after(run);
}
