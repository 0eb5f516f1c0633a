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

static const struct test tests[] = {
    {"a message above 2 GiB arrives whole, over shared memory", run_large, &shm, 120},
    {"a message above 1 GiB arrives whole, over a socket", run_large, &socket_large, 120},
    {"a message above 1 GiB arrives whole, in one process", run_large, &inproc, 120},
};

int main(void)
{
    return run_group("large", tests, COUNT_OF(tests));
}
