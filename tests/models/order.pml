/* SPDX-License-Identifier: MIT */
/*
 * order: if one send returned before another was called, in whatever threads or processes, the first message is
 * delivered before the second.
 *
 * Sender. It holds a ring (never waiting for one: if the ring is held it takes the next). A ring is counted in
 * the page's `rings` before its first use, and a lane is announced on the socket before its first ring is
 * counted. With the ring held it reads `rings`: if there is one only, the message goes unstamped, else it takes
 * a ticket. Then it commits, and wakes as wake.pml says: packet, then `rang`, then the note, then it returns.
 *
 * Receiver. It reads the ticket counter T; then `rings` and `rang`, and takes all packets if one has changed (`rang` does not
 * matter while there is one ring); then it looks once at the head of every ring of the lanes that are not armed. It delivers heads,
 * the unstamped first, and then in the order of tickets all with a ticket below T; when one is delivered, what is behind it in its
 * ring is the next head, also if it came after the look. A ring that had none waits for the next look. The receiver arms idle
 * lanes as wake.pml says, also while others are busy.
 *
 * Why it holds: a message with a ticket below T was called before T was read. What returned before that call had
 * been committed, counted, announced and rung for when T was read, and so the look finds it.
 *
 * Floors. So that a ring which is never empty cannot hold back the others for ever, a head counts as no less than the floor of
 * its ring: the T of a look that found the ring empty, or the T at which the ring was marked, once all that was in it then has been taken.
 *
 * The proof watches two messages out of SENDS, in every way to choose them: FIRST, and SECOND, which is called
 * when FIRST has returned. The others are there to disturb.
 *
 * Variants. Plain: two threads of one process (lane 0, rings 0 and 1) and one of another (lane 1, ring 2), all of
 * them newcomers. THREE_LANES: three processes. TWO_LANES: two processes. SETTLED: the lanes are known and armed
 * at the start, and all messages stamped. NEVER_ARMED: the receiver does not sleep. SETTLES: it takes one packet when it
 * wakes, as in wake.pml. STEPWISE: senders go on while heads are delivered, and everything may be looked at again after any of them;
 * without it all heads are delivered with the last step of the look. MARKS: STEPWISE, and one ring is marked, once.
 *
 * Bounds: SENDS messages, the socket holds two packets, one mark in a run. run.sh lets two processes of newcomers send three
 * messages, and more senders three where they are SETTLED or NEVER_ARMED, else two; `thorough` lets all send three.
 *
 * Numbers are made small as in wake.pml. Spin's memory is sequentially consistent. The code makes these accesses
 * seq_cst so that this applies: `rings`, `rang`, the counter, the commit, the parked word. The receiver's loads in
 * a look may be acquire, but for those behind an arming.
 *
 * Faults, each of which must be found:
 *   FAULT_NEXT_TICKET      the ticket behind the last one delivered is taken at once, also if it is not below T
 *   FAULT_T_AFTER_LOOK     T is read after the look
 *   FAULT_LATE_TICKETS     what came after the look is delivered with it, whatever its ticket (takes STEPWISE)
 *   FAULT_COUNT_LATE       a ring is counted after its first use
 *   FAULT_ANNOUNCE_LATE    a lane is announced after its first ring is counted
 *   FAULT_RINGS_FIRST      the receiver reads `rings` before T
 *   FAULT_RINGS_UNREAD     it does not read `rings`
 *   FAULT_RANG_FIRST       it reads `rang` before T
 *   FAULT_RANG_UNREAD      it does not read `rang`
 *   FAULT_RANG_EARLY       the sender counts up `rang` before its packet is sent
 *   FAULT_RANG_LATE        it counts up `rang` when its send has returned
 *   FAULT_STAMPED_FIRST    stamped messages are delivered before unstamped ones
 *   FAULT_FLOOR_LATE       the floor of a ring found empty is the T of the next look
 *   FAULT_MARK_SHORT       a marked ring gets its floor when all but one of what was in it have been taken (takes MARKS, SETTLED)
 */
#ifndef SENDS
#define SENDS 3
#endif
#ifdef FAULT_MARK_SHORT
#define MARKS
#define SETTLED
#endif
#if defined(FAULT_LATE_TICKETS) || defined(MARKS)
#define STEPWISE
#endif
#if defined(THREE_LANES) || defined(TWO_LANES)
#define LANES 3
#define LANE_OF(ring)    (ring)
#define RINGS_OF(lanes)  (lanes)
#else
#define LANES 2
#define LANE_OF(ring)    ((ring) / 2)
#define RINGS_OF(lanes)  ((((lanes) & 1) * 3) | (((lanes) & 2) * 2))
#endif
#define RINGS     3
#define UNSTAMPED 0

byte parked[LANES];
chan ring[RINGS] = [SENDS] of { byte, byte };   /* which message, ticket */
chan socket = [2] of { byte };
byte rings, ticket = 1;                         /* in the page */
bool rings_changed, rang;                       /* since the receiver last took the packets */

/* Private to each sending process. */
bool held[RINGS], counted[RINGS], announced[LANES];
bool drawn[RINGS];                              /* proof only: a send has its ticket, or goes without, and is not committed */
byte noted[LANES], number[3];

/* What the proof remembers. */
#define OTHER  0
#define FIRST  1
#define SECOND 2
byte sends;
bool first_called, first_returned, second_called;
bool asleep;

/* ---------------------------------------------------------------- senders */

/* The call. To take a ring is private to the process, so it may as well be the same step. */
inline call(which) {
    message = which;
    sends++;
    own = (held[first] -> second : first);
    held[own] = true
}

/* The last step of a send. */
inline return_from_send() {
    first_returned = first_returned || message == FIRST;
    assert(!asleep || nempty(socket) || !first_returned);
    held[own] = false; own = 0; message = 0; number[self] = 0
}

inline announce() {
    if
    :: announced[lane]
    :: !announced[lane] ->
end_receiver_over:                                      /* it may have ended the run with a full socket */
        d_step {
            announced[lane] || nfull(socket) ->
            if
            :: !announced[lane] -> socket!lane; announced[lane] = true
            :: else
            fi
        }
    fi
}

inline count_ring() {
#ifndef FAULT_ANNOUNCE_LATE
    announce();
#endif
    d_step { rings++; rings_changed = true; counted[own] = true };
#ifdef FAULT_ANNOUNCE_LATE
    announce()
#endif
}

proctype Sender(byte self, first, second, lane) {
    byte own, stamp, message;
end_nothing_to_send:
    do
    :: d_step { !first_called -> first_called = true; call(FIRST) };
        goto called
    :: d_step { first_returned && !second_called -> second_called = true; call(SECOND) };
        goto called
    :: d_step { sends + 1 + !first_called < SENDS && !second_called -> call(OTHER) };
called:
#ifndef FAULT_COUNT_LATE
        if
        :: counted[own]
        :: !counted[own] -> count_ring()
        fi;
#endif
        if
        :: d_step { rings <= 1 -> drawn[own] = true }
        :: d_step { rings > 1 -> stamp = ticket; ticket++; drawn[own] = true } /* `rings` never falls, so one step is as good as two */
        fi;
        d_step { ring[own]!message, stamp; stamp = UNSTAMPED; drawn[own] = false };
#ifdef FAULT_COUNT_LATE
        if
        :: counted[own]
        :: !counted[own] -> count_ring()
        fi;
#endif
        number[self] = parked[lane];
        if
        :: d_step { number[self] == 0 || number[self] == noted[lane] -> return_from_send() }
        :: number[self] != 0 && number[self] != noted[lane] ->
#ifdef FAULT_RANG_EARLY
            rang = true;
#endif
            if
            :: socket!lane
            :: full(socket)
            fi;
#if !defined(FAULT_RANG_EARLY) && !defined(FAULT_RANG_LATE)
            rang = true;
#endif
            d_step { noted[lane] = number[self]; return_from_send() };
#ifdef FAULT_RANG_LATE
            rang = true
#endif
        fi
    od
}

/* ---------------------------------------------------------------- the receiver */

/* The receiver goes through a set of lanes by taking one after the other out of `todo`. */
inline take_next(next) {
    do
    :: !(todo & (1 << next)) -> next++
    :: else -> break
    od;
    todo = todo & ~(1 << next)
}

inline take_packets() {
    do
    :: socket?lane ->
        d_step {
            taken++;
            named = named | (1 << lane);
            known = known | (1 << lane);
            lane = 0
        }
    :: empty(socket) -> break
    od;
    if
    :: taken > 1 -> named = known
    :: else
    fi;
    taken = 0
}

#if LANES == 3
#define HELD(value) (number[lane] == value)
#else
#define HELD(value) ((lane == 0 && (number[0] == value || number[1] == value)) || (lane == 1 && number[2] == value))
#endif

inline arm_all(lanes) {
    todo = lanes;
    do
    :: todo != 0 ->
        d_step {
            take_next(lane);
            if
            :: !HELD(noted[lane]) -> noted[lane] = 0    /* it can never be equal to a number again */
            :: else
            fi;
            parked[lane] = 1;
            do
            :: HELD(parked[lane]) || noted[lane] == parked[lane] -> parked[lane] = parked[lane] + 2
            :: else -> break
            od;
            lane = 0
        }
    :: else -> break
    od
}

inline disarm_all(lanes) {
    todo = lanes;
    do
    :: todo != 0 -> d_step { take_next(lane); parked[lane] = 0; lane = 0 }
    :: else -> break
    od
}

/* A floor matters only to a record that was called before T was read: one that is being sent, if the ring is empty. */
#ifdef FAULT_FLOOR_LATE
#define NOT_YET            250
#define EMPTY_FLOOR(index) NOT_YET
#define FLOOR_LATE(index)  floor[index] = (floor[index] == NOT_YET -> T : floor[index])
#define READ_TICKET        d_step { T = ticket; FLOOR_LATE(0); FLOOR_LATE(1); FLOOR_LATE(2) }
#else
#define EMPTY_FLOOR(index) (drawn[index] -> T : 0)
#define READ_TICKET        T = ticket
#endif

inline look(index) {
    if
    :: (watched | fresh) & (1 << LANE_OF(index)) ->
        if
        :: len(ring[index]) > 0 -> heads = heads | (1 << index); found = found | (1 << LANE_OF(index))
        :: else -> floor[index] = EMPTY_FLOOR(index)
        fi
    :: else
    fi
}

#ifdef FAULT_STAMPED_FIRST
#define RANK(index, stamp) ((stamp) == UNSTAMPED -> 200 : (stamp))
#else
#define RANK(index, stamp) ((stamp) < floor[index] -> floor[index] : (stamp))
#endif

#ifdef FAULT_NEXT_TICKET
#define MAY_GO(stamp) ((stamp) < T || (stamp) == last + 1)
#else
#define MAY_GO(stamp) ((stamp) < T)
#endif

/* The ring whose head goes next into `best`, NONE if there is none. Where ranks are equal the ticket decides. */
#define NONE 255
inline choose() {
    best = NONE; rank = NONE; least = NONE; index = 0;
    do
    :: index < RINGS ->
        if
        :: heads & (1 << index) ->
            ring[index]?<message, stamp>;
            if
            :: MAY_GO(stamp) && (RANK(index, stamp) < rank || (RANK(index, stamp) == rank && stamp < least)) ->
                best = index; rank = RANK(index, stamp); least = stamp
            :: else
            fi
        :: else
        fi;
        index++
    :: else -> break
    od;
    index = 0
}

inline deliver_one() {
    ring[best]?message, stamp;
    assert(message != SECOND);
    over = (message == FIRST);
#ifdef FAULT_NEXT_TICKET
    last = (stamp > last -> stamp : last);
#endif
#ifdef MARKS
    marked_left = (best == marked && marked_left > 0 -> marked_left - 1 : marked_left);
#endif
    floor[best] = 0;                                    /* what is behind it was called later */
    if
    :: len(ring[best]) == 0 -> heads = heads & ~(1 << best); floor[best] = EMPTY_FLOOR(best)
    :: else
    fi
}

inline forget() {
    best = 0; rank = 0; least = 0; message = 0; stamp = 0
}

inline deliver() {
    choose();
    do
    :: best != NONE && !over -> deliver_one(); choose()
    :: else -> break
    od;
    forget(); heads = 0; T = 0
}

inline deliver_stepwise() {
    do
    :: d_step {
            choose();
            if
            :: best != NONE && !over -> deliver_one()
            :: else -> heads = 0
            fi;
            forget();
#ifdef FAULT_LATE_TICKETS
            T = NONE
#endif
        };
        if
        :: heads == 0 -> break
        :: heads != 0                                   /* and goes on, or looks at everything again */
        :: heads != 0 -> break
        fi
    od;
    atomic { heads = 0; T = 0 }
}

#ifdef FAULT_MARK_SHORT
#define AT_LEAST_ONE_LESS(count) ((count) > 0 -> (count) - 1 : 0)
#else
#define AT_LEAST_ONE_LESS(count) (count)
#endif

/* Once in a run, at the beginning of some look; from a later look on it has its effect. */
#ifdef MARKS
#define UNMARKED 9
inline mark_a_ring() {
    if
    :: d_step { mark != 0 && marked_left == 0 -> floor[marked] = (mark > floor[marked] -> mark : floor[marked]); mark = 0 }
    :: d_step { marked == UNMARKED -> marked = 0; mark = T; marked_left = AT_LEAST_ONE_LESS(len(ring[0])) }
    :: marked == UNMARKED || mark == 0 || marked_left != 0
    fi
}
#endif

#define ASK_RINGS d_step { changed = changed || rings_changed; several = rings > 1 }
#define ASK_RANG  d_step { changed = changed || (rang && several) }

/* `watched` is the lanes that are not armed, `fresh` those armed since the last look. */
proctype Receiver() {
    byte lane, index, todo, known, named, found, watched, fresh;
    byte heads, floor[RINGS], T, best, rank, least, message, stamp, taken;
    bool changed = true, over, several;
#ifdef FAULT_NEXT_TICKET
    byte last;
#endif
#ifdef MARKS
    byte marked = UNMARKED, mark, marked_left;
#endif
#ifdef SETTLED
    known = (1 << LANES) - 1;
    goto sleep;
#endif
    do
    :: true ->
#ifdef FAULT_RINGS_FIRST
        ASK_RINGS;
#endif
#ifdef FAULT_RANG_FIRST
        ASK_RANG;
#endif
#ifndef FAULT_T_AFTER_LOOK
        READ_TICKET;
#endif
#if !defined(FAULT_RINGS_FIRST) && !defined(FAULT_RINGS_UNREAD)
        ASK_RINGS;
#endif
#if !defined(FAULT_RANG_FIRST) && !defined(FAULT_RANG_UNREAD)
        ASK_RANG;
#endif
        if
        :: changed || several || named != 0 ->
            if
            :: d_step { changed -> rings_changed = false; rang = false; several = false }; take_packets()
            :: d_step { !changed -> several = false }
            fi;
            disarm_all(named);
            watched = watched | named;
            named = 0;
            changed = false
        :: else
        fi;
#ifdef MARKS
        mark_a_ring();
#endif
        todo = RINGS_OF(watched | fresh);
        do
        :: d_step { (todo & (todo - 1)) -> take_next(index); look(index); index = 0 }
        :: (todo & (todo - 1)) == 0 -> break
        od;
        /* To deliver changes nothing that a sender sees, so it may as well be one step with the last look. */
        if
        :: d_step {
                todo != 0 -> take_next(index); look(index);
#ifdef FAULT_T_AFTER_LOOK
                T = ticket;
#endif
#ifndef STEPWISE
                deliver()
            }
#else
                todo = 1
            };
            deliver_stepwise()
#endif
        :: todo == 0 -> T = 0
        fi;
        if
        :: over -> break                                /* nothing more can go wrong */
        :: else
        fi;
        if
#ifdef NEVER_ARMED
        :: found = 0
#else
        :: found != 0 ->
            d_step { todo = found & ~watched; watched = watched | found; fresh = 0 };
            disarm_all(todo);
            if
            :: found = 0
            :: watched != found ->                      /* the idle ones are armed while others are busy */
                d_step { fresh = watched & ~found; watched = found; found = 0 };
                arm_all(fresh)
            fi
#ifdef SETTLES
        :: found == 0 && taken > 0 -> changed = true
#endif
        :: found == 0 && taken == 0 && watched != 0 ->
            d_step { fresh = watched; watched = 0 };
            arm_all(fresh)
        :: found == 0 && taken == 0 && watched == 0 ->
sleep:      skip;
            d_step { fresh = 0; asleep = true; assert(nempty(socket) || !first_returned) };
end_asleep:
#ifdef SETTLES
            atomic { socket?lane -> asleep = false; named = 1 << lane; known = known | named; taken++; lane = 0 }
#else
            atomic { nempty(socket) -> asleep = false; changed = true }
#endif
#endif
        fi
    od
}

init {
    atomic {
#ifdef SETTLED
        byte index;
        do
        :: index < RINGS -> counted[index] = true; announced[LANE_OF(index)] = true; parked[LANE_OF(index)] = 1; index++
        :: else -> index = 0; break
        od;
        rings = RINGS;
#endif
#if LANES == 3
        run Sender(0, 0, 0, 0); run Sender(1, 1, 1, 1);
#ifdef THREE_LANES
        run Sender(2, 2, 2, 2);
#endif
#else
        run Sender(0, 0, 1, 0); run Sender(1, 0, 1, 0); run Sender(2, 2, 2, 1);
#endif
        run Receiver()
    }
}
