/* SPDX-License-Identifier: MIT */
#include "channel.h"

#include <stdlib.h>
#include <string.h>

#include "inbox.h"
#include "options.h"
#include "waitable.h"
#include "process.h"
#include "queue.h"
#include "reuse.h"
#include "source.h"
#include "stream.h"

/* ---- the control page ---- */

static void write_page(struct rill_page *page, const struct rill_channel_options *options)
{
    page->magic = RILL_PAGE_MAGIC;
    page->version = RILL_LAYOUT_VERSION;
    page->fingerprint = RILL_FINGERPRINT;
    page->transport = options->transport;
    page->on_full = options->on_full;
    page->limit = options->limit;
    page->send_timeout = options->send_timeout;
    page->spin = options->spin;
    page->max_lanes = options->max_lanes;
    page->max_lane_bytes = options->max_lane_bytes;
    page->max_message = options->max_message;
    page->max_objects = options->max_objects;
    atomic_store_explicit(&page->ticket, 1, memory_order_relaxed);
}

static void read_terms(struct rill_core *core)
{
    const struct rill_page *page = core->page;
    core->transport = page->transport;
    core->terms = (struct rill_terms){
        .on_full = page->on_full,
        .limit = page->limit,
        .max_message = page->max_message,
        .max_objects = page->max_objects,
        .send_timeout = page->send_timeout,
        .spin = page->spin,
    };
}

static int map_core(struct rill_core *core)
{
    void *address;
    int code = rill_port_memory_map(core->memory, 0, RILL_PAGE_BYTES, NULL, &address);
    if (code == RILL_OK)
        core->page = address;
    return code;
}

int rill_core_create(const struct rill_channel_options *options, struct rill_core **core)
{
    struct rill_core *made = calloc(1, sizeof *made);
    if (!made)
        return RILL_ENOMEM;
    atomic_init(&made->references, 1);
    made->memory = RILL_NO_OBJECT;
    int code = rill_port_memory_create(RILL_PAGE_BYTES, false, &made->memory);
    if (code == RILL_OK)
        code = map_core(made);
    if (code == RILL_OK && !rill_port_random(made->page->id, sizeof made->page->id))
        code = RILL_ESYSTEM;
    if (code != RILL_OK) {
        rill_core_release(made);
        return code;
    }
    write_page(made->page, options);
    read_terms(made);
    *core = made;
    return RILL_OK;
}

static bool terms_are_sound(uint32_t transport, const struct rill_terms *terms)
{
    return (transport == RILL_SHM || transport == RILL_SOCKET) && terms->on_full >= RILL_FULL_ERROR && terms->on_full <= RILL_FULL_WAIT &&
           terms->send_timeout > 0 && terms->limit <= SIZE_MAX / 2;
}

static int check_page(rill_object memory, const struct rill_core *core)
{
    const struct rill_page *page = core->page;
    if (page->magic != RILL_PAGE_MAGIC)
        return RILL_EPEER;
    if (page->version != RILL_LAYOUT_VERSION || page->fingerprint != RILL_FINGERPRINT)
        return RILL_EVERSION;
    return terms_are_sound(core->transport, &core->terms) ? rill_port_memory_check(memory, false) : RILL_EPEER;
}

int rill_core_open(rill_object memory, struct rill_core **core)
{
    uint64_t size;
    int code = rill_port_memory_size(memory, &size);
    if (code == RILL_OK && size < RILL_PAGE_BYTES)
        code = RILL_EPEER;
    struct rill_core *made = code == RILL_OK ? calloc(1, sizeof *made) : NULL;
    if (!made)
        return code == RILL_OK ? RILL_ENOMEM : code;
    atomic_init(&made->references, 1);
    made->memory = memory;
    code = map_core(made);
    if (code == RILL_OK)
        read_terms(made);
    if (code == RILL_OK)
        code = check_page(memory, made);
    if (code != RILL_OK) {
        made->memory = RILL_NO_OBJECT;
        rill_core_release(made);
        return code;
    }
    *core = made;
    return RILL_OK;
}

void rill_core_reference(struct rill_core *core)
{
    atomic_fetch_add_explicit(&core->references, 1, memory_order_relaxed);
}

void rill_core_release(struct rill_core *core)
{
    if (!core || atomic_fetch_sub_explicit(&core->references, 1, memory_order_acq_rel) != 1)
        return;
    if (core->page)
        rill_port_memory_unmap(core->page, RILL_PAGE_BYTES);
    rill_port_close(core->memory);
    free(core);
}

/* ---- interrupts ---- */

/* The waiter makes the event, then looks at `interrupted`, then sleeps; the interrupter sets `interrupted`, then looks for the event: with seq_cst on
 * all four, one of them sees the other's write. */
int rill_event_prepare(_Atomic rill_object *event, rill_object *listen)
{
    *listen = atomic_load_explicit(event, memory_order_seq_cst);
    if (*listen != RILL_NO_OBJECT || rill_port_single_threaded())
        return RILL_OK;
    rill_object made;
    int code = rill_port_event_create(&made);
    if (code != RILL_OK)
        return code;
    rill_object expected = RILL_NO_OBJECT;
    if (atomic_compare_exchange_strong_explicit(event, &expected, made, memory_order_seq_cst, memory_order_seq_cst)) {
        *listen = made;
    } else {
        rill_port_close(made); /* another thread was faster */
        *listen = expected;
    }
    return RILL_OK;
}

void rill_interrupt_clear(_Atomic rill_object *event)
{
    rill_object made = atomic_load_explicit(event, memory_order_seq_cst);
    if (made != RILL_NO_OBJECT)
        rill_port_event_clear(made);
}

bool rill_interrupt_take(_Atomic uint32_t *interrupted, _Atomic rill_object *event)
{
    if (atomic_load_explicit(interrupted, memory_order_seq_cst) == 0)
        return false;
    rill_interrupt_clear(event); /* before the flag: a raise between the two is not lost */
    return atomic_exchange_explicit(interrupted, 0, memory_order_seq_cst) != 0;
}

void rill_interrupt_raise(_Atomic uint32_t *interrupted, _Atomic rill_object *event)
{
    atomic_store_explicit(interrupted, 1, memory_order_seq_cst);
    rill_object made = atomic_load_explicit(event, memory_order_seq_cst);
    if (made != RILL_NO_OBJECT)
        rill_port_event_signal(made);
}

/* ---- senders ---- */

int rill_sender_wrap(struct rill_endpoint *endpoint, rill_sender **sender)
{
    rill_sender *made = calloc(1, sizeof *made);
    if (!made)
        return RILL_ENOMEM;
    made->magic = RILL_SENDER_MAGIC;
    made->endpoint = endpoint;
    *sender = made;
    return RILL_OK;
}

static struct rill_endpoint *new_endpoint(uint32_t transport, int64_t spin)
{
    struct rill_endpoint *made = calloc(1, sizeof *made);
    if (made && pthread_mutex_init(&made->lock, NULL) != 0) {
        free(made);
        made = NULL;
    }
    if (!made)
        return NULL;
    static _Atomic uint64_t serials;
    atomic_init(&made->references, 1);
    made->serial = atomic_fetch_add_explicit(&serials, 1, memory_order_relaxed) + 1;
    atomic_init(&made->event, RILL_NO_OBJECT);
    atomic_init(&made->generation, atomic_load_explicit(&rill_generation, memory_order_relaxed));
    atomic_init(&made->transport, transport);
    made->socket = RILL_NO_OBJECT;
    rill_spin_start(&made->spin, spin);
    return made;
}

int rill_sender_make(struct rill_core *core, rill_object socket, rill_sender **sender)
{
    struct rill_endpoint *endpoint = new_endpoint(core->transport, core->terms.spin);
    if (!endpoint)
        return RILL_ENOMEM;
    int code = rill_sender_wrap(endpoint, sender);
    if (code != RILL_OK) {
        free(endpoint);
        return code;
    }
    uint64_t most = core->terms.max_message;
    atomic_store_explicit(&endpoint->small_end, (most && most < RILL_INLINE_MAX ? most : RILL_INLINE_MAX) + 1, memory_order_relaxed);
    endpoint->core = core;
    endpoint->socket = socket;
    return RILL_OK;
}

int rill_sender_clone(rill_sender *sender, rill_sender **clone)
{
    struct rill_endpoint *endpoint = rill_endpoint_of(sender);
    if (!endpoint || !clone)
        return RILL_EINVAL;
    int code = rill_sender_wrap(endpoint, clone);
    if (code == RILL_OK)
        atomic_fetch_add_explicit(&endpoint->references, 1, memory_order_relaxed);
    return code;
}

static void close_lanes(struct rill_endpoint *endpoint)
{
    bool inherited = atomic_load_explicit(&endpoint->generation, memory_order_relaxed) != atomic_load_explicit(&rill_generation, memory_order_relaxed);
    struct rill_lane *lane = atomic_load_explicit(&endpoint->lane, memory_order_acquire);
    if (lane && inherited)
        rill_lane_abandon(lane);
    else if (lane && !rill_birth_rest_lane(endpoint, lane) && !rill_rest_endpoint(endpoint, lane))
        rill_lane_close(lane, endpoint->socket);
    for (struct rill_lane *retired = endpoint->retired; retired;) {
        struct rill_lane *next = retired->next_own;
        if (inherited)
            rill_lane_abandon(retired);
        else
            rill_lane_release(retired);
        retired = next;
    }
}

/* ---- the table of endpoints that travel ---- */

#define BUCKETS 1024u

static struct rill_endpoint *published[BUCKETS]; /* under the process's lock */
static struct rill_endpoint *unnamed; /* those that were sent: their names are asked of the system when a sender comes that might be one of them */

static struct rill_endpoint **bucket_of(const struct rill_endpoint_name *name)
{
    return &published[(name->socket.word[1] ^ name->page.word[1] * 7) % BUCKETS];
}

/* Under the process's lock. */
static void add_published(struct rill_endpoint *endpoint)
{
    struct rill_endpoint **bucket = bucket_of(&endpoint->name);
    endpoint->next_published = *bucket;
    *bucket = endpoint;
    endpoint->published = true;
}

void rill_endpoint_publish_as(struct rill_endpoint *endpoint, const struct rill_endpoint_name *name)
{
    rill_process_lock();
    endpoint->name = *name;
    add_published(endpoint);
    rill_process_unlock();
}

void rill_endpoint_publish(struct rill_endpoint *endpoint)
{
    rill_process_lock();
    if (!endpoint->published && !endpoint->unnamed) {
        endpoint->next_published = unnamed;
        unnamed = endpoint;
        endpoint->unnamed = true;
    }
    rill_process_unlock();
}

/* Under the process's lock. One that cannot be named costs descriptors when it comes back, and works. */
static void name_all(void)
{
    while (unnamed) {
        struct rill_endpoint *endpoint = unnamed;
        struct rill_core *core = endpoint->core;
        unnamed = endpoint->next_published;
        endpoint->unnamed = false;
        if (!core->identified)
            core->identified = rill_port_identify(core->memory, &core->identity) == RILL_OK;
        endpoint->name.page = core->identity;
        if (core->identified && rill_port_identify(endpoint->socket, &endpoint->name.socket) == RILL_OK)
            add_published(endpoint);
    }
}

void rill_endpoint_withdraw(struct rill_endpoint *endpoint)
{
    rill_process_lock();
    if (endpoint->published || endpoint->unnamed) {
        struct rill_endpoint **link = endpoint->unnamed ? &unnamed : bucket_of(&endpoint->name);
        while (*link != endpoint)
            link = &(*link)->next_published;
        *link = endpoint->next_published;
        endpoint->published = false;
    }
    rill_process_unlock();
}

/* One whose last sender is being closed is not to be had any more. */
static bool reference_living(struct rill_endpoint *endpoint)
{
    uint32_t count = atomic_load_explicit(&endpoint->references, memory_order_relaxed);
    while (count && !atomic_compare_exchange_weak_explicit(&endpoint->references, &count, count + 1, memory_order_relaxed, memory_order_relaxed))
        continue;
    return count != 0;
}

static bool same_name(const struct rill_endpoint_name *a, const struct rill_endpoint_name *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

struct rill_endpoint *rill_endpoint_find(const struct rill_endpoint_name *name)
{
    rill_process_lock();
    name_all();
    struct rill_endpoint *found = *bucket_of(name);
    while (found && !(same_name(&found->name, name) && reference_living(found)))
        found = found->next_published;
    rill_process_unlock();
    return found;
}

static void free_endpoint(struct rill_endpoint *endpoint)
{
    if (endpoint->queue)
        rill_queue_close(endpoint->queue, true); /* first: from here on nobody makes it a shared one */
    rill_endpoint_withdraw(endpoint);
    close_lanes(endpoint);
    rill_room_free(endpoint->room);
    rill_port_close(endpoint->socket);
    rill_port_close(atomic_load_explicit(&endpoint->event, memory_order_relaxed));
    rill_reuse_endpoint_closed(endpoint);
    rill_core_release(endpoint->core);
    free(endpoint); /* the lock is not destroyed: in a child it may have been inherited locked */
}

int rill_sender_close(rill_sender **sender)
{
    if (!sender)
        return RILL_EINVAL;
    rill_sender *closing = *sender;
    *sender = NULL;
    if (!closing)
        return RILL_OK;
    struct rill_endpoint *endpoint = rill_endpoint_of(closing);
    if (!endpoint)
        return RILL_EINVAL;
    closing->magic = 0;
    free(closing);
    rill_endpoint_release(endpoint);
    return RILL_OK;
}

void rill_endpoint_release(struct rill_endpoint *endpoint)
{
    if (atomic_fetch_sub_explicit(&endpoint->references, 1, memory_order_acq_rel) == 1)
        free_endpoint(endpoint);
}

int rill_sender_interrupt(rill_sender *sender)
{
    struct rill_endpoint *endpoint = rill_endpoint_of(sender);
    if (!endpoint)
        return RILL_EINVAL;
    rill_interrupt_raise(&endpoint->interrupted, &endpoint->event);
    if (endpoint->queue)
        rill_queue_stir(endpoint->queue);
    return RILL_OK;
}

/* ---- receivers ---- */

static rill_receiver *new_receiver(uint32_t transport, int64_t spin)
{
    rill_receiver *made = calloc(1, sizeof *made);
    if (!made)
        return NULL;
    made->magic = RILL_RECEIVER_MAGIC;
    made->transport = transport;
    made->socket = RILL_NO_OBJECT;
    atomic_init(&made->event, RILL_NO_OBJECT);
    made->owner = atomic_load_explicit(&rill_generation, memory_order_relaxed);
    made->forks = atomic_load_explicit(&rill_forks, memory_order_relaxed);
    rill_spin_start(&made->spin, spin);
    return made;
}

int rill_receiver_make_on(struct rill_core *core, struct rill_inbox *inbox, rill_object socket, rill_receiver **receiver)
{
    rill_receiver *made = new_receiver(RILL_SHM, core->terms.spin);
    if (!made)
        return RILL_ENOMEM;
    made->source = &rill_inbox_source;
    made->state = made->inbox = inbox;
    made->core = core;
    made->socket = socket;
    *receiver = made;
    return RILL_OK;
}

int rill_receiver_make(struct rill_core *core, rill_object socket, rill_receiver **receiver)
{
    rill_receiver *made = new_receiver(core->transport, core->terms.spin);
    if (!made)
        return RILL_ENOMEM;
    int code;
    if (made->transport == RILL_SHM) {
        struct rill_inbox *inbox = NULL;
        code = rill_inbox_create(core->page, socket, &inbox);
        made->source = &rill_inbox_source;
        made->state = made->inbox = inbox;
    } else {
        struct rill_stream *stream = NULL;
        code = rill_stream_create(core->page, socket, &stream);
        made->source = &rill_stream_source;
        made->state = stream;
        made->spin.fixed = -1; /* nothing in memory tells that something has come */
    }
    if (code != RILL_OK) {
        free(made);
        return code;
    }
    made->core = core;
    made->socket = socket;
    *receiver = made;
    return RILL_OK;
}

void rill_receiver_dispose(rill_receiver *receiver, bool closing)
{
    if (closing && receiver->core)
        atomic_store_explicit(&receiver->core->page->closed, 1, memory_order_release);
    bool kept = closing && rill_birth_rest_receiver(receiver);
    switch (receiver->transport) {
    case RILL_SHM:
        if (!kept)
            rill_inbox_destroy(receiver->state, receiver->owner != atomic_load_explicit(&rill_generation, memory_order_relaxed));
        break;
    case RILL_SOCKET:
        rill_stream_destroy(receiver->state);
        break;
    default:
        break;
    }
    if (receiver->queue)
        rill_queue_close(receiver->queue, false);
    rill_event_bell_free(receiver->bell);
    rill_port_close(receiver->socket);
    rill_port_close(atomic_load_explicit(&receiver->event, memory_order_relaxed));
    if (!kept)
        rill_core_release(receiver->core);
    rill_birth_receiver_closed(receiver->birth);
    receiver->magic = 0;
    free(receiver);
}

/* A process that forked since it got the receiver and has not received leaves it to the child: nobody can know better. */
static bool closes_channel(const rill_receiver *receiver)
{
    if (receiver->owner != atomic_load_explicit(&rill_generation, memory_order_relaxed))
        return false;
    return receiver->reader != 0 || receiver->forks == atomic_load_explicit(&rill_forks, memory_order_relaxed);
}

static int let_go(rill_receiver **receiver, bool closing)
{
    if (!receiver)
        return RILL_EINVAL;
    rill_receiver *leaving = *receiver;
    *receiver = NULL;
    if (!leaving)
        return RILL_OK;
    if (!rill_is_receiver(leaving))
        return RILL_EINVAL;
    if (rill_receiver_idle(leaving) == RILL_EINSET)
        return RILL_EINSET;
    rill_receiver_settle_streak(leaving);
    bool ends = closing && closes_channel(leaving);
    if (!ends && leaving->reader && leaving->owner == atomic_load_explicit(&rill_generation, memory_order_relaxed))
        atomic_store_explicit(&leaving->core->page->reader, RILL_READER_LEFT(leaving->messages), memory_order_release); /* free for the child */
    rill_receiver_dispose(leaving, ends);
    return RILL_OK;
}

int rill_receiver_close(rill_receiver **receiver)
{
    return let_go(receiver, true);
}

int rill_receiver_release(rill_receiver **receiver)
{
    return let_go(receiver, false);
}

int rill_receiver_interrupt(rill_receiver *receiver)
{
    if (!rill_is_receiver(receiver))
        return RILL_EINVAL;
    if (rill_receiver_idle(receiver) == RILL_EINSET)
        return RILL_EINSET;
    rill_interrupt_raise(&receiver->interrupted, &receiver->event);
    if (receiver->queue)
        rill_queue_stir(receiver->queue);
    return RILL_OK;
}

/* ---- channels ---- */

static int make_in_process(const struct rill_channel_options *options, rill_sender **sender, rill_receiver **receiver)
{
    struct rill_queue *queue;
    int code = rill_queue_create(options, &queue);
    if (code != RILL_OK)
        return code;
    struct rill_endpoint *endpoint = new_endpoint(RILL_INPROC, options->spin);
    rill_receiver *made = new_receiver(RILL_INPROC, options->spin);
    code = endpoint && made ? rill_sender_wrap(endpoint, sender) : RILL_ENOMEM;
    if (code != RILL_OK) {
        free(endpoint);
        free(made);
        rill_queue_close(queue, true);
        rill_queue_close(queue, false);
        return code;
    }
    endpoint->queue = queue;
    made->source = &rill_queue_source;
    made->state = made->queue = queue;
    rill_queue_set_sender(queue, endpoint);
    *receiver = made;
    return RILL_OK;
}

/* The two ends share the page. Each end takes over its socket and one reference of the core. */
static int make_ends(struct rill_core *core, rill_object pair[2], rill_sender **sender, rill_receiver **receiver)
{
    rill_sender *tx = NULL;
    int code = rill_sender_make(core, pair[0], &tx);
    if (code != RILL_OK)
        return code;
    rill_core_reference(core);
    code = rill_receiver_make(core, pair[1], receiver);
    if (code == RILL_OK) {
        *sender = tx;
        return RILL_OK;
    }
    tx->endpoint->socket = RILL_NO_OBJECT; /* the caller's again */
    (void)rill_sender_close(&tx);
    return code;
}

/* Of a new page. */
static int make_fresh(const struct rill_channel_options *options, rill_object pair[2], rill_sender **sender, rill_receiver **receiver)
{
    struct rill_core *core;
    int code = rill_core_create(options, &core);
    if (code != RILL_OK)
        return code;
    code = make_ends(core, pair, sender, receiver);
    if (code != RILL_OK)
        rill_core_release(core);
    return code;
}

static void close_pair(rill_object pair[2])
{
    rill_port_close(pair[0]);
    rill_port_close(pair[1]);
}

int rill_channel_make(const struct rill_channel_options *options, rill_sender **sender, rill_receiver **receiver)
{
    rill_object pair[2];
    int code = rill_port_pair(pair);
    if (code != RILL_OK)
        return code;
    code = make_fresh(options, pair, sender, receiver);
    if (code != RILL_OK)
        close_pair(pair);
    return code;
}

static int make_shared(const struct rill_channel_options *options, rill_sender **sender, rill_receiver **receiver)
{
    rill_object pair[2];
    int code = rill_port_pair(pair);
    if (code != RILL_OK)
        return code;
    code = options->transport == RILL_SHM ? rill_reuse_channel(options, pair, sender, receiver) : RILL_ENOTSUP;
    if (code == RILL_ENOTSUP) {
        code = make_fresh(options, pair, sender, receiver);
        if (code == RILL_OK && options->transport == RILL_SHM)
            rill_birth_note(options, *sender, *receiver);
    }
    if (code != RILL_OK)
        close_pair(pair);
    return code;
}

/* What is kept for reuse is given up where the system is short. */
static int make_shared_somehow(const struct rill_channel_options *options, rill_sender **sender, rill_receiver **receiver)
{
    int code = make_shared(options, sender, receiver);
    if (code == RILL_OK || !rill_reuse_drop(0))
        return code;
    return make_shared(options, sender, receiver);
}

int rill_channel(const struct rill_channel_options *options, rill_sender **sender, rill_receiver **receiver)
{
    struct rill_channel_options all;
    if (!sender || !receiver)
        return RILL_EINVAL;
    int code = rill_options_read(options, &all);
    if (code == RILL_OK)
        code = rill_process_prepare();
    if (code != RILL_OK)
        return code;
    return all.transport == RILL_INPROC ? make_in_process(&all, sender, receiver) : make_shared_somehow(&all, sender, receiver);
}
