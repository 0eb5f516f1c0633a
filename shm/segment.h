/* SPDX-License-Identifier: MIT */
/*
 * A segment is one growable shared-memory object. Its owner, one process, hands out extents of it; the peer maps what it is pointed to.
 * Nothing that is mapped ever moves: a pointer into a segment holds until the segment is closed.
 *
 * A run is a stretch of the segment that lies in one piece in this process's address space. Each new mapping is put directly behind its
 * predecessor where that place is free, so usually there is one run, and the kernel keeps one mapping of it. Where the runs break differs from
 * process to process, so owner and peer each keep their own.
 *
 * Threads: the caller serialises all calls on one segment or view, but for those on pointers already handed out.
 */
#ifndef RILL_SHM_SEGMENT_H
#define RILL_SHM_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../src/port.h"

struct rill_run {
    uint64_t offset;
    uint64_t size;
    unsigned char *base;
};

struct rill_runs {
    struct rill_run *list;
    size_t count;
    size_t capacity;
};

struct rill_extent {
    uint64_t offset;
    uint64_t size;
};

/* ---- the owner's side ---- */

struct rill_segment {
    rill_object memory;
    uint64_t size;    /* of the object; all of it is mapped */
    uint64_t commits; /* how often memory was asked of the system */
    struct rill_runs runs;
    struct rill_extent *free; /* not handed out, not committed; sorted by offset, neighbours joined unless a run ends between them */
    size_t free_count;
    size_t free_capacity;
};

/* Makes a segment whose first `reserved` bytes are handed out and committed already. Sizes are multiples of RILL_PAGE_BYTES everywhere. */
int rill_segment_create(struct rill_segment *segment, uint64_t reserved);

/* Unmaps and closes. Extents that the peer still maps stay readable there. */
void rill_segment_close(struct rill_segment *segment);

/* Hands out an extent aligned to `alignment` (a power of two), in one run, not committed; grows the segment if it must. */
int rill_segment_take(struct rill_segment *segment, uint64_t size, uint64_t alignment, uint64_t *offset);

/* Asks the system for the memory of a range that was handed out: after this, touching it cannot fail. RILL_ENOMEM. */
int rill_segment_commit(struct rill_segment *segment, uint64_t offset, uint64_t size);

/* Takes an extent back and gives its memory to the system. Cannot fail: what cannot be noted as free for lack of memory is only not reused. */
void rill_segment_give(struct rill_segment *segment, uint64_t offset, uint64_t size);

/* Where a range of the segment lies; NULL if it is not inside one run. */
unsigned char *rill_segment_at(const struct rill_segment *segment, uint64_t offset, uint64_t size);

/* The offset of a pointer into the segment; UINT64_MAX if it is none. */
uint64_t rill_segment_offset(const struct rill_segment *segment, const void *pointer);

/* Do two neighbouring extents lie in one run? */
bool rill_segment_joined(const struct rill_segment *segment, uint64_t offset, uint64_t size);

/* ---- the peer's side ---- */

struct rill_view {
    rill_object memory;
    uint64_t size;   /* of the object when last asked; it never shrinks */
    uint64_t quota;  /* bytes that may be mapped */
    uint64_t mapped; /* bytes that are */
    struct rill_runs runs;
};

/* Opens a view of a segment whose object was checked; takes the handle over only on success. */
int rill_view_open(struct rill_view *view, rill_object memory, uint64_t quota);

/* Unmaps; the handle stays with the caller. */
void rill_view_close(struct rill_view *view);

/* Where a range that the peer named lies here: mapped now if it was not. RILL_EPEER: it lies outside the object. RILL_EQUOTA: mapping it
 * would exceed the quota. RILL_ENOMEM, RILL_ESYSTEM: as the system says. */
int rill_view_at(struct rill_view *view, uint64_t offset, uint64_t size, unsigned char **pointer);

#endif
