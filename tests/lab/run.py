#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Run scenarios on real Xen in an emulated machine; see docs/lab.md.

    run.py [--build DIR] [SCENARIO...]      these, or all
    run.py [--build DIR] --shell [--guest KIND]

Prints 'ok NAME SECONDS' or 'FAIL NAME SECONDS reason' for each and closes with 'N passed, N failed'. All logs are in
BUILD/lab/NAME.
"""
import argparse
import difflib
import importlib.util
import os
import pathlib
import re
import shutil
import sys
import threading
import time
import traceback

import images
import machine
import shell
import world as worlds
from channel import LabError

HERE = pathlib.Path(__file__).resolve().parent
SCENARIO_LIMIT = 300
WORLD_LIMIT = 300
RESERVED = {"cache", "root", "root-hvm", "images"}


class Log:
    """A scenario's folder."""

    def __init__(self, folder):
        self.folder = folder
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)

    def __call__(self, text):
        with open(self.folder / "log", "a") as f:
            f.write(text + "\n")

    def save(self, name, text):
        path = self.folder / name
        number = 1
        while path.exists():
            number += 1
            path = self.folder / f"{name}.{number}"
        path.write_text(text)


class Scenario:
    def __init__(self, path, quick=False):
        self.name = path.stem
        spec = importlib.util.spec_from_file_location(f"scenario_{self.name}", path)
        self.module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self.module)
        if quick:
            vars(self.module).update(getattr(self.module, "QUICK", {}))
        self.boot = getattr(self.module, "BOOT", machine.Boot())
        self.limit = getattr(self.module, "LIMIT", SCENARIO_LIMIT)
        self.world = getattr(self.module, "WORLD", None)
        self.long = getattr(self.module, "LONG", False)
        self.needs = (self.boot, self.world)


def scenarios(names, quick=False):
    found = {p.stem.replace("_", "-"): p for p in sorted((HERE / "scenarios").glob("*.py"))}
    if unknown := set(names) - set(found):
        sys.exit(f"lab: no such scenario: {', '.join(sorted(unknown))}; there are {', '.join(found)}")
    if taken := RESERVED & set(found):
        sys.exit(f"lab: a scenario cannot be called {', '.join(taken)}")
    out = []
    for name in names or found:
        s = Scenario(found[name], quick)
        s.name = name
        if names or not (quick and s.long):
            out.append(s)
    # Scenarios that can share a machine run one after the other, and among them those that share a world.
    needs = list(dict.fromkeys(s.needs for s in out))
    boots = [boot for boot, _ in needs]
    return sorted(out, key=lambda s: (boots.index(s.boot), needs.index(s.needs)))


# libxl makes this directory with the first HVM guest, and never removes it.
LIBXL_KEEPS = re.compile(r'/local/domain/0/device-model = "" ')


class State:
    """A machine's state, which a scenario must not change."""

    def __init__(self, m):
        moving = worlds.MOVING if m.world else None
        self.store = [line for line in m.store.tree() if not LIBXL_KEEPS.match(line) and not (moving and moving.search(line))]
        self.domains = [f"{name} {number}" for name, number in m.domains().items()]
        self.processes = m.processes()
        self.channels = sorted(m.channels(0).values())
        self.world = m.world.seen() if m.world else []

    def compare(self, other):
        """Lines that describe the differences."""
        out = []
        for what in ("store", "domains", "processes", "channels", "world"):
            before, after = getattr(self, what), getattr(other, what)
            if before != after:
                out += [f"{what}: {d}" for d in difflib.ndiff(before, after) if d[0] in "+-"]
        return out


def left_behind(m, clean):
    """Wait until the machine's state is as before; returns remaining differences."""
    m.destroy_all(but=m.world.guests if m.world else ())
    if m.world:
        m.world.settle()
    seen = []

    def same():
        seen[:] = clean.compare(State(m))
        return not seen
    try:
        m.wait("a clean machine", same, 20)
    except LabError:
        if not seen:
            raise
    return seen


class Runner:
    def __init__(self, build, folder):
        self.lab = pathlib.Path(build).resolve() / "lab"
        self.images = folder
        self.machine = None
        self.console = 0         # bytes of its console that are in logs
        self.clean = None        # the machine's state without a world
        self.made = None         # its state with the present world

    def ready(self, scenario, log):
        """A machine for the scenario, with the scenario's world; the running one if it meets the requirements."""
        m = self.machine
        if m and m.alive() and m.boot == scenario.boot:
            m.log = log
            log(f"on the machine that has been running for {m.clock.now():.0f} s")
        else:
            if m and m.alive():
                self.end_world()
            m = self.boot(scenario, log)
        if type(m.world) is not (scenario.world or type(None)):
            self.end_world()
            self.make_world(scenario)
        return m

    def boot(self, scenario, log):
        self.stop()
        if scenario.boot.disk and not (self.lab / scenario.boot.disk).is_file():
            raise LabError(f"there is no {self.lab / scenario.boot.disk}: make lab-others makes it")
        self.machine = m = machine.Machine(self.images, scenario.boot, log)
        log("$ " + " ".join(f"'{w}'" if " " in w else w for w in scenario.boot.command("COM1", "LAB", "LINK")))
        self.console = 0
        m.start()
        self.clean = State(m)
        return m

    def make_world(self, scenario):
        m = self.machine
        m.clock.allow(WORLD_LIMIT)
        if scenario.world:
            m.say(f"making {scenario.world.__name__}")
            m.world = scenario.world(m)
            m.world.make()
            m.world.settle()
            self.made = State(m)

    def end_world(self):
        """End the world; raises an error when anything of it is left."""
        m = self.machine
        if m.world is None:
            return
        m.clock.allow(WORLD_LIMIT)
        m.say(f"ending {type(m.world).__name__}")
        m.world.close()
        m.world = None
        if left := left_behind(m, self.clean):
            raise LabError("left behind when the world ended: " + "; ".join(left))

    def finish(self, scenario):
        """After a scenario that has passed: what it has left behind."""
        m = self.machine
        m.clock.allow(120)
        left = left_behind(m, self.made if m.world else self.clean)
        for keeper in [*m.guests.values(), *m.keepers]:
            keeper.keep_logs()
            keeper.allowed = None
        if left:
            return "left behind: " + "; ".join(left)
        return "; ".join(m.complaints) or None

    def stop(self):
        """Power the machine off, if there is one; did it end by itself?"""
        m, self.machine = self.machine, None
        if not m:
            return True
        done = m.stop()
        m.log.save("console", bytes(m.console[self.console:]).decode(errors="replace"))
        return done

    def run(self, scenario):
        """Run a scenario: None, or why it failed; then the machine is ended."""
        log = Log(self.lab / "-".join(filter(None, (scenario.name, os.environ.get("LAB_GUEST_KERNEL")))))
        reason = None
        try:
            m = self.ready(scenario, log)
            begun = m.processor_time()
            m.clock.allow(scenario.limit)
            if m.world:
                scenario.module.run(m, m.world)
            else:
                scenario.module.run(m)
            reason = self.finish(scenario)
            log(f"{m.processor_time() - begun:.0f} s of processor, {m.processor_time():.0f} s since the machine was started")
            log.save("console", bytes(m.console[self.console:]).decode(errors="replace"))
            self.console = len(m.console)
        except Exception as e:  # any error fails this scenario only
            reason = self.why(e, log)
        if reason:
            self.fail(reason, log)
        return reason

    def retire(self):
        """End a machine that is not needed any more: None, or the error."""
        m = self.machine
        if not m:
            return None
        try:
            self.end_world()
            return None if self.stop() else "the machine did not power off"
        except Exception as e:
            reason = self.why(e, m.log)
            self.fail(reason, m.log)
            return reason

    @staticmethod
    def why(error, log):
        log(traceback.format_exc())
        if not isinstance(error, (LabError, AssertionError)):
            return f"{type(error).__name__}: {error}"
        return str(error) or traceback.format_exc().splitlines()[-3].strip()

    def fail(self, reason, log):
        log(f"FAIL {reason}")
        if self.machine:
            self.machine.log = log
        self.collect()
        self.stop()

    def collect(self):
        """After a failure: save the machine's logs as far as possible."""
        m = self.machine
        if not m or not m.alive():
            return
        m.clock.allow(60)
        try:
            m.log.save("xenstore", "\n".join(m.store.tree()))
            m.log.save("dom0.dmesg", m.dom0.run("dmesg", quiet=True).out)
            m.log.save("xen.dmesg", m.dom0.run("xl dmesg", quiet=True).out)
            for k in m.keepers:
                k.keep_logs()
            for g in list(m.guests.values()):
                g.destroy()
        except LabError as e:
            m.say(f"cannot collect more: {e}")


def log_end(folder, lines=40):
    """The last lines of a failed scenario's log."""
    try:
        return (folder / "log").read_text(errors="replace").splitlines()[-lines:]
    except OSError:
        return []


class Queue:
    """Scenarios that are still to be run by several runners, and their results."""

    def __init__(self, todo, alone):
        self.todo, self.alone = list(todo), alone
        self.lock = threading.Lock()
        self.passed = self.failed = 0
        self.at = {}                 # runner -> requirements of its latest scenario

    def next(self, runner):
        """The scenario that is cheapest for this runner, in this order: its machine and world fit; its machine fits; no
        other runner has a machine of that kind; any."""
        with self.lock:
            mine, others = self.at.get(runner), [n for r, n in self.at.items() if r is not runner]

            def cost(s):
                return (s.needs != mine, not mine or s.boot != mine[0], s.needs in others)
            if not self.todo:
                return None
            best = min(self.todo, key=cost)
            self.todo.remove(best)
            self.at[runner] = best.needs
            return best

    def tell(self, name, seconds, reason, folder):
        with self.lock:
            print(f"{'FAIL' if reason else 'ok':4} {name:20} {seconds:4.0f} s" + (f"  {reason}" if reason else ""), flush=True)
            if reason:
                print("".join(f"     {line}\n" for line in log_end(folder)) + f"     see {folder}", flush=True)
            self.passed, self.failed = self.passed + (not reason), self.failed + bool(reason)

    def work(self, runner):
        name = None
        try:
            while s := self.next(runner):
                begun, name = time.monotonic(), s.name
                reason = runner.run(s)
                if self.alone and not reason:
                    reason = runner.retire()
                self.tell(name, time.monotonic() - begun, reason, runner.lab / name)
            begun = time.monotonic()
            if reason := runner.retire():
                self.tell(f"end of {name}", time.monotonic() - begun, reason, runner.lab / name)
        finally:
            runner.stop()


def jobs_here():
    """Number of concurrent machines: the emulator uses one CPU, and 5 GiB including the machine's memory."""
    text = pathlib.Path("/proc/meminfo").read_text()
    gib = int(re.search(r"MemAvailable: +(\d+)", text)[1]) / 2**20
    return max(1, min(2, os.cpu_count() or 1, int(gib / 5)))


def run_all(build, args):
    todo = scenarios(args.scenario, args.quick)
    folder = images.build_images(build, service=any(s.boot.service for s in todo), hvm=any(s.boot.hvm for s in todo))
    queue = Queue(todo, args.alone)
    jobs = min(args.jobs or jobs_here(), len(queue.todo))
    workers = [threading.Thread(target=queue.work, args=(Runner(build, folder),), daemon=True) for _ in range(jobs)]
    for t in workers:
        t.start()
    for t in workers:
        t.join()
    print(f"{queue.passed} passed, {queue.failed} failed")
    return 1 if queue.failed else 0


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--build", default="build", help="the build folder (default %(default)s)")
    ap.add_argument("--shell", action="store_true", help="a shell instead of scenarios")
    ap.add_argument("--guest", choices=("pv", "pvh", "hvm"), help="the shell is in a new guest")
    ap.add_argument("--jobs", type=int, default=0, help="machines at once (default: what this one can carry)")
    ap.add_argument("--alone", action="store_true", help="each scenario on a machine of its own")
    ap.add_argument("--quick", action="store_true", help="without those that another scenario covers in less time, and less of some of the others (their QUICK)")
    ap.add_argument("scenario", nargs="*")
    args = ap.parse_args()
    if reason := machine.available():
        sys.exit(f"lab: {reason}")
    if args.shell:
        boot = machine.Boot(hvm=args.guest == "hvm")
        folder = images.build_images(args.build, hvm=boot.hvm)
        log = Log(pathlib.Path(args.build).resolve() / "lab" / "shell")
        with machine.Machine(folder, boot, log) as m:
            return shell.interact(m, args.guest)
    return run_all(args.build, args)


if __name__ == "__main__":
    sys.exit(main())
