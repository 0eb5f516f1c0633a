/* SPDX-License-Identifier: MIT */
#include "blocks.h"

#include <stdlib.h>

#include <rill/rill.h>

#define FIRST_CAPACITY 64

static size_t home_of(const struct rill_blocks *blocks, uint64_t offset)
{
    return (size_t)(offset * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (blocks->capacity - 1);
}

static void place(struct rill_blocks *blocks, struct rill_block block)
{
    size_t i = home_of(blocks, block.offset);
    while (blocks->slots[i].offset)
        i = (i + 1) & (blocks->capacity - 1);
    blocks->slots[i] = block;
}

int rill_blocks_reserve(struct rill_blocks *blocks)
{
    if (blocks->count < blocks->capacity / 2)
        return RILL_OK;
    struct rill_blocks larger = {.count = blocks->count, .bytes = blocks->bytes, .capacity = blocks->capacity ? blocks->capacity * 2 : FIRST_CAPACITY};
    larger.slots = calloc(larger.capacity, sizeof *larger.slots);
    if (!larger.slots)
        return RILL_ENOMEM;
    for (size_t i = 0; i < blocks->capacity; i++)
        if (blocks->slots[i].offset)
            place(&larger, blocks->slots[i]);
    free(blocks->slots);
    *blocks = larger;
    return RILL_OK;
}

void rill_blocks_add(struct rill_blocks *blocks, struct rill_block block)
{
    place(blocks, block);
    blocks->count++;
    blocks->bytes += block.size;
}

/* Moves later entries of the same probe sequence into the gap, so that no tombstone is needed. */
static void close_gap(struct rill_blocks *blocks, size_t gap)
{
    size_t mask = blocks->capacity - 1;
    for (size_t i = (gap + 1) & mask; blocks->slots[i].offset; i = (i + 1) & mask) {
        size_t home = home_of(blocks, blocks->slots[i].offset);
        if (((i - home) & mask) >= ((i - gap) & mask)) {
            blocks->slots[gap] = blocks->slots[i];
            gap = i;
        }
    }
    blocks->slots[gap].offset = 0;
}

bool rill_blocks_remove(struct rill_blocks *blocks, uint64_t offset, struct rill_block *block)
{
    if (!blocks->capacity || !offset)
        return false;
    size_t mask = blocks->capacity - 1;
    for (size_t i = home_of(blocks, offset); blocks->slots[i].offset; i = (i + 1) & mask) {
        if (blocks->slots[i].offset != offset)
            continue;
        *block = blocks->slots[i];
        close_gap(blocks, i);
        blocks->count--;
        blocks->bytes -= block->size;
        return true;
    }
    return false;
}

void rill_blocks_clear(struct rill_blocks *blocks)
{
    free(blocks->slots);
    *blocks = (struct rill_blocks){0};
}
