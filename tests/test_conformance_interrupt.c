/* SPDX-License-Identifier: MIT */
/* Calls that another thread ends, and calls that meet another thread. */
#include "conformance.h"

struct caller {
    pthread_t thread;
    struct world *world;
    int result;
};

static void *receive_here(void *argument)
{
    struct caller *caller = argument;
    rill_message *message = NULL;
    announce(caller->world->mine.board, SLOT_NAME);
    caller->result = rill_recv(caller->world->mine.rx[0], &message);
    require(message == NULL);
    return NULL;
}

static void start_caller(struct caller *caller, struct world *world, void *(*run)(void *))
{
    caller->world = world;
    atomic_store(&world->mine.board->value[SLOT_NAME], 0);
    require(pthread_create(&caller->thread, NULL, run, caller) == 0);
    wait_until_asleep(world->mine.board, SLOT_NAME);
}

static void require_end(struct caller *caller, int result)
{
    require(pthread_join(caller->thread, NULL) == 0);
    require_code(result, caller->result);
}

/* The other side sends and goes on living; where it is must make no difference. */
static void send_and_stay(struct ends *ends)
{
    for (uint64_t i = 0; i < ends->argument; i++)
        require_ok(send_number(ends->tx[0], i));
    flag_raise(ends->board, SLOT_READY);
    flag_wait(ends->board, SLOT_GO);
    require_ok(send_number(ends->tx[0], ends->argument));
}

static void interrupted_asleep(struct world *world)
{
    struct peer peer;
    struct caller caller;
    world_channel(world, 0, NULL);
    peer_start(&peer, world, send_and_stay, FIRST, 0, 5);
    for (uint64_t i = 0; i < 5; i++)
        require_equal(i, receive_number(world->mine.rx[0]));
    for (unsigned i = 0; i < 5; i++) {
        start_caller(&caller, world, receive_here);
        require_ok(rill_receiver_interrupt(world->mine.rx[0]));
        require_end(&caller, RILL_EINTERRUPTED);
    }
    flag_raise(world->mine.board, SLOT_GO);
    require_equal(5, receive_number(world->mine.rx[0]));
    peer_join(&peer);
}

static void interrupted_unused(struct world *world)
{
    struct caller caller;
    world_channel(world, 0, NULL);
    start_caller(&caller, world, receive_here);
    require_ok(rill_receiver_interrupt(world->mine.rx[0]));
    require_end(&caller, RILL_EINTERRUPTED);
    require_ok(send_number(world->mine.tx[0], 1));
    require_equal(1, receive_number(world->mine.rx[0]));
}

static int call_in_form(rill_receiver *receiver, unsigned form)
{
    rill_message *message = NULL;
    size_t size;
    switch (form) {
    case 0: return rill_recv(receiver, &message);
    case 1: return rill_try_recv(receiver, &message);
    case 2: return rill_recv_timeout(receiver, 100 * SECOND, &message);
    case 3: return rill_recv_timeout(receiver, 0, &message);
    case 4: return rill_recv_until(receiver, RILL_NOW, &message);
    case 5: return rill_recv_into(receiver, &size, sizeof size, RILL_FOREVER, &size);
    default: return rill_recv_many(receiver, RILL_FOREVER, &message, 1, &size);
    }
}

static void next_call_ends_once(struct world *world)
{
    rill_message *message = NULL;
    world_channel(world, 0, NULL);
    for (unsigned form = 0; form < 7; form++) {
        test_note = form;
        require_ok(rill_receiver_interrupt(world->mine.rx[0]));
        require_code(RILL_EINTERRUPTED, call_in_form(world->mine.rx[0], form));
        require_code(RILL_EEMPTY, rill_try_recv(world->mine.rx[0], &message));
        require_code(RILL_ETIMEDOUT, rill_recv_timeout(world->mine.rx[0], MILLISECOND, &message));
    }
}

static void messages_come_first(struct world *world)
{
    rill_message *message = NULL;
    world_channel(world, 0, NULL);
    require_ok(send_number(world->mine.tx[0], 1));
    require_ok(send_number(world->mine.tx[0], 2));
    require_ok(rill_receiver_interrupt(world->mine.rx[0]));
    require_equal(1, receive_number(world->mine.rx[0]));
    require_equal(2, receive_number(world->mine.rx[0]));
    require_code(RILL_EINTERRUPTED, rill_recv(world->mine.rx[0], &message));
    require_code(RILL_EEMPTY, rill_try_recv(world->mine.rx[0], &message));
}

static void several_are_one(struct world *world)
{
    rill_message *message = NULL;
    world_channel(world, 0, NULL);
    for (unsigned i = 0; i < 1000; i++)
        require_ok(rill_receiver_interrupt(world->mine.rx[0]));
    require_code(RILL_EINTERRUPTED, rill_recv(world->mine.rx[0], &message));
    require_code(RILL_ETIMEDOUT, rill_recv_timeout(world->mine.rx[0], MILLISECOND, &message));
}

struct interrupter {
    pthread_t thread;
    rill_receiver *receiver;
    _Atomic bool stop;
};

static void *interrupt_all_the_time(void *argument)
{
    struct interrupter *interrupter = argument;
    while (!atomic_load(&interrupter->stop)) {
        require_ok(rill_receiver_interrupt(interrupter->receiver));
        sched_yield();
    }
    return NULL;
}

/* Lets the receiver come to an empty queue every now and then, until it has seen enough. */
static void send_in_steps(struct ends *ends)
{
    for (uint64_t i = 0; !flag_raised(ends->board, SLOT_DONE); i++) {
        require_ok(send_number(ends->tx[0], i));
        while (i % 5 == 0 && atomic_load(&ends->board->value[SLOT_COUNT]) <= i && !flag_raised(ends->board, SLOT_DONE))
            sched_yield();
    }
}

/* Receives until the end; gives how often it was interrupted. */
static uint64_t receive_among_interrupts(struct world *world, uint64_t count)
{
    rill_message *message = NULL;
    uint64_t next = 0, interrupted = 0;
    int result;
    while ((result = rill_recv(world->mine.rx[0], &message)) != RILL_EDISCONNECTED) {
        if (result == RILL_EINTERRUPTED) {
            interrupted++;
            continue;
        }
        require_ok(result);
        require_equal(next++, take_number(&message));
        atomic_store(&world->mine.board->value[SLOT_COUNT], next);
        if (next >= count && interrupted >= 10)
            flag_raise(world->mine.board, SLOT_DONE);
    }
    return interrupted;
}

static void nothing_is_lost(struct world *world)
{
    struct peer peer;
    struct interrupter interrupter = {0};
    world_channel(world, 0, NULL);
    peer_start(&peer, world, send_in_steps, FIRST, 0, 0);
    interrupter.receiver = world->mine.rx[0];
    require(pthread_create(&interrupter.thread, NULL, interrupt_all_the_time, &interrupter) == 0);
    require(receive_among_interrupts(world, rounds(10000)) >= 10);
    atomic_store(&interrupter.stop, true);
    require(pthread_join(interrupter.thread, NULL) == 0);
    peer_join(&peer);
}

/* ---------------------------------------------------------------- senders */

static const struct rill_channel_options small = {.limit = 4096, .on_full = RILL_FULL_WAIT};

static void *send_here(void *argument)
{
    struct caller *caller = argument;
    announce(caller->world->mine.board, SLOT_NAME);
    caller->result = send_filled(caller->world->mine.tx[0], 1000, 99);
    return NULL;
}

static uint64_t fill_up(rill_sender *sender)
{
    unsigned char bytes[1000];
    for (uint64_t sent = 0;; sent++) {
        fill(bytes, sizeof bytes, sent);
        int result = rill_send_until(sender, bytes, sizeof bytes, RILL_NOW);
        if (result == RILL_EFULL)
            return sent;
        require_ok(result);
    }
}

static void drain(rill_receiver *receiver, uint64_t sent)
{
    rill_message *message = NULL;
    for (uint64_t i = 0; i < sent; i++)
        receive_filled(receiver, 1000, i);
    require_code(RILL_EEMPTY, rill_try_recv(receiver, &message));
}

static void sender_asleep(struct world *world)
{
    struct caller caller;
    world_channel(world, 0, &small);
    uint64_t sent = fill_up(world->mine.tx[0]);
    for (unsigned i = 0; i < 5; i++) {
        start_caller(&caller, world, send_here);
        require_ok(rill_sender_interrupt(world->mine.tx[0]));
        require_end(&caller, RILL_EINTERRUPTED);
    }
    drain(world->mine.rx[0], sent);
    require_ok(send_filled(world->mine.tx[0], 1000, 1));
    receive_filled(world->mine.rx[0], 1000, 1);
}

static void sender_later(struct world *world)
{
    unsigned char bytes[1000] = {0};
    world_channel(world, 0, &small);
    require_ok(rill_sender_interrupt(world->mine.tx[0]));
    uint64_t sent = 0;
    while (sent < 2) {
        require_ok(send_filled(world->mine.tx[0], 1000, sent));
        sent++;
    }
    int result = 0;
    while ((result = send_filled(world->mine.tx[0], 1000, sent)) == 0)
        sent++;
    require_code(RILL_EINTERRUPTED, result);
    require_code(RILL_ETIMEDOUT, rill_send_until(world->mine.tx[0], bytes, sizeof bytes, rill_clock() + MILLISECOND));
    drain(world->mine.rx[0], sent);
}

static rill_sender *interrupted_by_signal;

static void on_signal(int number)
{
    (void)number;
    rill_sender_interrupt(interrupted_by_signal);
}

static void sender_by_signal(struct world *world)
{
    struct caller caller;
    unsigned char bytes[1000] = {0};
    struct sigaction action = {.sa_handler = on_signal};
    world_channel(world, 0, &small);
    uint64_t sent = fill_up(world->mine.tx[0]);
    require_code(RILL_ETIMEDOUT, rill_send_until(world->mine.tx[0], bytes, sizeof bytes, rill_clock() + MILLISECOND));
    interrupted_by_signal = world->mine.tx[0];
    require(sigaction(SIGUSR2, &action, NULL) == 0);
    start_caller(&caller, world, send_here);
    require(pthread_kill(caller.thread, SIGUSR2) == 0);
    require_end(&caller, RILL_EINTERRUPTED);
    drain(world->mine.rx[0], sent);
}

/* ---------------------------------------------------------------- two threads on one receiver */

static void second_thread_is_told(struct world *world)
{
    struct caller caller;
    rill_message *message = NULL;
    world_channel(world, 0, NULL);
    start_caller(&caller, world, receive_here);
    require_code(RILL_EBUSY, rill_try_recv(world->mine.rx[0], &message));
    require_code(RILL_EBUSY, rill_recv(world->mine.rx[0], &message));
    require_ok(rill_receiver_interrupt(world->mine.rx[0]));
    require_end(&caller, RILL_EINTERRUPTED);
    require_code(RILL_EEMPTY, rill_try_recv(world->mine.rx[0], &message));
}

static void *receive_one_of_many(void *argument)
{
    struct caller *caller = argument;
    require_equal(7, receive_number(caller->world->mine.rx[0]));
    return NULL;
}

static void threads_take_turns(struct world *world)
{
    struct caller caller = {.world = world};
    world_channel(world, 0, NULL);
    for (unsigned i = 0; i < 20; i++) {
        require_ok(send_number(world->mine.tx[0], 7));
        require(pthread_create(&caller.thread, NULL, receive_one_of_many, &caller) == 0);
        require(pthread_join(caller.thread, NULL) == 0);
        require_ok(send_number(world->mine.tx[0], 8));
        require_equal(8, receive_number(world->mine.rx[0]));
    }
}

static const struct role roles[] = {ROLE(send_and_stay), ROLE(send_in_steps)};

static const struct conformance_case cases[] = {
    {"an interrupt ends a receiver's sleep", interrupted_asleep, ON_ALL, AT_ALL, 0},
    {"an interrupt ends the sleep of a receiver that never received", interrupted_unused, ON_ALL, AT_THREADS, 0},
    {"an interrupt that meets nobody ends the next call, once", next_call_ends_once, ON_ALL, AT_THREADS, 0},
    {"messages that are there come before an interrupt", messages_come_first, ON_ALL, AT_THREADS, 0},
    {"a thousand interrupts that meet nobody end one call", several_are_one, ON_ALL, AT_THREADS, 0},
    {"no message is lost among interrupts", nothing_is_lost, ON_ALL, AT_ALL, 0},
    {"an interrupt ends a sender's wait for room, and nothing was sent", sender_asleep, ON_ALL, AT_THREADS, 0},
    {"an interrupt waits for the send that has to wait", sender_later, ON_ALL, AT_THREADS, 0},
    {"a signal handler ends a sender's wait for room", sender_by_signal, ON_ALL, AT_THREADS, 0},
    {"a second thread on a receiver is told that it is busy", second_thread_is_told, ON_ALL, AT_THREADS, 0},
    {"threads take turns on a receiver", threads_take_turns, ON_ALL, AT_THREADS, 0},
};

int main(int argc, char **argv)
{
    return conformance_main(argc, argv, cases, COUNT_OF(cases), roles, COUNT_OF(roles));
}
