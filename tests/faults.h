/* SPDX-License-Identifier: MIT */
/*
 * Calls of the system that fail on demand. The program is linked with -Wl,--wrap for each of them and with the static library, so that
 * what the library calls comes here first. Only between faults_on and faults_off does anything fail, in the thread that said so.
 */
#ifndef RILL_TESTS_FAULTS_H
#define RILL_TESTS_FAULTS_H

#include <stdbool.h>

enum fault {
    FAULT_MEMFD,
    FAULT_MMAP,
    FAULT_FALLOCATE,
    FAULT_FTRUNCATE,
    FAULT_SOCKETPAIR,
    FAULT_EVENTFD,
    FAULT_FCNTL,
    FAULT_ALLOCATION,
    FAULT_SEND,
    FAULT_RECEIVE,
    FAULT_EPOLL,
    FAULTS
};

extern const char *const fault_names[FAULTS];

/* The n-th such call (counted from 1, over all spans that are on) fails with `error`, and all later ones if `for_good`. */
void faults_prepare(enum fault fault, unsigned long n, int error, bool for_good);
void faults_on(void);
void faults_off(void);
/* The shortage is over. */
void faults_end(void);
/* How many calls have failed. */
unsigned long faults_fired(void);

#endif
