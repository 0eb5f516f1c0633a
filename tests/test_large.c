/* SPDX-License-Identifier: MIT */
/* Messages above 1 and above 2 GiB. They are skipped where memory is low. */
#include "support.h"

#include <sys/mman.h>

#define BLOCK (16 * MIB)

struct large {
    uint32_t transport;
    size_t size;
    bool forked;
};

/* `size` bytes that take little memory: the same block again and again, but for its first word. */
static unsigned char *make_large(size_t size)
{
    size_t blocks = (size + BLOCK - 1) / BLOCK;
    int block = memfd_create("test-board", MFD_CLOEXEC);
    unsigned char *bytes = mmap(NULL, blocks * BLOCK, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    require(block >= 0 && ftruncate(block, BLOCK) == 0);
    require(bytes != MAP_FAILED);
    for (size_t i = 0; i < blocks; i++) {
        void *at = mmap(bytes + i * BLOCK, BLOCK, PROT_READ | PROT_WRITE, (i ? MAP_PRIVATE : MAP_SHARED) | MAP_FIXED, block, 0);
        require(at == bytes + i * BLOCK);
        if (i == 0)
            fill(at, BLOCK, 1);
        else
            memcpy(at, &i, sizeof i);
    }
    close(block);
    return bytes;
}

static void require_large(const unsigned char *bytes, size_t size)
{
    for (size_t i = 0; i * BLOCK < size; i++) {
        const unsigned char *block = bytes + i * BLOCK;
        size_t length = size - i * BLOCK < BLOCK ? size - i * BLOCK : BLOCK, head = length < sizeof i ? length : sizeof i;
        test_note = (long long)i;
        require(i == 0 ? filled(block, length, 1) : memcmp(block, &i, head) == 0);
        require(memcmp(block + head, bytes + head, length - head) == 0);
    }
}

static void send_large(rill_sender *tx, size_t size)
{
    unsigned char *bytes = make_large(size);
    require_ok(rill_send(tx, bytes, size));
    require_ok(send_number(tx, 42));
    munmap(bytes, (size + BLOCK - 1) / BLOCK * BLOCK);
}

static void run_large(void *argument)
{
    const struct large *large = argument;
    struct rill_channel_options options = {.size = sizeof options, .transport = large->transport};
    rill_sender *tx = NULL;
    rill_receiver *rx = NULL;
    rill_message *message = NULL;
    pid_t child = 0;
    if (SANITIZED || memory_available() < 2 * large->size + GIB)
        skip_test("too little memory");
    require_ok(rill_channel(&options, &tx, &rx));
    if (large->forked && (child = fork_child()) == 0) {
        send_large(tx, large->size);
        _exit(0);
    }
    if (!large->forked)
        send_large(tx, large->size);
    require_ok(rill_sender_close(&tx));
    require_ok(rill_recv(rx, &message));
    require_equal(large->size, rill_message_size(message));
    require_large(rill_message_data(message), large->size);
    require_ok(rill_message_close(&message));
    require_equal(42, receive_number(rx));
    require_code(RILL_EDISCONNECTED, rill_recv(rx, &message));
    if (large->forked)
        join_child(child);
    require_ok(rill_receiver_close(&rx));
}

static struct large shm = {.transport = RILL_SHM, .size = 2 * GIB + 4097, .forked = true},
                    socket_large = {.transport = RILL_SOCKET, .size = GIB + 1, .forked = true},
                    inproc = {.transport = RILL_INPROC, .size = GIB + 1};

/* Received over shared memory and passed on within the process, as they are: in a block of the ring, or in an allocation of the arena. */
static void passed_on_in_process(void *argument)
{
    static const size_t sizes[] = {1000, 100000, 100000, 1000, 100000};
    static char data[100000], copy[100000];
    bool into = argument != NULL;
    struct rill_channel_options in_process = {.size = sizeof in_process, .transport = RILL_INPROC};
    rill_sender *tx = NULL, *next_tx = NULL;
    rill_receiver *rx = NULL, *next_rx = NULL;
    rill_message *messages[COUNT_OF(sizes)];
    require_ok(rill_channel(NULL, &tx, &rx));
    require_ok(rill_channel(&in_process, &next_tx, &next_rx));
    for (unsigned round = 0; round < 200; round++) {
        for (size_t i = 0; i < COUNT_OF(sizes); i++) {
            memset(data, 'a' + (int)i, sizes[i]);
            require_ok(rill_send(tx, data, sizes[i]));
            require_ok(rill_recv(rx, &messages[i]));
        }
        for (size_t i = 0; i < COUNT_OF(sizes); i++)
            require_ok(rill_forward(next_tx, &messages[i], RILL_NOW));
        for (size_t i = 0; i < COUNT_OF(sizes); i++) {
            size_t size = sizes[i];
            if (into) {
                require_ok(rill_recv_into(next_rx, copy, sizeof copy, RILL_NOW, &size));
            } else {
                require_ok(rill_recv(next_rx, &messages[i]));
                size = rill_message_size(messages[i]);
                memcpy(copy, rill_message_data(messages[i]), size);
                require_ok(rill_message_close(&messages[i]));
            }
            require_equal(sizes[i], size);
            require(copy[0] == 'a' + (int)i && copy[size - 1] == 'a' + (int)i);
        }
    }
    require(shared_memory_bytes() <= 16 * MIB); /* of 60 that were sent */
    require_ok(rill_send(tx, data, sizeof data));
    require_ok(rill_recv(rx, &messages[0]));
    require_ok(rill_forward(next_tx, &messages[0], RILL_NOW)); /* closed unread */
    require_ok(rill_sender_close(&tx));
    require_ok(rill_receiver_close(&rx));
    require_ok(rill_sender_close(&next_tx));
    require_ok(rill_receiver_close(&next_rx));
}

static const struct test tests[] = {
    {"messages in place are passed on within the process, and their memory comes back", passed_on_in_process, NULL, 0},
    {"the same into the receiver's own memory", passed_on_in_process, &(int){1}, 0},
    {"a message above 2 GiB arrives whole, over shared memory", run_large, &shm, 120},
    {"a message above 1 GiB arrives whole, over a socket", run_large, &socket_large, 120},
    {"a message above 1 GiB arrives whole, in one process", run_large, &inproc, 120},
};

int main(void)
{
    return run_group("large", tests, COUNT_OF(tests));
}
