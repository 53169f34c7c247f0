#!/bin/sh
# SPDX-License-Identifier: MIT
# libcuda.so.1 exports exactly the symbols that exports.api describes. Arguments: the library, exports.api.
set -eu
have=$(mktemp) want=$(mktemp)
trap 'rm -f "$have" "$want"' EXIT
nm -D --defined-only "$1" | awk '$2 == "T" { print $3 }' | sort >"$have"
awk '$1 == "symbol" { print $2 }' "$2" | sort >"$want"
[ "$(wc -l <"$want")" = 672 ] || { echo "exports.api has $(wc -l <"$want") symbols, not 672"; exit 1; }
awk '$1 == "symbol" || $1 == "private" || $1 == "undeclared" { print $2 }' "$2" | sort >"$want"
nm -D --defined-only "$1" | awk '$2 != "T" && $2 != "A"' | grep . && { echo "exports something that is no function"; exit 1; }
diff "$want" "$have" || { echo "$1 (>) does not export what exports.api (<) says"; exit 1; }
