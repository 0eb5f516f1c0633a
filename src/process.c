/* SPDX-License-Identifier: MIT */
#include "process.h"

#include <pthread.h>

#include <rill/rill.h>

#include "lane.h"

_Atomic uint32_t rill_generation = 1;
_Atomic uint32_t rill_forks;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t share_lock = PTHREAD_MUTEX_INITIALIZER;
static _Thread_local unsigned share_depth; /* of this thread inside share_lock */
static bool prepared;
static struct rill_lane *own_lanes; /* under lock */

void rill_process_lock(void)
{
    (void)pthread_mutex_lock(&lock);
}

void rill_process_unlock(void)
{
    (void)pthread_mutex_unlock(&lock);
}

void rill_process_share_lock(void)
{
    if (share_depth++ == 0)
        (void)pthread_mutex_lock(&share_lock);
}

void rill_process_share_unlock(void)
{
    if (--share_depth == 0)
        (void)pthread_mutex_unlock(&share_lock);
}

static void before_fork(void)
{
    rill_process_share_lock();
    rill_process_lock();
}

static void after_fork_in_parent(void)
{
    atomic_fetch_add_explicit(&rill_forks, 1, memory_order_relaxed);
    rill_process_unlock();
    rill_process_share_unlock();
}

static void after_fork_in_child(void)
{
    own_lanes = NULL; /* they are the parent's */
    atomic_fetch_add_explicit(&rill_generation, 1, memory_order_relaxed);
    rill_process_unlock();
    rill_process_share_unlock();
}

int rill_process_prepare(void)
{
    rill_process_lock();
    if (!prepared)
        prepared = pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child) == 0;
    bool done = prepared;
    rill_process_unlock();
    return done ? RILL_OK : RILL_ENOMEM;
}

/* Random once for each process, then counted on: to ask the system each time would cost a call for each channel. */
int rill_process_name(uint64_t *name)
{
    static uint64_t last; /* under the lock */
    static uint32_t of;
    uint32_t generation = atomic_load_explicit(&rill_generation, memory_order_relaxed);
    rill_process_lock();
    bool known = of == generation || rill_port_random(&last, sizeof last);
    if (known) {
        of = generation;
        last += 2;
        *name = last | 1;
    }
    rill_process_unlock();
    return known ? RILL_OK : RILL_ESYSTEM;
}

void rill_own_add(struct rill_lane *lane)
{
    rill_process_lock();
    lane->next_own = own_lanes;
    own_lanes = lane;
    rill_process_unlock();
}

void rill_own_remove(struct rill_lane *lane)
{
    rill_process_lock();
    for (struct rill_lane **link = &own_lanes; *link; link = &(*link)->next_own) {
        if (*link == lane) {
            *link = lane->next_own;
            break;
        }
    }
    rill_process_unlock();
}

struct rill_lane *rill_own_find(const struct rill_identity *identity)
{
    rill_process_lock();
    struct rill_lane *lane = own_lanes;
    while (lane && (lane->identity.word[0] != identity->word[0] || lane->identity.word[1] != identity->word[1]))
        lane = lane->next_own;
    if (lane)
        rill_lane_reference(lane);
    rill_process_unlock();
    return lane;
}
