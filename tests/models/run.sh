#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs the models of this folder with Spin: each must hold in all its variants, and must find each of the faults that
# its head lists. Prints a line for each check, one check on each processor at a time. With `thorough` it also runs
# variants that take minutes and up to 6 GiB each.
#
#   tests/models/run.sh [thorough]
#
# Leaves nothing behind. Ends with 77, which Meson takes for "skipped", where Spin or a C compiler is missing.
set -u

here=$(cd "$(dirname "$0")" && pwd)
compiler=${CC-cc}
memory=1900             # MiB
seconds=600             # for one check

# explore OPTIMISE MODEL FLAGS...: prints `holds`, `error: ...` or `unfinished: ...`.
explore() {
    optimise=$1
    model=$2
    shift 2
    work=$(mktemp -d) || exit 1
    trap 'rm -rf "$work"' EXIT
    trap 'exit 1' HUP INT TERM
    cd "$work" || exit
    if ! spin "$@" -a "$here/$model.pml" >log 2>&1 ||
       ! "$compiler" "$optimise" -w -DSAFETY -DCOLLAPSE -DMEMLIM=$memory -o pan pan.c >>log 2>&1; then
        echo "unfinished: $(tail -n 1 log)"
        return
    fi
    timeout $seconds ./pan -m1000000 -n >log 2>&1
    if grep -q 'errors: [1-9]' log; then
        echo "error: $(sed -n 's/^pan:1: //p' log)"
    elif grep -q 'errors: 0' log && ! grep -qE 'not completed|too small|reached -DMEMLIM' log; then
        echo "holds"
    else
        echo "unfinished: $(grep -E 'too small|MEMLIM|not completed' log | head -n 1)"
    fi
}

# one EXPECTED MODEL FLAGS...: its line.
one() {
    expected=$1
    shift
    case $expected in
        error) result=$(explore -O1 "$@") says="is found" ;;      # early: compiling takes longer than searching
        thorough) memory=6000; result=$(explore -O2 "$@") expected=holds says=holds ;;
        *) result=$(explore -O2 "$@") says=holds ;;
    esac
    case $result in
        "$expected"*) echo "ok: $* $says" ;;
        *) echo "FAILED ($result): $* $says" ;;
    esac
}

# check EXPECTED MODEL FLAGS...
check() {
    echo "$*"
}

# faults MODEL FLAGS...: each line ` *   FAULT_...` in the model's head is one.
faults() {
    model_of_faults=$1
    shift
    for fault in $(sed -n 's/^ \*   \(FAULT_[A-Z_]*\).*/\1/p' "$here/$model_of_faults.pml"); do
        check error "$model_of_faults" "$@" "-D$fault"
    done
}

# The long ones first, so that no processor is left with one of them at the end.
checks() {
    check holds wake -DTWO_SENDERS -DRENUMBERS -DLATE_DISARM
    check holds order -DTWO_LANES -DSTEPWISE
    check holds order -DTWO_LANES -DSETTLES
    check holds wake -DSHARED_LANE
    check holds wake
    check holds wake -DEDGE
    check holds wake -DEDGE -DSHARED_LANE
    check holds commit
    check holds room -DTWO_THREADS
    check holds room
    check holds wake -DTWO_SENDERS
    check holds wake -DTWO_SENDERS -DSHARED_LANE
    check holds order -DSENDS=2
    check holds order -DSENDS=2 -DTHREE_LANES
    check holds order -DSETTLED -DMARKS
    check holds order -DNEVER_ARMED -DSTEPWISE
    check holds order -DTHREE_LANES -DSETTLED
    check holds order -DTHREE_LANES -DNEVER_ARMED
    faults commit -DMESSAGES=5
    faults wake
    faults order -DTWO_LANES
    check holds fence
    check holds dirty
    faults room
    faults dirty
    faults fence
}

thorough_checks() {
    check thorough commit -DMESSAGES=8
    check thorough wake -DRENUMBERS -DLATE_DISARM
    check thorough wake -DRENUMBERS -DSHARED_LANE
    check thorough wake -DSENDS=4 -DSHARED_LANE
    check thorough order
    check thorough order -DTHREE_LANES
    check thorough order -DTWO_LANES -DSETTLES -DSTEPWISE
    check thorough order -DTWO_LANES -DMARKS
    check thorough order -DSENDS=4 -DTWO_LANES -DSETTLED -DMARKS
    check thorough dirty -DROUNDS=8
    check thorough fence -DMESSAGES=4
    check thorough room -DSENDS=5
    check thorough room -DTWO_THREADS -DSENDS=5
}

if [ "${1-}" = one ]; then
    shift
    one "$@"
    exit
fi
for tool in spin "$compiler"; do
    command -v "$tool" >/dev/null || { echo "$tool is not installed"; exit 77; }
done
lines=$(mktemp) || exit 1
trap 'rm -f "$lines"' EXIT
trap 'exit 1' HUP INT TERM
{
    checks
    [ "${1-}" != thorough ] || thorough_checks
} | xargs -P "$(nproc)" -L 1 sh "$here/run.sh" one | tee "$lines"
passed=$(grep -c '^ok' "$lines")
failed=$(grep -vc '^ok' "$lines")
[ $((passed + failed)) -gt 0 ] || failed=1
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
