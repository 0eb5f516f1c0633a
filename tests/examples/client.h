/* SPDX-License-Identifier: MIT */
/* The client of the echo services, so that each example is a whole program that ends by itself. */
#ifndef RILL_EXAMPLES_CLIENT_H
#define RILL_EXAMPLES_CLIENT_H

#include <rill/rill.h>

/* Forks a process that sends `requests` requests, each with a sender for its answer, checks the answers and exits with 0 if all were right.
 * `sender` is closed here. Returns the process, or -1. */
int start_client(rill_sender **sender, rill_receiver **receiver, unsigned requests);

/* Answers one request: sends its bytes back through the sender that came with it. Returns 0 or an error code. */
int answer_request(rill_message *request);

#endif
