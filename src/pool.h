/* SPDX-License-Identifier: MIT */
/*
 * Pools: memory whose buffers go anywhere, and are forwarded without a copy.
 *
 *   pool ──> slot ──> piece (a memory object of its own, piece.h)     the maker
 *              └────> watch ═══ token                                 one end here, the other wherever the buffer is
 *   buffer ─────────> piece, token                                    any holder
 *
 * Who holds a buffer is counted by the kernel: each holder, and each message under way, has a descriptor of the token's end. When the last is closed,
 * by whatever death, the watch sees that its other side is gone, and the slot is free. No count lies in shared memory, so none can be wrong.
 */
#ifndef RILL_POOL_H
#define RILL_POOL_H

#include <stdatomic.h>
#include <stdint.h>

#include <rill/rill.h>

#include "piece.h"
#include "port.h"

/* What a buffer has of a pool. */
struct rill_share {
    _Atomic uint32_t references; /* buffers of this process: the clones of one */
    struct rill_piece *piece;
    rill_object token;
};

void rill_share_reference(struct rill_share *share);
void rill_share_release(struct rill_share *share);

/* For one that was received. Takes both objects over only on success. RILL_EPEER: its memory could become smaller, or has no `capacity` bytes. */
int rill_share_open(rill_object memory, rill_object token, uint64_t capacity, struct rill_share **share);

#endif
