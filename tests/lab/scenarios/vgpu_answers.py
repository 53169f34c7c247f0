# SPDX-License-Identifier: MIT
"""Every subcommand of pvgpuctl from dom0, with the backend in a driver domain and in dom0: what it prints with --json is as docs/pvgpuctl.schema.json says,
and those without it do what they say. Each of the two backends resets its GPU, too, as dom0 asks for it, and refuses a vGPU whose latency goal would be missed."""
import json
import pathlib
import re
import sys

import vgpu
import world
from scenarios.attach import ctl
from scenarios.vgpu_driver_domain import serve, start_driver_domain

TOP = pathlib.Path(__file__).resolve().parents[3]
sys.path.append(str(TOP / "tests/xapi"))
from xapi import faults, read_schema  # noqa: E402

SCHEMA = read_schema(TOP / "docs/pvgpuctl.schema.json")
COMMANDS = set(re.findall(r'^(?:XEN_|LOCAL_)?COMMAND\("([a-z-]+)"', (TOP / "xen-pvgpu-back/ctl/core/cli.def").read_text(), re.M))
SITE = "/run/site"
PROFILES = "[profile small]\nmemory = 64M\nweight = 50\n[profile large]\nmemory = 128M\nper-gpu = 1\n"
TENANTS = "[tenant alice]\nvgpus = 3\nweight = 300\n"
WORLD = world.TwoGuests
LIMIT = 1200
LONG = True


def answer(lab, name, words, status=(0,), lines=False):
    """What a subcommand prints with --json in dom0, held against its schema, which has this name."""
    r = lab.dom0.run(f"{vgpu.CTL} {words} --json", check=False)
    assert r.status in status, f"pvgpuctl {words}: {r.status}: {r.err}"
    answers = [json.loads(line) for line in r.out.splitlines()] if lines else [json.loads(r.out)]
    assert answers, words
    for a in answers:
        wrong = faults(a, SCHEMA["properties"][name], SCHEMA)
        assert not wrong, (words, wrong)
    return answers[-1]


def answers_of(lab, v):
    """Every subcommand that has --json, for a vGPU of this backend. Returns their names."""
    p, name, asked = v.pvgpud, v.name(), set()

    def ask(which, words, **how):
        asked.add(which)
        return answer(lab, which, words, **how)

    back = f"--backend {p.domid}"
    assert [g["name"] for g in ask("pools", f"pools {back}")["gpus"]] == ["default"]
    assert {s["vgpu"] for s in ask("sessions", f"sessions {name} {back}")["sessions"]} == {name}
    assert name in ask("tree", f"tree /vgpu {back}")["tree"]
    ask("events", f"events {back}", lines=True)
    assert ask("doctor", f"doctor {back}", status=(0, 1))
    said = ask("gpu", f"gpu reset default {back} --timeout 200")
    assert (said["done"], said["reset"], said["health"]) == (True, "done", "ok"), said
    site, none = f"--site-dir {SITE}", "--config-dir /run/none"
    assert {x["backend"]["domid"] for x in ask("list", "list")["vgpus"]} >= {p.domid}
    assert ask("show", f"show {v.guest.domid} --id {v.number}")["vgpus"][0]["backend"]["domid"] == p.domid
    ask("stats", "stats")
    assert [x["domid"] for x in ask("capacity", f"capacity {site} {back}")["backends"]] == [p.domid]
    ask("tenants", f"tenants {site}")
    ask("profiles", f"profiles {site}")
    ask("refresh", f"refresh --dry-run {site} {none}")
    ask("drain-host", f"drain-host --dry-run --timeout 0 {none} --xapi-dir /run/none", status=(0, 1))
    ask("sizing", "sizing --load web:duty=10% --p99 50ms --simulate 1s")
    if not p.domid:
        assert name in [x["name"] for x in ask("list", "list --local")["vgpus"]]
        ask("show", f"show {name} --local")
        ask("stats", "stats --local")
    return asked


def told(lab, v):
    """Every subcommand that has no --json, but for detach. Returns their names."""
    name, vm, back, asked = v.name(), f"{v.guest.domid} --id {v.number}", f"--backend {v.pvgpud.domid}", set()

    def ask(words, shows=""):
        asked.add(words.split()[0])
        out = ctl(lab, words).out
        assert shows in out, (words, out)

    ask(f"set {vm} weight=150")
    ask(f"wait /vgpu/{name}/weight 150 --timeout 200 {back}")
    ask(f"read /vgpu/{name}/weight {back}", "150")
    ask(f"write /daemon/log-level info {back}")
    ask(f"pardon {vm}")
    ask("top --count 1", "GPU%")
    ask("completion bash", "pvgpuctl")
    lab.dom0.run("xenstore-ls -fp >/run/tree")
    ask("check /run/tree", " 0 errors")
    lab.dom0.run("rm /run/tree")
    assert "it needs Python" in ctl(lab, "xapi types", 3).err  # which this dom0 has not
    asked.add("xapi")
    c = vgpu.Cuda(v.guest, env=f"PVGPU_DEVICE=/dev/pvgpu{v.number}")
    for s in answer(lab, "sessions", f"sessions {name} {back}")["sessions"]:
        ask(f"kill {name} {s['id']} {back}")
    c.is_lost()
    c.quit()
    return asked


def all_of(lab, v):
    json_too, plain = answers_of(lab, v), told(lab, v)
    v.detach()
    attached(lab, v)
    assert not set(SCHEMA["properties"]) - json_too - {"attach", "xapi"}, json_too
    left = COMMANDS - json_too - plain - {"attach", "detach"}
    assert COMMANDS and not left, left


def attached(lab, v):
    """Attached by a command that waits, with its answer."""
    said = answer(lab, "attach", v.attach_command().replace(f"{vgpu.CTL} ", "").replace("--no-wait", "--timeout 300"))
    vgpu_, = said["vgpus"]
    assert vgpu_["connected"] and vgpu_["backend"]["domid"] == v.pvgpud.domid, said


def goal_is_refused(lab, p, g):
    """Another vGPU has the GPU for whole slices, so 1 us cannot be kept."""
    r = ctl(lab, f"attach {g.domid} --backend {p.domid} --id 5 --memory 16M --latency-goal 1 --timeout 200", 1)
    assert re.search(r"latency-goal (would be missed|is 0\.0 ms, .* are predicted): raise it", r.err), r.err
    assert lab.store.read(f"/local/domain/{g.domid}/device/pvgpu/5/state") is None


def run(lab, w):
    guests = list(w.guests.values())
    d, p = start_driver_domain(lab, "pvh")
    vgpus = serve(p, guests)
    lab.dom0.run(f"mkdir -p {SITE}")
    for file, text in (("profiles.conf", PROFILES), ("tenants.conf", TENANTS)):
        lab.dom0.put_file(f"{SITE}/{file}", text.encode())
    all_of(lab, vgpus[0])
    all_of(lab, w.vgpus[guests[0]])
    for backend in (p, w.pvgpud):
        goal_is_refused(lab, backend, guests[0])
    lab.dom0.run(f"rm -r {SITE}")
    for v in vgpus:
        v.detach()
    p.stop()
    lab.keepers.remove(p)
    d.destroy()
    lab.wait("the driver domain's end", lambda: d.gone())
