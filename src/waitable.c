/* SPDX-License-Identifier: MIT */
/*
 * Descriptors for event loops, and arming them. A receiver hands out its socket (in process: a poller, since it may become a shared one); what arming does is each transport's
 * source->arm. A sender hands out a poller, because its lane may be given up and take the room socket with it.
 */
#include "waitable.h"

#include <stdlib.h>

#include "channel.h"
#include "lane.h"
#include "send.h"
#include "source.h"

#define ROOM_TOKEN 1u
#define BELL_TOKEN 1u

/* ---- receivers ---- */

static void ring_event(struct rill_bell *bell)
{
    struct rill_event_bell *hung = (struct rill_event_bell *)(void *)bell; /* its first member */
    rill_port_event_signal(hung->event);
}

static int hang_bell(rill_receiver *receiver)
{
    struct rill_event_bell *made = calloc(1, sizeof *made);
    if (!made)
        return RILL_ENOMEM;
    made->bell.ring = ring_event;
    made->event = made->poller = RILL_NO_OBJECT;
    int code = rill_port_event_create(&made->event);
    if (code == RILL_OK)
        code = rill_port_poller_create(&made->poller);
    if (code == RILL_OK)
        code = rill_port_poller_add(made->poller, made->event, BELL_TOKEN);
    if (code != RILL_OK) {
        rill_event_bell_free(made);
        return code;
    }
    receiver->bell = made;
    return RILL_OK;
}

int rill_event_bell_watch(struct rill_event_bell *bell, rill_object socket)
{
    return rill_port_poller_add(bell->poller, socket, BELL_TOKEN);
}

void rill_event_bell_free(struct rill_event_bell *bell)
{
    if (!bell)
        return;
    rill_port_close(bell->event);
    rill_port_close(bell->poller);
    free(bell);
}

int rill_receiver_descriptor(rill_receiver *receiver, int *descriptor)
{
    if (!descriptor)
        return RILL_EINVAL;
    int code = rill_receiver_enter(receiver);
    if (code != RILL_OK)
        return code;
    if (receiver->transport == RILL_INPROC && !receiver->bell)
        code = hang_bell(receiver);
    if (code == RILL_OK)
        *descriptor = receiver->bell ? receiver->bell->poller : receiver->socket;
    rill_receiver_leave(receiver);
    return code;
}

/* What it told of is past. */
static void quiet(rill_object poller)
{
    uint64_t tokens[RILL_POLL_MOST];
    size_t count;
    (void)rill_port_poller_wait(poller, RILL_NOW, tokens, &count);
}

static int arm_receiver(rill_receiver *receiver)
{
    if (atomic_load_explicit(&receiver->interrupted, memory_order_seq_cst))
        return RILL_EREADY;
    int code = rill_receiver_next(receiver);
    if (code != RILL_EEMPTY) {
        rill_receiver_leave_untold(receiver, code);
        return RILL_EREADY;
    }
    if (receiver->bell) { /* before it is armed: what rings behind this is not taken away */
        rill_port_event_clear(receiver->bell->event);
        quiet(receiver->bell->poller);
    }
    if (receiver->bell && receiver->transport == RILL_INPROC)
        rill_queue_set_bell(receiver->state, &receiver->bell->bell); /* it may have hung in a set meanwhile */
    return receiver->source->arm(receiver->state);
}

int rill_receiver_arm(rill_receiver *receiver)
{
    int code = rill_receiver_enter(receiver);
    if (code != RILL_OK)
        return code;
    code = arm_receiver(receiver);
    rill_receiver_leave(receiver);
    return code;
}

/* ---- senders ---- */

static void ring_room(struct rill_bell *bell)
{
    struct rill_room *room = (struct rill_room *)(void *)bell;
    rill_port_event_signal(room->event);
}

void rill_room_free(struct rill_room *room)
{
    if (!room)
        return;
    rill_port_close(room->poller);
    rill_port_close(room->event);
    free(room); /* the lock is not destroyed: in a child it may have been inherited locked */
}

static int watch_room(struct rill_room *room, const struct rill_endpoint *endpoint)
{
    int code = rill_port_poller_create(&room->poller);
    if (code == RILL_OK && rill_endpoint_transport(endpoint) == RILL_SOCKET)
        return rill_port_poller_add_room(room->poller, endpoint->socket, ROOM_TOKEN);
    if (code == RILL_OK)
        code = rill_port_event_create(&room->event);
    return code == RILL_OK ? rill_port_poller_add(room->poller, room->event, ROOM_TOKEN) : code;
}

static int make_room(const struct rill_endpoint *endpoint, struct rill_room **room)
{
    struct rill_room *made = calloc(1, sizeof *made);
    if (!made)
        return RILL_ENOMEM;
    made->bell.ring = ring_room;
    made->poller = made->event = made->watched = RILL_NO_OBJECT;
    int code = pthread_mutex_init(&made->lock, NULL) == 0 ? watch_room(made, endpoint) : RILL_ENOMEM;
    if (code != RILL_OK) {
        rill_room_free(made);
        return code;
    }
    *room = made;
    return RILL_OK;
}

static bool has_limit(const struct rill_endpoint *endpoint)
{
    return rill_endpoint_transport(endpoint) == RILL_SOCKET || (endpoint->queue ? rill_queue_has_limit(endpoint->queue) : endpoint->core->terms.limit != 0);
}

/* Makes it at the first call. */
static int room_of(struct rill_endpoint *endpoint, struct rill_room **room)
{
    if (!has_limit(endpoint))
        return RILL_ENOTSUP;
    rill_send_check_process(endpoint);
    (void)pthread_mutex_lock(&endpoint->lock);
    int code = endpoint->room ? RILL_OK : make_room(endpoint, &endpoint->room);
    *room = endpoint->room;
    (void)pthread_mutex_unlock(&endpoint->lock);
    return code;
}

int rill_sender_descriptor(rill_sender *sender, int *descriptor)
{
    struct rill_endpoint *endpoint = rill_endpoint_of(sender);
    if (!endpoint || !descriptor)
        return RILL_EINVAL;
    struct rill_room *room;
    int code = room_of(endpoint, &room);
    if (code == RILL_OK)
        *descriptor = room->poller;
    return code;
}

int rill_sender_arm(rill_sender *sender, size_t size)
{
    struct rill_endpoint *endpoint = rill_endpoint_of(sender);
    if (!endpoint || size > SIZE_MAX / 2)
        return RILL_EINVAL;
    struct rill_room *room;
    int code = room_of(endpoint, &room);
    if (code != RILL_OK)
        return code;
    (void)pthread_mutex_lock(&room->lock);
    if (rill_endpoint_transport(endpoint) == RILL_SOCKET) {
        code = rill_port_peer_gone(endpoint->socket) ? RILL_EBROKEN : rill_port_has_room(endpoint->socket) ? RILL_EREADY : RILL_OK;
    } else {
        quiet(room->poller);
        code = RILL_QUEUE_SHARED;
        if (rill_endpoint_transport(endpoint) == RILL_INPROC)
            code = rill_queue_arm_room(endpoint->queue, &room->bell, size);
        if (code == RILL_QUEUE_SHARED)
            code = rill_send_arm_room(endpoint, room, size);
    }
    (void)pthread_mutex_unlock(&room->lock);
    return code;
}
