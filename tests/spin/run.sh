#!/bin/sh
# SPDX-License-Identifier: MIT
# Check with spin the ring's wake-up protocol and how a worker's threads hand over the decoding of its records: the protocols must hold in
# every variant of memory and of lives, and the models must find fault with each protocol that lacks a step.
set -u
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
failed=0

command -v spin >/dev/null || { echo "check-spin: spin is not installed (Debian package: spin)"; exit 1; }

# run NAME FLAGS...: sets $found to the number of errors, or to "broken"
run() {
	name=$1
	shift
	rm -f pan* model.pml*
	cp "$here/$model.pml" model.pml
	found=broken
	# shellcheck disable=SC2086
	spin -a "$@" model.pml >spin.log 2>&1 &&
		${CC:-cc} -O1 -w -DSAFETY -DCOLLAPSE -DVECTORSZ=2048 -o pan pan.c >cc.log 2>&1 &&
		timeout 120 ./pan -m200000 >pan.log 2>&1
	if grep -q 'errors:' pan.log 2>/dev/null && ! grep -q 'max search depth too small\|out of memory' pan.log; then
		found=$(sed -n 's/.*errors: \([0-9]*\).*/\1/p' pan.log)
	fi
	states=$(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' pan.log 2>/dev/null)
}

holds() {
	run "$@"
	if [ "$found" = 0 ]; then
		printf '  holds  %-44s %s states\n' "$1" "$states"
	else
		printf '  FAULTY %-44s (errors: %s)\n' "$1" "$found"
		cat spin.log cc.log pan.log 2>/dev/null | tail -20
		failed=1
	fi
}

fails() {
	run "$@"
	if [ "$found" = 1 ]; then
		printf '  found  %s\n' "$1"
	else
		printf '  MISSED %s: the model found no fault (errors: %s)\n' "$1" "$found"
		failed=1
	fi
}

echo "check-spin: the ring's wake-up protocol"
model=ring
holds "both streams, x86"
holds "both streams, weak memory" -DWEAK
holds "one stream of four, two fit" -DN0=4 -DN1=0 -DCAP=2
holds "one stream of four, weak memory" -DN0=4 -DN1=0 -DCAP=2 -DWEAK
holds "a side dies" -DDEATH -DN0=2 -DN1=1
fails "no barrier after publishing" -DNO_FENCE_PUBLISH
fails "no barrier after giving space" -DNO_FENCE_FLUSH
fails "no barrier before sleeping for records" -DNO_FENCE_SLEEP
fails "no barrier before sleeping for space" -DNO_FENCE_WAIT
fails "no second look for records" -DNO_LOOK_SLEEP
fails "no second look for space" -DNO_LOOK_WAIT
fails "sleeping with consumed space not told" -DNO_FLUSH
fails "the doorbell's count taken after looking" -DNO_ORDER
fails "hang-up not waited for" -DDEATH -DNO_HANGUP
echo "check-spin: who decodes"
model=decode
holds "one record, two upon the answer"
holds "two records, one upon the answer" -DEARLY=2 -DLATE=1
holds "one record, three upon the answer" -DLATE=3
fails "no second look before sleeping" -DNO_LOOK
fails "no kick when the role is taken" -DNO_KICK_BUSY
fails "no kick when records came last" -DNO_KICK_AFTER
fails "the flag left down after a stale bell" -DNO_FLAG
[ $failed = 0 ] && echo "check-spin: ok"
exit $failed
