# SPDX-License-Identifier: MIT
"""pvgpu-health's sandbox and pvgpu-attachd's: seen from outside, and of pvgpu-health tried from inside, by a management
library that has been taken over (tests/hostile/nvml_escape.c)."""
import errno
import os
import pathlib
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import unittest

from pvgpu_env import PvgpuEnv, build_dir, program, wait_for
from sandbox_test import FIRST, LACKS, check, status, vecadd

LIBRARY = os.path.join(build_dir(), "tests", "nvml-escape.so")


def health(env):
    """Its pid; None: there is none."""
    for pid in os.listdir("/proc"):
        try:
            if pid.isdigit() and pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"pvgpu-health\0") and \
                    f"PPid:\t{env.pid}\n" in pathlib.Path(f"/proc/{pid}/status").read_text():
                return int(pid)
        except OSError:
            continue
    return None


@unittest.skipIf(LACKS, LACKS)
class Health(unittest.TestCase):
    def setUp(self):
        pathlib.Path("/tmp/pvgpu-was-here").unlink(missing_ok=True)
        self.addCleanup(lambda: pathlib.Path("/tmp/pvgpu-was-here").unlink(missing_ok=True))

    def wait_on(self, env):
        wait_for("the accounting", lambda: env.read("/daemon/accounting") == "on")
        return wait_for("pvgpu-health", lambda: health(env))

    def look(self, env, uid):
        pid = self.wait_on(env)
        s = status(pid)
        self.assertEqual((s["Seccomp"], s["NoNewPrivs"]), ("2", "1"))
        self.assertEqual(set(s["Uid"].split()), {uid})
        for caps in ("CapInh", "CapPrm", "CapEff", "CapAmb", "CapBnd"):
            self.assertEqual(int(s[caps], 16), 0, caps)
        for space in ("mnt", "net", "ipc", "uts"):
            self.assertNotEqual(os.readlink(f"/proc/{pid}/ns/{space}"), os.readlink(f"/proc/self/ns/{space}"), space)
        limits = pathlib.Path(f"/proc/{pid}/limits").read_text()
        self.assertRegex(limits, r"Max open files +256 +256")
        self.assertRegex(limits, r"Max core file size +0 +0")
        # A socket of two ends, and neither a pipe nor a third file but for the log.
        self.assertTrue(os.readlink(f"/proc/{pid}/fd/1").startswith("socket:"))
        self.assertEqual(vecadd(env, "vgpu0").returncode, 0)

    def test_seen(self):
        with PvgpuEnv() as env:
            self.look(env, "0")

    def test_a_user_of_its_own(self):
        with PvgpuEnv(settings={"health_user": "nobody"}) as env:
            self.look(env, "65534")

    def test_without(self):
        with PvgpuEnv(settings={"sandbox": "off"}) as env:
            pid = self.wait_on(env)
            self.assertEqual(status(pid)["Seccomp"], "0")

    def said(self, env):
        return {how: int(err) for how, err in re.findall(r"^escape (\w+): (\d+)$", env.log(), re.M)}

    def test_tried(self):
        """What it tries is refused, and the accounting goes on."""
        with PvgpuEnv(settings={"libnvml": LIBRARY}) as env:
            wait_for("the tries", lambda: len(self.said(env)) == 8)
            said = self.said(env)
            landlock = "part landlock" not in check("--uid", str(FIRST)).stdout
            for how in ("socket", "signal", "block", "limit", "code"):
                self.assertEqual(said[how], errno.EPERM, f"{how}: {os.strerror(said[how])}")
            for how in ("read", "make", "write"):
                self.assertEqual(said[how], errno.EACCES if landlock else 0, f"{how}: {os.strerror(said[how])}")
            self.assertFalse(os.path.exists("/tmp/pvgpu-was-here"))
            self.wait_on(env)
            self.assertEqual(vecadd(env, "vgpu0").returncode, 0)

    def test_the_tries_are_real(self):
        """Without a sandbox each of them gets through."""
        with PvgpuEnv(settings={"libnvml": LIBRARY, "sandbox": "off"}) as env:
            wait_for("the tries", lambda: len(self.said(env)) == 8)
            # A container may forbid to raise limits.
            self.assertEqual({how for how, err in self.said(env).items() if err} - {"limit"}, set())

    def test_ended(self):
        """A call that no process of ours makes ends it, pvgpud says so, and serves."""
        for how in ("exec", "fork", "ptrace", "root"):
            with PvgpuEnv(settings={"libnvml": LIBRARY, "env": f"PVGPU_ESCAPE={how}"}) as env:
                wait_for("its end", lambda: "ended by signal 31" in env.log())
                self.assertNotIn(how, self.said(env))
                self.assertEqual(vecadd(env, "vgpu0").returncode, 0)


class Xenstore(threading.Thread):
    """As much of a xenstored as pvgpu-attachd needs where there is one domain, web1: xs_wire.h."""
    DIRECTORY, READ, WATCH, EVENT, ERROR = 1, 2, 4, 15, 16
    KEYS = {(DIRECTORY, "/local/domain"): b"5\0", (READ, "/local/domain/5/name"): b"web1",
            (READ, "/local/domain/5/vm"): b"/vm/5c3a1a6e-0f6b-4a3b-9d27-3f1f3a1d2b11"}

    def __init__(self, path):
        super().__init__(daemon=True)
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(path)
        self.server.listen(4)
        self.asked = 0

    def take(self, c, n):
        data = b""
        while len(data) < n:
            part = c.recv(n - len(data))
            if not part:
                raise ConnectionError
            data += part
        return data

    def answer(self, c):
        kind, req, tx, n = struct.unpack("<4I", self.take(c, 16))
        body = self.take(c, n)
        self.asked += 1
        path = body.rstrip(b"\0").decode()
        if (kind, path) in self.KEYS:
            out = self.KEYS[kind, path]
        elif kind == self.READ:
            kind, out = self.ERROR, b"ENOENT\0"
        else:
            out = b"" if kind == self.DIRECTORY else b"1\0" if kind == 6 else b"OK\0"
        c.sendall(struct.pack("<4I", kind, req, tx, len(out)) + out)
        if kind == self.WATCH:
            c.sendall(struct.pack("<4I", self.EVENT, 0, 0, len(body)) + body)

    def run(self):
        c, _ = self.server.accept()
        try:
            while True:
                self.answer(c)
        except OSError:
            pass


# What the unit leaves it: no capability, and capset refused.
AS_UNIT = """import ctypes, os, sys
s = ctypes.CDLL("libseccomp.so.2")
s.seccomp_init.restype = ctypes.c_void_p
f = ctypes.c_void_p(s.seccomp_init(ctypes.c_uint32(0x7fff0000)))
assert s.seccomp_rule_add(f, ctypes.c_uint32(0x00050001), s.seccomp_syscall_resolve_name(b"capset"), 0) == 0
assert s.seccomp_load(f) == 0
os.execv(sys.argv[1], sys.argv[1:])
"""


@unittest.skipIf(LACKS, LACKS)
class Attachd(unittest.TestCase):
    def test_seen(self):
        self.serves([], ("mnt", "net", "ipc", "uts"))

    def test_as_unit(self):
        self.serves(["setpriv", "--bounding-set=-all", "--inh-caps=-all", sys.executable, "-c", AS_UNIT], ())

    def started(self, folder, log, wrap=(), **env):
        """As root of a VM host starts it; xenstore says that there is one VM."""
        store = Xenstore(f"{folder}/xenstored")
        store.start()
        os.mkdir(f"{folder}/vms.d")
        return store, subprocess.Popen([*wrap, program("pvgpu-attachd"), "--config-dir", f"{folder}/vms.d"], stdin=subprocess.DEVNULL,
                                       stderr=log, env={**os.environ, "XENSTORED_PATH": f"{folder}/xenstored", **env})

    def tried(self, how=""):
        """What its event loop says that came of its tries, and how it ended."""
        with tempfile.TemporaryDirectory() as folder, open(f"{folder}/log", "w+") as log:
            escape = os.path.join(os.path.dirname(program("pvgpu-attachd")), "..", "tests", "attachd-escape.so")
            _, p = self.started(folder, log, LD_PRELOAD=os.path.abspath(escape), **({"PVGPU_ESCAPE": how} if how else {}))
            try:
                wait_for("the tries", lambda: p.poll() is not None or pathlib.Path(log.name).read_text().count("escape code:") == 2)
                if not how:
                    p.send_signal(signal.SIGTERM)
                status = p.wait(60)
            finally:
                p.kill()
                p.wait()
            text = pathlib.Path(log.name).read_text()
        return status, {way: int(err) for way, err in re.findall(r"^escape (\w+): (\d+)$", text, re.M)}

    def test_tried(self):
        """What it tries is refused, and it serves on."""
        pathlib.Path("/tmp/pvgpu-was-here").unlink(missing_ok=True)
        status, said = self.tried()
        self.assertEqual(status, 0)
        landlock = "part landlock" not in check("--uid", str(FIRST)).stdout
        for how in ("socket", "signal", "block", "limit", "code"):
            self.assertEqual(said[how], errno.EPERM, f"{how}: {os.strerror(said[how])}")
        for how in ("read", "make", "write"):
            self.assertEqual(said[how], errno.EACCES if landlock else 0, f"{how}: {os.strerror(said[how])}")
        self.assertEqual(os.path.exists("/tmp/pvgpu-was-here"), not landlock)

    def test_ended(self):
        for how in ("exec", "fork", "ptrace", "root"):
            status, said = self.tried(how)
            self.assertEqual((how, status, said), (how, -signal.SIGSYS, {}))

    def serves(self, wrap, spaces):
        """It serves in its sandbox, and ends well: libc loads a library for the end of xenstore's thread."""
        with tempfile.TemporaryDirectory() as folder:
            log = open(f"{folder}/log", "w+")
            manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            manager.bind(f"{folder}/notify")
            manager.settimeout(20)
            store, p = self.started(folder, log, wrap, NOTIFY_SOCKET=f"{folder}/notify", WATCHDOG_USEC="100000")
            try:
                wait_for("its watches", lambda: p.poll() is not None or "watching over" in pathlib.Path(log.name).read_text())
                wait_for("a round", lambda: p.poll() is not None or store.asked > 4)
                self.assertIsNone(p.poll(), pathlib.Path(log.name).read_text())
                # systemd hears of it, or would end it after a minute.
                for said in (b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1"):
                    self.assertEqual(manager.recv(64), said)
                for task in os.listdir(f"/proc/{p.pid}/task"):
                    s = status(f"{p.pid}/task/{task}")
                    self.assertEqual((s["Seccomp"], s["NoNewPrivs"]), ("2", "1"))
                    for caps in ("CapInh", "CapPrm", "CapEff", "CapAmb", "CapBnd"):
                        self.assertEqual(int(s[caps], 16), 0, caps)
                for space in spaces:
                    self.assertNotEqual(os.readlink(f"/proc/{p.pid}/ns/{space}"), os.readlink(f"/proc/self/ns/{space}"), space)
                # It reads its files still, those that are made now.
                pathlib.Path(f"{folder}/vms.d/web1.conf").write_text("not a setting\n")
                p.send_signal(signal.SIGHUP)
                wait_for("the file's error", lambda: p.poll() is not None or "web1" in pathlib.Path(log.name).read_text())
                self.assertIn("web1", pathlib.Path(log.name).read_text())
                p.send_signal(signal.SIGTERM)
                self.assertEqual(p.wait(30), 0, pathlib.Path(log.name).read_text())
            finally:
                p.kill()
                p.wait()
                log.close()
                manager.close()


if __name__ == "__main__":
    unittest.main()
