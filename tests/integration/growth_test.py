#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Neither a worker nor pvgpud grows while a program makes and destroys objects of every kind repeatedly.

The program, tests/programs/churn.c, checks its own process itself."""
import os
import subprocess
import time
import unittest

from pvgpu_env import PvgpuEnv

MAY_GROW = 4096, 2  # KiB, files that happen to be open


def usage(pid):
    """KiB of resident memory and the number of open files; None when the process is gone."""
    try:
        with open(f"/proc/{pid}/statm", encoding="ascii") as f:
            kib = int(f.read().split()[1]) * os.sysconf("SC_PAGESIZE") // 1024
        return kib, len(os.listdir(f"/proc/{pid}/fd"))
    except (OSError, IndexError):
        return None


class Growth(unittest.TestCase):
    def test_churn(self):
        with PvgpuEnv() as env:
            p = env.popen([os.path.join(env.build, "programs", "churn"), "600"], stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE)
            samples = {}
            while p.poll() is None:
                for pid in {env.pid, *env.workers()}:
                    seen = usage(pid)
                    if seen:
                        samples.setdefault(pid, []).append(seen)
                time.sleep(0.05)
            self.assertEqual(p.returncode, 0, p.stderr.read())
            p.stderr.close()
            long = {pid: seen for pid, seen in samples.items() if len(seen) >= 20}
            self.assertGreaterEqual(len(long), 2, samples)
            for pid, seen in long.items():
                half = len(seen) // 2
                for what, allowed in enumerate(MAY_GROW):
                    before, after = (max(s[what] for s in part) for part in (seen[:half], seen[half:]))
                    self.assertLessEqual(after, before + allowed, f"process {pid}: {seen}")


if __name__ == "__main__":
    unittest.main()
