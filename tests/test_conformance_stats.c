/* SPDX-License-Identifier: MIT */
/* What an end says of itself, and the receiver's quotas. */
#include "conformance.h"

static struct rill_stats sender_stats(rill_sender *sender)
{
    struct rill_stats stats = {.size = sizeof stats};
    require_ok(rill_sender_stats(sender, &stats));
    return stats;
}

static struct rill_stats receiver_stats(rill_receiver *receiver)
{
    struct rill_stats stats = {.size = sizeof stats};
    require_ok(rill_receiver_stats(receiver, &stats));
    return stats;
}

static void fresh(struct world *world)
{
    world_channel(world, 0, NULL);
    struct rill_stats tx = sender_stats(world->mine.tx[0]), rx = receiver_stats(world->mine.rx[0]);
    require_equal(0, tx.messages);
    require_equal(0, tx.bytes);
    require_equal(0, tx.queued_messages);
    require_equal(0, tx.queued_bytes);
    require_equal(0, tx.waits);
    require_equal(0, rx.messages);
    require_equal(0, rx.bytes);
    require_equal(0, rx.queued_messages);
    require_equal(0, rx.lanes);
    require_equal(0, rx.rings);
    require_equal(0, rx.waits);
}

static void counts_follow(struct world *world)
{
    uint64_t bytes = 0;
    world_channel(world, 0, NULL);
    for (unsigned i = 0; i < 50; i++) {
        require_ok(send_filled(world->mine.tx[0], i * 10, i));
        bytes += i * 10;
    }
    struct rill_stats tx = sender_stats(world->mine.tx[0]);
    require_equal(50, tx.messages);
    require_equal(bytes, tx.bytes);
    if (world->mine.transport != RILL_SOCKET) {
        require_equal(50, tx.queued_messages);
        require(tx.queued_bytes >= bytes && tx.queued_bytes <= bytes + 50 * 32);
    }
    for (unsigned i = 0; i < 50; i++) {
        receive_filled(world->mine.rx[0], i * 10, i);
        require_equal(i + 1, receiver_stats(world->mine.rx[0]).messages);
    }
    rill_message *message = NULL;
    require_code(RILL_EEMPTY, rill_try_recv(world->mine.rx[0], &message));
    struct rill_stats rx = receiver_stats(world->mine.rx[0]);
    require_equal(bytes, rx.bytes);
    require_equal(0, rx.queued_messages);
    require_equal(0, rx.queued_bytes);
    tx = sender_stats(world->mine.tx[0]);
    require_equal(50, tx.messages);
    require_equal(0, tx.queued_messages);
    require_equal(0, tx.queued_bytes);
}

/* Receives the message `number` of `size` bytes, by one call or another. */
static void receive_by(rill_receiver *rx, unsigned way, size_t size, uint64_t number)
{
    unsigned char bytes[300];
    size_t received = 0;
    rill_message *message = NULL;
    if (way == 0) {
        require_ok(rill_recv_into(rx, bytes, sizeof bytes, RILL_FOREVER, &received));
        require_equal(size, received);
        require(filled(bytes, size, number));
        return;
    }
    size_t count = 1;
    require_ok(way == 1 ? rill_recv(rx, &message) : rill_recv_many(rx, RILL_FOREVER, &message, 1, &count));
    require_equal(size, rill_message_size(message));
    require(filled(rill_message_data(message), size, number));
    require_ok(rill_message_close(&message));
}

/* Long runs of one call and one length, and short ones: what is counted in one go has to be counted before anybody looks. */
static void counts_do_not_lag(struct world *world)
{
    struct dice dice = {.state = 7};
    uint64_t sent = 0, bytes = 0;
    world_channel(world, 0, NULL);
    for (unsigned round = 0; round < 400; round++) {
        size_t size = roll_between(&dice, 0, 3) ? 8 : roll_between(&dice, 0, 280);
        unsigned count = (unsigned)(roll_between(&dice, 0, 1) ? 60 : roll_between(&dice, 1, 5)), way = (unsigned)roll_between(&dice, 0, 3);
        for (unsigned i = 0; i < count; i++)
            require_ok(send_filled(world->mine.tx[0], size, sent + i));
        for (unsigned i = 0; i < count; i++)
            receive_by(world->mine.rx[0], way < 3 ? way : (unsigned)roll_between(&dice, 0, 2), size, sent + i);
        sent += count;
        bytes += count * size;
        if (roll_between(&dice, 0, 2))
            continue;
        struct rill_stats rx = receiver_stats(world->mine.rx[0]);
        require_equal(sent, rx.messages);
        require_equal(bytes, rx.bytes);
        require_equal(0, rx.queued_messages);
        require_equal(0, rx.queued_bytes);
    }
}

/* Whoever took the last message may not come back for long: the sender, which may wait for room, must know of it already. */
static void drained_is_known(struct world *world)
{
    world_channel(world, 0, &(struct rill_channel_options){.limit = 10000});
    for (unsigned round = 1; round < 100; round++) {
        for (unsigned i = 0; i < round; i++)
            require_ok(send_filled(world->mine.tx[0], 8, i));
        for (unsigned i = 0; i < round; i++)
            receive_by(world->mine.rx[0], 0, 8, i);
        require_equal(0, sender_stats(world->mine.tx[0]).queued_bytes);
    }
}

static void clones_share(struct world *world)
{
    world_channel(world, 0, NULL);
    world_clone(world, 0, 1);
    require_ok(send_number(world->mine.tx[0], 1));
    require_ok(send_number(world->mine.tx[1], 2));
    require_equal(2, sender_stats(world->mine.tx[0]).messages);
    require_equal(2, sender_stats(world->mine.tx[1]).messages);
    require_equal(16, sender_stats(world->mine.tx[1]).bytes);
}

static void lanes_are_counted(struct world *world)
{
    world_channel(world, 0, NULL);
    require_ok(send_number(world->mine.tx[0], 1));
    require_equal(1, receive_number(world->mine.rx[0]));
    struct rill_stats tx = sender_stats(world->mine.tx[0]), rx = receiver_stats(world->mine.rx[0]);
    require_equal(1, tx.lanes);
    require_equal(1, tx.rings);
    require_equal(1, rx.lanes);
    require_equal(1, rx.rings);
    require(tx.mapped_bytes > 0);
    require(rx.mapped_bytes > 0);
}

static void descriptors_are_counted(struct world *world)
{
    size_t before = count_descriptors();
    world_channel(world, 0, NULL);
    require_ok(send_number(world->mine.tx[0], 1));
    require_equal(1, receive_number(world->mine.rx[0]));
    size_t opened = count_descriptors() - before;
    struct rill_stats tx = sender_stats(world->mine.tx[0]), rx = receiver_stats(world->mine.rx[0]);
    if (world->mine.transport == RILL_INPROC) {
        require_equal(0, opened);
        require_equal(0, tx.descriptors + rx.descriptors);
        return;
    }
    /* Both ends are in this process and may share. */
    require(tx.descriptors <= opened && rx.descriptors <= opened);
    require(tx.descriptors + rx.descriptors >= opened);
}

/* The first message may come with the announcement of its lane: only the second has to wake. */
static void receive_two(struct ends *ends)
{
    announce(ends->board, SLOT_NAME);
    require_equal(1, receive_number(ends->rx[0]));
    flag_raise(ends->board, SLOT_READY);
    require_equal(2, receive_number(ends->rx[0]));
    struct rill_stats stats = receiver_stats(ends->rx[0]);
    require(stats.waits >= 2);
    require_equal(2, stats.messages);
    if (ends->transport == RILL_SHM)
        require(stats.wakeups >= 1);
}

static void waits_are_counted(struct world *world)
{
    struct peer peer;
    world_channel(world, 0, NULL);
    peer_start(&peer, world, receive_two, 0, FIRST, 0);
    wait_until_asleep(world->mine.board, SLOT_NAME);
    require_ok(send_number(world->mine.tx[0], 1));
    flag_wait(world->mine.board, SLOT_READY);
    wait_until_asleep(world->mine.board, SLOT_NAME);
    require_ok(send_number(world->mine.tx[0], 2));
    peer_join(&peer);
    if (world->mine.transport == RILL_SHM)
        require(sender_stats(world->mine.tx[0]).wakeups >= 1);
}

static void smaller_struct(struct world *world)
{
    struct rill_stats stats;
    world_channel(world, 0, NULL);
    require_ok(send_number(world->mine.tx[0], 1));
    memset(&stats, 0xab, sizeof stats);
    stats.size = offsetof(struct rill_stats, bytes);
    require_ok(rill_sender_stats(world->mine.tx[0], &stats));
    require_equal(1, stats.messages);
    require_equal(offsetof(struct rill_stats, bytes), stats.size);
    require_equal((long long)0xababababababababu, stats.bytes);
    stats.size = offsetof(struct rill_stats, bytes);
    require_ok(rill_receiver_stats(world->mine.rx[0], &stats));
    require_equal((long long)0xababababababababu, stats.bytes);
}

static void larger_struct(struct world *world)
{
    struct {
        struct rill_stats known;
        uint64_t unknown;
    } stats;
    world_channel(world, 0, NULL);
    memset(&stats, 0xab, sizeof stats);
    stats.known.size = sizeof stats;
    require_ok(rill_sender_stats(world->mine.tx[0], &stats.known));
    require_equal(0, stats.known.messages);
    stats.known.size = sizeof stats;
    require_ok(rill_receiver_stats(world->mine.rx[0], &stats.known));
    require_equal(0, stats.known.messages);
}

/* ---------------------------------------------------------------- options and quotas */

static void largest_message(struct world *world)
{
    struct rill_bytes parts[2] = {{"0123456789", 10}, {"0123456789", 10}};
    size_t sent = 9;
    world_channel(world, 0, &(struct rill_channel_options){.max_message = 16});
    require_code(RILL_EMSGSIZE, send_filled(world->mine.tx[0], 17, 0));
    require_code(RILL_EMSGSIZE, rill_send_parts(world->mine.tx[0], parts, 2));
    parts[1].size = 20;
    parts[1].data = "01234567890123456789";
    require_code(RILL_EMSGSIZE, rill_send_many(world->mine.tx[0], parts, 2, &sent));
    require_equal(1, sent);
    require_ok(send_filled(world->mine.tx[0], 16, 3));
    rill_message *message = NULL;
    require_ok(rill_recv(world->mine.rx[0], &message));
    require_equal(10, rill_message_size(message));
    require_ok(rill_message_close(&message));
    receive_filled(world->mine.rx[0], 16, 3);
    require_code(RILL_EEMPTY, rill_try_recv(world->mine.rx[0], &message));
}

static void send_if_allowed(struct ends *ends)
{
    int result = 0;
    for (uint64_t i = 0; result == 0 && !flag_raised(ends->board, SLOT_GO); i++) {
        result = send_number(ends->tx[1], i);
        flag_raise(ends->board, SLOT_FREE + (unsigned)ends->argument);
    }
}

static void too_many_lanes(struct world *world)
{
    struct peer peer[2];
    rill_message *message = NULL;
    unsigned refused = 0, received = 0;
    world_channel(world, 0, &(struct rill_channel_options){.max_lanes = 1});
    for (unsigned i = 0; i < 2; i++) {
        world_clone(world, 0, 1);
        peer_start(&peer[i], world, send_if_allowed, END(1), 0, i);
        flag_wait(world->mine.board, SLOT_FREE + i);
    }
    while (refused == 0 || received < 100) {
        int result = rill_recv(world->mine.rx[0], &message);
        if (result == RILL_EQUOTA) {
            require_equal(0, refused++);
            continue;
        }
        require_ok(result);
        require_ok(rill_message_close(&message));
        received++;
    }
    require(receiver_stats(world->mine.rx[0]).lanes <= 1);
    flag_raise(world->mine.board, SLOT_GO);
    require_ok(rill_sender_close(&world->mine.tx[0]));
    int result;
    while ((result = rill_recv(world->mine.rx[0], &message)) == 0)
        require_ok(rill_message_close(&message));
    require_code(RILL_EDISCONNECTED, result);
    peer_join(&peer[0]);
    peer_join(&peer[1]);
}

static void send_too_much(struct ends *ends)
{
    int result = 0;
    require_ok(send_number(ends->tx[0], 1));
    for (unsigned i = 0; i < 64 && result == 0; i++)
        result = send_filled(ends->tx[0], MIB, i);
    if (result == 0)
        flag_wait(ends->board, SLOT_GO);
    else
        require(result == RILL_ENOMEM || result == RILL_EQUOTA || result == RILL_EBROKEN);
    flag_raise(ends->board, SLOT_DONE);
}

static void too_large_lane(struct world *world)
{
    struct peer peer;
    rill_message *message = NULL;
    world_channel(world, 0, &(struct rill_channel_options){.max_lane_bytes = 8 * MIB});
    peer_start(&peer, world, send_too_much, FIRST, 0, 0);
    flag_raise(world->mine.board, SLOT_GO);
    flag_wait(world->mine.board, SLOT_DONE);
    require_equal(1, receive_number(world->mine.rx[0]));
    int result;
    unsigned received = 0;
    for (; (result = rill_recv(world->mine.rx[0], &message)) == 0; received++)
        require_message(&message, MIB, received);
    require(received < 9);
    require(result == RILL_EQUOTA || result == RILL_EDISCONNECTED);
    require(receiver_stats(world->mine.rx[0]).mapped_bytes <= 16 * MIB);
    peer_join(&peer);
}

static const struct role roles[] = {ROLE(receive_two), ROLE(send_if_allowed), ROLE(send_too_much)};

static const struct conformance_case cases[] = {
    {"a fresh channel counts nothing", fresh, ON_ALL, AT_THREADS, 0},
    {"messages and bytes are counted as they are sent, queued and received", counts_follow, ON_ALL, AT_THREADS, 0},
    {"a sender knows at once that its limited queue is drained", drained_is_known, ON_ALL, AT_THREADS, 0},
    {"counts are exact whatever calls receive", counts_do_not_lag, ON_ALL, AT_THREADS, 0},
    {"the clones of a process count together", clones_share, ON_ALL, AT_THREADS, 0},
    {"lanes, rings and mapped bytes are counted", lanes_are_counted, ON_SHM, AT_THREADS, 0},
    {"descriptors are counted", descriptors_are_counted, ON_ALL, AT_THREADS, 0},
    {"sleeps and wakeups are counted", waits_are_counted, ON_ALL, AT_ALL, 0},
    {"a smaller struct is filled as far as it goes", smaller_struct, ON_ALL, AT_THREADS, 0},
    {"a larger struct is filled as far as the library knows", larger_struct, ON_ALL, AT_THREADS, 0},
    {"a message above max_message is refused", largest_message, ON_ALL, AT_THREADS, 0},
    {"a sending process above max_lanes is refused, the others go on", too_many_lanes, ON_SHM, AT_PROCESSES, 0},
    {"a lane above max_lane_bytes ends, at one side or the other", too_large_lane, ON_SHM, AT_PROCESSES, 0},
};

int main(int argc, char **argv)
{
    return conformance_main(argc, argv, cases, COUNT_OF(cases), roles, COUNT_OF(roles));
}
