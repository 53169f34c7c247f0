# SPDX-License-Identifier: MIT
"""A guest boots with a vGPU that was attached before its kernel runs: the module is loaded automatically, /dev/pvgpu0
exists, and a program finds the GPU. PV and PVH."""
import vgpu

LIMIT = 420


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
    c.quit()
    v.wait_statistics(sessions=0, sessions_total=2, sessions_failed=0, memory_used=0)
    v.detach()
    g.destroy()


def run(lab):
    pvgpud = vgpu.Pvgpud(lab).start()
    check(lab, pvgpud, "pv")
    check(lab, pvgpud, "pvh")
    pvgpud.stop()
    lab.keepers.remove(pvgpud)
