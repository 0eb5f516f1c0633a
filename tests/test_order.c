/* SPDX-License-Identifier: MIT */
/*
 * Order between senders: whoever holds the baton sends the next numbers on the one shared channel, then passes the
 * baton on. So each send returns before the next one is called, wherever that is, and the receiver has to see 0, 1, 2 …
 *
 * The baton goes over a channel of rill's, as programs would do it, or through one word of shared memory, which makes the distance
 * between two sends as short as the machine allows. RILL_TEST_SCALE=full makes it ten million messages in all.
 */
#include "support.h"

#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#define HOLDERS_MOST 8
#define LARGEST (STAMP_SIZE + 200000)

struct relay {
    /* The baton in memory: who has it. */
    _Atomic uint32_t holder;
    unsigned char apart[60];
    _Atomic uint64_t next; /* the number to send next; only the holder uses it */
};

struct race {
    unsigned holders;     /* who pass the baton in a circle */
    unsigned threads;     /* how many of them are threads of the first process */
    bool over_channel;    /* how the baton goes */
    bool large;           /* some messages are */
    bool come_and_go;     /* each holder is replaced by a new process, again and again */
    uint64_t limit;       /* of the shared channel */
    uint64_t quick, full; /* messages */

    uint64_t count;
    rill_sender *tx, *baton_tx[HOLDERS_MOST];
    rill_receiver *rx, *baton_rx[HOLDERS_MOST];
    struct relay *relay;
};

/* ---------------------------------------------------------------- the baton */

static bool baton_take(struct race *race, unsigned self, uint64_t *next)
{
    if (race->over_channel) {
        *next = receive_number(race->baton_rx[self]);
    } else {
        for (unsigned spin = 0; atomic_load(&race->relay->holder) != self; spin++)
            if (spin % 64 == 63)
                sched_yield();
        *next = atomic_load_explicit(&race->relay->next, memory_order_relaxed);
    }
    return *next < race->count;
}

static void baton_pass(struct race *race, unsigned self, uint64_t next)
{
    unsigned to = (self + 1) % race->holders;
    if (race->over_channel) {
        int result = send_number(race->baton_tx[to], next);
        require(result == 0 || next >= race->count); /* at the end the next one may be gone */
    } else {
        atomic_store_explicit(&race->relay->next, next, memory_order_relaxed);
        atomic_store(&race->relay->holder, to);
    }
}

/* ---------------------------------------------------------------- holders */

static size_t size_of(const struct race *race, uint64_t number)
{
    struct dice dice = {number};
    uint64_t kind = roll(&dice) % 1000;
    if (race->large && kind < 5)
        return STAMP_SIZE + roll(&dice) % 200000;
    if (race->large && kind < 100)
        return STAMP_SIZE + roll(&dice) % 5000;
    return STAMP_SIZE + roll(&dice) % 80;
}

/* Half of the time one message, else some. */
static uint64_t how_many(uint64_t number)
{
    struct dice dice = {~number};
    return roll(&dice) % 2 ? 1 : 1 + roll(&dice) % 8;
}

static uint64_t send_numbers(struct race *race, unsigned self, uint64_t next, unsigned char *bytes)
{
    for (uint64_t left = how_many(next); left > 0 && next < race->count; left--, next++) {
        size_t size = size_of(race, next);
        stamp(bytes, size, self, next);
        int code;
        while ((code = rill_send(race->tx, bytes, size)) == RILL_EAGAIN)
            sched_yield(); /* of those who come and go, more came than the receiver has had time to learn of */
        require_ok(code);
    }
    return next;
}

/* After some turns the holder leaves the baton to a child of its own, and ends. */
static void replace_self(void)
{
    pid_t child = fork();
    require(child >= 0);
    if (child > 0)
        _exit(0);
}

static void hold(struct race *race, unsigned self)
{
    unsigned char *bytes = malloc(LARGEST);
    uint64_t next;
    require(bytes != NULL);
    for (unsigned turn = 1; baton_take(race, self, &next); turn++) {
        next = send_numbers(race, self, next, bytes);
        if (race->come_and_go && !race->over_channel && turn % 50 == 0)
            replace_self();
        baton_pass(race, self, next);
    }
    baton_pass(race, self, next); /* so that all of them end */
    free(bytes);
}

struct holder {
    pthread_t thread;
    struct race *race;
    unsigned self;
};

static void *run_holder(void *argument)
{
    struct holder *holder = argument;
    hold(holder->race, holder->self);
    return NULL;
}

static void hold_in_threads(struct race *race)
{
    struct holder holders[HOLDERS_MOST];
    for (unsigned i = 0; i < race->threads; i++) {
        holders[i].race = race;
        holders[i].self = i;
        require(pthread_create(&holders[i].thread, NULL, run_holder, &holders[i]) == 0);
    }
    for (unsigned i = 0; i < race->threads; i++)
        require(pthread_join(holders[i].thread, NULL) == 0);
}

/* ---------------------------------------------------------------- the race */

static void open_race(struct race *race)
{
    struct rill_channel_options options = {.size = sizeof options, .limit = race->limit};
    if (race->limit)
        options.on_full = RILL_FULL_WAIT;
    race->count = full_scale() ? race->full : SANITIZED ? race->quick / 10 : race->quick;
    race->relay = shared_memory(sizeof *race->relay);
    require_ok(rill_channel(&options, &race->tx, &race->rx));
    for (unsigned i = 0; race->over_channel && i < race->holders; i++)
        require_ok(rill_channel(NULL, &race->baton_tx[i], &race->baton_rx[i]));
}

static void close_senders(struct race *race)
{
    require_ok(rill_sender_close(&race->tx));
    for (unsigned i = 0; i < race->holders; i++) {
        require_ok(rill_sender_close(&race->baton_tx[i]));
        require_ok(rill_receiver_close(&race->baton_rx[i]));
    }
}

static void start_holders(struct race *race)
{
    for (unsigned i = 0; i < race->holders; i = i == 0 && race->threads ? race->threads : i + 1) {
        if (fork_child() != 0)
            continue;
        require_ok(rill_receiver_close(&race->rx));
        if (i == 0 && race->threads)
            hold_in_threads(race);
        else
            hold(race, i);
        _exit(0);
    }
}

static void require_next(const void *bytes, size_t size, uint64_t *next)
{
    uint64_t sender, number;
    test_note = (long long)*next;
    require(stamped(bytes, size, &sender, &number));
    require_equal(*next, number);
    ++*next;
}

static int receive_several(struct race *race, uint64_t *next)
{
    rill_message *messages[32];
    size_t count = 0;
    int result = rill_recv_many(race->rx, RILL_FOREVER, messages, COUNT_OF(messages), &count);
    for (size_t i = 0; result == RILL_OK && i < count; i++) {
        require_next(rill_message_data(messages[i]), rill_message_size(messages[i]), next);
        require_ok(rill_message_close(&messages[i]));
    }
    return result;
}

static int receive_one(struct race *race, uint64_t *next)
{
    rill_message *message = NULL;
    int result = rill_recv(race->rx, &message);
    if (result != RILL_OK)
        return result;
    require_next(rill_message_data(message), rill_message_size(message), next);
    return rill_message_close(&message);
}

/* Often there is too little room at first, and the message stays where it is. */
static int receive_into(struct race *race, uint64_t *next, unsigned char *bytes)
{
    size_t size;
    int result = rill_recv_into(race->rx, bytes, *next % 2 ? LARGEST : STAMP_SIZE + 40, RILL_FOREVER, &size);
    if (result == RILL_EMSGSIZE)
        result = rill_recv_into(race->rx, bytes, size, RILL_NOW, &size);
    if (result == RILL_OK)
        require_next(bytes, size, next);
    return result;
}

/* By all calls that receive, each for some messages at a time. */
static void receive_in_order(struct race *race)
{
    struct dice dice = {race->count};
    unsigned char *bytes = malloc(LARGEST);
    uint64_t next = 0;
    int result = RILL_OK;
    require(bytes != NULL);
    while (result == RILL_OK) {
        uint64_t way = roll(&dice) % 3, times = 1 + roll(&dice) % 20;
        for (uint64_t i = 0; i < times && result == RILL_OK; i++)
            result = way == 0 ? receive_several(race, &next) : way == 1 ? receive_one(race, &next) : receive_into(race, &next, bytes);
    }
    require_code(RILL_EDISCONNECTED, result);
    require_equal(race->count, next);
    free(bytes);
}

static void reap_all(void)
{
    int status;
    while (waitpid(-1, &status, 0) > 0)
        require(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    require_equal(ECHILD, errno);
}

static void run_race(void *argument)
{
    struct race race = *(struct race *)argument;
    require(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0); /* of those who come and go */
    open_race(&race);
    start_holders(&race);
    if (race.over_channel)
        require_ok(send_number(race.baton_tx[0], 0));
    close_senders(&race);
    receive_in_order(&race);
    reap_all();
    require_ok(rill_receiver_close(&race.rx));
    munmap(race.relay, sizeof *race.relay);
}

/* ---------------------------------------------------------------- turns */

#define QUIET 0 /* sends its turns, and nothing else: while the receiver is busy its lane is armed */
#define NOISY 1
#define NOISE_AFTER 50

struct turns {
    rill_sender *tx;
    struct relay *relay;
    uint64_t count;
};

static void send_turn(const struct turns *turns, unsigned who, uint64_t number)
{
    unsigned char bytes[STAMP_SIZE];
    stamp(bytes, sizeof bytes, who, number);
    require_ok(rill_send(turns->tx, bytes, sizeof bytes));
    atomic_store(&turns->relay->holder, 1 - who);
}

static void send_noise(const struct turns *turns)
{
    static const unsigned char noise[200];
    require_ok(rill_send(turns->tx, noise, sizeof noise));
}

/* What the others do meanwhile is what the test is for. */
static void pause_between(struct dice *dice, int64_t least, int64_t most)
{
    const struct timespec pause = {.tv_nsec = (long)roll_between(dice, (uint64_t)least, (uint64_t)most)};
    nanosleep(&pause, NULL);
}

static void take_quiet_turns(const struct turns *turns)
{
    struct dice dice = {1};
    for (uint64_t turn = 0; turn < turns->count; turn += 2) {
        while (atomic_load(&turns->relay->holder) != QUIET)
            sched_yield();
        pause_between(&dice, MILLISECOND / 2, MILLISECOND);
        send_turn(turns, QUIET, turn);
    }
}

static void take_noisy_turns(const struct turns *turns)
{
    struct dice dice = {2};
    for (uint64_t turn = 1; turn < turns->count; turn += 2) {
        while (atomic_load(&turns->relay->holder) != NOISY)
            send_noise(turns);
        send_turn(turns, NOISY, turn);
        for (unsigned i = 0; i < NOISE_AFTER; i++)
            send_noise(turns);
        pause_between(&dice, 10 * MICROSECOND, 50 * MICROSECOND);
    }
}

static void turns_are_received_in_order_amid_noise(void *argument)
{
    (void)argument;
    struct rill_channel_options options = {.size = sizeof options, .limit = 64 * KIB, .on_full = RILL_FULL_WAIT};
    struct turns turns = {.relay = shared_memory(sizeof *turns.relay), .count = full_scale() ? 40000 : 600};
    rill_receiver *rx;
    require_ok(rill_channel(&options, &turns.tx, &rx));
    for (unsigned who = QUIET; who <= NOISY; who++) {
        if (fork_child() != 0)
            continue;
        require_ok(rill_receiver_close(&rx));
        (who == QUIET ? take_quiet_turns : take_noisy_turns)(&turns);
        _exit(0);
    }
    require_ok(rill_sender_close(&turns.tx));
    rill_message *message;
    uint64_t next = 0, sender, number;
    int result;
    while ((result = rill_recv(rx, &message)) == RILL_OK) {
        if (rill_message_size(message) == STAMP_SIZE) {
            test_note = (long long)next;
            require(stamped(rill_message_data(message), STAMP_SIZE, &sender, &number));
            require_equal(next, number);
            require_equal(next % 2, sender);
            next++;
        }
        require_ok(rill_message_close(&message));
    }
    require_code(RILL_EDISCONNECTED, result);
    require_equal(turns.count, next);
    reap_all();
    require_ok(rill_receiver_close(&rx));
    munmap(turns.relay, sizeof *turns.relay);
}

static struct race two_processes = {.holders = 2, .over_channel = true, .quick = 40000, .full = 1500000};
static struct race four_processes = {.holders = 4, .over_channel = true, .quick = 30000, .full = 1000000};
static struct race four_threads = {.holders = 4, .threads = 4, .over_channel = true, .quick = 30000, .full = 1000000};
static struct race mixture = {.holders = 4, .threads = 2, .over_channel = true, .large = true, .quick = 20000, .full = 500000};
static struct race two_close = {.holders = 2, .quick = 100000, .full = 2000000};
static struct race four_close = {.holders = 4, .quick = 50000, .full = 1000000};
static struct race threads_close = {.holders = 4, .threads = 4, .quick = 50000, .full = 1000000};
static struct race mixture_close = {.holders = 5, .threads = 3, .large = true, .quick = 30000, .full = 500000};
static struct race limited = {.holders = 3, .threads = 2, .limit = 256 << 10, .quick = 40000, .full = 1000000};
static struct race visitors = {.holders = 3, .come_and_go = true, .large = true, .quick = 30000, .full = 500000};

static const struct test tests[] = {
    {"two processes that pass a baton are received in order", run_race, &two_processes, 900},
    {"four processes that pass a baton are received in order", run_race, &four_processes, 900},
    {"four threads that pass a baton are received in order", run_race, &four_threads, 900},
    {"two threads and two processes with large messages are received in order", run_race, &mixture, 900},
    {"two processes that share the baton in memory are received in order", run_race, &two_close, 900},
    {"four processes that share the baton in memory are received in order", run_race, &four_close, 900},
    {"four threads that share the baton in memory are received in order", run_race, &threads_close, 900},
    {"threads and processes with large messages and the baton in memory are received in order", run_race, &mixture_close, 900},
    {"threads and processes that wait for room are received in order", run_race, &limited, 900},
    {"processes that come and go are received in order", run_race, &visitors, 900},
    {"turns of a quiet and a noisy process that wait for room are received in order", turns_are_received_in_order_amid_noise, NULL, 900},
};

int main(void)
{
    return run_group("order", tests, COUNT_OF(tests));
}
