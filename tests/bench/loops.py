#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Closed loops: tenants that launch a burst of kernels, wait for its end, think, and begin again.

A load is written WEIGHT:US:BURST:THINK_US, one for each tenant, with commas; a load may be repeated with xN. For each
load the same clients run through pvgpu, directly on the simulated GPU beside each other, and each of them alone there.
WEIGHT:decoder:1:CPU_US is a transformer decoder (tests/programs/decoder.c) that computes for CPU_US after each token;
"high" or "low" as a fifth field is the tenant's priority.
  fair   of a tenant: kernels/s times their length against what it is due: as much of the GPU's time as all of them use
         there beside each other is dealt out by weight, and nobody is dealt more than it uses alone when it waits, each
         time it comes back, for what another one has on the GPU (docs/scheduling.md, "What a share is"). 1 is right; the
         least of all tenants' counts. Where tenants differ in more than weight each is due the least of its part by
         weight and of what its like use beside each other in the time that the others' parts leave.
  strict the same, as if nobody ever waited for another one's work: nobody is dealt more than it uses alone.
  total  GPU time of all tenants through pvgpu against the same clients beside each other on the simulated GPU directly.
  jain   of the tenants' parts of what each is due.
Runs take turns; the medians count. --busy N: with so many busy processes beside. --simulator: the parts of the simulator
(docs/simulator.md) beside them, with this machine's times for a kernel, a change of context and a wake-up, measured
first; `apart` is the largest difference of a tenant's part, in points.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "integration"))
from pvgpu_env import PvgpuEnv  # noqa: E402
from share_test import jain  # noqa: E402

DECODERS = ["1:decoder:1:2000,2:decoder:1:2000,1:decoder:1:2000,4:decoder:1:2000", "1:decoder:1:2000x8",
            "1:decoder:1:2000:high,1:decoder:1:2000:lowx7"]
LOADS = ["1:100:1:0x2", "1:100:1:0x4", "1:500:1:0x2", "1:500:1:0x4", "1:500:8:0x4", "1:500:8:0x8", "1:2000:1:0x4"]
WEIGHTS = [f"1:{us}:{burst}:{think},2:{us}:{burst}:{think},1:{us}:{burst}:{think},4:{us}:{burst}:{think}"
           for us, burst, think in ((100, 1, 0), (500, 1, 0), (500, 4, 3000), (2000, 10, 5000), (100, 20, 2000),
                                    (500, 64, 10000), (20000, 1, 1000))]
POLICY_WEIGHT = 100
# Another tenant's work that is on the GPU when one comes back: half a slice, or one kernel; and the hand-overs there and
# back. As in tests/sim/loops.c.
IN_FLIGHT_S = 1e-3
HANDOVERS_S = 160e-6
# Equal tenants, with one that never waits among them, and many.
WAITING = [f"1:{us}:{burst}:0x{n}" for n in (2, 4, 8) for us in (100, 500, 2000) for burst in (1, 8, 64)] + [
    f"1:2000:64:0,1:{us}:{burst}:0x3" for us, burst in ((100, 1), (500, 8))] + ["1:500:8:0x100"]
SPARES_MOST = 64
CREDIT_S = 0.2  # more than credit_ms
# About four times what a processor takes: the simulated GPU is as fast beside busy processors as beside idle ones.
INSTRUCTION_NS = 100
BY_WEIGHT = [",".join(f"{w}:{us}:{burst}:{think}" for w in (1, 2, 1, 4))
             for us in (100, 500, 2000, 20000) for burst in (1, 8, 64) for think in (0, 1000, 3000, 10000)]
TABLES = {"short": LOADS + WEIGHTS, "waiting": WAITING, "weights": BY_WEIGHT, "decoders": DECODERS}


def parse(text):
    tenants = []
    for part in text.split(","):
        spec, _, times = part.partition("x")
        tenants += [tuple(int(x) if x.isdigit() else x for x in spec.split(":"))] * int(times or 1)
    return tenants


def unit(tenant):
    """Seconds of the GPU's time that one kernel takes; a decoder's tokens count as they are."""
    return 1 if tenant[1] == "decoder" else tenant[1] * 1e-6


def policy(tenant):
    return f"memory=16M,weight={tenant[0] * POLICY_WEIGHT}" + "".join(f",priority={p}" for p in tenant[4:])


def dealt(left, weights, most):
    """Parts of `left` by weight, nobody more than `most` of its own: what it leaves goes to the others."""
    due, open_ = [0.0] * len(weights), set(range(len(weights)))
    while open_:
        unit = left / sum(weights[i] for i in open_)
        full = [i for i in open_ if most[i] <= unit * weights[i]]
        if not full:
            for i in open_:
                due[i] = unit * weights[i]
            break
        for i in full:
            due[i] = most[i]
            left -= most[i]
            open_.remove(i)
    return due


def unhindered(tenant, alone):
    """The part of the GPU's time of one that uses `alone` of it alone, where it finds another one's work each time."""
    _, us, burst, _ = tenant[:4]
    if us == "decoder" or not alone:
        return alone
    length = us * 1e-6
    waits = max(length, min(length * burst, IN_FLIGHT_S)) + HANDOVERS_S
    return length * burst / (length * burst / alone + waits)


def least_of(left, tenants, weights, most):
    """Of each its part of `left` by weight, or what it uses beside its like in the time that others' parts leave."""
    due = []
    for t, w, m in zip(tenants, weights, most):
        others = sum(x[0] for x in tenants if x != t)
        due.append(min(left * w / sum(weights), m * (1 - others / sum(weights))))
    return due


def spares(tenants):
    return {"spare_workers": min(len(tenants), SPARES_MOST)}


class Loops:
    def __init__(self, build, seconds, sim=None):
        self.build, self.seconds, self.sim = os.path.abspath(build), seconds, sim or {}

    def start(self, env, tenant):
        _, us, burst, think = tenant[:4]
        argv = [os.path.join(self.build, "tests", "pvbench"), "loop", str(us), str(burst), str(think), str(self.seconds)]
        if us == "decoder":
            argv = [os.path.join(self.build, "programs", "decoder"), "bench", str(self.seconds), str(think)]
        p = subprocess.Popen(argv, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if p.stdout.readline().strip() != "ready":
            raise SystemExit("loops: a client did not start")
        return p

    @staticmethod
    def finish(procs):
        """Kernels a second of each. First what they tried out is older than the time that credit is given for."""
        time.sleep(CREDIT_S)
        for p in procs:
            p.stdin.write("g")
            p.stdin.flush()
        return [float(p.communicate(timeout=300)[0].split()[-1]) for p in procs]

    def direct(self, d, tenants):
        env = dict(os.environ, LD_LIBRARY_PATH=os.path.join(self.build, "simcuda"), **d.sim)
        return self.finish([self.start(env, t) for t in tenants])

    def through(self, d, tenants):
        env = dict(os.environ, LD_LIBRARY_PATH=os.path.join(self.build, "lib"))
        return self.finish([self.start(dict(env, PVGPU_SOCKET=d.socket(f"t{i}")), t) for i, t in enumerate(tenants)])

    def run(self, tenants, rounds):
        vgpus = {f"t{i}": policy(t) for i, t in enumerate(tenants)}
        mixed = len({t[1:4] for t in tenants}) > 1
        # Of each kind of tenant what one uses alone, or beside its like. Directly on the GPU a weight says nothing.
        kinds = [t if mixed else t[1:4] for t in tenants]
        like = {k: [t for t, kind in zip(tenants, kinds) if kind == k][:None if mixed else 1] for k in kinds}
        alone, native, ours = {k: [] for k in like}, [], []
        with PvgpuEnv(vgpus, sim=self.sim, build=self.build, settings=spares(tenants)) as d:
            for _ in range(rounds):
                for k, its in like.items():
                    alone[k].append(sum(self.direct(d, its)) / len(its))
                native.append(self.direct(d, tenants))
                ours.append(self.through(d, tenants))
            with open(d.log_path, encoding="utf-8") as f:
                bad = [line for line in f if "quarantine" in line or "error" in line]
        alone = [statistics.median(alone[k]) for k in kinds]
        us = [unit(t) for t in tenants]
        attainable = statistics.median(sum(r * u for r, u in zip(n, us)) for n in native)
        weights, most = [t[0] for t in tenants], [a * u for a, u in zip(alone, us)]
        got = [statistics.median(r[i] for r in ours) * u for i, u in enumerate(us)]
        strict = least_of(attainable, tenants, weights, most) if mixed else dealt(attainable, weights, most)
        can = [max(unhindered(t, m), g) for t, m, g in zip(tenants, most, got)]
        due = strict if mixed else dealt(attainable, weights, can)
        parts, hard = ([g / x for g, x in zip(got, d)] for d in (due, strict))
        if "decoder" in tenants[0]:  # parts of all tokens
            got, due = [g / sum(got) for g in got], [x / sum(due) for x in due]
        return {"alone": alone, "each": [statistics.median(r[i] for r in ours) for i in range(len(tenants))],
                "fair": min(parts), "strict": min(hard), "jain": jain(parts), "got": got, "due": due,
                "total": statistics.median(sum(r * u for r, u in zip(o, us)) / sum(r * u for r, u in zip(n, us))
                                           for o, n in zip(ours, native)), "bad": bad}


class Simulator:
    """The same load in the simulator."""
    WAKE_US = 15  # a process that sleeps runs so long after it is woken (make bench-handover); a bell is two of them

    def __init__(self, b):
        self.pvsim = os.path.join(b.build, "tests", "pvsim")
        with PvgpuEnv({"t0": "memory=16M"}, build=b.build) as d:
            us = 1e6 / statistics.median(b.direct(d, parse("1:100:64:0"))[0] for _ in range(3))
            alone = 1e6 / statistics.median(b.direct(d, parse("1:100:1:0"))[0] for _ in range(3))
            two = 1e6 / statistics.median(sum(b.direct(d, parse("1:100:1:0x2"))) for _ in range(3))
        self.times = {"overhead": max(us - 100, 1), "gap": max(alone - us, 1), "switch": max(two - us, 1), "bell": 2 * self.WAKE_US}

    def parts(self, load):
        with tempfile.NamedTemporaryFile(suffix=".json") as f:
            times = [x for k, v in self.times.items() for x in (f"--{k}", f"{v:.1f}")]
            subprocess.run([self.pvsim, "--quiet", "--tenants", load, "--out", f.name, *times], stdout=subprocess.DEVNULL, check=True)
            got = [r["value"] for r in json.load(f)]
        return [g / sum(got) for g in got]


def busy(n):
    return [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(n)]


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--build", default="build")
    ap.add_argument("--seconds", type=float, default=2)
    ap.add_argument("--rounds", type=int, default=5)
    ap.add_argument("--busy", type=int, default=0, help="busy processes beside")
    ap.add_argument("--instruction-ns", type=int, default=INSTRUCTION_NS,
                    help="what the simulated GPU takes for a warp's instruction, 0: as long as the processor does (default %(default)s)")
    ap.add_argument("--out", help="the table as JSON, for make results")
    ap.add_argument("--table", choices=TABLES, default="short", help="where no loads are given (default %(default)s)")
    ap.add_argument("loads", nargs="*", help="WEIGHT:US:BURST:THINK_US[xN],...")
    ap.add_argument("--simulator", action="store_true", help="what the simulator makes of each load")
    args = ap.parse_args()
    rows = []
    sim = Simulator(Loops(args.build, 1)) if args.simulator else None
    beside = busy(args.busy)
    if sim:
        print("simulator: " + ", ".join(f"{k} {v:.0f} us" for k, v in sim.times.items()), flush=True)
    try:
        b = Loops(args.build, args.seconds, {"SIMCUDA_INSTRUCTION_NS": str(args.instruction_ns)})
        print(f"{'load':56} {'fair':>6} {'strict':>6} {'total':>6} {'jain':>6}  got (due), % of the GPU's time, of the first eight")
        for load in args.loads or TABLES[args.table]:
            r = b.run(parse(load), args.rounds)
            shares = " ".join(f"{g * 100:.1f} ({x * 100:.1f})" for g, x in zip(r["got"][:8], r["due"]))
            print(f"{load:56} {r['fair']:6.3f} {r['strict']:6.3f} {r['total']:6.3f} {r['jain']:6.4f}  {shares}", flush=True)
            if "decoder" in load:
                print("    tokens/s (alone): " + " ".join(f"{e:.1f} ({a:.1f})" for e, a in zip(r["each"], r["alone"])), flush=True)
            apart = {}
            if sim and "decoder" not in load:
                real = [g / sum(r["got"]) for g in r["got"]]
                parts = sim.parts(load)
                apart["apart"] = max(abs(p - x) * 100 for p, x in zip(parts, real))
                print(f"    apart {apart['apart']:.1f}; parts of all use: simulated " + " ".join(f"{p * 100:.1f}" for p in parts[:8]) +
                      ", real " + " ".join(f"{x * 100:.1f}" for x in real[:8]), flush=True)
            for line in r.pop("bad"):
                print("    " + line.rstrip(), flush=True)
            rows.append({"load": load, **{k: r[k] for k in ("fair", "strict", "total", "jain")}, **apart, "shares": shares})
    finally:
        for p in beside:
            p.kill()
            p.wait()
    if args.out:
        with open(args.out, "w", encoding="utf-8") as f:
            json.dump({"rows": rows}, f, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
