# SPDX-License-Identifier: MIT
"""A driver domain serves two guests that have a vGPU of dom0's besides. Then it is destroyed under their work: programs
get errors and never hang, and the guests live. Before that every subcommand of pvgpuctl that asks pvgpud is run in dom0, for both backends. A PVH driver domain, as one with a passed-through GPU would be."""
import json

import vgpu
import world
from scenarios.attach import ctl

WORLD = world.TwoGuests
LIMIT = 600
SECOND = "PVGPU_DEVICE=/dev/pvgpu1"
LONG = True


def start_driver_domain(lab, kind):
    d = lab.create(f"gpu-{kind}", kind, memory=320, payload=True)
    return d, vgpu.Pvgpud(lab, d, **world.CHEAP).start()


def serve(p, guests):
    vgpus = [p.attach(g, number=1, wait=False) for g in guests]
    for v in vgpus:
        v.wait_connected()
    return vgpus


def asked_from_dom0(lab, v):
    """Every subcommand that asks pvgpud, by the keys of its domain, which a guest can neither read nor write."""
    p, name, host = v.pvgpud, v.name(), f"/local/domain/{v.pvgpud.domid}/data/pvgpu"

    def ask(words, status=0):
        return ctl(lab, f"{words} --backend {p.domid}", status).out

    c = vgpu.Cuda(v.guest, env=f"PVGPU_DEVICE=/dev/pvgpu{v.number}")
    assert [g["name"] for g in json.loads(ask("pools --json"))["gpus"]] == ["default"]
    sessions = json.loads(ask(f"sessions {name} --json"))["sessions"]
    assert name in ask("tree /vgpu") and ask(f"read /vgpu/{name}/sessions") == f"{len(sessions)}\n"
    ask("write /daemon/log-level debug")
    ask("wait /daemon/log-level debug --timeout 200")
    ask("write /daemon/log-level info")
    assert "audit: dom0 uid 0 pid " in ask("events")
    r = lab.dom0.run(f"{vgpu.CTL} doctor --backend {p.domid}", check=False)
    assert f"pvgpud is in domain {p.domid}" in r.out and "GPU default: ok" in r.out, r.out
    ask("gpu drain default --timeout 0", 4)
    ask("gpu admit default --timeout 200")
    for s in sessions:
        ask(f"kill {name} {s['id']}")
    c.is_lost()
    c.quit()
    for key in ("request", "answer"):
        for command in (f"xenstore-read {host}/{key}", f"xenstore-write {host}/{key} x"):
            assert v.guest.run(command, check=False).status, f"a guest could {command}"
    assert lab.store.read(f"{host}/request") is None


def check(lab, w, kind):
    guests = list(w.guests.values())
    d, p = start_driver_domain(lab, kind)
    vgpus = serve(p, guests)
    shells = [vgpu.Cuda(g, env=SECOND) for g in guests]
    assert len(p.wait_workers(2)) == 2
    assert not w.pvgpud.workers(), "dom0's pvgpud serves a driver domain's vGPU"
    for c in shells:
        c.want("threads 3 2", "right")
        c.want("copy 1000000 2", "1")
        assert c.answer("copy") == "right"
    own = vgpu.Cuda(guests[0])
    # Detached with an open session.
    vgpus[0].detach()
    shells[0].is_lost()
    shells[0].quit()
    vgpus[0].attach()
    vgpus[0].wait_connected()

    # These end all sessions of a vGPU.
    asked_from_dom0(lab, vgpus[0])
    own.quit()
    asked_from_dom0(lab, w.vgpus[guests[0]])
    own = vgpu.Cuda(guests[0])

    # Its end, with work of every kind in flight.
    shells[0] = vgpu.Cuda(guests[0], env=SECOND)
    shells[0].want("spin", "CUDA_SUCCESS")
    shells[0].tell("sync")
    shells[1].tell("copy 500000 0")
    assert shells[1].answer("copy") == "1"
    lab.keepers.remove(p)
    d.destroy()
    for v in vgpus:
        v.remove()
    for c, word in zip(shells, ("sync", "copy")):
        got = c.answer(word)
        assert got.startswith("CUDA_ERROR_"), got
        c.is_lost()
        c.quit()
    own.want("check", "right")
    own.quit()
    lab.wait("the driver domain's end", lambda: d.gone())


def run(lab, w):
    check(lab, w, "pvh")
