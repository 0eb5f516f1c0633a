/* SPDX-License-Identifier: MIT */
/* Listeners: a name, and any number of clients with channels both ways. */
#include "support.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "../shm/layout.h"
#include "../src/door.h"
#include "../src/greeting.h"
#include "faults.h"

#define SOON (rill_clock() + 50 * MILLISECOND) /* for what is known not to come */

static char program[512];
static char plain[64], path[64], foreign[64], one_shot[64], file[64]; /* each with this run's number, for other runs may be under way */
static uint32_t shm = RILL_SHM, stream = RILL_SOCKET;

/* ---------------------------------------------------------------- helpers */

static rill_listener *listen_with(const char *name, const struct rill_listener_options *options)
{
    rill_listener *listener = NULL;
    require_ok(rill_listen(name, options, &listener));
    require(listener != NULL);
    if (name)
        require(strcmp(name, rill_listener_name(listener)) == 0);
    return listener;
}

static rill_listener *listen_at(const char *name)
{
    return listen_with(name, NULL);
}

static rill_listener *listen_over(uint32_t transport, const char *name)
{
    struct rill_channel_options channel = {.size = sizeof channel, .transport = transport};
    struct rill_listener_options options = {.size = sizeof options, .channel = &channel};
    return listen_with(name, &options);
}

static struct rill_connection accepted(rill_listener *listener)
{
    struct rill_connection connection = {0};
    require_ok(rill_listener_accept(listener, RILL_FOREVER, &connection));
    require(connection.sender && connection.receiver);
    return connection;
}

static struct rill_connection connected(const char *name)
{
    struct rill_connection connection = {0};
    require_ok(rill_listener_connect(name, RILL_FOREVER, &connection));
    require(connection.sender && connection.receiver);
    return connection;
}

/* The client asks with numbers and gets each back plus one. */
static void ask(struct rill_connection *connection, uint64_t first, uint64_t count)
{
    for (uint64_t i = first; i < first + count; i++) {
        require_ok(send_number(connection->sender, i));
        require_equal(i + 1, receive_number(connection->receiver));
    }
}

static void ask_and_close(const char *name, uint64_t first, uint64_t count)
{
    struct rill_connection connection = connected(name);
    ask(&connection, first, count);
    require_ok(rill_connection_close(&connection));
    require(!connection.sender && !connection.receiver);
}

static void answer(struct rill_connection *connection)
{
    rill_message *message;
    while (rill_recv(connection->receiver, &message) == RILL_OK)
        require_ok(send_number(connection->sender, take_number(&message) + 1));
    require_ok(rill_connection_close(connection));
}

static pid_t asking_child(const char *name, uint64_t first, uint64_t count)
{
    pid_t child = fork_child();
    if (child == 0) {
        ask_and_close(name, first, count);
        _exit(0);
    }
    return child;
}

static void serve_one(rill_listener *listener, pid_t child)
{
    struct rill_connection connection = accepted(listener);
    require_equal(child, connection.peer.pid);
    require_equal(geteuid(), connection.peer.uid);
    require_equal(getegid(), connection.peer.gid);
    answer(&connection);
    join_child(child);
}

static int knock(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int length = snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "rill/%s", name);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    require(fd >= 0);
    require(connect(fd, (struct sockaddr *)&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length)) == 0);
    return fd;
}

static void nobody_there(const char *name)
{
    struct rill_connection connection = {0};
    require_code(RILL_ENOSERVER, rill_listener_connect(name, RILL_NOW, &connection));
    require(!connection.sender && !connection.receiver);
}

static void need_root(void)
{
    if (geteuid() != 0)
        skip_test("only root can become another user");
}

static void become_nobody(void)
{
    require(setgid(65534) == 0 && setuid(65534) == 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
}

/* ---------------------------------------------------------------- meeting */

static void both_ways(void *transport)
{
    rill_listener *listener = listen_over(*(uint32_t *)transport, NULL);
    char name[RILL_NAME_MOST + 1];
    snprintf(name, sizeof name, "%s", rill_listener_name(listener));
    for (unsigned i = 0; i < 3; i++)
        serve_one(listener, asking_child(name, i * 1000, 100));
    require_ok(rill_listener_close(&listener));
    require(listener == NULL);
    nobody_there(name);
}

static void programs(void *transport)
{
    rill_listener *listener = listen_over(*(uint32_t *)transport, plain);
    pid_t child = fork_child();
    if (child == 0) {
        execl(program, program, "--client", plain, (char *)NULL);
        _exit(9);
    }
    serve_one(listener, child);
    require_ok(rill_listener_close(&listener));
}

/* What the client sees of the listener. */
static void peer_of_the_client(void *unused)
{
    pid_t parent = getpid();
    rill_listener *listener = listen_at(path);
    (void)unused;
    pid_t child = fork_child();
    if (child == 0) {
        struct rill_connection connection = connected(path);
        require_equal(parent, connection.peer.pid);
        require_equal(geteuid(), connection.peer.uid);
        require_equal(getegid(), connection.peer.gid);
        ask(&connection, 4, 4);
        require_ok(rill_connection_close(&connection));
        _exit(0);
    }
    serve_one(listener, child);
    require_ok(rill_listener_close(&listener));
    require(access(path, F_OK) != 0);
}

static void client_waits(void *name)
{
    struct board *board = board_make(NULL);
    pid_t child = fork_child();
    if (child == 0) {
        announce(board, 0);
        ask_and_close(name, 3, 3);
        _exit(0);
    }
    wait_until_asleep(board, 0);
    rill_listener *listener = listen_at(name);
    serve_one(listener, child);
    require_ok(rill_listener_close(&listener));
}

/* It is connected, and its listener goes: to the next one. */
static void listener_goes(void *name)
{
    struct board *board = board_make(NULL);
    rill_listener *listener = listen_at(name);
    pid_t child = fork_child();
    if (child == 0) {
        require_ok(rill_listener_close(&listener));
        announce(board, 0);
        ask_and_close(name, 3, 3);
        _exit(0);
    }
    wait_until_asleep(board, 0);
    require_ok(rill_listener_close(&listener));
    listener = listen_at(name);
    serve_one(listener, child);
    require_ok(rill_listener_close(&listener));
}

static void listener_goes_for_good(void *unused)
{
    struct board *board = board_make(NULL);
    rill_listener *listener = listen_at(NULL);
    struct rill_connection connection;
    (void)unused;
    pid_t child = fork_child();
    if (child == 0) {
        char name[RILL_NAME_MOST + 1];
        snprintf(name, sizeof name, "%s", rill_listener_name(listener));
        require_ok(rill_listener_close(&listener));
        announce(board, 0);
        require_code(RILL_ENOSERVER, rill_listener_connect(name, RILL_FOREVER, &connection)); /* a made-up name does not come back */
        _exit(0);
    }
    wait_until_asleep(board, 0);
    require_ok(rill_listener_close(&listener));
    join_child(child);
}

/* ---------------------------------------------------------------- errors */

static void nobody_serves(void *unused)
{
    struct rill_connection connection = {0};
    static const char *const names[] = {"nobody", "/tmp/rill-nobody", "/nonexistent/folder/name", "/dev/null"};
    (void)unused;
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        nobody_there(names[i]);
        int64_t deadline = SOON;
        require_code(RILL_ENOSERVER, rill_listener_connect(names[i], deadline, &connection));
        require(rill_clock() >= deadline);
    }
    require(!connection.sender && !connection.receiver);
}

static void nobody_accepts(void *unused)
{
    rill_listener *listener = listen_at(plain);
    struct rill_connection connection = {0};
    (void)unused;
    require_code(RILL_ETIMEDOUT, rill_listener_connect(plain, RILL_NOW, &connection));
    int64_t deadline = SOON;
    require_code(RILL_ETIMEDOUT, rill_listener_connect(plain, deadline, &connection));
    require(rill_clock() >= deadline);
    require_code(RILL_EEMPTY, rill_listener_accept(listener, RILL_NOW, &connection)); /* both have left */
    deadline = SOON;
    require_code(RILL_ETIMEDOUT, rill_listener_accept(listener, deadline, &connection));
    require(rill_clock() >= deadline);
    require(!connection.sender && !connection.receiver);
    require_ok(rill_listener_close(&listener));
}

static void wrong_kind(void *unused)
{
    rill_listener *listener = listen_at(plain);
    rill_server *server = NULL;
    struct rill_server_options options = {.size = sizeof options, .name = one_shot};
    struct rill_connection connection;
    rill_sender *tx;
    (void)unused;
    require_ok(rill_serve(&options, &server));
    pid_t child = fork_child();
    if (child == 0) {
        require_code(RILL_ENOSERVER, rill_listener_connect(one_shot, RILL_FOREVER, &connection));
        _exit(0);
    }
    rill_receiver *rx;
    rill_message *message;
    int status;
    while (waitpid(child, &status, WNOHANG) == 0)
        require_code(RILL_ETIMEDOUT, rill_server_accept(&server, rill_clock() + MILLISECOND, &rx, &message));
    require_equal(0, status);
    require_ok(rill_server_close(&server));
    require_ok(rill_connect(plain, RILL_NOW, NULL, &tx));
    require_code(RILL_EEMPTY, rill_listener_accept(listener, RILL_NOW, &connection));
    int code = RILL_OK;
    for (unsigned i = 0; i < 100000 && code == RILL_OK; i++)
        code = send_filled(tx, 1000, i);
    require_code(RILL_EBROKEN, code);
    require_ok(rill_sender_close(&tx));
    require_ok(rill_listener_close(&listener));
}

static void name_in_use(void *name)
{
    rill_listener *listener = listen_at(name), *other = NULL;
    require_code(RILL_ENAMEUSED, rill_listen(name, NULL, &other));
    pid_t child = fork_child();
    if (child == 0) {
        require_code(RILL_ENAMEUSED, rill_listen(name, NULL, &other));
        ask_and_close(name, 1, 1);
        _exit(0);
    }
    serve_one(listener, child);
    require_ok(rill_listener_close(&listener));
    other = listen_at(name);
    require_ok(rill_listener_close(&other));
}

static void foreign_paths(void *unused)
{
    rill_listener *listener = NULL;
    (void)unused;
    int fd = open(file, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    require(fd >= 0 && close(fd) == 0);
    require_code(RILL_ENAMEUSED, rill_listen(file, NULL, &listener));
    require(access(file, F_OK) == 0);
    require(unlink(file) == 0);
    require(symlink("/tmp/rill-test-nowhere", file) == 0);
    require_code(RILL_ENAMEUSED, rill_listen(file, NULL, &listener));
    require(unlink(file) == 0);
    require_code(RILL_EINVAL, rill_listen("/nonexistent/name", NULL, &listener));
    require_code(RILL_EINVAL, rill_listen("/tmp/rill-test-none/", NULL, &listener));
    require(listener == NULL);
}

/* A folder that another process keeps locked costs an error, not a hang. */
static void locked_folder(void *unused)
{
    rill_listener *listener = NULL;
    char folder[] = "/tmp/rill-test-XXXXXX", name[64];
    (void)unused;
    require(mkdtemp(folder) != NULL);
    snprintf(name, sizeof name, "%s/name", folder);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    require(fd >= 0 && flock(fd, LOCK_EX) == 0);
    require_code(RILL_EBUSY, rill_listen(name, NULL, &listener));
    close(fd);
    listener = listen_at(name);
    require_ok(rill_listener_close(&listener));
    require(rmdir(folder) == 0);
}

static void bad_arguments(void *unused)
{
    rill_listener *listener = NULL;
    rill_sender *tx;
    rill_receiver *rx;
    struct rill_connection connection = {0};
    char name[RILL_NAME_MOST + 2];
    (void)unused;
    memset(name, 'n', sizeof name);
    name[RILL_NAME_MOST + 1] = 0;
    require_code(RILL_EINVAL, rill_listen(name, NULL, &listener));
    require_code(RILL_EINVAL, rill_listen("", NULL, &listener));
    require_code(RILL_EINVAL, rill_listen(plain, NULL, NULL));
    require_code(RILL_EINVAL, rill_listener_connect(name, RILL_NOW, &connection));
    require_code(RILL_EINVAL, rill_listener_connect("", RILL_NOW, &connection));
    require_code(RILL_EINVAL, rill_listener_connect(NULL, RILL_NOW, &connection));
    require_code(RILL_EINVAL, rill_listener_connect(plain, -1, &connection));
    require_code(RILL_EINVAL, rill_listener_connect(plain, RILL_NOW, NULL));
    struct rill_listener_options options = {.size = sizeof options, .admit = 3};
    require_code(RILL_EINVAL, rill_listen(plain, &options, &listener));
    options = (struct rill_listener_options){.size = sizeof options, .mode = 01000};
    require_code(RILL_EINVAL, rill_listen(plain, &options, &listener));
    struct rill_channel_options channel = {.size = sizeof channel, .transport = RILL_INPROC};
    options = (struct rill_listener_options){.size = sizeof options, .channel = &channel};
    require_code(RILL_EINVAL, rill_listen(plain, &options, &listener));
    channel.transport = 9;
    require_code(RILL_EINVAL, rill_listen(plain, &options, &listener));
    require_code(RILL_EINVAL, rill_listener_accept(NULL, RILL_NOW, &connection));
    require_code(RILL_EINVAL, rill_listener_interrupt(NULL));
    int descriptor = -7;
    require_code(RILL_EINVAL, rill_listener_descriptor(NULL, &descriptor));
    require_code(RILL_EINVAL, rill_listener_close(NULL));
    require_code(RILL_EINVAL, rill_connection_close(NULL));
    require(rill_listener_name(NULL) == NULL);
    require_ok(rill_channel(NULL, &tx, &rx));
    rill_listener *wrong = (rill_listener *)(void *)tx;
    require_code(RILL_EINVAL, rill_listener_accept(wrong, RILL_NOW, &connection));
    require_code(RILL_EINVAL, rill_listener_close(&wrong));
    require_ok(rill_sender_close(&tx));
    require_ok(rill_receiver_close(&rx));
    listener = listen_at(plain);
    require_code(RILL_EINVAL, rill_listener_descriptor(listener, NULL));
    require_equal(-7, descriptor);
    require_code(RILL_EINVAL, rill_listener_accept(listener, -1, &connection));
    require_code(RILL_EINVAL, rill_listener_accept(listener, RILL_NOW, NULL));
    require_ok(rill_listener_close(&listener));
    require_ok(rill_listener_close(&listener));
    require_ok(rill_connection_close(&connection));
}

/* ---------------------------------------------------------------- who is let in */

static void other_user_is_denied(void *name)
{
    rill_listener *listener;
    struct rill_connection connection = {0};
    need_root();
    struct rill_listener_options options = {.size = sizeof options, .mode = 0666};
    listener = listen_with(name, &options);
    pid_t child = fork_child();
    if (child == 0) {
        become_nobody();
        require_code(RILL_EDENIED, rill_listener_connect(name, RILL_FOREVER, &connection));
        _exit(0);
    }
    int status;
    while (waitpid(child, &status, WNOHANG) == 0)
        require_code(RILL_ETIMEDOUT, rill_listener_accept(listener, rill_clock() + MILLISECOND, &connection));
    require_equal(0, status);
    serve_one(listener, asking_child(name, 5, 5));
    require_ok(rill_listener_close(&listener));
}

static void any_user(void *unused)
{
    rill_listener *listener;
    (void)unused;
    need_root();
    struct rill_listener_options options = {.size = sizeof options, .admit = RILL_ADMIT_ANY_USER, .mode = 0666};
    listener = listen_with(path, &options);
    pid_t child = fork_child();
    if (child == 0) {
        become_nobody();
        struct rill_connection connection = connected(path);
        require_equal(0, connection.peer.uid);
        ask(&connection, 1, 10);
        require_ok(rill_connection_close(&connection));
        _exit(0);
    }
    struct rill_connection connection = accepted(listener);
    require_equal(child, connection.peer.pid);
    require_equal(65534, connection.peer.uid);
    require_equal(65534, connection.peer.gid);
    answer(&connection);
    join_child(child);
    require_ok(rill_listener_close(&listener));
}

static void permissions_of_the_path(void *unused)
{
    rill_listener *listener;
    struct rill_connection connection;
    struct stat status;
    (void)unused;
    need_root();
    struct rill_listener_options options = {.size = sizeof options, .admit = RILL_ADMIT_ANY_USER};
    listener = listen_with(path, &options);
    require(lstat(path, &status) == 0);
    require_equal(S_IFSOCK | 0600, status.st_mode);
    pid_t child = fork_child();
    if (child == 0) {
        become_nobody();
        require_code(RILL_EDENIED, rill_listener_connect(path, RILL_FOREVER, &connection));
        rill_listener *other = NULL;
        require_code(RILL_EDENIED, rill_listen("/rill-test-listener", NULL, &other));
        _exit(0);
    }
    join_child(child);
    require_ok(rill_listener_close(&listener));
}

static int refuse_pid(void *context, const struct rill_peer *peer)
{
    return peer->pid != *(pid_t *)context;
}

static void function_denies(void *unused)
{
    pid_t *denied = shared_memory(sizeof *denied);
    struct rill_connection connection;
    struct rill_listener_options options = {.size = sizeof options, .admit_function = refuse_pid, .admit_context = denied};
    rill_listener *listener = listen_with(plain, &options);
    (void)unused;
    pid_t child = fork_child();
    if (child == 0) {
        *denied = getpid();
        require_code(RILL_EDENIED, rill_listener_connect(plain, RILL_FOREVER, &connection));
        _exit(0);
    }
    int status;
    while (waitpid(child, &status, WNOHANG) == 0)
        require_code(RILL_ETIMEDOUT, rill_listener_accept(listener, rill_clock() + MILLISECOND, &connection));
    require_equal(0, status);
    serve_one(listener, asking_child(plain, 5, 5));
    require_ok(rill_listener_close(&listener));
}

/* As in another container: a folder is shared, the network and the numbers of processes are not. */
static void other_namespaces(void *unused)
{
    rill_listener *listener = listen_at(path), *named = listen_at(plain);
    (void)unused;
    pid_t child = fork_child();
    if (child == 0) {
        if (unshare(CLONE_NEWNET | CLONE_NEWPID) != 0)
            _exit(0);
        nobody_there(plain);
        pid_t inner = fork_child();
        if (inner == 0) {
            struct rill_connection connection = connected(path);
            require_equal(0, connection.peer.pid); /* it has no number here */
            ask(&connection, 8, 300);
            require_ok(rill_connection_close(&connection));
            _exit(0);
        }
        join_child(inner);
        _exit(0);
    }
    struct rill_connection connection;
    int code = RILL_ETIMEDOUT, status = 0;
    pid_t gone = 0;
    while (code == RILL_ETIMEDOUT && (gone = waitpid(child, &status, WNOHANG)) == 0)
        code = rill_listener_accept(listener, rill_clock() + MILLISECOND, &connection);
    if (gone == 0) {
        require_ok(code);
        require(connection.peer.pid > 0 && connection.peer.pid != child);
        answer(&connection);
        join_child(child);
    }
    require_equal(0, status);
    require_ok(rill_listener_close(&listener));
    require_ok(rill_listener_close(&named));
    if (gone)
        skip_test("no new namespaces");
}

/* ---------------------------------------------------------------- clients that misbehave */

static struct rill_greeting honest(void)
{
    return (struct rill_greeting){
        .magic = RILL_GREETING_MAGIC, .fingerprint = RILL_FINGERPRINT, .version = RILL_LAYOUT_VERSION, .purpose = RILL_PURPOSE_LISTENER};
}

/* More silent clients than are heard at once: the others are served between them, and the oldest of the silent are let go. */
static void silent_clients(void *unused)
{
    enum { SILENT = RILL_GUESTS_MOST + 40 };
    rill_listener *listener = listen_at(plain);
    int silent[SILENT];
    char byte;
    (void)unused;
    for (unsigned i = 0; i < SILENT; i++) {
        silent[i] = knock(plain);
        if (i % 32 == 0)
            serve_one(listener, asking_child(plain, i, 3));
    }
    serve_one(listener, asking_child(plain, 5, 3));
    unsigned gone = 0;
    for (unsigned i = 0; i < SILENT; i++)
        gone += recv(silent[i], &byte, 1, MSG_DONTWAIT) == 0;
    require(gone >= SILENT - RILL_GUESTS_MOST);
    require_equal(0, recv(silent[0], &byte, 1, MSG_DONTWAIT));
    require_equal(-1, recv(silent[SILENT - 1], &byte, 1, MSG_DONTWAIT));
    for (unsigned i = 0; i < SILENT; i++)
        close(silent[i]);
    serve_one(listener, asking_child(plain, 9, 3)); /* it notices that they left */
    require_ok(rill_listener_close(&listener));
}

static void garbage(void *unused)
{
    rill_listener *listener = listen_at(plain);
    struct rill_connection connection;
    unsigned char bytes[8192], back[sizeof(struct rill_greeting)];
    struct dice dice = {5};
    (void)unused;
    for (unsigned i = 0; i < 200; i++) {
        test_note = i;
        size_t size = 1 + roll(&dice) % (i % 2 ? sizeof bytes : 64);
        fill(bytes, sizeof bytes, i);
        if (i % 4 >= 2) {
            struct rill_greeting greeting = honest();
            memcpy((unsigned char *)&greeting + 24, bytes, sizeof greeting - 24);
            memcpy(bytes, &greeting, sizeof greeting);
        }
        int fd = knock(plain);
        require(send(fd, bytes, size, MSG_NOSIGNAL) == (ssize_t)size);
        if (i % 8 == 0)
            shutdown(fd, SHUT_WR);
        require_code(RILL_EEMPTY, rill_listener_accept(listener, RILL_NOW, &connection));
        ssize_t got = recv(fd, back, sizeof back, 0);
        if (got < 0 && errno == ECONNRESET)
            got = recv(fd, back, sizeof back, 0);
        struct rill_greeting told;
        require_equal(sizeof told, got);
        memcpy(&told, back, sizeof told);
        require_equal(RILL_EPEER, told.answer);
        close(fd);
    }
    serve_one(listener, asking_child(plain, 9, 3));
    require_ok(rill_listener_close(&listener));
}

/* Clients that leave at every point are not accepted. */
static void clients_that_leave(void *unused)
{
    rill_listener *listener = listen_at(plain);
    struct rill_connection connection;
    struct rill_greeting greeting = honest();
    (void)unused;
    close(knock(plain));
    int fd = knock(plain);
    require(send(fd, &greeting, sizeof greeting, 0) > 0);
    close(fd);
    require_code(RILL_EEMPTY, rill_listener_accept(listener, RILL_NOW, &connection));
    fd = knock(plain);
    require_code(RILL_EEMPTY, rill_listener_accept(listener, RILL_NOW, &connection));
    close(fd);
    require_code(RILL_EEMPTY, rill_listener_accept(listener, RILL_NOW, &connection));
    serve_one(listener, asking_child(plain, 9, 3));
    require_ok(rill_listener_close(&listener));
}

static void client_of_another_version(void *unused)
{
    rill_listener *listener = listen_at(plain);
    struct rill_connection connection;
    (void)unused;
    for (unsigned i = 0; i < 3; i++) {
        struct rill_greeting greeting = honest(), told = {0};
        greeting.version += i == 0;
        greeting.fingerprint ^= i != 0;
        int fd = knock(plain);
        require(send(fd, &greeting, i == 2 ? 24 : sizeof greeting, 0) > 0);
        require_code(RILL_EVERSION, rill_listener_accept(listener, RILL_NOW, &connection));
        require_code(RILL_EEMPTY, rill_listener_accept(listener, RILL_NOW, &connection));
        while (recv(fd, &told, sizeof told, 0) < 0)
            require_equal(ECONNRESET, errno);
        require_equal(RILL_EVERSION, told.answer);
        close(fd);
    }
    serve_one(listener, asking_child(plain, 9, 3));
    require_ok(rill_listener_close(&listener));
}

/* A hand-made listener: what it says, and what the client makes of it. */
static void client_meets(const void *bytes, size_t size, int wanted)
{
    const char *name = foreign;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int length = snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "rill/%s", name);
    int point = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    require(bind(point, (struct sockaddr *)&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length)) == 0);
    require(listen(point, 10) == 0);
    pid_t child = fork_child();
    if (child == 0) {
        struct rill_connection connection = {0};
        close(point);
        require_code(wanted, rill_listener_connect(name, RILL_FOREVER, &connection));
        require(!connection.sender && !connection.receiver);
        _exit(0);
    }
    int fd = accept(point, NULL, NULL);
    require(fd >= 0);
    require(send(fd, bytes, size, 0) == (ssize_t)size);
    join_child(child);
    close(fd);
    close(point);
}

static void foreign_listeners(void *unused)
{
    struct rill_greeting greeting = honest();
    unsigned char bytes[300];
    (void)unused;
    greeting.purpose = RILL_PURPOSE_ANSWER;
    greeting.version++;
    client_meets(&greeting, sizeof greeting, RILL_EVERSION);
    greeting.version--;
    greeting.fingerprint ^= 4;
    client_meets(&greeting, sizeof greeting, RILL_EVERSION);
    greeting.fingerprint ^= 4;
    client_meets(&greeting, sizeof greeting, RILL_EPEER); /* without handles */
    greeting.handles = 2;
    client_meets(&greeting, sizeof greeting, RILL_EPEER);
    greeting.handles = 0;
    greeting.answer = RILL_EDENIED;
    client_meets(&greeting, sizeof greeting, RILL_EDENIED);
    greeting.answer = 1234;
    client_meets(&greeting, sizeof greeting, RILL_EPEER);
    greeting = honest();
    client_meets(&greeting, sizeof greeting, RILL_EPEER);
    for (size_t size = 1; size < sizeof bytes; size += 37) {
        fill(bytes, sizeof bytes, size);
        client_meets(bytes, size, RILL_EPEER);
    }
}

static void name_of_another_version(void *unused)
{
    rill_listener *listener = listen_at(NULL);
    struct rill_connection connection;
    char name[RILL_NAME_MOST + 1];
    (void)unused;
    snprintf(name, sizeof name, "%s", rill_listener_name(listener));
    name[5] = name[5] == '0' ? '1' : '0';
    require_code(RILL_EVERSION, rill_listener_connect(name, RILL_FOREVER, &connection));
    require_ok(rill_listener_close(&listener));
}

/* ---------------------------------------------------------------- many */

#define CLIENTS 1000

static void *serve_connection(void *argument)
{
    struct rill_connection connection = *(struct rill_connection *)argument;
    answer(&connection);
    return NULL;
}

/* All of them connect at the same moment, while silent ones and talkers of garbage stand between; each gets answers to its own questions. */
static void thousand_clients(void *transport)
{
    static struct rill_connection connections[CLIENTS];
    static pthread_t threads[CLIENTS];
    struct board *board = board_make(NULL);
    struct rlimit limit;
    require(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    limit.rlim_cur = limit.rlim_max;
    if (limit.rlim_max < 8 * CLIENTS || setrlimit(RLIMIT_NOFILE, &limit) != 0)
        skip_test("too few descriptors");
    rill_listener *listener = listen_over(*(uint32_t *)transport, plain);
    pid_t children[CLIENTS];
    int silent[20], loud[20];
    for (unsigned i = 0; i < 20; i++) {
        silent[i] = knock(plain);
        loud[i] = knock(plain);
        require(send(loud[i], "garbage", 7, 0) == 7);
    }
    for (unsigned i = 0; i < CLIENTS; i++) {
        children[i] = fork_child();
        if (children[i] == 0) {
            flag_wait(board, 0);
            struct rill_connection connection = connected(plain);
            ask(&connection, i * 1000, 2);
            flag_wait(board, 1); /* until all have been accepted */
            ask(&connection, i * 1000 + 2, 2);
            _exit(0);
        }
    }
    flag_raise(board, 0);
    for (unsigned i = 0; i < CLIENTS; i++) {
        connections[i] = accepted(listener);
        require(pthread_create(&threads[i], NULL, serve_connection, &connections[i]) == 0);
    }
    flag_raise(board, 1);
    for (unsigned i = 0; i < CLIENTS; i++)
        join_child(children[i]);
    for (unsigned i = 0; i < CLIENTS; i++)
        require(pthread_join(threads[i], NULL) == 0);
    for (unsigned i = 0; i < 20; i++) {
        close(silent[i]);
        close(loud[i]);
    }
    require_ok(rill_listener_close(&listener));
}

/* One thread, one loop: the descriptor tells when to accept. */
static void event_loop(void *unused)
{
    rill_listener *listener = listen_at(plain);
    struct pollfd state = {.events = POLLIN};
    struct rill_connection connection;
    (void)unused;
    require_ok(rill_listener_descriptor(listener, &state.fd));
    require_equal(0, poll(&state, 1, 0));
    pid_t child = asking_child(plain, 1, 5);
    require_equal(1, poll(&state, 1, -1));
    while (rill_listener_accept(listener, RILL_NOW, &connection) == RILL_EEMPTY)
        require_equal(1, poll(&state, 1, -1));
    answer(&connection);
    join_child(child);
    require_equal(0, poll(&state, 1, 0));
    int fd = knock(plain);
    require_equal(1, poll(&state, 1, -1));
    require_code(RILL_EEMPTY, rill_listener_accept(listener, RILL_NOW, &connection));
    require_equal(0, poll(&state, 1, 0)); /* a silent client does not keep it awake */
    struct rill_greeting greeting = honest();
    require(send(fd, &greeting, sizeof greeting, 0) > 0);
    require_equal(1, poll(&state, 1, -1));
    require_ok(rill_listener_accept(listener, RILL_NOW, &connection));
    require_ok(rill_connection_close(&connection));
    close(fd);
    require_ok(rill_listener_close(&listener));
}

struct waiter {
    struct board *board;
    rill_listener *listener;
};

static void *wait_for_client(void *argument)
{
    struct waiter *waiter = argument;
    struct rill_connection connection;
    announce(waiter->board, 0);
    require_code(RILL_EINTERRUPTED, rill_listener_accept(waiter->listener, RILL_FOREVER, &connection));
    return NULL;
}

static void interrupts(void *unused)
{
    struct waiter waiter = {.board = board_make(NULL), .listener = listen_at(plain)};
    struct rill_connection connection;
    pthread_t thread;
    (void)unused;
    require_ok(rill_listener_interrupt(waiter.listener));
    require_ok(rill_listener_interrupt(waiter.listener));
    require_code(RILL_EINTERRUPTED, rill_listener_accept(waiter.listener, RILL_FOREVER, &connection));
    require_code(RILL_EEMPTY, rill_listener_accept(waiter.listener, RILL_NOW, &connection));
    for (unsigned i = 0; i < 3; i++) {
        atomic_store(&waiter.board->value[0], 0);
        require(pthread_create(&thread, NULL, wait_for_client, &waiter) == 0);
        wait_until_asleep(waiter.board, 0);
        require_code(RILL_EBUSY, rill_listener_accept(waiter.listener, RILL_NOW, &connection));
        require_ok(rill_listener_interrupt(waiter.listener));
        require(pthread_join(thread, NULL) == 0);
    }
    pid_t child = asking_child(plain, 2, 2);
    serve_one(waiter.listener, child);
    require_ok(rill_listener_close(&waiter.listener));
}

static void signals(void *unused)
{
    rill_listener *listener = listen_at(plain);
    struct rill_connection connection;
    (void)unused;
    pester_start(MILLISECOND);
    int64_t deadline = SOON;
    require_code(RILL_ETIMEDOUT, rill_listener_accept(listener, deadline, &connection));
    require(rill_clock() >= deadline);
    deadline = SOON;
    require_code(RILL_ETIMEDOUT, rill_listener_connect(plain, deadline, &connection));
    require(rill_clock() >= deadline);
    deadline = SOON;
    require_code(RILL_ENOSERVER, rill_listener_connect("rill-test-nobody", deadline, &connection));
    require(rill_clock() >= deadline);
    pester_stop();
    require(pester_count() > 0);
    require_ok(rill_listener_close(&listener));
}

/* ---------------------------------------------------------------- fork, death, shortage */

/* Parent and children accept on the same listener. */
static void accept_in_children(void *name)
{
    rill_listener *listener = listen_at(name);
    struct rill_connection connection;
    int silent = strchr(name, '/') ? -1 : knock(name);
    require_code(RILL_EEMPTY, rill_listener_accept(listener, RILL_NOW, &connection));
    pid_t server = fork_child();
    if (server == 0) {
        for (unsigned i = 0; i < 3; i++) {
            connection = accepted(listener);
            answer(&connection);
        }
        require_ok(rill_listener_close(&listener));
        _exit(0);
    }
    for (unsigned i = 0; i < 3; i++)
        ask_and_close(name, i, 5);
    join_child(server);
    if (strchr(name, '/'))
        require(access(name, F_OK) == 0); /* the child took nothing away */
    serve_one(listener, asking_child(name, 7, 7));
    if (silent >= 0)
        close(silent);
    require_ok(rill_listener_close(&listener));
    nobody_there(name);
    require(access(name, F_OK) != 0);
}

static void require_quiet(rill_listener *listener)
{
    struct pollfd state = {.events = POLLIN};
    struct rill_connection connection;
    require_ok(rill_listener_descriptor(listener, &state.fd));
    require_code(RILL_EEMPTY, rill_listener_accept(listener, RILL_NOW, &connection));
    require_equal(0, poll(&state, 1, 0));
}

/* Two processes share the point and nothing else: guests of the one, and those that the other still holds when they have left, wake nobody else. */
static void guests_of_others(void *unused)
{
    struct board *board = board_make(NULL);
    rill_listener *listener = listen_at(plain);
    (void)unused;
    int of_parent = knock(plain);
    require_quiet(listener);
    pid_t child = fork_child();
    if (child == 0) {
        close(of_parent);
        flag_wait(board, 0);
        require_quiet(listener); /* takes the silent one in */
        flag_raise(board, 1);
        flag_wait(board, 2);
        require_quiet(listener); /* which has left */
        require_ok(rill_listener_close(&listener));
        _exit(0);
    }
    int of_child = knock(plain);
    flag_raise(board, 0);
    flag_wait(board, 1);
    close(of_child);
    require_quiet(listener);
    close(of_parent);
    require_quiet(listener);
    flag_raise(board, 2);
    join_child(child);
    require_ok(rill_listener_close(&listener));
}

/* The child of a fork holds the listener and never uses it. */
static void idle_child(void *unused)
{
    struct board *board = board_make(NULL);
    rill_listener *listener = listen_at(plain);
    (void)unused;
    int silent = knock(plain);
    require_quiet(listener);
    pid_t child = fork_child();
    if (child == 0) {
        close(silent);
        flag_wait(board, 0);
        _exit(0);
    }
    close(silent);
    require_quiet(listener);
    flag_raise(board, 0);
    join_child(child);
    require_ok(rill_listener_close(&listener));
}

static void killed_listener(void *name)
{
    struct board *board = board_make(NULL);
    pid_t child = fork_child();
    if (child == 0) {
        rill_listener *own = listen_at(name);
        struct rill_connection connection;
        flag_raise(board, 0);
        require_code(RILL_ETIMEDOUT, rill_listener_accept(own, RILL_FOREVER, &connection));
    }
    flag_wait(board, 0);
    kill_child(child);
    nobody_there(name);
    rill_listener *listener = listen_at(name);
    serve_one(listener, asking_child(name, 7, 7));
    require_ok(rill_listener_close(&listener));
    require(access(name, F_OK) != 0);
}

/* Many try to replace the path of a dead listener at once: one serves it, the others are told. */
static void one_replaces(void *unused)
{
    enum { RIVALS = 8 };
    (void)unused;
    for (unsigned round = 0; round < 20; round++) {
        struct board *board = board_make(NULL);
        pid_t dead = fork_child(), rivals[RIVALS];
        if (dead == 0) {
            (void)listen_at(path);
            _exit(0);
        }
        join_child(dead);
        require(access(path, F_OK) == 0);
        for (unsigned i = 0; i < RIVALS; i++) {
            rivals[i] = fork_child();
            if (rivals[i] == 0) {
                rill_listener *listener = NULL;
                flag_wait(board, 0);
                int code = rill_listen(path, NULL, &listener);
                require(code == RILL_OK || code == RILL_ENAMEUSED);
                atomic_fetch_add(&board->value[code == RILL_OK], 1);
                flag_wait(board, 1);
                require_ok(rill_listener_close(&listener));
                _exit(0);
            }
        }
        flag_raise(board, 0);
        while (atomic_load(&board->value[0]) + atomic_load(&board->value[1]) < RIVALS)
            sched_yield();
        require_equal(1, atomic_load(&board->value[1]));
        flag_raise(board, 1);
        for (unsigned i = 0; i < RIVALS; i++)
            join_child(rivals[i]);
        require(access(path, F_OK) != 0);
    }
}

struct service {
    rill_listener *listener;
    _Atomic unsigned long accepted;
};

/* Answers each client before the next; a client that is killed ends its own connection only. */
static void *serve_until_interrupted(void *argument)
{
    struct service *service = argument;
    struct rill_connection connection;
    int code;
    while ((code = rill_listener_accept(service->listener, RILL_FOREVER, &connection)) == RILL_OK) {
        rill_message *message;
        while (rill_recv(connection.receiver, &message) == RILL_OK)
            (void)send_number(connection.sender, take_number(&message) + 1);
        require_ok(rill_connection_close(&connection));
        service->accepted++;
    }
    require_code(RILL_EINTERRUPTED, code);
    return NULL;
}

/* At any instant of connecting, being served, and leaving. */
static void killed_clients(void *transport)
{
    struct service service = {.listener = NULL};
    struct dice dice = {2026};
    pthread_t thread;
    if (THREAD_SANITIZED)
        skip_test("ThreadSanitizer does not follow a fork among threads");
    service.listener = listen_over(*(uint32_t *)transport, plain);
    require(pthread_create(&thread, NULL, serve_until_interrupted, &service) == 0);
    for (unsigned i = 0; i < rounds(300) || service.accepted <= 6; i++) { /* ever later, so that on a slow machine too some come that far */
        pid_t child = fork_child();
        if (child == 0) {
            for (uint64_t n = 0;; n++)
                ask_and_close(plain, n, n % 3);
        }
        int64_t end = rill_clock() + (int64_t)(roll(&dice) % (3000 + 30 * i)) * MICROSECOND;
        while (rill_clock() < end)
            sched_yield();
        kill_child(child);
        if (i % 50 == 0)
            ask_and_close(plain, i, 3);
    }
    require_ok(rill_listener_interrupt(service.listener));
    require(pthread_join(thread, NULL) == 0);
    require_ok(rill_listener_close(&service.listener));
}

/* Its clients, at any instant, see the end of their channels or the next listener of that name. */
static void killed_listeners(void *name)
{
    enum { CLIENTS_AT_ONCE = 3 };
    struct board *board = board_make(NULL);
    struct dice dice = {77};
    pid_t clients[CLIENTS_AT_ONCE];
    for (unsigned i = 0; i < CLIENTS_AT_ONCE; i++) {
        clients[i] = fork_child();
        if (clients[i] == 0) {
            while (!flag_raised(board, 0)) {
                struct rill_connection connection = connected(name);
                rill_message *message;
                for (uint64_t n = 0; send_number(connection.sender, n) == RILL_OK && rill_recv(connection.receiver, &message) == RILL_OK; n++)
                    require_equal(n + 1, take_number(&message));
                require_ok(rill_connection_close(&connection));
                atomic_fetch_add(&board->value[0], 1);
            }
            _exit(0);
        }
    }
    for (unsigned i = 0; i < rounds(100); i++) {
        pid_t server = fork_child();
        if (server == 0) {
            struct service service = {.listener = listen_at(name)};
            (void)serve_until_interrupted(&service);
        }
        int64_t end = rill_clock() + (int64_t)(roll(&dice) % 5000) * MICROSECOND;
        while (rill_clock() < end)
            sched_yield();
        kill_child(server);
    }
    flag_raise(board, 0);
    struct service service = {.listener = listen_at(name)}; /* those who look for one still find this */
    for (unsigned i = 0; i < CLIENTS_AT_ONCE; i++) {
        struct rill_connection connection;
        int status;
        while (waitpid(clients[i], &status, WNOHANG) == 0)
            if (rill_listener_accept(service.listener, rill_clock() + MILLISECOND, &connection) == RILL_OK)
                require_ok(rill_connection_close(&connection));
        require_equal(0, status);
    }
    require(atomic_load(&board->value[0]) >= CLIENTS_AT_ONCE);
    require_ok(rill_listener_close(&service.listener));
}

/* What the listener lacks is told to its caller, and the client is there at the next try. */
static void shortages(void *unused)
{
    static const struct {
        enum fault fault;
        int error, code;
    } cases[] = {
        {FAULT_ALLOCATION, ENOMEM, RILL_ENOMEM},
        {FAULT_MEMFD, EMFILE, RILL_ENOFD},
        {FAULT_MMAP, ENOMEM, RILL_ENOMEM},
        {FAULT_SOCKETPAIR, EMFILE, RILL_ENOFD},
        {FAULT_SEND, ETOOMANYREFS, RILL_EINFLIGHT},
    };
    (void)unused;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        for (unsigned long n = 1;; n++) {
            rill_listener *listener = NULL;
            struct rill_connection connection;
            test_note = (long long)(i * 100 + n);
            faults_prepare(cases[i].fault, n, cases[i].error, false);
            faults_on();
            int code = rill_listen(plain, NULL, &listener);
            if (code == cases[i].code)
                code = rill_listen(plain, NULL, &listener);
            faults_off();
            require_ok(code);
            pid_t child = asking_child(plain, n, 2);
            unsigned failures = 0;
            faults_on();
            while ((code = rill_listener_accept(listener, RILL_FOREVER, &connection)) == cases[i].code)
                failures++;
            faults_off();
            require_ok(code);
            require(failures <= 1);
            answer(&connection);
            join_child(child);
            require_ok(rill_listener_close(&listener));
            bool fired = faults_fired() > 0;
            faults_end();
            if (!fired)
                break;
        }
    }
}

/* The client's side. */
static void shortages_of_the_client(void *unused)
{
    static const struct {
        enum fault fault;
        int error, code;
    } cases[] = {{FAULT_ALLOCATION, ENOMEM, RILL_ENOMEM}, {FAULT_MMAP, ENOMEM, RILL_ENOMEM}, {FAULT_SEND, ENOMEM, RILL_ENOMEM}};
    rill_listener *listener = listen_at(plain);
    (void)unused;
    pid_t server = fork_child();
    if (server == 0) {
        for (;;) {
            struct rill_connection connection = accepted(listener);
            answer(&connection);
        }
    }
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        for (unsigned long n = 1;; n++) {
            struct rill_connection connection;
            size_t before = count_descriptors();
            test_note = (long long)(i * 100 + n);
            faults_prepare(cases[i].fault, n, cases[i].error, false);
            faults_on();
            int code = rill_listener_connect(plain, RILL_FOREVER, &connection);
            faults_off();
            bool fired = faults_fired() > 0;
            faults_end();
            if (code == RILL_OK) {
                ask(&connection, 1, 1);
                require_ok(rill_connection_close(&connection));
            } else {
                require_code(cases[i].code, code);
            }
            require_equal(before, count_descriptors());
            if (!fired)
                break;
        }
    }
    kill_child(server);
    require_ok(rill_listener_close(&listener));
}

static void out_of_descriptors(void *unused)
{
    rill_listener *listener = listen_at(plain);
    struct rill_connection connection;
    struct rlimit limit = {.rlim_cur = 200, .rlim_max = 200};
    int spare[200];
    size_t count = 0;
    (void)unused;
    pid_t child = asking_child(plain, 3, 3);
    struct pollfd state = {.events = POLLIN};
    require_ok(rill_listener_descriptor(listener, &state.fd));
    require_equal(1, poll(&state, 1, -1));
    require(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    while ((spare[count] = fcntl(0, F_DUPFD_CLOEXEC, 3)) >= 0)
        count++;
    int code;
    while ((code = rill_listener_accept(listener, RILL_FOREVER, &connection)) != RILL_OK) {
        require_code(RILL_ENOFD, code);
        require(count > 150);
        close(spare[--count]);
    }
    while (count)
        close(spare[--count]);
    answer(&connection);
    join_child(child);
    require_ok(rill_listener_close(&listener));
}

static const struct test tests[] = {
    {"clients one after the other get channels both ways, over shared memory", both_ways, &shm, 0},
    {"clients one after the other get channels both ways, over sockets", both_ways, &stream, 0},
    {"a program that knows the name is a client, over shared memory", programs, &shm, 0},
    {"a program that knows the name is a client, over sockets", programs, &stream, 0},
    {"a client learns who its listener is", peer_of_the_client, NULL, 0},
    {"a client waits for a plain name", client_waits, plain, 0},
    {"a client waits for a path", client_waits, path, 0},
    {"a client whose listener goes finds the next of that name", listener_goes, plain, 0},
    {"a client whose listener goes finds the next at that path", listener_goes, path, 0},
    {"a client whose made-up listener goes is told", listener_goes_for_good, NULL, 0},
    {"a name that nobody serves says so, not before its time", nobody_serves, NULL, 0},
    {"a listener that does not accept is not waited for beyond the deadline", nobody_accepts, NULL, 0},
    {"servers and listeners do not take each other's clients", wrong_kind, NULL, 0},
    {"a plain name is served once", name_in_use, plain, 0},
    {"a path is served once", name_in_use, path, 0},
    {"what is no socket of a dead process is never replaced", foreign_paths, NULL, 0},
    {"a folder that stays locked is an error", locked_folder, NULL, 0},
    {"what is not allowed is refused", bad_arguments, NULL, 0},
    {"another user is denied by default, at a plain name", other_user_is_denied, plain, 0},
    {"another user is denied by default, at a path", other_user_is_denied, path, 0},
    {"any user is let in where the option says so, and known", any_user, NULL, 0},
    {"the permissions of a path hold", permissions_of_the_path, NULL, 0},
    {"a function denies whom it likes", function_denies, NULL, 0},
    {"a path serves across namespaces of network and processes", other_namespaces, NULL, 0},
    {"silent clients delay nobody, and the oldest goes", silent_clients, NULL, 60},
    {"garbage delays nobody and is told", garbage, NULL, 0},
    {"clients that leave are not accepted", clients_that_leave, NULL, 0},
    {"both sides tell another version", client_of_another_version, NULL, 0},
    {"a client takes nothing from a listener that does not speak rill", foreign_listeners, NULL, 0},
    {"a made-up name of another version is told at once", name_of_another_version, NULL, 0},
    {"a thousand clients at once are served, with silence and garbage between, over shared memory", thousand_clients, &shm, 120},
    {"a thousand clients at once are served, with silence and garbage between, over sockets", thousand_clients, &stream, 120},
    {"the descriptor tells an event loop when to accept", event_loop, NULL, 0},
    {"an interrupt ends one wait", interrupts, NULL, 0},
    {"signals end no wait", signals, NULL, 0},
    {"children accept on an inherited listener, with a plain name", accept_in_children, plain, 0},
    {"children accept on an inherited listener, at a path", accept_in_children, path, 0},
    {"processes that accept on one listener do not wake each other for their guests", guests_of_others, NULL, 0},
    {"a child that holds the listener does not keep its guests ready", idle_child, NULL, 0},
    {"a killed listener leaves a plain name free", killed_listener, plain, 0},
    {"a killed listener's path is replaced", killed_listener, path, 0},
    {"of many who replace a dead path, one does", one_replaces, NULL, 60},
    {"clients killed at any instant delay nobody and leave nothing, over shared memory", killed_clients, &shm, 60},
    {"clients killed at any instant delay nobody and leave nothing, over sockets", killed_clients, &stream, 60},
    {"clients outlast listeners killed at any instant, at a plain name", killed_listeners, plain, 60},
    {"clients outlast listeners killed at any instant, at a path", killed_listeners, path, 60},
    {"a client outlasts the listener's shortages", shortages, NULL, 60},
    {"a client's shortage leaves nothing behind", shortages_of_the_client, NULL, 60},
    {"a client is not lost for want of descriptors", out_of_descriptors, NULL, 0},
};

int main(int argc, char **argv)
{
    if (readlink("/proc/self/exe", program, sizeof program - 1) <= 0)
        return 2;
    if (argc == 3 && strcmp(argv[1], "--client") == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        alarm(patience(60));
        ask_and_close(argv[2], 11, 20);
        return 0;
    }
    snprintf(plain, sizeof plain, "rill-test-listener-%d", (int)getpid());
    snprintf(foreign, sizeof foreign, "rill-test-foreign-%d", (int)getpid());
    snprintf(one_shot, sizeof one_shot, "rill-test-one-shot-%d", (int)getpid());
    snprintf(path, sizeof path, "/tmp/rill-test-listener-%d", (int)getpid());
    snprintf(file, sizeof file, "/tmp/rill-test-file-%d", (int)getpid());
    return run_group("listener", tests, COUNT_OF(tests));
}
