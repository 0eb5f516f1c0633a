/* SPDX-License-Identifier: MIT */
/*
 * Reuse: a channel that lives for one reply cannot afford objects of its own. A control page and a lane cost 10 µs and more each, as much as the
 * whole request over a plain socket. So when a channel ends, what it was made of is kept for the next one where that gives nothing away:
 *
 *   local   The page never left this process. It, and the lane that this process made, serve any later channel of this process.
 *   peer    The sender was sent to one other process, through one channel (the carrier), and that process has let go of it. The page and
 *           that process's lane serve a later channel whose sender is sent the same way: that process finds its lane by the page, and goes on in it.
 *
 * The socket is a new one each time, so the end of a channel stays what the system says, and no descriptor of an old channel reaches into a new one.
 *
 * What must hold before page and lane are used again, checked when they are to be (kits wait in lists until then):
 *   1  the old receiver was closed here, the old senders here too;
 *   2  the lane's owner has written into the lane that its sender is closed, with no call inside (`closed` = RESTING), and for how many
 *      arrivals of the sender that goes (`imports`); it is as often as the sender was sent from here: so none is under way, and none is held elsewhere;
 *   3  nothing lies in the ring, nothing of it is being read, and what lay there is wiped: a third process that gets the receiver one day finds nothing old;
 *   4  nobody marked the page as passed on to a third process (`spread`), and this process has not forked meanwhile.
 * Then the receiver counts up `generation`, puts the ring's cursor back to its beginning, and the owner does the same when it finds a new generation.
 *
 * A peer that lies about any of this has a lane in a channel of which it is being given the sender anyway. A process that received the carrier's messages earlier
 * and moved its receiver on keeps access to pages in wait; it was trusted with the senders on them before.
 */
#ifndef RILL_REUSE_H
#define RILL_REUSE_H

#include <stdbool.h>
#include <stdint.h>

#include <rill/rill.h>

#include "port.h"

struct rill_core;
struct rill_endpoint;
struct rill_inbox;
struct rill_inlane;
struct rill_lane;

/* What the process that made a channel knows of it. Shared by its two ends and the kit that it becomes. */
struct rill_birth;

/* Makes a shared-memory channel of what is at hand for these options, with a new socket. RILL_ENOTSUP: nothing is at hand. Sender and receiver as rill_channel. */
int rill_reuse_channel(const struct rill_channel_options *options, const rill_object pair[2], rill_sender **sender, rill_receiver **receiver);

/* Notes two ends as those of a channel made here. Without memory for it they are just not reused. */
void rill_birth_note(const struct rill_channel_options *options, rill_sender *sender, rill_receiver *receiver);

/* The receiver is about to be used: its page stays what it is. */
void rill_birth_settle(struct rill_birth *birth);

/* The endpoint needs a lane: gives one that rests, made fit for use, or NULL. */
struct rill_lane *rill_birth_lane(struct rill_birth *birth);

/* The sender is sent through `through` (NULL: to a started program). May exchange the page for one that the peer knows. `undo` if it was not sent after all. */
void rill_birth_export(struct rill_endpoint *endpoint, const struct rill_endpoint *through);
void rill_birth_export_undo(struct rill_endpoint *endpoint);

/* The page goes where this process cannot follow it. For pages of others too. */
void rill_page_spread(struct rill_birth *birth, struct rill_core *core);

/* The endpoint closes. True: its lane was taken to rest. */
bool rill_birth_rest_lane(struct rill_endpoint *endpoint, struct rill_lane *lane);
void rill_reuse_endpoint_closed(struct rill_endpoint *endpoint);

/* The receiver closes, page->closed is set. True: core and inbox were taken into a kit. */
bool rill_birth_rest_receiver(rill_receiver *receiver);
void rill_birth_receiver_closed(struct rill_birth *birth);

/* ---- the other side: what rests for a carrier's lane ---- */

/* What rests for one lane that senders come through. It ends with the lane; endpoints that came refer to it too. */
struct rill_shelf;

/* A sender came through a lane, on this page: opens it on what rests for it, with a new socket. RILL_ENOTSUP: nothing does. */
int rill_rest_open(struct rill_inlane *via, const struct rill_identity *page, rill_object socket, rill_sender **sender);

/* Another one came for an endpoint that is open. */
void rill_rest_count(struct rill_endpoint *endpoint);

/* A new endpoint came through this lane: when it closes, its lane rests there. */
void rill_rest_note(struct rill_endpoint *endpoint, struct rill_inlane *via);

/* The endpoint closes. True: its lane rests. */
bool rill_rest_endpoint(struct rill_endpoint *endpoint, struct rill_lane *lane);

/* The lane that it belongs to is gone. NULL is allowed. */
void rill_shelf_close(struct rill_shelf *shelf);

/* Gives back what is kept for the carrier with this serial, or (0) all of it. True: there was something. */
bool rill_reuse_drop(uint64_t serial);

#endif
