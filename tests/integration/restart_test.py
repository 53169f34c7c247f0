#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A program that starts while pvgpud is being restarted waits for it."""
import os
import subprocess
import unittest

from pvgpu_env import PvgpuEnv, wait_for

NANOSLEEP = "35"  # x86-64


class Restart(unittest.TestCase):
    def test_start_in_the_gap(self):
        with PvgpuEnv() as env:
            env.kill_daemon()
            p = env.popen([os.path.join(env.build, "programs", "vecadd")], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE)
            # It waits for pvgpud once it sleeps between two tries.
            wait_for("the program's first try", lambda: p.poll() is not None or sleeps(p.pid))
            env.start()
            out, err = p.communicate(timeout=60)
            self.assertEqual(p.returncode, 0, err)

    def test_never_there(self):
        with PvgpuEnv() as env:
            p = subprocess.run([os.path.join(env.build, "programs", "vecadd")], capture_output=True, timeout=60,
                               env={**env.guest_env(), "PVGPU_SOCKET": "/nonexistent/sock"})
            self.assertNotEqual(p.returncode, 0)
            self.assertIn(b"CUDA_ERROR_NO_DEVICE", p.stderr)


def sleeps(pid):
    with open(f"/proc/{pid}/syscall", encoding="ascii") as f:
        return f.read().split()[0] == NANOSLEEP


if __name__ == "__main__":
    unittest.main()
