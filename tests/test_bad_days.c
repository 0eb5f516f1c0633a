/* SPDX-License-Identifier: MIT */
/*
 * Shortages: every n-th call of the system that can fail does so, and real limits are reached. Each time the call of rill's has to
 * say so with the code for it, nothing may be lost, and all goes on when the shortage is over.
 */
#include "faults.h"
#include "support.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

/* ---------------------------------------------------------------- one story, told with a fault in it */

#define NOT_FIRED 3

struct story {
    enum fault fault;
    unsigned long n;
    int error;
    bool lasting;
    uint32_t transport;
    void (*tell)(struct story *story);
    rill_sender *tx;
    rill_receiver *rx;
    bool fired_elsewhere;
};

/* Which code has to say it. What may fail for several reasons may say so in several ways. */
static bool documented(const struct story *story, int code)
{
    switch (story->error) {
    case EMFILE: return code == RILL_ENOFD;
    case ENOMEM:
    case ENOSPC: return code == RILL_ENOMEM;
    case ENOBUFS: return code == RILL_ENOMEM || code == RILL_EAGAIN;
    default: return code == RILL_ESYSTEM || code == RILL_ENOMEM || code == RILL_ENOFD;
    }
}

/* A call in the shortage; if it fails, the shortage ends and it has to succeed. */
#define TRY(story, call)                            \
    do {                                            \
        faults_on();                                \
        int result_ = (call);                       \
        faults_off();                               \
        if (result_ == 0)                           \
            break;                                  \
        if (!documented((story), result_))          \
            require_code(RILL_ENOMEM, result_);     \
        require(faults_fired() > 0);                \
        faults_end();                               \
        require_ok(call);                           \
    } while (0)

static size_t story_size(const struct story *story, unsigned i)
{
    static const size_t sizes[] = {8, 100, 3000, 20000, 70000, 700000};
    if (story->transport == RILL_SOCKET)
        return sizes[i % 3];
    return sizes[i % 12 == 11 ? 3 + i / 12 % 3 : i % 3];
}

static void tell_send(struct story *story, unsigned i)
{
    static unsigned char bytes[700000];
    size_t size = story_size(story, i);
    fill(bytes, size, i);
    TRY(story, rill_send(story->tx, bytes, size));
}

static void tell_receive(struct story *story, unsigned i)
{
    rill_message *message = NULL;
    TRY(story, rill_recv(story->rx, &message));
    require_message(&message, story_size(story, i), i);
}

static void tell_open(struct story *story)
{
    struct rill_channel_options options = {.size = sizeof options, .transport = story->transport};
    TRY(story, rill_channel(&options, &story->tx, &story->rx));
}

static void tell_close(struct story *story)
{
    faults_on();
    require_ok(rill_sender_close(&story->tx));
    require_ok(rill_receiver_close(&story->rx));
    faults_off();
}

static unsigned story_depth(const struct story *story)
{
    return story->transport == RILL_SOCKET ? 20 : 150;
}

/* Both ends in one process: queue, drain, queue again. */
static void tell_alone(struct story *story)
{
    rill_sender *clone = NULL;
    tell_open(story);
    for (unsigned i = 0; i < story_depth(story); i++)
        tell_send(story, i);
    TRY(story, rill_sender_clone(story->tx, &clone));
    for (unsigned i = 0; i < story_depth(story); i++)
        tell_receive(story, i);
    for (unsigned i = 0; i < 30; i++) {
        tell_send(story, i);
        tell_receive(story, i);
    }
    require_ok(rill_sender_close(&clone));
    tell_close(story);
}

/* The sender in a child of its own: the fault is with the sender. */
static void tell_sending(struct story *story)
{
    faults_end();
    tell_open(story);
    pid_t child = fork_child();
    if (child == 0) {
        faults_prepare(story->fault, story->n, story->error, story->lasting);
        require_ok(rill_receiver_close(&story->rx));
        for (unsigned i = 0; i < story_depth(story); i++)
            tell_send(story, i);
        tell_close(story);
        _exit(faults_fired() ? 0 : NOT_FIRED);
    }
    require_ok(rill_sender_close(&story->tx));
    for (unsigned i = 0; i < story_depth(story); i++)
        receive_filled(story->rx, story_size(story, i), i);
    require_ok(rill_receiver_close(&story->rx));
    int status;
    require(waitpid(child, &status, 0) == child);
    require(WIFEXITED(status));
    require(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == NOT_FIRED);
    story->fired_elsewhere = WEXITSTATUS(status) == 0;
}

/* The fault is with the receiver. */
static void tell_receiving(struct story *story)
{
    faults_off();
    struct rill_channel_options options = {.size = sizeof options, .transport = story->transport};
    require_ok(rill_channel(&options, &story->tx, &story->rx));
    pid_t child = fork_child();
    if (child == 0) {
        require_ok(rill_receiver_close(&story->rx));
        for (unsigned i = 0; i < story_depth(story); i++)
            require_ok(send_filled(story->tx, story_size(story, i), i));
        _exit(0);
    }
    require_ok(rill_sender_close(&story->tx));
    for (unsigned i = 0; i < story_depth(story); i++)
        tell_receive(story, i);
    rill_message *message = NULL;
    require_code(RILL_EDISCONNECTED, rill_recv(story->rx, &message));
    join_child(child);
    tell_close(story);
}

/* A sender that waits for room, and interrupts. */
static void tell_waiting(struct story *story)
{
    unsigned char bytes[1000] = {0};
    struct rill_channel_options options = {
        .size = sizeof options, .transport = story->transport, .limit = 4000, .on_full = RILL_FULL_ERROR};
    TRY(story, rill_channel(&options, &story->tx, &story->rx));
    unsigned sent = 0;
    int result;
    while ((result = rill_send_until(story->tx, bytes, sizeof bytes, RILL_NOW)) == 0)
        sent++;
    require_code(RILL_EFULL, result);
    faults_on();
    result = rill_send_until(story->tx, bytes, sizeof bytes, rill_clock() + MICROSECOND);
    faults_off();
    require(result == RILL_ETIMEDOUT || (faults_fired() && documented(story, result)));
    faults_end();
    require_code(RILL_ETIMEDOUT, rill_send_until(story->tx, bytes, sizeof bytes, rill_clock() + MICROSECOND));
    rill_message *message = NULL;
    for (unsigned i = 0; i < sent; i++) {
        require_ok(rill_recv(story->rx, &message));
        require_ok(rill_message_close(&message));
    }
    require_code(RILL_EEMPTY, rill_try_recv(story->rx, &message));
    require_ok(rill_receiver_interrupt(story->rx));
    require_code(RILL_EINTERRUPTED, rill_recv(story->rx, &message));
    tell_close(story);
}

/* Tells the story in a child; false if the fault never came. */
static bool tell_with(struct story *story, unsigned long n)
{
    pid_t child = fork_child();
    if (child == 0) {
        test_note = (long long)n;
        size_t descriptors = count_descriptors();
        story->n = n;
        faults_prepare(story->fault, n, story->error, story->lasting);
        story->tell(story);
        bool fired = faults_fired() > 0 || story->fired_elsewhere;
        faults_end();
        (void)rill_trim();
        require_equal(descriptors, count_descriptors());
        require_equal(0, count_shared_mappings());
        _exit(fired ? 0 : NOT_FIRED);
    }
    int status = 0;
    require(waitpid(child, &status, 0) == child);
    if (WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == NOT_FIRED))
        return WEXITSTATUS(status) == 0;
    dprintf(2, "in the %lu-th %s, error %d, %s, transport %u: status %x\n", n, fault_names[story->fault], story->error,
            story->lasting ? "for good" : "once", story->transport, (unsigned)status);
    _exit(1);
}

/* Every n at first, then fewer and fewer. */
static unsigned long tell_at_every_n(struct story story)
{
    unsigned long n = 1, fired = 0;
    while (n < 100000 && tell_with(&story, n)) {
        fired++;
        n += 1 + n / (full_scale() ? 64 : 12);
    }
    return fired;
}

static const struct {
    enum fault fault;
    int error;
} shortages[] = {
    {FAULT_MEMFD, EMFILE},      {FAULT_MEMFD, ENOMEM},      {FAULT_MMAP, ENOMEM},    {FAULT_FALLOCATE, ENOSPC},
    {FAULT_FALLOCATE, ENOMEM},  {FAULT_FTRUNCATE, ENOMEM},  {FAULT_SOCKETPAIR, EMFILE}, {FAULT_SOCKETPAIR, ENOMEM},
    {FAULT_EVENTFD, EMFILE},    {FAULT_FCNTL, ENOLCK},      {FAULT_ALLOCATION, ENOMEM}, {FAULT_SEND, ENOBUFS},
    {FAULT_SEND, ENOMEM},    {FAULT_RECEIVE, ENOMEM},
};

/* One story with all shortages; gives how many faults of each kind came. */
static void tell_all(void (*tell)(struct story *), uint32_t transport, unsigned long fired[FAULTS])
{
    memset(fired, 0, FAULTS * sizeof *fired);
    for (size_t i = 0; i < COUNT_OF(shortages); i++) {
        struct story story = {.fault = shortages[i].fault, .error = shortages[i].error, .transport = transport, .tell = tell};
        fired[story.fault] += tell_at_every_n(story);
        story.lasting = true;
        fired[story.fault] += tell_at_every_n(story);
    }
}

static void shm_alone(void *unused)
{
    unsigned long fired[FAULTS];
    (void)unused;
    tell_all(tell_alone, RILL_SHM, fired);
    require(fired[FAULT_MEMFD] >= 2);
    require(fired[FAULT_MMAP] >= 2);
    require(fired[FAULT_FALLOCATE] >= 2);
    require(fired[FAULT_SOCKETPAIR] >= 1);
    require(fired[FAULT_ALLOCATION] >= 2);
}

static void shm_sending(void *unused)
{
    unsigned long fired[FAULTS];
    (void)unused;
    tell_all(tell_sending, RILL_SHM, fired);
    require(fired[FAULT_MEMFD] >= 1);
    require(fired[FAULT_MMAP] >= 1);
    require(fired[FAULT_FALLOCATE] >= 1);
    require(fired[FAULT_SEND] >= 1);
}

static void shm_receiving(void *unused)
{
    unsigned long fired[FAULTS];
    (void)unused;
    tell_all(tell_receiving, RILL_SHM, fired);
    require(fired[FAULT_MMAP] >= 1);
    require(fired[FAULT_RECEIVE] >= 1);
    require(fired[FAULT_ALLOCATION] >= 1);
}

static void shm_waiting(void *unused)
{
    unsigned long fired[FAULTS];
    (void)unused;
    tell_all(tell_waiting, RILL_SHM, fired);
    require(fired[FAULT_SOCKETPAIR] >= 2);
}

static void socket_alone(void *unused)
{
    unsigned long fired[FAULTS];
    (void)unused;
    tell_all(tell_alone, RILL_SOCKET, fired);
    require(fired[FAULT_SOCKETPAIR] >= 1);
    require(fired[FAULT_SEND] >= 1);
    require(fired[FAULT_RECEIVE] >= 1);
}

static void inproc_alone(void *unused)
{
    unsigned long fired[FAULTS];
    (void)unused;
    tell_all(tell_alone, RILL_INPROC, fired);
    require(fired[FAULT_ALLOCATION] >= 2);
}

/* ---------------------------------------------------------------- no descriptors */

/* Lets this process open `more` descriptors beyond those it has; SIZE_MAX: as many as before. */
static void allow_descriptors(size_t more)
{
    static struct rlimit first;
    struct rlimit limit;
    if (first.rlim_max == 0)
        require(getrlimit(RLIMIT_NOFILE, &first) == 0);
    limit = first;
    if (more != SIZE_MAX) {
        int lowest = dup(0);
        require(lowest >= 0);
        close(lowest);
        limit.rlim_cur = (rlim_t)lowest + more;
    }
    require(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

static void no_descriptor_to_create(void *unused)
{
    rill_sender *tx = NULL;
    rill_receiver *rx = NULL;
    (void)unused;
    for (size_t more = 0; more < 3; more++) {
        allow_descriptors(more);
        int result = rill_channel(NULL, &tx, &rx);
        if (result != 0) {
            require_code(RILL_ENOFD, result);
            require(tx == NULL && rx == NULL);
            allow_descriptors(SIZE_MAX);
            continue;
        }
        allow_descriptors(SIZE_MAX);
        require_ok(rill_sender_close(&tx));
        require_ok(rill_receiver_close(&rx));
    }
    allow_descriptors(SIZE_MAX);
    require_ok(rill_channel(NULL, &tx, &rx));
    require_ok(send_number(tx, 1));
    require_equal(1, receive_number(rx));
    require_ok(rill_sender_close(&tx));
    require_ok(rill_receiver_close(&rx));
}

static void no_descriptor_to_send(void *unused)
{
    rill_sender *tx = NULL;
    rill_receiver *rx = NULL;
    (void)unused;
    require_ok(rill_channel(NULL, &tx, &rx));
    for (size_t more = 0; more < 4; more++) {
        allow_descriptors(more);
        int result = send_number(tx, more);
        allow_descriptors(SIZE_MAX);
        if (result == 0) {
            require_equal(more, receive_number(rx));
            continue;
        }
        require_code(RILL_ENOFD, result);
        rill_message *message = NULL;
        require_code(RILL_EEMPTY, rill_try_recv(rx, &message));
    }
    require_ok(send_number(tx, 9));
    require_equal(9, receive_number(rx));
    require_ok(rill_sender_close(&tx));
    require_ok(rill_receiver_close(&rx));
}

/* A lane that arrives when no descriptor is free must not be lost in the socket. */
static void no_descriptor_to_receive(void *unused)
{
    rill_sender *tx = NULL;
    rill_receiver *rx = NULL;
    (void)unused;
    require_ok(rill_channel(NULL, &tx, &rx));
    for (unsigned round = 0; round < 5; round++) {
        pid_t child = fork_child();
        test_note = round;
        if (child == 0) {
            for (unsigned i = 0; i < 10; i++)
                require_ok(send_filled(tx, i * 1000, i));
            _exit(0);
        }
        join_child(child);
        allow_descriptors(0);
        rill_message *message = NULL;
        unsigned next = 0;
        int result;
        while ((result = rill_try_recv(rx, &message)) == 0) {
            require_message(&message, next * 1000, next);
            next++;
        }
        require_code(next == 10 ? RILL_EEMPTY : RILL_ENOFD, result);
        for (unsigned i = 0; next < 10 && i < 3; i++)
            require_code(RILL_ENOFD, rill_recv(rx, &message));
        allow_descriptors(SIZE_MAX);
        for (; next < 10; next++)
            receive_filled(rx, next * 1000, next);
        require_code(RILL_EEMPTY, rill_try_recv(rx, &message));
    }
    require_ok(rill_sender_close(&tx));
    require_ok(rill_receiver_close(&rx));
}

static void close_both(rill_sender **tx, rill_receiver **rx)
{
    require_ok(rill_sender_close(tx));
    require_ok(rill_receiver_close(rx));
}

/* Makes channels, each with a message in it, until there is no descriptor; gives how many. tx and rx at that place may be half a channel. */
static size_t make_to_the_last(rill_sender **tx, rill_receiver **rx, size_t most)
{
    for (size_t made = 0; made < most; made++) {
        int result = rill_channel(NULL, &tx[made], &rx[made]);
        if (result == 0)
            result = send_number(tx[made], made);
        if (result != 0) {
            require_code(RILL_ENOFD, result);
            return made;
        }
    }
    require_failed(__FILE__, __LINE__, "there is an end of descriptors");
}

static size_t take_descriptors(int *taken, size_t most)
{
    size_t count = 0;
    while (count < most && (taken[count] = dup(0)) >= 0)
        count++;
    require(count < most);
    return count;
}

static void channels_to_the_last(void *unused)
{
    enum { MOST = 100 };
    rill_sender *tx[MOST] = {0};
    rill_receiver *rx[MOST] = {0};
    rill_message *message = NULL;
    int taken[8];
    (void)unused;
    allow_descriptors(60);
    size_t made = make_to_the_last(tx, rx, MOST);
    require(made >= 5);
    size_t count = take_descriptors(taken, COUNT_OF(taken));
    for (size_t i = 0; i < made; i++)
        require_code(RILL_ENOFD, rill_recv(rx[i], &message));
    while (count > 0)
        close(taken[--count]);
    close_both(&tx[made], &rx[made]);
    made--;
    close_both(&tx[made], &rx[made]);
    for (size_t i = 0; i < made; i++) {
        require_equal(i, receive_number(rx[i]));
        close_both(&tx[i], &rx[i]);
    }
    allow_descriptors(SIZE_MAX);
}

/* ---------------------------------------------------------------- no address space */

static void allow_memory(size_t more)
{
    static struct rlimit first;
    struct rlimit limit;
    size_t pages = 0;
    if (first.rlim_max == 0)
        require(getrlimit(RLIMIT_AS, &first) == 0);
    limit = first;
    if (more != SIZE_MAX) {
        FILE *file = fopen("/proc/self/statm", "re");
        require(file != NULL && fscanf(file, "%zu", &pages) == 1);
        fclose(file);
        limit.rlim_cur = pages * 4096 + more;
    }
    require(setrlimit(RLIMIT_AS, &limit) == 0);
}

/* Sends until memory is out, in messages of that size; all of them arrive, and then it goes on. */
static void fill_address_space(uint32_t transport, size_t size)
{
    struct rill_channel_options options = {.size = sizeof options, .transport = transport};
    rill_sender *tx = NULL;
    rill_receiver *rx = NULL;
    unsigned char *bytes = malloc(size);
    uint64_t sent = 0, number, sender;
    int result;
    require(bytes != NULL);
    require_ok(rill_channel(&options, &tx, &rx));
    for (unsigned round = 0; round < 3; round++) {
        uint64_t first = sent;
        allow_memory(24 * MIB);
        for (;; sent++) {
            stamp(bytes, size, 1, sent);
            result = rill_send(tx, bytes, size);
            if (result != 0 || sent - first > 64 * MIB / size)
                break;
        }
        require_code(RILL_ENOMEM, result);
        allow_memory(SIZE_MAX);
        for (uint64_t i = first; i < sent; i++) {
            rill_message *message = NULL;
            require_ok(rill_recv(rx, &message));
            require(stamped(rill_message_data(message), rill_message_size(message), &sender, &number));
            require_equal(i, number);
            require_ok(rill_message_close(&message));
        }
        require_ok(send_number(tx, 5));
        require_equal(5, receive_number(rx));
    }
    free(bytes);
    require_ok(rill_sender_close(&tx));
    require_ok(rill_receiver_close(&rx));
}

static void no_address_space(void *unused)
{
    (void)unused;
    if (SANITIZED)
        skip_test("a sanitizer needs the address space itself");
    for (uint32_t i = 0; i < 2; i++) {
        uint32_t transport = i ? RILL_INPROC : RILL_SHM;
        fill_address_space(transport, 100);
        fill_address_space(transport, 5000);
        fill_address_space(transport, 100000);
        fill_address_space(transport, 3 * MIB);
    }
}

static void no_room_for_the_message(void *unused)
{
    rill_sender *tx = NULL;
    rill_receiver *rx = NULL;
    unsigned char *bytes = calloc(1, 64 * MIB);
    (void)unused;
    if (SANITIZED)
        skip_test("a sanitizer needs the address space itself");
    require_ok(rill_channel(NULL, &tx, &rx));
    allow_memory(16 * MIB);
    for (unsigned i = 0; i < 5; i++) {
        require_code(RILL_ENOMEM, rill_send(tx, bytes, 64 * MIB));
        require_ok(send_number(tx, i));
        require_equal(i, receive_number(rx));
    }
    allow_memory(SIZE_MAX);
    require_ok(rill_send(tx, bytes, 64 * MIB));
    rill_message *message = NULL;
    require_ok(rill_recv(rx, &message));
    require_equal(64 * MIB, rill_message_size(message));
    require_ok(rill_message_close(&message));
    free(bytes);
    require_ok(rill_sender_close(&tx));
    require_ok(rill_receiver_close(&rx));
}

/* The receiver cannot map what the sender has sent. */
static void no_address_space_to_receive(void *unused)
{
    rill_sender *tx = NULL;
    rill_receiver *rx = NULL;
    (void)unused;
    if (SANITIZED)
        skip_test("a sanitizer needs the address space itself");
    require_ok(rill_channel(NULL, &tx, &rx));
    pid_t child = fork_child();
    if (child == 0) {
        for (unsigned i = 0; i < 20; i++)
            require_ok(send_filled(tx, i * 300000, i));
        _exit(0);
    }
    join_child(child);
    allow_memory(2 * MIB);
    rill_message *message = NULL;
    unsigned next = 0;
    int result;
    while ((result = rill_try_recv(rx, &message)) == 0) {
        require_message(&message, next * 300000, next);
        next++;
    }
    require_code(RILL_ENOMEM, result);
    allow_memory(SIZE_MAX);
    for (; next < 20; next++)
        receive_filled(rx, next * 300000, next);
    require_ok(rill_sender_close(&tx));
    require_ok(rill_receiver_close(&rx));
}

/* ---------------------------------------------------------------- a full socket */

/* More newcomers than a socket holds packets: they may be told to try again, and in the end all have sent. */
static void crowd_of_newcomers(void *unused)
{
    enum { CROWD = SANITIZED ? 40 : 400 };
    static pid_t children[CROWD];
    static bool seen[CROWD];
    rill_sender *tx = NULL;
    rill_receiver *rx = NULL;
    struct board *board = board_make(NULL);
    (void)unused;
    require_ok(rill_channel(NULL, &tx, &rx));
    for (unsigned i = 0; i < CROWD; i++) {
        children[i] = fork_child();
        if (children[i] != 0)
            continue;
        require_ok(rill_receiver_close(&rx));
        int result = send_number(tx, i);
        atomic_fetch_add(&board->value[0], 1);
        while (result == RILL_EAGAIN) {
            usleep(1000); /* try again later */
            result = send_number(tx, i);
        }
        require_ok(result);
        _exit(0);
    }
    require_ok(rill_sender_close(&tx));
    while (atomic_load(&board->value[0]) < CROWD)
        usleep(1000);
    for (unsigned i = 0; i < CROWD; i++) {
        uint64_t number = receive_number(rx);
        require(number < CROWD && !seen[number]);
        seen[number] = true;
    }
    rill_message *message = NULL;
    require_code(RILL_EDISCONNECTED, rill_recv(rx, &message));
    for (unsigned i = 0; i < CROWD; i++)
        join_child(children[i]);
    require_ok(rill_receiver_close(&rx));
    munmap(board, sizeof *board);
}

/* No memory can be added. What goes round suffices, though it would be more if it could. A ring needs two blocks to go round, large messages one. */
static void goes_on_with_what_it_has(void *argument)
{
    const size_t size = *(const size_t *)argument;
    const bool large = size > 65536;
    rill_sender *tx = NULL;
    rill_receiver *rx = NULL;
    require_ok(rill_channel(NULL, &tx, &rx));
    for (unsigned i = 0; i < (large ? 50 : 400); i++) {
        if (i == (large ? 2 : 200)) {
            faults_prepare(FAULT_FALLOCATE, 1, ENOSPC, true);
            faults_on();
        }
        require_ok(send_filled(tx, size, i));
        receive_filled(rx, size, i);
    }
    faults_off();
    require(!large || faults_fired() > 0);
    faults_end();
    close_both(&tx, &rx);
}

static size_t in_ring = 1000, in_arena = 100000, in_few_blocks = 1 << 20;

static const struct test tests[] = {
    {"shm: whatever fails, the call says so, nothing is lost, and it goes on", shm_alone, NULL, 120},
    {"shm: whatever fails with the sender, nothing is lost, and it goes on", shm_sending, NULL, 120},
    {"shm: whatever fails with the receiver, nothing is lost, and it goes on", shm_receiving, NULL, 120},
    {"shm: whatever fails in a wait for room, it goes on", shm_waiting, NULL, 120},
    {"socket: whatever fails, the call says so, nothing is lost, and it goes on", socket_alone, NULL, 120},
    {"inproc: whatever fails, the call says so, nothing is lost, and it goes on", inproc_alone, NULL, 120},
    {"without descriptors no channel is made, and with them again it is", no_descriptor_to_create, NULL, 0},
    {"without descriptors the first send fails, and with them again it goes on", no_descriptor_to_send, NULL, 0},
    {"without descriptors a new sender's messages wait", no_descriptor_to_receive, NULL, 0},
    {"channels are made to the last descriptor, and go on when some are closed", channels_to_the_last, NULL, 0},
    {"without address space sends fail, what was sent arrives, and it goes on", no_address_space, NULL, 60},
    {"a message too large for the address space does not keep a small one back", no_room_for_the_message, NULL, 0},
    {"what the receiver cannot map waits until it can", no_address_space_to_receive, NULL, 0},
    {"without memory to add small messages go on", goes_on_with_what_it_has, &in_ring, 0},
    {"without memory to add large messages go on", goes_on_with_what_it_has, &in_arena, 0},
    {"without memory to add messages of 1 MiB go on", goes_on_with_what_it_has, &in_few_blocks, 0},
    {"a crowd of newcomers all get in", crowd_of_newcomers, NULL, 60},
};

int main(void)
{
    return run_group("bad days", tests, COUNT_OF(tests));
}
