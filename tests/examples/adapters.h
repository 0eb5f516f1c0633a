/* SPDX-License-Identifier: MIT */
/* Adapters for rill_receiver_on_message: each is one file, to be copied into a program that has the loop. */
#ifndef RILL_EXAMPLES_ADAPTERS_H
#define RILL_EXAMPLES_ADAPTERS_H

#include <stdint.h>

#include <rill/rill.h>

/* `loop` is a uv_loop_t *. */
extern const struct rill_loop_adapter libuv_adapter;

/* `loop` is a GMainContext *, or NULL for the default one. */
extern const struct rill_loop_adapter glib_adapter;

/* `loop` is a struct epoll_loop *. Whoever runs the loop calls epoll_loop_deal for each event whose data.ptr it did not set itself. */
struct epoll_loop {
    int epoll;
    uint32_t edge; /* 0, or EPOLLET: it works either way */
};
void epoll_loop_deal(void *data);
extern const struct rill_loop_adapter epoll_adapter;

#endif
