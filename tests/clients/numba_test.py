# SPDX-License-Identifier: MIT
"""Numba's own tests of its CUDA driver layer, directly on the simulated GPU and through pvgpu.

numba.expected has what each test does with Debian's Numba 0.56, which has no compiler for kernels (NVVM is NVIDIA's): pass, skip or fail;
a second word where it does something else through pvgpu, and why. UPDATE=1 writes the list."""
import os
import pathlib
import re
import subprocess
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "integration"))
import programs  # noqa: E402
from pvgpu_env import PvgpuEnv, build_dir  # noqa: E402

EXPECTED, LISTED, LIMIT = HERE / "numba.expected", "0.56.4", 600
PYTHON = "/usr/bin/python3"  # Debian's, which has Debian's packages
RUN = """
import importlib, pathlib, sys, unittest
import numba.cuda.tests.cudadrv as folder

class Result(unittest.TestResult):
    def startTest(self, test):
        super().startTest(test)
        self.of = "pass"
    def addError(self, test, err):
        self.of = "fail"
        print(self._exc_info_to_string(err, test), file=sys.stderr)
    addFailure = addError
    def addSkip(self, test, reason):
        self.of = "skip"
    def addSubTest(self, test, sub, err):
        if err:
            self.addError(test, err)
    def stopTest(self, test):
        print("RESULT", ".".join(test.id().split(".")[-3:]), self.of, flush=True)
        super().stopTest(test)

result = Result()
for path in sorted(pathlib.Path(folder.__file__).parent.glob("test_*.py")):
    module = importlib.import_module("numba.cuda.tests.cudadrv." + path.stem)
    unittest.defaultTestLoader.loadTestsFromModule(module)(result)
"""


def version():
    done = subprocess.run([PYTHON, "-c", "import numba; print(numba.__version__)"], capture_output=True, text=True, check=False)
    return done.stdout.strip() or None


def read_expected():
    """{name: (directly, through pvgpu)}"""
    rows = [line.split("#")[0].split() for line in EXPECTED.read_text().splitlines()]
    return {row[0]: (row[1], row[-1]) for row in rows if row}


def write_expected(outcomes):
    """Reasons that stand in the list are kept."""
    why = {}
    if EXPECTED.exists():
        why = {line.split()[0]: " #" + line.split("#", 1)[1] for line in EXPECTED.read_text().splitlines() if "#" in line and line[0] != "#"}
    lines = [f"{name} {d}{'' if d == t else ' ' + t}{why.get(name, '')}\n" for name, (d, t) in sorted(outcomes.items())]
    EXPECTED.write_text("# Numba 0.56.4's tests of its driver layer: directly on the simulated GPU, and through pvgpu where that differs.\n" + "".join(lines))


class Numba(unittest.TestCase):
    def setUp(self):
        if version() != LISTED:
            self.skipTest(f"no Numba {LISTED}, but {version()}: apt-get install python3-numba on Debian 12")

    def run_suite(self, pvgpu, direct):
        env = pvgpu.guest_env(direct=direct)
        env["NUMBA_CUDA_DRIVER"] = str(pathlib.Path(build_dir()) / ("simcuda" if direct else "lib") / "libcuda.so.1")
        result = programs.run([PYTHON, "-c", RUN], env, LIMIT)
        self.assertEqual(result.status, 0, result.stderr.decode()[-2000:])
        return dict(re.findall(r"^RESULT (\S+) (\w+)$", result.stdout.decode(), re.M)), result.stderr.decode()

    def test_driver_layer(self):
        with PvgpuEnv(build=build_dir()) as pvgpu:
            (direct, log), (through, through_log) = (self.run_suite(pvgpu, d) for d in (True, False))
            pvgpu.check_idle()
        self.assertEqual(direct.keys(), through.keys())
        outcomes = {name: (direct[name], through[name]) for name in direct}
        if os.environ.get("UPDATE"):
            write_expected(outcomes)
        wrong = {n: (outcomes.get(n), want) for n, want in read_expected().items() if outcomes.get(n) != want}
        self.assertEqual(wrong, {}, f"found, expected\n--- directly\n{log[-3000:]}\n--- through pvgpu\n{through_log[-3000:]}")
        print(f"{sum(o == ('pass', 'pass') for o in outcomes.values())} of {len(outcomes)} pass both ways", file=sys.stderr)


if __name__ == "__main__":
    unittest.main()
