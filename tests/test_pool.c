/* SPDX-License-Identifier: MIT */
/* Pools: buffers that go anywhere without a copy, and whose memory is used again exactly when nobody holds them. */
#include "support.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "src/handle.h"
#include "src/message.h"

#define SIZE ((size_t)300000)

/* ---------------------------------------------------------------- bytes copied
 * The program is linked so that the library's copies come here: what is small enough to be done without a call is not counted. */

static _Atomic uint64_t copied;

void *__real_memcpy(void *to, const void *from, size_t size);
void *__wrap_memcpy(void *to, const void *from, size_t size);
void *__real_memmove(void *to, const void *from, size_t size);
void *__wrap_memmove(void *to, const void *from, size_t size);

void *__wrap_memcpy(void *to, const void *from, size_t size)
{
    atomic_fetch_add_explicit(&copied, size, memory_order_relaxed);
    return __real_memcpy(to, from, size);
}

void *__wrap_memmove(void *to, const void *from, size_t size)
{
    atomic_fetch_add_explicit(&copied, size, memory_order_relaxed);
    return __real_memmove(to, from, size);
}

/* ---------------------------------------------------------------- helpers */

static rill_pool *pool_with(uint32_t access, uint64_t limit)
{
    struct rill_pool_options options = {.size = sizeof options, .access = access, .limit = limit};
    rill_pool *pool = NULL;
    require_ok(rill_pool_make(&options, &pool));
    return pool;
}

static rill_buffer *loan(rill_pool *pool, size_t size, void **bytes)
{
    rill_buffer *buffer = NULL;
    require_ok(rill_pool_loan(pool, size, &buffer));
    require_equal(size, rill_buffer_size(buffer));
    require_ok(rill_buffer_data_mutable(buffer, bytes));
    require_equal(0, (uintptr_t)*bytes % 4096);
    return buffer;
}

static rill_buffer *loan_filled(rill_pool *pool, size_t size, uint64_t seed)
{
    void *bytes;
    rill_buffer *buffer = loan(pool, size, &bytes);
    fill(bytes, size, seed);
    return buffer;
}

static void send_one(rill_sender *tx, rill_buffer **buffer)
{
    struct rill_handle handle = {.kind = RILL_HANDLE_BUFFER, .as.buffer = *buffer};
    require_ok(rill_send_handles(tx, "frame", 5, &handle, 1));
    require(handle.as.buffer == NULL);
    *buffer = NULL;
}

static rill_buffer *receive_one(rill_receiver *rx)
{
    rill_message *message = NULL;
    rill_buffer *buffer = NULL;
    require_ok(rill_recv(rx, &message));
    require(rill_message_size(message) == 5);
    require_ok(rill_message_take_buffer(message, 0, &buffer));
    require_ok(rill_message_close(&message));
    return buffer;
}

static void channel_over(uint32_t transport, rill_sender **tx, rill_receiver **rx)
{
    struct rill_channel_options options = {.size = sizeof options, .transport = transport};
    require_ok(rill_channel(&options, tx, rx));
}

static void close_channel(rill_sender **tx, rill_receiver **rx)
{
    require_ok(rill_sender_close(tx));
    require_ok(rill_receiver_close(rx));
}

static void close_buffer(rill_buffer *buffer)
{
    require_ok(rill_buffer_close(&buffer));
}

/* ---------------------------------------------------------------- going anywhere */

static void to_several_receivers(void *argument)
{
    const uint32_t transport = *(const uint32_t *)argument;
    enum { RECEIVERS = 3 };
    rill_sender *tx[RECEIVERS];
    rill_receiver *rx[RECEIVERS];
    rill_buffer *got[RECEIVERS];
    void *bytes;
    rill_pool *pool = pool_with(0, 0);
    rill_buffer *buffer = loan(pool, SIZE, &bytes);
    fill(bytes, SIZE, 1);
    for (unsigned i = 0; i < RECEIVERS; i++) {
        rill_buffer *clone = NULL;
        channel_over(transport, &tx[i], &rx[i]);
        require_ok(rill_buffer_clone(buffer, &clone));
        send_one(tx[i], &clone);
    }
    for (unsigned i = 0; i < RECEIVERS; i++) {
        got[i] = receive_one(rx[i]);
        require(rill_buffer_size(got[i]) == SIZE && filled(rill_buffer_data(got[i]), SIZE, 1));
    }
    fill(bytes, SIZE, 2); /* all see the same bytes: none is a copy */
    for (unsigned i = 0; i < RECEIVERS; i++) {
        require(filled(rill_buffer_data(got[i]), SIZE, 2));
        close_buffer(got[i]);
        close_channel(&tx[i], &rx[i]);
    }
    close_buffer(buffer);
    require_ok(rill_pool_close(&pool));
}

static void outlive_pool_and_maker(void *unused)
{
    rill_sender *tx = NULL;
    rill_receiver *rx = NULL;
    (void)unused;
    channel_over(RILL_SHM, &tx, &rx);
    pid_t child = fork_child();
    if (child == 0) {
        rill_pool *pool = pool_with(0, 0);
        rill_buffer *first = loan_filled(pool, SIZE, 5), *second = loan_filled(pool, 100, 6);
        send_one(tx, &first);
        require_ok(rill_pool_close(&pool));
        send_one(tx, &second);
        _exit(0);
    }
    join_child(child);
    rill_buffer *first = receive_one(rx), *second = receive_one(rx);
    close_channel(&tx, &rx);
    require(filled(rill_buffer_data(first), SIZE, 5) && filled(rill_buffer_data(second), 100, 6));
    close_buffer(second);
    close_buffer(first);
}

/* A stage: touches one byte of each frame and passes it on, opened if it is to be. */
static _Noreturn void run_stage(rill_receiver *rx, rill_sender *tx, unsigned number, bool open)
{
    rill_message *message = NULL;
    atomic_store(&copied, 0);
    while (rill_recv(rx, &message) == RILL_OK) {
        void *bytes;
        if (open) {
            rill_buffer *buffer = NULL;
            require_ok(rill_message_take_buffer(message, 0, &buffer));
            require_ok(rill_message_close(&message));
            require_ok(rill_buffer_data_mutable(buffer, &bytes));
            ((unsigned char *)bytes)[number] = (unsigned char)(100 + number);
            send_one(tx, &buffer);
        } else {
            require_ok(rill_forward(tx, &message, RILL_AS_CONFIGURED));
        }
    }
    require(atomic_load(&copied) < 256 * KIB);
    require_ok(rill_receiver_close(&rx));
    require_ok(rill_sender_close(&tx));
    _exit(0);
}

/* Else the test below would prove nothing. */
static void copies_are_counted(void *unused)
{
    rill_sender *tx = NULL;
    rill_receiver *rx = NULL;
    (void)unused;
    channel_over(RILL_SHM, &tx, &rx);
    atomic_store(&copied, 0);
    require_ok(send_filled(tx, MIB, 1));
    require(atomic_load(&copied) >= MIB);
    receive_filled(rx, MIB, 1);
    close_channel(&tx, &rx);
}

static void forwarded_without_a_copy(void *argument)
{
    enum { STAGES = 4, FRAMES = 20 };
    const uint32_t transport = *(const uint32_t *)argument;
    const size_t frame = 16 * MIB;
    rill_sender *tx[STAGES];
    rill_receiver *rx[STAGES];
    pid_t children[STAGES];
    for (unsigned i = 0; i < STAGES; i++)
        channel_over(transport, &tx[i], &rx[i]);
    for (unsigned i = 0; i + 1 < STAGES; i++) {
        children[i] = fork_child();
        if (children[i] == 0) {
            rill_receiver *in = rx[i];
            rill_sender *out = tx[i + 1];
            rx[i] = NULL;
            tx[i + 1] = NULL;
            for (unsigned k = 0; k < STAGES; k++)
                close_channel(&tx[k], &rx[k]);
            run_stage(in, out, i, i != 1);
        }
    }
    for (unsigned i = 1; i < STAGES; i++) {
        require_ok(rill_sender_close(&tx[i]));
        require_ok(rill_receiver_close(&rx[i - 1]));
    }
    rill_pool *pool = pool_with(0, 0);
    atomic_store(&copied, 0);
    for (unsigned i = 0; i < FRAMES; i++) {
        void *bytes;
        rill_buffer *buffer = loan(pool, frame, &bytes);
        ((unsigned char *)bytes)[50] = (unsigned char)i;
        ((unsigned char *)bytes)[frame - 1] = (unsigned char)i;
        send_one(tx[0], &buffer);
        rill_buffer *got = receive_one(rx[STAGES - 1]);
        const unsigned char *end = rill_buffer_data(got);
        require(rill_buffer_size(got) == frame && end[0] == 100 && end[2] == 102 && end[50] == i && end[frame - 1] == i);
        close_buffer(got);
    }
    require(atomic_load(&copied) < 256 * KIB);
    require_ok(rill_sender_close(&tx[0]));
    for (unsigned i = 0; i + 1 < STAGES; i++)
        join_child(children[i]);
    require_ok(rill_receiver_close(&rx[STAGES - 1]));
    require_ok(rill_pool_close(&pool));
}

/* ---------------------------------------------------------------- used again */

static void used_again_when_nobody_holds_it(void *unused)
{
    rill_sender *tx = NULL;
    rill_receiver *rx = NULL;
    void *first, *bytes;
    rill_pool *pool = pool_with(0, 0);
    (void)unused;
    channel_over(RILL_SHM, &tx, &rx);
    rill_buffer *buffer = loan(pool, SIZE, &first), *clone = NULL, *got;
    require_ok(rill_buffer_clone(buffer, &clone));
    send_one(tx, &buffer);
    buffer = loan(pool, SIZE, &bytes);
    require(bytes != first); /* it is under way */
    close_buffer(buffer);
    got = receive_one(rx);
    close_buffer(clone);
    for (unsigned i = 0; i < 3; i++) {
        buffer = loan(pool, SIZE, &bytes);
        require(bytes != first); /* it was received */
        close_buffer(buffer);
    }
    close_buffer(got);
    rill_buffer *both[2];
    void *places[2];
    for (unsigned i = 0; i < 2; i++)
        both[i] = loan(pool, SIZE, &places[i]);
    require(places[0] == first || places[1] == first);
    for (unsigned i = 0; i < 2; i++)
        close_buffer(both[i]);
    uint64_t left = 1;
    require_ok(rill_pool_trim(pool, &left));
    require_equal(0, left);
    close_channel(&tx, &rx);
    require_ok(rill_pool_close(&pool));
}

/* Waits for `what` to hold: a process that was killed lets go a little later. */
static void wait_for_bytes(rill_pool *pool, uint64_t expected)
{
    uint64_t left = 0;
    do {
        require_ok(rill_pool_trim(pool, &left));
        sched_yield();
    } while (left != expected);
}

static void the_dead_hold_nothing(void *unused)
{
    rill_sender *tx = NULL;
    rill_receiver *rx = NULL;
    struct board *board = board_make(NULL);
    (void)unused;
    channel_over(RILL_SHM, &tx, &rx);
    pid_t child = fork_child();
    if (child == 0) {
        require_ok(rill_sender_close(&tx));
        rill_buffer *held = receive_one(rx);
        require(filled(rill_buffer_data(held), SIZE, 3));
        flag_raise(board, 0);
        pause();
    }
    require_ok(rill_receiver_close(&rx));
    rill_pool *pool = pool_with(0, 0);
    rill_buffer *first = loan_filled(pool, SIZE, 3), *second = loan_filled(pool, 2 * SIZE, 4);
    send_one(tx, &first);
    send_one(tx, &second); /* never received */
    flag_wait(board, 0);
    uint64_t left = 0;
    require_ok(rill_pool_trim(pool, &left));
    require(left >= 3 * SIZE);
    kill_child(child);
    require_ok(rill_sender_close(&tx));
    wait_for_bytes(pool, 0);
    require_ok(rill_pool_close(&pool));
}

/* A stage that dies right behind its send takes nothing back: what it passed on is counted under way. */
static void a_dead_stage_takes_nothing_away(void *unused)
{
    rill_sender *tx[2] = {NULL};
    rill_receiver *rx[2] = {NULL};
    struct board *board = board_make(NULL);
    (void)unused;
    channel_over(RILL_SHM, &tx[0], &rx[0]);
    channel_over(RILL_SHM, &tx[1], &rx[1]);
    pid_t child = fork_child();
    if (child == 0) {
        rill_message *message = NULL;
        require_ok(rill_recv(rx[0], &message));
        require_ok(rill_forward(tx[1], &message, RILL_AS_CONFIGURED));
        rill_buffer *buffer = receive_one(rx[0]);
        send_one(tx[1], &buffer);
        flag_raise(board, 0);
        pause();
    }
    rill_pool *pool = pool_with(0, 0);
    rill_buffer *first = loan_filled(pool, SIZE, 8), *second = loan_filled(pool, SIZE, 9);
    send_one(tx[0], &first);
    send_one(tx[0], &second);
    flag_wait(board, 0);
    kill_child(child);
    for (unsigned i = 0; i < 10; i++)
        close_buffer(loan_filled(pool, SIZE, 100 + i));
    first = receive_one(rx[1]);
    second = receive_one(rx[1]);
    require(filled(rill_buffer_data(first), SIZE, 8) && filled(rill_buffer_data(second), SIZE, 9));
    close_buffer(first);
    close_buffer(second);
    for (unsigned i = 0; i < 2; i++)
        close_channel(&tx[i], &rx[i]);
    require_ok(rill_pool_close(&pool));
}

static void limited(void *unused)
{
    rill_pool *pool = pool_with(0, 10 * MIB);
    rill_buffer *buffers[10], *one = NULL;
    void *bytes;
    (void)unused;
    for (unsigned i = 0; i < 10; i++)
        buffers[i] = loan(pool, MIB, &bytes);
    require_code(RILL_EFULL, rill_pool_loan(pool, 1, &one));
    close_buffer(buffers[3]);
    buffers[3] = loan(pool, MIB, &bytes);
    close_buffer(buffers[4]);
    require_code(RILL_EFULL, rill_pool_loan(pool, MIB + 1, &one));
    buffers[4] = loan(pool, 100, &bytes); /* makes room by itself */
    for (unsigned i = 0; i < 10; i++)
        close_buffer(buffers[i]);
    one = loan(pool, 10 * MIB, &bytes);
    close_buffer(one);
    require_ok(rill_pool_trim(pool, NULL));
    require_equal(0, count_shared_mappings());
    require_ok(rill_pool_close(&pool));
}

/* ---------------------------------------------------------------- mappings that are kept */

static rill_buffer *send_and_receive(rill_sender *tx, rill_receiver *rx, rill_buffer *buffer)
{
    send_one(tx, &buffer);
    return receive_one(rx);
}

static size_t resident_pages(const void *place, size_t size)
{
    unsigned char pages[1024];
    size_t count = (size + 4095) / 4096, resident = 0;
    require(count <= sizeof pages);
    require(mincore((void *)(uintptr_t)place, size, pages) == 0);
    for (size_t i = 0; i < count; i++)
        resident += pages[i] & 1;
    return resident;
}

static void not_mapped_again(void *unused)
{
    rill_sender *tx = NULL;
    rill_receiver *rx = NULL;
    const void *place = NULL;
    size_t mappings = 0, descriptors = 0;
    rill_pool *pool = pool_with(0, 0);
    (void)unused;
    channel_over(RILL_SHM, &tx, &rx);
    for (uint64_t i = 0; i < 20; i++) {
        rill_buffer *buffer = send_and_receive(tx, rx, loan_filled(pool, SIZE, i));
        require(filled(rill_buffer_data(buffer), SIZE, i));
        size_t held = count_shared_mappings();
        require(i == 0 || (rill_buffer_data(buffer) == place && held == mappings));
        place = rill_buffer_data(buffer);
        mappings = held;
        close_buffer(buffer);
        require_equal(mappings, count_shared_mappings());
        require(i < 2 || count_descriptors() == descriptors);
        descriptors = count_descriptors();
    }
    require_ok(rill_trim());
    require_equal(mappings - 1, count_shared_mappings());
    close_channel(&tx, &rx);
    require_ok(rill_pool_close(&pool));
}

static void kept_mappings_keep_no_memory(void *unused)
{
    rill_sender *tx = NULL;
    rill_receiver *rx = NULL;
    uint64_t bytes;
    rill_pool *pool = pool_with(0, 0);
    (void)unused;
    channel_over(RILL_SHM, &tx, &rx);
    rill_buffer *buffer = send_and_receive(tx, rx, loan_filled(pool, SIZE, 1));
    const void *place = rill_buffer_data(buffer);
    require_ok(rill_pool_trim(pool, &bytes));
    require(bytes != 0 && filled(place, SIZE, 1)); /* it is in use */
    close_buffer(buffer);
    require(resident_pages(place, SIZE) != 0);
    require_ok(rill_pool_trim(pool, &bytes));
    require_equal(0, bytes);
    require_equal(0, resident_pages(place, SIZE));
    buffer = send_and_receive(tx, rx, loan_filled(pool, SIZE, 2)); /* an object of another name */
    require(filled(rill_buffer_data(buffer), SIZE, 2));
    close_buffer(buffer);
    close_channel(&tx, &rx);
    require_ok(rill_pool_close(&pool));
}

static void closed_pools_keep_no_memory(void *unused)
{
    rill_sender *tx = NULL;
    rill_receiver *rx = NULL;
    rill_pool *pool = pool_with(0, 0);
    (void)unused;
    channel_over(RILL_SHM, &tx, &rx);
    rill_buffer *buffer = send_and_receive(tx, rx, loan_filled(pool, SIZE, 1));
    const void *place = rill_buffer_data(buffer);
    close_buffer(buffer);
    require(resident_pages(place, SIZE) != 0);
    require_ok(rill_pool_close(&pool));
    require_equal(0, resident_pages(place, SIZE));
    close_channel(&tx, &rx);
}

/* What was free when the child was forked, it could empty under the eyes of who holds it now. */
static void a_child_that_closes_empties_nothing(void *unused)
{
    rill_pool *pool = pool_with(0, 0);
    (void)unused;
    close_buffer(loan_filled(pool, SIZE, 1));
    close_buffer(loan_filled(pool, 4 * SIZE, 1)); /* now the pool knows that the first one is free */
    struct board *board = board_make(NULL);
    pid_t child = fork_child();
    if (child == 0) {
        flag_wait(board, 0);
        require_ok(rill_pool_close(&pool));
        _exit(0);
    }
    rill_buffer *buffer = loan_filled(pool, SIZE, 2);
    flag_raise(board, 0);
    join_child(child);
    require(filled(rill_buffer_data(buffer), SIZE, 2));
    close_buffer(buffer);
    require_ok(rill_pool_close(&pool));
}

static void few_mappings_are_kept(void *unused)
{
    enum { BUFFERS = 20, LARGE = 3 };
    rill_sender *tx = NULL;
    rill_receiver *rx = NULL;
    rill_buffer *got[BUFFERS];
    rill_pool *pool = pool_with(0, 0), *read_only = pool_with(RILL_ACCESS_READ_ONLY, 0);
    (void)unused;
    channel_over(RILL_SHM, &tx, &rx);
    for (unsigned i = 0; i < BUFFERS; i++)
        got[i] = send_and_receive(tx, rx, loan_filled(pool, SIZE, i));
    rill_buffer *again = NULL;
    require_ok(rill_buffer_clone(got[0], &again));
    again = send_and_receive(tx, rx, again); /* a second mapping of the same object */
    size_t most = count_shared_mappings() - BUFFERS - 1 + 8;
    for (unsigned i = 0; i < BUFFERS; i++)
        close_buffer(got[i]);
    close_buffer(again);
    require_equal(most, count_shared_mappings());
    require_ok(rill_trim());
    require_ok(rill_pool_trim(pool, NULL));
    size_t none = count_shared_mappings();
    for (unsigned i = 0; i < LARGE; i++) {
        void *bytes;
        got[i] = send_and_receive(tx, rx, loan(pool, 120 * MIB, &bytes));
    }
    for (unsigned i = 0; i < LARGE; i++)
        close_buffer(got[i]);
    require_ok(rill_pool_trim(pool, NULL));
    require_equal(none + 2, count_shared_mappings()); /* of 256 MiB */
    require_ok(rill_trim());
    close_buffer(send_and_receive(tx, rx, loan_filled(read_only, SIZE, 1)));
    require_ok(rill_pool_close(&read_only));
    require_equal(none, count_shared_mappings());
    close_channel(&tx, &rx);
    require_ok(rill_pool_close(&pool));
}

static void silence_ends_them(void *unused)
{
    rill_sender *tx = NULL;
    rill_receiver *rx = NULL;
    rill_pool *pool = pool_with(0, 0);
    struct board *board = board_make(NULL);
    (void)unused;
    channel_over(RILL_SHM, &tx, &rx);
    pid_t child = fork_child();
    if (child == 0) {
        require_ok(rill_sender_close(&tx));
        close_buffer(receive_one(rx));
        flag_raise(board, 0);
        rill_buffer *buffer = receive_one(rx); /* sleeps without a deadline */
        require(filled(rill_buffer_data(buffer), SIZE, 2));
        close_buffer(buffer);
        require_ok(rill_receiver_close(&rx));
        _exit(0);
    }
    require_ok(rill_receiver_close(&rx));
    rill_buffer *buffer = loan_filled(pool, SIZE, 1);
    send_one(tx, &buffer);
    flag_wait(board, 0);
    for (size_t kept = count_shared_mappings_of(child); count_shared_mappings_of(child) == kept;)
        sched_yield();
    buffer = loan_filled(pool, SIZE, 2);
    send_one(tx, &buffer);
    join_child(child);
    require_ok(rill_sender_close(&tx));
    require_ok(rill_pool_close(&pool));
}

#define CLIENT 10 /* its slot */

/* At once, and each second time when the client has let go of what it keeps. */
static void answer(rill_sender *frames, rill_receiver *requests, pid_t client, struct board *board, unsigned count)
{
    rill_pool *pool = pool_with(0, 0);
    for (unsigned i = 0; i < count; i++) {
        rill_message *message = NULL;
        rill_sender *answers = NULL;
        rill_buffer *buffer = loan_filled(pool, SIZE, i);
        send_one(frames, &buffer);
        require_ok(rill_recv(requests, &message));
        require_ok(rill_message_take_sender(message, 0, &answers));
        require_ok(rill_message_close(&message));
        if (i % 2 == 0)
            wait_until_asleep(board, CLIENT); /* answered before it has slept for a moment */
        for (size_t kept = count_shared_mappings_of(client); i % 2 && count_shared_mappings_of(client) == kept;)
            sched_yield();
        require_ok(rill_send(answers, "done", 4));
        require_ok(rill_sender_close(&answers));
        flag_raise(board, i);
    }
    require_ok(rill_pool_close(&pool));
}

/* The page, the lane and what the receiver knows of them have served another channel before, on another socket. */
static void silence_ends_them_on_a_reused_page(void *unused)
{
    enum { REQUESTS = 4 };
    rill_sender *frames = NULL, *requests = NULL;
    rill_receiver *frames_rx = NULL, *requests_rx = NULL;
    pid_t client = getpid();
    struct board *board = board_make(NULL);
    (void)unused;
    announce(board, CLIENT);
    channel_over(RILL_SHM, &frames, &frames_rx);
    channel_over(RILL_SHM, &requests, &requests_rx);
    pid_t server = fork_child();
    if (server == 0) {
        require_ok(rill_receiver_close(&frames_rx));
        require_ok(rill_sender_close(&requests));
        answer(frames, requests_rx, client, board, REQUESTS);
        close_channel(&frames, &requests_rx);
        _exit(0);
    }
    require_ok(rill_sender_close(&frames));
    require_ok(rill_receiver_close(&requests_rx));
    for (unsigned i = 0; i < REQUESTS; i++) {
        rill_sender *tx = NULL;
        rill_receiver *rx = NULL;
        rill_message *message = NULL;
        close_buffer(receive_one(frames_rx));
        channel_over(RILL_SHM, &tx, &rx);
        struct rill_handle handle = {.kind = RILL_HANDLE_SENDER, .as.sender = tx};
        require_ok(rill_send_handles(requests, NULL, 0, &handle, 1));
        require_ok(rill_sender_close(&tx));
        require_ok(rill_recv(rx, &message));
        require_ok(rill_message_close(&message));
        require_ok(rill_receiver_close(&rx));
        flag_wait(board, i); /* now both sides have let go, and the page is used again */
    }
    join_child(server);
    close_channel(&requests, &frames_rx);
}

/* Free memory beyond what the next loans may want goes back at the next call. */
static void keeps_little(void *unused)
{
    enum { MANY = 40 };
    rill_pool *pool = pool_with(0, 0);
    rill_buffer *buffers[MANY];
    void *bytes;
    uint64_t left = 0;
    (void)unused;
    for (unsigned i = 0; i < MANY; i++)
        buffers[i] = loan(pool, 2 * MIB, &bytes);
    require(shared_memory_bytes() >= MANY * 2 * MIB);
    for (unsigned i = 0; i < MANY; i++)
        close_buffer(buffers[i]);
    close_buffer(loan(pool, 100, &bytes));
    require(shared_memory_bytes() <= 20 * MIB);
    require_ok(rill_pool_trim(pool, &left));
    require(left == 0 && shared_memory_bytes() == 0);
    require_ok(rill_pool_close(&pool));
}

/* ---------------------------------------------------------------- access, and peers that mean harm */

/* What came with a message that is still unopened. */
static struct rill_traveller *unopened(rill_message *message)
{
    require(message->attached && message->attached->count == 1 && message->attached->travellers[0].object_count == 2);
    return &message->attached->travellers[0];
}

static void require_unwritable(int descriptor)
{
    char path[64], byte = 1;
    snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
    (void)fchmod(descriptor, 0777);
    int again = open(path, O_RDWR | O_CLOEXEC);
    require(again >= 0);
    require(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, again, 0) == MAP_FAILED);
    void *read_only = mmap(NULL, 4096, PROT_READ, MAP_SHARED, again, 0);
    require(read_only != MAP_FAILED && mprotect(read_only, 4096, PROT_READ | PROT_WRITE) != 0);
    munmap(read_only, 4096);
    require(pwrite(again, &byte, 1, 0) < 0);
    require(fallocate(again, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096) != 0);
    require(ftruncate(again, 0) != 0 && ftruncate(again, 1 << 30) != 0);
    close(again);
}

static void read_only_for_receivers(void *unused)
{
    rill_sender *tx = NULL;
    rill_receiver *rx = NULL;
    rill_message *message = NULL;
    rill_pool *pool = pool_with(RILL_ACCESS_READ_ONLY, 0);
    void *mine, *bytes;
    (void)unused;
    channel_over(RILL_SHM, &tx, &rx);
    for (unsigned i = 0; i < 3; i++) {
        rill_buffer *buffer = loan(pool, SIZE, &mine), *clone = NULL, *got = NULL; /* also when it is used again */
        fill(mine, SIZE, i);
        require_ok(rill_buffer_clone(buffer, &clone));
        send_one(tx, &clone);
        require_ok(rill_recv(rx, &message));
        require_unwritable(unopened(message)->objects[0]);
        require_ok(rill_message_take_buffer(message, 0, &got));
        require_code(RILL_EREADONLY, rill_buffer_data_mutable(got, &bytes));
        require(filled(rill_buffer_data(got), SIZE, i));
        require_ok(rill_message_close(&message));
        close_buffer(got);
        close_buffer(buffer);
    }
    close_channel(&tx, &rx);
    require_ok(rill_pool_close(&pool));
}

static void shared_with_receivers(void *unused)
{
    rill_sender *tx = NULL;
    rill_receiver *rx = NULL;
    rill_pool *pool = pool_with(RILL_ACCESS_SHARED, 0);
    void *mine, *bytes;
    (void)unused;
    channel_over(RILL_SHM, &tx, &rx);
    rill_buffer *buffer = loan(pool, SIZE, &mine), *clone = NULL;
    require_ok(rill_buffer_clone(buffer, &clone));
    send_one(tx, &clone);
    rill_buffer *got = receive_one(rx);
    require_ok(rill_buffer_data_mutable(got, &bytes));
    fill(bytes, SIZE, 6);
    require(filled(mine, SIZE, 6));
    close_buffer(got);
    close_buffer(buffer);
    close_channel(&tx, &rx);
    require_ok(rill_pool_close(&pool));
}

/* A holder does what it can with the two descriptors that it has: another one still holds the buffer, and its maker does not take it back. */
static void a_holder_cannot_speak_for_others(void *unused)
{
    rill_sender *tx = NULL;
    rill_receiver *rx = NULL;
    rill_message *message = NULL;
    rill_pool *pool = pool_with(0, 0);
    void *first, *bytes;
    char junk[70000] = {1}, path[64];
    (void)unused;
    channel_over(RILL_SHM, &tx, &rx);
    rill_buffer *buffer = loan(pool, SIZE, &first), *clone = NULL;
    fill(first, SIZE, 3);
    require_ok(rill_buffer_clone(buffer, &clone));
    send_one(tx, &clone);
    require_ok(rill_recv(rx, &message));
    struct rill_traveller *traveller = unopened(message);
    int memory = traveller->objects[0], token = traveller->objects[1];
    require(ftruncate(memory, 0) != 0 && ftruncate(memory, 1) != 0);
    require(fcntl(memory, F_ADD_SEALS, F_SEAL_WRITE) != 0);
    fcntl(token, F_SETFL, O_NONBLOCK);
    while (write(token, junk, sizeof junk) > 0)
        continue;
    snprintf(path, sizeof path, "/proc/self/fd/%d", token);
    int reader = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC), writer = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    close(reader);
    close(writer);
    require_ok(rill_message_close(&message)); /* and gives back its own, */
    for (unsigned i = 0; i < 5; i++) {
        rill_buffer *other = loan(pool, SIZE, &bytes);
        require(bytes != first); /* which is not the last */
        memset(bytes, 0, SIZE);
        close_buffer(other);
    }
    require(filled(first, SIZE, 3));
    close_buffer(buffer);
    close_channel(&tx, &rx);
    uint64_t left = 1;
    require_ok(rill_pool_trim(pool, &left));
    require_equal(0, left);
    require_ok(rill_pool_close(&pool));
}

/* As buffer.c describes a pool's buffer. */
struct description {
    uint64_t size;
    uint32_t form;
    uint32_t reserved;
    uint64_t lane;
    uint64_t offset, capacity;
};

static int take_forged(const struct description *it, int memory, unsigned objects)
{
    struct rill_parcel parcel = {0};
    rill_message *message = rill_message_make(0);
    rill_buffer *buffer = NULL;
    int token[2];
    require(message != NULL && pipe2(token, O_CLOEXEC) == 0);
    rill_object list[3] = {fcntl(memory, F_DUPFD_CLOEXEC, 3), token[1], token[0]};
    require_ok(rill_parcel_describe(&parcel, RILL_HANDLE_BUFFER, objects, it, sizeof *it));
    int code = rill_attachment_make(parcel.section, parcel.section_bytes, list, objects, 1, NULL, &message->attached);
    free(parcel.section);
    if (code != RILL_OK)
        objects = 0; /* they are still ours */
    else
        code = rill_message_take_buffer(message, 0, &buffer);
    if (code == RILL_OK)
        require(filled(rill_buffer_data(buffer), 0, 0));
    require_ok(rill_buffer_close(&buffer));
    require_ok(rill_message_close(&message));
    for (unsigned i = objects; i < 3; i++)
        close(list[i]);
    return code;
}

static void forged_ones_are_refused(void *unused)
{
    struct description it = {.size = 5000, .form = 4, .capacity = 8192};
    int sealed = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING), loose = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    (void)unused;
    require(sealed >= 0 && loose >= 0 && ftruncate(sealed, 8192) == 0 && ftruncate(loose, 8192) == 0);
    require(fcntl(sealed, F_ADD_SEALS, F_SEAL_SHRINK) == 0);
    require_code(RILL_OK, take_forged(&it, sealed, 2));
    require_code(RILL_EPEER, take_forged(&it, loose, 2)); /* could become smaller under its reader */
    require_code(RILL_EPEER, take_forged(&it, sealed, 1));
    require_code(RILL_EPEER, take_forged(&it, sealed, 3));
    static const struct {
        uint64_t size, capacity;
    } lies[] = {{5000, 0}, {5000, 8193}, {5000, UINT64_MAX}, {8193, 8192}, {UINT64_MAX, 8192}, {5000, UINT64_C(1) << 63}};
    for (size_t i = 0; i < COUNT_OF(lies); i++) {
        it.size = lies[i].size;
        it.capacity = lies[i].capacity;
        test_note = (long long)i;
        require_code(RILL_EPEER, take_forged(&it, sealed, 2));
    }
    it = (struct description){.size = 10, .form = 9, .capacity = 8192};
    require_code(RILL_EPEER, take_forged(&it, sealed, 2));
    close(sealed);
    close(loose);
}

static void forks_and_arguments(void *unused)
{
    struct rill_pool_options options = {.size = sizeof options, .access = RILL_ACCESS_CONSTANT};
    rill_pool *pool = NULL, *none = NULL;
    rill_buffer *buffer = NULL, *other = NULL;
    void *bytes;
    (void)unused;
    require_code(RILL_EINVAL, rill_pool_make(&options, &pool));
    require_code(RILL_EINVAL, rill_pool_make(NULL, NULL));
    require_code(RILL_EINVAL, rill_pool_loan(NULL, 1, &buffer));
    require_code(RILL_EINVAL, rill_pool_trim(NULL, NULL));
    require_code(RILL_EINVAL, rill_pool_huge_pages(NULL));
    require_code(RILL_EINVAL, rill_pool_close(NULL));
    require_ok(rill_pool_close(&none));
    options = (struct rill_pool_options){.size = sizeof options, .huge_pages = 1};
    require_ok(rill_pool_make(&options, &pool));
    require_code(RILL_EINVAL, rill_pool_loan(pool, SIZE_MAX, &buffer));
    buffer = loan(pool, SIZE, &bytes);
    require(rill_pool_huge_pages(pool) == 0 || rill_pool_huge_pages(pool) == 1);
    require_code(RILL_EINVAL, rill_buffer_clone(buffer, NULL));
    require_ok(rill_buffer_shrink(buffer, 10));
    pid_t child = fork_child();
    if (child == 0) {
        require_code(RILL_ENOTSUP, rill_pool_loan(pool, 1, &other));
        require_code(RILL_ENOTSUP, rill_pool_trim(pool, NULL));
        memset(bytes, 5, 10);
        require_ok(rill_buffer_close(&buffer));
        require_ok(rill_pool_close(&pool));
        _exit(0);
    }
    join_child(child);
    require_equal(5, ((const unsigned char *)bytes)[9]);
    close_buffer(buffer);
    require_ok(rill_pool_close(&pool));
}

static uint32_t shm = RILL_SHM, socket_mode = RILL_SOCKET, in_process = RILL_INPROC;

static const struct test tests[] = {
    {"a buffer goes to several receivers over shared memory", to_several_receivers, &shm, 0},
    {"a buffer goes to several receivers over sockets", to_several_receivers, &socket_mode, 0},
    {"a buffer goes to several receivers within the process", to_several_receivers, &in_process, 0},
    {"buffers outlive their pool and its maker", outlive_pool_and_maker, NULL, 0},
    {"what the library copies is counted", copies_are_counted, NULL, 0},
    {"four stages pass on frames of 16 MiB, and no byte is copied", forwarded_without_a_copy, &shm, 60},
    {"four stages pass on frames over sockets, and no byte is copied", forwarded_without_a_copy, &socket_mode, 60},
    {"memory is used again when nobody holds it, here, under way or elsewhere", used_again_when_nobody_holds_it, NULL, 0},
    {"a process that was killed holds nothing, nor does a channel that nobody receives from", the_dead_hold_nothing, NULL, 0},
    {"a stage that dies behind its send takes nothing away from the next", a_dead_stage_takes_nothing_away, NULL, 0},
    {"a buffer that comes again is not mapped again", not_mapped_again, NULL, 0},
    {"a mapping that is kept keeps no memory from the system", kept_mappings_keep_no_memory, NULL, 0},
    {"a forked child that closes a pool empties nothing", a_child_that_closes_empties_nothing, NULL, 0},
    {"few mappings are kept, and none of what is read-only", few_mappings_are_kept, NULL, 0},
    {"a receiver that sleeps for a moment keeps none", silence_ends_them, NULL, 0},
    {"nor does one of a channel on a page that has served before", silence_ends_them_on_a_reused_page, NULL, 0},
    {"a pool that is closed empties what has come back", closed_pools_keep_no_memory, NULL, 0},
    {"a pool has a limit, and makes room within it", limited, NULL, 0},
    {"a pool keeps little of what is free", keeps_little, NULL, 0},
    {"who receives from a read-only pool cannot write, nor get around that", read_only_for_receivers, NULL, 0},
    {"who receives from a shared pool may write", shared_with_receivers, NULL, 0},
    {"a holder that means harm cannot give back for others, nor take memory away", a_holder_cannot_speak_for_others, NULL, 0},
    {"forged buffers are refused", forged_ones_are_refused, NULL, 0},
    {"a forked child may use what it inherited; wrong arguments are told", forks_and_arguments, NULL, 0},
};

int main(void)
{
    return run_group("pool", tests, COUNT_OF(tests));
}
