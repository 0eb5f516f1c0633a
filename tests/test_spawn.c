/* SPDX-License-Identifier: MIT */
/* Programs that are started with ends, and what they must not get. */
#include "support.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static char program[512];
static char mode_echo[] = "--echo", mode_count[] = "--count", mode_bad[] = "--bad", mode_env[] = "--environment";

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
    require(given <= 2); /* socket and page */
    require(given >= 1);
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

static void require_unchanged(struct rill_handle *handle, rill_receiver *receiver, rill_sender *sender)
{
    require(handle->as.receiver == receiver);
    require_ok(send_number(sender, 3));
    require_equal(3, receive_number(receiver));
}

static void refused(void *unused)
{
    static char missing[] = "/nonexistent/program";
    char *arguments[] = {missing, NULL};
    rill_sender *tx, *inner_tx;
    rill_receiver *rx, *inner_rx;
    pid_t child = -5;
    (void)unused;
    channel(RILL_SHM, &tx, &rx);
    channel(RILL_INPROC, &inner_tx, &inner_rx);
    struct rill_handle handle = of_receiver(rx);
    require_code(RILL_EINVAL, rill_spawn(NULL, arguments, NULL, &handle, 1, &child));
    require_code(RILL_EINVAL, rill_spawn(program, NULL, NULL, &handle, 1, &child));
    require_code(RILL_EINVAL, rill_spawn(program, arguments, NULL, NULL, 1, &child));
    require_code(RILL_EINVAL, rill_spawn(program, arguments, NULL, &handle, 1, NULL));
    require_code(RILL_EINVAL, rill_spawn(program, arguments, NULL, &handle, 1001, &child));
    require_code(RILL_EINVAL, rill_spawn(program, arguments, NULL, &handle, SIZE_MAX, &child));
    for (uint32_t kind = 0; kind < 5; kind++) {
        struct rill_handle wrong = {.kind = kind};
        if (kind != RILL_HANDLE_SENDER && kind != RILL_HANDLE_RECEIVER)
            wrong.as.sender = tx;
        require_code(RILL_EINVAL, rill_spawn(program, arguments, NULL, &wrong, 1, &child));
    }
    struct rill_handle crossed[2] = {of_receiver((rill_receiver *)(void *)tx), of_sender((rill_sender *)(void *)rx)};
    require_code(RILL_EINVAL, rill_spawn(program, arguments, NULL, &crossed[0], 1, &child));
    require_code(RILL_EINVAL, rill_spawn(program, arguments, NULL, &crossed[1], 1, &child));
    struct rill_handle twice[2] = {handle, handle};
    require_code(RILL_EINVAL, rill_spawn(program, arguments, NULL, twice, 2, &child));
    struct rill_handle inner[2] = {of_sender(inner_tx), of_receiver(inner_rx)};
    require_code(RILL_ENOTSUP, rill_spawn(program, arguments, NULL, &inner[0], 1, &child));
    require_code(RILL_ENOTSUP, rill_spawn(program, arguments, NULL, &inner[1], 1, &child));
    errno = 0;
    require_code(RILL_ESYSTEM, rill_spawn(missing, arguments, NULL, &handle, 1, &child));
    require_equal(ENOENT, errno);
    require_equal(-5, child);
    require_unchanged(&handle, rx, tx);
    require_code(RILL_EBUSY, start(mode_count, &handle, 1, NULL, &child));
    require_unchanged(&handle, rx, tx);
    require_ok(rill_sender_close(&tx));
    require_ok(rill_receiver_close(&rx));
    require_ok(rill_sender_close(&inner_tx));
    require_ok(rill_receiver_close(&inner_rx));
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
        if (strcmp(argv[1], "--show") == 0)
            return run_show();
        return 2;
    }
    return run_group("spawn", tests, COUNT_OF(tests));
}
