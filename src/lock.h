/* SPDX-License-Identifier: MIT */
/*
 * A lock for what is done with every message: while the process has one thread it is not taken, which saves some forty instructions a time.
 * That thread cannot start another one inside, since nothing of the user's is called there; and one that is started later sees all that was
 * done before.
 */
#ifndef RILL_LOCK_H
#define RILL_LOCK_H

#include <pthread.h>
#include <stdbool.h>

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

#endif
