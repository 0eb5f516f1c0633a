/* SPDX-License-Identifier: MIT */
/* Free memory that still has pages: which ranges there are, and that owner and receiver never have one at the same time. */
#include "support.h"

#include <sys/stat.h>

#include "shm/dirty.h"

#define PAGE RILL_PAGE_BYTES
#define PAGES 2048u

static struct rill_segment segment;
static struct rill_dirty dirty;
static struct rill_lane_header *header;

/* A segment whose pages all have memory and are in use. */
static void begin(void)
{
    require_ok(rill_segment_create(&segment, PAGES * PAGE));
    header = (struct rill_lane_header *)(void *)rill_segment_at(&segment, 0, PAGE);
    rill_dirty_init(&dirty, &segment, header);
}

static void end(void)
{
    rill_segment_close(&segment);
}

static uint64_t pages_with_memory(void)
{
    struct stat status;
    require(fstat(segment.memory, &status) == 0);
    return (uint64_t)status.st_blocks * 512 / PAGE;
}

/* What the ranges have to be, page by page. */
static bool model[PAGES];

static void mark(uint64_t first, uint64_t count, bool is_dirty)
{
    for (uint64_t i = first; i < first + count; i++)
        model[i] = is_dirty;
}

static void require_model(void)
{
    uint64_t count = 0, at = 0;
    for (uint64_t i = 0; i < PAGES; i++)
        count += model[i];
    require_equal(count * PAGE, dirty.bytes);
    for (size_t i = 0; i < dirty.count; i++) {
        uint64_t first = dirty.ranges[i].offset / PAGE, last = first + dirty.ranges[i].size / PAGE;
        require(first > at || i == 0); /* else two of them touch */
        for (uint64_t page = first; page < last; page++)
            require(model[page]);
        at = last;
    }
}

/* Forgets pages from the high end on. */
static void bound_model(uint64_t most)
{
    uint64_t count = dirty.bytes / PAGE;
    for (uint64_t i = PAGES; i-- > 0 && count > most;) {
        count -= model[i];
        model[i] = false;
    }
}

static void ranges_are_what_was_added_and_not_claimed(void *unused)
{
    struct dice dice = {.state = 3};
    uint64_t claims[3] = {0};
    (void)unused;
    begin();
    for (size_t step = 0; step < rounds(40000); step++) {
        test_note = (long long)step;
        uint64_t count = roll_between(&dice, 1, 24), first = roll_between(&dice, 1, PAGES - count);
        bool any = false, all = true;
        for (uint64_t i = first; i < first + count; i++) {
            any |= model[i];
            all &= model[i];
        }
        if (roll(&dice) % 64 == 0) {
            uint64_t most = roll_between(&dice, 0, dirty.bytes / PAGE);
            bound_model(most);
            rill_dirty_bound(&dirty, most * PAGE);
        } else if (!any && dirty.count < RILL_DIRTY_MOST && roll(&dice) % 3) {
            require(rill_dirty_add(&dirty, first * PAGE, count * PAGE));
            mark(first, count, true);
        } else if (dirty.count < RILL_DIRTY_MOST) {
            enum rill_dirty_claim claim = rill_dirty_claim(&dirty, first * PAGE, count * PAGE);
            require_equal(all ? RILL_DIRTY_WHOLE : RILL_DIRTY_NONE, claim);
            claims[claim]++;
            mark(first, count, false);
        }
        require_model();
    }
    require(claims[RILL_DIRTY_NONE] > 100 && claims[RILL_DIRTY_WHOLE] > 100);
    end();
}

static void what_is_more_than_the_bound_goes_to_the_system(void *unused)
{
    (void)unused;
    begin();
    require(rill_dirty_add(&dirty, 100 * PAGE, 50 * PAGE));
    require(rill_dirty_add(&dirty, 200 * PAGE, 50 * PAGE));
    uint64_t before = pages_with_memory();
    rill_dirty_bound(&dirty, 60 * PAGE);
    require_equal(before - 40, pages_with_memory());
    require_equal(60 * PAGE, dirty.bytes);
    require_equal(RILL_DIRTY_WHOLE, rill_dirty_claim(&dirty, 100 * PAGE, 50 * PAGE)); /* the lower ones stay */
    require_equal(RILL_DIRTY_WHOLE, rill_dirty_claim(&dirty, 200 * PAGE, 10 * PAGE));
    require_equal(0, dirty.count);
    end();
}

/* Every second page, until the table is full; then one with both ends left is cut. */
static void a_full_table_loses_memory_and_no_page(void *unused)
{
    (void)unused;
    begin();
    for (uint64_t i = 0; i < RILL_DIRTY_MOST; i++)
        require(rill_dirty_add(&dirty, (10 + 8 * i) * PAGE, 5 * PAGE));
    require(!rill_dirty_add(&dirty, PAGE, PAGE));          /* no place for one more, */
    require(rill_dirty_add(&dirty, 9 * PAGE, PAGE));       /* but to make one larger */
    require_equal(RILL_DIRTY_MOST, dirty.count);
    uint64_t before = pages_with_memory();
    require_equal(RILL_DIRTY_WHOLE, rill_dirty_claim(&dirty, 20 * PAGE, PAGE)); /* of 18 to 22: what is behind it goes to the system */
    require_equal(before - 2, pages_with_memory());
    require_equal((RILL_DIRTY_MOST * 5 + 1 - 3) * PAGE, dirty.bytes);
    require_equal(RILL_DIRTY_NONE, rill_dirty_claim(&dirty, 21 * PAGE, 2 * PAGE));
    require_equal(RILL_DIRTY_WHOLE, rill_dirty_claim(&dirty, 18 * PAGE, 2 * PAGE));
    end();
}

static uint64_t lend(void)
{
    require(rill_dirty_add(&dirty, 100 * PAGE, 20 * PAGE));
    require_equal(0, rill_dirty_lent(header));
    rill_dirty_lend(&dirty);
    uint64_t list = rill_dirty_lent(header);
    require(list >= PAGE);
    return list;
}

static void the_list_says_what_is_lent(void *unused)
{
    (void)unused;
    begin();
    require(rill_dirty_add(&dirty, 7 * PAGE, PAGE));
    const struct rill_dirty_list *list = (const void *)rill_segment_at(&segment, lend(), PAGE);
    require_equal(2, list->count);
    require(list->ranges[0].offset == 7 * PAGE && list->ranges[0].size == PAGE);
    require(list->ranges[1].offset == 100 * PAGE && list->ranges[1].size == 20 * PAGE);
    end();
}

static void what_the_owner_takes_back_the_receiver_does_not_get(void *unused)
{
    (void)unused;
    begin();
    uint64_t list = lend();
    require_equal(RILL_DIRTY_WHOLE, rill_dirty_claim(&dirty, 100 * PAGE, PAGE));
    require_equal(0, rill_dirty_lent(header));
    require(!rill_dirty_take(header, list));
    rill_dirty_lend(&dirty); /* the others, again */
    require(rill_dirty_take(header, list));
    end();
}

static void what_the_receiver_takes_the_owner_does_not_use(void *unused)
{
    (void)unused;
    begin();
    uint64_t list = lend();
    require(rill_dirty_take(header, list));
    require_equal(RILL_DIRTY_AWAY, rill_dirty_claim(&dirty, 119 * PAGE, 2 * PAGE));
    require_equal(RILL_DIRTY_NONE, rill_dirty_claim(&dirty, 120 * PAGE, 2 * PAGE)); /* other places can be used, */
    require(!rill_dirty_add(&dirty, 300 * PAGE, PAGE));                             /* and nothing be added */
    rill_dirty_bound(&dirty, 0);
    require_equal(RILL_DIRTY_AWAY, rill_dirty_claim(&dirty, 100 * PAGE, PAGE));
    rill_dirty_done(header, list);
    require_equal(RILL_DIRTY_NONE, rill_dirty_claim(&dirty, 100 * PAGE, PAGE)); /* it has no memory any more */
    require(dirty.count == 0 && dirty.bytes == 0);
    require_equal(list, lend()); /* and all goes on */
    end();
}

static void what_a_killed_receiver_had_taken_the_next_one_takes(void *unused)
{
    (void)unused;
    begin();
    uint64_t list = lend();
    require(rill_dirty_take(header, list));
    require_equal(list, rill_dirty_lent(header));
    require(rill_dirty_take(header, list));
    rill_dirty_done(header, list);
    require_equal(0, rill_dirty_lent(header));
    require(!rill_dirty_take(header, list));
    end();
}

/* A receiver may write what it likes: the owner has what it had, or nothing, and never more. */
static void a_lying_word_gives_nothing(void *unused)
{
    (void)unused;
    begin();
    uint64_t list = lend();
    for (uint64_t word = 0; word < 64; word++) {
        atomic_store(&header->dirty, word == 1 || word == 3 ? word : list + (word << 6));
        require(!dirty.lent || rill_dirty_claim(&dirty, 100 * PAGE, PAGE) != RILL_DIRTY_WHOLE);
        require_equal(RILL_DIRTY_NONE, rill_dirty_claim(&dirty, 500 * PAGE, PAGE));
        require(dirty.bytes <= 20 * PAGE);
    }
    end();
}

static void without_a_header_nothing_is_kept(void *unused)
{
    (void)unused;
    begin();
    rill_dirty_init(&dirty, &segment, NULL);
    require(!rill_dirty_add(&dirty, 100 * PAGE, PAGE));
    rill_dirty_lend(&dirty);
    require_equal(RILL_DIRTY_NONE, rill_dirty_claim(&dirty, 100 * PAGE, PAGE));
    end();
}

int main(void)
{
    static const struct test tests[] = {
        {"ranges are what was added and not claimed", ranges_are_what_was_added_and_not_claimed, NULL, 60},
        {"what is more than the bound goes to the system", what_is_more_than_the_bound_goes_to_the_system, NULL, 0},
        {"a full table loses memory and no page", a_full_table_loses_memory_and_no_page, NULL, 0},
        {"the list says what is lent", the_list_says_what_is_lent, NULL, 0},
        {"what the owner takes back the receiver does not get", what_the_owner_takes_back_the_receiver_does_not_get, NULL, 0},
        {"what the receiver takes the owner does not use", what_the_receiver_takes_the_owner_does_not_use, NULL, 0},
        {"what a killed receiver had taken the next one takes", what_a_killed_receiver_had_taken_the_next_one_takes, NULL, 0},
        {"a lying word gives nothing", a_lying_word_gives_nothing, NULL, 0},
        {"without a header nothing is kept", without_a_header_nothing_is_kept, NULL, 0},
    };
    return run_group("dirty", tests, COUNT_OF(tests));
}
