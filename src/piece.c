/* SPDX-License-Identifier: MIT */
#include "piece.h"

#include <stdlib.h>
#include <string.h>

#include <rill/rill.h>

#include "process.h"

#define KEPT_MOST 8u
#define KEPT_BYTES ((uint64_t)256 << 20) /* together */

/* The one used last comes first. Under the process's lock. */
static struct rill_piece *kept;
static _Atomic uint32_t kept_count; /* relaxed, also where it is read without the lock: who misses one maps anew, or drops it after the next sleep */

/* ---- mapping ---- */

static void unmap(struct rill_piece *piece)
{
    if (piece->data)
        rill_port_memory_unmap(piece->data, piece->capacity);
    rill_port_close(piece->memory);
    free(piece);
}

/* Mapped; does not own the memory yet. */
static int map(rill_object memory, uint64_t capacity, bool writable, struct rill_piece **piece)
{
    void *address;
    struct rill_piece *made = calloc(1, sizeof *made);
    int code = made ? rill_port_share_map(memory, capacity, writable, &address) : RILL_ENOMEM;
    if (code != RILL_OK) {
        free(made);
        return code;
    }
    atomic_init(&made->references, 1);
    atomic_init(&made->writable, writable);
    made->may_write = writable;
    made->memory = RILL_NO_OBJECT;
    made->data = address;
    made->capacity = capacity;
    *piece = made;
    return RILL_OK;
}

int rill_piece_make(uint64_t capacity, uint32_t access, struct rill_piece **piece)
{
    rill_object memory;
    int code = rill_port_share_create(capacity, &memory);
    if (code != RILL_OK)
        return code;
    code = map(memory, capacity, true, piece);
    if (code != RILL_OK) {
        rill_port_close(memory);
        return code;
    }
    (*piece)->memory = memory;
    code = rill_port_share_seal(memory, access, true);
    if (code != RILL_OK)
        unmap(*piece);
    return code;
}

/* ---- kept ones ---- */

static bool is_same(const struct rill_piece *piece, const struct rill_identity *identity)
{
    return memcmp(&piece->identity, identity, sizeof *identity) == 0;
}

/* Takes it out of the list; under the lock. */
static struct rill_piece *take_out(struct rill_piece **link)
{
    struct rill_piece *piece = *link;
    *link = piece->next_kept;
    atomic_fetch_sub_explicit(&kept_count, 1, memory_order_relaxed);
    return piece;
}

static struct rill_piece *find_kept(const struct rill_identity *identity, uint64_t capacity)
{
    struct rill_piece **link = &kept;
    if (!rill_pieces_kept())
        return NULL;
    rill_process_lock();
    while (*link && !(is_same(*link, identity) && (*link)->capacity == capacity))
        link = &(*link)->next_kept;
    struct rill_piece *found = *link ? take_out(link) : NULL;
    rill_process_unlock();
    return found;
}

/* Takes out what is too much behind the first one, and a second mapping of the same object. Gives them as a list; under the lock. */
static struct rill_piece *take_surplus(void)
{
    struct rill_piece *surplus = NULL;
    uint64_t bytes = kept->capacity;
    unsigned count = 1;
    for (struct rill_piece **link = &kept->next_kept; *link;) {
        bool again = is_same(*link, &kept->identity);
        if (again || count == KEPT_MOST || bytes > KEPT_BYTES - (*link)->capacity) {
            struct rill_piece *piece = take_out(link);
            piece->next_kept = surplus;
            surplus = piece;
            continue;
        }
        bytes += (*link)->capacity;
        count++;
        link = &(*link)->next_kept;
    }
    return surplus;
}

static void unmap_all(struct rill_piece *list)
{
    while (list) {
        struct rill_piece *next = list->next_kept;
        unmap(list);
        list = next;
    }
}

static void keep_mapping(struct rill_piece *piece)
{
    rill_port_close(piece->memory);
    piece->memory = RILL_NO_OBJECT;
    piece->kept_since = rill_port_clock();
    rill_process_lock();
    piece->next_kept = kept;
    kept = piece;
    atomic_fetch_add_explicit(&kept_count, 1, memory_order_relaxed);
    struct rill_piece *surplus = take_surplus();
    rill_process_unlock();
    unmap_all(surplus);
}

bool rill_pieces_kept(void)
{
    return atomic_load_explicit(&kept_count, memory_order_relaxed) != 0;
}

bool rill_pieces_drop(int64_t since)
{
    struct rill_piece *dropped = NULL;
    if (!rill_pieces_kept())
        return false;
    rill_process_lock();
    for (struct rill_piece **link = &kept; *link;) {
        if ((*link)->kept_since > since) {
            link = &(*link)->next_kept;
            continue;
        }
        struct rill_piece *piece = take_out(link);
        piece->next_kept = dropped;
        dropped = piece;
    }
    rill_process_unlock();
    bool any = dropped != NULL;
    unmap_all(dropped);
    return any;
}

/* ---- received ones ---- */

static int check_and_map(rill_object memory, uint64_t capacity, struct rill_piece **piece)
{
    uint32_t access;
    bool writable;
    uint64_t size;
    if (rill_port_share_check(memory, &access, &writable) != RILL_OK || rill_port_memory_size(memory, &size) != RILL_OK || capacity == 0 ||
        capacity > size || capacity > SIZE_MAX / 2)
        return RILL_EPEER;
    /* Writable at once, where that is allowed: a stage that changes what it passes on would need a call more. */
    return map(memory, capacity, writable && access == RILL_ACCESS_SHARED, piece);
}

int rill_piece_open(rill_object memory, uint64_t capacity, struct rill_piece **piece)
{
    struct rill_identity identity;
    if (rill_port_identify(memory, &identity) != RILL_OK)
        return RILL_EPEER;
    struct rill_piece *found = find_kept(&identity, capacity);
    int code = found ? RILL_OK : check_and_map(memory, capacity, &found);
    if (code != RILL_OK)
        return code;
    found->memory = memory;
    found->identity = identity;
    found->received = true;
    atomic_store_explicit(&found->references, 1, memory_order_relaxed);
    *piece = found;
    return RILL_OK;
}

int rill_piece_make_writable(struct rill_piece *piece)
{
    if (!piece->may_write)
        return RILL_EREADONLY;
    if (atomic_load_explicit(&piece->writable, memory_order_relaxed))
        return RILL_OK;
    int code = rill_port_share_make_writable(piece->data, piece->capacity);
    if (code == RILL_OK)
        atomic_store_explicit(&piece->writable, true, memory_order_relaxed);
    return code;
}

void rill_piece_reference(struct rill_piece *piece)
{
    atomic_fetch_add_explicit(&piece->references, 1, memory_order_relaxed);
}

void rill_piece_release(struct rill_piece *piece)
{
    if (atomic_fetch_sub_explicit(&piece->references, 1, memory_order_acq_rel) != 1)
        return;
    if (piece->received && piece->may_write && piece->capacity <= KEPT_BYTES)
        keep_mapping(piece);
    else
        unmap(piece);
}

void rill_piece_give_up(struct rill_piece *piece)
{
    (void)rill_port_memory_punch(piece->memory, 0, piece->capacity);
    rill_piece_release(piece);
}
