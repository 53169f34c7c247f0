# SPDX-License-Identifier: MIT
"""All attacks of vgpu-hostile-frontend against pvgpud in a PVH driver domain, beside a neighbour that has a vGPU of it and one of
dom0's. The attacks that end the attacker's domain have pvgpu-attachd in dom0, which tells pvgpud of its end and removes its keys.
LAB_ATTACKS, LAB_KIND and LAB_EVERY as there."""
import contextlib
import os

import frontend
import vgpu
import world
from scenarios import vgpu_driver_domain as driver_domain
from scenarios import vgpu_hostile_frontend as all_attacks
from scenarios.attach import Attachd

WORLD = world.TwoGuests
LIMIT = 3600
LONG = True
KIND = os.environ.get("LAB_KIND", "pv")


@contextlib.contextmanager
def attachd(lab):
    lab.dom0.run("mkdir /run/vms.d")
    with Attachd(lab) as a:
        yield
        lab.dom0.run(f"kill {a.pid}; rmdir /run/vms.d")
        assert a.process.wait().status == 0, a.log()


def run(lab, w):
    own = vgpu.Cuda(w.pv)
    own.want("check", "right")
    d, p = driver_domain.start_driver_domain(lab, "pvh")
    second, = driver_domain.serve(p, [w.pv])
    frontend.attack_all(lab, p, w.pv, KIND, all_attacks.CHOSEN, all_attacks.EVERY, env=driver_domain.SECOND,
                        apart=lambda: attachd(lab))
    second.detach()
    p.stop()
    lab.keepers.remove(p)
    d.destroy()
    # dom0's pvgpud and its session have seen nothing of it.
    own.want("check", "right")
    own.quit()
