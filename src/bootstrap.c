/* SPDX-License-Identifier: MIT */
/*
 * Ends that a started program inherits. The started program gets the socket and the control page of each end under the numbers that they have
 * here, and their list in the environment:
 *
 *     RILL_INHERITED=s,SOCKET,PAGE;r,SOCKET,PAGE;…
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "channel.h"
#include "inbox.h"
#include "process.h"

#define VARIABLE "RILL_INHERITED"
#define HANDLES_MOST 1000
#define ENTRY_MOST 32 /* bytes of one entry of the list */

extern char **environ;

/* ---- starting ---- */

static int check_receiver(const rill_receiver *receiver)
{
    if (!rill_is_receiver(receiver))
        return RILL_EINVAL;
    if (receiver->transport == RILL_INPROC)
        return RILL_ENOTSUP;
    if (rill_receiver_idle(receiver) == RILL_EINSET)
        return RILL_EINSET;
    bool used = receiver->reader != 0 || atomic_load_explicit(&receiver->busy, memory_order_relaxed) ||
                receiver->owner != atomic_load_explicit(&rill_generation, memory_order_relaxed);
    return used ? RILL_EBUSY : RILL_OK;
}

static int check_handle(const struct rill_handle *handles, size_t index)
{
    const struct rill_handle *handle = &handles[index];
    if (handle->kind == RILL_HANDLE_SENDER) {
        const struct rill_endpoint *endpoint = rill_endpoint_of(handle->as.sender);
        return !endpoint ? RILL_EINVAL : endpoint->transport == RILL_INPROC ? RILL_ENOTSUP : RILL_OK;
    }
    if (handle->kind != RILL_HANDLE_RECEIVER)
        return RILL_EINVAL;
    for (size_t i = 0; i < index; i++)
        if (handles[i].kind == RILL_HANDLE_RECEIVER && handles[i].as.receiver == handle->as.receiver)
            return RILL_EINVAL;
    return check_receiver(handle->as.receiver);
}

static void objects_of(const struct rill_handle *handle, rill_object pair[2])
{
    bool sender = handle->kind == RILL_HANDLE_SENDER;
    pair[0] = sender ? handle->as.sender->endpoint->socket : handle->as.receiver->socket;
    pair[1] = sender ? handle->as.sender->endpoint->core->memory : handle->as.receiver->core->memory;
}

/* The whole setting of the variable, to be freed. NULL: no memory. */
static char *describe(const struct rill_handle *handles, size_t count)
{
    char *text = malloc(sizeof VARIABLE + 1 + count * ENTRY_MOST);
    if (!text)
        return NULL;
    size_t length = (size_t)sprintf(text, "%s=", VARIABLE);
    for (size_t i = 0; i < count; i++) {
        rill_object pair[2];
        objects_of(&handles[i], pair);
        char kind = handles[i].kind == RILL_HANDLE_SENDER ? 's' : 'r';
        length += (size_t)snprintf(text + length, ENTRY_MOST, "%c,%d,%d;", kind, pair[0], pair[1]);
    }
    return text;
}

/* The environment with the variable set; the array is to be freed, its strings are not copies. */
static char **environment_with(char *const *given, char *setting)
{
    size_t count = 0;
    while (given[count])
        count++;
    char **made = malloc((count + 2) * sizeof *made);
    if (!made)
        return NULL;
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (strncmp(given[i], VARIABLE "=", sizeof VARIABLE) != 0)
            made[kept++] = given[i];
    made[kept] = setting;
    made[kept + 1] = NULL;
    return made;
}

static int start(const char *path, char *const argv[], char *const envp[], const struct rill_handle *handles, size_t count, pid_t *pid)
{
    rill_object *objects = malloc((count ? count : 1) * 2 * sizeof *objects);
    char *setting = describe(handles, count);
    char **environment = setting ? environment_with(envp ? envp : environ, setting) : NULL;
    int code = RILL_ENOMEM;
    if (objects && environment) {
        for (size_t i = 0; i < count; i++)
            objects_of(&handles[i], &objects[2 * i]);
        code = rill_port_start(path, argv, environment, objects, 2 * count, pid);
    }
    free(environment);
    free(setting);
    free(objects);
    return code;
}

int rill_spawn(const char *path, char *const argv[], char *const envp[], struct rill_handle *handles, size_t count, pid_t *pid)
{
    if (!path || !argv || !pid || (!handles && count) || count > HANDLES_MOST)
        return RILL_EINVAL;
    for (size_t i = 0; i < count; i++) {
        int code = check_handle(handles, i);
        if (code != RILL_OK)
            return code;
    }
    int code = start(path, argv, envp, handles, count, pid);
    for (size_t i = 0; i < count && code == RILL_OK; i++) {
        if (handles[i].kind == RILL_HANDLE_RECEIVER) {
            rill_receiver_dispose(handles[i].as.receiver, false);
            handles[i].as.receiver = NULL;
        }
    }
    return code;
}

/* ---- taking ---- */

struct inherited {
    char *text; /* where it stands */
    char kind;
    rill_object socket, page;
};

/* Finds an entry of the list and strikes it out, so that it is taken once. */
static int take_entry(size_t index, struct inherited *entry)
{
    char *text = getenv(VARIABLE);
    for (size_t i = 0; text && *text; i++) {
        char *end = strchr(text, ';');
        if (!end)
            return RILL_EINVAL;
        if (i == index) {
            if (sscanf(text, "%c,%d,%d;", &entry->kind, &entry->socket, &entry->page) != 3 || (entry->kind != 's' && entry->kind != 'r'))
                return RILL_EINVAL;
            entry->text = text;
            *text = '-';
            return RILL_OK;
        }
        text = end + 1;
    }
    return RILL_EINVAL;
}

static int make_end(const struct inherited *entry, struct rill_core *core, struct rill_handle *handle)
{
    if (entry->kind == 's') {
        handle->kind = RILL_HANDLE_SENDER;
        return rill_sender_make(core, entry->socket, &handle->as.sender);
    }
    handle->kind = RILL_HANDLE_RECEIVER;
    return rill_receiver_make(core, entry->socket, &handle->as.receiver);
}

static int open_end(const struct inherited *entry, struct rill_handle *handle)
{
    struct rill_core *core;
    int code = rill_core_open(entry->page, &core);
    if (code != RILL_OK)
        return code == RILL_EVERSION || code == RILL_ENOMEM ? code : RILL_EINVAL;
    struct rill_handle made = {0};
    code = make_end(entry, core, &made);
    if (code != RILL_OK) {
        core->memory = RILL_NO_OBJECT; /* the list still names it */
        rill_core_release(core);
        return code;
    }
    rill_port_inherit(entry->socket, false);
    rill_port_inherit(entry->page, false);
    *handle = made;
    return RILL_OK;
}

int rill_inherited(size_t index, struct rill_handle *handle)
{
    if (!handle)
        return RILL_EINVAL;
    int code = rill_process_prepare();
    if (code != RILL_OK)
        return code;
    struct inherited entry = {0};
    rill_process_lock(); /* the environment is read and changed */
    code = take_entry(index, &entry);
    if (code == RILL_OK)
        code = open_end(&entry, handle);
    if (code != RILL_OK && entry.text)
        *entry.text = entry.kind; /* it can be tried again */
    rill_process_unlock();
    return code;
}
