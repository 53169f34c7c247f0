# SPDX-License-Identifier: MIT
"""A worker is killed while its program waits for a kernel, copies, or is idle: each later call of the program returns an
error and none hangs; a new session works; the worker of the other guest goes on. pvgpu-health is killed, too: it is
started again, and workers' use of the GPU is counted again."""
import vgpu
import world

WORLD = world.TwoGuests
LIMIT = 420
LONG = True


def busy_waiting(c):
    c.want("spin", "CUDA_SUCCESS")
    c.tell("sync")
    return "sync"


def busy_copying(c):
    c.tell("copy 2000000 0")
    assert c.answer("copy") == "1"
    return "copy"


STARTS = {"pv": (busy_waiting, busy_copying, None), "pvh": (busy_waiting, busy_copying, None)}


def check(w, g, other_pid, start):
    c = vgpu.Cuda(g)
    pid, = set(w.pvgpud.wait_workers(2)) - {other_pid}
    word = start(c) if start else None
    failed = w.vgpus[g].statistics().get("sessions-failed", 0)
    w.pvgpud.place.run(f"kill -9 {pid}")
    if word:
        got = c.answer(word)
        assert got.startswith("CUDA_ERROR_"), got
    c.is_lost()
    w.vgpus[g].wait_statistics(sessions=0, sessions_failed=failed + 1, memory_used=0)
    # A new process starts while the old one still runs.
    assert vgpu.run_program(g, "vecadd").status == 0
    c.is_lost()
    c.quit()


def health(p):
    """The pid of pvgpu-health, None where there is none."""
    r = p.place.run("pidof pvgpu-health", check=False, quiet=True)
    return int(r.out) if r.status == 0 else None


def check_health(lab, p):
    first = health(p)
    p.place.run(f"kill -9 {first}")
    lab.wait("another pvgpu-health", lambda: health(p) not in (None, first))
    p.wait_log("pvgpu-health: works again")
    lab.wait("the accounting to be on", p.ready)


def run(lab, w):
    check_health(lab, w.pvgpud)
    for g, bystander in ((w.pv, w.pvh), (w.pvh, w.pv)):
        other = vgpu.Cuda(bystander)
        other_pid, = w.pvgpud.wait_workers(1)
        for start in STARTS[g.kind]:
            check(w, g, other_pid, start)
        other.want("check", "right")
        other.quit()
