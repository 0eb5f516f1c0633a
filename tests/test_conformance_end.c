/* SPDX-License-Identifier: MIT */
/* The end of a channel: by close, by exit and by kill, seen from either side. */
#include "conformance.h"

static void require_disconnected(rill_receiver *receiver)
{
    rill_message *message = NULL;
    size_t count = 0;
    char byte;
    for (unsigned i = 0; i < 3; i++) {
        require_code(RILL_EDISCONNECTED, rill_recv(receiver, &message));
        require_code(RILL_EDISCONNECTED, rill_try_recv(receiver, &message));
        require_code(RILL_EDISCONNECTED, rill_recv_timeout(receiver, SECOND, &message));
        require_code(RILL_EDISCONNECTED, rill_recv_timeout(receiver, 0, &message));
        require_code(RILL_EDISCONNECTED, rill_recv_until(receiver, rill_clock() + SECOND, &message));
        require_code(RILL_EDISCONNECTED, rill_recv_into(receiver, &byte, 1, RILL_FOREVER, &count));
        require_code(RILL_EDISCONNECTED, rill_recv_many(receiver, RILL_FOREVER, &message, 1, &count));
    }
    require(message == NULL);
}

static void require_broken(rill_sender *sender)
{
    struct rill_bytes bytes[2] = {{"ab", 2}, {"cd", 2}};
    rill_sender *clone = NULL;
    for (unsigned i = 0; i < 3; i++) {
        size_t sent = 9;
        require_code(RILL_EBROKEN, rill_send(sender, "abc", 3));
        require_code(RILL_EBROKEN, rill_send_until(sender, "abc", 3, RILL_NOW));
        require_code(RILL_EBROKEN, rill_send_until(sender, "abc", 3, RILL_FOREVER));
        require_code(RILL_EBROKEN, rill_send_many(sender, bytes, 2, &sent));
        require_equal(0, sent);
        require_code(RILL_EBROKEN, rill_send_parts(sender, bytes, 2));
        require_code(RILL_EBROKEN, send_filled(sender, 100000, 1));
    }
    require_ok(rill_sender_clone(sender, &clone));
    require_code(RILL_EBROKEN, rill_send(clone, "abc", 3));
    require_ok(rill_sender_close(&clone));
}

/* ---------------------------------------------------------------- senders go */

static void send_some(struct ends *ends)
{
    for (uint64_t i = 0; i < ends->argument; i++)
        require_ok(send_filled(ends->tx[0], i % 500, i));
}

static void queued_first(struct world *world)
{
    struct peer peer;
    world_channel(world, 0, NULL);
    peer_start(&peer, world, send_some, FIRST, 0, 1000);
    for (uint64_t i = 0; i < 1000; i++)
        receive_filled(world->mine.rx[0], i % 500, i);
    require_disconnected(world->mine.rx[0]);
    peer_join(&peer);
    require_disconnected(world->mine.rx[0]);
}

static void never_sent(struct world *world)
{
    world_channel(world, 0, NULL);
    require_ok(rill_sender_close(&world->mine.tx[0]));
    require_disconnected(world->mine.rx[0]);
}

static void do_nothing(struct ends *ends)
{
    flag_wait(ends->board, SLOT_GO);
}

static void receive_end(struct ends *ends)
{
    rill_message *message = NULL;
    announce(ends->board, SLOT_NAME);
    require_code(RILL_EDISCONNECTED, rill_recv(ends->rx[0], &message));
    require_disconnected(ends->rx[0]);
}

static void close_wakes(struct world *world)
{
    struct peer peer;
    world_channel(world, 0, NULL);
    peer_start(&peer, world, receive_end, 0, FIRST, 0);
    wait_until_asleep(world->mine.board, SLOT_NAME);
    require_ok(rill_sender_close(&world->mine.tx[0]));
    peer_join(&peer);
}

static void receive_one_then_end(struct ends *ends)
{
    require_equal(1, receive_number(ends->rx[0]));
    receive_end(ends);
}

static void close_after_send_wakes(struct world *world)
{
    struct peer peer;
    world_channel(world, 0, NULL);
    require_ok(send_number(world->mine.tx[0], 1));
    peer_start(&peer, world, receive_one_then_end, 0, FIRST, 0);
    wait_until_asleep(world->mine.board, SLOT_NAME);
    require_ok(rill_sender_close(&world->mine.tx[0]));
    peer_join(&peer);
}

/* Ends without a close, as a program that crashes. */
static void send_and_vanish(struct ends *ends)
{
    send_some(ends);
    _exit(0);
}

static void exit_ends(struct world *world)
{
    struct peer peer;
    world_channel(world, 0, NULL);
    peer_start(&peer, world, send_and_vanish, FIRST, 0, 700);
    for (uint64_t i = 0; i < 700; i++)
        receive_filled(world->mine.rx[0], i % 500, i);
    require_disconnected(world->mine.rx[0]);
    peer_join(&peer);
}

static void send_and_linger(struct ends *ends)
{
    send_some(ends);
    flag_raise(ends->board, SLOT_READY);
    flag_wait(ends->board, SLOT_GO);
}

static void kill_leaves_the_queue(struct world *world)
{
    struct peer peer;
    rill_message *message = NULL;
    world_channel(world, 0, NULL);
    peer_start(&peer, world, send_and_linger, FIRST, 0, 60);
    flag_wait(world->mine.board, SLOT_READY);
    peer_kill(&peer);
    for (uint64_t i = 0; i < 60; i++)
        receive_filled(world->mine.rx[0], i % 500, i);
    require_code(RILL_EDISCONNECTED, rill_recv(world->mine.rx[0], &message));
    require_disconnected(world->mine.rx[0]);
}

/* The receiver is a thread of this process, so that the kill can come while it sleeps. */
static void *receive_end_here(void *argument)
{
    receive_one_then_end(argument);
    return NULL;
}

static void kill_wakes(struct world *world)
{
    struct peer peer;
    pthread_t thread;
    world_channel(world, 0, NULL);
    require_ok(send_number(world->mine.tx[0], 1));
    peer_start(&peer, world, send_and_linger, FIRST, 0, 0);
    flag_wait(world->mine.board, SLOT_READY);
    require(pthread_create(&thread, NULL, receive_end_here, &world->mine) == 0);
    wait_until_asleep(world->mine.board, SLOT_NAME);
    peer_kill(&peer);
    require(pthread_join(thread, NULL) == 0);
}

static void idle_end_counts(struct world *world)
{
    struct peer peer;
    rill_message *message = NULL;
    world_channel(world, 0, NULL);
    peer_start(&peer, world, do_nothing, FIRST, 0, 0);
    for (unsigned i = 0; i < 3; i++)
        require_code(RILL_EEMPTY, rill_try_recv(world->mine.rx[0], &message));
    require_code(RILL_ETIMEDOUT, rill_recv_timeout(world->mine.rx[0], 20 * MILLISECOND, &message));
    flag_raise(world->mine.board, SLOT_GO);
    require_code(RILL_EDISCONNECTED, rill_recv(world->mine.rx[0], &message));
    peer_join(&peer);
}

/* ---------------------------------------------------------------- the receiver goes */

static void receive_some(struct ends *ends)
{
    for (uint64_t i = 0; i < ends->argument; i++)
        require_equal(i, receive_number(ends->rx[0]));
    require_ok(rill_receiver_close(&ends->rx[0]));
    flag_raise(ends->board, SLOT_READY);
    flag_wait(ends->board, SLOT_GO);
}

static void broken_after(struct world *world, unsigned sent, unsigned received)
{
    struct peer peer;
    world_channel(world, 0, NULL);
    for (unsigned i = 0; i < sent; i++)
        require_ok(send_number(world->mine.tx[0], i));
    peer_start(&peer, world, receive_some, 0, FIRST, received);
    flag_wait(world->mine.board, SLOT_READY);
    require_broken(world->mine.tx[0]);
    flag_raise(world->mine.board, SLOT_GO);
    peer_join(&peer);
    require_broken(world->mine.tx[0]);
}

static void broken_at_once(struct world *world)
{
    broken_after(world, 20, 20);
}

static void broken_with_unread(struct world *world)
{
    broken_after(world, 20, 7);
}

static void broken_unused(struct world *world)
{
    world_channel(world, 0, NULL);
    require_ok(rill_receiver_close(&world->mine.rx[0]));
    require_broken(world->mine.tx[0]);
}

static void broken_in_same_process(struct world *world)
{
    world_channel(world, 0, NULL);
    require_ok(send_number(world->mine.tx[0], 1));
    require_equal(1, receive_number(world->mine.rx[0]));
    require_ok(send_number(world->mine.tx[0], 2));
    require_ok(rill_receiver_close(&world->mine.rx[0]));
    require_broken(world->mine.tx[0]);
}

/* How many messages of 1 KiB go out before the sender is told, at most. */
#define BEFORE_GROWTH 100000u

static void send_until_broken(rill_sender *sender)
{
    unsigned sent = 0;
    int result = 0;
    for (; result == 0 && sent < BEFORE_GROWTH; sent++)
        result = send_filled(sender, 1000, sent);
    require_code(RILL_EBROKEN, result);
    require_broken(sender);
}

static void receive_for_ever(struct ends *ends)
{
    rill_message *message = NULL;
    announce(ends->board, SLOT_NAME);
    while (rill_recv(ends->rx[0], &message) == 0) {
        require_ok(rill_message_close(&message));
        flag_raise(ends->board, SLOT_READY);
    }
}

static void killed_asleep(struct world *world)
{
    struct peer peer;
    world_channel(world, 0, NULL);
    peer_start(&peer, world, receive_for_ever, 0, FIRST, 0);
    require_ok(send_number(world->mine.tx[0], 1));
    flag_wait(world->mine.board, SLOT_READY);
    wait_until_asleep(world->mine.board, SLOT_NAME);
    peer_kill(&peer);
    send_until_broken(world->mine.tx[0]);
}

static void killed_awake(struct world *world)
{
    struct peer peer;
    world_channel(world, 0, NULL);
    peer_start(&peer, world, receive_for_ever, 0, FIRST, 0);
    for (unsigned i = 0; i < 2000; i++)
        require_ok(send_filled(world->mine.tx[0], 1000, i));
    flag_wait(world->mine.board, SLOT_READY);
    peer_kill(&peer);
    send_until_broken(world->mine.tx[0]);
}

static void killed_unused(struct world *world)
{
    struct peer peer;
    world_channel(world, 0, NULL);
    peer_start(&peer, world, do_nothing, 0, FIRST, 0);
    peer_kill(&peer);
    send_until_broken(world->mine.tx[0]);
}

/* Sends in one process go on failing although the receiver was closed in another while they ran. */
static void send_to_the_end(struct ends *ends)
{
    unsigned sent = 0;
    int result;
    do
        result = send_filled(ends->tx[0], sent % 3000, sent);
    while (result == 0 && ++sent);
    require_code(RILL_EBROKEN, result);
    require_broken(ends->tx[0]);
}

static void closed_in_mid_stream(struct world *world)
{
    struct peer peer[2];
    world_channel(world, 0, NULL);
    world_clone(world, 0, 1);
    peer_start(&peer[0], world, send_to_the_end, END(0), 0, 0);
    world->mine.tx[0] = world->mine.tx[1];
    world->mine.tx[1] = NULL;
    peer_start(&peer[1], world, send_to_the_end, END(0), 0, 0);
    for (unsigned i = 0; i < 2000; i++) {
        rill_message *message = NULL;
        require_ok(rill_recv(world->mine.rx[0], &message));
        require_ok(rill_message_close(&message));
    }
    require_ok(rill_receiver_close(&world->mine.rx[0]));
    peer_join(&peer[0]);
    peer_join(&peer[1]);
}

/* Whichever end is closed last frees what they share, and the other one may still be at it. */
static void closed_together(struct world *world)
{
    for (size_t i = 0; i < rounds(300); i++) {
        struct peer peer;
        rill_message *message = NULL;
        world_channel(world, 0, NULL);
        peer_start(&peer, world, send_to_the_end, FIRST, 0, 0);
        require_ok(rill_recv(world->mine.rx[0], &message));
        require_ok(rill_message_close(&message));
        require_ok(rill_receiver_close(&world->mine.rx[0]));
        peer_join(&peer);
    }
}

static const struct role roles[] = {ROLE(send_some),       ROLE(do_nothing),   ROLE(receive_end),      ROLE(receive_one_then_end),
                                    ROLE(send_and_vanish), ROLE(receive_some), ROLE(receive_for_ever), ROLE(send_and_linger),
                                    ROLE(send_to_the_end)};

static const struct conformance_case cases[] = {
    {"what is queued comes first, then the end, for ever", queued_first, ON_ALL, AT_ALL, 0},
    {"a sender closed unused ends the channel", never_sent, ON_ALL, AT_THREADS, 0},
    {"the close of the last sender wakes a sleeping receiver", close_wakes, ON_ALL, AT_ALL, 0},
    {"the close of a sender that has sent wakes a sleeping receiver", close_after_send_wakes, ON_ALL, AT_ALL, 0},
    {"a sender that exits without a close ends the channel", exit_ends, ON_ALL, AT_PROCESSES, 0},
    {"a killed sender's messages come first, then the end", kill_leaves_the_queue, ON_ALL, AT_PROCESSES, 0},
    {"the kill of the last sender wakes a sleeping receiver", kill_wakes, ON_ALL, AT_PROCESSES, 0},
    {"a sender that somebody holds unused keeps the channel alive", idle_end_counts, ON_ALL, AT_ALL, 0},
    {"sends fail at once after the receiver was closed", broken_at_once, ON_ALL, AT_ALL, 0},
    {"sends fail at once after the receiver was closed with messages unread", broken_with_unread, ON_ALL, AT_ALL, 0},
    {"sends fail after a receiver was closed unused", broken_unused, ON_ALL, AT_THREADS, 0},
    {"sends fail after the receiver was closed in the same process", broken_in_same_process, ON_ALL, AT_THREADS, 0},
    {"sends fail before the queue grows when a sleeping receiver was killed", killed_asleep, ON_ALL, AT_PROCESSES, 0},
    {"sends fail before the queue grows when a busy receiver was killed", killed_awake, ON_ALL, AT_PROCESSES, 0},
    {"sends fail before the queue grows when a receiver that never received was killed", killed_unused, ON_ALL, AT_PROCESSES, 0},
    {"senders in mid-stream fail when the receiver is closed", closed_in_mid_stream, ON_ALL, AT_ALL, 0},
    {"both ends may be closed at one moment", closed_together, ON_ALL, AT_THREADS, 60},
};

int main(int argc, char **argv)
{
    return conformance_main(argc, argv, cases, COUNT_OF(cases), roles, COUNT_OF(roles));
}
