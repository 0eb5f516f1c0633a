// SPDX-License-Identifier: MIT
// The macros of type.h describe types in C++ as well.
#include <rill/type.h>

#define COLOR(F) F(color_red, 1) F(color_green, 2)
RILL_ENUM(color, COLOR);

#define POINT(F) F(i32, x) F(i32, y) F(enumeration, color, color) F(text, label, 8) F(array, weights, 3, f64)
RILL_PLAIN_STRUCT(point, POINT);

#define SHAPE(F) F(nested, circle, point) F(f64, side) F(list, path, nested, point) F(string, name)
RILL_UNION(shape, SHAPE);

#define JOB(F) \
    F(u64, id) F(string, title) F(bytes, data) F(octets, hash, 32) F(nested, shape, shape) F(list, points, nested, point) F(optional, note, string) \
    F(defaulted, priority, 7, i32) F(defaulted, tint, color_red, enumeration, color) F(sender, reply) F(descriptor, file)
RILL_STRUCT(job, JOB);

int send_job(rill_sender *sender, uint64_t id)
{
    struct job job;
    int code = rill_type_init(&job_type, &job);
    if (code != RILL_OK)
        return code;
    job.id = id;
    job.shape.which = RILL_CASE(shape, side);
    switch (job.shape.which) {
    case RILL_CASE(shape, circle):
    case RILL_CASE(shape, side):
        job.shape.as.side = 2;
    }
    return rill_send_as(sender, &job_type, &job);
}
