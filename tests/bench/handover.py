#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""One hand-over, traced: who wakes whom, when, and how many system calls each side makes.

Tenants launch a burst of kernels, wait for its end, and begin again (pvbench loop). While they run, the kernel's trace of
wake-ups, switches and system calls is read from tracefs (an instance of its own; needs root). Printed for the tenants
through pvgpu and for the same clients on the simulated GPU directly:
  wake-ups and system calls of each kind of thread, for each kernel that a tenant launches;
  which thread wakes which, how often for each kernel, and how long it takes until the woken one runs (median);
  the gap: from the end of a tenant's kernel to the moment when another tenant's work is on the processor (median);
  one gap of median length, event by event;
  the floor: what one wake-up takes in a chain of sleeping processes that do nothing else (pvbench hops).
"""
import argparse
import collections
import json
import os
import re
import statistics
import subprocess
import sys
import time

import loops
from pvgpu_env import PvgpuEnv

TRACEFS = "/sys/kernel/tracing"
LINE = re.compile(r"^\s*(.+)-(\d+)\s+\[(\d+)\]\s+\S+\s+([\d.]+): (\w+): (.*)$")
ALL_SIGNALS = 0xFFFFFFFE7FFBFE00  # the simulated GPU's threads block them all


class Trace:
    """An instance of the kernel's trace that sees some threads only."""

    def __init__(self):
        if not os.path.isdir(TRACEFS) or not os.listdir(TRACEFS):
            raise SystemExit(f"handover: {TRACEFS} is empty: run as root, after `mount -t tracefs none {TRACEFS}`")
        self.at = os.path.join(TRACEFS, "instances", f"pvgpu-{os.getpid()}")

    def __enter__(self):
        os.mkdir(self.at)
        self.put("trace_clock", "mono")
        self.put("buffer_size_kb", "8192")
        return self

    def __exit__(self, *_):
        self.put("tracing_on", "0")
        os.rmdir(self.at)

    def put(self, name, text):
        with open(os.path.join(self.at, name), "w", encoding="ascii") as f:
            f.write(text)

    def record(self, tids, seconds):
        self.put("tracing_on", "0")
        self.put("trace", "")
        self.put("set_event_pid", " ".join(map(str, tids)))
        for event in ("sched/sched_waking", "sched/sched_switch", "raw_syscalls/sys_enter"):
            self.put(f"events/{event}/enable", "1")
        self.put("tracing_on", "1")
        time.sleep(seconds)
        self.put("tracing_on", "0")
        with open(os.path.join(self.at, "trace"), encoding="utf-8", errors="replace") as f:
            return [m.groups() for m in map(LINE.match, f) if m]


def threads(pid):
    """tid -> does it belong to the simulated GPU?"""
    of = {}
    for tid in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{tid}/status", encoding="ascii") as f:
            blocked = int(re.search(r"SigBlk:\s*(\w+)", f.read()).group(1), 16)
        of[int(tid)] = blocked & ALL_SIGNALS == ALL_SIGNALS
    return of


def roles(clients, workers=(), pvgpud=None):
    """tid -> (kind, number of the tenant)"""
    of = {}
    for i, pid in enumerate(clients):
        for tid, far in threads(pid).items():
            of[tid] = ("gpu" if far else "client" if tid == pid else "client's threads", i)
    for i, pid in enumerate(workers):
        for tid, far in threads(pid).items():
            of[tid] = ("gpu" if far else "worker" if tid == pid else "worker's waiter", i)
    if pvgpud:
        of.update({tid: ("pvgpud", None) for tid in threads(pvgpud)})
    return of


class Run:
    """What a trace says of one run."""

    def __init__(self, lines, of):
        self.of, self.calls, self.wakes = of, collections.Counter(), collections.defaultdict(list)
        self.events, self.ends, self.runs = [], [], []
        waking = {}
        for _, tid, cpu, at, event, text in lines:
            tid, at = int(tid), float(at) * 1e6
            if event == "sys_enter" and tid in of:
                self.calls[of[tid][0]] += 1
            elif event == "sched_waking":
                self.waking(tid, int(re.search(r" pid=(\d+)", text).group(1)), at, cpu, waking)
            elif event == "sched_switch":
                self.switched(int(re.search(r"next_pid=(\d+)", text).group(1)), at, cpu, waking)

    def waking(self, by, who, at, cpu, waking):
        if who not in self.of:
            return
        source = self.of.get(by, ("timer", None))
        if self.of[who][0] == "gpu" and source[0] not in ("worker", "client", "gpu"):
            self.ends.append((at, self.of[who][1]))
            source = ("timer", None)
        waking.setdefault(who, (at, source))
        self.events.append((at, cpu, f"{name(source)} wakes {name(self.of[who])}"))

    def switched(self, who, at, cpu, waking):
        if who not in self.of:
            return
        if who in waking:
            since, source = waking.pop(who)
            self.wakes[source[0], self.of[who][0]].append(at - since)
        self.events.append((at, cpu, f"{name(self.of[who])} runs"))
        if self.of[who][0] == "gpu":
            self.runs.append((at, self.of[who][1]))

    def gaps(self):
        """(from, to) of each change of tenant on the GPU: a kernel's end, and another tenant's work on a processor."""
        out, k = [], 0
        for n, (at, tenant) in enumerate(self.ends):
            until = self.ends[n + 1][0] if n + 1 < len(self.ends) else float("inf")
            while k < len(self.runs) and self.runs[k][0] < at:
                k += 1
            for run, other in self.runs[k:k + 8]:
                if run < until and other != tenant:
                    out.append((at, run))
                    break
        return out

    def table(self, kernels):
        woken = collections.Counter()
        for (_, to), v in self.wakes.items():
            woken[to] += len(v)
        return {"kernels": kernels,
                "threads": {k: {"wakeups": woken[k] / kernels, "calls": self.calls[k] / kernels}
                            for k in sorted(set(woken) | set(self.calls))},
                "wakes": {f"{a} -> {b}": {"each": len(v) / kernels, "us": statistics.median(v)}
                          for (a, b), v in sorted(self.wakes.items(), key=lambda x: -len(x[1]))},
                "gap_us": statistics.median(b - a for a, b in self.gaps()) if self.gaps() else None}

    def picture(self):
        gaps = sorted(self.gaps(), key=lambda g: g[1] - g[0])
        if not gaps:
            return []
        begin, end = gaps[len(gaps) // 2]
        return [f"    {at - begin:8.0f} us  [{int(cpu)}]  {what}" for at, cpu, what in self.events if begin <= at <= end + 1]


def name(role):
    return role[0] if role[1] is None else f"{role[0]} {role[1]}"


def measure(b, d, trace, tenants, native, seconds):
    env = dict(os.environ, LD_LIBRARY_PATH=os.path.join(b.build, "simcuda" if native else "lib"), **(d.sim if native else {}))
    procs = [b.start(env if native else dict(env, PVGPU_SOCKET=d.socket(f"t{i}")), t) for i, t in enumerate(tenants)]
    clients = [p.pid for p in procs]
    if native:
        of = roles(clients)
    else:
        tree = d.tree()["vgpu"]
        workers = [int(next(iter(tree[f"t{i}"]["session"].values()))["pid"]) for i in range(len(tenants))]
        of = roles(clients, workers, d.pid)
    for p in procs:
        p.stdin.write("g")
        p.stdin.flush()
    time.sleep(b.seconds / 4)
    lines = trace.record(of, seconds)
    rates = [float(p.communicate(timeout=300)[0].split()[-1]) for p in procs]
    return Run(lines, of), sum(rates) * seconds


def show(title, run, kernels):
    t = run.table(kernels)
    print(f"\n{title}: {kernels / run.seconds:.0f} kernels/s")
    print(f"  {'':18}{'wake-ups':>10}{'system calls':>14}   for each kernel")
    for k, v in t["threads"].items():
        print(f"  {k:18}{v['wakeups']:10.2f}{v['calls']:14.2f}")
    print(f"  {'wakes':32}{'each':>8}{'until it runs':>16}")
    for k, v in t["wakes"].items():
        if v["each"] >= 0.02:
            print(f"  {k:32}{v['each']:8.2f}{v['us']:13.0f} us")
    print(f"  gap: {t['gap_us']:.0f} us" if t["gap_us"] is not None else "  gap: none was seen")
    for line in run.picture():
        print(line)
    return t


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--build", default="build")
    ap.add_argument("--seconds", type=float, default=0.5, help="traced (0.5)")
    ap.add_argument("--out", help="the tables as JSON")
    ap.add_argument("load", nargs="?", default="1:500:1:0x2", help="as in loops.py: WEIGHT:US:BURST:THINK_US[xN],... (1:500:1:0x2)")
    args = ap.parse_args()
    tenants, b = loops.parse(args.load), loops.Loops(args.build, 4 * args.seconds + 1)
    vgpus = {f"t{i}": loops.policy(t) for i, t in enumerate(tenants)}
    result = {"load": args.load}
    with Trace() as trace, PvgpuEnv(vgpus, build=b.build, settings=loops.spares(tenants)) as d:
        for title, native in (("natively", True), ("through pvgpu", False)):
            run, kernels = measure(b, d, trace, tenants, native, args.seconds)
            run.seconds = args.seconds
            result[title] = show(title, run, kernels)
    out = subprocess.run([os.path.join(b.build, "tests", "pvbench"), "hops", "4"], env=dict(os.environ, LD_LIBRARY_PATH=os.path.join(b.build, "simcuda")), capture_output=True, text=True, check=True).stdout
    result.update({k: float(v) for k, v in (line.split() for line in out.splitlines())})
    print(f"\nfloor: a wake-up takes {result['hop_us']:.0f} us (p90 {result['hop_p90_us']:.0f}) where every process sleeps before it")
    if args.out:
        with open(args.out, "w", encoding="utf-8") as f:
            json.dump(result, f, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
