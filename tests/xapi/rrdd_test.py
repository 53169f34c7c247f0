#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""pvgpu-rrdd against a double of xcp-rrdd, whose reader of the protocol knows nothing of the plugin (rrdd.py).

PVGPU_BUILD: the build folder with pvgpuctl. PYTHON2: as in plugin_test.py.
"""
import importlib.machinery
import importlib.util
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

import plugin_test
from double import Pool
from host import PATIENCE_S, PROGRAMS, Programs
from rrdd import Bad, Rrdd, crc32

UUIDS = ["00000000-0000-4000-8000-00000000000%d" % n for n in range(3)]
GIB = 1 << 30
# What Xen Orchestra takes for a measure of its own, of a VM or a host, in any source whose name it does not know (xo-server's xapi-stats.mjs).
TAKEN_BY_XO = re.compile(r"memory$|^cpu\d+$|^cpu_usage$|^memory_|^runstate_|^vif_|^vbd_|^pif_|^loadavg$|^iops_|^io_throughput_|_latency_\w+$|^iowait_")


def plugin():
    loader = importlib.machinery.SourceFileLoader("pvgpu_rrdd", str(PROGRAMS / "pvgpu-rrdd"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("pvgpu_rrdd", loader))
    loader.exec_module(module)
    return module


class Readings(unittest.TestCase):
    python = sys.executable

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="rrdd-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.pool = Pool(self.folder)
        self.addCleanup(self.pool.close)
        self.host = Programs(self.pool.hosts[0])
        self.rrdd = Rrdd(self.folder / "rrdd", self.folder / "metrics")
        self.rrdd.next = 0.9  # so that the plugin writes often
        self.addCleanup(self.rrdd.server_close)
        self.addCleanup(self.rrdd.shutdown)
        self.child = None

    def attach(self, n, **statistics):
        vm = self.pool.add_vm("web%d" % n, uuid=UUIDS[n])
        self.pool.start(vm)
        self.pool.host_call_plugin(self.pool.hosts[0].ref, "pvgpu", "attach", {"vm-uuid": UUIDS[n], "profile": "pvgpu-2g"})
        self.count(n, **statistics)
        return vm

    def count(self, n, **statistics):
        domid = [v["domid"] for v in self.pool.vms.values() if v["uuid"] == UUIDS[n]][0]
        self.host.store.write("/local/domain/0/backend/pvgpu/%s/0/statistics" % domid,
                              " ".join("%s=%d" % (k.replace("_", "-"), v) for k, v in statistics.items()))

    def words(self, *more):
        return [self.python, str(PROGRAMS / "pvgpu-rrdd"), "--socket", str(self.folder / "rrdd")] + list(more)

    def once(self):
        return subprocess.run(self.words("--once"), env={**os.environ, **self.host.env}, capture_output=True, text=True, check=False)

    def serve(self):
        with open(self.folder / "log", "a") as log:
            self.child = subprocess.Popen(self.words(), env={**os.environ, **self.host.env}, stderr=log)
        self.addCleanup(self.child.stdout.close if self.child.stdout else lambda: None)
        self.addCleanup(self.child.wait, PATIENCE_S)
        self.addCleanup(self.child.kill)

    def calls(self, method, more=1):
        """Waits for so many calls from now on."""
        with self.rrdd.called:
            before = sum(m == method for m, _ in self.rrdd.calls)
            good = self.rrdd.called.wait_for(lambda: sum(m == method for m, _ in self.rrdd.calls) >= before + more, PATIENCE_S)
        self.assertTrue(good, (self.folder / "log").read_text())

    def reading(self):
        """The next that can be read: the reader may come while the plugin writes."""
        for _ in range(100):
            self.calls("Plugin.Local.register")
            try:
                found = self.rrdd.readers["pvgpu"].read()
            except Bad:
                continue
            if found:
                return found
        raise AssertionError("no reading")

    def test_what_is_reported(self):
        self.attach(0, gpu_time=2500000, wait_time=1000000, memory_used=GIB, sessions=3)
        self.attach(1, gpu_time=500000)
        self.serve()
        found = self.reading()
        values = {k: v for k, (v, _) in found.items()}
        vm = "vm " + UUIDS[0]
        self.assertEqual([values[vm, "pvgpu0_" + n] for n in ("utilisation", "waiting", "memory_used", "memory_limit", "sessions")],
                         [2.5, 1.0, GIB, 2 * GIB, 3])
        gpu = "pvgpu_Domain_0_default_"
        self.assertEqual([values["host", gpu + n] for n in ("utilisation", "memory_used", "memory_total", "healthy")], [3.0, GIB, 8 * GIB, 1])
        self.assertEqual(len(found), 2 * 5 + 6)
        self.assertEqual([name for _, name in found if TAKEN_BY_XO.search(name)], [])
        for (_, name), (_, source) in found.items():
            self.assertEqual((source["type"], source["units"]) if "utilisation" in name or "waiting" in name else ("derive", "(fraction)"),
                             ("derive", "(fraction)"))
        # The same sources: the metadata is not read again. One second of GPU time later:
        cached = self.rrdd.readers["pvgpu"].metadata_crc
        self.count(0, gpu_time=3500000)
        for _ in range(100):
            found = self.reading()
            if found[vm, "pvgpu0_utilisation"][0] != 2.5:
                break
        self.assertEqual(found[vm, "pvgpu0_utilisation"][0], 3.5)
        self.assertEqual(self.rrdd.readers["pvgpu"].metadata_crc, cached)
        # Another vGPU: other metadata.
        self.attach(2)
        for _ in range(100):
            found = self.reading()
            if ("vm " + UUIDS[2], "pvgpu0_memory_limit") in found:
                break
        self.assertEqual(len(found), 3 * 5 + 6)
        self.assertNotEqual(self.rrdd.readers["pvgpu"].metadata_crc, cached)
        # xcp-rrdd is restarted.
        self.rrdd.readers.clear()
        self.assertEqual(len(self.reading()), 3 * 5 + 6)
        self.child.send_signal(signal.SIGTERM)
        self.assertEqual(self.child.wait(PATIENCE_S), 0)
        self.assertEqual((self.rrdd.readers, os.listdir(self.folder / "metrics")), ({}, []))

    def test_once_and_failures(self):
        done = self.once()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout.strip(), str(self.folder / "metrics" / "pvgpu"))
        self.host.env["PVGPUCTL"] = "/nonexistent"
        done = self.once()
        self.assertEqual((done.returncode, "/nonexistent: No such file" in done.stderr), (1, True), done.stderr)
        for words, status in ((["--help"], 0), (["--version"], 0), (["--speed"], 2), (["x"], 2)):
            self.assertEqual(subprocess.run(self.words(*words), capture_output=True, check=False).returncode, status)


@unittest.skipUnless(plugin_test.PYTHON2, "no Python 2 here: only its syntax is checked")
class ByPython2(Readings):
    python = plugin_test.PYTHON2


class Format(unittest.TestCase):
    def setUp(self):
        self.plugin = plugin()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="rrdd-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.rrdd = Rrdd(self.folder / "rrdd", self.folder)
        self.addCleanup(self.rrdd.server_close)
        self.addCleanup(self.rrdd.shutdown)

    def sources(self, n):
        return [self.plugin.Source("a", "vm %s" % i, i, "gauge", "B", "x") for i in range(n)]

    def test_the_reader_knows_the_standards_checksum(self):
        self.assertEqual(crc32(b"123456789"), 0xcbf43926)

    def test_a_file_that_grows(self):
        """A reader has mapped the file as it was: the plugin registers anew when it needs more."""
        self.plugin.ROOM = 4096
        reporter = self.plugin.Reporter(str(self.folder / "rrdd"))
        reporter.write(self.plugin.payload(self.sources(3), 1.0))
        reporter.register()
        first = self.rrdd.readers["pvgpu"]
        self.assertEqual(len(first.read()), 3)
        self.assertIsNone(first.read())
        reporter.write(self.plugin.payload(self.sources(100), 2.0))
        reporter.register()
        self.assertIsNot(self.rrdd.readers["pvgpu"], first)
        self.assertEqual(len(self.rrdd.readers["pvgpu"].read()), 100)
        reporter.write(self.plugin.payload([], 3.0))
        self.assertEqual(self.rrdd.readers["pvgpu"].read(), {})
        reporter.end()

    def test_faults_are_seen(self):
        good = self.plugin.payload(self.sources(2), 1.0)
        for at in (0, 12, 16, 24, 40, len(good) - 5):
            (self.folder / "pvgpu").write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1:])
            self.rrdd.readers.clear()
            self.rrdd.answer("Plugin.Local.register", {"uid": "pvgpu", "info": "Five_Seconds", "protocol": "V2"})
            with self.assertRaises(Bad, msg=at):
                self.rrdd.readers["pvgpu"].read()

    def test_waiting(self):
        for reading, sleep in ((5.0, 4.3), (0.7, 5.0), (0.2, 4.5), (-1.0, 3.3), (60.0, 5.0)):
            self.assertAlmostEqual(self.plugin.until(reading), sleep)


if __name__ == "__main__":
    unittest.main()
