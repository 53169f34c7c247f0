#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""This protocol version against the next one, which has one call more: both directions, and the next one with itself."""
import os
import subprocess
import unittest

from pvgpu_env import PvgpuEnv, build_dir

NEXT = os.environ["PVGPU_NEXT"]
NOW = os.path.abspath(build_dir())


class Versions(unittest.TestCase):
    def run_echo(self, backend, guest):
        far = os.path.join(NOW, "simcuda", "libcuda.so.1")
        with PvgpuEnv(build=backend, libcuda=far) as env:
            for program, want in ((["tests/next-echo"], None), (["programs/vecadd"], "")):
                p = subprocess.run([os.path.join(NOW, *program)], capture_output=True, text=True, timeout=120,
                                   env={**env.guest_env(), "LD_LIBRARY_PATH": os.path.join(guest, "lib")})
                self.assertEqual(p.returncode, 0, p.stderr)
                if want is None:
                    out = p.stdout.split("\n")
        self.assertEqual(out[1:], ["alive", ""])
        return out[0]

    def test_both_of_this_version(self):
        self.assertEqual(self.run_echo(NOW, NOW), "no call")

    def test_next_guest_on_this_backend(self):
        self.assertEqual(self.run_echo(NOW, NEXT), "not supported")

    def test_this_guest_on_next_backend(self):
        self.assertEqual(self.run_echo(NEXT, NOW), "no call")

    def test_both_of_the_next_version(self):
        self.assertEqual(self.run_echo(NEXT, NEXT), "echo")


if __name__ == "__main__":
    unittest.main()
