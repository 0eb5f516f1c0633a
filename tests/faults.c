/* SPDX-License-Identifier: MIT */
#include "faults.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/types.h>

const char *const fault_names[FAULTS] = {"memfd_create", "mmap",  "fallocate",  "ftruncate", "socketpair",
                                         "eventfd",      "fcntl", "allocation", "send",      "receive", "epoll"};

static enum fault chosen = FAULTS;
static unsigned long left, fired;
static int chosen_error;
static bool lasting;
static _Thread_local bool on;

void faults_prepare(enum fault fault, unsigned long n, int error, bool for_good)
{
    chosen = fault;
    left = n;
    fired = 0;
    chosen_error = error;
    lasting = for_good;
}

void faults_on(void)
{
    on = true;
}

void faults_off(void)
{
    on = false;
}

void faults_end(void)
{
    chosen = FAULTS;
}

unsigned long faults_fired(void)
{
    return fired;
}

static bool fails(enum fault fault)
{
    if (!on || fault != chosen || (left == 0 && !lasting))
        return false;
    if (left > 0 && --left > 0)
        return false;
    fired++;
    errno = chosen_error;
    return true;
}

/* ---------------------------------------------------------------- what the linker puts in the way */

#define WRAP(fault, failure, type, name, parameters, arguments) \
    type __real_##name parameters;                              \
    type __wrap_##name parameters;                              \
    type __wrap_##name parameters                               \
    {                                                           \
        return fails(fault) ? (failure) : __real_##name arguments; \
    }

WRAP(FAULT_MEMFD, -1, int, memfd_create, (const char *name, unsigned flags), (name, flags))
WRAP(FAULT_MMAP, MAP_FAILED, void *, mmap, (void *at, size_t size, int protection, int flags, int fd, off_t offset),
     (at, size, protection, flags, fd, offset))
WRAP(FAULT_MMAP, MAP_FAILED, void *, mmap64, (void *at, size_t size, int protection, int flags, int fd, off_t offset),
     (at, size, protection, flags, fd, offset))
WRAP(FAULT_FTRUNCATE, -1, int, ftruncate, (int fd, off_t size), (fd, size))
WRAP(FAULT_FTRUNCATE, -1, int, ftruncate64, (int fd, off_t size), (fd, size))
WRAP(FAULT_SOCKETPAIR, -1, int, socketpair, (int domain, int type, int protocol, int fds[2]), (domain, type, protocol, fds))
WRAP(FAULT_EVENTFD, -1, int, eventfd, (unsigned count, int flags), (count, flags))
WRAP(FAULT_ALLOCATION, NULL, void *, malloc, (size_t size), (size))
WRAP(FAULT_ALLOCATION, NULL, void *, calloc, (size_t count, size_t size), (count, size))
WRAP(FAULT_ALLOCATION, NULL, void *, realloc, (void *memory, size_t size), (memory, size))
WRAP(FAULT_ALLOCATION, NULL, void *, aligned_alloc, (size_t alignment, size_t size), (alignment, size))
WRAP(FAULT_SEND, -1, ssize_t, sendmsg, (int fd, const struct msghdr *message, int flags), (fd, message, flags))
WRAP(FAULT_SEND, -1, ssize_t, send, (int fd, const void *bytes, size_t size, int flags), (fd, bytes, size, flags))
WRAP(FAULT_RECEIVE, -1, ssize_t, recvmsg, (int fd, struct msghdr *message, int flags), (fd, message, flags))

WRAP(FAULT_EPOLL, -1, int, epoll_create1, (int flags), (flags))

/* To take something out cannot fail. */
int __real_epoll_ctl(int epoll, int what, int fd, struct epoll_event *event);
int __wrap_epoll_ctl(int epoll, int what, int fd, struct epoll_event *event);
int __wrap_epoll_ctl(int epoll, int what, int fd, struct epoll_event *event)
{
    return what == EPOLL_CTL_ADD && fails(FAULT_EPOLL) ? -1 : __real_epoll_ctl(epoll, what, fd, event);
}

/* A hole is punched as a favour: its failure is no shortage of memory, but must do no harm either. */
WRAP(FAULT_FALLOCATE, -1, int, fallocate, (int fd, int mode, off_t offset, off_t size), (fd, mode, offset, size))
WRAP(FAULT_FALLOCATE, -1, int, fallocate64, (int fd, int mode, off_t offset, off_t size), (fd, mode, offset, size))

/* A byte of a packet that was peeked at is thrown away: that cannot fail. */
ssize_t __real_recv(int fd, void *bytes, size_t size, int flags);
ssize_t __wrap_recv(int fd, void *bytes, size_t size, int flags);
ssize_t __wrap_recv(int fd, void *bytes, size_t size, int flags)
{
    return size > 1 && fails(FAULT_RECEIVE) ? -1 : __real_recv(fd, bytes, size, flags);
}

int __real_posix_memalign(void **memory, size_t alignment, size_t size);
int __wrap_posix_memalign(void **memory, size_t alignment, size_t size);
int __wrap_posix_memalign(void **memory, size_t alignment, size_t size)
{
    return fails(FAULT_ALLOCATION) ? ENOMEM : __real_posix_memalign(memory, alignment, size);
}

#define WRAP_FCNTL(name)                           \
    int __real_##name(int fd, int command, ...);   \
    int __wrap_##name(int fd, int command, ...);   \
    int __wrap_##name(int fd, int command, ...)    \
    {                                              \
        va_list list;                              \
        va_start(list, command);                   \
        void *argument = va_arg(list, void *);     \
        va_end(list);                              \
        bool can_fail = command == F_SETLK || command == F_DUPFD_CLOEXEC || command == F_ADD_SEALS; \
        if (can_fail && fails(FAULT_FCNTL))        \
            return -1;                             \
        return __real_##name(fd, command, argument); \
    }

WRAP_FCNTL(fcntl)
WRAP_FCNTL(fcntl64)
