#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs the models of this folder with Spin: each must hold in all its variants, and must find each of the faults that
# its head lists. Prints a line for each check. With `thorough` it also runs variants that take minutes.
#
#   tests/models/run.sh [thorough]
#
# Leaves nothing behind. Ends with 77, which Meson takes for "skipped", where Spin or a C compiler is missing.
set -u

here=$(cd "$(dirname "$0")" && pwd)
thorough=${1-}
compiler=${CC-cc}
memory=1900             # MiB
seconds=600             # for one check
passed=0
failed=0

for tool in spin "$compiler"; do
    command -v "$tool" >/dev/null || { echo "$tool is not installed"; exit 77; }
done
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# explore OPTIMISE MODEL FLAGS...: prints `holds`, `error: ...` or `unfinished: ...`.
explore() {
    optimise=$1
    model=$2
    shift 2
    rm -rf "$work"/*
    (
        cd "$work" || exit
        if ! spin "$@" -a "$here/$model.pml" >log 2>&1 ||
           ! "$compiler" "$optimise" -w -DSAFETY -DCOLLAPSE -DMEMLIM=$memory -o pan pan.c >>log 2>&1; then
            echo "unfinished: $(tail -n 1 log)"
            exit
        fi
        timeout $seconds ./pan -m1000000 -n >log 2>&1
        if grep -q 'errors: [1-9]' log; then
            echo "error: $(sed -n 's/^pan:1: //p' log)"
        elif grep -q 'errors: 0' log && ! grep -qE 'not completed|too small|reached -DMEMLIM' log; then
            echo "holds"
        else
            echo "unfinished: $(grep -E 'too small|MEMLIM|not completed' log | head -n 1)"
        fi
    )
}

# check EXPECTED MODEL FLAGS...
check() {
    expected=$1
    shift
    case $expected in
        holds) result=$(explore -O2 "$@") ;;
        *) result=$(explore -O1 "$@") ;;                # found early: compiling takes longer than searching
    esac
    case $result in
        "$expected"*) passed=$((passed + 1)); verdict=ok ;;
        *) failed=$((failed + 1)); verdict="FAILED ($result)" ;;
    esac
    case $expected in
        holds) echo "$verdict: $* holds" ;;
        *) echo "$verdict: $* is found" ;;
    esac
}

# faults MODEL FLAGS...: each line ` *   FAULT_...` in the model's head is one.
faults() {
    model_of_faults=$1
    shift
    for fault in $(sed -n 's/^ \*   \(FAULT_[A-Z_]*\).*/\1/p' "$here/$model_of_faults.pml"); do
        check error "$model_of_faults" "$@" "-D$fault"
    done
}

check holds commit
faults commit

check holds wake
check holds wake -DSHARED_LANE
check holds wake -DTWO_SENDERS
check holds wake -DTWO_SENDERS -DSHARED_LANE
faults wake

check holds order
check holds order -DTWO_LANES
check holds order -DTHREE_LANES -DSETTLED
check holds order -DNEVER_ARMED -DLATE_RECORDS
check holds order -DTWO_LANES -DLATE_RECORDS
faults order -DTWO_LANES

check holds room
check holds room -DTWO_THREADS
faults room

if [ "$thorough" = thorough ]; then
    check holds commit -DMESSAGES=8
    check holds wake -DSENDS=4
    check holds wake -DSENDS=4 -DSHARED_LANE
    check holds order -DTHREE_LANES
    check holds order -DLATE_RECORDS
    check holds order -DSENDS=4 -DTWO_LANES -DSETTLED
    check holds order -DSENDS=4 -DNEVER_ARMED
    check holds room -DSENDS=5
    check holds room -DTWO_THREADS -DSENDS=5
fi

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
