/* SPDX-License-Identifier: MIT */
/* Segments: the owner's extents against a map of pages, and a peer's view of objects that are not what they should be. */
#include "support.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include "shm/layout.h"
#include "shm/segment.h"

#define PAGE RILL_PAGE_BYTES
#define MODEL_PAGES 8192
#define HELD 64

static struct rill_segment create(uint64_t reserved)
{
    struct rill_segment segment;
    require_ok(rill_segment_create(&segment, reserved));
    return segment;
}

static uint64_t file_size(rill_object memory)
{
    uint64_t size;
    require_ok(rill_port_memory_size(memory, &size));
    return size;
}

static uint64_t file_bytes(rill_object memory)
{
    struct stat status;
    require(fstat(memory, &status) == 0);
    return (uint64_t)status.st_blocks * 512;
}

static uint64_t take(struct rill_segment *segment, uint64_t size, uint64_t alignment)
{
    uint64_t offset = UINT64_MAX;
    require_ok(rill_segment_take(segment, size, alignment, &offset));
    unsigned char *address = rill_segment_at(segment, offset, size);
    require(address != NULL);
    require_equal(0, (uintptr_t)address % alignment);
    require_equal(0, offset % PAGE);
    require(offset + size <= file_size(segment->memory));
    require_equal(offset, rill_segment_offset(segment, address));
    require_equal(offset + size - 1, rill_segment_offset(segment, address + size - 1));
    return offset;
}

/* ---------------------------------------------------------------- the owner's extents */

struct held {
    uint64_t offset, size, seed;
};

/* Which pages are handed out. */
static bool model[MODEL_PAGES];

static void model_set(uint64_t offset, uint64_t size, bool taken)
{
    require((offset + size) / PAGE <= MODEL_PAGES);
    for (uint64_t page = offset / PAGE; page < (offset + size) / PAGE; page++) {
        require(model[page] != taken);
        model[page] = taken;
    }
}

static void take_one(struct rill_segment *segment, struct dice *dice, struct held *held)
{
    held->size = PAGE * roll_between(dice, 1, roll(dice) % 8 ? 8 : 64);
    held->offset = take(segment, held->size, PAGE << (roll(dice) % 4 ? 0 : roll(dice) % 6));
    held->seed = roll(dice);
    model_set(held->offset, held->size, true);
    require_ok(rill_segment_commit(segment, held->offset, held->size));
    unsigned char *bytes = rill_segment_at(segment, held->offset, held->size);
    for (uint64_t i = 0; i < held->size; i += 512)
        require_equal(0, bytes[i]); /* fresh or punched */
    fill(bytes, held->size, held->seed);
}

static void give_one(struct rill_segment *segment, struct held *held)
{
    require(filled(rill_segment_at(segment, held->offset, held->size), held->size, held->seed));
    model_set(held->offset, held->size, false);
    rill_segment_give(segment, held->offset, held->size);
    held->size = 0;
}

static void extents_never_overlap_and_keep_their_bytes(void *argument)
{
    (void)argument;
    struct rill_segment segment = create(2 * PAGE);
    model_set(0, 2 * PAGE, true);
    struct held held[HELD] = {0};
    struct dice dice = {.state = 5};
    for (size_t step = 0; step < rounds(5000); step++) {
        struct held *one = &held[roll(&dice) % HELD];
        test_note = (long long)step;
        if (one->size)
            give_one(&segment, one);
        else
            take_one(&segment, &dice, one);
    }
    for (size_t i = 0; i < HELD; i++)
        if (held[i].size)
            give_one(&segment, &held[i]);
    rill_segment_close(&segment);
}

static void what_was_given_back_is_joined_and_reused(void *argument)
{
    (void)argument;
    struct rill_segment segment = create(PAGE);
    uint64_t offsets[16];
    for (size_t i = 0; i < COUNT_OF(offsets); i++)
        offsets[i] = take(&segment, 4 * PAGE, PAGE);
    uint64_t size = segment.size;
    for (size_t i = 0; i < COUNT_OF(offsets); i += 2)
        rill_segment_give(&segment, offsets[i], 4 * PAGE);
    for (size_t i = 1; i < COUNT_OF(offsets); i += 2)
        rill_segment_give(&segment, offsets[i], 4 * PAGE);
    (void)take(&segment, 64 * PAGE, PAGE);
    require_equal(size, segment.size);
    rill_segment_close(&segment);
}

static void memory_that_was_given_back_is_the_systems(void *argument)
{
    (void)argument;
    struct rill_segment segment = create(PAGE);
    uint64_t before = file_bytes(segment.memory);
    uint64_t offset = take(&segment, MIB, PAGE);
    require_ok(rill_segment_commit(&segment, offset, MIB));
    require(file_bytes(segment.memory) >= before + MIB - 4 * PAGE);
    rill_segment_give(&segment, offset, MIB);
    require(file_bytes(segment.memory) <= before);
    rill_segment_close(&segment);
}

static void growing_commits_nothing_and_moves_nothing(void *argument)
{
    (void)argument;
    struct rill_segment segment = create(PAGE);
    unsigned char *start = rill_segment_at(&segment, 0, PAGE);
    start[0] = 7;
    uint64_t bytes = file_bytes(segment.memory);
    uint64_t size = segment.size;
    (void)take(&segment, size, PAGE);
    require_equal(2 * size, segment.size);
    (void)take(&segment, 64 * MIB, PAGE);
    require(bytes >= file_bytes(segment.memory));
    require(rill_segment_at(&segment, 0, PAGE) == start);
    require_equal(7, start[0]);
    require_equal(segment.size, file_size(segment.memory));
    rill_segment_close(&segment);
}

static void too_much_is_an_error_that_changes_nothing(void *argument)
{
    (void)argument;
    struct rill_segment segment = create(PAGE);
    uint64_t offset = 1;
    require_code(RILL_ENOMEM, rill_segment_take(&segment, UINT64_C(1) << 62, PAGE, &offset));
    require_code(RILL_ENOMEM, rill_segment_take(&segment, UINT64_C(1) << 50, PAGE, &offset)); /* no such address space */
    require_equal(1, offset);
    (void)take(&segment, 16 * PAGE, PAGE);
    require(segment.size < GIB);
    rill_segment_close(&segment);
}

static void what_lies_outside_is_found_nowhere(void *argument)
{
    (void)argument;
    struct rill_segment segment = create(PAGE);
    int local;
    require(rill_segment_at(&segment, segment.size, 1) == NULL);
    require(rill_segment_at(&segment, segment.size - 1, 2) == NULL);
    require(rill_segment_at(&segment, UINT64_MAX, 1) == NULL);
    require(rill_segment_at(&segment, PAGE, UINT64_MAX) == NULL);
    require(rill_segment_offset(&segment, &local) == UINT64_MAX);
    require(rill_segment_offset(&segment, NULL) == UINT64_MAX);
    require(rill_segment_offset(&segment, rill_segment_at(&segment, 0, PAGE) + segment.size) == UINT64_MAX);
    rill_segment_close(&segment);
}

/* ---------------------------------------------------------------- runs */

/* Puts something directly behind the segment's last run. */
static void *obstruct(const struct rill_runs *runs)
{
    const struct rill_run *last = &runs->list[runs->count - 1];
    void *place = last->base + last->size;
    void *found = mmap(place, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    require(found == place || (found == MAP_FAILED && errno == EEXIST)); /* or something is there already */
    return found == place ? found : NULL;
}

static void clear(void *obstacle)
{
    if (obstacle)
        require(munmap(obstacle, PAGE) == 0);
}

static void an_extent_never_crosses_from_one_run_to_the_next(void *argument)
{
    (void)argument;
    struct rill_segment segment = create(PAGE);
    void *obstacle = obstruct(&segment.runs);
    uint64_t first = segment.size;
    uint64_t low = take(&segment, first - PAGE, PAGE); /* the rest of the first run */
    uint64_t high = take(&segment, first, PAGE);
    require_equal(2, segment.runs.count);
    require_equal(first, high);
    require(!rill_segment_joined(&segment, low, high + first - low));
    rill_segment_give(&segment, low, first - PAGE);
    rill_segment_give(&segment, high, first);
    require_equal(2, segment.free_count); /* neighbours, and not joined */
    uint64_t offset = take(&segment, first + PAGE, PAGE);
    require(offset >= 2 * first);
    require(rill_segment_joined(&segment, high, PAGE));
    rill_segment_close(&segment);
    clear(obstacle);
}

static void a_view_maps_a_range_that_it_has_in_two_pieces_once_more(void *argument)
{
    (void)argument;
    struct rill_segment segment = create(PAGE);
    struct rill_view view;
    unsigned char *start, *whole;
    require_ok(rill_view_open(&view, segment.memory, 64 * MIB));
    uint64_t first = segment.size;
    void *obstacle = obstruct(&view.runs);
    require_ok(rill_port_memory_grow(segment.memory, 4 * first));
    require_ok(rill_view_at(&view, first, PAGE, &start));
    require_equal(2, view.runs.count);
    require_ok(rill_view_at(&view, first - PAGE, 2 * PAGE, &whole));
    start[3] = 9;
    require_equal(9, whole[PAGE + 3]);
    unsigned char *again;
    require_ok(rill_view_at(&view, first - PAGE, 2 * PAGE, &again));
    require(again == whole);
    rill_view_close(&view);
    rill_segment_close(&segment);
    clear(obstacle);
}

/* ---------------------------------------------------------------- views */

static void a_view_follows_a_segment_that_grows(void *argument)
{
    (void)argument;
    struct rill_segment segment = create(PAGE);
    struct rill_view view;
    unsigned char *there, *here;
    require_ok(rill_view_open(&view, segment.memory, 64 * MIB));
    require_ok(rill_view_at(&view, 0, PAGE, &there));
    for (uint64_t size = 4 * PAGE; size <= 4 * MIB; size *= 2) {
        uint64_t offset = take(&segment, size, PAGE);
        require_ok(rill_segment_commit(&segment, offset, size));
        fill(rill_segment_at(&segment, offset, size), size, size);
        require_ok(rill_view_at(&view, offset, size, &here));
        require(filled(here, size, size));
    }
    require_ok(rill_view_at(&view, 0, PAGE, &here));
    require(here == there); /* what is mapped never moves */
    require(view.mapped <= view.size);
    rill_view_close(&view);
    rill_segment_close(&segment);
}

static void a_range_outside_the_object_is_the_peers_fault(void *argument)
{
    (void)argument;
    struct rill_segment segment = create(PAGE);
    struct rill_view view;
    require_ok(rill_view_open(&view, segment.memory, UINT64_MAX));
    const uint64_t size = segment.size;
    const struct rill_span bad[] = {{size, 1}, {size - 1, 2}, {size + PAGE, PAGE}, {0, size + 1}, {UINT64_MAX, 1}, {UINT64_MAX, UINT64_MAX},
                                    {UINT64_MAX - 4095, 4096}, {UINT64_MAX - 4095, 8192}, {8, UINT64_MAX}, {8, UINT64_MAX - 7}, {PAGE, INT64_MAX}};
    unsigned char *pointer = NULL;
    uint64_t mapped = view.mapped;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        test_note = (long long)i;
        require_code(RILL_EPEER, rill_view_at(&view, bad[i].offset, bad[i].size, &pointer));
    }
    require(pointer == NULL);
    require_equal(mapped, view.mapped);
    rill_view_close(&view);
    rill_segment_close(&segment);
}

static void an_object_without_a_whole_page_has_no_header(void *argument)
{
    (void)argument;
    static const off_t sizes[] = {0, 1, 4095};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        struct rill_view view;
        int memory = memfd_create("short", MFD_CLOEXEC);
        require(memory >= 0 && ftruncate(memory, sizes[i]) == 0);
        require_code(RILL_EPEER, rill_view_open(&view, memory, MIB));
        rill_port_close(memory);
    }
}

static void an_object_may_end_inside_a_page(void *argument)
{
    (void)argument;
    struct rill_view view;
    unsigned char *pointer;
    int memory = memfd_create("odd", MFD_CLOEXEC);
    require(memory >= 0 && ftruncate(memory, 4096 + 100) == 0);
    require_ok(rill_view_open(&view, memory, MIB));
    require_ok(rill_view_at(&view, 4096, 100, &pointer));
    require_equal(0, pointer[99]);
    require_code(RILL_EPEER, rill_view_at(&view, 2 * 4096, 1, &pointer));
    rill_view_close(&view);
    rill_port_close(memory);
}

static void a_view_maps_no_more_than_its_quota(void *argument)
{
    (void)argument;
    struct rill_segment segment = create(PAGE);
    struct rill_view view;
    unsigned char *pointer;
    require_code(RILL_EQUOTA, rill_view_open(&view, segment.memory, PAGE - 1));
    require_ok(rill_view_open(&view, segment.memory, 8 * PAGE)); /* the four there are */
    require_ok(rill_port_memory_grow(segment.memory, GIB));
    require_ok(rill_view_at(&view, GIB - 2 * PAGE, 2 * PAGE, &pointer)); /* not what lies between */
    require_ok(rill_view_at(&view, GIB / 2 + 8, PAGE, &pointer));       /* two pages */
    require_code(RILL_EQUOTA, rill_view_at(&view, GIB / 4, 1, &pointer));
    require_code(RILL_EQUOTA, rill_view_at(&view, 0, GIB, &pointer));
    require_equal(8 * PAGE, view.mapped);
    require_equal(8 * PAGE, shared_mapped_bytes() - segment.size);
    require_ok(rill_view_at(&view, GIB - PAGE, PAGE, &pointer)); /* what is mapped stays so */
    rill_view_close(&view);
    rill_segment_close(&segment);
}

static void memory_of_another_making_is_refused(void *argument)
{
    (void)argument;
    int plain = memfd_create("plain", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    int unsealable = memfd_create("plain", MFD_CLOEXEC);
    int file = fileno(tmpfile());
    rill_object page, lane;
    require_ok(rill_port_memory_create(PAGE, false, &page));
    require_ok(rill_port_memory_create(PAGE, true, &lane));
    require_code(RILL_EPEER, rill_port_memory_check(plain, true));
    require_code(RILL_EPEER, rill_port_memory_check(unsealable, true));
    require_code(RILL_EPEER, rill_port_memory_check(file, true));
    require_code(RILL_EPEER, rill_port_memory_check(-1, true));
    require_code(RILL_EPEER, rill_port_memory_check(page, true));
    require_code(RILL_EPEER, rill_port_memory_check(lane, false));
    require_ok(rill_port_memory_check(page, false));
    require_ok(rill_port_memory_check(lane, true));
    require(ftruncate(lane, 0) != 0 && errno == EPERM); /* why the seals are asked for */
    for (int i = 0; i < 5; i++)
        rill_port_close((const int[]){plain, unsealable, file, page, lane}[i]);
}

int main(void)
{
    static const struct test tests[] = {
        {"extents never overlap and keep their bytes", extents_never_overlap_and_keep_their_bytes, NULL, 0},
        {"what was given back is joined and reused", what_was_given_back_is_joined_and_reused, NULL, 0},
        {"memory that was given back is the system's", memory_that_was_given_back_is_the_systems, NULL, 0},
        {"growing commits nothing and moves nothing", growing_commits_nothing_and_moves_nothing, NULL, 0},
        {"too much is an error that changes nothing", too_much_is_an_error_that_changes_nothing, NULL, 0},
        {"what lies outside is found nowhere", what_lies_outside_is_found_nowhere, NULL, 0},
        {"an extent never crosses from one run to the next", an_extent_never_crosses_from_one_run_to_the_next, NULL, 0},
        {"a view maps a range that it has in two pieces once more", a_view_maps_a_range_that_it_has_in_two_pieces_once_more, NULL, 0},
        {"a view follows a segment that grows", a_view_follows_a_segment_that_grows, NULL, 0},
        {"a range outside the object is the peer's fault", a_range_outside_the_object_is_the_peers_fault, NULL, 0},
        {"an object without a whole page has no header", an_object_without_a_whole_page_has_no_header, NULL, 0},
        {"an object may end inside a page", an_object_may_end_inside_a_page, NULL, 0},
        {"a view maps no more than its quota", a_view_maps_no_more_than_its_quota, NULL, 0},
        {"memory of another making is refused", memory_of_another_making_is_refused, NULL, 0},
    };
    return run_group("segment", tests, COUNT_OF(tests));
}
