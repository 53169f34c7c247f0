#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Shares, waits and overlap of tenants with pieces of work of any length (tests/bench/pieces.c).

Each scene runs over the local link on the simulated GPU, and the same clients run on the simulated GPU directly. GPU time
is the simulated GPU's own count, between two instants that are chosen beforehand: when the last tenant has come or gone,
and ten longest pieces x total weight / lightest weight later (at least 2 s, and 80 ms for each tenant; a long span is cut,
which the line says).
  apart   the largest difference, in points of the GPU's time, between a tenant's part and what it is promised. Parts are
          of what all use, or of all time where a tenant has a maximum or waits for its results; such a one is promised
          what make bench-loops reckons of the time that all use. At most 3, in a span that is cut also the longest piece's
          part of it.
  wait    the longest time for which a tenant with work had none of the GPU, as a part of its bound: its longest turn, a
          slice and a piece, x total weight / its weight, a round of turns (exclusive pools: and the longest piece of the
          others), and four times `late`. At most 1.
  answer  the longest time for which a client had work and no piece of it ended, as a part of that bound and of the time
          in which its share is enough for all pieces that it keeps in flight: the wait for a piece is answered when what
          was launched before that wait has been issued. At most 1.
  jain    over tenants that are alike and have equal weights; at least 0.99. Not for spans that are cut.
  overlap streams of a tenant that run at once, on average, of those of the same client alone on the GPU directly; at
          least 0.8.
  median  milliseconds that the median piece of a tenant takes from its launch to its end, where a scene bounds it.
  used    the part of the span in which the GPU was in use, against the direct run. Not judged.
  late    milliseconds by which this machine woke a sleeper too late, at most. Not judged.
Nobody's session may end. A scene that the direct run misses too, since this machine's processors do not suffice, is marked
"direct" with that run's figure, which is not judged. The exit status is 0 if no scene is wrong.
"""
import argparse
import contextlib
import json
import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "integration"))
import sweep_scenes  # noqa: E402
from loops import dealt, unhindered  # noqa: E402
from share_test import Sharing, jain  # noqa: E402

APART = 3.0          # points
JAIN = 0.99
OVERLAP = 0.8
ENOUGH = 4           # so many times a piece's length on the GPU, for its overlap
DIRECT_S = 1.0       # span of a direct run
WARM_S = 0.2         # before the span of a direct run
USED = 0.9           # a direct run that uses less of the GPU, with queues that are never empty, lacks processors
EVEN = 0.98          # so does one in which processes have unequal parts, by Jain's index
KERNEL_LIMIT_MS = 10000  # pvgpud's default, which the tests' environment raises
FIRST_S = 0.02       # more than alone directly, for the longest wait of one stream beside others of its program
SPARES_MOST = 64
HOPS = 4             # processes that a piece's end wakes one after the other, each as late as the machine may be
SLICE_MOST_S, ROUND_MOST_S, FINISH_S = 0.03, 0.128, 0.004   # docs/scheduling-model.md


class Watch:
    """tests/bench/watch.c: the simulated GPU's account."""

    def __init__(self, build, gpu_file):
        self.p = subprocess.Popen([os.path.join(build, "tests", "watch"), gpu_file], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.late = 0.0

    def look(self):
        """pid -> (seconds of GPU time and kernels up to now, the longest time without the GPU since the last look)"""
        self.p.stdin.write(b"l")
        self.p.stdin.flush()
        self.late = float(self.p.stdout.readline()) * 1e-6
        rows = [line.split() for line in iter(self.p.stdout.readline, b"\n")]
        return {int(r[0]): (int(r[1]) * 1e-9, int(r[2]), float(r[3]) * 1e-6) for r in rows}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.p.stdin.close()
        self.p.wait()
        self.p.stdout.close()


class Client:
    """A tenant's program."""

    def __init__(self, build, env, tenant):
        self.tenant, self.marks = tenant, []
        argv = [os.path.join(build, "tests", "pieces"), str(tenant.start_ms), str(tenant.end_ms), *(p.spec() for p in tenant.parts)]
        self.p = subprocess.Popen(argv, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def say(self, byte):
        try:
            self.p.stdin.write(byte)
            self.p.stdin.flush()
        except OSError:
            pass  # it has ended: its mark is empty

    def mark(self):
        """The lines of all parts: (pieces ended, longest wait in seconds, median in microseconds)."""
        lines = [self.p.stdout.readline().split() for _ in self.tenant.parts]
        self.marks.append([(int(x[0]), float(x[1]) * 1e-6, float(x[2])) for x in lines if len(x) == 3])

    def close(self):
        with contextlib.suppress(BrokenPipeError):
            self.p.stdin.close()
        self.p.wait()
        self.p.stdout.close()
        self.p.stderr.close()


class Outcome:
    """What the clients of a run got in its span, by the tenant's number."""

    def __init__(self, clients, before, after, span):
        self.clients, self.span = clients, span
        self.used = {i: max(0.0, after[i][0] - before[i][0]) for i in clients}  # seconds of GPU time
        self.kernels = {i: max(0, after[i][1] - before[i][1]) for i in clients}
        self.without = {i: after[i][2] for i in clients}                        # seconds, the longest without the GPU
        self.late, self.slice_s, self.killed = 0.0, 0.002, []

    def part(self, i, of_all_time=False):
        whole = self.span if of_all_time else sum(self.used.values())
        return self.used[i] / whole if whole else 0.0

    def busy(self):
        return sum(self.used.values()) / self.span

    def failed(self):
        return [i for i, c in self.clients.items() if len(c.marks[-1]) < len(c.tenant.parts)]

    def answer(self, i):
        """The longest time without a result."""
        return max((m[1] for m in self.clients[i].marks[-1]), default=0.0)

    def median_us(self, i, part):
        marks = self.clients[i].marks[-1]
        return marks[part][2] if part < len(marks) else 0.0

    def overlap(self, i):
        """Seconds of pieces in a second of the tenant's GPU time."""
        return self.kernels[i] * self.clients[i].tenant.longest_s() / self.used[i] if self.used[i] else 0.0


class Stage:
    """One scene's pvgpud, and runs beside it."""

    def __init__(self, build, scene, cap_s):
        self.build, self.scene, self.span = os.path.abspath(build), scene, scene.span_s(cap_s)
        keys = {f"t{i}": ",".join(filter(None, (f"weight={t.weight}", t.keys, f"kernel_limit={KERNEL_LIMIT_MS}")))
                for i, t in enumerate(scene.tenants)}
        config = "[pool default]\ndevice = 0\nmode = exclusive\n" if scene.exclusive else ""
        self.sharing = Sharing(keys, config, min(len(keys), SPARES_MOST), "16M", build=self.build)

    def run(self, tenants, span, direct, settled):
        """Run those tenants: {number: tenant}. The span begins so many seconds after the first byte."""
        env = self.sharing.env
        clients = {i: Client(self.build, env.guest_env(f"t{i}", direct), t) for i, t in tenants.items()}
        try:
            for c in clients.values():
                if c.p.stdout.readline() != b"ready\n":
                    raise RuntimeError(f"a client did not start: {c.p.stderr.read().decode().strip()}")
            with Watch(self.build, env.gpu_file) as watch:
                begun = time.monotonic()
                for c in clients.values():
                    c.say(b"g")
                stay = {i: c for i, c in clients.items() if not c.tenant.end_ms}
                time.sleep(max(0.0, begun + settled - time.monotonic()))
                then, before = self.look(watch, stay, direct)
                time.sleep(max(0.0, then + span - time.monotonic()))
                now, after = self.look(watch, stay, direct)
                r = Outcome(stay, before, after, now - then)
                r.late = watch.late
            if not direct:
                r.slice_s = self.slice_s()
                r.killed = self.killed()
            return r
        finally:
            for c in clients.values():
                c.close()

    def look(self, watch, clients, direct):
        """The instant, and the account of each tenant, summed over its processes; and a mark in each client."""
        seen = watch.look()
        at, of = time.monotonic(), {i: [c.p.pid] for i, c in clients.items()}
        if not direct:
            tree = self.sharing.env.tree()["vgpu"]
            of = {i: [int(s["pid"]) for s in tree[f"t{i}"]["session"].values()] for i in clients}
        for c in clients.values():
            c.say(b"m")
        for c in clients.values():
            c.mark()
        rows = {i: [seen[pid] for pid in pids if pid in seen] for i, pids in of.items()}
        return at, {i: (sum(r[0] for r in of_it), sum(r[1] for r in of_it), max((r[2] for r in of_it), default=0.0))
                for i, of_it in rows.items()}

    def slice_s(self):
        """A turn of pvgpud's own slices, with the work that it may finish."""
        handover = int(self.sharing.env.tree()["pool"]["default"]["handover-time"]) * 1e-6
        n = len(self.scene.tenants)
        least = 0.002 if n <= 8 else 0.001
        return max(least, min(SLICE_MOST_S, 100 * handover, max(ROUND_MOST_S / n, 50 * handover))) + FINISH_S

    def killed(self):
        """Why sessions have ended that should not have."""
        return [line.split(": ", 1)[1] for line in self.sharing.env.log().splitlines()
                if ": ended: " in line and "the guest" not in line.split(": ended: ")[1]]


def run(build, scene, cap_s):
    """(through pvgpu, beside each other directly, of each one alone directly: the run)"""
    stage = Stage(build, scene, cap_s)
    stay = {i: scene.tenants[i]._replace(start_ms=0) for i in scene.stay()}
    alone, seen = {}, {}
    with stage.sharing:
        direct = stage.run(stay, min(stage.span, DIRECT_S), True, WARM_S)
        for i, t in stay.items():
            if t.parts not in seen and needs_alone(scene, i):
                seen[t.parts] = direct if len(stay) == 1 else stage.run({i: t}, min(stage.span, DIRECT_S), True, WARM_S), i
            if t.parts in seen:
                alone[i] = seen[t.parts]
        through = stage.run(dict(enumerate(scene.tenants)), stage.span, False, scene.settled_s())
    return through, direct, alone


def needs_alone(scene, i):
    t = scene.tenants[i]
    return any(p.waits() or p.streams > 1 for p in t.parts) or scene.median[:1] == (i,)


def can_use(scene, i, alone, got):
    """The part of the GPU's time that a tenant can use beside others."""
    t = scene.tenants[i]
    part = t.parts[0]
    if not all(p.waits() for p in t.parts) or i not in alone:
        return t.most
    r, k = alone[i]
    return min(t.most, max(unhindered((1, part.us, part.depth, part.think_us), min(1.0, r.used[k] / r.span)), got))


class Verdict:
    """A scene's figures, and what is wrong with them."""

    def __init__(self, scene, cut, through, direct, alone):
        """cut: the span is shorter than the scene wants."""
        self.scene, self.cut, self.through, self.direct, self.alone = scene, cut, through, direct, alone
        self.wrong, self.unjudged = [f"session ended: {k}" for k in through.killed], []
        if through.failed():
            self.wrong.append(f"programs failed: {', '.join(f't{i}' for i in through.failed())}")
        self.figures = {k: None for k, _, _ in FIGURES}
        self.drivable = self.processors_suffice()
        self.check_shares()
        self.check_waits()
        self.check_jain()
        self.check_overlap()
        self.check_median()
        self.figures["late"] = through.late * 1000
        if direct.busy():
            self.figures["used"] = through.busy() / direct.busy()

    def say(self, judged, text):
        (self.wrong if judged else self.unjudged).append(text)

    def processors_suffice(self):
        waiting = any(all(p.waits() for p in t.parts) for t in self.scene.tenants)
        even = jain(list(self.direct.used.values())) if self.scene.kind() and self.direct.busy() else 1.0
        if (self.direct.busy() < USED and not waiting) or even < EVEN:
            self.unjudged.append(f"direct: the GPU was in use for {self.direct.busy() * 100:.0f} % of the time, Jain {even:.3f}")
            return False
        return True

    def promised(self):
        if self.scene.promise:
            return dict(enumerate(self.scene.promise))
        stay = self.scene.stay()
        of_all = self.of_all_time()
        most = [can_use(self.scene, i, self.alone, self.through.part(i, of_all)) for i in stay]
        whole = min(1.0, self.through.busy()) if of_all else 1.0
        return dict(zip(stay, dealt(whole, [self.scene.tenants[i].weight for i in stay], most)))

    def of_all_time(self):
        return any(t.most < 1 or all(p.waits() for p in t.parts) for t in self.scene.tenants)

    def check_shares(self):
        if len(self.through.used) < 2 or not self.scene.shares:
            return
        promised, of_all = self.promised(), self.of_all_time()
        apart = {i: (self.through.part(i, of_all) - promised[i]) * 100 for i in promised}
        worst = max(apart, key=lambda i: abs(apart[i]))
        self.figures["apart"] = abs(apart[worst])
        piece = max(t.longest_s() for t in self.scene.tenants) / self.through.span * 100
        if abs(apart[worst]) > (max(APART, piece) if self.cut else APART):
            got = ", ".join(f"t{i} {self.through.part(i, of_all) * 100:.1f} of {promised[i] * 100:.1f} %" for i in list(promised)[:8])
            self.say(self.drivable, f"shares: {got}" + (f"; worst t{worst}" if len(promised) > 8 else ""))

    def bound_s(self, i, part):
        """Of the time without the GPU."""
        tenants, own, turn = self.scene.tenants, self.scene.tenants[i].longest_s(), self.through.slice_s
        others = max(t.longest_s() for k, t in enumerate(tenants) if k != i) if len(tenants) > 1 else 0
        return (own + turn) / part + len(tenants) * turn + (others if self.scene.exclusive else 0) + HOPS * self.through.late

    def answer_bound_s(self, i, part):
        """Of the time without a result: all pieces that were launched before the wait for one have their turns."""
        t = self.scene.tenants[i]
        return self.bound_s(i, part) + max(p.us * 1e-6 * p.depth for p in t.parts) / part

    def check_waits(self):
        """The worst of each kind, by its part of the bound."""
        waits = {"wait": [], "answer": []}
        for i, part in self.scene.parts().items():
            if i not in self.through.clients or self.scene.promise and part < APART / 100:
                continue  # a lower class has what the higher one leaves
            if not all(p.waits() for p in self.scene.tenants[i].parts):
                waits["wait"].append((self.through.without[i], self.bound_s(i, part), i, self.direct.without.get(i, 0.0)))
            waits["answer"].append((self.through.answer(i), self.answer_bound_s(i, part), i, self.direct.answer(i)))
        for kind, found in waits.items():
            if not found:
                continue
            self.figures[kind] = max(got / bound for got, bound, _, _ in found)
            over = [x for x in found if x[0] > x[1]]
            if over:
                got, bound, i, native = max(over, key=lambda x: (x[3] <= x[1], x[0] / x[1]))
                self.say(native <= bound, f"{kind}: t{i} {got:.3f} s, bound {bound:.3f} s, directly {native:.3f} s")

    def check_jain(self):
        used = self.through.used
        if not self.scene.kind() or len({self.scene.tenants[i].weight for i in used}) > 1 or len(used) < 2 or not sum(used.values()):
            return
        if self.cut:
            return  # its parts are of a few pieces
        self.figures["jain"] = jain(list(used.values()))
        if self.figures["jain"] < JAIN:
            least = min(used, key=used.get)
            self.say(self.drivable, f"Jain: {self.figures['jain']:.3f}; t{least} got {self.through.part(least) * 100:.2f} "
                                    f"of {100 / len(used):.2f} %")

    def check_overlap(self):
        for i, (r, k) in self.alone.items():
            parts = self.scene.tenants[i].parts
            # A piece that begins in the span ends after it: a few of them say little.
            enough = ENOUGH * parts[0].us * 1e-6
            if len(parts) > 1 or parts[0].streams == 1 or not r.overlap(k) or min(r.used[k], self.through.used[i]) < enough:
                continue
            of = self.through.overlap(i) / r.overlap(k)
            if self.figures["overlap"] is None or of < self.figures["overlap"]:
                self.figures["overlap"], worst = of, i
        if self.figures["overlap"] is None or self.figures["overlap"] >= OVERLAP:
            return
        r, k = self.alone[worst]
        streams = self.scene.tenants[worst].parts[0].streams
        text = f"overlap: t{worst} {self.through.overlap(worst):.1f} of {r.overlap(k):.1f} streams at once"
        self.say(r.overlap(k) >= OVERLAP * streams, text)

    def check_median(self):
        if not self.scene.median:
            return
        i, part, more = self.scene.median
        r, k = self.alone[i]
        got, native = self.through.median_us(i, part), r.median_us(k, part)
        self.figures["median"] = got / 1000
        if got > native + more:
            self.say(True, f"median: t{i} {got / 1000:.2f} ms, alone directly {native / 1000:.2f} ms, at most "
                           f"{(native + more) / 1000:.2f} ms")
        if len(self.scene.tenants) > 1:
            return
        # Beside other streams of its own the first piece waits no longer than the others.
        longest, bound = self.through.clients[i].marks[-1][part][1], r.clients[k].marks[-1][part][1] + FIRST_S + HOPS * self.through.late
        if longest > bound:
            self.say(True, f"longest piece of the small part: {longest * 1000:.1f} ms, at most {bound * 1000:.1f} ms")

    def word(self):
        if self.wrong:
            return "wrong"
        return "direct" if self.unjudged else "right"

    def row(self):
        return {"scene": self.scene.name, **self.figures, "verdict": self.word(), "why": "; ".join(self.wrong + self.unjudged)}


FIGURES = (("apart", 6, 1), ("wait", 6, 2), ("answer", 6, 2), ("jain", 6, 3), ("overlap", 8, 2), ("median", 7, 2), ("used", 6, 2), ("late", 5, 1))


def line(row):
    cells = (f"{'' if row[k] is None else format(row[k], f'.{digits}f'):>{width}}" for k, width, digits in FIGURES)
    return f"{row['scene']:40} " + " ".join(cells) + f"  {row['verdict']}"


def chosen(args):
    every = {s.name: s for s in sweep_scenes.scenes()}
    unknown = [n for n in args.scenes if n not in every]
    if unknown:
        sys.exit(f"sweep: no such scene: {', '.join(unknown)}; --list names them")
    if args.quick and not args.scenes:
        return [every[n] for n in sweep_scenes.QUICK]
    return [every[n] for n in args.scenes] or list(every.values())


def one(build, scene, cap_s):
    """The scene's row; a scene that cannot be run is wrong, and does not end the others."""
    try:
        return Verdict(scene, scene.span_s(cap_s) < scene.wanted_s(), *run(build, scene, cap_s)).row()
    except Exception as e:  # pylint: disable=broad-except
        return {"scene": scene.name, **{k: None for k, _, _ in FIGURES}, "verdict": "wrong", "why": f"{type(e).__name__}: {e}"}


def sweep(build, scenes, cap_s=None):
    """Rows of all scenes, which are printed as they end."""
    print(f"{'scene':40} " + " ".join(f"{k:>{width}}" for k, width, _ in FIGURES) + "  verdict", flush=True)
    rows = []
    for n, scene in enumerate(scenes):
        span, wanted = scene.span_s(cap_s), scene.wanted_s()
        cut = f" (cut from {wanted:.0f} s)" if span < wanted else ""
        print(f"[{n + 1}/{len(scenes)}] {scene.name}: {span:.1f} s{cut}", file=sys.stderr, flush=True)
        row = one(build, scene, cap_s)
        row["span"] = span
        row["wanted"] = wanted
        rows.append(row)
        print(line(row), flush=True)
        if row["why"]:
            print(f"    {row['why']}", flush=True)
    return rows


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--build", default="build")
    ap.add_argument("--quick", action="store_true", help="a few scenes with short spans, about a minute")
    ap.add_argument("--list", action="store_true", help="print the scenes with their spans in seconds, and what they would be uncut")
    ap.add_argument("--out", "--json", help="the table as JSON, for make results")
    ap.add_argument("scenes", nargs="*", metavar="SCENE", help="those scenes only (default: all, about 15 minutes)")
    args = ap.parse_args()
    scenes = chosen(args)
    cap_s = sweep_scenes.QUICK_S if args.quick else None
    if args.list:
        for s in scenes:
            print(f"{s.name:40} {s.span_s(cap_s):6.1f} {s.wanted_s():6.1f}")
        return 0
    begun = time.monotonic()
    rows = sweep(args.build, scenes, cap_s)
    words = [r["verdict"] for r in rows]
    print(f"{words.count('right')} right, {words.count('wrong')} wrong, {words.count('direct')} not judged in part; "
          f"{time.monotonic() - begun:.0f} s")
    if args.out:
        with open(args.out, "w", encoding="utf-8") as f:
            json.dump({"rows": rows}, f, indent=1)
    return int("wrong" in words)


if __name__ == "__main__":
    sys.exit(main())
