/* SPDX-License-Identifier: MIT */
/* Hints to the processor. */
#ifndef RILL_SHM_FETCH_H
#define RILL_SHM_FETCH_H

/* Asks for a line that will be written to, while there is other work to do. Does nothing where no memory is. */
static inline void rill_fetch_to_write(const void *place)
{
#if defined(__x86_64__)
    __asm__ volatile("prefetchw %0" : : "m"(*(const char *)place)); /* the builtin asks for a shared line unless told of the processor */
#else
    __builtin_prefetch(place, 1);
#endif
}

#endif
