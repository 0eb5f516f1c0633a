/* SPDX-License-Identifier: MIT */
/* What the files of the Linux side share. */
#ifndef RILL_PORT_LINUX_H
#define RILL_PORT_LINUX_H

#include <stdbool.h>
#include <stddef.h>

int rill_port_code_of_errno(int error);

/* As memfd_create, sealed against being executed where the system can do that. */
int rill_port_create_memfd(void);

/* The beginning of a small file as text. */
bool rill_port_read_file(const char *path, char *text, size_t capacity);

#endif
