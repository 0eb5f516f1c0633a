/* SPDX-License-Identifier: MIT */
/*
 * fence: an owner that commits without a fence is not slept through, not overtaken, and neither loses nor doubles a
 * message when its lane is given up; whenever it begins and ends to leave the fence out.
 *
 * The owner's processor keeps stores back, in their order, as long as it likes (`buffer`); what the owner does with an
 * exchange, and a barrier that somebody else asks for, waits until none is left there. The labels are those of
 * shm/fence.h; E2, which only a weaker memory needs, is left out. Three others meet the owner:
 *   - its receiver, which takes records, falls asleep, is woken, and also wakes for no reason;
 *   - a process that adds a ring and then sends twice there;
 *   - the receiver once more, which takes the owner for dead at some moment, and gives the lane up.
 * The owner tries to begin before any of its sends, and may stop for ever at any step.
 *
 * What is asserted:
 *   - while the receiver sleeps, and nothing is on its way to wake it, every message whose send has returned was taken;
 *   - what another process commits is behind all that was sent before its send was called: that can be seen by then; and
 *     no unstamped message is sent behind what another process had sent when the send was called;
 *   - a message that was sent in a lane that is given up was or can be taken, and one that goes elsewhere was not.
 *
 * Bounds: MESSAGES messages (3), one wakeup for no reason. Blocks and links are commit's matter, many lanes wake's, tickets order's.
 *
 * Faults, each of which must be found:
 *   FAULT_NO_BARRIER_TO_SLEEP   the receiver makes no barrier when it falls asleep
 *   FAULT_NO_BARRIER_TO_ADD     whoever adds a ring makes none
 *   FAULT_NO_BARRIER_TO_END     the receiver makes none when it gives the lane up
 *   FAULT_READ_UNFENCED_FIRST   the receiver reads `unfenced`, and then arms
 *   FAULT_BEGIN_WITHOUT_FENCE   E1 is a store that the owner's processor keeps back
 *   FAULT_LOOK_FIRST            the owner does U2 before U1
 *   FAULT_NOT_PARKED            U2 does not look whether the lane is armed
 *   FAULT_NOT_RINGS             U2 does not look for other rings
 *   FAULT_NO_SECOND_COMMIT      the owner ends without U3
 *   FAULT_DISARM                the receiver disarms a lane that it gives up
 *   FAULT_OWNER_TAKES_ALL       an owner that finds its lane revoked takes its message for sent
 *   FAULT_OWNER_TAKES_NONE      or for not sent
 *   FAULT_RECEIVER_ENDS         the receiver ends at a place about which the owner was first
 */
#ifndef MESSAGES
#define MESSAGES 3
#endif

#define FREE    0
#define RECORD  1
#define POISON  2

#define UNDECIDED 255
#define SENT    16              /* + place: O1. A place alone is O2 */

byte header[MESSAGES + 1];
byte parked;                    /* odd: armed */
bool several;                   /* `rings` of the page is more than one */
bool revoked;                   /* `rings` of the lane */
bool unfenced;                  /* of page and lane: they are written together */
byte verdict = UNDECIDED;

chan buffer = [3] of { byte };  /* the owner's stores that nobody sees: places, or one of: */
#define UNFENCED_OFF 200
#define UNFENCED_ON  201

bool ringing;                   /* a packet at the socket */

/* What the proof remembers. */
byte returned;                  /* messages 0 to returned - 1 were sent in this lane, and their sends have returned */
byte taken;                     /* as many were received */
byte elsewhere = UNDECIDED;     /* this one was not sent here */
bool asleep, ended;
bool other_returned;            /* a send in the other ring has returned */

#define SLEEPS_WELL (!asleep || ringing || taken >= returned)

/* ---------------------------------------------------------------- the owner */

proctype Processor() {
    byte place;
end:
    do
    :: atomic {
        buffer?place;
        if
        :: place == UNFENCED_OFF -> unfenced = false
        :: place == UNFENCED_ON -> unfenced = true
        :: else -> header[place] = RECORD
        fi;
        place = 0
       }
    od
}

#define FENCE empty(buffer)

inline begin() {
#ifdef FAULT_BEGIN_WITHOUT_FENCE
    buffer!UNFENCED_ON;
#else
    atomic { FENCE -> unfenced = true };        /* E1 */
#endif
    leaves_out = true
}

#ifdef FAULT_NOT_PARKED
#define SEES_PARKED false
#else
#define SEES_PARKED (parked & 1)
#endif
#ifdef FAULT_NOT_RINGS
#define SEES_RINGS false
#else
#define SEES_RINGS several
#endif

proctype Owner() {
    byte place, seen, rung;
    bool leaves_out, stamped, other_before, missed;
    do
    :: place == MESSAGES -> break
    :: place < MESSAGES ->
        if
        :: !leaves_out -> begin()
        :: true
        fi;
        other_before = other_returned;          /* the send is called */
        stamped = several;                      /* S2 of order.h */
        if
        :: stamped && leaves_out -> buffer!UNFENCED_OFF; leaves_out = false
        :: else
        fi;
        assert(stamped || !other_before);
        missed = false;
        if
        :: leaves_out ->
#ifdef FAULT_LOOK_FIRST
            missed = SEES_PARKED;
            missed = missed || SEES_RINGS;
            buffer!place;
#else
            buffer!place;                       /* U1 */
            missed = SEES_PARKED;               /* U2 */
            missed = missed || SEES_RINGS;
#endif
            if
            :: missed ->
#ifndef FAULT_NO_SECOND_COMMIT
                atomic { FENCE -> header[place] = RECORD };     /* U3 */
#endif
                buffer!UNFENCED_OFF;            /* U4 */
                leaves_out = false;
                if
                :: revoked ->
#ifdef FAULT_OWNER_TAKES_ALL
                    atomic { FENCE -> seen = UNDECIDED };
#else
                    atomic {                    /* O1 */
                        FENCE -> seen = verdict;
                        if
                        :: verdict == UNDECIDED -> verdict = SENT + place
                        :: else
                        fi
                    };
#endif
#ifdef FAULT_OWNER_TAKES_NONE
                    seen = place;
#endif
                    if
                    :: d_step { seen == place -> elsewhere = place; assert(taken <= place) }
                    :: d_step { seen != place -> returned = place + 1 }
                    fi;
                    break                       /* it does not use the lane again */
                :: !revoked
                fi
            :: else
            fi
        :: else ->
            atomic {                            /* W2 */
                FENCE -> seen = header[place];
                header[place] = RECORD;
                if
                :: seen == POISON -> header[place] = POISON; elsewhere = place; assert(taken <= place); break
                :: else
                fi
            }
        fi;
        if
        :: leaves_out
        :: !leaves_out ->
            seen = parked;                      /* C2 of wake.h */
            if
            :: (seen & 1) && seen != rung -> ringing = true; rung = seen
            :: else
            fi
        fi;
        d_step {
            place++;
            returned = place;
            other_before = false; stamped = false; missed = false; seen = 0;
            assert(SLEEPS_WELL)
        }
    od;
    /* Its sends are over: nothing of this lane may be left behind. */
    assert(SLEEPS_WELL)
}

/* ---------------------------------------------------------------- another process, which adds a ring */

proctype Adder() {
    byte before, sends;
    several = true;                             /* X1: S1 of order.h */
#ifndef FAULT_NO_BARRIER_TO_ADD
    if
    :: unfenced -> FENCE                        /* X2, X3 */
    :: !unfenced
    fi;
#endif
    do
    :: sends == 2 -> break
    :: sends < 2 ->
        before = returned;                      /* the send is called */
        d_step {                                /* its commit */
            assert(ended || before == 0 || taken >= before || header[before - 1] == RECORD);
            sends++;
            before = 0
        };
        other_returned = true
    od
}

/* ---------------------------------------------------------------- the receiver */

inline look() {
    d_step {
        found = header[taken] == RECORD;
        if
        :: found -> taken++; assert(elsewhere == UNDECIDED || taken <= elsewhere)
        :: else
        fi
    }
}

proctype Receiver() {
    bool found, spurious, gives_up, must;
    byte was;
    do
    :: look();
        if
        :: found -> found = false
        :: !found && !gives_up ->
            if
            :: true ->                          /* it falls asleep */
#ifdef FAULT_READ_UNFENCED_FIRST
                must = unfenced;
                parked++;
#else
                parked++;                       /* X1: P1 of wake.h */
                must = unfenced;                /* X2 */
#endif
#ifndef FAULT_NO_BARRIER_TO_SLEEP
                if
                :: must -> FENCE                /* X3 */
                :: !must
                fi;
#endif
                must = false;
                look();                         /* X4: P2 */
                if
                :: found -> found = false; parked++
                :: !found ->
                    d_step { asleep = true; assert(SLEEPS_WELL) };
end_asleep:
                    if
                    :: atomic { ringing -> ringing = false; asleep = false }
                    :: atomic { !spurious -> spurious = true; asleep = false }
                    fi;
                    parked++
                fi
            :: true ->                          /* it takes the owner for dead */
                gives_up = true;
                revoked = true;                 /* X1 */
                parked++;
#ifndef FAULT_NO_BARRIER_TO_END
                if
                :: unfenced -> FENCE            /* X2, X3 */
                :: !unfenced
                fi
#endif
#ifdef FAULT_DISARM
                ; parked++
#endif
            fi
        :: !found && gives_up ->
            atomic {                            /* R2 */
                was = header[taken];
                if
                :: was == FREE -> header[taken] = POISON
                :: else
                fi
            };
            if
            :: was == RECORD
            :: was != RECORD ->
                atomic {                        /* O2 */
                    was = verdict;
                    if
                    :: verdict == UNDECIDED -> verdict = taken
                    :: else
                    fi
                };
                if
#ifndef FAULT_RECEIVER_ENDS
                :: was == SENT + taken          /* the owner was first, and the record is there */
                :: was != SENT + taken -> ended = true; break
#else
                :: ended = true; break
#endif
                fi
            fi;
            was = 0
        fi
    od;
    /* Nothing that was sent here, or will turn out to have been, is left. */
end_done:
    do
    :: returned > taken -> assert(false)
    od
}

init {
    atomic { run Processor(); run Owner(); run Adder(); run Receiver() }
}
