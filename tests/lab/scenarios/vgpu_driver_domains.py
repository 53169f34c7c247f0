# SPDX-License-Identifier: MIT
"""vgpu-driver-domain with a PV driver domain; after its end a new one, PVH, serves the same guests."""
import world
from scenarios import vgpu_driver_domain as one

WORLD = world.TwoGuests
LIMIT = 600
LONG = True


def run(lab, w):
    one.check(lab, w, "pv")
    one.check(lab, w, "pvh")
