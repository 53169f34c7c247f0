# SPDX-License-Identifier: MIT
"""100 vGPUs of four guests on one PV driver domain, each with an active session at the same time, with pvgpud's default limits, which
are lower there than in a PVH domain: the work of each goes on, and one more session beside them computes right. What it takes is in the log."""
import re

import machine
import vgpu
import world
from channel import LabError
from scenarios import vgpu_many as many

BOOT = machine.Boot(memory=5120)
LIMIT = 2400
LONG = True
GUESTS, EACH = 4, 25
QUICK = {"BOOT": machine.Boot(), "GUESTS": 2, "EACH": 3}
# Kernels of 100 ms that sleep, ten a second of all sessions together, and a GPU that changes to another one at a kernel's end only: the
# emulator's processor is for starting workers.
PROGRAM = "occupy 1000000000 100000 1 1 100000"
GPU = {"SIMCUDA_MEMORY": "4G", "SIMCUDA_SLICE_US": "200000"}
START = 600


class Backend:
    """pvgpud in a driver domain, and its numbers of all vGPUs."""

    def __init__(self, lab):
        self.lab = lab
        self.domain = lab.create("gpu", "pv", memory=1280, payload=True)
        # An opening waits for programs and workers that start beside it.
        self.pvgpud = vgpu.Pvgpud(lab, self.domain, env=GPU, open_timeout_ms="600000", **world.CHEAP).start()

    def each(self):
        """The statistics of each vGPU, by their path, as pvgpud writes them into xenstore once a second. pvgpuctl waits ten seconds for the
        keys of so many, in which a slow emulator has none."""
        ls = f"xenstore-ls -f /local/domain/{self.domain.domid}/backend/pvgpu | grep '/statistics = '"
        out = self.lab.dom0.run(ls, check=False, quiet=True, limit=300).out
        return {path: {k: int(n) for k, n in re.findall(r"([\w-]+)=(\d+)", text)}
                for path, text in re.findall(r'^(\S+) = "([^"]*)"', out, re.M)}

    def active(self):
        """The number of vGPUs with a session that has launched kernels."""
        return sum(v["sessions"] == 1 and v["launches"] > 0 for v in self.each().values())

    def free(self):
        """MiB of its domain's memory that are available."""
        return int(self.domain.run("grep MemAvailable /proc/meminfo", quiet=True).out.split()[1]) >> 10

    def cost(self):
        """What the domain holds: (MiB available, files of pvgpud, grants, event channels). Guests say what they have granted: Xen's own list
        of so many does not fit its console."""
        files = self.domain.run(f"ls /proc/{self.pvgpud.pid}/fd | wc -l", quiet=True).out
        used = "cat /sys/module/pvgpu/parameters/grants_used"
        grants = sum(int(g.run(used, quiet=True).out) for g in self.lab.guests.values() if g is not self.domain)
        return self.free(), int(files), grants, len(self.lab.channels(self.domain.domid))

    def processor(self):
        """Seconds of processor time so far: of each domain, and of the programs in pvgpud's."""
        used = {}
        for row in self.lab.dom0.run("xl list", quiet=True).out.splitlines()[1:]:
            used[row.split()[0]] = float(row.split()[-1])
        stat = self.domain.run("cat /proc/[0-9]*/stat", check=False, quiet=True).out
        for name, *ticks in re.findall(r"^\d+ \((pvgpu[\w-]*)\) \S(?: \S+){10} (\d+) (\d+) ", stat, re.M):
            used[name] = used.get(name, 0) + sum(map(int, ticks)) / 100
        return ", ".join(f"{name} {s:.1f}" for name, s in used.items())

    def explain(self, guests):
        """What everything waits for, into the scenario's folder."""
        where = ("for p in /proc/[0-9]*; do [ -s $p/cmdline ] && echo $(tr '\\0' ' ' <$p/cmdline | cut -c1-60) $(cat $p/wchan; echo; "
                 "cut -d' ' -f3,14,15 $p/stat; cat $p/syscall); done; cat /proc/loadavg; head -3 /proc/meminfo; dmesg | tail -20")
        for g in [self.domain, *guests]:
            self.lab.log.save(f"{g.name}.where", g.run(where, check=False, quiet=True, limit=300).out)
        tree = f"{vgpu.CTL} --run-dir {vgpu.RUN_DIR} tree"
        self.lab.log.save("tree", self.domain.run(tree, check=False, quiet=True, limit=300).out)


def attach(lab, b, guests):
    many.attach_all(lab, {g: EACH for g in guests}, b.domain)
    for g in guests:
        front = f"/local/domain/{g.domid}/device/pvgpu"
        lab.wait(f"{EACH} vGPUs of {g.name}", lambda f=front: many.connected(lab, f) == EACH, START)


def start(lab, b, guests):
    """A session for each vGPU, one of each guest at a time. Devices are numbered from 0, vGPUs of attach_all() from 1."""
    loads = []

    def all_active():
        for load in loads:
            load.check()
        return b.active() == len(loads)
    for n in range(EACH):
        loads += [vgpu.Load(g, PROGRAM, env=f"PVGPU_DEVICE=/dev/pvgpu{n}") for g in guests]
        lab.wait(f"{len(loads)} active sessions", all_active, START)
        lab.say(f"{len(loads)} active sessions, {b.free()} MiB available; seconds of processor time: {b.processor()}")
    return loads


def run(lab):
    b = Backend(lab)
    guests = lab.create_all([f"guest{i}" for i in range(GUESTS)], "pv", memory=320, payload=True)
    attach(lab, b, guests)
    free = b.cost()
    try:
        loads = start(lab, b, guests)
    except LabError:
        b.explain(guests)
        raise
    busy = b.cost()
    before = b.each()
    assert len(before) == GUESTS * EACH

    def goes_on():
        now = b.each()
        return now.keys() == before.keys() and all(n["launches"] > before[path]["launches"] for path, n in now.items())

    def over():
        now = b.each()
        return now.keys() == before.keys() and not any(n["sessions"] for n in now.values())
    lab.wait("the work of each to go on", goes_on, START)
    lab.say(f"{len(before)} active sessions: " + ", ".join(
        f"{what} {was} to {now}" for what, was, now in zip(("MiB available", "files", "grants", "event channels"), free, busy)))
    last = vgpu.run_program(guests[-1], "vecadd", limit=START, env=f"PVGPU_DEVICE=/dev/pvgpu{EACH - 1}")
    assert last.status == 0, last.err
    for load in loads:
        load.kill()
    lab.wait("the end of all sessions", over, START)
    going = [lab.dom0.start(f"exec {vgpu.CTL} detach {g.domid} --all --timeout 600") for g in guests]
    for job in going:
        r = job.wait(START)
        assert r.status == 0, r.err
    b.pvgpud.stop()
    lab.keepers.remove(b.pvgpud)
