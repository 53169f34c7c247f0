# SPDX-License-Identifier: MIT
"""vGPUs come and go while the guest runs: idle, with a process that has a session, with a kernel and with copies in
flight. Programs get errors and never hang; a vGPU that is attached again works."""
import vgpu
import world

WORLD = world.TwoGuests
LIMIT = 420


def detach_in_flight(v, start):
    """Detach while start(program) has work in flight; v is closed, and its program gets an error."""
    c = vgpu.Cuda(v.guest)
    word = start(c)
    v.ask_detach()
    got = c.answer(word)
    assert got.startswith("CUDA_ERROR_"), f"'{word}' during a detach gave {got}"
    c.is_lost()
    v.finish_detach()
    # The program still has the device open and its memory mapped; it can end normally.
    c.is_lost()
    c.quit()


def in_kernel(c):
    c.want("spin", "CUDA_SUCCESS")
    c.tell("sync")
    return "sync"


def in_copies(c):
    c.tell("copy 1000000 0")
    assert c.answer("copy") == "1"
    return "copy"


BOTH = (in_kernel, in_copies)
IN_FLIGHT = {"pv": BOTH, "pvh": BOTH}
QUICK = {"IN_FLIGHT": {"pv": BOTH}}


def check(lab, w, g, in_flight=BOTH):
    v = w.vgpus[g]
    node = f"/dev/pvgpu{v.number}"
    v.detach()
    lab.wait(f"{node} to go", lambda: g.run(f"[ ! -e {node} ]", check=False, quiet=True).status == 0)
    r = vgpu.run_program(g, "vecadd", check=False)
    assert r.status == 1 and "CUDA_ERROR_NO_DEVICE" in r.err, vars(r)
    v.attach()
    v.wait_connected()
    assert vgpu.run_program(g, "vecadd").status == 0

    # A second one beside it.
    second = w.pvgpud.attach(g, number=1)
    c = vgpu.Cuda(g, env="PVGPU_DEVICE=/dev/pvgpu1")
    c.want("check", "right")
    c.quit()
    second.wait_statistics(sessions_total=1)
    second.detach()

    for start in in_flight:
        detach_in_flight(v, start)
        v.attach()
        v.wait_connected()
    assert vgpu.run_program(g, "vecadd").status == 0


def run(lab, w):
    for kind in IN_FLIGHT:
        g, bystander = (w.pv, w.pvh) if kind == "pv" else (w.pvh, w.pv)
        # The other guest works all the time and is not affected.
        other = vgpu.Cuda(bystander)
        other.tell("load 0")
        assert other.answer("load") == "1"
        check(lab, w, g, IN_FLIGHT[kind])
        assert other.process.status is None and other.process.out.endswith(b"load 1\n"), other.process.out
        other.kill()
