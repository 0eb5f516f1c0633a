/* SPDX-License-Identifier: MIT */
/*
 * Shortages in sets, routers and descriptors: every n-th call of the system that can fail does so, once or for good. The call of rill's says so, its
 * objects are as they were, and the same call succeeds when the shortage is over; nothing is lost.
 */
#include "faults.h"
#include "support.h"

#include <sched.h>
#include <sys/wait.h>

#define CHANNELS 3
#define NOT_FIRED 3

static bool is_shortage(int code)
{
    return code == RILL_ENOMEM || code == RILL_ENOFD || code == RILL_ESYSTEM || code == RILL_EAGAIN;
}

/* A call in the shortage; if it fails, the shortage ends and it has to succeed. */
#define TRY(call)                                \
    do {                                         \
        faults_on();                             \
        int result_ = (call);                    \
        faults_off();                            \
        if (result_ == 0)                        \
            break;                               \
        if (!is_shortage(result_))               \
            require_code(RILL_ENOMEM, result_);  \
        require(faults_fired() > 0);             \
        faults_end();                            \
        require_ok(call);                        \
    } while (0)

static void open_channels(rill_sender **senders, rill_receiver **receivers, uint64_t limit)
{
    for (uint32_t i = 0; i < CHANNELS; i++) {
        struct rill_channel_options options = {.size = sizeof options, .transport = RILL_SHM + i, .limit = limit};
        require_ok(rill_channel(&options, &senders[i], &receivers[i]));
    }
}

/* A message of each, told of or with an error before it. */
static void wait_for_all(rill_set *set)
{
    unsigned taken = 0, seen = 0;
    while (taken < CHANNELS) {
        struct rill_set_event events[2];
        size_t count;
        faults_on();
        int code = rill_set_wait(set, RILL_FOREVER, events, 2, &count);
        faults_off();
        if (code != RILL_OK) {
            require(is_shortage(code));
            faults_end();
            continue;
        }
        for (size_t i = 0; i < count; i++) {
            if (events[i].kind == RILL_SET_ERROR) {
                require(is_shortage(events[i].code));
                faults_end();
                continue;
            }
            require_equal(events[i].id, take_number(&events[i].message));
            require(!(seen & 1u << events[i].id));
            seen |= 1u << events[i].id;
            taken++;
        }
    }
}

static void tell_of_a_set(void)
{
    rill_sender *senders[CHANNELS];
    rill_receiver *receivers[CHANNELS];
    rill_set *set = NULL;
    open_channels(senders, receivers, 0);
    TRY(rill_set_create(NULL, &set));
    for (uint64_t i = 0; i < CHANNELS; i++) {
        uint64_t id = 99;
        TRY(rill_set_add(set, &receivers[i], NULL, &id));
        require(receivers[i] == NULL && id == i);
        require_ok(send_number(senders[i], i));
    }
    wait_for_all(set);
    for (uint64_t i = 0; i < CHANNELS; i++)
        require_ok(send_number(senders[i], i));
    wait_for_all(set);
    require_ok(rill_set_close(&set));
    for (unsigned i = 0; i < CHANNELS; i++)
        require_ok(rill_sender_close(&senders[i]));
}

static int arm(rill_receiver *receiver)
{
    int code = rill_receiver_arm(receiver);
    return code == RILL_EREADY ? RILL_OK : code;
}

static int arm_for_room(rill_sender *sender)
{
    int code = rill_sender_arm(sender, 100);
    return code == RILL_EREADY ? RILL_OK : code;
}

static void tell_of_descriptors(void)
{
    rill_sender *senders[CHANNELS];
    rill_receiver *receivers[CHANNELS];
    open_channels(senders, receivers, 1000);
    for (unsigned i = 0; i < CHANNELS; i++) {
        int descriptor;
        unsigned char bytes[100] = {0};
        TRY(rill_receiver_descriptor(receivers[i], &descriptor));
        TRY(arm(receivers[i]));
        TRY(rill_sender_descriptor(senders[i], &descriptor));
        while (rill_send_until(senders[i], bytes, sizeof bytes, RILL_NOW) == RILL_OK)
            continue;
        TRY(arm_for_room(senders[i]));
        rill_message *message;
        TRY(rill_recv(receivers[i], &message));
        require_ok(rill_message_close(&message));
        require_ok(rill_sender_close(&senders[i]));
        require_ok(rill_receiver_close(&receivers[i]));
    }
}

static _Atomic unsigned called, ended;

static void call(void *user, uint64_t id, rill_message *message)
{
    (void)user, (void)id;
    require_ok(rill_message_close(&message));
    atomic_fetch_add(&called, 1);
}

static void end(void *user)
{
    (void)user;
    atomic_fetch_add(&ended, 1);
}

static void tell_of_a_router(void)
{
    rill_sender *senders[CHANNELS], *targets[CHANNELS];
    rill_receiver *receivers[CHANNELS], *sinks[CHANNELS];
    rill_router *router = NULL;
    open_channels(senders, receivers, 0);
    open_channels(targets, sinks, 0);
    TRY(rill_router_create(&router));
    TRY(rill_router_call(router, &receivers[0], call, NULL, end, 0, NULL));
    TRY(rill_router_call(router, &receivers[1], call, NULL, end, RILL_ROUTE_ONCE, NULL));
    TRY(rill_router_forward(router, &receivers[2], &targets[2], NULL));
    for (unsigned i = 0; i < CHANNELS; i++)
        require_ok(send_number(senders[i], i));
    require_equal(2, receive_number(sinks[2]));
    for (unsigned i = 0; i < CHANNELS; i++)
        require_ok(rill_sender_close(&senders[i]));
    while (atomic_load(&ended) < 2)
        sched_yield();
    require_equal(2, atomic_load(&called));
    require_ok(rill_router_close(&router));
    for (unsigned i = 0; i < CHANNELS; i++) {
        require_ok(rill_sender_close(&targets[i]));
        require_ok(rill_receiver_close(&sinks[i]));
    }
}

static const struct {
    enum fault fault;
    int error;
} shortages[] = {
    {FAULT_MEMFD, EMFILE},  {FAULT_MMAP, ENOMEM},       {FAULT_SOCKETPAIR, EMFILE}, {FAULT_EVENTFD, EMFILE}, {FAULT_FCNTL, EMFILE},
    {FAULT_ALLOCATION, ENOMEM}, {FAULT_SEND, ENOMEM}, {FAULT_RECEIVE, ENOMEM}, {FAULT_EPOLL, EMFILE}, {FAULT_EPOLL, ENOMEM}, {FAULT_EPOLL, ENOSPC},
};

/* False: the story has no n-th such call. */
static bool tell_with(void (*tell)(void), size_t shortage, unsigned long n, bool for_good)
{
    pid_t child = fork_child();
    if (child == 0) {
        test_note = (long long)n;
        size_t descriptors = count_descriptors();
        faults_prepare(shortages[shortage].fault, n, shortages[shortage].error, for_good);
        tell();
        bool fired = faults_fired() > 0;
        faults_end();
        (void)rill_trim();
        require_equal(descriptors, count_descriptors());
        require_equal(0, count_shared_mappings());
        _exit(fired ? 0 : NOT_FIRED);
    }
    int status = 0;
    require(waitpid(child, &status, 0) == child);
    if (WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == NOT_FIRED))
        return WEXITSTATUS(status) == 0;
    dprintf(2, "in the %lu-th %s, error %d, %s: status %x\n", n, fault_names[shortages[shortage].fault], shortages[shortage].error,
            for_good ? "for good" : "once", (unsigned)status);
    _exit(1);
}

static void tell_all(void *argument)
{
    void (*tell)(void) = *(void (**)(void))argument;
    unsigned long fired[FAULTS] = {0};
    for (size_t i = 0; i < COUNT_OF(shortages); i++)
        for (unsigned for_good = 0; for_good < 2; for_good++)
            for (unsigned long n = 1; tell_with(tell, i, n, for_good); n++)
                fired[shortages[i].fault]++;
    require(fired[FAULT_ALLOCATION] >= 2);
    require(fired[FAULT_EPOLL] >= 2);
    require(fired[FAULT_EVENTFD] >= 2);
}

int main(void)
{
    static void (*tales[])(void) = {tell_of_a_set, tell_of_descriptors, tell_of_a_router};
    static const struct test tests[] = {
        {"whatever fails in a set, the call says so, nothing is lost, and it goes on", tell_all, &tales[0], 120},
        {"whatever fails in making and arming descriptors, the call says so, and it goes on", tell_all, &tales[1], 120},
        {"whatever fails in a router, the call says so, and it goes on", tell_all, &tales[2], 120},
    };
    return run_group("shortages of sets", tests, COUNT_OF(tests));
}
