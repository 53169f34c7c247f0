# SPDX-License-Identifier: MIT
"""Worlds: common initial states of several scenarios, made once and kept between them.

A scenario selects one with WORLD = world.TwoGuests; its function is then run(lab, world). After each scenario the world
must be as it was made: its resources are counted and compared, so that sharing hides no leak. A failed scenario ends its
world."""
import os
import re

import vgpu

# Keys with counters or past events, and numbers that change with each connection.
MOVING = re.compile(r"/pvgpu/(?:\d+/(?:\d+/)?)?(?:statistics|last-reason|gpu-memory-free|ring-ref|event-channel) = ")


# A sandbox takes much of an emulated processor's time: with LAB_SANDBOX=off worlds do without, as in `make check`, and
# scenarios that start a pvgpud of their own have one all the same.
CHEAP = {"sandbox": os.environ["LAB_SANDBOX"]} if "LAB_SANDBOX" in os.environ else {}


class World:
    """guests: name -> guest, kept as well."""
    guests = {}

    def __init__(self, lab):
        self.lab = lab

    def make(self):
        raise NotImplementedError

    def seen(self):
        """Lines that must be the same before and after a scenario, in addition to the runner's."""
        return []

    def settle(self):
        """Wait until the world is at rest, before a comparison."""

    def close(self):
        """End it; the runner then checks that nothing is left."""


class TwoGuests(World):
    """pvgpud in dom0; a PV and a PVH guest, each with one vGPU that is connected."""
    KINDS = ("pv", "pvh")
    PVGPUD = {}     # of vgpu.Pvgpud
    VGPU = {}       # of its attach()

    def make(self):
        lab = self.lab
        self.pvgpud = vgpu.Pvgpud(lab, **self.PVGPUD, **CHEAP).start()
        self.guests = {g.name: g for g in lab.create_all(self.KINDS, self.KINDS, memory=256, payload=True)}
        vars(self).update(self.guests)
        self.vgpus = {g: self.pvgpud.attach(g, **self.VGPU, wait=False) for g in self.guests.values()}
        for v in self.vgpus.values():
            v.wait_connected()

    def settle(self):
        self.lab.wait("a spare worker", self.pvgpud.ready)

    def seen(self):
        grants = [f"grants of {owner} to {mapper}: {n}" for (owner, mapper), n in
                  sorted(vgpu.active_grants(self.lab).items())]
        domids = {0, *(g.domid for g in self.guests.values())}
        channels = [f"channels of {d}: {c}" for d in sorted(domids) for c in sorted(self.lab.channels(d).values())]
        module = "cd /sys/module/pvgpu && echo $(cat refcnt parameters/grants_used parameters/grants_held)"
        users = [f"{g.name}: pvgpu's users, grants, and those held {g.run(module, quiet=True).out.strip()}"
                 for g in self.guests.values()]
        return grants + channels + users + self.pvgpud.held()

    def close(self):
        for v in self.vgpus.values():
            v.detach()
        self.pvgpud.stop()


class HvmGuest(TwoGuests):
    """The same with a PV and an HVM guest, on a machine whose Boot has hvm."""
    KINDS = ("pv", "hvm")
