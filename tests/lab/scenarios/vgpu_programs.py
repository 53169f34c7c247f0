# SPDX-License-Identifier: MIT
"""Test programs in a PV and in a PVH guest: copies of all shapes, pinned memory, streams, events, host functions, faults,
forks, two of the runtime API; the same output as directly on the GPU. Guests' memory is not registered with CUDA, since dom0
is a PV domain. Then nearly all memory that a guest can share is pinned: copies use the rest, and without any they are sent inside records."""
import vgpu
import world

WORLD = world.TwoGuests
LIMIT = 600
LONG = True
MIB = 1 << 20
PV = {"assert": "", "callbacks": "", "contexts": "", "copies": "100003", "errors": "", "fork": "", "launch": "", "library": "",
      "matmul": "", "perthread": "", "pinned": "", "printf": "", "streams": "", "threads": "", "cudart/gemm": ""}
PVH = {"callbacks": "", "copies": "70001", "pinned": "", "streams": "", "vecadd": "", "cudart/fft": ""}


def check_program(lab, guest, name, arguments):
    # A kernel's output arrives in one line or in several.
    r = vgpu.run_program(guest, name, arguments, check=False)
    assert r.status == 0, f"{guest.name}: {name}: status {r.status}: {r.out[-200:]} {r.err[-500:]}"
    there = vgpu.output_of(lab, name, arguments)
    assert r.out == there, f"{guest.name}: {name} says '{r.out[-500:]}', on the GPU itself '{there[-500:]}'"


def check_shortage(lab, pvgpud):
    g = lab.create("short", "pv", memory=448, payload=True)
    v = pvgpud.attach(g)
    c = vgpu.Cuda(g)
    c.want(f"pin {60 * MIB}", "CUDA_SUCCESS")
    c.want(f"pin {40 * MIB}", "CUDA_SUCCESS")
    # Regions would double to far more than the 28 MiB that are left.
    c.tell(f"copy {64 * MIB} 1")
    assert c.answer("copy", 240) == "1"
    assert c.answer("copy", 240) == "right"
    # What is left goes piece by piece; behind that pinned memory is ordinary memory.
    for size in (4 * MIB, MIB, 65536, 4096):
        for _ in range(40):
            c.want(f"pin {size}", "CUDA_SUCCESS")
    c.want("check", "right")
    c.quit()
    c = vgpu.Cuda(g)
    c.want(f"pin {60 * MIB}", "CUDA_SUCCESS")
    c.quit()
    v.detach()
    g.destroy()


def run(lab, w):
    for name, arguments in PV.items():
        check_program(lab, w.pv, name, arguments)
    for name, arguments in PVH.items():
        check_program(lab, w.pvh, name, arguments)
    check_shortage(lab, w.pvgpud)
