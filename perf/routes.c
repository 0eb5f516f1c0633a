/* SPDX-License-Identifier: MIT */
/* What does a route cost that is made, used once and dropped, and does it leave anything behind? */
#include "perf/bench.h"
#include "perf/ends.h"

#include <dirent.h>
#include <stdio.h>
#include <unistd.h>

#define UNDER_WAY 16   /* routes that wait for the router's thread at a time */
#define WARM_UP 2000   /* routes before anything is counted: what they leave is kept for the next ones */
#define MAPPINGS_MORE 16 /* of the allocator's */

struct routes {
    struct run *run;
    rill_router *router;
    uint64_t made, sum;
    _Atomic uint64_t used, used_sum;
};

static void use_route(void *user, uint64_t id, rill_message *message)
{
    struct routes *routes = user;
    (void)id;
    uint64_t sum = sum_words(rill_message_data(message), rill_message_size(message));
    rill_message_close(&message);
    atomic_fetch_add_explicit(&routes->used_sum, sum, memory_order_relaxed);
}

/* The receiver is closed before. */
static void end_route(void *user)
{
    struct routes *routes = user;
    atomic_fetch_add_explicit(&routes->used, 1, memory_order_release);
}

/* The router's thread may have to run on this processor. */
static void await_routes(const struct routes *routes, uint64_t under_way)
{
    while (routes->made - atomic_load_explicit(&routes->used, memory_order_acquire) > under_way)
        give_way();
}

static void make_route(struct routes *routes, const void *message, uint64_t sum)
{
    struct run *run = routes->run;
    struct rill_channel_options options = {.size = sizeof options, .transport = run->contestant->rill};
    struct rill_end end = {0};
    check(run, "rill_channel", rill_channel(&options, &end.sender, &end.receiver));
    check(run, "rill_router_call", rill_router_call(routes->router, &end.receiver, use_route, routes, end_route, RILL_ROUTE_ONCE, NULL));
    rill_end_put(run, &end, message, run->contestant->size);
    check(run, "rill_sender_close", rill_sender_close(&end.sender));
    routes->made++;
    routes->sum += sum;
    await_routes(routes, UNDER_WAY);
}

struct holdings {
    size_t descriptors, mappings;
    int64_t memory;
};

static size_t count_entries(const char *path)
{
    size_t count = 0;
    DIR *folder = opendir(path);
    while (folder && readdir(folder))
        count++;
    if (folder)
        closedir(folder);
    return count;
}

static size_t count_lines(const char *path)
{
    size_t count = 0;
    FILE *file = fopen(path, "re");
    for (int c; file && (c = getc(file)) != EOF;)
        count += c == '\n';
    if (file)
        fclose(file);
    return count;
}

/* What this process has in memory, shared or not. The machine's sum would have others in it. */
static int64_t resident(void)
{
    long long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file || fscanf(file, "%*d %lld", &pages) != 1)
        pages = 0;
    if (file)
        fclose(file);
    return pages * sysconf(_SC_PAGESIZE);
}

static struct holdings take_stock(struct routes *routes)
{
    await_routes(routes, 0);
    return (struct holdings){count_entries("/proc/self/fd"), count_lines("/proc/self/maps"), resident()};
}

static void compare(struct run *run, const struct holdings *before, const struct holdings *after)
{
    if (after->descriptors > before->descriptors)
        fail(run, "%zu descriptors before, %zu after", before->descriptors, after->descriptors);
    if (after->mappings > before->mappings + MAPPINGS_MORE)
        fail(run, "%zu mappings before, %zu after", before->mappings, after->mappings);
    figure(run, MEMORY_AFTER_BYTES, (double)(after->memory - before->memory));
}

static void measure_routes(struct run *run)
{
    static struct routes routes;
    size_t stride;
    uint64_t sum, count = 0, budget = run->options->messages ? run->options->messages : UINT64_MAX;
    const unsigned char *message = contents(run, run->contestant->size, 1, &stride, &sum);
    routes.run = run;
    check(run, "rill_router_create", rill_router_create(&routes.router));
    for (unsigned i = 0; i < WARM_UP; i++)
        make_route(&routes, message, sum);
    struct holdings before = take_stock(&routes);
    int64_t length = (int64_t)(run->options->seconds * SECOND), begin = now();
    for (; count < budget && (budget != UINT64_MAX || now() < begin + length); count++)
        make_route(&routes, message, sum);
    await_routes(&routes, 0);
    figure(run, PER_S, (double)count * (double)SECOND / (double)(now() - begin));
    struct holdings after = take_stock(&routes);
    compare(run, &before, &after);
    if (atomic_load(&routes.used_sum) != routes.sum)
        fail(run, "a message is lost or wrong");
    check(run, "rill_router_close", rill_router_close(&routes.router));
}

/* A second role is only there to measure the distance of the processors, as every split row has it. */
static void routes_work(struct run *run)
{
    meet_before(run);
    if (run->role == 0)
        measure_routes(run);
    meet_after(run);
}

int bench_routes(const struct options *options)
{
    static const size_t defaults[] = {8};
    const size_t *sizes, count = options_sizes(options, defaults, COUNT_OF(defaults), &sizes);
    int result = 0;
    for (size_t i = 0; i < count; i++) {
        struct contestant contestants[3];
        size_t contestant_count = 0;
        for (size_t t = 0; t < options->transport_count; t++) {
            struct contestant *it = contestant_add(contestants, &contestant_count, "routes", "-", options->transports[t], sizes[i]);
            it->work = routes_work;
            it->close = NULL;
            it->roles = options->placement == PLACE_SPLIT ? 2 : 1;
        }
        result |= measure(options, contestants, contestant_count);
    }
    return result;
}
