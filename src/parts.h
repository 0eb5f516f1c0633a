/* SPDX-License-Identifier: MIT */
/* A message that the caller gives in several parts. */
#ifndef RILL_PARTS_H
#define RILL_PARTS_H

#include <string.h>

#include <rill/rill.h>

/* Copies the parts behind each other; a part without bytes may have no address. */
static inline void rill_parts_copy(unsigned char *target, const struct rill_bytes *parts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (parts[i].size)
            memcpy(target, parts[i].data, parts[i].size);
        target += parts[i].size;
    }
}

#endif
