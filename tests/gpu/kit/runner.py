# SPDX-License-Identifier: MIT
"""Run the kit's stages in the order of what decides most, each within its share of the time, and leave results that are whole
at any moment."""
import argparse
import importlib
import os
import shutil
import signal
import sys
import tempfile
import time

import host
import items as runs
import results
from mask import Mask
from stage import MARK, Context, Item, Overrides, Stage

# Name of each stage and its module, in the order in which they run.
STAGES = {"facts": "facts", "probe": "probe", "programs": "compare", "speed": "speed", "sharing": "sharing",
          "density": "density", "clients": "clients", "risky": "risky"}
BUDGET_S = 1200
PACK_EVERY_S = 55
LEAST_S = 1.0        # an item is not begun with less


class Unfit(Exception):
    """Nothing can run on this host, and why."""


def load(name):
    """A stage's module; where it is missing or broken, something that says so in the results."""
    try:
        module = importlib.import_module(STAGES[name])
        return module.STAGE, module.items
    except Exception as e:  # pylint: disable=broad-except
        why = f"kit/{STAGES[name]}.py cannot be loaded: {runs.one_line(e)}"
        return Stage(name, why, limit_s=10), lambda _: broken(why)


def broken(why):
    def fail(_):
        raise runs.stages.Failed(why)
    return [Item("stage", fail, limit_s=5)]


def show(text):
    """Print progress; the run continues when its reader is gone."""
    try:
        print(text, flush=True)
    except OSError:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")


class Run:
    def __init__(self, kit, args):
        self.kit, self.args = kit, args
        self.begin = time.monotonic()
        self.stop_signal = None
        self.shares = 0           # seconds of the stages so far
        self.unfinished = []      # stages that did not run to their end
        self.driver, self.driver_how = host.driver_folder(kit, args.driver)
        self.check()
        self.simulated = host.simulated(os.path.join(self.driver, "libcuda.so.1"))
        self.folder = tempfile.mkdtemp(prefix="pvgpu-kit-logs-")
        known = {kit: "<kit>", os.path.abspath(args.out): "<out>", self.folder: "<logs>"}
        if not self.driver.startswith("/usr/"):
            known[self.driver] = "<driver>"
        self.mask = Mask(known.items())
        self.progress = open(os.path.join(self.folder, "progress.log"), "a", encoding="utf-8")
        self.facts = {}
        self.logs = self.results = None

    # before anything runs

    def check(self):
        if self.args.driver and not self.driver:
            raise Unfit(f"no libcuda.so.1 in {self.args.driver}")
        if not self.driver:
            raise Unfit("no libcuda.so.1 found in LD_LIBRARY_PATH, the linker's cache and the usual places: name its folder with "
                        "--driver; in a container, let its runtime put the driver in (NVIDIA_DRIVER_CAPABILITIES=compute,utility)")
        libcuda = os.path.join(self.driver, "libcuda.so.1")
        if not os.path.exists("/dev/nvidiactl") and not host.simulated(libcuda):
            raise Unfit("no /dev/nvidiactl: this host has no NVIDIA GPU, its driver is not loaded, or the container was not given it "
                        "(--gpus all, or the device nodes)")
        why = host.can_run(os.path.join(self.kit, "bin", "pvgpuctl"))
        if why:
            raise Unfit(f"programs of the kit cannot be started here ({why}): put it on a file system that is not mounted noexec, with "
                        "the modes of its files kept")

    def open_results(self):
        out = self.args.out
        try:
            os.makedirs(out, exist_ok=True)
        except OSError as e:
            raise results.BadResults(f"{out}: {e.strerror}") from None
        done = [results.read(path) for path in self.args.done]
        here = results.file_of(out)
        if os.path.exists(here) and not any(os.path.samefile(here, results.file_of(p)) for p in self.args.done):
            raise results.BadResults(f"{out} holds results already: go on with them by --done {out}, or name another folder")
        version = manifest_version(self.kit)
        self.results = results.Results(out, version, self.identity(), self.mask, self.args.quick)
        for old in done:
            self.results.merge(old)
        self.logs = results.Logs(out, self.folder, self.mask)
        self.results.write()

    def identity(self):
        """Asked for in a process of its own: NVML can hang."""
        nvml = os.path.join(self.driver, "libnvidia-ml.so.1")
        item = Item("identity", lambda _: host.identity(self.driver, nvml if os.path.exists(nvml) else ""), limit_s=20)
        row = self.run_item("", Stage("identity", "", 20), item, 20)
        if row["status"] == "ok":
            return row["values"]
        found = host.identity(self.driver, "")
        return {**found, "nvml_why": row["why"]}

    # running

    def say(self, text):
        line = f"[{time.monotonic() - self.begin:6.1f} s] {text}"
        show(self.mask.text(line))
        self.progress.write(line + "\n")
        self.progress.flush()

    def tick(self):
        if self.logs and time.monotonic() - self.logs.packed > PACK_EVERY_S:
            self.logs.pack()

    def left(self):
        """Seconds for items: what ends one whose time is over, and what packs the logs, is within the budget, too."""
        return self.begin + self.args.budget * 0.99 - time.monotonic()

    def context(self, stage, item, limit_s, tell, scratch):
        return Context(self.kit, self.driver, quick=self.args.quick, risky=self.args.risky, facts=self.facts,
                       overrides=self.overrides(), tell=tell, scratch=scratch, logs=self.folder, label=f"{stage}-{item}-",
                       limit_s=limit_s)

    def overrides(self):
        """As the facts of this machine say."""
        found = self.facts.get("overrides", {})
        return Overrides(settings=found.get("settings", {}), daemon_preload=found.get("daemon_preload", ""),
                         why=found.get("why", {}))

    def run_item(self, name, stage, item, limit_s):
        log = os.path.join(self.folder, f"{name or 'kit'}-{item.name.replace('/', '_')}.log")
        gpu = f"/dev/shm/pvgpu-kit-{os.getpid()}"
        if self.simulated:
            # A GPU of its own for each item, which no other program of this machine uses.
            os.environ["SIMCUDA_GPU"] = gpu
        wanted = Item(item.name, item.function, limit_s, [*stage.needs, *item.needs])
        try:
            return runs.run(wanted, lambda tell, scratch: self.context(name, item.name.replace("/", "_"), limit_s, tell, scratch),
                            log, limit_s, say=lambda t: self.say(f"  {name}/{item.name}: {t}"), tick=self.tick,
                            stopping=lambda: self.stop_signal is not None)
        finally:
            if self.simulated and os.path.exists(gpu):
                os.unlink(gpu)

    def listed(self, name):
        """The stage and its items."""
        stage, items = load(name)
        try:
            return stage, list(items(self.context(name, "items", 10, None, self.folder)))
        except Exception as e:  # pylint: disable=broad-except
            return stage, broken(f"kit/{STAGES[name]}.py: its items cannot be listed: {runs.one_line(e)}")

    def run_stage(self, name):
        stage, todo = self.listed(name)
        # What earlier stages have left of their shares it may have, too.
        self.shares += stage.limit_s
        end = self.begin + self.shares
        self.say(f"{name}: {stage.what}")
        whole = True
        self.results.close_stage(name, False, what=stage.what)
        for item in todo:
            if self.results.done(name, item.name):
                self.say(f"  {name}/{item.name}: done before")
                continue
            limit = min(item.limit_s, end - time.monotonic(), self.left())
            if self.stop_signal or limit < LEAST_S:
                why = "the run was ended" if self.stop_signal else \
                    "the run's time was over" if self.left() < LEAST_S else "the stage's time was over"
                row = {"name": item.name, "status": "skipped", "seconds": 0, "values": {}, "why": why}
            else:
                row = self.run_item(name, stage, item, limit)
            for file, text in row.pop("files", {}).items():
                results.write_whole(os.path.join(self.args.out, file), self.mask.text(text).encode())
            whole = whole and row["status"] != "skipped"
            self.results.put(name, {"machine": 0, **row})
            self.results.close_stage(name, False)
            self.results.write()
            if row["status"] != "skipped":
                self.say(f"  {name}/{item.name}: {row['status']} in {row['seconds']:.1f} s"
                         + (f": {row['why']}" if row.get("why") else ""))
        self.results.close_stage(name, whole)
        self.results.write()
        self.logs.pack()
        if not whole:
            self.unfinished.append(name)
        if name == "facts":
            self.learn()

    def learn(self):
        """The facts of this machine, from this run or an earlier one; and what is set otherwise because of them."""
        known = self.results.data["stages"].get("facts", {"items": []})["items"]
        self.facts = {i["name"]: i["values"] for i in known if i["machine"] == 0}
        machine = self.results.data["machines"][0]
        why = self.facts.get("overrides", {}).get("why", {})
        for key in why if machine.get("overrides") != why else ():
            self.say(f"!!! OVERRIDE {key}: {why[key]}")
        machine["overrides"] = why
        self.results.write()

    def all(self):
        for name in self.args.stages:
            if name == "risky" and not self.args.risky:
                self.say("risky: left out without --risky")
            else:
                self.run_stage(name)

    # the end

    def stopped(self, number, _):
        self.stop_signal = number

    def summary(self):
        lines = [f"{'stage':10}{'item':24}{'status':10}{'seconds':>8}  "]
        count = dict.fromkeys((*results.DONE, *results.BAD, "skipped"), 0)
        for name, stage in self.results.data["stages"].items():
            for item in stage["items"]:
                if item["machine"] == 0:
                    count[item["status"]] += 1
                    lines.append(f"{name:10}{item['name']:24}{item['status']:10}{item.get('seconds', 0):8.1f}  {item.get('why', '')}")
        lines.append(", ".join(f"{n} {status}" for status, n in count.items() if n) + f"; {self.path_text()}")
        return self.mask.text("\n".join(lines)).replace("<out>", self.args.out)

    def path_text(self):
        return "results.json and logs.tar.gz lie in <out>"

    def close(self):
        text = self.summary()
        show("\n" + text)
        self.progress.write(text + "\n")
        self.progress.close()
        self.logs.pack()
        return 1 if self.unfinished or self.stop_signal else 0


def manifest_version(kit):
    text = host.text_of(os.path.join(kit, "MANIFEST")) or "kit unknown"
    return text.splitlines()[0].partition(" ")[2]


def parse(argv):
    ap = argparse.ArgumentParser(prog="run", description=__doc__, epilog="See README.md beside this program.")
    ap.add_argument("out", metavar="OUT", nargs="?", help="the folder for results.json and logs.tar.gz")
    ap.add_argument("stages", metavar="STAGE", nargs="*", help=f"only these, and facts: {' '.join(STAGES)}")
    ap.add_argument("--done", metavar="RESULTS", action="append", default=[],
                    help="a results.json, or its folder: what is ok or absent there is not run again; may be given several times")
    ap.add_argument("--risky", action="store_true", help="at the end, what can wedge a GPU")
    ap.add_argument("--quick", action="store_true", help="small sizes and few rounds: a rehearsal")
    ap.add_argument("--budget", metavar="SECONDS", type=float, default=BUDGET_S,
                    help="end in good order after so long (default %(default)s)")
    ap.add_argument("--driver", metavar="FOLDER", help="where libcuda.so.1 lies (default: looked for)")
    ap.add_argument("--list", action="store_true", help="name stages and items, and end")
    args = ap.parse_intermixed_args(argv)
    unknown = [s for s in args.stages if s not in STAGES]
    if unknown:
        ap.error(f"no stage {', '.join(unknown)}; there are {', '.join(STAGES)}")
    if not args.out and not args.list:
        ap.error("OUT is missing: the folder for the results")
    # Without facts nothing else is known to be right: what is not done of them comes first.
    args.stages = [s for s in STAGES if s in args.stages or not args.stages or s == "facts"]
    return args


def show_list(kit):
    for name in STAGES:
        stage, items = load(name)
        context = Context(kit, "/nonexistent", risky=True)
        print(f"{name}: {stage.what} (at most {stage.limit_s:.0f} s)")
        for item in items(context):
            print(f"    {item.name} ({item.limit_s:.0f} s)")
    return 0


def main(kit, argv=None):
    args = parse(sys.argv[1:] if argv is None else argv)
    if args.list:
        return show_list(kit)
    # What the caller set for other programs of pvgpu is not meant here.
    for name in [n for n in os.environ if n.startswith("PVGPU_")]:
        del os.environ[name]
    os.environ[MARK] = str(os.getpid())
    runs.adopt()
    run = None
    try:
        run = Run(kit, args)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, run.stopped)
        run.open_results()
        machine = run.results.data["machines"][0]
        run.say(f"kit {run.results.data['kit']}; {machine['gpu']}, driver {machine['driver']} ({run.driver_how}), sandbox runtime: "
                f"{machine['runtime']} ({machine['runtime_told_by']})")
        if os.geteuid() != 0:
            run.say("!!! not root: what needs it will fail")
        run.learn()
        run.all()
        return run.close()
    except (Unfit, results.BadResults) as e:
        print(f"gpu-kit: {e}", file=sys.stderr)
        return 2 if isinstance(e, results.BadResults) else 1
    finally:
        if run:
            shutil.rmtree(run.folder, ignore_errors=True)
