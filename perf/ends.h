/* SPDX-License-Identifier: MIT */
/* Rill's side of the benches: the channels of a run, and rill's calls in the shape that stream.h and roundtrip.h take. */
#ifndef RILL_PERF_ENDS_H
#define RILL_PERF_ENDS_H

#include "perf/harness.h"
#include "perf/stream.h"

#include <rill/rill.h>

#define CHANNELS_MAX 8
#define SMALL_MOST 256 /* messages up to this size are received into the receiver's own memory, larger ones are read where they lie */
#define NO_END UINT32_MAX

/* What open() makes. The processes of a run inherit all of it, and each keeps what it uses. */
struct ends {
    rill_sender *senders[ROLES_MAX];
    rill_receiver *receivers[CHANNELS_MAX];
};

/* Adds a channel with the options of the run; senders[sender] and receivers[receiver] are its ends. limit 0: none. */
void ends_open(struct run *run, unsigned sender, unsigned receiver, uint64_t limit);
/* For contestant.close. */
void ends_close(struct run *run);
struct ends *ends_of(struct run *run);

/* One role's ends, and the messages in its hand. */
struct rill_end {
    rill_sender *sender;
    rill_receiver *receiver;
    rill_message *message;
    _Alignas(LINE) unsigned char place[SMALL_MOST]; /* or a small message itself */
    rill_message **messages;  /* received together, with --batch */
    struct rill_bytes *bytes; /* to be sent together */
    size_t capacity, at, count;
};

/* Keeps the ends with these numbers (or NO_END) and, in a process, closes all others: a sender that stays open here would
 * keep the receiver waiting. */
struct rill_end ends_keep(struct run *run, unsigned sender, unsigned receiver);
void rill_end_finish(struct run *run, void *end);

/* Adds a contestant that is rill with one of its transports. */
struct contestant *contestant_add(struct contestant *list, size_t *count, const char *bench, const char *variant,
                                  uint32_t transport, size_t size);

static inline void rill_end_put(struct run *run, void *end, const void *message, size_t size)
{
    struct rill_end *mine = end;
    int code;
    while ((code = rill_send(mine->sender, message, size)) == RILL_EAGAIN)
        give_way();
    if (__builtin_expect(code != RILL_OK, 0))
        check(run, "rill_send", code);
}

static inline bool rill_end_take(struct run *run, void *end, const void **message, size_t *size)
{
    struct rill_end *mine = end;
    int code = rill_recv(mine->receiver, &mine->message);
    if (__builtin_expect(code != RILL_OK, 0)) {
        if (code != RILL_EDISCONNECTED)
            check(run, "rill_recv", code);
        return false;
    }
    *message = rill_message_data(mine->message);
    *size = rill_message_size(mine->message);
    return true;
}

static inline void rill_end_drop(struct run *run, void *end)
{
    struct rill_end *mine = end;
    (void)run;
    rill_message_close(&mine->message);
}

#define RILL_CALLS \
    ((struct stream_calls){.put = rill_end_put, .finish = rill_end_finish, .take = rill_end_take, .drop = rill_end_drop})

static inline bool rill_end_take_small(struct run *run, void *end, const void **message, size_t *size)
{
    struct rill_end *mine = end;
    int code = rill_recv_into(mine->receiver, mine->place, sizeof mine->place, RILL_FOREVER, size);
    if (__builtin_expect(code != RILL_OK, 0)) {
        if (code != RILL_EDISCONNECTED)
            check(run, "rill_recv_into", code);
        return false;
    }
    *message = mine->place;
    return true;
}

static inline void rill_end_drop_small(struct run *run, void *end)
{
    (void)run, (void)end;
}

#define RILL_SMALL_CALLS    \
    ((struct stream_calls){ \
        .put = rill_end_put, .finish = rill_end_finish, .take = rill_end_take_small, .drop = rill_end_drop_small})

/* The receiving side of a stream, in the way that is best for the size. */
void rill_end_stream(struct run *run, struct rill_end *end);

/* ---------------------------------------------------------------- several messages a call */

void rill_end_batch(struct run *run, struct rill_end *end);
void rill_end_flush(struct run *run, struct rill_end *end);
bool rill_end_refill(struct run *run, struct rill_end *end);

static inline void rill_end_put_later(struct run *run, void *end, const void *message, size_t size)
{
    struct rill_end *mine = end;
    mine->bytes[mine->count++] = (struct rill_bytes){message, size};
    if (mine->count == mine->capacity)
        rill_end_flush(run, mine);
}

static inline bool rill_end_take_next(struct run *run, void *end, const void **message, size_t *size)
{
    struct rill_end *mine = end;
    if (mine->at == mine->count && !rill_end_refill(run, mine))
        return false;
    mine->message = mine->messages[mine->at++];
    *message = rill_message_data(mine->message);
    *size = rill_message_size(mine->message);
    return true;
}

#define RILL_BATCH_CALLS    \
    ((struct stream_calls){ \
        .put = rill_end_put_later, .finish = rill_end_finish, .take = rill_end_take_next, .drop = rill_end_drop})

#endif
