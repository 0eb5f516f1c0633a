/* SPDX-License-Identifier: MIT */
#include "channel.h"
#include "inbox.h"
#include "message.h"
#include "process.h"
#include "queue.h"
#include "reuse.h"
#include "streak.h"
#include "share.h"
#include "source.h"
#include "stream.h"

/* ---- who may receive ---- */

/* The first receive of a process writes its name into the page, so that two processes of a fork cannot both take messages unseen. A receiver that was let go is for
 * copies that know of as many messages as the one that was let go: others were made too early, or have read on. */
static int claim(rill_receiver *receiver)
{
    uint64_t name;
    int code = rill_process_name(&name);
    if (code != RILL_OK)
        return code;
    uint64_t seen = atomic_load_explicit(&receiver->core->page->reader, memory_order_acquire);
    if (seen != 0 && seen != RILL_READER_LEFT(receiver->messages))
        return RILL_EBUSY;
    if (!atomic_compare_exchange_strong_explicit(&receiver->core->page->reader, &seen, name, memory_order_acq_rel, memory_order_acquire))
        return RILL_EBUSY;
    receiver->reader = name;
    return RILL_OK;
}

/* The first use in the child of a fork. */
static int inherit(rill_receiver *receiver)
{
    if (receiver->transport == RILL_INPROC)
        return RILL_ENOTSUP;
    receiver->reader = 0;
    int code = claim(receiver);
    if (code == RILL_OK && receiver->transport == RILL_SHM)
        code = rill_inbox_inherit(receiver->state);
    if (code == RILL_OK && receiver->transport == RILL_SOCKET)
        code = rill_stream_inherit(receiver->state);
    if (code != RILL_OK)
        return code;
    rill_port_close(atomic_exchange_explicit(&receiver->event, RILL_NO_OBJECT, memory_order_relaxed)); /* the parent's threads signal it */
    receiver->forks = atomic_load_explicit(&rill_forks, memory_order_relaxed);
    return RILL_OK;
}

/* The first call in a process. */
static int settle(rill_receiver *receiver)
{
    uint32_t generation = atomic_load_explicit(&rill_generation, memory_order_relaxed);
    rill_birth_settle(receiver->birth);
    int code = receiver->owner != generation ? inherit(receiver) : receiver->core && !receiver->reader ? claim(receiver) : RILL_OK;
    if (code == RILL_OK)
        receiver->owner = receiver->generation = generation;
    return code;
}

int rill_receiver_settle(rill_receiver *receiver)
{
    return settle(receiver);
}

static __attribute__((noinline)) void settle_streak(rill_receiver *receiver)
{
    uint64_t taken = rill_streak_settle(receiver->inbox);
    receiver->messages += taken;
    receiver->bytes += taken * receiver->inbox->streak.size;
}

void rill_receiver_settle_streak(rill_receiver *receiver)
{
    if (receiver->inbox && receiver->inbox->streak.armed)
        settle_streak(receiver);
}

/* `busy` is not a lock: it finds most cases of two threads in a call, for the price of two plain accesses. */
static inline int enter(rill_receiver *receiver)
{
    if (!rill_is_receiver(receiver))
        return RILL_EINVAL;
    if (atomic_load_explicit(&receiver->busy, memory_order_relaxed))
        return rill_receiver_idle(receiver);
    rill_receiver_settle_streak(receiver);
    if (receiver->generation == atomic_load_explicit(&rill_generation, memory_order_relaxed)) {
        atomic_store_explicit(&receiver->busy, 1, memory_order_relaxed);
        return RILL_OK;
    }
    atomic_store_explicit(&receiver->busy, 1, memory_order_relaxed);
    int code = settle(receiver);
    if (code != RILL_OK)
        atomic_store_explicit(&receiver->busy, 0, memory_order_relaxed);
    return code;
}

static int leave(rill_receiver *receiver, int code)
{
    atomic_store_explicit(&receiver->busy, 0, memory_order_relaxed);
    return code;
}

int rill_receiver_enter(rill_receiver *receiver)
{
    return enter(receiver);
}

void rill_receiver_leave(rill_receiver *receiver)
{
    (void)leave(receiver, RILL_OK);
}

/* ---- waiting ---- */

static bool interrupted(const rill_receiver *receiver)
{
    return atomic_load_explicit(&receiver->interrupted, memory_order_seq_cst) != 0;
}

/* For `time`, and on for as long as one sender floods it (spin.h). */
static void look_away(const rill_receiver *receiver, int64_t time, int64_t deadline)
{
    struct rill_traffic before, after;
    const struct rill_inbox *inbox = receiver->inbox;
    rill_spin_linger(time, deadline);
    if (time < RILL_LINGER_MOST || !inbox || !rill_inbox_traffic(inbox, &before))
        return;
    for (int64_t left = RILL_FLOOD_MOST; left > 0; left -= RILL_FLOOD_STEP, before = after) {
        rill_spin_linger(RILL_FLOOD_STEP, deadline);
        if (interrupted(receiver) || !rill_inbox_traffic(inbox, &after) || !rill_spin_flooded(&before, &after, inbox->page_limit) ||
            rill_port_clock() >= deadline)
            return;
    }
}

/* Stays awake for a while. True: there may be something to receive. */
static bool spin(rill_receiver *receiver, int64_t deadline)
{
    struct rill_spin *spin = &receiver->spin;
    int64_t budget = rill_spin_budget(spin);
    if (budget == 0)
        return false;
    int64_t away = rill_spin_lingers(spin, receiver->messages, receiver->bytes);
    if (away)
        look_away(receiver, away, deadline);
    int64_t end = rill_port_clock() + budget;
    if (end > deadline)
        end = deadline;
    unsigned looks = 0;
    do {
        for (unsigned i = 0; i < RILL_SPIN_CHECKS; i++, looks++) {
            if (receiver->source->stirs(receiver->state) || interrupted(receiver)) {
                rill_spin_learn(spin, true);
                rill_spin_note(spin, looks);
                return true;
            }
            rill_port_relax();
        }
    } while (rill_port_clock() < end);
    rill_spin_learn(spin, false);
    rill_spin_note(spin, looks);
    return false;
}

void rill_receiver_leave_untold(rill_receiver *receiver, int code)
{
    if (receiver->source->untold && (code == RILL_EPEER || code == RILL_EVERSION || code == RILL_EQUOTA))
        receiver->source->untold(receiver->state, code);
}

int rill_receiver_next(rill_receiver *receiver)
{
    int code = receiver->source->next(receiver->state);
    if (__builtin_expect(code != RILL_QUEUE_SHARED, 1))
        return code;
    code = rill_receiver_go_over(receiver);
    if (code == RILL_OK)
        code = settle(receiver);
    return code == RILL_OK ? receiver->source->next(receiver->state) : code;
}

/* A shortage met what came last; what came before it may be there, and to receive that may end the shortage. */
static int next_or(rill_receiver *receiver, int code)
{
    int next = rill_receiver_next(receiver);
    rill_receiver_leave_untold(receiver, next);
    return next == RILL_OK ? RILL_OK : code;
}

/* An empty queue, and no time to wait: the system may know more. */
static int ask_once(rill_receiver *receiver)
{
    int code = receiver->source->absorb(receiver->state);
    if (code != RILL_OK && code != RILL_EDISCONNECTED)
        return next_or(receiver, code);
    return rill_receiver_next(receiver);
}

static int sleep_once(rill_receiver *receiver, int64_t deadline)
{
    rill_object listen = RILL_NO_OBJECT;
    int code = receiver->transport == RILL_INPROC ? RILL_OK : rill_event_prepare(&receiver->event, &listen);
    if (code != RILL_OK)
        return code;
    if (interrupted(receiver))
        return RILL_OK;
    return receiver->source->sleep(receiver->state, listen, deadline, &receiver->waits);
}

static int wait_until(rill_receiver *receiver, int64_t deadline)
{
    bool asked = false;
    for (;;) {
        int code = rill_receiver_next(receiver);
        if (code != RILL_EEMPTY)
            return code;
        if (interrupted(receiver)) {
            code = ask_once(receiver); /* what is there comes first */
            if (code != RILL_EEMPTY)
                return code;
            if (rill_interrupt_take(&receiver->interrupted, &receiver->event))
                return RILL_EINTERRUPTED;
        }
        if (deadline != RILL_FOREVER && (deadline == RILL_NOW || rill_port_clock() >= deadline)) {
            code = asked ? RILL_EEMPTY : ask_once(receiver);
            return code == RILL_EEMPTY && deadline != RILL_NOW ? RILL_ETIMEDOUT : code;
        }
        if (spin(receiver, deadline))
            continue;
        code = sleep_once(receiver, deadline);
        asked = code == RILL_ETIMEDOUT;
        if (code == RILL_EINTERRUPTED && !interrupted(receiver))
            rill_interrupt_clear(&receiver->event); /* left over from an interrupt that was taken meanwhile */
        if (code != RILL_OK && code != RILL_ETIMEDOUT && code != RILL_EINTERRUPTED)
            return next_or(receiver, code);
    }
}

/* The message that is there or the first to come. */
static int await_message(rill_receiver *receiver, int64_t deadline)
{
    int code = rill_receiver_next(receiver);
    return code == RILL_EEMPTY ? wait_until(receiver, deadline) : code;
}

static int take_one(rill_receiver *receiver, rill_message **message)
{
    uint64_t size = receiver->source->size(receiver->state);
    int code = receiver->source->take(receiver->state, message);
    if (code == RILL_OK) {
        receiver->messages++;
        receiver->bytes += size;
    }
    return code;
}

/* The message that is there or the first to come. In process it may cross to a shared channel between the two. */
static int await_and_take(rill_receiver *receiver, int64_t deadline, rill_message **message)
{
    int code;
    do {
        code = await_message(receiver, deadline);
        if (code == RILL_OK)
            code = take_one(receiver, message);
    } while (code == RILL_QUEUE_SHARED);
    return code;
}

static int await_and_take_into(rill_receiver *receiver, int64_t deadline, void *buffer, size_t capacity, size_t *size)
{
    int code;
    do {
        code = await_message(receiver, deadline);
        if (code != RILL_OK)
            return code;
        *size = (size_t)receiver->source->size(receiver->state);
        if (*size > capacity)
            return RILL_EMSGSIZE;
        code = receiver->source->take_into(receiver->state, buffer);
    } while (code == RILL_QUEUE_SHARED);
    return code;
}

int rill_receiver_take(rill_receiver *receiver, rill_message **message)
{
    return take_one(receiver, message);
}

/* ---- the calls ---- */

static __attribute__((noinline)) int leave_publishing(rill_receiver *receiver)
{
    rill_inbox_publish(receiver->inbox, receiver->inbox->streak.ring->lane);
    return leave(receiver, RILL_OK);
}

static bool take_simple(rill_receiver *receiver, rill_message **message)
{
    if (!receiver->inbox || !rill_inbox_take_simple(receiver->inbox, message))
        return false;
    receiver->messages++;
    receiver->bytes += (*message)->size;
    return true;
}

static int receive(rill_receiver *receiver, int64_t deadline, rill_message **message)
{
    if (!message || deadline < 0)
        return RILL_EINVAL;
    int code = enter(receiver);
    if (code != RILL_OK)
        return code;
    if (take_simple(receiver, message))
        return leave(receiver, RILL_OK);
    return leave(receiver, await_and_take(receiver, deadline, message));
}

/* May this call go the short way? Then the receiver is busy. */
static inline bool enter_at_once(rill_receiver *receiver)
{
    if (!rill_is_receiver(receiver) || !receiver->inbox || atomic_load_explicit(&receiver->busy, memory_order_relaxed) ||
        receiver->generation != atomic_load_explicit(&rill_generation, memory_order_relaxed))
        return false;
    atomic_store_explicit(&receiver->busy, 1, memory_order_relaxed);
    return true;
}

static inline int leave_at_once(rill_receiver *receiver, uint64_t size, bool due)
{
    receiver->messages++;
    receiver->bytes += size;
    return __builtin_expect(due, 0) ? leave_publishing(receiver) : leave(receiver, RILL_OK);
}

static __attribute__((noinline)) int leave_drained(rill_receiver *receiver)
{
    settle_streak(receiver);
    return leave_publishing(receiver);
}

/* What nearly every receive of a busy channel is; all else is left to the general path. */
static inline int receive_at_once(rill_receiver *receiver, int64_t deadline, rill_message **message)
{
    bool due;
    if (!message || !enter_at_once(receiver))
        return receive(receiver, deadline, message);
    rill_message *taken = receiver->inbox->streak.armed ? NULL : rill_streak_take(receiver->inbox, &due);
    if (!taken) {
        (void)leave(receiver, RILL_OK);
        return receive(receiver, deadline, message);
    }
    *message = taken;
    return leave_at_once(receiver, taken->size, due);
}

int rill_recv(rill_receiver *receiver, rill_message **message)
{
    return receive_at_once(receiver, RILL_FOREVER, message);
}

int rill_try_recv(rill_receiver *receiver, rill_message **message)
{
    return receive_at_once(receiver, RILL_NOW, message);
}

int rill_recv_until(rill_receiver *receiver, int64_t deadline, rill_message **message)
{
    return receive(receiver, deadline, message);
}

int rill_recv_timeout(rill_receiver *receiver, int64_t timeout, rill_message **message)
{
    if (timeout < 0)
        return RILL_EINVAL;
    int64_t now = rill_port_clock();
    int64_t deadline = timeout > RILL_FOREVER - now ? RILL_FOREVER : now + timeout;
    return receive(receiver, deadline, message);
}

static __attribute__((noinline)) int receive_into(rill_receiver *receiver, void *buffer, size_t capacity, int64_t deadline, size_t *size)
{
    if (!size || (!buffer && capacity) || capacity > SIZE_MAX / 2 || deadline < 0)
        return RILL_EINVAL;
    int code = enter(receiver);
    if (code != RILL_OK)
        return code;
    bool simple = receiver->inbox && rill_inbox_take_simple_into(receiver->inbox, buffer, capacity, size);
    if (!simple)
        code = await_and_take_into(receiver, deadline, buffer, capacity, size);
    if (code == RILL_OK) {
        receiver->messages++;
        receiver->bytes += *size;
    }
    if (simple)
        rill_streak_arm(receiver->inbox);
    return leave(receiver, code);
}

int rill_recv_into(rill_receiver *receiver, void *buffer, size_t capacity, int64_t deadline, size_t *size)
{
    bool due;
    if (!size || !buffer || capacity > SIZE_MAX / 2 || deadline < 0 || !enter_at_once(receiver))
        return receive_into(receiver, buffer, capacity, deadline, size);
    struct rill_inbox *inbox = receiver->inbox;
    if (inbox->streak.quick) {
        if (rill_streak_take_quick(inbox, buffer, capacity, size, &due))
            return __builtin_expect(due, 0) ? leave_drained(receiver) : leave(receiver, RILL_OK);
    } else if (inbox->streak.below && rill_streak_take_into(inbox, buffer, capacity, size, &due)) {
        return leave_at_once(receiver, *size, due);
    }
    (void)leave(receiver, RILL_OK);
    return receive_into(receiver, buffer, capacity, deadline, size);
}

/* Takes what is at hand. On a socket only the system knows of it. */
static bool take_at_hand(rill_receiver *receiver, rill_message **message)
{
    if (take_simple(receiver, message))
        return true;
    int code = rill_receiver_next(receiver);
    if (code == RILL_EEMPTY && receiver->transport == RILL_SOCKET)
        code = ask_once(receiver);
    if (code == RILL_OK)
        code = take_one(receiver, message);
    rill_receiver_leave_untold(receiver, code);
    return code == RILL_OK;
}

int rill_recv_many(rill_receiver *receiver, int64_t deadline, rill_message **messages, size_t capacity, size_t *count)
{
    if (!messages || !count || capacity == 0 || deadline < 0)
        return RILL_EINVAL;
    int code = enter(receiver);
    if (code != RILL_OK)
        return code;
    code = await_and_take(receiver, deadline, &messages[0]);
    if (code != RILL_OK)
        return leave(receiver, code);
    size_t taken = 1;
    while (taken < capacity && take_at_hand(receiver, &messages[taken]))
        taken++;
    *count = taken;
    return leave(receiver, RILL_OK);
}

int64_t rill_clock(void)
{
    return rill_port_clock();
}
