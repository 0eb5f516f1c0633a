/* SPDX-License-Identifier: MIT */
/* Waiting: never too short, in spite of signals, without using the CPU; and waking. */
#include "conformance.h"

static const int64_t spans[] = {0,
                                1,
                                100,
                                MICROSECOND,
                                10 * MICROSECOND,
                                50 * MICROSECOND,
                                300 * MICROSECOND,
                                MILLISECOND,
                                MILLISECOND + 1,
                                5 * MILLISECOND,
                                30 * MILLISECOND};

enum form {
    BY_TIMEOUT,
    BY_DEADLINE,
    BY_INTO,
    BY_MANY,
    FORMS
};

/* Waits for a message that does not come. */
static int wait_in_vain(rill_receiver *receiver, unsigned form, int64_t span)
{
    rill_message *message = NULL;
    size_t size;
    int64_t deadline = rill_clock() + span;
    switch (form) {
    case BY_TIMEOUT: return rill_recv_timeout(receiver, span, &message);
    case BY_DEADLINE: return rill_recv_until(receiver, deadline, &message);
    case BY_INTO: return rill_recv_into(receiver, &size, sizeof size, deadline, &size);
    default: return rill_recv_many(receiver, deadline, &message, 1, &size);
    }
}

static void require_no_early_end(rill_receiver *receiver)
{
    for (unsigned form = 0; form < FORMS; form++) {
        for (size_t i = 0; i < COUNT_OF(spans); i++) {
            test_note = spans[i];
            int64_t from = rill_clock();
            require_code(RILL_ETIMEDOUT, wait_in_vain(receiver, form, spans[i]));
            require(rill_clock() - from >= spans[i]);
        }
    }
}

static void never_early(struct world *world)
{
    world_channel(world, 0, NULL);
    for (unsigned i = 0; i < 3; i++)
        require_no_early_end(world->mine.rx[0]);
}

static void never_early_without_spin(struct world *world)
{
    world_channel(world, 0, &(struct rill_channel_options){.spin = -1});
    require_no_early_end(world->mine.rx[0]);
}

static void never_early_with_spin(struct world *world)
{
    world_channel(world, 0, &(struct rill_channel_options){.spin = 10 * MILLISECOND});
    require_no_early_end(world->mine.rx[0]);
}

static void never_early_among_signals(struct world *world)
{
    world_channel(world, 0, NULL);
    pester_start(200 * MICROSECOND);
    for (unsigned form = 0; form < FORMS; form++) {
        int64_t from = rill_clock();
        require_code(RILL_ETIMEDOUT, wait_in_vain(world->mine.rx[0], form, 40 * MILLISECOND));
        require(rill_clock() - from >= 40 * MILLISECOND);
    }
    pester_stop();
    require(pester_count() > 10);
}

static void past_deadlines(struct world *world)
{
    rill_message *message = NULL;
    size_t count = 0;
    world_channel(world, 0, NULL);
    require_code(RILL_EEMPTY, rill_recv_until(world->mine.rx[0], RILL_NOW, &message));
    require_code(RILL_EEMPTY, rill_recv_many(world->mine.rx[0], RILL_NOW, &message, 1, &count));
    require_code(RILL_EEMPTY, rill_recv_into(world->mine.rx[0], &count, sizeof count, RILL_NOW, &count));
    require_code(RILL_ETIMEDOUT, rill_recv_timeout(world->mine.rx[0], 0, &message));
    require_code(RILL_ETIMEDOUT, rill_recv_until(world->mine.rx[0], 1, &message));
    require_code(RILL_ETIMEDOUT, rill_recv_until(world->mine.rx[0], rill_clock() - 1, &message));
    for (unsigned i = 0; i < 4; i++)
        require_ok(send_number(world->mine.tx[0], i));
    require_ok(rill_recv_until(world->mine.rx[0], RILL_NOW, &message));
    require_equal(0, take_number(&message));
    require_ok(rill_recv_until(world->mine.rx[0], 1, &message));
    require_equal(1, take_number(&message));
    require_ok(rill_recv_timeout(world->mine.rx[0], 0, &message));
    require_equal(2, take_number(&message));
    require_ok(rill_recv_timeout(world->mine.rx[0], RILL_FOREVER, &message));
    require_equal(3, take_number(&message));
}

static void clock_is_monotonic(struct world *world)
{
    struct timespec before, after;
    (void)world;
    require(clock_gettime(CLOCK_MONOTONIC, &before) == 0);
    int64_t now = rill_clock();
    require(clock_gettime(CLOCK_MONOTONIC, &after) == 0);
    require((int64_t)before.tv_sec * SECOND + before.tv_nsec <= now);
    require((int64_t)after.tv_sec * SECOND + after.tv_nsec >= now);
}

/* ---------------------------------------------------------------- waking */

static void receive_asleep(struct ends *ends)
{
    announce(ends->board, SLOT_NAME);
    for (uint64_t i = 0; i < ends->argument; i++) {
        receive_filled(ends->rx[0], i * 37 % 5000, i);
        atomic_store(&ends->board->value[SLOT_COUNT], i + 1);
    }
}

static void wake_each_time(struct world *world, int64_t spin)
{
    struct peer peer;
    uint64_t count = rounds(100);
    world_channel(world, 0, &(struct rill_channel_options){.spin = spin});
    peer_start(&peer, world, receive_asleep, 0, FIRST, count);
    for (uint64_t i = 0; i < count; i++) {
        test_note = (long long)i;
        wait_until_asleep(world->mine.board, SLOT_NAME);
        require_equal(i, atomic_load(&world->mine.board->value[SLOT_COUNT]));
        require_ok(send_filled(world->mine.tx[0], i * 37 % 5000, i));
        while (atomic_load(&world->mine.board->value[SLOT_COUNT]) <= i)
            sched_yield();
    }
    peer_join(&peer);
}

static void woken_each_time(struct world *world)
{
    wake_each_time(world, 0);
}

static void woken_without_spin(struct world *world)
{
    wake_each_time(world, -1);
}

static void empty_wakes(struct world *world)
{
    struct peer peer;
    world_channel(world, 0, NULL);
    world_channel(world, 1, NULL);
    peer_start(&peer, world, receive_asleep, 0, FIRST, 1);
    wait_until_asleep(world->mine.board, SLOT_NAME);
    require_ok(send_filled(world->mine.tx[0], 0, 0));
    peer_join(&peer);
}

static void pass_back(struct ends *ends)
{
    for (uint64_t i = 0; i < ends->argument; i++) {
        require_equal(i, receive_number(ends->rx[0]));
        require_ok(send_number(ends->tx[1], i));
    }
}

/* Both sides fall asleep and are woken at every possible distance of the two. */
static void no_lost_wakeup(struct world *world)
{
    struct peer peer;
    uint64_t count = rounds(3000);
    struct dice dice = {count};
    world_channel(world, 0, &(struct rill_channel_options){.spin = -1});
    world_channel(world, 1, &(struct rill_channel_options){.spin = -1});
    peer_start(&peer, world, pass_back, END(1), END(0), count);
    for (uint64_t i = 0; i < count; i++) {
        test_note = (long long)i;
        int64_t until = rill_clock() + (int64_t)roll_between(&dice, 0, 30000);
        while (i % 2 && rill_clock() < until)
            continue;
        require_ok(send_number(world->mine.tx[0], i));
        require_equal(i, receive_number(world->mine.rx[1]));
    }
    peer_join(&peer);
}

static void receive_among_signals(struct ends *ends)
{
    pester_start(100 * MICROSECOND);
    announce(ends->board, SLOT_NAME);
    flag_raise(ends->board, SLOT_READY);
    unsigned seen = pester_count();
    for (uint64_t i = 0; i < 3; i++)
        require_equal(i, receive_number(ends->rx[0]));
    require(pester_count() > seen);
    pester_stop();
}

static void signals_do_not_end_it(struct world *world)
{
    struct peer peer;
    world_channel(world, 0, NULL);
    peer_start(&peer, world, receive_among_signals, 0, FIRST, 0);
    flag_wait(world->mine.board, SLOT_READY);
    for (uint64_t i = 0; i < 3; i++) {
        usleep(5000); /* for signals to arrive in: it is they that are waited for */
        require_ok(send_number(world->mine.tx[0], i));
    }
    peer_join(&peer);
}

/* ---------------------------------------------------------------- the CPU */

static void receive_and_count(struct ends *ends)
{
    require_equal(0, receive_number(ends->rx[0]));
    int64_t cpu = thread_cpu();
    long sleeps = thread_sleeps();
    announce(ends->board, SLOT_NAME);
    require_equal(1, receive_number(ends->rx[0]));
    require(thread_sleeps() - sleeps <= 10);
    require(thread_cpu() - cpu < 20 * MILLISECOND);
}

static void blocked_uses_no_cpu(struct world *world)
{
    struct peer peer;
    rill_message *message = NULL;
    world_channel(world, 0, NULL);
    world_channel(world, 1, NULL);
    peer_start(&peer, world, receive_and_count, 0, FIRST, 0);
    require_ok(send_number(world->mine.tx[0], 0));
    wait_until_asleep(world->mine.board, SLOT_NAME);
    int64_t cpu = thread_cpu();
    require_code(RILL_ETIMEDOUT, rill_recv_timeout(world->mine.rx[1], 400 * MILLISECOND, &message));
    require(thread_cpu() - cpu < 20 * MILLISECOND);
    require_ok(send_number(world->mine.tx[0], 1));
    peer_join(&peer);
}

static const struct role roles[] = {ROLE(receive_asleep), ROLE(pass_back), ROLE(receive_among_signals), ROLE(receive_and_count)};

static const struct conformance_case cases[] = {
    {"a wait never ends early", never_early, ON_ALL, AT_THREADS, 0},
    {"a wait that never spins never ends early", never_early_without_spin, ON_ALL, AT_THREADS, 0},
    {"a wait that spins long never ends early", never_early_with_spin, ON_ALL, AT_THREADS, 0},
    {"a wait among signals never ends early", never_early_among_signals, ON_ALL, AT_THREADS, 0},
    {"a deadline in the past takes what is there", past_deadlines, ON_ALL, AT_THREADS, 0},
    {"rill_clock is CLOCK_MONOTONIC", clock_is_monotonic, ON_SHM, AT_THREADS, 0},
    {"a sleeping receiver is woken by every message", woken_each_time, ON_ALL, AT_ALL, 0},
    {"a sleeping receiver that never spins is woken by every message", woken_without_spin, ON_ALL, AT_ALL, 0},
    {"a sleeping receiver is woken by an empty message", empty_wakes, ON_ALL, AT_ALL, 0},
    {"no wakeup is lost between two that sleep and wake one another", no_lost_wakeup, ON_ALL, AT_ALL, 60},
    {"a receiver that signals interrupt goes on waiting", signals_do_not_end_it, ON_ALL, AT_ALL, 0},
    {"a blocked receiver sleeps and uses no CPU", blocked_uses_no_cpu, ON_ALL, AT_ALL, 0},
};

int main(int argc, char **argv)
{
    return conformance_main(argc, argv, cases, COUNT_OF(cases), roles, COUNT_OF(roles));
}
