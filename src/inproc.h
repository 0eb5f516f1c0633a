/* SPDX-License-Identifier: MIT */
/* The inside of the in-process transport (queue.h), for inproc.c and share.c. */
#ifndef RILL_INPROC_H
#define RILL_INPROC_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <rill/rill.h>

#include "queue.h"

struct rill_queue {
    pthread_mutex_t lock;
    pthread_cond_t arrived; /* a message, or the end of the senders, or an interrupt */
    pthread_cond_t left;    /* a message, or the receiver, or an interrupt */
    rill_message *first, *last;
    uint64_t count, weight;
    uint64_t sent, sent_bytes;
    uint64_t limit, max_message;
    int64_t send_timeout;
    uint32_t on_full;
    uint32_t generation;
    bool sender_open, receiver_open;
    struct rill_endpoint *sender; /* while sender_open */
    bool sharing;                /* under the process's share lock: just going over, in the thread that holds it */
    bool shared;                 /* everything has gone over to a shared channel, for good */
    rill_receiver *successor;    /* its receiver, until ours takes it over */
    struct rill_channel_options options;
    struct rill_bell *bell;      /* the receiver's, or NULL */
    bool armed;                  /* it rings, once, with the next message or the end */
    struct rill_bell *room_bell; /* the sender's, */
    bool room_armed;             /* which rings, once, when `room_weight` fits, or at the end */
    uint64_t room_weight;
    _Atomic uint32_t stirred; /* so that a spinning receiver need not take the lock: set with anything that it waits for */
};

/* Under the lock: wakes whoever waits at either end. */
void rill_queue_stir_locked(struct rill_queue *queue);

/* What a message of this size counts in the limit. */
uint64_t rill_queue_weight(uint64_t size);

bool rill_queue_is_inherited(const struct rill_queue *queue);

#endif
