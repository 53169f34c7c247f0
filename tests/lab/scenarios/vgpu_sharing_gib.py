# SPDX-License-Identifier: MIT
"""Two processes of a guest share a tensor of 1 GiB on real Xen: both write all of it, in the order of events. The vGPU has no room for it
twice, and the guest has less memory of its own, so neither process has a copy."""
import machine
import vgpu
import world

# The simulated GPU's memory is in dom0's, in a file system of half its size.
BOOT = machine.Boot(memory=5120, dom0_memory=3072)
LIMIT = 900
LONG = True
MIB = 1024


class Backend(world.TwoGuests):
    KINDS = ("pvh",)
    PVGPUD = {"env": {"SIMCUDA_MEMORY": "2G"}}
    VGPU = {"memory": "1200M"}


WORLD = Backend


def run(lab, w):
    guest, v = next(iter(w.vgpus.items()))
    job = guest.start(vgpu.program("sharing", str(MIB)))
    r = job.wait(LIMIT - 200)
    assert r.status == 0 and f"both processes write {MIB} MiB" in r.out, f"sharing: {r.status}, {r.out}{r.err}"
    v.wait_statistics(sessions=0, sessions_failed=0, memory_used=0)
