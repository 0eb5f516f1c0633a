/* SPDX-License-Identifier: MIT */
/* How senders and file descriptors travel. */
#include <stdlib.h>
#include <string.h>

#include "channel.h"
#include "handle.h"
#include "process.h"
#include "reuse.h"
#include "send.h"
#include "share.h"

/* ---- senders: the socket and the control page ---- */

#define SENDER_OBJECTS 2u

struct sender_description {
    uint32_t transport;
    uint32_t reserved;
};

static int pack_sender(struct rill_handle *handle, struct rill_parcel *parcel)
{
    struct rill_endpoint *endpoint = rill_endpoint_of(handle->as.sender);
    if (!endpoint)
        return RILL_EINVAL;
    int code = rill_endpoint_transport(endpoint) == RILL_INPROC ? rill_queue_share(endpoint->queue) : RILL_OK;
    if (code != RILL_OK)
        return code;
    rill_send_check_process(endpoint);
    rill_birth_export(endpoint, parcel->through); /* may exchange the page, so it comes first */
    rill_endpoint_publish(endpoint);
    struct rill_core *core = endpoint->core;
    struct sender_description description = {.transport = core->transport};
    code = rill_parcel_describe(parcel, RILL_HANDLE_SENDER, SENDER_OBJECTS, &description, sizeof description);
    if (code == RILL_OK)
        code = rill_parcel_add_object(parcel, endpoint->socket);
    return code == RILL_OK ? rill_parcel_add_object(parcel, endpoint->core->memory) : code;
}

static void undo_sender(struct rill_handle *handle)
{
    rill_birth_export_undo(handle->as.sender->endpoint);
}

static int hold_sender(const struct rill_handle *handle, struct rill_handle *copy)
{
    rill_sender *clone;
    int code = rill_sender_clone(handle->as.sender, &clone);
    if (code == RILL_OK)
        *copy = (struct rill_handle){.kind = RILL_HANDLE_SENDER, .as.sender = clone};
    return code;
}

/* Takes the page over; the socket is the caller's to give. */
static int make_new_sender(rill_object objects[SENDER_OBJECTS], rill_sender **sender)
{
    struct rill_core *core;
    int code = rill_core_open(objects[1], &core);
    if (code != RILL_OK)
        return code;
    code = rill_sender_make(core, objects[0], sender);
    if (code != RILL_OK) {
        core->memory = RILL_NO_OBJECT; /* the caller's again */
        rill_core_release(core);
        return code;
    }
    objects[1] = RILL_NO_OBJECT;
    return RILL_OK;
}

/* A sender of a channel that this process did not have, or had and let go of. */
static int make_sender(struct rill_traveller *traveller, const struct rill_endpoint_name *name, rill_sender **sender)
{
    rill_object *objects = traveller->objects; /* whatever the first is: sending on it says so, and harms nobody here */
    int code = rill_rest_open(traveller->lane, &name->page, objects[0], sender);
    if (code == RILL_ENOTSUP) {
        code = make_new_sender(objects, sender);
        if (code == RILL_OK)
            rill_rest_note((*sender)->endpoint, traveller->lane);
    }
    if (code != RILL_OK)
        return code;
    objects[0] = RILL_NO_OBJECT;
    rill_endpoint_publish_as((*sender)->endpoint, name);
    return RILL_OK;
}

static int open_sender(struct rill_traveller *traveller, struct rill_handle *handle)
{
    struct rill_endpoint_name name;
    if (traveller->object_count != SENDER_OBJECTS || traveller->bytes < sizeof(struct sender_description))
        return RILL_EPEER;
    int code = rill_process_prepare();
    if (code == RILL_OK)
        code = rill_port_identify(traveller->objects[0], &name.socket);
    if (code == RILL_OK)
        code = rill_port_identify(traveller->objects[1], &name.page);
    if (code != RILL_OK)
        return code;
    struct rill_endpoint *known = rill_endpoint_find(&name);
    if (!known)
        return make_sender(traveller, &name, &handle->as.sender);
    rill_rest_count(known);
    code = rill_sender_wrap(known, &handle->as.sender);
    if (code != RILL_OK)
        rill_endpoint_release(known);
    return code; /* the objects are closed: the endpoint has them already */
}

static void close_sender(struct rill_handle *handle)
{
    (void)rill_sender_close(&handle->as.sender);
}

const struct rill_travel rill_sender_travel = {
    .pack = pack_sender,
    .undo = undo_sender,
    .hold = hold_sender,
    .open = open_sender,
    .close = close_sender,
};

/* ---- file descriptors ---- */

static int pack_descriptor(struct rill_handle *handle, struct rill_parcel *parcel)
{
    if (!rill_port_is_open(handle->as.descriptor))
        return RILL_EDESCRIPTOR;
    int code = rill_parcel_describe(parcel, RILL_HANDLE_DESCRIPTOR, 1, NULL, 0);
    return code == RILL_OK ? rill_parcel_add_object(parcel, handle->as.descriptor) : code;
}

static int hold_descriptor(const struct rill_handle *handle, struct rill_handle *copy)
{
    rill_object duplicate;
    if (!rill_port_is_open(handle->as.descriptor))
        return RILL_EDESCRIPTOR;
    int code = rill_port_duplicate(handle->as.descriptor, &duplicate);
    if (code == RILL_OK)
        *copy = (struct rill_handle){.kind = RILL_HANDLE_DESCRIPTOR, .as.descriptor = duplicate};
    return code;
}

static int open_descriptor(struct rill_traveller *traveller, struct rill_handle *handle)
{
    if (traveller->object_count != 1)
        return RILL_EPEER;
    handle->as.descriptor = traveller->objects[0];
    traveller->objects[0] = RILL_NO_OBJECT;
    return RILL_OK;
}

static void close_descriptor(struct rill_handle *handle)
{
    rill_port_close(handle->as.descriptor);
}

const struct rill_travel rill_descriptor_travel = {
    .pack = pack_descriptor,
    .hold = hold_descriptor,
    .open = open_descriptor,
    .close = close_descriptor,
};
