# SPDX-License-Identifier: MIT
"""150 vGPUs of two guests on one driver domain, to which xenstored applies its limits of nodes and watches:
pvgpu-attachd attaches them, all connect, the last works like the first, and all are detached."""
import difflib

import vgpu
import world

WORLD = world.TwoGuests
LONG = True
LIMIT = 600
PV, PVH = 100, 50       # the emulator is slower with a PVH guest
FEW = 4                 # files that pvgpud opens with its first vGPU and keeps
CONF = "/run/vms.d"


def attach_all(lab, guests, backend):
    lab.dom0.run(f"mkdir {CONF}")
    for g, many in guests.items():
        conf = "".join(f"[vgpu {n}]\nbackend = {backend.name}\nmemory = 16M\nkernel-limit = 0\n" for n in range(1, many + 1))
        lab.dom0.put_file(f"{CONF}/{g.name}.conf", conf.encode())
    r = lab.dom0.start(f"{vgpu.TOP}/bin/pvgpu-attachd --once --config-dir {CONF}; s=$?; rm -r {CONF}; exit $s").wait(200)
    assert r.status == 0 and r.err.count("attached vGPU") == sum(guests.values()), r.err


def connected(lab, path):
    """The number of connected vGPUs below a directory."""
    states = f"for n in $(xenstore-list {path}); do set -- $@ {path}/$n/state; done; xenstore-read $@"
    return lab.dom0.run(states, check=False, quiet=True).out.split().count(vgpu.CONNECTED)


def check(lab, p, g, many):
    front, back = f"/local/domain/{g.domid}/device/pvgpu", f"/local/domain/{p.domid}/backend/pvgpu/{g.domid}"
    lab.store.wait(f"{front}/{many}/state", vgpu.CONNECTED, 200)  # to look at all of them costs seconds
    lab.wait(f"{many} vGPUs of {g.name} and its own", lambda: connected(lab, front) == many + 1, 200)
    assert connected(lab, back) == many
    assert g.run("ls /dev | grep -c '^pvgpu'").out.strip() == str(many + 1)
    first, last = (vgpu.Cuda(g, env=f"PVGPU_DEVICE=/dev/pvgpu{n}") for n in (1, many))
    for c in (first, last):
        c.want("check", "right")
        c.quit()


def run(lab, w):
    d = lab.create("gpu", "pv", memory=320, payload=True)
    p = vgpu.Pvgpud(lab, d, env={"SIMCUDA_MEMORY": "4G"}, **world.CHEAP).start()
    held = p.held()
    guests = {w.pv: PV, w.pvh: PVH}
    attach_all(lab, guests, d)
    for g, many in guests.items():
        check(lab, p, g, many)
    going = [lab.dom0.start(f"exec {vgpu.CTL} detach {g.domid} --all --timeout 600") for g in guests]
    for g, job in zip(guests, going):
        r = job.wait(300)
        assert r.status == 0, r.err
        lab.wait("all devices to go", lambda: g.run("ls /dev | grep pvgpu", check=False, quiet=True).status == 1)
        w.vgpus[g].attach()

    def let_go():
        now = p.held()
        lab.say("pvgpud holds besides: " + "; ".join(d for d in difflib.ndiff(held, now) if d[0] in "+-"))
        return len(now) <= len(held) + FEW
    lab.wait("all that pvgpud held to go", let_go)
    for v in w.vgpus.values():
        v.wait_connected()
    p.stop()
    lab.keepers.remove(p)
    d.destroy()
