/* SPDX-License-Identifier: MIT */
/*
 * There and back: role 0 sends a message and waits for one of the same size, which role 1 sends when it has read the first.
 * Both read every byte, both are awake. As in stream.h the text is the same for all that are compared.
 */
#ifndef RILL_PERF_ROUNDTRIP_H
#define RILL_PERF_ROUNDTRIP_H

#include "perf/harness.h"
#include "perf/histogram.h"
#include "perf/stream.h"

void report_times(struct run *run, const struct histogram *times);
struct histogram *new_histogram(const struct run *run);

/* For what is there and back in a way of its own: takes the time of each step, after meet_before; the caller ends with meet_after. */
void time_steps(struct run *run, void (*step)(struct run *run, void *state, uint64_t number), void *state);

static inline int64_t warm_up_time(const struct run *run)
{
    int64_t time = (int64_t)(run->options->seconds * 0.1 * SECOND);
    return time > SECOND / 20 ? time : SECOND / 20;
}

ALWAYS_INLINE void ask(struct run *run, void *out, void *in, const struct stream_calls calls)
{
    size_t size = run->contestant->size, stride;
    uint64_t sum, stamped, number = 0, budget = run->options->messages ? run->options->messages : UINT64_MAX;
    unsigned char *message = contents(run, size, 1, &stride, &sum);
    struct histogram *times = new_histogram(run);
    int64_t cost = now_cost();
    meet_before(run);
    int64_t time = now(), begin = time + (run->options->messages ? 0 : warm_up_time(run));
    int64_t end = begin + (int64_t)(run->options->seconds * SECOND);
    for (; number < budget && (time < end || run->options->messages); number++) {
        const void *answer;
        size_t received;
        stamped = stamp_message(message, size, number);
        calls.put(run, out, message, size);
        if (!calls.take(run, in, &answer, &received))
            fail(run, "no answer to message %llu", (unsigned long long)number);
        if (received != size || sum_words(answer, size) != sum + stamped)
            fail(run, "the answer to message %llu is wrong", (unsigned long long)number);
        calls.drop(run, in);
        int64_t before = time;
        time = now();
        if (before >= begin)
            histogram_add(times, time - before - cost);
    }
    calls.finish(run, out);
    report_times(run, times);
    meet_after(run);
}

ALWAYS_INLINE void answer(struct run *run, void *out, void *in, const struct stream_calls calls)
{
    size_t size = run->contestant->size, stride, received;
    uint64_t sum, number;
    unsigned char *message = contents(run, size, 1, &stride, &sum);
    const void *question;
    meet_before(run);
    while (calls.take(run, in, &question, &received)) {
        number = read_stamp(question, size);
        if (received != size || sum_words(question, size) != sum + number)
            fail(run, "a message that arrived is wrong");
        calls.drop(run, in);
        stamp_message(message, size, number);
        calls.put(run, out, message, size);
    }
    calls.finish(run, out);
    meet_after(run);
}

#endif
