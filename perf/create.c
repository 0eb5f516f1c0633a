/* SPDX-License-Identifier: MIT */
/* How many channels can a process make and use once? */
#include "perf/bench.h"
#include "perf/ends.h"

static void use_once(struct run *run, const void *message, uint64_t sum)
{
    struct rill_channel_options options = {.size = sizeof options, .transport = run->contestant->rill};
    struct rill_end end = {0};
    const void *received;
    size_t size;
    check(run, "rill_channel", rill_channel(&options, &end.sender, &end.receiver));
    rill_end_put(run, &end, message, run->contestant->size);
    if (!rill_end_take(run, &end, &received, &size) || size != run->contestant->size || sum_words(received, size) != sum)
        fail(run, "the message is lost or wrong");
    rill_end_drop(run, &end);
    check(run, "rill_sender_close", rill_sender_close(&end.sender));
    check(run, "rill_receiver_close", rill_receiver_close(&end.receiver));
}

/* A second role is only there to measure the distance of the processors, as every split row has it. */
static void create_work(struct run *run)
{
    size_t stride;
    uint64_t sum, count = 0, budget = run->options->messages ? run->options->messages : UINT64_MAX;
    const unsigned char *message = contents(run, run->contestant->size, 1, &stride, &sum);
    meet_before(run);
    if (run->role == 0) {
        int64_t length = (int64_t)(run->options->seconds * SECOND), begin = now();
        while (budget == UINT64_MAX && now() < begin + length / 10)
            use_once(run, message, sum);
        begin = now();
        for (; count < budget && (budget != UINT64_MAX || now() < begin + length); count++)
            use_once(run, message, sum);
        figure(run, PER_S, (double)count * (double)SECOND / (double)(now() - begin));
    }
    meet_after(run);
}

int bench_create(const struct options *options)
{
    static const size_t defaults[] = {8};
    const size_t *sizes, count = options_sizes(options, defaults, COUNT_OF(defaults), &sizes);
    int result = 0;
    for (size_t i = 0; i < count; i++) {
        struct contestant contestants[3];
        size_t contestant_count = 0;
        for (size_t t = 0; t < options->transport_count; t++) {
            struct contestant *it =
                contestant_add(contestants, &contestant_count, "create", "-", options->transports[t], sizes[i]);
            it->work = create_work;
            it->close = NULL;
            it->roles = options->placement == PLACE_SPLIT ? 2 : 1;
        }
        result |= measure(options, contestants, contestant_count);
    }
    return result;
}
