/* SPDX-License-Identifier: MIT */
/*
 * How many system calls does a message take, with both sides awake? This program runs itself under strace with two numbers
 * of messages; the difference is free of all that starting and ending takes.
 */
#include "perf/bench.h"
#include "perf/ends.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* Under strace a system call takes some tens of microseconds, so what makes many gets fewer messages. */
#define BYTES_MAX ((uint64_t)4 << 30)
#define SHARED_MESSAGES 2000000
#define SOCKET_MESSAGES 10000
#define HANDLES_MESSAGES 2000
#define BUFFER_MESSAGES 200000

struct traced {
    double calls;
    double line; /* cacheline_ns, NAN if there is none */
};

/* The bench of which a message's calls are counted. */
static const char *bench_of(const struct contestant *it)
{
    return strcmp(it->variant, "-") == 0 ? "throughput" : it->variant;
}

static _Noreturn void run_traced(const struct contestant *it, const struct options *options, uint64_t messages,
                                 const char *output, int rows)
{
    char self[4096], size[32], count[32], limit[32];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    self[length > 0 ? length : 0] = 0;
    snprintf(size, sizeof size, "%zu", it->size);
    snprintf(count, sizeof count, "%llu", (unsigned long long)messages);
    snprintf(limit, sizeof limit, "%llu", (unsigned long long)(options->limit_given ? options->limit : RILL_PIPELINE_LIMIT));
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(rows, STDOUT_FILENO);
    execlp("strace", "strace", "-c", "-f", "-qq", "-o", output, self, bench_of(it), "--transport", it->transport, "--placement",
           placement_name(options->placement), "--variant", "untouched", "--size", size, "--messages", count, "--limit", limit, "--runs", "1", "--format",
           "tsv", (char *)NULL);
    fprintf(stderr, "rill-perf: strace cannot be started (%s); the bench syscalls needs it installed\n", strerror(errno));
    _exit(127);
}

/* The last line of strace's table: share, seconds, microseconds a call, calls, perhaps errors, "total". */
static double read_total(const char *path)
{
    FILE *file = fopen(path, "re");
    char line[512];
    double calls = NAN;
    unsigned long long value;
    while (file && fgets(line, sizeof line, file))
        if (strstr(line, " total") && sscanf(line, "%*s %*s %*s %llu", &value) == 1)
            calls = (double)value;
    if (file)
        fclose(file);
    return calls;
}

static double read_line_figure(FILE *rows)
{
    char line[512], *value;
    double figure = NAN;
    rewind(rows);
    while (fgets(line, sizeof line, rows))
        if ((value = strstr(line, "cacheline_ns\t")))
            figure = strtod(value + strlen("cacheline_ns\t"), NULL);
    return figure;
}

static bool trace(const struct contestant *it, const struct options *options, uint64_t messages, struct traced *result)
{
    const char *folder = getenv("TMPDIR");
    char path[4096];
    snprintf(path, sizeof path, "%s/rill-perf-XXXXXX", folder && *folder ? folder : "/tmp");
    int descriptor = mkstemp(path), status = -1;
    FILE *rows = tmpfile();
    if (descriptor < 0 || !rows) {
        fprintf(stderr, "rill-perf: no temporary file: %s\n", strerror(errno));
        return false;
    }
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        run_traced(it, options, messages, path, fileno(rows));
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    *result = (struct traced){.calls = read_total(path), .line = read_line_figure(rows)};
    close(descriptor);
    unlink(path);
    fclose(rows);
    if (status == 0 && !isnan(result->calls))
        return true;
    fprintf(stderr, "rill-perf: syscalls %s: counting with strace failed (it may not be allowed to trace here)\n", it->transport);
    return false;
}

static uint64_t message_count(const struct contestant *it, const struct options *options)
{
    uint64_t count = strcmp(it->variant, "-") != 0 ? HANDLES_MESSAGES : it->rill == RILL_SOCKET ? SOCKET_MESSAGES : SHARED_MESSAGES;
    if (options->messages)
        return options->messages;
    if (strcmp(it->variant, "handover") == 0 && it->rill == RILL_SHM)
        return BUFFER_MESSAGES; /* of any size: nothing is copied */
    return it->size && count > BYTES_MAX / it->size ? BYTES_MAX / it->size + 1 : count;
}

static int count_calls(const struct contestant *it, const struct options *options)
{
    uint64_t more = message_count(it, options), few = more / 10 + 1;
    struct traced first, second;
    double figures[METRICS];
    if (!trace(it, options, few, &first) || !trace(it, options, few + more, &second))
        return 1;
    for (enum metric metric = 0; metric < METRICS; metric++)
        figures[metric] = NAN;
    figures[SYSCALLS_PER_MSG] = (second.calls - first.calls) / (double)more;
    figures[CACHELINE_NS] = (first.line + second.line) / 2;
    report(it, options->placement, figures);
    return 0;
}

static int count_with_handles(const struct options *options)
{
    static const char *const variants[] = {"transfer", "request", "handover"};
    int result = 0;
    for (size_t v = 0; v < COUNT_OF(variants); v++)
        for (size_t t = 0; t < options->transport_count && options_variant(options, variants[v]) && !result; t++) {
            struct contestant contestant;
            size_t one = 0;
            contestant_add(&contestant, &one, "syscalls", variants[v], options->transports[t],
                           options->size_count ? options->sizes[0] : sizeof(uint64_t));
            result |= count_calls(&contestant, options);
        }
    return result;
}

int bench_syscalls(const struct options *options)
{
    static const size_t defaults[] = {64};
    const size_t *sizes, count = options_sizes(options, defaults, COUNT_OF(defaults), &sizes);
    int result = options->variants ? count_with_handles(options) : 0;
    for (size_t i = 0; i < count && options_variant(options, "throughput"); i++)
        for (size_t t = 0; t < options->transport_count && !result; t++) {
            struct contestant contestant;
            size_t one = 0;
            contestant_add(&contestant, &one, "syscalls", "-", options->transports[t], sizes[i]);
            result |= count_calls(&contestant, options);
        }
    return result;
}
