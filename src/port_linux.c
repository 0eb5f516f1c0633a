/* SPDX-License-Identifier: MIT */
/* The Linux side of port.h. */
#include "port.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/membarrier.h>
#include <linux/sockios.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <time.h>
#include <unistd.h>

#include <rill/rill.h>

#include "port_linux.h"

#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 0x0020
#endif
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

#define NANOSECONDS_PER_SECOND INT64_C(1000000000)

static int code_of_errno(int error)
{
    switch (error) {
    case ENOMEM:
    case ENOSPC:
    case EFBIG:
    case EOVERFLOW:
    case ENOBUFS:
        return RILL_ENOMEM;
    case EMFILE:
    case ENFILE:
        return RILL_ENOFD;
    case ETOOMANYREFS:
        return RILL_EINFLIGHT;
    case EPIPE:
    case ECONNRESET:
    case ENOTCONN:
        return RILL_EBROKEN;
    case EAGAIN:
        return RILL_EFULL;
    default:
        return RILL_ESYSTEM;
    }
}

int rill_port_code_of_errno(int error)
{
    return code_of_errno(error);
}

/* Where a call succeeds, or tells of something usual such as an empty queue, the caller's errno stays as it was. */
void rill_port_close(rill_object object)
{
    int saved = errno;
    if (object >= 0)
        (void)close(object);
    errno = saved;
}

int rill_port_duplicate(rill_object object, rill_object *copy)
{
    int fd = fcntl(object, F_DUPFD_CLOEXEC, 3);
    if (fd < 0)
        return code_of_errno(errno);
    *copy = fd;
    return RILL_OK;
}

int rill_port_identify(rill_object object, struct rill_identity *identity)
{
    struct stat status;
    if (fstat(object, &status) != 0)
        return code_of_errno(errno);
    identity->word[0] = (uint64_t)status.st_dev;
    identity->word[1] = (uint64_t)status.st_ino;
    return RILL_OK;
}

/* ---- memory ---- */

static int seals_wanted(bool growable)
{
    return F_SEAL_SHRINK | F_SEAL_SEAL | (growable ? 0 : F_SEAL_GROW);
}

/* Nothing in it is ever to be executed. A system before Linux 6.3 does not know how to be told so, and says that it is invalid. */
static int create_memfd(void)
{
    static _Atomic bool refused;
    unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
    if (!atomic_load_explicit(&refused, memory_order_relaxed)) {
        int fd = memfd_create("rill", flags | MFD_NOEXEC_SEAL);
        if (fd >= 0 || errno != EINVAL)
            return fd;
        atomic_store_explicit(&refused, true, memory_order_relaxed);
    }
    return memfd_create("rill", flags);
}

int rill_port_create_memfd(void)
{
    return create_memfd();
}

int rill_port_memory_create(uint64_t size, bool growable, rill_object *memory)
{
    int fd = create_memfd();
    if (fd < 0)
        return code_of_errno(errno);
    int code = rill_port_memory_commit(fd, 0, size); /* sets the size as well */
    if (code == RILL_OK && fcntl(fd, F_ADD_SEALS, seals_wanted(growable)) != 0)
        code = code_of_errno(errno);
    if (code != RILL_OK) {
        rill_port_close(fd);
        return code;
    }
    *memory = fd;
    return RILL_OK;
}

int rill_port_memory_check(rill_object memory, bool growable)
{
    int seals = fcntl(memory, F_GET_SEALS);
    if (seals < 0 || (seals & ~F_SEAL_EXEC) != seals_wanted(growable)) /* that one depends on the system */
        return RILL_EPEER;
    struct statfs system;
    int flags = fcntl(memory, F_GETFL);
    bool writable = flags >= 0 && (flags & O_ACCMODE) == O_RDWR;
    bool huge = fstatfs(memory, &system) != 0 || system.f_type == HUGETLBFS_MAGIC; /* to touch these may kill where pages are short */
    return writable && !huge ? RILL_OK : RILL_EPEER;
}

int rill_port_memory_size(rill_object memory, uint64_t *size)
{
    struct stat status;
    if (fstat(memory, &status) != 0)
        return code_of_errno(errno);
    *size = (uint64_t)status.st_size;
    return RILL_OK;
}

int rill_port_memory_used(rill_object memory, uint64_t *bytes)
{
    struct stat status;
    if (fstat(memory, &status) != 0)
        return code_of_errno(errno);
    *bytes = (uint64_t)status.st_blocks * 512;
    return RILL_OK;
}

int rill_port_memory_grow(rill_object memory, uint64_t size)
{
    if (size > INT64_MAX)
        return RILL_ENOMEM;
    int result;
    do
        result = ftruncate(memory, (off_t)size);
    while (result != 0 && errno == EINTR);
    return result == 0 ? RILL_OK : code_of_errno(errno);
}

/* ---- is there memory? ----
 * fallocate does not fail in time: where memory runs out it takes what there is, and the kernel kills a process, perhaps another one. A memory cgroup
 * kills as well. So both are asked before more than a little is taken. It is a best effort: others take memory at the same time. */

#define ASK_EVERY ((uint64_t)4 << 20)
#define LEAVE_FREE ((uint64_t)64 << 20)

static bool read_file(const char *path, char *text, size_t capacity)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t size = read(fd, text, capacity - 1);
    rill_port_close(fd);
    if (size <= 0)
        return false;
    text[size] = 0;
    return true;
}

bool rill_port_read_file(const char *path, char *text, size_t capacity)
{
    return read_file(path, text, capacity);
}

static uint64_t kilobytes_of(const char *text, const char *field)
{
    const char *found = strstr(text, field);
    return found ? strtoull(found + strlen(field), NULL, 10) : 0;
}

static uint64_t system_memory_left(void)
{
    char text[2048];
    if (!read_file("/proc/meminfo", text, sizeof text))
        return UINT64_MAX;
    return (kilobytes_of(text, "MemAvailable:") + kilobytes_of(text, "SwapFree:")) << 10;
}

/* What this process's own cgroup (version 2) leaves; UINT64_MAX where there is no limit or no way to know. */
static uint64_t cgroup_memory_left(void)
{
    char group[1024], path[1200], most[32], now[32];
    if (!read_file("/proc/self/cgroup", group, sizeof group) || strncmp(group, "0::", 3) != 0)
        return UINT64_MAX;
    group[strcspn(group, "\n")] = 0;
    (void)snprintf(path, sizeof path, "/sys/fs/cgroup%s/memory.max", group + 3);
    if (!read_file(path, most, sizeof most) || most[0] < '0' || most[0] > '9')
        return UINT64_MAX;
    (void)snprintf(path, sizeof path, "/sys/fs/cgroup%s/memory.current", group + 3);
    if (!read_file(path, now, sizeof now))
        return UINT64_MAX;
    uint64_t limit = strtoull(most, NULL, 10), used = strtoull(now, NULL, 10);
    return limit > used ? limit - used : 0;
}

static bool memory_is_there(uint64_t size)
{
    static _Atomic uint64_t unasked; /* bytes taken since this process asked last */
    if (atomic_fetch_add_explicit(&unasked, size, memory_order_relaxed) + size < ASK_EVERY)
        return true;
    uint64_t system = system_memory_left(), group = cgroup_memory_left();
    uint64_t left = system < group ? system : group;
    if (left < LEAVE_FREE || left - LEAVE_FREE < size)
        return false; /* still unasked: the next call asks again */
    atomic_store_explicit(&unasked, 0, memory_order_relaxed);
    return true;
}

int rill_port_memory_commit(rill_object memory, uint64_t offset, uint64_t size)
{
    if (offset > INT64_MAX || size > INT64_MAX - offset || !memory_is_there(size))
        return RILL_ENOMEM;
    int result;
    do
        result = fallocate(memory, 0, (off_t)offset, (off_t)size);
    while (result != 0 && errno == EINTR);
    return result == 0 ? RILL_OK : code_of_errno(errno);
}

bool rill_port_memory_punch(rill_object memory, uint64_t offset, uint64_t size)
{
    int saved = errno, result;
    do
        result = fallocate(memory, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)size);
    while (result != 0 && errno == EINTR);
    errno = saved;
    return result == 0;
}

int rill_port_memory_map(rill_object memory, uint64_t offset, uint64_t size, void *wish, void **address)
{
    if (offset > INT64_MAX || size > SIZE_MAX)
        return RILL_ENOMEM;
    void *where = MAP_FAILED;
    int saved = errno;
    if (wish)
        where = mmap(wish, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED_NOREPLACE, memory, (off_t)offset);
    if (where == MAP_FAILED)
        where = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, memory, (off_t)offset);
    if (where == MAP_FAILED)
        return code_of_errno(errno);
    errno = saved; /* the wish may not have been granted */
    *address = where;
    return RILL_OK;
}

void rill_port_memory_unmap(void *address, uint64_t size)
{
    int saved = errno;
    (void)munmap(address, (size_t)size);
    errno = saved;
}

int rill_port_memory_privatise(void *address, uint64_t size)
{
    void *copy = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (copy == MAP_FAILED)
        return code_of_errno(errno);
    memcpy(copy, address, (size_t)size);
    if (mremap(copy, (size_t)size, (size_t)size, MREMAP_MAYMOVE | MREMAP_FIXED, address) != MAP_FAILED)
        return RILL_OK; /* in one step: who reads there finds the one or the other */
    int code = code_of_errno(errno);
    (void)munmap(copy, (size_t)size);
    return code;
}

uint64_t rill_port_memory_total(void)
{
    struct sysinfo info;
    if (sysinfo(&info) != 0)
        return UINT64_C(1) << 32;
    return (uint64_t)info.totalram * info.mem_unit;
}

/* ---- owner marks ----
 * A record lock crosses pid namespaces, is not inherited by fork, and is dropped by the kernel when its owner dies, however it dies. Its
 * trap: closing any descriptor of the file in the owning process drops it too; process.c keeps such descriptors. */

static struct flock whole_file(short type)
{
    struct flock lock;
    memset(&lock, 0, sizeof lock);
    lock.l_type = type;
    lock.l_whence = SEEK_SET;
    lock.l_len = 1;
    return lock;
}

int rill_port_owner_mark(rill_object memory)
{
    struct flock lock = whole_file(F_WRLCK);
    return fcntl(memory, F_SETLK, &lock) == 0 ? RILL_OK : code_of_errno(errno);
}

bool rill_port_owner_alive(rill_object memory)
{
    struct flock lock = whole_file(F_WRLCK);
    return fcntl(memory, F_GETLK, &lock) != 0 || lock.l_type != F_UNLCK;
}

/* ---- packets ----
 * O_NONBLOCK is never set: the flag would be shared with every other holder of the same end. */

int rill_port_pair(rill_object pair[2])
{
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0)
        return code_of_errno(errno);
    pair[0] = fds[0];
    pair[1] = fds[1];
    return RILL_OK;
}

union rights {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int) * (RILL_PACKET_OBJECTS + 1))]; /* one more: to see that there are too many */
};

static void attach_objects(struct msghdr *message, union rights *rights, const rill_object *objects, unsigned count)
{
    message->msg_control = rights->bytes;
    message->msg_controllen = CMSG_SPACE(sizeof(int) * count);
    memset(rights->bytes, 0, message->msg_controllen);
    struct cmsghdr *control = CMSG_FIRSTHDR(message);
    control->cmsg_level = SOL_SOCKET;
    control->cmsg_type = SCM_RIGHTS;
    control->cmsg_len = CMSG_LEN(sizeof(int) * count);
    memcpy(CMSG_DATA(control), objects, sizeof(int) * count);
}

int rill_port_send(rill_object end, const struct rill_run_of_bytes *runs, unsigned count, const rill_object *objects,
                   unsigned object_count, bool wait)
{
    struct iovec parts[2];
    for (unsigned i = 0; i < count; i++) {
        parts[i].iov_base = (void *)(uintptr_t)runs[i].data;
        parts[i].iov_len = runs[i].size;
    }
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = count};
    union rights rights;
    if (object_count)
        attach_objects(&message, &rights, objects, object_count);
    int saved = errno;
    for (bool reset = false;;) {
        int flags = MSG_NOSIGNAL | (wait ? 0 : MSG_DONTWAIT);
        bool plain = count == 1 && object_count == 0; /* the simpler call is the faster one */
        ssize_t sent = plain ? send(end, runs[0].data, runs[0].size, flags) : sendmsg(end, &message, flags);
        if (sent >= 0)
            return RILL_OK;
        if (errno == EAGAIN) {
            errno = saved;
            return RILL_EFULL;
        }
        if (errno == ECONNRESET && !reset)
            reset = true; /* a receiver that was closed with packets unread says this once, then EPIPE */
        else if (errno == EBADF && object_count)
            return RILL_EDESCRIPTOR;
        else if (errno != EINTR)
            return code_of_errno(errno);
    }
}

static struct timespec *timespec_until(int64_t deadline, struct timespec *storage)
{
    if (deadline == RILL_FOREVER)
        return NULL;
    int64_t left = deadline == RILL_NOW ? 0 : deadline - rill_port_clock();
    if (left < 0)
        left = 0;
    storage->tv_sec = (time_t)(left / NANOSECONDS_PER_SECOND);
    storage->tv_nsec = (long)(left % NANOSECONDS_PER_SECOND);
    return storage;
}

/* Waits for `what` on the end, or anything on the event. */
static int wait_for(rill_object end, short what, rill_object event, int64_t deadline)
{
    for (;;) {
        struct pollfd ends[2] = {{.fd = end, .events = what}, {.fd = event, .events = POLLIN}};
        struct timespec storage;
        int ready = ppoll(ends, event == RILL_NO_OBJECT ? 1 : 2, timespec_until(deadline, &storage), NULL);
        if (ready < 0 && errno != EINTR)
            return code_of_errno(errno);
        if (ready > 0)
            return ends[1].fd != RILL_NO_OBJECT && ends[1].revents != 0 ? RILL_EINTERRUPTED : RILL_OK;
        if (deadline != RILL_FOREVER && rill_port_clock() >= deadline)
            return RILL_ETIMEDOUT;
    }
}

int rill_port_wait_to_receive(rill_object end, rill_object event, int64_t deadline)
{
    return wait_for(end, POLLIN, event, deadline);
}

int rill_port_wait_to_send(rill_object end, rill_object event, int64_t deadline)
{
    return wait_for(end, POLLOUT, event, deadline);
}

/* A packet without bytes, which a hostile sender can make, also reads as 0. It is the end only if the other side has hung up and no byte
 * waits behind it. (Asking for credentials with each packet would tell as well, and would cost every packet.) */
static bool is_end(rill_object end)
{
    struct pollfd state = {.fd = end, .events = POLLIN};
    int waiting = 0;
    return poll(&state, 1, 0) > 0 && (state.revents & POLLHUP) && ioctl(end, SIOCINQ, &waiting) == 0 && waiting == 0;
}

/* One attempt. RILL_EEMPTY: nothing there. */
static int receive_once(rill_object end, int flags, struct msghdr *message, size_t *size)
{
    int saved = errno;
    for (;;) {
        bool plain = message->msg_iovlen == 1 && !message->msg_control; /* the simpler call is the faster one */
        ssize_t received = plain ? recv(end, message->msg_iov->iov_base, message->msg_iov->iov_len, flags | MSG_TRUNC)
                                 : recvmsg(end, message, flags | MSG_CMSG_CLOEXEC);
        if (received > 0 || (received == 0 && !is_end(end))) {
            *size = (size_t)received;
            return RILL_OK;
        }
        if (received == 0)
            return RILL_EDISCONNECTED;
        if (errno == EAGAIN) {
            errno = saved;
            return RILL_EEMPTY;
        }
        if (errno != EINTR && errno != ECONNRESET) /* a sender closed with something unread: others may be left */
            return code_of_errno(errno);
    }
}

static int receive_until(rill_object end, rill_object event, int64_t deadline, int flags, struct msghdr *message, size_t *size)
{
    if (deadline == RILL_NOW)
        return receive_once(end, flags | MSG_DONTWAIT, message, size);
    if (deadline == RILL_FOREVER && event == RILL_NO_OBJECT) { /* a call less than to poll first */
        int code = receive_once(end, flags, message, size);
        return code == RILL_EEMPTY ? RILL_ETIMEDOUT : code;
    }
    for (;;) {
        int code = wait_for(end, POLLIN, event, deadline);
        if (code != RILL_OK)
            return code;
        code = receive_once(end, flags | MSG_DONTWAIT, message, size);
        if (code != RILL_EEMPTY)
            return code;
    }
}

bool rill_port_set_patience(rill_object end, int64_t time)
{
    int saved = errno;
    struct timeval most = {.tv_sec = (time_t)(time / NANOSECONDS_PER_SECOND), .tv_usec = (suseconds_t)(time % NANOSECONDS_PER_SECOND / 1000)};
    bool set = setsockopt(end, SOL_SOCKET, SO_RCVTIMEO, &most, sizeof most) == 0;
    errno = saved;
    return set;
}

static struct msghdr receive_into(struct rill_packet *packet, struct iovec parts[2])
{
    parts[0] = (struct iovec){.iov_base = packet->data[0], .iov_len = packet->capacity[0]};
    parts[1] = (struct iovec){.iov_base = packet->data[1], .iov_len = packet->capacity[1]};
    return (struct msghdr){.msg_iov = parts, .msg_iovlen = packet->capacity[1] ? 2 : 1};
}

int rill_port_receive(rill_object end, rill_object event, int64_t deadline, struct rill_packet *packet)
{
    struct iovec parts[2];
    struct msghdr message = receive_into(packet, parts);
    int code = receive_until(end, event, deadline, 0, &message, &packet->size);
    bool plain = message.msg_iovlen == 1;
    packet->truncated = code == RILL_OK && (plain ? packet->size > packet->capacity[0] : (message.msg_flags & MSG_TRUNC) != 0);
    return code;
}

int rill_port_peek(rill_object end, rill_object event, int64_t deadline, void *data, size_t capacity, size_t *size)
{
    struct iovec part = {.iov_base = data, .iov_len = capacity};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    return receive_until(end, event, deadline, MSG_PEEK, &message, size);
}

/* Keeps up to `capacity` objects, closes the others. How many there were. */
static unsigned detach_objects(struct msghdr *message, rill_object *objects, unsigned capacity)
{
    unsigned count = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t held = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < held; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
            if (count < capacity)
                objects[count] = fd;
            else
                rill_port_close(fd);
            count++;
        }
    }
    return count;
}

/* The objects of a packet that was received with MSG_PEEK. There was room for one more than `capacity`: so fewer, with others left out, means that the
 * process has no descriptors for them. */
static int claim_objects(struct msghdr *message, rill_object *objects, unsigned capacity, unsigned *count)
{
    unsigned held = detach_objects(message, objects, capacity);
    if (held <= capacity && !(message->msg_flags & MSG_CTRUNC)) {
        *count = held;
        return RILL_OK;
    }
    for (unsigned i = 0; i < held && i < capacity; i++)
        rill_port_close(objects[i]);
    return held > capacity ? RILL_EPEER : RILL_ENOFD;
}

int rill_port_peek_objects(rill_object end, rill_object *objects, unsigned capacity, unsigned *count)
{
    char byte;
    size_t size;
    union rights rights;
    struct iovec part = {.iov_base = &byte, .iov_len = 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = rights.bytes,
                             .msg_controllen = CMSG_SPACE(sizeof(int) * (capacity + 1))};
    int code = receive_once(end, MSG_PEEK | MSG_DONTWAIT, &message, &size);
    return code == RILL_OK ? claim_objects(&message, objects, capacity, count) : code;
}

int rill_port_peek_object(rill_object end, rill_object *object)
{
    rill_object only;
    unsigned count;
    int code = rill_port_peek_objects(end, &only, 1, &count);
    if (code != RILL_OK || count == 0)
        return code == RILL_OK ? RILL_EPEER : code;
    *object = only;
    return RILL_OK;
}

int rill_port_receive_objects(rill_object end, rill_object event, int64_t deadline, struct rill_packet *packet, rill_object *objects,
                              unsigned *count)
{
    struct iovec parts[2];
    union rights rights;
    struct msghdr message = receive_into(packet, parts);
    message.msg_control = rights.bytes;
    message.msg_controllen = sizeof rights.bytes;
    int code = receive_until(end, event, deadline, MSG_PEEK, &message, &packet->size);
    if (code == RILL_OK)
        code = claim_objects(&message, objects, RILL_PACKET_OBJECTS, count);
    if (code != RILL_OK)
        return code;
    packet->truncated = (message.msg_flags & MSG_TRUNC) != 0;
    rill_port_drop(end);
    return RILL_OK;
}

void rill_port_drop(rill_object end)
{
    char byte;
    int saved = errno;
    (void)recv(end, &byte, 1, MSG_DONTWAIT);
    errno = saved;
}

bool rill_port_packets_check(rill_object end)
{
    int domain = 0, type = 0;
    socklen_t size = sizeof domain;
    if (getsockopt(end, SOL_SOCKET, SO_DOMAIN, &domain, &size) != 0)
        return false;
    size = sizeof type;
    return getsockopt(end, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && domain == AF_UNIX && type == SOCK_SEQPACKET;
}

bool rill_port_is_open(rill_object object)
{
    int saved = errno;
    bool open = fcntl(object, F_GETFD) >= 0;
    errno = saved;
    return open;
}

bool rill_port_peer_gone(rill_object end)
{
    struct pollfd state = {.fd = end, .events = POLLOUT};
    return poll(&state, 1, 0) > 0 && (state.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0;
}

/* ---- events ---- */

int rill_port_event_create(rill_object *event)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0)
        return code_of_errno(errno);
    *event = fd;
    return RILL_OK;
}

void rill_port_event_signal(rill_object event)
{
    int saved = errno;
    uint64_t one = 1;
    while (write(event, &one, sizeof one) < 0 && errno == EINTR)
        continue;
    errno = saved;
}

void rill_port_event_clear(rill_object event)
{
    int saved = errno;
    uint64_t count;
    while (read(event, &count, sizeof count) < 0 && errno == EINTR)
        continue;
    errno = saved;
}

/* ---- pollers ----
 * Edge-triggered: the system queues a token with each packet, each write to an eventfd and each hang-up, drained or not. So what lies there
 * undrained neither keeps a wait from sleeping nor hides what comes behind it. */

int rill_port_poller_create(rill_object *poller)
{
    int fd = epoll_create1(EPOLL_CLOEXEC);
    if (fd < 0)
        return code_of_errno(errno);
    *poller = fd;
    return RILL_OK;
}

static int watch(rill_object poller, rill_object object, uint32_t events, uint64_t token)
{
    struct epoll_event event = {.events = events, .data.u64 = token};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, object, &event) == 0)
        return RILL_OK;
    return errno == ENOSPC ? RILL_ENOFD : code_of_errno(errno); /* the user's bound on watched descriptors */
}

int rill_port_poller_add(rill_object poller, rill_object object, uint64_t token)
{
    return watch(poller, object, EPOLLIN | EPOLLET, token);
}

int rill_port_poller_add_lasting(rill_object poller, rill_object object, uint64_t token)
{
    return watch(poller, object, EPOLLIN, token);
}

int rill_port_poller_add_room(rill_object poller, rill_object end, uint64_t token)
{
    return watch(poller, end, EPOLLOUT, token);
}

void rill_port_poller_remove(rill_object poller, rill_object object)
{
    int saved = errno;
    (void)epoll_ctl(poller, EPOLL_CTL_DEL, object, NULL);
    errno = saved;
}

/* epoll counts in milliseconds. */
static int sleep_on_poller(rill_object poller, int64_t deadline, struct epoll_event *events)
{
    if (deadline == RILL_FOREVER || deadline == RILL_NOW)
        return epoll_wait(poller, events, RILL_POLL_MOST, deadline == RILL_NOW ? 0 : -1);
    struct timespec storage;
    struct pollfd state = {.fd = poller, .events = POLLIN};
    int ready = ppoll(&state, 1, timespec_until(deadline, &storage), NULL);
    return ready > 0 ? epoll_wait(poller, events, RILL_POLL_MOST, 0) : ready;
}

int rill_port_poller_wait(rill_object poller, int64_t deadline, uint64_t tokens[RILL_POLL_MOST], size_t *count)
{
    struct epoll_event events[RILL_POLL_MOST];
    int saved = errno, ready;
    for (;;) {
        ready = sleep_on_poller(poller, deadline, events);
        if (ready > 0)
            break;
        if (ready < 0 && errno != EINTR)
            return code_of_errno(errno);
        errno = saved;
        if (deadline == RILL_NOW || (deadline != RILL_FOREVER && rill_port_clock() >= deadline))
            return RILL_ETIMEDOUT;
    }
    for (int i = 0; i < ready; i++)
        tokens[i] = events[i].data.u64;
    *count = (size_t)ready;
    return RILL_OK;
}

bool rill_port_has_room(rill_object end)
{
    struct pollfd state = {.fd = end, .events = POLLOUT};
    return poll(&state, 1, 0) > 0;
}

/* ---- the rest ---- */

int rill_port_thread(pthread_t *thread, void *(*run)(void *argument), void *argument)
{
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before); /* the thread inherits it */
    int error = pthread_create(thread, NULL, run, argument);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error ? RILL_ENOMEM : RILL_OK;
}

int64_t rill_port_clock(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * NANOSECONDS_PER_SECOND + now.tv_nsec;
}

bool rill_port_random(void *bytes, size_t size)
{
    unsigned char *next = bytes;
    while (size) {
        ssize_t count = getrandom(next, size, 0);
        if (count < 0 && errno != EINTR)
            return false;
        if (count > 0) {
            next += count;
            size -= (size_t)count;
        }
    }
    return true;
}

bool rill_port_single_processor(void)
{
    cpu_set_t allowed;
    return sched_getaffinity(0, sizeof allowed, &allowed) == 0 && CPU_COUNT(&allowed) == 1;
}

void rill_port_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

void rill_port_yield(void)
{
    (void)sched_yield();
}

static bool membarrier(int command)
{
    return syscall(SYS_membarrier, command, 0, 0) == 0;
}

bool rill_port_fence_register(void)
{
    static _Atomic uint32_t refused;
    if (atomic_load_explicit(&refused, memory_order_relaxed))
        return false;
    bool registered = membarrier(MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED);
    atomic_store_explicit(&refused, !registered, memory_order_relaxed);
    return registered;
}

/* A process that may not ask for barriers, while another one could register for them, waits. A store does not stay in a processor for ever: it leaves in far
 * less than a microsecond after it was made, whatever else happens. (A. Morrison, Y. Afek, "Temporally Bounding TSO for Fence-Free Asymmetric
 * Synchronization", ASPLOS 2015, have algorithms go by that.) */
void rill_port_fence_others(void)
{
    if (membarrier(MEMBARRIER_CMD_GLOBAL_EXPEDITED))
        return;
    struct timespec rest = {.tv_nsec = 1000000};
    while (nanosleep(&rest, &rest) != 0 && errno == EINTR)
        ;
}

void rill_port_inherit(rill_object object, bool inherit)
{
    (void)fcntl(object, F_SETFD, inherit ? 0 : FD_CLOEXEC);
}

bool rill_port_is_inherited(rill_object object)
{
    int flags = fcntl(object, F_GETFD);
    return flags >= 0 && !(flags & FD_CLOEXEC);
}

int rill_port_start(const char *path, char *const argv[], char *const envp[], const rill_object *objects, size_t count, pid_t *pid)
{
    posix_spawn_file_actions_t actions;
    int error = posix_spawn_file_actions_init(&actions);
    if (error)
        return code_of_errno(error);
    for (size_t i = 0; i < count && !error; i++)
        error = posix_spawn_file_actions_adddup2(&actions, objects[i], objects[i]); /* onto itself: clears close-on-exec in the child only */
    if (!error)
        error = posix_spawn(pid, path, &actions, NULL, argv, envp);
    (void)posix_spawn_file_actions_destroy(&actions);
    errno = error;
    return error ? code_of_errno(error) : RILL_OK;
}
