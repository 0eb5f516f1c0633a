/* SPDX-License-Identifier: MIT */
/* The Linux side of port.h: names under which processes meet. */
#include "port.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <rill/rill.h>

#include "port_linux.h"

#define MILLISECOND INT64_C(1000000)
#define SECOND (1000 * MILLISECOND)

/* ---- names ---- */

struct address {
    struct sockaddr_un socket;
    socklen_t size;
    bool path;
};

/* A plain name is abstract: it leaves no file, and is gone with the last holder of the socket. */
static int read_name(const char *name, struct address *address)
{
    size_t length = strlen(name);
    if (length == 0 || length > RILL_NAME_MOST)
        return RILL_EINVAL;
    memset(address, 0, sizeof *address);
    address->socket.sun_family = AF_UNIX;
    address->path = strchr(name, '/') != NULL;
    char *place = address->socket.sun_path;
    int written = address->path ? snprintf(place, sizeof address->socket.sun_path, "%s", name) + 1
                                : snprintf(place + 1, sizeof address->socket.sun_path - 1, "rill/%s", name) + 1;
    address->size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)written);
    return RILL_OK;
}

static const struct sockaddr *sockaddr_of(const struct address *address)
{
    return (const struct sockaddr *)&address->socket;
}

static int new_socket(void)
{
    return socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

/* The folder of a path, and where its last part begins. */
static const char *split_path(const char *path, char folder[RILL_NAME_MOST + 2])
{
    const char *last = strrchr(path, '/') + 1;
    size_t length = last - path > 1 ? (size_t)(last - path - 1) : 1;
    memcpy(folder, path, length);
    folder[length] = 0;
    return last;
}

/* ---- serving ---- */

static int code_of_bind(int error)
{
    switch (error) {
    case EADDRINUSE:
        return RILL_ENAMEUSED;
    case EACCES:
    case EPERM:
    case EROFS:
        return RILL_EDENIED;
    case ENOENT:
    case ENOTDIR:
    case ELOOP:
    case ENAMETOOLONG:
        return RILL_EINVAL;
    default:
        return rill_port_code_of_errno(error);
    }
}

static int bind_to(int fd, const struct address *address)
{
    return bind(fd, sockaddr_of(address), address->size) == 0 ? RILL_OK : code_of_bind(errno);
}

static int listen_at(int fd, unsigned queue)
{
    return listen(fd, queue > INT32_MAX ? INT32_MAX : (int)queue) == 0 ? RILL_OK : rill_port_code_of_errno(errno);
}

/* Whoever finds a dead path and replaces it, or makes one that does not listen yet, holds a lock on the folder: else two could replace each
 * other. It is the system's, leaves no file, and works between containers. It is held for microseconds; a holder that was stopped, or holds it on
 * purpose, costs a second and an error. */
static int lock_folder(const char *folder, int *lock)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return code_of_bind(errno);
    int64_t deadline = rill_port_clock() + SECOND;
    while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        bool held = errno == EWOULDBLOCK || errno == EINTR;
        int code = held ? RILL_EBUSY : rill_port_code_of_errno(errno);
        if (!held || rill_port_clock() >= deadline) {
            rill_port_close(fd);
            return code;
        }
        (void)poll(NULL, 0, 1);
    }
    *lock = fd;
    return RILL_OK;
}

/* A socket whose process is gone refuses; so does what is no socket, which is not ours to take away. RILL_OK: it can be replaced. */
static int check_dead(const struct address *address)
{
    struct stat status;
    if (lstat(address->socket.sun_path, &status) != 0 || !S_ISSOCK(status.st_mode))
        return RILL_ENAMEUSED;
    int fd = new_socket();
    if (fd < 0)
        return rill_port_code_of_errno(errno);
    int error = connect(fd, sockaddr_of(address), address->size) == 0 ? 0 : errno;
    rill_port_close(fd);
    return error == ECONNREFUSED ? RILL_OK : error == EACCES ? RILL_EDENIED : RILL_ENAMEUSED;
}

static int bind_path(int fd, const struct address *address)
{
    int code = bind_to(fd, address);
    if (code != RILL_ENAMEUSED)
        return code;
    code = check_dead(address);
    if (code != RILL_OK)
        return code;
    (void)unlink(address->socket.sun_path);
    return bind_to(fd, address);
}

static void identify_path(const char *path, struct rill_identity *place)
{
    struct stat status;
    *place = (struct rill_identity){{0, 0}};
    if (lstat(path, &status) == 0)
        *place = (struct rill_identity){{(uint64_t)status.st_dev, (uint64_t)status.st_ino}};
}

/* The permissions are narrow enough from the first moment: bind takes them from the socket, less the umask. Set once more behind listen, they are
 * exact, and tell those who watch the folder that somebody listens. */
static int serve_path(int fd, const struct address *address, unsigned queue, uint32_t mode, struct rill_identity *place)
{
    const char *path = address->socket.sun_path;
    char folder[RILL_NAME_MOST + 2];
    int lock = RILL_NO_OBJECT;
    (void)split_path(path, folder);
    int code = fchmod(fd, (mode_t)mode) == 0 ? lock_folder(folder, &lock) : rill_port_code_of_errno(errno);
    if (code != RILL_OK)
        return code;
    code = bind_path(fd, address);
    if (code == RILL_OK) {
        identify_path(path, place);
        code = listen_at(fd, queue);
        if (code == RILL_OK && fchmodat(AT_FDCWD, path, (mode_t)mode, AT_SYMLINK_NOFOLLOW) != 0)
            code = rill_port_code_of_errno(errno);
        if (code != RILL_OK)
            (void)unlink(path);
    }
    rill_port_close(lock);
    return code;
}

int rill_port_serve(const char *name, unsigned queue, uint32_t mode, rill_object *point, struct rill_identity *place)
{
    struct address address;
    int saved = errno;
    int code = read_name(name, &address);
    if (code != RILL_OK)
        return code;
    int fd = new_socket();
    if (fd < 0)
        return rill_port_code_of_errno(errno);
    if (address.path) {
        code = serve_path(fd, &address, queue, mode, place);
    } else {
        code = bind_to(fd, &address);
        if (code == RILL_OK)
            code = listen_at(fd, queue);
    }
    if (code != RILL_OK) {
        rill_port_close(fd);
        return code;
    }
    errno = saved;
    *point = fd;
    return RILL_OK;
}

/* While the point is open nobody takes the path for dead, so nobody replaces it between the look and the removal. */
void rill_port_unserve(const char *name, const struct rill_identity *place)
{
    struct address address;
    struct rill_identity now;
    int saved = errno;
    if (read_name(name, &address) == RILL_OK && address.path) {
        identify_path(name, &now);
        if (now.word[0] == place->word[0] && now.word[1] == place->word[1])
            (void)unlink(name);
    }
    errno = saved;
}

int rill_port_accept(rill_object point, rill_object *end)
{
    int saved = errno;
    int fd;
    do
        fd = accept4(point, NULL, NULL, SOCK_CLOEXEC);
    while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
    if (fd < 0 && errno != EAGAIN)
        return rill_port_code_of_errno(errno);
    errno = saved;
    if (fd < 0)
        return RILL_EEMPTY;
    *end = fd;
    return RILL_OK;
}

int rill_port_peer(rill_object end, struct rill_peer *peer)
{
    struct ucred credentials;
    socklen_t size = sizeof credentials;
    if (getsockopt(end, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0)
        return rill_port_code_of_errno(errno);
    *peer = (struct rill_peer){.pid = credentials.pid, .uid = credentials.uid, .gid = credentials.gid};
    return RILL_OK;
}

uint32_t rill_port_user(void)
{
    return geteuid();
}

/* ---- searching ----
 * The system tells nobody that an abstract name has come to be, so it is tried again: after a millisecond at first, then more and more seldom. For a
 * path it is the folder that tells; the tries go on, though more seldom, because there are file systems that tell nothing. */

#define NAP_FIRST MILLISECOND
#define NAP_MOST (50 * MILLISECOND)
#define NAP_MOST_WATCHED SECOND

void rill_port_search_start(struct rill_search *search, const char *name, int64_t deadline)
{
    *search = (struct rill_search){.name = name, .deadline = deadline, .watch = RILL_NO_OBJECT};
}

void rill_port_search_end(struct rill_search *search)
{
    rill_port_close(search->watch);
    search->watch = RILL_NO_OBJECT;
}

static bool watch_folder(struct rill_search *search)
{
    char folder[RILL_NAME_MOST + 2];
    if (!strchr(search->name, '/'))
        return false;
    (void)split_path(search->name, folder);
    int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (fd >= 0 && inotify_add_watch(fd, folder, IN_CREATE | IN_MOVED_TO | IN_ATTRIB | IN_ONLYDIR) < 0) {
        rill_port_close(fd);
        fd = RILL_NO_OBJECT;
    }
    search->watch = fd >= 0 ? fd : RILL_NO_OBJECT;
    return fd >= 0;
}

/* Takes what the watch has to tell. Is it about our name? */
static bool has_changed(const struct rill_search *search)
{
    union {
        struct inotify_event event;
        char bytes[4096];
    } buffer;
    const char *last = strrchr(search->name, '/') + 1;
    bool changed = false;
    ssize_t size;
    while ((size = read(search->watch, buffer.bytes, sizeof buffer.bytes)) > 0) {
        for (ssize_t at = 0; at < size;) {
            struct inotify_event event;
            memcpy(&event, buffer.bytes + at, sizeof event);
            const char *about = buffer.bytes + at + sizeof event;
            changed |= event.len == 0 || strcmp(about, last) == 0; /* without a name it is about the folder, or some events were lost */
            at += (ssize_t)(sizeof event + event.len);
        }
    }
    return changed;
}

static bool is_over(int64_t deadline)
{
    return deadline == RILL_NOW || (deadline != RILL_FOREVER && rill_port_clock() >= deadline);
}

static void nap(struct rill_search *search)
{
    if (search->nap == 0) {
        search->nap = NAP_FIRST;
        if (watch_folder(search))
            return; /* what came before the watch is to be seen first */
    }
    int64_t until = rill_port_clock() + search->nap;
    if (until > search->deadline)
        until = search->deadline;
    while (rill_port_wait_to_receive(search->watch, RILL_NO_OBJECT, until) == RILL_OK && !has_changed(search))
        continue;
    int64_t most = search->watch == RILL_NO_OBJECT ? NAP_MOST : NAP_MOST_WATCHED;
    search->nap = search->nap * 2 < most ? search->nap * 2 : most;
}

static int code_of_connect(int error)
{
    switch (error) {
    case ECONNREFUSED:
    case ENOENT:
    case ENOTDIR:
    case EPROTOTYPE: /* another kind of socket */
        return RILL_ENOSERVER;
    case EACCES:
    case EPERM:
        return RILL_EDENIED;
    case ELOOP:
    case ENAMETOOLONG:
        return RILL_EINVAL;
    case EAGAIN:
        return RILL_EUSED;
    default:
        return rill_port_code_of_errno(error);
    }
}

/* The queue at the point is full: sleeps until there is room. */
static int connect_patiently(int fd, const struct address *address, int64_t deadline)
{
    for (;;) {
        int64_t left = deadline == RILL_FOREVER ? RILL_FOREVER : deadline - rill_port_clock();
        if (deadline == RILL_NOW || left <= 0)
            return RILL_ETIMEDOUT;
        struct timeval most = {.tv_sec = left / SECOND, .tv_usec = left % SECOND / 1000 + 1}; /* 0 would be for ever */
        if (deadline != RILL_FOREVER && setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &most, sizeof most) != 0)
            return rill_port_code_of_errno(errno);
        if (connect(fd, sockaddr_of(address), address->size) == 0)
            return RILL_OK;
        if (errno != EINTR && errno != EAGAIN)
            return code_of_connect(errno);
    }
}

static int connect_once(const struct address *address, bool patient, int64_t deadline, rill_object *end)
{
    int fd = new_socket();
    if (fd < 0)
        return rill_port_code_of_errno(errno);
    int code = connect(fd, sockaddr_of(address), address->size) == 0 ? RILL_OK : code_of_connect(errno);
    if ((code == RILL_OK || code == RILL_EUSED) && fcntl(fd, F_SETFL, 0) != 0) /* from here on calls say for themselves whether they wait */
        code = rill_port_code_of_errno(errno);
    if (code == RILL_EUSED && patient)
        code = connect_patiently(fd, address, deadline);
    if (code != RILL_OK) {
        rill_port_close(fd);
        return code;
    }
    *end = fd;
    return RILL_OK;
}

int rill_port_search_connect(struct rill_search *search, bool patient, rill_object *end)
{
    struct address address;
    int saved = errno;
    int code = read_name(search->name, &address);
    if (code != RILL_OK)
        return code;
    do {
        if (search->tried) {
            if (search->once || is_over(search->deadline))
                return RILL_ENOSERVER;
            nap(search);
        }
        search->tried = true;
        code = connect_once(&address, patient, search->deadline, end);
    } while (code == RILL_ENOSERVER);
    if (code == RILL_OK)
        errno = saved;
    return code;
}
