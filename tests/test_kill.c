/* SPDX-License-Identifier: MIT */
/*
 * Processes are killed and stopped at random instants. RILL_TEST_SCALE=full makes it a thousand times each.
 *
 * Each sender writes down how many of its sends have returned, in memory that only the test shares. Of a killed one, all of
 * these have to arrive, and at most the one more that was under way.
 */
#include "support.h"

#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/wait.h>

enum { SENDERS = 3, VICTIM = 0 };

struct ledger {
    _Atomic uint64_t returned[SENDERS]; /* sends that have returned success */
    _Atomic uint32_t stop;              /* senders end */
    _Atomic uint32_t broken[SENDERS];   /* a sender has got RILL_EBROKEN */
};

static unsigned kill_runs(void)
{
    return full_scale() ? 1000 : SANITIZED ? 20 : 100;
}

/* ---------------------------------------------------------------- senders */

static size_t size_of(uint64_t sender, uint64_t number, unsigned run)
{
    struct dice dice = {sender << 40 ^ number << 8 ^ run};
    uint64_t kind = roll(&dice) % 1000;
    if (kind < 700)
        return STAMP_SIZE + roll(&dice) % 300;
    if (kind < 960)
        return STAMP_SIZE + roll(&dice) % 8000;
    if (kind < 995)
        return STAMP_SIZE + roll(&dice) % 100000;
    return STAMP_SIZE + roll(&dice) % (2 * MIB);
}

#define LARGEST (STAMP_SIZE + 2 * MIB)

/* Sends until it is told to stop or the receiver is gone; gives the last result. */
static int send_on(rill_sender *sender, uint64_t name, unsigned run, struct ledger *ledger)
{
    static unsigned char bytes[LARGEST];
    for (uint64_t number = 0; !atomic_load(&ledger->stop); number++) {
        size_t size = size_of(name, number, run);
        stamp(bytes, size, name, number);
        int result = rill_send(sender, bytes, size);
        if (result != 0)
            return result;
        atomic_store(&ledger->returned[name], number + 1);
    }
    return 0;
}

static pid_t start_sender(rill_sender *sender, rill_receiver *receiver, uint64_t name, unsigned run, struct ledger *ledger)
{
    pid_t child = fork_child();
    if (child != 0)
        return child;
    require_ok(rill_receiver_close(&receiver));
    require_ok(send_on(sender, name, run, ledger));
    require_ok(rill_sender_close(&sender));
    _exit(0);
}

/* ---------------------------------------------------------------- the receiver */

struct intake {
    uint64_t next[SENDERS];
    rill_message *kept[16]; /* some messages are kept for a while */
    unsigned turn;
};

static void take(struct intake *intake, rill_message *message)
{
    uint64_t sender, number;
    require(stamped(rill_message_data(message), rill_message_size(message), &sender, &number));
    require(sender < SENDERS);
    require_equal(intake->next[sender], number);
    intake->next[sender]++;
    rill_message **slot = &intake->kept[intake->turn++ % COUNT_OF(intake->kept)];
    require_ok(rill_message_close(slot));
    *slot = message;
}

static void drop_kept(struct intake *intake)
{
    for (size_t i = 0; i < COUNT_OF(intake->kept); i++)
        require_ok(rill_message_close(&intake->kept[i]));
}

static void take_one(rill_receiver *receiver, struct intake *intake)
{
    rill_message *message = NULL;
    require_ok(rill_recv(receiver, &message));
    take(intake, message);
}

static void take_rest(rill_receiver *receiver, struct intake *intake)
{
    rill_message *message = NULL;
    int result;
    while ((result = rill_recv(receiver, &message)) == 0)
        take(intake, message);
    require_code(RILL_EDISCONNECTED, result);
    drop_kept(intake);
}

/* ---------------------------------------------------------------- the killer: a thread that waits some nanoseconds */

struct killer {
    pthread_t thread;
    pid_t victim;
    int64_t delay;
    int signal;
};

static void *run_killer(void *argument)
{
    struct killer *killer = argument;
    int64_t until = rill_clock() + killer->delay;
    while (rill_clock() < until)
        if (until - rill_clock() > 200 * MICROSECOND)
            usleep(100);
    require(kill(killer->victim, killer->signal) == 0);
    return NULL;
}

/* From a microsecond to some milliseconds, each magnitude as likely as the others. */
static int64_t some_delay(struct dice *dice)
{
    return (int64_t)(roll(dice) >> roll_between(dice, 41, 54));
}

static void start_killer(struct killer *killer, pid_t victim, int64_t delay, int signal)
{
    *killer = (struct killer){.victim = victim, .delay = delay, .signal = signal};
    require(pthread_create(&killer->thread, NULL, run_killer, killer) == 0);
}

static void reap_killed(pid_t child)
{
    int status = 0;
    require(waitpid(child, &status, 0) == child);
    require(WIFSIGNALED(status));
    require_equal(SIGKILL, WTERMSIG(status));
}

/* ---------------------------------------------------------------- a sender is killed */

static void require_progress(rill_receiver *receiver, struct intake *intake, struct ledger *ledger, uint64_t more)
{
    for (unsigned i = 0; i < SENDERS; i++) {
        if (i == VICTIM)
            continue;
        uint64_t goal = atomic_load(&ledger->returned[i]) + more;
        while (intake->next[i] < goal)
            take_one(receiver, intake);
    }
}

static void account(const struct intake *intake, struct ledger *ledger)
{
    uint64_t returned = atomic_load(&ledger->returned[VICTIM]);
    require(intake->next[VICTIM] >= returned);
    require(intake->next[VICTIM] <= returned + 1);
    for (unsigned i = 0; i < SENDERS; i++)
        if (i != VICTIM)
            require_equal(atomic_load(&ledger->returned[i]), intake->next[i]);
}

static void kill_a_sender(const struct rill_channel_options *options, unsigned run, struct ledger *ledger)
{
    rill_sender *tx = NULL;
    rill_receiver *rx = NULL;
    pid_t children[SENDERS];
    struct intake intake = {0};
    struct killer killer;
    struct dice dice = {run};
    memset(ledger, 0, sizeof *ledger);
    require_ok(rill_channel(options, &tx, &rx));
    for (unsigned i = SENDERS; i-- > 0;)
        children[i] = start_sender(tx, rx, i, run, ledger);
    require_ok(rill_sender_close(&tx));
    start_killer(&killer, children[VICTIM], some_delay(&dice), SIGKILL);
    for (uint64_t count = roll(&dice) % 500; count > 0; count--)
        take_one(rx, &intake);
    require(pthread_join(killer.thread, NULL) == 0);
    reap_killed(children[VICTIM]);
    require_progress(rx, &intake, ledger, 30);
    atomic_store(&ledger->stop, 1);
    take_rest(rx, &intake);
    for (unsigned i = 0; i < SENDERS; i++)
        if (i != VICTIM)
            join_child(children[i]);
    account(&intake, ledger);
    require_ok(rill_receiver_close(&rx));
}

static void require_nothing_left(size_t descriptors, size_t names)
{
    require_equal(descriptors, count_descriptors());
    require_equal(0, count_shared_mappings());
    require_equal(names, count_shm_names());
}

static void kill_senders(const struct rill_channel_options *options)
{
    struct ledger *ledger = shared_memory(sizeof *ledger);
    size_t descriptors = count_descriptors(), names = count_shm_names();
    for (unsigned run = 0; run < kill_runs(); run++) {
        test_note = run;
        kill_a_sender(options, run, ledger);
        require_nothing_left(descriptors, names);
    }
    munmap(ledger, sizeof *ledger);
}

static void sender_killed(void *unused)
{
    (void)unused;
    kill_senders(NULL);
}

static void sender_killed_with_limit(void *unused)
{
    struct rill_channel_options options = {.size = sizeof options, .limit = 128 * KIB, .on_full = RILL_FULL_WAIT};
    (void)unused;
    kill_senders(&options);
}

static void sender_killed_socket(void *unused)
{
    struct rill_channel_options options = {.size = sizeof options, .transport = RILL_SOCKET};
    (void)unused;
    kill_senders(&options);
}

/* A sender killed before it is known to the receiver, again and again, with one channel. */
static void killed_at_first_send(void *unused)
{
    rill_sender *tx = NULL;
    rill_receiver *rx = NULL;
    rill_message *message = NULL;
    struct dice dice = {99};
    struct ledger *ledger = shared_memory(sizeof *ledger);
    size_t before = 0;
    (void)unused;
    require_ok(rill_channel(NULL, &tx, &rx));
    for (unsigned run = 0; run < 2 * kill_runs(); run++) {
        struct intake intake = {0};
        struct killer killer;
        test_note = run;
        memset(ledger, 0, sizeof *ledger);
        pid_t child = start_sender(tx, rx, VICTIM, run, ledger);
        start_killer(&killer, child, (int64_t)(roll(&dice) % (uint64_t)(400 * MICROSECOND)), SIGKILL);
        require(pthread_join(killer.thread, NULL) == 0);
        reap_killed(child);
        int result;
        while ((result = rill_try_recv(rx, &message)) == 0)
            take(&intake, message);
        require_code(RILL_EEMPTY, result);
        drop_kept(&intake);
        account(&intake, ledger);
        if (run == 10)
            before = count_descriptors();
    }
    require(count_descriptors() <= before + 2);
    require_ok(rill_sender_close(&tx));
    require_ok(rill_receiver_close(&rx));
    munmap(ledger, sizeof *ledger);
}

/* ---------------------------------------------------------------- the receiver is killed */

static void receive_for_ever(rill_sender *sender, rill_receiver *receiver)
{
    struct intake intake = {0};
    require_ok(rill_sender_close(&sender));
    for (;;)
        take_one(receiver, &intake);
}

static void send_to_the_end(rill_sender *sender, rill_receiver *receiver, uint64_t name, unsigned run, struct ledger *ledger)
{
    require_ok(rill_receiver_close(&receiver));
    require_code(RILL_EBROKEN, send_on(sender, name, run, ledger));
    require_code(RILL_EBROKEN, send_filled(sender, 10, 1));
    require_ok(rill_sender_close(&sender));
    require_equal(0, count_shared_mappings());
    atomic_store(&ledger->broken[name], 1);
}

static void kill_the_receiver(const struct rill_channel_options *options, unsigned run, struct ledger *ledger)
{
    rill_sender *tx = NULL;
    rill_receiver *rx = NULL;
    pid_t children[SENDERS], receiver;
    struct killer killer;
    struct dice dice = {run};
    memset(ledger, 0, sizeof *ledger);
    require_ok(rill_channel(options, &tx, &rx));
    receiver = fork_child();
    if (receiver == 0)
        receive_for_ever(tx, rx);
    for (unsigned i = 0; i < SENDERS; i++) {
        children[i] = fork_child();
        if (children[i] == 0) {
            send_to_the_end(tx, rx, i, run, ledger);
            _exit(0);
        }
    }
    require_ok(rill_sender_close(&tx));
    require_ok(rill_receiver_close(&rx));
    start_killer(&killer, receiver, some_delay(&dice), SIGKILL);
    require(pthread_join(killer.thread, NULL) == 0);
    reap_killed(receiver);
    for (unsigned i = 0; i < SENDERS; i++) {
        join_child(children[i]);
        require_equal(1, atomic_load(&ledger->broken[i]));
    }
}

static void kill_receivers(const struct rill_channel_options *options)
{
    struct ledger *ledger = shared_memory(sizeof *ledger);
    size_t descriptors = count_descriptors(), names = count_shm_names();
    for (unsigned run = 0; run < kill_runs(); run++) {
        test_note = run;
        kill_the_receiver(options, run, ledger);
        require_nothing_left(descriptors, names);
    }
    munmap(ledger, sizeof *ledger);
}

static void receiver_killed(void *unused)
{
    (void)unused;
    kill_receivers(NULL);
}

static void receiver_killed_with_limit(void *unused)
{
    struct rill_channel_options options = {.size = sizeof options, .limit = 128 * KIB, .on_full = RILL_FULL_WAIT};
    (void)unused;
    kill_receivers(&options);
}

static void receiver_killed_socket(void *unused)
{
    struct rill_channel_options options = {.size = sizeof options, .transport = RILL_SOCKET};
    (void)unused;
    kill_receivers(&options);
}

/* ---------------------------------------------------------------- a sender is stopped */

static void stop_a_sender(unsigned run, struct ledger *ledger)
{
    rill_sender *tx = NULL;
    rill_receiver *rx = NULL;
    pid_t children[SENDERS];
    struct intake intake = {0};
    struct killer killer;
    struct dice dice = {run};
    memset(ledger, 0, sizeof *ledger);
    require_ok(rill_channel(NULL, &tx, &rx));
    for (unsigned i = 0; i < SENDERS; i++)
        children[i] = start_sender(tx, rx, i, run, ledger);
    require_ok(rill_sender_close(&tx));
    start_killer(&killer, children[VICTIM], some_delay(&dice), SIGSTOP);
    for (uint64_t count = roll(&dice) % 500; count > 0; count--)
        take_one(rx, &intake);
    require(pthread_join(killer.thread, NULL) == 0);
    int status = 0;
    require(waitpid(children[VICTIM], &status, WUNTRACED) == children[VICTIM]);
    require(WIFSTOPPED(status));
    require_progress(rx, &intake, ledger, 100);
    require(kill(children[VICTIM], SIGCONT) == 0);
    atomic_store(&ledger->stop, 1);
    take_rest(rx, &intake);
    for (unsigned i = 0; i < SENDERS; i++) {
        join_child(children[i]);
        require_equal(atomic_load(&ledger->returned[i]), intake.next[i]);
    }
    require_ok(rill_receiver_close(&rx));
}

static void sender_stopped(void *unused)
{
    struct ledger *ledger = shared_memory(sizeof *ledger);
    (void)unused;
    for (unsigned run = 0; run < kill_runs(); run++) {
        test_note = run;
        stop_a_sender(run, ledger);
    }
    munmap(ledger, sizeof *ledger);
}

/* A receiver that is stopped delays no sender. */
static void receiver_stopped(void *unused)
{
    rill_sender *tx = NULL;
    rill_receiver *rx = NULL;
    struct board *board = board_make(NULL);
    (void)unused;
    require_ok(rill_channel(NULL, &tx, &rx));
    pid_t receiver = fork_child();
    if (receiver == 0) {
        require_ok(rill_sender_close(&tx));
        for (uint64_t i = 0; i < 20000; i++) {
            flag_raise(board, 0);
            require_equal(i, receive_number(rx));
        }
        _exit(0);
    }
    require_ok(rill_receiver_close(&rx));
    for (uint64_t i = 0; i < 100; i++)
        require_ok(send_number(tx, i));
    flag_wait(board, 0);
    stop_child(receiver);
    for (uint64_t i = 100; i < 20000; i++)
        require_ok(send_number(tx, i));
    require(kill(receiver, SIGCONT) == 0);
    join_child(receiver);
    require_ok(rill_sender_close(&tx));
    munmap(board, sizeof *board);
}

static const struct test tests[] = {
    {"of a killed sender every message whose send returned arrives once, in order, and others go on", sender_killed, NULL, 600},
    {"the same among senders that wait for room", sender_killed_with_limit, NULL, 600},
    {"the same over a socket", sender_killed_socket, NULL, 600},
    {"senders killed at their first send leave nothing at the receiver", killed_at_first_send, NULL, 600},
    {"of a killed receiver every sender is told, and gets its memory back", receiver_killed, NULL, 600},
    {"the same where senders wait for room", receiver_killed_with_limit, NULL, 600},
    {"the same over a socket: the receiver", receiver_killed_socket, NULL, 600},
    {"a stopped sender delays no other", sender_stopped, NULL, 600},
    {"a stopped receiver delays no sender", receiver_stopped, NULL, 60},
};

int main(void)
{
    return run_group("kill", tests, COUNT_OF(tests));
}
