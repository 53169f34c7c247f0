# SPDX-License-Identifier: MIT
"""VMs with VGPU objects of xapi, as CloudStack and Xen Orchestra make them: types from `pvgpuctl xapi types`, an HVM guest on real Xen, and the double of xapi
and xenopsd with pvgpu-vgpu as its program. Two starts race for the last place; a program runs; reboot, crash, shutdown; no pvgpud is an error that xapi shows."""
import json
import os
import threading

import machine
import vgpu
import xcpng
from xapi import ApiError
from gpu_host import GPU, H100, Files, add_device

BOOT = machine.Boot(hvm=True)
LIMIT = 3000
LONG = True
PROFILES = "[profile small]\nmemory = 200M\nper-gpu = 1\n"
UUIDS = ("9c1b7a52-3f60-4f8e-8d55-0a2f6c1e7b90", "0a8d5e0c-3a51-4f4e-b1d4-6f3a9f6f7a11")


def listed(lab):
    return json.loads(lab.dom0.run(f"{vgpu.CTL} list --json", quiet=True).out)["vgpus"]


def prepare(lab, pool, profiles=PROFILES, driver="nvidia"):
    """The files that xapi reads, on the host where the double runs; in dom0 the site's and the program."""
    host, dom0 = pool.only, lab.dom0
    files = Files(host.folder)
    files.profiles(profiles)
    add_device(files.pci, GPU, H100, driver=driver)
    files.write()
    pool.update_gpus(host)
    dom0.run(f"mkdir -p {xcpng.VGPU.rpartition('/')[0]} && {vgpu.TOP}/bin/pvgpu-vgpu --install --program={xcpng.VGPU}")
    host.follow(profiles.encode())
    host.kind = os.environ.get("LAB_KIND", "hvm")  # xapi demands it; another one starts sooner
    return pool.type_named("small")


def clear(lab, pool):
    pool.only.stop()
    lab.log.save("vgpu", lab.dom0.run(f"cat {xcpng.VGPU_LOG}", check=False, quiet=True).out)
    lab.dom0.run(f"{vgpu.TOP}/bin/pvgpu-vgpu --uninstall --program={xcpng.VGPU}; rm -f {xcpng.VGPU_LOG}")


def add_vm(pool, number, kind):
    vm = pool.add_vm(f"web{number}", {}, UUIDS[number])
    group = next(iter(pool.objects["gpu_group"]))
    pool.vgpu_create(vm, group, "0", {}, kind)
    return vm


def computes(lab, pool, vm):
    """Its vGPU is the VGPU object's, and works."""
    v = lab.wait("the vGPU to connect", lambda: (all := listed(lab)) and all[0]["connected"] and all[0], 180)
    assert v["uuid"] == pool.object("vgpu", pool.vms[vm]["VGPUs"][0])["uuid"] and v["profile"] == "small", v
    g = pool.only.guests[pool.vms[vm]["uuid"]]
    assert vgpu.run_program(g, "vecadd").out.startswith("vecadd: 100003 sums")
    return g


def nothing_is_left(lab):
    lab.wait("nothing to be left of the vGPU", lambda: not listed(lab), 120)
    left = lab.dom0.run("xenstore-ls -f | grep -E '/(backend|device)/pvgpu/|/vgpu'; pidof vgpu pvgpu-vgpu", check=False, quiet=True).out
    assert not left, left


def start_both(pool, vms):
    """At once: (the one that runs, the one that is refused, why)."""
    refused = {}

    def start(vm):
        try:
            pool.start(vm)
        except ApiError as e:
            refused[vm] = e
    threads = [threading.Thread(target=start, args=(vm,)) for vm in vms]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(refused) == 1, refused
    (loser, why), = refused.items()
    winner, = set(vms) - {loser}
    assert pool.vms[winner]["power_state"] == "Running"
    return winner, loser, why


def is_refused_without_pvgpud(lab, pool, vm, pvgpud):
    assert pvgpud.end("TERM") == 0
    try:
        pool.start(vm)
        raise AssertionError("it starts without pvgpud")
    except ApiError as e:
        assert e.code == "FAILED_TO_START_EMULATOR" and "no pvgpud runs in domain 0" in e.params[-1], (e.code, e.params)
    assert pool.vms[vm]["power_state"] == "Halted"
    pvgpud.start()


def lives(lab, pool, vm):
    """Reboot and crash."""
    first = computes(lab, pool, vm).domid
    pool.reboot(vm)
    g = computes(lab, pool, vm)
    assert g.domid != first
    g.start("echo c >/proc/sysrq-trigger")
    lab.wait("the VM to crash", lambda: "c" in (g.state() or ""), 120)
    pool.ends(vm)
    nothing_is_left(lab)


def run(lab):
    pool = xcpng.Pool(lab, "root", "secret")
    try:
        kind = prepare(lab, pool)
        pvgpud = vgpu.Pvgpud(lab).start()
        vms = [add_vm(pool, n, kind) for n in range(2)]
        is_refused_without_pvgpud(lab, pool, vms[0], pvgpud)
        nothing_is_left(lab)
        winner, loser, why = start_both(pool, vms)
        assert why.code in ("VM_REQUIRES_VGPU", "NO_HOSTS_AVAILABLE"), why.code
        lives(lab, pool, winner)
        pool.start(loser)
        computes(lab, pool, loser)
        pool.ends(loser)
        nothing_is_left(lab)
        assert not pool.only.service.bound, pool.only.service.bound
        clear(lab, pool)
    finally:
        pool.close()
    pvgpud.stop()
    lab.keepers.remove(pvgpud)
