/* SPDX-License-Identifier: MIT */
/*
 * Values: messages that are CBOR (RFC 8949), as trees of libcbor's items, with handles anywhere in them.
 *
 *     cbor_item_t *pair = cbor_new_definite_array(2);
 *     cbor_array_push(pair, cbor_move(cbor_build_string("answer to")));
 *     cbor_array_push(pair, cbor_move(rill_value_handle(RILL_HANDLE_SENDER, 0)));       // handles[0] stands here
 *     struct rill_handle handles[] = {{.kind = RILL_HANDLE_SENDER, .as.sender = reply}};
 *     rill_send_value(tx, pair, handles, 1, RILL_AS_CONFIGURED);
 *
 * On the wire is the value in standard CBOR and nothing else. A handle is a tagged item: tag RILL_TAG_HANDLE (type.h) + its kind (enum
 * rill_handle_kind: 0x72696c01 a sender, 0x72696c02 a receiver, 0x72696c03 a descriptor, 0x72696c04 a region, 0x72696c05 a
 * buffer), content: its index among the handles that the message came with, an unsigned integer. The tags are from the range that IANA gives out
 * first come, first served, and are not registered. An opaque handle has the tag of what it is.
 *
 * This header needs libcbor's, and a program that builds trees links it: pkg-config rill libcbor. Programs that use channels and typed structs
 * only need neither.
 */
#ifndef RILL_VALUE_H
#define RILL_VALUE_H

#include <cbor.h>

#include <rill/type.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Makes an item that stands for handle number `index` of the message that it will be sent in. The caller's, as from libcbor's own
 * builders. NULL: no memory, or no such kind. */
RILL_API cbor_item_t *rill_value_handle(uint32_t kind, size_t index);

/* Is this item a handle? Then true, with its kind and index (each may be NULL). */
RILL_API bool rill_value_is_handle(const cbor_item_t *item, uint32_t *kind, size_t *index);

/* Sends a value and `count` handles that stand in it. The tree stays the caller's and is not changed; a tree may be sent by several threads at
 * once. What happens to the handles, waiting and errors as rill_send_handles_until, and:
 * RILL_EINVAL   a handle in the value has no counterpart of its kind among `handles`; text that is not UTF-8; a tag or a pair that is not
 *               complete; a simple value from 24 to 31; deeper than 512. (Handles that do not stand in the value are sent all the same.) */
RILL_API int rill_send_value(rill_sender *sender, const cbor_item_t *value, struct rill_handle *handles, size_t count, int64_t deadline);

/* Decodes a message. *value is the caller's, to be freed with cbor_decref. The handles stay in the message: take them by their index with
 * rill_message_take. limits may be NULL. Any thread, also several for one message. No system call.
 * RILL_EDECODE   it is not one item of CBOR, or not within the limits; text that is not UTF-8; a handle that the message did not bring.
 * RILL_ENOMEM    no memory. */
RILL_API int rill_message_value(const rill_message *message, const struct rill_limits *limits, cbor_item_t **value);

/* Receives the next message and decodes it, with the default limits. Value and message are the caller's. On an error of the message's, the value
 * is NULL and the message is the caller's all the same; on an error of receiving, neither is written. Errors as rill_recv_until and
 * rill_message_value. */
RILL_API int rill_recv_value(rill_receiver *receiver, int64_t deadline, cbor_item_t **value, rill_message **message);

/* Decodes bytes from elsewhere, which have no handles. Errors as rill_message_value. */
RILL_API int rill_value_decode(const void *data, size_t size, const struct rill_limits *limits, cbor_item_t **value);

#ifdef __cplusplus
}
#endif

#endif
