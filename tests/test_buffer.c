/* SPDX-License-Identifier: MIT */
/* Loans in shared memory: used again, given back to the system, and safe from a receiver that lies. */
#include "support.h"

#include <math.h>
#include <sched.h>

#include "shm/dirty.h"
#include "shm/returns.h"
#include "src/channel.h"
#include "src/handle.h"
#include "src/source.h"

static rill_buffer *loan(rill_sender *tx, size_t size, void **bytes)
{
    rill_buffer *buffer = NULL;
    require_ok(rill_buffer_loan(tx, size, NULL, &buffer));
    require_ok(rill_buffer_data_mutable(buffer, bytes));
    return buffer;
}

static struct rill_lane *lane_of(const rill_sender *tx)
{
    struct rill_lane *lane = atomic_load(&tx->endpoint->lane);
    require(lane != NULL);
    return lane;
}

static void open_channel(rill_sender **tx, rill_receiver **rx)
{
    require_ok(rill_channel(NULL, tx, rx));
}

static void close_channel(rill_sender **tx, rill_receiver **rx)
{
    require_ok(rill_sender_close(tx));
    require_ok(rill_receiver_close(rx));
}

/* ---------------------------------------------------------------- memory */

#define NEVER 0u

/* Memory that was lent, and the loan that had it last. */
struct known {
    const void *bytes;
    unsigned last;
};

static struct known *known_at(struct known *known, size_t *count, const void *bytes)
{
    size_t i = 0;
    while (i < *count && known[i].bytes != bytes)
        i++;
    if (i == *count)
        known[(*count)++] = (struct known){.bytes = bytes, .last = NEVER};
    return &known[i];
}

static void send_and_take(rill_sender *tx, rill_receiver *rx, rill_buffer *buffer, unsigned i)
{
    rill_message *message = NULL;
    require_ok(rill_send_buffer(tx, &buffer));
    require_ok(rill_recv(rx, &message));
    require(filled(rill_message_data(message), 100, i));
    require_ok(rill_message_close(&message));
}

/* Large ones not at once: what the receiver has just read is better left alone. */
static void go_round(void *argument)
{
    size_t size = *(const size_t *)argument, count = 0;
    struct known known[100];
    rill_sender *tx = NULL;
    rill_receiver *rx = NULL;
    void *bytes;
    open_channel(&tx, &rx);
    for (unsigned i = 1; i < 2000; i++) {
        rill_buffer *buffer = loan(tx, size, &bytes);
        struct known *it = known_at(known, &count, bytes);
        require(count < COUNT_OF(known));
        require(it->last == NEVER || size < (32 << 10) || (i - it->last) * size > 2 * MIB);
        it->last = i;
        count = i > 10 ? count : 0; /* the first may go back to the system */
        require(count < 4 || count * size < 4 * MIB);
        fill(bytes, 100, i);
        send_and_take(tx, rx, buffer, i);
    }
    close_channel(&tx, &rx);
}

/* A receiver that maps little, in another process, gets what one block would have carried. */
static void turns_respect_the_quota(void *argument)
{
    const size_t size = *(const size_t *)argument;
    const struct rill_channel_options options = {.size = sizeof options, .max_lane_bytes = 3 * size};
    rill_sender *tx = NULL, *answer_tx = NULL;
    rill_receiver *rx = NULL, *answer_rx = NULL;
    require_ok(rill_channel(&options, &tx, &rx));
    open_channel(&answer_tx, &answer_rx);
    pid_t child = fork_child();
    for (unsigned i = 0; i < 200 && child == 0; i++) {
        require_ok(send_filled(tx, size, i));
        require_equal(i, receive_number(answer_rx));
    }
    for (unsigned i = 0; i < 200 && child != 0; i++) {
        receive_filled(rx, size, i);
        require_ok(send_number(answer_tx, i));
    }
    close_channel(&tx, &rx);
    close_channel(&answer_tx, &answer_rx);
    if (child == 0)
        _exit(0);
    join_child(child);
}

/* What was in use again and again goes back when it is not any more, with a sender that never calls again. */
static void goes_back_in_silence(void *argument)
{
    const size_t each = *(const size_t *)argument;
    rill_sender *tx = NULL;
    rill_receiver *rx = NULL;
    rill_message *messages[3] = {NULL};
    open_channel(&tx, &rx);
    for (unsigned i = 0; i < 60; i++) {
        for (unsigned k = 0; k < each; k++) {
            void *bytes;
            rill_buffer *buffer = loan(tx, 40 * MIB, &bytes);
            memcpy(bytes, &i, sizeof i);
            require_ok(rill_send_buffer(tx, &buffer));
        }
        for (unsigned k = 0; k < each; k++)
            require_ok(rill_recv(rx, &messages[k]));
        for (unsigned k = 0; k < each; k++)
            require_ok(rill_message_close(&messages[k]));
    }
    size_t before = shared_memory_bytes();
    require_code(RILL_ETIMEDOUT, rill_recv_timeout(rx, SECOND, &messages[0]));
    size_t after = shared_memory_bytes();
    dprintf(1, "a stream of 40 MiB buffers, %zu at a time, kept %zu KiB, after a second of silence %zu KiB\n", each, before / KIB, after / KIB);
    require(after <= 16 * MIB);
    void *bytes;
    rill_buffer *buffer = loan(tx, 40 * MIB, &bytes); /* and all goes on, */
    require(shared_memory_bytes() >= 40 * MIB);       /* with memory that is there before it is touched, and none lost */
    require(atomic_load(&tx->endpoint->lane)->blocks.bytes < MIB);
    fill(bytes, 40 * MIB, 5);
    require_ok(rill_send_buffer(tx, &buffer));
    receive_filled(rx, 40 * MIB, 5);
    close_channel(&tx, &rx);
}

/* Loans of sizes that change all the time: a few are out at once. Gives how many bytes were lent. */
static uint64_t lend_random_sizes(rill_sender *tx, rill_receiver *rx, unsigned count, uint64_t largest)
{
    struct dice dice = {5};
    rill_message *messages[8] = {NULL};
    uint64_t lent = 0;
    for (unsigned i = 0; i < count; i++) {
        uint64_t size = roll_between(&dice, 64 * KIB, largest);
        void *bytes;
        rill_buffer *buffer = loan(tx, size, &bytes);
        rill_message **message = &messages[roll(&dice) % COUNT_OF(messages)];
        fill(bytes, KIB, i);
        fill((char *)bytes + size - KIB, KIB, i);
        require_ok(rill_send_buffer(tx, &buffer));
        if (*message)
            require_ok(rill_message_close(message));
        require_ok(rill_recv(rx, message));
        require_equal(size, rill_message_size(*message));
        require(filled(rill_message_data(*message), KIB, i));
        require(filled((const char *)rill_message_data(*message) + size - KIB, KIB, i));
        lent += size;
    }
    for (size_t i = 0; i < COUNT_OF(messages); i++)
        if (messages[i])
            require_ok(rill_message_close(&messages[i]));
    return lent;
}

/* Eight of them are out, 16 MiB in the mean: with a block of its own for each size, or fresh pages for each, it would be hundreds. */
static void random_sizes_share_their_memory(void *unused)
{
    rill_sender *tx = NULL;
    rill_receiver *rx = NULL;
    (void)unused;
    open_channel(&tx, &rx);
    (void)lend_random_sizes(tx, rx, 500, 4 * MIB);
    uint64_t commits = lane_of(tx)->segment.commits;
    uint64_t lent = lend_random_sizes(tx, rx, 2000, 4 * MIB);
    uint64_t fresh = lane_of(tx)->segment.commits - commits;
    dprintf(1, "2000 loans of %llu MiB asked %llu times for memory, and have %zu MiB\n", (unsigned long long)lent / MIB, (unsigned long long)fresh,
            shared_memory_bytes() / MIB);
    require(fresh < 1000);
    require(shared_memory_bytes() < 48 * MIB);
    close_channel(&tx, &rx);
}

static void random_sizes_go_back_in_silence(void *unused)
{
    rill_sender *tx = NULL;
    rill_receiver *rx = NULL;
    rill_message *none = NULL;
    (void)unused;
    open_channel(&tx, &rx);
    for (unsigned round = 0; round < 3; round++) { /* and all goes on */
        (void)lend_random_sizes(tx, rx, 200, 32 * MIB);
        size_t before = shared_memory_bytes();
        require_code(RILL_ETIMEDOUT, rill_recv_timeout(rx, SECOND, &none));
        size_t after = shared_memory_bytes();
        dprintf(1, "loans of random sizes kept %zu MiB, after a second of silence %zu MiB\n", before / MIB, after / MIB);
        require(before > 16 * MIB && after <= 16 * MIB);
    }
    close_channel(&tx, &rx);
}

/* A set sees to it as well, while it waits for others. */
static void random_sizes_go_back_in_a_set(void *unused)
{
    rill_sender *tx = NULL;
    rill_receiver *rx = NULL;
    rill_set *set = NULL;
    struct rill_set_event event;
    uint64_t id;
    size_t count;
    (void)unused;
    open_channel(&tx, &rx);
    (void)lend_random_sizes(tx, rx, 200, 32 * MIB);
    require(shared_memory_bytes() > 16 * MIB);
    require_ok(rill_set_create(NULL, &set));
    require_ok(rill_set_add(set, &rx, NULL, &id));
    require_code(RILL_ETIMEDOUT, rill_set_wait_timeout(set, SECOND, &event, 1, &count));
    require(shared_memory_bytes() <= 16 * MIB);
    require_ok(rill_set_close(&set));
    require_ok(rill_sender_close(&tx));
}

/* The receiver of an idle channel that hears small messages all the time is not silent; what was large is. */
static void random_sizes_go_back_beside_small_messages(void *unused)
{
    rill_sender *tx = NULL;
    rill_receiver *rx = NULL;
    (void)unused;
    open_channel(&tx, &rx);
    (void)lend_random_sizes(tx, rx, 200, 32 * MIB);
    rill_message *none = NULL;
    int64_t end = rill_port_clock() + SECOND;
    for (unsigned i = 0; rill_port_clock() < end; i++) {
        require_ok(send_filled(tx, 1000, i));
        receive_filled(rx, 1000, i);
        require_code(RILL_ETIMEDOUT, rill_recv_timeout(rx, SECOND / 500, &none));
    }
    require(shared_memory_bytes() <= 16 * MIB);
    close_channel(&tx, &rx);
}

/* Sends one message, when the memory under the channel has gone back. */
static pid_t wait_for_memory_and_send(rill_sender *tx)
{
    pid_t child = fork_child();
    if (child != 0)
        return child;
    while (shared_memory_bytes() > 16 * MIB)
        sched_yield();
    require_ok(send_number(tx, 1));
    _exit(0);
}

/* Whatever kind of wait comes first. */
static void goes_back_in_every_wait(void *unused)
{
    rill_sender *tx = NULL;
    rill_receiver *rx = NULL;
    rill_message *message = NULL;
    (void)unused;
    open_channel(&tx, &rx);
    (void)lend_random_sizes(tx, rx, 100, 32 * MIB);
    require_code(RILL_ETIMEDOUT, rill_recv_timeout(rx, SECOND, &message));
    require(shared_memory_bytes() <= 16 * MIB);
    (void)lend_random_sizes(tx, rx, 100, 32 * MIB);
    pid_t child = wait_for_memory_and_send(tx);
    require_equal(1, receive_number(rx));
    join_child(child);
    (void)lend_random_sizes(tx, rx, 100, 32 * MIB);
    child = wait_for_memory_and_send(tx);
    int code;
    while ((code = rill_try_recv(rx, &message)) == RILL_EEMPTY)
        sched_yield();
    require_ok(code);
    require_ok(rill_message_close(&message));
    join_child(child);
    close_channel(&tx, &rx);
}

/* The receiver is asleep, and is not woken for what is not sent. */
static void an_unsent_loan_leaves_nothing(void *unused)
{
    rill_sender *tx = NULL;
    rill_receiver *rx = NULL;
    (void)unused;
    open_channel(&tx, &rx);
    pid_t child = fork_child();
    if (child == 0) {
        void *bytes;
        require_ok(send_number(tx, 1));
        while (!(atomic_load(&lane_of(tx)->header->parked) & 1))
            sched_yield();
        rill_buffer *buffer = loan(tx, 100 * MIB, &bytes);
        fill(bytes, 100 * MIB, 1);
        require_ok(rill_buffer_close(&buffer));
        require(shared_memory_bytes() <= 16 * MIB);
        require_ok(send_number(tx, 2));
        _exit(0);
    }
    require_equal(1, receive_number(rx));
    require_equal(2, receive_number(rx));
    join_child(child);
    close_channel(&tx, &rx);
}

/* What the parent has punched and not given back yet is given back by the parent, and not by the child that receives after it as well. */
static void a_child_gives_back_what_is_its_own(void *unused)
{
    enum { FIRST = 40, CLOSED = 20, LATER = 20 };
    const size_t size = 2 * MIB;
    rill_sender *tx = NULL;
    rill_receiver *rx = NULL;
    rill_message *messages[FIRST] = {NULL};
    struct board *board = board_make(NULL);
    (void)unused;
    open_channel(&tx, &rx);
    pid_t sender = fork_child();
    if (sender == 0) {
        void *bytes;
        rill_buffer *buffer;
        require_ok(rill_receiver_release(&rx));
        for (unsigned i = 0; i < FIRST; i++)
            require_ok(send_filled(tx, size, i));
        flag_wait(board, 0); /* the parent has closed some, and forked */
        buffer = loan(tx, size, &bytes);
        require_ok(rill_buffer_close(&buffer)); /* which looks at what came back */
        flag_raise(board, 1);
        flag_wait(board, 2); /* the parent has closed one more */
        for (unsigned i = 0; i < LATER; i++)
            require_ok(send_filled(tx, size, 100 + i));
        flag_raise(board, 3);
        flag_wait(board, 4); /* the child has received them, and closed one */
        for (unsigned i = 0; i < LATER; i++) {
            buffer = loan(tx, size, &bytes);
            memset(bytes, 0x33, size);
        }
        flag_raise(board, 5);
        flag_wait(board, 6);
        _exit(0);
    }
    for (unsigned i = 0; i < FIRST; i++)
        require_ok(rill_recv(rx, &messages[i]));
    for (unsigned i = 0; i < CLOSED; i++)
        require_ok(rill_message_close(&messages[i]));
    pid_t child = fork_child();
    if (child == 0) {
        flag_wait(board, 7);
        for (unsigned i = 0; i < LATER; i++)
            require_ok(rill_recv(rx, &messages[i]));
        require_ok(rill_message_close(&messages[LATER - 1]));
        flag_raise(board, 4);
        flag_wait(board, 5);
        for (unsigned i = 0; i + 1 < LATER; i++)
            require_message(&messages[i], size, 100 + i);
        _exit(0);
    }
    flag_raise(board, 0);
    flag_wait(board, 1);
    require_ok(rill_message_close(&messages[CLOSED]));
    flag_raise(board, 2);
    flag_wait(board, 3);
    require_ok(rill_receiver_release(&rx));
    flag_raise(board, 7);
    join_child(child);
    flag_raise(board, 6);
    join_child(sender);
    for (unsigned i = CLOSED + 1; i < FIRST; i++)
        require_ok(rill_message_close(&messages[i]));
    require_ok(rill_sender_close(&tx));
}

/* Asks the receiver to trim as if so much time had gone by since it was asked first. */
static void trim_after(const rill_receiver *rx, int64_t begin, int64_t time)
{
    (void)rx->source->trim(rx->state, begin);
    (void)rx->source->trim(rx->state, begin + time);
}

/* A user who fills a large buffer has not fallen silent; one who has it in hand for very long has. */
static void filling_is_no_silence(void *unused)
{
    rill_sender *tx = NULL;
    rill_receiver *rx = NULL;
    void *bytes;
    (void)unused;
    open_channel(&tx, &rx);
    (void)lend_random_sizes(tx, rx, 100, 32 * MIB);
    rill_buffer *buffer = loan(tx, 20 * MIB, &bytes);
    size_t before = shared_memory_bytes();
    int64_t now = rill_port_clock();
    trim_after(rx, now, SECOND);
    require_equal(before, shared_memory_bytes());
    trim_after(rx, now, 11 * SECOND);
    require(shared_memory_bytes() < before && shared_memory_bytes() < 36 * MIB);
    require_ok(rill_buffer_close(&buffer));
    require_equal(0, atomic_load(&lane_of(tx)->header->filling));
    close_channel(&tx, &rx);
}

/* While the receiver is punching, a loan is private memory, and a message lies in its ring. */
static void nobody_waits_for_a_receiver_that_punches(void *unused)
{
    rill_sender *tx = NULL;
    rill_receiver *rx = NULL;
    void *bytes;
    (void)unused;
    open_channel(&tx, &rx);
    (void)lend_random_sizes(tx, rx, 100, 32 * MIB);
    struct rill_lane_header *header = lane_of(tx)->header;
    uint64_t list = rill_dirty_lent(header);
    require(list && rill_dirty_take(header, list));
    for (unsigned i = 0; i < 30; i++) {
        rill_buffer *buffer = loan(tx, 2 * MIB + i * 4 * KIB, &bytes);
        fill(bytes, 2 * MIB, i);
        send_and_take(tx, rx, buffer, i);
        require_ok(send_filled(tx, 2 * MIB + i, i));
        receive_filled(rx, 2 * MIB + i, i);
    }
    rill_dirty_done(header, list);
    (void)lend_random_sizes(tx, rx, 100, 32 * MIB);
    close_channel(&tx, &rx);
}

/* A block that rests is not taken for a larger one that rested in its place before: what lies behind it is in use. */
static void silence_leaves_what_is_held(void *unused)
{
    enum { MANY = 40 };
    const size_t size = 500000;
    rill_sender *tx = NULL;
    rill_receiver *rx = NULL;
    rill_message *messages[MANY] = {NULL};
    void *bytes, *base = NULL;
    unsigned at_base = MANY;
    (void)unused;
    open_channel(&tx, &rx);
    for (unsigned i = 0; i < 10; i++) {
        rill_buffer *buffer = loan(tx, 16 * MIB, &base);
        require_ok(rill_send_buffer(tx, &buffer));
        require_ok(rill_recv(rx, &messages[0]));
        require_ok(rill_message_close(&messages[0]));
    }
    for (unsigned i = 0; i < MANY; i++) {
        rill_buffer *buffer = loan(tx, size, &bytes);
        fill(bytes, size, i);
        at_base = bytes == base ? i : at_base;
        require_ok(rill_send_buffer(tx, &buffer));
        require_ok(rill_recv(rx, &messages[i]));
    }
    require(at_base < MANY);
    require_ok(rill_message_close(&messages[at_base]));
    rill_message *none = NULL;
    require_code(RILL_ETIMEDOUT, rill_recv_timeout(rx, SECOND / 2, &none));
    for (unsigned i = 0; i < MANY; i++)
        if (messages[i])
            require_message(&messages[i], size, i);
    close_channel(&tx, &rx);
}

/* A process may have more lanes than there are arenas. */
static void without_an_arena(void *unused)
{
    rill_sender *tx = NULL;
    rill_receiver *rx = NULL;
    rill_message *message = NULL;
    void *bytes;
    (void)unused;
    open_channel(&tx, &rx);
    require_ok(send_number(tx, 1));
    require_equal(1, receive_number(rx));
    lane_of(tx)->arena_failed = true;
    rill_buffer *buffer = loan(tx, 3 * MIB, &bytes), *taken = NULL;
    fill(bytes, 3 * MIB, 3);
    require_ok(rill_send_buffer(tx, &buffer));
    receive_filled(rx, 3 * MIB, 3);
    for (size_t size = 1000; size <= 3 * MIB; size *= 3000) {
        buffer = loan(tx, size, &bytes);
        fill(bytes, size, 4);
        struct rill_handle handle = {.kind = RILL_HANDLE_BUFFER, .as.buffer = buffer};
        require_ok(rill_send_handles(tx, NULL, 0, &handle, 1));
        require_ok(rill_recv(rx, &message));
        require_ok(rill_message_take_buffer(message, 0, &taken));
        require(rill_buffer_size(taken) == size && filled(rill_buffer_data(taken), size, 4));
        require_ok(rill_buffer_data_mutable(taken, &bytes));
        memset(bytes, 1, size);
        require_ok(rill_buffer_close(&taken));
        require_ok(rill_message_close(&message));
    }
    close_channel(&tx, &rx);
}

/* ---------------------------------------------------------------- peers that lie */

/* What a receiver can do that gives back what it likes. */
static void give_back(const rill_sender *tx, void *bytes)
{
    struct rill_lane *lane = lane_of(tx);
    rill_return_rest(lane->header, rill_segment_offset(&lane->segment, bytes), bytes, 0);
}

static void loans_cannot_be_taken_away(void *unused)
{
    rill_sender *tx = NULL;
    rill_receiver *rx = NULL;
    (void)unused;
    open_channel(&tx, &rx);
    for (size_t size = 20000; size <= 4 * MIB; size *= 10) {
        void *bytes, *others[20];
        rill_buffer *buffer = loan(tx, size, &bytes), *more[20];
        for (unsigned round = 0; round < 3; round++) {
            give_back(tx, bytes);
            for (unsigned i = 0; i < 20; i++) {
                more[i] = loan(tx, size, &others[i]);
                require((char *)others[i] + size <= (char *)bytes || (char *)bytes + size <= (char *)others[i]);
            }
            for (unsigned i = 0; i < 20; i++)
                require_ok(rill_buffer_close(&more[i]));
        }
        fill(bytes, size, 8);
        require_ok(rill_send_buffer(tx, &buffer));
        receive_filled(rx, size, 8);
    }
    close_channel(&tx, &rx);
}

static void given_back_twice(void *unused)
{
    rill_sender *tx = NULL;
    rill_receiver *rx = NULL;
    (void)unused;
    open_channel(&tx, &rx);
    for (unsigned i = 0; i < 300; i++) {
        size_t size = i % 3 ? 50000 : 2 * MIB;
        void *bytes;
        rill_buffer *buffer = loan(tx, size, &bytes);
        fill(bytes, size, i);
        require_ok(rill_send_buffer(tx, &buffer));
        rill_message *message = NULL;
        require_ok(rill_recv(rx, &message));
        require(filled(rill_message_data(message), size, i));
        require_ok(rill_message_close(&message));
        give_back(tx, bytes);
        if (i % 2)
            give_back(tx, bytes); /* the chain goes round */
    }
    close_channel(&tx, &rx);
}

/* Given back while it stands in a message that then is not sent: its user keeps bytes that may change, and nothing else happens. */
static void given_back_before_it_was_sent(void *unused)
{
    rill_sender *tx = NULL;
    rill_receiver *rx = NULL;
    (void)unused;
    open_channel(&tx, &rx);
    for (unsigned i = 0; i < 20; i++) {
        void *bytes, *other;
        struct rill_parcel parcel;
        rill_buffer *buffer = loan(tx, i % 2 ? 2 * MIB : 20000, &bytes);
        struct rill_handle handle = {.kind = RILL_HANDLE_BUFFER, .as.buffer = buffer};
        require_ok(rill_parcel_pack(&parcel, &handle, 1, tx->endpoint));
        give_back(tx, bytes);
        rill_buffer *next = loan(tx, i % 2 ? 2 * MIB : 20000, &other);
        rill_parcel_undo(&parcel);
        fill(other, 100, i);
        require_ok(rill_send_buffer(tx, &buffer)); /* as a copy */
        require_ok(rill_send_buffer(tx, &next));
        rill_message *message = NULL;
        require_ok(rill_recv(rx, &message));
        require_ok(rill_message_close(&message));
        require_ok(rill_recv(rx, &message));
        require(filled(rill_message_data(message), 100, i));
        require_ok(rill_message_close(&message));
    }
    close_channel(&tx, &rx);
}

/* The description of a buffer, in the memory of a sender that goes on writing. */
static uint64_t *find_description(const rill_sender *tx)
{
    struct rill_lane *lane = lane_of(tx);
    unsigned char *block = lane->rings[0].writer.block;
    for (uint64_t at = 0; at + 24 <= lane->rings[0].writer.position; at += 8)
        if (memcmp(block + at, &lane->id, sizeof lane->id) == 0)
            return (uint64_t *)(void *)(block + at);
    require_failed(__FILE__, __LINE__, "the description is there");
}

/* word 0 is the lane's name, 1 the offset, 2 the capacity, -2 the size. */
static void lies_about_buffers(void *unused)
{
    static const struct {
        int word;
        uint64_t value;
    } lies[] = {{0, 5},        {1, 0},     {1, 4097},       {1, UINT64_MAX - 7}, {1, UINT64_C(1) << 40}, {2, 0},
                {2, UINT64_MAX}, {2, 1 << 20 | UINT64_C(1) << 41}, {-2, UINT64_MAX}, {-2, 3 * MIB},        {-2, UINT64_C(1) << 62}};
    (void)unused;
    for (size_t i = 0; i < COUNT_OF(lies); i++) {
        rill_sender *tx = NULL;
        rill_receiver *rx = NULL;
        rill_message *message = NULL;
        void *bytes;
        test_note = (long long)i;
        open_channel(&tx, &rx);
        struct rill_handle handle = {.kind = RILL_HANDLE_BUFFER, .as.buffer = loan(tx, MIB, &bytes)};
        require_ok(rill_send_handles(tx, NULL, 0, &handle, 1));
        *(find_description(tx) + lies[i].word) = lies[i].value;
        require_code(RILL_EPEER, rill_recv(rx, &message));
        require_code(RILL_EEMPTY, rill_try_recv(rx, &message));
        close_channel(&tx, &rx);
    }
}

/* ---------------------------------------------------------------- a million loans */

#define RECEIVERS 3u

struct plan {
    uint64_t loans;
    uint64_t largest;
    uint64_t alive; /* bytes at most */
};

static struct plan plan_of_scale(void)
{
    if (getenv("RILL_TEST_LOANS")) /* so many of the long form */
        return (struct plan){strtoull(getenv("RILL_TEST_LOANS"), NULL, 10), 64 * MIB, 2 * GIB};
    return full_scale() ? (struct plan){1000000, 64 * MIB, 2 * GIB} : (struct plan){rounds(20000), 4 * MIB, 96 * MIB};
}

/* A word for each KiB says what it belongs to. */
static void mark(unsigned char *bytes, uint64_t size, uint64_t seed)
{
    for (uint64_t at = 0; at + 8 <= size; at += KIB) {
        uint64_t word = seed * UINT64_C(0x9e3779b97f4a7c15) + at;
        memcpy(bytes + at, &word, sizeof word);
    }
    memcpy(bytes, &seed, sizeof seed);
}

static bool marked(const unsigned char *bytes, uint64_t size)
{
    uint64_t seed, word;
    memcpy(&seed, bytes, sizeof seed);
    for (uint64_t at = KIB; at + 8 <= size; at += KIB) {
        memcpy(&word, bytes + at, sizeof word);
        if (word != seed * UINT64_C(0x9e3779b97f4a7c15) + at)
            return false;
    }
    return true;
}

struct held {
    rill_message *list[4096];
    size_t count;
    uint64_t bytes;
};

static void release_one(struct held *held, struct dice *dice, _Atomic uint64_t *released)
{
    size_t i = (size_t)roll_between(dice, 0, held->count - 1);
    uint64_t size = rill_message_size(held->list[i]);
    require(marked(rill_message_data(held->list[i]), size));
    require_ok(rill_message_close(&held->list[i]));
    held->list[i] = held->list[--held->count];
    held->bytes -= size;
    atomic_fetch_add(released, size);
}

/* Receives until the channel ends, holds some, and closes them in random order. */
static _Noreturn void receive_loans(rill_receiver *rx, const struct plan *plan, _Atomic uint64_t *released, uint64_t seed)
{
    static struct held held;
    struct dice dice = {seed};
    rill_message *message = NULL;
    while (rill_recv(rx, &message) == RILL_OK) {
        require(marked(rill_message_data(message), rill_message_size(message)));
        held.bytes += rill_message_size(message);
        held.list[held.count++] = message;
        while (held.count && (held.count == COUNT_OF(held.list) || held.bytes > plan->alive / 8 || roll_between(&dice, 0, 2) == 0))
            release_one(&held, &dice, released);
    }
    while (held.count)
        release_one(&held, &dice, released);
    require_ok(rill_receiver_close(&rx));
    _exit(0);
}

struct lender {
    rill_sender *tx[RECEIVERS];
    pid_t children[RECEIVERS];
    uint64_t sent[RECEIVERS]; /* bytes */
    _Atomic uint64_t *released; /* one for each */
};

static void start_receiver(struct lender *lender, const struct plan *plan, unsigned i, uint64_t seed)
{
    rill_receiver *rx = NULL;
    require_ok(rill_channel(NULL, &lender->tx[i], &rx));
    lender->sent[i] = 0;
    atomic_store(&lender->released[i], 0);
    lender->children[i] = fork_child();
    if (lender->children[i] == 0) {
        for (unsigned k = 0; k < RECEIVERS; k++)
            require_ok(rill_sender_close(&lender->tx[k]));
        receive_loans(rx, plan, &lender->released[i], seed);
    }
    require_ok(rill_receiver_close(&rx));
}

static uint64_t under_way(const struct lender *lender)
{
    uint64_t bytes = 0;
    for (unsigned i = 0; i < RECEIVERS; i++)
        bytes += lender->sent[i] - atomic_load(&lender->released[i]);
    return bytes;
}

static void restart_receiver(struct lender *lender, const struct plan *plan, unsigned i, uint64_t seed)
{
    kill_child(lender->children[i]);
    rill_buffer *buffer = NULL;
    int code = RILL_OK;
    for (unsigned tries = 0; tries < 10000 && code == RILL_OK; tries++) { /* told before its queue takes more memory */
        code = rill_buffer_loan(lender->tx[i], 3 * MIB, NULL, &buffer);
        if (code == RILL_OK)
            code = rill_send_buffer(lender->tx[i], &buffer);
        require_ok(rill_buffer_close(&buffer));
    }
    require_equal(RILL_EBROKEN, code);
    require_ok(rill_sender_close(&lender->tx[i]));
    start_receiver(lender, plan, i, seed);
}

static uint64_t log_uniform(struct dice *dice, uint64_t low, uint64_t high)
{
    double share = (double)(roll(dice) >> 11) / (double)(UINT64_C(1) << 53);
    return (uint64_t)((double)low * exp(share * log((double)high / (double)low)));
}

static void a_million_loans(void *unused)
{
    struct plan plan = plan_of_scale();
    struct dice dice = {11};
    struct lender lender = {.released = shared_memory(RECEIVERS * sizeof *lender.released)};
    uint64_t peak_alive = 0, peak_memory = 0;
    (void)unused;
    if (memory_available() < 2 * plan.alive + GIB)
        skip_test("too little memory");
    for (unsigned i = 0; i < RECEIVERS; i++)
        start_receiver(&lender, &plan, i, i + 1);
    for (uint64_t i = 0; i < plan.loans; i++) {
        uint64_t size = log_uniform(&dice, 64, plan.largest);
        unsigned to = (unsigned)roll_between(&dice, 0, RECEIVERS - 1);
        void *bytes;
        test_note = (long long)i;
        while (under_way(&lender) + size > plan.alive)
            sched_yield();
        rill_buffer *buffer = loan(lender.tx[to], size, &bytes);
        if (size < 16 * KIB) /* this goes through the ring, whose memory others write to: an emulator would go on taking it for unwritten */
            memset(bytes, 0, size);
        mark(bytes, size, i);
        uint64_t alive = under_way(&lender) + size;
        peak_alive = alive > peak_alive ? alive : peak_alive;
        if (i % 64 == 0) {
            uint64_t memory = shared_memory_bytes();
            peak_memory = memory > peak_memory ? memory : peak_memory;
        }
        if (roll_between(&dice, 0, 9) == 0) {
            require_ok(rill_buffer_close(&buffer)); /* given back unsent */
            continue;
        }
        require_ok(rill_send_buffer(lender.tx[to], &buffer));
        lender.sent[to] += size;
        if (i % (plan.loans / 4) == plan.loans / 5) {
            dprintf(1, "%llu loans so far\n", (unsigned long long)i);
            restart_receiver(&lender, &plan, 0, i);
        }
    }
    for (unsigned i = 0; i < RECEIVERS; i++) {
        require_ok(rill_sender_close(&lender.tx[i]));
        join_child(lender.children[i]);
        require_equal(lender.sent[i], atomic_load(&lender.released[i]));
    }
    dprintf(1, "%llu loans, at most %llu KiB alive, %llu KiB of segments: %.2f times\n", (unsigned long long)plan.loans,
            (unsigned long long)peak_alive / KIB, (unsigned long long)peak_memory / KIB, (double)peak_memory / (double)peak_alive);
    /* Each lane keeps up to 5 MiB and what it lent last, which tens of megabytes alive do not outweigh: the ratio is for the full form. */
    size_t share = plan.alive == 2 * GIB ? peak_alive / 2 : 2 * peak_alive;
    require(peak_memory <= peak_alive + share + 3 * 8 * MIB);
}

static size_t one = 1, three = 3, small = 20000, medium = 100000, middle = 500000, large = 5 * MIB;

static const struct test tests[] = {
    {"loans of 20,000 bytes go round in a few MiB", go_round, &small, 0},
    {"loans of 100,000 bytes go round in a few MiB, each in its turn", go_round, &medium, 0},
    {"loans of 5 MiB take no memory but the first", go_round, &large, 0},
    {"messages of 500,000 bytes go round within a receiver's quota", turns_respect_the_quota, &middle, 0},
    {"messages of 5 MiB go round within a receiver's quota", turns_respect_the_quota, &large, 0},
    {"what a stream of buffers used goes back to the system when it falls silent", goes_back_in_silence, &three, 60},
    {"what one buffer used that went to and fro goes back as well", goes_back_in_silence, &one, 60},
    {"loans of random sizes share their memory", random_sizes_share_their_memory, NULL, 60},
    {"what loans of random sizes used goes back in silence", random_sizes_go_back_in_silence, NULL, 60},
    {"it goes back while a set waits", random_sizes_go_back_in_a_set, NULL, 60},
    {"it goes back beside small messages", random_sizes_go_back_beside_small_messages, NULL, 60},
    {"it goes back in every kind of wait", goes_back_in_every_wait, NULL, 60},
    {"an unsent loan leaves nothing with a receiver that sleeps", an_unsent_loan_leaves_nothing, NULL, 60},
    {"a child gives back what is its own", a_child_gives_back_what_is_its_own, NULL, 60},
    {"to fill a large buffer is no silence", filling_is_no_silence, NULL, 60},
    {"nobody waits for a receiver that is giving memory to the system", nobody_waits_for_a_receiver_that_punches, NULL, 60},
    {"silence gives nothing to the system that is still held", silence_leaves_what_is_held, NULL, 0},
    {"without an arena buffers work, as copies", without_an_arena, NULL, 0},
    {"a receiver that gives back a loan that it never got takes nothing away", loans_cannot_be_taken_away, NULL, 60},
    {"a receiver that gives back twice takes nothing away", given_back_twice, NULL, 60},
    {"a receiver that gives back before it has received harms nobody else", given_back_before_it_was_sent, NULL, 0},
    {"a sender that lies about its buffers loses its lane", lies_about_buffers, NULL, 0},
    {"a million loans of random sizes, to receivers of which one is killed now and then", a_million_loans, NULL, 4 * 3600},
};

int main(void)
{
    return run_group("buffer", tests, COUNT_OF(tests));
}
