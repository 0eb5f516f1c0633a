/* SPDX-License-Identifier: MIT */
/* Descriptors that ends hand out to event loops of others. */
#ifndef RILL_WAITABLE_H
#define RILL_WAITABLE_H

#include <pthread.h>

#include "port.h"
#include "queue.h"

/* A receiver in process: what its descriptor hangs on. */
struct rill_event_bell {
    struct rill_bell bell;
    rill_object event;
    rill_object poller; /* what is handed out: it watches the event, and the socket if the channel becomes a shared one */
};

/* What tells a sender's loop of room: a poller that watches the event, and the lane's room socket or the channel's. One for each endpoint. */
struct rill_room {
    struct rill_bell bell;  /* in process: signals the event */
    pthread_mutex_t lock;   /* two threads may arm */
    rill_object poller, event;
    rill_object watched;    /* the lane's room socket, or RILL_NO_OBJECT */
};

/* The receiver's channel has become a shared one, with this socket. */
int rill_event_bell_watch(struct rill_event_bell *bell, rill_object socket);

void rill_event_bell_free(struct rill_event_bell *bell);

/* NULL is allowed. In the child of a fork as well: the parent's poller stays as it is. */
void rill_room_free(struct rill_room *room);

#endif
