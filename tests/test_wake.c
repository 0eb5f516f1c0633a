/* SPDX-License-Identifier: MIT */
/* The words with which receiver and sender wake each other, step by step and at the ends of their counters. */
#include "support.h"

#include <pthread.h>
#include <sched.h>

#include "shm/wake.h"

static struct rill_lane_header lane;

static void reset(void)
{
    memset(&lane, 0, sizeof lane);
}

/* ---------------------------------------------------------------- the armed number */

static void an_armed_lane_rings_once_for_each_arming(void *argument)
{
    (void)argument;
    reset();
    uint32_t parked = UINT32_MAX - 5; /* even: awake, and close to the wrap */
    _Atomic uint32_t rung = 0;
    for (unsigned i = 0; i < 8; i++) {
        require_equal(0, rill_wake_due(&lane, &rung));
        rill_wake_arm(&lane, &parked);
        require_equal(1, parked & 1);
        uint32_t due = rill_wake_due(&lane, &rung);
        require_equal(parked, due);
        require_equal(due, rill_wake_due(&lane, &rung)); /* a sender that is killed before it rings has silenced nobody */
        atomic_store(&rung, due);
        require_equal(0, rill_wake_due(&lane, &rung));
        rill_wake_disarm(&lane, &parked);
    }
    require(parked < 16); /* it has wrapped */
}

static void a_sender_only_reads_the_armed_number(void *argument)
{
    (void)argument;
    reset();
    uint32_t parked = 6;
    _Atomic uint32_t rung = 0;
    rill_wake_arm(&lane, &parked);
    (void)rill_wake_due(&lane, &rung);
    require_equal(7, atomic_load(&lane.parked));
    require_equal(0, atomic_load(&rung));
}

/* ---------------------------------------------------------------- room */

static void an_owner_is_rung_once_when_its_mark_is_reached(void *argument)
{
    (void)argument;
    reset();
    uint64_t rung_for = 0;
    require(!rill_wake_consumed(&lane, 50, &rung_for)); /* nobody waits */
    require(rill_wake_room_wanted(&lane, 100));
    require(!rill_wake_consumed(&lane, 99, &rung_for));
    require(rill_wake_consumed(&lane, 100, &rung_for));
    require(!rill_wake_consumed(&lane, 150, &rung_for));
    require(!rill_wake_room_wanted(&lane, 150));
    require(rill_wake_room_wanted(&lane, 151));
    require(rill_wake_consumed(&lane, 1000, &rung_for));
    require_equal(1000, atomic_load(&lane.consumed));
}

static void marks_are_compared_across_the_wrap(void *argument)
{
    (void)argument;
    reset();
    uint64_t rung_for = 0;
    atomic_store(&lane.consumed, UINT64_MAX - 10);
    require(rill_wake_room_wanted(&lane, 20)); /* 31 bytes on */
    require(!rill_wake_consumed(&lane, UINT64_MAX, &rung_for));
    require(!rill_wake_consumed(&lane, 19, &rung_for));
    require(rill_wake_consumed(&lane, 20, &rung_for));
    require(rill_wake_room_wanted(&lane, UINT64_C(1) << 62));
    require(!rill_wake_room_wanted(&lane, UINT64_MAX - 3)); /* long passed */
}

/* ---------------------------------------------------------------- two sides at once */

struct meeting {
    _Atomic uint64_t record; /* stands for a ring: the last round's record */
    _Atomic uint64_t round, done;
    _Atomic uint32_t rung;
    uint32_t due;
};

static void *commit_each_round(void *argument)
{
    struct meeting *meeting = argument;
    for (uint64_t round = 1; round <= rounds(5000); round++) {
        while (atomic_load(&meeting->round) < round)
            sched_yield();
        atomic_exchange(&meeting->record, round); /* C1 */
        meeting->due = rill_wake_due(&lane, &meeting->rung); /* C2 */
        atomic_store(&meeting->done, round);
    }
    return NULL;
}

static void either_the_receiver_sees_the_record_or_the_sender_sees_it_park(void *argument)
{
    (void)argument;
    reset();
    static struct meeting meeting;
    uint32_t parked = 0;
    pthread_t thread;
    require(pthread_create(&thread, NULL, commit_each_round, &meeting) == 0);
    for (uint64_t round = 1; round <= rounds(5000); round++) {
        atomic_store(&meeting.round, round);
        for (volatile uint64_t wait = 0; wait < round % 32; wait++)
            continue;
        rill_wake_arm(&lane, &parked); /* P1 */
        bool seen = atomic_load(&meeting.record) == round; /* P2 */
        while (atomic_load(&meeting.done) < round)
            sched_yield();
        test_note = (long long)round;
        require(seen || meeting.due == parked);
        rill_wake_disarm(&lane, &parked);
    }
    require(pthread_join(thread, NULL) == 0);
}

int main(void)
{
    static const struct test tests[] = {
        {"an armed lane rings once for each arming", an_armed_lane_rings_once_for_each_arming, NULL, 0},
        {"a sender only reads the armed number", a_sender_only_reads_the_armed_number, NULL, 0},
        {"an owner is rung once when its mark is reached", an_owner_is_rung_once_when_its_mark_is_reached, NULL, 0},
        {"marks are compared across the wrap", marks_are_compared_across_the_wrap, NULL, 0},
        {"either the receiver sees the record or the sender sees it park", either_the_receiver_sees_the_record_or_the_sender_sees_it_park, NULL, 0},
    };
    return run_group("wake", tests, COUNT_OF(tests));
}
