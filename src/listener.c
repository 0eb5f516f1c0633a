/* SPDX-License-Identifier: MIT */
/* A name under which any number of clients get channels both ways. The listener makes both, so that its options hold. */
#include <stdlib.h>

#include "channel.h"
#include "door.h"
#include "options.h"
#include "process.h"

#define LISTENER_MAGIC UINT32_C(0x726c736e)
#define QUEUE_MOST UINT32_C(4096) /* connections that wait to be accepted; the system may allow fewer */

struct rill_listener {
    uint32_t magic;
    _Atomic uint32_t busy;
    struct rill_door *door;
    struct rill_channel_options channel;
};

static bool is_listener(const rill_listener *listener)
{
    return listener && listener->magic == LISTENER_MAGIC;
}

static int read_options(const struct rill_listener_options *given, struct rill_listener_options *options, struct rill_channel_options *channel)
{
    int code = rill_options_copy(given, options, sizeof *options);
    if (code == RILL_OK)
        code = rill_options_read(options->channel, channel);
    return code == RILL_OK && channel->transport == RILL_INPROC ? RILL_EINVAL : code;
}

int rill_listen(const char *name, const struct rill_listener_options *options, rill_listener **listener)
{
    struct rill_listener_options all;
    if (!listener)
        return RILL_EINVAL;
    rill_listener *made = calloc(1, sizeof *made);
    if (!made)
        return RILL_ENOMEM;
    int code = read_options(options, &all, &made->channel);
    struct rill_admission admission = {.admit = all.admit, .function = all.admit_function, .context = all.admit_context};
    if (code == RILL_OK)
        code = rill_door_open(name, RILL_PURPOSE_LISTENER, QUEUE_MOST, all.mode, &admission, &made->door);
    if (code != RILL_OK) {
        free(made);
        return code;
    }
    made->magic = LISTENER_MAGIC;
    *listener = made;
    return RILL_OK;
}

const char *rill_listener_name(const rill_listener *listener)
{
    return is_listener(listener) ? listener->door->name : NULL;
}

/* ---- accepting ---- */

/* The ends of two channels: what goes to the client, a receiver and a sender, and what stays. */
struct pair_of_channels {
    struct rill_handle theirs[2];
    rill_sender *sender;
    rill_receiver *receiver;
};

static void close_channels(struct pair_of_channels *channels)
{
    (void)rill_receiver_close(&channels->theirs[0].as.receiver);
    (void)rill_sender_close(&channels->theirs[1].as.sender);
    (void)rill_sender_close(&channels->sender);
    (void)rill_receiver_close(&channels->receiver);
}

static int make_channels(const struct rill_channel_options *options, struct pair_of_channels *channels)
{
    *channels = (struct pair_of_channels){.theirs = {{.kind = RILL_HANDLE_RECEIVER}, {.kind = RILL_HANDLE_SENDER}}};
    int code = rill_channel(options, &channels->sender, &channels->theirs[0].as.receiver);
    if (code == RILL_OK)
        code = rill_channel(options, &channels->theirs[1].as.sender, &channels->receiver);
    if (code != RILL_OK)
        close_channels(channels);
    return code;
}

/* RILL_EBROKEN: the client has left. */
static int welcome(const rill_listener *listener, const struct rill_visit *visit, struct rill_connection *connection)
{
    struct pair_of_channels channels;
    int code = make_channels(&listener->channel, &channels);
    if (code != RILL_OK)
        return code;
    code = rill_greeting_send(visit->end, RILL_PURPOSE_ANSWER, RILL_OK, channels.theirs, 2);
    if (code == RILL_OK) {
        *connection = (struct rill_connection){.sender = channels.sender, .receiver = channels.receiver, .peer = visit->peer};
        channels.sender = NULL;
        channels.receiver = NULL;
    }
    close_channels(&channels);
    return code;
}

static int accept_client(rill_listener *listener, int64_t deadline, struct rill_connection *connection)
{
    for (;;) {
        struct rill_visit visit;
        int code = rill_door_next(listener->door, deadline, &visit);
        if (code != RILL_OK)
            return code;
        rill_attachment_free(visit.attachment); /* nobody asked for handles */
        code = welcome(listener, &visit, connection);
        bool over = code == RILL_OK || code == RILL_EBROKEN || code == RILL_EFULL; /* full: it does not read what it is told */
        if (over)
            rill_door_dismiss(listener->door, visit.guest, RILL_OK);
        else
            rill_door_keep(listener->door, visit.guest);
        if (code == RILL_OK || !over)
            return code;
    }
}

int rill_listener_accept(rill_listener *listener, int64_t deadline, struct rill_connection *connection)
{
    if (!is_listener(listener) || !connection || deadline < 0)
        return RILL_EINVAL;
    if (atomic_exchange_explicit(&listener->busy, 1, memory_order_acquire))
        return RILL_EBUSY;
    int code = accept_client(listener, deadline, connection);
    atomic_store_explicit(&listener->busy, 0, memory_order_release);
    return code;
}

int rill_listener_interrupt(rill_listener *listener)
{
    if (!is_listener(listener))
        return RILL_EINVAL;
    rill_interrupt_raise(&listener->door->interrupted, &listener->door->event);
    return RILL_OK;
}

int rill_listener_descriptor(rill_listener *listener, int *descriptor)
{
    if (!is_listener(listener) || !descriptor)
        return RILL_EINVAL;
    int code = rill_door_settle(listener->door);
    if (code == RILL_OK)
        *descriptor = listener->door->poller;
    return code;
}

int rill_listener_close(rill_listener **listener)
{
    if (!listener)
        return RILL_EINVAL;
    rill_listener *closing = *listener;
    *listener = NULL;
    if (!closing)
        return RILL_OK;
    if (!is_listener(closing))
        return RILL_EINVAL;
    rill_door_close(closing->door);
    closing->magic = 0;
    free(closing);
    return RILL_OK;
}

/* ---- the client ---- */

static int read_answer(int answer)
{
    switch (answer) {
    case RILL_OK:
    case RILL_EDENIED:
    case RILL_ENOSERVER: /* somebody else than a listener */
    case RILL_EVERSION:
        return answer;
    default:
        return RILL_EPEER;
    }
}

static int take_ends(struct rill_attachment *attachment, struct rill_connection *connection)
{
    struct rill_handle handle;
    int code = rill_attachment_take(attachment, 0, RILL_HANDLE_RECEIVER, &handle);
    if (code == RILL_OK) {
        connection->receiver = handle.as.receiver;
        code = rill_attachment_take(attachment, 1, RILL_HANDLE_SENDER, &handle);
    }
    if (code == RILL_OK)
        connection->sender = handle.as.sender;
    return code == RILL_ENOHANDLE || code == RILL_EKIND ? RILL_EPEER : code;
}

/* RILL_EDISCONNECTED: the listener has gone, or had too many guests. */
static int introduce(rill_object end, int64_t deadline, struct rill_connection *connection)
{
    struct rill_greeting greeting;
    struct rill_attachment *attachment;
    int code = rill_greeting_send(end, RILL_PURPOSE_LISTENER, RILL_OK, NULL, 0);
    if (code == RILL_OK || code == RILL_EBROKEN) /* turned away before it said anything: why stands in the connection */
        code = rill_greeting_receive(end, deadline, &greeting, &attachment);
    if (code != RILL_OK)
        return code;
    struct rill_connection made = {0};
    code = greeting.purpose == RILL_PURPOSE_ANSWER ? read_answer(greeting.answer) : RILL_EPEER;
    if (code == RILL_OK)
        code = take_ends(attachment, &made);
    if (code == RILL_OK)
        code = rill_port_peer(end, &made.peer);
    rill_attachment_free(attachment);
    if (code == RILL_OK)
        *connection = made;
    else
        (void)rill_connection_close(&made);
    return code;
}

int rill_listener_connect(const char *name, int64_t deadline, struct rill_connection *connection)
{
    if (!name || !connection || deadline < 0)
        return RILL_EINVAL;
    int code = rill_name_check_version(name);
    if (code == RILL_OK)
        code = rill_process_prepare();
    if (code != RILL_OK)
        return code;
    struct rill_search search;
    rill_port_search_start(&search, name, deadline);
    search.once = rill_name_is_made_up(name);
    do {
        rill_object end;
        code = rill_port_search_connect(&search, true, &end);
        if (code != RILL_OK)
            break;
        code = introduce(end, deadline, connection);
        rill_port_close(end);
    } while (code == RILL_EDISCONNECTED || code == RILL_EBROKEN);
    rill_port_search_end(&search);
    return code == RILL_EEMPTY ? RILL_ETIMEDOUT : code;
}

int rill_connection_close(struct rill_connection *connection)
{
    if (!connection)
        return RILL_EINVAL;
    int sender = rill_sender_close(&connection->sender);
    int receiver = rill_receiver_close(&connection->receiver);
    return sender != RILL_OK ? sender : receiver;
}
