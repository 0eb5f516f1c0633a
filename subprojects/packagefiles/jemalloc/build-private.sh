#!/bin/sh
# SPDX-License-Identifier: MIT
#
# usage: build-private.sh SOURCE OBJECT HEADER COMPILER...
#
# Builds jemalloc as one relocatable object that a library can carry without its program noticing:
#   - every public name begins with rill_je_ and every internal one with rill_je_private_, and all are hidden, so
#     that nothing meets the program's own allocator, nor another jemalloc;
#   - no thread-local variable but a pthread key, which is as fast. The variable would take 2.6 KiB of every thread of the
#     program, and the room that the loader keeps for libraries that come late is too small for it: dlopen would fail as
#     soon as anything else in the library asked for a share of that room, which is all or nothing;
#   - no libdl and no C++: neither pthread_create nor operator new is wrapped;
#   - no cache-oblivious padding: it would move each large block off its page boundary and cost a page more for it, which
#     in shared memory is a page to commit and one that cannot be punched out. (5.3.0 has no run-time option for that.)
# One object rather than an archive, so that the static library holds it whole and needs nothing beside it.
#
# Sanitizers do not reach this code: it is built with these flags whatever the flags of the rest, once for each compiler. The
# result is kept outside the build folder, so that only the first build waits for it.
set -eu

source_dir=$1 object=$2 header=$3
shift 3

flags='-O3 -g1 -fPIC -fvisibility=hidden'
options='
    --with-jemalloc-prefix=rill_je_
    --with-private-namespace=rill_je_private_
    --without-export
    --disable-initial-exec-tls
    --disable-libdl
    --disable-cache-oblivious
    --disable-cxx
    --disable-doc
    --disable-shared'

# A folder whose name says all that the result depends on: this script, the tarball's version, the compiler and the machine.
key=$({ cat "$0" "$source_dir/VERSION"; uname -sm; "$@" --version; printf '%s ' "$@"; } | sha256sum | cut -c 1-16)
cache=${RILL_CACHE:-${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}/rill}
kept=$cache/jemalloc-$key

hand_over() {
    cp "$1/jemalloc.o" "$object"
    cp "$1/jemalloc.h" "$header"
}

if [ -d "$kept" ]; then
    hand_over "$kept"
    exit 0
fi

# A copy, because make cannot follow a path with a space in it, and the temporary folder seldom has one.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
log=$work/log
cp -R "$source_dir" "$work/source"
mkdir "$work/result"

build() {
    cd "$work/source"
    # There is a variable for the pthread key, and no option.
    # shellcheck disable=SC2086 # the options are words
    force_tls=0 ./configure $options CC="$*" CFLAGS="$flags -fdebug-prefix-map=$work/source=jemalloc"
    make -j"$(getconf _NPROCESSORS_ONLN)" lib/libjemalloc_pic.a
    cp include/jemalloc/jemalloc.h "$work/result/jemalloc.h"
    "$@" -r -nostdlib -o "$work/result/jemalloc.o" -Wl,--whole-archive lib/libjemalloc_pic.a -Wl,--no-whole-archive
}

echo 'jemalloc: building it once (about a minute on two cores)'
# In a subshell of its own that `if` does not govern, so that -e holds inside.
set +e
(set -e; unset MAKEFLAGS MAKELEVEL; build "$@") >"$log" 2>&1 </dev/null
status=$?
set -e
if [ "$status" -ne 0 ]; then
    tail -n 40 "$log" >&2
    exit 1
fi
hand_over "$work/result"

# Complete or absent: another build may be looking. Where nothing can be kept, the next build folder pays again.
if mkdir -p "$cache" 2>/dev/null && keep=$(mktemp -d "$cache/new.XXXXXX" 2>/dev/null); then
    if ! cp "$work/result/"* "$keep/" || ! mv -T "$keep" "$kept" 2>/dev/null; then
        rm -rf "$keep"
    fi
fi
