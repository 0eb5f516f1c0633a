/* SPDX-License-Identifier: MIT */
/* The order of tickets: how they are drawn, and the heap that puts rings in their order. */
#include "support.h"

#include "shm/order.h"

#define MOST 300

static int compare(const void *left, const void *right)
{
    const struct rill_order_entry *a = left, *b = right;
    if (a->rank != b->rank)
        return a->rank < b->rank ? -1 : 1;
    return a->ticket < b->ticket ? -1 : a->ticket > b->ticket;
}

/* Few values, so that equal ranks are common; the largest too. */
static struct rill_order_entry some_entry(struct dice *dice)
{
    uint64_t ticket = roll(dice) % 8 == 0 ? UINT64_MAX - roll(dice) % 4 : roll(dice) % 100;
    uint64_t rank = ticket + (ticket < 100 ? roll(dice) % 3 : 0);
    return (struct rill_order_entry){.rank = rank, .ticket = ticket, .source = NULL};
}

static void require_first(const struct rill_order *order, const struct rill_order_entry *expected)
{
    require(order->heap[0].rank == expected->rank);
    require(order->heap[0].ticket == expected->ticket);
}

static void entries_come_out_as_if_they_had_been_sorted(void *argument)
{
    (void)argument;
    struct rill_order order = {0};
    struct dice dice = {.state = 3};
    struct rill_order_entry list[MOST];
    for (size_t round = 0; round < rounds(300); round++) {
        size_t count = roll_between(&dice, 0, MOST);
        require_ok(rill_order_reserve(&order, count));
        for (size_t i = 0; i < count; i++) {
            list[i] = some_entry(&dice);
            rill_order_push(&order, list[i]);
        }
        qsort(list, count, sizeof *list, compare);
        for (size_t i = 0; i < count; i++, rill_order_pop(&order))
            require_first(&order, &list[i]);
        require_equal(0, order.count);
    }
    rill_order_free(&order);
}

static void a_replaced_head_takes_its_place(void *argument)
{
    (void)argument;
    struct rill_order order = {0};
    struct dice dice = {.state = 4};
    struct rill_order_entry list[MOST];
    require_ok(rill_order_reserve(&order, MOST));
    for (size_t i = 0; i < MOST; i++) {
        list[i] = some_entry(&dice);
        rill_order_push(&order, list[i]);
    }
    for (size_t step = 0; step < rounds(3000); step++) {
        qsort(list, MOST, sizeof *list, compare);
        require_first(&order, &list[0]);
        list[0] = some_entry(&dice);
        rill_order_replace(&order, list[0]);
    }
    rill_order_free(&order);
}

static void what_has_no_ticket_goes_before_all_that_has_one(void *argument)
{
    (void)argument;
    struct rill_order order = {0};
    require_ok(rill_order_reserve(&order, 2));
    rill_order_push(&order, (struct rill_order_entry){.rank = 1, .ticket = 1, .source = NULL});
    rill_order_push(&order, (struct rill_order_entry){.rank = 0, .ticket = 0, .source = NULL});
    require_equal(0, order.heap[0].ticket);
    rill_order_free(&order);
}

static void room_that_was_reserved_is_kept(void *argument)
{
    (void)argument;
    struct rill_order order = {0};
    require_ok(rill_order_reserve(&order, 1));
    require_ok(rill_order_reserve(&order, 1000));
    require(order.capacity >= 1000);
    size_t capacity = order.capacity;
    require_ok(rill_order_reserve(&order, 10));
    require_equal(capacity, order.capacity);
    rill_order_free(&order);
    require(order.heap == NULL);
}

static void a_sender_never_goes_back(void *argument)
{
    (void)argument;
    static struct rill_page page;
    uint64_t last = 0;
    atomic_store(&page.ticket, 5);
    require_equal(5, rill_order_draw(&page, &last));
    require_equal(6, atomic_load(&page.ticket));
    require_equal(6, rill_order_draw(&page, &last));
    atomic_store(&page.ticket, 0); /* another sender means harm */
    require_equal(7, rill_order_draw(&page, &last));
    atomic_store(&page.ticket, 1000);
    require_equal(1000, rill_order_draw(&page, &last));
    require_equal(1000, last);
}

static void a_ticket_is_never_zero(void *argument)
{
    (void)argument;
    static struct rill_page page;
    uint64_t last = 0;
    atomic_store(&page.ticket, 0);
    require_equal(1, rill_order_draw(&page, &last));
}

static void a_second_ring_makes_tickets_needed(void *argument)
{
    (void)argument;
    static struct rill_page page;
    require(!rill_order_needed(&page));
    rill_order_count_ring(&page);
    require(!rill_order_needed(&page));
    rill_order_count_ring(&page);
    require(rill_order_needed(&page));
}

int main(void)
{
    static const struct test tests[] = {
        {"entries come out as if they had been sorted", entries_come_out_as_if_they_had_been_sorted, NULL, 0},
        {"a replaced head takes its place", a_replaced_head_takes_its_place, NULL, 0},
        {"what has no ticket goes before all that has one", what_has_no_ticket_goes_before_all_that_has_one, NULL, 0},
        {"room that was reserved is kept", room_that_was_reserved_is_kept, NULL, 0},
        {"a sender never goes back", a_sender_never_goes_back, NULL, 0},
        {"a ticket is never zero", a_ticket_is_never_zero, NULL, 0},
        {"a second ring makes tickets needed", a_second_ring_makes_tickets_needed, NULL, 0},
    };
    return run_group("ticket order", tests, COUNT_OF(tests));
}
