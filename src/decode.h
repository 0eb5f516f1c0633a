/* SPDX-License-Identifier: MIT */
/*
 * Bytes back into a typed value. They may lie in memory that their sender can still change: heads are read once (cbor_items.h), contents are
 * copied before they are checked.
 */
#ifndef RILL_DECODE_H
#define RILL_DECODE_H

#include "plan.h"

/* A handle that the value names: filled in when all the rest was decoded. */
struct rill_claim {
    unsigned char *member;
    uint32_t kind;  /* enum rill_handle_kind */
    uint64_t index; /* in the message */
};

struct rill_claims {
    struct rill_claim *list; /* to be freed */
    size_t count, capacity;
    uint64_t offered; /* the handles of the message */
};

/* *value has to be cleared; on an error it is to be released, with claims unfilled. RILL_EINVAL: limits. RILL_ETYPE, RILL_EDECODE, RILL_ENOMEM. */
int rill_decode(const struct rill_plan *plan, const unsigned char *data, size_t size, const struct rill_limits *limits, void *value,
                struct rill_claims *claims);

/* Reads limits, with the defaults where they are 0. RILL_EINVAL. */
int rill_limits_read(const struct rill_limits *limits, struct rill_limits *read);

/* What a message says that it is: RILL_ETYPE if it does not. *body is where the value begins. */
int rill_decode_type(const unsigned char *data, size_t size, struct rill_type_id *type, const unsigned char **body);

#endif
