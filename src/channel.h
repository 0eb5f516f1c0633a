/* SPDX-License-Identifier: MIT */
/*
 * What a process holds of a channel. Private; tests and users see only rill.h.
 *
 *   rill_sender ──> endpoint ──> core (control page)          one endpoint for all clones of a sender
 *                      └──────> lane (lane.h)                 made at the first send
 *   rill_receiver ──> core
 *        └──────────> inbox (inbox.h) ──> lanes of all senders
 */
#ifndef RILL_CHANNEL_H
#define RILL_CHANNEL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <rill/rill.h>

#include "../shm/layout.h"
#include "lane.h"
#include "port.h"
#include "spin.h"

struct rill_queue;  /* inproc.c */
struct rill_source; /* source.h */
struct rill_inbox;  /* inbox.h */
struct rill_event_bell;
struct rill_room;   /* waitable.h */
struct rill_birth;  /* reuse.h */
struct rill_shelf;

/* The control page, shared by both ends if one process holds both. */
/* What the page says of the channel for its senders, read once: whoever has the page could change it later. */
struct rill_terms {
    uint32_t on_full, max_objects;
    uint64_t limit, max_message;
    int64_t send_timeout, spin;
};

struct rill_core {
    _Atomic uint32_t references;
    rill_object memory;
    struct rill_page *page;
    uint32_t transport; /* the page's, read once */
    struct rill_terms terms;
    bool identified;    /* under the process's lock */
    struct rill_identity identity;
};

int rill_core_create(const struct rill_channel_options *options, struct rill_core **core);

/* Maps a page that came from another process and checks it; takes the handle over only on success. RILL_EVERSION, RILL_EPEER. */
int rill_core_open(rill_object memory, struct rill_core **core);
void rill_core_reference(struct rill_core *core);
void rill_core_release(struct rill_core *core);

#define RILL_SENDER_MAGIC UINT32_C(0x72736e64)
#define RILL_RECEIVER_MAGIC UINT32_C(0x72726376)

struct rill_sender {
    uint32_t magic;
    struct rill_endpoint *endpoint;
};

/* Which endpoint this is, in whatever process: a page alone could be paired with a foreign socket by a peer that means harm. */
struct rill_endpoint_name {
    struct rill_identity socket, page;
};

struct rill_endpoint {
    _Atomic uint32_t references;      /* senders */
    _Atomic uint32_t transport;       /* in process it becomes RILL_SHM when an end leaves (share.h): whoever reads that, acquiring, sees the rest */
    _Atomic(struct rill_core *) core; /* NULL in process. It changes at most once, before anything was sent (reuse.c) */
    rill_object socket;
    struct rill_queue *queue;         /* in process, and kept when it has become a shared one */
    _Atomic(struct rill_lane *) lane; /* shared memory: NULL until the first send */
    uint32_t retired_count;
    struct rill_lane *retired;        /* lanes that the receiver gave up, linked through next_own; another thread may still be inside */
    _Atomic uint32_t generation;      /* of the process that may use lane, lock and event */
    _Atomic uint32_t broken;          /* the receiver was found gone: that stays so */
    _Atomic uint32_t interrupted;
    _Atomic rill_object event;        /* wakes a thread that waits for room; made when one waits in a process of many threads */
    pthread_mutex_t lock;             /* making and replacing the lane; socket mode: messages of several pieces */
    struct rill_room *room;           /* for the descriptor that tells of room, or NULL (waitable.h); under lock until it is made */
    struct rill_spin spin;            /* for room: used by the thread that holds spin_turn, the others do not spin */
    _Atomic uint32_t spin_turn;
    _Atomic uint64_t small_end;       /* messages below this size can take the short way in send.c; 0 when the receiver was found gone */
    uint64_t stream;                  /* socket mode: this process's name in pieces, 0 until used */
    _Atomic uint32_t announced;       /* socket mode: the receiver will know that packets of this endpoint carry objects */
    _Atomic uint64_t messages, bytes; /* socket mode */
    _Atomic uint64_t wakeups, waits;
    uint64_t serial;                  /* no other endpoint of this process has it */
    struct rill_birth *birth;         /* if the channel was made here, or NULL (reuse.h) */
    struct rill_shelf *shelf;         /* of the lane that it came through, or NULL; */
    _Atomic uint32_t imports;         /* then: how often it came, */
    uint32_t forks, page_generation;  /* and what held when it came first */
    bool unnamed;                     /* sent, and its name not known yet. Under the process's lock, as the next. */
    bool published;                   /* in the process's table: it was sent or received in a message and may come again. Under the process's lock. */
    struct rill_endpoint_name name;   /* if so */
    struct rill_endpoint *next_published;
};

#define RILL_BUSY_IN_SET 2u

struct rill_receiver {
    uint32_t magic;
    uint32_t transport;
    _Atomic uint32_t busy;        /* a thread is inside a call; or RILL_BUSY_IN_SET */
    bool leaving;                 /* packed into a message that is not sent yet: busy too */
    struct rill_core *core;       /* NULL in process */
    rill_object socket;
    struct rill_birth *birth;     /* if the channel was made here, or NULL (reuse.h) */
    const struct rill_source *source; /* how its transport receives, */
    void *state;                  /* and on what: inbox, stream or queue */
    struct rill_queue *queue;     /* in process, and kept when it has become a shared one */
    struct rill_inbox *inbox;     /* the same, if it is one: for the short way in recv.c */
    uint32_t owner;               /* generation of the process that made it or took it over */
    uint32_t generation;          /* the same once that process has received, before that another */
    uint32_t forks;               /* of this process when it got the receiver */
    uint64_t reader;              /* what this process wrote into the page; 0: it has not received yet */
    _Atomic uint32_t interrupted;
    _Atomic rill_object event;    /* wakes a thread that is asleep; made when one sleeps in a process of many threads */
    struct rill_event_bell *bell; /* in process: what the descriptor that was handed out hangs on, or NULL (waitable.c) */
    struct rill_spin spin;
    uint64_t messages, bytes, wakeups, waits;
};

/* Both NULL-safe: the object, if it is one. */
static inline struct rill_endpoint *rill_endpoint_of(const rill_sender *sender)
{
    return sender && sender->magic == RILL_SENDER_MAGIC ? sender->endpoint : NULL;
}

static inline uint32_t rill_endpoint_transport(const struct rill_endpoint *endpoint)
{
    return atomic_load_explicit(&endpoint->transport, memory_order_acquire); /* partner: share.c */
}

static inline bool rill_is_receiver(const rill_receiver *receiver)
{
    return receiver && receiver->magic == RILL_RECEIVER_MAGIC;
}

/* ---- endpoints that travel: received again, one costs no further handle ---- */

/* It was sent, and may come back: puts it into the table; does nothing if it is there. */
void rill_endpoint_publish(struct rill_endpoint *endpoint);

/* The same where the name is known. */
void rill_endpoint_publish_as(struct rill_endpoint *endpoint, const struct rill_endpoint_name *name);

void rill_endpoint_withdraw(struct rill_endpoint *endpoint);

/* The endpoint of this name, referenced, or NULL. */
struct rill_endpoint *rill_endpoint_find(const struct rill_endpoint_name *name);
void rill_endpoint_release(struct rill_endpoint *endpoint);

/* A sender on an endpoint: takes the reference over on success. */
int rill_sender_wrap(struct rill_endpoint *endpoint, rill_sender **sender);

/* Take over core and socket only on success. */
int rill_sender_make(struct rill_core *core, rill_object socket, rill_sender **sender);
int rill_receiver_make(struct rill_core *core, rill_object socket, rill_receiver **receiver);

/* A channel over shared memory or a socket, of new parts that serve it alone; all options given. */
int rill_channel_make(const struct rill_channel_options *options, rill_sender **sender, rill_receiver **receiver);
/* The same in shared memory on an inbox that has served before; takes that over too. */
int rill_receiver_make_on(struct rill_core *core, struct rill_inbox *inbox, rill_object socket, rill_receiver **receiver);

/* What a thread that is about to sleep listens to for interrupts: RILL_NO_OBJECT where no other thread can be there to interrupt it. */
int rill_event_prepare(_Atomic rill_object *event, rill_object *listen);

/* Takes an interrupt that was asked for: true once for each. */
bool rill_interrupt_take(_Atomic uint32_t *interrupted, _Atomic rill_object *event);
void rill_interrupt_clear(_Atomic rill_object *event);
void rill_interrupt_raise(_Atomic uint32_t *interrupted, _Atomic rill_object *event);

/* Makes a receiver that was inherited over fork this process's own, as its first use does. RILL_EBUSY: another process receives. */
int rill_receiver_settle(rill_receiver *receiver);

/* Counts what was received on the shortest way (streak.h): before anything but that looks at the receiver or its inbox. */
void rill_receiver_settle_streak(rill_receiver *receiver);

/* RILL_OK: no call and no set has it now. RILL_EBUSY, RILL_EINSET. */
static inline int rill_receiver_idle(const rill_receiver *receiver)
{
    uint32_t busy = atomic_load_explicit(&receiver->busy, memory_order_relaxed);
    return busy == 0 ? RILL_OK : busy == RILL_BUSY_IN_SET ? RILL_EINSET : RILL_EBUSY;
}

/* As at the begin of a receiving call, to be followed by _leave; or by nothing, if the receiver goes into a set. RILL_EINVAL, RILL_EBUSY, RILL_EINSET … */
int rill_receiver_enter(rill_receiver *receiver);
void rill_receiver_leave(rill_receiver *receiver);

/* Takes the message that `next` has found, and counts it. */
int rill_receiver_take(rill_receiver *receiver, rill_message **message);

/* What its source says of the next message; if the channel has become a shared one, the receiver goes over first. */
int rill_receiver_next(rill_receiver *receiver);

/* The call that asked has something else to say than what `next` said. A fault is told once, so the next call tells it; what else it may be is found
 * again. */
void rill_receiver_leave_untold(rill_receiver *receiver, int code);

/* Lets go of a receiver: with `closing` the channel ends for its senders at once. */
void rill_receiver_dispose(rill_receiver *receiver, bool closing);

#endif
