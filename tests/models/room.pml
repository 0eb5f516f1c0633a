/* SPDX-License-Identifier: MIT */
/*
 * room: a sender that waits for room and a receiver that waits for messages never sleep both.
 *
 * Sender, when the limit is reached: it makes the lane's own socket if there is none yet, and sends its other end to
 * the receiver; stores room_at, which says "wake me when `consumed` has come so far"; reads `consumed` again; and
 * sleeps on the lane's socket. room_at is never beyond what is sent. One thread of a process does that at a time.
 *
 * Receiver: it stores `consumed` at the end of a batch, and before it parks if something is not told yet; then it
 * reads room_at. If that is reached and is not what it rang for last, it notes room_at and sends one byte on the lane's
 * socket. If it does not hold that socket yet it owes the byte, and does the same again when it has taken it from
 * its packet. A full socket counts as sent.
 *
 * A wait ends with room_at = 0. One may time out, and perhaps leave a byte in the socket that a later wait finds. What another
 * thread has committed may be consumed before it is counted as sent.
 *
 * The rest is wake.pml with one lane: commit, parked word, packet; arm, look again, sleep.
 *
 * Messages take 1 to LARGEST of a limit of 2: one that is larger than the limit is sent when nothing else is queued.
 * Plain, one thread sends; with -DTWO_THREADS two threads of one process do, each with its own ring.
 *
 * Bounds: SENDS messages (4) and one time-out in all, sizes up to 3, or 1 with two threads.
 *
 * When nobody can take another step, every sender must have ended (Spin reports one that waits as an invalid end
 * state) and everything must have been received.
 *
 * Spin's memory is sequentially consistent. The code makes these accesses seq_cst so that this applies: `consumed` and
 * room_at on both sides; the commit and the parked word; the arming and the look behind it.
 *
 * Faults, each of which must be found:
 *   FAULT_CHECK_BEFORE_STORE   the sender does not read `consumed` again behind its store of room_at
 *   FAULT_ROOM_READ_FIRST      the receiver reads room_at before it stores `consumed`
 *   FAULT_PARK_UNTOLD          the receiver parks without storing `consumed`
 *   FAULT_ROOM_BEYOND          the sender asks for more to be consumed than it has sent
 *   FAULT_TWO_READS            it works out what it has sent as what is queued plus `consumed`, read a second time
 *   FAULT_SOCKET_UNTAKEN       a receiver that owes a byte does not send it when it takes the socket
 *   FAULT_TWO_SLEEPERS         two threads store room_at and sleep on the socket at a time (takes TWO_THREADS)
 */
#ifdef FAULT_TWO_SLEEPERS
#define TWO_THREADS
#endif
#ifndef SENDS
#define SENDS 4
#endif
#ifndef LARGEST
#ifdef TWO_THREADS
#define LARGEST 1
#else
#define LARGEST 3
#endif
#endif
#define LIMIT 2
#define WAKE  1                 /* packets on the channel's socket */
#define LANE_SOCKET 2

byte sent, consumed, room_at;   /* free-running counts; the model ends before they wrap */
byte parked;
chan queue = [SENDS] of { byte };               /* sizes of what is committed */
chan socket = [2] of { byte };
chan lane_socket = [1] of { bit };

/* Private to the sender's process. */
byte sends, noted, number[2];
bool announced, waiting, may_time_out;

/* ---------------------------------------------------------------- the sender */

#define HAS_ROOM   (sent + size - consumed <= LIMIT || sent <= consumed)

inline announce_socket() {
    if
    :: announced
    :: d_step { !announced && nfull(socket) -> socket!LANE_SOCKET; announced = true }
    fi
}

/* The least count that gives room, or any later one up to all that is sent: to wake a sender for each
 * message would cost more than to let it have a good part of the limit. */
inline choose_room_at() {
#ifdef FAULT_TWO_READS
    until = sent - consumed;                            /* queued */
    until = until + consumed;
    until = (size > LIMIT -> until : until + size - LIMIT);
#else
    until = (size > LIMIT -> sent : sent + size - LIMIT);
#endif
    do
    :: until < sent -> until++
    :: break
    od
#ifdef FAULT_ROOM_BEYOND
    ; until = until + 1
#endif
}

inline wait_for_room() {
#ifndef FAULT_TWO_SLEEPERS
    atomic { !waiting -> waiting = true };
#endif
    do
    :: HAS_ROOM -> break
    :: else ->
        announce_socket();
        choose_room_at();
        room_at = until;
        if
#ifndef FAULT_CHECK_BEFORE_STORE
        :: consumed >= until
        :: consumed < until ->
#else
        :: true ->
#endif
            if
            :: lane_socket?_
            :: d_step { may_time_out -> may_time_out = false; size = 0 }
            fi
        fi;
        room_at = 0;
        if
        :: size == 0 -> break
        :: else
        fi
    od;
    until = 0;
#ifndef FAULT_TWO_SLEEPERS
    waiting = false
#endif
}

proctype Sender(byte self) {
    byte size, until;
    do
    :: sends == SENDS -> break
    :: d_step { sends < SENDS -> sends++; size = 1 };
        do
        :: size < LARGEST -> size++
        :: break
        od;
        if
        :: HAS_ROOM
        :: else -> wait_for_room()
        fi;
        if
        :: size == 0 -> goto not_sent
        :: else
        fi;
        queue!size;
        d_step { sent = sent + size; size = 0 };
        number[self] = parked;
        if
        :: d_step { number[self] == 0 || number[self] == noted -> number[self] = 0 }
        :: number[self] != 0 && number[self] != noted ->
            if
            :: socket!WAKE
            :: full(socket)
            fi;
            d_step { noted = number[self]; number[self] = 0 }
        fi;
not_sent:
        skip
    od
}

/* ---------------------------------------------------------------- the receiver */

inline tell_consumed() {
#ifdef FAULT_ROOM_READ_FIRST
    wanted = room_at;
    consumed = received;
#else
    consumed = received;
    wanted = room_at;
#endif
    if
    :: d_step { wanted != 0 && wanted <= received && wanted != rung -> rung = wanted; owes = !holds_socket };
        if
        :: owes
        :: !owes && nfull(lane_socket) -> lane_socket!0
        :: !owes && full(lane_socket)
        fi
    :: wanted == 0 || wanted > received || wanted == rung
    fi;
    wanted = 0
}

inline take_packets() {
    do
    :: d_step { socket?packet -> holds_socket = holds_socket || packet == LANE_SOCKET };
#ifndef FAULT_SOCKET_UNTAKEN
        if
        :: packet == LANE_SOCKET && owes -> rung = 0; tell_consumed()
        :: packet != LANE_SOCKET || !owes
        fi;
#endif
        packet = 0
    :: empty(socket) -> break
    od
}

/* The number that the receiver parks with: any odd one that nobody remembers, as in wake.pml. */
inline arm() {
    d_step {
        if
        :: noted != number[0] && noted != number[1] -> noted = 0
        :: else
        fi;
        parked = 1;
        do
        :: parked == noted || parked == number[0] || parked == number[1] -> parked = parked + 2
        :: else -> break
        od
    }
}

proctype Receiver() {
    byte received, wanted, rung, packet, size;
    bool holds_socket, owes;
    do
    :: d_step { queue?size -> received = received + size; size = 0 };
        if                                              /* a batch may end after any message */
        :: tell_consumed()
        :: skip
        fi
    :: empty(queue) ->
#ifndef FAULT_PARK_UNTOLD
        if
        :: consumed != received -> tell_consumed()
        :: else
        fi;
#endif
        arm();
        if
        :: nempty(queue)
        :: empty(queue) ->
end_asleep:
            nempty(socket);
            take_packets()
        fi;
        parked = 0
    od
}

/* When nobody can take another step. */
proctype Check() {
    timeout -> assert(empty(queue))
}

init {
    atomic {
        if
        :: may_time_out = true
        :: skip
        fi;
        run Check(); run Sender(0);
#ifdef TWO_THREADS
        run Sender(1);
#endif
        run Receiver()
    }
}
