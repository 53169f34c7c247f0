# SPDX-License-Identifier: MIT
"""pvgpu-acceptance --vm --backend: the same checks in dom0, of a pvgpud in a driver domain, which dom0 asks by the keys of that domain in xenstore."""
import vgpu
from scenarios.vgpu_acceptance import LIMIT as OF_DOM0, check, outfit
from scenarios.vgpu_driver_domain import start_driver_domain

LIMIT = 2 * OF_DOM0  # each question takes a way through xenstore
LONG = True


def run(lab):
    d, p = start_driver_domain(lab, "pvh")
    g = lab.create("web1", "pvh", memory=256, payload=True)
    v = p.attach(g)
    outfit(lab, g)
    report = check(lab, p, g, "--backend", d.name)
    said = [c["finding"] for c in report["checks"] if (c["part"], c["name"]) == ("machine", "the machine")]
    assert said and f"pvgpud is in domain {d.domid}" in said[0], said
    # dom0 has no pvgpud: every answer was that domain's.
    assert lab.store.read("/local/domain/0/data/pvgpu/version") is None
    audit = p.log()
    assert "audit: dom0 uid 0 pid " in audit, audit[-2000:]
    assert lab.store.read(f"/local/domain/{d.domid}/data/pvgpu/request") is None
    v.detach()
    g.destroy()
    p.stop()
    lab.keepers.remove(p)
    d.destroy()
    lab.wait("the driver domain's end", lambda: d.gone())
