/* SPDX-License-Identifier: MIT */
/* Bytes into a tree of libcbor's items. */
#ifndef RILL_LOAD_H
#define RILL_LOAD_H

#include <rill/value.h>

/* All of the bytes, which may lie in memory that their sender can change: one item. Handles in it have to be the message's; NULL: there are none.
 * RILL_EINVAL: limits. RILL_EDECODE, RILL_ENOMEM. */
int rill_load(const unsigned char *data, size_t size, const rill_message *message, const struct rill_limits *limits, cbor_item_t **value);

#endif
