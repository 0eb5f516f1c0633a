/* SPDX-License-Identifier: MIT */
/*
 * What every test program shares: checks that work in any thread and any process, tests that run in a child of their own,
 * message contents that can be recognised, and questions to /proc.
 */
#ifndef RILL_TESTS_SUPPORT_H
#define RILL_TESTS_SUPPORT_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include <rill/rill.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
#define GIB ((size_t)1 << 30)
#define MICROSECOND ((int64_t)1000)
#define MILLISECOND ((int64_t)1000000)
#define SECOND ((int64_t)1000000000)

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

#if defined(__SANITIZE_THREAD__)
#define THREAD_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define THREAD_SANITIZED 1
#endif
#endif
#ifndef THREAD_SANITIZED
#define THREAD_SANITIZED 0
#endif

/* ---------------------------------------------------------------- checks
 * A check that fails prints where and ends its process with 1. cmocka's own assertions jump to the runner, which is only
 * right in the runner's thread and process; ours are right everywhere. */

/* What this thread is at, such as a size or a round; a failing check prints it. */
extern _Thread_local long long test_note;

_Noreturn void require_failed(const char *file, int line, const char *what);
void require_equal_at(const char *file, int line, const char *what, long long expected, long long actual);
void require_code_at(const char *file, int line, const char *what, int expected, int actual);

#define require(condition) ((condition) ? (void)0 : require_failed(__FILE__, __LINE__, #condition))
#define require_equal(expected, actual) \
    require_equal_at(__FILE__, __LINE__, #actual, (long long)(expected), (long long)(actual))
#define require_code(expected, call) require_code_at(__FILE__, __LINE__, #call, (expected), (call))
#define require_ok(call) require_code(RILL_OK, call)

/* ---------------------------------------------------------------- tests
 * Each test is a child process with a time-out, and a count of descriptors and mappings before and after. */

struct test {
    const char *name;
    void (*body)(void *argument);
    void *argument;
    unsigned seconds; /* 0: 30 */
};

/* Runs them under cmocka; the result is main's. */
int run_group(const char *group, const struct test *tests, size_t count);

struct board;
/* The same, with a board that is wiped before each. */
int run_group_on(struct board *board, const char *group, const struct test *tests, size_t count);

/* Ends a test that cannot be run here. */
_Noreturn void skip_test(const char *why);
/* For tests that need the system to refuse descriptors: skips where an emulator counts them in its own way. */
void need_true_limits(void);

/* 1 for the quick form, more for RILL_TEST_SCALE=full. */
bool full_scale(void);

/* Fewer rounds where a sanitizer makes each of them slow. */
size_t rounds(size_t count);

/* The seconds that a test may take, longer with a sanitizer. RILL_TEST_PATIENCE (a factor) makes it longer still. */
unsigned patience(unsigned seconds);

/* ---------------------------------------------------------------- contents */

/* A small generator, so that a run can be repeated. */
struct dice {
    uint64_t state;
};
uint64_t roll(struct dice *dice);
/* A number in low … high. */
uint64_t roll_between(struct dice *dice, uint64_t low, uint64_t high);

/* Bytes that depend on the seed and on the place of each. */
void fill(void *bytes, size_t size, uint64_t seed);
bool filled(const void *bytes, size_t size, uint64_t seed);

/* A message that says who sent it, which of his it is, and how long it is, with filled bytes behind. */
#define STAMP_SIZE ((size_t)24)
void stamp(void *bytes, size_t size, uint64_t sender, uint64_t number);
/* True if it is whole; gives what it says. */
bool stamped(const void *bytes, size_t size, uint64_t *sender, uint64_t *number);

/* Sends a filled message of that size. */
int send_filled(rill_sender *sender, size_t size, uint64_t seed);
/* Receives the next message, which has to be this one, and closes it. */
void receive_filled(rill_receiver *receiver, size_t size, uint64_t seed);
/* The same for a message in hand. */
void require_message(rill_message **message, size_t size, uint64_t seed);

/* Sends and receives numbers of 8 bytes. */
int send_number(rill_sender *sender, uint64_t number);
uint64_t receive_number(rill_receiver *receiver);
uint64_t take_number(rill_message **message);

/* ---------------------------------------------------------------- what threads and processes of a test share */

#define BOARD_SLOTS 64
struct board {
    _Atomic uint32_t flag[BOARD_SLOTS];
    _Atomic uint64_t value[BOARD_SLOTS];
};

/* Memory that every later child and started program of this process sees; *descriptor (may be NULL) is inherited by programs. */
struct board *board_make(int *descriptor);
struct board *board_map(int descriptor);
/* Shared with forked children only, with no descriptor. */
void *shared_memory(size_t size);

void flag_raise(struct board *board, unsigned slot);
void flag_wait(struct board *board, unsigned slot);
bool flag_raised(struct board *board, unsigned slot);

/* Writes the calling thread's name into value[slot], for wait_until_asleep in another process. */
void announce(struct board *board, unsigned slot);
void wait_until_announced(struct board *board, unsigned slot);
/* Returns when the announced thread sleeps in the kernel. */
void wait_until_asleep(struct board *board, unsigned slot);

/* ---------------------------------------------------------------- processes */

/* fork, with the death of the parent as the death of the child. 0 in the child. */
pid_t fork_child(void);
/* Waits for a child that has to end with 0. */
void join_child(pid_t child);
/* Kills a child and waits for it. */
void kill_child(pid_t child);
/* Waits until the child is stopped. */
void stop_child(pid_t child);

/* ---------------------------------------------------------------- the machine */

/* Open descriptors of this process. */
size_t count_descriptors(void);
/* Lines of /proc/self/maps that map a memfd; those of a test's own board do not count. */
size_t count_shared_mappings(void);
size_t count_shared_mappings_of(pid_t process);
size_t count_mappings(void);
/* Bytes of address space in those lines. */
size_t shared_mapped_bytes(void);
/* Memory behind all memfds that this process has open, each counted once. */
size_t shared_memory_bytes(void);
/* Names of rill's in /dev/shm. */
size_t count_shm_names(void);
/* CPU time of the calling thread, and how often it went to sleep. */
int64_t thread_cpu(void);
long thread_sleeps(void);
/* MemAvailable. */
size_t memory_available(void);

/* Makes every signal interrupt what this thread waits for: a timer that fires each `period` ns, without SA_RESTART. */
void pester_start(int64_t period);
void pester_stop(void);
unsigned pester_count(void);

#endif
