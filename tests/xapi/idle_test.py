#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""pvgpu-attachd beside 500 domains, over Xen's own xenstored, which runs without Xen (real_store.c): what one more domain costs in requests, and
what an idle attachd costs in processor time. The figures are printed.

PVGPU_BUILD: the build folder with pvgpu-attachd. PVGPU_IDLE_S: how long it is watched while it is idle (default 130: longer than two of its looks at all).
"""
import collections
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.dont_write_bytecode = True
from xenstored import ERROR, HEADER, INTRODUCE, READ, WRITE  # noqa: E402

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("PVGPU_BUILD", TOP / "build")).resolve()
sys.path.append(str(TOP / "tests/module"))
import suite  # noqa: E402

PACKAGE = "xen-utils-4.17"  # real_store.c has what this one asks Xen's libraries for
DOMAINS, WITH_VGPU = 500, 50
IDLE_S = int(os.environ.get("PVGPU_IDLE_S", "130"))
PATIENCE_S = 300
BACK, FRONT = "/local/domain/0/backend/pvgpu/%d/0", "/local/domain/%d/device/pvgpu/0"
INITWAIT, CONNECTED = "2", "4"


def xenstored():
    """Debian's, unpacked in the build folder."""
    folder = BUILD / "xapi" / PACKAGE
    program = folder / "usr/lib/xen-4.17/bin/xenstored"
    if not program.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        suite.output("apt-get", "-q", "download", PACKAGE, limit=300, cwd=folder)
        deb = next(folder.glob("*.deb"))
        suite.output("dpkg-deb", "-x", deb, folder)
        deb.unlink()
    return program


def take(link, n):
    out = b""
    while len(out) < n:
        more = link.recv(n - len(out))
        if not more:
            raise OSError("the other end is closed")
        out += more
    return out


class Counter:
    """Stands between clients and xenstored, and counts requests."""

    def __init__(self, path, to):
        self.server, self.to, self.requests, self.kinds = socket.socket(socket.AF_UNIX), to, 0, collections.Counter()
        self.server.bind(path)
        self.server.listen()
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                client = self.server.accept()[0]
            except OSError:
                return  # the test is over
            threading.Thread(target=self.requests_of, args=(client,), daemon=True).start()

    def requests_of(self, client):
        far = socket.socket(socket.AF_UNIX)
        far.connect(self.to)
        threading.Thread(target=self.answers, args=(far, client), daemon=True).start()
        try:
            while True:
                head = take(client, HEADER.size)
                kind, _, _, n = HEADER.unpack(head)
                self.requests += 1
                self.kinds[kind] += 1
                far.sendall(head + take(client, n))
        except OSError:
            far.close()

    @staticmethod
    def answers(far, client):
        try:
            while data := far.recv(65536):
                client.sendall(data)
        except OSError:
            pass


class Client:
    """Of dom0, over the socket."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(PATIENCE_S)
        self.socket.connect(path)

    def ask(self, kind, *words, last=b""):
        body = b"".join(str(w).encode() + b"\0" for w in words) + last
        self.socket.sendall(HEADER.pack(kind, 0, 0, len(body)) + body)
        kind, _, _, n = HEADER.unpack(take(self.socket, HEADER.size))
        body = take(self.socket, n)
        return None if kind == ERROR else body.rstrip(b"\0").decode()

    def get(self, path):
        return self.ask(READ, path)

    def write(self, path, value=""):
        assert self.ask(WRITE, path, last=value.encode()) == "OK", path


def cpu_s(pid):
    fields = pathlib.Path("/proc/%d/stat" % pid).read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


class OverXenstored(unittest.TestCase):
    """Xen's own xenstored, and a client whose requests are counted."""

    def setUp(self):
        try:
            program = xenstored()
        except suite.Missing as e:
            self.skipTest(str(e))
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="idle-"))
        self.addCleanup(shutil.rmtree, self.folder)
        shim = self.folder / "shim.so"
        subprocess.run(["gcc", "-D_GNU_SOURCE", "-shared", "-fPIC", "-o", shim, TOP / "tests/xapi/real_store.c"], check=True)
        self.path = str(self.folder / "socket")
        env = {**os.environ, "XENSTORED_RUNDIR": str(self.folder), "XENSTORED_ROOTDIR": str(self.folder), "XENSTORED_PATH": self.path}
        self.xenstored = self.run_program([program, "-N", "-I"], {**env, "LD_PRELOAD": str(shim)})
        self.until(lambda: os.path.exists(self.path), "xenstored listens")
        self.counter, self.mine = Counter(self.path + "-counted", self.path), Client(self.path)
        self.env = {**env, "XENSTORED_PATH": self.path + "-counted"}
        self.addCleanup(self.counter.server.close)
        self.addCleanup(self.mine.socket.close)
        self.mine.write("/local/domain/0/name", "Domain-0")

    def run_program(self, words, env):
        child = subprocess.Popen(words, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(child.wait, PATIENCE_S)
        self.addCleanup(child.kill)
        return child

    def until(self, condition, what):
        end = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < end, what + ": not so"
            time.sleep(0.02)


class Idle(OverXenstored):
    def setUp(self):
        super().setUp()
        for name, value in (("data/pvgpu/version", "0.1.0"), ("data/pvgpu/gpu-memory-free", str(1 << 40)),
                            ("data/pvgpu/gpu-0/name", "default"), ("data/pvgpu/gpu-0/room", "memory=%d memory-free=%d" % (1 << 40, 1 << 40))):
            self.mine.write("/local/domain/0/" + name, value)
        for part in ("xapi.d", "vms.d", "none"):
            (self.folder / part).mkdir()
        (self.folder / "xapi.d/synced").touch()

    # ---- what others do

    def begin(self, domid, vgpu):
        """As xenopsd and pvgpu-xapi do."""
        uuid = "00000000-0000-4000-8000-%012d" % domid
        (self.folder / "new").write_text("[vm]\nuuid = %s\n%s" % (uuid, "[vgpu 0]\nmemory = 1G\n" if vgpu else ""))
        (self.folder / "new").rename(self.folder / "xapi.d" / (uuid + ".conf"))
        base = "/local/domain/%d" % domid
        for path, value in (("/vm/%s/name" % uuid, "vm%d" % domid), ("/vm/%s/uuid" % uuid, uuid), (base + "/name", "vm%d" % domid),
                            (base + "/vm", "/vm/" + uuid), (base + "/device", "")):
            self.mine.write(path, value)
        assert self.mine.ask(INTRODUCE, domid, 1, 5) == "OK"

    def connect(self, domid):
        """pvgpud and the guest take the vGPU up."""
        self.until(lambda: self.mine.get(BACK % domid + "/state"), "domain %d has its vGPU" % domid)
        for path in (BACK % domid, FRONT % domid):
            self.mine.write(path + "/state", INITWAIT)
        for path in (BACK % domid, FRONT % domid):
            self.mine.write(path + "/state", CONNECTED)

    def settled(self):
        """Requests so far, when none has come for a second."""
        last, since = self.counter.requests, time.monotonic()
        while time.monotonic() - since < 1:
            time.sleep(0.1)
            if self.counter.requests != last:
                last, since = self.counter.requests, time.monotonic()
        return last

    def start_attachd(self):
        words = [BUILD / "bin/pvgpu-attachd", "--config-dir", self.folder / "vms.d", "--site-dir", self.folder / "none", "--xl-dir",
                 self.folder / "none", "--xapi-dir", self.folder / "xapi.d"]
        self.attachd = self.run_program(words, self.env)

    def test_five_hundred_domains(self):
        for n in range(1, DOMAINS + 1):
            self.begin(n, n <= WITH_VGPU)
        self.start_attachd()
        for n in range(1, WITH_VGPU + 1):
            self.connect(n)
        began = before = self.settled()
        more = []
        for n in range(1, 4):
            self.begin(DOMAINS + n, True)
            self.connect(DOMAINS + n)
            more.append(self.settled() - before)
            before += more[-1]
        # The look at all, a minute after news, may be among them.
        self.assertLess(min(more), 120, more)
        start, cpu, xenstored_cpu = time.monotonic(), cpu_s(self.attachd.pid), cpu_s(self.xenstored.pid)
        time.sleep(IDLE_S)
        passed = time.monotonic() - start
        cpu, xenstored_cpu = cpu_s(self.attachd.pid) - cpu, cpu_s(self.xenstored.pid) - xenstored_cpu
        print("%d domains, %d of them with a vGPU: %d requests to begin with, %d for one more with a vGPU; idle for %.0f s: %d requests, %.2f s of a "
              "processor (%.3f %%), of xenstored's %.2f s" % (DOMAINS, WITH_VGPU, began, min(more), passed, self.counter.requests - before, cpu,
                                                              100 * cpu / passed, xenstored_cpu))
        self.assertLess(cpu, passed / 100)
        self.assertIsNone(self.attachd.poll())
        self.attachd.send_signal(signal.SIGTERM)
        self.assertEqual(self.attachd.wait(PATIENCE_S), 0)


if __name__ == "__main__":
    unittest.main(warnings="ignore")
