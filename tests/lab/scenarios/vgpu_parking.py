# SPDX-License-Identifier: MIT
"""Device memory of programs in a PV and in a PVH guest is parked. They find the same values, after pvgpud is killed, too; a vGPU that is detached, and a guest that
is saved or migrated, while memory is parked lose their sessions with one error, and nothing is left. Then two programs work in turns that
need more memory together than the GPU has."""
import json

import vgpu
import world

MIB = 1 << 20
KEPT = 24 * MIB
IDLE_MS = 200


class Crowded(world.TwoGuests):
    """Two vGPUs whose memory is more than the GPU's together."""
    PVGPUD = {"env": {"SIMCUDA_MEMORY": "40M"}, "park_idle_ms": str(IDLE_MS), "pools": "[pool default]\ndevice = 0\novercommit = 4.0\npark_memory = 256M\n"}
    VGPU = {"memory": "32M", "policy": "--memory-reserve 4M"}


WORLD = Crowded
LIMIT = 1200
LONG = True


def listed(v):
    """The vGPU's memory as pvgpuctl lists it: in use, and parked of that."""
    found = json.loads(v.lab.dom0.run(f"{vgpu.CTL} list --json", quiet=True).out)["vgpus"]
    said, = (x["statistics"] for x in found if x["uuid"] == v.uuid)
    return said["memory-used"], said["memory-parked"]


def counted(v):
    """The vGPU's statistics, also those that are not in xenstore."""
    out = v.pvgpud.place.run(f"{vgpu.CTL} stats --json --local --run-dir {vgpu.RUN_DIR}", quiet=True).out
    said, = (x for x in json.loads(out)["vgpus"] if x["name"] == v.name())
    return said


def keeps(guest, v):
    """A program that has filled memory, and the bytes that it has on the GPU besides."""
    c = vgpu.Cuda(guest)
    c.want("check", "right")
    before = counted(v)["memory-used"]
    c.want(f"keep {KEPT}", "CUDA_SUCCESS")
    return c, before


def wait_parked(v, besides):
    """All that it keeps is listed as parked, and no more is on the GPU than `besides`."""
    def away():
        used, parked = listed(v)
        return used >= KEPT and parked >= KEPT and used - parked <= besides
    v.lab.wait(f"the memory of {v.guest.name}'s vGPU to be parked", away)


def on_gpu(w):
    return w.pvgpud.gpu_memory()[1] * MIB


def goes_on(c, v):
    """Its next command brings all of it back."""
    c.want("kept", "right")
    v.wait_statistics(memory_parked=0)


def operator(w, v):
    """Parked and brought back, by a command of the program's and by an operator."""
    c, besides = keeps(v.guest, v)
    held = on_gpu(w)
    v.ctl("park")
    wait_parked(v, besides)
    v.lab.wait("the GPU's own count to follow", lambda: on_gpu(w) <= held - KEPT)
    c.want("memory", f"memory {32 * MIB - listed(v)[0]} {32 * MIB}".partition(" ")[2])
    assert listed(v)[1] >= KEPT, "a question about memory has brought it back"
    goes_on(c, v)
    wait_parked(v, besides)
    v.ctl("resume")
    v.wait_statistics(memory_parked=0)
    c.want("kept", "right")
    return c, besides


def restarts(w, v, c, besides):
    """pvgpud is killed, and hands over, while memory is parked; the policy outlives it."""
    v.ctl("park")
    for end in (w.pvgpud.kill, lambda: w.pvgpud.end("USR1")):
        wait_parked(v, besides)
        end()
        w.pvgpud.start()
        wait_parked(v, besides)
        goes_on(c, v)
    wait_parked(v, besides)


def wanted_meanwhile(w, v, c, besides):
    """A program wants its memory while there is no pvgpud: it waits for the next one."""
    wait_parked(v, besides)
    w.pvgpud.kill()
    c.tell("kept")
    w.pvgpud.start()
    assert c.answer("kept") == "right"


def nothing_is_left(w, c, spare):
    c.is_lost()
    c.quit()
    w.pvgpud.wait_workers(0)
    w.lab.wait("nothing of it on the GPU", lambda: w.pvgpud.gpu_memory() == spare)


def detached(w, v, c, besides, spare):
    wait_parked(v, besides)
    v.detach()
    nothing_is_left(w, c, spare)
    v.attach()
    v.wait_connected()
    assert vgpu.run_program(v.guest, "vecadd").status == 0


def moved(lab, w, kind, spare):
    """Emulated Xen migrates no PV guest: that one is saved and restored."""
    g = lab.create(f"moving-{kind}", kind, memory=256, payload=True)
    v = w.pvgpud.attach(g, **Crowded.VGPU)
    c, besides = keeps(g, v)
    v.ctl("park")
    wait_parked(v, besides)
    if kind == "pv":
        g.save("/run/saved")
        v.remove()
        g.restore("/run/saved", before=v.attach)
        lab.dom0.run("rm /run/saved")
    else:
        old = v.directories()
        g.migrate(before=v.attach)
        v.remove(*old)
    v.wait_connected(180)
    nothing_is_left(w, c, spare)
    assert vgpu.run_program(g, "vecadd").status == 0
    v.detach()
    g.destroy()


def take_turns(w):
    """Each of two has more than half of the GPU's memory, and the other one's leaves for it."""
    vgpus = list(w.vgpus.values())
    (a, _), (b, _) = (keeps(v.guest, v) for v in vgpus)
    for _ in range(3):
        for c, v, other in ((a, *vgpus), (b, *reversed(vgpus))):
            c.want("kept", "right")
            assert listed(other)[1] >= KEPT, f"{other.guest.name}'s memory is on the GPU, too"
            v.wait_statistics(memory_parked=0)
    for c, v in zip((a, b), vgpus):
        c.quit()
        v.wait_statistics(sessions=0, sessions_failed=0, memory_used=0, memory_parked=0)
        said = counted(v)
        assert said["parks"] >= 3 and said["memory-refused"] == 0, said


def held_and_detached(w, v, spare):
    """One session, parked under all that happens to pvgpud, until its vGPU is detached."""
    c, besides = operator(w, v)
    restarts(w, v, c, besides)
    wanted_meanwhile(w, v, c, besides)
    detached(w, v, c, besides, spare)


def run(lab, w):
    spare = w.pvgpud.gpu_memory()
    for v in w.vgpus.values():
        held_and_detached(w, v, spare)
    for kind in w.KINDS:
        moved(lab, w, kind, spare)
    take_turns(w)
