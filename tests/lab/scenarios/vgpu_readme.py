# SPDX-License-Identifier: MIT
"""docs/operators/start.md's words alone: each line of "Use it on Xen", as it stands there, in a dom0 with systemd and what `make install` leaves, and in a guest."""
import json
import pathlib
import re

import machine
import service
import service_image
import vgpu

BOOT = machine.Boot(service=True)
LIMIT = 1200
LONG = True
START = pathlib.Path(__file__).resolve().parents[3] / "docs" / "operators" / "start.md"
# Commands that made the lab's images, and modules that their uevents have loaded.
MADE = {"make", f"make install PREFIX=/{service_image.PREFIX}", "make module module-install", "modprobe pvgpu"}
NOT_CONNECTED_YET = 4


def lines():
    """(place, words) of the section's first block. A comment that names no place belongs to the one before."""
    section = START.read_text().partition("## Use it on Xen\n")[2]
    place, out = None, []
    for line in re.search(r"```sh\n(.*?)```", section, re.S)[1].splitlines():
        words, _, comment = line.partition("#")
        place = (re.match(r" *(backend domain|dom0|guest)\b", comment) or [None, place])[1]
        out.append((place, words.strip()))
    return out


def parts(words):
    """Without those that the images have behind them."""
    return [p for p in re.split(r" *&& *", words) if p not in MADE]


def run(lab):
    p = service.Service(lab, None, env={"SIMCUDA_MEMORY": "16G"})
    g = lab.create("web1", "pv", memory=256, payload=True)
    # What packages would have put there.
    g.put_file("/usr/bin/pvgpu-run", (pathlib.Path(lab.images).parent.parent / "bin/pvgpu-run").read_bytes())
    g.run(f"chmod +x /usr/bin/pvgpu-run && mkdir -p /usr/lib /home/tenant && ln -s {vgpu.TOP}/lib /usr/lib/pvgpu && cp {vgpu.TOP}/programs/vecadd /home/tenant/my-cuda-program")
    said, seen = {}, []
    for place, words in lines():
        for part in parts(words):
            seen.append(part.split()[0])
            if place == "guest":
                # Its processor is the emulator's: a side that polls would block the other.
                r = g.run(f"cd /home/tenant && export PVGPU_POLL_ITERATIONS=0; {part}", limit=service.SLOW)
            else:
                r = lab.dom0.run(part, check=False, limit=service.SLOW)
                assert r.status == 0 or (" attach " in part and r.status == NOT_CONNECTED_YET), vars(r)
            said[part.partition(" --")[0]] = r.out
            if " attach " in part:
                lab.wait("the vGPU to connect", lambda: (v := listed(lab)) and v[0]["connected"], service.SLOW)
            if part.startswith("systemctl"):
                lab.keepers.append(p)
                lab.wait("pvgpud to be ready", p.ready, service.SLOW)
    assert seen == ["systemctl"] + ["pvgpuctl"] * 5 + ["pvgpu-run"], seen
    assert "pvgpu-8g" in said["pvgpuctl capacity"] and "web1" in said["pvgpuctl list"], said
    assert list(said.values())[-1].startswith("vecadd: 100003 sums"), said
    v = listed(lab)[0]
    assert (v["memory"], v["policy"]["weight"], v["policy"]["priority"], v["policy"]["max-share"]) == (8 << 30, 200, "high", "50%"), v
    lab.dom0.run("pvgpuctl detach web1 --timeout 300", limit=2 * service.SLOW)
    p.stop()
    p.keep_logs()
    lab.keepers.remove(p)


def listed(lab):
    return json.loads(lab.dom0.run("pvgpuctl list --json", quiet=True, limit=service.SLOW).out)["vgpus"]
