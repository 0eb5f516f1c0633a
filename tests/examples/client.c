/* SPDX-License-Identifier: MIT */
#include "client.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int ask(rill_sender *service, unsigned number)
{
    char text[32];
    size_t size = (size_t)snprintf(text, sizeof text, "request %u", number);
    rill_sender *answers;
    rill_receiver *answer;
    rill_message *message = NULL;
    int code = rill_channel(NULL, &answers, &answer);
    if (code != RILL_OK)
        return code;
    struct rill_handle handle = {.kind = RILL_HANDLE_SENDER, .as.sender = answers};
    code = rill_send_handles(service, text, size, &handle, 1);
    rill_sender_close(&answers); /* ours; the service has its own */
    if (code == RILL_OK)
        code = rill_recv(answer, &message);
    if (code == RILL_OK && (rill_message_size(message) != size || memcmp(rill_message_data(message), text, size) != 0))
        code = RILL_EPEER;
    rill_message_close(&message);
    rill_receiver_close(&answer);
    return code;
}

int start_client(rill_sender **sender, rill_receiver **receiver, unsigned requests)
{
    pid_t client = fork();
    if (client != 0) {
        rill_sender_close(sender); /* or the service would never see the end */
        return client;
    }
    rill_receiver_close(receiver);
    int code = RILL_OK;
    for (unsigned i = 0; i < requests && code == RILL_OK; i++)
        code = ask(*sender, i);
    if (code != RILL_OK)
        fprintf(stderr, "client: %s\n", rill_strerror(code));
    rill_sender_close(sender);
    _exit(code == RILL_OK ? 0 : 1);
}

int answer_request(rill_message *request)
{
    rill_sender *answer;
    int code = rill_message_take_sender(request, 0, &answer);
    if (code != RILL_OK)
        return code;
    code = rill_send(answer, rill_message_data(request), rill_message_size(request));
    rill_sender_close(&answer);
    return code == RILL_EBROKEN ? RILL_OK : code; /* a client that does not wait for its answer is no fault of ours */
}
