/* SPDX-License-Identifier: MIT */
/* One-shot servers: a name, one client, its receiver and first message. */
#include "support.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "../shm/layout.h"
#include "../src/channel.h"
#include "../src/greeting.h"
#include "faults.h"

#define SOON (rill_clock() + 50 * MILLISECOND) /* for what is known not to come */

static char program[512];
static char plain[64], path[64], here[64]; /* each with this run's number, for other runs may be under way */

/* ---------------------------------------------------------------- helpers */

static const struct rill_channel_options *over(uint32_t transport)
{
    static struct rill_channel_options options;
    options = (struct rill_channel_options){.size = sizeof options, .transport = transport};
    return &options;
}

static rill_server *serve(void)
{
    rill_server *server = NULL;
    require_ok(rill_serve(NULL, &server));
    require(server != NULL);
    return server;
}

static rill_server *serve_as(const char *name, uint32_t admit, rill_admit_function *function, void *context)
{
    rill_server *server = NULL;
    struct rill_server_options options = {
        .size = sizeof options, .name = name, .admit = admit, .admit_function = function, .admit_context = context};
    require_ok(rill_serve(&options, &server));
    return server;
}

/* Accepts, expects numbers from `first` on, `count` of them, and then the end. */
static void accept_numbers(rill_server **server, uint64_t first, uint64_t count)
{
    rill_receiver *rx = NULL;
    rill_message *message = NULL;
    require_ok(rill_server_accept(server, RILL_FOREVER, &rx, &message));
    require(*server == NULL);
    require_equal(first, take_number(&message));
    for (uint64_t i = 1; i < count; i++)
        require_equal(first + i, receive_number(rx));
    require_code(RILL_EDISCONNECTED, rill_recv(rx, &message));
    require_ok(rill_receiver_close(&rx));
}

static void connect_and_send(const char *name, uint32_t transport, uint64_t first, uint64_t count)
{
    rill_sender *tx;
    require_ok(rill_connect(name, RILL_FOREVER, over(transport), &tx));
    for (uint64_t i = 0; i < count; i++)
        require_ok(send_number(tx, first + i));
    require_ok(rill_sender_close(&tx));
}

static void nobody_left(const char *name)
{
    rill_sender *tx = NULL;
    require_code(RILL_ENOSERVER, rill_connect(name, RILL_NOW, NULL, &tx));
    require(tx == NULL);
}

/* A connection to an abstract name as rill uses it, made by hand. */
static int knock(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int length = snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "rill/%s", name);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    require(fd >= 0);
    require(connect(fd, (struct sockaddr *)&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length)) == 0);
    return fd;
}

/* ---------------------------------------------------------------- meeting */

static void client_is_gone_before(void *transport)
{
    rill_server *server = serve();
    pid_t child = fork_child();
    if (child == 0) {
        connect_and_send(rill_server_name(server), *(uint32_t *)transport, 70, 100);
        _exit(0);
    }
    join_child(child);
    accept_numbers(&server, 70, 100);
}

static void client_program(void *transport)
{
    rill_server *server = serve();
    char number[16];
    char name[RILL_NAME_MOST + 1];
    snprintf(name, sizeof name, "%s", rill_server_name(server));
    snprintf(number, sizeof number, "%u", *(uint32_t *)transport);
    pid_t child = fork_child();
    if (child == 0) {
        execl(program, program, "--client", name, number, (char *)NULL);
        _exit(9);
    }
    accept_numbers(&server, 7, 3);
    join_child(child);
    nobody_left(name);
}

static void large_first_message(void *transport)
{
    rill_server *server = serve();
    rill_receiver *rx;
    rill_message *message;
    rill_sender *tx;
    pid_t child = fork_child();
    if (child == 0) {
        require_ok(rill_connect(rill_server_name(server), RILL_NOW, over(*(uint32_t *)transport), &tx));
        require_ok(send_filled(tx, 3 * MIB, 5));
        require_ok(rill_sender_close(&tx));
        _exit(0);
    }
    require_ok(rill_server_accept(&server, RILL_FOREVER, &rx, &message));
    require_message(&message, 3 * MIB, 5);
    join_child(child);
    require_ok(rill_receiver_close(&rx));
}

/* The server's thread is asleep in accept when the client comes. */
static void server_sleeps_until(void *transport)
{
    struct board *board = board_make(NULL);
    rill_server *server = serve();
    pid_t child = fork_child();
    if (child == 0) {
        wait_until_asleep(board, 0);
        connect_and_send(rill_server_name(server), *(uint32_t *)transport, 1, 2);
        _exit(0);
    }
    announce(board, 0);
    accept_numbers(&server, 1, 2);
    join_child(child);
}

static void names_fit_anywhere(void *unused)
{
    rill_server *one = serve(), *other = serve();
    (void)unused;
    const char *name = rill_server_name(one);
    require(strlen(name) <= RILL_NAME_MOST);
    require(strcmp(name, rill_server_name(other)) != 0);
    for (const char *c = name; *c; c++)
        require((*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9') || *c == ':' || *c == '-');
    require(rill_server_name(NULL) == NULL);
    require_ok(rill_server_close(&one));
    require(one == NULL);
    require_ok(rill_server_close(&one));
    require_ok(rill_server_close(&other));
}

/* A client that comes before the server, waits for it. */
static void client_waits(void *name)
{
    struct board *board = board_make(NULL);
    pid_t child = fork_child();
    if (child == 0) {
        announce(board, 0);
        connect_and_send(name, RILL_SHM, 30, 1);
        _exit(0);
    }
    wait_until_asleep(board, 0);
    rill_server *server = serve_as(name, 0, NULL, NULL);
    accept_numbers(&server, 30, 1);
    join_child(child);
    require(access(name, F_OK) != 0);
}

/* ---------------------------------------------------------------- errors */

static void nobody_serves(void *unused)
{
    rill_sender *tx = NULL;
    rill_server *server = serve();
    char name[RILL_NAME_MOST + 1];
    (void)unused;
    snprintf(name, sizeof name, "%s", rill_server_name(server));
    require_ok(rill_server_close(&server));
    require_code(RILL_ENOSERVER, rill_connect(name, RILL_NOW, NULL, &tx));
    require_code(RILL_ENOSERVER, rill_connect(name, RILL_FOREVER, NULL, &tx)); /* a made-up name does not come back */
    static const char *const others[] = {"nobody", "/tmp/rill-nobody", "/nonexistent/folder/name", "./nobody", "/dev/null", "/"};
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        test_note = (long long)i;
        require_code(RILL_ENOSERVER, rill_connect(others[i], RILL_NOW, NULL, &tx));
        int64_t deadline = SOON;
        require_code(RILL_ENOSERVER, rill_connect(others[i], deadline, NULL, &tx));
        require(rill_clock() >= deadline);
    }
    require(tx == NULL);
}

static void second_client(void *unused)
{
    rill_server *server = serve();
    rill_sender *first, *second = NULL;
    rill_receiver *rx;
    rill_message *message;
    char name[RILL_NAME_MOST + 1];
    (void)unused;
    snprintf(name, sizeof name, "%s", rill_server_name(server));
    require_ok(rill_connect(name, RILL_NOW, NULL, &first));
    require_code(RILL_EUSED, rill_connect(name, RILL_NOW, NULL, &second));
    require_code(RILL_EUSED, rill_connect(name, RILL_FOREVER, NULL, &second));
    require_ok(send_number(first, 5));
    require_ok(rill_server_accept(&server, RILL_NOW, &rx, &message));
    require_equal(5, take_number(&message));
    require_code(RILL_ENOSERVER, rill_connect(name, RILL_FOREVER, NULL, &second));
    require(second == NULL);
    require_ok(rill_sender_close(&first));
    require_ok(rill_receiver_close(&rx));
}

static void server_closes(void *unused)
{
    rill_server *server = serve();
    rill_sender *tx;
    (void)unused;
    require_ok(rill_connect(rill_server_name(server), RILL_NOW, NULL, &tx));
    require_ok(send_number(tx, 1));
    require_ok(rill_server_close(&server));
    int code = RILL_OK;
    for (unsigned i = 0; i < 100000 && code == RILL_OK; i++)
        code = send_filled(tx, 1000, i);
    require_code(RILL_EBROKEN, code);
    require_ok(rill_sender_close(&tx));
}

/* Each wait has its own end, and what it waits for may still come. */
static void accept_in_steps(void *unused)
{
    rill_server *server = serve();
    rill_sender *tx;
    rill_receiver *rx = NULL;
    rill_message *message = NULL;
    (void)unused;
    require_code(RILL_EEMPTY, rill_server_accept(&server, RILL_NOW, &rx, &message));
    int64_t deadline = SOON;
    require_code(RILL_ETIMEDOUT, rill_server_accept(&server, deadline, &rx, &message));
    require(rill_clock() >= deadline);
    require_ok(rill_connect(rill_server_name(server), RILL_NOW, NULL, &tx));
    require_code(RILL_EEMPTY, rill_server_accept(&server, RILL_NOW, &rx, &message));
    require_code(RILL_ETIMEDOUT, rill_server_accept(&server, SOON, &rx, &message));
    require(server && rill_server_name(server) && !rx && !message);
    require_ok(send_number(tx, 9));
    require_ok(rill_server_accept(&server, RILL_NOW, &rx, &message));
    require_equal(9, take_number(&message));
    require_ok(rill_sender_close(&tx));
    require_ok(rill_receiver_close(&rx));
}

static void client_without_message(void *unused)
{
    rill_server *server = serve();
    rill_receiver *rx;
    rill_message *message;
    (void)unused;
    pid_t child = fork_child();
    if (child == 0) {
        rill_sender *tx;
        require_ok(rill_connect(rill_server_name(server), RILL_NOW, NULL, &tx));
        _exit(0);
    }
    join_child(child);
    require_code(RILL_EDISCONNECTED, rill_server_accept(&server, RILL_FOREVER, &rx, &message));
    require_code(RILL_EDISCONNECTED, rill_server_accept(&server, RILL_NOW, &rx, &message));
    require_ok(rill_server_close(&server));
}

static void bad_arguments(void *unused)
{
    rill_server *server = NULL;
    rill_sender *tx = NULL;
    rill_receiver *rx;
    rill_message *message;
    char name[300];
    (void)unused;
    struct rill_server_options options = {.size = sizeof options, .name = ""};
    require_code(RILL_EINVAL, rill_serve(&options, &server));
    memset(name, 'n', sizeof name);
    name[RILL_NAME_MOST + 1] = 0;
    options.name = name;
    require_code(RILL_EINVAL, rill_serve(&options, &server));
    require_code(RILL_EINVAL, rill_connect(name, RILL_NOW, NULL, &tx));
    options.name = "/nonexistent/folder/name";
    require_code(RILL_EINVAL, rill_serve(&options, &server));
    options.name = "/tmp/..";
    require_code(RILL_ENAMEUSED, rill_serve(&options, &server));
    options = (struct rill_server_options){.size = sizeof options, .admit = 3};
    require_code(RILL_EINVAL, rill_serve(&options, &server));
    options = (struct rill_server_options){.size = sizeof options, .mode = 01777};
    require_code(RILL_EINVAL, rill_serve(&options, &server));
    options = (struct rill_server_options){.size = 4};
    require_code(RILL_EINVAL, rill_serve(&options, &server));
    require_code(RILL_EINVAL, rill_serve(NULL, NULL));
    require_code(RILL_EINVAL, rill_server_accept(NULL, RILL_NOW, &rx, &message));
    require_code(RILL_EINVAL, rill_server_accept(&server, RILL_NOW, &rx, &message));
    require_code(RILL_EINVAL, rill_server_close(NULL));
    require_code(RILL_EINVAL, rill_connect(NULL, RILL_NOW, NULL, &tx));
    require_code(RILL_EINVAL, rill_connect("", RILL_NOW, NULL, &tx));
    require_code(RILL_EINVAL, rill_connect("x", -1, NULL, &tx));
    require_code(RILL_EINVAL, rill_connect("x", RILL_NOW, NULL, NULL));
    require_code(RILL_ENOTSUP, rill_connect("x", RILL_NOW, over(RILL_INPROC), &tx));
    require(server == NULL && tx == NULL);
    server = serve();
    require_code(RILL_EINVAL, rill_server_accept(&server, -1, &rx, &message));
    require_code(RILL_EINVAL, rill_server_accept(&server, RILL_NOW, NULL, &message));
    require_code(RILL_EINVAL, rill_server_accept(&server, RILL_NOW, &rx, NULL));
    require_ok(rill_server_close(&server));
}

static void name_in_use(void *name)
{
    rill_server *server = serve_as(name, 0, NULL, NULL), *other = NULL;
    struct rill_server_options options = {.size = sizeof options, .name = name};
    require_code(RILL_ENAMEUSED, rill_serve(&options, &other));
    require(other == NULL);
    require_ok(rill_server_close(&server));
    other = serve_as(name, 0, NULL, NULL);
    require_ok(rill_server_close(&other));
    require(access(name, F_OK) != 0);
}

static void *accept_too(void *argument)
{
    rill_receiver *rx;
    rill_message *message;
    rill_server *server = argument;
    require_code(RILL_EBUSY, rill_server_accept(&server, RILL_NOW, &rx, &message));
    return NULL;
}

static void *accept_first(void *argument)
{
    struct board *board = ((void **)argument)[0];
    rill_server *server = ((void **)argument)[1];
    announce(board, 0);
    accept_numbers(&server, 4, 1);
    return NULL;
}

static void two_threads(void *unused)
{
    struct board *board = board_make(NULL);
    rill_server *server = serve();
    char name[RILL_NAME_MOST + 1];
    void *both[2] = {board, server};
    pthread_t thread;
    (void)unused;
    snprintf(name, sizeof name, "%s", rill_server_name(server));
    require(pthread_create(&thread, NULL, accept_first, both) == 0);
    wait_until_asleep(board, 0);
    accept_too(server);
    connect_and_send(name, RILL_SHM, 4, 1);
    require(pthread_join(thread, NULL) == 0);
}

/* ---------------------------------------------------------------- who is let in */

static void become_nobody(void)
{
    require(setgid(65534) == 0 && setuid(65534) == 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
}

static void need_root(void)
{
    if (geteuid() != 0)
        skip_test("only root can become another user");
}

static void other_user_is_turned_away(void *unused)
{
    rill_server *server;
    rill_receiver *rx;
    rill_message *message;
    (void)unused;
    need_root();
    server = serve();
    pid_t child = fork_child();
    if (child == 0) {
        rill_sender *tx;
        become_nobody();
        require_ok(rill_connect(rill_server_name(server), RILL_NOW, NULL, &tx));
        require_ok(send_number(tx, 66));
        _exit(0);
    }
    join_child(child);
    require_code(RILL_EEMPTY, rill_server_accept(&server, RILL_NOW, &rx, &message));
    connect_and_send(rill_server_name(server), RILL_SHM, 12, 1); /* the place is free again */
    accept_numbers(&server, 12, 1);
}

/* Told at once where the server looks at once, else by the channel. */
static void turned_away_is_told(void *unused)
{
    rill_server *server;
    rill_receiver *rx;
    rill_message *message;
    int status;
    (void)unused;
    need_root();
    server = serve();
    pid_t child = fork_child();
    if (child == 0) {
        rill_sender *tx;
        become_nobody();
        int code = rill_connect(rill_server_name(server), RILL_NOW, NULL, &tx);
        if (code == RILL_EDENIED)
            _exit(0);
        for (unsigned i = 0; i < 100000 && code == RILL_OK; i++)
            code = send_filled(tx, 1000, i);
        require_code(RILL_EBROKEN, code);
        _exit(0);
    }
    while (waitpid(child, &status, WNOHANG) == 0)
        require_code(RILL_ETIMEDOUT, rill_server_accept(&server, rill_clock() + MILLISECOND, &rx, &message));
    require_equal(0, status);
    require_ok(rill_server_close(&server));
}

static void any_user(void *unused)
{
    rill_server *server;
    (void)unused;
    need_root();
    server = serve_as(NULL, RILL_ADMIT_ANY_USER, NULL, NULL);
    pid_t child = fork_child();
    if (child == 0) {
        become_nobody();
        connect_and_send(rill_server_name(server), RILL_SHM, 66, 1);
        _exit(0);
    }
    accept_numbers(&server, 66, 1);
    join_child(child);
}

static int only_that_process(void *context, const struct rill_peer *peer)
{
    require_equal(geteuid(), peer->uid);
    require_equal(getegid(), peer->gid);
    return peer->pid == *(pid_t *)context;
}

static void function_decides(void *unused)
{
    pid_t wanted = getpid();
    rill_server *server = serve_as(NULL, 0, only_that_process, &wanted);
    rill_receiver *rx;
    rill_message *message;
    (void)unused;
    pid_t child = fork_child();
    if (child == 0) {
        connect_and_send(rill_server_name(server), RILL_SHM, 1, 1);
        _exit(0);
    }
    join_child(child);
    require_code(RILL_EEMPTY, rill_server_accept(&server, RILL_NOW, &rx, &message));
    connect_and_send(rill_server_name(server), RILL_SHM, 2, 1);
    accept_numbers(&server, 2, 1);
}

/* A path that root alone may write to. */
static void path_permissions(void *unused)
{
    struct stat status;
    (void)unused;
    need_root();
    mode_t mask = umask(0);
    struct rill_server_options options = {.size = sizeof options, .name = path, .admit = RILL_ADMIT_ANY_USER};
    for (unsigned i = 0; i < 2; i++) {
        rill_server *server = NULL;
        options.mode = i ? 0622 : 0;
        require_ok(rill_serve(&options, &server));
        require(lstat(path, &status) == 0);
        require_equal(S_IFSOCK | (i ? 0622 : 0600), status.st_mode);
        pid_t child = fork_child();
        if (child == 0) {
            rill_sender *tx;
            become_nobody();
            require_code(i ? RILL_OK : RILL_EDENIED, rill_connect(path, RILL_FOREVER, NULL, &tx));
            _exit(0);
        }
        join_child(child);
        require_ok(rill_server_close(&server));
    }
    umask(mask);
}

/* ---------------------------------------------------------------- versions, garbage */

/* A client that does not speak as it should does not use the server up. */
static void send_and_look(const void *bytes, size_t size, int wanted)
{
    rill_server *server = serve();
    rill_receiver *rx;
    rill_message *message;
    int fd = knock(rill_server_name(server));
    if (bytes)
        require(send(fd, bytes, size, MSG_NOSIGNAL) == (ssize_t)size);
    require_code(wanted, rill_server_accept(&server, RILL_NOW, &rx, &message));
    require_code(RILL_EEMPTY, rill_server_accept(&server, RILL_NOW, &rx, &message));
    connect_and_send(rill_server_name(server), RILL_SHM, 8, 2);
    accept_numbers(&server, 8, 2);
    close(fd);
}

static struct rill_greeting honest(void)
{
    return (struct rill_greeting){
        .magic = RILL_GREETING_MAGIC, .fingerprint = RILL_FINGERPRINT, .version = RILL_LAYOUT_VERSION, .purpose = RILL_PURPOSE_SERVER};
}

static void other_versions(void *unused)
{
    (void)unused;
    struct rill_greeting greeting = honest();
    greeting.version++;
    send_and_look(&greeting, sizeof greeting, RILL_EVERSION);
    send_and_look(&greeting, 24, RILL_EVERSION); /* a shorter one than ours */
    greeting = honest();
    greeting.fingerprint ^= 1;
    send_and_look(&greeting, sizeof greeting, RILL_EVERSION);
}

static void name_of_another_version(void *unused)
{
    rill_server *server = serve();
    rill_sender *tx = NULL;
    char name[RILL_NAME_MOST + 1];
    (void)unused;
    snprintf(name, sizeof name, "%s", rill_server_name(server));
    name[5] = name[5] == '0' ? '1' : '0';
    require_code(RILL_EVERSION, rill_connect(name, RILL_FOREVER, NULL, &tx));
    require(tx == NULL);
    require_ok(rill_server_close(&server));
}

static void garbage(void *unused)
{
    unsigned char bytes[8192];
    struct dice dice = {91};
    (void)unused;
    send_and_look(NULL, 0, RILL_EEMPTY);
    for (unsigned i = 0; i < 40; i++) {
        test_note = i;
        size_t size = 1 + roll(&dice) % (i % 2 ? sizeof bytes : 64);
        fill(bytes, sizeof bytes, i);
        if (i % 4 >= 2) {
            struct rill_greeting greeting = honest();
            memcpy((unsigned char *)&greeting + 24, bytes, sizeof greeting - 24);
            memcpy(bytes, &greeting, sizeof greeting);
        }
        send_and_look(bytes, size, RILL_EEMPTY);
    }
    struct rill_greeting greeting = honest();
    send_and_look(&greeting, sizeof greeting, RILL_EEMPTY); /* brings no receiver */
    greeting.handles = 1;
    send_and_look(&greeting, sizeof greeting, RILL_EEMPTY);
    greeting = honest();
    greeting.purpose = RILL_PURPOSE_LISTENER;
    send_and_look(&greeting, sizeof greeting, RILL_EEMPTY);
}

/* Something else than a receiver, properly packed. */
static void other_handles(void *unused)
{
    rill_server *server = serve();
    rill_receiver *rx, *own;
    rill_message *message;
    rill_sender *tx;
    (void)unused;
    require_ok(rill_channel(NULL, &tx, &own));
    struct rill_handle handles[2] = {{.kind = RILL_HANDLE_SENDER, .as.sender = tx}, {.kind = RILL_HANDLE_DESCRIPTOR, .as.descriptor = 0}};
    for (unsigned i = 0; i < 2; i++) {
        int fd = knock(rill_server_name(server));
        require_ok(rill_greeting_send(fd, RILL_PURPOSE_SERVER, RILL_OK, &handles[i], 1));
        require_code(RILL_EEMPTY, rill_server_accept(&server, RILL_NOW, &rx, &message));
        close(fd);
    }
    require_ok(rill_sender_close(&tx));
    require_ok(rill_receiver_close(&own));
    require_ok(rill_server_close(&server));
}

/* The greeting is right, and the channel in it is not. */
static void other_channels(void *unused)
{
    rill_server *server = serve();
    (void)unused;
    for (unsigned i = 0; i < 4; i++) {
        rill_receiver *rx, *taken;
        rill_message *message;
        rill_sender *tx;
        require_ok(rill_channel(NULL, &tx, &rx));
        struct rill_page *page = rx->core->page;
        page->version += i == 0;
        page->fingerprint ^= i == 1;
        page->magic ^= i == 2;
        page->transport += i == 3;
        struct rill_handle handle = {.kind = RILL_HANDLE_RECEIVER, .as.receiver = rx};
        int fd = knock(rill_server_name(server));
        require_ok(rill_greeting_send(fd, RILL_PURPOSE_SERVER, RILL_OK, &handle, 1));
        require_code(i < 2 ? RILL_EVERSION : RILL_EEMPTY, rill_server_accept(&server, RILL_NOW, &taken, &message));
        require_code(RILL_EEMPTY, rill_server_accept(&server, RILL_NOW, &taken, &message));
        close(fd);
        require_ok(rill_sender_close(&tx));
    }
    connect_and_send(rill_server_name(server), RILL_SHM, 8, 2);
    accept_numbers(&server, 8, 2);
}

/* ---------------------------------------------------------------- death, shortage */

static void killed_server(void *name)
{
    struct board *board = board_make(NULL);
    pid_t child = fork_child();
    if (child == 0) {
        rill_server *server = serve_as(name, 0, NULL, NULL);
        flag_raise(board, 0);
        pause();
        require_ok(rill_server_close(&server));
    }
    flag_wait(board, 0);
    kill_child(child);
    nobody_left(name);
    rill_server *server = serve_as(name, 0, NULL, NULL); /* the name is free, a path is replaced */
    connect_and_send(name, RILL_SHM, 3, 1);
    accept_numbers(&server, 3, 1);
    require(access(name, F_OK) != 0);
}

/* A waiting client outlives the server that goes, and finds the next. */
static void served_again(void *unused)
{
    struct board *board = board_make(NULL);
    (void)unused;
    rill_server *server = serve_as(plain, 0, NULL, NULL);
    pid_t blocker = fork_child();
    if (blocker == 0) {
        rill_sender *tx;
        require_ok(rill_connect(plain, RILL_NOW, NULL, &tx));
        _exit(0);
    }
    join_child(blocker);
    require_ok(rill_server_close(&server));
    pid_t child = fork_child();
    if (child == 0) {
        announce(board, 0);
        connect_and_send(plain, RILL_SHM, 2, 2);
        _exit(0);
    }
    wait_until_asleep(board, 0);
    server = serve_as(plain, 0, NULL, NULL);
    accept_numbers(&server, 2, 2);
    join_child(child);
}

/* Every call that can fail for want of something fails once, at each of its places in turn; then the whole goes well. */
static void shortages(void *unused)
{
    static const struct {
        enum fault fault;
        int error, code;
    } cases[] = {
        {FAULT_ALLOCATION, ENOMEM, RILL_ENOMEM}, {FAULT_MEMFD, EMFILE, RILL_ENOFD}, {FAULT_MMAP, ENOMEM, RILL_ENOMEM},
        {FAULT_SOCKETPAIR, EMFILE, RILL_ENOFD},  {FAULT_SEND, ENOMEM, RILL_ENOMEM}, {FAULT_SEND, ETOOMANYREFS, RILL_EINFLIGHT},
    };
    (void)unused;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        for (unsigned long n = 1;; n++) {
            rill_server *server = NULL;
            rill_sender *tx = NULL;
            rill_receiver *rx = NULL;
            rill_message *message = NULL;
            test_note = (long long)(i * 100 + n);
            faults_prepare(cases[i].fault, n, cases[i].error, false);
            unsigned failures = 0;
            faults_on();
            int code;
            while ((code = rill_serve(NULL, &server)) == cases[i].code)
                failures++;
            require_ok(code);
            while ((code = rill_connect(rill_server_name(server), RILL_NOW, NULL, &tx)) == cases[i].code)
                failures++;
            if (code == RILL_EUSED && cases[i].fault == FAULT_SEND) { /* what was begun is in the way until the server looks */
                require_code(RILL_EEMPTY, rill_server_accept(&server, RILL_NOW, &rx, &message));
                code = rill_connect(rill_server_name(server), RILL_NOW, NULL, &tx);
            }
            require_ok(code);
            while ((code = send_number(tx, 77)) == cases[i].code)
                failures++;
            require_ok(code);
            while ((code = rill_server_accept(&server, RILL_NOW, &rx, &message)) == cases[i].code)
                failures++;
            require_ok(code);
            faults_off();
            require_equal(77, take_number(&message));
            require_ok(rill_sender_close(&tx));
            require_ok(rill_receiver_close(&rx));
            bool fired = faults_fired() > 0;
            faults_end();
            require(failures <= 1);
            if (!fired)
                break;
        }
    }
}

static void no_descriptors_for_the_client(void *unused)
{
    rill_server *server = serve();
    rill_receiver *rx = NULL;
    rill_message *message = NULL;
    int spare[200];
    size_t count = 0;
    (void)unused;
    struct rlimit limit = {.rlim_cur = 200, .rlim_max = 200};
    require(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    connect_and_send(rill_server_name(server), RILL_SHM, 6, 1);
    while ((spare[count] = fcntl(0, F_DUPFD_CLOEXEC, 3)) >= 0 && count + 1 < COUNT_OF(spare))
        count++;
    require(count < 200);
    for (unsigned free_ones = 0;; free_ones++) {
        int code = rill_server_accept(&server, RILL_NOW, &rx, &message);
        if (code == RILL_OK)
            break;
        require_code(RILL_ENOFD, code);
        require(free_ones < 8);
        close(spare[--count]);
    }
    while (count)
        close(spare[--count]);
    require_equal(6, take_number(&message));
    require_ok(rill_receiver_close(&rx));
}

static int run_client(const char *name, const char *transport)
{
    connect_and_send(name, (uint32_t)strtoul(transport, NULL, 10), 7, 3);
    return 0;
}

static uint32_t shm = RILL_SHM, stream = RILL_SOCKET;

static const struct test tests[] = {
    {"a client connects, sends and ends before the server accepts, over shared memory", client_is_gone_before, &shm, 0},
    {"a client connects, sends and ends before the server accepts, over a socket", client_is_gone_before, &stream, 0},
    {"a program that was given the name meets the server, over shared memory", client_program, &shm, 0},
    {"a program that was given the name meets the server, over a socket", client_program, &stream, 0},
    {"the first message may be large, over shared memory", large_first_message, &shm, 0},
    {"the first message may be large, over a socket", large_first_message, &stream, 0},
    {"a server sleeps until its client comes, over shared memory", server_sleeps_until, &shm, 0},
    {"a server sleeps until its client comes, over a socket", server_sleeps_until, &stream, 0},
    {"a made-up name fits an argument or an environment variable, and is its own", names_fit_anywhere, NULL, 0},
    {"a client waits for a plain name to be served", client_waits, plain, 0},
    {"a client waits for a path to be served", client_waits, path, 0},
    {"a client waits for a path in its own folder to be served", client_waits, here, 0},
    {"a name that nobody serves says so, not before its time", nobody_serves, NULL, 0},
    {"a second client is told that the server is used", second_client, NULL, 0},
    {"a server that closes breaks the channel of its client", server_closes, NULL, 0},
    {"accept waits for the client, then for its message, and may be called again", accept_in_steps, NULL, 0},
    {"a client that ends without a message is told as the end", client_without_message, NULL, 0},
    {"what is not allowed is refused", bad_arguments, NULL, 0},
    {"a plain name is served once", name_in_use, plain, 0},
    {"a path is served once", name_in_use, path, 0},
    {"a second thread in accept is told", two_threads, NULL, 0},
    {"another user is turned away, and does not use the server up", other_user_is_turned_away, NULL, 0},
    {"a client that is turned away is told, or finds its channel broken", turned_away_is_told, NULL, 0},
    {"any user is let in where the option says so", any_user, NULL, 0},
    {"a function decides who is let in", function_decides, NULL, 0},
    {"a path has its permissions from the first moment, and they hold", path_permissions, NULL, 0},
    {"a client of another version is turned away and told of", other_versions, NULL, 0},
    {"a made-up name of another version is told at once", name_of_another_version, NULL, 0},
    {"silence and garbage do not use the server up", garbage, NULL, 0},
    {"other handles than a receiver do not use the server up", other_handles, NULL, 0},
    {"a channel of another version or layout is told, and does not use the server up", other_channels, NULL, 0},
    {"a killed server leaves a plain name free", killed_server, plain, 0},
    {"a killed server's path is replaced", killed_server, path, 0},
    {"a waiting client finds the next server", served_again, NULL, 0},
    {"what fails for want of something can be tried again, and nothing is lost", shortages, NULL, 60},
    {"a client is not lost for want of descriptors", no_descriptors_for_the_client, NULL, 0},
};

int main(int argc, char **argv)
{
    if (readlink("/proc/self/exe", program, sizeof program - 1) <= 0)
        return 2;
    if (argc == 4 && strcmp(argv[1], "--client") == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        alarm(patience(60));
        return run_client(argv[2], argv[3]);
    }
    snprintf(plain, sizeof plain, "rill-test-server-%d", (int)getpid());
    snprintf(path, sizeof path, "/tmp/rill-test-server-%d", (int)getpid());
    snprintf(here, sizeof here, "./rill-test-server-%d", (int)getpid());
    return run_group("server", tests, COUNT_OF(tests));
}
