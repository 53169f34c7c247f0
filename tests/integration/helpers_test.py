# SPDX-License-Identifier: MIT
"""pvgpu-health's sandbox and pvgpu-attachd's: seen from outside, and of pvgpu-health tried from inside, by a management
library that has been taken over (tests/hostile/nvml_escape.c)."""
import errno
import os
import pathlib
import re
import unittest

from pvgpu_env import PvgpuEnv, build_dir, wait_for
from sandbox_test import FIRST, LACKS, check, status, vecadd

LIBRARY = os.path.join(build_dir(), "tests", "nvml-escape.so")


def health(env):
    """Its pid; None: there is none."""
    for pid in os.listdir("/proc"):
        try:
            if pid.isdigit() and pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"pvgpu-health\0") and \
                    f"PPid:\t{env.pid}\n" in pathlib.Path(f"/proc/{pid}/status").read_text():
                return int(pid)
        except OSError:
            continue
    return None


@unittest.skipIf(LACKS, LACKS)
class Health(unittest.TestCase):
    def setUp(self):
        pathlib.Path("/tmp/pvgpu-health-was-here").unlink(missing_ok=True)
        self.addCleanup(lambda: pathlib.Path("/tmp/pvgpu-health-was-here").unlink(missing_ok=True))

    def wait_on(self, env):
        wait_for("the accounting", lambda: env.read("/daemon/accounting") == "on")
        return wait_for("pvgpu-health", lambda: health(env))

    def look(self, env, uid):
        pid = self.wait_on(env)
        s = status(pid)
        self.assertEqual((s["Seccomp"], s["NoNewPrivs"]), ("2", "1"))
        self.assertEqual(set(s["Uid"].split()), {uid})
        for caps in ("CapInh", "CapPrm", "CapEff", "CapAmb", "CapBnd"):
            self.assertEqual(int(s[caps], 16), 0, caps)
        for space in ("mnt", "net", "ipc", "uts"):
            self.assertNotEqual(os.readlink(f"/proc/{pid}/ns/{space}"), os.readlink(f"/proc/self/ns/{space}"), space)
        limits = pathlib.Path(f"/proc/{pid}/limits").read_text()
        self.assertRegex(limits, r"Max open files +256 +256")
        self.assertRegex(limits, r"Max core file size +0 +0")
        # A socket of two ends, and neither a pipe nor a third file but for the log.
        self.assertTrue(os.readlink(f"/proc/{pid}/fd/1").startswith("socket:"))
        self.assertEqual(vecadd(env, "vgpu0").returncode, 0)

    def test_seen(self):
        with PvgpuEnv() as env:
            self.look(env, "0")

    def test_a_user_of_its_own(self):
        with PvgpuEnv(settings={"health_user": "nobody"}) as env:
            self.look(env, "65534")

    def test_without(self):
        with PvgpuEnv(settings={"sandbox": "off"}) as env:
            pid = self.wait_on(env)
            self.assertEqual(status(pid)["Seccomp"], "0")

    def said(self, env):
        return {how: int(err) for how, err in re.findall(r"^escape (\w+): (\d+)$", env.log(), re.M)}

    def test_tried(self):
        """What it tries is refused, and the accounting goes on."""
        with PvgpuEnv(settings={"libnvml": LIBRARY}) as env:
            wait_for("the tries", lambda: len(self.said(env)) == 8)
            said = self.said(env)
            landlock = "part landlock" not in check("--uid", str(FIRST)).stdout
            for how in ("socket", "signal", "block", "limit", "code"):
                self.assertEqual(said[how], errno.EPERM, f"{how}: {os.strerror(said[how])}")
            for how in ("read", "make", "write"):
                self.assertEqual(said[how], errno.EACCES if landlock else 0, f"{how}: {os.strerror(said[how])}")
            self.assertFalse(os.path.exists("/tmp/pvgpu-health-was-here"))
            self.wait_on(env)
            self.assertEqual(vecadd(env, "vgpu0").returncode, 0)

    def test_the_tries_are_real(self):
        """Without a sandbox each of them gets through."""
        with PvgpuEnv(settings={"libnvml": LIBRARY, "sandbox": "off"}) as env:
            wait_for("the tries", lambda: len(self.said(env)) == 8)
            # A container may forbid to raise limits.
            self.assertEqual({how for how, err in self.said(env).items() if err} - {"limit"}, set())

    def test_ended(self):
        """A call that no process of ours makes ends it, pvgpud says so, and serves."""
        for how in ("exec", "fork", "ptrace", "root"):
            with PvgpuEnv(settings={"libnvml": LIBRARY, "env": f"PVGPU_ESCAPE={how}"}) as env:
                wait_for("its end", lambda: "ended by signal 31" in env.log())
                self.assertNotIn(how, self.said(env))
                self.assertEqual(vecadd(env, "vgpu0").returncode, 0)


if __name__ == "__main__":
    unittest.main()
