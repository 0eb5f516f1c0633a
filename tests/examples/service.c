/* SPDX-License-Identifier: MIT */
/*
 * usage: service
 *
 * A service with typed requests that carry the sender for their reply. This program starts itself a second time as the service, a store of notes, and
 * talks to it: no glue is written by hand, and both programs know the types by the same lists.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rill/rill.h>
#include <rill/type.h>

/* ---- what both sides know ---- */

#define NOTE(F) F(string, name) F(string, text)
RILL_STRUCT(note, NOTE);

#define NOTHING(F) F(boolean, sure)
RILL_PLAIN_STRUCT(nothing, NOTHING);

#define ACTION(F) F(nested, put, note) F(string, get) F(nested, list, nothing) F(nested, stop, nothing)
RILL_UNION(action, ACTION);

#define REQUEST(F) F(nested, action, action) F(sender, reply)
RILL_STRUCT(request, REQUEST);

#define OUTCOME(F) F(outcome_done, 0) F(outcome_unknown, 1) F(outcome_full, 2)
RILL_ENUM(outcome, OUTCOME);

#define ANSWER(F) F(enumeration, outcome, outcome) F(list, notes, nested, note)
RILL_STRUCT(answer, ANSWER);

static void check(int code, const char *what)
{
    if (code == RILL_OK)
        return;
    fprintf(stderr, "%s: %s\n", what, rill_strerror(code));
    exit(1);
}

/* ---- the service ---- */

#define NOTES_MOST 100

struct store {
    struct note notes[NOTES_MOST];
    size_t count;
};

static struct note *find_note(struct store *store, const char *name)
{
    for (size_t i = 0; i < store->count; i++)
        if (strcmp(store->notes[i].name, name) == 0)
            return &store->notes[i];
    return NULL;
}

/* The store takes the note over: what decoding has allocated is malloc's, and may go where it is needed. */
static struct answer put_note(struct store *store, struct note *note)
{
    struct note *place = note->name ? find_note(store, note->name) : NULL;
    if (!note->name || (!place && store->count == NOTES_MOST))
        return (struct answer){.outcome = note->name ? outcome_full : outcome_unknown};
    if (place)
        check(rill_type_free(&note_type, place), "rill_type_free");
    else
        place = &store->notes[store->count++];
    *place = *note;
    *note = (struct note){0};
    return (struct answer){.outcome = outcome_done};
}

/* Answers lend what is in the store. */
static struct answer get_note(struct store *store, const char *name)
{
    struct note *note = name ? find_note(store, name) : NULL;
    return (struct answer){.outcome = note ? outcome_done : outcome_unknown, .notes = {note, note != NULL}};
}

static struct answer act(struct store *store, struct action *action)
{
    switch (action->which) {
    case RILL_CASE(action, put):
        return put_note(store, &action->as.put);
    case RILL_CASE(action, get):
        return get_note(store, action->as.get);
    case RILL_CASE(action, list):
        return (struct answer){.outcome = outcome_done, .notes = {store->notes, store->count}};
    default:
        return (struct answer){.outcome = outcome_done};
    }
}

/* A client that sends something else, or is gone before it has its answer, is its own loss. */
static int serve(void)
{
    static struct store store;
    struct rill_handle requests;
    struct request request;
    bool stop = false;
    check(rill_inherited(0, &requests), "rill_inherited");
    for (int code; !stop && (code = rill_recv_as(requests.as.receiver, &request_type, &request)) != RILL_EDISCONNECTED;) {
        if (code == RILL_ETYPE || code == RILL_EDECODE)
            continue;
        check(code, "rill_recv_as");
        struct answer answer = act(&store, &request.action);
        stop = request.action.which == RILL_CASE(action, stop);
        if (request.reply)
            (void)rill_send_as(request.reply, &answer_type, &answer);
        check(rill_type_free(&request_type, &request), "rill_type_free");
    }
    for (size_t i = 0; i < store.count; i++)
        check(rill_type_free(&note_type, &store.notes[i]), "rill_type_free");
    return rill_receiver_close(&requests.as.receiver);
}

/* ---- a client ---- */

/* Sends a request with a fresh channel for its answer, and waits for that. RILL_EDISCONNECTED: the service went without one. */
static int ask(rill_sender *service, struct action action, struct answer *answer)
{
    rill_receiver *answers;
    struct request request = {.action = action};
    check(rill_channel(NULL, &request.reply, &answers), "rill_channel");
    check(rill_send_as(service, &request_type, &request), "rill_send_as");
    check(rill_sender_close(&request.reply), "rill_sender_close");
    int code = rill_recv_as(answers, &answer_type, answer);
    check(rill_receiver_close(&answers), "rill_receiver_close");
    return code;
}

static void show(const char *asked, struct answer *answer)
{
    char text[512];
    size_t size;
    check(rill_type_print(&answer_type, answer, text, sizeof text, &size), "rill_type_print");
    printf("%-6s %s\n", asked, text);
}

static void expect(bool holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "not so: %s\n", what);
        exit(1);
    }
}

static char *text_of(const char *literal)
{
    return (char *)(uintptr_t)literal; /* sending does not write to it */
}

static void put(rill_sender *service, const char *name, const char *text)
{
    struct answer answer;
    struct action action = {.which = RILL_CASE(action, put), .as.put = {text_of(name), text_of(text)}};
    check(ask(service, action, &answer), "put");
    show("put", &answer);
    expect(answer.outcome == outcome_done, "a note is put");
    check(rill_type_free(&answer_type, &answer), "rill_type_free");
}

static void get(rill_sender *service, const char *name, const char *expected)
{
    struct answer answer;
    check(ask(service, (struct action){.which = RILL_CASE(action, get), .as.get = text_of(name)}, &answer), "get");
    show("get", &answer);
    if (expected)
        expect(answer.notes.count == 1 && strcmp(answer.notes.items[0].text, expected) == 0, "the note is as it was put");
    else
        expect(answer.outcome == outcome_unknown, "a note that is not there is not found");
    check(rill_type_free(&answer_type, &answer), "rill_type_free");
}

static void talk(rill_sender *service)
{
    struct answer answer;
    put(service, "milk", "two litres");
    put(service, "bread", "rye");
    put(service, "milk", "three litres");
    get(service, "milk", "three litres");
    get(service, "butter", NULL);
    check(rill_send(service, "hello?", 6), "rill_send"); /* no request: the service goes on */
    check(ask(service, (struct action){.which = RILL_CASE(action, list)}, &answer), "list");
    show("list", &answer);
    expect(answer.notes.count == 2, "the list has both notes");
    check(rill_type_free(&answer_type, &answer), "rill_type_free");
    check(ask(service, (struct action){.which = RILL_CASE(action, stop)}, &answer), "stop");
    check(rill_type_free(&answer_type, &answer), "rill_type_free");
}

int main(int argc, char **argv)
{
    static char as_service[] = "--serve";
    if (argc > 1 && strcmp(argv[1], as_service) == 0)
        return serve();
    char *arguments[] = {argv[0], as_service, NULL};
    struct rill_handle requests = {.kind = RILL_HANDLE_RECEIVER};
    rill_sender *service;
    pid_t child;
    int status;
    check(rill_channel(NULL, &service, &requests.as.receiver), "rill_channel");
    check(rill_spawn("/proc/self/exe", arguments, NULL, &requests, 1, &child), "rill_spawn");
    talk(service);
    check(rill_sender_close(&service), "rill_sender_close");
    expect(waitpid(child, &status, 0) == child && status == 0, "the service ends well");
    return 0;
}
