/* SPDX-License-Identifier: MIT */
#include "greeting.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "../shm/layout.h"

#define SECTION_MOST 4096u /* a few ends; a channel carries what is larger */
#define OBJECTS_MOST 16u
#define FIXED_PART offsetof(struct rill_greeting, answer)

static_assert(FIXED_PART == 24, "what every version understands stays where it is");

int rill_greeting_send_parcel(rill_object end, uint32_t purpose, int answer, const struct rill_parcel *parcel)
{
    struct rill_greeting greeting = {
        .magic = RILL_GREETING_MAGIC,
        .fingerprint = RILL_FINGERPRINT,
        .version = RILL_LAYOUT_VERSION,
        .purpose = purpose,
        .answer = answer,
        .handles = parcel->handle_count,
        .section = parcel->section_bytes,
    };
    struct rill_run_of_bytes runs[2] = {{&greeting, sizeof greeting}, {parcel->section, (size_t)parcel->section_bytes}};
    if (parcel->section_bytes > SECTION_MOST || parcel->object_count > OBJECTS_MOST)
        return RILL_ENOTSUP;
    return rill_port_send(end, runs, parcel->section_bytes ? 2 : 1, parcel->objects, parcel->object_count, false);
}

int rill_greeting_send(rill_object end, uint32_t purpose, int answer, struct rill_handle *handles, size_t count)
{
    struct rill_parcel parcel;
    int code = rill_parcel_pack(&parcel, handles, count, NULL);
    if (code != RILL_OK)
        return code;
    code = rill_greeting_send_parcel(end, purpose, answer, &parcel);
    if (code == RILL_OK)
        rill_parcel_sent(&parcel);
    else
        rill_parcel_undo(&parcel);
    return code;
}

static int check(const struct rill_greeting *greeting, size_t size)
{
    if (size < FIXED_PART || greeting->magic != RILL_GREETING_MAGIC)
        return RILL_EPEER;
    if (greeting->version != RILL_LAYOUT_VERSION || greeting->fingerprint != RILL_FINGERPRINT)
        return RILL_EVERSION;
    return size >= sizeof *greeting && greeting->section <= SECTION_MOST && size == sizeof *greeting + greeting->section ? RILL_OK : RILL_EPEER;
}

static int receive_handles(rill_object end, const struct rill_greeting *greeting, const unsigned char *section, struct rill_attachment **attachment)
{
    rill_object objects[OBJECTS_MOST];
    unsigned count;
    int code = rill_port_peek_objects(end, objects, OBJECTS_MOST, &count);
    if (code != RILL_OK)
        return code;
    code = rill_attachment_make(section, greeting->section, objects, count, greeting->handles, NULL, attachment);
    for (unsigned i = 0; i < count && code != RILL_OK; i++)
        rill_port_close(objects[i]);
    return code;
}

int rill_greeting_receive(rill_object end, int64_t deadline, struct rill_greeting *greeting, struct rill_attachment **attachment)
{
    struct {
        struct rill_greeting head;
        unsigned char section[SECTION_MOST];
    } packet = {0};
    size_t size;
    int code = rill_port_peek(end, RILL_NO_OBJECT, deadline, &packet, sizeof packet, &size);
    if (code == RILL_OK)
        code = check(&packet.head, size);
    struct rill_attachment *made = NULL;
    if (code == RILL_OK && packet.head.handles)
        code = receive_handles(end, &packet.head, packet.section, &made);
    if (code != RILL_OK)
        return code;
    *greeting = packet.head;
    *attachment = made;
    return RILL_OK;
}

/* ---- names ---- */

#define PREFIX "rill:"

static int write_version(char *text, size_t capacity)
{
    return snprintf(text, capacity, PREFIX "%016" PRIx64 "-", (uint64_t)RILL_FINGERPRINT);
}

int rill_name_make(char name[RILL_MADE_UP_NAME_BYTES])
{
    uint64_t word[2];
    if (!rill_port_random(word, sizeof word))
        return RILL_ESYSTEM;
    int length = write_version(name, RILL_MADE_UP_NAME_BYTES);
    (void)snprintf(name + length, RILL_MADE_UP_NAME_BYTES - (size_t)length, "%016" PRIx64 "%016" PRIx64, word[0], word[1]);
    return RILL_OK;
}

bool rill_name_is_made_up(const char *name)
{
    return strlen(name) == RILL_MADE_UP_NAME_BYTES - 1 && strncmp(name, PREFIX, sizeof PREFIX - 1) == 0;
}

int rill_name_check_version(const char *name)
{
    char version[RILL_MADE_UP_NAME_BYTES];
    int length = write_version(version, sizeof version);
    return !rill_name_is_made_up(name) || strncmp(name, version, (size_t)length) == 0 ? RILL_OK : RILL_EVERSION;
}
