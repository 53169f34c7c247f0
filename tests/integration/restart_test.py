#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A program that starts while pvgpud is being restarted waits for it."""
import os
import signal
import subprocess
import unittest

from pvgpu_env import PvgpuEnv, state_of, wait_for

NANOSLEEP = "35"  # x86-64


class Restart(unittest.TestCase):
    def test_start_in_the_gap(self):
        with PvgpuEnv() as env:
            env.kill_daemon()
            p = env.popen([os.path.join(env.build, "programs", "vecadd")], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE)
            # It waits for pvgpud once it sleeps between two tries: for 5 s, in which one on a busy machine need not be up. So
            # it sleeps until then, and tries once more in any case.
            wait_for("the program's first try", lambda: p.poll() is not None or stopped_asleep(p.pid))
            env.start()
            p.send_signal(signal.SIGCONT)
            out, err = p.communicate(timeout=240)
            self.assertEqual(p.returncode, 0, err)

    def test_never_there(self):
        with PvgpuEnv() as env:
            p = subprocess.run([os.path.join(env.build, "programs", "vecadd")], capture_output=True, timeout=240,
                               env={**env.guest_env(), "PVGPU_SOCKET": "/nonexistent/sock"})
            self.assertNotEqual(p.returncode, 0)
            self.assertIn(b"CUDA_ERROR_NO_DEVICE", p.stderr)


def stopped_asleep(pid):
    """Stop it; it goes on where it was not asleep."""
    os.kill(pid, signal.SIGSTOP)
    wait_for("a stop", lambda: state_of(pid) == "T")
    with open(f"/proc/{pid}/syscall", encoding="ascii") as f:
        if f.read().split()[0] == NANOSLEEP:
            return True
    os.kill(pid, signal.SIGCONT)
    return False


if __name__ == "__main__":
    unittest.main()
