/* SPDX-License-Identifier: MIT */
/*
 * A ring: one writing thread at a time, one reader, in blocks that are chained (layout.h has the picture).
 *
 * A record exists from one instant on, the write of its header word. Kill or stop the writer before it and nothing was sent; after it, all
 * was. Nothing is ever half done, so nothing needs repair, and no reader waits for a writer.
 *
 *   W1  the header behind the record = free      plain, before W2
 *   W2  the record's header = its word           exchange, seq_cst; or a store, release: U1 of fence.h, which says for whom, and what else holds then
 *   R1  read a header                            seq_cst load; partner W2
 *   R2  a free header = poison                   compare-and-swap, seq_cst; partner W2
 *
 * What holds, and why:
 *   - R1 that reads a record's word sees the record's payload and the free header behind it: they are written before W2, which releases them, and
 *     R1 acquires. Without W1, or with W1 after W2, the reader would take old payload for the next header: blocks are reused and never zeroed.
 *   - A block is not overwritten while it is read: the reader gives it back only when it has left it (returns.h), and the owner reuses
 *     only what came back.
 *   - W2 and R2 meet on one word, so exactly one of them finds it free. If the writer does, its record is the reader's to take. If the reader does,
 *     the writer gets RILL_HEADER_POISON out of its exchange and knows that the record was not and never will be received; it sends it again
 *     elsewhere. That makes giving up a lane exact: no message is lost or doubled, even if its owner was wrongly taken for dead.
 *   - W2 and R1 are seq_cst and not just release and acquire, because of what wake.h needs: a commit is ordered before the
 *     writer's look at `parked`.
 * A link is a record like any other; a kill may leave it alone at the end of a ring. The first header of its target is free before it is committed.
 *
 * Not promised: that the writer is honest. The reader checks each record against its block before it uses it.
 *
 * Threads: a writer is used by whoever holds its ring (lane.h), a reader by the receiver's thread.
 */
#ifndef RILL_SHM_RING_H
#define RILL_SHM_RING_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <rill/rill.h>

#include "fetch.h"
#include "layout.h"

static inline _Atomic uint64_t *rill_ring_header(unsigned char *block, uint64_t position)
{
    return (_Atomic uint64_t *)(void *)(block + position);
}

static inline uint64_t rill_ring_padded(uint64_t size)
{
    return (size + 7) & ~UINT64_C(7);
}

/* ---- the writer ---- */

struct rill_ring_writer {
    unsigned char *block;
    uint64_t size;     /* of the block */
    uint64_t position; /* of the next header, which is free; there is always room for a link */
    uint64_t last_ticket;
    uint64_t offset;   /* of the block in the segment */
};

/* Goes on in a new block, which lies at `block`; its first header becomes free. The block before it must have been linked, or there was none. */
static inline void rill_ring_enter(struct rill_ring_writer *writer, struct rill_span span, unsigned char *block)
{
    atomic_store_explicit(rill_ring_header(block, 0), RILL_HEADER_FREE, memory_order_relaxed); /* W1 for the first record */
    writer->block = block;
    writer->offset = span.offset;
    writer->size = span.size;
    writer->position = 0;
}

/* Does a record of this many bytes, header and ticket included, fit the block? */
static inline bool rill_ring_fits(const struct rill_ring_writer *writer, uint64_t length)
{
    return length <= writer->size - writer->position - RILL_LINK_BYTES;
}

/* Where the payload of the next record goes. */
static inline unsigned char *rill_ring_payload(struct rill_ring_writer *writer, uint64_t ticket)
{
    unsigned char *payload = writer->block + writer->position + RILL_HEADER_BYTES;
    if (!ticket)
        return payload;
    memcpy(payload, &ticket, sizeof ticket);
    return payload + RILL_TICKET_BYTES;
}

/* The exchange of a commit waits until every line that the record touches is this processor's own, and they were last read by the other side. So for
 * short records, where that is most of the time, the lines that begin as far ahead as this one is long are asked for, each at least once. A long copy
 * keeps as many lines under way as there can be by itself; asked for before, they are in its way (4 KiB a tenth slower, 64 KiB a fifth). Past the end of
 * the block that does nothing. */
#ifndef RILL_RING_AHEAD
#define RILL_RING_AHEAD 2048
#endif
#define RILL_RING_SHORT 256

static inline void rill_ring_fetch_ahead(const unsigned char *record, uint64_t length)
{
    uintptr_t ahead = (uintptr_t)record + RILL_RING_AHEAD, end = ahead + length;
    if (length <= RILL_LINE_BYTES) {
        rill_fetch_to_write((const void *)ahead); /* some lines several times, which is cheaper than to find out */
        return;
    }
    if (length > RILL_RING_SHORT)
        return;
    for (uintptr_t line = (ahead + RILL_LINE_BYTES - 1) & ~(uintptr_t)(RILL_LINE_BYTES - 1); line < end; line += RILL_LINE_BYTES)
        rill_fetch_to_write((const void *)line);
}

/* The exchange has taken the reader's mark away: put it back, so that nobody finds a record here which nobody will read. */
static inline bool rill_ring_stay_poisoned(struct rill_ring_writer *writer)
{
    atomic_store_explicit(rill_ring_header(writer->block, writer->position), RILL_HEADER_POISON, memory_order_relaxed);
    return false;
}

/* Commits the record whose payload was written there; it must fit. False: the ring was given up, the record does not exist. */
static inline bool rill_ring_commit(struct rill_ring_writer *writer, unsigned kind, uint64_t size, uint64_t ticket)
{
    uint64_t length = RILL_HEADER_BYTES + (ticket ? RILL_TICKET_BYTES : 0) + rill_ring_padded(size), position = writer->position;
    uint64_t word = RILL_HEADER(kind, size) | (ticket ? RILL_HEADER_STAMPED : 0); /* `kind` may have RILL_HEADER_HANDLES in it */
    unsigned char *block = writer->block;
    rill_ring_fetch_ahead(block + position, length);
    atomic_store_explicit(rill_ring_header(block, position + length), RILL_HEADER_FREE, memory_order_relaxed); /* W1 */
    uint64_t found = atomic_exchange_explicit(rill_ring_header(block, position), word, memory_order_seq_cst); /* W2 */
    if (found != RILL_HEADER_FREE)
        return rill_ring_stay_poisoned(writer);
    writer->position = position + length;
    return true;
}

/* The same for an unstamped inline record, without a fence and without a look at the reader's mark (U1 of fence.h). */
static inline void rill_ring_commit_unfenced(struct rill_ring_writer *writer, uint64_t size)
{
    uint64_t length = RILL_HEADER_BYTES + rill_ring_padded(size), position = writer->position;
    unsigned char *block = writer->block;
    rill_ring_fetch_ahead(block + position, length);
    atomic_store_explicit(rill_ring_header(block, position + length), RILL_HEADER_FREE, memory_order_relaxed); /* W1 */
    atomic_store_explicit(rill_ring_header(block, position), RILL_HEADER(RILL_KIND_INLINE, size), memory_order_release); /* W2 as U1 */
    writer->position = position + length;
}

/* The place of that record, the last one, in its block. */
static inline uint64_t rill_ring_last(const struct rill_ring_writer *writer, uint64_t size)
{
    return writer->position - RILL_HEADER_BYTES - rill_ring_padded(size);
}

/* Writes its header once more, to have the fence after all (U3 of fence.h). A reader that has read it already does not come back to it. */
static inline void rill_ring_commit_again(const struct rill_ring_writer *writer, uint64_t size)
{
    _Atomic uint64_t *header = rill_ring_header(writer->block, rill_ring_last(writer, size));
    (void)atomic_exchange_explicit(header, RILL_HEADER(RILL_KIND_INLINE, size), memory_order_seq_cst); /* W2 */
}

/* It lies where the reader had put its mark, and will not be read (O2 of fence.h). */
static inline void rill_ring_withdraw(struct rill_ring_writer *writer, uint64_t size)
{
    writer->position = rill_ring_last(writer, size);
    (void)rill_ring_stay_poisoned(writer);
}

/* Ends the block with a link to another one, and enters that. False as for a commit. */
bool rill_ring_link(struct rill_ring_writer *writer, struct rill_span target, unsigned char *block);

/* ---- the reader ---- */

struct rill_ring_reader {
    unsigned char *block;
    uint64_t offset; /* of the block in the segment */
    uint64_t size;
    uint64_t position; /* of the next header to read; there is always room for a link behind it */
    uint64_t last_ticket;
};

/* A record, read once and checked against its block. */
struct rill_record {
    unsigned kind;
    uint64_t size;   /* of the payload, without `carried` */
    uint64_t length; /* of the whole record */
    uint64_t ticket; /* 0: not stamped */
    unsigned char *payload;       /* behind `carried`, */
    struct rill_carried *carried; /* which is NULL if there are no handles */
};

/* Starts at a block that lies at `block`. RILL_EPEER: no block can be like this. */
int rill_ring_open(struct rill_ring_reader *reader, struct rill_span span, unsigned char *block);

/* Parses the header at a position; the payload may still be written to by a hostile owner, so only the loaded word counts. */
static inline int rill_ring_parse(const struct rill_ring_reader *reader, uint64_t position, struct rill_record *record)
{
    uint64_t word = atomic_load_explicit(rill_ring_header(reader->block, position), memory_order_seq_cst); /* R1, partner W2 */
    if (word == RILL_HEADER_FREE)
        return RILL_EEMPTY;
    uint64_t head = RILL_HEADER_BYTES + (word & RILL_HEADER_STAMPED ? RILL_TICKET_BYTES : 0);
    uint64_t room = reader->size - position;
    record->kind = RILL_HEADER_KIND(word);
    record->size = RILL_HEADER_SIZE(word);
    if (record->size > room)
        return RILL_EPEER;
    record->length = head + rill_ring_padded(record->size);
    record->payload = reader->block + position + head;
    record->ticket = 0;
    record->carried = NULL;
    if (record->kind == RILL_KIND_LINK)
        return word == RILL_HEADER(RILL_KIND_LINK, sizeof(struct rill_span)) ? RILL_OK : RILL_EPEER;
    if (word & RILL_HEADER_HANDLES) {
        if (record->size < sizeof *record->carried)
            return RILL_EPEER;
        record->carried = (struct rill_carried *)(void *)record->payload;
        record->payload += sizeof *record->carried;
        record->size -= sizeof *record->carried;
    }
    bool known = record->kind == RILL_KIND_INLINE || (record->kind == RILL_KIND_LARGE && record->size == sizeof(struct rill_large));
    if (!known || room < RILL_LINK_BYTES || record->length > room - RILL_LINK_BYTES)
        return RILL_EPEER;
    if (word & RILL_HEADER_STAMPED) {
        memcpy(&record->ticket, reader->block + position + RILL_HEADER_BYTES, sizeof record->ticket);
        if (record->ticket == 0)
            return RILL_EPEER;
    }
    return RILL_OK;
}

/* Reads the next record without taking it: RILL_OK, RILL_EEMPTY, or RILL_EPEER (no writer of ours made this). */
static inline int rill_ring_peek(const struct rill_ring_reader *reader, struct rill_record *record)
{
    return rill_ring_parse(reader, reader->position, record);
}

/* Takes the record that was peeked. */
static inline void rill_ring_advance(struct rill_ring_reader *reader, const struct rill_record *record)
{
    reader->position += record->length;
}

/* Is anything there? One load. */
static inline bool rill_ring_ready(const struct rill_ring_reader *reader)
{
    return atomic_load_explicit(rill_ring_header(reader->block, reader->position), memory_order_seq_cst) != RILL_HEADER_FREE; /* R1 */
}

/* Gives the ring up if it is empty: nothing can be committed to it any more. False: there is a record to take first. */
bool rill_ring_poison(struct rill_ring_reader *reader);

#endif
