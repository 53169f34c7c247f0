# SPDX-License-Identifier: MIT
"""Workers that a guest has taken over (tests/hostile/cheat.c) against the GPU's own accounting.

A worker that ignores its gate or its lease is detected and ended, whatever it reports. The vGPU beside it keeps its share
and its sessions. No honest worker is ever ended, however busy the GPU is.
"""
import contextlib
import os
import random
import re
import signal
import subprocess
import sys
import time
import unittest

from pvgpu_env import PvgpuEnv, build_dir, state_of, wait_for

MANY = "1000000000"
LIMIT = 120


def program(env, name):
    return os.path.join(env.build, "programs", name)


def occupy(env, vgpu, us=500, deep=8, mib=1, launches=MANY):
    return env.popen([program(env, "occupy"), launches, str(us), str(deep), str(mib)], vgpu,
                     stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish(p):
    if p.poll() is None:
        p.kill()
    p.communicate()


def number(env, path):
    return int(env.read(path) or 0)


class Cheat(unittest.TestCase):
    def env(self, how=None, vgpus=None, sim=None, **settings):
        worker_env = {"PVGPU_CHEAT": f"{how}:bad"} if how else {}
        return PvgpuEnv(vgpus=vgpus or {"bad": "512M", "good": "512M"}, worker_env=worker_env, sim=sim,
                        worker=os.path.join(build_dir(), "tests", "pvgpu-worker-cheat") if how else None,
                        settings={"log_level": "debug", **settings})

    def wait_accounting(self, env):
        wait_for("the accounting", lambda: env.read("/daemon/accounting") == "on", LIMIT)

    def assert_ended(self, env, p, reason):
        """The session is ended for this reason, and the guest's program gets an error."""
        out, _ = p.communicate(timeout=LIMIT)
        self.assertEqual(p.returncode, 1, out)
        self.assertIn("DEVICE_UNAVAILABLE", out)
        env.wait_sessions(0, "bad")
        self.assertRegex(env.read("/vgpu/bad/last-reason"), reason)
        self.assertIn("killed", env.log())


class Lease(Cheat):
    def test_memory_without_a_lease(self):
        with self.env("lease", context_memory="16M") as env:
            self.wait_accounting(env)
            good = occupy(env, "good", mib=200)
            env.wait_sessions(1, "good")
            wait_for("its memory", lambda: number(env, "/vgpu/good/memory-used") >= 200 << 20)
            bad = occupy(env, "bad", mib=100)
            self.assert_ended(env, bad, r"has 1\d\d MiB of device memory, of which it leased 0 MiB")
            self.assertIsNone(good.poll())
            self.assertEqual(number(env, "/vgpu/good/sessions"), 1)
            finish(good)
            # Nothing is left behind.
            env.check_idle()

    def test_sessions_together(self):
        """Each has no more than a session may have beside its lease; together they have more than their vGPU."""
        with self.env("lease", vgpus={"bad": "128M", "good": "256M"}, context_memory="64M", context_charge="1M") as env:
            self.wait_accounting(env)
            good = occupy(env, "good", mib=200)
            wait_for("its memory", lambda: number(env, "/vgpu/good/memory-used") >= 200 << 20)
            bad = [occupy(env, "bad", mib=60) for _ in range(4)]
            wait_for("the end of one", lambda: any(p.poll() is not None for p in bad), LIMIT)
            env.wait_sessions(3, "bad")
            self.assertRegex(env.read("/vgpu/bad/last-reason"),
                             r"has 6\d MiB of device memory, of which it leased 0 MiB: its vGPU has 2\d\d MiB of 128")
            self.assertEqual(number(env, "/vgpu/bad/faults"), 1)
            # What was never leased counts, too.
            wait_for("it to count", lambda: number(env, "/vgpu/bad/memory-used") >= 180 << 20, LIMIT)
            self.assertIsNone(good.poll())
            for p in (*bad, good):
                finish(p)
            env.check_idle()

    def test_within_the_allowance(self):
        """Memory of contexts is within the allowance: the worker is not ended."""
        with self.env("lease", context_memory="512M") as env:
            self.wait_accounting(env)
            p = occupy(env, "bad", mib=100, launches="2000")
            out, _ = p.communicate(timeout=LIMIT)
            self.assertEqual(p.returncode, 0, out)

    def test_honest_churn(self):
        """Memory is allocated and freed faster than the accounting samples it."""
        with self.env(context_memory="16M", health_period_ms=20) as env:
            self.wait_accounting(env)
            churn = [env.popen([program(env, "churn")], v, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
                     for v in ("bad", "good")]
            for p in churn:
                out, _ = p.communicate(timeout=LIMIT)
                self.assertEqual(p.returncode, 0, out)
            self.assertNotIn("killed", env.log())


class Strangers(Cheat):
    def test_a_process_that_is_no_worker(self):
        with self.env() as env:
            self.wait_accounting(env)
            self.assertEqual(env.read("/pool/default/unknown-processes"), "0")
            p = env.popen([program(env, "occupy"), MANY, "500", "8", "1"], direct=True, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL)
            wait_for("the alarm", lambda: env.read("/pool/default/unknown-processes") == "1", LIMIT)
            self.assertIn(f"process {p.pid} (occupy) is on its GPU and is no worker", env.log())
            finish(p)
            wait_for("its end", lambda: env.read("/pool/default/unknown-processes") == "0", LIMIT)
            self.assertNotIn("killed", env.log())


class Gate(Cheat):
    def launches(self, env, vgpu):
        return number(env, f"/vgpu/{vgpu}/launches")

    def check_found(self, how):
        """The cheat is detected and ended; the other vGPU goes on alone."""
        with self.env(how) as env:
            self.wait_accounting(env)
            # Kernels long enough to keep the GPU busy all the time beside other load on the CPUs.
            good = occupy(env, "good", us=4000)
            wait_for("some launches", lambda: self.launches(env, "good") > 20, LIMIT)
            bad = occupy(env, "bad", us=4000)
            self.assert_ended(env, bad, "used the GPU for|issued GPU work with its gate closed")
            found = re.search(r"bad: killed: (.*)", env.log())[1]
            print(f"{how}: {found}", file=sys.stderr)
            before = self.launches(env, "good")
            wait_for("more launches", lambda: self.launches(env, "good") > before + 50, LIMIT)
            self.assertIsNone(good.poll())
            self.assertEqual(number(env, "/vgpu/good/sessions-failed"), 0)
            self.assertEqual(number(env, "/vgpu/bad/faults"), 1)
            finish(good)

    def test_reports_nothing(self):
        self.check_found("silent")

    def test_reports_what_it_does(self):
        self.check_found("open")

    def test_says_that_it_has_drained(self):
        self.check_found("drained")

    def test_says_that_it_drains(self):
        """Without unfinished work there is nothing to drain."""
        self.check_found("draining")

    def test_says_that_a_kernel_runs(self):
        """pvgpud cannot disprove that a kernel still runs: it waits for the kernel limit from when the gate was closed.
        Claims that it is another kernel, or a gate that opens for a moment, do not extend that."""
        limit = 1500
        with self.env("stuck") as env:
            self.wait_accounting(env)
            env.write("/vgpu/bad/kernel-limit", str(limit))
            good = occupy(env, "good", us=4000)
            wait_for("some launches", lambda: self.launches(env, "good") > 20, LIMIT)
            bad = occupy(env, "bad", us=4000)
            self.assert_ended(env, bad, f"kernel-limit is {limit} ms")
            # It had half of the GPU, or its grant, for no longer than the limit and the grace.
            self.assertLess(number(env, "/vgpu/bad/gpu-time"), 4 * limit * 1000)
            self.assertIsNone(good.poll())
            finish(good)

    def test_quarantine(self):
        """A vGPU whose workers cheat repeatedly is quarantined."""
        with self.env("silent", quarantine_faults=2) as env:
            self.wait_accounting(env)
            good = occupy(env, "good", us=4000)
            for _ in range(2):
                env.wait_sessions(1, "good")
                self.assert_ended(env, occupy(env, "bad", us=4000), "used the GPU for")
            wait_for("quarantine", lambda: number(env, "/vgpu/bad/quarantined") > 0, LIMIT)
            p = occupy(env, "bad")
            out, _ = p.communicate(timeout=LIMIT)
            self.assertEqual(p.returncode, 1, out)
            self.assertIsNone(good.poll())
            finish(good)
            env.write("/vgpu/bad/pardon", "1")

    def test_charged_as_the_far_end_counts(self):
        """Without others the charge would be the worker's own report: the GPU's accounting corrects it."""
        ms = 1500
        with self.env("modest") as env:
            self.wait_accounting(env)
            p = occupy(env, "bad", us=1000, launches=str(ms))
            out, _ = p.communicate(timeout=LIMIT)
            self.assertEqual(p.returncode, 0, out)
            charged = number(env, "/vgpu/bad/gpu-time")
            self.assertGreater(charged, 0.8 * ms * 1000)
            self.assertNotIn("killed", env.log())

    def test_honest_in_a_crowd(self):
        """Eight vGPUs with work of all shapes, some of it far longer than a slice, and more load than CPUs."""
        shapes = [(200, 16, "3000"), (500, 8, "1500"), (1000, 8, "800"), (2000, 4, "500"),
                  (5000, 8, "200"), (20000, 2, "60"), (60000, 8, "20"), (250000, 2, "5")]
        vgpus = {f"v{i}": "64M" for i in range(len(shapes))}
        with self.env(vgpus=vgpus) as env:
            self.wait_accounting(env)
            guests = [occupy(env, v, us, deep, launches=n) for v, (us, deep, n) in zip(vgpus, shapes)]
            for p in guests:
                out, _ = p.communicate(timeout=LIMIT)
                self.assertEqual(p.returncode, 0, out)
            self.assertNotIn("killed", env.log())
            self.assertEqual(sum(number(env, f"/vgpu/{v}/faults") for v in vgpus), 0)
            # All work was seen and charged: at least the time that each program occupied.
            for v, (us, _, n) in zip(vgpus, shapes):
                self.assertGreater(number(env, f"/vgpu/{v}/gpu-time"), 0.7 * us * int(n))


class Files(Cheat):
    """What a worker does to the files that it was given stops nobody else, and pvgpud least of all."""

    def neighbour_is_served(self, env, rounds=3):
        for _ in range(rounds):
            r = env.run([program(env, "vecadd")], "good", timeout=LIMIT)
            self.assertEqual(r.returncode, 0, r.stderr)
            self.assertIsNotNone(env.read("/daemon/version"))

    def check_harmless(self, how):
        with self.env(how, worker_grace_ms=500) as env:
            self.wait_accounting(env)
            good = occupy(env, "good", us=1000)
            wait_for("some launches", lambda: self.launches(env, "good") > 20, LIMIT)
            bad = env.popen([program(env, "vecadd")], "bad", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            env.wait_sessions(1, "bad")
            for _ in range(20):
                before = self.launches(env, "good")
                wait_for("more launches", lambda: self.launches(env, "good") > before + 20, LIMIT)
            self.neighbour_is_served(env)
            self.assertIsNone(good.poll())
            self.assertIsNone(bad.poll())
            self.assertEqual(number(env, "/vgpu/good/sessions-failed"), 0)
            finish(good)
            finish(bad)

    def launches(self, env, vgpu):
        return number(env, f"/vgpu/{vgpu}/launches")

    def test_full(self):
        self.check_harmless("fill")

    def test_drained(self):
        self.check_harmless("drain")

    def test_flood(self):
        """It asks all the time and hears nothing of the answers: it is ended for it, and that is a fault."""
        with self.env("flood") as env:
            good = occupy(env, "good", us=1000)
            wait_for("some launches", lambda: self.launches(env, "good") > 20, LIMIT)
            bad = occupy(env, "bad", us=1000)
            self.assert_ended(env, bad, "floods its control socket")
            self.neighbour_is_served(env, 1)
            self.assertEqual(number(env, "/vgpu/bad/faults"), 1)
            self.assertIsNone(good.poll())
            finish(good)


class Starved(Cheat):
    """Honest workers that are starved of CPU: a late report is not taken for unauthorised use."""

    ROUNDS = 50

    def pause(self, pids, seconds):
        stopped = []
        for p in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(p, signal.SIGSTOP)
                stopped.append(p)
        try:
            time.sleep(seconds)
        finally:
            for p in stopped:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(p, signal.SIGCONT)

    def test_paused_at_random(self):
        work = {"v0": (500, 8), "v1": (500, 8), "v2": (500, 8), "v3": (500, 8), "v4": (4000, 4)}
        luck = random.Random(7)
        with self.env(vgpus={v: "64M" for v in work}, sim={"SIMCUDA_THREADS": "1"}) as env:
            self.wait_accounting(env)
            guests = [occupy(env, v, us, deep) for v, (us, deep) in work.items()]
            wait_for("their launches", lambda: all(number(env, f"/vgpu/{v}/launches") > 10 for v in work), LIMIT)
            for _ in range(self.ROUNDS):
                some = [p for p in env.workers() if luck.random() < 0.5]
                # pvgpud and pvgpu-health are starved, too.
                some += [p for p in (env.pid, env.health()[0]) if p and luck.random() < 0.3]
                self.pause(some, luck.choice([0.05, 0.15, 0.3, 0.6]))
            self.assertNotIn("killed:", env.log())
            self.assertEqual([p.poll() for p in guests], [None] * len(guests))
            for p in guests:
                finish(p)


class Health(Cheat):
    """pvgpu-health may die, hang or be missing: sessions go on."""

    def serves(self, env):
        r = env.run([program(env, "vecadd")], "good")
        self.assertEqual(r.returncode, 0, r.stderr)

    def test_killed(self):
        with self.env() as env:
            self.wait_accounting(env)
            first = env.health()[0]
            os.kill(first, 9)
            wait_for("another one", lambda: env.health()[0] not in (None, first), LIMIT)
            self.wait_accounting(env)
            self.assertIn("pvgpu-health: works again", env.log())
            self.serves(env)

    def test_hangs(self):
        with self.env(sim={"SIMCUDA_NVML_FAULT": "hang:20"}, health_timeout_ms=500) as env:
            wait_for("two of them to hang",
                     lambda: env.log().count("pvgpu-health: sent nothing for 500 ms") >= 2, LIMIT)
            self.serves(env)
            self.assertEqual(len(re.findall("warning: pvgpu-health: sent nothing", env.log())), 1)

    def test_no_gpu(self):
        with self.env(sim={"SIMCUDA_NVML_FAULT": "init:9"}) as env:
            wait_for("its state", lambda: env.read("/daemon/accounting") == "off: nvmlInit: driver not loaded", LIMIT)
            self.serves(env)

    def test_no_library(self):
        with self.env(libnvml="/nowhere/libnvidia-ml.so.1") as env:
            wait_for("its state", lambda: "/nowhere" in env.read("/daemon/accounting"), LIMIT)
            # It is longer than one record's text.
            self.assertIn("cannot open shared object file: No such file or directory", env.read("/daemon/accounting"))
            self.assertIn("a worker that ignores its gate or its lease is not found", env.log())
            self.serves(env)

    def test_not_wanted(self):
        with self.env(libnvml="") as env:
            self.assertEqual(env.read("/daemon/accounting"), "off: libnvml is empty")
            self.assertIsNone(env.health()[0])
            self.serves(env)

    def test_no_program(self):
        with self.env(health="/nowhere/pvgpu-health") as env:
            wait_for("its state", lambda: "No such file" in env.read("/daemon/accounting"), LIMIT)
            self.serves(env)

    @unittest.skipIf(os.geteuid() != 0, "must be root to become somebody else")
    def test_unprivileged(self):
        with self.env(health_user="nobody") as env:
            pid = wait_for("pvgpu-health", lambda: env.health()[0], LIMIT)
            wait_for("another user", lambda: os.stat(f"/proc/{pid}").st_uid != 0 or state_of(pid) is None, LIMIT)
            with open(f"/proc/{pid}/status") as f:
                status = f.read()
            self.assertRegex(status, r"CapEff:\s+0+\n")
            self.assertRegex(status, r"NoNewPrivs:\s+1\n")
            self.serves(env)

    def test_ends_with_pvgpud(self):
        with self.env() as env:
            self.wait_accounting(env)
            pid = env.health()[0]
            env.restart()
            wait_for("its end", lambda: state_of(pid) in (None, "Z"), LIMIT)
            self.wait_accounting(env)


if __name__ == "__main__":
    unittest.main()
