/* SPDX-License-Identifier: MIT */
/* Trees of libcbor's items over channels. */
#include <rill/value.h>

#include <stdlib.h>
#include <string.h>

#include "cbor_items.h"
#include "decode.h"
#include "message.h"
#include "parts.h"
#include "send.h"

/* What libcbor allocates for an item, about: itself, its place in the parent, and what malloc adds. */
#define ITEM_BYTES (sizeof(cbor_item_t) + 4 * sizeof(void *))

/* ---- handles ---- */

static bool is_travelling_kind(uint32_t kind)
{
    return kind >= RILL_HANDLE_SENDER && kind < RILL_HANDLE_OPAQUE;
}

cbor_item_t *rill_value_handle(uint32_t kind, size_t index)
{
    if (!is_travelling_kind(kind))
        return NULL;
    cbor_item_t *number = cbor_build_uint64(index);
    cbor_item_t *tag = number ? cbor_build_tag(RILL_TAG_HANDLE + kind, number) : NULL;
    if (number)
        cbor_decref(&number);
    return tag;
}

/* As cbor_tag_item, which counts up a reference and so writes to the item. */
static const cbor_item_t *tagged(const cbor_item_t *tag)
{
    return tag->metadata.tag_metadata.tagged_item;
}

static bool is_handle_tag(const cbor_item_t *item)
{
    uint64_t number = cbor_isa_tag(item) ? cbor_tag_value(item) : 0;
    return number > RILL_TAG_HANDLE && number < RILL_TAG_HANDLE + RILL_HANDLE_OPAQUE;
}

bool rill_value_is_handle(const cbor_item_t *item, uint32_t *kind, size_t *index)
{
    if (!item || !is_handle_tag(item) || !tagged(item) || !cbor_isa_uint(tagged(item)))
        return false;
    if (kind)
        *kind = (uint32_t)(cbor_tag_value(item) - RILL_TAG_HANDLE);
    if (index)
        *index = (size_t)cbor_get_int(tagged(item));
    return true;
}

/* ---- measuring: the bytes that cbor_serialize will write, which libcbor of this age does not tell ---- */

struct ruler {
    uint64_t bytes;
    const struct rill_handle *handles;
    size_t count;
    uint32_t depth;
};

static int measure(struct ruler *ruler, const cbor_item_t *item);

static int measure_integer(struct ruler *ruler, const cbor_item_t *item)
{
    cbor_int_width width = cbor_int_get_width(item);
    bool short_form = width == CBOR_INT_8 && cbor_get_uint8(item) < 24;
    ruler->bytes += short_form ? 1 : 1 + ((uint64_t)1 << width);
    return RILL_OK;
}

static int measure_float(struct ruler *ruler, const cbor_item_t *item)
{
    static const uint8_t bytes[] = {[CBOR_FLOAT_0] = 1, [CBOR_FLOAT_16] = 3, [CBOR_FLOAT_32] = 5, [CBOR_FLOAT_64] = 9};
    cbor_float_width width = cbor_float_get_width(item);
    uint8_t control = width == CBOR_FLOAT_0 ? cbor_ctrl_value(item) : 0;
    ruler->bytes += control < 24 ? bytes[width] : 2;
    return control < 24 || control >= 32 ? RILL_OK : RILL_EINVAL;
}

static int measure_pieces(struct ruler *ruler, cbor_item_t **pieces, size_t count)
{
    int code = RILL_OK;
    ruler->bytes += 2; /* begin and break */
    for (size_t i = 0; i < count && code == RILL_OK; i++)
        code = measure(ruler, pieces[i]);
    return code;
}

static int measure_bytes(struct ruler *ruler, const cbor_item_t *item)
{
    if (!cbor_bytestring_is_definite(item))
        return measure_pieces(ruler, cbor_bytestring_chunks_handle(item), cbor_bytestring_chunk_count(item));
    size_t length = cbor_bytestring_length(item);
    ruler->bytes += rill_cbor_head_size(length) + length;
    return RILL_OK;
}

static int measure_text(struct ruler *ruler, const cbor_item_t *item)
{
    if (!cbor_string_is_definite(item))
        return measure_pieces(ruler, cbor_string_chunks_handle(item), cbor_string_chunk_count(item));
    size_t length = cbor_string_length(item);
    ruler->bytes += rill_cbor_head_size(length) + length;
    return rill_cbor_is_utf8(cbor_string_handle(item), length) ? RILL_OK : RILL_EINVAL;
}

static int measure_array(struct ruler *ruler, const cbor_item_t *item)
{
    size_t count = cbor_array_size(item);
    cbor_item_t **items = cbor_array_handle(item);
    int code = RILL_OK;
    ruler->bytes += cbor_array_is_definite(item) ? rill_cbor_head_size(count) : 2;
    for (size_t i = 0; i < count && code == RILL_OK; i++)
        code = measure(ruler, items[i]);
    return code;
}

static int measure_map(struct ruler *ruler, const cbor_item_t *item)
{
    size_t count = cbor_map_size(item);
    const struct cbor_pair *pairs = cbor_map_handle(item);
    int code = RILL_OK;
    ruler->bytes += cbor_map_is_definite(item) ? rill_cbor_head_size(count) : 2;
    for (size_t i = 0; i < count && code == RILL_OK; i++) {
        code = measure(ruler, pairs[i].key);
        if (code == RILL_OK)
            code = measure(ruler, pairs[i].value);
    }
    return code;
}

static uint32_t kind_of(const struct rill_handle *handle)
{
    if (handle->kind != RILL_HANDLE_OPAQUE)
        return handle->kind;
    int kind = rill_opaque_kind(handle->as.opaque);
    return kind > 0 ? (uint32_t)kind : 0;
}

static int measure_tag(struct ruler *ruler, const cbor_item_t *item)
{
    uint32_t kind;
    size_t index;
    if (is_handle_tag(item) && (!rill_value_is_handle(item, &kind, &index) || index >= ruler->count || kind_of(&ruler->handles[index]) != kind))
        return RILL_EINVAL;
    ruler->bytes += rill_cbor_head_size(cbor_tag_value(item));
    return measure(ruler, tagged(item));
}

static int measure_any(struct ruler *ruler, const cbor_item_t *item)
{
    switch (cbor_typeof(item)) {
    case CBOR_TYPE_UINT:
    case CBOR_TYPE_NEGINT:
        return measure_integer(ruler, item);
    case CBOR_TYPE_BYTESTRING:
        return measure_bytes(ruler, item);
    case CBOR_TYPE_STRING:
        return measure_text(ruler, item);
    case CBOR_TYPE_ARRAY:
        return measure_array(ruler, item);
    case CBOR_TYPE_MAP:
        return measure_map(ruler, item);
    case CBOR_TYPE_TAG:
        return measure_tag(ruler, item);
    default:
        return measure_float(ruler, item);
    }
}

static int measure(struct ruler *ruler, const cbor_item_t *item)
{
    if (!item || ruler->depth == RILL_CBOR_DEPTH_MOST)
        return RILL_EINVAL;
    ruler->depth++;
    int code = measure_any(ruler, item);
    ruler->depth--;
    return code;
}

/* ---- sending ---- */

struct serialisation {
    struct rill_filling filling; /* first: parts.h */
    const cbor_item_t *value;
};

static void serialise(const struct rill_filling *filling, unsigned char *target)
{
    const struct serialisation *serialisation = (const struct serialisation *)filling;
    size_t written = cbor_serialize(serialisation->value, target, filling->size);
    memset(target + written, 0, filling->size - written); /* only if another thread has changed the tree meanwhile */
}

int rill_send_value(rill_sender *sender, const cbor_item_t *value, struct rill_handle *handles, size_t count, int64_t deadline)
{
    struct ruler ruler = {.handles = handles, .count = count};
    if (!value || (!handles && count) || (deadline < 0 && deadline != RILL_AS_CONFIGURED))
        return RILL_EINVAL;
    int code = measure(&ruler, value);
    if (code != RILL_OK)
        return code;
    struct serialisation serialisation = {.filling = {.size = (size_t)ruler.bytes, .fill = serialise}, .value = value};
    return rill_send_filled(sender, &serialisation.filling, handles, count, deadline);
}

/* ---- receiving ---- */

static int check_handle(void *context, uint32_t kind, uint64_t index)
{
    const rill_message *message = context;
    if (!message || index >= rill_message_handle_count(message))
        return RILL_EDECODE;
    int found = rill_message_handle_kind(message, (size_t)index);
    return found == (int)kind || found == RILL_ENOHANDLE ? RILL_OK : RILL_EDECODE; /* taken already: it was right then */
}

/* Bytes that nobody else can change, checked before libcbor allocates for what they say. */
static int load(const unsigned char *data, size_t size, const rill_message *message, const struct rill_limits *limits, cbor_item_t **value)
{
    struct rill_limits most;
    int code = rill_limits_read(limits, &most);
    if (code != RILL_OK)
        return code;
    struct rill_cbor_walk walk = {
        .depth = most.max_depth, .texts = true, .items = most.max_items, .handle = check_handle, .context = (void *)(uintptr_t)message};
    const unsigned char *at = data;
    code = rill_cbor_skip(&walk, &at, data + size);
    if (code != RILL_OK)
        return code;
    uint64_t items = most.max_items - walk.items;
    if (at != data + size || items > most.max_bytes / ITEM_BYTES || size > most.max_bytes - items * ITEM_BYTES)
        return RILL_EDECODE;
    struct cbor_load_result result;
    cbor_item_t *loaded = cbor_load(data, size, &result);
    if (!loaded)
        return result.error.code == CBOR_ERR_MEMERROR ? RILL_ENOMEM : RILL_EDECODE;
    *value = loaded;
    return RILL_OK;
}

int rill_message_value(const rill_message *message, const struct rill_limits *limits, cbor_item_t **value)
{
    if (!rill_is_message(message) || !value)
        return RILL_EINVAL;
    size_t size = (size_t)message->size;
    if (!message->block && !message->lane)
        return load(message->data, size, message, limits, value);
    unsigned char *copy = malloc(size ? size : 1); /* libcbor may read a byte twice */
    if (!copy)
        return RILL_ENOMEM;
    memcpy(copy, message->data, size);
    int code = load(copy, size, message, limits, value);
    free(copy);
    return code;
}

int rill_recv_value(rill_receiver *receiver, int64_t deadline, cbor_item_t **value, rill_message **message)
{
    if (!value || !message)
        return RILL_EINVAL;
    int code = rill_recv_until(receiver, deadline, message);
    if (code != RILL_OK)
        return code;
    *value = NULL;
    return rill_message_value(*message, NULL, value);
}

int rill_value_decode(const void *data, size_t size, const struct rill_limits *limits, cbor_item_t **value)
{
    return (data || !size) && value ? load(data ? data : "", size, NULL, limits, value) : RILL_EINVAL;
}
