/* SPDX-License-Identifier: MIT */
/* Hosts, roles, their meetings, and medians. */
#include "perf/harness.h"

#include <errno.h>
#include <linux/futex.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <rill/rill.h>

#define LINE_BATCHES 25
#define LINE_TRIPS 200
#define MEMORY_RATE ((uint64_t)64 << 20) /* bytes a second that the slowest machine queues, for the time-out */

/* ---------------------------------------------------------------- time, failure */

int64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * SECOND + time.tv_nsec;
}

int64_t now_cost(void)
{
    int64_t least = SECOND;
    for (unsigned i = 0; i < 1000; i++) {
        int64_t before = now(), cost = now() - before;
        if (cost < least)
            least = cost;
    }
    return least;
}

uint64_t thread_faults(void)
{
    struct rusage usage;
    getrusage(RUSAGE_THREAD, &usage);
    return (uint64_t)usage.ru_minflt;
}

double role_cpu_seconds(const struct run *run, unsigned role)
{
    const struct role_note *note = &run->board->notes[role];
    char path[64];
    unsigned long long used = 0;
    snprintf(path, sizeof path, "/proc/%u/task/%u/schedstat", atomic_load(&note->process), atomic_load(&note->thread));
    FILE *file = fopen(path, "r");
    bool read = file && fscanf(file, "%llu", &used) == 1;
    if (file)
        fclose(file);
    if (!read)
        fail(run, "%s cannot be read", path);
    return (double)used * 1e-9;
}

void pause_for(double seconds)
{
    struct timespec pause = {.tv_sec = (time_t)seconds};
    pause.tv_nsec = (long)((seconds - (double)pause.tv_sec) * SECOND);
    nanosleep(&pause, NULL);
}

void give_way(void)
{
    sched_yield();
}

void fail(const struct run *run, const char *format, ...)
{
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    const struct contestant *it = run->contestant;
    fprintf(stderr, "rill-perf: %s %s %s: %s\n", it->bench, it->variant, it->transport, text);
    _exit(1);
}

void check(const struct run *run, const char *call, int code)
{
    if (code == RILL_ESYSTEM)
        fail(run, "%s: %s: %s", call, rill_strerror(code), strerror(errno));
    if (code != RILL_OK)
        fail(run, "%s: %s: %s", call, rill_error_name(code), rill_strerror(code));
}

void figure(struct run *run, enum metric metric, double value)
{
    run->board->figures[metric] = value;
}

/* ---------------------------------------------------------------- meetings */

static long futex(_Atomic uint32_t *word, int operation, uint32_t value)
{
    return syscall(SYS_futex, word, operation, value, NULL, NULL, 0);
}

void meet(struct run *run)
{
    struct board *board = run->board;
    uint32_t expected = run->contestant->roles + (run->contestant->watch ? 1 : 0);
    uint32_t meeting = atomic_load(&board->meetings);
    if (atomic_fetch_add(&board->arrived, 1) + 1 == expected) {
        atomic_store(&board->arrived, 0);
        atomic_fetch_add(&board->meetings, 1);
        futex(&board->meetings, FUTEX_WAKE, INT32_MAX);
        return;
    }
    while (atomic_load(&board->meetings) == meeting)
        futex(&board->meetings, FUTEX_WAIT, meeting);
}

static int compare_doubles(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return a < b ? -1 : a > b;
}

static double median(double *values, size_t count)
{
    qsort(values, count, sizeof *values, compare_doubles);
    return (values[(count - 1) / 2] + values[count / 2]) / 2;
}

/* The time for a cache line to go to the other role's processor and back. A median of batches, because one interruption
 * would show in a mean. An exchange, because a plain store may stay behind for a while. */
static double line_round_trip(struct run *run)
{
    _Atomic uint64_t *line = &run->board->line;
    double batches[LINE_BATCHES];
    unsigned looks = 0;
    for (size_t batch = 0; batch < LINE_BATCHES; batch++) {
        int64_t begin = now();
        for (unsigned trip = 0; trip < LINE_TRIPS; trip++, run->line_turn += 2) {
            uint64_t mine = run->line_turn + (run->role == 0 ? 1 : 2);
            if (run->role == 0)
                atomic_exchange_explicit(line, mine, memory_order_acq_rel);
            while (atomic_load_explicit(line, memory_order_acquire) != run->line_turn + (run->role == 0 ? 2 : 1))
                if (++looks % 65536 == 0)
                    give_way();
            if (run->role == 1)
                atomic_exchange_explicit(line, mine, memory_order_acq_rel);
        }
        batches[batch] = (double)(now() - begin) / LINE_TRIPS;
    }
    return median(batches, LINE_BATCHES);
}

static bool has_distance(const struct run *run)
{
    return run->options->placement == PLACE_SPLIT && run->contestant->roles >= 2;
}

static void meet_with_distance(struct run *run, double *result)
{
    meet(run);
    if (has_distance(run) && run->role < 2) {
        double round_trip = line_round_trip(run);
        if (run->role == 0)
            *result = round_trip;
    }
    meet(run);
}

void meet_before(struct run *run)
{
    meet_with_distance(run, &run->board->line_before);
}

void meet_after(struct run *run)
{
    meet_with_distance(run, &run->board->line_after);
}

/* ---------------------------------------------------------------- roles */

/* The first role gets the first processor that this program may use, all others the second. */
static void take_place(const struct run *run)
{
    cpu_set_t allowed, chosen;
    if (run->options->placement == PLACE_NONE)
        return;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0)
        fail(run, "sched_getaffinity: %s", strerror(errno));
    unsigned wanted = run->options->placement == PLACE_SPLIT && run->role > 0 ? 1 : 0;
    size_t cpu = 0;
    for (; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &allowed) && wanted-- == 0)
            break;
    CPU_ZERO(&chosen);
    CPU_SET(cpu, &chosen);
    if (cpu == CPU_SETSIZE || sched_setaffinity(0, sizeof chosen, &chosen) != 0)
        fail(run, "there are not enough processors for this placement");
}

static void role_begin(struct run *run)
{
    take_place(run);
    atomic_store(&run->board->notes[run->role].process, (uint32_t)getpid());
    atomic_store(&run->board->notes[run->role].thread, (uint32_t)gettid());
}

/* If the parent is gone already, nobody will send the signal. */
static void die_with(pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
}

static void *thread_role(void *argument)
{
    struct run *run = argument;
    role_begin(run);
    run->contestant->work(run);
    return NULL;
}

static void run_threads(struct run *host, struct run *roles)
{
    pthread_t threads[ROLES_MAX];
    for (unsigned i = 0; i < host->contestant->roles; i++)
        if (pthread_create(&threads[i], NULL, thread_role, &roles[i]) != 0)
            fail(host, "cannot make a thread");
    if (host->contestant->watch)
        host->contestant->watch(host);
    for (unsigned i = 0; i < host->contestant->roles; i++)
        pthread_join(threads[i], NULL);
}

static volatile sig_atomic_t roles_alive;

/* In the host. A role that failed has said why, unless it was killed; the others end with the host (die_with). */
static void role_ended(int signal)
{
    static const char killed[] = "rill-perf: a process of the run was killed by a signal\n";
    int saved = errno, status;
    (void)signal;
    while (waitpid(-1, &status, WNOHANG) > 0) {
        if (WIFSIGNALED(status) && write(STDERR_FILENO, killed, sizeof killed - 1) < 0)
            _exit(2);
        if (status != 0)
            _exit(1);
        roles_alive--;
    }
    errno = saved;
}

static void run_processes(struct run *host, struct run *roles)
{
    struct sigaction action = {.sa_handler = role_ended, .sa_flags = SA_RESTART};
    sigset_t child, empty;
    pid_t parent = getpid();
    sigemptyset(&empty);
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, NULL);
    sigaction(SIGCHLD, &action, NULL);
    for (unsigned i = 0; i < host->contestant->roles; i++) {
        pid_t pid = fork();
        if (pid < 0)
            fail(host, "fork: %s", strerror(errno));
        if (pid == 0) {
            signal(SIGCHLD, SIG_DFL);
            sigprocmask(SIG_SETMASK, &empty, NULL);
            die_with(parent);
            role_begin(&roles[i]);
            host->contestant->work(&roles[i]);
            _exit(0);
        }
        roles_alive++;
    }
    if (host->contestant->close)
        host->contestant->close(host);
    if (host->contestant->watch) {
        sigprocmask(SIG_UNBLOCK, &child, NULL);
        host->contestant->watch(host);
        sigprocmask(SIG_BLOCK, &child, NULL);
    }
    while (roles_alive > 0)
        sigsuspend(&empty);
}

static _Noreturn void host_main(struct run *host)
{
    static struct run roles[ROLES_MAX];
    if (host->contestant->open)
        host->contestant->open(host);
    for (unsigned i = 0; i < host->contestant->roles; i++) {
        roles[i] = *host;
        roles[i].role = i;
    }
    host->role = ROLES_MAX;
    if (host->contestant->threads)
        run_threads(host, roles);
    else
        run_processes(host, roles);
    _exit(0);
}

/* ---------------------------------------------------------------- one run */

/* Waits without looking at a clock every now and then: that would disturb what is measured. */
static int wait_for_host(const struct run *run, pid_t host)
{
    const struct options *options = run->options;
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    int64_t patience = (int64_t)(120 + 10 * options->seconds) + (int64_t)(options->bytes / MEMORY_RATE);
    int64_t deadline = now() + patience * SECOND;
    for (;;) {
        int status;
        if (waitpid(host, &status, WNOHANG) == host)
            return status;
        int64_t left = deadline - now();
        struct timespec time = {.tv_sec = (time_t)(left / SECOND), .tv_nsec = left % SECOND};
        if (left <= 0 || (sigtimedwait(&child, NULL, &time) < 0 && errno == EAGAIN)) {
            fprintf(stderr, "rill-perf: %s: nothing for %lld s, given up\n", run->contestant->bench, (long long)patience);
            kill(host, SIGKILL);
            waitpid(host, &status, 0);
            return status;
        }
    }
}

/* The figures of one run are left on the board. */
static bool run_once(struct run *run)
{
    struct board *board = run->board;
    memset(board, 0, sizeof *board);
    for (enum metric metric = 0; metric < METRICS; metric++)
        board->figures[metric] = NAN;
    fflush(NULL);
    pid_t parent = getpid(), host = fork();
    if (host < 0) {
        fprintf(stderr, "rill-perf: fork: %s\n", strerror(errno));
        return false;
    }
    if (host == 0) {
        die_with(parent);
        host_main(run);
    }
    int status = wait_for_host(run, host);
    if (WIFSIGNALED(status))
        fprintf(stderr, "rill-perf: %s %s: killed by signal %d\n", run->contestant->bench, run->contestant->variant,
                WTERMSIG(status));
    if (status == 0 && has_distance(run))
        board->figures[CACHELINE_NS] = (board->line_before + board->line_after) / 2;
    return status == 0;
}

/* ---------------------------------------------------------------- medians
 *
 * The distance between two virtual processors changes while a machine runs, and a queue's result with it, many times over. A
 * median over runs of both kinds would be a figure of neither. So a run during which the distance changed is repeated, and
 * of the rest only the kind that most runs of all contestants had counts. */

enum distance {
    NEAR,
    BETWEEN,
    FAR,
    DISTANCES,
};

static enum distance distance(double line)
{
    return line < LINE_NEAR_NS ? NEAR : line > LINE_FAR_NS ? FAR : BETWEEN;
}

struct tally {
    bool failed;
    double (*figures)[METRICS]; /* one for each run */
};

static void run_in_turn(struct run *run, struct tally *tally, unsigned turn)
{
    const unsigned tries = 3;
    for (unsigned i = 0; i < tries; i++) {
        if (!run_once(run)) {
            tally->failed = true;
            return;
        }
        if (!has_distance(run) || distance(run->board->line_before) == distance(run->board->line_after))
            break;
    }
    memcpy(tally->figures[turn], run->board->figures, sizeof tally->figures[turn]);
}

static enum distance usual_distance(const struct tally *tallies, size_t count, unsigned runs)
{
    size_t seen[DISTANCES] = {0};
    for (size_t i = 0; i < count; i++)
        for (unsigned run = 0; run < runs && !tallies[i].failed; run++)
            if (!isnan(tallies[i].figures[run][CACHELINE_NS]))
                seen[distance(tallies[i].figures[run][CACHELINE_NS])]++;
    return seen[FAR] > seen[NEAR] && seen[FAR] > seen[BETWEEN] ? FAR : seen[BETWEEN] > seen[NEAR] ? BETWEEN : NEAR;
}

/* `usual` selects runs unless this contestant had none of that kind. */
static void take_medians(const struct tally *tally, unsigned runs, enum distance usual, double *values, double figures[METRICS])
{
    bool any = false;
    for (unsigned run = 0; run < runs; run++)
        any |= distance(tally->figures[run][CACHELINE_NS]) == usual;
    for (enum metric metric = 0; metric < METRICS; metric++) {
        size_t count = 0;
        for (unsigned run = 0; run < runs; run++) {
            const double *of_run = tally->figures[run];
            bool counts = isnan(of_run[CACHELINE_NS]) || !any || distance(of_run[CACHELINE_NS]) == usual;
            if (counts && !isnan(of_run[metric]))
                values[count++] = of_run[metric];
        }
        figures[metric] = count ? median(values, count) : NAN;
    }
}

static int report_medians(const struct options *options, const struct contestant *contestants, const struct tally *tallies,
                          size_t count)
{
    enum distance usual = usual_distance(tallies, count, options->runs);
    double *values = calloc(options->runs, sizeof *values), figures[METRICS];
    int result = values ? 0 : 1;
    for (size_t i = 0; i < count && values; i++) {
        if (tallies[i].failed) {
            result = 1;
            continue;
        }
        take_medians(&tallies[i], options->runs, usual, values, figures);
        report(&contestants[i], options->placement, figures);
    }
    free(values);
    return result;
}

int measure(const struct options *options, const struct contestant *contestants, size_t count)
{
    struct tally *tallies = calloc(count, sizeof *tallies);
    double(*figures)[METRICS] = calloc(count * options->runs, sizeof *figures);
    struct board *board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, NULL);
    int result = 1;
    if (tallies && figures && board != MAP_FAILED) {
        for (unsigned turn = 0; turn < options->runs; turn++)
            for (size_t i = 0; i < count; i++) {
                struct run run = {.options = options, .contestant = &contestants[i], .board = board};
                tallies[i].figures = figures + i * options->runs;
                if (!tallies[i].failed)
                    run_in_turn(&run, &tallies[i], turn);
            }
        result = report_medians(options, contestants, tallies, count);
    }
    if (board != MAP_FAILED)
        munmap(board, sizeof *board);
    free(figures);
    free(tallies);
    return result;
}

/* ---------------------------------------------------------------- contents */

unsigned char *contents(const struct run *run, size_t size, size_t count, size_t *stride, uint64_t *sum)
{
    size_t stamp_size = size < 8 ? size : 8;
    *stride = (size + 63) / 64 * 64 + 64;
    unsigned char *bytes = aligned_alloc(64, *stride * count);
    if (!bytes)
        fail(run, "no memory for the messages");
    uint64_t state = size;
    for (size_t at = 0; at < size; at += 8) {
        state = state * 6364136223846793005U + 1442695040888963407U;
        memcpy(bytes + at, &state, size - at < 8 ? size - at : 8);
    }
    memset(bytes, 0, stamp_size);
    for (size_t i = 1; i < count; i++)
        memcpy(bytes + i * *stride, bytes, size);
    *sum = sum_words(bytes, size);
    return bytes;
}
