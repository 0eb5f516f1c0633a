/* SPDX-License-Identifier: MIT */
/* Trees of libcbor's items over channels. */
#include <rill/value.h>

#include <string.h>

#include "cbor_items.h"
#include "load.h"
#include "message.h"
#include "parts.h"
#include "send.h"

/* ---- handles ---- */

static bool is_travelling_kind(uint32_t kind)
{
    return kind >= RILL_HANDLE_SENDER && kind <= RILL_HANDLE_BUFFER;
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

/* ---- measuring: the bytes that cbor_serialize will write, which libcbor of this age does not tell ----
 * Its questions about an item are calls, of which it takes several for each; so the item, whose form is public, is read itself. */

struct ruler {
    uint64_t bytes;
    const struct rill_handle *handles;
    size_t count;
    uint32_t depth;
};

static int measure(struct ruler *ruler, const cbor_item_t *item);

static int measure_integer(struct ruler *ruler, const cbor_item_t *item)
{
    cbor_int_width width = item->metadata.int_metadata.width;
    bool short_form = width == CBOR_INT_8 && *item->data < 24;
    ruler->bytes += short_form ? 1 : 1 + ((uint64_t)1 << width);
    return RILL_OK;
}

static int measure_float(struct ruler *ruler, const cbor_item_t *item)
{
    static const uint8_t bytes[] = {[CBOR_FLOAT_0] = 1, [CBOR_FLOAT_16] = 3, [CBOR_FLOAT_32] = 5, [CBOR_FLOAT_64] = 9};
    cbor_float_width width = item->metadata.float_ctrl_metadata.width;
    uint8_t control = width == CBOR_FLOAT_0 ? item->metadata.float_ctrl_metadata.ctrl : 0;
    ruler->bytes += control < 24 ? bytes[width] : 2;
    return control < 24 || control >= 32 ? RILL_OK : RILL_EINVAL;
}

static int measure_pieces(struct ruler *ruler, const cbor_item_t *item)
{
    const struct cbor_indefinite_string_data *data = (const struct cbor_indefinite_string_data *)(const void *)item->data;
    int code = RILL_OK;
    ruler->bytes += 2; /* begin and break */
    for (size_t i = 0; i < data->chunk_count && code == RILL_OK; i++)
        code = measure(ruler, data->chunks[i]);
    return code;
}

static int measure_bytes(struct ruler *ruler, const cbor_item_t *item)
{
    if (item->metadata.bytestring_metadata.type == _CBOR_METADATA_INDEFINITE)
        return measure_pieces(ruler, item);
    size_t length = item->metadata.bytestring_metadata.length;
    ruler->bytes += rill_cbor_head_size(length) + length;
    return RILL_OK;
}

static int measure_text(struct ruler *ruler, const cbor_item_t *item)
{
    if (item->metadata.string_metadata.type == _CBOR_METADATA_INDEFINITE)
        return measure_pieces(ruler, item);
    size_t length = item->metadata.string_metadata.length;
    ruler->bytes += rill_cbor_head_size(length) + length;
    return rill_cbor_is_utf8(item->data, length) ? RILL_OK : RILL_EINVAL;
}

static int measure_array(struct ruler *ruler, const cbor_item_t *item)
{
    size_t count = item->metadata.array_metadata.end_ptr;
    cbor_item_t **items = (cbor_item_t **)(void *)item->data;
    int code = RILL_OK;
    ruler->bytes += item->metadata.array_metadata.type == _CBOR_METADATA_DEFINITE ? rill_cbor_head_size(count) : 2;
    for (size_t i = 0; i < count && code == RILL_OK; i++)
        code = measure(ruler, items[i]);
    return code;
}

static int measure_map(struct ruler *ruler, const cbor_item_t *item)
{
    size_t count = item->metadata.map_metadata.end_ptr;
    const struct cbor_pair *pairs = (const struct cbor_pair *)(const void *)item->data;
    int code = RILL_OK;
    ruler->bytes += item->metadata.map_metadata.type == _CBOR_METADATA_DEFINITE ? rill_cbor_head_size(count) : 2;
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
    switch (item->type) {
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

int rill_message_value(const rill_message *message, const struct rill_limits *limits, cbor_item_t **value)
{
    return rill_is_message(message) && value ? rill_load(message->data, (size_t)message->size, message, limits, value) : RILL_EINVAL;
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
    return (data || !size) && value ? rill_load(data ? data : "", size, NULL, limits, value) : RILL_EINVAL;
}
