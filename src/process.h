/* SPDX-License-Identifier: MIT */
/*
 * What a process knows of itself: how often it has forked, and which lanes are its own.
 */
#ifndef RILL_PROCESS_H
#define RILL_PROCESS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "port.h"

struct rill_lane;

/* Counted up in the child of a fork. Whatever a process made remembers the number; where it differs, the object was inherited. */
extern _Atomic uint32_t rill_generation;

/* Counted up in the parent of a fork. */
extern _Atomic uint32_t rill_forks;

/* Before any end is made; cheap when done already. RILL_ENOMEM. */
int rill_process_prepare(void);

/* A name that no other process and no other call gives: an odd number. RILL_ESYSTEM. */
int rill_process_name(uint64_t *name);

/* ---- own lanes ----
 * A process cannot ask whether it is alive itself (port.h, owner marks), and must not close a second handle of its own lane while the lane
 * lives. So it lists its lanes by identity; a receiver in the same process finds them here and shares the owner's mapping. */

void rill_own_add(struct rill_lane *lane);
void rill_own_remove(struct rill_lane *lane);

/* The live own lane with this identity, referenced, or NULL. */
struct rill_lane *rill_own_find(const struct rill_identity *identity);

/* Holds the lock under which objects that were inherited are made fit for this process. fork takes it, so a child never finds it locked. */
void rill_process_lock(void);
void rill_process_unlock(void);

/* Held, before all other locks, while channels become shared ones; the thread that holds it may take it again. fork takes it too. */
void rill_process_share_lock(void);
void rill_process_share_unlock(void);

#endif
