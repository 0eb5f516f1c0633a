/* SPDX-License-Identifier: MIT */
/*
 * Everything that rill asks of an operating system. To port rill, write port_<system>.c; nothing above this header
 * names a system, and no other file may include a system's headers beyond ISO C and POSIX threads.
 *
 * An object is a kernel handle that can travel to another process: memory that can be mapped, an end of a packet
 * connection, or an event. Calls return 0 or a RILL_E… code, and change no output when they fail, unless said otherwise.
 *
 * What a system must have, and what serves on the usual ones:
 *   memory     Linux memfd · Windows section · macOS memory entry · FreeBSD shm_open(SHM_ANON). It vanishes with its last holder.
 *   packets    Linux SOCK_SEQPACKET pair · Windows named pipe in message mode · macOS Mach port. Carries objects, and tells the receiving
 *              side when the last holder of the sending side is gone, whatever killed it; and the sending side likewise.
 *   owner mark Linux record lock · elsewhere a robust mutex or a dead-name notification. The proof that a process is dead.
 */
#ifndef RILL_PORT_H
#define RILL_PORT_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct rill_peer; /* rill.h */

typedef int rill_object;
#define RILL_NO_OBJECT ((rill_object)-1)

/* Which object this is, whatever handle it came with: two handles of one memory object compare equal. */
struct rill_identity {
    uint64_t word[2];
};

void rill_port_close(rill_object object);
int rill_port_duplicate(rill_object object, rill_object *copy);
int rill_port_identify(rill_object object, struct rill_identity *identity);

/* ---- memory ---- */

/* A memory object of `size` bytes, committed and zero. No holder can ever make it smaller; it can grow if `growable`. */
int rill_port_memory_create(uint64_t size, bool growable, rill_object *memory);

/* RILL_EPEER unless the object is memory made as above: a foreign one could be made smaller under its readers. */
int rill_port_memory_check(rill_object memory, bool growable);

int rill_port_memory_size(rill_object memory, uint64_t *size);

/* Makes it larger; the new part is zero and not committed: to touch it may kill the process where memory is short. */
int rill_port_memory_grow(rill_object memory, uint64_t size);

/* After this, touching the range cannot fail for lack of memory. RILL_ENOMEM where there is none, before the system starts to kill for it (best effort). */
int rill_port_memory_commit(rill_object memory, uint64_t offset, uint64_t size);

/* The bytes of memory that the object takes, of which a peer may be the owner. */
int rill_port_memory_used(rill_object memory, uint64_t *bytes);

/* Gives the range's memory back to the system; it reads as zero and is not committed. False: all is as it was, which harms nobody who does not
 * need the zeros. */
bool rill_port_memory_punch(rill_object memory, uint64_t offset, uint64_t size);

/* Maps a range, readable and writable: at exactly `wish` if that is not NULL and the place is free, else anywhere. */
int rill_port_memory_map(rill_object memory, uint64_t offset, uint64_t size, void *wish, void **address);
void rill_port_memory_unmap(void *address, uint64_t size);

/* Replaces a mapped range of whole pages by a private copy of it, at the same addresses; other threads may read there meanwhile. */
int rill_port_memory_privatise(void *address, uint64_t size);

uint64_t rill_port_memory_total(void); /* bytes of memory in this machine */

#define RILL_PORT_GRANULE ((uint64_t)4096) /* what such memory is asked for in multiples of */

/* ---- memory that is shared on purpose: regions and the buffers of pools ----
 * `access` is enum rill_access, and kept by the memory itself: whoever opens the object anew is bound by it too. */

/* Memory of `size` bytes (0 is allowed), committed and zero, not sealed yet. */
int rill_port_share_create(uint64_t size, rill_object *memory);

/* From now on nobody can make it smaller, nor write to it beyond what `access` allows. Mappings made before go on as they are; RILL_EBUSY if
 * they must not (RILL_ACCESS_CONSTANT). `final`: nothing further can be sealed. */
int rill_port_share_seal(rill_object memory, uint32_t access, bool final);

/* Duplicates a handle of a user's memory, and sees to it that nobody can make it smaller. RILL_ENOTSUP: it is not such memory. */
int rill_port_share_hold(rill_object given, rill_object *memory);

/* What its seals say, and whether this handle may be mapped writable where they allow it. RILL_EPEER: it could become smaller, or is not memory of the usual kind. */
int rill_port_share_check(rill_object memory, uint32_t *access, bool *writable);

/* Maps it from its beginning. */
int rill_port_share_map(rill_object memory, uint64_t size, bool writable, void **address);
int rill_port_share_make_writable(void *address, uint64_t size);
bool rill_port_share_use_huge_pages(void *address, uint64_t size); /* false: the system does not */

/* A watch and the first token of it: rill_port_peer_gone(watch) tells when the last duplicate of the token is closed, in all processes and under way. Whatever
 * else a holder does with a token, it cannot make that happen sooner. */
int rill_port_token(rill_object *watch, rill_object *token);

/* Writes to it without a mapping. */
int rill_port_share_write(rill_object memory, uint64_t offset, const void *data, uint64_t size);

/* Copies a file into it, without a mapping. RILL_EBUSY: the file has become smaller than `size`. RILL_ENOTSUP: it cannot be read from. */
int rill_port_share_source_size(rill_object source, uint64_t *size);
int rill_port_share_copy(rill_object memory, rill_object source, uint64_t size);

/* ---- owner marks ---- */

/* Marks this process as the owner of a memory object until it dies or closes any handle of the object. Not inherited by fork. */
int rill_port_owner_mark(rill_object memory);

/* Does a process other than this one own it? An unclear answer is "yes". */
bool rill_port_owner_alive(rill_object memory);

/* ---- packets ---- */

/* A connection: what is sent on pair[0] is received on pair[1], in whole packets, and the other way. */
int rill_port_pair(rill_object pair[2]);

#define RILL_PACKET_OBJECTS 253u /* what Linux allows */

struct rill_run_of_bytes {
    const void *data;
    size_t size;
};

/* Sends one packet, of up to two runs of bytes, never empty, with up to RILL_PACKET_OBJECTS objects (copied). Without waiting: RILL_EFULL if there is
 * no room now. If `wait`, sleeps until there is. RILL_EBROKEN: the other side is gone. RILL_EINFLIGHT: more objects under way than the system allows this
 * user. RILL_EDESCRIPTOR: one of them is not open. */
int rill_port_send(rill_object end, const struct rill_run_of_bytes *runs, unsigned count, const rill_object *objects,
                   unsigned object_count, bool wait);

/* Sleeps until a packet can be sent, `event` is signalled (if it is an object), or the deadline (RILL_ETIMEDOUT). Success may be spurious. */
int rill_port_wait_to_send(rill_object end, rill_object event, int64_t deadline);

struct rill_packet {
    void *data[2]; /* in: where the bytes go: first all of data[0], then data[1] */
    size_t capacity[2];
    size_t size;    /* out: bytes received */
    bool truncated; /* out: there were more bytes than fit; they are lost */
};

/* Receives one packet; objects in it are thrown away. With deadline RILL_NOW: RILL_EEMPTY if there is none. Else it sleeps: RILL_ETIMEDOUT, or
 * RILL_EINTERRUPTED when `event` (if it is an object) is signalled. RILL_EDISCONNECTED: nothing is left, and nobody is left on the other side. */
int rill_port_receive(rill_object end, rill_object event, int64_t deadline, struct rill_packet *packet);

/* From now on a receiving call without deadline and event gives RILL_ETIMEDOUT after so many ns, without a system call more; 0: it waits for ever, as at first.
 * This is the end's, in whatever process. False: it could not be set. */
bool rill_port_set_patience(rill_object end, int64_t time);

/* As rill_port_receive, for a connection that carries objects: they are the caller's, `objects` has room for RILL_PACKET_OBJECTS. It costs a system call
 * more, so that nothing can be lost: RILL_ENOFD (no handle is left for them), and the packet is still the next one. */
int rill_port_receive_objects(rill_object end, rill_object event, int64_t deadline, struct rill_packet *packet, rill_object *objects,
                              unsigned *count);

/* As rill_port_receive, but the packet stays the next one. *size is its whole size, also if only `capacity` bytes of it were copied. */
int rill_port_peek(rill_object end, rill_object event, int64_t deadline, void *data, size_t capacity, size_t *size);

/* Copies the objects of the packet that was peeked at, which stays the next one: *count of them, which may be 0. RILL_ENOFD: not enough handles are left,
 * nothing is lost. RILL_EPEER: it carries more than `capacity`, which is at most RILL_PACKET_OBJECTS. */
int rill_port_peek_objects(rill_object end, rill_object *objects, unsigned capacity, unsigned *count);

/* The same for a packet of one object. RILL_EPEER: it does not carry one. */
int rill_port_peek_object(rill_object end, rill_object *object);

/* Throws away the packet that was peeked at. */
void rill_port_drop(rill_object end);

/* Is this an end of a connection as rill_port_pair makes them, that sends and receives whole packets? */
bool rill_port_packets_check(rill_object end);

/* Is there an open handle of this name? */
bool rill_port_is_open(rill_object object);

/* Is the other side gone for good? One system call, does not block. */
bool rill_port_peer_gone(rill_object end);

/* Sleeps until the end has a packet or has ended (a poller: until it has something to tell), the event is signalled (RILL_EINTERRUPTED), or the
 * deadline (RILL_ETIMEDOUT). Success may be spurious. */
int rill_port_wait_to_receive(rill_object end, rill_object event, int64_t deadline);

/* ---- meeting: names under which processes that share nothing find each other ----
 * Linux: addresses of sockets, abstract (gone with their last holder) or paths · Windows: named pipes · macOS: bootstrap names.
 * A name with a '/' is a path. Names are at most RILL_NAME_MOST bytes. */

/* A point at which a name is served: connections queue there until they are accepted, up to `queue` and one more. Nobody waits in a call on it.
 * `mode` are the permissions of a path; *place is what the path is then, for rill_port_unserve. A path that a dead process left is replaced.
 * RILL_ENAMEUSED: the name is served, or the path is something else. RILL_EDENIED: the system does not allow the path. RILL_EBUSY: another process
 * has the folder locked for a second. RILL_EINVAL: no such folder, or a name that cannot be. */
int rill_port_serve(const char *name, unsigned queue, uint32_t mode, rill_object *point, struct rill_identity *place);

/* Takes the path away, if it still is that place. Before the point is closed. */
void rill_port_unserve(const char *name, const struct rill_identity *place);

/* The next connection. RILL_EEMPTY: none has come. */
int rill_port_accept(rill_object point, rill_object *end);

/* Looking for whoever serves a name, until a deadline. */
struct rill_search {
    const char *name;
    int64_t deadline;
    bool once;         /* a name that cannot come to be later: nobody serving it is final */
    bool tried;
    int64_t nap;       /* how long the next wait between two tries is, ns; 0: the first has not begun */
    rill_object watch; /* tells of changes in a path's folder, if it can be had */
};
void rill_port_search_start(struct rill_search *search, const char *name, int64_t deadline);
void rill_port_search_end(struct rill_search *search);

/* Connects to the name; called again, it waits a little and goes on. RILL_NOW: one try.
 * RILL_ENOSERVER: nobody served it up to the deadline. RILL_EDENIED: the path's permissions. RILL_EUSED: the queue at the point is full; if `patient`,
 * it waits for room instead, and says RILL_ETIMEDOUT. */
int rill_port_search_connect(struct rill_search *search, bool patient, rill_object *end);

/* Who is on the other side: of an accepted end who connected, of a connected one who serves. From the system, not from the peer. */
int rill_port_peer(rill_object end, struct rill_peer *peer);
uint32_t rill_port_user(void); /* as whom this process acts */

/* ---- events: what wakes a thread of this process out of the calls above ---- */

int rill_port_event_create(rill_object *event);
void rill_port_event_signal(rill_object event);
void rill_port_event_clear(rill_object event);

/* ---- pollers: many ends and events waited for at once ---- */

/* A poller can be waited for like an end: it is readable while it has something to tell. In the child of a fork it is the parent's: only to be closed. */
int rill_port_poller_create(rill_object *poller);

/* Watches an end or an event. Whenever something arrives there, or its other side goes, the poller tells `token` once more; what is
 * there already is told as well. Nothing that arrives is passed over: not drained, it is told again only with the next arrival. */
int rill_port_poller_add(rill_object poller, rill_object object, uint64_t token);

/* Watches an end, or a point (see meeting): the token is told as long as there is something to receive or accept, or the other side is gone, in turn with others. */
int rill_port_poller_add_lasting(rill_object poller, rill_object object, uint64_t token);

/* Watches an end for room to send, or for the other side's going: the poller is readable as long as that lasts. */
int rill_port_poller_add_room(rill_object poller, rill_object end, uint64_t token);

/* To be called before the object is closed: another process may hold the same end, and the poller would go on telling of it. */
void rill_port_poller_remove(rill_object poller, rill_object object);

#define RILL_POLL_MOST 64u

/* Waits for at least one token, and gives up to RILL_POLL_MOST; RILL_ETIMEDOUT at the deadline (with RILL_NOW at once). */
int rill_port_poller_wait(rill_object poller, int64_t deadline, uint64_t tokens[RILL_POLL_MOST], size_t *count);

bool rill_port_has_room(rill_object end); /* could a small packet be sent now? One system call, does not block */

/* ---- the rest ---- */

/* Starts a thread that no signal is delivered to. */
int rill_port_thread(pthread_t *thread, void *(*run)(void *argument), void *argument);

int64_t rill_port_clock(void);
bool rill_port_random(void *bytes, size_t size);
bool rill_port_single_processor(void); /* this thread can run on one processor only */
void rill_port_relax(void);            /* in a spin loop */
void rill_port_yield(void);
void rill_port_inherit(rill_object object, bool inherit); /* whether a started program keeps it */
bool rill_port_is_inherited(rill_object object);

/* Starts a program that keeps these objects under their present names. */
int rill_port_start(const char *path, char *const argv[], char *const envp[], const rill_object *objects, size_t count, pid_t *pid);

/* ---- a fence for others (shm/fence.h) ----
 * Linux: membarrier, global and expedited · Windows: FlushProcessWriteBuffers, for threads of this process only · elsewhere: none, so that no process
 * registers. */

/* From now on a barrier of anybody's reaches the processors that run this process. False: it cannot be had. Costs next to nothing in a process of one
 * thread, and may wait for all processors in others. */
bool rill_port_fence_register(void);

/* A full barrier in every processor that runs a process which has registered; a processor that runs none of them now has made it since it did. What they
 * stored before it is seen by all when this returns, and they see what was stored before the call. */
void rill_port_fence_others(void);

/* Certain that this process has one thread? "No" if unsure. Asked at every send, so it stands here. */
#if defined(__linux__)
#include <sys/single_threaded.h>
static inline bool rill_port_single_threaded(void)
{
    return __libc_single_threaded;
}
#else
bool rill_port_single_threaded(void);
#endif

#endif
