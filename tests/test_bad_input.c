/* SPDX-License-Identifier: MIT */
/* What a caller may do wrong: an error code each, no output written, and the channel goes on. */
#include "support.h"

#include <sys/mman.h>

static const uint32_t transports[] = {RILL_SHM, RILL_SOCKET, RILL_INPROC};

struct pair {
    rill_sender *tx;
    rill_receiver *rx;
};

static struct pair open_pair(uint32_t transport)
{
    struct pair pair = {NULL, NULL};
    struct rill_channel_options options = {.size = sizeof options, .transport = transport};
    require_ok(rill_channel(&options, &pair.tx, &pair.rx));
    return pair;
}

static void close_pair(struct pair *pair)
{
    require_ok(rill_sender_close(&pair->tx));
    require_ok(rill_receiver_close(&pair->rx));
}

/* The channel is empty and works. */
static void require_sound(struct pair *pair)
{
    rill_message *message = NULL;
    require_code(RILL_EEMPTY, rill_try_recv(pair->rx, &message));
    require_ok(send_filled(pair->tx, 40, 6));
    receive_filled(pair->rx, 40, 6);
}

/* A pointer that no call may write. */
#define UNTOUCHED ((rill_message *)(uintptr_t)0x5a5a)

static void each_transport(void (*body)(struct pair *))
{
    for (size_t i = 0; i < COUNT_OF(transports); i++) {
        test_note = transports[i];
        struct pair pair = open_pair(transports[i]);
        body(&pair);
        require_sound(&pair);
        close_pair(&pair);
    }
}

/* ---------------------------------------------------------------- NULL */

static void nulls_to_sending(struct pair *pair)
{
    rill_sender *clone = (rill_sender *)(void *)UNTOUCHED;
    struct rill_bytes bytes = {NULL, 1};
    size_t sent = 3;
    require_code(RILL_EINVAL, rill_sender_clone(NULL, &clone));
    require(clone == (rill_sender *)(void *)UNTOUCHED);
    require_code(RILL_EINVAL, rill_sender_clone(pair->tx, NULL));
    require_code(RILL_EINVAL, rill_sender_close(NULL));
    require_code(RILL_EINVAL, rill_send(NULL, "a", 1));
    require_code(RILL_EINVAL, rill_send(pair->tx, NULL, 1));
    require_code(RILL_EINVAL, rill_send_until(NULL, "a", 1, RILL_FOREVER));
    require_code(RILL_EINVAL, rill_send_until(pair->tx, NULL, 1, RILL_FOREVER));
    require_code(RILL_EINVAL, rill_send_many(NULL, &bytes, 1, &sent));
    require_code(RILL_EINVAL, rill_send_many(pair->tx, NULL, 1, &sent));
    require_code(RILL_EINVAL, rill_send_many(pair->tx, &bytes, 1, &sent));
    require(sent == 3 || sent == 0);
    require_code(RILL_EINVAL, rill_send_parts(NULL, &bytes, 1));
    require_code(RILL_EINVAL, rill_send_parts(pair->tx, NULL, 1));
    require_code(RILL_EINVAL, rill_send_parts(pair->tx, &bytes, 1));
    require_code(RILL_EINVAL, rill_sender_interrupt(NULL));
    require_code(RILL_EINVAL, rill_sender_stats(NULL, &(struct rill_stats){.size = sizeof(struct rill_stats)}));
    require_code(RILL_EINVAL, rill_sender_stats(pair->tx, NULL));
}

static void nulls_to_receiving(struct pair *pair)
{
    rill_message *message = UNTOUCHED;
    size_t size = 5, count = 6;
    require_code(RILL_EINVAL, rill_receiver_close(NULL));
    require_code(RILL_EINVAL, rill_receiver_release(NULL));
    require_code(RILL_EINVAL, rill_recv(NULL, &message));
    require_code(RILL_EINVAL, rill_recv(pair->rx, NULL));
    require_code(RILL_EINVAL, rill_try_recv(NULL, &message));
    require_code(RILL_EINVAL, rill_try_recv(pair->rx, NULL));
    require_code(RILL_EINVAL, rill_recv_timeout(NULL, 0, &message));
    require_code(RILL_EINVAL, rill_recv_timeout(pair->rx, 0, NULL));
    require_code(RILL_EINVAL, rill_recv_until(NULL, RILL_NOW, &message));
    require_code(RILL_EINVAL, rill_recv_until(pair->rx, RILL_FOREVER, NULL));
    require_code(RILL_EINVAL, rill_recv_into(NULL, &size, sizeof size, RILL_NOW, &size));
    require_code(RILL_EINVAL, rill_recv_into(pair->rx, NULL, 1, RILL_FOREVER, &size));
    require_code(RILL_EINVAL, rill_recv_into(pair->rx, &size, sizeof size, RILL_FOREVER, NULL));
    require_code(RILL_EINVAL, rill_recv_many(NULL, RILL_NOW, &message, 1, &count));
    require_code(RILL_EINVAL, rill_recv_many(pair->rx, RILL_FOREVER, NULL, 1, &count));
    require_code(RILL_EINVAL, rill_recv_many(pair->rx, RILL_FOREVER, &message, 1, NULL));
    require_code(RILL_EINVAL, rill_recv_many(pair->rx, RILL_FOREVER, &message, 0, &count));
    require_code(RILL_EINVAL, rill_receiver_interrupt(NULL));
    require_code(RILL_EINVAL, rill_receiver_stats(NULL, &(struct rill_stats){.size = sizeof(struct rill_stats)}));
    require_code(RILL_EINVAL, rill_receiver_stats(pair->rx, NULL));
    require(message == UNTOUCHED);
    require_equal(5, size);
    require_equal(6, count);
}

static void nulls_to_messages(struct pair *pair)
{
    (void)pair;
    require(rill_message_data(NULL) == NULL);
    require_equal(0, rill_message_size(NULL));
    require_code(RILL_EINVAL, rill_message_close(NULL));
}

static void nulls_are_refused(void *unused)
{
    struct pair pair = {(rill_sender *)(void *)UNTOUCHED, (rill_receiver *)(void *)UNTOUCHED};
    (void)unused;
    each_transport(nulls_to_sending);
    each_transport(nulls_to_receiving);
    each_transport(nulls_to_messages);
    require_code(RILL_EINVAL, rill_channel(NULL, NULL, &pair.rx));
    require_code(RILL_EINVAL, rill_channel(NULL, &pair.tx, NULL));
    require_code(RILL_EINVAL, rill_channel(NULL, NULL, NULL));
    require((void *)pair.tx == (void *)UNTOUCHED && (void *)pair.rx == (void *)UNTOUCHED);
}

/* ---------------------------------------------------------------- the wrong object */

static void wrong_kinds_of(void *object, bool is_sender, bool is_receiver, bool is_message)
{
    rill_message *message = UNTOUCHED;
    rill_sender *clone = (rill_sender *)(void *)UNTOUCHED;
    void *copy = object;
    struct rill_stats stats = {.size = sizeof stats};
    if (!is_sender) {
        require_code(RILL_EINVAL, rill_send((rill_sender *)object, "a", 1));
        require_code(RILL_EINVAL, rill_sender_clone((rill_sender *)object, &clone));
        require_code(RILL_EINVAL, rill_sender_interrupt((rill_sender *)object));
        require_code(RILL_EINVAL, rill_sender_stats((rill_sender *)object, &stats));
        require_code(RILL_EINVAL, rill_sender_close((rill_sender **)(void *)&copy));
        require(copy == NULL); /* "sets the pointer to NULL, also when it returns an error" */
        copy = object;
    }
    if (!is_receiver) {
        require_code(RILL_EINVAL, rill_try_recv((rill_receiver *)object, &message));
        require_code(RILL_EINVAL, rill_recv((rill_receiver *)object, &message));
        require_code(RILL_EINVAL, rill_receiver_interrupt((rill_receiver *)object));
        require_code(RILL_EINVAL, rill_receiver_stats((rill_receiver *)object, &stats));
        require_code(RILL_EINVAL, rill_receiver_close((rill_receiver **)(void *)&copy));
        copy = object;
        require_code(RILL_EINVAL, rill_receiver_release((rill_receiver **)(void *)&copy));
        copy = object;
    }
    if (!is_message) {
        require(rill_message_data((rill_message *)object) == NULL);
        require_equal(0, rill_message_size((rill_message *)object));
        require_code(RILL_EINVAL, rill_message_close((rill_message **)(void *)&copy));
        require(copy == NULL);
    }
    require(message == UNTOUCHED && clone == (rill_sender *)(void *)UNTOUCHED);
}

static void wrong_kinds(struct pair *pair)
{
    rill_message *message = NULL;
    require_ok(send_filled(pair->tx, 64, 3));
    require_ok(rill_recv(pair->rx, &message));
    wrong_kinds_of(pair->tx, true, false, false);
    wrong_kinds_of(pair->rx, false, true, false);
    wrong_kinds_of(message, false, false, true);
    require_message(&message, 64, 3);
}

static void wrong_kinds_are_refused(void *unused)
{
    static uint64_t zeroes[1024], ones[1024];
    (void)unused;
    each_transport(wrong_kinds);
    wrong_kinds_of(zeroes, false, false, false);
    memset(ones, 0xff, sizeof ones);
    wrong_kinds_of(ones, false, false, false);
}

/* ---------------------------------------------------------------- sizes */

static void sizes_too_large(struct pair *pair)
{
    const size_t sizes[] = {SIZE_MAX / 2 + 1, SIZE_MAX / 2 + 4097, SIZE_MAX - 8, SIZE_MAX};
    char byte = 'x';
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        struct rill_bytes one[2] = {{&byte, 1}, {&byte, sizes[i]}};
        size_t sent = 0;
        require_code(RILL_EINVAL, rill_send(pair->tx, &byte, sizes[i]));
        require_code(RILL_EINVAL, rill_send_until(pair->tx, &byte, sizes[i], RILL_NOW));
        require_code(RILL_EINVAL, rill_send_parts(pair->tx, one, 2));
        require_code(RILL_EINVAL, rill_send_many(pair->tx, one, 2, &sent));
        require(sent <= 1);
        if (sent == 1) {
            rill_message *message = NULL;
            require_ok(rill_try_recv(pair->rx, &message));
            require_equal(1, rill_message_size(message));
            require_ok(rill_message_close(&message));
        }
        size_t size = 4;
        require_code(RILL_EINVAL, rill_recv_into(pair->rx, &byte, sizes[i], RILL_NOW, &size));
        require_equal(4, size);
    }
    struct rill_bytes halves[3] = {{&byte, SIZE_MAX / 2}, {&byte, SIZE_MAX / 2}, {&byte, 3}};
    require_code(RILL_EINVAL, rill_send_parts(pair->tx, halves, 2));
    require_code(RILL_EINVAL, rill_send_parts(pair->tx, halves, 3));
}

static void sizes_are_refused(void *unused)
{
    (void)unused;
    each_transport(sizes_too_large);
}

/* More than the machine has, but not above SIZE_MAX / 2: nothing of the data may be read. */
static void sizes_beyond_memory(struct pair *pair)
{
    char byte = 'x';
    const size_t sizes[] = {(size_t)1 << 45, (size_t)1 << 50, (size_t)1 << 62, SIZE_MAX / 2};
    for (size_t i = 0; i < COUNT_OF(sizes); i++)
        require_code(RILL_ENOMEM, rill_send(pair->tx, &byte, sizes[i]));
}

static void memory_is_refused(void *unused)
{
    static const uint32_t kinds[] = {RILL_SHM, RILL_INPROC};
    (void)unused;
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        test_note = kinds[i];
        struct pair pair = open_pair(kinds[i]);
        sizes_beyond_memory(&pair);
        require_sound(&pair);
        sizes_beyond_memory(&pair);
        require_sound(&pair);
        close_pair(&pair);
    }
}

/* ---------------------------------------------------------------- times */

static void times_below_zero(struct pair *pair)
{
    const int64_t times[] = {-1, -1000, INT64_MIN, INT64_MIN + 1};
    rill_message *message = UNTOUCHED;
    size_t size = 5;
    for (size_t i = 0; i < COUNT_OF(times); i++) {
        require_code(RILL_EINVAL, rill_recv_timeout(pair->rx, times[i], &message));
        require_code(RILL_EINVAL, rill_recv_until(pair->rx, times[i], &message));
        require_code(RILL_EINVAL, rill_recv_into(pair->rx, &size, sizeof size, times[i], &size));
        require_code(RILL_EINVAL, rill_recv_many(pair->rx, times[i], &message, 1, &size));
        require_code(RILL_EINVAL, rill_send_until(pair->tx, "a", 1, times[i]));
    }
    require(message == UNTOUCHED);
    require_equal(5, size);
}

static void times_are_refused(void *unused)
{
    (void)unused;
    each_transport(times_below_zero);
}

static void huge_times(struct pair *pair)
{
    rill_message *message = NULL;
    const int64_t times[] = {INT64_MAX - 1, INT64_MAX - 1000000000, INT64_MAX / 2};
    for (size_t i = 0; i < COUNT_OF(times); i++) {
        require_ok(send_number(pair->tx, i));
        require_ok(rill_recv_timeout(pair->rx, times[i], &message));
        require_equal(i, take_number(&message));
        require_ok(rill_receiver_interrupt(pair->rx));
        require_code(RILL_EINTERRUPTED, rill_recv_timeout(pair->rx, times[i], &message));
        require_ok(rill_receiver_interrupt(pair->rx));
        require_code(RILL_EINTERRUPTED, rill_recv_until(pair->rx, times[i], &message));
    }
}

static void huge_times_do_not_overflow(void *unused)
{
    (void)unused;
    each_transport(huge_times);
}

/* ---------------------------------------------------------------- options */

static void require_refused(const struct rill_channel_options *options)
{
    struct pair pair = {(rill_sender *)(void *)UNTOUCHED, (rill_receiver *)(void *)UNTOUCHED};
    require_code(RILL_EINVAL, rill_channel(options, &pair.tx, &pair.rx));
    require((void *)pair.tx == (void *)UNTOUCHED && (void *)pair.rx == (void *)UNTOUCHED);
}

static void options_out_of_range(void *unused)
{
    const struct rill_channel_options sound = {.size = sizeof sound, .transport = RILL_SHM};
    struct rill_channel_options options;
    (void)unused;
#define REFUSE(field, value)         \
    do {                             \
        options = sound;             \
        options.field = (value);     \
        test_note = __LINE__;        \
        require_refused(&options);   \
    } while (0)
    REFUSE(transport, 4);
    REFUSE(transport, UINT32_MAX);
    REFUSE(on_full, 3);
    REFUSE(on_full, UINT32_MAX);
    REFUSE(send_timeout, -1);
    REFUSE(send_timeout, INT64_MIN);
    REFUSE(spin, -2);
    REFUSE(spin, INT64_MIN);
    REFUSE(spin, SECOND + 1);
    REFUSE(spin, INT64_MAX);
    REFUSE(limit, (uint64_t)SIZE_MAX / 2 + 1);
    REFUSE(limit, UINT64_MAX);
    REFUSE(size, 0);
    REFUSE(size, sizeof(size_t) - 1);
#undef REFUSE
}

static void options_at_the_edge(void *unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT_OF(transports); i++) {
        struct rill_channel_options options = {.size = sizeof options,
                                               .transport = transports[i],
                                               .on_full = RILL_FULL_ERROR,
                                               .limit = SIZE_MAX / 2,
                                               .send_timeout = INT64_MAX,
                                               .spin = -1,
                                               .max_lanes = UINT32_MAX,
                                               .max_lane_bytes = UINT64_MAX,
                                               .max_message = UINT64_MAX};
        struct pair pair = {NULL, NULL};
        test_note = transports[i];
        require_ok(rill_channel(&options, &pair.tx, &pair.rx));
        require_sound(&pair);
        close_pair(&pair);
        options.spin = SECOND;
        require_ok(rill_channel(&options, &pair.tx, &pair.rx));
        close_pair(&pair);
    }
}

/* An older caller's struct ends early; what lies behind it is not the library's to read. */
static void smaller_options(void *unused)
{
    const size_t sizes[] = {sizeof(size_t), offsetof(struct rill_channel_options, on_full), offsetof(struct rill_channel_options, limit),
                            offsetof(struct rill_channel_options, spin), offsetof(struct rill_channel_options, max_message)};
    (void)unused;
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        unsigned char *edge = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        struct rill_channel_options options = {.size = sizes[i], .transport = RILL_INPROC};
        struct pair pair = {NULL, NULL};
        test_note = (long long)sizes[i];
        require(edge != MAP_FAILED);
        require(mprotect(edge + 4096, 4096, PROT_NONE) == 0);
        size_t at = 4096 - (sizes[i] + 7) / 8 * 8;
        memset(edge, 0xff, 4096);
        memcpy(edge + at, &options, sizes[i]);
        require_ok(rill_channel((const struct rill_channel_options *)(const void *)(edge + at), &pair.tx, &pair.rx));
        require_sound(&pair);
        close_pair(&pair);
        munmap(edge, 8192);
    }
}

static void larger_options(void *unused)
{
    struct {
        struct rill_channel_options known;
        unsigned char unknown[100];
    } options = {.known = {.size = sizeof options, .transport = RILL_INPROC}};
    struct pair pair = {NULL, NULL};
    (void)unused;
    require_ok(rill_channel(&options.known, &pair.tx, &pair.rx));
    require_sound(&pair);
    close_pair(&pair);
    for (size_t i = 0; i < sizeof options.unknown; i += 33) {
        options.unknown[i] = 1;
        require_refused(&options.known);
        options.unknown[i] = 0;
    }
}

static void small_stats(struct pair *pair)
{
    struct rill_stats stats = {0};
    for (stats.size = 0; stats.size < sizeof(size_t); stats.size++) {
        require_code(RILL_EINVAL, rill_sender_stats(pair->tx, &stats));
        require_code(RILL_EINVAL, rill_receiver_stats(pair->rx, &stats));
    }
}

static void stats_are_refused(void *unused)
{
    (void)unused;
    each_transport(small_stats);
}

/* ---------------------------------------------------------------- outputs and texts */

static void failing_calls_write_nothing(struct pair *pair)
{
    rill_message *message = UNTOUCHED, *messages[2] = {UNTOUCHED, UNTOUCHED};
    size_t size = 7;
    unsigned char bytes[4] = {1, 2, 3, 4};
    require_code(RILL_EEMPTY, rill_try_recv(pair->rx, &message));
    require_code(RILL_ETIMEDOUT, rill_recv_timeout(pair->rx, 1, &message));
    require_code(RILL_EEMPTY, rill_recv_many(pair->rx, RILL_NOW, messages, 2, &size));
    require_code(RILL_EEMPTY, rill_recv_into(pair->rx, bytes, sizeof bytes, RILL_NOW, &size));
    require(message == UNTOUCHED && messages[0] == UNTOUCHED && messages[1] == UNTOUCHED);
    require_equal(7, size);
    require_ok(send_filled(pair->tx, 5, 1));
    require_code(RILL_EMSGSIZE, rill_recv_into(pair->rx, bytes, sizeof bytes, RILL_NOW, &size));
    require_equal(5, size);
    require(memcmp(bytes, "\1\2\3\4", 4) == 0);
    receive_filled(pair->rx, 5, 1);
}

static void outputs_stay(void *unused)
{
    (void)unused;
    each_transport(failing_calls_write_nothing);
}

static void codes_have_texts(void *unused)
{
    const int strange[] = {1, 100, -999, -1000, INT32_MIN, INT32_MAX};
    (void)unused;
    for (int code = 0; code >= RILL_EREADONLY; code--) {
        test_note = code;
        require(rill_strerror(code) != NULL && strlen(rill_strerror(code)) > 0);
        require(strcmp(rill_strerror(code), "unknown error") != 0);
        require(strncmp(rill_error_name(code), code ? "RILL_E" : "RILL_OK", 6) == 0);
        for (int other = code + 1; other <= 0; other++) {
            require(strcmp(rill_strerror(code), rill_strerror(other)) != 0);
            require(strcmp(rill_error_name(code), rill_error_name(other)) != 0);
        }
    }
    require(strcmp(rill_error_name(RILL_EFULL), "RILL_EFULL") == 0);
    for (size_t i = 0; i < COUNT_OF(strange); i++) {
        require(strcmp(rill_strerror(strange[i]), "unknown error") == 0);
        require(rill_error_name(strange[i]) != NULL);
    }
}

static const struct test tests[] = {
    {"a NULL that is not allowed is refused", nulls_are_refused, NULL, 0},
    {"a pointer to another kind of object is refused", wrong_kinds_are_refused, NULL, 0},
    {"a size above SIZE_MAX / 2 is refused", sizes_are_refused, NULL, 0},
    {"a size above the machine's memory is RILL_ENOMEM", memory_is_refused, NULL, 0},
    {"a time below zero is refused", times_are_refused, NULL, 0},
    {"a time near the end of the clock does not overflow", huge_times_do_not_overflow, NULL, 0},
    {"an option out of range is refused", options_out_of_range, NULL, 0},
    {"options at the edge of their range are taken", options_at_the_edge, NULL, 0},
    {"smaller options are read as far as they go", smaller_options, NULL, 0},
    {"larger options are taken if what is unknown is 0", larger_options, NULL, 0},
    {"a stats struct without its first field is refused", stats_are_refused, NULL, 0},
    {"a call that fails writes no output", outputs_stay, NULL, 0},
    {"every code has a name and a text of its own", codes_have_texts, NULL, 0},
};

int main(void)
{
    return run_group("bad input", tests, COUNT_OF(tests));
}
