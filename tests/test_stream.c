/* SPDX-License-Identifier: MIT */
/*
 * The socket transport against senders that mean harm: pieces, sections and objects that do not fit each other, and receivers that were never
 * packed. An honest sender's messages all arrive, no descriptor stays, and what is out of order is told as RILL_EPEER.
 */
#include "support.h"

#include <fcntl.h>

#include "src/channel.h"
#include "src/handle.h"
#include "src/packet.h"

struct scene {
    rill_sender *tx;
    rill_receiver *rx;
    uint64_t sent, received;
    unsigned faults;
};

static struct scene open_scene(void)
{
    struct rill_channel_options options = {.size = sizeof options, .transport = RILL_SOCKET, .max_message = 400000};
    struct scene scene = {0};
    require_ok(rill_channel(&options, &scene.tx, &scene.rx));
    return scene;
}

static void close_scene(struct scene *scene)
{
    require_ok(rill_sender_close(&scene->tx));
    require_ok(rill_receiver_close(&scene->rx));
}

/* What may come with it: descriptors of /dev/null. */
static rill_object spare_objects[RILL_PACKET_OBJECTS];

static void open_spares(void)
{
    for (size_t i = 0; i < COUNT_OF(spare_objects); i++)
        spare_objects[i] = STDIN_FILENO;
}

static bool send_raw(const struct scene *scene, const struct rill_piece *piece, const void *bytes, size_t size, unsigned objects)
{
    struct rill_run_of_bytes runs[2] = {{.data = piece, .size = sizeof *piece}, {.data = bytes, .size = size}};
    int code = rill_port_send(scene->tx->endpoint->socket, runs, size ? 2 : 1, objects ? spare_objects : NULL, objects, false);
    return code == RILL_OK;
}

/* Takes what is there: honest messages in order; of the others, what happens to be in order is opened as far as it goes. */
static void drain(struct scene *scene)
{
    rill_message *message;
    for (int code; (code = rill_try_recv(scene->rx, &message)) != RILL_EEMPTY;) {
        if (code != RILL_OK) {
            require_code(RILL_EPEER, code);
            scene->faults++;
            continue;
        }
        uint64_t sender, number;
        if (stamped(rill_message_data(message), rill_message_size(message), &sender, &number) && sender == 77)
            require_equal(scene->received++, number);
        for (size_t i = 0; i < rill_message_handle_count(message); i++) {
            struct rill_handle handle;
            if (rill_message_take(message, i, 0, &handle) == RILL_OK)
                require_ok(rill_handle_close(&handle));
        }
        require_ok(rill_message_close(&message));
    }
}

/* One with a handle, so that packets are asked for their objects; and a plain one. */
static void send_honest(struct scene *scene)
{
    char bytes[60];
    struct rill_handle handle = {.kind = RILL_HANDLE_DESCRIPTOR, .as.descriptor = STDIN_FILENO};
    stamp(bytes, sizeof bytes, 77, scene->sent++);
    require_ok(rill_send_handles(scene->tx, bytes, sizeof bytes, &handle, 1));
    stamp(bytes, sizeof bytes, 77, scene->sent++);
    require_ok(rill_send(scene->tx, bytes, sizeof bytes));
}

/* ---------------------------------------------------------------- pieces at random */

static uint64_t pick(struct dice *dice, const uint64_t *values, size_t count)
{
    uint64_t some = roll(dice) % (count + 1);
    return some == count ? roll(dice) >> (roll(dice) % 64) : values[some];
}

static void throw_piece(const struct scene *scene, struct dice *dice)
{
    static unsigned char bytes[300000];
    static const uint64_t totals[] = {0, 1, 16, 40, 48, 64, 100, 1000, 200000, 400000, 400016, (uint64_t)64 << 20, UINT64_MAX};
    static const uint64_t offsets[] = {0, 0, 0, 0, 16, 100, 128 << 10, 200000};
    static const uint32_t kinds[] = {RILL_PACKET_PIECE, RILL_PACKET_PIECE, RILL_PACKET_PIECE, RILL_PACKET_PIECE, RILL_PACKET_OBJECTS_COME,
                                     RILL_PACKET_LANE, RILL_PACKET_CARRIED, 99};
    static const uint64_t counts[] = {0, 1, 2, 3, 253, 254, 1000000, UINT32_MAX};
    struct rill_piece piece = {.kind = kinds[roll(dice) % COUNT_OF(kinds)], .flags = (uint32_t)(roll(dice) % 5), .sender = 1 + roll(dice) % 3};
    piece.total = pick(dice, totals, COUNT_OF(totals));
    piece.offset = pick(dice, offsets, COUNT_OF(offsets));
    struct rill_piece_section section = {.bytes = pick(dice, totals, COUNT_OF(totals)),
                                         .handle_count = (uint32_t)pick(dice, counts, COUNT_OF(counts)),
                                         .object_count = (uint32_t)pick(dice, counts, COUNT_OF(counts))};
    struct rill_handle_head head = {.kind = (uint32_t)(roll(dice) % 9), .objects = (uint32_t)pick(dice, counts, 4), .bytes = pick(dice, totals, 6)};
    memcpy(bytes, &section, sizeof section);
    memcpy(bytes + sizeof section, &head, sizeof head);
    uint64_t size = piece.total - piece.offset <= 128 << 10 ? piece.total - piece.offset : roll(dice) % (128 << 10);
    (void)send_raw(scene, &piece, bytes, (size_t)size, (unsigned)pick(dice, counts, 4) % RILL_PACKET_OBJECTS);
}

static void pieces_at_random(void *unused)
{
    (void)unused;
    struct dice dice = {4711};
    struct scene scene = open_scene();
    open_spares();
    send_honest(&scene);
    drain(&scene);
    size_t before = count_descriptors();
    for (size_t i = 0; i < rounds(20000); i++) {
        test_note = (long long)i;
        throw_piece(&scene, &dice);
        drain(&scene);
        if (i % 50 == 0) {
            send_honest(&scene);
            drain(&scene);
            require_equal(scene.sent, scene.received);
        }
    }
    require(scene.faults > 100);
    require(count_descriptors() < before + 3 * 254); /* what three senders have begun, and may still finish */
    close_scene(&scene);
}

/* ---------------------------------------------------------------- one rule at a time */

struct broken {
    struct rill_piece piece;
    struct rill_piece_section section;
    struct rill_handle_head head;
    size_t size;
    unsigned objects;
};

/* A descriptor in a message of no bytes, as it should be. */
static struct broken sound(void)
{
    return (struct broken){
        .piece = {.kind = RILL_PACKET_PIECE, .flags = RILL_PIECE_HANDLES, .total = 32},
        .section = {.bytes = 16, .handle_count = 1, .object_count = 1},
        .head = {.kind = RILL_HANDLE_DESCRIPTOR, .objects = 1, .bytes = 16},
        .size = 32,
        .objects = 1,
    };
}

static int receive_broken(struct scene *scene, const struct broken *broken)
{
    unsigned char bytes[64] = {0};
    rill_message *message;
    memcpy(bytes, &broken->section, sizeof broken->section);
    memcpy(bytes + sizeof broken->section, &broken->head, sizeof broken->head);
    require(send_raw(scene, &broken->piece, bytes, broken->size, broken->objects));
    int code = rill_try_recv(scene->rx, &message);
    if (code == RILL_OK)
        require_ok(rill_message_close(&message));
    return code;
}

static void each_rule_is_checked(void *unused)
{
    (void)unused;
    struct scene scene = open_scene();
    open_spares();
    send_honest(&scene);
    drain(&scene);
    size_t before = count_descriptors();
    struct broken it = sound();
    require_ok(receive_broken(&scene, &it));
#define BREAK(change)                                                 \
    do {                                                              \
        it = sound();                                                 \
        change;                                                       \
        require_code(RILL_EPEER, receive_broken(&scene, &it));        \
        require_equal(before, count_descriptors());                   \
    } while (0)
    BREAK(it.objects = 0);
    BREAK(it.objects = 2);
    BREAK(it.piece.flags = 0);
    BREAK(it.piece.flags = RILL_PIECE_BUNDLED);
    BREAK(it.piece.flags = 4 | RILL_PIECE_HANDLES);
    BREAK(it.piece.total = 8; it.size = 8);
    BREAK(it.section.bytes = 24);
    BREAK(it.section.bytes = 8);
    BREAK(it.section.bytes = UINT64_MAX);
    BREAK(it.section.handle_count = 2);
    BREAK(it.section.handle_count = 0);
    BREAK(it.section.object_count = 2);
    BREAK(it.section.object_count = UINT32_MAX);
    BREAK(it.head.kind = 0);
    BREAK(it.head.kind = RILL_HANDLE_OPAQUE);
    BREAK(it.head.objects = 0);
    BREAK(it.head.objects = 2);
    BREAK(it.head.bytes = 8);
    BREAK(it.head.bytes = 20);
    BREAK(it.head.bytes = 32);
    BREAK(it.piece.kind = RILL_PACKET_LANE);
    /* No socket, or one that holds less than was said, or more. */
    BREAK(it.piece.flags |= RILL_PIECE_BUNDLED);
    int pair[2];
    require_ok(rill_port_pair(pair));
    struct rill_run_of_bytes run = {.data = "", .size = 1};
    require_ok(rill_port_send(pair[0], &run, 1, spare_objects, 3, false));
    spare_objects[0] = pair[1];
    require_ok(rill_port_send(pair[0], &run, 1, spare_objects + 1, 3, false));
    before = count_descriptors();
    BREAK(it.piece.flags |= RILL_PIECE_BUNDLED; it.section.object_count = 2);
    BREAK(it.piece.flags |= RILL_PIECE_BUNDLED; it.section.object_count = 9);
    close(pair[0]);
    close(pair[1]);
    close_scene(&scene);
}

/* A message begins anew while a large one of the same sender is being received right into its place. */
static void one_that_begins_anew(void *unused)
{
    (void)unused;
    static unsigned char bytes[128 << 10];
    struct scene scene = open_scene();
    rill_message *message;
    for (unsigned i = 0; i < 50; i++) {
        struct rill_piece piece = {.kind = RILL_PACKET_PIECE, .sender = 5, .total = 390000};
        require(send_raw(&scene, &piece, bytes, sizeof bytes, 0));
        require_code(RILL_EEMPTY, rill_try_recv(scene.rx, &message));
    }
    send_honest(&scene);
    drain(&scene);
    require_equal(scene.sent, scene.received);
    close_scene(&scene);
}

/* ---------------------------------------------------------------- receivers that were never packed */

/* Sends a receiver whose description and state are what somebody made up. */
static void send_forged(const struct scene *scene, const unsigned char *description, uint64_t bytes, const rill_object *objects, unsigned count)
{
    unsigned char body[4096] = {0};
    struct rill_handle_head head = {.kind = RILL_HANDLE_RECEIVER, .objects = count, .bytes = sizeof head + bytes};
    struct rill_piece_section section = {.bytes = head.bytes, .handle_count = 1, .object_count = count};
    struct rill_piece piece = {.kind = RILL_PACKET_PIECE, .flags = RILL_PIECE_HANDLES, .total = sizeof section + head.bytes};
    memcpy(body, &section, sizeof section);
    memcpy(body + sizeof section, &head, sizeof head);
    memcpy(body + sizeof section + sizeof head, description, (size_t)bytes);
    struct rill_run_of_bytes runs[2] = {{.data = &piece, .size = sizeof piece}, {.data = body, .size = (size_t)piece.total}};
    require_ok(rill_port_send(scene->tx->endpoint->socket, runs, 2, objects, count, false));
}

static void forged_receivers(void *unused)
{
    (void)unused;
    struct dice dice = {99};
    struct scene scene = open_scene(), other = open_scene();
    unsigned taken = 0;
    rill_message *nothing;
    send_honest(&scene);
    drain(&scene);
    require_code(RILL_ETIMEDOUT, rill_recv_timeout(scene.rx, MILLISECOND, &nothing)); /* what a sleep needs is made before the count */
    for (size_t i = 0; i < rounds(20000); i++) {
        /* transport, reader, four counts, how long the state is; the state: four numbers, then entries of seven, then bytes */
        uint64_t words[64] = {other.rx->transport};
        size_t before = count_descriptors(), state = roll(&dice) % 50;
        words[6] = roll(&dice) % 8 ? state * 8 : roll(&dice) % 600;
        for (size_t k = 0; k < state; k++)
            words[7 + k] = roll(&dice) % 4 ? roll(&dice) % 3 : roll(&dice) >> (roll(&dice) % 64);
        if (roll(&dice) % 2) {
            uint32_t head[4] = {1, 0, (uint32_t)(roll(&dice) % 4), (uint32_t)(roll(&dice) % 2)};
            memcpy(&words[7], head, sizeof head);
        }
        rill_object objects[5] = {other.rx->socket, other.rx->core->memory, STDIN_FILENO, other.rx->core->memory, other.rx->socket};
        test_note = (long long)i;
        send_forged(&scene, (const unsigned char *)words, (7 + state) * 8, objects, 2 + (unsigned)(roll(&dice) % 4));
        rill_message *message;
        require_ok(rill_recv(scene.rx, &message));
        rill_receiver *receiver;
        int code = rill_message_take_receiver(message, 0, &receiver);
        if (code == RILL_OK) {
            rill_message *none;
            int result = rill_try_recv(receiver, &none);
            if (result == RILL_OK)
                require_ok(rill_message_close(&none));
            rill_receiver_close(&receiver);
            close_scene(&other);
            other = open_scene();
            taken++;
        } else {
            if (code != RILL_ENOMEM)
                require_code(RILL_EPEER, code);
        }
        require_ok(rill_message_close(&message));
        require_equal(before, count_descriptors());
    }
    require(taken > 0);
    close_scene(&scene);
    close_scene(&other);
}

static const struct test tests[] = {
    {"pieces and objects at random harm nobody", pieces_at_random, NULL, 120},
    {"a message with handles that breaks one rule is refused, and its objects closed", each_rule_is_checked, NULL, 0},
    {"a message that begins anew while it is received does not harm the receiver", one_that_begins_anew, NULL, 0},
    {"a receiver whose state is made up is refused, or empty", forged_receivers, NULL, 120},
};

int main(void)
{
    return run_group("stream", tests, COUNT_OF(tests));
}
