/* SPDX-License-Identifier: MIT */
/*
 * How receivers travel: the socket, the control page, the name under which this process receives, and what the transport holds of the queue
 * (source.h).
 *
 * The name goes along and stays in the page, so there is no moment at which a third process could claim the queue; a message that is lost with
 * its sender leaves a name that nobody has, and a channel that nobody can receive on, which is what it is. Whoever opens it exchanges the name for a
 * new one: of two processes that share the message over a fork, one finds the name that came.
 */
#include <stdlib.h>
#include <string.h>

#include "channel.h"
#include "handle.h"
#include "process.h"
#include "reuse.h"
#include "share.h"
#include "source.h"

#define RECEIVER_OBJECTS 2u /* the first ones; the transport's follow */

/* The transport's bytes follow. */
struct receiver_description {
    uint32_t transport;
    uint32_t reserved;
    uint64_t reader; /* as in the page; 0: nobody has received yet */
    uint64_t messages, bytes, wakeups, waits;
    uint64_t state_bytes;
};

/* ---- leaving ---- */

static int check(const rill_receiver *receiver)
{
    if (!rill_is_receiver(receiver) || receiver->leaving)
        return RILL_EINVAL;
    return rill_receiver_idle(receiver);
}

/* Is it this process's to give away? */
static int check_owner(rill_receiver *receiver)
{
    if (receiver->owner != atomic_load_explicit(&rill_generation, memory_order_relaxed))
        return rill_receiver_settle(receiver);
    bool claimed = atomic_load_explicit(&receiver->core->page->reader, memory_order_acquire) & 1;
    return !receiver->reader && claimed ? RILL_EBUSY : RILL_OK;
}

static int describe(const rill_receiver *receiver, struct rill_blob *blob)
{
    struct receiver_description description = {
        .transport = receiver->transport,
        .reader = receiver->reader,
        .messages = receiver->messages,
        .bytes = receiver->bytes,
        .wakeups = receiver->wakeups,
        .waits = receiver->waits,
    };
    return rill_blob_add(blob, &description, sizeof description);
}

static int pack_state(rill_receiver *receiver, struct rill_parcel *parcel, struct rill_blob *blob)
{
    if (!receiver->source->pack)
        return receiver->reader ? RILL_ENOTSUP : RILL_OK;
    int code = receiver->source->pack(receiver->state, parcel, blob);
    uint64_t bytes = blob->size - sizeof(struct receiver_description);
    if (code == RILL_OK)
        memcpy(blob->bytes + offsetof(struct receiver_description, state_bytes), &bytes, sizeof bytes);
    return code;
}

static int add_objects_and_state(rill_receiver *receiver, struct rill_parcel *parcel, struct rill_blob *blob)
{
    int code = rill_parcel_add_object(parcel, receiver->socket);
    if (code == RILL_OK)
        code = rill_parcel_add_object(parcel, receiver->core->memory);
    return code == RILL_OK ? pack_state(receiver, parcel, blob) : code;
}

static int become_shared(rill_receiver *receiver)
{
    int code = rill_queue_share(receiver->queue);
    return code == RILL_OK ? rill_receiver_go_over(receiver) : code;
}

static int pack_receiver(struct rill_handle *handle, struct rill_parcel *parcel)
{
    rill_receiver *receiver = handle->as.receiver;
    int code = check(receiver);
    if (code == RILL_OK && receiver->transport == RILL_INPROC)
        code = become_shared(receiver);
    if (code == RILL_OK) {
        rill_receiver_settle_streak(receiver);
        code = check_owner(receiver);
    }
    if (code != RILL_OK)
        return code;
    rill_birth_settle(receiver->birth);
    rill_page_spread(receiver->birth, receiver->core);
    struct rill_blob blob = {0};
    uint32_t before = parcel->object_count;
    code = describe(receiver, &blob);
    if (code == RILL_OK)
        code = add_objects_and_state(receiver, parcel, &blob);
    if (code == RILL_OK)
        code = rill_parcel_describe(parcel, RILL_HANDLE_RECEIVER, parcel->object_count - before, blob.bytes, blob.size);
    free(blob.bytes);
    if (code == RILL_OK) {
        receiver->leaving = true;
        atomic_store_explicit(&receiver->busy, 1, memory_order_relaxed);
    }
    return code;
}

static void undo_receiver(struct rill_handle *handle)
{
    handle->as.receiver->leaving = false;
    atomic_store_explicit(&handle->as.receiver->busy, 0, memory_order_relaxed);
}

static void sent_receiver(struct rill_handle *handle)
{
    rill_receiver *receiver = handle->as.receiver;
    if (receiver->source->moved)
        receiver->source->moved(receiver->state);
    rill_receiver_dispose(receiver, false); /* the name in the page is the new holder's now */
}

static int hold_receiver(const struct rill_handle *handle, struct rill_handle *copy)
{
    int code = check(handle->as.receiver);
    if (code == RILL_OK)
        *copy = *handle;
    return code;
}

/* ---- arriving ---- */

static int read_description(const struct rill_traveller *traveller, struct receiver_description *description)
{
    if (traveller->object_count < RECEIVER_OBJECTS || traveller->bytes < sizeof *description)
        return RILL_EPEER;
    memcpy(description, traveller->description, sizeof *description);
    return description->state_bytes <= traveller->bytes - sizeof *description ? RILL_OK : RILL_EPEER;
}

static int unpack_state(rill_receiver *receiver, const struct receiver_description *description, struct rill_traveller *traveller)
{
    uint32_t count = traveller->object_count - RECEIVER_OBJECTS;
    if (!receiver->source->unpack || (!description->state_bytes && !count))
        return description->state_bytes || count ? RILL_EPEER : RILL_OK;
    return receiver->source->unpack(receiver->state, traveller->description + sizeof *description, description->state_bytes,
                                    traveller->objects + RECEIVER_OBJECTS, count);
}

/* Leaves the objects to the caller. */
static void unmake(rill_receiver *receiver)
{
    receiver->socket = RILL_NO_OBJECT;
    receiver->core->memory = RILL_NO_OBJECT;
    rill_receiver_dispose(receiver, false);
}

static int make_receiver(rill_object objects[RECEIVER_OBJECTS], rill_receiver **receiver)
{
    struct rill_core *core;
    int code = rill_core_open(objects[1], &core);
    if (code != RILL_OK)
        return code;
    code = rill_port_packets_check(objects[0]) ? rill_receiver_make(core, objects[0], receiver) : RILL_EPEER;
    if (code != RILL_OK) {
        core->memory = RILL_NO_OBJECT;
        rill_core_release(core);
    }
    return code;
}

/* Exchanges the name in the page for one of this process's. RILL_EBUSY: another process has done that. */
static int take_over(rill_receiver *receiver, uint64_t reader)
{
    uint64_t name;
    if (reader == 0)
        return RILL_OK; /* the first receive finds out */
    if (!rill_port_random(&name, sizeof name))
        return RILL_ESYSTEM;
    name |= 1;
    if (!atomic_compare_exchange_strong_explicit(&receiver->core->page->reader, &reader, name, memory_order_acq_rel, memory_order_acquire))
        return RILL_EBUSY;
    receiver->reader = name;
    return RILL_OK;
}

static void hand_back(rill_receiver *receiver, uint64_t reader)
{
    if (receiver->reader)
        atomic_store_explicit(&receiver->core->page->reader, reader, memory_order_release);
}

static int fill_receiver(rill_receiver *receiver, const struct receiver_description *description, struct rill_traveller *traveller)
{
    if (receiver->transport != description->transport)
        return RILL_EPEER;
    int code = take_over(receiver, description->reader);
    if (code != RILL_OK)
        return code;
    code = unpack_state(receiver, description, traveller);
    if (code != RILL_OK)
        hand_back(receiver, description->reader);
    return code;
}

static int open_receiver(struct rill_traveller *traveller, struct rill_handle *handle)
{
    struct receiver_description description;
    rill_receiver *made;
    int code = rill_process_prepare();
    if (code == RILL_OK)
        code = read_description(traveller, &description);
    if (code == RILL_OK)
        code = make_receiver(traveller->objects, &made);
    if (code != RILL_OK)
        return code;
    code = fill_receiver(made, &description, traveller);
    if (code != RILL_OK) {
        unmake(made);
        return code;
    }
    traveller->objects[0] = traveller->objects[1] = RILL_NO_OBJECT;
    made->messages = description.messages;
    made->bytes = description.bytes;
    made->wakeups = description.wakeups;
    made->waits = description.waits;
    handle->as.receiver = made;
    return RILL_OK;
}

/* Its senders are to know at once; but not if another process has it, one that shares the message over a fork. */
static void drop_receiver(struct rill_traveller *traveller)
{
    struct receiver_description description;
    struct rill_core *core;
    bool inherited = traveller->generation != atomic_load_explicit(&rill_generation, memory_order_relaxed);
    if (inherited || read_description(traveller, &description) != RILL_OK || rill_core_open(traveller->objects[1], &core) != RILL_OK)
        return;
    if (atomic_load_explicit(&core->page->reader, memory_order_acquire) == description.reader)
        atomic_store_explicit(&core->page->closed, 1, memory_order_release);
    core->memory = RILL_NO_OBJECT; /* closed with the traveller */
    rill_core_release(core);
}

static void close_receiver(struct rill_handle *handle)
{
    (void)rill_receiver_close(&handle->as.receiver);
}

const struct rill_travel rill_receiver_travel = {
    .pack = pack_receiver,
    .sent = sent_receiver,
    .undo = undo_receiver,
    .hold = hold_receiver,
    .moves = true,
    .open = open_receiver,
    .drop = drop_receiver,
    .close = close_receiver,
};
