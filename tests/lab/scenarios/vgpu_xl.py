# SPDX-License-Identifier: MIT
"""vGPUs by profile, from the line `pvgpu` of xl's configuration: xl starts the VM with a line that it does not know, pvgpu-attachd attaches
what the profile says, a CUDA program runs, capacity counts down and up, a changed profile changes nothing until it is told to, and the VM
has its vGPU again after it is started anew."""
import json

import vgpu

LIMIT = 420
LONG = True

SITE = "/run/site"
PROFILES = """[profile small]
memory = 200M
weight = 50
per-gpu = 1
[profile large]
memory = 400M
min-share = 60%
"""
TENANTS = "[tenant 5f2c9a34-0b1e-4c6d-9a57-2d8e1f3b4c60]\nvgpus = 2\nmax-share = 80%\n"
TENANT = "5f2c9a34-0b1e-4c6d-9a57-2d8e1f3b4c60"
LINE = f'pvgpu = [ "profile=small,tenant={TENANT}" ]'


def fits(lab):
    """{profile: (how many more, what is in the way)}."""
    out = lab.dom0.run(f"{vgpu.CTL} capacity --json --site-dir {SITE}", quiet=True).out
    return {p["name"]: (p["fits"], p["limit"]) for p in json.loads(out)["backends"][0]["profiles"]}


def run(lab):
    dom0 = lab.dom0
    pvgpud = vgpu.Pvgpud(lab).start()
    dom0.run(f"mkdir -p {SITE}/vms.d")
    dom0.put_file(f"{SITE}/profiles.conf", PROFILES.encode())
    dom0.put_file(f"{SITE}/tenants.conf", TENANTS.encode())
    attachd = dom0.start(f"echo pid $$; exec {vgpu.TOP}/bin/pvgpu-attachd --config-dir {SITE}/vms.d --site-dir {SITE} --xl-dir /run")
    pid = attachd.wait_output(r"^pid (\d+)$")[1]
    assert fits(lab) == {"small": (1, "per-gpu"), "large": (1, "min-share")}, fits(lab)

    g = lab.create("web1", "pvh", payload=True, config=LINE)
    v = vgpu.wait_listed(lab)
    assert (v["profile"], v["tenant"], v["memory"], v["policy"]["weight"]) == ("small", TENANT, 200 << 20, 50), v
    assert fits(lab)["small"] == (0, "per-gpu"), fits(lab)
    out = vgpu.run_program(g, "vecadd").out
    assert out.startswith("vecadd: 100003 sums, digest "), out
    assert pvgpud.read(f"/group/{TENANT}/max-share") == "80%", pvgpud.read(f"/group/{TENANT}/max-share")

    dom0.put_file(f"{SITE}/profiles.conf", PROFILES.replace("200M", "300M").encode())
    assert vgpu.listed(lab)[0]["memory"] == 200 << 20
    r = dom0.run(f"{vgpu.CTL} refresh small --site-dir {SITE}")
    assert "memory: '209715200' -> '314572800'" in r.out, r.out
    c = vgpu.Cuda(g)
    assert int(c.ask("memory").split()[1]) == 300 << 20
    c.quit()

    # Started anew: another domain, the profile as it is now.
    g.destroy()
    lab.wait("nothing to be left of the vGPU", lambda: not vgpu.listed(lab))
    assert fits(lab)["small"] == (1, "per-gpu"), fits(lab)
    g = lab.create("web1", "pv", payload=True, config=LINE)
    assert vgpu.wait_listed(lab)["memory"] == 300 << 20
    vgpu.run_program(g, "vecadd")
    dom0.run(f"{vgpu.CTL} detach web1")
    g.destroy()
    dom0.run(f"kill {pid}")
    assert attachd.wait().status == 0
    lab.log.save("attachd", attachd.err.decode(errors="replace"))
    dom0.run(f"rm -r {SITE}")
    pvgpud.stop()
    lab.keepers.remove(pvgpud)
