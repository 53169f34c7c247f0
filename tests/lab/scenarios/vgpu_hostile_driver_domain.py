# SPDX-License-Identifier: MIT
"""All attacks of vgpu-hostile-frontend against pvgpud in a PVH driver domain, beside a neighbour that has a vGPU of it and one of
dom0's. LAB_ATTACKS, LAB_KIND and LAB_EVERY as there."""
import os

import frontend
import vgpu
import world
from scenarios import vgpu_driver_domain as driver_domain
from scenarios import vgpu_hostile_frontend as all_attacks

WORLD = world.TwoGuests
LIMIT = 3600
LONG = True
KIND = os.environ.get("LAB_KIND", "pv")


def run(lab, w):
    own = vgpu.Cuda(w.pv)
    own.want("check", "right")
    d, p = driver_domain.start_driver_domain(lab, "pvh")
    second, = driver_domain.serve(p, [w.pv])
    frontend.attack_all(lab, p, w.pv, KIND, all_attacks.CHOSEN, all_attacks.EVERY, env=driver_domain.SECOND)
    second.detach()
    p.stop()
    lab.keepers.remove(p)
    d.destroy()
    # dom0's pvgpud and its session have seen nothing of it.
    own.want("check", "right")
    own.quit()
