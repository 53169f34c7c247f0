#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the statistics of 100 Xen guests' vGPUs cost, when every one of them changes all the time: pvgpud's writes to xenstore, counted between it and Xen's own
xenstored, which runs without Xen, and processor time of both. pvgpud's side of xenstore is as it is; the rest of it is not there (statistics_load.c).

PVGPU_BUILD: the build folder. PVGPU_LOAD_S: how long it is counted (default 30)."""
import os
import signal
import sys
import time
import unittest

sys.dont_write_bytecode = True
import idle_test  # noqa: E402
from idle_test import BACK, BUILD, FRONT, PATIENCE_S, cpu_s  # noqa: E402
from xenstored import WRITE  # noqa: E402

VGPUS = 100
LOAD_S = int(os.environ.get("PVGPU_LOAD_S", "30"))
INITWAIT, INITIALISED, CONNECTED = "2", "3", "4"


class Load(idle_test.OverXenstored):
    def attach(self, domid):
        """As the toolstack does, and the guest's module."""
        back, front = BACK % domid, FRONT % domid
        for path, value in (("/local/domain/%d/name" % domid, "vm%d" % domid), (back + "/frontend", front), (back + "/frontend-id", str(domid)),
                            (back + "/online", "1"), (back + "/uuid", "6a6c8ab2-9c1b-4d3e-8f10-%012d" % domid), (back + "/memory", str(1 << 30)),
                            (back + "/policy", ""), (front + "/backend", back), (front + "/backend-id", "0"), (front + "/state", "1"), (back + "/state", "1")):
            self.mine.write(path, value)
        self.until(lambda: self.mine.get(back + "/state") == INITWAIT, "vGPU of %d waits for its guest" % domid)
        for key, value in (("protocol-version", "1"), ("ring-ref", "8"), ("event-channel", "15"), ("state", INITIALISED)):
            self.mine.write(front + "/" + key, value)
        self.until(lambda: self.mine.get(back + "/state") == CONNECTED, "vGPU of %d is connected" % domid)
        self.mine.write(front + "/state", CONNECTED)

    def statistics(self):
        return [self.mine.get(BACK % n + "/statistics") for n in range(1, VGPUS + 1)]

    def test_a_hundred_vgpus(self):
        self.mine.write("/local/domain/0/domid", "0")
        pvgpud = self.run_program([BUILD / "tests/statistics_load"], self.env)
        self.until(lambda: self.mine.get("/local/domain/0/data/pvgpu/version"), "pvgpud has its keys")
        for n in range(1, VGPUS + 1):
            self.attach(n)
        self.until(lambda: all("launches=" in (s or "") for s in self.statistics()), "each has statistics")
        before = self.statistics()
        start, kinds, all_, cpu, xen_cpu = time.monotonic(), dict(self.counter.kinds), self.counter.requests, cpu_s(pvgpud.pid), cpu_s(self.xenstored.pid)
        time.sleep(LOAD_S)
        writes, requests, passed = self.counter.kinds[WRITE] - kinds[WRITE], self.counter.requests - all_, time.monotonic() - start
        cpu, xen_cpu = cpu_s(pvgpud.pid) - cpu, cpu_s(self.xenstored.pid) - xen_cpu
        after = self.statistics()
        print("%d vGPUs whose statistics change all the time: %.1f writes to xenstore a second (%.0f requests), %.2f %% of a processor, of xenstored's %.2f %%; "
              "%d bytes the longest" % (VGPUS, writes / passed, requests / passed, 100 * cpu / passed, 100 * xen_cpu / passed, max(map(len, after))))
        # One a second of each, and that of a second that the count cuts.
        self.assertLessEqual(writes, VGPUS * (passed + 1))
        self.assertEqual([n for n, (a, b) in enumerate(zip(before, after)) if a == b], [], "these vGPUs' statistics stand still")
        self.assertLess(cpu, 0.02 * passed)
        self.assertIsNone(pvgpud.poll())
        pvgpud.send_signal(signal.SIGTERM)
        self.assertEqual(pvgpud.wait(PATIENCE_S), 0)


if __name__ == "__main__":
    unittest.main(warnings="ignore")
