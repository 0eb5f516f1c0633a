/* SPDX-License-Identifier: MIT */
/*
 * The in-process transport: a list of messages under a mutex. Order is that of the lock; a sender waits for another one for as long
 * as it takes to link a message, never for the receiver.
 */
#ifndef RILL_QUEUE_H
#define RILL_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include <rill/rill.h>

#include "port.h"

struct rill_endpoint;
struct rill_queue;

/* Given back by what follows when an end has left the process and the channel has become a shared one (share.h): go on there. Never leaves the library. */
#define RILL_QUEUE_SHARED 3

int rill_queue_create(const struct rill_channel_options *options, struct rill_queue **queue);

/* The sending end, for when it becomes a shared one. */
void rill_queue_set_sender(struct rill_queue *queue, struct rill_endpoint *sender);

/* An end lets go; the last one frees the queue. `sender`: which end. */
void rill_queue_close(struct rill_queue *queue, bool sender);

void rill_queue_policy(const struct rill_queue *queue, uint32_t *on_full, int64_t *send_timeout);
bool rill_queue_has_limit(const struct rill_queue *queue);
uint64_t rill_queue_max_message(const struct rill_queue *queue);

/* RILL_EFULL, RILL_ETIMEDOUT, RILL_EBROKEN, RILL_ENOMEM, RILL_EINTERRUPTED; RILL_ENOTSUP in the child of a fork. */
int rill_queue_send(struct rill_queue *queue, const struct rill_bytes *parts, size_t count, uint64_t size, int64_t deadline,
                    struct rill_endpoint *endpoint);

/* The same with handles: the message holds them. On an error they are as they were. */
int rill_queue_send_handles(struct rill_queue *queue, const struct rill_bytes *parts, size_t count, uint64_t size, struct rill_handle *handles,
                            size_t handle_count, int64_t deadline, struct rill_endpoint *endpoint);

/* Sends a message that is made already, whose memory is private. Taken over only on success. */
int rill_queue_send_message(struct rill_queue *queue, rill_message *message, int64_t deadline, struct rill_endpoint *endpoint);

/* What rings when something comes to an armed queue (source.h), or when there is room again: called under the queue's lock, by whoever made it so. */
struct rill_bell {
    void (*ring)(struct rill_bell *bell);
};

/* NULL takes it away; when that returns, it rings no more. */
void rill_queue_set_bell(struct rill_queue *queue, struct rill_bell *bell);

/* Arms the bell for room: RILL_OK: it rings when a message of this size fits. RILL_EREADY: it fits now. RILL_EBROKEN. RILL_ENOTSUP: no limit. */
int rill_queue_arm_room(struct rill_queue *queue, struct rill_bell *bell, uint64_t size);

/* The socket of the shared channel that its receiver is about to go over to. */
rill_object rill_queue_successor_socket(struct rill_queue *queue);

/* Wakes whoever waits at either end, to look at its interrupt. */
void rill_queue_stir(struct rill_queue *queue);

void rill_queue_stats(struct rill_queue *queue, bool sender, struct rill_stats *stats);

#endif
