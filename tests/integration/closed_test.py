# SPDX-License-Identifier: MIT
"""Doors of the driver's interface that lead to other processes, other GPUs or the driver's inside: peers, memory and semaphores of other
interfaces, profiling, debugging, checkpoints. A guest finds each one closed, through libcuda and through its ring, and its worker could not
open one: it knows no such call. Memory and events that processes of one vGPU share are sharing_test.py's."""
import os
import re
import struct
import unittest

import rawclient
from pvgpu_env import PvgpuEnv

SOURCE = os.path.join(os.path.dirname(__file__), "..", "..")
DOORS = re.compile(r"Ipc|PeerAccess|CanAccessPeer|P2P|Shareable|External|Multicast|HandleForAddressRange|Profiler|Coredump|Checkpoint|Logs|"
                   r"ExportTable|Graphics|EGL|VDPAU|D3D|GL[A-Z]")
# These answer, with what is true of a guest: there is one GPU, and nobody profiles.
HARMLESS = {"cuProfilerStart": 0, "cuProfilerStop": 0}
# By these a worker has memory of other sessions of its vGPU, which pvgpud lets it have.
SHARED = re.compile(r"cuIpc|cuMem(Pool)?(Export|Import)")
NOT_SUPPORTED, INVALID_VALUE = 801, 1
EVENT_CREATE, INTERPROCESS, COREDUMP = 110, 4 | 2, (0x20, 0x40)


def read(path):
    with open(os.path.join(SOURCE, path), encoding="utf-8") as f:
        return f.read()


def exports():
    """Symbols behind the doors: name -> how the description has it answered."""
    rows = re.findall(r"^symbol (\w+) .*?\b(local|forward|refuse \w+)", read("libpvgpu/protocol/exports.api"), re.M)
    return {name: how for name, how in rows if DOORS.search(name) and not SHARED.match(name)}


def operations():
    """number -> name, of those of families, too"""
    return {int(number): name for name, number in re.findall(r"^command (\w+) \d+ (\d+) ", read("libpvgpu/protocol/numbers.lock"), re.M)}


class Library(unittest.TestCase):
    def test_every_call(self):
        names = exports()
        self.assertGreater(len(names), 60)
        self.assertNotIn("forward", names.values())
        with PvgpuEnv() as env:
            p = env.run([os.path.join(env.build, "tests", "closed"), *names])
            self.assertEqual(p.returncode, 0, p.stderr)
            rows = [line.split() for line in p.stdout.decode().splitlines()]
            self.assertEqual([r[0] for r in rows], list(names))
            for name, by_name, by_address in rows:
                with self.subTest(call=name):
                    if name in HARMLESS:
                        self.assertEqual(int(by_name), HARMLESS[name])
                        continue
                    self.assertGreater(int(by_name), 0)
                    self.assertNotEqual(int(by_address), 0)
                    if names[name].endswith(" NOT_SUPPORTED"):
                        self.assertEqual(int(by_name), NOT_SUPPORTED)
                        self.assertIn(int(by_address), (NOT_SUPPORTED, -1))
            self.assertEqual(env.read("/vgpu/vgpu0/sessions-failed"), "0")


class Ring(unittest.TestCase):
    def test_no_such_command(self):
        """A command is one of the description's, and none of these leads there; others end the session."""
        known = operations()
        self.assertGreater(len(known), 50)
        self.assertEqual([n for n in known.values() if DOORS.search("".join(w.title() for w in n.split("_")))], [])
        most = max(known)
        free = [n for n in range(1, most + 1) if n not in known]
        with PvgpuEnv() as env:
            for op in (*free[::max(1, len(free) // 12)], most + 1, 0xFFFF):
                s = rawclient.Session(env.socket())
                s.start()
                s.post(op)
                with self.subTest(op=op):
                    self.assertRegex(s.wait_end()[1], "unknown|no such|malformed|command")
                s.close()
            env.wait_sessions(0)

    def test_flags(self):
        """An event for other processes, a core dump of the GPU."""
        with PvgpuEnv() as env:
            s = rawclient.Session(env.socket())
            s.start()
            s.post(EVENT_CREATE, struct.pack("<QIIQ", rawclient.CTX, INTERPROCESS, 0, 5 << 56))
            self.assertRegex(s.wait_end()[1], "event_create")
            s.close()
            s = rawclient.Session(env.socket())
            self.assertEqual(s.hello()[0], 0)
            s.windows()
            for n, flag in enumerate(COREDUMP):
                body = struct.pack("<IIQ", 0, flag, rawclient.CTX | n)
                self.assertEqual(s.call(rawclient.RETAIN, body)[0], INVALID_VALUE)
            s.close()


class Worker(unittest.TestCase):
    def test_knows_no_such_call(self):
        far = re.findall(r"X\((cu\w+)\)", read("xen-pvgpu-back/worker/far.h"))
        self.assertGreater(len(far), 50)
        self.assertEqual([n for n in far if DOORS.search(n) and not SHARED.match(n)], [])


if __name__ == "__main__":
    unittest.main()
