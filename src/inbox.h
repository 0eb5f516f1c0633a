/* SPDX-License-Identifier: MIT */
/*
 * The receiver's side of a channel in shared memory: all lanes that were announced to it, and the next message out of them.
 *
 * Threads: everything here belongs to the receiver's thread, except giving blocks back (rill_inlane_return, _release), which
 * any thread that closes a message does.
 */
#ifndef RILL_INBOX_H
#define RILL_INBOX_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <rill/rill.h>

#include "../shm/layout.h"
#include "../shm/order.h"
#include "../shm/returns.h"
#include "../shm/ring.h"
#include "../shm/segment.h"
#include "carry.h"
#include "lane.h"
#include "lock.h"
#include "port.h"
#include "spin.h"

/* A block of a ring while it is read. Messages above RILL_MESSAGE_SMALL_MOST bytes are read in place, and the block goes back to its owner when
 * the ring has left it and the last of them is closed. What is lent is counted in `lent` by the receiver alone and in one subtraction at the end, so
 * only closing costs an atomic operation:
 *   K1  a message is closed    references - 1, acq_rel: what was read of the block comes before
 *   K2  the ring leaves        references - (RILL_INBLOCK_BIAS - lent), acq_rel
 * Whoever brings it to 0, which only the last can, after K2, gives the block back. */
struct rill_inblock {
    _Atomic uint32_t references; /* RILL_INBLOCK_BIAS until the ring has left it */
    uint32_t lent;
    struct rill_inlane *lane;
    uint64_t offset, size;
    unsigned char *base;
    bool mapped;    /* `base` is a mapping of its own */
    bool kept;      /* what is read here is a private copy: it does not go back. Under the lane's lock. */
    struct rill_inblock *next, *previous; /* of the lane; under its lock */
};

#define RILL_INBLOCK_BIAS UINT32_C(0x40000000)

struct rill_inring {
    struct rill_ring_reader reader;
    struct rill_inlane *lane;
    struct rill_inblock *block; /* that the reader is in; NULL: no memory for one, so nothing of it is lent */
    bool given_up;              /* poisoned by us: nothing more is read */
    const struct rill_carried *pending; /* its head waits for the packet with its objects; NULL: it does not */
    uint64_t pending_number;
    uint64_t floor;             /* what its head counts as at least, in the order of tickets (order.h, on rings that never run empty) */
    uint64_t mark;              /* the counter when it was marked last */
    uint64_t passed, old;       /* bytes taken since in the order of tickets, and how many of them can have been there */
};

/* A lane as its receiver sees it. */
/* Since when nothing has been counted. */
struct rill_silence {
    uint64_t count;
    int64_t since;
};

struct rill_inlane {
    struct rill_lane_header *header; /* NULL until it could be mapped */
    struct rill_view view;           /* of another process's lane */
    struct rill_lane *own;           /* or this process's own lane, whose mapping is shared */
    rill_object memory;              /* RILL_NO_OBJECT where the own lane keeps it */
    rill_object room_socket;         /* where its owner waits for room, or RILL_NO_OBJECT */
    struct rill_identity identity;
    uint64_t id;                     /* random, from its announcement */
    uint32_t number;                 /* its place in the inbox + 1 */
    uint32_t parked;                 /* what the header's word was set to last */
    bool active;                     /* in the list of lanes that a look goes through; else it is armed */
    bool ending;                     /* no record will follow those that are there */
    uint32_t generation;
    struct rill_inring *rings[RILL_RINGS_MAX];
    uint32_t ring_count;
    bool dead;                       /* its owner was found dead */
    bool revoked;                    /* by us */
    uint32_t last_rings;             /* how many there were when the lane was revoked */
    struct rill_arrival *arrivals;   /* objects that came before their records were looked at */
    uint32_t arrival_count;
    rill_object chain;               /* the receiving end of its owner's chain, or RILL_NO_OBJECT */
    uint64_t unpacked;               /* packets with objects taken from the channel's socket */
    uint32_t drained;                /* since it is ending: how often all packets have been taken for a record that waits for its own */
    bool owes_room;                  /* its owner is to be rung, but its room socket has not come yet */
    uint64_t consumed, published, rung_for;
    uint64_t consumed_messages;
    _Atomic uint32_t references;     /* the inbox, each block of a ring, each message in the arena */
    _Atomic uint64_t pinned;         /* bytes of blocks that rings have left and messages still hold */
    _Atomic uint32_t dropped;        /* its owner is gone: what is given back is given back to nobody */
    pthread_mutex_t lock;            /* the returner, and the two lists */
    struct rill_returner returner;
    uint64_t traffic, large_traffic; /* blocks given back; large messages received or given back */
    struct rill_silence stack_silence, dirty_silence;
    struct rill_inblock *blocks;     /* of rings, in which a ring or a message of this process still is */
    _Atomic uint32_t buffers;        /* received and not closed yet: while there are some the receiver stays */
    rill_message *lent;              /* messages of this process in the arena */
    struct rill_shelf *shelf;        /* what rests for senders that come through this lane, or NULL (reuse.h); under the lock */
};

/* What a record says of its handles, read once. */
struct rill_carried_copy {
    uint32_t handles;
    uint64_t section;
    const unsigned char *descriptions;
    struct rill_arrival *arrival; /* complete; NULL: no objects. Owned by the lane until the message is taken. */
};

/* What can be taken without a look (streak.h). */
struct rill_streak {
    struct rill_inring *ring; /* its messages follow one another at once, */
    uint32_t left;            /* so many, before the others are looked at; 0: look first, */
    uint64_t below;           /* and if they are stamped, those with lower tickets than this; 0: they are not, and it is the only ring */
    uint64_t word;            /* the header of such a message, which lies in its ring and is not too large, */
    uint64_t size, length;    /* and what it says: bytes of the message and of the whole record */
    uint64_t ticket;          /* of the message that was peeked, if it is stamped */
    uint32_t quick;           /* so many messages like it need no look at anything but their headers; */
    uint32_t armed;           /* and so many did when that was found out: the difference was taken, and is not counted yet. Both 0 inside of all other calls */
};

struct rill_inbox {
    struct rill_page *page;
    rill_object socket;
    struct rill_inlane **lanes; /* by number - 1; NULL where free */
    uint32_t lane_capacity, lane_count;
    struct rill_inlane **active; /* capacity as lanes */
    uint32_t active_count;
    uint32_t max_lanes;
    uint64_t max_lane_bytes, max_message;
    uint32_t max_objects;

    uint64_t page_limit;       /* the queue's limit */
    uint64_t publish_every;    /* bytes consumed */
    rill_object pending;       /* an announced lane for which memory was short, or RILL_NO_OBJECT: no packet is taken before it */
    uint64_t pending_id;

    struct rill_order order;   /* the rings with something to deliver at this look */
    bool pending_seen;         /* at this look the head of some ring waited for its objects */
    uint64_t drawn;            /* the counter before this look */
    uint64_t bound;            /* tickets below this are delivered: the same, if the counter can be believed */
    uint32_t run_left;         /* how many, before everything is looked at again */
    struct rill_streak streak;
    struct rill_inring *chosen; /* its head is the next message */
    struct rill_record record; /* and this is it */
    struct rill_large chosen_large; /* if it is a large one: where it lies */
    unsigned char *chosen_block;    /* the start of its allocation */
    uint64_t chosen_weight;
    struct rill_carried_copy chosen_carried; /* its handles, if it has some; record.payload and size are without their descriptions */

    uint32_t rings_seen, rang_seen; /* of the page, when the socket's packets were last taken */
    uint32_t looks;
    bool more_packets;   /* so many were taken at a time that some may be left */
    bool carries;        /* packets with objects come: they are received with the notice */
    bool undropped;      /* the packet that was dealt with last is still the next one at the socket */
    struct rill_arrival *spare; /* for the next such packet, with room for all that it may carry; or NULL */
    uint32_t unsettled;  /* packets taken since the socket was last known to be empty; not those of an only lane (handle_wake) */
    uint32_t sleeps;
    uint32_t next_check; /* the lane whose owner is asked after next */
    bool restless;       /* the socket's patience is set: a sleep ends after a while without costing a call more */
    bool rests;          /* a lane may have memory to trim */
    uint32_t rests_seen; /* how many blocks had come to rest when that was last asked, */
    int64_t trim_at;     /* and when a receiver that does not sleep does it */
    bool may_rest;       /* the channel was made here: its only lane may rest when its owner has closed it (reuse.h) */
    bool disconnected;   /* no sender is left, and all lanes have been looked at since */
    uint32_t faults[3];  /* lanes refused and not yet told: EPEER, EVERSION, EQUOTA */
    uint64_t wakeups;
};

int rill_inbox_create(struct rill_page *page, rill_object socket, struct rill_inbox **inbox);

/* `inherited`: by a child of a fork that has not used it; nothing changes for the parent. */
void rill_inbox_destroy(struct rill_inbox *inbox, bool inherited);

/* In the child of a fork, before its first use there. */
int rill_inbox_inherit(struct rill_inbox *inbox);

/* What comes from the one ring that there is to look at. False: there is something else to look at. The numbers are the sender's: good for nothing but
 * to guess how long to wait. */
bool rill_inbox_traffic(const struct rill_inbox *inbox, struct rill_traffic *traffic);

/* Takes the next message if that is simple: the next of a streak, or the first in the order of tickets, if it lies in its ring. False: no such message, or not
 * simple, or longer than `capacity`; nothing was taken. */
bool rill_inbox_take_simple(struct rill_inbox *inbox, rill_message **message);
bool rill_inbox_take_simple_into(struct rill_inbox *inbox, void *buffer, size_t capacity, size_t *size);

/* A message that was lent from a block is closed. True: it was the last, and the block is to be freed. Any thread. */
static inline bool rill_inblock_unlend(struct rill_inblock *block)
{
    return rill_dereference(&block->references); /* K1 */
}

/* Gives a block back that its ring has left and whose last message is closed. RILL_OK. */
int rill_inblock_free(struct rill_inblock *block);

/* Closes a message that lies in the arena. Any thread. */
void rill_inlane_close_message(rill_message *message);
/* Gives a buffer back to the lane's owner; it was counted in `buffers`. Any thread. */
void rill_inlane_return_buffer(struct rill_inlane *lane, uint64_t offset, unsigned char *block, uint64_t size);
void rill_inlane_release(struct rill_inlane *lane);

/* ---- for reuse.c ---- */

/* Could the inbox serve another channel, as far as this side knows? */
bool rill_inbox_can_rest(struct rill_inbox *inbox);

/* Makes it fit for a channel on this socket, whose sender was sent `exports` times in the last one. False: the lane's owner has not said what is needed;
 * nothing changed. */
bool rill_inbox_renew(struct rill_inbox *inbox, rill_object socket, uint32_t exports);

/* Drops all lanes, of a page that never left this process, and has it begin anew. */
void rill_inbox_strip(struct rill_inbox *inbox);

/* ---- for inbox_move.c ---- */

struct rill_inlane *rill_inlane_make(rill_object memory, uint64_t id);

/* Maps it, or finds that it is this process's own, and checks its header. Faults and shortages. */
int rill_inlane_map(struct rill_inbox *inbox, struct rill_inlane *lane);
int rill_inlane_at(struct rill_inlane *lane, uint64_t offset, uint64_t size, unsigned char **pointer);
void rill_inlane_return_locked(struct rill_inlane *lane, uint64_t offset, unsigned char *block, uint64_t size);

/* Makes room for a lane of this number. RILL_ENOMEM. */
int rill_inbox_reserve_number(struct rill_inbox *inbox, uint32_t number);
void rill_inbox_add_lane(struct rill_inbox *inbox, struct rill_inlane *lane, uint32_t number);
struct rill_inblock *rill_inblock_enter(struct rill_inlane *lane, struct rill_span span, unsigned char *base);
void rill_inblock_leave(struct rill_inblock *block); /* its ring goes on elsewhere: K2 */

/* Tells all owners of active lanes what was consumed: with `pause` all of it, else where it is worth it. */
void rill_inbox_publish_all(struct rill_inbox *inbox, bool pause);
void rill_inbox_settle_socket(struct rill_inbox *inbox);

int rill_inbox_pack(void *state, struct rill_parcel *parcel, struct rill_blob *blob);
int rill_inbox_unpack(void *state, const unsigned char *bytes, uint64_t size, rill_object *objects, uint32_t count);
void rill_inbox_moved(void *state);

/* Tells the lane's owner what was consumed. */
void rill_inbox_publish(struct rill_inbox *inbox, struct rill_inlane *lane);

/* The next message needs a look at everything. */
static inline void rill_inbox_end_streak(struct rill_inbox *inbox)
{
    inbox->streak.ring = NULL;
    inbox->streak.left = 0;
    inbox->streak.below = 0;
    inbox->order.count = 0;
}

static inline void rill_inlane_reference(struct rill_inlane *lane)
{
    rill_reference(&lane->references);
}

#endif
