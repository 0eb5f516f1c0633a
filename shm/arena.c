/* SPDX-License-Identifier: MIT */
#include "arena.h"

#include <stdio.h>
#include <stdlib.h>

#include <jemalloc/jemalloc.h>
#include <rill/rill.h>

#include "layout.h"

#ifndef RILL_JEMALLOC_SYSTEM
#define mallocx rill_je_mallocx
#define dallocx rill_je_dallocx
#define nallocx rill_je_nallocx
#define xallocx rill_je_xallocx
#define mallctl rill_je_mallctl
#define mallctlnametomib rill_je_mallctlnametomib
#define mallctlbymib rill_je_mallctlbymib
/* Read by the private jemalloc when it starts: one automatic arena, since only explicit ones are used; blocks up to 8 MiB cached, so that a
 * steady stream of messages costs no search; larger ones not given back at once, which is its default. (It is built without cache_oblivious: large allocations begin on a page, so that they can be punched.) */
extern const char *rill_je_malloc_conf;
const char *rill_je_malloc_conf = "narenas:1,tcache:false,tcache_max:8388608,oversize_threshold:0";
#endif

#define OWN_PAGES ((uint64_t)16 << 10) /* allocations of this size share no page with others */

struct rill_arena {
    extent_hooks_t hooks; /* first: the hooks get its address and find the rest from it */
    struct rill_segment *segment;
    unsigned index;
    unsigned cache;
    bool ending; /* the hooks leave memory alone: the receiver may still have to read what lies in it */
    int flags;
    size_t purge[3];
};

/* ---- hooks: how the arena gets its memory ---- */

static struct rill_arena *arena_of(extent_hooks_t *hooks)
{
    return (struct rill_arena *)(void *)hooks;
}

static bool commit(struct rill_arena *arena, void *address, size_t size)
{
    uint64_t offset = rill_segment_offset(arena->segment, address);
    return offset != UINT64_MAX && rill_segment_commit(arena->segment, offset, size) == RILL_OK;
}

/* What it gives out may hold anything: a punch can fail. Nobody asks for zeros, so a wish for them is not granted. */
static void *hook_alloc(extent_hooks_t *hooks, void *wish, size_t size, size_t alignment, bool *zero, bool *committed, unsigned index)
{
    (void)index;
    struct rill_arena *arena = arena_of(hooks);
    uint64_t offset;
    if (wish || *zero || rill_segment_take(arena->segment, size, alignment, &offset) != RILL_OK)
        return NULL;
    void *address = rill_segment_at(arena->segment, offset, size);
    if (*committed && !commit(arena, address, size)) {
        rill_segment_give(arena->segment, offset, size);
        return NULL;
    }
    return address;
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
    (void)size, (void)index;
    return !commit(arena_of(hooks), (char *)address + offset, length);
}

static bool hook_decommit(extent_hooks_t *hooks, void *address, size_t size, size_t offset, size_t length, unsigned index)
{
    (void)size, (void)index;
    struct rill_arena *arena = arena_of(hooks);
    uint64_t at = rill_segment_offset(arena->segment, (char *)address + offset);
    if (at == UINT64_MAX || arena->ending)
        return true;
    return !rill_port_memory_punch(arena->segment->memory, at, length);
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

static int make_index(struct rill_arena *arena)
{
    /* With plain arenas.create jemalloc would keep its bookkeeping in the segment. */
    struct arena_config config = {.extent_hooks = &arena->hooks, .metadata_use_hooks = false};
    int code = read_unsigned("experimental.arenas_create_ext", &arena->index, sizeof arena->index, &config, sizeof config);
    if (code != RILL_OK)
        return code;
    code = read_unsigned("tcache.create", &arena->cache, sizeof arena->cache, NULL, 0);
    size_t words = sizeof arena->purge / sizeof *arena->purge;
    if (code == RILL_OK && mallctlnametomib("arena.0.purge", arena->purge, &words) != 0)
        code = RILL_ENOMEM;
    if (code != RILL_OK) {
        destroy_index(arena->index);
        return code;
    }
    arena->purge[1] = arena->index;
    arena->flags = MALLOCX_ARENA(arena->index) | MALLOCX_TCACHE(arena->cache);
    return RILL_OK;
}

int rill_arena_create(struct rill_segment *segment, struct rill_arena **arena)
{
    struct rill_arena *made = calloc(1, sizeof *made);
    if (!made)
        return RILL_ENOMEM;
    made->hooks = segment_hooks;
    made->segment = segment;
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
 * size classes of such sizes are multiples too; and what has pages of its own begins on a page. */
static uint64_t padded(uint64_t size)
{
    return (size + RILL_ARENA_ALIGNMENT - 1) & ~(uint64_t)(RILL_ARENA_ALIGNMENT - 1);
}

static int align_flags(uint64_t alignment, uint64_t size)
{
    bool aligned = alignment <= RILL_ARENA_ALIGNMENT || (alignment <= RILL_PAGE_BYTES && size >= OWN_PAGES);
    return aligned ? 0 : MALLOCX_ALIGN((size_t)alignment);
}

int rill_arena_alloc_aligned(struct rill_arena *arena, uint64_t alignment, uint64_t *size, uint64_t *offset, unsigned char **pointer)
{
    uint64_t wanted = padded(*size);
    int flags = arena->flags | align_flags(alignment, wanted);
    void *block = mallocx((size_t)wanted, flags);
    if (!block)
        return RILL_ENOMEM;
    *size = nallocx((size_t)wanted, flags);
    *offset = rill_segment_offset(arena->segment, block);
    *pointer = block;
    return RILL_OK;
}

int rill_arena_alloc(struct rill_arena *arena, uint64_t *size, uint64_t *offset, unsigned char **pointer)
{
    return rill_arena_alloc_aligned(arena, RILL_ARENA_ALIGNMENT, size, offset, pointer);
}

uint64_t rill_arena_capacity(uint64_t alignment, uint64_t size)
{
    return nallocx((size_t)padded(size), align_flags(alignment, padded(size)));
}

uint64_t rill_arena_shrink(struct rill_arena *arena, unsigned char *pointer, uint64_t size)
{
    return xallocx(pointer, (size_t)padded(size), 0, arena->flags);
}

void rill_arena_free(struct rill_arena *arena, unsigned char *pointer, bool punched)
{
    dallocx(pointer, punched ? MALLOCX_ARENA(arena->index) | MALLOCX_TCACHE_NONE : arena->flags);
}

void rill_arena_purge(struct rill_arena *arena)
{
    (void)mallctl("tcache.flush", NULL, NULL, &arena->cache, sizeof arena->cache);
    (void)mallctlbymib(arena->purge, 3, NULL, NULL, NULL, 0);
}
