# SPDX-License-Identifier: MIT
"""Overrides for tests: checks are strict without them; an override that is on shows in the log, keys and pvgpuctl's output."""
import os
import subprocess
import unittest

from cheat_test import Cheat, finish, number, occupy, program
from pvgpu_env import PvgpuEnv, program as own_program, wait_for

ONLY = r"TEST OVERRIDE test_judge_observes: not ended, although it "


def pvgpuctl(env, *words):
    return subprocess.run([own_program("pvgpuctl", env.build), "--run-dir", env.run_dir, *words], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=240)


class Hmm(unittest.TestCase):
    """A GPU whose kernels reach pageable memory."""

    def test_refused(self):
        with PvgpuEnv(sim={"SIMCUDA_HMM": "1"}) as env:
            r = env.run([program(env, "vecadd")])
            self.assertNotEqual(r.returncode, 0)
            self.assertIn("attribute 88 is 1", env.log())
            self.assertNotIn("OVERRIDE", env.log())
            self.assertEqual(env.read("/daemon/test-overrides"), "")
            r = pvgpuctl(env, "list")
            self.assertEqual((r.returncode, r.stderr), (0, ""))

    def test_served_and_told(self):
        with PvgpuEnv(sim={"SIMCUDA_HMM": "1"}, settings={"test_allow_hmm": 1}) as env:
            self.assertIn("pvgpud: warning: TEST OVERRIDE test_allow_hmm", env.log())
            for _ in range(2):
                r = env.run([program(env, "vecadd")])
                self.assertEqual(r.returncode, 0, r.stderr)
            self.assertRegex(env.log(), r"says: .*TEST OVERRIDE test_allow_hmm: .*attribute 88 is 1")
            self.assertEqual(env.log().count("TEST OVERRIDE test_allow_hmm: guests are not isolated"), 2)
            self.assertEqual(env.read("/daemon/test-overrides"), "test_allow_hmm")
            for words in (["list"], ["show", "vgpu0"]):
                r = pvgpuctl(env, *words)
                self.assertEqual(r.returncode, 0)
                self.assertIn("overrides for tests (test_allow_hmm)", r.stderr)
                self.assertNotIn("overrides", r.stdout)


class Ecc(unittest.TestCase):
    """A GPU whose memory has no error correction. To serve it is the operator's choice, not an override for tests."""

    def test_refused(self):
        with PvgpuEnv(sim={"SIMCUDA_ECC": "0"}) as env:
            r = env.run([program(env, "vecadd")])
            self.assertNotEqual(r.returncode, 0)
            self.assertIn("no error correction", env.log())
            self.assertIn("allow_no_ecc", env.log())

    def test_served_and_told(self):
        with PvgpuEnv(sim={"SIMCUDA_ECC": "0"}, settings={"allow_no_ecc": 1}) as env:
            self.assertIn("pvgpud: warning: allow_no_ecc", env.log())
            r = env.run([program(env, "vecadd")])
            self.assertEqual(r.returncode, 0, r.stderr)
            self.assertEqual(env.read("/daemon/test-overrides"), "")


class Judge(Cheat):
    """Workers that a guest has taken over are reported, but not ended."""

    def test_gate(self):
        with self.env("silent", test_judge_observes=1) as env:
            self.wait_accounting(env)
            good = occupy(env, "good", us=4000)
            wait_for("some launches", lambda: number(env, "/vgpu/good/launches") > 20)
            bad = occupy(env, "bad", us=4000)
            wait_for("the verdict", lambda: ONLY in env.log(), 120)
            before = number(env, "/vgpu/bad/gpu-time")
            wait_for("the charge", lambda: number(env, "/vgpu/bad/gpu-time") > before + 500000, 120)
            self.assertIsNone(bad.poll())
            # One line for this worker and reason.
            self.assertEqual(env.log().count(ONLY + "used the GPU") + env.log().count(ONLY + "issued GPU work"), 1)
            self.assertNotIn("killed", env.log())
            self.assertEqual(number(env, "/vgpu/bad/faults"), 0)
            self.assertEqual(env.read("/daemon/test-overrides"), "test_judge_observes")
            finish(bad)
            finish(good)

    def test_lease(self):
        with self.env("lease", context_memory="16M", test_judge_observes=1) as env:
            self.wait_accounting(env)
            bad = occupy(env, "bad", mib=100)
            wait_for("the verdict", lambda: ONLY + "has 1" in env.log(), 120)
            self.assertIsNone(bad.poll())
            self.assertEqual(number(env, "/vgpu/bad/sessions"), 1)
            finish(bad)


if __name__ == "__main__":
    unittest.main()
