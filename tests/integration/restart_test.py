#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A program that starts while pvgpud is being restarted waits for it."""
import os
import signal
import socket
import subprocess
import threading
import time
import unittest

from pvgpu_env import PvgpuEnv, wait_for

NANOSLEEP = "35"  # x86-64
RESTART_S = 5     # RESTART_MS of libpvgpu/link/local.c


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

    def test_gone_while_it_waits(self):
        """The time for which a program waits for a restarted pvgpud begins when that goes, not with its own first try."""
        with PvgpuEnv() as env, socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as slow:
            env.kill_daemon()
            os.unlink(env.socket())
            slow.bind(env.socket())
            slow.listen()
            p = env.popen([os.path.join(env.build, "programs", "vecadd")], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            asked, _ = slow.accept()
            asked.recv(4096)
            time.sleep(RESTART_S + 0.1)  # as long as a worker may need to start on a busy machine
            slow.close()
            asked.close()
            env.start()
            out, err = p.communicate(timeout=60)
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
            p = subprocess.run([os.path.join(env.build, "programs", "vecadd")], capture_output=True, timeout=60,
                               env={**env.guest_env(), "PVGPU_SOCKET": "/nonexistent/sock"})
            self.assertNotEqual(p.returncode, 0)
            self.assertIn(b"CUDA_ERROR_NO_DEVICE", p.stderr)


def sleeps(pid):
    with open(f"/proc/{pid}/syscall", encoding="ascii") as f:
        return f.read().split()[0] == NANOSLEEP


if __name__ == "__main__":
    unittest.main()
