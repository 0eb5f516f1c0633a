/* SPDX-License-Identifier: MIT */
/*
 * How the kernel objects of a message travel in shared-memory mode, on both sides; shm/carry.h has the protocol between record and packet.
 *
 *   up to RILL_CARRY_DIRECT objects   one packet on the channel's socket, or one in the lane's chain
 *   more                              a socket of their own holds them, and that socket is the one object of the packet
 *
 * So each message has one packet, and a send that fails leaves nothing behind.
 *
 * The channel's socket is shared with other senders and holds some 278 packets, so a lane has at most a few of its packets in it at a time. What comes on
 * top goes into the lane's chain: a socket that only its owner and the receiver have. It holds RILL_CARRY_LINK packets, the last of which carries the
 * receiving end of the next; so it never fills, and handles can be sent without end with nobody receiving.
 */
#ifndef RILL_CARRY_H_SRC
#define RILL_CARRY_H_SRC

#include <stdbool.h>
#include <stdint.h>

#include "../shm/layout.h"
#include "port.h"

struct rill_lane;
struct rill_parcel;

#define RILL_CARRY_DIRECT 250u /* a packet holds 253; one may be the next link */
#define RILL_CARRY_LINK 32u
#define RILL_CARRY_SOCKET_MOST 8u /* packets of a lane on the channel's socket */

/* ---- the owner ---- */

/* Part of struct rill_lane, under its lock. */
struct rill_carrier {
    uint64_t number;    /* of the last packet */
    uint64_t packed;    /* packets sent on the channel's socket */
    rill_object chain;  /* sending end, or RILL_NO_OBJECT */
    unsigned in_link;   /* packets that it was given */
};

/* The packet of one message. */
struct rill_load {
    uint32_t state; /* what its record is committed with */
    uint32_t count; /* objects of the message */
    uint64_t number;
    uint64_t section; /* bytes of descriptions of the message, */
    uint64_t held;    /* and of its buffers */
    const rill_object *objects; /* of the packet */
    unsigned object_count;
    rill_object nested; /* that holds the objects, or RILL_NO_OBJECT */
};

/* Decides on the way and sends what goes before the commit. RILL_EINFLIGHT, RILL_EAGAIN, RILL_ENOFD, RILL_EBROKEN: nothing was sent. */
int rill_carry_begin(struct rill_lane *lane, rill_object socket, const struct rill_parcel *parcel, struct rill_load *load);

/* After the commit: sends what goes behind it. RILL_LANE_REVOKED: not received; other errors as above: not sent, and the record is skipped. */
int rill_carry_finish(struct rill_lane *lane, rill_object socket, struct rill_load *load, struct rill_carried *carried);

/* Frees the load, whatever became of it. */
void rill_carry_end(struct rill_load *load);

void rill_carrier_close(struct rill_carrier *carrier);

/* ---- the receiver ---- */

/* The objects of one packet. */
struct rill_arrival {
    uint64_t number;
    rill_object nested; /* still to be emptied, or RILL_NO_OBJECT */
    rill_object *objects;
    uint32_t count, capacity;
    struct rill_arrival *next;
};

/* With room for whatever one packet may carry. NULL: no memory. */
struct rill_arrival *rill_arrival_make(void);

/* Closes what it has. */
void rill_arrival_clear(struct rill_arrival *arrival);

/* Copies the objects of the packet that is the next one at `end`, which stays there. RILL_ENOFD, RILL_ENOMEM: nothing is lost. */
int rill_arrival_peek(rill_object end, uint64_t number, struct rill_arrival **arrival);

/* Gets all `count` objects of the message. RILL_EPEER: there are not so many, or more. RILL_ENOFD, RILL_ENOMEM: try again. */
int rill_arrival_unpack(struct rill_arrival *arrival, uint32_t count);

/* Takes the next packet of a chain, and goes on to the next link if it carries one. RILL_EPEER: there is none, or it is not in order. RILL_ENOFD,
 * RILL_ENOMEM: try again. */
int rill_arrival_from_chain(rill_object *chain, struct rill_arrival **arrival);

/* Frees it and closes what it still has. NULL is allowed. */
void rill_arrival_free(struct rill_arrival *arrival);

#endif
