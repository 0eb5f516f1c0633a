/* SPDX-License-Identifier: MIT */
/* A program that links the library, shared or static, and sends a message that needs an arena keeps what is its own: the C library's
 * malloc, its signal handlers, one thread, and its standard output and error. */
#include <dirent.h>
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rill/rill.h>

#define LARGE ((size_t)1 << 20)

static int failures;

static void expect(int holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "not so: %s\n", what);
        failures++;
    }
}

static void use_library(void)
{
    rill_sender *sender;
    rill_receiver *receiver;
    rill_message *message;
    char *bytes = calloc(1, LARGE);
    expect(bytes != NULL, "memory for the test");
    expect(rill_channel(NULL, &sender, &receiver) == 0, "a channel is made");
    expect(rill_send(sender, bytes, LARGE) == 0, "a message is sent");
    expect(rill_recv(receiver, &message) == 0, "it is received");
    expect(rill_message_size(message) == LARGE, "it is whole");
    expect(rill_message_close(&message) == 0, "it is closed");
    expect(rill_sender_close(&sender) == 0 && rill_receiver_close(&receiver) == 0, "the channel is closed");
    free(bytes);
}

static void expect_of_libc(const char *name)
{
    Dl_info place;
    void *address = dlsym(RTLD_DEFAULT, name);
    int known = address && dladdr(address, &place) && place.dli_fname;
    if (!known || !strstr(place.dli_fname, "/libc."))
        fprintf(stderr, "%s is in %s\n", name, known ? place.dli_fname : "no library");
    expect(known && strstr(place.dli_fname, "/libc."), "malloc and its family are the C library's");
}

static void expect_no_handlers(void)
{
    for (int number = 1; number < NSIG; number++) {
        struct sigaction action;
        if (sigaction(number, NULL, &action) == 0)
            expect(action.sa_handler == SIG_DFL || action.sa_handler == SIG_IGN, "no signal is handled");
    }
}

static void expect_one_thread(void)
{
    int count = 0;
    DIR *tasks = opendir("/proc/self/task");
    for (struct dirent *task; tasks && (task = readdir(tasks)) != NULL;)
        count += task->d_name[0] != '.';
    if (tasks)
        closedir(tasks);
    expect(count == 1, "there is one thread");
}

/* Runs this program as a child whose standard output and error are a file, which has to stay empty: from the moment that the
 * loader takes the library in until the process is gone. */
static void expect_silence(const char *program)
{
    FILE *file = tmpfile();
    pid_t child = file ? fork() : -1;
    if (child == 0) {
        if (dup2(fileno(file), 1) >= 0 && dup2(fileno(file), 2) >= 0)
            execl(program, program, "use", (char *)NULL);
        _exit(2);
    }
    int status;
    expect(child > 0 && waitpid(child, &status, 0) == child && status == 0, "a child can use the library");
    struct stat state;
    expect(file && fstat(fileno(file), &state) == 0 && state.st_size == 0, "nothing is printed");
    if (file)
        fclose(file);
}

int main(int argc, char **argv)
{
    static const char *const family[] = {"malloc", "calloc", "realloc", "free", "posix_memalign", "aligned_alloc", "malloc_usable_size"};
    use_library();
    if (argc > 1)
        return failures != 0;
    expect_silence(argv[0]);
    for (size_t i = 0; i < sizeof family / sizeof family[0]; i++)
        expect_of_libc(family[i]);
    expect_no_handlers();
    expect_one_thread();
    return failures != 0;
}
