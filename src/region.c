/* SPDX-License-Identifier: MIT */
/* Regions: shared memory with a life of its own, and how it travels. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <rill/rill.h>

#include "handle.h"
#include "options.h"
#include "port.h"
#include "process.h"

#define REGION_MAGIC UINT32_C(0x72726567)

/* What all clones in this process share. */
struct shared {
    _Atomic uint32_t references;
    rill_object memory;
    unsigned char *data;
    uint64_t size;
    uint32_t access;
    bool may_write;          /* through this mapping */
    _Atomic bool writable;   /* the mapping is */
    bool huge;
};

struct rill_region {
    uint32_t magic;
    struct shared *shared;
};

static unsigned char nothing[1]; /* the bytes of a region without any */

static bool is_region(const rill_region *region)
{
    return region && region->magic == REGION_MAGIC;
}

/* ---- what clones share ---- */

static void release(struct shared *shared)
{
    if (atomic_fetch_sub_explicit(&shared->references, 1, memory_order_acq_rel) != 1)
        return;
    if (shared->size && shared->data)
        rill_port_memory_unmap(shared->data, shared->size);
    rill_port_close(shared->memory);
    free(shared);
}

static void start_shared(struct shared *shared, rill_object memory, uint64_t size)
{
    atomic_init(&shared->references, 1);
    shared->memory = memory;
    shared->size = size;
}

/* Takes the memory over. NULL: no memory, and it is closed. */
static struct shared *new_shared(rill_object memory, uint64_t size)
{
    struct shared *made = calloc(1, sizeof *made);
    if (made)
        start_shared(made, memory, size);
    else
        rill_port_close(memory);
    return made;
}

static int map(struct shared *shared, bool writable)
{
    if (shared->size == 0) {
        shared->data = nothing;
        return RILL_OK;
    }
    void *address;
    int code = rill_port_share_map(shared->memory, shared->size, writable, &address);
    if (code != RILL_OK)
        return code;
    shared->data = address;
    atomic_store_explicit(&shared->writable, writable, memory_order_relaxed);
    return RILL_OK;
}

static rill_region *new_region(struct shared *shared)
{
    rill_region *made = calloc(1, sizeof *made);
    if (made)
        *made = (rill_region){.magic = REGION_MAGIC, .shared = shared};
    return made;
}

/* Takes the reference over, also on failure. */
static int wrap(struct shared *shared, rill_region **region)
{
    rill_region *made = new_region(shared);
    if (!made) {
        release(shared);
        return RILL_ENOMEM;
    }
    *region = made;
    return RILL_OK;
}

/* ---- making ---- */

static int read_options(const struct rill_region_options *given, struct rill_region_options *options)
{
    int code = rill_options_copy(given, options, sizeof *options);
    if (code != RILL_OK)
        return code;
    if (options->access > RILL_ACCESS_CONSTANT || options->huge_pages > 1 || options->copy > 1 || options->reserved)
        return RILL_EINVAL;
    if (!options->access)
        options->access = RILL_ACCESS_SHARED;
    return RILL_OK;
}

/* What a new region begins with. */
struct contents {
    const void *data; /* NULL: every byte `value` */
    unsigned char value;
};

static void fill_mapped(const struct shared *shared, const struct contents *contents)
{
    if (contents->data)
        memcpy(shared->data, contents->data, shared->size);
    else if (contents->value) /* fresh memory is zero */
        memset(shared->data, contents->value, shared->size);
}

/* Through the descriptor: memory that was ever mapped writable might still be, in a child that was forked meanwhile, and could not be sealed. */
static int fill_unmapped(const struct shared *shared, const struct contents *contents)
{
    unsigned char block[4096];
    if (contents->data)
        return rill_port_share_write(shared->memory, 0, contents->data, shared->size);
    if (!contents->value)
        return RILL_OK;
    memset(block, contents->value, sizeof block);
    int code = RILL_OK;
    for (uint64_t at = 0; at < shared->size && code == RILL_OK; at += sizeof block) {
        uint64_t left = shared->size - at;
        code = rill_port_share_write(shared->memory, at, block, left < sizeof block ? left : sizeof block);
    }
    return code;
}

/* The maker maps first and seals then, since a seal against writing lets existing mappings be. */
static int build(struct shared *shared, const struct rill_region_options *options, const struct contents *contents)
{
    bool constant = options->access == RILL_ACCESS_CONSTANT;
    int code = constant ? fill_unmapped(shared, contents) : map(shared, true);
    if (code == RILL_OK && options->huge_pages && !constant && shared->size)
        shared->huge = rill_port_share_use_huge_pages(shared->data, shared->size);
    if (code == RILL_OK && !constant && shared->size)
        fill_mapped(shared, contents);
    if (code == RILL_OK)
        code = rill_port_share_seal(shared->memory, options->access, true);
    if (code == RILL_OK && constant)
        code = map(shared, false);
    if (code == RILL_OK && options->huge_pages && constant && shared->size)
        shared->huge = rill_port_share_use_huge_pages(shared->data, shared->size);
    shared->may_write = !constant;
    shared->access = options->access;
    return code;
}

static int make(size_t size, const struct rill_region_options *given, const struct contents *contents, rill_region **region)
{
    struct rill_region_options options;
    int code = region && size <= SIZE_MAX / 2 ? read_options(given, &options) : RILL_EINVAL;
    rill_object memory;
    if (code == RILL_OK)
        code = rill_port_share_create(size, &memory);
    if (code != RILL_OK)
        return code;
    struct shared *shared = new_shared(memory, size);
    if (!shared)
        return RILL_ENOMEM;
    code = build(shared, &options, contents);
    if (code == RILL_OK)
        return wrap(shared, region);
    release(shared);
    return code;
}

int rill_region_make(size_t size, const struct rill_region_options *options, rill_region **region)
{
    return make(size, options, &(struct contents){0}, region);
}

int rill_region_make_from(const void *data, size_t size, const struct rill_region_options *options, rill_region **region)
{
    return data || !size ? make(size, options, &(struct contents){.data = data}, region) : RILL_EINVAL;
}

int rill_region_make_filled(unsigned char value, size_t size, const struct rill_region_options *options, rill_region **region)
{
    return make(size, options, &(struct contents){.value = value}, region);
}

/* ---- a descriptor of the user's ---- */

/* Memory whose seals hold, in place. The maker of a region that only it may write to maps before it seals. */
static int adopt(struct shared *shared, const struct rill_region_options *options)
{
    uint32_t access;
    bool writable;
    int code = rill_port_share_check(shared->memory, &access, &writable);
    bool maker = code == RILL_OK && writable && options->access == RILL_ACCESS_READ_ONLY;
    if (maker)
        code = map(shared, true);
    if (code == RILL_OK && options->access > access)
        code = rill_port_share_seal(shared->memory, options->access, false);
    if (code == RILL_OK && !maker)
        code = map(shared, false);
    shared->access = options->access > access ? options->access : access;
    shared->may_write = maker || (writable && shared->access == RILL_ACCESS_SHARED);
    return code;
}

static int open_in_place(int descriptor, const struct rill_region_options *options, rill_region **region)
{
    rill_object memory;
    uint64_t size;
    int code = rill_port_share_hold(descriptor, &memory);
    if (code != RILL_OK)
        return code;
    code = rill_port_memory_size(memory, &size);
    struct shared *shared = new_shared(memory, code == RILL_OK ? size : 0);
    if (!shared)
        return RILL_ENOMEM;
    if (code == RILL_OK)
        code = adopt(shared, options);
    if (code == RILL_OK && options->huge_pages && size)
        shared->huge = rill_port_share_use_huge_pages(shared->data, size);
    if (code == RILL_OK)
        return wrap(shared, region);
    release(shared);
    return code;
}

/* Everything through descriptors: a file mapped here could become smaller while it is read. */
static int open_copy(int descriptor, const struct rill_region_options *options, rill_region **region)
{
    uint64_t size;
    rill_object memory;
    int code = rill_port_share_source_size(descriptor, &size);
    if (code == RILL_OK)
        code = rill_port_share_create(size, &memory);
    if (code != RILL_OK)
        return code;
    struct shared *shared = new_shared(memory, size);
    if (!shared)
        return RILL_ENOMEM;
    code = rill_port_share_copy(memory, descriptor, size);
    if (code == RILL_OK)
        code = build(shared, options, &(struct contents){0});
    if (code == RILL_OK)
        return wrap(shared, region);
    release(shared);
    return code;
}

int rill_region_open(int descriptor, const struct rill_region_options *given, rill_region **region)
{
    struct rill_region_options options;
    int code = region ? read_options(given, &options) : RILL_EINVAL;
    if (code != RILL_OK)
        return code;
    if (!rill_port_is_open(descriptor))
        return RILL_EDESCRIPTOR;
    code = open_in_place(descriptor, &options, region);
    return code == RILL_ENOTSUP && options.copy ? open_copy(descriptor, &options, region) : code;
}

/* ---- using ---- */

int rill_region_clone(rill_region *region, rill_region **clone)
{
    if (!is_region(region) || !clone)
        return RILL_EINVAL;
    atomic_fetch_add_explicit(&region->shared->references, 1, memory_order_relaxed);
    return wrap(region->shared, clone);
}

int rill_region_close(rill_region **region)
{
    if (!region)
        return RILL_EINVAL;
    rill_region *closing = *region;
    *region = NULL;
    if (!closing)
        return RILL_OK;
    if (!is_region(closing))
        return RILL_EINVAL;
    closing->magic = 0;
    release(closing->shared);
    free(closing);
    return RILL_OK;
}

size_t rill_region_size(const rill_region *region)
{
    return is_region(region) ? (size_t)region->shared->size : 0;
}

const void *rill_region_data(const rill_region *region)
{
    return is_region(region) ? region->shared->data : NULL;
}

int rill_region_data_mutable(rill_region *region, void **data)
{
    if (!is_region(region) || !data)
        return RILL_EINVAL;
    struct shared *shared = region->shared;
    if (!shared->may_write)
        return RILL_EREADONLY;
    if (shared->size && !atomic_load_explicit(&shared->writable, memory_order_relaxed)) {
        int code = rill_port_share_make_writable(shared->data, shared->size);
        if (code != RILL_OK)
            return code;
        atomic_store_explicit(&shared->writable, true, memory_order_relaxed);
    }
    *data = shared->data;
    return RILL_OK;
}

int rill_region_access(const rill_region *region)
{
    return is_region(region) ? (int)region->shared->access : RILL_EINVAL;
}

int rill_region_huge_pages(const rill_region *region)
{
    return is_region(region) ? region->shared->huge : RILL_EINVAL;
}

int rill_region_equal(const rill_region *one, const rill_region *other)
{
    if (!is_region(one) || !is_region(other))
        return RILL_EINVAL;
    const struct shared *a = one->shared, *b = other->shared;
    return a->size == b->size && (a->data == b->data || memcmp(a->data, b->data, a->size) == 0);
}

int rill_region_descriptor(const rill_region *region, int *descriptor)
{
    if (!is_region(region) || !descriptor)
        return RILL_EINVAL;
    rill_object copy;
    int code = rill_port_duplicate(region->shared->memory, &copy);
    if (code == RILL_OK)
        *descriptor = copy;
    return code;
}

/* ---- travelling ---- */

struct region_description {
    uint64_t size;
};

static int pack_region(struct rill_handle *handle, struct rill_parcel *parcel)
{
    rill_region *region = handle->as.region;
    if (!is_region(region))
        return RILL_EINVAL;
    struct region_description description = {.size = region->shared->size};
    int code = rill_parcel_describe(parcel, RILL_HANDLE_REGION, 1, &description, sizeof description);
    return code == RILL_OK ? rill_parcel_add_object(parcel, region->shared->memory) : code;
}

static int hold_region(const struct rill_handle *handle, struct rill_handle *copy)
{
    rill_region *clone;
    int code = rill_region_clone(handle->as.region, &clone);
    if (code == RILL_OK)
        *copy = (struct rill_handle){.kind = RILL_HANDLE_REGION, .as.region = clone};
    return code;
}

/* The size that was said counts only if the memory has it, and can never lose it. */
static int check_received(const struct rill_traveller *traveller, uint64_t *size, uint32_t *access, bool *writable)
{
    struct region_description description;
    uint64_t actual;
    if (traveller->object_count != 1 || traveller->bytes < sizeof description)
        return RILL_EPEER;
    memcpy(&description, traveller->description, sizeof description);
    int code = rill_port_share_check(traveller->objects[0], access, writable);
    if (code != RILL_OK)
        return RILL_EPEER;
    code = rill_port_memory_size(traveller->objects[0], &actual);
    *size = description.size;
    return code != RILL_OK ? code : description.size <= actual && description.size <= SIZE_MAX / 2 ? RILL_OK : RILL_EPEER;
}

static int open_region(struct rill_traveller *traveller, struct rill_handle *handle)
{
    uint64_t size;
    uint32_t access;
    bool writable;
    int code = check_received(traveller, &size, &access, &writable);
    if (code != RILL_OK)
        return code;
    struct shared *shared = calloc(1, sizeof *shared);
    if (!shared)
        return RILL_ENOMEM;
    start_shared(shared, traveller->objects[0], size);
    shared->access = access;
    shared->may_write = writable && access == RILL_ACCESS_SHARED;
    code = map(shared, false);
    rill_region *made = code == RILL_OK ? new_region(shared) : NULL;
    if (!made) {
        shared->memory = RILL_NO_OBJECT; /* still the traveller's: it can be tried again */
        release(shared);
        return code == RILL_OK ? RILL_ENOMEM : code;
    }
    traveller->objects[0] = RILL_NO_OBJECT;
    handle->as.region = made;
    return RILL_OK;
}

static void close_region(struct rill_handle *handle)
{
    (void)rill_region_close(&handle->as.region);
}

const struct rill_travel rill_region_travel = {
    .pack = pack_region,
    .hold = hold_region,
    .open = open_region,
    .close = close_region,
};

int rill_message_take_region(rill_message *message, size_t index, rill_region **region)
{
    struct rill_handle handle;
    if (!region)
        return RILL_EINVAL;
    int code = rill_message_take(message, index, RILL_HANDLE_REGION, &handle);
    if (code == RILL_OK)
        *region = handle.as.region;
    return code;
}
