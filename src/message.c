/* SPDX-License-Identifier: MIT */
#include "message.h"

#include <pthread.h>
#include <stdlib.h>

#include "handle.h"
#include "inbox.h"
#include "process.h"

#define CACHE_KEEPS 64u

_Thread_local struct rill_message_cache *rill_message_cache RILL_OWN_TLS;
static pthread_key_t cache_key;
static pthread_once_t cache_once = PTHREAD_ONCE_INIT;
static bool cache_usable;

static void drop_cache(void *argument)
{
    struct rill_message_cache *cache = argument;
    rill_message_cache = NULL;
    while (cache->list) {
        rill_message *message = cache->list;
        cache->list = message->next;
        free(message);
    }
    for (unsigned i = 0; i < RILL_SPARES; i++)
        free(cache->spare[i].memory);
    free(cache);
}

static void make_key(void)
{
    cache_usable = pthread_key_create(&cache_key, drop_cache) == 0;
}

static struct rill_message_cache *make_cache(void)
{
    if (pthread_once(&cache_once, make_key) != 0 || !cache_usable)
        return NULL;
    struct rill_message_cache *cache = calloc(1, sizeof *cache);
    if (cache && pthread_setspecific(cache_key, cache) != 0) {
        free(cache);
        cache = NULL;
    }
    rill_message_cache = cache;
    return cache;
}

#define SPARE_LEAST ((uint64_t)4 << 10)
#define SPARE_MOST ((uint64_t)64 << 10)

void *rill_spare_take(uint64_t *size)
{
    struct rill_message_cache *cache = rill_message_cache;
    for (unsigned i = 0; cache && i < RILL_SPARES; i++) {
        void *memory = cache->spare[i].memory;
        if (memory && cache->spare[i].size >= *size) {
            cache->spare[i].memory = NULL;
            *size = cache->spare[i].size;
            return memory;
        }
    }
    if (*size > SIZE_MAX / 2)
        return NULL;
    *size = *size < SPARE_LEAST ? SPARE_LEAST : *size;
    return malloc((size_t)*size);
}

/* The larger ones stay. */
void rill_spare_give(void *memory, uint64_t size)
{
    struct rill_message_cache *cache = rill_message_cache ? rill_message_cache : make_cache();
    for (unsigned i = 0; cache && memory && size <= SPARE_MOST && i < RILL_SPARES; i++) {
        if (cache->spare[i].memory && cache->spare[i].size >= size)
            continue;
        void *smaller = cache->spare[i].memory;
        cache->spare[i].memory = memory;
        cache->spare[i].size = size;
        memory = smaller;
        break;
    }
    free(memory);
}

/* As a fresh message is, but for its size. */
static void clear(rill_message *message)
{
    message->data = rill_message_bytes(message);
    message->block = NULL;
    message->lane = NULL;
    message->attached = NULL;
}

/* False: there is no cache, or it is full. */
static inline bool keep(rill_message *message)
{
    struct rill_message_cache *cache = rill_message_cache;
    if (!cache || cache->count == CACHE_KEEPS)
        return false;
    message->next = cache->list;
    cache->list = message;
    cache->count++;
    return true;
}

rill_message *rill_message_make(uint64_t size)
{
    if (size > SIZE_MAX / 2)
        return NULL;
    bool small = size <= RILL_MESSAGE_SMALL_MOST;
    rill_message *message = small ? rill_message_cached(size) : NULL;
    if (message)
        return message;
    message = malloc(sizeof *message + (size_t)(small ? RILL_MESSAGE_SMALL_MOST : size));
    if (!message)
        return NULL;
    clear(message);
    message->small = small;
    message->magic = RILL_MESSAGE_MAGIC;
    message->size = size;
    return message;
}

void rill_message_free(rill_message *message)
{
    message->magic = 0;
    if (message->attached)
        rill_attachment_free(message->attached);
    if (!rill_message_cache) /* only now: a queue that ended with a handle may have freed messages of its own */
        (void)make_cache();
    bool small = message->small;
    clear(message);
    if (!small || !keep(message))
        free(message);
}

const void *rill_message_data(const rill_message *message)
{
    return rill_is_message(message) ? message->data : NULL;
}

size_t rill_message_size(const rill_message *message)
{
    return rill_is_message(message) ? (size_t)message->size : 0;
}

/* What lies in place goes back to whom it belongs; in the child of a fork that is the parent's to do. */
static void give_back(rill_message *message)
{
    if (message->generation != atomic_load_explicit(&rill_generation, memory_order_relaxed))
        return;
    if (message->block) {
        if (rill_inblock_unlend(message->block))
            (void)rill_inblock_free(message->block);
        return;
    }
    rill_inlane_close_message(message);
}

static int close_other(rill_message *message)
{
    if (!message)
        return RILL_OK;
    if (!rill_is_message(message))
        return RILL_EINVAL;
    if (message->block || message->lane)
        give_back(message);
    rill_message_free(message);
    return RILL_OK;
}

/* Bytes of its own, or in the block of a ring, and nothing else: what nearly every message is. */
static inline bool is_simple(const rill_message *message)
{
    return message->small && !message->lane && !message->attached &&
           (!message->block || message->generation == atomic_load_explicit(&rill_generation, memory_order_relaxed));
}

int rill_message_close(rill_message **message)
{
    if (!message)
        return RILL_EINVAL;
    rill_message *closing = *message;
    *message = NULL;
    if (!rill_is_message(closing) || !is_simple(closing))
        return close_other(closing);
    struct rill_inblock *block = closing->block;
    bool last = block && rill_inblock_unlend(block);
    closing->magic = 0;
    if (block)
        clear(closing);
    if (!keep(closing))
        rill_message_free(closing);
    return last ? rill_inblock_free(block) : RILL_OK;
}
