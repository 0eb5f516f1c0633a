/* SPDX-License-Identifier: MIT */
/* Sets of receivers: what is told, in what order, how often, and when a wait ends. */
#include "conformance.h"

#define MANY 200

static rill_set *new_set(void)
{
    rill_set *set = NULL;
    require_ok(rill_set_create(NULL, &set));
    return set;
}

static uint64_t add(rill_set *set, rill_receiver **receiver)
{
    uint64_t id = UINT64_MAX;
    require_ok(rill_set_add(set, receiver, NULL, &id));
    require(*receiver == NULL);
    return id;
}

static struct rill_set_event wait_one(rill_set *set, int64_t deadline)
{
    struct rill_set_event event = {0};
    size_t count = 0;
    require_ok(rill_set_wait(set, deadline, &event, 1, &count));
    require_equal(1, count);
    return event;
}

static void require_number(rill_set *set, uint64_t id, uint64_t number)
{
    struct rill_set_event event = wait_one(set, RILL_FOREVER);
    require_equal(RILL_SET_MESSAGE, event.kind);
    require_equal(id, event.id);
    require_equal(number, take_number(&event.message));
}

static void require_closed(rill_set *set, uint64_t id)
{
    struct rill_set_event event = wait_one(set, RILL_FOREVER);
    require_equal(RILL_SET_CLOSED, event.kind);
    require_equal(id, event.id);
    require_code(RILL_EDISCONNECTED, event.code);
    require(event.message == NULL);
}

static void require_nothing(rill_set *set)
{
    struct rill_set_event event;
    size_t count = 77;
    require_code(RILL_EEMPTY, rill_set_wait(set, RILL_NOW, &event, 1, &count));
    require_equal(77, count);
}

static void send_numbers(struct ends *ends)
{
    for (uint64_t i = 0; i < ends->argument; i++)
        require_ok(send_number(ends->tx[0], i));
}

static void one_receiver(struct world *world)
{
    struct peer peer;
    rill_set *set = new_set();
    world_channel(world, 0, NULL);
    uint64_t id = add(set, &world->mine.rx[0]);
    require_equal(0, id);
    peer_start(&peer, world, send_numbers, FIRST, 0, 1000);
    for (uint64_t i = 0; i < 1000; i++)
        require_number(set, id, i);
    require_closed(set, id);
    require_nothing(set);
    peer_join(&peer);
    require_ok(rill_set_close(&set));
    require(set == NULL);
}

static void queued_before_it_was_added(struct world *world)
{
    rill_set *set = new_set();
    world_channel(world, 0, NULL);
    for (uint64_t i = 0; i < 5; i++)
        require_ok(send_number(world->mine.tx[0], i));
    require_ok(rill_sender_close(&world->mine.tx[0]));
    require_equal(0, receive_number(world->mine.rx[0]));
    uint64_t id = add(set, &world->mine.rx[0]);
    for (uint64_t i = 1; i < 5; i++)
        require_number(set, id, i);
    require_closed(set, id);
    require_ok(rill_set_close(&set));
}

static void removed_and_given_back(struct world *world)
{
    rill_set *set = new_set();
    rill_receiver *alias;
    for (uint64_t round = 0; round < 3; round++) {
        world_channel(world, 0, NULL);
        alias = world->mine.rx[0];
        uint64_t id = add(set, &world->mine.rx[0]);
        require_equal(round, id);
        for (uint64_t i = 0; i < 3; i++)
            require_ok(send_number(world->mine.tx[0], i));
        require_number(set, id, 0);
        require_ok(rill_set_remove(set, id, &world->mine.rx[0]));
        require(world->mine.rx[0] == alias);
        require_code(RILL_ENOENTRY, rill_set_remove(set, id, &alias));
        require_nothing(set);
        require_equal(1, receive_number(world->mine.rx[0]));
        require_equal(2, receive_number(world->mine.rx[0]));
        require_ok(send_number(world->mine.tx[0], 3));
        require_equal(3, receive_number(world->mine.rx[0]));
        close_ends(&world->mine);
    }
    require_ok(rill_set_close(&set));
}

static void idle_when_removed(struct world *world)
{
    rill_set *set = new_set();
    world_channel(world, 0, NULL);
    uint64_t id = add(set, &world->mine.rx[0]);
    require_nothing(set);
    struct rill_set_event event;
    size_t count;
    require_code(RILL_ETIMEDOUT, rill_set_wait_timeout(set, MILLISECOND, &event, 1, &count));
    require_ok(rill_set_remove(set, id, &world->mine.rx[0]));
    require_ok(send_number(world->mine.tx[0], 5));
    require_equal(5, receive_number(world->mine.rx[0]));
    id = add(set, &world->mine.rx[0]);
    require_equal(1, id);
    require_ok(send_number(world->mine.tx[0], 6));
    require_number(set, 1, 6);
    require_ok(rill_set_close(&set));
    require_code(RILL_EBROKEN, send_number(world->mine.tx[0], 7));
}

static void refused(struct world *world)
{
    rill_set *set = new_set(), *other = new_set();
    struct rill_set_event event;
    uint64_t id = 9;
    size_t count = 9, size;
    rill_message *message = NULL;
    require_code(RILL_EEMPTY, rill_set_wait(set, RILL_NOW, &event, 1, &count));
    require_code(RILL_ENOENTRY, rill_set_wait(set, RILL_FOREVER, &event, 1, &count));
    require_code(RILL_ENOENTRY, rill_set_wait_timeout(set, SECOND, &event, 1, &count));
    world_channel(world, 0, NULL);
    rill_receiver *alias = world->mine.rx[0], *wrong = alias, *given = NULL;
    require_code(RILL_ENOENTRY, rill_set_remove(set, 0, &wrong));
    require_code(RILL_EINVAL, rill_set_add(set, NULL, NULL, &id));
    require_code(RILL_EINVAL, rill_set_add(set, &given, NULL, &id));
    require_code(RILL_EINVAL, rill_set_add(set, &wrong, NULL, NULL));
    require_code(RILL_EINVAL, rill_set_add(NULL, &wrong, NULL, &id));
    require_code(RILL_EINVAL, rill_set_wait(set, -1, &event, 1, &count));
    require_code(RILL_EINVAL, rill_set_wait(set, RILL_NOW, &event, 0, &count));
    require_code(RILL_EINVAL, rill_set_wait(set, RILL_NOW, NULL, 1, &count));
    require_code(RILL_EINVAL, rill_set_wait(set, RILL_NOW, &event, 1, NULL));
    require_code(RILL_EINVAL, rill_set_create(NULL, NULL));
    struct rill_set_options options = {.size = sizeof options, .spin = -2};
    require_code(RILL_EINVAL, rill_set_create(&options, &other));
    require_equal(9, id);
    require_equal(0, add(set, &world->mine.rx[0]));
    require_code(RILL_EINSET, rill_set_add(set, &alias, NULL, &id));
    require_code(RILL_EINSET, rill_set_add(other, &alias, NULL, &id));
    require_code(RILL_EINSET, rill_recv(alias, &message));
    require_code(RILL_EINSET, rill_try_recv(alias, &message));
    require_code(RILL_EINSET, rill_recv_into(alias, &id, sizeof id, RILL_NOW, &size));
    require_code(RILL_EINSET, rill_receiver_interrupt(alias));
    require_code(RILL_EINSET, rill_receiver_stats(alias, &(struct rill_stats){.size = sizeof(struct rill_stats)}));
    struct rill_handle handle = {.kind = RILL_HANDLE_RECEIVER, .as.receiver = alias};
    world_channel(world, 1, NULL);
    require_code(RILL_EINSET, rill_send_handles(world->mine.tx[1], NULL, 0, &handle, 1));
    rill_receiver *copy = alias;
    require_code(RILL_EINSET, rill_receiver_close(&copy));
    require_code(RILL_ENOENTRY, rill_set_remove(set, 1, &wrong));
    require_ok(rill_set_count(set, &count));
    require_equal(1, count);
    require_ok(send_number(world->mine.tx[0], 4));
    require_number(set, 0, 4);
    require_ok(rill_set_close(&set));
    require_ok(rill_set_close(&other));
    require_ok(rill_set_close(&other));
    require_code(RILL_EINVAL, rill_set_close(NULL));
}

struct adder {
    pthread_t thread;
    struct world *world;
    rill_set *set;
    uint64_t id;
};

static void *receive_here(void *argument)
{
    struct adder *adder = argument;
    rill_message *message = NULL;
    announce(adder->world->mine.board, SLOT_NAME);
    require_code(RILL_EINTERRUPTED, rill_recv(adder->world->mine.rx[0], &message));
    return NULL;
}

static void in_use_elsewhere(struct world *world)
{
    struct adder adder = {.world = world};
    rill_set *set = new_set();
    uint64_t id;
    world_channel(world, 0, NULL);
    require(pthread_create(&adder.thread, NULL, receive_here, &adder) == 0);
    wait_until_asleep(world->mine.board, SLOT_NAME);
    require_code(RILL_EBUSY, rill_set_add(set, &world->mine.rx[0], NULL, &id));
    require_ok(rill_receiver_interrupt(world->mine.rx[0]));
    require(pthread_join(adder.thread, NULL) == 0);
    require_equal(0, add(set, &world->mine.rx[0]));
    require_ok(rill_set_close(&set));
}

/* ---------------------------------------------------------------- many */

static void all_are_told(struct world *world)
{
    rill_set *set = new_set();
    rill_sender *senders[MANY];
    uint64_t next[MANY] = {0};
    struct rill_set_event events[7];
    size_t count, open = MANY;
    for (unsigned i = 0; i < MANY; i++) {
        world_channel(world, 0, NULL);
        senders[i] = world->mine.tx[0];
        require_equal(i, add(set, &world->mine.rx[0]));
    }
    world->mine.tx[0] = NULL;
    for (uint64_t n = 0; n < 5; n++)
        for (unsigned i = 0; i < MANY; i++)
            require_ok(send_number(senders[i], n));
    for (unsigned i = 0; i < MANY; i++)
        require_ok(rill_sender_close(&senders[i]));
    while (open) {
        require_ok(rill_set_wait(set, RILL_FOREVER, events, COUNT_OF(events), &count));
        require(count >= 1 && count <= COUNT_OF(events));
        for (size_t i = 0; i < count; i++) {
            require(events[i].id < MANY);
            if (events[i].kind == RILL_SET_CLOSED) {
                require_equal(5, next[events[i].id]);
                next[events[i].id]++;
                open--;
            } else {
                require_equal(RILL_SET_MESSAGE, events[i].kind);
                require_equal(next[events[i].id]++, take_number(&events[i].message));
            }
        }
    }
    require_nothing(set);
    require_code(RILL_ENOENTRY, rill_set_wait(set, RILL_FOREVER, events, 1, &count));
    require_ok(rill_set_close(&set));
}

static void user_comes_back(struct world *world)
{
    rill_set *set = new_set();
    int mark[3];
    rill_sender *senders[3];
    for (unsigned i = 0; i < 3; i++) {
        uint64_t id;
        world_channel(world, 0, NULL);
        senders[i] = world->mine.tx[0];
        require_ok(rill_set_add(set, &world->mine.rx[0], &mark[i], &id));
    }
    world->mine.tx[0] = NULL;
    for (unsigned i = 3; i-- > 0;) {
        require_ok(send_number(senders[i], i));
        struct rill_set_event event = wait_one(set, RILL_FOREVER);
        require(event.user == &mark[i]);
        require_equal(i, take_number(&event.message));
        require_ok(rill_sender_close(&senders[i]));
        event = wait_one(set, RILL_FOREVER);
        require_equal(RILL_SET_CLOSED, event.kind);
        require(event.user == &mark[i]);
    }
    require_ok(rill_set_close(&set));
}

/* One that always has something beside one that has something now and then: of each array of events the other gets its share. */
static void a_flood_starves_nobody(struct world *world)
{
    rill_set *set = new_set();
    rill_sender *flood, *slow[3];
    struct rill_set_event events[64];
    size_t count;
    uint64_t sent = 0, taken = 0;
    world_channel(world, 0, NULL);
    flood = world->mine.tx[0];
    require_equal(0, add(set, &world->mine.rx[0]));
    for (unsigned i = 0; i < 3; i++) {
        world_channel(world, 0, NULL);
        slow[i] = world->mine.tx[0];
        require_equal(i + 1, add(set, &world->mine.rx[0]));
    }
    world->mine.tx[0] = NULL;
    for (unsigned round = 0; round < 30; round++) {
        test_note = round;
        for (unsigned call = 0; call < 30; call++) { /* long enough for the others to count as idle */
            while (sent < taken + 100)
                require_ok(send_number(flood, sent++));
            require_ok(rill_set_wait(set, RILL_FOREVER, events, COUNT_OF(events), &count));
            for (size_t i = 0; i < count; i++)
                require_equal(taken++, take_number(&events[i].message));
        }
        while (sent < taken + 150)
            require_ok(send_number(flood, sent++));
        for (unsigned i = 0; i < 3; i++)
            require_ok(send_number(slow[i], round));
        unsigned seen = 0;
        for (unsigned call = 0; call < 2; call++) { /* no more than one full array goes before */
            require_ok(rill_set_wait(set, RILL_FOREVER, events, COUNT_OF(events), &count));
            for (size_t i = 0; i < count; i++) {
                require_equal(RILL_SET_MESSAGE, events[i].kind);
                uint64_t number = take_number(&events[i].message);
                if (events[i].id == 0)
                    require_equal(taken++, number);
                else {
                    require_equal(round, number);
                    seen++;
                }
            }
        }
        require_equal(3, seen);
    }
    require_ok(rill_sender_close(&flood));
    for (unsigned i = 0; i < 3; i++)
        require_ok(rill_sender_close(&slow[i]));
    require_ok(rill_set_close(&set));
}

/* ---------------------------------------------------------------- sleeping */

static void send_when_asleep(struct ends *ends)
{
    for (uint64_t i = 0; i < ends->argument; i++) {
        wait_until_asleep(ends->board, SLOT_NAME);
        require_ok(send_number(ends->tx[i % 3], i));
        flag_wait(ends->board, SLOT_FREE + (unsigned)i);
    }
}

static void woken_by_whichever_it_is(struct world *world)
{
    struct peer peer;
    rill_set *set = new_set();
    struct rill_set_options never = {.size = sizeof never, .spin = -1};
    require_ok(rill_set_close(&set));
    require_ok(rill_set_create(&never, &set));
    for (unsigned i = 0; i < 3; i++) {
        world_channel(world, i, NULL);
        require_equal(i, add(set, &world->mine.rx[i]));
    }
    announce(world->mine.board, SLOT_NAME);
    peer_start(&peer, world, send_when_asleep, END(0) | END(1) | END(2), 0, 30);
    for (uint64_t i = 0; i < 30; i++) {
        require_number(set, i % 3, i);
        flag_raise(world->mine.board, SLOT_FREE + (unsigned)i);
    }
    bool closed[3] = {false};
    for (unsigned i = 0; i < 3; i++) {
        struct rill_set_event event = wait_one(set, RILL_FOREVER);
        require_equal(RILL_SET_CLOSED, event.kind);
        require(event.id < 3 && !closed[event.id]);
        closed[event.id] = true;
    }
    peer_join(&peer);
    require_ok(rill_set_close(&set));
}

static void asleep_it_costs_nothing(struct world *world)
{
    rill_set *set = new_set();
    struct rill_set_event event;
    size_t count;
    rill_sender *senders[MANY];
    for (unsigned i = 0; i < MANY; i++) {
        world_channel(world, 0, NULL);
        senders[i] = world->mine.tx[0];
        (void)add(set, &world->mine.rx[0]);
    }
    world->mine.tx[0] = NULL;
    for (unsigned i = 0; i < MANY; i++)
        require_ok(send_number(senders[i], i));
    for (unsigned i = 0; i < MANY; i++) {
        event = wait_one(set, RILL_FOREVER);
        require_ok(rill_message_close(&event.message));
    }
    require_code(RILL_ETIMEDOUT, rill_set_wait_timeout(set, 10 * MILLISECOND, &event, 1, &count));
    int64_t cpu = thread_cpu();
    require_code(RILL_ETIMEDOUT, rill_set_wait_timeout(set, 300 * MILLISECOND, &event, 1, &count));
    if (!SANITIZED)
        require(thread_cpu() - cpu < 5 * MILLISECOND);
    for (unsigned i = 0; i < MANY; i++)
        require_ok(rill_sender_close(&senders[i]));
    require_ok(rill_set_close(&set));
}

static void *wait_here(void *argument)
{
    struct adder *adder = argument;
    struct rill_set_event event;
    size_t count;
    announce(adder->world->mine.board, SLOT_NAME);
    adder->id = (uint64_t)-(int64_t)rill_set_wait(adder->set, RILL_FOREVER, &event, 1, &count);
    if (adder->id == 0)
        adder->id = 1000 + take_number(&event.message);
    return NULL;
}

static void start_waiter(struct adder *adder, struct world *world, rill_set *set)
{
    *adder = (struct adder){.world = world, .set = set};
    atomic_store(&world->mine.board->value[SLOT_NAME], 0);
    require(pthread_create(&adder->thread, NULL, wait_here, adder) == 0);
    wait_until_asleep(world->mine.board, SLOT_NAME);
}

static void require_waited(struct adder *adder, uint64_t result)
{
    require(pthread_join(adder->thread, NULL) == 0);
    require_equal(result, adder->id);
}

static void interrupted(struct world *world)
{
    struct adder waiter;
    struct rill_set_event event;
    size_t count;
    rill_set *set = new_set();
    world_channel(world, 0, NULL);
    (void)add(set, &world->mine.rx[0]);
    start_waiter(&waiter, world, set);
    require_code(RILL_EBUSY, rill_set_wait(set, RILL_NOW, &event, 1, &count));
    require_code(RILL_EBUSY, rill_set_arm(set));
    require_ok(rill_set_interrupt(set));
    require_waited(&waiter, (uint64_t)-RILL_EINTERRUPTED);
    require_nothing(set);
    require_ok(rill_set_interrupt(set));
    require_ok(send_number(world->mine.tx[0], 1));
    require_number(set, 0, 1);
    require_code(RILL_EINTERRUPTED, rill_set_wait(set, RILL_FOREVER, &event, 1, &count));
    require_nothing(set);
    require_ok(rill_set_close(&set));
}

static void changed_while_another_waits(struct world *world)
{
    struct adder waiter;
    rill_set *set = new_set();
    world_channel(world, 0, NULL);
    (void)add(set, &world->mine.rx[0]);
    start_waiter(&waiter, world, set);
    world_channel(world, 1, NULL);
    require_ok(send_number(world->mine.tx[1], 5));
    (void)add(set, &world->mine.rx[1]); /* with a message in it */
    require_waited(&waiter, 1005);
    start_waiter(&waiter, world, set);
    world_channel(world, 2, NULL);
    (void)add(set, &world->mine.rx[2]); /* and without */
    require_ok(send_number(world->mine.tx[2], 6));
    require_waited(&waiter, 1006);
    start_waiter(&waiter, world, set);
    for (unsigned i = 0; i < 3; i++)
        require_ok(rill_set_remove(set, i, &world->mine.rx[i]));
    require_waited(&waiter, (uint64_t)-RILL_ENOENTRY);
    require_ok(rill_set_close(&set));
}

/* ---------------------------------------------------------------- deaths, forks */

static void send_and_be_killed(struct ends *ends)
{
    require_ok(send_number(ends->tx[0], 1));
    require_ok(send_number(ends->tx[0], 2));
    flag_raise(ends->board, SLOT_READY);
    for (;;)
        pause();
}

static void a_killed_sender_is_told(struct world *world)
{
    struct peer peer;
    rill_set *set = new_set();
    world_channel(world, 0, NULL);
    world_channel(world, 1, NULL);
    (void)add(set, &world->mine.rx[0]);
    (void)add(set, &world->mine.rx[1]);
    peer_start(&peer, world, send_and_be_killed, FIRST, 0, 0);
    flag_wait(world->mine.board, SLOT_READY);
    require_number(set, 0, 1);
    peer_kill(&peer);
    require_number(set, 0, 2);
    require_closed(set, 0);
    require_ok(send_number(world->mine.tx[1], 3));
    require_number(set, 1, 3);
    require_ok(rill_set_close(&set));
}

static void a_childs_copy_is_no_use_and_no_harm(struct world *world)
{
    rill_set *set = new_set();
    struct rill_set_event event;
    size_t count;
    world_channel(world, 0, NULL);
    (void)add(set, &world->mine.rx[0]);
    require_ok(send_number(world->mine.tx[0], 1));
    require_number(set, 0, 1);
    pid_t child = fork_child();
    if (child == 0) {
        rill_receiver *receiver;
        require_code(RILL_ENOTSUP, rill_set_wait(set, RILL_NOW, &event, 1, &count));
        require_code(RILL_ENOTSUP, rill_set_remove(set, 0, &receiver));
        require_ok(rill_set_close(&set));
        close_ends(&world->mine);
        _exit(0);
    }
    join_child(child);
    require_ok(send_number(world->mine.tx[0], 2));
    require_number(set, 0, 2);
    struct rill_set_event none;
    require_code(RILL_ETIMEDOUT, rill_set_wait_timeout(set, MILLISECOND, &none, 1, &count));
    require_ok(send_number(world->mine.tx[0], 3));
    require_number(set, 0, 3);
    require_ok(rill_set_close(&set));
}

/* ---------------------------------------------------------------- mixed */

static void transports_mixed(struct world *world)
{
    (void)world;
    rill_set *set = new_set();
    rill_sender *senders[3];
    for (uint32_t t = RILL_SHM; t <= RILL_INPROC; t++) {
        struct rill_channel_options options = {.size = sizeof options, .transport = t};
        rill_receiver *receiver;
        require_ok(rill_channel(&options, &senders[t - RILL_SHM], &receiver));
        require_equal(t - RILL_SHM, add(set, &receiver));
    }
    struct rill_set_event events[16];
    size_t count, left = 0;
    struct dice dice = {7};
    uint64_t sent[3] = {0}, taken[3] = {0};
    for (unsigned round = 0; round < rounds(20000); round++) {
        unsigned which = (unsigned)roll_between(&dice, 0, 2);
        require_ok(send_number(senders[which], sent[which]++));
        left++;
        if (left < roll_between(&dice, 1, 40))
            continue;
        while (left) {
            require_ok(rill_set_wait(set, RILL_FOREVER, events, roll_between(&dice, 1, 16), &count));
            for (size_t i = 0; i < count; i++)
                require_equal(taken[events[i].id]++, take_number(&events[i].message));
            left -= count;
        }
        require_nothing(set);
    }
    for (; left; left -= count) {
        require_ok(rill_set_wait(set, RILL_FOREVER, events, COUNT_OF(events), &count));
        for (size_t i = 0; i < count; i++)
            require_equal(taken[events[i].id]++, take_number(&events[i].message));
    }
    for (unsigned i = 0; i < 3; i++) {
        require_ok(rill_sender_close(&senders[i]));
        require_closed(set, i);
    }
    require_ok(rill_set_close(&set));
}

int main(int argc, char **argv)
{
    static const struct conformance_case cases[] = {
        {"a set with one receiver gives its messages in order, then its end, once", one_receiver, ON_ALL, AT_ALL, 0},
        {"what was queued before a receiver was added is told", queued_before_it_was_added, ON_ALL, AT_THREADS, 0},
        {"a receiver that is removed is given back with its queue, and its id is not given again", removed_and_given_back, ON_ALL, AT_THREADS, 0},
        {"a receiver that was armed works on after it is removed, and in a set again", idle_when_removed, ON_ALL, AT_THREADS, 0},
        {"wrong arguments and receivers of other sets are refused", refused, ON_ALL, AT_THREADS, 0},
        {"a receiver that another thread uses is not taken into a set", in_use_elsewhere, ON_ALL, AT_THREADS, 0},
        {"of many receivers each message and each end is told, whatever the size of the array", all_are_told, ON_ALL, AT_THREADS, 0},
        {"the user's pointer comes with each event", user_comes_back, ON_ALL, AT_THREADS, 0},
        {"behind a flood nobody waits for more than one full array", a_flood_starves_nobody, ON_ALL, AT_THREADS, 0},
        {"a set that sleeps is woken by whichever receiver it is", woken_by_whichever_it_is, ON_ALL, AT_ALL, 60},
        {"a set that sleeps takes no processor time", asleep_it_costs_nothing, ON_ALL, AT_THREADS, 0},
        {"an interrupt ends a wait, once, and comes behind the messages", interrupted, ON_ALL, AT_THREADS, 0},
        {"receivers come and go while a thread waits", changed_while_another_waits, ON_ALL, AT_THREADS, 0},
        {"the end of a sender that was killed is told, behind its messages", a_killed_sender_is_told, ON_ALL, AT_PROCESSES, 0},
        {"a set in a forked child refuses, and its close there changes nothing", a_childs_copy_is_no_use_and_no_harm, ON_ALL & ~ON_INPROC, AT_THREADS, 0},
        {"transports mix in one set", transports_mixed, ON_SHM, AT_THREADS, 60},
    };
    static const struct role roles[] = {ROLE(send_numbers), ROLE(send_when_asleep), ROLE(send_and_be_killed)};
    return conformance_main(argc, argv, cases, COUNT_OF(cases), roles, COUNT_OF(roles));
}
