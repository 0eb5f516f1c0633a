/* SPDX-License-Identifier: MIT */
/* The Linux side of port.h: memory that is shared on purpose. */
#include "port.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <rill/rill.h>

#include "port_linux.h"

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

int rill_port_share_create(uint64_t size, rill_object *memory)
{
    int fd = rill_port_create_memfd();
    if (fd < 0)
        return rill_port_code_of_errno(errno);
    int code = size ? rill_port_memory_commit(fd, 0, size) : RILL_OK; /* sets the size as well */
    if (code != RILL_OK) {
        rill_port_close(fd);
        return code;
    }
    *memory = fd;
    return RILL_OK;
}

/* A seal and not a read-only descriptor: that could be opened anew through /proc by whoever may, with all rights. */
static int seals_of_access(uint32_t access)
{
    return access == RILL_ACCESS_CONSTANT ? F_SEAL_WRITE : access == RILL_ACCESS_READ_ONLY ? F_SEAL_FUTURE_WRITE : 0;
}

int rill_port_share_seal(rill_object memory, uint32_t access, bool final)
{
    int seals = F_SEAL_SHRINK | seals_of_access(access) | (final ? F_SEAL_GROW | F_SEAL_SEAL : 0);
    if (fcntl(memory, F_ADD_SEALS, seals) == 0)
        return RILL_OK;
    return errno == EBUSY ? RILL_EBUSY : errno == EPERM ? RILL_ENOTSUP : rill_port_code_of_errno(errno);
}

/* Memory of the usual kind: to touch huge pages may kill where they are short. */
static bool is_usual_memory(rill_object memory)
{
    struct statfs system;
    return fstatfs(memory, &system) == 0 && system.f_type == TMPFS_MAGIC;
}

int rill_port_share_hold(rill_object given, rill_object *memory)
{
    int seals = fcntl(given, F_GET_SEALS);
    int flags = fcntl(given, F_GETFL);
    if (seals < 0 || flags < 0 || (flags & O_ACCMODE) == O_WRONLY || !is_usual_memory(given))
        return RILL_ENOTSUP;
    if (!(seals & F_SEAL_SHRINK) && fcntl(given, F_ADD_SEALS, F_SEAL_SHRINK) != 0)
        return RILL_ENOTSUP;
    return rill_port_duplicate(given, memory);
}

int rill_port_share_check(rill_object memory, uint32_t *access, bool *writable)
{
    int seals = fcntl(memory, F_GET_SEALS);
    int flags = fcntl(memory, F_GETFL);
    if (seals < 0 || !(seals & F_SEAL_SHRINK) || flags < 0 || (flags & O_ACCMODE) == O_WRONLY || !is_usual_memory(memory))
        return RILL_EPEER;
    *access = seals & F_SEAL_WRITE ? RILL_ACCESS_CONSTANT : seals & F_SEAL_FUTURE_WRITE ? RILL_ACCESS_READ_ONLY : RILL_ACCESS_SHARED;
    *writable = (flags & O_ACCMODE) == O_RDWR && *access == RILL_ACCESS_SHARED;
    return RILL_OK;
}

int rill_port_share_map(rill_object memory, uint64_t size, bool writable, void **address)
{
    void *where = mmap(NULL, (size_t)size, PROT_READ | (writable ? PROT_WRITE : 0), MAP_SHARED, memory, 0);
    if (where == MAP_FAILED)
        return rill_port_code_of_errno(errno);
    *address = where;
    return RILL_OK;
}

int rill_port_share_make_writable(void *address, uint64_t size)
{
    return mprotect(address, (size_t)size, PROT_READ | PROT_WRITE) == 0 ? RILL_OK : rill_port_code_of_errno(errno);
}

/* The advice succeeds also where the system then takes no notice of it for shared memory. */
static bool shared_huge_pages_allowed(void)
{
    char text[128];
    if (!rill_port_read_file("/sys/kernel/mm/transparent_hugepage/shmem_enabled", text, sizeof text))
        return false;
    return !strstr(text, "[never]") && !strstr(text, "[deny]");
}

bool rill_port_share_use_huge_pages(void *address, uint64_t size)
{
    int saved = errno;
    bool agreed = shared_huge_pages_allowed() && madvise(address, (size_t)size, MADV_HUGEPAGE) == 0;
    errno = saved;
    return agreed;
}

/* A pipe: the ends of a socket have a shutdown, with which one holder could speak for all. */
int rill_port_token(rill_object *watch, rill_object *token)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return rill_port_code_of_errno(errno);
    *watch = ends[0];
    *token = ends[1];
    return RILL_OK;
}

int rill_port_share_write(rill_object memory, uint64_t offset, const void *data, uint64_t size)
{
    const char *next = data;
    while (size) {
        ssize_t written = pwrite(memory, next, size, (off_t)offset);
        if (written < 0 && errno != EINTR)
            return rill_port_code_of_errno(errno);
        if (written > 0) {
            next += written;
            offset += (uint64_t)written;
            size -= (uint64_t)written;
        }
    }
    return RILL_OK;
}

int rill_port_share_source_size(rill_object source, uint64_t *size)
{
    struct stat status;
    if (fstat(source, &status) != 0)
        return rill_port_code_of_errno(errno);
    if (!S_ISREG(status.st_mode) || (fcntl(source, F_GETFL) & O_ACCMODE) == O_WRONLY)
        return RILL_ENOTSUP;
    *size = (uint64_t)status.st_size;
    return RILL_OK;
}

#define COPY_BYTES ((size_t)256 << 10)

int rill_port_share_copy(rill_object memory, rill_object source, uint64_t size)
{
    unsigned char *block = malloc(COPY_BYTES);
    int code = block ? RILL_OK : RILL_ENOMEM;
    for (uint64_t at = 0; at < size && code == RILL_OK;) {
        size_t wanted = size - at < COPY_BYTES ? (size_t)(size - at) : COPY_BYTES;
        ssize_t got = pread(source, block, wanted, (off_t)at); /* not through the file's position, which is the caller's */
        if (got < 0 && errno == EINTR)
            continue;
        code = got < 0 ? RILL_ENOTSUP : got == 0 ? RILL_EBUSY : rill_port_share_write(memory, at, block, (uint64_t)got);
        at += got > 0 ? (uint64_t)got : 0;
    }
    free(block);
    return code;
}
