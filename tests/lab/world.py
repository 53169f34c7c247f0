# SPDX-License-Identifier: MIT
"""Worlds: what several scenarios start from, made once and kept between them.

A scenario names one with WORLD = world.TwoGuests; then it is run(lab, world). After each scenario the world must be
again as it was made: what it holds is counted and compared, so that sharing hides no leak. A scenario that fails
takes its world with it."""
import re

import vgpu

# Keys that count or tell what has happened, and numbers that are new after each connection.
MOVING = re.compile(r"/pvgpu/(?:\d+/(?:\d+/)?)?(?:statistics|last-reason|gpu-memory-free|ring-ref|event-channel) = ")


class World:
    """guests: name -> guest, kept as well."""
    guests = {}

    def __init__(self, lab):
        self.lab = lab

    def make(self):
        raise NotImplementedError

    def seen(self):
        """Lines that must be the same before and after a scenario, besides what the runner compares."""
        return []

    def settle(self):
        """What must be in order before anything is compared."""

    def close(self):
        """Take it apart; the runner then looks whether anything is left."""


class TwoGuests(World):
    """pvgpud in dom0; a PV and a PVH guest, each with one vGPU that is connected."""

    def make(self):
        lab = self.lab
        self.pvgpud = vgpu.Pvgpud(lab).start()
        self.pv, self.pvh = lab.create_all(["pv", "pvh"], ["pv", "pvh"], memory=256, payload=True)
        self.guests = {g.name: g for g in (self.pv, self.pvh)}
        self.vgpus = {g: self.pvgpud.attach(g, wait=False) for g in self.guests.values()}
        for v in self.vgpus.values():
            v.wait_connected()

    def settle(self):
        self.lab.wait("a spare worker", self.pvgpud.ready)

    def seen(self):
        grants = [f"grants of {owner} to {mapper}: {n}" for (owner, mapper), n in
                  sorted(vgpu.active_grants(self.lab).items())]
        domids = {0, *(g.domid for g in self.guests.values())}
        channels = [f"channels of {d}: {c}" for d in sorted(domids) for c in sorted(self.lab.channels(d).values())]
        users = [f"{g.name}: pvgpu in use {g.run('cat /sys/module/pvgpu/refcnt', quiet=True).out.strip()}"
                 for g in self.guests.values()]
        return grants + channels + users + self.pvgpud.held()

    def close(self):
        for v in self.vgpus.values():
            v.detach()
        self.pvgpud.stop()
