/* SPDX-License-Identifier: MIT */
#include "adapters.h"

#include <stdlib.h>
#include <uv.h>

struct watch {
    uv_poll_t poll;
    void (*ready)(void *context);
    void *context;
};

static void readable(uv_poll_t *poll, int status, int events)
{
    const struct watch *it = poll->data;
    (void)status, (void)events;
    it->ready(it->context);
}

static void free_watch(uv_handle_t *handle)
{
    free(handle->data);
}

static int watch(void *loop, int descriptor, void (*ready)(void *context), void *context, void **made)
{
    struct watch *it = malloc(sizeof *it);
    if (!it)
        return RILL_ENOMEM;
    it->ready = ready;
    it->context = context;
    if (uv_poll_init(loop, &it->poll, descriptor) != 0) {
        free(it);
        return RILL_ESYSTEM;
    }
    it->poll.data = it;
    if (uv_poll_start(&it->poll, UV_READABLE, readable) != 0) {
        uv_close((uv_handle_t *)&it->poll, free_watch);
        return RILL_ESYSTEM;
    }
    *made = it;
    return RILL_OK;
}

/* libuv frees a handle in the loop's next turn. */
static void unwatch(void *loop, void *gone)
{
    struct watch *it = gone;
    (void)loop;
    uv_close((uv_handle_t *)&it->poll, free_watch);
}

const struct rill_loop_adapter libuv_adapter = {.size = sizeof libuv_adapter, .watch = watch, .unwatch = unwatch};
