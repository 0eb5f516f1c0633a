/* SPDX-License-Identifier: MIT */
#include "perf/harness.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rill/rill.h>

static const char *const placements[] = {"split", "same", "none"};
static const char *const formats[] = {"table", "tsv", "json"};
static const char *const transports[] = {"shm", "socket", "inproc"};

const char *placement_name(enum placement placement)
{
    return placements[placement];
}

const char *transport_name(uint32_t transport)
{
    return transports[transport - RILL_SHM];
}

_Noreturn static void refuse(const char *option, const char *text)
{
    fprintf(stderr, "rill-perf: %s cannot be '%s' (see --help)\n", option, text);
    exit(2);
}

/* A number with an optional K, M, G or T (powers of 1,024). */
static const char *read_bytes(const char *text, uint64_t *value)
{
    static const char suffixes[] = "KMGT";
    char *end;
    errno = 0;
    *value = strtoull(text, &end, 10);
    if (end == text || *text < '0' || *text > '9' || errno)
        return NULL;
    const char *suffix = *end ? strchr(suffixes, *end) : NULL;
    if (!suffix)
        return end;
    unsigned shift = 10 * (unsigned)(suffix - suffixes + 1);
    if (*value > UINT64_MAX >> shift)
        return NULL;
    *value <<= shift;
    return end + 1;
}

static uint64_t parse_bytes(const char *option, const char *text)
{
    uint64_t value;
    const char *end = read_bytes(text, &value);
    if (!end || *end)
        refuse(option, text);
    return value;
}

static unsigned parse_count(const char *option, const char *text, uint64_t low, uint64_t high)
{
    uint64_t value = parse_bytes(option, text);
    if (value < low || value > high)
        refuse(option, text);
    return (unsigned)value;
}

static void parse_sizes(const char *option, const char *text, struct options *options)
{
    const char *at = text;
    options->size_count = 0;
    for (;;) {
        uint64_t value;
        at = read_bytes(at, &value);
        if (!at || (*at && *at != ',') || options->size_count == SIZES_MAX || value > SIZE_MAX / 4)
            refuse(option, text);
        options->sizes[options->size_count++] = (size_t)value;
        if (!*at++)
            return;
    }
}

static double parse_seconds(const char *option, const char *text)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || !(value > 0 && value <= 86400))
        refuse(option, text);
    return value;
}

static unsigned parse_name(const char *option, const char *text, const char *const *names, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (strcmp(names[i], text) == 0)
            return i;
    refuse(option, text);
}

static void parse_transports(const char *option, const char *text, struct options *options)
{
    options->transport_count = 0;
    if (strcmp(text, "all") == 0) {
        for (uint32_t transport = RILL_SHM; transport <= RILL_INPROC; transport++)
            options->transports[options->transport_count++] = transport;
        return;
    }
    char *list = strdup(text), *rest = list;
    for (char *name; list && (name = strsep(&rest, ",")) && options->transport_count < 3;)
        options->transports[options->transport_count++] = RILL_SHM + parse_name(option, name, transports, 3);
    free(list);
}

static void parse_one(const char *option, const char *value, struct options *options)
{
    if (strcmp(option, "--transport") == 0)
        parse_transports(option, value, options);
    else if (strcmp(option, "--placement") == 0)
        options->placement = (enum placement)parse_name(option, value, placements, 3);
    else if (strcmp(option, "--size") == 0)
        parse_sizes(option, value, options);
    else if (strcmp(option, "--limit") == 0) {
        options->limit = parse_bytes(option, value);
        options->limit_given = true;
    } else if (strcmp(option, "--seconds") == 0)
        options->seconds = parse_seconds(option, value);
    else if (strcmp(option, "--runs") == 0)
        options->runs = parse_count(option, value, 1, 10000);
    else if (strcmp(option, "--format") == 0)
        options->format = (enum format)parse_name(option, value, formats, 3);
    else if (strcmp(option, "--producers") == 0)
        options->producers = parse_count(option, value, 1, ROLES_MAX - 4);
    else if (strcmp(option, "--receivers") == 0)
        options->receivers = parse_count(option, value, 1, 100000);
    else if (strcmp(option, "--bytes") == 0)
        options->bytes = parse_bytes(option, value);
    else if (strcmp(option, "--messages") == 0)
        options->messages = parse_bytes(option, value);
    else if (strcmp(option, "--batch") == 0)
        options->batch = parse_count(option, value, 1, 1024);
    else if (strcmp(option, "--variant") == 0)
        options->variants = value;
    else {
        fprintf(stderr, "rill-perf: no option %s (see --help)\n", option);
        exit(2);
    }
}

/* argv begins with the first option. An option's value may be the next word, or follow a '='. */
void options_parse(int argc, char **argv, struct options *options)
{
    *options = (struct options){
        .transports = {RILL_SHM},
        .transport_count = 1,
        .seconds = 1,
        .runs = 3,
        .producers = 4,
        .receivers = 4096,
        .bytes = (uint64_t)4 << 30,
    };
    for (int i = 0; i < argc; i++) {
        char option[32];
        const char *value = strchr(argv[i], '=');
        if (strcmp(argv[i], "--bare") == 0) {
            options->bare = true;
            continue;
        }
        size_t length = value ? (size_t)(value - argv[i]) : strlen(argv[i]);
        snprintf(option, sizeof option, "%.*s", (int)(length < sizeof option ? length : sizeof option), argv[i]);
        value = value ? value + 1 : i + 1 < argc ? argv[++i] : NULL;
        if (!value || strncmp(option, "--", 2) != 0) {
            fprintf(stderr, "rill-perf: %s %s (see --help)\n", option, value ? "is no option" : "needs a value");
            exit(2);
        }
        parse_one(option, value, options);
    }
}

size_t options_sizes(const struct options *options, const size_t *defaults, size_t count, const size_t **sizes)
{
    *sizes = options->size_count ? options->sizes : defaults;
    return options->size_count ? options->size_count : count;
}

bool options_variant(const struct options *options, const char *name)
{
    size_t length = strlen(name);
    for (const char *at = options->variants; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
        if (strncmp(at, name, length) == 0 && (at[length] == ',' || at[length] == 0))
            return true;
    return !options->variants;
}
