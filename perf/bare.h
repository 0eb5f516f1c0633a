/* SPDX-License-Identifier: MIT */
/* What rill is compared with: a ring and a socket without anything around them. Each call makes the contestant of the bench
 * `limit`; false: there is none of that size. */
#ifndef RILL_PERF_BARE_H
#define RILL_PERF_BARE_H

#include "perf/harness.h"

bool ring_one_way(size_t size, struct contestant *contestant);
bool ring_round_trip(size_t size, struct contestant *contestant);
bool socket_one_way(size_t size, struct contestant *contestant);
bool socket_round_trip(size_t size, struct contestant *contestant);
void socket_wake(struct contestant *contestant);

#endif
