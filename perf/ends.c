/* SPDX-License-Identifier: MIT */
#include "perf/ends.h"

#include <stdlib.h>

struct ends *ends_of(struct run *run)
{
    if (!run->ends)
        run->ends = calloc(1, sizeof(struct ends));
    if (!run->ends)
        fail(run, "no memory");
    return run->ends;
}

void ends_open(struct run *run, unsigned sender, unsigned receiver, uint64_t limit)
{
    struct ends *ends = ends_of(run);
    struct rill_channel_options options = {
        .size = sizeof options,
        .transport = run->contestant->rill,
        .limit = limit,
        .on_full = limit ? RILL_FULL_WAIT : 0,
    };
    check(run, "rill_channel", rill_channel(&options, &ends->senders[sender], &ends->receivers[receiver]));
}

static void close_all_but(struct ends *ends, unsigned sender, unsigned receiver)
{
    for (unsigned i = 0; i < ROLES_MAX; i++)
        if (i != sender)
            rill_sender_close(&ends->senders[i]);
    for (unsigned i = 0; i < CHANNELS_MAX; i++)
        if (i != receiver)
            rill_receiver_close(&ends->receivers[i]);
}

void ends_close(struct run *run)
{
    close_all_but(ends_of(run), NO_END, NO_END);
}

struct rill_end ends_keep(struct run *run, unsigned sender, unsigned receiver)
{
    struct ends *ends = ends_of(run);
    if (!run->contestant->threads)
        close_all_but(ends, sender, receiver);
    return (struct rill_end){
        .sender = sender == NO_END ? NULL : ends->senders[sender],
        .receiver = receiver == NO_END ? NULL : ends->receivers[receiver],
    };
}

void rill_end_finish(struct run *run, void *end)
{
    struct rill_end *mine = end;
    if (mine->bytes)
        rill_end_flush(run, mine);
    if (mine->sender)
        check(run, "rill_sender_close", rill_sender_close(&mine->sender));
}

void rill_end_stream(struct run *run, struct rill_end *end)
{
    if (run->contestant->size <= SMALL_MOST)
        stream_receive(run, end, RILL_SMALL_CALLS);
    else
        stream_receive(run, end, RILL_CALLS);
}

struct contestant *contestant_add(struct contestant *list, size_t *count, const char *bench, const char *variant,
                                  uint32_t transport, size_t size)
{
    struct contestant *it = &list[(*count)++];
    *it = (struct contestant){
        .bench = bench,
        .variant = variant,
        .transport = transport_name(transport),
        .rill = transport,
        .size = size,
        .roles = 2,
        .threads = transport == RILL_INPROC,
        .close = ends_close,
    };
    return it;
}

void rill_end_batch(struct run *run, struct rill_end *end)
{
    end->capacity = run->options->batch;
    end->messages = calloc(end->capacity, sizeof *end->messages);
    end->bytes = end->sender ? calloc(end->capacity, sizeof *end->bytes) : NULL;
    if (!end->messages || (end->sender && !end->bytes))
        fail(run, "no memory");
}

void rill_end_flush(struct run *run, struct rill_end *end)
{
    size_t done = 0;
    while (done < end->count) {
        size_t sent = 0;
        int code = rill_send_many(end->sender, end->bytes + done, end->count - done, &sent);
        done += sent;
        if (code == RILL_EAGAIN)
            give_way();
        else
            check(run, "rill_send_many", code);
    }
    end->count = 0;
}

bool rill_end_refill(struct run *run, struct rill_end *end)
{
    end->at = end->count = 0;
    int code = rill_recv_many(end->receiver, RILL_FOREVER, end->messages, end->capacity, &end->count);
    if (code != RILL_EDISCONNECTED)
        check(run, "rill_recv_many", code);
    return code == RILL_OK;
}
