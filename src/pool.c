/* SPDX-License-Identifier: MIT */
#include "pool.h"

#include <pthread.h>
#include <stdlib.h>

#include "buffer.h"
#include "options.h"
#include "process.h"

#define POOL_MAGIC UINT32_C(0x72706f6c)
#define KEEP_FREE ((uint64_t)16 << 20) /* bytes of free slots that are kept, beside a few of the size that was asked for last */
#define KEEP_LOANS 4u

struct slot {
    struct rill_piece *piece;
    rill_object watch; /* RILL_NO_OBJECT: free */
    struct slot *next; /* the one used last comes first: it is in the cache */
};

struct rill_pool {
    uint32_t magic;
    uint32_t generation;
    struct rill_pool_options options;
    pthread_mutex_t lock;
    struct slot *slots;
    uint64_t bytes; /* of all slots */
    bool huge;
};

/* ---- shares ---- */

void rill_share_reference(struct rill_share *share)
{
    atomic_fetch_add_explicit(&share->references, 1, memory_order_relaxed);
}

void rill_share_release(struct rill_share *share)
{
    if (atomic_fetch_sub_explicit(&share->references, 1, memory_order_acq_rel) != 1)
        return;
    rill_port_close(share->token); /* behind the last use of the bytes: its maker may give them out again */
    rill_piece_release(share->piece);
    free(share);
}

static struct rill_share *new_share(struct rill_piece *piece, rill_object token)
{
    struct rill_share *made = calloc(1, sizeof *made);
    if (!made)
        return NULL;
    atomic_init(&made->references, 1);
    made->piece = piece;
    made->token = token;
    return made;
}

int rill_share_open(rill_object memory, rill_object token, uint64_t capacity, struct rill_share **share)
{
    struct rill_share *made = new_share(NULL, token);
    int code = made ? rill_piece_open(memory, capacity, &made->piece) : RILL_ENOMEM;
    if (code != RILL_OK) {
        free(made);
        return code;
    }
    *share = made;
    return RILL_OK;
}

/* ---- slots; under the pool's lock ---- */

static int make_piece(rill_pool *pool, uint64_t capacity, struct rill_piece **piece)
{
    int code = rill_piece_make(capacity, pool->options.access, piece);
    if (code == RILL_OK && pool->options.huge_pages)
        pool->huge = rill_port_share_use_huge_pages((*piece)->data, capacity);
    return code;
}

/* Frees slots whose token has no holder any more. */
static void look_after_tokens(rill_pool *pool)
{
    for (struct slot *slot = pool->slots; slot; slot = slot->next) {
        if (slot->watch != RILL_NO_OBJECT && rill_port_peer_gone(slot->watch)) {
            rill_port_close(slot->watch);
            slot->watch = RILL_NO_OBJECT;
        }
    }
}

static bool is_inherited(const rill_pool *pool)
{
    return pool->generation != atomic_load_explicit(&rill_generation, memory_order_relaxed);
}

static void remove_slot(rill_pool *pool, struct slot **link)
{
    struct slot *slot = *link;
    *link = slot->next;
    pool->bytes -= slot->piece->capacity;
    rill_port_close(slot->watch);
    if (slot->watch == RILL_NO_OBJECT && !is_inherited(pool)) /* what is free in the copy of a child may be lent by its parent by now */
        rill_piece_give_up(slot->piece);
    else
        rill_piece_release(slot->piece); /* whoever has it keeps it */
    free(slot);
}

/* Keeps so many bytes of free slots, those that were used last. */
static void give_back(rill_pool *pool, uint64_t keep)
{
    uint64_t kept = 0;
    for (struct slot **link = &pool->slots; *link;) {
        bool is_free = (*link)->watch == RILL_NO_OBJECT;
        if (is_free && (*link)->piece->capacity > keep - kept) {
            remove_slot(pool, link);
            continue;
        }
        kept += is_free ? (*link)->piece->capacity : 0;
        link = &(*link)->next;
    }
}

/* A free slot that fits, not more than twice too large; taken out of the list. */
static struct slot *take_slot(rill_pool *pool, uint64_t capacity)
{
    for (struct slot **link = &pool->slots; *link; link = &(*link)->next) {
        struct slot *slot = *link;
        if (slot->watch == RILL_NO_OBJECT && slot->piece->capacity >= capacity && slot->piece->capacity <= 2 * capacity) {
            *link = slot->next;
            return slot;
        }
    }
    return NULL;
}

static int make_slot(rill_pool *pool, uint64_t capacity, struct slot **slot)
{
    uint64_t limit = pool->options.limit;
    if (limit && pool->bytes + capacity > limit)
        give_back(pool, 0);
    if (limit && pool->bytes + capacity > limit)
        return RILL_EFULL;
    struct slot *made = calloc(1, sizeof *made);
    int code = made ? make_piece(pool, capacity, &made->piece) : RILL_ENOMEM;
    if (code != RILL_OK) {
        free(made);
        return code;
    }
    made->watch = RILL_NO_OBJECT;
    pool->bytes += capacity;
    *slot = made;
    return RILL_OK;
}

/* With a fresh token, whose watch stays with the slot. */
static int lend_slot(struct slot *slot, uint64_t size, rill_buffer **buffer)
{
    rill_object watch, token;
    int code = rill_port_token(&watch, &token);
    if (code != RILL_OK)
        return code;
    struct rill_share *share = new_share(slot->piece, token);
    rill_buffer *made = share ? rill_buffer_of_share(share, size) : NULL;
    if (!made) {
        free(share);
        rill_port_close(watch);
        rill_port_close(token);
        return RILL_ENOMEM;
    }
    rill_piece_reference(slot->piece);
    slot->watch = watch;
    *buffer = made;
    return RILL_OK;
}

static int lend(rill_pool *pool, uint64_t size, rill_buffer **buffer)
{
    uint64_t capacity = size ? (size + RILL_PORT_GRANULE - 1) & ~(RILL_PORT_GRANULE - 1) : RILL_PORT_GRANULE;
    struct slot *slot;
    look_after_tokens(pool);
    slot = take_slot(pool, capacity);
    int code = slot ? RILL_OK : make_slot(pool, capacity, &slot);
    if (code != RILL_OK)
        return code;
    slot->next = pool->slots;
    pool->slots = slot;
    code = lend_slot(slot, size, buffer);
    give_back(pool, KEEP_FREE + KEEP_LOANS * capacity);
    return code;
}

/* ---- the calls ---- */

static bool is_pool(const rill_pool *pool)
{
    return pool && pool->magic == POOL_MAGIC;
}

int rill_pool_make(const struct rill_pool_options *given, rill_pool **pool)
{
    struct rill_pool_options options;
    if (!pool || rill_options_copy(given, &options, sizeof options) != RILL_OK || options.access > RILL_ACCESS_READ_ONLY || options.huge_pages > 1)
        return RILL_EINVAL;
    int code = rill_process_prepare();
    rill_pool *made = code == RILL_OK ? calloc(1, sizeof *made) : NULL;
    if (!made)
        return RILL_ENOMEM;
    if (pthread_mutex_init(&made->lock, NULL) != 0) {
        free(made);
        return RILL_ENOMEM;
    }
    made->magic = POOL_MAGIC;
    made->generation = atomic_load_explicit(&rill_generation, memory_order_relaxed);
    made->options = options;
    if (!options.access)
        made->options.access = RILL_ACCESS_SHARED;
    *pool = made;
    return RILL_OK;
}

int rill_pool_loan(rill_pool *pool, size_t size, rill_buffer **buffer)
{
    if (!is_pool(pool) || !buffer || size > SIZE_MAX / 4)
        return RILL_EINVAL;
    if (is_inherited(pool))
        return RILL_ENOTSUP;
    (void)pthread_mutex_lock(&pool->lock);
    int code = lend(pool, size, buffer);
    (void)pthread_mutex_unlock(&pool->lock);
    return code;
}

int rill_pool_trim(rill_pool *pool, uint64_t *bytes)
{
    if (!is_pool(pool))
        return RILL_EINVAL;
    if (is_inherited(pool))
        return RILL_ENOTSUP;
    (void)pthread_mutex_lock(&pool->lock);
    look_after_tokens(pool);
    give_back(pool, 0);
    if (bytes)
        *bytes = pool->bytes;
    (void)pthread_mutex_unlock(&pool->lock);
    return RILL_OK;
}

int rill_pool_huge_pages(const rill_pool *pool)
{
    return is_pool(pool) ? pool->huge : RILL_EINVAL;
}

int rill_pool_close(rill_pool **pool)
{
    if (!pool)
        return RILL_EINVAL;
    rill_pool *closing = *pool;
    *pool = NULL;
    if (!closing)
        return RILL_OK;
    if (!is_pool(closing))
        return RILL_EINVAL;
    closing->magic = 0;
    if (!is_inherited(closing))
        look_after_tokens(closing); /* what has come back is emptied, whoever has it mapped */
    while (closing->slots)
        remove_slot(closing, &closing->slots);
    free(closing); /* the lock is not destroyed: in a child it may have been inherited locked */
    return RILL_OK;
}
