/* SPDX-License-Identifier: MIT */
/* How long does a request take whose answer comes through a channel of its own, made for it and sent along? */
#include "perf/bench.h"
#include "perf/ends.h"
#include "perf/roundtrip.h"

static void request_open(struct run *run)
{
    ends_open(run, 0, 0, run->options->limit);
}

static void request_step(struct run *run, void *state, uint64_t number)
{
    struct rill_end *end = state;
    struct rill_channel_options options = {.size = sizeof options, .transport = run->contestant->rill};
    struct rill_handle handle = {.kind = RILL_HANDLE_SENDER};
    rill_receiver *answers;
    rill_message *message;
    check(run, "rill_channel", rill_channel(&options, &handle.as.sender, &answers));
    check(run, "rill_send_handles", rill_send_handles(end->sender, &number, sizeof number, &handle, 1));
    check(run, "rill_sender_close", rill_sender_close(&handle.as.sender));
    check(run, "rill_recv", rill_recv(answers, &message));
    if (read_stamp(rill_message_data(message), rill_message_size(message)) != number)
        fail(run, "the answer to request %llu is wrong", (unsigned long long)number);
    rill_message_close(&message);
    check(run, "rill_receiver_close", rill_receiver_close(&answers));
}

static void serve(struct run *run, struct rill_end *end)
{
    const void *question;
    rill_sender *answers;
    size_t size;
    meet_before(run);
    while (rill_end_take(run, end, &question, &size)) {
        check(run, "rill_message_take_sender", rill_message_take_sender(end->message, 0, &answers));
        check(run, "rill_send", rill_send(answers, question, size));
        check(run, "rill_sender_close", rill_sender_close(&answers));
        rill_end_drop(run, end);
    }
}

static void request_work(struct run *run)
{
    struct rill_end end = ends_keep(run, run->role == 0 ? 0 : NO_END, run->role == 0 ? NO_END : 0);
    if (run->role == 0) {
        time_steps(run, request_step, &end);
        rill_end_finish(run, &end);
    } else {
        serve(run, &end);
    }
    meet_after(run);
}

int bench_request(const struct options *options)
{
    struct contestant contestants[3];
    size_t count = 0;
    for (size_t t = 0; t < options->transport_count; t++) {
        struct contestant *it = contestant_add(contestants, &count, "request", "-", options->transports[t], sizeof(uint64_t));
        it->open = request_open;
        it->work = request_work;
    }
    return measure(options, contestants, count);
}
