/* SPDX-License-Identifier: MIT */
/*
 * A pipeline of three processes, as a user of rill writes it.
 *
 *     reader ---- channel ----> transformer ---- channel ----> writer
 *     reads the files           changes every byte             writes a file
 */
#ifndef RILL_PERF_PIPELINE_H
#define RILL_PERF_PIPELINE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define STAGES 3

struct job {
    char **files;
    size_t file_count;
    size_t repeats; /* the files go through so often, one after the other */
    uint64_t total; /* bytes to move: all of that, or the first part of it */
    size_t chunk;   /* bytes of a message */
    uint32_t transport;
    uint64_t key; /* of the transform; another one each time, so that an old output cannot pass for a new one */
    int output;   /* the file that the writer writes */
    bool quiet;   /* no progress, no memory measured */
    const char *label;
    _Atomic uint64_t *written; /* shared by all processes */
};

/* Makes the channels and starts the stages. Each ends with 0 when all is written; one that fails says why and ends with 1. */
void pipeline_start(const struct job *job, pid_t processes[STAGES]);

/* Fills `chunk` from a file; less than `size` bytes only at its end. Ends the process if it cannot be read. */
size_t read_chunk(int file, unsigned char *chunk, size_t size, const char *name);
/* 8 bytes that depend on the key and on the place: what the transform adds to the bytes there. */
uint64_t pattern(uint64_t key, uint64_t place);
void *new_chunk(const struct job *job);
_Noreturn void stop(const char *what, const char *why);

#endif
