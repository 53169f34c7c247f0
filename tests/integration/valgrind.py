# SPDX-License-Identifier: MIT
"""Commands under valgrind: the words before a command, valgrind's reports, and the pidfd proxy that pvgpud needs.

Errors and definite leaks count, and with FILES files left open at the end."""
import array
import os
import pathlib
import re
import shlex
import signal
import socket
import struct
import threading

EXIT = 99
OPTIONS = [f"--error-exitcode={EXIT}", "-q", "--fair-sched=yes", "--num-callers=25", "--leak-check=full",
           "--show-leak-kinds=definite", "--errors-for-leak-kinds=definite"]
# Its reports tell of files that are open at the end. Since valgrind 3.24 each of them is an error, also one that is inherited or kept on
# purpose: the exit status is the program's own.
FILES = ["--track-fds=yes", "--error-exitcode=0"]
# Less freed memory is kept back than the growth that growth_test allows pvgpud.
KEEPS = "--freelist-vol=1000000"
# Functions that open files which pvgpud keeps until its end on purpose, such as the lock.
KEPT_OPEN = ["take_lock"]


class Valgrind:
    """Commands under valgrind, whose reports lie in one folder: a file for each process."""

    def __init__(self, build, folder):
        self.bin, self.logs, self.scripts = pathlib.Path(build) / "bin", folder / "reports", folder / "bin"
        self.logs.mkdir()
        self.scripts.mkdir()
        self.options = OPTIONS + [f"--suppressions={pathlib.Path(__file__).with_suffix('.supp')}"]
        self.preload = [f"LD_PRELOAD={pathlib.Path(build) / 'tests' / 'pidfd_proxy.so'}",
                        f"PVGPU_TEST_PIDFD={folder / 'pidfd.sock'}"]
        PidfdProxy(folder / "pidfd.sock")
        self.script("pvgpud", self.preload, *FILES, KEEPS)
        self.script("pvgpuctl")
        self.script("pvgpu-worker")

    def words(self, name, *more):
        """The words before a command."""
        return ["valgrind", *self.options, *more, f"--log-file={self.logs}/{name}.%p"]

    def script(self, name, env=(), *more):
        """A program of the same name that runs this one under valgrind."""
        line = shlex.join(["env", *env, *self.words(name, *more), str(self.bin / name)])
        (self.scripts / name).write_text(f"#!/bin/sh\nexec {line} \"$@\"\n")
        (self.scripts / name).chmod(0o755)

    def take(self):
        """The reports with errors, by process; their files are removed."""
        found = {}
        for path in sorted(self.logs.iterdir()):
            text = without_kept(path.read_text(errors="replace"))
            path.unlink()
            if text.strip():
                found[path.name] = text
        return found


def without_kept(report):
    """The report without open files that are no leak: inherited ones and those of KEPT_OPEN."""
    kept, entry = [], []
    for line in [re.sub(r"^==\d+== ?", "", line) for line in report.splitlines()] + [""]:
        if entry and line.startswith("   "):
            entry.append(line)
            continue
        if not any("<inherited from parent>" in e or f" {name} (" in e for e in entry for name in KEPT_OPEN):
            kept += entry
        entry = [line] if line.startswith("Open ") else []
        if not entry and not line.startswith("FILE DESCRIPTORS:"):
            kept.append(line)
    return "\n".join(kept)


class PidfdProxy(threading.Thread):
    """The other end of pidfd_proxy.c: makes the two system calls that valgrind 3.19 does not know."""
    REQUEST = struct.Struct("ii")

    def __init__(self, path):
        super().__init__(daemon=True)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(str(path))
        self.listener.listen(64)
        self.start()

    def run(self):
        while True:
            with self.listener.accept()[0] as s:
                try:
                    self.serve(s)
                except ConnectionError:
                    pass  # pvgpud was killed meanwhile

    def serve(self, s):
        data, fds, _, _ = socket.recv_fds(s, self.REQUEST.size, 1)
        made = []
        try:
            if len(data) == self.REQUEST.size:
                err, made = self.call(*self.REQUEST.unpack(data), fds)
                anc = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", made))] if made else []
                s.sendmsg([struct.pack("i", err)], anc)
        finally:
            for fd in fds + made:
                os.close(fd)

    @staticmethod
    def call(pid, sig, fds):
        """errno or 0, and the fd made."""
        try:
            if pid:
                return 0, [os.pidfd_open(pid)]
            signal.pidfd_send_signal(fds[0], sig)
            return 0, []
        except OSError as e:
            return e.errno, []
