#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""results.py: the page has every figure of the runs; what a program wrote becomes a run; a wrong run is refused by name."""
import json
import pathlib
import platform
import subprocess
import sys
import tempfile
import unittest

PROGRAM = pathlib.Path(__file__).resolve().parent / "results.py"
RUN = {"order": 1, "title": "Speed", "command": "make bench", "date": "2026-01-02", "machine": "2 cores, simulated GPU",
       "rows": [{"name": "post_ns", "value": 94.5, "unit": "ns", "ratio": None, "target": "<= 200 ns", "reference": "none"}]}


class Results(unittest.TestCase):
    def setUp(self):
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.root = pathlib.Path(place.name)
        self.page = self.root / "1.0.md"

    def run_it(self, *args, status=0):
        r = subprocess.run([sys.executable, PROGRAM, "--results", self.root, "--release", "1.0", *args], capture_output=True, text=True,
                           check=False)
        self.assertEqual((r.returncode, r.stderr), (status, ""), r.stdout)
        return r.stdout

    def write(self, name, run):
        (self.root / "1.0").mkdir(exist_ok=True)
        (self.root / "1.0" / f"{name}.json").write_text(json.dumps(run), encoding="utf-8")

    def add(self, rows, *args, run="check", status=0):
        path = self.root / "written.json"
        path.write_text(json.dumps(rows), encoding="utf-8")
        return self.run_it("--add", run, path, *args, status=status)

    def refused(self, words, **change):
        self.write("speed", {k: v for k, v in {**RUN, **change}.items() if v is not None})
        self.assertIn(words, self.run_it(status=1))

    def test_page(self):
        self.write("speed", RUN)
        self.write("later", {**RUN, "order": 2, "title": "Tests", "how": "testing.md", "notes": ["All was well."],
                             "rows": [{"stage": "unit", "passed": 1200, "failed": 0, "seconds": 7}],
                             "tables": [{"title": "Both", "columns": ["what", "n"], "rows": [["a|b", 2.25], ["c", 3]]}]})
        self.run_it()
        text = self.page.read_text(encoding="utf-8")
        self.assertIn("| post_ns | 94.5 | ns | <= 200 ns | none |", text)
        self.assertIn("| unit | 1,200 | 0 | 7 |\n\nBoth:\n\n| what | n |\n|---|---:|\n| a\\|b | 2.25 |\n| c | 3 |\n\nAll was well.", text)
        self.assertIn("`make bench`, 2026-01-02. 2 cores, simulated GPU. How to read it: [testing.md](../testing.md).", text)
        self.assertLess(text.index("## Speed"), text.index("## Tests"))

    def test_check(self):
        self.write("speed", RUN)
        self.assertIn("0 passed, 1 failed", self.run_it("--check", status=1))
        self.run_it()
        self.assertEqual("1 passed, 0 failed\n", self.run_it("--check"))
        self.write("speed", {**RUN, "rows": [{**RUN["rows"][0], "value": 94.6}]})
        self.assertIn("make results", self.run_it("--check", status=1))

    def test_adds_measurements(self):
        row = {**RUN["rows"][0], "value": 123.456789, "ok": True,
               "details": {"loads": [{"load": "web", "requests": 5, "p99_ms": 7.654321}, {"load": "idle"},
                                     {"load": "batch", "p99_ms": 1234.0}],
                           "least_busy_gpu": 0.11, "most_busy_gpu": 0.96}}
        self.add([{**row, "reference": ""}], "--machine", "2 cores.", "--title", "T", "--command", "c", "--date", "2026-03-04", run="new")
        text = self.page.read_text(encoding="utf-8")
        self.assertIn("`c`, 2026-03-04. 2 cores.\n", text)
        self.assertIn("| post_ns | 123.46 | ns | <= 200 ns | p99 of web 7.6543 ms; p99 of batch 1,234 ms; "
                      "GPUs 11 to 96 % busy |", text)

    def test_adds_stages_in_place_of_the_run_before(self):
        self.write("check", {**RUN, "notes": ["of the run before"]})
        self.add({"full": True, "rows": [{"stage": "unit", "passed": 1, "failed": 0, "skipped": 2, "seconds": 3.0, "cpu_s": 4}]},
                 "--machine", "4 cores", "--note", "of this run")
        text = self.page.read_text(encoding="utf-8")
        self.assertIn("| unit | 1 | 0 | 2 | 3 | 4 |", text)
        self.assertIn("of this run", text)
        self.assertNotIn("before", text)

    def test_refuses_what_is_no_run(self):
        self.refused('speed.json: "machine" is missing', machine=None)
        self.refused('speed.json: "colour" is unknown', colour="blue")
        self.refused("speed.json: neither rows nor tables", rows=None)
        self.refused("what the page does not show: extra", rows=[{"name": "n", "extra": 1}])
        self.refused("its rows have neither of", rows=[{"nom": "n"}])
        self.refused("one cell for each column", tables=[{"title": "t", "columns": ["a"], "rows": [[1, 2]]}])

    def test_refuses_to_add(self):
        self.assertIn("no list of rows", self.add({"rows": []}, "--machine", "2 cores", status=1))
        self.assertIn("describe the machine in words", self.add(RUN["rows"], status=1))
        self.assertIn("describe the machine in words", self.add(RUN["rows"], "--machine", f"2 cores of {platform.node()}", status=1))
        self.assertIn('"title" is missing', self.add(RUN["rows"], "--machine", "2 cores", status=1))


if __name__ == "__main__":
    unittest.main()
