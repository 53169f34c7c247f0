#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Many vGPUs on one pvgpud with its default limits: what is promised is there, and what each costs.

PVGPU_MANY=VGPUS,SESSIONS: so many vGPUs, of which so many have an active session at the same time (1000,100 in make check-full).
The costs are printed; bounds are wide, since they are for a cost that grows with the square of the number.
"""
import os
import subprocess
import sys
import time
import unittest

from pvgpu_env import PvgpuEnv, files_of, program, wait_for

VGPUS, SESSIONS = (int(n) for n in os.environ.get("PVGPU_MANY", "120,6").split(","))
PATIENCE = 1200  # seconds for what has no limit of its own: hundreds of processes on a busy machine


def kib(pid, field="Pss"):
    """KiB of the process: its own memory and its part of what it shares."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith(field + ":"))


class Many(unittest.TestCase):
    def start(self):
        # No limit of the environment's: those of a user who has set none.
        env = PvgpuEnv({f"v{i}": "memory=0" for i in range(VGPUS)})
        for name in ("quarantine_faults",):
            env.settings.pop(name)
        return env

    def program(self, env, i, *argv):
        p = env.popen([os.path.join(env.build, "programs", "occupy"), *argv], f"v{i}", stdout=subprocess.DEVNULL)
        self.addCleanup(p.wait)
        self.addCleanup(p.kill)
        return p

    def test_attached_and_active(self):
        begin = time.monotonic()
        env = self.start()
        with env:
            up = time.monotonic() - begin
            env.wait_spare()
            self.assertEqual(len(env.tree()["vgpu"]), VGPUS)
            files, memory = len(files_of(env.pid)), kib(env.pid)
            # The last ones first: all are served, not the first so many.
            who = [VGPUS - 1 - i for i in range(SESSIONS)]
            begin = time.monotonic()
            programs = [self.program(env, i, "1000000000", "500", "2") for i in who]

            def active():
                for p in programs:
                    self.assertIsNone(p.poll(), "a program ended: " + env.log_tail(5))
                vgpus = env.tree()["vgpu"]
                return all(int(vgpus[f"v{i}"]["launches"]) > 0 and int(vgpus[f"v{i}"]["sessions"]) == 1 for i in who)

            wait_for(f"{SESSIONS} active sessions", active, PATIENCE)
            opened = time.monotonic() - begin
            workers = env.workers()
            self.assertEqual(len(workers), SESSIONS)
            each = sum(kib(pid) for pid in workers) / SESSIONS
            files_now, memory_now = len(files_of(env.pid)), kib(env.pid)
            # Each works on, and nobody stands still.
            before = {i: int(env.read(f"/vgpu/v{i}/launches")) for i in who}
            wait_for("every session's work to go on",
                     lambda: all(int(env.read(f"/vgpu/v{i}/launches")) > before[i] for i in who), PATIENCE)
            # A vGPU that is asked for last has its session, too.
            last = self.program(env, 0, "3", "500", "2")
            self.assertEqual(last.wait(PATIENCE), 0)
            for p in programs:
                p.kill()
            for p in programs:
                p.wait()
            for i in who:
                env.wait_sessions(0, f"v{i}", PATIENCE)
            spare = int(env.read("/daemon/spare-workers"))
            print(f"{VGPUS} vGPUs: up in {up:.1f} s, {memory} KiB ({memory / VGPUS:.1f} each), {files} files; "
                  f"{SESSIONS} sessions: active after {opened:.1f} s ({opened / SESSIONS:.2f} s each), pvgpud "
                  f"{(memory_now - memory) / SESSIONS:.0f} KiB and {(files_now - files) / SESSIONS:.1f} files, "
                  f"a worker {each:.0f} KiB; {spare} spare at the end", file=sys.stderr)
            # A vGPU is a listening socket; a session what its worker needs.
            self.assertLessEqual(files, VGPUS + 64)
            self.assertLessEqual(files_now - files, 10 * SESSIONS + 16)
            wait_for("one spare worker", lambda: int(env.read("/daemon/spare-workers")) == 1)

    def test_pvgpud_says_what_it_cannot_promise(self):
        """Each vGPU is sure of one session."""
        out = subprocess.run([program("pvgpud"), "--check", "--config", os.devnull, "--set", "max_sessions=2", "--set", "xen=off",
                              *(f"--vgpu=v{i}:memory=0" for i in range(3))], capture_output=True, text=True, check=False)
        self.assertEqual(out.returncode, 2)
        self.assertIn("max_sessions = 2", out.stderr)
        self.assertIn("3 vGPUs", out.stderr)


if __name__ == "__main__":
    unittest.main()
