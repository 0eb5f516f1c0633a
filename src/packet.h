/* SPDX-License-Identifier: MIT */
/*
 * What goes over a channel's socket in shared-memory mode: small packets of one form. In socket mode each packet is a piece of a message.
 */
#ifndef RILL_PACKET_H
#define RILL_PACKET_H

#include <stdint.h>

enum rill_packet_kind {
    RILL_PACKET_LANE = 1, /* a new lane: word is its random id, object 0 its segment */
    RILL_PACKET_WAKE = 2, /* an armed lane has committed: word is its number */
    RILL_PACKET_ROOM = 3, /* word is the lane's id, object 0 the end of a socket on which its owner waits for room */
    RILL_PACKET_PIECE = 4, /* socket mode: a piece of a message, or all of it */
    RILL_PACKET_CARRIED = 5, /* the objects of a record with handles: word is the lane's id, number the record's; `count` objects */
    RILL_PACKET_CHAIN = 6, /* word is the lane's id, object 0 the receiving end of its chain of sockets for objects */
    RILL_PACKET_OBJECTS_COME = 7, /* socket mode, as a piece without bytes: behind this one, packets carry objects */
};

struct rill_notice {
    uint32_t kind;
    uint32_t count;
    uint64_t word;
    uint64_t number;
};

/* A packet in a lane's chain. The last object may be the next link. */
struct rill_chained {
    uint64_t number; /* of the record that it belongs to */
    uint32_t count;  /* objects of the record */
    uint32_t links;  /* 1: the object behind them is the receiving end of the socket that the chain goes on with; else 0 */
};

/* Head of a piece. A sender's pieces of one message follow each other, with pieces of others between them. */
struct rill_piece {
    uint32_t kind;
    uint32_t flags;
    uint64_t sender; /* random: names the sending process, which sends one message of several pieces at a time */
    uint64_t total;  /* size of the message, what stands in front of it included */
    uint64_t offset; /* of this piece in it */
};

/* The message has handles: in front of its bytes stand a struct rill_piece_section and the section. Its objects come with its first piece; */
#define RILL_PIECE_HANDLES 1u
/* or, if one packet cannot hold them, sockets come with it in which they wait, in order. */
#define RILL_PIECE_BUNDLED 2u

struct rill_piece_section {
    uint64_t bytes;
    uint32_t handle_count;
    uint32_t object_count;
};

#endif
