# SPDX-License-Identifier: MIT
"""JAX from its wheels, as they are, in a Xen guest, by pvgpu-run: a small transformer is trained (tests/clients/jax_run.py) with the losses that the CPU
gives. Its programs are on a disk (tests/clients/jax_image.py), and made for processors with AVX."""
import pathlib
import shlex
import subprocess
import sys

import disk
import foreign
import machine
import vgpu
import world

CLIENTS = pathlib.Path(__file__).resolve().parent.parent.parent / "clients"
sys.path.append(str(CLIENTS))
import jax_env  # noqa: E402

# QEMU loses AVX's registers where Xen saves them only when another domain uses them.
BOOT = machine.Boot(memory=6144, disk="jax.img", processor=",+ssse3,+sse4.1,+sse4.2,+popcnt,+xsave,+xsaveopt,+avx", xen="spec-ctrl=eager-fpu")
LIMIT = 2400
LONG = True
KINDS = ["pv"]
ROOT, OURS, PLACE = "/mnt/jax", "/opt/ours", "/opt/blas"
# OpenBLAS takes the emulated processor for one that has 3DNow.
WORKER_ENV = {"LD_LIBRARY_PATH": f"{PLACE}/lib", "OPENBLAS_CORETYPE": "Prescott", "SIMCUDA_MEMORY": "2G"}
LIBRARIES = {"libcublas": "libcublas.so.13", "libcublaslt": "libcublasLt.so.13"}


def run(lab):
    build = pathlib.Path(lab.images).parent.parent
    command = [str(build / "jax/venv/bin/python"), str(CLIENTS / "jax_run.py"), "matmul"]
    cpu = jax_env.said(subprocess.run(command, env={"JAX_PLATFORMS": "cpu"}, capture_output=True, text=True, check=True, timeout=900).stdout)
    disk.offer(lab)
    # The far end computes by OpenBLAS, which it opens by name.
    foreign.bring(lab.dom0, PLACE, {}, {**{name: build / "simcuda" / name for name in LIBRARIES.values()}, "libopenblas.so.0": None})
    pvgpud = vgpu.Pvgpud(lab, env=WORKER_ENV, **{key: f"{PLACE}/lib/{name}" for key, name in LIBRARIES.items()}, **world.CHEAP).start()
    for kind in KINDS:
        guest = lab.create(kind, kind, memory=3072, payload=True, config=disk.CONFIG)
        enter(guest, build)
        v = pvgpud.attach(guest, memory="1G")
        train(guest, build, command, cpu)
        v.wait_statistics(sessions=0, sessions_failed=0, memory_used=0)
        v.detach()
        guest.destroy()
    pvgpud.stop()
    disk.withdraw(lab)
    lab.dom0.run(f"rm -r {PLACE}")


def enter(guest, build):
    """Make the disk a root for programs of the guest, with pvgpu's libraries as they are now."""
    disk.mount(guest, ROOT)
    ours = {f"{p.parent.name}/{p.name}": p for p in [build / "bin/pvgpu-run", *(build / "lib").glob("*.so*")]}
    foreign.bring(guest, OURS, ours, {})
    for source, place in ("/dev", "dev"), ("/dev/shm", "dev/shm"), ("/proc", "proc"), ("/sys", "sys"), (OURS, "opt/pvgpu"), ("/usr/bin", "opt/bin"):
        guest.run(f"mount --bind {source} {ROOT}/{place}")
    guest.run(f"mount -t tmpfs none {ROOT}/tmp && ln -s null /dev/nvidiactl")


def train(guest, build, command, cpu):
    env = {**jax_env.on_gpu(build / "jax"), "PATH": "/opt/bin:/usr/bin", "HOME": "/tmp", "PVGPU_POLL_ITERATIONS": "0"}
    words = ["chroot", ROOT, "/opt/bin/busybox", "env", "-i", *(f"{k}={v}" for k, v in env.items()), "/opt/pvgpu/bin/pvgpu-run", *command]
    r = guest.run(shlex.join(words), limit=1800, check=False)
    guest.machine.log.save(f"{guest.name}.jax", r.out + r.err)
    assert r.status == 0, f"{guest.name}: status {r.status}: {r.err[-800:]}"
    got = jax_env.said(r.out)
    guest.machine.say(f"{guest.name}: losses {got.losses}, {got.awaited} awaited calls a step")
    wrong = jax_env.wrong(got, cpu, build / "lib", "/opt/pvgpu/lib")
    assert not wrong, f"{guest.name}: {wrong}"
