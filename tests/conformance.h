/* SPDX-License-Identifier: MIT */
/*
 * One suite of tests, run for each transport and for each place of the other end: another thread, a forked process, or a
 * program that was started with the ends.
 *
 * A test works on the ends in its world. It starts the other side as a role: a function that is given some of the
 * ends, by the same indexes, and loses them when it returns. What both sides have to tell one another goes over the board.
 *
 *     usage: test_conformance_… [transport [place]]
 */
#ifndef RILL_TESTS_CONFORMANCE_H
#define RILL_TESTS_CONFORMANCE_H

#include "support.h"

#include <pthread.h>
#include <sched.h>

#define ENDS 8

enum place {
    PLACE_THREADS,
    PLACE_FORKED,
    PLACE_EXECUTED,
    PLACES
};

/* Which transports and places a test is for. */
#define ON_SHM (1u << RILL_SHM)
#define ON_SOCKET (1u << RILL_SOCKET)
#define ON_INPROC (1u << RILL_INPROC)
#define ON_ALL (ON_SHM | ON_SOCKET | ON_INPROC)
#define ON_QUEUES (ON_SHM | ON_INPROC) /* whose queue has no bound */
#define AT_THREADS (1u << PLACE_THREADS)
#define AT_FORKED (1u << PLACE_FORKED)
#define AT_EXECUTED (1u << PLACE_EXECUTED)
#define AT_PROCESSES (AT_FORKED | AT_EXECUTED)
#define AT_ALL (AT_THREADS | AT_PROCESSES)

/* What one side holds. */
struct ends {
    rill_sender *tx[ENDS];
    rill_receiver *rx[ENDS];
    struct board *board;
    uint32_t transport;
    uint64_t argument; /* a role's own */
};

typedef void role_function(struct ends *ends);

struct role {
    const char *name;
    role_function *run;
};
#define ROLE(function) {#function, function}

struct world {
    struct ends mine;
    enum place place;
    int board_descriptor;
};

struct conformance_case {
    const char *name;
    void (*body)(struct world *world);
    unsigned transports;
    unsigned places;
    unsigned seconds;
};

/* Makes channel `index` of the world's transport; options may be NULL. */
void world_channel(struct world *world, unsigned index, const struct rill_channel_options *options);
/* Makes tx[to] a clone of tx[from]. */
void world_clone(struct world *world, unsigned from, unsigned to);
void close_ends(struct ends *ends);

struct peer {
    bool is_thread;
    pthread_t thread;
    pid_t process;
    struct ends *ends;
    role_function *run;
};

/* Bit masks of indexes for peer_start. */
#define END(index) (1u << (index))
#define FIRST END(0)

/* Starts a role that takes over those senders and receivers; they are NULL here afterwards. */
void peer_start(struct peer *peer, struct world *world, role_function *run, unsigned senders, unsigned receivers, uint64_t argument);
/* Waits for its good end. */
void peer_join(struct peer *peer);
/* For processes. */
void peer_kill(struct peer *peer);

int conformance_main(int argc, char **argv, const struct conformance_case *cases, size_t count, const struct role *roles,
                     size_t role_count);

/* Slots of the board that tests use by name. */
enum slot {
    SLOT_GO,
    SLOT_READY,
    SLOT_DONE,
    SLOT_NAME,
    SLOT_COUNT,
    SLOT_SIZE,
    SLOT_FREE /* and those behind are the test's own */
};

#endif
