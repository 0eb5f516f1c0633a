/* SPDX-License-Identifier: MIT */
/*
 * An echo service on plain epoll with signalfd: requests and signals come through one loop. It shows the rule for descriptors as it is: arm
 * before you sleep; when the descriptor is readable receive until nothing is left, then arm again.
 */
#include "client.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define REQUESTS 2000

struct service {
    int epoll, signals, requests;
    rill_receiver *receiver;
    unsigned answered;
    bool ended;  /* no client is left */
    bool stop;
    int status;  /* of our client, or -1 */
};

static int fail(const char *what, int code)
{
    fprintf(stderr, "echo_epoll: %s: %s\n", what, rill_strerror(code));
    return 1;
}

static bool watch(struct service *service, int descriptor)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.fd = descriptor};
    return epoll_ctl(service->epoll, EPOLL_CTL_ADD, descriptor, &event) == 0;
}

/* All that is there. */
static void serve(struct service *service)
{
    rill_message *request;
    int code;
    while ((code = rill_try_recv(service->receiver, &request)) == RILL_OK) {
        code = answer_request(request);
        if (code != RILL_OK)
            (void)fail("a request", code);
        service->answered++;
        rill_message_close(&request);
    }
    service->ended = code == RILL_EDISCONNECTED;
    if (code != RILL_EEMPTY && !service->ended)
        (void)fail("rill_try_recv", code);
}

static void take_signals(struct service *service)
{
    struct signalfd_siginfo signal;
    while (read(service->signals, &signal, sizeof signal) == (ssize_t)sizeof signal) {
        int status;
        if (signal.ssi_signo != SIGCHLD)
            service->stop = true;
        while (waitpid(-1, &status, WNOHANG) > 0)
            service->status = status;
    }
}

static void run(struct service *service)
{
    struct epoll_event event;
    while (!service->stop && !(service->ended && service->status >= 0)) {
        if (!service->ended && rill_receiver_arm(service->receiver) == RILL_EREADY) {
            serve(service);
            continue;
        }
        if (epoll_wait(service->epoll, &event, 1, -1) != 1)
            continue;
        if (event.data.fd == service->signals)
            take_signals(service);
        else if (!service->ended)
            serve(service);
    }
}

int main(void)
{
    struct service service = {.epoll = epoll_create1(EPOLL_CLOEXEC), .status = -1};
    rill_sender *sender;
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGCHLD);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    service.signals = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
    int code = rill_channel(NULL, &sender, &service.receiver);
    if (code != RILL_OK)
        return fail("rill_channel", code);
    if (start_client(&sender, &service.receiver, REQUESTS) < 0)
        return fail("fork", RILL_ESYSTEM);
    code = rill_receiver_descriptor(service.receiver, &service.requests);
    if (code != RILL_OK || !watch(&service, service.requests) || !watch(&service, service.signals))
        return fail("the loop", code);
    run(&service);
    rill_receiver_close(&service.receiver);
    close(service.signals);
    close(service.epoll);
    printf("%u requests answered\n", service.answered);
    return service.status == 0 && service.answered == REQUESTS ? 0 : 1;
}
