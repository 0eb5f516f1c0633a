/* SPDX-License-Identifier: MIT */
/* Programs that are started with ends, and what they must not get. */
#include "support.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "faults.h"

static char program[512];
static uint32_t shm = RILL_SHM, stream = RILL_SOCKET;
static char mode_echo[] = "--echo", mode_count[] = "--count", mode_bad[] = "--bad", mode_env[] = "--environment";
static char mode_kinds[] = "--kinds", mode_close[] = "--close", mode_nested[] = "--nested", mode_many[] = "--many";

static int start(char *mode, struct rill_handle *handles, size_t count, char *const *environment, pid_t *child)
{
    char *arguments[] = {program, mode, NULL};
    return rill_spawn(program, arguments, environment, handles, count, child);
}

static struct rill_handle of_sender(rill_sender *sender)
{
    return (struct rill_handle){.kind = RILL_HANDLE_SENDER, .as.sender = sender};
}

static struct rill_handle of_receiver(rill_receiver *receiver)
{
    return (struct rill_handle){.kind = RILL_HANDLE_RECEIVER, .as.receiver = receiver};
}

/* ---------------------------------------------------------------- what a started program does */

static int run_echo(void)
{
    struct rill_handle in, out;
    rill_message *message = NULL;
    require_ok(rill_inherited(1, &in));
    require_ok(rill_inherited(0, &out));
    require_equal(RILL_HANDLE_RECEIVER, in.kind);
    require_equal(RILL_HANDLE_SENDER, out.kind);
    require_code(RILL_EINVAL, rill_inherited(0, &(struct rill_handle){0}));
    require_code(RILL_EINVAL, rill_inherited(1, &(struct rill_handle){0}));
    require_code(RILL_EINVAL, rill_inherited(2, &(struct rill_handle){0}));
    require_code(RILL_EINVAL, rill_inherited(SIZE_MAX, &(struct rill_handle){0}));
    while (rill_recv(in.as.receiver, &message) == 0) {
        require_ok(rill_send(out.as.sender, rill_message_data(message), rill_message_size(message)));
        require_ok(rill_message_close(&message));
    }
    require_ok(rill_receiver_close(&in.as.receiver));
    require_ok(rill_sender_close(&out.as.sender));
    return 0;
}

/* Answers with the number of descriptors that it was started with, beyond 0, 1 and 2, and marks what it takes as its own. */
static int run_count(void)
{
    struct rill_handle out;
    size_t open = 0, close_on_exec = 0;
    for (int i = 3; i < 256; i++)
        open += fcntl(i, F_GETFD) >= 0;
    require_ok(rill_inherited(0, &out));
    require_ok(send_number(out.as.sender, open));
    for (int i = 3; i < 256; i++)
        close_on_exec += fcntl(i, F_GETFD) >= 0 && fcntl(i, F_GETFD) & FD_CLOEXEC;
    require_ok(send_number(out.as.sender, close_on_exec));
    require_ok(rill_sender_close(&out.as.sender));
    return 0;
}

static struct rill_handle inherited(size_t index, uint32_t kind)
{
    struct rill_handle handle = {0};
    require_ok(rill_inherited(index, &handle));
    require_equal(kind, handle.kind);
    return handle;
}

/* One of each kind. Answers with what it found; closing what it was given leaves its standard input open. */
static int run_kinds(void)
{
    struct rill_handle out = inherited(0, RILL_HANDLE_SENDER), end = inherited(1, RILL_HANDLE_DESCRIPTOR), region = inherited(2, RILL_HANDLE_REGION);
    struct rill_handle other = inherited(3, RILL_HANDLE_SENDER);
    struct rill_handle input = inherited(4, RILL_HANDLE_DESCRIPTOR), again = inherited(5, RILL_HANDLE_DESCRIPTOR);
    require(write(end.as.descriptor, "pipe", 4) == 4);
    require(end.as.descriptor != again.as.descriptor && input.as.descriptor > 2);
    require_ok(rill_handle_close(&input));
    require_ok(rill_handle_close(&end));
    require(write(again.as.descriptor, "line", 4) == 4);
    require(fcntl(0, F_GETFD) >= 0);
    require_ok(rill_send(out.as.sender, rill_region_data(region.as.region), rill_region_size(region.as.region)));
    require_ok(send_number(other.as.sender, 55));
    struct rill_handle *all[] = {&out, &region, &other, &again};
    for (size_t i = 0; i < COUNT_OF(all); i++)
        require_ok(rill_handle_close(all[i]));
    require_equal(3, count_descriptors()); /* nothing is left of it */
    return 0;
}

/* Takes one sender, and closes the other handles. Then its parent sees both ends of the rest closed, while it goes on. */
static int run_close(void)
{
    struct rill_handle out = inherited(0, RILL_HANDLE_SENDER), in;
    require_ok(rill_inherited_close());
    require_code(RILL_EINVAL, rill_inherited(1, &in));
    require_ok(rill_inherited_close());
    require_ok(send_number(out.as.sender, count_descriptors()));
    pause();
    return 0;
}

/* A program that this one starts in the ordinary way inherits nothing. */
static int run_nested(void)
{
    struct rill_handle out = inherited(0, RILL_HANDLE_SENDER);
    require(strtol(getenv("RILL_INHERITED"), NULL, 10) <= 0); /* the number may soon be somebody else's */
    pid_t child = fork_child();
    if (child == 0) {
        execl(program, program, mode_bad, (char *)NULL);
        _exit(9);
    }
    join_child(child);
    require_ok(send_number(out.as.sender, 1));
    require_ok(rill_handle_close(&out));
    return 0;
}

static void *take_some(void *from)
{
    for (size_t i = (size_t)(uintptr_t)from; i < 1000; i += 4) {
        struct rill_handle each = inherited(i, i % 2 ? RILL_HANDLE_SENDER : RILL_HANDLE_DESCRIPTOR);
        if (i % 2)
            require_ok(send_number(each.as.sender, i));
        require_ok(rill_handle_close(&each));
    }
    return NULL;
}

/* Threads take their parts at once. */
static int run_many(void)
{
    pthread_t threads[4];
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        require(pthread_create(&threads[i], NULL, take_some, (void *)(uintptr_t)i) == 0);
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        require(pthread_join(threads[i], NULL) == 0);
    require_equal(3, count_descriptors());
    return 0;
}

static int run_environment(void)
{
    const char *word = getenv("RILL_TEST_WORD");
    return word && strcmp(word, "drop") == 0 && !getenv("HOME") ? 0 : 1;
}

/* RILL_INHERITED is not what rill wrote. Nothing may be taken, and 0, 1, 2 stay open. */
static int run_bad(void)
{
    struct rill_handle handle = {.kind = 77};
    for (size_t i = 0; i < 5; i++) {
        int result = rill_inherited(i, &handle);
        require(result == RILL_EINVAL || result == RILL_EVERSION);
    }
    require_equal(77, handle.kind);
    for (int i = 0; i < 3; i++)
        require(fcntl(i, F_GETFD) >= 0);
    return 0;
}

/* ---------------------------------------------------------------- tests */

static void channel(uint32_t transport, rill_sender **sender, rill_receiver **receiver)
{
    struct rill_channel_options options = {.size = sizeof options, .transport = transport};
    require_ok(rill_channel(&options, sender, receiver));
}

static void echo_over(uint32_t transport)
{
    rill_sender *tx[2];
    rill_receiver *rx[2];
    pid_t child = 0;
    channel(transport, &tx[0], &rx[0]);
    channel(transport, &tx[1], &rx[1]);
    require_ok(send_filled(tx[0], 500, 1)); /* before there is anybody */
    struct rill_handle handles[2] = {of_sender(tx[1]), of_receiver(rx[0])};
    require_ok(start(mode_echo, handles, 2, NULL, &child));
    require(child > 0);
    require(handles[1].as.receiver == NULL);
    require(handles[0].as.sender == tx[1]);
    require_ok(rill_sender_close(&tx[1]));
    receive_filled(rx[1], 500, 1);
    for (unsigned i = 0; i < 300; i++) {
        require_ok(send_filled(tx[0], i * 100, i));
        receive_filled(rx[1], i * 100, i);
    }
    require_ok(rill_sender_close(&tx[0]));
    rill_message *message = NULL;
    require_code(RILL_EDISCONNECTED, rill_recv(rx[1], &message));
    join_child(child);
    require_ok(rill_receiver_close(&rx[1]));
}

static void echo_shm(void *unused)
{
    (void)unused;
    echo_over(RILL_SHM);
}

static void echo_socket(void *unused)
{
    (void)unused;
    echo_over(RILL_SOCKET);
}

static void same_sender_twice(void *unused)
{
    rill_sender *tx[2];
    rill_receiver *rx[2];
    pid_t child;
    (void)unused;
    channel(RILL_SHM, &tx[0], &rx[0]);
    channel(RILL_SHM, &tx[1], &rx[1]);
    struct rill_handle handles[3] = {of_sender(tx[1]), of_receiver(rx[0]), of_sender(tx[1])};
    require_ok(rill_sender_close(&tx[0]));
    char *arguments[] = {program, mode_count, NULL};
    require_ok(rill_spawn(program, arguments, NULL, handles, 3, &child));
    join_child(child);
    require_ok(rill_sender_close(&tx[1]));
    receive_number(rx[1]);
    receive_number(rx[1]);
    require_ok(rill_receiver_close(&rx[1]));
}

static void require_unchanged(struct rill_handle *handle, rill_receiver *receiver, rill_sender *sender)
{
    require(handle->as.receiver == receiver);
    require_ok(send_number(sender, 3));
    require_equal(3, receive_number(receiver));
}

static void used_receiver_moves(void *transport)
{
    enum { SENT = 400, TAKEN = 150 };
    rill_sender *tx[2];
    rill_receiver *rx[2];
    rill_message *held = NULL;
    pid_t child;
    channel(*(uint32_t *)transport, &tx[0], &rx[0]);
    channel(*(uint32_t *)transport, &tx[1], &rx[1]);
    pid_t producer = fork_child();
    if (producer == 0) {
        for (unsigned i = 0; i < SENT; i++)
            require_ok(send_filled(tx[0], i * 10, i));
        _exit(0);
    }
    for (unsigned i = 0; i < TAKEN; i++)
        receive_filled(rx[0], i * 10, i);
    require_ok(rill_recv(rx[0], &held));
    struct rill_handle handles[2] = {of_sender(tx[1]), of_receiver(rx[0])};
    require_ok(start(mode_echo, handles, 2, NULL, &child));
    require(handles[1].as.receiver == NULL);
    require_ok(rill_sender_close(&tx[0]));
    require_ok(rill_sender_close(&tx[1]));
    for (unsigned i = TAKEN + 1; i < SENT; i++)
        receive_filled(rx[1], i * 10, i);
    require_message(&held, TAKEN * 10, TAKEN); /* it stays readable here */
    join_child(producer);
    join_child(child);
    require_code(RILL_EDISCONNECTED, rill_recv(rx[1], &held));
    require_ok(rill_receiver_close(&rx[1]));
}

/* A sender that was received and never opened. */
static rill_opaque *opaque_of(rill_sender *sender, uint32_t transport)
{
    rill_sender *tx;
    rill_receiver *rx;
    rill_message *message;
    struct rill_handle handle = of_sender(sender);
    channel(transport, &tx, &rx);
    require_ok(rill_send_handles(tx, NULL, 0, &handle, 1));
    require_ok(rill_recv(rx, &message));
    require_ok(rill_message_take(message, 0, RILL_HANDLE_OPAQUE, &handle));
    require_ok(rill_message_close(&message));
    require_ok(rill_sender_close(&tx));
    require_ok(rill_receiver_close(&rx));
    return handle.as.opaque;
}

static void every_kind(void *transport)
{
    rill_sender *tx[2];
    rill_receiver *rx[2];
    rill_region *region;
    rill_message *message;
    int line[2];
    char text[9] = {0};
    pid_t child;
    channel(*(uint32_t *)transport, &tx[0], &rx[0]);
    channel(*(uint32_t *)transport, &tx[1], &rx[1]);
    require_ok(rill_region_make_filled('r', 10000, NULL, &region));
    require(pipe2(line, O_CLOEXEC) == 0);
    struct rill_handle handles[6] = {
        of_sender(tx[0]),
        {.kind = RILL_HANDLE_DESCRIPTOR, .as.descriptor = line[1]},
        {.kind = RILL_HANDLE_REGION, .as.region = region},
        {.kind = RILL_HANDLE_OPAQUE, .as.opaque = opaque_of(tx[1], *(uint32_t *)transport)},
        {.kind = RILL_HANDLE_DESCRIPTOR, .as.descriptor = 0},
        {.kind = RILL_HANDLE_DESCRIPTOR, .as.descriptor = line[1]},
    };
    require_ok(start(mode_kinds, handles, 6, NULL, &child));
    require(handles[3].as.opaque == NULL && handles[2].as.region == region && handles[1].as.descriptor == line[1]);
    close(line[1]);
    require_ok(rill_sender_close(&tx[0]));
    require_ok(rill_sender_close(&tx[1]));
    require_ok(rill_region_close(&region));
    require_ok(rill_recv(rx[0], &message));
    require_equal(10000, rill_message_size(message));
    require_equal('r', *(const char *)rill_message_data(message));
    require_ok(rill_message_close(&message));
    require_equal(55, receive_number(rx[1]));
    join_child(child);
    require_equal(8, read(line[0], text, 8));
    require(strcmp(text, "pipeline") == 0);
    require_equal(0, read(line[0], text, 8));
    close(line[0]);
    require_code(RILL_EDISCONNECTED, rill_recv(rx[0], &message));
    require_code(RILL_EDISCONNECTED, rill_recv(rx[1], &message));
    require_ok(rill_receiver_close(&rx[0]));
    require_ok(rill_receiver_close(&rx[1]));
}

static void not_taken(void *unused)
{
    rill_sender *tx[3];
    rill_receiver *rx[3];
    rill_message *message;
    pid_t child;
    (void)unused;
    for (unsigned i = 0; i < 3; i++)
        channel(RILL_SHM, &tx[i], &rx[i]);
    struct rill_handle handles[3] = {of_sender(tx[0]), of_receiver(rx[1]), of_sender(tx[2])};
    require_ok(start(mode_close, handles, 3, NULL, &child));
    require_ok(rill_sender_close(&tx[2]));
    require_equal(5, receive_number(rx[0])); /* 0, 1, 2, socket and page */
    require_code(RILL_EBROKEN, send_number(tx[1], 1));
    require_code(RILL_EDISCONNECTED, rill_recv(rx[2], &message));
    kill_child(child);
    require_ok(rill_sender_close(&tx[0]));
    require_ok(rill_sender_close(&tx[1]));
    require_ok(rill_receiver_close(&rx[0]));
    require_ok(rill_receiver_close(&rx[2]));
}

static void nested(void *unused)
{
    rill_sender *tx;
    rill_receiver *rx;
    pid_t child;
    (void)unused;
    channel(RILL_SHM, &tx, &rx);
    struct rill_handle handle = of_sender(tx);
    require_ok(start(mode_nested, &handle, 1, NULL, &child));
    require_equal(1, receive_number(rx));
    join_child(child);
    require_ok(rill_sender_close(&tx));
    require_ok(rill_receiver_close(&rx));
}

/* A thousand, most of them of few objects. */
static void many(void *unused)
{
    static struct rill_handle handles[1000];
    bool seen[1000] = {false};
    rill_sender *tx[7];
    rill_receiver *rx[7];
    pid_t child;
    (void)unused;
    for (unsigned i = 0; i < 7; i++)
        channel(i % 2 ? RILL_SHM : RILL_SOCKET, &tx[i], &rx[i]);
    for (unsigned i = 0; i < 1000; i++)
        handles[i] = i % 2 ? of_sender(tx[i % 7]) : (struct rill_handle){.kind = RILL_HANDLE_DESCRIPTOR, .as.descriptor = 1};
    struct rlimit limit;
    require(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    limit.rlim_cur = limit.rlim_max;
    require(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    if (limit.rlim_cur < 4000)
        skip_test("too few descriptors");
    require_ok(start(mode_many, handles, 1000, NULL, &child));
    for (unsigned i = 1; i < 1000; i += 2) {
        uint64_t number = receive_number(rx[i % 7]);
        require(number < 1000 && number % 7 == i % 7 && !seen[number]);
        seen[number] = true;
    }
    join_child(child);
    for (unsigned i = 0; i < 7; i++) {
        require_ok(rill_sender_close(&tx[i]));
        require_ok(rill_receiver_close(&rx[i]));
    }
}

static void *receive_forever(void *argument)
{
    rill_message *message;
    announce(((void **)argument)[0], 0);
    require_code(RILL_EINTERRUPTED, rill_recv(((void **)argument)[1], &message));
    return NULL;
}

static void receivers_in_use(void *unused)
{
    rill_sender *tx;
    rill_receiver *rx;
    rill_set *set;
    uint64_t id;
    pthread_t thread;
    pid_t child = -5;
    (void)unused;
    channel(RILL_SHM, &tx, &rx);
    void *both[2] = {board_make(NULL), rx};
    struct rill_handle handle = of_receiver(rx);
    require(pthread_create(&thread, NULL, receive_forever, both) == 0);
    wait_until_asleep(both[0], 0);
    require_code(RILL_EBUSY, start(mode_count, &handle, 1, NULL, &child));
    require_ok(rill_receiver_interrupt(rx));
    require(pthread_join(thread, NULL) == 0);
    require(handle.as.receiver == rx);
    require_ok(rill_set_create(NULL, &set));
    require_ok(rill_set_add(set, &rx, NULL, &id));
    require_code(RILL_EINSET, start(mode_count, &handle, 1, NULL, &child));
    require_ok(rill_set_remove(set, id, &rx));
    require_ok(rill_set_close(&set));
    require_equal(-5, child);
    require_unchanged(&handle, rx, tx);
    require_ok(rill_sender_close(&tx));
    require_ok(rill_receiver_close(&rx));
}

static void shortages(void *unused)
{
    static const struct {
        enum fault fault;
        int error, code;
    } cases[] = {{FAULT_ALLOCATION, ENOMEM, RILL_ENOMEM}, {FAULT_MEMFD, EMFILE, RILL_ENOFD}, {FAULT_MMAP, ENOMEM, RILL_ENOMEM}};
    rill_sender *tx[2];
    rill_receiver *rx[2];
    (void)unused;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        for (unsigned long n = 1;; n++) {
            pid_t child;
            test_note = (long long)(i * 100 + n);
            channel(RILL_SHM, &tx[0], &rx[0]);
            channel(RILL_SHM, &tx[1], &rx[1]);
            require_ok(send_number(tx[0], 6));
            require_ok(send_number(tx[0], 7));
            require_equal(6, receive_number(rx[0]));
            struct rill_handle handles[2] = {of_sender(tx[1]), of_receiver(rx[0])};
            faults_prepare(cases[i].fault, n, cases[i].error, false);
            faults_on();
            int code = start(mode_echo, handles, 2, NULL, &child);
            faults_off();
            bool fired = faults_fired() > 0;
            faults_end();
            if (code != RILL_OK) {
                require_code(cases[i].code, code);
                require(handles[1].as.receiver == rx[0]);
                require_ok(start(mode_echo, handles, 2, NULL, &child));
            }
            require_ok(rill_sender_close(&tx[0]));
            require_equal(7, receive_number(rx[1]));
            require_ok(rill_sender_close(&tx[1]));
            join_child(child);
            require_ok(rill_receiver_close(&rx[1]));
            if (!fired)
                break;
        }
    }
}

static void only_what_was_given(void *unused)
{
    rill_sender *tx[3];
    rill_receiver *rx[3];
    pid_t child;
    (void)unused;
    for (unsigned i = 0; i < 3; i++) {
        channel(i == 1 ? RILL_SOCKET : RILL_SHM, &tx[i], &rx[i]);
        require_ok(send_number(tx[i], 1));
        require_equal(1, receive_number(rx[i]));
    }
    struct rill_handle handle = of_sender(tx[0]);
    require_ok(start(mode_count, &handle, 1, NULL, &child));
    uint64_t given = receive_number(rx[0]), kept = receive_number(rx[0]);
    require_equal(3, given); /* socket, page, and the list */
    require(kept >= given);
    join_child(child);
    for (unsigned i = 0; i < 3; i++) {
        require_ok(rill_sender_close(&tx[i]));
        require_ok(rill_receiver_close(&rx[i]));
    }
}

static void environment_is_passed(void *unused)
{
    char word[] = "RILL_TEST_WORD=drop";
    char *environment[] = {word, NULL};
    pid_t child;
    (void)unused;
    require_ok(start(mode_env, NULL, 0, environment, &child));
    join_child(child);
}

static void killed_program_ends_channel(void *unused)
{
    rill_sender *tx[2];
    rill_receiver *rx[2];
    pid_t child;
    rill_message *message = NULL;
    (void)unused;
    channel(RILL_SHM, &tx[0], &rx[0]);
    channel(RILL_SHM, &tx[1], &rx[1]);
    struct rill_handle handles[2] = {of_sender(tx[1]), of_receiver(rx[0])};
    require_ok(start(mode_echo, handles, 2, NULL, &child));
    require_ok(rill_sender_close(&tx[1]));
    require_ok(send_number(tx[0], 4));
    require_equal(4, receive_number(rx[1]));
    kill_child(child);
    require_code(RILL_EDISCONNECTED, rill_recv(rx[1], &message));
    int result = 0;
    for (unsigned i = 0; result == 0 && i < 100000; i++)
        result = send_filled(tx[0], 1000, i);
    require_code(RILL_EBROKEN, result);
    require_ok(rill_sender_close(&tx[0]));
    require_ok(rill_receiver_close(&rx[1]));
}

/* ---------------------------------------------------------------- bad input */

static void refused(void *unused)
{
    static char missing[] = "/nonexistent/program";
    char *arguments[] = {missing, NULL};
    rill_sender *tx;
    rill_receiver *rx;
    pid_t child = -5;
    (void)unused;
    channel(RILL_SHM, &tx, &rx);
    struct rill_handle handle = of_receiver(rx);
    require_code(RILL_EINVAL, rill_spawn(NULL, arguments, NULL, &handle, 1, &child));
    require_code(RILL_EINVAL, rill_spawn(program, NULL, NULL, &handle, 1, &child));
    require_code(RILL_EINVAL, rill_spawn(program, arguments, NULL, NULL, 1, &child));
    require_code(RILL_EINVAL, rill_spawn(program, arguments, NULL, &handle, 1, NULL));
    require_code(RILL_EINVAL, rill_spawn(program, arguments, NULL, &handle, 1001, &child));
    require_code(RILL_EINVAL, rill_spawn(program, arguments, NULL, &handle, SIZE_MAX, &child));
    for (uint32_t kind = 0; kind < 20; kind++) {
        struct rill_handle wrong = {.kind = kind};
        if (kind == RILL_HANDLE_DESCRIPTOR)
            wrong.as.descriptor = -1;
        else if (kind != RILL_HANDLE_SENDER && kind != RILL_HANDLE_RECEIVER)
            wrong.as.sender = tx;
        int wanted = kind == RILL_HANDLE_DESCRIPTOR ? RILL_EDESCRIPTOR : RILL_EINVAL;
        require_code(wanted, rill_spawn(program, arguments, NULL, &wrong, 1, &child));
    }
    struct rill_handle crossed[2] = {of_receiver((rill_receiver *)(void *)tx), of_sender((rill_sender *)(void *)rx)};
    require_code(RILL_EINVAL, rill_spawn(program, arguments, NULL, &crossed[0], 1, &child));
    require_code(RILL_EINVAL, rill_spawn(program, arguments, NULL, &crossed[1], 1, &child));
    struct rill_handle twice[2] = {handle, handle};
    require_code(RILL_EINVAL, rill_spawn(program, arguments, NULL, twice, 2, &child));
    errno = 0;
    require_code(RILL_ESYSTEM, rill_spawn(missing, arguments, NULL, &handle, 1, &child));
    require_equal(ENOENT, errno);
    require_equal(-5, child);
    require_unchanged(&handle, rx, tx);
    require_ok(rill_sender_close(&tx));
    require_ok(rill_receiver_close(&rx));
}

static void foreign_variables(void *unused)
{
    static const char *const values[] = {"",
                                         " ",
                                         "0",
                                         "0 1 2",
                                         "1:0,1",
                                         "0,1,2",
                                         "s0",
                                         "s0,1",
                                         "r1 2",
                                         "s:0:1,r:1:2",
                                         "-1",
                                         "s-1,-1",
                                         "99999999999999999999999",
                                         "s4294967296,4294967297",
                                         ",,,,,,",
                                         ";;;",
                                         "%s%n",
                                         "s0,1 s0,1 s0,1",
                                         "\xff\xfe\x80"};
    (void)unused;
    for (size_t i = 0; i < COUNT_OF(values); i++) {
        char word[128];
        char *environment[] = {word, NULL};
        pid_t child;
        test_note = (long long)i;
        snprintf(word, sizeof word, "RILL_INHERITED=%s", values[i]);
        child = fork_child();
        if (child == 0) {
            char *arguments[] = {program, mode_bad, NULL};
            execve(program, arguments, environment);
            _exit(9);
        }
        join_child(child);
    }
}

/* Learns how rill writes the variable, and spoils it in many places. */
static void spoilt_variables(void *unused)
{
    rill_sender *tx;
    rill_receiver *rx;
    static char mode[] = "--show";
    char text[256] = {0};
    int pipe_ends[2];
    pid_t child;
    (void)unused;
    channel(RILL_SHM, &tx, &rx);
    require(pipe(pipe_ends) == 0);
    char number[16], word[64];
    snprintf(number, sizeof number, "%d", pipe_ends[1]);
    snprintf(word, sizeof word, "RILL_TEST_PIPE=%s", number);
    char *environment[] = {word, NULL};
    struct rill_handle handle = of_sender(tx);
    require_ok(start(mode, &handle, 1, environment, &child));
    join_child(child);
    close(pipe_ends[1]);
    require(read(pipe_ends[0], text, sizeof text - 1) > 0);
    close(pipe_ends[0]);
    require_ok(rill_sender_close(&tx));
    require_ok(rill_receiver_close(&rx));

    struct dice dice = {17};
    for (unsigned i = 0; i < rounds(200); i++) {
        char spoilt[300];
        snprintf(spoilt, sizeof spoilt, "RILL_INHERITED=%s", text);
        size_t at = strlen("RILL_INHERITED=") + roll(&dice) % strlen(text);
        char was = spoilt[at];
        while (spoilt[at] == was)
            spoilt[at] = (char)(roll(&dice) % 2 ? roll_between(&dice, '0', '9') : roll_between(&dice, 1, 127));
        child = fork_child();
        if (child == 0) {
            char *arguments[] = {program, mode_bad, NULL};
            char *spoilt_environment[] = {spoilt, NULL};
            execve(program, arguments, spoilt_environment);
            _exit(9);
        }
        join_child(child);
    }
}

static int run_show(void)
{
    const char *text = getenv("RILL_INHERITED"), *number = getenv("RILL_TEST_PIPE");
    if (!text || !number)
        return 1;
    return write((int)strtol(number, NULL, 10), text, strlen(text)) == (ssize_t)strlen(text) ? 0 : 1;
}

static void nothing_inherited(void *unused)
{
    struct rill_handle handle;
    (void)unused;
    unsetenv("RILL_INHERITED");
    require_code(RILL_EINVAL, rill_inherited(0, &handle));
    require_code(RILL_EINVAL, rill_inherited(0, NULL));
}

static const struct test tests[] = {
    {"a started program takes its ends in any order and echoes, over shared memory", echo_shm, NULL, 0},
    {"a started program takes its ends in any order and echoes, over a socket", echo_socket, NULL, 0},
    {"a receiver that has received moves to a started program with its queue, over shared memory", used_receiver_moves, &shm, 0},
    {"a receiver that has received moves to a started program with its queue, over a socket", used_receiver_moves, &stream, 0},
    {"a program inherits handles of every kind, over shared memory", every_kind, &shm, 0},
    {"a program inherits handles of every kind, over a socket", every_kind, &stream, 0},
    {"what a program does not take it can close", not_taken, NULL, 0},
    {"a program that a started program starts inherits nothing", nested, NULL, 0},
    {"a program takes a thousand handles, with several threads", many, NULL, 60},
    {"a receiver that is in use is not given away", receivers_in_use, NULL, 0},
    {"a shortage starts no program and leaves the handles", shortages, NULL, 60},
    {"a program may be given the same sender twice", same_sender_twice, NULL, 0},
    {"a started program gets the descriptors of its ends and no other", only_what_was_given, NULL, 0},
    {"the environment is passed", environment_is_passed, NULL, 0},
    {"a killed program ends both of its channels", killed_program_ends_channel, NULL, 0},
    {"what cannot be started is refused, and the ends are as before", refused, NULL, 0},
    {"a foreign RILL_INHERITED gives nothing", foreign_variables, NULL, 0},
    {"a spoilt RILL_INHERITED gives nothing", spoilt_variables, NULL, 0},
    {"a program that nobody started with ends inherits none", nothing_inherited, NULL, 0},
};

int main(int argc, char **argv)
{
    if (readlink("/proc/self/exe", program, sizeof program - 1) <= 0)
        return 2;
    if (argc == 2) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        alarm(patience(60));
        if (strcmp(argv[1], mode_echo) == 0)
            return run_echo();
        if (strcmp(argv[1], mode_count) == 0)
            return run_count();
        if (strcmp(argv[1], mode_bad) == 0)
            return run_bad();
        if (strcmp(argv[1], mode_env) == 0)
            return run_environment();
        if (strcmp(argv[1], mode_kinds) == 0)
            return run_kinds();
        if (strcmp(argv[1], mode_close) == 0)
            return run_close();
        if (strcmp(argv[1], mode_nested) == 0)
            return run_nested();
        if (strcmp(argv[1], mode_many) == 0)
            return run_many();
        if (strcmp(argv[1], "--show") == 0)
            return run_show();
        return 2;
    }
    require(close_range(3, ~0u, CLOSE_RANGE_CLOEXEC) == 0); /* what whoever started the tests left open */
    return run_group("spawn", tests, COUNT_OF(tests));
}
