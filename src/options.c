/* SPDX-License-Identifier: MIT */
#include "options.h"

#include <stdbool.h>
#include <string.h>

#define SPIN_MOST INT64_C(1000000000)

static bool unknown_part_is_zero(const void *given, size_t size, size_t known)
{
    const unsigned char *bytes = given;
    for (size_t i = known; i < size; i++)
        if (bytes[i])
            return false;
    return true;
}

static bool is_allowed(const struct rill_channel_options *options)
{
    return options->transport <= RILL_INPROC && options->on_full <= RILL_FULL_WAIT && options->send_timeout >= 0 && options->spin >= -1 &&
           options->spin <= SPIN_MOST && options->reserved == 0 && options->limit <= SIZE_MAX / 2;
}

int rill_options_read(const struct rill_channel_options *given, struct rill_channel_options *options)
{
    memset(options, 0, sizeof *options);
    if (given) {
        size_t size = given->size;
        if (size < sizeof given->size || !unknown_part_is_zero(given, size, sizeof *options))
            return RILL_EINVAL;
        memcpy(options, given, size < sizeof *options ? size : sizeof *options);
        if (!is_allowed(options))
            return RILL_EINVAL;
    }
    options->size = sizeof *options;
    if (!options->transport)
        options->transport = RILL_SHM;
    if (!options->on_full)
        options->on_full = options->transport == RILL_SOCKET ? RILL_FULL_WAIT : RILL_FULL_ERROR;
    if (!options->send_timeout)
        options->send_timeout = RILL_FOREVER;
    return RILL_OK;
}
