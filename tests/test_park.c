/* SPDX-License-Identifier: MIT */
/*
 * No wakeup is lost: two processes pass a ball to and fro, and each parks at once while the other has it. Random pauses before parking and before
 * sending bring the commit to every place of the other's way into sleep. A lost wakeup leaves both asleep for ever, and the test's time ends it.
 *
 * Counted are sleeps, not passes: RILL_TEST_SCALE=full makes it two million in each of the five forms of waiting, ten million in all.
 */
#include "support.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/mman.h>

#define OVER UINT64_MAX
#define COMPANIONS 64
#define REPORT_EVERY 256u

enum form {
    BY_RECV,
    BY_SET,
    BY_LARGE_SET,
    BY_POLL,
    BY_EDGE,
};

struct game {
    enum form form;
    uint32_t transport;
    struct board *board; /* value[side]: its sleeps */
    uint64_t goal;
};

struct side {
    rill_sender *tx;
    rill_receiver *rx;
    rill_set *set;
    int descriptor, epoll;
    struct dice dice;
    unsigned passes;
};

/* ---------------------------------------------------------------- pauses */

/* From nothing to a little more than a wakeup takes. */
static void pause_somewhat(struct dice *dice)
{
    static const int64_t most[] = {0, 300, 1500, 5000, 20000, 60000};
    int64_t longest = most[roll_between(dice, 0, COUNT_OF(most) - 1)];
    if (longest == 0)
        return;
    int64_t end = rill_clock() + (int64_t)roll_between(dice, 0, (uint64_t)longest);
    while (rill_clock() < end)
        continue;
}

/* ---------------------------------------------------------------- waiting */

static uint64_t take_from_set(struct side *side)
{
    struct rill_set_event event;
    size_t count;
    require_ok(rill_set_wait(side->set, RILL_FOREVER, &event, 1, &count));
    require_equal(RILL_SET_MESSAGE, event.kind);
    return take_number(&event.message);
}

static uint64_t take_by_rule(struct side *side, bool edge)
{
    rill_message *message;
    struct epoll_event event;
    for (;;) {
        int code = rill_try_recv(side->rx, &message);
        if (code == RILL_OK)
            return take_number(&message);
        require_code(RILL_EEMPTY, code);
        code = rill_receiver_arm(side->rx);
        if (code == RILL_EREADY)
            continue;
        require_ok(code);
        if (edge)
            require(epoll_wait(side->epoll, &event, 1, -1) == 1);
        else
            require(poll(&(struct pollfd){.fd = side->descriptor, .events = POLLIN}, 1, -1) == 1);
    }
}

static uint64_t take_ball(const struct game *game, struct side *side)
{
    pause_somewhat(&side->dice);
    switch (game->form) {
    case BY_RECV: return receive_number(side->rx);
    case BY_POLL: return take_by_rule(side, false);
    case BY_EDGE: return take_by_rule(side, true);
    default: return take_from_set(side);
    }
}

/* ---------------------------------------------------------------- the sides */

/* Idle channels, each with a lane that is armed. */
static void add_companions(const struct game *game, struct side *side, rill_sender **senders)
{
    for (unsigned i = 0; i < COMPANIONS; i++) {
        struct rill_channel_options options = {.size = sizeof options, .transport = game->transport};
        rill_receiver *receiver;
        uint64_t id;
        require_ok(rill_channel(&options, &senders[i], &receiver));
        require_ok(rill_set_add(side->set, &receiver, NULL, &id));
        require_ok(send_number(senders[i], i));
        require_equal(i, take_from_set(side));
    }
}

static void begin_waiting(const struct game *game, struct side *side, rill_sender **companions)
{
    struct rill_set_options never = {.size = sizeof never, .spin = -1};
    uint64_t id;
    if (game->form == BY_SET || game->form == BY_LARGE_SET) {
        require_ok(rill_set_create(&never, &side->set));
        if (game->form == BY_LARGE_SET)
            add_companions(game, side, companions);
        require_ok(rill_set_add(side->set, &side->rx, NULL, &id));
    } else if (game->form != BY_RECV) {
        require_ok(rill_receiver_descriptor(side->rx, &side->descriptor));
        struct epoll_event event = {.events = EPOLLIN | EPOLLET};
        side->epoll = epoll_create1(EPOLL_CLOEXEC);
        require(epoll_ctl(side->epoll, EPOLL_CTL_ADD, side->descriptor, &event) == 0);
    }
}

static void end_waiting(struct side *side, rill_sender **companions)
{
    require_ok(rill_set_close(&side->set));
    if (side->epoll)
        close(side->epoll);
    for (unsigned i = 0; i < COMPANIONS; i++)
        require_ok(rill_sender_close(&companions[i]));
    require_ok(rill_receiver_close(&side->rx));
    require_ok(rill_sender_close(&side->tx));
}

static bool is_over(const struct game *game, unsigned which, struct side *side)
{
    if (++side->passes % REPORT_EVERY)
        return false;
    atomic_store(&game->board->value[which], (uint64_t)thread_sleeps());
    return which == 0 && atomic_load(&game->board->value[0]) + atomic_load(&game->board->value[1]) >= game->goal;
}

static void play(const struct game *game, unsigned which, struct side *side)
{
    rill_sender *companions[COMPANIONS] = {NULL};
    side->dice.state = which + 1;
    begin_waiting(game, side, companions);
    uint64_t ball = 0;
    if (which == 0)
        require_ok(send_number(side->tx, 0));
    while (ball != OVER) {
        uint64_t came = take_ball(game, side);
        if (came == OVER)
            break;
        require_equal(ball + (which == 0 ? 1 : 0), came);
        test_note = (long long)came;
        ball = is_over(game, which, side) ? OVER : came + 1;
        pause_somewhat(&side->dice);
        require_ok(send_number(side->tx, ball));
        if (ball != OVER && which == 1)
            ball++;
    }
    end_waiting(side, companions);
}

static void run_game(void *argument)
{
    struct game game = *(const struct game *)argument;
    struct side sides[2] = {{0}, {0}};
    struct rill_channel_options options = {.size = sizeof options, .transport = game.transport, .spin = -1};
    game.goal = full_scale() ? 2000000 : rounds(4000);
    require_ok(rill_channel(&options, &sides[0].tx, &sides[1].rx));
    require_ok(rill_channel(&options, &sides[1].tx, &sides[0].rx));
    pid_t child = fork_child();
    unsigned mine = child == 0 ? 1 : 0;
    require_ok(rill_sender_close(&sides[1 - mine].tx));
    require_ok(rill_receiver_close(&sides[1 - mine].rx));
    play(&game, mine, &sides[mine]);
    if (child == 0)
        _exit(0);
    join_child(child);
    uint64_t sleeps = atomic_load(&game.board->value[0]) + atomic_load(&game.board->value[1]);
    require(sleeps >= game.goal);
    if (full_scale())
        printf("%llu sleeps\n", (unsigned long long)sleeps);
}

int main(void)
{
    static struct game games[] = {
        {BY_RECV, RILL_SHM, NULL, 0},
        {BY_SET, RILL_SHM, NULL, 0},
        {BY_LARGE_SET, RILL_SHM, NULL, 0},
        {BY_POLL, RILL_SHM, NULL, 0},
        {BY_EDGE, RILL_SHM, NULL, 0},
        {BY_EDGE, RILL_SOCKET, NULL, 0},
    };
    static struct test tests[] = {
        {"a receiver that parks is woken, however close the message came", run_game, &games[0], 0},
        {"a set of one that parks is woken, however close the message came", run_game, &games[1], 0},
        {"a set of many that parks is woken, however close the message came", run_game, &games[2], 0},
        {"a loop with poll that armed is woken, however close the message came", run_game, &games[3], 0},
        {"a loop with edge-triggered epoll that armed is woken, however close the message came", run_game, &games[4], 0},
        {"a loop over a socket channel that armed is woken, however close the message came", run_game, &games[5], 0},
    };
    struct board *board = board_make(NULL);
    for (size_t i = 0; i < COUNT_OF(tests); i++) {
        games[i].board = board;
        tests[i].seconds = full_scale() ? 900 : 60;
    }
    return run_group_on(board, "park", tests, COUNT_OF(tests));
}
