/* SPDX-License-Identifier: MIT */
/* How long does it take to send a sender through a channel, and to get a message that was sent with it at the other end? */
#include "perf/bench.h"
#include "perf/ends.h"
#include "perf/roundtrip.h"

static void transfer_open(struct run *run)
{
    ends_open(run, 0, 1, run->options->limit); /* what it is sent through */
    ends_open(run, 1, 0, run->options->limit); /* what it belongs to */
}

/* The same sender each time: what it costs to make the channel, `request` and `create` show. */
static void transfer_step(struct run *run, void *state, uint64_t number)
{
    struct rill_end *ends = state;
    struct rill_handle handle = {.kind = RILL_HANDLE_SENDER, .as.sender = ends[1].sender};
    rill_message *message;
    check(run, "rill_send_handles", rill_send_handles(ends[0].sender, &number, sizeof number, &handle, 1));
    check(run, "rill_recv", rill_recv(ends[1].receiver, &message));
    if (read_stamp(rill_message_data(message), rill_message_size(message)) != number)
        fail(run, "what was sent with sender %llu is wrong", (unsigned long long)number);
    rill_message_close(&message);
}

static void use_senders(struct run *run)
{
    struct rill_end end = ends_keep(run, NO_END, 1);
    const void *number;
    rill_sender *sender;
    size_t size;
    meet_before(run);
    while (rill_end_take(run, &end, &number, &size)) {
        check(run, "rill_message_take_sender", rill_message_take_sender(end.message, 0, &sender));
        check(run, "rill_send", rill_send(sender, number, size));
        check(run, "rill_sender_close", rill_sender_close(&sender));
        rill_end_drop(run, &end);
    }
}

static void send_senders(struct run *run)
{
    struct ends *all = ends_of(run);
    struct rill_end ends[2] = {{.sender = all->senders[0]}, {.sender = all->senders[1], .receiver = all->receivers[0]}};
    if (!run->contestant->threads)
        check(run, "rill_receiver_close", rill_receiver_close(&all->receivers[1]));
    time_steps(run, transfer_step, ends);
    rill_end_finish(run, &ends[0]);
}

static void transfer_work(struct run *run)
{
    if (run->role == 0)
        send_senders(run);
    else
        use_senders(run);
    meet_after(run);
}

int bench_transfer(const struct options *options)
{
    struct contestant contestants[3];
    size_t count = 0;
    for (size_t t = 0; t < options->transport_count; t++) {
        struct contestant *it = contestant_add(contestants, &count, "transfer", "-", options->transports[t], sizeof(uint64_t));
        it->open = transfer_open;
        it->work = transfer_work;
    }
    return measure(options, contestants, count);
}
