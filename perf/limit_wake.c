/* SPDX-License-Identifier: MIT */
/* The kernel's two cheapest ways to wake another process. */
#include "perf/limits.h"
#include "perf/sleeper.h"

#include <errno.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---------------------------------------------------------------- eventfd */

static void eventfd_open(struct run *run)
{
    static int descriptor;
    descriptor = eventfd(0, EFD_CLOEXEC);
    if (descriptor < 0)
        fail(run, "eventfd: %s", strerror(errno));
    run->ends = &descriptor;
}

static void eventfd_signal(struct run *run, void *end)
{
    uint64_t one = 1;
    if (write(*(int *)end, &one, sizeof one) != sizeof one)
        fail(run, "write: %s", strerror(errno));
}

static void eventfd_await(struct run *run, void *end)
{
    uint64_t value;
    if (read(*(int *)end, &value, sizeof value) != sizeof value)
        fail(run, "read: %s", strerror(errno));
}

static void eventfd_work(struct run *run)
{
    static const struct wake_calls calls = {.signal = eventfd_signal, .await = eventfd_await};
    (run->role == 0 ? sleeper_sleep : sleeper_wake)(run, run->ends, calls);
}

/* ---------------------------------------------------------------- futex */

static void futex_open(struct run *run)
{
    _Atomic uint32_t *word = mmap(NULL, sizeof *word, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (word == MAP_FAILED)
        fail(run, "no memory for a futex");
    run->ends = word;
}

static void futex_signal(struct run *run, void *end)
{
    _Atomic uint32_t *word = end;
    (void)run;
    atomic_store(word, 1);
    syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void futex_await(struct run *run, void *end)
{
    _Atomic uint32_t *word = end;
    (void)run;
    while (atomic_exchange(word, 0) == 0)
        syscall(SYS_futex, word, FUTEX_WAIT, 0, NULL, NULL, 0);
}

static void futex_work(struct run *run)
{
    static const struct wake_calls calls = {.signal = futex_signal, .await = futex_await};
    (run->role == 0 ? sleeper_sleep : sleeper_wake)(run, run->ends, calls);
}

/* ---------------------------------------------------------------- */

static const struct contestant wake_template = {.bench = "limit", .transport = "-", .size = NO_SIZE, .roles = 2};

void eventfd_wake(struct contestant *contestant)
{
    *contestant = wake_template;
    contestant->variant = "eventfd_wake";
    contestant->open = eventfd_open;
    contestant->work = eventfd_work;
}

void futex_wake(struct contestant *contestant)
{
    *contestant = wake_template;
    contestant->variant = "futex_wake";
    contestant->open = futex_open;
    contestant->work = futex_work;
}
