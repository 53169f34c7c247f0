# SPDX-License-Identifier: MIT
"""What must hold when all guests of a round have ended and pvgpud answers, judged from outside: /proc, files, the simulated GPU's own
account. Each is waited for, since a busy machine is slow, and judged by its condition."""
import contextlib
import os
import pathlib
import re
import subprocess
import time

from pvgpu_env import cgroups, files_of, state_of
from world import Wrong

REST_BY = 90             # seconds for all to be gone
PVGPUD_GROWS = 1536      # KiB of its own memory between two rests of one life: the allocator's pages
MUCH_US = 86400 * 10**6  # of GPU time
SPIN, SPIN_LOOKS = 0.7, 6
# What pvgpud says of a worker that cheats; here all are honest.
CHEATS = re.compile(r".*killed: (?:used the GPU for|issued GPU work with|has \d+ MiB of device memory|\d+ ms on the GPU).*")
BROKEN = re.compile(r".*(?:Sanitizer|runtime error:|[Aa]ssertion|forged).*")


def own_memory(pid):
    """KiB"""
    return int(re.search(r"^RssAnon:\s*(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii"), re.M)[1])


def on_the_gpu(world):
    """Process number -> MiB, by the simulated GPU's own account."""
    r = subprocess.run([os.path.join(world.build, "tests", "simcuda-top"), world.gpu_file], capture_output=True, text=True, timeout=120, check=False)
    return {int(f[0]): float(f[2]) for f in (line.split() for line in r.stdout.splitlines()[2:])}


def names(folder):
    """Files below; the names of sockets of workers without their numbers."""
    return sorted(re.sub(r"\d+@", "N@", os.path.relpath(os.path.join(d, f), folder)) for d, _, files in os.walk(folder) for f in files)


class Rest:
    """What there is at one moment, in words: {what: value}."""

    def __init__(self, world):
        processes = world.processes()
        spare = world.conf["spare_workers"]
        tree = world.tree()
        gpu = on_the_gpu(world)
        self.facts = {
            "processes": {n: len(p) for n, p in sorted(processes.items())},
            "spare workers, as pvgpud counts": int(tree["daemon"]["spare-workers"]),
            "sessions": {n: v["sessions"] for n, v in tree["vgpu"].items() if v["sessions"] != "0" or v["session"]},
            "memory in use": {n: v["memory-used"] for n, v in tree["vgpu"].items() if v["memory-used"] != "0"},
            "memory that is parked": {n: v["memory-parked"] for n, v in tree["vgpu"].items() if v["memory-parked"] != "0"},
            "processes on the GPU that are no spare worker": sorted(set(gpu) - set(processes.get("pvgpu-worker", []))),
            "memory of the GPU": sum(gpu.values()),
            "files in the run directory": names(world.run_dir),
            "cgroups": len(cgroups(world.mark)),
            "shared memory": world.shared_memory(),
            "stopped processes": [p for group in processes.values() for p in group if state_of(p) == "T"],
            "pvgpud's files": sorted(re.sub(r"\d+", "N", f) for f in files_of(world.pid)),
        }
        self.wanted = {
            "processes": {"pvgpu-health": 1, **({"pvgpu-worker": spare} if spare else {}), "pvgpud": 1},
            "spare workers, as pvgpud counts": spare, "sessions": {}, "memory in use": {}, "memory that is parked": {},
            "processes on the GPU that are no spare worker": [], "memory of the GPU": 0, "stopped processes": [],
        }
        self.memory = own_memory(world.pid)

    def wrong(self, earlier):
        """What is not as wanted, or not as at an earlier rest with as many spare workers."""
        wanted = {**(earlier.facts if earlier else {}), **self.wanted}
        return [f"{what}: {self.facts[what]}, not {v}" for what, v in wanted.items() if self.facts[what] != v]


class Invariants:
    def __init__(self, world):
        self.world = world
        self.rests = {}      # spare workers -> the first rest with so many
        self.memory = {}     # pvgpud's process -> KiB at its first rest

    def check(self):
        """All of them; a Wrong names the one that does not hold."""
        now = self.back_to_rest()
        if now.memory - self.memory.setdefault(self.world.pid, now.memory) > PVGPUD_GROWS:
            raise Wrong(f"pvgpud's memory grew from {self.memory[self.world.pid]} to {now.memory} KiB")
        self.tools()
        self.spin()
        self.log()

    def back_to_rest(self):
        world, last = self.world, [None, ["pvgpud does not answer"]]

        def rested():
            last[0] = Rest(world)
            last[1] = last[0].wrong(self.rests.get(world.conf["spare_workers"]))
            return not last[1]
        world.until(lambda: "; ".join(last[1]), rested, REST_BY)
        self.rests.setdefault(world.conf["spare_workers"], last[0])
        return last[0]

    def tools(self):
        """list says what was set and is so; doctor finds nothing bad."""
        world, why = self.world, []

        def true():
            why[:] = []
            for name, keys in world.json("tree", "/vgpu")["tree"].items():
                want = {"sessions": "0", "memory-used": "0", "drain": "0", "quarantined": "0", **world.shown[name]}
                why.extend(f"list shows {name}'s {k} as {keys[k]}, not {v}" for k, v in want.items() if keys[k] != v)
                why.extend([f"list shows {keys['gpu-time']} us of GPU time of {name}"] if int(keys["gpu-time"]) > MUCH_US else [])
                why.extend([f"list shows {name}, whose socket is not there"] if not os.path.exists(keys["socket"]) else [])
            why.extend(f"doctor: {r['what']}: {r['verdict']}: {r['finding']}" for r in world.json("doctor")["findings"] if r["verdict"] not in ("ok", "skip", "WARN"))
            table = world.ctl("list")[1].splitlines()
            why.extend(f"list prints {line!r}" for line in table[1:] if line.split() and line.split()[-1] != "open")
            return not why
        world.until(lambda: "; ".join(why) or "an answer of the tools", true, REST_BY)

    def spin(self):
        """A process that is busy at rest, or waits for a processor all the time, which is the same on a busy machine."""
        busy = {}
        for _ in range(SPIN_LOOKS):
            before, begun = self.times(), time.monotonic()
            time.sleep(0.2)
            passed = time.monotonic() - begun
            busy = {p: round((t - before[p]) / passed, 2) for p, t in self.times().items() if p in before and (t - before[p]) / passed > SPIN}
            if not busy:
                return
        raise Wrong(f"at rest, these are busy all the time (pid: share of it): {busy}; {self.world.processes()}")

    def times(self):
        """Process number -> seconds on a processor and waiting for one, of the thread that has the most."""
        found = {}
        for pid in (p for group in self.world.processes().values() for p in group):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                for path in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat"):
                    run, wait, _ = path.read_text(encoding="ascii").split()
                    found[path.parent.name] = (int(run) + int(wait)) / 1e9
        return found

    def log(self):
        text = self.world.new_log()
        for pattern, what in ((CHEATS, "an honest worker was ended"), (BROKEN, "pvgpud's log")):
            if found := pattern.search(text):
                raise Wrong(f"{what}: {found[0]}")
