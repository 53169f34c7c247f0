#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Random kernels on the simulated GPU against a model on the CPU, both compiled by clang from the same text.

A kernel depends on the seed and its number alone. What differs stays in BUILD/simcuda-fuzz, with the line that repeats it.
--planted: every fault of the list, switched on in simcuda, must be found within the given number of kernels.
"""
import argparse
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import generate  # noqa: E402

ROOT = HERE.parents[2]
BATCH = 100
FAULTS = ["add", "sub", "mul", "fma", "cmp", "shared", "bar", "atom", "shfl", "half", "matrix"]
DEVICE = ["-x", "cuda", "--cuda-device-only", "--cuda-gpu-arch=sm_80", "--cuda-path=/nonexistent", "-nocudainc", "-nocudalib",
          "-Xclang", "-target-feature", "-Xclang", "+ptx71", "-include", "tests/simcuda/fuzz/device.h", "-S"]
# Not optimised: the model shall not share the GPU compiler's view.
MODEL = ["-x", "c", "-O0", "-include", "tests/simcuda/fuzz/host.h", "-shared", "-fPIC"]
BOTH = ["-w", "-fwrapv", "-ffp-contract=off", "-I."]


class Fuzz:
    def __init__(self, opts):
        self.opts, self.build = opts, pathlib.Path(opts.build).resolve()
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="pvgpu-simcuda-fuzz-"))
        self.compiling = threading.Lock()  # of a batch for planted faults, which several look for

    def compile(self, first):
        """The batch that begins with that number: its PTX and its model."""
        at = self.work / str(first)
        text = at.with_suffix(".inc")
        text.write_text(generate.batch(self.opts.seed, first, BATCH))
        level = f"-O{(0, 1, 1, 2)[first // BATCH % 4]}"
        for args in (DEVICE + [level, "-o", f"{at}.ptx"], MODEL + ["-o", f"{at}.so"]):
            subprocess.run([self.opts.cc, *BOTH, *args, text] + (["-lm"] if args[1] == "c" else []), cwd=ROOT, check=True)
        return at

    def differ(self, at, fault=""):
        """The lines about kernels that differ."""
        # Whose turn it is must not matter: 0 is what programs get.
        turn = (0, 1, 33, 512)[int(at.name) // BATCH % 4] if not fault else 0
        env = {"SIMCUDA_TURN": str(turn), "PATH": os.environ["PATH"], "LD_LIBRARY_PATH": str(self.build / "simcuda"), "SIMCUDA_GPU": f"{at}.gpu",
               "SIMCUDA_FAULT": fault, "SIMCUDA_MEMORY": "64M", "SIMCUDA_THREADS": "1"}
        try:
            done = subprocess.run([self.build / "tests/differ", f"{at}.ptx", f"{at}.so", at.name, str(BATCH)], env=env,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=self.opts.limit)
        except subprocess.TimeoutExpired:
            return [f"batch {at.name}: a kernel does not end in {self.opts.limit} s"]
        if done.returncode not in (0, 1):
            return [f"batch {at.name}: differ ends with {done.returncode}: {done.stderr.strip()}"]
        return done.stdout.splitlines()

    def batch(self, first):
        at = self.compile(first)
        lines = self.differ(at)
        if lines:
            keep = self.build / "simcuda-fuzz"
            keep.mkdir(exist_ok=True)
            for kind in (".inc", ".ptx"):
                shutil.copy(f"{at}{kind}", keep)
        if not self.opts.planted:
            for kind in (".inc", ".ptx", ".so"):
                os.unlink(f"{at}{kind}")
        return lines

    def run(self):
        bad, done, began, told = [], 0, time.monotonic(), time.monotonic()
        firsts = range(self.opts.first, self.opts.first + self.opts.kernels, BATCH)
        with concurrent.futures.ThreadPoolExecutor(self.opts.jobs) as pool:
            for lines in pool.map(self.batch, firsts):
                bad += lines
                done += BATCH
                if time.monotonic() - told > 60:
                    told = time.monotonic()
                    print(f"     {done} kernels, {len(bad)} differ", flush=True)
        for line in bad[:20]:
            print(f"FAIL {line}")
        if bad:
            print(f"     again: tests/simcuda/fuzz/run.py --build {self.opts.build} --seed {self.opts.seed} --first N --kernels {BATCH}")
        print(f"{'FAIL' if bad else 'ok  '} {done} random kernels, seed {self.opts.seed}: {len(bad)} differ "
              f"({time.monotonic() - began:.0f} s)")
        return not bad

    def find(self, fault):
        """How many kernels it takes to find the fault; None: more than there are."""
        for n, first in enumerate(range(self.opts.first, self.opts.first + self.opts.planted, BATCH)):
            at = self.work / str(first)
            with self.compiling:
                if not at.with_suffix(".so").exists():
                    self.compile(first)
            for line in self.differ(at, f"mutate:{fault}"):
                if m := re.match(r"k(\d+): thread", line):
                    return n * BATCH + 1 + int(m[1]) - first
        return None

    def plant(self):
        ok = True
        with concurrent.futures.ThreadPoolExecutor(self.opts.jobs) as pool:
            for fault, found in zip(FAULTS, pool.map(self.find, FAULTS)):
                ok &= found is not None
                print(f"ok   {fault}: found in kernel {found}" if found else f"FAIL {fault}: not found in {self.opts.planted} kernels")
        return ok


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--build", default="build")
    p.add_argument("--cc", default="clang")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--first", type=int, default=0, help="a multiple of the batch's size")
    p.add_argument("--kernels", type=int, default=300)
    p.add_argument("--planted", type=int, default=0, metavar="N", help="also look for planted faults, within N kernels each")
    p.add_argument("--jobs", type=int, default=2)
    p.add_argument("--limit", type=int, default=300, help="seconds for the run of a batch")
    fuzz = Fuzz(p.parse_args())
    try:
        ok = fuzz.run()
        ok = (not fuzz.opts.planted or fuzz.plant()) and ok
    finally:
        shutil.rmtree(fuzz.work, ignore_errors=True)
    sys.exit(not ok)


if __name__ == "__main__":
    main()
