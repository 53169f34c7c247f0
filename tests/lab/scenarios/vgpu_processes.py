# SPDX-License-Identifier: MIT
"""Several processes, each with several threads, in both guests at the same time: every result is right."""
import vgpu
import world

WORLD = world.TwoGuests
LIMIT = 420
LONG = True
PROGRAMS = ["threads", "streams", "perthread"]


def run(lab, w):
    want = {name: vgpu.output_of(lab, name) for name in PROGRAMS}
    guests = list(w.guests.values())
    shells = [vgpu.Cuda(g) for g in guests for _ in range(3)]
    assert len(set(w.pvgpud.wait_workers(len(shells)))) == len(shells), "sessions share a worker"
    for c in shells:
        c.tell("threads 4 3")
    jobs = [(g, name, g.start(vgpu.program(name))) for g in guests for name in PROGRAMS]
    for c in shells:
        assert c.answer("threads", 300) == "right"
        c.want("launch 200", "right")
        c.quit()
    for g, name, job in jobs:
        r = job.wait(300)
        assert (r.status, r.out) == (0, want[name]), f"{g.name}: {name}: {r.status}, {r.out}{r.err}"
    for v in w.vgpus.values():
        v.wait_statistics(sessions=0, memory_used=0)
