#!/usr/bin/env python3
"""Calls of cuBLASLt through pvgpu: handles are in the vGPU's books, statuses arrive, and a training step waits for little."""
import os
import unittest

from pvgpu_env import PvgpuEnv, build_dir

PROGRAM = os.path.join(build_dir(), "programs", "trainstep")


class CublasLt(unittest.TestCase):
    def lines(self, *words, memory="256M", **env):
        with PvgpuEnv(vgpus={"vgpu0": memory}, **env) as pvgpu:
            done = pvgpu.run([PROGRAM, *words])
            self.assertEqual(done.returncode, 0, done.stderr)
            out = done.stdout
            return (out.decode() if isinstance(out, bytes) else out).splitlines()

    def test_a_step_waits_for_its_loss_only(self):
        """Setters, heuristics, products with epilogues and updates are sent or known; the loss is read back."""
        awaited = next(line for line in self.lines("count") if line.startswith("awaited "))
        self.assertLessEqual(int(awaited.split()[1]), 4)
        self.assertGreaterEqual(int(awaited.split()[1]), 1, "nothing is counted")

    def test_a_handle_is_charged(self):
        self.assertEqual(self.lines("create"), ["create 0", "a handle costs 4 MiB, and 0 when it is gone"])

    def test_quota_holds_for_handles(self):
        self.assertEqual(self.lines("create", memory="2M"), ["create 3"])

    def test_not_offered(self):
        self.assertEqual(self.lines("create", settings={"libcublaslt": ""}), ["create 15"])

    def test_status_of_create(self):
        self.assertEqual(self.lines("create", worker_env={"SIMCUBLASLT_STATUS": "cublasLtCreate:8"}), ["create 8"])

    def test_status_of_a_question(self):
        for status in (7, 8, 14, 15):
            with self.subTest(status):
                out = self.lines("ask", worker_env={"SIMCUBLASLT_STATUS": f"cublasLtMatmulAlgoGetHeuristic:{status}"})
                self.assertEqual(out[0], f"ask {status}")

    def test_either_version_in_the_worker(self):
        """The guest's name of the library and the far end's are apart."""
        far = os.path.join(build_dir(), "simcuda", "libcublasLt.so.13")
        self.assertEqual(self.lines("ask", settings={"libcublaslt": far})[0], "ask 0")
        # The far end is of version 12: to a program of 13 the library is the first of its own major version.
        self.assertEqual(self.lines("ask", "libcublasLt.so.12"), ["ask 0", "version 120903"])
        self.assertEqual(self.lines("ask", "libcublasLt.so.13"), ["ask 0", "version 130000"])

    def test_a_copy_that_cublas_does_not_use(self):
        """No worker serves with it, and the reason is in the log. What has a cuBLASLt inside stands for a cuBLAS that has loaded one."""
        lt = os.path.join(build_dir(), "simcuda", "libcublasLt.so.")
        with PvgpuEnv(vgpus={"vgpu0": "256M"}, settings={"libcublas": lt + "13", "libcublaslt": lt + "12"}) as pvgpu:
            self.assertNotEqual(pvgpu.run([PROGRAM, "create"]).returncode, 0)
            self.assertIn("libcublas uses another libcublasLt", pvgpu.log())


if __name__ == "__main__":
    unittest.main()
