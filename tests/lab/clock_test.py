#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Limits of the lab: what the emulator waits for a processor counts for none."""
import os
import subprocess
import sys
import time
import unittest

sys.dont_write_bytecode = True
import machine  # noqa: E402
from channel import PATIENCE, Clock, LabError  # noqa: E402

BUSY = "while :; do :; done"


class Limits(unittest.TestCase):
    """Each look at the time is a second after the one before."""

    def setUp(self):
        self.clock = Clock()
        self.clock.now = self.now
        self.seconds = self.looks = 0

    def now(self):
        self.seconds += 1
        return self.seconds

    def late(self):
        self.looks += 1
        return self.looks > 50

    def test_a_wait_ends_at_its_limit(self):
        with self.assertRaisesRegex(LabError, "it: not within the limit"):
            self.clock.wait("it", self.late, 20 / PATIENCE, poll=0.001)
        self.assertGreater(self.looks, 10)

    def test_a_machine_without_a_processor_has_time(self):
        self.clock.starved = lambda: self.seconds
        self.clock.allow(20 / PATIENCE)
        self.assertTrue(self.clock.wait("it", self.late, 20 / PATIENCE, poll=0.001))
        self.clock.check()

    def test_the_scenarios_time_ends(self):
        self.clock.allow(2 / PATIENCE)
        self.clock.check()
        self.clock.check()
        with self.assertRaisesRegex(LabError, "the scenario's time is over"):
            self.clock.check()


@unittest.skipUnless(os.path.exists("/proc/self/schedstat"), "this kernel does not count delays")
class Delay(unittest.TestCase):
    def test_of_two_on_one_processor(self):
        cpu = str(min(os.sched_getaffinity(0)))
        both = [subprocess.Popen(["taskset", "-c", cpu, "sh", "-c", BUSY]) for _ in range(2)]
        try:
            before = machine.run_delay(both[0].pid)
            while machine.run_delay(both[0].pid) <= before:
                time.sleep(0.01)
        finally:
            for p in both:
                p.kill()
                p.wait()

    def test_of_none(self):
        self.assertEqual(machine.run_delay(2 ** 22 + 1), 0)


if __name__ == "__main__":
    unittest.main()
