/* SPDX-License-Identifier: MIT */
/*
 * What two processes see of a channel: the control page, and one lane for each sending process.
 *
 * Nothing here is trusted by whoever did not write it: each reader loads a field once into a local, checks it, and uses
 * the local. Positions are offsets into a segment, never pointers. All integers are the machine's own; the fingerprint below
 * refuses a peer for whom a field lies elsewhere.
 *
 * Control page, one for each channel, mapped by every holder of an end:
 *   who writes        field
 *   the maker, once   identity and options; read-only afterwards
 *   senders           ticket, rings, rang, unfenced
 *   the receiver      closed, reader, objects_come
 *
 * Lane, one for each channel and sending process, a growable segment mapped by its owner and the receiver:
 *   offset 0          struct rill_lane_header (one page)
 *   behind it         extents that the owner hands out: blocks of rings, the extents of its arena, a page for its struct rill_dirty_list
 *
 * Ring: a chain of blocks in a lane, each written once from its start to its end:
 *
 *     block      +--------+--------+-----+--------+           block  +--------+--------
 *                | record | record | ... | link --+----------------->| record | ...
 *                +--------+--------+-----+--------+                  +--------+--------
 *
 *   record     header word | ticket, if stamped | payload | padding to 8
 *   header     bits 0..2 kind, bit 3 stamped, bit 4 carries handles, bits 8..63 payload bytes; 0 is free, RILL_HEADER_POISON is given up
 *   handles    the payload begins with a struct rill_carried; the descriptions of the handles stand in front of the message's bytes (carry.h)
 *   inline     the payload is the message
 *   large      the payload is a struct rill_large: where in the segment the message lies
 *   link       the payload is a struct rill_span: the block in which the ring goes on
 *
 * The header is the commit: a record exists from the one instant on in which its header goes from free to the record's word (ring.h has the argument).
 * A record leaves room behind it for a link, so that a block can always be ended.
 */
#ifndef RILL_SHM_LAYOUT_H
#define RILL_SHM_LAYOUT_H

#include <assert.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define RILL_LAYOUT_VERSION 4u
#define RILL_PAGE_BYTES ((uint64_t)4096) /* granule of the layout; a system with larger pages rounds up in port.h */
#define RILL_LINE_BYTES 64
#define RILL_RINGS_MAX 32 /* rings of a lane; the sender's threads beyond wait for one another */

#define RILL_DIRTY_MOST 255u /* ranges in a list */

#define RILL_CLOSED_RESTING UINT32_C(2)
#define RILL_RINGS_REVOKED UINT32_C(0x80000000)

#define RILL_PAGE_MAGIC UINT64_C(0x65676170006c6c69)
#define RILL_LANE_MAGIC UINT64_C(0x656e616c006c6c69)

enum rill_kind {
    RILL_KIND_FREE = 0,
    RILL_KIND_INLINE = 1,
    RILL_KIND_LARGE = 2,
    RILL_KIND_LINK = 3,
    RILL_KIND_POISON = 7,
};

#define RILL_HEADER_FREE UINT64_C(0)
#define RILL_HEADER_POISON ((uint64_t)RILL_KIND_POISON)
#define RILL_HEADER_STAMPED UINT64_C(8)
#define RILL_HEADER_HANDLES UINT64_C(16)
#define RILL_HEADER_KIND(word) ((unsigned)((word)&7u))
#define RILL_HEADER_SIZE(word) ((uint64_t)(word) >> 8)
#define RILL_HEADER(kind, size) ((uint64_t)(kind) | (uint64_t)(size) << 8)

#define RILL_HEADER_BYTES ((uint64_t)8)
#define RILL_TICKET_BYTES ((uint64_t)8)
#define RILL_LINK_BYTES (RILL_HEADER_BYTES + sizeof(struct rill_span))

/* A place in a lane's segment. */
struct rill_span {
    uint64_t offset;
    uint64_t size;
};

/* A message in the lane's arena. */
struct rill_large {
    uint64_t offset;
    uint64_t size;
    uint64_t capacity; /* of its allocation: what is given back with it */
};

/* Free ranges of the arena that still have memory: a page, written by the owner and read by the receiver while they are lent (dirty.h). */
struct rill_dirty_list {
    uint64_t count;
    uint64_t reserved;
    struct rill_span ranges[RILL_DIRTY_MOST];
};

enum rill_carry_state {
    RILL_CARRY_PENDING = 0, /* the packet with the objects goes over the channel's socket, behind the commit */
    RILL_CARRY_SENT = 1,    /* it has gone */
    RILL_CARRY_SKIPPED = 2, /* it could not be sent: the record is none */
    RILL_CARRY_DROPPED = 3, /* by the receiver, which took the owner for dead: the record is none */
    RILL_CARRY_CHAINED = 4, /* the packet lies in the lane's chain of sockets already */
    RILL_CARRY_EMPTY = 5,   /* the handles need no objects */
};

/* What the payload of a record with handles begins with. */
struct rill_carried {
    _Atomic uint32_t state; /* enum rill_carry_state; owner and receiver write (carry.h) */
    uint32_t objects;
    uint32_t handles;
    uint32_t reserved;
    uint64_t section; /* bytes of their descriptions, a multiple of 8 */
    uint64_t number;  /* of the packet, within the lane */
    uint64_t held;    /* bytes of the buffers among them, which count in the queue's limit */
};

/* What a receiver that was let go leaves as `reader`: even, never 0, and tells copies that it is not for. */
#define RILL_READER_LEFT(messages) ((uint64_t)(messages)*2 + 2)

struct rill_page {
    /* The maker writes these once, before anybody else has the page. */
    uint64_t magic;
    uint32_t version;
    uint32_t transport;
    uint64_t fingerprint;
    uint64_t id[2]; /* random: the same channel met twice in a process is known by it */
    uint64_t limit;
    int64_t send_timeout;
    int64_t spin;
    uint64_t max_lane_bytes;
    uint64_t max_message;
    uint32_t on_full;
    uint32_t max_lanes;
    uint32_t max_objects;
    unsigned char reserved0[2 * RILL_LINE_BYTES - 92];

    /* Read at every send, written seldom. */
    _Atomic uint32_t rings;  /* rings that were ever counted in; whoever adds one counts first, then uses it */
    _Atomic uint32_t rang;   /* packets sent to the receiver by armed lanes (modulo 2^32), counted behind them */
    _Atomic uint32_t closed; /* the receiver has closed the channel */
    _Atomic uint32_t unfenced; /* 1: the only ring's writer may commit without a fence; whoever adds a ring makes up for it (fence.h) */
    unsigned char reserved1[RILL_LINE_BYTES - 16];

    _Atomic uint64_t reader; /* random odd name of the process that receives; 0: nobody has received yet; RILL_READER_LEFT: it let go */
    _Atomic uint32_t objects_come; /* socket mode: the receiver was told that packets carry objects */
    _Atomic uint32_t generation; /* counted up when the page serves a new channel (reuse.h) */
    _Atomic uint32_t spread;     /* 1: a holder passed it on; it serves no other channel */
    unsigned char reserved2[RILL_LINE_BYTES - 20];

    /* Written at every send where there are several rings: on a line of its own, so that to read the ones above does not have to wait for it as well. */
    _Atomic uint64_t ticket; /* the next ticket; senders count it up */
    unsigned char reserved3[RILL_LINE_BYTES - 8];
};

/* What the owner says of one ring. */
struct rill_ring_control {
    struct rill_span first;         /* the ring's first block; written before `rings` of the lane counts it in */
    _Atomic uint64_t sent_messages; /* for statistics only */
    _Atomic uint64_t sent_bytes;
    _Atomic uint64_t sent_weight;   /* as the queue's limit counts */
    unsigned char reserved[RILL_LINE_BYTES - 40];
};

struct rill_lane_header {
    /* The owner writes these once, before it announces the lane. */
    uint64_t magic;
    uint32_t version;
    uint32_t reserved0;
    uint64_t fingerprint;
    uint64_t id[2]; /* the channel's */
    unsigned char reserved1[RILL_LINE_BYTES - 40];

    /* The receiver writes. */
    _Atomic uint32_t parked; /* counted up only by the receiver; odd: armed, ring after a commit (wake.h) */
    _Atomic uint32_t number; /* how a wakeup names this lane; 0 until it was accepted */
    _Atomic int32_t refused; /* the RILL_E… code for which the lane was closed, 0 if it was not */
    unsigned char reserved2[RILL_LINE_BYTES - 12];
    _Atomic uint64_t consumed; /* bytes of records taken from all rings, free-running: what the queue's limit counts */
    _Atomic uint64_t consumed_messages; /* for statistics only */
    _Atomic uint64_t unpacked; /* packets with objects that were taken from the channel's socket, and from the chain: */
    _Atomic uint64_t unchained; /* what the owner may have under way is bounded */
    unsigned char reserved3[RILL_LINE_BYTES - 32];

    /* Both write. */
    _Atomic uint64_t returned; /* stack of blocks that the receiver gives back: offset of the top, 0 is empty (returns.h) */
    _Atomic uint64_t taken;    /* how often the owner has looked at it: tells the receiver that blocks are reused. Only the owner writes this one */
    _Atomic uint64_t dirty;    /* free memory that either may take: offset of its list, and a state in the low bits (dirty.h) */
    _Atomic uint32_t filling;  /* large loans that the owner's users have in hand. Only the owner writes this one */
    unsigned char reserved4[RILL_LINE_BYTES - 28];

    /* The owner writes. What a spinning receiver looks at lies here, so nothing that every loan writes does. */
    _Atomic uint64_t room_at; /* wake the owner when `consumed` reaches this; 0: nobody waits */
    _Atomic uint32_t rings;   /* controls in use; the receiver exchanges it for RILL_RINGS_REVOKED when it gives the lane up */
    _Atomic uint32_t closed;  /* not 0: the owner has closed its last sender, no record will follow. RILL_CLOSED_RESTING: the lane may be used again */
    _Atomic uint32_t imports; /* then: how often the owner was sent a sender of this channel, and has closed it */
    _Atomic uint32_t unfenced; /* 1: it may commit without a fence; whoever needs its order makes up for it (fence.h) */
    unsigned char reserved5[RILL_LINE_BYTES - 24];
    _Atomic uint64_t verdict; /* both: where a ring that was written without fences ended (fence.h); 0: undecided */
    unsigned char reserved6[1664 - 8];
    struct rill_ring_control ring[RILL_RINGS_MAX];
};

static_assert(offsetof(struct rill_page, ticket) % RILL_LINE_BYTES == 0, "the line that every send reads is its own");
static_assert(offsetof(struct rill_page, reader) % RILL_LINE_BYTES == 0, "what the receiver writes does not disturb sends");
static_assert(sizeof(struct rill_page) <= RILL_PAGE_BYTES, "the control page is one page");
static_assert(offsetof(struct rill_lane_header, parked) == 1 * RILL_LINE_BYTES, "a line for what senders read at every send");
static_assert(offsetof(struct rill_lane_header, consumed) == 2 * RILL_LINE_BYTES, "a line for what changes with every batch");
static_assert(offsetof(struct rill_lane_header, returned) == 3 * RILL_LINE_BYTES, "a line for what both write");
static_assert(offsetof(struct rill_lane_header, room_at) == 4 * RILL_LINE_BYTES, "a line for the owner");
static_assert(sizeof(struct rill_carried) == 40 && sizeof(struct rill_carried) % 8 == 0, "what follows it stays aligned");
static_assert(sizeof(struct rill_ring_control) == RILL_LINE_BYTES, "threads on different rings share no line");
static_assert(sizeof(struct rill_lane_header) <= RILL_PAGE_BYTES, "the header is the lane's first page");
static_assert(sizeof(struct rill_dirty_list) == RILL_PAGE_BYTES, "a list of dirty ranges is one page");
static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "a lock inside an atomic would be private to one process");

/* Differs where a field of the above lies elsewhere; where one means something else RILL_LAYOUT_VERSION is counted up. (FNV-1a by words.) */
#define RILL_FINGERPRINT rill_fingerprint()

static inline uint64_t rill_fingerprint(void)
{
#define AT_PAGE(field) offsetof(struct rill_page, field)
#define AT_LANE(field) offsetof(struct rill_lane_header, field)
#define AT_RING(field) offsetof(struct rill_ring_control, field)
#define AT_CARRIED(field) offsetof(struct rill_carried, field)
    const uint64_t places[] = {
        RILL_LAYOUT_VERSION, sizeof(void *), RILL_PAGE_BYTES, RILL_RINGS_MAX,
        AT_PAGE(transport), AT_PAGE(fingerprint), AT_PAGE(id), AT_PAGE(limit), AT_PAGE(send_timeout), AT_PAGE(spin), AT_PAGE(max_lane_bytes),
        AT_PAGE(max_message), AT_PAGE(on_full), AT_PAGE(max_lanes), AT_PAGE(max_objects), AT_PAGE(ticket), AT_PAGE(rings), AT_PAGE(rang),
        AT_PAGE(closed), AT_PAGE(unfenced), AT_PAGE(reader), AT_PAGE(objects_come), AT_PAGE(generation), AT_PAGE(spread), sizeof(struct rill_page),
        AT_LANE(fingerprint), AT_LANE(id), AT_LANE(parked), AT_LANE(number), AT_LANE(refused), AT_LANE(consumed), AT_LANE(consumed_messages),
        AT_LANE(unpacked), AT_LANE(unchained), AT_LANE(returned), AT_LANE(taken), AT_LANE(dirty), AT_LANE(filling), AT_LANE(room_at), AT_LANE(rings),
        AT_LANE(closed), AT_LANE(imports), AT_LANE(unfenced), AT_LANE(verdict), AT_LANE(ring), sizeof(struct rill_lane_header),
        AT_RING(first), AT_RING(sent_messages), AT_RING(sent_bytes), AT_RING(sent_weight), sizeof(struct rill_ring_control),
        AT_CARRIED(state), AT_CARRIED(objects), AT_CARRIED(handles), AT_CARRIED(section), AT_CARRIED(number), AT_CARRIED(held),
        sizeof(struct rill_carried), sizeof(struct rill_large), sizeof(struct rill_span), offsetof(struct rill_dirty_list, ranges),
    };
#undef AT_PAGE
#undef AT_LANE
#undef AT_RING
#undef AT_CARRIED
    uint64_t print = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        print = (print ^ places[i]) * UINT64_C(0x100000001b3);
    return print;
}

#endif
