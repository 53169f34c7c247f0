#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Run the benchmarks, print the table and write build/bench.json.

Every ratio is taken within this run against what its row names; on a shared machine single times mean little.
Far ends: simcuda for copies and session start, a libcuda that does nothing for the path itself.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "integration"))
import sweep  # noqa: E402
import sweep_scenes  # noqa: E402
from exporter_test import Exporter  # noqa: E402
from pvgpu_env import PvgpuEnv  # noqa: E402
from share_test import Sharing, jain  # noqa: E402

# Long enough that neither side sleeps between two calls, short enough that a worker does not spin beside the reference.
POLL_LONG = "20000"
POLL_FOR_EVER = "2000000000"

GROUPS = ("post", "calls", "awaited", "graphs", "allocations", "train", "drain", "pageable", "pinned", "sessions", "idle", "session_start", "sandbox",
          "sched", "gate", "one_busy", "shares", "modes", "latency", "endless", "setting", "scrape")
ON_REQUEST = ("sweep",)  # a quarter of an hour each


class Bench:
    def __init__(self, build, quick):
        self.build = os.path.abspath(build)
        self.quick = quick
        self.rows = []

    # ---- running pvbench ----
    def env(self, lib, socket=None, poll=None):
        env = dict(os.environ, LD_LIBRARY_PATH=lib)
        env.pop("PVGPU_SOCKET", None)
        if socket:
            env["PVGPU_SOCKET"] = socket
        if poll is not None:
            env["PVGPU_POLL_ITERATIONS"] = poll
        return env

    def start(self, env, *args, wrap=(), program="pvbench"):
        return subprocess.Popen([*wrap, os.path.join(self.build, "tests", program), *args], env=env,
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self, env, *args, **kw):
        out, _ = self.start(env, *args, **kw).communicate(timeout=300)
        return {k: float(v) for k, v in (line.split() for line in out.splitlines() if len(line.split()) == 2)}

    def pvgpu(self, far, poll=None, **kw):
        env = {}
        if poll is not None:
            env["PVGPU_POLL_ITERATIONS"] = poll
        return PvgpuEnv(build=self.build, libcuda=os.path.join(self.build, far, "libcuda.so.1"), worker_env=env, **kw)

    def through(self, daemon, poll=None):
        return self.env(os.path.join(self.build, "lib"), daemon.socket(), poll)

    def row(self, name, value, unit, reference, ratio, target):
        self.rows.append({"name": name, "value": value, "unit": unit, "reference": reference, "ratio": ratio,
                          "target": target})
        shown = "" if ratio is None else f"{ratio:.3f}"
        print(f"{name:24}{value:>16,.{3 if value < 1 else 1}f} {unit:12}{shown:>8}  {target:24} {reference}", flush=True)

    # ---- the figures ----
    def post(self):
        with self.pvgpu("nullcuda", POLL_FOR_EVER) as d:
            r = self.run(self.through(d, POLL_FOR_EVER), "post")
            self.row("post_launch_ns", r["post_launch_ns"], "ns", "none", None, "<= 200 ns")
            c = self.run(self.through(d, POLL_FOR_EVER), "count")
            self.row("post_syscalls", c["post_syscalls_per_10000"], "per 10,000", "counted by a tracer", None, "0")
            self.row("post_mallocs", c["post_mallocs_per_10000"], "per 10,000", "counted in malloc()", None, "0")

    def calls(self):
        """Calls that need no message; an end that was seen by a wait is known."""
        with self.pvgpu("nullcuda", POLL_LONG) as d:
            r = self.run(self.through(d, POLL_LONG), program="callbench")
        for n, of in (("idle_sync_ns", "cuMemGetInfo"), ("set_ask_launch_ns", "the launch alone")):
            ref = r[n + "_reference"]
            self.row(n, r[n], "ns", f"{of}, {ref:.0f} ns", r[n] / ref, f"<= {ref + 100:.0f} ns")
        self.row("event_query_ns", r["event_query_ns"], "ns", "each event asked for once", None, "<= 100 ns")

    def awaited(self):
        with self.pvgpu("nullcuda", POLL_LONG) as d:
            r = self.run(self.through(d, POLL_LONG), "polling")
        n = "awaited_polling_ns"
        self.row(n, r[n], "ns", f"two-thread shared-memory ping-pong, {r[n + '_reference']:.0f} ns", r[n + "_ratio"],
                 f"<= {r[n + '_reference'] + 1000:.0f} ns")
        # All on one processor: where the scheduler puts the two sides decides an eventfd's time otherwise.
        with self.pvgpu("nullcuda", "0", wrap=["taskset", "-c", "0"]) as d:
            r = self.run(self.through(d, "0"), "sleeping", wrap=["taskset", "-c", "0"])
        n = "awaited_sleeping_ns"
        self.row(n, r[n], "ns", f"two-process eventfd ping-pong on one CPU, {r[n + '_reference']:.0f} ns", r[n + "_ratio"],
                 "ratio <= 1.5")

    def graphs(self):
        """A graph of 100 kernels: what a launch costs the caller, and replays beside those on simcuda directly."""
        direct = self.env(os.path.join(self.build, "simcuda"))
        with self.pvgpu("simcuda") as d:
            direct.update(d.sim)
            turns = 1000
            took = self.run(direct, str(turns), "20", program="graphbench")["graph_replay_us"] / 100
            words = str(max(1, round(turns * 20 / took))), "50" if self.quick else "500"
            pairs = []
            for n in range(1 if self.quick else 11):
                pairs.append({i: self.run(self.through(d) if i else direct, *words, program="graphbench") for i in ((0, 1), (1, 0))[n % 2]})
        with self.pvgpu("simcuda", POLL_LONG) as d:
            launch = statistics.median(self.run(self.through(d, POLL_LONG), "1", "1", program="graphbench")["graph_launch_ns"] for _ in range(5))
        self.row("graph_launch_ns", launch, "ns", "100 kernels, one command of 40 bytes", None, "<= 300 ns")
        native, own = (statistics.median(p[i]["graph_replay_us"] for p in pairs) for i in (0, 1))
        self.row("graph_replay_us", own, "us", f"on simcuda directly, {native:,.0f} us: {native / 100:.1f} us a kernel",
                 statistics.median(p[0]["graph_replay_us"] / p[1]["graph_replay_us"] for p in pairs), "ratio >= 0.98")

    def allocations(self):
        """Small allocations that are freed at once, beside those on simcuda directly."""
        direct = self.env(os.path.join(self.build, "simcuda"))
        with self.pvgpu("simcuda", POLL_LONG) as d:
            direct.update(d.sim)
            pairs = [[self.run(env, program="allocbench") for env in (direct, self.through(d, POLL_LONG))]
                     for _ in range(3 if self.quick else 9)]
        for n, target in (("alloc_free_ns", "none: one awaited call"), ("pool_alloc_free_ns", "ratio <= 1")):
            native, own = (statistics.median(p[i][n] for p in pairs) for i in (0, 1))
            self.row(n, own, "ns", f"on simcuda directly, {native:,.0f} ns", statistics.median(p[1][n] / p[0][n] for p in pairs), target)

    def train(self):
        """A training step as PyTorch makes it, whose kernels take about half a millisecond each, beside the same on simcuda directly."""
        program = "../programs/trainstep"
        direct = self.env(os.path.join(self.build, "simcuda"))
        with self.pvgpu("simcuda", sim={"SIMCUDA_INSTRUCTION_NS": "100000"}) as d:
            direct.update(d.sim)
            pairs = []
            for n in range(1 if self.quick else 11):
                pairs.append({i: self.run(self.through(d) if i else direct, "time", "50", program=program)["train_step_us"]
                              for i in ((0, 1), (1, 0))[n % 2]})
            counted = self.run(self.through(d), "count", program=program)["awaited"]
        native, own = (statistics.median(p[i] for p in pairs) for i in (0, 1))
        self.row("train_step_us", own, "us", f"on simcuda directly, {native:,.0f} us", statistics.median(p[0] / p[1] for p in pairs), "ratio >= 0.95")
        self.row("train_step_awaited", counted, "a step", "counted in the guest", None, "<= 4")

    def drain(self):
        with self.pvgpu("nullcuda") as d:
            r = self.run(self.through(d), "drain")
        self.row("drain_per_s", r["drain_end_to_end_per_s"], "launches/s", "null far end, posted by a live guest", None,
                 ">= 3,000,000")

    def pageable(self):
        with self.pvgpu("simcuda") as d:
            runs = [self.run(self.through(d), "pageable") for _ in range(1 if self.quick else 3)]
        r = {k: statistics.median(x[k] for x in runs) for k in runs[0]}
        for n in ("pageable_htod", "pageable_dtoh"):
            self.row(n, r[n], "GB/s", f"one memcpy of 64 MiB, {r[n + '_reference']:.1f} GB/s", r[n + "_ratio"], "ratio >= 0.8")

    def pinned(self):
        """Beside the same copy between memory of the same kinds: an arena and what simcuda maps on demand are shared
        memory, of which Linux by default makes no huge pages. The rows `_alloc` have the plain program as reference."""
        got, same, other = {}, {}, {}
        with self.pvgpu("simcuda") as d:
            direct = self.env(os.path.join(self.build, "simcuda"))
            for _ in range(3 if self.quick else 9):
                for to, *run in ((same, direct, "pinned-mapped"), (got, self.through(d), "pinned"), (other, direct, "pinned")):
                    for n, v in self.run(*run).items():
                        to.setdefault(n, []).append(v)
        for n in ("pinned_htod", "pinned_dtoh"):
            for name, ref, of, target in ((n, same[n], "shared and mapped memory", "ratio >= 0.95"),
                                          (n + "_alloc", other[n], "allocated memory", "none: other pages")):
                self.row(name, statistics.median(got[n]), "GB/s",
                         f"the same copy on simcuda directly, {of}, {statistics.median(ref):.1f} GB/s",
                         statistics.median(g / r for g, r in zip(got[n], ref)), target)

    def rate(self, daemon, n, seconds):
        procs = [self.start(self.through(daemon), "rate", str(seconds)) for _ in range(n)]
        for p in procs:
            if p.stdout.readline().strip() != "ready":
                raise SystemExit("bench: a session did not start")
        for p in procs:
            p.stdin.write("g")
            p.stdin.flush()
        return sum(float(p.communicate(timeout=120)[0].split()[-1]) for p in procs)

    def sessions(self):
        seconds = 1 if self.quick else 2
        with self.pvgpu("nullcuda", max_sessions=64) as d:
            for n in (8, 32):
                ratios, rates, ones = [], [], []
                for _ in range(2 if self.quick else 3):
                    ones.append(self.rate(d, 1, seconds))
                    rates.append(self.rate(d, n, seconds))
                    ratios.append(rates[-1] / ones[-1])
                self.row(f"sessions_{n}", statistics.median(rates), "launches/s",
                         f"one session, {statistics.median(ones):,.0f}/s", statistics.median(ratios), "ratio >= 0.9")

    def idle(self):
        n = 8
        with self.pvgpu("nullcuda", max_sessions=64) as d:
            before = pss(d.pid)
            procs = [self.start(self.through(d), "idle") for _ in range(n)]
            for p in procs:
                p.stdout.readline()
            workers = d.workers()
            total = sum(pss(w) for w in workers) / len(workers) + (pss(d.pid) - before) / n
            for p in procs:
                p.communicate()
        self.row("idle_session_kib", total, "KiB", "ring, arena and libcuda left out", None, "<= 4096 KiB")

    def sched(self):
        """One decision with its charge and hand-over, all vGPUs with work: a program of its own, no session."""
        r = self.run(dict(os.environ), "20000" if self.quick else "100000", program="schedbench")
        for n in (10, 100, 1000, 10000):
            self.row("sched_decide_ns" + ("" if n == 1000 else f"_{n}"), r[f"sched_decide_ns_{n}"], "ns",
                     f"{n:,} vGPUs with work, {r[f'sched_decide_steps_{n}']:.0f} comparisons", None,
                     "<= 1,000 ns" if n == 1000 else "grows as log n")

    def session_start(self):
        for name, spares, of, target in (("session_start_ms", 1, "worker from a warm pool, simcuda", "<= 5 ms"),
                                         ("session_start_cold_ms", 0, "worker started for it, simcuda", "<= 20 ms")):
            times = []
            with self.pvgpu("simcuda", settings={"spare_workers": spares}) as d:
                for _ in range(5 if self.quick else 21):
                    if spares:
                        d.wait_spare()
                    times.append(self.run(self.through(d), "start")["session_start_ms"])
            self.row(name, statistics.median(times), "ms", of, None, target)

    def sandbox(self):
        """What the workers' sandbox costs: the same runs with it and without, in turns, first the one, then the other."""
        runs = {"post_launch_ns": ("post", POLL_FOR_EVER, ()), "drain_end_to_end_per_s": ("drain", None, ()),
                "awaited_sleeping_ns": ("sleeping", "0", ("taskset", "-c", "0"))}
        targets = {"post_launch_ns": "within the pairs' own spread", "drain_end_to_end_per_s": "within the pairs' own spread",
                   "awaited_sleeping_ns": "ratio <= 1.1"}
        with self.pvgpu("nullcuda", POLL_FOR_EVER) as d:
            calls = self.run(self.through(d, POLL_FOR_EVER), "count")["post_syscalls_per_10000"]
        with self.pvgpu("nullcuda", POLL_FOR_EVER, settings={"sandbox": "off"}) as d:
            without = self.run(self.through(d, POLL_FOR_EVER), "count")["post_syscalls_per_10000"]
        self.row("sandbox_post_syscalls", calls, "per 10,000", f"without a sandbox: {without:.0f}", None, "no more than without")
        for name, (what, poll, wrap) in runs.items():
            got = {"full": [], "off": []}
            for i in range(3 if self.quick else 20):
                for mode in ("full", "off") if i % 2 else ("off", "full"):
                    with self.pvgpu("nullcuda", poll, wrap=list(wrap), settings={"sandbox": mode}) as d:
                        got[mode].append(self.run(self.through(d, poll), what, wrap=wrap)[name])
            ratios = sorted(f / o for f, o in zip(got["full"], got["off"]))
            self.row("sandbox_" + name, statistics.median(got["full"]), "launches/s" if name.endswith("per_s") else "ns",
                     f"without one, {statistics.median(got['off']):,.0f}; ratios {ratios[0]:.2f} to {ratios[-1]:.2f}",
                     statistics.median(ratios), targets[name])

    # ---- several vGPUs ----
    def gate(self):
        out = subprocess.run([os.path.join(self.build, "tests/gatebench"), os.path.join(self.build, "nullcuda/libcuda.so.1")],
                             capture_output=True, text=True, check=True, timeout=300).stdout
        r = {k: float(v) for k, v in (line.split() for line in out.splitlines())}
        n = "gate_open_ns"
        self.row(n, r[n], "ns", f"the same launch by a session without a gate, {r[n + '_reference']:.0f} ns", r[n + "_ratio"],
                 "ratio >= 0.97")

    def tenant(self, daemon, name, *args, direct=False):
        """A pvbench of that vGPU's, or on simcuda directly, that has reported that it is ready."""
        env = self.env(os.path.join(self.build, "simcuda"), None) if direct else \
            self.env(os.path.join(self.build, "lib"), daemon.socket(name))
        if direct:
            env.update(daemon.sim)
        p = self.start(env, *args)
        if p.stdout.readline().strip() != "ready":
            raise SystemExit(f"bench: {name} did not start")
        return p

    @staticmethod
    def go(p):
        p.stdin.write("g")
        p.stdin.flush()

    def result(self, p, key):
        out = p.communicate(timeout=300)[0]
        return float(dict(line.split() for line in out.splitlines() if len(line.split()) == 2)[key])

    def one_busy(self):
        """One vGPU with kernels of 200 us, and 16 whose sessions have done something and now wait."""
        idle = [f"idle{i}" for i in range(16)]
        seconds = 1 if self.quick else 3
        with self.pvgpu("simcuda", vgpus={"busy": "memory=64M", **{n: "memory=64M" for n in idle}}) as d:
            ratios, alone, among = [], [], []
            for _ in range(2 if self.quick else 6):
                rates = {}
                for others in ([], idle) if len(ratios) % 2 else (idle, []):
                    waiting = [self.tenant(d, n, "naps", "200", "0") for n in others]
                    p = self.tenant(d, "busy", "naps", "200", str(seconds))
                    self.go(p)
                    rates[bool(others)] = self.result(p, "naps_per_s")
                    for q in waiting:
                        q.kill()
                        q.communicate()
                alone.append(rates[False])
                among.append(rates[True])
                ratios.append(rates[True] / rates[False])
        self.row("one_busy_of_17", statistics.median(among), "kernels/s", f"alone, {statistics.median(alone):,.0f}/s",
                 statistics.median(ratios), "ratio >= 0.99")

    def windows(self, s, n):
        """In windows of a second: the worst of Jain's index over what each vGPU was charged, and the part of the time for
        which the simulated GPU was in use, on average."""
        fair, used, before, then = [], [], s.look(), time.monotonic()
        for _ in range(n):
            time.sleep(1)
            after, now = s.look(), time.monotonic()
            at_work = [v for v in after if v in s.running]
            fair.append(jain([after[v][0] - before[v][0] for v in at_work]))
            used.append(sum(after[v][1] - before[v][1] for v in at_work) / (now - then) / 1e6)
            before, then = after, now
        return min(fair), statistics.mean(used)

    def shares(self):
        """2, 8 and 32 vGPUs of equal weight that all want the whole GPU, with kernels of half a millisecond."""
        names = [f"v{i}" for i in range(32)]
        with Sharing({n: "" for n in names}, spares=4, build=self.build) as s:
            s.load(names[:1], us=500)
            s.settle()
            begun, (_, alone) = 1, self.windows(s, 3 if self.quick else 10)
            for n in (2, 8, 32):
                s.load(names[begun:n], us=500)
                begun = n
                s.settle(1_000_000)
                fair, used = self.windows(s, 3 if self.quick else 10)
                self.row(f"share_jain_{n}", fair, "", "the worst of the windows of 1 s", None, ">= 0.99")
                self.row(f"share_total_{n}", used * 100, "%", f"one vGPU alone, {alone * 100:.1f} % of the time", used / alone,
                         "ratio >= 0.97")

    def mode_of(self, mode, us, seconds):
        """Kernels a second of two vGPUs together that always have kernels queued, in a pool of that mode."""
        vgpus = {n: "memory=64M" for n in ("a", "b")}
        d = self.pvgpu("simcuda", vgpus=vgpus)
        d.write_config(f"[pool gpu]\ndevice = 0\nmode = {mode}\n")
        with d:
            tenants = [self.tenant(d, n, "naps", str(us), str(seconds)) for n in vgpus]
            for p in tenants:
                self.go(p)
            return sum(self.result(p, "naps_per_s") for p in tenants)

    def modes(self):
        """What an operator pays for a pool's mode: hand-overs that wait for the end of all work, and the clearing of the
        cache, in confidential pools. The simulated GPU's memset is the processor's, of 8 MiB."""
        got = {}
        for us in (500, 5000):
            for _ in range(1 if self.quick else 5):
                for mode in ("shared", "exclusive", "confidential"):
                    got.setdefault((mode, us), []).append(self.mode_of(mode, us, 1 if self.quick else 3))
            for mode in ("exclusive", "confidential"):
                name = f"mode_{mode}" + ("" if us == 500 else f"_{us // 1000}ms")
                ratio = statistics.median(m / s for m, s in zip(got[mode, us], got["shared", us]))
                self.row(name, statistics.median(got[mode, us]), "kernels/s",
                         f"the same in a shared pool, {statistics.median(got['shared', us]):,.0f}/s", ratio, "none: the price")

    def latency_of(self, daemon, beside, direct=False):
        """Median and p99 in ms of one kernel of 500 us and its end, every 5 ms or so."""
        low = self.tenant(daemon, "low", "naps", "100", "0", direct=direct) if beside else None
        p = self.tenant(daemon, "high", "latency", "500", "5000", "200" if self.quick else "600", direct=direct)
        if low:
            self.go(low)
        self.go(p)
        out = dict(line.split() for line in p.communicate(timeout=300)[0].splitlines())
        if low:
            low.kill()
            low.communicate()
        return float(out["latency_p50_ms"]), float(out["latency_p99_ms"])

    def latency(self):
        vgpus = {"high": "memory=64M,priority=high", "low": "memory=64M,priority=low"}
        rounds = 1 if self.quick else 3
        with self.pvgpu("simcuda", vgpus=vgpus) as d:
            runs = {(direct, beside): [] for direct in (True, False) for beside in (False, True)}
            for _ in range(rounds):
                for direct, beside in runs:
                    runs[direct, beside].append(self.latency_of(d, beside, direct))
        for i, what in enumerate(("p50", "p99")):
            m = {k: statistics.median(x[i] for x in v) for k, v in runs.items()}
            self.row(f"latency_native_{what}", m[True, True], "ms", f"alone on simcuda directly, {m[True, False]:.2f} ms",
                     m[True, True] / m[True, False], "none: the GPU's slices")
            self.row(f"latency_high_{what}", m[False, True], "ms", f"alone, {m[False, False]:.2f} ms",
                     m[False, True] / m[False, False], f"<= {m[False, False] + 1:.2f} ms")

    def endless(self):
        """How long after its vGPU's limit a program with a kernel that never ends is told so, beside a busy tenant."""
        limit, over = 1000, []
        hang = os.path.join(self.build, "programs", "hang")
        occupy = os.path.join(self.build, "programs", "occupy")
        vgpus = {"vgpu0": f"memory=256M,kernel_limit={limit}", "vgpu1": "memory=256M"}
        with PvgpuEnv(vgpus, build=self.build) as d:
            other = d.popen([occupy, "10000000", "1000"], "vgpu1", stdout=subprocess.DEVNULL)
            d.wait_sessions(1, "vgpu1")
            for _ in range(3 if self.quick else 5):
                p = d.popen([hang, "endless"], stdout=subprocess.PIPE)
                p.stdout.readline()
                begin = time.monotonic()
                p.communicate(timeout=120)
                over.append((time.monotonic() - begin) * 1000 - limit)
            other.kill()
            other.wait()
        self.row("endless_stop_ms", max(over), "ms", f"its kernel-limit of {limit} ms", None, "<= 1000 ms")

    # ---- operating it ----
    def setting(self):
        """From `set` to the last kernel that the old value let through: a vGPU without a limit gets one of a kernel a second."""
        def launches():
            return int(d.read("/vgpu/vgpu0/launches"))

        with PvgpuEnv({"vgpu0": "memory=64M,burst-commands=1"}, build=self.build) as d:
            p = self.start(self.env(os.path.join(self.build, "lib"), d.socket()), "loop", "500", "8", "0", "600")
            p.stdout.readline()
            p.stdin.write("g")
            p.stdin.flush()
            took = []
            for _ in range(5 if self.quick else 20):
                seen = launches()
                while launches() < seen + 100:
                    pass
                begin = last = time.monotonic()
                d.write("/vgpu/vgpu0/rate-commands", "1")
                seen = launches()
                while time.monotonic() < last + 0.3:
                    now = launches()
                    if now > seen + 1:  # one is due each second
                        seen, last = now, time.monotonic()
                took.append((last - begin) * 1000)
                d.write("/vgpu/vgpu0/rate-commands", "0")
            p.kill()
            p.communicate()
        self.row("set_ms", max(took), "ms", f"most of {len(took)}; median {statistics.median(took):.1f} ms", None, "<= 100 ms")

    def scrape(self):
        with PvgpuEnv({f"tenant-with-a-name-{i:03}": "memory=4M" for i in range(100)}, build=self.build) as d, Exporter(d) as e:
            took, spent = [], e.metrics()["pvgpu_daemon_cpu_seconds_total"]
            for _ in range(10 if self.quick else 40):
                time.sleep(0.15)  # the next snapshot
                begin = time.monotonic()
                size = len(e.get("/metrics")[0])
                took.append((time.monotonic() - begin) * 1000)
            time.sleep(0.15)
            spent = e.metrics()["pvgpu_daemon_cpu_seconds_total"] - spent
        self.row("scrape_ms", max(took), "ms", f"100 vGPUs; most of {len(took)}; median {statistics.median(took):.1f} ms", None, "<= 50 ms")
        self.row("scrape_kib", size / 1024, "KiB", "100 vGPUs", None, "<= 1024 KiB")
        self.row("scrape_core", 100 * spent / (len(took) + 1), "%", "a core of pvgpud, 100 vGPUs scraped each second", None, "<= 2 %")

    def sweep(self):
        """Shares, waits and overlap with pieces of any length: sweep.py's scenes, quick or all."""
        scenes = sweep_scenes.scenes()
        rows = sweep.sweep(self.build, [s for s in scenes if not self.quick or s.name in sweep_scenes.QUICK],
                           sweep_scenes.QUICK_S if self.quick else None)
        wrong = [r["scene"] for r in rows if r["verdict"] == "wrong"]
        self.row("sweep_wrong", len(wrong), "scenes", f"of {len(rows)}: {', '.join(wrong) or 'none'}", None, "0")


def pss(pid):
    """Proportional set size of a process in KiB, without ring, arena and the far end's library."""
    total, counted = 0, True
    with open(f"/proc/{pid}/smaps", encoding="ascii") as f:
        for line in f:
            word = line.split()
            if "-" in word[0] and not word[0].endswith(":"):
                name = word[5] if len(word) > 5 else ""
                counted = not ("memfd:" in name or "libcuda" in name)
            elif word[0] == "Pss:" and counted:
                total += int(word[1])
    return total


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--build", default="build")
    ap.add_argument("--out", help="where the list goes (default BUILD/bench.json)")
    ap.add_argument("--quick", action="store_true", help="fewer rounds")
    ap.add_argument("only", nargs="*", metavar="GROUP", help="of: " + " ".join(GROUPS) + "; and, if it is named, " + " ".join(ON_REQUEST))
    args = ap.parse_args()
    names = args.only or GROUPS
    unknown = set(names) - set(GROUPS + ON_REQUEST)
    if unknown:
        ap.error(f"no such group: {' '.join(sorted(unknown))}; there are {' '.join(GROUPS + ON_REQUEST)}")
    b = Bench(args.build, args.quick)
    print(f"{'name':24}{'value':>16} {'unit':12}{'ratio':>8}  {'target':24} reference")
    for n in names:
        getattr(b, n)()
    out = args.out or os.path.join(args.build, "bench.json")
    with open(out, "w", encoding="utf-8") as f:
        json.dump(b.rows, f, indent=1)
    print(f"\nwritten to {out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
