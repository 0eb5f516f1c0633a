/* SPDX-License-Identifier: MIT */
#include "message.h"

#include <pthread.h>
#include <stdlib.h>

#include "inbox.h"
#include "process.h"

static const uint64_t class_size[RILL_MESSAGE_CLASSES] = {RILL_MESSAGE_SMALL_MOST, RILL_INLINE_MAX + 64};
static const unsigned class_keeps[RILL_MESSAGE_CLASSES] = {64, 32};

_Thread_local struct rill_message_cache *rill_message_cache RILL_OWN_TLS;
static pthread_key_t cache_key;
static pthread_once_t cache_once = PTHREAD_ONCE_INIT;
static bool cache_usable;

static void drop_cache(void *argument)
{
    struct rill_message_cache *cache = argument;
    rill_message_cache = NULL;
    for (unsigned i = 0; i < RILL_MESSAGE_CLASSES; i++) {
        while (cache->list[i]) {
            rill_message *message = cache->list[i];
            cache->list[i] = message->next;
            free(message);
        }
    }
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

static unsigned class_of(uint64_t size)
{
    return size <= class_size[RILL_MESSAGE_SMALL] ? RILL_MESSAGE_SMALL : size <= class_size[RILL_MESSAGE_MEDIUM] ? RILL_MESSAGE_MEDIUM : RILL_MESSAGE_NO_CLASS;
}

rill_message *rill_message_make(uint64_t size)
{
    unsigned class = class_of(size);
    rill_message *message = NULL;
    struct rill_message_cache *cache = rill_message_cache;
    if (class != RILL_MESSAGE_NO_CLASS && cache && cache->list[class]) {
        message = cache->list[class];
        cache->list[class] = message->next;
        cache->count[class]--;
    } else {
        uint64_t capacity = class == RILL_MESSAGE_NO_CLASS ? size : class_size[class];
        if (capacity > SIZE_MAX / 2)
            return NULL;
        message = malloc(sizeof *message + (size_t)capacity);
        if (!message)
            return NULL;
        message->capacity_class = class;
    }
    message->magic = RILL_MESSAGE_MAGIC;
    message->data = rill_message_bytes(message);
    message->size = size;
    message->lane = NULL;
    return message;
}

void rill_message_free(rill_message *message)
{
    unsigned class = message->capacity_class;
    struct rill_message_cache *cache = rill_message_cache;
    message->magic = 0;
    if (class == RILL_MESSAGE_NO_CLASS || (!cache && !(cache = make_cache())) || cache->count[class] == class_keeps[class]) {
        free(message);
        return;
    }
    message->data = rill_message_bytes(message);
    message->lane = NULL;
    message->next = cache->list[class];
    cache->list[class] = message;
    cache->count[class]++;
}

static bool is_message(const rill_message *message)
{
    return message && message->magic == RILL_MESSAGE_MAGIC;
}

const void *rill_message_data(const rill_message *message)
{
    return is_message(message) ? message->data : NULL;
}

size_t rill_message_size(const rill_message *message)
{
    return is_message(message) ? (size_t)message->size : 0;
}

int rill_message_close(rill_message **message)
{
    if (!message)
        return RILL_EINVAL;
    rill_message *closing = *message;
    *message = NULL;
    if (!closing)
        return RILL_OK;
    if (!is_message(closing))
        return RILL_EINVAL;
    if (closing->lane) {
        bool inherited = closing->generation != atomic_load_explicit(&rill_generation, memory_order_relaxed);
        if (!inherited) /* the block is the parent's to give back */
            rill_inlane_return(closing->lane, closing->offset, (unsigned char *)(uintptr_t)closing->data, closing->size);
        rill_inlane_release(closing->lane);
    }
    rill_message_free(closing);
    return RILL_OK;
}
