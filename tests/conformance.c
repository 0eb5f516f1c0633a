/* SPDX-License-Identifier: MIT */
#include "conformance.h"

#include <sys/prctl.h>
#include <sys/wait.h>

static const struct role *all_roles;
static size_t all_role_count;
static char program[512];

static const char *const transport_names[] = {"", "shm", "socket", "inproc"};
static const char *const place_names[] = {"threads", "forked", "executed"};

/* ---------------------------------------------------------------- ends */

void world_channel(struct world *world, unsigned index, const struct rill_channel_options *options)
{
    struct rill_channel_options own = {.size = sizeof own};
    if (options)
        own = *options;
    own.size = sizeof own;
    own.transport = world->mine.transport;
    require_ok(rill_channel(&own, &world->mine.tx[index], &world->mine.rx[index]));
    require(world->mine.tx[index] != NULL && world->mine.rx[index] != NULL);
}

void world_clone(struct world *world, unsigned from, unsigned to)
{
    require_ok(rill_sender_clone(world->mine.tx[from], &world->mine.tx[to]));
    require(world->mine.tx[to] != NULL);
}

void close_ends(struct ends *ends)
{
    for (unsigned i = 0; i < ENDS; i++) {
        require_ok(rill_sender_close(&ends->tx[i]));
        require_ok(rill_receiver_close(&ends->rx[i]));
        require(ends->tx[i] == NULL && ends->rx[i] == NULL);
    }
}

/* Moves the chosen ends. */
static void deal(struct ends *from, unsigned senders, unsigned receivers, struct ends *to)
{
    to->board = from->board;
    to->transport = from->transport;
    for (unsigned i = 0; i < ENDS; i++) {
        if (senders & END(i)) {
            to->tx[i] = from->tx[i];
            from->tx[i] = NULL;
        }
        if (receivers & END(i)) {
            to->rx[i] = from->rx[i];
            from->rx[i] = NULL;
        }
    }
}

/* ---------------------------------------------------------------- peers */

static void *run_thread(void *argument)
{
    struct peer *peer = argument;
    peer->run(peer->ends);
    close_ends(peer->ends);
    return NULL;
}

static void start_thread(struct peer *peer)
{
    peer->is_thread = true;
    require(pthread_create(&peer->thread, NULL, run_thread, peer) == 0);
}

static void start_forked(struct peer *peer, struct world *world)
{
    peer->process = fork_child();
    if (peer->process == 0) {
        close_ends(&world->mine);
        peer->run(peer->ends);
        close_ends(peer->ends);
        _exit(0);
    }
    close_ends(peer->ends);
}

static const char *name_of(role_function *run)
{
    for (size_t i = 0; i < all_role_count; i++)
        if (all_roles[i].run == run)
            return all_roles[i].name;
    require_failed(__FILE__, __LINE__, "the role is in the program's table");
}

static size_t list_handles(const struct ends *ends, struct rill_handle *handles)
{
    size_t count = 0;
    for (unsigned i = 0; i < ENDS; i++)
        if (ends->tx[i])
            handles[count++] = (struct rill_handle){.kind = RILL_HANDLE_SENDER, .as.sender = ends->tx[i]};
    for (unsigned i = 0; i < ENDS; i++)
        if (ends->rx[i])
            handles[count++] = (struct rill_handle){.kind = RILL_HANDLE_RECEIVER, .as.receiver = ends->rx[i]};
    return count;
}

static void start_executed(struct peer *peer, struct world *world, unsigned senders, unsigned receivers)
{
    char number[5][24], mode[] = "--role", name[128];
    struct rill_handle handles[2 * ENDS];
    size_t count = list_handles(peer->ends, handles);
    snprintf(number[0], sizeof number[0], "%u", senders);
    snprintf(number[1], sizeof number[1], "%u", receivers);
    snprintf(number[2], sizeof number[2], "%llu", (unsigned long long)peer->ends->argument);
    snprintf(number[3], sizeof number[3], "%u", world->mine.transport);
    snprintf(number[4], sizeof number[4], "%d", world->board_descriptor);
    snprintf(name, sizeof name, "%s", name_of(peer->run));
    char *arguments[] = {program, mode, name, number[0], number[1], number[2], number[3], number[4], NULL};
    require_ok(rill_spawn(program, arguments, NULL, handles, count, &peer->process));
    for (size_t i = 0; i < count; i++)
        require(handles[i].kind == RILL_HANDLE_SENDER || handles[i].as.receiver == NULL);
    for (unsigned i = 0; i < ENDS; i++)
        peer->ends->rx[i] = NULL; /* moved */
    close_ends(peer->ends);
}

void peer_start(struct peer *peer, struct world *world, role_function *run, unsigned senders, unsigned receivers, uint64_t argument)
{
    *peer = (struct peer){.run = run, .ends = calloc(1, sizeof *peer->ends)};
    require(peer->ends != NULL);
    deal(&world->mine, senders, receivers, peer->ends);
    peer->ends->argument = argument;
    if (world->place == PLACE_THREADS)
        start_thread(peer);
    else if (world->place == PLACE_FORKED)
        start_forked(peer, world);
    else
        start_executed(peer, world, senders, receivers);
}

void peer_join(struct peer *peer)
{
    if (peer->is_thread)
        require(pthread_join(peer->thread, NULL) == 0);
    else
        join_child(peer->process);
    free(peer->ends);
}

void peer_kill(struct peer *peer)
{
    require(!peer->is_thread);
    kill_child(peer->process);
    free(peer->ends);
}

/* ---------------------------------------------------------------- a started program */

static void take_inherited(struct ends *ends, unsigned senders, unsigned receivers)
{
    size_t index = 0;
    struct rill_handle handle;
    for (unsigned i = 0; i < ENDS; i++) {
        if (!(senders & END(i)))
            continue;
        require_ok(rill_inherited(index++, &handle));
        require_equal(RILL_HANDLE_SENDER, handle.kind);
        ends->tx[i] = handle.as.sender;
    }
    for (unsigned i = 0; i < ENDS; i++) {
        if (!(receivers & END(i)))
            continue;
        require_ok(rill_inherited(index++, &handle));
        require_equal(RILL_HANDLE_RECEIVER, handle.kind);
        ends->rx[i] = handle.as.receiver;
    }
    require_code(RILL_EINVAL, rill_inherited(index, &handle));
}

/* program --role NAME SENDERS RECEIVERS ARGUMENT TRANSPORT BOARD */
static int run_role(char **argv)
{
    static struct ends ends;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    alarm(patience(120));
    ends.argument = strtoull(argv[5], NULL, 10);
    ends.transport = (uint32_t)strtoul(argv[6], NULL, 10);
    ends.board = board_map((int)strtol(argv[7], NULL, 10));
    take_inherited(&ends, (unsigned)strtoul(argv[3], NULL, 10), (unsigned)strtoul(argv[4], NULL, 10));
    for (size_t i = 0; i < all_role_count; i++) {
        if (strcmp(all_roles[i].name, argv[2]) != 0)
            continue;
        all_roles[i].run(&ends);
        close_ends(&ends);
        return 0;
    }
    return 2;
}

/* ---------------------------------------------------------------- the suite */

/* A case in one transport and place. */
struct instance {
    const struct conformance_case *what;
    struct world world;
    char name[256];
};

static void run_instance(void *argument)
{
    struct instance *instance = argument;
    instance->what->body(&instance->world);
    close_ends(&instance->world.mine);
}

static int choose(const char *word, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(word, names[i]) == 0)
            return (int)i;
    return -1;
}

static bool wanted(const struct conformance_case *what, unsigned transport, unsigned place)
{
    if (transport == RILL_INPROC && place != PLACE_THREADS)
        return false;
    return (what->transports & 1u << transport) && (what->places & 1u << place);
}

static size_t instantiate(const struct conformance_case *cases, size_t count, unsigned transports, unsigned places,
                          struct instance *instances)
{
    size_t made = 0;
    for (unsigned transport = RILL_SHM; transport <= RILL_INPROC; transport++) {
        for (unsigned place = 0; place < PLACES; place++) {
            for (size_t i = 0; i < count; i++) {
                if (!(transports & 1u << transport) || !(places & 1u << place) || !wanted(&cases[i], transport, place))
                    continue;
                struct instance *instance = &instances[made++];
                instance->what = &cases[i];
                instance->world.mine.transport = transport;
                instance->world.place = (enum place)place;
                snprintf(instance->name, sizeof instance->name, "%s, %s: %s", transport_names[transport], place_names[place],
                         cases[i].name);
            }
        }
    }
    return made;
}

static int run_instances(struct instance *instances, size_t count)
{
    struct test *tests = calloc(count + 1, sizeof *tests);
    if (!tests)
        return 2;
    int board_descriptor;
    struct board *board = board_make(&board_descriptor);
    for (size_t i = 0; i < count; i++) {
        instances[i].world.mine.board = board;
        instances[i].world.board_descriptor = board_descriptor;
        tests[i] = (struct test){instances[i].name, run_instance, &instances[i], instances[i].what->seconds};
    }
    int failed = run_group_on(board, "conformance", tests, count);
    free(tests);
    return failed;
}

int conformance_main(int argc, char **argv, const struct conformance_case *cases, size_t count, const struct role *roles,
                     size_t role_count)
{
    all_roles = roles;
    all_role_count = role_count;
    if (readlink("/proc/self/exe", program, sizeof program - 1) <= 0)
        return 2;
    if (argc == 8 && strcmp(argv[1], "--role") == 0)
        return run_role(argv);
    int transport = argc > 1 ? choose(argv[1], transport_names, COUNT_OF(transport_names)) : 0;
    int place = argc > 2 ? choose(argv[2], place_names, COUNT_OF(place_names)) : 0;
    if (transport < 0 || place < 0) {
        fprintf(stderr, "usage: %s [shm|socket|inproc [threads|forked|executed]]\n", argv[0]);
        return 2;
    }
    struct instance *instances = calloc(count * 3 * PLACES + 1, sizeof *instances);
    if (!instances)
        return 2;
    size_t made = instantiate(cases, count, argc > 1 ? 1u << transport : ON_ALL, argc > 2 ? 1u << place : AT_ALL, instances);
    int failed = run_instances(instances, made);
    free(instances);
    return failed;
}
