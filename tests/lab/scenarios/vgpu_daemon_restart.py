# SPDX-License-Identifier: MIT
"""pvgpud is killed and started again under load: sessions go on and finish with right results, new ones work, requests made
meanwhile are answered afterwards, and no state in xenstore changes."""
import vgpu
import world

WORLD = world.TwoGuests
LIMIT = 420
LONG = True


def run(lab, w):
    guests = list(w.guests.values())
    loads = [vgpu.Cuda(g) for g in guests]
    copies = [vgpu.Cuda(g) for g in guests]
    kernels = [vgpu.Cuda(g) for g in guests]
    for c in loads:
        c.tell("load 0")
        assert c.answer("load") == "1"
    for c in copies:
        c.tell("copy 500000 30")
        assert c.answer("copy") == "1"
    for c in kernels:
        c.want("spin", "CUDA_SUCCESS")
        c.tell("sync")
    before = set(w.pvgpud.wait_workers(6))
    moved = [lab.dom0.start(f"exec xenstore-watch {v.front}/state {v.back}/state") for v in w.vgpus.values()]
    for p in moved:
        p.wait_output(r"/state\n(?s:.*)/state\n")    # each watch fires once when it is set
    seen = [bytes(p.out) for p in moved]

    w.pvgpud.kill()
    # Without pvgpud: requests are sent, and a session ends.
    late = [vgpu.Cuda(g, opened=False) for g in guests]
    for c in late:
        c.tell("open")
    for c in kernels:
        c.kill()
    w.pvgpud.start()
    for c in late:
        assert c.answer("open") == "CUDA_SUCCESS"
        c.want("check", "right")
    for c in copies:
        assert c.answer("copy", 300) == "right"
    now = set(w.pvgpud.wait_workers(6))
    assert len(now & before) == 4, f"of the workers {before} only {now & before} were taken over"
    # A second restart at once: workers are adopted that the first new pvgpud may not have adopted yet.
    w.pvgpud.restart()
    w.pvgpud.kill()
    w.pvgpud.start()
    for c in copies + late:
        c.want("check", "right")
        c.quit()
    for c in loads:
        assert c.process.status is None and c.process.out.endswith(b"load 1\n"), c.process.out
        c.kill()
    w.pvgpud.wait_workers(0)
    assert vgpu.run_program(guests[0], "vecadd").status == 0
    for v, p, old in zip(w.vgpus.values(), moved, seen):
        assert v.states() == (vgpu.CONNECTED, vgpu.CONNECTED)
        p.kill()
        p.wait()
        assert bytes(p.out) == old, f"states have moved: {p.out}"
