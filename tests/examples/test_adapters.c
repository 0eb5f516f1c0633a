/* SPDX-License-Identifier: MIT */
/* The adapters: each message comes, in order, and the loop is woken once for one that arrives on an idle channel. */
#include "adapters.h"
#include "tests/support.h"

#include <sys/epoll.h>

#ifdef HAVE_LIBUV
#include <uv.h>
#endif
#ifdef HAVE_GLIB
#include <glib.h>
#endif

/* One turn of a loop: waits, and deals with what there is. */
struct loop {
    const struct rill_loop_adapter *inner;
    void *handle;
    void (*turn)(struct loop *loop);
    void (*close)(struct loop *loop);
};

static struct rill_loop_adapter counting; /* the adapter under test, with its wakeups counted */
static struct loop *counted;
static unsigned wakeups;

struct counter {
    void (*ready)(void *context);
    void *context, *watch;
};

static void count(void *context)
{
    const struct counter *counter = context;
    wakeups++;
    counter->ready(counter->context);
}

static int watch(void *loop, int descriptor, void (*ready)(void *context), void *context, void **made)
{
    struct counter *counter = malloc(sizeof *counter);
    require(counter != NULL);
    *counter = (struct counter){.ready = ready, .context = context};
    *made = counter;
    return counted->inner->watch(loop, descriptor, count, counter, &counter->watch);
}

static void unwatch(void *loop, void *gone)
{
    struct counter *counter = gone;
    counted->inner->unwatch(loop, counter->watch);
    free(counter);
}

static void begin(struct loop *loop)
{
    counted = loop;
    wakeups = 0;
    counting = (struct rill_loop_adapter){.size = sizeof counting, .watch = watch, .unwatch = unwatch};
}

/* ---------------------------------------------------------------- the loops */

static void turn_epoll(struct loop *loop)
{
    const struct epoll_loop *ours = loop->handle;
    struct epoll_event event;
    require_equal(1, epoll_wait(ours->epoll, &event, 1, -1));
    epoll_loop_deal(event.data.ptr);
}

static void close_epoll(struct loop *loop)
{
    close(((struct epoll_loop *)loop->handle)->epoll);
}

static void make_epoll(struct loop *loop, uint32_t edge)
{
    static struct epoll_loop ours;
    ours = (struct epoll_loop){.epoll = epoll_create1(EPOLL_CLOEXEC), .edge = edge};
    *loop = (struct loop){.inner = &epoll_adapter, .handle = &ours, .turn = turn_epoll, .close = close_epoll};
}

static void make_level(struct loop *loop)
{
    make_epoll(loop, 0);
}

static void make_edge(struct loop *loop)
{
    make_epoll(loop, EPOLLET);
}

#ifdef HAVE_LIBUV
static void turn_uv(struct loop *loop)
{
    (void)uv_run(loop->handle, UV_RUN_ONCE);
}

static void close_uv(struct loop *loop)
{
    (void)uv_run(loop->handle, UV_RUN_DEFAULT); /* frees what was unwatched */
    require_equal(0, uv_loop_close(loop->handle));
    uv_library_shutdown(); /* closes what it keeps for signals */
}

static void make_uv(struct loop *loop)
{
    static uv_loop_t ours;
    require_equal(0, uv_loop_init(&ours));
    *loop = (struct loop){.inner = &libuv_adapter, .handle = &ours, .turn = turn_uv, .close = close_uv};
}
#endif

#ifdef HAVE_GLIB
static void turn_glib(struct loop *loop)
{
    (void)g_main_context_iteration(loop->handle, TRUE);
}

static void close_glib(struct loop *loop)
{
    g_main_context_unref(loop->handle);
}

static void make_glib(struct loop *loop)
{
    *loop = (struct loop){.inner = &glib_adapter, .handle = g_main_context_new(), .turn = turn_glib, .close = close_glib};
}
#endif

/* ---------------------------------------------------------------- tests */

struct heard {
    uint64_t next;
    unsigned ends;
    rill_subscription *subscription;
    rill_receiver *receiver;
    uint64_t close_at;
};

static void hear(void *user, int code, rill_message *message)
{
    struct heard *heard = user;
    if (code == RILL_EDISCONNECTED) {
        heard->ends++;
        return;
    }
    require_ok(code);
    require_equal(heard->next++, take_number(&message));
    if (heard->next == heard->close_at)
        require_ok(rill_subscription_close(&heard->subscription, &heard->receiver));
}

static void subscribe(struct loop *loop, struct heard *heard, rill_receiver **receiver)
{
    require_ok(rill_receiver_on_message(receiver, &counting, loop->handle, hear, heard, &heard->subscription));
    require(*receiver == NULL);
}

static void hear_all(struct loop *loop, uint32_t transport)
{
    struct rill_channel_options options = {.size = sizeof options, .transport = transport};
    struct heard heard = {0};
    rill_sender *sender;
    rill_receiver *receiver;
    begin(loop);
    require_ok(rill_channel(&options, &sender, &receiver));
    for (uint64_t i = 0; i < 200; i++)
        require_ok(send_number(sender, i)); /* these are there before */
    subscribe(loop, &heard, &receiver);
    require_equal(0, heard.next);
    while (heard.next < 200)
        loop->turn(loop);
    for (uint64_t i = 200; i < 300; i++) { /* on an idle channel: one wakeup each, which brings it */
        require_ok(send_number(sender, i));
        wakeups = 0;
        while (heard.next == i)
            loop->turn(loop);
        require_equal(1, wakeups);
    }
    for (uint64_t i = 300; i < 310; i++)
        require_ok(send_number(sender, i));
    while (heard.next < 310)
        loop->turn(loop);
    require_equal(0, heard.ends);
    require_ok(rill_sender_close(&sender));
    while (!heard.ends)
        loop->turn(loop);
    require_equal(1, heard.ends);
    require_ok(rill_subscription_close(&heard.subscription, NULL));
    require_ok(rill_subscription_close(&heard.subscription, NULL));
}

static void close_within(struct loop *loop, uint32_t transport)
{
    struct rill_channel_options options = {.size = sizeof options, .transport = transport};
    struct heard heard = {.close_at = 5};
    rill_sender *sender;
    rill_receiver *receiver;
    begin(loop);
    require_ok(rill_channel(&options, &sender, &receiver));
    subscribe(loop, &heard, &receiver);
    for (uint64_t i = 0; i < 10; i++)
        require_ok(send_number(sender, i));
    while (heard.subscription)
        loop->turn(loop);
    require_equal(5, heard.next);
    for (uint64_t i = 5; i < 10; i++)
        require_equal(i, receive_number(heard.receiver));
    require_ok(rill_receiver_close(&heard.receiver));
    require_ok(rill_sender_close(&sender));
}

static void refuse(struct loop *loop)
{
    rill_sender *sender;
    rill_receiver *receiver, *none = NULL;
    rill_subscription *subscription;
    struct rill_loop_adapter lacking = {.size = sizeof lacking};
    begin(loop);
    require_ok(rill_channel(NULL, &sender, &receiver));
    require_code(RILL_EINVAL, rill_receiver_on_message(&none, &counting, loop->handle, hear, NULL, &subscription));
    require_code(RILL_EINVAL, rill_receiver_on_message(&receiver, &lacking, loop->handle, hear, NULL, &subscription));
    require_code(RILL_EINVAL, rill_receiver_on_message(&receiver, NULL, loop->handle, hear, NULL, &subscription));
    require_code(RILL_EINVAL, rill_receiver_on_message(&receiver, &counting, loop->handle, NULL, NULL, &subscription));
    require_code(RILL_EINVAL, rill_receiver_on_message(&receiver, &counting, loop->handle, hear, NULL, NULL));
    require_code(RILL_EINVAL, rill_subscription_close(NULL, NULL));
    require_ok(rill_sender_close(&sender));
    require_ok(rill_receiver_close(&receiver));
}

static void run_all(void *argument)
{
    void (*make)(struct loop *loop) = *(void (**)(struct loop *))argument;
    struct loop loop;
    make(&loop);
    for (uint32_t transport = RILL_SHM; transport <= RILL_INPROC; transport++) {
        hear_all(&loop, transport);
        close_within(&loop, transport);
    }
    refuse(&loop);
    loop.close(&loop);
}

int main(void)
{
    static void (*makers[])(struct loop *) = {
        make_level,
        make_edge,
#ifdef HAVE_LIBUV
        make_uv,
#endif
#ifdef HAVE_GLIB
        make_glib,
#endif
    };
    static const char *const names[] = {
        "an epoll loop, level-triggered, is woken once for each message on an idle channel",
        "an epoll loop, edge-triggered, is woken once for each message on an idle channel",
#ifdef HAVE_LIBUV
        "libuv's loop is woken once for each message on an idle channel",
#endif
#ifdef HAVE_GLIB
        "GLib's loop is woken once for each message on an idle channel",
#endif
    };
    struct test tests[COUNT_OF(makers)];
    for (size_t i = 0; i < COUNT_OF(makers); i++)
        tests[i] = (struct test){names[i], run_all, &makers[i], 30};
    return run_group("adapters", tests, COUNT_OF(makers));
}
