/* SPDX-License-Identifier: MIT */
/*
 * A name that is served, and the guests: those who have connected and whose greeting has not come yet. What servers and listeners have in common.
 *
 * Nobody is waited for alone: one poller watches the point and all guests. A guest costs a descriptor, so there are RILL_GUESTS_MOST; who has been
 * silent for longest goes when another comes. A door belongs to one thread at a time.
 */
#ifndef RILL_DOOR_H
#define RILL_DOOR_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <rill/rill.h>

#include "greeting.h"
#include "port.h"

#define RILL_GUESTS_MOST 128

struct rill_guest {
    uint64_t word; /* names it: its place changes */
    rill_object end;
    struct rill_peer peer;
    bool watched;  /* the poller knows it */
};

struct rill_admission {
    uint32_t admit;
    rill_admit_function *function;
    void *context;
};

struct rill_door {
    char name[RILL_NAME_MOST + 1];
    uint32_t purpose; /* of the guests that are looked for */
    struct rill_admission admission;
    rill_object point, poller;
    struct rill_identity place;  /* of a path */
    uint32_t maker, generation;  /* which process made it, and whose the poller and guests are */
    uint64_t last_word;
    unsigned guest_count;
    struct rill_guest guests[RILL_GUESTS_MOST]; /* the oldest first */
    _Atomic uint32_t interrupted;
    _Atomic rill_object event;
};

/* A guest whose greeting has come. */
struct rill_visit {
    uint64_t guest;
    rill_object end;
    struct rill_peer peer;
    struct rill_attachment *attachment; /* the caller's */
};

/* `name` may be NULL. `queue`: see rill_port_serve. RILL_EINVAL: options out of range. */
int rill_door_open(const char *name, uint32_t purpose, unsigned queue, uint32_t mode, const struct rill_admission *admission,
                   struct rill_door **door);
void rill_door_close(struct rill_door *door);

/* The next guest whose greeting has come and is right. It stays a guest until it is dismissed, or kept because it cannot be served now.
 * RILL_EEMPTY (RILL_NOW), RILL_ETIMEDOUT, RILL_EINTERRUPTED; RILL_EVERSION: one was turned away. Others: nothing is lost. */
int rill_door_next(struct rill_door *door, int64_t deadline, struct rill_visit *visit);

/* Closes the connection; with an answer other than RILL_OK the client is told. */
void rill_door_dismiss(struct rill_door *door, uint64_t guest, int answer);

/* rill_door_next will come back to it. */
void rill_door_keep(struct rill_door *door, uint64_t guest);

/* Makes the door this process's own after a fork. */
int rill_door_settle(struct rill_door *door);

#endif
