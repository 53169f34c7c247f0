# SPDX-License-Identifier: MIT
"""CloudStack from end to end, on real Xen: pvgpu-cloudstack between the doubles of CloudStack and of xapi, pvgpu-xapi, the hook, the xe plugin and
pvgpu-attachd. The toggle is on and the VM starts, a CUDA program runs; off while one runs; on again while the VM runs; stopped and started again as
CloudStack does, as a VM with another uuid; refusals change nothing; in the end nothing is left."""
import pathlib
import re
import subprocess
import sys

import vgpu
import xcpng
from cloudstack import Cloud

LIMIT = 900
LONG = True

TOOL = pathlib.Path(__file__).resolve().parents[3] / "xen-pvgpu-back/cloudstack/pvgpu-cloudstack"
ACCOUNT = "5f2c9a34-0b1e-4c6d-9a57-2d8e1f3b4c60"
USER, PASSWORD = "operator", "a password & <more>"
PROFILES = b"[profile small]\nmemory = 200M\n[profile big]\nmemory = 64G\n"
ON, OFF = f"small tenant:{ACCOUNT}", "off"


class Site:
    def __init__(self, lab):
        self.lab, self.pool, self.cloud = lab, xcpng.Pool(lab, USER, PASSWORD), Cloud()
        self.host = self.pool.only
        self.cloud.pool = self.pool
        self.cloud.accounts["a1"] = {"id": ACCOUNT, "name": "alice", "domainid": "d1"}
        self.cloud.offerings["o1"] = {"id": "o1", "name": "small"}
        self.cloud_host = self.cloud.add_host("xcp1", "127.0.0.1")
        self.folder = pathlib.Path(self.pool.folder)
        for name, text in (("keys", "api-key = the-api-key\nsecret-key = a~secret*key/+\n"), ("login", f"user = {USER}\npassword = {PASSWORD}\n")):
            (self.folder / name).write_text(text)
            (self.folder / name).chmod(0o600)
        (self.folder / "conf").write_text(f"[cloudstack]\nurl = {self.cloud.url}\nkeys = {self.folder}/keys\n"
                                          f"[pool p1]\nurl = http://127.0.0.1:{self.pool.serve()}\nlogin = {self.folder}/login\ntimeout = 600\n"
                                          f"[state]\ndir = {self.folder}/state\n[toggle]\nwait = 300\n")

    def close(self):
        self.cloud.close()
        self.pool.close()

    def tool(self, *words, status=0):
        self.lab.log(f"$ pvgpu-cloudstack {' '.join(words)}")
        done = subprocess.run([sys.executable, TOOL, "--config", self.folder / "conf", *words], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=900, check=False)
        self.lab.log(f"    {done.stdout}{done.stderr}    status {done.returncode}")
        assert done.returncode == status, done
        return done

    def start(self, vm):
        """As CloudStack does: a VM that never was, with the lines of the extra configuration. Its guest."""
        self.cloud.start(vm, self.cloud_host, polls=0)
        assert vm["state"] == "Running", vm
        return self.host.guests[self.pool.of(vm["instancename"])["uuid"]]


def toggle(vm):
    return vm["details"].get("extraconfig-1", "").partition("=")[2]


def first_life(lab, site, vm):
    site.tool("enable", "web1", "--profile", "small")
    assert toggle(vm) == ON, vm["details"]
    g = site.start(vm)
    v = vgpu.wait_listed(lab, 180)
    assert (v["profile"], v["tenant"], v["memory"]) == ("small", ACCOUNT, 200 << 20), v
    site.tool("status", "web1")
    assert vgpu.run_program(g, "vecadd").out.startswith("vecadd: 100003 sums")

    site.tool("enable", "web1", "--profile", "big", status=1)
    assert toggle(vm) == ON and vgpu.listed(lab)[0]["profile"] == "small"

    c = vgpu.Cuda(g)
    c.want("check", "right")
    site.tool("disable", "web1", "--force")
    c.is_lost()
    c.quit()
    assert toggle(vm) == OFF
    vgpu.wait_none_listed(lab, 180)
    r = vgpu.run_program(g, "vecadd", check=False)
    assert r.status == 1 and "CUDA_ERROR_NO_DEVICE" in r.err, vars(r)

    site.tool("enable", "web1", "--profile", "small")
    vgpu.wait_listed(lab, 180)
    vgpu.run_program(g, "vecadd")


def next_lives(lab, site, vm):
    """The toggle lasts; one that is off lasts, too."""
    uuids = {site.pool.of("i-2-100-VM")["uuid"]}
    site.cloud.stop(vm)
    vgpu.wait_none_listed(lab, 180)
    g = site.start(vm)
    uuids.add(site.pool.of("i-2-100-VM")["uuid"])
    assert len(uuids) == 2
    vgpu.wait_listed(lab, 180)
    vgpu.run_program(g, "vecadd")
    # CloudStack stops it under a running program.
    c = vgpu.Cuda(g)
    c.want("check", "right")
    site.cloud.stop(vm)
    vgpu.wait_none_listed(lab, 180)
    site.tool("disable", "web1")
    assert toggle(vm) == OFF


def refused_start(lab, site, vm):
    """A line that CloudStack has and this host cannot serve: xapi's hook ends the start, with the reason."""
    vm["details"]["extraconfig-1"] = "other_config:pvgpu=big"
    site.cloud.start(vm, site.cloud_host, polls=0)
    job = list(site.cloud.jobs.values())[-1]
    text = job["jobresult"]["errortext"]
    assert vm["state"] == "Stopped" and re.search("XAPI_HOOK_FAILED.*big", text, re.S), job
    assert vm["instancename"] not in lab.domains()


def run(lab):
    pvgpud = vgpu.Pvgpud(lab).start()
    site = Site(lab)
    try:
        site.host.follow(PROFILES)
        vm = site.cloud.add_vm("web1", "i-2-100-VM")
        first_life(lab, site, vm)
        next_lives(lab, site, vm)
        refused_start(lab, site, vm)
        vgpu.wait_none_listed(lab, 180)
        site.host.stop()
    finally:
        site.close()
    pvgpud.stop()
    lab.keepers.remove(pvgpud)
