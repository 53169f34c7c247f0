# SPDX-License-Identifier: MIT
"""Programs whose GPU code other projects' compilers made: OpenMP and OpenACC by GCC, with its own libgomp, in a PV guest and some of them in a PVH
guest, and Halide's pipelines in both: the same output as directly on the simulated GPU."""
import pathlib

import foreign
import vgpu
import world

WORLD = world.TwoGuests
LIMIT = 2400
LONG = True
PLACE = "/opt/others"
LOADED = ["libgomp.so.1", "libgomp-plugin-nvptx.so.1"]
ENV = "OMP_TARGET_OFFLOAD=mandatory ACC_DEVICE_TYPE=nvidia"
# For omp_async libgomp asks for 256 MiB in one piece: a stack of 128 KiB for each of 2,048 threads.
MEMORY = "640M"
PVH = {"omp_region", "omp_reductions", "omp_tasks", "omp_recursion", "acc_data", "acc_async", "aot"}


def built(lab):
    """The programs, by name."""
    build = pathlib.Path(lab.images).parent.parent
    sources = pathlib.Path(__file__).resolve().parents[2] / "offload"
    found = {p.stem: build / "offload" / p.stem for p in sorted(sources.glob("*.c"))}
    found["aot"] = build / "lab/halide/aot"
    foreign.built(found.values(), "lab-others")
    return found


def bring(place, programs, library):
    """library: the folder with the libcuda.so.1 to use, by the name that Halide looks for, too, as packages have it."""
    foreign.bring(place, PLACE, programs, dict.fromkeys(LOADED))
    place.run(f"ln -s {vgpu.TOP}/{library}/libcuda.so.1 {PLACE}/lib/libcuda.so")


def directly(lab, name):
    """What it prints on the simulated GPU itself, in dom0."""
    env = f"{ENV} SIMCUDA_GPU=/dev/shm/direct SIMCUDA_THREADS=1 LD_LIBRARY_PATH={vgpu.TOP}/simcuda:{PLACE}/lib"
    return lab.dom0.run(f"{env} {PLACE}/{name}; s=$?; rm -f /dev/shm/direct; exit $s", limit=300).out


def run_in(guest, name, wanted):
    env = f"{ENV} PVGPU_POLL_ITERATIONS=0 LD_LIBRARY_PATH={vgpu.TOP}/lib:{PLACE}/lib"
    there = guest.run(f"{env} {PLACE}/{name}", limit=300, check=False)
    assert there.status == 0, f"{guest.name}: {name}: status {there.status}: {there.out[-200:]} {there.err[-500:]}"
    assert there.out == wanted, f"{guest.name}: {name} says '{there.out[-500:]}', on the GPU itself '{wanted[-500:]}'"


def attach_with(v, memory):
    """Its vGPU anew, with so much memory."""
    v.detach()
    v.memory = memory
    v.attach()
    v.wait_connected()


def run(lab, w):
    programs = built(lab)
    wanted = {}
    bring(lab.dom0, programs, "simcuda")
    for guest, some in ((w.pv, programs), (w.pvh, {n: p for n, p in programs.items() if n in PVH})):
        v = w.vgpus[guest]
        before = v.memory
        attach_with(v, MEMORY)
        bring(guest, some, "lib")
        for name in some:
            if name not in wanted:
                wanted[name] = directly(lab, name)
            run_in(guest, name, wanted[name])
        guest.run(f"rm -r {PLACE}")
        attach_with(v, before)
    lab.dom0.run(f"rm -r {PLACE}")
