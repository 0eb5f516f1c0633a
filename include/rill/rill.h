/* SPDX-License-Identifier: MIT */
/*
 * rill: channels between the processes of one machine.
 *
 * A channel is a one-way, first-in-first-out queue of messages with many senders and one receiver.
 * Its two ends may live in different processes. Messages travel through shared memory; the operating
 * system's socket carries only wakeups and descriptors. Sending never waits for the receiver.
 *
 *     process A                                               process B
 *     rill_send(tx, data, size)                               rill_recv(rx, &message)
 *        |                                                       ^
 *        v                                                       |
 *     [ lane of A: rings of small messages, arena of large ones ] --> one queue, in order
 *     [ lane of C: another sending process, another lane        ] --^
 *
 * Words
 *   channel   one queue; made by rill_channel() as a pair of ends.
 *   sender    the end that sends. It can be cloned; every process that inherits it may use it.
 *   receiver  the end that receives. There is one.
 *   message   a run of bytes and any number of handles; a received one is owned by whoever received it until rill_message_close().
 *   handle    what travels in a message beside bytes: a sender, a receiver, a file descriptor, a region, a buffer.
 *   set       waits on many receivers at once.
 *   router    a thread that receives for others: it calls back, or sends on.
 *   lane      the part of a channel that belongs to one sending process: its own shared memory.
 *   server    a name under which one process waits for the receiver of a channel that another process makes, once.
 *   listener  a name under which a process takes in any number of clients.
 *   transport what carries a channel: shared memory, a socket, or this process's own memory.
 *
 * What holds for every channel
 *   - A send that has returned success is received exactly once and whole, even if the sending process
 *     is killed at its next instruction (as long as the receiver lives and goes on receiving).
 *   - Order is real-time order over all senders: if send A returned before send B was called, in whatever
 *     threads or processes, A is received before B.
 *   - The death of a process never blocks another one, and leaves no file, name or memory behind.
 *   - Running out of memory or descriptors is an error code; the call has then done nothing, and the channel goes
 *     on working when the shortage is over. (A memory cgroup kills instead of failing; rill cannot change that.)
 *   - The library installs no signal handler, raises no SIGPIPE, starts no thread but a router's, prints nothing, never
 *     aborts, and needs no call to initialise it. Every descriptor that it opens is close-on-exec.
 *
 * Conventions
 *   Arguments: the object first, then inputs, then options, then outputs.
 *   Results:   0 is success; an error is one of the negative RILL_E… codes below. On an error no output is
 *              written unless the call says so. Every call can return RILL_EINVAL: a NULL that is not allowed, a pointer
 *              that is not a live object of the kind asked for (where it can be told), a size above SIZE_MAX / 2,
 *              a negative time, an unknown option value.
 *   Options:   structs that begin with their own size (`.size = sizeof options`); NULL means all defaults, and 0
 *              in a field means its default. A smaller struct (an older caller's) is read as if the fields that it lacks were
 *              0. A larger one (a newer caller's) is accepted if what this library does not know is 0, else it is RILL_EINVAL.
 *   Times:     nanoseconds, int64_t. A `deadline` is a point of CLOCK_MONOTONIC (rill_clock() + n), or RILL_NOW,
 *              or RILL_FOREVER. A `timeout` is a span from the moment of the call. No call returns RILL_ETIMEDOUT early. A call that a
 *              signal interrupts goes on waiting.
 *   Threads:   any number of threads may send on one sender at once. A receiver is used by one thread at a time: a second
 *              one gets RILL_EBUSY where that can be seen. Closing an end while another thread is inside a call on it is
 *              the caller's error; interrupt that thread first. Messages may be read and closed by any thread.
 *   Closing:   rill_…_close(T **) sets the pointer to NULL, also when it returns an error; closing a NULL is allowed.
 *
 * Fork: a child may use a sender that it inherited, at once, also if the parent has many threads. It may use an inherited receiver if
 * the parent lets go of it: see rill_receiver_close and rill_receiver_release. If both receive, the first one has the receiver and the other gets
 * RILL_EBUSY; so it is with the receivers in a message that both have, when both take them. To give a receiver to a process that is there
 * already, send it. An end that a child inherited and does not use still counts as an end, as with any descriptor: close it, or the other side will
 * not see the disconnect.
 *
 * Trust: whoever holds a sender can end the channel for all, keep newcomers out, and spoil the order between different
 * senders. It cannot read or change what others send, reorder one sender's messages, or harm the receiver's process.
 * What comes from a peer is checked; a peer that lies loses its lane (see RILL_EPEER).
 */
#ifndef RILL_H
#define RILL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <rill/version.h>

#if defined(__GNUC__)
#define RILL_API __attribute__((visibility("default")))
#else
#define RILL_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rill_sender rill_sender;
typedef struct rill_receiver rill_receiver;
typedef struct rill_message rill_message;
typedef struct rill_opaque rill_opaque;
typedef struct rill_region rill_region;
typedef struct rill_buffer rill_buffer;
typedef struct rill_pool rill_pool;
typedef struct rill_set rill_set;
typedef struct rill_router rill_router;
typedef struct rill_subscription rill_subscription;

typedef struct rill_server rill_server;
typedef struct rill_listener rill_listener;

/* ---------------------------------------------------------------- errors */

enum rill_error {
    RILL_OK = 0,
    RILL_EINVAL = -1,        /* an argument is not allowed; the call says which */
    RILL_EDISCONNECTED = -2, /* receiving: every sender is gone and the queue is empty; stays so */
    RILL_EBROKEN = -3,       /* sending: the receiver is gone, nothing was sent; stays so */
    RILL_EEMPTY = -4,        /* receiving without waiting: no message now */
    RILL_EFULL = -5,         /* sending: the queue's limit is reached (or, on a socket, its buffer is full) */
    RILL_ETIMEDOUT = -6,     /* the deadline passed */
    RILL_EINTERRUPTED = -7,  /* another thread called rill_…_interrupt */
    RILL_EMSGSIZE = -8,      /* the message does not fit the buffer given, or is above the receiver's max_message */
    RILL_EBUSY = -9,         /* the object is in use: in another thread, or by another process */
    RILL_ENOMEM = -10,       /* no memory or address space, or a limit on them */
    RILL_ENOFD = -11,        /* no descriptors left in the process or the system */
    RILL_EAGAIN = -12,       /* the channel's socket is full of other newcomers: try again */
    RILL_EPEER = -13,        /* a peer broke the rules of the shared memory; its lane is closed, others go on. Sending: the receiver did. */
    RILL_EVERSION = -14,     /* a peer has another version or layout of rill */
    RILL_EQUOTA = -15,       /* a sender's lane was refused or closed: above the receiver's quotas */
    RILL_ENOTSUP = -16,      /* this transport, or this system, cannot do that */
    RILL_ESYSTEM = -17,      /* the operating system refused for another reason; errno says which */
    RILL_ENOHANDLE = -18,    /* the message has no handle of that index, or it was taken already */
    RILL_EKIND = -19,        /* the handle is of another kind */
    RILL_EDESCRIPTOR = -20,  /* a file descriptor that was given is not open */
    RILL_EINFLIGHT = -21,    /* more descriptors under way between processes than the system allows this user; again when some were received */
    RILL_ENOSERVER = -22,    /* nobody serves that name: nobody did, or the server is gone */
    RILL_EUSED = -23,        /* the one-shot server of that name has its client already */
    RILL_EDENIED = -24,      /* the server does not let this process in, or the system its file */
    RILL_ENAMEUSED = -25,    /* somebody serves that name already */
    RILL_EINSET = -26,       /* the receiver is in a set or a router */
    RILL_ENOENTRY = -27,     /* no receiver with that id, or none at all to wait for */
    RILL_ESHUTDOWN = -28,    /* the router was shut down */
    RILL_ECALLBACK = -29,    /* not allowed from a callback of the same router */
    RILL_EDECODE = -30,      /* the bytes are not a value, or not within the limits given */
    RILL_ETYPE = -31,        /* the value, or the channel, is of another type */
    RILL_EREADONLY = -32,    /* the memory may not be written to */
    RILL_EREADY = -33,       /* arming a descriptor: there is something to do before you sleep */
};

/* A short English text for a code, never NULL; a code that is not rill's gives "unknown error". Any thread; no system call. */
RILL_API const char *rill_strerror(int code);

/* The name of a code, such as "RILL_EFULL", never NULL. Any thread; no system call. */
RILL_API const char *rill_error_name(int code);

/* ---------------------------------------------------------------- time */

#define RILL_NOW ((int64_t)0)           /* as a deadline: do not wait */
#define RILL_FOREVER ((int64_t)INT64_MAX) /* as a deadline or timeout: wait without limit */

/* Nanoseconds of CLOCK_MONOTONIC: the clock of all deadlines. Any thread; no system call on usual systems. */
RILL_API int64_t rill_clock(void);

/* ---------------------------------------------------------------- channels */

enum rill_transport {
    RILL_SHM = 1,    /* shared memory (the default) */
    RILL_SOCKET = 2, /* every byte through a socket: what to compare with, and a fallback. A send may wait or give RILL_EFULL
                        when the socket's buffer is full, as on_full says, also without a limit. */
    RILL_INPROC = 3, /* threads of one process: no shared memory, no descriptor. It does not survive fork into the child. When an end of it is sent to
                        another process the channel becomes one over shared memory, with what is queued, and stays one. */
};

enum rill_on_full {
    RILL_FULL_ERROR = 1, /* a send that finds the limit reached returns RILL_EFULL (the default with a limit) */
    RILL_FULL_WAIT = 2,  /* it sleeps until there is room, send_timeout passes, or the receiver is gone (on sockets the default) */
};

/* How many bytes of queue serve a pipeline best: enough that neither side waits for the other, few enough to be reused
 * while they are still in the cache. Use it as `limit` together with RILL_FULL_WAIT. perf/ shows what it was chosen from. */
#define RILL_PIPELINE_LIMIT ((uint64_t)4 << 20)

struct rill_channel_options {
    size_t size;           /* sizeof(struct rill_channel_options) */
    uint32_t transport;    /* enum rill_transport; 0: RILL_SHM */
    uint32_t on_full;      /* enum rill_on_full; 0: the default named there */
    uint64_t limit;        /* bytes that one sending process may have queued, each message counted as its size plus at most 40;
                              0: no limit. A message larger than the limit is sent when nothing else is queued by that process.
                              Threads that send at the same moment may exceed it by one message each. On RILL_SOCKET it does not count:
                              there the socket's buffer is the limit. The limit is counted for each
                              process apart, because a count that they share would be wrong for ever after one is killed.
                              What was received and is not closed does not count, but its memory is the sender's: where that is above 1 GiB
                              and above four times the limit (and four messages of the size to be sent), a send that needs more gives RILL_ENOMEM. */
    int64_t send_timeout;  /* RILL_FULL_WAIT: how long a send waits for room, ns; 0: for ever */
    int64_t spin;          /* how long a call that has to wait stays awake first, ns: at most 1 s. 0: adapts by itself, up to some tens of
                              microseconds where it has paid lately; -1: never (the one place where a negative number is allowed).
                              A receiver that stays awake and keeps up with a fast stream looks again only after 5 to 20 microseconds, as long as it
                              then finds many messages: else both sides would fight over every one. While a single sender floods it, with more than
                              20 messages or 10 KB a microsecond, it lets up to 2.5 MiB, or half of the limit, come together first, for 1 ms at most;
                              never beyond a deadline, and the end of a flood is seen within 40 microseconds. */
    uint32_t max_lanes;    /* receiver: lanes (sending processes) accepted at one time; 0: 16384 */
    uint32_t max_objects;  /* receiver: the system's objects that the handles of one message may need (a descriptor or a region 1, a sender 2, a receiver 2
                              and about one for each of its senders); 0: no limit. More of them close the lane (RILL_EQUOTA); its own senders refuse
                              it with RILL_EMSGSIZE before that. Without a limit a stranger's message that needs more descriptors than this
                              process can open is RILL_ENOFD for ever. Does not count in process. */
    uint64_t max_lane_bytes; /* receiver: shared memory that one lane may make it map; 0: the machine's memory */
    uint64_t max_message;  /* receiver: the largest message accepted; 0: no limit. A larger one closes its lane (RILL_EQUOTA). Its own
                              senders refuse it with RILL_EMSGSIZE before that. */
};

/* Makes a channel and gives its two ends, each owned by the caller. options may be NULL.
 * Any thread. Does not block; makes system calls (none for RILL_INPROC but memory).
 * RILL_EINVAL   a NULL output, or an option out of range.
 * RILL_ENOMEM, RILL_ENOFD, RILL_ESYSTEM   nothing was made. */
RILL_API int rill_channel(const struct rill_channel_options *options, rill_sender **sender, rill_receiver **receiver);

/* Gives back to the system what the library keeps for channels to come: control pages, small lanes and their descriptors, of a few closed channels (at
 * most 24 of this process's own and 32 that it shared with peers, of about 20 KiB and two or three descriptors each). The library does so itself before it
 * reports that descriptors or memory are short. Also unmaps what is kept of pools' buffers that were received and closed. Any thread; makes system calls.
 * Returns 0. */
RILL_API int rill_trim(void);

/* ---------------------------------------------------------------- sending */

/* Gives another sender of the same channel. Both must be closed. A clone costs no descriptor.
 * Any thread; does not block; no system call.
 * RILL_ENOMEM   nothing was made. */
RILL_API int rill_sender_clone(rill_sender *sender, rill_sender **clone);

/* Closes a sender. What was sent stays queued. When the last sender of the channel in all processes is closed or dead, the
 * receiver gets what is queued and then RILL_EDISCONNECTED. Any thread, but no other thread may be using this sender.
 * Does not block; may make system calls. Returns 0, or RILL_EINVAL (not a sender). */
RILL_API int rill_sender_close(rill_sender **sender);

/* Sends `size` bytes as one message; 0 bytes are a message too (data may then be NULL). The bytes are copied before the call
 * returns; the caller keeps its memory. On an error nothing was sent.
 *
 * Any thread. Shared memory: never waits for the receiver (unless the channel has a limit and RILL_FULL_WAIT) or for another process;
 * makes no system call unless its queue grows, the receiver has to be woken, or it has to wait for room. Where several processes
 * send small messages without pause and hinder each other, a call may return up to 20 microseconds after its message was sent.
 * RILL_EBROKEN   the receiver is gone: told at once after rill_receiver_close; after a kill at the latest before the queue grows
 *                once more. A message that was sent before is lost with the receiver.
 * RILL_EFULL     the limit is reached (RILL_FULL_ERROR).
 * RILL_ETIMEDOUT the limit is reached and send_timeout passed (RILL_FULL_WAIT).
 * RILL_EINTERRUPTED  rill_sender_interrupt was called while this call waited for room, or since the last call that returned this.
 * RILL_EMSGSIZE  larger than the channel's max_message (or, with handles, above its max_objects).
 * RILL_ENOMEM    no memory or address space for the message, or the receiver has too much of it in hand (see `limit`); try again later.
 * RILL_ENOFD     the first send of a process needs a descriptor, as does the first wait for room needs two.
 * RILL_EINFLIGHT the first send of a process (or its first wait for room): too many descriptors are under way; again when some have been received.
 * RILL_EAGAIN    the first send of a process (or its first wait for room): the channel's socket is full of other newcomers; try again.
 * RILL_ESYSTEM   see errno. */
RILL_API int rill_send(rill_sender *sender, const void *data, size_t size);

/* As rill_send, but waits for room until `deadline` whatever the channel's on_full says: RILL_NOW never waits (RILL_EFULL), RILL_FOREVER
 * always does; a deadline that passes gives RILL_ETIMEDOUT. */
RILL_API int rill_send_until(rill_sender *sender, const void *data, size_t size, int64_t deadline);

/* One run of bytes, for calls that take several. */
struct rill_bytes {
    const void *data;
    size_t size;
};

/* Sends `count` messages in order, as if by rill_send one after the other but cheaper: the receiver is woken at most once.
 * *sent (may be NULL) is how many went out, also on an error; the first that did not is messages[*sent], and none after it went.
 * Errors as rill_send. */
RILL_API int rill_send_many(rill_sender *sender, const struct rill_bytes *messages, size_t count, size_t *sent);

/* Sends one message that is put together from `count` parts (as writev does). Errors as rill_send. */
RILL_API int rill_send_parts(rill_sender *sender, const struct rill_bytes *parts, size_t count);

/* Makes the call that waits for room on this sender, or the next one that would have to wait, return RILL_EINTERRUPTED; once. Any thread, but not a
 * signal handler: a process of one thread sleeps in a way that only its peers can end. Returns 0 or RILL_EINVAL. */
RILL_API int rill_sender_interrupt(rill_sender *sender);

/* ---------------------------------------------------------------- receiving */

/* Closes the receiver: what is queued is thrown away, senders get RILL_EBROKEN at once. Messages already received stay readable until
 * they are closed. In a process that has forked since it got the receiver and has never received on it, this only lets go, because
 * the child may be the one that receives: senders then see the end when the last holder is gone.
 * The thread that owns the receiver; does not block; makes system calls. Returns 0, or RILL_EINVAL (not a receiver). */
RILL_API int rill_receiver_close(rill_receiver **receiver);

/* Lets go of the receiver without closing the channel: for a parent that has received and now leaves the receiver to a child that it
 * forks after the last message it received was closed. Copies in other processes that know of fewer or more messages are out of use for good (RILL_EBUSY).
 * If nobody else holds the receiver the channel ends as by a kill.
 * Returns 0, or RILL_EINVAL. */
RILL_API int rill_receiver_release(rill_receiver **receiver);

/* Receives the next message: waits until there is one. The message is the caller's, to be closed with rill_message_close; it may outlive the
 * receiver. Messages may be held for as long as you like; of those up to 64 KiB, what is held beyond 4 MiB of a sender's memory is copied. While messages keep coming, no system call; with nothing to do the call sleeps in the kernel.
 * RILL_EDISCONNECTED  the queue is empty and no sender is left anywhere; every later call says the same.
 * RILL_EINTERRUPTED   rill_receiver_interrupt was called.
 * RILL_EBUSY          another thread is in a call on this receiver, or another process (of a fork) receives on this channel.
 * RILL_EPEER, RILL_EVERSION, RILL_EQUOTA   one sending process broke the rules or a quota; its lane is closed. What it sent up to there was delivered,
 *                     what it had sent behind it is lost, and its later sends fail with the same code as soon as its queue needs a new
 *                     block. Told once for each such lane. The next call goes on with the others.
 * RILL_ENOMEM, RILL_ENOFD, RILL_ESYSTEM    nothing was lost; the next call tries again. */
RILL_API int rill_recv(rill_receiver *receiver, rill_message **message);

/* As rill_recv, without waiting: RILL_EEMPTY if there is no message now. An empty queue costs a few system calls (to see
 * whether senders are left, and whether their processes live). */
RILL_API int rill_try_recv(rill_receiver *receiver, rill_message **message);

/* As rill_recv, for at most `timeout` ns (RILL_FOREVER allowed): then RILL_ETIMEDOUT. 0 is as rill_try_recv, but says RILL_ETIMEDOUT. */
RILL_API int rill_recv_timeout(rill_receiver *receiver, int64_t timeout, rill_message **message);

/* As rill_recv, until `deadline`: then RILL_ETIMEDOUT. RILL_NOW is as rill_try_recv and says RILL_EEMPTY. */
RILL_API int rill_recv_until(rill_receiver *receiver, int64_t deadline, rill_message **message);

/* Receives the next message into the caller's own memory: its bytes are copied to `buffer`, its size is put into *size. If it is larger than
 * `capacity` the result is RILL_EMSGSIZE, *size says how large, and the message stays the next one in the queue.
 * Deadline and other errors as rill_recv_until. buffer may be NULL if capacity is 0. The fastest way to receive messages of up to 256 bytes, which are
 * copied anyway. */
RILL_API int rill_recv_into(rill_receiver *receiver, void *buffer, size_t capacity, int64_t deadline, size_t *size);

/* Receives up to `capacity` messages (at least 1) into the array: waits as rill_recv_until for the first, and takes what is there
 * already for the rest. *count is how many, each the caller's. Success means at least one. */
RILL_API int rill_recv_many(rill_receiver *receiver, int64_t deadline, rill_message **messages, size_t capacity, size_t *count);

/* Makes the call that waits on this receiver, or if there is none the next one that would have to wait (a try counts), return
 * RILL_EINTERRUPTED; once. A message that is there comes first. Any thread, while the receiver is open, but not a signal handler (see
 * rill_sender_interrupt). Makes at most one system call. Returns 0 or RILL_EINVAL. */
RILL_API int rill_receiver_interrupt(rill_receiver *receiver);

/* ---------------------------------------------------------------- messages */

/* The bytes of a message, readable in place until it is closed, aligned to 8 at least. A sender that means harm may go on
 * writing to the bytes of a message of more than 256 bytes (it is shared memory): copy before you check what you then rely on. Never NULL, also for 0 bytes; NULL only
 * for an argument that is no message. Any thread; no system call. */
RILL_API const void *rill_message_data(const rill_message *message);

/* The size of a message in bytes; 0 for an argument that is no message. Any thread; no system call. */
RILL_API size_t rill_message_size(const rill_message *message);

/* Closes a message: its memory goes back to its sender, or to the system. Any thread; does not block; seldom makes a system call.
 * Returns 0, or RILL_EINVAL (not a message). */
RILL_API int rill_message_close(rill_message **message);

/* ---------------------------------------------------------------- handles in messages */

enum rill_handle_kind {
    RILL_HANDLE_SENDER = 1,     /* copied: whoever sends it keeps its own */
    RILL_HANDLE_RECEIVER = 2,   /* moved, with all that is queued in it */
    RILL_HANDLE_DESCRIPTOR = 3, /* a file descriptor: duplicated */
    RILL_HANDLE_REGION = 4,     /* copied */
    RILL_HANDLE_BUFFER = 5,     /* moved */
    RILL_HANDLE_POOL = 6,       /* none: a pool's buffers travel, each as a buffer */
    RILL_HANDLE_OPAQUE = 7,     /* moved: a received handle that was never opened, whatever its kind */
};

/* Something that travels. */
struct rill_handle {
    uint32_t kind; /* enum rill_handle_kind: which member of the union is meant */
    uint32_t reserved;
    union {
        rill_sender *sender;
        rill_receiver *receiver;
        int descriptor;
        rill_region *region;
        rill_buffer *buffer;
        rill_pool *pool;
        rill_opaque *opaque;
    } as;
};

#define RILL_AS_CONFIGURED INT64_C(-1) /* as the deadline of rill_send_handles_until: as the channel's options say */

/* Sends one message of `size` bytes (as rill_send) with `count` handles, in order. On success what moves is gone from the caller: the pointer
 * in its handle is set to NULL. What is copied or duplicated stays the caller's. On an error every handle is as it was, and nothing was sent.
 * An end that is under way keeps its channel alive; if the message is thrown away unread it is as if it had been closed. The number of handles
 * is bounded by what the system lets a user have under way (see RILL_EINFLIGHT): about as many descriptors as the process may open.
 * Any thread; never waits for the receiver (in shared memory); makes system calls. Errors as rill_send, and:
 * RILL_EINVAL       a NULL or an unknown kind among the handles, or something that moves stands twice.
 * RILL_EDESCRIPTOR  a file descriptor that is not open.
 * RILL_EBUSY        a receiver that another thread or process uses, or (moving) whose messages read in place cannot be copied aside.
 * RILL_EINSET       a receiver that is in a set or a router.
 * RILL_EINFLIGHT    too many descriptors under way; the same send succeeds when some of them have been received.
 * RILL_EAGAIN       the first handles of a process on the channel, while its socket is full of other newcomers.
 * RILL_ENOTSUP      the channel's own receiver as a handle in the channel's own queue, over RILL_INPROC. (Receivers that are put into each other's queues there,
 *                   so that nobody has any of them, stay until the process ends; over the other transports the system frees them.) */
RILL_API int rill_send_handles(rill_sender *sender, const void *data, size_t size, struct rill_handle *handles, size_t count);

/* The same for bytes in several parts, with a deadline as rill_send_until, or RILL_AS_CONFIGURED. */
RILL_API int rill_send_handles_until(rill_sender *sender, const struct rill_bytes *parts, size_t part_count, struct rill_handle *handles,
                                     size_t handle_count, int64_t deadline);

/* Sends a received message on as it is: its bytes, and those of its handles that were not taken, in their order. On success the message is closed and
 * the pointer NULL. On an error it is as before. Bytes are copied unless they lie in memory that the next receiver may see (a pool's).
 * Errors as rill_send_handles; RILL_EINVAL: not a message. Any thread that may use the message. */
RILL_API int rill_forward(rill_sender *sender, rill_message **message, int64_t deadline);

/* How many handles a message came with, taken ones included. 0 for an argument that is no message. Any thread; no system call. */
RILL_API size_t rill_message_handle_count(const rill_message *message);

/* The kind of a handle (positive), without taking it. RILL_ENOHANDLE: no such index, or taken. */
RILL_API int rill_message_handle_kind(const rill_message *message, size_t index);

/* Takes a handle out of the message: it is the caller's, to be closed with the call of its kind, and may outlive the message. Handles that nobody takes are
 * closed with the message. `kind`: what the caller expects, or 0 for any (then see handle->kind). RILL_HANDLE_OPAQUE takes it as it is,
 * unopened. One thread at a time for one message. Makes system calls. A sender that this process has already costs no further descriptor.
 * RILL_ENOHANDLE  no such index, or taken already.
 * RILL_EKIND      it is of another kind.
 * RILL_EPEER      whoever sent it broke the rules; it is closed.
 * RILL_EVERSION   it is of a process with another version or layout of rill; it is closed.
 * RILL_EBUSY      a receiver that another process has taken, of those that share the message over a fork; it is still there.
 * RILL_ENOMEM, RILL_ENOFD   it is still there: try again. */
RILL_API int rill_message_take(rill_message *message, size_t index, uint32_t kind, struct rill_handle *handle);

/* The same for the usual kinds. A descriptor is close-on-exec. */
RILL_API int rill_message_take_sender(rill_message *message, size_t index, rill_sender **sender);
RILL_API int rill_message_take_receiver(rill_message *message, size_t index, rill_receiver **receiver);
RILL_API int rill_message_take_descriptor(rill_message *message, size_t index, int *descriptor);

/* A handle that was received and not opened: to be sent on (RILL_HANDLE_OPAQUE), opened, or closed. For programs in between, which need not know
 * what they pass on. rill_opaque_kind says what it is (positive; RILL_EINVAL: not an opaque handle).
 * rill_opaque_open opens it: on success *opaque is NULL and *handle the caller's; errors as rill_message_take. */
RILL_API int rill_opaque_kind(const rill_opaque *opaque);
RILL_API int rill_opaque_open(rill_opaque **opaque, struct rill_handle *handle);
RILL_API int rill_opaque_close(rill_opaque **opaque);

/* Closes whatever a handle holds (a descriptor too) and clears it. Returns 0, or RILL_EINVAL. */
RILL_API int rill_handle_close(struct rill_handle *handle);

/* ---------------------------------------------------------------- buffers
 *
 * A buffer is memory that is filled in place and then sent, whatever its size at the cost of a small message:
 *
 *     rill_buffer *buffer; void *bytes;
 *     rill_buffer_loan(tx, size, NULL, &buffer);
 *     rill_buffer_data_mutable(buffer, &bytes);
 *     ...                                          // fill it
 *     rill_send_buffer(tx, &buffer);               // a message of that size is received, and read in place
 *
 * In shared memory a loan of 16 KiB or more lies in memory that only this process and the channel's receiver see; the library touches no byte of it. Smaller
 * ones cost less to copy. They, and all where there is no such memory (RILL_SOCKET, RILL_INPROC, or a process with more than some 4,000 lanes that lend), are
 * private memory, which is copied where it must. */

struct rill_buffer_options {
    size_t size;      /* sizeof(struct rill_buffer_options) */
    size_t alignment; /* a power of two up to 1 GiB; 0: 64. At the receiver it holds up to 4,096. */
};

/* Borrows `size` bytes (0 is allowed), uninitialised, from the sender's memory. It is the caller's until it is sent or closed, also after the sender was
 * closed. A loan is not queued: it counts in the channel's limit when it is sent. Memory that was used before comes first, so a steady
 * stream takes no new page. Any thread; does not block; no system call unless memory has to be added.
 * RILL_EINVAL    a NULL, a size above SIZE_MAX / 2, an option out of range.
 * RILL_EMSGSIZE  larger than the channel's max_message.
 * RILL_EBROKEN, RILL_ENOMEM, RILL_ENOFD, RILL_EAGAIN, RILL_ESYSTEM   as rill_send. */
RILL_API int rill_buffer_loan(rill_sender *sender, size_t size, const struct rill_buffer_options *options, rill_buffer **buffer);

/* Its bytes, until it is sent or closed. NULL only for what is no buffer. Of a received one: its sender, if it means harm, may go on writing to them.
 * One thread at a time may call things on a buffer; its bytes are the caller's business. No system call. */
RILL_API const void *rill_buffer_data(const rill_buffer *buffer);

/* The same to write to; a received buffer may be written to as well. RILL_EREADONLY: this one may not. RILL_ENOMEM, RILL_ESYSTEM: it could not be made writable. */
RILL_API int rill_buffer_data_mutable(rill_buffer *buffer, void **data);

/* Its size in bytes; 0 for what is no buffer. */
RILL_API size_t rill_buffer_size(const rill_buffer *buffer);

/* Makes it smaller; the bytes stay where they are. RILL_EINVAL: larger than it is. */
RILL_API int rill_buffer_shrink(rill_buffer *buffer, size_t size);

/* Gives it back unsent, or, if it was received, when it has been read. Any thread. In the child of a fork an inherited one may be read, sent (as a copy) and
 * closed, which leaves the parent's as it is. Returns 0, or RILL_EINVAL (not a buffer). */
RILL_API int rill_buffer_close(rill_buffer **buffer);

/* Sends a buffer alone: it is received as a message of its size. On success *buffer is NULL. On an error nothing was sent, and it is as before.
 * A loan of this channel is not copied; any other buffer is (one from another channel's sender, one that was received, one that was
 * inherited over fork). Any thread; never waits for the receiver, beyond what the channel's options say; no system call unless the receiver has to be woken.
 * Errors as rill_send, and RILL_EINVAL: not a buffer. */
RILL_API int rill_send_buffer(rill_sender *sender, rill_buffer **buffer);

/* The same with a deadline as rill_send_until, or RILL_AS_CONFIGURED. Several buffers, or buffers with bytes and other handles, are sent as
 * RILL_HANDLE_BUFFER with rill_send_handles: without a copy in the same cases, each counted with its size in the limit. */
RILL_API int rill_send_buffer_until(rill_sender *sender, rill_buffer **buffer, int64_t deadline);

/* rill_message_take for a buffer: readable in place for as long as you like, closed in any order, also after its sender closed or died. */
RILL_API int rill_message_take_buffer(rill_message *message, size_t index, rill_buffer **buffer);

/* ---------------------------------------------------------------- pools
 *
 * A pool lends buffers that belong to no channel: one of them may be sent through any, to several receivers (rill_buffer_clone), and be forwarded by whoever
 * received it, to the next stage of a pipeline, and never is a byte of it copied. It is sent as RILL_HANDLE_BUFFER, with rill_send_handles, and
 * received with rill_message_take_buffer; rill_forward passes on a message with such buffers unopened. (rill_send_buffer makes a plain message of
 * it, which copies.) Its memory is used again when nobody holds it any more.
 *
 * Who holds a buffer is counted by the system, also in messages under way: a process that is killed holds nothing any more, and whatever another does
 * takes nothing away from those who still hold it. What that costs: each send and each receive of a pool's buffer makes some system calls, as
 * handles do, some microseconds whatever its size; and two descriptors while it is held. What sharing gives away: a holder sees the whole buffer that it
 * was given, with what was in its memory before, up to its capacity (a page's rounding, and twice its size at most); nothing of other buffers. */

struct rill_pool_options {
    size_t size;         /* sizeof(struct rill_pool_options) */
    uint64_t limit;      /* bytes that all of its buffers may take; 0: none */
    uint32_t access;     /* RILL_ACCESS_SHARED (0): who receives a buffer may write to it; RILL_ACCESS_READ_ONLY: only this process may, and nobody can get around it */
    uint32_t huge_pages; /* 1: ask for huge pages, as for regions */
};

/* Makes a pool; it has no memory until the first loan. options may be NULL. RILL_EINVAL, RILL_ENOMEM. */
RILL_API int rill_pool_make(const struct rill_pool_options *options, rill_pool **pool);

/* Borrows a buffer of `size` bytes (0 is allowed) from a pool, aligned to a page; its bytes are zero or what was there before. It outlives the pool.
 * Any thread of the process that made the pool; does not block; system calls.
 * RILL_EFULL     the limit is reached: buffers are in use, here, under way or at receivers.
 * RILL_ENOTSUP   in the child of a fork: it may use and close what it inherited, and counts as a holder of it until then.
 * RILL_EINVAL, RILL_ENOMEM, RILL_ENOFD, RILL_ESYSTEM   nothing was lent. */
RILL_API int rill_pool_loan(rill_pool *pool, size_t size, rill_buffer **buffer);

/* Gives the memory of all free buffers to the system. A pool keeps some for the next loans, else it does so by itself, but only when it is called. *bytes (may
 * be NULL) is what its buffers take now. RILL_EINVAL, RILL_ENOTSUP as above. */
RILL_API int rill_pool_trim(rill_pool *pool, uint64_t *bytes);

/* As rill_region_huge_pages, for the buffer made last. */
RILL_API int rill_pool_huge_pages(const rill_pool *pool);

/* Closes a pool. Its buffers stay with their holders. No other thread may be using it. Returns 0, or RILL_EINVAL (not a pool). */
RILL_API int rill_pool_close(rill_pool **pool);

/* Gives another holder of the same buffer, to be sent elsewhere: all see the same bytes. Any thread; no system call.
 * RILL_ENOTSUP   the buffer is not a pool's.
 * RILL_ENOMEM    nothing was made. */
RILL_API int rill_buffer_clone(rill_buffer *buffer, rill_buffer **clone);

/* ---------------------------------------------------------------- regions
 *
 * A region is shared memory of a fixed size with a life of its own: it may be sent any number of times, to any number of channels (as
 * RILL_HANDLE_REGION), and lives until the last holder in any process has closed it, or died. Its memory never becomes smaller under a reader,
 * whatever a holder does. All holders see the same bytes; rill orders nothing between them but by the messages that they send one another. */

/* Who may write. It is a property of the memory itself, kept by the system: no holder can get around it by opening the memory anew. */
enum rill_access {
    RILL_ACCESS_SHARED = 1,    /* every holder (the default) */
    RILL_ACCESS_READ_ONLY = 2, /* the maker, with its clones and the children that it forks; nobody who received it, not even the maker when it gets it back */
    RILL_ACCESS_CONSTANT = 3,  /* nobody, ever again: whoever checks the bytes may then rely on them */
};

struct rill_region_options {
    size_t size;         /* sizeof(struct rill_region_options) */
    uint32_t access;     /* enum rill_access; 0: RILL_ACCESS_SHARED */
    uint32_t huge_pages; /* 1: ask the system for huge pages; without them where it has none (see rill_region_huge_pages) */
    uint32_t copy;       /* for rill_region_open. 1: what cannot be held in place is copied */
    uint32_t reserved;   /* 0 */
};

/* Makes a region of `size` bytes, 0 allowed: zeros, a copy of `data`, or every byte `value`. options may be NULL. Its memory is taken at once, so that
 * touching it cannot fail. Any thread; does not block; system calls. Costs one descriptor and one mapping.
 * RILL_EINVAL   a NULL, an option out of range, a size above SIZE_MAX / 2.
 * RILL_ENOMEM, RILL_ENOFD, RILL_ESYSTEM   nothing was made. */
RILL_API int rill_region_make(size_t size, const struct rill_region_options *options, rill_region **region);
RILL_API int rill_region_make_from(const void *data, size_t size, const struct rill_region_options *options, rill_region **region);
RILL_API int rill_region_make_filled(unsigned char value, size_t size, const struct rill_region_options *options, rill_region **region);

/* Makes a region of a file descriptor's memory, from its beginning to the size that it has now. The descriptor stays the caller's. A memfd that is sealed
 * against shrinking, or lets itself be sealed so (MFD_ALLOW_SEALING), is taken in place, and sealed; also against writing, as `access` asks. Anything
 * else (a file, POSIX shared memory, a memfd of huge pages) may become smaller under its readers and kill them: it is refused, or copied with `copy`.
 * RILL_EDESCRIPTOR  not an open descriptor.
 * RILL_ENOTSUP      it cannot be held in place (and if copying was asked for: it cannot be read either).
 * RILL_EBUSY        RILL_ACCESS_CONSTANT for memory that is mapped writable somewhere; or the file became smaller while it was copied.
 * RILL_EINVAL, RILL_ENOMEM, RILL_ENOFD, RILL_ESYSTEM   as above. */
RILL_API int rill_region_open(int descriptor, const struct rill_region_options *options, rill_region **region);

/* Gives another holder of the same region in this process, to be closed as well. Costs no descriptor. Any thread; no system call. RILL_ENOMEM. */
RILL_API int rill_region_clone(rill_region *region, rill_region **clone);

/* Closes a region; its bytes may not be used after the last clone here is closed. Any thread. Returns 0, or RILL_EINVAL (not a region). */
RILL_API int rill_region_close(rill_region **region);

/* Its size in bytes; 0 for what is no region. Any thread; no system call. */
RILL_API size_t rill_region_size(const rill_region *region);

/* Its bytes, aligned to a page. Other holders may change them at any time, unless it is constant. Never NULL, also for 0 bytes; NULL only for what is no
 * region. Any thread; no system call. */
RILL_API const void *rill_region_data(const rill_region *region);

/* The same place, to write to. A region that was received is mapped read-only until somebody asks this. Any thread; a system call the first time.
 * RILL_EREADONLY  its access does not allow it here.
 * RILL_ENOMEM, RILL_ESYSTEM   it stays read-only. */
RILL_API int rill_region_data_mutable(rill_region *region, void **data);

/* enum rill_access, or RILL_EINVAL. */
RILL_API int rill_region_access(const rill_region *region);

/* 1 if the system was asked for huge pages and agreed, 0 if not. It uses them where it finds any. RILL_EINVAL: not a region. */
RILL_API int rill_region_huge_pages(const rill_region *region);

/* 1 if both have the same size and bytes, 0 if not, RILL_EINVAL if one is no region. */
RILL_API int rill_region_equal(const rill_region *one, const rill_region *other);

/* Gives a descriptor of the memory (close-on-exec, the caller's), for other libraries to map. RILL_ENOFD. */
RILL_API int rill_region_descriptor(const rill_region *region, int *descriptor);

/* rill_message_take for a region. One that could become smaller is refused: RILL_EPEER. Its sender may not have taken memory for all of it; then reading
 * takes it, as reading a hole of a file does. */
RILL_API int rill_message_take_region(rill_message *message, size_t index, rill_region **region);

/* ---------------------------------------------------------------- meeting: servers and listeners
 *
 * Processes that share nothing yet find each other by a name:
 *
 *     one channel, once                                       any number of clients
 *     rill_serve(NULL, &server);                              rill_listen("com.example.log", NULL, &listener);
 *     pass rill_server_name(server) to the other program      rill_listener_accept(listener, RILL_FOREVER, &connection);
 *     rill_server_accept(&server, deadline, &rx, &first);          connection.sender, connection.receiver, connection.peer
 *
 *     rill_connect(name, deadline, NULL, &tx);                rill_listener_connect("com.example.log", deadline, &connection);
 *
 * Names. A name of 1 to RILL_NAME_MOST bytes without a '/' is abstract: it leaves nothing behind, however its holder ends, is known to this machine's
 * processes of the same network namespace, and belongs to nobody: any user may serve it first. So ask connection.peer who it is, where that
 * matters. A name with a '/' is a path: a socket file that the folder's and its own permissions guard, also for use between containers that share
 * a folder and no network namespace. It is removed by the close; after a kill it stays, refuses, and is replaced by the next who serves it.
 * (A relative path is taken from the working directory of the call, the close included.)
 * A name that rill makes up is abstract, random, printable, of letters, digits, ':' and '-', and names the version of rill, so that another version
 * is told at once.
 *
 * Fork: a child that inherits a server or listener may accept on it too; each connection goes to one of them. The name is served until all have
 * closed it or are dead; the path is removed by the process that made it. */

#define RILL_NAME_MOST 100 /* bytes of a name, without the 0 behind it */

/* Who is on the other side, as the system says (not the peer). A process of another pid namespace has pid 0. */
struct rill_peer {
    pid_t pid;
    uid_t uid;
    gid_t gid;
};

enum rill_admit {
    RILL_ADMIT_SAME_USER = 1, /* the default: those whose effective user is that of this process. Root is not excepted. */
    RILL_ADMIT_ANY_USER = 2,
};

/* Asked about each client that the option above lets in: anything but 0 lets it in. Called by accept, in its thread; it must not use the server or
 * listener. */
typedef int rill_admit_function(void *context, const struct rill_peer *peer);

struct rill_server_options {
    size_t size;            /* sizeof(struct rill_server_options) */
    const char *name;       /* NULL: one that rill makes up. Copied. */
    uint32_t admit;         /* enum rill_admit; 0: RILL_ADMIT_SAME_USER */
    uint32_t mode;          /* a path's permissions, at most 0777; 0: 0600. Connecting takes the permission to write. */
    rill_admit_function *admit_function; /* NULL: nobody is asked */
    void *admit_context;    /* its first argument */
};

/* Serves a name for one client. *server is the caller's. options may be NULL. Any thread; does not block (a path: waits up to a second for others who
 * serve a name in the same folder); makes system calls.
 * RILL_EINVAL     an option out of range, a name that is empty or too long, a path in no folder.
 * RILL_ENAMEUSED  somebody serves the name, or the path is something else than a socket that a dead process left.
 * RILL_EDENIED    the system does not allow the path.
 * RILL_EBUSY      another process keeps the path's folder locked.
 * RILL_ENOMEM, RILL_ENOFD, RILL_ESYSTEM   nothing was made. */
RILL_API int rill_serve(const struct rill_server_options *options, rill_server **server);

/* The name, for an argument or an environment variable. Valid until the server is closed or has accepted. NULL for an argument that is no server. */
RILL_API const char *rill_server_name(const rill_server *server);

/* Waits until `deadline` for the client and its first message. On success both are the caller's, the server is closed and *server NULL. The client
 * may have sent and ended long before. Clients that are not let in, say nothing, or garbage, are turned away unseen and do not count.
 * The client made the channel, so its limits are the client's choice. A listener's channels have the limits that the listener says.
 * On an error the server is still there, to be closed or asked again. One thread at a time; sleeps in the kernel.
 * RILL_ETIMEDOUT      the deadline passed; RILL_EEMPTY with RILL_NOW.
 * RILL_EDISCONNECTED  the client connected, and was closed or died without a message; stays so.
 * RILL_EVERSION       a client of another version or layout of rill was turned away; told once for each.
 * RILL_EBUSY          another thread is in this call.
 * RILL_ENOMEM, RILL_ENOFD, RILL_ESYSTEM   nothing was lost: try again. Other errors as rill_recv. */
RILL_API int rill_server_accept(rill_server **server, int64_t deadline, rill_receiver **receiver, rill_message **message);

/* Closes a server that has not accepted: a client that has connected gets RILL_EBROKEN. Returns 0, or RILL_EINVAL (not a server). */
RILL_API int rill_server_close(rill_server **server);

/* Makes a channel (options as rill_channel) and gives its receiver to the server of that name. *sender is the caller's: it can send at once, and even
 * end, before the server accepts. Nobody serving the name is waited for until `deadline`, with RILL_NOW not at all; a name that rill made up is
 * served from its beginning, and never waited for. (Nothing tells that an abstract name comes to be: it is tried every 1 to 50 ms. A path's folder
 * tells.) Any thread.
 * RILL_ENOSERVER  nobody serves the name: nobody did until the deadline, the server is gone, or it has accepted its client.
 * RILL_EUSED      the server has a client that it has not accepted yet. (One that connects at the very moment in which the server accepts another
 *                 gets a sender, and RILL_EBROKEN from it.)
 * RILL_EDENIED    the path's permissions, or the server turned this process away at once. (If it looks only later, sending gives RILL_EBROKEN.)
 * RILL_EVERSION   a made-up name of another version or layout of rill. (With a chosen name the server is told, and sending gives RILL_EBROKEN.)
 * RILL_ENOTSUP    RILL_INPROC.
 * RILL_EINFLIGHT  too many descriptors under way between processes. (Once more gives RILL_EUSED until the server has looked.)
 * RILL_EINVAL, RILL_ENOMEM, RILL_ENOFD, RILL_ESYSTEM   nothing was made. */
RILL_API int rill_connect(const char *name, int64_t deadline, const struct rill_channel_options *options, rill_sender **sender);

struct rill_listener_options {
    size_t size;            /* sizeof(struct rill_listener_options) */
    uint32_t admit;         /* these four as in struct rill_server_options */
    uint32_t mode;
    rill_admit_function *admit_function;
    void *admit_context;
    const struct rill_channel_options *channel; /* of both channels of each connection; NULL: all defaults. Copied. Not RILL_INPROC. */
};

/* Channels both ways between a listener and one client, and who the other side is. A client's peer is the process that called rill_listen. */
struct rill_connection {
    rill_sender *sender;
    rill_receiver *receiver;
    struct rill_peer peer;
};

/* Serves `name`, NULL: one that rill makes up, for any number of clients. *listener is the caller's. Errors and blocking as rill_serve. */
RILL_API int rill_listen(const char *name, const struct rill_listener_options *options, rill_listener **listener);

/* The name; valid until the listener is closed. NULL for an argument that is no listener. */
RILL_API const char *rill_listener_name(const rill_listener *listener);

/* Waits until `deadline` for the next client. On success both ends are the caller's (rill_connection_close closes them). Clients that say nothing, or
 * garbage, or are not let in, delay nobody: up to 128 are heard at once, and the one that has been silent longest goes when more come.
 * One thread at a time (another gets RILL_EBUSY); sleeps in the kernel.
 * RILL_ETIMEDOUT    the deadline passed; RILL_EEMPTY with RILL_NOW.
 * RILL_EINTERRUPTED rill_listener_interrupt was called.
 * RILL_EVERSION     a client of another version or layout of rill was turned away; told once for each.
 * RILL_ENOMEM, RILL_ENOFD, RILL_EINFLIGHT, RILL_ESYSTEM   nothing was lost: the client waits for the next call. */
RILL_API int rill_listener_accept(rill_listener *listener, int64_t deadline, struct rill_connection *connection);

/* Makes the call that waits on this listener, or the next one that would have to wait, return RILL_EINTERRUPTED; once. Any thread, while the listener
 * is open, but not a signal handler. Returns 0 or RILL_EINVAL. */
RILL_API int rill_listener_interrupt(rill_listener *listener);

/* A descriptor for poll and the like: readable as long as rill_listener_accept with RILL_NOW has something to do, which need not give a client. It
 * stays the listener's. In the child of a fork ask for it again: RILL_ENOMEM, RILL_ENOFD. */
RILL_API int rill_listener_descriptor(rill_listener *listener, int *descriptor);

/* Closes a listener: clients that wait are turned away, a path is removed, connections are not touched. Returns 0, or RILL_EINVAL. */
RILL_API int rill_listener_close(rill_listener **listener);

/* Connects to a listener and waits until it accepts. On success both ends are the caller's. Nobody serving the name, or going away before it accepts,
 * is waited for until `deadline`, as in rill_connect. Any thread; sleeps in the kernel.
 * RILL_ENOSERVER  nobody served the name until the deadline, or it is a made-up one whose listener is gone.
 * RILL_ETIMEDOUT  somebody serves it, and did not accept until the deadline; with RILL_NOW that is all there is to find out.
 * RILL_EDENIED    the listener does not let this process in, or the path's permissions.
 * RILL_EVERSION   the listener is of another version or layout of rill.
 * RILL_EPEER      who serves the name does not speak rill.
 * RILL_EINVAL, RILL_ENOMEM, RILL_ENOFD, RILL_ESYSTEM   nothing was made. */
RILL_API int rill_listener_connect(const char *name, int64_t deadline, struct rill_connection *connection);

/* Closes what a connection still has, and sets both pointers to NULL. Returns 0, or RILL_EINVAL. */
RILL_API int rill_connection_close(struct rill_connection *connection);

/* ---------------------------------------------------------------- handles that a started program inherits */

/* Starts a program (posix_spawn; `path` as for execv, argv and envp as there; envp NULL: this process's environment) that inherits `count` handles,
 * of all kinds that a message can carry to another process: it takes them by index with rill_inherited. What is copied stays the caller's, what moves
 * (a receiver, with its queue and also if it has received already, an opaque handle) is gone on success and the pointer in handles[i] NULL; on an
 * error all are as before. *pid is the new process, to be waited for. It holds what it was given from its start, before it takes it, so the ends of a
 * program that dies at once are closed like any others.
 * Any thread; may block as posix_spawn does. The environment variable RILL_INHERITED names the memory that describes the handles.
 * RILL_EINVAL      NULL, an unknown kind, something that moves twice, count above 1,000.
 * RILL_EDESCRIPTOR a file descriptor that is not open.
 * RILL_EBUSY, RILL_EINSET   a receiver, as rill_send_handles says.
 * RILL_ENOTSUP     something that cannot leave this process, or needs a channel to travel through.
 * RILL_ENOMEM, RILL_ENOFD, RILL_ESYSTEM (errno says why, for example ENOENT)   no program was started. */
RILL_API int rill_spawn(const char *path, char *const argv[], char *const envp[], struct rill_handle *handles, size_t count, pid_t *pid);

/* In a program started by rill_spawn: takes the handle number `index`; it is the caller's. Each can be taken once.
 * The first call makes all inherited descriptors close-on-exec. What is never taken stays open until rill_inherited_close or the end of the process,
 * and counts as an end: a sender keeps its channel connected, a receiver keeps it alive.
 * Any thread; makes system calls.
 * RILL_EINVAL   no such index, or taken already, or the variable is not rill's, or what it names is not in order.
 * RILL_EVERSION the program that started this one has another version or layout of rill.
 * RILL_ENOMEM, RILL_ENOFD   it was not taken: try again. */
RILL_API int rill_inherited(size_t index, struct rill_handle *handle);

/* Closes what was inherited and not taken; nothing can be taken after it. No other thread may be in rill_inherited. Makes system calls. Returns 0,
 * also if nothing was inherited, or RILL_EVERSION, RILL_ENOMEM, RILL_ENOFD as rill_inherited. */
RILL_API int rill_inherited_close(void);

/* ---------------------------------------------------------------- waiting on many receivers */

/* A set waits on any number of receivers, of any transports mixed. What a wait costs grows with the receivers that have something to give, not with
 * those that are idle. Receivers take turns, so one that is flooded neither starves the others nor keeps a wait from returning.
 *
 * One thread at a time waits; any thread may add and remove at any time, also while another one waits. A set is not for the child of a fork: there
 * every call but rill_set_close returns RILL_ENOTSUP. */

struct rill_set_options {
    size_t size;  /* sizeof(struct rill_set_options) */
    int64_t spin; /* how long a wait stays awake before it sleeps, ns: as in struct rill_channel_options */
};

/* Makes an empty set. options may be NULL. Takes two descriptors. RILL_ENOMEM, RILL_ENOFD, RILL_ESYSTEM: nothing was made. */
RILL_API int rill_set_create(const struct rill_set_options *options, rill_set **set);

/* Closes a set and the receivers in it. No thread may be in a call on it. In the child of a fork it only lets go. Returns 0, or RILL_EINVAL. */
RILL_API int rill_set_close(rill_set **set);

/* Adds a receiver, with what is queued in it. `user` comes back in each of its events. On success it is the set's, *receiver is NULL, and *id its number in this set: 0, 1, 2 …, never given
 * again. While it is in the set, calls on it by another copy of the pointer return RILL_EINSET, and it can be in no message. On an error it
 * is the caller's as before. Any thread; does not block; makes system calls, and takes no descriptor.
 * RILL_EINVAL   not a receiver.
 * RILL_EINSET   it is in a set or router already.
 * RILL_EBUSY    another thread is in a call on it, or another process receives on its channel.
 * RILL_ENOMEM, RILL_ENOFD, RILL_ESYSTEM */
RILL_API int rill_set_add(rill_set *set, rill_receiver **receiver, void *user, uint64_t *id);

/* Takes a receiver out again, with what is queued in it: *receiver is the caller's. Any thread. Messages that a wait has given stay the caller's.
 * RILL_ENOENTRY   no receiver in the set has that id: it never had, or was removed, or closed. */
RILL_API int rill_set_remove(rill_set *set, uint64_t id, rill_receiver **receiver);

enum rill_set_event_kind {
    RILL_SET_MESSAGE = 1, /* a message of this receiver: the caller's, to be closed */
    RILL_SET_CLOSED = 2,  /* all senders of this receiver are gone; told once, behind its last message. It was closed and is out of the set. */
    RILL_SET_ERROR = 3,   /* what rill_recv would have returned on this receiver, in `code`; it stays in the set and goes on as told there */
};

struct rill_set_event {
    uint64_t id;
    uint32_t kind; /* enum rill_set_event_kind */
    int32_t code;  /* 0 with a message, RILL_EDISCONNECTED with a closed receiver */
    rill_message *message; /* NULL but with RILL_SET_MESSAGE */
    void *user;    /* as given to rill_set_add */
};

/* Waits until something can be told of a receiver, or until `deadline` (RILL_NOW, RILL_FOREVER), and fills the array with up to `capacity` (at least 1) events;
 * *count says how many. What does not fit is told next time. The messages of one receiver come in their order. Messages that were sent to an idle
 * receiver wait for at most 64 others and one full array. While messages keep coming to the same receivers, a system call every 64 messages.
 * RILL_EEMPTY        RILL_NOW, and nothing to tell; also of an empty set.
 * RILL_ETIMEDOUT     the deadline passed.
 * RILL_ENOENTRY      the set is empty, or the last receiver was removed meanwhile: nothing can come.
 * RILL_EINTERRUPTED  rill_set_interrupt was called, and nothing is there to be told before it.
 * RILL_EBUSY         another thread waits on this set.
 * RILL_ESYSTEM       see errno. */
RILL_API int rill_set_wait(rill_set *set, int64_t deadline, struct rill_set_event *events, size_t capacity, size_t *count);

/* As rill_set_wait, for at most `timeout` ns. */
RILL_API int rill_set_wait_timeout(rill_set *set, int64_t timeout, struct rill_set_event *events, size_t capacity, size_t *count);

/* Makes the call that waits on this set, or the next one that finds nothing to tell, return RILL_EINTERRUPTED; once. Any thread. */
RILL_API int rill_set_interrupt(rill_set *set);

/* How many receivers are in the set. Any thread. */
RILL_API int rill_set_count(rill_set *set, size_t *count);

/* ---------------------------------------------------------------- routers */

/* A router is a thread that receives for others: each of its routes leads from a receiver to a callback or to a sender. The only thread that rill ever
 * starts; no signal is delivered to it. All calls: any thread, callbacks of the same router included unless said otherwise. In the child of a fork a
 * router is of no use: calls return RILL_ENOTSUP there, and rill_router_close lets go of it without running a destructor. */

/* What is done with a message: on the router's thread, one at a time. The message is the callback's, to be closed. A callback that takes long keeps all
 * other routes of the router waiting. */
typedef void (*rill_route_callback)(void *user, uint64_t id, rill_message *message);

/* Frees a callback's `user` when the route ends: once, and no callback of the route runs then or after. On the thread that ended the route (the router's, if its
 * channel ended, with a message that was its last, or in a shutdown). */
typedef void (*rill_route_destructor)(void *user);

#define RILL_ROUTE_ONCE 1u /* the route ends with its first message; the receiver is closed */

/* Makes a router and its thread. RILL_ENOMEM, RILL_ENOFD, RILL_ESYSTEM: nothing was made. */
RILL_API int rill_router_create(rill_router **router);

/* The router of this process: made at the first call, in the child of a fork a new one. If it is shut down it stays so until it is closed. */
RILL_API int rill_router_default(rill_router **router);

/* Adds a route to a callback. On success the receiver is the router's, *receiver is NULL, and *id (id may be NULL) the route's number: 0, 1, 2 …, never given again; a
 * message may have arrived there before the call returns. The route ends when all senders are gone, behind the last message. `destroy` may be NULL. On
 * an error receiver and user are the caller's as before, and nothing was called. Peers that break the rules lose their lanes; the route goes on.
 * RILL_ESHUTDOWN   the router was shut down.
 * RILL_EINVAL, RILL_EINSET, RILL_EBUSY, RILL_ENOMEM, RILL_ENOFD, RILL_ESYSTEM   as rill_set_add. */
RILL_API int rill_router_call(rill_router *router, rill_receiver **receiver, rill_route_callback callback, void *user, rill_route_destructor destroy,
                              uint32_t flags, uint64_t *id);

/* Adds a route that sends each message on, with its handles, to another channel, be it one in process. On success sender and receiver are the router's,
 * and both pointers NULL. Where there is no room the route waits for it, and the others go on; so it does in a shortage of memory or descriptors. The route
 * ends with the last message, and then the sender is closed; and when the other channel is broken, or refuses a message for its size, and then the receiver
 * is closed, so that its senders learn of it. Errors as rill_router_call. */
RILL_API int rill_router_forward(rill_router *router, rill_receiver **receiver, rill_sender **sender, uint64_t *id);

/* Ends a route. Its receiver, with what is queued in it, is given back in *receiver, or closed if receiver is NULL. A message that found no room where it
 * was to be sent is lost. When this returns the callback does not run and will not run again; from that very callback: it runs to its end.
 * RILL_ENOENTRY   no such route: it never was, or has ended. A callback that had begun may be running still. */
RILL_API int rill_router_remove(rill_router *router, uint64_t id, rill_receiver **receiver);

/* Stops the thread, waits for its end, and ends all routes: receivers are closed, destructors run. What is queued is lost. A second shutdown does nothing
 * but wait for the first. RILL_ECALLBACK: from a callback or destructor on the router's thread; nothing happened. */
RILL_API int rill_router_shutdown(rill_router *router);

/* Shuts down and frees. No other call may be going on. RILL_ECALLBACK as above: then the router is as it was, and the pointer too. */
RILL_API int rill_router_close(rill_router **router);

/* ---------------------------------------------------------------- event loops of others
 *
 * A set, a receiver, and a sender whose queue has a limit each hand out one descriptor that can be waited for with epoll, poll, select, or whatever a
 * loop uses, level-triggered or edge-triggered, for readability only. It belongs to the object: never read from it, write to it or close it, and take it out of
 * the loop before the object is closed, sent, or put into a set.
 *
 * The rule: before you sleep, arm. If arming says RILL_OK, sleep until the descriptor is readable. If it says RILL_EREADY, there is (or may be) something
 * already: go on as if it were readable. When it is readable, try until there is nothing left, then arm again.
 *
 *     for (;;) {
 *         while (rill_try_recv(rx, &m) == RILL_OK) …;      // other codes than RILL_EEMPTY: as always
 *         if (rill_receiver_arm(rx) == RILL_OK)
 *             poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, -1);
 *     }
 *
 * Readable means that something may have come; now and then there is nothing. No wakeup is lost by this: what came before arming makes it say RILL_EREADY, what
 * comes behind makes the descriptor readable. Calls that wait for themselves may be mixed in; then arm again. */

/* For rill_try_recv and its like. No descriptor is made (in process: two, at the first call). An interrupt does not make it readable; RILL_ENOTSUP: an in-process
 * receiver in the child of a fork. RILL_EBUSY, RILL_EINSET as rill_recv. RILL_ENOFD, RILL_ENOMEM. */
RILL_API int rill_receiver_descriptor(rill_receiver *receiver, int *descriptor);

/* RILL_OK: nothing is there; from now on the descriptor tells. RILL_EREADY: rill_try_recv has something to say, be it a message, an error or the end. Others as
 * rill_recv: RILL_EBUSY, RILL_EINSET, RILL_ENOMEM, RILL_ENOFD. The receiver's thread; seldom makes a system call. */
RILL_API int rill_receiver_arm(rill_receiver *receiver);

/* For rill_set_wait with RILL_NOW. Any thread; no system call. */
RILL_API int rill_set_descriptor(rill_set *set, int *descriptor);

/* As rill_receiver_arm, for all receivers of the set that are not armed yet. An empty set is armed as well: it becomes readable when a
 * receiver with something in it is added. RILL_EBUSY: a thread waits on the set. */
RILL_API int rill_set_arm(rill_set *set);

/* A descriptor that is readable when there is room in a queue with a limit (or in the buffer of a socket), so that a loop need not wait in a send. Arm it for
 * the size of the next message when a send with RILL_NOW has said RILL_EFULL, and watch it only until it is readable; then send again. All clones share
 * one. In the child of a fork ask for it again. Any thread; makes up to three descriptors at the first call, and two more at the first arming.
 * RILL_ENOTSUP   the channel has no limit.
 * RILL_ENOFD, RILL_ENOMEM */
RILL_API int rill_sender_descriptor(rill_sender *sender, int *descriptor);

/* RILL_OK: no room now; the descriptor tells when half of the queue is free, or the message fits, whichever is later, or the receiver is gone.
 * RILL_EREADY: there is room for a message of `size` bytes. RILL_EBROKEN, RILL_ENOTSUP, and as the first wait for room: RILL_EAGAIN, RILL_ENOFD, RILL_ENOMEM.
 * Any thread. Several loops may arm for the senders of one channel; each is told, now and then also when it was another one's turn. */
RILL_API int rill_sender_arm(rill_sender *sender, size_t size);

/* What rill asks of a loop. Both are called in the loop's thread. tests/examples/ has adapters for epoll, libuv and GLib. */
struct rill_loop_adapter {
    size_t size; /* sizeof(struct rill_loop_adapter) */
    /* Watches a descriptor: from now on, until it is unwatched, the loop calls ready(context) when it is readable, but not from within this call. *watch is
     * the adapter's own. 0, or an error code, which rill_receiver_on_message returns. */
    int (*watch)(void *loop, int descriptor, void (*ready)(void *context), void *context, void **watch);
    /* Never calls ready again; may be called from within it. The descriptor is closed soon after. */
    void (*unwatch)(void *loop, void *watch);
};

/* A message, the caller's to close (code 0); or the end, RILL_EDISCONNECTED, once and last; or another code of rill_recv, after which it goes on. */
typedef void (*rill_message_callback)(void *user, int code, rill_message *message);

/* Receives within a loop of the caller's: its thread calls back with each message, those first that are queued already. The loop is woken once for a message
 * that arrives on an idle channel, and gets its turn between every 64 messages. On success the receiver is the subscription's and *receiver NULL; on
 * an error it is the caller's. Takes two descriptors. Errors as rill_set_create and rill_set_add, and those of adapter->watch. */
RILL_API int rill_receiver_on_message(rill_receiver **receiver, const struct rill_loop_adapter *adapter, void *loop, rill_message_callback callback,
                                      void *user, rill_subscription **subscription);

/* Ends it; from its callback too. *receiver is given back (NULL if its channel has ended), or closed if receiver is NULL. To be called once also after
 * the end was told. In the loop's thread. */
RILL_API int rill_subscription_close(rill_subscription **subscription, rill_receiver **receiver);

/* ---------------------------------------------------------------- statistics */

/* Counts since the end was made, but for those named "now". They are read without stopping anybody, so they may be some messages apart. */
struct rill_stats {
    size_t size;           /* in: sizeof(struct rill_stats); fields beyond it are not written */
    uint64_t messages;     /* sent by this process on the channel, or received by this receiver */
    uint64_t bytes;        /* their bytes */
    uint64_t queued_messages; /* now: sent and not yet received (a sender: of this process) */
    uint64_t queued_bytes; /* now: their bytes, each message counted as for the limit */
    uint64_t lanes;        /* now: a sender: 1 if this process has a lane; a receiver: lanes known */
    uint64_t rings;        /* now: rings of those lanes */
    uint64_t mapped_bytes; /* now: address space taken by the channel in this process */
    uint64_t wakeups;      /* wakeups sent to (receiver: taken from) the socket */
    uint64_t waits;        /* times a call on this end went to sleep */
    uint64_t descriptors;  /* now: file descriptors of this end; two ends in one process share the one of the control page, and each counts it */
};

/* Fills *stats; stats->size must be set. Any thread for a sender; the receiver's thread for a receiver. No system call.
 * RILL_EINVAL   stats->size is smaller than the first field. */
RILL_API int rill_sender_stats(rill_sender *sender, struct rill_stats *stats);
RILL_API int rill_receiver_stats(rill_receiver *receiver, struct rill_stats *stats);

/* ---------------------------------------------------------------- a whole program
 *
 *     rill_sender *tx; rill_receiver *rx; rill_message *m;
 *     if (rill_channel(NULL, &tx, &rx) != 0) return 1;
 *     if (fork() == 0) { rill_send(tx, "hello", 5); _exit(0); }
 *     rill_sender_close(&tx);
 *     while (rill_recv(rx, &m) == 0) {               // RILL_EDISCONNECTED ends it
 *         fwrite(rill_message_data(m), 1, rill_message_size(m), stdout);
 *         rill_message_close(&m);
 *     }
 *     rill_receiver_close(&rx);
 */

#ifdef __cplusplus
}
#endif

#endif
