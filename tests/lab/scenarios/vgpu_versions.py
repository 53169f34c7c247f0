# SPDX-License-Identifier: MIT
"""Versions: a backend and a guest library that announce the next version, with one new call, against this one, in both
directions and with each other. The new call works where both know it and is refused cleanly elsewhere."""
import vgpu
import world

LIMIT = 300
LONG = True
NEXT = f"{vgpu.TOP}/next-version"


def echo(guest, top):
    """The result of the new call, in a session that must still work afterwards."""
    out = guest.run(f"LD_LIBRARY_PATH={top}/lib PVGPU_POLL_ITERATIONS=0 {vgpu.TOP}/tests/next-echo", limit=180).out
    said, alive = out.split("\n")[:2]
    assert alive == "alive", out
    return said


def announced(lab, v):
    return lab.store.read(f"{v.back}/protocol-version"), lab.store.read(f"{v.front}/protocol-version")


def run(lab):
    guest = lab.create("pv", "pv", memory=256, payload=True)
    for top, wanted, new in ((vgpu.TOP, "not supported", "1"), (NEXT, "echo", "1-2")):
        daemon = vgpu.Pvgpud(lab, top=top, **world.CHEAP).start()
        v = daemon.attach(guest)
        # pvgpu.ko takes the highest version that both know.
        assert announced(lab, v) == (new, "1"), announced(lab, v)
        assert echo(guest, vgpu.TOP) == "no call"
        assert echo(guest, NEXT) == wanted
        assert vgpu.run_program(guest, "vecadd").status == 0
        v.detach()
        daemon.stop()
