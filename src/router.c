/* SPDX-License-Identifier: MIT */
/*
 * A router: a thread with a set. Everything is under the set's lock, which the thread gives up while it sleeps and while it calls back. A route
 * belongs to the list until somebody takes it out, under the lock: a remover, the thread (its channel ended, or it was for one message), or the
 * shutdown. Whoever does ends it, and so the destructor runs once; but a route that is being called back is left to the thread, and a remover waits.
 */
#include <stdlib.h>

#include "channel.h"
#include "process.h"
#include "set.h"

#define RETRY_AFTER INT64_C(1000000) /* ns until a shortage of memory or descriptors is tried again */

struct route {
    uint64_t id;
    struct rill_entry *entry;     /* in the set; NULL: taken out */
    rill_route_callback callback; /* NULL: it forwards */
    void *user;
    rill_route_destructor destroy;
    bool once;
    rill_sender *sender;          /* to which it forwards */
    rill_object room;             /* what tells of room there, once asked for: a handle of its own, since routes may share a sender's */
    bool paused;                  /* in the list of paused ones: its receiver gives nothing now, */
    bool ready;                   /* until this, or until the time to try again; */
    rill_message *held;           /* this found no room, or NULL */
    uint64_t tried;               /* round in which it was tried last */
    struct route *next, *previous;
    struct route *next_paused;
    bool removed;                 /* by somebody else, while it is called back */
};

struct rill_router {
    uint32_t magic;
    uint32_t generation;
    rill_set *set;
    pthread_t thread;
    pthread_cond_t changed; /* turn, joined */
    struct route *routes;
    struct route *paused;
    bool told;              /* one of them can go on */
    bool retry;             /* one of them waits for a time, */
    int64_t retry_at;       /* which is this */
    uint64_t round;         /* of trying them */
    struct route *current;  /* is called back now; */
    uint64_t turn;          /* counts these */
    bool stopping, joined;
};

#define ROUTER_MAGIC UINT32_C(0x72727472)

static rill_router *process_router; /* under the process's lock */
static _Thread_local const rill_router *served; /* by this thread */

/* ---- routes ---- */

static void link_route(rill_router *router, struct route *route)
{
    route->next = router->routes;
    if (route->next)
        route->next->previous = route;
    router->routes = route;
}

/* Nothing more is taken from its receiver for now. */
static void pause_route(rill_router *router, struct route *route)
{
    route->paused = true;
    route->ready = false;
    route->next_paused = router->paused;
    router->paused = route;
    rill_set_pause(router->set, route->entry);
}

static void resume_route(rill_router *router, struct route *route)
{
    struct route **link = &router->paused;
    while (*link != route)
        link = &(*link)->next_paused;
    *link = route->next_paused;
    route->paused = false;
    rill_set_resume(router->set, route->entry);
}

/* Takes it out of the router and out of the set: its receiver is the caller's, NULL if it has none any more. */
static rill_receiver *take_out(rill_router *router, struct route *route)
{
    if (route->next)
        route->next->previous = route->previous;
    if (route->previous)
        route->previous->next = route->next;
    else
        router->routes = route->next;
    if (route->paused)
        resume_route(router, route);
    if (route->room != RILL_NO_OBJECT) {
        rill_port_poller_remove(router->set->poller, route->room);
        rill_port_close(route->room);
    }
    rill_receiver *receiver = route->entry ? rill_set_leave(router->set, route->entry) : NULL;
    route->entry = NULL;
    return receiver;
}

/* Without the lock. The destructor may call anything. */
static void end_route(struct route *route)
{
    (void)rill_message_close(&route->held);
    (void)rill_sender_close(&route->sender);
    if (route->destroy)
        route->destroy(route->user);
    free(route);
}

/* By the thread, under the lock. */
static void finish(rill_router *router, struct route *route)
{
    rill_receiver *receiver = take_out(router, route);
    (void)pthread_mutex_unlock(&router->set->lock);
    (void)rill_receiver_close(&receiver);
    end_route(route);
    (void)pthread_mutex_lock(&router->set->lock);
}

/* ---- calling back ---- */

static void begin_call(rill_router *router, struct route *route)
{
    router->current = route;
    router->turn++;
    (void)pthread_mutex_unlock(&router->set->lock);
}

/* False: the route was removed meanwhile, and is ended now. */
static bool end_call(rill_router *router, struct route *route)
{
    (void)pthread_mutex_lock(&router->set->lock);
    bool removed = route->removed;
    if (removed) {
        (void)pthread_mutex_unlock(&router->set->lock);
        end_route(route);
        (void)pthread_mutex_lock(&router->set->lock);
    }
    router->current = NULL;
    (void)pthread_cond_broadcast(&router->changed);
    return !removed;
}

static void call_back(rill_router *router, struct route *route, rill_message *message)
{
    begin_call(router, route);
    route->callback(route->user, route->id, message);
    if (end_call(router, route) && route->once)
        finish(router, route);
}

/* ---- forwarding ---- */

/* Errors that end when somebody else gives something back. */
static bool is_shortage(int code)
{
    return code == RILL_EAGAIN || code == RILL_ENOMEM || code == RILL_ENOFD || code == RILL_EINFLIGHT || code == RILL_ETIMEDOUT ||
           code == RILL_EINTERRUPTED;
}

static int watch_room(const rill_router *router, struct route *route)
{
    int theirs;
    rill_object room = RILL_NO_OBJECT;
    int code = rill_sender_descriptor(route->sender, &theirs);
    if (code == RILL_OK)
        code = rill_port_duplicate(theirs, &room);
    if (code == RILL_OK)
        code = rill_port_poller_add(router->set->poller, room, RILL_TOKEN_OTHERS | route->id);
    if (code == RILL_OK)
        route->room = room;
    else
        rill_port_close(room);
    return code;
}

static int listen_for_room(const rill_router *router, struct route *route)
{
    int code = route->room == RILL_NO_OBJECT ? watch_room(router, route) : RILL_OK;
    return code == RILL_OK ? rill_sender_arm(route->sender, rill_message_size(route->held)) : code;
}

/* Under the lock, from within the set's wait: makes it return. */
static void told_of_room(void *user, uint64_t token)
{
    rill_router *router = user;
    for (struct route *route = router->paused; route; route = route->next_paused)
        if (route->id == (token & ~RILL_TOKEN_OTHERS))
            router->told = route->ready = true;
    atomic_store_explicit(&router->set->interrupted, 1, memory_order_seq_cst);
}

static void try_later(rill_router *router)
{
    if (!router->retry)
        router->retry_at = rill_port_clock() + RETRY_AFTER;
    router->retry = true;
}

/* What found no room waits, and with it all that comes behind it in this route. */
static void hold(rill_router *router, struct route *route, rill_message *message, int code)
{
    route->held = message;
    pause_route(router, route);
    if (code == RILL_EFULL)
        code = listen_for_room(router, route);
    if (code == RILL_EREADY || code == RILL_EBROKEN)
        router->told = route->ready = true; /* the next try tells */
    else if (code != RILL_OK)
        try_later(router);
}

/* Sends the message on. If nobody can ever receive it the route ends, so that its senders know. */
static void forward(rill_router *router, struct route *route, rill_message *message)
{
    begin_call(router, route);
    int code = rill_forward(route->sender, &message, RILL_NOW);
    bool waits = code == RILL_EFULL || is_shortage(code);
    if (!waits)
        (void)rill_message_close(&message);
    if (!end_call(router, route))
        (void)rill_message_close(&message);
    else if (waits)
        hold(router, route, message, code);
    else if (code != RILL_OK)
        finish(router, route);
}

static struct route *next_to_try(const rill_router *router, bool all)
{
    struct route *route = router->paused;
    while (route && (route->tried == router->round || !(all || route->ready)))
        route = route->next_paused;
    return route;
}

/* Goes on with those that were told of room, or with all. Each once: what still finds none is paused again. */
static void try_paused(rill_router *router, bool all)
{
    struct route *route;
    router->round++;
    router->told = false;
    router->retry = router->retry && !all;
    while ((route = next_to_try(router, all))) {
        rill_message *message = route->held;
        route->held = NULL;
        route->tried = router->round;
        resume_route(router, route);
        if (message)
            forward(router, route, message);
    }
}

/* ---- the thread ---- */

static void deal_with(rill_router *router, const struct rill_set_event *event)
{
    struct route *route = event->user;
    if (event->kind == RILL_SET_CLOSED) {
        route->entry = NULL; /* the set has closed the receiver */
        finish(router, route);
    } else if (event->kind == RILL_SET_MESSAGE && route->callback) {
        call_back(router, route, event->message);
    } else if (event->kind == RILL_SET_MESSAGE) {
        forward(router, route, event->message);
    } else if (is_shortage(event->code)) {
        pause_route(router, route);
        try_later(router);
    } /* else a peer has lied and lost its lane: the others go on */
}

static void serve(rill_router *router)
{
    while (!router->stopping) {
        struct rill_set_event event;
        size_t count;
        if (rill_set_collect(router->set, router->retry ? router->retry_at : RILL_FOREVER, &event, 1, &count) == RILL_OK)
            deal_with(router, &event);
        bool late = router->retry && rill_port_clock() >= router->retry_at;
        if (router->told || late)
            try_paused(router, late);
    }
}

static void *run(void *argument)
{
    rill_router *router = argument;
    served = router;
    (void)pthread_mutex_lock(&router->set->lock);
    serve(router);
    while (router->routes)
        finish(router, router->routes);
    (void)pthread_mutex_unlock(&router->set->lock);
    return NULL;
}

/* ---- life ---- */

int rill_router_create(rill_router **router)
{
    if (!router)
        return RILL_EINVAL;
    rill_router *made = calloc(1, sizeof *made);
    if (!made)
        return RILL_ENOMEM;
    int code = rill_set_create(NULL, &made->set);
    if (code == RILL_OK) {
        made->magic = ROUTER_MAGIC;
        made->generation = made->set->generation;
        made->set->patient = true;
        made->set->told = told_of_room;
        made->set->told_user = made;
        code = pthread_cond_init(&made->changed, NULL) ? RILL_ENOMEM : rill_port_thread(&made->thread, run, made);
    }
    if (code != RILL_OK) {
        (void)rill_set_close(&made->set);
        free(made);
        return code;
    }
    *router = made;
    return RILL_OK;
}

static int check(const rill_router *router)
{
    if (!router || router->magic != ROUTER_MAGIC)
        return RILL_EINVAL;
    return router->generation == atomic_load_explicit(&rill_generation, memory_order_relaxed) ? RILL_OK : RILL_ENOTSUP;
}

static bool in_its_thread(const rill_router *router)
{
    return served == router;
}

static void free_router(rill_router *router)
{
    router->magic = 0;
    (void)rill_set_close(&router->set);
    free(router);
}

/* In the child of a fork: the thread is the parent's, and so are the users' pointers. */
static void let_go_of_inherited(rill_router *router)
{
    for (struct route *route = router->routes; route;) {
        struct route *next = route->next;
        (void)rill_message_close(&route->held);
        (void)rill_sender_close(&route->sender);
        free(route);
        route = next;
    }
    free_router(router);
}

int rill_router_shutdown(rill_router *router)
{
    int code = check(router);
    if (code != RILL_OK)
        return code;
    if (in_its_thread(router))
        return RILL_ECALLBACK;
    rill_set_visit(router->set);
    bool first = !router->stopping;
    router->stopping = true;
    rill_set_part(router->set);
    if (first) {
        (void)rill_set_interrupt(router->set);
        (void)pthread_join(router->thread, NULL);
    }
    (void)pthread_mutex_lock(&router->set->lock);
    router->joined |= first;
    (void)pthread_cond_broadcast(&router->changed);
    while (!router->joined)
        (void)pthread_cond_wait(&router->changed, &router->set->lock);
    (void)pthread_mutex_unlock(&router->set->lock);
    return RILL_OK;
}

/* It is the process's no more. */
static void forget_default(const rill_router *router)
{
    rill_process_lock();
    if (process_router == router)
        process_router = NULL;
    rill_process_unlock();
}

int rill_router_close(rill_router **router)
{
    if (!router)
        return RILL_EINVAL;
    rill_router *closing = *router;
    if (!closing)
        return RILL_OK;
    int code = rill_router_shutdown(closing);
    if (code == RILL_ECALLBACK)
        return code;
    *router = NULL;
    if (code == RILL_EINVAL)
        return code;
    forget_default(closing);
    if (code == RILL_ENOTSUP)
        let_go_of_inherited(closing);
    else
        free_router(closing);
    return RILL_OK;
}

int rill_router_default(rill_router **router)
{
    if (!router)
        return RILL_EINVAL;
    rill_process_lock();
    rill_router *found = process_router;
    rill_process_unlock();
    if (found && check(found) == RILL_OK) {
        *router = found;
        return RILL_OK;
    }
    rill_router *made;
    int code = rill_router_create(&made);
    if (code != RILL_OK)
        return code;
    rill_process_lock();
    rill_router *other = process_router != found ? process_router : NULL; /* another thread was faster */
    if (!other)
        process_router = made;
    rill_process_unlock();
    *router = other ? other : made;
    if (other)
        (void)rill_router_close(&made);
    else if (found)
        let_go_of_inherited(found);
    return RILL_OK;
}

/* ---- adding and removing ---- */

static int add(rill_router *router, rill_receiver **receiver, const struct route *wanted, uint64_t *id)
{
    struct route *route = malloc(sizeof *route);
    if (!route)
        return RILL_ENOMEM;
    *route = *wanted;
    route->room = RILL_NO_OBJECT;
    rill_set_visit(router->set);
    int code = router->stopping ? RILL_ESHUTDOWN : rill_set_enter(router->set, *receiver, route, &route->entry);
    if (code == RILL_OK) {
        route->id = route->entry->id;
        link_route(router, route);
        *receiver = NULL;
        if (id)
            *id = route->id;
    }
    rill_set_part(router->set);
    if (code != RILL_OK)
        free(route);
    return code;
}

static int check_addition(const rill_router *router, rill_receiver *const *receiver)
{
    int code = check(router);
    return code != RILL_OK ? code : receiver && rill_is_receiver(*receiver) ? RILL_OK : RILL_EINVAL;
}

int rill_router_call(rill_router *router, rill_receiver **receiver, rill_route_callback callback, void *user, rill_route_destructor destroy,
                     uint32_t flags, uint64_t *id)
{
    int code = check_addition(router, receiver);
    if (code != RILL_OK)
        return code;
    if (!callback || (flags & ~(uint32_t)RILL_ROUTE_ONCE))
        return RILL_EINVAL;
    struct route wanted = {.callback = callback, .user = user, .destroy = destroy, .once = (flags & RILL_ROUTE_ONCE) != 0};
    return add(router, receiver, &wanted, id);
}

int rill_router_forward(rill_router *router, rill_receiver **receiver, rill_sender **sender, uint64_t *id)
{
    int code = check_addition(router, receiver);
    if (code != RILL_OK)
        return code;
    if (!sender || !rill_endpoint_of(*sender))
        return RILL_EINVAL;
    struct route wanted = {.sender = *sender};
    code = add(router, receiver, &wanted, id);
    if (code == RILL_OK)
        *sender = NULL;
    return code;
}

/* Under the lock: until the thread is through with what it called back when this began. */
static void await_turn(rill_router *router, const struct route *route)
{
    uint64_t turn = router->turn;
    while (router->current == route && router->turn == turn)
        (void)pthread_cond_wait(&router->changed, &router->set->lock);
}

int rill_router_remove(rill_router *router, uint64_t id, rill_receiver **receiver)
{
    int code = check(router);
    if (code != RILL_OK)
        return code;
    rill_receiver *removed = NULL;
    bool mine = false;
    rill_set_visit(router->set);
    struct rill_entry *entry = rill_set_find(router->set, id);
    struct route *route = entry ? entry->user : NULL;
    if (route) {
        removed = take_out(router, route);
        mine = router->current != route;
        route->removed = true;
    }
    if (route && !mine && !in_its_thread(router))
        await_turn(router, route);
    rill_set_part(router->set);
    if (mine)
        end_route(route);
    if (route && receiver)
        *receiver = removed;
    else
        (void)rill_receiver_close(&removed);
    return route ? RILL_OK : RILL_ENOENTRY;
}
