# SPDX-License-Identifier: MIT
"""Two guests keep the GPU busy at the same time: they share its time by their weights, by new weights as soon as these are
set, and no guest exceeds its maximum. xenstore's statistics equal pvgpud's charges. A worker that its guest has taken over
and that ignores its gate is detected by the GPU's accounting and ended; the other guest's worker goes on."""
import re

import vgpu
import world

WORLD = world.TwoGuests
LIMIT = 420
LONG = True
# Kernels and slices are long compared with a launch in the emulator.
POOLS = "/local/domain/0/data/pvgpu/pools"
CHEAT = f"{vgpu.TOP}/tests/pvgpu-worker-cheat"
LOAD = "occupy 1000000000 10000 8"
COUNTED = 6_000_000     # microseconds of GPU time in which shares are compared
NEAR = 0.05             # of the GPU


def set_policy(lab, v, words):
    lab.dom0.run(f"{vgpu.CTL} set {v.guest.domid} --id {v.number} {words}")


def shares(lab, w):
    """Each vGPU's part of the GPU time charged from now on, in the order of w.vgpus."""
    first = w.pvgpud.charged()
    seen = {}

    def enough():
        seen.update({k: t - first[k] for k, t in w.pvgpud.charged().items()})
        return sum(seen.values()) >= COUNTED
    lab.wait("GPU time to be charged", enough, 120)
    got = [seen[v.key] / sum(seen.values()) for v in w.vgpus.values()]
    lab.say("shares " + ", ".join(f"{x:.3f}" for x in got))
    return got


def expect(lab, w, *wanted):
    got = shares(lab, w)
    assert all(abs(g - x) <= NEAR for g, x in zip(got, wanted)), f"shares {got}, not {wanted}"


def check_maximum(lab, w, v, most):
    """The part of the time in which the vGPU wanted the GPU. The others' use does not matter: they may be slow."""
    def times():
        return [int(w.pvgpud.read(f"/vgpu/{v.name()}/{key}")) for key in ("gpu-time", "wait-time", "throttled-time")]
    before = times()
    got = shares(lab, w)
    used, waited, held = (b - a for a, b in zip(before, times()))
    part = used / (used + waited + held)
    lab.say(f"{part:.3f} of its time; of all that was used {got[0]:.3f}")
    assert abs(part - most) <= NEAR, f"{part} of its time, not {most}"
    assert held > 0


def begin_again(w, env, settings):
    w.pvgpud.stop()
    w.pvgpud.env, w.pvgpud.settings = env, settings
    w.pvgpud.start()
    for v in w.vgpus.values():
        v.wait_connected()


def check_cheat(lab, w):
    p = w.pvgpud
    bad, good = w.vgpus.values()
    env, settings = p.env, p.settings
    begin_again(w, {**env, "PVGPU_CHEAT": f"silent:{bad.name()}"}, {**settings, "worker": CHEAT})
    p.allowed = re.escape(bad.name())
    honest = vgpu.Load(good.guest, LOAD)
    lab.wait("the honest one to use the GPU", lambda: p.charged()[good.key] > 0)
    r = vgpu.run_program(bad.guest, "occupy", LOAD.partition(" ")[2], check=False)
    assert r.status == 1 and "DEVICE_UNAVAILABLE" in r.out + r.err, (r.status, r.out, r.err)
    bad.wait_statistics(sessions=0)
    why = lab.store.read(f"{bad.back}/last-reason")
    assert re.search(": used the GPU for|: issued GPU work with its gate closed", why), why
    before = p.charged()[good.key]
    lab.wait("the honest one to go on", lambda: p.charged()[good.key] > before)
    honest.kill()
    p.wait_workers(0)
    begin_again(w, env, settings)
    assert vgpu.run_program(bad.guest, "vecadd").status == 0


def run(lab, w):
    lab.store.write(POOLS, "default slice_ms=30")
    pv, pvh = w.vgpus.values()
    policies = {v: lab.store.read(f"{v.back}/policy") for v in w.vgpus.values()}
    set_policy(lab, pvh, "weight=300")
    loads = [vgpu.Load(g, LOAD) for g in w.guests.values()]
    begun = w.pvgpud.charged()

    def busy():
        now = w.pvgpud.charged()
        for load in loads:
            load.check()
        return all(t > begun[k] for k, t in now.items())
    lab.wait("both to use the GPU", busy)
    expect(lab, w, 0.25, 0.75)
    set_policy(lab, pv, "weight=200")
    set_policy(lab, pvh, "weight=100")
    expect(lab, w, 0.667, 0.333)
    set_policy(lab, pv, "max-share=20%")
    check_maximum(lab, w, pv, 0.2)
    for load in loads:
        load.kill()
    w.pvgpud.wait_workers(0)
    for v in w.vgpus.values():
        v.wait_statistics(sessions=0, gpu_time=w.pvgpud.charged()[v.key])
        lab.store.write(f"{v.back}/policy", policies[v])
    lab.dom0.run(f"xenstore-rm {POOLS}")
    check_cheat(lab, w)
