/* SPDX-License-Identifier: MIT */
/*
 * dirty: free memory that the owner of a lane lends to its receiver is never used by the one and punched by the other, and what is
 * given out has memory (shm/dirty.h).
 *
 * The owner has one range of two pages. It frees and lends it, takes it back by compare-and-swap, and uses the first page or both; the
 * other goes on being dirty, and is lent again. Where the receiver has punched it commits what it uses; while the receiver is punching it uses
 * other memory, which is not in the model.
 *
 * The receiver takes by compare-and-swap, punches page by page what the list says, and then says that it is done. It may be killed at any step;
 * whoever receives after it finds the word as it was left. Either may stop for ever at any step.
 *
 * Bounds: ROUNDS uses, ROUNDS trims, one kill.
 *
 * Spin's memory is sequentially consistent. The code needs less: release and acquire on the word order list, punches and commits, as its
 * argument says.
 *
 * Faults, each of which must be found:
 *   FAULT_PLAIN_RECALL   the owner reads the word and then writes it
 *   FAULT_PLAIN_TAKE     so does the receiver
 *   FAULT_USE_AWAY       the owner uses what the receiver is punching
 *   FAULT_EARLY_DONE     the receiver says that it is done before it has punched the second page
 *   FAULT_NO_COMMIT      the owner takes for dirty what was punched
 *   FAULT_LIST_LATE      the owner lends before it has written the list anew
 */
#ifndef ROUNDS
#define ROUNDS 4
#endif

mtype = { NONE, LENT, TAKEN, PUNCHED };
mtype word = NONE;

bool listed[2];                 /* what the list says */
bool memory[2], used[2];        /* of each page */
bool killed;

/* Private to the owner. */
bool lent, dirty[2];

/* ---------------------------------------------------------------- the owner */

inline write_list() {
    listed[0] = dirty[0];
    listed[1] = dirty[1]
}

inline lend() {
    lent = true;
#ifdef FAULT_LIST_LATE
    word = LENT;
    write_list()
#else
    write_list();
    word = LENT
#endif
}

inline forget_all() {
    d_step { dirty[0] = false; dirty[1] = false; lent = false }
}

inline recall() {
#ifdef FAULT_PLAIN_RECALL
    seen = word;
    if
    :: seen == LENT -> word = NONE; lent = false
#else
    atomic { seen = word; if :: seen == LENT -> word = NONE :: else fi }
    if
    :: seen == LENT -> lent = false
#endif
#ifdef FAULT_NO_COMMIT
    :: seen == PUNCHED -> lent = false
#else
    :: seen == PUNCHED -> forget_all()
#endif
    :: else
    fi
}

inline take_page(page) {
    if
    :: dirty[page] -> dirty[page] = false
    :: else -> memory[page] = true      /* the commit */
    fi;
    assert(memory[page]);               /* else to touch it may kill */
    used[page] = true
}

inline free_page(page) {
    assert(memory[page]);               /* else it was punched in use */
    used[page] = false;
    dirty[page] = true
}

active proctype owner() {
    mtype seen;
    byte rounds = 0;
    bool both;
    do
    :: rounds < ROUNDS ->
        rounds++;
        if :: both = false :: both = true fi;
        if :: lent -> recall() :: else fi;
#ifdef FAULT_USE_AWAY
        lent = false;
#endif
        if
        :: lent                         /* other memory is used this time */
        :: else ->
            take_page(0);
            if :: both -> take_page(1) :: else fi;
            if :: dirty[1] -> lend() :: else fi;
            if :: lent -> recall() :: else fi;
            if
            :: lent -> break            /* the receiver has the rest: what is freed now is punched by the owner, and this ends here */
            :: else
            fi;
            free_page(0);
            if :: both -> free_page(1) :: else fi;
            lend()
        fi
    :: break
    od
}

/* ---------------------------------------------------------------- the receiver, and whoever receives after it */

inline take() {
#ifdef FAULT_PLAIN_TAKE
    found = word;
    if :: found == LENT -> word = TAKEN :: else fi
#else
    atomic { found = word; if :: found == LENT -> word = TAKEN :: else fi }
#endif
}

inline punch(page) {
    if
    :: listed[page] -> assert(!used[page]); memory[page] = false
    :: else
    fi
}

inline done() { word = PUNCHED }

/* From here it would go on, and is dead instead: the next one begins at the top. */
inline may_be_killed() {
    if
    :: !killed -> killed = true; goto next
    :: true
    fi
}

active proctype receiver() {
    mtype found;
    byte rounds = 0;
next:
    do
    :: rounds < ROUNDS ->
        rounds++;
        take();
        if
        :: found == LENT || found == TAKEN ->
            may_be_killed();
            punch(0);
            may_be_killed();
#ifdef FAULT_EARLY_DONE
            done();
            punch(1)
#else
            punch(1);
            may_be_killed();
            done()
#endif
        :: else
        fi
    :: break
    od
}
