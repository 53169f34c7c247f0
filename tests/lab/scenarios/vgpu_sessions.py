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
# Kernels of 20 ms that sleep: the emulator's processor is for starting workers.
PROGRAM = "occupy 1000000000 20000 2 1 20000"
START = 600


class Backend:
    """pvgpud in a driver domain, and its numbers of all vGPUs."""

    def __init__(self, lab):
        self.lab = lab
        self.domain = lab.create("gpu", "pv", memory=1280, payload=True)
        self.pvgpud = vgpu.Pvgpud(lab, self.domain, env={"SIMCUDA_MEMORY": "4G"}, **world.CHEAP).start()

    def each(self, key):
        """That key of each vGPU, by its name."""
        tree = f"{vgpu.CTL} --run-dir {vgpu.RUN_DIR} tree /vgpu | grep -E '^/vgpu/[^/]+/{key}\\b'"
        out = self.domain.run(tree, check=False, quiet=True, limit=120).out
        return {name: int(n) for name, n in re.findall(rf"/(xen-\d+-\d+-\w+)/{key}\W+(\d+)", out)}

    def active(self):
        """vGPUs with a session that has launched kernels."""
        launches = self.each("launches")
        return {name for name, n in self.each("sessions").items() if n == 1 and launches[name]}

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
    """A session for each vGPU, one of each guest at a time."""
    for n in range(1, EACH + 1):
        for g in guests:
            g.run(f"{vgpu.program(PROGRAM, env=f'PVGPU_DEVICE=/dev/pvgpu{n}')} </dev/null >/run/out.{n} 2>&1 &", quiet=True)
        lab.wait(f"{n * len(guests)} active sessions", lambda n=n: len(b.active()) == n * len(guests), START)
        lab.say(f"{n * len(guests)} active sessions, {b.free()} MiB available")


def run(lab):
    b = Backend(lab)
    guests = lab.create_all([f"guest{i}" for i in range(GUESTS)], "pv", memory=320, payload=True)
    attach(lab, b, guests)
    idle = b.cost()
    start(lab, b, guests)
    busy = b.cost()
    before = b.each("launches")
    lab.wait("the work of each to go on", lambda: all(n > before[name] for name, n in b.each("launches").items()), START)
    lab.say(f"{len(before)} active sessions: " + ", ".join(
        f"{what} {was} to {now}" for what, was, now in zip(("MiB available", "files", "grants", "event channels"), idle, busy)))
    last = vgpu.run_program(guests[-1], "vecadd", limit=START, env=f"PVGPU_DEVICE=/dev/pvgpu{EACH}")
    assert last.status == 0, last.err
    for g in guests:
        assert g.run("cat /run/out.* | grep -v '^occupy: [0-9]*$'", check=False).out == ""
        g.run("killall -9 occupy")
    lab.wait("the end of all sessions", lambda: list(b.each("sessions").values()) == [0] * len(before), START)
    going = [lab.dom0.start(f"exec {vgpu.CTL} detach {g.domid} --all --timeout 600") for g in guests]
    for job in going:
        r = job.wait(START)
        assert r.status == 0, r.err
    b.pvgpud.stop()
    lab.keepers.remove(b.pvgpud)
