# SPDX-License-Identifier: MIT
"""pvgpu-acceptance --vm: a hundred checks of a running VM's vGPU and what is behind it, one report, and all is as it was. It runs beside the emulated
machine, whose dom0 has no Python; each command of it runs in dom0, and its programs in the guest by pvgpu-run."""
import json
import pathlib
import subprocess
import sys
import tempfile

import vgpu
from channel import PATIENCE
from forward import Forward

LIMIT = 1800
LONG = True
ACCEPTANCE = pathlib.Path(__file__).resolve().parents[3] / "xen-pvgpu-back/acceptance/pvgpu-acceptance"
FEW = ("vecadd", "matmul", "streams", "pinned", "memsets", "events", "printf", "graphs")
PARTS = {"machine", "pvgpud", "GPU default", "vGPU", "refusals", "answers", "settings", "programs", "statistics", "limits", "sessions"}


def outfit(lab, g):
    """What packages would have put into the guest."""
    g.put_file("/usr/bin/pvgpu-run", (pathlib.Path(lab.images).parent.parent / "bin/pvgpu-run").read_bytes())
    g.run(f"chmod +x /usr/bin/pvgpu-run && mkdir -p /usr/lib && ln -s {vgpu.TOP}/lib /usr/lib/pvgpu")


def accept(lab, g, *more):
    """Its exit status, and the report."""
    with tempfile.TemporaryDirectory(prefix="pvgpu-") as folder:
        # The emulated machine has one processor: a side that polls would block the other.
        stands = [Forward(f"{folder}/pvgpuctl", lab.dom0, vgpu.CTL), Forward(f"{folder}/xenstore-ls", lab.dom0, "xenstore-ls"),
                  Forward(f"{folder}/guest", g, "export PVGPU_POLL_ITERATIONS=0;")]
        try:
            words = [sys.executable, ACCEPTANCE, "--vm", g.name, "--guest", f"{folder}/guest", "--pvgpuctl", f"{folder}/pvgpuctl", "--rehearsal", "--json",
                     "--programs", f"{vgpu.TOP}/programs", "--cloudstack", f"{folder}/none", "--limit", str(LIMIT / 60 * PATIENCE), *more]
            p = subprocess.run([str(w) for w in words + [x for n in FEW for x in ("--only", n)]], env={"PATH": f"{folder}:/usr/bin:/bin"}, text=True,
                               stdin=subprocess.DEVNULL, capture_output=True, timeout=LIMIT * PATIENCE, check=False)
        finally:
            for s in stands:
                s.shutdown()
                s.server_close()
    assert not p.stderr, p.stderr
    lab.log.save("report", p.stdout)
    return p.returncode, json.loads(p.stdout)


def check(lab, p, g, *more):
    """It finds p's vGPU of the guest right in every part."""
    status, report = accept(lab, g, *more)
    wrong = [c for c in report["checks"] if c["verdict"] == "WRONG"]
    assert (status, wrong, report["residue"]) == (0, [], []), (status, wrong, report["residue"])
    assert report["right"] >= 100, report["right"]
    missing = PARTS - {c["part"] for c in report["checks"] if c["verdict"] == "ok"}
    assert not missing, missing
    assert all(c["finding"] for c in report["checks"] if c["verdict"] == "skip")
    assert int(p.read("/pool/default/canaries")) > 0, "its test kernel has not run"
    return report


def run(lab):
    p = vgpu.Pvgpud(lab).start()
    g = lab.create("web1", "pvh", memory=256, payload=True)
    v = p.attach(g)
    outfit(lab, g)
    check(lab, p, g)
    v.detach()
    g.destroy()
    p.stop()
    lab.keepers.remove(p)
