/* SPDX-License-Identifier: MIT */
/*
 * What the benches share.
 *
 * A bench is one entry of the table in main.c and one file. It describes contestants: things that answer the same question,
 * such as two transports at one size. measure() lets them run in turn, run by run, so that what the machine does meanwhile
 * meets all of them alike, and reports the medians.
 *
 *   rill-perf ---- one host for each run ---- roles: two or more processes, or threads of the host
 *                  open(): makes the channel  work(): sends or receives
 *                  watch(): looks on
 *
 * Each run has fresh processes, and the host is one of them: what a run leaves in a process cannot help or hurt the next one.
 * They meet on a board, a page of memory that all of them share. A role that finds anything wrong prints it and ends
 * with an error; that ends the host, and with it the other roles, and the contestant gets no row.
 */
#ifndef RILL_PERF_HARNESS_H
#define RILL_PERF_HARNESS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ROLES_MAX 260
#define SIZES_MAX 64
#define NO_SIZE SIZE_MAX /* a row that has no size */
#define LINE 128         /* two cache lines: the hardware fetches them in pairs */
#define SECOND ((int64_t)1000000000)

/* Two processors are near or far by the round trip of a cache line. */
#define LINE_NEAR_NS 150
#define LINE_FAR_NS 200

/* ---------------------------------------------------------------- options */

enum placement {
    PLACE_SPLIT,
    PLACE_SAME,
    PLACE_NONE,
};

enum format {
    FORMAT_TABLE,
    FORMAT_TSV,
    FORMAT_JSON,
};

struct options {
    uint32_t transports[3]; /* of enum rill_transport */
    size_t transport_count;
    enum placement placement;
    size_t sizes[SIZES_MAX];
    size_t size_count; /* 0: the bench's own */
    uint64_t limit;
    bool limit_given;
    double seconds;
    unsigned runs;
    enum format format;
    unsigned producers;
    unsigned receivers;
    uint64_t bytes;
    uint64_t messages; /* 0: by time */
    unsigned batch;    /* 0: one message a call */
    bool bare;
    const char *variants; /* a list with commas; NULL: all */
};

void options_parse(int argc, char **argv, struct options *options);
/* The sizes asked for, or else `count` default ones. */
size_t options_sizes(const struct options *options, const size_t *defaults, size_t count, const size_t **sizes);
bool options_variant(const struct options *options, const char *name);
const char *placement_name(enum placement placement);
const char *transport_name(uint32_t transport);

/* ---------------------------------------------------------------- figures */

enum metric {
    MSGS_PER_S,
    BYTES_PER_S,
    P50_NS,
    P99_NS,
    MAX_NS,
    PER_S,
    CPU_PERCENT,
    CPU_TICKS,
    MEMORY_PEAK_BYTES,
    MEMORY_AFTER_BYTES,
    SYSCALLS_PER_MSG,
    FAULTS_PER_MSG,
    CACHELINE_NS,
    METRICS,
};

struct contestant;

void report_begin(enum format format);
/* One row for each figure that is not NAN. */
void report(const struct contestant *contestant, enum placement placement, const double figures[METRICS]);
void report_end(void);

/* ---------------------------------------------------------------- runs */

struct run;

struct contestant {
    const char *bench;
    const char *variant;   /* "-" where nothing tells the rows apart */
    const char *transport; /* as in the rows: "-" if it is not rill */
    uint32_t rill;         /* enum rill_transport, for those that are */
    size_t size;
    unsigned roles;
    bool threads;  /* roles are threads of the host, not processes */
    bool unplaced; /* one role, wherever it is: the rows have no placement */
    void (*open)(struct run *run);
    void (*work)(struct run *run);
    void (*close)(struct run *run); /* the host lets go of what it opened, once the roles have it; may be NULL */
    void (*watch)(struct run *run); /* the host takes part in every meeting; may be NULL */
};

enum phase {
    PHASE_WARM,
    PHASE_MEASURED,
    PHASE_OVER,
};

/* What one role tells the others. Its own lines, so that telling costs them nothing. */
struct role_note {
    _Alignas(LINE) _Atomic uint64_t sent;
    _Atomic uint64_t sum;
    _Atomic uint64_t faults;
    _Atomic uint32_t process, thread;
};

struct board {
    _Alignas(LINE) _Atomic uint32_t arrived;
    _Atomic uint32_t meetings;
    _Alignas(LINE) _Atomic uint32_t phase;
    _Alignas(LINE) _Atomic uint64_t line;
    _Alignas(LINE) _Atomic int64_t stamp;
    _Alignas(LINE) _Atomic uint64_t seen;
    _Alignas(LINE) double figures[METRICS];
    double line_before, line_after;
    struct role_note notes[ROLES_MAX];
};

/* One role's view of a run. */
struct run {
    const struct options *options;
    const struct contestant *contestant;
    struct board *board;
    unsigned role;
    uint64_t line_turn; /* how far this role has come on board->line */
    void *ends;         /* what open() made */
};

/* Runs all contestants as often as the options say and reports them. 0, or 1 if one of them failed. */
int measure(const struct options *options, const struct contestant *contestants, size_t count);

/* For the roles. A figure is written by one role. */
void figure(struct run *run, enum metric metric, double value);
/* Waits until every role (and the host, if it watches) is here. */
void meet(struct run *run);
/* A meeting, with the distance of the first two roles measured: before and after what is measured. */
void meet_before(struct run *run);
void meet_after(struct run *run);
/* Ends this role, and with it the run, with an error. */
_Noreturn void fail(const struct run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Fails unless `code` is 0; `call` is rill's call that returned it. */
void check(const struct run *run, const char *call, int code);

/* ---------------------------------------------------------------- time and waiting */

int64_t now(void);
/* What one call of now() adds to a time that is measured between two of them. */
int64_t now_cost(void);
uint64_t thread_faults(void); /* minor page faults of the calling thread */
/* What another role's thread has used so far. Exact while that sleeps: the system counts up when it leaves the processor. */
double role_cpu_seconds(const struct run *run, unsigned role);

#define ASLEEP_AFTER 0.1 /* s: by then a role that waits has stopped to spin */
void pause_for(double seconds);

void give_way(void);

/* For a loop that waits for another processor. If the other side may need this one (placement same, or none on a busy
 * machine) it is given away. */
static inline void relax(const struct run *run, unsigned *looks)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb");
#endif
    unsigned patience = run->options->placement == PLACE_SPLIT ? 100000 : run->options->placement == PLACE_SAME ? 1 : 1000;
    if (++*looks >= patience) {
        *looks = 0;
        give_way();
    }
}

/* ---------------------------------------------------------------- contents */

/* Adds up the 8-byte words of a message, the last one filled up with zeros: the cheapest way to read every byte. */
typedef uint64_t word_pair __attribute__((vector_size(16)));

static inline word_pair read_pair(const unsigned char *bytes)
{
    word_pair pair;
    __builtin_memcpy(&pair, bytes, sizeof pair);
    return pair;
}

static inline uint64_t sum_words(const void *data, size_t size)
{
    const unsigned char *bytes = data;
    word_pair first = {0}, second = {0}, third = {0}, fourth = {0}; /* arrays of them would be kept in memory */
    size_t at = 0;
    for (; at + 64 <= size; at += 64) {
        first += read_pair(bytes + at);
        second += read_pair(bytes + at + 16);
        third += read_pair(bytes + at + 32);
        fourth += read_pair(bytes + at + 48);
    }
    first += second + third + fourth;
    uint64_t sum = first[0] + first[1];
    for (; at + 8 <= size; at += 8) {
        uint64_t word;
        __builtin_memcpy(&word, bytes + at, 8);
        sum += word;
    }
    if (at < size) {
        uint64_t word = 0;
        __builtin_memcpy(&word, bytes + at, size - at);
        sum += word;
    }
    return sum;
}

/* The number of a message stands in its first 8 bytes, or in as many as it has. Gives what it adds to the sum. */
static inline uint64_t stamp_message(void *message, size_t size, uint64_t number)
{
    if (size >= 8) {
        __builtin_memcpy(message, &number, 8);
        return number;
    }
    uint64_t written = 0;
    __builtin_memcpy(message, &number, size);
    __builtin_memcpy(&written, message, size);
    return written;
}

static inline uint64_t read_stamp(const void *message, size_t size)
{
    uint64_t number = 0;
    __builtin_memcpy(&number, message, size >= 8 ? 8 : size);
    return number;
}

/* `count` messages of the same content, each at a multiple of *stride, with zeros where the stamp goes; *sum is the sum of one.
 * Lives until the role ends. */
unsigned char *contents(const struct run *run, size_t size, size_t count, size_t *stride, uint64_t *sum);

#endif
