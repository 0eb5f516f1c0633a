/* SPDX-License-Identifier: MIT */
#include "cbor_items.h"

#include <math.h>

static double half_number(uint64_t bits)
{
    int exponent = (int)(bits >> 10 & 31);
    double mantissa = (double)(bits & 1023);
    double value = exponent == 0 ? ldexp(mantissa, -24) : exponent < 31 ? ldexp(mantissa + 1024, exponent - 25) : mantissa != 0 ? NAN : INFINITY;
    return bits >> 15 & 1 ? -value : value;
}

double rill_cbor_number(uint32_t info, uint64_t bits)
{
    if (info == RILL_CBOR_HALF)
        return half_number(bits);
    if (info == RILL_CBOR_SINGLE) {
        uint32_t word = (uint32_t)bits;
        float single;
        memcpy(&single, &word, sizeof single);
        return (double)single;
    }
    double number;
    memcpy(&number, &bits, sizeof number);
    return number;
}

/* The bytes of the character at `text`, no ASCII, of which `size` are there; 0: none can be like this. */
static size_t character_size(const unsigned char *text, size_t size)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t length = text[0] >> 5 == 6 ? 2 : text[0] >> 4 == 14 ? 3 : text[0] >> 3 == 30 ? 4 : 0;
    if (length == 0 || length > size)
        return 0;
    uint32_t character = text[0] & (0x7fu >> length);
    for (size_t i = 1; i < length; i++) {
        if (text[i] >> 6 != 2)
            return 0;
        character = character << 6 | (text[i] & 0x3f);
    }
    bool surrogate = character >= 0xd800 && character <= 0xdfff;
    return character >= least[length] && character <= 0x10ffff && !surrogate ? length : 0;
}

bool rill_cbor_is_utf8(const unsigned char *text, size_t size)
{
    size_t at = 0;
    while (at < size) {
        uint64_t word;
        if (size - at >= sizeof word) {
            memcpy(&word, text + at, sizeof word);
            if (!(word & UINT64_C(0x8080808080808080))) {
                at += sizeof word;
                continue;
            }
        }
        size_t length = text[at] < 0x80 ? 1 : character_size(text + at, size - at);
        if (!length)
            return false;
        at += length;
    }
    return true;
}

/* ---- whole items ---- */

/* An array, map, tag or text in pieces that the walk is inside of. */
struct level {
    uint64_t left;      /* items to come; if it is indefinite, how many came */
    uint32_t major;
    bool indefinite;
};

struct stack {
    struct level levels[RILL_CBOR_DEPTH_MOST];
    uint32_t depth;
};

static int enter(struct rill_cbor_walk *walk, struct stack *stack, const struct rill_cbor_head *head, uint64_t items)
{
    if (stack->depth >= walk->depth || stack->depth == RILL_CBOR_DEPTH_MOST)
        return RILL_EDECODE;
    bool indefinite = head->info == RILL_CBOR_INDEFINITE;
    stack->levels[stack->depth++] = (struct level){.left = indefinite ? 0 : items, .major = head->major, .indefinite = indefinite};
    return RILL_OK;
}

/* An item is over, and with it perhaps what it was the last of. True: that was all. */
static bool leave(struct stack *stack)
{
    while (stack->depth) {
        struct level *level = &stack->levels[stack->depth - 1];
        if (level->indefinite) {
            level->left++;
            return false;
        }
        if (--level->left)
            return false;
        stack->depth--;
    }
    return true;
}

/* A break has to end something: a map only behind a value. */
static int end_level(struct stack *stack)
{
    struct level *level = stack->depth ? &stack->levels[stack->depth - 1] : NULL;
    if (!level || !level->indefinite || (level->major == RILL_CBOR_MAP && level->left % 2))
        return RILL_EDECODE;
    stack->depth--;
    return RILL_OK;
}

static int skip_bytes(const struct rill_cbor_head *head, const unsigned char **at, const unsigned char *end)
{
    if (head->argument > (uint64_t)(end - *at))
        return RILL_EDECODE;
    *at += head->argument;
    return RILL_OK;
}

/* Inside of text in pieces there are only whole pieces of its kind. */
static bool fits_level(const struct stack *stack, const struct rill_cbor_head *head)
{
    const struct level *level = stack->depth ? &stack->levels[stack->depth - 1] : NULL;
    bool in_pieces = level && (level->major == RILL_CBOR_BYTES || level->major == RILL_CBOR_TEXT);
    return !in_pieces || (head->major == level->major && head->info != RILL_CBOR_INDEFINITE);
}

/* What follows a head. *entered: its items are to come. */
static int skip_content(struct rill_cbor_walk *walk, struct stack *stack, const struct rill_cbor_head *head, const unsigned char **at,
                        const unsigned char *end, bool *entered)
{
    bool indefinite = head->info == RILL_CBOR_INDEFINITE;
    uint64_t items = head->argument;
    switch (head->major) {
    case RILL_CBOR_BYTES:
    case RILL_CBOR_TEXT:
        *entered = indefinite;
        return indefinite ? enter(walk, stack, head, 0) : skip_bytes(head, at, end);
    case RILL_CBOR_ARRAY:
    case RILL_CBOR_MAP:
        if (items > (uint64_t)(end - *at)) /* each takes a byte at least */
            return RILL_EDECODE;
        *entered = indefinite || items;
        return *entered ? enter(walk, stack, head, head->major == RILL_CBOR_MAP ? items * 2 : items) : RILL_OK;
    case RILL_CBOR_TAG:
        *entered = true;
        return enter(walk, stack, head, 1);
    default:
        return RILL_OK;
    }
}

int rill_cbor_skip(struct rill_cbor_walk *walk, const unsigned char **at, const unsigned char *end)
{
    struct stack stack;
    stack.depth = 0;
    for (;;) {
        struct rill_cbor_head head;
        if (!rill_cbor_read(at, end, &head))
            return RILL_EDECODE;
        bool entered = false;
        int code = RILL_EDECODE;
        if (rill_cbor_is_break(&head))
            code = end_level(&stack);
        else if (walk->items && fits_level(&stack, &head)) {
            walk->items--;
            code = skip_content(walk, &stack, &head, at, end, &entered);
        }
        if (code != RILL_OK)
            return code;
        if (!entered && leave(&stack))
            return RILL_OK;
    }
}
