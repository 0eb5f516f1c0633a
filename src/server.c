/* SPDX-License-Identifier: MIT */
/* A name under which one process waits, once, for the receiver of a channel that another one makes. */
#include <stdlib.h>
#include <string.h>

#include "channel.h"
#include "door.h"
#include "options.h"

#define SERVER_MAGIC UINT32_C(0x72737276)

struct rill_server {
    uint32_t magic;
    _Atomic uint32_t busy;
    char name[RILL_NAME_MOST + 1];
    struct rill_door *door;   /* NULL once the client is there: nobody else is to come */
    struct rill_visit visit;  /* whose receiver could not be opened yet, if it has an attachment */
    rill_receiver *receiver;  /* its first message has not come yet */
};

static bool is_server(const rill_server *server)
{
    return server && server->magic == SERVER_MAGIC;
}

int rill_serve(const struct rill_server_options *options, rill_server **server)
{
    struct rill_server_options all;
    if (!server)
        return RILL_EINVAL;
    int code = rill_options_copy(options, &all, sizeof all);
    if (code != RILL_OK)
        return code;
    rill_server *made = calloc(1, sizeof *made);
    if (!made)
        return RILL_ENOMEM;
    struct rill_admission admission = {.admit = all.admit, .function = all.admit_function, .context = all.admit_context};
    code = rill_door_open(all.name, RILL_PURPOSE_SERVER, 0, all.mode, &admission, &made->door);
    if (code != RILL_OK) {
        free(made);
        return code;
    }
    memcpy(made->name, made->door->name, sizeof made->name);
    made->magic = SERVER_MAGIC;
    *server = made;
    return RILL_OK;
}

const char *rill_server_name(const rill_server *server)
{
    return is_server(server) ? server->name : NULL;
}

static void dispose(rill_server *server)
{
    rill_attachment_free(server->visit.attachment);
    if (server->door)
        rill_door_close(server->door);
    (void)rill_receiver_close(&server->receiver);
    server->magic = 0;
    free(server);
}

/* Opens what the client brought. RILL_EPEER, RILL_EVERSION: it was turned away. */
static int take_receiver(rill_server *server)
{
    struct rill_handle handle;
    int code = rill_attachment_take(server->visit.attachment, 0, RILL_HANDLE_RECEIVER, &handle);
    if (code == RILL_OK)
        server->receiver = handle.as.receiver;
    else if (code == RILL_ENOHANDLE || code == RILL_EKIND)
        code = RILL_EPEER;
    else if (code != RILL_EPEER && code != RILL_EVERSION)
        return code; /* it can be tried again */
    rill_attachment_free(server->visit.attachment);
    server->visit.attachment = NULL;
    rill_door_dismiss(server->door, server->visit.guest, RILL_OK);
    return code;
}

/* Waits for the client. After it the name is not served any more. */
static int meet(rill_server *server, int64_t deadline)
{
    int code;
    do {
        code = server->visit.attachment ? RILL_OK : rill_door_next(server->door, deadline, &server->visit);
        if (code == RILL_OK)
            code = take_receiver(server);
    } while (code == RILL_EPEER);
    if (code == RILL_OK) {
        rill_door_close(server->door);
        server->door = NULL;
    }
    return code;
}

static int accept_client(rill_server *server, int64_t deadline, rill_message **message)
{
    int code = server->receiver ? RILL_OK : meet(server, deadline);
    return code == RILL_OK ? rill_recv_until(server->receiver, deadline, message) : code;
}

int rill_server_accept(rill_server **server, int64_t deadline, rill_receiver **receiver, rill_message **message)
{
    if (!server || !is_server(*server) || !receiver || !message || deadline < 0)
        return RILL_EINVAL;
    rill_server *accepting = *server;
    if (atomic_exchange_explicit(&accepting->busy, 1, memory_order_acquire))
        return RILL_EBUSY;
    int code = accept_client(accepting, deadline, message);
    if (code != RILL_OK) {
        atomic_store_explicit(&accepting->busy, 0, memory_order_release);
        return code;
    }
    *receiver = accepting->receiver;
    accepting->receiver = NULL;
    *server = NULL;
    dispose(accepting);
    return RILL_OK;
}

int rill_server_close(rill_server **server)
{
    if (!server)
        return RILL_EINVAL;
    rill_server *closing = *server;
    *server = NULL;
    if (!closing)
        return RILL_OK;
    if (!is_server(closing))
        return RILL_EINVAL;
    dispose(closing);
    return RILL_OK;
}

/* ---- the client ---- */

/* The server hung up before it was given anything: it may have said why. */
static int hung_up(rill_object end)
{
    struct rill_greeting greeting;
    struct rill_attachment *attachment;
    if (rill_greeting_receive(end, RILL_NOW, &greeting, &attachment) != RILL_OK)
        return RILL_EBROKEN;
    rill_attachment_free(attachment);
    return greeting.answer == RILL_EDENIED ? RILL_EDENIED : RILL_EBROKEN;
}

/* Finds the server and gives it the receiver. A server that goes between the two counts as not found. */
static int find_and_give(struct rill_search *search, const struct rill_parcel *parcel)
{
    int code;
    do {
        rill_object end;
        code = rill_port_search_connect(search, false, &end);
        if (code != RILL_OK)
            break;
        code = rill_greeting_send_parcel(end, RILL_PURPOSE_SERVER, RILL_OK, parcel);
        if (code == RILL_EBROKEN)
            code = hung_up(end);
        rill_port_close(end);
    } while (code == RILL_EBROKEN);
    return code;
}

/* What may run short is taken before the one place at the server is. */
static int deliver(struct rill_search *search, rill_receiver **receiver)
{
    struct rill_handle handle = {.kind = RILL_HANDLE_RECEIVER, .as.receiver = *receiver};
    struct rill_parcel parcel;
    int code = rill_parcel_pack(&parcel, &handle, 1, NULL);
    if (code != RILL_OK)
        return code;
    code = find_and_give(search, &parcel);
    if (code == RILL_OK)
        rill_parcel_sent(&parcel);
    else
        rill_parcel_undo(&parcel);
    *receiver = handle.as.receiver;
    return code;
}

int rill_connect(const char *name, int64_t deadline, const struct rill_channel_options *options, rill_sender **sender)
{
    struct rill_channel_options all;
    rill_sender *tx;
    rill_receiver *rx;
    if (!name || !sender || deadline < 0)
        return RILL_EINVAL;
    int code = rill_options_read(options, &all);
    if (code == RILL_OK)
        code = all.transport == RILL_INPROC ? RILL_ENOTSUP : rill_name_check_version(name);
    if (code == RILL_OK)
        code = rill_channel(options, &tx, &rx);
    if (code != RILL_OK)
        return code;
    struct rill_search search;
    rill_port_search_start(&search, name, deadline);
    search.once = rill_name_is_made_up(name);
    code = deliver(&search, &rx);
    rill_port_search_end(&search);
    if (code == RILL_OK)
        *sender = tx;
    else
        (void)rill_sender_close(&tx);
    (void)rill_receiver_close(&rx);
    return code;
}
