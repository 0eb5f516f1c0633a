/* SPDX-License-Identifier: MIT */
/*
 * A single-producer, single-consumer ring and nothing else: what a machine can do, to compare rill with. No growth, no
 * sleep, no check of what the other side wrote, no limit but its size, no second producer; whoever uses it has to know when
 * to stop.
 *
 * A record is a word with its size + 1, then its bytes. The word is the commit: the producer clears the next one before it
 * writes it. The producer remembers how far the consumer was and looks again only when the ring is full; the consumer says
 * how far it is once in a batch.
 */
#ifndef RILL_PERF_BARE_RING_H
#define RILL_PERF_BARE_RING_H

#include "perf/harness.h"

#define BARE_RING_BYTES ((uint64_t)4 << 20)
#define BARE_RING_BATCH ((uint64_t)64 << 10)
#define BARE_RING_WRAP UINT64_MAX

struct bare_ring {
    _Alignas(LINE) _Atomic uint64_t consumed;
    _Alignas(LINE) unsigned char bytes[BARE_RING_BYTES];
};

/* One side's own position; `seen` is the last of the consumer's that the producer saw, or the consumer published. */
struct bare_end {
    struct bare_ring *ring;
    uint64_t position, seen;
};

static inline uint64_t bare_ring_step(size_t size)
{
    return 8 + ((uint64_t)size + 7) / 8 * 8;
}

static inline _Atomic uint64_t *bare_ring_word(struct bare_ring *ring, uint64_t position)
{
    return (_Atomic uint64_t *)(void *)(ring->bytes + position % BARE_RING_BYTES);
}

static inline void bare_ring_push(struct run *run, struct bare_end *end, const void *data, size_t size)
{
    struct bare_ring *ring = end->ring;
    uint64_t step = bare_ring_step(size), left = BARE_RING_BYTES - end->position % BARE_RING_BYTES;
    uint64_t skip = left < step ? left : 0;
    unsigned looks = 0;
    while (end->position + skip + step + 8 - end->seen > BARE_RING_BYTES) {
        uint64_t before = end->seen;
        end->seen = atomic_load_explicit(&ring->consumed, memory_order_acquire);
        if (end->seen == before)
            relax(run, &looks);
    }
    if (skip) {
        atomic_store_explicit(bare_ring_word(ring, end->position + skip), 0, memory_order_relaxed);
        atomic_store_explicit(bare_ring_word(ring, end->position), BARE_RING_WRAP, memory_order_release);
        end->position += skip;
    }
    __builtin_memcpy(ring->bytes + end->position % BARE_RING_BYTES + 8, data, size);
    atomic_store_explicit(bare_ring_word(ring, end->position + step), 0, memory_order_relaxed);
    atomic_store_explicit(bare_ring_word(ring, end->position), size + 1, memory_order_release);
    end->position += step;
}

static inline void bare_ring_publish(struct bare_end *end)
{
    atomic_store_explicit(&end->ring->consumed, end->position, memory_order_release);
    end->seen = end->position;
}

/* False: there is nothing now. */
static inline bool bare_ring_front(struct bare_end *end, const void **data, size_t *size)
{
    for (;;) {
        uint64_t word = atomic_load_explicit(bare_ring_word(end->ring, end->position), memory_order_acquire);
        if (word == 0) {
            if (end->seen != end->position)
                bare_ring_publish(end);
            return false;
        }
        if (word != BARE_RING_WRAP) {
            *size = (size_t)(word - 1);
            *data = end->ring->bytes + end->position % BARE_RING_BYTES + 8;
            return true;
        }
        end->position += BARE_RING_BYTES - end->position % BARE_RING_BYTES;
    }
}

static inline void bare_ring_pop(struct bare_end *end, size_t size)
{
    end->position += bare_ring_step(size);
    if (end->position - end->seen >= BARE_RING_BATCH)
        bare_ring_publish(end);
}

#endif
