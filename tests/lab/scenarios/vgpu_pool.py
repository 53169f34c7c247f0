# SPDX-License-Identifier: MIT
"""A pool of two hosts, each with Xen, pvgpud, pvgpu-attachd, pvgpu-xapi and the hooks, and xapi's double over both. A VM with a vGPU is migrated live from one to
the other and back: not while a program uses the vGPU, and then with the same vGPU, which works there; nothing is left on the host that it came from. Its value is
changed on either host. In the end the second host loses its power, and the VM starts on the first with its vGPU."""
import json
import threading

import machine
import vgpu
import xcpng
from xapi import ApiError

BOOT = machine.Boot(link=True, memory=3072, dom0_memory=1280)
LIMIT = 1500
LONG = True
PROFILES = b"[profile small]\nmemory = 200M\n"
UUID = "9c1b7a52-3f60-4f8e-8d55-0a2f6c1e7b90"


def relay(source, to):
    try:
        while data := source.recv(65536):
            to.sendall(data)
    except OSError:
        pass  # a machine has ended


def listed(m):
    return json.loads(m.dom0.run(f"{vgpu.CTL} list --json", quiet=True, limit=300).out)["vgpus"]


def wait_connected(m):
    return m.wait("the vGPU to connect", lambda: (v := listed(m)) and v[0]["connected"] and v[0], 180)


def wait_nothing(m):
    m.wait("nothing to be left of the vGPU", lambda: not listed(m), 180)
    left = m.dom0.run("xenstore-ls -f | grep -E '/(backend|device)/pvgpu/'", check=False, quiet=True).out
    assert not left, left


def computes(g):
    assert vgpu.run_program(g, "vecadd").out.startswith("vecadd: 100003 sums")


def moves(pool, vm, g, machines):
    first = wait_connected(machines[0])
    computes(g)
    boot_id = g.run("cat /proc/sys/kernel/random/boot_id").out
    c = vgpu.Cuda(g)
    c.want("check", "right")
    try:
        pool.migrate(vm, pool.hosts[1])
        raise AssertionError("migrated under a running program")
    except ApiError as e:
        assert e.code == "XAPI_HOOK_FAILED" and "programs use its vGPUs and would fail" in e.params[2], e.params
    c.want("check", "right")
    c.quit()
    machines[0].wait("no program to use the vGPU", lambda: not listed(machines[0])[0]["statistics"]["sessions"])
    for here, there in ((0, 1), (1, 0)):
        pool.migrate(vm, pool.hosts[there])
        v = wait_connected(machines[there])
        assert (v["uuid"], v["profile"]) == (first["uuid"], "small"), v
        computes(g)
        wait_nothing(machines[here])
    assert g.run("cat /proc/sys/kernel/random/boot_id").out == boot_id


def power_fails(pool, vm, machines):
    pool.migrate(vm, pool.hosts[1])
    wait_connected(machines[1])
    pool.vm_set_other_config(vm, {"pvgpu": "off"})
    wait_nothing(machines[1])
    pool.vm_set_other_config(vm, {"pvgpu": "small"})
    wait_connected(machines[1])
    pool.hosts[1].lose_power()
    pool.vms[vm].update(power_state="Halted", resident_on="OpaqueRef:NULL", domid="-1")
    pool.touch(vm)
    pool.start(vm, pool.hosts[0])
    wait_connected(machines[0])
    computes(pool.only.guests[UUID])


def run(lab):
    other = machine.Machine(lab.images, BOOT, lambda text: lab.log(f"host 2: {text}"))
    other.log.save = lambda name, text: lab.log.save(f"{name}-host2", text)
    pool = None
    with other:
        machines = (lab, other)
        for pair in ((lab.link, other.link), (other.link, lab.link)):
            threading.Thread(target=relay, args=pair, daemon=True).start()
        pool = xcpng.Pool(lab, "root", "secret", other)
        try:
            here, _ = [vgpu.Pvgpud(m).start() for m in machines]
            for host in pool.hosts:
                host.follow(PROFILES)
            vm = pool.add_vm("web1", {"pvgpu": "small"}, UUID)
            pool.start(vm, pool.hosts[0])
            moves(pool, vm, pool.only.guests[UUID], machines)
            power_fails(pool, vm, machines)
            pool.ends(vm)
            wait_nothing(lab)
            pool.only.stop()
        finally:
            pool.close()
    here.stop()
    lab.keepers.remove(here)
