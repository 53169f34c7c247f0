# SPDX-License-Identifier: MIT
"""Calls of cuBLAS through pvgpu: each status of the far end arrives, and a handle is in the vGPU's books."""
import os
import re
import subprocess
import unittest

from pvgpu_env import PvgpuEnv, build_dir

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAM = os.path.join(build_dir(), "programs", "cublas")


class Cublas(unittest.TestCase):
    def lines(self, memory="256M", **env):
        with PvgpuEnv(vgpus={"vgpu0": memory}, **env) as pvgpu:
            done = pvgpu.run([PROGRAM, "create"])
            self.assertEqual(done.returncode, 0, done.stderr)
            out = done.stdout
            return (out.decode() if isinstance(out, bytes) else out).splitlines()

    def test_a_handle_is_charged(self):
        self.assertEqual(self.lines(), ["create 0", "version 0", "a handle costs 32 MiB, and 0 when it is gone"])

    def test_quota_holds_for_handles(self):
        self.assertEqual(self.lines(memory="24M"), ["create 3"])

    def test_what_the_library_takes_counts(self):
        """More than a handle's charge: what is left of the quota is less, also for a second handle, which is refused."""
        with PvgpuEnv(vgpus={"vgpu0": "260M"}, worker_env={"SIMCUBLAS_WORKSPACE": str(232 << 20)}) as pvgpu:
            done = pvgpu.run([PROGRAM, "large"])
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(done.stdout.split(), [b"alloc", b"2", b"second", b"3"])
            self.assertNotIn("killed", pvgpu.log())
            pvgpu.wait_used(0)

    def test_both_names(self):
        """A program of CUDA 12 or 13 works with either at the far end; each library has its version node, by its own name."""
        for far in ("libcublas.so.12", "libcublas.so.13"):
            with PvgpuEnv(settings={"libcublas": os.path.join(build_dir(), "simcuda", far)}) as pvgpu:
                for soname in ("libcublas.so.12", "libcublas.so.13"):
                    with self.subTest(guest=soname, far=far):
                        done = pvgpu.run([PROGRAM], extra={"CUBLAS": soname})
                        self.assertEqual((done.returncode, done.stdout[:15]), (0, b"cublas: levels "), done.stderr)
        for soname in ("libcublas.so.12", "libcublas.so.13"):
            read = subprocess.run(["readelf", "-dVW", os.path.join(build_dir(), "lib", soname)], stdout=subprocess.PIPE, check=True, text=True).stdout
            self.assertIn(f"Library soname: [{soname}]", read)
            self.assertRegex(read, f"Flags: none  Index: 2  Cnt: 1  Name: {soname}\n")

    def test_every_symbol(self):
        """Ours exports what NVIDIA's libraries do, no more and no less."""
        with open(os.path.join(TREE, "libpvgpu", "protocol", "cublas.exports"), encoding="utf-8") as stream:
            listed = re.findall(r"^symbol (\w+)( since 13)?", stream.read(), re.M)
        for soname, names in (("libcublas.so.12", {n for n, since in listed if not since}), ("libcublas.so.13", {n for n, _ in listed})):
            read = subprocess.run(["nm", "-D", "--defined-only", os.path.join(build_dir(), "lib", soname)], stdout=subprocess.PIPE, check=True, text=True).stdout
            self.assertEqual({m for m in re.findall(r" T (\w+)", read)}, names)
        self.assertEqual(len(listed), 756)

    def test_not_offered(self):
        self.assertEqual(self.lines(settings={"libcublas": ""}), ["create 15"])

    def test_status_of_a_call(self):
        for status in (1, 3, 7, 8, 11, 13, 14, 15, 16):
            with self.subTest(status):
                out = self.lines(worker_env={"SIMCUBLAS_STATUS": f"cublasGetProperty:{status}"})
                self.assertEqual(out[1], f"version {status}")

    def test_status_of_create(self):
        self.assertEqual(self.lines(worker_env={"SIMCUBLAS_STATUS": "cublasCreate_v2:8"}), ["create 8"])
