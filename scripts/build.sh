#!/bin/sh
# SPDX-License-Identifier: MIT
#
# usage: sh scripts/build.sh FOLDER [MESON-OPTION...]
#
# Configures the build folder if it is new or was configured otherwise, and builds it. RILL_WERROR=true makes
# warnings errors.
set -eu
cd "$(dirname "$0")/.."

folder=$1
shift
set -- -Dwerror="${RILL_WERROR:-false}" "$@"

# Meson would accept the same options again, but take seconds over it.
if [ ! -f "$folder/build.ninja" ]; then
    meson setup "$folder" "$@" </dev/null
elif [ "$(cat "$folder/.configured" 2>/dev/null)" != "$*" ]; then
    meson setup --reconfigure "$folder" "$@" </dev/null
fi
echo "$*" >"$folder/.configured"
ninja -C "$folder" </dev/null
