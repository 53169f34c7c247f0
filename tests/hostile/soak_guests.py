# SPDX-License-Identifier: MIT
"""The guests of soak.py. Steady ones have step() and finish(); those that come and go have step(hurry), true when they have
ended, and hurry is for those that would stay. `right` of either is a number of checked results."""
import contextlib
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import threading
import time

import rawclient as raw

HERE = os.path.dirname(os.path.abspath(__file__))
MIB = 1 << 20
# Programs of a second or less, that need little memory.
PROGRAMS = ("vecadd", "scan", "histogram", "reduce", "memsets", "streams", "callbacks")
# Attacks that take hundreds of MiB of host memory for a moment.
LARGE = ("image_zstd_bombs", "image_lz4_bombs")
# What an owned worker does without end where there is no cgroup.
ENDLESS = ("memory", "threads")
STAYS, HURRIED = 10, 1  # seconds for attackers that would stay for ever


def source(name):
    return pathlib.Path(HERE, name).read_text(encoding="utf-8")


def lies():
    return re.findall(r'^LIE\("([^"]+)"', source("lies.def"), re.M)


def ways():
    table = re.search(r"\} ways\[\] = \{(.*?)\};", source("escape.c"), re.S)[1]
    return [f"try-{how}" for how in re.findall(r'\{"([\w-]+)"', table) if how not in ENDLESS]


def program(soak, name):
    return os.path.join(soak.env.build, "programs", name)


# ---- steady guests ----

class Steady:
    """A process with a session from beginning to end."""
    right = 0

    def __init__(self, soak, vgpu, *words):
        self.vgpu = vgpu
        self.err = tempfile.TemporaryFile()
        self.p = subprocess.Popen(words, env=soak.env.guest_env(vgpu), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  stderr=self.err)
        os.set_blocking(self.p.stdout.fileno(), False)
        self.out = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.p.kill()
        self.p.wait()
        self.p.stdin.close()
        self.p.stdout.close()
        self.err.close()

    def failed(self, what):
        self.err.seek(0)
        return AssertionError(f"{self.vgpu} {what}: {self.err.read().decode(errors='replace')}")

    def step(self):
        self.out = (self.out + (self.p.stdout.read() or b""))[-4096:]
        if self.p.poll() is not None:
            raise self.failed(f"ended with {self.p.returncode}")


class Busy(Steady):
    """Keeps the GPU busy."""

    def __init__(self, soak, vgpu):
        super().__init__(soak, vgpu, program(soak, "occupy"), "1000000000", "2000", "64", "1", "2000")

    def finish(self):
        self.step()
        return 0


class Check(Steady):
    """Computes and checks its results."""

    def __init__(self, soak, vgpu):
        super().__init__(soak, vgpu, os.path.join(soak.env.build, "tests", "witness"))

    def finish(self):
        self.step()
        self.p.stdin.close()
        self.p.wait()
        self.out += self.p.stdout.read() or b""
        rounds = re.search(rb"(\d+) rounds", self.out)
        if self.p.returncode or not rounds:
            raise self.failed(f"ended with {self.p.returncode}")
        return int(rounds[1])


class Resting:
    """Has a session, and does little with it."""
    EVERY = 5  # seconds

    def __init__(self, soak, vgpu):
        self.vgpu = vgpu
        self.s = raw.Session(soak.env.socket(vgpu))
        self.s.start()
        self.right = 0
        self.due = time.monotonic() + soak.rng.random() * self.EVERY
        result, self.kept = self.s.alloc(4 * MIB)
        self.room = self.s.mem_info()
        if result:
            raise AssertionError(f"{vgpu}: 4 MiB: error {result}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.s.close()

    def step(self):
        if time.monotonic() < self.due:
            return
        self.due = time.monotonic() + self.EVERY
        result, address = self.s.alloc(MIB)
        if result:
            raise AssertionError(f"{self.vgpu}: 1 MiB more: error {result}")
        self.s.free(address)
        if self.s.mem_info() != self.room:
            raise AssertionError(f"{self.vgpu}: {self.s.mem_info()} of memory, {self.room} before")
        self.right += 1

    def finish(self):
        return self.right


# ---- those that come and go ----

class Visit:
    """A process that ends by itself."""

    def __init__(self, soak, vgpu, *words, **env):
        self.soak, self.vgpu, self.right = soak, vgpu, 0
        self.out, self.err = tempfile.TemporaryFile(), tempfile.TemporaryFile()
        self.p = subprocess.Popen(words, env=soak.env.guest_env(vgpu, extra=env), stdin=subprocess.DEVNULL, stdout=self.out,
                                  stderr=self.err)
        self.begun = time.monotonic()
        self.seen = False      # its session was

    def session(self):
        """The keys of its session, when it serves."""
        for s in self.soak.env.sessions(self.vgpu).values():
            if s["state"] == "running" and s["guest-pid"] == str(self.p.pid):
                self.seen = True
                return s
        return None

    def opening(self):
        return self.p.poll() is None and not self.seen and not self.session()

    def said(self):
        for f in (self.out, self.err):
            f.seek(0)
        return self.out.read(), self.err.read()

    def act(self, hurry):
        """Before its end."""

    def judge(self):
        """After its end."""

    def step(self, hurry):
        if self.p.poll() is None:
            self.act(hurry)
            return False
        self.judge()
        self.out.close()
        self.err.close()
        return True


class Honest(Visit):
    """Its output must be right."""

    def __init__(self, soak, vgpu):
        self.name = soak.rng.choice(PROGRAMS)
        super().__init__(soak, vgpu, program(soak, self.name))

    def judge(self):
        out, err = self.said()
        if self.p.returncode or out != self.soak.expected[self.name]:
            raise AssertionError(f"{self.name} on {self.vgpu} ended with {self.p.returncode}: {err.decode()} {out.decode()}")
        self.right = 1


class Killed(Honest):
    """It or its worker is killed or stopped somewhere. Where it is not, it has its result, or says what went wrong."""
    HOWS = ("program", "worker", "stopped program", "stopped worker")

    def __init__(self, soak, vgpu):
        super().__init__(soak, vgpu)
        self.how = soak.rng.choice(self.HOWS)
        self.due = self.begun + soak.rng.expovariate(1 / soak.rng.choice((0.03, 0.3, 2)))
        self.mine = False      # it was killed itself
        self.halted = False    # its worker was stopped

    def kill(self, sig):
        if "worker" in self.how:
            if s := self.session():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(s["pid"]), sig)
            return bool(s)
        self.p.send_signal(sig)
        self.mine = True
        return True

    def act(self, hurry):
        if not hurry and time.monotonic() < self.due:
            return
        if self.how.startswith("stopped"):
            if self.kill(signal.SIGSTOP):
                self.halted = self.how == "stopped worker"
                self.how, self.due = "program", time.monotonic() + 1
        elif self.kill(signal.SIGKILL):
            self.how, self.due = "program", time.monotonic() + 60

    def judge(self):
        out, err = self.said()
        if self.p.returncode == 0:
            if out != self.soak.expected[self.name]:
                raise AssertionError(f"{self.name} on {self.vgpu}, killed, gave {out.decode()}")
            self.right = 1
        elif not self.mine and (self.p.returncode < 0 or not err):
            raise AssertionError(f"{self.name} on {self.vgpu} ended with {self.p.returncode} and said {err.decode()}")


class Attack(Visit):
    """Its outcome is judged by hostile_test.py, which has it alone with witnesses."""
    names = []

    def __init__(self, soak, vgpu):
        attack = os.path.join(soak.env.build, "tests", "attack")
        if not self.names:
            listed = subprocess.run([attack, "--list"], capture_output=True, text=True, check=True).stdout
            self.names += [line.split()[0] for line in listed.splitlines() if not line.startswith(LARGE)]
        super().__init__(soak, vgpu, attack, soak.env.socket(vgpu), soak.rng.choice(self.names), str(soak.rng.getrandbits(31)),
                         OTHER_SOCKET=soak.env.socket("rest0"))

    def act(self, hurry):
        if time.monotonic() > self.begun + (HURRIED if hurry else STAYS):
            self.p.kill()


class Owned(Visit):
    """A program whose worker does what its vGPU's name says (escape.c)."""

    def __init__(self, soak, vgpu):
        super().__init__(soak, vgpu, program(soak, "vecadd"))

    def act(self, hurry):
        if time.monotonic() > self.begun + (HURRIED if hurry else STAYS):
            self.p.kill()


class Garbage(threading.Thread):
    """A connection that is cut, or says what no library would. In a thread, since it waits for answers."""
    right = 0

    def __init__(self, soak, vgpu):
        super().__init__(daemon=True)
        self.vgpu, self.path = vgpu, soak.env.socket(vgpu)
        self.bytes = soak.rng.randbytes(soak.rng.choice((1, 48, 4096)))
        self.way = soak.rng.choice((self.cut, self.half_open, self.noise, self.no_word, self.in_flight, self.bad_record,
                                    self.bad_chunk))
        self.start()

    def run(self):
        # What comes of it is not judged here, but what is left of it.
        with contextlib.suppress(OSError, raw.Refused, raw.Ended, ValueError):
            self.way()

    def step(self, hurry):
        return not self.is_alive()

    def cut(self):
        raw.connect(self.path).close()

    def half_open(self):
        with raw.connect(self.path) as s:
            s.send(raw.request())

    def noise(self):
        with raw.connect(self.path) as s:
            s.settimeout(STAYS)  # pvgpud waits much longer for the rest of a request
            s.send(self.bytes)
            s.recv(raw.OPENED.size)

    def no_word(self):
        raw.Session(self.path).close()

    def in_flight(self):
        with raw.Session(self.path) as s:
            s.start()
            for _ in range(64):
                s.post(raw.MEM_ALLOC, raw.CTX.to_bytes(8, "little") + MIB.to_bytes(8, "little"))

    def bad_record(self):
        with raw.Session(self.path) as s:
            s.start()
            s.put_bytes(self.bytes)
            s.publish(len(self.bytes) + 7 & ~7)
            s.wait_end()

    def bad_chunk(self):
        with raw.Session(self.path) as s:
            s.start()
            s.chunk(1, int.from_bytes(self.bytes[:8], "little"), 65536)


KINDS = {"busy": Busy, "check": Check, "rest": Resting, "honest": Honest, "killed": Killed, "garbage": Garbage, "attack": Attack,
         "owned": Owned}
