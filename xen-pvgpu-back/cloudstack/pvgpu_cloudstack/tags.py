# SPDX-License-Identifier: MIT
"""Room on the hosts as CloudStack's host tags: a host has the tag of a profile while one more vGPU of it fits there."""
from .failure import Failure

UNLIMITED = 1 << 30


def tag_of(prefix, profile):
    return profile if profile.startswith(prefix) else prefix + profile


def room(capacity):
    """{profile: (how many more fit, why no more)}; several backend domains of a host add up."""
    out = {}
    for b in capacity["backends"]:
        for p in b["profiles"]:
            fits = UNLIMITED if p["fits"] is None else p["fits"]
            had, why = out.get(p["name"], (0, ""))
            out[p["name"]] = min(UNLIMITED, had + fits), (p["why"] or why) if not had + fits else ""
    return out


class Hosts:
    """Hosts of CloudStack with what the plugin says of them."""

    def __init__(self, site, api, pools):
        self.site, self.api, self.pools = site, api, pools

    def look(self):
        more = {"zoneid": self.site.cloudstack["zone"]} if self.site.cloudstack["zone"] else {}
        hosts = self.api.list("listHosts", "host", type="Routing", hypervisor="XenServer", **more)
        known, faults = self.known()
        out = []
        for h in sorted(hosts, key=lambda h: h.get("name", "")):
            where = known.get(h.get("ipaddress")) or known.get(h.get("name"))
            entry = {"id": h["id"], "name": h.get("name", h["id"]), "cluster": h.get("clustername", ""), "pool": None, "fault": "", "room": {},
                     "tags": tags_of(h)}
            if h.get("istagarule"):
                entry["fault"] = "its tags are a rule (istagarule), which cannot take the tags of profiles"
            elif where is None:
                entry["fault"] = "; ".join(faults) or "no pool of %s has a host with the address %s" % (self.site.path, h.get("ipaddress", "?"))
            else:
                pool, ref = where
                entry["pool"] = pool.name
                try:
                    entry["room"] = room(pool.plugin(ref, "capacity"))
                except Failure as e:
                    entry["fault"] = e.text
            out.append(entry)
        return out

    def known(self):
        found, faults = {}, []
        for pool in self.pools.all:
            try:
                for ref, record in pool.hosts().items():
                    found.setdefault(record.get("name_label"), (pool, ref))
                    found[record.get("address")] = pool, ref
            except Failure as e:
                faults.append(e.text)
        return found, faults


def tags_of(host):
    """Implicit tags, which a host's agent sets, are not ours to write."""
    said = host.get("explicithosttags") if "explicithosttags" in host else host.get("hosttags")
    return [t.strip() for t in (said or "").split(",") if t.strip()]


def wanted(hosts, tags):
    """{host id: tags of profiles that it should have}; hosts with a fault are left out, so that a host that does not answer keeps its tags."""
    out = {h["id"]: [] for h in hosts if not h["fault"]}
    groups = {}
    for h in hosts:
        for profile, (fits, _) in h["room"].items():
            if not h["fault"] and fits > tags["keep-free"]:
                groups.setdefault((h["cluster"], profile), []).append((-fits, h["name"], h["id"]))
    for (_, profile), members in groups.items():
        for _, _, host in sorted(members)[:tags["most-room"] or None]:
            out[host].append(tag_of(tags["prefix"], profile))
    return {host: sorted(set(names)) for host, names in out.items()}


def capacity(tool, apply):
    """What each host has room for, its tags, and those that it should have; with apply they are written."""
    tags = tool.site.tags
    hosts = Hosts(tool.site, tool.api, tool.pools).look()
    want = wanted(hosts, tags)
    out = []
    for h in hosts:
        ours = [t for t in h["tags"] if t.startswith(tags["prefix"])]
        entry = {"host": h["id"], "name": h["name"], "cluster": h["cluster"], "pool": h["pool"], "fault": h["fault"],
                 "profiles": [{"name": p, "fits": None if n == UNLIMITED else n, "why": why} for p, (n, why) in sorted(h["room"].items())],
                 "tags": ours, "wanted": want.get(h["id"], ours), "changed": False}
        if apply and h["id"] in want and sorted(ours) != want[h["id"]]:
            try:
                others = [t for t in h["tags"] if not t.startswith(tags["prefix"])]
                tool.api.call("updateHost", id=h["id"], hosttags=",".join(others + want[h["id"]]))
                entry["changed"] = True
            except Failure as e:
                entry["fault"] = e.text
        out.append(entry)
    return out
