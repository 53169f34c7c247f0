# SPDX-License-Identifier: MIT
"""PVGPU_LOG=calls: a line for each call, and nothing else changes."""
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

import programs
from pvgpu_env import PvgpuEnv, build_dir

LINE = re.compile(r"pvgpu (\d+\.\d{6}) (\d+) (cu\w+)\((.*)\)( \.\.\.| = (-?\w+)( \(\d+\))? <\d+\.\d{3} us>)")
LIMIT = 90


def program(name):
    return pathlib.Path(build_dir()) / "programs" / name


def read(text):
    """Lines as (thread, call, arguments, result), result None where the call begins."""
    out = []
    for line in text.splitlines():
        match = LINE.fullmatch(line)
        if not match:
            raise AssertionError(f"what is this line: {line}")
        out.append((int(match[2]), match[3], match[4], match[6]))
    return out


class Log(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="pvgpu-log-")
        cls.addClassCleanup(folder.cleanup)
        cls.file = pathlib.Path(folder.name) / "log"
        cls.pvgpu = PvgpuEnv(build=build_dir())
        cls.addClassCleanup(cls.pvgpu.__exit__, None, None, None)
        cls.pvgpu.__enter__()

    def run_it(self, *words, **env):
        return programs.run(words, {**self.pvgpu.guest_env(), **env}, LIMIT)

    def test_calls(self):
        plain = self.run_it(program("vecadd"), "1000")
        logged = self.run_it(program("vecadd"), "1000", PVGPU_LOG="calls")
        self.assertEqual((plain.status, plain.stderr), (0, b""))
        self.assertEqual((logged.status, logged.stdout), (0, plain.stdout))
        lines = read(logged.stderr.decode())
        self.assertEqual({r for _, _, _, r in lines}, {"CUDA_SUCCESS"})
        self.assertEqual(lines[0][1:3], ("cuInit", "flags=0"))
        calls = [call for _, call, _, _ in lines]
        self.assertEqual((calls.count("cuMemAlloc_v2"), calls.count("cuMemFree_v2"), calls.count("cuLaunchKernel")), (3, 3, 1))
        # What a call gave, and what a later one was given.
        made = [re.fullmatch(r"addr=\[(0x[0-9a-f]+)\], bytes=4000", a)[1] for _, c, a, _ in lines if c == "cuMemAlloc_v2"]
        freed = [re.fullmatch(r"addr=(0x[0-9a-f]+)", a)[1] for _, c, a, _ in lines if c == "cuMemFree_v2"]
        self.assertEqual(made, freed)
        name = next(a for _, c, a, _ in lines if c == "cuModuleGetFunction")
        self.assertRegex(name, r'^fn=\[0x[0-9a-f]+\], module=0x[0-9a-f]+, name="vec_add"$')
        launch = next(a for _, c, a, _ in lines if c == "cuLaunchKernel")
        self.assertRegex(launch, r"^fn=0x[0-9a-f]+, grid_x=40, grid_y=1, grid_z=1, block_x=256, block_y=1, block_z=1, "
                                 r"shared_bytes=0, stream=0, params=0x[0-9a-f]+, extra=0$")

    def test_refusals(self):
        plain, logged = self.run_it(program("errors")), self.run_it(program("errors"), PVGPU_LOG="calls", PVGPU_LOG_FILE=str(self.file))
        self.assertEqual((logged.status, logged.stdout, logged.stderr), (plain.status, plain.stdout, plain.stderr))
        lines = read(self.file.read_text())
        self.assertIn(("cuMemAlloc_v2", "CUDA_ERROR_INVALID_CONTEXT"), {(c, r) for _, c, _, r in lines})
        self.assertGreater(len({r for _, _, _, r in lines}), 10)
        self.file.unlink()

    def test_cublas(self):
        logged = self.run_it(program("cublas"), PVGPU_LOG="calls")
        lines = read(logged.stderr.decode())
        self.assertEqual(logged.status, 0)
        self.assertIn(("cublasGemmEx", "CUBLAS_STATUS_SUCCESS"), {(c, r) for _, c, _, r in lines})

    def test_cublaslt(self):
        logged = self.run_it(program("trainstep"), PVGPU_LOG="calls")
        lines = read(logged.stderr.decode())
        self.assertEqual(logged.status, 0)
        product = next(a for _, c, a, r in lines if c == "cublasLtMatmul" and r == "CUBLAS_STATUS_SUCCESS")
        self.assertRegex(product, r"^lightHandle=0x[0-9a-f]+, .*Ddesc=0x[0-9a-f]+, algo=0x[0-9a-f]+, workspace=0x[0-9a-f]+, "
                                  r"workspaceSizeInBytes=1048576, stream=0x[0-9a-f]+$")

    def test_threads(self):
        """Lines stay whole, and each thread's calls follow each other."""
        logged = self.run_it(program("threads"), PVGPU_LOG="calls,starts")
        self.assertEqual(logged.status, 0)
        began, lines = {}, read(logged.stderr.decode())
        for thread, call, _, result in lines:
            if result is None:
                self.assertNotIn(thread, began)
                began[thread] = call
            else:
                self.assertEqual(began.pop(thread), call)
        self.assertEqual(began, {})
        self.assertGreater(len({t for t, _, _, _ in lines}), 2)

    def test_wrong_words(self):
        plain = self.run_it(program("vecadd"), "1000")
        for env, told in (({"PVGPU_LOG": "all"}, "PVGPU_LOG=all: not known: calls"),
                          ({"PVGPU_LOG": "calls", "PVGPU_LOG_FILE": "/nonexistent/log"}, "PVGPU_LOG_FILE=/nonexistent/log: No such file")):
            told_too = self.run_it(program("vecadd"), "1000", **env)
            self.assertEqual((told_too.status, told_too.stdout), (0, plain.stdout))
            self.assertIn(told, told_too.stderr.decode())
            self.assertEqual(len(told_too.stderr.splitlines()), 1)
        self.assertEqual(self.run_it(program("vecadd"), "1000", PVGPU_LOG="").stderr, b"")

    def test_off(self):
        """Two instructions stand before each function."""
        text = subprocess.run(["objdump", "-d", "--no-show-raw-insn", "--disassemble=cuLaunchKernel", pathlib.Path(build_dir()) / "lib" / "libcuda.so.1"],
                              capture_output=True, text=True, check=True, env={**os.environ, "LC_ALL": "C"}).stdout
        code = [line.split("\t")[1].split()[0] for line in text.splitlines() if re.match(r"\s+[0-9a-f]+:\t", line)]
        self.assertEqual(code[:4], ["endbr64", "cmpb", "jne", "jmp"])


if __name__ == "__main__":
    unittest.main()
