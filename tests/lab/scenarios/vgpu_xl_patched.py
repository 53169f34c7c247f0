# SPDX-License-Identifier: MIT
"""xl with the patches of xen-pvgpu-back/xl: a domain's configuration with vGPUs, refusals, attach, detach and list, the domain saved and restored,
a driver domain. pvgpu-attachd sees the same lines all the time, and leaves those domains to xl."""
import io
import json
import pathlib
import re
import sys
import tarfile

import guest
import images
import vgpu
from channel import LabError

LIMIT = 900
LONG = True
SITE = "/etc/pvgpu"
TENANT = "5f2c9a34-0b1e-4c6d-9a57-2d8e1f3b4c60"
PROFILES = b"[profile small]\nmemory = 100M\nweight = 50\nper-gpu = 1\n[profile far]\nmemory = 64M\n"
LINE = f'pvgpu = [ "profile=small,tenant={TENANT}", "memory=64M,weight=300,id=4" ]'
NODES = r"/(backend|device)/pvgpu/|/libxl/[0-9]+/(device/)?pvgpu"


def install(lab):
    """The patched xl in place of the packaged one, until the function that this returns is called."""
    build = pathlib.Path(lab.images).parent.parent
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "xl"))
    import toolstack
    out = toolstack.Toolstack(build, toolstack.own_suite()).out
    if not (out / "xl").is_file():
        raise LabError("there is no patched xl: make xl-toolstack makes it")
    # Compressions of kernels, for which this machine had headers and dom0's image has no library.
    libraries = build / "lab/root/usr/lib" / images.ARCH
    there = lab.dom0.run(f"ls /usr/lib/{images.ARCH}", quiet=True).out.split()
    needed = {n for path in out.iterdir() for n in images.needed_libraries(path)[0]}
    more = [libraries / n for n in sorted(needed) if not (out / n).exists() and n not in there]
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", dereference=True) as tar:
        for path in sorted(out.iterdir()) + more:
            tar.add(path, path.name)
    lab.dom0.put_file("/run/xl.tar", packed.getvalue())
    lab.dom0.run("mkdir /opt/xl && tar -x -C /opt/xl -f /run/xl.tar && rm /run/xl.tar")
    lab.dom0.put_file("/opt/xl.sh", b'#!/bin/sh\nLD_LIBRARY_PATH=/opt/xl exec /opt/xl/xl "$@"\n')
    real = lab.dom0.run("readlink -f /usr/sbin/xl").out.strip()
    lab.dom0.run(f"chmod +x /opt/xl.sh; cp {real} /opt/xl.packaged; cp /opt/xl.sh {real}; ln -s {vgpu.CTL} /usr/sbin/pvgpuctl")
    return lambda: lab.dom0.run(f"cp /opt/xl.packaged {real} && rm -r /opt/xl /opt/xl.sh /opt/xl.packaged /usr/sbin/pvgpuctl")


def listed(lab, vm=""):
    return {v["id"]: v for v in json.loads(lab.dom0.run(f"{vgpu.CTL} list {vm} --json", quiet=True).out)["vgpus"]}


def wait_connected(lab, *ids):
    def there():
        v = listed(lab)
        return sorted(v) == sorted(ids) and all(x["connected"] for x in v.values()) and v
    return lab.wait(f"vGPUs {ids} to connect", there, 180)


def by_xl(lab, name):
    """{number: (backend, profile, uuid)} of xl pvgpu-list."""
    rows = [line.split() for line in lab.dom0.run(f"xl pvgpu-list {name}").out.splitlines()[1:]]
    return {int(r[0]): (int(r[1]), r[5], r[6]) for r in rows}


def device(g, number):
    """The setting for a vGPU: devices are numbered in the order in which they come, and xl attaches several at once."""
    return f"PVGPU_DEVICE=/dev/{g.run(f'ls /sys/bus/xen/devices/pvgpu-{number}/misc').out.strip()}"


def refused(lab, command, *texts):
    r = lab.dom0.run(command, check=False, limit=120)
    assert r.status and all(t in r.err for t in texts), (command, vars(r))


def create_and_list(lab):
    g = lab.create("web1", "pvh", payload=True, config=LINE)
    found = listed(lab)
    assert {i: (v["profile"], v["tenant"], v["memory"] >> 20, v["policy"]["weight"]) for i, v in found.items()} == \
        {0: ("small", TENANT, 100, 50), 4: ("", "", 64, 300)}, found
    assert lab.store.read(f"/libxl/{g.domid}/pvgpu") == "0 4"
    assert {i: (b, p, u) for i, (b, p, u) in by_xl(lab, "web1").items()} == \
        {i: (0, v["profile"] or "-", v["uuid"]) for i, v in found.items()}
    config = json.loads(lab.dom0.run("xl list -l web1").out)[0]["config"]
    assert [(p["devid"], p.get("profile"), p["uuid"]) for p in config["pvgpus"]] == \
        [(0, "small", found[0]["uuid"]), (4, None, found[4]["uuid"])], config["pvgpus"]
    wait_connected(lab, 0, 4)
    vgpu.run_program(g, "vecadd")
    return g


def refusals(lab):
    """The reason is pvgpuctl's, or the backend's; nothing is left."""
    text = guest.CONFIG.format(name="web2", kind="pv", ramdisk="/boot/guest.img", memory=128, vcpus=1, extra="", config='pvgpu = ["profile=small"]')
    lab.dom0.put_file("/run/web2.cfg", text.encode())
    dry = lab.dom0.run("xl create -n /run/web2.cfg").out
    assert '"pvgpus"' in dry and '"small"' in dry, dry
    refused(lab, "xl create /run/web2.cfg", "profile small fits on no GPU", "pvgpuctl has not attached vGPU 0")
    assert "web2" not in lab.domains()
    for bad, why in (("weight", "not KEY=VALUE"), ("id=x", "Invalid id"), ("uuid=x", "Invalid uuid")):
        refused(lab, f"xl create /run/web2.cfg 'pvgpu=[\"{bad}\"]'", why)
    refused(lab, "xl pvgpu-attach web1 weight=0", "weight", "from 1 to 10000")
    refused(lab, "xl pvgpu-attach web1 id=4 memory=64M", "already exists")
    refused(lab, "xl pvgpu-detach web1 9", "has attached no vGPU 9")
    assert sorted(by_xl(lab, "web1")) == sorted(listed(lab)) == [0, 4]
    lab.dom0.run("rm /run/web2.cfg")


def hotplug(lab, g, attachd_pid):
    """Numbers that other tools have are free for nobody; a detached vGPU stays away, whatever pvgpu-attachd reads."""
    lab.dom0.run(f"{vgpu.CTL} attach web1 --id 1 --memory 64M --no-wait")
    assert '"memory": "64M"' in lab.dom0.run("xl -N pvgpu-attach web1 memory=64M").out
    lab.dom0.run("xl pvgpu-attach web1 memory=64M,weight=7")
    wait_connected(lab, 0, 1, 2, 4)
    assert sorted(by_xl(lab, "web1")) == [0, 2, 4]
    c = vgpu.Cuda(g, env=device(g, 2))
    c.want("check", "right")
    lab.dom0.run("xl pvgpu-detach web1 2", limit=120)
    c.is_lost()
    c.quit()
    lab.dom0.run("xl pvgpu-detach web1 4", limit=120)
    lab.dom0.run(f"{vgpu.CTL} detach web1 --id 1 --timeout 120", limit=150)
    lab.dom0.run(f"kill -HUP {attachd_pid}")
    assert sorted(listed(lab)) == sorted(by_xl(lab, "web1")) == [0]


def save_and_restore(lab, g):
    before = wait_connected(lab, 0)[0]["uuid"]
    g.save("/run/saved")
    lab.wait("nothing to be left of the vGPU", lambda: not listed(lab))
    g.restore("/run/saved")
    assert wait_connected(lab, 0)[0]["uuid"] == before
    vgpu.run_program(g, "vecadd", env=device(g, 0))
    lab.dom0.run("rm /run/saved")


def driver_domain(lab, g):
    """Nobody there removes a vGPU's nodes: xl does."""
    d = lab.create("gpu", "pvh", memory=320, payload=True)
    p = vgpu.Pvgpud(lab, d).start()
    lab.dom0.run("xl pvgpu-attach web1 profile=far,backend=gpu", limit=120)
    wait_connected(lab, 0, 1)
    assert by_xl(lab, "web1")[1][:2] == (d.domid, "far")
    vgpu.run_program(g, "vecadd", env=device(g, 1))
    lab.dom0.run("xl pvgpu-detach web1 1", limit=120)
    assert sorted(listed(lab)) == [0]
    assert not lab.dom0.run(f"xenstore-ls -f /local/domain/{d.domid} | grep pvgpu/{g.domid}", check=False).out
    p.stop()
    lab.keepers.remove(p)
    d.destroy()


def run(lab):
    dom0 = lab.dom0
    restore = install(lab)
    pvgpud = vgpu.Pvgpud(lab).start()
    dom0.run(f"mkdir -p {SITE}/vms.d")
    dom0.put_file(f"{SITE}/profiles.conf", PROFILES)
    dom0.put_file(f"{SITE}/tenants.conf", f"[tenant {TENANT}]\nvgpus = 2\n".encode())
    attachd = dom0.start(f"echo pid $$; exec {vgpu.TOP}/bin/pvgpu-attachd --config-dir {SITE}/vms.d --site-dir {SITE} --xl-dir /run")
    pid = attachd.wait_output(r"^pid (\d+)$")[1]

    g = create_and_list(lab)
    refusals(lab)
    hotplug(lab, g, pid)
    save_and_restore(lab, g)
    driver_domain(lab, g)
    g.destroy()
    lab.wait("nothing to be left of the vGPU", lambda: not listed(lab))
    assert not dom0.run(f"xenstore-ls -f | grep -E '{NODES}'", check=False).out

    dom0.run(f"kill {pid}")
    assert attachd.wait().status == 0
    said = attachd.err.decode(errors="replace")
    lab.log.save("attachd", said)
    assert not re.search("attached vGPU|cannot be attached", said), said
    dom0.run(f"rm -r {SITE}")
    pvgpud.stop()
    lab.keepers.remove(pvgpud)
    restore()
