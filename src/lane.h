/* SPDX-License-Identifier: MIT */
/*
 * A lane from its owner's side: the sending process's part of a channel.
 *
 * Threads: a ring is held by one thread at a time (rill_lane_hold, one exchange on private memory, never waited for while rings can still be added).
 * Whoever holds it writes to it. Everything slower - blocks, arena, new rings - is under the lane's lock, private to the process.
 */
#ifndef RILL_LANE_H
#define RILL_LANE_H

#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <rill/rill.h>

#include "../shm/arena.h"
#include "../shm/blocks.h"
#include "../shm/fetch.h"
#include "../shm/layout.h"
#include "../shm/ring.h"
#include "../shm/segment.h"
#include "carry.h"
#include "handle.h"
#include "port.h"
#include "turn.h"

/* Messages up to this size lie in the ring; larger ones in the arena, where a receiver can hold each as long as it likes without holding others. */
#define RILL_INLINE_MAX ((uint64_t)64 << 10)

/* Given back by calls below when the receiver has given this lane up; the message goes into a new lane. Never leaves the library. */
#define RILL_LANE_REVOKED 1
#define RILL_LANE_LAST 2

#define RILL_LARGE_MOST 128 /* of a lane */

/* One ring, and who holds it. */
struct rill_lane_ring {
    alignas(RILL_LINE_BYTES) _Atomic uint32_t held;
    bool unfenced;                   /* the holder's: it may commit without a fence (shm/fence.h) */
    struct rill_ring_writer writer;  /* the holder's */
    struct rill_ring_control *control;
    _Atomic uint64_t sent;           /* bytes of records committed, as the queue's limit counts them; written by the holder */
    uint32_t fenced;                 /* the holder's: small messages since the fence was left out last */
    struct rill_turn turn;           /* the holder's */
};

struct rill_lane {
    struct rill_lane_header *header;
    struct rill_page *page; /* the channel's */
    uint64_t limit;         /* the queue's, 0: none */
    uint64_t most;          /* the same, UINT64_MAX: none */
    _Atomic uint32_t ring_count;
    _Atomic uint32_t rung; /* the armed number last rung for */
    struct rill_lane_ring rings[RILL_RINGS_MAX];

    pthread_mutex_t lock;
    struct rill_segment segment;
    struct rill_blocks blocks;
    struct rill_arena *arena;   /* NULL until the first large message */
    struct rill_block large[RILL_LARGE_MOST]; /* large blocks that came back, in the order in which they came back, to be lent again as they are */
    size_t large_count;
    uint64_t large_bytes;       /* of these */
    uint64_t large_lent;        /* bytes of all large blocks that were ever lent */
    uint64_t large_seen;        /* the same at the last look for a ring, */
    unsigned large_idle;        /* and how many looks it has been that */
    uint64_t peak[2];           /* the most bytes that were out at once, lately and before that, */
    uint64_t peak_from;         /* since so many were lent */
    uint64_t loaned;            /* bytes of loans that the users have in hand */
    uint32_t filling;           /* how many of those have FILLING_MIN bytes at least */
    uint64_t rotate_bytes;      /* so many of them lie between two uses of one */
    _Atomic(unsigned char *) last_node; /* of the return stack: where the next one may lie as well; NULL: it is not likely to be looked at */
    bool arena_failed;          /* none is to be had: large messages lie in blocks of their ring */
    struct rill_block *spare;   /* blocks of rings that came back, oldest first: a queue, so that a busy ring goes round */
    size_t spare_first, spare_count, spare_capacity;
    uint64_t ring_bytes;        /* in all blocks of rings, spare ones included */
    uint64_t keep_bytes;        /* so much of them is kept for reuse; what is more was a burst and goes back to the system */

    _Atomic uint64_t consumed_seen; /* `consumed` when last read: while that is enough, its line stays where it is */

    uint64_t id;                /* random: names the lane in packets until it has a number; only its receiver learns it */
    struct rill_identity identity;
    rill_object kept[4];        /* further handles of this segment that came to this process: closing one would drop the owner's mark */
    size_t kept_count;
    _Atomic uint32_t references;
    _Atomic uint32_t closed;    /* the owner has let go; a receiver in this process may still read */
    struct rill_lane *next_own; /* process.c */

    /* Waiting for room: one thread sleeps on the socket, the others on the condition. Under room_lock. */
    pthread_mutex_t room_lock;
    pthread_cond_t room_changed;
    bool room_watched;
    rill_object room_socket; /* RILL_NO_OBJECT until somebody waits */
    struct rill_room *room;  /* of a loop that is armed for room (waitable.h), or NULL: whoever watches in its place signals it */

    struct rill_carrier carrier; /* of handles; under the lock */
};

/* Makes a lane, for a queue of so many bytes, and announces it on the channel's sending socket. RILL_EAGAIN: the socket is full. RILL_EBROKEN, RILL_ENOMEM, RILL_ENOFD … */
int rill_lane_create(struct rill_page *page, uint64_t limit, rill_object socket, struct rill_lane **lane);

/* The owner lets go: no record will follow. The receiver is rung on the socket if it is asleep, to free its part. */
void rill_lane_close(struct rill_lane *lane, rill_object socket);

/* ---- between two channels (reuse.h) ---- */

/* Is it small, whole and quiet, so that it can serve another channel on the same page? */
bool rill_lane_can_rest(struct rill_lane *lane);

/* The owner has let go, after `imports` arrivals of the sender. */
void rill_lane_rest(struct rill_lane *lane, uint32_t imports);

/* The receiver has wiped the ring and put its cursor back to the beginning: so does the owner. */
void rill_lane_renew(struct rill_lane *lane);

/* From here on records may come. */
void rill_lane_wake_up(struct rill_lane *lane);

/* In the child of a fork: drops what was inherited of the parent's lane, without a trace there. */
void rill_lane_abandon(struct rill_lane *lane);

void rill_lane_reference(struct rill_lane *lane);
void rill_lane_release(struct rill_lane *lane);

/* Takes a further handle of this lane's segment into keeping until the lane is freed. */
void rill_lane_keep(struct rill_lane *lane, rill_object handle);

/* Gives a ring that nobody else holds, made if need be. RILL_LANE_REVOKED, RILL_ENOMEM … */
int rill_lane_hold(struct rill_lane *lane, struct rill_lane_ring **ring);

/* Takes a ring if nobody holds it. A process of one thread needs no exchange: a signal handler that sends in between has dropped the ring again
 * before this goes on, and a thread that is started later sees what was stored before. */
static inline bool rill_lane_try_ring(struct rill_lane_ring *ring)
{
    if (atomic_load_explicit(&ring->held, memory_order_relaxed) != 0)
        return false;
    if (__builtin_expect(rill_port_single_threaded(), 1)) {
        atomic_store_explicit(&ring->held, 1, memory_order_relaxed);
        return true;
    }
    return atomic_exchange_explicit(&ring->held, 1, memory_order_acquire) == 0; /* partner: rill_lane_drop */
}

/* The lane's ring if it is the only one and free, the common case: NULL leaves the rest to rill_lane_hold. */
static inline struct rill_lane_ring *rill_lane_try_only_ring(struct rill_lane *lane)
{
    bool only = atomic_load_explicit(&lane->ring_count, memory_order_relaxed) == 1;
    return only && rill_lane_try_ring(&lane->rings[0]) ? &lane->rings[0] : NULL;
}

static inline void rill_lane_drop(struct rill_lane_ring *ring)
{
    atomic_store_explicit(&ring->held, 0, memory_order_release); /* partner: rill_lane_try_ring */
}

/* After so many small messages the fence is left out, until somebody needs it: a receiver that falls asleep meanwhile, or another ring. Who needs it pays for
 * that with a barrier, and some of these take 50 us. */
#ifndef RILL_UNFENCED_AFTER
#define RILL_UNFENCED_AFTER 65536u
#endif

/* Leaves the fence out of the commits of small messages from now on, if that can be. Holding the ring, the lane's only one. */
void rill_lane_suspend_fence(struct rill_lane *lane, struct rill_lane_ring *ring);

/* Puts it back in, before a message that may need it. */
void rill_lane_end_unfenced(struct rill_lane *lane, struct rill_lane_ring *ring);

/* The same when somebody was found to need it behind a message of this size, which was committed without. Holding the ring. RILL_LANE_REVOKED: that message was not sent.
 * RILL_LANE_LAST: it was, and the lane is to be left. */
int rill_lane_resume_fence(struct rill_lane *lane, struct rill_lane_ring *ring, uint64_t size);

static inline void rill_lane_raise(_Atomic uint64_t *count, uint64_t by)
{
    atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + by, memory_order_relaxed);
}

/* Notes what the holder has committed; `sent` is all that the ring has sent with it. The counts in shared memory are for statistics, the private one for
 * the limit. */
static inline void rill_lane_note_sent(struct rill_lane_ring *ring, uint64_t size, uint64_t sent)
{
    struct rill_ring_control *control = ring->control;
    atomic_store_explicit(&ring->sent, sent, memory_order_relaxed);
    atomic_store_explicit(&control->sent_weight, sent, memory_order_relaxed);
    rill_lane_raise(&control->sent_messages, 1);
    rill_lane_raise(&control->sent_bytes, size);
}

static inline void rill_lane_count_sent(struct rill_lane_ring *ring, uint64_t size, uint64_t weight)
{
    rill_lane_note_sent(ring, size, atomic_load_explicit(&ring->sent, memory_order_relaxed) + weight);
}

/* The same for a record that turned out to be none. */
static inline void rill_lane_count_skipped(struct rill_lane_ring *ring, uint64_t weight)
{
    uint64_t sent = atomic_load_explicit(&ring->sent, memory_order_relaxed) + weight;
    atomic_store_explicit(&ring->sent, sent, memory_order_relaxed);
    atomic_store_explicit(&ring->control->sent_weight, sent, memory_order_relaxed);
}

/* Puts one message of `size` bytes, in `count` parts, into a held ring, with the handles of a parcel or without (NULL). RILL_LANE_REVOKED, RILL_ENOMEM,
 * RILL_EBROKEN, RILL_EINFLIGHT …: nothing was sent. */
int rill_lane_put(struct rill_lane *lane, struct rill_lane_ring *ring, rill_object socket, const struct rill_bytes *parts, size_t count,
                  uint64_t size, const struct rill_parcel *parcel);

/* ---- loans ----
 * An allocation of the arena is in the table of what the receiver may give back only from the commit of its record on: before, it is the user's,
 * and nothing that a receiver pushes on the return stack can take it away. */

/* Before an allocation, the sooner the better: asks for the lines that will come from the receiver's processor. */
static inline void rill_lane_expect_loan(const struct rill_lane *lane)
{
    const unsigned char *node = atomic_load_explicit(&lane->last_node, memory_order_relaxed);
    if (!node)
        return;
    rill_fetch_to_write(&lane->header->returned);
    rill_fetch_to_write(node);
}

/* Allocates large->size bytes. RILL_ENOTSUP: the lane has no arena. RILL_EBROKEN, RILL_ENOMEM. */
int rill_lane_loan(struct rill_lane *lane, rill_object socket, uint64_t alignment, struct rill_large *large, unsigned char **block);
void rill_lane_unloan(struct rill_lane *lane, const struct rill_large *large, unsigned char *block);

/* Gives the end of an allocation back, if that is worth it. */
void rill_lane_shrink_loan(struct rill_lane *lane, struct rill_large *large, unsigned char *block);

/* Sends a loan as a message of its own. Errors as rill_lane_put; then it is still a loan. */
int rill_lane_put_loan(struct rill_lane *lane, struct rill_lane_ring *ring, rill_object socket, const struct rill_large *large);

/* The same in two steps, for a loan that travels in a message with others: from _lend on the receiver may give it back. _unlend makes it a loan again;
 * false: the receiver, which lies, has given it back already, and it is the user's no more. */
int rill_lane_lend(struct rill_lane *lane, const struct rill_large *large);
bool rill_lane_unlend(struct rill_lane *lane, const struct rill_large *large);

/* What a loan of this size will count in the limit. */
static inline uint64_t rill_lane_loan_weight(const struct rill_lane *lane, uint64_t size)
{
    bool stamped = atomic_load_explicit(&lane->page->rings, memory_order_relaxed) > 1;
    return RILL_HEADER_BYTES + (stamped ? RILL_TICKET_BYTES : 0) + sizeof(struct rill_large) + size;
}

/* What a message of this size will count in the limit if it is sent now. */
static inline uint64_t rill_lane_weight(const struct rill_lane *lane, uint64_t size, const struct rill_parcel *parcel)
{
    bool stamped = atomic_load_explicit(&lane->page->rings, memory_order_relaxed) > 1;
    uint64_t head = RILL_HEADER_BYTES + (stamped ? RILL_TICKET_BYTES : 0);
    if (parcel) {
        head += sizeof(struct rill_carried);
        size += parcel->section_bytes;
    }
    uint64_t held = parcel ? parcel->held : 0;
    return held + (size <= RILL_INLINE_MAX ? head + rill_ring_padded(size) : head + sizeof(struct rill_large) + size);
}

/* Bytes queued by this process. */
uint64_t rill_lane_queued(const struct rill_lane *lane);

/* Notes that a packet was sent which is a wakeup for the armed number `due` (0: it was not armed). */
void rill_lane_rang(struct rill_lane *lane, uint32_t due);

/* Rings the receiver, which sleeps. RILL_EBROKEN: it is gone. No other error: what was committed is sent. */
int rill_lane_ring_receiver(struct rill_lane *lane, rill_object socket, uint32_t due);

/* Waits until at most `target` bytes are queued, or `event` (if any), or the deadline. Another thread that waits already may be the one to
 * sleep on the socket. RILL_OK may be spurious. RILL_ETIMEDOUT, RILL_EINTERRUPTED, RILL_EBROKEN, RILL_EAGAIN, RILL_ENOFD … */
int rill_lane_wait_for_room(struct rill_lane *lane, rill_object socket, uint64_t target, rill_object event, int64_t deadline);

/* The same without waiting: arms the loop that listens to the room's poller. RILL_OK: it is told. RILL_EREADY: it is so already. Else as above. */
int rill_lane_arm_room(struct rill_lane *lane, rill_object socket, uint64_t target, struct rill_room *room);

#endif
