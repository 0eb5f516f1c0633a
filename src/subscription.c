/* SPDX-License-Identifier: MIT */
/*
 * A receiver in an event loop of somebody else: a set with this one receiver, whose descriptor the loop watches. The set brings the event that makes the
 * descriptor readable once more when there is something left to do that no packet will tell of.
 */
#include <stdlib.h>

#include "channel.h"
#include "options.h"
#include "set.h"

#define AT_ONCE 64u /* messages before the loop gets its turn */

struct rill_subscription {
    uint32_t magic;
    struct rill_loop_adapter adapter;
    void *loop, *watch;
    bool watched;
    rill_set *set;
    uint64_t id;
    rill_message_callback callback;
    void *user;
    bool calling; /* inside ready(), */
    bool closed;  /* and closed from there */
};

#define SUBSCRIPTION_MAGIC UINT32_C(0x72737562)

static void unwatch(rill_subscription *subscription)
{
    if (subscription->watched)
        subscription->adapter.unwatch(subscription->loop, subscription->watch);
    subscription->watched = false;
}

static void free_subscription(rill_subscription *subscription)
{
    (void)rill_set_close(&subscription->set);
    subscription->magic = 0;
    free(subscription);
}

/* False: nothing more is there now, or ever. */
static bool deliver_one(rill_subscription *subscription)
{
    struct rill_set_event event;
    size_t count;
    int code = rill_set_wait(subscription->set, RILL_NOW, &event, 1, &count);
    if (code == RILL_EEMPTY || code == RILL_EINTERRUPTED)
        return false;
    if (code == RILL_OK)
        code = event.code;
    if (code == RILL_EDISCONNECTED)
        unwatch(subscription);
    subscription->callback(subscription->user, code, code == RILL_OK ? event.message : NULL);
    return code != RILL_EDISCONNECTED;
}

/* Before the loop sleeps: armed, or readable once more. */
static void arm(rill_subscription *subscription)
{
    if (rill_set_arm(subscription->set) != RILL_OK)
        rill_port_event_signal(subscription->set->event);
}

static void ready(void *context)
{
    rill_subscription *subscription = context;
    if (subscription->calling)
        return; /* a callback lets the loop run: when it returns we go on */
    subscription->calling = true;
    for (unsigned i = 0; i < AT_ONCE && !subscription->closed && deliver_one(subscription); i++)
        continue;
    subscription->calling = false;
    if (subscription->closed)
        free_subscription(subscription);
    else if (subscription->watched)
        arm(subscription);
}

static int start(rill_subscription *subscription, rill_receiver **receiver)
{
    int descriptor;
    int code = rill_set_create(NULL, &subscription->set);
    if (code == RILL_OK)
        code = rill_set_descriptor(subscription->set, &descriptor);
    if (code == RILL_OK)
        code = subscription->adapter.watch(subscription->loop, descriptor, ready, subscription, &subscription->watch);
    if (code != RILL_OK)
        return code;
    subscription->watched = true;
    code = rill_set_add(subscription->set, receiver, NULL, &subscription->id);
    if (code == RILL_OK)
        arm(subscription);
    else
        unwatch(subscription);
    return code;
}

int rill_receiver_on_message(rill_receiver **receiver, const struct rill_loop_adapter *adapter, void *loop, rill_message_callback callback, void *user,
                             rill_subscription **subscription)
{
    struct rill_loop_adapter known;
    if (!receiver || !rill_is_receiver(*receiver) || !adapter || !callback || !subscription ||
        rill_options_copy(adapter, &known, sizeof known) != RILL_OK || !known.watch || !known.unwatch)
        return RILL_EINVAL;
    rill_subscription *made = calloc(1, sizeof *made);
    if (!made)
        return RILL_ENOMEM;
    *made = (rill_subscription){.magic = SUBSCRIPTION_MAGIC, .adapter = known, .loop = loop, .callback = callback, .user = user};
    int code = start(made, receiver);
    if (code == RILL_OK)
        *subscription = made;
    else
        free_subscription(made);
    return code;
}

int rill_subscription_close(rill_subscription **subscription, rill_receiver **receiver)
{
    if (!subscription)
        return RILL_EINVAL;
    rill_subscription *closing = *subscription;
    *subscription = NULL;
    if (!closing)
        return RILL_OK;
    if (closing->magic != SUBSCRIPTION_MAGIC || closing->closed)
        return RILL_EINVAL;
    unwatch(closing);
    if (receiver) {
        *receiver = NULL;
        (void)rill_set_remove(closing->set, closing->id, receiver); /* it is gone if its channel has ended */
    }
    closing->closed = true;
    if (!closing->calling)
        free_subscription(closing);
    return RILL_OK;
}
