/* SPDX-License-Identifier: MIT */
/* How long does a message take to a receiver that sleeps, and what does the sleep cost? */
#include "perf/bare.h"
#include "perf/bench.h"
#include "perf/ends.h"
#include "perf/sleeper.h"

#include <stdio.h>
#include <string.h>
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

/* utime + stime, as the system counts them. */
static double ticks_of(const struct run *run, uint32_t process)
{
    char path[32], text[512] = "";
    unsigned long user = 0, kernel = 0;
    snprintf(path, sizeof path, "/proc/%u/stat", process);
    FILE *file = fopen(path, "r");
    size_t size = file ? fread(text, 1, sizeof text - 1, file) : 0;
    if (file)
        fclose(file);
    const char *behind_name = size ? strrchr(text, ')') : NULL; /* a name may hold anything */
    if (!behind_name || sscanf(behind_name, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &kernel) != 2)
        fail(run, "%s cannot be read", path);
    return (double)user + (double)kernel;
}

/* One long sleep. The percentage is of the receiving thread alone, the ticks are of its process, both while it sleeps. */
static void blocked_work(struct run *run)
{
    struct wakeup mine = {.end = wakeup_end(run), .message = ""};
    meet_before(run);
    if (run->role == 1) {
        uint32_t process = atomic_load(&run->board->notes[0].process);
        pause_for(ASLEEP_AFTER);
        double ticks = ticks_of(run, process), used = role_cpu_seconds(run, 0);
        pause_for(run->options->seconds);
        figure(run, CPU_PERCENT, 100 * (role_cpu_seconds(run, 0) - used) / run->options->seconds);
        figure(run, CPU_TICKS, ticks_of(run, process) - ticks);
        rill_end_put(run, &mine.end, mine.message, 0);
    } else {
        wakeup_await(run, &mine);
    }
    meet_after(run);
}

int bench_wakeup(const struct options *options)
{
    static const size_t defaults[] = {8};
    const size_t *sizes, count = options_sizes(options, defaults, COUNT_OF(defaults), &sizes);
    struct contestant contestants[4];
    int result = 0;
    for (size_t i = 0; i < count && !options->variants; i++) {
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
    for (size_t t = 0; t < options->transport_count && options_variant(options, "blocked"); t++) {
        struct contestant *it = contestant_add(contestants, &contestant_count, "wakeup", "blocked", options->transports[t], 0);
        it->open = wakeup_open;
        it->work = blocked_work;
    }
    return result | measure(options, contestants, contestant_count);
}
