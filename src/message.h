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

/* A message with room for `size` private bytes behind it, uninitialised. NULL: no memory. Any thread. */
rill_message *rill_message_make(uint64_t size);

/* The private bytes. */
static inline unsigned char *rill_message_bytes(rill_message *message)
{
    return (unsigned char *)(message + 1);
}

void rill_message_free(rill_message *message);

#endif
