/* SPDX-License-Identifier: MIT */
#include "segment.h"

#include <stdlib.h>
#include <string.h>

#include <rill/rill.h>

#include "layout.h"

#define FIRST_SIZE (4 * RILL_PAGE_BYTES)
#define VIEW_RUNS_MAX 256 /* mappings are counted for the whole process, and a hostile owner could name every second page */
#define GROWTH_MAX ((uint64_t)1 << 30) /* doubling ends here: address space is finite, and quotas count it */

static uint64_t round_up(uint64_t value, uint64_t granule)
{
    return (value + granule - 1) & ~(granule - 1);
}

/* ---- runs ---- */

static int make_room(void **list, size_t *capacity, size_t count, size_t element)
{
    if (count < *capacity)
        return RILL_OK;
    size_t larger = *capacity ? *capacity * 2 : 4;
    void *grown = realloc(*list, larger * element);
    if (!grown)
        return RILL_ENOMEM;
    *list = grown;
    *capacity = larger;
    return RILL_OK;
}

/* Maps [offset, offset + size) and notes it: as part of the last run if it could be put directly behind it. */
static int runs_map(struct rill_runs *runs, rill_object memory, uint64_t offset, uint64_t size)
{
    void *list = runs->list;
    int code = make_room(&list, &runs->capacity, runs->count, sizeof *runs->list);
    runs->list = list;
    if (code != RILL_OK)
        return code;
    struct rill_run *last = runs->count ? &runs->list[runs->count - 1] : NULL;
    bool follows = last && last->offset + last->size == offset;
    void *address;
    code = rill_port_memory_map(memory, offset, size, follows ? last->base + last->size : NULL, &address);
    if (code != RILL_OK)
        return code;
    if (follows && address == last->base + last->size)
        last->size += size;
    else
        runs->list[runs->count++] = (struct rill_run){.offset = offset, .size = size, .base = address};
    return RILL_OK;
}

static unsigned char *runs_at(const struct rill_runs *runs, uint64_t offset, uint64_t size)
{
    for (size_t i = 0; i < runs->count; i++) {
        const struct rill_run *run = &runs->list[i];
        if (offset >= run->offset && offset - run->offset < run->size && size <= run->size - (offset - run->offset))
            return run->base + (offset - run->offset);
    }
    return NULL;
}

static void runs_unmap(struct rill_runs *runs)
{
    for (size_t i = 0; i < runs->count; i++)
        rill_port_memory_unmap(runs->list[i].base, runs->list[i].size);
    free(runs->list);
    *runs = (struct rill_runs){0};
}

/* ---- the owner's side ---- */

bool rill_segment_joined(const struct rill_segment *segment, uint64_t offset, uint64_t size)
{
    return runs_at(&segment->runs, offset, size) != NULL;
}

/* Joins free[i] and free[i + 1] if they touch inside one run. */
static void join_free(struct rill_segment *segment, size_t i)
{
    if (i + 1 >= segment->free_count)
        return;
    struct rill_extent *low = &segment->free[i], *high = low + 1;
    if (low->offset + low->size != high->offset || !rill_segment_joined(segment, low->offset, low->size + high->size))
        return;
    low->size += high->size;
    memmove(high, high + 1, (segment->free_count - i - 2) * sizeof *high);
    segment->free_count--;
}

static int note_free(struct rill_segment *segment, uint64_t offset, uint64_t size)
{
    void *list = segment->free;
    int code = make_room(&list, &segment->free_capacity, segment->free_count, sizeof *segment->free);
    segment->free = list;
    if (code != RILL_OK)
        return code;
    size_t low = 0, high = segment->free_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (segment->free[middle].offset < offset)
            low = middle + 1;
        else
            high = middle;
    }
    memmove(&segment->free[low + 1], &segment->free[low], (segment->free_count - low) * sizeof *segment->free);
    segment->free[low] = (struct rill_extent){.offset = offset, .size = size};
    segment->free_count++;
    join_free(segment, low);
    if (low > 0)
        join_free(segment, low - 1);
    return RILL_OK;
}

int rill_segment_create(struct rill_segment *segment, uint64_t reserved)
{
    *segment = (struct rill_segment){.memory = RILL_NO_OBJECT};
    uint64_t size = reserved > FIRST_SIZE ? reserved : FIRST_SIZE;
    int code = rill_port_memory_create(size, true, &segment->memory);
    if (code == RILL_OK)
        code = runs_map(&segment->runs, segment->memory, 0, size);
    if (code == RILL_OK && size > reserved)
        code = note_free(segment, reserved, size - reserved);
    segment->size = size;
    if (code != RILL_OK)
        rill_segment_close(segment);
    return code;
}

void rill_segment_close(struct rill_segment *segment)
{
    runs_unmap(&segment->runs);
    rill_port_close(segment->memory);
    free(segment->free);
    *segment = (struct rill_segment){.memory = RILL_NO_OBJECT};
}

static int grow_to(struct rill_segment *segment, uint64_t size)
{
    uint64_t old = segment->size;
    uint64_t actual; /* may be larger already, if an earlier attempt could not map what it had added */
    int code = rill_port_memory_size(segment->memory, &actual);
    if (code == RILL_OK && actual < size)
        code = rill_port_memory_grow(segment->memory, size);
    if (code == RILL_OK)
        code = runs_map(&segment->runs, segment->memory, old, size - old);
    if (code != RILL_OK)
        return code;
    segment->size = size;
    return note_free(segment, old, size - old);
}

/* Doubles the segment, or as much as is needed; where that much address space is not to be had, exactly as much as is needed. */
static int grow(struct rill_segment *segment, uint64_t needed)
{
    if (needed > INT64_MAX / 2)
        return RILL_ENOMEM;
    uint64_t step = segment->size < GROWTH_MAX ? segment->size : GROWTH_MAX;
    if (step < needed)
        step = needed;
    int code = grow_to(segment, segment->size + step);
    if (code != RILL_OK && step > needed)
        code = grow_to(segment, segment->size + needed);
    return code;
}

static void remove_free(struct rill_segment *segment, size_t i)
{
    memmove(&segment->free[i], &segment->free[i + 1], (segment->free_count - i - 1) * sizeof *segment->free);
    segment->free_count--;
}

/* Cuts [offset, offset + size) out of free[i]. Needs one more entry where both ends remain. */
static int cut(struct rill_segment *segment, size_t i, uint64_t offset, uint64_t size)
{
    struct rill_extent whole = segment->free[i];
    uint64_t before = offset - whole.offset, after = whole.size - before - size;
    if (before && after) {
        segment->free[i].size = before;
        int code = note_free(segment, offset + size, after);
        if (code != RILL_OK)
            segment->free[i].size = whole.size;
        return code;
    }
    if (!before && !after)
        remove_free(segment, i);
    else
        segment->free[i] = (struct rill_extent){.offset = before ? whole.offset : offset + size, .size = before + after};
    return RILL_OK;
}

/* First fit from the low end, so that the high end of the segment stays untouched. Alignment is that of addresses. */
static int take_free(struct rill_segment *segment, uint64_t size, uint64_t alignment, uint64_t *offset)
{
    for (size_t i = 0; i < segment->free_count; i++) {
        const struct rill_extent *extent = &segment->free[i];
        if (extent->size < size)
            continue;
        uintptr_t address = (uintptr_t)runs_at(&segment->runs, extent->offset, extent->size);
        uint64_t skip = round_up(address, alignment) - address;
        if (skip > extent->size || extent->size - skip < size)
            continue;
        uint64_t found = extent->offset + skip;
        int code = cut(segment, i, found, size);
        if (code == RILL_OK)
            *offset = found;
        return code;
    }
    return RILL_EEMPTY;
}

int rill_segment_take(struct rill_segment *segment, uint64_t size, uint64_t alignment, uint64_t *offset)
{
    int code = take_free(segment, size, alignment, offset);
    if (code != RILL_EEMPTY)
        return code;
    code = grow(segment, alignment > RILL_PAGE_BYTES ? size + alignment : size);
    if (code != RILL_OK)
        return code;
    code = take_free(segment, size, alignment, offset);
    return code == RILL_EEMPTY ? RILL_ENOMEM : code;
}

int rill_segment_commit(struct rill_segment *segment, uint64_t offset, uint64_t size)
{
    segment->commits++;
    return rill_port_memory_commit(segment->memory, offset, size);
}

void rill_segment_give(struct rill_segment *segment, uint64_t offset, uint64_t size)
{
    (void)rill_port_memory_punch(segment->memory, offset, size);
    (void)note_free(segment, offset, size);
}

unsigned char *rill_segment_at(const struct rill_segment *segment, uint64_t offset, uint64_t size)
{
    return runs_at(&segment->runs, offset, size);
}

uint64_t rill_segment_offset(const struct rill_segment *segment, const void *pointer)
{
    uintptr_t address = (uintptr_t)pointer;
    for (size_t i = 0; i < segment->runs.count; i++) {
        const struct rill_run *run = &segment->runs.list[i];
        uintptr_t base = (uintptr_t)run->base;
        if (address >= base && address - base < run->size)
            return run->offset + (address - base);
    }
    return UINT64_MAX;
}

/* ---- the peer's side ---- */

int rill_view_open(struct rill_view *view, rill_object memory, uint64_t quota)
{
    *view = (struct rill_view){.memory = memory, .quota = quota};
    unsigned char *header;
    int code = rill_view_at(view, 0, RILL_PAGE_BYTES, &header);
    if (code != RILL_OK)
        rill_view_close(view);
    return code;
}

void rill_view_close(struct rill_view *view)
{
    runs_unmap(&view->runs);
}

static int view_map(struct rill_view *view, uint64_t offset, uint64_t size)
{
    if (view->runs.count >= VIEW_RUNS_MAX || size > view->quota || view->mapped > view->quota - size)
        return RILL_EQUOTA;
    int code = runs_map(&view->runs, view->memory, offset, size);
    if (code == RILL_OK)
        view->mapped += size;
    return code;
}

/* All up to the object's end, which the owner made larger in large steps; or, where quota or address space is short, just the range. A range that
 * begins in one run and ends in another is mapped a second time, as a whole: the owner may have it in one piece. */
int rill_view_at(struct rill_view *view, uint64_t offset, uint64_t size, unsigned char **pointer)
{
    if (size == 0)
        return RILL_EPEER; /* no owner points to nothing, and no system maps it */
    unsigned char *known = runs_at(&view->runs, offset, size);
    if (known) {
        *pointer = known;
        return RILL_OK;
    }
    uint64_t limit;
    int code = rill_port_memory_size(view->memory, &limit);
    if (code != RILL_OK)
        return code;
    if (limit > view->size)
        view->size = limit;
    if (offset > limit || size > limit - offset)
        return RILL_EPEER;
    const struct rill_run *last = view->runs.count ? &view->runs.list[view->runs.count - 1] : NULL;
    uint64_t end = last ? last->offset + last->size : 0;
    code = RILL_EPEER;
    if (offset >= end && end < limit)
        code = view_map(view, end, (limit & ~(RILL_PAGE_BYTES - 1)) - end);
    known = code == RILL_OK ? runs_at(&view->runs, offset, size) : NULL;
    if (!known) {
        uint64_t start = offset & ~(RILL_PAGE_BYTES - 1);
        code = view_map(view, start, round_up(offset + size, RILL_PAGE_BYTES) - start);
        known = code == RILL_OK ? runs_at(&view->runs, offset, size) : NULL;
    }
    if (!known)
        return code == RILL_OK ? RILL_EPEER : code;
    *pointer = known;
    return RILL_OK;
}
