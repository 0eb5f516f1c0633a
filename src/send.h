/* SPDX-License-Identifier: MIT */
/* What other files ask of send.c. */
#ifndef RILL_SEND_H
#define RILL_SEND_H

#include <rill/rill.h>

struct rill_endpoint;
struct rill_filling;
struct rill_parcel;

/* A message of bytes and handles over any transport. Everything but handles and deadline is checked here. */
int rill_send_with_handles(rill_sender *sender, const struct rill_bytes *parts, size_t part_count, struct rill_handle *handles,
                           size_t handle_count, int64_t deadline);

/* The same for a message that is written where it goes (parts.h). */
int rill_send_filled(rill_sender *sender, const struct rill_filling *filling, struct rill_handle *handles, size_t handle_count, int64_t deadline);

struct rill_lane;
struct rill_large;

/* ---- for buffers ---- */

/* The lane of this process, made if need be. RILL_EBROKEN: the receiver is gone. Errors of the first send. */
int rill_send_lane(struct rill_endpoint *endpoint, struct rill_lane **lane);

/* Sends a loan of that lane as a message. RILL_LANE_REVOKED: the sender's lane is another one by now. Errors as rill_send_until. */
int rill_send_loan(struct rill_endpoint *endpoint, struct rill_lane *lane, const struct rill_large *large, int64_t deadline);

/* The largest message that the channel takes; and a deadline as it is meant (RILL_AS_CONFIGURED). */
uint64_t rill_send_largest(const struct rill_endpoint *endpoint);
int64_t rill_send_deadline(const struct rill_endpoint *endpoint, int64_t deadline);

/* One message into the lane, over the limit if need be, and without waking the receiver: what was queued before a channel became a shared one. */
int rill_send_over(struct rill_endpoint *endpoint, const struct rill_bytes *part, const struct rill_parcel *parcel);

/* Before an endpoint is used: makes one that was inherited over fork fit for this process. */
void rill_send_check_process(struct rill_endpoint *endpoint);

struct rill_room;

/* Shared memory: RILL_OK: the room's poller becomes readable when there is room. RILL_EREADY: there is room for a message of this size. RILL_EBROKEN … */
int rill_send_arm_room(struct rill_endpoint *endpoint, struct rill_room *room, uint64_t size);

#endif
