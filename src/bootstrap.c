/* SPDX-License-Identifier: MIT */
/*
 * Handles that a started program inherits. They are packed as for a message, but nothing carries them: the program keeps the objects under the
 * numbers that they have here, and reads the rest from a memory object, whose number stands in the environment:
 *
 *     RILL_INHERITED=NUMBER      memory: struct inheritance | struct inherited_object for each object | section (handle.h)
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../shm/layout.h"
#include "handle.h"
#include "process.h"

#define VARIABLE "RILL_INHERITED"
#define HANDLES_MOST 1000
#define INHERITANCE_MAGIC UINT64_C(0x7469726568006c6c)

struct inheritance {
    uint64_t magic;
    uint64_t fingerprint;
    uint32_t version;
    uint32_t handles;
    uint32_t objects;
    uint32_t reserved;
    uint64_t section; /* bytes */
};

struct inherited_object {
    int32_t number;
    uint32_t shared; /* 1: the program would have it without rill too, so it keeps that and gets a duplicate */
};

extern char **environ;

/* ---- starting ---- */

static void write_inheritance(unsigned char *place, const struct rill_parcel *parcel)
{
    struct inheritance head = {
        .magic = INHERITANCE_MAGIC,
        .fingerprint = RILL_FINGERPRINT,
        .version = RILL_LAYOUT_VERSION,
        .handles = parcel->handle_count,
        .objects = parcel->object_count,
        .section = parcel->section_bytes,
    };
    memcpy(place, &head, sizeof head);
    place += sizeof head;
    for (uint32_t i = 0; i < parcel->object_count; i++, place += sizeof(struct inherited_object)) {
        struct inherited_object object = {.number = parcel->objects[i], .shared = rill_port_is_inherited(parcel->objects[i])};
        memcpy(place, &object, sizeof object);
    }
    if (parcel->section_bytes)
        memcpy(place, parcel->section, (size_t)parcel->section_bytes);
}

static int make_inheritance(const struct rill_parcel *parcel, rill_object *memory)
{
    uint64_t size = sizeof(struct inheritance) + parcel->object_count * sizeof(struct inherited_object) + parcel->section_bytes;
    rill_object made;
    void *place;
    int code = rill_port_memory_create(size, false, &made);
    if (code != RILL_OK)
        return code;
    code = rill_port_memory_map(made, 0, size, NULL, &place);
    if (code != RILL_OK) {
        rill_port_close(made);
        return code;
    }
    write_inheritance(place, parcel);
    rill_port_memory_unmap(place, size);
    *memory = made;
    return RILL_OK;
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

static int start(const char *path, char *const argv[], char *const envp[], struct rill_parcel *parcel, pid_t *pid)
{
    rill_object memory;
    int code = make_inheritance(parcel, &memory);
    if (code != RILL_OK)
        return code;
    char setting[sizeof VARIABLE + 16];
    (void)snprintf(setting, sizeof setting, VARIABLE "=%d", memory);
    char **environment = environment_with(envp ? envp : environ, setting);
    code = environment ? rill_parcel_add_object(parcel, memory) : RILL_ENOMEM; /* behind those that are listed in it */
    if (code == RILL_OK)
        code = rill_port_start(path, argv, environment, parcel->objects, parcel->object_count, pid);
    free(environment);
    rill_port_close(memory);
    return code;
}

int rill_spawn(const char *path, char *const argv[], char *const envp[], struct rill_handle *handles, size_t count, pid_t *pid)
{
    if (!path || !argv || !pid || (!handles && count) || count > HANDLES_MOST)
        return RILL_EINVAL;
    struct rill_parcel parcel;
    int code = rill_parcel_pack(&parcel, handles, count, NULL);
    if (code != RILL_OK)
        return code;
    code = start(path, argv, envp, &parcel, pid);
    if (code == RILL_OK) {
        rill_parcel_sent(&parcel);
        return RILL_OK;
    }
    int saved = errno; /* why no program was started */
    rill_parcel_undo(&parcel);
    errno = saved;
    return code;
}

/* ---- taking ---- */

/* What this process inherited. Under the process's lock; but a handle is opened outside it, by the thread that has marked it. */
static struct rill_attachment *inherited; /* NULL: not read yet, or closed */
static bool taken[HANDLES_MOST];

/* The number that the variable names, and where it stands. */
static int read_variable(char **text, rill_object *memory)
{
    char again[16];
    *text = getenv(VARIABLE);
    if (!*text)
        return RILL_EINVAL;
    long number = strtol(*text, NULL, 10);
    if (number < 3 || number > INT32_MAX)
        return RILL_EINVAL;
    (void)snprintf(again, sizeof again, "%ld", number);
    *memory = (rill_object)number;
    return strcmp(again, *text) == 0 ? RILL_OK : RILL_EINVAL;
}

static int check_head(const struct inheritance *head, uint64_t size)
{
    if (head->magic != INHERITANCE_MAGIC)
        return RILL_EINVAL;
    if (head->version != RILL_LAYOUT_VERSION || head->fingerprint != RILL_FINGERPRINT)
        return RILL_EVERSION;
    bool fits = head->objects <= RILL_OBJECTS_MOST && head->handles <= HANDLES_MOST &&
                size == sizeof *head + head->objects * sizeof(struct inherited_object) + head->section;
    return fits ? RILL_OK : RILL_EINVAL;
}

/* Each object gets a number of its own: one that is listed again, or is not rill's alone, is duplicated. */
static int adopt_object(const unsigned char *list, uint32_t index, rill_object *object)
{
    struct inherited_object entry, other;
    memcpy(&entry, list + index * sizeof entry, sizeof entry);
    if (entry.number < 0 || !rill_port_is_open(entry.number))
        return RILL_EINVAL;
    bool again = entry.shared != 0 || entry.number < 3;
    for (uint32_t i = 0; i < index && !again; i++) {
        memcpy(&other, list + i * sizeof other, sizeof other);
        again = other.number == entry.number;
    }
    *object = entry.number;
    return again ? rill_port_duplicate(entry.number, object) : RILL_OK;
}

static bool is_listed(const unsigned char *list, uint32_t count, rill_object object)
{
    struct inherited_object entry;
    for (uint32_t i = 0; i < count; i++) {
        memcpy(&entry, list + i * sizeof entry, sizeof entry);
        if (entry.number == object)
            return true;
    }
    return false;
}

/* Closes the duplicates that were made, and none that the list names: it may be read again. */
static void give_back(const unsigned char *list, uint32_t listed, const rill_object *objects, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (!is_listed(list, listed, objects[i]))
            rill_port_close(objects[i]);
}

static int adopt(const struct inheritance *head, const unsigned char *list, struct rill_attachment **attachment)
{
    const unsigned char *section = list + head->objects * sizeof(struct inherited_object);
    rill_object *objects = malloc((head->objects ? head->objects : 1) * sizeof *objects);
    uint32_t count = 0;
    int code = objects ? RILL_OK : RILL_ENOMEM;
    while (code == RILL_OK && count < head->objects) {
        code = adopt_object(list, count, &objects[count]);
        count += code == RILL_OK;
    }
    if (code == RILL_OK)
        code = rill_attachment_make(section, head->section, objects, count, head->handles, NULL, attachment);
    if (code != RILL_OK)
        give_back(list, head->objects, objects, count);
    for (uint32_t i = 0; i < count && code == RILL_OK; i++)
        rill_port_inherit(objects[i], false);
    free(objects);
    return code == RILL_EPEER ? RILL_EINVAL : code;
}

static int read_memory(rill_object memory, struct rill_attachment **attachment)
{
    uint64_t size;
    void *place;
    struct inheritance head;
    if (rill_port_memory_check(memory, false) != RILL_OK || rill_port_memory_size(memory, &size) != RILL_OK || size < sizeof head)
        return RILL_EINVAL;
    int code = rill_port_memory_map(memory, 0, size, NULL, &place);
    if (code != RILL_OK)
        return code;
    memcpy(&head, place, sizeof head);
    code = check_head(&head, size);
    if (code == RILL_OK)
        code = adopt(&head, (unsigned char *)place + sizeof head, attachment);
    rill_port_memory_unmap(place, size);
    return code;
}

/* Reads the list, once. Under the lock: the environment is read and changed. */
static int read_inheritance(void)
{
    char *text;
    rill_object memory;
    int code = read_variable(&text, &memory);
    if (code == RILL_OK)
        code = read_memory(memory, &inherited);
    if (code != RILL_OK)
        return code;
    rill_port_close(memory);
    *text = '-'; /* programs that this one starts inherit nothing of it */
    return RILL_OK;
}

/* Marks a handle as this thread's to open. */
static int claim(size_t index)
{
    int code = inherited ? RILL_OK : read_inheritance();
    if (code != RILL_OK)
        return code;
    if (index >= inherited->count || taken[index])
        return RILL_EINVAL;
    taken[index] = true;
    return RILL_OK;
}

static void unclaim(size_t index)
{
    rill_process_lock();
    taken[index] = false;
    rill_process_unlock();
}

int rill_inherited(size_t index, struct rill_handle *handle)
{
    if (!handle)
        return RILL_EINVAL;
    int code = rill_process_prepare();
    if (code != RILL_OK)
        return code;
    rill_process_lock();
    code = claim(index);
    rill_process_unlock();
    if (code != RILL_OK)
        return code;
    code = rill_attachment_take(inherited, index, 0, handle);
    if (code == RILL_EPEER || code == RILL_EVERSION)
        return code == RILL_EPEER ? RILL_EINVAL : code; /* it is closed */
    if (code != RILL_OK)
        unclaim(index);
    return code;
}

int rill_inherited_close(void)
{
    int code = rill_process_prepare();
    if (code != RILL_OK)
        return code;
    rill_process_lock();
    code = inherited ? RILL_OK : read_inheritance();
    struct rill_attachment *closing = inherited;
    inherited = NULL;
    memset(taken, 0, sizeof taken);
    rill_process_unlock();
    rill_attachment_free(closing);
    return code == RILL_EINVAL ? RILL_OK : code;
}
