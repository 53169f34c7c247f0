# SPDX-License-Identifier: MIT
"""check: what of the site is not as docs/operators/cloudstack.md wants it."""
from .failure import Failure
from .tags import tag_of
from .vms import KEY


def find_faults(tool):
    """(faults, notes): a fault keeps something from working."""
    faults, notes = [], []
    for look in (settings, tags, pools):
        try:
            look(tool, faults, notes)
        except Failure as e:
            faults.append(e.text)
    return faults, notes


def settings(tool, faults, notes):
    api = tool.api
    if (api.setting("enable.additional.vm.configuration") or "false").lower() != "true":
        notes.append("enable.additional.vm.configuration is not true for all: it must be for each account whose VMs have a toggle")
    allowed = [k.strip().lower() for k in (api.setting("allow.additional.vm.configuration.list.xenserver") or "").split(",")]
    if KEY not in allowed:
        faults.append("allow.additional.vm.configuration.list.xenserver lacks %s: no toggle can be written" % KEY)
    if api.setting("gpu.detach.on.stop") is None and tool.site.toggle["detach-on-stop"] == "cloudstack":
        notes.append("this CloudStack has no gpu.detach.on.stop: vGPUs of stopped VMs count as allocated; detach-on-stop in [toggle] says otherwise")


def tags(tool, faults, notes):
    strict = [t.strip() for t in (tool.api.setting("vm.strict.host.tags") or "").split(",")]
    for profile in sorted(tool.profiles()):
        tag = tag_of(tool.site.tags["prefix"], profile)
        if tag not in strict:
            notes.append("vm.strict.host.tags lacks %s: CloudStack may start or move a VM of profile %s to a host without it" % (tag, profile))


def pools(tool, faults, notes):
    for pool in tool.pools.all:
        try:
            for ref, record in sorted(pool.hosts().items(), key=lambda p: p[1]["name_label"]):
                host(pool, ref, record["name_label"], faults)
        except Failure as e:
            faults.append(e.text)


def host(pool, ref, name, faults):
    try:
        faults += ["%s: %s" % (name, f) for f in pool.plugin(ref, "check")["faults"]]
    except Failure as e:
        faults.append("%s: %s" % (name, e.text))
