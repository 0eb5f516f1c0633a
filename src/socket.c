/* SPDX-License-Identifier: MIT */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "channel.h"
#include "handle.h"
#include "message.h"
#include "packet.h"
#include "parts.h"
#include "process.h"
#include "source.h"
#include "stream.h"

#define PIECE_MOST ((uint64_t)128 << 10) /* fits a socket's default buffer */
#define PACKETS_AT_ONCE 16u
#define JOIN_MOST ((uint64_t)4 << 10)    /* up to this a copy behind the head costs less than a second run of bytes */
#define COPY_MOST ((uint64_t)16 << 10)   /* up to this a message is copied to memory of its size; above, it keeps the buffer it came in */

/* ---- sending ---- */

/* With `first` unset the message has begun: the rest must follow, so an interrupt is left for the next call. */
static int send_piece(struct rill_endpoint *endpoint, const struct rill_piece *piece, const unsigned char *data, uint64_t size,
                      const rill_object *objects, unsigned object_count, int64_t deadline, bool first)
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
        int code = rill_port_send(endpoint->socket, runs, count, objects, object_count, block);
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

/* A message on its way out. The objects, no more than fit a packet, go with its first piece. */
struct outgoing {
    uint32_t flags;
    const unsigned char *data;
    uint64_t size;
    const rill_object *objects;
    unsigned object_count;
};

static int send_in_turn(struct rill_endpoint *endpoint, const struct outgoing *out, int64_t deadline)
{
    struct rill_piece piece = {.kind = RILL_PACKET_PIECE, .flags = out->flags, .sender = endpoint->stream, .total = out->size};
    int code = send_piece(endpoint, &piece, out->data, PIECE_MOST, out->objects, out->object_count, deadline, true);
    piece.offset = PIECE_MOST;
    while (code == RILL_OK && piece.offset < out->size) {
        uint64_t length = out->size - piece.offset < PIECE_MOST ? out->size - piece.offset : PIECE_MOST;
        code = send_piece(endpoint, &piece, out->data + piece.offset, length, NULL, 0, RILL_FOREVER, false);
        piece.offset += length;
    }
    return code;
}

static int send_pieces(struct rill_endpoint *endpoint, const struct outgoing *out, int64_t deadline)
{
    (void)pthread_mutex_lock(&endpoint->lock); /* one message of several pieces at a time: they are told apart by the process alone */
    int code = RILL_OK;
    if (!endpoint->stream && !rill_port_random(&endpoint->stream, sizeof endpoint->stream))
        code = RILL_ESYSTEM;
    if (code == RILL_OK)
        code = send_in_turn(endpoint, out, deadline);
    (void)pthread_mutex_unlock(&endpoint->lock);
    return code;
}

static int send_whole(struct rill_endpoint *endpoint, const struct outgoing *out, int64_t deadline)
{
    if (out->size > PIECE_MOST)
        return send_pieces(endpoint, out, deadline);
    struct rill_piece piece = {.kind = RILL_PACKET_PIECE, .flags = out->flags, .total = out->size};
    return send_piece(endpoint, &piece, out->data, out->size, out->objects, out->object_count, deadline, true);
}

static int send_gathered(struct rill_endpoint *endpoint, const struct rill_bytes *parts, size_t count, uint64_t size, int64_t deadline)
{
    unsigned char *whole = malloc(size ? (size_t)size : 1);
    if (!whole)
        return RILL_ENOMEM;
    rill_parts_copy(whole, parts, count);
    int code = send_whole(endpoint, &(struct outgoing){.data = whole, .size = size}, deadline);
    free(whole);
    return code;
}

static int count_sent(struct rill_endpoint *endpoint, uint64_t size, int code)
{
    if (code == RILL_OK) {
        atomic_fetch_add_explicit(&endpoint->messages, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&endpoint->bytes, size, memory_order_relaxed);
    }
    return code;
}

static bool is_closed(const struct rill_endpoint *endpoint)
{
    return atomic_load_explicit(&endpoint->core->page->closed, memory_order_acquire) != 0;
}

int rill_stream_send(struct rill_endpoint *endpoint, const struct rill_bytes *parts, size_t count, uint64_t size, int64_t deadline)
{
    if (is_closed(endpoint))
        return RILL_EBROKEN;
    int code = count == 1 ? send_whole(endpoint, &(struct outgoing){.data = parts->data, .size = size}, deadline)
                          : send_gathered(endpoint, parts, count, size, deadline);
    return count_sent(endpoint, size, code);
}

/* ---- sending handles ---- */

/* Once for each endpoint, before its first packet with objects (stream.h). Two threads may both do it. */
static int announce_objects(struct rill_endpoint *endpoint, int64_t deadline)
{
    if (atomic_load_explicit(&endpoint->announced, memory_order_acquire))
        return RILL_OK;
    struct rill_piece piece = {.kind = RILL_PACKET_OBJECTS_COME};
    int code = send_piece(endpoint, &piece, NULL, 0, NULL, 0, deadline, true);
    if (code == RILL_OK)
        atomic_store_explicit(&endpoint->announced, 1, memory_order_release); /* behind the packet: whoever sees it sends behind it */
    return code;
}

/* What stands in front of the message, and the message. NULL: no memory. */
static unsigned char *join_section(const struct rill_parcel *parcel, const struct rill_bytes *parts, size_t count, uint64_t size, uint64_t *total)
{
    struct rill_piece_section head = {
        .bytes = parcel->section_bytes, .handle_count = parcel->handle_count, .object_count = parcel->object_count};
    *total = sizeof head + head.bytes + size;
    unsigned char *body = *total <= SIZE_MAX / 2 ? malloc((size_t)*total) : NULL;
    if (!body)
        return NULL;
    memcpy(body, &head, sizeof head);
    memcpy(body + sizeof head, parcel->section, (size_t)head.bytes);
    rill_parts_copy(body + sizeof head + head.bytes, parts, count);
    return body;
}

#define BUNDLES_MOST 64u

/* Sockets with objects inside: their receiving ends. */
struct bundles {
    rill_object ends[BUNDLES_MOST];
    unsigned count;
};

static void close_bundles(struct bundles *bundles)
{
    for (unsigned i = 0; i < bundles->count; i++)
        rill_port_close(bundles->ends[i]);
}

/* Puts objects in until all are, or the socket is full. */
static int fill_bundle(rill_object end, const struct rill_parcel *parcel, uint32_t *done)
{
    static const char byte = 0;
    struct rill_run_of_bytes run = {.data = &byte, .size = sizeof byte};
    int code = RILL_OK;
    while (code == RILL_OK && *done < parcel->object_count) {
        uint32_t left = parcel->object_count - *done;
        unsigned with = left < RILL_PACKET_OBJECTS ? left : RILL_PACKET_OBJECTS;
        code = rill_port_send(end, &run, 1, parcel->objects + *done, with, false);
        if (code == RILL_OK)
            *done += with;
    }
    return code == RILL_EFULL ? RILL_OK : code;
}

static int bundle(const struct rill_parcel *parcel, struct bundles *bundles)
{
    uint32_t done = 0;
    int code = RILL_OK;
    for (bundles->count = 0; code == RILL_OK && done < parcel->object_count;) {
        rill_object pair[2];
        if (bundles->count == BUNDLES_MOST)
            code = RILL_EINFLIGHT;
        else
            code = rill_port_pair(pair);
        if (code != RILL_OK)
            break;
        bundles->ends[bundles->count++] = pair[1];
        code = fill_bundle(pair[0], parcel, &done);
        rill_port_close(pair[0]);
    }
    if (code != RILL_OK)
        close_bundles(bundles);
    return code;
}

static int send_objects(struct rill_endpoint *endpoint, struct outgoing *out, const struct rill_parcel *parcel, int64_t deadline)
{
    struct bundles bundles;
    int code = parcel->object_count ? announce_objects(endpoint, deadline) : RILL_OK;
    if (code != RILL_OK || parcel->object_count <= RILL_PACKET_OBJECTS) {
        out->objects = parcel->objects;
        out->object_count = parcel->object_count;
        return code == RILL_OK ? send_whole(endpoint, out, deadline) : code;
    }
    code = bundle(parcel, &bundles);
    if (code != RILL_OK)
        return code;
    out->flags |= RILL_PIECE_BUNDLED;
    out->objects = bundles.ends;
    out->object_count = bundles.count;
    code = send_whole(endpoint, out, deadline);
    close_bundles(&bundles);
    return code;
}

int rill_stream_send_parcel(struct rill_endpoint *endpoint, const struct rill_bytes *parts, size_t count, uint64_t size,
                            const struct rill_parcel *parcel, int64_t deadline)
{
    if (is_closed(endpoint))
        return RILL_EBROKEN;
    struct outgoing out = {.flags = RILL_PIECE_HANDLES};
    unsigned char *body = join_section(parcel, parts, count, size, &out.size);
    if (!body)
        return RILL_ENOMEM;
    out.data = body;
    int code = send_objects(endpoint, &out, parcel, deadline);
    free(body);
    return count_sent(endpoint, size, code);
}

/* ---- receiving ---- */

/* A message of several pieces that is not complete yet, or any message with handles. */
struct assembly {
    uint64_t sender;
    uint64_t filled;
    rill_message *message; /* its size is the total */
    uint32_t flags;
    uint32_t object_most;  /* so many belong to the message */
    uint32_t object_count;
    rill_object *objects;  /* those, or while it is not complete the sockets in which they wait */
    uint32_t bundle_count;
    rill_object *bundles;  /* when it is complete: the sockets that may still hold some */
    struct assembly *next;
};

struct rill_stream {
    struct rill_page *page;
    rill_object socket;
    uint64_t max_message;
    uint32_t max_objects;
    uint32_t max_assemblies, assembly_count;
    struct assembly *assemblies; /* the one that grew last is first: the next piece is received right into it */
    struct assembly *finished;   /* one with handles that is complete and becomes the next message */
    rill_message *ready;         /* the next message */
    rill_message *buffer;        /* where a packet goes that continues nothing: head and PIECE_MOST bytes */
    struct rill_piece head;      /* of the packet that was received last, */
    uint64_t length;             /* its bytes, */
    unsigned char *place;        /* where they lie; NULL: it has been dealt with */
    struct assembly *stale;      /* given up for a new one, but they may lie in it */
    rill_object *objects;        /* and room for its objects; NULL: no packet has any yet */
    unsigned object_count;
    uint32_t faults;
    bool disconnected;
    bool drained;                /* the socket was empty when last asked: what comes later makes it readable */
};

int rill_stream_create(struct rill_page *page, rill_object socket, struct rill_stream **stream)
{
    struct rill_stream *made = calloc(1, sizeof *made);
    if (!made)
        return RILL_ENOMEM;
    made->page = page;
    made->socket = socket;
    made->max_message = page->max_message ? page->max_message : SIZE_MAX / 2;
    made->max_objects = page->max_objects ? page->max_objects : RILL_OBJECTS_MOST;
    made->max_assemblies = page->max_lanes ? page->max_lanes : 16384;
    *stream = made;
    return RILL_OK;
}

static void free_assembly(struct assembly *assembly)
{
    for (uint32_t i = 0; i < assembly->object_count; i++)
        rill_port_close(assembly->objects[i]);
    for (uint32_t i = 0; i < assembly->bundle_count; i++)
        rill_port_close(assembly->bundles[i]);
    free(assembly->objects);
    free(assembly->bundles);
    if (assembly->message)
        rill_message_free(assembly->message);
    free(assembly);
}

static void unlink_assembly(struct rill_stream *stream, struct assembly *assembly)
{
    struct assembly **link = &stream->assemblies;
    while (*link != assembly)
        link = &(*link)->next;
    *link = assembly->next;
    stream->assembly_count--;
}

static void drop_assembly(struct rill_stream *stream, struct assembly *assembly)
{
    unlink_assembly(stream, assembly);
    free_assembly(assembly);
}

/* Those of the last packet that nobody took. */
static void close_objects(struct rill_stream *stream)
{
    for (unsigned i = 0; i < stream->object_count; i++)
        rill_port_close(stream->objects[i]);
    stream->object_count = 0;
}

/* From now on packets are asked for their objects. */
static int expect_objects(struct rill_stream *stream)
{
    if (!stream->objects)
        stream->objects = malloc(RILL_PACKET_OBJECTS * sizeof *stream->objects);
    if (!stream->objects)
        return RILL_ENOMEM;
    atomic_store_explicit(&stream->page->objects_come, 1, memory_order_relaxed); /* seen by the child through the page's `reader` */
    return RILL_OK;
}

int rill_stream_inherit(struct rill_stream *stream)
{
    return atomic_load_explicit(&stream->page->objects_come, memory_order_relaxed) ? expect_objects(stream) : RILL_OK;
}

static struct assembly *find_assembly(struct rill_stream *stream, uint64_t sender)
{
    struct assembly *found = stream->assemblies;
    while (found && found->sender != sender)
        found = found->next;
    return found;
}

static struct assembly *new_assembly(uint64_t sender, uint64_t total, uint32_t flags)
{
    struct assembly *made = calloc(1, sizeof *made);
    if (made && !(made->message = rill_message_make(total))) {
        free(made);
        made = NULL;
    }
    if (!made)
        return NULL;
    made->sender = sender;
    made->flags = flags;
    return made;
}

static void link_assembly(struct rill_stream *stream, struct assembly *assembly)
{
    assembly->next = stream->assemblies;
    stream->assemblies = assembly;
    stream->assembly_count++;
}

/* The packet at hand may lie in it, if it was the one that grew last. */
static void give_up(struct rill_stream *stream, struct assembly *assembly)
{
    if (assembly && stream->stale) {
        drop_assembly(stream, assembly); /* made for this packet, before memory ran out */
    } else if (assembly) {
        unlink_assembly(stream, assembly);
        stream->stale = assembly;
    }
}

static void free_stale(struct rill_stream *stream)
{
    if (stream->stale)
        free_assembly(stream->stale);
    stream->stale = NULL;
}

void rill_stream_destroy(struct rill_stream *stream)
{
    while (stream->assemblies)
        drop_assembly(stream, stream->assemblies);
    if (stream->finished)
        free_assembly(stream->finished);
    free_stale(stream);
    if (stream->ready)
        rill_message_free(stream->ready);
    if (stream->buffer)
        rill_message_free(stream->buffer);
    close_objects(stream);
    free(stream->objects);
    free(stream);
}

/* What the first piece says of the handles. */
static int read_front(const struct rill_stream *stream, struct rill_piece_section *section)
{
    const struct rill_piece *head = &stream->head;
    if (stream->length < sizeof *section)
        return RILL_EPEER;
    memcpy(section, stream->place, sizeof *section);
    bool sound = section->object_count <= stream->max_objects && section->bytes <= RILL_SECTION_MOST &&
                 section->bytes <= head->total - sizeof *section;
    bool complete = head->flags & RILL_PIECE_BUNDLED ? stream->object_count <= section->object_count : stream->object_count == section->object_count;
    return sound && complete ? RILL_OK : RILL_EPEER;
}

/* Takes over the packet's objects. RILL_ENOMEM: they are where they were. */
static int take_objects(struct rill_stream *stream, struct assembly *assembly)
{
    if (stream->object_count == 0)
        return RILL_OK;
    uint64_t sum = (uint64_t)assembly->object_count + stream->object_count;
    rill_object *larger = realloc(assembly->objects, sum * sizeof *larger);
    if (!larger)
        return RILL_ENOMEM;
    memcpy(larger + assembly->object_count, stream->objects, stream->object_count * sizeof *larger);
    assembly->objects = larger;
    assembly->object_count = (uint32_t)sum;
    stream->object_count = 0;
    return RILL_OK;
}

/* A new message begins; what its sender had begun before it will never be finished. */
static int begin_assembly(struct rill_stream *stream, struct assembly **begun)
{
    const struct rill_piece *head = &stream->head;
    struct rill_piece_section section = {0};
    give_up(stream, find_assembly(stream, head->sender));
    if (stream->assembly_count >= stream->max_assemblies)
        return RILL_EPEER;
    int code = head->flags ? read_front(stream, &section) : RILL_OK;
    if (code != RILL_OK)
        return code;
    struct assembly *made = new_assembly(head->sender, head->total, head->flags);
    if (!made)
        return RILL_ENOMEM;
    code = take_objects(stream, made);
    if (code != RILL_OK) {
        free_assembly(made);
        return code;
    }
    made->object_most = section.object_count;
    link_assembly(stream, made);
    *begun = made;
    return RILL_OK;
}

static void move_to_front(struct rill_stream *stream, struct assembly *assembly)
{
    unlink_assembly(stream, assembly);
    link_assembly(stream, assembly);
}

static bool is_complete(const struct assembly *assembly)
{
    return assembly->filled == assembly->message->size;
}

/* Takes a complete one out: it is the next message, or will be when its handles have been looked at. */
static void complete(struct rill_stream *stream, struct assembly *assembly)
{
    unlink_assembly(stream, assembly);
    if (assembly->flags) {
        stream->finished = assembly;
        return;
    }
    stream->ready = assembly->message;
    assembly->message = NULL;
    free_assembly(assembly);
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
    if (!assembly)
        return RILL_EPEER;
    if (assembly->filled != head->offset || assembly->message->size != head->total || assembly->flags != head->flags || stream->object_count) {
        drop_assembly(stream, assembly);
        return RILL_EPEER;
    }
    unsigned char *target = rill_message_bytes(assembly->message) + assembly->filled;
    if (target != stream->place && stream->length)
        memcpy(target, stream->place, stream->length);
    assembly->filled += stream->length;
    move_to_front(stream, assembly);
    if (is_complete(assembly))
        complete(stream, assembly);
    return RILL_OK;
}

/* One packet of objects out of the first socket; an empty one is closed. */
static int take_from_bundle(struct rill_stream *stream, struct assembly *assembly)
{
    char byte;
    struct rill_packet packet = {.data = {&byte}, .capacity = {sizeof byte}};
    if (assembly->bundle_count == 0 || !rill_port_packets_check(assembly->bundles[0]))
        return RILL_EPEER;
    int code = rill_port_receive_objects(assembly->bundles[0], RILL_NO_OBJECT, RILL_NOW, &packet, stream->objects, &stream->object_count);
    if (code == RILL_EEMPTY || code == RILL_EDISCONNECTED) {
        rill_port_close(assembly->bundles[0]);
        memmove(assembly->bundles, assembly->bundles + 1, --assembly->bundle_count * sizeof *assembly->bundles);
        return RILL_OK;
    }
    if (code != RILL_OK)
        return code == RILL_ENOFD || code == RILL_ENOMEM ? code : RILL_EPEER;
    return stream->object_count && stream->object_count <= assembly->object_most - assembly->object_count ? RILL_OK : RILL_EPEER;
}

/* Gets the objects out of the sockets that came for them. RILL_ENOFD, RILL_ENOMEM: what came out so far stays. */
static int unbundle(struct rill_stream *stream, struct assembly *assembly)
{
    if (!assembly->bundles) {
        assembly->bundles = assembly->objects;
        assembly->bundle_count = assembly->object_count;
        assembly->objects = NULL;
        assembly->object_count = 0;
    }
    int code = take_objects(stream, assembly); /* for which memory was short */
    while (code == RILL_OK && assembly->object_count < assembly->object_most) {
        code = take_from_bundle(stream, assembly);
        if (code == RILL_OK)
            code = take_objects(stream, assembly);
    }
    return code;
}

static int read_handles(struct rill_stream *stream, struct assembly *assembly)
{
    struct rill_piece_section section; /* private memory: what read_front checked */
    unsigned char *bytes = rill_message_bytes(assembly->message);
    memcpy(&section, bytes, sizeof section);
    uint64_t front = sizeof section + section.bytes;
    if (assembly->message->size - front > stream->max_message)
        return RILL_EPEER;
    int code = assembly->flags & RILL_PIECE_BUNDLED ? unbundle(stream, assembly) : RILL_OK;
    if (code == RILL_OK)
        code = rill_attachment_make(bytes + sizeof section, section.bytes, assembly->objects, assembly->object_count, section.handle_count, NULL,
                                    &assembly->message->attached);
    if (code != RILL_OK)
        return code;
    assembly->object_count = 0; /* they are the message's */
    assembly->message->data = bytes + front;
    assembly->message->size -= front;
    return RILL_OK;
}

/* A message with handles is complete. RILL_ENOMEM, RILL_ENOFD: it stays, for the next call. */
static int finish(struct rill_stream *stream)
{
    struct assembly *assembly = stream->finished;
    int code = read_handles(stream, assembly);
    if (code == RILL_ENOMEM || code == RILL_ENOFD)
        return code;
    if (code == RILL_OK) {
        stream->ready = assembly->message;
        assembly->message = NULL;
    } else {
        stream->faults++;
    }
    free_assembly(assembly);
    close_objects(stream);
    stream->finished = NULL;
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

static bool flags_are_sound(uint32_t flags)
{
    return flags == 0 || flags == RILL_PIECE_HANDLES || flags == (RILL_PIECE_HANDLES | RILL_PIECE_BUNDLED);
}

static bool total_is_sound(const struct rill_stream *stream, uint32_t flags, uint64_t total)
{
    uint64_t front = flags ? sizeof(struct rill_piece_section) + RILL_SECTION_MOST : 0;
    return total <= SIZE_MAX / 2 && (total <= front || total - front <= stream->max_message);
}

static bool piece_is_sound(const struct rill_stream *stream)
{
    const struct rill_piece *head = &stream->head;
    return flags_are_sound(head->flags) && (head->flags || !stream->object_count) && total_is_sound(stream, head->flags, head->total) &&
           head->offset <= head->total && stream->length <= head->total - head->offset && (stream->length || !head->total);
}

static int take_piece(struct rill_stream *stream)
{
    if (!piece_is_sound(stream))
        return RILL_EPEER;
    return stream->length == stream->head.total && !stream->head.flags ? take_whole(stream) : add_piece(stream);
}

/* Deals with the packet that was received. For lack of memory it stays, to be dealt with at the next call. */
static int deal_with_packet(struct rill_stream *stream)
{
    int code = RILL_EPEER;
    if (stream->head.kind == RILL_PACKET_PIECE)
        code = take_piece(stream);
    else if (stream->head.kind == RILL_PACKET_OBJECTS_COME)
        code = expect_objects(stream);
    if (code == RILL_ENOMEM)
        return code;
    stream->place = NULL;
    free_stale(stream);
    close_objects(stream);
    if (code == RILL_EPEER)
        stream->faults++;
    return stream->finished ? finish(stream) : RILL_OK;
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

static int receive_raw(struct rill_stream *stream, rill_object event, int64_t deadline, struct rill_packet *packet)
{
    int code = prepare_place(stream, packet);
    if (code != RILL_OK)
        return code;
    return stream->objects ? rill_port_receive_objects(stream->socket, event, deadline, packet, stream->objects, &stream->object_count)
                           : rill_port_receive(stream->socket, event, deadline, packet);
}

/* Receives one packet and deals with it. RILL_EEMPTY, RILL_ETIMEDOUT, RILL_EINTERRUPTED, RILL_EDISCONNECTED … */
static int receive_packet(struct rill_stream *stream, rill_object event, int64_t deadline)
{
    if (stream->finished)
        return finish(stream);
    if (stream->place)
        return deal_with_packet(stream);
    struct rill_packet packet;
    int code = receive_raw(stream, event, deadline, &packet);
    stream->drained = code == RILL_EEMPTY;
    if (code == RILL_EDISCONNECTED)
        stream->disconnected = true;
    if (code != RILL_OK)
        return code;
    if (packet.size < sizeof stream->head || packet.truncated) {
        close_objects(stream);
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

static void untold_fault(void *state, int code)
{
    struct rill_stream *stream = state;
    (void)code; /* there is only RILL_EPEER */
    stream->faults++;
}

/* Has `next` anything to say? */
static bool has_next(const struct rill_stream *stream)
{
    return stream->ready || stream->faults || stream->disconnected;
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

static int take_into(void *state, void *buffer)
{
    struct rill_stream *stream = state;
    if (stream->ready->size)
        memcpy(buffer, stream->ready->data, stream->ready->size);
    rill_message_free(stream->ready);
    stream->ready = NULL;
    return RILL_OK;
}

static bool stirs(const void *state)
{
    (void)state;
    return false; /* only the system knows */
}

/* Up to `most` packets, until they make a message. */
static int absorb_packets(struct rill_stream *stream, unsigned most)
{
    int code = RILL_OK;
    for (; most && code == RILL_OK && !has_next(stream); most--)
        code = receive_packet(stream, RILL_NO_OBJECT, RILL_NOW);
    return code == RILL_EEMPTY ? RILL_OK : code;
}

static int absorb(void *state)
{
    return absorb_packets(state, UINT_MAX);
}

/* In a set the others have their turn between the pieces of a large message; arming goes on with it. */
static int arrived(void *state)
{
    int code = absorb_packets(state, PACKETS_AT_ONCE);
    return code == RILL_EDISCONNECTED ? RILL_OK : code;
}

static int arm(void *state)
{
    struct rill_stream *stream = state;
    if (stream->drained)
        return RILL_OK;
    int code = absorb_packets(stream, PACKETS_AT_ONCE);
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

/* ---- moving ----
 * A blob of a struct stream_state, so many struct stream_entry, and the bytes of each: or these in a memory object, the first of the objects, if they are
 * many. The objects of the entries follow in order. The entries are the next message, if it is there, and what has begun. */

#define BLOB_MOST ((uint64_t)16 << 10)

struct stream_state {
    uint32_t objects_come;
    uint32_t faults;
    uint32_t entry_count;
    uint32_t in_memory;
};

struct stream_entry {
    uint64_t sender;
    uint64_t total, filled;
    uint32_t flags;
    uint32_t object_most, object_count;
    uint32_t reserved;
};

/* One of them as it is sent. */
struct leaving_entry {
    struct stream_entry entry;
    const unsigned char *bytes;
    const rill_object *objects;
};

static struct leaving_entry leaving_assembly(const struct assembly *assembly)
{
    return (struct leaving_entry){
        .entry = {.sender = assembly->sender,
                  .total = assembly->message->size,
                  .filled = assembly->filled,
                  .flags = assembly->flags,
                  .object_most = assembly->object_most,
                  .object_count = assembly->object_count},
        .bytes = rill_message_bytes(assembly->message),
        .objects = assembly->objects,
    };
}

/* With handles it goes as it came, with all that stands in front of its bytes. */
static struct leaving_entry leaving_message(const rill_message *message)
{
    const struct rill_attachment *attached = message->attached;
    const unsigned char *bytes = attached ? (const unsigned char *)(message + 1) : message->data;
    uint64_t size = message->size + (uint64_t)(message->data - bytes);
    uint32_t count = attached ? attached->object_count : 0;
    return (struct leaving_entry){
        .entry = {.total = size, .filled = size, .flags = attached ? RILL_PIECE_HANDLES : 0, .object_most = count, .object_count = count},
        .bytes = bytes,
        .objects = attached ? attached->objects : NULL,
    };
}

static uint32_t list_entries(const struct rill_stream *stream, struct leaving_entry *list)
{
    uint32_t count = 0;
    if (stream->ready)
        list[count++] = leaving_message(stream->ready);
    for (const struct assembly *each = stream->assemblies; each; each = each->next)
        list[count++] = leaving_assembly(each);
    return count;
}

static int pack_in_memory(const struct leaving_entry *list, uint32_t count, uint64_t bytes, struct rill_parcel *parcel)
{
    rill_object memory;
    void *address;
    uint64_t size = (bytes + RILL_PAGE_BYTES - 1) & ~(RILL_PAGE_BYTES - 1);
    int code = rill_port_memory_create(size, false, &memory);
    if (code != RILL_OK)
        return code;
    code = rill_parcel_own_object(parcel, memory);
    if (code != RILL_OK) {
        rill_port_close(memory);
        return code;
    }
    code = rill_port_memory_map(memory, 0, size, NULL, &address);
    if (code != RILL_OK)
        return code;
    unsigned char *place = address;
    for (uint32_t i = 0; i < count; i++) {
        if (list[i].entry.filled)
            memcpy(place, list[i].bytes, (size_t)list[i].entry.filled);
        place += list[i].entry.filled;
    }
    rill_port_memory_unmap(address, size);
    return rill_parcel_add_object(parcel, memory);
}

static int pack_entries(const struct rill_stream *stream, const struct leaving_entry *list, uint32_t count, struct rill_parcel *parcel,
                        struct rill_blob *blob)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < count; i++)
        bytes += list[i].entry.filled;
    struct stream_state state = {
        .objects_come = stream->objects != NULL, .faults = stream->faults, .entry_count = count, .in_memory = bytes > BLOB_MOST};
    int code = rill_blob_add(blob, &state, sizeof state);
    for (uint32_t i = 0; i < count && code == RILL_OK; i++)
        code = rill_blob_add(blob, &list[i].entry, sizeof list[i].entry);
    if (code == RILL_OK && state.in_memory)
        code = pack_in_memory(list, count, bytes, parcel);
    for (uint32_t i = 0; i < count && code == RILL_OK; i++) {
        if (!state.in_memory)
            code = rill_blob_add(blob, list[i].bytes, list[i].entry.filled);
        for (uint32_t k = 0; k < list[i].entry.object_count && code == RILL_OK; k++)
            code = rill_parcel_add_object(parcel, list[i].objects[k]);
    }
    return code;
}

static int pack(void *state, struct rill_parcel *parcel, struct rill_blob *blob)
{
    struct rill_stream *stream = state;
    int code = stream->place || stream->finished ? receive_packet(stream, RILL_NO_OBJECT, RILL_NOW) : RILL_OK; /* what memory was short for */
    if (code != RILL_OK || (!stream->objects && !stream->faults && !stream->ready && !stream->assemblies))
        return code;
    struct leaving_entry *list = malloc((stream->assembly_count + 1) * sizeof *list);
    if (!list)
        return RILL_ENOMEM;
    code = pack_entries(stream, list, list_entries(stream, list), parcel, blob);
    free(list);
    return code;
}

/* What is still to be read of what came. */
struct arriving {
    const unsigned char *entries;
    uint32_t entry_count;
    const unsigned char *bytes; /* in the blob, or mapped */
    uint64_t byte_count;
    rill_object *objects;
    uint32_t object_count;
};

static bool entry_is_sound(const struct rill_stream *stream, const struct stream_entry *entry, const struct arriving *left)
{
    bool objects = entry->flags & RILL_PIECE_BUNDLED ? entry->object_count <= entry->object_most : entry->object_count == entry->object_most;
    return flags_are_sound(entry->flags) && total_is_sound(stream, entry->flags, entry->total) && objects &&
           entry->object_most <= (entry->flags ? RILL_OBJECTS_MOST : 0) && entry->object_count <= left->object_count &&
           entry->filled >= (entry->flags ? sizeof(struct rill_piece_section) : 0) && entry->filled <= entry->total &&
           entry->filled <= left->byte_count;
}

/* What stands in front of the message must be as it was when it came. */
static bool section_is_sound(const struct assembly *assembly)
{
    struct rill_piece_section section;
    if (!assembly->flags)
        return true;
    memcpy(&section, rill_message_bytes(assembly->message), sizeof section);
    return section.object_count == assembly->object_most && section.bytes <= RILL_SECTION_MOST &&
           section.bytes <= assembly->message->size - sizeof section;
}

/* The objects stay the caller's until all has been read. */
static int unpack_entry(struct rill_stream *stream, struct arriving *left)
{
    struct stream_entry entry;
    memcpy(&entry, left->entries, sizeof entry);
    if (!entry_is_sound(stream, &entry, left) || stream->assembly_count > stream->max_assemblies)
        return RILL_EPEER;
    if (entry.flags && expect_objects(stream) != RILL_OK)
        return RILL_ENOMEM;
    struct assembly *made = new_assembly(entry.sender, entry.total, entry.flags);
    if (!made)
        return RILL_ENOMEM;
    link_assembly(stream, made);
    made->object_most = entry.object_most;
    made->filled = entry.filled;
    made->objects = malloc((entry.object_count ? entry.object_count : 1) * sizeof *made->objects);
    if (!made->objects)
        return RILL_ENOMEM;
    if (entry.filled)
        memcpy(rill_message_bytes(made->message), left->bytes, (size_t)entry.filled);
    if (entry.object_count)
        memcpy(made->objects, left->objects, entry.object_count * sizeof *made->objects);
    made->object_count = entry.object_count;
    left->entries += sizeof entry;
    left->bytes += entry.filled;
    left->byte_count -= entry.filled;
    left->objects += entry.object_count;
    left->object_count -= entry.object_count;
    return section_is_sound(made) ? RILL_OK : RILL_EPEER;
}

/* The list came in the order in which it is to be, and linking turned it round. */
static void turn_round(struct rill_stream *stream)
{
    struct assembly *turned = NULL;
    for (struct assembly *each = stream->assemblies, *next; each; each = next) {
        next = each->next;
        each->next = turned;
        turned = each;
    }
    stream->assemblies = turned;
}

/* Only one can be complete, and it is the first. */
static int settle_entries(struct rill_stream *stream)
{
    turn_round(stream);
    for (const struct assembly *each = stream->assemblies; each; each = each->next)
        if (each != stream->assemblies && is_complete(each))
            return RILL_EPEER;
    if (stream->assemblies && is_complete(stream->assemblies))
        complete(stream, stream->assemblies);
    return RILL_OK;
}

static int unpack_entries(struct rill_stream *stream, struct arriving *left)
{
    int code = RILL_OK;
    for (uint32_t i = 0; i < left->entry_count && code == RILL_OK; i++)
        code = unpack_entry(stream, left);
    if (code == RILL_OK && left->object_count)
        code = RILL_EPEER;
    return code == RILL_OK ? settle_entries(stream) : code;
}

/* As it was made; the objects are the caller's. */
static void forget_entries(struct rill_stream *stream)
{
    while (stream->assemblies) {
        stream->assemblies->object_count = 0;
        drop_assembly(stream, stream->assemblies);
    }
}

static int map_bytes(rill_object memory, void **address, uint64_t *size)
{
    int code = rill_port_memory_check(memory, false);
    if (code == RILL_OK)
        code = rill_port_memory_size(memory, size);
    if (code != RILL_OK || *size == 0 || *size > rill_port_memory_total())
        return code == RILL_OK ? RILL_EPEER : code;
    return rill_port_memory_map(memory, 0, *size, NULL, address);
}

static int unpack_all(struct rill_stream *stream, const struct stream_state *state, struct arriving *left)
{
    void *mapped = NULL;
    uint64_t size = 0;
    int code = RILL_OK;
    if (state->in_memory) {
        if (left->object_count == 0)
            return RILL_EPEER;
        code = map_bytes(left->objects[0], &mapped, &size);
        left->objects++;
        left->object_count--;
        left->bytes = mapped;
        left->byte_count = size;
    }
    if (code == RILL_OK)
        code = unpack_entries(stream, left);
    if (mapped)
        rill_port_memory_unmap(mapped, size);
    return code;
}

static int unpack(void *target, const unsigned char *bytes, uint64_t size, rill_object *objects, uint32_t count)
{
    struct rill_stream *stream = target;
    struct stream_state state;
    if (size < sizeof state)
        return RILL_EPEER;
    memcpy(&state, bytes, sizeof state);
    if (state.entry_count > (size - sizeof state) / sizeof(struct stream_entry))
        return RILL_EPEER;
    uint64_t front = sizeof state + state.entry_count * sizeof(struct stream_entry);
    struct arriving left = {.entries = bytes + sizeof state, .entry_count = state.entry_count, .bytes = bytes + front, .byte_count = size - front,
                            .objects = objects, .object_count = count};
    int code = state.objects_come ? expect_objects(stream) : RILL_OK;
    if (code == RILL_OK)
        code = unpack_all(stream, &state, &left);
    if (code != RILL_OK) {
        forget_entries(stream);
        return code;
    }
    stream->faults = state.faults;
    for (uint32_t i = state.in_memory ? 1 : 0; i < count; i++)
        objects[i] = RILL_NO_OBJECT;
    return RILL_OK;
}

const struct rill_source rill_stream_source = {
    .next = next_message,
    .untold = untold_fault,
    .size = size_of_next,
    .take = take,
    .take_into = take_into,
    .stirs = stirs,
    .absorb = absorb,
    .arrived = arrived,
    .arm = arm,
    .sleep = sleep_until,
    .pack = pack,
    .unpack = unpack,
};
