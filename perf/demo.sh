#!/bin/sh
# SPDX-License-Identifier: MIT
#
# usage: sh perf/demo.sh [FILE...]
#
# Sends real files through three processes, over rill and over plain sockets, checks every byte, and prints what each way
# takes. Without FILE it takes the largest of this machine's own programs and libraries, 64 MiB of them at least. Installs
# what is missing and builds, the first time. The last line is N passed, N failed: one for each way that was checked.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
exec </dev/null

sum='^[0-9][0-9]* passed, [0-9][0-9]* failed$'
# However it ends, there is a sum.
failed() {
    echo "demo: $*" >&2
    echo '0 passed, 1 failed'
    exit 1
}

sh "$root/scripts/setup.sh" || failed 'the machine could not be set up'
sh "$root/scripts/build.sh" build || failed 'the build failed'

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

if [ $# -eq 0 ]; then
    # The largest first until they are enough; those above 128 MiB would make a short demo long.
    find /usr/lib /usr/bin /usr/local /opt -xdev -type f -readable -size +255k -size -128M -printf '%s %p\n' 2>/dev/null |
        sort -rn | awk '
            have < 64 * 1024 * 1024 { have += $1; sub(/^[0-9]+ /, ""); print }
        ' >"$work/files"
    while IFS= read -r file; do
        set -- "$@" "$file"
    done <"$work/files"
fi
[ $# -gt 0 ] || failed 'no file to send; name one'

{ "$root/build/perf/rill-demo" "$@"; echo $? >"$work/status"; } | tee "$work/output"
status=$(cat "$work/status")
tail -n 1 "$work/output" | grep -q "$sum" || failed "rill-demo ended with $status"
exit "$status"
