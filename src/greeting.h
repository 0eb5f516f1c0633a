/* SPDX-License-Identifier: MIT */
/*
 * What two processes say to each other on the connection by which they meet: one packet each way, then it is closed.
 *
 *   rill_connect           client: greeting (RILL_PURPOSE_SERVER) with the receiver of its channel, and that is all; it does not wait
 *   rill_listener_connect  client: greeting (RILL_PURPOSE_LISTENER)
 *                          listener: greeting with a receiver and a sender, or with a reason why not
 *
 * The first 24 bytes are the same in all versions, so that another version is told from garbage.
 */
#ifndef RILL_GREETING_H
#define RILL_GREETING_H

#include <stdbool.h>
#include <stdint.h>

#include <rill/rill.h>

#include "handle.h"
#include "port.h"

#define RILL_GREETING_MAGIC UINT64_C(0x6f6c6c65686c6972)

enum rill_purpose {
    RILL_PURPOSE_SERVER = 1,
    RILL_PURPOSE_LISTENER = 2,
    RILL_PURPOSE_ANSWER = 3,
};

struct rill_greeting {
    uint64_t magic;
    uint64_t fingerprint;
    uint32_t version; /* RILL_LAYOUT_VERSION */
    uint32_t purpose;
    int32_t answer;   /* RILL_OK, or the RILL_E… code for which the client is turned away */
    uint32_t handles;
    uint64_t section; /* bytes of the handles' descriptions, which follow */
};

/* Sends a greeting without waiting. What moves among the handles is gone on success; of a parcel the caller does that. RILL_EBROKEN: the other side is
 * gone. */
int rill_greeting_send_parcel(rill_object end, uint32_t purpose, int answer, const struct rill_parcel *parcel);
int rill_greeting_send(rill_object end, uint32_t purpose, int answer, struct rill_handle *handles, size_t count);

/* Looks at the greeting that comes until `deadline`; it stays in the connection, so that an error of this process's (RILL_ENOMEM, RILL_ENOFD) loses
 * nothing: closing the connection throws it away. *attachment (NULL if it brings no handles) is the caller's.
 * RILL_EEMPTY, RILL_ETIMEDOUT; RILL_EDISCONNECTED, RILL_EBROKEN: the other side left; RILL_EVERSION; RILL_EPEER: no greeting. */
int rill_greeting_receive(rill_object end, int64_t deadline, struct rill_greeting *greeting, struct rill_attachment **attachment);

/* ---- names that rill makes up: rill:FINGERPRINT-RANDOM ---- */

#define RILL_MADE_UP_NAME_BYTES 55 /* with the 0 behind it */

int rill_name_make(char name[RILL_MADE_UP_NAME_BYTES]);

/* Could it be one? */
bool rill_name_is_made_up(const char *name);

/* RILL_EVERSION: it is one of another version. */
int rill_name_check_version(const char *name);

#endif
