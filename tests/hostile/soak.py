#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""100 guests with a session each, and others that come and go, on one pvgpud for a long time; on the local link and the
simulated GPU.

    tests/hostile/soak.py [--build DIR] [--seconds N] [--rate N] [--seed N] [--json FILE]

Steady guests keep a session from the first minute to the last: some keep the GPU busy, some compute and check their
results, some only hold memory. Beside them guests come and go: honest programs whose output is checked, programs that are
killed or stopped or lose their worker, connections cut in the middle, garbage, the attacks of `attack`, and workers that
their guest owns (escape.c, lies.def). pvgpud is killed, or hands over to the next, again and again.

At the end of each period all that come and go have gone, and pvgpud's memory, files, processes, cgroups and keys must be
what they were. Every honest result must be right, and busy guests of equal weight have equal parts of the GPU.
"""
import argparse
import contextlib
import glob
import json
import os
import pathlib
import random
import re
import signal
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "integration")]
import soak_guests as guests  # noqa: E402
from pvgpu_env import PvgpuEnv, build_dir, cgroups, files_of, marked_processes  # noqa: E402

MIB = 1 << 20
TICK = 0.05
JAIN = 0.99
PATIENCE = 600        # seconds for what must come: a busy machine is slow
SPARES = 2
# How many vGPUs each kind has.
STEADY = {"busy": 8, "check": 12, "rest": 80}
PASSING = {"honest": 12, "killed": 12, "garbage": 6, "attack": 6, "owned": 30}
# How often each kind comes.
OFTEN = {"honest": 4, "killed": 3, "garbage": 4, "attack": 2, "owned": 3}
# KiB that memory may differ by between two rests of one pvgpud: the allocator's pages, not a session's worth of them.
PVGPUD_GROWS, WORKER_GROWS = 1024, 2048


def jain(values):
    return sum(values) ** 2 / (len(values) * sum(v * v for v in values))


def own_memory(pid):
    """KiB"""
    text = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(re.search(r"^RssAnon:\s*(\d+)", text, re.M)[1])


class Wrong(AssertionError):
    pass


class Rest:
    """What there is when all that come and go have gone."""

    def __init__(self, env):
        names = [os.path.basename(cmd.split()[0]) for cmd in marked_processes(env.mark).values()]
        self.counts = {
            "files": len(files_of(env.pid)),
            "processes": {n: names.count(n) for n in sorted(set(names))},
            "cgroups": len(cgroups(env.mark)),
            "shared memory": len(glob.glob(f"/dev/shm/{env.mark}*")),
            "files in the run directory": sum(len(files) for _, _, files in os.walk(env.run_dir)),
            "spare workers": env.read("/daemon/spare-workers"),
            "memory of the GPU": sum(int(v["memory-used"]) for v in env.tree()["vgpu"].values()),
        }
        self.pvgpud = own_memory(env.pid)
        self.workers = {pid: own_memory(pid) for pid in env.workers()}

    def differs(self, before):
        return [f"{what}: {before.counts[what]} before, {now} now" for what, now in self.counts.items()
                if now != before.counts[what]]

    def grown(self, before):
        """KiB of pvgpud, and of the worker that has grown most."""
        return self.pvgpud - before.pvgpud, max(now - before.workers[pid] for pid, now in self.workers.items())


class Soak:
    def __init__(self, args):
        self.args = args
        self.rng = random.Random(args.seed)
        owned = self.rng.sample(guests.lies() + guests.ways(), PASSING["owned"])
        names = {kind: [f"{kind}{i}" for i in range(n)] for kind, n in {**STEADY, **PASSING}.items()}
        names["owned"] = owned
        self.names = names
        vgpus = {n: "memory=48M" + (",kernel_limit=3000,arena_limit=64M" if kind == "attack" else "")
                 for kind, group in names.items() for n in group}
        self.env = PvgpuEnv(vgpus, build=args.build, sim={"SIMCUDA_MEMORY": "16G", "SIMCUDA_THREADS": "2"},
                            worker=os.path.join(args.build, "tests", "pvgpu-worker-escape"),
                            # On a busy machine a guest is slow to send its request.
                            settings={"spare_workers": SPARES, "worker_grace_ms": 500, "open_timeout_ms": 1000 * PATIENCE})
        self.visits, self.free = [], {kind: list(names[kind]) for kind in PASSING}
        self.steady = []
        self.total = dict.fromkeys([*PASSING, "right", "restarts", "sessions at once"], 0)
        self.before = {}       # restarts so far -> Rest
        self.said = set()      # what owned workers have done
        self.periods = 0

    # guests that come and go

    def come(self):
        """One more, of a kind that has a vGPU free."""
        kinds = [k for k in PASSING if self.free[k]]
        if not kinds:
            return
        kind = self.rng.choices(kinds, [OFTEN[k] for k in kinds])[0]
        name = self.free[kind].pop(self.rng.randrange(len(self.free[kind])))
        self.visits.append((kind, guests.KINDS[kind](self, name)))
        self.total[kind] += 1

    def go(self, hurry=False):
        """Let each do its next step; those that have ended give their vGPU back."""
        for kind, v in list(self.visits):
            if not v.step(hurry):
                continue
            self.visits.remove((kind, v))
            self.free[kind].append(v.vgpu)
            self.total["right"] += v.right

    def tick(self, hurry=False):
        self.go(hurry)
        for s in self.steady:
            s.step()
        if self.env.daemon.poll() is not None:
            raise Wrong(f"pvgpud ended with {self.env.daemon.returncode}")
        time.sleep(TICK)

    def until(self, what, condition, hurry=False):
        """Wait, and let all go on meanwhile."""
        limit = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > limit:
                self.show_late()
                raise Wrong(f"not within {PATIENCE} s: {what()}")
            self.tick(hurry)

    def show_late(self):
        """What those who have not ended wait for, and what pvgpud knows of them."""
        vgpus = self.env.tree()["vgpu"]
        for kind, v in self.visits:
            print(f"--- {kind} on {v.vgpu}, since {time.monotonic() - v.begun:.0f} s: {' '.join(v.p.args)}")
            for pid in (v.p.pid, *(s["pid"] for s in vgpus[v.vgpu].get("session", {}).values())):
                for task in pathlib.Path(f"/proc/{pid}/task").glob("*"):
                    with contextlib.suppress(OSError):
                        print(*(f"{n}: {(task / n).read_text(errors='replace').strip()}" for n in ("comm", "wchan", "syscall", "schedstat")))
            print(json.dumps(vgpus[v.vgpu], indent=1))
            print("\n".join(line for line in self.env.log().splitlines() if re.search(rf" {v.vgpu}\b", line)), flush=True)

    def churn(self, seconds):
        now = time.monotonic()
        end = now + seconds
        while now < end:
            due = now + self.rng.expovariate(self.args.rate)
            self.come()
            while time.monotonic() < due:
                self.tick()
            now = time.monotonic()
        sessions = sum(int(v["sessions"]) for v in self.env.tree()["vgpu"].values())
        self.total["sessions at once"] = max(self.total["sessions at once"], sessions)

    # pvgpud's own ends

    def restart(self):
        """Killed, or told to hand over; not while an honest program opens its session, which may fail then, nor while a worker is
        stopped, which the next one would wait for."""
        self.until(lambda: "a session for each program",
                   lambda: not any(kind == "honest" and v.opening() or kind == "killed" and v.halted for kind, v in self.visits))
        self.remember()
        self.env.restart(self.rng.choice((signal.SIGKILL, signal.SIGUSR1)))
        self.total["restarts"] += 1
        names = [n for kind in STEADY for n in self.names[kind]]

        def taken_over():
            vgpus = self.env.tree()["vgpu"]
            return all(vgpus[n]["sessions"] == "1" for n in names)
        self.until(lambda: "the steady sessions to be taken over", taken_over)

    def remember(self):
        self.said |= set(re.findall(r"(?:lie|escape) ([\w-]+)", self.env.log()))

    # rests

    def all_gone(self):
        self.until(lambda: "the end of those on " + " ".join(v.vgpu for _, v in self.visits), lambda: not self.visits, hurry=True)

        def idle():
            tree = self.env.tree()
            return int(tree["daemon"]["spare-workers"]) == SPARES and all(
                tree["vgpu"][n]["sessions"] == "0" and tree["vgpu"][n]["memory-used"] == "0"
                for kind in PASSING for n in self.names[kind])
        self.until(lambda: "no session nor memory of those that came", idle)

    def rest(self):
        """Compare with the first rest; adopted sessions have other files than those that pvgpud opened itself."""
        self.all_gone()
        lives = self.total["restarts"]
        first, same_life = self.before.get(min(lives, 1)), self.before.get(lives)
        now = Rest(self.env)

        def same():
            nonlocal now
            now = Rest(self.env)
            return not now.differs(first)
        if first:
            self.until(lambda: "left behind: " + "; ".join(now.differs(first)), same)
        if same_life:
            pvgpud, worker = now.grown(same_life)
            if pvgpud > PVGPUD_GROWS or worker > WORKER_GROWS:
                raise Wrong(f"pvgpud's memory grew by {pvgpud} KiB, a worker's by {worker} KiB")
        self.before.setdefault(min(lives, 1), now)
        self.before.setdefault(lives, now)
        self.last = now
        print(f"{time.monotonic() - self.begun:6.0f} s: {sum(self.total[k] for k in PASSING)} guests came and went, "
              f"{self.total['right']} right, {lives} restarts; pvgpud {now.pvgpud} KiB, {now.counts['files']} files, "
              f"{sum(now.counts['processes'].values())} processes; Jain {self.fair():.4f}", flush=True)

    # the GPU's time

    def gpu_time(self):
        tree = self.env.tree()["vgpu"]
        return [int(tree[n]["gpu-time"]) for n in self.names["busy"]]

    def fair(self):
        """Jain's index of what busy guests had since the beginning."""
        return jain([b - a for a, b in zip(self.at_first, self.gpu_time())])

    # all of it

    def run(self):
        with self.env, contextlib.ExitStack() as stack:
            self.expected = {n: self.env.run([guests.program(self, n)], direct=True).stdout for n in guests.PROGRAMS}
            self.steady = [stack.enter_context(guests.KINDS[kind](self, n)) for kind in STEADY for n in self.names[kind]]
            self.until(lambda: "all steady guests to work", self.all_work)
            self.at_first, self.begun = self.gpu_time(), time.monotonic()
            while self.goes_on():
                self.period()
            self.judge()

    def all_work(self):
        vgpus = self.env.tree()["vgpu"]
        return all(int(vgpus[n]["sessions"]) and (kind == "rest" or int(vgpus[n]["launches"]))
                   for kind in STEADY for n in self.names[kind])

    def goes_on(self):
        """What is shared evenly becomes ever more even with time; on a busy machine that takes longer."""
        gone = time.monotonic() - self.begun
        return gone < self.args.seconds or gone < 4 * self.args.seconds and self.fair() < JAIN

    def period(self):
        self.periods += 1
        seconds = max(self.args.seconds / 15, min(self.args.seconds / 6, 15))
        self.churn(seconds / 2)
        if self.periods % 3 == 2:
            self.restart()
        self.churn(seconds / 2)
        self.rest()

    def judge(self):
        self.jain = self.fair()
        if self.jain < JAIN:
            raise Wrong(f"Jain's index of busy guests is {self.jain:.4f}")
        for s in self.steady:
            self.total["right"] += s.finish()
        self.steady = []
        self.remember()
        if silent := [n for n in self.names["owned"] if n.removeprefix("try-") not in self.said and self.total["owned"] > 300]:
            raise Wrong(f"these owned workers did nothing: {', '.join(silent)}")
        if re.search(r"(?m)^pvgpud: forged", self.env.log()):
            raise Wrong("a worker has written a line of pvgpud's log")

    def rows(self):
        first, last, n = self.before[0], self.last, self.total
        yield "vgpus", sum(STEADY.values()) + sum(PASSING.values()), "", None, f"{sum(STEADY.values())} with a session all the time"
        yield "sessions_at_once", n["sessions at once"], "", None, "most that were seen"
        yield "came_and_went", sum(n[k] for k in PASSING), "guests", None, ", ".join(f"{n[k]} {k}" for k in PASSING)
        yield "honest_results_right", n["right"], "", "all", None
        yield "pvgpud_restarts", n["restarts"], "", None, "killed or handing over"
        yield "jain_of_honest", self.jain, "", f">= {JAIN}", f"{STEADY['busy']} guests that keep the GPU busy"
        yield "pvgpud_memory_kib", last.pvgpud, "KiB", None, f"{first.pvgpud} at the first rest"
        yield "pvgpud_files", last.counts["files"], "", "as at the first rest", f"{first.counts['files']} before sessions were adopted"
        yield "processes", sum(last.counts["processes"].values()), "", "as at the first rest", None


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--build", default=build_dir())
    ap.add_argument("--seconds", type=float, default=1800)
    ap.add_argument("--rate", type=float, default=6, help="guests that come in a second (default %(default)s)")
    ap.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(3), "little"))
    ap.add_argument("--json", metavar="FILE", help="write the figures to FILE, for make results")
    args = ap.parse_args()
    args.build = os.path.abspath(args.build)
    print(f"seed {args.seed}", flush=True)
    soak = Soak(args)
    soak.run()
    rows = [dict(zip(("name", "value", "unit", "target", "reference"), r)) for r in soak.rows()]
    for r in rows:
        print(f"{r['name']:24} {r['value']:>12,.6g} {r['unit'] or '':6} {r['reference'] or ''}")
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps({"rows": rows}, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
