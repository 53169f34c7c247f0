#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs a command while its processes are stopped at random, one after the other, as on a machine that has too little
processor time. A test whose verdict changes by that measures the machine.

  tests/check/starved.py [--seed N] [--longest MS] COMMAND [ARGUMENT...]

Exits as the command does, or 130 when it is interrupted."""
import argparse
import os
import random
import signal
import subprocess
import sys
import time

STOPS_MS = (0.2, 1, 4, 12, 40)  # how long a process waits for a processor on a machine that is more and more busy
PAUSE_MS = 2                    # the most between two stops


def children(pid):
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as f:
                yield from map(int, f.read().split())
    except OSError:
        return  # it has ended


def descendants(pid):
    out, todo = [], [pid]
    while todo:
        for child in children(todo.pop()):
            out.append(child)
            todo.append(child)
    return out


def send(pid, what):
    try:
        os.kill(pid, what)
    except ProcessLookupError:
        pass


def starve(process, longest_ms, rng):
    """Until the process ends. The number of stops."""
    stops = [ms / 1000 for ms in STOPS_MS if ms <= longest_ms]
    n = 0
    while process.poll() is None:
        time.sleep(rng.uniform(0, PAUSE_MS / 1000))
        pids = descendants(os.getpid())
        if not pids:
            continue
        pid = rng.choice(pids)
        send(pid, signal.SIGSTOP)
        try:
            time.sleep(rng.choice(stops))
        finally:
            send(pid, signal.SIGCONT)
        n += 1
    return n


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    p.add_argument("--seed", type=int, default=None, help="of the random numbers (default: another one each time)")
    p.add_argument("--longest", type=float, default=STOPS_MS[-1], metavar="MS", help="longest stop (default: %(default)s)")
    p.add_argument("command", nargs=argparse.REMAINDER)
    args = p.parse_args()
    if not args.command:
        p.error("no command")
    seed = random.randrange(1 << 32) if args.seed is None else args.seed
    with subprocess.Popen(args.command) as process:
        try:
            n = starve(process, args.longest, random.Random(seed))
        except KeyboardInterrupt:
            return 130
    print(f"starved: {n} stops, seed {seed}, exit {process.returncode}", file=sys.stderr)
    return process.returncode if process.returncode >= 0 else 128 - process.returncode


if __name__ == "__main__":
    sys.exit(main())
