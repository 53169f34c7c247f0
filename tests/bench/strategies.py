#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The worst strategies of the simulator's search (pvsim --only strategies), played against the real pvgpud.

A tenant that picks lengths of kernels, bursts, pauses, depth and processes to get more than its part runs beside the
three honest ones of the search, over the local link on the simulated GPU.
  predicted  what the simulator says it gains over the part that its weight promises, in points of the GPU's time
  measured   what it gains, by the simulated GPU's own account, over a span that is chosen beforehand
  charged    the same, by pvgpud's charges. Not judged
  used       the part of the span in which the GPU was in use
  directly   the same of the same programs on the simulated GPU without pvgpu. Where both are below 90 %, the honest
             tenants, which always have work, lack processors, and a larger gain is not judged: the verdict is "idle"
  verdict    "right" up to 3 points, or up to the part that a longest kernel of each of its processes is of a span
             that --most-seconds has cut
The exit status is 0 if no strategy gains more.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "integration"))
from share_test import Sharing  # noqa: E402

MOST = 3.0           # points
USED = 0.9           # of the span: honest tenants always have work
HONEST_DEPTH = 64
SETTLE_S = 1.0       # after the last one has come
DIRECT_S = 2.0       # span of the run without pvgpu
KERNEL_LIMIT_MS = 10000
RARE = 5             # enum sim_dist_kind
RARE_PER = 16


def search(build, seed):
    """The strategies, the worst first."""
    with tempfile.NamedTemporaryFile(suffix=".json") as f:
        argv = [os.path.join(build, "tests", "pvsim"), "--only", "strategies", "--quiet", "--seed", str(seed), "--out", f.name]
        if subprocess.run(argv, stdout=subprocess.DEVNULL, check=False).returncode not in (0, 1):
            sys.exit("strategies: pvsim has failed: " + " ".join(argv))
        rows = json.load(f)
    return next(r for r in rows if r["name"] == "strategies_most_gained")["details"]["worst"]


def longest_s(strategy):
    d = strategy["kernel_ns"]
    ns = d["mean"]
    if d["kind"] == RARE:
        ns *= d["shape"] * RARE_PER / (RARE_PER - 1 + d["shape"])
    return ns * (1 + d["shape"] if d["kind"] == 1 else 1) * 1e-9


def programs(build, strategy, seed):
    """(vGPU, arguments) of each process; the strategist's first."""
    def dist(key):
        return "{kind}:{mean}:{shape}".format(**strategy[key])

    for i in range(strategy["processes"]):
        yield "t0", [os.path.join(build, "tests", "strategist"), str(seed * 1000 + i), str(strategy["depth"]),
                     str(int(strategy["kernels"])), str(int(strategy["on_off"])), *map(dist, ("kernel_ns", "gap", "on", "off"))]
    for i, ns in enumerate(strategy["honest_ns"]):
        yield f"t{i + 1}", [os.path.join(build, "tests", "pieces"), str(strategy["honest_start_ns"] // 1000000), "0",
                            f"{int(ns / 1000)}:{HONEST_DEPTH}:1:0:0"]


def start(clients, build, env, strategy, seed, direct):
    for name, argv in programs(build, strategy, seed):
        clients.append((name, subprocess.Popen(argv, env=env.guest_env(name, direct), stdin=subprocess.PIPE, stdout=subprocess.PIPE)))
    for _, c in clients:
        if c.stdout.readline() != b"ready\n":
            raise RuntimeError(f"a program did not start: {' '.join(c.args)}")
    for _, c in clients:
        c.stdin.write(b"g")
        c.stdin.flush()


def end(clients):
    for _, c in clients:
        c.stdin.close()
    for _, c in clients:
        c.wait()
        c.stdout.close()


def spent(sharing, clients, direct, settled, span):
    """(GPU time counted, charged) of each vGPU in so many seconds."""
    def look():
        if not direct:
            return sharing.look()
        far = sharing.counted()
        return {n: (0, sum(far.get(c.pid, 0) for name, c in clients if name == n)) for n, _ in clients}
    time.sleep(settled)
    before = look()
    time.sleep(span)
    after = look()
    if any(c.poll() is not None for _, c in clients):
        raise RuntimeError("a program has ended")
    return {n: after[n][1] - before[n][1] for n in before}, {n: after[n][0] - before[n][0] for n in before}


def play(build, strategy, seed, span):
    """Points that the strategist gains in so many seconds, and the parts of the time in which the GPU was in use."""
    build = os.path.abspath(build)
    keys = {f"t{i}": f"weight={100 * w},kernel_limit={KERNEL_LIMIT_MS}" for i, w in enumerate(strategy["weights"])}
    config = "[pool default]\ndevice = 0\nmode = exclusive\n" if strategy["exclusive"] else ""
    settled = strategy["honest_start_ns"] * 1e-9 + SETTLE_S
    got = {}
    with Sharing(keys, config, len(keys) + strategy["processes"], "16M", build=build) as sharing:
        for direct, seconds in ((True, min(span, DIRECT_S)), (False, span)):
            clients = []
            try:
                start(clients, build, sharing.env, strategy, seed, direct)
                got[direct] = spent(sharing, clients, direct, settled, seconds)
            finally:
                end(clients)
    used, charged = got[False]
    return {"used": sum(used.values()) / span / 1e6, "directly": sum(got[True][0].values()) / min(span, DIRECT_S) / 1e6,
            "measured": 100 * used["t0"] / sum(used.values()) - strategy["due"],
            "charged": 100 * charged["t0"] / max(1, sum(charged.values())) - strategy["due"]}


def one(build, strategy, seed, most_s):
    wanted = strategy["duration_ns"] * 1e-9
    span = min(wanted, most_s)
    allowed = max(MOST, 100 * strategy["processes"] * longest_s(strategy) / span) if span < wanted else MOST
    row = {"strategy": strategy["text"].split(": ", 1)[1], "due": strategy["due"], "predicted": strategy["gain"], "span": span, "wanted": wanted}
    try:
        row |= play(build, strategy, seed, span)
        row["verdict"] = "right" if row["measured"] <= allowed else "wrong" if max(row["used"], row["directly"]) >= USED else "idle"
    except RuntimeError as e:
        row |= {"used": None, "directly": None, "measured": None, "charged": None, "verdict": f"wrong: {e}"}
    return row


def shown(value):
    return "" if value is None else f"{value:+.2f}"


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--build", default="build")
    ap.add_argument("--seed", type=int, default=1, help="of the search (default 1)")
    ap.add_argument("--worst", type=int, default=20, metavar="N", help="the N worst only (default, and at most, 20)")
    ap.add_argument("--most-seconds", type=float, default=20, metavar="S", help="the longest span (default 20)")
    ap.add_argument("--out", metavar="FILE", help="the table as JSON, for make results")
    args = ap.parse_args()
    print("strategies: searching with the simulator, a minute at most", file=sys.stderr, flush=True)
    worst = search(args.build, args.seed)[:args.worst]
    print(f"{'due':>6} {'predicted':>9} {'measured':>9} {'charged':>9} {'used':>5} {'directly':>8} {'span, s':>7}  verdict  strategy", flush=True)
    rows = []
    for n, s in enumerate(worst):
        print(f"[{n + 1}/{len(worst)}] {min(s['duration_ns'] * 1e-9, args.most_seconds):.0f} s", file=sys.stderr, flush=True)
        r = one(args.build, s, args.seed, args.most_seconds)
        rows.append(r)
        print(f"{r['due']:6.1f} {shown(r['predicted']):>9} {shown(r['measured']):>9} {shown(r['charged']):>9} {r['used'] or 0:5.2f} {r['directly'] or 0:8.2f} {r['span']:7.1f}  "
              f"{r['verdict']:7}  {r['strategy']}", flush=True)
    wrong = sum(r["verdict"].startswith("wrong") for r in rows)
    idle = sum(r["verdict"] == "idle" for r in rows)
    print(f"{len(rows) - wrong - idle} right, {wrong} wrong, {idle} not judged")
    if args.out:
        with open(args.out, "w", encoding="utf-8") as f:
            json.dump({"rows": [{k: round(v, 2) if isinstance(v, float) else v for k, v in r.items()} for r in rows]}, f, indent=1)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
