/* SPDX-License-Identifier: MIT */
/* Reading of option structs that begin with their size, from callers older and newer than this library. */
#ifndef RILL_OPTIONS_H
#define RILL_OPTIONS_H

#include <rill/rill.h>

/* For any such struct: copies it into one of `known` bytes, with what the caller does not know as 0. RILL_EINVAL: a size below the first field, or
 * something set that this library does not know. */
int rill_options_copy(const void *given, void *options, size_t known);

/* Copies the caller's options, NULL for all defaults, with what it does not know as 0. RILL_EINVAL: a size below the first field, something set
 * that this library does not know, or a value that is not allowed. */
int rill_options_read(const struct rill_channel_options *given, struct rill_channel_options *options);

#endif
