/* SPDX-License-Identifier: MIT */
/* A receiver moves from process to process, and what is sent on its channel arrives once and in order all the same. */
#include "conformance.h"

#define MAIN 0 /* the channel that the receiver goes through */
#define DATA 1 /* the channel whose receiver moves */
#define BACK 2

static int try_move(rill_sender *through, rill_receiver **receiver, const void *bytes, size_t size)
{
    struct rill_handle handle = {.kind = RILL_HANDLE_RECEIVER, .as.receiver = *receiver};
    int code = rill_send_handles(through, bytes, size, &handle, 1);
    require((code == RILL_OK) == (handle.as.receiver == NULL));
    *receiver = handle.as.receiver;
    return code;
}

static void move(rill_sender *through, rill_receiver **receiver, uint64_t number)
{
    require_ok(try_move(through, receiver, &number, sizeof number));
}

/* Gives the number that came with it. */
static uint64_t arrive(rill_receiver *rx, rill_receiver **receiver)
{
    rill_message *message;
    require_ok(rill_recv(rx, &message));
    require_equal(1, rill_message_handle_count(message));
    require_ok(rill_message_take_receiver(message, 0, receiver));
    return take_number(&message);
}

static void send_range(rill_sender *tx, uint64_t first, uint64_t end)
{
    for (uint64_t i = first; i < end; i++) {
        test_note = (long long)i;
        require_ok(send_number(tx, i));
    }
}

static void receive_range(rill_receiver *rx, uint64_t first, uint64_t end)
{
    for (uint64_t i = first; i < end; i++) {
        test_note = (long long)i;
        require_equal(i, receive_number(rx));
    }
}

/* ---------------------------------------------------------------- there and back */

/* Takes the receiver, receives as many as its argument says, and passes it on; until its channel ends. */
static void receive_some(struct ends *ends)
{
    rill_message *message;
    for (int code; (code = rill_recv(ends->rx[MAIN], &message)) != RILL_EDISCONNECTED;) {
        rill_receiver *receiver;
        require_ok(code);
        require_ok(rill_message_take_receiver(message, 0, &receiver));
        uint64_t next = take_number(&message);
        receive_range(receiver, next, next + ends->argument);
        move(ends->tx[BACK], &receiver, next + ends->argument);
    }
}

static void before_during_after(struct world *world)
{
    struct peer peer;
    world_channel(world, MAIN, NULL);
    world_channel(world, DATA, NULL);
    world_channel(world, BACK, NULL);
    peer_start(&peer, world, receive_some, END(BACK), END(MAIN), 100);
    send_range(world->mine.tx[DATA], 0, 60);
    receive_range(world->mine.rx[DATA], 0, 30);
    move(world->mine.tx[MAIN], &world->mine.rx[DATA], 30);
    send_range(world->mine.tx[DATA], 60, 200);
    require_equal(130, arrive(world->mine.rx[BACK], &world->mine.rx[DATA]));
    receive_range(world->mine.rx[DATA], 130, 200);
    send_range(world->mine.tx[DATA], 200, 220);
    receive_range(world->mine.rx[DATA], 200, 220);
    require_ok(rill_sender_close(&world->mine.tx[MAIN]));
    peer_join(&peer);
}

static void again_and_again(struct world *world)
{
    struct peer peer;
    size_t times = rounds(100);
    world_channel(world, MAIN, NULL);
    world_channel(world, DATA, NULL);
    world_channel(world, BACK, NULL);
    peer_start(&peer, world, receive_some, END(BACK), END(MAIN), 3);
    size_t descriptors = 0;
    for (uint64_t i = 0; i < times; i++) {
        uint64_t at = i * 5;
        send_range(world->mine.tx[DATA], at, at + 2);
        move(world->mine.tx[MAIN], &world->mine.rx[DATA], at);
        send_range(world->mine.tx[DATA], at + 2, at + 5);
        require_equal(at + 3, arrive(world->mine.rx[BACK], &world->mine.rx[DATA]));
        receive_range(world->mine.rx[DATA], at + 3, at + 5);
        if (i == 10)
            descriptors = count_descriptors();
        if (i > 10 && world->place != PLACE_THREADS)
            require_equal(descriptors, count_descriptors());
    }
    require_ok(rill_sender_close(&world->mine.tx[MAIN]));
    peer_join(&peer);
}

/* Nobody has received on it, and nobody has sent. */
static void unused_moves(struct world *world)
{
    struct peer peer;
    world_channel(world, MAIN, NULL);
    world_channel(world, DATA, NULL);
    world_channel(world, BACK, NULL);
    peer_start(&peer, world, receive_some, END(BACK), END(MAIN), 0);
    move(world->mine.tx[MAIN], &world->mine.rx[DATA], 0);
    require_equal(0, arrive(world->mine.rx[BACK], &world->mine.rx[DATA]));
    send_range(world->mine.tx[DATA], 0, 5);
    receive_range(world->mine.rx[DATA], 0, 5);
    require_ok(rill_sender_close(&world->mine.tx[MAIN]));
    peer_join(&peer);
}

/* ---------------------------------------------------------------- what travels with it */

static const size_t sizes[] = {0, 1, 8, 100, 255, 256, 257, 1000, 4000, 16 * KIB, 64 * KIB, 64 * KIB + 1, 100 * KIB};

static void receive_sizes(struct ends *ends)
{
    rill_receiver *receiver;
    uint64_t next = arrive(ends->rx[MAIN], &receiver);
    for (; next < COUNT_OF(sizes); next++)
        receive_filled(receiver, sizes[next], next);
    require_ok(rill_receiver_close(&receiver));
}

/* A socket holds little. */
static size_t first_to_fit(const struct world *world)
{
    return world->mine.transport == RILL_SOCKET ? COUNT_OF(sizes) - 4 : COUNT_OF(sizes);
}

static void all_sizes_move(struct world *world)
{
    struct peer peer;
    world_channel(world, MAIN, NULL);
    world_channel(world, DATA, NULL);
    size_t fit = first_to_fit(world);
    peer_start(&peer, world, receive_sizes, 0, END(MAIN), 0);
    for (size_t i = 0; i < fit; i++)
        require_ok(send_filled(world->mine.tx[DATA], sizes[i], i));
    receive_filled(world->mine.rx[DATA], sizes[0], 0);
    move(world->mine.tx[MAIN], &world->mine.rx[DATA], 1);
    for (size_t i = fit; i < COUNT_OF(sizes); i++)
        require_ok(send_filled(world->mine.tx[DATA], sizes[i], i));
    peer_join(&peer);
}

#define REUSES 300

static void send_all_sizes(struct ends *ends)
{
    for (size_t i = 0; i < COUNT_OF(sizes); i++)
        require_ok(send_filled(ends->tx[DATA], sizes[i], i));
    require_ok(send_number(ends->tx[DATA], 0));
    for (unsigned i = 0; i < REUSES; i++) /* its memory is used again */
        require_ok(send_filled(ends->tx[DATA], sizes[i % COUNT_OF(sizes)], 1000 + i));
}

static void move_there_and_back(struct world *world)
{
    move(world->mine.tx[MAIN], &world->mine.rx[DATA], 0);
    require_equal(1, arrive(world->mine.rx[BACK], &world->mine.rx[DATA]));
    for (unsigned i = 0; i < REUSES; i++)
        receive_filled(world->mine.rx[DATA], sizes[i % COUNT_OF(sizes)], 1000 + i);
}

/* What was received before stays readable here, though its memory lies with a sender elsewhere. What lies in this process's own memory stays too, but
 * until it is closed the receiver does. */
static void received_ones_stay(struct world *world)
{
    struct peer sender, peer;
    rill_message *held[COUNT_OF(sizes)];
    bool own = world->mine.transport == RILL_SHM && world->place == PLACE_THREADS;
    world_channel(world, MAIN, NULL);
    world_channel(world, DATA, NULL);
    world_channel(world, BACK, NULL);
    peer_start(&peer, world, receive_some, END(BACK), END(MAIN), 1);
    peer_start(&sender, world, send_all_sizes, END(DATA), 0, 0);
    for (size_t i = 0; i < COUNT_OF(sizes); i++)
        require_ok(rill_recv(world->mine.rx[DATA], &held[i]));
    if (own)
        require_code(RILL_EBUSY, try_move(world->mine.tx[MAIN], &world->mine.rx[DATA], "x", 1));
    else
        move_there_and_back(world);
    for (size_t i = 0; i < COUNT_OF(sizes); i++)
        require_message(&held[i], sizes[i], i);
    if (own)
        move_there_and_back(world);
    require_ok(rill_sender_close(&world->mine.tx[MAIN]));
    peer_join(&sender);
    peer_join(&peer);
}

static void send_large_ones(struct ends *ends)
{
    for (uint64_t i = 0; i < 20; i++)
        require_ok(send_filled(ends->tx[DATA], ends->argument, i));
}

/* The receiver moves while a message is only half here. */
static void half_received_ones_move(struct world *world)
{
    struct peer sender;
    rill_message *message;
    world_channel(world, MAIN, NULL);
    world_channel(world, DATA, NULL);
    peer_start(&sender, world, send_large_ones, END(DATA), 0, MIB);
    for (uint64_t next = 0; next < 20;) {
        int code = rill_try_recv(world->mine.rx[DATA], &message);
        if (code == RILL_OK)
            require_message(&message, MIB, next++);
        else
            require_code(RILL_EEMPTY, code);
        move(world->mine.tx[MAIN], &world->mine.rx[DATA], next);
        require_equal(next, arrive(world->mine.rx[MAIN], &world->mine.rx[DATA]));
    }
    peer_join(&sender);
}

/* A message with handles waits in the queue of a receiver that moves. */
static void handles_in_its_queue_move(struct world *world)
{
    rill_sender *inner;
    rill_message *message;
    world_channel(world, MAIN, NULL);
    world_channel(world, DATA, NULL);
    world_channel(world, BACK, NULL);
    for (unsigned i = 0; i < 10; i++) {
        struct rill_handle handle = {.kind = RILL_HANDLE_SENDER, .as.sender = world->mine.tx[BACK]};
        require_ok(rill_send_handles(world->mine.tx[DATA], "x", 1, &handle, 1));
    }
    for (unsigned i = 0; i < 10; i++) {
        require_ok(rill_recv(world->mine.rx[DATA], &message));
        require_ok(rill_message_take_sender(message, 0, &inner));
        require_ok(rill_message_close(&message));
        require_ok(send_number(inner, i));
        require_equal(i, receive_number(world->mine.rx[BACK]));
        require_ok(rill_sender_close(&inner));
        move(world->mine.tx[MAIN], &world->mine.rx[DATA], i);
        require_equal(i, arrive(world->mine.rx[MAIN], &world->mine.rx[DATA]));
    }
    require_code(RILL_EEMPTY, rill_try_recv(world->mine.rx[DATA], &message));
}

/* ---------------------------------------------------------------- inside others that move */

static void unpack_both(struct ends *ends)
{
    rill_receiver *outer, *inner;
    require_equal(1, arrive(ends->rx[MAIN], &outer));
    require_equal(2, arrive(outer, &inner));
    receive_range(inner, 0, 20);
    rill_message *message;
    require_code(RILL_EDISCONNECTED, rill_recv(inner, &message));
    require_code(RILL_EDISCONNECTED, rill_recv(outer, &message));
    require_ok(rill_receiver_close(&inner));
    require_ok(rill_receiver_close(&outer));
}

static void inside_one_that_moves(struct world *world)
{
    struct peer peer;
    world_channel(world, MAIN, NULL);
    world_channel(world, DATA, NULL);
    world_channel(world, BACK, NULL);
    peer_start(&peer, world, unpack_both, 0, END(MAIN), 0);
    require_ok(send_number(world->mine.tx[BACK], 9));
    receive_range(world->mine.rx[BACK], 9, 10);
    send_range(world->mine.tx[DATA], 0, 5);
    move(world->mine.tx[BACK], &world->mine.rx[DATA], 2);
    send_range(world->mine.tx[DATA], 5, 10);
    move(world->mine.tx[MAIN], &world->mine.rx[BACK], 1);
    send_range(world->mine.tx[DATA], 10, 20);
    require_ok(rill_sender_close(&world->mine.tx[DATA]));
    require_ok(rill_sender_close(&world->mine.tx[BACK]));
    peer_join(&peer);
}

/* ---------------------------------------------------------------- its ends */

static void disconnect_travels(struct world *world)
{
    rill_message *message;
    rill_receiver *receiver;
    world_channel(world, MAIN, NULL);
    world_channel(world, DATA, NULL);
    send_range(world->mine.tx[DATA], 0, 3);
    receive_range(world->mine.rx[DATA], 0, 1);
    require_ok(rill_sender_close(&world->mine.tx[DATA]));
    move(world->mine.tx[MAIN], &world->mine.rx[DATA], 1);
    require_equal(1, arrive(world->mine.rx[MAIN], &receiver));
    receive_range(receiver, 1, 3);
    require_code(RILL_EDISCONNECTED, rill_recv(receiver, &message));
    move(world->mine.tx[MAIN], &receiver, 3);
    require_equal(3, arrive(world->mine.rx[MAIN], &receiver));
    require_code(RILL_EDISCONNECTED, rill_recv(receiver, &message));
    require_ok(rill_receiver_close(&receiver));
}

static void close_what_came(struct ends *ends)
{
    rill_receiver *receiver;
    require_equal(4, arrive(ends->rx[MAIN], &receiver));
    require_ok(rill_receiver_close(&receiver));
}

static void closing_it_tells_senders(struct world *world)
{
    struct peer peer;
    world_channel(world, MAIN, NULL);
    world_channel(world, DATA, NULL);
    send_range(world->mine.tx[DATA], 0, 3);
    receive_range(world->mine.rx[DATA], 0, 1);
    peer_start(&peer, world, close_what_came, 0, END(MAIN), 0);
    move(world->mine.tx[MAIN], &world->mine.rx[DATA], 4);
    peer_join(&peer);
    require_code(RILL_EBROKEN, send_number(world->mine.tx[DATA], 9));
}

static void send_while_it_moves(struct ends *ends)
{
    send_range(ends->tx[DATA], 0, ends->argument);
}

static void limit_holds_while_it_moves(struct world *world)
{
    struct peer peer;
    struct rill_channel_options options = {.limit = 4000, .on_full = RILL_FULL_WAIT};
    uint64_t count = rounds(20000);
    world_channel(world, MAIN, NULL);
    world_channel(world, DATA, &options);
    peer_start(&peer, world, send_while_it_moves, END(DATA), 0, count);
    for (uint64_t next = 0; next < count; next += 50) {
        receive_range(world->mine.rx[DATA], next, next + 50);
        if (next % 1000)
            continue;
        move(world->mine.tx[MAIN], &world->mine.rx[DATA], next);
        require_equal(next, arrive(world->mine.rx[MAIN], &world->mine.rx[DATA]));
    }
    peer_join(&peer);
}

static void counts_travel(struct world *world)
{
    struct rill_stats stats = {.size = sizeof stats};
    world_channel(world, MAIN, NULL);
    world_channel(world, DATA, NULL);
    send_range(world->mine.tx[DATA], 0, 10);
    for (uint64_t i = 0; i < 7; i++) {
        uint64_t number;
        size_t size;
        require_ok(rill_recv_into(world->mine.rx[DATA], &number, sizeof number, RILL_FOREVER, &size));
        require_equal(i, number);
    }
    move(world->mine.tx[MAIN], &world->mine.rx[DATA], 0);
    require_equal(0, arrive(world->mine.rx[MAIN], &world->mine.rx[DATA]));
    require_ok(rill_receiver_stats(world->mine.rx[DATA], &stats));
    require_equal(7, stats.messages);
    require_equal(56, stats.bytes);
    receive_range(world->mine.rx[DATA], 7, 10);
}

static void stays_if_it_cannot_go(struct world *world)
{
    world_channel(world, MAIN, NULL);
    world_channel(world, DATA, NULL);
    require_ok(rill_receiver_close(&world->mine.rx[MAIN]));
    send_range(world->mine.tx[DATA], 0, 10);
    for (uint64_t i = 0; i < 10; i++) {
        require_code(RILL_EBROKEN, try_move(world->mine.tx[MAIN], &world->mine.rx[DATA], "x", 1));
        receive_range(world->mine.rx[DATA], i, i + 1);
    }
}

/* ---------------------------------------------------------------- hops */

#define HOPPERS 4
#define FEEDERS 3
#define HOP (SLOT_FREE)
#define RECEIVED (SLOT_FREE + 1)

/* What goes along with the receiver. */
struct journey {
    uint64_t hops, received;
    uint64_t next[FEEDERS];
};

static void feed(struct ends *ends)
{
    uint64_t sender = ends->argument >> 32, count = ends->argument & UINT32_MAX;
    unsigned index = 0;
    while (!ends->tx[index])
        index++;
    char bytes[64];
    for (uint64_t i = 0; i < count; i++) {
        stamp(bytes, sizeof bytes, sender, i);
        require_ok(rill_send(ends->tx[index], bytes, sizeof bytes));
    }
}

/* Receives `share` messages, or all that are left once the receiver has hopped enough. False: the channel has ended. */
static bool receive_share(rill_receiver *receiver, struct journey *journey, uint64_t share)
{
    for (uint64_t i = 0; i < share; i++) {
        rill_message *message;
        uint64_t sender, number;
        int code = rill_recv(receiver, &message);
        if (code == RILL_EDISCONNECTED)
            return false;
        require_ok(code);
        require(stamped(rill_message_data(message), rill_message_size(message), &sender, &number));
        require(sender < FEEDERS);
        test_note = (long long)number;
        require_equal(journey->next[sender], number);
        journey->next[sender]++;
        journey->received++;
        require_ok(rill_message_close(&message));
    }
    return true;
}

/* rx: where the receiver comes from; tx: the next one's. */
static void hop(struct ends *ends)
{
    uint64_t share = ends->argument & UINT32_MAX, hops = ends->argument >> 32;
    unsigned in = 0, out = 0;
    while (!ends->rx[in])
        in++;
    while (!ends->tx[out])
        out++;
    rill_message *message;
    while (rill_recv(ends->rx[in], &message) == RILL_OK) {
        rill_receiver *receiver;
        struct journey journey;
        require_equal(sizeof journey, rill_message_size(message));
        memcpy(&journey, rill_message_data(message), sizeof journey);
        require_ok(rill_message_take_receiver(message, 0, &receiver));
        require_ok(rill_message_close(&message));
        journey.hops++;
        if (receive_share(receiver, &journey, journey.hops >= hops ? UINT64_MAX : share)) {
            require_ok(try_move(ends->tx[out], &receiver, &journey, sizeof journey));
            continue;
        }
        require_ok(rill_receiver_close(&receiver));
        atomic_store(&ends->board->value[HOP], journey.hops);
        atomic_store(&ends->board->value[RECEIVED], journey.received);
        return; /* that ends the others in turn */
    }
}

/* Channels 1 … 4 lead to the hoppers, channel 0 is the one whose receiver hops. */
static void hops_through_four(struct world *world)
{
    struct peer hoppers[HOPPERS], feeders[FEEDERS];
    uint64_t hops = full_scale() ? 1000 : 60, each = full_scale() ? 334000 : rounds(4000);
    uint64_t share = each * FEEDERS / hops * 9 / 10;
    struct journey journey = {0};
    world_channel(world, 0, NULL);
    for (unsigned i = 1; i <= HOPPERS; i++)
        world_channel(world, i, NULL);
    world_clone(world, 1, 5); /* to begin with */
    world_clone(world, 0, 6);
    world_clone(world, 0, 7);
    static const unsigned feeder_end[FEEDERS] = {0, 6, 7};
    for (unsigned i = 0; i < FEEDERS; i++)
        peer_start(&feeders[i], world, feed, END(feeder_end[i]), 0, (uint64_t)i << 32 | each);
    for (unsigned i = 0; i < HOPPERS; i++)
        peer_start(&hoppers[i], world, hop, END(1 + (i + 1) % HOPPERS), END(1 + i), hops << 32 | share);
    require_ok(try_move(world->mine.tx[5], &world->mine.rx[0], &journey, sizeof journey));
    require_ok(rill_sender_close(&world->mine.tx[5]));
    for (unsigned i = 0; i < FEEDERS; i++)
        peer_join(&feeders[i]);
    for (unsigned i = 0; i < HOPPERS; i++)
        peer_join(&hoppers[i]);
    require_equal(each * FEEDERS, atomic_load(&world->mine.board->value[RECEIVED]));
    require(atomic_load(&world->mine.board->value[HOP]) >= hops);
}

static const struct role roles[] = {
    ROLE(receive_some), ROLE(receive_sizes), ROLE(send_all_sizes), ROLE(send_large_ones), ROLE(unpack_both), ROLE(close_what_came),
    ROLE(send_while_it_moves), ROLE(feed), ROLE(hop),
};

static const struct conformance_case cases[] = {
    {"messages sent before, during and after a move arrive once and in order", before_during_after, ON_ALL, AT_ALL, 0},
    {"a receiver moves there and back, again and again, and no descriptor stays behind", again_and_again, ON_ALL, AT_ALL, 0},
    {"a receiver that was never used moves", unused_moves, ON_ALL, AT_ALL, 0},
    {"queued messages of all sizes move", all_sizes_move, ON_ALL, AT_ALL, 0},
    {"messages received before stay readable", received_ones_stay, ON_ALL, AT_ALL, 0},
    {"a receiver moves while a message is half received", half_received_ones_move, ON_ALL, AT_ALL, 60},
    {"handles in the queue of a receiver that moves arrive", handles_in_its_queue_move, ON_ALL, AT_THREADS, 0},
    {"a receiver moves inside a channel whose own receiver moves", inside_one_that_moves, ON_ALL, AT_ALL, 0},
    {"a receiver whose senders are gone moves with what is left", disconnect_travels, ON_ALL, AT_THREADS, 0},
    {"closing a receiver that moved tells its senders", closing_it_tells_senders, ON_ALL, AT_ALL, 0},
    {"a limit holds while the receiver moves, and those that wait for room go on", limit_holds_while_it_moves, ON_ALL, AT_ALL, 60},
    {"a receiver's counts move with it", counts_travel, ON_ALL, AT_THREADS, 0},
    {"a receiver that could not be sent goes on where it is", stays_if_it_cannot_go, ON_ALL, AT_THREADS, 0},
    {"a receiver hops through four processes while three others send", hops_through_four, ON_ALL, AT_ALL, 200},
};

int main(int argc, char **argv)
{
    return conformance_main(argc, argv, cases, COUNT_OF(cases), roles, COUNT_OF(roles));
}
