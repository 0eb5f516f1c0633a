/* SPDX-License-Identifier: MIT */
/* How blocks come back: the stack by itself, and an owner whose receiver writes what it likes into it. */
#include "support.h"

#include <pthread.h>

#include "shm/returns.h"
#include "src/channel.h"

#define THREADS 4
#define PER_THREAD 500
#define STEP RILL_PAGE_BYTES

static struct rill_lane_header header;

static void put_words(unsigned char *block, uint64_t next, uint64_t rest)
{
    const uint64_t words[2] = {next, rest};
    memcpy(block, words, sizeof words);
}

static uint64_t word_at(const unsigned char *block, size_t index)
{
    uint64_t word;
    memcpy(&word, block + index * sizeof word, sizeof word);
    return word;
}

/* ---------------------------------------------------------------- the stack */

static void what_is_pushed_comes_back_newest_first(void *argument)
{
    (void)argument;
    static unsigned char blocks[4][STEP];
    struct rill_returner returner = {0};
    require_equal(0, rill_return_take(&header));
    for (uint64_t i = 1; i <= 3; i++)
        rill_return_push(&returner, &header, i * STEP, blocks[i], STEP, i == 2);
    require_equal(3 * STEP, rill_return_take(&header));
    require_equal(2 * STEP, word_at(blocks[3], 0));
    require_equal(0, word_at(blocks[3], 1));
    require_equal(1 * STEP, word_at(blocks[2], 0));
    require_equal(1 << 16, word_at(blocks[2], 1)); /* punched, no entries */
    require_equal(0, word_at(blocks[1], 0));
    require_equal(0, rill_return_take(&header));
    require_equal(3, atomic_load(&header.taken));
}

static void held_blocks_go_with_the_next_one_that_has_room_for_them(void *argument)
{
    (void)argument;
    static unsigned char small[64], large[STEP];
    struct rill_returner returner = {0};
    for (uint64_t i = 0; i < RILL_RETURN_ENTRIES; i++)
        require(rill_return_hold(&returner, i + 1));
    require(!rill_return_hold(&returner, 9999));
    rill_return_push(&returner, &header, 8, small, sizeof small, false);
    require_equal(0, word_at(small, 1));
    require_equal(RILL_RETURN_ENTRIES, returner.count);
    rill_return_push(&returner, &header, STEP, large, sizeof large, true);
    require_equal(1 << 16 | RILL_RETURN_ENTRIES, word_at(large, 1));
    require_equal(8, word_at(large, 0));
    for (size_t i = 0; i < RILL_RETURN_ENTRIES; i++)
        require_equal(i + 1, word_at(large, 2 + i));
    require_equal(0, returner.count);
}

static void blocks_are_punched_only_for_an_owner_that_does_not_look(void *argument)
{
    (void)argument;
    struct rill_returner returner = {.idle_max = 4 * MIB};
    for (unsigned i = 0; i < 4; i++)
        require(!rill_return_wants_punch(&returner, &header, MIB));
    require(rill_return_wants_punch(&returner, &header, MIB));
    require(!rill_return_wants_punch(&returner, &header, 1000)); /* not worth a call */
    for (unsigned i = 0; i < 100; i++) {
        (void)rill_return_take(&header);
        require(!rill_return_wants_punch(&returner, &header, 16 * MIB) || i < 2);
    }
}

struct pusher {
    unsigned char (*blocks)[16];
    uint64_t first;
};

static void *push_some(void *argument)
{
    struct pusher *pusher = argument;
    struct rill_returner returner = {0};
    for (uint64_t i = pusher->first; i < pusher->first + PER_THREAD; i++)
        rill_return_push(&returner, &header, i, pusher->blocks[i], 16, false);
    return NULL;
}

static void what_several_threads_push_is_taken_once_each(void *argument)
{
    (void)argument;
    static unsigned char blocks[THREADS * PER_THREAD + 1][16];
    static bool seen[THREADS * PER_THREAD + 1];
    struct pusher pushers[THREADS];
    pthread_t threads[THREADS];
    for (uint64_t i = 0; i < THREADS; i++) {
        pushers[i] = (struct pusher){.blocks = blocks, .first = i * PER_THREAD + 1};
        require(pthread_create(&threads[i], NULL, push_some, &pushers[i]) == 0);
    }
    for (size_t count = 0; count < THREADS * PER_THREAD;) {
        for (uint64_t top = rill_return_take(&header); top; top = word_at(blocks[top], 0), count++) {
            require(top < COUNT_OF(blocks) && !seen[top]);
            seen[top] = true;
        }
    }
    for (size_t i = 0; i < THREADS; i++)
        require(pthread_join(threads[i], NULL) == 0);
    require_equal(0, rill_return_take(&header));
}

/* ---------------------------------------------------------------- an owner and a receiver that lies */

struct owner {
    rill_sender *tx;
    rill_receiver *rx;
    struct rill_lane *lane;
    uint64_t large[4]; /* where its large messages lie */
};

#define LARGE ((size_t)RILL_INLINE_MAX + 1000) /* lies in the arena */

/* An owner with four large messages that nobody has received. */
static struct owner open_owner(void)
{
    struct owner owner = {0};
    require_ok(rill_channel(NULL, &owner.tx, &owner.rx));
    for (size_t i = 0; i < COUNT_OF(owner.large); i++)
        require_ok(send_filled(owner.tx, LARGE, i));
    owner.lane = atomic_load(&owner.tx->endpoint->lane);
    size_t found = 0;
    for (size_t i = 0; i < owner.lane->blocks.capacity; i++) {
        const struct rill_block *block = &owner.lane->blocks.slots[i];
        if (block->offset && block->kind == RILL_BLOCK_LARGE)
            owner.large[found++] = block->offset;
    }
    require_equal(COUNT_OF(owner.large), found);
    return owner;
}

static unsigned char *at(const struct owner *owner, uint64_t offset)
{
    return rill_segment_at(&owner->lane->segment, offset, 16);
}

/* The owner takes back what is there: it does so before it allocates. */
static void make_it_look(struct owner *owner)
{
    require_ok(send_filled(owner->tx, LARGE, 99));
    require_equal(0, atomic_load(&owner->lane->header->returned));
}

static void require_blocks(const struct owner *owner, size_t expected)
{
    require_equal(expected, owner->lane->blocks.count);
}

static void close_owner(struct owner *owner)
{
    require_ok(rill_sender_close(&owner->tx));
    require_ok(rill_receiver_close(&owner->rx));
}

static void a_forged_top_is_ignored(void *argument)
{
    (void)argument;
    struct owner owner = open_owner();
    size_t before = owner.lane->blocks.count;
    const uint64_t forged[] = {1, 8, owner.large[0] + 8, owner.large[0] - 64, owner.lane->segment.size, UINT64_MAX, UINT64_MAX - 4095, UINT64_C(1) << 63};
    for (size_t i = 0; i < COUNT_OF(forged); i++) {
        atomic_store(&owner.lane->header->returned, forged[i]);
        make_it_look(&owner);
        require_blocks(&owner, before + i + 1); /* the new message, and nothing less */
    }
    for (size_t i = 0; i < COUNT_OF(owner.large); i++)
        receive_filled(owner.rx, LARGE, i);
    close_owner(&owner);
}

static void a_block_that_came_back_is_in_the_table_no_more(void *argument)
{
    (void)argument;
    struct owner owner = open_owner();
    size_t before = owner.lane->blocks.count;
    put_words(at(&owner, owner.large[0]), 0, 0);
    atomic_store(&owner.lane->header->returned, owner.large[0]);
    make_it_look(&owner);
    require_blocks(&owner, before);
    close_owner(&owner);
}

static void a_chain_that_goes_round_ends(void *argument)
{
    (void)argument;
    struct owner owner = open_owner();
    size_t before = owner.lane->blocks.count;
    for (size_t i = 0; i < 3; i++)
        put_words(at(&owner, owner.large[i]), owner.large[(i + 1) % 3], 0);
    atomic_store(&owner.lane->header->returned, owner.large[0]);
    make_it_look(&owner);
    require_blocks(&owner, before - 3 + 1);
    put_words(at(&owner, owner.large[3]), owner.large[3], 0); /* its own successor */
    atomic_store(&owner.lane->header->returned, owner.large[3]);
    make_it_look(&owner);
    require_blocks(&owner, before - 4 + 2);
    close_owner(&owner);
}

static void entries_count_once_however_often_they_are_named(void *argument)
{
    (void)argument;
    struct owner owner = open_owner();
    size_t before = owner.lane->blocks.count;
    unsigned char *node = at(&owner, owner.large[0]);
    put_words(node, owner.large[1], 1 << 16 | RILL_RETURN_ENTRIES);
    for (size_t i = 0; i < RILL_RETURN_ENTRIES; i++) {
        const uint64_t named[] = {owner.large[0], owner.large[1], 8, UINT64_MAX};
        memcpy(node + 16 + 8 * i, &named[i % 4], 8);
    }
    atomic_store(&owner.lane->header->returned, owner.large[0]);
    make_it_look(&owner);
    require_blocks(&owner, before - 2 + 1);
    close_owner(&owner);
}

static void more_entries_than_there_can_be_are_none(void *argument)
{
    (void)argument;
    static const uint64_t lies[] = {RILL_RETURN_ENTRIES + 1, 0xffff, UINT64_MAX};
    for (size_t i = 0; i < COUNT_OF(lies); i++) {
        struct owner owner = open_owner();
        size_t before = owner.lane->blocks.count;
        unsigned char *node = at(&owner, owner.large[0]);
        put_words(node, 0, lies[i]);
        memcpy(node + 16, &owner.large[1], 8);
        atomic_store(&owner.lane->header->returned, owner.large[0]);
        make_it_look(&owner);
        require_blocks(&owner, before - 1 + 1);
        close_owner(&owner);
    }
}

/* Returns every block that the owner has, in random order and with random words, also the one it writes into. */
static void return_at_random(struct owner *owner, struct dice *dice)
{
    struct rill_blocks *blocks = &owner->lane->blocks;
    uint64_t offset = blocks->slots[roll(dice) % blocks->capacity].offset;
    if (!offset)
        return;
    uint64_t next = blocks->slots[roll(dice) % blocks->capacity].offset;
    put_words(at(owner, offset), roll(dice) % 4 ? next : roll(dice), roll(dice) >> roll(dice) % 64);
    atomic_store(&owner->lane->header->returned, offset);
}

static void an_owner_survives_any_return(void *argument)
{
    (void)argument;
    struct owner owner = open_owner();
    struct dice dice = {.state = 77};
    for (size_t step = 0; step < rounds(5000); step++) {
        test_note = (long long)step;
        require_ok(send_filled(owner.tx, roll_between(&dice, 1, roll(&dice) % 2 ? 2000 : 3 * LARGE), step));
        if (roll(&dice) % 2)
            return_at_random(&owner, &dice);
    }
    close_owner(&owner);
}

int main(void)
{
    static const struct test tests[] = {
        {"what is pushed comes back newest first", what_is_pushed_comes_back_newest_first, NULL, 0},
        {"held blocks go with the next one that has room for them", held_blocks_go_with_the_next_one_that_has_room_for_them, NULL, 0},
        {"blocks are punched only for an owner that does not look", blocks_are_punched_only_for_an_owner_that_does_not_look, NULL, 0},
        {"what several threads push is taken once each", what_several_threads_push_is_taken_once_each, NULL, 0},
        {"a forged top is ignored", a_forged_top_is_ignored, NULL, 0},
        {"a block that came back is in the table no more", a_block_that_came_back_is_in_the_table_no_more, NULL, 0},
        {"a chain that goes round ends", a_chain_that_goes_round_ends, NULL, 0},
        {"entries count once, however often they are named", entries_count_once_however_often_they_are_named, NULL, 0},
        {"more entries than there can be are none", more_entries_than_there_can_be_are_none, NULL, 0},
        {"an owner survives any return", an_owner_survives_any_return, NULL, 60},
    };
    return run_group("returns", tests, COUNT_OF(tests));
}
