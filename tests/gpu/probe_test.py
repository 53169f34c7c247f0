#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""gpu-probe on the simulated GPU: what it says has one form, and a step that goes wrong costs its own row only."""
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
TREE = HERE.parent.parent
sys.path.insert(0, str(HERE.parent / "integration"))
from pvgpu_env import build_dir  # noqa: E402

BUILD = pathlib.Path(build_dir()).resolve()
PROBE = BUILD / "tests" / "gpu-probe"
SIMCUDA = BUILD / "simcuda"
LIMIT = 120
STATUS = {"ok", "failed", "crashed", "timeout", "skipped"}
VERDICTS = {"holds", "does not hold", "not seen"}
ROW = re.compile(r'^ASSUME\((\w+), (\w+), "((?:[^"\\]|\\.)+)", "([^"]+)"\)$')


def rows():
    """(id, step, statement, [(file, name)]) of assumptions.def."""
    text = (HERE / "assumptions.def").read_text()
    found = [ROW.match(line) for line in text.splitlines() if line.startswith("ASSUME(")]
    return [(m[1], m[2], m[3], [tuple(p.strip().split(":")) for p in m[4].split(",")]) for m in found]


class ProbeTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="pvgpu-probe-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def run_probe(self, *args, fault=None, libcuda=SIMCUDA / "libcuda.so.1"):
        env = dict(os.environ, SIMCUDA_GPU=str(self.folder / "gpu"))
        if fault:
            env["SIMCUDA_FAULT"] = fault
        return subprocess.run([PROBE, "--libcuda", libcuda, "--nvml", SIMCUDA / "libnvidia-ml.so.1", *args], env=env,
                              cwd=self.folder, capture_output=True, text=True, timeout=LIMIT)

    def probe(self, *args, **more):
        """{step: its row}, and the exit status."""
        done = self.run_probe("--quick", *args, **more)
        found = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertTrue(found, done.stderr)
        for row in found:
            self.check_row(row)
        return {row["step"]: row for row in found}, done.returncode

    def check_row(self, row):
        steps = {name: step for name, step, _, _ in rows()}
        self.assertIn(row["status"], STATUS)
        self.assertGreaterEqual(row["seconds"], 0)
        self.assertIsInstance(row["values"], dict)
        for key, value in row["values"].items():
            self.assertRegex(key, r"^[a-z][a-z0-9_]*$")
            self.assertIsInstance(value, (int, float, str), key)
        for call in row["failed_calls"]:
            self.assertEqual(set(call), {"call", "result", "name", "times"})
        for name, verdict in row["assumptions"].items():
            self.assertEqual(steps.get(name), row["step"], name)
            self.assertIn(verdict["verdict"], VERDICTS)
            self.assertIsInstance(verdict["detail"], str)
        for name, step in steps.items():
            self.assertEqual(name in row["assumptions"], step == row["step"], name)

    def test_whole(self):
        """Every step on a driver that works; nothing tells whose machine it is."""
        record = self.folder / "driver.json"
        found, status = self.probe("--record", record)
        self.assertEqual(status, 0)
        self.assertEqual({row["status"] for row in found.values()} - {"ok", "skipped"}, set())
        self.assertEqual(list(found), [line.split()[0] for line in self.run_probe("--list").stdout.splitlines()])
        for text in json.dumps(found), record.read_text():
            for secret in re.escape(str(self.folder)), re.escape(str(TREE)), rf"\b{socket.gethostname()}\b", "GPU-[0-9a-f]":
                self.assertFalse(re.search(secret, text), secret)
        driver = json.loads(record.read_text())
        self.assertIn("cuMemAddressReserve", driver["libcuda"][0]["symbols"])
        self.assertEqual(driver["errors"][0]["name"], "CUDA_SUCCESS")
        self.assertEqual(driver["attributes"]["88"], 0)
        self.assertEqual(driver["procaddr_otherwise"], [])

    def test_crash(self):
        found, status = self.probe("window", "init", fault="crash:cuMemAddressReserve")
        self.assertEqual((found["window"]["status"], found["window"]["signal"], status), ("crashed", 11, 1))
        self.assertEqual(found["window"]["last_call"], "cuMemAddressReserve")
        self.assertIn("granularity_bytes", found["window"]["values"], "what was said before")
        self.assertEqual(found["init"]["status"], "ok")

    def test_hang(self):
        found, status = self.probe("--limit-s", "3", "window", "init", fault="hang:cuMemAddressReserve")
        self.assertEqual((found["window"]["status"], status), ("timeout", 1))
        self.assertEqual(found["window"]["last_call"], "cuMemAddressReserve")
        self.assertIn("granularity_bytes", found["window"]["values"], "what was said before")
        self.assertEqual(found["init"]["status"], "ok")

    def test_absent(self):
        found, status = self.probe("window", fault="absent:cuMemAddressReserve")
        self.assertEqual((found["window"]["status"], status), ("ok", 0))
        self.assertIn(("cuMemAddressReserve", -1), [(c["call"], c["result"]) for c in found["window"]["failed_calls"]])
        self.assertEqual(found["window"]["assumptions"]["reserve_no_context"]["verdict"], "does not hold")

    def test_role(self):
        """Another process of the step hangs: the step goes on."""
        found, status = self.probe("--limit-s", "3", "init", fault="hang:cuInit")
        self.assertEqual((found["init"]["status"], found["init"]["values"]["timeout"], status), ("failed", 1, 1))
        self.assertEqual(found["init"]["values"]["last_call"], "cuInit")
        self.assertIn("load_ns", found["init"]["values"])

    def test_no_driver(self):
        found, status = self.probe("window", "machine", libcuda="libnothing.so.1")
        self.assertEqual((found["window"]["status"], found["machine"]["status"], status), ("failed", "failed", 1))
        self.assertIn("kernel", found["machine"]["values"])

    def test_usage(self):
        for args in ["nothing"], ["--limit-s", "0"], ["record"], ["--what"]:
            done = self.run_probe(*args)
            self.assertEqual((done.returncode, done.stdout, done.stderr.count("\n")), (2, "", 1 + (args == ["--what"])), args)
        self.assertEqual(self.run_probe("--help").returncode, 0)

    def test_table(self):
        """Each id is there once, and the code that relies on it exists."""
        table = rows()
        steps = {line.split()[0] for line in self.run_probe("--list").stdout.splitlines()}
        self.assertEqual(len({row[0] for row in table}), len(table))
        for name, step, statement, places in table:
            self.assertIn(step, steps, name)
            self.assertTrue(statement)
            for file, function in places:
                source = TREE / file
                self.assertTrue(source.is_file(), f"{name}: {file}")
                self.assertRegex(source.read_text(), rf"\b{re.escape(function)}\b", f"{name}: {file}")


if __name__ == "__main__":
    unittest.main()
