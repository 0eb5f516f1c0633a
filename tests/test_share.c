/* SPDX-License-Identifier: MIT */
/* An in-process channel becomes a shared one when an end of it leaves the process, and nobody who uses it notices. */
#include "support.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>

#include "src/channel.h"
#include "src/queue.h"

static struct board *board;

/* The channel under test, and one over shared memory through which its ends leave. */
struct ends {
    rill_sender *tx, *road_tx;
    rill_receiver *rx, *road_rx;
};

static struct ends make(const struct rill_channel_options *given)
{
    struct ends ends;
    struct rill_channel_options options = {.size = sizeof options};
    if (given)
        options = *given;
    options.size = sizeof options;
    options.transport = RILL_INPROC;
    require_ok(rill_channel(&options, &ends.tx, &ends.rx));
    require_ok(rill_channel(NULL, &ends.road_tx, &ends.road_rx));
    return ends;
}

static void close_all(struct ends *ends)
{
    require_ok(rill_sender_close(&ends->tx));
    require_ok(rill_receiver_close(&ends->rx));
    require_ok(rill_sender_close(&ends->road_tx));
    require_ok(rill_receiver_close(&ends->road_rx));
}

/* Another process, which has the receiving end of the road alone. */
static pid_t start(struct ends *ends, void (*body)(rill_receiver *road))
{
    pid_t child = fork_child();
    if (child == 0) {
        require_ok(rill_sender_close(&ends->road_tx));
        body(ends->road_rx);
        require_ok(rill_receiver_close(&ends->road_rx));
        _exit(0);
    }
    require_ok(rill_receiver_close(&ends->road_rx));
    return child;
}

static int try_leave(struct ends *ends, struct rill_handle *handle)
{
    return rill_send_handles(ends->road_tx, NULL, 0, handle, 1);
}

static void sender_leaves(struct ends *ends)
{
    struct rill_handle handle = {.kind = RILL_HANDLE_SENDER, .as.sender = ends->tx};
    require_ok(try_leave(ends, &handle));
}

static void receiver_leaves(struct ends *ends)
{
    struct rill_handle handle = {.kind = RILL_HANDLE_RECEIVER, .as.receiver = ends->rx};
    require_ok(try_leave(ends, &handle));
    ends->rx = NULL;
}

static rill_sender *take_sender(rill_receiver *road)
{
    rill_message *message;
    rill_sender *sender;
    require_ok(rill_recv(road, &message));
    require_ok(rill_message_take_sender(message, 0, &sender));
    require_ok(rill_message_close(&message));
    return sender;
}

static rill_receiver *take_receiver(rill_receiver *road)
{
    rill_message *message;
    rill_receiver *receiver;
    require_ok(rill_recv(road, &message));
    require_ok(rill_message_take_receiver(message, 0, &receiver));
    require_ok(rill_message_close(&message));
    return receiver;
}

static void send_range(rill_sender *tx, uint64_t first, uint64_t end)
{
    for (uint64_t i = first; i < end; i++)
        require_ok(send_number(tx, i));
}

static void receive_range(rill_receiver *rx, uint64_t first, uint64_t end)
{
    for (uint64_t i = first; i < end; i++) {
        test_note = (long long)i;
        require_equal(i, receive_number(rx));
    }
}

static void require_end(rill_receiver *rx)
{
    rill_message *message;
    require_code(RILL_EDISCONNECTED, rill_recv(rx, &message));
}

/* ---------------------------------------------------------------- the sender leaves */

static void send_on_in_child(rill_receiver *road)
{
    rill_sender *sender = take_sender(road);
    flag_wait(board, 0);
    send_range(sender, 200, 300);
    require_ok(rill_sender_close(&sender));
}

static void queue_comes_first(void *unused)
{
    (void)unused;
    rill_message *message;
    struct ends ends = make(NULL);
    pid_t child = start(&ends, send_on_in_child);
    send_range(ends.tx, 0, 100);
    receive_range(ends.rx, 0, 50);
    sender_leaves(&ends);
    receive_range(ends.rx, 50, 60);
    send_range(ends.tx, 100, 200);
    flag_raise(board, 0);
    receive_range(ends.rx, 60, 300);
    join_child(child);
    require_code(RILL_EEMPTY, rill_try_recv(ends.rx, &message));
    send_range(ends.tx, 300, 310);
    require_ok(rill_sender_close(&ends.tx));
    receive_range(ends.rx, 300, 310);
    require_end(ends.rx);
    close_all(&ends);
}

static void *receive_in_thread(void *argument)
{
    struct ends *ends = argument;
    announce(board, 1);
    receive_range(ends->rx, 200, 300);
    return NULL;
}

static void blocked_receiver_goes_over(void *unused)
{
    (void)unused;
    pthread_t thread;
    struct ends ends = make(NULL);
    pid_t child = start(&ends, send_on_in_child);
    require(pthread_create(&thread, NULL, receive_in_thread, &ends) == 0);
    wait_until_announced(board, 1);
    wait_until_asleep(board, 1);
    sender_leaves(&ends);
    flag_raise(board, 0);
    require(pthread_join(thread, NULL) == 0);
    join_child(child);
    close_all(&ends);
}

static void *wait_for_interrupt(void *argument)
{
    struct ends *ends = argument;
    rill_message *message;
    announce(board, 1);
    require_code(RILL_EINTERRUPTED, rill_recv(ends->rx, &message));
    return NULL;
}

static void interrupts_follow(void *unused)
{
    (void)unused;
    pthread_t thread;
    struct ends ends = make(NULL);
    require(pthread_create(&thread, NULL, wait_for_interrupt, &ends) == 0);
    wait_until_announced(board, 1);
    wait_until_asleep(board, 1);
    sender_leaves(&ends);
    require_ok(rill_receiver_interrupt(ends.rx));
    require(pthread_join(thread, NULL) == 0);
    close_all(&ends);
}

static void expect_broken(rill_receiver *road)
{
    rill_sender *sender = take_sender(road);
    require_code(RILL_EBROKEN, send_number(sender, 1));
    require_ok(rill_sender_close(&sender));
}

static void receiver_gone_before(void *unused)
{
    (void)unused;
    struct ends ends = make(NULL);
    pid_t child = start(&ends, expect_broken);
    send_range(ends.tx, 0, 10);
    require_ok(rill_receiver_close(&ends.rx));
    sender_leaves(&ends);
    require_code(RILL_EBROKEN, send_number(ends.tx, 1));
    join_child(child);
    close_all(&ends);
}

static void receiver_closes_unmoved(void *unused)
{
    (void)unused;
    struct ends ends = make(NULL);
    pid_t child = start(&ends, expect_broken);
    send_range(ends.tx, 0, 10);
    struct rill_handle handle = {.kind = RILL_HANDLE_SENDER, .as.sender = ends.tx};
    rill_sender *elsewhere;
    rill_receiver *kept;
    require_ok(rill_channel(NULL, &elsewhere, &kept));
    require_ok(rill_send_handles(elsewhere, NULL, 0, &handle, 1)); /* it is a shared one from here on */
    require_ok(rill_receiver_close(&ends.rx));
    require_code(RILL_EBROKEN, send_number(ends.tx, 1));
    sender_leaves(&ends);
    join_child(child);
    require_ok(rill_sender_close(&elsewhere));
    require_ok(rill_receiver_close(&kept));
    close_all(&ends);
}

/* ---------------------------------------------------------------- the receiver leaves */

static const size_t sizes[] = {0, 1, 256, 257, 5000, 64 * KIB, 100 * KIB, MIB};

static void receive_sizes(rill_receiver *road)
{
    rill_receiver *receiver = take_receiver(road);
    for (unsigned round = 0; round < 2; round++)
        for (size_t i = 0; i < COUNT_OF(sizes); i++)
            receive_filled(receiver, sizes[i], i);
    require_end(receiver);
    require_ok(rill_receiver_close(&receiver));
}

static void queue_leaves_with_receiver(void *unused)
{
    (void)unused;
    struct ends ends = make(NULL);
    pid_t child = start(&ends, receive_sizes);
    for (size_t i = 0; i < COUNT_OF(sizes); i++)
        require_ok(send_filled(ends.tx, sizes[i], i));
    receiver_leaves(&ends);
    for (size_t i = 0; i < COUNT_OF(sizes); i++)
        require_ok(send_filled(ends.tx, sizes[i], i));
    require_ok(rill_sender_close(&ends.tx));
    join_child(child);
    close_all(&ends);
}

static void receive_ten(rill_receiver *road)
{
    rill_receiver *receiver = take_receiver(road);
    receive_range(receiver, 0, 10);
    require_end(receiver);
    require_ok(rill_receiver_close(&receiver));
}

static void senders_gone_before(void *unused)
{
    (void)unused;
    struct ends ends = make(NULL);
    pid_t child = start(&ends, receive_ten);
    send_range(ends.tx, 0, 10);
    require_ok(rill_sender_close(&ends.tx));
    receiver_leaves(&ends);
    join_child(child);
    close_all(&ends);
}

#define WAITED_FOR 2000

static void receive_slowly(rill_receiver *road)
{
    rill_receiver *receiver = take_receiver(road);
    receive_range(receiver, 0, WAITED_FOR);
    require_end(receiver);
    require_ok(rill_receiver_close(&receiver));
}

static void *send_waiting(void *argument)
{
    struct ends *ends = argument;
    announce(board, 1);
    send_range(ends->tx, 0, WAITED_FOR);
    return NULL;
}

static void blocked_sender_goes_over(void *unused)
{
    (void)unused;
    pthread_t thread;
    struct rill_channel_options options = {.limit = 200, .on_full = RILL_FULL_WAIT};
    struct ends ends = make(&options);
    pid_t child = start(&ends, receive_slowly);
    require(pthread_create(&thread, NULL, send_waiting, &ends) == 0);
    wait_until_announced(board, 1);
    wait_until_asleep(board, 1);
    receiver_leaves(&ends);
    require(pthread_join(thread, NULL) == 0);
    require_ok(rill_sender_close(&ends.tx));
    join_child(child);
    close_all(&ends);
}

static void limit_stays(void *unused)
{
    (void)unused;
    struct rill_channel_options options = {.limit = 1000};
    struct ends ends = make(&options);
    int code = RILL_OK;
    sender_leaves(&ends);
    for (unsigned i = 0; i < 1000 && code == RILL_OK; i++)
        code = send_number(ends.tx, i);
    require_code(RILL_EFULL, code);
    (void)receive_number(ends.rx);
    close_all(&ends);
}

/* ---------------------------------------------------------------- handles in the queue */

static void use_handles(rill_receiver *road)
{
    rill_receiver *receiver = take_receiver(road), *inner;
    rill_message *message;
    rill_sender *sender;
    int descriptor;
    require_equal(1, receive_number(receiver));
    require_ok(rill_recv(receiver, &message));
    require_equal(4, rill_message_handle_count(message));
    require_ok(rill_message_take_sender(message, 0, &sender));
    require_ok(rill_message_take_descriptor(message, 1, &descriptor));
    require_ok(rill_message_take_receiver(message, 2, &inner));
    require_equal(RILL_HANDLE_SENDER, rill_message_handle_kind(message, 3));
    require_equal(8, take_number(&message));
    receive_range(inner, 0, 5);
    require_end(inner);
    require_ok(rill_receiver_close(&inner));
    send_range(sender, 0, 5);
    require_ok(rill_sender_close(&sender));
    require_equal(3, write(descriptor, "end", 3));
    close(descriptor);
    require_equal(9, receive_number(receiver));
    require_end(receiver);
    require_ok(rill_receiver_close(&receiver));
}

static void handles_in_queue_arrive(void *unused)
{
    (void)unused;
    struct rill_channel_options options = {.size = sizeof options, .transport = RILL_INPROC};
    struct ends ends = make(NULL);
    rill_sender *tx[2];
    rill_receiver *rx[2];
    int pipes[2];
    char text[8];
    uint64_t number = 8;
    pid_t child = start(&ends, use_handles);
    require(pipe(pipes) == 0);
    for (unsigned i = 0; i < 2; i++)
        require_ok(rill_channel(&options, &tx[i], &rx[i]));
    struct rill_handle handles[4] = {{.kind = RILL_HANDLE_SENDER, .as.sender = tx[0]},
                                     {.kind = RILL_HANDLE_DESCRIPTOR, .as.descriptor = pipes[1]},
                                     {.kind = RILL_HANDLE_RECEIVER, .as.receiver = rx[1]},
                                     {.kind = RILL_HANDLE_SENDER, .as.sender = ends.tx}}; /* its own too */
    require_ok(send_number(ends.tx, 1));
    require_ok(rill_send_handles(ends.tx, &number, sizeof number, handles, 4));
    require_ok(send_number(ends.tx, 9));
    send_range(tx[1], 0, 3);
    receiver_leaves(&ends);
    send_range(tx[1], 3, 5);
    require_ok(rill_sender_close(&tx[1]));
    require_ok(rill_sender_close(&tx[0]));
    require_ok(rill_sender_close(&ends.tx));
    receive_range(rx[0], 0, 5);
    close(pipes[1]);
    require_equal(3, read(pipes[0], text, sizeof text));
    close(pipes[0]);
    require_end(rx[0]);
    require_ok(rill_receiver_close(&rx[0]));
    join_child(child);
    close_all(&ends);
}

static void nothing_changes_on_failure(void *unused)
{
    (void)unused;
    struct rlimit limit, low;
    struct ends ends = make(NULL);
    int descriptor = dup(0);
    send_range(ends.tx, 0, 10);
    struct rill_handle inside = {.kind = RILL_HANDLE_DESCRIPTOR, .as.descriptor = descriptor};
    require_ok(rill_send_handles(ends.tx, NULL, 0, &inside, 1));
    close(descriptor);
    require(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    low = limit;
    struct rill_handle handle = {.kind = RILL_HANDLE_RECEIVER, .as.receiver = ends.rx};
    size_t before = count_descriptors();
    for (rlim_t more = 0; more < 4; more++) {
        low.rlim_cur = (rlim_t)before - 1 + more;
        require(setrlimit(RLIMIT_NOFILE, &low) == 0);
        int code = try_leave(&ends, &handle);
        require(setrlimit(RLIMIT_NOFILE, &limit) == 0);
        require_code(RILL_ENOFD, code);
        require(handle.as.receiver == ends.rx);
        require_equal(before, count_descriptors());
    }
    receive_range(ends.rx, 0, 10);
    rill_message *message;
    require_ok(rill_recv(ends.rx, &message));
    require_ok(rill_message_take_descriptor(message, 0, &descriptor));
    require_ok(rill_message_close(&message));
    close(descriptor);
    require_ok(send_number(ends.tx, 5));
    require_equal(5, receive_number(ends.rx));
    close_all(&ends);
}

/* ---------------------------------------------------------------- a started program */

static int echo(void)
{
    struct rill_handle handles[2];
    for (unsigned i = 0; i < 2; i++)
        require_ok(rill_inherited(i, &handles[i]));
    for (rill_message *message; rill_recv(handles[1].as.receiver, &message) == RILL_OK;)
        require_ok(send_number(handles[0].as.sender, take_number(&message)));
    for (unsigned i = 0; i < 2; i++)
        require_ok(rill_handle_close(&handles[i]));
    return 0;
}

static void started_program_inherits(void *unused)
{
    (void)unused;
    static char self[] = "/proc/self/exe", mode[] = "--echo";
    char *arguments[] = {self, mode, NULL};
    rill_sender *tx[2];
    rill_receiver *rx[2];
    pid_t child;
    struct rill_channel_options options = {.size = sizeof options, .transport = RILL_INPROC};
    for (unsigned i = 0; i < 2; i++)
        require_ok(rill_channel(&options, &tx[i], &rx[i]));
    send_range(tx[1], 0, 20);
    struct rill_handle handles[2] = {{.kind = RILL_HANDLE_SENDER, .as.sender = tx[0]}, {.kind = RILL_HANDLE_RECEIVER, .as.receiver = rx[1]}};
    require_ok(rill_spawn(self, arguments, NULL, handles, 2, &child));
    require(handles[1].as.receiver == NULL);
    require_ok(rill_sender_close(&tx[0]));
    send_range(tx[1], 20, 40);
    require_ok(rill_sender_close(&tx[1]));
    receive_range(rx[0], 0, 40);
    require_end(rx[0]);
    require_ok(rill_receiver_close(&rx[0]));
    join_child(child);
}

/* ---------------------------------------------------------------- those who wait otherwise */

static void sets_follow(void *unused)
{
    (void)unused;
    rill_set *set;
    uint64_t id;
    struct rill_set_event event;
    size_t count;
    struct ends ends = make(NULL);
    pid_t child = start(&ends, send_on_in_child);
    require_ok(rill_set_create(NULL, &set));
    require_ok(rill_set_add(set, &ends.rx, NULL, &id));
    send_range(ends.tx, 100, 200);
    sender_leaves(&ends);
    require_ok(rill_sender_close(&ends.tx));
    for (uint64_t i = 100; i < 300; i++) {
        if (i == 200)
            flag_raise(board, 0);
        require_ok(rill_set_wait(set, SECOND * 20 + rill_clock(), &event, 1, &count));
        require_equal(RILL_SET_MESSAGE, event.kind);
        require_equal(i, take_number(&event.message));
    }
    require_ok(rill_set_wait(set, RILL_FOREVER, &event, 1, &count));
    require_equal(RILL_SET_CLOSED, event.kind);
    join_child(child);
    require_ok(rill_set_close(&set));
    close_all(&ends);
}

static void descriptors_follow(void *unused)
{
    (void)unused;
    int descriptor;
    rill_message *message;
    struct ends ends = make(NULL);
    pid_t child = start(&ends, send_on_in_child);
    require_ok(rill_receiver_descriptor(ends.rx, &descriptor));
    require_ok(rill_receiver_arm(ends.rx));
    send_range(ends.tx, 150, 160);
    sender_leaves(&ends);
    send_range(ends.tx, 160, 200);
    flag_raise(board, 0);
    for (uint64_t next = 150; next < 300;) {
        struct pollfd end = {.fd = descriptor, .events = POLLIN};
        require_equal(1, poll(&end, 1, 20000));
        do
            while (rill_try_recv(ends.rx, &message) == RILL_OK)
                require_equal(next++, take_number(&message));
        while (rill_receiver_arm(ends.rx) == RILL_EREADY);
    }
    join_child(child);
    close_all(&ends);
}

/* Another thread can let the sender leave just between the two steps of a receive. */
static void crosses_between_found_and_taken(void *unused)
{
    rill_message *message = NULL;
    (void)unused;
    struct ends ends = make(NULL);
    send_range(ends.tx, 0, 10);
    require_ok(rill_receiver_next(ends.rx));
    sender_leaves(&ends);
    require_code(RILL_QUEUE_SHARED, rill_receiver_take(ends.rx, &message));
    for (uint64_t next = 0; next < 10; next++) {
        require_ok(rill_recv(ends.rx, &message));
        require_equal(next, take_number(&message));
    }
    close_all(&ends);
}

/* ---------------------------------------------------------------- threads at once */

#define THREADS 4

static struct ends many;

static void *send_stamped(void *argument)
{
    uint64_t thread = (uint64_t)(uintptr_t)argument, count = rounds(5000);
    char bytes[40];
    for (uint64_t i = 0; i < count; i++) {
        stamp(bytes, sizeof bytes, thread, i);
        require_ok(rill_send(many.tx, bytes, sizeof bytes));
    }
    return NULL;
}

static void *share_now(void *unused)
{
    (void)unused;
    for (unsigned i = 0; i < 20; i++)
        sender_leaves(&many);
    return NULL;
}

static void threads_send_all_the_while(void *unused)
{
    (void)unused;
    pthread_t threads[THREADS + 2];
    uint64_t next[THREADS] = {0}, count = rounds(5000);
    many = make(NULL);
    for (uintptr_t i = 0; i < THREADS; i++)
        require(pthread_create(&threads[i], NULL, send_stamped, (void *)i) == 0);
    for (uint64_t i = 0; i < THREADS * count; i++) {
        rill_message *message;
        uint64_t sender, number;
        if (i == count)
            for (unsigned k = 0; k < 2; k++)
                require(pthread_create(&threads[THREADS + k], NULL, share_now, NULL) == 0);
        require_ok(rill_recv(many.rx, &message));
        require(stamped(rill_message_data(message), rill_message_size(message), &sender, &number));
        require(sender < THREADS);
        require_equal(next[sender]++, number);
        require_ok(rill_message_close(&message));
    }
    for (unsigned i = 0; i < COUNT_OF(threads); i++)
        require(pthread_join(threads[i], NULL) == 0);
    close_all(&many);
}

static const struct test tests[] = {
    {"what is queued when the sender leaves comes first, then what all senders send", queue_comes_first, NULL, 0},
    {"a receiver that is asleep hears of what comes from elsewhere", blocked_receiver_goes_over, NULL, 0},
    {"a receiver that sleeps can still be interrupted", interrupts_follow, NULL, 0},
    {"a sender whose receiver is gone can leave", receiver_gone_before, NULL, 0},
    {"a receiver that is closed after its sender left ends the channel", receiver_closes_unmoved, NULL, 0},
    {"what is queued when the receiver leaves arrives, and what follows", queue_leaves_with_receiver, NULL, 0},
    {"a receiver whose senders are gone leaves with what is queued", senders_gone_before, NULL, 0},
    {"a sender that waits for room goes on when the receiver has left", blocked_sender_goes_over, NULL, 0},
    {"the limit stays", limit_stays, NULL, 0},
    {"handles in the queue arrive, ends of in-process channels too", handles_in_queue_arrive, NULL, 0},
    {"an end that cannot leave stays, and so does the queue", nothing_changes_on_failure, NULL, 0},
    {"a started program inherits ends of in-process channels", started_program_inherits, NULL, 0},
    {"a set goes on with a channel whose sender left", sets_follow, NULL, 0},
    {"a descriptor that was handed out goes on telling", descriptors_follow, NULL, 0},
    {"a message that crosses between being found and taken comes first", crosses_between_found_and_taken, NULL, 0},
    {"threads send and receive while two others let the sender leave", threads_send_all_the_while, NULL, 60},
};

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--echo") == 0)
        return echo();
    board = board_make(NULL);
    return run_group_on(board, "share", tests, COUNT_OF(tests));
}
