/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "channel.h"
#include "message.h"
#include "packet.h"
#include "parts.h"
#include "process.h"
#include "source.h"
#include "stream.h"

#define PIECE_MOST ((uint64_t)128 << 10) /* fits a socket's default buffer */
#define JOIN_MOST ((uint64_t)4 << 10)    /* up to this a copy behind the head costs less than a second run of bytes */
#define COPY_MOST ((uint64_t)16 << 10)   /* up to this a message is copied to memory of its size; above, it keeps the buffer it came in */

/* ---- sending ---- */

/* With `first` unset the message has begun: the rest must follow, so an interrupt is left for the next call. */
static int send_piece(struct rill_endpoint *endpoint, const struct rill_piece *piece, const unsigned char *data, uint64_t size, int64_t deadline,
                      bool first)
{
    struct rill_run_of_bytes runs[2] = {{.data = piece, .size = sizeof *piece}, {.data = data, .size = size}};
    unsigned char joined[sizeof *piece + JOIN_MOST];
    bool join = size <= JOIN_MOST;
    if (join) {
        memcpy(joined, piece, sizeof *piece);
        if (size)
            memcpy(joined + sizeof *piece, data, size);
        runs[0] = (struct rill_run_of_bytes){.data = joined, .size = sizeof *piece + size};
    }
    unsigned count = join ? 1 : 2;
    bool interruptible = first && (!rill_port_single_threaded() || atomic_load_explicit(&endpoint->interrupted, memory_order_seq_cst));
    bool block = deadline == RILL_FOREVER && !interruptible; /* one call less than to poll first */
    for (;;) {
        int code = rill_port_send(endpoint->socket, runs, count, NULL, 0, block);
        if (code != RILL_EFULL || deadline == RILL_NOW)
            return code;
        rill_object listen;
        code = rill_event_prepare(&endpoint->event, &listen);
        if (code != RILL_OK)
            return code;
        if (rill_interrupt_take(&endpoint->interrupted, &endpoint->event))
            return RILL_EINTERRUPTED;
        atomic_fetch_add_explicit(&endpoint->waits, 1, memory_order_relaxed);
        code = rill_port_wait_to_send(endpoint->socket, listen, deadline);
        if (code != RILL_OK && code != RILL_EINTERRUPTED)
            return code;
    }
}

static int send_rest(struct rill_endpoint *endpoint, struct rill_piece *piece, const unsigned char *data, uint64_t size)
{
    int code = RILL_OK;
    while (piece->offset < size && code == RILL_OK) {
        uint64_t length = size - piece->offset < PIECE_MOST ? size - piece->offset : PIECE_MOST;
        code = send_piece(endpoint, piece, data + piece->offset, length, RILL_FOREVER, false);
        piece->offset += length;
    }
    return code;
}

static int send_pieces(struct rill_endpoint *endpoint, const unsigned char *data, uint64_t size, int64_t deadline)
{
    (void)pthread_mutex_lock(&endpoint->lock); /* one message of several pieces at a time: they are told apart by the process alone */
    int code = RILL_OK;
    if (!endpoint->stream && !rill_port_random(&endpoint->stream, sizeof endpoint->stream))
        code = RILL_ESYSTEM;
    struct rill_piece piece = {.kind = RILL_PACKET_PIECE, .sender = endpoint->stream, .total = size};
    if (code == RILL_OK)
        code = send_piece(endpoint, &piece, data, PIECE_MOST, deadline, true);
    piece.offset = PIECE_MOST;
    if (code == RILL_OK)
        code = send_rest(endpoint, &piece, data, size);
    (void)pthread_mutex_unlock(&endpoint->lock);
    return code;
}

static int send_whole(struct rill_endpoint *endpoint, const unsigned char *data, uint64_t size, int64_t deadline)
{
    if (size > PIECE_MOST)
        return send_pieces(endpoint, data, size, deadline);
    struct rill_piece piece = {.kind = RILL_PACKET_PIECE, .total = size};
    return send_piece(endpoint, &piece, data, size, deadline, true);
}

static int send_gathered(struct rill_endpoint *endpoint, const struct rill_bytes *parts, size_t count, uint64_t size, int64_t deadline)
{
    unsigned char *whole = malloc(size ? (size_t)size : 1);
    if (!whole)
        return RILL_ENOMEM;
    rill_parts_copy(whole, parts, count);
    int code = send_whole(endpoint, whole, size, deadline);
    free(whole);
    return code;
}

int rill_stream_send(struct rill_endpoint *endpoint, const struct rill_bytes *parts, size_t count, uint64_t size, int64_t deadline)
{
    if (atomic_load_explicit(&endpoint->core->page->closed, memory_order_acquire))
        return RILL_EBROKEN;
    int code = count == 1 ? send_whole(endpoint, parts->data, size, deadline) : send_gathered(endpoint, parts, count, size, deadline);
    if (code == RILL_OK) {
        atomic_fetch_add_explicit(&endpoint->messages, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&endpoint->bytes, size, memory_order_relaxed);
    }
    return code;
}

/* ---- receiving ---- */

/* A message of several pieces that is not complete yet. */
struct assembly {
    uint64_t sender;
    uint64_t filled;
    rill_message *message;
    struct assembly *next;
};

struct rill_stream {
    rill_object socket;
    uint64_t max_message;
    uint32_t max_assemblies, assembly_count;
    struct assembly *assemblies; /* the one that grew last is first: the next piece is received right into it */
    rill_message *ready;         /* the next message */
    rill_message *buffer;        /* where a packet goes that continues nothing: head and PIECE_MOST bytes */
    struct rill_piece head;      /* of the packet that was received last, */
    uint64_t length;             /* its bytes, */
    unsigned char *place;        /* where they lie; NULL: it has been dealt with */
    uint32_t faults;
    bool disconnected;
    bool drained;                /* the socket was empty when last asked: what comes later makes it readable */
};

int rill_stream_create(const struct rill_page *page, rill_object socket, struct rill_stream **stream)
{
    struct rill_stream *made = calloc(1, sizeof *made);
    if (!made)
        return RILL_ENOMEM;
    made->socket = socket;
    made->max_message = page->max_message ? page->max_message : SIZE_MAX / 2;
    made->max_assemblies = page->max_lanes ? page->max_lanes : 16384;
    *stream = made;
    return RILL_OK;
}

static void drop_assembly(struct rill_stream *stream, struct assembly *assembly)
{
    for (struct assembly **link = &stream->assemblies; *link; link = &(*link)->next) {
        if (*link == assembly) {
            *link = assembly->next;
            break;
        }
    }
    stream->assembly_count--;
    if (assembly->message)
        rill_message_free(assembly->message);
    free(assembly);
}

void rill_stream_destroy(struct rill_stream *stream)
{
    while (stream->assemblies)
        drop_assembly(stream, stream->assemblies);
    if (stream->ready)
        rill_message_free(stream->ready);
    if (stream->buffer)
        rill_message_free(stream->buffer);
    free(stream);
}

static struct assembly *find_assembly(struct rill_stream *stream, uint64_t sender)
{
    struct assembly *found = stream->assemblies;
    while (found && found->sender != sender)
        found = found->next;
    return found;
}

/* A new message begins; what its sender had begun before it will never be finished. */
static int begin_assembly(struct rill_stream *stream, struct assembly **begun)
{
    struct assembly *old = find_assembly(stream, stream->head.sender);
    if (old)
        drop_assembly(stream, old);
    if (stream->assembly_count >= stream->max_assemblies)
        return RILL_EPEER;
    struct assembly *made = calloc(1, sizeof *made);
    if (made)
        made->message = rill_message_make(stream->head.total);
    if (!made || !made->message) {
        free(made);
        return RILL_ENOMEM;
    }
    made->sender = stream->head.sender;
    made->next = stream->assemblies;
    stream->assemblies = made;
    stream->assembly_count++;
    *begun = made;
    return RILL_OK;
}

static void move_to_front(struct rill_stream *stream, struct assembly *assembly)
{
    struct assembly **link = &stream->assemblies;
    while (*link != assembly)
        link = &(*link)->next;
    *link = assembly->next;
    assembly->next = stream->assemblies;
    stream->assemblies = assembly;
}

static int add_piece(struct rill_stream *stream)
{
    const struct rill_piece *head = &stream->head;
    struct assembly *assembly = find_assembly(stream, head->sender);
    if (head->offset == 0) {
        int code = begin_assembly(stream, &assembly);
        if (code != RILL_OK)
            return code;
    }
    if (!assembly || assembly->filled != head->offset || assembly->message->size != head->total)
        return RILL_EPEER;
    unsigned char *target = rill_message_bytes(assembly->message) + assembly->filled;
    if (target != stream->place)
        memcpy(target, stream->place, stream->length);
    assembly->filled += stream->length;
    move_to_front(stream, assembly);
    if (assembly->filled == head->total) {
        stream->ready = assembly->message;
        assembly->message = NULL;
        drop_assembly(stream, assembly);
    }
    return RILL_OK;
}

static int take_whole(struct rill_stream *stream)
{
    bool in_buffer = stream->buffer && stream->place == rill_message_bytes(stream->buffer) + sizeof stream->head;
    if (in_buffer && stream->length > COPY_MOST) {
        stream->ready = stream->buffer;
        stream->ready->data = stream->place;
        stream->ready->size = stream->length;
        stream->buffer = NULL;
        return RILL_OK;
    }
    rill_message *message = rill_message_make(stream->length);
    if (!message)
        return RILL_ENOMEM;
    if (stream->length)
        memcpy(rill_message_bytes(message), stream->place, stream->length);
    stream->ready = message;
    return RILL_OK;
}

static bool head_is_sound(const struct rill_stream *stream)
{
    const struct rill_piece *head = &stream->head;
    return head->kind == RILL_PACKET_PIECE && head->total <= stream->max_message && head->offset <= head->total &&
           stream->length <= head->total - head->offset && (stream->length || !head->total);
}

/* Deals with the packet that was received. For lack of memory it stays, to be dealt with at the next call. */
static int deal_with_packet(struct rill_stream *stream)
{
    int code = RILL_EPEER;
    if (head_is_sound(stream))
        code = stream->length == stream->head.total ? take_whole(stream) : add_piece(stream);
    if (code == RILL_ENOMEM)
        return code;
    stream->place = NULL;
    if (code == RILL_EPEER)
        stream->faults++;
    return RILL_OK;
}

static int prepare_place(struct rill_stream *stream, struct rill_packet *packet)
{
    struct assembly *growing = stream->assemblies;
    *packet = (struct rill_packet){.data = {&stream->head}, .capacity = {sizeof stream->head}};
    if (growing && growing->message->size - growing->filled >= PIECE_MOST) {
        packet->data[1] = rill_message_bytes(growing->message) + growing->filled;
        packet->capacity[1] = PIECE_MOST;
        return RILL_OK;
    }
    if (!stream->buffer && !(stream->buffer = rill_message_make(sizeof stream->head + PIECE_MOST)))
        return RILL_ENOMEM;
    packet->data[0] = rill_message_bytes(stream->buffer);
    packet->capacity[0] = sizeof stream->head + PIECE_MOST;
    return RILL_OK;
}

/* Receives one packet and deals with it. RILL_EEMPTY, RILL_ETIMEDOUT, RILL_EINTERRUPTED, RILL_EDISCONNECTED … */
static int receive_packet(struct rill_stream *stream, rill_object event, int64_t deadline)
{
    if (stream->place)
        return deal_with_packet(stream);
    struct rill_packet packet;
    int code = prepare_place(stream, &packet);
    if (code == RILL_OK)
        code = rill_port_receive(stream->socket, event, deadline, &packet);
    stream->drained = code == RILL_EEMPTY;
    if (code == RILL_EDISCONNECTED)
        stream->disconnected = true;
    if (code != RILL_OK)
        return code;
    if (packet.size < sizeof stream->head || packet.truncated) {
        stream->faults++;
        return RILL_OK;
    }
    stream->length = packet.size - sizeof stream->head;
    stream->place = packet.data[1];
    if (!stream->place) {
        memcpy(&stream->head, packet.data[0], sizeof stream->head);
        stream->place = (unsigned char *)packet.data[0] + sizeof stream->head;
    }
    return deal_with_packet(stream);
}

static int next_message(void *state)
{
    struct rill_stream *stream = state;
    if (stream->ready)
        return RILL_OK;
    if (stream->faults) {
        stream->faults--;
        return RILL_EPEER;
    }
    return stream->disconnected ? RILL_EDISCONNECTED : RILL_EEMPTY;
}

static uint64_t size_of_next(const void *state)
{
    return ((const struct rill_stream *)state)->ready->size;
}

static int take(void *state, rill_message **message)
{
    struct rill_stream *stream = state;
    *message = stream->ready;
    stream->ready = NULL;
    return RILL_OK;
}

static void take_into(void *state, void *buffer)
{
    struct rill_stream *stream = state;
    if (stream->ready->size)
        memcpy(buffer, stream->ready->data, stream->ready->size);
    rill_message_free(stream->ready);
    stream->ready = NULL;
}

static bool stirs(const void *state)
{
    (void)state;
    return false; /* only the system knows */
}

static int absorb(void *state)
{
    struct rill_stream *stream = state;
    int code = RILL_OK;
    while (code == RILL_OK && next_message(stream) == RILL_EEMPTY)
        code = receive_packet(stream, RILL_NO_OBJECT, RILL_NOW);
    return code == RILL_EEMPTY ? RILL_OK : code;
}

static int arrived(void *state)
{
    int code = absorb(state);
    return code == RILL_EDISCONNECTED ? RILL_OK : code;
}

static int arm(void *state)
{
    struct rill_stream *stream = state;
    if (stream->drained)
        return RILL_OK;
    int code = absorb(stream);
    if (code == RILL_OK && stream->drained)
        return RILL_OK;
    return code == RILL_OK || code == RILL_EDISCONNECTED ? RILL_EREADY : code;
}

/* Without an event or a deadline the receiving call itself waits; else one that does not wait comes first, since polling costs a call more. */
static int sleep_until(void *state, rill_object event, int64_t deadline, uint64_t *slept)
{
    struct rill_stream *stream = state;
    ++*slept;
    if (event != RILL_NO_OBJECT || deadline != RILL_FOREVER) {
        int code = receive_packet(stream, RILL_NO_OBJECT, RILL_NOW);
        if (code != RILL_EEMPTY)
            return code == RILL_EDISCONNECTED ? RILL_OK : code;
    }
    int code = receive_packet(stream, event, deadline);
    return code == RILL_EDISCONNECTED ? RILL_OK : code;
}

const struct rill_source rill_stream_source = {
    .next = next_message,
    .size = size_of_next,
    .take = take,
    .take_into = take_into,
    .stirs = stirs,
    .absorb = absorb,
    .arrived = arrived,
    .arm = arm,
    .sleep = sleep_until,
};
