/* SPDX-License-Identifier: MIT */
/* Regions: what they hold, who may write to them, and that nobody can take their memory away. */
#include "support.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "src/handle.h"
#include "src/message.h"

#define SIZE ((size_t)100000)

static rill_region *made_with(uint32_t access)
{
    struct rill_region_options options = {.size = sizeof options, .access = access};
    unsigned char *bytes = malloc(SIZE);
    rill_region *region = NULL;
    require(bytes != NULL);
    fill(bytes, SIZE, 7);
    require_ok(rill_region_make_from(bytes, SIZE, &options, &region));
    free(bytes);
    return region;
}

static void close_region(rill_region *region)
{
    require_ok(rill_region_close(&region));
    require(region == NULL);
}

/* A message as it comes from another process, with one object in it and this description. */
static rill_message *message_with(int descriptor, uint64_t said)
{
    struct rill_parcel parcel = {0};
    rill_message *message = rill_message_make(0);
    rill_object object = fcntl(descriptor, F_DUPFD_CLOEXEC, 3);
    require(message != NULL && object >= 0);
    require_ok(rill_parcel_describe(&parcel, RILL_HANDLE_REGION, 1, &said, sizeof said));
    require_ok(rill_attachment_make(parcel.section, parcel.section_bytes, &object, 1, 1, NULL, &message->attached));
    free(parcel.section);
    return message;
}

/* Sends a region to another process and back, so to speak. */
static rill_region *received(const rill_region *region)
{
    int descriptor;
    rill_region *other = NULL;
    require_ok(rill_region_descriptor(region, &descriptor));
    rill_message *message = message_with(descriptor, rill_region_size(region));
    require_ok(rill_message_take_region(message, 0, &other));
    require_ok(rill_message_close(&message));
    close(descriptor);
    return other;
}

static void require_refused(int descriptor, uint64_t said)
{
    rill_region *region = NULL;
    rill_message *message = message_with(descriptor, said);
    require_code(RILL_EPEER, rill_message_take_region(message, 0, &region));
    require_code(RILL_ENOHANDLE, rill_message_take_region(message, 0, &region));
    require_ok(rill_message_close(&message));
}

static void holds_what_it_was_made_of(void *unused)
{
    rill_region *region = made_with(0), *zeros = NULL, *filled_with = NULL;
    (void)unused;
    require_equal(SIZE, rill_region_size(region));
    require_equal(RILL_ACCESS_SHARED, rill_region_access(region));
    require(filled(rill_region_data(region), SIZE, 7));
    require_ok(rill_region_make(SIZE, NULL, &zeros));
    require_ok(rill_region_make_filled(0xa5, SIZE, NULL, &filled_with));
    const unsigned char *zero = rill_region_data(zeros), *value = rill_region_data(filled_with);
    for (size_t i = 0; i < SIZE; i++)
        require(zero[i] == 0 && value[i] == 0xa5);
    close_region(region);
    close_region(zeros);
    close_region(filled_with);
}

static void constant_ones_are_filled_too(void *unused)
{
    struct rill_region_options options = {.size = sizeof options, .access = RILL_ACCESS_CONSTANT};
    rill_region *region = NULL;
    (void)unused;
    require_ok(rill_region_make_filled(0x5a, SIZE, &options, &region));
    const unsigned char *bytes = rill_region_data(region);
    for (size_t i = 0; i < SIZE; i++)
        require_equal(0x5a, bytes[i]);
    close_region(region);
    region = made_with(RILL_ACCESS_CONSTANT);
    require(filled(rill_region_data(region), SIZE, 7));
    close_region(region);
}

static void may_be_empty(void *unused)
{
    rill_region *region = NULL, *other = NULL, *clone = NULL;
    void *data = NULL;
    (void)unused;
    for (uint32_t access = RILL_ACCESS_SHARED; access <= RILL_ACCESS_CONSTANT; access++) {
        struct rill_region_options options = {.size = sizeof options, .access = access, .huge_pages = 1};
        require_ok(rill_region_make_from(NULL, 0, &options, &region));
        require_equal(0, rill_region_size(region));
        require(rill_region_data(region) != NULL);
        require_code(access == RILL_ACCESS_CONSTANT ? RILL_EREADONLY : RILL_OK, rill_region_data_mutable(region, &data));
        other = received(region);
        require_equal(1, rill_region_equal(region, other));
        require_ok(rill_region_clone(other, &clone));
        close_region(region);
        close_region(other);
        close_region(clone);
    }
}

static void clones_share(void *unused)
{
    rill_region *region = made_with(0), *clone = NULL;
    void *data = NULL;
    (void)unused;
    size_t descriptors = count_descriptors(), mappings = count_shared_mappings();
    require_ok(rill_region_clone(region, &clone));
    require_equal(descriptors, count_descriptors());
    require_equal(mappings, count_shared_mappings());
    require_ok(rill_region_data_mutable(region, &data));
    memset(data, 3, SIZE);
    close_region(region);
    require_equal(3, ((const unsigned char *)rill_region_data(clone))[SIZE - 1]);
    close_region(clone);
}

static void compared_by_content(void *unused)
{
    rill_region *one = made_with(0), *same = made_with(RILL_ACCESS_CONSTANT), *shorter = NULL;
    void *data = NULL;
    (void)unused;
    require_ok(rill_region_make_from(rill_region_data(one), SIZE - 1, NULL, &shorter));
    require_equal(1, rill_region_equal(one, same));
    require_equal(1, rill_region_equal(one, one));
    require_equal(0, rill_region_equal(one, shorter));
    require_ok(rill_region_data_mutable(one, &data));
    ((unsigned char *)data)[SIZE - 1] ^= 1;
    require_equal(0, rill_region_equal(one, same));
    close_region(one);
    close_region(same);
    close_region(shorter);
}

static void receivers_write_to_shared_ones(void *unused)
{
    rill_region *region = made_with(0), *other = received(region);
    void *data = NULL;
    (void)unused;
    require(filled(rill_region_data(other), SIZE, 7));
    require_ok(rill_region_data_mutable(other, &data));
    require(data == rill_region_data(other));
    memset(data, 9, SIZE);
    require_equal(9, ((const unsigned char *)rill_region_data(region))[SIZE / 2]);
    close_region(region);
    require_equal(9, ((const unsigned char *)data)[0]); /* it has a life of its own */
    close_region(other);
}

/* What somebody who means harm could try on a descriptor that he received. */
static void require_unwritable(int descriptor)
{
    char path[64], byte = 1;
    snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
    (void)fchmod(descriptor, 0777);
    int again = open(path, O_RDWR | O_CLOEXEC);
    int ends[2] = {descriptor, again};
    require(again >= 0);
    for (unsigned i = 0; i < 2; i++) {
        require(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, ends[i], 0) == MAP_FAILED);
        void *read_only = mmap(NULL, 4096, PROT_READ, MAP_SHARED, ends[i], 0);
        require(read_only != MAP_FAILED);
        require(mprotect(read_only, 4096, PROT_READ | PROT_WRITE) != 0);
        int memory = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
        require(memory < 0 || pwrite(memory, &byte, 1, (off_t)(uintptr_t)read_only) < 0);
        close(memory);
        munmap(read_only, 4096);
        require(pwrite(ends[i], &byte, 1, 0) < 0);
        require(fallocate(ends[i], FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096) != 0);
        require(ftruncate(ends[i], 0) != 0);
    }
    close(again);
}

static void read_only_for_receivers(void *unused)
{
    rill_region *region = made_with(RILL_ACCESS_READ_ONLY), *other = received(region);
    void *data = NULL;
    int descriptor;
    (void)unused;
    require_equal(RILL_ACCESS_READ_ONLY, rill_region_access(other));
    require_code(RILL_EREADONLY, rill_region_data_mutable(other, &data));
    require_ok(rill_region_descriptor(other, &descriptor));
    require_unwritable(descriptor);
    require_ok(rill_region_data_mutable(region, &data)); /* its maker goes on */
    memset(data, 4, SIZE);
    require_equal(4, ((const unsigned char *)rill_region_data(other))[SIZE - 1]);
    close(descriptor);
    close_region(region);
    close_region(other);
}

static void constant_for_all(void *unused)
{
    rill_region *region = made_with(RILL_ACCESS_CONSTANT), *other = received(region);
    void *data = NULL;
    int descriptor;
    (void)unused;
    require_equal(RILL_ACCESS_CONSTANT, rill_region_access(other));
    require_code(RILL_EREADONLY, rill_region_data_mutable(region, &data));
    require_code(RILL_EREADONLY, rill_region_data_mutable(other, &data));
    require_ok(rill_region_descriptor(region, &descriptor));
    require_unwritable(descriptor);
    require(filled(rill_region_data(other), SIZE, 7));
    close(descriptor);
    close_region(region);
    close_region(other);
}

static int memfd(size_t size, unsigned flags)
{
    int descriptor = memfd_create("test", MFD_CLOEXEC | flags);
    require(descriptor >= 0 && ftruncate(descriptor, (off_t)size) == 0);
    unsigned char *bytes = malloc(size);
    require(bytes != NULL);
    fill(bytes, size, 11);
    require_equal(size, pwrite(descriptor, bytes, size, 0));
    free(bytes);
    return descriptor;
}

static void a_users_memfd(void *unused)
{
    int descriptor = memfd(SIZE, MFD_ALLOW_SEALING);
    rill_region *region = NULL;
    void *data = NULL;
    (void)unused;
    require_ok(rill_region_open(descriptor, NULL, &region));
    require_equal(SIZE, rill_region_size(region));
    require(filled(rill_region_data(region), SIZE, 11));
    require(ftruncate(descriptor, 0) != 0); /* it was sealed */
    require_ok(rill_region_data_mutable(region, &data));
    memset(data, 1, SIZE); /* in place: the user's memfd has it */
    unsigned char byte = 0;
    require_equal(1, pread(descriptor, &byte, 1, (off_t)SIZE - 1));
    require_equal(1, byte);
    rill_region *other = received(region);
    require_equal(1, rill_region_equal(region, other));
    close_region(other);
    close_region(region);
    close(descriptor);
}

static void a_users_memfd_read_only(void *unused)
{
    int descriptor = memfd(SIZE, MFD_ALLOW_SEALING);
    struct rill_region_options options = {.size = sizeof options, .access = RILL_ACCESS_READ_ONLY};
    rill_region *region = NULL;
    void *data = NULL;
    (void)unused;
    require_ok(rill_region_open(descriptor, &options, &region));
    require_ok(rill_region_data_mutable(region, &data));
    memset(data, 2, SIZE);
    require_unwritable(descriptor);
    close_region(region);
    options.access = RILL_ACCESS_CONSTANT;
    require_ok(rill_region_open(descriptor, &options, &region));
    require_code(RILL_EREADONLY, rill_region_data_mutable(region, &data));
    close_region(region);
    close(descriptor);
}

static void mapped_memory_cannot_become_constant(void *unused)
{
    int descriptor = memfd(SIZE, MFD_ALLOW_SEALING);
    struct rill_region_options options = {.size = sizeof options, .access = RILL_ACCESS_CONSTANT};
    rill_region *region = NULL;
    (void)unused;
    void *mapped = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    require(mapped != MAP_FAILED);
    require_code(RILL_EBUSY, rill_region_open(descriptor, &options, &region));
    munmap(mapped, SIZE);
    require_ok(rill_region_open(descriptor, &options, &region));
    close_region(region);
    close(descriptor);
}

static int file_on(const char *folder)
{
    int descriptor = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (descriptor < 0)
        skip_test("no unnamed files there");
    unsigned char bytes[5000];
    fill(bytes, sizeof bytes, 12);
    require_equal(sizeof bytes, write(descriptor, bytes, sizeof bytes));
    return descriptor;
}

/* What may become smaller is refused in place, and copied if that is asked for. */
static void require_copied_only(int descriptor, size_t size, uint64_t seed)
{
    struct rill_region_options options = {.size = sizeof options};
    rill_region *region = NULL;
    require_code(RILL_ENOTSUP, rill_region_open(descriptor, &options, &region));
    options.copy = 1;
    for (options.access = RILL_ACCESS_SHARED; options.access <= RILL_ACCESS_CONSTANT; options.access++) {
        require_ok(rill_region_open(descriptor, &options, &region));
        require_equal(size, rill_region_size(region));
        require(filled(rill_region_data(region), size, seed));
        require_equal(options.access, rill_region_access(region));
        close_region(region);
    }
}

static void files_are_copied(void *unused)
{
    int descriptor = file_on("/tmp");
    (void)unused;
    require_copied_only(descriptor, 5000, 12);
    require_equal(5000, lseek(descriptor, 0, SEEK_CUR)); /* its position is the user's */
    close(descriptor);
}

static void posix_memory_is_copied(void *unused)
{
    int descriptor = file_on("/dev/shm");
    (void)unused;
    require_copied_only(descriptor, 5000, 12);
    close(descriptor);
    descriptor = memfd(SIZE, 0);
    require_copied_only(descriptor, SIZE, 11);
    close(descriptor);
}

static void what_cannot_be_read_is_refused(void *unused)
{
    struct rill_region_options options = {.size = sizeof options, .copy = 1};
    rill_region *region = NULL;
    int ends[2];
    (void)unused;
    require(pipe2(ends, O_CLOEXEC) == 0);
    require_code(RILL_ENOTSUP, rill_region_open(ends[0], &options, &region));
    close(ends[0]);
    close(ends[1]);
    require_code(RILL_EDESCRIPTOR, rill_region_open(ends[0], &options, &region));
    require_code(RILL_EDESCRIPTOR, rill_region_open(-1, &options, &region));
}

static void shrinkable_ones_are_refused(void *unused)
{
    int plain = memfd(SIZE, 0), unsealed = memfd(SIZE, MFD_ALLOW_SEALING), file = file_on("/tmp"), shared = file_on("/dev/shm");
    (void)unused;
    require_refused(plain, SIZE);
    require_refused(unsealed, SIZE);
    require_refused(file, 5000);
    require_refused(shared, 5000);
    require(fcntl(unsealed, F_ADD_SEALS, F_SEAL_SHRINK) == 0);
    rill_message *message = message_with(unsealed, SIZE);
    rill_region *region = NULL;
    require_ok(rill_message_take_region(message, 0, &region));
    close_region(region);
    require_ok(rill_message_close(&message));
    require_refused(unsealed, SIZE + 1);
    require_refused(unsealed, UINT64_MAX);
    close(plain);
    close(unsealed);
    close(file);
    close(shared);
}

static void travels_in_process(void *unused)
{
    struct rill_channel_options options = {.size = sizeof options, .transport = RILL_INPROC};
    rill_sender *tx = NULL;
    rill_receiver *rx = NULL;
    rill_message *message = NULL;
    rill_region *region = made_with(0), *other = NULL;
    (void)unused;
    struct rill_handle handles[2] = {{.kind = RILL_HANDLE_REGION, .as.region = region}, {.kind = RILL_HANDLE_REGION, .as.region = region}};
    require_ok(rill_channel(&options, &tx, &rx));
    require_ok(rill_send_handles(tx, "ab", 2, handles, 2));
    require(handles[0].as.region == region);
    require_ok(rill_region_close(&region));
    require_ok(rill_recv(rx, &message));
    require_equal(RILL_HANDLE_REGION, rill_message_handle_kind(message, 0));
    require_ok(rill_message_take_region(message, 1, &other));
    require_ok(rill_message_close(&message)); /* with the one that nobody took */
    require(filled(rill_region_data(other), SIZE, 7));
    close_region(other);
    require_ok(rill_sender_close(&tx));
    require_ok(rill_receiver_close(&rx));
}

static void says_whether_huge_pages_came(void *unused)
{
    struct rill_region_options options = {.size = sizeof options, .huge_pages = 1};
    char text[128] = "";
    rill_region *region = NULL;
    (void)unused;
    int descriptor = open("/sys/kernel/mm/transparent_hugepage/shmem_enabled", O_RDONLY | O_CLOEXEC);
    if (descriptor >= 0)
        require(read(descriptor, text, sizeof text - 1) >= 0);
    close(descriptor);
    bool offered = text[0] && !strstr(text, "[never]") && !strstr(text, "[deny]");
    require_ok(rill_region_make_filled(1, 8 * MIB, &options, &region)); /* made either way */
    require_equal(offered, rill_region_huge_pages(region));
    close_region(region);
    require_ok(rill_region_make(8 * MIB, NULL, &region));
    require_equal(0, rill_region_huge_pages(region));
    close_region(region);
}

static void wrong_arguments(void *unused)
{
    rill_region *region = NULL, *none = NULL;
    struct rill_region_options options = {.size = sizeof options, .access = RILL_ACCESS_CONSTANT + 1};
    void *data;
    int descriptor;
    (void)unused;
    require_code(RILL_EINVAL, rill_region_make(8, NULL, NULL));
    require_code(RILL_EINVAL, rill_region_make(SIZE_MAX, NULL, &region));
    require_code(RILL_EINVAL, rill_region_make_from(NULL, 8, NULL, &region));
    require_code(RILL_EINVAL, rill_region_make(8, &options, &region));
    options = (struct rill_region_options){.size = sizeof options, .reserved = 1};
    require_code(RILL_EINVAL, rill_region_make(8, &options, &region));
    require_code(RILL_EINVAL, rill_region_clone(NULL, &region));
    require_code(RILL_EINVAL, rill_region_data_mutable(NULL, &data));
    require_code(RILL_EINVAL, rill_region_access(NULL));
    require_code(RILL_EINVAL, rill_region_huge_pages(NULL));
    require_code(RILL_EINVAL, rill_region_equal(NULL, NULL));
    require_code(RILL_EINVAL, rill_region_descriptor(NULL, &descriptor));
    require_code(RILL_EINVAL, rill_region_close(NULL));
    require_ok(rill_region_close(&none));
    require(rill_region_data(NULL) == NULL && rill_region_size(NULL) == 0);
}

static const struct test tests[] = {
    {"a region holds what it was made of", holds_what_it_was_made_of, NULL, 0},
    {"a constant region is filled before it is sealed", constant_ones_are_filled_too, NULL, 0},
    {"a region may have no bytes", may_be_empty, NULL, 0},
    {"a clone shares memory, mapping and descriptor, and outlives the other", clones_share, NULL, 0},
    {"regions are compared by content", compared_by_content, NULL, 0},
    {"who received a shared region may write to it", receivers_write_to_shared_ones, NULL, 0},
    {"who received a read-only region cannot write to it, nor get around that", read_only_for_receivers, NULL, 0},
    {"nobody can write to a constant region, nor get around that", constant_for_all, NULL, 0},
    {"a user's memfd is taken in place and sealed", a_users_memfd, NULL, 0},
    {"a user's memfd is sealed against writing as asked", a_users_memfd_read_only, NULL, 0},
    {"memory that is mapped writable cannot be made constant", mapped_memory_cannot_become_constant, NULL, 0},
    {"a file is copied, or refused", files_are_copied, NULL, 0},
    {"memory that cannot be sealed is copied, or refused", posix_memory_is_copied, NULL, 0},
    {"what cannot be read is refused", what_cannot_be_read_is_refused, NULL, 0},
    {"a received region that could become smaller, or is smaller than said, is refused", shrinkable_ones_are_refused, NULL, 0},
    {"a region is copied into a message of the same process", travels_in_process, NULL, 0},
    {"a region says whether huge pages came", says_whether_huge_pages_came, NULL, 0},
    {"wrong arguments are told", wrong_arguments, NULL, 0},
};

int main(void)
{
    return run_group("region", tests, COUNT_OF(tests));
}
