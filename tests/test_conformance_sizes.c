/* SPDX-License-Identifier: MIT */
/* Messages of every size arrive whole. */
#include "conformance.h"

enum { SMALL_SIZES = 601 };

/* Sizes at which something in a queue may change: around each power of two. */
static const int steps[] = {-64, -33, -32, -25, -24, -17, -16, -9, -8, -7, -1, 0, 1, 7, 8, 9, 16, 17, 24, 32, 33};

static bool next_threshold(unsigned *power, unsigned *step, size_t *size)
{
    for (; *power <= 22; *power += 1, *step = 0) {
        while (*step < COUNT_OF(steps)) {
            long long candidate = (1LL << *power) + steps[(*step)++];
            if (candidate < 0)
                continue;
            *size = (size_t)candidate;
            return true;
        }
    }
    return false;
}

static void send_small_sizes(struct ends *ends)
{
    for (unsigned size = 0; size < SMALL_SIZES; size++)
        require_ok(send_filled(ends->tx[0], size, size));
}

static void small_sizes(struct world *world)
{
    struct peer peer;
    world_channel(world, 0, NULL);
    peer_start(&peer, world, send_small_sizes, FIRST, 0, 0);
    for (unsigned size = 0; size < SMALL_SIZES; size++) {
        test_note = size;
        receive_filled(world->mine.rx[0], size, size);
    }
    peer_join(&peer);
}

static void send_thresholds(struct ends *ends)
{
    unsigned power = 0, step = 0;
    size_t size;
    while (next_threshold(&power, &step, &size))
        require_ok(send_filled(ends->tx[0], size, size));
}

static void thresholds(struct world *world)
{
    struct peer peer;
    unsigned power = 0, step = 0;
    size_t size;
    world_channel(world, 0, NULL);
    peer_start(&peer, world, send_thresholds, FIRST, 0, 0);
    while (next_threshold(&power, &step, &size)) {
        test_note = (long long)size;
        receive_filled(world->mine.rx[0], size, size);
    }
    peer_join(&peer);
}

/* One size in flight at a time: every size meets an empty queue, asleep or awake. */
static void send_on_request(struct ends *ends)
{
    rill_message *message = NULL;
    while (rill_recv(ends->rx[1], &message) == 0) {
        uint64_t size = take_number(&message);
        require_ok(send_filled(ends->tx[0], size, ~size));
    }
}

static void thresholds_one_by_one(struct world *world)
{
    struct peer peer;
    unsigned power = 0, step = 0;
    size_t size;
    world_channel(world, 0, NULL);
    world_channel(world, 1, NULL);
    peer_start(&peer, world, send_on_request, END(0), END(1), 0);
    while (next_threshold(&power, &step, &size)) {
        test_note = (long long)size;
        require_ok(send_number(world->mine.tx[1], size));
        receive_filled(world->mine.rx[0], size, ~(uint64_t)size);
    }
    require_ok(rill_sender_close(&world->mine.tx[1]));
    peer_join(&peer);
}

static const size_t megabytes[] = {1000000, 5 * MIB + 1, 16 * MIB - 1, 64 * MIB, 3, 33 * MIB + 4095};

static void send_megabytes(struct ends *ends)
{
    for (size_t i = 0; i < COUNT_OF(megabytes); i++)
        require_ok(send_filled(ends->tx[0], megabytes[i], i));
}

static void several_megabytes(struct world *world)
{
    struct peer peer;
    world_channel(world, 0, NULL);
    peer_start(&peer, world, send_megabytes, FIRST, 0, 0);
    for (size_t i = 0; i < COUNT_OF(megabytes); i++) {
        test_note = (long long)megabytes[i];
        receive_filled(world->mine.rx[0], megabytes[i], i);
    }
    peer_join(&peer);
}

static void send_random_sizes(struct ends *ends)
{
    struct dice dice = {ends->argument};
    for (size_t i = 0; i < rounds(2000); i++)
        require_ok(send_filled(ends->tx[0], roll(&dice) >> roll_between(&dice, 44, 63), i));
}

static void random_sizes(struct world *world)
{
    struct peer peer;
    struct dice dice = {0x5eed};
    world_channel(world, 0, NULL);
    peer_start(&peer, world, send_random_sizes, FIRST, 0, dice.state);
    for (size_t i = 0; i < rounds(2000); i++) {
        test_note = (long long)i;
        receive_filled(world->mine.rx[0], roll(&dice) >> roll_between(&dice, 44, 63), i);
    }
    peer_join(&peer);
}

static void empty_from_null(struct world *world)
{
    rill_message *message = NULL;
    world_channel(world, 0, NULL);
    require_ok(rill_send(world->mine.tx[0], NULL, 0));
    require_ok(rill_send(world->mine.tx[0], "x", 0));
    require_ok(rill_send_parts(world->mine.tx[0], NULL, 0));
    for (unsigned i = 0; i < 3; i++) {
        require_ok(rill_recv(world->mine.rx[0], &message));
        require_equal(0, rill_message_size(message));
        require(rill_message_data(message) != NULL);
        require_ok(rill_message_close(&message));
    }
    require_code(RILL_EEMPTY, rill_try_recv(world->mine.rx[0], &message));
}

static void bytes_are_copied(struct world *world)
{
    unsigned char bytes[1000];
    static unsigned char large[200000];
    world_channel(world, 0, NULL);
    fill(bytes, sizeof bytes, 1);
    require_ok(rill_send(world->mine.tx[0], bytes, sizeof bytes));
    memset(bytes, 0, sizeof bytes);
    receive_filled(world->mine.rx[0], sizeof bytes, 1);
    if (world->mine.transport == RILL_SOCKET)
        return; /* its buffer may be smaller than the large one */
    fill(large, sizeof large, 2);
    require_ok(rill_send(world->mine.tx[0], large, sizeof large));
    memset(large, 0, sizeof large);
    receive_filled(world->mine.rx[0], sizeof large, 2);
}

static const struct role roles[] = {ROLE(send_small_sizes), ROLE(send_thresholds), ROLE(send_on_request), ROLE(send_megabytes),
                                    ROLE(send_random_sizes)};

static const struct conformance_case cases[] = {
    {"every size from 0 to 600 bytes arrives whole", small_sizes, ON_ALL, AT_ALL, 0},
    {"sizes around every power of two up to 4 MiB arrive whole", thresholds, ON_ALL, AT_ALL, 60},
    {"each such size arrives on an empty queue", thresholds_one_by_one, ON_ALL, AT_ALL, 60},
    {"messages of several MiB arrive whole", several_megabytes, ON_ALL, AT_ALL, 60},
    {"sizes in a random mixture arrive whole", random_sizes, ON_ALL, AT_ALL, 60},
    {"a message of 0 bytes is a message, also from NULL", empty_from_null, ON_ALL, AT_THREADS, 0},
    {"the bytes are copied before the send returns", bytes_are_copied, ON_ALL, AT_THREADS, 0},
};

int main(int argc, char **argv)
{
    return conformance_main(argc, argv, cases, COUNT_OF(cases), roles, COUNT_OF(roles));
}
