# SPDX-License-Identifier: MIT
"""Memory that sessions of one vGPU share: counted once, also when its owner ends first, and nobody else's to have.

The sessions here are raw, so that each says what no libcuda would. The program `sharing` is the other half: it is run directly and through
pvgpu by run_programs.py, and here with more memory."""
import os
import signal
import struct
import unittest

import rawclient
from pvgpu_env import PvgpuEnv, alive, wait_for

MIB = 1 << 20
MEMORY, POOL = 0, 1
SHARE_MEMORY, SHARE_PHYSICAL, SHARE_OPEN, SHARE_CLOSE, SHARE_IMPORT, EVENT_CREATE, EVENT_OPEN, EVENT_TOKEN = 230, 231, 232, 233, 234, 235, 236, 238
EVENT_MARK, EVENT_LOOK, MEM_CREATE, MEM_RELEASE = 239, 241, 84, 85
EVENT, PHYSICAL = 35 << 56, 9 << 56
OK, INVALID_VALUE, INVALID_CONTEXT, INVALID_HANDLE = 0, 1, 201, 400


class Session(rawclient.Session):
    """A process of the vGPU."""

    def __init__(self, env, name="vgpu0"):
        super().__init__(env.socket(name))
        self.start()

    def token(self, address, size, kind=MEMORY):
        result, body = self.call(SHARE_MEMORY, struct.pack("<IIQQ", kind, 0, address, size))
        return result, body[8:72]

    def open(self, token, kind=MEMORY):
        """(CUresult, address)"""
        result, body = self.call(SHARE_OPEN, struct.pack("<QII", rawclient.CTX, kind, len(token)) + token)
        return result, struct.unpack("<QQ", body)[0]

    def close_shared(self, address):
        self.post(SHARE_CLOSE, struct.pack("<Q", address))

    def physical(self, size, index=0):
        return self.call(MEM_CREATE, struct.pack("<QQ", size, PHYSICAL | index))[0]

    def physical_token(self, index=0):
        result, body = self.call(SHARE_PHYSICAL, struct.pack("<Q", PHYSICAL | index))
        return result, body[8:72]

    def take(self, token, index=0):
        return self.call(SHARE_IMPORT, struct.pack("<IIQ", len(token), 0, PHYSICAL | index) + token)[0]

    def release(self, index=0):
        return self.call(MEM_RELEASE, struct.pack("<Q", PHYSICAL | index))[0]

    def event(self, index=0):
        return self.call(EVENT_CREATE, struct.pack("<QQ", rawclient.CTX, EVENT | index))[0]

    def event_token(self, index=0):
        result, body = self.call(EVENT_TOKEN, struct.pack("<Q", EVENT | index))
        return result, body[8:72]

    def open_event(self, token, index=0):
        return self.call(EVENT_OPEN, struct.pack("<QIIQ", rawclient.CTX, len(token), 0, EVENT | index) + token)[0]

    def mark(self, index=0):
        return self.call(EVENT_MARK, struct.pack("<Q", EVENT | index))[0]

    def look(self, index=0):
        """(recorded, done)"""
        return struct.unpack_from("<II", self.call(EVENT_LOOK, struct.pack("<Q", EVENT | index))[1])


def shared(s, size=4 * MIB):
    """A token of new memory, and its address."""
    result, address = s.alloc(size)
    assert result == OK, result
    result, token = s.token(address, size)
    assert result == OK, result
    return token, address


class Accounts(unittest.TestCase):
    """The bytes that the vGPU is charged for."""

    def setUp(self):
        self.env = PvgpuEnv(vgpus={"vgpu0": "256M", "other": "64M"}, settings={"spare_workers": 3})
        self.env.__enter__()
        self.addCleanup(self.env.__exit__, None, None, None)

    def used(self, bytes_):
        self.env.wait_used(bytes_)

    def worker_of(self, n):
        """The worker of the n-th session that was opened."""
        log = self.env.log()
        return int([line.rsplit("worker ", 1)[1] for line in log.splitlines() if ": pid " in line and "worker " in line][n])

    def test_counted_once(self):
        a, b = Session(self.env), Session(self.env)
        token, address = shared(a)
        self.used(4 * MIB)
        result, here = b.open(token)
        self.assertEqual(result, OK)
        self.used(4 * MIB)
        b.free(here)  # it is not this session's to free
        b.close_shared(here)
        self.used(4 * MIB)
        a.free(address)
        self.used(0)
        for s in (a, b):
            s.close()
        self.env.wait_sessions(0)

    def test_owner_frees_first(self):
        a, b, c = (Session(self.env) for _ in range(3))
        token, address = shared(a)
        for s in (b, c):
            self.assertEqual(s.open(token)[0], OK)
        a.free(address)
        self.assertEqual(wait_for("the token's end", lambda: b.open(token)[0]), INVALID_VALUE)
        a.alloc(1)  # all that a frees has been freed
        self.used(4 * MIB + 2 * MIB)
        a.close()
        self.used(4 * MIB)  # of the readers
        b.close()
        self.used(4 * MIB)
        c.close()
        self.used(0)
        self.env.wait_sessions(0)

    def test_killed(self):
        """Owner and readers, in both orders: nothing leaks, and what lives is charged."""
        for first in ("owner", "reader"):
            with self.subTest(killed=first):
                before = len([line for line in self.env.log().splitlines() if ": pid " in line])
                a, b = Session(self.env), Session(self.env)
                token, _ = shared(a, 8 * MIB)
                self.assertEqual(b.open(token)[0], OK)
                victim = self.worker_of(before + (first == "reader"))
                os.kill(victim, signal.SIGKILL)
                wait_for("the worker's end", lambda pid=victim: not alive(pid))
                self.env.wait_sessions(1)
                self.used(8 * MIB)
                (a if first == "owner" else b).close()
                (b if first == "owner" else a).close()
                self.used(0)
                self.env.wait_sessions(0)

    def test_physical(self):
        a, b = Session(self.env), Session(self.env)
        self.assertEqual(a.physical(6 * MIB), OK)
        result, token = a.physical_token()
        self.assertEqual(result, OK)
        self.assertEqual([b.take(token, n) for n in range(2)], [OK, OK])
        self.assertEqual(a.release(), OK)
        self.used(6 * MIB)
        self.assertEqual(b.take(token, 2), INVALID_VALUE)
        self.assertEqual(b.release(0), OK)
        self.used(6 * MIB)
        self.assertEqual(b.release(1), OK)
        self.used(0)
        for s in (a, b):
            s.close()
        self.env.wait_sessions(0)

    def test_small(self):
        """Small memory shares its page with its neighbours: the page is charged until nobody has it."""
        a, b = Session(self.env), Session(self.env)
        token, address = shared(a, 4096)
        self.assertEqual(a.token(address, 4097)[0], INVALID_VALUE)
        self.assertEqual(b.open(token)[0], OK)
        a.free(address)
        again, _ = shared(a, 4096)
        self.assertNotEqual(again, token)
        self.assertEqual(b.open(token)[0], INVALID_VALUE)
        a.close()
        self.used(2 * MIB)
        b.close()
        self.used(0)
        self.env.wait_sessions(0)

    def test_new_pvgpud(self):
        a, b = Session(self.env), Session(self.env)
        token, address = shared(a)
        self.assertEqual(b.open(token)[0], OK)
        self.env.restart()
        self.env.wait_sessions(2)
        self.used(4 * MIB)
        c = Session(self.env)
        self.assertEqual(c.open(token)[0], OK)
        a.free(address)
        a.close()
        self.used(4 * MIB)
        for s in (b, c):
            s.close()
        self.used(0)
        self.env.wait_sessions(0)

    def test_events(self):
        """An event whose last recorder has died is done: nobody waits for it for ever."""
        a, b = Session(self.env), Session(self.env)
        self.assertEqual(a.event(), OK)
        result, token = a.event_token()
        self.assertEqual(result, OK)
        self.assertEqual(b.open_event(token, 1), OK)
        self.assertEqual(a.mark(), OK)
        self.assertEqual(b.look(1), (1, 0))
        os.kill(self.worker_of(0), signal.SIGKILL)
        wait_for("the event's end", lambda: b.look(1) == (1, 1))
        for s in (a, b):
            s.close()
        self.env.wait_sessions(0)


class Hostile(unittest.TestCase):
    """What is no token of this vGPU's is refused, and nobody else notices."""

    def test_tokens(self):
        with PvgpuEnv(vgpus={"vgpu0": "256M", "other": "64M"}, settings={"spare_workers": 4}) as env:
            a, b, far, gone = Session(env), Session(env), Session(env, "other"), Session(env)
            token, address = shared(a)
            theirs, _ = shared(far)
            dead, _ = shared(gone)
            gone.close()
            env.wait_sessions(2)
            old, address2 = shared(a)
            a.free(address2)
            a.mem_info()
            self.assertEqual((a.physical(2 * MIB), a.event()), (OK, OK))
            physical, event = a.physical_token()[1], a.event_token()[1]
            pooled = a.token(address, 4096, POOL)[1]
            session, index, first, length = struct.unpack_from("<IIQQ", token)

            def made(**k):
                return struct.pack("<IIQQ", k.get("session", session), k.get("index", index), k.get("first", first),
                                   k.get("length", length)) + k.get("secret", token[24:])

            cases = {"other vGPU's": theirs, "dead process's": dead, "freed": old, "physical memory's": physical, "event's": event, "pool's": pooled,
                     "zeros": bytes(64), "ones": b"\xff" * 64, "random": os.urandom(64), "other secret": made(secret=os.urandom(40)),
                     "last bit": token[:-1] + bytes([token[-1] ^ 1]), "first bit of the secret": made(secret=bytes([token[24] ^ 1]) + token[25:]),
                     "longer": made(length=2 * length), "shorter": made(length=length // 2), "further": made(first=4096),
                     "next": made(index=index + 1), "far index": made(index=0xffffffff), "session 0": made(session=0),
                     "no session": made(session=0xfffffffe), "spare worker": made(session=session + 10),
                     "other vGPU's session": made(session=struct.unpack_from("<I", theirs)[0]),
                     "huge": made(first=1 << 63, length=1 << 63)}
            self.assertGreaterEqual(len(cases), 20)
            for name, wrong in cases.items():
                with self.subTest(token=name):
                    self.assertEqual(b.open(wrong)[0], INVALID_VALUE)
            for name, wrong in {"memory's": token, "event's": event, "random": os.urandom(64)}.items():
                with self.subTest(physical=name):
                    self.assertEqual(b.take(wrong, len(name)), INVALID_VALUE)
            for name, wrong in {"memory's": token, "physical": physical, "random": os.urandom(64)}.items():
                with self.subTest(event=name):
                    self.assertEqual(b.open_event(wrong, len(name)), INVALID_VALUE)
            self.assertEqual(far.open(token)[0], INVALID_VALUE)
            self.assertEqual(far.take(physical), INVALID_VALUE)
            self.assertEqual(a.open(token)[0], INVALID_CONTEXT)
            self.assertEqual(b.token(address, 4096)[0], INVALID_VALUE)
            self.assertEqual(b.open(token)[0], OK)
            here = b.open(token)[1]
            self.assertEqual(b.token(here, 4096)[0], INVALID_VALUE)  # it is not b's to share
            b.close_shared(here)
            b.close_shared(here)
            b.mem_info()
            for s in (a, b, far):
                s.close()
            env.wait_sessions(0)
            env.wait_sessions(0, "other")
            env.wait_used(0)
            self.assertEqual(env.read("/vgpu/vgpu0/sessions-failed"), "0")

    def test_truncated(self):
        with PvgpuEnv() as env:
            a = Session(env)
            token, _ = shared(a)
            for n in (0, 8, 63, 65):
                b = Session(env)
                b.post(SHARE_OPEN, struct.pack("<QII", rawclient.CTX, MEMORY, n) + (token + bytes(8))[:(n + 7) // 8 * 8])
                with self.subTest(bytes=n):
                    self.assertRegex(b.wait_end()[1], "share_open|malformed")
                b.close()
            a.close()
            env.wait_sessions(0)


class Programs(unittest.TestCase):
    def test_much(self):
        """A tensor of 1 GiB that both processes write: it does not fit the vGPU twice, so neither process has a copy."""
        with PvgpuEnv(vgpus={"vgpu0": "1200M"}) as env:
            p = env.run([os.path.join(env.build, "programs", "sharing"), "1024"], timeout=600)
            self.assertEqual((p.returncode, p.stderr), (0, b""), p.stdout)
            self.assertIn(b"both processes write 1024 MiB", p.stdout)
            env.wait_used(0)
            self.assertEqual(env.read("/vgpu/vgpu0/sessions-failed"), "0")


if __name__ == "__main__":
    unittest.main()
