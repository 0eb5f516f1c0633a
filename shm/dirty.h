/* SPDX-License-Identifier: MIT */
/*
 * Dirty memory of a lane: free ranges of its arena whose pages the system has not got back (jemalloc's word for them). Large messages whose sizes change
 * all the time are cut out of it, where each would pay for fresh pages otherwise. It is worth that only while the owner goes on sending; so it lies where
 * the receiver can reach it, who gives it to the system when the owner has fallen silent.
 *
 * The owner keeps its ranges in private memory. To lend them it writes them into a page of the segment, and then one word of the lane's header:
 *
 *     0                 nothing is lent
 *     list | LENT       whoever takes this word has the ranges: the owner, to use them, or the receiver, to punch them
 *     list | TAKEN      the receiver is punching them
 *     list | PUNCHED    it is done: their memory is gone
 *
 * Order of the atomics on `dirty` of the lane's header:
 *   D1  lend     store, release: the list comes before it; the owner uses no range until D2 or D3
 *   D2  recall   compare-and-swap LENT -> 0, acquire, by the owner. Against D4: of the two exactly one finds LENT, so no range is used and punched at once
 *   D3  recall   load, acquire, of PUNCHED: pairs with D5; the receiver's punches come before what the owner commits and writes from now on
 *   D4  take     compare-and-swap LENT -> TAKEN, acquire: pairs with D1; the list is there
 *   D5  done     store, release: the punches come before it
 * If D5 or D3 were relaxed, a punch could fall on a message that was written behind it. While the receiver punches the owner leaves the ranges
 * alone, and does without: what would lie there lies elsewhere. A receiver that is killed in between leaves TAKEN behind; whoever receives after it begins anew.
 *
 * What the receiver writes into list or word cannot give the owner a range that it does not have, nor one twice: the owner goes by its private list. A
 * receiver that says PUNCHED without having punched costs the owner a commit of what is there. An owner that lists what it should not has pages of its own
 * segment punched, which it can do itself.
 */
#ifndef RILL_SHM_DIRTY_H
#define RILL_SHM_DIRTY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "layout.h"
#include "segment.h"

/* ---- the owner's side; the caller serialises ---- */

struct rill_dirty {
    struct rill_segment *segment;
    struct rill_lane_header *header;
    uint64_t list; /* where the list lies in the segment; 0: nowhere yet */
    bool lent;
    size_t count;
    uint64_t bytes; /* of all ranges */
    struct rill_span ranges[RILL_DIRTY_MOST]; /* sorted by offset, neighbours joined */
};

enum rill_dirty_claim {
    RILL_DIRTY_NONE,  /* the system has to be asked for at least a part of it; what of it was dirty is counted out */
    RILL_DIRTY_WHOLE, /* all of it has memory and is the caller's */
    RILL_DIRTY_AWAY,  /* the receiver is punching there: it cannot be used now */
};

/* The segment's first page is the header, or NULL: then nothing is ever kept. */
void rill_dirty_init(struct rill_dirty *dirty, struct rill_segment *segment, struct rill_lane_header *header);

/* Keeps a free range whose pages are there. False: it cannot, the caller gives the pages to the system. */
bool rill_dirty_add(struct rill_dirty *dirty, uint64_t offset, uint64_t size);

/* Takes a range that will be used. */
enum rill_dirty_claim rill_dirty_claim(struct rill_dirty *dirty, uint64_t offset, uint64_t size);

/* Gives to the system what is more than `most` bytes, from the high end of the segment on, so that what stays lies close together. */
void rill_dirty_bound(struct rill_dirty *dirty, uint64_t most);

/* Lends the ranges, until the next of the calls above takes them back. */
void rill_dirty_lend(struct rill_dirty *dirty);

/* ---- the receiver's side; the caller serialises ---- */

/* Where the owner's list lies, if there are ranges to be punched; 0 if not. */
uint64_t rill_dirty_lent(const struct rill_lane_header *header);

/* Takes them. False: the owner was faster. */
bool rill_dirty_take(struct rill_lane_header *header, uint64_t list);

void rill_dirty_done(struct rill_lane_header *header, uint64_t list);

#endif
