# SPDX-License-Identifier: MIT
"""The ledger: what VMs had and used, hour by hour, from samples of CloudStack's state and of the vGPUs' counters.

A sample adds what came about since the one before, in one transaction, so a sample that is taken twice, or a tool that ends on the way,
counts nothing twice. All sums are integers: microseconds of GPU time, seconds times vGPUs, seconds times bytes."""
import calendar
import sqlite3
import time

from .failure import Failure, usage
from .vms import GONE, STOPPED

HOUR = 3600

SCHEMA = """
CREATE TABLE IF NOT EXISTS sample (only_one INTEGER PRIMARY KEY CHECK (only_one = 1), at INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS vm (vm TEXT PRIMARY KEY, at INTEGER NOT NULL, name TEXT NOT NULL, account TEXT NOT NULL, project TEXT NOT NULL,
    profile TEXT NOT NULL, count INTEGER NOT NULL, memory INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS counter (host TEXT, domid INTEGER, vgpu TEXT, vm TEXT NOT NULL, at INTEGER NOT NULL, us INTEGER NOT NULL,
    PRIMARY KEY (host, domid, vgpu));
CREATE TABLE IF NOT EXISTS host (host TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS used (hour INTEGER, vm TEXT, name TEXT NOT NULL, account TEXT, project TEXT, profile TEXT,
    us INTEGER NOT NULL, vgpu_seconds INTEGER NOT NULL, byte_seconds INTEGER NOT NULL, PRIMARY KEY (hour, vm, account, project, profile));
"""


def spread(amount, start, end):
    """[(hour, part)] whose sum is the amount, in proportion to time."""
    if end <= start:
        return [(end - end % HOUR, amount)]
    out, done, at = [], 0, start
    while at < end:
        stop = min(end, at - at % HOUR + HOUR)
        part = amount * (stop - start) // (end - start) - done
        out.append((at - at % HOUR, part))
        done, at = done + part, stop
    return out


class Ledger:
    def __init__(self, path):
        try:
            self.db = sqlite3.connect(path, timeout=60, isolation_level=None)
            self.db.executescript(SCHEMA)
        except sqlite3.Error as e:
            raise Failure("%s: %s: it is the usage ledger; move it away to begin a new one" % (path, e))

    def close(self):
        self.db.close()

    def last(self):
        row = self.db.execute("SELECT at FROM sample").fetchone()
        return row[0] if row else None

    def held(self, vm):
        """What the last sample says of a VM, None where it says nothing."""
        return self.db.execute("SELECT name, account, project, profile, count, memory FROM vm WHERE vm = ?", (vm,)).fetchone()

    def add(self, hour, vm, us=0, vgpu_seconds=0, byte_seconds=0):
        """vm: id, name, account, project, profile."""
        key = (hour, vm[0], vm[2], vm[3], vm[4])
        self.db.execute("INSERT OR IGNORE INTO used VALUES (?, ?, ?, ?, ?, ?, 0, 0, 0)", (hour,) + tuple(vm))
        self.db.execute("UPDATE used SET name = ?, us = us + ?, vgpu_seconds = vgpu_seconds + ?, byte_seconds = byte_seconds + ? "
                        "WHERE hour = ? AND vm = ? AND account = ? AND project = ? AND profile = ?", (vm[1], us, vgpu_seconds, byte_seconds) + key)

    def sample(self, now, vms, counters, seen_hosts):
        """vms: {id: (name, account, project, profile, count, memory)} as allocated now; counters: [(host, domid, vgpu, vm id, us)] of the hosts
        that answered."""
        self.db.execute("BEGIN IMMEDIATE")
        try:
            last = self.last()
            now = max(now, last or now)
            owners = self.pass_time(now, vms)
            known = {row[0] for row in self.db.execute("SELECT host FROM host UNION SELECT host FROM counter")}
            for host, domid, vgpu, vm, us in counters:
                self.count(now, last, (host, domid, vgpu), vm, us, owners if host in known else {})
            self.forget(now, seen_hosts, counters)
            self.db.executemany("INSERT OR IGNORE INTO host VALUES (?)", [(host,) for host in seen_hosts])
            self.db.execute("INSERT OR REPLACE INTO sample VALUES (1, ?)", (now,))
            self.db.execute("COMMIT")
        except BaseException:
            self.db.execute("ROLLBACK")
            raise

    def pass_time(self, now, vms):
        """Until now everything was as the sample before says. Returns who each VM was, for its GPU time."""
        owners = {}
        for vm, at, name, account, project, profile, count, memory in self.db.execute("SELECT * FROM vm").fetchall():
            who = owners[vm] = (vm, name, account, project, profile)
            if now > at and count:
                for hour, seconds in spread(now - at, at, now):
                    self.add(hour, who, vgpu_seconds=count * seconds, byte_seconds=memory * seconds)
        self.db.execute("DELETE FROM vm")
        for vm, (name, account, project, profile, count, memory) in vms.items():
            self.db.execute("INSERT INTO vm VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (vm, now, name, account, project, profile, count, memory))
            owners.setdefault(vm, (vm, name, account, project, profile))
        return owners

    def count(self, now, last, series, vm, us, owners):
        """owners is empty for a host's first sample: what its vGPUs used before is of no known time, and may be in a ledger that was moved away."""
        row = self.db.execute("SELECT at, us FROM counter WHERE host = ? AND domid = ? AND vgpu = ?", series).fetchone()
        at, had = row if row else (last, 0)
        if not us and had:
            return  # its statistics could not be read, or it has begun anew and used nothing yet
        delta = us - had if us >= had else us  # it has begun anew
        if vm in owners and delta:
            for hour, part in spread(delta, at, now):
                self.add(hour, owners[vm], us=part)
        self.db.execute("INSERT OR REPLACE INTO counter VALUES (?, ?, ?, ?, ?, ?)", series + (vm, now, us))

    def forget(self, now, hosts, counters):
        """A vGPU that its host shows no more never comes back with this domain id and counter, unless the host starts anew."""
        there = {c[:3] for c in counters}
        for row in self.db.execute("SELECT host, domid, vgpu FROM counter").fetchall():
            if row[0] in hosts and row not in there:
                self.db.execute("DELETE FROM counter WHERE host = ? AND domid = ? AND vgpu = ?", row)

    def report(self, start, end, interval):
        """Rows in order; an interval is complete when a sample was taken after its end."""
        last, rows = self.last(), {}
        for hour, vm, name, account, project, profile, us, seconds, bytes_ in self.db.execute(
                "SELECT * FROM used WHERE hour >= ? AND hour < ? ORDER BY hour", (start, end)):
            begin, stop = bounds(hour, interval)
            row = rows.setdefault((begin, account, project, vm, profile),
                                  {"from": stamp(begin), "to": stamp(stop), "account": account, "project": project, "vm": vm, "name": name,
                                   "profile": profile, "gpu-us": 0, "vgpu-seconds": 0, "byte-seconds": 0,
                                   "complete": last is not None and last >= stop})
            row["name"] = name
            for key, more in (("gpu-us", us), ("vgpu-seconds", seconds), ("byte-seconds", bytes_)):
                row[key] += more
        return [shown(rows[k]) for k in sorted(rows)]


def shown(row):
    """GPU seconds and GiB-hours with six digits, cut, not rounded: the same text each time."""
    us, held = row.pop("gpu-us"), row.pop("byte-seconds")
    row["gpu-seconds"] = "%d.%06d" % divmod(us, 10 ** 6)
    row["memory-gib-hours"] = "%d.%06d" % divmod(held * 10 ** 6 // (HOUR << 30), 10 ** 6)
    row["allocated-seconds"] = row.pop("vgpu-seconds")
    return row


COLUMNS = ["from", "to", "account", "project", "vm", "name", "profile", "gpu-seconds", "memory-gib-hours", "allocated-seconds", "complete"]


def stamp(t):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(t))


def bounds(hour, interval):
    g = time.gmtime(hour)
    if interval == "hour":
        return hour, hour + HOUR
    if interval == "day":
        begin = hour - hour % 86400
        return begin, begin + 86400
    begin = calendar.timegm((g.tm_year, g.tm_mon, 1, 0, 0, 0))
    after = (g.tm_year + 1, 1) if g.tm_mon == 12 else (g.tm_year, g.tm_mon + 1)
    return begin, calendar.timegm(after + (1, 0, 0, 0))


def read_time(word, name):
    for form in ("%Y-%m-%dT%H:00:00Z", "%Y-%m-%dT%H:00Z", "%Y-%m-%dT%HZ", "%Y-%m-%d"):
        try:
            return calendar.timegm(time.strptime(word, form))
        except ValueError:
            continue
    raise usage("--%s %s: must be a day or a full hour of UTC, such as 2026-11-01 or 2026-11-01T13:00Z" % (name, word))


# ---- taking samples

class Sampler:
    def __init__(self, tool):
        self.tool = tool

    def counters(self, by_instance):
        """The vGPUs of all hosts that answer: counters, {vm id: [vGPU]}, names of those hosts, faults."""
        counters, have, hosts, faults = [], {}, set(), []
        for pool in self.tool.pools.all:
            try:
                refs = pool.hosts()
            except Failure as e:
                faults.append(e.text)
                continue
            for ref, record in sorted(refs.items()):
                try:
                    found = pool.plugin(ref, "list")
                except Failure as e:
                    faults.append("%s: %s" % (record["name_label"], e.text))
                    continue
                hosts.add(record["uuid"])
                for v in found:
                    vm = by_instance.get(v["vm"]["name"])
                    if vm:
                        have.setdefault(vm.id, []).append(v)
                        counters.append((record["uuid"], v["vm"]["domid"], v["uuid"], vm.id, int(v["statistics"].get("gpu-time", 0))))
        return counters, have, hosts, faults

    def memories(self):
        """Of the profiles, for VMs that are stopped."""
        out = {}
        for pool in self.tool.pools.all:
            try:
                for ref in sorted(pool.hosts()):
                    for b in pool.plugin(ref, "capacity")["backends"]:
                        for p in b["profiles"]:
                            out[p["name"]] = p["memory"]
            except Failure:
                continue
        return out

    def take(self, ledger, now=None):
        """One sample. Returns {"at", "vms", "vgpus", "faults"}. Samplers take turns: a counter that was read before another's and written after
        it would look as if it had begun anew."""
        with self.tool.lock(0):
            return self.taken(ledger, now)

    def taken(self, ledger, now):
        vms = [v for v in self.tool.vms.every() if v.record.get("hypervisor") == "XenServer" and v.instance]
        counters, have, hosts, faults = self.counters({v.instance: v for v in vms})
        now, memories, held = int(time.time() if now is None else now), None, {}
        for vm in vms:
            try:
                toggle = vm.toggle()
            except Failure as e:
                faults.append(e.text)
                toggle = None
            live = have.get(vm.id, [])
            if not live and (toggle is None or not toggle.profile or vm.state in GONE):
                continue
            if not live and faults and vm.state not in STOPPED and ledger.held(vm.id):
                held[vm.id] = ledger.held(vm.id)  # its host may be the one that does not answer
                continue
            profile = live[0]["profile"] if live else toggle.profile
            count, memory = len(live), sum(v["memory"] for v in live)
            if vm.state in STOPPED and toggle and toggle.profile:
                count = memory = 0
                if not self.tool.vms.detaches_on_stop(vm):
                    memories = self.memories() if memories is None else memories
                    count, memory = toggle.count, toggle.count * memories.get(toggle.profile, 0)
            held[vm.id] = (vm.name, self.account(vm), vm.record.get("projectid", ""), profile, count, memory)
        ledger.sample(now, held, counters, hosts)
        return {"at": stamp(now), "vms": len(held), "vgpus": len(counters), "faults": faults}

    def account(self, vm):
        """Name of the account below its domain's path, as CloudStack shows it; "" for a project's VM, whose project is named."""
        if vm.record.get("projectid"):
            return ""
        return "%s/%s" % (vm.record.get("domainpath") or vm.record.get("domain", ""), vm.record.get("account", ""))
