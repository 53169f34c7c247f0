# SPDX-License-Identifier: MIT
"""Eight guests (in make check three), PV and PVH, run different programs at once on one GPU: each program's output equals its
output alone, directly on the GPU."""
import vgpu
import world

WORLD = world.TwoGuests
LIMIT = 600
MORE = {"three": "pv", "four": "pv", "five": "pvh", "six": "pv", "seven": "pv", "eight": "pv"}
PROGRAMS = ["matmul", "nbody", "histogram", "scan", "reduce", "streams", "threads", "vecadd"]
QUICK = {"MORE": {"three": "pv"}, "PROGRAMS": ["perthread", "streams", "threads"]}


def run(lab, w):
    want = {name: vgpu.output_of(lab, name) for name in PROGRAMS}
    more = lab.create_all(list(MORE), list(MORE.values()), memory=176, payload=True)
    vgpus = [w.pvgpud.attach(g, memory="64M", policy=f"--weight {100 * (i + 1)}", wait=False) for i, g in enumerate(more)]
    for v in vgpus:
        v.wait_connected()
    guests = [*w.guests.values(), *more]
    failed = {v: v.statistics().get("sessions-failed", 0) for v in [*w.vgpus.values(), *vgpus]}
    jobs = [g.start(vgpu.program(name)) for g, name in zip(guests, PROGRAMS)]
    for g, name, job in zip(guests, PROGRAMS, jobs):
        r = job.wait(400)
        assert (r.status, r.out) == (0, want[name]), f"{g.name}: {name}: {r.status}, {r.out}{r.err}"
    for v, n in failed.items():
        v.wait_statistics(sessions=0, sessions_failed=n, memory_used=0)
    for v in vgpus:
        v.ask_detach()
    for v in vgpus:
        v.finish_detach()
    for g in more:
        g.destroy()
