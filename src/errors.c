/* SPDX-License-Identifier: MIT */
#include <stddef.h>

#include <rill/rill.h>

static const struct {
    int code;
    const char *name;
    const char *text;
} errors[] = {
    {RILL_OK, "RILL_OK", "success"},
    {RILL_EINVAL, "RILL_EINVAL", "invalid argument"},
    {RILL_EDISCONNECTED, "RILL_EDISCONNECTED", "all senders are gone and the queue is empty"},
    {RILL_EBROKEN, "RILL_EBROKEN", "the receiver is gone"},
    {RILL_EEMPTY, "RILL_EEMPTY", "no message is waiting"},
    {RILL_EFULL, "RILL_EFULL", "the queue is full"},
    {RILL_ETIMEDOUT, "RILL_ETIMEDOUT", "the time is up"},
    {RILL_EINTERRUPTED, "RILL_EINTERRUPTED", "interrupted by another thread"},
    {RILL_EMSGSIZE, "RILL_EMSGSIZE", "the message is too large"},
    {RILL_EBUSY, "RILL_EBUSY", "in use elsewhere"},
    {RILL_ENOMEM, "RILL_ENOMEM", "out of memory or address space"},
    {RILL_ENOFD, "RILL_ENOFD", "out of descriptors"},
    {RILL_EAGAIN, "RILL_EAGAIN", "the channel's socket is full of newcomers, try again"},
    {RILL_EPEER, "RILL_EPEER", "a peer broke the rules"},
    {RILL_EVERSION, "RILL_EVERSION", "a peer has another version or layout"},
    {RILL_EQUOTA, "RILL_EQUOTA", "a peer exceeds the receiver's quotas"},
    {RILL_ENOTSUP, "RILL_ENOTSUP", "not supported here"},
    {RILL_ESYSTEM, "RILL_ESYSTEM", "the operating system refused, see errno"},
    {RILL_ENOHANDLE, "RILL_ENOHANDLE", "the message has no such handle, or it was taken"},
    {RILL_EKIND, "RILL_EKIND", "the handle is of another kind"},
    {RILL_EDESCRIPTOR, "RILL_EDESCRIPTOR", "not an open descriptor"},
    {RILL_EINFLIGHT, "RILL_EINFLIGHT", "too many descriptors under way"},
    {RILL_ENOSERVER, "RILL_ENOSERVER", "nobody serves this name"},
    {RILL_EUSED, "RILL_EUSED", "the server has its client already"},
    {RILL_EDENIED, "RILL_EDENIED", "not let in"},
    {RILL_ENAMEUSED, "RILL_ENAMEUSED", "the name is served already"},
    {RILL_EINSET, "RILL_EINSET", "the receiver is in a set or router"},
    {RILL_ENOENTRY, "RILL_ENOENTRY", "no such receiver, or none at all"},
    {RILL_ESHUTDOWN, "RILL_ESHUTDOWN", "the router was shut down"},
    {RILL_ECALLBACK, "RILL_ECALLBACK", "not from a callback of the same router"},
    {RILL_EDECODE, "RILL_EDECODE", "not a value, or beyond the limits"},
    {RILL_ETYPE, "RILL_ETYPE", "of another type"},
    {RILL_EREADONLY, "RILL_EREADONLY", "read-only memory"},
    {RILL_EREADY, "RILL_EREADY", "there is something to do first"},
};

#define ERROR_COUNT (sizeof errors / sizeof *errors)

const char *rill_strerror(int code)
{
    for (size_t i = 0; i < ERROR_COUNT; i++)
        if (errors[i].code == code)
            return errors[i].text;
    return "unknown error";
}

const char *rill_error_name(int code)
{
    for (size_t i = 0; i < ERROR_COUNT; i++)
        if (errors[i].code == code)
            return errors[i].name;
    return "unknown error";
}
