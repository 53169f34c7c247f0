#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A program that starts while pvgpud is being restarted waits for it."""
import os
import signal
import subprocess
import threading
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

    def test_the_socket_stays(self):
        """From one pvgpud to the next a vGPU's socket is always there: a program that found none would give up at once."""
        for sig in (signal.SIGKILL, signal.SIGUSR1):
            with self.subTest(signal=sig), PvgpuEnv(vgpus={f"vgpu{i}": "64M" for i in range(8)}) as env:
                over = threading.Event()
                looks, gone = [0], []

                def look():
                    while not over.is_set():
                        for name in env.vgpus:
                            looks[0] += 1
                            if not os.path.exists(env.socket(name)):
                                gone.append(name)
                watcher = threading.Thread(target=look)
                watcher.start()
                try:
                    for _ in range(5):
                        env.restart(sig)
                finally:
                    over.set()
                    watcher.join()
                self.assertFalse(len(gone), f"absent in so many of {looks[0]} looks")
                self.assertEqual([f for f in os.listdir(env.run_dir) if f.startswith(".")], [])

    def test_unwanted_sockets_go(self):
        """The next pvgpud removes the sockets of vGPUs that are not configured any more."""
        with PvgpuEnv(vgpus={"vgpu0": "64M", "former": "64M"}) as env:
            env.kill_daemon()
            del env.vgpus["former"]
            self.assertTrue(os.path.exists(env.socket("former")))
            env.start()
            self.assertFalse(os.path.exists(env.socket("former")))
            self.assertEqual(env.run([os.path.join(env.build, "programs", "vecadd")]).returncode, 0)

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
