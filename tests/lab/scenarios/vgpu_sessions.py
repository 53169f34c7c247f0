# SPDX-License-Identifier: MIT
"""100 vGPUs of four guests on one PV driver domain, each with an active session at the same time, with pvgpud's default limits, which
are lower there than in a PVH domain: the work of each goes on, and one more session beside them computes right. What it takes is in the log."""
import re

import machine
import vgpu
import world
from scenarios import vgpu_many as many

BOOT = machine.Boot(memory=5120)
LIMIT = 2400
LONG = True
GUESTS, EACH = 4, 25
QUICK = {"BOOT": machine.Boot(), "GUESTS": 2, "EACH": 3}
# Kernels of 100 ms that sleep, ten a second of all sessions together: the emulator's processor is for starting workers.
PROGRAM = "occupy 1000000000 100000 1 1 100000"
START = 600


class Backend:
    """pvgpud in a driver domain, and its numbers of all vGPUs."""

    def __init__(self, lab):
        self.lab = lab
        self.domain = lab.create("gpu", "pv", memory=1280, payload=True)
        # An opening waits for programs and workers that start beside it.
        self.pvgpud = vgpu.Pvgpud(lab, self.domain, env={"SIMCUDA_MEMORY": "4G"}, open_timeout_ms="600000", **world.CHEAP).start()

    def each(self, *keys):
        """These keys of each vGPU, by its name; None when pvgpud does not answer in time. One look: a process takes long in the emulator."""
        tree = f"{vgpu.CTL} --run-dir {vgpu.RUN_DIR} tree /vgpu | grep -E '^/vgpu/[^/]+/({'|'.join(keys)}) '"
        out = self.domain.run(tree, check=False, quiet=True, limit=120).out
        found = {}
        for name, key, n in re.findall(r"/(xen-\d+-\d+-\w+)/([\w-]+)\W+(\d+)", out):
            found.setdefault(name, {})[key] = int(n)
        return found if len(found) == GUESTS * EACH else None

    def active(self):
        """The number of vGPUs with a session that has launched kernels."""
        return sum(n["sessions"] == 1 and n["launches"] > 0 for n in (self.each("sessions", "launches") or {}).values())

    def free(self):
        """MiB of its domain's memory that are available."""
        return int(self.domain.run("grep MemAvailable /proc/meminfo", quiet=True).out.split()[1]) >> 10

    def cost(self):
        """What the domain holds: (MiB available, files of pvgpud, grants mapped, event channels)."""
        files = self.domain.run(f"ls /proc/{self.pvgpud.pid}/fd | wc -l", quiet=True).out
        grants = sum(n for (_, mapper), n in vgpu.active_grants(self.lab).items() if mapper == self.domain.domid)
        return self.free(), int(files), grants, len(self.lab.channels(self.domain.domid))


def attach(lab, b, guests):
    many.attach_all(lab, {g: EACH for g in guests}, b.domain)
    for g in guests:
        front = f"/local/domain/{g.domid}/device/pvgpu"
        lab.wait(f"{EACH} vGPUs of {g.name}", lambda f=front: many.connected(lab, f) == EACH, START)


def start(lab, b, guests):
    """A session for each vGPU, one of each guest at a time. Devices are numbered from 0, vGPUs of attach_all() from 1."""
    for n in range(EACH):
        for g in guests:
            g.run(f"{vgpu.program(PROGRAM, env=f'PVGPU_DEVICE=/dev/pvgpu{n}')} </dev/null >/run/out.{n} 2>&1 &", quiet=True)
        lab.wait(f"{(n + 1) * len(guests)} active sessions", lambda n=n: b.active() == (n + 1) * len(guests), START)
        lab.say(f"{(n + 1) * len(guests)} active sessions, {b.free()} MiB available")


def run(lab):
    b = Backend(lab)
    guests = lab.create_all([f"guest{i}" for i in range(GUESTS)], "pv", memory=320, payload=True)
    attach(lab, b, guests)
    free = b.cost()
    start(lab, b, guests)
    busy = b.cost()
    before = lab.wait("pvgpud's answer", lambda: b.each("launches"), START)

    def goes_on():
        now = b.each("launches")
        return now and all(n["launches"] > before[name]["launches"] for name, n in now.items())
    lab.wait("the work of each to go on", goes_on, START)
    lab.say(f"{len(before)} active sessions: " + ", ".join(
        f"{what} {was} to {now}" for what, was, now in zip(("MiB available", "files", "grants", "event channels"), free, busy)))
    last = vgpu.run_program(guests[-1], "vecadd", limit=START, env=f"PVGPU_DEVICE=/dev/pvgpu{EACH - 1}")
    assert last.status == 0, last.err
    for g in guests:
        assert g.run("cat /run/out.* | grep -v '^occupy: [0-9]*$'", check=False).out == ""
        g.run("killall -9 occupy")
    idle = {name: {"sessions": 0} for name in before}
    lab.wait("the end of all sessions", lambda: b.each("sessions") == idle, START)
    going = [lab.dom0.start(f"exec {vgpu.CTL} detach {g.domid} --all --timeout 600") for g in guests]
    for job in going:
        r = job.wait(START)
        assert r.status == 0, r.err
    b.pvgpud.stop()
    lab.keepers.remove(b.pvgpud)
