/* SPDX-License-Identifier: MIT */
/*
 * Processes are killed at random instants while a receiver, a sender and a descriptor go to and fro between two of them. RILL_TEST_SCALE=full makes it a
 * thousand times each.
 *
 *     feeder ──data──> [ receiver of data, with either ]
 *     left ──there──> right      right ──back──> left       each message carries the receiver of data, a sender and the writing end of a pipe
 *
 * Whoever survives gets every message once and in order as long as it has the receiver, is told of the end where it has not, and has no
 * descriptor and no mapping left when it has closed its ends.
 */
#include "support.h"

#include <pthread.h>
#include <sched.h>
#include <sys/wait.h>

enum party { LEFT, RIGHT, FEEDER, PARTIES };

struct ledger {
    _Atomic uint32_t stop;      /* the feeder ends */
    _Atomic uint64_t fed;       /* its sends that have returned success */
    _Atomic uint64_t received;  /* by whoever saw the end of data */
    _Atomic uint32_t seen_end;
};

/* What goes along with the receiver. */
struct luggage {
    uint64_t next;
};

struct stage {
    struct ledger *ledger;
    rill_sender *data_tx, *there_tx, *back_tx;
    rill_receiver *data_rx, *there_rx, *back_rx;
    int pipe_reading, pipe_writing;
    size_t descriptors, mappings; /* without all that */
    unsigned run;
};

static unsigned kill_runs(void)
{
    return full_scale() ? 1000 : SANITIZED ? 10 : 60;
}

static void build(struct stage *stage, uint32_t transport, unsigned run)
{
    struct rill_channel_options options = {.size = sizeof options, .transport = transport};
    struct rill_channel_options bounded = options;
    bounded.limit = 64 * KIB;
    bounded.on_full = RILL_FULL_WAIT;
    int ends[2];
    memset(stage->ledger, 0, sizeof *stage->ledger);
    stage->run = run;
    stage->descriptors = count_descriptors();
    stage->mappings = count_shared_mappings();
    require_ok(rill_channel(&bounded, &stage->data_tx, &stage->data_rx));
    require_ok(rill_channel(&options, &stage->there_tx, &stage->there_rx));
    require_ok(rill_channel(&options, &stage->back_tx, &stage->back_rx));
    require(pipe(ends) == 0);
    stage->pipe_reading = ends[0];
    stage->pipe_writing = ends[1];
}

static void leave(struct stage *stage)
{
    require_ok(rill_sender_close(&stage->data_tx));
    require_ok(rill_sender_close(&stage->there_tx));
    require_ok(rill_sender_close(&stage->back_tx));
    require_ok(rill_receiver_close(&stage->data_rx));
    require_ok(rill_receiver_close(&stage->there_rx));
    require_ok(rill_receiver_close(&stage->back_rx));
    close(stage->pipe_reading);
    close(stage->pipe_writing);
    require_equal(stage->descriptors, count_descriptors());
    require_equal(stage->mappings, count_shared_mappings());
}

/* ---------------------------------------------------------------- the parties */

static size_t size_of(uint64_t number)
{
    return number % 50 == 0 ? 30000 : STAMP_SIZE + number % 400;
}

static void feed(struct stage *stage)
{
    static unsigned char bytes[30000];
    require_ok(rill_receiver_close(&stage->data_rx));
    require_ok(rill_sender_close(&stage->there_tx));
    require_ok(rill_sender_close(&stage->back_tx));
    require_ok(rill_receiver_close(&stage->there_rx));
    require_ok(rill_receiver_close(&stage->back_rx));
    for (uint64_t i = 0; !atomic_load(&stage->ledger->stop); i++) {
        stamp(bytes, size_of(i), 0, i);
        int code = rill_send(stage->data_tx, bytes, size_of(i));
        if (code == RILL_EBROKEN)
            break;
        require_ok(code);
        atomic_store(&stage->ledger->fed, i + 1);
    }
    leave(stage);
}

/* False: its end. */
static bool receive_one(struct stage *stage, struct luggage *luggage)
{
    rill_message *message;
    uint64_t sender, number;
    int code = rill_recv(stage->data_rx, &message);
    if (code == RILL_EDISCONNECTED) {
        atomic_store(&stage->ledger->received, luggage->next);
        atomic_store(&stage->ledger->seen_end, 1);
        return false;
    }
    require_ok(code);
    require(stamped(rill_message_data(message), rill_message_size(message), &sender, &number));
    require_equal(luggage->next, number);
    require_equal(size_of(number), rill_message_size(message));
    luggage->next++;
    require_ok(rill_message_close(&message));
    return true;
}

/* False: the other one is gone. */
static bool pass(struct stage *stage, rill_sender *out, const struct luggage *luggage)
{
    struct rill_handle handles[3] = {
        {.kind = RILL_HANDLE_RECEIVER, .as.receiver = stage->data_rx},
        {.kind = RILL_HANDLE_SENDER, .as.sender = out},
        {.kind = RILL_HANDLE_DESCRIPTOR, .as.descriptor = stage->pipe_writing},
    };
    int code = rill_send_handles(out, luggage, sizeof *luggage, handles, 3);
    if (code != RILL_EBROKEN)
        require_ok(code);
    stage->data_rx = handles[0].as.receiver;
    require((code == RILL_OK) == (stage->data_rx == NULL));
    return code == RILL_OK;
}

/* False: the other one is gone. */
static bool get(struct stage *stage, rill_receiver *in, struct luggage *luggage, struct dice *dice)
{
    rill_message *message;
    rill_sender *sender;
    int descriptor;
    int code = rill_recv(in, &message);
    if (code == RILL_EDISCONNECTED)
        return false;
    require_ok(code);
    require_equal(3, rill_message_handle_count(message));
    require_ok(rill_message_take_receiver(message, 0, &stage->data_rx));
    if (roll(dice) % 2) {
        require_ok(rill_message_take_sender(message, 1, &sender));
        require_ok(rill_sender_close(&sender));
        require_ok(rill_message_take_descriptor(message, 2, &descriptor));
        close(descriptor);
    }
    memcpy(luggage, rill_message_data(message), sizeof *luggage);
    require_ok(rill_message_close(&message));
    return true;
}

/* Without a partner, until the feeder has stopped. */
static void finish_alone(struct stage *stage, struct luggage *luggage)
{
    atomic_store(&stage->ledger->stop, 1);
    while (receive_one(stage, luggage))
        continue;
}

static void bounce(struct stage *stage, rill_sender *out, rill_receiver *in, bool begins)
{
    struct luggage luggage = {0};
    struct dice dice = {stage->run * 2 + begins};
    bool have = begins;
    for (;;) {
        if (!have && !get(stage, in, &luggage, &dice))
            return;
        for (uint64_t left = roll(&dice) % 20; left; left--)
            if (!receive_one(stage, &luggage))
                return;
        if (!pass(stage, out, &luggage)) {
            finish_alone(stage, &luggage);
            return;
        }
        have = false;
    }
}

static void stay_left(struct stage *stage)
{
    require_ok(rill_sender_close(&stage->data_tx));
    require_ok(rill_sender_close(&stage->back_tx));
    require_ok(rill_receiver_close(&stage->there_rx));
    bounce(stage, stage->there_tx, stage->back_rx, true);
    leave(stage);
}

static void stay_right(struct stage *stage)
{
    require_ok(rill_sender_close(&stage->data_tx));
    require_ok(rill_sender_close(&stage->there_tx));
    require_ok(rill_receiver_close(&stage->back_rx));
    require_ok(rill_receiver_release(&stage->data_rx));
    bounce(stage, stage->back_tx, stage->there_rx, false);
    leave(stage);
}

/* ---------------------------------------------------------------- the runs */

static pid_t start(struct stage *stage, enum party party)
{
    pid_t child = fork_child();
    if (child)
        return child;
    if (party == FEEDER)
        feed(stage);
    else if (party == LEFT)
        stay_left(stage);
    else
        stay_right(stage);
    _exit(0);
}

static void wait_until(int64_t time)
{
    while (rill_clock() < time)
        sched_yield();
}

static void reap_killed(pid_t child)
{
    int status = 0;
    require(waitpid(child, &status, 0) == child);
    require(WIFSIGNALED(status));
    require_equal(SIGKILL, WTERMSIG(status));
}

static void kill_one(struct stage *stage, uint32_t transport, enum party victim, unsigned run)
{
    pid_t children[PARTIES];
    struct dice dice = {run};
    build(stage, transport, run);
    for (unsigned party = 0; party < PARTIES; party++)
        children[party] = start(stage, (enum party)party);
    leave(stage);
    wait_until(rill_clock() + (int64_t)(roll(&dice) >> roll_between(&dice, 41, 52))); /* up to some milliseconds, each magnitude as likely */
    require(kill(children[victim], SIGKILL) == 0);
    reap_killed(children[victim]);
    for (unsigned party = 0; party < PARTIES; party++)
        if (party != victim)
            join_child(children[party]);
    if (!atomic_load(&stage->ledger->seen_end))
        return; /* the receiver went with the one that was killed */
    uint64_t fed = atomic_load(&stage->ledger->fed), received = atomic_load(&stage->ledger->received);
    require(received >= fed && received <= fed + (victim == FEEDER));
}

struct choice {
    uint32_t transport;
    enum party victim;
};

static void kill_many(void *argument)
{
    const struct choice *choice = argument;
    struct stage stage = {.ledger = shared_memory(sizeof *stage.ledger)};
    unsigned seen = 0;
    for (unsigned run = 0; run < kill_runs(); run++) {
        test_note = run;
        kill_one(&stage, choice->transport, choice->victim, run);
        seen += atomic_load(&stage.ledger->seen_end);
    }
    if (choice->victim == FEEDER)
        require_equal(kill_runs(), seen);
}

static struct choice choices[] = {
    {RILL_SHM, LEFT}, {RILL_SHM, RIGHT}, {RILL_SHM, FEEDER}, {RILL_SOCKET, LEFT}, {RILL_SOCKET, RIGHT}, {RILL_SOCKET, FEEDER},
};

static const struct test tests[] = {
    {"shm: one that sends a receiver, or waits for it, is killed", kill_many, &choices[0], 600},
    {"shm: the other one is killed", kill_many, &choices[1], 600},
    {"shm: a sender is killed while the receiver moves", kill_many, &choices[2], 600},
    {"socket: one that sends a receiver, or waits for it, is killed", kill_many, &choices[3], 600},
    {"socket: the other one is killed", kill_many, &choices[4], 600},
    {"socket: a sender is killed while the receiver moves", kill_many, &choices[5], 600},
};

int main(void)
{
    return run_group("transfer_kill", tests, COUNT_OF(tests));
}
