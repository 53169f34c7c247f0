# SPDX-License-Identifier: MIT
"""pvgpuctl and pvgpu-attachd with pvgpud and pvgpu.ko at the two ends: attach and detach complete, impossible requests are
refused, and shown values are right. pvgpu-attachd alone attaches a VM's vGPU again at its next start, restore and
migration, also in a guest that was saved without a vGPU."""
import json

import vgpu
import world
from scenarios.attach import CONF, Attachd, ctl

WORLD = world.TwoGuests
LIMIT = 600
LONG = True


def valid(lab, n):
    r = lab.dom0.run(f"xenstore-ls -fp | {vgpu.CTL} check -", check=False)
    assert r.status == 0 and r.out.startswith(f"{n} vGPU") and r.out.endswith(" 0 errors, 0 warnings\n"), r.out


def by_hand(lab, w, g):
    """Attach, change and detach, and wait for each command's end."""
    r = ctl(lab, f"attach {g.name} --memory 900G", 1)
    assert "of the GPU in domain 0 are not promised yet" in r.err, r.err
    shown = json.loads(ctl(lab, f"attach {g.name} --memory 64M --weight 200 --timeout 200 --json").out)["vgpus"][0]
    assert shown["connected"] and shown["memory"] == 64 << 20, shown
    valid(lab, 3)
    c = vgpu.Cuda(g)
    assert int(c.ask("memory").split()[1]) == 64 << 20
    ctl(lab, f"set {g.name} weight=300 max-sessions=1")
    lab.wait("one session at most", lambda: vgpu.run_program(g, "vecadd", check=False).status == 1)
    ctl(lab, f"set {g.name} max-sessions=64")
    lab.wait("sessions again", lambda: vgpu.run_program(g, "vecadd", check=False).status == 0)
    c.want("check", "right")
    r = ctl(lab, f"detach {g.name} --timeout 200")
    assert "detached" in r.out
    c.is_lost()
    c.quit()


def came_back(lab, w, g, uuid):
    """The vGPU is attached again with its former identity, and the former domain's keys are gone."""
    v = vgpu.Vgpu(w.pvgpud, g, 0)
    v.wait_connected(200)
    assert lab.store.read(f"{v.back}/uuid") == uuid
    assert vgpu.run_program(g, "vecadd").status == 0
    # The world's two vGPUs, and this one.
    lab.wait("the former domain's keys to go", lambda: sum(
        line.split(" ")[0].endswith("/frontend-id") for line in lab.store.tree("/local/domain/0/backend/pvgpu")) == 3)
    valid(lab, 3)


def lost(c):
    c.is_lost()
    c.quit()


def run(lab, w):
    options = {"memory": 256, "payload": True}
    g = lab.create("web1", "pvh", **options)
    by_hand(lab, w, g)
    with Attachd(lab) as attachd:
        ctl(lab, f"attach web1 --persistent --memory 64M --timeout 200 {CONF}")
        uuid = lab.store.read(vgpu.Vgpu(w.pvgpud, g, 0).back + "/uuid")
        c = vgpu.Cuda(g)
        g.save("/run/saved")
        g.restore("/run/saved")
        came_back(lab, w, g, uuid)
        lost(c)
        c = vgpu.Cuda(g)
        g.migrate()
        came_back(lab, w, g, uuid)
        lost(c)
        g.destroy()
        g = lab.create("web1", "pvh", **options)
        came_back(lab, w, g, uuid)

        # Saved without a vGPU, restored with one.
        lab.dom0.run("cp -r /run/vms.d /run/kept")
        ctl(lab, f"detach web1 --persistent --timeout 200 {CONF}")
        g.save("/run/saved")
        lab.dom0.run("rmdir /run/vms.d && mv /run/kept /run/vms.d")
        g.restore("/run/saved")
        came_back(lab, w, g, uuid)
        ctl(lab, f"detach web1 --persistent --timeout 200 {CONF}")
        g.destroy()
        lab.dom0.run(f"rm /run/saved; kill {attachd.pid}")
        assert attachd.process.wait().status == 0, attachd.log()
    lab.dom0.run("rmdir /run/vms.d")
