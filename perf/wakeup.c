/* SPDX-License-Identifier: MIT */
/* How long does a message take to a receiver that sleeps, and what does the sleep cost? */
#include "perf/bare.h"
#include "perf/bench.h"
#include "perf/ends.h"
#include "perf/sleeper.h"

#include <time.h>

static void wakeup_open(struct run *run)
{
    ends_open(run, 1, 0, run->options->limit);
}

static struct rill_end wakeup_end(struct run *run)
{
    return ends_keep(run, run->role == 1 ? 1 : NO_END, run->role == 0 ? 0 : NO_END);
}

struct wakeup {
    struct rill_end end;
    const void *message;
};

static void wakeup_signal(struct run *run, void *end)
{
    struct wakeup *mine = end;
    rill_end_put(run, &mine->end, mine->message, run->contestant->size);
}

static void wakeup_await(struct run *run, void *end)
{
    struct wakeup *mine = end;
    size_t size;
    if (!rill_end_take(run, &mine->end, &mine->message, &size) || size != run->contestant->size)
        fail(run, "the receiver got no message, or a wrong one");
    rill_end_drop(run, &mine->end);
}

static const struct wake_calls wakeup_calls = {.signal = wakeup_signal, .await = wakeup_await};

static void wakeup_work(struct run *run)
{
    size_t stride;
    uint64_t sum;
    struct wakeup mine = {.end = wakeup_end(run), .message = contents(run, run->contestant->size, 1, &stride, &sum)};
    if (run->role == 0)
        sleeper_sleep(run, &mine, wakeup_calls);
    else
        sleeper_wake(run, &mine, wakeup_calls);
}

/* One long sleep. The processor time is that of the receiving thread alone, its first moments awake included. */
static void blocked_work(struct run *run)
{
    struct wakeup mine = {.end = wakeup_end(run), .message = ""};
    meet_before(run);
    if (run->role == 1) {
        struct timespec pause = {.tv_sec = (time_t)run->options->seconds};
        pause.tv_nsec = (long)((run->options->seconds - (double)pause.tv_sec) * SECOND);
        nanosleep(&pause, NULL);
        rill_end_put(run, &mine.end, mine.message, 0);
    } else {
        int64_t begin = now();
        double cpu = thread_cpu_seconds();
        wakeup_await(run, &mine);
        figure(run, CPU_PERCENT, 100 * (thread_cpu_seconds() - cpu) * SECOND / (double)(now() - begin));
    }
    meet_after(run);
}

int bench_wakeup(const struct options *options)
{
    static const size_t defaults[] = {8};
    const size_t *sizes, count = options_sizes(options, defaults, COUNT_OF(defaults), &sizes);
    struct contestant contestants[4];
    int result = 0;
    for (size_t i = 0; i < count; i++) {
        size_t contestant_count = 0;
        for (size_t t = 0; t < options->transport_count; t++) {
            struct contestant *it =
                contestant_add(contestants, &contestant_count, "wakeup", "-", options->transports[t], sizes[i]);
            it->open = wakeup_open;
            it->work = wakeup_work;
        }
        if (options->bare)
            socket_wake(&contestants[contestant_count++]);
        result |= measure(options, contestants, contestant_count);
    }
    size_t contestant_count = 0;
    for (size_t t = 0; t < options->transport_count; t++) {
        struct contestant *it = contestant_add(contestants, &contestant_count, "wakeup", "blocked", options->transports[t], 0);
        it->open = wakeup_open;
        it->work = blocked_work;
    }
    return result | measure(options, contestants, contestant_count);
}
