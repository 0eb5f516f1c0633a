/* SPDX-License-Identifier: MIT */
/*
 * A pool's memory object in this process, mapped.
 *
 * To map 16 MiB, touch a byte and unmap costs as much as all else that a buffer on its way through a process takes. A pool gives out the same few objects again
 * and again; so the mappings of the last ones that were received are kept, without a descriptor, and found by the object's identity when it comes again.
 * That keeps no memory from the system: a pool that gives an object up empties it first (rill_piece_give_up), and where it could not, because
 * its buffers are read-only, nothing is kept. What is kept of a pool that died, or was closed while its buffers were in use, goes when a receiver of this process
 * has slept for a moment that it began with something kept, or at rill_trim.
 */
#ifndef RILL_PIECE_H
#define RILL_PIECE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "port.h"

struct rill_piece {
    _Atomic uint32_t references; /* slot and buffers */
    rill_object memory;          /* RILL_NO_OBJECT while it is kept */
    unsigned char *data;
    uint64_t capacity;
    bool may_write;
    _Atomic bool writable;       /* mapped so */
    bool received;               /* from the pool's process, or back from another one: */
    struct rill_identity identity;
    int64_t kept_since;          /* ns */
    struct rill_piece *next_kept;
};

/* A pool's own: makes the memory. It is sealed behind the mapping, which so stays writable. */
int rill_piece_make(uint64_t capacity, uint32_t access, struct rill_piece **piece);

/* One that was received. Takes the memory over only on success. RILL_EPEER: it could become smaller, or has no `capacity` bytes. */
int rill_piece_open(rill_object memory, uint64_t capacity, struct rill_piece **piece);

int rill_piece_make_writable(struct rill_piece *piece);
void rill_piece_reference(struct rill_piece *piece);
void rill_piece_release(struct rill_piece *piece); /* the last one keeps the mapping, or ends it */

/* Its pool needs it no more, and nobody else uses it: its memory goes to the system, whoever has it mapped. */
void rill_piece_give_up(struct rill_piece *piece);

/* Is any mapping kept? One load. */
bool rill_pieces_kept(void);

/* Unmaps what has been kept since then or longer (rill_port_clock). True: there was something. */
bool rill_pieces_drop(int64_t since);

#endif
