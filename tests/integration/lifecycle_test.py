# SPDX-License-Identifier: MIT
"""pvgpud and its workers from start to end, with a guest that speaks the protocol without libcuda. Every test has a
pvgpud of its own, which must leave nothing behind."""
import contextlib
import ctypes
import errno
import os
import random
import re
import resource
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import unittest

import rawclient as raw
from pvgpu_env import PvgpuEnv, alive, build_dir, marked_processes, program, wait_for

SO_PASSRIGHTS = 83  # Linux 6.16

# A worker; the first two that start while {dir}/open is there die together.
KILLED_TOGETHER = """#!/bin/sh
if mkdir {dir}/open/1 2>/dev/null; then
	while [ ! -e {dir}/open/2 ]; do sleep 0.02; done
	kill -9 $$
elif mkdir {dir}/open/2 2>/dev/null; then
	kill -9 $$
fi
exec {worker} "$@"
"""

GUEST_GONE, DRAINED, PROTOCOL, FAILED = range(4)
MIB = 1 << 20


def fds_of(pid):
    """Number of open files, once it has settled."""
    last = -1
    while (n := len(os.listdir(f"/proc/{pid}/fd"))) != last:
        last = n
        time.sleep(0.05)
    return n


def linux():
    """Its version, as numbers."""
    return tuple(int(n) for n in re.match(r"(\d+)\.(\d+)", os.uname().release).groups())


def slice_ns(pid):
    """What the thread asks for as its slice: sched_runtime of sched_getattr (number 315 on x86-64)."""
    attr = ctypes.create_string_buffer(48)
    if ctypes.CDLL(None, use_errno=True).syscall(315, pid, attr, len(attr), 0):
        raise OSError(ctypes.get_errno(), f"sched_getattr of {pid}")
    return struct.unpack_from("=Q", attr, 24)[0]


class Bystander:
    """A session that must not be affected."""

    def __init__(self, env, name="vgpu0"):
        self.s = raw.Session(env.socket(name))
        self.s.start()

    def check(self):
        assert self.s.status() == 0, self.s.reason()
        result, address = self.s.alloc(MIB)
        assert result == 0, result
        self.s.free(address)
        return True

    def close(self):
        self.s.close()


class Sessions(unittest.TestCase):
    def test_start_and_stop(self):
        with PvgpuEnv() as env:
            self.assertEqual(env.read("/daemon/pid"), str(env.pid))
            self.assertEqual(env.read("/vgpu/vgpu0/sessions"), "0")

    @unittest.skipUnless(linux() >= (6, 12), "Linux before 6.12 has no slices of threads")
    def test_pvgpud_and_workers_have_short_slices(self):
        with PvgpuEnv() as env:
            env.wait_spare()
            pids = [p for p, cmd in marked_processes(env.mark).items() if "pvgpu-worker" in cmd]
            self.assertTrue(pids)
            for pid in [env.pid, *pids]:
                self.assertEqual(slice_ns(pid), 100000, pid)

    def test_one_pvgpud_in_a_run_directory(self):
        with PvgpuEnv() as env:
            p = subprocess.run(env.command(), capture_output=True, text=True, timeout=120, check=False)
            self.assertEqual(p.returncode, 1)
            self.assertIn("another pvgpud runs in this run_dir", p.stderr)
            with raw.Session(env.socket()) as s:
                s.start()

    def test_hundred_sessions(self):
        with PvgpuEnv() as env:
            with raw.Session(env.socket()) as s:
                s.start()
            env.wait_sessions(0)
            env.wait_spare()
            before = fds_of(env.pid)
            for _ in range(100):
                with raw.Session(env.socket()) as s:
                    self.assertEqual(s.hello()[0], 0)
            env.wait_sessions(0)
            env.wait_spare()
            self.assertEqual(fds_of(env.pid), before)
            self.assertEqual(env.read("/vgpu/vgpu0/sessions-total"), "101")
            self.assertEqual(env.read("/vgpu/vgpu0/sessions-failed"), "0")

    def test_many_sessions_at_once(self):
        with PvgpuEnv() as env:
            all_of_them = [raw.Session(env.socket()) for _ in range(12)]
            for s in all_of_them:
                s.start()
            self.assertEqual(len(env.sessions()), 12)
            for s in all_of_them:
                s.close()

    def test_limits_on_sessions(self):
        with PvgpuEnv({"vgpu0": "memory=1G,max_sessions=2", "vgpu1": "1G"}) as env:
            first, second = raw.Session(env.socket()), raw.Session(env.socket())
            with self.assertRaises(raw.Refused) as e:
                raw.Session(env.socket())
            self.assertEqual(e.exception.error, errno.EUSERS)
            self.assertIn("max_sessions", e.exception.reason)
            raw.Session(env.socket("vgpu1")).close()
            first.close()
            env.wait_sessions(1)
            raw.Session(env.socket()).close()
            second.close()

    def test_connections_that_say_nothing(self):
        with PvgpuEnv(settings={"max_opening": 3, "open_timeout_ms": 300}) as env:
            by = Bystander(env)
            silent = [raw.connect(env.socket()) for _ in range(3)]
            raw.Session(env.socket()).close()  # waits for one of those
            self.assertIn("as many as max_opening allows", env.log())
            for s in silent:
                error = raw.OPENED.unpack(s.recv(raw.OPENED.size))[2]
                self.assertEqual(error, errno.ETIMEDOUT)
                self.assertEqual(s.recv(1), b"")
                s.close()
            raw.Session(env.socket()).close()
            by.check()
            by.close()

    def test_a_storm_of_starts(self):
        """Programs that start at once wait for each other."""
        with PvgpuEnv(vgpus={"vgpu0": "memory=1G,max_sessions=60"}, settings={"max_opening": 4}) as env:
            programs = [env.popen([os.path.join(env.build, "programs", "device")], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for _ in range(60)]
            results = [p.communicate(timeout=600) for p in programs]
            self.assertEqual([r[1] for p, r in zip(programs, results) if p.returncode], [])

    def test_many_pending_host_functions(self):
        with PvgpuEnv() as env:
            p = env.run([os.path.join(env.build, "programs", "plenty"), "70000"], timeout=600)
            self.assertEqual((p.returncode, p.stderr), (0, b""))

    def test_worker_cannot_start(self):
        with PvgpuEnv(libcuda="/nowhere/libcuda.so.1") as env:
            for _ in range(3):
                with self.assertRaises(raw.Refused) as e:
                    raw.Session(env.socket())
                self.assertEqual(e.exception.error, errno.ENODEV)
                self.assertIn("/nowhere/libcuda.so.1", e.exception.reason)

    def test_worker_program_is_missing(self):
        env = PvgpuEnv(worker="/nowhere/pvgpu-worker")
        try:
            p = subprocess.run(env.command(), capture_output=True, text=True, timeout=120, check=False)
            self.assertEqual(p.returncode, 1)
            self.assertIn("worker = /nowhere/pvgpu-worker: No such file", p.stderr)
        finally:
            env.remove()

    def test_a_dead_spare_is_replaced(self):
        def only_spare():
            """A spare worker's pid, when no worker of an earlier session is left."""
            found = [p for p, cmd in marked_processes(env.mark).items() if "pvgpu-worker" in cmd]
            return found and len(found) == int(env.read("/daemon/spare-workers")) and found[0]

        with PvgpuEnv() as env:
            for _ in range(3):
                env.wait_spare()
                os.kill(wait_for("only spares", only_spare), signal.SIGKILL)
                with raw.Session(env.socket()) as s:
                    s.start()


    def test_starting_workers_that_are_killed_at_once_are_replaced(self):
        """What kills two that start says as much of the GPU as what kills one: openings wait for the next."""
        env = PvgpuEnv({f"vgpu{i}": "64M" for i in range(2)})
        env.wrap_worker(KILLED_TOGETHER)
        env.settings["spare_workers"] = 0
        with env:
            self.assertEqual(env.run([os.path.join(env.build, "programs", "vecadd")]).returncode, 0)
            os.mkdir(os.path.join(env.dir, "open"))
            os.chmod(os.path.join(env.dir, "open"), 0o777)
            programs = [env.popen([os.path.join(env.build, "programs", "vecadd")], f"vgpu{i}", stdout=subprocess.PIPE, stderr=subprocess.PIPE) for i in range(2)]
            for p in programs:
                out, err = p.communicate(timeout=120)
                self.assertEqual((p.returncode, err), (0, b""), out)
            self.assertEqual(env.log().count("did not start: the worker was ended by signal 9"), 2)

    def test_a_spare_that_is_silent_is_replaced(self):
        """The session goes to another worker; that of a worker that takes it has more time."""
        with PvgpuEnv() as env:
            env.wait_spare()
            spare = next(p for p, cmd in marked_processes(env.mark).items() if "pvgpu-worker" in cmd)
            os.kill(spare, signal.SIGSTOP)
            with raw.Session(env.socket()) as s:
                s.start()
                self.assertNotIn(spare, env.workers())
            wait_for("the silent worker's end", lambda: not alive(spare))
            self.assertIn("did not take its session", env.log())
            self.assertEqual(env.read("/vgpu/vgpu0/sessions-failed"), "0")


class Garbage(unittest.TestCase):
    def setUp(self):
        self.env = self.enterContext(PvgpuEnv())
        self.by = Bystander(self.env)
        self.rng = random.Random(1)

    def tearDown(self):
        self.by.check()
        self.by.close()

    def ended(self, s, cause, text):
        got, reason = s.wait_end()
        self.assertEqual(got, cause, reason)
        self.assertIn(text, reason)
        wait_for("the reason", lambda: text in self.env.read("/vgpu/vgpu0/last-reason"))
        s.close()

    def test_open_requests(self):
        good = raw.request()
        bad = [b"", b"x", good[:-1], good + b"x", self.rng.randbytes(len(good)), self.rng.randbytes(60000),
               raw.request(magic=1), raw.request(version=0), raw.request(version=2), raw.request(cmd_size=1000),
               raw.request(cmd_size=1 << 31), raw.request(rep_size=16), bytes(len(good))]
        for message in bad:
            with raw.connect(self.env.socket()) as s:
                s.send(message)
                answer = raw.OPENED.unpack(s.recv(raw.OPENED.size))
                self.assertNotEqual(answer[2], 0, message[:40])
                self.assertTrue(answer[7].split(b"\0")[0], "a reason")
                self.assertEqual(s.recv(1), b"")

    def test_open_request_with_fds(self):
        self.env.wait_spare()
        before = fds_of(self.env.pid)
        with raw.connect(self.env.socket()) as s:
            anc = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("8i", *[0] * 8))]
            try:
                s.sendmsg([raw.request()], anc)
            except PermissionError:
                pass  # by the kernel, where it can
            else:
                self.assertEqual(raw.OPENED.unpack(s.recv(raw.OPENED.size))[2], errno.EPROTO)
        wait_for("its fds closed", lambda: fds_of(self.env.pid) == before)

    def test_file_that_is_slow_to_close(self):
        """Who closes the last copy of this socket waits for a minute: that must not be pvgpud."""
        with socket.socket(socket.AF_UNIX) as s:
            try:
                s.setsockopt(socket.SOL_SOCKET, SO_PASSRIGHTS, 0)
            except OSError:
                self.skipTest("a kernel without SO_PASSRIGHTS")
        with socket.create_server(("127.0.0.1", 0)) as server, raw.connect(self.env.socket()) as s:
            slow = socket.create_connection(server.getsockname())
            unread, _ = server.accept()
            slow.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while slow.send(bytes(65536)):
                    pass
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 60))
            self.env.daemon.send_signal(signal.SIGSTOP)
            with contextlib.suppress(PermissionError):
                s.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("i", slow.fileno()))])
            # Under way to pvgpud, or else this copy is the last one, until its peer goes.
            closing = threading.Thread(target=slow.close)
            closing.start()
            closing.join(0.5)
            self.env.daemon.send_signal(signal.SIGCONT)
            try:
                self.assertIsNotNone(self.env.read("/daemon/version"))
            finally:
                unread.close()
                closing.join()

    def test_second_request(self):
        with raw.connect(self.env.socket()) as s:
            s.send(raw.request())
            try:
                s.send(raw.request())
            except BrokenPipeError:
                pass # answered already

    def test_session_socket(self):
        for message in (b"", b"x", bytes(24), self.rng.randbytes(24), self.rng.randbytes(5000)):
            s = raw.Session(self.env.socket())
            s.start()
            s.sock.send(message)
            self.ended(s, PROTOCOL, "chunk request")

    def test_chunks(self):
        s = raw.Session(self.env.socket())
        base, size = s.start()[2:]
        good = raw.chunk_memfd(MIB)
        self.assertEqual(s.chunk(1, base, MIB, [good]), 0)
        self.assertEqual(s.chunk(1, base, MIB, [good]), errno.EEXIST)
        self.assertEqual(s.chunk(1, base + MIB - 4096, MIB, [good]), errno.EEXIST)
        self.assertEqual(s.chunk(2, base + MIB, MIB), errno.ENOENT)
        self.assertEqual(s.chunk(2, base, MIB), 0)
        self.assertEqual(s.chunk(1, base, MIB, [good]), 0)
        s.close()
        self.env.wait_sessions(1)
        for op, address, n, fds in ((1, base + size, MIB, 1), (1, base + 1, MIB, 1), (1, base, MIB, 0),
                                    (1, base, 2 * MIB, 1), (1, 0, MIB, 1), (3, base, MIB, 0), (2, base, MIB, 2)):
            s = raw.Session(self.env.socket())
            s.start()
            self.assertIsNone(s.chunk(op, address, n, [good] * fds))
            self.ended(s, PROTOCOL, "chunk")
        os.close(good)
        for seals in (0, raw.SEAL_SEAL, raw.SEAL_SHRINK):
            fd = raw.chunk_memfd(MIB, seals)
            s = raw.Session(self.env.socket())
            base = s.start()[2]
            self.assertIsNone(s.chunk(1, base, MIB, [fd]))
            self.ended(s, PROTOCOL, "sealed")
            os.close(fd)

    def test_arena_limit(self):
        s = raw.Session(self.env.socket())
        base = s.start()[2]
        fd = raw.chunk_memfd(1 << 30)
        done = 0
        while s.chunk(1, base + done, 1 << 30, [fd]) == 0:
            done += 1 << 30
        self.assertEqual(done, s.arena_limit)
        os.close(fd)
        s.close()

    def test_ring_indices(self):
        for word, value in ((raw.CMD_PROD, 0x80000000), (raw.CMD_PROD, 8), (raw.CMD_PROD, 0xFFFFFFF8)):
            s = raw.Session(self.env.socket())
            s.start()
            s.put_word(word, value)
            s.bell()
            self.ended(s, PROTOCOL, "command stream")
        s = raw.Session(self.env.socket())
        s.start()
        s.put_word(raw.REP_CONS, 0x7FFFFFF8)
        for _ in range(12000):
            if s.status():
                break
            s.post(raw.MEM_INFO, struct.pack("<Q", raw.CTX))
            while s.space() < 64 and not s.status():
                time.sleep(0.001)
        self.ended(s, PROTOCOL, "reply stream")

    def test_records(self):
        for head in ((7, 1, 0, 1, 0), (8, 1, 0, 1, 0), (16, 0, 0, 1, 0), (16, 9999, 0, 1, 0), (0xFFFFFFF8, 1, 0, 1, 0),
                     (65536, 1, 0, 1, 0), (32, 1, 0xFFFF, 1, 0), (32, 1, 0, 1, 7), (24, 1, 0, 1, 0), (0, 0, 0, 0, 0)):
            s = raw.Session(self.env.socket())
            s.start()
            s.put_bytes(raw.CMD.pack(*head) + bytes(48))
            s.publish(64)
            got, reason = s.wait_end()
            self.assertEqual(got, PROTOCOL, f"{head}: {reason}")
            self.assertTrue(reason)
            s.close()
            self.by.check()

    def test_random_bytes(self):
        for _ in range(30):
            s = raw.Session(self.env.socket())
            if self.rng.random() < 0.5:
                s.start()
            n = self.rng.randrange(16, 4096, 8)
            s.put_bytes(self.rng.randbytes(n))
            s.publish(n)
            self.assertEqual(s.wait_end()[0], PROTOCOL)
            s.close()
        wait_for("30 to be counted", lambda: int(self.env.read("/vgpu/vgpu0/sessions-failed")) == 30)

    def test_admin_socket(self):
        for text in (b"x" * 5000, b"\n\n\n", b"{}\n", b'{"op":1}\n', b"\0\xff\n", b'{"op":"tree"' + b"[" * 3000 + b"\n",
                     b'{"op":"read","path":"' + b"/a" * 1000 + b'"}\n', b'{"op":"write","path":"/vgpu/x/drain"}\n'):
            with socket.socket(socket.AF_UNIX) as s:
                s.settimeout(120)
                s.connect(os.path.join(self.env.run_dir, "admin.sock"))
                s.sendall(text)
                s.shutdown(socket.SHUT_WR)
                data = b""
                try:
                    while part := s.recv(65536):
                        data += part
                except ConnectionResetError:
                    pass  # it did not read all of that
                for line in data.splitlines():
                    self.assertIn(b'"ok":false', line)
        self.assertEqual(self.env.read("/daemon/pid"), str(self.env.pid))


class Memory(unittest.TestCase):
    def test_quota_is_the_vgpus(self):
        with PvgpuEnv({"vgpu0": "64M", "vgpu1": "64M"}) as env:
            a, b, other = (raw.Session(env.socket(n)) for n in ("vgpu0", "vgpu0", "vgpu1"))
            for s in (a, b, other):
                s.start()
            free, total = a.mem_info()
            self.assertEqual(total, 64 * MIB)
            self.assertEqual(a.alloc(40 * MIB)[0], 0)
            self.assertEqual(b.alloc(40 * MIB)[0], 2)
            self.assertEqual(other.alloc(40 * MIB)[0], 0)
            wait_for("b hears of it", lambda: b.mem_info()[0] <= free - 40 * MIB)
            a.close()
            env.wait_sessions(1)
            self.assertEqual(b.alloc(40 * MIB)[0], 0)
            b.close()
            other.close()

    def test_memory_comes_back(self):
        with PvgpuEnv({"vgpu0": "64M"}) as env:
            s = raw.Session(env.socket())
            s.start()
            idle = int(env.read("/vgpu/vgpu0/memory-used"))
            for _ in range(20):
                result, address = s.alloc(48 * MIB)
                self.assertEqual(result, 0)
                s.free(address)
            self.assertEqual(s.alloc(48 * MIB)[0], 0)
            self.assertGreaterEqual(int(env.read("/vgpu/vgpu0/memory-used")), idle + 48 * MIB)
            self.assertLessEqual(int(env.read("/vgpu/vgpu0/memory-used")), 64 * MIB)
            os.kill(env.workers()[0], signal.SIGKILL)
            env.wait_used(0)
            s.close()

    def test_a_guest_that_leaves_while_it_is_refused_memory(self):
        with PvgpuEnv({"vgpu0": "16M"}) as env:
            for _ in range(8):
                s = raw.Session(env.socket())
                s.start()
                while s.seq < 30000 and s.space() >= 64:
                    s.post(raw.MEM_ALLOC, struct.pack("<QQ", raw.CTX, MIB))
                s.close()
                env.wait_sessions(0)
                self.assertEqual(env.read("/vgpu/vgpu0/sessions-failed"), "0", env.log_tail())

    def test_a_guest_that_reads_no_replies(self):
        with PvgpuEnv() as env:
            by = Bystander(env)
            s = raw.Session(env.socket())
            s.start()
            posted = 0
            while posted < 30000:
                if s.space() < 64:
                    break
                s.post(raw.MEM_INFO, struct.pack("<Q", raw.CTX))
                posted += 1
            by.check()
            self.assertEqual(s.status(), 0, s.reason())
            last = s.seq
            self.assertEqual(s.wait(last)[0], 0)
            self.assertGreaterEqual(len(s.replies), posted - 1)
            s.close()
            by.close()


class Ends(unittest.TestCase):
    def test_stop_with_sessions(self):
        env = PvgpuEnv(settings={"shutdown_grace_ms": 300})
        with env:
            s = raw.Session(env.socket())
            s.start()
            env.stop()
            self.assertEqual(s.wait_end()[0], DRAINED)
            s.close()
            env.check_clean()
            env.start()

    def test_a_hung_worker(self):
        with PvgpuEnv(settings={"worker_grace_ms": 100}) as env:
            s = raw.Session(env.socket())
            s.start()
            worker = env.workers()[0]
            os.kill(worker, signal.SIGSTOP)
            s.close()
            wait_for("its end", lambda: env.read("/vgpu/vgpu0/sessions") == "1")
            env.wait_sessions(1)
            # The guest process (this one) lives, so nothing tells pvgpud that the worker should end; a drain does.
            env.write("/vgpu/vgpu0/drain", "now")
            os.kill(worker, signal.SIGCONT)
            env.wait_sessions(0)
            env.write("/vgpu/vgpu0/drain", "0")

    def test_a_worker_that_is_behind_with_news(self):
        """A worker starved of CPU may miss news about memory, but no other message."""
        with PvgpuEnv({"vgpu0": "64M"}, settings={"shutdown_grace_ms": 300}) as env:
            s = raw.Session(env.socket())
            s.start()
            worker = env.workers()[0]
            busy, third = (raw.Session(env.socket()) for _ in range(2))
            for other in (busy, third):
                other.start()
            free = third.mem_info()[0]
            os.kill(worker, signal.SIGSTOP)
            for _ in range(300):
                result, address = busy.alloc(8 * MIB)
                self.assertEqual(result, 0)
                wait_for("news of less memory", lambda: third.mem_info()[0] < free)
                busy.free(address)
                wait_for("news of more memory", lambda: third.mem_info()[0] == free)
            self.assertTrue(env.write("/vgpu/vgpu0/drain", "now")["ok"])
            os.kill(worker, signal.SIGCONT)
            for session in (s, busy, third):
                self.assertEqual(session.wait_end()[0], DRAINED)
                session.close()
            env.wait_sessions(0)
            env.write("/vgpu/vgpu0/drain", "0")
            self.assertEqual(env.read("/vgpu/vgpu0/sessions-failed"), "0")

    def test_a_hung_worker_of_a_dead_guest(self):
        with PvgpuEnv(settings={"worker_grace_ms": 100}) as env:
            guest = subprocess.Popen(
                [sys.executable, "-c", "import sys; sys.path.insert(0, sys.argv[2])\nimport rawclient as r, time\n"
                 "s = r.Session(sys.argv[1]); s.start(); print('up', flush=True); time.sleep(600)",
                 env.socket(), os.path.dirname(os.path.abspath(__file__))], stdout=subprocess.PIPE)
            guest.stdout.readline()
            worker = env.workers()[0]
            os.kill(worker, signal.SIGSTOP)
            guest.kill()
            guest.communicate()
            env.wait_sessions(0)
            self.assertFalse(alive(worker))
            self.assertIn("did not end after its guest", env.read("/vgpu/vgpu0/last-reason"))

    def test_a_blocked_worker_of_a_guest_that_cannot_be_watched(self):
        """The guest has its worker wait for a doorbell for ever, and goes. pvgpud has no pidfd of it."""
        with PvgpuEnv(vgpus={"vgpu0": "64M", "good": "64M"}, settings={"worker_grace_ms": 200},
                      wrap=["env", f"LD_PRELOAD={os.path.join(build_dir(), 'tests', 'no_pidfd.so')}"]) as env:
            good = raw.Session(env.socket("good"))
            good.start()
            r = subprocess.run([os.path.join(env.build, "tests", "attack"), env.socket(), "bells_block", "1"],
                               env=env.guest_env(), capture_output=True, text=True, timeout=120)
            self.assertEqual(r.returncode, 0, r.stderr)
            self.assertRegex(env.log(), r"vgpu0: pid 0 ")
            env.wait_sessions(0)
            self.assertRegex(env.read("/vgpu/vgpu0/last-reason"), "did not take its bell")
            # One that has nothing to do takes it.
            time.sleep(3)
            self.assertEqual(int(env.read("/vgpu/good/sessions")), 1)
            good.close()

    def test_far_end_that_hangs_at_the_end(self):
        with PvgpuEnv(settings={"worker_grace_ms": 300}) as env:
            s = raw.Session(env.socket())
            s.start()
            worker = env.workers()[0]
            s.close()
            wait_for("its end", lambda: not alive(worker))


class Limits(unittest.TestCase):
    def test_file_sizes(self):
        """The limit of file sizes counts for the arena, too: it is made of smaller pieces then, and without any there is an error."""
        with PvgpuEnv() as env:
            for limit, name, status in ((1 << 20, "vecadd", 0), (1 << 20, "pinned", 0), (1 << 20, "pinned_many", 0), (1 << 20, "pending", 0), (0, "vecadd", 1)):
                with self.subTest(limit=limit, program=name):
                    p = env.run([os.path.join(env.build, "programs", name)], timeout=60,
                                preexec_fn=lambda n=limit: resource.setrlimit(resource.RLIMIT_FSIZE, (n, n)))
                    self.assertEqual(p.returncode, status, p.stderr)


class Descriptors(unittest.TestCase):
    def test_taken_from_the_library(self):
        """A program closes what is the library's, or puts another file there: a lost session, and no call that never returns."""
        with PvgpuEnv() as env:
            program = os.path.join(env.build, "tests", "descriptors")
            seen = 0
            for how in ("close", "file", "event"):
                for n in range(16):
                    p = env.run([program, str(n), how])
                    if p.returncode == 2:
                        break
                    with self.subTest(descriptor=n, how=how):
                        self.assertEqual((p.returncode, p.stderr), (0, b""))
                        self.assertIn(int(p.stdout), (0, 46))
                        seen += int(p.stdout) == 46
            self.assertGreaterEqual(seen, 9)


class Adoption(unittest.TestCase):
    def check_goes_on(self, sig):
        with PvgpuEnv({"vgpu0": "256M"}) as env:
            s = raw.Session(env.socket())
            s.start()
            self.assertEqual(s.alloc(100 * MIB)[0], 0)
            used = env.read("/vgpu/vgpu0/memory-used")
            worker = env.workers()[0]
            env.kill_daemon(sig)
            # Without pvgpud no memory can be leased, but all other calls work; a waiting request is answered later.
            s.mem_info()
            seq = s.post(raw.MEM_ALLOC, struct.pack("<QQ", raw.CTX, 50 * MIB))
            env.start()
            self.assertEqual(s.wait(seq)[0], 0)
            wait_for("adoption", lambda: [v["state"] for v in env.sessions().values()] == ["running"])
            self.assertEqual(env.workers(), [worker])
            self.assertEqual(list(env.sessions()), [s.number])
            self.assertEqual(env.sessions()[s.number]["guest-pid"], str(os.getpid()))
            self.assertGreaterEqual(int(env.read("/vgpu/vgpu0/memory-used")), int(used) + 50 * MIB)
            self.assertEqual(s.alloc(120 * MIB)[0], 2)
            with raw.Session(env.socket()) as other:
                self.assertGreater(other.number, s.number)
                other.start()
            s.close()

    def test_after_a_kill(self):
        self.check_goes_on(signal.SIGKILL)

    def test_after_a_hand_over(self):
        self.check_goes_on(signal.SIGUSR1)

    def test_again_and_again(self):
        with PvgpuEnv() as env:
            s = raw.Session(env.socket())
            s.start()
            for _ in range(10):
                env.restart()
                s.mem_info()
            s.close()

    def test_a_pvgpud_that_goes_before_it_is_heard(self):
        """The worker takes the connection of one that is gone already, and waits for the next."""
        with PvgpuEnv() as env:
            s = raw.Session(env.socket())
            s.start()
            worker = env.workers()[0]
            os.kill(worker, signal.SIGSTOP)
            try:
                env.restart()
                env.kill_daemon()
            finally:
                os.kill(worker, signal.SIGCONT)
            s.mem_info()
            env.start()
            wait_for("adoption", lambda: [v["state"] for v in env.sessions().values()] == ["running"])
            s.mem_info()
            s.close()

    def test_a_worker_that_is_killed_meanwhile(self):
        """It is a failed session, whose program lives on; one that ended with its program is none."""
        with PvgpuEnv() as env:
            s = raw.Session(env.socket())
            s.start()
            p = env.popen([os.path.join(env.build, "programs", "occupy"), "1000000", "1000"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            env.wait_sessions(2)
            workers = env.workers()
            mine, = (int(v["pid"]) for n, v in env.sessions().items() if n == s.number)
            env.kill_daemon()
            os.kill(mine, signal.SIGKILL)
            p.kill()
            p.wait()
            wait_for("the workers' end", lambda: not any(alive(w) for w in workers))
            env.start()
            self.assertEqual((env.read("/vgpu/vgpu0/sessions"), env.read("/vgpu/vgpu0/sessions-failed")), ("0", "1"))
            self.assertEqual(env.read("/vgpu/vgpu0/last-reason"), f"session {s.number}: its worker died while there was no pvgpud")
            s.close()
            env.restart()
            self.assertNotIn("died while", env.log().rpartition("found")[2])

    def test_a_guest_that_goes_meanwhile(self):
        with PvgpuEnv() as env:
            s = raw.Session(env.socket())
            s.start()
            worker = env.workers()[0]
            env.kill_daemon()
            s.close()
            wait_for("the worker's end", lambda: not alive(worker))
            env.start()
            self.assertEqual(env.read("/vgpu/vgpu0/sessions"), "0")

    def test_no_memory_without_pvgpud(self):
        """However long pvgpud is away: an allocation waits for it, and never says that there is no memory."""
        with PvgpuEnv() as env:
            s = raw.Session(env.socket())
            s.start()
            env.kill_daemon()
            seq = s.post(raw.MEM_ALLOC, struct.pack("<QQ", raw.CTX, 100 * MIB))
            time.sleep(6)
            s.mem_info()  # other calls are answered
            self.assertNotIn(seq, s.replies)
            env.start()
            self.assertEqual(s.wait(seq)[0], 0)
            # It does not wait beyond the session's end.
            worker = env.workers()[0]
            env.kill_daemon()
            s.post(raw.MEM_ALLOC, struct.pack("<QQ", raw.CTX, 100 * MIB))
            s.close()
            wait_for("the worker's end", lambda: not alive(worker))
            env.start()

    def test_memory_given_back_meanwhile(self):
        """The next pvgpud counts what is on record; the worker returns what it has not any more, and no byte twice."""
        with PvgpuEnv({"vgpu0": "256M"}) as env:
            s = raw.Session(env.socket())
            s.start()
            used = int(env.read("/vgpu/vgpu0/memory-used"))
            kept, gone = s.alloc(40 * MIB), s.alloc(100 * MIB)
            self.assertEqual((kept[0], gone[0]), (0, 0))
            env.kill_daemon()
            s.free(gone[1])
            s.mem_info()  # it is done
            env.start()
            env.wait_used(used + 40 * MIB)
            env.restart()
            wait_for("adoption", lambda: [v["state"] for v in env.sessions().values()] == ["running"])
            env.wait_used(used + 40 * MIB)
            self.assertEqual(s.alloc(150 * MIB)[0], 0)
            s.close()
            self.assertNotIn("on record", env.log())

    def test_liars(self):
        """Listeners in the run directory that claim another worker's session, or too much memory."""
        lies = {"901.vgpu0.sock": (902, b"vgpu0", 0), "903.vgpu0.sock": (903, b"vgpu1", 0),
                "904.vgpu0.sock": (904, b"vgpu0", (1 << 64) - 1), "905.vgpu0.sock": None}
        with PvgpuEnv({"vgpu0": "1G", "vgpu1": "1G"}) as env:
            by = Bystander(env)
            env.kill_daemon()
            liars = []
            for name, lie in lies.items():
                p = subprocess.Popen([sys.executable, "-c", LIAR, os.path.join(env.run_dir, "workers", name), repr(lie)],
                                     stdout=subprocess.PIPE)
                p.stdout.readline()
                liars.append(p)
            open(os.path.join(env.run_dir, "workers", "906.vgpu0.sock"), "w").close()
            env.start()
            env.wait_sessions(1)
            for p in liars:
                self.assertEqual(p.wait(120), -signal.SIGKILL)
                p.communicate()
            by.check()
            self.assertEqual(env.read("/vgpu/vgpu1/sessions"), "0")
            by.close()

    def test_a_vgpu_that_is_not_configured_any_more(self):
        with PvgpuEnv({"vgpu0": "1G", "old": "1G"}, settings={"shutdown_grace_ms": 200}) as env:
            s, t = raw.Session(env.socket("old")), raw.Session(env.socket("old"))
            s.start()
            t.start()
            del env.vgpus["old"]
            env.restart()
            self.assertEqual(s.wait_end()[0], DRAINED)
            self.assertEqual(t.wait_end()[0], DRAINED)
            s.close()
            t.close()
            env.wait_sessions(0, "old")


LIAR = """
import socket, struct, sys
path, lie = sys.argv[1], eval(sys.argv[2])
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.bind(path)
s.listen(1)
print("up", flush=True)
c = s.accept()[0]
if lie:
    number, vgpu, leased = lie
    c.send(struct.pack("<IIQQQII40s128s", 7, 0, leased, 0, 0, number, 0, vgpu, b""))
else:
    c.send(b"garbage")
c.recv(1 << 16)
while True:
    c.recv(1 << 16) or __import__("time").sleep(1)
"""


class Tools(unittest.TestCase):
    def ctl(self, env, *args):
        return subprocess.run([program("pvgpuctl"), "--run-dir", env.run_dir, *args],
                              capture_output=True, text=True, timeout=120, check=False)

    def test_pvgpuctl(self):
        with PvgpuEnv({"vgpu0": "1G"}) as env:
            with raw.Session(env.socket()) as s:
                s.start()
                self.assertRegex(self.ctl(env, "list").stdout, r"vgpu0 +1024 +\d+ +0 +100 medium +100% +1 +1 +0 +\d+\.\d open")
                self.assertIn(f'"id": {s.number}', self.ctl(env, "show", "vgpu0", "--json").stdout)
                self.assertRegex(self.ctl(env, "show", "vgpu0").stdout, rf"{s.number} +{os.getpid()} ")
                self.assertIn(f"/vgpu/vgpu0/session/{s.number}/guest-pid = {os.getpid()}",
                              self.ctl(env, "tree").stdout)
            self.assertEqual(self.ctl(env, "wait", "/vgpu/vgpu0/sessions", "0").returncode, 0)
            self.assertEqual(self.ctl(env, "wait", "/vgpu/vgpu0/sessions", "9", "--timeout", "0.1").returncode, 4)
            self.assertEqual(self.ctl(env, "read", "/vgpu/vgpu0/memory").stdout, f"{1 << 30}\n")
            self.assertEqual(self.ctl(env, "write", "/daemon/log-level", "debug").returncode, 0)
            self.assertEqual(env.read("/daemon/log-level"), "debug")
            for args, status in ((["read", "/nothing"], 3), (["write", "/daemon/pid", "1"], 1),
                                 (["write", "/daemon/log-level", "loud"], 2), (["show", "other"], 3), (["read"], 2),
                                 (["dance"], 2), ([], 2), (["--help"], 0), (["--version"], 0)):
                p = self.ctl(env, *args)
                self.assertEqual(p.returncode, status, (args, p.stderr))
                self.assertTrue(p.stdout + p.stderr)
        p = subprocess.run([program("pvgpuctl"), "--run-dir", "/nowhere", "list"],
                           capture_output=True, text=True, timeout=120, check=False)
        self.assertEqual(p.returncode, 3)
        self.assertIn("/nowhere/admin.sock", p.stderr)

    def test_options(self):
        for name in ("pvgpud", "pvgpu-worker"):
            path = program(name)
            for option in ("--help", "--version"):
                p = subprocess.run([path, option], capture_output=True, text=True, timeout=120, check=False)
                self.assertEqual(p.returncode, 0)
                self.assertIn(name, p.stdout)
            p = subprocess.run([path, "--nonsense"], capture_output=True, text=True, timeout=120, check=False)
            self.assertEqual(p.returncode, 2)

    def test_sighup_reads_the_log_level(self):
        env = PvgpuEnv()
        env.config = "[daemon]\nlog_level = info\n"
        with env:
            env.write_config("[daemon]\nlog_level = debug\n")
            env.daemon.send_signal(signal.SIGHUP)
            wait_for("the level", lambda: env.read("/daemon/log-level") == "debug")
            env.write_config("[daemon]\nlog_level = loud\n")
            env.daemon.send_signal(signal.SIGHUP)
            wait_for("the complaint", lambda: "log_level = loud: must be" in env.log())
            self.assertEqual(env.read("/daemon/log-level"), "debug")


if __name__ == "__main__":
    unittest.main(verbosity=2)
