/* SPDX-License-Identifier: MIT */
/* What comes to an inbox over its socket, and the lanes whose owners have died. */
#include "inbox_parts.h"

#include <stdlib.h>
#include <string.h>

#include "../shm/wake.h"
#include "packet.h"

#define PACKETS_MOST 1024u      /* at a time: a flood of them must not keep a call from returning */
#define SCAN_AFTER 5u           /* fewer packets of ours never fill a socket, however small its buffer was made */
#define CHECK_LONE_EVERY 16u    /* sleeps */
#define CHECKS_EACH 2u          /* owners asked after whenever the socket is asked anyway */

/* ---- packets ---- */

static struct rill_inlane *lane_of_id(const struct rill_inbox *inbox, uint64_t id)
{
    for (uint32_t i = 0; i < inbox->lane_capacity; i++)
        if (inbox->lanes[i] && inbox->lanes[i]->id == id)
            return inbox->lanes[i];
    return NULL; /* its owner was refused, or lies */
}

static void take_room_socket(struct rill_inbox *inbox, struct rill_inlane *lane, rill_object socket)
{
    rill_port_close(lane->room_socket);
    lane->room_socket = socket;
    rill_inbox_activate(inbox, lane);
    if (lane->owes_room) {
        lane->rung_for = 0;
        rill_inbox_publish(inbox, lane);
    }
}

static void take_chain(struct rill_inbox *inbox, struct rill_inlane *lane, rill_object chain)
{
    lane->chain = chain;
    rill_inbox_activate(inbox, lane);
}

void rill_inlane_add_arrival(struct rill_inlane *lane, struct rill_arrival *arrival)
{
    arrival->next = lane->arrivals;
    lane->arrivals = arrival;
    lane->arrival_count++;
}

struct rill_arrival *rill_inlane_take_arrival(struct rill_inlane *lane, uint64_t number)
{
    struct rill_arrival **link = &lane->arrivals;
    while (*link && (*link)->number != number)
        link = &(*link)->next;
    struct rill_arrival *found = *link;
    if (found) {
        *link = found->next;
        lane->arrival_count--;
    }
    return found;
}

/* The objects of a record, which is in its ring already or was given up. The arrival is taken over. */
static void deliver_arrival(struct rill_inbox *inbox, uint64_t id, struct rill_arrival *arrival)
{
    struct rill_inlane *lane = lane_of_id(inbox, id);
    if (!lane || lane->arrival_count == RILL_ARRIVALS_MOST) {
        rill_arrival_free(arrival);
        if (lane)
            rill_inbox_refuse_lane(inbox, lane, RILL_EPEER);
        return;
    }
    rill_inlane_add_arrival(lane, arrival);
    atomic_store_explicit(&lane->header->unpacked, ++lane->unpacked, memory_order_relaxed); /* a bound for the owner, no order with anything */
    rill_inbox_activate(inbox, lane);
}

static int handle_objects(struct rill_inbox *inbox, const struct rill_notice *notice)
{
    struct rill_arrival *arrival;
    int code = rill_arrival_peek(inbox->socket, notice->number, &arrival);
    if (code == RILL_OK)
        deliver_arrival(inbox, notice->word, arrival);
    inbox->carries = true;
    return code == RILL_EPEER ? RILL_OK : code; /* no owner of ours sent this */
}

/* A packet's only object, which is taken over. RILL_ENOMEM …: it is kept, for the packet is gone or has to go. */
static int use_object(struct rill_inbox *inbox, const struct rill_notice *notice, rill_object object)
{
    if (notice->kind != RILL_PACKET_LANE) {
        struct rill_inlane *lane = lane_of_id(inbox, notice->word);
        if (lane && notice->kind == RILL_PACKET_ROOM)
            take_room_socket(inbox, lane, object);
        else if (lane && lane->chain == RILL_NO_OBJECT && rill_port_packets_check(object))
            take_chain(inbox, lane, object);
        else
            rill_port_close(object);
        return RILL_OK;
    }
    int code = rill_inbox_accept_lane(inbox, object, notice->word);
    if (code != RILL_OK) {
        inbox->pending = object;
        inbox->pending_id = notice->word;
    }
    return code;
}

/* A packet that carries an object. For lack of a handle or of memory it stays, or the object does, and nothing is lost. */
static int handle_object(struct rill_inbox *inbox, const struct rill_notice *notice)
{
    rill_object object;
    int code = rill_port_peek_object(inbox->socket, &object);
    if (code == RILL_EPEER)
        return RILL_OK; /* it carries none, or several: not ours */
    if (code != RILL_OK)
        return code;
    code = use_object(inbox, notice, object);
    if (code != RILL_OK)
        rill_port_drop(inbox->socket);
    return code;
}

static bool has_object(const struct rill_notice *notice)
{
    return notice->kind == RILL_PACKET_LANE || notice->kind == RILL_PACKET_ROOM || notice->kind == RILL_PACKET_CHAIN;
}

/* True: it is a wakeup of the only lane. It cannot have kept another lane's out of a full socket: one that is not accepted yet rings for nothing, and was
 * told if its announcement did not fit. So it need not be counted. */
static bool handle_wake(struct rill_inbox *inbox, const struct rill_notice *notice)
{
    if (notice->kind != RILL_PACKET_WAKE || notice->word < 1 || notice->word > inbox->lane_capacity || !inbox->lanes[notice->word - 1])
        return false;
    rill_inbox_activate(inbox, inbox->lanes[notice->word - 1]);
    return inbox->lane_count == 1;
}

/* The packet that was peeked at; it is dropped before the next one is looked at. */
static int handle_packet(struct rill_inbox *inbox, const struct rill_notice *notice, size_t size)
{
    int code = RILL_OK;
    bool lone = false;
    if (size != sizeof *notice)
        inbox->unsettled += SCAN_AFTER; /* not ours; and large packets fill a socket sooner */
    else if (has_object(notice))
        code = handle_object(inbox, notice);
    else if (notice->kind == RILL_PACKET_CARRIED)
        code = handle_objects(inbox, notice);
    else
        lone = handle_wake(inbox, notice);
    if (code != RILL_OK)
        return code;
    inbox->unsettled += !lone;
    inbox->wakeups++;
    inbox->undropped = true;
    return RILL_OK;
}

/* A packet that was received with its objects, which lie in `arrival`. */
static int handle_received(struct rill_inbox *inbox, const struct rill_notice *notice, size_t size, struct rill_arrival *arrival)
{
    int code = RILL_OK;
    inbox->unsettled += size == sizeof *notice ? 1 : SCAN_AFTER;
    inbox->wakeups++;
    arrival->number = notice->number;
    if (size == sizeof *notice && notice->kind == RILL_PACKET_CARRIED) {
        inbox->spare = NULL;
        deliver_arrival(inbox, notice->word, arrival);
        return RILL_OK;
    }
    if (size == sizeof *notice && has_object(notice) && arrival->count == 1) {
        arrival->count = 0;
        code = use_object(inbox, notice, arrival->objects[0]);
    } else if (size == sizeof *notice) {
        (void)handle_wake(inbox, notice);
    }
    rill_arrival_clear(arrival);
    return code;
}

/* As take_packet where packets with objects are usual: a call less for each of them. */
static int receive_packet(struct rill_inbox *inbox, rill_object event, int64_t deadline)
{
    struct rill_notice notice = {0};
    struct rill_packet packet = {.data = {&notice}, .capacity = {sizeof notice}};
    struct rill_arrival *arrival = inbox->spare;
    unsigned count;
    int code = rill_port_receive_objects(inbox->socket, event, deadline, &packet, arrival->objects, &count);
    if (code != RILL_OK)
        return code;
    arrival->count = count;
    return handle_received(inbox, &notice, packet.truncated ? 0 : packet.size, arrival);
}

/* The packet that was dealt with last goes. That is left until the socket is asked again: a channel that is closed before need not do it. */
void rill_inbox_settle_socket(struct rill_inbox *inbox)
{
    if (inbox->undropped)
        rill_port_drop(inbox->socket);
    inbox->undropped = false;
}

static void disconnect(struct rill_inbox *inbox)
{
    inbox->disconnected = true;
    for (uint32_t i = 0; i < inbox->lane_capacity; i++) {
        if (inbox->lanes[i]) {
            inbox->lanes[i]->ending = true;
            rill_inbox_activate(inbox, inbox->lanes[i]);
        }
    }
}

/* Receives one packet and does what it says. RILL_EDISCONNECTED is not an error here. */
int rill_inbox_take_packet(struct rill_inbox *inbox, rill_object event, int64_t deadline)
{
    struct rill_notice notice = {0};
    size_t size = 0;
    rill_inbox_settle_socket(inbox);
    if (inbox->carries && !inbox->spare)
        inbox->spare = rill_arrival_make();
    bool with_objects = inbox->carries && inbox->spare;
    int code = with_objects ? receive_packet(inbox, event, deadline)
                            : rill_port_peek(inbox->socket, event, deadline, &notice, sizeof notice, &size);
    if (code == RILL_EDISCONNECTED)
        disconnect(inbox);
    return code == RILL_OK && !with_objects ? handle_packet(inbox, &notice, size) : code;
}

static bool armed_lane_stirs(const struct rill_inlane *lane)
{
    bool found = atomic_load_explicit(&lane->header->rings, memory_order_seq_cst) != lane->ring_count ||
                 atomic_load_explicit(&lane->header->closed, memory_order_seq_cst) != 0;
    for (uint32_t r = 0; r < lane->ring_count && !found; r++)
        found = rill_inring_stirs(lane->rings[r]);
    return found;
}

/* Lanes that rang into a full socket are named by no packet. They get a new number: an owner may have noted the old one for a message that is received
 * already. */
static void scan_armed(struct rill_inbox *inbox)
{
    bool unfenced = false;
    for (uint32_t i = 0; i < inbox->lane_capacity; i++)
        if (inbox->lanes[i] && !inbox->lanes[i]->active)
            unfenced |= rill_inlane_arm(inbox->lanes[i]);
    if (unfenced)
        rill_port_fence_others();
    for (uint32_t i = 0; i < inbox->lane_capacity; i++)
        if (inbox->lanes[i] && !inbox->lanes[i]->active && armed_lane_stirs(inbox->lanes[i]))
            rill_inbox_activate(inbox, inbox->lanes[i]);
}

/* Asks after the owner of one lane, another one at each call. True: it is dead, and its lane is active again to be emptied. */
static bool found_dead(struct rill_inbox *inbox)
{
    if (inbox->disconnected)
        return false;
    for (uint32_t i = 0; i < inbox->lane_capacity; i++) {
        struct rill_inlane *lane = inbox->lanes[inbox->next_check++ % inbox->lane_capacity];
        if (!lane || lane->ending || lane->own)
            continue;
        if (rill_port_owner_alive(lane->memory))
            return false;
        lane->ending = lane->dead = true;
        rill_inbox_activate(inbox, lane);
        return true;
    }
    return false;
}

/* Before it sleeps. A lone lane's death usually ends the channel, which the socket tells; but a sender that has never sent may be left, so it is
 * asked after as well, seldom. */
bool rill_inbox_found_dead_before_sleep(struct rill_inbox *inbox)
{
    return (inbox->lane_count > 1 || inbox->sleeps++ % CHECK_LONE_EVERY == 0) && found_dead(inbox);
}

/* Takes all packets that wait at the socket. RILL_EDISCONNECTED: no sender is left. */
int rill_inbox_take_packets(struct rill_inbox *inbox)
{
    int code = rill_inbox_retry_pending(inbox);
    if (code != RILL_OK)
        return code;
    if (inbox->disconnected)
        return RILL_EDISCONNECTED;
    /* Before the packets are taken: what is counted up behind this is found next time. */
    uint32_t rings = atomic_load_explicit(&inbox->page->rings, memory_order_seq_cst);
    uint32_t rang = atomic_load_explicit(&inbox->page->rang, memory_order_seq_cst);
    unsigned taken = 0;
    do
        code = rill_inbox_take_packet(inbox, RILL_NO_OBJECT, RILL_NOW);
    while (code == RILL_OK && ++taken < PACKETS_MOST);
    if (code != RILL_EEMPTY && code != RILL_OK)
        return code;
    inbox->more_packets = code == RILL_OK;
    if (code == RILL_EEMPTY) { /* else there are more, and the next look goes on with them */
        inbox->rings_seen = rings;
        inbox->rang_seen = rang;
    }
    if (inbox->unsettled >= SCAN_AFTER)
        scan_armed(inbox);
    inbox->unsettled = 0;
    return RILL_OK;
}

int rill_inbox_absorb(void *state)
{
    struct rill_inbox *inbox = state;
    int code = rill_inbox_take_packets(inbox);
    for (unsigned i = 0; i < CHECKS_EACH && code == RILL_OK; i++)
        (void)found_dead(inbox);
    rill_inbox_trim_awake(inbox);
    return code;
}
