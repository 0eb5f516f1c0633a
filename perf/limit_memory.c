/* SPDX-License-Identifier: MIT */
/* One core's memory, and the way of a cache line between two. */
#include "perf/limits.h"

#include <stdlib.h>
#include <string.h>

/* Repeats what `work` does with two buffers of the size for the time asked for. */
static void memory_bench(struct run *run, uint64_t (*work)(unsigned char *to, const unsigned char *from, size_t size))
{
    size_t size = run->contestant->size;
    unsigned char *from = malloc(size + 1), *to = malloc(size + 1);
    uint64_t sum = 0;
    if (!from || !to)
        fail(run, "no memory for two buffers");
    memset(from, 1, size);
    memset(to, 2, size);
    int64_t length = (int64_t)(run->options->seconds * SECOND), begin = now(), end = begin + length / 10;
    uint64_t count = 0;
    while (now() < end)
        sum += work(to, from, size);
    for (begin = now(), end = begin; end < begin + length; end = now(), count++)
        sum += work(to, from, size);
    atomic_store(&run->board->seen, sum); /* so that it is not left out */
    figure(run, BYTES_PER_S, (double)count * (double)size * (double)SECOND / (double)(end - begin));
}

static uint64_t copy(unsigned char *to, const unsigned char *from, size_t size)
{
    memcpy(to, from, size);
    __asm__ volatile("" : : "r"(to) : "memory"); /* somebody might read it */
    return 0;
}

static uint64_t add_up(unsigned char *to, const unsigned char *from, size_t size)
{
    (void)to;
    return sum_words(from, size);
}

static void memcpy_work(struct run *run)
{
    memory_bench(run, copy);
}

static void read_work(struct run *run)
{
    memory_bench(run, add_up);
}

static void cacheline_work(struct run *run)
{
    meet_before(run);
    if (run->role == 0)
        figure(run, P50_NS, run->board->line_before);
    meet_after(run);
}

void memory_copy(size_t size, struct contestant *contestant)
{
    *contestant = (struct contestant){
        .bench = "limit", .variant = "memcpy", .transport = "-", .size = size, .roles = 1, .unplaced = true, .work = memcpy_work};
}

void memory_read(size_t size, struct contestant *contestant)
{
    *contestant = (struct contestant){
        .bench = "limit", .variant = "read", .transport = "-", .size = size, .roles = 1, .unplaced = true, .work = read_work};
}

void cacheline(struct contestant *contestant)
{
    *contestant = (struct contestant){
        .bench = "limit", .variant = "cacheline", .transport = "-", .size = NO_SIZE, .roles = 2, .work = cacheline_work};
}
