# SPDX-License-Identifier: MIT
"""A VM that is started again and again, another domain each time, has the same series of metrics: as many as after its first start, and
promtool finds no fault in them. For as many minutes as LAB_MINUTES says (5), with a second VM that stays."""
import os
import shutil
import subprocess
import time

import vgpu

MINUTES = float(os.environ.get("LAB_MINUTES", "5"))
LIMIT = 900 + int(60 * MINUTES)
LONG = True
UUID = "6a1f2d0c-5b3e-4f27-9a40-0000000000a1"


def scraped(lab):
    text = lab.dom0.run(f"{vgpu.CTL} stats --metrics", quiet=True).out
    if shutil.which("promtool"):
        done = subprocess.run(["promtool", "check", "metrics"], input=text, text=True, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
    return {line.rpartition(" ")[0] for line in text.splitlines() if line and not line.startswith("#")}


def started(lab, pvgpud):
    g = lab.create("web", "pv", payload=True, config=f'uuid = "{UUID}"')
    v = pvgpud.attach(g)
    assert vgpu.run_program(g, "vecadd").status == 0
    pvgpud.wait_workers(0)
    return g, v


def run(lab):
    pvgpud = vgpu.Pvgpud(lab).start()
    other = lab.create("batch", "pv", payload=True)
    stays = pvgpud.attach(other)
    g, v = started(lab, pvgpud)
    first = scraped(lab)
    assert any('vm="web"' in s and UUID in s for s in first), first
    domids = {g.domid}
    begun = time.monotonic()
    while time.monotonic() - begun < 60 * MINUTES or len(domids) < 3:
        if len(domids) % 2 == 0:    # else it goes with its vGPU
            v.detach()
        g.destroy()
        gone = scraped(lab)
        assert gone < first and not any('vm="web"' in s for s in gone), gone ^ first
        g, v = started(lab, pvgpud)
        now = scraped(lab)
        assert now == first, now ^ first
        domids.add(g.domid)
        lab.say(f"started {len(domids)} times: {len(now)} series")
    stays.detach()
    v.detach()
    for x in g, other:
        x.destroy()
    pvgpud.stop()
    lab.keepers.remove(pvgpud)
