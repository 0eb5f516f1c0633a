/* SPDX-License-Identifier: MIT */
/* usage: make_corpus FOLDER: writes the files of the corpus, which the fuzzers begin with. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rill/value.h>

#include "tests/types.h"

static void write_file(const char *folder, const char *name, const void *bytes, size_t size)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(bytes, 1, size, file) != size || fclose(file) != 0)
        exit(1);
}

static size_t encode(const struct rill_type *type, const void *value, unsigned char *bytes, size_t capacity)
{
    size_t size;
    if (rill_type_encode(type, value, bytes, capacity, &size) != RILL_OK)
        exit(1);
    return size;
}

/* As it is, and without what stands in front of its map. */
static void write_value(const char *folder, const char *name, const struct rill_type *type, const void *value)
{
    static unsigned char bytes[1 << 16];
    char body[64];
    size_t size = encode(type, value, bytes, sizeof bytes), prefix = 5 + 1 + 1 + strlen(type->name) + 9;
    write_file(folder, name, bytes, size);
    snprintf(body, sizeof body, "%s_body", name);
    write_file(folder, body, bytes + prefix, size - prefix);
}

static void write_everything(const char *folder)
{
    struct everything all;
    struct point points[] = {{1, 2}, {3, -4}};
    struct pixel pixel = {9, {1, 2}, true, color_none, "four", 0.5, {{5, 6}, {7, 8}}};
    struct tree leaf = {.name = (char *)(uintptr_t)"leaf"};
    char *strings[] = {(char *)(uintptr_t)"one", NULL};
    uint32_t list[] = {1, 1000, 100000};
    bool flag = true;
    if (rill_type_init(&everything_type, &all) != RILL_OK)
        exit(1);
    all.color = color_red;
    all.pixel = all.pixels[0] = all.pixels[1] = all.span.inner[0] = all.span.inner[1] = pixel;
    all.shape = (struct shape){.which = RILL_CASE(shape, name), .as.name = strings[0]};
    all.shapes[0] = (struct shape){.which = RILL_CASE(shape, path), .as.path = {points, 2}};
    all.shapes[1] = (struct shape){.which = RILL_CASE(shape, blur), .as.blur = pixel};
    all.tree.children.items = &leaf, all.tree.children.count = 1;
    all.points.items = points, all.points.count = 2;
    all.list.items = list, all.list.count = 3;
    all.strings.items = strings, all.strings.count = 2;
    all.flags.items = &flag, all.flags.count = 1;
    all.more_pixels.items = &pixel, all.more_pixels.count = 1;
    all.maybe_point.present = true;
    write_value(folder, "everything", &everything_type, &all);
    free(all.greeting);
    write_value(folder, "tree", &tree_type, &(struct tree){.name = strings[0], .children = {&leaf, 1}});
    write_value(folder, "span", &span_type, &all.span);
}

int main(int argc, char **argv)
{
    static const unsigned char value[] = {0xa3, 0x01, 0x9f, 0xf9, 0x3c, 0x00, 0x20, 0xff, 0x61, 'a', 0x5f, 0x41, 1, 0x41, 2, 0xff,
                                          0xf6, 0xc1, 0xfb, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0};
    static const unsigned char hands[] = {0xda, 0x72, 0x69, 0x6c, 0x20, 0x83, 0x65, 'h', 'a', 'n', 'd', 's', 0x00, 0xa2, 0x65, 'r', 'e',
                                          'p', 'l', 'y', 0xda, 0x72, 0x69, 0x6c, 0x01, 0x00, 0x64, 'f', 'i', 'l', 'e', 0xf6};
    if (argc != 2)
        return 2;
    write_everything(argv[1]);
    write_file(argv[1], "value", value, sizeof value);
    write_file(argv[1], "hands", hands, sizeof hands);
    return 0;
}
