#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The probe's step timeslice, on the simulated GPU beside a driver that only answers."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "integration"))
from pvgpu_env import build_dir  # noqa: E402

BUILD = pathlib.Path(build_dir()).resolve()
NOT_PERMITTED, INVALID_STATE = 0x1b, 0x40
JUDGED = ("slice_not_ours", "preempt_not_ours", "off_not_ours")
SCHEDULE, SET_SLICE, PREEMPT, SET_LEVEL = "0xa06c0101", "0xa06c0103", "0xa06c0105", "0xa06c0107"


class TimesliceTest(unittest.TestCase):
    def probe(self, fake=None):
        """fake: what a driver refuses with. The step's result, and what the driver was asked: (group, control, first eight bytes)."""
        with tempfile.TemporaryDirectory(prefix="pvgpu-timeslice-") as folder:
            log = pathlib.Path(folder) / "log"
            env = {**os.environ, "SIMCUDA_GPU": f"{folder}/gpu"}
            if fake is not None:
                env |= {"LD_PRELOAD": str(BUILD / "tests" / "fake_rm.so"), "FAKE_RM": str(fake), "FAKE_RM_LOG": str(log)}
            ran = subprocess.run([BUILD / "tests" / "gpu-probe", "--quick", "--risky", "--nvml", "", "--libcuda",
                                  BUILD / "simcuda" / "libcuda.so.1", "timeslice"], env=env, stdout=subprocess.PIPE,
                                 timeout=120, check=True)
            asked = [tuple(line.split()[1:]) for line in log.read_text().splitlines()] if log.exists() else []
            return json.loads(ran.stdout), asked

    def test_no_such_driver(self):
        step, _ = self.probe()
        self.assertEqual(step["status"], "ok")
        self.assertIn("no channel groups", step["values"]["why"])
        self.assertEqual({v["verdict"] for v in step["assumptions"].values()}, {"not seen"})

    def test_groups_are_noted(self):
        values = self.probe(NOT_PERMITTED)[0]["values"]
        self.assertEqual((values["driver_objects"], values["groups"], values["groups_chosen"]), (4, 3, 2))
        self.assertEqual(sorted(values["groups_engines"].split()), ["1", "10", "2"], "one has been freed")

    def test_refused(self):
        step, asked = self.probe(NOT_PERMITTED)
        for setting in ("preempt", "slice_200us", "slice_2ms", "slice_0", "level_2", "off"):
            self.assertEqual(step["values"][f"{setting}_status"], NOT_PERMITTED, setting)
        for name in JUDGED:
            self.assertEqual(step["assumptions"][name]["verdict"], "holds", name)
        self.assertEqual([a for a in asked if a[1] == SCHEDULE][-1][2], "1", "on again")

    def test_failed(self):
        """Perhaps we asked in a wrong way: nothing follows."""
        step, _ = self.probe(INVALID_STATE)
        self.assertEqual(step["values"]["slice_200us_status"], INVALID_STATE)
        self.assertEqual({step["assumptions"][name]["verdict"] for name in JUDGED}, {"not seen"})

    def test_put_back(self):
        step, asked = self.probe(0)
        self.assertEqual(step["status"], "ok")
        self.assertEqual(step["failed_calls"], [])
        values = step["values"]
        self.assertEqual((values["slice_usual_us"], values["slice_200us_read_back"], values["level_2_read_back"]),
                         (2048, 200, 2))
        self.assertTrue(values["preempt_times"] > 0)
        self.assertEqual({a[0] for a in asked}, {"0x11", "0x14"}, "the other group copies")
        for control, before in ((SET_SLICE, "2048"), (SET_LEVEL, "0"), (SCHEDULE, "1")):
            self.assertEqual([a[2] for a in asked if a[1] == control][-2:], [before] * 2)
        self.assertTrue(all(int(a[2]) & 0xffff == 0x101 for a in asked if a[1] == PREEMPT), "waited, and not for ever")


if __name__ == "__main__":
    unittest.main()
