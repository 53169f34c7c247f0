# SPDX-License-Identifier: MIT
"""A guest that goes down has closed its vGPU before its kernel stops, with a program that has a session: nothing of its memory is
mapped by the backend then, as the next kernel needs it after a kexec. It does not connect again."""
import vgpu

LIMIT = 300
LONG = True


def run(lab):
    pvgpud = vgpu.Pvgpud(lab).start()
    # Its domain stays with its keys when it has stopped.
    g = lab.create("pv", "pv", payload=True, config='on_reboot = "preserve"')
    before = vgpu.active_grants(lab).get((g.domid, 0), 0)     # of its console
    v = pvgpud.attach(g)
    c = vgpu.Cuda(g)
    c.want("check", "right")
    assert vgpu.active_grants(lab)[g.domid, 0] > before
    g.start("reboot -f")
    lab.wait("the guest to stop", lambda: "s" in (g.state() or ""), 120)
    assert lab.store.read(f"{v.front}/state") == vgpu.CLOSED
    assert vgpu.active_grants(lab).get((g.domid, 0), 0) <= before, vgpu.active_grants(lab)
    pvgpud.wait_workers(0)
    g.destroy()
    pvgpud.stop()
    lab.keepers.remove(pvgpud)
