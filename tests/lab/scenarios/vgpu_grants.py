# SPDX-License-Identifier: MIT
"""What pvgpud counts of a session's grants is what is mapped: pinned memory that a program frees is uncounted when the kernel has
nothing of it left, before and after a restart of pvgpud, in a PV and in a PVH guest."""
import re

import vgpu
import world

WORLD = world.TwoGuests
LIMIT = 420
LONG = True
MIB = 256  # pages


def grants(w):
    """Of all sessions."""
    tree = w.pvgpud.place.run(f"{vgpu.CTL} --run-dir {vgpu.RUN_DIR} tree /vgpu", quiet=True).out
    return sum(int(n) for n in re.findall(r"/session/\d+/grants\W+(\d+)", tree))


def run(lab, w):
    shells = [vgpu.Cuda(g) for g in w.guests.values()]
    for c in shells:
        c.want("check", "right")
    before = grants(w)
    assert before >= len(shells) * 321, f"{before} grants: less than the rings"
    for c in shells:
        c.want("pin 8388608", "CUDA_SUCCESS")
    pinned = grants(w)
    assert pinned >= before + len(shells) * 8 * MIB, f"{pinned} grants after {before}"
    for _ in range(3):
        for c in shells:
            c.want("unpin", "CUDA_SUCCESS")
        assert grants(w) == before, f"{grants(w)} grants, {before} before memory was pinned"
        for c in shells:
            c.want("pin 8388608", "CUDA_SUCCESS")
        assert grants(w) == pinned
    # The next pvgpud knows what is mapped, and sees it go.
    w.pvgpud.restart()
    w.pvgpud.wait_workers(len(shells))
    assert grants(w) == pinned, f"{grants(w)} grants after a restart, {pinned} before"
    for c in shells:
        c.want("unpin", "CUDA_SUCCESS")
        c.want("check", "right")
    assert grants(w) == before, f"{grants(w)} grants after a restart, {before} before memory was pinned"
    for c in shells:
        c.quit()
    w.pvgpud.wait_workers(0)
