# SPDX-License-Identifier: MIT
"""The hostile frontend's attacks that `make check` runs from a PV guest, from an HVM guest."""
import frontend
import machine
import world
from scenarios import vgpu_hostile_frontend

BOOT = machine.Boot(hvm=True)
WORLD = world.HvmGuest
LONG = True
LIMIT = 2400


def run(lab, w):
    frontend.attack_all(lab, w.pvgpud, w.pv, "hvm", vgpu_hostile_frontend.QUICK["ONLY"])
