# SPDX-License-Identifier: MIT
"""Halide's pipelines, compiled while the program runs and ahead of time: the results on the GPU are those of the CPU, and the same directly
on the simulated GPU and through pvgpu."""
import glob
import pathlib
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "integration"))
import programs  # noqa: E402
from pvgpu_env import PvgpuEnv, build_dir  # noqa: E402

HEADERS = sorted(glob.glob("/usr/include/halide*") + glob.glob("/usr/include/Halide.h"))
LIMIT = 600


def library():
    """The name to link with: Debian's has the version in it."""
    found = sorted(glob.glob("/usr/lib/*/libHalide*.so"))
    return "-l" + pathlib.Path(found[-1]).name[3:-3] if found else None


def compile_program(to, *sources, link=()):
    subprocess.run(["g++", "-std=c++17", "-O1", "-w", f"-I{HEADERS[0]}" if HEADERS[0] != "/usr/include/Halide.h" else "-I/usr/include",
                    f"-I{to.parent}", f"-I{HERE / 'halide'}", "-o", str(to), *map(str, sources), *map(str, link), "-ldl", "-lpthread"],
                   check=True, timeout=LIMIT)


class Halide(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not HEADERS or not library():
            raise unittest.SkipTest("no Halide: apt-get install libhalide14-0-dev")
        folder = tempfile.TemporaryDirectory(prefix="pvgpu-halide-")
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        cls.pvgpu = PvgpuEnv(build=build_dir())
        cls.addClassCleanup(cls.pvgpu.__exit__, None, None, None)
        cls.pvgpu.__enter__()

    def both(self, program, lines):
        direct, through = (programs.run([program], self.pvgpu.guest_env(direct=d), LIMIT) for d in (True, False))
        self.assertEqual((direct.status, direct.stderr), (0, b""))
        self.assertEqual(len(direct.stdout.splitlines()), lines)
        self.assertEqual(through.differs(direct), [], through.stderr.decode())

    def test_compiled_while_it_runs(self):
        compile_program(self.folder / "jit", HERE / "halide" / "jit.cpp", link=[library()])
        self.both(self.folder / "jit", 5)

    def test_compiled_ahead_of_time(self):
        compile_program(self.folder / "make", HERE / "halide" / "aot_make.cpp", link=[library()])
        subprocess.run([self.folder / "make", self.folder], check=True, timeout=LIMIT)
        archives = sorted(self.folder.glob("*.a"))
        self.assertEqual(len(archives), 10)
        compile_program(self.folder / "aot", HERE / "halide" / "aot.cpp", link=[*archives, self.folder / "runtime.o"])
        self.both(self.folder / "aot", 15)


if __name__ == "__main__":
    unittest.main()
