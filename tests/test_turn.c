/* SPDX-License-Identifier: MIT */
/* When a sender that contends with others for tickets stays away, and when it does not. */
#include "support.h"

#include "src/turn.h"

#define OFTEN 10000

static struct rill_page page;
static struct rill_turn turn;
static uint64_t last;

static void start(void)
{
    atomic_store(&page.ticket, 1);
    turn = (struct rill_turn){0};
    last = 0;
}

static void others_draw(uint64_t count)
{
    atomic_fetch_add(&page.ticket, count);
}

/* Draws with others between them, which take `cost` ns, and something else `rest` ns. Gives how many it took to end a turn, or OFTEN. */
static unsigned contended_draws(int64_t cost, int64_t rest)
{
    static int64_t now = 1000;
    for (unsigned i = 0; i < OFTEN; i++) {
        int64_t begun = now += rest;
        now += cost;
        if (turn.contended < RILL_TURN_SUSPECT)
            turn.contended++;
        else
            rill_turn_contended(&turn, begun, now);
        if (rill_turn_is_over(&turn))
            return i + 1;
    }
    return OFTEN;
}

static void alone_it_stays(void *unused)
{
    (void)unused;
    start();
    for (unsigned i = 1; i < OFTEN; i++) {
        require(rill_turn_draw(&turn, &page, &last) == i);
        require(!rill_turn_is_over(&turn));
    }
}

static void seldom_others_are_nothing(void *unused)
{
    (void)unused;
    start();
    for (unsigned i = 0; i < OFTEN; i++) {
        uint64_t before = last;
        if (i % RILL_TURN_SUSPECT == 0)
            others_draw(1);
        require(rill_turn_draw(&turn, &page, &last) > before);
        require(!rill_turn_is_over(&turn));
    }
}

static void contention_ends_a_turn(void *unused)
{
    (void)unused;
    start();
    unsigned first = contended_draws(100, 50);
    require(first < 10);
    unsigned second = contended_draws(100, 50);
    require(second >= first + 8); /* now the others are less patient */
    require(contended_draws(300, 50) < 30);
}

static void others_work_matters_more(void *unused)
{
    (void)unused;
    start();
    require_equal(OFTEN, contended_draws(100, 101));
    require(contended_draws(100, 100) < 100);
}

static void draws_are_timed(void *unused)
{
    (void)unused;
    start();
    for (unsigned i = 0; i < RILL_TURN_SUSPECT; i++) {
        others_draw(1);
        (void)rill_turn_draw(&turn, &page, &last);
        require(turn.drawn == 0);
    }
    others_draw(1);
    (void)rill_turn_draw(&turn, &page, &last);
    require(turn.drawn != 0);
    (void)rill_turn_draw(&turn, &page, &last); /* nobody between */
    require(turn.drawn == 0 && turn.contended == 0);
}

/* Nobody draws: one look is enough. Its end is an event that does not come, so only the least time can be told. */
static void a_wait_ends(void *unused)
{
    (void)unused;
    start();
    int64_t begun = rill_port_clock();
    rill_turn_wait(&page);
    require(rill_port_clock() - begun >= RILL_TURN_LOOK);
    require(atomic_load(&page.ticket) == 1); /* it only looks */
}

static const struct test tests[] = {
    {"alone it never stays away", alone_it_stays, NULL, 0},
    {"it does not where others draw now and then", seldom_others_are_nothing, NULL, 0},
    {"it does where draws take most of the time, and is more patient next", contention_ends_a_turn, NULL, 0},
    {"it does not where something else takes more", others_work_matters_more, NULL, 0},
    {"only contended draws are timed", draws_are_timed, NULL, 0},
    {"staying away ends", a_wait_ends, NULL, 0},
};

int main(void)
{
    return run_group("turn", tests, COUNT_OF(tests));
}
