# SPDX-License-Identifier: MIT
"""A guest with work of every kind in flight is destroyed: no grant, event channel, key, process or byte of GPU memory
is left. The runner compares all of them with the state before; others are not affected. In make check vgpu_migrate destroys its
guests in this way."""
import vgpu
import world

WORLD = world.TwoGuests
LIMIT = 420
LONG = True


def check(lab, w, kind, bystander, kept):
    free = lab.free_memory()
    g = lab.create(f"doomed-{kind}", kind, payload=True)
    destroy(lab, w, w.pvgpud.attach(g, memory="100M"), bystander, free - kept)


def destroy(lab, w, v, bystander, wanted):
    """Destroy the vGPU's guest under its work; so many MiB must be free then."""
    g = v.guest
    other = vgpu.Cuda(bystander)
    other.tell("load 0")
    assert other.answer("load") == "1"
    used = w.pvgpud.gpu_memory()
    programs = [vgpu.Cuda(g) for _ in range(3)]
    programs[0].want("spin", "CUDA_SUCCESS")
    programs[0].tell("sync")
    programs[1].want("alloc 20000000", "CUDA_SUCCESS")
    programs[1].tell("copy 2000000 0")
    assert programs[1].answer("copy") == "1"
    programs[2].want("pin 2000000", "CUDA_SUCCESS")
    # Xen's console is slow: checked once only.
    assert g.kind != "pv" or vgpu.active_grants(lab).get((g.domid, 0), 0) > 500, "hardly anything is granted"
    assert w.pvgpud.gpu_memory() > used

    def memory_is_back():
        now = lab.free_memory()
        lab.say(f"{now} MiB are free, {wanted} must be")
        return now >= wanted

    domid = g.domid
    g.destroy()
    lab.wait("the domain's end", lambda: domid not in lab.domains().values())
    w.pvgpud.wait_workers(1)
    lab.wait("the GPU's memory to come back", lambda: w.pvgpud.gpu_memory()[1] <= used[1])
    v.remove()
    assert other.process.status is None and other.process.out.endswith(b"load 1\n"), other.process.out
    other.kill()
    lab.wait("all memory to come back", memory_is_back)


def run(lab, w):
    # Xen never shrinks its table of dom0's mappings.
    check(lab, w, "pv", w.pvh, kept=1)
    check(lab, w, "pvh", w.pv, kept=0)
