/* SPDX-License-Identifier: MIT */
/* Messages carry senders, receivers, descriptors and what nobody has opened yet. */
#include "conformance.h"

#include <sys/resource.h>
#include <sys/wait.h>

#define MAIN 0 /* the channel that handles go through */
#define SIDE 1 /* one whose ends they are */
#define BACK 2 /* from the role to the test */

static struct rill_handle of_sender(rill_sender *sender)
{
    return (struct rill_handle){.kind = RILL_HANDLE_SENDER, .as.sender = sender};
}

static struct rill_handle of_receiver(rill_receiver *receiver)
{
    return (struct rill_handle){.kind = RILL_HANDLE_RECEIVER, .as.receiver = receiver};
}

static struct rill_handle of_descriptor(int descriptor)
{
    return (struct rill_handle){.kind = RILL_HANDLE_DESCRIPTOR, .as.descriptor = descriptor};
}

static void send_one(rill_sender *through, struct rill_handle handle)
{
    require_ok(rill_send_handles(through, "handle", 6, &handle, 1));
}

static void send_receiver(rill_sender *through, rill_receiver **receiver)
{
    struct rill_handle handle = of_receiver(*receiver);
    require_ok(rill_send_handles(through, "handle", 6, &handle, 1));
    require(handle.as.receiver == NULL);
    *receiver = NULL;
}

static rill_message *receive_with(rill_receiver *rx, size_t handles)
{
    rill_message *message;
    require_ok(rill_recv(rx, &message));
    require_equal(handles, rill_message_handle_count(message));
    return message;
}

/* A pipe that says when its writing end is gone. */
struct pipe_ends {
    int reading, writing;
};

static struct pipe_ends make_pipe(void)
{
    int ends[2];
    require(pipe(ends) == 0);
    return (struct pipe_ends){ends[0], ends[1]};
}

static void require_pipe_ends(int reading)
{
    char byte;
    require_equal(0, read(reading, &byte, 1));
    close(reading);
}

/* ---------------------------------------------------------------- each kind */

static void send_on_received_sender(struct ends *ends)
{
    rill_sender *sender;
    rill_message *message = receive_with(ends->rx[MAIN], 1);
    require_equal(RILL_HANDLE_SENDER, rill_message_handle_kind(message, 0));
    require_ok(rill_message_take_sender(message, 0, &sender));
    require_ok(rill_message_close(&message));
    require_ok(send_number(sender, ends->argument));
    require_ok(rill_sender_close(&sender));
}

static void sender_is_copied(struct world *world)
{
    struct peer peer;
    rill_message *message;
    world_channel(world, MAIN, NULL);
    world_channel(world, SIDE, NULL);
    peer_start(&peer, world, send_on_received_sender, 0, END(MAIN), 71);
    send_one(world->mine.tx[MAIN], of_sender(world->mine.tx[SIDE]));
    require_equal(71, receive_number(world->mine.rx[SIDE]));
    peer_join(&peer);
    require_code(RILL_EEMPTY, rill_try_recv(world->mine.rx[SIDE], &message));
    require_ok(send_number(world->mine.tx[SIDE], 72));
    require_equal(72, receive_number(world->mine.rx[SIDE]));
    require_ok(rill_sender_close(&world->mine.tx[SIDE]));
    require_code(RILL_EDISCONNECTED, rill_recv(world->mine.rx[SIDE], &message));
}

static void count_on_received_receiver(struct ends *ends)
{
    rill_receiver *receiver;
    rill_message *message = receive_with(ends->rx[MAIN], 1);
    require_equal(RILL_HANDLE_RECEIVER, rill_message_handle_kind(message, 0));
    require_ok(rill_message_take_receiver(message, 0, &receiver));
    require_ok(rill_message_close(&message));
    for (uint64_t i = 0; i < ends->argument; i++)
        require_equal(i, receive_number(receiver));
    require_code(RILL_EDISCONNECTED, rill_recv(receiver, &message));
    require_ok(rill_receiver_close(&receiver));
}

static void receiver_is_moved(struct world *world)
{
    struct peer peer;
    world_channel(world, MAIN, NULL);
    world_channel(world, SIDE, NULL);
    peer_start(&peer, world, count_on_received_receiver, 0, END(MAIN), 30);
    for (uint64_t i = 0; i < 30; i++) {
        require_ok(send_number(world->mine.tx[SIDE], i));
        if (i == 10)
            send_receiver(world->mine.tx[MAIN], &world->mine.rx[SIDE]);
    }
    require_ok(rill_sender_close(&world->mine.tx[SIDE]));
    peer_join(&peer);
}

static void write_to_received_descriptor(struct ends *ends)
{
    int descriptor;
    rill_message *message = receive_with(ends->rx[MAIN], 1);
    require_equal(RILL_HANDLE_DESCRIPTOR, rill_message_handle_kind(message, 0));
    require_ok(rill_message_take_descriptor(message, 0, &descriptor));
    require_ok(rill_message_close(&message));
    require_equal(5, write(descriptor, "hello", 5));
    require_equal(0, close(descriptor));
}

static void descriptor_is_duplicated(struct world *world)
{
    struct peer peer;
    char text[8];
    struct pipe_ends pipe = make_pipe();
    world_channel(world, MAIN, NULL);
    peer_start(&peer, world, write_to_received_descriptor, 0, END(MAIN), 0);
    send_one(world->mine.tx[MAIN], of_descriptor(pipe.writing));
    require_equal(5, read(pipe.reading, text, sizeof text));
    require_equal(4, write(pipe.writing, "mine", 4));
    require_equal(4, read(pipe.reading, text, sizeof text));
    close(pipe.writing);
    peer_join(&peer);
    require_pipe_ends(pipe.reading);
}

/* Passes on what it need not know: first as opaque handles, then whole messages. */
static void pass_on(struct ends *ends)
{
    struct rill_handle handle;
    rill_message *message;
    for (unsigned i = 0; i < 3; i++) {
        message = receive_with(ends->rx[MAIN], 1);
        require_ok(rill_message_take(message, 0, RILL_HANDLE_OPAQUE, &handle));
        require_equal(RILL_HANDLE_OPAQUE, handle.kind);
        require_ok(rill_message_close(&message));
        require_ok(rill_send_handles(ends->tx[BACK], "on", 2, &handle, 1));
        require(handle.as.opaque == NULL);
    }
    for (unsigned i = 0; i < 3; i++) {
        require_ok(rill_recv(ends->rx[MAIN], &message));
        require_ok(rill_forward(ends->tx[BACK], &message, RILL_FOREVER));
        require(message == NULL);
    }
}

static void use_sender(rill_message **message, rill_receiver *rx)
{
    rill_sender *sender;
    require_ok(rill_message_take_sender(*message, 0, &sender));
    require_ok(rill_message_close(message));
    require_ok(send_number(sender, 5));
    require_equal(5, receive_number(rx));
    require_ok(rill_sender_close(&sender));
}

static void use_receiver(rill_message **message, rill_sender *tx)
{
    rill_receiver *receiver;
    require_ok(rill_message_take_receiver(*message, 0, &receiver));
    require_ok(rill_message_close(message));
    require_ok(send_number(tx, 6));
    require_equal(6, receive_number(receiver));
    require_ok(rill_receiver_close(&receiver));
}

static void use_descriptor(rill_message **message, int reading)
{
    int descriptor;
    char byte;
    require_ok(rill_message_take_descriptor(*message, 0, &descriptor));
    require_ok(rill_message_close(message));
    require_equal(1, write(descriptor, "x", 1));
    require_equal(1, read(reading, &byte, 1));
    close(descriptor);
}

static void send_three(struct world *world, int descriptor)
{
    send_one(world->mine.tx[MAIN], of_sender(world->mine.tx[SIDE]));
    send_receiver(world->mine.tx[MAIN], &world->mine.rx[3]);
    send_one(world->mine.tx[MAIN], of_descriptor(descriptor));
}

static void use_three(struct world *world, int reading)
{
    rill_message *message = receive_with(world->mine.rx[BACK], 1);
    use_sender(&message, world->mine.rx[SIDE]);
    message = receive_with(world->mine.rx[BACK], 1);
    use_receiver(&message, world->mine.tx[3]);
    message = receive_with(world->mine.rx[BACK], 1);
    use_descriptor(&message, reading);
}

static void opaque_is_passed_on(struct world *world)
{
    struct peer peer;
    struct pipe_ends pipe = make_pipe();
    world_channel(world, MAIN, NULL);
    world_channel(world, SIDE, NULL);
    world_channel(world, BACK, NULL);
    world_channel(world, 3, NULL);
    peer_start(&peer, world, pass_on, END(BACK), END(MAIN), 0);
    send_three(world, pipe.writing);
    use_three(world, pipe.reading);
    require_ok(rill_sender_close(&world->mine.tx[3]));
    world_channel(world, 3, NULL);
    send_three(world, pipe.writing);
    use_three(world, pipe.reading);
    close(pipe.writing);
    peer_join(&peer);
    require_pipe_ends(pipe.reading);
}

static void forwards_what_is_left(struct world *world)
{
    world_channel(world, MAIN, NULL);
    world_channel(world, SIDE, NULL);
    world_channel(world, BACK, NULL);
    struct pipe_ends pipe = make_pipe();
    struct rill_handle handles[3] = {of_descriptor(pipe.writing), of_sender(world->mine.tx[SIDE]), of_descriptor(pipe.reading)};
    require_ok(rill_send_handles(world->mine.tx[MAIN], "left", 4, handles, 3));
    rill_message *message = receive_with(world->mine.rx[MAIN], 3);
    int taken;
    require_ok(rill_message_take_descriptor(message, 0, &taken));
    require_ok(rill_forward(world->mine.tx[BACK], &message, RILL_NOW));
    require(message == NULL);
    message = receive_with(world->mine.rx[BACK], 2);
    require_equal(4, rill_message_size(message));
    require(memcmp(rill_message_data(message), "left", 4) == 0);
    require_equal(RILL_HANDLE_SENDER, rill_message_handle_kind(message, 0));
    require_equal(RILL_HANDLE_DESCRIPTOR, rill_message_handle_kind(message, 1));
    require_ok(rill_message_close(&message));
    close(taken);
    close(pipe.writing);
    require_pipe_ends(pipe.reading);
}

/* ---------------------------------------------------------------- order, and with bytes */

#define MIXED 24

static void answer_each(struct ends *ends)
{
    rill_message *message = receive_with(ends->rx[MAIN], MIXED);
    require_equal(ends->argument, rill_message_size(message));
    require(filled(rill_message_data(message), rill_message_size(message), 3));
    for (unsigned i = 0; i < MIXED; i++) {
        struct rill_handle handle;
        require_ok(rill_message_take(message, i, 0, &handle));
        if (i % 2) {
            require_equal(RILL_HANDLE_SENDER, handle.kind);
            require_ok(send_number(handle.as.sender, i));
        } else {
            unsigned char number = (unsigned char)i;
            require_equal(RILL_HANDLE_DESCRIPTOR, handle.kind);
            require_equal(1, write(handle.as.descriptor, &number, 1));
        }
        require_ok(rill_handle_close(&handle));
    }
    require_ok(rill_message_close(&message));
}

static void handles_keep_their_order(struct world *world, size_t size)
{
    struct peer peer;
    struct rill_handle handles[MIXED];
    rill_receiver *rx[MIXED];
    struct pipe_ends pipes[MIXED];
    world_channel(world, MAIN, NULL);
    peer_start(&peer, world, answer_each, 0, END(MAIN), size);
    struct rill_channel_options options = {.size = sizeof options, .transport = world->mine.transport};
    for (unsigned i = 0; i < MIXED; i++) {
        handles[i] = of_descriptor((pipes[i] = make_pipe()).writing);
        if (i % 2) {
            handles[i].kind = RILL_HANDLE_SENDER;
            require_ok(rill_channel(&options, &handles[i].as.sender, &rx[i]));
        }
    }
    void *bytes = malloc(size + 1);
    require(bytes != NULL);
    fill(bytes, size, 3);
    require_ok(rill_send_handles(world->mine.tx[MAIN], bytes, size, handles, MIXED));
    free(bytes);
    for (unsigned i = 0; i < MIXED; i++) {
        unsigned char number;
        if (i % 2) {
            require_equal(i, receive_number(rx[i]));
            require_ok(rill_receiver_close(&rx[i]));
            require_ok(rill_sender_close(&handles[i].as.sender));
        } else {
            require_equal(1, read(pipes[i].reading, &number, 1));
            require_equal(i, number);
        }
        close(pipes[i].writing);
        close(pipes[i].reading);
    }
    peer_join(&peer);
}

static void order_with_few_bytes(struct world *world)
{
    handles_keep_their_order(world, 0);
}

static void order_with_many_bytes(struct world *world)
{
    handles_keep_their_order(world, 3 * MIB + 5);
}

/* ---------------------------------------------------------------- many */

static void allow_descriptors(rlim_t count)
{
    struct rlimit limit = {.rlim_cur = count, .rlim_max = count};
    struct rlimit now;
    require(getrlimit(RLIMIT_NOFILE, &now) == 0);
    if (now.rlim_max > count)
        limit.rlim_max = now.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        skip_test("not allowed that many descriptors");
}

static void take_all(struct ends *ends)
{
    size_t count = ends->argument;
    allow_descriptors(count + 1000);
    rill_message *message = receive_with(ends->rx[MAIN], count);
    for (size_t i = 0; i < count; i++) {
        int descriptor;
        test_note = (long long)i;
        require_ok(rill_message_take_descriptor(message, i, &descriptor));
        require_equal(1, write(descriptor, "x", 1));
        close(descriptor);
    }
    require_ok(rill_message_close(&message));
    require_equal(7, receive_number(ends->rx[MAIN]));
}

static void send_many(struct world *world, size_t count)
{
    struct peer peer;
    allow_descriptors(count + 2000);
    struct rill_handle *handles = calloc(count, sizeof *handles);
    require(handles != NULL);
    struct pipe_ends pipe = make_pipe();
    world_channel(world, MAIN, NULL);
    peer_start(&peer, world, take_all, 0, END(MAIN), count);
    for (size_t i = 0; i < count; i++)
        handles[i] = of_descriptor(pipe.writing);
    require_ok(rill_send_handles(world->mine.tx[MAIN], NULL, 0, handles, count));
    require_ok(send_number(world->mine.tx[MAIN], 7));
    peer_join(&peer);
    char byte;
    for (size_t i = 0; i < count; i++)
        require_equal(1, read(pipe.reading, &byte, 1));
    close(pipe.writing);
    require_pipe_ends(pipe.reading);
    free(handles);
}

static void three_hundred(struct world *world)
{
    send_many(world, 300);
}

static void ten_thousand(struct world *world)
{
    send_many(world, 10000);
}

static void receiver_short_of_descriptors(struct world *world)
{
    rill_message *message;
    struct rill_handle handles[40];
    struct rlimit limit, low;
    need_true_limits();
    world_channel(world, MAIN, NULL);
    require_ok(send_number(world->mine.tx[MAIN], 1));
    require_equal(1, receive_number(world->mine.rx[MAIN]));
    struct pipe_ends pipe = make_pipe();
    for (unsigned i = 0; i < COUNT_OF(handles); i++)
        handles[i] = of_descriptor(pipe.writing);
    require_ok(rill_send_handles(world->mine.tx[MAIN], "many", 4, handles, COUNT_OF(handles)));
    require_ok(send_number(world->mine.tx[MAIN], 2));
    require(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    low = limit;
    low.rlim_cur = (rlim_t)count_descriptors() + 10;
    require(setrlimit(RLIMIT_NOFILE, &low) == 0);
    for (unsigned i = 0; i < 5; i++)
        require_code(RILL_ENOFD, rill_try_recv(world->mine.rx[MAIN], &message));
    require(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    message = receive_with(world->mine.rx[MAIN], COUNT_OF(handles));
    require_ok(rill_message_close(&message));
    require_equal(2, receive_number(world->mine.rx[MAIN]));
    close(pipe.writing);
    require_pipe_ends(pipe.reading);
}

/* ---------------------------------------------------------------- the system's bound */

static void become_ordinary_user(rlim_t descriptors)
{
    struct rlimit limit = {.rlim_cur = descriptors, .rlim_max = descriptors};
    need_true_limits();
    require(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    if (geteuid() != 0)
        return;
    uid_t own = 100000 + (uid_t)getpid(); /* what is under way counts for the whole user: tests that run beside this one are others */
    require(setresgid(own, own, own) == 0 && setresuid(own, own, own) == 0);
}

#define AT_ONCE 10

/* Sends until the system refuses; how many messages went. */
static unsigned send_until_refused(rill_sender *tx, int descriptor)
{
    struct rill_handle handles[AT_ONCE];
    for (unsigned i = 0; i < AT_ONCE; i++)
        handles[i] = of_descriptor(descriptor);
    for (unsigned sent = 0; sent < 100; sent++) {
        int code = rill_send_handles(tx, &sent, sizeof sent, handles, AT_ONCE);
        if (code == RILL_OK)
            continue;
        require_code(RILL_EINFLIGHT, code);
        for (unsigned i = 0; i < AT_ONCE; i++)
            require_equal(descriptor, handles[i].as.descriptor);
        return sent;
    }
    require_failed(__FILE__, __LINE__, "the system bounds descriptors in flight");
}

static void receive_counted(rill_receiver *rx, unsigned number)
{
    unsigned found;
    rill_message *message = receive_with(rx, AT_ONCE);
    require_equal(sizeof found, rill_message_size(message));
    memcpy(&found, rill_message_data(message), sizeof found);
    require_equal(number, found);
    require_ok(rill_message_close(&message));
}

static void too_many_under_way(struct world *world)
{
    become_ordinary_user(90);
    world_channel(world, MAIN, NULL);
    require_ok(send_number(world->mine.tx[MAIN], 1));
    require_equal(1, receive_number(world->mine.rx[MAIN]));
    for (unsigned round = 0; round < 3; round++) {
        unsigned sent = send_until_refused(world->mine.tx[MAIN], 0);
        require(sent >= 4);
        for (unsigned i = 0; i < sent; i++)
            receive_counted(world->mine.rx[MAIN], i);
        require_ok(send_number(world->mine.tx[MAIN], 9));
        require_equal(9, receive_number(world->mine.rx[MAIN]));
    }
}

/* A message for which several packets are needed is refused in the middle: its receiver sees nothing of it. */
static void refused_in_the_middle(struct world *world)
{
    struct rill_handle handles[1000];
    become_ordinary_user(300);
    world_channel(world, MAIN, NULL);
    for (unsigned i = 0; i < COUNT_OF(handles); i++)
        handles[i] = of_descriptor(0);
    for (unsigned round = 0; round < 5; round++) {
        rill_message *message;
        require_ok(send_number(world->mine.tx[MAIN], round));
        require_code(RILL_EINFLIGHT, rill_send_handles(world->mine.tx[MAIN], NULL, 0, handles, COUNT_OF(handles)));
        require_equal(round, receive_number(world->mine.rx[MAIN]));
        require_code(RILL_EEMPTY, rill_try_recv(world->mine.rx[MAIN], &message));
    }
    require_ok(rill_send_handles(world->mine.tx[MAIN], NULL, 0, handles, 10));
    rill_message *message = receive_with(world->mine.rx[MAIN], 10);
    require_ok(rill_message_close(&message));
}

/* ---------------------------------------------------------------- what is not taken */

static void untaken_is_closed(struct world *world)
{
    rill_message *message;
    struct rill_handle handles[20];
    world_channel(world, MAIN, NULL);
    world_channel(world, SIDE, NULL);
    world_channel(world, BACK, NULL);
    require_ok(send_number(world->mine.tx[MAIN], 1));
    require_equal(1, receive_number(world->mine.rx[MAIN]));
    struct pipe_ends pipe = make_pipe();
    for (unsigned i = 0; i < COUNT_OF(handles); i++)
        handles[i] = of_descriptor(pipe.writing);
    handles[3] = of_sender(world->mine.tx[SIDE]);
    handles[9] = of_receiver(world->mine.rx[BACK]);
    for (unsigned round = 0; round < 3; round++) {
        size_t before = count_descriptors();
        require_ok(rill_send_handles(world->mine.tx[MAIN], NULL, 0, handles, COUNT_OF(handles)));
        world->mine.rx[BACK] = NULL;
        message = receive_with(world->mine.rx[MAIN], COUNT_OF(handles));
        int taken;
        require_ok(rill_message_take_descriptor(message, 5, &taken));
        require_ok(rill_message_close(&message));
        close(taken);
        if (round)
            require_equal(before, count_descriptors()); /* the first one makes what sending handles needs */
        handles[9] = of_descriptor(pipe.writing);
    }
    require_code(RILL_EBROKEN, send_number(world->mine.tx[BACK], 1));
    require_ok(rill_sender_close(&world->mine.tx[SIDE]));
    require_code(RILL_EDISCONNECTED, rill_recv(world->mine.rx[SIDE], &message));
    close(pipe.writing);
    require_pipe_ends(pipe.reading);
}

static void end_under_way_keeps_channel(struct world *world)
{
    rill_message *message;
    world_channel(world, MAIN, NULL);
    world_channel(world, SIDE, NULL);
    send_one(world->mine.tx[MAIN], of_sender(world->mine.tx[SIDE]));
    require_ok(rill_sender_close(&world->mine.tx[SIDE]));
    require_code(RILL_EEMPTY, rill_try_recv(world->mine.rx[SIDE], &message));
    rill_message *carrier = receive_with(world->mine.rx[MAIN], 1);
    require_code(RILL_EEMPTY, rill_try_recv(world->mine.rx[SIDE], &message));
    require_ok(rill_message_close(&carrier));
}

static void closed_with_its_message(struct world *world)
{
    rill_message *message;
    world_channel(world, MAIN, NULL);
    world_channel(world, SIDE, NULL);
    send_one(world->mine.tx[MAIN], of_sender(world->mine.tx[SIDE]));
    require_ok(rill_sender_close(&world->mine.tx[SIDE]));
    message = receive_with(world->mine.rx[MAIN], 1);
    require_ok(rill_message_close(&message));
    require_code(RILL_EDISCONNECTED, rill_recv(world->mine.rx[SIDE], &message));
}

static void closed_with_the_queue(struct world *world)
{
    rill_message *message;
    world_channel(world, MAIN, NULL);
    world_channel(world, SIDE, NULL);
    world_channel(world, BACK, NULL);
    send_one(world->mine.tx[MAIN], of_sender(world->mine.tx[SIDE]));
    send_receiver(world->mine.tx[MAIN], &world->mine.rx[BACK]);
    require_ok(rill_sender_close(&world->mine.tx[SIDE]));
    require_ok(send_number(world->mine.tx[BACK], 1));
    require_ok(rill_receiver_close(&world->mine.rx[MAIN]));
    require_code(RILL_EDISCONNECTED, rill_recv(world->mine.rx[SIDE], &message));
    int code = RILL_OK; /* the system takes apart what was in the socket: in its time, and then a send that needs the system tells */
    for (unsigned i = 0; i < 1000000 && code == RILL_OK; i++)
        code = send_number(world->mine.tx[BACK], 2);
    require_code(RILL_EBROKEN, code);
}

static void receiver_closed_with_its_message(struct world *world)
{
    world_channel(world, MAIN, NULL);
    world_channel(world, SIDE, NULL);
    require_ok(send_number(world->mine.tx[SIDE], 1));
    send_receiver(world->mine.tx[MAIN], &world->mine.rx[SIDE]);
    require_ok(send_number(world->mine.tx[SIDE], 2));
    rill_message *message = receive_with(world->mine.rx[MAIN], 1);
    require_ok(send_number(world->mine.tx[SIDE], 3));
    require_ok(rill_message_close(&message));
    require_code(RILL_EBROKEN, send_number(world->mine.tx[SIDE], 4));
}

static void sender_of_no_receiver(struct world *world)
{
    rill_sender *sender;
    world_channel(world, MAIN, NULL);
    world_channel(world, SIDE, NULL);
    require_ok(rill_receiver_close(&world->mine.rx[SIDE]));
    send_one(world->mine.tx[MAIN], of_sender(world->mine.tx[SIDE]));
    rill_message *message = receive_with(world->mine.rx[MAIN], 1);
    require_ok(rill_message_take_sender(message, 0, &sender));
    require_ok(rill_message_close(&message));
    require_code(RILL_EBROKEN, send_number(sender, 1));
    require_ok(rill_sender_close(&sender));
}

/* ---------------------------------------------------------------- descriptors and cycles */

#define TIMES 200

static void take_same_sender(struct ends *ends)
{
    rill_sender *senders[TIMES];
    size_t before = 0;
    for (unsigned i = 0; i < TIMES; i++) {
        rill_message *message = receive_with(ends->rx[MAIN], 1);
        require_ok(rill_message_take_sender(message, 0, &senders[i]));
        require_ok(rill_message_close(&message));
        if (i == 0)
            before = count_descriptors();
    }
    require(count_descriptors() < before + TIMES / 2); /* in the same process the other thread may have some on their way */
    for (unsigned i = 0; i < TIMES; i++) {
        require_ok(send_number(senders[i], i));
        require_ok(rill_sender_close(&senders[i]));
    }
}

static void same_sender_costs_nothing(struct world *world)
{
    struct peer peer;
    world_channel(world, MAIN, NULL);
    world_channel(world, SIDE, NULL);
    peer_start(&peer, world, take_same_sender, 0, END(MAIN), 0);
    for (unsigned i = 0; i < TIMES; i++)
        send_one(world->mine.tx[MAIN], of_sender(world->mine.tx[SIDE]));
    for (unsigned i = 0; i < TIMES; i++)
        require_equal(i, receive_number(world->mine.rx[SIDE]));
    peer_join(&peer);
}

/* Both ends of two channels, each inside the other's queue or its own, with nobody left outside. */
static void make_cycles(struct world *world)
{
    world_channel(world, 0, NULL);
    send_one(world->mine.tx[0], of_sender(world->mine.tx[0]));
    close_ends(&world->mine);
    world_channel(world, 0, NULL);
    world_channel(world, 1, NULL);
    send_one(world->mine.tx[0], of_sender(world->mine.tx[1]));
    send_one(world->mine.tx[1], of_sender(world->mine.tx[0]));
    close_ends(&world->mine);
    if (world->mine.transport == RILL_INPROC)
        return;
    world_channel(world, 0, NULL);
    send_receiver(world->mine.tx[0], &world->mine.rx[0]);
    close_ends(&world->mine);
    world_channel(world, 0, NULL);
    world_channel(world, 1, NULL);
    send_receiver(world->mine.tx[0], &world->mine.rx[1]);
    send_receiver(world->mine.tx[1], &world->mine.rx[0]);
    close_ends(&world->mine);
}

static void cycles_leak_nothing(struct world *world)
{
    make_cycles(world);
    (void)rill_trim();
    size_t before = count_descriptors();
    for (unsigned i = 0; i < 50; i++) {
        make_cycles(world);
    (void)rill_trim();
        require_equal(before, count_descriptors());
    }
}

/* The system lets an ordinary user have only so many descriptors under way: what stayed in a cycle would fill that up. */
static void cycles_are_taken_apart(struct world *world)
{
    become_ordinary_user(60);
    for (unsigned i = 0; i < 200; i++) {
        int code = RILL_EINFLIGHT;
        for (int64_t end = rill_clock() + 20 * SECOND; code == RILL_EINFLIGHT && rill_clock() < end;) { /* the system does it in its time */
            world_channel(world, 0, NULL);
            struct rill_handle handle = of_receiver(world->mine.rx[0]);
            code = rill_send_handles(world->mine.tx[0], NULL, 0, &handle, 1);
            world->mine.rx[0] = handle.as.receiver;
            close_ends(&world->mine);
            sched_yield();
        }
        require_ok(code);
    }
}

/* ---------------------------------------------------------------- errors */

static void indexes_and_kinds(struct world *world)
{
    struct rill_handle handle;
    rill_receiver *receiver;
    rill_sender *sender = NULL;
    int descriptor;
    world_channel(world, MAIN, NULL);
    world_channel(world, SIDE, NULL);
    send_one(world->mine.tx[MAIN], of_sender(world->mine.tx[SIDE]));
    rill_message *message = receive_with(world->mine.rx[MAIN], 1);
    require_code(RILL_ENOHANDLE, rill_message_take_sender(message, 1, &sender));
    require_code(RILL_ENOHANDLE, rill_message_take_sender(message, SIZE_MAX, &sender));
    require_code(RILL_ENOHANDLE, rill_message_handle_kind(message, 1));
    require_code(RILL_EKIND, rill_message_take_receiver(message, 0, &receiver));
    require_code(RILL_EKIND, rill_message_take_descriptor(message, 0, &descriptor));
    require_code(RILL_EINVAL, rill_message_take(message, 0, 99, &handle));
    require_code(RILL_EINVAL, rill_message_take(message, 0, 0, NULL));
    require_ok(rill_message_take_sender(message, 0, &sender));
    require_code(RILL_ENOHANDLE, rill_message_take_sender(message, 0, &sender));
    require_code(RILL_ENOHANDLE, rill_message_handle_kind(message, 0));
    require_equal(1, rill_message_handle_count(message));
    require_ok(rill_message_close(&message));
    require_ok(rill_sender_close(&sender));
}

static void bad_handles(struct world *world)
{
    rill_message *message;
    world_channel(world, MAIN, NULL);
    world_channel(world, SIDE, NULL);
    struct rill_handle handles[2] = {of_sender(world->mine.tx[SIDE]), {.kind = 77}};
    require_code(RILL_EINVAL, rill_send_handles(world->mine.tx[MAIN], "x", 1, handles, 2));
    handles[1] = of_sender(NULL);
    require_code(RILL_EINVAL, rill_send_handles(world->mine.tx[MAIN], "x", 1, handles, 2));
    handles[1] = of_receiver(NULL);
    require_code(RILL_EINVAL, rill_send_handles(world->mine.tx[MAIN], "x", 1, handles, 2));
    require_code(RILL_EINVAL, rill_send_handles(world->mine.tx[MAIN], "x", 1, NULL, 2));
    int closed = dup(0);
    close(closed);
    handles[1] = of_descriptor(closed);
    require_code(RILL_EDESCRIPTOR, rill_send_handles(world->mine.tx[MAIN], "x", 1, handles, 2));
    handles[1] = of_descriptor(-1);
    require_code(RILL_EDESCRIPTOR, rill_send_handles(world->mine.tx[MAIN], "x", 1, handles, 2));
    require_code(RILL_EEMPTY, rill_try_recv(world->mine.rx[MAIN], &message));
    require_ok(send_number(world->mine.tx[SIDE], 4));
    require_equal(4, receive_number(world->mine.rx[SIDE]));
}

static void same_receiver_twice(struct world *world)
{
    rill_message *message;
    world_channel(world, MAIN, NULL);
    world_channel(world, SIDE, NULL);
    struct rill_handle handles[2] = {of_receiver(world->mine.rx[SIDE]), of_receiver(world->mine.rx[SIDE])};
    require_code(RILL_EINVAL, rill_send_handles(world->mine.tx[MAIN], "x", 1, handles, 2));
    require(handles[0].as.receiver == world->mine.rx[SIDE] && handles[1].as.receiver == world->mine.rx[SIDE]);
    require_code(RILL_EEMPTY, rill_try_recv(world->mine.rx[MAIN], &message));
    require_ok(send_number(world->mine.tx[SIDE], 4));
    require_equal(4, receive_number(world->mine.rx[SIDE]));
}

struct waiter {
    struct world *world;
    int result;
};

static void *wait_on_side(void *argument)
{
    struct waiter *waiter = argument;
    rill_message *message;
    announce(waiter->world->mine.board, SLOT_NAME);
    waiter->result = rill_recv(waiter->world->mine.rx[SIDE], &message);
    if (waiter->result == RILL_OK)
        require_ok(rill_message_close(&message));
    return NULL;
}

static void busy_receiver_stays(struct world *world)
{
    pthread_t thread;
    struct waiter waiter = {.world = world};
    world_channel(world, MAIN, NULL);
    world_channel(world, SIDE, NULL);
    require(pthread_create(&thread, NULL, wait_on_side, &waiter) == 0);
    wait_until_announced(world->mine.board, SLOT_NAME);
    wait_until_asleep(world->mine.board, SLOT_NAME);
    struct rill_handle handle = of_receiver(world->mine.rx[SIDE]);
    require_code(RILL_EBUSY, rill_send_handles(world->mine.tx[MAIN], "x", 1, &handle, 1));
    require(handle.as.receiver == world->mine.rx[SIDE]);
    require_ok(send_number(world->mine.tx[SIDE], 1));
    require(pthread_join(thread, NULL) == 0);
    require_ok(waiter.result);
}

static void nobody_receives(struct world *world)
{
    world_channel(world, MAIN, NULL);
    world_channel(world, SIDE, NULL);
    require_ok(rill_receiver_close(&world->mine.rx[MAIN]));
    struct rill_handle handles[2] = {of_sender(world->mine.tx[SIDE]), of_receiver(world->mine.rx[SIDE])};
    require_code(RILL_EBROKEN, rill_send_handles(world->mine.tx[MAIN], "x", 1, handles, 2));
    require(handles[1].as.receiver == world->mine.rx[SIDE]);
    require_ok(send_number(world->mine.tx[SIDE], 3));
    require_equal(3, receive_number(world->mine.rx[SIDE]));
}

static void too_large_with_handles(struct world *world)
{
    struct rill_channel_options options = {.max_message = 100};
    world_channel(world, MAIN, &options);
    world_channel(world, SIDE, NULL);
    char bytes[101] = {0};
    struct rill_handle handle = of_receiver(world->mine.rx[SIDE]);
    require_code(RILL_EMSGSIZE, rill_send_handles(world->mine.tx[MAIN], bytes, sizeof bytes, &handle, 1));
    require(handle.as.receiver == world->mine.rx[SIDE]);
    require_ok(rill_send_handles(world->mine.tx[MAIN], bytes, sizeof bytes - 1, &handle, 1));
    world->mine.rx[SIDE] = NULL;
    rill_message *message = receive_with(world->mine.rx[MAIN], 1);
    require_equal(100, rill_message_size(message));
    require_ok(rill_message_close(&message));
}

static void into_memory_closes_handles(struct world *world)
{
    char bytes[16];
    size_t size;
    struct pipe_ends pipe = make_pipe();
    world_channel(world, MAIN, NULL);
    send_one(world->mine.tx[MAIN], of_descriptor(pipe.writing));
    close(pipe.writing);
    require_ok(rill_recv_into(world->mine.rx[MAIN], bytes, sizeof bytes, RILL_FOREVER, &size));
    require_equal(6, size);
    require_pipe_ends(pipe.reading);
}

/* ---------------------------------------------------------------- mixed with plain messages */

#define PLAIN 300

static void receive_mixed(struct ends *ends)
{
    for (uint64_t i = 0; i < PLAIN; i++) {
        rill_message *message;
        require_ok(rill_recv(ends->rx[MAIN], &message));
        test_note = (long long)i;
        bool with = i % 7 == 3;
        require_equal(with, rill_message_handle_count(message));
        if (with) {
            int descriptor;
            require_ok(rill_message_take_descriptor(message, 0, &descriptor));
            require_equal(sizeof i, write(descriptor, &i, sizeof i));
            close(descriptor);
        }
        require_equal(i, take_number(&message));
    }
}

static void plain_ones_between(struct world *world)
{
    struct peer peer;
    struct pipe_ends pipe = make_pipe();
    world_channel(world, MAIN, NULL);
    peer_start(&peer, world, receive_mixed, 0, END(MAIN), 0);
    for (uint64_t i = 0; i < PLAIN; i++) {
        struct rill_handle handle = of_descriptor(pipe.writing);
        if (i % 7 == 3)
            require_ok(rill_send_handles(world->mine.tx[MAIN], &i, sizeof i, &handle, 1));
        else
            require_ok(send_number(world->mine.tx[MAIN], i));
    }
    close(pipe.writing);
    peer_join(&peer);
    uint64_t number;
    for (uint64_t i = 3; i < PLAIN; i += 7) {
        require_equal(sizeof number, read(pipe.reading, &number, sizeof number));
        require_equal(i, number);
    }
    require_pipe_ends(pipe.reading);
}

#define LINKS 1000

/* Nobody receives yet. */
static void sending_handles_never_waits(struct world *world)
{
    world_channel(world, MAIN, NULL);
    world_channel(world, SIDE, NULL);
    for (unsigned i = 0; i < LINKS; i++)
        send_one(world->mine.tx[MAIN], of_sender(world->mine.tx[SIDE]));
    for (unsigned i = 0; i < LINKS; i++) {
        rill_message *message = receive_with(world->mine.rx[MAIN], 1);
        use_sender(&message, world->mine.rx[SIDE]);
    }
}

static const struct role roles[] = {
    ROLE(send_on_received_sender), ROLE(count_on_received_receiver), ROLE(write_to_received_descriptor), ROLE(pass_on), ROLE(answer_each),
    ROLE(take_all), ROLE(take_same_sender), ROLE(receive_mixed),
};

static const struct conformance_case cases[] = {
    {"a sender that was sent can be used at the other end, and stays its sender's", sender_is_copied, ON_ALL, AT_ALL, 0},
    {"a receiver that was sent receives what comes before and after it went", receiver_is_moved, ON_ALL, AT_ALL, 0},
    {"a file descriptor is duplicated", descriptor_is_duplicated, ON_ALL, AT_ALL, 0},
    {"what was not opened can be passed on, and then opened", opaque_is_passed_on, ON_ALL, AT_ALL, 0},
    {"a message is passed on with those of its handles that were not taken", forwards_what_is_left, ON_ALL, AT_THREADS, 0},
    {"handles arrive in their order", order_with_few_bytes, ON_ALL, AT_ALL, 0},
    {"handles arrive with a large message", order_with_many_bytes, ON_ALL, AT_ALL, 0},
    {"messages with handles keep their place among others", plain_ones_between, ON_ALL, AT_ALL, 0},
    {"300 handles arrive in one message", three_hundred, ON_ALL, AT_ALL, 0},
    {"10,000 handles arrive in one message", ten_thousand, ON_ALL, AT_ALL, 60},
    {"a receiver short of descriptors loses nothing", receiver_short_of_descriptors, ON_SHM | ON_SOCKET, AT_THREADS, 0},
    {"more descriptors under way than the system allows is an error of its own, and goes away", too_many_under_way, ON_SHM | ON_SOCKET, AT_THREADS, 0},
    {"a message that is refused in the middle is not received at all", refused_in_the_middle, ON_SHM | ON_SOCKET, AT_THREADS, 0},
    {"handles that nobody takes are closed with their message", untaken_is_closed, ON_ALL, AT_THREADS, 0},
    {"an end under way keeps its channel alive", end_under_way_keeps_channel, ON_ALL, AT_THREADS, 0},
    {"a sender in a message that nobody reads is closed with it", closed_with_its_message, ON_ALL, AT_THREADS, 0},
    {"ends in a queue that nobody reads are closed with it", closed_with_the_queue, ON_ALL, AT_THREADS, 0},
    {"a receiver in a message that nobody reads is closed with it", receiver_closed_with_its_message, ON_ALL, AT_THREADS, 0},
    {"a sender whose receiver is gone can be sent", sender_of_no_receiver, ON_ALL, AT_THREADS, 0},
    {"receiving the same sender again costs no descriptor", same_sender_costs_nothing, ON_ALL, AT_ALL, 0},
    {"ends inside their own queues leak no descriptor", cycles_leak_nothing, ON_ALL, AT_THREADS, 0},
    {"ends inside their own queues do not stay in the system", cycles_are_taken_apart, ON_SHM | ON_SOCKET, AT_THREADS, 60},
    {"a handle of no such index, of another kind or taken already is refused", indexes_and_kinds, ON_ALL, AT_THREADS, 0},
    {"what is no handle is refused, and nothing is sent", bad_handles, ON_ALL, AT_THREADS, 0},
    {"a receiver cannot stand twice in a message", same_receiver_twice, ON_ALL, AT_THREADS, 0},
    {"a receiver that another thread uses stays", busy_receiver_stays, ON_ALL, AT_THREADS, 0},
    {"handles that could not be sent stay as they are", nobody_receives, ON_ALL, AT_THREADS, 0},
    {"the bound on messages counts the bytes, not the handles", too_large_with_handles, ON_ALL, AT_THREADS, 0},
    {"a message that is copied out leaves its handles closed", into_memory_closes_handles, ON_ALL, AT_THREADS, 0},
    {"sending handles does not wait for the receiver", sending_handles_never_waits, ON_QUEUES, AT_THREADS, 60},
};

int main(int argc, char **argv)
{
    return conformance_main(argc, argv, cases, COUNT_OF(cases), roles, COUNT_OF(roles));
}
