#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""drain: 1 refuses new sessions and leaves those that run alone, `now` ends them after shutdown_grace_ms, 0 takes either back; and
what a restart, a section that is removed and put back, and a shutdown that is cut short make of an end that was announced."""
import errno
import os
import signal
import struct
import subprocess
import time
import unittest

import rawclient as raw
from pvgpu_env import PvgpuEnv, program, wait_for

DRAINED = 1
GRACE_MS = 1500
FORGOTTEN = "faults: No space left on device: it is done, and forgotten when pvgpud is started again"
LONG_MS = 600000  # an end that does not come within a test


def started(env, name="vgpu0"):
    s = raw.Session(env.socket(name))
    s.start()
    return s


def refuses(case, env, name="vgpu0"):
    with case.assertRaises(raw.Refused) as e:
        raw.Session(env.socket(name))
    case.assertEqual(e.exception.error, errno.ESHUTDOWN)
    return str(e.exception)


def set_drain(case, env, value, name="vgpu0"):
    answer = env.write(f"/vgpu/{name}/drain", value)
    case.assertTrue(answer["ok"], answer)


def outlives(case, env, s, grace_ms=GRACE_MS):
    """The session serves after the time in which one that was told to end does."""
    time.sleep(grace_ms / 1000 + 0.5)
    case.assertEqual(s.status(), 0, s.reason())
    s.mem_info()
    case.assertEqual(env.read("/vgpu/vgpu0/sessions-failed"), "0")


def full(env):
    """The next state that pvgpud writes finds its disk full."""
    os.symlink("/dev/full", os.path.join(env.run_dir, "faults.new"))


def adopted(env):
    wait_for("adoption", lambda: [v["state"] for v in env.sessions().values()] == ["running"])


class Drain(unittest.TestCase):
    def test_a_running_session_goes_on(self):
        with PvgpuEnv(settings={"shutdown_grace_ms": 100}) as env:
            s = started(env)
            set_drain(self, env, "1")
            self.assertIn("draining", refuses(self, env))
            outlives(self, env, s, 100)
            self.assertEqual(env.read("/vgpu/vgpu0/drain"), "1")
            set_drain(self, env, "0")
            started(env).close()
            s.close()

    def test_now_ends_it(self):
        with PvgpuEnv(settings={"shutdown_grace_ms": 100}) as env:
            s = started(env)
            set_drain(self, env, "now")
            refuses(self, env)
            self.assertEqual(s.wait_end()[0], DRAINED)
            s.close()
            env.wait_sessions(0)
            self.assertEqual((env.read("/vgpu/vgpu0/drain"), env.read("/vgpu/vgpu0/sessions-failed")), ("now", "0"))
            set_drain(self, env, "0")
            started(env).close()

    def test_an_end_is_taken_back(self):
        for undone, told in (("0", "takes sessions again"), ("1", "draining")):
            with self.subTest(undone), PvgpuEnv(settings={"shutdown_grace_ms": GRACE_MS}) as env:
                s = started(env)
                set_drain(self, env, "now")
                set_drain(self, env, undone)
                outlives(self, env, s)
                self.assertIn(f"vgpu vgpu0: {told}", env.log())
                if undone == "1":
                    refuses(self, env)
                    set_drain(self, env, "0")
                s.close()

    def test_a_value_that_is_none(self):
        with PvgpuEnv() as env:
            for value in ("", "2", "yes", "NOW", "now "):
                answer = env.write("/vgpu/vgpu0/drain", value)
                self.assertEqual((answer["ok"], answer["error"]), (False, "EINVAL"), value)
                self.assertIn("0, 1 or now", answer["reason"])


class Restarts(unittest.TestCase):
    def check_state(self, sig):
        """What was set outlives pvgpud, and so do running sessions."""
        with PvgpuEnv(settings={"shutdown_grace_ms": 100}) as env:
            s = started(env)
            set_drain(self, env, "1")
            env.restart(sig)
            adopted(env)
            self.assertEqual(env.read("/vgpu/vgpu0/drain"), "1")
            refuses(self, env)
            outlives(self, env, s, 100)
            set_drain(self, env, "0")
            env.restart(sig)
            adopted(env)
            self.assertEqual(env.read("/vgpu/vgpu0/drain"), "0")
            started(env).close()
            s.close()

    def test_after_a_kill(self):
        self.check_state(signal.SIGKILL)

    def test_after_a_hand_over(self):
        self.check_state(signal.SIGUSR1)

    def test_an_end_that_was_announced(self):
        """The next pvgpud announces it anew."""
        with PvgpuEnv(settings={"shutdown_grace_ms": LONG_MS}) as env:
            s = started(env)
            set_drain(self, env, "now")
            env.settings["shutdown_grace_ms"] = 100
            env.restart()
            self.assertEqual(s.wait_end()[0], DRAINED)
            s.close()
            env.wait_sessions(0)
            self.assertEqual(env.read("/vgpu/vgpu0/drain"), "now")
            set_drain(self, env, "0")

    def test_a_section_that_is_put_back(self):
        """Its session was told to end when the section was gone."""
        with PvgpuEnv({"vgpu0": "1G", "other": "1G"}, settings={"shutdown_grace_ms": GRACE_MS}) as env:
            s = started(env)
            memory = env.vgpus.pop("vgpu0")
            env.restart()
            wait_for("the announcement", lambda: "the guest may finish for" in env.log())
            env.vgpus["vgpu0"] = memory
            env.restart()
            adopted(env)
            outlives(self, env, s)
            started(env).close()
            s.close()

    def test_memory_while_a_section_is_gone(self):
        """What the vGPU may have is not known then: the program waits for it, and is not told that there is none."""
        with PvgpuEnv({"vgpu0": "1G", "other": "1G"}, settings={"shutdown_grace_ms": LONG_MS, "log_level": "debug"}) as env:
            s = started(env)
            had = s.mem_info()
            memory = env.vgpus.pop("vgpu0")
            env.restart()
            wait_for("the announcement", lambda: "the guest may finish for" in env.log())
            self.assertEqual(s.mem_info(), had)
            asked = s.post(raw.MEM_ALLOC, struct.pack("<QQ", raw.CTX, 4 << 20))
            wait_for("the request", lambda: "lease of 4194304 bytes waits" in env.log())
            env.vgpus["vgpu0"] = memory
            env.restart()
            result, body = s.wait(asked)
            self.assertEqual(result, 0)
            self.assertNotEqual(body, bytes(8))
            s.close()

    def test_a_shutdown_that_is_cut_short(self):
        for sig in (signal.SIGKILL, signal.SIGUSR1):
            with self.subTest(sig), PvgpuEnv(settings={"shutdown_grace_ms": GRACE_MS}) as env:
                s = started(env)
                env.daemon.terminate()
                wait_for("the announcement", lambda: "the guest may finish for" in env.log())
                env.kill_daemon(sig)
                env.start()
                adopted(env)
                outlives(self, env, s)
                s.close()

    def test_a_drain_that_cannot_be_recorded(self):
        """It is an error of the command, and holds until pvgpud is started again."""
        with PvgpuEnv() as env:
            full(env)
            answer = env.write("/vgpu/vgpu0/drain", "1")
            self.assertEqual((answer["ok"], answer["error"]), (False, "EIO"))
            self.assertRegex(answer["reason"], FORGOTTEN)
            refuses(self, env)
            set_drain(self, env, "1")
            env.restart()
            refuses(self, env)
            set_drain(self, env, "0")


class Gpu(unittest.TestCase):
    """pvgpuctl gpu drain and admit, whose state the next pvgpud has, too."""

    def ctl(self, env, *words):
        return subprocess.run([program("pvgpuctl", env.build), *words, "--run-dir", env.run_dir], capture_output=True, text=True, timeout=120, check=False)

    def test_a_state_that_was_not_written(self):
        with PvgpuEnv() as env:
            env.wait_spare()
            full(env)
            done = self.ctl(env, "gpu", "drain", "default")
            self.assertEqual(done.returncode, 1, done.stdout)
            self.assertRegex(done.stderr, FORGOTTEN)
            self.assertNotIn("faults.new", os.listdir(env.run_dir))
            self.assertTrue(env.read("/pool/default/health").startswith("unhealthy: drained by an operator"))
            self.assertIn("/pool/default/health: 'ok' -> 'drain'", env.log())
            self.assertEqual(self.ctl(env, "gpu", "drain", "default").returncode, 0)
            full(env)
            env.restart()
            self.assertTrue(env.read("/pool/default/health").startswith("unhealthy: drained by an operator"))
            self.assertEqual(self.ctl(env, "gpu", "admit", "default").returncode, 0)

if __name__ == "__main__":
    unittest.main()
