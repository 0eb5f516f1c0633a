/* SPDX-License-Identifier: MIT */
#include "reuse.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "channel.h"
#include "inbox.h"
#include "lane.h"
#include "piece.h"
#include "process.h"

#define LOCAL_MOST 24u /* kits of each sort that are kept */
#define PEER_MOST 32u
#define RESTS_MOST 16u /* for one carrier */

struct rill_birth {
    _Atomic uint32_t references;
    pthread_mutex_t lock; /* of what follows */
    struct rill_channel_options options;
    uint32_t generation, forks; /* of the process when the channel was made */
    bool settled;               /* one of its ends was used here */
    bool spread;
    uint64_t through;           /* serial of the carrier; 0: the sender was not sent */
    uint32_t exports;
    struct rill_endpoint *endpoint; /* NULL: closed */
    rill_receiver *receiver;
    struct rill_lane *lane;     /* of this process, at rest, or NULL */
    struct rill_core *first;    /* what the channel was made with, if another took its place: other threads may still read there */
};

struct kit {
    struct rill_birth *birth;
    struct rill_core *core;
    struct rill_inbox *inbox;
    struct kit *next;
};

/* Newest first. Under the process's lock, which fork respects. */
static struct kit *local_kits, *peer_kits;
static uint32_t lists_generation;

static uint32_t generation_now(void)
{
    return atomic_load_explicit(&rill_generation, memory_order_relaxed);
}

static uint32_t forks_now(void)
{
    return atomic_load_explicit(&rill_forks, memory_order_relaxed);
}

/* ---- births ---- */

static void close_resting_lane(struct rill_lane *lane, uint32_t generation)
{
    if (generation != generation_now())
        rill_lane_abandon(lane);
    else
        rill_lane_close(lane, RILL_NO_OBJECT);
}

static void release_birth(struct rill_birth *birth)
{
    if (atomic_fetch_sub_explicit(&birth->references, 1, memory_order_acq_rel) != 1)
        return;
    if (birth->lane)
        close_resting_lane(birth->lane, birth->generation);
    rill_core_release(birth->first);
    free(birth);
}

/* In the child of a fork a birth is the parent's: nothing of it is looked at, nor its lock taken, which may have been inherited locked. */
static struct rill_birth *own(struct rill_birth *birth)
{
    return birth && birth->generation == generation_now() ? birth : NULL;
}

static void lock_birth(struct rill_birth *birth)
{
    (void)pthread_mutex_lock(&birth->lock);
}

static void unlock_birth(struct rill_birth *birth)
{
    (void)pthread_mutex_unlock(&birth->lock);
}

static struct rill_birth *make_birth(const struct rill_channel_options *options)
{
    struct rill_birth *made = calloc(1, sizeof *made);
    if (made && pthread_mutex_init(&made->lock, NULL) != 0) {
        free(made);
        made = NULL;
    }
    if (!made)
        return NULL;
    made->options = *options;
    made->generation = generation_now();
    made->forks = forks_now();
    return made;
}

static void attach(struct rill_birth *birth, rill_sender *sender, rill_receiver *receiver)
{
    atomic_init(&birth->references, 2);
    birth->endpoint = sender->endpoint;
    birth->receiver = receiver;
    receiver->inbox->may_rest = true;
    sender->endpoint->birth = birth;
    receiver->birth = birth;
}

void rill_birth_note(const struct rill_channel_options *options, rill_sender *sender, rill_receiver *receiver)
{
    struct rill_birth *birth = make_birth(options);
    if (birth)
        attach(birth, sender, receiver);
}

static bool is_followed(const struct rill_birth *birth, const struct rill_core *core)
{
    return !birth->spread && birth->generation == generation_now() && birth->forks == forks_now() &&
           atomic_load_explicit(&core->page->spread, memory_order_acquire) == 0;
}

/* A page that never left goes on without the lane that this process has on it. */
static void part_with_lane(struct rill_birth *birth, struct rill_inbox *inbox)
{
    rill_inbox_strip(inbox);
    if (birth->lane)
        close_resting_lane(birth->lane, birth->generation);
    birth->lane = NULL;
}

/* ---- kits ---- */

static void free_kit(struct kit *kit)
{
    rill_inbox_destroy(kit->inbox, kit->birth->generation != generation_now());
    rill_core_release(kit->core);
    release_birth(kit->birth);
    free(kit);
}

/* In the child of a fork they are the parent's: only this process's share goes. */
static void check_lists(void)
{
    if (lists_generation == generation_now())
        return;
    struct kit *inherited[2] = {local_kits, peer_kits};
    local_kits = peer_kits = NULL;
    lists_generation = generation_now();
    for (unsigned i = 0; i < 2; i++) {
        while (inherited[i]) {
            struct kit *next = inherited[i]->next;
            free_kit(inherited[i]);
            inherited[i] = next;
        }
    }
}

static void lock_lists(void)
{
    rill_process_lock();
    check_lists();
}

static void unlock_lists(void)
{
    rill_process_unlock();
}

static void free_kits(struct kit *kit)
{
    while (kit) {
        struct kit *next = kit->next;
        free_kit(kit);
        kit = next;
    }
}

/* Puts a kit first; the oldest beyond `most` goes. */
static void put_kit(struct kit **list, struct kit *kit, unsigned most)
{
    lock_lists();
    kit->next = *list;
    *list = kit;
    struct kit **link = list;
    for (unsigned i = 0; i < most && *link; i++)
        link = &(*link)->next;
    struct kit *oldest = *link;
    *link = NULL;
    unlock_lists();
    free_kits(oldest);
}

static bool same_options(const struct rill_channel_options *a, const struct rill_channel_options *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

/* Are both ends closed, and has the page stayed where it can be followed? A birth that another thread is busy with is not over; that thread may be waiting
 * for the lists. */
static bool is_over(const struct kit *kit)
{
    struct rill_birth *birth = kit->birth;
    if (pthread_mutex_trylock(&birth->lock) != 0)
        return false;
    bool over = !birth->endpoint && is_followed(birth, kit->core);
    (void)pthread_mutex_unlock(&birth->lock);
    return over;
}

/* Makes the kit fit for a channel on this socket, if what the other side has said is in order. */
static bool renew(struct kit *kit, rill_object socket)
{
    struct rill_birth *birth = kit->birth;
    if (!is_over(kit))
        return false;
    if (!rill_inbox_renew(kit->inbox, socket, birth->exports)) {
        if (birth->exports)
            return false;
        part_with_lane(birth, kit->inbox); /* the page is still this process's alone */
        if (!rill_inbox_renew(kit->inbox, socket, 0))
            return false;
    }
    struct rill_page *page = kit->core->page;
    if (birth->lane)
        rill_lane_renew(birth->lane);
    atomic_store_explicit(&page->reader, 0, memory_order_relaxed);
    atomic_fetch_add_explicit(&page->generation, 1, memory_order_relaxed);
    atomic_store_explicit(&page->closed, 0, memory_order_release); /* whoever gets the page next gets it over a socket, which orders this */
    return true;
}

/* The first of the list that fits and is ready, out of the list. Those that can never be are dropped. */
static struct kit *take_kit(struct kit **list, const struct rill_channel_options *options, uint64_t through, rill_object socket)
{
    lock_lists();
    struct kit *found = NULL;
    for (struct kit **link = list; *link && !found;) {
        struct kit *kit = *link;
        if (kit->birth->through == through && same_options(&kit->birth->options, options) && renew(kit, socket)) {
            *link = kit->next;
            found = kit;
        } else {
            link = &kit->next;
        }
    }
    unlock_lists();
    return found;
}

bool rill_reuse_drop(uint64_t serial)
{
    lock_lists();
    struct kit *dropped = NULL;
    for (struct kit **link = &peer_kits; *link;) {
        struct kit *kit = *link;
        if (serial && kit->birth->through != serial) {
            link = &kit->next;
            continue;
        }
        *link = kit->next;
        kit->next = dropped;
        dropped = kit;
    }
    struct kit *local = serial ? NULL : local_kits;
    if (!serial)
        local_kits = NULL;
    unlock_lists();
    bool any = dropped || local;
    if (!serial && rill_pieces_drop(RILL_FOREVER))
        any = true;
    free_kits(dropped);
    free_kits(local);
    return any;
}

int rill_trim(void)
{
    (void)rill_reuse_drop(0);
    return RILL_OK;
}

/* ---- channels of kits ---- */

int rill_reuse_channel(const struct rill_channel_options *options, const rill_object pair[2], rill_sender **sender, rill_receiver **receiver)
{
    struct kit *kit = take_kit(&local_kits, options, 0, pair[1]);
    if (!kit)
        return RILL_ENOTSUP;
    struct rill_birth *birth = make_birth(options);
    rill_sender *tx = NULL;
    int code = birth ? rill_sender_make(kit->core, pair[0], &tx) : RILL_ENOMEM;
    if (code == RILL_OK) {
        rill_core_reference(kit->core);
        code = rill_receiver_make_on(kit->core, kit->inbox, pair[1], receiver);
    }
    if (code != RILL_OK) {
        if (tx) {
            tx->endpoint->socket = RILL_NO_OBJECT;
            (void)rill_sender_close(&tx);
        } else {
            rill_core_release(kit->core);
        }
        rill_inbox_destroy(kit->inbox, false);
        release_birth(kit->birth);
        free(birth);
        free(kit);
        return RILL_ENOTSUP;
    }
    birth->lane = kit->birth->lane;
    kit->birth->lane = NULL;
    attach(birth, tx, *receiver);
    *sender = tx;
    release_birth(kit->birth);
    free(kit);
    return RILL_OK;
}

void rill_birth_settle(struct rill_birth *birth)
{
    if (!own(birth))
        return;
    lock_birth(birth);
    birth->settled = true;
    unlock_birth(birth);
}

struct rill_lane *rill_birth_lane(struct rill_birth *birth)
{
    if (!own(birth))
        return NULL;
    lock_birth(birth);
    birth->settled = true;
    struct rill_lane *lane = birth->lane;
    birth->lane = NULL;
    unlock_birth(birth);
    if (lane)
        rill_lane_wake_up(lane);
    return lane;
}

void rill_page_spread(struct rill_birth *birth, struct rill_core *core)
{
    if (own(birth)) {
        lock_birth(birth);
        birth->spread = true;
        unlock_birth(birth);
    }
    atomic_store_explicit(&core->page->spread, 1, memory_order_release); /* before the page leaves */
}

/* ---- sending a sender ---- */

/* Under the birth's lock: nobody has used the ends. What the channel was made with becomes a kit again. */
static void exchange(struct rill_birth *birth, struct kit *kit)
{
    rill_receiver *receiver = birth->receiver;
    struct kit *old = malloc(sizeof *old);
    struct rill_birth *old_birth = old ? make_birth(&birth->options) : NULL;
    struct rill_core *core = birth->endpoint->core;
    struct rill_inbox *inbox = receiver->inbox;
    rill_core_reference(core);
    birth->first = core; /* another thread may be reading the options in it */
    rill_core_reference(kit->core);
    atomic_store_explicit(&birth->endpoint->core, kit->core, memory_order_release);
    receiver->core = kit->core;
    receiver->state = receiver->inbox = kit->inbox;
    rill_core_release(core); /* the endpoint's; the receiver's goes to the kit */
    if (old_birth) {
        atomic_init(&old_birth->references, 1);
        old_birth->lane = birth->lane;
        birth->lane = NULL;
        *old = (struct kit){.birth = old_birth, .core = core, .inbox = inbox};
        put_kit(&local_kits, old, LOCAL_MOST);
    } else {
        part_with_lane(birth, inbox);
        rill_inbox_destroy(inbox, false);
        rill_core_release(core);
        free(old);
    }
    release_birth(kit->birth);
    free(kit);
}

void rill_birth_export(struct rill_endpoint *endpoint, const struct rill_endpoint *through)
{
    struct rill_birth *birth = own(endpoint->birth);
    if (!birth || !through || through->transport != RILL_SHM || endpoint->transport != RILL_SHM) {
        rill_page_spread(birth, endpoint->core);
        return;
    }
    lock_birth(birth);
    bool fresh = !birth->settled && birth->exports == 0 && birth->receiver && is_followed(birth, endpoint->core);
    struct kit *kit = fresh ? take_kit(&peer_kits, &birth->options, through->serial, birth->receiver->socket) : NULL;
    if (kit)
        exchange(birth, kit);
    else if (fresh)
        part_with_lane(birth, birth->receiver->inbox); /* one lane too many for the page to be used again */
    if (birth->exports == 0)
        birth->through = through->serial;
    else if (birth->through != through->serial)
        birth->spread = true;
    birth->exports++;
    unlock_birth(birth);
}

void rill_birth_export_undo(struct rill_endpoint *endpoint)
{
    struct rill_birth *birth = own(endpoint->birth);
    if (!birth)
        return;
    lock_birth(birth);
    birth->exports -= birth->exports > 0;
    unlock_birth(birth);
}

/* ---- closing ---- */

bool rill_birth_rest_lane(struct rill_endpoint *endpoint, struct rill_lane *lane)
{
    struct rill_birth *birth = own(endpoint->birth);
    if (!birth || endpoint->retired)
        return false;
    lock_birth(birth);
    bool rests = birth->receiver && birth->exports == 0 && !birth->lane && is_followed(birth, endpoint->core) && rill_lane_can_rest(lane);
    if (rests) {
        rill_lane_rest(lane, 0);
        birth->lane = lane;
    }
    unlock_birth(birth);
    return rests;
}

bool rill_birth_rest_receiver(rill_receiver *receiver)
{
    struct rill_birth *birth = own(receiver->birth);
    if (!birth || receiver->transport != RILL_SHM)
        return false;
    lock_birth(birth);
    birth->receiver = NULL;
    bool rests = is_followed(birth, receiver->core) && rill_inbox_can_rest(receiver->inbox);
    uint32_t exports = birth->exports;
    unlock_birth(birth);
    struct kit *kit = rests ? malloc(sizeof *kit) : NULL;
    if (!kit)
        return false;
    *kit = (struct kit){.birth = birth, .core = receiver->core, .inbox = receiver->inbox};
    atomic_fetch_add_explicit(&birth->references, 1, memory_order_relaxed);
    put_kit(exports ? &peer_kits : &local_kits, kit, exports ? PEER_MOST : LOCAL_MOST);
    return true;
}

void rill_birth_receiver_closed(struct rill_birth *birth)
{
    if (own(birth)) {
        lock_birth(birth);
        birth->receiver = NULL;
        unlock_birth(birth);
    }
    if (birth)
        release_birth(birth);
}

/* ---- the other side ---- */

struct rest {
    struct rill_core *core;
    struct rill_lane *lane;
    struct rill_identity page;
    uint32_t page_generation;
    uint32_t imports; /* in that generation */
    uint32_t forks;
    struct rest *next;
};

struct rill_shelf {
    _Atomic uint32_t references;
    uint32_t generation; /* of the process */
    pthread_mutex_t lock;
    bool closed;
    struct rest *rests; /* newest first */
};

static void free_rests(struct rest *rest, uint32_t generation)
{
    while (rest) {
        struct rest *next = rest->next;
        close_resting_lane(rest->lane, generation);
        rill_core_release(rest->core);
        free(rest);
        rest = next;
    }
}

static struct rill_shelf *make_shelf(void)
{
    struct rill_shelf *made = calloc(1, sizeof *made);
    if (made && pthread_mutex_init(&made->lock, NULL) != 0) {
        free(made);
        made = NULL;
    }
    if (!made)
        return NULL;
    atomic_init(&made->references, 1);
    made->generation = generation_now();
    return made;
}

static void release_shelf(struct rill_shelf *shelf)
{
    if (atomic_fetch_sub_explicit(&shelf->references, 1, memory_order_acq_rel) == 1)
        free(shelf);
}

void rill_shelf_close(struct rill_shelf *shelf)
{
    if (!shelf)
        return;
    bool own = shelf->generation == generation_now(); /* else the lock may have been inherited locked */
    if (own)
        (void)pthread_mutex_lock(&shelf->lock);
    struct rest *rests = shelf->rests;
    shelf->rests = NULL;
    shelf->closed = true;
    if (own)
        (void)pthread_mutex_unlock(&shelf->lock);
    free_rests(rests, shelf->generation);
    release_shelf(shelf);
}

/* The shelf of a lane, made at its first use; NULL: there is no memory, or it is the parent's. */
static struct rill_shelf *shelf_of(struct rill_inlane *via)
{
    (void)pthread_mutex_lock(&via->lock);
    if (!via->shelf && !atomic_load_explicit(&via->dropped, memory_order_relaxed))
        via->shelf = make_shelf();
    struct rill_shelf *shelf = via->shelf;
    if (shelf && shelf->generation == generation_now())
        atomic_fetch_add_explicit(&shelf->references, 1, memory_order_relaxed);
    else
        shelf = NULL;
    (void)pthread_mutex_unlock(&via->lock);
    return shelf;
}

static bool same_identity(const struct rill_identity *a, const struct rill_identity *b)
{
    return a->word[0] == b->word[0] && a->word[1] == b->word[1];
}

static struct rest *take_rest(struct rill_shelf *shelf, const struct rill_identity *page)
{
    (void)pthread_mutex_lock(&shelf->lock);
    struct rest **link = &shelf->rests;
    while (*link && !same_identity(&(*link)->page, page))
        link = &(*link)->next;
    struct rest *found = *link;
    if (found) {
        *link = found->next;
        found->next = NULL;
    }
    (void)pthread_mutex_unlock(&shelf->lock);
    return found;
}

/* Only a new generation of the page begins the ring anew; in the same one the sender has come once more. */
static void renew_rest(struct rest *rest)
{
    uint32_t generation = atomic_load_explicit(&rest->core->page->generation, memory_order_acquire);
    if (generation != rest->page_generation) {
        rill_lane_renew(rest->lane);
        rest->page_generation = generation;
        rest->imports = 0;
    }
    rest->imports++;
    rill_lane_wake_up(rest->lane);
}

static void fill_endpoint(struct rill_endpoint *endpoint, struct rill_shelf *shelf, uint32_t imports, uint32_t page_generation)
{
    endpoint->shelf = shelf;
    atomic_store_explicit(&endpoint->imports, imports, memory_order_relaxed);
    endpoint->forks = forks_now();
    endpoint->page_generation = page_generation;
}

static int open_on(struct rill_shelf *shelf, struct rest *rest, rill_object socket, rill_sender **sender)
{
    int code = rill_sender_make(rest->core, socket, sender);
    if (code != RILL_OK) {
        free_rests(rest, shelf->generation);
        return code;
    }
    renew_rest(rest);
    atomic_store_explicit(&(*sender)->endpoint->lane, rest->lane, memory_order_release);
    fill_endpoint((*sender)->endpoint, shelf, rest->imports, rest->page_generation);
    free(rest);
    return RILL_OK;
}

int rill_rest_open(struct rill_inlane *via, const struct rill_identity *page, rill_object socket, rill_sender **sender)
{
    struct rill_shelf *shelf = via ? shelf_of(via) : NULL;
    if (!shelf)
        return RILL_ENOTSUP;
    struct rest *rest = take_rest(shelf, page);
    bool usable = rest && rest->forks == forks_now() && atomic_load_explicit(&rest->core->page->closed, memory_order_acquire) == 0 &&
                  atomic_load_explicit(&rest->lane->header->rings, memory_order_seq_cst) == 1;
    int code = usable ? open_on(shelf, rest, socket, sender) : RILL_ENOTSUP;
    if (rest && !usable)
        free_rests(rest, shelf->generation);
    if (code != RILL_OK)
        release_shelf(shelf);
    return code;
}

void rill_rest_count(struct rill_endpoint *endpoint)
{
    if (endpoint->shelf)
        atomic_fetch_add_explicit(&endpoint->imports, 1, memory_order_relaxed);
}

void rill_rest_note(struct rill_endpoint *endpoint, struct rill_inlane *via)
{
    struct rill_shelf *shelf = via && endpoint->transport == RILL_SHM ? shelf_of(via) : NULL;
    struct rill_core *core = endpoint->core;
    if (shelf)
        fill_endpoint(endpoint, shelf, 1, atomic_load_explicit(&core->page->generation, memory_order_acquire));
}

/* The oldest beyond the bound goes. */
static bool put_rest(struct rill_shelf *shelf, struct rest *rest)
{
    (void)pthread_mutex_lock(&shelf->lock);
    bool open = !shelf->closed;
    struct rest *oldest = NULL;
    if (open) {
        rest->next = shelf->rests;
        shelf->rests = rest;
        struct rest **link = &shelf->rests;
        for (unsigned i = 0; i < RESTS_MOST && *link; i++)
            link = &(*link)->next;
        oldest = *link;
        *link = NULL;
    }
    (void)pthread_mutex_unlock(&shelf->lock);
    free_rests(oldest, shelf->generation);
    return open;
}

bool rill_rest_endpoint(struct rill_endpoint *endpoint, struct rill_lane *lane)
{
    struct rill_shelf *shelf = endpoint->shelf;
    struct rill_core *core = endpoint->core;
    if (!shelf || shelf->generation != generation_now() || endpoint->retired || endpoint->forks != forks_now() ||
        atomic_load_explicit(&core->page->spread, memory_order_acquire) || !rill_lane_can_rest(lane))
        return false;
    struct rest *rest = malloc(sizeof *rest);
    if (!rest)
        return false;
    *rest = (struct rest){.core = core,
                          .lane = lane,
                          .page = endpoint->name.page,
                          .page_generation = endpoint->page_generation,
                          .imports = atomic_load_explicit(&endpoint->imports, memory_order_relaxed),
                          .forks = endpoint->forks};
    rill_core_reference(core);
    rill_lane_rest(lane, rest->imports);
    if (put_rest(shelf, rest))
        return true;
    rill_core_release(core);
    free(rest);
    return false;
}

void rill_reuse_endpoint_closed(struct rill_endpoint *endpoint)
{
    struct rill_birth *birth = endpoint->birth;
    if (endpoint->shelf)
        release_shelf(endpoint->shelf);
    if (endpoint->transport == RILL_SHM)
        (void)rill_reuse_drop(endpoint->serial);
    if (own(birth)) {
        lock_birth(birth);
        birth->endpoint = NULL;
        unlock_birth(birth);
    }
    if (birth)
        release_birth(birth);
}
