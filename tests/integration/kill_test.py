# SPDX-License-Identifier: MIT
"""kill -9 of the application, its worker or pvgpud at random points while programs run.

KILLS is the number of kills (default 20), KILL_SEED repeats a run. After each kill the victim's session has ended, and
its program, when it still lives, reports an error. pvgpud serves the next session. Two bystanders, one steady session
and a series of short programs, are not affected. When the victim is pvgpud, the running program ends with the right
result.
"""
import os
import random
import signal
import subprocess
import threading
import time
import unittest

import rawclient as raw
from pvgpu_env import PvgpuEnv, alive, wait_for

PROGRAMS = ("vecadd", "copies", "streams", "threads", "callbacks", "matmul", "pinned", "printf",
            "nbody", "memsets")
LOOPING = ("vecadd", "scan", "histogram")
LIMIT = 120


class Steady(threading.Thread):
    """One session from the first kill to the last, always busy."""

    def __init__(self, env):
        super().__init__(daemon=True)
        self.s = raw.Session(env.socket())
        self.s.start()
        self.rounds, self.error, self.stop = 0, None, threading.Event()

    def run(self):
        try:
            while not self.stop.is_set():
                result, address = self.s.alloc(1 << 20)
                if result:
                    raise AssertionError(f"alloc: {result}")
                self.s.free(address)
                self.s.mem_info()
                self.rounds += 1
                time.sleep(0.001)
        except BaseException as e:  # pylint: disable=broad-except
            self.error = e

    def finish(self):
        self.stop.set()
        self.join(60)
        self.s.close()
        if self.error:
            raise AssertionError("the steady session noticed") from self.error


class Coming(threading.Thread):
    """Programs one after the other. `gate` is held while one starts, so that pvgpud is not killed meanwhile."""

    def __init__(self, env, expected, gate):
        super().__init__(daemon=True)
        self.env, self.expected, self.gate = env, expected, gate
        self.rounds, self.error, self.stop = 0, None, threading.Event()

    def has_session(self, p):
        return p.poll() is not None or any(
            s["guest-pid"] == str(p.pid) and s["state"] == "running" for s in self.env.sessions().values())

    def run(self):
        try:
            while not self.stop.is_set():
                name = LOOPING[self.rounds % len(LOOPING)]
                with self.gate:
                    p = self.env.popen([program(self.env, name)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                    wait_for("its session", lambda p=p: self.has_session(p))
                out, err = p.communicate(timeout=LIMIT)
                if p.returncode or out != self.expected[name]:
                    raise AssertionError(f"{name}: {p.returncode}, {err!r}, {out!r}")
                self.rounds += 1
                time.sleep(0.02)
        except BaseException as e:  # pylint: disable=broad-except
            self.error = e

    def finish(self):
        self.stop.set()
        self.join(LIMIT)
        if self.error:
            raise AssertionError("the programs beside it noticed") from self.error


def program(env, name):
    return os.path.join(env.build, "programs", name)


class Kills(unittest.TestCase):
    def setUp(self):
        self.kills = int(os.environ.get("KILLS", "20"))
        self.seed = int(os.environ.get("KILL_SEED", random.randrange(1 << 32)))
        self.rng = random.Random(self.seed)
        self.hits = 0
        print(f"{self.kills} kills, KILL_SEED={self.seed}", flush=True)

    def session_of(self, p):
        """The keys of the program's session, None when the program has ended before."""
        def look():
            if p.poll() is not None:
                return "over"
            for s in self.env.sessions().values():
                if s["guest-pid"] == str(p.pid) and s["state"] == "running":
                    return s
            return None
        s = wait_for("the victim's session", look)
        return None if s == "over" else s

    def end_of(self, p):
        try:
            out, err = p.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            p.kill()
            p.communicate()
            self.fail(f"{p.args} hangs")
        return out, err

    def kill_app(self, name, p, s):
        p.kill()
        self.end_of(p)
        if s:
            wait_for("its worker's end", lambda: not alive(int(s["pid"])))

    def kill_worker(self, name, p, s):
        if s:
            try:
                os.kill(int(s["pid"]), signal.SIGKILL)
            except ProcessLookupError:
                pass
        out, err = self.end_of(p)
        if p.returncode == 0:
            self.assertEqual(out, self.expected[name])  # it was faster
        else:
            self.hits += 1
            self.assertGreater(p.returncode, 0, f"{name} ended by signal: {err!r}")
            self.assertTrue(err, f"{name} says nothing")

    def kill_pvgpud(self, name, p, s):
        with self.gate:
            self.env.kill_daemon()
            time.sleep(self.rng.random() * 0.05)
            self.env.start()
        out, err = self.end_of(p)
        self.assertEqual((p.returncode, out), (0, self.expected[name]), f"{name}: {err!r}")

    def one(self, i):
        kind = self.rng.choice((self.kill_app, self.kill_worker, self.kill_pvgpud))
        name = self.rng.choice(PROGRAMS)
        delay = self.rng.random() * self.rng.choice((0.1, 0.9)) * self.seconds[name]
        print(f"{i:4} {kind.__name__[5:]:7} {name} after {delay * 1000:.1f} ms", flush=True)
        p = self.env.popen([program(self.env, name)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        # The application or pvgpud may also die while the session is being opened.
        s = None if kind == self.kill_app and self.rng.random() < 0.3 else self.session_of(p)
        time.sleep(delay)
        kind(name, p, s)
        out, err = self.run_now(name)
        self.assertEqual(out, self.expected[name], err)
        for b in self.bystanders:
            if b.error:
                b.finish()

    def run_now(self, name):
        r = self.env.run([program(self.env, name)], timeout=LIMIT)
        self.assertEqual(r.returncode, 0, f"{name}: {r.stderr!r}")
        return r.stdout, r.stderr

    def test_kills(self):
        with PvgpuEnv({"vgpu0": "1G"}, sim={"SIMCUDA_MEMORY": "2G"}) as self.env:
            self.expected = {n: self.env.run([program(self.env, n)], direct=True, timeout=LIMIT).stdout
                             for n in set(PROGRAMS + LOOPING)}
            self.seconds = {}
            for n in PROGRAMS:
                start = time.monotonic()
                self.run_now(n)
                self.seconds[n] = time.monotonic() - start
            self.gate = threading.Lock()
            self.bystanders = [Steady(self.env), Coming(self.env, self.expected, self.gate)]
            for b in self.bystanders:
                b.start()
            try:
                for i in range(self.kills):
                    self.one(i)
            finally:
                for b in self.bystanders:
                    b.stop.set()
            for b in self.bystanders:
                b.finish()
                self.assertGreater(b.rounds, 0)
            print(f"{self.hits} programs lost their worker in the middle", flush=True)


if __name__ == "__main__":
    unittest.main(verbosity=2)
