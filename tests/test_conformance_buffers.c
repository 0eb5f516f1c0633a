/* SPDX-License-Identifier: MIT */
/* Buffers are borrowed, filled in place, and sent: alone, or several in one message. */
#include "conformance.h"

#include <fcntl.h>

static const size_t sizes[] = {0, 1, 63, 64, 4096, 65536, 65537, 100000, MIB, 5 * MIB + 1, 20 * MIB};

static rill_buffer *loan_filled(rill_sender *tx, size_t size, uint64_t seed)
{
    rill_buffer *buffer = NULL;
    void *bytes = NULL;
    require_ok(rill_buffer_loan(tx, size, NULL, &buffer));
    require_equal(size, rill_buffer_size(buffer));
    require_ok(rill_buffer_data_mutable(buffer, &bytes));
    require(bytes != NULL && bytes == rill_buffer_data(buffer));
    require_equal(0, (uintptr_t)bytes % 64);
    fill(bytes, size, seed);
    return buffer;
}

static struct rill_handle handle_of(rill_buffer *buffer)
{
    return (struct rill_handle){.kind = RILL_HANDLE_BUFFER, .as.buffer = buffer};
}

static void close_filled(rill_buffer *buffer, size_t size, uint64_t seed)
{
    require_equal(size, rill_buffer_size(buffer));
    require(filled(rill_buffer_data(buffer), size, seed));
    require_ok(rill_buffer_close(&buffer));
    require(buffer == NULL);
}

/* Sends `count` buffers of a size in one message with some bytes. */
static void send_group(rill_sender *tx, size_t count, size_t size, uint64_t seed)
{
    struct rill_handle handles[8];
    for (size_t i = 0; i < count; i++)
        handles[i] = handle_of(loan_filled(tx, size + i, seed + i));
    require_ok(rill_send_handles(tx, "group", 5, handles, count));
    for (size_t i = 0; i < count; i++)
        require(handles[i].as.buffer == NULL);
}

static rill_buffer *take(rill_message *message, size_t index)
{
    rill_buffer *buffer = NULL;
    require_equal(RILL_HANDLE_BUFFER, rill_message_handle_kind(message, index));
    require_ok(rill_message_take_buffer(message, index, &buffer));
    require(buffer != NULL);
    return buffer;
}

/* A socket holds less than the other queues, and nobody receives while these tests send. */
static size_t queueable(const struct world *world, size_t size)
{
    return world->mine.transport == RILL_SOCKET ? size / 10 : size;
}

/* ---------------------------------------------------------------- alone */

static void send_sizes(struct ends *ends)
{
    for (size_t round = 0; round < 2; round++)
        for (size_t i = 0; i < COUNT_OF(sizes); i++) {
            rill_buffer *buffer = loan_filled(ends->tx[0], sizes[i], i);
            require_ok(rill_send_buffer(ends->tx[0], &buffer));
            require(buffer == NULL);
        }
}

static void arrives_as_a_message(struct world *world)
{
    struct peer peer;
    world_channel(world, 0, NULL);
    peer_start(&peer, world, send_sizes, FIRST, 0, 0);
    for (size_t round = 0; round < 2; round++)
        for (size_t i = 0; i < COUNT_OF(sizes); i++)
            receive_filled(world->mine.rx[0], sizes[i], i);
    peer_join(&peer);
}

static void aligned_as_asked(struct world *world)
{
    world_channel(world, 0, NULL);
    for (size_t alignment = 1; alignment <= 4 * MIB; alignment *= 2) {
        struct rill_buffer_options options = {.size = sizeof options, .alignment = alignment};
        rill_buffer *buffer = NULL;
        test_note = (long long)alignment;
        require_ok(rill_buffer_loan(world->mine.tx[0], 1000, &options, &buffer));
        require_equal(0, (uintptr_t)rill_buffer_data(buffer) % alignment);
        require_equal(0, (uintptr_t)rill_buffer_data(buffer) % 64);
        require_ok(rill_buffer_close(&buffer));
    }
}

static void given_back(struct world *world)
{
    world_channel(world, 0, NULL);
    for (unsigned i = 0; i < 200; i++) {
        rill_buffer *buffer = loan_filled(world->mine.tx[0], 2 * MIB, i);
        close_filled(buffer, 2 * MIB, i);
        require(shared_memory_bytes() <= 16 * MIB);
    }
    require_ok(send_number(world->mine.tx[0], 5));
    require_equal(5, receive_number(world->mine.rx[0]));
}

static void shrunk(struct world *world)
{
    static const size_t to[] = {3 * MIB, MIB, 70000, 100, 1, 0};
    world_channel(world, 0, NULL);
    for (size_t i = 0; i < COUNT_OF(to); i++) {
        rill_buffer *buffer = loan_filled(world->mine.tx[0], 4 * MIB, i);
        const void *before = rill_buffer_data(buffer);
        require_ok(rill_buffer_shrink(buffer, to[i]));
        require(before == rill_buffer_data(buffer));
        require_code(RILL_EINVAL, rill_buffer_shrink(buffer, to[i] + 1));
        require_equal(to[i], rill_buffer_size(buffer));
        rill_buffer *other = loan_filled(world->mine.tx[0], 3 * MIB, 99); /* may lie in what was given up */
        require(filled(rill_buffer_data(buffer), to[i], i));
        if (world->mine.transport == RILL_SOCKET) { /* whose buffer holds no such message */
            require_ok(rill_buffer_close(&buffer));
        } else {
            require_ok(rill_send_buffer(world->mine.tx[0], &buffer));
            receive_filled(world->mine.rx[0], to[i], i);
        }
        close_filled(other, 3 * MIB, 99);
    }
}

static void outlives_its_sender(struct world *world)
{
    world_channel(world, 0, NULL);
    rill_buffer *large = loan_filled(world->mine.tx[0], 2 * MIB, 1), *small = loan_filled(world->mine.tx[0], 100, 2);
    require_ok(rill_sender_close(&world->mine.tx[0]));
    require(filled(rill_buffer_data(large), 2 * MIB, 1));
    close_filled(small, 100, 2);
    require_ok(rill_receiver_close(&world->mine.rx[0]));
    close_filled(large, 2 * MIB, 1);
}

static void send_and_end(struct ends *ends)
{
    rill_buffer *buffer = loan_filled(ends->tx[0], 3 * MIB, 8);
    require_ok(rill_send_buffer(ends->tx[0], &buffer));
    buffer = loan_filled(ends->tx[0], 100, 9);
    require_ok(rill_send_buffer(ends->tx[0], &buffer));
}

static void read_after_all_is_closed(struct world *world)
{
    struct peer peer;
    rill_message *first = NULL, *second = NULL;
    world_channel(world, 0, NULL);
    peer_start(&peer, world, send_and_end, FIRST, 0, 0);
    require_ok(rill_recv(world->mine.rx[0], &first));
    require_ok(rill_recv(world->mine.rx[0], &second));
    peer_join(&peer);
    close_ends(&world->mine);
    require_message(&second, 100, 9);
    require_message(&first, 3 * MIB, 8);
}

static void other_senders_copy(struct world *world)
{
    world_channel(world, 0, NULL);
    world_channel(world, 1, NULL);
    world_clone(world, 0, 2);
    rill_buffer *buffer = loan_filled(world->mine.tx[0], 50000, 3);
    require_ok(rill_send_buffer(world->mine.tx[1], &buffer));
    receive_filled(world->mine.rx[1], 50000, 3);
    buffer = loan_filled(world->mine.tx[0], 50000, 4);
    require_ok(rill_send_buffer(world->mine.tx[2], &buffer)); /* a clone is the same channel */
    receive_filled(world->mine.rx[0], 50000, 4);
}

static void receiver_is_gone(struct world *world)
{
    world_channel(world, 0, NULL);
    rill_buffer *buffer = loan_filled(world->mine.tx[0], 50000, 3), *other = NULL;
    struct rill_handle handle = handle_of(buffer);
    require_ok(rill_receiver_close(&world->mine.rx[0]));
    require_code(RILL_EBROKEN, rill_send_buffer(world->mine.tx[0], &buffer));
    require_code(RILL_EBROKEN, rill_send_handles(world->mine.tx[0], NULL, 0, &handle, 1));
    require(handle.as.buffer == buffer);
    if (world->mine.transport == RILL_SHM)
        require_code(RILL_EBROKEN, rill_buffer_loan(world->mine.tx[0], 50000, NULL, &other));
    close_filled(buffer, 50000, 3);
}

static void count_in_the_limit(struct world *world)
{
    struct rill_channel_options options = {.size = sizeof options, .limit = MIB, .on_full = RILL_FULL_ERROR};
    world_channel(world, 0, &options);
    for (unsigned round = 0; round < 5; round++) {
        rill_buffer *first = loan_filled(world->mine.tx[0], 600000, 1), *second = loan_filled(world->mine.tx[0], 600000, 2);
        require_ok(rill_send_buffer(world->mine.tx[0], &first));
        require_code(RILL_EFULL, rill_send_buffer(world->mine.tx[0], &second));
        require_code(RILL_ETIMEDOUT, rill_send_buffer_until(world->mine.tx[0], &second, rill_clock() + MILLISECOND));
        require(filled(rill_buffer_data(second), 600000, 2));
        receive_filled(world->mine.rx[0], 600000, 1);
        require_ok(rill_send_buffer(world->mine.tx[0], &second));
        receive_filled(world->mine.rx[0], 600000, 2);
    }
}

static void too_large(struct world *world)
{
    struct rill_channel_options options = {.size = sizeof options, .max_message = 1000};
    rill_buffer *buffer = NULL, *other = NULL;
    world_channel(world, 0, &options);
    world_channel(world, 1, NULL);
    require_code(RILL_EMSGSIZE, rill_buffer_loan(world->mine.tx[0], 1001, NULL, &buffer));
    other = loan_filled(world->mine.tx[1], 1001, 1);
    require_code(RILL_EMSGSIZE, rill_send_buffer(world->mine.tx[0], &other));
    close_filled(other, 1001, 1);
    buffer = loan_filled(world->mine.tx[0], 1000, 2);
    require_ok(rill_send_buffer(world->mine.tx[0], &buffer));
    receive_filled(world->mine.rx[0], 1000, 2);
}

/* ---------------------------------------------------------------- several in a message */

static void send_groups(struct ends *ends)
{
    for (size_t i = 0; i < 7; i++)
        send_group(ends->tx[0], i + 1, sizes[i], i);
}

static void several_in_a_message(struct world *world)
{
    struct peer peer;
    world_channel(world, 0, NULL);
    peer_start(&peer, world, send_groups, FIRST, 0, 0);
    for (size_t i = 0; i < 7; i++) {
        rill_message *message = NULL;
        test_note = (long long)i;
        require_ok(rill_recv(world->mine.rx[0], &message));
        require(rill_message_size(message) == 5 && memcmp(rill_message_data(message), "group", 5) == 0);
        require_equal(i + 1, rill_message_handle_count(message));
        for (size_t k = i + 1; k-- > 0;)
            close_filled(take(message, k), sizes[i] + k, i + k);
        require_ok(rill_message_close(&message));
    }
    peer_join(&peer);
}

static void send_big_group(struct ends *ends)
{
    send_group(ends->tx[0], 3, 3 * MIB, 40);
}

static void kept_and_closed_in_any_order(struct world *world)
{
    struct peer peer;
    rill_message *message = NULL;
    rill_buffer *buffers[3];
    world_channel(world, 0, NULL);
    peer_start(&peer, world, send_big_group, FIRST, 0, 0);
    require_ok(rill_recv(world->mine.rx[0], &message));
    for (size_t i = 0; i < 3; i++)
        buffers[i] = take(message, i);
    require_ok(rill_message_close(&message));
    peer_join(&peer);
    close_ends(&world->mine);
    close_filled(buffers[1], 3 * MIB + 1, 41);
    close_filled(buffers[2], 3 * MIB + 2, 42);
    close_filled(buffers[0], 3 * MIB, 40);
}

static void with_other_handles(struct world *world)
{
    rill_region *region = NULL, *got = NULL;
    rill_message *message = NULL;
    world_channel(world, 0, NULL);
    require_ok(rill_region_make_filled(9, 5000, NULL, &region));
    int descriptor = open("/dev/null", O_RDONLY | O_CLOEXEC), taken = -1;
    struct rill_handle handles[4] = {{.kind = RILL_HANDLE_REGION, .as.region = region},
                                     handle_of(loan_filled(world->mine.tx[0], 2 * MIB, 5)),
                                     {.kind = RILL_HANDLE_DESCRIPTOR, .as.descriptor = descriptor},
                                     handle_of(loan_filled(world->mine.tx[0], 50, 6))};
    const size_t bytes_size = queueable(world, 300000);
    unsigned char *bytes = malloc(bytes_size);
    require(bytes != NULL);
    fill(bytes, bytes_size, 7);
    require_ok(rill_send_handles(world->mine.tx[0], bytes, bytes_size, handles, 4));
    free(bytes);
    require_ok(rill_recv(world->mine.rx[0], &message));
    require(filled(rill_message_data(message), bytes_size, 7));
    close_filled(take(message, 3), 50, 6);
    close_filled(take(message, 1), 2 * MIB, 5);
    require_ok(rill_message_take_region(message, 0, &got));
    require_ok(rill_message_take_descriptor(message, 2, &taken));
    require_equal(1, rill_region_equal(region, got));
    require_ok(rill_message_close(&message));
    require_ok(rill_region_close(&region));
    require_ok(rill_region_close(&got));
    close(descriptor);
    close(taken);
}

/* A buffer that nobody takes goes back with its message: else a hundred of them would take more memory than this. */
static void dropped_unopened(struct world *world)
{
    rill_message *message = NULL;
    world_channel(world, 0, NULL);
    for (unsigned i = 0; i < 100; i++) {
        send_group(world->mine.tx[0], 2, 2 * MIB, i);
        require_ok(rill_recv(world->mine.rx[0], &message));
        require_ok(rill_message_close(&message));
        require(shared_memory_bytes() <= 32 * MIB);
    }
    send_group(world->mine.tx[0], 2, 2 * MIB, 3); /* this one is never received */
}

static void received_ones_are_sent_on(struct world *world)
{
    const size_t size = queueable(world, 200000);
    rill_message *message = NULL;
    world_channel(world, 0, NULL);
    world_channel(world, 1, NULL);
    send_group(world->mine.tx[0], 2, size, 20);
    require_ok(rill_recv(world->mine.rx[0], &message));
    rill_buffer *first = take(message, 0);
    struct rill_handle handle = handle_of(take(message, 1));
    require_ok(rill_message_close(&message));
    void *bytes = NULL;
    require_ok(rill_buffer_data_mutable(first, &bytes)); /* its owner now may write to it */
    fill(bytes, size, 22);
    require_ok(rill_send_buffer(world->mine.tx[1], &first));
    receive_filled(world->mine.rx[1], size, 22);
    require_ok(rill_send_handles(world->mine.tx[1], "on", 2, &handle, 1));
    require_ok(rill_recv(world->mine.rx[1], &message));
    close_filled(take(message, 0), size + 1, 21);
    require_ok(rill_message_close(&message));
}

static void forwarded_unopened(struct world *world)
{
    const size_t size = queueable(world, 200000);
    rill_message *message = NULL;
    struct rill_handle opaque = {0};
    world_channel(world, 0, NULL);
    world_channel(world, 1, NULL);
    send_group(world->mine.tx[0], 3, size, 30);
    require_ok(rill_recv(world->mine.rx[0], &message));
    require_ok(rill_message_take(message, 1, RILL_HANDLE_OPAQUE, &opaque));
    require_equal(RILL_HANDLE_BUFFER, rill_opaque_kind(opaque.as.opaque));
    require_ok(rill_forward(world->mine.tx[1], &message, RILL_AS_CONFIGURED));
    require(message == NULL);
    require_ok(rill_send_handles(world->mine.tx[1], "opaque", 6, &opaque, 1));
    close_ends(&(struct ends){.tx = {world->mine.tx[0]}, .rx = {world->mine.rx[0]}});
    world->mine.tx[0] = NULL;
    world->mine.rx[0] = NULL;
    require_ok(rill_recv(world->mine.rx[1], &message));
    require_equal(2, rill_message_handle_count(message));
    close_filled(take(message, 0), size, 30);
    close_filled(take(message, 1), size + 2, 32);
    require_ok(rill_message_close(&message));
    require_ok(rill_recv(world->mine.rx[1], &message));
    close_filled(take(message, 0), size + 1, 31);
    require_ok(rill_message_close(&message));
}

static void failed_sends_change_nothing(struct world *world)
{
    struct rill_channel_options options = {.size = sizeof options, .limit = MIB, .on_full = RILL_FULL_ERROR};
    rill_message *message = NULL;
    world_channel(world, 0, &options);
    rill_buffer *first = loan_filled(world->mine.tx[0], 700000, 1), *second = loan_filled(world->mine.tx[0], 700000, 2);
    struct rill_handle twice[2] = {handle_of(first), handle_of(first)}, one = handle_of(second), other = handle_of(first);
    require_code(RILL_EINVAL, rill_send_handles(world->mine.tx[0], NULL, 0, twice, 2));
    require(twice[0].as.buffer == first && twice[1].as.buffer == first);
    if (world->mine.transport == RILL_SHM) { /* what buffers hold counts in the limit */
        require_ok(rill_send_handles(world->mine.tx[0], NULL, 0, &one, 1));
        for (unsigned i = 0; i < 3; i++)
            require_code(RILL_EFULL, rill_send_handles(world->mine.tx[0], NULL, 0, &other, 1));
        require(other.as.buffer == first && filled(rill_buffer_data(first), 700000, 1));
        require_ok(rill_recv(world->mine.rx[0], &message));
        require_ok(rill_message_close(&message));
        require_ok(rill_send_handles(world->mine.tx[0], NULL, 0, &other, 1));
        return;
    }
    require_ok(rill_buffer_close(&first));
    require_ok(rill_buffer_close(&second));
}

/* ---------------------------------------------------------------- fork, threads, arguments */

static void a_child_leaves_the_parents_loans_alone(struct world *world)
{
    rill_message *message = NULL;
    world_channel(world, 0, NULL);
    send_group(world->mine.tx[0], 1, 2 * MIB, 3);
    require_ok(rill_recv(world->mine.rx[0], &message));
    rill_buffer *loan = loan_filled(world->mine.tx[0], 3 * MIB, 1), *other = loan_filled(world->mine.tx[0], 50000, 2), *received = take(message, 0);
    require_ok(rill_message_close(&message));
    pid_t child = fork_child();
    if (child == 0) {
        require(filled(rill_buffer_data(loan), 3 * MIB, 1));
        require_ok(rill_send_buffer(world->mine.tx[0], &other)); /* as a copy */
        require_ok(rill_buffer_shrink(loan, 10));
        require_ok(rill_buffer_close(&loan));
        require_ok(rill_buffer_close(&received));
        rill_buffer *own = loan_filled(world->mine.tx[0], 3 * MIB, 77);
        require_ok(rill_buffer_close(&own));
        require_ok(rill_sender_close(&world->mine.tx[0]));
        require_ok(rill_receiver_close(&world->mine.rx[0]));
        _exit(0);
    }
    join_child(child);
    receive_filled(world->mine.rx[0], 50000, 2);
    close_filled(received, 2 * MIB, 3);
    require_ok(rill_send_buffer(world->mine.tx[0], &loan));
    receive_filled(world->mine.rx[0], 3 * MIB, 1);
    require_ok(rill_send_buffer(world->mine.tx[0], &other));
    receive_filled(world->mine.rx[0], 50000, 2);
}

struct lender {
    pthread_t thread;
    rill_sender *tx;
    uint64_t number;
};

#define LOANS 300

static void *lend_stamped(void *argument)
{
    struct lender *lender = argument;
    struct dice dice = {lender->number + 1};
    for (uint64_t i = 0; i < LOANS; i++) {
        rill_buffer *buffer = NULL;
        void *bytes = NULL;
        size_t size = STAMP_SIZE + (size_t)roll_between(&dice, 0, roll_between(&dice, 0, 200000));
        require_ok(rill_buffer_loan(lender->tx, size, NULL, &buffer));
        require_ok(rill_buffer_data_mutable(buffer, &bytes));
        stamp(bytes, size, lender->number, i);
        require_ok(rill_send_buffer(lender->tx, &buffer));
    }
    return NULL;
}

static void lend_in_threads(struct ends *ends)
{
    struct lender lenders[4];
    for (uint64_t i = 0; i < 4; i++) {
        lenders[i] = (struct lender){.tx = ends->tx[0], .number = i};
        require(pthread_create(&lenders[i].thread, NULL, lend_stamped, &lenders[i]) == 0);
    }
    for (uint64_t i = 0; i < 4; i++)
        require(pthread_join(lenders[i].thread, NULL) == 0);
}

static void many_threads(struct world *world)
{
    struct peer peer;
    uint64_t next[4] = {0}, sender, number;
    world_channel(world, 0, NULL);
    peer_start(&peer, world, lend_in_threads, FIRST, 0, 0);
    for (unsigned i = 0; i < 4 * LOANS; i++) {
        rill_message *message = NULL;
        require_ok(rill_recv(world->mine.rx[0], &message));
        require(stamped(rill_message_data(message), rill_message_size(message), &sender, &number));
        require(sender < 4 && number == next[sender]++);
        require_ok(rill_message_close(&message));
    }
    peer_join(&peer);
}

static void wrong_arguments(struct world *world)
{
    struct rill_buffer_options options = {.size = sizeof options, .alignment = 100};
    rill_buffer *buffer = NULL, *none = NULL;
    void *bytes;
    world_channel(world, 0, NULL);
    require_code(RILL_EINVAL, rill_buffer_loan(NULL, 1, NULL, &buffer));
    require_code(RILL_EINVAL, rill_buffer_loan(world->mine.tx[0], 1, NULL, NULL));
    require_code(RILL_EINVAL, rill_buffer_loan(world->mine.tx[0], SIZE_MAX, NULL, &buffer));
    require_code(RILL_EINVAL, rill_buffer_loan(world->mine.tx[0], 1, &options, &buffer));
    options.alignment = (size_t)1 << 31;
    require_code(RILL_EINVAL, rill_buffer_loan(world->mine.tx[0], 1, &options, &buffer));
    require_code(RILL_EINVAL, rill_send_buffer(world->mine.tx[0], &none));
    require_code(RILL_EINVAL, rill_send_buffer(world->mine.tx[0], NULL));
    require_code(RILL_EINVAL, rill_buffer_data_mutable(NULL, &bytes));
    require_code(RILL_EINVAL, rill_buffer_shrink(NULL, 0));
    require_code(RILL_EINVAL, rill_buffer_close(NULL));
    require_ok(rill_buffer_close(&none));
    require(rill_buffer_data(NULL) == NULL && rill_buffer_size(NULL) == 0);
    buffer = loan_filled(world->mine.tx[0], 10, 1);
    require_code(RILL_EINVAL, rill_send_buffer(NULL, &buffer));
    require_code(RILL_EINVAL, rill_send_buffer_until(world->mine.tx[0], &buffer, -5));
    struct rill_handle handle = {.kind = RILL_HANDLE_BUFFER};
    require_code(RILL_EINVAL, rill_send_handles(world->mine.tx[0], NULL, 0, &handle, 1));
    handle = handle_of(buffer);
    require_ok(rill_handle_close(&handle));
}

static const struct role roles[] = {ROLE(send_sizes), ROLE(send_and_end), ROLE(send_groups), ROLE(send_big_group), ROLE(lend_in_threads)};

static const struct conformance_case cases[] = {
    {"a buffer that is sent alone arrives as a message", arrives_as_a_message, ON_ALL, AT_ALL, 60},
    {"a loan is aligned as asked, to 64 at least", aligned_as_asked, ON_ALL, AT_THREADS, 0},
    {"a loan that is given back leaves nothing", given_back, ON_ALL, AT_THREADS, 60},
    {"a loan can be made smaller before it is sent", shrunk, ON_ALL, AT_THREADS, 0},
    {"a loan outlives its sender and its channel", outlives_its_sender, ON_ALL, AT_THREADS, 0},
    {"what came in a buffer is read after sender and receiver are closed, and closed in any order", read_after_all_is_closed, ON_ALL, AT_ALL, 0},
    {"a buffer can be sent through the sender of another channel", other_senders_copy, ON_ALL, AT_THREADS, 0},
    {"a buffer that cannot be sent because the receiver is gone stays", receiver_is_gone, ON_ALL, AT_THREADS, 0},
    {"buffers count in the limit when they are sent", count_in_the_limit, ON_QUEUES, AT_THREADS, 0},
    {"a buffer above max_message is refused", too_large, ON_ALL, AT_THREADS, 0},
    {"several buffers come in one message, in order", several_in_a_message, ON_ALL, AT_ALL, 0},
    {"buffers are kept after everything is closed, and closed in any order", kept_and_closed_in_any_order, ON_ALL, AT_ALL, 0},
    {"buffers come beside bytes and other handles", with_other_handles, ON_ALL, AT_THREADS, 0},
    {"buffers that nobody takes go back with their message", dropped_unopened, ON_ALL, AT_THREADS, 60},
    {"a received buffer can be written to and sent on", received_ones_are_sent_on, ON_ALL, AT_THREADS, 0},
    {"buffers are forwarded unopened", forwarded_unopened, ON_ALL, AT_THREADS, 0},
    {"a send that fails leaves buffers as they were", failed_sends_change_nothing, ON_ALL, AT_THREADS, 0},
    {"a forked child may read, send and close what it inherited, and leaves the parent's alone", a_child_leaves_the_parents_loans_alone, ON_SHM,
     AT_THREADS, 0},
    {"threads lend from one sender", many_threads, ON_ALL, AT_ALL, 60},
    {"wrong arguments are told", wrong_arguments, ON_ALL, AT_THREADS, 0},
};

int main(int argc, char **argv)
{
    return conformance_main(argc, argv, cases, COUNT_OF(cases), roles, COUNT_OF(roles));
}
