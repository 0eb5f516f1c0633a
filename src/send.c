/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "../shm/fence.h"
#include "../shm/order.h"
#include "../shm/wake.h"
#include "channel.h"
#include "copy.h"
#include "lane.h"
#include "process.h"
#include "handle.h"
#include "parts.h"
#include "waitable.h"
#include "queue.h"
#include "reuse.h"
#include "send.h"
#include "stream.h"

#define USUALLY(condition) __builtin_expect(condition, 1)
#define RARELY(condition) __builtin_expect(condition, 0)

#define RETIRED_MOST 64u /* lanes given up by the receiver, which keep their descriptor: no honest one has reason to do it so often */

/* ---- the lane of this process ---- */

/* The first use in the child of a fork: the lane, the event and perhaps a locked lock are the parent's. */
static void inherit(struct rill_endpoint *endpoint)
{
    rill_process_lock();
    uint32_t generation = atomic_load_explicit(&rill_generation, memory_order_relaxed);
    if (atomic_load_explicit(&endpoint->generation, memory_order_relaxed) != generation) {
        struct rill_lane *lane = atomic_exchange_explicit(&endpoint->lane, NULL, memory_order_relaxed);
        if (lane)
            rill_lane_abandon(lane);
        endpoint->retired = NULL;
        endpoint->retired_count = 0;
        endpoint->stream = 0;
        rill_room_free(endpoint->room);
        endpoint->room = NULL;
        (void)pthread_mutex_init(&endpoint->lock, NULL);
        atomic_store_explicit(&endpoint->spin_turn, 0, memory_order_relaxed);
        rill_port_close(atomic_exchange_explicit(&endpoint->event, RILL_NO_OBJECT, memory_order_relaxed));
        atomic_store_explicit(&endpoint->generation, generation, memory_order_release);
    }
    rill_process_unlock();
}

static inline void check_process(struct rill_endpoint *endpoint)
{
    if (atomic_load_explicit(&endpoint->generation, memory_order_acquire) != atomic_load_explicit(&rill_generation, memory_order_relaxed))
        inherit(endpoint);
}

void rill_send_check_process(struct rill_endpoint *endpoint)
{
    check_process(endpoint);
}

static int make_lane(struct rill_endpoint *endpoint, struct rill_lane **lane)
{
    (void)pthread_mutex_lock(&endpoint->lock);
    int code = RILL_OK;
    *lane = atomic_load_explicit(&endpoint->lane, memory_order_relaxed);
    if (!*lane && endpoint->retired_count == RETIRED_MOST)
        code = RILL_EPEER;
    else if (!*lane && !(*lane = rill_birth_lane(endpoint->birth)))
        code = rill_lane_create(endpoint->core->page, endpoint->core->terms.limit, endpoint->socket, lane);
    if (code == RILL_OK)
        atomic_store_explicit(&endpoint->lane, *lane, memory_order_release);
    (void)pthread_mutex_unlock(&endpoint->lock);
    return code;
}

static inline int current_lane(struct rill_endpoint *endpoint, struct rill_lane **lane)
{
    *lane = atomic_load_explicit(&endpoint->lane, memory_order_acquire);
    return *lane ? RILL_OK : make_lane(endpoint, lane);
}

/* The receiver gave the lane up. Other threads may still be inside, so it is freed with the endpoint. */
static void retire_lane(struct rill_endpoint *endpoint, struct rill_lane *lane)
{
    (void)pthread_mutex_lock(&endpoint->lock);
    if (atomic_load_explicit(&endpoint->lane, memory_order_relaxed) == lane) {
        atomic_store_explicit(&endpoint->lane, NULL, memory_order_release);
        rill_own_remove(lane);
        lane->next_own = endpoint->retired;
        endpoint->retired = lane;
        endpoint->retired_count++;
    }
    (void)pthread_mutex_unlock(&endpoint->lock);
}

/* ---- room ---- */

static bool fits_limit(uint64_t queued, uint64_t limit, uint64_t weight)
{
    return queued == 0 || (weight <= limit && queued <= limit - weight);
}

static bool has_room(const struct rill_lane *lane, uint64_t limit, uint64_t weight)
{
    return fits_limit(rill_lane_queued(lane), limit, weight);
}

/* As has_room for a lane of one ring, which with this record will have sent so much. The receiver's count is read again only when the old one does not
 * suffice. */
static inline bool has_room_in_ring(struct rill_lane *lane, uint64_t sent, uint64_t weight)
{
    if (USUALLY(sent - atomic_load_explicit(&lane->consumed_seen, memory_order_relaxed) <= lane->most))
        return true;
    uint64_t consumed = atomic_load_explicit(&lane->header->consumed, memory_order_acquire);
    if (consumed > sent - weight)
        return false; /* a receiver that lies; the general path copes */
    atomic_store_explicit(&lane->consumed_seen, consumed, memory_order_relaxed);
    return fits_limit(sent - weight - consumed, lane->most, weight);
}

static bool spin_for_room(struct rill_endpoint *endpoint, const struct rill_lane *lane, uint64_t weight, int64_t deadline)
{
    if (atomic_exchange_explicit(&endpoint->spin_turn, 1, memory_order_acquire))
        return false; /* another thread spins already */
    int64_t budget = rill_spin_budget(&endpoint->spin);
    bool found = false;
    if (budget) {
        int64_t end = rill_port_clock() + budget;
        end = end > deadline ? deadline : end;
        do {
            for (unsigned i = 0; i < RILL_SPIN_CHECKS && !found; i++) {
                found = has_room(lane, endpoint->core->terms.limit, weight);
                rill_port_relax();
            }
        } while (!found && rill_port_clock() < end);
        rill_spin_learn(&endpoint->spin, found);
    }
    atomic_store_explicit(&endpoint->spin_turn, 0, memory_order_release);
    return found;
}

/* How much may be queued still when it goes on: half of the queue is free then, so that a wakeup serves many messages. */
static uint64_t room_target(uint64_t limit, uint64_t weight)
{
    return weight >= limit ? 0 : weight > limit / 2 ? limit - weight : limit / 2;
}

static int wait_for_room(struct rill_endpoint *endpoint, struct rill_lane *lane, uint64_t weight, int64_t deadline)
{
    if (rill_interrupt_take(&endpoint->interrupted, &endpoint->event))
        return RILL_EINTERRUPTED;
    if (rill_port_clock() >= deadline)
        return RILL_ETIMEDOUT;
    if (spin_for_room(endpoint, lane, weight, deadline))
        return RILL_OK;
    rill_object listen;
    int code = rill_event_prepare(&endpoint->event, &listen);
    if (code != RILL_OK || atomic_load_explicit(&endpoint->interrupted, memory_order_seq_cst))
        return code;
    uint64_t target = room_target(endpoint->core->terms.limit, weight);
    atomic_fetch_add_explicit(&endpoint->waits, 1, memory_order_relaxed);
    code = rill_lane_wait_for_room(lane, endpoint->socket, target, listen, deadline);
    return code == RILL_EINTERRUPTED || code == RILL_ETIMEDOUT ? RILL_OK : code; /* the caller looks once more, then comes back here */
}

/* ---- shared memory ---- */

static inline bool is_closed(const struct rill_endpoint *endpoint)
{
    return atomic_load_explicit(&endpoint->core->page->closed, memory_order_acquire) != 0 ||
           atomic_load_explicit(&endpoint->broken, memory_order_relaxed) != 0;
}

static int remember(struct rill_endpoint *endpoint, int code)
{
    if (code == RILL_EBROKEN) {
        atomic_store_explicit(&endpoint->broken, 1, memory_order_relaxed);
        atomic_store_explicit(&endpoint->small_end, 0, memory_order_relaxed);
    }
    return code;
}

/* One attempt, without waking the receiver. RILL_LANE_REVOKED: in another lane. */
static int try_put(struct rill_endpoint *endpoint, struct rill_lane *lane, const struct rill_bytes *parts, size_t count, uint64_t size,
                   const struct rill_parcel *parcel)
{
    if (is_closed(endpoint))
        return RILL_EBROKEN;
    uint64_t limit = endpoint->core->terms.limit;
    if (limit && !has_room(lane, limit, rill_lane_weight(lane, size, parcel)))
        return RILL_EFULL;
    struct rill_lane_ring *ring;
    int code = rill_lane_hold(lane, &ring);
    if (code != RILL_OK)
        return code;
    code = rill_lane_put(lane, ring, endpoint->socket, parts, count, size, parcel);
    rill_lane_drop(ring);
    return code;
}

int rill_send_over(struct rill_endpoint *endpoint, const struct rill_bytes *part, const struct rill_parcel *parcel)
{
    struct rill_lane *lane;
    struct rill_lane_ring *ring;
    int code = current_lane(endpoint, &lane);
    if (code == RILL_OK)
        code = rill_lane_hold(lane, &ring);
    if (code != RILL_OK)
        return code;
    code = rill_lane_put(lane, ring, endpoint->socket, part, 1, part->size, parcel);
    rill_lane_drop(ring);
    return code;
}

static int wake(struct rill_endpoint *endpoint, struct rill_lane *lane)
{
    uint32_t due = rill_wake_due(lane->header, &lane->rung);
    if (!due)
        return RILL_OK;
    atomic_fetch_add_explicit(&endpoint->wakeups, 1, memory_order_relaxed);
    return rill_lane_ring_receiver(lane, endpoint->socket, due);
}

/* The limit is reached. RILL_OK: there may be room now. */
static int after_full(struct rill_endpoint *endpoint, struct rill_lane *lane, uint64_t weight, int64_t deadline)
{
    if (deadline == RILL_NOW)
        return rill_port_peer_gone(endpoint->socket) ? RILL_EBROKEN : RILL_EFULL; /* a receiver that was killed makes no room */
    int code = wake(endpoint, lane); /* what it did not hear of it cannot make room for */
    return code == RILL_OK ? wait_for_room(endpoint, lane, weight, deadline) : code;
}

/* Puts one message, in a new lane if the receiver gave up the old one. *used is the lane that it went into, to be woken for. */
static int put(struct rill_endpoint *endpoint, const struct rill_bytes *parts, size_t count, uint64_t size, const struct rill_parcel *parcel,
               int64_t deadline, struct rill_lane **used)
{
    for (;;) {
        struct rill_lane *lane;
        int code = current_lane(endpoint, &lane);
        if (code != RILL_OK)
            return code;
        *used = lane;
        if (parcel && parcel->lane && parcel->lane != lane)
            return RILL_LANE_REVOKED;
        code = try_put(endpoint, lane, parts, count, size, parcel);
        if (code == RILL_EFULL && (code = after_full(endpoint, lane, rill_lane_weight(lane, size, parcel), deadline)) == RILL_OK)
            continue;
        if (code != RILL_LANE_REVOKED)
            return code;
        retire_lane(endpoint, lane);
        if (parcel && parcel->lane)
            return code; /* its buffers lie in the old lane: they have to be packed anew */
    }
}

static int send_shared(struct rill_endpoint *endpoint, const struct rill_bytes *parts, size_t count, uint64_t size,
                       const struct rill_parcel *parcel, int64_t deadline)
{
    struct rill_lane *lane;
    int code = put(endpoint, parts, count, size, parcel, deadline, &lane);
    if (code != RILL_OK)
        return remember(endpoint, code);
    code = remember(endpoint, wake(endpoint, lane));
    return parcel ? RILL_OK : code; /* its packet is out: a receiver that is gone by now may have had the handles, and passed them on */
}

int rill_send_arm_room(struct rill_endpoint *endpoint, struct rill_room *room, uint64_t size)
{
    struct rill_lane *lane;
    uint64_t limit = endpoint->core->terms.limit;
    for (;;) {
        int code = is_closed(endpoint) ? RILL_EBROKEN : current_lane(endpoint, &lane);
        if (code != RILL_OK)
            return code;
        uint64_t weight = rill_lane_weight(lane, size, NULL);
        if (has_room(lane, limit, weight))
            return RILL_EREADY;
        code = rill_lane_arm_room(lane, endpoint->socket, room_target(limit, weight), room);
        if (code != RILL_LANE_REVOKED)
            return remember(endpoint, code);
        retire_lane(endpoint, lane);
    }
}

int rill_send_lane(struct rill_endpoint *endpoint, struct rill_lane **lane)
{
    return is_closed(endpoint) ? RILL_EBROKEN : current_lane(endpoint, lane);
}

static int try_put_loan(struct rill_endpoint *endpoint, struct rill_lane *lane, const struct rill_large *large)
{
    if (is_closed(endpoint))
        return RILL_EBROKEN;
    uint64_t limit = endpoint->core->terms.limit;
    if (limit && !has_room(lane, limit, rill_lane_loan_weight(lane, large->size)))
        return RILL_EFULL;
    struct rill_lane_ring *ring;
    int code = rill_lane_hold(lane, &ring);
    if (code != RILL_OK)
        return code;
    code = rill_lane_put_loan(lane, ring, endpoint->socket, large);
    rill_lane_drop(ring);
    return code;
}

int rill_send_loan(struct rill_endpoint *endpoint, struct rill_lane *lane, const struct rill_large *large, int64_t deadline)
{
    for (;;) {
        if (atomic_load_explicit(&endpoint->lane, memory_order_acquire) != lane)
            return RILL_LANE_REVOKED;
        int code = try_put_loan(endpoint, lane, large);
        if (code == RILL_EFULL && (code = after_full(endpoint, lane, rill_lane_loan_weight(lane, large->size), deadline)) == RILL_OK)
            continue;
        if (code == RILL_LANE_REVOKED)
            retire_lane(endpoint, lane);
        return code == RILL_LANE_REVOKED ? code : remember(endpoint, code == RILL_OK ? wake(endpoint, lane) : code);
    }
}

/* ---- all transports ---- */

/* A send's deadline by the channel's options. */
static int64_t policy_deadline(const struct rill_endpoint *endpoint)
{
    uint32_t on_full;
    int64_t timeout;
    if (rill_endpoint_transport(endpoint) == RILL_INPROC) {
        rill_queue_policy(endpoint->queue, &on_full, &timeout);
    } else {
        on_full = endpoint->core->terms.on_full;
        timeout = endpoint->core->terms.send_timeout;
    }
    if (on_full != RILL_FULL_WAIT)
        return RILL_NOW;
    int64_t now = timeout == RILL_FOREVER ? 0 : rill_port_clock();
    return timeout > RILL_FOREVER - now ? RILL_FOREVER : now + timeout;
}

static uint64_t largest(const struct rill_endpoint *endpoint)
{
    uint64_t max = rill_endpoint_transport(endpoint) == RILL_INPROC ? rill_queue_max_message(endpoint->queue) : endpoint->core->terms.max_message;
    return max && max < SIZE_MAX / 2 ? max : SIZE_MAX / 2;
}

uint64_t rill_send_largest(const struct rill_endpoint *endpoint)
{
    return largest(endpoint);
}

int64_t rill_send_deadline(const struct rill_endpoint *endpoint, int64_t deadline)
{
    return deadline == RILL_AS_CONFIGURED ? policy_deadline(endpoint) : deadline;
}

static int send_parcel(struct rill_endpoint *endpoint, const struct rill_bytes *parts, size_t count, uint64_t size, struct rill_handle *handles,
                       size_t handle_count, int64_t deadline)
{
    struct rill_parcel parcel;
    int code = rill_parcel_pack(&parcel, handles, handle_count, endpoint);
    if (code != RILL_OK)
        return code;
    uint32_t most = endpoint->core->terms.max_objects;
    if (most && parcel.object_count > most)
        code = RILL_EMSGSIZE;
    else
        code = rill_endpoint_transport(endpoint) == RILL_SHM ? send_shared(endpoint, parts, count, size, &parcel, deadline)
                                                             : rill_stream_send_parcel(endpoint, parts, count, size, &parcel, deadline);
    if (code == RILL_OK)
        rill_parcel_sent(&parcel);
    else
        rill_parcel_undo(&parcel);
    return code;
}

/* `handles` only for the in-process transport; on the others they are in the parcel. */
static int dispatch_handles(struct rill_endpoint *endpoint, const struct rill_bytes *parts, size_t count, uint64_t size,
                            struct rill_handle *handles, size_t handle_count, int64_t deadline)
{
    if (size > largest(endpoint))
        return RILL_EMSGSIZE;
    if (deadline == RILL_AS_CONFIGURED)
        deadline = policy_deadline(endpoint);
    int code = RILL_QUEUE_SHARED;
    if (rill_endpoint_transport(endpoint) == RILL_INPROC)
        code = rill_queue_send_handles(endpoint->queue, parts, count, size, handles, handle_count, deadline, endpoint);
    if (code != RILL_QUEUE_SHARED)
        return code;
    do
        code = send_parcel(endpoint, parts, count, size, handles, handle_count, deadline);
    while (code == RILL_LANE_REVOKED); /* its buffers are packed for another lane */
    return code;
}

static int dispatch(struct rill_endpoint *endpoint, const struct rill_bytes *parts, size_t count, uint64_t size, int64_t deadline)
{
    if (size > largest(endpoint))
        return RILL_EMSGSIZE;
    if (deadline == RILL_AS_CONFIGURED)
        deadline = policy_deadline(endpoint);
    uint32_t transport = rill_endpoint_transport(endpoint);
    if (transport == RILL_SOCKET)
        return rill_stream_send(endpoint, parts, count, size, deadline);
    int code = transport == RILL_INPROC ? rill_queue_send(endpoint->queue, parts, count, size, deadline, endpoint) : RILL_QUEUE_SHARED;
    return code == RILL_QUEUE_SHARED ? send_shared(endpoint, parts, count, size, NULL, deadline) : code;
}

/* Sums up and checks the parts. */
static int total_size(const struct rill_bytes *parts, size_t count, uint64_t *size)
{
    uint64_t total = 0;
    if (count == RILL_FILLED) {
        *size = parts->size;
        return RILL_OK;
    }
    for (size_t i = 0; i < count; i++) {
        if ((!parts[i].data && parts[i].size) || parts[i].size > SIZE_MAX / 2 - total)
            return RILL_EINVAL;
        total += parts[i].size;
    }
    *size = total;
    return RILL_OK;
}

static int send_parts(rill_sender *sender, const struct rill_bytes *parts, size_t count, int64_t deadline)
{
    struct rill_endpoint *endpoint = rill_endpoint_of(sender);
    uint64_t size;
    if (!endpoint || (!parts && count) || total_size(parts, count, &size) != RILL_OK)
        return RILL_EINVAL;
    check_process(endpoint);
    return dispatch(endpoint, parts, count, size, deadline);
}

int rill_send_with_handles(rill_sender *sender, const struct rill_bytes *parts, size_t part_count, struct rill_handle *handles,
                           size_t handle_count, int64_t deadline)
{
    if (handle_count == 0)
        return send_parts(sender, parts, part_count, deadline);
    struct rill_endpoint *endpoint = rill_endpoint_of(sender);
    uint64_t size;
    if (!endpoint || (!parts && part_count) || total_size(parts, part_count, &size) != RILL_OK)
        return RILL_EINVAL;
    check_process(endpoint);
    return dispatch_handles(endpoint, parts, part_count, size, handles, handle_count, deadline);
}

int rill_send_filled(rill_sender *sender, const struct rill_filling *filling, struct rill_handle *handles, size_t handle_count, int64_t deadline)
{
    struct rill_bytes part = {.data = filling, .size = filling->size};
    return rill_send_with_handles(sender, &part, RILL_FILLED, handles, handle_count, deadline);
}

/* ---- the short way ---- */

static __attribute__((noinline)) int send_one(rill_sender *sender, const void *data, size_t size)
{
    return send_parts(sender, &(struct rill_bytes){.data = data, .size = size}, 1, RILL_AS_CONFIGURED);
}

/* The exchange took the receiver's mark away: a second commit here would succeed, and nobody would read it. */
static __attribute__((noinline)) int send_elsewhere(rill_sender *sender, struct rill_lane *lane, const void *data, size_t size)
{
    retire_lane(sender->endpoint, lane);
    return send_one(sender, data, size);
}

static __attribute__((noinline)) int wake_for_small(rill_sender *sender, struct rill_lane *lane)
{
    return remember(sender->endpoint, wake(sender->endpoint, lane));
}

/* What was just committed without a fence needs one. */
static __attribute__((noinline)) int fence_at_last(rill_sender *sender, struct rill_lane *lane, const void *data, size_t size)
{
    struct rill_lane_ring *ring = &lane->rings[0];
    int code = rill_lane_resume_fence(lane, ring, size);
    rill_lane_drop(ring);
    if (code == RILL_LANE_REVOKED)
        return send_elsewhere(sender, lane, data, size);
    if (code == RILL_LANE_LAST)
        retire_lane(sender->endpoint, lane);
    return wake_for_small(sender, lane);
}

/* A small message into the block at hand of the lane's only ring, which is held: it does in one piece what put, try_put, rill_lane_hold and rill_lane_put
 * do, with the same order of steps, and commits nothing unless all of it is simple; all else is left to the general path. */
static inline __attribute__((always_inline)) int send_in_ring(rill_sender *sender, struct rill_lane *lane, struct rill_lane_ring *ring,
                                                              const void *data, size_t size, bool stamped)
{
    uint64_t length = RILL_HEADER_BYTES + (stamped ? RILL_TICKET_BYTES : 0) + rill_ring_padded(size);
    uint64_t sent = atomic_load_explicit(&ring->sent, memory_order_relaxed) + length;
    if (RARELY(!rill_ring_fits(&ring->writer, length)) || RARELY(!has_room_in_ring(lane, sent, length))) {
        rill_lane_drop(ring);
        return send_one(sender, data, size);
    }
    uint64_t ticket = stamped ? rill_turn_draw(&ring->turn, lane->page, &ring->writer.last_ticket) : 0;
    if (size <= RILL_COPY_FEW)
        rill_copy_bytes(rill_ring_payload(&ring->writer, ticket), data, size);
    else
        memcpy(rill_ring_payload(&ring->writer, ticket), data, size);
    if (!stamped && ring->unfenced) {
        rill_ring_commit_unfenced(&ring->writer, size);
        rill_lane_note_sent(ring, size, sent);
        if (RARELY(rill_fence_missed(lane->header, lane->page)))
            return fence_at_last(sender, lane, data, size);
        rill_lane_drop(ring);
        return RILL_OK;
    }
    if (RARELY(!rill_ring_commit(&ring->writer, RILL_KIND_INLINE, size, ticket))) {
        rill_lane_drop(ring);
        return send_elsewhere(sender, lane, data, size);
    }
    rill_lane_note_sent(ring, size, sent);
    if (!stamped && RARELY(++ring->fenced >= RILL_UNFENCED_AFTER))
        rill_lane_suspend_fence(lane, ring);
    bool over = stamped && rill_turn_is_over(&ring->turn);
    rill_lane_drop(ring);
    int code = RARELY(rill_wake_due(lane->header, &lane->rung) != 0) ? wake_for_small(sender, lane) : RILL_OK;
    if (RARELY(over))
        rill_turn_wait(lane->page);
    return code;
}

static __attribute__((noinline)) int send_stamped(rill_sender *sender, struct rill_lane *lane, const void *data, size_t size)
{
    rill_lane_end_unfenced(lane, &lane->rings[0]);
    return send_in_ring(sender, lane, &lane->rings[0], data, size, true);
}

/* What nearly every send is. Until it has committed it calls nothing, so that it has hardly a register to save; and what it needs to know is in few places:
 * a lane is there only in shared memory, and `small_end` is 0 once the receiver was found gone. */
static inline __attribute__((always_inline)) int send_at_once(rill_sender *sender, const void *data, size_t size)
{
    if (!data || !sender || sender->magic != RILL_SENDER_MAGIC)
        return send_one(sender, data, size);
    struct rill_endpoint *endpoint = sender->endpoint;
    if (atomic_load_explicit(&endpoint->generation, memory_order_acquire) != atomic_load_explicit(&rill_generation, memory_order_relaxed) ||
        size >= atomic_load_explicit(&endpoint->small_end, memory_order_relaxed))
        return send_one(sender, data, size);
    struct rill_lane *lane = atomic_load_explicit(&endpoint->lane, memory_order_acquire);
    if (!lane || atomic_load_explicit(&lane->page->closed, memory_order_acquire))
        return send_one(sender, data, size);
    struct rill_lane_ring *ring = rill_lane_try_only_ring(lane);
    if (!ring)
        return send_one(sender, data, size);
    return RARELY(rill_order_needed(lane->page)) ? send_stamped(sender, lane, data, size) : send_in_ring(sender, lane, ring, data, size, false);
}

static __attribute__((noinline)) int send_longer(rill_sender *sender, const void *data, size_t size)
{
    return send_at_once(sender, data, size);
}

int rill_send(rill_sender *sender, const void *data, size_t size)
{
    return size <= RILL_COPY_FEW ? send_at_once(sender, data, size) : send_longer(sender, data, size);
}

int rill_send_until(rill_sender *sender, const void *data, size_t size, int64_t deadline)
{
    if (deadline < 0)
        return RILL_EINVAL;
    return send_parts(sender, &(struct rill_bytes){.data = data, .size = size}, 1, deadline);
}

int rill_send_parts(rill_sender *sender, const struct rill_bytes *parts, size_t count)
{
    return count != RILL_FILLED ? send_parts(sender, parts, count, RILL_AS_CONFIGURED) : RILL_EINVAL;
}

/* The receiver is woken once, behind the last message; and before any wait for room, by put. */
static int send_many_shared(struct rill_endpoint *endpoint, const struct rill_bytes *messages, size_t count, size_t *sent)
{
    struct rill_lane *lane = NULL;
    int code = RILL_OK;
    int64_t deadline = policy_deadline(endpoint);
    for (*sent = 0; *sent < count && code == RILL_OK;) {
        struct rill_lane *used;
        uint64_t size = messages[*sent].size;
        code = size > largest(endpoint) ? RILL_EMSGSIZE : put(endpoint, &messages[*sent], 1, size, NULL, deadline, &used);
        if (code == RILL_OK) {
            lane = used;
            ++*sent;
        }
    }
    int woken = lane ? wake(endpoint, lane) : RILL_OK;
    return remember(endpoint, code == RILL_OK ? woken : code);
}

int rill_send_many(rill_sender *sender, const struct rill_bytes *messages, size_t count, size_t *sent)
{
    size_t none;
    size_t *done = sent ? sent : &none;
    uint64_t all;
    struct rill_endpoint *endpoint = rill_endpoint_of(sender);
    if (!endpoint || (!messages && count) || total_size(messages, count, &all) != RILL_OK)
        return RILL_EINVAL;
    check_process(endpoint);
    if (rill_endpoint_transport(endpoint) == RILL_SHM)
        return send_many_shared(endpoint, messages, count, done);
    int code = RILL_OK;
    for (*done = 0; *done < count && code == RILL_OK; *done += code == RILL_OK)
        code = dispatch(endpoint, &messages[*done], 1, messages[*done].size, RILL_AS_CONFIGURED);
    return code;
}
