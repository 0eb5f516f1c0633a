/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "channel.h"
#include "inbox.h"
#include "queue.h"
#include "reuse.h"

/* Gives the caller the part of the statistics that its struct has. */
static int hand_over(const struct rill_stats *counted, struct rill_stats *stats)
{
    size_t size = stats->size;
    memcpy(stats, counted, size < sizeof *counted ? size : sizeof *counted);
    stats->size = size;
    return RILL_OK;
}

static uint64_t objects(const rill_object *list, size_t count)
{
    uint64_t open = 0;
    for (size_t i = 0; i < count; i++)
        open += list[i] != RILL_NO_OBJECT;
    return open;
}

static uint64_t mapped(const struct rill_runs *runs)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < runs->count; i++)
        bytes += runs->list[i].size;
    return bytes;
}

static void count_lane(struct rill_lane *lane, struct rill_stats *stats)
{
    (void)pthread_mutex_lock(&lane->lock);
    uint32_t rings = atomic_load_explicit(&lane->ring_count, memory_order_acquire);
    stats->lanes = 1;
    stats->rings = rings;
    stats->mapped_bytes += mapped(&lane->segment.runs);
    stats->descriptors += 1 + objects(&lane->room_socket, 1) + lane->kept_count;
    for (uint32_t i = 0; i < rings; i++) {
        stats->messages += atomic_load_explicit(&lane->rings[i].control->sent_messages, memory_order_relaxed);
        stats->bytes += atomic_load_explicit(&lane->rings[i].control->sent_bytes, memory_order_relaxed);
    }
    stats->queued_bytes = rill_lane_queued(lane);
    uint64_t taken = atomic_load_explicit(&lane->header->consumed_messages, memory_order_relaxed);
    stats->queued_messages = stats->messages > taken ? stats->messages - taken : 0;
    (void)pthread_mutex_unlock(&lane->lock);
}

int rill_sender_stats(rill_sender *sender, struct rill_stats *stats)
{
    struct rill_endpoint *endpoint = rill_endpoint_of(sender);
    if (!endpoint || !stats || stats->size < sizeof stats->size)
        return RILL_EINVAL;
    struct rill_stats counted = {0};
    if (rill_endpoint_transport(endpoint) == RILL_INPROC) {
        rill_queue_stats(endpoint->queue, true, &counted);
    } else {
        counted.mapped_bytes = RILL_PAGE_BYTES;
        counted.descriptors = 2;
        counted.messages = atomic_load_explicit(&endpoint->messages, memory_order_relaxed);
        counted.bytes = atomic_load_explicit(&endpoint->bytes, memory_order_relaxed);
    }
    rill_object event = atomic_load_explicit(&endpoint->event, memory_order_relaxed);
    counted.descriptors += objects(&event, 1);
    struct rill_lane *lane = atomic_load_explicit(&endpoint->lane, memory_order_acquire);
    if (lane)
        count_lane(lane, &counted);
    counted.wakeups = atomic_load_explicit(&endpoint->wakeups, memory_order_relaxed);
    counted.waits = atomic_load_explicit(&endpoint->waits, memory_order_relaxed);
    return hand_over(&counted, stats);
}

static void count_inlane(const struct rill_inlane *lane, struct rill_stats *stats)
{
    stats->lanes++;
    stats->rings += lane->ring_count;
    stats->mapped_bytes += mapped(&lane->view.runs);
    stats->descriptors += objects(&lane->memory, 1) + objects(&lane->room_socket, 1);
    uint64_t messages = 0, weight = 0;
    for (uint32_t i = 0; i < lane->ring_count; i++) {
        messages += atomic_load_explicit(&lane->header->ring[i].sent_messages, memory_order_relaxed);
        weight += atomic_load_explicit(&lane->header->ring[i].sent_weight, memory_order_relaxed);
    }
    stats->queued_bytes += (int64_t)(weight - lane->consumed) > 0 ? weight - lane->consumed : 0;
    stats->queued_messages += messages > lane->consumed_messages ? messages - lane->consumed_messages : 0;
}

static void count_inbox(const struct rill_inbox *inbox, struct rill_stats *stats)
{
    stats->wakeups = inbox->wakeups;
    for (uint32_t i = 0; i < inbox->lane_capacity; i++)
        if (inbox->lanes[i])
            count_inlane(inbox->lanes[i], stats);
}

int rill_receiver_stats(rill_receiver *receiver, struct rill_stats *stats)
{
    if (!rill_is_receiver(receiver) || !stats || stats->size < sizeof stats->size)
        return RILL_EINVAL;
    if (rill_receiver_idle(receiver) == RILL_EINSET)
        return RILL_EINSET;
    struct rill_stats counted = {0};
    rill_receiver_settle_streak(receiver);
    rill_birth_settle(receiver->birth);
    if (receiver->transport == RILL_INPROC) {
        rill_queue_stats(receiver->state, false, &counted);
    } else {
        counted.mapped_bytes = RILL_PAGE_BYTES;
        counted.descriptors = 2;
        rill_object event = atomic_load_explicit(&receiver->event, memory_order_relaxed);
        counted.descriptors += objects(&event, 1);
        if (receiver->transport == RILL_SHM)
            count_inbox(receiver->state, &counted);
    }
    counted.messages = receiver->messages;
    counted.bytes = receiver->bytes;
    counted.waits = receiver->waits;
    return hand_over(&counted, stats);
}
