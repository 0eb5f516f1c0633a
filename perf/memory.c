/* SPDX-License-Identifier: MIT */
#include "perf/memory.h"

#include <stdio.h>
#include <string.h>

/* The number of KiB behind `name` in a file of /proc, in bytes. */
static int64_t read_entry(const char *path, const char *name)
{
    FILE *file = fopen(path, "re");
    char line[256];
    long long value = -1;
    size_t length = strlen(name);
    if (!file)
        return -1;
    while (value < 0 && fgets(line, sizeof line, file))
        if (strncmp(line, name, length) == 0)
            sscanf(line + length, "%lld", &value);
    fclose(file);
    return value < 0 ? -1 : (int64_t)value * 1024;
}

/* Anonymous memory only. To the kernel a page of a memfd that one process alone maps is private too, but it is in the sum of
 * the shared memory already. A page that a parent and a child still share after a fork counts half in each. */
static int64_t private_memory(pid_t process)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)process);
    return read_entry(path, "Pss_Anon:");
}

int64_t memory_in_use(const pid_t *processes, size_t count)
{
    int64_t sum = read_entry("/proc/meminfo", "Shmem:");
    for (size_t i = 0; i < count && sum >= 0; i++) {
        int64_t memory = private_memory(processes[i]);
        sum = memory < 0 ? -1 : sum + memory;
    }
    return sum;
}
