# SPDX-License-Identifier: MIT
"""A guest boots with a vGPU that was attached before its kernel runs: the module is loaded automatically, /dev/pvgpu0
exists, and a program finds the GPU. Its use is shown by the module and by pvgpu-smi. PV and PVH."""
import re

import vgpu

LIMIT = 420


def use(guest):
    """(bytes, sessions, microseconds) as the module shows them."""
    return tuple(map(int, re.fullmatch(r"memory-used=(\d+) sessions=(\d+) gpu-time=(\d+)\n",
                                       guest.run("cat /sys/class/misc/pvgpu0/device/usage", quiet=True).out).groups()))


def shown(guest, v):
    """What the module shows, when it is what the backend has written, with the memory of the session's context, which comes later."""
    now = use(guest)
    return now if now[0] and now[:2] == (v.statistics()["memory-used"], 1) else None


def check_monitor(lab, guest, v):
    """While a session is open the module shows what the backend has written, and pvgpu-smi prints it."""
    v.wait_statistics(sessions=1)
    now = lab.wait("the use to be shown", lambda: shown(guest, v), 60)
    assert now[2] <= v.statistics()["gpu-time"], (now, v.statistics())
    fields = "memory.total,memory.used,utilization.gpu"

    def printed():
        out = guest.run(f"{vgpu.TOP}/bin/pvgpu-smi --query-gpu={fields} --format=csv,noheader,nounits").out
        total, used, part = map(int, out.split(","))
        assert total == 300 and 0 <= part <= 100, out
        return used == use(guest)[0] >> 20
    lab.wait("pvgpu-smi to print it", printed, 60)


def check(lab, pvgpud, kind):
    g = lab.create(kind, kind, payload=True, paused=True)
    v = pvgpud.attach(g, memory="300M", policy="--weight 200", wait=False)
    g.start_running()
    v.wait_connected()
    assert g.run("stat -c '%F %a' /dev/pvgpu0").out == "character special file 666\n"
    assert "pvgpu" in g.run("lsmod").out
    assert g.run("cat /sys/bus/xen/devices/pvgpu-0/uuid").out.strip() == v.uuid
    out = vgpu.run_program(g, "vecadd").out
    assert out.startswith("vecadd: 100003 sums, digest "), out
    c = vgpu.Cuda(g)
    free, total = map(int, c.ask("memory").split())
    assert total == 300 << 20, total
    assert free < total
    check_monitor(lab, g, v)
    c.quit()
    v.wait_statistics(sessions=0, sessions_failed=0, memory_used=0)
    lab.wait("the use to be shown", lambda: use(g)[:2] == (0, 0), 60)
    v.detach()
    g.destroy()


def run(lab):
    pvgpud = vgpu.Pvgpud(lab).start()
    check(lab, pvgpud, "pv")
    check(lab, pvgpud, "pvh")
    pvgpud.stop()
    lab.keepers.remove(pvgpud)
