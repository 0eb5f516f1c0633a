/* SPDX-License-Identifier: MIT */
/*
 * Peers that mean harm. A hostile sender announces lanes of its own making and writes what it likes into them, into the control page and
 * onto the channel's socket, next to an honest sender whose messages all have to arrive, once and in order. A hostile receiver writes what it
 * likes into an honest sender's lane.
 */
#include "support.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "shm/order.h"
#include "shm/wake.h"
#include "src/channel.h"
#include "src/inbox.h"
#include "src/packet.h"
#include "src/source.h"

#define PAGE RILL_PAGE_BYTES
#define FORGED_PAGES 16
#define HONEST 1

/* ---------------------------------------------------------------- forged lanes */

struct forged {
    struct rill_segment segment;
    struct rill_lane_header *header;
    struct rill_ring_writer writer; /* of ring 0 */
    uint64_t id;
};

static unsigned char *forged_at(const struct forged *forged, uint64_t offset)
{
    return rill_segment_at(&forged->segment, offset, PAGE);
}

/* A lane as an honest owner would make it, with all of its pages committed and no owner that could be asked after. */
static struct forged forge(const rill_sender *tx)
{
    static uint64_t next_id = 1000;
    const struct rill_page *page = tx->endpoint->core->page;
    struct forged made = {.id = next_id++};
    require_ok(rill_segment_create(&made.segment, FORGED_PAGES * PAGE));
    made.header = (struct rill_lane_header *)(void *)forged_at(&made, 0);
    made.header->magic = RILL_LANE_MAGIC;
    made.header->version = RILL_LAYOUT_VERSION;
    made.header->fingerprint = RILL_FINGERPRINT;
    made.header->id[0] = page->id[0];
    made.header->id[1] = page->id[1];
    made.header->ring[0].first = (struct rill_span){.offset = PAGE, .size = PAGE};
    atomic_store(&made.header->rings, 1);
    rill_ring_enter(&made.writer, (struct rill_span){.offset = PAGE, .size = PAGE}, forged_at(&made, PAGE));
    return made;
}

static int notify(const rill_sender *tx, uint32_t kind, uint64_t word, const rill_object *object)
{
    struct rill_notice notice = {.kind = kind, .word = word};
    struct rill_run_of_bytes run = {.data = &notice, .size = sizeof notice};
    return rill_port_send(tx->endpoint->socket, &run, 1, object, object ? 1 : 0, false);
}

static void announce_lane(const rill_sender *tx, const struct forged *forged)
{
    require_ok(notify(tx, RILL_PACKET_LANE, forged->id, &forged->segment.memory));
    rill_order_count_ring(tx->endpoint->core->page);
}

static void forge_record(struct forged *forged, unsigned kind, const void *payload, uint64_t size, uint64_t ticket)
{
    memcpy(rill_ring_payload(&forged->writer, ticket), payload, size);
    require(rill_ring_commit(&forged->writer, kind, size, ticket));
}

static void forge_number(struct forged *forged, uint64_t ticket)
{
    const uint64_t number = 77;
    forge_record(forged, RILL_KIND_INLINE, &number, sizeof number, ticket);
}

static void forge_large(struct forged *forged, uint64_t offset, uint64_t size)
{
    const struct rill_large large = {.offset = offset, .size = size, .capacity = size};
    forge_record(forged, RILL_KIND_LARGE, &large, sizeof large, 0);
}

static void forge_link(struct forged *forged, uint64_t offset, uint64_t size)
{
    unsigned char *here = forged->writer.block + forged->writer.position;
    const struct rill_span span = {.offset = offset, .size = size};
    const uint64_t word = RILL_HEADER(RILL_KIND_LINK, sizeof span);
    memcpy(here + RILL_HEADER_BYTES, &span, sizeof span);
    memcpy(here, &word, sizeof word);
}

static void put_word(struct forged *forged, uint64_t offset, uint64_t word)
{
    memcpy(forged_at(forged, offset & ~(PAGE - 1)) + offset % PAGE, &word, sizeof word);
}

/* A child owns the lane, so that it counts as alive; it does nothing more. */
static pid_t own_in_child(const struct forged *forged)
{
    int pipes[2];
    char byte = 0;
    require(pipe(pipes) == 0);
    pid_t child = fork_child();
    if (child == 0) {
        require_ok(rill_port_owner_mark(forged->segment.memory));
        require(write(pipes[1], "x", 1) == 1);
        for (;;)
            pause();
    }
    require(read(pipes[0], &byte, 1) == 1);
    rill_port_close(pipes[0]);
    rill_port_close(pipes[1]);
    return child;
}

/* ---------------------------------------------------------------- the honest side */

struct scene {
    rill_sender *tx;
    rill_receiver *rx;
    uint64_t sent, received;
    size_t others;    /* messages of the hostile sender */
    size_t faults[3]; /* EPEER, EVERSION, EQUOTA */
};

static struct scene open_scene(const struct rill_channel_options *options)
{
    struct scene scene = {0};
    require_ok(rill_channel(options, &scene.tx, &scene.rx));
    return scene;
}

static void close_scene(struct scene *scene)
{
    if (scene->tx)
        require_ok(rill_sender_close(&scene->tx));
    require_ok(rill_receiver_close(&scene->rx));
}

static void send_honest(struct scene *scene, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        unsigned char bytes[64];
        stamp(bytes, sizeof bytes, HONEST, scene->sent);
        require_ok(rill_send(scene->tx, bytes, sizeof bytes));
        scene->sent++;
    }
}

/* Honest messages come in order; of the others only that they can be read. */
static void take_in(struct scene *scene, rill_message **message)
{
    uint64_t sender, number;
    const unsigned char *bytes = rill_message_data(*message);
    size_t size = rill_message_size(*message);
    if (size == 64 && stamped(bytes, size, &sender, &number) && sender == HONEST) {
        require_equal(scene->received, number);
        scene->received++;
    } else {
        unsigned sum = 0;
        for (size_t i = 0; i < size; i += 64)
            sum += bytes[i];
        scene->others += sum != UINT32_MAX;
    }
    require_ok(rill_message_close(message));
}

static void note_fault(struct scene *scene, int code)
{
    require(code == RILL_EPEER || code == RILL_EVERSION || code == RILL_EQUOTA);
    scene->faults[code == RILL_EPEER ? 0 : code == RILL_EVERSION ? 1 : 2]++;
}

/* Receives all there is. */
static void receive_all(struct scene *scene)
{
    rill_message *message = NULL;
    int code;
    for (size_t calls = 0; (code = rill_try_recv(scene->rx, &message)) != RILL_EEMPTY; calls++) {
        require(calls < 1000000);
        if (code == RILL_OK)
            take_in(scene, &message);
        else
            note_fault(scene, code);
    }
}

static size_t all_faults(const struct scene *scene)
{
    return scene->faults[0] + scene->faults[1] + scene->faults[2];
}

static void require_unharmed(struct scene *scene)
{
    require_equal(scene->sent, scene->received);
    size_t faults = all_faults(scene);
    send_honest(scene, 5);
    receive_all(scene);
    require_equal(scene->sent, scene->received);
    require_equal(faults, all_faults(scene)); /* each is told once */
}

/* ---------------------------------------------------------------- one lie in a lane */

struct lie {
    const char *name;
    void (*tell)(struct forged *forged);
    int code;
};

static void lie_magic(struct forged *f) { f->header->magic++; }
static void lie_version(struct forged *f) { f->header->version++; }
static void lie_fingerprint(struct forged *f) { f->header->fingerprint ^= 1; }
static void lie_channel(struct forged *f) { f->header->id[1] ^= 1; }
static void lie_rings_33(struct forged *f) { atomic_store(&f->header->rings, RILL_RINGS_MAX + 1); }
static void lie_rings_all(struct forged *f) { atomic_store(&f->header->rings, UINT32_MAX); }
static void lie_rings_revoked(struct forged *f) { atomic_store(&f->header->rings, RILL_RINGS_REVOKED); }
static void lie_second_ring(struct forged *f) { atomic_store(&f->header->rings, 2); }
static void lie_first_zero(struct forged *f) { f->header->ring[0].first.offset = 0; }
static void lie_first_odd(struct forged *f) { f->header->ring[0].first.offset = PAGE + 8; }
static void lie_first_outside(struct forged *f) { f->header->ring[0].first.offset = f->segment.size; }
static void lie_first_wraps(struct forged *f) { f->header->ring[0].first.offset = UINT64_MAX - PAGE + 1; }
static void lie_first_small(struct forged *f) { f->header->ring[0].first.size = PAGE - 8; }
static void lie_first_large(struct forged *f) { f->header->ring[0].first.size = UINT64_MAX; }
static void lie_poison(struct forged *f) { put_word(f, PAGE, RILL_HEADER_POISON); }
static void lie_kind(struct forged *f) { put_word(f, PAGE, RILL_HEADER(5, 8)); }
static void lie_record_size(struct forged *f) { put_word(f, PAGE, RILL_HEADER(RILL_KIND_INLINE, PAGE)); }
static void lie_record_huge(struct forged *f) { put_word(f, PAGE, UINT64_MAX << 8 | RILL_KIND_INLINE); }
static void lie_link_size(struct forged *f) { put_word(f, PAGE, RILL_HEADER(RILL_KIND_LINK, 8)); }
static void lie_link_outside(struct forged *f) { forge_link(f, f->segment.size, PAGE); }
static void lie_link_header(struct forged *f) { forge_link(f, 0, PAGE); }
static void lie_link_odd(struct forged *f) { forge_link(f, PAGE + 64, PAGE); }
static void lie_link_wraps(struct forged *f) { forge_link(f, PAGE, UINT64_MAX); }
static void lie_large_header(struct forged *f) { forge_large(f, 64, 64); }
static void lie_large_odd(struct forged *f) { forge_large(f, 4 * PAGE + 1, 64); }
static void lie_large_empty(struct forged *f) { forge_large(f, 4 * PAGE, 0); }
static void lie_large_outside(struct forged *f) { forge_large(f, f->segment.size - 8, 16); }
static void lie_large_wraps(struct forged *f) { forge_large(f, UINT64_MAX - 7, 16); }
static void lie_large_huge(struct forged *f) { forge_large(f, 4 * PAGE, UINT64_MAX); }
static void lie_stamp_zero(struct forged *f) { put_word(f, PAGE + 8, 0), put_word(f, PAGE, RILL_HEADER(RILL_KIND_INLINE, 8) | RILL_HEADER_STAMPED); }
static void lie_ticket_twice(struct forged *f) { forge_number(f, 5), forge_number(f, 5); }
static void lie_ticket_falls(struct forged *f) { forge_number(f, 5), forge_number(f, 4); }
static void lie_ticket_end(struct forged *f) { forge_number(f, UINT64_MAX), forge_number(f, 1); }

static void lie_first_empty(struct forged *f) { f->header->ring[0].first = (struct rill_span){.offset = f->segment.size, .size = 0}; }
static void lie_link_empty(struct forged *f) { forge_link(f, f->segment.size, 0); }


static const struct lie lies[] = {
    {"magic", lie_magic, RILL_EPEER},
    {"version", lie_version, RILL_EVERSION},
    {"fingerprint", lie_fingerprint, RILL_EVERSION},
    {"channel", lie_channel, RILL_EPEER},
    {"33 rings", lie_rings_33, RILL_EPEER},
    {"all rings", lie_rings_all, RILL_EPEER},
    {"revoked", lie_rings_revoked, RILL_EPEER},
    {"second ring", lie_second_ring, RILL_EPEER},
    {"first block at zero", lie_first_zero, RILL_EPEER},
    {"first block odd", lie_first_odd, RILL_EPEER},
    {"first block outside", lie_first_outside, RILL_EPEER},
    {"first block wraps", lie_first_wraps, RILL_EPEER},
    {"first block small", lie_first_small, RILL_EPEER},
    {"first block large", lie_first_large, RILL_EPEER},
    {"poison", lie_poison, RILL_EPEER},
    {"kind", lie_kind, RILL_EPEER},
    {"record size", lie_record_size, RILL_EPEER},
    {"record huge", lie_record_huge, RILL_EPEER},
    {"link size", lie_link_size, RILL_EPEER},
    {"link outside", lie_link_outside, RILL_EPEER},
    {"link to the header", lie_link_header, RILL_EPEER},
    {"link odd", lie_link_odd, RILL_EPEER},
    {"link wraps", lie_link_wraps, RILL_EPEER},
    {"message in the header", lie_large_header, RILL_EPEER},
    {"message odd", lie_large_odd, RILL_EPEER},
    {"message empty", lie_large_empty, RILL_EPEER},
    {"message outside", lie_large_outside, RILL_EPEER},
    {"message wraps", lie_large_wraps, RILL_EPEER},
    {"message huge", lie_large_huge, RILL_EPEER},
    {"stamp zero", lie_stamp_zero, RILL_EPEER},
    {"ticket twice", lie_ticket_twice, RILL_EPEER},
    {"ticket falls", lie_ticket_falls, RILL_EPEER},
    {"ticket at the end", lie_ticket_end, RILL_EPEER},
    
    {"first block empty", lie_first_empty, RILL_EPEER},
    {"link to nothing", lie_link_empty, RILL_EPEER},
    
};

static void tell(const struct lie *lie)
{
    struct scene scene = open_scene(NULL);
    send_honest(&scene, 3);
    struct forged forged = forge(scene.tx);
    lie->tell(&forged);
    announce_lane(scene.tx, &forged);
    send_honest(&scene, 3);
    receive_all(&scene);
    require_equal(1, all_faults(&scene));
    require_equal(1, scene.faults[lie->code == RILL_EPEER ? 0 : lie->code == RILL_EVERSION ? 1 : 2]);
    require_unharmed(&scene);
    rill_segment_close(&forged.segment);
    close_scene(&scene);
}

static void each_lie_costs_its_lane_and_nothing_else(void *argument)
{
    (void)argument;
    for (size_t i = 0; i < COUNT_OF(lies); i++) {
        test_note = (long long)i;
        tell(&lies[i]);
    }
}

static void what_was_sent_before_the_lie_is_delivered(void *argument)
{
    (void)argument;
    struct scene scene = open_scene(NULL);
    struct forged forged = forge(scene.tx);
    forge_number(&forged, 0);
    forge_large(&forged, 4 * PAGE, 100);
    forge_large(&forged, 4 * PAGE, UINT64_MAX);
    announce_lane(scene.tx, &forged);
    receive_all(&scene);
    require_equal(2, scene.others);
    require_equal(1, scene.faults[0]);
    require_equal(RILL_EPEER, atomic_load(&forged.header->refused)); /* its owner can learn why */
    require_equal(RILL_RINGS_REVOKED, atomic_load(&forged.header->rings));
    rill_segment_close(&forged.segment);
    close_scene(&scene);
}

/* Two blocks that each end in a link to the other. */
static void links_in_a_circle_are_not_followed_for_ever(void *argument)
{
    (void)argument;
    for (uint64_t other = PAGE; other <= 2 * PAGE; other += PAGE) {
        struct scene scene = open_scene(NULL);
        struct forged forged = forge(scene.tx);
        forge_number(&forged, 0);
        forge_link(&forged, other, PAGE);
        if (other != PAGE) {
            rill_ring_enter(&forged.writer, (struct rill_span){.offset = other, .size = PAGE}, forged_at(&forged, other));
            forge_number(&forged, 0);
            forge_link(&forged, PAGE, PAGE);
        }
        announce_lane(scene.tx, &forged);
        send_honest(&scene, 3);
        receive_all(&scene);
        require_unharmed(&scene);
        rill_segment_close(&forged.segment);
        close_scene(&scene);
    }
}

static void a_message_above_the_quota_closes_its_lane(void *argument)
{
    (void)argument;
    struct rill_channel_options options = {.size = sizeof options, .max_message = 1000};
    struct scene scene = open_scene(&options);
    struct forged forged = forge(scene.tx);
    forge_large(&forged, 4 * PAGE, 1000);
    forge_large(&forged, 4 * PAGE, 1001);
    announce_lane(scene.tx, &forged);
    receive_all(&scene);
    require_equal(1, scene.others);
    require_equal(1, scene.faults[2]);
    require_unharmed(&scene);
    rill_segment_close(&forged.segment);
    close_scene(&scene);
}

static void a_lane_maps_no_more_than_its_quota(void *argument)
{
    (void)argument;
    struct rill_channel_options options = {.size = sizeof options, .max_lane_bytes = MIB};
    struct scene scene = open_scene(&options);
    struct forged forged = forge(scene.tx);
    require_ok(rill_port_memory_grow(forged.segment.memory, 64 * GIB)); /* a hole: it costs its owner nothing */
    for (uint64_t i = 0; i < 60; i++)
        forge_large(&forged, GIB * (i + 1), 64 * KIB);
    announce_lane(scene.tx, &forged);
    size_t mapped = shared_mapped_bytes();
    rill_message *message = NULL;
    while (rill_try_recv(scene.rx, &message) == RILL_OK) {
        take_in(&scene, &message);
        require(shared_mapped_bytes() <= mapped + MIB);
    }
    require(scene.others < 16);
    require_unharmed(&scene);
    rill_segment_close(&forged.segment);
    close_scene(&scene);
}

static void lanes_above_their_number_are_refused_and_told_once(void *argument)
{
    (void)argument;
    struct rill_channel_options options = {.size = sizeof options, .max_lanes = 3};
    struct scene scene = open_scene(&options);
    struct forged forged[6];
    send_honest(&scene, 1);
    for (size_t i = 0; i < COUNT_OF(forged); i++) {
        forged[i] = forge(scene.tx);
        announce_lane(scene.tx, &forged[i]);
    }
    receive_all(&scene);
    require_equal(4, scene.faults[2]);
    require_equal(4, all_faults(&scene));
    require_unharmed(&scene);
    for (size_t i = 0; i < COUNT_OF(forged); i++)
        rill_segment_close(&forged[i].segment);
    close_scene(&scene);
}

/* ---------------------------------------------------------------- junk on the socket */

static void send_packet(const struct scene *scene, const void *bytes, size_t size, const int *objects, size_t count)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int) * 16)];
    } rights;
    struct iovec run = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = size};
    struct msghdr message = {.msg_iov = &run, .msg_iovlen = 1};
    if (count) {
        memset(&rights, 0, sizeof rights);
        message.msg_control = rights.bytes;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * count);
        struct cmsghdr *control = CMSG_FIRSTHDR(&message);
        control->cmsg_level = SOL_SOCKET;
        control->cmsg_type = SCM_RIGHTS;
        control->cmsg_len = CMSG_LEN(sizeof(int) * count);
        memcpy(CMSG_DATA(control), objects, sizeof(int) * count);
    }
    require(sendmsg(scene->tx->endpoint->socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)size);
}

static void packets_that_say_nothing_do_nothing(void *argument)
{
    (void)argument;
    static const int inputs[16];
    unsigned char junk[300];
    struct scene scene = open_scene(NULL);
    size_t descriptors = 0;
    fill(junk, sizeof junk, 1);
    for (size_t size = 0; size <= sizeof junk; size += size < 40 ? 1 : 20) {
        for (size_t count = 0; count <= 16; count += 4)
            send_packet(&scene, junk, size, inputs, count);
        send_honest(&scene, 1);
        receive_all(&scene);
        descriptors = descriptors ? descriptors : count_descriptors();
        test_note = (long long)size;
        require_equal(descriptors, count_descriptors());
    }
    require_equal(0, all_faults(&scene));
    require_unharmed(&scene);
    close_scene(&scene);
}

static void packets_of_every_kind_with_nonsense_do_nothing(void *argument)
{
    (void)argument;
    struct scene scene = open_scene(NULL);
    const int input = 0;
    send_honest(&scene, 1);
    receive_all(&scene);
    size_t descriptors = count_descriptors();
    for (uint32_t kind = 0; kind < 8; kind++) {
        static const uint64_t words[] = {0, 1, 2, 77, UINT32_MAX, UINT64_MAX};
        for (size_t i = 0; i < COUNT_OF(words); i++) {
            require_ok(notify(scene.tx, kind, words[i], NULL));
            if (kind != RILL_PACKET_LANE)
                require_ok(notify(scene.tx, kind, words[i], &input));
        }
        send_honest(&scene, 3);
        receive_all(&scene);
        require_equal(descriptors, count_descriptors());
    }
    require_equal(0, all_faults(&scene));
    require_unharmed(&scene);
    close_scene(&scene);
}

static int unsealed(uint64_t size)
{
    int memory = memfd_create("forged", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    require(memory >= 0 && ftruncate(memory, (off_t)size) == 0);
    return memory;
}

static int sealed(uint64_t size, int seals)
{
    int memory = unsealed(size);
    require(fcntl(memory, F_ADD_SEALS, seals) == 0);
    return memory;
}


static int read_only(void)
{
    char path[64];
    int memory = sealed(16 * PAGE, F_SEAL_SHRINK | F_SEAL_SEAL);
    snprintf(path, sizeof path, "/proc/self/fd/%d", memory);
    int opened = open(path, O_RDONLY | O_CLOEXEC);
    require(opened >= 0);
    rill_port_close(memory);
    return opened;
}

static int huge_pages(void)
{
    int memory = memfd_create("forged", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB);
    if (memory < 0)
        return unsealed(PAGE); /* this system has none: something else that is refused */
    require(ftruncate(memory, 2 * MIB) == 0 && fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_SEAL) == 0);
    return memory;
}


static void objects_that_are_no_lane_are_refused(void *argument)
{
    (void)argument;
    int pair[2];
    require(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    const int objects[] = {
        open("/dev/null", O_RDWR | O_CLOEXEC), open("/proc/self/maps", O_RDONLY | O_CLOEXEC), pair[0], pair[1], unsealed(16 * PAGE), unsealed(0),
        sealed(16 * PAGE, F_SEAL_SEAL), sealed(16 * PAGE, F_SEAL_SHRINK), sealed(16 * PAGE, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL),
        sealed(16 * PAGE, F_SEAL_SHRINK | F_SEAL_WRITE | F_SEAL_SEAL), sealed(0, F_SEAL_SHRINK | F_SEAL_SEAL),
        sealed(100, F_SEAL_SHRINK | F_SEAL_SEAL), sealed(16 * PAGE, F_SEAL_SHRINK | F_SEAL_SEAL),
        
        read_only(), huge_pages(),
        
    };
    struct scene scene = open_scene(NULL);
    for (size_t i = 0; i < COUNT_OF(objects); i++) {
        test_note = (long long)i;
        require_ok(notify(scene.tx, RILL_PACKET_LANE, 7, &objects[i]));
        send_honest(&scene, 2);
        receive_all(&scene);
        require_equal(i + 1, all_faults(&scene));
        rill_port_close(objects[i]);
    }
    require_equal(COUNT_OF(objects), scene.faults[0]);
    require_unharmed(&scene);
    close_scene(&scene);
}

/* Waits for room through a socket that somebody else offered too: only the lane's own secret is believed. */
static void a_room_socket_of_the_wrong_name_is_closed(void *argument)
{
    (void)argument;
    struct rill_channel_options options = {.size = sizeof options, .limit = 4096};
    struct scene scene = open_scene(&options);
    int pair[2];
    require(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
    send_honest(&scene, 1);
    for (uint64_t id = 0; id < 10; id++)
        require_ok(notify(scene.tx, RILL_PACKET_ROOM, id, &pair[1]));
    receive_all(&scene);
    rill_port_close(pair[1]);
    char byte;
    require(recv(pair[0], &byte, 1, MSG_DONTWAIT) == 0); /* nobody holds its other end */
    rill_port_close(pair[0]);
    require_unharmed(&scene);
    close_scene(&scene);
}

static void fill_socket(const struct scene *scene)
{
    while (notify(scene->tx, RILL_PACKET_WAKE, 99, NULL) == RILL_OK)
        continue;
}

static void an_established_lane_works_while_the_socket_is_full(void *argument)
{
    (void)argument;
    for (int small = 0; small < 2; small++) {
        struct scene scene = open_scene(NULL);
        int least = 0;
        if (small)
            require(setsockopt(scene.tx->endpoint->socket, SOL_SOCKET, SO_SNDBUF, &least, sizeof least) == 0);
        send_honest(&scene, 1);
        receive_all(&scene);
        for (size_t round = 0; round < 100; round++) {
            rill_message *message = NULL;
            require_code(RILL_ETIMEDOUT, rill_recv_timeout(scene.rx, 1, &message)); /* armed */
            fill_socket(&scene);
            send_honest(&scene, 3);
            for (uint64_t wanted = scene.sent; scene.received < wanted;) {
                require_ok(rill_recv_timeout(scene.rx, 5 * SECOND, &message));
                take_in(&scene, &message);
            }
        }
        require_unharmed(&scene);
        close_scene(&scene);
    }
}


static void an_oversized_announcement_is_no_lack_of_descriptors(void *argument)
{
    (void)argument;
    struct scene scene = open_scene(NULL);
    unsigned char bytes[64] = {0};
    const struct rill_notice notice = {.kind = RILL_PACKET_LANE, .word = 7};
    memcpy(bytes, &notice, sizeof notice);
    send_packet(&scene, bytes, sizeof bytes, NULL, 0);
    receive_all(&scene);
    require_unharmed(&scene);
    close_scene(&scene);
}

static void objects_in_the_last_packet_are_closed(void *argument)
{
    (void)argument;
    static const int inputs[4];
    struct scene scene = open_scene(NULL);
    size_t descriptors = count_descriptors();
    send_packet(&scene, "", 0, inputs, 4);
    require_ok(rill_sender_close(&scene.tx));
    rill_message *message = NULL;
    require_code(RILL_EDISCONNECTED, rill_try_recv(scene.rx, &message));
    require_equal(descriptors - 1, count_descriptors());
    close_scene(&scene);
}

static void a_lane_that_is_handed_back_uses_up_no_descriptors(void *argument)
{
    (void)argument;
    struct scene there = open_scene(NULL), scene = open_scene(NULL); /* we send there, and its receiver is hostile and sends here */
    send_honest(&there, 1);
    send_honest(&scene, 1);
    receive_all(&scene);
    size_t descriptors = count_descriptors();
    const struct rill_lane *lane = atomic_load(&there.tx->endpoint->lane);
    for (size_t i = 0; i < 50; i++) {
        require_ok(notify(scene.tx, RILL_PACKET_LANE, 7, &lane->segment.memory));
        receive_all(&scene);
    }
    require(count_descriptors() <= descriptors + 8);
    require_unharmed(&scene);
    receive_all(&there);
    require_unharmed(&there);
    close_scene(&there);
    close_scene(&scene);
}


/* ---------------------------------------------------------------- the control page */

/* The forged ring never runs empty: it goes round its pages and stays some records ahead of the receiver. */
static void keep_full(struct forged *forged, uint64_t received, uint64_t *forged_count, bool with_tickets)
{
    static const unsigned char payload[3000];
    while (*forged_count < received + 4) {
        uint64_t next = 1 + (uint64_t)(forged->writer.block - forged_at(forged, 0)) / PAGE % (FORGED_PAGES - 1);
        ++*forged_count;
        forge_record(forged, RILL_KIND_INLINE, payload, sizeof payload, with_tickets ? *forged_count : 0);
        require(rill_ring_link(&forged->writer, (struct rill_span){.offset = next * PAGE, .size = PAGE}, forged_at(forged, next * PAGE)));
    }
}

static bool without_tickets = false, with_low_tickets = true;

static void a_ring_that_never_runs_empty_holds_nobody_back_for_ever(void *argument)
{
    const bool *with_tickets = argument;
    struct scene scene = open_scene(NULL);
    struct forged forged = forge(scene.tx);
    uint64_t count = 0;
    atomic_store(&scene.tx->endpoint->core->page->ticket, UINT64_C(1) << 32); /* the hostile tickets are all lower */
    announce_lane(scene.tx, &forged);
    send_honest(&scene, 1);
    for (unsigned round = 0; round < 3; round++) {
        size_t others = scene.others;
        send_honest(&scene, 200);
        while (scene.received < scene.sent) {
            rill_message *message = NULL;
            keep_full(&forged, scene.others, &count, *with_tickets);
            require_ok(rill_try_recv(scene.rx, &message));
            take_in(&scene, &message);
            require((scene.others - others) * 3000 < 40 * MIB); /* twice 16 MiB, and what is counted otherwise */
        }
    }
    rill_segment_close(&forged.segment);
    close_scene(&scene);
}

static void forge_tickets(struct forged *forged, const uint64_t *tickets, size_t count)
{
    for (size_t i = 0; i < count; i++)
        forge_record(forged, RILL_KIND_INLINE, &tickets[i], sizeof tickets[i], tickets[i]);
}

static void require_ticket(struct scene *scene, uint64_t expected)
{
    rill_message *message = NULL;
    uint64_t ticket;
    require_ok(rill_try_recv(scene->rx, &message));
    memcpy(&ticket, rill_message_data(message), sizeof ticket);
    require_equal(expected, ticket);
    require_ok(rill_message_close(&message));
}

static void tickets_have_to_rise_also_in_a_row_of_them(void *argument)
{
    (void)argument;
    static const uint64_t tickets[] = {5, 6, 9, 9};
    struct scene scene = open_scene(NULL);
    struct forged forged = forge(scene.tx);
    rill_message *message = NULL;
    atomic_store(&scene.tx->endpoint->core->page->ticket, 1000);
    announce_lane(scene.tx, &forged);
    forge_tickets(&forged, tickets, COUNT_OF(tickets));
    for (size_t i = 0; i < 3; i++)
        require_ticket(&scene, tickets[i]);
    require_code(RILL_EPEER, rill_try_recv(scene.rx, &message));
    require_unharmed(&scene);
    rill_segment_close(&forged.segment);
    close_scene(&scene);
}

static void what_came_before_a_fault_is_received_together_and_then_it_is_told(void *argument)
{
    (void)argument;
    static const uint64_t tickets[] = {5, 6, 9, 9};
    struct scene scene = open_scene(NULL);
    struct forged forged = forge(scene.tx);
    rill_message *messages[8];
    size_t count = 0;
    atomic_store(&scene.tx->endpoint->core->page->ticket, 1000);
    announce_lane(scene.tx, &forged);
    forge_tickets(&forged, tickets, COUNT_OF(tickets));
    require_ok(rill_recv_many(scene.rx, RILL_NOW, messages, COUNT_OF(messages), &count));
    require_equal(3, count);
    for (size_t i = 0; i < count; i++)
        require_ok(rill_message_close(&messages[i]));
    require_code(RILL_EREADY, rill_receiver_arm(scene.rx));
    require_code(RILL_EPEER, rill_recv_many(scene.rx, RILL_NOW, messages, COUNT_OF(messages), &count));
    require_code(RILL_EEMPTY, rill_recv_many(scene.rx, RILL_NOW, messages, COUNT_OF(messages), &count));
    require_unharmed(&scene);
    rill_segment_close(&forged.segment);
    close_scene(&scene);
}

/* Both were seen empty at 100, so all lower tickets count as that, and only what they say decides. */
static void rings_that_are_level_take_turns_by_their_tickets(void *argument)
{
    (void)argument;
    static const uint64_t first[] = {10, 11, 30}, second[] = {20, 21, 40};
    struct scene scene = open_scene(NULL);
    struct forged forged[] = {forge(scene.tx), forge(scene.tx)};
    rill_message *message = NULL;
    atomic_store(&scene.tx->endpoint->core->page->ticket, 100);
    pid_t children[COUNT_OF(forged)];
    for (size_t i = 0; i < COUNT_OF(forged); i++) {
        children[i] = own_in_child(&forged[i]);
        announce_lane(scene.tx, &forged[i]);
    }
    require_code(RILL_EEMPTY, rill_try_recv(scene.rx, &message));
    forge_tickets(&forged[0], first, COUNT_OF(first));
    forge_tickets(&forged[1], second, COUNT_OF(second));
    for (size_t i = 0; i < 6; i++)
        require_ticket(&scene, (const uint64_t[]){10, 11, 20, 21, 30, 40}[i]);
    for (size_t i = 0; i < COUNT_OF(forged); i++) {
        kill_child(children[i]);
        rill_segment_close(&forged[i].segment);
    }
    close_scene(&scene);
}

static void the_ticket_counter_may_be_set_to_anything(void *argument)
{
    (void)argument;
    static const uint64_t values[] = {0, 1, UINT32_MAX, UINT64_C(1) << 40, 5, UINT64_C(1) << 62, 3,
                                       UINT64_MAX - 1, UINT64_MAX, 0, UINT64_MAX - 3, 1 };
    struct scene scene = open_scene(NULL);
    struct rill_page *page = scene.tx->endpoint->core->page;
    rill_order_count_ring(page); /* so that tickets are drawn */
    for (size_t i = 0; i < COUNT_OF(values); i++) {
        test_note = (long long)i;
        send_honest(&scene, 3);
        atomic_store(&page->ticket, values[i]);
        send_honest(&scene, 3);
        receive_all(&scene);
        require_equal(0, all_faults(&scene));
        require_equal(scene.sent, scene.received);
    }
    require_unharmed(&scene);
    close_scene(&scene);
}

static void the_counts_of_rings_and_wakeups_may_be_set_to_anything(void *argument)
{
    (void)argument;
    struct scene scene = open_scene(NULL);
    struct rill_page *page = scene.tx->endpoint->core->page;
    struct dice dice = {.state = 9};
    for (size_t i = 0; i < 300; i++) {
        atomic_store(&page->rings, (uint32_t)(roll(&dice) % 2 ? roll(&dice) : roll(&dice) % 3));
        atomic_store(&page->rang, (uint32_t)roll(&dice));
        send_honest(&scene, 4);
        rill_message *message = NULL;
        for (uint64_t wanted = scene.sent; scene.received < wanted;) {
            require_ok(rill_recv_timeout(scene.rx, 5 * SECOND, &message));
            take_in(&scene, &message);
        }
    }
    require_unharmed(&scene);
    close_scene(&scene);
}

/* ---------------------------------------------------------------- lanes that change behind the receiver's back */

static void change_and_wait(void (*change)(struct forged *forged))
{
    struct scene scene = open_scene(NULL);
    struct forged forged = forge(scene.tx);
    pid_t child = own_in_child(&forged);
    announce_lane(scene.tx, &forged);
    receive_all(&scene);
    change(&forged);
    rill_message *message = NULL;
    int64_t before = thread_cpu();
    int code = rill_recv_timeout(scene.rx, SECOND / 2, &message);
    if (code != RILL_ETIMEDOUT)
        note_fault(&scene, code);
    require(thread_cpu() - before < SECOND / 8);
    require_unharmed(&scene);
    kill_child(child);
    rill_segment_close(&forged.segment);
    close_scene(&scene);
}

static void no_rings(struct forged *f) { atomic_store(&f->header->rings, 0); }

static void a_lane_without_messages_keeps_nobody_awake(void *argument)
{
    (void)argument;
    change_and_wait(no_rings);
    change_and_wait(lie_rings_revoked);
}



static void a_lane_cannot_use_up_the_mappings_of_the_process(void *argument)
{
    (void)argument;
    struct scene scene = open_scene(NULL);
    struct forged forged = forge(scene.tx);
    require_ok(rill_port_memory_grow(forged.segment.memory, UINT64_C(1) << 42));
    pid_t child = own_in_child(&forged);
    announce_lane(scene.tx, &forged);
    uint64_t block = PAGE;
    for (uint64_t i = 0; all_faults(&scene) == 0; i++) {
        require(i < 1500);
        if (!rill_ring_fits(&forged.writer, RILL_HEADER_BYTES + sizeof(struct rill_large))) {
            block += PAGE;
            require(rill_ring_link(&forged.writer, (struct rill_span){.offset = block, .size = PAGE}, forged_at(&forged, block)));
        }
        forge_large(&forged, MIB + i * 4 * PAGE, 64);
        receive_all(&scene);
    }
    require_equal(1, scene.faults[2]);
    require_unharmed(&scene);
    kill_child(child);
    rill_segment_close(&forged.segment);
    close_scene(&scene);
}


static void a_hostile_lane_that_sleeps_costs_nothing(void *argument)
{
    (void)argument;
    struct scene scene = open_scene(NULL);
    struct forged forged = forge(scene.tx);
    pid_t child = own_in_child(&forged);
    announce_lane(scene.tx, &forged);
    receive_all(&scene);
    atomic_store(&forged.header->room_at, 1);
    atomic_store(&forged.header->returned, UINT64_MAX);
    rill_message *message = NULL;
    int64_t before = thread_cpu();
    require_code(RILL_ETIMEDOUT, rill_recv_timeout(scene.rx, SECOND / 2, &message));
    require(thread_cpu() - before < SECOND / 8);
    require_unharmed(&scene);
    kill_child(child);
    rill_segment_close(&forged.segment);
    close_scene(&scene);
}

/* ---------------------------------------------------------------- mutations of a sound lane */

/* Two rings, a link, inline and large messages, with and without stamps. */
static struct forged sound_lane(const rill_sender *tx)
{
    struct forged made = forge(tx);
    for (uint64_t i = 0; i < 8; i++)
        forge_number(&made, 0);
    forge_large(&made, 8 * PAGE, 3000);
    require(rill_ring_link(&made.writer, (struct rill_span){.offset = 2 * PAGE, .size = PAGE}, forged_at(&made, 2 * PAGE)));
    for (uint64_t i = 1; i < 8; i++)
        forge_number(&made, i);
    forge_large(&made, 9 * PAGE, 5000);
    struct rill_ring_writer first = made.writer;
    made.header->ring[1].first = (struct rill_span){.offset = 3 * PAGE, .size = PAGE};
    rill_ring_enter(&made.writer, (struct rill_span){.offset = 3 * PAGE, .size = PAGE}, forged_at(&made, 3 * PAGE));
    for (uint64_t i = 2; i < 8; i++)
        forge_number(&made, 2 * i);
    made.writer = first;
    atomic_store(&made.header->rings, 2);
    atomic_store(&made.header->closed, 1);
    return made;
}

/* Values that are nearly right do more harm than random ones. */
static uint64_t nasty(struct dice *dice)
{
    static const uint64_t values[] = {0, 1, 7, 8, 15, 16, 24, PAGE - 24, PAGE - 8, PAGE, PAGE + 8, 2 * PAGE, FORGED_PAGES *PAGE, INT64_MAX, UINT64_MAX, UINT64_MAX - 7};
    switch (roll(dice) % 4) {
    case 0:
        return values[roll(dice) % COUNT_OF(values)];
    case 1:
        return RILL_HEADER(roll(dice) % 8, values[roll(dice) % COUNT_OF(values)]) | (roll(dice) % 2 ? RILL_HEADER_STAMPED : 0);
    case 2:
        return roll(dice) >> roll(dice) % 64;
    default:
        return roll(dice) % FORGED_PAGES * PAGE;
    }
}

/* Where something is: the header's words, the rings' controls, or the records. */
static uint64_t some_place(struct dice *dice)
{
    switch (roll(dice) % 4) {
    case 0:
        return 8 * (roll(dice) % 48);
    case 1:
        return offsetof(struct rill_lane_header, ring) + 8 * (roll(dice) % 16);
    default:
        return PAGE * roll_between(dice, 1, 3) + 8 * (roll(dice) % 40);
    }
}

static void mutate(struct forged *forged, struct dice *dice)
{
    for (uint64_t count = roll_between(dice, 1, 4); count; count--) {
        uint64_t place = some_place(dice);
        if (roll(dice) % 3)
            put_word(forged, place, nasty(dice));
        else
            forged_at(forged, place & ~(PAGE - 1))[place % PAGE + roll(dice) % 8] ^= (unsigned char)(1u << roll(dice) % 8);
    }
}

static void no_mutation_of_a_lane_harms_its_receiver(void *argument)
{
    (void)argument;
    struct dice dice = {.state = 20260728};
    size_t sound = 0;
    for (size_t round = 0; round < rounds(4000); round++) {
        test_note = (long long)round;
        struct scene scene = open_scene(NULL);
        struct forged forged = sound_lane(scene.tx);
        if (round)
            mutate(&forged, &dice);
        send_honest(&scene, 2);
        announce_lane(scene.tx, &forged);
        send_honest(&scene, 2);
        receive_all(&scene);
        require(all_faults(&scene) <= 1);
        require(round || (scene.others == 23 && all_faults(&scene) == 0));
        sound += all_faults(&scene) == 0;
        require_unharmed(&scene);
        rill_segment_close(&forged.segment);
        close_scene(&scene);
    }
    require(sound > 1 && sound < rounds(4000)); /* both happen, or this proves little */
}

/* What a sender lists as its free memory is punched in its own segment, if it can be, and nowhere else. */
static void lists_of_free_memory_harm_only_their_owner(void *argument)
{
    (void)argument;
    static const uint64_t offsets[] = {0, 1, PAGE, PAGE + 1, 3 * PAGE, FORGED_PAGES * PAGE, UINT64_C(1) << 62, UINT64_MAX - PAGE + 1, UINT64_MAX};
    struct dice dice = {.state = 6};
    uint64_t punched = 0;
    for (size_t round = 0; round < rounds(300); round++) {
        test_note = (long long)round;
        struct scene scene = open_scene(NULL);
        struct forged forged = sound_lane(scene.tx);
        atomic_store(&forged.header->closed, 0); /* it goes on */
        struct rill_dirty_list *list = (struct rill_dirty_list *)(void *)forged_at(&forged, 12 * PAGE);
        list->count = roll(&dice) % 2 ? RILL_DIRTY_MOST : roll(&dice);
        for (size_t i = 0; i < RILL_DIRTY_MOST; i++) {
            list->ranges[i].offset = offsets[roll(&dice) % COUNT_OF(offsets)];
            list->ranges[i].size = offsets[roll(&dice) % COUNT_OF(offsets)];
        }
        uint64_t word = (round % 2 ? 12 * PAGE : offsets[roll(&dice) % COUNT_OF(offsets)] & ~(PAGE - 1)) | roll_between(&dice, 1, 3);
        atomic_store(&forged.header->dirty, word);
        announce_lane(scene.tx, &forged);
        rill_message *message = NULL;
        require_ok(rill_try_recv(scene.rx, &message)); /* from now on it is looked at, and not found without an owner yet */
        take_in(&scene, &message);
        int64_t now = rill_port_clock();
        (void)scene.rx->source->trim(scene.rx->state, now);
        (void)scene.rx->source->trim(scene.rx->state, now + 11 * SECOND);
        uint64_t left = atomic_load(&forged.header->dirty);
        require(left == word || left == (12 * PAGE | 3) || (word & ~(PAGE - 1)) != 12 * PAGE);
        punched += left != word;
        send_honest(&scene, 2);
        receive_all(&scene);
        require_unharmed(&scene);
        rill_segment_close(&forged.segment);
        close_scene(&scene);
    }
    require(punched > 10);
}

/* ---------------------------------------------------------------- a process that never stops scribbling */

struct shared {
    _Atomic uint64_t announced;
    _Atomic uint32_t stop;
};

static void scribble_page(struct rill_page *page, struct dice *dice)
{
    switch (roll(dice) % 4) {

    case 0:
        atomic_store(&page->ticket, roll(dice) >> roll_between(dice, 0, 63));
        break;

    case 1:
        atomic_store(&page->rings, (uint32_t)(roll(dice) % 4));
        break;
    default:
        atomic_store(&page->rang, (uint32_t)roll(dice));
        break;
    }
}

static void scribble_socket(const rill_sender *tx, struct dice *dice)
{
    const int input = 0;
    struct rill_notice notice = {.kind = (uint32_t)(roll(dice) % 5), .word = roll(dice) % 2 ? roll(dice) % 8 : roll(dice)};
    struct rill_run_of_bytes run = {.data = &notice, .size = roll(dice) % 4 ? sizeof notice : roll_between(dice, 1, sizeof notice)};
    if (notice.kind != RILL_PACKET_LANE)
        (void)rill_port_send(tx->endpoint->socket, &run, 1, &input, roll(dice) % 2, false);
}

/* Announces a sound lane and scribbles over it until the receiver has closed it, or some time has passed. */
static void scribble_lane(const rill_sender *tx, struct shared *shared, struct dice *dice)
{
    struct forged forged = sound_lane(tx);
    atomic_store(&forged.header->closed, 0);
    require_ok(rill_port_owner_mark(forged.segment.memory));
    if (notify(tx, RILL_PACKET_LANE, forged.id, &forged.segment.memory) == RILL_OK) {
        atomic_fetch_add(&shared->announced, 1);
        rill_order_count_ring(tx->endpoint->core->page);
        for (int i = 0; i < 2000 && !atomic_load(&forged.header->refused); i++) {
            mutate(&forged, dice);
            if (i % 20 == 0) {
                scribble_page(tx->endpoint->core->page, dice);
                scribble_socket(tx, dice);
            }
        }
    }
    atomic_store(&forged.header->closed, 1);
    rill_segment_close(&forged.segment);
}

static _Noreturn void run_scribbler(const rill_sender *tx, struct shared *shared)
{
    struct dice dice = {.state = 4242};
    while (!atomic_load(&shared->stop))
        scribble_lane(tx, shared, &dice);
    _exit(0);
}

static _Noreturn void run_honest(struct scene *scene, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        unsigned char bytes[64];
        stamp(bytes, sizeof bytes, HONEST, i);
        int code;
        while ((code = rill_send(scene->tx, bytes, sizeof bytes)) == RILL_EAGAIN)
            usleep(100); /* a newcomer may be kept out for a while */
        require_ok(code);
    }
    _exit(0);
}

static void a_scribbling_process_harms_no_other(void *argument)
{
    (void)argument;
    const size_t count = rounds(100000);
    struct shared *shared = shared_memory(sizeof *shared);
    struct scene scene = open_scene(NULL);
    pid_t hostile = fork_child();
    if (hostile == 0)
        run_scribbler(scene.tx, shared);
    pid_t honest = fork_child();
    if (honest == 0)
        run_honest(&scene, count);
    while (scene.received < count) {
        rill_message *message = NULL;
        int code = rill_recv_timeout(scene.rx, 10 * SECOND, &message);
        if (code == RILL_OK)
            take_in(&scene, &message);
        else
            note_fault(&scene, code);
    }
    join_child(honest);
    atomic_store(&shared->stop, 1);
    join_child(hostile);
    receive_all(&scene);
    require(atomic_load(&shared->announced) > 3);
    require(all_faults(&scene) <= atomic_load(&shared->announced));
    require_ok(rill_sender_close(&scene.tx));
    close_scene(&scene);
    require(munmap(shared, sizeof *shared) == 0);
}

/* ---------------------------------------------------------------- a hostile receiver */

static struct rill_lane *lane_of(const struct scene *scene)
{
    return atomic_load(&scene->tx->endpoint->lane);
}

static void scribble_header(struct rill_lane *lane, struct dice *dice)
{
    struct rill_lane_header *header = lane->header;
    atomic_store(&header->consumed, roll(dice) % 2 ? roll(dice) : roll(dice) % 100000);
    atomic_store(&header->consumed_messages, roll(dice));
    atomic_store(&header->parked, (uint32_t)roll(dice));
    atomic_store(&header->number, (uint32_t)roll(dice));
    atomic_store(&header->returned, roll(dice) % 2 ? roll(dice) : roll(dice) % 64 * PAGE);
    atomic_store(&header->taken, roll(dice));
}

static bool may_fail_so(int code)
{
    return code == RILL_OK || code == RILL_EFULL || code == RILL_ETIMEDOUT || code == RILL_EAGAIN || code == RILL_EPEER || code == RILL_EVERSION ||
           code == RILL_EQUOTA;
}

static void a_sender_survives_any_words_of_its_receiver(void *argument)
{
    (void)argument;
    struct rill_channel_options options = {.size = sizeof options, .limit = 64 * KIB};
    struct scene scene = open_scene(&options);
    struct dice dice = {.state = 21};
    unsigned char bytes[8000] = {0};
    send_honest(&scene, 1);
    for (size_t i = 0; i < rounds(20000); i++) {
        test_note = (long long)i;
        scribble_header(lane_of(&scene), &dice);
        int64_t deadline = roll(&dice) % 100 ? RILL_NOW : rill_clock() + MILLISECOND;
        int code = rill_send_until(scene.tx, bytes, roll(&dice) % (roll(&dice) % 8 ? 200 : sizeof bytes), deadline);
        require(may_fail_so(code));
    }
    struct rill_stats stats = {.size = sizeof stats};
    require_ok(rill_sender_stats(scene.tx, &stats));
    close_scene(&scene);
}

static void a_receiver_that_keeps_what_it_consumed_gets_no_memory_without_end(void *argument)
{
    const size_t size = *(size_t *)argument;
    if (THREAD_SANITIZED)
        skip_test("it takes more address space than the sanitizer leaves");
    struct rill_channel_options options = {.size = sizeof options, .limit = 64 * KIB};
    struct scene scene = open_scene(&options);
    unsigned char *bytes = calloc(1, size);
    require(bytes != NULL);
    send_honest(&scene, 1);
    int code = RILL_OK;
    for (size_t sent = 0; code == RILL_OK; sent += size) {
        struct rill_lane *lane = lane_of(&scene);
        atomic_store(&lane->header->consumed, atomic_load(&lane->rings[0].sent));
        require(sent < GIB + 8 * size + MIB);
        code = rill_send(scene.tx, bytes, size);
    }
    require_code(RILL_ENOMEM, code);
    free(bytes);
    rill_message *message = NULL;
    require_ok(rill_recv(scene.rx, &message)); /* it is the receiver's after all */
    require_ok(rill_message_close(&message));
    close_scene(&scene);
}

static size_t of_a_ring = 64000, of_the_arena = 32 * MIB;

/* Whoever has the page can write to it. */
static void the_limit_stays_what_it_was(void *argument)
{
    (void)argument;
    struct rill_channel_options options = {.size = sizeof options, .limit = 64 * KIB};
    struct scene scene = open_scene(&options);
    unsigned char bytes[1000] = {0};
    scene.tx->endpoint->core->page->limit = 0;
    scene.tx->endpoint->core->page->on_full = RILL_FULL_WAIT;
    int code = RILL_OK;
    for (size_t sent = 0; sent < 100 && code == RILL_OK; sent++)
        code = rill_send(scene.tx, bytes, sizeof bytes);
    require_code(RILL_EFULL, code);
    close_scene(&scene);
}

static void a_wait_for_room_that_never_comes_ends_at_its_deadline(void *argument)
{
    (void)argument;
    struct rill_channel_options options = {.size = sizeof options, .limit = 4096, .on_full = RILL_FULL_WAIT, .send_timeout = 50 * MILLISECOND};
    struct scene scene = open_scene(&options);
    static const uint64_t consumed[] = {0, UINT64_MAX / 2, UINT64_MAX - 100, 8};
    unsigned char bytes[2000] = {0};
    send_honest(&scene, 1);
    for (size_t i = 0; i < COUNT_OF(consumed); i++) {
        int code = RILL_OK;
        int64_t start = rill_clock();
        for (size_t sent = 0; sent < 100 && code == RILL_OK; sent++) {
            atomic_store(&lane_of(&scene)->header->consumed, consumed[i]);
            code = rill_send(scene.tx, bytes, sizeof bytes);
        }
        require(code == RILL_OK || code == RILL_ETIMEDOUT);
        require(rill_clock() - start < 5 * SECOND);
    }
    close_scene(&scene);
}

static void a_refusal_is_told_to_the_sender_when_its_queue_grows(void *argument)
{
    (void)argument;
    static const struct {
        int32_t word;
        int code;
    } refusals[] = {{RILL_EPEER, RILL_EPEER}, {RILL_EVERSION, RILL_EVERSION}, {RILL_EQUOTA, RILL_EQUOTA}, {1, RILL_EPEER}, {INT32_MIN, RILL_EPEER}};
    for (size_t i = 0; i < COUNT_OF(refusals); i++) {
        struct scene scene = open_scene(NULL);
        int code = RILL_OK;
        send_honest(&scene, 1);
        atomic_store(&lane_of(&scene)->header->refused, refusals[i].word);
        for (size_t sent = 0; sent < 1000 && code == RILL_OK; sent++)
            code = send_number(scene.tx, sent);
        require_code(refusals[i].code, code);
        close_scene(&scene);
    }
}


static void poison_next(struct rill_lane *lane)
{
    struct rill_ring_reader reader = {.block = lane->rings[0].writer.block, .position = lane->rings[0].writer.position};
    require(rill_ring_poison(&reader));
}

/* The owner lives, but its lane was taken for a dead one's. */
static void what_goes_into_a_lane_that_was_given_up_is_sent_again_in_another(void *argument)
{
    (void)argument;
    struct scene scene = open_scene(NULL);
    send_honest(&scene, 3);
    receive_all(&scene);
    struct rill_inbox *inbox = scene.rx->state;
    inbox->lanes[0]->ending = true;
    receive_all(&scene);
    require(inbox->lanes[0] == NULL);
    send_honest(&scene, 3);
    receive_all(&scene);
    require_unharmed(&scene);
    close_scene(&scene);
}

static void a_receiver_that_gives_up_every_lane_uses_up_no_descriptors(void *argument)
{
    (void)argument;
    struct scene scene = open_scene(NULL);
    size_t descriptors = count_descriptors();
    send_honest(&scene, 1);
    int code = RILL_OK;
    for (size_t i = 0; i < 300 && code == RILL_OK; i++) {
        poison_next(lane_of(&scene));
        code = send_number(scene.tx, i);
    }
    require_code(RILL_EPEER, code);
    require(count_descriptors() < descriptors + 100);
    close_scene(&scene);
}


int main(void)
{
    static const struct test tests[] = {
        {"each lie costs its lane and nothing else", each_lie_costs_its_lane_and_nothing_else, NULL, 0},
        {"what was sent before the lie is delivered", what_was_sent_before_the_lie_is_delivered, NULL, 0},
        {"links in a circle are not followed for ever", links_in_a_circle_are_not_followed_for_ever, NULL, 0},
        {"a message above the quota closes its lane", a_message_above_the_quota_closes_its_lane, NULL, 0},
        {"a lane maps no more than its quota", a_lane_maps_no_more_than_its_quota, NULL, 0},
        {"lanes above their number are refused, and told once", lanes_above_their_number_are_refused_and_told_once, NULL, 0},
        
        {"a lane cannot use up the mappings of the process", a_lane_cannot_use_up_the_mappings_of_the_process, NULL, 0},
        
        {"packets that say nothing do nothing", packets_that_say_nothing_do_nothing, NULL, 0},
        {"packets of every kind with nonsense do nothing", packets_of_every_kind_with_nonsense_do_nothing, NULL, 0},
        {"objects that are no lane are refused", objects_that_are_no_lane_are_refused, NULL, 0},
        {"a room socket of the wrong name is closed", a_room_socket_of_the_wrong_name_is_closed, NULL, 0},
        {"an established lane works while the socket is full", an_established_lane_works_while_the_socket_is_full, NULL, 0},
        
        {"an oversized announcement is no lack of descriptors", an_oversized_announcement_is_no_lack_of_descriptors, NULL, 0},
        {"objects in the last packet are closed", objects_in_the_last_packet_are_closed, NULL, 0},
        {"a lane that is handed back uses up no descriptors", a_lane_that_is_handed_back_uses_up_no_descriptors, NULL, 0},
        
        {"a full ring without tickets holds nobody back for ever", a_ring_that_never_runs_empty_holds_nobody_back_for_ever, &without_tickets, 0},
        {"a full ring of low tickets holds nobody back for ever", a_ring_that_never_runs_empty_holds_nobody_back_for_ever, &with_low_tickets, 0},
        {"tickets have to rise, also in a row of them", tickets_have_to_rise_also_in_a_row_of_them, NULL, 0},
        {"what came before a fault is received together, and the next call tells it", what_came_before_a_fault_is_received_together_and_then_it_is_told,
         NULL, 0},
        {"rings that are level take turns by their tickets", rings_that_are_level_take_turns_by_their_tickets, NULL, 0},
        {"the ticket counter may be set to anything", the_ticket_counter_may_be_set_to_anything, NULL, 0},
        {"the counts of rings and wakeups may be set to anything", the_counts_of_rings_and_wakeups_may_be_set_to_anything, NULL, 0},
        
        {"a lane without messages keeps nobody awake", a_lane_without_messages_keeps_nobody_awake, NULL, 0},
        
        {"a hostile lane that sleeps costs nothing", a_hostile_lane_that_sleeps_costs_nothing, NULL, 0},
        {"lists of free memory harm only their owner", lists_of_free_memory_harm_only_their_owner, NULL, 60},
        {"no mutation of a lane harms its receiver", no_mutation_of_a_lane_harms_its_receiver, NULL, 60},
        {"a scribbling process harms no other", a_scribbling_process_harms_no_other, NULL, 60},
        {"a sender survives any words of its receiver", a_sender_survives_any_words_of_its_receiver, NULL, 0},
        {"a receiver gets no memory without end by keeping ring blocks", a_receiver_that_keeps_what_it_consumed_gets_no_memory_without_end, &of_a_ring, 120},
        {"a receiver gets no memory without end by keeping large messages", a_receiver_that_keeps_what_it_consumed_gets_no_memory_without_end, &of_the_arena, 120},
        {"the limit stays what it was", the_limit_stays_what_it_was, NULL, 0},
        {"a wait for room that never comes ends at its deadline", a_wait_for_room_that_never_comes_ends_at_its_deadline, NULL, 0},
        {"a refusal is told to the sender when its queue grows", a_refusal_is_told_to_the_sender_when_its_queue_grows, NULL, 0},
        
        {"what goes into a lane that was given up is sent again in another", what_goes_into_a_lane_that_was_given_up_is_sent_again_in_another, NULL, 0},
        {"a receiver that gives up every lane uses up no descriptors", a_receiver_that_gives_up_every_lane_uses_up_no_descriptors, NULL, 0},
        
    };
    return run_group("hostile", tests, COUNT_OF(tests));
}
