/* SPDX-License-Identifier: MIT */
/*
 * One way: one role or more send as fast as they can, role 0 receives. The text is the same for rill and for what it is
 * compared with; the compiler makes a loop of each from the calls that it is given.
 *
 * A message lies in the sender's memory, is stamped with its number, and is copied into the channel. The receiver reads
 * every byte where it lies, and checks the sum and the order of all that came. The time is the receiver's: after a warm-up,
 * from one message to another.
 */
#ifndef RILL_PERF_STREAM_H
#define RILL_PERF_STREAM_H

#include "perf/harness.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))

struct stream_calls {
    /* `message` stays as it is until `batch` more were put. */
    void (*put)(struct run *run, void *end, const void *message, size_t size);
    /* Sends what is held back, and tells the receiver that this was all. */
    void (*finish)(struct run *run, void *end);
    /* Waits for a message; false: that was all. */
    bool (*take)(struct run *run, void *end, const void **message, size_t *size);
    /* The message that was taken is not needed any more. */
    void (*drop)(struct run *run, void *end);
};

/* A number says which sender's it is, if there are several. */
#define NUMBER_BITS 48

/* The clock, and what others say, are looked at once in so many messages (a power of 2). */
static inline uint64_t look_interval(size_t size)
{
    uint64_t interval = 256;
    while (interval > 1 && interval * size > 65536)
        interval /= 2;
    return interval;
}

/* ---------------------------------------------------------------- sending */

struct send_watch {
    uint64_t faults_begin, faults_end;
    uint32_t phase;
};

static inline bool stream_is_over(struct run *run, struct send_watch *watch)
{
    uint32_t phase = atomic_load_explicit(&run->board->phase, memory_order_relaxed);
    if (phase == watch->phase)
        return phase == PHASE_OVER;
    if (watch->phase == PHASE_WARM)
        watch->faults_begin = watch->faults_end = thread_faults();
    if (phase == PHASE_OVER)
        watch->faults_end = thread_faults();
    watch->phase = phase;
    return phase == PHASE_OVER;
}

ALWAYS_INLINE void stream_send(struct run *run, void *end, const struct stream_calls calls)
{
    size_t size = run->contestant->size, stride;
    unsigned producer = run->role - 1;
    uint64_t slots = run->options->batch ? run->options->batch : 1, slot = 0;
    uint64_t sum_of_one, sum = 0, sent = 0, budget = run->options->messages ? run->options->messages : UINT64_MAX;
    uint64_t look = look_interval(size) - 1, tag = (uint64_t)producer << NUMBER_BITS;
    unsigned char *messages = contents(run, size, slots, &stride, &sum_of_one);
    struct send_watch watch = {.phase = PHASE_WARM};
    meet_before(run);
    for (; sent < budget; sent++) {
        if ((sent & look) == 0 && stream_is_over(run, &watch))
            break;
        unsigned char *message = messages + slot * stride;
        slot = slot + 1 < slots ? slot + 1 : 0;
        sum += sum_of_one + stamp_message(message, size, tag | sent);
        calls.put(run, end, message, size);
    }
    struct role_note *note = &run->board->notes[run->role];
    atomic_store_explicit(&note->sent, sent, memory_order_relaxed);
    atomic_store_explicit(&note->sum, sum, memory_order_relaxed);
    atomic_store_explicit(&note->faults, watch.faults_end - watch.faults_begin, memory_order_relaxed);
    calls.finish(run, end);
    meet_after(run);
}

/* ---------------------------------------------------------------- receiving */

struct receive_watch {
    int64_t phase_ends; /* 0: never */
    int64_t begin, end;
    uint64_t count_begin, count_end;
    uint64_t faults_begin, faults_end;
};

static inline void receive_watch_begin(struct run *run, struct receive_watch *watch)
{
    int64_t warm_up = (int64_t)(run->options->seconds * 0.1 * SECOND);
    if (warm_up < SECOND / 20)
        warm_up = SECOND / 20;
    watch->begin = now();
    watch->faults_begin = thread_faults();
    watch->phase_ends = run->options->messages ? 0 : watch->begin + warm_up;
}

static inline void receive_watch_look(struct run *run, struct receive_watch *watch, uint64_t count)
{
    if (!watch->phase_ends)
        return;
    int64_t time = now();
    if (time < watch->phase_ends || count == watch->count_begin)
        return;
    uint32_t phase = atomic_load_explicit(&run->board->phase, memory_order_relaxed) + 1;
    atomic_store_explicit(&run->board->phase, phase, memory_order_relaxed);
    if (phase == PHASE_MEASURED) {
        watch->faults_begin = thread_faults();
        watch->count_begin = count;
        watch->begin = time;
        watch->phase_ends = time + (int64_t)(run->options->seconds * SECOND);
    } else {
        watch->end = time;
        watch->count_end = count;
        watch->faults_end = thread_faults();
        watch->phase_ends = 0;
    }
}

/* All senders have written their notes: they did before they ended their streams. */
static inline void receive_figures(struct run *run, struct receive_watch *watch, uint64_t count, uint64_t sum)
{
    uint64_t sent = 0, sent_sum = 0, faults = 0;
    for (unsigned role = 1; role < run->contestant->roles; role++) {
        struct role_note *note = &run->board->notes[role];
        sent += atomic_load(&note->sent);
        sent_sum += atomic_load(&note->sum);
        faults += atomic_load(&note->faults);
    }
    if (count != sent || sum != sent_sum)
        fail(run, "sent %llu messages, received %llu; the sums are %s", (unsigned long long)sent, (unsigned long long)count,
             sum == sent_sum ? "equal" : "different");
    if (!watch->end) {
        watch->end = now();
        watch->count_end = count;
        watch->faults_end = thread_faults();
    }
    double messages = (double)(watch->count_end - watch->count_begin);
    double rate = messages * (double)SECOND / (double)(watch->end - watch->begin);
    figure(run, MSGS_PER_S, rate);
    if (run->contestant->size > 0)
        figure(run, BYTES_PER_S, rate * (double)run->contestant->size);
    if (!run->options->messages)
        figure(run, FAULTS_PER_MSG, (double)(faults + watch->faults_end - watch->faults_begin) / messages);
}

/* A size below 8 has no room for the whole number; then only the sum is checked. */
static inline bool number_is_next(uint64_t number, uint64_t *next, unsigned producers)
{
    uint64_t producer = number >> NUMBER_BITS;
    return producer < producers && (number & (((uint64_t)1 << NUMBER_BITS) - 1)) == next[producer]++;
}

ALWAYS_INLINE void stream_receive(struct run *run, void *end, const struct stream_calls calls)
{
    size_t size = run->contestant->size;
    unsigned producers = run->contestant->roles - 1;
    uint64_t count = 0, sum = 0, look = look_interval(size) - 1, next[ROLES_MAX] = {0};
    struct receive_watch watch = {0};
    bool ordered = true;
    meet_before(run);
    receive_watch_begin(run, &watch);
    for (;;) {
        const void *message;
        size_t received;
        if ((count & look) == 0)
            receive_watch_look(run, &watch, count);
        if (!calls.take(run, end, &message, &received))
            break;
        if (received != size)
            fail(run, "a message of %zu bytes, not %zu", received, size);
        sum += sum_words(message, size);
        if (size >= 8)
            ordered &= number_is_next(read_stamp(message, size), next, producers);
        calls.drop(run, end);
        count++;
    }
    if (!ordered)
        fail(run, "the messages came in another order");
    receive_figures(run, &watch, count, sum);
    meet_after(run);
}

#endif
