/* SPDX-License-Identifier: MIT */
/* The one place where the version stands: the build reads the soname from here. */
#ifndef RILL_VERSION_H
#define RILL_VERSION_H

#define RILL_VERSION_MAJOR 0
#define RILL_VERSION_MINOR 1
#define RILL_VERSION_PATCH 0

#endif
