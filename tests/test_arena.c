/* SPDX-License-Identifier: MIT */
/* Arenas: where their allocations lie, and what becomes of their memory. */
#include "support.h"

#include <sys/stat.h>

#include "shm/arena.h"
#include "shm/layout.h"
#include "src/channel.h"

#define HELD 200

static uint64_t file_bytes(const struct rill_segment *segment)
{
    struct stat status;
    require(fstat(segment->memory, &status) == 0);
    return (uint64_t)status.st_blocks * 512;
}

struct held {
    unsigned char *bytes;
    uint64_t size, seed;
};

static void allocate(struct rill_arena *arena, struct rill_segment *segment, struct held *held, uint64_t size, uint64_t seed)
{
    uint64_t offset, capacity = size;
    require_ok(rill_arena_alloc(arena, &capacity, &offset, &held->bytes));
    require(capacity >= size);
    require_equal(0, (uintptr_t)held->bytes % 64);
    require_equal(0, offset % 64); /* it is so in the peer too */
    require(offset >= RILL_PAGE_BYTES);
    require(rill_segment_at(segment, offset, capacity) == held->bytes);
    held->size = size;
    held->seed = seed;
    fill(held->bytes, size, seed);
}

static void release(struct rill_arena *arena, struct held *held)
{
    require(filled(held->bytes, held->size, held->seed));
    rill_arena_free(arena, held->bytes, false);
    held->bytes = NULL;
}

static uint64_t some_size(struct dice *dice)
{
    return roll_between(dice, 1, (uint64_t)1 << roll_between(dice, 1, 19));
}

static void allocations_lie_in_the_segment_and_keep_their_bytes(void *argument)
{
    (void)argument;
    struct rill_segment segment;
    struct rill_arena *arena;
    struct held held[HELD] = {0};
    struct dice dice = {.state = 8};
    require_ok(rill_segment_create(&segment, RILL_PAGE_BYTES));
    require_ok(rill_arena_create(&segment, NULL, &arena));
    for (size_t step = 0; step < rounds(6000); step++) {
        struct held *one = &held[roll(&dice) % HELD];
        test_note = (long long)step;
        if (one->bytes)
            release(arena, one);
        else
            allocate(arena, &segment, one, some_size(&dice), roll(&dice));
    }
    for (size_t i = 0; i < HELD; i++)
        if (held[i].bytes)
            release(arena, &held[i]);
    rill_arena_destroy(&arena);
    require(arena == NULL);
    rill_segment_close(&segment);
}

static void the_first_page_is_nobodys(void *argument)
{
    (void)argument;
    struct rill_segment segment;
    struct rill_arena *arena;
    require_ok(rill_segment_create(&segment, RILL_PAGE_BYTES));
    unsigned char *header = rill_segment_at(&segment, 0, RILL_PAGE_BYTES);
    fill(header, RILL_PAGE_BYTES, 1);
    require_ok(rill_arena_create(&segment, NULL, &arena));
    struct held held;
    for (uint64_t i = 0; i < 100; i++)
        allocate(arena, &segment, &held, 3000, i);
    rill_arena_rest(arena, 0, 0);
    rill_arena_destroy(&arena);
    require(filled(header, RILL_PAGE_BYTES, 1));
    rill_segment_close(&segment);
}

static void a_purge_gives_back_what_is_free_and_nothing_else(void *argument)
{
    (void)argument;
    struct rill_segment segment;
    struct rill_arena *arena;
    struct held kept, held[16];
    require_ok(rill_segment_create(&segment, RILL_PAGE_BYTES));
    require_ok(rill_arena_create(&segment, NULL, &arena));
    allocate(arena, &segment, &kept, 100000, 1);
    uint64_t before = file_bytes(&segment);
    for (size_t i = 0; i < COUNT_OF(held); i++)
        allocate(arena, &segment, &held[i], MIB, i);
    require(file_bytes(&segment) >= 16 * MIB);
    for (size_t i = 0; i < COUNT_OF(held); i++)
        release(arena, &held[i]);
    rill_arena_rest(arena, 0, 0);
    require(file_bytes(&segment) <= before + MIB / 2);
    require(filled(kept.bytes, kept.size, kept.seed));
    rill_arena_destroy(&arena);
    rill_segment_close(&segment);
}

/* What comes back punched has no memory behind it: the next user must find it committed. */
static void a_punched_block_is_committed_before_it_is_used_again(void *argument)
{
    (void)argument;
    struct rill_segment segment;
    struct rill_arena *arena;
    require_ok(rill_segment_create(&segment, RILL_PAGE_BYTES));
    require_ok(rill_arena_create(&segment, NULL, &arena));
    for (uint64_t i = 0; i < 20; i++) {
        struct held held;
        allocate(arena, &segment, &held, MIB, i);
        require(file_bytes(&segment) >= MIB);
        (void)rill_port_memory_punch(segment.memory, rill_segment_offset(&segment, held.bytes), MIB);
        uint64_t commits = segment.commits;
        rill_arena_free(arena, held.bytes, true);
        rill_arena_rest(arena, 0, 0);
        require(file_bytes(&segment) < MIB);
        allocate(arena, &segment, &held, MIB, i);
        require(segment.commits > commits);
        release(arena, &held);
    }
    rill_arena_destroy(&arena);
    rill_segment_close(&segment);
}

static void what_was_allocated_outlives_the_arena(void *argument)
{
    (void)argument;
    struct rill_segment segment;
    struct rill_arena *arena;
    struct held held[32];
    require_ok(rill_segment_create(&segment, RILL_PAGE_BYTES));
    require_ok(rill_arena_create(&segment, NULL, &arena));
    for (size_t i = 0; i < COUNT_OF(held); i++)
        allocate(arena, &segment, &held[i], 3000 * (i + 1), i);
    rill_arena_destroy(&arena);
    for (size_t i = 0; i < COUNT_OF(held); i++)
        require(filled(held[i].bytes, held[i].size, held[i].seed));
    rill_segment_close(&segment);
}

static void arenas_of_two_segments_do_not_mix(void *argument)
{
    (void)argument;
    struct rill_segment segment[2];
    struct rill_arena *arena[2];
    for (int i = 0; i < 2; i++) {
        require_ok(rill_segment_create(&segment[i], RILL_PAGE_BYTES));
        require_ok(rill_arena_create(&segment[i], NULL, &arena[i]));
    }
    struct held held;
    for (uint64_t i = 0; i < 500; i++) {
        allocate(arena[i % 2], &segment[i % 2], &held, 5000, i); /* which asks whether it lies in that segment */
        release(arena[i % 2], &held);
    }
    for (int i = 0; i < 2; i++) {
        rill_arena_destroy(&arena[i]);
        rill_segment_close(&segment[i]);
    }
}

static void more_than_there_is_is_an_error(void *argument)
{
    (void)argument;
    struct rill_segment segment;
    struct rill_arena *arena;
    struct held held;
    uint64_t offset = 3, capacity = UINT64_C(1) << 50;
    unsigned char *pointer = NULL;
    require_ok(rill_segment_create(&segment, RILL_PAGE_BYTES));
    require_ok(rill_arena_create(&segment, NULL, &arena));
    require_code(RILL_ENOMEM, rill_arena_alloc(arena, &capacity, &offset, &pointer));
    require(offset == 3 && pointer == NULL);
    allocate(arena, &segment, &held, 5000, 1);
    rill_arena_destroy(&arena);
    rill_segment_close(&segment);
}

/* Arenas are numbered, and the numbers end. A lane that gets none puts large messages into its rings. */
static void large_messages_need_no_arena(void *argument)
{
    (void)argument;
    static struct rill_arena *arenas[8192];
    struct rill_segment segment;
    rill_sender *tx;
    rill_receiver *rx;
    size_t count = 0;
    if (SANITIZED)
        skip_test("so many arenas take too long under a sanitizer");
    require_ok(rill_segment_create(&segment, RILL_PAGE_BYTES));
    while (count < COUNT_OF(arenas) && rill_arena_create(&segment, NULL, &arenas[count]) == RILL_OK)
        count++;
    require(count > 4000 && count < COUNT_OF(arenas));
    require_ok(rill_channel(NULL, &tx, &rx));
    for (size_t size = 1; size <= 4 * MIB; size *= 4) {
        require_ok(send_filled(tx, size, size));
        require_ok(send_filled(tx, size + 1, size));
        receive_filled(rx, size, size);
        receive_filled(rx, size + 1, size);
    }
    struct rill_lane *lane = atomic_load(&tx->endpoint->lane);
    require(lane->arena_failed && !lane->arena);
    require_ok(rill_sender_close(&tx));
    require_ok(rill_receiver_close(&rx));
    while (count)
        rill_arena_destroy(&arenas[--count]);
    rill_segment_close(&segment);
}

static void the_number_of_a_destroyed_arena_is_used_again(void *argument)
{
    (void)argument;
    struct rill_segment segment;
    require_ok(rill_segment_create(&segment, RILL_PAGE_BYTES));
    for (size_t i = 0; i < rounds(5000); i++) {
        struct rill_arena *arena;
        test_note = (long long)i;
        require_ok(rill_arena_create(&segment, NULL, &arena));
        rill_arena_destroy(&arena);
    }
    rill_segment_close(&segment);
}

int main(void)
{
    static const struct test tests[] = {
        {"allocations lie in the segment and keep their bytes", allocations_lie_in_the_segment_and_keep_their_bytes, NULL, 0},
        {"the first page is nobody's", the_first_page_is_nobodys, NULL, 0},
        {"a purge gives back what is free and nothing else", a_purge_gives_back_what_is_free_and_nothing_else, NULL, 0},
        {"a punched block is committed before it is used again", a_punched_block_is_committed_before_it_is_used_again, NULL, 0},
        {"what was allocated outlives the arena", what_was_allocated_outlives_the_arena, NULL, 0},
        {"arenas of two segments do not mix", arenas_of_two_segments_do_not_mix, NULL, 0},
        {"more than there is, is an error", more_than_there_is_is_an_error, NULL, 0},
        {"large messages need no arena", large_messages_need_no_arena, NULL, 60},
        {"the number of a destroyed arena is used again", the_number_of_a_destroyed_arena_is_used_again, NULL, 60},
    };
    return run_group("arena", tests, COUNT_OF(tests));
}
