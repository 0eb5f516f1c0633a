/* SPDX-License-Identifier: MIT */
/* A received message, whatever brought it. */
#ifndef RILL_MESSAGE_H
#define RILL_MESSAGE_H

#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>

#include <rill/rill.h>

struct rill_inlane;
struct rill_inblock;
struct rill_attachment;

#define RILL_MESSAGE_MAGIC UINT32_C(0x726d7367)

struct rill_message {
    alignas(16) uint32_t magic; /* and the bytes behind it */
    uint32_t generation;
    const unsigned char *data;
    uint64_t size;
    struct rill_inblock *block; /* the bytes lie in this block of a ring, which waits for them, */
    struct rill_inlane *lane;   /* or in an allocation of this lane, which goes back to it; both NULL: they are private */
    uint64_t offset, capacity;  /* of that allocation, */
    uint64_t front;             /* and what lies in it in front of the bytes */
    struct rill_attachment *attached; /* its handles, or NULL (handle.h) */
    rill_message *next;         /* in a cache, or the lane's list */
    rill_message *previous;     /* in the lane's list */
    rill_message *queued;       /* behind it in a queue of the process, where it may be in place as well */
    bool small;                 /* has room for RILL_MESSAGE_SMALL_MOST private bytes, so it can be kept for reuse */
};

/* Each thread keeps some closed messages for the next ones that it receives: a general allocator takes as long for one as the ring takes to bring it. */
#define RILL_MESSAGE_SMALL_MOST ((uint64_t)256)

#define RILL_SPARES 2 /* of a message that is sent and one that is received */

struct rill_message_cache {
    rill_message *list;
    unsigned count;
    struct {
        void *memory;
        uint64_t size;
    } spare[RILL_SPARES];
};

/* Memory for the handles of a message, which comes and goes with each: at least `size` bytes, *size is how many; kept for the next one by _give. A general allocator
 * tidies up all that it has whenever it is asked for more than a little. NULL: no memory. _give(NULL) is allowed. Any thread. */
void *rill_spare_take(uint64_t *size);
void rill_spare_give(void *memory, uint64_t size);

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

/* One that this thread closed, for up to RILL_MESSAGE_SMALL_MOST bytes. NULL: there is none. */
static inline rill_message *rill_message_cached(uint64_t size)
{
    struct rill_message_cache *cache = rill_message_cache;
    rill_message *message = cache ? cache->list : NULL;
    if (!message)
        return NULL;
    cache->list = message->next;
    cache->count--;
    message->magic = RILL_MESSAGE_MAGIC; /* the rest is as a fresh one's */
    message->size = size;
    return message;
}

/* The same, made if need be: for a message that is not small, too, if its bytes lie elsewhere. */
static inline rill_message *rill_message_make_small(uint64_t size)
{
    rill_message *message = rill_message_cached(size);
    return message ? message : rill_message_make(size <= RILL_MESSAGE_SMALL_MOST ? size : 0);
}

void rill_message_free(rill_message *message);

static inline bool rill_is_message(const rill_message *message)
{
    return message && message->magic == RILL_MESSAGE_MAGIC;
}

#endif
