/* SPDX-License-Identifier: MIT */
/* Contestants of the bench `limit` besides those of bare.h. */
#ifndef RILL_PERF_LIMITS_H
#define RILL_PERF_LIMITS_H

#include "perf/harness.h"

void cacheline(struct contestant *contestant);
void eventfd_wake(struct contestant *contestant);
void futex_wake(struct contestant *contestant);
void memory_copy(size_t size, struct contestant *contestant);
void memory_read(size_t size, struct contestant *contestant);

#endif
