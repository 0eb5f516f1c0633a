/* SPDX-License-Identifier: MIT */
/*
 * libcbor could load a tree by itself. But it believes what an array says about its length before it has seen an item, has no limits but its own,
 * may read a byte twice, and refuses what it could well hold (tags 6 to 20, simple values). So the bytes are read here, and libcbor's
 * builders make the items.
 */
#include "load.h"

#include <stdlib.h>
#include <string.h>

#include "cbor_items.h"
#include "decode.h"

/* What an item takes, about: itself, its place in the parent, and what malloc adds. */
#define ITEM_BYTES (sizeof(cbor_item_t) + 4 * sizeof(void *))

struct loader {
    const unsigned char *at, *end;
    const rill_message *message;
    uint64_t items, bytes; /* may still be made, allocated */
    uint32_t depth;        /* likewise */
};

static int load_item(struct loader *loader, cbor_item_t **item);

static int spend(struct loader *loader, uint64_t bytes)
{
    if (bytes > loader->bytes)
        return RILL_EDECODE;
    loader->bytes -= bytes;
    return RILL_OK;
}

static int read_head(struct loader *loader, struct rill_cbor_head *head)
{
    if (!loader->items || !rill_cbor_read(&loader->at, loader->end, head))
        return RILL_EDECODE;
    loader->items--;
    return spend(loader, ITEM_BYTES);
}

/* What a builder made, or that there was no memory for it. */
static int built(cbor_item_t *item, cbor_item_t **result)
{
    *result = item;
    return item ? RILL_OK : RILL_ENOMEM;
}

/* ---- leaves ---- */

static int load_integer(const struct rill_cbor_head *head, cbor_item_t **item)
{
    cbor_item_t *made;
    switch (head->info) {
    case 25:
        made = cbor_build_uint16((uint16_t)head->argument);
        break;
    case 26:
        made = cbor_build_uint32((uint32_t)head->argument);
        break;
    case 27:
        made = cbor_build_uint64(head->argument);
        break;
    default:
        made = cbor_build_uint8((uint8_t)head->argument);
        break;
    }
    if (made && head->major == RILL_CBOR_NEGATIVE)
        cbor_mark_negint(made);
    return built(made, item);
}

static int load_simple(const struct rill_cbor_head *head, cbor_item_t **item)
{
    uint32_t word = (uint32_t)head->argument;
    float single;
    double number;
    switch (head->info) {
    case RILL_CBOR_HALF:
        return built(cbor_build_float2((float)rill_cbor_number(head->info, head->argument)), item);
    case RILL_CBOR_SINGLE:
        memcpy(&single, &word, sizeof single);
        return built(cbor_build_float4(single), item);
    case RILL_CBOR_DOUBLE:
        memcpy(&number, &head->argument, sizeof number);
        return built(cbor_build_float8(number), item);
    case RILL_CBOR_INDEFINITE: /* a break that ends nothing */
        return RILL_EDECODE;
    default:
        return built(cbor_build_ctrl((uint8_t)head->argument), item);
    }
}

/* Copied first, then checked. */
static int load_whole(struct loader *loader, const struct rill_cbor_head *head, cbor_item_t **item)
{
    size_t length = (size_t)head->argument;
    if (head->argument > (uint64_t)(loader->end - loader->at))
        return RILL_EDECODE;
    bool text = head->major == RILL_CBOR_TEXT;
    int code = spend(loader, head->argument);
    if (code == RILL_OK)
        code = built(text ? cbor_build_stringn((const char *)loader->at, length) : cbor_build_bytestring(loader->at, length), item);
    loader->at += length;
    if (code != RILL_OK || !text || rill_cbor_is_utf8(cbor_string_handle(*item), length))
        return code;
    cbor_decref(item);
    return RILL_EDECODE;
}

/* ---- what has items inside ---- */

/* Is there one more? For what is indefinite the break says, and is passed. */
static int more_items(struct loader *loader, const struct rill_cbor_head *head, uint64_t done, bool *more)
{
    if (head->info != RILL_CBOR_INDEFINITE) {
        *more = done < head->argument;
        return RILL_OK;
    }
    if (loader->at == loader->end)
        return RILL_EDECODE;
    *more = *loader->at != 0xff;
    loader->at += !*more;
    return RILL_OK;
}

static int load_piece(struct loader *loader, const struct rill_cbor_head *head, cbor_item_t *whole)
{
    struct rill_cbor_head piece_head;
    cbor_item_t *piece;
    int code = read_head(loader, &piece_head);
    if (code == RILL_OK && (piece_head.major != head->major || piece_head.info == RILL_CBOR_INDEFINITE))
        code = RILL_EDECODE;
    if (code == RILL_OK)
        code = load_whole(loader, &piece_head, &piece);
    if (code != RILL_OK)
        return code;
    bool added = head->major == RILL_CBOR_TEXT ? cbor_string_add_chunk(whole, piece) : cbor_bytestring_add_chunk(whole, piece);
    cbor_decref(&piece);
    return added ? RILL_OK : RILL_ENOMEM;
}

static int load_element(struct loader *loader, const struct rill_cbor_head *head, cbor_item_t *array)
{
    cbor_item_t *element;
    (void)head;
    int code = load_item(loader, &element);
    if (code != RILL_OK)
        return code;
    bool added = cbor_array_push(array, element);
    cbor_decref(&element);
    return added ? RILL_OK : RILL_ENOMEM;
}

static int load_pair(struct loader *loader, const struct rill_cbor_head *head, cbor_item_t *map)
{
    struct cbor_pair pair;
    (void)head;
    int code = load_item(loader, &pair.key);
    if (code != RILL_OK)
        return code;
    code = load_item(loader, &pair.value);
    if (code == RILL_OK) {
        code = cbor_map_add(map, pair) ? RILL_OK : RILL_ENOMEM;
        cbor_decref(&pair.value);
    }
    cbor_decref(&pair.key);
    return code;
}

/* Fills what was made for a head. */
static int load_inside(struct loader *loader, const struct rill_cbor_head *head, cbor_item_t *made,
                       int (*load_one)(struct loader *, const struct rill_cbor_head *, cbor_item_t *), cbor_item_t **item)
{
    bool more = true;
    int code = made ? RILL_OK : RILL_ENOMEM;
    for (uint64_t done = 0; code == RILL_OK; done++) {
        code = more_items(loader, head, done, &more);
        if (code != RILL_OK || !more)
            break;
        code = load_one(loader, head, made);
    }
    if (code != RILL_OK && made)
        cbor_decref(&made);
    *item = made;
    return code;
}

static int load_pieces(struct loader *loader, const struct rill_cbor_head *head, cbor_item_t **item)
{
    cbor_item_t *made = head->major == RILL_CBOR_TEXT ? cbor_new_indefinite_string() : cbor_new_indefinite_bytestring();
    return load_inside(loader, head, made, load_piece, item);
}

static int load_array(struct loader *loader, const struct rill_cbor_head *head, cbor_item_t **item)
{
    if (head->argument > (uint64_t)(loader->end - loader->at)) /* each takes a byte at least */
        return RILL_EDECODE;
    bool indefinite = head->info == RILL_CBOR_INDEFINITE;
    if (spend(loader, head->argument * sizeof(cbor_item_t *)) != RILL_OK)
        return RILL_EDECODE;
    return load_inside(loader, head, indefinite ? cbor_new_indefinite_array() : cbor_new_definite_array((size_t)head->argument), load_element, item);
}

static int load_map(struct loader *loader, const struct rill_cbor_head *head, cbor_item_t **item)
{
    if (head->argument > (uint64_t)(loader->end - loader->at) / 2)
        return RILL_EDECODE;
    bool indefinite = head->info == RILL_CBOR_INDEFINITE;
    if (spend(loader, head->argument * sizeof(struct cbor_pair)) != RILL_OK)
        return RILL_EDECODE;
    return load_inside(loader, head, indefinite ? cbor_new_indefinite_map() : cbor_new_definite_map((size_t)head->argument), load_pair, item);
}

/* ---- tags ---- */

/* A handle is the message's, and of its kind; one that was taken was so when it was there. */
static bool is_handle_there(const rill_message *message, uint32_t kind, const cbor_item_t *index)
{
    uint64_t number = cbor_isa_uint(index) ? cbor_get_int(index) : UINT64_MAX;
    if (!message || number >= rill_message_handle_count(message))
        return false;
    int found = rill_message_handle_kind(message, (size_t)number);
    return found == (int)kind || found == RILL_ENOHANDLE;
}

static int load_tag(struct loader *loader, const struct rill_cbor_head *head, cbor_item_t **item)
{
    cbor_item_t *content;
    int code = load_item(loader, &content);
    if (code != RILL_OK)
        return code;
    bool handle = head->argument > RILL_TAG_HANDLE && head->argument < RILL_TAG_HANDLE + RILL_HANDLE_OPAQUE;
    if (handle && !is_handle_there(loader->message, (uint32_t)(head->argument - RILL_TAG_HANDLE), content))
        code = RILL_EDECODE;
    if (code == RILL_OK)
        code = built(cbor_build_tag(head->argument, content), item);
    cbor_decref(&content);
    return code;
}

/* ---- all ---- */

static int load_nested(struct loader *loader, const struct rill_cbor_head *head, cbor_item_t **item)
{
    if (!loader->depth)
        return RILL_EDECODE;
    loader->depth--;
    int code;
    if (head->major == RILL_CBOR_ARRAY)
        code = load_array(loader, head, item);
    else if (head->major == RILL_CBOR_MAP)
        code = load_map(loader, head, item);
    else if (head->major == RILL_CBOR_TAG)
        code = load_tag(loader, head, item);
    else
        code = load_pieces(loader, head, item);
    loader->depth++;
    return code;
}

static int load_item(struct loader *loader, cbor_item_t **item)
{
    struct rill_cbor_head head;
    int code = read_head(loader, &head);
    if (code != RILL_OK)
        return code;
    switch (head.major) {
    case RILL_CBOR_UINT:
    case RILL_CBOR_NEGATIVE:
        return load_integer(&head, item);
    case RILL_CBOR_SIMPLE:
        return load_simple(&head, item);
    case RILL_CBOR_BYTES:
    case RILL_CBOR_TEXT:
        return head.info == RILL_CBOR_INDEFINITE ? load_nested(loader, &head, item) : load_whole(loader, &head, item);
    default:
        return load_nested(loader, &head, item);
    }
}

int rill_load(const unsigned char *data, size_t size, const rill_message *message, const struct rill_limits *limits, cbor_item_t **value)
{
    struct rill_limits most;
    int code = rill_limits_read(limits, &most);
    if (code != RILL_OK)
        return code;
    struct loader loader = {
        .at = data, .end = data + size, .message = message, .items = most.max_items, .bytes = most.max_bytes, .depth = most.max_depth};
    cbor_item_t *loaded;
    code = load_item(&loader, &loaded);
    if (code != RILL_OK)
        return code;
    if (loader.at != loader.end) {
        cbor_decref(&loaded);
        return RILL_EDECODE;
    }
    *value = loaded;
    return RILL_OK;
}
