#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The lines that say how far a silent part of the demo has come."""
import io
import pathlib
import subprocess
import sys
import tempfile
import time
import unittest

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import progress  # noqa: E402

LIMIT = 60
MAKEFILE = """
all: one two
one two:
	@cp Makefile $@ # -o $@
broken:
	@exit 3
"""


class Progress(unittest.TestCase):
    def test_lines_come_while_nothing_is_told(self):
        out, end = io.StringIO(), time.monotonic() + LIMIT
        count = iter(range(10 ** 9))
        with progress.Heartbeat(lambda: f"so far {next(count)}", out=out, silent=0.01):
            while out.getvalue().count("\n") < 3:
                self.assertLess(time.monotonic(), end)
                time.sleep(0.01)
        lines = out.getvalue().splitlines()
        for n, line in enumerate(lines):
            self.assertRegex(line, rf"^      \.\.\. \d+ s: so far {n}$")

    def test_what_is_told_delays_the_next_line(self):
        out = io.StringIO()
        with progress.Heartbeat(lambda: "still", out=out, silent=LIMIT) as beat:
            beat.tell("a step")
        self.assertEqual(out.getvalue(), "a step\n")

    def test_files_of_a_build_are_counted(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder)
            (path / "Makefile").write_text(MAKEFILE)
            dry = subprocess.run(["make", "-n", "-C", folder], capture_output=True, text=True, check=True).stdout
            self.assertEqual(progress.outputs(dry), {"one", "two"})
            self.assertEqual(progress.made([path / "one", path / "two"], 0), 0)
            (path / "one").touch()
            self.assertEqual(progress.made([path / "one", path / "two"], 0), 1)
            self.assertEqual(progress.made([path / "one", path / "two"], time.time() + 60), 0)

    def test_the_status_is_that_of_make(self):
        with tempfile.TemporaryDirectory() as folder:
            (pathlib.Path(folder) / "Makefile").write_text(MAKEFILE)
            for target, status in ("all", 0), ("broken", 2):
                done = subprocess.run([sys.executable, HERE / "progress.py", "it is built", "make", "-C", folder, target],
                                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                self.assertEqual(done.returncode, status)
            self.assertTrue((pathlib.Path(folder) / "two").exists())


if __name__ == "__main__":
    unittest.main()
