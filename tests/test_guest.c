/* SPDX-License-Identifier: MIT */
/* The library is a good guest in its process. */
#include "support.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/wait.h>

/* A little of everything, with what it opened still open. */
static void use_everything(uint32_t transport, rill_sender **tx, rill_receiver **rx)
{
    struct rill_channel_options options = {.size = sizeof options, .transport = transport, .limit = 100000};
    rill_message *message = NULL;
    unsigned char bytes[1000] = {0};
    require_ok(rill_channel(&options, tx, rx));
    for (unsigned i = 0; i < 10; i++) {
        require_ok(send_filled(*tx, i * 1000, i));
        receive_filled(*rx, i * 1000, i);
    }
    require_ok(rill_receiver_interrupt(*rx));
    require_code(RILL_EINTERRUPTED, rill_recv(*rx, &message));
    require_code(RILL_ETIMEDOUT, rill_recv_timeout(*rx, 1000, &message));
    int result = 0;
    while (result == 0)
        result = rill_send_until(*tx, bytes, sizeof bytes, rill_clock() + 1);
    require_code(RILL_ETIMEDOUT, result);
    require_ok(rill_sender_interrupt(*tx));
}

static void with_each_transport(void (*check)(void))
{
    for (uint32_t transport = RILL_SHM; transport <= RILL_INPROC; transport++) {
        rill_sender *tx = NULL;
        rill_receiver *rx = NULL;
        test_note = transport;
        use_everything(transport, &tx, &rx);
        check();
        require_ok(rill_sender_close(&tx));
        require_ok(rill_receiver_close(&rx));
    }
}

static void require_close_on_exec(void)
{
    for (int i = 3; i < 1024; i++) {
        int flags = fcntl(i, F_GETFD);
        require(flags < 0 || flags & FD_CLOEXEC);
    }
}

static void closes_on_exec(void *unused)
{
    (void)unused;
    for (int i = 3; i < 1024; i++) /* what this program was started with is not rill's */
        if (fcntl(i, F_GETFD) >= 0)
            fcntl(i, F_SETFD, FD_CLOEXEC);
    with_each_transport(require_close_on_exec);
}

static void require_one_thread(void)
{
    size_t threads = 0;
    DIR *folder = opendir("/proc/self/task");
    require(folder != NULL);
    for (struct dirent *entry = readdir(folder); entry; entry = readdir(folder))
        threads += entry->d_name[0] != '.';
    closedir(folder);
    require_equal(1, threads);
}

static void starts_no_thread(void *unused)
{
    (void)unused;
    if (THREAD_SANITIZED)
        skip_test("the sanitizer has a thread of its own");
    with_each_transport(require_one_thread);
}

static void require_no_handler(void)
{
    for (int number = 1; number < SIGRTMAX; number++) {
        struct sigaction action;
        if (sigaction(number, NULL, &action) == 0 && number != SIGALRM)
            require(action.sa_handler == SIG_DFL);
    }
    sigset_t blocked;
    require(sigprocmask(SIG_SETMASK, NULL, &blocked) == 0);
    for (int number = 1; number < SIGRTMAX; number++)
        require(sigismember(&blocked, number) != 1);
}

static void installs_no_handler(void *unused)
{
    (void)unused;
    if (SANITIZED)
        skip_test("the sanitizer has handlers of its own");
    for (int number = 1; number < SIGRTMAX; number++)
        if (number != SIGALRM)
            signal(number, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    require(sigprocmask(SIG_SETMASK, &none, NULL) == 0);
    with_each_transport(require_no_handler);
}

static void nothing(void)
{
}

static void prints_nothing(void *unused)
{
    int ends[2];
    char byte;
    (void)unused;
    fflush(NULL);
    require(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
    pid_t child = fork_child();
    if (child == 0) {
        rill_receiver *rx = NULL;
        rill_sender *tx = NULL;
        int saved = fcntl(2, F_DUPFD_CLOEXEC, 100);
        require(saved >= 0);
        require(dup2(ends[1], 1) == 1 && dup2(ends[1], 2) == 2);
        with_each_transport(nothing);
        rill_send(NULL, "a", 1);
        rill_recv(NULL, NULL);
        rill_channel(&(struct rill_channel_options){.size = 1}, &tx, &rx);
        require(dup2(saved, 2) == 2);
        _exit(0);
    }
    join_child(child);
    close(ends[1]);
    require_equal(0, read(ends[0], &byte, 1));
    close(ends[0]);
}

static void raises_no_sigpipe(void *unused)
{
    (void)unused;
    signal(SIGPIPE, SIG_DFL);
    for (uint32_t transport = RILL_SHM; transport <= RILL_INPROC; transport++) {
        struct rill_channel_options options = {.size = sizeof options, .transport = transport};
        rill_sender *tx = NULL;
        rill_receiver *rx = NULL;
        for (unsigned sent = 0; sent < 3; sent++) {
            require_ok(rill_channel(&options, &tx, &rx));
            for (unsigned i = 0; i < sent; i++)
                require_ok(send_number(tx, i));
            require_ok(rill_receiver_close(&rx));
            require_code(RILL_EBROKEN, send_number(tx, 9));
            require_code(RILL_EBROKEN, send_number(tx, 9));
            require_ok(rill_sender_close(&tx));
        }
    }
}

static size_t count_files(const char *path)
{
    size_t count = 0;
    DIR *folder = opendir(path);
    for (struct dirent *entry = folder ? readdir(folder) : NULL; entry; entry = readdir(folder))
        count++;
    if (folder)
        closedir(folder);
    return count;
}

static size_t here, system_v;

static size_t count_segments(void)
{
    size_t lines = 0;
    FILE *file = fopen("/proc/sysvipc/shm", "re");
    for (int c = file ? fgetc(file) : EOF; c != EOF; c = fgetc(file))
        lines += c == '\n';
    if (file)
        fclose(file);
    return lines;
}

static void require_no_name(void)
{
    require_equal(here, count_files("."));
    require_equal(0, count_shm_names());
    require_equal(system_v, count_segments());
}

static void makes_no_name(void *unused)
{
    (void)unused;
    here = count_files(".");
    system_v = count_segments();
    with_each_transport(require_no_name);
}

static const struct test tests[] = {
    {"every descriptor closes on exec", closes_on_exec, NULL, 0},
    {"no thread is started", starts_no_thread, NULL, 0},
    {"no signal handler is installed and no signal is blocked", installs_no_handler, NULL, 0},
    {"nothing is printed", prints_nothing, NULL, 0},
    {"no SIGPIPE is raised", raises_no_sigpipe, NULL, 0},
    {"no file, no name and no System V segment is made", makes_no_name, NULL, 0},
};

int main(void)
{
    return run_group("guest", tests, COUNT_OF(tests));
}
