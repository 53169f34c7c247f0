# SPDX-License-Identifier: MIT
"""A guest is saved and restored, and migrated to this same machine, with an idle session and with work in flight: the
guest lives, its old sessions return one error and never hang, new ones work. make check saves and restores a PV guest only, which is destroyed under its work then."""
import vgpu
import world
from scenarios.vgpu_destroy import destroy

WORLD = world.TwoGuests
LIMIT = 600
DESTROY = False
KINDS = ("pv", "pvh")
QUICK = {"DESTROY": True, "KINDS": ("pv",)}


def save_and_restore(g, v):
    lab = g.machine
    g.save("/run/saved")
    v.remove()
    g.restore("/run/saved", before=v.attach)
    lab.dom0.run("rm /run/saved")


def migrate(g, v):
    old = v.directories()
    g.migrate(before=v.attach)
    v.remove(*old)


def check(lab, w, kind, move, bystander):
    free = lab.free_memory()
    g = lab.create(f"moving-{kind}", kind, payload=True)
    v = w.pvgpud.attach(g)
    boot_id = g.run("cat /proc/sys/kernel/random/boot_id").out
    idle, waiting, copying = (vgpu.Cuda(g) for _ in range(3))
    idle.want("check", "right")
    waiting.want("spin", "CUDA_SUCCESS")
    waiting.tell("sync")
    copying.tell("copy 500000 0")
    assert copying.answer("copy") == "1"
    old = g.domid
    move(g, v)
    assert g.domid != old
    v.wait_connected(180)
    for c, word in ((waiting, "sync"), (copying, "copy")):
        got = c.answer(word)
        assert got.startswith("CUDA_ERROR_"), got
    for c in (idle, waiting, copying):
        c.is_lost()
        c.quit()
    w.pvgpud.wait_workers(0)
    assert vgpu.run_program(g, "vecadd").status == 0
    assert g.run("cat /proc/sys/kernel/random/boot_id").out == boot_id
    if DESTROY:
        # Xen never shrinks its tables of dom0's mappings.
        destroy(lab, w, v, bystander, free - 2)
        return
    v.detach()
    g.destroy()


def run(lab, w):
    if "pv" in KINDS:
        check(lab, w, "pv", save_and_restore, w.pvh)
    if "pvh" in KINDS:
        check(lab, w, "pvh", migrate, w.pv)
