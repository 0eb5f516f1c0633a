/* SPDX-License-Identifier: MIT */
/* A received message, whatever brought it. */
#ifndef RILL_MESSAGE_H
#define RILL_MESSAGE_H

#include <stdint.h>

#include <rill/rill.h>

struct rill_inlane;

#define RILL_MESSAGE_MAGIC UINT32_C(0x726d7367)

struct rill_message {
    uint32_t magic;
    uint32_t capacity_class; /* of the private bytes behind it, see message.c */
    const unsigned char *data;
    uint64_t size;
    struct rill_inlane *lane; /* where the bytes lie in place: data goes back to it; else NULL and they are private */
    uint64_t offset;          /* of data in the lane */
    uint32_t generation;
    rill_message *next;       /* in a cache or a queue */
};

/* Each thread keeps some closed messages of two sizes for the next ones that it receives: a general allocator takes as long for one as the ring takes
 * to bring it. */
enum { RILL_MESSAGE_SMALL = 0, RILL_MESSAGE_MEDIUM = 1, RILL_MESSAGE_CLASSES = 2, RILL_MESSAGE_NO_CLASS = 2 };
#define RILL_MESSAGE_SMALL_MOST ((uint64_t)256)

struct rill_message_cache {
    rill_message *list[RILL_MESSAGE_CLASSES];
    unsigned count[RILL_MESSAGE_CLASSES];
};

/* glibc keeps room for some such pointers of libraries that are loaded late, so this one need not cost a call at each use. */
#if defined(__GLIBC__)
#define RILL_OWN_TLS __attribute__((tls_model("initial-exec")))
#else
#define RILL_OWN_TLS
#endif

extern _Thread_local struct rill_message_cache *rill_message_cache RILL_OWN_TLS; /* NULL until the thread closes its first message */

/* A message with room for `size` private bytes behind it, uninitialised. NULL: no memory. Any thread. */
rill_message *rill_message_make(uint64_t size);

/* The private bytes. */
static inline unsigned char *rill_message_bytes(rill_message *message)
{
    return (unsigned char *)(message + 1);
}

/* The same for up to RILL_MESSAGE_SMALL_MOST bytes. */
static inline rill_message *rill_message_make_small(uint64_t size)
{
    struct rill_message_cache *cache = rill_message_cache;
    rill_message *message = cache ? cache->list[RILL_MESSAGE_SMALL] : NULL;
    if (!message)
        return rill_message_make(size);
    cache->list[RILL_MESSAGE_SMALL] = message->next;
    cache->count[RILL_MESSAGE_SMALL]--;
    message->magic = RILL_MESSAGE_MAGIC; /* the rest is as rill_message_free left it */
    message->size = size;
    return message;
}

void rill_message_free(rill_message *message);

#endif
