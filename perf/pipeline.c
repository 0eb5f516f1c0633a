/* SPDX-License-Identifier: MIT */
#include "perf/pipeline.h"

#include <rill/rill.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <signal.h>
#include <unistd.h>

void stop(const char *what, const char *why)
{
    fprintf(stderr, "rill-demo: %s: %s\n", what, why);
    _exit(1);
}

static void check(const char *call, int code)
{
    if (code != RILL_OK)
        stop(call, code == RILL_ESYSTEM ? strerror(errno) : rill_strerror(code));
}

uint64_t pattern(uint64_t key, uint64_t place)
{
    uint64_t mixed = (key + place) * 0x9E3779B97F4A7C15U;
    return mixed ^ mixed >> 32;
}

static unsigned char transform_byte(const struct job *job, uint64_t position, unsigned char byte)
{
    return (unsigned char)(byte ^ pattern(job->key, position / 8) >> position % 8 * 8);
}

/* Changes every byte: by whole words, and one by one where a word began in the last chunk or ends in the next. */
static void transform(const struct job *job, uint64_t position, const unsigned char *from, unsigned char *to, size_t size)
{
    size_t at = 0;
    for (; at < size && (position + at) % 8 != 0; at++)
        to[at] = transform_byte(job, position + at, from[at]);
    for (uint64_t place = (position + at) / 8; size - at >= 8; at += 8, place++) {
        uint64_t bytes;
        memcpy(&bytes, from + at, 8);
        bytes ^= pattern(job->key, place);
        memcpy(to + at, &bytes, 8);
    }
    for (; at < size; at++)
        to[at] = transform_byte(job, position + at, from[at]);
}

void *new_chunk(const struct job *job)
{
    void *chunk = malloc(job->chunk);
    if (!chunk)
        stop("malloc", "no memory");
    return chunk;
}

size_t read_chunk(int file, unsigned char *chunk, size_t size, const char *name)
{
    size_t filled = 0;
    while (filled < size) {
        ssize_t count = read(file, chunk + filled, size - filled);
        if (count < 0 && errno != EINTR)
            stop(name, strerror(errno));
        if (count == 0)
            break;
        filled += count > 0 ? (size_t)count : 0;
    }
    return filled;
}

static void read_files(const struct job *job, rill_sender *to)
{
    unsigned char *chunk = new_chunk(job);
    uint64_t left = job->total;
    for (size_t i = 0; i < job->file_count * job->repeats && left > 0; i++) {
        const char *name = job->files[i % job->file_count];
        int file = open(name, O_RDONLY | O_CLOEXEC);
        if (file < 0)
            stop(name, strerror(errno));
        size_t size;
        while (left > 0 && (size = read_chunk(file, chunk, left < job->chunk ? (size_t)left : job->chunk, name)) > 0) {
            check("rill_send", rill_send(to, chunk, size));
            left -= size;
        }
        close(file);
    }
    check("rill_sender_close", rill_sender_close(&to));
}

/* The message is read where it lies. */
static void transform_messages(const struct job *job, rill_receiver *from, rill_sender *to)
{
    unsigned char *changed = new_chunk(job);
    rill_message *message;
    uint64_t position = 0;
    int code;
    while ((code = rill_recv(from, &message)) == RILL_OK) {
        size_t size = rill_message_size(message);
        transform(job, position, rill_message_data(message), changed, size);
        rill_message_close(&message);
        check("rill_send", rill_send(to, changed, size));
        position += size;
    }
    if (code != RILL_EDISCONNECTED)
        check("rill_recv", code);
    check("rill_sender_close", rill_sender_close(&to));
    check("rill_receiver_close", rill_receiver_close(&from));
}

static void write_message(const struct job *job, uint64_t position, const unsigned char *bytes, size_t size)
{
    for (size_t written = 0; written < size;) {
        ssize_t count = pwrite(job->output, bytes + written, size - written, (off_t)(position + written));
        if (count < 0 && errno != EINTR)
            stop("the output file", strerror(errno));
        written += count > 0 ? (size_t)count : 0;
    }
}

static void write_file(const struct job *job, rill_receiver *from)
{
    rill_message *message;
    uint64_t position = 0;
    int code;
    while ((code = rill_recv(from, &message)) == RILL_OK) {
        write_message(job, position, rill_message_data(message), rill_message_size(message));
        position += rill_message_size(message);
        rill_message_close(&message);
        atomic_store_explicit(job->written, position, memory_order_relaxed);
    }
    if (code != RILL_EDISCONNECTED)
        check("rill_recv", code);
    check("rill_receiver_close", rill_receiver_close(&from));
}

struct ends {
    rill_sender *senders[2];
    rill_receiver *receivers[2];
};

/* A limit with waiting sends: the queue stays in the cache, and no stage runs away from the next one. */
static void make_channels(const struct job *job, struct ends *ends)
{
    struct rill_channel_options options = {
        .size = sizeof options,
        .transport = job->transport,
        .limit = RILL_PIPELINE_LIMIT,
        .on_full = RILL_FULL_WAIT,
    };
    for (int i = 0; i < 2; i++)
        check("rill_channel", rill_channel(&options, &ends->senders[i], &ends->receivers[i]));
}

/* An end that stays open in a process that does not use it would keep the other side waiting for ever. */
static void close_others(struct ends *ends, int sender, int receiver)
{
    for (int i = 0; i < 2; i++) {
        if (i != sender)
            rill_sender_close(&ends->senders[i]);
        if (i != receiver)
            rill_receiver_close(&ends->receivers[i]);
    }
}

/* Stage 0 sends on channel 0, stage 1 receives from it and sends on channel 1, stage 2 receives from that. */
static void run_stage(const struct job *job, struct ends *ends, int stage)
{
    close_others(ends, stage, stage - 1);
    if (stage == 0)
        read_files(job, ends->senders[0]);
    else if (stage == 1)
        transform_messages(job, ends->receivers[0], ends->senders[1]);
    else
        write_file(job, ends->receivers[1]);
}

void pipeline_start(const struct job *job, pid_t processes[STAGES])
{
    struct ends ends;
    pid_t parent = getpid();
    make_channels(job, &ends);
    fflush(NULL);
    for (int stage = 0; stage < STAGES; stage++) {
        processes[stage] = fork();
        if (processes[stage] < 0)
            stop("fork", strerror(errno));
        if (processes[stage] == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (getppid() != parent)
                _exit(1);
            run_stage(job, &ends, stage);
            _exit(0);
        }
    }
    close_others(&ends, -1, -1);
}
