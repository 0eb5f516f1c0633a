/* SPDX-License-Identifier: MIT */
#include "set.h"

#include <stdlib.h>

#include "channel.h"
#include "inbox.h"
#include "message.h"
#include "options.h"
#include "piece.h"
#include "process.h"
#include "source.h"

#define BUCKETS_LEAST 16u
#define DRY_LOOKS 64u /* looks at one that has nothing: as much work as to arm it and to be woken for it */
#define ASK_EVERY 64u /* messages from active ones before the poller is asked after the others */
#define TURN_MOST 64u /* messages of one receiver before it is the next one's turn */

/* ---- receivers by id ---- */

static struct rill_entry **bucket_of(const rill_set *set, uint64_t id)
{
    return &set->buckets[id & (set->bucket_count - 1)];
}

struct rill_entry *rill_set_find(const rill_set *set, uint64_t id)
{
    struct rill_entry *entry = *bucket_of(set, id);
    while (entry && entry->id != id)
        entry = entry->in_bucket;
    return entry;
}

/* For lack of memory it stays as it is, which only makes it slower. */
static void resize(rill_set *set, size_t bucket_count)
{
    struct rill_entry **old = set->buckets;
    size_t old_count = set->bucket_count;
    struct rill_entry **made = calloc(bucket_count, sizeof(struct rill_entry *));
    if (!made)
        return;
    set->buckets = made;
    set->bucket_count = bucket_count;
    for (size_t i = 0; i < old_count; i++) {
        for (struct rill_entry *entry = old[i]; entry;) {
            struct rill_entry *next = entry->in_bucket;
            struct rill_entry **bucket = bucket_of(set, entry->id);
            entry->in_bucket = *bucket;
            *bucket = entry;
            entry = next;
        }
    }
    free(old);
}

static void list(rill_set *set, struct rill_entry *entry)
{
    if (set->count >= set->bucket_count)
        resize(set, set->bucket_count * 2);
    struct rill_entry **bucket = bucket_of(set, entry->id);
    entry->in_bucket = *bucket;
    *bucket = entry;
    set->count++;
}

static void unlist(rill_set *set, struct rill_entry *entry)
{
    struct rill_entry **link = bucket_of(set, entry->id);
    while (*link != entry)
        link = &(*link)->in_bucket;
    *link = entry->in_bucket;
    set->count--;
    if (set->bucket_count > BUCKETS_LEAST && set->count < set->bucket_count / 8)
        resize(set, set->bucket_count / 2);
}

/* ---- the ring of active ones ---- */

/* It comes last in the round. */
static void activate(rill_set *set, struct rill_entry *entry)
{
    entry->dry = 0;
    if (entry->next || entry->paused)
        return;
    if (set->turn) {
        entry->next = set->turn;
        entry->previous = set->turn->previous;
        entry->previous->next = entry->next->previous = entry;
    } else {
        set->turn = entry->next = entry->previous = entry;
    }
    set->active_count++;
}

static void deactivate(rill_set *set, struct rill_entry *entry)
{
    if (!entry->next)
        return;
    if (set->turn == entry)
        set->turn = entry->next != entry ? entry->next : NULL;
    entry->previous->next = entry->next;
    entry->next->previous = entry->previous;
    entry->next = entry->previous = NULL;
    set->active_count--;
}

/* ---- memory of silent senders ---- */

static void note_resting(rill_set *set, struct rill_entry *entry)
{
    if (entry->resting || !entry->receiver->source->trim)
        return;
    entry->resting = true;
    entry->next_resting = set->resting;
    set->resting = entry;
}

static void forget_resting(rill_set *set, struct rill_entry *entry)
{
    struct rill_entry **link = &set->resting;
    while (*link != entry)
        link = &(*link)->next_resting;
    *link = entry->next_resting;
}

/* Asks all that were armed since the last time, and those that have something. Gives when to ask again. */
static int64_t trim(rill_set *set)
{
    bool pieces = rill_pieces_kept();
    int64_t now = set->resting || pieces ? rill_port_clock() : 0;
    int64_t next = pieces ? now + RILL_TRIM_AFTER : RILL_FOREVER;
    for (struct rill_entry **link = &set->resting; *link;) {
        struct rill_entry *entry = *link;
        int64_t due = entry->receiver->source->trim(entry->receiver->state, now);
        next = due < next ? due : next;
        entry->resting = due != RILL_FOREVER;
        if (entry->resting)
            link = &entry->next_resting;
        else
            *link = entry->next_resting;
    }
    return next;
}

/* ---- armed and active ---- */

/* True: it is armed, and active no more. */
static bool retire(rill_set *set, struct rill_entry *entry)
{
    if (entry->readable || entry->error)
        return false;
    int code = entry->receiver->source->arm(entry->receiver->state);
    if (code == RILL_OK) {
        deactivate(set, entry);
        note_resting(set, entry);
    } else if (code != RILL_EREADY)
        entry->error = code;
    return code == RILL_OK;
}

int rill_set_arm_all(rill_set *set)
{
    bool all = true;
    struct rill_entry *entry = set->turn;
    for (size_t left = set->active_count; left; left--) {
        struct rill_entry *next = entry->next;
        if (!retire(set, entry))
            all = false;
        entry = next;
    }
    return all ? RILL_OK : RILL_EREADY;
}

/* ---- what the poller tells ---- */

/* Under the queue's lock, by a sender. */
static void ring_entry(struct rill_bell *bell)
{
    struct rill_entry *entry = (struct rill_entry *)(void *)((unsigned char *)bell - offsetof(struct rill_entry, bell));
    rill_set *set = entry->set;
    (void)pthread_mutex_lock(&set->rung_lock);
    bool first = !set->rung;
    if (!entry->rung) {
        entry->rung = true;
        entry->next_rung = set->rung;
        set->rung = entry;
    }
    (void)pthread_mutex_unlock(&set->rung_lock);
    if (first)
        rill_port_event_signal(set->event);
}

static void unring(rill_set *set, struct rill_entry *entry)
{
    (void)pthread_mutex_lock(&set->rung_lock);
    struct rill_entry **link = &set->rung;
    while (*link && *link != entry)
        link = &(*link)->next_rung;
    if (*link)
        *link = entry->next_rung;
    entry->rung = false;
    (void)pthread_mutex_unlock(&set->rung_lock);
}

static void take_rung(rill_set *set)
{
    (void)pthread_mutex_lock(&set->rung_lock);
    struct rill_entry *entry = set->rung;
    set->rung = NULL;
    for (; entry; entry = entry->next_rung) {
        entry->rung = false;
        activate(set, entry);
    }
    (void)pthread_mutex_unlock(&set->rung_lock);
}

static void note(rill_set *set, uint64_t token)
{
    if (token == RILL_TOKEN_EVENT) {
        take_rung(set);
        return;
    }
    if (token >= RILL_TOKEN_OTHERS) {
        set->told(set->told_user, token);
        return;
    }
    struct rill_entry *entry = rill_set_find(set, token);
    if (!entry)
        return;
    entry->readable = true;
    activate(set, entry);
}

/* Takes what the poller has by now; true: it had something. What it goes on telling of meanwhile is for the next time. */
static bool ask(rill_set *set)
{
    uint64_t tokens[RILL_POLL_MOST];
    size_t count = RILL_POLL_MOST, asked = 0;
    set->asked_at = set->delivered;
    for (; asked <= set->count && count == RILL_POLL_MOST; asked += count) {
        if (rill_port_poller_wait(set->poller, RILL_NOW, tokens, &count) != RILL_OK)
            break;
        for (size_t i = 0; i < count; i++)
            note(set, tokens[i]);
    }
    return asked != 0;
}

/* ---- taking turns ---- */

/* A receiver whose in-process channel has become a shared one: from now on its socket is watched. */
static int watch_shared(struct rill_entry *entry)
{
    rill_receiver *receiver = entry->receiver;
    rill_object socket = rill_queue_successor_socket(receiver->queue);
    int code = rill_port_poller_add(entry->set->poller, socket, entry->id);
    if (code != RILL_OK)
        return code;
    code = rill_receiver_next(receiver);
    if (receiver->transport == RILL_INPROC) {
        rill_port_poller_remove(entry->set->poller, socket);
        return code;
    }
    unring(entry->set, entry);
    entry->readable = true;
    return code == RILL_OK || code == RILL_EDISCONNECTED ? RILL_EEMPTY : code; /* the next look finds it */
}

/* The next message of one receiver, also if only the system knows of it. */
static int take_next(struct rill_entry *entry, rill_message **message)
{
    rill_receiver *receiver = entry->receiver;
    const struct rill_source *source = receiver->source;
    if (entry->error) {
        int error = entry->error;
        entry->error = RILL_OK;
        return error;
    }
    if (receiver->inbox && rill_inbox_take_simple(receiver->inbox, message)) {
        receiver->messages++;
        receiver->bytes += (*message)->size;
        return RILL_OK;
    }
    int code = source->next(receiver->state);
    if (code == RILL_QUEUE_SHARED)
        return watch_shared(entry);
    if (code == RILL_EEMPTY && entry->readable) {
        code = source->arrived(receiver->state);
        if (code != RILL_OK)
            return code;
        code = source->next(receiver->state);
        entry->readable = receiver->transport == RILL_SOCKET && code != RILL_EEMPTY; /* one call takes one message there */
    }
    if (code == RILL_OK)
        code = rill_receiver_take(receiver, message);
    return code == RILL_QUEUE_SHARED ? watch_shared(entry) : code;
}

static void fill_event(struct rill_set_event *event, const struct rill_entry *entry, int code, rill_message *message)
{
    event->id = entry->id;
    event->kind = code == RILL_OK ? RILL_SET_MESSAGE : code == RILL_EDISCONNECTED ? RILL_SET_CLOSED : RILL_SET_ERROR;
    event->code = code;
    event->message = code == RILL_OK ? message : NULL;
    event->user = entry->user;
}

/* Nothing there. On a socket there is nothing to look at in between. */
static void count_dry(rill_set *set, struct rill_entry *entry)
{
    if (++entry->dry < DRY_LOOKS && entry->receiver->transport != RILL_SOCKET)
        return;
    entry->dry = 0;
    (void)retire(set, entry);
}

static void end_entry(rill_set *set, struct rill_entry *entry)
{
    rill_receiver *receiver = rill_set_leave(set, entry);
    (void)rill_receiver_close(&receiver);
}

/* Up to `most` events of one receiver, which may be gone then. */
static size_t take_turn(rill_set *set, struct rill_entry *entry, struct rill_set_event *events, size_t most)
{
    size_t got = 0;
    int code = RILL_OK;
    while (got < most && code == RILL_OK) {
        rill_message *message = NULL;
        code = take_next(entry, &message);
        if (code != RILL_EEMPTY)
            fill_event(&events[got++], entry, code, message);
    }
    set->delivered += got;
    if (code == RILL_EDISCONNECTED)
        end_entry(set, entry);
    else if (got)
        entry->dry = 0;
    else
        count_dry(set, entry);
    set->troubled |= code != RILL_OK && code != RILL_EEMPTY && code != RILL_EDISCONNECTED;
    return got;
}

/* Rounds in which each active one gets its share, until the array is full or they are dry. */
static size_t gather(rill_set *set, struct rill_set_event *events, size_t capacity)
{
    size_t got = 0, before;
    set->troubled = false;
    do {
        before = got;
        size_t share = set->active_count ? (capacity - got) / set->active_count : 0;
        share = share == 0 ? 1 : share > TURN_MOST ? TURN_MOST : share;
        for (size_t left = set->active_count; left && got < capacity; left--) {
            struct rill_entry *entry = set->turn;
            set->turn = entry->next;
            got += take_turn(set, entry, events + got, share < capacity - got ? share : capacity - got);
        }
    } while (got != before && got < capacity && !set->troubled);
    return got;
}

/* ---- waiting ---- */

void rill_set_visit(rill_set *set)
{
    atomic_fetch_add_explicit(&set->visitors, 1, memory_order_relaxed);
    (void)pthread_mutex_lock(&set->lock);
}

void rill_set_part(rill_set *set)
{
    atomic_fetch_sub_explicit(&set->visitors, 1, memory_order_relaxed);
    (void)pthread_cond_broadcast(&set->visited);
    (void)pthread_mutex_unlock(&set->lock);
}

/* Whoever was counted and is not in yet will come, for it counts itself out under the lock. One at a time: a crowd must not keep us. */
static void let_visitors_in(rill_set *set)
{
    if (atomic_load_explicit(&set->visitors, memory_order_relaxed))
        (void)pthread_cond_wait(&set->visited, &set->lock);
}

void rill_set_nudge(rill_set *set)
{
    if (set->listening)
        rill_port_event_signal(set->event);
}

static bool interrupted(const rill_set *set)
{
    return atomic_load_explicit(&set->interrupted, memory_order_seq_cst) != 0;
}

static bool anything_stirs(const rill_set *set)
{
    const struct rill_entry *entry = set->turn;
    for (size_t left = set->active_count; left; left--, entry = entry->next)
        if (entry->receiver->source->stirs(entry->receiver->state))
            return true;
    return interrupted(set) || atomic_load_explicit(&set->visitors, memory_order_relaxed) != 0;
}

/* Stays awake for a while, if there is any active one to look at. True: look again. */
static bool spin(rill_set *set, int64_t deadline)
{
    int64_t budget = set->active_count ? rill_spin_budget(&set->spin) : 0;
    if (budget == 0)
        return false;
    int64_t away = rill_spin_lingers(&set->spin, set->delivered, 0);
    if (away)
        rill_spin_linger(away, deadline);
    int64_t end = rill_port_clock() + budget;
    if (end > deadline)
        end = deadline;
    unsigned looks = 0, checks = (unsigned)(RILL_SPIN_CHECKS / set->active_count) + 1;
    do {
        for (unsigned i = 0; i < checks; i++, looks++) {
            if (anything_stirs(set)) {
                rill_spin_learn(&set->spin, true);
                rill_spin_note(&set->spin, looks);
                return true;
            }
            rill_port_relax();
        }
        if (ask(set)) /* the armed ones must not wait for the end of this */
            return true;
    } while (rill_port_clock() < end);
    rill_spin_learn(&set->spin, false);
    rill_spin_note(&set->spin, looks);
    return false;
}

static int sleep_on_poller(rill_set *set, int64_t deadline)
{
    uint64_t tokens[RILL_POLL_MOST];
    size_t count = 0;
    set->listening = true;
    (void)pthread_mutex_unlock(&set->lock);
    int code = rill_port_poller_wait(set->poller, deadline, tokens, &count);
    (void)pthread_mutex_lock(&set->lock);
    set->listening = false;
    set->asked_at = set->delivered;
    for (size_t i = 0; i < count && code == RILL_OK; i++)
        note(set, tokens[i]);
    return code;
}

static bool is_over(int64_t deadline)
{
    return deadline != RILL_FOREVER && (deadline == RILL_NOW || rill_port_clock() >= deadline);
}

int rill_set_collect(rill_set *set, int64_t deadline, struct rill_set_event *events, size_t capacity, size_t *count)
{
    set->listening = false;
    for (bool asked = false;;) {
        let_visitors_in(set);
        if (set->delivered - set->asked_at >= ASK_EVERY)
            (void)ask(set);
        *count = gather(set, events, capacity);
        if (*count)
            return RILL_OK;
        if (!set->count && !set->patient)
            return deadline == RILL_NOW ? RILL_EEMPTY : RILL_ENOENTRY;
        bool over = is_over(deadline);
        if ((over || interrupted(set)) && !asked) {
            (void)ask(set); /* what is there comes first */
            asked = true;
            continue;
        }
        if (atomic_exchange_explicit(&set->interrupted, 0, memory_order_seq_cst))
            return RILL_EINTERRUPTED;
        if (over)
            return deadline == RILL_NOW ? RILL_EEMPTY : RILL_ETIMEDOUT;
        asked = false;
        if (spin(set, deadline) || rill_set_arm_all(set) != RILL_OK)
            continue;
        int64_t trim_at = trim(set);
        int code = sleep_on_poller(set, trim_at < deadline ? trim_at : deadline);
        if (code == RILL_ETIMEDOUT && trim_at < deadline)
            (void)rill_pieces_drop(rill_port_clock() - RILL_TRIM_AFTER);
        if (code != RILL_OK && code != RILL_ETIMEDOUT)
            return code;
    }
}

/* ---- coming and going ---- */

static int watch(rill_set *set, struct rill_entry *entry)
{
    if (entry->receiver->transport != RILL_INPROC)
        return rill_port_poller_add(set->poller, entry->receiver->socket, entry->id);
    rill_queue_set_bell(entry->receiver->state, &entry->bell);
    return RILL_OK;
}

int rill_set_enter(rill_set *set, rill_receiver *receiver, void *user, struct rill_entry **entry)
{
    struct rill_entry *made = calloc(1, sizeof *made);
    if (!made)
        return RILL_ENOMEM;
    int code = rill_receiver_enter(receiver);
    if (code == RILL_OK) {
        *made = (struct rill_entry){.id = set->next_id, .receiver = receiver, .user = user, .set = set, .bell.ring = ring_entry};
        code = watch(set, made);
        if (code != RILL_OK)
            rill_receiver_leave(receiver);
    }
    if (code != RILL_OK) {
        free(made);
        return code;
    }
    atomic_store_explicit(&receiver->busy, RILL_BUSY_IN_SET, memory_order_relaxed);
    set->next_id++;
    list(set, made);
    activate(set, made);
    code = receiver->source->next(receiver->state);
    rill_receiver_leave_untold(receiver, code);
    if (code != RILL_EEMPTY || !retire(set, made) || made->resting)
        rill_set_nudge(set);
    *entry = made;
    return RILL_OK;
}

rill_receiver *rill_set_leave(rill_set *set, struct rill_entry *entry)
{
    rill_receiver *receiver = entry->receiver;
    if (receiver->transport == RILL_INPROC) {
        rill_queue_set_bell(receiver->state, NULL);
        unring(set, entry);
    } else {
        rill_port_poller_remove(set->poller, receiver->socket);
    }
    deactivate(set, entry);
    if (entry->resting)
        forget_resting(set, entry);
    unlist(set, entry);
    free(entry);
    rill_receiver_leave(receiver);
    if (set->count == 0)
        rill_set_nudge(set);
    return receiver;
}

void rill_set_pause(rill_set *set, struct rill_entry *entry)
{
    deactivate(set, entry);
    entry->paused = true;
}

void rill_set_resume(rill_set *set, struct rill_entry *entry)
{
    entry->paused = false;
    activate(set, entry);
    rill_set_nudge(set);
}

/* ---- the calls ---- */

static int read_options(const struct rill_set_options *given, struct rill_set_options *read)
{
    struct rill_set_options known = {0};
    int code = rill_options_copy(given, &known, sizeof known);
    if (code == RILL_OK && (known.spin < -1 || known.spin > INT64_C(1000000000)))
        code = RILL_EINVAL;
    *read = known;
    return code;
}

static int build(rill_set *set)
{
    if (pthread_mutex_init(&set->lock, NULL) || pthread_mutex_init(&set->rung_lock, NULL) || pthread_cond_init(&set->visited, NULL))
        return RILL_ENOMEM;
    set->bucket_count = BUCKETS_LEAST;
    set->buckets = calloc(set->bucket_count, sizeof(struct rill_entry *));
    if (!set->buckets)
        return RILL_ENOMEM;
    int code = rill_port_poller_create(&set->poller);
    if (code == RILL_OK)
        code = rill_port_event_create(&set->event);
    return code == RILL_OK ? rill_port_poller_add(set->poller, set->event, RILL_TOKEN_EVENT) : code;
}

static void free_set(rill_set *set)
{
    rill_port_close(set->poller);
    rill_port_close(set->event);
    free(set->buckets);
    set->magic = 0;
    free(set); /* the locks are not destroyed: in a child they may have been inherited locked */
}

int rill_set_create(const struct rill_set_options *options, rill_set **set)
{
    struct rill_set_options read;
    if (!set)
        return RILL_EINVAL;
    int code = read_options(options, &read);
    if (code == RILL_OK)
        code = rill_process_prepare();
    if (code != RILL_OK)
        return code;
    rill_set *made = calloc(1, sizeof *made);
    if (!made)
        return RILL_ENOMEM;
    made->magic = RILL_SET_MAGIC;
    made->generation = atomic_load_explicit(&rill_generation, memory_order_relaxed);
    made->poller = made->event = RILL_NO_OBJECT;
    rill_spin_start(&made->spin, read.spin);
    code = build(made);
    if (code != RILL_OK) {
        free_set(made);
        return code;
    }
    *set = made;
    return RILL_OK;
}

static int check(const rill_set *set)
{
    if (!rill_is_set(set))
        return RILL_EINVAL;
    return set->generation == atomic_load_explicit(&rill_generation, memory_order_relaxed) ? RILL_OK : RILL_ENOTSUP;
}

/* The poller is shared with the parent of a fork: nothing may be taken out of it there. */
static void let_go_of_inherited(rill_set *set)
{
    for (size_t i = 0; i < set->bucket_count; i++) {
        for (struct rill_entry *entry = set->buckets[i]; entry;) {
            struct rill_entry *next = entry->in_bucket;
            rill_receiver_leave(entry->receiver);
            (void)rill_receiver_close(&entry->receiver);
            free(entry);
            entry = next;
        }
    }
}

static void close_all(rill_set *set)
{
    for (size_t i = 0; i < set->bucket_count && set->count; i++)
        while (set->buckets[i]) {
            size_t before = set->bucket_count;
            end_entry(set, set->buckets[i]);
            if (set->bucket_count != before)
                i = 0;
        }
}

int rill_set_close(rill_set **set)
{
    if (!set)
        return RILL_EINVAL;
    rill_set *closing = *set;
    *set = NULL;
    if (!closing)
        return RILL_OK;
    int code = check(closing);
    if (code == RILL_EINVAL)
        return code;
    if (code == RILL_OK)
        close_all(closing);
    else
        let_go_of_inherited(closing);
    free_set(closing);
    return RILL_OK;
}

int rill_set_add(rill_set *set, rill_receiver **receiver, void *user, uint64_t *id)
{
    int code = check(set);
    if (code != RILL_OK)
        return code;
    if (!receiver || !id || !rill_is_receiver(*receiver))
        return RILL_EINVAL;
    struct rill_entry *entry;
    rill_set_visit(set);
    code = rill_set_enter(set, *receiver, user, &entry);
    if (code == RILL_OK) {
        *id = entry->id;
        *receiver = NULL;
    }
    rill_set_part(set);
    return code;
}

int rill_set_remove(rill_set *set, uint64_t id, rill_receiver **receiver)
{
    int code = check(set);
    if (code != RILL_OK)
        return code;
    if (!receiver)
        return RILL_EINVAL;
    rill_set_visit(set);
    struct rill_entry *entry = rill_set_find(set, id);
    if (entry)
        *receiver = rill_set_leave(set, entry);
    rill_set_part(set);
    return entry ? RILL_OK : RILL_ENOENTRY;
}

int rill_set_wait(rill_set *set, int64_t deadline, struct rill_set_event *events, size_t capacity, size_t *count)
{
    int code = check(set);
    if (code != RILL_OK)
        return code;
    if (deadline < 0 || !events || capacity == 0 || capacity > SIZE_MAX / 2 / sizeof *events || !count)
        return RILL_EINVAL;
    size_t got;
    (void)pthread_mutex_lock(&set->lock);
    code = set->waiting ? RILL_EBUSY : RILL_OK;
    if (code == RILL_OK) {
        set->waiting = true;
        code = rill_set_collect(set, deadline, events, capacity, &got);
        set->waiting = false;
    }
    (void)pthread_mutex_unlock(&set->lock);
    if (code == RILL_OK)
        *count = got;
    return code;
}

int rill_set_wait_timeout(rill_set *set, int64_t timeout, struct rill_set_event *events, size_t capacity, size_t *count)
{
    if (timeout < 0)
        return RILL_EINVAL;
    int64_t now = rill_port_clock();
    return rill_set_wait(set, timeout > RILL_FOREVER - now ? RILL_FOREVER : now + timeout, events, capacity, count);
}

int rill_set_interrupt(rill_set *set)
{
    int code = check(set);
    if (code != RILL_OK)
        return code;
    atomic_store_explicit(&set->interrupted, 1, memory_order_seq_cst);
    rill_port_event_signal(set->event);
    return RILL_OK;
}

int rill_set_count(rill_set *set, size_t *count)
{
    int code = check(set);
    if (code != RILL_OK)
        return code;
    if (!count)
        return RILL_EINVAL;
    rill_set_visit(set);
    *count = set->count;
    rill_set_part(set);
    return RILL_OK;
}

int rill_set_descriptor(rill_set *set, int *descriptor)
{
    int code = check(set);
    if (code != RILL_OK)
        return code;
    if (!descriptor)
        return RILL_EINVAL;
    *descriptor = set->poller;
    return RILL_OK;
}

int rill_set_arm(rill_set *set)
{
    int code = check(set);
    if (code != RILL_OK)
        return code;
    rill_set_visit(set);
    if (set->waiting)
        code = RILL_EBUSY;
    else if (interrupted(set))
        code = RILL_EREADY;
    else
        code = rill_set_arm_all(set);
    set->listening = code == RILL_OK;
    rill_set_part(set);
    return code;
}
