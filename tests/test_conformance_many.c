/* SPDX-License-Identifier: MIT */
/* Many senders: threads on one sender, clones, processes, and those that come and go. */
#include "conformance.h"

enum { SENDERS = 6, THREADS = 4 };

static size_t size_of(uint64_t number)
{
    return STAMP_SIZE + (number % 100 == 99 ? 20000 : number % 200);
}

static void send_stamps(rill_sender *sender, uint64_t name, uint64_t count)
{
    static _Thread_local unsigned char bytes[21000];
    for (uint64_t i = 0; i < count; i++) {
        stamp(bytes, size_of(i), name, i);
        require_ok(rill_send(sender, bytes, size_of(i)));
    }
}

/* Receives until the end; every sender's messages are whole, in order, and `count` of them each. */
static void receive_stamps(rill_receiver *receiver, uint64_t senders, uint64_t count)
{
    rill_message *message = NULL;
    uint64_t *next = calloc(senders, sizeof *next);
    int result;
    require(next != NULL);
    while ((result = rill_recv(receiver, &message)) == 0) {
        uint64_t sender, number;
        require(stamped(rill_message_data(message), rill_message_size(message), &sender, &number));
        require(sender < senders);
        require_equal(next[sender]++, number);
        require_ok(rill_message_close(&message));
    }
    require_code(RILL_EDISCONNECTED, result);
    for (uint64_t i = 0; i < senders; i++)
        require_equal(count, next[i]);
    free(next);
}

/* ---------------------------------------------------------------- threads */

struct thread {
    pthread_t thread;
    rill_sender *sender;
    uint64_t name, count;
    bool own; /* it closes the sender */
};

static void *run_sender(void *argument)
{
    struct thread *thread = argument;
    send_stamps(thread->sender, thread->name, thread->count);
    if (thread->own)
        require_ok(rill_sender_close(&thread->sender));
    return NULL;
}

static void run_threads(rill_sender *sender, uint64_t first_name, uint64_t count, bool clones)
{
    struct thread threads[THREADS] = {0};
    for (unsigned i = 0; i < THREADS; i++) {
        threads[i] = (struct thread){.sender = sender, .name = first_name + i, .count = count, .own = clones};
        if (clones)
            require_ok(rill_sender_clone(sender, &threads[i].sender));
        require(pthread_create(&threads[i].thread, NULL, run_sender, &threads[i]) == 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        require(pthread_join(threads[i].thread, NULL) == 0);
}

static void send_from_threads(struct ends *ends)
{
    run_threads(ends->tx[0], ends->argument * THREADS, rounds(10000), false);
}

static void send_from_clones(struct ends *ends)
{
    run_threads(ends->tx[0], ends->argument * THREADS, rounds(10000), true);
}

static void threads_of_one_sender(struct world *world)
{
    struct peer peer;
    world_channel(world, 0, NULL);
    peer_start(&peer, world, send_from_threads, FIRST, 0, 0);
    receive_stamps(world->mine.rx[0], THREADS, rounds(10000));
    peer_join(&peer);
}

static void threads_with_clones(struct world *world)
{
    struct peer peer;
    world_channel(world, 0, NULL);
    peer_start(&peer, world, send_from_clones, FIRST, 0, 0);
    receive_stamps(world->mine.rx[0], THREADS, rounds(10000));
    peer_join(&peer);
}

/* ---------------------------------------------------------------- places */

static void send_alone(struct ends *ends)
{
    send_stamps(ends->tx[0], ends->argument, rounds(5000));
}

static void start_senders(struct world *world, struct peer *peers, role_function *run, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        world_clone(world, 0, 1);
        peer_start(&peers[i], world, run, END(1), 0, i);
    }
    require_ok(rill_sender_close(&world->mine.tx[0]));
}

static void several_places(struct world *world, role_function *run, unsigned each, uint64_t count)
{
    struct peer peers[SENDERS];
    world_channel(world, 0, NULL);
    start_senders(world, peers, run, SENDERS);
    receive_stamps(world->mine.rx[0], SENDERS * each, count);
    for (unsigned i = 0; i < SENDERS; i++)
        peer_join(&peers[i]);
}

static void send_alone_from_second(struct ends *ends)
{
    require_ok(rill_sender_clone(ends->tx[1], &ends->tx[0]));
    send_alone(ends);
}

static void several_senders(struct world *world)
{
    several_places(world, send_alone_from_second, 1, rounds(5000));
}

static void threads_of_second(struct ends *ends)
{
    run_threads(ends->tx[1], ends->argument * THREADS, rounds(2000), ends->argument % 2);
}

static void several_with_threads(struct world *world)
{
    several_places(world, threads_of_second, THREADS, rounds(2000));
}

static void send_a_few(struct ends *ends)
{
    send_stamps(ends->tx[1], ends->argument, 10);
}

static void come_and_go(struct world *world)
{
    uint64_t visitors = world->place == PLACE_EXECUTED ? 40 : 150;
    uint64_t received = 0;
    size_t descriptors = 0;
    world_channel(world, 0, NULL);
    for (uint64_t i = 0; i < visitors; i++) {
        struct peer peer;
        rill_message *message = NULL;
        world_clone(world, 0, 1);
        peer_start(&peer, world, send_a_few, END(1), 0, i);
        for (uint64_t j = 0; j < 10; j++, received++) {
            uint64_t sender, number;
            require_ok(rill_recv(world->mine.rx[0], &message));
            require(stamped(rill_message_data(message), rill_message_size(message), &sender, &number));
            require_equal(i, sender);
            require_equal(j, number);
            require_ok(rill_message_close(&message));
        }
        peer_join(&peer);
        require_code(RILL_EEMPTY, rill_try_recv(world->mine.rx[0], &message));
        if (i == 10)
            descriptors = count_descriptors();
    }
    require_equal(visitors * 10, received);
    require(count_descriptors() <= descriptors + 2);
}

/* They all are there before the first message is received. */
static void send_a_few_and_wait(struct ends *ends)
{
    send_a_few(ends);
    flag_raise(ends->board, SLOT_FREE + (unsigned)ends->argument);
    flag_wait(ends->board, SLOT_GO);
}

static void many_there_at_once(struct world *world)
{
    enum { CROWD = 40 };
    static struct peer peers[CROWD];
    world_channel(world, 0, NULL);
    start_senders(world, peers, send_a_few_and_wait, CROWD);
    for (unsigned i = 0; i < CROWD; i++)
        flag_wait(world->mine.board, SLOT_FREE + i);
    flag_raise(world->mine.board, SLOT_GO);
    receive_stamps(world->mine.rx[0], CROWD, 10);
    for (unsigned i = 0; i < CROWD; i++)
        peer_join(&peers[i]);
}

/* ---------------------------------------------------------------- threads that come and go */

static void send_from_short_threads(struct ends *ends)
{
    struct rill_stats stats = {.size = sizeof stats};
    for (uint64_t i = 0; i < ends->argument; i++) {
        struct thread thread = {.sender = ends->tx[0], .name = i, .count = 1};
        require(pthread_create(&thread.thread, NULL, run_sender, &thread) == 0);
        require(pthread_join(thread.thread, NULL) == 0);
    }
    require_ok(rill_sender_stats(ends->tx[0], &stats));
    require(stats.rings <= 4);
    require_equal(ends->argument, stats.messages);
}

static void short_threads(struct world *world)
{
    struct peer peer;
    uint64_t count = rounds(1000);
    world_channel(world, 0, NULL);
    peer_start(&peer, world, send_from_short_threads, FIRST, 0, count);
    for (uint64_t i = 0; i < count; i++) {
        rill_message *message = NULL;
        uint64_t sender, number;
        require_ok(rill_recv(world->mine.rx[0], &message));
        require(stamped(rill_message_data(message), rill_message_size(message), &sender, &number));
        require_equal(i, sender);
        require_ok(rill_message_close(&message));
    }
    peer_join(&peer);
}

static const struct role roles[] = {ROLE(send_from_threads), ROLE(send_from_clones), ROLE(send_alone_from_second),
                                    ROLE(threads_of_second), ROLE(send_a_few),       ROLE(send_a_few_and_wait),
                                    ROLE(send_from_short_threads)};

static const struct conformance_case cases[] = {
    {"threads send on one sender: none is lost, each in its order", threads_of_one_sender, ON_ALL, AT_ALL, 60},
    {"threads send on clones: none is lost, each in its order", threads_with_clones, ON_ALL, AT_ALL, 60},
    {"several places send: none is lost, each in its order", several_senders, ON_ALL, AT_ALL, 60},
    {"several threads of several places send: none is lost, each in its order", several_with_threads, ON_ALL, AT_ALL, 60},
    {"senders come and go, and leave no descriptor at the receiver", come_and_go, ON_ALL, AT_ALL, 60},
    {"forty places send before anybody receives", many_there_at_once, ON_QUEUES, AT_ALL, 60},
    {"threads that come and go share the rings, in order", short_threads, ON_ALL, AT_ALL, 60},
};

int main(int argc, char **argv)
{
    return conformance_main(argc, argv, cases, COUNT_OF(cases), roles, COUNT_OF(roles));
}
