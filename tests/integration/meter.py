# SPDX-License-Identifier: MIT
"""gpu-meter (tests/gpu/meter): a tenant that obeys commands, a line at a time. So a test decides which work is on the GPU
when an event happens, and can have two tenants take turns."""
import json
import os
import select
import signal
import subprocess
import time


class MeterError(Exception):
    """gpu-meter ended, did not answer in time, or a command failed. `answer` is its answer, if there is one."""

    def __init__(self, text, answer=None):
        super().__init__(text)
        self.answer = answer or {}


class Meter:
    def __init__(self, program, env, stderr=None, wrap=()):
        """env: the whole environment, with LD_LIBRARY_PATH for the libcuda.so.1 to use."""
        self.begun_ns = time.monotonic_ns()
        self.p = subprocess.Popen([*wrap, program], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr)
        self.rest = b""

    @property
    def pid(self):
        return self.p.pid

    def start(self, *words):
        """Send a command without waiting for the answer."""
        try:
            self.p.stdin.write(" ".join(map(str, words)).encode() + b"\n")
            self.p.stdin.flush()
        except OSError:
            pass  # end() reports its exit status

    def line(self, limit):
        end = time.monotonic() + limit
        while b"\n" not in self.rest:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.p.stdout], [], [], left)[0]:
                self.p.kill()  # or that answer would be taken for the next one
                raise MeterError(f"no answer in {limit:.0f} s")
            part = os.read(self.p.stdout.fileno(), 65536)
            if not part:
                raise MeterError(f"it ended with status {self.p.wait()}")
            self.rest += part
        line, self.rest = self.rest.split(b"\n", 1)
        return line

    def end(self, limit=60):
        """Wait for the answer of a started command: "command", "result" and values."""
        try:
            return json.loads(self.line(limit))
        except ValueError:
            raise MeterError("an answer that is no JSON") from None

    def end_well(self, limit=60):
        answer = self.end(limit)
        if answer["result"] != "ok":
            of = f" ({answer['call']})" if "call" in answer else ""
            raise MeterError(f"{answer['command']}: {answer['result']}{of}", answer)
        return {k: v for k, v in answer.items() if k not in ("command", "result")}

    def do(self, *words, limit=60):
        """Run a command that must succeed; returns its values."""
        self.start(*words)
        return self.end_well(limit)

    def kill(self):
        if self.p.poll() is None:
            self.p.send_signal(signal.SIGKILL)
        return self.close()

    def hang_up(self):
        """Close its input: it ends normally."""
        if not self.p.stdin.closed:
            try:
                self.p.stdin.close()
            except OSError:
                pass

    def close(self, limit=60):
        """Wait for its end; returns its exit status."""
        self.hang_up()
        try:
            return self.p.wait(limit)
        finally:
            if self.p.poll() is None:
                self.p.kill()
                self.p.wait()
            self.p.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
