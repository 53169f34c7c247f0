# SPDX-License-Identifier: MIT
"""Two processes of a guest share a tensor on real Xen: memory, events that order them, physical memory and a pool, in a PV and in a PVH guest
at the same time; the output is that of the GPU itself, the memory is counted once and given back."""
import vgpu
import world

WORLD = world.TwoGuests
LIMIT = 420
LONG = True


def run(lab, w):
    want = vgpu.output_of(lab, "sharing")
    jobs = [(g, g.start(vgpu.program("sharing"))) for g in w.guests.values()]
    for g, job in jobs:
        r = job.wait(300)
        assert (r.status, r.out) == (0, want), f"{g.name}: sharing: {r.status}, {r.out}{r.err}"
    for v in w.vgpus.values():
        v.wait_statistics(sessions=0, sessions_failed=0, memory_used=0)
