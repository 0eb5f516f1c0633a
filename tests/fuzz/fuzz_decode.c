/* SPDX-License-Identifier: MIT */
/*
 * Any bytes, decoded as a value and as typed structs: no crash, no hang, no memory beyond the limits, no leak. What is accepted has to encode to
 * something that decodes to the same. For libFuzzer, and for AFL++ by way of its driver.
 */
#include <stdlib.h>
#include <string.h>

#include <rill/value.h>

#include "src/decode.h"
#include "tests/types.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct rill_limits limits = {.size = sizeof limits, .max_depth = 40, .max_items = 20000, .max_bytes = 4 << 20};

static void expect(bool holds)
{
    if (!holds)
        abort();
}

static void try_value(const uint8_t *data, size_t size)
{
    cbor_item_t *value, *again;
    if (rill_value_decode(data, size, &limits, &value) != RILL_OK)
        return;
    unsigned char *bytes, *more;
    size_t capacity, written = cbor_serialize_alloc(value, &bytes, &capacity);
    expect(written > 0 && rill_value_decode(bytes, written, &limits, &again) == RILL_OK);
    expect(cbor_serialize_alloc(again, &more, &capacity) == written && memcmp(bytes, more, written) == 0);
    cbor_decref(&again);
    cbor_decref(&value);
    free(bytes);
    free(more);
}

static void encode_again(const struct rill_type *type, const void *value, void *copy)
{
    static unsigned char bytes[1 << 20];
    size_t size;
    int order, code = rill_type_encode(type, value, bytes, sizeof bytes, &size);
    if (code != RILL_OK) { /* lists that are too deep in one another, or that much */
        expect(code == RILL_EINVAL || code == RILL_EMSGSIZE);
        return;
    }
    code = rill_type_decode(type, bytes, size, NULL, copy);
    expect(code == RILL_OK && rill_type_compare(type, value, copy, &order) == RILL_OK && order == 0);
    char text[64];
    expect(rill_type_print(type, value, text, sizeof text, &size) == RILL_OK);
    expect(rill_type_free(type, copy) == RILL_OK);
}

static void try_type(const struct rill_type *type, const uint8_t *data, size_t size, void *value, void *copy)
{
    if (rill_type_decode(type, data, size, &limits, value) != RILL_OK)
        return;
    encode_again(type, value, copy);
    expect(rill_type_free(type, value) == RILL_OK);
}

/* As the body of a message of this type, so that no fuzzer has to find out how one begins. */
static void try_body(const struct rill_type *type, const uint8_t *data, size_t size, void *value, void *copy)
{
    const struct rill_plan *plan;
    expect(rill_plan_of(type, &plan) == RILL_OK);
    unsigned char *message = malloc(plan->prefix_bytes + size);
    expect(message != NULL);
    memcpy(message, plan->prefix, plan->prefix_bytes);
    if (size)
        memcpy(message + plan->prefix_bytes, data, size);
    try_type(type, message, plan->prefix_bytes + size, value, copy);
    free(message);
}

/* With handles that the message is said to have. */
static void try_handles(const uint8_t *data, size_t size)
{
    static struct hands hands;
    struct rill_claims claims = {.offered = 5};
    const struct rill_plan *plan;
    expect(rill_plan_of(&hands_type, &plan) == RILL_OK);
    rill_value_clear(plan, &hands);
    (void)rill_decode(plan, data, size, &limits, &hands, &claims);
    expect(claims.count <= 5);
    free(claims.list);
    rill_value_release(plan, &hands);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct everything everything, copy;
    static struct span span, span_copy;
    static struct tree tree, tree_copy;
    if (size > 1 << 16)
        return 0;
    try_value(data, size);
    try_type(&everything_type, data, size, &everything, &copy);
    try_body(&everything_type, data, size, &everything, &copy);
    try_body(&span_type, data, size, &span, &span_copy);
    try_body(&tree_type, data, size, &tree, &tree_copy);
    try_handles(data, size);
    return 0;
}
