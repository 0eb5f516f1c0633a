/* SPDX-License-Identifier: MIT */
/* What an idle channel costs at each end, after it has carried one message between two processes. */
#include "support.h"

#include <malloc.h>

/* A receiver that has waited has one descriptor more if its process has threads, by which another one can interrupt it. The thread
 * sanitizer has a thread of its own. */
#define EVENT (THREAD_SANITIZED ? 1u : 0u)

struct cost {
    size_t descriptors, mappings, mapped, heap;
};

static struct cost cost_now(void)
{
    struct cost cost = {.descriptors = count_descriptors(), .mappings = count_shared_mappings(), .mapped = shared_mapped_bytes()};
    cost.heap = mallinfo2().uordblks;
    return cost;
}

static struct cost cost_since(struct cost before)
{
    struct cost now = cost_now();
    return (struct cost){now.descriptors - before.descriptors, now.mappings - before.mappings, now.mapped - before.mapped,
                         now.heap - before.heap};
}

/* A line of a table: what, descriptors, mappings, address space, shared memory of the whole channel, private memory. */
static void print_cost(const char *transport, const char *end, struct cost cost, size_t shared)
{
    dprintf(1, "| %s | %s | %zu | %zu | %zu KiB | %zu KiB | %zu B |\n", transport, end, cost.descriptors, cost.mappings,
            cost.mapped / KIB, shared / KIB, cost.heap);
}

struct shared {
    struct board board;
    struct cost cost;
};

/* In a child that has only the sender: what it costs, after one message. */
static void measure_sender(rill_sender *tx, rill_receiver *rx, struct shared *shared, size_t size, struct cost empty)
{
    unsigned char bytes[70000] = {0};
    require_ok(rill_receiver_close(&rx));
    require_ok(rill_send(tx, bytes, size));
    flag_wait(&shared->board, 1);
    shared->cost = cost_since(empty);
    flag_raise(&shared->board, 2);
    flag_wait(&shared->board, 3);
    require_ok(rill_sender_close(&tx));
    _exit(0);
}

static void measure(uint32_t transport, const char *name, size_t size, struct cost *at_sender, struct cost *at_receiver)
{
    struct shared *shared = shared_memory(sizeof *shared);
    struct rill_channel_options options = {.size = sizeof options, .transport = transport};
    struct cost empty = cost_now();
    rill_sender *tx = NULL;
    rill_receiver *rx = NULL;
    rill_message *message = NULL;
    require_ok(rill_channel(&options, &tx, &rx));
    pid_t child = fork_child();
    if (child == 0)
        measure_sender(tx, rx, shared, size, empty);
    require_ok(rill_sender_close(&tx));
    require_ok(rill_recv(rx, &message));
    require_equal(size, rill_message_size(message));
    require_ok(rill_message_close(&message));
    require_code(RILL_EEMPTY, rill_try_recv(rx, &message));
    flag_raise(&shared->board, 1);
    flag_wait(&shared->board, 2);
    *at_receiver = cost_since(empty);
    *at_sender = shared->cost;
    size_t memory = shared_memory_bytes();
    print_cost(name, "sender", *at_sender, memory);
    print_cost(name, "receiver", *at_receiver, memory);
    require(memory <= 256 * KIB);
    flag_raise(&shared->board, 3);
    join_child(child);
    require_ok(rill_receiver_close(&rx));
}

static void shm_small(void *unused)
{
    struct cost sender, receiver;
    (void)unused;
    measure(RILL_SHM, "shm, after 8 bytes", 8, &sender, &receiver);
    require(sender.descriptors <= 3);
    require(receiver.descriptors <= 2 + 1 + EVENT);
    require(sender.mappings <= 4);
    require(receiver.mappings <= 4);
}

static void shm_large(void *unused)
{
    struct cost sender, receiver;
    (void)unused;
    measure(RILL_SHM, "shm, after 70,000 bytes", 70000, &sender, &receiver);
    require(sender.descriptors <= 3);
    require(receiver.descriptors <= 2 + 1 + EVENT);
}

static void over_socket(void *unused)
{
    struct cost sender, receiver;
    (void)unused;
    measure(RILL_SOCKET, "socket, after 8 bytes", 8, &sender, &receiver);
    require(sender.descriptors <= 2);
    require(receiver.descriptors <= 2 + EVENT);
}

static void each_lane_costs_one(void *unused)
{
    enum { LANES = 10 };
    struct board *board = board_make(NULL);
    size_t before = count_descriptors();
    pid_t children[LANES];
    rill_sender *tx = NULL;
    rill_receiver *rx = NULL;
    (void)unused;
    require_ok(rill_channel(NULL, &tx, &rx));
    for (unsigned i = 0; i < LANES; i++) {
        children[i] = fork_child();
        if (children[i] != 0)
            continue;
        require_ok(rill_receiver_close(&rx));
        require_ok(send_number(tx, i));
        flag_wait(board, 0);
        _exit(0);
    }
    require_ok(rill_sender_close(&tx));
    for (unsigned i = 0; i < LANES; i++)
        receive_number(rx);
    size_t now = count_descriptors();
    dprintf(1, "%u lanes: %zu descriptors at the receiver\n", LANES, now - before);
    require(now - before <= 2 + LANES + EVENT);
    flag_raise(board, 0);
    for (unsigned i = 0; i < LANES; i++)
        join_child(children[i]);
    require_ok(rill_receiver_close(&rx));
}

static const struct test tests[] = {
    {"an idle channel over shared memory costs 3 descriptors at each end", shm_small, NULL, 0},
    {"a large message costs no further descriptor", shm_large, NULL, 0},
    {"an idle channel over a socket costs 2 descriptors at each end", over_socket, NULL, 0},
    {"each lane costs the receiver one descriptor", each_lane_costs_one, NULL, 0},
};

int main(void)
{
    return run_group("resources", tests, COUNT_OF(tests));
}
