#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What a failing command's log says of each failed test is found, shown, and named again at the very end of `make check`."""
import contextlib
import io
import os
import pathlib
import select
import subprocess
import sys
import tempfile
import time
import unittest

import failures
import run
import stages

UNITS = """ok   ring_test 100%: Checks: 9, Failures: 0, Errors: 0, 1 s
FAIL place_test (exit 1)
Running suite(s): place
50%: Checks: 2, Failures: 1, Errors: 0
tests/unit/sched/place_test.c:41:F:all:test_spread:0: Assertion 'got == 3' failed: got == 2, 3 == 3
ok   sizing_test 100%: Checks: 4, Failures: 0, Errors: 0, 0 s
make: *** [Makefile:115: run-unit] Error 1
"""
UNITTEST = """test_a (__main__.Restart.test_a) ... FAIL
test_b (__main__.Restart.test_b) ... ERROR

======================================================================
ERROR: test_b (__main__.Restart.test_b)
----------------------------------------------------------------------
Traceback (most recent call last):
KeyError: 'b'

======================================================================
FAIL: test_a (restart_test.Restart)
What test_a is about.
----------------------------------------------------------------------
Traceback (most recent call last):
AssertionError: 1 != 2

----------------------------------------------------------------------
Ran 2 tests in 0.1s

FAILED (failures=1, errors=1)
make: *** [tests/integration/build.mk:25: check-lifecycle] Error 1
"""
LAB = """ok   vgpu-boot             34 s
FAIL vgpu-pause            61 s  a paused guest goes on
     [  51.0] pausing pv
     see build/lab/vgpu-pause
ok   vgpu-shares           20 s
1 passed, 1 failed
"""
PROGRAMS = "ok   vecadd\nFAIL matmul: exit status 1, not 0\n    -a\n    +b\nok   scan\n"
COMPILER = "a/b.c: In function 'f':\na/b.c:7:2: error: unused variable 'x' [-Werror]\n    7 |  int x;\nmake: *** [Makefile:60: x.o] Error 1\n"
FUZZ = "ring     12 executions, 3 edges\nworker   9 executions, 3 edges FAILED (status 77): crash-1\n1 passed, 1 failed\n"


def names(text):
    return [f.name for f in failures.find(text)]


class Find(unittest.TestCase):
    def test_our_runners(self):
        found, = failures.find(UNITS)
        self.assertEqual(found.name, "place_test")
        self.assertIn("got == 2", found.text()[-1])
        self.assertEqual(failures.brief(found), [found.text()[-1]])
        found, = failures.find(PROGRAMS)
        self.assertEqual((found.name, len(found.lines)), ("matmul", 3))

    def test_unittest(self):
        found = failures.find(UNITTEST)
        self.assertEqual([f.name for f in found], ["__main__.Restart.test_b", "Restart.test_a"])
        self.assertEqual([f.text()[-1] for f in found], ["KeyError: 'b'", "AssertionError: 1 != 2"])

    def test_the_lab(self):
        found, = failures.find(LAB)
        self.assertEqual((found.name, found.text()[1].strip()), ("vgpu-pause", "[  51.0] pausing pv"))

    def test_compilers_fuzzers_and_make(self):
        self.assertEqual(names(COMPILER), ["a/b.c:7:2"])
        self.assertEqual(names(FUZZ), ["worker"])
        self.assertEqual(names("make: *** [a/build.mk:25: check-it] Error 1\n"), ["check-it"])
        self.assertEqual(names("x\ncheck: stopped after 900 s\n"), ["stopped"])

    def test_what_passes_has_none(self):
        self.assertEqual(names("ok   a\nRan 3 tests in 1s\n\nOK\n3 passed, 0 failed\n"), [])

    def test_long_texts_keep_both_ends(self):
        f = failures.Failure("x", [str(n) for n in range(1000)])
        shown = f.text()
        self.assertEqual((shown[0], shown[-1], len(shown)), ("0", "999", failures.BLOCK + 1))
        self.assertEqual(failures.brief(f)[-1], "999")


class Shown(unittest.TestCase):
    def run_on(self, *texts):
        """What is printed of stages whose commands print these texts and fail."""
        out = io.StringIO()
        with tempfile.TemporaryDirectory() as logs, contextlib.redirect_stdout(out):
            for n, text in enumerate(texts):
                pathlib.Path(logs, f"{n}").write_text(text, encoding="utf-8")
            todo = [stages.Stage(f"stage{n}", "", [f"cat {logs}/{n}; exit 1"]) for n in range(len(texts))]
            rows = run.run_all(todo, logs)
            during = out.getvalue()
            self.assertGreater(run.summary(rows, 1), 0)
        return during, out.getvalue()[len(during):]

    def test_the_failed_part_of_a_long_log(self):
        after = "".join(f"ok   test_{n} 1 passed, 0 failed, 0 s\n" for n in range(100))
        during, end = self.run_on(UNITS + after)
        self.assertIn("got == 2", during)
        self.assertNotIn("ok   test_99", during)
        self.assertIn("FAILED stage0: place_test\n    tests/unit/sched/place_test.c:41:F:", end)

    def test_every_stage_is_named_after_the_table(self):
        _, end = self.run_on(UNITS, LAB, "nothing that is known")
        table, names_ = end.split("total", 1)
        self.assertNotIn("FAILED", table)
        for name in ("stage0: place_test", "stage1: vgpu-pause", "stage2: "):
            self.assertIn(f"FAILED {name}", names_)
        self.assertRegex(end.splitlines()[-1], r"^\d+ passed, \d+ failed$")

    def test_run_units_shows_the_whole_of_a_failure(self):
        with tempfile.NamedTemporaryFile("w", suffix="_test", delete=False) as f:
            f.write("#!/bin/sh\necho '==1==ERROR: first line'\nseq 100\nexit 3\n")
        subprocess.run(["chmod", "+x", f.name], check=True)
        r = subprocess.run([f"{sys.path[0]}/run_units.sh", f.name], capture_output=True, text=True, check=False)
        subprocess.run(["rm", f.name], check=True)
        self.assertEqual(r.returncode, 1)
        found, = failures.find(r.stdout)
        self.assertIn("==1==ERROR: first line", found.text())


class Lanes(unittest.TestCase):
    def test_stages_of_a_lane_take_turns_beside_the_others(self):
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
            def stage(name, wait_for, lane=""):
                return stages.Stage(name, "", [f"cd {folder}; touch {name}; until [ -e {wait_for} ]; do sleep 0.01; done; touch {name}.end"],
                                    lane=lane, limit=60)
            # Each waits for something of another lane; b's second begins when its first has ended.
            rows = run.run_all([stage("a", "main2", "a"), stage("b1", "main1", "b"), stage("b2", "b1.end", "b"),
                                stage("main1", "a"), stage("main2", "b2")], folder)
        self.assertEqual([(r[0], r[2]) for r in rows], [(n, 0) for n in ("a", "b1", "b2", "main1", "main2")])

    def test_without_what_the_rest_needs_nothing_goes_on(self):
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
            rows = run.run_all([stages.Stage("long", "", ["sleep 50"], lane="a"), stages.Stage("next", "", ["sleep 50"], lane="a"),
                                stages.Stage("build", "", [f"until [ -e {folder}/long.log ]; do sleep 0.01; done; false"], needed=True),
                                stages.Stage("never", "", ["true"])], folder)
            run.stopping.clear()
        self.assertEqual([r[0] for r in rows], ["long", "build"])

    def test_a_signal_ends_what_runs(self):
        self.end_by_signal("")

    def test_a_signal_ends_what_begins(self):
        self.end_by_signal("popen = subprocess.Popen; subprocess.Popen = lambda *a, **k: (popen(*a, **k), time.sleep(1))[0]; ")

    def end_by_signal(self, before):
        with tempfile.TemporaryDirectory() as folder:
            code = ("import subprocess, sys, time, run, stages; " + before +
                    "stages.stages = lambda full: [stages.Stage('long', '', ['echo $$ >pid.new; mv pid.new pid; exec sleep 1000'])]; "
                    "sys.argv = ['run.py', '--logs', '.']; sys.exit(run.main())")
            check = subprocess.Popen([sys.executable, "-c", code], cwd=folder, env={**os.environ, "PYTHONPATH": sys.path[0]},
                                     stdout=subprocess.DEVNULL)
            pid = pathlib.Path(folder, "pid")
            while not pid.exists():
                self.assertIsNone(check.poll())
                time.sleep(0.01)
            command = os.pidfd_open(int(pid.read_text()))
            check.terminate()
            self.assertEqual(check.wait(60), 130)
            self.assertEqual(select.select([command], [], [], 60)[0], [command])
            os.close(command)


if __name__ == "__main__":
    unittest.main()
