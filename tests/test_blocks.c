/* SPDX-License-Identifier: MIT */
/* The owner's table of blocks, against a plain list. */
#include "support.h"

#include "shm/blocks.h"

#define MODEL 4096

static void require_block(struct rill_blocks *blocks, uint64_t offset, uint64_t size, enum rill_block_kind kind)
{
    struct rill_block block = {0};
    require(rill_blocks_remove(blocks, offset, &block));
    require_equal(offset, block.offset);
    require_equal(size, block.size);
    require_equal(kind, block.kind);
}

static void an_empty_table_has_nothing_to_give(void *argument)
{
    (void)argument;
    struct rill_blocks blocks = {0};
    struct rill_block block = {.size = 5};
    require(!rill_blocks_remove(&blocks, 4096, &block));
    require(!rill_blocks_remove(&blocks, 0, &block));
    require_ok(rill_blocks_reserve(&blocks));
    require(!rill_blocks_remove(&blocks, 4096, &block));
    require(!rill_blocks_remove(&blocks, 0, &block));
    require_equal(5, block.size);
    rill_blocks_clear(&blocks);
}

static void a_block_is_given_once(void *argument)
{
    (void)argument;
    struct rill_blocks blocks = {0};
    struct rill_block block;
    require_ok(rill_blocks_reserve(&blocks));
    rill_blocks_add(&blocks, (struct rill_block){.offset = 8192, .size = 77, .kind = RILL_BLOCK_LARGE});
    require(!rill_blocks_remove(&blocks, 8193, &block));
    require_block(&blocks, 8192, 77, RILL_BLOCK_LARGE);
    require(!rill_blocks_remove(&blocks, 8192, &block));
    require_equal(0, blocks.count);
    rill_blocks_clear(&blocks);
}

static void blocks_of_any_number_are_found_again(void *argument)
{
    (void)argument;
    struct rill_blocks blocks = {0};
    for (uint64_t i = 1; i <= 5000; i++) {
        require_ok(rill_blocks_reserve(&blocks));
        rill_blocks_add(&blocks, (struct rill_block){.offset = i * 4096, .size = i, .kind = RILL_BLOCK_RING});
    }
    require_equal(5000, blocks.count);
    for (uint64_t i = 5000; i >= 1; i--)
        require_block(&blocks, i * 4096, i, RILL_BLOCK_RING);
    require_equal(0, blocks.count);
    rill_blocks_clear(&blocks);
}

/* Offsets of few values, so that adding, finding and missing all happen often and probe sequences overlap. */
static void any_order_of_steps_gives_what_a_list_gives(void *argument)
{
    (void)argument;
    struct rill_blocks blocks = {0};
    static uint64_t model[MODEL]; /* size by offset; 0: not there */
    struct dice dice = {.state = 11};
    size_t count = 0;
    for (size_t step = 0; step < rounds(400000); step++) {
        uint64_t slot = roll_between(&dice, 1, MODEL - 1), wanted = roll_between(&dice, 1, UINT32_MAX);
        struct rill_block block;
        test_note = (long long)step;
        bool filling = step / 20000 % 2 == 0;
        if (!model[slot] && (filling || roll(&dice) % 4 == 0)) {
            require_ok(rill_blocks_reserve(&blocks));
            rill_blocks_add(&blocks, (struct rill_block){.offset = slot * 64, .size = wanted, .kind = RILL_BLOCK_RING});
            model[slot] = wanted;
            count++;
        } else if (model[slot]) {
            require_block(&blocks, slot * 64, model[slot], RILL_BLOCK_RING);
            model[slot] = 0;
            count--;
        } else {
            require(!rill_blocks_remove(&blocks, slot * 64, &block));
        }
        require_equal(count, blocks.count);
    }
    rill_blocks_clear(&blocks);
}

static void the_table_has_always_an_empty_slot(void *argument)
{
    (void)argument;
    struct rill_blocks blocks = {0};
    for (uint64_t i = 1; i <= 1000; i++) {
        require_ok(rill_blocks_reserve(&blocks));
        rill_blocks_add(&blocks, (struct rill_block){.offset = i, .size = 1, .kind = RILL_BLOCK_RING});
        require(blocks.count < blocks.capacity); /* else the search for what is not there would never end */
    }
    rill_blocks_clear(&blocks);
    require(blocks.slots == NULL);
}

int main(void)
{
    static const struct test tests[] = {
        {"an empty table has nothing to give", an_empty_table_has_nothing_to_give, NULL, 0},
        {"a block is given once", a_block_is_given_once, NULL, 0},
        {"blocks of any number are found again", blocks_of_any_number_are_found_again, NULL, 0},
        {"any order of steps gives what a list gives", any_order_of_steps_gives_what_a_list_gives, NULL, 0},
        {"the table has always an empty slot", the_table_has_always_an_empty_slot, NULL, 0},
    };
    return run_group("blocks", tests, COUNT_OF(tests));
}
