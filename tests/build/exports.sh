#!/bin/sh
# SPDX-License-Identifier: MIT
#
# usage: exports.sh LIBRARY HEADER...
#
# The shared library exports what the headers declare, no more and no less: nothing internal, nothing of jemalloc.
set -eu

library=$1
shift
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The node of the version script is an absolute symbol; all else counts.
nm -D --defined-only "$library" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort >"$work/exported"
cat "$@" | sed -n 's/^RILL_API .*[ *]\(rill_[a-z0-9_]*\)(.*/\1/p' | sort >"$work/declared"

[ -s "$work/declared" ] || { echo "no declaration found in $*"; exit 1; }
diff "$work/declared" "$work/exported" || { echo '< declared only, > exported only'; exit 1; }
echo "$(wc -l <"$work/exported") functions"
