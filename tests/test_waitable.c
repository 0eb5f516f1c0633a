/* SPDX-License-Identifier: MIT */
/* Descriptors for event loops: of receivers, sets and senders, with poll and epoll, level-triggered and edge-triggered. */
#include "support.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/epoll.h>

static uint32_t transport;

static void channel(rill_sender **sender, rill_receiver **receiver, uint64_t limit)
{
    struct rill_channel_options options = {.size = sizeof options, .transport = transport, .limit = limit};
    require_ok(rill_channel(&options, sender, receiver));
}

static bool readable_within(int descriptor, int milliseconds)
{
    int ready = poll(&(struct pollfd){.fd = descriptor, .events = POLLIN}, 1, milliseconds);
    require(ready >= 0);
    return ready == 1;
}

static void require_readable(int descriptor)
{
    require(readable_within(descriptor, -1));
}

static void require_quiet(int descriptor)
{
    require(!readable_within(descriptor, 0));
}

static int watch_edge(int descriptor)
{
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN | EPOLLET};
    require(epoll >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event) == 0);
    return epoll;
}

static int edges(int epoll, int milliseconds)
{
    struct epoll_event events[4];
    return epoll_wait(epoll, events, 4, milliseconds);
}

static void require_empty(rill_receiver *receiver)
{
    rill_message *message;
    require_code(RILL_EEMPTY, rill_try_recv(receiver, &message));
}

/* ---------------------------------------------------------------- receivers */

static void a_receiver_by_the_rule(void)
{
    rill_sender *sender;
    rill_receiver *receiver;
    rill_message *message;
    int descriptor = -1, again = -1;
    channel(&sender, &receiver, 0);
    require_ok(rill_receiver_descriptor(receiver, &descriptor));
    require_ok(rill_receiver_descriptor(receiver, &again));
    require_equal(descriptor, again);
    int epoll = watch_edge(descriptor);
    for (uint64_t i = 0; i < 300; i++) {
        test_note = (long long)i;
        require_empty(receiver);
        require_ok(rill_receiver_arm(receiver));
        require_quiet(descriptor);
        (void)edges(epoll, 0); /* an old one may be left */
        require_ok(send_number(sender, i));
        require_readable(descriptor);
        require_equal(1, edges(epoll, -1));
        if (i % 3 == 0) { /* more behind it */
            require_ok(send_number(sender, 1000));
            require_ok(send_filled(sender, 100000, i));
        }
        require_equal(i, receive_number(receiver));
        if (i % 3 == 0) {
            require_code(RILL_EREADY, rill_receiver_arm(receiver));
            require_equal(1000, receive_number(receiver));
            receive_filled(receiver, 100000, i);
        }
    }
    require_empty(receiver);
    require_ok(rill_receiver_arm(receiver));
    require_ok(rill_sender_close(&sender));
    require_readable(descriptor);
    require_equal(1, edges(epoll, -1));
    require_code(RILL_EDISCONNECTED, rill_try_recv(receiver, &message));
    require_code(RILL_EREADY, rill_receiver_arm(receiver));
    close(epoll);
    require_ok(rill_receiver_close(&receiver));
}

static void armed_with_something_there(void)
{
    rill_sender *sender;
    rill_receiver *receiver;
    rill_message *message;
    channel(&sender, &receiver, 0);
    require_ok(send_number(sender, 1));
    require_code(RILL_EREADY, rill_receiver_arm(receiver));
    require_code(RILL_EREADY, rill_receiver_arm(receiver));
    require_equal(1, receive_number(receiver));
    require_ok(rill_receiver_interrupt(receiver));
    require_code(RILL_EREADY, rill_receiver_arm(receiver));
    require_code(RILL_EINTERRUPTED, rill_try_recv(receiver, &message));
    require_ok(rill_receiver_arm(receiver));
    require_ok(rill_receiver_arm(receiver)); /* twice is as once */
    require_ok(send_number(sender, 2));
    require_equal(2, receive_number(receiver)); /* a call that waits for itself may come between */
    require_ok(send_number(sender, 3));
    require_equal(3, receive_number(receiver));
    require_ok(rill_sender_close(&sender));
    require_code(RILL_EDISCONNECTED, rill_recv(receiver, &message));
    require_ok(rill_receiver_close(&receiver));
}

static void refused(void)
{
    rill_sender *sender;
    rill_receiver *receiver, *alias;
    rill_set *set;
    uint64_t id;
    int descriptor;
    channel(&sender, &receiver, 0);
    alias = receiver;
    require_code(RILL_EINVAL, rill_receiver_descriptor(NULL, &descriptor));
    require_code(RILL_EINVAL, rill_receiver_descriptor(receiver, NULL));
    require_code(RILL_EINVAL, rill_receiver_arm(NULL));
    require_code(RILL_EINVAL, rill_sender_descriptor(NULL, &descriptor));
    require_code(RILL_EINVAL, rill_sender_descriptor(sender, NULL));
    require_code(RILL_EINVAL, rill_sender_arm(NULL, 1));
    require_code(RILL_EINVAL, rill_set_descriptor(NULL, &descriptor));
    require_code(RILL_EINVAL, rill_set_arm(NULL));
    if (transport != RILL_SOCKET) { /* there the socket's buffer is the limit */
        require_code(RILL_ENOTSUP, rill_sender_descriptor(sender, &descriptor));
        require_code(RILL_ENOTSUP, rill_sender_arm(sender, 1));
    }
    require_ok(rill_set_create(NULL, &set));
    require_ok(rill_set_add(set, &receiver, NULL, &id));
    require_code(RILL_EINSET, rill_receiver_descriptor(alias, &descriptor));
    require_code(RILL_EINSET, rill_receiver_arm(alias));
    require_ok(rill_set_close(&set));
    require_ok(rill_sender_close(&sender));
}

/* It hangs in a set in between: its own descriptor works on when it comes back. */
static void a_receiver_back_from_a_set(void)
{
    rill_sender *sender;
    rill_receiver *receiver;
    rill_set *set;
    struct rill_set_event event;
    size_t count;
    uint64_t id;
    int descriptor;
    channel(&sender, &receiver, 0);
    require_ok(rill_receiver_descriptor(receiver, &descriptor));
    require_ok(rill_receiver_arm(receiver));
    require_ok(rill_set_create(NULL, &set));
    require_ok(rill_set_add(set, &receiver, NULL, &id));
    require_ok(send_number(sender, 1));
    require_ok(rill_set_wait(set, RILL_FOREVER, &event, 1, &count));
    require_equal(1, take_number(&event.message));
    require_code(RILL_EEMPTY, rill_set_wait(set, RILL_NOW, &event, 1, &count));
    require_ok(rill_set_arm(set));
    require_ok(rill_set_remove(set, id, &receiver));
    require_ok(rill_receiver_arm(receiver));
    require_quiet(descriptor);
    require_ok(send_number(sender, 2));
    require_readable(descriptor);
    require_equal(2, receive_number(receiver));
    require_ok(rill_set_close(&set));
    require_ok(rill_sender_close(&sender));
    require_ok(rill_receiver_close(&receiver));
}

/* ---------------------------------------------------------------- sets */

#define MEMBERS 10

static void take_all(rill_set *set, uint64_t *sum, unsigned *closed)
{
    struct rill_set_event events[3];
    size_t count;
    int code;
    while ((code = rill_set_wait(set, RILL_NOW, events, 3, &count)) == RILL_OK) {
        for (size_t i = 0; i < count; i++) {
            if (events[i].kind == RILL_SET_CLOSED)
                ++*closed;
            else
                *sum += take_number(&events[i].message);
        }
    }
    require_code(RILL_EEMPTY, code);
}

static void a_set_by_the_rule(void)
{
    rill_set *set;
    rill_sender *senders[MEMBERS];
    uint64_t id, sum = 0, sent = 0;
    unsigned closed = 0;
    int descriptor;
    require_ok(rill_set_create(NULL, &set));
    require_ok(rill_set_descriptor(set, &descriptor));
    int epoll = watch_edge(descriptor);
    require_ok(rill_set_arm(set)); /* of an empty one */
    require_quiet(descriptor);
    for (unsigned i = 0; i < MEMBERS; i++) {
        rill_receiver *receiver;
        channel(&senders[i], &receiver, 0);
        require_ok(rill_set_add(set, &receiver, NULL, &id));
    }
    for (uint64_t i = 0; i < 300; i++) {
        test_note = (long long)i;
        take_all(set, &sum, &closed);
        require_equal(sent, sum);
        require_ok(rill_set_arm(set));
        require_quiet(descriptor);
        (void)edges(epoll, 0);
        require_ok(send_number(senders[i % MEMBERS], i));
        sent += i;
        require_readable(descriptor);
        require_equal(1, edges(epoll, -1));
        if (i % 4 == 0) {
            require_ok(send_number(senders[(i + 3) % MEMBERS], i));
            sent += i;
        }
    }
    require_code(RILL_EINVAL, rill_set_wait(set, RILL_NOW, NULL, 1, NULL));
    take_all(set, &sum, &closed);
    require_ok(rill_set_arm(set));
    require_ok(rill_set_interrupt(set));
    require_readable(descriptor);
    require_code(RILL_EREADY, rill_set_arm(set));
    struct rill_set_event event;
    size_t count;
    require_code(RILL_EINTERRUPTED, rill_set_wait(set, RILL_NOW, &event, 1, &count));
    for (unsigned i = 0; i < MEMBERS; i++) {
        require_ok(rill_set_arm(set));
        require_quiet(descriptor);
        require_ok(rill_sender_close(&senders[i]));
        require_readable(descriptor);
        take_all(set, &sum, &closed);
        require_equal(i + 1, closed);
    }
    close(epoll);
    require_ok(rill_set_close(&set));
}

/* The array was too short for all that had come: the rest is not forgotten. */
static void a_set_armed_too_early(void)
{
    rill_set *set;
    rill_sender *senders[MEMBERS];
    struct rill_set_event event;
    size_t count;
    uint64_t id;
    require_ok(rill_set_create(NULL, &set));
    for (unsigned i = 0; i < MEMBERS; i++) {
        rill_receiver *receiver;
        channel(&senders[i], &receiver, 0);
        require_ok(send_number(senders[i], i));
        require_ok(rill_set_add(set, &receiver, NULL, &id));
    }
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < MEMBERS; i++) {
            require_code(RILL_EREADY, rill_set_arm(set));
            require_ok(rill_set_wait(set, RILL_NOW, &event, 1, &count));
            (void)take_number(&event.message);
        }
        require_code(RILL_EEMPTY, rill_set_wait(set, RILL_NOW, &event, 1, &count));
        require_ok(rill_set_arm(set));
        for (unsigned i = 0; i < MEMBERS; i++)
            require_ok(send_number(senders[i], i)); /* to armed ones */
        require_ok(rill_set_wait(set, RILL_NOW, &event, 1, &count));
        (void)take_number(&event.message);
        require_ok(send_number(senders[event.id], 0));
    }
    require_ok(rill_set_close(&set));
    for (unsigned i = 0; i < MEMBERS; i++)
        require_ok(rill_sender_close(&senders[i]));
}

struct adder {
    rill_set *set;
    rill_sender *sender;
};

static void *add_with_message(void *argument)
{
    struct adder *adder = argument;
    rill_receiver *receiver;
    uint64_t id;
    channel(&adder->sender, &receiver, 0);
    require_ok(send_number(adder->sender, 7));
    require_ok(rill_set_add(adder->set, &receiver, NULL, &id));
    return NULL;
}

static void another_thread_adds_to_an_armed_set(void)
{
    struct adder adder;
    pthread_t thread;
    uint64_t sum = 0;
    unsigned closed = 0;
    int descriptor;
    require_ok(rill_set_create(NULL, &adder.set));
    require_ok(rill_set_descriptor(adder.set, &descriptor));
    require_ok(rill_set_arm(adder.set));
    require(pthread_create(&thread, NULL, add_with_message, &adder) == 0);
    require_readable(descriptor);
    require(pthread_join(thread, NULL) == 0);
    take_all(adder.set, &sum, &closed);
    require_equal(7, sum);
    require_ok(rill_set_close(&adder.set));
    require_ok(rill_sender_close(&adder.sender));
}

/* ---------------------------------------------------------------- senders */

#define ROOM ((uint64_t)4096)

static uint64_t fill_up(rill_sender *sender)
{
    unsigned char bytes[100] = {0};
    uint64_t sent = 0;
    int code;
    while ((code = rill_send_until(sender, bytes, sizeof bytes, RILL_NOW)) == RILL_OK)
        sent++;
    require_code(RILL_EFULL, code);
    require(sent > 0);
    return sent;
}

static void take_some(rill_receiver *receiver, uint64_t count)
{
    for (; count; count--) {
        rill_message *message;
        require_ok(rill_recv(receiver, &message));
        require_ok(rill_message_close(&message));
    }
}

static void a_sender_by_the_rule(void)
{
    rill_sender *sender, *clone;
    rill_receiver *receiver;
    int descriptor, same;
    channel(&sender, &receiver, ROOM);
    require_ok(rill_sender_clone(sender, &clone));
    require_ok(rill_sender_descriptor(sender, &descriptor));
    require_ok(rill_sender_descriptor(clone, &same));
    require_equal(descriptor, same);
    int epoll = watch_edge(descriptor);
    require_code(RILL_EREADY, rill_sender_arm(sender, 100));
    uint64_t queued = 0;
    for (unsigned i = 0; i < 100; i++) {
        test_note = i;
        queued += fill_up(i % 2 ? clone : sender);
        require_ok(rill_sender_arm(sender, 100));
        require_quiet(descriptor);
        (void)edges(epoll, 0);
        take_some(receiver, queued);
        queued = 0;
        require_readable(descriptor);
        require_equal(1, edges(epoll, -1));
        require_code(RILL_EREADY, rill_sender_arm(sender, 100));
    }
    (void)fill_up(sender);
    require_ok(rill_sender_arm(sender, 100));
    require_ok(rill_receiver_close(&receiver));
    require_readable(descriptor);
    require_code(RILL_EBROKEN, rill_sender_arm(sender, 100));
    require_code(RILL_EBROKEN, send_number(sender, 1));
    close(epoll);
    require_ok(rill_sender_close(&sender));
    require_ok(rill_sender_close(&clone));
}

/* A receiving process that is killed makes no room, but is told. */
static void a_sender_whose_receiver_is_killed(void)
{
    rill_sender *sender;
    rill_receiver *receiver;
    int descriptor;
    if (transport == RILL_INPROC)
        skip_test("there is one process");
    channel(&sender, &receiver, ROOM);
    pid_t child = fork_child();
    if (child == 0) {
        require_ok(rill_sender_close(&sender));
        take_some(receiver, 1);
        for (;;)
            pause();
    }
    require_ok(rill_receiver_release(&receiver));
    require_ok(rill_sender_descriptor(sender, &descriptor));
    (void)fill_up(sender);
    while (rill_sender_arm(sender, 100) == RILL_EREADY)
        (void)fill_up(sender);
    kill_child(child);
    int code;
    do {
        require_readable(descriptor);
        code = rill_sender_arm(sender, 100);
        require(code == RILL_OK || code == RILL_EREADY || code == RILL_EBROKEN);
    } while (code == RILL_OK);
    while ((code = rill_send_until(sender, "x", 1, RILL_NOW)) == RILL_OK)
        continue;
    require_code(RILL_EBROKEN, code);
    require_ok(rill_sender_close(&sender));
}

struct stream {
    rill_sender *sender;
    rill_receiver *receiver;
    uint64_t count;
};

static void *receive_stream(void *argument)
{
    struct stream *stream = argument;
    struct dice dice = {3};
    for (uint64_t i = 0; i < stream->count; i++) {
        require_equal(i, receive_number(stream->receiver));
        if (roll_between(&dice, 0, 50) == 0)
            sched_yield();
    }
    return NULL;
}

/* A thread waits in its sends, the other has a loop: neither takes the other's wakeup for good. */
static void *send_waiting(void *argument)
{
    struct stream *stream = argument;
    for (uint64_t i = 0; i < stream->count; i++)
        require_ok(rill_send_until(stream->sender, &i, sizeof i, RILL_FOREVER));
    return NULL;
}

static void send_by_loop(rill_sender *sender, uint64_t count, int epoll)
{
    for (uint64_t i = 0; i < count;) {
        int code = rill_send_until(sender, &i, sizeof i, RILL_NOW);
        if (code == RILL_OK) {
            i++;
            continue;
        }
        require_code(RILL_EFULL, code);
        code = rill_sender_arm(sender, sizeof i);
        require(code == RILL_OK || code == RILL_EREADY);
        if (code == RILL_OK)
            require_equal(1, edges(epoll, -1));
    }
}

static void a_stream_from_a_loop(void)
{
    struct stream stream = {.count = rounds(20000)};
    pthread_t thread;
    int descriptor;
    channel(&stream.sender, &stream.receiver, ROOM);
    require_ok(rill_sender_descriptor(stream.sender, &descriptor));
    int epoll = watch_edge(descriptor);
    require(pthread_create(&thread, NULL, receive_stream, &stream) == 0);
    send_by_loop(stream.sender, stream.count, epoll);
    require(pthread_join(thread, NULL) == 0);
    close(epoll);
    require_ok(rill_sender_close(&stream.sender));
    require_ok(rill_receiver_close(&stream.receiver));
}

static void *add_up_stream(void *argument)
{
    struct stream *stream = argument;
    uint64_t sum = 0;
    for (uint64_t i = 0; i < 2 * stream->count; i++)
        sum += receive_number(stream->receiver);
    require_equal(stream->count * (stream->count - 1), sum);
    return NULL;
}

static void a_loop_beside_a_waiting_thread(void)
{
    struct stream stream = {.count = rounds(20000)};
    pthread_t waiting, receiving;
    int descriptor;
    channel(&stream.sender, &stream.receiver, ROOM);
    require_ok(rill_sender_descriptor(stream.sender, &descriptor));
    int epoll = watch_edge(descriptor);
    require(pthread_create(&receiving, NULL, add_up_stream, &stream) == 0);
    require(pthread_create(&waiting, NULL, send_waiting, &stream) == 0);
    send_by_loop(stream.sender, stream.count, epoll);
    require(pthread_join(waiting, NULL) == 0);
    require(pthread_join(receiving, NULL) == 0);
    close(epoll);
    require_ok(rill_sender_close(&stream.sender));
    require_ok(rill_receiver_close(&stream.receiver));
}

/* ---------------------------------------------------------------- */

struct each {
    void (*body)(void);
    uint32_t transport;
};

static void run_each(void *argument)
{
    const struct each *each = argument;
    transport = each->transport;
    each->body();
}

int main(void)
{
    static const struct {
        const char *name;
        void (*body)(void);
    } bodies[] = {
        {"a receiver that was armed makes its descriptor readable, level and edge", a_receiver_by_the_rule},
        {"arming says when there is something already", armed_with_something_there},
        {"descriptors are refused where there are none", refused},
        {"a receiver's descriptor works on after it was in a set", a_receiver_back_from_a_set},
        {"a set that was armed makes its descriptor readable, level and edge", a_set_by_the_rule},
        {"a set that was armed before all was taken says so", a_set_armed_too_early},
        {"an armed set becomes readable when another thread adds to it", another_thread_adds_to_an_armed_set},
        {"a sender that was armed makes its descriptor readable when there is room", a_sender_by_the_rule},
        {"a sender's descriptor tells of a receiver that was killed", a_sender_whose_receiver_is_killed},
        {"a loop sends a stream without waiting in a send", a_stream_from_a_loop},
        {"a loop and a thread that waits do not take each other's wakeups", a_loop_beside_a_waiting_thread},
    };
    static const char *const names[] = {"shm", "socket", "inproc"};
    static struct each each[3 * COUNT_OF(bodies)];
    static struct test tests[3 * COUNT_OF(bodies)];
    static char text[3 * COUNT_OF(bodies)][128];
    size_t count = 0;
    for (uint32_t t = RILL_SHM; t <= RILL_INPROC; t++) {
        for (size_t i = 0; i < COUNT_OF(bodies); i++, count++) {
            snprintf(text[count], sizeof text[count], "%s: %s", names[t - RILL_SHM], bodies[i].name);
            each[count] = (struct each){bodies[i].body, t};
            tests[count] = (struct test){text[count], run_each, &each[count], 60};
        }
    }
    return run_group("waitable", tests, count);
}
