/* SPDX-License-Identifier: MIT */
/*
 * What does it take to hand over a large buffer?
 *
 *   untouched     a filled buffer goes there, is looked at in its first 8 bytes and given back, and an answer of 8 bytes comes: the round trip.
 *                 The buffer is filled before the clock runs; each time it gets only its number
 *   touched       the same, but the receiver reads every byte
 *   fresh_memfd   the naive way: a new memfd for each, filled, sent over a socket, mapped, read, unmapped
 *   stream        one way: the sender fills each buffer and the receiver reads every byte
 *   stream_memfd  the same with a new memfd for each
 */
#include "perf/bench.h"
#include "perf/ends.h"
#include "perf/roundtrip.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define WARM 8 /* round trips at least until large blocks are in use again and again */

/* ---------------------------------------------------------------- contents */

/* Each word is the number of the buffer and its place in it. Gives the sum of the words. */
static uint64_t fill_words(unsigned char *bytes, size_t size, uint64_t number)
{
    uint64_t count = size / 8;
    word_pair low = {number, number + 1}, high = {number + 2, number + 3};
    size_t i = 0;
    for (; i + 4 <= count; i += 4, low += 4, high += 4) { /* pairs stay in registers: wider vectors are more than every processor has */
        memcpy(bytes + i * 8, &low, sizeof low);
        memcpy(bytes + i * 8 + sizeof low, &high, sizeof high);
    }
    for (; i < count; i++) {
        uint64_t word = number + i;
        memcpy(bytes + i * 8, &word, sizeof word);
    }
    return count * number + (count ? count * (count - 1) / 2 : 0);
}

/* A block that came back has words of the library's in front: two, and more while memory has not come to rest. They and the number are written anew. */
static void renew(unsigned char *bytes, size_t size, uint64_t number)
{
    uint64_t words = number < WARM ? 512 : 2;
    memcpy(bytes, &number, sizeof number);
    for (uint64_t i = 1; i < words && i < size / 8; i++)
        memcpy(bytes + i * 8, &i, sizeof i);
}

/* Are the words from the second on still those of number 0? Pages that went to the system meanwhile are zero. */
static bool is_filled(const unsigned char *bytes, size_t size)
{
    uint64_t last;
    memcpy(&last, bytes + size / 8 * 8 - 8, sizeof last);
    return size < 16 || last == size / 8 - 1;
}

static uint64_t sum_renewed(size_t size, uint64_t number)
{
    uint64_t count = size / 8;
    return number + count * (count - 1) / 2;
}

/* ---------------------------------------------------------------- there and back */

static bool is_variant(const struct run *run, const char *name)
{
    return strcmp(run->contestant->variant, name) == 0;
}

static void round_trip_open(struct run *run)
{
    ends_open(run, 0, 1, run->options->limit);
    ends_open(run, 1, 0, run->options->limit);
}

static rill_buffer *lend(struct run *run, struct rill_end *end, unsigned char **bytes)
{
    rill_buffer *buffer;
    void *place;
    check(run, "rill_buffer_loan", rill_buffer_loan(end->sender, run->contestant->size, NULL, &buffer));
    check(run, "rill_buffer_data_mutable", rill_buffer_data_mutable(buffer, &place));
    *bytes = place;
    return buffer;
}

static void hand_over(struct run *run, struct rill_end *end, rill_buffer *buffer)
{
    int code;
    while ((code = rill_send_buffer(end->sender, &buffer)) == RILL_EAGAIN)
        give_way();
    check(run, "rill_send_buffer", code);
}

static void await_answer(struct run *run, struct rill_end *end, uint64_t expected)
{
    const void *answer;
    size_t size;
    if (!rill_end_take(run, end, &answer, &size) || size != sizeof expected || read_stamp(answer, size) != expected)
        fail(run, "the answer to buffer %llu is wrong", (unsigned long long)expected);
    rill_end_drop(run, end);
}

/* Fills what is not filled, and gives how long that took: it is no part of handing over. */
static int64_t fill_if_needed(const struct run *run, unsigned char *bytes, uint64_t number)
{
    size_t size = run->contestant->size;
    if ((number >= WARM && is_variant(run, "untouched") && run->contestant->rill == RILL_SHM) || is_filled(bytes, size))
        return 0;
    int64_t begin = now();
    (void)fill_words(bytes, size, 0);
    return now() - begin;
}

/* From the loan to the answer. */
static int64_t one_round_trip(struct run *run, struct rill_end *end, uint64_t number, int64_t cost)
{
    unsigned char *bytes;
    int64_t begin = now();
    rill_buffer *buffer = lend(run, end, &bytes);
    int64_t filling = fill_if_needed(run, bytes, number);
    renew(bytes, run->contestant->size, number);
    hand_over(run, end, buffer);
    await_answer(run, end, number);
    return now() - begin - filling - cost;
}

/* What is measured begins when memory is in use again and again, of the ring as well. */
static bool is_warm(const struct run *run, uint64_t number, int64_t time)
{
    return number >= WARM && (run->options->messages || time <= now());
}

static void ask_with_buffers(struct run *run, struct rill_end *end)
{
    struct histogram *times = new_histogram(run);
    uint64_t budget = run->options->messages ? run->options->messages : UINT64_MAX, faults = 0;
    int64_t cost = now_cost();
    bool warm = false;
    meet_before(run);
    int64_t last = now() + warm_up_time(run);
    for (uint64_t number = 0; times->count < budget && (!warm || run->options->messages || now() < last); number++) {
        if (!warm && is_warm(run, number, last)) {
            warm = true;
            last = now() + (int64_t)(run->options->seconds * SECOND);
            faults = thread_faults();
            atomic_store(&run->board->phase, PHASE_MEASURED);
        }
        int64_t time = one_round_trip(run, end, number, cost);
        if (warm)
            histogram_add(times, time);
    }
    faults = thread_faults() - faults;
    rill_end_finish(run, end);
    report_times(run, times);
    meet_after(run);
    if (run->contestant->rill == RILL_SHM)
        figure(run, FAULTS_PER_MSG, (double)(faults + atomic_load(&run->board->notes[1].faults)) / (double)times->count);
}

static void answer_buffers(struct run *run, struct rill_end *end)
{
    const void *bytes;
    size_t size;
    bool touch = is_variant(run, "touched"), warm = false;
    uint64_t faults = 0;
    meet_before(run);
    while (rill_end_take(run, end, &bytes, &size)) {
        uint64_t number = read_stamp(bytes, size);
        if (size != run->contestant->size || (touch && sum_words(bytes, size) != sum_renewed(size, number)))
            fail(run, "a buffer that arrived is wrong");
        rill_end_drop(run, end);
        if (!warm && atomic_load_explicit(&run->board->phase, memory_order_relaxed) == PHASE_MEASURED) {
            warm = true;
            faults = thread_faults();
        }
        rill_end_put(run, end, &number, sizeof number);
    }
    atomic_store(&run->board->notes[1].faults, thread_faults() - faults);
    rill_end_finish(run, end);
    meet_after(run);
}

static void round_trip_work(struct run *run)
{
    struct rill_end end = ends_keep(run, run->role, run->role);
    if (run->role == 0)
        ask_with_buffers(run, &end);
    else
        answer_buffers(run, &end);
}

/* ---------------------------------------------------------------- a new memfd for each */

#define UNDER_WAY_MOST 4 /* one way: of those sent and not yet dropped */

struct memfd_end {
    int socket;
    unsigned under_way;
    void *mapped;
    size_t size;
};

static void memfd_open(struct run *run)
{
    int *pair = calloc(2, sizeof *pair);
    if (!pair || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        fail(run, "socketpair: %s", strerror(errno));
    run->ends = pair;
}

static void memfd_close(struct run *run)
{
    const int *pair = run->ends;
    close(pair[0]);
    close(pair[1]);
}

static struct memfd_end memfd_end(struct run *run)
{
    const int *pair = run->ends;
    close(pair[1 - run->role]);
    return (struct memfd_end){.socket = pair[run->role], .size = run->contestant->size};
}

static void send_descriptor(struct run *run, int socket, int descriptor, uint64_t number)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } rights;
    struct iovec part = {.iov_base = &number, .iov_len = sizeof number};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = rights.bytes, .msg_controllen = sizeof rights.bytes};
    memset(&rights, 0, sizeof rights);
    rights.header.cmsg_level = SOL_SOCKET;
    rights.header.cmsg_type = SCM_RIGHTS;
    rights.header.cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(&rights.header), &descriptor, sizeof descriptor);
    if (sendmsg(socket, &message, MSG_NOSIGNAL) != (ssize_t)sizeof number)
        fail(run, "sendmsg: %s", strerror(errno));
}

static bool receive_descriptor(struct run *run, int socket, int *descriptor)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } rights;
    uint64_t number;
    struct iovec part = {.iov_base = &number, .iov_len = sizeof number};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = rights.bytes, .msg_controllen = sizeof rights.bytes};
    ssize_t size = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    if (size == 0)
        return false;
    if (size != (ssize_t)sizeof number || !CMSG_FIRSTHDR(&message))
        fail(run, "recvmsg: %s", strerror(errno));
    memcpy(descriptor, CMSG_DATA(&rights.header), sizeof *descriptor);
    return true;
}

static uint64_t memfd_put(struct run *run, struct memfd_end *end, uint64_t number)
{
    int descriptor = memfd_create("fresh", MFD_CLOEXEC);
    void *place = MAP_FAILED;
    if (descriptor >= 0 && ftruncate(descriptor, (off_t)end->size) == 0)
        place = mmap(NULL, end->size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    if (place == MAP_FAILED)
        fail(run, "a fresh memfd: %s", strerror(errno));
    uint64_t sum = fill_words(place, end->size, number);
    munmap(place, end->size);
    send_descriptor(run, end->socket, descriptor, number);
    close(descriptor);
    return sum;
}

static bool memfd_take(struct run *run, void *end, const void **message, size_t *size)
{
    struct memfd_end *mine = end;
    int descriptor;
    if (!receive_descriptor(run, mine->socket, &descriptor))
        return false;
    mine->mapped = mmap(NULL, mine->size, PROT_READ, MAP_SHARED, descriptor, 0);
    if (mine->mapped == MAP_FAILED)
        fail(run, "mmap: %s", strerror(errno));
    close(descriptor);
    *message = mine->mapped;
    *size = mine->size;
    return true;
}

static void memfd_drop(struct run *run, void *end)
{
    struct memfd_end *mine = end;
    const char byte = 1;
    munmap(mine->mapped, mine->size);
    if (send(mine->socket, &byte, 1, MSG_NOSIGNAL) < 0 && errno != EPIPE) /* the sender may have ended */
        fail(run, "send: %s", strerror(errno));
}

static void await_drop(struct run *run, struct memfd_end *end)
{
    char byte;
    if (recv(end->socket, &byte, 1, 0) != 1)
        fail(run, "recv: %s", strerror(errno));
    end->under_way--;
}

static void ask_with_memfds(struct run *run, struct memfd_end *end)
{
    struct histogram *times = new_histogram(run);
    uint64_t budget = run->options->messages ? run->options->messages : UINT64_MAX, number = 0;
    int64_t cost = now_cost();
    meet_before(run);
    int64_t last = now() + (int64_t)(run->options->seconds * SECOND);
    for (; number < budget && (run->options->messages || number < 2 || now() < last); number++) {
        int64_t begin = now();
        (void)memfd_put(run, end, number);
        end->under_way++;
        await_drop(run, end);
        histogram_add(times, now() - begin - cost);
    }
    shutdown(end->socket, SHUT_WR);
    report_times(run, times);
    meet_after(run);
}

static void answer_memfds(struct run *run, struct memfd_end *end)
{
    const void *bytes;
    size_t size;
    uint64_t words = end->size / 8;
    meet_before(run);
    while (memfd_take(run, end, &bytes, &size)) {
        if (sum_words(bytes, size) != words * read_stamp(bytes, size) + words * (words - 1) / 2)
            fail(run, "a memfd that arrived is wrong");
        memfd_drop(run, end);
    }
    meet_after(run);
}

static void memfd_work(struct run *run)
{
    struct memfd_end end = memfd_end(run);
    if (run->role == 0)
        ask_with_memfds(run, &end);
    else
        answer_memfds(run, &end);
}

/* ---------------------------------------------------------------- one way */

static void note_sent(struct run *run, const struct send_watch *watch, uint64_t sent, uint64_t sum)
{
    struct role_note *note = &run->board->notes[run->role];
    atomic_store(&note->sent, sent);
    atomic_store(&note->sum, sum);
    atomic_store(&note->faults, watch->faults_end - watch->faults_begin);
}

static void stream_buffers(struct run *run, struct rill_end *end)
{
    uint64_t sent = 0, sum = 0, budget = run->options->messages ? run->options->messages : UINT64_MAX;
    struct send_watch watch = {.phase = PHASE_WARM};
    meet_before(run);
    for (; sent < budget && !stream_is_over(run, &watch); sent++) {
        unsigned char *bytes;
        rill_buffer *buffer = lend(run, end, &bytes);
        sum += fill_words(bytes, run->contestant->size, sent);
        hand_over(run, end, buffer);
    }
    note_sent(run, &watch, sent, sum);
    rill_end_finish(run, end);
    meet_after(run);
}

static void stream_open(struct run *run)
{
    ends_open(run, 1, 0, run->options->limit_given ? run->options->limit : RILL_PIPELINE_LIMIT);
}

static void stream_work(struct run *run)
{
    bool receiving = run->role == 0;
    struct rill_end end = ends_keep(run, receiving ? NO_END : 1, receiving ? 0 : NO_END);
    if (receiving)
        stream_receive(run, &end, RILL_CALLS);
    else
        stream_buffers(run, &end);
}

static void stream_memfds(struct run *run, struct memfd_end *end)
{
    uint64_t sent = 0, sum = 0, budget = run->options->messages ? run->options->messages : UINT64_MAX;
    struct send_watch watch = {.phase = PHASE_WARM};
    meet_before(run);
    for (; sent < budget && !stream_is_over(run, &watch); sent++) {
        if (end->under_way == UNDER_WAY_MOST)
            await_drop(run, end);
        sum += memfd_put(run, end, sent);
        end->under_way++;
    }
    note_sent(run, &watch, sent, sum);
    shutdown(end->socket, SHUT_WR);
    meet_after(run);
}

static void stream_memfd_work(struct run *run)
{
    struct memfd_end end = memfd_end(run);
    const struct stream_calls calls = {.take = memfd_take, .drop = memfd_drop};
    if (run->role == 0)
        stream_receive(run, &end, calls);
    else
        stream_memfds(run, &end);
}

/* ---------------------------------------------------------------- the bench */

static void add_rill(const struct options *options, const char *variant, size_t size, struct contestant *list, size_t *count)
{
    bool one_way = strcmp(variant, "stream") == 0;
    for (size_t t = 0; t < options->transport_count && options_variant(options, variant); t++) {
        struct contestant *it = contestant_add(list, count, "handover", variant, options->transports[t], size);
        it->open = one_way ? stream_open : round_trip_open;
        it->work = one_way ? stream_work : round_trip_work;
    }
}

static void add_memfd(const struct options *options, const char *variant, size_t size, struct contestant *list, size_t *count)
{
    if (!options_variant(options, variant))
        return;
    list[(*count)++] = (struct contestant){
        .bench = "handover",
        .variant = variant,
        .transport = "-",
        .size = size,
        .roles = 2,
        .open = memfd_open,
        .close = memfd_close,
        .work = strcmp(variant, "stream_memfd") == 0 ? stream_memfd_work : memfd_work,
    };
}

int bench_handover(const struct options *options)
{
    static const size_t defaults[] = {64, 1 << 20, 16 << 20, 256 << 20, 1 << 30};
    const size_t *sizes, count = options_sizes(options, defaults, COUNT_OF(defaults), &sizes);
    int result = 0;
    for (size_t i = 0; i < count; i++) {
        struct contestant contestants[12];
        size_t contestant_count = 0, size = sizes[i] < 8 ? 8 : sizes[i] & ~(size_t)7;
        add_rill(options, "untouched", size, contestants, &contestant_count);
        add_rill(options, "touched", size, contestants, &contestant_count);
        add_memfd(options, "fresh_memfd", size, contestants, &contestant_count);
        add_rill(options, "stream", size, contestants, &contestant_count);
        add_memfd(options, "stream_memfd", size, contestants, &contestant_count);
        result |= measure(options, contestants, contestant_count);
    }
    return result;
}
