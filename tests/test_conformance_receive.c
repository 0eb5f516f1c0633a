/* SPDX-License-Identifier: MIT */
/* The forms of sending and receiving: into own memory, many at once, in parts, without waiting. */
#include "conformance.h"

static void send_counted(struct ends *ends)
{
    for (uint64_t i = 0; i < ends->argument; i++)
        require_ok(send_filled(ends->tx[0], i % 2000, i));
}

static void nothing_to_try(struct world *world)
{
    rill_message *message = NULL;
    world_channel(world, 0, NULL);
    for (unsigned i = 0; i < 3; i++)
        require_code(RILL_EEMPTY, rill_try_recv(world->mine.rx[0], &message));
    require(message == NULL);
    require_ok(send_filled(world->mine.tx[0], 10, 1));
    require_ok(rill_try_recv(world->mine.rx[0], &message));
    require_message(&message, 10, 1);
    require_code(RILL_EEMPTY, rill_try_recv(world->mine.rx[0], &message));
}

/* ---------------------------------------------------------------- into own memory */

static void into_buffer(struct world *world)
{
    struct peer peer;
    unsigned char bytes[2048];
    uint64_t count = rounds(10000);
    world_channel(world, 0, NULL);
    peer_start(&peer, world, send_counted, FIRST, 0, count);
    for (uint64_t i = 0; i < count; i++) {
        size_t size = 0;
        test_note = (long long)i;
        memset(bytes, 0xee, sizeof bytes);
        require_ok(rill_recv_into(world->mine.rx[0], bytes, i % 3 ? sizeof bytes : i % 2000, RILL_FOREVER, &size));
        require_equal(i % 2000, size);
        require(filled(bytes, size, i));
        require_equal(0xee, bytes[size]);
    }
    peer_join(&peer);
}

static void send_three(struct ends *ends)
{
    require_ok(send_filled(ends->tx[0], ends->argument, 1));
    require_ok(send_filled(ends->tx[0], 0, 2));
    require_ok(send_filled(ends->tx[0], 5, 3));
}

static void too_large_stays(struct world *world, size_t large)
{
    struct peer peer;
    unsigned char *bytes = calloc(1, large);
    size_t size = 0;
    world_channel(world, 0, NULL);
    peer_start(&peer, world, send_three, FIRST, 0, large);
    for (unsigned i = 0; i < 3; i++) {
        require_code(RILL_EMSGSIZE, rill_recv_into(world->mine.rx[0], bytes, i ? large - i : 0, RILL_FOREVER, &size));
        require_equal(large, size);
        size = 0;
    }
    require_code(RILL_EMSGSIZE, rill_recv_into(world->mine.rx[0], NULL, 0, RILL_NOW, &size));
    require_equal(large, size);
    require_ok(rill_recv_into(world->mine.rx[0], bytes, large, RILL_FOREVER, &size));
    require_equal(large, size);
    require(filled(bytes, size, 1));
    require_ok(rill_recv_into(world->mine.rx[0], NULL, 0, RILL_FOREVER, &size));
    require_equal(0, size);
    require_code(RILL_EMSGSIZE, rill_recv_into(world->mine.rx[0], bytes, 4, RILL_FOREVER, &size));
    require_equal(5, size);
    receive_filled(world->mine.rx[0], 5, 3);
    free(bytes);
    peer_join(&peer);
}

static void small_stays(struct world *world)
{
    too_large_stays(world, 100);
}

static void large_stays(struct world *world)
{
    too_large_stays(world, MIB + 5);
}

static void stays_for_any_form(struct world *world)
{
    rill_message *messages[4] = {0};
    size_t size = 0, count = 0;
    unsigned char byte;
    world_channel(world, 0, NULL);
    for (unsigned i = 0; i < 4; i++)
        require_ok(send_filled(world->mine.tx[0], 50, i));
    require_code(RILL_EMSGSIZE, rill_recv_into(world->mine.rx[0], &byte, 1, RILL_NOW, &size));
    receive_filled(world->mine.rx[0], 50, 0);
    require_code(RILL_EMSGSIZE, rill_recv_into(world->mine.rx[0], &byte, 1, RILL_NOW, &size));
    require_ok(rill_sender_close(&world->mine.tx[0]));
    for (unsigned i = 1; i < 4; i += (unsigned)count) {
        require_ok(rill_recv_many(world->mine.rx[0], RILL_FOREVER, messages, 4, &count));
        for (unsigned j = 0; j < count; j++)
            require_message(&messages[j], 50, i + j);
    }
    require_code(RILL_EDISCONNECTED, rill_recv_into(world->mine.rx[0], &byte, 1, RILL_NOW, &size));
}

/* ---------------------------------------------------------------- many at once */

static void many_received(struct world *world)
{
    enum { ROOM = 7 };
    struct peer peer;
    rill_message *messages[ROOM + 1] = {0};
    uint64_t next = 0, total = rounds(20000);
    world_channel(world, 0, NULL);
    peer_start(&peer, world, send_counted, FIRST, 0, total);
    while (next < total) {
        size_t count = 0, room = 1 + next % ROOM;
        require_ok(rill_recv_many(world->mine.rx[0], RILL_FOREVER, messages, room, &count));
        require(count >= 1 && count <= room);
        require(messages[room] == NULL);
        for (size_t i = 0; i < count; i++, next++)
            require_message(&messages[i], next % 2000, next);
    }
    size_t none = 0;
    require_code(RILL_EDISCONNECTED, rill_recv_many(world->mine.rx[0], RILL_FOREVER, messages, ROOM, &none));
    peer_join(&peer);
}

static void takes_what_is_there(struct world *world)
{
    rill_message *messages[20] = {0};
    size_t count = 0;
    world_channel(world, 0, NULL);
    require_code(RILL_EEMPTY, rill_recv_many(world->mine.rx[0], RILL_NOW, messages, 20, &count));
    for (unsigned i = 0; i < 10; i++)
        require_ok(send_number(world->mine.tx[0], i));
    require_ok(rill_recv_many(world->mine.rx[0], RILL_FOREVER, messages, 20, &count));
    require_equal(10, count);
    for (unsigned i = 0; i < 10; i++)
        require_equal(i, take_number(&messages[i]));
}

enum { BATCH = 50 };

static void send_batches(struct ends *ends)
{
    static unsigned char bytes[BATCH][400];
    struct rill_bytes batch[BATCH];
    for (uint64_t next = 0; next < ends->argument;) {
        size_t count = next % BATCH, sent = 999;
        for (size_t i = 0; i < count; i++, next++) {
            fill(bytes[i], next % 400, next);
            batch[i] = (struct rill_bytes){next % 400 ? bytes[i] : NULL, next % 400};
        }
        require_ok(rill_send_many(ends->tx[0], batch, count, next % 2 ? &sent : NULL));
        require_equal(next % 2 ? count : 999, sent);
        fill(bytes[0], next % 400, next);
        require_ok(rill_send(ends->tx[0], bytes[0], next % 400));
        next++;
    }
    flag_raise(ends->board, SLOT_DONE);
}

static void many_sent(struct world *world)
{
    struct peer peer;
    rill_message *message = NULL;
    uint64_t next = 0, least = rounds(20000);
    world_channel(world, 0, NULL);
    peer_start(&peer, world, send_batches, FIRST, 0, least);
    for (; rill_recv(world->mine.rx[0], &message) == 0; next++) {
        test_note = (long long)next;
        require_message(&message, next % 400, next);
    }
    require(next >= least);
    peer_join(&peer);
}

static void send_large_batch(struct ends *ends)
{
    struct rill_bytes batch[40];
    size_t sent = 0;
    for (size_t i = 0; i < COUNT_OF(batch); i++) {
        size_t size = i % 4 ? i * 10 : i * 20000;
        unsigned char *bytes = malloc(size + 1);
        fill(bytes, size, i);
        batch[i] = (struct rill_bytes){bytes, size};
    }
    require_ok(rill_send_many(ends->tx[0], batch, COUNT_OF(batch), &sent));
    require_equal(COUNT_OF(batch), sent);
    for (size_t i = 0; i < COUNT_OF(batch); i++)
        free((void *)(uintptr_t)batch[i].data);
}

static void large_many_sent(struct world *world)
{
    struct peer peer;
    world_channel(world, 0, NULL);
    peer_start(&peer, world, send_large_batch, FIRST, 0, 0);
    for (size_t i = 0; i < 40; i++) {
        test_note = (long long)i;
        receive_filled(world->mine.rx[0], i % 4 ? i * 10 : i * 20000, i);
    }
    peer_join(&peer);
}

static void a_sleeper_wakes_once(struct ends *ends)
{
    rill_message *messages[BATCH];
    size_t count = 0;
    announce(ends->board, SLOT_NAME);
    for (size_t next = 0; next < 10; next += count) {
        require_ok(rill_recv_many(ends->rx[0], RILL_FOREVER, messages, BATCH, &count));
        for (size_t i = 0; i < count; i++)
            require_equal(next + i, take_number(&messages[i]));
    }
}

static void many_wake(struct world *world)
{
    struct peer peer;
    struct rill_bytes batch[10];
    uint64_t numbers[10];
    size_t sent = 0;
    world_channel(world, 0, NULL);
    peer_start(&peer, world, a_sleeper_wakes_once, 0, FIRST, 0);
    for (unsigned i = 0; i < 10; i++) {
        numbers[i] = i;
        batch[i] = (struct rill_bytes){&numbers[i], sizeof numbers[i]};
    }
    wait_until_asleep(world->mine.board, SLOT_NAME);
    require_ok(rill_send_many(world->mine.tx[0], batch, 10, &sent));
    require_equal(10, sent);
    peer_join(&peer);
}

/* ---------------------------------------------------------------- in parts */

static void send_in_parts(struct ends *ends)
{
    enum { PARTS = 9 };
    struct dice dice = {1};
    for (uint64_t i = 0; i < ends->argument; i++) {
        size_t size = roll(&dice) >> roll_between(&dice, 46, 63), at = 0;
        struct rill_bytes parts[PARTS];
        unsigned char *bytes = malloc(size + 1);
        fill(bytes, size, i);
        for (size_t j = 0; j < PARTS; j++) {
            size_t length = j + 1 == PARTS ? size - at : roll(&dice) % 4 ? roll(&dice) % (size - at + 1) : 0;
            parts[j] = (struct rill_bytes){length ? bytes + at : NULL, length};
            at += length;
        }
        require_ok(rill_send_parts(ends->tx[0], parts, PARTS));
        free(bytes);
    }
}

static void in_parts(struct world *world)
{
    struct peer peer;
    rill_message *message = NULL;
    uint64_t next = 0;
    world_channel(world, 0, NULL);
    peer_start(&peer, world, send_in_parts, FIRST, 0, rounds(3000));
    for (; rill_recv(world->mine.rx[0], &message) == 0; next++) {
        test_note = (long long)next;
        require_message(&message, rill_message_size(message), next);
    }
    require_equal(rounds(3000), next);
    peer_join(&peer);
}

/* ---------------------------------------------------------------- a mixture */

static void send_in_all_forms(struct ends *ends)
{
    for (uint64_t i = 0; i < ends->argument; i++) {
        uint64_t number = i;
        struct rill_bytes whole = {&number, sizeof number}, halves[2] = {{&number, 3}, {(char *)&number + 3, 5}};
        switch (i % 5) {
        case 0: require_ok(rill_send(ends->tx[0], &number, sizeof number)); break;
        case 1: require_ok(rill_send_many(ends->tx[0], &whole, 1, NULL)); break;
        case 2: require_ok(rill_send_parts(ends->tx[0], halves, 2)); break;
        case 3: require_ok(rill_send_until(ends->tx[0], &number, sizeof number, RILL_FOREVER)); break;
        default: require_ok(rill_send_until(ends->tx[0], &number, sizeof number, rill_clock() + 100 * SECOND)); break;
        }
    }
}

static size_t receive_in_form(rill_receiver *receiver, uint64_t form, uint64_t *numbers)
{
    rill_message *messages[4] = {0};
    size_t count = 1, size = 0;
    int result = 0;
    switch (form) {
    case 0: require_ok(rill_recv(receiver, &messages[0])); break;
    case 1: require_ok(rill_recv_timeout(receiver, 100 * SECOND, &messages[0])); break;
    case 2: require_ok(rill_recv_until(receiver, rill_clock() + 100 * SECOND, &messages[0])); break;
    case 3: require_ok(rill_recv_many(receiver, RILL_FOREVER, messages, 4, &count)); break;
    case 4: require_ok(rill_recv_into(receiver, numbers, sizeof *numbers, RILL_FOREVER, &size)); return 1;
    default:
        do
            result = rill_try_recv(receiver, &messages[0]);
        while (result == RILL_EEMPTY);
        require_ok(result);
        break;
    }
    for (size_t i = 0; i < count; i++)
        numbers[i] = take_number(&messages[i]);
    return count;
}

static void all_forms(struct world *world)
{
    struct peer peer;
    uint64_t numbers[4], next = 0, total = rounds(20000);
    world_channel(world, 0, NULL);
    peer_start(&peer, world, send_in_all_forms, FIRST, 0, total);
    for (uint64_t form = 0; next < total; form++) {
        size_t count = receive_in_form(world->mine.rx[0], form % 6, numbers);
        for (size_t i = 0; i < count; i++)
            require_equal(next++, numbers[i]);
    }
    peer_join(&peer);
}

static const struct role roles[] = {ROLE(send_counted),         ROLE(send_three),    ROLE(send_batches),     ROLE(send_large_batch),
                                    ROLE(a_sleeper_wakes_once), ROLE(send_in_parts), ROLE(send_in_all_forms)};

static const struct conformance_case cases[] = {
    {"a try finds nothing, then what was sent, then nothing", nothing_to_try, ON_ALL, AT_THREADS, 0},
    {"messages are received into the caller's memory, and no byte behind", into_buffer, ON_ALL, AT_ALL, 0},
    {"a message larger than the buffer says its size and stays the next", small_stays, ON_ALL, AT_ALL, 0},
    {"a large message larger than the buffer says its size and stays the next", large_stays, ON_ALL, AT_ALL, 0},
    {"a message that stayed is received by any other call", stays_for_any_form, ON_ALL, AT_THREADS, 0},
    {"several messages are received in one call, in order", many_received, ON_ALL, AT_ALL, 0},
    {"receiving many takes all that is there", takes_what_is_there, ON_ALL, AT_THREADS, 0},
    {"several messages are sent in one call, in order", many_sent, ON_ALL, AT_ALL, 0},
    {"several large messages are sent in one call, in order", large_many_sent, ON_ALL, AT_ALL, 0},
    {"several messages sent in one call wake a sleeper", many_wake, ON_ALL, AT_ALL, 0},
    {"a message sent in parts arrives as one", in_parts, ON_ALL, AT_ALL, 0},
    {"all forms of sending and receiving keep one order", all_forms, ON_ALL, AT_ALL, 0},
};

int main(int argc, char **argv)
{
    return conformance_main(argc, argv, cases, COUNT_OF(cases), roles, COUNT_OF(roles));
}
