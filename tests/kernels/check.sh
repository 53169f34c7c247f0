#!/bin/sh
# SPDX-License-Identifier: MIT
# Compares every committed PTX text with the compiler's output for its source. Other versions of clang
# generate other text, so the check is made with the given version only.
# usage: check.sh COMPILER VERSION FLAGS
set -eu
cc=$1 version=$2 flags=$3
here=$(dirname "$0")
found=$($cc --version 2>/dev/null | sed -n 's/.*clang version \([0-9.]*\).*/\1/p' | head -n 1)
if [ "$found" != "$version" ]; then
	echo "SKIP kernels: $cc is ${found:-not there}, the committed PTX is of clang $version"
	exit 0
fi
out=$(mktemp) bad=0
trap 'rm -f "$out"' EXIT
for source in "$here"/*.cu; do
	ptx=${source%.cu}.ptx
	# shellcheck disable=SC2086 # flags are words
	$cc $flags -S -o "$out" "$source"
	if ! cmp -s "$out" "$ptx"; then
		echo "FAIL $ptx is not current: run make kernels"
		bad=1
	fi
done
[ $bad -ne 0 ] || echo "ok   kernels: $(ls "$here"/*.ptx | wc -l) PTX texts are current"
exit $bad
