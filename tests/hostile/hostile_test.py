#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A hostile guest against a real pvgpud and real workers, beside two ordinary programs.

    tests/hostile/hostile_test.py [--build DIR] [--seed N] [--only REGEX] [--tame]

Each attack of the program `attack` is a test. It must come out as its table says, and:
  - the session has ended with a reason in pvgpud's log, the one that reasons.txt has for it, and not by a signal or a
    failed worker;
  - the worker's memory was looked at and stayed bounded, pvgpud's too;
  - the next session is served;
  - the witnesses, one on the same vGPU and one on another, saw nothing of it.
At the end nothing may be left: no session, memory, process, file or fd. Sanitizers must have reported nothing.

With --tame all is as ever but for the attack itself, and each test must fail: one that does not would prove nothing.
"""
import argparse
import glob
import json
import os
import re
import signal
import subprocess
import sys
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "integration"))
from pvgpu_env import PvgpuEnv, build_dir, wait_for  # noqa: E402

MIB = 1 << 20
WORKER_LIMIT = 192 * MIB   # of a worker's peak, with the device memory and the arena that it maps
DAEMON_LIMIT = 24 * MIB    # of pvgpud's peak
END_LIMIT = 15             # seconds from the attacker's end to its session's
NORMAL = ("the guest closed the session", "the guest process ended")
FAILED = re.compile(r"by signal|exited with status|the worker died|closed its control socket|broke the protocol|"
                    r"returns \d+ bytes of a lease|did not exit|did not become|did not take")
# A guest that blocks its own worker for good has it killed when it goes.
KILLED = ("bells_block",)
# Attacks whose images legitimately need more memory.
LARGE = {"image_zstd_bombs": 320 * MIB, "image_lz4_bombs": 320 * MIB}

opts = argparse.Namespace()


def kib(pid, name):
    with open(f"/proc/{pid}/status") as f:
        for line in f:
            if line.startswith(name + ":"):
                return int(line.split()[1]) * 1024
    return 0


class Witness:
    def __init__(self, env, vgpu):
        self.vgpu = vgpu
        self.err = open(os.path.join(env.dir, f"witness-{vgpu}.err"), "w+")
        self.proc = subprocess.Popen([os.path.join(env.build, "tests/witness")], env=env.guest_env(vgpu),
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.err, text=True)
        if self.proc.stdout.readline().strip() != "ready":
            raise AssertionError(f"the witness on {vgpu} did not start: {self.said()}")

    def said(self):
        self.err.flush()
        with open(self.err.name) as f:
            return f.read()

    def fine(self):
        return self.proc.poll() is None

    def finish(self):
        out, _ = self.proc.communicate(timeout=240)
        return self.proc.returncode, out.strip()


class Hostile(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.san = cls.sanitized()
        if cls.san:
            os.environ.setdefault("PVGPU_SANDBOX", "off")
        cls.attack = os.path.join(opts.build, "tests/attack")
        cls.env = PvgpuEnv(
            build=opts.build,
            vgpus={"bad": "memory=64M,arena_limit=64M,max_sessions=32", "good": "memory=64M,arena_limit=64M"},
            sim={"SIMCUDA_MEMORY": "512M", "SIMCUDA_THREADS": "2"},
            settings={"log_level": "debug", "worker_grace_ms": 1000, "open_timeout_ms": 500, "spare_workers": 2})
        if cls.san:
            report = os.path.join(cls.env.dir, "san")
            for kind in ("ASAN", "UBSAN", "TSAN", "LSAN"):
                more = ":quarantine_size_mb=4:detect_leaks=0:allow_user_segv_handler=1" if kind == "ASAN" else ""
                os.environ[f"{kind}_OPTIONS"] = f"log_path={report}{more}"
        cls.env.__enter__()
        try:
            cls.begin()
        except BaseException:
            cls.env.__exit__(*sys.exc_info())
            raise

    @classmethod
    def begin(cls):
        cls.witnesses = [Witness(cls.env, "good"), Witness(cls.env, "bad")]
        cls.times = {}
        cls.peaks = [0]
        cls.run_attack("probe")
        wait_for("the probe's end", lambda: int(cls.env.read("/vgpu/bad/sessions")) == 1)
        cls.daemon_at_first = kib(cls.env.daemon.pid, "VmHWM")
        cls.fds_at_first = cls.fds()
        cls.used = cls.memory_used()

    @classmethod
    def sanitized(cls):
        with open(os.path.join(opts.build, "bin/pvgpu-worker"), "rb") as f:
            return b"__asan_init" in f.read()

    @classmethod
    def fds(cls):
        return len(os.listdir(f"/proc/{cls.env.daemon.pid}/fd"))

    @classmethod
    def memory_used(cls):
        return [cls.env.read(f"/vgpu/{v}/memory-used") for v in ("bad", "good")]

    @classmethod
    def tearDownClass(cls):
        problems = []
        try:
            wait_for("the last session's end", lambda: int(cls.env.read("/vgpu/bad/sessions")) == 1)
            wait_for("the memory", lambda: cls.memory_used() == cls.used)
            wait_for("the fds", lambda: cls.fds() <= cls.fds_at_first)
        except (TimeoutError, OSError) as e:
            problems.append(f"{e}: memory {cls.memory_used()} (was {cls.used}), fds {cls.fds()} "
                            f"(was {cls.fds_at_first})")
        grown = kib(cls.env.daemon.pid, "VmHWM") - cls.daemon_at_first
        if grown > DAEMON_LIMIT * (4 if cls.san else 1):
            problems.append(f"pvgpud's memory grew by {grown >> 10} KiB")
        for w in cls.witnesses:
            rc, out = w.finish()
            print(f"witness on {w.vgpu}: {out}")
            if rc:
                problems.append(f"the witness on {w.vgpu} ended with {rc}: {w.said()}")
        print(f"pvgpud's peak grew by {grown >> 10} KiB; largest worker {max(cls.peaks) >> 20} MiB; "
              f"slowest: " + ", ".join(f"{n} {t:.1f} s" for n, t in
                                       sorted(cls.times.items(), key=lambda x: -x[1])[:8]))
        problems += cls.reports()
        if problems:
            cls.env.__exit__(AssertionError, None, None)
            raise AssertionError("\n".join(problems))
        cls.env.__exit__(None, None, None)

    @classmethod
    def reports(cls):
        found = []
        for name in glob.glob(os.path.join(cls.env.dir, "san.*")):
            with open(name, errors="replace") as f:
                found.append(f"{name}:\n{f.read()[:6000]}")
            os.rename(name, name.replace("san.", "told-san."))
        return found

    @classmethod
    def run_attack(cls, name):
        begin = time.monotonic()
        extra = {"OTHER_SOCKET": cls.env.socket("good")}
        if opts.tame and name != "probe":
            extra["ATTACK_TAME"] = "1"
        p = subprocess.Popen([cls.attack, cls.env.socket("bad"), name, str(opts.seed)],
                             env=cls.env.guest_env("bad", extra=extra), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True)
        try:
            out, err = p.communicate(timeout=240)
        except subprocess.TimeoutExpired:
            p.kill()
            out, err = p.communicate()
        cls.times[name] = time.monotonic() - begin
        lines = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
        return subprocess.CompletedProcess(name, p.returncode, out, err), lines[-1] if lines else None

    def end_of(self, number):
        found = re.compile(rf"session {number} bad: ended: (.*)")
        return wait_for(f"the end of session {number}", lambda: found.search(self.env.log()), END_LIMIT).group(1)

    def check_session(self, name, said, expected):
        number = said["session"]
        reason = self.end_of(number)
        if opts.reasons:
            print(f"{name} {expected} {said['outcome']} checks={said['checks']} {reason}", flush=True)
        if expected == "ends" or name in reasons:
            self.assertIn(name, reasons, "no reason is expected in reasons.txt")
            if said["outcome"] != "lives":
                self.assertRegex(reason, f"^(?:{reasons[name]})$")
        if name in KILLED:
            return
        self.assertNotRegex(reason, FAILED, f"session {number}")
        if said["outcome"] == "ended":
            self.assertEqual(said["cause"], 2, f"ended as a failure, not a breach: {said['text']}")
            self.assertTrue(reason.startswith(said["text"][:100]), f"{reason!r} in the log, {said['text']!r} for the guest")
        elif expected in ("lives", "leaves"):
            self.assertIn(reason, NORMAL)

    def check_memory(self, name, number):
        said = re.compile(rf"worker {number}: its memory was at most (\d+) KiB")
        peak = int(wait_for("the worker's peak", lambda: said.search(self.env.log()), END_LIMIT)[1]) << 10
        self.peaks.append(peak)
        self.assertGreater(peak, MIB)
        limit = LARGE.get(name, WORKER_LIMIT) * (4 if self.san else 1)
        self.assertLess(peak, limit, f"the worker used {peak >> 20} MiB")

    def test_worker_that_sleeps(self):
        """A worker that does not get to read for a while is told of its vGPU's memory later: it did nothing wrong."""
        if opts.tame:
            return
        self.env.wait_sessions(1, "bad")
        (worker,) = [int(s["pid"]) for s in self.env.sessions("bad").values()]
        os.kill(worker, signal.SIGSTOP)
        try:
            self.one("memory_storm", "lives")
        finally:
            os.kill(worker, signal.SIGCONT)
        time.sleep(0.1)
        self.assertTrue(self.witnesses[1].fine(), self.witnesses[1].said())

    def tame(self, name, expected):
        """Without its attack the test fails. `probe` is none."""
        if name == "probe":
            return
        with self.assertRaises(AssertionError):
            self.one(name, expected)

    def one(self, name, expected):
        failed = int(self.env.read("/vgpu/bad/sessions-failed"))
        p, said = self.run_attack(name)
        good = (0, -9) if expected == "leaves" else (0,)
        if p.returncode not in good and said and said["outcome"] == "ended":
            self.end_of(said["session"])  # the reason is in the log then
        self.assertIn(p.returncode, good, f"{p.stdout}{p.stderr[-300:]}\n{self.env.log_tail(8)}")
        self.assertIsNotNone(said)
        # Its outcome, or what it has checked itself, shows that it took place.
        self.assertTrue(said["outcome"] == "ended" or said["checks"] or said["acts"] or p.returncode == -9,
                        "nothing shows that it took place")
        if said["session"]:
            self.check_session(name, said, expected)
            self.check_memory(name, said["session"])
        if said["outcome"] == "ended":
            self.assertGreater(int(self.env.read("/vgpu/bad/sessions-failed")), failed, "not in the statistics")
        probe, _ = self.run_attack("probe")
        self.assertEqual(probe.returncode, 0, f"no new session: {probe.stdout}{probe.stderr}")
        for w in self.witnesses:
            self.assertTrue(w.fine(), f"the witness on {w.vgpu} went: {w.said()}")
        self.assertEqual(self.reports(), [])
        self.assertNotRegex(self.env.log(), r"(?m)^pvgpud: forged")


def read_reasons():
    """name -> pattern of the reason for which its session must have ended"""
    found = {}
    with open(os.path.join(HERE, "reasons.txt")) as f:
        for line in f:
            if line.strip() and not line.startswith("#"):
                name, _, pattern = line.rstrip("\n").partition(" ")
                found[name] = pattern.strip()
    return found


reasons = read_reasons()


def add_tests():
    listing = subprocess.run([os.path.join(opts.build, "tests/attack"), "--list"], capture_output=True, text=True,
                             check=True).stdout
    for line in listing.splitlines():
        name, expected = line.split()
        if not opts.only or re.search(opts.only, name):
            setattr(Hostile, f"test_{name}", lambda self, n=name, e=expected: self.one(n, e) if not opts.tame else self.tame(n, e))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=build_dir())
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(3), "little"))
    parser.add_argument("--only", help="attacks whose names match")
    parser.add_argument("--tame", action="store_true", help="without the attacks: every test must fail")
    parser.add_argument("--reasons", action="store_true", help="print why each session has ended")
    parser.add_argument("-v", "--verbose", action="store_true")
    parser.parse_args(namespace=opts)
    opts.build = os.path.abspath(opts.build)
    add_tests()
    begin = time.monotonic()
    print(f"seed {opts.seed}")
    result = unittest.TextTestRunner(verbosity=2 if opts.verbose else 1).run(
        unittest.defaultTestLoader.loadTestsFromTestCase(Hostile))
    print(f"{result.testsRun} attacks in {time.monotonic() - begin:.0f} s")
    sys.exit(not result.wasSuccessful())


if __name__ == "__main__":
    main()
