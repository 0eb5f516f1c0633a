/* SPDX-License-Identifier: MIT */
/* When a receiver that keeps up with its sender looks away, and when it does not. */
#include "support.h"

#include "src/spin.h"

/* Waits that each end soon with one message, as where both sides take turns. Gives how many of them looked away first. */
static unsigned take_turns(struct rill_spin *spin, uint64_t *count, unsigned waits)
{
    unsigned lingered = 0;
    for (unsigned i = 0; i < waits; i++) {
        lingered += rill_spin_lingers(spin, *count, *count * 100000) > 0;
        rill_spin_note(spin, 1);
        ++*count;
    }
    return lingered;
}

static void turns_are_left_alone(void *unused)
{
    struct rill_spin spin;
    uint64_t count = 0;
    (void)unused;
    rill_spin_start(&spin, 0);
    require_equal(0, take_turns(&spin, &count, RILL_LINGER_AFTER));
    require_equal(1, take_turns(&spin, &count, RILL_LINGER_PAUSE));
    unsigned lingered = take_turns(&spin, &count, 100 * RILL_LINGER_PAUSE_MOST);
    require(lingered >= 100 && lingered <= 110); /* seven while the pause grows */
}

static void streams_go_on(void *argument)
{
    const uint64_t size = *(const uint64_t *)argument;
    uint64_t each = size == 8 ? RILL_LINGER_MANY : RILL_LINGER_MANY / 4, count = 0;
    struct rill_spin spin;
    rill_spin_start(&spin, 0);
    (void)take_turns(&spin, &count, RILL_LINGER_AFTER);
    for (unsigned i = 0; i < 1000; i++) {
        require_equal(RILL_LINGER_LEAST, rill_spin_lingers(&spin, count, count * size));
        rill_spin_note(&spin, 1);
        count += each;
    }
    count -= each - 1; /* one message, and it stops */
    require(!rill_spin_lingers(&spin, count, count * size));
    require_equal(0, take_turns(&spin, &count, RILL_LINGER_PAUSE));
}

static void slow_senders_are_left_alone(void *unused)
{
    struct rill_spin spin;
    (void)unused;
    rill_spin_start(&spin, 0);
    for (uint64_t count = 0; count < 10000; count++) {
        require(!rill_spin_lingers(&spin, count * 100, count * 1000000));
        rill_spin_note(&spin, count % 4 ? 1 : RILL_LINGER_SOON); /* three soon, one late */
    }
}

/* Lets so many messages come at each wait, and gives how long it looks away in the end. */
static int64_t look_away(struct rill_spin *spin, uint64_t *count, uint64_t each)
{
    int64_t time = 0;
    for (unsigned i = 0; i < 10; i++) {
        time = rill_spin_lingers(spin, *count, *count * 8);
        *count += each;
    }
    return time;
}

static void crowds_are_left_alone_longer(void *unused)
{
    struct rill_spin spin;
    uint64_t count = 0;
    (void)unused;
    rill_spin_start(&spin, 0);
    (void)take_turns(&spin, &count, RILL_LINGER_AFTER);
    require_equal(RILL_LINGER_LEAST, rill_spin_lingers(&spin, count, count * 8));
    count += RILL_LINGER_CROWD;
    require_equal(2 * RILL_LINGER_LEAST, rill_spin_lingers(&spin, count, count * 8));
    count += RILL_LINGER_CROWD;
    require_equal(RILL_LINGER_MOST, look_away(&spin, &count, RILL_LINGER_CROWD));
    require_equal(RILL_LINGER_MOST, look_away(&spin, &count, RILL_LINGER_CROWD / 2));
    require_equal(RILL_LINGER_LEAST, look_away(&spin, &count, RILL_LINGER_MANY));
}

static void floods_may_gather(void *unused)
{
    const struct rill_traffic before = {.messages = 1000, .bytes = 100000, .queued = 5000};
    struct rill_traffic after = before;
    (void)unused;
    require(!rill_spin_flooded(&before, &after, 0)); /* it is over */
    after.messages += RILL_FLOOD_MESSAGES - 1;
    after.bytes += RILL_FLOOD_BYTES - 1;
    require(!rill_spin_flooded(&before, &after, 0));
    after.messages++;
    require(rill_spin_flooded(&before, &after, 0));
    after.messages--;
    after.bytes++;
    require(rill_spin_flooded(&before, &after, 0));
    after.queued = RILL_FLOOD_LAG;
    require(!rill_spin_flooded(&before, &after, 0));
    after.queued = 4999;
    require(rill_spin_flooded(&before, &after, 10000));
    after.queued = 5000;
    require(!rill_spin_flooded(&before, &after, 10000)); /* else the sender would have to wait */
    after.queued = UINT64_MAX;
    require(!rill_spin_flooded(&before, &after, 0)); /* a liar */
}

static uint64_t small = 8, medium = 4096;

static const struct test tests[] = {
    {"where both sides take turns a receiver looks away ever more seldom", turns_are_left_alone, NULL, 0},
    {"in a stream of small messages it goes on looking away, until one alone comes", streams_go_on, &small, 0},
    {"in a stream of larger ones, too", streams_go_on, &medium, 0},
    {"where crowds come it looks away for longer", crowds_are_left_alone_longer, NULL, 0},
    {"a flood may gather up to half of the limit, while it goes on", floods_may_gather, NULL, 0},
    {"it does not look away where messages do not come at once", slow_senders_are_left_alone, NULL, 0},
};

int main(void)
{
    return run_group("spin", tests, COUNT_OF(tests));
}
