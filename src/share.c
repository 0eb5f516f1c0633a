/* SPDX-License-Identifier: MIT */
#include "share.h"

#include <stdlib.h>

#include "channel.h"
#include "handle.h"
#include "inproc.h"
#include "message.h"
#include "process.h"
#include "send.h"
#include "waitable.h"

/* ---- what is queued ---- */

/* One queued message on its way over. */
struct crossing {
    rill_message *message;
    struct rill_handle *handles;
    rill_opaque *borrowed;
    struct rill_parcel parcel;
    bool packed;
};

static int pack_handles(struct crossing *crossing, struct rill_endpoint *endpoint)
{
    struct rill_attachment *attachment = crossing->message->attached;
    size_t count;
    if (!attachment || attachment->count == 0)
        return RILL_OK;
    crossing->handles = rill_attachment_borrow(attachment, &crossing->borrowed, &count);
    if (!crossing->handles)
        return RILL_ENOMEM;
    int code = rill_parcel_pack(&crossing->parcel, crossing->handles, count, endpoint);
    crossing->packed = code == RILL_OK;
    return code;
}

static int cross(struct crossing *crossing, struct rill_endpoint *endpoint)
{
    struct rill_bytes part = {.data = crossing->message->data, .size = (size_t)crossing->message->size};
    int code = pack_handles(crossing, endpoint);
    return code == RILL_OK ? rill_send_over(endpoint, &part, crossing->packed ? &crossing->parcel : NULL) : code;
}

static int cross_all(const struct rill_queue *queue, struct crossing *crossings, struct rill_endpoint *endpoint)
{
    int code = RILL_OK;
    size_t at = 0;
    for (rill_message *message = queue->first; message && code == RILL_OK; message = message->queued) {
        crossings[at].message = message;
        code = cross(&crossings[at++], endpoint);
    }
    return code;
}

/* With `over` the shared channel has them; else they stay in the queue. */
static void finish_crossings(struct crossing *crossings, size_t count, bool over)
{
    for (size_t i = 0; i < count; i++) {
        struct crossing *crossing = &crossings[i];
        if (crossing->packed && over) {
            rill_parcel_sent(&crossing->parcel);
            rill_attachment_forget(crossing->message->attached);
        } else if (crossing->packed) {
            rill_parcel_undo(&crossing->parcel);
        }
        free(crossing->handles);
        free(crossing->borrowed);
        if (crossing->message && over)
            (void)rill_message_close(&crossing->message);
    }
    free(crossings);
}

/* ---- ends ---- */

/* For those who pack an end of this channel on the way: nobody else looks at these while the endpoint is in process. */
static void lend_objects(struct rill_endpoint *endpoint, const struct rill_endpoint *from)
{
    endpoint->core = from->core;
    endpoint->socket = from->socket;
}

static void take_objects_back(struct rill_endpoint *endpoint)
{
    rill_endpoint_withdraw(endpoint);
    endpoint->core = NULL;
    endpoint->socket = RILL_NO_OBJECT;
}

/* The endpoint becomes what `made` is; what it sent before and was received counts on. */
static void take_over_sender(struct rill_queue *queue, rill_sender *made)
{
    struct rill_endpoint *endpoint = queue->sender, *from = made->endpoint;
    lend_objects(endpoint, from);
    atomic_store_explicit(&endpoint->small_end, atomic_load_explicit(&from->small_end, memory_order_relaxed), memory_order_relaxed);
    uint64_t queued_bytes = queue->weight - queue->count * rill_queue_weight(0);
    atomic_store_explicit(&endpoint->messages, queue->sent - queue->count, memory_order_relaxed);
    atomic_store_explicit(&endpoint->bytes, queue->sent_bytes - queued_bytes, memory_order_relaxed);
    atomic_store_explicit(&endpoint->lane, atomic_load_explicit(&from->lane, memory_order_relaxed), memory_order_release);
    atomic_store_explicit(&endpoint->transport, RILL_SHM, memory_order_release); /* partner: rill_endpoint_transport */
    free(from);
    free(made);
}

static void go_over(struct rill_queue *queue, rill_sender *tx, rill_receiver *rx)
{
    if (queue->sender_open)
        take_over_sender(queue, tx);
    else
        (void)rill_sender_close(&tx);
    if (queue->receiver_open)
        queue->successor = rx;
    else
        rill_receiver_dispose(rx, true);
    queue->first = queue->last = NULL;
    queue->count = queue->weight = 0;
    queue->shared = true;
    rill_queue_stir_locked(queue);
}

static void give_up(struct rill_queue *queue, rill_sender *tx, rill_receiver *rx)
{
    if (queue->sender_open)
        take_objects_back(queue->sender);
    (void)rill_sender_close(&tx);
    rill_receiver_dispose(rx, true);
}

static int share(struct rill_queue *queue, struct crossing *crossings)
{
    rill_sender *tx;
    rill_receiver *rx;
    int code = rill_channel_make(&queue->options, &tx, &rx);
    if (code != RILL_OK)
        return code;
    if (queue->sender_open)
        lend_objects(queue->sender, tx->endpoint);
    code = cross_all(queue, crossings, tx->endpoint);
    if (code == RILL_OK)
        go_over(queue, tx, rx);
    else
        give_up(queue, tx, rx);
    return code;
}

/* Under the share lock. What crossed is let go of behind the queue's lock: it may hold the last sender of this very channel. */
static int share_once(struct rill_queue *queue)
{
    (void)pthread_mutex_lock(&queue->lock);
    size_t count = queue->count;
    struct crossing *crossings = queue->shared ? NULL : calloc(count + 1, sizeof *crossings);
    int code = queue->shared ? RILL_OK : RILL_ENOMEM;
    queue->sharing = true;
    if (crossings)
        code = share(queue, crossings);
    queue->sharing = false;
    (void)pthread_mutex_unlock(&queue->lock);
    if (crossings)
        finish_crossings(crossings, count, code == RILL_OK);
    return code;
}

int rill_queue_share(struct rill_queue *queue)
{
    if (rill_queue_is_inherited(queue))
        return RILL_ENOTSUP;
    rill_process_share_lock();
    int code = queue->sharing ? RILL_OK : share_once(queue);
    rill_process_share_unlock();
    return code;
}

rill_object rill_queue_successor_socket(struct rill_queue *queue)
{
    (void)pthread_mutex_lock(&queue->lock);
    rill_object socket = queue->successor ? queue->successor->socket : RILL_NO_OBJECT;
    (void)pthread_mutex_unlock(&queue->lock);
    return socket;
}

int rill_receiver_go_over(rill_receiver *receiver)
{
    struct rill_queue *queue = receiver->queue;
    (void)pthread_mutex_lock(&queue->lock);
    rill_receiver *made = queue->successor;
    int code = made ? RILL_OK : RILL_ENOTSUP; /* none yet: it lies in a queue that is just going over together with its own */
    if (made && receiver->bell)
        code = rill_event_bell_watch(receiver->bell, made->socket);
    if (code == RILL_OK)
        queue->successor = NULL;
    queue->bell = code == RILL_OK ? NULL : queue->bell;
    (void)pthread_mutex_unlock(&queue->lock);
    if (code != RILL_OK)
        return code;
    receiver->transport = made->transport;
    receiver->core = made->core;
    receiver->socket = made->socket;
    receiver->source = made->source;
    receiver->state = made->state;
    receiver->inbox = made->inbox;
    receiver->owner = made->owner;
    receiver->forks = made->forks;
    receiver->generation = 0; /* it has to be settled */
    free(made);
    return RILL_OK;
}
