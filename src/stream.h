/* SPDX-License-Identifier: MIT */
/*
 * The socket transport: every byte of a message goes through the channel's socket, in one packet if it is small, else in pieces. What users
 * compare shared memory with, so it is written as well as a socket allows: one system call to send a small message, one to receive it, and
 * the bytes go straight to their place.
 *
 * Pieces of one message follow each other; pieces of other senders may lie between them. A message counts as sent when its
 * last piece is; so messages are received in the order of their last pieces, which is real-time order.
 *
 * Handles go along: their descriptions in front of the bytes, their objects with the first piece. What does not fit one packet is first put into sockets of
 * its own, and the receiving ends of these go with the piece: so all objects are under way before anything of the message is, and where the system refuses
 * one, closing the sockets takes back all. A receiver that takes a packet without
 * asking for its objects loses them, and asking costs each packet a system call more (port.h). So it asks only when it knows that there may be some:
 *   - before its first packet with objects, an endpoint sends one that says so (RILL_PACKET_OBJECTS_COME);
 *   - the socket gives packets in order, and there is one receiver, which takes one packet in a call: the call that takes a packet with objects thus
 *     begins after the one that took the announcement has returned, also if the receiver was asleep in the system when both were sent;
 *   - the receiver never forgets; where another process takes over, it learns it from the state that moves along, or after a fork from the page.
 * Each endpoint announces for itself: that another one did so once does not mean that it lived to send the packet.
 */
#ifndef RILL_STREAM_H
#define RILL_STREAM_H

#include <stdint.h>

#include <rill/rill.h>

#include "../shm/layout.h"
#include "port.h"

struct rill_endpoint;
struct rill_parcel;
struct rill_stream;

/* Sends one message, waiting for the socket until `deadline`. A message of several pieces waits for as long as it takes once its first piece
 * has gone: it cannot be half sent. */
int rill_stream_send(struct rill_endpoint *endpoint, const struct rill_bytes *parts, size_t count, uint64_t size, int64_t deadline);

/* The same with handles. RILL_EINFLIGHT, RILL_EDESCRIPTOR. */
int rill_stream_send_parcel(struct rill_endpoint *endpoint, const struct rill_bytes *parts, size_t count, uint64_t size,
                            const struct rill_parcel *parcel, int64_t deadline);

int rill_stream_create(struct rill_page *page, rill_object socket, struct rill_stream **stream);

/* In the child of a fork, before its first use there. */
int rill_stream_inherit(struct rill_stream *stream);
void rill_stream_destroy(struct rill_stream *stream);

#endif
