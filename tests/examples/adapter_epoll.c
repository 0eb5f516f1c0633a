/* SPDX-License-Identifier: MIT */
#include "adapters.h"

#include <stdlib.h>
#include <sys/epoll.h>

struct watch {
    int descriptor;
    void (*ready)(void *context);
    void *context;
};

static int watch(void *loop, int descriptor, void (*ready)(void *context), void *context, void **made)
{
    const struct epoll_loop *ours = loop;
    struct watch *it = malloc(sizeof *it);
    if (!it)
        return RILL_ENOMEM;
    *it = (struct watch){.descriptor = descriptor, .ready = ready, .context = context};
    struct epoll_event event = {.events = EPOLLIN | ours->edge, .data.ptr = it};
    if (epoll_ctl(ours->epoll, EPOLL_CTL_ADD, descriptor, &event) != 0) {
        free(it);
        return RILL_ESYSTEM;
    }
    *made = it;
    return RILL_OK;
}

/* A program that takes several events at a time must not deal with those of a watch that is gone; this example takes one at a time. */
static void unwatch(void *loop, void *gone)
{
    const struct epoll_loop *ours = loop;
    struct watch *it = gone;
    (void)epoll_ctl(ours->epoll, EPOLL_CTL_DEL, it->descriptor, NULL);
    free(it);
}

void epoll_loop_deal(void *data)
{
    const struct watch *it = data;
    it->ready(it->context);
}

const struct rill_loop_adapter epoll_adapter = {.size = sizeof epoll_adapter, .watch = watch, .unwatch = unwatch};
