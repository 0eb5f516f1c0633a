/* SPDX-License-Identifier: MIT */
/* Options structs of callers older and newer than the library. */
#include "support.h"

#include "src/options.h"

static struct rill_channel_options read_well(const struct rill_channel_options *given)
{
    struct rill_channel_options options;
    memset(&options, 0x5a, sizeof options);
    require_ok(rill_options_read(given, &options));
    require_equal(sizeof options, options.size);
    return options;
}

static void require_defaults(const struct rill_channel_options *options)
{
    require_equal(RILL_SHM, options->transport);
    require_equal(RILL_FULL_ERROR, options->on_full);
    require_equal(RILL_FOREVER, options->send_timeout);
    require_equal(0, options->limit);
    require_equal(0, options->spin);
    require_equal(0, options->max_lanes);
    require_equal(0, options->max_lane_bytes);
    require_equal(0, options->max_message);
}

static void nothing_given_means_all_defaults(void *argument)
{
    (void)argument;
    struct rill_channel_options options = read_well(NULL);
    require_defaults(&options);
    struct rill_channel_options zeros = {.size = sizeof zeros};
    options = read_well(&zeros);
    require_defaults(&options);
}

static void sockets_wait_for_room_by_default(void *argument)
{
    (void)argument;
    struct rill_channel_options given = {.size = sizeof given, .transport = RILL_SOCKET};
    require_equal(RILL_FULL_WAIT, read_well(&given).on_full);
    given.on_full = RILL_FULL_ERROR;
    require_equal(RILL_FULL_ERROR, read_well(&given).on_full);
}

static void what_is_given_is_kept(void *argument)
{
    (void)argument;
    struct rill_channel_options given = {.size = sizeof given, .transport = RILL_INPROC, .on_full = RILL_FULL_WAIT, .limit = 1, .send_timeout = 2,
                                         .spin = -1, .max_lanes = 4, .max_lane_bytes = 5, .max_message = 6};
    struct rill_channel_options options = read_well(&given);
    require(memcmp(&given, &options, sizeof given) == 0);
}

/* Only the first bytes of the struct may be read: the rest is not there. */
static void what_an_older_caller_lacks_counts_as_zero(void *argument)
{
    (void)argument;
    struct rill_channel_options given;
    for (size_t size = sizeof given.size; size < sizeof given; size += 4) {
        memset(&given, 0, sizeof given);
        memset((unsigned char *)&given + size, 0xff, sizeof given - size);
        given.size = size;
        struct rill_channel_options options = read_well(&given);
        test_note = (long long)size;
        require_defaults(&options);
    }
}

static void a_newer_callers_unknown_part_has_to_be_zero(void *argument)
{
    (void)argument;
    union {
        struct rill_channel_options options;
        unsigned char bytes[sizeof(struct rill_channel_options) + 64];
    } given;
    memset(&given, 0, sizeof given);
    given.options.size = sizeof given;
    given.options.limit = 9;
    require_equal(9, read_well(&given.options).limit);
    struct rill_channel_options options;
    for (size_t at = sizeof given.options; at < sizeof given; at++) {
        given.bytes[at] = 1;
        require_code(RILL_EINVAL, rill_options_read(&given.options, &options));
        given.bytes[at] = 0;
    }
}

static void require_refused(struct rill_channel_options given)
{
    struct rill_channel_options options;
    require_code(RILL_EINVAL, rill_options_read(&given, &options));
}

static void values_out_of_range_are_refused(void *argument)
{
    (void)argument;
    const size_t size = sizeof(struct rill_channel_options);
    require_refused((struct rill_channel_options){.size = 0});
    require_refused((struct rill_channel_options){.size = sizeof(size_t) - 1});
    require_refused((struct rill_channel_options){.size = size, .transport = RILL_INPROC + 1});
    require_refused((struct rill_channel_options){.size = size, .transport = UINT32_MAX});
    require_refused((struct rill_channel_options){.size = size, .on_full = RILL_FULL_WAIT + 1});
    require_refused((struct rill_channel_options){.size = size, .send_timeout = -1});
    require_refused((struct rill_channel_options){.size = size, .send_timeout = INT64_MIN});
    require_refused((struct rill_channel_options){.size = size, .spin = -2});
    require_refused((struct rill_channel_options){.size = size, .spin = SECOND + 1});
    require_refused((struct rill_channel_options){.size = size, .limit = (uint64_t)SIZE_MAX / 2 + 1});
}

static void values_at_the_end_of_their_range_are_taken(void *argument)
{
    (void)argument;
    struct rill_channel_options given = {.size = sizeof given, .send_timeout = RILL_FOREVER, .spin = SECOND, .limit = SIZE_MAX / 2, .max_lanes = UINT32_MAX,
                                         .max_lane_bytes = UINT64_MAX, .max_message = UINT64_MAX};
    (void)read_well(&given);
}

int main(void)
{
    static const struct test tests[] = {
        {"nothing given means all defaults", nothing_given_means_all_defaults, NULL, 0},
        {"sockets wait for room by default", sockets_wait_for_room_by_default, NULL, 0},
        {"what is given is kept", what_is_given_is_kept, NULL, 0},
        {"what an older caller lacks counts as zero", what_an_older_caller_lacks_counts_as_zero, NULL, 0},
        {"a newer caller's unknown part has to be zero", a_newer_callers_unknown_part_has_to_be_zero, NULL, 0},
        {"values out of range are refused", values_out_of_range_are_refused, NULL, 0},
        {"values at the end of their range are taken", values_at_the_end_of_their_range_are_taken, NULL, 0},
    };
    return run_group("options", tests, COUNT_OF(tests));
}
