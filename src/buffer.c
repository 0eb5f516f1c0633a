/* SPDX-License-Identifier: MIT */
/*
 * Buffers: memory that is filled in place and then sent.
 *
 *   loan      lies in the arena of a sender's lane; sending it writes one record and touches nothing of it
 *   received  lies in the arena of the lane that it came through, and goes back over its return stack
 *   private   lies in this process's own memory: on transports without lanes, where no arena is to be had, and below LOAN_MIN
 *   region    a received one that came as an object of its own
 *   pool's    has memory of its own, which goes along through any channel (pool.h)
 *
 * Whatever a buffer is, it can be sent through every sender: what is not a loan of just that sender's lane is copied.
 */
#include <stdlib.h>
#include <string.h>

#include <rill/rill.h>

#include "buffer.h"
#include "channel.h"
#include "handle.h"
#include "inbox.h"
#include "message.h"
#include "options.h"
#include "pool.h"
#include "process.h"
#include "queue.h"
#include "send.h"

#define BUFFER_MAGIC UINT32_C(0x72627566)
#define ALIGNMENT_MOST ((uint64_t)1 << 30)
#define SECTION_PART_MOST ((uint64_t)1 << 20) /* what lies in no lane travels beside the message's bytes up to this, and as an object of its own above */

/* Smaller ones are copied into the ring: that costs less than to give their memory back in such a way that its pages can go to the system when the
 * sender falls silent. */
#define LOAN_MIN ((uint64_t)16 << 10)

struct rill_buffer {
    uint32_t magic;
    uint32_t generation;       /* of the process that it belongs to: inherited over fork it is only to be read */
    bool packed;               /* stands in a message that is being sent, */
    bool lent;                 /* as it is, and not as a copy */
    bool lost;                 /* the receiver gave back what it had not got: the memory is not ours any more */
    unsigned char *data;
    uint64_t size;
    struct rill_lane *lane;    /* a loan: referenced, */
    struct rill_inlane *inlane; /* received: referenced, */
    rill_message *memory;      /* private, */
    rill_region *region;       /* a region, */
    struct rill_share *share;  /* or a pool's; of the five only one is not NULL */
    struct rill_large large;   /* where it lies in the lane */
};

static uint32_t current_generation(void)
{
    return atomic_load_explicit(&rill_generation, memory_order_relaxed);
}

static bool is_buffer(const rill_buffer *buffer)
{
    return buffer && buffer->magic == BUFFER_MAGIC;
}

static rill_buffer *new_buffer(unsigned char *data, uint64_t size)
{
    rill_buffer *made = calloc(1, sizeof *made);
    if (!made)
        return NULL;
    made->magic = BUFFER_MAGIC;
    made->generation = current_generation();
    made->data = data;
    made->size = size;
    return made;
}

static void free_buffer(rill_buffer *buffer)
{
    buffer->magic = 0;
    free(buffer);
}

/* Lets go of its memory. In the child of a fork what was inherited is the parent's: only what is private here goes. */
static void release_memory(rill_buffer *buffer)
{
    bool ours = buffer->generation == current_generation();
    if (buffer->memory)
        rill_message_free(buffer->memory);
    if (buffer->region)
        (void)rill_region_close(&buffer->region);
    if (buffer->share)
        rill_share_release(buffer->share);
    if (buffer->inlane && ours) {
        rill_inlane_return_buffer(buffer->inlane, buffer->large.offset, buffer->data, buffer->large.capacity);
        rill_inlane_release(buffer->inlane);
    }
    if (buffer->lane && ours) {
        if (!buffer->lost)
            rill_lane_unloan(buffer->lane, &buffer->large, buffer->data);
        rill_lane_release(buffer->lane);
    }
}

/* ---- loans ---- */

static unsigned char *align(unsigned char *pointer, uint64_t alignment)
{
    uintptr_t address = (uintptr_t)pointer;
    return pointer + (((address + alignment - 1) & ~(uintptr_t)(alignment - 1)) - address);
}

static rill_buffer *new_private(uint64_t size, uint64_t alignment)
{
    rill_message *memory = size <= SIZE_MAX / 2 - alignment ? rill_message_make(size + alignment) : NULL;
    rill_buffer *made = memory ? new_buffer(align(rill_message_bytes(memory), alignment), size) : NULL;
    if (made)
        made->memory = memory;
    else if (memory)
        rill_message_free(memory);
    return made;
}

static int loan_from_lane(struct rill_endpoint *endpoint, uint64_t size, uint64_t alignment, rill_buffer **buffer)
{
    struct rill_lane *lane;
    int code = rill_send_lane(endpoint, &lane);
    if (code != RILL_OK)
        return code;
    rill_lane_expect_loan(lane);
    rill_buffer *made = new_buffer(NULL, size);
    if (!made)
        return RILL_ENOMEM;
    made->large.size = size;
    code = rill_lane_loan(lane, endpoint->socket, alignment, &made->large, &made->data);
    if (code != RILL_OK) {
        free_buffer(made);
        return code;
    }
    made->lane = lane;
    rill_lane_reference(lane);
    *buffer = made;
    return RILL_OK;
}

static int read_alignment(const struct rill_buffer_options *given, uint64_t *alignment)
{
    struct rill_buffer_options options;
    *alignment = RILL_ARENA_ALIGNMENT;
    if (!given)
        return RILL_OK;
    int code = rill_options_copy(given, &options, sizeof options);
    if (code != RILL_OK)
        return code;
    if (options.alignment > RILL_ARENA_ALIGNMENT)
        *alignment = options.alignment;
    return (*alignment & (*alignment - 1)) || *alignment > ALIGNMENT_MOST ? RILL_EINVAL : RILL_OK;
}

int rill_buffer_loan(rill_sender *sender, size_t size, const struct rill_buffer_options *options, rill_buffer **buffer)
{
    struct rill_endpoint *endpoint = rill_endpoint_of(sender);
    uint64_t alignment;
    if (!endpoint || !buffer || size > SIZE_MAX / 2 || read_alignment(options, &alignment) != RILL_OK)
        return RILL_EINVAL;
    if (size > rill_send_largest(endpoint))
        return RILL_EMSGSIZE;
    rill_send_check_process(endpoint);
    bool lane = rill_endpoint_transport(endpoint) == RILL_SHM && size >= LOAN_MIN;
    int code = lane ? loan_from_lane(endpoint, size, alignment, buffer) : RILL_ENOTSUP;
    if (code != RILL_ENOTSUP)
        return code;
    rill_buffer *made = new_private(size, alignment);
    if (made)
        *buffer = made;
    return made ? RILL_OK : RILL_ENOMEM;
}

/* ---- using ---- */

const void *rill_buffer_data(const rill_buffer *buffer)
{
    return is_buffer(buffer) ? buffer->data : NULL;
}

int rill_buffer_data_mutable(rill_buffer *buffer, void **data)
{
    if (!is_buffer(buffer) || !data)
        return RILL_EINVAL;
    if (buffer->region)
        return rill_region_data_mutable(buffer->region, data);
    int code = buffer->share ? rill_piece_make_writable(buffer->share->piece) : RILL_OK;
    if (code != RILL_OK)
        return code;
    *data = buffer->data;
    return RILL_OK;
}

size_t rill_buffer_size(const rill_buffer *buffer)
{
    return is_buffer(buffer) ? (size_t)buffer->size : 0;
}

int rill_buffer_shrink(rill_buffer *buffer, size_t size)
{
    if (!is_buffer(buffer) || size > buffer->size || buffer->packed)
        return RILL_EINVAL;
    buffer->size = size;
    buffer->large.size = size;
    if (buffer->lane && !buffer->lost && buffer->generation == current_generation())
        rill_lane_shrink_loan(buffer->lane, &buffer->large, buffer->data);
    return RILL_OK;
}

int rill_buffer_close(rill_buffer **buffer)
{
    if (!buffer)
        return RILL_EINVAL;
    rill_buffer *closing = *buffer;
    *buffer = NULL;
    if (!closing)
        return RILL_OK;
    if (!is_buffer(closing))
        return RILL_EINVAL;
    release_memory(closing);
    free_buffer(closing);
    return RILL_OK;
}

rill_buffer *rill_buffer_of_share(struct rill_share *share, uint64_t size)
{
    rill_buffer *made = new_buffer(share->piece->data, size);
    if (made)
        made->share = share;
    return made;
}

int rill_buffer_clone(rill_buffer *buffer, rill_buffer **clone)
{
    if (!is_buffer(buffer) || !clone)
        return RILL_EINVAL;
    if (!buffer->share)
        return RILL_ENOTSUP;
    rill_buffer *made = rill_buffer_of_share(buffer->share, buffer->size);
    if (!made)
        return RILL_ENOMEM;
    rill_share_reference(buffer->share);
    *clone = made;
    return RILL_OK;
}

/* ---- sending one alone ---- */

/* Its memory becomes the message. */
static int send_private(struct rill_endpoint *endpoint, rill_buffer *buffer, int64_t deadline)
{
    rill_message *message = buffer->memory;
    message->data = buffer->data;
    message->size = buffer->size;
    int code = rill_queue_send_message(endpoint->queue, message, rill_send_deadline(endpoint, deadline), endpoint);
    if (code == RILL_OK)
        buffer->memory = NULL;
    return code;
}

/* A loan of the lane that the sender has now, and of this process. */
static bool is_loan(const rill_buffer *buffer)
{
    return buffer->lane && !buffer->lost && buffer->generation == current_generation();
}

static int send_in_place(struct rill_endpoint *endpoint, rill_buffer *buffer, int64_t deadline)
{
    int code = rill_send_loan(endpoint, buffer->lane, &buffer->large, rill_send_deadline(endpoint, deadline));
    if (code != RILL_OK)
        return code;
    rill_lane_release(buffer->lane);
    buffer->lane = NULL; /* the receiver gives it back */
    return RILL_OK;
}

static int send_alone(struct rill_endpoint *endpoint, rill_sender *sender, rill_buffer *buffer, int64_t deadline)
{
    int code = RILL_QUEUE_SHARED;
    if (rill_endpoint_transport(endpoint) == RILL_INPROC && buffer->memory)
        code = send_private(endpoint, buffer, deadline);
    if (code != RILL_QUEUE_SHARED)
        return code;
    code = RILL_LANE_REVOKED;
    if (rill_endpoint_transport(endpoint) == RILL_SHM && buffer->size && is_loan(buffer))
        code = send_in_place(endpoint, buffer, deadline);
    if (code != RILL_LANE_REVOKED)
        return code;
    struct rill_bytes part = {.data = buffer->data, .size = (size_t)buffer->size};
    return rill_send_with_handles(sender, &part, 1, NULL, 0, deadline);
}

int rill_send_buffer_until(rill_sender *sender, rill_buffer **buffer, int64_t deadline)
{
    struct rill_endpoint *endpoint = rill_endpoint_of(sender);
    if (!endpoint || !buffer || !is_buffer(*buffer) || (*buffer)->packed || (deadline < 0 && deadline != RILL_AS_CONFIGURED))
        return RILL_EINVAL;
    if ((*buffer)->size > rill_send_largest(endpoint))
        return RILL_EMSGSIZE;
    rill_send_check_process(endpoint);
    int code = send_alone(endpoint, sender, *buffer, deadline);
    return code == RILL_OK ? rill_buffer_close(buffer) : code;
}

int rill_send_buffer(rill_sender *sender, rill_buffer **buffer)
{
    return rill_send_buffer_until(sender, buffer, RILL_AS_CONFIGURED);
}

/* ---- several in one message ---- */

enum form {
    FORM_LANE = 1,   /* in the arena of the lane that the message goes through */
    FORM_SECTION = 2, /* its bytes follow the description */
    FORM_OBJECT = 3, /* an object of its own: a region */
    FORM_POOL = 4, /* memory and token of a pool's buffer */
};

/* Begins as a region's does. */
struct buffer_description {
    uint64_t size;
    uint32_t form;
    uint32_t reserved;
    uint64_t lane; /* its random id */
    uint64_t offset, capacity;
};

/* A copy that was made in a lane for the way. */
struct rill_lent {
    struct rill_lane *lane; /* referenced */
    struct rill_large large;
    unsigned char *block;
    struct rill_lent *next;
};

void rill_lent_sent(struct rill_parcel *parcel)
{
    while (parcel->lent) {
        struct rill_lent *lent = parcel->lent;
        parcel->lent = lent->next;
        rill_lane_release(lent->lane);
        free(lent);
    }
}

void rill_lent_undo(struct rill_parcel *parcel)
{
    for (struct rill_lent *lent = parcel->lent; lent; lent = lent->next)
        if (rill_lane_unlend(lent->lane, &lent->large))
            rill_lane_unloan(lent->lane, &lent->large, lent->block);
    rill_lent_sent(parcel);
}

static int describe_in_lane(struct rill_parcel *parcel, struct rill_lane *lane, const struct rill_large *large)
{
    struct buffer_description description = {
        .size = large->size, .form = FORM_LANE, .lane = lane->id, .offset = large->offset, .capacity = large->capacity};
    int code = rill_lane_lend(lane, large);
    if (code != RILL_OK)
        return code;
    code = rill_parcel_describe(parcel, RILL_HANDLE_BUFFER, 0, &description, sizeof description);
    if (code != RILL_OK) {
        (void)rill_lane_unlend(lane, large);
        return code;
    }
    parcel->lane = lane;
    parcel->held += large->size;
    return RILL_OK;
}

/* A copy in the lane that the message goes through. RILL_ENOTSUP: it has no arena. */
static int pack_copy_in_lane(struct rill_parcel *parcel, struct rill_lane *lane, const unsigned char *data, uint64_t size)
{
    struct rill_lent *lent = calloc(1, sizeof *lent);
    if (!lent)
        return RILL_ENOMEM;
    lent->large.size = size;
    int code = rill_lane_loan(lane, parcel->through->socket, RILL_ARENA_ALIGNMENT, &lent->large, &lent->block);
    if (code != RILL_OK) {
        free(lent);
        return code;
    }
    memcpy(lent->block, data, (size_t)size);
    code = describe_in_lane(parcel, lane, &lent->large);
    if (code != RILL_OK) {
        rill_lane_unloan(lane, &lent->large, lent->block);
        free(lent);
        return code;
    }
    lent->lane = lane;
    rill_lane_reference(lane);
    lent->next = parcel->lent;
    parcel->lent = lent;
    return RILL_OK;
}

static int pack_in_section(struct rill_parcel *parcel, const unsigned char *data, uint64_t size)
{
    struct buffer_description description = {.size = size, .form = FORM_SECTION};
    unsigned char *whole = malloc(sizeof description + (size_t)size);
    if (!whole)
        return RILL_ENOMEM;
    memcpy(whole, &description, sizeof description);
    if (size)
        memcpy(whole + sizeof description, data, (size_t)size);
    int code = rill_parcel_describe(parcel, RILL_HANDLE_BUFFER, 0, whole, sizeof description + size);
    free(whole);
    return code;
}

static int add_region(struct rill_parcel *parcel, const rill_region *region, uint64_t size)
{
    struct buffer_description description = {.size = size, .form = FORM_OBJECT};
    int memory;
    int code = rill_region_descriptor(region, &memory);
    if (code != RILL_OK)
        return code;
    code = rill_parcel_own_object(parcel, memory);
    if (code != RILL_OK) {
        rill_port_close(memory);
        return code;
    }
    code = rill_parcel_describe(parcel, RILL_HANDLE_BUFFER, 1, &description, sizeof description);
    return code == RILL_OK ? rill_parcel_add_object(parcel, memory) : code;
}

static int pack_as_object(struct rill_parcel *parcel, const unsigned char *data, uint64_t size)
{
    rill_region *region;
    int code = rill_region_make_from(data, (size_t)size, NULL, &region);
    if (code != RILL_OK)
        return code;
    code = add_region(parcel, region, size);
    (void)rill_region_close(&region);
    return code;
}

/* The message goes over a transport without lanes, or there is no arena: the bytes are copied beside its own. */
static int pack_outside(struct rill_parcel *parcel, const unsigned char *data, uint64_t size)
{
    bool fits = size <= SECTION_PART_MOST && parcel->section_bytes + size <= RILL_SECTION_MOST / 2;
    return fits ? pack_in_section(parcel, data, size) : pack_as_object(parcel, data, size);
}

static int pack_copy(struct rill_parcel *parcel, const unsigned char *data, uint64_t size)
{
    if (!parcel->through)
        return RILL_ENOTSUP;
    if (size > rill_send_largest(parcel->through))
        return RILL_EMSGSIZE;
    if (rill_endpoint_transport(parcel->through) != RILL_SHM || size < LOAN_MIN)
        return pack_outside(parcel, data, size);
    struct rill_lane *lane = parcel->lane;
    int code = lane ? RILL_OK : rill_send_lane(parcel->through, &lane);
    if (code == RILL_OK)
        code = pack_copy_in_lane(parcel, lane, data, size);
    return code == RILL_ENOTSUP ? pack_outside(parcel, data, size) : code;
}

/* Can it go as it is? All buffers of a message that do lie in one lane, the one that the sender has now. */
static bool goes_in_place(const rill_buffer *buffer, const struct rill_parcel *parcel)
{
    struct rill_endpoint *through = parcel->through;
    return through && rill_endpoint_transport(through) == RILL_SHM && is_loan(buffer) && buffer->size <= rill_send_largest(through) &&
           (parcel->lane ? parcel->lane : atomic_load_explicit(&through->lane, memory_order_acquire)) == buffer->lane;
}

/* Nothing is copied, whatever it goes through; it counts in the limit as if it were. */
static int pack_share(const rill_buffer *buffer, struct rill_parcel *parcel)
{
    const struct rill_share *share = buffer->share;
    struct buffer_description description = {.size = buffer->size, .form = FORM_POOL, .capacity = share->piece->capacity};
    int code = rill_parcel_describe(parcel, RILL_HANDLE_BUFFER, 2, &description, sizeof description);
    if (code == RILL_OK)
        code = rill_parcel_add_object(parcel, share->piece->memory);
    if (code == RILL_OK)
        code = rill_parcel_add_object(parcel, share->token);
    if (code == RILL_OK)
        parcel->held += buffer->size;
    return code;
}

static int pack_buffer(struct rill_handle *handle, struct rill_parcel *parcel)
{
    rill_buffer *buffer = handle->as.buffer;
    if (!is_buffer(buffer) || buffer->packed)
        return RILL_EINVAL;
    bool in_place = goes_in_place(buffer, parcel);
    int code = buffer->share ? pack_share(buffer, parcel)
               : in_place ? describe_in_lane(parcel, buffer->lane, &buffer->large) : pack_copy(parcel, buffer->data, buffer->size);
    if (code != RILL_OK)
        return code;
    buffer->packed = true;
    buffer->lent = in_place;
    return RILL_OK;
}

static void undo_buffer(struct rill_handle *handle)
{
    rill_buffer *buffer = handle->as.buffer;
    buffer->packed = false;
    if (buffer->lent)
        buffer->lost = !rill_lane_unlend(buffer->lane, &buffer->large);
    buffer->lent = false;
}

static void sent_buffer(struct rill_handle *handle)
{
    rill_buffer *buffer = handle->as.buffer;
    if (buffer->lent) {
        rill_lane_release(buffer->lane);
        buffer->lane = NULL;
    }
    release_memory(buffer);
    free_buffer(buffer);
}

static int hold_buffer(const struct rill_handle *handle, struct rill_handle *copy)
{
    *copy = *handle;
    return is_buffer(handle->as.buffer) && !handle->as.buffer->packed ? RILL_OK : RILL_EINVAL;
}

/* ---- receiving ---- */

static int read_description(const struct rill_traveller *traveller, struct buffer_description *description)
{
    if (traveller->bytes < sizeof *description)
        return RILL_EPEER;
    memcpy(description, traveller->description, sizeof *description);
    return description->size <= SIZE_MAX / 2 ? RILL_OK : RILL_EPEER;
}

static int arrive_buffer(struct rill_traveller *traveller)
{
    struct buffer_description it;
    int code = read_description(traveller, &it);
    if (code != RILL_OK || it.form != FORM_LANE)
        return code;
    bool sound = traveller->lane && traveller->object_count == 0 && it.lane == traveller->lane->id && it.offset >= RILL_PAGE_BYTES && it.offset % 8 == 0 &&
                 it.capacity >= RILL_RETURN_BYTES_MIN && it.size <= it.capacity;
    return sound ? rill_inlane_at(traveller->lane, it.offset, it.capacity, &traveller->place) : RILL_EPEER;
}

static int open_in_lane(struct rill_traveller *traveller, const struct buffer_description *it, rill_buffer **buffer)
{
    rill_buffer *made = traveller->place ? new_buffer(traveller->place, it->size) : NULL;
    if (!made)
        return traveller->place ? RILL_ENOMEM : RILL_EPEER;
    made->generation = traveller->generation;
    made->inlane = traveller->lane;
    rill_inlane_reference(traveller->lane);
    made->large = (struct rill_large){.offset = it->offset, .size = it->size, .capacity = it->capacity};
    *buffer = made;
    return RILL_OK;
}

static int open_in_section(const struct rill_traveller *traveller, const struct buffer_description *it, rill_buffer **buffer)
{
    if (it->size > traveller->bytes - sizeof *it)
        return RILL_EPEER;
    rill_buffer *made = new_private(it->size, RILL_ARENA_ALIGNMENT);
    if (!made)
        return RILL_ENOMEM;
    if (it->size)
        memcpy(made->data, traveller->description + sizeof *it, (size_t)it->size);
    *buffer = made;
    return RILL_OK;
}

static int open_object(struct rill_traveller *traveller, const struct buffer_description *it, rill_buffer **buffer)
{
    rill_buffer *made = new_buffer(NULL, it->size);
    if (!made)
        return RILL_ENOMEM;
    struct rill_handle region = {.kind = RILL_HANDLE_REGION};
    int code = rill_region_travel.open(traveller, &region);
    if (code != RILL_OK) {
        free_buffer(made);
        return code;
    }
    made->region = region.as.region;
    made->data = (unsigned char *)(uintptr_t)rill_region_data(made->region);
    *buffer = made;
    return RILL_OK;
}

static int open_share(struct rill_traveller *traveller, const struct buffer_description *it, rill_buffer **buffer)
{
    struct rill_share *share;
    if (traveller->object_count != 2 || it->size > it->capacity)
        return RILL_EPEER;
    rill_buffer *made = new_buffer(NULL, it->size);
    int code = made ? rill_share_open(traveller->objects[0], traveller->objects[1], it->capacity, &share) : RILL_ENOMEM;
    if (code != RILL_OK) {
        free(made);
        return code;
    }
    traveller->objects[0] = traveller->objects[1] = RILL_NO_OBJECT;
    made->share = share;
    made->data = share->piece->data;
    *buffer = made;
    return RILL_OK;
}

static int open_buffer(struct rill_traveller *traveller, struct rill_handle *handle)
{
    struct buffer_description it;
    int code = read_description(traveller, &it);
    if (code != RILL_OK)
        return code;
    switch (it.form) {
    case FORM_LANE:
        return open_in_lane(traveller, &it, &handle->as.buffer);
    case FORM_SECTION:
        return open_in_section(traveller, &it, &handle->as.buffer);
    case FORM_OBJECT:
        return open_object(traveller, &it, &handle->as.buffer);
    case FORM_POOL:
        return open_share(traveller, &it, &handle->as.buffer);
    default:
        return RILL_EPEER;
    }
}

/* Never opened: what lies in the lane goes back to its owner; in the child of a fork that is the parent's to do. */
static void drop_buffer(struct rill_traveller *traveller)
{
    struct buffer_description it;
    if (!traveller->place || read_description(traveller, &it) != RILL_OK || traveller->generation != current_generation())
        return;
    rill_inlane_return_buffer(traveller->lane, it.offset, traveller->place, it.capacity);
}

/* Sent on unopened: the memory of one lane is not shown to the receiver of another. */
static int repack_buffer(const struct rill_traveller *traveller, struct rill_parcel *parcel)
{
    struct buffer_description it;
    int code = read_description(traveller, &it);
    if (code != RILL_OK)
        return code;
    if (it.form == FORM_LANE)
        return traveller->place ? pack_copy(parcel, traveller->place, it.size) : RILL_EPEER;
    code = rill_parcel_describe(parcel, RILL_HANDLE_BUFFER, traveller->object_count, traveller->description, traveller->bytes);
    for (uint32_t i = 0; i < traveller->object_count && code == RILL_OK; i++)
        code = rill_parcel_add_object(parcel, traveller->objects[i]);
    return code;
}

static void close_buffer(struct rill_handle *handle)
{
    (void)rill_buffer_close(&handle->as.buffer);
}

const struct rill_travel rill_buffer_travel = {
    .pack = pack_buffer,
    .sent = sent_buffer,
    .undo = undo_buffer,
    .hold = hold_buffer,
    .moves = true,
    .open = open_buffer,
    .arrive = arrive_buffer,
    .repack = repack_buffer,
    .drop = drop_buffer,
    .close = close_buffer,
};

int rill_message_take_buffer(rill_message *message, size_t index, rill_buffer **buffer)
{
    struct rill_handle handle;
    if (!buffer)
        return RILL_EINVAL;
    int code = rill_message_take(message, index, RILL_HANDLE_BUFFER, &handle);
    if (code == RILL_OK)
        *buffer = handle.as.buffer;
    return code;
}
