# SPDX-License-Identifier: MIT
"""pvgpuctl and pvgpu-attachd on a real xenstored. Neither pvgpud nor pvgpu.ko runs: the scenario writes both ends' states,
the guest's from within the guest, so that every wait and every refusal can be tested."""
import json
import re

TOP = "/opt/pvgpu"
CTL = f"{TOP}/bin/pvgpuctl"
CONF = "--config-dir /run/vms.d"
HOST = "/local/domain/0/data/pvgpu"
# The loaded module would change the frontend's state itself.
GUEST = {"extra": "module_blacklist=pvgpu", "memory": 160}
LIMIT = 420
LONG = True


def ctl(lab, words, status=0):
    r = lab.dom0.run(f"{CTL} {words}", check=False)
    assert r.status == status, f"pvgpuctl {words}: {r.status}, not {status}: {r.err}"
    return r


def valid(lab, n):
    """The tree in xenstore must be valid by docs/xenstore.md."""
    r = lab.dom0.run(f"xenstore-ls -fp | {CTL} check -", check=False)
    assert r.status == 0 and r.out.startswith(f"{n} vGPU") and r.out.endswith(" 0 errors, 0 warnings\n"), r.out


def ends(g, be):
    return f"/local/domain/{g.domid}/device/pvgpu/0", f"/local/domain/{be}/backend/pvgpu/{g.domid}/0"


def write_all(place, perms, keys):
    place.run("set -e; " + "; ".join(f"xenstore-write {k} '{v}'; xenstore-chmod {k} {perms}" for k, v in keys.items()))


class Attachd:
    def __init__(self, lab):
        self.lab = lab
        self.process = lab.dom0.start(f"echo pid $$; exec {TOP}/bin/pvgpu-attachd {CONF}")
        self.pid = int(self.process.wait_output(r"^pid (\d+)$")[1])

    def log(self):
        return self.process.err.decode(errors="replace")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.lab.log.save("attachd", self.log())


def refusals(lab, g):
    assert "no pvgpud runs in domain 0" in ctl(lab, f"attach {g.name}", 3).err
    lab.store.write(f"{HOST}/version", "0.1.0")
    lab.store.write(f"{HOST}/gpu-memory-free", str(1 << 30))
    assert "only 1024 MiB" in ctl(lab, f"attach {g.name} --memory 2G", 1).err
    assert "no domain here" in ctl(lab, "attach nobody", 3).err
    ctl(lab, f"detach {g.name}", 3)
    ctl(lab, f"attach {g.name} --memory much", 2)
    # Without a pvgpud the vGPU stays attached, and the guest's kernel has the device.
    r = ctl(lab, f"attach {g.name} --memory 512M --weight 200 --timeout 1", 4)
    assert "pvgpud in Domain-0 has not taken it up" in r.err, r.err
    valid(lab, 1)
    front, back = ends(g, 0)
    lab.wait("the guest's device", lambda: not g.run("[ -d /sys/bus/xen/devices/pvgpu-0 ]", check=False).status)
    assert g.run("cat /sys/bus/xen/devices/pvgpu-0/modalias").out == "xen:pvgpu\n"
    assert g.run(f"xenstore-read {back}/policy").out == "weight=200\n"
    for key in (f"{back}/policy", f"{back}/state", f"{back}/online"):
        assert g.run(f"xenstore-write {key} 1", check=False).status, f"the guest could write {key}"
    # The guest's module is not loaded.
    lab.store.write(f"{back}/state", "2")
    r = ctl(lab, f"detach {g.name} --timeout 1", 4)
    assert "has not closed it (backend InitWait, guest Initialising)" in r.err, r.err
    ctl(lab, f"detach {g.name} --force")
    assert lab.store.read(f"{front}/state") is None and lab.store.read("/local/domain/0/backend/pvgpu") is None


def connects(lab, g):
    front, back = ends(g, 0)
    watching = lab.dom0.start(f"exec {CTL} list --watch --json")
    attaching = lab.dom0.start(f"{CTL} attach {g.domid} --memory 512M --timeout 200 --json")
    lab.store.wait(f"{back}/state", "1")
    write_all(lab.dom0, f"n0 r{g.domid}", {f"{back}/protocol-version": "1", f"{back}/state": 2})
    write_all(g, f"n{g.domid} r0", {f"device/pvgpu/0/{k}": v for k, v in (
        ("protocol-version", 1), ("ring-ref", 8), ("event-channel", 15), ("state", 3))})
    lab.store.write(f"{back}/state", "4")
    g.run("xenstore-write device/pvgpu/0/state 4")
    done = attaching.wait()
    assert done.status == 0, done.err
    shown = json.loads(done.out)["vgpus"][0]
    assert shown["connected"] and shown["vm"]["name"] == g.name and shown["memory"] == 512 << 20, shown
    valid(lab, 1)
    lab.store.write(f"{back}/statistics", "memory-used=268435456 sessions=2 gpu-time=1500000")
    watching.wait_output(r'"connected":true.*"sessions":2')
    watching.kill()
    watching.wait()
    row = ctl(lab, f"list {g.name}").out.splitlines()[1]
    assert re.search(rf"^{g.name} +{g.domid} +0 +Domain-0 +Connected +256/512 +0 +100 +medium +100% +2 +1\.5 +0\.0$", row), row
    ctl(lab, f"set {g.name} weight=300 drain=1 memory=256M")
    assert lab.store.read(f"{back}/policy") == "weight=300 drain=1" and lab.store.read(f"{back}/memory") == str(256 << 20)
    assert "weight=300" in ctl(lab, f"show {g.name}").out
    valid(lab, 1)
    detaching = lab.dom0.start(f"{CTL} detach {g.name} --timeout 200")
    lab.store.wait(f"{back}/online", "0")
    lab.store.write(f"{back}/state", "5")
    g.run("xenstore-write device/pvgpu/0/state 6")
    lab.store.write(f"{back}/state", "6")
    done = detaching.wait()
    assert (done.status, done.out) == (0, f"vGPU 0 of {g.name}: detached\n"), vars(done)
    assert lab.store.read(front) is None and lab.store.read("/local/domain/0/backend/pvgpu") is None


def driver_domain(lab, g, gpu, attachd):
    """A driver domain serves: it can access the keys that it needs, and learns that its guest has ended."""
    front, back = ends(g, gpu.domid)
    assert f"no pvgpud runs in domain {gpu.domid}" in ctl(lab, f"attach {g.name} --backend {gpu.name}", 3).err
    gpu.run("xenstore-write data/pvgpu/version 0.1.0 data/pvgpu/log-level ''; xenstore-rm data/pvgpu/log-level")
    ctl(lab, f"attach {g.name} --backend {gpu.name} --no-wait")
    valid(lab, 1)
    here = f"backend/pvgpu/{g.domid}/0"
    assert gpu.run(f"xenstore-read {here}/frontend").out.strip() == front
    assert gpu.run(f"xenstore-read {front}/state").out.strip() == "1"
    assert gpu.run(f"xenstore-write {here}/memory 1", check=False).status, "the driver domain could write its guest's quota"
    gpu.run(f"xenstore-write {here}/state 2; xenstore-chmod {here}/state n{gpu.domid} r{g.domid}")
    assert lab.store.read(f"{back}/state") == "2"
    # pvgpu-attachd permits it to watch domains' ends; without that, its watch never fires.
    lab.dom0.run(f"kill -HUP {attachd.pid}")
    lab.wait("pvgpu-attachd to let it hear",
             lambda: f"xenstored reports ends of domains to domain {gpu.domid}" in attachd.log() or attachd.process.gone_without("it"))
    hearing = gpu.start("xenstore-watch -n 2 @releaseDomain")
    hearing.wait_output("@releaseDomain")
    g.destroy()
    lab.wait("the end of the driver domain's keys",
             lambda: lab.store.read(f"/local/domain/{gpu.domid}/backend") is None)
    assert hearing.wait().status == 0


def persistent(lab):
    g = lab.create("web1", "pv", **GUEST)
    ctl(lab, f"attach web1 --persistent --no-wait --memory 256M {CONF}")
    uuid = lab.store.read(ends(g, 0)[1] + "/uuid")
    old = g.domid
    g.destroy()
    lab.wait("the end of the old keys", lambda: lab.store.read(f"/local/domain/0/backend/pvgpu/{old}") is None)
    g = lab.create("web1", "pv", **GUEST)
    assert g.domid != old
    assert lab.store.wait(ends(g, 0)[1] + "/uuid") == uuid
    valid(lab, 1)
    # A restored domain has its keys before it runs, so that its kernel finds the device where it was.
    lab.wait("the guest's device", lambda: not g.run("[ -d /sys/bus/xen/devices/pvgpu-0 ]", check=False).status)
    g.save("/run/saved")
    lab.dom0.run("xl restore -p /run/saved", limit=180)
    g.domid = g.find_domid()
    assert lab.store.wait(ends(g, 0)[1] + "/uuid") == uuid
    assert "p" in g.state()
    valid(lab, 1)
    g.unpause()
    g.connect()
    g.run("[ -d /sys/bus/xen/devices/pvgpu-0 ]")
    assert g.run("xenstore-read device/pvgpu/0/backend").out.strip() == ends(g, 0)[1]
    lab.dom0.run("rm /run/saved")
    ctl(lab, f"detach web1 --persistent --force {CONF}")
    assert lab.dom0.run("ls /run/vms.d").out == ""
    g.destroy()


def run(lab):
    g, gpu = lab.create_all(["web1", "gpu"], ["pv", "pvh"], **GUEST)
    refusals(lab, g)
    connects(lab, g)
    with Attachd(lab) as attachd:
        driver_domain(lab, g, gpu, attachd)
        gpu.destroy()
        persistent(lab)
        lab.dom0.run(f"kill {attachd.pid}")
        assert attachd.process.wait().status == 0, attachd.log()
    lab.dom0.run(f"rmdir /run/vms.d; xenstore-rm {HOST}; [ -n \"$(xenstore-list /local/domain/0/data)\" ] || "
                 "xenstore-rm /local/domain/0/data")
