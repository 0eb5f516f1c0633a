#!/bin/sh
# SPDX-License-Identifier: MIT
#
# usage: sh scripts/fetch-jemalloc.sh
#
# Puts the release tarball of jemalloc where Meson looks before it downloads: subprojects/packagecache. It comes from a
# former run, from the address in the wrap, or, where that cannot be reached, from the machine's own Debian sources: the
# original tarball of Debian's package is the release, bit for bit. The wrap's hash decides in every case.
set -eu
cd "$(dirname "$0")/.."

wrap() {
    sed -n "s/^$1 *= *//p" subprojects/jemalloc.wrap
}
directory=$(wrap directory)
file=$(wrap source_filename)
url=$(wrap source_url)
hash=$(wrap source_hash)
version=${directory#jemalloc-}

cache=${RILL_CACHE:-${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}/rill}
target=subprojects/packagecache/$file

is_release() {
    [ -f "$1" ] && [ "$(sha256sum <"$1" | cut -d ' ' -f 1)" = "$hash" ]
}

# Only the release gets there, and it gets there whole.
take() {
    is_release "$1" || return 1
    mkdir -p "${target%/*}"
    cp "$1" "$target.new"
    mv "$target.new" "$target"
}

from_upstream() {
    python3 - "$url" "$work/upstream" 2>/dev/null <<'PYTHON'
import shutil, sys, urllib.request
with urllib.request.urlopen(sys.argv[1], timeout=20) as source, open(sys.argv[2], "wb") as target:
    shutil.copyfileobj(source, target)
PYTHON
}

# The machine's own package sources, asked for source packages instead. Both of apt's formats are known.
source_lists() {
    lists=$(apt-config shell f Dir::Etc::sourcelist/f d Dir::Etc::sourceparts/d)
    f='' d=''
    eval "$lists"
    mkdir "$work/sources.d"
    cat "$f" "$d"/*.list 2>/dev/null |
        sed -n -E 's/^[[:space:]]*deb(-src)?[[:space:]]/deb-src /p' | sort -u >"$work/sources.d/machine.list"
    for each in "$d"/*.sources; do
        [ -f "$each" ] || continue
        sed -E 's/^[Tt]ypes:.*/Types: deb-src/' "$each" >"$work/sources.d/${each##*/}"
    done
}

# apt-get with lists and a cache of its own: the machine's are neither used nor changed, and nobody need be root. What
# it fetches is checked twice, so the drop to another user, who could not write here, is not needed.
own_apt() {
    program=$1
    shift
    "$program" -q \
        -o Dir::Etc::sourcelist=/dev/null \
        -o Dir::Etc::sourceparts="$work/sources.d" \
        -o Dir::State::lists="$work/lists" \
        -o Dir::Cache="$work/cache" \
        -o APT::Sandbox::User="$(id -un)" \
        -o Acquire::Languages=none \
        "$@" </dev/null
}

from_debian() {
    command -v apt-get >/dev/null 2>&1 || return 1
    source_lists
    mkdir -p "$work/lists/partial" "$work/cache/archives/partial"
    # Sources of other vendors may have no source packages: an error that does not matter, if ours is found.
    own_apt apt-get update || true
    package=$(own_apt apt-cache showsrc --only-source jemalloc | sed -n "s/^Version: \($version-.*\)/\1/p" | head -n 1)
    [ -n "$package" ] || return 1
    (cd "$work" && own_apt apt-get source --download-only --only-source "jemalloc=$package")
}

# Unpacked already: Meson will not ask for the tarball. But what we laid over it may have changed since.
if [ -f "subprojects/$directory/meson.build" ]; then
    for each in $(cd subprojects/packagefiles/jemalloc && find . -type f); do
        cmp -s "subprojects/packagefiles/jemalloc/$each" "subprojects/$directory/$each" ||
            cp -p "subprojects/packagefiles/jemalloc/$each" "subprojects/$directory/$each"
    done
    exit 0
fi
if is_release "$target" || take "$cache/$file"; then
    exit 0
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

echo "setup: fetching $file"
if from_upstream && take "$work/upstream"; then
    :
elif { echo 'setup: not from its address; from the Debian sources of this machine'; from_debian >"$work/log" 2>&1; } &&
    take "$work/jemalloc_$version.orig.tar.bz2"; then
    :
else
    [ ! -f "$work/log" ] || tail -n 20 "$work/log" >&2
    echo "setup: could not get $file; please put it into subprojects/packagecache by hand, from" >&2
    echo "       $url" >&2
    exit 1
fi
# For the next clone on this machine.
if mkdir -p "$cache" 2>/dev/null && cp "$target" "$cache/$file.$$" 2>/dev/null; then
    mv "$cache/$file.$$" "$cache/$file"
fi
