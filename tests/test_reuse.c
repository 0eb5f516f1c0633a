/* SPDX-License-Identifier: MIT */
/* Channels that live for one answer: what they leave, what is used again, and what must not be. */
#include "pair.h"

#include <sys/resource.h>

#include "src/channel.h"
#include "src/inbox.h"
#include "src/reuse.h"

static int send_sender(rill_sender *through, rill_sender *tx, uint64_t number)
{
    struct rill_handle handle = {.kind = RILL_HANDLE_SENDER, .as.sender = tx};
    return rill_send_handles(through, &number, sizeof number, &handle, 1);
}

/* Answers each request with its number + 1, through the sender that came with it, until there are no more. */
static void serve(rill_receiver *rx)
{
    rill_message *message;
    int code;
    while ((code = rill_recv(rx, &message)) == RILL_OK) {
        rill_sender *tx;
        uint64_t number;
        memcpy(&number, rill_message_data(message), sizeof number);
        require_ok(rill_message_take_sender(message, 0, &tx));
        require_ok(rill_message_close(&message));
        require_ok(send_number(tx, number + 1));
        require_ok(rill_sender_close(&tx));
    }
    require_code(RILL_EDISCONNECTED, code);
}

static struct pair start_server(pid_t *child)
{
    struct pair pair = open_pair();
    *child = fork_child();
    if (*child == 0) {
        require_ok(rill_sender_close(&pair.tx));
        serve(pair.rx);
        require_ok(rill_receiver_close(&pair.rx));
        (void)rill_trim();
        _exit(0);
    }
    require_ok(rill_receiver_release(&pair.rx));
    return pair;
}

static void request(rill_sender *server, uint64_t number)
{
    struct pair answer = open_pair();
    require_ok(send_sender(server, answer.tx, number));
    require_ok(rill_sender_close(&answer.tx));
    require_equal(number + 1, receive_number(answer.rx));
    rill_message *message;
    if (number % 7 == 0)
        require_code(RILL_EDISCONNECTED, rill_recv(answer.rx, &message));
    require_ok(rill_receiver_close(&answer.rx));
}

static bool full(void)
{
    const char *scale = getenv("RILL_TEST_SCALE");
    return scale && strcmp(scale, "full") == 0;
}

static size_t descriptors_of(pid_t process)
{
    char command[64], text[32] = "";
    (void)snprintf(command, sizeof command, "ls /proc/%d/fd | wc -l", (int)process);
    FILE *output = popen(command, "r");
    require(output != NULL && fgets(text, sizeof text, output) != NULL);
    (void)pclose(output);
    return strtoul(text, NULL, 10);
}

static void requests_leave_nothing(void *unused)
{
    (void)unused;
    uint64_t count = full() ? 1000000 : 3000;
    pid_t child;
    struct pair server = start_server(&child);
    for (uint64_t i = 0; i < 200; i++)
        request(server.tx, i);
    (void)rill_trim();
    size_t descriptors = count_descriptors(), mappings = count_shared_mappings(), memory = shared_memory_bytes(), theirs = descriptors_of(child);
    for (uint64_t i = 0; i < count; i++)
        request(server.tx, i);
    (void)rill_trim();
    require_equal(descriptors, count_descriptors());
    require_equal(mappings, count_shared_mappings());
    require_equal(memory, shared_memory_bytes());
    require(descriptors_of(child) <= theirs + 4);
    require_ok(rill_sender_close(&server.tx));
    join_child(child);
}

/* Is the page that the last request used the next one's too? */
static void requests_reuse(void *unused)
{
    (void)unused;
    pid_t child;
    struct pair server = start_server(&child);
    unsigned again = 0;
    uint64_t last = 0;
    for (uint64_t i = 0; i < 300; i++) {
        struct pair answer = open_pair();
        require_ok(send_sender(server.tx, answer.tx, i));
        struct rill_core *core = answer.tx->endpoint->core;
        again += core->page->id[0] == last;
        last = core->page->id[0];
        require_ok(rill_sender_close(&answer.tx));
        require_equal(i + 1, receive_number(answer.rx));
        rill_message *message;
        require_code(RILL_EDISCONNECTED, rill_recv(answer.rx, &message)); /* the server has closed its sender */
        require_ok(rill_receiver_close(&answer.rx));
    }
    require(again > 200);
    require_ok(rill_sender_close(&server.tx));
    join_child(child);
}

static void local_channels_reuse(void *unused)
{
    (void)unused;
    uint64_t last = 0;
    unsigned again = 0;
    for (uint64_t i = 0; i < 100; i++) {
        struct pair pair = open_pair();
        struct rill_core *core = pair.tx->endpoint->core;
        again += core->page->id[0] == last;
        last = core->page->id[0];
        require_ok(send_number(pair.tx, i));
        require_ok(send_filled(pair.tx, 200, i));
        require_equal(i, receive_number(pair.rx));
        receive_filled(pair.rx, 200, i);
        close_pair(&pair);
    }
    require_equal(99, again);
}

/* A sender that somebody else still has keeps its page to itself. */
static void held_senders_are_not_reused(void *unused)
{
    (void)unused;
    struct board *board = board_make(NULL);
    struct pair carrier = open_pair();
    pid_t child = fork_child();
    if (child == 0) {
        rill_message *message;
        rill_sender *first, *second;
        require_ok(rill_sender_close(&carrier.tx));
        require_ok(rill_recv(carrier.rx, &message));
        require_ok(rill_message_take_sender(message, 0, &first));
        require_ok(rill_message_close(&message));
        require_ok(send_number(first, 1));
        require_ok(rill_recv(carrier.rx, &message));
        require_ok(rill_message_take_sender(message, 0, &second));
        require_ok(rill_message_close(&message));
        require_code(RILL_EBROKEN, send_number(first, 2));
        require_ok(send_number(second, 3));
        require_ok(rill_sender_close(&first));
        require_ok(rill_sender_close(&second));
        flag_wait(board, 0);
        _exit(0);
    }
    require_ok(rill_receiver_release(&carrier.rx));
    struct pair one = open_pair();
    require_ok(send_sender(carrier.tx, one.tx, 0));
    struct rill_core *core = one.tx->endpoint->core;
    uint64_t id = core->page->id[0];
    require_ok(rill_sender_close(&one.tx));
    require_equal(1, receive_number(one.rx));
    require_ok(rill_receiver_close(&one.rx));
    struct pair two = open_pair();
    require_ok(send_sender(carrier.tx, two.tx, 0));
    core = two.tx->endpoint->core;
    require(core->page->id[0] != id);
    require_equal(3, receive_number(two.rx));
    flag_raise(board, 0);
    join_child(child);
    close_pair(&two);
    require_ok(rill_sender_close(&carrier.tx));
}

/* Two copies of one sender are under way; the peer closes the first before it takes the second. */
static void copies_under_way_count(void *unused)
{
    (void)unused;
    struct pair carrier = open_pair();
    struct board *board = board_make(NULL);
    pid_t child = fork_child();
    if (child == 0) {
        require_ok(rill_sender_close(&carrier.tx));
        for (uint64_t i = 0; i < 2; i++) {
            rill_message *message;
            rill_sender *tx;
            require_ok(rill_recv(carrier.rx, &message));
            require_ok(rill_message_take_sender(message, 0, &tx));
            require_ok(rill_message_close(&message));
            require_code(i == 0 ? RILL_OK : RILL_EBROKEN, send_number(tx, 10 + i));
            require_ok(rill_sender_close(&tx));
            if (i == 0) {
                flag_raise(board, 0);
                flag_wait(board, 8);
            }
        }
        _exit(0);
    }
    require_ok(rill_receiver_release(&carrier.rx));
    struct pair pair = open_pair();
    require_ok(send_sender(carrier.tx, pair.tx, 0));
    require_ok(send_sender(carrier.tx, pair.tx, 0));
    struct rill_core *core = pair.tx->endpoint->core;
    uint64_t id = core->page->id[0];
    flag_wait(board, 0);
    require_equal(10, receive_number(pair.rx));
    close_pair(&pair);
    struct pair other = open_pair(); /* must not get that page: a sender on it is under way */
    require_ok(send_sender(carrier.tx, other.tx, 0));
    core = other.tx->endpoint->core;
    require(core->page->id[0] != id);
    flag_raise(board, 8);
    join_child(child);
    close_pair(&other);
    require_ok(rill_sender_close(&carrier.tx));
}

/* What an earlier channel carried is not there for whoever gets the receiver of a later one. */
static void old_bytes_are_wiped(void *unused)
{
    (void)unused;
    struct pair first = open_pair();
    const char secret[] = "the secret of the first channel";
    require_ok(rill_send(first.tx, secret, sizeof secret));
    char bytes[64];
    size_t size;
    require_ok(rill_recv_into(first.rx, bytes, sizeof bytes, RILL_NOW, &size));
    close_pair(&first);
    struct pair second = open_pair();
    require_ok(send_number(second.tx, 1));
    struct rill_inbox *inbox = second.rx->inbox;
    require_equal(1, receive_number(second.rx));
    const struct rill_inring *ring = inbox->lanes[0]->rings[0];
    require(memmem(ring->reader.block, (size_t)ring->reader.size, "first channel", 13) == NULL); /* behind what the second one wrote */
    close_pair(&second);
}

static void a_fork_ends_it(void *unused)
{
    (void)unused;
    struct pair pair = open_pair();
    struct rill_core *core = pair.tx->endpoint->core;
    uint64_t id = core->page->id[0];
    pid_t child = fork_child();
    if (child == 0) {
        close_pair(&pair);
        struct pair own = open_pair();
        require_ok(send_number(own.tx, 1));
        require_equal(1, receive_number(own.rx));
        close_pair(&own);
        (void)rill_trim();
        _exit(0);
    }
    join_child(child);
    close_pair(&pair);
    pair = open_pair();
    core = pair.tx->endpoint->core;
    require(core->page->id[0] != id);
    close_pair(&pair);
}

#define OF_EACH 3000

/* Two processes in one lane would write over each other. */
static void a_child_does_not_take_the_lane_that_rests(void *unused)
{
    (void)unused;
    struct pair pair = open_pair();
    require_ok(send_number(pair.tx, 1));
    require_equal(1, receive_number(pair.rx));
    close_pair(&pair);
    pair = open_pair();
    pid_t child = fork_child();
    for (uint64_t i = 0; i < OF_EACH; i++)
        require_ok(send_number(pair.tx, 2 * i + (child == 0)));
    if (child == 0)
        _exit(0);
    uint64_t next[2] = {0, 1};
    for (size_t i = 0; i < 2 * OF_EACH; i++) {
        uint64_t number = receive_number(pair.rx);
        require_equal(next[number % 2], number);
        next[number % 2] += 2;
    }
    join_child(child);
    close_pair(&pair);
}

/* Many channels between two processes, each used in turn. */
static unsigned live_with(unsigned wanted, rlim_t descriptors)
{
    struct rlimit limit;
    require(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    limit.rlim_cur = descriptors < limit.rlim_max ? descriptors : limit.rlim_max;
    require(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    struct pair carrier = open_pair();
    pid_t child = fork_child();
    if (child == 0) {
        require_ok(rill_sender_close(&carrier.tx));
        rill_sender **senders = calloc(wanted, sizeof(rill_sender *));
        require(senders != NULL);
        unsigned count = 0;
        rill_message *message;
        int code;
        while ((code = rill_recv(carrier.rx, &message)) != RILL_EDISCONNECTED) {
            if (code == RILL_ENOFD)
                break; /* as many as there can be */
            require_ok(code);
            code = rill_message_take_sender(message, 0, &senders[count]);
            require_ok(rill_message_close(&message));
            if (code == RILL_OK && (code = send_number(senders[count], count)) == RILL_OK)
                count++;
            else
                require(code == RILL_ENOFD || code == RILL_EBROKEN);
        }
        for (unsigned i = 0; i < count; i++)
            (void)send_number(senders[i], i + 1); /* those that exist go on */
        _exit(0);
    }
    require_ok(rill_receiver_release(&carrier.rx));
    rill_receiver **receivers = calloc(wanted, sizeof(rill_receiver *));
    require(receivers != NULL);
    unsigned made = 0;
    int code = RILL_OK;
    while (made < wanted && code == RILL_OK) {
        rill_sender *tx;
        uint64_t number;
        size_t size;
        code = rill_channel(NULL, &tx, &receivers[made]);
        if (code != RILL_OK)
            break;
        code = send_sender(carrier.tx, tx, made);
        require_ok(rill_sender_close(&tx));
        if (code == RILL_OK)
            code = rill_recv_into(receivers[made], &number, sizeof number, RILL_FOREVER, &size);
        if (code == RILL_OK) {
            require_equal(made, number);
            made++;
        } else {
            require_ok(rill_receiver_close(&receivers[made]));
        }
    }
    require(made == wanted || code == RILL_ENOFD || code == RILL_EINFLIGHT || code == RILL_EDISCONNECTED);
    require_ok(rill_sender_close(&carrier.tx));
    for (unsigned i = 0; i < made; i++) {
        test_note = i;
        require_equal(i + 1, receive_number(receivers[i]));
        require_ok(rill_receiver_close(&receivers[i]));
    }
    free(receivers);
    join_child(child);
    return made;
}

static void thousands_live(void *unused)
{
    (void)unused;
    struct rlimit limit;
    require(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    unsigned wanted = limit.rlim_max >= 20000 ? 4000 : 200;
    require_equal(wanted, live_with(wanted, 20000));
}

static void few_descriptors_are_told(void *unused)
{
    (void)unused;
    need_true_limits();
    unsigned made = live_with(4000, 1024);
    require(made >= 200 && made < 1000);
}

static const struct test tests[] = {
    {"requests with an answer channel each leave no descriptor, mapping or memory", requests_leave_nothing, NULL, 120},
    {"a request after another uses the same page", requests_reuse, NULL, 60},
    {"channels of one process one after the other use the same page", local_channels_reuse, NULL, 0},
    {"a page whose sender is still held is not used again", held_senders_are_not_reused, NULL, 0},
    {"a page whose sender is under way is not used again", copies_under_way_count, NULL, 0},
    {"what an earlier channel carried is wiped", old_bytes_are_wiped, NULL, 0},
    {"after a fork a page is not used again", a_fork_ends_it, NULL, 0},
    {"the child of a fork does not take the lane that rests in its parent", a_child_does_not_take_the_lane_that_rests, NULL, 0},
    {"four thousand channels live and work between two processes", thousands_live, NULL, 120},
    {"where descriptors run out a code says so, and what exists works", few_descriptors_are_told, NULL, 60},
};

int main(void)
{
    return run_group("reuse", tests, COUNT_OF(tests));
}
