# SPDX-License-Identifier: MIT
"""Halide's pipelines, compiled while the program runs and ahead of time: the results on the GPU are those of the CPU, and the same directly
on the simulated GPU and through pvgpu."""
import pathlib
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "integration"))
import halide_build as halide  # noqa: E402
import programs  # noqa: E402
from pvgpu_env import PvgpuEnv, build_dir  # noqa: E402


class Halide(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not halide.HEADERS or not halide.library():
            raise unittest.SkipTest("no Halide: make packages")
        folder = tempfile.TemporaryDirectory(prefix="pvgpu-halide-")
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        cls.pvgpu = PvgpuEnv(build=build_dir())
        cls.addClassCleanup(cls.pvgpu.__exit__, None, None, None)
        cls.pvgpu.__enter__()

    def both(self, program, lines):
        direct, through = (programs.run([program], self.pvgpu.guest_env(direct=d), halide.LIMIT) for d in (True, False))
        self.assertEqual((direct.status, direct.stderr), (0, b""))
        self.assertEqual(len(direct.stdout.splitlines()), lines)
        self.assertEqual(through.differs(direct), [], through.stderr.decode())

    def test_compiled_while_it_runs(self):
        halide.compile_program(self.folder / "jit", halide.HERE / "jit.cpp", link=[halide.library()])
        self.both(self.folder / "jit", 5)

    def test_compiled_ahead_of_time(self):
        halide.ahead_of_time(self.folder)
        self.both(self.folder / "aot", 15)


if __name__ == "__main__":
    unittest.main()
