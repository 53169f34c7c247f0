# SPDX-License-Identifier: MIT
"""The guests of chaos.py: programs that check every value, and what each may see."""
import os
import re
import signal
import subprocess
import tempfile
import time

from world import WHOLE_MEMORY, Wrong

LOST, REFUSED, MEMORY = "CUDA_ERROR_DEVICE_UNAVAILABLE", "CUDA_ERROR_NO_DEVICE", "CUDA_ERROR_OUT_OF_MEMORY"
ERROR_BY = 30        # seconds from a session's end to its program's error
ENDS_BY = 300        # seconds for any guest: a busy machine is slow
# Programs of tests/programs of a second or less that need little memory, and do not count what their vGPU has left.
PROGRAMS = ("vecadd", "scan", "histogram", "reduce", "memsets", "streams", "callbacks", "graphs", "copies", "pinned", "threads", "printf")
# With PVGPU_DEBUG the library says why a session is refused.
# What a call of a program of tests/programs got, in its last words.
FAILED = re.compile(r": (CUDA_ERROR_\w+)(?: \(\d+\), not CUDA_SUCCESS)?$", re.M)
NO_REASON = re.compile(r"no session:(?: pvgpud refused:)?(?: workers do not start:?)? *$", re.M)
KINDS = ("check", "copy", "between", "memset", "kernel", "graph", "memory", "module", "event", "host", "gate")


class Guest:
    """A program on a vGPU. `permits` are the errors that it may see for what was done to it, each with the reason."""
    wants_input = False

    def __init__(self, world, vgpu, words, expected, name):
        self.world, self.vgpu, self.name, self.expected = world, vgpu, name, expected
        self.log_from = os.path.getsize(world.log_path)
        self.permits, self.killed, self.error_by, self.stopped = {}, False, None, False
        self.out, self.err = tempfile.TemporaryFile(), tempfile.TemporaryFile()
        self.p = subprocess.Popen(words, env=world.guest_env(vgpu, extra={"PVGPU_DEBUG": "1"}), stdout=self.out, stderr=self.err,
                                  stdin=subprocess.PIPE if self.wants_input else subprocess.DEVNULL)
        self.ends_by = time.monotonic() + ENDS_BY

    def __str__(self):
        return f"{self.name} on {self.vgpu} (pid {self.p.pid})"

    @staticmethod
    def text(file):
        file.seek(0)
        return file.read().decode(errors="replace")

    def is_ready(self):
        """Whether it is known to have a session."""
        return self.p.poll() is None and not self.stopped and os.fstat(self.out.fileno()).st_size > 0 and self.text(self.out).startswith("ready")

    def permit(self, error, why):
        self.permits.setdefault(error, why)

    def lose(self, why):
        """Its session has ended: it must say so soon."""
        self.permit(LOST, why)
        if not self.is_ready():
            self.permit(REFUSED, f"{why}, while it opened its session")
        self.error_by = time.monotonic() + ERROR_BY

    def send(self, sig):
        self.killed |= sig not in (signal.SIGSTOP, signal.SIGCONT)
        self.stopped = sig == signal.SIGSTOP or (self.stopped and sig != signal.SIGCONT)
        self.p.send_signal(sig)
        if sig == signal.SIGCONT and self.error_by:
            self.error_by = time.monotonic() + ERROR_BY

    def stay(self):
        """Whether it runs until it is told to end."""
        return False

    def step(self):
        """True when it has ended, and rightly."""
        if self.p.poll() is not None:
            self.judge()
            return True
        now = time.monotonic()
        if self.error_by and now > self.error_by and not self.stopped:
            raise Wrong(f"{self}: no error {ERROR_BY} s after its session's end ({self.permits[LOST]}); {self.where()}")
        if now > self.ends_by:
            raise Wrong(f"{self}: has not ended after {ENDS_BY} s; {self.where()}")
        return False

    def where(self):
        """Where its threads and its worker's are."""
        found = []
        for pid in (self.p.pid, *self.world.processes().get("pvgpu-worker", [])):
            try:
                with open(f"/proc/{pid}/wchan", encoding="ascii") as w, open(f"/proc/{pid}/status", encoding="ascii") as s:
                    found.append(f"{pid} {re.search('State:.(.)', s.read())[1]} {w.read()}")
            except OSError:
                continue
        return "; ".join(found)

    def judge(self):
        status, out, err = self.p.returncode, self.text(self.out), self.text(self.err)
        if self.killed and status in (-signal.SIGKILL, -signal.SIGTERM):
            return
        if status == 0:
            if out != self.expected:
                raise Wrong(f"{self}: printed {out!r} in place of {self.expected!r}")
            return
        error = re.search(r"error (CUDA_ERROR_\w+)", out) or FAILED.search(err)
        if status not in (1, 3) or not error or (status == 1 and out.startswith("ready")):
            raise Wrong(f"{self}: ended with {status}: {out!r} {err!r}; permitted: {self.permits}")
        if vague := NO_REASON.search(err):
            raise Wrong(f"{self}: refused without a reason: {vague[0]!r}")
        if error[1] == MEMORY and self.world.crowded and self.world.refused_memory(self.vgpu, self.log_from):
            return
        if error[1] not in self.permits:
            raise Wrong(f"{self}: {out!r} {err!r}, but what was done to it permits {self.permits or 'no error'}")

    def close(self):
        if self.p.poll() is None:
            self.p.kill()
            self.p.wait()
        for f in (self.out, self.err, self.p.stdin):
            if f:
                f.close()


class Random(Guest):
    """chaos-client, for a number of pieces of work."""

    def __init__(self, world, vgpu, rng, steps=None):
        seed, threads = rng.randrange(1 << 30), rng.choice((1, 1, 2, 3))
        self.steps = rng.choice((5, 20, 60)) if steps is None else steps
        kinds = KINDS
        if rng.random() < 0.3:
            kinds = ("check", *rng.sample(kinds[1:], 2))
        words = [os.path.join(world.build, "tests", "chaos-client"), str(seed), str(self.steps), str(threads), ",".join(kinds)]
        if world.keeps:
            words.append(str(rng.choice(world.keeps)))
        super().__init__(world, vgpu, words, "ready\nright\n", f"chaos-client {' '.join(words[1:])}")


class Steady(Random):
    """chaos-client from the beginning of a round to its end."""
    wants_input = True

    def __init__(self, world, vgpu, rng):
        super().__init__(world, vgpu, rng, 0)

    def finish(self):
        if self.p.stdin and not self.p.stdin.closed:
            self.p.stdin.close()


class Program(Guest):
    """One of tests/programs, whose output is known."""
    outputs = {}

    def __init__(self, world, vgpu, rng):
        name = rng.choice(PROGRAMS)
        path = os.path.join(world.build, "programs", name)
        if name not in self.outputs:
            gpu = f"{world.gpu_file}-direct"  # pvgpud warns of a process on its own GPU that is no worker
            env = {**world.guest_env(direct=True), "SIMCUDA_GPU": gpu, "SIMCUDA_MEMORY": WHOLE_MEMORY}
            self.outputs[name] = subprocess.run([path], env=env, capture_output=True, text=True,
                                                timeout=ENDS_BY, check=True).stdout
            os.unlink(gpu)
        super().__init__(world, vgpu, [path], self.outputs[name], name)


class Wild(Guest):
    """Its kernel writes to an address that is not its own: that is its own fault, and nobody else's."""

    def __init__(self, world, vgpu, rng):
        super().__init__(world, vgpu, [os.path.join(world.build, "programs", "hang"), "wild"], "running\nCUDA_ERROR_ILLEGAL_ADDRESS\n", "hang wild")

    def judge(self):
        if self.p.returncode == 0 and self.permits and re.fullmatch(f"running\n({'|'.join(self.permits)})\n", self.text(self.out)):
            return
        super().judge()


GUESTS = {"random": (Random, 5), "steady": (Steady, 3), "program": (Program, 3), "wild": (Wild, 1)}
