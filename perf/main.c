/* SPDX-License-Identifier: MIT */
/* rill-perf: what rill does on this machine, beside what the machine can do. */
#include "perf/bench.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    int (*run)(const struct options *options);
    const char *question;
} benches[] = {
    {"throughput", bench_throughput, "one way: messages and bytes a second"},
    {"latency", bench_latency, "there and back, both sides awake"},
    {"wakeup", bench_wakeup, "one way to a receiver asleep for over 1 ms; and what a blocked receiver costs"},
    {"fanin", bench_fanin, "several producers, one receiver"},
    {"select", bench_select, "a set of receivers: one active of many, all active, all idle, one flooding"},
    {"routes", bench_routes, "make a channel and a route for it, send one message, and both are dropped; what is left behind"},
    {"create", bench_create, "make a channel, send and receive one message, close both ends"},
    {"transfer", bench_transfer, "send a sender through a channel, and a message back with it"},
    {"request", bench_request, "make a channel, send its sender, get one message through it, close both ends"},
    {"values", bench_values, "encode, send, receive and decode values, beside raw bytes and libcbor alone"},
    {"burst", bench_burst, "memory of a queue that nobody receives from, and after it was drained"},
    {"handover", bench_handover, "a large buffer there and an answer back: untouched, touched, fresh_memfd; one way: stream, stream_memfd"},
    {"stages", bench_stages, "a pipeline that passes on a pool's frames (pool=2, pool=4), or small messages (message=2, message=4)"},
    {"syscalls", bench_syscalls, "system calls a message (needs strace)"},
    {"limit", bench_limit, "the machine: cacheline, ring, socket, socket_wake, eventfd_wake, futex_wake, memcpy, read"},
};

static void print_help(void)
{
    printf("usage: rill-perf BENCH [OPTION VALUE]...\n\n");
    for (size_t i = 0; i < COUNT_OF(benches); i++)
        printf("  %-11s %s\n", benches[i].name, benches[i].question);
    printf(
        "\n"
        "  --transport shm|socket|inproc|all   which of rill's transports (shm); several with commas; inproc runs threads\n"
        "  --placement split|same|none         two processors, one, or wherever the system puts them (split)\n"
        "  --size N,N...                       bytes of a message; K, M, G stand for powers of 1,024\n"
        "  --limit BYTES                       queue limit, with waiting sends; 0: none (throughput, fanin: "
        "RILL_PIPELINE_LIMIT)\n"
        "  --seconds S                         length of a run (1)\n"
        "  --runs R                            figures are medians of so many (3)\n"
        "  --format table|tsv|json             tsv: bench variant transport placement size metric value unit\n"
        "  --producers N                       fanin (4)\n"
        "  --bytes N                           burst (4G)\n"
        "  --batch N                           throughput: so many messages with each call\n"
        "  --receivers N                       select: how many in the set while one is active (4096)\n"
        "  --messages N                        throughput, latency, create, transfer, request, routes: so many, instead of --seconds; syscalls: the "
        "difference\n"
        "  --variant NAME,NAME...              limit: only these; wakeup: blocked, only the receiver that sleeps for --seconds (cpu_ticks: what\n"
        "                                      its process uses meanwhile); syscalls: of throughput (if none is named), transfer, request; select: of\n"
        "                                      receivers (round trip: receivers=1, receivers=N), active (one way: active=64), idle (idle=N),\n"
        "                                      slow (delay of 63 slow senders: slow=64, beside a flooding one: flooded=64)\n"
        "  --bare                              throughput, latency, wakeup: the bare ring and socket of limit in turn with them\n"
        "\n"
        "What is compared runs in turn, run by run. A split row has cacheline_ns, the mean of the round trip of a cache line "
        "just\n"
        "before and after: below 150 the processors are near, above 200 far, and figures compare within one class only. A\n"
        "run in which the class changed is repeated; a median is of the runs of the class that was seen most.\n");
}

int main(int argc, char **argv)
{
    struct options options;
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_help();
        return argc < 2 ? 2 : 0;
    }
    for (int i = 2; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0) {
            print_help();
            return 0;
        }
    for (size_t i = 0; i < COUNT_OF(benches); i++)
        if (strcmp(argv[1], benches[i].name) == 0) {
            options_parse(argc - 2, argv + 2, &options);
            report_begin(options.format);
            int result = benches[i].run(&options);
            report_end();
            return result;
        }
    fprintf(stderr, "rill-perf: no bench '%s' (see --help)\n", argv[1]);
    return 2;
}
