# SPDX-License-Identifier: MIT
"""/dev/pvgpu0 answers buggy and hostile processes as its header specifies, and processes that are killed at any moment of
a session's life leave nothing behind; PV and PVH."""
import vgpu
import world

WORLD = world.TwoGuests
LIMIT = 420
LONG = True


def check(w, g):
    before = g.run("dmesg | wc -l").out.strip()
    out = g.run(f"{vgpu.TOP}/tests/lab-device", limit=300).out
    assert out.startswith("device "), out
    w.pvgpud.wait_workers(0)
    assert vgpu.run_program(g, "vecadd").status == 0
    vgpu.assert_kernel_well(g, before)


def run(lab, w):
    check(w, w.pv)
    check(w, w.pvh)
