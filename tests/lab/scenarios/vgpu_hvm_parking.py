# SPDX-License-Identifier: MIT
"""Device memory of a program in an HVM guest is parked: it finds the same values, after pvgpud is killed, too, and loses its session with
one error when the vGPU is detached meanwhile. Then it and a PV guest's work in turns that need more memory together than the GPU has."""
import machine
import world
from scenarios import vgpu_parking


class Crowded(world.HvmGuest):
    PVGPUD = vgpu_parking.Crowded.PVGPUD
    VGPU = vgpu_parking.Crowded.VGPU


BOOT = machine.Boot(hvm=True)
WORLD = Crowded
LONG = True
LIMIT = 2400


def run(lab, w):
    spare = w.pvgpud.gpu_memory()
    vgpu_parking.held_and_detached(w, w.vgpus[w.hvm], spare)
    vgpu_parking.take_turns(w)
