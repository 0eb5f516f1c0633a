/* SPDX-License-Identifier: MIT */
/*
 * How a receiver in shared-memory mode moves to another process: what its inbox knows travels, lane by lane, with a handle of each lane's memory.
 * Senders are not told and do not stop: whatever they commit meanwhile lies in their rings behind the cursors that travel, and
 * whatever they announce or ring for waits in the channel's socket, which travels too.
 *
 * The old process may go on reading messages in place. If it kept the blocks under them, they would be lost for their owner when it dies. So before the move
 * these blocks are replaced by private copies under the same addresses, and what no ring needs goes back at once. Only in a lane of the process's
 * own its mapping cannot be replaced: there the move waits until such messages are closed (RILL_EBUSY).
 *
 * The new process trusts the old one for what it says of the queue: which messages have been received already, and how many. It checks all of it against
 * the lanes nevertheless, so a lie costs messages and not safety.
 */
#include <stdlib.h>
#include <string.h>

#include "handle.h"
#include "inbox.h"
#include "message.h"
#include "process.h"

#define LANES_MOST (UINT32_C(1) << 20)

struct moved_inbox {
    uint64_t wakeups;
    uint64_t pending_id;
    uint32_t pending; /* 1: the first object is a lane that was announced and not taken in */
    uint32_t lanes;
    uint32_t faults[3];
    uint32_t reserved;
};

struct moved_lane {
    uint64_t id;
    uint64_t consumed, consumed_messages, rung_for, unpacked;
    uint32_t number, parked;
    uint32_t rings, last_rings;
    uint32_t ending, revoked, owes_room;
    uint32_t room_socket, chain; /* 1: an object, behind the lane's memory, in this order */
    uint32_t held;     /* offsets of punched blocks that follow */
    uint32_t arrivals; /* that follow, each with its objects */
    uint32_t reserved;
};

struct moved_ring {
    uint64_t offset, size, position, last_ticket, floor;
    uint32_t given_up, reserved;
};

struct moved_arrival {
    uint64_t number;
    uint32_t count;
    uint32_t nested; /* 1: one more object, which holds the rest */
};

/* ---- private copies ---- */

/* Messages of this process that lie in a block: what was lent and not closed. */
static uint32_t readers_of(const struct rill_inblock *block, bool in_ring)
{
    uint32_t references = atomic_load_explicit(&block->references, memory_order_acquire);
    return in_ring ? references - (RILL_INBLOCK_BIAS - block->lent) : references;
}

static struct rill_inring *ring_in(const struct rill_inlane *lane, const struct rill_inblock *block)
{
    for (uint32_t i = 0; i < lane->ring_count; i++)
        if (lane->rings[i]->block == block)
            return lane->rings[i];
    return NULL;
}

/* The ring goes on in a mapping of its own, and leaves the old one to the messages in it. */
static int part(struct rill_inring *ring, struct rill_inblock **left)
{
    struct rill_inblock *block = ring->block;
    struct rill_span span = {.offset = block->offset, .size = block->size};
    void *base;
    int code = rill_port_memory_map(ring->lane->memory, span.offset, span.size, NULL, &base);
    if (code != RILL_OK)
        return code;
    struct rill_inblock *fresh = rill_inblock_enter(ring->lane, span, base);
    if (!fresh) {
        rill_port_memory_unmap(base, span.size);
        return RILL_ENOMEM;
    }
    fresh->mapped = true;
    ring->reader.block = base;
    ring->block = fresh;
    *left = block;
    return RILL_OK;
}

/* Gives back what is no longer read where it lies. The node of the return stack goes into it, so it is mapped for a moment. Under the lane's lock. */
static int return_unread(struct rill_inlane *lane, uint64_t offset, uint64_t size, void *data)
{
    void *shared;
    int code = rill_port_memory_map(lane->memory, offset, RILL_PAGE_BYTES, NULL, &shared);
    if (code != RILL_OK)
        return code;
    code = rill_port_memory_privatise(data, size);
    if (code == RILL_OK)
        rill_inlane_return_locked(lane, offset, shared, size);
    rill_port_memory_unmap(shared, RILL_PAGE_BYTES);
    return code;
}

/* A block that no ring is in any more. */
static int set_block_aside(struct rill_inblock *block)
{
    if (block->kept || readers_of(block, false) == 0)
        return RILL_OK; /* the last of them is being closed in another thread, which waits for the lock and gives it back */
    int code = return_unread(block->lane, block->offset, block->size, block->base);
    block->kept = code == RILL_OK;
    return code;
}

static int set_message_aside(rill_message *message)
{
    bool whole_pages = message->offset % RILL_PAGE_BYTES == 0 && message->capacity % RILL_PAGE_BYTES == 0;
    if (!message->offset || !whole_pages) /* only a lane that means harm has such that are not whole pages: it may keep waiting for them */
        return RILL_OK;
    void *data = (unsigned char *)(uintptr_t)message->data - message->front;
    int code = return_unread(message->lane, message->offset, message->capacity, data);
    if (code == RILL_OK)
        message->offset = 0;
    return code;
}

/* The block that a ring is in: the new process will give it back. */
static int set_ring_aside(struct rill_inring *ring)
{
    struct rill_inblock *block = ring->block;
    if (!block || readers_of(block, true) == 0)
        return RILL_OK;
    if (ring->lane->own)
        return RILL_EBUSY;
    struct rill_inblock *left;
    int code = part(ring, &left);
    if (code != RILL_OK)
        return code;
    (void)pthread_mutex_lock(&ring->lane->lock);
    code = rill_port_memory_privatise(left->base, left->size);
    left->kept = true; /* also if that failed: the ring has the block */
    (void)pthread_mutex_unlock(&ring->lane->lock);
    rill_inblock_leave(left);
    return code;
}

static int set_lane_aside(struct rill_inlane *lane)
{
    int code = RILL_OK;
    for (uint32_t i = 0; i < lane->ring_count && code == RILL_OK; i++)
        code = set_ring_aside(lane->rings[i]);
    if (lane->own)
        return code; /* what is closed later goes back to this same process */
    if (code == RILL_OK && atomic_load_explicit(&lane->buffers, memory_order_acquire))
        return RILL_EBUSY; /* they may be written to, and sent on */
    (void)pthread_mutex_lock(&lane->lock);
    for (struct rill_inblock *block = lane->blocks; block && code == RILL_OK; block = block->next)
        if (!ring_in(lane, block))
            code = set_block_aside(block);
    for (rill_message *message = lane->lent; message && code == RILL_OK; message = message->next)
        code = set_message_aside(message);
    (void)pthread_mutex_unlock(&lane->lock);
    return code;
}

/* ---- leaving ---- */

static int pack_rings(const struct rill_inlane *lane, struct rill_blob *blob)
{
    int code = RILL_OK;
    for (uint32_t i = 0; i < lane->ring_count && code == RILL_OK; i++) {
        const struct rill_inring *ring = lane->rings[i];
        struct moved_ring moved = {
            .offset = ring->reader.offset,
            .size = ring->reader.size,
            .position = ring->reader.position,
            .last_ticket = ring->reader.last_ticket,
            .floor = ring->floor,
            .given_up = ring->given_up,
        };
        code = rill_blob_add(blob, &moved, sizeof moved);
    }
    return code;
}

static int pack_arrivals(const struct rill_inlane *lane, struct rill_parcel *parcel, struct rill_blob *blob)
{
    int code = RILL_OK;
    for (const struct rill_arrival *arrival = lane->arrivals; arrival && code == RILL_OK; arrival = arrival->next) {
        struct moved_arrival moved = {.number = arrival->number, .count = arrival->count, .nested = arrival->nested != RILL_NO_OBJECT};
        code = rill_blob_add(blob, &moved, sizeof moved);
        if (code == RILL_OK && moved.nested)
            code = rill_parcel_add_object(parcel, arrival->nested);
        for (uint32_t i = 0; i < arrival->count && code == RILL_OK; i++)
            code = rill_parcel_add_object(parcel, arrival->objects[i]);
    }
    return code;
}

static int pack_lane(struct rill_inlane *lane, struct rill_parcel *parcel, struct rill_blob *blob)
{
    struct moved_lane moved = {
        .id = lane->id,
        .consumed = lane->consumed,
        .consumed_messages = lane->consumed_messages,
        .rung_for = lane->rung_for,
        .unpacked = lane->unpacked,
        .number = lane->number,
        .parked = lane->parked,
        .rings = lane->ring_count,
        .last_rings = lane->last_rings,
        .ending = lane->ending,
        .revoked = lane->revoked,
        .owes_room = lane->owes_room,
        .room_socket = lane->room_socket != RILL_NO_OBJECT,
        .chain = lane->chain != RILL_NO_OBJECT,
        .arrivals = lane->arrival_count,
    };
    (void)pthread_mutex_lock(&lane->lock);
    moved.held = lane->returner.count;
    int code = rill_blob_add(blob, &moved, sizeof moved);
    if (code == RILL_OK)
        code = rill_blob_add(blob, lane->returner.held, moved.held * sizeof *lane->returner.held);
    (void)pthread_mutex_unlock(&lane->lock);
    if (code == RILL_OK)
        code = rill_parcel_add_object(parcel, lane->own ? lane->own->segment.memory : lane->memory);
    if (code == RILL_OK && moved.room_socket)
        code = rill_parcel_add_object(parcel, lane->room_socket);
    if (code == RILL_OK && moved.chain)
        code = rill_parcel_add_object(parcel, lane->chain);
    if (code == RILL_OK)
        code = pack_rings(lane, blob);
    return code == RILL_OK ? pack_arrivals(lane, parcel, blob) : code;
}

int rill_inbox_pack(void *state, struct rill_parcel *parcel, struct rill_blob *blob)
{
    struct rill_inbox *inbox = state;
    struct moved_inbox moved = {
        .wakeups = inbox->wakeups,
        .pending_id = inbox->pending_id,
        .pending = inbox->pending != RILL_NO_OBJECT,
        .lanes = inbox->lane_count,
    };
    memcpy(moved.faults, inbox->faults, sizeof moved.faults);
    rill_inbox_publish_all(inbox, true);
    if (inbox->restless && rill_port_set_patience(inbox->socket, 0)) /* as the new process finds its other sockets */
        inbox->restless = false;
    rill_inbox_settle_socket(inbox); /* else the new process would deal with its packet once more */
    int code = rill_blob_add(blob, &moved, sizeof moved);
    if (code == RILL_OK && moved.pending)
        code = rill_parcel_add_object(parcel, inbox->pending);
    for (uint32_t i = 0; i < inbox->lane_capacity && code == RILL_OK; i++) {
        struct rill_inlane *lane = inbox->lanes[i];
        if (!lane)
            continue;
        code = set_lane_aside(lane);
        if (code == RILL_OK)
            code = pack_lane(lane, parcel, blob);
    }
    return code;
}

/* Lets go of a lane without a trace in it: another process has it now. */
static void let_lane_go(struct rill_inlane *lane)
{
    for (uint32_t i = 0; i < lane->ring_count; i++) {
        struct rill_inblock *block = lane->rings[i]->block;
        if (block) {
            (void)pthread_mutex_lock(&lane->lock);
            block->kept = true;
            (void)pthread_mutex_unlock(&lane->lock);
            rill_inblock_leave(block);
        }
        free(lane->rings[i]);
    }
    lane->ring_count = 0;
    lane->returner.count = 0; /* they went along */
    rill_port_close(lane->room_socket);
    rill_port_close(lane->chain);
    lane->room_socket = lane->chain = RILL_NO_OBJECT;
    if (!lane->own && !lane->lent) {
        rill_port_close(lane->memory);
        lane->memory = RILL_NO_OBJECT;
    }
    rill_inlane_release(lane);
}

void rill_inbox_moved(void *state)
{
    struct rill_inbox *inbox = state;
    for (uint32_t i = 0; i < inbox->lane_capacity; i++) {
        if (inbox->lanes[i])
            let_lane_go(inbox->lanes[i]);
        inbox->lanes[i] = NULL;
    }
    inbox->lane_count = inbox->active_count = 0;
    rill_inbox_end_streak(inbox);
    inbox->chosen = NULL;
}

/* ---- arriving ---- */

/* What is left of the bytes and objects. */
struct reading {
    const unsigned char *bytes;
    uint64_t size;
    rill_object *objects;
    uint32_t count, next;
};

static bool take_bytes(struct reading *reading, void *target, uint64_t size)
{
    if (size > reading->size)
        return false;
    if (size)
        memcpy(target, reading->bytes, (size_t)size);
    reading->bytes += size;
    reading->size -= size;
    return true;
}

static bool take_object(struct reading *reading, rill_object *object)
{
    if (reading->next == reading->count)
        return false;
    *object = reading->objects[reading->next++];
    return true;
}

static int unpack_ring(struct rill_inlane *lane, struct reading *reading)
{
    struct moved_ring moved;
    unsigned char *block;
    if (!take_bytes(reading, &moved, sizeof moved))
        return RILL_EPEER;
    struct rill_span span = {.offset = moved.offset, .size = moved.size};
    struct rill_inring *ring = calloc(1, sizeof *ring);
    if (!ring)
        return RILL_ENOMEM;
    int code = rill_inlane_at(lane, span.offset, span.size, &block);
    if (code == RILL_OK)
        code = rill_ring_open(&ring->reader, span, block);
    if (code == RILL_OK && (moved.position % 8 || moved.position > moved.size - RILL_LINK_BYTES))
        code = RILL_EPEER;
    if (code != RILL_OK) {
        free(ring);
        return code;
    }
    ring->reader.position = moved.position;
    ring->reader.last_ticket = moved.last_ticket;
    ring->floor = moved.floor;
    ring->given_up = moved.given_up != 0;
    ring->lane = lane;
    ring->block = rill_inblock_enter(lane, span, block);
    lane->rings[lane->ring_count++] = ring;
    return RILL_OK;
}

static int unpack_arrival(struct rill_inlane *lane, struct reading *reading)
{
    struct moved_arrival moved;
    if (!take_bytes(reading, &moved, sizeof moved) || moved.count > reading->count - reading->next)
        return RILL_EPEER;
    struct rill_arrival *made = calloc(1, sizeof *made);
    rill_object *objects = malloc((moved.count ? moved.count : 1) * sizeof *objects);
    if (!made || !objects) {
        free(made);
        free(objects);
        return RILL_ENOMEM;
    }
    *made = (struct rill_arrival){.number = moved.number, .nested = RILL_NO_OBJECT, .objects = objects, .capacity = moved.count};
    made->next = lane->arrivals;
    lane->arrivals = made;
    lane->arrival_count++;
    if (moved.nested && !take_object(reading, &made->nested))
        return RILL_EPEER;
    while (made->count < moved.count && take_object(reading, &objects[made->count]))
        made->count++;
    return made->count == moved.count ? RILL_OK : RILL_EPEER;
}

static int unpack_held(struct rill_inlane *lane, uint32_t count, struct reading *reading)
{
    if (count > RILL_RETURN_ENTRIES)
        return RILL_EPEER;
    lane->returner.count = count;
    atomic_store_explicit(&lane->returner.resting, true, memory_order_relaxed); /* perhaps: the stack says */
    return take_bytes(reading, lane->returner.held, count * sizeof *lane->returner.held) ? RILL_OK : RILL_EPEER;
}

static int unpack_parts(struct rill_inlane *lane, const struct moved_lane *moved, struct reading *reading)
{
    int code = RILL_OK;
    for (uint32_t i = 0; i < moved->rings && code == RILL_OK; i++)
        code = unpack_ring(lane, reading);
    for (uint32_t i = 0; i < moved->arrivals && code == RILL_OK; i++)
        code = unpack_arrival(lane, reading);
    return code;
}

static void fill_lane(struct rill_inlane *lane, const struct moved_lane *moved)
{
    lane->consumed = lane->published = moved->consumed;
    lane->consumed_messages = moved->consumed_messages;
    lane->rung_for = moved->rung_for;
    lane->unpacked = moved->unpacked;
    lane->parked = moved->parked;
    lane->last_rings = moved->last_rings;
    lane->ending = moved->ending != 0;
    lane->revoked = moved->revoked != 0;
    lane->owes_room = moved->owes_room != 0;
}

static bool lane_is_sound(const struct rill_inbox *inbox, const struct moved_lane *moved)
{
    return moved->number >= 1 && moved->number <= LANES_MOST && moved->rings <= RILL_RINGS_MAX && moved->last_rings <= RILL_RINGS_MAX &&
           (moved->number > inbox->lane_capacity || !inbox->lanes[moved->number - 1]);
}

static int open_memory(struct rill_inbox *inbox, struct rill_inlane *lane)
{
    int code = rill_port_memory_check(lane->memory, true);
    if (code == RILL_OK)
        code = rill_port_identify(lane->memory, &lane->identity);
    if (code != RILL_OK)
        return code;
    lane->own = rill_own_find(&lane->identity);
    return rill_inlane_map(inbox, lane);
}

static int unpack_lane(struct rill_inbox *inbox, struct reading *reading)
{
    struct moved_lane moved;
    rill_object memory;
    if (!take_bytes(reading, &moved, sizeof moved) || !lane_is_sound(inbox, &moved) || !take_object(reading, &memory))
        return RILL_EPEER;
    int code = rill_inbox_reserve_number(inbox, moved.number);
    struct rill_inlane *lane = code == RILL_OK ? rill_inlane_make(memory, moved.id) : NULL;
    if (!lane)
        return RILL_ENOMEM;
    fill_lane(lane, &moved);
    lane->number = moved.number;
    inbox->lanes[moved.number - 1] = lane; /* from here on `unmake` frees it */
    inbox->lane_count++;
    code = open_memory(inbox, lane);
    if (code == RILL_OK)
        code = unpack_held(lane, moved.held, reading);
    if (code == RILL_OK && ((moved.room_socket && !take_object(reading, &lane->room_socket)) || (moved.chain && !take_object(reading, &lane->chain))))
        code = RILL_EPEER;
    return code == RILL_OK ? unpack_parts(lane, &moved, reading) : code;
}

/* The objects stay the caller's. */
static void unmake(struct rill_inbox *inbox)
{
    for (uint32_t i = 0; i < inbox->lane_capacity; i++) {
        struct rill_inlane *lane = inbox->lanes[i];
        inbox->lanes[i] = NULL;
        if (!lane)
            continue;
        lane->memory = lane->room_socket = lane->chain = RILL_NO_OBJECT;
        for (struct rill_arrival *arrival = lane->arrivals; arrival; arrival = arrival->next) {
            arrival->count = 0;
            arrival->nested = RILL_NO_OBJECT;
        }
        let_lane_go(lane);
    }
    inbox->lane_count = inbox->active_count = 0;
}

/* All of it is in order: now the objects are the lanes', and the lanes are looked at. */
static void adopt(struct rill_inbox *inbox, const struct moved_inbox *moved, struct reading *reading)
{
    inbox->lane_count = 0;
    for (uint32_t i = 0; i < inbox->lane_capacity; i++) {
        struct rill_inlane *lane = inbox->lanes[i];
        if (!lane)
            continue;
        if (lane->own) {
            rill_lane_keep(lane->own, lane->memory);
            lane->memory = RILL_NO_OBJECT;
        }
        rill_inbox_add_lane(inbox, lane, i + 1);
    }
    for (uint32_t i = 0; i < reading->next; i++)
        reading->objects[i] = RILL_NO_OBJECT;
    inbox->wakeups = moved->wakeups;
    memcpy(inbox->faults, moved->faults, sizeof inbox->faults);
    inbox->pending_id = moved->pending_id;
}

int rill_inbox_unpack(void *state, const unsigned char *bytes, uint64_t size, rill_object *objects, uint32_t count)
{
    struct rill_inbox *inbox = state;
    struct reading reading = {.bytes = bytes, .size = size, .objects = objects, .count = count};
    struct moved_inbox moved;
    rill_object pending = RILL_NO_OBJECT;
    if (!take_bytes(&reading, &moved, sizeof moved) || moved.lanes > count || moved.pending > 1 ||
        (moved.pending && !take_object(&reading, &pending)))
        return RILL_EPEER;
    int code = RILL_OK;
    for (uint32_t i = 0; i < moved.lanes && code == RILL_OK; i++)
        code = unpack_lane(inbox, &reading);
    if (code == RILL_OK && (reading.size || reading.next != count))
        code = RILL_EPEER;
    if (code != RILL_OK) {
        unmake(inbox);
        return code == RILL_EVERSION || code == RILL_EQUOTA ? RILL_EPEER : code;
    }
    inbox->pending = pending;
    adopt(inbox, &moved, &reading);
    return RILL_OK;
}
