#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A program that starts while pvgpud is being restarted waits for it. pvgpud that has lost xenstore ends with an error, for systemd
to start the next one, and programs go on."""
import contextlib
import os
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
import unittest
from unittest import mock

import rawclient as raw
from pvgpu_env import LIMIT, MARK, PvgpuEnv, alive, cgroups, marked_processes, program, state_of, wait_for

NANOSLEEP = "35"  # x86-64
RESTART_S = 5     # RESTART_MS of libpvgpu/link/local.c
# xen/io/xs_wire.h
DIRECTORY, READ, GET_PERMS, WATCH, UNWATCH, START, END = 1, 2, 3, 4, 5, 6, 7
WRITE, MKDIR, RM, SET_PERMS, WATCH_EVENT, ERROR = 11, 12, 13, 14, 15, 16
HEADER = struct.Struct("<IIII")    # type, request, transaction, length


class Store:
    """Keys without transactions, permissions and watches' events: for one client at a time, which is dom0."""

    def __init__(self, path):
        self.keys = {"domid": b"0", "/local/domain/0/data/pvgpu": b""}
        self.clients = []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen()
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            self.clients.append(client)
            threading.Thread(target=self.client, args=(client,), daemon=True).start()

    def client(self, s):
        stream = s.makefile("rb")
        while len(head := stream.read(HEADER.size)) == HEADER.size:
            kind, request, transaction, length = HEADER.unpack(head)
            kind, body, event = self.answer(kind, stream.read(length))
            message = HEADER.pack(kind, request, transaction, len(body)) + body
            if event:
                message += HEADER.pack(WATCH_EVENT, 0, 0, len(event)) + event
            try:
                s.sendall(message)
            except OSError:
                return

    def answer(self, kind, body):
        """The answer's type and body, and an event that follows it."""
        path, _, value = body.partition(b"\0")
        path = path.decode()
        below = [k for k in self.keys if k == path or k.startswith(path + "/")]
        if kind == START:
            return kind, b"1\0", b""
        if kind == WATCH:
            return kind, b"OK\0", body
        if kind == WRITE:
            self.keys[path] = value
        elif kind in (DIRECTORY, READ, RM) and not below:
            return ERROR, b"ENOENT\0", b""
        elif kind == READ:
            return kind, self.keys.get(path, b""), b""
        elif kind == DIRECTORY:
            names = {k[len(path) + 1:].partition("/")[0] for k in below} - {""}
            return kind, b"".join(n.encode() + b"\0" for n in sorted(names)), b""
        elif kind == GET_PERMS:
            return kind, b"n0\0", b""
        elif kind == RM:
            for k in below:
                del self.keys[k]
        return kind, b"OK\0", b""

    def close(self):
        for s in [self.listener, *self.clients]:
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)
            s.close()
        self.clients.clear()


class Restart(unittest.TestCase):
    def test_start_in_the_gap(self):
        with PvgpuEnv() as env:
            env.kill_daemon()
            p = env.popen([os.path.join(env.build, "programs", "vecadd")], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE)
            # It waits for pvgpud once it sleeps between two tries: for 5 s, in which one on a busy machine need not be up. So
            # it sleeps until then, and tries once more in any case.
            wait_for("the program's first try", lambda: p.poll() is not None or stopped_asleep(p.pid))
            env.start()
            p.send_signal(signal.SIGCONT)
            out, err = p.communicate(timeout=240)
            self.assertEqual(p.returncode, 0, err)

    def test_opening_at_a_hand_over(self):
        """A program whose worker is not ready when pvgpud ends asks the next one."""
        for sig in (signal.SIGUSR1, signal.SIGKILL):
            with self.subTest(sig), PvgpuEnv() as env:
                env.wait_spare()
                worker, = (pid for pid, c in marked_processes(env.mark).items() if "pvgpu-worker" in c)
                os.kill(worker, signal.SIGSTOP)
                p = env.popen([os.path.join(env.build, "programs", "vecadd")], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                wait_for("its session", lambda: env.read("/vgpu/vgpu0/sessions") == "1")
                # The time for which it waits begins when its connection breaks: it sleeps until then.
                env.kill_daemon(sig)
                wait_for("its next try", lambda: p.poll() is not None or stopped_asleep(p.pid))
                env.start()
                os.kill(worker, signal.SIGCONT)
                p.send_signal(signal.SIGCONT)
                out, err = p.communicate(timeout=240)
                self.assertEqual(p.returncode, 0, err)

    def test_gone_while_it_waits(self):
        """The time for which a program waits for a restarted pvgpud begins when that goes, not with its own first try."""
        with PvgpuEnv() as env, socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as slow:
            env.kill_daemon()
            os.unlink(env.socket())
            slow.bind(env.socket())
            slow.listen()
            p = env.popen([os.path.join(env.build, "programs", "vecadd")], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            asked, _ = slow.accept()
            asked.recv(4096)
            time.sleep(RESTART_S + 0.1)  # as long as a worker may need to start on a busy machine
            slow.close()
            asked.close()
            env.start()
            out, err = p.communicate(timeout=60)
            self.assertEqual(p.returncode, 0, err)

    def test_the_socket_stays(self):
        """From one pvgpud to the next a vGPU's socket is always there: a program that found none would give up at once."""
        for sig in (signal.SIGKILL, signal.SIGUSR1):
            with self.subTest(signal=sig), PvgpuEnv(vgpus={f"vgpu{i}": "64M" for i in range(8)}) as env:
                over = threading.Event()
                looks, gone = [0], []

                def look():
                    while not over.is_set():
                        for name in env.vgpus:
                            looks[0] += 1
                            if not os.path.exists(env.socket(name)):
                                gone.append(name)
                watcher = threading.Thread(target=look)
                watcher.start()
                try:
                    for _ in range(5):
                        env.restart(sig)
                finally:
                    over.set()
                    watcher.join()
                self.assertFalse(len(gone), f"absent in so many of {looks[0]} looks")
                self.assertEqual([f for f in os.listdir(env.run_dir) if f.startswith(".")], [])

    def test_unwanted_sockets_go(self):
        """The next pvgpud removes the sockets of vGPUs that are not configured any more."""
        with PvgpuEnv(vgpus={"vgpu0": "64M", "former": "64M"}) as env:
            env.kill_daemon()
            del env.vgpus["former"]
            self.assertTrue(os.path.exists(env.socket("former")))
            env.start()
            self.assertFalse(os.path.exists(env.socket("former")))
            self.assertEqual(env.run([os.path.join(env.build, "programs", "vecadd")]).returncode, 0)

    def test_never_there(self):
        with PvgpuEnv() as env:
            p = subprocess.run([os.path.join(env.build, "programs", "vecadd")], capture_output=True, timeout=240,
                               env={**env.guest_env(), "PVGPU_SOCKET": "/nonexistent/sock"})
            self.assertNotEqual(p.returncode, 0)
            self.assertIn(b"CUDA_ERROR_NO_DEVICE", p.stderr)


class XenstoreLost(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.TemporaryDirectory(prefix="pvgpu-")
        self.addCleanup(self.dir.cleanup)
        self.path = os.path.join(self.dir.name, "xenstored")
        self.start()
        env = mock.patch.dict(os.environ, XENSTORED_PATH=self.path)
        env.start()
        self.addCleanup(env.stop)

    def start(self):
        if os.path.exists(self.path):
            os.unlink(self.path)
        self.store = Store(self.path)
        self.addCleanup(self.store.close)

    def test_ends_and_sessions_go_on(self):
        with PvgpuEnv(settings={"xen": "on"}) as env:
            wait_for("keys in xenstore", lambda: "/local/domain/0/data/pvgpu/version" in self.store.keys)
            s = raw.Session(env.socket())
            s.start()
            worker, = env.workers()
            self.store.close()
            self.assertEqual(env.daemon.wait(30), 1)
            self.assertIn("xenstore is lost", env.log())
            self.assertTrue(alive(worker))
            s.mem_info()
            self.start()
            env.start()
            wait_for("adoption", lambda: [v["state"] for v in env.sessions().values()] == ["running"])
            self.assertEqual(env.workers(), [worker])
            wait_for("keys in xenstore", lambda: "/local/domain/0/data/pvgpu/version" in self.store.keys)
            s.mem_info()
            s.close()

    def test_attachd_ends(self):
        with subprocess.Popen([program("pvgpu-attachd")], stderr=subprocess.PIPE, text=True) as p:
            self.addCleanup(p.kill)
            for line in p.stderr:
                if "watching over" in line:
                    break
            self.store.close()
            self.assertRegex(p.stderr.read(), "xenstored has ended|reading xenstore")
            self.assertEqual(p.wait(30), 1)

    def test_lost_while_it_drains(self):
        """It waits for its workers, for which it needs no xenstore."""
        with PvgpuEnv(settings={"xen": "on", "shutdown_grace_ms": 60000}) as env:
            s = raw.Session(env.socket())
            s.start()
            env.daemon.terminate()
            wait_for("it drains", lambda: "stopping: 1 session" in env.log())
            self.store.close()
            wait_for("it sees", lambda: "xenstore is lost" in env.log())
            s.mem_info()
            s.close()
            self.assertEqual(env.daemon.wait(60), 0)
            self.start()
            env.start()


SLOW_CHECK = """#!/bin/sh
case "$*" in *--sandbox-check*)
	: >{dir}/checks
	while [ ! -e {dir}/go ]; do sleep 0.02; done ;;
esac
exec {worker} "$@"
"""


class SlowStart(PvgpuEnv):
    """pvgpud whose start takes until go()."""

    def __init__(self):
        super().__init__()
        self.wrap_worker(SLOW_CHECK)

    def begin(self):
        with open(self.log_path, "ab") as log:
            self.daemon = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, MARK: self.mark})
        wait_for("the trial of its sandbox", lambda: os.path.exists(os.path.join(self.dir, "checks")))

    def go(self):
        with open(os.path.join(self.dir, "go"), "w", encoding="ascii"):
            pass


@unittest.skipIf(os.environ.get("PVGPU_SANDBOX", "full") == "off", "without a sandbox there is no trial of it")
class Signals(unittest.TestCase):
    """They come while pvgpud starts."""

    def test_hup(self):
        env = SlowStart()
        self.addCleanup(env.remove)
        env.begin()
        env.daemon.send_signal(signal.SIGHUP)
        env.go()
        wait_for("pvgpud", env.up)
        wait_for("the reload", lambda: "reload: " in env.log())
        env.stop()
        env.check_clean()

    def test_ends(self):
        for sig in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
            with self.subTest(sig):
                env = SlowStart()
                self.addCleanup(env.remove)
                env.begin()
                env.daemon.send_signal(sig)
                env.go()
                self.assertEqual(env.daemon.wait(LIMIT), 0, env.log())
                # After a hand-over the next one finds what is left.
                if sig != signal.SIGUSR1:
                    env.check_clean()

    def test_a_trial_that_fails(self):
        """It leaves no folder of workers' cgroups."""
        env = SlowStart()
        self.addCleanup(env.remove)
        with open(env.settings["worker"], "w", encoding="ascii") as f:
            f.write("#!/bin/sh\nexit 7\n")
        with open(env.log_path, "ab") as log:
            done = subprocess.run(env.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, MARK: env.mark}, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(cgroups(env.mark), [])


def stopped_asleep(pid):
    """Stop it; it goes on where it was not asleep."""
    os.kill(pid, signal.SIGSTOP)
    wait_for("a stop", lambda: state_of(pid) == "T")
    with open(f"/proc/{pid}/syscall", encoding="ascii") as f:
        if f.read().split()[0] == NANOSLEEP:
            return True
    os.kill(pid, signal.SIGCONT)
    return False


if __name__ == "__main__":
    unittest.main()
