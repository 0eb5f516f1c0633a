/* SPDX-License-Identifier: MIT */
/* Ends are made, cloned and closed. */
#include "conformance.h"

static void send_one(struct ends *ends)
{
    require_ok(send_filled(ends->tx[0], 100, ends->argument));
}

static void made_and_closed(struct world *world)
{
    world_channel(world, 0, NULL);
    close_ends(&world->mine);
}

static void close_nulls(struct world *world)
{
    world_channel(world, 0, NULL);
    require_ok(rill_sender_close(&world->mine.tx[0]));
    require(world->mine.tx[0] == NULL);
    require_ok(rill_sender_close(&world->mine.tx[0]));
    require_ok(rill_receiver_close(&world->mine.rx[0]));
    require(world->mine.rx[0] == NULL);
    require_ok(rill_receiver_close(&world->mine.rx[0]));
    rill_message *none = NULL;
    require_ok(rill_message_close(&none));
}

static void clone_outlives(struct world *world)
{
    world_channel(world, 0, NULL);
    world_clone(world, 0, 1);
    require_ok(rill_sender_close(&world->mine.tx[0]));
    require_ok(send_filled(world->mine.tx[1], 33, 7));
    receive_filled(world->mine.rx[0], 33, 7);
}

static void clone_costs_no_descriptor(struct world *world)
{
    world_channel(world, 0, NULL);
    size_t before = count_descriptors();
    world_clone(world, 0, 1);
    require_equal(before, count_descriptors());
}

static void last_clone_ends(struct world *world)
{
    rill_message *message = NULL;
    world_channel(world, 0, NULL);
    world_clone(world, 0, 1);
    world_clone(world, 1, 2);
    for (unsigned i = 0; i < 3; i++) {
        require_code(RILL_EEMPTY, rill_try_recv(world->mine.rx[0], &message));
        require_ok(rill_sender_close(&world->mine.tx[i]));
    }
    require_code(RILL_EDISCONNECTED, rill_recv(world->mine.rx[0], &message));
}

static void goes_on_elsewhere(struct world *world)
{
    struct peer peer;
    world_channel(world, 0, NULL);
    world_clone(world, 0, 1);
    peer_start(&peer, world, send_one, FIRST, 0, 5);
    require_ok(rill_sender_close(&world->mine.tx[1]));
    receive_filled(world->mine.rx[0], 100, 5);
    peer_join(&peer);
}

static void one_after_another(struct world *world)
{
    for (unsigned i = 0; i < rounds(2000); i++) {
        test_note = i;
        world_channel(world, 0, NULL);
        require_ok(send_number(world->mine.tx[0], i));
        require_equal(i, receive_number(world->mine.rx[0]));
        close_ends(&world->mine);
    }
}

static void many_at_once(struct world *world)
{
    enum { CHANNELS = 200 };
    struct rill_channel_options options = {.size = sizeof options, .transport = world->mine.transport};
    static rill_sender *tx[CHANNELS];
    static rill_receiver *rx[CHANNELS];
    for (unsigned i = 0; i < CHANNELS; i++)
        require_ok(rill_channel(&options, &tx[i], &rx[i]));
    for (unsigned i = 0; i < CHANNELS; i++)
        require_ok(send_number(tx[CHANNELS - 1 - i], i));
    for (unsigned i = 0; i < CHANNELS; i++) {
        require_equal(CHANNELS - 1 - i, receive_number(rx[i]));
        require_ok(rill_sender_close(&tx[i]));
        require_ok(rill_receiver_close(&rx[i]));
    }
}

static void unread_are_dropped(struct world *world)
{
    world_channel(world, 0, NULL);
    for (unsigned i = 0; i < 20; i++)
        require_ok(send_filled(world->mine.tx[0], 100 * i, i));
    require_ok(rill_receiver_close(&world->mine.rx[0]));
    require_ok(rill_sender_close(&world->mine.tx[0]));
}

static void large_unread_are_dropped(struct world *world)
{
    world_channel(world, 0, NULL);
    for (unsigned i = 0; i < 20; i++)
        require_ok(send_filled(world->mine.tx[0], 100000 * i, i));
    receive_filled(world->mine.rx[0], 0, 0);
    receive_filled(world->mine.rx[0], 100000, 1);
    require_ok(rill_sender_close(&world->mine.tx[0]));
    require_ok(rill_receiver_close(&world->mine.rx[0]));
}

static void message_outlives(struct world *world, size_t size)
{
    struct peer peer;
    rill_message *message = NULL;
    world_channel(world, 0, NULL);
    peer_start(&peer, world, send_one, FIRST, 0, 3);
    require_ok(rill_recv(world->mine.rx[0], &message));
    peer_join(&peer);
    close_ends(&world->mine);
    require_message(&message, size, 3);
}

static void small_outlives(struct world *world)
{
    message_outlives(world, 100);
}

static void send_large(struct ends *ends)
{
    require_ok(send_filled(ends->tx[0], ends->argument, 3));
}

static void large_outlives(struct world *world)
{
    struct peer peer;
    rill_message *message = NULL;
    world_channel(world, 0, NULL);
    peer_start(&peer, world, send_large, FIRST, 0, 3 * MIB);
    require_ok(rill_recv(world->mine.rx[0], &message));
    peer_join(&peer);
    close_ends(&world->mine);
    require_message(&message, 3 * MIB, 3);
}

static void echo(struct ends *ends)
{
    rill_message *message = NULL;
    while (rill_recv(ends->rx[0], &message) == 0) {
        require_ok(rill_send(ends->tx[1], rill_message_data(message), rill_message_size(message)));
        require_ok(rill_message_close(&message));
    }
}

static void both_ways(struct world *world)
{
    struct peer peer;
    world_channel(world, 0, NULL);
    world_channel(world, 1, NULL);
    peer_start(&peer, world, echo, END(1), END(0), 0);
    for (unsigned i = 0; i < rounds(3000); i++) {
        test_note = i;
        size_t size = i % 100 == 0 ? 100000 : i % 700;
        require_ok(send_filled(world->mine.tx[0], size, i));
        receive_filled(world->mine.rx[1], size, i);
    }
    require_ok(rill_sender_close(&world->mine.tx[0]));
    peer_join(&peer);
}

static void end_at_once(struct ends *ends)
{
    (void)ends;
}

static void unused_end_passes(struct world *world)
{
    struct peer peer;
    rill_message *message = NULL;
    world_channel(world, 0, NULL);
    peer_start(&peer, world, end_at_once, FIRST, 0, 0);
    require_code(RILL_EDISCONNECTED, rill_recv(world->mine.rx[0], &message));
    peer_join(&peer);
    world_channel(world, 1, NULL);
    peer_start(&peer, world, end_at_once, 0, END(1), 0);
    peer_join(&peer);
    require_code(RILL_EBROKEN, send_number(world->mine.tx[1], 1));
}

static const struct role roles[] = {ROLE(send_one), ROLE(send_large), ROLE(echo), ROLE(end_at_once)};

static const struct conformance_case cases[] = {
    {"a channel is made and closed without a trace", made_and_closed, ON_ALL, AT_THREADS, 0},
    {"a close sets the pointer to NULL, and closing NULL is allowed", close_nulls, ON_ALL, AT_THREADS, 0},
    {"a clone outlives the sender that it was made from", clone_outlives, ON_ALL, AT_THREADS, 0},
    {"a clone costs no descriptor", clone_costs_no_descriptor, ON_ALL, AT_THREADS, 0},
    {"the channel ends with the last clone", last_clone_ends, ON_ALL, AT_THREADS, 0},
    {"a sender closed at one place goes on at another", goes_on_elsewhere, ON_ALL, AT_ALL, 0},
    {"channels made one after another leave nothing behind", one_after_another, ON_ALL, AT_THREADS, 0},
    {"many channels exist at once and stay apart", many_at_once, ON_ALL, AT_THREADS, 0},
    {"messages that nobody received are dropped with the channel", unread_are_dropped, ON_ALL, AT_THREADS, 0},
    {"large messages that nobody received are dropped with the channel", large_unread_are_dropped, ON_QUEUES, AT_THREADS, 0},
    {"a message outlives its sender, its receiver and its channel", small_outlives, ON_ALL, AT_ALL, 0},
    {"a large message outlives its sender, its receiver and its channel", large_outlives, ON_ALL, AT_ALL, 0},
    {"two channels carry questions and answers", both_ways, ON_ALL, AT_ALL, 0},
    {"an end that was never used ends the channel when it goes", unused_end_passes, ON_ALL, AT_ALL, 0},
};

int main(int argc, char **argv)
{
    return conformance_main(argc, argv, cases, COUNT_OF(cases), roles, COUNT_OF(roles));
}
