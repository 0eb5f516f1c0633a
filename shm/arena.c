/* SPDX-License-Identifier: MIT */
#include "arena.h"

#include <stdio.h>
#include <stdlib.h>

#include <jemalloc/jemalloc.h>
#include <rill/rill.h>

#include "dirty.h"

#ifndef RILL_JEMALLOC_SYSTEM
#define mallocx rill_je_mallocx
#define dallocx rill_je_dallocx
#define nallocx rill_je_nallocx
#define sallocx rill_je_sallocx
#define xallocx rill_je_xallocx
#define mallctl rill_je_mallctl
/* Read by the private jemalloc when it starts: one automatic arena, since only explicit ones are used; blocks up to 256 KiB cached, since larger ones shall
 * join their neighbours; the largest not given back at once, which is its default. (It is built without cache_oblivious: large allocations begin on a page.) */
extern const char *rill_je_malloc_conf;
const char *rill_je_malloc_conf = "narenas:1,tcache:false,tcache_max:262144,oversize_threshold:0";
#endif

#define OWN_PAGES ((uint64_t)16 << 10) /* allocations of this size share no page with others */

struct rill_arena {
    extent_hooks_t hooks; /* first: the hooks get its address and find the rest from it */
    struct rill_segment *segment;
    struct rill_dirty dirty;
    unsigned index;
    unsigned cache;
    bool ending; /* the hooks leave memory alone: the receiver may still have to read what lies in it */
    int flags;
};

/* ---- hooks: where the arena gets its addresses ----
 * jemalloc divides addresses. What memory is behind them is seen to here, when a block is given out and when it comes back: so jemalloc is told that
 * everything is committed always, and nothing ever decommitted. It keeps nothing of its own in an extent, and the first to touch a block is its user. */

static struct rill_arena *arena_of(extent_hooks_t *hooks)
{
    return (struct rill_arena *)(void *)hooks;
}

/* What it gives out may hold anything. Nobody asks for zeros, so a wish for them is not granted. */
static void *hook_alloc(extent_hooks_t *hooks, void *wish, size_t size, size_t alignment, bool *zero, bool *committed, unsigned index)
{
    (void)index, (void)committed;
    struct rill_arena *arena = arena_of(hooks);
    uint64_t offset;
    if (wish || *zero || rill_segment_take(arena->segment, size, alignment, &offset) != RILL_OK)
        return NULL;
    return rill_segment_at(arena->segment, offset, size);
}

/* Extents stay with the arena until it is destroyed, and the segment is closed with it. */
static bool hook_dalloc(extent_hooks_t *hooks, void *address, size_t size, bool committed, unsigned index)
{
    (void)hooks, (void)address, (void)size, (void)committed, (void)index;
    return true;
}

static void hook_destroy(extent_hooks_t *hooks, void *address, size_t size, bool committed, unsigned index)
{
    (void)committed, (void)index;
    struct rill_arena *arena = arena_of(hooks);
    uint64_t offset = rill_segment_offset(arena->segment, address);
    if (!arena->ending && offset != UINT64_MAX)
        rill_segment_give(arena->segment, offset, size);
}

static bool hook_commit(extent_hooks_t *hooks, void *address, size_t size, size_t offset, size_t length, unsigned index)
{
    (void)hooks, (void)address, (void)size, (void)offset, (void)length, (void)index;
    return false;
}

static bool hook_decommit(extent_hooks_t *hooks, void *address, size_t size, size_t offset, size_t length, unsigned index)
{
    (void)hooks, (void)address, (void)size, (void)offset, (void)length, (void)index;
    return true;
}

static bool hook_split(extent_hooks_t *hooks, void *address, size_t size, size_t low, size_t high, bool committed, unsigned index)
{
    (void)hooks, (void)address, (void)size, (void)low, (void)high, (void)committed, (void)index;
    return false;
}

/* Never across runs: two mappings that happen to touch here may lie apart for the receiver, and lie apart in the file. */
static bool hook_merge(extent_hooks_t *hooks, void *low, size_t low_size, void *high, size_t high_size, bool committed, unsigned index)
{
    (void)committed, (void)index;
    struct rill_arena *arena = arena_of(hooks);
    uint64_t offset = rill_segment_offset(arena->segment, low);
    return (char *)low + low_size != high || offset == UINT64_MAX ||
           !rill_segment_joined(arena->segment, offset, (uint64_t)low_size + high_size);
}

static const extent_hooks_t segment_hooks = {
    .alloc = hook_alloc,
    .dalloc = hook_dalloc,
    .destroy = hook_destroy,
    .commit = hook_commit,
    .decommit = hook_decommit,
    .split = hook_split,
    .merge = hook_merge,
};

/* ---- the arena ---- */

static int read_unsigned(const char *name, void *value, size_t size, void *input, size_t input_size)
{
    return mallctl(name, value, &size, input, input_size) == 0 ? RILL_OK : RILL_ENOMEM;
}

static void destroy_index(unsigned index)
{
    char name[32];
    (void)snprintf(name, sizeof name, "arena.%u.destroy", index);
    (void)mallctl(name, NULL, NULL, NULL, 0);
}

/* What experimental.arenas_create_ext of jemalloc 5.3.0 takes; its public header does not declare it. */
struct arena_config {
    extent_hooks_t *extent_hooks;
    bool metadata_use_hooks;
};

/* What is free is used before addresses that never were. */
static int never_decay(unsigned index)
{
    char name[48];
    ssize_t never = -1;
    (void)snprintf(name, sizeof name, "arena.%u.dirty_decay_ms", index);
    return mallctl(name, NULL, NULL, &never, sizeof never) == 0 ? RILL_OK : RILL_ENOMEM;
}

static int make_index(struct rill_arena *arena)
{
    /* With plain arenas.create jemalloc would keep its bookkeeping in the segment. */
    struct arena_config config = {.extent_hooks = &arena->hooks, .metadata_use_hooks = false};
    int code = read_unsigned("experimental.arenas_create_ext", &arena->index, sizeof arena->index, &config, sizeof config);
    if (code != RILL_OK)
        return code;
    code = read_unsigned("tcache.create", &arena->cache, sizeof arena->cache, NULL, 0);
    if (code == RILL_OK)
        code = never_decay(arena->index);
    if (code != RILL_OK) {
        destroy_index(arena->index);
        return code;
    }
    arena->flags = MALLOCX_ARENA(arena->index) | MALLOCX_TCACHE(arena->cache);
    return RILL_OK;
}

int rill_arena_create(struct rill_segment *segment, struct rill_lane_header *header, struct rill_arena **arena)
{
    struct rill_arena *made = calloc(1, sizeof *made);
    if (!made)
        return RILL_ENOMEM;
    made->hooks = segment_hooks;
    made->segment = segment;
    rill_dirty_init(&made->dirty, segment, header);
    int code = make_index(made);
    if (code != RILL_OK) {
        free(made);
        return code;
    }
    *arena = made;
    return RILL_OK;
}

void rill_arena_destroy(struct rill_arena **arena)
{
    if (!*arena)
        return;
    (*arena)->ending = true;
    (void)mallctl("tcache.destroy", NULL, NULL, &(*arena)->cache, sizeof (*arena)->cache);
    destroy_index((*arena)->index);
    free(*arena);
    *arena = NULL;
}

/* What is asked to be aligned does not come out of the cache if it is large. All that is a multiple of 64 bytes is aligned to that by itself, since the
 * size classes of such sizes are multiples too; and what has pages of its own, as all has, begins on a page. */
static uint64_t padded(uint64_t size)
{
    return size < OWN_PAGES ? OWN_PAGES : (size + RILL_ARENA_ALIGNMENT - 1) & ~(uint64_t)(RILL_ARENA_ALIGNMENT - 1);
}

static int align_flags(uint64_t alignment)
{
    return alignment <= RILL_PAGE_BYTES ? 0 : MALLOCX_ALIGN((size_t)alignment);
}

static uint64_t page_below(uint64_t offset)
{
    return offset & ~(RILL_PAGE_BYTES - 1);
}

static uint64_t page_above(uint64_t offset)
{
    return page_below(offset + RILL_PAGE_BYTES - 1);
}

/* Sees to it that there is memory behind all pages of a block. */
static int provide(struct rill_arena *arena, uint64_t offset, uint64_t size)
{
    uint64_t first = page_below(offset), bytes = page_above(offset + size) - first;
    switch (rill_dirty_claim(&arena->dirty, first, bytes)) {
    case RILL_DIRTY_WHOLE:
        return RILL_OK;
    case RILL_DIRTY_AWAY:
        return RILL_EBUSY;
    case RILL_DIRTY_NONE:
        break;
    }
    if (rill_segment_commit(arena->segment, first, bytes) == RILL_OK)
        return RILL_OK;
    (void)rill_port_memory_punch(arena->segment->memory, first, bytes); /* what of it was dirty is noted no more */
    return RILL_ENOMEM;
}

/* Pages that nobody uses any more, and that have memory. */
static void retire(struct rill_arena *arena, uint64_t first, uint64_t end)
{
    if (end > first && !rill_dirty_add(&arena->dirty, first, end - first))
        (void)rill_port_memory_punch(arena->segment->memory, first, end - first);
}

int rill_arena_alloc_aligned(struct rill_arena *arena, uint64_t alignment, uint64_t *size, uint64_t *offset, unsigned char **pointer)
{
    uint64_t wanted = padded(*size);
    int flags = arena->flags | align_flags(alignment);
    void *block = mallocx((size_t)wanted, flags);
    if (!block)
        return RILL_ENOMEM;
    uint64_t capacity = nallocx((size_t)wanted, flags), place = rill_segment_offset(arena->segment, block);
    int code = provide(arena, place, capacity);
    if (code != RILL_OK) {
        dallocx(block, arena->flags);
        return code;
    }
    *size = capacity;
    *offset = place;
    *pointer = block;
    return RILL_OK;
}

int rill_arena_alloc(struct rill_arena *arena, uint64_t *size, uint64_t *offset, unsigned char **pointer)
{
    return rill_arena_alloc_aligned(arena, RILL_ARENA_ALIGNMENT, size, offset, pointer);
}

uint64_t rill_arena_capacity(uint64_t alignment, uint64_t size)
{
    return nallocx((size_t)padded(size), align_flags(alignment));
}

uint64_t rill_arena_shrink(struct rill_arena *arena, unsigned char *pointer, uint64_t size)
{
    uint64_t offset = rill_segment_offset(arena->segment, pointer), before = sallocx(pointer, 0);
    uint64_t capacity = xallocx(pointer, (size_t)padded(size), 0, arena->flags);
    retire(arena, page_above(offset + capacity), page_above(offset + before));
    return capacity;
}

void rill_arena_free(struct rill_arena *arena, unsigned char *pointer, bool punched)
{
    uint64_t offset = rill_segment_offset(arena->segment, pointer), size = sallocx(pointer, 0);
    dallocx(pointer, arena->flags);
    if (!punched)
        retire(arena, page_below(offset), page_above(offset + size));
    else if (offset % RILL_PAGE_BYTES) /* the pages at its ends are not wholly inside */
        (void)rill_port_memory_punch(arena->segment->memory, page_below(offset), page_above(offset + size) - page_below(offset));
}

void rill_arena_rest(struct rill_arena *arena, uint64_t most, uint64_t unlent)
{
    rill_dirty_bound(&arena->dirty, most);
    if (arena->dirty.bytes > unlent)
        rill_dirty_lend(&arena->dirty);
}
