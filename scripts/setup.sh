#!/bin/sh
# SPDX-License-Identifier: MIT
#
# usage: sh scripts/setup.sh [PACKAGE|PROGRAM:PACKAGE...]
#
# Makes this machine ready to build, test and run rill: installs the programs and libraries that are missing (Debian
# and its relatives, with apt-get) and fetches the sources of jemalloc. Does nothing, and fast, where all is present.
# A PACKAGE is needed as well, if there is no program of its name; PROGRAM:PACKAGE where the names differ.
set -eu
cd "$(dirname "$0")/.."

# What must be there, and the package that brings it: programs by name, libraries by their pkg-config file.
programs='
    cc:gcc
    c++:g++
    make:make
    ninja:ninja-build
    meson:meson
    pkg-config:pkg-config
    python3:python3
    nm:binutils
    bzip2:bzip2
    strace:strace
    spin:spin'
libraries='
    cmocka:libcmocka-dev
    libcbor:libcbor-dev
    libuv:libuv1-dev
    glib-2.0:libglib2.0-dev'

for package; do
    programs="$programs ${package%%:*}:${package#*:}"
done

# Modules of the system's python3, which the tests skip without.
modules='
    cbor2:python3-cbor2'

missing() {
    for pair in $programs; do
        command -v "${pair%%:*}" >/dev/null 2>&1 || echo "${pair#*:}"
    done
    for pair in $libraries; do
        pkg-config --exists "${pair%%:*}" 2>/dev/null || echo "${pair#*:}"
    done
    for pair in $modules; do
        command -v apt-get >/dev/null 2>&1 || break
        /usr/bin/python3 -c "import ${pair%%:*}" 2>/dev/null || python3 -c "import ${pair%%:*}" 2>/dev/null || echo "${pair#*:}"
    done
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif [ -t 0 ]; then
        sudo "$@"
    else
        sudo -n "$@"
    fi
}

apt_get() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 "$@"
}

stop() {
    echo "setup: $*" >&2
    exit 1
}

packages=$(missing | tr '\n' ' ')
if [ -n "$packages" ]; then
    command -v apt-get >/dev/null 2>&1 ||
        stop "this is no Debian system; please install what these Debian packages hold, and come again: $packages"
    [ "$(id -u)" -eq 0 ] || command -v sudo >/dev/null 2>&1 ||
        stop "neither root nor sudo; please have these packages installed, and come again: $packages"
    echo "setup: installing $packages"
    # Old package lists may still do; whether they did shows below.
    apt_get update </dev/null || true
    # shellcheck disable=SC2086 # the packages are words
    apt_get install -y --no-install-recommends $packages </dev/null || true
    packages=$(missing | tr '\n' ' ')
    [ -z "$packages" ] || stop "could not install: $packages"
fi

sh scripts/fetch-jemalloc.sh
