# SPDX-License-Identifier: MIT
"""xapi's value decides, with pvgpu-attachd on real Xen and the files as pvgpu-xapi writes them (tests/xapi has xapi's side): on, the VM starts, a
CUDA program runs; off while it runs, and it may end; on again, while the VM runs; the VM ends and comes back with another uuid; nothing is left."""

import vgpu

LIMIT = 420
LONG = True

SITE, XAPI = "/run/site", "/run/site/xapi"
UUIDS = ("9c1b7a52-3f60-4f8e-8d55-0a2f6c1e7b90", "0a8d5e0c-3a51-4f4e-b1d4-6f3a9f6f7a11")
ON = "\n[vgpu 0]\nprofile = small\n"


def say(lab, uuid, vgpus):
    """As pvgpu-xapi does: the file is replaced as a whole."""
    lab.dom0.put_file(f"{SITE}/new", f"[vm]\nuuid = {uuid}\n{vgpus}".encode())
    lab.dom0.run(f"mv {SITE}/new {XAPI}/{uuid}.conf", quiet=True)


def run(lab):
    dom0 = lab.dom0
    pvgpud = vgpu.Pvgpud(lab).start()
    dom0.run(f"mkdir -p {SITE}/vms.d {XAPI}; : >{XAPI}/synced")
    dom0.put_file(f"{SITE}/profiles.conf", b"[profile small]\nmemory = 200M\n")
    attachd = dom0.start(f"echo pid $$; exec {vgpu.TOP}/bin/pvgpu-attachd --config-dir {SITE}/vms.d --site-dir {SITE} --xl-dir {SITE} --xapi-dir {XAPI}")
    pid = attachd.wait_output(r"^pid (\d+)$")[1]

    say(lab, UUIDS[0], ON)
    g = lab.create("web1", "pvh", payload=True, config=f'uuid = "{UUIDS[0]}"')
    first = vgpu.wait_listed(lab)
    assert (first["profile"], first["memory"]) == ("small", 200 << 20), first
    assert vgpu.run_program(g, "vecadd").out.startswith("vecadd: 100003 sums")

    c = vgpu.Cuda(g)
    c.want("check", "right")
    say(lab, UUIDS[0], "")
    lab.wait("the vGPU to be asked to close", lambda: not (v := vgpu.listed(lab)) or not v[0]["online"])
    c.quit()
    vgpu.wait_none_listed(lab)
    r = vgpu.run_program(g, "vecadd", check=False)
    assert r.status == 1 and "CUDA_ERROR_NO_DEVICE" in r.err, vars(r)

    say(lab, UUIDS[0], ON)
    assert vgpu.wait_listed(lab)["uuid"] == first["uuid"]
    vgpu.run_program(g, "vecadd")
    g.destroy()
    vgpu.wait_none_listed(lab)

    # Another toolstack makes the VM anew at each start, with a uuid that was never there.
    dom0.run(f"rm {XAPI}/{UUIDS[0]}.conf")
    say(lab, UUIDS[1], ON)
    g = lab.create("web1", "pv", payload=True, config=f'uuid = "{UUIDS[1]}"')
    vgpu.wait_listed(lab)
    vgpu.run_program(g, "vecadd")
    g.destroy()
    vgpu.wait_none_listed(lab)
    dom0.run(f"kill {pid}")
    assert attachd.wait().status == 0
    lab.log.save("attachd", attachd.err.decode(errors="replace"))
    dom0.run(f"rm -r {SITE}")
    pvgpud.stop()
    lab.keepers.remove(pvgpud)
