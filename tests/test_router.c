/* SPDX-License-Identifier: MIT */
/* Routers: callbacks, forwards, additions and removals from everywhere, and shutdown. */
#include "support.h"

#include <pthread.h>

#define ROUTES 100

static rill_router *new_router(void)
{
    rill_router *router = NULL;
    require_ok(rill_router_create(&router));
    return router;
}

static uint32_t transport; /* of the test's channels */

static void channel(rill_sender **sender, rill_receiver **receiver, uint64_t limit)
{
    struct rill_channel_options options = {.size = sizeof options, .transport = transport, .limit = limit};
    require_ok(rill_channel(&options, sender, receiver));
}

/* What a callback counts, and a way to wait for it. */
struct tally {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint64_t count, sum, ended, last_id;
    pthread_t thread;
    rill_router *router;
    rill_receiver *receiver; /* to be added by the callback */
    rill_sender *sender;
    uint64_t id;
    bool waits, go;
};

static void tally_begin(struct tally *tally)
{
    *tally = (struct tally){0};
    require(pthread_mutex_init(&tally->lock, NULL) == 0 && pthread_cond_init(&tally->changed, NULL) == 0);
}

static void count_message(void *user, uint64_t id, rill_message *message)
{
    struct tally *tally = user;
    uint64_t number = take_number(&message);
    require(pthread_mutex_lock(&tally->lock) == 0);
    require_equal(0, tally->ended);
    tally->count++;
    tally->sum += number;
    tally->last_id = id;
    tally->thread = pthread_self();
    require(pthread_cond_broadcast(&tally->changed) == 0);
    while (tally->waits && !tally->go)
        require(pthread_cond_wait(&tally->changed, &tally->lock) == 0);
    require(pthread_mutex_unlock(&tally->lock) == 0);
}

static void count_end(void *user)
{
    struct tally *tally = user;
    require(pthread_mutex_lock(&tally->lock) == 0);
    tally->ended++;
    require(pthread_cond_broadcast(&tally->changed) == 0);
    require(pthread_mutex_unlock(&tally->lock) == 0);
}

static void await(struct tally *tally, uint64_t count, uint64_t ended)
{
    require(pthread_mutex_lock(&tally->lock) == 0);
    while (tally->count < count || tally->ended < ended)
        require(pthread_cond_wait(&tally->changed, &tally->lock) == 0);
    require_equal(count, tally->count);
    require_equal(ended, tally->ended);
    require(pthread_mutex_unlock(&tally->lock) == 0);
}

static void let_go(struct tally *tally)
{
    require(pthread_mutex_lock(&tally->lock) == 0);
    tally->go = true;
    require(pthread_cond_broadcast(&tally->changed) == 0);
    require(pthread_mutex_unlock(&tally->lock) == 0);
}

/* ---------------------------------------------------------------- callbacks */

static void every_message_is_called_back(void)
{
    struct tally tally;
    rill_router *router = new_router();
    rill_sender *sender;
    rill_receiver *receiver;
    uint64_t id = 9;
    tally_begin(&tally);
    channel(&sender, &receiver, 0);
    require_ok(send_number(sender, 1000));
    require_ok(rill_router_call(router, &receiver, count_message, &tally, count_end, 0, &id));
    require(receiver == NULL);
    require_equal(0, id);
    for (uint64_t i = 1; i < 1000; i++)
        require_ok(send_number(sender, i));
    await(&tally, 1000, 0);
    require_equal(1000 + 999 * 500, tally.sum);
    require(!pthread_equal(tally.thread, pthread_self()));
    require_ok(rill_sender_close(&sender));
    await(&tally, 1000, 1);
    require_code(RILL_ENOENTRY, rill_router_remove(router, id, NULL));
    require_ok(rill_router_close(&router));
    require(router == NULL);
    require_equal(1, tally.ended);
}

static void once_is_once(void)
{
    struct tally tally;
    rill_router *router = new_router();
    rill_sender *sender;
    rill_receiver *receiver;
    tally_begin(&tally);
    channel(&sender, &receiver, 0);
    for (uint64_t i = 0; i < 5; i++)
        require_ok(send_number(sender, 7));
    require_ok(rill_router_call(router, &receiver, count_message, &tally, count_end, RILL_ROUTE_ONCE, NULL));
    await(&tally, 1, 1);
    require_equal(7, tally.sum);
    require_code(RILL_EBROKEN, send_number(sender, 8));
    require_ok(rill_sender_close(&sender));
    channel(&sender, &receiver, 0);
    struct tally unused;
    tally_begin(&unused);
    require_ok(rill_router_call(router, &receiver, count_message, &unused, count_end, RILL_ROUTE_ONCE, NULL));
    require_ok(rill_sender_close(&sender));
    await(&unused, 0, 1);
    require_ok(rill_router_close(&router));
    require_equal(1, tally.ended);
    require_equal(1, unused.ended);
}

static void removed_and_given_back(void)
{
    struct tally tally;
    rill_router *router = new_router();
    rill_sender *sender;
    rill_receiver *receiver;
    uint64_t id;
    tally_begin(&tally);
    channel(&sender, &receiver, 0);
    require_ok(rill_router_call(router, &receiver, count_message, &tally, count_end, 0, &id));
    require_ok(send_number(sender, 1));
    await(&tally, 1, 0);
    require_ok(rill_router_remove(router, id, &receiver));
    require_equal(1, tally.ended);
    require_code(RILL_ENOENTRY, rill_router_remove(router, id, NULL));
    require_ok(send_number(sender, 2));
    require_equal(2, receive_number(receiver));
    require_ok(rill_router_call(router, &receiver, count_message, &(struct tally){0}, NULL, 0, &id));
    require_equal(1, id);
    require_ok(rill_router_remove(router, id, NULL)); /* closed */
    require_code(RILL_EBROKEN, send_number(sender, 3));
    require_ok(rill_sender_close(&sender));
    require_ok(rill_router_close(&router));
}

static void *remove_here(void *argument)
{
    struct tally *tally = argument;
    require_ok(rill_router_remove(tally->router, tally->id, &tally->receiver));
    require_equal(1, tally->ended); /* and the callback has returned */
    return NULL;
}

static void a_removal_waits_for_the_callback(void)
{
    struct tally tally;
    pthread_t thread;
    rill_router *router = new_router();
    rill_sender *sender;
    rill_receiver *receiver;
    tally_begin(&tally);
    tally.waits = true;
    tally.router = router;
    channel(&sender, &receiver, 0);
    require_ok(rill_router_call(router, &receiver, count_message, &tally, count_end, 0, &tally.id));
    for (uint64_t i = 0; i < 3; i++)
        require_ok(send_number(sender, i));
    await(&tally, 1, 0);
    require(pthread_create(&thread, NULL, remove_here, &tally) == 0);
    let_go(&tally);
    require(pthread_join(thread, NULL) == 0);
    for (uint64_t i = tally.count; i < 3; i++)
        require_equal(i, receive_number(tally.receiver));
    require_ok(rill_receiver_close(&tally.receiver));
    require_ok(rill_sender_close(&sender));
    require_ok(rill_router_close(&router));
}

/* ---------------------------------------------------------------- from callbacks */

static void shut_down_here(void *user, uint64_t id, rill_message *message)
{
    struct tally *tally = user;
    rill_router *router = tally->router;
    require_code(RILL_ECALLBACK, rill_router_shutdown(router));
    require_code(RILL_ECALLBACK, rill_router_close(&router));
    require(router == tally->router);
    count_message(user, id, message);
}

static void not_shut_down_by_its_own_callback(void)
{
    struct tally tally;
    rill_router *router = new_router();
    rill_sender *sender;
    rill_receiver *receiver;
    tally_begin(&tally);
    tally.router = router;
    channel(&sender, &receiver, 0);
    require_ok(rill_router_call(router, &receiver, shut_down_here, &tally, count_end, 0, NULL));
    require_ok(send_number(sender, 1));
    await(&tally, 1, 0);
    require_ok(send_number(sender, 1));
    await(&tally, 2, 0);
    require_ok(rill_router_shutdown(router));
    require_equal(1, tally.ended);
    require_ok(rill_router_shutdown(router));
    require_code(RILL_EBROKEN, send_number(sender, 1));
    struct tally other = {0};
    rill_sender *second;
    channel(&second, &receiver, 0);
    require_code(RILL_ESHUTDOWN, rill_router_call(router, &receiver, count_message, &other, count_end, 0, NULL));
    require_ok(send_number(second, 4));
    require_equal(4, receive_number(receiver));
    require_ok(rill_receiver_close(&receiver));
    require_ok(rill_sender_close(&second));
    require_ok(rill_sender_close(&sender));
    require_ok(rill_router_close(&router));
    require_ok(rill_router_close(&router));
    require_code(RILL_EINVAL, rill_router_close(NULL));
    require_equal(1, tally.ended);
    require_equal(0, other.ended);
}

/* Adds a route, sends to it, and removes its own. */
static void change_routes(void *user, uint64_t id, rill_message *message)
{
    struct tally *tally = user;
    require_equal(tally->id, id);
    require_ok(rill_router_call(tally->router, &tally->receiver, count_message, tally, count_end, RILL_ROUTE_ONCE, NULL));
    require_ok(send_number(tally->sender, 100));
    require_ok(rill_router_remove(tally->router, id, NULL));
    require_code(RILL_ENOENTRY, rill_router_remove(tally->router, id, NULL));
    require_ok(rill_message_close(&message));
}

static void nothing(void *user)
{
    (void)user;
}

static void callbacks_change_routes(void)
{
    struct tally tally;
    rill_router *router = new_router();
    rill_sender *sender;
    rill_receiver *receiver;
    tally_begin(&tally);
    tally.router = router;
    channel(&tally.sender, &tally.receiver, 0);
    channel(&sender, &receiver, 0);
    require(pthread_mutex_lock(&tally.lock) == 0);
    require_ok(rill_router_call(router, &receiver, change_routes, &tally, nothing, 0, &tally.id));
    require(pthread_mutex_unlock(&tally.lock) == 0);
    require_ok(send_number(sender, 1));
    await(&tally, 1, 1);
    require_equal(100, tally.sum);
    require_ok(rill_sender_close(&sender));
    require_ok(rill_sender_close(&tally.sender));
    require_ok(rill_router_close(&router));
}

/* ---------------------------------------------------------------- many threads */

struct worker {
    pthread_t thread;
    rill_router *router;
    unsigned index;
    struct tally *tally;
};

static void *add_and_remove(void *argument)
{
    struct worker *worker = argument;
    struct dice dice = {worker->index + 1};
    for (unsigned i = 0; i < rounds(300); i++) {
        rill_sender *sender;
        rill_receiver *receiver;
        uint64_t id;
        channel(&sender, &receiver, 0);
        bool once = roll_between(&dice, 0, 1);
        require_ok(rill_router_call(worker->router, &receiver, count_message, &worker->tally[i % ROUTES], NULL, once, &id));
        int code = send_number(sender, 1);
        require(code == RILL_OK);
        if (roll_between(&dice, 0, 1)) {
            code = rill_router_remove(worker->router, id, &receiver);
            require(code == RILL_OK || (once && code == RILL_ENOENTRY));
            if (code == RILL_OK)
                require_ok(rill_receiver_close(&receiver));
        }
        require_ok(rill_sender_close(&sender));
    }
    return NULL;
}

static void from_many_threads(void)
{
    static struct tally tallies[ROUTES];
    struct worker workers[4];
    rill_router *router = new_router();
    for (unsigned i = 0; i < ROUTES; i++)
        tally_begin(&tallies[i]);
    for (unsigned i = 0; i < COUNT_OF(workers); i++) {
        workers[i] = (struct worker){.router = router, .index = i, .tally = tallies};
        require(pthread_create(&workers[i].thread, NULL, add_and_remove, &workers[i]) == 0);
    }
    for (unsigned i = 0; i < COUNT_OF(workers); i++)
        require(pthread_join(workers[i].thread, NULL) == 0);
    require_ok(rill_router_close(&router));
}

static void *shut_down(void *argument)
{
    require_ok(rill_router_shutdown(argument));
    return NULL;
}

static void shutdown_from_two_threads(void)
{
    struct tally tallies[10];
    rill_sender *senders[10];
    pthread_t threads[3];
    rill_router *router = new_router();
    for (unsigned i = 0; i < 10; i++) {
        rill_receiver *receiver;
        tally_begin(&tallies[i]);
        channel(&senders[i], &receiver, 0);
        require_ok(rill_router_call(router, &receiver, count_message, &tallies[i], count_end, 0, NULL));
        require_ok(send_number(senders[i], 1));
    }
    for (unsigned i = 0; i < 3; i++)
        require(pthread_create(&threads[i], NULL, shut_down, router) == 0);
    for (unsigned i = 0; i < 3; i++)
        require(pthread_join(threads[i], NULL) == 0);
    for (unsigned i = 0; i < 10; i++) {
        require_equal(1, tallies[i].ended);
        require_code(RILL_EBROKEN, send_number(senders[i], 1));
        require_ok(rill_sender_close(&senders[i]));
    }
    require_ok(rill_router_close(&router));
}

/* ---------------------------------------------------------------- forwards */

static void forwarded(void)
{
    const uint64_t count = transport == RILL_SOCKET ? 100 : 1000; /* what the sockets hold */
    rill_router *router = new_router();
    rill_sender *in, *out, *attached, *taken;
    rill_receiver *source, *target, *beside;
    rill_message *message;
    channel(&in, &source, 0);
    channel(&out, &target, 0);
    require_ok(rill_router_forward(router, &source, &out, NULL));
    require(source == NULL && out == NULL);
    for (uint64_t i = 0; i < count; i++)
        require_ok(send_number(in, i));
    for (uint64_t i = 0; i < count; i++)
        require_equal(i, receive_number(target));
    if (transport != RILL_SOCKET) { /* handles go along */
        channel(&attached, &beside, 0);
        struct rill_handle handle = {.kind = RILL_HANDLE_SENDER, .as.sender = attached};
        require_ok(rill_send_handles(in, "x", 1, &handle, 1));
        require_ok(rill_recv(target, &message));
        require_ok(rill_message_take_sender(message, 0, &taken));
        require_ok(rill_message_close(&message));
        require_ok(send_number(taken, 5));
        require_equal(5, receive_number(beside));
        require_ok(rill_sender_close(&taken));
        require_ok(rill_sender_close(&attached));
        require_ok(rill_receiver_close(&beside));
    }
    require_ok(send_filled(in, 200000, 3));
    receive_filled(target, 200000, 3);
    require_ok(rill_sender_close(&in));
    require_code(RILL_EDISCONNECTED, rill_recv(target, &message));
    require_ok(rill_receiver_close(&target));
    require_ok(rill_router_close(&router));
}

static void to_a_channel_in_process(void)
{
    rill_router *router = new_router();
    rill_sender *in, *out;
    rill_receiver *source, *target;
    rill_message *message;
    channel(&in, &source, 0);
    struct rill_channel_options options = {.size = sizeof options, .transport = RILL_INPROC};
    require_ok(rill_channel(&options, &out, &target));
    require_ok(rill_router_forward(router, &source, &out, NULL));
    for (uint64_t i = 0; i < 100; i++)
        require_ok(send_number(in, i));
    for (uint64_t i = 0; i < 100; i++)
        require_equal(i, receive_number(target));
    require_ok(rill_sender_close(&in));
    require_code(RILL_EDISCONNECTED, rill_recv(target, &message));
    require_ok(rill_receiver_close(&target));
    require_ok(rill_router_close(&router));
}

/* One target is full and nobody receives from it: the other route goes on, and nothing is lost. Two routes share the full one. */
static void a_full_target_keeps_nobody_else(void)
{
    struct tally tally;
    const uint64_t count = transport == RILL_SOCKET ? 200 : 2000; /* what a socket holds */
    rill_router *router = new_router();
    rill_sender *in[2], *out, *clone, *other;
    rill_receiver *source[2], *target, *free_source;
    uint64_t id;
    tally_begin(&tally);
    channel(&out, &target, 4096);
    require_ok(rill_sender_clone(out, &clone));
    for (unsigned i = 0; i < 2; i++) {
        channel(&in[i], &source[i], 0);
        require_ok(rill_router_forward(router, &source[i], i ? &clone : &out, &id));
    }
    channel(&other, &free_source, 0);
    require_ok(rill_router_call(router, &free_source, count_message, &tally, count_end, 0, NULL));
    for (uint64_t i = 0; i < count; i++)
        for (unsigned k = 0; k < 2; k++)
            require_ok(rill_send_until(in[k], &i, sizeof i, RILL_NOW));
    for (uint64_t i = 0; i < 100; i++)
        require_ok(send_number(other, i));
    await(&tally, 100, 0);
    for (uint64_t i = 0; i < 2 * count; i++)
        tally.sum += receive_number(target);
    require_equal(99 * 50 + (count - 1) * count, tally.sum);
    for (unsigned i = 0; i < 2; i++)
        require_ok(rill_sender_close(&in[i]));
    rill_message *message;
    require_code(RILL_EDISCONNECTED, rill_recv(target, &message));
    require_ok(rill_receiver_close(&target));
    require_ok(rill_sender_close(&other));
    require_ok(rill_router_close(&router));
}

static void a_broken_target_ends_the_route(void)
{
    rill_router *router = new_router();
    rill_sender *in, *out;
    rill_receiver *source, *target;
    uint64_t id;
    channel(&in, &source, 0);
    channel(&out, &target, 0);
    require_ok(rill_router_forward(router, &source, &out, &id));
    require_ok(send_number(in, 1));
    require_equal(1, receive_number(target));
    require_ok(rill_receiver_close(&target));
    int code;
    while ((code = send_number(in, 2)) == RILL_OK || code == RILL_EFULL)
        sched_yield();
    require_code(RILL_EBROKEN, code);
    require_ok(rill_sender_close(&in));
    require_ok(rill_router_close(&router));
}

static void removed_while_it_waits_for_room(void)
{
    rill_router *router = new_router();
    rill_sender *in, *out, *probe;
    rill_receiver *source, *target;
    uint64_t id;
    struct rill_stats stats = {.size = sizeof stats};
    channel(&in, &source, 0);
    channel(&out, &target, 1024);
    require_ok(rill_sender_clone(out, &probe));
    require_ok(rill_router_forward(router, &source, &out, &id));
    uint64_t sent = 0;
    while (rill_send_until(probe, "12345678", 8, RILL_NOW) == RILL_OK)
        sched_yield();
    for (; sent < 200; sent++)
        require_ok(send_number(in, sent));
    require_ok(rill_receiver_stats(target, &stats));
    require_ok(rill_router_remove(router, id, &source));
    require_ok(rill_receiver_close(&source));
    require_ok(rill_receiver_close(&target));
    require_ok(rill_sender_close(&in));
    require_ok(rill_sender_close(&probe));
    require_ok(rill_router_close(&router));
}

/* ---------------------------------------------------------------- the process's router, forks, wrong arguments */

static void one_for_the_process(void)
{
    struct tally tally;
    rill_router *router = NULL, *again = NULL, *third = NULL;
    rill_sender *sender;
    rill_receiver *receiver;
    tally_begin(&tally);
    require_ok(rill_router_default(&router));
    require_ok(rill_router_default(&again));
    require(router == again);
    channel(&sender, &receiver, 0);
    require_ok(rill_router_call(router, &receiver, count_message, &tally, count_end, 0, NULL));
    require_ok(send_number(sender, 1));
    await(&tally, 1, 0);
    if (transport != RILL_INPROC && !THREAD_SANITIZED) { /* which cannot start a thread in the child of a process with threads */
        pid_t child = fork_child();
        if (child == 0) {
            struct tally mine;
            rill_sender *own;
            tally_begin(&mine);
            require_code(RILL_ENOTSUP, rill_router_shutdown(router));
            require_ok(rill_router_default(&third));
            channel(&own, &receiver, 0);
            require_ok(rill_router_call(third, &receiver, count_message, &mine, count_end, 0, NULL));
            require_ok(send_number(own, 1));
            await(&mine, 1, 0);
            require_ok(rill_sender_close(&own));
            require_ok(rill_router_close(&third));
            require_ok(rill_sender_close(&sender));
            require_equal(0, tally.ended);
            _exit(0);
        }
        join_child(child);
    }
    require_ok(send_number(sender, 1));
    await(&tally, 2, 0);
    require_ok(rill_sender_close(&sender));
    await(&tally, 2, 1);
    require_ok(rill_router_close(&router));
    require_ok(rill_router_default(&router));
    require_ok(rill_router_close(&router));
}

static void wrong_arguments(void)
{
    struct tally tally;
    rill_router *router = new_router();
    rill_sender *sender, *none = NULL;
    rill_receiver *receiver, *nothing_here = NULL;
    tally_begin(&tally);
    channel(&sender, &receiver, 0);
    rill_receiver *alias = receiver;
    require_code(RILL_EINVAL, rill_router_create(NULL));
    require_code(RILL_EINVAL, rill_router_default(NULL));
    require_code(RILL_EINVAL, rill_router_call(NULL, &receiver, count_message, &tally, NULL, 0, NULL));
    require_code(RILL_EINVAL, rill_router_call(router, &nothing_here, count_message, &tally, NULL, 0, NULL));
    require_code(RILL_EINVAL, rill_router_call(router, NULL, count_message, &tally, NULL, 0, NULL));
    require_code(RILL_EINVAL, rill_router_call(router, &receiver, NULL, &tally, NULL, 0, NULL));
    require_code(RILL_EINVAL, rill_router_call(router, &receiver, count_message, &tally, NULL, 2, NULL));
    require_code(RILL_EINVAL, rill_router_forward(router, &receiver, &none, NULL));
    require_code(RILL_EINVAL, rill_router_forward(router, &receiver, NULL, NULL));
    require_code(RILL_ENOENTRY, rill_router_remove(router, 0, NULL));
    require_code(RILL_EINVAL, rill_router_shutdown(NULL));
    require_ok(rill_router_call(router, &receiver, count_message, &tally, count_end, 0, NULL));
    require_code(RILL_EINSET, rill_router_call(router, &alias, count_message, &tally, count_end, 0, NULL));
    require(alias != NULL);
    require_ok(rill_sender_close(&sender));
    await(&tally, 0, 1);
    require_ok(rill_router_close(&router));
}

static void leaves_nothing(void)
{
    struct tally tally;
    rill_router *router = new_router();
    size_t descriptors = 0, mappings = 0;
    tally_begin(&tally);
    for (uint64_t i = 0; i < rounds(3000); i++) {
        rill_sender *sender;
        rill_receiver *receiver;
        channel(&sender, &receiver, 0);
        require_ok(rill_router_call(router, &receiver, count_message, &tally, NULL, RILL_ROUTE_ONCE, NULL));
        require_ok(send_number(sender, i));
        await(&tally, i + 1, 0);
        require_ok(rill_sender_close(&sender));
        size_t count = 1;
        while (i % 500 == 9 && (count = count_descriptors()) > descriptors && descriptors)
            sched_yield(); /* the thread is about to close the last one */
        if (i % 500 == 9 && !descriptors) {
            descriptors = count + 8;
            mappings = count_shared_mappings() + 8;
        }
        require(!mappings || count_shared_mappings() <= mappings);
    }
    require_ok(rill_router_close(&router));
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
        bool not_on_sockets;
    } bodies[] = {
        {"a route calls back with each message, and its destructor runs once, at the end", every_message_is_called_back, false},
        {"a route for one message takes one, or ends with its channel", once_is_once, false},
        {"a removed route gives its receiver back, with its queue, or closes it", removed_and_given_back, false},
        {"a removal waits for the callback that runs", a_removal_waits_for_the_callback, false},
        {"a callback cannot shut its router down; anybody else can, again and again", not_shut_down_by_its_own_callback, false},
        {"callbacks add routes and remove their own", callbacks_change_routes, false},
        {"threads add and remove routes at the same time", from_many_threads, false},
        {"a shutdown from several threads ends every route once", shutdown_from_two_threads, false},
        {"a route sends on, with handles and the end", forwarded, false},
        {"a route leads to a channel in process", to_a_channel_in_process, false},
        {"a route whose target is full keeps nobody else waiting, and loses nothing", a_full_target_keeps_nobody_else, false},
        {"a route whose target is broken ends, and its senders learn of it", a_broken_target_ends_the_route, false},
        {"a route can be removed while it waits for room", removed_while_it_waits_for_room, true},
        {"the process has a router, and a forked child another", one_for_the_process, false},
        {"wrong arguments are refused", wrong_arguments, false},
        {"used routes leave no descriptor and no mapping", leaves_nothing, false},
    };
    static const char *const names[] = {"shm", "socket", "inproc"};
    static struct each each[3 * COUNT_OF(bodies)];
    static struct test tests[3 * COUNT_OF(bodies)];
    static char text[3 * COUNT_OF(bodies)][128];
    size_t count = 0;
    for (uint32_t t = RILL_SHM; t <= RILL_INPROC; t++) {
        for (size_t i = 0; i < COUNT_OF(bodies); i++) {
            if (t == RILL_SOCKET && bodies[i].not_on_sockets)
                continue;
            snprintf(text[count], sizeof text[count], "%s: %s", names[t - RILL_SHM], bodies[i].name);
            each[count] = (struct each){bodies[i].body, t};
            tests[count] = (struct test){text[count], run_each, &each[count], 60};
            count++;
        }
    }
    return run_group("router", tests, count);
}
