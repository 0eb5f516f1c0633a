/* SPDX-License-Identifier: MIT */
#include "order.h"

#include <stdlib.h>

#include <rill/rill.h>

static bool goes_before(const struct rill_order_entry *a, const struct rill_order_entry *b)
{
    return a->rank != b->rank ? a->rank < b->rank : a->ticket < b->ticket;
}

int rill_order_reserve(struct rill_order *order, size_t count)
{
    if (count <= order->capacity)
        return RILL_OK;
    size_t larger = order->capacity ? order->capacity * 2 : 8;
    if (larger < count)
        larger = count;
    struct rill_order_entry *heap = realloc(order->heap, larger * sizeof *heap);
    if (!heap)
        return RILL_ENOMEM;
    order->heap = heap;
    order->capacity = larger;
    return RILL_OK;
}

void rill_order_push(struct rill_order *order, struct rill_order_entry entry)
{
    size_t i = order->count++;
    for (; i > 0 && goes_before(&entry, &order->heap[(i - 1) / 2]); i = (i - 1) / 2)
        order->heap[i] = order->heap[(i - 1) / 2];
    order->heap[i] = entry;
}

void rill_order_replace(struct rill_order *order, struct rill_order_entry entry)
{
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= order->count)
            break;
        if (child + 1 < order->count && goes_before(&order->heap[child + 1], &order->heap[child]))
            child++;
        if (!goes_before(&order->heap[child], &entry))
            break;
        order->heap[i] = order->heap[child];
        i = child;
    }
    order->heap[i] = entry;
}

void rill_order_pop(struct rill_order *order)
{
    order->count--;
    if (order->count)
        rill_order_replace(order, order->heap[order->count]);
}

void rill_order_free(struct rill_order *order)
{
    free(order->heap);
    *order = (struct rill_order){0};
}
