/* SPDX-License-Identifier: MIT */
/*
 * wake: the receiver never sleeps through a message whose send has returned, whichever other senders stop for
 * ever, and at whatever step.
 *
 * Each lane has a parked word, a number that only the receiver changes: odd is armed. Before it sleeps the
 * receiver arms every lane that it has been looking at, and looks at each of these once more. A sender
 * commits, then reads the word; if it is odd and not the number that this lane rang for last, it sends a packet
 * that names the lane, counts up `rang`, and notes the number, in this order. A packet that finds the socket
 * full counts as sent. The receiver takes packets when it sleeps and when `rang` has changed, always until none
 * is left; it disarms and looks at the lanes that they name, and at all lanes if it took more than one, for
 * then the socket may have been full. The others stay armed while it is awake.
 *
 * Freedoms that hold as well are variants. SETTLES: the receiver takes just one packet when it wakes, and counts what it
 * took; before it sleeps with SETTLE_AFTER of them it takes all, and then with SCAN_AFTER of them it turns to all lanes.
 * A full socket must have SCAN_AFTER packets at least. RENUMBERS: SETTLES, and when it turns to all lanes it gives those
 * that are armed a new number, looks, and disarms only those that have something. The new number is needed: a lane may
 * have noted the old one, ringing into the full socket for a message that was received already, and would be silent with
 * its next. LATE_DISARM: a lane is disarmed after the look at it, which is what a relaxed store amounts to. EDGE: the receiver sleeps
 * elsewhere, in a set or in an event loop, and is woken by a packet's arrival only, not by packets that lie there; it forgets the
 * arrival when it wakes, before it takes what lies there.
 *
 * What is asserted is that while the receiver sleeps and no packet is on its way nothing is owed to any sender.
 * That must hold in every state, so nobody's next step is needed for it, and every sender may stop.
 *
 * Plain, each of three senders has its own lane, and they send SENDS messages in all. With -DSHARED_LANE two of them
 * are threads of one process: they share a lane, and so the number noted, but not a ring. With -DTWO_SENDERS the
 * third is left out, and the others send without end.
 *
 * Bounds: three senders send three messages in all, two send without end; the socket holds two packets.
 *
 * Two things are smaller here than in the code, without a difference that anybody could see. Of `rang` the
 * receiver only asks whether it has changed since it last asked, so it is a bit. Of the numbers everybody only
 * asks whether two are equal, so an even one is 0, and an odd one that nobody remembers is used again.
 *
 * Spin's memory is sequentially consistent. The code makes these accesses seq_cst so that this applies: the
 * commit and the read of the parked word behind it; the arming and the look behind it.
 *
 * Faults, each of which must be found:
 *   FAULT_COMMIT_LATE       the sender reads the word before it commits
 *   FAULT_SENDER_CLEARS     it disarms the lane itself before it rings (takes SHARED_LANE)
 *   FAULT_NOTE_FIRST        it notes the number before the packet is sent (takes SHARED_LANE)
 *   FAULT_NO_SECOND_LOOK    the receiver sleeps without looking at what it armed
 *   FAULT_LOOK_BEFORE_ARM   it looks, and then arms
 *   FAULT_NAMED_ONLY        it looks at named lanes only, also after several packets
 *   FAULT_TAKE_ONE          it takes one packet at a time
 *   FAULT_SOCKET_OF_ONE     one packet fills the socket, so that "more than one" says nothing
 *   FAULT_SCAN_SELDOM       it turns to all lanes only after more packets than fill the socket (takes SETTLES)
 *   FAULT_SAME_NUMBER       it turns to all lanes as in RENUMBERS, but leaves the armed ones their number (takes TWO_SENDERS)
 *   FAULT_LOOK_BEFORE_NUMBER  it looks, and then gives the new numbers (takes TWO_SENDERS)
 *   FAULT_EDGE_LEFT         it takes one packet when it is woken by an arrival (takes EDGE)
 *   FAULT_EDGE_FORGOTTEN    it forgets the arrival when it has taken the packets (takes EDGE)
 */
#if defined(FAULT_EDGE_LEFT) || defined(FAULT_EDGE_FORGOTTEN)
#define EDGE
#endif
#ifdef FAULT_EDGE_LEFT
#define FAULT_TAKE_ONE
#endif
#if defined(FAULT_SAME_NUMBER) || defined(FAULT_LOOK_BEFORE_NUMBER)
#define TWO_SENDERS
#define RENUMBERS
#endif
#if defined(FAULT_SCAN_SELDOM) || defined(RENUMBERS)
#define SETTLES
#endif
#if defined(FAULT_SENDER_CLEARS) || defined(FAULT_NOTE_FIRST)
#define SHARED_LANE
#endif
#ifndef SENDS
#define SENDS   3
#endif
#ifdef TWO_SENDERS
#define SENDERS 2
#else
#define SENDERS 3
#endif
#ifdef SHARED_LANE
#define LANES   (SENDERS - 1)
#define LANE_OF(sender) ((sender) / 2)
#else
#define LANES   SENDERS
#define LANE_OF(sender) (sender)
#endif
#ifdef FAULT_SOCKET_OF_ONE
#define SOCKET_HOLDS 1
#else
#define SOCKET_HOLDS 2          /* a real one holds more; this makes it full as often as can be */
#endif
#define SETTLE_AFTER 1
#ifdef FAULT_SCAN_SELDOM
#define SCAN_AFTER (SOCKET_HOLDS + 1)
#else
#define SCAN_AFTER SOCKET_HOLDS
#endif

#define ALL_LANES ((1 << LANES) - 1)

byte parked[LANES];             /* in each lane's header */
bool rang;                      /* in the control page */
chan socket = [SOCKET_HOLDS] of { byte };

byte sends;
bool waiting[3];                /* something is committed in this sender's ring and not received */
bool owed[3];                   /* proof only: and its send has returned */
bool asleep;
bool arrival;                   /* EDGE: a packet has come since it was last forgotten */
#ifdef EDGE
#define WAKES arrival
#else
#define WAKES nempty(socket)
#endif
#define NOTHING_OWED (!owed[0] && !owed[1] && !owed[2])

/* Private to the senders' processes; global so that the model can tell which numbers nobody remembers. */
byte noted[LANES];
byte number[3];

/* ---------------------------------------------------------------- senders */

/* The send returns with its last step. */
inline return_from_send() {
    owed[self] = waiting[self];
    assert(!asleep || WAKES || NOTHING_OWED);
    number[self] = 0
}

proctype Sender(byte self, lane) {
    do
#ifdef TWO_SENDERS
    :: true ->
#else
    :: sends == SENDS -> break
    :: d_step { sends < SENDS -> sends++ };
#endif
#ifndef FAULT_COMMIT_LATE
        waiting[self] = true;
#endif
#ifdef FAULT_SENDER_CLEARS
        d_step { number[self] = parked[lane]; parked[lane] = 0 };
#else
        number[self] = parked[lane];
#endif
#ifdef FAULT_COMMIT_LATE
        waiting[self] = true;
#endif
        if
        :: d_step { number[self] == 0 || number[self] == noted[lane] -> return_from_send() }
        :: number[self] != 0 && number[self] != noted[lane] ->
#ifdef FAULT_NOTE_FIRST
            noted[lane] = number[self];
#endif
            if
#ifdef EDGE
            :: atomic { socket!lane; arrival = true }
#else
            :: socket!lane
#endif
            :: full(socket)
            fi;
            rang = true;
            d_step { noted[lane] = number[self]; return_from_send() }
        fi
    od
}

/* ---------------------------------------------------------------- the receiver */

/* The receiver goes through a set of lanes (or rings) by taking one after the other out of `todo`. */
inline take_next(next) {
    do
    :: !(todo & (1 << next)) -> next++
    :: else -> break
    od;
    todo = todo & ~(1 << next)
}

/* `found` is the lanes that had something. */
inline look_at_all(lanes) {
#ifdef SHARED_LANE
    todo = (((lanes) & 1) * 3) | (((lanes) & 2) * 2);   /* lane 0 has two rings */
#else
    todo = lanes;
#endif
    do
    :: todo != 0 ->
        d_step {
            take_next(ring);
            if
            :: waiting[ring] -> waiting[ring] = false; owed[ring] = false; found = found | (1 << LANE_OF(ring))
            :: else
            fi;
            ring = 0
        }
    :: else -> break
    od
}

#ifdef SHARED_LANE
#define HELD(value) ((lane == 0 && (number[0] == value || number[1] == value)) || (lane == 1 && number[2] == value))
#else
#define HELD(value) (number[lane] == value)
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

inline note_packet(sender_lane) {
#ifdef SETTLES
    named = named | (1 << sender_lane);
    unsettled++
#else
    if
    :: named == 0 -> named = 1 << sender_lane
#ifdef FAULT_NAMED_ONLY
    :: else -> named = named | (1 << sender_lane)
#else
    :: else -> named = ALL_LANES
#endif
    fi
#endif
}

/* Lanes that rang into a full socket are named by no packet. */
inline turn_to_all_lanes() {
    if
    :: unsettled >= SCAN_AFTER ->
#ifdef RENUMBERS
#if !defined(FAULT_SAME_NUMBER) && !defined(FAULT_LOOK_BEFORE_NUMBER)
        arm_all(ALL_LANES & ~watched);
#endif
        look_at_all(ALL_LANES & ~watched);
#ifdef FAULT_LOOK_BEFORE_NUMBER
        arm_all(ALL_LANES & ~watched);
#endif
        named = named | found;                          /* and `found` is kept: they were received */
#else
        named = ALL_LANES
#endif
    :: else
    fi;
    unsettled = 0
}

/* `watched` is the lanes that are not armed, `fresh` those armed since the last look. */
proctype Receiver() {
    byte lane, ring, todo, named, found, watched = ALL_LANES, fresh, unsettled;
    bool settle;
    do
    :: true ->
end_asleep:
        if
        :: !asleep && !rang && !settle -> goto no_packets
        :: d_step { !asleep && (rang || settle) -> rang = false; settle = false }
#ifdef SETTLES
        :: atomic { asleep && socket?[lane] -> asleep = false; socket?lane; note_packet(lane); lane = 0 };
            goto packets_taken
#else
        :: d_step {
            asleep && WAKES -> asleep = false;
#ifndef FAULT_EDGE_FORGOTTEN
            arrival = false
#endif
            }
#endif
        fi;
        do
        :: socket?lane -> d_step { note_packet(lane); lane = 0 }
#ifdef FAULT_TAKE_ONE
            ; break
#endif
        :: empty(socket) -> break
        od;
#ifdef FAULT_EDGE_FORGOTTEN
        arrival = false;
#endif
#ifdef SETTLES
        turn_to_all_lanes();
#endif
packets_taken:
#ifndef LATE_DISARM
        disarm_all(named);
#endif
        watched = watched | named;
#ifndef LATE_DISARM
        named = 0;
#endif
no_packets:
        look_at_all(watched | fresh);
#ifdef LATE_DISARM
        disarm_all(named);
        named = 0;
#endif
        if
        :: found != 0 ->
            d_step { found = found & ~watched; fresh = 0 };
            disarm_all(found);
            watched = watched | found;
            found = 0
#ifdef SETTLES
        :: found == 0 && unsettled >= SETTLE_AFTER -> settle = true
#endif
        :: found == 0 && unsettled < SETTLE_AFTER && watched != 0 ->
#ifdef FAULT_LOOK_BEFORE_ARM
            look_at_all(watched);
#endif
            fresh = watched;
            watched = 0;
            arm_all(fresh);
#if defined(FAULT_NO_SECOND_LOOK) || defined(FAULT_LOOK_BEFORE_ARM)
            fresh = 0
#endif
        :: found == 0 && unsettled < SETTLE_AFTER && watched == 0 ->
            d_step { fresh = 0; asleep = true; assert(WAKES || NOTHING_OWED) }
        fi
    od
}

init {
    atomic {
        run Sender(0, LANE_OF(0)); run Sender(1, LANE_OF(1));
#ifndef TWO_SENDERS
        run Sender(2, LANE_OF(2));
#endif
        run Receiver()
    }
}
