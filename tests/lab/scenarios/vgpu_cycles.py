# SPDX-License-Identifier: MIT
"""CloudStack starts and stops a VM fifty times on real Xen, each time as a VM with another uuid, with a vGPU by its toggle. Each tenth computes, and each fourth
is stopped before its vGPU is there. A vGPU takes as few of the guest's nodes as install.md says. After each cycle no key of a vGPU is left; in the end pvgpud has
as many files and workers, xenstore as many nodes and dom0 as many event channels as after the first, and the uuids are fifty."""
import vgpu
from scenarios import vgpu_cloudstack as cloudstack

LIMIT = 3000
LONG = True
CYCLES = 50


def seen(lab, pvgpud):
    """What a cycle could leave: pvgpud's files and workers' number, the nodes of xenstore, dom0's event channels."""
    files = lab.dom0.run(f"ls /proc/{pvgpud.pid}/fd | wc -l", quiet=True).out.strip()
    # Numbers of domains grow, and with them nothing else.
    nodes = [n.split(" = ")[0] for n in lab.store.tree() if "/statistics" not in n]
    return files, len(pvgpud.workers()), len(nodes), sorted(lab.channels(0).values())


def owned(lab, domid):
    """Nodes of a vGPU that count against the quota of the domain that has it; see docs/operators/install.md."""
    return [n for n in lab.store.tree() if "/pvgpu/" in n and f"(n{domid}" in n]


def cycle(lab, site, vm, number):
    g = site.start(vm)
    if number % 4 != 3:
        v = cloudstack.wait_connected(lab)
        assert (v["profile"], v["tenant"]) == ("small", cloudstack.ACCOUNT), v
    if number == 0:
        assert len(owned(lab, g.domid)) <= 8, owned(lab, g.domid)
    if number % 10 == 0:
        assert vgpu.run_program(g, "vecadd").out.startswith("vecadd: 100003 sums")
    uuid = site.pool.of(vm["instancename"])["uuid"]
    site.cloud.stop(vm)
    cloudstack.wait_nothing(lab)
    return uuid


def run(lab):
    pvgpud = vgpu.Pvgpud(lab).start()
    site = cloudstack.Site(lab)
    site.host.kind = "pv"
    try:
        site.host.follow(cloudstack.PROFILES)
        vm = site.cloud.add_vm("web1", "i-2-100-VM")
        site.tool("enable", "web1", "--profile", "small")
        uuids = {cycle(lab, site, vm, 0)}
        first = seen(lab, pvgpud)
        uuids |= {cycle(lab, site, vm, n) for n in range(1, CYCLES)}
        assert len(uuids) == CYCLES
        last = []
        lab.wait("what was there after the first cycle", lambda: last.append(seen(lab, pvgpud)) or last[-1] == first, 60)
        site.host.stop()
    finally:
        site.close()
    pvgpud.stop()
    lab.keepers.remove(pvgpud)
