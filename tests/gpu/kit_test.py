# SPDX-License-Identifier: MIT
"""The kit without a GPU: its parts, and whole runs of it on the simulated GPU.

Run by `make check-gpu-kit`; PVGPU_BUILD names the build, in which gpu-kit lies."""
import contextlib
import io
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import unittest
import unittest.mock

HERE = pathlib.Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE / "kit"))
import assumptions  # noqa: E402
import expected  # noqa: E402
import items as runs  # noqa: E402
import report  # noqa: E402
import results  # noqa: E402
import runner  # noqa: E402
from mask import Mask  # noqa: E402
from stage import FAILS, HOLDS, Absent, Context, Failed, Item, Stage  # noqa: E402

BUILD = pathlib.Path(os.environ.get("PVGPU_BUILD") or HERE.parents[1] / "build").resolve()
KIT = BUILD / "gpu-kit"
SIMCUDA = BUILD / "simcuda"
BARE = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
LONG_S = 60          # for what must come about on a busy machine


def kit_run(out, *words, env=None):
    return subprocess.Popen([KIT / "run", out, "--quick", "--driver", SIMCUDA, *words], env={**BARE, **(env or {})},
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def rows(data, stage):
    return {i["name"]: i for i in data["stages"].get(stage, {"items": []})["items"]}


class Folder(unittest.TestCase):
    """A test with a folder of its own."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="pvgpu-kit-test-")
        self.addCleanup(shutil.rmtree, self.folder, True)

    def out(self, name="out"):
        return os.path.join(self.folder, name)


class OneItem(Folder):
    """An item costs its own row only, whatever it does."""

    def go(self, function, limit_s=LONG_S, **kw):
        def make(tell, scratch):
            return Context(KIT, SIMCUDA, tell=tell, scratch=scratch, logs=self.folder, limit_s=limit_s)
        return runs.run(Item("item", function, limit_s), make, os.path.join(self.folder, "log"), limit_s, **kw)

    def test_values_and_verdicts(self):
        def item(ctx):
            ctx.verdict("some", HOLDS, "first")
            ctx.verdict("some", FAILS, "then")
            ctx.verdict("some", HOLDS, "again")
            ctx.keep(one=1)
            return {"two": 2}
        row = self.go(item)
        self.assertEqual((row["status"], row["values"]), ("ok", {"one": 1, "two": 2}))
        self.assertEqual(row["assumptions"]["some"], {"verdict": FAILS, "detail": "then"})

    def test_exceptions(self):
        def absent(_):
            raise Absent("no such thing")

        def failed(_):
            raise Failed("two\nlines")

        def wrong(_):
            return {}["key"]
        for function, status, why in ((absent, "absent", "no such thing"), (failed, "failed", "two lines"),
                                      (wrong, "failed", "KeyError: 'key'")):
            row = self.go(function)
            self.assertEqual((row["status"], row["why"]), (status, why))

    def test_crash_keeps_what_was_said(self):
        def item(ctx):
            ctx.keep(before=7)
            os.kill(os.getpid(), signal.SIGSEGV)
        row = self.go(item)
        self.assertEqual((row["status"], row["values"]), ("crashed", {"before": 7}))
        self.assertIn("SIGSEGV", row["why"])

    def test_hang_is_ended_with_all_that_it_started(self):
        pid_file = os.path.join(self.folder, "pid")

        def item(ctx):
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            ctx.keep(before=7)
            # In a session of its own and without a parent.
            subprocess.run(["sh", "-c", f"setsid sleep 1000 & echo $! > {pid_file}.new; mv {pid_file}.new {pid_file}"], check=True)
            threading.Event().wait()
        with unittest.mock.patch.object(runs, "GRACE_S", 0.2), unittest.mock.patch.dict(os.environ, {runs.stages.MARK: "test"}):
            row = self.go(item, stopping=lambda: os.path.exists(pid_file))
        self.assertEqual((row["status"], row["values"]), ("skipped", {"before": 7}))
        with open(pid_file, encoding="utf-8") as f:
            self.assertNotIn(int(f.read()), runs.parents())

    def test_time_is_over(self):
        row = self.go(lambda _: threading.Event().wait(), limit_s=0.5)
        self.assertEqual((row["status"], row["why"]), ("timeout", "did not end in 0.5 s"))

    def test_who_holds_the_pipe_holds_up_nothing(self):
        def item(_):
            pid = os.fork()
            if pid == 0:
                threading.Event().wait()
            return {"pid": pid}
        begin = time.monotonic()
        row = self.go(item)
        self.assertEqual(row["status"], "ok")
        os.kill(row["values"]["pid"], signal.SIGKILL)
        self.assertLess(time.monotonic() - begin, LONG_S)

    def test_an_end_from_outside(self):
        row = self.go(lambda _: threading.Event().wait(), stopping=lambda: True)
        self.assertEqual(row["status"], "skipped")


class Stages(Folder):
    """A run of made-up stages."""

    def go(self, todo, words=(), limit_s=LONG_S, stage="speed"):
        """todo: {item: function}; what results.json holds then, and the run."""
        def load(name):
            if name != stage:
                return Stage(name, "nothing", limit_s=0), lambda _: []
            return Stage(stage, "made up", limit_s=limit_s), lambda _: [Item(n, f, LONG_S) for n, f in todo.items()]
        args = runner.parse([self.out(), "--driver", str(SIMCUDA), *words])
        with unittest.mock.patch.object(runner, "load", load), contextlib.redirect_stdout(io.StringIO()):
            run = runner.Run(str(KIT), args)
            self.addCleanup(shutil.rmtree, run.folder, True)
            self.addCleanup(run.progress.close)
            run.open_results()
            run.learn()
            run.all()
            self.status = run.close()
        return results.read(self.out()), run

    def test_each_its_own_row(self):
        data, _ = self.go({"good": lambda _: {"a_ns": 1}, "bad": lambda _: 1 / 0, "after": lambda _: None})
        self.assertEqual({n: i["status"] for n, i in rows(data, "speed").items()}, {"good": "ok", "bad": "failed", "after": "ok"})
        self.assertEqual((data["stages"]["speed"]["status"], self.status), ("failed", 0))
        with tarfile.open(self.out("out/logs.tar.gz")) as tar:
            self.assertIn("logs/progress.log", tar.getnames())

    def test_budget_ends_in_good_order(self):
        data, _ = self.go({"first": lambda _: None, "second": lambda _: None}, words=["--budget", "0.5"])
        self.assertEqual({i["status"] for i in rows(data, "speed").values()}, {"skipped"})
        self.assertEqual((data["stages"]["speed"]["status"], self.status), ("skipped", 1))

    def test_share_of_a_stage(self):
        with unittest.mock.patch.object(runner, "LEAST_S", 0.0):
            data, _ = self.go({"first": lambda _: threading.Event().wait(), "second": lambda _: None}, limit_s=4)
        self.assertEqual({n: i["status"] for n, i in rows(data, "speed").items()}, {"first": "timeout", "second": "skipped"})
        self.assertEqual((data["stages"]["speed"]["status"], self.status), ("partial", 1))

    def test_done_is_not_run_again(self):
        def absent(_):
            raise Absent("not here")
        first, _ = self.go({"good": lambda _: {"n": 1}, "lacking": absent, "bad": lambda _: 1 / 0})
        done = self.out("out/results.json")
        again, _ = self.go({"good": lambda _: {"n": 2}, "lacking": lambda _: None, "bad": lambda _: {"n": 2}}, words=["--done", done])
        self.assertEqual(rows(again, "speed")["good"], rows(first, "speed")["good"])
        self.assertEqual({n: i["status"] for n, i in rows(again, "speed").items()}, {"good": "ok", "lacking": "absent", "bad": "ok"})
        self.assertTrue(os.path.exists(self.out("out/logs-1.tar.gz")))

    def test_another_runtime_is_another_machine(self):
        self.go({"good": lambda _: {"n": 1}})
        with open(self.out("out/results.json"), encoding="utf-8") as f:
            old = json.load(f)
        old["machines"][0]["runtime"] = "gVisor"
        other = self.out("other.json")
        with open(other, "w", encoding="utf-8") as f:
            json.dump(old, f)
        os.unlink(self.out("out/results.json"))
        data, _ = self.go({"good": lambda _: {"n": 2}}, words=["--done", other])
        self.assertEqual([m["runtime"] for m in data["machines"]], ["none", "gVisor"])
        found = sorted((i["machine"], i["values"]["n"]) for i in data["stages"]["speed"]["items"])
        self.assertEqual(found, [(0, 2), (1, 1)])

    def test_what_failed_before_stays_when_time_is_over(self):
        self.go({"bad": lambda _: 1 / 0})
        data, _ = self.go({"bad": lambda _: None}, words=["--done", self.out(), "--budget", "0.2"])
        self.assertEqual(rows(data, "speed")["bad"]["status"], "failed")

    def test_overrides_are_loud(self):
        facts = {"settings": {"test_allow_hmm": "1"}, "why": {"test_allow_hmm": "attribute 88"}}
        data, run = self.go({"overrides": lambda _: facts}, stage="facts")
        self.assertEqual(data["machines"][0]["overrides"], facts["why"])
        self.assertEqual(run.overrides().settings, facts["settings"])
        with tarfile.open(self.out("out/logs.tar.gz")) as tar:
            self.assertIn(b"!!! OVERRIDE test_allow_hmm", tar.extractfile("logs/progress.log").read())

    def test_others_results_are_not_lost(self):
        self.go({"good": lambda _: None})
        with self.assertRaisesRegex(results.BadResults, "holds results already"):
            self.go({"good": lambda _: None})

    def test_shares_fit_into_the_budget(self):
        limits = {name: runner.load(name)[0].limit_s for name in runner.STAGES}
        self.assertLessEqual(sum(limits.values()), runner.BUDGET_S, limits)


class Parts(Folder):
    def test_mask(self):
        with unittest.mock.patch("socket.gethostname", return_value="node-17.example"):
            mask = Mask([("/home/me/kit", "<kit>")])
        for text, wanted in (("/home/me/kit/bin/pvgpud failed", "<kit>/bin/pvgpud failed"), ("/home/me/kit/a/b/c: no", "<kit>/a/b/c: no"),
                             ("opened /home/me/secret/file.txt", "opened <path>/file.txt"),
                             ("/usr/lib64/libcuda.so.1 and /dev/nvidia0", "/usr/lib64/libcuda.so.1 and /dev/nvidia0"),
                             ("GPU-01234567-89ab-cdef-0123-456789abcdef", "<uuid>"), ("on node-17 it is", "on <host> it is"),
                             ("3 GB/s, a/b/c", "3 GB/s, a/b/c"), ("serial number: 132402512", "serial number: <serial>"),
                             ("env='/data/x/y'", "env='<path>/y'")):
            self.assertEqual(mask.text(text), wanted)

    def test_logs_are_bounded(self):
        folder = self.out("logs")
        os.mkdir(folder)
        for n in range(4):
            with open(os.path.join(folder, f"{n}.log"), "wb") as f:
                f.write(os.urandom(1 << 20))
        os.mkdir(self.out())
        with unittest.mock.patch.object(results, "MOST_LOGS", 400 << 10):
            results.Logs(self.out(), folder, Mask()).pack()
        self.assertLess(os.path.getsize(self.out("out/logs.tar.gz")), 2 << 20)

    def test_report(self):
        data = {"format": 1, "kit": "0", "machines": [{"gpu": "G", "driver": "1", "runtime": "none", "runtime_told_by": "t", "kernel": "k",
                                                       "processor": "p", "cpus": 1, "memory_gib": 1, "system": "s"}],
                "stages": {"probe": {"status": "ok", "seconds": 1, "items": [
                    {"name": "a", "machine": 0, "status": "failed", "seconds": 1, "why": "because", "values": {
                        "time_ns": 1500, "much_bytes": 1 << 21, "failed_calls": [{"call": "cuX", "result": 1, "name": "N", "times": 2}]},
                     "assumptions": {"hmm_off": {"verdict": "does not hold", "detail": "it is 1"}}}]}}}
        text = report.Report(data).text()
        for part in ("| a | time_ns | 1.5 µs |", "2 MiB", "| `hmm_off` |", "**does not hold** | it is 1", "probe/a | failed | because",
                     "`cuX` | N (1) | 2"):
            self.assertIn(part, text)

    def test_assumptions(self):
        self.assertEqual(assumptions.problems(HERE.parents[1]), [])

    def test_bad_results_are_named(self):
        path = self.out("results.json")
        for text, why in (("{", "is not a kit's"), ('{"format": 9}', "format 9"), ('{"format": 1}', "is not a kit's")):
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
            with self.assertRaisesRegex(results.BadResults, why):
                results.read(path)


class Rehearsal(Folder):
    """All stages, started with an empty environment."""

    def test_rehearsal(self):
        p = kit_run(self.out(), "--risky")
        said = p.communicate()[0]
        self.assertEqual(p.returncode, 0, said)
        data = results.read(self.out())
        self.assertEqual(expected.problems(data), [], said)
        text = json.dumps(data)
        self.assertNotIn(str(BUILD), text)


class WholeRuns(Folder):
    """Runs that do not go as they should."""

    def test_faults_cost_their_own_rows(self):
        """And on a GPU that reaches all memory workers serve by the override alone."""
        p = kit_run(self.out(), "probe", env={"SIMCUDA_FAULT": ";".join(expected.FAULTS), "SIMCUDA_HMM": "1"})
        said = p.communicate()[0]
        self.assertEqual(p.returncode, 0, said)
        found = rows(results.read(self.out()), "probe")
        self.assertEqual({n: i["status"] for n, i in found.items() if i["status"] != "ok"}, expected.FAULTS_COST, said)
        missed = {n: [c["call"] for c in i["values"].get("failed_calls", []) if c["result"] == -1] for n, i in found.items()}
        self.assertEqual({n: calls for n, calls in missed.items() if calls}, expected.FAULTS_MISSED, said)
        self.assertTrue(found["semantics"]["values"], "what it said before it hung is lost")
        self.assertIn("OVERRIDE test_allow_hmm", said)
        with tarfile.open(self.out("out/logs.tar.gz")) as tar:
            log = tar.extractfile("logs/probe-trace-pvgpud1.log").read().decode()
        self.assertIn("test_allow_hmm", log)

    def test_cut_off_and_resumed(self):
        """Killed where it is, and ended by a signal; what each leaves is whole, and the next goes on from it."""
        p = kit_run(self.out("a"), "programs")
        self.until_rows(self.out("a"), 3)
        p.kill()
        p.communicate()
        first = rows(results.read(self.out("a")), "programs")
        p = kit_run(self.out("b"), "programs", "--done", self.out("a"))
        self.until_rows(self.out("b"), len(first) + 2)
        p.terminate()
        said = p.communicate()[0]
        self.assertEqual(p.returncode, 1, said)
        second = rows(results.read(self.out("b")), "programs")
        with tarfile.open(self.out("b/logs.tar.gz")) as tar:
            self.assertIn("logs/progress.log", tar.getnames())
        for name, row in first.items():
            self.assertEqual(second[name], row)
        p = kit_run(self.out("b"), "programs", "--done", self.out("b"))
        said = p.communicate()[0]
        self.assertEqual(p.returncode, 0, said)
        last = rows(results.read(self.out("b")), "programs")
        self.assertEqual({i["status"] for i in last.values()}, {"ok"}, said)
        self.assertEqual({n: last[n] for n in first}, first)

    def until_rows(self, out, n):
        end = time.monotonic() + LONG_S
        while time.monotonic() < end:
            try:
                if sum(i["status"] != "skipped" for i in rows(results.read(os.path.join(out, "results.json")), "programs").values()) >= n:
                    return
            except results.BadResults as e:
                self.assertIn("No such file", str(e), "results.json is not whole")
            time.sleep(0.02)
        self.fail(f"{out} never had {n} rows")

    def test_usage(self):
        for words, status, text in ((["--list"], 0, "programs: "), (["x", "nonsense"], 2, "no stage nonsense"), ([], 2, "OUT is missing"),
                                    ([self.out(), "--driver", self.folder], 1, "no libcuda.so.1 in"),
                                    ([self.out(), "--done", self.folder], 2, "results.json")):
            if "--done" in words:
                words += ["--driver", str(SIMCUDA)]
            done = subprocess.run([KIT / "run", *words], env=BARE, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, status, done.stderr)
            self.assertIn(text, done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
