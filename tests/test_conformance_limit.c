/* SPDX-License-Identifier: MIT */
/* A queue with a limit: the error, and waiting for room. */
#include "conformance.h"

#define LIMIT ((uint64_t)64 << 10)
#define SIZE ((size_t)1000)
#define COUNTED (SIZE + 32) /* what a message counts at most */
#define FEW (3 * LIMIT / SIZE)

static const struct rill_channel_options with_error = {.limit = LIMIT, .on_full = RILL_FULL_ERROR};
static const struct rill_channel_options with_wait = {.limit = LIMIT, .on_full = RILL_FULL_WAIT};

/* Sends until it is refused; gives how many went. */
static uint64_t fill_up(rill_sender *sender)
{
    uint64_t sent = 0;
    for (;; sent++) {
        unsigned char bytes[SIZE];
        fill(bytes, SIZE, sent);
        int result = rill_send_until(sender, bytes, SIZE, RILL_NOW);
        if (result == RILL_EFULL)
            return sent;
        require_ok(result);
    }
}

/* The same by the channel's own rule, from number `sent` on. The two calls may count a message differently, by less than it has bytes. */
static uint64_t fill_up_further(rill_sender *sender, uint64_t sent)
{
    int result;
    while ((result = send_filled(sender, SIZE, sent)) == 0)
        sent++;
    require_code(RILL_EFULL, result);
    return sent;
}

static void drain(rill_receiver *receiver, uint64_t from, uint64_t count)
{
    rill_message *message = NULL;
    for (uint64_t i = 0; i < count; i++) {
        test_note = (long long)(from + i);
        receive_filled(receiver, SIZE, from + i);
    }
    require_code(RILL_EEMPTY, rill_try_recv(receiver, &message));
}

/* Of a socket the buffer is the limit. */
static void require_filled(const struct world *world, uint64_t sent)
{
    require(sent > 0);
    if (world->mine.transport == RILL_SOCKET)
        return;
    require(sent * SIZE <= LIMIT);
    require((sent + 1) * COUNTED > LIMIT);
}

static void error_at_limit(struct world *world)
{
    world_channel(world, 0, &with_error);
    for (unsigned i = 0; i < 5; i++) {
        uint64_t sent = fill_up_further(world->mine.tx[0], fill_up(world->mine.tx[0]));
        require_filled(world, sent);
        for (unsigned j = 0; j < 3; j++)
            require_code(RILL_EFULL, send_filled(world->mine.tx[0], SIZE, 0));
        drain(world->mine.rx[0], 0, sent);
    }
}

static void limit_is_default_error(struct world *world)
{
    world_channel(world, 0, &(struct rill_channel_options){.limit = 100});
    require_ok(send_filled(world->mine.tx[0], 60, 0));
    require_code(RILL_EFULL, send_filled(world->mine.tx[0], 60, 1));
    receive_filled(world->mine.rx[0], 60, 0);
    require_ok(send_filled(world->mine.tx[0], 60, 2));
    receive_filled(world->mine.rx[0], 60, 2);
}

static void empty_messages_count(struct world *world)
{
    world_channel(world, 0, &with_error);
    uint64_t sent = 0;
    while (sent < LIMIT && rill_send_until(world->mine.tx[0], NULL, 0, RILL_NOW) == 0)
        sent++;
    require(sent < LIMIT);
    for (uint64_t i = 0; i < sent; i++)
        receive_filled(world->mine.rx[0], 0, i);
}

static void above_limit_alone(struct world *world)
{
    world_channel(world, 0, &(struct rill_channel_options){.limit = 1000, .on_full = RILL_FULL_ERROR});
    for (unsigned i = 0; i < 4; i++) {
        require_ok(send_filled(world->mine.tx[0], 30000, i));
        require_code(RILL_EFULL, send_filled(world->mine.tx[0], 30000, 9));
        require_code(RILL_EFULL, send_filled(world->mine.tx[0], 1, 9));
        receive_filled(world->mine.rx[0], 30000, i);
        require_ok(send_filled(world->mine.tx[0], 1, i));
        require_code(RILL_EFULL, send_filled(world->mine.tx[0], 30000, 9));
        receive_filled(world->mine.rx[0], 1, i);
    }
}

static void kept_messages_are_no_queue(struct world *world)
{
    rill_message *held[50] = {0};
    uint64_t next = 0;
    world_channel(world, 0, &(struct rill_channel_options){.limit = 4 * COUNTED, .on_full = RILL_FULL_ERROR});
    while (next < COUNT_OF(held)) {
        require_ok(send_filled(world->mine.tx[0], SIZE, next));
        require_ok(rill_recv(world->mine.rx[0], &held[next++]));
    }
    for (uint64_t i = 0; i < next; i++)
        require_message(&held[i], SIZE, i);
}

static void many_up_to_limit(struct world *world)
{
    static unsigned char bytes[100][SIZE];
    struct rill_bytes batch[100];
    size_t sent = 0;
    world_channel(world, 0, &with_error);
    for (unsigned i = 0; i < 100; i++) {
        fill(bytes[i], SIZE, i);
        batch[i] = (struct rill_bytes){bytes[i], SIZE};
    }
    require_code(RILL_EFULL, rill_send_many(world->mine.tx[0], batch, 100, &sent));
    require_filled(world, sent);
    drain(world->mine.rx[0], 0, sent);
    require_code(RILL_EFULL, rill_send_many(world->mine.tx[0], batch, 100, NULL));
}

/* ---------------------------------------------------------------- waiting for room */

static void send_waiting(struct ends *ends)
{
    announce(ends->board, SLOT_NAME);
    for (uint64_t i = 0; i < ends->argument; i++)
        require_ok(send_filled(ends->tx[0], SIZE, i));
}

static void woken_when_room(struct world *world)
{
    struct peer peer;
    world_channel(world, 0, &with_wait);
    peer_start(&peer, world, send_waiting, FIRST, 0, FEW);
    wait_until_asleep(world->mine.board, SLOT_NAME);
    for (uint64_t i = 0; i < FEW; i++)
        receive_filled(world->mine.rx[0], SIZE, i);
    peer_join(&peer);
}

/* The receiver lets the sender fall asleep again and again. */
static void woken_every_time(struct world *world)
{
    struct peer peer;
    rill_message *message = NULL;
    uint64_t next = 0, sleeps = 0;
    /* What the queue may hold at most: a socket's buffer holds more than the limit, which does not count there. */
    uint64_t held = world->mine.transport == RILL_SOCKET ? 4 * LIMIT / SIZE : LIMIT / SIZE, count = held + 9 * LIMIT / SIZE;
    world_channel(world, 0, &with_wait);
    peer_start(&peer, world, send_waiting, FIRST, 0, count);
    while (next + held < count) { /* so many are not received yet: the sender cannot have ended */
        wait_until_asleep(world->mine.board, SLOT_NAME);
        sleeps++;
        for (unsigned i = 0; i < LIMIT / SIZE && rill_try_recv(world->mine.rx[0], &message) == 0; i++)
            require_message(&message, SIZE, next++);
    }
    require(sleeps > 3);
    for (; next < count; next++)
        receive_filled(world->mine.rx[0], SIZE, next);
    peer_join(&peer);
}

static void send_through_small_limit(struct ends *ends)
{
    struct dice dice = {7};
    for (uint64_t i = 0; i < ends->argument; i++)
        require_ok(send_filled(ends->tx[0], roll(&dice) % (i % 50 ? 1000 : 100000), i));
}

static void stream_through(struct world *world, uint64_t limit, int64_t spin, size_t count)
{
    struct peer peer;
    struct dice dice = {7};
    world_channel(world, 0, &(struct rill_channel_options){.limit = limit, .on_full = RILL_FULL_WAIT, .spin = spin});
    peer_start(&peer, world, send_through_small_limit, FIRST, 0, count);
    for (uint64_t i = 0; i < count; i++) {
        test_note = (long long)i;
        receive_filled(world->mine.rx[0], roll(&dice) % (i % 50 ? 1000 : 100000), i);
    }
    peer_join(&peer);
}

static void stream_of_one(struct world *world)
{
    stream_through(world, 1, 0, rounds(2000));
}

static void stream_of_some(struct world *world)
{
    stream_through(world, 3000, 0, rounds(10000));
    close_ends(&world->mine);
    stream_through(world, 3000, -1, rounds(10000));
}

static void stream_of_pipeline(struct world *world)
{
    stream_through(world, RILL_PIPELINE_LIMIT, 0, rounds(20000));
}

static void queue_stays_below(struct world *world)
{
    struct peer peer;
    struct rill_stats stats = {.size = sizeof stats};
    world_channel(world, 0, &with_wait);
    peer_start(&peer, world, send_waiting, FIRST, 0, 5 * FEW);
    for (uint64_t i = 0; i < 5 * FEW; i++) {
        receive_filled(world->mine.rx[0], SIZE, i);
        require_ok(rill_receiver_stats(world->mine.rx[0], &stats));
        require(stats.queued_bytes <= LIMIT + COUNTED);
    }
    peer_join(&peer);
}

static void wait_times_out(struct world *world)
{
    static const int64_t spans[] = {1, MICROSECOND, 100 * MICROSECOND, 3 * MILLISECOND, 30 * MILLISECOND};
    struct rill_channel_options options = with_wait;
    for (unsigned i = 0; i < COUNT_OF(spans); i++) {
        test_note = spans[i];
        options.send_timeout = spans[i];
        world_channel(world, 0, &options);
        uint64_t sent = fill_up(world->mine.tx[0]);
        for (unsigned j = 0; j < 3; j++) {
            int64_t from = rill_clock();
            require_code(RILL_ETIMEDOUT, send_filled(world->mine.tx[0], SIZE, 0));
            require(rill_clock() - from >= spans[i]);
        }
        drain(world->mine.rx[0], 0, sent);
        require_ok(send_filled(world->mine.tx[0], SIZE, 5));
        receive_filled(world->mine.rx[0], SIZE, 5);
        close_ends(&world->mine);
    }
}

static void deadline_of_the_call(struct world *world, const struct rill_channel_options *options)
{
    unsigned char bytes[SIZE] = {0};
    world_channel(world, 0, options);
    uint64_t sent = fill_up(world->mine.tx[0]);
    require_code(RILL_EFULL, rill_send_until(world->mine.tx[0], bytes, SIZE, RILL_NOW));
    require_code(RILL_ETIMEDOUT, rill_send_until(world->mine.tx[0], bytes, SIZE, 1));
    for (unsigned i = 0; i < 3; i++) {
        int64_t deadline = rill_clock() + 5 * MILLISECOND;
        require_code(RILL_ETIMEDOUT, rill_send_until(world->mine.tx[0], bytes, SIZE, deadline));
        require(rill_clock() >= deadline);
    }
    drain(world->mine.rx[0], 0, sent);
    require_ok(rill_send_until(world->mine.tx[0], bytes, SIZE, 1));
}

static void deadline_beats_error(struct world *world)
{
    deadline_of_the_call(world, &with_error);
}

static void deadline_beats_wait(struct world *world)
{
    deadline_of_the_call(world, &with_wait);
}

static void send_for_ever(struct ends *ends)
{
    unsigned char bytes[SIZE];
    announce(ends->board, SLOT_NAME);
    for (uint64_t i = 0; i < FEW; i++) {
        fill(bytes, SIZE, i);
        require_ok(rill_send_until(ends->tx[0], bytes, SIZE, i % 2 ? RILL_FOREVER : rill_clock() + 100 * SECOND));
    }
}

static void for_ever_beats_error(struct world *world)
{
    struct peer peer;
    world_channel(world, 0, &with_error);
    peer_start(&peer, world, send_for_ever, FIRST, 0, 0);
    wait_until_asleep(world->mine.board, SLOT_NAME);
    for (uint64_t i = 0; i < FEW; i++)
        receive_filled(world->mine.rx[0], SIZE, i);
    peer_join(&peer);
}

static void wait_among_signals(struct world *world)
{
    struct rill_channel_options options = with_wait;
    options.send_timeout = 40 * MILLISECOND;
    world_channel(world, 0, &options);
    fill_up(world->mine.tx[0]);
    pester_start(200 * MICROSECOND);
    int64_t from = rill_clock();
    require_code(RILL_ETIMEDOUT, send_filled(world->mine.tx[0], SIZE, 0));
    require(rill_clock() - from >= 40 * MILLISECOND);
    pester_stop();
    require(pester_count() > 10);
}

static void wait_uses_no_cpu(struct world *world)
{
    struct rill_channel_options options = with_wait;
    options.send_timeout = 400 * MILLISECOND;
    world_channel(world, 0, &options);
    fill_up(world->mine.tx[0]);
    int64_t cpu = thread_cpu();
    long sleeps = thread_sleeps();
    require_code(RILL_ETIMEDOUT, send_filled(world->mine.tx[0], SIZE, 0));
    require(thread_cpu() - cpu < 20 * MILLISECOND);
    require(thread_sleeps() - sleeps <= 10);
}

static void send_a_large_batch(struct ends *ends)
{
    static unsigned char bytes[300][SIZE];
    struct rill_bytes batch[300];
    size_t sent = 0;
    for (unsigned i = 0; i < 300; i++) {
        fill(bytes[i], SIZE, i);
        batch[i] = (struct rill_bytes){bytes[i], SIZE};
    }
    announce(ends->board, SLOT_NAME);
    require_ok(rill_send_many(ends->tx[0], batch, 300, &sent));
    require_equal(300, sent);
}

static void batch_waits(struct world *world)
{
    struct peer peer;
    world_channel(world, 0, &with_wait);
    peer_start(&peer, world, send_a_large_batch, FIRST, 0, 0);
    wait_until_asleep(world->mine.board, SLOT_NAME);
    for (uint64_t i = 0; i < 300; i++)
        receive_filled(world->mine.rx[0], SIZE, i);
    peer_join(&peer);
}

/* ---------------------------------------------------------------- the receiver goes while senders wait */

static void send_until_broken(struct ends *ends)
{
    int result;
    uint64_t sent = 0;
    announce(ends->board, SLOT_NAME);
    do
        result = send_filled(ends->tx[0], SIZE, sent++);
    while (result == 0);
    require_code(RILL_EBROKEN, result);
    require_code(RILL_EBROKEN, send_filled(ends->tx[0], SIZE, 0));
}

static void close_ends_the_wait(struct world *world)
{
    struct peer peer;
    world_channel(world, 0, &with_wait);
    peer_start(&peer, world, send_until_broken, FIRST, 0, 0);
    wait_until_asleep(world->mine.board, SLOT_NAME);
    require_ok(rill_receiver_close(&world->mine.rx[0]));
    peer_join(&peer);
}

static void close_ends_a_second_wait(struct world *world)
{
    struct peer peer;
    world_channel(world, 0, &with_wait);
    peer_start(&peer, world, send_until_broken, FIRST, 0, 0);
    for (uint64_t i = 0; i < FEW; i++)
        receive_filled(world->mine.rx[0], SIZE, i);
    wait_until_asleep(world->mine.board, SLOT_NAME);
    require_ok(rill_receiver_close(&world->mine.rx[0]));
    peer_join(&peer);
}

static void receive_some_and_stay(struct ends *ends)
{
    for (uint64_t i = 0; i < ends->argument; i++)
        receive_filled(ends->rx[0], SIZE, i);
    flag_raise(ends->board, SLOT_READY);
    flag_wait(ends->board, SLOT_GO);
}

static void *send_until_broken_here(void *argument)
{
    send_until_broken(argument);
    return NULL;
}

static void kill_ends_the_wait_after(struct world *world, uint64_t received)
{
    struct peer peer;
    pthread_t thread;
    world_channel(world, 0, &with_wait);
    peer_start(&peer, world, receive_some_and_stay, 0, FIRST, received);
    require(pthread_create(&thread, NULL, send_until_broken_here, &world->mine) == 0);
    flag_wait(world->mine.board, SLOT_READY);
    wait_until_asleep(world->mine.board, SLOT_NAME);
    peer_kill(&peer);
    require(pthread_join(thread, NULL) == 0);
}

static void kill_ends_the_wait(struct world *world)
{
    kill_ends_the_wait_after(world, FEW);
}

static void kill_unused_ends_the_wait(struct world *world)
{
    kill_ends_the_wait_after(world, 0);
}

/* ---------------------------------------------------------------- many wait */

enum { WAITERS = 4 };

static void send_stamped(struct ends *ends)
{
    unsigned char bytes[SIZE];
    for (uint64_t i = 0; i < 500; i++) {
        stamp(bytes, SIZE, ends->argument, i);
        require_ok(rill_send(ends->tx[0], bytes, SIZE));
    }
}

static void receive_stamped(rill_receiver *receiver, uint64_t count)
{
    uint64_t next[WAITERS] = {0};
    for (uint64_t i = 0; i < count; i++) {
        rill_message *message = NULL;
        uint64_t sender, number;
        require_ok(rill_recv(receiver, &message));
        require(stamped(rill_message_data(message), rill_message_size(message), &sender, &number));
        require(sender < WAITERS);
        require_equal(next[sender]++, number);
        require_ok(rill_message_close(&message));
    }
}

static void many_wait(struct world *world)
{
    struct peer peers[WAITERS];
    world_channel(world, 0, &(struct rill_channel_options){.limit = 8 * COUNTED, .on_full = RILL_FULL_WAIT});
    for (unsigned i = 0; i < WAITERS; i++) {
        world_clone(world, 0, 1);
        peer_start(&peers[i], world, send_stamped, END(0), 0, i);
        world->mine.tx[0] = world->mine.tx[1];
        world->mine.tx[1] = NULL;
    }
    receive_stamped(world->mine.rx[0], WAITERS * 500);
    for (unsigned i = 0; i < WAITERS; i++)
        peer_join(&peers[i]);
}

struct waiter {
    pthread_t thread;
    rill_sender *sender;
    uint64_t name;
};

static void *wait_in_thread(void *argument)
{
    struct waiter *waiter = argument;
    struct ends ends = {.tx = {waiter->sender}, .argument = waiter->name};
    send_stamped(&ends);
    return NULL;
}

/* All of them on one sender object. */
static void threads_wait(struct ends *ends)
{
    struct waiter waiters[WAITERS];
    for (unsigned i = 0; i < WAITERS; i++) {
        waiters[i].sender = ends->tx[0];
        waiters[i].name = i;
        require(pthread_create(&waiters[i].thread, NULL, wait_in_thread, &waiters[i]) == 0);
    }
    for (unsigned i = 0; i < WAITERS; i++)
        require(pthread_join(waiters[i].thread, NULL) == 0);
}

static void many_threads_wait(struct world *world)
{
    struct peer peer;
    world_channel(world, 0, &(struct rill_channel_options){.limit = 8 * COUNTED, .on_full = RILL_FULL_WAIT});
    peer_start(&peer, world, threads_wait, FIRST, 0, 0);
    receive_stamped(world->mine.rx[0], WAITERS * 500);
    peer_join(&peer);
}

static const struct role roles[] = {ROLE(send_waiting),      ROLE(send_through_small_limit), ROLE(send_for_ever), ROLE(send_a_large_batch),
                                    ROLE(send_until_broken), ROLE(receive_some_and_stay),    ROLE(send_stamped),  ROLE(threads_wait)};

static const struct conformance_case cases[] = {
    {"a full queue refuses, and takes again when it was drained", error_at_limit, ON_ALL, AT_THREADS, 0},
    {"a limit alone means the error", limit_is_default_error, ON_QUEUES, AT_THREADS, 0},
    {"empty messages count for the limit as well", empty_messages_count, ON_QUEUES, AT_THREADS, 0},
    {"a message above the limit goes when nothing else is queued", above_limit_alone, ON_QUEUES, AT_THREADS, 0},
    {"messages that were received do not count, also while they are kept", kept_messages_are_no_queue, ON_QUEUES, AT_THREADS, 0},
    {"sending many says how many went before the limit", many_up_to_limit, ON_QUEUES, AT_THREADS, 0},
    {"a sender that waits for room is woken", woken_when_room, ON_ALL, AT_ALL, 0},
    {"a sender that waits for room is woken every time", woken_every_time, ON_ALL, AT_ALL, 0},
    {"a stream passes a limit of one message", stream_of_one, ON_ALL, AT_ALL, 60},
    {"a stream passes a limit of a few messages", stream_of_some, ON_ALL, AT_ALL, 60},
    {"a stream passes the limit for pipelines", stream_of_pipeline, ON_ALL, AT_ALL, 60},
    {"the queue stays below its limit", queue_stays_below, ON_ALL, AT_ALL, 0},
    {"a wait for room ends at its timeout, not early, and nothing was sent", wait_times_out, ON_ALL, AT_THREADS, 0},
    {"a deadline of the call waits also where the channel gives the error", deadline_beats_error, ON_ALL, AT_THREADS, 0},
    {"a deadline of the call counts also where the channel waits", deadline_beats_wait, ON_ALL, AT_THREADS, 0},
    {"RILL_FOREVER waits also where the channel gives the error", for_ever_beats_error, ON_ALL, AT_ALL, 0},
    {"a wait for room among signals does not end early", wait_among_signals, ON_ALL, AT_THREADS, 0},
    {"a wait for room sleeps and uses no CPU", wait_uses_no_cpu, ON_ALL, AT_THREADS, 0},
    {"sending many above the limit waits in the middle", batch_waits, ON_ALL, AT_ALL, 0},
    {"a close ends a wait for room", close_ends_the_wait, ON_ALL, AT_ALL, 0},
    {"a close ends a wait for room in mid-stream", close_ends_a_second_wait, ON_ALL, AT_ALL, 0},
    {"the receiver's kill ends a wait for room", kill_ends_the_wait, ON_ALL, AT_PROCESSES, 0},
    {"the kill of a receiver that never received ends a wait for room", kill_unused_ends_the_wait, ON_ALL, AT_PROCESSES, 0},
    {"several places wait for room, and all go on", many_wait, ON_ALL, AT_ALL, 0},
    {"several threads wait for room on one sender, and all go on", many_threads_wait, ON_ALL, AT_ALL, 0},
};

int main(int argc, char **argv)
{
    return conformance_main(argc, argv, cases, COUNT_OF(cases), roles, COUNT_OF(roles));
}
