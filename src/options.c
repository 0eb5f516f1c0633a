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
           options->spin <= SPIN_MOST && options->limit <= SIZE_MAX / 2;
}

int rill_options_copy(const void *given, void *options, size_t known)
{
    memset(options, 0, known);
    if (given) {
        size_t size;
        memcpy(&size, given, sizeof size);
        if (size < sizeof size || !unknown_part_is_zero(given, size, known))
            return RILL_EINVAL;
        memcpy(options, given, size < known ? size : known);
    }
    memcpy(options, &known, sizeof known);
    return RILL_OK;
}

int rill_options_read(const struct rill_channel_options *given, struct rill_channel_options *options)
{
    int code = rill_options_copy(given, options, sizeof *options);
    if (code != RILL_OK || !is_allowed(options))
        return RILL_EINVAL;
    if (!options->transport)
        options->transport = RILL_SHM;
    if (!options->on_full)
        options->on_full = options->transport == RILL_SOCKET ? RILL_FULL_WAIT : RILL_FULL_ERROR;
    if (!options->send_timeout)
        options->send_timeout = RILL_FOREVER;
    return RILL_OK;
}
