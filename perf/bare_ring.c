/* SPDX-License-Identifier: MIT */
#include "perf/bare.h"
#include "perf/bare_ring.h"
#include "perf/roundtrip.h"
#include "perf/stream.h"

#include <string.h>
#include <sys/mman.h>

/* A consumer that looks at every word the moment it is written takes the line from under the producer's hands. In a stream
 * it leaves it this many pauses of the processor (some tens of ns each). Of 32, 64, 128, 256 and 512 this is the best with every
 * size: 64-byte messages go three times as fast as with 32. A round trip does not wait. */
#define STREAM_PAUSES 512

struct ring_pair {
    struct bare_ring rings[2];
    atomic_bool ended[2];
};

struct ring_end {
    struct bare_end end;
    atomic_bool *ended;
};

static void ring_open(struct run *run)
{
    struct ring_pair *pair = mmap(NULL, sizeof *pair, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (pair == MAP_FAILED)
        fail(run, "no memory for the rings");
    run->ends = pair;
}

static struct ring_end ring_end(struct run *run, unsigned which)
{
    struct ring_pair *pair = run->ends;
    return (struct ring_end){.end = {.ring = &pair->rings[which]}, .ended = &pair->ended[which]};
}

static inline void ring_put(struct run *run, void *end, const void *message, size_t size)
{
    bare_ring_push(run, &((struct ring_end *)end)->end, message, size);
}

static void ring_finish(struct run *run, void *end)
{
    (void)run;
    atomic_store_explicit(((struct ring_end *)end)->ended, true, memory_order_release);
}

ALWAYS_INLINE bool ring_wait(struct run *run, struct ring_end *mine, const void **message, size_t *size, unsigned pauses)
{
    unsigned looks = 0;
    while (!bare_ring_front(&mine->end, message, size)) {
        if (atomic_load_explicit(mine->ended, memory_order_acquire))
            return bare_ring_front(&mine->end, message, size);
        for (unsigned i = 0; i < pauses; i++)
            relax(run, &looks);
    }
    return true;
}

static inline bool ring_take(struct run *run, void *end, const void **message, size_t *size)
{
    return ring_wait(run, end, message, size, 1);
}

static inline bool ring_take_patiently(struct run *run, void *end, const void **message, size_t *size)
{
    return ring_wait(run, end, message, size, run->options->placement == PLACE_SPLIT ? STREAM_PAUSES : 1);
}

static inline void ring_drop(struct run *run, void *end)
{
    bare_ring_pop(&((struct ring_end *)end)->end, run->contestant->size);
}

static void ring_stream(struct run *run)
{
    const struct stream_calls calls = {.put = ring_put, .finish = ring_finish, .take = ring_take_patiently, .drop = ring_drop};
    struct ring_end end = ring_end(run, 0);
    if (run->role == 0)
        stream_receive(run, &end, calls);
    else
        stream_send(run, &end, calls);
}

static void ring_trips(struct run *run)
{
    const struct stream_calls calls = {.put = ring_put, .finish = ring_finish, .take = ring_take, .drop = ring_drop};
    struct ring_end out = ring_end(run, run->role), in = ring_end(run, 1 - run->role);
    if (run->role == 0)
        ask(run, &out, &in, calls);
    else
        answer(run, &out, &in, calls);
}

static bool ring_contestant(size_t size, void (*work)(struct run *run), struct contestant *contestant)
{
    *contestant = (struct contestant){
        .bench = "limit", .variant = "ring", .transport = "-", .size = size, .roles = 2, .open = ring_open, .work = work};
    return size <= BARE_RING_BYTES && 2 * bare_ring_step(size) <= BARE_RING_BYTES;
}

bool ring_one_way(size_t size, struct contestant *contestant)
{
    return ring_contestant(size, ring_stream, contestant);
}

bool ring_round_trip(size_t size, struct contestant *contestant)
{
    return ring_contestant(size, ring_trips, contestant);
}
