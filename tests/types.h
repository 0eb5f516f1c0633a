/* SPDX-License-Identifier: MIT */
/* Types for the tests and the fuzzers: one with every kind of field, and what it is made of. */
#ifndef RILL_TESTS_TYPES_H
#define RILL_TESTS_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rill/type.h>

#define COLOR(F) F(color_red, 1) F(color_green, 2) F(color_none, -7) F(color_last, 2147483647)
RILL_ENUM(color, COLOR);

/* Without gaps. */
#define POINT(F) F(i32, x) F(i32, y)
RILL_PLAIN_STRUCT(point, POINT);

/* With gaps, and with what has to be checked. */
#define PIXEL(F) \
    F(u8, depth) F(nested, at, point) F(boolean, lit) F(enumeration, color, color) F(text, label, 5) F(f64, weight) F(array, trail, 2, nested, point)
RILL_PLAIN_STRUCT(pixel, PIXEL);

#define SPAN(F) F(u8, low) F(array, inner, 2, nested, pixel) F(octets, key, 3) F(i64, high)
RILL_PLAIN_STRUCT(span, SPAN);

#define SHAPE(F) F(nested, circle, point) F(f64, side) F(string, name) F(list, path, nested, point) F(nested, blur, pixel) F(descriptor, file)
RILL_UNION(shape, SHAPE);

#define NUMBERS(F) \
    F(u8, a) F(u16, b) F(u32, c) F(u64, d) F(i8, e) F(i16, f) F(i32, g) F(i64, h) F(f32, i) F(f64, j) F(boolean, k)
RILL_STRUCT(numbers, NUMBERS);

#define TREE(F) F(string, name) F(list, children, nested, tree)
RILL_STRUCT(tree, TREE);

#define EVERYTHING(F) \
    F(nested, numbers, numbers) F(string, string) F(text, text, 8) F(bytes, bytes) F(octets, octets, 4) F(enumeration, color, color) \
    F(nested, point, point) F(nested, pixel, pixel) F(nested, span, span) F(nested, shape, shape) F(nested, tree, tree) \
    F(array, array, 3, i16) F(array, pixels, 2, nested, pixel) F(array, texts, 2, string) F(array, shapes, 2, nested, shape) \
    F(list, list, u32) F(list, strings, string) F(list, blobs, bytes) F(list, points, nested, point) F(list, more_pixels, nested, pixel) \
    F(list, trees, nested, tree) F(list, colors, enumeration, color) F(list, reals, f64) F(list, flags, boolean) F(list, more_shapes, nested, shape) \
    F(optional, maybe, i32) F(optional, maybe_text, string) F(optional, maybe_point, nested, point) F(optional, maybe_tree, nested, tree) \
    F(defaulted, priority, 7, i32) F(defaulted, ratio, 0.5, f64) F(defaulted, single, -2.5, f32) F(defaulted, on, true, boolean) \
    F(defaulted, tint, color_green, enumeration, color) F(defaulted, greeting, "hello", string) F(defaulted, most, UINT64_MAX, u64)
RILL_STRUCT(everything, EVERYTHING);

#define HANDS(F) \
    F(u32, number) F(sender, reply) F(list, senders, sender) F(descriptor, file) F(optional, other, descriptor) F(array, files, 2, descriptor) \
    F(receiver, input) F(nested, shape, shape) F(opaque, something)
RILL_STRUCT(hands, HANDS);

#endif
