/* SPDX-License-Identifier: MIT */
#include "door.h"

#include <stdlib.h>
#include <string.h>

#include "channel.h"
#include "process.h"

#define POINT_WORD UINT64_C(0) /* guests count from 1 */
#define ROUNDS_MOST 64u        /* of a look that is not to wait */

static uint32_t generation_now(void)
{
    return atomic_load_explicit(&rill_generation, memory_order_relaxed);
}

/* ---- guests ---- */

static struct rill_guest *find_guest(struct rill_door *door, uint64_t word)
{
    for (unsigned i = 0; i < door->guest_count; i++)
        if (door->guests[i].word == word)
            return &door->guests[i];
    return NULL;
}

void rill_door_dismiss(struct rill_door *door, uint64_t word, int answer)
{
    struct rill_guest *guest = find_guest(door, word);
    if (!guest)
        return;
    if (answer != RILL_OK)
        (void)rill_greeting_send(guest->end, RILL_PURPOSE_ANSWER, answer, NULL, 0); /* it may have left */
    if (guest->watched)
        rill_port_poller_remove(door->poller, guest->end);
    rill_port_close(guest->end);
    size_t behind = (size_t)(&door->guests[--door->guest_count] - guest);
    memmove(guest, guest + 1, behind * sizeof *guest);
}

void rill_door_keep(struct rill_door *door, uint64_t word)
{
    struct rill_guest *guest = find_guest(door, word);
    if (!guest || guest->watched)
        return;
    guest->watched = rill_port_poller_add_lasting(door->poller, guest->end, word) == RILL_OK;
    if (!guest->watched)
        rill_door_dismiss(door, word, RILL_OK); /* told nothing, it tries again */
}

/* The system says who it is, so whoever is not let in costs no place among the guests. */
static bool is_let_in(const struct rill_admission *admission, const struct rill_peer *peer)
{
    if (admission->admit == RILL_ADMIT_SAME_USER && peer->uid != rill_port_user())
        return false;
    return !admission->function || admission->function(admission->context, peer) != 0;
}

static void turn_away(rill_object end, int answer)
{
    (void)rill_greeting_send(end, RILL_PURPOSE_ANSWER, answer, NULL, 0);
    rill_port_close(end);
}

/* Accepts one connection. RILL_EEMPTY: none is there, or it was not let in. */
static int take_in(struct rill_door *door, struct rill_guest **guest)
{
    rill_object end;
    struct rill_peer peer;
    int code = rill_port_accept(door->point, &end);
    if (code != RILL_OK)
        return code;
    if (rill_port_peer(end, &peer) != RILL_OK || !is_let_in(&door->admission, &peer)) {
        turn_away(end, RILL_EDENIED);
        return RILL_EEMPTY;
    }
    if (door->guest_count == RILL_GUESTS_MOST)
        rill_door_dismiss(door, door->guests[0].word, RILL_OK);
    *guest = &door->guests[door->guest_count++];
    **guest = (struct rill_guest){.word = ++door->last_word, .end = end, .peer = peer};
    return RILL_OK;
}

/* RILL_EEMPTY: it has not greeted, or is gone. */
static int hear(struct rill_door *door, const struct rill_guest *guest, struct rill_visit *visit)
{
    uint64_t word = guest->word;
    struct rill_greeting greeting;
    struct rill_attachment *attachment;
    int code = rill_greeting_receive(guest->end, RILL_NOW, &greeting, &attachment);
    if (code == RILL_OK && greeting.purpose == door->purpose) {
        *visit = (struct rill_visit){.guest = word, .end = guest->end, .peer = guest->peer, .attachment = attachment};
        return RILL_OK;
    }
    switch (code) {
    case RILL_OK: /* a client of the other kind */
        rill_attachment_free(attachment);
        rill_door_dismiss(door, word, RILL_ENOSERVER);
        return RILL_EEMPTY;
    case RILL_EEMPTY:
    case RILL_ENOMEM:
    case RILL_ENOFD:
        rill_door_keep(door, word);
        return code;
    case RILL_EVERSION:
        rill_door_dismiss(door, word, RILL_EVERSION);
        return code;
    default:
        rill_door_dismiss(door, word, RILL_EPEER);
        return RILL_EEMPTY;
    }
}

/* RILL_OK: a greeting has come. RILL_EEMPTY: go on. */
static int deal_with(struct rill_door *door, uint64_t word, struct rill_visit *visit)
{
    struct rill_guest *guest = NULL;
    int code = RILL_EEMPTY;
    if (word == POINT_WORD)
        code = take_in(door, &guest);
    else
        guest = find_guest(door, word);
    return guest ? hear(door, guest, visit) : code;
}

/* One round: deals with what is ready, each member once, up to the first greeting. So nobody is passed over for those who say much; what is left over
 * is told again. RILL_EEMPTY: nothing was ready. RILL_EAGAIN: nothing came of it. */
static int look(struct rill_door *door, struct rill_visit *visit)
{
    uint64_t words[RILL_POLL_MOST];
    size_t count = 0;
    int code = rill_port_poller_wait(door->poller, RILL_NOW, words, &count);
    if (code != RILL_OK)
        return code == RILL_ETIMEDOUT ? RILL_EEMPTY : code;
    for (size_t i = 0; i < count; i++) {
        code = deal_with(door, words[i], visit);
        if (code != RILL_EEMPTY)
            return code;
    }
    return RILL_EAGAIN;
}

static int sleep_until(struct rill_door *door, int64_t deadline)
{
    rill_object listen;
    int code = rill_event_prepare(&door->event, &listen);
    if (code != RILL_OK || atomic_load_explicit(&door->interrupted, memory_order_seq_cst))
        return code;
    code = rill_port_wait_to_receive(door->poller, listen, deadline);
    if (code != RILL_EINTERRUPTED)
        return code;
    if (!atomic_load_explicit(&door->interrupted, memory_order_seq_cst))
        rill_interrupt_clear(&door->event); /* left over from an interrupt that was taken meanwhile */
    return RILL_OK;
}

/* Those who come only to be turned away may never end. */
static bool is_over(int64_t deadline, unsigned rounds)
{
    if (deadline == RILL_NOW)
        return rounds >= ROUNDS_MOST;
    return deadline != RILL_FOREVER && rill_port_clock() >= deadline;
}

int rill_door_next(struct rill_door *door, int64_t deadline, struct rill_visit *visit)
{
    int code = rill_door_settle(door);
    for (unsigned rounds = 1; code == RILL_OK; rounds++) {
        code = look(door, visit);
        if (code != RILL_EEMPTY && code != RILL_EAGAIN)
            return code;
        if (rill_interrupt_take(&door->interrupted, &door->event))
            return RILL_EINTERRUPTED;
        if (code == RILL_EAGAIN)
            code = !is_over(deadline, rounds) ? RILL_OK : deadline == RILL_NOW ? RILL_EEMPTY : RILL_ETIMEDOUT;
        else
            code = deadline == RILL_NOW ? RILL_EEMPTY : sleep_until(door, deadline);
    }
    return code;
}

/* ---- the door ---- */

static void forget_guests(struct rill_door *door)
{
    for (unsigned i = 0; i < door->guest_count; i++)
        rill_port_close(door->guests[i].end);
    door->guest_count = 0;
}

static int make_poller(struct rill_door *door)
{
    rill_object made;
    int code = rill_port_poller_create(&made);
    if (code != RILL_OK)
        return code;
    code = rill_port_poller_add_lasting(made, door->point, POINT_WORD);
    if (code == RILL_OK)
        door->poller = made;
    else
        rill_port_close(made);
    return code;
}

/* The poller is shared with the parent, and what this process put into it would come up there; the guests are the parent's to serve. */
int rill_door_settle(struct rill_door *door)
{
    if (door->generation == generation_now())
        return RILL_OK;
    rill_object shared = door->poller;
    int code = make_poller(door);
    if (code != RILL_OK)
        return code;
    rill_port_close(shared);
    rill_port_close(atomic_exchange_explicit(&door->event, RILL_NO_OBJECT, memory_order_relaxed)); /* the parent's threads signal it */
    forget_guests(door);
    door->generation = generation_now();
    return RILL_OK;
}

static int check_rules(uint32_t mode, const struct rill_admission *admission)
{
    return mode > 0777 || admission->admit > RILL_ADMIT_ANY_USER ? RILL_EINVAL : RILL_OK;
}

static int name_door(struct rill_door *door, const char *name)
{
    if (!name)
        return rill_name_make(door->name);
    size_t length = strlen(name);
    if (length > RILL_NAME_MOST)
        return RILL_EINVAL;
    memcpy(door->name, name, length + 1);
    return RILL_OK;
}

static struct rill_door *new_door(uint32_t purpose, const struct rill_admission *admission)
{
    struct rill_door *made = calloc(1, sizeof *made);
    if (!made)
        return NULL;
    made->purpose = purpose;
    made->admission = *admission;
    if (!made->admission.admit)
        made->admission.admit = RILL_ADMIT_SAME_USER;
    made->point = made->poller = RILL_NO_OBJECT;
    atomic_init(&made->event, RILL_NO_OBJECT);
    made->maker = made->generation = generation_now();
    return made;
}

int rill_door_open(const char *name, uint32_t purpose, unsigned queue, uint32_t mode, const struct rill_admission *admission,
                   struct rill_door **door)
{
    int code = check_rules(mode, admission);
    if (code == RILL_OK)
        code = rill_process_prepare();
    if (code != RILL_OK)
        return code;
    struct rill_door *made = new_door(purpose, admission);
    if (!made)
        return RILL_ENOMEM;
    code = name_door(made, name);
    if (code == RILL_OK)
        code = rill_port_serve(made->name, queue, mode ? mode : 0600, &made->point, &made->place);
    if (code == RILL_OK)
        code = make_poller(made);
    if (code != RILL_OK) {
        rill_door_close(made);
        return code;
    }
    *door = made;
    return RILL_OK;
}

void rill_door_close(struct rill_door *door)
{
    if (door->point != RILL_NO_OBJECT && door->maker == generation_now())
        rill_port_unserve(door->name, &door->place);
    forget_guests(door);
    rill_port_close(door->poller);
    rill_port_close(door->point);
    rill_port_close(atomic_load_explicit(&door->event, memory_order_relaxed));
    free(door);
}
