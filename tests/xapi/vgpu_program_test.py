#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""pvgpu-vgpu as it is, over a xenstored of the test's: it asks xenstored seldom while it waits, ends when it is told, and serves a domain once.

PVGPU_BUILD: the build folder with pvgpu-vgpu.
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

sys.dont_write_bytecode = True
from gpu_host import BUILD  # noqa: E402
from xenstored import Xenstored  # noqa: E402

PATIENCE_S = 120
DOM, BE = "/local/domain/3", "/local/domain/0/backend/pvgpu/3"
DEVICE = "--device=0000:41:00.0,half,0000:00:0b.0,0a8d5e0c-3a51-4f4e-b1d4-6f3a9f6f7a12"
A_LOOK = 40  # requests, generously; there is at most one a second


class Program(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="vgpu-program."))
        self.addCleanup(shutil.rmtree, str(self.folder))
        (self.folder / "profiles.conf").write_text("[profile half]\nmemory = 512M\n")
        self.store = Xenstored(str(self.folder / "socket"))
        self.addCleanup(self.store.close)
        self.store.write("/local/domain/0/name", "Domain-0")
        self.store.write(DOM + "/name", "web1")
        self.store.write(DOM + "/vm", "/vm/9c1b7a52-3f60-4f8e-8d55-0a2f6c1e7b90")
        self.store.write(DOM + "/device")

    def pvgpud(self):
        self.store.write("/local/domain/0/data/pvgpu/version", "0.1.0")
        self.store.write("/local/domain/0/data/pvgpu/gpu-memory-free", str(8 << 30))

    def start(self):
        p = subprocess.Popen([BUILD / "bin" / "pvgpu-vgpu", "--domain=3", "--site-dir=%s" % self.folder, DEVICE],
                             env=dict(os.environ, XENSTORED_PATH=self.store.path), stderr=subprocess.PIPE, text=True)
        self.addCleanup(p.stderr.close)
        self.addCleanup(p.wait)
        self.addCleanup(p.kill)
        return p

    def until(self, what):
        end = time.monotonic() + PATIENCE_S
        while not what():
            self.assertLess(time.monotonic(), end)
            time.sleep(0.01)

    def state(self, state):
        self.until(lambda: self.store.get(DOM + "/vgpu/state") == state)

    def seldom(self, begun):
        """xenstored has not been asked more often than with a look a second since begun."""
        asked, looks = self.store.count(), time.monotonic() - begun + 2
        self.assertLess(asked, A_LOOK * looks)

    def test_it_waits_for_pvgpud(self):
        p = self.start()
        self.state("initialising")
        begun = time.monotonic()
        self.store.count()
        time.sleep(3)
        self.seldom(begun)
        p.terminate()
        self.assertEqual(p.wait(PATIENCE_S), 0, p.stderr.read())
        self.assertEqual((self.store.get(DOM + "/vgpu-pid"), self.store.paths(BE)), (None, []))

    def test_it_waits_for_the_guest(self):
        self.pvgpud()
        p = self.start()
        self.state("running")
        self.store.write(BE + "/0/state", "4")
        self.store.write(DOM + "/device/pvgpu/0/state", "4")
        begun = time.monotonic()
        self.store.count()
        p.terminate()
        self.until(lambda: self.store.get(BE + "/0/online") == "0")
        self.assertEqual(p.wait(PATIENCE_S), 0, p.stderr.read())
        self.seldom(begun)
        self.assertEqual(self.store.paths(BE), [])

    def test_two_at_once(self):
        """The starter's and xenopsd's. What each does at which moment is a matter of chance, so ten times."""
        self.pvgpud()
        for _ in range(10):
            both = [self.start() for _ in range(2)]
            self.state("running")
            self.until(lambda: any(p.poll() is not None for p in both))
            other, serves = sorted(both, key=lambda p: p.poll() is None)
            self.assertEqual((other.returncode, serves.poll()), (0, None))
            self.assertIn("another instance serves it", other.stderr.read())
            self.assertEqual(self.store.get(DOM + "/vgpu-pid"), str(serves.pid))
            self.assertEqual([path for path in self.store.paths(BE) if path.endswith("/uuid")], [BE + "/0/uuid"])
            self.store.write(BE + "/0/state", "6")
            serves.terminate()
            self.assertEqual(serves.wait(PATIENCE_S), 0, serves.stderr.read())


if __name__ == "__main__":
    unittest.main(warnings="ignore")
