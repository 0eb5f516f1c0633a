/* SPDX-License-Identifier: MIT */
/*
 * What does a further stage of a pipeline cost? Role 0 sends to the first stage and receives from the last; each stage touches one byte and passes on.
 *
 *   pool=N       buffers of a pool, through N stages
 *   message=N    messages of 64 bytes, through N stages
 *
 * A further stage takes half of the difference between N = 4 and N = 2.
 */
#include "perf/bench.h"
#include "perf/ends.h"
#include "perf/roundtrip.h"

#include <stdlib.h>
#include <string.h>

#define MESSAGE_BYTES 64

static unsigned stages(const struct run *run)
{
    return run->contestant->roles - 1;
}

static bool is_pool(const struct run *run)
{
    return strncmp(run->contestant->variant, "pool", 4) == 0;
}

/* Channel i goes from role i to the next one. */
static void stages_open(struct run *run)
{
    for (unsigned i = 0; i <= stages(run); i++)
        ends_open(run, i, i, run->options->limit);
}

static void send_frame(struct run *run, struct rill_end *end, rill_buffer *buffer)
{
    struct rill_handle handle = {.kind = RILL_HANDLE_BUFFER, .as.buffer = buffer};
    int code;
    while ((code = rill_send_handles(end->sender, NULL, 0, &handle, 1)) == RILL_EAGAIN || code == RILL_EINFLIGHT)
        give_way();
    check(run, "rill_send_handles", code);
}

static unsigned char *touch(struct run *run, rill_buffer *buffer, size_t size)
{
    void *bytes;
    check(run, "rill_buffer_data_mutable", rill_buffer_data_mutable(buffer, &bytes));
    if (rill_buffer_size(buffer) != size)
        fail(run, "a frame that arrived is wrong");
    ++*(unsigned char *)bytes;
    return bytes;
}

static rill_buffer *take_frame(struct run *run, struct rill_end *end)
{
    rill_buffer *buffer;
    check(run, "rill_message_take_buffer", rill_message_take_buffer(end->message, 0, &buffer));
    rill_end_drop(run, end);
    return buffer;
}

static void pass_on(struct run *run, struct rill_end *end)
{
    const void *bytes;
    size_t size;
    bool pool = is_pool(run);
    while (rill_end_take(run, end, &bytes, &size)) {
        if (!pool) {
            atomic_store_explicit(&run->board->seen, *(const unsigned char *)bytes, memory_order_relaxed);
            check(run, "rill_forward", rill_forward(end->sender, &end->message, RILL_AS_CONFIGURED));
            continue;
        }
        rill_buffer *buffer = take_frame(run, end);
        (void)touch(run, buffer, run->contestant->size);
        send_frame(run, end, buffer);
    }
}

static void one_frame(struct run *run, struct rill_end *end, rill_pool *pool)
{
    rill_buffer *buffer;
    const void *bytes;
    size_t size;
    check(run, "rill_pool_loan", rill_pool_loan(pool, run->contestant->size, &buffer));
    unsigned char before = *touch(run, buffer, run->contestant->size);
    send_frame(run, end, buffer);
    if (!rill_end_take(run, end, &bytes, &size))
        fail(run, "a frame is lost");
    buffer = take_frame(run, end);
    if (*(const unsigned char *)rill_buffer_data(buffer) != (unsigned char)(before + stages(run)))
        fail(run, "a stage did not touch the frame");
    check(run, "rill_buffer_close", rill_buffer_close(&buffer));
}

static void one_message(struct run *run, struct rill_end *end, uint64_t number)
{
    unsigned char message[MESSAGE_BYTES] = {0};
    const void *bytes;
    size_t size;
    (void)stamp_message(message, sizeof message, number);
    rill_end_put(run, end, message, sizeof message);
    if (!rill_end_take(run, end, &bytes, &size) || size != sizeof message || read_stamp(bytes, size) != number)
        fail(run, "a message is lost or wrong");
    rill_end_drop(run, end);
}

static void feed(struct run *run, struct rill_end *end)
{
    struct histogram *times = new_histogram(run);
    rill_pool *pool = NULL;
    int64_t cost = now_cost();
    check(run, "rill_pool_make", rill_pool_make(NULL, &pool));
    meet_before(run);
    int64_t begin = now() + warm_up_time(run), last = begin + (int64_t)(run->options->seconds * SECOND), time = now();
    for (uint64_t number = 0; time < last; number++) {
        int64_t before = time;
        if (is_pool(run))
            one_frame(run, end, pool);
        else
            one_message(run, end, number);
        time = now();
        if (before >= begin)
            histogram_add(times, time - before - cost);
    }
    rill_end_finish(run, end);
    check(run, "rill_pool_close", rill_pool_close(&pool));
    report_times(run, times);
    meet_after(run);
}

static void stages_work(struct run *run)
{
    struct rill_end end = ends_keep(run, run->role, run->role ? run->role - 1 : stages(run));
    if (run->role == 0) {
        feed(run, &end);
        return;
    }
    meet_before(run);
    pass_on(run, &end);
    rill_end_finish(run, &end);
    meet_after(run);
}

int bench_stages(const struct options *options)
{
    static const size_t defaults[] = {16 << 20};
    static const struct {
        const char *name;
        unsigned stages;
    } variants[] = {{"pool=2", 2}, {"pool=4", 4}, {"message=2", 2}, {"message=4", 4}};
    const size_t *sizes, count = options_sizes(options, defaults, COUNT_OF(defaults), &sizes);
    int result = 0;
    for (size_t i = 0; i < count; i++) {
        struct contestant contestants[12];
        size_t contestant_count = 0;
        for (size_t v = 0; v < COUNT_OF(variants); v++)
            for (size_t t = 0; t < options->transport_count && options_variant(options, variants[v].name); t++) {
                size_t size = variants[v].name[0] == 'p' ? sizes[i] : MESSAGE_BYTES;
                struct contestant *it = contestant_add(contestants, &contestant_count, "stages", variants[v].name, options->transports[t], size);
                it->roles = variants[v].stages + 1;
                it->open = stages_open;
                it->work = stages_work;
            }
        result |= measure(options, contestants, contestant_count);
    }
    return result;
}
