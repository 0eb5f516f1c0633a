#!/bin/sh
# SPDX-License-Identifier: MIT
#
# usage: sh tests/run.sh [PART...]     the parts named; without any: unit
#        sh tests/run.sh --all         every part, in at most an hour
#
# Installs what is missing, builds, tests, and ends with one line: N passed, N failed.
#
#   unit      every test, in its short form, of the release build in build/
#   asan      the same in build-asan/, with AddressSanitizer and UndefinedBehaviorSanitizer
#   tsan      the same in build-tsan/, with ThreadSanitizer
#   clang     the same in build-clang/, with the other compiler
#   kill      the tests of killed processes, in their long form
#   order     the tests of the order between senders, in their long form
#   park      the tests of sleeping and waking, in their long form: ten million sleeps
#   valgrind  the tests of build/ under valgrind
#   fuzz      libFuzzer and AFL++ on decoding, half a minute each
#   models    the Spin models of the algorithms
#
# Any other PART is a suite of Meson's, such as conformance, header or guest, run in build/.
#
# RILL_WERROR=true makes warnings errors.
set -u
cd "$(dirname "$0")/.." || exit
exec </dev/null

parts=${*:-unit}
[ "$parts" != --all ] || parts='unit asan tsan clang kill order park valgrind fuzz models'

passed=0
failed=0
# However it ends, the last line is the sum; nothing run is no success.
finish() {
    trap - EXIT
    [ $((passed + failed)) -gt 0 ] || failed=1
    echo "$passed passed, $failed failed"
    [ "$failed" -eq 0 ]
    exit
}
trap finish EXIT
trap 'failed=$((failed + 1)); finish' HUP INT TERM

fail() {
    echo "FAILED: $*"
    failed=$((failed + 1))
}

say() {
    printf '\n== %s\n' "$*"
}

# Meson writes one line for each test that it ran. Skipped tests count as neither.
count() {
    passed=$((passed + $(grep -cE '"result": "(OK|EXPECTEDFAIL)"' "$1")))
    failed=$((failed + $(grep -cE '"result": "(FAIL|ERROR|TIMEOUT|INTERRUPT|UNEXPECTEDPASS)"' "$1")))
}

# usage: build FOLDER [MESON-OPTION...]; with $compiler, if it is set
compiler=
build() {
    say "building in $1"
    ${compiler:+env CC=$compiler} sh scripts/build.sh "$@" || { fail "the build in $1"; return 1; }
}

# usage: run PART FOLDER [OPTION-OF-MESON-TEST...]; $wrapper runs Meson, and so every test, in another environment.
wrapper=
run() {
    part=$1 folder=$2
    shift 2
    say "$part: $wrapper meson test -C $folder $*"
    # Meson adds the name of a test setup to the log's.
    logs=$folder/meson-logs/$part
    rm -f "$logs.json" "$logs"-*.json
    before=$((passed + failed)) failed_before=$failed
    $wrapper meson test -C "$folder" --no-rebuild --print-errorlogs --logbase "$part" "$@"
    status=$?
    for log in "$logs.json" "$logs"-*.json; do
        [ ! -f "$log" ] || count "$log"
    done
    [ $((passed + failed)) -gt "$before" ] || fail "$part: no test ran"
    # Meson knows of a failure that its log does not show: count it rather than lose it.
    [ "$status" -eq 0 ] || [ "$failed" -gt "$failed_before" ] || fail "$part: meson test ended with $status"
}

# For what is no test of Meson's: a program whose last line is such a sum itself.
run_script() {
    part=$1
    shift
    say "$part: $*"
    work=$(mktemp -d)
    { "$@" 2>&1; echo $? >"$work/status"; } | tee "$work/output" | sed -u '/^[0-9]* passed, [0-9]* failed$/d'
    status=$(cat "$work/status")
    sum=$(tail -n 1 "$work/output" | sed -n 's/^\([0-9][0-9]*\) passed, \([0-9][0-9]*\) failed$/\1 \2/p')
    rm -r "$work"
    if [ -z "$sum" ]; then
        fail "$part: ended with $status and without a sum"
        return
    fi
    passed=$((passed + ${sum% *}))
    failed=$((failed + ${sum#* }))
    [ "$status" -eq 0 ] || [ "${sum#* }" -gt 0 ] || fail "$part: ended with $status"
}

# The shadow memory of a sanitizer has fixed addresses, which some kernels' randomness would give to a library.
steady() {
    if setarch -R true 2>/dev/null; then
        echo 'setarch -R'
    fi
}

# So that nearly every send of a test leaves its fence out; in the other builds few come to that.
unfenced=-Dc_args=-DRILL_UNFENCED_AFTER=4

run_part() {
    wrapper='' compiler=''
    case $1 in
    unit)
        build build && run unit build
        ;;
    asan)
        wrapper=$(steady)
        build build-asan -Db_sanitize=address,undefined $unfenced && run asan build-asan
        ;;
    tsan)
        wrapper=$(steady)
        build build-tsan -Db_sanitize=thread $unfenced && run tsan build-tsan
        ;;
    clang)
        compiler=clang
        build build-clang && run clang build-clang
        ;;
    kill | order | park)
        wrapper='env RILL_TEST_SCALE=full'
        build build && run "$1" build --suite "$1" --timeout-multiplier 20
        ;;
    valgrind)
        build build && run valgrind build --setup valgrind
        ;;
    fuzz)
        run_script fuzz sh tests/fuzz/run.sh
        ;;
    models)
        run_script models sh tests/models/run.sh
        ;;
    *)
        build build && run "$1" build --suite "$1"
        ;;
    esac
}

# Packages that only some parts need.
needed_by() {
    for part; do
        case $part in
        clang | valgrind) echo "$part" ;;
        fuzz) echo clang afl-fuzz:afl++ ;;
        esac
    done
}

say 'setting up'
# shellcheck disable=SC2046,SC2086 # both are words
sh scripts/setup.sh $(needed_by $parts) || exit
for part in $parts; do
    run_part "$part"
done
