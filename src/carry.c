/* SPDX-License-Identifier: MIT */
#include "carry.h"

#include <stdlib.h>

#include "../shm/carry.h"
#include "../shm/wake.h"
#include "handle.h"
#include "lane.h"
#include "packet.h"

/* ---- the owner ---- */

/* Puts the objects into a socket of their own and gives its receiving end. */
static int nest(const rill_object *objects, uint32_t count, rill_object *nested)
{
    rill_object pair[2];
    int code = rill_port_pair(pair);
    if (code != RILL_OK)
        return code;
    for (uint32_t done = 0; done < count && code == RILL_OK;) {
        unsigned some = count - done < RILL_CARRY_DIRECT ? count - done : RILL_CARRY_DIRECT;
        struct rill_run_of_bytes run = {.data = &some, .size = sizeof some};
        code = rill_port_send(pair[0], &run, 1, objects + done, some, false);
        done += some;
    }
    rill_port_close(pair[0]);
    if (code == RILL_OK)
        *nested = pair[1];
    else
        rill_port_close(pair[1]); /* and with it all that it holds */
    return code == RILL_EFULL ? RILL_EINFLIGHT : code;
}

static int send_objects(rill_object socket, uint32_t kind, uint64_t word, const struct rill_load *load)
{
    struct rill_notice notice = {.kind = kind, .count = load->object_count, .word = word, .number = load->number};
    struct rill_run_of_bytes run = {.data = &notice, .size = sizeof notice};
    int code = rill_port_send(socket, &run, 1, load->objects, load->object_count, false);
    return code == RILL_EFULL ? RILL_EAGAIN : code;
}

static int make_chain(struct rill_lane *lane, rill_object socket)
{
    rill_object pair[2];
    int code = rill_port_pair(pair);
    if (code != RILL_OK)
        return code;
    struct rill_load link = {.objects = &pair[1], .object_count = 1};
    code = send_objects(socket, RILL_PACKET_CHAIN, lane->id, &link);
    rill_port_close(pair[1]);
    if (code != RILL_OK) {
        rill_port_close(pair[0]);
        return code;
    }
    lane->carrier.chain = pair[0];
    lane->carrier.in_link = 0;
    rill_lane_rang(lane, 0); /* a record that is CHAINED waits for this packet */
    return RILL_OK;
}

static int send_chained(rill_object chain, const struct rill_load *load, const rill_object *link)
{
    rill_object objects[RILL_CARRY_DIRECT + 1];
    unsigned count = 0;
    for (; count < load->object_count; count++)
        objects[count] = load->objects[count];
    if (link)
        objects[count++] = *link;
    struct rill_chained head = {.number = load->number, .count = load->object_count, .links = link != NULL};
    struct rill_run_of_bytes run = {.data = &head, .size = sizeof head};
    int code = rill_port_send(chain, &run, 1, objects, count, false);
    return code == RILL_EFULL ? RILL_EAGAIN : code;
}

/* The last packet that a link is given carries the next link. */
static int send_on_chain(struct rill_carrier *carrier, const struct rill_load *load)
{
    if (carrier->in_link + 1 < RILL_CARRY_LINK) {
        int code = send_chained(carrier->chain, load, NULL);
        carrier->in_link += code == RILL_OK;
        return code;
    }
    rill_object pair[2];
    int code = rill_port_pair(pair);
    if (code != RILL_OK)
        return code;
    code = send_chained(carrier->chain, load, &pair[1]);
    rill_port_close(pair[1]);
    if (code != RILL_OK) {
        rill_port_close(pair[0]);
        return code;
    }
    rill_port_close(carrier->chain);
    carrier->chain = pair[0];
    carrier->in_link = 0;
    return RILL_OK;
}

static int chain(struct rill_lane *lane, rill_object socket, const struct rill_load *load)
{
    (void)pthread_mutex_lock(&lane->lock);
    int code = lane->carrier.chain == RILL_NO_OBJECT ? make_chain(lane, socket) : RILL_OK;
    if (code == RILL_OK)
        code = send_on_chain(&lane->carrier, load);
    (void)pthread_mutex_unlock(&lane->lock);
    return code;
}

/* Gives the packet its number and its way. */
static bool choose_socket(struct rill_lane *lane, struct rill_load *load)
{
    (void)pthread_mutex_lock(&lane->lock);
    uint64_t unpacked = atomic_load_explicit(&lane->header->unpacked, memory_order_relaxed);
    bool room = (int64_t)(lane->carrier.packed - unpacked) < (int64_t)RILL_CARRY_SOCKET_MOST;
    lane->carrier.packed += room;
    load->number = ++lane->carrier.number;
    (void)pthread_mutex_unlock(&lane->lock);
    return room;
}

int rill_carry_begin(struct rill_lane *lane, rill_object socket, const struct rill_parcel *parcel, struct rill_load *load)
{
    load->count = load->object_count = parcel->object_count;
    load->objects = parcel->objects;
    load->state = RILL_CARRY_EMPTY;
    if (load->count == 0)
        return RILL_OK;
    if (load->count > RILL_CARRY_DIRECT) {
        int code = nest(parcel->objects, load->count, &load->nested);
        if (code != RILL_OK)
            return code;
        load->objects = &load->nested;
        load->object_count = 1;
    }
    load->state = RILL_CARRY_PENDING;
    if (choose_socket(lane, load))
        return RILL_OK;
    load->state = RILL_CARRY_CHAINED;
    return chain(lane, socket, load);
}

int rill_carry_finish(struct rill_lane *lane, rill_object socket, struct rill_load *load, struct rill_carried *carried)
{
    if (load->state != RILL_CARRY_PENDING)
        return RILL_OK;
    uint32_t due = rill_wake_due(lane->header, &lane->rung);
    int code = send_objects(socket, RILL_PACKET_CARRIED, lane->id, load);
    uint32_t done = RILL_CARRY_SENT;
    if (code == RILL_EAGAIN) { /* other newcomers fill the socket */
        done = RILL_CARRY_CHAINED;
        code = chain(lane, socket, load);
    }
    if (code != RILL_OK) {
        rill_carry_skip(carried); /* H3 */
        return code;
    }
    bool received = rill_carry_sent(carried, done); /* H2 */
    if (done == RILL_CARRY_SENT)
        rill_lane_rang(lane, due);
    return received ? RILL_OK : RILL_LANE_REVOKED;
}

void rill_carry_end(struct rill_load *load)
{
    rill_port_close(load->nested);
    load->nested = RILL_NO_OBJECT;
}

void rill_carrier_close(struct rill_carrier *carrier)
{
    rill_port_close(carrier->chain);
    carrier->chain = RILL_NO_OBJECT;
}

/* ---- the receiver ---- */

void rill_arrival_clear(struct rill_arrival *arrival)
{
    for (uint32_t i = 0; i < arrival->count; i++)
        rill_port_close(arrival->objects[i]);
    rill_port_close(arrival->nested);
    arrival->nested = RILL_NO_OBJECT;
    arrival->count = 0;
}

void rill_arrival_free(struct rill_arrival *arrival)
{
    if (!arrival)
        return;
    rill_arrival_clear(arrival);
    free(arrival->objects);
    free(arrival);
}

static struct rill_arrival *new_arrival(uint64_t number)
{
    struct rill_arrival *made = calloc(1, sizeof *made);
    if (!made)
        return NULL;
    made->number = number;
    made->nested = RILL_NO_OBJECT;
    return made;
}

/* Room for `more` objects behind those that it has. */
static bool reserve(struct rill_arrival *arrival, uint32_t more)
{
    if (arrival->capacity - arrival->count >= more)
        return true;
    uint32_t larger = arrival->count + more;
    rill_object *objects = realloc(arrival->objects, larger * sizeof *objects);
    if (!objects)
        return false;
    arrival->objects = objects;
    arrival->capacity = larger;
    return true;
}

struct rill_arrival *rill_arrival_make(void)
{
    struct rill_arrival *made = new_arrival(0);
    if (made && !reserve(made, RILL_PACKET_OBJECTS)) {
        rill_arrival_free(made);
        made = NULL;
    }
    return made;
}

/* Adds the objects of the packet at `end`, which is then dropped or not. */
static int take_objects(rill_object end, struct rill_arrival *arrival, bool drop)
{
    unsigned count;
    if (!reserve(arrival, RILL_PACKET_OBJECTS))
        return RILL_ENOMEM;
    int code = rill_port_peek_objects(end, arrival->objects + arrival->count, RILL_PACKET_OBJECTS, &count);
    if (code != RILL_OK)
        return code;
    arrival->count += count;
    if (drop)
        rill_port_drop(end);
    return RILL_OK;
}

int rill_arrival_peek(rill_object end, uint64_t number, struct rill_arrival **arrival)
{
    struct rill_arrival *made = new_arrival(number);
    int code = made ? take_objects(end, made, false) : RILL_ENOMEM;
    if (code != RILL_OK) {
        rill_arrival_free(made);
        return code;
    }
    *arrival = made;
    return RILL_OK;
}

int rill_arrival_unpack(struct rill_arrival *arrival, uint32_t count)
{
    if (count <= RILL_CARRY_DIRECT)
        return arrival->count == count ? RILL_OK : RILL_EPEER;
    if (arrival->nested == RILL_NO_OBJECT && arrival->count == 1) {
        if (!rill_port_packets_check(arrival->objects[0]))
            return RILL_EPEER;
        arrival->nested = arrival->objects[0];
        arrival->count = 0;
    }
    while (arrival->count < count && arrival->nested != RILL_NO_OBJECT) {
        uint32_t before = arrival->count;
        int code = take_objects(arrival->nested, arrival, true);
        if (code != RILL_OK)
            return code == RILL_ENOFD || code == RILL_ENOMEM ? code : RILL_EPEER;
        if (arrival->count == before)
            return RILL_EPEER; /* a packet without objects: it could go on for ever */
    }
    rill_port_close(arrival->nested);
    arrival->nested = RILL_NO_OBJECT;
    return arrival->count == count ? RILL_OK : RILL_EPEER;
}

/* Goes on to the next link. */
static int follow(rill_object *chain, struct rill_arrival *arrival)
{
    rill_object next = arrival->objects[--arrival->count];
    if (!rill_port_packets_check(next)) {
        rill_port_close(next);
        return RILL_EPEER;
    }
    rill_port_close(*chain);
    *chain = next;
    return RILL_OK;
}

int rill_arrival_from_chain(rill_object *chain, struct rill_arrival **arrival)
{
    struct rill_chained head;
    size_t size;
    if (*chain == RILL_NO_OBJECT)
        return RILL_EPEER;
    int code = rill_port_peek(*chain, RILL_NO_OBJECT, RILL_NOW, &head, sizeof head, &size);
    if (code != RILL_OK || size != sizeof head || head.links > 1 || head.count > RILL_CARRY_DIRECT)
        return RILL_EPEER; /* it was put there before its record was committed */
    struct rill_arrival *made = NULL;
    code = rill_arrival_peek(*chain, head.number, &made);
    if (code != RILL_OK)
        return code == RILL_ENOFD || code == RILL_ENOMEM ? code : RILL_EPEER;
    rill_port_drop(*chain);
    code = made->count == head.count + head.links ? RILL_OK : RILL_EPEER;
    if (code == RILL_OK && head.links)
        code = follow(chain, made);
    if (code != RILL_OK) {
        rill_arrival_free(made);
        return code;
    }
    *arrival = made;
    return RILL_OK;
}
