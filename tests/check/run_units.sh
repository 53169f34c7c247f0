#!/bin/sh
# SPDX-License-Identifier: MIT
# Run unit tests, each with a generous limit; show the output of those that fail.
bad=0
for t in "$@"; do
	out=$(timeout 300 "$t" 2>&1)
	rc=$?
	line=$(printf '%s\n' "$out" | grep -E '^[0-9]+%: Checks' | tail -n 1)
	if [ $rc -eq 0 ]; then
		echo "ok   $(basename "$t") ${line:-1 passed, 0 failed}"
	else
		echo "FAIL $(basename "$t") (exit $rc)"
		printf '%s\n' "$out" | tail -n 40
		[ -n "$line" ] || echo "0 passed, 1 failed"
		bad=1
	fi
done
exit $bad
