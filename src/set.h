/* SPDX-License-Identifier: MIT */
/*
 * A set from inside, for the router and for loops of others (router.c, watch.c).
 *
 * Each receiver of a set is in one of two states. An active one is in a ring that every wait goes round, without a system call. An armed one is in
 * no list at all: its lanes' owners will ring (shm/wake.h), its socket is watched by the poller, and it costs nothing until then.
 *
 *   active --dry for a while, and source->arm finds nothing--> armed --its socket becomes readable, or its bell rings--> active
 *
 * No wakeup is lost between the two: the poller tells of every packet that arrives, drained or not (port.h), and `arm` returns RILL_OK only if all that
 * came before was taken and whatever comes later makes a packet. A receiver that the poller told of is asked with source->arrived before it is
 * armed again.
 *
 * Threads: one waits; all others that come by (to add, to remove) are visitors. Everything is under the lock, which the waiter gives up while it
 * sleeps. A visitor says so in `visitors` first, so that a waiter that is awake lets it in.
 */
#ifndef RILL_SET_H
#define RILL_SET_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <rill/rill.h>

#include "port.h"
#include "queue.h"
#include "spin.h"

struct rill_entry {
    uint64_t id;
    rill_receiver *receiver;
    void *user;
    struct rill_entry *in_bucket;
    struct rill_entry *next, *previous; /* in the ring of active ones; NULL: not in it */
    uint32_t dry;                  /* looks in a row that found nothing */
    bool readable;                 /* the poller told of it, and it was not asked since */
    bool paused;                   /* never active */
    int error;                     /* of arming it, to be told */
    struct rill_set *set;
    struct rill_bell bell;         /* in process: rings in place of the socket */
    struct rill_entry *next_rung;
    bool rung;
    struct rill_entry *next_resting;
    bool resting;                  /* in the list of those that may have memory to trim */
};

struct rill_set {
    uint32_t magic;
    uint32_t generation;
    pthread_mutex_t lock;
    pthread_cond_t visited;
    _Atomic uint32_t visitors;
    bool waiting;                  /* a thread is in a wait */
    bool listening;                /* it sleeps, or somebody does on the descriptor: signal the event if there is something to do */
    bool patient;                  /* an empty set is waited on like any other */
    rill_object poller, event;
    _Atomic uint32_t interrupted;
    uint64_t next_id;
    struct rill_entry **buckets;
    size_t bucket_count, count;
    struct rill_entry *turn;       /* whose turn it is in the ring of active ones */
    size_t active_count;
    pthread_mutex_t rung_lock;     /* taken under a queue's lock */
    struct rill_entry *rung;
    struct rill_entry *resting;    /* armed, and not asked for memory to trim since */
    bool troubled;                 /* one of them could not go on for now: it is told once a call */
    struct rill_spin spin;
    uint64_t delivered, asked_at;  /* messages, in all and when the poller was last asked */
    void (*told)(void *user, uint64_t token); /* what is done with tokens of others, under the lock */
    void *told_user;
};

#define RILL_SET_MAGIC UINT32_C(0x72736574)
#define RILL_TOKEN_EVENT UINT64_MAX
#define RILL_TOKEN_OTHERS (UINT64_C(1) << 63) /* tokens from here on are not ids of receivers */

static inline bool rill_is_set(const rill_set *set)
{
    return set && set->magic == RILL_SET_MAGIC;
}

void rill_set_visit(rill_set *set);
void rill_set_part(rill_set *set);

/* The rest: under the lock. */

/* As rill_set_wait. */
int rill_set_collect(rill_set *set, int64_t deadline, struct rill_set_event *events, size_t capacity, size_t *count);

/* Takes the receiver over on success. */
int rill_set_enter(rill_set *set, rill_receiver *receiver, void *user, struct rill_entry **entry);
struct rill_entry *rill_set_find(const rill_set *set, uint64_t id);

/* Takes it out of the set; the receiver is the caller's again. */
rill_receiver *rill_set_leave(rill_set *set, struct rill_entry *entry);

/* A paused receiver gives nothing. */
void rill_set_pause(rill_set *set, struct rill_entry *entry);
void rill_set_resume(rill_set *set, struct rill_entry *entry);

/* Everything is active or armed: RILL_OK: all of it is armed. RILL_EREADY. */
int rill_set_arm_all(rill_set *set);

/* Lets the waiter look again. */
void rill_set_nudge(rill_set *set);

#endif
