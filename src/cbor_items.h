/* SPDX-License-Identifier: MIT */
/*
 * The heads of CBOR items (RFC 8949), read and written, and items skipped.
 *
 * libcbor could do this too, but reading here is of shared memory, which its sender may change meanwhile: each head is read once, into locals that
 * the compiler may not read again. And a head is a few instructions, where a call of a library with a callback for each item is a multiple of that.
 */
#ifndef RILL_CBOR_H
#define RILL_CBOR_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <rill/rill.h>

enum rill_cbor_major {
    RILL_CBOR_UINT = 0,
    RILL_CBOR_NEGATIVE = 1,
    RILL_CBOR_BYTES = 2,
    RILL_CBOR_TEXT = 3,
    RILL_CBOR_ARRAY = 4,
    RILL_CBOR_MAP = 5,
    RILL_CBOR_TAG = 6,
    RILL_CBOR_SIMPLE = 7,
};

#define RILL_CBOR_HALF 25u
#define RILL_CBOR_SINGLE 26u
#define RILL_CBOR_DOUBLE 27u
#define RILL_CBOR_INDEFINITE 31u
#define RILL_CBOR_FALSE 20u
#define RILL_CBOR_TRUE 21u
#define RILL_CBOR_NULL 22u
#define RILL_CBOR_NULL_BYTE 0xf6u
#define RILL_CBOR_DEPTH_MOST 512u

struct rill_cbor_head {
    uint64_t argument;
    uint32_t major;
    uint32_t info; /* the low bits of the first byte: how long the argument is, or RILL_CBOR_INDEFINITE */
};

/* What was read stays read: the compiler can neither see where it came from nor load it again. */
#define RILL_CBOR_PIN(value) __asm__ volatile("" : "+r"(value))

static inline uint64_t rill_cbor_load(const unsigned char *at, size_t size)
{
    uint16_t two;
    uint32_t four;
    uint64_t eight;
    switch (size) {
    case 1:
        eight = *at;
        break;
    case 2:
        memcpy(&two, at, sizeof two);
        eight = two;
        break;
    case 4:
        memcpy(&four, at, sizeof four);
        eight = four;
        break;
    default:
        memcpy(&eight, at, sizeof eight);
        break;
    }
    RILL_CBOR_PIN(eight);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    eight = __builtin_bswap64(eight) >> (64 - 8 * size);
#endif
    return eight;
}

static inline void rill_cbor_store(unsigned char *at, uint64_t value, size_t size)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    value = __builtin_bswap64(value) >> (64 - 8 * size);
#endif
    uint16_t two = (uint16_t)value;
    uint32_t four = (uint32_t)value;
    switch (size) {
    case 1:
        *at = (unsigned char)value;
        break;
    case 2:
        memcpy(at, &two, sizeof two);
        break;
    case 4:
        memcpy(at, &four, sizeof four);
        break;
    default:
        memcpy(at, &value, sizeof value);
        break;
    }
}

/* Reads the head at *at and moves behind it. False: no item can begin like this, or it is cut off. */
static inline bool rill_cbor_read(const unsigned char **at, const unsigned char *end, struct rill_cbor_head *head)
{
    if (*at == end)
        return false;
    uint32_t first = **at;
    RILL_CBOR_PIN(first);
    head->major = first >> 5;
    head->info = first & 31;
    head->argument = head->info;
    ++*at;
    if (head->info < 24)
        return true;
    if (head->info > 27) {
        head->argument = 0;
        return head->info == RILL_CBOR_INDEFINITE &&
               (head->major == RILL_CBOR_SIMPLE || (head->major >= RILL_CBOR_BYTES && head->major <= RILL_CBOR_MAP));
    }
    size_t size = (size_t)1 << (head->info - 24);
    if ((size_t)(end - *at) < size)
        return false;
    head->argument = rill_cbor_load(*at, size);
    *at += size;
    return head->major != RILL_CBOR_SIMPLE || head->info != 24 || head->argument >= 32;
}

static inline bool rill_cbor_is_break(const struct rill_cbor_head *head)
{
    return head->major == RILL_CBOR_SIMPLE && head->info == RILL_CBOR_INDEFINITE;
}

/* How many bytes the shortest head takes. */
static inline size_t rill_cbor_head_size(uint64_t argument)
{
    return argument < 24 ? 1 : argument <= UINT8_MAX ? 2 : argument <= UINT16_MAX ? 3 : argument <= UINT32_MAX ? 5 : 9;
}

/* Writes the shortest head: rill_cbor_head_size bytes. */
static inline unsigned char *rill_cbor_write(unsigned char *at, uint32_t major, uint64_t argument)
{
    if (argument < 24) {
        *at = (unsigned char)(major << 5 | argument);
        return at + 1;
    }
    unsigned power = argument <= UINT8_MAX ? 0 : argument <= UINT16_MAX ? 1 : argument <= UINT32_MAX ? 2 : 3;
    *at = (unsigned char)(major << 5 | (24 + power));
    rill_cbor_store(at + 1, argument, (size_t)1 << power);
    return at + 1 + ((size_t)1 << power);
}

/* The number that an info of 25, 26 or 27 and its argument say. */
double rill_cbor_number(uint32_t info, uint64_t bits);

bool rill_cbor_is_utf8(const unsigned char *text, size_t size);

/* ---- whole items ---- */

/* What skipping may cost. */
struct rill_cbor_walk {
    uint32_t depth; /* of arrays, maps, tags and text in pieces */
    uint64_t items; /* counted down */
};

/* Moves behind one item, without a look at what text is like. RILL_EDECODE: it is not in order, or too deep, or of too many items. */
int rill_cbor_skip(struct rill_cbor_walk *walk, const unsigned char **at, const unsigned char *end);

#endif
