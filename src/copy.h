/* SPDX-License-Identifier: MIT */
/* Copies of few bytes, without a call: what the caller has in registers stays there. */
#ifndef RILL_COPY_H
#define RILL_COPY_H

#include <stddef.h>
#include <string.h>

#define RILL_COPY_FEW ((size_t)256) /* beyond, a call is faster */

/* Copies steps of 32 bytes while more than `rest` are left, and moves both pointers on; gives what is left. */
static inline size_t rill_copy_steps(unsigned char **to, const unsigned char **from, size_t size, size_t rest)
{
    for (; size > rest; size -= 32) {
        memcpy(*to, *from, 32);
        *to += 32;
        *from += 32;
        __asm__ volatile("" : "+r"(*to), "+r"(*from)); /* or the compiler sees what the loop does, and calls memcpy */
    }
    return size;
}

/* `size` is a multiple of 8. */
static inline void rill_copy_words(unsigned char *to, const unsigned char *from, size_t size)
{
    size = rill_copy_steps(&to, &from, size, 31);
    if (size & 16) {
        memcpy(to, from, 16);
        to += 16;
        from += 16;
    }
    if (size & 8)
        memcpy(to, from, 8);
}

/* The end is copied in parts that overlap what comes before. */
static inline void rill_copy_bytes(unsigned char *to, const unsigned char *from, size_t size)
{
    if (size > 16) {
        size = rill_copy_steps(&to, &from, size, 32);
        if (size > 16)
            memcpy(to, from, 16);
        memcpy(to + size - 16, from + size - 16, 16);
    } else if (size >= 8) {
        memcpy(to, from, 8);
        memcpy(to + size - 8, from + size - 8, 8);
    } else if (size >= 4) {
        memcpy(to, from, 4);
        memcpy(to + size - 4, from + size - 4, 4);
    } else if (size) {
        to[size / 2] = from[size / 2];
        to[0] = from[0];
        to[size - 1] = from[size - 1];
    }
}

#endif
