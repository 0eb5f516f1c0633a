/* SPDX-License-Identifier: MIT */
/*
 * Real files through a pipeline of three processes (pipeline.h), over shared memory and over sockets in turn. The file that comes
 * out is checked byte by byte; a table shows side by side what each took.
 */
#include <rill/rill.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "perf/memory.h"
#include "perf/pipeline.h"

#define SECOND ((int64_t)1000000000)

/* ---------------------------------------------------------------- one pass, watched */

struct pass {
    bool good;
    double seconds;
    double cpu_seconds;
    int64_t memory; /* the most that the three processes took */
};

static int64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * SECOND + time.tv_nsec;
}

static void show_progress(const struct job *job, int64_t begin, bool over)
{
    static int64_t shown;
    const int width = 40;
    char bar[64];
    if (!isatty(STDERR_FILENO) || (!over && now() - shown < SECOND / 20))
        return;
    shown = now();
    uint64_t written = atomic_load_explicit(job->written, memory_order_relaxed);
    double share = (double)written / (double)job->total, seconds = (double)(shown - begin) / (double)SECOND;
    for (int i = 0; i < width; i++)
        bar[i] = i < (int)(share * width) ? '#' : '.';
    fprintf(stderr, "\r%-7s [%.*s] %3.0f %%  %.2f GB/s\033[K", job->label, width, bar, 100 * share,
            (double)written * 1e-9 / seconds);
    if (over)
        fprintf(stderr, "\r\033[K");
}

/* Collects stages that have ended. */
static int reap_stages(struct pass *pass, pid_t processes[STAGES], int options)
{
    int ended = 0;
    for (int stage = 0; stage < STAGES; stage++) {
        struct rusage usage;
        int status;
        if (processes[stage] == 0 || wait4(processes[stage], &status, options, &usage) != processes[stage])
            continue;
        processes[stage] = 0;
        pass->good &= status == 0;
        pass->cpu_seconds += (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec);
        pass->cpu_seconds += (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
        ended++;
    }
    return ended;
}

/* Shared memory that was there before is not counted; the processes are new, so all of their private memory is. */
static void watch_memory(struct pass *pass, int64_t shared_before, const pid_t processes[STAGES])
{
    int64_t memory = memory_in_use(processes, STAGES);
    if (memory >= 0 && memory - shared_before > pass->memory)
        pass->memory = memory - shared_before;
}

static struct pass run_pass(const struct job *job)
{
    struct pass pass = {.good = true};
    pid_t processes[STAGES];
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, NULL);
    atomic_store(job->written, 0);
    int64_t shared_before = job->quiet ? 0 : memory_in_use(NULL, 0), begin = now();
    pipeline_start(job, processes);
    for (int left = STAGES; left > 0;) {
        const struct timespec interval = {.tv_nsec = SECOND / 100};
        if (!job->quiet && left == STAGES)
            watch_memory(&pass, shared_before, processes);
        if (job->quiet)
            sigwaitinfo(&child, NULL);
        else if (sigtimedwait(&child, NULL, &interval) < 0)
            show_progress(job, begin, false);
        left -= reap_stages(&pass, processes, WNOHANG);
        for (int stage = 0; stage < STAGES && !pass.good; stage++)
            if (processes[stage])
                kill(processes[stage], SIGKILL);
    }
    pass.seconds = (double)(now() - begin) / (double)SECOND;
    if (!job->quiet)
        show_progress(job, begin, true);
    return pass;
}

/* ---------------------------------------------------------------- is it right? */

/* What a byte has to become, worked out for itself alone. */
static unsigned char expected_byte(const struct job *job, uint64_t position, unsigned char byte)
{
    uint64_t word = pattern(job->key, position >> 3);
    return byte ^ (unsigned char)(word >> ((position & 7) << 3));
}

static bool verify(const struct job *job)
{
    unsigned char *input = new_chunk(job), *output = new_chunk(job);
    uint64_t position = 0;
    bool right = lseek(job->output, 0, SEEK_SET) == 0;
    for (size_t i = 0; i < job->file_count * job->repeats && right && position < job->total; i++) {
        const char *name = job->files[i % job->file_count];
        int file = open(name, O_RDONLY | O_CLOEXEC);
        size_t size;
        while (right && position < job->total && (size = read_chunk(file, input, job->chunk, name)) > 0) {
            if (size > job->total - position)
                size = (size_t)(job->total - position);
            right = read_chunk(job->output, output, size, "the output file") == size;
            for (size_t at = 0; at < size && right; at++, position++)
                right = output[at] == expected_byte(job, position, input[at]);
        }
        close(file);
    }
    if (!right || position != job->total)
        fprintf(stderr, "rill-demo: %s: byte %llu of the output is wrong\n", job->label, (unsigned long long)position);
    free(input);
    free(output);
    return right && position == job->total;
}

/* ---------------------------------------------------------------- system calls
 * Counted by strace in a run of its own, because it makes each of them many times slower. */

#define TRACED_MAX ((uint64_t)256 << 20)

static double read_total(const char *path)
{
    FILE *file = fopen(path, "re");
    char line[512];
    unsigned long long calls;
    double total = -1;
    while (file && fgets(line, sizeof line, file))
        if (strstr(line, " total") && sscanf(line, "%*s %*s %*s %llu", &calls) == 1)
            total = (double)calls;
    if (file)
        fclose(file);
    return total;
}

static _Noreturn void run_traced(const struct job *job, const char *output)
{
    char self[4096], chunk[32], part[32], repeats[32], **arguments = calloc(job->file_count + 24, sizeof *arguments);
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    size_t count = 0;
    if (!arguments || length < 0 || null < 0)
        _exit(1);
    self[length] = 0;
    snprintf(chunk, sizeof chunk, "%zu", job->chunk);
    snprintf(repeats, sizeof repeats, "%zu", job->repeats);
    snprintf(part, sizeof part, "%llu", (unsigned long long)job->total);
    const char *const fixed[] = {"strace",  "-c",  "-f",     "-qq", "-o",       output,  self,     "--mode", job->label,
                                 "--chunk", chunk, "--part", part,  "--repeat", repeats, "--once", "--"};
    for (; count < sizeof fixed / sizeof *fixed; count++)
        arguments[count] = strdup(fixed[count]);
    for (size_t i = 0; i < job->file_count; i++)
        arguments[count++] = job->files[i];
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(null, STDERR_FILENO);
    execvp("strace", arguments);
    _exit(127);
}

/* System calls of a whole pass, or -1 if they cannot be counted here. */
static double count_calls(const struct job *job)
{
    struct job part = *job;
    const char *folder = getenv("TMPDIR");
    char path[4096];
    int status = -1;
    if (part.total > TRACED_MAX)
        part.total = TRACED_MAX;
    snprintf(path, sizeof path, "%s/rill-demo-XXXXXX", folder && *folder ? folder : "/tmp");
    int descriptor = mkstemp(path);
    if (descriptor < 0)
        return -1;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        run_traced(&part, path);
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    double calls = read_total(path);
    close(descriptor);
    unlink(path);
    return status == 0 && calls >= 0 ? calls * (double)job->total / (double)part.total : -1;
}

/* ---------------------------------------------------------------- the table */

#define ROUNDS_MAX 15
#define ENOUGH ((uint64_t)512 << 20) /* bytes of a pass, so that starting three processes is a small part of it */

struct result {
    const char *label;
    bool good;
    double seconds[ROUNDS_MAX];
    double cpu_seconds[ROUNDS_MAX];
    double memory[ROUNDS_MAX];
    double calls;
};

static int compare_doubles(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return a < b ? -1 : a > b;
}

static double median(double *values, size_t count)
{
    qsort(values, count, sizeof *values, compare_doubles);
    return values[count / 2];
}

static void print_row(const char *name, const char *format, const double *values, const struct result *results, size_t count)
{
    printf("%-28s", name);
    for (size_t i = 0; i < count; i++) {
        char cell[32];
        snprintf(cell, sizeof cell, "-");
        if (results[i].good && values[i] >= 0)
            snprintf(cell, sizeof cell,
                     strcmp(format, "count") == 0   ? "%.0f"
                     : strcmp(format, "small") == 0 ? "%.3f"
                                                    : "%.2f",
                     values[i]);
        printf("%14s", cell);
    }
    printf("\n");
}

static uint64_t messages_of(const struct job *job)
{
    uint64_t count = 0, left = job->total;
    for (size_t i = 0; i < job->file_count * job->repeats; i++) {
        struct stat status;
        uint64_t size = stat(job->files[i % job->file_count], &status) == 0 ? (uint64_t)status.st_size : 0;
        size = size < left ? size : left;
        left -= size;
        count += (size + job->chunk - 1) / job->chunk;
    }
    return 2 * count;
}

static void print_table(const struct job *job, struct result *results, size_t count, size_t rounds)
{
    double rate[2], messages[2], cpu[2], calls[2], memory[2];
    printf("\n%zu file%s, %.1f MiB, %zu time%s through; messages of %.4g KiB at most; median of %zu pass%s\n\n%-28s",
           job->file_count, job->file_count == 1 ? "" : "s", (double)job->total / (double)job->repeats / (1 << 20), job->repeats,
           job->repeats == 1 ? "" : "s", (double)job->chunk / 1024, rounds, rounds == 1 ? "" : "es", "");
    for (size_t i = 0; i < count; i++) {
        double seconds = median(results[i].seconds, rounds);
        rate[i] = (double)job->total / seconds * 1e-9;
        messages[i] = (double)messages_of(job) / seconds;
        cpu[i] = median(results[i].cpu_seconds, rounds);
        calls[i] = results[i].calls;
        memory[i] = median(results[i].memory, rounds) / (1 << 20);
        printf("%14s", results[i].label);
    }
    printf("\n");
    print_row("GB/s", "", rate, results, count);
    print_row("messages/s, both channels", "count", messages, results, count);
    print_row("CPU time of a pass, s", "small", cpu, results, count);
    print_row("system calls of a pass", "count", calls, results, count);
    print_row("peak memory, MiB", "", memory, results, count);
    printf("%-28s", "every byte checked");
    for (size_t i = 0; i < count; i++)
        printf("%14s", results[i].good ? "right" : "WRONG");
    printf("\n");
    if (calls[0] < 0)
        printf("(system calls are not counted: strace is not installed, or may not trace here)\n");
    printf("\n");
}

/* ---------------------------------------------------------------- all of it */

struct arguments {
    const char *mode; /* NULL: both */
    bool once;        /* a single pass that prints nothing: what strace looks at */
    uint64_t part;    /* bytes at most */
    size_t rounds;
    size_t repeats; /* 0: chosen */
};

static _Noreturn void usage(const char *wrong)
{
    fprintf(stderr,
            "%s%susage: rill-demo [--chunk BYTES] [--mode shm|socket] [--repeat N] [--part BYTES] [--rounds N] FILE...\n"
            "Moves the files through three processes over shared memory and over sockets, checks what comes out,\n"
            "and prints what each took.\n"
            "--chunk   bytes of a message (262144)\n"
            "--repeat  how often the files go through in one pass (so often that it is 512 MiB)\n"
            "--part    bytes of a pass at most\n"
            "--rounds  passes over each transport (3), besides a first one that is not counted\n",
            wrong ? wrong : "", wrong ? "\n" : "");
    _exit(wrong ? 2 : 0);
}

static uint64_t parse_number(const char *text, uint64_t low, uint64_t high)
{
    char *end;
    errno = 0;
    unsigned long long value = text ? strtoull(text, &end, 10) : 0;
    if (!text || end == text || *end || errno || *text == '-' || value < low || value > high)
        usage("rill-demo: an option has a wrong value");
    return value;
}

static void parse_arguments(int argc, char **argv, struct arguments *arguments, struct job *job)
{
    int at = 1;
    for (; at < argc && strncmp(argv[at], "--", 2) == 0; at++) {
        const char *option = argv[at], *value = argv[at + 1];
        if (strcmp(option, "--") == 0) {
            at++;
            break;
        }
        if (strcmp(option, "--help") == 0)
            usage(NULL);
        if (strcmp(option, "--once") == 0) {
            arguments->once = true;
            continue;
        }
        if (strcmp(option, "--chunk") == 0)
            job->chunk = parse_number(value, 1, (uint64_t)1 << 32);
        else if (strcmp(option, "--part") == 0)
            arguments->part = parse_number(value, 1, UINT64_MAX);
        else if (strcmp(option, "--repeat") == 0)
            arguments->repeats = parse_number(value, 1, 1 << 20);
        else if (strcmp(option, "--rounds") == 0)
            arguments->rounds = parse_number(value, 1, ROUNDS_MAX);
        else if (strcmp(option, "--mode") == 0 && value && (strcmp(value, "shm") == 0 || strcmp(value, "socket") == 0))
            arguments->mode = value;
        else
            usage("rill-demo: unknown option or value");
        at++;
    }
    job->files = argv + at;
    job->file_count = at < argc ? (size_t)(argc - at) : 0;
    if (job->file_count == 0)
        usage("rill-demo: no file named");
}

static bool add_up_sizes(struct job *job, const struct arguments *arguments)
{
    for (size_t i = 0; i < job->file_count; i++) {
        struct stat status;
        int file = open(job->files[i], O_RDONLY | O_CLOEXEC);
        bool usable = file >= 0 && fstat(file, &status) == 0 && S_ISREG(status.st_mode);
        if (!usable)
            fprintf(stderr, "rill-demo: %s: %s\n", job->files[i], file < 0 ? strerror(errno) : "not a regular file");
        if (file >= 0)
            close(file);
        if (!usable)
            return false;
        job->total += (uint64_t)status.st_size;
    }
    if (job->total == 0) {
        fprintf(stderr, "rill-demo: the files are empty\n");
        return false;
    }
    job->repeats = arguments->repeats ? arguments->repeats : (size_t)((ENOUGH - 1) / job->total + 1);
    job->total *= job->repeats;
    if (job->total > arguments->part)
        job->total = arguments->part;
    return true;
}

/* It has no name, so nothing is left however this ends. Its blocks are taken now, not while a pass is timed. */
static bool make_output(struct job *job)
{
    const char *folder = getenv("TMPDIR");
    job->output = open(folder && *folder ? folder : "/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (job->output < 0) {
        FILE *file = tmpfile();
        job->output = file ? fileno(file) : -1;
    }
    int code = job->output < 0 ? errno : posix_fallocate(job->output, 0, (off_t)job->total);
    if (code)
        fprintf(stderr, "rill-demo: no room for an output file of %llu bytes: %s\n", (unsigned long long)job->total,
                strerror(code));
    return code == 0;
}

/* The transports take turns, so that what the machine does meanwhile meets both. The first pass of each finds the files in
 * the cache: one that is not counted has read them. */
static void run_rounds(struct job *job, struct result *results, size_t count, size_t rounds)
{
    for (size_t round = 0; round <= rounds; round++)
        for (size_t i = 0; i < count; i++) {
            job->label = results[i].label;
            job->transport = strcmp(job->label, "shm") == 0 ? RILL_SHM : RILL_SOCKET;
            job->key = (uint64_t)now();
            struct pass pass = run_pass(job);
            results[i].good &= pass.good && verify(job);
            if (round == 0)
                continue;
            results[i].seconds[round - 1] = pass.seconds;
            results[i].cpu_seconds[round - 1] = pass.cpu_seconds;
            results[i].memory[round - 1] = (double)pass.memory;
        }
}

static int run_all(struct job *job, const struct arguments *arguments)
{
    struct result results[2] = {{.label = "shm", .good = true}, {.label = "socket", .good = true}};
    struct result *chosen = arguments->mode && strcmp(arguments->mode, "socket") == 0 ? results + 1 : results;
    size_t count = arguments->mode ? 1 : 2, passed = 0, rounds = arguments->rounds;
    run_rounds(job, chosen, count, rounds);
    for (size_t i = 0; i < count; i++) {
        job->label = chosen[i].label;
        chosen[i].calls = chosen[i].good ? count_calls(job) : -1;
        passed += chosen[i].good;
    }
    print_table(job, chosen, count, rounds);
    printf("%zu passed, %zu failed\n", passed, count - passed);
    return passed == count ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct arguments arguments = {.part = UINT64_MAX, .rounds = 3};
    struct job job = {.chunk = 256 << 10};
    parse_arguments(argc, argv, &arguments, &job);
    job.written = mmap(NULL, sizeof *job.written, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (job.written == MAP_FAILED || !add_up_sizes(&job, &arguments) || !make_output(&job)) {
        printf("0 passed, 1 failed\n");
        return 1;
    }
    if (!arguments.once)
        return run_all(&job, &arguments);
    job.label = arguments.mode ? arguments.mode : "shm";
    job.transport = strcmp(job.label, "shm") == 0 ? RILL_SHM : RILL_SOCKET;
    job.quiet = true;
    return run_pass(&job).good ? 0 : 1;
}
