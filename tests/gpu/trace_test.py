#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""gpu-trace: what it counts is exact, and what is traced does not notice."""
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "integration"))
from pvgpu_env import PvgpuEnv, alive, build_dir, wait_for  # noqa: E402

BUILD = pathlib.Path(build_dir()).resolve()
TRACE = BUILD / "tests" / "gpu-trace"
TARGET = BUILD / "tests" / "gpu-trace-target"
LIMIT = 120


def load(path):
    return json.loads(pathlib.Path(path).read_text())


def rows(phase, group, **about):
    """(count, errors) of all rows that say this."""
    found = [r for r in phase[group] if all(r.get(k) == v for k, v in about.items())]
    errors = {}
    for row in found:
        for name, times in row.get("errors", {}).items():
            errors[name] = errors.get(name, 0) + times
    return sum(r["count"] for r in found), errors


class TraceTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="pvgpu-trace-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.out = self.folder / "out.json"
        self.file = self.folder / "someones-secret.conf"
        self.file.write_text("text")

    def tracers(self):
        """Processes that may still write into the folder: a tracer outlives what it traces."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                words = pathlib.Path("/proc", pid, "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if str(self.out).encode() in words:
                found.append(pid)
        return found

    def start(self, *command, options=(), **more):
        self.addCleanup(wait_for, "the tracer's end", lambda: not self.tracers(), LIMIT)
        return subprocess.Popen([TRACE, "--out", self.out, *options, "--", *command],
                                stdout=subprocess.PIPE, **more)

    def trace(self, *command, options=()):
        """The output, once the command has ended; with what it printed, its pid and its status."""
        child = self.start(*command, options=options)
        printed = child.communicate(timeout=LIMIT)[0].decode()
        return load(self.out), printed, child.pid, child.returncode

    def check_counts(self, out):
        before, after = out["before"], out["after"]
        self.assertEqual(rows(before, "files", path="/dev/null", flags="O_RDWR"), (3, {}))
        self.assertEqual(rows(before, "files", path="/dev/full", flags="O_WRONLY"), (10, {}), "in five threads")
        self.assertEqual(rows(before, "files", path="/dev/random"), (3, {}), "in a child")
        self.assertEqual(rows(before, "files", path="/usr/lib/pvgpu-is-not-here"), (4, {"ENOENT": 4}))
        self.assertEqual(rows(before, "files", call="connect", path="/run/pvgpu-is-not-here"), (1, {"ENOENT": 1}))
        self.assertEqual(rows(before, "files", path="<elsewhere>/*.conf"), (2, {}))
        self.assertEqual(rows(before, "files", path="/etc/*"), (1, {"ENOENT": 1}), "an id")
        self.assertEqual(rows(before, "files", path="/dev/???"), (2, {"ENOENT": 2}), "bytes that are no text")
        self.assertEqual(rows(before, "files", path="memfd:a name", flags="MFD_CLOEXEC"), (1, {}))
        self.assertEqual(rows(before, "ioctls", file="/dev/zero", request="0xc0185007", dir="read and write",
                              type="0x50", nr=7, size=24), (6, {"ENOTTY": 6}))
        self.assertEqual(rows(before, "maps", file="/dev/zero", bytes=1 << 20, flags="MAP_PRIVATE")[0], 1)
        self.assertEqual(rows(before, "maps", file="anonymous", bytes=3 << 20, prot="PROT_NONE")[0], 1)
        self.assertEqual(rows(before, "maps", file="memfd:a name", bytes=4096, flags="MAP_SHARED")[0], 1)
        self.assertEqual(rows(before, "calls", call="clone3")[0] + rows(before, "calls", call="clone")[0], 6)
        self.assertEqual(rows(before, "details", what="SIGUSR1", more="to itself")[0], 1)
        self.assertEqual(rows(before, "details", what="PR_SET_NO_NEW_PRIVS")[0], 1)
        self.assertEqual(rows(after, "details", what="PR_SET_DUMPABLE")[0], 1)
        self.assertEqual(rows(after, "calls", call="getppid"), (1, {}))
        self.assertEqual(rows(before, "calls", call="getppid"), (0, {}))
        self.assertEqual(rows(after, "ioctls"), (0, {}))
        opened = {(r["path"], r["flags"]): r["count"] for r in after["files"]}
        self.assertEqual(opened, {("/dev/urandom", "O_RDONLY"): 7, ("<elsewhere>/*.conf", "O_WRONLY"): 1})
        self.assertEqual((out["seals"], out["processes"], out["threads"], out["threads_not_followed"]),
                         (1, 3, 8, 0))

    def test_counts(self):
        out, printed, pid, status = self.trace(TARGET, self.file, "7")
        self.assertEqual(status, 7)
        self.assertEqual(printed.split(), [str(pid), "0"], "its pid, and no file of the tracer's")
        self.assertEqual(out["ended"], "exit 7")
        self.check_counts(out)
        self.assertNotIn("secret", self.out.read_text())
        self.assertEqual(sorted(p.name for p in self.folder.iterdir()), ["out.json", self.file.name])

    def test_registers(self):
        out = self.trace(TARGET, self.file, "0", options=["--registers"])[0]
        self.assertEqual(out["interface"], "registers")
        self.check_counts(out)

    def test_without_seal(self):
        out = self.trace(TARGET, self.file, "0", options=["--seal", "none"])[0]
        self.assertEqual(rows(out["before"], "files", path="/dev/urandom"), (7, {}))
        self.assertEqual(out["after"]["calls"], [])

    def test_killed(self):
        out, _, _, status = self.trace(TARGET, self.file, "signal")
        self.assertEqual(status, -signal.SIGKILL)
        wait_for("the end", lambda: load(self.out)["ended"] == "signal 9", LIMIT)
        self.assertEqual(rows(load(self.out)["after"], "details", call="kill", what="SIGKILL")[0], 1)

    def test_signals_pass(self):
        child = self.start(TARGET, self.file, "wait")
        self.addCleanup(child.stdout.close)
        wait_for("the output", lambda: self.out.exists() and rows(load(self.out)["after"], "calls", call="pause")[0],
                 LIMIT)
        child.send_signal(signal.SIGSTOP)
        wait_for("a stop", lambda: os.waitid(os.P_PID, child.pid, os.WSTOPPED | os.WNOHANG | os.WNOWAIT), LIMIT)
        child.send_signal(signal.SIGCONT)
        child.send_signal(signal.SIGTERM)
        self.assertEqual(child.wait(LIMIT), -signal.SIGTERM)

    def tracer_of(self, pid):
        with open(f"/proc/{pid}/status") as f:
            return int(next(line for line in f if line.startswith("TracerPid")).split()[1])

    def test_told_to_stop(self):
        child = self.start(TARGET, self.file, "wait")
        self.addCleanup(child.stdout.close)
        wait_for("the seal", lambda: self.out.exists() and load(self.out)["seals"], LIMIT)
        tracer = self.tracer_of(child.pid)
        os.kill(tracer, signal.SIGTERM)
        wait_for("the tracer's end", lambda: not alive(tracer), LIMIT)
        self.assertEqual(load(self.out)["ended"], "told to stop")
        self.assertTrue(alive(child.pid))
        self.assertEqual(self.tracer_of(child.pid), 0)
        child.kill()
        child.wait(LIMIT)

    def test_no_command(self):
        child = self.start(self.folder / "nothing", stderr=subprocess.PIPE)
        _, said = child.communicate(timeout=LIMIT)
        self.assertEqual((child.returncode, said.count(b"\n")), (127, 1))

    def test_no_output(self):
        out = pathlib.Path("/proc/out.json")
        child = subprocess.run([TRACE, "--out", out, "--", "true"], stderr=subprocess.PIPE, check=False)
        self.assertEqual((child.returncode, child.stderr.count(b"\n")), (125, 1))

    def test_summary(self):
        self.trace(TARGET, self.file, "0")
        said = subprocess.run([TRACE, "--summary", self.out], stdout=subprocess.PIPE, check=True).stdout.decode()
        self.assertIn("         7 openat /dev/urandom O_RDONLY\n", said)
        self.assertIn("         1 getppid\n", said)
        self.assertNotIn("/dev/null", said)

    def test_worker(self):
        """A worker under pvgpud, found by its pid, serves a program as ever; sealed, it opens nothing."""
        script = self.folder / "worker"
        # Of the worker that tries the sandbox's doors there is nothing to see.
        script.write_text(f'#!/bin/sh\ncase " $* " in *" --sandbox-check "*) exec {BUILD}/bin/pvgpu-worker "$@";; esac\n'
                          f'exec {TRACE} --out {self.folder}/$$.json -- {BUILD}/bin/pvgpu-worker "$@"\n')
        script.chmod(0o755)
        # A worker may have no process beside it in its cgroup.
        with PvgpuEnv(build=str(BUILD), worker=str(script), settings={"cgroup": "off"}) as env:
            ran = env.run([str(BUILD / "programs" / "vecadd")])
            self.assertEqual(ran.returncode, 0, ran.stderr)
            served = wait_for("a traced worker's end", self.served, LIMIT)
        self.assertEqual(served["ended"], "exit 0")
        self.assertEqual(served["command"], "pvgpu-worker")
        opened = [r for r in served["after"]["files"] if r["call"].startswith("open")]
        self.assertEqual(opened, [])
        self.assertTrue(rows(served["before"], "files", call="openat")[0] > 0)

    def served(self):
        """The output of the worker that was sealed and has ended."""
        outs = [load(p) for p in self.folder.glob("*.json")]
        return next((o for o in outs if o["seals"] and o["ended"] != "running"), None)


if __name__ == "__main__":
    unittest.main()
