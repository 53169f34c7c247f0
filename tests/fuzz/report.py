#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Which lines of the decoders do fuzzers reach? Runs fuzzers that were built to count lines (make fuzz-report), from their corpora for some
time, and prints each decoder's part. A decoder is a file that fuzz_NAME.c names after FUZZ_DECODES. Exit status 1 below --least percent
of all lines, or when a fuzzer breaks something.
"""
import argparse
import concurrent.futures
import json
import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True
import run  # noqa: E402


def decoders(name):
    with open(os.path.join(run.ROOT, "tests", "fuzz", f"fuzz_{name}.c"), encoding="utf-8") as f:
        return re.search(r"FUZZ_DECODES:([^*]*)", f.read())[1].split()


def measure(build, name, seconds):
    """(what went wrong or "", {decoder: (lines reached, lines)})"""
    raw = os.path.join(build, "fuzz", name + ".profraw")
    passed, line, _ = run.run(build, name, seconds, 0, {"LLVM_PROFILE_FILE": raw})
    if not passed:
        return line, {}
    data = raw.replace(".profraw", ".profdata")
    subprocess.run(["llvm-profdata", "merge", "-o", data, raw], check=True)
    out = subprocess.run(["llvm-cov", "export", "-summary-only", "-instr-profile", data, os.path.join(build, "fuzz", name)],
                         check=True, stdout=subprocess.PIPE).stdout
    files = {f["filename"]: f["summary"]["lines"] for f in json.loads(out)["data"][0]["files"]}
    found = {}
    for decoder in decoders(name):
        lines = next((v for k, v in files.items() if k.endswith("/" + decoder) or k == decoder), None)
        if not lines:
            return f"{name}: no lines of {decoder}", {}
        found[decoder] = (lines["covered"], lines["count"])
    return "", found


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    p.add_argument("--build", default="build-cov")
    p.add_argument("--seconds", type=int, default=60)
    p.add_argument("--least", type=float, default=90, help="percent of all lines")
    p.add_argument("names", nargs="+")
    args = p.parse_args()
    build, rows, bad = os.path.abspath(args.build), {}, False
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for why, found in pool.map(lambda name: measure(build, name, args.seconds), args.names):
            if why:
                print(why)
                bad = True
            rows.update(found)
    reached, lines = (sum(row[i] for row in rows.values()) for i in (0, 1))
    for decoder, (a, b) in [*sorted(rows.items()), ("all", (reached, lines))]:
        print("%6.1f %%  %6d of %6d  %s" % (100 * a / max(b, 1), a, b, decoder))
    return int(bad or 100 * reached < args.least * lines)


if __name__ == "__main__":
    sys.exit(main())
