/* SPDX-License-Identifier: MIT */
#include "adapters.h"

#include <glib-unix.h>

struct watch {
    void (*ready)(void *context);
    void *context;
    GSource *source;
};

static gboolean readable(gint descriptor, GIOCondition condition, gpointer user)
{
    const struct watch *it = user;
    (void)descriptor, (void)condition;
    it->ready(it->context);
    return G_SOURCE_CONTINUE; /* also if it was destroyed meanwhile */
}

static int watch(void *loop, int descriptor, void (*ready)(void *context), void *context, void **made)
{
    struct watch *it = g_new(struct watch, 1);
    it->ready = ready;
    it->context = context;
    it->source = g_unix_fd_source_new(descriptor, G_IO_IN);
    g_source_set_callback(it->source, G_SOURCE_FUNC(readable), it, g_free);
    (void)g_source_attach(it->source, loop);
    *made = it;
    return RILL_OK;
}

static void unwatch(void *loop, void *gone)
{
    const struct watch *it = gone;
    GSource *source = it->source;
    (void)loop;
    g_source_destroy(source);
    g_source_unref(source);
}

const struct rill_loop_adapter glib_adapter = {.size = sizeof glib_adapter, .watch = watch, .unwatch = unwatch};
