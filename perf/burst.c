/* SPDX-License-Identifier: MIT */
/* What does a queue take that nobody receives from, and what of it is left when it has been received? */
#include "perf/bench.h"
#include "perf/ends.h"
#include "perf/memory.h"
#include "perf/stream.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* A receiver has this long, in a call that finds nothing, to give memory back. */
#define SILENCE SECOND

static void burst_open(struct run *run)
{
    ends_open(run, 1, 0, 0);
}

static uint64_t burst_count(const struct run *run)
{
    size_t size = run->contestant->size;
    return (run->options->bytes + size - 1) / size;
}

/* Through a loan that is filled, if the variant says so. */
static void put(struct run *run, struct rill_end *end, const void *message, size_t size)
{
    rill_buffer *buffer;
    void *bytes;
    if (strcmp(run->contestant->variant, "loan") != 0) {
        rill_end_put(run, end, message, size);
        return;
    }
    check(run, "rill_buffer_loan", rill_buffer_loan(end->sender, size, NULL, &buffer));
    check(run, "rill_buffer_data_mutable", rill_buffer_data_mutable(buffer, &bytes));
    memcpy(bytes, message, size);
    check(run, "rill_send_buffer", rill_send_buffer(end->sender, &buffer));
}

/* The meetings: before, measured, queued, measured, silent, measured, after. */
static void burst_send(struct run *run, struct rill_end *end)
{
    size_t size = run->contestant->size, stride;
    uint64_t sum, count = burst_count(run), total = 0;
    unsigned char *message = contents(run, size, 1, &stride, &sum);
    meet_before(run);
    meet(run);
    for (uint64_t i = 0; i < count; i++) {
        total += sum + stamp_message(message, size, i);
        put(run, end, message, size);
    }
    atomic_store(&run->board->notes[run->role].sum, total);
    for (int i = 0; i < 4; i++)
        meet(run);
    meet_after(run);
    rill_end_finish(run, end);
}

static void burst_receive(struct run *run, struct rill_end *end)
{
    size_t size = run->contestant->size, received;
    uint64_t count = burst_count(run), total = 0;
    const void *message;
    meet_before(run);
    for (int i = 0; i < 3; i++)
        meet(run);
    for (uint64_t i = 0; i < count; i++) {
        if (!rill_end_take(run, end, &message, &received) || received != size)
            fail(run, "message %llu is lost or has another size", (unsigned long long)i);
        if (size >= 8 && read_stamp(message, size) != i)
            fail(run, "message %llu came out of order", (unsigned long long)i);
        total += sum_words(message, size);
        rill_end_drop(run, end);
    }
    if (total != atomic_load(&run->board->notes[1].sum))
        fail(run, "the sums are different");
    atomic_store(&run->board->phase, PHASE_OVER);
    int code = rill_recv_timeout(end->receiver, SILENCE, &end->message);
    if (code != RILL_ETIMEDOUT)
        fail(run, "rill_recv_timeout on an empty queue: %s", rill_error_name(code));
    meet(run);
    meet(run);
    meet_after(run);
    if (rill_end_take(run, end, &message, &received))
        fail(run, "a message more than was sent");
    rill_receiver_close(&end->receiver);
}

static void burst_work(struct run *run)
{
    struct rill_end end = ends_keep(run, run->role == 1 ? 1 : NO_END, run->role == 0 ? 0 : NO_END);
    if (run->role == 0)
        burst_receive(run, &end);
    else
        burst_send(run, &end);
}

static int64_t memory_of_roles(struct run *run)
{
    pid_t processes[2] = {(pid_t)atomic_load(&run->board->notes[0].process), (pid_t)atomic_load(&run->board->notes[1].process)};
    int64_t memory = memory_in_use(processes, run->contestant->threads ? 1 : 2);
    if (memory < 0)
        fail(run, "the memory of the processes cannot be read from /proc");
    return memory;
}

static void burst_watch(struct run *run)
{
    meet_before(run);
    int64_t start = memory_of_roles(run);
    meet(run);
    meet(run);
    int64_t peak = memory_of_roles(run);
    meet(run);
    while (atomic_load(&run->board->phase) != PHASE_OVER) {
        int64_t memory = memory_of_roles(run);
        peak = memory > peak ? memory : peak;
        const struct timespec pause = {.tv_nsec = SECOND / 20};
        nanosleep(&pause, NULL);
    }
    meet(run);
    figure(run, MEMORY_AFTER_BYTES, (double)(memory_of_roles(run) - start));
    figure(run, MEMORY_PEAK_BYTES, (double)(peak - start));
    meet(run);
    meet_after(run);
}

int bench_burst(const struct options *options)
{
    static const size_t defaults[] = {64 << 10};
    const size_t *sizes, count = options_sizes(options, defaults, COUNT_OF(defaults), &sizes);
    int result = 0;
    for (size_t i = 0; i < count; i++) {
        struct contestant contestants[3];
        size_t contestant_count = 0;
        for (size_t t = 0; t < options->transport_count; t++) {
            if (options->transports[t] == RILL_SOCKET || sizes[i] == 0) {
                fprintf(stderr, "rill-perf: burst %s: %s\n", transport_name(options->transports[t]),
                        sizes[i] ? "a socket queues no more than its buffer" : "messages of 0 bytes never make it");
                continue;
            }
            const char *variant = options->variants && options_variant(options, "loan") ? "loan" : "-";
            struct contestant *it =
                contestant_add(contestants, &contestant_count, "burst", variant, options->transports[t], sizes[i]);
            it->open = burst_open;
            it->work = burst_work;
            it->watch = burst_watch;
        }
        result |= measure(options, contestants, contestant_count);
    }
    return result;
}
