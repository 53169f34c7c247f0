# SPDX-License-Identifier: MIT
"""Programs of two guests run on through `pvgpuctl drain-host` and `--undo`, longer than shutdown_grace_ms, while no other begins; an end
that --end-after announced is taken back in time; without that it comes, and new programs work after --undo."""
import time

import vgpu
import world
from scenarios.attach import ctl

WORLD = world.TwoGuests
LIMIT = 420
LONG = True
HOST = "drain-host --config-dir /run/none --xapi-dir /run/none"
GRACE_S = 5  # the default of shutdown_grace_ms


def well(shells):
    for c in shells:
        c.want("check", "right")


def run(lab, w):
    policies = {v: lab.store.read(f"{v.back}/policy") for v in w.vgpus.values()}
    shells = [vgpu.Cuda(g) for g in w.guests.values()]
    well(shells)
    said = ctl(lab, f"{HOST} --timeout {GRACE_S + 3}", 1).out
    assert said.count("1 program would fail when it moves") == 2, said
    well(shells)
    assert vgpu.run_program(w.pv, "vecadd", check=False).status, "a program began on a vGPU that drains"
    # The next pvgpud reads it in xenstore.
    w.pvgpud.restart()
    lab.wait("the sessions' adoption", lambda: len(w.pvgpud.workers()) == 2)
    assert vgpu.run_program(w.pv, "vecadd", check=False).status, "a program began on a vGPU that drains after a restart"
    well(shells)
    ctl(lab, f"{HOST} --undo")
    assert vgpu.run_program(w.pv, "vecadd").status == 0
    lab.dom0.run(f"{vgpu.CTL} {HOST} --end-after 0 --timeout 0; {vgpu.CTL} {HOST} --undo")
    w.pvgpud.wait_log("draining: running sessions are ended")
    time.sleep(GRACE_S + 3)
    well(shells)
    said = ctl(lab, f"{HOST} --end-after 0 --timeout 100", 1).out
    assert "would fail" not in said, said
    for c in shells:
        c.is_lost()
        c.quit()
    ctl(lab, f"{HOST} --undo")
    for g in w.guests.values():
        assert vgpu.run_program(g, "vecadd").status == 0
    for v, policy in policies.items():
        assert lab.store.read(f"{v.back}/policy") == f"{policy} drain=0"
        lab.store.write(f"{v.back}/policy", policy)
