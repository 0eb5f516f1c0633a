/* SPDX-License-Identifier: MIT */
#include "handle.h"

#include <stdlib.h>
#include <string.h>

#include "channel.h"
#include "inbox.h"
#include "message.h"
#include "parts.h"
#include "process.h"
#include "queue.h"
#include "send.h"

static const struct rill_travel opaque_travel;

const struct rill_travel *rill_travel_of(uint32_t kind)
{
    switch (kind) {
    case RILL_HANDLE_SENDER:
        return &rill_sender_travel;
    case RILL_HANDLE_RECEIVER:
        return &rill_receiver_travel;
    case RILL_HANDLE_DESCRIPTOR:
        return &rill_descriptor_travel;
    case RILL_HANDLE_REGION:
        return &rill_region_travel;
    case RILL_HANDLE_BUFFER:
        return &rill_buffer_travel;
    case RILL_HANDLE_OPAQUE:
        return &opaque_travel;
    default:
        return NULL;
    }
}

/* ---- parcels ---- */

static bool grow(void **array, uint64_t capacity, size_t element)
{
    void *larger = capacity <= SIZE_MAX / 2 / element ? realloc(*array, (size_t)capacity * element) : NULL;
    if (larger)
        *array = larger;
    return larger != NULL;
}

int rill_blob_add(struct rill_blob *blob, const void *data, uint64_t size)
{
    if (size > RILL_SECTION_MOST || blob->size + size > RILL_SECTION_MOST)
        return RILL_ENOMEM;
    if (blob->size + size > blob->capacity) {
        void *bytes = blob->bytes;
        if (!grow(&bytes, (blob->size + size) * 2, 1))
            return RILL_ENOMEM;
        blob->bytes = bytes;
        blob->capacity = (blob->size + size) * 2;
    }
    if (size)
        memcpy(blob->bytes + blob->size, data, (size_t)size);
    blob->size += size;
    return RILL_OK;
}

int rill_parcel_describe(struct rill_parcel *parcel, uint32_t kind, uint32_t objects, const void *data, uint64_t bytes)
{
    struct rill_handle_head head = {.kind = kind, .objects = objects, .bytes = sizeof head + ((bytes + 7) & ~UINT64_C(7))};
    uint64_t needed = parcel->section_bytes + head.bytes;
    if (bytes > RILL_SECTION_MOST || needed > RILL_SECTION_MOST)
        return RILL_ENOMEM;
    if (needed > parcel->section_capacity) {
        uint64_t capacity = needed * 2;
        unsigned char *section = rill_spare_take(&capacity);
        if (!section)
            return RILL_ENOMEM;
        if (parcel->section_bytes)
            memcpy(section, parcel->section, (size_t)parcel->section_bytes);
        rill_spare_give(parcel->section, parcel->section_capacity);
        parcel->section = section;
        parcel->section_capacity = capacity;
    }
    unsigned char *place = parcel->section + parcel->section_bytes;
    memset(place, 0, (size_t)head.bytes); /* the padding too: it leaves the process */
    memcpy(place, &head, sizeof head);
    if (bytes)
        memcpy(place + sizeof head, data, (size_t)bytes);
    parcel->section_bytes = needed;
    return RILL_OK;
}

static int append(rill_object **list, uint32_t *count, uint32_t *capacity, rill_object object)
{
    if (*count == RILL_OBJECTS_MOST)
        return RILL_EINFLIGHT;
    if (*count == *capacity) {
        uint32_t larger = *capacity ? *capacity * 2 : 8;
        void *objects = *list;
        if (!grow(&objects, larger, sizeof object))
            return RILL_ENOMEM;
        *list = objects;
        *capacity = larger;
    }
    (*list)[(*count)++] = object;
    return RILL_OK;
}

int rill_parcel_add_object(struct rill_parcel *parcel, rill_object object)
{
    return append(&parcel->objects, &parcel->object_count, &parcel->object_capacity, object);
}

int rill_parcel_own_object(struct rill_parcel *parcel, rill_object object)
{
    return append(&parcel->owned, &parcel->owned_count, &parcel->owned_capacity, object);
}

static void free_parcel(struct rill_parcel *parcel)
{
    for (uint32_t i = 0; i < parcel->owned_count; i++)
        rill_port_close(parcel->owned[i]);
    free(parcel->owned);
    rill_spare_give(parcel->section, parcel->section_capacity);
    free(parcel->objects);
    *parcel = (struct rill_parcel){0};
}

/* The pointer of whatever kind it is. */
static void forget(struct rill_handle *handle)
{
    handle->as.opaque = NULL;
}

void rill_parcel_sent(struct rill_parcel *parcel)
{
    for (uint32_t i = 0; i < parcel->handle_count; i++) {
        struct rill_handle *handle = &parcel->handles[i];
        const struct rill_travel *travel = rill_travel_of(handle->kind);
        if (travel->sent)
            travel->sent(handle);
        if (travel->moves)
            forget(handle);
    }
    rill_lent_sent(parcel);
    free_parcel(parcel);
}

void rill_parcel_undo(struct rill_parcel *parcel)
{
    for (uint32_t i = parcel->handle_count; i-- > 0;) {
        const struct rill_travel *travel = rill_travel_of(parcel->handles[i].kind);
        if (travel->undo)
            travel->undo(&parcel->handles[i]);
    }
    rill_lent_undo(parcel);
    free_parcel(parcel);
}

int rill_parcel_pack(struct rill_parcel *parcel, struct rill_handle *handles, size_t count, struct rill_endpoint *through)
{
    *parcel = (struct rill_parcel){.handles = handles, .through = through};
    int code = count > RILL_OBJECTS_MOST ? RILL_EINFLIGHT : RILL_OK;
    for (size_t i = 0; i < count && code == RILL_OK; i++) {
        const struct rill_travel *travel = rill_travel_of(handles[i].kind);
        code = travel ? travel->pack(&handles[i], parcel) : RILL_EINVAL;
        parcel->handle_count += code == RILL_OK;
    }
    if (code != RILL_OK)
        rill_parcel_undo(parcel);
    return code;
}

/* ---- attachments ---- */

static void free_opaque(rill_opaque *opaque);

/* With room for these, all of it in one piece. */
static struct rill_attachment *new_attachment(size_t count, uint32_t object_count, uint64_t section)
{
    if (count > RILL_OBJECTS_MOST)
        return NULL;
    uint64_t front = sizeof(struct rill_attachment) + count * sizeof(struct rill_traveller);
    uint64_t objects = (object_count * sizeof(rill_object) + 7) & ~UINT64_C(7);
    uint64_t bytes = front + objects + section;
    struct rill_attachment *made = rill_spare_take(&bytes);
    if (!made)
        return NULL;
    memset(made, 0, (size_t)front);
    made->count = count;
    made->bytes = bytes;
    made->object_count = object_count;
    made->objects = (rill_object *)(void *)((unsigned char *)made + front);
    made->section = (unsigned char *)made + front + objects;
    return made;
}

/* Reads the head at `place`. RILL_EPEER: no description can be like this. */
static int read_head(const unsigned char *place, uint64_t left, uint32_t objects_left, struct rill_handle_head *head)
{
    if (left < sizeof *head)
        return RILL_EPEER;
    memcpy(head, place, sizeof *head);
    bool sound = head->bytes >= sizeof *head && head->bytes <= left && head->bytes % 8 == 0 && head->objects <= objects_left &&
                 head->kind != RILL_HANDLE_OPAQUE && rill_travel_of(head->kind);
    return sound ? RILL_OK : RILL_EPEER;
}

/* Each traveller gets its part of section and objects. */
static int read_section(struct rill_attachment *attachment, uint64_t bytes)
{
    uint64_t at = 0;
    uint32_t object = 0;
    for (size_t i = 0; i < attachment->count; i++) {
        struct rill_handle_head head;
        int code = read_head(attachment->section + at, bytes - at, attachment->object_count - object, &head);
        if (code != RILL_OK)
            return code;
        attachment->travellers[i] = (struct rill_traveller){
            .kind = head.kind,
            .object_count = head.objects,
            .description = attachment->section + at + sizeof head,
            .bytes = head.bytes - sizeof head,
            .objects = attachment->objects + object,
            .lane = attachment->lane,
            .generation = atomic_load_explicit(&rill_generation, memory_order_relaxed),
        };
        const struct rill_travel *travel = rill_travel_of(head.kind);
        code = travel->arrive ? travel->arrive(&attachment->travellers[i]) : RILL_OK;
        if (code != RILL_OK)
            return code;
        at += head.bytes;
        object += head.objects;
    }
    return at == bytes && object == attachment->object_count ? RILL_OK : RILL_EPEER;
}

static void free_attachment_memory(struct rill_attachment *attachment)
{
    rill_spare_give(attachment, attachment->bytes);
}

/* Those that lie in the lane are not to be left behind by a receiver that moves. */
static void count_buffers(const struct rill_attachment *attachment, int by)
{
    for (size_t i = 0; i < attachment->count; i++)
        if (attachment->travellers[i].place)
            atomic_fetch_add_explicit(&attachment->lane->buffers, (uint32_t)by, memory_order_relaxed);
}

int rill_attachment_make(const unsigned char *section, uint64_t bytes, const rill_object *objects, uint32_t object_count, uint32_t handle_count,
                         struct rill_inlane *lane, struct rill_attachment **attachment)
{
    if (bytes > RILL_SECTION_MOST || handle_count > bytes / sizeof(struct rill_handle_head))
        return RILL_EPEER;
    struct rill_attachment *made = new_attachment(handle_count, object_count, bytes);
    if (!made)
        return RILL_ENOMEM;
    made->lane = lane;
    memcpy(made->section, section, (size_t)bytes); /* once: from here on its sender cannot change it */
    if (object_count)
        memcpy(made->objects, objects, object_count * sizeof *objects);
    int code = read_section(made, bytes);
    if (code != RILL_OK) {
        free_attachment_memory(made);
        return code;
    }
    if (lane)
        rill_inlane_reference(lane);
    count_buffers(made, 1);
    *attachment = made;
    return RILL_OK;
}

int rill_attachment_hold(struct rill_handle *handles, size_t count, struct rill_attachment **attachment)
{
    struct rill_attachment *made = new_attachment(count, 0, 0);
    if (!made)
        return RILL_ENOMEM;
    int code = RILL_OK;
    for (size_t i = 0; i < count && code == RILL_OK; i++) {
        const struct rill_travel *travel = rill_travel_of(handles[i].kind);
        struct rill_traveller *traveller = &made->travellers[i];
        code = travel ? travel->hold(&handles[i], &traveller->live) : RILL_EINVAL;
        for (size_t k = 0; k < i && code == RILL_OK && travel->moves; k++) /* what moves cannot move twice */
            if (handles[k].kind == handles[i].kind && handles[k].as.opaque == handles[i].as.opaque)
                code = RILL_EINVAL;
        if (code == RILL_OK)
            traveller->kind = traveller->live.kind;
    }
    if (code != RILL_OK) {
        for (size_t i = 0; i < count; i++) { /* copies are closed; what moves stays the caller's */
            const struct rill_travel *travel = rill_travel_of(handles[i].kind);
            if (made->travellers[i].kind && !travel->moves)
                travel->close(&made->travellers[i].live);
            else if (made->travellers[i].kind == RILL_HANDLE_OPAQUE && made->travellers[i].live.as.opaque != handles[i].as.opaque)
                free_opaque(made->travellers[i].live.as.opaque);
        }
        free_attachment_memory(made);
        return code;
    }
    for (size_t i = 0; i < count; i++)
        if (rill_travel_of(handles[i].kind)->moves)
            forget(&handles[i]);
    *attachment = made;
    return RILL_OK;
}

/* Closes what a traveller still has. */
static void drop_traveller(struct rill_traveller *traveller)
{
    if (traveller->kind == 0)
        return;
    const struct rill_travel *travel = rill_travel_of(traveller->kind);
    if (traveller->live.kind) {
        travel->close(&traveller->live);
    } else {
        if (travel->drop)
            travel->drop(traveller);
        for (uint32_t i = 0; i < traveller->object_count; i++)
            rill_port_close(traveller->objects[i]);
    }
    traveller->kind = 0;
}

void rill_attachment_discard(struct rill_attachment *attachment)
{
    if (!attachment)
        return;
    for (size_t i = 0; i < attachment->count; i++)
        attachment->travellers[i].kind = 0;
    count_buffers(attachment, -1);
    rill_attachment_free(attachment);
}

void rill_attachment_free(struct rill_attachment *attachment)
{
    if (!attachment)
        return;
    for (size_t i = 0; i < attachment->count; i++)
        drop_traveller(&attachment->travellers[i]);
    if (attachment->lane)
        rill_inlane_release(attachment->lane);
    free_attachment_memory(attachment);
}

/* ---- opaque handles ---- */

static bool is_opaque(const rill_opaque *opaque)
{
    return opaque && opaque->magic == RILL_OPAQUE_MAGIC;
}

/* A handle of its own for what a traveller has, which must be let go of there. RILL_ENOMEM. */
static int copy_traveller(const struct rill_traveller *traveller, rill_opaque **opaque)
{
    struct rill_opaque *made = calloc(1, sizeof *made);
    unsigned char *description = malloc(traveller->bytes ? (size_t)traveller->bytes : 1);
    rill_object *objects = malloc((traveller->object_count ? traveller->object_count : 1) * sizeof *objects);
    if (!made || !description || !objects) {
        free(made);
        free(description);
        free(objects);
        return RILL_ENOMEM;
    }
    made->magic = RILL_OPAQUE_MAGIC;
    made->traveller = *traveller;
    if (traveller->bytes)
        memcpy(description, traveller->description, (size_t)traveller->bytes);
    if (traveller->object_count)
        memcpy(objects, traveller->objects, traveller->object_count * sizeof *objects);
    made->traveller.description = description;
    made->traveller.objects = objects;
    if (made->traveller.lane)
        rill_inlane_reference(made->traveller.lane);
    *opaque = made;
    return RILL_OK;
}

/* Moves a traveller into a handle of its own. RILL_ENOMEM: it is where it was. */
static int detach(struct rill_traveller *traveller, rill_opaque **opaque)
{
    int code = copy_traveller(traveller, opaque);
    if (code == RILL_OK)
        traveller->kind = 0;
    return code;
}

static void free_opaque(rill_opaque *opaque)
{
    if (opaque->borrowed)
        return;
    if (opaque->traveller.lane)
        rill_inlane_release(opaque->traveller.lane);
    free((void *)(uintptr_t)opaque->traveller.description);
    free(opaque->traveller.objects);
    opaque->magic = 0;
    free(opaque);
}

static int open_traveller(struct rill_traveller *traveller, struct rill_handle *handle)
{
    if (traveller->live.kind) {
        *handle = traveller->live;
        traveller->kind = 0;
        return RILL_OK;
    }
    struct rill_handle made = {.kind = traveller->kind};
    int code = rill_travel_of(traveller->kind)->open(traveller, &made);
    if (code == RILL_OK) {
        for (uint32_t i = 0; i < traveller->object_count; i++)
            rill_port_close(traveller->objects[i]);
        traveller->kind = 0;
        *handle = made;
    } else if (code == RILL_EPEER || code == RILL_EVERSION) {
        drop_traveller(traveller);
    }
    return code;
}

static int pack_opaque(struct rill_handle *handle, struct rill_parcel *parcel)
{
    rill_opaque *opaque = handle->as.opaque;
    if (!is_opaque(opaque))
        return RILL_EINVAL;
    struct rill_traveller *traveller = &opaque->traveller;
    if (traveller->live.kind)
        return rill_travel_of(traveller->live.kind)->pack(&traveller->live, parcel);
    const struct rill_travel *travel = rill_travel_of(traveller->kind);
    if (travel->repack && traveller->lane)
        return travel->repack(traveller, parcel);
    int code = rill_parcel_describe(parcel, traveller->kind, traveller->object_count, traveller->description, traveller->bytes);
    for (uint32_t i = 0; i < traveller->object_count && code == RILL_OK; i++)
        code = rill_parcel_add_object(parcel, traveller->objects[i]);
    return code;
}

static void undo_opaque(struct rill_handle *handle)
{
    struct rill_handle *live = &handle->as.opaque->traveller.live;
    const struct rill_travel *travel = live->kind ? rill_travel_of(live->kind) : NULL;
    if (travel && travel->undo)
        travel->undo(live);
}

static void sent_opaque(struct rill_handle *handle)
{
    struct rill_traveller *traveller = &handle->as.opaque->traveller;
    const struct rill_travel *travel = traveller->live.kind ? rill_travel_of(traveller->live.kind) : NULL;
    if (travel && travel->sent)
        travel->sent(&traveller->live);
    if (travel && travel->moves)
        traveller->kind = 0;
    if (traveller->live.kind)
        drop_traveller(traveller);
    for (uint32_t i = 0; i < traveller->object_count; i++) /* no more than that: it lives on at the other side */
        rill_port_close(traveller->objects[i]);
    free_opaque(handle->as.opaque);
}

static int hold_opaque(const struct rill_handle *handle, struct rill_handle *copy)
{
    *copy = *handle;
    if (!is_opaque(handle->as.opaque))
        return RILL_EINVAL;
    return handle->as.opaque->borrowed ? copy_traveller(&handle->as.opaque->traveller, &copy->as.opaque) : RILL_OK; /* it outlives what it borrows from */
}

static void close_opaque(struct rill_handle *handle)
{
    (void)rill_opaque_close(&handle->as.opaque);
}

static const struct rill_travel opaque_travel = {
    .pack = pack_opaque,
    .sent = sent_opaque,
    .undo = undo_opaque,
    .hold = hold_opaque,
    .moves = true,
    .close = close_opaque,
};

int rill_opaque_kind(const rill_opaque *opaque)
{
    return is_opaque(opaque) ? (int)opaque->traveller.kind : RILL_EINVAL;
}

int rill_opaque_open(rill_opaque **opaque, struct rill_handle *handle)
{
    if (!opaque || !is_opaque(*opaque) || !handle)
        return RILL_EINVAL;
    int code = open_traveller(&(*opaque)->traveller, handle);
    if ((*opaque)->traveller.kind == 0) {
        free_opaque(*opaque);
        *opaque = NULL;
    }
    return code;
}

int rill_opaque_close(rill_opaque **opaque)
{
    if (!opaque)
        return RILL_EINVAL;
    rill_opaque *closing = *opaque;
    *opaque = NULL;
    if (!closing)
        return RILL_OK;
    if (!is_opaque(closing))
        return RILL_EINVAL;
    drop_traveller(&closing->traveller);
    free_opaque(closing);
    return RILL_OK;
}

int rill_handle_close(struct rill_handle *handle)
{
    const struct rill_travel *travel = handle ? rill_travel_of(handle->kind) : NULL;
    if (!travel)
        return RILL_EINVAL;
    travel->close(handle);
    *handle = (struct rill_handle){0};
    return RILL_OK;
}

/* ---- handles of a received message ---- */

static struct rill_traveller *traveller_in(struct rill_attachment *attachment, size_t index)
{
    if (!attachment || index >= attachment->count)
        return NULL;
    struct rill_traveller *traveller = &attachment->travellers[index];
    return traveller->kind ? traveller : NULL;
}

static struct rill_traveller *traveller_of(const rill_message *message, size_t index)
{
    return rill_is_message(message) ? traveller_in(message->attached, index) : NULL;
}

/* What a traveller is, also if it is held in process inside an opaque handle. */
static uint32_t kind_of(const struct rill_traveller *traveller)
{
    return traveller->kind == RILL_HANDLE_OPAQUE ? traveller->live.as.opaque->traveller.kind : traveller->kind;
}

size_t rill_message_handle_count(const rill_message *message)
{
    return rill_is_message(message) && message->attached ? message->attached->count : 0;
}

int rill_message_handle_kind(const rill_message *message, size_t index)
{
    if (!rill_is_message(message))
        return RILL_EINVAL;
    const struct rill_traveller *traveller = traveller_of(message, index);
    return traveller ? (int)kind_of(traveller) : RILL_ENOHANDLE;
}

/* An opaque handle that was sent in process: opened, or handed over as it is. */
static int take_opaque(struct rill_traveller *traveller, uint32_t kind, struct rill_handle *handle)
{
    rill_opaque *opaque = traveller->live.as.opaque;
    if (kind == RILL_HANDLE_OPAQUE) {
        *handle = traveller->live;
        traveller->kind = 0;
        return RILL_OK;
    }
    int code = rill_opaque_open(&opaque, handle);
    if (!opaque)
        traveller->kind = 0;
    return code;
}

int rill_attachment_take(struct rill_attachment *attachment, size_t index, uint32_t kind, struct rill_handle *handle)
{
    struct rill_traveller *traveller = traveller_in(attachment, index);
    if (!traveller)
        return RILL_ENOHANDLE;
    if (kind && kind != RILL_HANDLE_OPAQUE && kind != kind_of(traveller))
        return RILL_EKIND;
    if (traveller->kind == RILL_HANDLE_OPAQUE)
        return take_opaque(traveller, kind, handle);
    if (kind != RILL_HANDLE_OPAQUE)
        return open_traveller(traveller, handle);
    rill_opaque *opaque;
    int code = detach(traveller, &opaque);
    if (code == RILL_OK)
        *handle = (struct rill_handle){.kind = RILL_HANDLE_OPAQUE, .as.opaque = opaque};
    return code;
}

int rill_message_take(rill_message *message, size_t index, uint32_t kind, struct rill_handle *handle)
{
    if (!rill_is_message(message) || !handle || (kind && !rill_travel_of(kind)))
        return RILL_EINVAL;
    return rill_attachment_take(message->attached, index, kind, handle);
}

int rill_message_take_sender(rill_message *message, size_t index, rill_sender **sender)
{
    struct rill_handle handle;
    if (!sender)
        return RILL_EINVAL;
    int code = rill_message_take(message, index, RILL_HANDLE_SENDER, &handle);
    if (code == RILL_OK)
        *sender = handle.as.sender;
    return code;
}

int rill_message_take_receiver(rill_message *message, size_t index, rill_receiver **receiver)
{
    struct rill_handle handle;
    if (!receiver)
        return RILL_EINVAL;
    int code = rill_message_take(message, index, RILL_HANDLE_RECEIVER, &handle);
    if (code == RILL_OK)
        *receiver = handle.as.receiver;
    return code;
}

int rill_message_take_descriptor(rill_message *message, size_t index, int *descriptor)
{
    struct rill_handle handle;
    if (!descriptor)
        return RILL_EINVAL;
    int code = rill_message_take(message, index, RILL_HANDLE_DESCRIPTOR, &handle);
    if (code == RILL_OK)
        *descriptor = handle.as.descriptor;
    return code;
}

/* ---- sending ---- */

int rill_send_handles_until(rill_sender *sender, const struct rill_bytes *parts, size_t part_count, struct rill_handle *handles,
                            size_t handle_count, int64_t deadline)
{
    if ((!handles && handle_count) || (deadline < 0 && deadline != RILL_AS_CONFIGURED) || part_count == RILL_FILLED)
        return RILL_EINVAL;
    return rill_send_with_handles(sender, parts, part_count, handles, handle_count, deadline);
}

int rill_send_handles(rill_sender *sender, const void *data, size_t size, struct rill_handle *handles, size_t count)
{
    struct rill_bytes part = {.data = data, .size = size};
    return rill_send_handles_until(sender, &part, 1, handles, count, RILL_AS_CONFIGURED);
}

struct rill_handle *rill_attachment_borrow(struct rill_attachment *attachment, rill_opaque **storage, size_t *count)
{
    struct rill_handle *handles = calloc(attachment->count, sizeof *handles);
    rill_opaque *opaques = calloc(attachment->count, sizeof *opaques);
    if (!handles || !opaques) {
        free(handles);
        free(opaques);
        return NULL;
    }
    *count = 0;
    for (size_t i = 0; i < attachment->count; i++) {
        if (attachment->travellers[i].kind == 0)
            continue;
        if (attachment->travellers[i].kind == RILL_HANDLE_OPAQUE) { /* it is one already */
            handles[(*count)++] = attachment->travellers[i].live;
            continue;
        }
        opaques[*count] = (struct rill_opaque){.magic = RILL_OPAQUE_MAGIC, .borrowed = true, .traveller = attachment->travellers[i]};
        handles[*count] = (struct rill_handle){.kind = RILL_HANDLE_OPAQUE, .as.opaque = &opaques[*count]};
        ++*count;
    }
    *storage = opaques;
    return handles;
}

void rill_attachment_forget(struct rill_attachment *attachment)
{
    for (size_t i = 0; i < attachment->count; i++)
        attachment->travellers[i].kind = 0;
}

static int send_on(rill_sender *sender, rill_message **message, int64_t deadline)
{
    struct rill_attachment *attachment = (*message)->attached;
    struct rill_bytes part = {.data = rill_message_data(*message), .size = rill_message_size(*message)};
    struct rill_handle *handles = NULL;
    rill_opaque *storage = NULL;
    size_t count = 0;
    if (attachment && attachment->count && !(handles = rill_attachment_borrow(attachment, &storage, &count)))
        return RILL_ENOMEM;
    int code = rill_send_handles_until(sender, &part, 1, handles, count, deadline);
    if (code == RILL_OK && attachment)
        rill_attachment_forget(attachment);
    free(storage);
    free(handles);
    return code == RILL_OK ? rill_message_close(message) : code;
}

/* In process a message can go on as it is, if no handle was taken out of it. */
static int pass_on(struct rill_endpoint *endpoint, rill_message *message, int64_t deadline)
{
    const struct rill_attachment *attachment = message->attached;
    for (size_t i = 0; attachment && i < attachment->count; i++) {
        uint32_t kind = attachment->travellers[i].kind;
        if (kind == 0 || kind == RILL_HANDLE_RECEIVER || kind == RILL_HANDLE_OPAQUE) /* a receiver may be that of the very queue */
            return RILL_QUEUE_SHARED;
    }
    if (message->size > rill_send_largest(endpoint))
        return RILL_EMSGSIZE;
    return rill_queue_send_message(endpoint->queue, message, rill_send_deadline(endpoint, deadline), endpoint);
}

int rill_forward(rill_sender *sender, rill_message **message, int64_t deadline)
{
    struct rill_endpoint *endpoint = rill_endpoint_of(sender);
    if (!endpoint || !message || !rill_is_message(*message) || (deadline < 0 && deadline != RILL_AS_CONFIGURED))
        return RILL_EINVAL;
    int code = rill_endpoint_transport(endpoint) == RILL_INPROC ? pass_on(endpoint, *message, deadline) : RILL_QUEUE_SHARED;
    if (code == RILL_OK)
        *message = NULL;
    return code == RILL_QUEUE_SHARED ? send_on(sender, message, deadline) : code;
}
