#!/bin/sh
# SPDX-License-Identifier: MIT
# Run unit tests, two at a time, each with a generous limit, and so has each case, whether it sets one or not: what is
# instrumented, on a machine that is busy, is slow. Show the output of those that fail. A test that measures how two
# polling sides meet runs alone.
export CK_DEFAULT_TIMEOUT=60 CK_TIMEOUT_MULTIPLIER=5
# Thread sanitizer waits for other threads at the end of each process, and each case is one.
export TSAN_OPTIONS="${TSAN_OPTIONS:-atexit_sleep_ms=0}"
one() {
	name=$(basename "$1")
	gpu=/dev/shm/pvgpu-unit-$$ # of its own, where it does not choose one itself
	begun=$(date +%s)
	out=$(SIMCUDA_GPU=$gpu timeout 600 "$1" 2>&1)
	rc=$?
	rm -f $gpu
	line=$(printf '%s\n' "$out" | grep -E '^[0-9]+%: Checks' | tail -n 1)
	if [ $rc -eq 0 ]; then
		echo "ok   $name ${line:-1 passed, 0 failed}, $(($(date +%s) - begun)) s"
		return 0
	fi
	# In one piece: another test's lines must not come in between.
	text=$(printf '%s\n' "$out" | tail -n 120)
	[ -n "$line" ] || text="$text
0 passed, 1 failed"
	printf 'FAIL %s (exit %s)\n%s\n' "$name" "$rc" "$text"
	return 1
}

if [ "$1" = --one ]; then
	one "$2"
	exit $?
fi
alone=
together=
for t in "$@"; do
	case $t in
	*stress*) alone="$alone $t" ;;
	*) together="$together $t" ;;
	esac
done
bad=0
# shellcheck disable=SC2086
printf '%s\n' $together | xargs -P 2 -n 1 "$0" --one || bad=1
for t in $alone; do
	one "$t" || bad=1
done
exit $bad
