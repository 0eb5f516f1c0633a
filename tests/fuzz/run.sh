#!/bin/sh
# SPDX-License-Identifier: MIT
#
# usage: sh tests/fuzz/run.sh [SECONDS] [libfuzzer|afl...]
#
# Fuzzes decoding, for 30 seconds with each fuzzer if nothing else is said, in builds with AddressSanitizer and
# UndefinedBehaviorSanitizer: build-libfuzzer (clang) and build-afl (afl-clang-fast, where it is installed). A finding is left in
# the build folder. Ends with one line: N passed, N failed.
set -u
cd "$(dirname "$0")/../.." || exit

seconds=${1:-30}
[ $# -eq 0 ] || shift
passed=0
failed=0

# The shadow memory of a sanitizer has fixed addresses, which some kernels' randomness would give to a library.
steady=
if setarch -R true 2>/dev/null; then
    steady='setarch -R'
fi

build() {
    CC=$2 RILL_WERROR=true sh scripts/build.sh "build-$1" -Dfuzz="$1" -Dtests=disabled -Dperf=disabled -Db_sanitize=address,undefined \
        -Db_lundef=false -Ddefault_library=static >"$work" 2>&1 || { tail -n 30 "$work"; return 1; }
}

run_libfuzzer() {
    mkdir -p build-libfuzzer/found
    $steady build-libfuzzer/tests/fuzz/fuzz_decode -max_total_time="$seconds" -timeout=200 -rss_limit_mb=2048 -max_len=8192 \
        -print_final_stats=1 -artifact_prefix=build-libfuzzer/ build-libfuzzer/found tests/fuzz/corpus >build-libfuzzer/log 2>&1
    status=$?
    grep -E '^(stat::number_of_executed_units|SUMMARY)|Done' build-libfuzzer/log
    [ $status -eq 0 ] || { tail -n 40 build-libfuzzer/log; return 1; }
}

run_afl() {
    rm -rf build-afl/found
    AFL_SKIP_CPUFREQ=1 AFL_NO_UI=1 AFL_HANG_TMOUT=200000 AFL_NO_AFFINITY=1 AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES=1 AFL_NO_COLOR=1 \
        $steady afl-fuzz -V "$seconds" -m none -t 20000 -i tests/fuzz/corpus -o build-afl/found -- build-afl/tests/fuzz/fuzz_decode \
        >build-afl/log 2>&1 || { tail -n 40 build-afl/log; return 1; }
    grep -E '^(execs_done|saved_crashes|saved_hangs|edges_found)' build-afl/found/default/fuzzer_stats
    grep -q '^saved_crashes *: 0$' build-afl/found/default/fuzzer_stats && grep -q '^saved_hangs *: 0$' build-afl/found/default/fuzzer_stats
}

work=$(mktemp)
trap 'rm -f "$work"' EXIT
for fuzzer in ${*:-libfuzzer afl}; do
    compiler=clang
    [ "$fuzzer" != afl ] || compiler=afl-clang-fast
    if ! command -v "$compiler" >/dev/null 2>&1; then
        echo "fuzz: skipped, there is no $compiler"
        continue
    fi
    echo "fuzz: $fuzzer, $seconds seconds"
    if build "$fuzzer" "$compiler" && "run_$fuzzer"; then
        passed=$((passed + 1))
    else
        echo "FAILED: $fuzzer"
        failed=$((failed + 1))
    fi
done
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
