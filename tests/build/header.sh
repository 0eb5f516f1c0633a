#!/bin/sh
# SPDX-License-Identifier: MIT
#
# usage: header.sh INCLUDE-FOLDER LANGUAGE STANDARD COMPILER...
#
# Every public header compiles alone, as strict LANGUAGE of that STANDARD, without a warning; and twice in one file.
set -eu

include=$1 language=$2 standard=$3
shift 3

cd "$include"
for header in rill/*.h; do
    printf '#include <%s>\n#include <%s>\nint rill_header_test;\n' "$header" "$header" |
        "$@" -x "$language" -std="$standard" -I. -pedantic-errors -Wall -Wextra -Wconversion -Wshadow -Werror -fsyntax-only -
    echo "$header is $standard"
done
