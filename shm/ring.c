/* SPDX-License-Identifier: MIT */
#include "ring.h"

#include <rill/rill.h>

bool rill_ring_link(struct rill_ring_writer *writer, struct rill_span target, unsigned char *block)
{
    struct rill_ring_writer next = *writer;
    memcpy(writer->block + writer->position + RILL_HEADER_BYTES, &target, sizeof target);
    rill_ring_enter(&next, target, block); /* before the link is committed: its reader reads this header next */
    uint64_t word = RILL_HEADER(RILL_KIND_LINK, sizeof target);
    uint64_t found = atomic_exchange_explicit(rill_ring_header(writer->block, writer->position), word, memory_order_seq_cst); /* W2 */
    if (found != RILL_HEADER_FREE)
        return rill_ring_stay_poisoned(writer);
    *writer = next;
    return true;
}

int rill_ring_open(struct rill_ring_reader *reader, struct rill_span span, unsigned char *block)
{
    if (span.offset % RILL_PAGE_BYTES || span.offset == 0 || span.size < RILL_PAGE_BYTES || span.size % 8)
        return RILL_EPEER;
    reader->block = block;
    reader->offset = span.offset;
    reader->size = span.size;
    reader->position = 0;
    return RILL_OK;
}

bool rill_ring_poison(struct rill_ring_reader *reader)
{
    uint64_t expected = RILL_HEADER_FREE;
    return atomic_compare_exchange_strong_explicit(rill_ring_header(reader->block, reader->position), &expected, RILL_HEADER_POISON,
                                                   memory_order_seq_cst, memory_order_seq_cst) || /* R2, partner W2 */
           expected == RILL_HEADER_POISON;
}
