#!/bin/sh
# SPDX-License-Identifier: MIT
# A compiler for clang's warnings alone: `make CC=...` compiles each source as far as its syntax and makes empty files of what
# would be compiled or linked.
out=
previous=
compiles=
for word in "$@"; do
	[ "$previous" != -o ] || out=$word
	[ "$word" != -c ] || compiles=1
	previous=$word
done
if [ -n "$compiles" ]; then
	clang -fsyntax-only "$@" || exit 1
fi
[ -z "$out" ] || : >"$out"
