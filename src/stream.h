/* SPDX-License-Identifier: MIT */
/*
 * The socket transport: every byte of a message goes through the channel's socket, in one packet if it is small, else in pieces. What users
 * compare shared memory with, so it is written as well as a socket allows: one system call to send a small message, one to receive it, and
 * the bytes go straight to their place.
 *
 * Pieces of one message follow each other; pieces of other senders may lie between them. A message counts as sent when its
 * last piece is; so messages are received in the order of their last pieces, which is real-time order.
 */
#ifndef RILL_STREAM_H
#define RILL_STREAM_H

#include <stdint.h>

#include <rill/rill.h>

#include "../shm/layout.h"
#include "port.h"

struct rill_endpoint;
struct rill_stream;

/* Sends one message, waiting for the socket until `deadline`. A message of several pieces waits for as long as it takes once its first piece
 * has gone: it cannot be half sent. */
int rill_stream_send(struct rill_endpoint *endpoint, const struct rill_bytes *parts, size_t count, uint64_t size, int64_t deadline);

int rill_stream_create(const struct rill_page *page, rill_object socket, struct rill_stream **stream);
void rill_stream_destroy(struct rill_stream *stream);

#endif
