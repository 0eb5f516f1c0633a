/* SPDX-License-Identifier: MIT */
/*
 * commit: a message whose commit was accepted is delivered exactly once, in order and whole; one whose commit
 * was refused is never delivered; and memory that is used again is never taken for a header.
 *
 * A ring is a chain of blocks, written from front to back. A header is FREE until it is committed, and the
 * commit is an exchange: what it returns tells the sender whether the receiver had given the ring up, which
 * it does by a compare-and-swap of the free header at its cursor. So both sides always agree on which record
 * is the last. The receiver hands a block back when it has followed the link at its end: it pushes it on the
 * lane's return stack, which is linked through the blocks themselves; a thread that closes a message pushes
 * the message's block on the same stack. Only the owner takes the stack, and takes it whole.
 *
 * Against that stand a sender that may stop for ever at any step and a receiver that may give up at any moment.
 * A word that is no header now (fresh memory of a block, payload, what was consumed) is marked OLD or PAYLOAD,
 * and whoever reads it as a header fails. So the proof does not depend on what such a word holds.
 *
 * Bounds: MESSAGES messages (6) of 0 or 1 words, three blocks of three words, one message closed by another thread.
 *
 * Spin's memory is sequentially consistent. The code makes the commit, the give-up, the push and the take
 * seq_cst; payload and mark are plain stores that the exchange releases, so a reader that has seen the header
 * sees them too.
 *
 * Faults, each of which must be found:
 *   FAULT_NO_MARK         the next header is not marked free
 *   FAULT_MARK_LATE       it is marked after the commit
 *   FAULT_NO_LINK_MARK    the first header of a block is not marked free before the link to it
 *   FAULT_BLIND_COMMIT    the commit stores, and so cannot learn that the ring was given up
 *   FAULT_BLIND_GIVE_UP   the give-up stores, and so may cover a record
 *   FAULT_EARLY_REUSE     a block is used again as soon as its link is committed
 *   FAULT_BLIND_PUSH      the push stores, and so loses what another thread pushed
 */
#ifndef MESSAGES
#define MESSAGES 6
#endif
#define BLOCKS  3       /* the ring begins with two, a message held by the receiver's process has the last */
#define WORDS   3       /* of a block: the least that lets a header lie where a payload lay before */

#define FREE    0
#define POISON  1       /* the ring is given up */
#define OLD     2
#define LINK    3       /* LINK + block */
#define RECORD  8       /* RECORD + 2 * message + words of payload (0 or 1) */
#define PAYLOAD 64      /* PAYLOAD + message */

#define AT(block, position) word[(block) * WORDS + (position)]

byte word[BLOCKS * WORDS];
byte returned;          /* head of the return stack: block + 1, and 0 for none; AT(block, 0) is the one below */

bool sender_stopped;
bool give_up;

/* What the proof remembers; the code has none of it. */
byte accepted;          /* messages whose commit returned FREE */
byte delivered;
byte links_accepted, links_followed;
bool given_up, refused, finished, waits_for_block;
byte own_blocks;        /* bit set: blocks in the sender's hands and not in the ring */

/* ---------------------------------------------------------------- the sender */

/* The one step that makes a record exist; `was` tells whether the receiver will see it. */
inline commit(header, count) {
    d_step {
        was = AT(block, position);
#ifdef FAULT_BLIND_COMMIT
        was = FREE;
#endif
        AT(block, position) = header;
        assert(was == FREE || (was == POISON && given_up));
        if
        :: was == FREE -> count++
        :: else
        fi
    }
}

/* All that came back, by one exchange. After it the links are the owner's to walk, so this is one step. */
inline take_returned() {
    atomic {
        returned != 0 -> waits_for_block = false;
        d_step {
            next = returned;
            returned = 0;
            do
            :: next != 0 ->
#ifndef FAULT_EARLY_REUSE                                /* what that does to the messages must be found */
                assert(!(own_blocks & (1 << (next - 1))));
#endif
                own_blocks = own_blocks | (1 << (next - 1));
                next = AT(next - 1, 0)
            :: else -> break
            od;
            next = 0
        }
    }
}

/* A block for the ring to go on in. (The code makes a new one when none came back; waiting instead keeps the
 * model finite, and shows a block that got lost.) */
inline take_block() {
    if
    :: own_blocks == 0 ->
        waits_for_block = true;
end_no_block:
        take_returned()
    :: else
    fi;
    d_step {
        do
        :: (own_blocks & (1 << next)) -> break
        :: else -> next++
        od;
        own_blocks = own_blocks & ~(1 << next)
    }
}

proctype Sender() {
    byte block, position, next, was, size, message;
    {
        do
        :: message < MESSAGES ->
            if
            :: size = 0
            :: size = 1
            fi;

            if
            :: position + 1 + size >= WORDS ->          /* no room for the record and the next header */
                take_block();
#ifndef FAULT_NO_LINK_MARK
                AT(next, 0) = FREE;
#endif
                commit(LINK + next, links_accepted);
                d_step {
                    if
                    :: was == POISON -> own_blocks = own_blocks | (1 << next)
                    :: else ->
#ifdef FAULT_EARLY_REUSE
                        own_blocks = own_blocks | (1 << block);
#endif
                        block = next; position = 0
                    fi;
                    next = 0
                }
            :: else
            fi;
            if
            :: was == POISON -> break
            :: else
            fi;

            if
            :: size == 1 -> AT(block, position + 1) = PAYLOAD + message
            :: else
            fi;
#if !defined(FAULT_NO_MARK) && !defined(FAULT_MARK_LATE)
            AT(block, position + 1 + size) = FREE;
#endif
            commit(RECORD + 2 * message + size, accepted);
            if
            :: was == POISON -> break
            :: else
            fi;
#ifdef FAULT_MARK_LATE
            AT(block, position + 1 + size) = FREE;
#endif
            d_step { position = position + 1 + size; size = 0; message++ }
        :: else -> break
        od;
        /* After a refusal this message and all later ones go elsewhere: to a new lane, or back as an error. */
        refused = (was == POISON);
        finished = true
    } unless { sender_stopped }
}

/* ---------------------------------------------------------------- the receiver's process */

inline push(pushed) {
    do
    :: head = returned;
        AT(pushed, 0) = head;
#ifdef FAULT_BLIND_PUSH
        returned = pushed + 1;
        head = 0;
        break
#else
        if
        :: atomic { returned == head -> returned = pushed + 1; head = 0 }; break
        :: returned != head
        fi
#endif
    od
}

proctype Receiver() {
    byte block, position, header, head;
end_idle:
    do
    :: atomic { AT(block, position) != FREE -> header = AT(block, position) };
        assert(header >= LINK && header < PAYLOAD);
        if
        :: header < RECORD ->
            d_step {
                links_followed++;
                assert(links_followed <= links_accepted);
                AT(block, position) = OLD;
                position = block; block = header - LINK; header = 0
            };
            push(position);
            position = 0
        :: else ->
            assert((header - RECORD) / 2 == delivered && delivered < accepted);
            if
            :: (header & 1) -> 
                d_step { assert(AT(block, position + 1) == PAYLOAD + delivered); AT(block, position + 1) = OLD }
            :: else
            fi;
            d_step {
                AT(block, position) = OLD;
                position = position + 1 + (header & 1); header = 0;
                delivered++
            }
        fi
    :: give_up ->
        d_step {
            if
#ifdef FAULT_BLIND_GIVE_UP
            :: true ->
#else
            :: AT(block, position) == FREE ->
#endif
                AT(block, position) = POISON;
                given_up = true
            :: else                                     /* a record came first: it counts */
            fi
        };
        if
        :: given_up -> break
        :: else
        fi
    od
}

/* A thread that closes a message at some moment. */
proctype Closer() {
    byte head;
    push(BLOCKS - 1)
}

/* ---------------------------------------------------------------- the surroundings */

proctype Fate() {
    do
    :: !sender_stopped -> sender_stopped = true
    :: !give_up -> give_up = true
    :: break
    od
}

/* When nobody can take another step. */
proctype Check() {
    byte index, blocks;
    timeout ->
    d_step {
        assert(delivered == accepted);
        assert(!refused || given_up);
        assert(!finished || refused || accepted == MESSAGES);
        assert(!waits_for_block || sender_stopped || given_up);
        if
        :: finished && !given_up ->                     /* no block was lost: one is the ring's */
            blocks = 1;
            do
            :: index < BLOCKS -> blocks = blocks + ((own_blocks >> index) & 1); index++
            :: else -> break
            od;
            index = returned;
            do
            :: index != 0 && blocks <= BLOCKS -> blocks++; index = AT(index - 1, 0)
            :: else -> break
            od;
#ifndef FAULT_EARLY_REUSE
            assert(blocks == BLOCKS)
#endif
        :: else
        fi
    }
}

init {
    byte index;
    atomic {
        do
        :: index < BLOCKS * WORDS -> word[index] = OLD; index++
        :: else -> index = 0; break
        od;
        AT(0, 0) = FREE;                                /* the ring begins in block 0 */
        own_blocks = 2;
        run Sender(); run Receiver(); run Closer(); run Fate(); run Check()
    }
}
