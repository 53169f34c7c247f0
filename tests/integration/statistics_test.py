# SPDX-License-Identifier: MIT
"""Each statistic against a count made elsewhere: what programs have done, the simulated GPU's own accounting, pvgpud's other keys."""
import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import time
import unittest

from pvgpu_env import LIMIT, PvgpuEnv, marked_processes, program, state_of, wait_for

LAUNCHES, US = 400, 2000


def bucket(us):
    """The bound of the bucket that a time lies in."""
    bound = 1
    while bound < us:
        bound *= 2
    return bound


class Env(PvgpuEnv):
    def ctl(self, *args):
        return subprocess.run([program("pvgpuctl", self.build), *args, "--run-dir", self.run_dir], capture_output=True, text=True,
                              timeout=120, check=False)

    def statistics(self):
        """As of now: a snapshot is given out again to those who come within 100 ms."""
        since = time.time()

        def new():
            found = json.loads(self.ctl("stats", "--json").stdout)
            return found if found["time"] >= since else None

        return wait_for("a new snapshot", new)

    def vgpu(self, name="vgpu0"):
        return next(v for v in self.statistics()["vgpus"] if v["name"] == name)

    def occupy(self, name="vgpu0", launches=LAUNCHES, us=US, deep=8, **more):
        return self.popen([os.path.join(self.build, "programs", "occupy"), str(launches), str(us), str(deep)], name,
                          stdout=subprocess.DEVNULL, **more)

    def accounted(self, pid):
        """Microseconds of GPU time of a worker, by the simulated GPU's accounting."""
        out = subprocess.run([os.path.join(self.build, "tests", "simcuda-top"), self.gpu_file], capture_output=True, text=True, check=True).stdout
        rows = [line.split() for line in out.splitlines()]
        return next((float(r[3]) * 1e6 for r in rows if r and r[0] == str(pid)), 0)


class Counts(unittest.TestCase):
    def test_one_program(self):
        """Launches and commands exactly, kernels' times in their bucket, GPU time as the simulated GPU has it."""
        with Env() as env:
            p = env.occupy(launches=1000000000)
            worker = wait_for("a worker", env.workers)[0]
            wait_for("a second of GPU time", lambda: env.vgpu()["gpu-time"] > 1_000_000)
            from_least, before, from_most = env.vgpu()["gpu-time"], env.accounted(worker), env.vgpu()["gpu-time"]
            wait_for("three more", lambda: env.vgpu()["gpu-time"] > from_most + 3_000_000)
            to_least, after, to_most = env.vgpu()["gpu-time"], env.accounted(worker), env.vgpu()["gpu-time"]
            # Both ends were read at one moment between two looks. Charged when work is known to have ended, at most 100 ms later.
            self.assertGreaterEqual(after - before, (to_least - from_most) * 0.98 - 110_000)
            self.assertLessEqual(after - before, (to_most - from_least) * 1.02 + 110_000)
            v = env.vgpu()
            self.assertEqual(v["sessions"], 1)
            self.assertEqual(v["memory-used"], int(env.read("/vgpu/vgpu0/memory-used")))
            p.kill()
            p.wait()
            env.wait_sessions(0)
            was = env.vgpu()
            self.assertEqual(env.occupy().wait(), 0)
            env.wait_sessions(0)
            v = env.vgpu()
            self.assertEqual(v["launches"] - was["launches"], LAUNCHES)
            self.assertEqual(v["kernel-time"]["count"] - was["kernel-time"]["count"], LAUNCHES)
            self.assertEqual(v["copy-bytes"] - was["copy-bytes"], 4)  # the word that it reads back
            commands = v["commands"] - was["commands"]
            self.assertEqual(v["command-wait"]["count"] - was["command-wait"]["count"], commands)
            self.assertIn(commands - LAUNCHES, range(1, 9))  # and what the allocations take
            self.assertEqual((v["sessions-total"] - was["sessions-total"], v["sessions-failed"], v["kills"]), (1, was["sessions-failed"], 0))
            self.assertGreaterEqual(v["memory-peak"], was["memory-used"])
            self.assertEqual(v["parked"], 0)

    def test_percentiles(self):
        """Of kernels of one length, as long as the simulated GPU says that they took on average."""
        with Env() as env:
            p = env.occupy(launches=1000000000, us=8 * US)
            wait_for("work", lambda: env.vgpu()["launches"] > 100)
            worker, v = env.workers()[0], env.vgpu()
            average = env.accounted(worker) / v["launches"]
            self.assertGreaterEqual(average, 8 * US * 0.9)
            for what in "avg", "p50", "p95":
                # A percentile is the bound of a bucket; estimates follow a machine that becomes busy within a factor of two.
                self.assertGreaterEqual(v["kernel-time"][what], average / 3, what)
            self.assertLessEqual(v["kernel-time"]["p50"], bucket(average * 4))
            self.assertEqual(v["kernel-time"]["count"], sum(v["kernel-time"]["buckets"]))
            p.kill()
            p.wait()

    def test_waits(self):
        """Two that share the GPU wait for each other; one alone does not. Waits add up to wait-time."""
        with Env({"a": "64M", "b": "64M"}) as env:
            alone = env.occupy("a", 1000000000)
            wait_for("some work", lambda: env.vgpu("a")["launches"] > 100)
            a = env.vgpu("a")
            self.assertEqual(a["wait-time"], 0)
            other = env.occupy("b", 1000000000)
            wait_for("waits", lambda: env.vgpu("b")["wait-time"] > 1_000_000 and env.vgpu("a")["wait-time"] > 1_000_000)
            for name in "ab":
                v = env.vgpu(name)
                self.assertGreater(v["grant-wait"]["count"], 10)
                self.assertLessEqual(v["grant-wait"]["count"], v["slices"])
                # Both count the time without the GPU; the key also what the present wait has taken so far.
                self.assertGreaterEqual(v["grant-wait"]["sum"], v["wait-time"] * 0.8)
                # It counts from the next one's grant, the others from the closed gate on; a percentile is up to twice its time.
                self.assertGreaterEqual(v["longest-wait"] * 4, v["grant-wait"]["p50"])
                self.assertLessEqual(v["grant-wait"]["p50"], v["grant-wait"]["p95"])
                self.assertLessEqual(v["grant-wait"]["p95"], v["grant-wait"]["p99"])
                # Commands that are parked wait for whole slices.
                self.assertGreater(v["command-wait"]["p99"], 1000)
            gpu = env.statistics()["gpus"][0]
            self.assertEqual((gpu["vgpus"], gpu["active-vgpus"], gpu["sessions"], gpu["healthy"]), (2, 2, 2, 1))
            self.assertGreater(gpu["handovers"], 10)
            for p in alone, other:
                p.kill()
                p.wait()

    def test_entitled(self):
        """Alone: what is used; beside another: no more than the time that passes, as are use and what hand-overs lose."""
        with Env({"a": "memory=64M,weight=300", "b": "memory=64M,weight=100"}) as env:
            alone = env.occupy("a", 1000000000)
            wait_for("some work", lambda: env.vgpu("a")["gpu-time"] > 300_000)
            a, b = env.vgpu("a"), env.vgpu("b")
            self.assertEqual((a["share"], b["share"]), (750_000, 250_000))
            self.assertAlmostEqual(a["entitled-time"], a["gpu-time"], delta=0.02 * a["gpu-time"])
            self.assertEqual(b["entitled-time"], 0)
            other = env.occupy("b", 1000000000)
            wait_for("work of both", lambda: env.vgpu("b")["gpu-time"] > 100_000)
            before = env.statistics()
            wait_for("two seconds", lambda: env.vgpu("b")["entitled-time"] > 700_000)
            after = env.statistics()
            grown = [{k: y[k] - x[k] for k in ("entitled-time", "gpu-time", "wait-time")} for x, y in zip(before["vgpus"], after["vgpus"])]
            both = sum(g["entitled-time"] for g in grown)
            # The clock's time, but for moments in which the one has run dry and the other is alone. sched_due_test has the parts.
            self.assertLessEqual(both, (after["time"] - before["time"]) * 1e6 + 10_000)
            self.assertGreater(both, 700_000)
            waste = after["gpus"][0]["waste-time"] - before["gpus"][0]["waste-time"]
            self.assertLessEqual(sum(g["gpu-time"] for g in grown) + waste, (after["time"] - before["time"]) * 1e6 + 110_000)
            for p in alone, other:
                p.kill()
                p.wait()

    def test_latency_goal(self):
        with Env({"a": "memory=64M,latency_goal=20000", "b": "64M"}) as env:
            wait_for("a prediction", lambda: env.vgpu("a")["latency-predicted"] > 0)
            a = env.vgpu("a")
            self.assertEqual(a["latency-goal"], 20000)
            self.assertLess(a["latency-predicted"], 20000)
            self.assertEqual((env.vgpu("b")["latency-goal"], env.vgpu("b")["latency-predicted"]), (0, 0))

    def test_throttled(self):
        """What a rate holds back is told apart from what a maximum does."""
        with Env({"rated": "memory=64M,rate_commands=200", "capped": "memory=64M,max_share=20%"}) as env:
            programs = [env.occupy("rated", 1000000000, 100), env.occupy("capped", 1000000000)]
            wait_for("throttling", lambda: all(env.vgpu(n)["throttled-time"] > 500_000 for n in ("rated", "capped")))
            rated, capped = env.vgpu("rated"), env.vgpu("capped")
            self.assertGreater(rated["rate-throttled-time"], 0.9 * rated["throttled-time"])
            self.assertEqual(capped["rate-throttled-time"], 0)
            for p in programs:
                p.kill()
                p.wait()

    def cpu_us(self, pid):
        """What the kernel says, in ticks of its own."""
        with open(f"/proc/{pid}/stat", encoding="ascii") as f:
            words = f.read().rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) * 1e6 / os.sysconf("SC_CLK_TCK")

    def test_configured(self):
        """Memory as it was configured, and what there is none of."""
        with Env({"a": "64M", "b": "128M"}, sim={"SIMCUDA_MEMORY": "1G"}) as env:
            gpu = wait_for("the GPU", lambda: (g := env.statistics()["gpus"][0])["memory"] and g)
            self.assertEqual({v["name"]: v["memory-limit"] for v in env.statistics()["vgpus"]}, {"a": 64 << 20, "b": 128 << 20})
            self.assertEqual((gpu["memory"], gpu["memory-promised"], gpu["memory-free"]), (1 << 30, 192 << 20, (1 << 30) - (192 << 20)))
            self.assertEqual((gpu["start-failures"], gpu["drained"], gpu["state"]), (0, 0, 0))
            for v in env.statistics()["vgpus"]:
                self.assertEqual((v["inflight"], v["parked"], v["quarantined"], v["memory-peak"]), (0, 0, 0, 0))
            p = env.occupy("a", 1000000000)
            wait_for("work in flight", lambda: env.vgpu("a")["inflight"] > 0)
            self.assertGreaterEqual(env.vgpu("a")["memory-peak"], int(env.read("/vgpu/a/memory-used")))
            self.assertEqual(env.vgpu("b")["inflight"], 0)
            p.kill()
            p.wait()

    def test_daemon(self):
        """pvgpud's own against the machine's: processes, CPU time, its age; and what only grows between two looks."""
        began = time.monotonic()
        with Env() as env:
            wait_for("a spare worker", lambda: env.statistics()["daemon"]["workers"] ==
                     sum("pvgpu-worker" in c for c in marked_processes(env.mark).values()) == env.statistics()["gpus"][0]["spare-workers"] > 0)
            turns, cpu = int(env.read("/daemon/loop-turns")), self.cpu_us(env.pid)
            d = env.statistics()["daemon"]
            self.assertLessEqual(turns, d["loop-turns"])
            self.assertLessEqual(d["loop-turns"], int(env.read("/daemon/loop-turns")))
            self.assertLessEqual(cpu - 20_000, d["cpu-time"])
            self.assertLessEqual(d["cpu-time"], self.cpu_us(env.pid) + 20_000)
            self.assertLessEqual(d["uptime"], time.monotonic() - began)
            self.assertEqual((d["version"], d["vgpus"], d["sessions"], d["stopping"]), (env.read("/daemon/version"), 1, 0, 0))
            self.assertGreaterEqual(d["workers-started"], d["workers"])
            later = env.statistics()["daemon"]
            self.assertGreater(later["snapshots"], d["snapshots"])
            self.assertGreater(later["snapshot-time"], 0)

    def test_refused(self):
        """Each program that gets no session counts, with the reason."""
        with Env() as env:
            env.wait_spare()
            env.write("/vgpu/vgpu0/max-sessions", "1")
            p = env.occupy(launches=1000000000)
            env.wait_sessions(1)
            for n in (1, 2):
                self.assertNotEqual(env.occupy(stderr=subprocess.DEVNULL).wait(), 0)
                v = env.vgpu()
                self.assertEqual((v["sessions-refused"], v["sessions-total"]), (n, 1))
            self.assertEqual(env.read("/vgpu/vgpu0/refusing"), "the vGPU's max_sessions is reached")
            p.kill()
            p.wait()
            env.wait_sessions(0)
            self.assertEqual(env.occupy().wait(), 0)
            self.assertEqual((env.read("/vgpu/vgpu0/refusing"), env.vgpu()["sessions-refused"]), ("", 2))

    def test_killed(self):
        with Env() as env:
            p = env.occupy(launches=1000000000, stderr=subprocess.DEVNULL)
            wait_for("work", lambda: env.vgpu()["launches"] > 0)
            session, = env.sessions()
            done = env.ctl("kill", "vgpu0", str(session))
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertNotEqual(p.wait(), 0)
            env.wait_sessions(0)
            v = env.vgpu()
            self.assertEqual((v["kills"], v["sessions-failed"], v["faults"]), (1, 1, 0))
            self.assertIn("an operator", env.read("/vgpu/vgpu0/last-reason"))
            self.assertIn(f"audit: uid {os.getuid()} ", env.log())
            done = env.ctl("kill", "vgpu0", str(session))
            self.assertEqual(done.returncode, 3)

    def test_restart(self):
        """Counters and histograms go on after pvgpud is killed; nothing is counted twice."""
        with Env() as env:
            self.assertEqual(env.occupy(launches=100).wait(), 0)
            p = env.occupy(launches=1000000000)
            wait_for("work", lambda: env.vgpu()["launches"] > 200)
            before = env.vgpu()
            env.restart()
            wait_for("the session", lambda: env.vgpu()["sessions"] == 1)
            wait_for("more work", lambda: env.vgpu()["launches"] > before["launches"] + 100)
            v = env.vgpu()
            self.assertGreaterEqual(v["kernel-time"]["count"], before["kernel-time"]["count"])
            self.assertLessEqual(v["kernel-time"]["count"], v["launches"])
            self.assertGreaterEqual(v["gpu-time"], before["gpu-time"])
            self.assertEqual((before["sessions-total"], v["sessions-total"]), (2, 0))  # the session that goes on is no new one
            p.kill()
            p.wait()


class Check(unittest.TestCase):
    def test_every_fault(self):
        """pvgpud --check names each fault of the file with its line, not the first alone."""
        with tempfile.NamedTemporaryFile("w", suffix=".conf") as f:
            f.write("[daemon]\nlog_level = loud\nmax_sessions = 0\nspare_workers = 2\ncolour = red\n[vgpu a]\nweight = 0\n[nothing]\nx = 1\n")
            f.flush()
            done = subprocess.run([program("pvgpud"), "--check", "--config", f.name], capture_output=True, text=True, timeout=60, check=False)
            self.assertEqual(done.returncode, 2)
            self.assertEqual([int(n) for n in re.findall(r"\.conf:(\d+): ", done.stderr)], [2, 3, 5, 7, 8, 9], done.stderr)
            f.seek(0)
            f.truncate()
            f.write("[vgpu a]\nweight = 300\n")
            f.flush()
            done = subprocess.run([program("pvgpud"), "--check", "--config", f.name], capture_output=True, text=True, timeout=60, check=False)
            self.assertEqual((done.returncode, done.stderr), (0, ""))


class Readers(unittest.TestCase):
    def test_top(self):
        with Env({"idle": "64M", "busy": "64M"}) as env:
            p = env.occupy("busy", 1000000000)
            wait_for("work", lambda: env.vgpu("busy")["launches"] > 0)
            done = env.ctl("top", "--interval", "0.5", "--count", "2")
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertNotIn("\033", done.stdout)
            lines = done.stdout.splitlines()
            self.assertLessEqual(max(map(len, lines)), 80)
            rows = [line.split() for line in lines if line.startswith(("busy ", "idle "))]
            self.assertEqual([r[0] for r in rows], ["busy", "idle"] * 2)
            self.assertGreater(float(rows[2][3]), float(rows[3][3]))
            self.assertEqual(float(rows[3][3]), 0)
            done = env.ctl("top", "--sort", "colour")
            self.assertEqual(done.returncode, 2)
            self.assertIn("--sort colour: no column has that name", done.stderr)
            p.kill()
            p.wait()

    def test_private(self):
        """Without the group only pvgpud's own user and root may read; nobody may write."""
        with Env(settings={"statistics_group": "there-is-no-such-group"}) as env:
            path = os.path.join(env.run_dir, "statistics.sock")
            self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
            done = env.ctl("stats", "nobody")
            self.assertEqual(done.returncode, 3)
            self.assertIn("nobody: no such vGPU", done.stderr)

    def test_bad_readers(self):
        """Readers that never read, that write, that come in crowds: sessions go on, and an honest reader is served."""
        with Env({"v0": "64M", **{f"v{i}": "4M" for i in range(1, 300)}}) as env:
            p = env.occupy("v0", 1000000000)
            wait_for("work", lambda: env.vgpu("v0")["launches"] > 0)
            crowd, refused = [], 0
            for _ in range(1000):
                s = socket.socket(socket.AF_UNIX)
                s.setblocking(False)
                try:
                    s.connect(os.path.join(env.run_dir, "statistics.sock"))
                    s.send(b"GET / HTTP/1.1\r\n\r\n" * 10)
                    crowd.append(s)
                except OSError:
                    s.close()
                    refused += 1
            self.assertGreater(refused, 900)  # a few are served, a few wait
            launches = int(env.read("/vgpu/v0/launches"))
            wait_for("more work beside them", lambda: int(env.read("/vgpu/v0/launches")) > launches + 200)
            self.assertIsNone(p.poll())
            # They have five seconds; then it is others' turn.
            wait_for("an honest reader's turn", lambda: env.ctl("stats", "v0").returncode == 0)
            for s in crowd:
                s.close()
            p.kill()
            p.wait()

    def test_events(self):
        with Env() as env:
            done = env.ctl("events")
            self.assertRegex(done.stdout, r"(?m)^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ info    vgpu vgpu0: ")
            follow = subprocess.Popen([program("pvgpuctl", env.build), "events", "--follow", "--json", "--run-dir", env.run_dir],
                                      stdout=subprocess.PIPE, text=True)
            lines = iter(follow.stdout.readline, "")
            first = next(lines)
            env.write("/vgpu/vgpu0/weight", "300")
            seen = next(json.loads(line) for line in lines if "audit" in line)
            self.assertRegex(seen["text"], r"^audit: uid \d+ pid \d+: /vgpu/vgpu0/weight: '100' -> '300'$")
            self.assertGreater(seen["number"], json.loads(first)["number"])
            follow.kill()
            follow.wait()
            follow.stdout.close()
            # More than it remembers: the oldest are gone, the newest are there.
            for i in range(300):
                env.write("/vgpu/vgpu0/weight", str(1 + i))
            events = [json.loads(line) for line in env.ctl("events", "--json").stdout.splitlines()]
            self.assertEqual(len(events), 512)
            self.assertEqual([e["number"] for e in events], list(range(events[0]["number"], events[0]["number"] + 512)))
            self.assertTrue(events[-1]["text"].endswith("-> '300'"))

    def test_late_answers(self):
        """pvgpuctl waits as long as --timeout says, also when it is stopped meanwhile. A socket stands for a pvgpud that is slow."""
        with tempfile.TemporaryDirectory(prefix="pvgpu-") as folder, socket.socket(socket.AF_UNIX) as server:
            server.bind(os.path.join(folder, "admin.sock"))
            server.listen()
            server.settimeout(LIMIT)

            def start(limit):
                return subprocess.Popen([program("pvgpuctl"), "read", "/daemon/version", "--run-dir", folder, "--timeout", limit], stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)

            p = start("0.2")
            _, err = p.communicate(timeout=LIMIT)
            self.assertEqual(p.returncode, 4)
            self.assertIn("pvgpud has not answered in 0.2 s: it is busy or hangs; --timeout S waits longer", err)
            server.accept()[0].close()
            p = start(str(10 * LIMIT))
            link = server.accept()[0]
            link.recv(4096)

            def comes(sig, state):
                p.send_signal(sig)
                return state_of(p.pid) == state

            for _ in range(20):
                wait_for("its stop", lambda: comes(signal.SIGSTOP, "T"))
                wait_for("its wait", lambda: comes(signal.SIGCONT, "S"))
            link.sendall(b'{"ok": true, "value": "7.5"}\n')
            self.assertEqual((*p.communicate(timeout=LIMIT), p.returncode), ("7.5\n", "", 0))
            link.close()

    def test_drain_a_gpu(self):
        with Env() as env:
            p = env.occupy(launches=1000000000)
            wait_for("work", lambda: env.vgpu()["launches"] > 0)
            done = env.ctl("gpu", "drain", "default", "--timeout", "0.1")
            self.assertEqual(done.returncode, 4)
            self.assertIn("vGPU vgpu0 has 1 session;", done.stderr)
            # The program's user is told why, in one line.
            for extra, lines in (({}, 1), ({"PVGPU_DEBUG": "0"}, 0)):
                done = env.run([os.path.join(env.build, "programs", "occupy"), "1"], extra=extra)
                self.assertNotEqual(done.returncode, 0)
                self.assertEqual(len(re.findall(r"^pvgpu: no session: .*drained by an operator", done.stderr.decode(), re.M)), lines, done.stderr)
            self.assertIsNone(p.poll())
            p.kill()
            p.wait()
            self.assertEqual(env.ctl("gpu", "drain", "default").returncode, 0)
            gpu = env.statistics()["gpus"][0]
            self.assertEqual((gpu["healthy"], gpu["drained"], gpu["state"]), (0, 1, 4))
            env.restart(signal.SIGTERM)
            wait_for("the same after a restart", lambda: env.statistics()["gpus"][0]["drained"] == 1)
            done = env.ctl("gpu", "admit", "default", "--timeout", "100")
            again = env.ctl("gpu", "admit", "default", "--timeout", "5")
            self.assertEqual((again.returncode, again.stdout), (0, "GPU default is in use already; pvgpuctl doctor --test runs its test kernel\n"), again.stderr)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertIn("is in use again", done.stdout)
            gpu = env.statistics()["gpus"][0]
            self.assertEqual((gpu["drained"], gpu["state"], gpu["readmissions"]), (0, 0, 1))
            self.assertEqual(env.run([os.path.join(env.build, "programs", "occupy"), "1"]).returncode, 0)
            self.assertEqual(env.ctl("gpu", "paint", "default").returncode, 2)
            self.assertEqual(env.ctl("gpu", "drain", "none").returncode, 3)

    def test_doctor(self):
        with Env() as env:
            wait_for("the accounting", lambda: env.read("/daemon/accounting") == "on")
            wait_for("the GPU's settings", lambda: env.read("/pool/default/persistence") != "unknown")
            done = env.ctl("doctor", "--json")
            self.assertEqual(done.returncode, 0, done.stdout)
            said = json.loads(done.stdout)["findings"]
            found = {f["what"]: f for f in said}
            for what in "kernel", "versions", "isolation", "sandbox of workers", "memory between tenants", "the driver's accounting":
                self.assertEqual(found[what]["verdict"], "ok", found[what])
            gpu = [(f["verdict"], f["finding"]) for f in said if f["what"] == "GPU default"]
            for finding in "ok", "persistence mode is on", "ECC is on":
                self.assertIn(("ok", finding), gpu)
            self.assertIn(("skip", "0 test kernels have run: pvgpuctl doctor --test runs one"), gpu)
            self.assertEqual(env.read("/pool/default/test"), "")
            # Beside a tenant's work.
            p = env.occupy(launches=1000000000)
            wait_for("work", lambda: env.vgpu()["launches"] > 0)
            done = env.ctl("doctor", "--test", "--json", "--timeout", str(LIMIT))
            self.assertEqual(done.returncode, 0, done.stdout)
            tested, = [f for f in json.loads(done.stdout)["findings"] if "test kernel" in f["finding"]]
            self.assertEqual((tested["what"], tested["verdict"]), ("GPU default", "ok"))
            self.assertRegex(tested["finding"], r"^the test kernel gave the right answer in \d+ us$")
            self.assertRegex(env.read("/pool/default/test"), r"^right: \d+ us$")
            self.assertIn("it was run for an operator", env.log())
            self.assertIsNone(p.poll())
            p.kill()
            p.wait()
            env.write("/vgpu/vgpu0/drain", "1")
            self.assertRegex(env.ctl("doctor").stdout, r"WARN +vGPU vgpu0: it drains: no new session\n +-> pvgpuctl set")
            env.write("/vgpu/vgpu0/drain", "now")
            self.assertRegex(env.ctl("doctor").stdout, r"WARN +vGPU vgpu0: it drains: no new session, and running ones are ended\n +-> pvgpuctl set")
            self.assertIn("audit: uid 0 pid" if os.getuid() == 0 else "audit: uid", env.log())
            self.assertRegex(env.log(), r"audit: uid \d+ pid \d+: /vgpu/vgpu0/drain: '0' -> '1'")
            env.write("/vgpu/vgpu0/drain", "0")
            done = subprocess.run([program("pvgpuctl", env.build), "doctor", "--run-dir", env.dir], capture_output=True, text=True, timeout=120,
                                  check=False)
            self.assertEqual(done.returncode, 1)
            self.assertRegex(done.stdout, r"BAD +pvgpud: it does not answer")

    def test_doctor_finds(self):
        """What is not well in the GPU's settings and in pvgpud's."""
        with Env(sim={"SIMCUDA_NVML_NO_PERSISTENCE": "1"}, settings={"sandbox": "off", "allow_no_ecc": 1, "allow_no_scrub": 1}) as env:
            wait_for("the accounting", lambda: env.read("/daemon/accounting") == "on")
            wait_for("the GPU's settings", lambda: env.read("/pool/default/persistence") != "unknown")
            done = env.ctl("doctor")
            self.assertEqual(done.returncode, 1, done.stdout)
            for line in (r"BAD +sandbox of workers: off\n +-> ", r"WARN +memory between tenants: not checked at the start: allow_no_ecc allow_no_scrub\n",
                         r"WARN +GPU default: persistence mode is off\n +-> nvidia-smi -pm 1"):
                self.assertRegex(done.stdout, line)

    def test_stats_text(self):
        with Env() as env:
            out = env.ctl("stats").stdout
            for name in ("gpu-time", "uptime", "handovers", "command-wait"):
                self.assertTrue(re.search(rf"^  {name} ", out, re.M), name)
            for name, unit in (("gpu-time", "us"), ("memory-limit", "bytes"), ("uptime", "s"), ("share", "ppm"), ("handovers", "")):
                self.assertRegex(out, rf"(?m)^  {name} +\d+ {unit} ")


if __name__ == "__main__":
    unittest.main()
