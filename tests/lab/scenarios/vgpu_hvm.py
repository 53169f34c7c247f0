# SPDX-License-Identifier: MIT
"""An HVM guest, whose devices come by Xen's platform device: programs, killed programs, a vGPU that comes and goes under them, a restart of
pvgpud, beside a PV guest that is not affected."""
import machine
import vgpu
import world
from scenarios import vgpu_app_killed, vgpu_hot_attach, vgpu_programs

BOOT = machine.Boot(hvm=True)
WORLD = world.HvmGuest
LONG = True
LIMIT = 2400
PROGRAMS = {"vecadd": "", "callbacks": "", "copies": "70001", "fork": "", "pinned": "", "printf": "", "streams": "", "threads": "",
            "cudart/gemm": "", "cudart/fft": ""}


def check_restart(w, g):
    """A session lives on while pvgpud is killed and started again."""
    c = vgpu.Cuda(g)
    c.want("check", "right")
    w.pvgpud.restart()
    c.want("check", "right")
    c.quit()
    w.vgpus[g].wait_connected()


def run(lab, w):
    g = w.hvm
    assert g.run("cat /sys/hypervisor/guest_type").out == "HVM\n"
    for name, arguments in PROGRAMS.items():
        vgpu_programs.check_program(lab, g, name, arguments)
    other = vgpu.Cuda(w.pv)
    vgpu_app_killed.check(lab, w, g, other)
    other.quit()
    vgpu_hot_attach.check(lab, w, g)
    check_restart(w, g)
