/* SPDX-License-Identifier: MIT */
/* The queue: order, length, and messages that are kept. */
#include "conformance.h"

#define MANY (SANITIZED ? 100000u : 1000000u)

static size_t mixed_size(uint64_t number)
{
    struct dice dice = {number};
    uint64_t kind = roll(&dice) % 100;
    if (kind < 80)
        return roll(&dice) % 300;
    if (kind < 97)
        return roll(&dice) % 10000;
    return roll(&dice) % 300000;
}

static void send_mixed(struct ends *ends)
{
    for (uint64_t i = 0; i < ends->argument; i++)
        require_ok(send_filled(ends->tx[0], mixed_size(i), i));
    flag_raise(ends->board, SLOT_DONE);
}

static void in_order(struct world *world)
{
    struct peer peer;
    uint64_t count = rounds(20000);
    world_channel(world, 0, NULL);
    peer_start(&peer, world, send_mixed, FIRST, 0, count);
    for (uint64_t i = 0; i < count; i++) {
        test_note = (long long)i;
        receive_filled(world->mine.rx[0], mixed_size(i), i);
    }
    peer_join(&peer);
}

static void send_numbers(struct ends *ends)
{
    uint64_t pair[2];
    for (uint64_t i = 0; i < ends->argument; i++) {
        pair[0] = i;
        pair[1] = ~i;
        require_ok(rill_send(ends->tx[0], pair, sizeof pair));
    }
    flag_raise(ends->board, SLOT_DONE);
}

static void drain_numbers(rill_receiver *receiver, uint64_t count)
{
    uint64_t pair[2];
    size_t size;
    for (uint64_t i = 0; i < count; i++) {
        require_ok(rill_recv_into(receiver, pair, sizeof pair, RILL_FOREVER, &size));
        require_equal(sizeof pair, size);
        require_equal(i, pair[0]);
        require_equal(~i, pair[1]);
    }
    require_code(RILL_EDISCONNECTED, rill_recv_into(receiver, pair, sizeof pair, RILL_FOREVER, &size));
}

/* The sender is gone before the first message is received. */
static void a_million(struct world *world)
{
    struct peer peer;
    world_channel(world, 0, NULL);
    peer_start(&peer, world, send_numbers, FIRST, 0, MANY);
    peer_join(&peer);
    drain_numbers(world->mine.rx[0], MANY);
}

static void mixed_backlog(struct world *world)
{
    struct peer peer;
    uint64_t count = rounds(10000);
    world_channel(world, 0, NULL);
    peer_start(&peer, world, send_mixed, FIRST, 0, count);
    peer_join(&peer);
    for (uint64_t i = 0; i < count; i++) {
        test_note = (long long)i;
        receive_filled(world->mine.rx[0], mixed_size(i), i);
    }
}

static void short_backlog(struct world *world)
{
    struct peer peer;
    world_channel(world, 0, NULL);
    peer_start(&peer, world, send_numbers, FIRST, 0, 100);
    peer_join(&peer);
    drain_numbers(world->mine.rx[0], 100);
}

/* The queue is filled and emptied again and again, deeper each time. */
static void send_in_bursts(struct ends *ends)
{
    uint64_t next = 0;
    for (uint64_t burst = 1; burst <= ends->argument; burst *= 3) {
        for (uint64_t i = 0; i < burst; i++, next++)
            require_ok(send_filled(ends->tx[0], 8 + next % 900, next));
        require_equal(burst, receive_number(ends->rx[1]));
    }
}

static void fills_and_empties(struct world *world)
{
    struct peer peer;
    uint64_t next = 0, most = rounds(30000);
    world_channel(world, 0, NULL);
    world_channel(world, 1, NULL);
    peer_start(&peer, world, send_in_bursts, END(0), END(1), most);
    for (uint64_t burst = 1; burst <= most; burst *= 3) {
        for (uint64_t i = 0; i < burst; i++, next++)
            receive_filled(world->mine.rx[0], 8 + next % 900, next);
        require_ok(send_number(world->mine.tx[1], burst));
    }
    peer_join(&peer);
}

/* ---------------------------------------------------------------- messages that are kept */

enum { HELD = 400 };

static void shuffle(unsigned *order, unsigned count)
{
    struct dice dice = {count};
    for (unsigned i = 0; i < count; i++)
        order[i] = i;
    for (unsigned i = count; i > 1; i--) {
        unsigned other = (unsigned)(roll(&dice) % i), last = order[i - 1];
        order[i - 1] = order[other];
        order[other] = last;
    }
}

static void receive_held(rill_receiver *receiver, rill_message **held)
{
    for (unsigned i = 0; i < HELD; i++) {
        require_ok(rill_recv(receiver, &held[i]));
        require_equal(mixed_size(i), rill_message_size(held[i]));
    }
}

static void close_shuffled(rill_message **held)
{
    unsigned order[HELD];
    shuffle(order, HELD);
    for (unsigned i = 0; i < HELD; i++) {
        test_note = order[i];
        require_message(&held[order[i]], mixed_size(order[i]), order[i]);
    }
}

static void closed_in_any_order(struct world *world)
{
    struct peer peer;
    rill_message *held[HELD] = {0};
    uint64_t count = rounds(10000) + HELD;
    world_channel(world, 0, NULL);
    peer_start(&peer, world, send_mixed, FIRST, 0, count);
    receive_held(world->mine.rx[0], held);
    for (uint64_t i = HELD; i < count / 2; i++)
        receive_filled(world->mine.rx[0], mixed_size(i), i);
    close_shuffled(held);
    for (uint64_t i = count / 2 < HELD ? HELD : count / 2; i < count; i++)
        receive_filled(world->mine.rx[0], mixed_size(i), i);
    peer_join(&peer);
}

static void readable_after_close(struct world *world)
{
    struct peer peer;
    rill_message *held[HELD] = {0};
    world_channel(world, 0, NULL);
    peer_start(&peer, world, send_mixed, FIRST, 0, HELD);
    receive_held(world->mine.rx[0], held);
    peer_join(&peer);
    require_ok(rill_receiver_close(&world->mine.rx[0]));
    close_shuffled(held);
}

struct handover {
    rill_message *held[HELD];
    _Atomic unsigned given;
};

static void *close_given(void *argument)
{
    struct handover *handover = argument;
    for (unsigned i = 0; i < HELD; i++) {
        while (atomic_load(&handover->given) <= i)
            sched_yield();
        require_message(&handover->held[i], mixed_size(i), i);
    }
    return NULL;
}

static void closed_by_another_thread(struct world *world)
{
    struct peer peer;
    pthread_t closer;
    static struct handover handover;
    world_channel(world, 0, NULL);
    peer_start(&peer, world, send_mixed, FIRST, 0, HELD);
    require(pthread_create(&closer, NULL, close_given, &handover) == 0);
    for (unsigned i = 0; i < HELD; i++) {
        require_ok(rill_recv(world->mine.rx[0], &handover.held[i]));
        atomic_store(&handover.given, i + 1);
    }
    require(pthread_join(closer, NULL) == 0);
    peer_join(&peer);
}

static void kept_do_not_hold_up(struct world *world)
{
    struct peer peer;
    rill_message *held[HELD] = {0};
    uint64_t count = rounds(100000) + HELD;
    world_channel(world, 0, NULL);
    peer_start(&peer, world, send_numbers, FIRST, 0, count);
    for (unsigned i = 0; i < HELD; i++)
        require_ok(rill_recv(world->mine.rx[0], &held[i]));
    uint64_t pair[2];
    for (uint64_t i = HELD; i < count; i++) {
        size_t size;
        require_ok(rill_recv_into(world->mine.rx[0], pair, sizeof pair, RILL_FOREVER, &size));
        require_equal(i, pair[0]);
    }
    peer_join(&peer);
    for (unsigned i = 0; i < HELD; i++) {
        memcpy(pair, rill_message_data(held[i]), sizeof pair);
        require_equal(i, pair[0]);
        require_equal(~(uint64_t)i, pair[1]);
        require_ok(rill_message_close(&held[i]));
    }
}

static const struct role roles[] = {ROLE(send_mixed), ROLE(send_numbers), ROLE(send_in_bursts)};

static const struct conformance_case cases[] = {
    {"messages are received in the order in which they were sent", in_order, ON_ALL, AT_ALL, 60},
    {"a million messages queue with nobody receiving", a_million, ON_QUEUES, AT_ALL, 60},
    {"large and small messages queue with nobody receiving", mixed_backlog, ON_QUEUES, AT_ALL, 60},
    {"what a sender that has ended left behind is received", short_backlog, ON_ALL, AT_ALL, 0},
    {"the queue fills and empties again and again", fills_and_empties, ON_ALL, AT_ALL, 60},
    {"received messages are closed in any order while others go on", closed_in_any_order, ON_ALL, AT_ALL, 60},
    {"received messages are readable after the receiver is closed", readable_after_close, ON_ALL, AT_ALL, 60},
    {"received messages are read and closed by another thread", closed_by_another_thread, ON_ALL, AT_ALL, 60},
    {"messages that are kept do not hold up the queue", kept_do_not_hold_up, ON_ALL, AT_ALL, 60},
};

int main(int argc, char **argv)
{
    return conformance_main(argc, argv, cases, COUNT_OF(cases), roles, COUNT_OF(roles));
}
