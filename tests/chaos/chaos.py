#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Random programs, and random faults while they run, on the local link and the simulated GPU; a seed decides all of it but the moments.

A round starts guests that check every value (chaos-client, programs of tests/programs), does a few faults to pvgpud, workers, guests and
files (--list), and waits until all have ended. Each guest must have printed what it should, or an error that what was done to it permits,
at most 30 s after its session's end. Then everything must be as before the round: processes, sessions, memory, cgroups, files, sockets,
settings as pvgpuctl shows them, nothing busy, nothing grown; and a new program must be right. After some rounds pvgpud must end and
leave nothing behind, and the next one gets other settings.
"""
import argparse
import contextlib
import heapq
import json
import os
import pathlib
import random
import shlex
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "integration")]
from faults import FAULTS  # noqa: E402
from guests import GUESTS, REFUSED, Random  # noqa: E402
from invariants import Invariants  # noqa: E402
from pvgpu_env import build_dir  # noqa: E402
from world import Wrong, World, enter_mounts, own_file_systems  # noqa: E402

# Faults after which a second pvgpud would be the next one.
RESTARTS = ("kill", "hand-over", "terminate", "early signal", "junk in usage", "delete workers", "section")
ROWS = os.path.join(HERE, "rows.txt")
OPEN = " open: "  # begins the cause of a row that is not mended
ROUNDS_OF_A_WORLD = 25
SETTLES_BY = 180        # seconds for faults to be undone and pvgpud to answer
WAITS_FOR_PVGPUD = 4    # seconds; a program that opens a session waits 5 s for an absent pvgpud


class Round:
    """One round: what faults.py calls d."""

    def __init__(self, driver, world, number):
        self.world, self.args, self.number = world, driver.args, number
        self.rng = random.Random(f"{driver.args.seed}/{number}")
        self.guests, self.due, self.count = [], [], 0
        self.lasting = []          # (error, why, vGPU or None): permitted as long as it lasts
        self.until_restart = {}    # error -> why
        self.must_restart = False
        self.done, self.seen = [], 0

    # for faults

    def later(self, seconds, act):
        self.count += 1
        heapq.heappush(self.due, (time.monotonic() + seconds, self.count, act))

    def some_vgpu(self):
        return self.rng.choice(sorted(self.world.vgpus))

    def permit_all(self, error, why):
        for g in self.guests:
            g.permit(error, why)

    def permit_opening(self, error, why):
        for g in self.guests:
            if not g.is_ready():
                g.permit(error, why)

    def while_it_lasts(self, error, why, vgpu=None):
        self.lasting.append((error, why, vgpu))
        self.permit_lasting()

    def over(self, why, vgpu=None):
        self.lasting = [x for x in self.lasting if x[1:] != (why, vgpu)]

    def permit_lasting(self):
        for g in self.guests:
            for error, why, vgpu in self.lasting:
                if vgpu in (None, g.vgpu):
                    g.permit(error, why)
            for error, why in self.until_restart.items():
                g.permit(error, why)

    def restarts_soon(self):
        return any(name in RESTARTS for _, name in self.plan)

    def sessions(self):
        """(vGPU, number, guest or None, worker's process) of each, as pvgpud says."""
        guests = {g.p.pid: g for g in self.guests}
        try:
            tree = self.world.tree()["vgpu"]
        except (OSError, ValueError):
            return []
        return [(name, n, guests.get(int(s["guest-pid"])), int(s["pid"])) for name, v in sorted(tree.items()) for n, s in sorted(v["session"].items())
                if int(s["pid"]) > 0]

    # the round

    def run(self):
        self.plan = self.make_plan()
        begun = time.monotonic()
        for at, what in self.plan:
            while time.monotonic() - begun < at:
                self.tick()
            self.begin(what)
            self.tick()
        self.settle()
        for g in self.guests:
            if hasattr(g, "finish"):
                g.finish()
        while self.guests:
            self.tick()
        self.again()

    def make_plan(self):
        """(second, what) in order: what is a class of guests or a fault's name."""
        only, without = self.args.only, self.args.without
        kinds = [k for k in GUESTS if k in only] or [k for k in GUESTS if k not in without]
        names = [n for n, (_, _, needs) in FAULTS.items() if (not only or n in only) and n not in without and self.possible(needs)]
        length = self.rng.uniform(0.2, 2)
        guests = self.rng.choices(kinds, [GUESTS[k][1] for k in kinds], k=self.rng.randint(2, 7))
        faults = self.rng.choices(names, [FAULTS[n][1] for n in names], k=self.rng.randint(1, 6)) if names else []
        plan = [(self.rng.random() * length * 0.7, GUESTS[k][0]) for k in guests] + [(self.rng.random() * length, n) for n in faults]
        if "park" in names and self.rng.random() < 0.6:
            plan.append((0, "park"))  # it lasts until pvgpud is started again
        return sorted(plan, key=lambda p: p[0])

    def possible(self, needs):
        return self.world.small or needs != "mounts"

    def begin(self, what):
        if isinstance(what, str):
            act, _, needs = FAULTS[what]
            if needs == "up" and not self.world.answers():
                return
            self.done.append(what)
            with contextlib.suppress(ConnectionError, FileNotFoundError):
                act(self)
        else:
            self.guests.append(what(self.world, self.some_vgpu(), self.rng))
            self.done.append(self.guests[-1].name.split(" ")[0])
            self.permit_lasting()

    def tick(self):
        self.world.tick()
        now = time.monotonic()
        while self.due and self.due[0][0] <= now:
            heapq.heappop(self.due)[2]()
        self.guests = [g for g in self.guests if not self.ended(g)]
        if self.world.answers() and self.world.gone_since:
            self.world.gone_since = None
            self.until_restart.clear()
        if self.world.gone_since and time.monotonic() - self.world.gone_since > WAITS_FOR_PVGPUD:
            self.permit_all(REFUSED, f"pvgpud was away for more than {WAITS_FOR_PVGPUD} s")

    @staticmethod
    def ended(guest):
        if not guest.step():
            return False
        guest.close()
        return True

    def settle(self):
        """Until all that was begun is over, and pvgpud answers."""
        self.calm()
        if self.must_restart:
            self.must_restart = False
            FAULTS["kill"][0](self)
            self.calm()

    def calm(self):
        end = time.monotonic() + SETTLES_BY
        while self.due or not self.world.answers():
            self.tick()
            if time.monotonic() > end:
                raise Wrong(f"not over after {SETTLES_BY} s: {[act for _, _, act in self.due]}, pvgpud {'answers' if self.world.ready else 'does not answer'}")

    def again(self):
        """A new program is right."""
        self.settle()
        g = Random(self.world, self.some_vgpu(), self.rng, 5)
        self.guests.append(g)
        while self.guests:
            self.tick()

    def close(self):
        for g in self.guests:
            g.close()


class Driver:
    def __init__(self, args):
        self.args = args
        self.wrong, self.rounds, self.counts, self.moves = [], 0, {}, [0, 0, 0]
        self.world = self.invariants = None

    def say(self, text):
        print(text, flush=True)

    def open_world(self, number):
        rng = random.Random(f"{self.args.seed}/world/{number}")
        self.world = World(rng, self.args.build, "park" not in self.args.without)
        try:
            self.world.open()
            self.invariants = Invariants(self.world)
            self.invariants.check()
        except BaseException:
            self.show()
            self.close_world(False)
            raise
        self.say(f"world {number}: {self.world.describe()}")

    def close_world(self, clean):
        world, self.world = self.world, None
        if world:
            self.moves = [a + b for a, b in zip(self.moves, world.moves())]
            world.close(clean)

    def show(self):
        log = self.world.log().splitlines()
        print("--- pvgpud's log, its last lines\n" + "\n".join(log[-60:]) + "\n---", file=sys.stderr, flush=True)

    def goes_on(self):
        a = self.args
        return (a.rounds is None or self.rounds < a.rounds) and (a.seconds is None or time.monotonic() - self.begun < a.seconds)

    def run(self):
        self.begun = time.monotonic()
        number = self.args.first
        try:
            while self.goes_on() and len(self.wrong) < self.args.most_wrong:
                self.one(number)
                number += 1
                if self.world and (number % ROUNDS_OF_A_WORLD == 0 or not self.goes_on()):
                    self.judged(number - 1, "the end of pvgpud", lambda: self.close_world(True))
        finally:
            self.close_world(False)

    def one(self, number):
        if not self.world:
            self.open_world(number // ROUNDS_OF_A_WORLD)
        r = Round(self, self.world, number)

        def all_of_it():
            r.run()
            self.invariants.check()
        self.judged(number, r, all_of_it)
        r.close()
        self.rounds += 1
        for what in r.done:
            self.counts[what] = self.counts.get(what, 0) + 1
        if not self.args.quiet:
            self.say(f"{time.monotonic() - self.begun:6.1f} s  round {number}: {', '.join(r.done)}")

    def judged(self, number, what, act):
        try:
            act()
        except (AssertionError, TimeoutError, OSError, KeyError) as e:
            kind = "" if isinstance(e, AssertionError) else f"{type(e).__name__}: "
            done = ", ".join(what.done) if isinstance(what, Round) else what
            self.wrong.append({"round": number, "what": f"{kind}{e}", "done": done})
            self.say(f"FAIL seed-{self.args.seed}-round-{number}: {kind}{e}\n     done: {done}")
            if self.world:
                self.show()
            self.close_world(False)

    def report(self):
        seconds = time.monotonic() - self.begun
        guests = sum(self.counts.get(n, 0) for n in self.counts if n not in FAULTS)
        faults = sum(self.counts.get(n, 0) for n in FAULTS)
        self.say(f"seed {self.args.seed}: {self.rounds} rounds in {seconds:.0f} s, {guests} guests, {faults} faults, {len(self.wrong)} wrong")
        parked, back, refused = self.moves
        self.say(f"memory was parked {parked} times, came back {back} times, was refused {refused} times on a full GPU")
        return {"seed": self.args.seed, "rounds": self.rounds, "seconds": round(seconds, 1), "guests": guests, "faults": faults,
                "parked": parked, "back": back, "refused": refused,
                "counts": dict(sorted(self.counts.items())), "wrong": self.wrong}


def rows():
    """The arguments and the cause of each row of rows.txt, and whether that is still to be mended."""
    for line in pathlib.Path(ROWS).read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            words, _, cause = line.partition("|")
            yield shlex.split(words), cause.strip(), cause.startswith(OPEN)


def show_list():
    print("guests:", ", ".join(GUESTS))
    print("faults:", ", ".join(FAULTS))
    print("rows:")
    for words, cause, _ in rows():
        print(f"  {shlex.join(words):40} {cause}")


def parser():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--build", default=build_dir(), metavar="DIR")
    ap.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(3), "little"), help="which guests, faults and settings (default: a new one)")
    ap.add_argument("--rounds", type=int, metavar="N", help="how many")
    ap.add_argument("--seconds", type=float, metavar="S", help="no round begins after so many seconds (default 60 where no --rounds are given)")
    ap.add_argument("--first", type=int, default=0, metavar="N", help="the first round's number, to repeat a part of a run")
    ap.add_argument("--only", action="append", default=[], metavar="KIND", help="only these guests or faults; may be given several times")
    ap.add_argument("--without", action="append", default=[], metavar="KIND", help="none of these guests or faults; without park no memory moves at all")
    ap.add_argument("--rows", action="store_true", help="before the run, the rows of rows.txt: seeds that have failed, with their causes")
    ap.add_argument("--open", action="store_true", help="with --rows: those whose cause is not mended, too")
    ap.add_argument("--most-wrong", type=int, default=5, metavar="N", help="end after so many violations (default %(default)s)")
    ap.add_argument("--quiet", action="store_true", help="no line for each round")
    ap.add_argument("--json", metavar="FILE", help="what was done and found")
    ap.add_argument("--list", action="store_true", help="guests, faults and rows; nothing is run")
    return ap


def complete(ap, words):
    args = ap.parse_args(words)
    if args.rounds is None and args.seconds is None:
        args.seconds = 60
    if unknown := [k for k in args.only + args.without if k not in GUESTS and k not in FAULTS]:
        ap.error(f"{unknown[0]}: no kind of guest or fault; --list shows them")
    args.build = os.path.abspath(args.build)
    return args


def main():
    ap = parser()
    args = complete(ap, sys.argv[1:])
    if args.list:
        show_list()
        return 0
    enter_mounts()
    print(f"seed {args.seed}" + ("" if own_file_systems() else "; no file systems can be mounted here: faults that need one are left out"), flush=True)
    reports = []
    for words in [w for w, _, still in rows() if args.open or not still] * args.rows + [None]:
        # What was given last counts: a row's arguments stand before the build's.
        driver = Driver(args if words is None else complete(ap, [*words, "--build", args.build] + ["--quiet"] * args.quiet))
        driver.run()
        reports.append(driver.report())
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps({"runs": reports}, indent=1), encoding="utf-8")
    return 1 if any(r["wrong"] for r in reports) else 0


if __name__ == "__main__":
    sys.exit(main())
