#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The ledger of pvgpu-cloudstack usage: what VMs had and used, hour by hour."""
import csv
import io
import os
import pathlib
import re
import signal
import threading
import unittest

from world import PATIENCE, PROJECT, World
from pvgpu_cloudstack import site, toggle, usage


class Usage(World):
    """Times are told to the ledger; nothing waits."""

    def setUp(self):
        super().setUp()
        self.at = 1_800_000_000 - 1_800_000_000 % 86400

    def collect(self, hours):
        place = site.Site(str(self.folder / "cloudstack.conf"))
        tool, ledger = toggle.Tool(place), usage.Ledger(place.state_file("usage.db"))
        try:
            return usage.Sampler(tool).take(ledger, int(self.at + hours * 3600))
        finally:
            ledger.close()
            tool.close()

    def report(self, *words):
        return self.ask("usage", "report", "--from", "2020-01-01", "--to", "2030-01-01", *words, schema="report")

    def rows(self, interval="hour"):
        return [(r["from"][11:13], r["gpu-seconds"], r["memory-gib-hours"], r["allocated-seconds"], r["complete"])
                for r in self.report("--interval", interval)]

    def run_vm(self, v, us, vgpu=0):
        vm = self.pool.of(v["instancename"])
        self.pool.host_of(vm).use(int(vm["domid"]), vgpu, us)

    def test_hours_sums_and_again(self):
        v = self.vm()
        self.ask("enable", "web1", "--profile", "pvgpu-2g")
        self.collect(0.5)
        self.run_vm(v, 90_000_001)
        self.collect(2)
        want = [("00", "30.000000", "1.000000", 1800, True), ("01", "60.000001", "2.000000", 3600, True)]
        self.assertEqual(self.rows(), want)
        for _ in range(3):
            self.collect(2)
        self.assertEqual(self.rows(), want)
        self.run_vm(v, 100_000_000)
        self.collect(2.25)
        self.assertEqual(self.rows()[2], ("02", "9.999999", "0.500000", 900, False))
        day, = self.rows("day")
        self.assertEqual(day[1:], ("100.000000", "3.500000", 6300, False))  # the counter, as xenstore has it
        words = ("usage", "report", "--csv", "--to", "2030-01-01")
        first = self.run_tool(*words).out
        self.assertEqual(first, self.run_tool(*words).out)
        row, = csv.DictReader(io.StringIO(first))
        self.assertEqual(row["name"], "web1")
        self.assertEqual((row["account"], row["project"], row["vm"], row["profile"], row["gpu-seconds"], row["complete"]),
                         ("ROOT/alice", "", v["id"], "pvgpu-2g", "100.000000", "no"))

    def test_stop_start_and_detach_on_stop(self):
        v = self.vm()
        self.ask("enable", "web1", "--profile", "pvgpu-2g", "--count", 2)
        self.collect(0)
        self.run_vm(v, 5_000_000)
        self.run_vm(v, 7_000_000, 1)
        self.collect(1)
        self.cloud.stop(v)
        self.collect(1)           # the webhook's
        self.collect(2)           # stopped and allocated: two vGPUs
        self.cloud.domain_settings[("gpu.detach.on.stop", "d1")] = "true"
        self.collect(2)
        self.collect(3)           # stopped and not allocated
        self.cloud.start(v, self.hosts[0], polls=0)
        self.ask("sync", "web1")
        self.run_vm(v, 1_000_000)  # a domain with counters of its own
        self.collect(3)
        self.collect(4)
        self.assertEqual([r[:4] for r in self.rows()], [("00", "12.000000", "4.000000", 7200), ("01", "0.000000", "4.000000", 7200),
                                                        ("03", "1.000000", "4.000000", 7200)])
        conf = {"detach-on-stop": "no", "wait": "5"}
        self.cloud.stop(v)
        self.conf["toggle"] = conf
        self.write_conf()
        self.collect(4)
        self.collect(5)
        self.assertEqual(self.rows()[3][:4], ("04", "0.000000", "4.000000", 7200))

    def test_owners_and_disable(self):
        v = self.vm("=1+1")
        self.ask("enable", "=1+1", "--profile", "pvgpu-2g")
        self.collect(0)
        v.update(projectid=PROJECT)
        self.collect(1)
        self.ask("disable", "=1+1")
        self.collect(2)
        self.collect(5)
        rows = csv.DictReader(io.StringIO(self.run_tool("usage", "report", "--csv", "--to", "2030-01-01").out))
        self.assertEqual({r["name"] for r in rows}, {"'=1+1"})
        found = [(r["from"][11:13], r["account"], r["project"], r["allocated-seconds"]) for r in self.report("--interval", "hour")]
        self.assertEqual(found, [("00", "ROOT/alice", "", 3600), ("01", "", PROJECT, 3600)])

    def test_a_host_that_does_not_answer(self):
        v = self.vm()
        self.ask("enable", "web1", "--profile", "pvgpu-2g")
        self.collect(0)
        self.pool.named("xcp1").down = True
        self.assertIn("HOST_OFFLINE", self.collect(1)["faults"][0])
        self.pool.named("xcp1").down = False
        self.run_vm(v, 8_000_000)
        self.collect(2)
        self.assertEqual([r[1:4] for r in self.rows()], [("4.000000", "2.000000", 3600)] * 2)

    def test_a_ledger_that_begins_anew(self):
        """What was used before its first sample of a host is in no interval: a ledger before it may have it."""
        v = self.vm()
        self.ask("enable", "web1", "--profile", "pvgpu-2g")
        self.run_vm(v, 50_000_000)
        self.collect(0)
        self.run_vm(v, 51_000_000)
        self.collect(1)
        self.assertEqual([r[1] for r in self.rows()], ["1.000000"])
        pathlib.Path(site.Site(str(self.folder / "cloudstack.conf")).state_file("usage.db")).unlink()
        self.pool.named("xcp1").down = True
        self.collect(1)
        self.pool.named("xcp1").down = False
        self.collect(2)
        self.run_vm(v, 53_000_000)
        self.collect(3)
        self.assertEqual(sum(float(r[1]) for r in self.rows()), 2)
        # A VM that starts between samples has used all of its counter since the one before.
        self.cloud.stop(v)
        self.collect(3)
        self.cloud.start(v, self.hosts[0], polls=0)
        self.ask("sync", "web1")
        self.run_vm(v, 4_000_000)
        self.collect(4)
        self.assertEqual(sum(float(r[1]) for r in self.rows()), 6)

    def test_a_counter_that_is_not_read(self):
        """A host that cannot read a vGPU's statistics at one moment shows 0."""
        v = self.vm()
        self.ask("enable", "web1", "--profile", "pvgpu-2g")
        self.collect(0)
        for hour, us in (1, 5_000_000), (2, 0), (3, 6_000_000), (4, 6_000_000):
            self.run_vm(v, us)
            self.collect(hour)
        self.assertEqual(sum(float(r[1]) for r in self.rows()), 6)
        # From its beginning: the backend has been made anew.
        self.run_vm(v, 2_000_000)
        self.collect(5)
        self.assertEqual(sum(float(r[1]) for r in self.rows()), 8)

    def test_a_clock_that_goes_back(self):
        v = self.vm()
        self.ask("enable", "web1", "--profile", "pvgpu-2g")
        self.collect(1)
        self.run_vm(v, 1_000_000)
        self.collect(0)
        self.collect(2)
        self.assertEqual([r[:4] for r in self.rows()], [("01", "1.000000", "2.000000", 3600)])

    def test_killed_on_the_way(self):
        v = self.vm()
        self.ask("enable", "web1", "--profile", "pvgpu-2g")
        self.ask("usage", "collect", schema="collect")
        self.run_vm(v, 3_000_000)
        self.killer.aim(4, "after")
        child = self.start("usage", "collect")
        self.killer.child = child
        self.killer.set.set()
        self.assertEqual(child.wait().status, -signal.SIGKILL)
        self.killer.aim(0, "")
        self.ask("usage", "collect", schema="collect")
        row, = self.report("--interval", "month")
        self.assertEqual(row["gpu-seconds"], "3.000000")

    def test_samplers_take_turns(self):
        """One has read the counters and not written them when they go on and another begins."""
        if not os.path.exists("/proc/locks"):
            self.skipTest("/proc/locks does not show who waits")
        v = self.vm()
        self.ask("enable", "web1", "--profile", "pvgpu-2g")
        self.ask("usage", "collect", schema="collect")
        self.run_vm(v, 1_000_000)
        plain, reached, go = self.pool.host_call_plugin, threading.Event(), threading.Event()

        def slow(ref, plugin, fn, args):
            out = plain(ref, plugin, fn, args)
            if not reached.is_set():
                reached.set()
                go.wait(PATIENCE)
            return out
        self.pool.host_call_plugin = slow
        first = self.start("usage", "collect")
        reached.wait(PATIENCE)
        self.run_vm(v, 2_000_000)
        second = self.start("usage", "collect")
        waits = re.compile(r"^\d+: -> POSIX .* %d " % second.pid, re.M)
        self.until(lambda: second.ended() or waits.search(pathlib.Path("/proc/locks").read_text()))
        go.set()
        self.assertEqual((first.wait().status, second.wait().status), (0, 0))
        row, = self.report("--interval", "month")
        self.assertEqual(row["gpu-seconds"], "2.000000")

    def test_spread_keeps_sums(self):
        for amount, start, end in ((1, 0, 7200), (7, 3599, 3601), (10 ** 12 + 1, 100, 86400 * 3 + 5), (5, 50, 50), (0, 0, 10)):
            parts = usage.spread(amount, start, end)
            self.assertEqual(sum(p for _, p in parts), amount)
            self.assertTrue(all(p >= 0 and h % 3600 == 0 for h, p in parts))

    def test_wrong_use(self):
        self.refused(2, "--from x: must be a day or a full hour of UTC", "usage", "report", "--from", "x")
        self.refused(2, "must be after --from", "usage", "report", "--from", "2026-02-01", "--to", "2026-01-01T05:00Z")
        self.refused(2, "--csv or --json, not both", "usage", "report", "--csv", "--json")
        self.refused(2, "usage collect takes none of", "usage", "collect", "--csv")
        (self.folder / "state" / "usage.db").write_bytes(b"no database at all" * 100)
        self.refused(1, "it is the usage ledger; move it away", "usage", "report")


if __name__ == "__main__":
    unittest.main(warnings="ignore")
