/* SPDX-License-Identifier: MIT */
/* Rows in three formats: for eyes, for scripts, for programs. */
#include "perf/harness.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name, *unit;
} metrics[METRICS] = {
    [MSGS_PER_S] = {"msgs_per_s", "1/s"},
    [BYTES_PER_S] = {"bytes_per_s", "B/s"},
    [P50_NS] = {"p50_ns", "ns"},
    [P99_NS] = {"p99_ns", "ns"},
    [MAX_NS] = {"max_ns", "ns"},
    [PER_S] = {"per_s", "1/s"},
    [CPU_PERCENT] = {"cpu_percent", "%"},
    [CPU_TICKS] = {"cpu_ticks", "ticks"},
    [MEMORY_PEAK_BYTES] = {"memory_peak_bytes", "B"},
    [MEMORY_AFTER_BYTES] = {"memory_after_bytes", "B"},
    [SYSCALLS_PER_MSG] = {"syscalls_per_msg", "1"},
    [FAULTS_PER_MSG] = {"faults_per_msg", "1"},
    [CACHELINE_NS] = {"cacheline_ns", "ns"},
};

static enum format format;
static bool first_row;

void report_begin(enum format chosen)
{
    format = chosen;
    first_row = true;
    if (format == FORMAT_JSON)
        printf("[");
    if (format == FORMAT_TABLE)
        printf("%-10s %-13s %-9s %-9s %8s  %s\n", "bench", "variant", "transport", "placement", "size", "figures (medians)");
}

void report_end(void)
{
    if (format == FORMAT_JSON)
        printf("%s]\n", first_row ? "" : "\n");
    fflush(stdout);
}

/* A size as the options take it. */
static const char *short_size(size_t size, char *text, size_t capacity)
{
    static const char suffixes[] = " KMGT";
    size_t power = 0;
    if (size == NO_SIZE)
        return "-";
    for (; power < 4 && size >= 1024 && size % 1024 == 0; power++)
        size /= 1024;
    snprintf(text, capacity, power ? "%zu%c" : "%zu", size, suffixes[power]);
    return text;
}

/* A figure with the unit that suits its magnitude. */
static void print_figure(enum metric metric, double value)
{
    static const char *const large[] = {"", "k", "M", "G", "T"};
    static const char *const times[] = {"ns", "us", "ms", "s"};
    const char *unit = metrics[metric].unit;
    const char *kind = value < LINE_NEAR_NS ? "near" : value > LINE_FAR_NS ? "far" : "between";
    size_t power = 0;
    char label[32];
    snprintf(label, sizeof label, "%s", metrics[metric].name);
    char *suffix = strstr(label, "_ns");
    bool is_time = strcmp(unit, "ns") == 0;
    if (is_time && suffix)
        *suffix = 0;
    if (metric != FAULTS_PER_MSG && metric != SYSCALLS_PER_MSG && metric != CPU_PERCENT && metric != CPU_TICKS)
        for (; fabs(value) >= 1000 && power < (is_time ? 3 : 4); power++)
            value /= 1000;
    if (metric == CACHELINE_NS)
        printf("  %s %.3g %s (%s)", label, value, times[power], kind);
    else if (is_time)
        printf("  %s %.3g %s", label, value, times[power]);
    else if (metric == MSGS_PER_S || metric == PER_S)
        printf("  %.3g %s%s/s", value, large[power], metric == PER_S ? "" : "msg");
    else if (metric == BYTES_PER_S)
        printf("  %.3g %sB/s", value, large[power]);
    else
        printf("  %s %.3g %s%s", label, value, large[power], strcmp(unit, "1") == 0 ? "" : unit);
}

static void print_table_row(const struct contestant *it, const char *placement, const double figures[METRICS])
{
    char size[32];
    printf("%-10s %-13s %-9s %-9s %8s", it->bench, it->variant, it->transport, placement,
           short_size(it->size, size, sizeof size));
    for (enum metric metric = 0; metric < METRICS; metric++)
        if (!isnan(figures[metric]))
            print_figure(metric, figures[metric]);
    printf("\n");
}

static void print_record(const struct contestant *it, const char *placement, enum metric metric, double value)
{
    char size[32] = "-";
    if (it->size != NO_SIZE)
        snprintf(size, sizeof size, "%zu", it->size);
    if (format == FORMAT_TSV) {
        printf("%s\t%s\t%s\t%s\t%s\t%s\t%.9g\t%s\n", it->bench, it->variant, it->transport, placement, size, metrics[metric].name,
               value, metrics[metric].unit);
        return;
    }
    printf("%s\n{\"bench\":\"%s\",\"variant\":\"%s\",\"transport\":\"%s\",\"placement\":\"%s\",", first_row ? "" : ",", it->bench,
           it->variant, it->transport, placement);
    printf("\"size\":%s,\"metric\":\"%s\",\"value\":%.9g,\"unit\":\"%s\"}", it->size == NO_SIZE ? "null" : size,
           metrics[metric].name, value, metrics[metric].unit);
    first_row = false;
}

void report(const struct contestant *it, enum placement placement, const double figures[METRICS])
{
    const char *place = it->unplaced ? "-" : placement_name(placement);
    if (format == FORMAT_TABLE)
        print_table_row(it, place, figures);
    else
        for (enum metric metric = 0; metric < METRICS; metric++)
            if (!isnan(figures[metric]))
                print_record(it, place, metric, figures[metric]);
    fflush(stdout);
}
