/* SPDX-License-Identifier: MIT */
/* A pair of seqpacket sockets with the system's default buffers: what a program does that sends messages without any library. */
#include "perf/bare.h"
#include "perf/roundtrip.h"
#include "perf/sleeper.h"
#include "perf/stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A default buffer (212,992 bytes) takes a packet of 128 KiB while the last one is being read. */
#define PIECE ((size_t)128 << 10)

struct socket_end {
    int socket;
    unsigned char *buffer;
};

static void socket_open(struct run *run)
{
    int *pair = calloc(2, sizeof *pair);
    if (!pair || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        fail(run, "socketpair: %s", strerror(errno));
    run->ends = pair;
}

static void socket_close(struct run *run)
{
    const int *pair = run->ends;
    close(pair[0]);
    close(pair[1]);
}

/* The buffer is written here, so that no page of it is new later. */
static struct socket_end socket_end(struct run *run)
{
    const int *pair = run->ends;
    size_t size = run->contestant->size == NO_SIZE ? 8 : run->contestant->size;
    struct socket_end end = {.socket = pair[run->role], .buffer = malloc(size + 1)};
    if (!end.buffer)
        fail(run, "no memory for a message");
    memset(end.buffer, 1, size);
    close(pair[1 - run->role]);
    return end;
}

static inline void socket_put(struct run *run, void *end, const void *message, size_t size)
{
    const struct socket_end *mine = end;
    const unsigned char *bytes = message;
    for (size_t sent = 0; sent < size;) {
        size_t piece = size - sent < PIECE ? size - sent : PIECE;
        ssize_t result = send(mine->socket, bytes + sent, piece, MSG_NOSIGNAL);
        if (result < 0 && errno != EINTR)
            fail(run, "send: %s", strerror(errno));
        sent += result < 0 ? 0 : (size_t)result;
    }
}

static void socket_finish(struct run *run, void *end)
{
    (void)run;
    shutdown(((struct socket_end *)end)->socket, SHUT_WR);
}

/* A message is put together in one piece of memory, as a receiver of messages needs it. */
static inline bool socket_take(struct run *run, void *end, const void **message, size_t *size)
{
    const struct socket_end *mine = end;
    size_t whole = run->contestant->size;
    for (size_t received = 0; received < whole;) {
        ssize_t result = recv(mine->socket, mine->buffer + received, whole - received, 0);
        if (result == 0 && received == 0)
            return false;
        if (result == 0 || (result < 0 && errno != EINTR))
            fail(run, "recv: %s", result ? strerror(errno) : "the end, within a message");
        received += result < 0 ? 0 : (size_t)result;
    }
    *message = mine->buffer;
    *size = whole;
    return true;
}

static inline void socket_drop(struct run *run, void *end)
{
    (void)run;
    (void)end;
}

static const struct stream_calls socket_calls = {
    .put = socket_put, .finish = socket_finish, .take = socket_take, .drop = socket_drop};

static void socket_stream(struct run *run)
{
    struct socket_end end = socket_end(run);
    if (run->role == 0)
        stream_receive(run, &end, socket_calls);
    else
        stream_send(run, &end, socket_calls);
}

static void socket_trips(struct run *run)
{
    struct socket_end end = socket_end(run);
    if (run->role == 0)
        ask(run, &end, &end, socket_calls);
    else
        answer(run, &end, &end, socket_calls);
}

static bool socket_contestant(size_t size, void (*work)(struct run *run), struct contestant *contestant)
{
    *contestant = (struct contestant){.bench = "limit",
                                      .variant = "socket",
                                      .transport = "-",
                                      .size = size,
                                      .roles = 2,
                                      .open = socket_open,
                                      .work = work,
                                      .close = socket_close};
    return size > 0; /* an empty packet cannot be told from the end without asking for more than a plain recv */
}

bool socket_one_way(size_t size, struct contestant *contestant)
{
    return socket_contestant(size, socket_stream, contestant);
}

bool socket_round_trip(size_t size, struct contestant *contestant)
{
    return socket_contestant(size, socket_trips, contestant);
}

/* ---------------------------------------------------------------- wake */

static void socket_signal(struct run *run, void *end)
{
    if (send(((struct socket_end *)end)->socket, "wake up", 8, MSG_NOSIGNAL) != 8)
        fail(run, "send: %s", strerror(errno));
}

static void socket_await(struct run *run, void *end)
{
    struct socket_end *mine = end;
    if (recv(mine->socket, mine->buffer, 8, 0) != 8)
        fail(run, "recv: %s", strerror(errno));
}

static void socket_sleeper(struct run *run)
{
    static const struct wake_calls calls = {.signal = socket_signal, .await = socket_await};
    struct socket_end end = socket_end(run);
    if (run->role == 0)
        sleeper_sleep(run, &end, calls);
    else
        sleeper_wake(run, &end, calls);
}

void socket_wake(struct contestant *contestant)
{
    socket_contestant(NO_SIZE, socket_sleeper, contestant);
    contestant->variant = "socket_wake";
}
