/* SPDX-License-Identifier: MIT */
/* Typed values over channels. */
#include <stdlib.h>
#include <string.h>

#include "decode.h"
#include "encode.h"
#include "message.h"
#include "parts.h"
#include "send.h"

/* Up to this a value is written to the stack, and takes the short way of small messages from there: the copy costs less than a second
 * look at the value would. Larger ones are written where the receiver reads them. */
#define STACK_BYTES 1024u

/* ---- sending ---- */

struct emission {
    struct rill_filling filling; /* first: parts.h */
    const struct rill_plan *plan;
    const void *value;
};

static void emit_into(const struct rill_filling *filling, unsigned char *target)
{
    const struct emission *emission = (const struct emission *)filling;
    size_t size = filling->size;
    size_t written = rill_emit(emission->plan, emission->value, target, size);
    memset(target + written, 0, size - written); /* only if another thread has changed the value meanwhile */
}

static int send_bytes(rill_sender *sender, const void *data, size_t size, int64_t deadline)
{
    return deadline == RILL_AS_CONFIGURED ? rill_send(sender, data, size) : rill_send_until(sender, data, size, deadline);
}

/* The handles that stand in the slots. */
static struct rill_handle *gather_handles(const struct rill_measure *measure)
{
    struct rill_handle *handles = calloc(measure->count, sizeof *handles);
    for (size_t i = 0; handles && i < measure->count; i++) {
        struct rill_plan_field field = {.kind = (uint8_t)measure->slots[i].kind};
        (void)rill_field_handle(&field, measure->slots[i].member, &handles[i]);
    }
    return handles;
}

/* What has moved is gone from the value too. */
static void forget_moved(const struct rill_measure *measure, const struct rill_handle *handles)
{
    for (size_t i = 0; i < measure->count; i++)
        if (handles[i].kind != RILL_HANDLE_DESCRIPTOR && !handles[i].as.opaque)
            memcpy(measure->slots[i].member, &handles[i].as.opaque, sizeof handles[i].as.opaque);
}

static int send_measured(rill_sender *sender, const struct rill_plan *plan, void *value, const struct rill_measure *measure, int64_t deadline)
{
    unsigned char bytes[STACK_BYTES];
    if (!measure->count && measure->bytes <= sizeof bytes) {
        size_t size = rill_emit(plan, value, bytes, (size_t)measure->bytes);
        return send_bytes(sender, bytes, size, deadline);
    }
    struct rill_handle *handles = measure->count ? gather_handles(measure) : NULL;
    if (measure->count && !handles)
        return RILL_ENOMEM;
    struct emission emission = {.filling = {.size = (size_t)measure->bytes, .fill = emit_into}, .plan = plan, .value = value};
    int code = rill_send_filled(sender, &emission.filling, handles, measure->count, deadline);
    if (code == RILL_OK)
        forget_moved(measure, handles);
    free(handles);
    return code;
}

/* All of a type whose values are small, in one pass. */
static int send_small_value(rill_sender *sender, const struct rill_plan *plan, const void *value, int64_t deadline)
{
    unsigned char bytes[STACK_BYTES];
    size_t size;
    int code = rill_emit_bounded(plan, value, bytes, &size);
    return code == RILL_OK ? send_bytes(sender, bytes, size, deadline) : code;
}

/* Of plain structs all is known before: what stands in front, and how long it is. */
static inline bool is_quick(const struct rill_plan *plan)
{
    return RILL_PLAN_PACKS && plan->form == RILL_FORM_PLAIN && plan->packed_bytes <= STACK_BYTES - plan->prefix_bytes;
}

static int send_plain(rill_sender *sender, const struct rill_plan *plan, const void *value, int64_t deadline)
{
    unsigned char bytes[STACK_BYTES];
    if (!rill_plain_is_sound(plan, value))
        return RILL_EINVAL;
    memcpy(bytes, plan->prefix, plan->prefix_bytes);
    if (plan->gapless)
        memcpy(bytes + plan->prefix_bytes, value, plan->packed_bytes);
    else
        rill_plain_pack(plan, bytes + plan->prefix_bytes, value);
    return send_bytes(sender, bytes, plan->prefix_bytes + plan->packed_bytes, deadline);
}

int rill_send_as_until(rill_sender *sender, const struct rill_type *type, void *value, int64_t deadline)
{
    const struct rill_plan *plan;
    if (!value || (deadline < 0 && deadline != RILL_AS_CONFIGURED))
        return RILL_EINVAL;
    int code = rill_plan_of(type, &plan);
    if (code != RILL_OK)
        return code;
    if (is_quick(plan))
        return send_plain(sender, plan, value, deadline);
    if (plan->most_bytes <= STACK_BYTES - plan->prefix_bytes)
        return send_small_value(sender, plan, value, deadline);
    struct rill_measure measure;
    code = rill_measure(&measure, plan, value);
    if (code == RILL_OK)
        code = send_measured(sender, plan, value, &measure, deadline);
    free(measure.slots);
    return code;
}

int rill_send_as(rill_sender *sender, const struct rill_type *type, void *value)
{
    return rill_send_as_until(sender, type, value, RILL_AS_CONFIGURED);
}

/* ---- receiving ---- */

static int take_claims(rill_message *message, const struct rill_claims *claims)
{
    int code = RILL_OK;
    for (size_t i = 0; i < claims->count && code == RILL_OK; i++) {
        const struct rill_claim *claim = &claims->list[i];
        struct rill_handle handle;
        code = rill_message_take(message, (size_t)claim->index, claim->kind, &handle);
        if (code != RILL_OK)
            break;
        if (claim->kind == RILL_HANDLE_DESCRIPTOR)
            memcpy(claim->member, &handle.as.descriptor, sizeof handle.as.descriptor);
        else
            memcpy(claim->member, &handle.as.opaque, sizeof handle.as.opaque);
    }
    return code;
}

static int compare_claims(const void *a, const void *b)
{
    uint64_t indexes[2] = {((const struct rill_claim *)a)->index, ((const struct rill_claim *)b)->index};
    return (indexes[0] > indexes[1]) - (indexes[0] < indexes[1]);
}

/* Are all of them there, each once, and of their kind? So that nothing is taken for a value that is refused in the end. */
static int check_claims(const rill_message *message, struct rill_claims *claims)
{
    if (claims->count)
        qsort(claims->list, claims->count, sizeof *claims->list, compare_claims);
    for (size_t i = 0; i < claims->count; i++) {
        const struct rill_claim *claim = &claims->list[i];
        int kind = rill_message_handle_kind(message, (size_t)claim->index);
        if (kind < 0 || (i && claim->index == claims->list[i - 1].index))
            return RILL_EDECODE;
        if (claim->kind != RILL_HANDLE_OPAQUE && (uint32_t)kind != claim->kind)
            return RILL_EDECODE;
    }
    return RILL_OK;
}

/* `message` may be NULL: then there are no handles. */
static int decode_value(const struct rill_plan *plan, rill_message *message, const void *data, size_t size, const struct rill_limits *limits,
                        void *value)
{
    struct rill_claims claims = {.offered = rill_message_handle_count(message)};
    rill_value_clear(plan, value);
    int code = rill_decode(plan, data, size, limits, value, &claims);
    if (code == RILL_OK)
        code = check_claims(message, &claims);
    if (code == RILL_OK)
        code = take_claims(message, &claims);
    free(claims.list);
    if (code != RILL_OK)
        rill_value_release(plan, value);
    return code;
}

/* A plain struct just as this program writes it. False: a closer look is needed. */
static bool unpack_at_once(const struct rill_plan *plan, const rill_message *message, void *value)
{
    if (!is_quick(plan) || message->size != plan->prefix_bytes + plan->packed_bytes ||
        memcmp(message->data, plan->prefix, plan->prefix_bytes) != 0)
        return false;
    if (plan->gapless)
        memcpy(value, message->data + plan->prefix_bytes, plan->packed_bytes);
    else
        rill_plain_unpack(plan, value, message->data + plan->prefix_bytes);
    return rill_plain_is_sound(plan, value);
}

static int decode_message(const struct rill_plan *plan, rill_message *message, const struct rill_limits *limits, void *value)
{
    if (unpack_at_once(plan, message, value))
        return RILL_OK;
    return decode_value(plan, message, message->data, (size_t)message->size, limits, value);
}

int rill_message_as(rill_message *message, const struct rill_type *type, const struct rill_limits *limits, void *value)
{
    const struct rill_plan *plan;
    if (!rill_is_message(message) || !value)
        return RILL_EINVAL;
    int code = rill_plan_of(type, &plan);
    return code == RILL_OK ? decode_message(plan, message, limits, value) : code;
}

int rill_recv_as_until(rill_receiver *receiver, const struct rill_type *type, int64_t deadline, void *value)
{
    const struct rill_plan *plan;
    rill_message *message;
    if (!value)
        return RILL_EINVAL;
    int code = rill_plan_of(type, &plan);
    if (code == RILL_OK)
        code = rill_recv_until(receiver, deadline, &message);
    if (code != RILL_OK)
        return code;
    code = decode_message(plan, message, NULL, value);
    (void)rill_message_close(&message);
    return code;
}

int rill_recv_as(rill_receiver *receiver, const struct rill_type *type, void *value)
{
    return rill_recv_as_until(receiver, type, RILL_FOREVER, value);
}

int rill_message_type(const rill_message *message, struct rill_type_id *type)
{
    const unsigned char *body;
    struct rill_type_id found;
    if (!rill_is_message(message) || !type)
        return RILL_EINVAL;
    int code = rill_decode_type(message->data, (size_t)message->size, &found, &body);
    if (code == RILL_OK)
        *type = found;
    return code;
}

/* ---- without a channel ---- */

int rill_type_init(const struct rill_type *type, void *value)
{
    static const uint64_t none[4];
    const struct rill_plan *plan;
    if (!value)
        return RILL_EINVAL;
    int code = rill_plan_of(type, &plan);
    if (code != RILL_OK)
        return code;
    rill_value_clear(plan, value);
    code = plan->form == RILL_FORM_STRUCT ? rill_value_default(plan, value, none) : RILL_OK;
    if (code != RILL_OK)
        rill_value_release(plan, value);
    return code;
}

int rill_type_free(const struct rill_type *type, void *value)
{
    const struct rill_plan *plan;
    if (!value)
        return RILL_EINVAL;
    int code = rill_plan_of(type, &plan);
    if (code != RILL_OK)
        return code;
    rill_value_release(plan, value);
    return RILL_OK;
}

int rill_type_encode(const struct rill_type *type, const void *value, void *buffer, size_t capacity, size_t *size)
{
    const struct rill_plan *plan;
    struct rill_measure measure;
    if (!value || (!buffer && capacity) || !size)
        return RILL_EINVAL;
    int code = rill_plan_of(type, &plan);
    if (code != RILL_OK)
        return code;
    code = rill_measure(&measure, plan, value);
    free(measure.slots);
    if (code == RILL_OK && measure.count)
        code = RILL_EINVAL;
    if (code != RILL_OK)
        return code;
    *size = (size_t)measure.bytes;
    if (measure.bytes > capacity)
        return RILL_EMSGSIZE;
    (void)rill_emit(plan, value, buffer, *size);
    return RILL_OK;
}

int rill_type_decode(const struct rill_type *type, const void *data, size_t size, const struct rill_limits *limits, void *value)
{
    const struct rill_plan *plan;
    if (!value || (!data && size))
        return RILL_EINVAL;
    int code = rill_plan_of(type, &plan);
    return code == RILL_OK ? decode_value(plan, NULL, data ? data : "", size, limits, value) : code;
}
