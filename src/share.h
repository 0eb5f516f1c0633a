/* SPDX-License-Identifier: MIT */
/*
 * An in-process channel becomes a shared one when an end of it leaves the process. It stays one.
 *
 *   1. Under the process's share lock and the queue's lock a shared channel is made with the same options. All that is queued is sent through it, in order and
 *      without regard to the limit; handles inside are packed as for any other process. If that fails the new channel is thrown away with what it holds, and
 *      nothing has changed.
 *   2. Then, still under the queue's lock, the endpoint gets the sending end and says so (its `transport`, release), and the queue `shared`: whoever comes
 *      to the queue from now on, or waits in it, is told RILL_QUEUE_SHARED and goes on in the shared channel. A send that returned before is in front of
 *      everything that is sent from now on, in one lane of this process.
 *   3. The receiver stays what it was until its thread comes: then it takes over the shared channel's receiver, which waits in the queue for it.
 *
 * While a channel's queue is sent over, other in-process channels whose ends lie in it become shared in the same thread. A thread holds the share lock over
 * all of that, and takes the locks of queues only inside it, so that no two threads wait for each other; and an end of a channel that is just going over
 * is packed with the new objects, which its endpoint has already.
 */
#ifndef RILL_SHARE_H
#define RILL_SHARE_H

#include <rill/rill.h>

struct rill_queue;

/* Does nothing if it is a shared one. RILL_ENOMEM, RILL_ENOFD, RILL_EINFLIGHT …: nothing changed. RILL_ENOTSUP: in the child of a fork. */
int rill_queue_share(struct rill_queue *queue);

/* In the receiver's thread, when its source said RILL_QUEUE_SHARED: it is the shared channel's receiver from now on. RILL_ENOMEM, RILL_ENOFD: try again. */
int rill_receiver_go_over(rill_receiver *receiver);

#endif
