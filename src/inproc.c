/* SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "channel.h"
#include "handle.h"
#include "inproc.h"
#include "message.h"
#include "parts.h"
#include "process.h"
#include "queue.h"
#include "source.h"

#define MESSAGE_WEIGHT 16 /* what a message counts in the limit beside its bytes */

uint64_t rill_queue_weight(uint64_t size)
{
    return size + MESSAGE_WEIGHT;
}

static int prepare(struct rill_queue *queue)
{
    pthread_condattr_t monotonic;
    if (pthread_condattr_init(&monotonic) != 0)
        return RILL_ENOMEM;
    int failed = pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC) || pthread_mutex_init(&queue->lock, NULL) ||
                 pthread_cond_init(&queue->arrived, &monotonic) || pthread_cond_init(&queue->left, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    return failed ? RILL_ENOMEM : RILL_OK;
}

int rill_queue_create(const struct rill_channel_options *options, struct rill_queue **queue)
{
    struct rill_queue *made = calloc(1, sizeof *made);
    if (!made || prepare(made) != RILL_OK) {
        free(made);
        return RILL_ENOMEM;
    }
    made->limit = options->limit;
    made->max_message = options->max_message;
    made->on_full = options->on_full;
    made->send_timeout = options->send_timeout;
    made->options = *options;
    made->options.transport = RILL_SHM;
    made->generation = atomic_load_explicit(&rill_generation, memory_order_relaxed);
    made->sender_open = made->receiver_open = true;
    *queue = made;
    return RILL_OK;
}

bool rill_queue_is_inherited(const struct rill_queue *queue)
{
    return queue->generation != atomic_load_explicit(&rill_generation, memory_order_relaxed);
}

static void free_messages(rill_message *message)
{
    while (message) {
        rill_message *next = message->queued;
        (void)rill_message_close(&message);
        message = next;
    }
}

/* Under the lock, as are the next two. */
static void ring(struct rill_bell *bell, bool *armed)
{
    if (*armed && bell)
        bell->ring(bell);
    *armed = false;
}

static bool has_room(const struct rill_queue *queue, uint64_t weight)
{
    return queue->limit == 0 || queue->weight == 0 || (weight <= queue->limit && queue->weight <= queue->limit - weight);
}

void rill_queue_stir_locked(struct rill_queue *queue)
{
    atomic_store_explicit(&queue->stirred, 1, memory_order_relaxed);
    ring(queue->bell, &queue->armed);
    ring(queue->room_bell, &queue->room_armed);
    (void)pthread_cond_broadcast(&queue->arrived);
    (void)pthread_cond_broadcast(&queue->left);
}

void rill_queue_stir(struct rill_queue *queue)
{
    (void)pthread_mutex_lock(&queue->lock);
    rill_queue_stir_locked(queue);
    (void)pthread_mutex_unlock(&queue->lock);
}

void rill_queue_set_sender(struct rill_queue *queue, struct rill_endpoint *sender)
{
    queue->sender = sender; /* before anybody else has an end */
}

void rill_queue_close(struct rill_queue *queue, bool sender)
{
    if (rill_queue_is_inherited(queue))
        return; /* its lock may be held by a thread that does not exist here; it is private memory and ends with the process */
    (void)pthread_mutex_lock(&queue->lock);
    if (sender) {
        queue->sender_open = false;
        queue->room_bell = NULL;
    } else {
        queue->receiver_open = false;
        queue->bell = NULL;
    }
    bool last = !queue->sender_open && !queue->receiver_open;
    rill_message *unread = sender ? NULL : queue->first;
    rill_receiver *successor = sender ? NULL : queue->successor;
    if (!sender) {
        queue->first = queue->last = NULL;
        queue->successor = NULL;
    }
    if (!last)
        rill_queue_stir_locked(queue);
    (void)pthread_mutex_unlock(&queue->lock); /* not the last: from here on the other end may free the queue */
    free_messages(unread);
    if (successor)
        rill_receiver_dispose(successor, true);
    if (!last)
        return;
    (void)pthread_cond_destroy(&queue->arrived);
    (void)pthread_cond_destroy(&queue->left);
    (void)pthread_mutex_destroy(&queue->lock);
    free_messages(queue->first);
    free(queue);
}

void rill_queue_policy(const struct rill_queue *queue, uint32_t *on_full, int64_t *send_timeout)
{
    *on_full = queue->on_full;
    *send_timeout = queue->send_timeout;
}

bool rill_queue_has_limit(const struct rill_queue *queue)
{
    return queue->limit != 0;
}

uint64_t rill_queue_max_message(const struct rill_queue *queue)
{
    return queue->max_message;
}

/* Under the lock. RILL_ETIMEDOUT at the deadline. */
static int wait_on(struct rill_queue *queue, pthread_cond_t *changed, int64_t deadline)
{
    if (deadline == RILL_FOREVER)
        return pthread_cond_wait(changed, &queue->lock) == 0 ? RILL_OK : RILL_ESYSTEM;
    struct timespec time = {.tv_sec = (time_t)(deadline / 1000000000), .tv_nsec = (long)(deadline % 1000000000)};
    return pthread_cond_timedwait(changed, &queue->lock, &time) == 0 ? RILL_OK : RILL_ETIMEDOUT;
}

/* ---- sending ---- */

/* Under the lock: waits until the message may be linked. */
static int await_room(struct rill_queue *queue, uint64_t weight, int64_t deadline, struct rill_endpoint *endpoint)
{
    int code = RILL_OK;
    for (;;) {
        if (queue->shared)
            return RILL_QUEUE_SHARED;
        if (!queue->receiver_open)
            return RILL_EBROKEN;
        if (has_room(queue, weight))
            return RILL_OK;
        if (deadline == RILL_NOW)
            return RILL_EFULL;
        if (rill_interrupt_take(&endpoint->interrupted, &endpoint->event))
            return RILL_EINTERRUPTED;
        if (code == RILL_ETIMEDOUT)
            return code;
        atomic_fetch_add_explicit(&endpoint->waits, 1, memory_order_relaxed);
        code = wait_on(queue, &queue->left, deadline);
    }
}

static void link_message(struct rill_queue *queue, rill_message *message)
{
    message->queued = NULL;
    if (queue->last)
        queue->last->queued = message;
    else
        queue->first = message;
    queue->last = message;
    queue->count++;
    queue->weight += rill_queue_weight(message->size);
    queue->sent++;
    queue->sent_bytes += message->size;
    atomic_store_explicit(&queue->stirred, 1, memory_order_relaxed);
    (void)pthread_cond_signal(&queue->arrived);
    ring(queue->bell, &queue->armed);
}

static rill_message *copy_of(const struct rill_bytes *parts, size_t count, uint64_t size)
{
    rill_message *message = rill_message_make(size);
    if (message)
        rill_parts_copy(rill_message_bytes(message), parts, count);
    return message;
}

static const rill_receiver *receiver_in(const struct rill_handle *handle)
{
    if (handle->kind == RILL_HANDLE_OPAQUE && handle->as.opaque && handle->as.opaque->magic == RILL_OPAQUE_MAGIC)
        handle = &handle->as.opaque->traveller.live;
    return handle->kind == RILL_HANDLE_RECEIVER && rill_is_receiver(handle->as.receiver) ? handle->as.receiver : NULL;
}

/* A receiver inside its own queue could never be got out again, nor freed. */
static bool holds_itself(const struct rill_queue *queue, const struct rill_handle *handles, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const rill_receiver *receiver = receiver_in(&handles[i]);
        if (receiver && receiver->queue == queue)
            return true;
    }
    return false;
}

int rill_queue_send_handles(struct rill_queue *queue, const struct rill_bytes *parts, size_t count, uint64_t size, struct rill_handle *handles,
                            size_t handle_count, int64_t deadline, struct rill_endpoint *endpoint)
{
    if (rill_queue_is_inherited(queue))
        return RILL_ENOTSUP;
    rill_message *message = copy_of(parts, count, size);
    if (!message)
        return RILL_ENOMEM;
    (void)pthread_mutex_lock(&queue->lock);
    int code = await_room(queue, rill_queue_weight(size), deadline, endpoint);
    if (code == RILL_OK && holds_itself(queue, handles, handle_count))
        code = RILL_ENOTSUP;
    if (code == RILL_OK)
        code = rill_attachment_hold(handles, handle_count, &message->attached); /* last, because it cannot be undone */
    if (code == RILL_OK)
        link_message(queue, message);
    (void)pthread_mutex_unlock(&queue->lock);
    if (code != RILL_OK)
        rill_message_free(message);
    return code;
}

int rill_queue_send_message(struct rill_queue *queue, rill_message *message, int64_t deadline, struct rill_endpoint *endpoint)
{
    if (rill_queue_is_inherited(queue))
        return RILL_ENOTSUP;
    (void)pthread_mutex_lock(&queue->lock);
    int code = await_room(queue, rill_queue_weight(message->size), deadline, endpoint);
    if (code == RILL_OK)
        link_message(queue, message);
    (void)pthread_mutex_unlock(&queue->lock);
    return code;
}

int rill_queue_send(struct rill_queue *queue, const struct rill_bytes *parts, size_t count, uint64_t size, int64_t deadline,
                    struct rill_endpoint *endpoint)
{
    if (rill_queue_is_inherited(queue))
        return RILL_ENOTSUP;
    rill_message *message = copy_of(parts, count, size); /* outside the lock: the copy is what takes time */
    if (!message)
        return RILL_ENOMEM;
    int code = rill_queue_send_message(queue, message, deadline, endpoint);
    if (code != RILL_OK)
        rill_message_free(message);
    return code;
}

/* ---- receiving ---- */

static int next_message(void *state)
{
    struct rill_queue *queue = state;
    (void)pthread_mutex_lock(&queue->lock);
    int code = queue->shared ? RILL_QUEUE_SHARED : queue->first ? RILL_OK : queue->sender_open ? RILL_EEMPTY : RILL_EDISCONNECTED;
    atomic_store_explicit(&queue->stirred, queue->first != NULL, memory_order_relaxed);
    (void)pthread_mutex_unlock(&queue->lock);
    return code;
}

/* The first message stays the next, but it may cross to a shared channel at any time: 0, then. */
static uint64_t size_of_next(const void *state)
{
    struct rill_queue *queue = (struct rill_queue *)(uintptr_t)state;
    (void)pthread_mutex_lock(&queue->lock);
    uint64_t size = queue->first ? queue->first->size : 0;
    (void)pthread_mutex_unlock(&queue->lock);
    return size;
}

static int take(void *state, rill_message **message)
{
    struct rill_queue *queue = state;
    (void)pthread_mutex_lock(&queue->lock);
    if (queue->shared) {
        (void)pthread_mutex_unlock(&queue->lock);
        return RILL_QUEUE_SHARED;
    }
    *message = queue->first;
    queue->first = (*message)->queued;
    if (!queue->first)
        queue->last = NULL;
    queue->count--;
    queue->weight -= rill_queue_weight((*message)->size);
    (void)pthread_cond_broadcast(&queue->left);
    if (queue->room_armed && has_room(queue, queue->room_weight))
        ring(queue->room_bell, &queue->room_armed);
    (void)pthread_mutex_unlock(&queue->lock);
    return RILL_OK;
}

static int take_into(void *state, void *buffer)
{
    rill_message *message;
    int code = take(state, &message);
    if (code != RILL_OK)
        return code;
    if (message->size)
        memcpy(buffer, message->data, message->size);
    return rill_message_close(&message);
}

static bool stirs(const void *state)
{
    const struct rill_queue *queue = state;
    return atomic_load_explicit(&queue->stirred, memory_order_relaxed) != 0;
}

static int absorb(void *state)
{
    (void)state; /* the lock shows everything */
    return RILL_OK;
}

static int arm(void *state)
{
    struct rill_queue *queue = state;
    (void)pthread_mutex_lock(&queue->lock);
    queue->armed = !queue->first && queue->sender_open && !queue->shared;
    int code = queue->armed ? RILL_OK : RILL_EREADY;
    (void)pthread_mutex_unlock(&queue->lock);
    return code;
}

void rill_queue_set_bell(struct rill_queue *queue, struct rill_bell *bell)
{
    if (rill_queue_is_inherited(queue))
        return;
    (void)pthread_mutex_lock(&queue->lock);
    queue->bell = bell;
    queue->armed = false;
    (void)pthread_mutex_unlock(&queue->lock);
}

int rill_queue_arm_room(struct rill_queue *queue, struct rill_bell *bell, uint64_t size)
{
    if (rill_queue_is_inherited(queue) || queue->limit == 0)
        return RILL_ENOTSUP;
    (void)pthread_mutex_lock(&queue->lock);
    int code = queue->shared ? RILL_QUEUE_SHARED : !queue->receiver_open ? RILL_EBROKEN : has_room(queue, rill_queue_weight(size)) ? RILL_EREADY : RILL_OK;
    queue->room_bell = bell;
    if (code == RILL_OK) {
        uint64_t weight = rill_queue_weight(size);
        queue->room_weight = queue->room_armed && queue->room_weight < weight ? queue->room_weight : weight; /* whichever loop's fits first */
        queue->room_armed = true;
    }
    (void)pthread_mutex_unlock(&queue->lock);
    return code;
}

static int sleep_until(void *state, rill_object event, int64_t deadline, uint64_t *slept)
{
    (void)event; /* rill_queue_stir interrupts */
    struct rill_queue *queue = state;
    int code = RILL_OK;
    (void)pthread_mutex_lock(&queue->lock);
    if (!queue->first && queue->sender_open && !queue->shared && !atomic_load_explicit(&queue->stirred, memory_order_relaxed)) {
        ++*slept;
        code = wait_on(queue, &queue->arrived, deadline);
    }
    (void)pthread_mutex_unlock(&queue->lock);
    return code;
}

const struct rill_source rill_queue_source = {
    .next = next_message,
    .size = size_of_next,
    .take = take,
    .take_into = take_into,
    .stirs = stirs,
    .absorb = absorb,
    .arrived = absorb,
    .arm = arm,
    .sleep = sleep_until,
};

void rill_queue_stats(struct rill_queue *queue, bool sender, struct rill_stats *stats)
{
    if (rill_queue_is_inherited(queue))
        return;
    (void)pthread_mutex_lock(&queue->lock);
    if (sender) {
        stats->messages = queue->sent;
        stats->bytes = queue->sent_bytes;
    }
    stats->queued_messages = queue->count;
    stats->queued_bytes = queue->weight;
    (void)pthread_mutex_unlock(&queue->lock);
}
