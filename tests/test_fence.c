/* SPDX-License-Identifier: MIT */
/* Commits without a fence: what each side does by itself, and the three meetings in which somebody needs the order that they do not give. */
#include "support.h"

#include <sched.h>

#include "shm/fence.h"
#include "src/channel.h"
#include "src/inbox.h"
#include "src/lane.h"

static struct rill_lane_header lane;
static struct rill_page page;

static void reset(void)
{
    memset(&lane, 0, sizeof lane);
    memset(&page, 0, sizeof page);
    atomic_store(&lane.rings, 1);
    atomic_store(&page.rings, 1);
}

static void require_unfenced(uint32_t expected)
{
    require_equal(expected, atomic_load(&lane.unfenced));
    require_equal(expected, atomic_load(&page.unfenced));
    require_equal(expected, rill_fence_lane_unfenced(&lane));
    require_equal(expected, rill_fence_channel_unfenced(&page));
}

static void an_owner_leaves_the_fence_out_unless_somebody_is_there_who_needs_it(void *argument)
{
    (void)argument;
    reset();
    require(rill_fence_suspend(&lane, &page));
    require_unfenced(1);
    require(!rill_fence_missed(&lane, &page));
    rill_fence_resume(&lane, &page);
    require_unfenced(0);
    atomic_store(&lane.parked, 7);
    require(!rill_fence_suspend(&lane, &page));
    require_unfenced(0);
    atomic_store(&lane.parked, 8);
    atomic_store(&page.rings, 2);
    require(!rill_fence_suspend(&lane, &page));
    require_unfenced(0);
}

static void a_commit_finds_whoever_needs_its_fence(void *argument)
{
    (void)argument;
    reset();
    atomic_store(&lane.parked, UINT32_MAX);
    require(rill_fence_missed(&lane, &page));
    atomic_store(&lane.parked, UINT32_MAX - 1);
    require(!rill_fence_missed(&lane, &page));
    atomic_store(&page.rings, 2);
    require(rill_fence_missed(&lane, &page));
    atomic_store(&page.rings, 0);
    require(!rill_fence_missed(&lane, &page));
}

static void the_first_verdict_on_a_place_holds(void *argument)
{
    (void)argument;
    reset();
    require(rill_fence_was_sent(&lane, 4096)); /* the owner is first: */
    require(!rill_fence_ended(&lane, 4096));   /* there is a record to read, */
    require(rill_fence_ended(&lane, 4104));    /* and behind it there is none */
    reset();
    require(rill_fence_ended(&lane, 4096));    /* the receiver is first: */
    require(!rill_fence_was_sent(&lane, 4096)); /* the record lies where nobody will read */
    reset();
    require(rill_fence_ended(&lane, 4104));
    require(rill_fence_was_sent(&lane, 4096)); /* or it was read before */
}

/* ---------------------------------------------------------------- meetings */

enum { RETURNED, ACKNOWLEDGED, STOP, MET };

/* The next message is the last that this sender commits with a fence. */
static void be_about_to_leave_it_out(rill_sender *tx)
{
    struct rill_lane *own = atomic_load(&tx->endpoint->lane);
    if (own)
        own->rings[0].fenced = RILL_UNFENCED_AFTER - 1;
}

static bool leaves_it_out(rill_sender *tx)
{
    struct rill_lane *own = atomic_load(&tx->endpoint->lane);
    return own && own->rings[0].unfenced;
}

/* If the system does not offer the barrier, or has started a thread of its own as ThreadSanitizer does, nothing is ever left out. */
static void need_barriers(void)
{
    if (!rill_port_single_threaded() || !rill_port_fence_register())
        skip_test("no fence is left out here");
}

static void waste_time(struct dice *dice, uint64_t most)
{
    for (volatile uint64_t left = roll(dice) % most; left; left--)
        continue;
}

/* Sends until it leaves the fence out, which it does not begin while the receiver sleeps. */
static uint64_t send_until_left_out(rill_sender *tx, uint64_t next)
{
    while (!leaves_it_out(tx)) {
        be_about_to_leave_it_out(tx);
        require_ok(send_number(tx, next++));
    }
    return next;
}

/* Each message without a fence is the last until it has come: there is no later one whose sender could notice that the receiver sleeps. */
static void send_one_at_a_time(rill_sender *tx, struct board *board, uint64_t count)
{
    struct dice dice = {1};
    uint64_t next = 0;
    for (uint64_t i = 0; i < count; i++) {
        next = send_until_left_out(tx, next);
        waste_time(&dice, 3000); /* the receiver falls asleep about now */
        require_ok(send_number(tx, next++));
        while (atomic_load(&board->value[ACKNOWLEDGED]) < next)
            sched_yield();
    }
    require_ok(send_number(tx, UINT64_MAX));
}

static void a_receiver_that_falls_asleep_misses_no_commit_without_a_fence(void *argument)
{
    (void)argument;
    need_barriers();
    struct board *board = board_make(NULL);
    rill_sender *tx;
    rill_receiver *rx;
    uint64_t count = rounds(4000);
    struct rill_channel_options options = {.size = sizeof options, .spin = -1};
    require_ok(rill_channel(&options, &tx, &rx));
    pid_t child = fork_child();
    if (child == 0) {
        send_one_at_a_time(tx, board, count);
        _exit(0);
    }
    require_ok(rill_sender_close(&tx));
    uint64_t number, next = 0;
    while ((number = receive_number(rx)) != UINT64_MAX) { /* one that is slept through never comes */
        require_equal(next++, number);
        atomic_store(&board->value[ACKNOWLEDGED], next);
    }
    join_child(child);
    require_ok(rill_receiver_close(&rx));
}

/* Sends its numbers, and tells each that was sent. */
static void send_and_tell(rill_sender *tx, struct board *board)
{
    for (uint64_t i = 0; !flag_raised(board, STOP); i++) {
        if (i == 0) {
            require_ok(send_number(tx, i));
            be_about_to_leave_it_out(tx);
        } else {
            require_ok(send_number(tx, i));
        }
        if (i > 2 && leaves_it_out(tx))
            atomic_store_explicit(&board->value[MET], 1, memory_order_relaxed);
        atomic_store_explicit(&board->value[RETURNED], i + 1, memory_order_release);
    }
}

#define JOINER (UINT64_C(1) << 63)
#define JOINS 4

/* Each of its messages says how many of the other's were sent before. */
static void join_and_send(rill_sender *tx, struct board *board, uint64_t after)
{
    while (atomic_load_explicit(&board->value[RETURNED], memory_order_acquire) < after)
        sched_yield();
    for (unsigned i = 0; i < JOINS; i++)
        require_ok(send_number(tx, JOINER | atomic_load_explicit(&board->value[RETURNED], memory_order_acquire)));
    flag_raise(board, STOP);
}

static uint64_t join_once(struct board *board, uint64_t after)
{
    rill_sender *tx;
    rill_receiver *rx;
    rill_message *message;
    memset(board, 0, sizeof *board);
    require_ok(rill_channel(NULL, &tx, &rx));
    pid_t first = fork_child();
    if (first == 0) {
        send_and_tell(tx, board);
        _exit(0);
    }
    pid_t second = fork_child();
    if (second == 0) {
        join_and_send(tx, board, after);
        _exit(0);
    }
    require_ok(rill_sender_close(&tx));
    uint64_t received = 0, joins = 0;
    int code;
    while ((code = rill_recv(rx, &message)) == RILL_OK) {
        uint64_t number = take_number(&message);
        if (number & JOINER) {
            joins++;
            require(received >= (number & ~JOINER));
        } else {
            require_equal(received, number);
            received++;
        }
    }
    require_code(RILL_EDISCONNECTED, code);
    require_equal(JOINS, joins);
    join_child(first);
    join_child(second);
    require_ok(rill_receiver_close(&rx));
    return atomic_load(&board->value[MET]);
}

static void whoever_adds_a_ring_overtakes_no_commit_without_a_fence(void *argument)
{
    (void)argument;
    need_barriers();
    struct board *board = board_make(NULL);
    struct dice dice = {7};
    uint64_t met = 0, count = rounds(100);
    for (uint64_t i = 0; i < count; i++) {
        test_note = (long long)i;
        met += join_once(board, roll_between(&dice, 1, 3000));
    }
    dprintf(1, "%llu of %llu first owners left it out\n", (unsigned long long)met, (unsigned long long)count);
}

/* Numbers, from one lane into the next, as long as the receiver gives lanes up. */
static void send_through_lanes(rill_sender *tx, struct board *board)
{
    uint64_t sent = 0, met = 0;
    for (; !flag_raised(board, STOP); sent++) {
        require_ok(send_number(tx, sent));
        met += leaves_it_out(tx);
        be_about_to_leave_it_out(tx);
        while (sent + 1 - atomic_load_explicit(&board->value[ACKNOWLEDGED], memory_order_relaxed) > 3 && !flag_raised(board, STOP))
            sched_yield();
    }
    atomic_fetch_add(&board->value[MET], met > 0);
    atomic_store(&board->value[RETURNED], sent);
}

static void receive_next(rill_receiver *rx, struct board *board, uint64_t *next)
{
    require_equal(*next, receive_number(rx));
    ++*next;
    atomic_store_explicit(&board->value[ACKNOWLEDGED], *next, memory_order_relaxed);
}

static void give_up_all_lanes(rill_receiver *rx)
{
    struct rill_inbox *inbox = rx->state;
    for (uint32_t i = 0; i < inbox->lane_capacity; i++)
        if (inbox->lanes[i])
            inbox->lanes[i]->ending = true;
}

/* The receiver takes the owner, which is in the middle of its sends, for dead. Only the first lane is the only one, and leaves the fence out. */
static void give_up_lanes(rill_receiver *rx, struct board *board, struct dice *dice, uint64_t *next)
{
    for (unsigned i = 0; i < 3; i++) {
        for (uint64_t left = roll_between(dice, 5, 300); left; left--)
            receive_next(rx, board, next);
        give_up_all_lanes(rx);
        waste_time(dice, 300);
    }
}

static void give_up_while_it_sends(struct board *board, struct dice *dice)
{
    rill_sender *tx;
    rill_receiver *rx;
    rill_message *message;
    memset(board, 0, sizeof board->flag);
    atomic_store(&board->value[ACKNOWLEDGED], 0);
    require_ok(rill_channel(NULL, &tx, &rx));
    pid_t child = fork_child();
    if (child == 0) {
        send_through_lanes(tx, board);
        _exit(0);
    }
    require_ok(rill_sender_close(&tx));
    uint64_t next = 0;
    int code;
    give_up_lanes(rx, board, dice, &next);
    flag_raise(board, STOP);
    while ((code = rill_recv(rx, &message)) == RILL_OK)
        require_equal(next++, take_number(&message));
    require_code(RILL_EDISCONNECTED, code);
    join_child(child);
    require_equal(atomic_load(&board->value[RETURNED]), next);
    require_ok(rill_receiver_close(&rx));
}

static void a_lane_that_is_given_up_loses_and_doubles_no_commit_without_a_fence(void *argument)
{
    (void)argument;
    need_barriers();
    struct board *board = board_make(NULL);
    struct dice dice = {3};
    uint64_t count = rounds(200);
    for (uint64_t i = 0; i < count; i++) {
        test_note = (long long)i;
        give_up_while_it_sends(board, &dice);
    }
    dprintf(1, "%llu of %llu owners left it out\n", (unsigned long long)atomic_load(&board->value[MET]), (unsigned long long)count);
}

static void require_empty(rill_receiver *rx)
{
    rill_message *message;
    require_code(RILL_ETIMEDOUT, rill_recv_timeout(rx, MILLISECOND, &message));
}

/* The owner lives, but its lane was taken for a dead one's, to the end. */
static void what_goes_without_a_fence_into_a_lane_that_was_given_up_is_sent_again_in_another(void *argument)
{
    (void)argument;
    need_barriers();
    struct rill_channel_options options = {.size = sizeof options, .spin = -1};
    for (uint64_t i = 0; i < 50; i++) {
        rill_sender *tx;
        rill_receiver *rx;
        require_ok(rill_channel(&options, &tx, &rx));
        for (uint64_t sent = 0; sent <= i; sent++) {
            be_about_to_leave_it_out(tx);
            require_ok(send_number(tx, sent));
            require_equal(sent, receive_number(rx));
        }
        require_equal(i > 0, leaves_it_out(tx));
        give_up_all_lanes(rx);
        require_empty(rx);
        require_equal(0, ((struct rill_inbox *)rx->state)->lane_count);
        require_ok(send_number(tx, i));
        require(!leaves_it_out(tx));
        require_equal(i, receive_number(rx));
        require_empty(rx);
        require_ok(rill_sender_close(&tx));
        require_ok(rill_receiver_close(&rx));
    }
}

/* An owner that says it leaves the fence out, and means to have its receiver call the system. */
static void an_owner_that_lies_about_its_fence_harms_nobody(void *argument)
{
    (void)argument;
    rill_sender *tx;
    rill_receiver *rx;
    rill_message *message;
    require_ok(rill_channel(NULL, &tx, &rx));
    for (uint64_t i = 0; i < 100; i++) {
        require_ok(send_number(tx, i));
        struct rill_lane_header *header = atomic_load(&tx->endpoint->lane)->header;
        atomic_store(&header->unfenced, (uint32_t)i + 1);
        atomic_store(&tx->endpoint->core->page->unfenced, (uint32_t)i + 1);
        atomic_store(&header->verdict, i * 4096);
        require_equal(i, receive_number(rx));
        require_code(RILL_ETIMEDOUT, rill_recv_timeout(rx, 1000, &message));
    }
    require_ok(rill_sender_close(&tx));
    require_ok(rill_receiver_close(&rx));
}

int main(void)
{
    static const struct test tests[] = {
        {"an owner leaves the fence out unless somebody is there who needs it", an_owner_leaves_the_fence_out_unless_somebody_is_there_who_needs_it, NULL, 0},
        {"a commit finds whoever needs its fence", a_commit_finds_whoever_needs_its_fence, NULL, 0},
        {"the first verdict on a place holds", the_first_verdict_on_a_place_holds, NULL, 0},
        {"a receiver that falls asleep misses no commit without a fence", a_receiver_that_falls_asleep_misses_no_commit_without_a_fence, NULL, 60},
        {"whoever adds a ring overtakes no commit without a fence", whoever_adds_a_ring_overtakes_no_commit_without_a_fence, NULL, 60},
        {"a lane that is given up loses and doubles no commit without a fence", a_lane_that_is_given_up_loses_and_doubles_no_commit_without_a_fence, NULL, 60},
        {"what goes without a fence into a lane that was given up is sent again in another",
         what_goes_without_a_fence_into_a_lane_that_was_given_up_is_sent_again_in_another, NULL, 0},
        {"an owner that lies about its fence harms nobody", an_owner_that_lies_about_its_fence_harms_nobody, NULL, 0},
    };
    return run_group("fence", tests, COUNT_OF(tests));
}
