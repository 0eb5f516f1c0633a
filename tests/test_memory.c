/* SPDX-License-Identifier: MIT */
/* Memory follows the load: what a burst took goes back to the system when it was received, also if nothing is ever sent again. */
#include "support.h"

#include <sys/resource.h>

#define BURST (SANITIZED ? 32 * MIB : 256 * MIB)
#define LEFT (16 * MIB)
#define LEFT_EACH (8 * MIB) /* and for each further sending process */

struct burst {
    size_t size;
    unsigned senders; /* processes */
    bool held;        /* all messages are received before the first is closed */
};

static uint64_t count_of(const struct burst *burst)
{
    uint64_t count = BURST / burst->size / burst->senders;
    return count ? count : 1;
}

/* Sends its part, then stays without ever sending again. */
static void send_burst(const struct burst *burst, rill_sender *tx, rill_receiver *rx, struct board *board, unsigned self)
{
    unsigned char *bytes = calloc(1, burst->size);
    require(bytes != NULL);
    require_ok(rill_receiver_close(&rx));
    for (uint64_t i = 0; i < count_of(burst); i++) {
        memcpy(bytes, &i, sizeof i);
        require_ok(rill_send(tx, bytes, burst->size));
    }
    flag_raise(board, 1 + self);
    flag_wait(board, 0);
    require_ok(rill_sender_close(&tx));
    _exit(0);
}

static void drain_all(rill_receiver *rx, const struct burst *burst)
{
    uint64_t total = count_of(burst) * burst->senders;
    rill_message **kept = calloc(total, sizeof *kept);
    rill_message *message = NULL;
    require(kept != NULL);
    for (uint64_t i = 0; i < total; i++) {
        require_ok(rill_recv(rx, &kept[i]));
        require_equal(burst->size, rill_message_size(kept[i]));
        if (!burst->held)
            require_ok(rill_message_close(&kept[i]));
    }
    for (uint64_t i = 0; i < total; i++)
        require_ok(rill_message_close(&kept[i]));
    require_code(RILL_EEMPTY, rill_try_recv(rx, &message));
    free(kept);
}

static void run_burst(void *argument)
{
    const struct burst *burst = argument;
    struct board *board = board_make(NULL);
    rill_sender *tx = NULL;
    rill_receiver *rx = NULL;
    rill_message *message = NULL;
    pid_t children[4];
    if (memory_available() < 2 * BURST + GIB)
        skip_test("too little memory");
    require_ok(rill_channel(NULL, &tx, &rx));
    for (unsigned i = 0; i < burst->senders; i++) {
        children[i] = fork_child();
        if (children[i] == 0)
            send_burst(burst, tx, rx, board, i);
    }
    require_ok(rill_sender_close(&tx));
    for (unsigned i = 0; i < burst->senders; i++)
        flag_wait(board, 1 + i);
    drain_all(rx, burst);
    require_code(RILL_ETIMEDOUT, rill_recv_timeout(rx, MILLISECOND, &message));
    size_t left = shared_memory_bytes();
    dprintf(1, "after %zu MiB in messages of %zu bytes from %u: %zu KiB left\n", BURST / MIB, burst->size, burst->senders, left / KIB);
    require(left > 0); /* the count sees the lanes */
    require(left <= LEFT + (burst->senders - 1) * LEFT_EACH);
    flag_raise(board, 0);
    for (unsigned i = 0; i < burst->senders; i++)
        join_child(children[i]);
    require_code(RILL_EDISCONNECTED, rill_recv(rx, &message));
    require_ok(rill_receiver_close(&rx));
}

/* Load that comes and goes does not add up. */
static void many_bursts(void *unused)
{
    rill_sender *tx = NULL;
    rill_receiver *rx = NULL;
    struct dice dice = {5};
    (void)unused;
    require_ok(rill_channel(NULL, &tx, &rx));
    for (unsigned round = 0; round < 40; round++) {
        size_t size = (size_t)1 << roll_between(&dice, 4, 22), count = 8 * MIB / size;
        test_note = round;
        count = count > 20000 ? 20000 : count;
        for (size_t i = 0; i < count; i++)
            require_ok(send_filled(tx, size, i));
        for (size_t i = 0; i < count; i++)
            receive_filled(rx, size, i);
        rill_message *message = NULL;
        if (shared_memory_bytes() > LEFT) /* some large blocks may wait for their sender until there is silence */
            require_code(RILL_ETIMEDOUT, rill_recv_timeout(rx, SECOND / 2, &message));
        require(shared_memory_bytes() <= LEFT);
    }
    struct rill_stats stats = {.size = sizeof stats};
    require_ok(rill_sender_stats(tx, &stats));
    dprintf(1, "after 40 bursts of up to 8 MiB: %zu KiB left, %zu KiB mapped\n", shared_memory_bytes() / KIB,
            (size_t)stats.mapped_bytes / KIB);
    require_ok(rill_sender_close(&tx));
    require_ok(rill_receiver_close(&rx));
}

/* A stream that the receiver keeps up with does not grow. */
static void steady_stream(void *unused)
{
    rill_sender *tx = NULL;
    rill_receiver *rx = NULL;
    size_t most = 0;
    (void)unused;
    require_ok(rill_channel(NULL, &tx, &rx));
    for (unsigned i = 0; i < rounds(300000); i++) {
        require_ok(send_number(tx, i));
        require_equal(i, receive_number(rx));
    }
    for (unsigned i = 0; i < rounds(3000); i++) {
        require_ok(send_filled(tx, 100000, i));
        receive_filled(rx, 100000, i);
        if (i % 100 == 0 && shared_memory_bytes() > most)
            most = shared_memory_bytes();
    }
    dprintf(1, "a steady stream took at most %zu KiB\n", most / KIB);
    require(most <= LEFT);
    require_ok(rill_sender_close(&tx));
    require_ok(rill_receiver_close(&rx));
}

/* Gives how long it took. */
static int64_t fill_and_drain(rill_sender *tx, rill_receiver *rx, const void *bytes, size_t size)
{
    int64_t before = rill_clock();
    uint64_t sent = 0;
    int result;
    while ((result = rill_send(tx, bytes, size)) == RILL_OK)
        sent++;
    require_code(RILL_EFULL, result);
    require(sent > 40);
    for (uint64_t i = 0; i < sent; i++) {
        rill_message *message = NULL;
        require_ok(rill_recv(rx, &message));
        require_equal(size, rill_message_size(message));
        require_ok(rill_message_close(&message));
    }
    return rill_clock() - before;
}

static long page_faults(void)
{
    struct rusage usage;
    require(getrusage(RUSAGE_SELF, &usage) == 0);
    return usage.ru_minflt;
}

/* What fills a pipeline's limit and is drained again, over and over, lies in the same pages each time: the ends of blocks are left unused, and a queue
 * that is just full must not have any of them given back for it. */
static void full_pipeline(void *unused)
{
    static const size_t sizes[] = {5000, 33000, 48 << 10, 64 << 10};
    static unsigned char bytes[64 << 10];
    enum { ROUNDS = 40, TRIES = 20 };
    (void)unused;
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        struct rill_channel_options options = {.size = sizeof options, .limit = RILL_PIPELINE_LIMIT, .on_full = RILL_FULL_ERROR};
        rill_sender *tx = NULL;
        rill_receiver *rx = NULL;
        int64_t slowest;
        long faults;
        unsigned tries = 0;
        test_note = (long long)sizes[i];
        require_ok(rill_channel(&options, &tx, &rx));
        for (unsigned round = 0; round < ROUNDS; round++) /* it grows to what it needs */
            (void)fill_and_drain(tx, rx, bytes, sizes[i]);
        do {
            long before = page_faults();
            slowest = 0;
            for (unsigned round = 0; round < ROUNDS; round++) {
                int64_t took = fill_and_drain(tx, rx, bytes, sizes[i]);
                slowest = took > slowest ? took : slowest;
            }
            faults = page_faults() - before;
        } while (slowest > SECOND / 5 && ++tries < TRIES); /* blocks that are used too seldom do go back */
        if (slowest > SECOND / 5)
            skip_test("the machine is too slow");
        dprintf(1, "%d times a full queue of messages of %zu bytes: %ld page faults\n", ROUNDS, sizes[i], faults);
        require(faults < 512); /* a block has up to 256 pages */
        require_ok(rill_sender_close(&tx));
        require_ok(rill_receiver_close(&rx));
    }
}

/* The memory of sending processes that have ended goes back while another one lives. `look` is what the receiver does in between. */
static void dead_senders(void (*look)(rill_receiver *rx))
{
    enum { DEAD = 30 };
    rill_sender *tx = NULL;
    rill_receiver *rx = NULL;
    require_ok(rill_channel(NULL, &tx, &rx));
    for (unsigned i = 0; i < DEAD; i++) {
        pid_t child = fork_child();
        test_note = i;
        if (child == 0) {
            require_ok(send_filled(tx, 4 * MIB, i));
            require_ok(send_filled(tx, 100, i));
            _exit(0);
        }
        join_child(child);
        receive_filled(rx, 4 * MIB, i);
        receive_filled(rx, 100, i);
        look(rx);
    }
    for (unsigned i = 0; i < 20 * DEAD; i++)
        look(rx);
    require(shared_memory_bytes() <= MIB);
    require(shared_mapped_bytes() <= 32 * MIB);
    require(count_descriptors() < DEAD);
    require_ok(rill_sender_close(&tx));
    require_ok(rill_receiver_close(&rx));
}

static void look_asleep(rill_receiver *rx)
{
    rill_message *message = NULL;
    require_code(RILL_ETIMEDOUT, rill_recv_timeout(rx, MICROSECOND, &message));
}

static void look_awake(rill_receiver *rx)
{
    rill_message *message = NULL;
    require_code(RILL_EEMPTY, rill_try_recv(rx, &message));
}

static void dead_while_asleep(void *unused)
{
    (void)unused;
    dead_senders(look_asleep);
}

static void dead_while_polling(void *unused)
{
    (void)unused;
    dead_senders(look_awake);
}

static struct burst small = {.size = 64, .senders = 1}, medium = {.size = 64 << 10, .senders = 1},
                    large = {.size = 1 << 20, .senders = 1}, huge = {.size = 64 << 20, .senders = 1},
                    held = {.size = 100000, .senders = 1, .held = true}, crowd = {.size = 3000, .senders = 4};

static const struct test tests[] = {
    {"a burst of small messages leaves at most 16 MiB", run_burst, &small, 120},
    {"a burst of messages of 64 KiB leaves at most 16 MiB", run_burst, &medium, 120},
    {"a burst of messages of 1 MiB leaves at most 16 MiB", run_burst, &large, 120},
    {"a burst of messages of 64 MiB leaves at most 16 MiB", run_burst, &huge, 120},
    {"a burst that was kept and then closed leaves at most 16 MiB", run_burst, &held, 120},
    {"a burst of four processes leaves at most 8 MiB more for each", run_burst, &crowd, 120},
    {"many bursts of all sizes do not add up", many_bursts, NULL, 120},
    {"a stream that is kept up with does not grow", steady_stream, NULL, 120},
    {"a queue that is filled to its limit and drained stays in the same pages", full_pipeline, NULL, 60},
    {"the memory of senders that have ended goes back to a receiver that sleeps", dead_while_asleep, NULL, 60},
    {"the memory of senders that have ended goes back to a receiver that only tries", dead_while_polling, NULL, 60},
};

int main(void)
{
    return run_group("memory", tests, COUNT_OF(tests));
}
