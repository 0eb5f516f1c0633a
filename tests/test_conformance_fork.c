/* SPDX-License-Identifier: MIT */
/* fork: what a child may do with ends that it inherited, also from a process with many threads. */
#include "conformance.h"

#include <sys/wait.h>

#define ON_PROCESSES (ON_SHM | ON_SOCKET)

/* Runs a part of a test in a child, which ends there. */
#define IN_CHILD(child, ...)       \
    do {                           \
        (child) = fork_child();    \
        if ((child) == 0) {        \
            __VA_ARGS__            \
            _exit(0);              \
        }                          \
    } while (0)

static void child_sends_first(struct world *world)
{
    pid_t child;
    world_channel(world, 0, NULL);
    IN_CHILD(child, require_ok(send_filled(world->mine.tx[0], 5000, 1)););
    receive_filled(world->mine.rx[0], 5000, 1);
    join_child(child);
}

static void child_sends_after_parent(struct world *world)
{
    pid_t child;
    world_channel(world, 0, NULL);
    require_ok(send_filled(world->mine.tx[0], 300, 1));
    require_ok(send_filled(world->mine.tx[0], 20000, 2));
    IN_CHILD(child, {
        require_ok(send_filled(world->mine.tx[0], 300, 3));
        require_ok(send_filled(world->mine.tx[0], 20000, 4));
    });
    join_child(child);
    require_ok(send_filled(world->mine.tx[0], 300, 5));
    receive_filled(world->mine.rx[0], 300, 1);
    receive_filled(world->mine.rx[0], 20000, 2);
    receive_filled(world->mine.rx[0], 300, 3);
    receive_filled(world->mine.rx[0], 20000, 4);
    receive_filled(world->mine.rx[0], 300, 5);
}

static void grandchildren_send(struct world *world, unsigned depth)
{
    pid_t child;
    require_ok(send_number(world->mine.tx[0], depth));
    if (depth == 6)
        return;
    IN_CHILD(child, grandchildren_send(world, depth + 1););
    join_child(child);
    require_ok(send_number(world->mine.tx[0], 100 + depth));
}

static void generations_send(struct world *world)
{
    world_channel(world, 0, NULL);
    grandchildren_send(world, 0);
    for (unsigned i = 0; i <= 6; i++)
        require_equal(i, receive_number(world->mine.rx[0]));
    for (unsigned i = 6; i > 0; i--)
        require_equal(100 + i - 1, receive_number(world->mine.rx[0]));
}

static void receive_numbers(rill_receiver *receiver, uint64_t from, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        require_equal(from + i, receive_number(receiver));
}

static void child_receives(struct world *world)
{
    pid_t child;
    world_channel(world, 0, NULL);
    require_ok(send_number(world->mine.tx[0], 0));
    IN_CHILD(child, {
        rill_message *message = NULL;
        require_ok(rill_sender_close(&world->mine.tx[0]));
        receive_numbers(world->mine.rx[0], 0, 100);
        require_code(RILL_EDISCONNECTED, rill_recv(world->mine.rx[0], &message));
        require_ok(rill_receiver_close(&world->mine.rx[0]));
    });
    require_ok(rill_receiver_close(&world->mine.rx[0]));
    for (uint64_t i = 1; i < 100; i++)
        require_ok(send_number(world->mine.tx[0], i));
    require_ok(rill_sender_close(&world->mine.tx[0]));
    join_child(child);
}

static void child_receiver_ends(struct world *world)
{
    pid_t child;
    world_channel(world, 0, NULL);
    IN_CHILD(child, {
        receive_numbers(world->mine.rx[0], 0, 1);
        require_ok(rill_receiver_close(&world->mine.rx[0]));
        flag_raise(world->mine.board, SLOT_READY);
        flag_wait(world->mine.board, SLOT_GO);
    });
    require_ok(rill_receiver_close(&world->mine.rx[0]));
    require_ok(send_number(world->mine.tx[0], 0));
    flag_wait(world->mine.board, SLOT_READY);
    require_code(RILL_EBROKEN, send_number(world->mine.tx[0], 1));
    flag_raise(world->mine.board, SLOT_GO);
    join_child(child);
}

static void released_to_child(struct world *world)
{
    pid_t child;
    world_channel(world, 0, NULL);
    for (uint64_t i = 0; i < 30; i++)
        require_ok(send_number(world->mine.tx[0], i));
    receive_numbers(world->mine.rx[0], 0, 10);
    IN_CHILD(child, {
        flag_wait(world->mine.board, SLOT_GO);
        receive_numbers(world->mine.rx[0], 10, 30);
    });
    require_ok(rill_receiver_release(&world->mine.rx[0]));
    require(world->mine.rx[0] == NULL);
    flag_raise(world->mine.board, SLOT_GO);
    for (uint64_t i = 30; i < 40; i++)
        require_ok(send_number(world->mine.tx[0], i));
    join_child(child);
}

static void released_by_the_last(struct world *world)
{
    world_channel(world, 0, NULL);
    require_ok(send_number(world->mine.tx[0], 1));
    require_ok(rill_receiver_release(&world->mine.rx[0]));
    unsigned sent = 0;
    int result;
    do
        result = send_filled(world->mine.tx[0], 1000, sent++);
    while (result == 0 && sent < 100000);
    require_code(RILL_EBROKEN, result);
}

static void second_process_is_busy(struct world *world)
{
    pid_t child;
    world_channel(world, 0, NULL);
    require_ok(send_number(world->mine.tx[0], 1));
    require_ok(send_number(world->mine.tx[0], 2));
    require_equal(1, receive_number(world->mine.rx[0]));
    IN_CHILD(child, {
        rill_message *message = NULL;
        require_code(RILL_EBUSY, rill_try_recv(world->mine.rx[0], &message));
        require_code(RILL_EBUSY, rill_recv(world->mine.rx[0], &message));
        require_ok(rill_receiver_close(&world->mine.rx[0]));
    });
    join_child(child);
    require_equal(2, receive_number(world->mine.rx[0]));
    require_ok(send_number(world->mine.tx[0], 3));
    require_equal(3, receive_number(world->mine.rx[0]));
}

static void copies_keep_it_alive(struct world *world)
{
    pid_t child;
    rill_message *message = NULL;
    world_channel(world, 0, NULL);
    IN_CHILD(child, flag_wait(world->mine.board, SLOT_GO););
    require_ok(rill_sender_close(&world->mine.tx[0]));
    require_code(RILL_EEMPTY, rill_try_recv(world->mine.rx[0], &message));
    require_code(RILL_ETIMEDOUT, rill_recv_timeout(world->mine.rx[0], 10 * MILLISECOND, &message));
    flag_raise(world->mine.board, SLOT_GO);
    require_code(RILL_EDISCONNECTED, rill_recv(world->mine.rx[0], &message));
    join_child(child);
}

static void child_closes_all(struct world *world)
{
    pid_t child;
    rill_message *small = NULL, *large = NULL;
    world_channel(world, 0, NULL);
    require_ok(send_filled(world->mine.tx[0], 100, 1));
    require_ok(send_filled(world->mine.tx[0], 50000, 2));
    require_ok(send_filled(world->mine.tx[0], 60000, 3));
    require_ok(rill_recv(world->mine.rx[0], &small));
    require_ok(rill_recv(world->mine.rx[0], &large));
    IN_CHILD(child, {
        require_ok(rill_message_close(&small));
        require_ok(rill_message_close(&large));
        close_ends(&world->mine);
    });
    join_child(child);
    require_message(&small, 100, 1);
    require_message(&large, 50000, 2);
    receive_filled(world->mine.rx[0], 60000, 3);
    require_ok(send_filled(world->mine.tx[0], 70000, 4));
    receive_filled(world->mine.rx[0], 70000, 4);
}

static void child_of_sender_exits(struct world *world)
{
    pid_t child;
    world_channel(world, 0, NULL);
    for (unsigned i = 0; i < 50; i++) {
        require_ok(send_filled(world->mine.tx[0], i * 100, i));
        IN_CHILD(child, (void)0;);
        join_child(child);
        receive_filled(world->mine.rx[0], i * 100, i);
    }
}

static void child_makes_channels(struct world *world)
{
    pid_t child;
    world_channel(world, 0, NULL);
    require_ok(send_filled(world->mine.tx[0], 9000, 1));
    IN_CHILD(child, {
        world_channel(world, 1, NULL);
        require_ok(send_filled(world->mine.tx[1], 9000, 2));
        receive_filled(world->mine.rx[1], 9000, 2);
        close_ends(&world->mine);
    });
    join_child(child);
    receive_filled(world->mine.rx[0], 9000, 1);
}

/* ---------------------------------------------------------------- a parent with many threads */

enum { THREADS = 3, CHILDREN = 20, EACH = 100 };

struct busy {
    pthread_t thread;
    rill_sender *sender;
    uint64_t name, sent;
    _Atomic bool stop;
};

static void *send_all_the_time(void *argument)
{
    struct busy *busy = argument;
    unsigned char bytes[4000];
    struct dice dice = {busy->name};
    while (!atomic_load(&busy->stop)) {
        size_t size = STAMP_SIZE + roll(&dice) % (sizeof bytes - STAMP_SIZE);
        stamp(bytes, size, busy->name, busy->sent);
        require_ok(rill_send(busy->sender, bytes, size));
        busy->sent++;
    }
    return NULL;
}

static void send_as_child(rill_sender *sender, uint64_t name)
{
    unsigned char bytes[4000];
    for (uint64_t i = 0; i < EACH; i++) {
        size_t size = STAMP_SIZE + i % 10 * 390;
        stamp(bytes, size, name, i);
        require_ok(rill_send(sender, bytes, size));
    }
}

/* Receives until the end; gives how many each sender sent. */
static void receive_all(rill_receiver *receiver, uint64_t *next, uint64_t senders)
{
    rill_message *message = NULL;
    int result;
    while ((result = rill_recv(receiver, &message)) == 0) {
        uint64_t sender, number;
        require(stamped(rill_message_data(message), rill_message_size(message), &sender, &number));
        require(sender < senders);
        require_equal(next[sender]++, number);
        require_ok(rill_message_close(&message));
    }
    require_code(RILL_EDISCONNECTED, result);
}

static void send_and_fork(struct world *world)
{
    struct busy busy[THREADS] = {0};
    pid_t children[CHILDREN];
    for (unsigned i = 0; i < THREADS; i++) {
        busy[i].sender = world->mine.tx[0];
        busy[i].name = i;
        require(pthread_create(&busy[i].thread, NULL, send_all_the_time, &busy[i]) == 0);
    }
    for (unsigned i = 0; i < CHILDREN; i++) {
        IN_CHILD(children[i], send_as_child(world->mine.tx[0], THREADS + i););
        if (i % 4 == 3)
            for (unsigned j = i - 3; j <= i; j++)
                join_child(children[j]);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        atomic_store(&busy[i].stop, true);
        require(pthread_join(busy[i].thread, NULL) == 0);
        atomic_store(&world->mine.board->value[SLOT_FREE + i], busy[i].sent);
    }
}

static void fork_among_threads(struct world *world)
{
    uint64_t next[THREADS + CHILDREN] = {0};
    pid_t sender;
    if (SANITIZED)
        skip_test("a child may inherit a lock of the sanitizer's own, which another thread held");
    world_channel(world, 0, NULL);
    IN_CHILD(sender, {
        require_ok(rill_receiver_close(&world->mine.rx[0]));
        send_and_fork(world);
    });
    require_ok(rill_sender_close(&world->mine.tx[0]));
    receive_all(world->mine.rx[0], next, COUNT_OF(next));
    join_child(sender);
    for (unsigned i = 0; i < THREADS; i++)
        require_equal(atomic_load(&world->mine.board->value[SLOT_FREE + i]), next[i]);
    for (unsigned i = THREADS; i < COUNT_OF(next); i++)
        require_equal(EACH, next[i]);
}

/* A message with channel 1's receiver, which has received `taken` numbers of its queue. */
static rill_message *message_with_receiver(struct world *world, uint64_t taken)
{
    rill_message *message;
    world_channel(world, 0, NULL);
    world_channel(world, 1, NULL);
    for (uint64_t i = 0; i < taken + 3; i++)
        require_ok(send_number(world->mine.tx[1], i));
    for (uint64_t i = 0; i < taken; i++)
        require_equal(i, receive_number(world->mine.rx[1]));
    struct rill_handle handle = {.kind = RILL_HANDLE_RECEIVER, .as.receiver = world->mine.rx[1]};
    require_ok(rill_send_handles(world->mine.tx[0], NULL, 0, &handle, 1));
    world->mine.rx[1] = NULL;
    require_ok(rill_recv(world->mine.rx[0], &message));
    return message;
}

static void take_and_read(rill_message *message, uint64_t first)
{
    rill_receiver *rx;
    require_ok(rill_message_take_receiver(message, 0, &rx));
    for (uint64_t i = 0; i < 3; i++)
        require_equal(first + i, receive_number(rx));
    require_ok(rill_receiver_close(&rx));
}

/* A child closes a message with an untaken receiver, and an opaque one: they are its parent's. */
static void child_closes_handles(struct world *world)
{
    pid_t child;
    rill_message *message = message_with_receiver(world, 2);
    IN_CHILD(child, {
        struct rill_handle handle;
        require_ok(rill_message_take(message, 0, RILL_HANDLE_OPAQUE, &handle));
        require_ok(rill_opaque_close(&handle.as.opaque));
        require_ok(rill_message_close(&message));
    });
    join_child(child);
    IN_CHILD(child, require_ok(rill_message_close(&message)););
    join_child(child);
    take_and_read(message, 2);
    require_code(RILL_EBROKEN, send_number(world->mine.tx[1], 1));
    require_ok(rill_message_close(&message));
}

/* Parent and child both have the message. Who takes the receiver first has it, and the other does it no harm. */
static void one_takes_the_receiver(struct world *world)
{
    rill_receiver *rx;
    pid_t child;
    rill_message *message = message_with_receiver(world, 2);
    IN_CHILD(child, {
        take_and_read(message, 2);
        require_ok(rill_message_close(&message));
    });
    join_child(child);
    require_code(RILL_EBUSY, rill_message_take_receiver(message, 0, &rx));
    require_ok(rill_message_close(&message));
    close_ends(&world->mine);

    struct board *board = world->mine.board;
    message = message_with_receiver(world, 2);
    IN_CHILD(child, {
        require_ok(rill_message_take_receiver(message, 0, &rx));
        flag_raise(board, SLOT_READY);
        flag_wait(board, SLOT_GO);
        for (uint64_t i = 2; i < 6; i++)
            require_equal(i, receive_number(rx));
    });
    flag_wait(board, SLOT_READY);
    require_ok(rill_message_close(&message)); /* untaken here */
    require_ok(send_number(world->mine.tx[1], 5));
    flag_raise(board, SLOT_GO);
    join_child(child);
}

/* One that has not received yet is claimed by the first receive; a copy that knows less is not taken up again. */
static void one_receives_on_the_new_receiver(struct world *world)
{
    rill_receiver *rx;
    pid_t child;
    rill_message *got, *message = message_with_receiver(world, 0);
    require_ok(rill_message_take_receiver(message, 0, &rx));
    IN_CHILD(child, {
        rill_receiver *other;
        require_equal(0, receive_number(rx));
        require_code(RILL_ENOHANDLE, rill_message_take_receiver(message, 0, &other));
        require_ok(rill_receiver_release(&rx));
    });
    require_ok(rill_message_close(&message));
    join_child(child);
    require_code(RILL_EBUSY, rill_recv(rx, &got));
    require_ok(rill_receiver_close(&rx));
}

static const struct role roles[] = {{NULL, NULL}};

static const struct conformance_case cases[] = {
    {"a child sends first", child_sends_first, ON_PROCESSES, AT_FORKED, 0},
    {"a child sends after its parent has sent, in order", child_sends_after_parent, ON_PROCESSES, AT_FORKED, 0},
    {"generations of children send, in order", generations_send, ON_PROCESSES, AT_FORKED, 0},
    {"a child receives after its parent has let go", child_receives, ON_PROCESSES, AT_FORKED, 0},
    {"a child that closes its receiver ends the channel", child_receiver_ends, ON_PROCESSES, AT_FORKED, 0},
    {"a receiver is released to a child in mid-stream", released_to_child, ON_PROCESSES, AT_FORKED, 0},
    {"a receiver that its last holder released ends the channel", released_by_the_last, ON_PROCESSES, AT_FORKED, 0},
    {"a second process that receives is told that it is busy", second_process_is_busy, ON_PROCESSES, AT_FORKED, 0},
    {"a child's unused copy keeps the channel alive", copies_keep_it_alive, ON_PROCESSES, AT_FORKED, 0},
    {"a child that closes its copies of all takes nothing from its parent", child_closes_all, ON_PROCESSES, AT_FORKED, 0},
    {"a child that exits takes nothing from its parent", child_of_sender_exits, ON_PROCESSES, AT_FORKED, 0},
    {"a child makes channels of its own", child_makes_channels, ON_PROCESSES, AT_FORKED, 0},
    {"a child that closes a message takes its handles from nobody", child_closes_handles, ON_PROCESSES, AT_FORKED, 0},
    {"of two processes that have a message, one takes the receiver in it", one_takes_the_receiver, ON_PROCESSES, AT_FORKED, 0},
    {"a receiver that a child let go is not taken up by a copy that knows less", one_receives_on_the_new_receiver, ON_PROCESSES, AT_FORKED, 0},
    {"a process whose threads send forks children that send", fork_among_threads, ON_PROCESSES, AT_FORKED, 60},
};

int main(int argc, char **argv)
{
    return conformance_main(argc, argv, cases, COUNT_OF(cases), roles, COUNT_OF(roles));
}
