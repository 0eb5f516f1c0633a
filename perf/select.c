/* SPDX-License-Identifier: MIT */
/* What does it cost to wait on many receivers? */
#include "perf/bench.h"
#include "perf/ends.h"
#include "perf/roundtrip.h"
#include "perf/stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define ACTIVE 64
#define EVENTS 256
#define ACTIVE_LIMIT ((uint64_t)256 << 10) /* bytes queued in each of the active channels */
#define SLOW_EVERY INT64_C(100000)         /* ns between two messages of slow senders */

/* Channel 0 is the question's, from the process with the set to the other; all others lead into the set. */
struct many {
    size_t count;
    rill_sender **senders;
    rill_receiver **receivers;
    struct rill_end end; /* the question's channel, or that of the only active one */
    rill_set *set;
    struct rill_set_event events[EVENTS];
    size_t at, got;
};

static size_t receivers_of(const struct run *run)
{
    size_t count = 0;
    const char *equals = strchr(run->contestant->variant, '=');
    if (equals)
        count = strtoul(equals + 1, NULL, 10);
    return count;
}

static void raise_descriptors(const struct run *run)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        fail(run, "getrlimit");
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        fail(run, "setrlimit");
}

static void make_channel(const struct run *run, struct many *many, size_t index, uint64_t limit)
{
    struct rill_channel_options options = {
        .size = sizeof options, .transport = run->contestant->rill, .limit = limit, .on_full = limit ? RILL_FULL_WAIT : 0};
    check(run, "rill_channel", rill_channel(&options, &many->senders[index], &many->receivers[index]));
}

static void open_many(struct run *run, uint64_t limit)
{
    struct many *many = calloc(1, sizeof *many);
    run->ends = many;
    raise_descriptors(run);
    if (many) {
        many->count = receivers_of(run) + 1;
        many->senders = calloc(many->count, sizeof(rill_sender *));
        many->receivers = calloc(many->count, sizeof(rill_receiver *));
    }
    if (!many || !many->senders || !many->receivers)
        fail(run, "no memory");
    for (size_t i = 0; i < many->count; i++)
        make_channel(run, many, i, i ? limit : 0);
}

static void idle_open(struct run *run)
{
    open_many(run, 0);
}

static void active_open(struct run *run)
{
    open_many(run, ACTIVE_LIMIT);
}

static void close_many(struct run *run)
{
    struct many *many = run->ends;
    for (size_t i = 0; i < many->count; i++) {
        rill_sender_close(&many->senders[i]);
        rill_receiver_close(&many->receivers[i]);
    }
}

/* The set's process. In a process of its own it holds no other sender than the question's. */
static struct many *enter_set(struct run *run)
{
    struct many *many = run->ends;
    uint64_t id;
    check(run, "rill_set_create", rill_set_create(NULL, &many->set));
    for (size_t i = 1; i < many->count; i++) {
        if (!run->contestant->threads)
            rill_sender_close(&many->senders[i]);
        check(run, "rill_set_add", rill_set_add(many->set, &many->receivers[i], NULL, &id));
    }
    many->end.sender = many->senders[0];
    if (!run->contestant->threads)
        rill_receiver_close(&many->receivers[0]);
    return many;
}

static struct many *enter_senders(struct run *run)
{
    struct many *many = run->ends;
    if (!run->contestant->threads)
        for (size_t i = 1; i < many->count; i++)
            rill_receiver_close(&many->receivers[i]);
    return many;
}

/* The next event of the set, taken with as many others as there are. */
static inline const struct rill_set_event *next_event(struct run *run, struct many *many)
{
    if (many->at == many->got) {
        many->at = 0;
        int code = rill_set_wait(many->set, RILL_FOREVER, many->events, EVENTS, &many->got);
        if (code == RILL_ENOENTRY) {
            many->got = 0;
            return NULL;
        }
        check(run, "rill_set_wait", code);
    }
    const struct rill_set_event *event = &many->events[many->at++];
    if (event->kind == RILL_SET_ERROR)
        check(run, "rill_set_wait", event->code);
    return event;
}

static inline void set_put(struct run *run, void *end, const void *message, size_t size)
{
    rill_end_put(run, &((struct many *)end)->end, message, size);
}

static inline bool set_take(struct run *run, void *end, const void **message, size_t *size)
{
    struct many *many = end;
    const struct rill_set_event *event = next_event(run, many);
    if (!event || event->kind != RILL_SET_MESSAGE)
        fail(run, "no message, but the end of a channel");
    many->end.message = event->message;
    *message = rill_message_data(event->message);
    *size = rill_message_size(event->message);
    return true;
}

static inline void set_drop(struct run *run, void *end)
{
    rill_end_drop(run, &((struct many *)end)->end);
}

static void set_finish(struct run *run, void *end)
{
    struct many *many = end;
    check(run, "rill_sender_close", rill_sender_close(&many->end.sender));
    many->senders[0] = NULL;
}

static const struct stream_calls set_calls = {.put = set_put, .finish = set_finish, .take = set_take, .drop = set_drop};

/* ---------------------------------------------------------------- one active, the others idle */

/* Each idle one has had a message, so it has a lane and all that belongs to a channel in use. */
static void warm_up_senders(struct run *run, struct many *many)
{
    for (size_t i = 1; i < many->count; i++) {
        struct rill_end end = {.sender = many->senders[i]};
        rill_end_put(run, &end, "", 0);
    }
    meet(run);
}

static void warm_up_set(struct run *run, struct many *many)
{
    for (size_t i = 1; i < many->count; i++) {
        const struct rill_set_event *event = next_event(run, many);
        rill_message *message = event->message;
        rill_message_close(&message);
    }
    meet(run);
}

static void round_trip_work(struct run *run)
{
    struct many *many;
    if (run->role == 0) {
        many = enter_set(run);
        warm_up_set(run, many);
        ask(run, many, many, set_calls);
        return;
    }
    many = enter_senders(run);
    warm_up_senders(run, many);
    if (!run->contestant->threads)
        rill_sender_close(&many->senders[0]);
    struct rill_end end = {.sender = many->senders[many->count - 1], .receiver = many->receivers[0]};
    answer(run, &end, &end, RILL_CALLS);
}

/* The percentage is of the thread that waits, while it sleeps. */
static void idle_work(struct run *run)
{
    struct many *many = run->role == 0 ? enter_set(run) : enter_senders(run);
    if (run->role == 0)
        warm_up_set(run, many);
    else
        warm_up_senders(run, many);
    meet_before(run);
    if (run->role == 0) {
        (void)next_event(run, many);
        if (atomic_load(&run->board->phase) != PHASE_OVER)
            fail(run, "an idle channel was told of");
    } else {
        pause_for(ASLEEP_AFTER);
        double used = role_cpu_seconds(run, 0);
        pause_for(run->options->seconds);
        figure(run, CPU_PERCENT, 100 * (role_cpu_seconds(run, 0) - used) / run->options->seconds);
        atomic_store(&run->board->phase, PHASE_OVER);
        struct rill_end end = {.sender = many->senders[1]};
        rill_end_put(run, &end, "", 0);
    }
    meet_after(run);
}

/* ---------------------------------------------------------------- all active */

static void active_send(struct run *run)
{
    struct many *many = enter_senders(run);
    size_t size = run->contestant->size, stride;
    uint64_t sum_of_one, sum = 0, sent = 0, look = look_interval(size) - 1;
    uint64_t numbers[ACTIVE] = {0}, budget = run->options->messages ? run->options->messages : UINT64_MAX;
    unsigned char *message = contents(run, size, 1, &stride, &sum_of_one);
    struct send_watch watch = {.phase = PHASE_WARM};
    meet_before(run);
    for (; sent < budget; sent++) {
        if ((sent & look) == 0 && stream_is_over(run, &watch))
            break;
        uint64_t which = sent % ACTIVE;
        struct rill_end end = {.sender = many->senders[1 + which]};
        sum += sum_of_one + stamp_message(message, size, which << NUMBER_BITS | numbers[which]++);
        rill_end_put(run, &end, message, size);
    }
    struct role_note *note = &run->board->notes[run->role];
    atomic_store_explicit(&note->sent, sent, memory_order_relaxed);
    atomic_store_explicit(&note->sum, sum, memory_order_relaxed);
    for (size_t i = 1; i < many->count; i++)
        check(run, "rill_sender_close", rill_sender_close(&many->senders[i]));
    meet_after(run);
}

static void active_receive(struct run *run)
{
    struct many *many = enter_set(run);
    size_t size = run->contestant->size;
    uint64_t count = 0, sum = 0, look = look_interval(size) - 1, next[ROLES_MAX] = {0};
    struct receive_watch watch = {0};
    bool ordered = true;
    meet_before(run);
    receive_watch_begin(run, &watch);
    for (const struct rill_set_event *event; (event = next_event(run, many));) {
        if (event->kind == RILL_SET_CLOSED)
            continue;
        if ((count & look) == 0)
            receive_watch_look(run, &watch, count);
        rill_message *message = event->message;
        const void *data = rill_message_data(message);
        if (rill_message_size(message) != size)
            fail(run, "a message of %zu bytes, not %zu", rill_message_size(message), size);
        sum += sum_words(data, size);
        if (size >= 8)
            ordered &= number_is_next(read_stamp(data, size), next, ACTIVE);
        rill_message_close(&message);
        count++;
    }
    if (!ordered)
        fail(run, "the messages of a channel came in another order");
    receive_figures(run, &watch, count, sum);
    meet_after(run);
}

static void active_work(struct run *run)
{
    if (run->role == 0)
        active_receive(run);
    else
        active_send(run);
}

/* ---------------------------------------------------------------- one floods, the others send now and then */

/* One process sends for all of them, so that a slow message is not late for want of a processor. `flood`: between the slow ones channel 1 is kept full. */
static void slow_send(struct run *run)
{
    struct many *many = enter_senders(run);
    bool flood = run->contestant->variant[0] == 'f';
    int64_t length = (int64_t)(run->options->seconds * SECOND);
    unsigned char filling[64] = {0};
    meet_before(run);
    int64_t begin = now(), next = begin;
    for (uint64_t sent = 0; next < begin + length; sent++, next += SLOW_EVERY) {
        while (now() < next)
            for (unsigned i = 0; flood && i < 32; i++) {
                struct rill_end end = {.sender = many->senders[1]};
                rill_end_put(run, &end, filling, sizeof filling);
            }
        struct rill_end end = {.sender = many->senders[2 + sent % (ACTIVE - 1)]};
        int64_t stamp = now();
        rill_end_put(run, &end, &stamp, sizeof stamp);
    }
    for (size_t i = 1; i < many->count; i++)
        check(run, "rill_sender_close", rill_sender_close(&many->senders[i]));
    meet_after(run);
}

static void slow_receive(struct run *run)
{
    struct many *many = enter_set(run);
    struct histogram *times = new_histogram(run);
    meet_before(run);
    for (const struct rill_set_event *event; (event = next_event(run, many));) {
        if (event->kind == RILL_SET_CLOSED)
            continue;
        rill_message *message = event->message;
        if (event->id > 0) {
            int64_t stamp;
            memcpy(&stamp, rill_message_data(message), sizeof stamp);
            histogram_add(times, now() - stamp);
        }
        rill_message_close(&message);
    }
    report_times(run, times);
    meet_after(run);
}

static void slow_work(struct run *run)
{
    if (run->role == 0)
        slow_receive(run);
    else
        slow_send(run);
}

/* ---------------------------------------------------------------- the bench */

static void add_kind(struct contestant *contestants, size_t *count, const struct options *options, const char *name, size_t size,
                     void (*open)(struct run *), void (*work)(struct run *))
{
    for (size_t t = 0; t < options->transport_count; t++) {
        struct contestant *it = contestant_add(contestants, count, "select", name, options->transports[t], size);
        it->open = open;
        it->work = work;
        it->close = close_many;
    }
}

int bench_select(const struct options *options)
{
    static const size_t defaults[] = {64};
    const size_t *sizes, size_count = options_sizes(options, defaults, COUNT_OF(defaults), &sizes);
    char many[32], idle[32];
    int result = 0;
    snprintf(many, sizeof many, "receivers=%u", options->receivers);
    snprintf(idle, sizeof idle, "idle=%u", options->receivers);
    struct {
        const char *kind, *names[2];
        bool sized;
        void (*open)(struct run *), (*work)(struct run *);
    } kinds[] = {
        {"receivers", {"receivers=1", many}, true, idle_open, round_trip_work},
        {"active", {"active=64"}, true, active_open, active_work},
        {"idle", {idle}, false, idle_open, idle_work},
        {"slow", {"slow=64", "flooded=64"}, false, active_open, slow_work},
    };
    for (size_t k = 0; k < COUNT_OF(kinds); k++) {
        if (!options_variant(options, kinds[k].kind))
            continue;
        for (size_t i = 0; i < (kinds[k].sized ? size_count : 1); i++) {
            struct contestant contestants[6];
            size_t count = 0;
            for (size_t n = 0; n < 2 && kinds[k].names[n]; n++)
                add_kind(contestants, &count, options, kinds[k].names[n], kinds[k].sized ? sizes[i] : NO_SIZE, kinds[k].open, kinds[k].work);
            result |= measure(options, contestants, count);
        }
    }
    return result;
}
