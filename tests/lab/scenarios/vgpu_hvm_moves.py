# SPDX-License-Identifier: MIT
"""An HVM guest is saved and restored, and migrated to this same machine, under its work."""
import machine
import world
from scenarios import vgpu_migrate

BOOT = machine.Boot(hvm=True)
WORLD = world.HvmGuest
LONG = True
LIMIT = 2400


def run(lab, w):
    vgpu_migrate.check(lab, w, "hvm", vgpu_migrate.save_and_restore, w.pv)
    vgpu_migrate.check(lab, w, "hvm", vgpu_migrate.migrate, w.pv)
