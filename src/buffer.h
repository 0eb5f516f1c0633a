/* SPDX-License-Identifier: MIT */
#ifndef RILL_BUFFER_H
#define RILL_BUFFER_H

#include <stdint.h>

#include <rill/rill.h>

struct rill_share;

/* A buffer of a pool. Takes the reference over. NULL: no memory. */
rill_buffer *rill_buffer_of_share(struct rill_share *share, uint64_t size);

#endif
