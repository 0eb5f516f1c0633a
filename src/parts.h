/* SPDX-License-Identifier: MIT */
/* A message that the caller gives in several parts; or that is written where it goes, by a function of ours. */
#ifndef RILL_PARTS_H
#define RILL_PARTS_H

#include <string.h>

#include <rill/rill.h>

/* In place of parts: `fill` writes all of `size` bytes. It may be asked more than once, of which only the last counts. */
struct rill_filling {
    size_t size;
    void (*fill)(const struct rill_filling *filling, unsigned char *target);
};

#define RILL_FILLED SIZE_MAX /* as the count of parts: `data` of the first is a struct rill_filling, `size` its size */

/* Copies the parts behind each other; a part without bytes may have no address. */
static inline void rill_parts_copy(unsigned char *target, const struct rill_bytes *parts, size_t count)
{
    if (count == RILL_FILLED) {
        const struct rill_filling *filling = (const struct rill_filling *)parts->data;
        filling->fill(filling, target);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (parts[i].size)
            memcpy(target, parts[i].data, parts[i].size);
        target += parts[i].size;
    }
}

#endif
