# SPDX-License-Identifier: MIT
"""Programs are killed in the middle of a kernel, of a copy, and with memory of every kind: their workers end, all of their
resources are returned, and others are not affected."""
import vgpu
import world

WORLD = world.TwoGuests
LONG = True
LIMIT = 420
KINDS = ("pv", "pvh")


def check(lab, w, g, other):
    failed = w.vgpus[g].statistics().get("sessions-failed", 0)
    kernel, copy, idle = (vgpu.Cuda(g) for _ in range(3))
    kernel.want("spin", "CUDA_SUCCESS")
    kernel.tell("sync")
    copy.want("alloc 3000000", "CUDA_SUCCESS")
    copy.tell("copy 2000000 0")
    assert copy.answer("copy") == "1"
    idle.want("pin 1000000", "CUDA_SUCCESS")
    workers = w.pvgpud.wait_workers(4)
    for c in (kernel, copy, idle):
        c.kill()
    left = w.pvgpud.wait_workers(1)
    assert set(left) < set(workers)
    w.vgpus[g].wait_statistics(sessions=0, sessions_failed=failed, memory_used=0)
    assert vgpu.run_program(g, "vecadd").status == 0
    other.want("check", "right")


def run(lab, w):
    for kind in KINDS:
        g, bystander = (w.pv, w.pvh) if kind == "pv" else (w.pvh, w.pv)
        other = vgpu.Cuda(bystander)
        check(lab, w, g, other)
        other.quit()
