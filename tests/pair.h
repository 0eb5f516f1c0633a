/* SPDX-License-Identifier: MIT */
/* Both ends of a channel with default options, for tests of shared memory alone. */
#ifndef RILL_TESTS_PAIR_H
#define RILL_TESTS_PAIR_H

#include "support.h"

struct pair {
    rill_sender *tx;
    rill_receiver *rx;
};

static inline struct pair open_pair(void)
{
    struct pair made;
    require_ok(rill_channel(NULL, &made.tx, &made.rx));
    return made;
}

static inline void close_pair(struct pair *pair)
{
    require_ok(rill_sender_close(&pair->tx));
    require_ok(rill_receiver_close(&pair->rx));
}

#endif
