# SPDX-License-Identifier: MIT
"""A driver domain serves two guests that have a vGPU of dom0's besides. Then it is destroyed under their work: programs
get errors and never hang, and the guests live. A PVH driver domain, as one with a passed-through GPU would be."""
import vgpu
import world

WORLD = world.TwoGuests
LIMIT = 600
SECOND = "PVGPU_DEVICE=/dev/pvgpu1"


def start_driver_domain(lab, kind):
    d = lab.create(f"gpu-{kind}", kind, memory=320, payload=True)
    return d, vgpu.Pvgpud(lab, d, **world.CHEAP).start()


def serve(p, guests):
    vgpus = [p.attach(g, number=1, wait=False) for g in guests]
    for v in vgpus:
        v.wait_connected()
    return vgpus


def check(lab, w, kind):
    guests = list(w.guests.values())
    d, p = start_driver_domain(lab, kind)
    vgpus = serve(p, guests)
    shells = [vgpu.Cuda(g, env=SECOND) for g in guests]
    assert len(p.wait_workers(2)) == 2
    assert not w.pvgpud.workers(), "dom0's pvgpud serves a driver domain's vGPU"
    for c in shells:
        c.want("threads 3 2", "right")
        c.want("copy 1000000 2", "1")
        assert c.answer("copy") == "right"
    own = vgpu.Cuda(guests[0])
    # Detached with an open session.
    vgpus[0].detach()
    shells[0].is_lost()
    shells[0].quit()
    vgpus[0].attach()
    vgpus[0].wait_connected()

    # Its end, with work of every kind in flight.
    shells[0] = vgpu.Cuda(guests[0], env=SECOND)
    shells[0].want("spin", "CUDA_SUCCESS")
    shells[0].tell("sync")
    shells[1].tell("copy 500000 0")
    assert shells[1].answer("copy") == "1"
    lab.keepers.remove(p)
    d.destroy()
    for v in vgpus:
        v.remove()
    for c, word in zip(shells, ("sync", "copy")):
        got = c.answer(word)
        assert got.startswith("CUDA_ERROR_"), got
        c.is_lost()
        c.quit()
    own.want("check", "right")
    own.quit()
    lab.wait("the driver domain's end", lambda: d.gone())


def run(lab, w):
    check(lab, w, "pvh")
