#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""This protocol version against the next one, which has one call more: both directions, and the next one with itself.
And a worker that a pvgpud of another version starts, as while a package is replaced."""
import array
import fcntl
import os
import socket
import struct
import subprocess
import tempfile
import unittest

import rawclient as raw
from pvgpu_env import PvgpuEnv, build_dir

NEXT = os.environ["PVGPU_NEXT"]
NOW = os.path.abspath(build_dir())


class Versions(unittest.TestCase):
    def run_echo(self, backend, guest):
        far = os.path.join(NOW, "simcuda", "libcuda.so.1")
        with PvgpuEnv(build=backend, libcuda=far) as env:
            for program, want in ((["tests/next-echo"], None), (["programs/vecadd"], "")):
                p = subprocess.run([os.path.join(NOW, *program)], capture_output=True, text=True, timeout=120,
                                   env={**env.guest_env(), "LD_LIBRARY_PATH": os.path.join(guest, "lib")})
                self.assertEqual(p.returncode, 0, p.stderr)
                if want is None:
                    out = p.stdout.split("\n")
        self.assertEqual(out[1:], ["alive", ""])
        return out[0]

    def test_both_of_this_version(self):
        self.assertEqual(self.run_echo(NOW, NOW), "no call")

    def test_next_guest_on_this_backend(self):
        self.assertEqual(self.run_echo(NOW, NEXT), "not supported")

    def test_this_guest_on_next_backend(self):
        self.assertEqual(self.run_echo(NEXT, NOW), "no call")

    def test_both_of_the_next_version(self):
        self.assertEqual(self.run_echo(NEXT, NEXT), "echo")


class Supervised(unittest.TestCase):
    """The test is pvgpud, by xen-pvgpu-back/contract/supervise.h."""
    MESSAGE = struct.Struct("<IIQQQII40s128s")
    ASSIGN = struct.Struct("<IIQQQQQIIII")  # what follows the message
    READY, ASSIGNED, SEALED, TAKEN = 1, 2, 3, 19
    KNOWS_TAKEN = 1
    RING = 65536

    def setUp(self):
        folder = self.enterContext(tempfile.TemporaryDirectory(prefix="pvgpu-versions-"))
        self.control, control = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        adopt = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        adopt.bind(os.path.join(folder, "adopt.sock"))
        log = self.enterContext(open(os.path.join(folder, "log"), "w+", encoding="utf-8"))
        self.enterContext(self.control)
        # Above the numbers that the worker wants.
        fds = [fcntl.fcntl(f, fcntl.F_DUPFD, 50) for f in (control, adopt, log)]

        def take_places():
            for place, fd in enumerate(fds, 3):
                os.dup2(fd, place)

        self.worker = subprocess.Popen(
            [os.path.join(NOW, "bin", "pvgpu-worker"), "--id", "1", "--libcuda", os.path.join(NOW, "simcuda", "libcuda.so.1"),
             "--device", "0", "--grace-ms", "1000", "--lease-wait-ms", "5000", "--far-fds", "256", "--context-mib", "0", "--sandbox", "off"],
            env={"SIMCUDA_GPU": os.path.join(folder, "gpu")}, stdin=subprocess.DEVNULL, stdout=log, stderr=log, close_fds=False,
            preexec_fn=take_places)
        self.addCleanup(self.worker.wait, 60)
        self.addCleanup(self.control.close)
        for fd in fds:
            os.close(fd)
        control.close()
        adopt.close()
        self.log = log
        self.control.settimeout(60)

    def hear(self):
        """(kind, c), or None at the worker's end"""
        try:
            data = self.control.recv(4096)
        except ConnectionResetError:
            data = b""
        if not data:
            self.log.seek(0)
            self.fail(f"the worker has ended: {self.log.read()}")
        m = self.MESSAGE.unpack(data)
        return m[0], m[4]

    def assign(self, knows):
        ring = raw.chunk_memfd(raw.PAGE + 2 * self.RING, 0)
        fcntl.fcntl(ring, raw.F_ADD_SEALS, 7)  # SEAL, SHRINK, GROW
        self.guest, session = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.enterContext(self.guest)
        fds = [ring, os.eventfd(0, os.EFD_NONBLOCK), os.eventfd(0, os.EFD_NONBLOCK), session.fileno()]
        gib = 1 << 30
        self.control.sendmsg(
            [self.MESSAGE.pack(self.ASSIGNED, 0, knows, 0, 0, 1, 0, b"vgpu0", b"")
             + self.ASSIGN.pack(self.RING, self.RING, gib, gib, 1 << 36, os.getpid(), 0, 0, 0, 0, 0)],
            [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))])
        session.close()
        for fd in fds[:3]:
            os.close(fd)

    def test_a_pvgpud_that_knows_what_the_worker_says(self):
        said, knows = self.hear()
        self.assertEqual((said, knows & self.KNOWS_TAKEN), (self.READY, self.KNOWS_TAKEN))
        self.assign(self.KNOWS_TAKEN)
        self.assertEqual(self.hear()[0], self.TAKEN)
        self.assertEqual(self.hear()[0], self.SEALED)

    def test_an_older_pvgpud_hears_nothing_new(self):
        self.assertEqual(self.hear()[0], self.READY)
        self.assign(0)
        self.assertEqual(self.hear()[0], self.SEALED)


if __name__ == "__main__":
    unittest.main()
