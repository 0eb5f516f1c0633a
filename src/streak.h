/* SPDX-License-Identifier: MIT */
/*
 * The short way of a receive: the next message of a streak, for which nothing but its own ring has to be looked at.
 *   - Unstamped messages of a ring that was the only one with something to deliver: each precedes whatever another ring can hold (order.h).
 *   - Stamped ones of the ring that is first in the order of tickets, as long as their tickets are below the bound and below what the second counts as:
 *     T4 of order.h would deliver each of them next. Meanwhile the order's first entry is out of date, and is brought up to date when the streak ends.
 *
 * It is as fast as its loads can overlap. Where a record ends stands in its header, so the address of each header hangs on the one before, and
 * their misses, which come from another processor, would follow one another. Most messages of a streak are as long as the last one. So the length is
 * not computed from the header but compared with it: the processor goes on with what is remembered while the header is still on its way.
 *
 * Small messages of one length are the most that there can be in a second, so there is a shorter way yet, for rill_recv_into and unstamped ones: how many
 * of them need no look at the end of the block, the other rings or what is to be published is found out once (rill_streak_arm). Taking one of those
 * reads its header, copies it and moves the reader on. All counts follow when the next call of another kind, or on another way, begins (rill_streak_settle).
 */
#ifndef RILL_STREAK_H
#define RILL_STREAK_H

#include "../shm/ring.h"
#include "copy.h"
#include "inbox.h"
#include "message.h"

#define RILL_PINNED_MOST ((uint64_t)4 << 20) /* bytes of a lane's blocks held by messages read in place: beyond, they are copied */

/* May another message stay in the ring's block until it is closed? Else it has to be copied, because too much is held in this way already. */
static inline bool rill_inring_may_lend(const struct rill_inring *ring)
{
    return ring->block && atomic_load_explicit(&ring->lane->pinned, memory_order_relaxed) < RILL_PINNED_MOST;
}

static inline void rill_inring_lend(struct rill_inring *ring, rill_message *message, const unsigned char *payload, uint64_t size)
{
    ring->block->lent++;
    message->block = ring->block;
    message->data = payload;
    message->size = size;
    message->generation = ring->lane->generation;
}

/* The message that lies there: lent, or copied with the padding of its record. NULL: no memory. */
static inline rill_message *rill_inring_message(struct rill_inring *ring, const unsigned char *payload, uint64_t size)
{
    bool small = size <= RILL_MESSAGE_SMALL_MOST, lent = !small && rill_inring_may_lend(ring);
    rill_message *made = small || lent ? rill_message_make_small(size) : rill_message_make(size);
    if (!made)
        return NULL;
    if (lent)
        rill_inring_lend(ring, made, payload, size);
    else if (small)
        rill_copy_words(rill_message_bytes(made), payload, rill_ring_padded(size));
    else
        memcpy(rill_message_bytes(made), payload, size);
    return made;
}

/* Counts a record as taken from its ring. True: its owner is to be told. */
static inline bool rill_inbox_count(struct rill_inbox *inbox, struct rill_inring *ring, uint64_t length, uint64_t weight)
{
    struct rill_inlane *lane = ring->lane;
    ring->reader.position += length;
    lane->consumed += weight;
    lane->consumed_messages++;
    if (lane->consumed - lane->published >= inbox->publish_every)
        return true;
    return inbox->page_limit && !rill_ring_ready(&ring->reader); /* also at the end of a limited queue: our caller may not come back */
}

static inline void rill_inbox_count_taken(struct rill_inbox *inbox, struct rill_inring *ring, uint64_t length, uint64_t weight)
{
    if (rill_inbox_count(inbox, ring, length, weight))
        rill_inbox_publish(inbox, ring->lane);
}

/* Where the next message of a streak lies, if it is as long as the last. NULL: it is not, or the streak has ended. */
static inline const unsigned char *rill_streak_peek(struct rill_inbox *inbox)
{
    struct rill_streak *streak = &inbox->streak;
    if (!streak->left || inbox->chosen)
        return NULL;
    const struct rill_ring_reader *reader = &streak->ring->reader;
    /* R1 of ring.h, partner W2. Acquire is enough: what it misses a look finds, and only the look before a sleep (P2 of wake.h) needs the one order of all. */
    uint64_t word = atomic_load_explicit(rill_ring_header(reader->block, reader->position), memory_order_acquire);
    if (word != streak->word || streak->length > reader->size - reader->position - RILL_LINK_BYTES)
        return NULL;
    const unsigned char *payload = reader->block + reader->position + RILL_HEADER_BYTES;
    if (!streak->below)
        return payload;
    memcpy(&streak->ticket, payload, sizeof streak->ticket);
    return streak->ticket < streak->below && streak->ticket > reader->last_ticket ? payload + RILL_TICKET_BYTES : NULL;
}

/* Takes what was peeked. True: what was consumed is to be published. */
static inline bool rill_streak_advance(struct rill_inbox *inbox)
{
    struct rill_streak *streak = &inbox->streak;
    streak->left--;
    if (streak->below) {
        streak->ring->reader.last_ticket = streak->ticket;
        streak->ring->passed += streak->length;
    }
    return rill_inbox_count(inbox, streak->ring, streak->length, streak->length);
}

/* The next message of a streak. NULL: there is none, or no memory at hand; nothing changed. *due as rill_streak_advance. It calls nothing, so that
 * who calls it has no registers to save. */
static inline rill_message *rill_streak_take(struct rill_inbox *inbox, bool *due)
{
    struct rill_inring *ring = inbox->streak.ring;
    uint64_t size = inbox->streak.size;
    const unsigned char *payload = rill_streak_peek(inbox);
    if (!payload || (size > RILL_MESSAGE_SMALL_MOST && !rill_inring_may_lend(ring)))
        return NULL;
    rill_message *made = rill_message_cached(size);
    if (!made)
        return NULL;
    if (size > RILL_MESSAGE_SMALL_MOST)
        rill_inring_lend(ring, made, payload, size);
    else
        rill_copy_words(rill_message_bytes(made), payload, rill_ring_padded(size));
    *due = rill_streak_advance(inbox);
    return made;
}

/* The same into memory of the caller's, for few bytes. False: there is none, or it does not fit. */
static inline bool rill_streak_take_into(struct rill_inbox *inbox, void *buffer, size_t capacity, size_t *taken, bool *due)
{
    uint64_t size = inbox->streak.size;
    const unsigned char *payload = rill_streak_peek(inbox);
    if (!payload || size > capacity || size > RILL_COPY_FEW)
        return false;
    rill_copy_bytes(buffer, payload, (size_t)size);
    *taken = (size_t)size;
    *due = rill_streak_advance(inbox);
    return true;
}

/* Behind a message of the streak that was taken on another way: how many like it can go the shortest? */
static inline void rill_streak_arm(struct rill_inbox *inbox)
{
    struct rill_streak *streak = &inbox->streak;
    if (!streak->left || streak->below || streak->size > RILL_COPY_FEW)
        return;
    const struct rill_ring_reader *reader = &streak->ring->reader;
    const struct rill_inlane *lane = streak->ring->lane;
    uint64_t room = reader->size - reader->position - RILL_LINK_BYTES, unpublished = lane->consumed - lane->published;
    uint64_t quiet = unpublished < inbox->publish_every ? inbox->publish_every - unpublished - 1 : 0; /* bytes until something is to be published */
    uint64_t most = (room < quiet ? room : quiet) / streak->length;
    streak->quick = streak->armed = most < streak->left ? (uint32_t)most : streak->left;
}

/* Counts what went the shortest way since it was armed, and ends that. Gives how many messages of streak->size bytes it was. */
static inline uint32_t rill_streak_settle(struct rill_inbox *inbox)
{
    struct rill_streak *streak = &inbox->streak;
    uint32_t taken = streak->armed - streak->quick;
    streak->armed = streak->quick = 0;
    if (taken) {
        struct rill_inlane *lane = streak->ring->lane;
        streak->left -= taken;
        lane->consumed += taken * streak->length;
        lane->consumed_messages += taken;
    }
    return taken;
}

/* The shortest way, while streak->quick is not 0. False: the next message is none like the last, or does not fit. *drained: nothing is left of a queue with
 * a limit, so what was consumed is to be published. */
static inline bool rill_streak_take_quick(struct rill_inbox *inbox, void *buffer, size_t capacity, size_t *size, bool *drained)
{
    struct rill_streak *streak = &inbox->streak;
    struct rill_ring_reader *reader = &streak->ring->reader;
    unsigned char *block = reader->block;
    uint64_t position = reader->position, length = streak->length, limit = inbox->page_limit;
    size_t bytes = (size_t)streak->size;
    uint64_t word = atomic_load_explicit(rill_ring_header(block, position), memory_order_acquire); /* R1, as in rill_streak_peek */
    if (__builtin_expect(word != streak->word || bytes > capacity, 0))
        return false;
    rill_copy_bytes(buffer, block + position + RILL_HEADER_BYTES, bytes);
    *size = bytes;
    position += length;
    reader->position = position;
    streak->quick--;
    *drained = limit && atomic_load_explicit(rill_ring_header(block, position), memory_order_acquire) == RILL_HEADER_FREE;
    return true;
}

#endif
