/* SPDX-License-Identifier: MIT */
#ifndef RILL_PERF_MEMORY_H
#define RILL_PERF_MEMORY_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * The memory that processes take, in bytes: the private memory of each, and all shared memory of the machine. Shared memory
 * that no process maps (a memfd that is only open, or in flight in a socket) takes as much as any other, and is seen nowhere
 * but in the machine's sum. So what other programs do to shared memory or to files in memory meanwhile is in the figure. Use
 * the difference of two. What the kernel keeps for itself, such as socket buffers, is not in it. -1: it cannot be read.
 */
int64_t memory_in_use(const pid_t *processes, size_t count);

#endif
