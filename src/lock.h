/* SPDX-License-Identifier: MIT */
/*
 * A lock for what is done with every message: while the process has one thread it is not taken, which saves some forty instructions a time.
 * That thread cannot start another one inside, since nothing of the user's is called there; and one that is started later sees all that was
 * done before. So it is with counts of references: there is nobody to be atomic for.
 */
#ifndef RILL_LOCK_H
#define RILL_LOCK_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "port.h"

/* Gives what rill_unlock wants to know. */
static inline bool rill_lock(pthread_mutex_t *lock)
{
    if (rill_port_single_threaded())
        return false;
    (void)pthread_mutex_lock(lock);
    return true;
}

static inline void rill_unlock(pthread_mutex_t *lock, bool locked)
{
    if (locked)
        (void)pthread_mutex_unlock(lock);
}

static inline void rill_reference(_Atomic uint32_t *count)
{
    if (rill_port_single_threaded())
        atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + 1, memory_order_relaxed);
    else
        atomic_fetch_add_explicit(count, 1, memory_order_relaxed);
}

/* True: it was the last, and what all others did to the thing comes before this. */
static inline bool rill_dereference(_Atomic uint32_t *count)
{
    if (!rill_port_single_threaded())
        return atomic_fetch_sub_explicit(count, 1, memory_order_acq_rel) == 1;
    uint32_t left = atomic_load_explicit(count, memory_order_relaxed) - 1;
    atomic_store_explicit(count, left, memory_order_relaxed);
    return left == 0;
}

#endif
