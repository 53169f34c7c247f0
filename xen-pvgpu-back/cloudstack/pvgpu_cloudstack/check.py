# SPDX-License-Identifier: MIT
"""check: what of the site is not as docs/operators/cloudstack.md wants it, and what CloudStack knows of xapi's own VGPU types."""
from .failure import Failure
from .tags import tag_of
from .vms import KEY


class Found:
    """faults keep something from working. groups: of each host and VGPU type how many more CloudStack takes to fit."""

    def __init__(self):
        self.faults, self.notes, self.groups = [], [], []


def look_at(tool):
    found = Found()
    for look in (settings, tags, pools, groups, offerings):
        try:
            look(tool, found)
        except Failure as e:
            found.faults.append(e.text)
    return found


def settings(tool, found):
    api = tool.api
    if (api.setting("enable.additional.vm.configuration") or "false").lower() != "true":
        found.notes.append("enable.additional.vm.configuration is not true for all: it must be for each account whose VMs have a toggle")
    allowed = [k.strip().lower() for k in (api.setting("allow.additional.vm.configuration.list.xenserver") or "").split(",")]
    if KEY not in allowed:
        found.faults.append("allow.additional.vm.configuration.list.xenserver lacks %s: no toggle can be written" % KEY)
    if api.setting("gpu.detach.on.stop") is None and tool.site.toggle["detach-on-stop"] == "cloudstack":
        found.notes.append("this CloudStack has no gpu.detach.on.stop: vGPUs of stopped VMs count as allocated; detach-on-stop in [toggle] says otherwise")


def tags(tool, found):
    strict = [t.strip() for t in (tool.api.setting("vm.strict.host.tags") or "").split(",")]
    for profile in sorted(tool.profiles()):
        tag = tag_of(tool.site.tags["prefix"], profile)
        if tag not in strict:
            found.notes.append("vm.strict.host.tags lacks %s: CloudStack may start or move a VM of profile %s to a host without it" % (tag, profile))


def pools(tool, found):
    for pool in tool.pools.all:
        try:
            for ref, record in sorted(pool.hosts().items(), key=lambda p: p[1]["name_label"]):
                host(pool, ref, record["name_label"], found)
        except Failure as e:
            found.faults.append(e.text)


def host(pool, ref, name, found):
    try:
        found.faults += ["%s: %s" % (name, f) for f in pool.plugin(ref, "check")["faults"]]
    except Failure as e:
        found.faults.append("%s: %s" % (name, e.text))


# ---- xapi's own VGPU types

def of_xapi(pool):
    """{address of a host: {(GPU group, VGPU type that is enabled there)}}."""
    types, gpu_groups = pool.call("VGPU_type.get_all_records"), pool.call("GPU_group.get_all_records")
    hosts = pool.hosts()
    out = {h.get("address"): set() for h in hosts.values()}
    for pgpu in pool.call("PGPU.get_all_records").values():
        at, group = hosts.get(pgpu["host"], {}).get("address"), gpu_groups.get(pgpu["GPU_group"], {}).get("name_label")
        out.setdefault(at, set()).update((group, types[t]["model_name"]) for t in pgpu["enabled_VGPU_types"] if t in types)
    return out


def groups(tool, found):
    """What hosts report to CloudStack, against what xapi has now."""
    more, xapis = {"zoneid": tool.site.cloudstack["zone"]} if tool.site.cloudstack["zone"] else {}, {}
    for pool in tool.pools.all:
        try:
            xapis.update(of_xapi(pool))
        except Failure as e:
            found.faults.append(e.text)
    profiles, without = tool.profiles(), []
    for h in sorted(tool.api.list("listHosts", "host", type="Routing", hypervisor="XenServer", **more), key=lambda h: h.get("name", "")):
        name, told = h.get("name", h["id"]), set()
        for group in h.get("gpugroup") or []:
            for v in group.get("vgpu") or []:
                if v.get("vgputype") in profiles:
                    told.add((group.get("gpugroupname"), v["vgputype"]))
                    found.groups.append({"host": name, "group": group.get("gpugroupname", ""), "type": v["vgputype"],
                                         "remaining": int(v.get("remainingcapacity") or 0), "capacity": int(v.get("maxcapacity") or 0)})
        has = {(g, t) for g, t in xapis.get(h.get("ipaddress"), ()) if t in profiles}
        without += [name] * (not told and not has)
        for g, t in sorted(has - told):
            found.faults.append("host %s: xapi has the VGPU type %s in '%s', and CloudStack does not know it: reconnectHost tells it" % (name, t, g))
        for g, t in sorted(told - has) if h.get("ipaddress") in xapis else ():
            found.faults.append("host %s: CloudStack takes it for one with the VGPU type %s in '%s', which xapi does not have: reconnectHost tells it" % (name, t, g))
    if found.groups:
        found.notes += ["host %s has no VGPU types of pvgpu's: offerings with a GPU do not start there; `pvgpuctl xapi types --write` makes them" % n for n in without]


def offerings(tool, found):
    """Of offerings with a GPU by xapi's own types: in two ways at once, or without a host."""
    known = {(g["group"], g["type"]) for g in found.groups}
    for o in tool.api.list("listServiceOfferings", "serviceoffering", state="all"):
        details = o.get("serviceofferingdetails") or {}
        group, kind = details.get("pciDevice"), o.get("vgpuprofilename") or details.get("vgpuType")
        if not kind:
            continue
        tag = next((t for t in (t.strip() for t in (o.get("hosttags") or "").split(",")) if t.startswith(tool.site.tags["prefix"])), None)
        if tag:
            found.faults.append("offering %s has the VGPU type %s and the host tag %s: one of both says which vGPU a VM gets" % (o.get("name"), kind, tag))
        if not any(t == kind and group in (None, g) for g, t in known):
            found.notes.append("offering %s: no host reports the VGPU type %s%s" % (o.get("name"), kind, " in '%s'" % group if group else ""))
