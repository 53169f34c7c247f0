#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Tests under valgrind, in parts:

defects valgrind must report a program with a leak, an error and a file left open
worker  test programs, with the workers and pvgpud under valgrind
guest   test programs themselves, with our libcuda.so.1, and pvgpud
pvgpud  the lifecycle tests (sessions, garbage, drain, SIGTERM, hand-over, adoption) and the attacks, with pvgpud and
        pvgpuctl under valgrind
unit    the unit tests

The usual run is defects and worker with a choice of programs."""
import argparse
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import programs  # noqa: E402
import run_programs  # noqa: E402
from valgrind import EXIT, FILES, Valgrind  # noqa: E402

PARTS = ("defects", "worker", "guest", "pvgpud", "unit")
DEFECTS = {"none": "", "leak": "definitely lost", "error": "uninitialised", "fd": "leave_open"}  # what is reported
# One program of each kind of command; those of "errors" take as long as all of these.
QUICK = ["vecadd", "copies", "callbacks", "streams", "fatbin"]
# Without restart_test's tests in which pvgpud is restarted: a guest waits 5 s for it, in which one under valgrind need not
# be up again on a busy machine. kill_test has pvgpud killed and restarted, too.
LIFECYCLE = ["lifecycle_test", "restart_test.Restart.test_never_there", "growth_test", "kill_test"]
LIMIT = 2400  # seconds, for one program or unit test

# No unit test is left out. These tests cannot succeed under valgrind, but it must report no error in them: it always rounds
# to nearest, whatever the rounding mode, and converts a 64-bit integer to float by way of double.
CANNOT = {"ptx_float_test": {"single", "double_precision", "to_floats"}, "ptx_value_test": {"rounded", "conversions"}}
# PVGPU_STRESS: of ring_stress_test's records, which take long where threads take turns.
UNIT_ENV = {"CK_TIMEOUT_MULTIPLIER": "200", "PVGPU_STRESS": "0.1"}


class Check:
    def __init__(self, args, folder):
        self.build, self.units, self.jobs = args.build, args.units, args.jobs
        self.names = args.programs or (programs.names(args.build) if args.full else QUICK)
        self.valgrind = Valgrind(args.build, folder)
        self.library = args.build / "simcuda"

    def reports(self):
        """Print valgrind's new reports; true if there are none."""
        found = self.valgrind.take()
        for name, text in found.items():
            print(f"FAIL valgrind, {name}:\n{programs.excerpt(text.encode(), 80)}", end="", flush=True)
        return not found

    def defects(self):
        """Each defect must be reported; otherwise the other parts prove nothing."""
        bad = False
        for defect, words in DEFECTS.items():
            result = programs.run([*self.valgrind.words("defect", *(FILES if defect in ("none", "fd") else [])), self.build / "tests" / "defect",
                                   defect], os.environ, LIMIT)
            text = "".join(self.valgrind.take().values())
            right = result.status == (EXIT if defect in ("leak", "error") else 0) and \
                (words in text if words else not text)
            print(f"{'ok  ' if right else 'FAIL'} defect: {defect}" + ("" if right else f"\n{result}\n{text}"))
            bad |= not right
        return not bad

    def programs(self, guest=None, **env):
        failed = run_programs.through_pvgpu(self.build, self.names, LIMIT, self.library, guest=guest,
                                            bin_dir=self.valgrind.scripts, **env)
        return self.reports() and not failed

    def worker(self):
        return self.programs(worker=self.valgrind.scripts / "pvgpu-worker", settings={"sandbox": "off"})

    def guest(self):
        return self.programs(guest=lambda name: self.valgrind.words(name, "--trace-children=yes"))

    def pvgpud(self):
        tree = programs.TREE / "tests"
        env = {**os.environ, "PVGPU_BUILD": str(self.build), "PVGPU_BIN": str(self.valgrind.scripts), "PVGPU_SANDBOX": "off"}
        good = True
        for command in ([sys.executable, "-m", "unittest", "-v", *LIFECYCLE],
                        [sys.executable, tree / "hostile" / "hostile_test.py", "--build", self.build]):
            result = subprocess.run(command, env=env, cwd=tree / "integration", timeout=LIMIT, check=False)
            good &= self.reports() and result.returncode == 0
        return good

    def one_unit(self, path):
        name = pathlib.Path(path).name
        return name, programs.run(["env", *self.valgrind.preload, *self.valgrind.words(name), path], {**os.environ, **UNIT_ENV}, LIMIT)

    def unit(self):
        good = bool(self.units)
        with concurrent.futures.ThreadPoolExecutor(self.jobs) as pool:
            for name, result in pool.map(self.one_unit, self.units):
                failures = set(re.findall(r":[FES]:[^:]*:([^:]*):", result.stdout.decode(errors="replace")))
                right = not failures and result.status == 0 or \
                    result.status == 1 and failures and failures <= CANNOT.get(name, set())
                print(f"{'ok  ' if right else 'FAIL'} {name} ({result.seconds:.0f} s)"
                      + (f", but for {' '.join(sorted(failures))}" if right and failures else ""), flush=True)
                if not right:
                    bad = [line for line in result.stdout.splitlines() if b":P:" not in line]
                    print(f"  status {result.status}")
                    print(programs.excerpt(b"\n".join(bad + [result.stderr])), end="", flush=True)
                good &= right
        return self.reports() and good


def parse_args():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    args.add_argument("--build", default="build", type=pathlib.Path, help="build folder")
    args.add_argument("--full", action="store_true", help="all parts, all programs")
    args.add_argument("--part", action="append", choices=PARTS, help="only this part")
    args.add_argument("--units", nargs="*", default=[], help="the unit tests' programs")
    args.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1), help="unit tests at a time")
    args.add_argument("--programs", nargs="*", help="only these test programs")
    args = args.parse_args()
    args.build = args.build.resolve()
    return args


def main():
    args = parse_args()
    failed = []
    with tempfile.TemporaryDirectory(prefix="pvgpu-valgrind-") as folder:
        check = Check(args, pathlib.Path(folder))
        for part in args.part or (PARTS if args.full else PARTS[:2]):
            begin = time.monotonic()
            print(f"--- {part}", flush=True)
            good = getattr(check, part)()
            print(f"--- {part}: {'all right' if good else 'FAILED'} ({time.monotonic() - begin:.0f} s)", flush=True)
            if not good:
                failed.append(part)
    print(f"FAIL valgrind: {' '.join(failed)}" if failed else "ok   valgrind")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
