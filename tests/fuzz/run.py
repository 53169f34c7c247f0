#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Run fuzzers from their corpora, for some time or so many executions, two at a time; a line for each; exit status 1 if one of them broke something.

What it found on the way is in BUILD/fuzz/scratch/NAME, its output in BUILD/fuzz/NAME.log, what broke it in BUILD/fuzz/crashes:
`tests/fuzz/corpus.py add NAME FILE` keeps such a file.
"""
import argparse
import concurrent.futures
import glob
import itertools
import json
import os
import queue
import re
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True
import corpus  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SLOW = 100  # executions a second of a fuzzer that is too slow
SLACK = 180  # seconds for starting, reading the corpus and stopping
AT_ONCE = 2
# Each has a processor: the worker's fuzzer, whose threads wake each other all the time, is twice as fast so.
PLACES = queue.SimpleQueue()
for processor in itertools.islice(itertools.cycle(sorted(os.sched_getaffinity(0))), AT_ONCE):
    PLACES.put(processor)


def corpora(build, name):
    """The folders that it starts from: what is kept, unpacked, and what the wire's generator made."""
    kept, made = corpus.unpack(os.path.join(build, "fuzz", "corpus"), name), os.path.join(build, "gen", "corpus", name)
    return [d for d in (kept, made) if d and os.path.isdir(d)]


def run(build, name, seconds, runs, more=None):
    """(passed, line, row for make results); runs: so many executions instead of the seconds; more: in its environment."""
    folder = os.path.join(build, "fuzz")
    crashes, scratch = os.path.join(folder, "crashes"), os.path.join(folder, "scratch", name)
    log = os.path.join(folder, name + ".log")
    shutil.rmtree(scratch, ignore_errors=True)
    for path in (crashes, scratch):
        os.makedirs(path, exist_ok=True)
    before = set(glob.glob(os.path.join(crashes, name + "-*")))
    how_long = "-runs=%d" % runs if runs else "-max_total_time=%d" % seconds
    limit = max(seconds, runs // SLOW) + SLACK
    place = PLACES.get()
    command = ["taskset", "-c", str(place), os.path.join(folder, name), scratch, *corpora(build, name), how_long, "-rss_limit_mb=2048",
               "-timeout=20", "-print_final_stats=1", "-artifact_prefix=%s/%s-" % (crashes, name)]
    # What is freed is looked after for some executions: the default's 256 MiB are always new memory.
    env = dict(os.environ, UBSAN_OPTIONS="print_stacktrace=1:halt_on_error=1", ASAN_OPTIONS="quarantine_size_mb=16", **(more or {}))
    with open(log, "wb") as out:
        try:
            status = subprocess.run(command, stdout=out, stderr=out, stdin=subprocess.DEVNULL, env=env, cwd=ROOT,
                                    timeout=limit, check=False).returncode
        except subprocess.TimeoutExpired:
            status = "no end after %d s" % limit
        finally:
            PLACES.put(place)
    with open(log, encoding="utf-8", errors="replace") as stream:
        text = stream.read()
    execs = re.findall(r"number_of_executed_units:\s*(\d+)", text) or re.findall(r"^#(\d+)", text, re.M) or ["0"]
    cover = re.findall(r"cov: (\d+)", text) or ["0"]
    row = {"fuzzer": name, "executions": int(execs[-1]), "edges": int(cover[-1])}
    line = "%-14s %10s execs, %6s edges  " % (name, execs[-1], cover[-1])
    if status == 0 and int(execs[-1]) < runs:
        return False, line + "FAILED: fewer than %d" % runs, row
    if status == 0:
        return True, line + "ok", row
    found = sorted(set(glob.glob(os.path.join(crashes, name + "-*"))) - before)
    return False, line + "FAILED (%s): %s" % (status, ", ".join(found) or log), row


def main():
    p = argparse.ArgumentParser(description="Run fuzzers.")
    p.add_argument("--build", default="build")
    p.add_argument("--seconds", type=int, default=60)
    p.add_argument("--json", metavar="FILE", help="write the counts to FILE, for make results")
    p.add_argument("--runs", type=int, default=0, help="executions of those of --many, instead of the seconds")
    p.add_argument("--many", default="", help="names")
    p.add_argument("names", nargs="+")
    args = p.parse_args()
    build = os.path.abspath(args.build)
    bad, rows = 0, []
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        for passed, line, row in pool.map(lambda name: run(build, name, args.seconds, args.runs if name in args.many.split() else 0), args.names):
            print(line, flush=True)
            bad += not passed
            rows.append(row)
    if args.json:
        with open(args.json, "w", encoding="utf-8") as f:
            json.dump({"rows": rows}, f, indent=1)
    print("%d passed, %d failed" % (len(args.names) - bad, bad))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
