# SPDX-License-Identifier: MIT
"""A VM with a VGPU object of xapi's whose GPU is in a driver domain, as on XCP-ng 8.3: `pvgpu-vgpu --starter` runs the program vgpu before xenopsd looks, so
that xenopsd does not take the GPU from the driver domain. HVM guest, PVH driver domain; the VM's program runs; the driver domain ends and comes back."""
import machine
import vgpu
import xcpng
from scenarios.vgpu_xapi_start import add_vm, clear, computes, listed, nothing_is_left, prepare

BOOT = machine.Boot(hvm=True)
LIMIT = 3000
LONG = True
PROFILES = "[profile small]\nmemory = 200M\nper-gpu = 1\nbackend = gpu\n"


def start_driver_domain(lab):
    d = lab.create("gpu", "pvh", memory=320, payload=True)
    return d, vgpu.Pvgpud(lab, d).start()


def run(lab):
    pool = xcpng.Pool(lab, "root", "secret")
    dom0 = lab.dom0
    try:
        d, p = start_driver_domain(lab)
        kind = prepare(lab, pool, PROFILES, "pciback")
        starter = dom0.start(f"echo pid $$; exec {vgpu.TOP}/bin/pvgpu-vgpu --starter --program={xcpng.VGPU} 2>>{xcpng.VGPU_LOG}")
        pid = starter.wait_output(r"^pid (\d+)$")[1]
        vm = add_vm(pool, 0, kind)
        pool.start(vm)
        service = pool.only.service
        assert service.found and not service.starts and not service.bound, (service.found, service.starts, service.bound)
        computes(lab, pool, vm)
        d.destroy()
        lab.keepers.remove(p)
        d, p = start_driver_domain(lab)
        lab.wait("the vGPU to be made anew", lambda: (v := listed(lab)) and v[0]["backend"]["domid"] == d.domid, 180)
        computes(lab, pool, vm)
        pool.ends(vm)
        dom0.run(f"kill {pid}")
        assert starter.wait().status == 0
        nothing_is_left(lab)
        clear(lab, pool)
    finally:
        pool.close()
    p.stop()
    lab.keepers.remove(p)
    d.destroy()
