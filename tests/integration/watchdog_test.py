# SPDX-License-Identifier: MIT
"""Watchdog, quarantine and canary, with real workers on the simulated GPU: work that harms others is ended, a vGPU that
repeats it is quarantined, and a GPU that may be damaged is checked.

Nothing here depends on the machine's speed: limits are short, so that endless work is found soon, and tests wait for
effects.
"""
import contextlib
import errno
import json
import mmap
import os
import re
import signal
import struct
import subprocess
import time
import unittest

import rawclient as raw
from pvgpu_env import PvgpuEnv, marked_processes, program, state_of, wait_for

# Offsets in struct simgpu (tests/simcuda/simgpu.h), and the begin of a slot.
LOST_AT = 40
SHORT = {"watchdog_grace_ms": 100, "canary_pause_ms": 10}
# Without NVML: the GPU's own report (an Xid) would be used as the reason instead.
NO_XIDS = {"libnvml": ""}
OTHER = "memory=256M,kernel_limit=0"


def hang(env):
    return os.path.join(env.build, "programs", "hang")


def occupy(env):
    return os.path.join(env.build, "programs", "occupy")


def ctl(env, *args):
    return subprocess.run([program("pvgpuctl", env.build), *args, "--run-dir", env.run_dir], capture_output=True,
                          text=True, timeout=240, check=False)


@contextlib.contextmanager
def user(uid):
    """Connects as this user."""
    was = os.geteuid()
    if uid:
        os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(was)


def breach(env, name="vgpu0", uid=0):
    """Open a session that breaks the protocol, and wait for its end."""
    faults = int(env.read(f"/vgpu/{name}/faults"))
    with user(uid):
        session = raw.Session(env.socket(name))
    with session as s:
        s.start()
        s.post(60000)
        s.wait_end()
    wait_for("the fault to be counted", lambda: int(env.read(f"/vgpu/{name}/faults")) > faults)


def set_lost(env, value):
    """Mark the GPU as lost for all processes. One must be using it: the first process sets the GPU up again."""
    with open(env.gpu_file, "r+b") as f, mmap.mmap(f.fileno(), 4096) as m:
        m[LOST_AT:LOST_AT + 4] = struct.pack("<I", value)


class Watchdog(unittest.TestCase):
    """Endless work is ended; other vGPUs are only slowed down, as by any shared use."""

    def check_ended(self, env, p, name="vgpu0"):
        """An endless program's session was ended: the error is reported by each call."""
        out, err = p.communicate(timeout=120)
        self.assertEqual(p.returncode, 0, err)
        self.assertEqual(out.splitlines(), [b"running", b"CUDA_ERROR_DEVICE_UNAVAILABLE"])
        wait_for("its end", lambda: "kernel-limit is" in env.read(f"/vgpu/{name}/last-reason"))

    def endless(self, env, name="vgpu0"):
        return env.popen([hang(env), "endless"], name, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def check_ended_alone(self, env, what):
        """vgpu0's program is ended, and the one of vgpu1 beside it goes on."""
        other = env.popen([hang(env), "delay", "20", "100"], "vgpu1", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        env.wait_sessions(1, "vgpu1")
        self.check_ended(env, env.popen([hang(env), what], "vgpu0", stdout=subprocess.PIPE, stderr=subprocess.PIPE))
        self.assertEqual(env.read("/vgpu/vgpu0/faults"), "1")
        out, err = other.communicate(timeout=120)
        self.assertEqual((other.returncode, out), (0, b"100 kernels are right\n"), err)
        self.assertEqual(env.read("/vgpu/vgpu1/faults"), "0")

    def test_an_endless_kernel(self):
        with PvgpuEnv({"vgpu0": "memory=256M,kernel_limit=300", "vgpu1": OTHER}, settings=SHORT) as env:
            other = env.popen([hang(env), "delay", "20", "100"], "vgpu1", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            env.wait_sessions(1, "vgpu1")
            self.check_ended(env, self.endless(env))
            self.assertIn("over the kernel-limit of 300 ms: gate closed, 100 ms of grace", env.log())
            self.assertEqual(env.read("/vgpu/vgpu0/faults"), "1")
            wait_for("a canary", lambda: "canary kernel succeeded" in env.log())
            self.assertRegex(env.log(), r"it was run after session \d+ vgpu0 was ended")
            self.assertEqual(env.read("/pool/default/health"), "ok")
            out, err = other.communicate(timeout=120)
            self.assertEqual((other.returncode, out), (0, b"100 kernels are right\n"), err)
            self.assertEqual(env.read("/vgpu/vgpu1/faults"), "0")
            self.assertEqual(env.run([hang(env)]).returncode, 0)

    def test_an_endless_loop(self):
        """A launch whose graph loops for ever is ended as a kernel is, though each of its kernels ends long before the limit."""
        with PvgpuEnv({"vgpu0": "memory=256M,kernel_limit=300", "vgpu1": OTHER}, settings=SHORT) as env:
            self.check_ended_alone(env, "loop")

    def test_an_endless_wait(self):
        """A stream that waits for a word for ever is ended as a kernel is, and the vGPU beside it goes on."""
        with PvgpuEnv({"vgpu0": "memory=256M,kernel_limit=300", "vgpu1": OTHER}, settings=SHORT) as env:
            self.check_ended_alone(env, "word")
            self.assertEqual(env.run([os.path.join(env.build, "programs", "memops")]).returncode, 0)

    def test_others_get_their_part_meanwhile(self):
        """Beside another's endless kernel a vGPU gets a half of the GPU, by the GPU's own time slices."""
        with PvgpuEnv({"vgpu0": "memory=256M,kernel_limit=2000", "vgpu1": OTHER}, settings=SHORT) as env:
            other = env.popen([occupy(env), "1000000", "5000", "4"], "vgpu1", stdout=subprocess.DEVNULL)
            env.wait_sessions(1, "vgpu1")
            p = self.endless(env)
            wait_for("it to run", lambda: self.used(env, "vgpu0") > 200000)
            first = {n: self.used(env, n) for n in env.vgpus}
            self.check_ended(env, p)
            gained = {n: self.used(env, n) - first[n] for n in env.vgpus}
            other.kill()
            other.wait()
            self.assertGreater(gained["vgpu1"], 0.6 * gained["vgpu0"], gained)

    def used(self, env, name):
        """GPU time charged to the vGPU for all of its workers so far, in microseconds."""
        return int(env.read(f"/vgpu/{name}/gpu-time"))

    def test_three_kills_are_too_many(self):
        with PvgpuEnv({"vgpu0": "memory=256M,kernel_limit=200"}, settings={**SHORT, "quarantine_faults": 3}) as env:
            for _ in range(3):
                self.check_ended(env, self.endless(env))
            wait_for("the quarantine", lambda: env.read("/vgpu/vgpu0/quarantined") != "0")
            self.assertEqual(env.run([hang(env), "refused"]).stdout, b"CUDA_ERROR_SYSTEM_NOT_READY\n")
            self.assertEqual(ctl(env, "pardon", "vgpu0").returncode, 0)
            r = env.run([hang(env)])
            self.assertEqual((r.returncode, r.stdout), (0, b"3 kernels are right\n"), r.stderr)

    def test_what_takes_long_but_ends(self):
        """Long work is not ended without a limit, nor when each single kernel is within it."""
        with PvgpuEnv({"vgpu0": "memory=256M,kernel_limit=0", "vgpu1": "memory=256M,kernel_limit=3000"}) as env:
            runs = [env.popen([hang(env), "delay", *args], name, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                    for name, args in (("vgpu0", ("2500", "1")), ("vgpu1", ("200", "15")))]
            for p in runs:
                out, err = p.communicate(timeout=120)
                self.assertEqual(p.returncode, 0, err)
                self.assertIn(b"are right", out)
            self.assertNotIn("over the kernel-limit", env.log())

    def test_a_program_that_is_idle(self):
        """An idle program with a short limit is not ended: its last kernel has finished, though it did not query it."""
        with PvgpuEnv({"vgpu0": "memory=256M,kernel_limit=4000", "vgpu1": "memory=256M,kernel_limit=2000"}) as env:
            idle = env.popen([hang(env), "idle"], "vgpu1", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            wait_for("it to stop", lambda: state_of(idle.pid) == "T")
            self.check_ended(env, self.endless(env))
            self.assertEqual(env.read("/vgpu/vgpu1/faults"), "0")
            idle.send_signal(signal.SIGCONT)
            out, err = idle.communicate(timeout=120)
            self.assertEqual((idle.returncode, out), (0, b"nothing has happened\n"), err)

    def test_work_that_only_waits(self):
        """Work behind a host function of a stopped program is not ended: it does not use the GPU."""
        with PvgpuEnv({"vgpu0": "memory=256M,kernel_limit=4000", "vgpu1": "memory=256M,kernel_limit=2000"},
                      settings=SHORT) as env:
            # The accounting must be on.
            self.assertEqual(env.run([hang(env), "delay", "500", "1"]).returncode, 0)
            waits = env.popen([hang(env), "wait"], "vgpu1", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            wait_for("it to stop", lambda: state_of(waits.pid) == "T")
            self.check_ended(env, self.endless(env))
            self.assertEqual(env.read("/vgpu/vgpu1/faults"), "0")
            waits.send_signal(signal.SIGCONT)
            out, err = waits.communicate(timeout=120)
            self.assertEqual((waits.returncode, out), (0, b"nothing has happened\n"), err)

    def test_work_that_waits_for_its_own_vgpu(self):
        """A kernel runs until a memset that is parked at the closed gate, or work waits behind a host function for that, or for
        nothing but the gate once the function has returned, beside a vGPU that always has work: it is let pass."""
        for pool in ("mode=shared", "mode=exclusive", "policy=equal"):
            for what, n, said in (("until", 8, b"8 kernels were stopped\n"), ("function", 20, b"20 functions have returned\n"),
                                  ("returned", 10, b"10 functions have returned\n")):
                with self.subTest(pool=pool, what=what):
                    self.let_pass(pool, [what, str(n)], said)

    def let_pass(self, pool, words, said):
        with PvgpuEnv({"vgpu0": "memory=256M,kernel_limit=4000", "vgpu1": OTHER}, settings=SHORT) as env:
            self.assertTrue(env.write("/daemon/pools", f"default {pool}")["ok"])
            other = env.popen([occupy(env), "1000000", "1000", "16"], "vgpu1", stdout=subprocess.DEVNULL)
            wait_for("work", lambda: self.used(env, "vgpu1") > 50000)
            r = env.run([hang(env), *words], timeout=120)
            self.assertEqual((r.returncode, r.stdout), (0, said), r.stderr)
            self.assertNotIn("over the kernel-limit", env.log())
            self.assertEqual(env.read("/vgpu/vgpu0/faults"), "0")
            self.assertIsNone(other.poll())
            other.kill()
            other.wait()

    def test_a_new_pvgpud_sees_it_too(self):
        with PvgpuEnv({"vgpu0": "memory=256M,kernel_limit=0"}, settings=SHORT) as env:
            p = self.endless(env)
            self.assertEqual(p.stdout.readline(), b"running\n")
            env.kill_daemon()
            env.vgpus["vgpu0"] = "memory=256M,kernel_limit=300"
            env.start()
            out, err = p.communicate(timeout=120)
            self.assertEqual((p.returncode, out), (0, b"CUDA_ERROR_DEVICE_UNAVAILABLE\n"), err)
            wait_for("its end", lambda: "kernel-limit is" in env.read("/vgpu/vgpu0/last-reason"))

    def test_the_limit_is_a_live_setting(self):
        with PvgpuEnv({"vgpu0": "memory=256M,kernel_limit=0"}, settings=SHORT) as env:
            p = self.endless(env)
            self.assertEqual(p.stdout.readline(), b"running\n")
            self.assertEqual(ctl(env, "set", "vgpu0", "kernel-limit=200").returncode, 0)
            self.assertEqual(env.read("/vgpu/vgpu0/kernel-limit"), "200")
            p.communicate(timeout=120)
            wait_for("its end", lambda: "kernel-limit is" in env.read("/vgpu/vgpu0/last-reason"))


class Quarantine(unittest.TestCase):
    def refused(self, env, name="vgpu0"):
        with self.assertRaises(raw.Refused) as e:
            raw.Session(env.socket(name))
        return e.exception

    def test_three_breaches(self):
        with PvgpuEnv({"vgpu0": "256M", "vgpu1": "256M"}, settings={"quarantine_faults": 3}) as env:
            running = raw.Session(env.socket())
            running.start()
            for i in range(3):
                self.assertEqual(env.read("/vgpu/vgpu0/quarantined"), "0")
                breach(env)
                self.assertEqual(env.read("/vgpu/vgpu0/faults"), str(i + 1))
            e = self.refused(env)
            self.assertEqual(e.error, errno.EPERM)
            self.assertRegex(e.reason, r"quarantined for \d+ s more, 3 faults; pvgpuctl pardon vgpu0; last: ")
            self.assertGreater(int(env.read("/vgpu/vgpu0/quarantined")), 0)
            self.assertIn("quarantined for 600 s after 3 faults", env.log())
            # An application gets an error, too; running sessions and other vGPUs are not affected.
            r = env.run([hang(env), "refused"], extra={"PVGPU_DEBUG": "1"})
            self.assertEqual((r.returncode, r.stdout), (0, b"CUDA_ERROR_SYSTEM_NOT_READY\n"))
            self.assertIn(b"quarantined for", r.stderr)
            self.assertEqual(running.alloc(4096)[0], 0)
            running.close()
            raw.Session(env.socket("vgpu1")).close()
            self.pardon_in_the_end(env)

    def pardon_in_the_end(self, env):
        """The quarantine survives any end of pvgpud, and is ended by a pardon."""
        for sig in (signal.SIGKILL, signal.SIGUSR1, signal.SIGTERM):
            env.restart(sig)
            self.assertEqual(self.refused(env).error, errno.EPERM)
            self.assertEqual(env.read("/vgpu/vgpu0/faults"), "3")
        r = ctl(env, "pardon", "vgpu0")
        self.assertEqual(r.returncode, 0, r.stderr)
        self.assertEqual(env.read("/vgpu/vgpu0/pardon"), "1")
        self.assertEqual(env.read("/vgpu/vgpu0/quarantined"), "0")
        raw.Session(env.socket()).close()
        breach(env)
        raw.Session(env.socket()).close()
        # Writing the same number again is no pardon; a higher one is.
        breach(env)
        breach(env)
        self.refused(env)
        env.write("/vgpu/vgpu0/pardon", "1")
        self.refused(env)
        self.assertFalse(env.write("/vgpu/vgpu0/pardon", "soon")["ok"])
        self.assertEqual(ctl(env, "set", "vgpu0", "pardon=+4").returncode, 0)
        self.assertEqual(env.read("/vgpu/vgpu0/pardon"), "5")
        raw.Session(env.socket()).close()

    @unittest.skipIf(os.geteuid(), "needs root, to connect as others")
    def test_one_user(self):
        """Faults of one user are not the others'; the next pvgpud knows whose they were."""
        with PvgpuEnv({"vgpu0": "memory=256M,mode=0666"}, settings={"quarantine_faults": 3}) as env:
            for folder in (env.dir, env.run_dir):
                os.chmod(folder, 0o711)
            for _ in range(2):
                breach(env, uid=1000)
            for sig in (None, signal.SIGKILL):
                if sig:
                    env.restart(sig)
                with user(1000):
                    e = self.refused(env)
                self.assertEqual(e.error, errno.EPERM)
                self.assertRegex(e.reason, r"^this user is quarantined for \d+ s more; pvgpuctl pardon vgpu0$")
                with user(1001):
                    raw.Session(env.socket()).close()
                self.assertEqual(env.read("/vgpu/vgpu0/quarantined"), "0")
            self.assertIn("vgpu0: user 1000 of its guest quarantined for 600 s", env.log())
            breach(env, uid=1001)
            with user(1001):
                self.assertRegex(self.refused(env).reason, "^quarantined for")
            self.assertEqual(ctl(env, "pardon", "vgpu0").returncode, 0)
            with user(1000):
                raw.Session(env.socket()).close()

    def test_breaches_without_a_session(self):
        """A malformed request counts as a fault; one of another version does not."""
        with PvgpuEnv(settings={"quarantine_faults": 3}) as env:
            def faults(**request):
                with self.assertRaises(raw.Refused):
                    raw.Session(env.socket(), **request)
                return int(env.read("/vgpu/vgpu0/faults"))
            self.assertEqual(faults(version=99), 0)
            for i in range(3):
                raw.Session(env.socket()).close()
                wait_for("the fault", lambda n=i: faults(magic=1) > n)
            self.assertEqual(self.refused(env).error, errno.EPERM)
            self.assertIn("quarantined for 600 s after 3 faults", env.log())
            self.assertLess(len(env.log().splitlines()), 100)
            self.assertEqual(ctl(env, "pardon", "vgpu0").returncode, 0)
            raw.Session(env.socket()).close()

    def test_time_ends_it(self):
        settings = {"quarantine_faults": 1, "quarantine_time_s": 1, "quarantine_window_s": 1}
        with PvgpuEnv(settings=settings) as env:
            breach(env)
            self.assertIn("quarantined for 1 s after 1 fault:", env.log())

            def works():
                try:
                    raw.Session(env.socket()).close()
                    return True
                except raw.Refused:
                    return False
            wait_for("a session again", works)
            # The last fault has left the window, too: no fault counts any more.
            wait_for("nothing to be remembered", lambda: env.read("/vgpu/vgpu0/quarantined") == "0")

    def test_errors_of_kernels_count_only_if_wanted(self):
        for wanted in (0, 1):
            settings = {"quarantine_faults": 1, "quarantine_kernel_faults": wanted}
            with self.subTest(wanted=wanted), PvgpuEnv(settings=settings) as env:
                r = env.run([hang(env), "wild"])
                self.assertEqual((r.returncode, r.stdout.splitlines()[-1]), (0, b"CUDA_ERROR_ILLEGAL_ADDRESS"))
                wait_for("its end", lambda: "first device error was CUresult 700" in env.log())
                env.wait_sessions(0)
                self.assertEqual(env.read("/vgpu/vgpu0/faults"), str(wanted))
                self.assertEqual(env.read("/vgpu/vgpu0/quarantined") != "0", bool(wanted))
                if wanted:
                    ctl(env, "pardon", "vgpu0")

    def test_a_file_that_makes_no_sense(self):
        with PvgpuEnv(settings={"quarantine_faults": 1}) as env:
            for text in ("{", "[]", '{"boot": 3}', json.dumps({"boot": "x", "vgpus": {"vgpu0": 7}}), "\0" * 5000):
                env.kill_daemon()
                with open(os.path.join(env.run_dir, "faults"), "w") as f:
                    f.write(text)
                env.start()
                raw.Session(env.socket()).close()


class Canary(unittest.TestCase):
    """A broken GPU takes no new sessions, until a canary succeeds or an operator declares it healthy."""

    def refused(self, env):
        with self.assertRaises(raw.Refused) as e:
            raw.Session(env.socket())
        self.assertEqual(e.exception.error, errno.ENODEV)
        return e.exception.reason

    def blames(self, env):
        r = env.run([hang(env), "delay", "1", "3"])
        self.assertEqual(r.returncode, 1)
        self.assertIn(b"CUDA_ERROR_ECC_UNCORRECTABLE", r.stderr)

    def test_a_memory_error_is_looked_into(self):
        """An error of the hardware, of which the GPU tells by an Xid, is not the vGPU's fault."""
        # The second launch of each process fails: a canary launches once.
        with PvgpuEnv(sim={"SIMCUDA_FAULT": "ecc:2"}, settings={"quarantine_faults": 1}) as env:
            wait_for("the accounting", lambda: env.read("/daemon/accounting") == "on")
            for _ in range(3):
                self.blames(env)
            wait_for("the canary", lambda: "canary kernel succeeded" in env.log())
            wait_for("the Xid", lambda: "Xid 48" in env.log())
            env.wait_sessions(0)
            self.assertEqual(env.read("/vgpu/vgpu0/faults"), "0")
            self.assertEqual(env.read("/pool/default/health"), "ok")

    def test_blame_of_a_gpu_that_works(self):
        """Neither an Xid nor a canary knows of the error: it is a fault, and there is one canary for many of them."""
        with PvgpuEnv(sim={"SIMCUDA_FAULT": "ecc:2"}, settings={"quarantine_faults": 3, **NO_XIDS}) as env:
            self.blames(env)
            wait_for("the verdict", lambda: env.read("/vgpu/vgpu0/faults") == "1")
            self.assertIn("after CUresult 214 of session", env.log())
            self.blames(env)
            self.blames(env)
            wait_for("quarantine", lambda: env.read("/vgpu/vgpu0/faults") == "3")
            self.assertEqual(len(re.findall("canary kernel succeeded", env.log())), 1)
            self.assertEqual(env.read("/pool/default/health"), "ok")
            self.assertIn("blamed the GPU, which works", env.read("/vgpu/vgpu0/last-reason"))
            env.write("/vgpu/vgpu0/pardon", "1")

    def test_a_lost_device(self):
        with PvgpuEnv(settings={**SHORT, "canary_tries": 2, **NO_XIDS}) as env:
            other = raw.Session(env.socket())
            other.start()
            set_lost(env, 1)
            r = env.run([hang(env)])
            self.assertEqual(r.returncode, 1)
            wait_for("the GPU to be found unhealthy", lambda: env.read("/pool/default/health") != "ok")
            self.assertEqual(env.read("/pool/default/health"),
                             "unhealthy: canary kernel: cuCtxSynchronize gives CUresult 46")
            self.assertIn("the GPU is unhealthy: canary kernel", self.refused(env))
            self.assertEqual(env.run([hang(env), "refused"]).stdout, b"CUDA_ERROR_NO_DEVICE\n")
            self.assertEqual(len(re.findall("canary kernel failed", env.log())), 2)
            # A restarted pvgpud finds out by a canary of its own.
            env.restart()
            wait_for("its own canary", lambda: "canary kernel failed" in env.log().rsplit("vgpu vgpu0: ", 1)[1])
            wait_for("the GPU to be found unhealthy", lambda: env.read("/pool/default/health") != "ok")
            # An operator's declaration is checked by a canary.
            self.assertFalse(env.write("/pool/default/health", "fine")["ok"])
            self.assertTrue(env.write("/pool/default/health", "ok")["ok"])
            wait_for("the GPU to be found unhealthy", lambda: env.read("/pool/default/health") != "ok")
            set_lost(env, 0)
            self.assertTrue(env.write("/pool/default/health", "ok")["ok"])
            wait_for("a canary", lambda: "canary kernel succeeded" in env.log())
            self.assertEqual(env.read("/pool/default/health"), "ok")
            self.assertEqual(env.run([hang(env)]).returncode, 0)
            other.close()

    def test_admit_believes_the_right_answer_alone(self):
        """After a wrong answer the GPU is in use until the next try: that is no verdict."""
        with PvgpuEnv(settings={**SHORT, "canary_tries": 2, "canary_pause_ms": 2000, **NO_XIDS}) as env:
            def admit():
                return subprocess.run([program("pvgpuctl"), "--run-dir", env.run_dir, "gpu", "admit", "default", "--timeout", "120"],
                                      capture_output=True, text=True, timeout=240, check=False)

            other = raw.Session(env.socket())
            other.start()
            self.assertTrue(env.write("/pool/default/health", "drain")["ok"])
            set_lost(env, 1)
            done = admit()
            self.assertEqual(done.returncode, 1, done.stdout)
            self.assertIn("GPU default: unhealthy: canary kernel: cuCtxSynchronize gives CUresult 46", done.stderr)
            set_lost(env, 0)
            done = admit()
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("is in use again: its test kernel gave the right answer", done.stdout)
            other.close()

    def test_a_canary_that_succeeds_ends_it(self):
        with PvgpuEnv(settings={**SHORT, "canary_tries": 1, "canary_every_s": 1, **NO_XIDS}) as env:
            other = raw.Session(env.socket())
            set_lost(env, 1)
            env.run([hang(env)])
            wait_for("the GPU to be found unhealthy", lambda: env.read("/pool/default/health") != "ok")
            set_lost(env, 0)
            wait_for("the GPU to be healthy", lambda: env.read("/pool/default/health") == "ok")
            self.assertIn("GPU healthy again", env.log())
            self.assertEqual(env.run([hang(env)]).returncode, 0)
            other.close()


    def test_others_long_kernels_are_no_fault(self):
        """Four vGPUs have kernels of seconds, each with a limit of 300 ms: the canary waits 1200 ms."""
        vgpus = {"vgpu0": "memory=256M,kernel_limit=300", **{f"vgpu{i}": OTHER for i in range(1, 5)}}
        settings = {**SHORT, **NO_XIDS, "canary_limit_ms": 1000, "canary_tries": 1}
        with PvgpuEnv(vgpus, sim={"SIMCUDA_SLICE_US": "300000"}, settings=settings) as env:
            others = [env.popen([occupy(env), "1000000", "3000000", "2"], f"vgpu{i}", stdout=subprocess.DEVNULL)
                      for i in range(1, 5)]
            for i in range(1, 5):
                wait_for("its kernels", lambda n=i: env.read(f"/vgpu/vgpu{n}/gpu-time") != "0", 120)
            endless = env.popen([hang(env), "endless"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            wait_for("a canary", lambda: env.read("/pool/default/canaries") != "0", 300)
            self.assertEqual(endless.wait(timeout=120), 0)
            self.assertIn("canary kernel succeeded", env.log())
            self.assertEqual(env.read("/pool/default/health"), "ok")
            for p in others:
                p.kill()
                p.wait()

    def test_one_that_does_not_end(self):
        """A canary that hangs is given up after its limit, and another one is started."""
        settings = {**SHORT, **NO_XIDS, "canary_limit_ms": 300}
        with PvgpuEnv({"vgpu0": "memory=256M,kernel_limit=1000"}, settings=settings) as env:
            p = env.popen([hang(env), "endless"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            env.wait_sessions(1)
            env.wait_spare()
            for pid, command in marked_processes(env.mark).items():
                if "pvgpu-worker" in command and pid not in env.workers():
                    os.kill(pid, signal.SIGSTOP)
            wait_for("it", lambda: "canary kernel failed (1 of 3): did not end within 300 ms of GPU time" in env.log())
            wait_for("another one", lambda: "canary kernel succeeded" in env.log())
            self.assertEqual(env.read("/pool/default/health"), "ok")
            self.assertEqual(p.wait(timeout=120), 0)

    def test_a_gpu_whose_memory_is_full(self):
        """A canary without memory proves nothing; it is retried."""
        fault = "fail:cuCtxCreate_v2:0:2;ecc:2"
        with PvgpuEnv(sim={"SIMCUDA_FAULT": fault}, settings={**SHORT, **NO_XIDS, "canary_every_s": 1}) as env:
            self.assertEqual(env.run([hang(env), "delay", "1", "3"]).returncode, 1)
            wait_for("two of them", lambda: env.log().count("no memory for the canary kernel") > 1)
            self.assertEqual(env.read("/pool/default/health"), "ok")
            self.assertNotIn("canary kernel failed", env.log())


class Xids(unittest.TestCase):
    """Errors that the driver reports, by way of pvgpu-health: each process causes one at its second launch."""

    def report(self, xid, settings=None):
        env = self.enterContext(PvgpuEnv(sim={"SIMCUDA_FAULT": f"xid:{xid}:2"}, settings={**SHORT, **(settings or {})}))
        # A longer program: pvgpu-health looks for errors from time to time only.
        p = env.popen([hang(env), "delay", "300", "4"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        wait_for("the Xid", lambda: f"Xid {xid} (" in env.log())
        return env, p

    def end(self, p):
        out, err = p.communicate(timeout=120)
        self.assertEqual((p.returncode, out), (0, b"4 kernels are right\n"), err)

    def test_an_application_s_own(self):
        env, p = self.report(31)
        self.end(p)
        self.assertIn("nothing else is touched", env.log())
        self.assertEqual(env.read("/pool/default/health"), "ok")
        self.assertEqual(env.read("/pool/default/canaries"), "0")

    def test_one_that_is_looked_into(self):
        env, p = self.report(109)
        wait_for("a canary", lambda: "canary kernel succeeded" in env.log())
        self.assertIn("it was run after Xid 109", env.log())
        self.end(p)
        self.assertEqual(env.read("/pool/default/health"), "ok")

    def test_a_canary_for_many(self):
        """Programs that cause unknown Xids one after the other: canaries have a budget, and the log says whose they are."""
        began = time.monotonic()
        env, p = self.report(9999)
        self.end(p)
        wait_for("a canary", lambda: "canary kernel succeeded" in env.log())
        for n in range(2, 7):
            p = env.popen([hang(env), "delay", "300", "4"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            wait_for("the Xid", lambda n=n: env.log().count("Xid 9999 (not known here) of vgpu vgpu0") == n)
            self.end(p)
        env.run([hang(env), "delay", "1", "1"])
        self.assertLessEqual(int(env.read("/pool/default/canaries")), 1 + (time.monotonic() - began) // 30)

    def test_one_that_asks_for_a_reset(self):
        """An operator must end this state, a canary does not; running sessions go on."""
        env, p = self.report(95, {"canary_every_s": 1})
        health = "unhealthy: Xid 95 (uncontained memory error): the GPU must be reset"
        wait_for("the GPU to be unhealthy", lambda: env.read("/pool/default/health") == health)
        with self.assertRaises(raw.Refused) as e:
            raw.Session(env.socket())
        self.assertIn("Xid 95", e.exception.reason)
        self.end(p)
        env.restart()
        self.assertEqual(env.read("/pool/default/health"), health)
        self.assertTrue(env.write("/pool/default/health", "ok")["ok"])
        wait_for("a canary", lambda: "canary kernel succeeded" in env.log())
        self.assertEqual(env.read("/pool/default/health"), "ok")
        raw.Session(env.socket()).close()


if __name__ == "__main__":
    unittest.main(verbosity=2)
