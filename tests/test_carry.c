/* SPDX-License-Identifier: MIT */
/* Handles in shared-memory mode: which way their objects take, and what becomes of them when something fails on the way. */
#include "pair.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "shm/carry.h"
#include "src/carry.h"
#include "src/channel.h"
#include "src/inbox.h"

/* Files that can be told apart. */
static int numbered_file(unsigned number)
{
    char name[32];
    (void)snprintf(name, sizeof name, "file %u", number);
    int fd = (int)memfd_create(name, MFD_CLOEXEC);
    require(fd >= 0);
    require(ftruncate(fd, (off_t)number) == 0);
    return fd;
}

static unsigned number_of(int fd)
{
    struct stat status;
    require(fstat(fd, &status) == 0);
    return (unsigned)status.st_size;
}

/* One message that carries `count` descriptors of files first, first + 1, … */
static int send_files(rill_sender *tx, unsigned first, unsigned count, const void *data, size_t size)
{
    struct rill_handle *handles = calloc(count, sizeof *handles);
    require(handles != NULL);
    for (unsigned i = 0; i < count; i++)
        handles[i] = (struct rill_handle){.kind = RILL_HANDLE_DESCRIPTOR, .as.descriptor = numbered_file(first + i)};
    int code = rill_send_handles(tx, data, size, handles, count);
    for (unsigned i = 0; i < count; i++)
        require(close(handles[i].as.descriptor) == 0);
    free(handles);
    return code;
}

static void require_files(rill_message *message, unsigned first, unsigned count)
{
    require_equal(count, rill_message_handle_count(message));
    for (unsigned i = 0; i < count; i++) {
        int fd;
        require_equal(RILL_HANDLE_DESCRIPTOR, rill_message_handle_kind(message, i));
        require_ok(rill_message_take_descriptor(message, i, &fd));
        require_equal(first + i, number_of(fd));
        require_code(RILL_ENOHANDLE, rill_message_take_descriptor(message, i, &fd));
        require(close(fd) == 0);
    }
}

static void receive_files(rill_receiver *rx, unsigned first, unsigned count, size_t size)
{
    rill_message *message;
    require_ok(rill_recv(rx, &message));
    require_equal(size, rill_message_size(message));
    require_files(message, first, count);
    require_ok(rill_message_close(&message));
}

static void few_and_many(void *unused)
{
    (void)unused;
    static const unsigned counts[] = {1, 2, 7, RILL_CARRY_DIRECT - 1, RILL_CARRY_DIRECT, RILL_CARRY_DIRECT + 1, 300, 700};
    static const size_t sizes[] = {0, 5, 300, 70000, 200000};
    struct pair pair = open_pair();
    unsigned char *data = calloc(1, 200000);
    require(data != NULL);
    for (size_t i = 0; i < COUNT_OF(counts); i++) {
        for (size_t k = 0; k < COUNT_OF(sizes); k++) {
            test_note = counts[i];
            require_ok(send_files(pair.tx, 100, counts[i], data, sizes[k]));
            receive_files(pair.rx, 100, counts[i], sizes[k]);
        }
    }
    free(data);
    close_pair(&pair);
}

static void content_stands_behind(void *unused)
{
    (void)unused;
    struct pair pair = open_pair();
    static const size_t sizes[] = {24, 1000, 65000, 65536, 300000};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        unsigned char *data = malloc(sizes[i]);
        require(data != NULL);
        stamp(data, sizes[i], 3, i);
        require_ok(send_files(pair.tx, 9, 3, data, sizes[i]));
        free(data);
        rill_message *message;
        uint64_t sender, number;
        require_ok(rill_recv(pair.rx, &message));
        require(stamped(rill_message_data(message), rill_message_size(message), &sender, &number));
        require_equal(3, sender);
        require_equal(i, number);
        require_files(message, 9, 3);
        require_ok(rill_message_close(&message));
    }
    close_pair(&pair);
}

/* More messages than a socket holds packets. */
static void nobody_receives(void *unused)
{
    (void)unused;
    enum { MESSAGES = 500 };
    struct pair pair = open_pair();
    for (unsigned i = 0; i < MESSAGES; i++) {
        test_note = i;
        require_ok(send_files(pair.tx, i, 1 + i % 3, "x", 1));
        require_ok(rill_send(pair.tx, &i, sizeof i));
    }
    for (unsigned i = 0; i < MESSAGES; i++) {
        test_note = i;
        receive_files(pair.rx, i, 1 + i % 3, 1);
        unsigned number;
        size_t size;
        require_ok(rill_recv_into(pair.rx, &number, sizeof number, RILL_NOW, &size));
        require_equal(i, number);
    }
    close_pair(&pair);
}

static void *send_from_thread(void *argument)
{
    struct pair *pair = argument;
    for (unsigned i = 0; i < 200; i++)
        require_ok(send_files(pair->tx, i, 1, &i, sizeof i));
    return NULL;
}

static void threads_send(void *unused)
{
    (void)unused;
    enum { THREADS = 4 };
    struct pair pair = open_pair();
    pthread_t threads[THREADS];
    unsigned next[200] = {0};
    for (unsigned i = 0; i < THREADS; i++)
        require(pthread_create(&threads[i], NULL, send_from_thread, &pair) == 0);
    for (unsigned i = 0; i < THREADS * 200; i++) {
        rill_message *message;
        unsigned number;
        require_ok(rill_recv(pair.rx, &message));
        memcpy(&number, rill_message_data(message), sizeof number);
        require(number < 200 && next[number] < THREADS);
        next[number]++;
        require_files(message, number, 1);
        require_ok(rill_message_close(&message));
    }
    for (unsigned i = 0; i < THREADS; i++)
        require(pthread_join(threads[i], NULL) == 0);
    close_pair(&pair);
}

static void unread_handles_are_closed(void *unused)
{
    (void)unused;
    struct pair pair = open_pair();
    char byte;
    size_t size;
    size_t before = count_descriptors();
    for (unsigned i = 0; i < 3; i++)
        require_ok(send_files(pair.tx, 5, 300, "a", 1));
    require_ok(send_files(pair.tx, 5, 4, "b", 1));
    rill_message *message;
    require_ok(rill_recv(pair.rx, &message));
    require_ok(rill_message_close(&message));
    require_ok(rill_recv_into(pair.rx, &byte, 1, RILL_NOW, &size));
    require_ok(rill_recv(pair.rx, &message));
    require_ok(rill_message_close(&message));
    require_ok(rill_recv(pair.rx, &message));
    require_ok(rill_message_close(&message));
    struct rill_stats stats = {.size = sizeof stats};
    require_ok(rill_sender_stats(pair.tx, &stats));
    require(count_descriptors() <= before + 3); /* the lane, at both ends */
    close_pair(&pair);
}

static void a_sender_travels(void *unused)
{
    (void)unused;
    struct pair carrier = open_pair(), pair = open_pair();
    if (fork_child() == 0) {
        rill_message *message;
        rill_sender *tx;
        require_ok(rill_recv(carrier.rx, &message));
        require_ok(rill_message_take_sender(message, 0, &tx));
        require_ok(rill_message_close(&message));
        require_ok(send_number(tx, 77));
        require_ok(rill_sender_close(&tx));
        _exit(0);
    }
    struct rill_handle handle = {.kind = RILL_HANDLE_SENDER, .as.sender = pair.tx};
    require_ok(rill_send_handles(carrier.tx, "s", 1, &handle, 1));
    require(handle.as.sender == pair.tx);
    require_equal(77, receive_number(pair.rx));
    close_pair(&pair);
    close_pair(&carrier);
}

/* A record whose packet never came: its owner was killed between the two. */
static void killed_between(void *unused)
{
    (void)unused;
    struct pair pair = open_pair();
    pid_t child = fork_child();
    if (child == 0) {
        require_ok(send_number(pair.tx, 1));
        struct rill_lane *lane = atomic_load(&pair.tx->endpoint->lane);
        struct rill_ring_writer *writer = &lane->rings[0].writer;
        struct rill_carried *carried = (struct rill_carried *)(void *)rill_ring_payload(writer, 0);
        memset(carried, 0, sizeof *carried);
        carried->objects = carried->handles = 1;
        carried->section = 16;
        carried->number = 1;
        require(rill_ring_commit(writer, RILL_KIND_INLINE | RILL_HEADER_HANDLES, sizeof *carried + 16, 0));
        _exit(0);
    }
    join_child(child);
    require_ok(rill_sender_close(&pair.tx));
    require_equal(1, receive_number(pair.rx));
    rill_message *message;
    require_code(RILL_EDISCONNECTED, rill_recv(pair.rx, &message));
    require_ok(rill_receiver_close(&pair.rx));
}

static void out_of_descriptors(void *unused)
{
    (void)unused;
    need_true_limits();
    struct pair pair = open_pair();
    require_ok(send_files(pair.tx, 10, 20, "x", 1));
    require_ok(send_files(pair.tx, 10, 300, "x", 1));
    rill_message *message;
    struct rlimit old, low;
    require(getrlimit(RLIMIT_NOFILE, &old) == 0);
    low = old;
    low.rlim_cur = count_descriptors() + 9;
    require(setrlimit(RLIMIT_NOFILE, &low) == 0);
    require_code(RILL_ENOFD, rill_recv(pair.rx, &message));
    low.rlim_cur = count_descriptors() + 60;
    require(setrlimit(RLIMIT_NOFILE, &low) == 0);
    receive_files(pair.rx, 10, 20, 1);
    require_code(RILL_ENOFD, rill_recv(pair.rx, &message));
    require(setrlimit(RLIMIT_NOFILE, &old) == 0);
    receive_files(pair.rx, 10, 300, 1);
    close_pair(&pair);
}

/* A sender that does not keep to the receiver's quota, as no sender of ours is. */
static void too_many_objects(void *unused)
{
    (void)unused;
    struct rill_channel_options options = {.size = sizeof options, .max_objects = 5};
    struct pair pair;
    require_ok(rill_channel(&options, &pair.tx, &pair.rx));
    require_ok(send_files(pair.tx, 1, 5, "a", 1));
    require_code(RILL_EMSGSIZE, send_files(pair.tx, 1, 6, "b", 1));
    receive_files(pair.rx, 1, 5, 1);
    struct rill_core *core = pair.tx->endpoint->core;
    core->terms.max_objects = 0;
    require_ok(send_files(pair.tx, 1, 6, "c", 1));
    rill_message *message;
    require_code(RILL_EQUOTA, rill_recv(pair.rx, &message));
    require_code(RILL_EEMPTY, rill_try_recv(pair.rx, &message));
    close_pair(&pair);
}

static const struct test tests[] = {
    {"few and many descriptors arrive in order, behind any size of message", few_and_many, NULL, 0},
    {"the bytes of a message with handles are whole", content_stands_behind, NULL, 0},
    {"sending handles does not wait for a receiver", nobody_receives, NULL, 0},
    {"threads that send handles at once do not mix them up", threads_send, NULL, 0},
    {"handles that nobody takes are closed with their message", unread_handles_are_closed, NULL, 0},
    {"a sender travels to another process", a_sender_travels, NULL, 0},
    {"a sender killed between record and packet has sent nothing", killed_between, NULL, 0},
    {"a receiver out of descriptors loses nothing", out_of_descriptors, NULL, 0},
    {"a message with more objects than the receiver allows closes its lane", too_many_objects, NULL, 0},
};

int main(void)
{
    return run_group("carry", tests, COUNT_OF(tests));
}
