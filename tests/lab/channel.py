# SPDX-License-Identifier: MIT
"""The lab's end of a line to an agent (wire.h): commands that run in dom0 or in a guest."""
import base64
import binascii
import os
import re
import threading
import time
import zlib

LINE = re.compile(rb"@([a-z]{1,8}) (\d+) (\S+) ([0-9a-f]{8})$")
PIECE = 2048  # bytes of data in a line
# Every limit is multiplied by it: on a busy machine scenarios are slow, but must not fail.
PATIENCE = float(os.environ.get("LAB_PATIENCE", "1"))


class LabError(Exception):
    """A scenario's wait or request failed."""


class Clock:
    """The condition variable of all waits in a machine, and their limits. What the machine waits for a processor of this computer counts
    for no limit, so that a verdict is the same beside whatever else runs here."""

    def __init__(self):
        self.cond = threading.Condition()
        self.deadline = None   # of the scenario
        self.ended = None      # why the machine is gone
        self.begun = time.monotonic()
        self.starved = lambda: 0.0   # seconds that the machine has waited for a processor

    def now(self):
        return time.monotonic() - self.begun

    def passed(self):
        """Seconds that count."""
        return self.now() - self.starved()

    def allow(self, seconds):
        """Set the scenario's deadline."""
        self.deadline = self.passed() + seconds * PATIENCE

    def check(self):
        """Raise an error when the machine or the scenario's time has ended."""
        if self.ended:
            raise LabError(self.ended)
        if self.deadline is not None and self.passed() > self.deadline:
            raise LabError("the scenario's time is over")

    def wait(self, what, condition, limit, poll=None):
        """The first true value of the condition, which is evaluated whenever a message arrives, and every poll
        seconds."""
        end = self.passed() + limit * PATIENCE
        if self.deadline is not None:
            end = min(end, self.deadline)
        with self.cond:
            while True:
                if value := condition():
                    return value
                if self.ended:
                    raise LabError(f"{what}: {self.ended}")
                left = end - self.passed()
                if left <= 0:
                    raise LabError(f"{what}: not within the limit")
                self.cond.wait(min(left, poll or left))


class Result:
    def __init__(self, command, status, out, err):
        self.command, self.status = command, status
        self.out, self.err = out.decode(errors="replace"), err.decode(errors="replace")


class Process:
    """A command on the other side."""

    def __init__(self, channel, number, command):
        self.channel, self.number, self.command = channel, number, command
        self.out, self.err = bytearray(), bytearray()
        self.status = None
        self.on_out = None   # takes the output instead of keeping it

    def write(self, data):
        data = data.encode() if isinstance(data, str) else data
        for i in range(0, len(data), PIECE):
            self.channel.send("in", self.number, data[i:i + PIECE])

    def close(self):
        """Close the command's input."""
        self.channel.send("eof", self.number)

    def kill(self, signal=15):
        self.channel.send("kill", self.number, b"%d" % signal)

    def wait(self, limit=60):
        self.channel.wait(f"'{short(self.command)}' to end", lambda: self.status is not None, limit)
        return Result(self.command, self.status, bytes(self.out), bytes(self.err))

    def wait_output(self, pattern, limit=60):
        """Wait until the output matches; returns the match."""
        return self.channel.wait(f"'{short(self.command)}' to print /{pattern}/",
                                 lambda: re.search(pattern, self.out.decode(errors="replace"), re.M) or
                                 self.gone_without(pattern), limit)

    def gone_without(self, pattern):
        if self.status is not None:
            raise LabError(f"{self.channel.name}: '{short(self.command)}' ended with {self.status} and did not "
                           f"print /{pattern}/: {self.err.decode(errors='replace').strip()}")


def short(text, length=100):
    text = " ".join(text.split())
    return text if len(text) <= length else text[:length - 3] + "..."


class Channel:
    """Lines to and from one agent. Bytes arrive through feed(), leave through the function given as put."""

    def __init__(self, name, clock, put, log):
        self.name, self.clock, self.put, self.log = name, clock, put, log
        self.text = bytearray()      # text other than messages: the kernel's
        self.partial = bytearray()
        self.processes = {}
        self.next_number = 1
        self.hellos = 0
        self.bad = 0
        self.panic = None            # the kernel's panic message, and where it was

    def send(self, kind, number, data=b""):
        body = base64.b64encode(data) if data else b"-"
        line = b"@%s %d %s" % (kind.encode(), number, body)
        self.put(line + b" %08x\n" % zlib.crc32(line))

    def feed(self, data):
        with self.clock.cond:
            self.partial += data
            *lines, rest = self.partial.split(b"\n")
            self.partial = bytearray(rest)
            for line in lines:
                self.hear(bytes(line.rstrip(b"\r")))
            self.clock.cond.notify_all()

    def hear(self, line):
        # An unfinished kernel message may precede a message of the agent on its line.
        m = LINE.search(line)
        try:
            good = m and zlib.crc32(line[m.start():m.start(4) - 1]) == int(m[4], 16)
            data = b"" if not good or m[3] == b"-" else base64.b64decode(m[3], validate=True)
        except binascii.Error:
            good = False
        if not good:
            self.bad += b"@" in line
            self.text += line + b"\n"
            if b"Kernel panic" in line:
                where = [w for w in bytes(self.text).splitlines() if b"RIP:" in w][-1:]
                self.panic = b", ".join(w.strip() for w in [line, *where]).decode(errors="replace")
            return
        self.text += line[:m.start()]
        self.obey(m[1].decode(), int(m[2]), data)

    def obey(self, kind, number, data):
        p = self.processes.get(number)
        if kind == "hello":
            self.hellos += 1
        elif p is None:
            return
        elif kind == "out" and p.on_out:
            p.on_out(data)
        elif kind in ("out", "err"):
            (p.out if kind == "out" else p.err).extend(data)
        elif kind == "exit":
            p.status = int(data)
            del self.processes[number]

    def greet(self, limit=120):
        """Wait until the agent answers."""
        before = self.hellos

        def answered():
            if self.hellos > before:
                return True
            self.send("hello", 0)
            return False
        # End a line that was cut.
        self.put(b"\n")
        self.wait("the agent", answered, limit, poll=1)

    def wait(self, what, condition, limit, poll=None):
        """Clock.wait, which fails when the kernel there panics."""
        def alive_and():
            if self.panic:
                raise LabError(f"{self.name}: {what}: {self.panic}")
            return condition()
        return self.clock.wait(f"{self.name}: {what}", alive_and, limit, poll)

    def start(self, command, kind="run", quiet=False):
        with self.clock.cond:
            p = Process(self, self.next_number, command)
            self.next_number += 1
            self.processes[p.number] = p
        if not quiet:
            self.log(f"{self.name}$ {command}")
        self.send(kind, p.number, command.encode())
        return p

    def run(self, command, limit=60, check=True, quiet=False, text=None):
        """Run a shell command to its end. With check a status other than 0 is an error. text: its whole input."""
        p = self.start(command, quiet=quiet)
        if text is not None:
            p.write(text)
            p.close()
        r = p.wait(limit)
        if not quiet:
            for text in (r.out, r.err):
                if text.strip():
                    self.log("\n".join(f"    {line}" for line in text.rstrip().splitlines()))
            if r.status:
                self.log(f"    status {r.status}")
        if check and r.status:
            raise LabError(f"{self.name}: '{short(command)}' ended with {r.status}: {(r.err or r.out).strip()[-500:]}")
        return r

    def put_file(self, path, data, limit=120):
        p = self.start(f"cat >{path}", quiet=True)
        self.log(f"{self.name}: writes {path}, {len(data)} bytes")
        p.write(data)
        p.close()
        if p.wait(limit).status:
            raise LabError(f"{self.name}: cannot write {path}")

    def get_file(self, path, limit=120):
        p = self.start(f"cat {path}", quiet=True)
        if p.wait(limit).status:
            raise LabError(f"{self.name}: cannot read {path}")
        return bytes(p.out)
