# SPDX-License-Identifier: MIT
"""One user of a guest cannot take the vGPU from the others: a user's sessions and granted pages are limited, and one that breaks
the protocol gets no new sessions before the vGPU is in quarantine. PV and PVH."""
import re

import vgpu

LIMIT = 420
LONG = True


def check(lab, pvgpud, kind):
    g = lab.create(kind, kind, memory=256, payload=True)
    v = pvgpud.attach(g)
    out = g.run(f"{vgpu.TOP}/tests/lab-device users", limit=300).out
    assert out.startswith("device "), out
    assert "of uid 1000 broke the protocol 2 times" in g.run("dmesg", quiet=True).out
    # The vGPU still serves others.
    assert vgpu.run_program(g, "vecadd").status == 0
    # pvgpud has counted one fault more than pvgpu.ko did: that user is quarantined, and nobody else.
    log = pvgpud.log()
    assert "user 1000 of its guest quarantined" in log, log
    assert not re.search(r"vgpu \S+: quarantined", log), log
    v.detach()
    g.destroy()


def run(lab):
    pvgpud = vgpu.Pvgpud(lab, quarantine_faults="4").start()
    check(lab, pvgpud, "pv")
    check(lab, pvgpud, "pvh")
    pvgpud.stop()
    lab.keepers.remove(pvgpud)
