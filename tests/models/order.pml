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
 * Receiver. It reads the ticket counter T; then `rings` and `rang`, and takes all packets if one has changed;
 * then it looks once at every ring of the lanes that are not armed. Of what it saw at that look it delivers, ring
 * by ring, the unstamped first, and then in the order of tickets all with a ticket below T. The rest waits for the
 * next look. What came after the look waits too, or with LATE_RECORDS it is taken in while the batch is delivered:
 * both hold, as long as T stays. The receiver arms idle lanes as wake.pml says, also while others are busy.
 *
 * Why it holds: a message with a ticket below T was called before T was read. What returned before that call had
 * been committed, counted, announced and rung for when T was read, and so the look finds it.
 *
 * The proof watches two messages out of SENDS, in every way to choose them: FIRST, and SECOND, which is called
 * when FIRST has returned. The others are there to disturb.
 *
 * Variants. Plain: two threads of one process (lane 0, rings 0 and 1) and one of another (lane 1, ring 2), all of
 * them newcomers. THREE_LANES: three processes. TWO_LANES: two processes. SETTLED: the lanes are known and armed
 * at the start, and all messages stamped. NEVER_ARMED: the receiver does not sleep.
 *
 * Numbers are made small as in wake.pml. Spin's memory is sequentially consistent. The code makes these accesses
 * seq_cst so that this applies: `rings`, `rang`, the counter, the commit, the parked word. The receiver's loads in
 * a look may be acquire, but for those behind an arming.
 *
 * Faults, each of which must be found:
 *   FAULT_NEXT_TICKET      the ticket behind the last one delivered is taken at once, also if it is not below T
 *   FAULT_T_AFTER_LOOK     T is read after the look
 *   FAULT_LATE_TICKETS     what came after the look is delivered in the same batch, whatever its ticket (takes LATE_RECORDS)
 *   FAULT_COUNT_LATE       a ring is counted after its first use
 *   FAULT_ANNOUNCE_LATE    a lane is announced after its first ring is counted
 *   FAULT_RINGS_FIRST      the receiver reads `rings` before T
 *   FAULT_RINGS_UNREAD     it does not read `rings`
 *   FAULT_RANG_FIRST       it reads `rang` before T
 *   FAULT_RANG_UNREAD      it does not read `rang`
 *   FAULT_RANG_EARLY       the sender counts up `rang` before its packet is sent
 *   FAULT_RANG_LATE        it counts up `rang` when its send has returned
 *   FAULT_STAMPED_FIRST    stamped messages are delivered before unstamped ones
 */
#ifndef SENDS
#define SENDS 3
#endif
#ifdef FAULT_LATE_TICKETS
#define LATE_RECORDS
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
bool rings_changed, rang;                       /* since the receiver last asked */

/* Private to each sending process. */
bool held[RINGS], counted[RINGS], announced[LANES];
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
        :: rings <= 1
        :: d_step { rings > 1 -> stamp = ticket; ticket++ } /* `rings` never falls, so one step is as good as two */
        fi;
        d_step { ring[own]!message, stamp; stamp = UNSTAMPED };
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
            if
            :: named == 0 -> named = 1 << lane
            :: else -> named = named | (1 << lane) | known
            fi;
            known = known | (1 << lane);
            lane = 0
        }
    :: empty(socket) -> break
    od
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

inline look(index) {
    if
    :: ((watched | fresh) & (1 << LANE_OF(index))) && len(ring[index]) > 0 ->
        seen[index] = len(ring[index]);
        found = found | (1 << LANE_OF(index))
    :: else
    fi
}

#ifdef FAULT_STAMPED_FIRST
#define RANK(stamp) ((stamp) == UNSTAMPED -> 200 : (stamp))
#else
#define RANK(stamp) (stamp)
#endif

#ifdef FAULT_NEXT_TICKET
#define MAY_GO(stamp) ((stamp) < T || (stamp) == last + 1)
#else
#define MAY_GO(stamp) ((stamp) < T)
#endif

/* The ring whose head goes next into `best`, NONE if there is none among what was seen. */
#define NONE 255
inline choose() {
    best = NONE; rank = NONE; index = 0;
    do
    :: index < RINGS ->
        if
        :: seen[index] > 0 ->
            ring[index]?<message, stamp>;
            if
            :: MAY_GO(stamp) && RANK(stamp) < rank -> best = index; rank = RANK(stamp)
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
    seen[best] = seen[best] - 1;
    assert(message != SECOND);
    over = (message == FIRST);
    last = (stamp > last -> stamp : last);
    message = 0; stamp = 0
}

inline end_batch() {
    seen[0] = 0; seen[1] = 0; seen[2] = 0;
    best = 0; rank = 0; message = 0; stamp = 0; T = 0;
#ifndef FAULT_NEXT_TICKET
    last = 0
#endif
}

inline deliver() {
    choose();
    do
    :: best != NONE && !over -> deliver_one(); choose()
    :: else -> break
    od;
    end_batch()
}

/* Any ring may be looked at again at any moment. */
inline deliver_with_late_records() {
    do
    :: d_step { look(0); skip }
    :: d_step { look(1); skip }
    :: d_step { look(2); skip }
    :: d_step {
            choose();
            if
            :: best != NONE && !over -> deliver_one()
            :: else -> todo = NONE
            fi;
            best = 0; rank = 0; message = 0; stamp = 0;
#ifdef FAULT_LATE_TICKETS
            T = NONE
#endif
        };
        if
        :: todo == NONE -> break
        :: else
        fi
    od;
    end_batch()
}

/* `watched` is the lanes that are not armed, `fresh` those armed since the last look. */
proctype Receiver() {
    byte lane, index, todo, known, named, found, watched, fresh;
    byte seen[RINGS], T, best, rank, message, stamp, last;
    bool changed = true, over;
#ifdef SETTLED
    known = (1 << LANES) - 1;
    goto sleep;
#endif
    do
    :: true ->
#ifdef FAULT_RINGS_FIRST
        d_step { changed = changed || rings_changed; rings_changed = false };
#endif
#ifdef FAULT_RANG_FIRST
        d_step { changed = changed || rang; rang = false };
#endif
#ifndef FAULT_T_AFTER_LOOK
        T = ticket;
#endif
#if !defined(FAULT_RINGS_FIRST) && !defined(FAULT_RINGS_UNREAD)
        d_step { changed = changed || rings_changed; rings_changed = false };
#endif
#if !defined(FAULT_RANG_FIRST) && !defined(FAULT_RANG_UNREAD)
        d_step { changed = changed || rang; rang = false };
#endif
        if
        :: changed ->
            take_packets();
            disarm_all(named);
            watched = watched | named;
            named = 0;
            changed = false
        :: else
        fi;
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
#ifndef LATE_RECORDS
                deliver()
            }
#else
                todo = 1
            };
            deliver_with_late_records()
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
        :: found == 0 && watched != 0 ->
            d_step { fresh = watched; watched = 0 };
            arm_all(fresh)
        :: found == 0 && watched == 0 ->
sleep:      skip;
            d_step { fresh = 0; asleep = true; assert(nempty(socket) || !first_returned) };
end_asleep:
            atomic { nempty(socket) -> asleep = false; changed = true }
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
