/* SPDX-License-Identifier: MIT */
/* An echo service on libuv: requests call back from its loop. */
#include "adapters.h"
#include "client.h"

#include <stdio.h>
#include <sys/wait.h>
#include <uv.h>

#define REQUESTS 2000

struct service {
    rill_subscription *requests;
    uv_signal_t children;
    unsigned answered;
    int status; /* of our client */
};

static void on_request(void *user, int code, rill_message *request)
{
    struct service *service = user;
    if (code == RILL_EDISCONNECTED) { /* no client is left */
        rill_subscription_close(&service->requests, NULL);
        return;
    }
    if (code == RILL_OK)
        code = answer_request(request);
    if (code != RILL_OK)
        fprintf(stderr, "echo_libuv: %s\n", rill_strerror(code));
    service->answered += code == RILL_OK;
    rill_message_close(&request);
}

static void on_child(uv_signal_t *signal, int number)
{
    struct service *service = signal->data;
    (void)number;
    if (waitpid(-1, &service->status, WNOHANG) > 0)
        uv_close((uv_handle_t *)signal, NULL);
}

int main(void)
{
    struct service service = {.status = -1};
    rill_sender *sender;
    rill_receiver *receiver;
    uv_loop_t loop;
    if (rill_channel(NULL, &sender, &receiver) != RILL_OK || start_client(&sender, &receiver, REQUESTS) < 0)
        return 1;
    uv_loop_init(&loop);
    uv_signal_init(&loop, &service.children);
    service.children.data = &service;
    uv_signal_start(&service.children, on_child, SIGCHLD);
    on_child(&service.children, SIGCHLD); /* it may have been faster */
    int code = rill_receiver_on_message(&receiver, &libuv_adapter, &loop, on_request, &service, &service.requests);
    if (code != RILL_OK) {
        fprintf(stderr, "echo_libuv: %s\n", rill_strerror(code));
        return 1;
    }
    uv_run(&loop, UV_RUN_DEFAULT); /* until both the requests and the client have ended */
    uv_loop_close(&loop);
    printf("%u requests answered\n", service.answered);
    return service.status == 0 && service.answered == REQUESTS ? 0 : 1;
}
