/* SPDX-License-Identifier: MIT */
/* Rings, step by step: what a writer leaves in a block, and what a reader makes of blocks that no honest writer left so. */
#include "support.h"

#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>

#include "shm/ring.h"

#define BLOCK ((uint64_t)4096)
#define OLD 0xa5

/* ---------------------------------------------------------------- blocks that end where memory ends */

struct guarded {
    unsigned char *mapping;
    unsigned char *block;
};

/* A block with old bytes in it; touching what lies behind it kills. */
static struct guarded guard(void)
{
    struct guarded made;
    made.mapping = mmap(NULL, 2 * BLOCK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    require(made.mapping != MAP_FAILED);
    require(mprotect(made.mapping + BLOCK, BLOCK, PROT_NONE) == 0);
    made.block = made.mapping;
    memset(made.block, OLD, BLOCK);
    return made;
}

static void unguard(struct guarded *made)
{
    require(munmap(made->mapping, 2 * BLOCK) == 0);
}

static uint64_t word_at(const unsigned char *block, uint64_t position)
{
    uint64_t word;
    memcpy(&word, block + position, sizeof word);
    return word;
}

static void put_word(unsigned char *block, uint64_t position, uint64_t word)
{
    memcpy(block + position, &word, sizeof word);
}

static struct rill_ring_writer write_to(unsigned char *block)
{
    struct rill_ring_writer writer = {0};
    rill_ring_enter(&writer, (struct rill_span){.offset = BLOCK, .size = BLOCK}, block);
    return writer;
}

static struct rill_ring_reader read_from(unsigned char *block)
{
    struct rill_ring_reader reader = {0};
    require_ok(rill_ring_open(&reader, (struct rill_span){.offset = BLOCK, .size = BLOCK}, block));
    return reader;
}

static void commit_number(struct rill_ring_writer *writer, uint64_t number, uint64_t ticket)
{
    memcpy(rill_ring_payload(writer, ticket), &number, sizeof number);
    require(rill_ring_commit(writer, RILL_KIND_INLINE, sizeof number, ticket));
}

static int peek(const struct rill_ring_reader *reader)
{
    struct rill_record record = {0};
    return rill_ring_peek(reader, &record);
}

/* ---------------------------------------------------------------- the writer */

static void a_record_exists_only_after_its_commit(void *argument)
{
    (void)argument;
    struct guarded memory = guard();
    struct rill_ring_writer writer = write_to(memory.block);
    struct rill_ring_reader reader = read_from(memory.block);
    memset(rill_ring_payload(&writer, 0), 0xff, 8);
    require_code(RILL_EEMPTY, peek(&reader));
    require(!rill_ring_ready(&reader));
    commit_number(&writer, 7, 0);
    require(rill_ring_ready(&reader));
    struct rill_record record = {0};
    require_ok(rill_ring_peek(&reader, &record));
    require_equal(RILL_KIND_INLINE, record.kind);
    require_equal(8, record.size);
    require_equal(16, record.length);
    require_equal(0, record.ticket);
    require_equal(7, word_at(record.payload, 0));
    unguard(&memory);
}

static void a_commit_leaves_these_bytes(void *argument)
{
    (void)argument;
    struct guarded memory = guard();
    struct rill_ring_writer writer = write_to(memory.block);
    require_equal(RILL_HEADER_FREE, word_at(memory.block, 0));
    memcpy(rill_ring_payload(&writer, 0x1122), "abcde", 5);
    require(rill_ring_commit(&writer, RILL_KIND_INLINE, 5, 0x1122));
    require_equal(5 << 8 | 8 | 1, word_at(memory.block, 0));
    require_equal(0x1122, word_at(memory.block, 8));
    require(memcmp(memory.block + 16, "abcde", 5) == 0);
    require_equal(24, writer.position);
    require_equal(RILL_HEADER_FREE, word_at(memory.block, 24));
    require_equal(OLD, memory.block[32]);
    unguard(&memory);
}

static void old_payload_is_never_taken_for_a_header(void *argument)
{
    (void)argument;
    struct guarded memory = guard();
    for (uint64_t at = 0; at < BLOCK; at += 8)
        put_word(memory.block, at, RILL_HEADER(RILL_KIND_INLINE, 8));
    struct rill_ring_writer writer = write_to(memory.block);
    struct rill_ring_reader reader = read_from(memory.block);
    struct rill_record record = {0};
    for (uint64_t i = 0; rill_ring_fits(&writer, 16); i++) {
        require_code(RILL_EEMPTY, peek(&reader));
        commit_number(&writer, i, 0);
        require_ok(rill_ring_peek(&reader, &record));
        require_equal(i, word_at(record.payload, 0));
        rill_ring_advance(&reader, &record);
    }
    require_code(RILL_EEMPTY, peek(&reader));
    unguard(&memory);
}

static void the_last_record_leaves_room_for_a_link_and_nothing_more(void *argument)
{
    (void)argument;
    struct guarded memory = guard();
    struct rill_ring_writer writer = write_to(memory.block);
    require(!rill_ring_fits(&writer, BLOCK - RILL_LINK_BYTES + 8));
    require(rill_ring_fits(&writer, BLOCK - RILL_LINK_BYTES));
    uint64_t size = BLOCK - RILL_LINK_BYTES - RILL_HEADER_BYTES;
    memset(rill_ring_payload(&writer, 0), 1, size);
    require(rill_ring_commit(&writer, RILL_KIND_INLINE, size, 0));
    require(!rill_ring_fits(&writer, 8));
    require(rill_ring_link(&writer, (struct rill_span){.offset = 3 * BLOCK, .size = BLOCK}, memory.block));
    unguard(&memory);
}

static void a_link_names_a_block_whose_first_header_is_free(void *argument)
{
    (void)argument;
    struct guarded first = guard(), second = guard();
    struct rill_ring_writer writer = write_to(first.block);
    struct rill_ring_reader reader = read_from(first.block);
    require(rill_ring_link(&writer, (struct rill_span){.offset = 5 * BLOCK, .size = BLOCK}, second.block));
    struct rill_record link = {0};
    require_ok(rill_ring_peek(&reader, &link));
    require_equal(RILL_KIND_LINK, link.kind);
    require_equal(5 * BLOCK, word_at(link.payload, 0));
    require_equal(BLOCK, word_at(link.payload, 8));
    require_equal(RILL_HEADER_FREE, word_at(second.block, 0));
    require(writer.block == second.block);
    require_equal(0, writer.position);
    unguard(&first);
    unguard(&second);
}

/* ---------------------------------------------------------------- the reader against lies */

static void require_refused(uint64_t word)
{
    struct guarded memory = guard();
    put_word(memory.block, 0, word);
    struct rill_ring_reader reader = read_from(memory.block);
    test_note = (long long)word;
    require_code(RILL_EPEER, peek(&reader));
    unguard(&memory);
}

static void a_header_that_lies_about_its_size_is_refused(void *argument)
{
    (void)argument;
    static const uint64_t sizes[] = {BLOCK - 31, BLOCK - 8, BLOCK, BLOCK + 1, UINT64_C(1) << 31, UINT64_C(1) << 32, (UINT64_C(1) << 56) - 8, (UINT64_C(1) << 56) - 1};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        require_refused(RILL_HEADER(RILL_KIND_INLINE, sizes[i]));
        require_refused(RILL_HEADER(RILL_KIND_INLINE, sizes[i]) | RILL_HEADER_STAMPED);
        require_refused(RILL_HEADER(RILL_KIND_LARGE, sizes[i]));
        require_refused(RILL_HEADER(RILL_KIND_LINK, sizes[i]));
    }
}

static void a_kind_that_nobody_writes_is_refused(void *argument)
{
    (void)argument;
    for (uint64_t kind = 4; kind <= 7; kind++) {
        require_refused(RILL_HEADER(kind, 16));
        require_refused(RILL_HEADER(kind, 0) | RILL_HEADER_STAMPED);
    }
    require_refused(RILL_HEADER(RILL_KIND_FREE, 8)); /* only all zeros is free */
    require_refused(RILL_HEADER_STAMPED);
    require_refused(RILL_HEADER_POISON);
}

static void a_span_of_another_size_is_refused(void *argument)
{
    (void)argument;
    for (uint64_t size = 0; size < 40; size++) {
        if (size != sizeof(struct rill_large))
            require_refused(RILL_HEADER(RILL_KIND_LARGE, size));
        if (size != sizeof(struct rill_span))
            require_refused(RILL_HEADER(RILL_KIND_LINK, size));
    }
    require_refused(RILL_HEADER(RILL_KIND_LINK, sizeof(struct rill_span)) | RILL_HEADER_STAMPED);
}

static void a_stamp_of_zero_is_refused(void *argument)
{
    (void)argument;
    struct guarded memory = guard();
    put_word(memory.block, 0, RILL_HEADER(RILL_KIND_INLINE, 8) | RILL_HEADER_STAMPED);
    put_word(memory.block, 8, 0);
    struct rill_ring_reader reader = read_from(memory.block);
    require_code(RILL_EPEER, peek(&reader));
    put_word(memory.block, 8, UINT64_MAX);
    require_ok(peek(&reader));
    unguard(&memory);
}

static void a_block_that_no_owner_hands_out_is_refused(void *argument)
{
    (void)argument;
    static const struct rill_span spans[] = {{0, BLOCK}, {BLOCK, 0}, {BLOCK, BLOCK - 8}, {BLOCK + 8, BLOCK}, {BLOCK, BLOCK + 4}, {8, 8}, {UINT64_MAX, BLOCK}};
    struct guarded memory = guard();
    struct rill_ring_reader reader = {0};
    for (size_t i = 0; i < COUNT_OF(spans); i++)
        require_code(RILL_EPEER, rill_ring_open(&reader, spans[i], memory.block));
    require(reader.block == NULL);
    unguard(&memory);
}

/* Reads all that peek allows; a byte too far ends the test. */
static void read_all(struct rill_ring_reader *reader)
{
    struct rill_record record = {0};
    unsigned sum = 0;
    while (rill_ring_peek(reader, &record) == RILL_OK) {
        for (uint64_t i = 0; i < record.size; i++)
            sum += record.payload[i];
        if (record.kind == RILL_KIND_LINK)
            break;
        rill_ring_advance(reader, &record);
        require(reader->position <= reader->size - RILL_LINK_BYTES);
    }
    atomic_signal_fence(memory_order_seq_cst);
    test_note = sum;
}

/* A word of which each part is likely to be right. */
static uint64_t likely_header(struct dice *dice)
{
    uint64_t size = roll(dice) % 3 ? roll_between(dice, 0, 300) : roll(dice) % 2 ? roll_between(dice, BLOCK - 64, BLOCK + 64) : roll(dice) >> roll_between(dice, 8, 60);
    return RILL_HEADER(roll(dice) % 3 ? RILL_KIND_INLINE : roll_between(dice, 0, 7), size) | (roll(dice) % 2 ? RILL_HEADER_STAMPED : 0);
}

static void no_bytes_lead_the_reader_out_of_its_block(void *argument)
{
    (void)argument;
    struct guarded memory = guard();
    struct dice dice = {.state = 20260728};
    for (size_t round = 0; round < rounds(10000); round++) {
        uint64_t step = 8 * roll_between(&dice, 1, 40);
        for (uint64_t at = 0; at < BLOCK; at += step)
            put_word(memory.block, at, likely_header(&dice));
        struct rill_ring_reader reader = read_from(memory.block);
        read_all(&reader);
    }
    unguard(&memory);
}

/* ---------------------------------------------------------------- giving up */

static void an_empty_ring_that_is_given_up_takes_no_further_record(void *argument)
{
    (void)argument;
    struct guarded memory = guard();
    struct rill_ring_writer writer = write_to(memory.block);
    struct rill_ring_reader reader = read_from(memory.block);
    commit_number(&writer, 1, 0);
    require(!rill_ring_poison(&reader));
    struct rill_record record = {0};
    require_ok(rill_ring_peek(&reader, &record));
    rill_ring_advance(&reader, &record);
    require(rill_ring_poison(&reader));
    require(rill_ring_poison(&reader)); /* it stays given up */
    require(!rill_ring_commit(&writer, RILL_KIND_INLINE, 8, 0));
    unguard(&memory);
}

static void a_ring_that_is_given_up_cannot_be_linked(void *argument)
{
    (void)argument;
    struct guarded memory = guard(), next = guard();
    struct rill_ring_writer writer = write_to(memory.block);
    struct rill_ring_reader reader = read_from(memory.block);
    require(rill_ring_poison(&reader));
    require(!rill_ring_link(&writer, (struct rill_span){.offset = 2 * BLOCK, .size = BLOCK}, next.block));
    unguard(&memory);
    unguard(&next);
}

struct duel {
    unsigned char *block;
    _Atomic uint64_t round; /* both go when it is raised */
    _Atomic uint64_t done;
    bool poisoned;
};

static void *poison_each_round(void *argument)
{
    struct duel *duel = argument;
    for (uint64_t round = 1; round <= rounds(4000); round++) {
        struct rill_ring_reader reader = read_from(duel->block);
        while (atomic_load(&duel->round) < round)
            sched_yield();
        duel->poisoned = rill_ring_poison(&reader);
        atomic_store(&duel->done, round);
    }
    return NULL;
}

static void of_a_commit_and_giving_up_exactly_one_succeeds(void *argument)
{
    (void)argument;
    struct guarded memory = guard();
    struct duel duel = {.block = memory.block};
    struct rill_ring_writer writer = write_to(memory.block);
    pthread_t thread;
    require(pthread_create(&thread, NULL, poison_each_round, &duel) == 0);
    for (uint64_t round = 1; round <= rounds(4000); round++) {
        rill_ring_enter(&writer, (struct rill_span){.offset = BLOCK, .size = BLOCK}, memory.block);
        atomic_store(&duel.round, round);
        for (volatile uint64_t wait = 0; wait < round % 64; wait++)
            continue;
        bool committed = rill_ring_commit(&writer, RILL_KIND_INLINE, 8, 0);
        while (atomic_load(&duel.done) < round)
            sched_yield();
        test_note = (long long)round;
        require(committed != duel.poisoned);
    }
    require(pthread_join(thread, NULL) == 0);
    unguard(&memory);
}

int main(void)
{
    static const struct test tests[] = {
        {"a record exists only after its commit", a_record_exists_only_after_its_commit, NULL, 0},
        {"a commit leaves these bytes", a_commit_leaves_these_bytes, NULL, 0},
        {"old payload is never taken for a header", old_payload_is_never_taken_for_a_header, NULL, 0},
        {"the last record leaves room for a link and nothing more", the_last_record_leaves_room_for_a_link_and_nothing_more, NULL, 0},
        {"a link names a block whose first header is free", a_link_names_a_block_whose_first_header_is_free, NULL, 0},
        {"a header that lies about its size is refused", a_header_that_lies_about_its_size_is_refused, NULL, 0},
        {"a kind that nobody writes is refused", a_kind_that_nobody_writes_is_refused, NULL, 0},
        {"a span of another size is refused", a_span_of_another_size_is_refused, NULL, 0},
        {"a stamp of zero is refused", a_stamp_of_zero_is_refused, NULL, 0},
        {"a block that no owner hands out is refused", a_block_that_no_owner_hands_out_is_refused, NULL, 0},
        {"no bytes lead the reader out of its block", no_bytes_lead_the_reader_out_of_its_block, NULL, 0},
        {"an empty ring that is given up takes no further record", an_empty_ring_that_is_given_up_takes_no_further_record, NULL, 0},
        {"a ring that is given up cannot be linked", a_ring_that_is_given_up_cannot_be_linked, NULL, 0},
        {"of a commit and giving up exactly one succeeds", of_a_commit_and_giving_up_exactly_one_succeeds, NULL, 0},
    };
    return run_group("ring", tests, COUNT_OF(tests));
}
