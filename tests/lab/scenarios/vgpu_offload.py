# SPDX-License-Identifier: MIT
"""Programs whose GPU code other projects' compilers made: OpenMP and OpenACC by GCC, with its own libgomp, in a PV guest and some of them in a PVH
guest, and Halide's pipelines in both: the same output as directly on the simulated GPU."""
import io
import pathlib
import subprocess
import tarfile
import tempfile

import images
import vgpu
import world
from channel import LabError

WORLD = world.TwoGuests
LIMIT = 2400
LONG = True
PLACE = "/opt/others"
HOST_LIBRARIES = pathlib.Path("/usr/lib") / images.ARCH
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
    missing = [str(p) for p in found.values() if not p.is_file()]
    if missing:
        raise LabError(f"there is no {missing[0]}: make lab-others makes it")
    return found


def packed(programs, there):
    """A compressed archive of them, and of those libraries that a place with these libraries lacks."""
    files = {f"lib/{name}": HOST_LIBRARIES / name for name in LOADED}
    for path in programs.values():
        for name in images.needed_libraries(path)[0]:
            if name not in there:
                files[f"lib/{name}"] = HOST_LIBRARIES / name
    out = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder, tarfile.open(fileobj=out, mode="w:gz", compresslevel=9) as tar:
        for name, path in [*programs.items(), *sorted(files.items())]:
            bare = pathlib.Path(folder) / "bare"
            subprocess.run(["strip", "--strip-unneeded", "-o", bare, path.resolve()], check=True, timeout=60)
            tar.add(bare, name)
    return out.getvalue()


def bring(place, programs, library):
    """library: the libcuda.so.1 to use, by the name that Halide looks for, too, as packages have it."""
    there = place.run(f"ls /usr/lib /usr/lib/{images.ARCH}", quiet=True).out.split()
    place.put_file("/tmp/others.tar.gz", packed(programs, there), limit=600)
    place.run(f"mkdir {PLACE} && tar -xz -C {PLACE} -f /tmp/others.tar.gz && rm /tmp/others.tar.gz && "
              f"ln -s {vgpu.TOP}/{library}/libcuda.so.1 {PLACE}/lib/libcuda.so", limit=120)


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
