# SPDX-License-Identifier: MIT
"""The command line of pvgpu-cloudstack(8)."""
import argparse
import csv
import json
import signal
import sys
import time

from . import VERSION, site
from .check import look_at
from .failure import Failure, REFUSED, USAGE, usage
from .tags import capacity
from .toggle import Late, Tool
from .usage import COLUMNS, Ledger, Sampler, read_time
from .webhook import Consumer

EXIT = """exit status: 0 done; 1 refused, or (status, check) something is not as it should be; 2 wrong use; 3 not there or not reachable;
4 not within the time"""


def count(word):
    n = int(word) if word.isdigit() else 0
    if not 1 <= n <= 16:
        raise argparse.ArgumentTypeError("must be 1 to 16")
    return n


def seconds(word):
    if not word.isdigit() or int(word) > 3600:
        raise argparse.ArgumentTypeError("must be 0 to 3600 seconds")
    return int(word)


def parser():
    p = argparse.ArgumentParser("pvgpu-cloudstack", description="vGPUs of CloudStack's VMs.", epilog=EXIT, allow_abbrev=False)
    p.add_argument("--version", action="version", version="pvgpu-cloudstack " + VERSION)
    p.add_argument("--config", metavar="FILE", default=site.DEFAULT, help="default %(default)s")
    commands = p.add_subparsers(dest="command", metavar="COMMAND")

    def command(name, what, *vm):
        c = commands.add_parser(name, help=what, description=what + ".", allow_abbrev=False)
        c.add_argument("--json", action="store_true", help="machine-readable output")
        for v, how in vm:
            c.add_argument(v, **how)
        return c

    one = ("vm", {"metavar": "VM", "help": "id, instance name (i-2-100-VM) or name"})
    wait = ("--wait", {"metavar": "S", "type": seconds, "help": "seconds that the guest has (default: wait in [toggle])"})
    later = ("--next-start", {"action": "store_true", "help": "leave the running VM as it is"})
    command("enable", "give a VM vGPUs, now and at each start", one, wait, later,
            ("--profile", {"metavar": "NAME", "default": "", "help": "default: that of its offering, or profile in [toggle]"}),
            ("--count", {"metavar": "N", "type": count, "default": 1, "help": "vGPUs (default 1)"}))
    command("disable", "take a VM's vGPUs away, now and for its next starts", one, wait, later,
            ("--force", {"action": "store_true", "help": "end the sessions of programs at once"}))
    command("status", "what CloudStack says of a VM's vGPUs, and what it has", one)
    command("sync", "make what a VM has equal to what CloudStack says", ("vm", {"metavar": "VM", "nargs": "?", "help": one[1]["help"]}), wait,
            ("--all", {"action": "store_true", "help": "every VM with a toggle"}))
    command("capacity", "room of each host, and the host tags that say it",
            ("--apply", {"action": "store_true", "help": "write the tags to CloudStack"}))
    u = command("usage", "GPU time, memory and time of allocation per VM, account and interval",
                ("action", {"choices": ("collect", "report")}),
                ("--from", {"metavar": "T", "dest": "start", "default": "", "help": "day or hour of UTC, such as 2026-11-01 (default: all)"}),
                ("--to", {"metavar": "T", "default": "", "help": "its end (default: now)"}),
                ("--interval", {"choices": ("hour", "day", "month"), "default": "day", "help": "default day"}))
    u.add_argument("--csv", action="store_true", help="comma-separated values")
    command("serve", "take CloudStack's webhooks, and keep VMs, tags and usage true")
    command("check", "what of the site is not as it should be")
    return p


# ---- output

def put_json(value):
    sys.stdout.write(json.dumps(value, indent=1, sort_keys=True) + "\n")


def safe(text):
    return "".join(c if c.isprintable() else "?" for c in text)


def plain(name):
    """Users choose names: a spreadsheet must not take one for a formula."""
    return "'" + safe(name) if name.startswith(("=", "+", "-", "@")) else safe(name)


def put_view(v):
    where = " on %s (pool %s)" % (v["host"], v["pool"]) if v["host"] else ""
    print(safe("%s (%s) is %s%s" % (v["name"], v["instance"], v["state"], where)))
    print(safe("  toggle: %s" % (v["toggle"] or "none")))
    for g in v["vgpus"]:
        print(safe("  vGPU %d: %s, %d MiB, %s%s" % (g["id"], g["profile"] or "no profile", g["memory"] >> 20,
                                                   "connected" if g["connected"] else "not connected", "" if g["online"] else ", being detached")))
    if not v["agrees"]:
        print(safe("  differs: %s; `pvgpu-cloudstack sync %s` mends it" % (v["why"], v["vm"])))


def complain(e):
    sys.stderr.write("pvgpu-cloudstack: %s\n" % safe(e.text))
    return e.status


# ---- commands

def one_vm(tool, o):
    how = {"wait": o.wait}
    if o.command in ("enable", "disable"):
        how["next_start"] = o.next_start
    if o.command == "enable":
        view = tool.enable(o.vm, o.profile, o.count, **how)
    elif o.command == "disable":
        view = tool.disable(o.vm, force=o.force, **how)
    else:
        view = tool.sync(o.vm, **how)
    put_json(view) if o.json else put_view(view)
    return 0


def status(tool, o):
    view = tool.status(o.vm)
    put_json(view) if o.json else put_view(view)
    return 0 if view["agrees"] else REFUSED


def sync(tool, o):
    if bool(o.vm) == o.all:
        raise usage("sync: give a VM, or --all")
    if o.vm:
        return one_vm(tool, o)
    worst, out = 0, []
    for vm, result in tool.sync_all(wait=o.wait):
        entry = {"vm": vm.id, "name": vm.name, "instance": vm.instance, "fault": result.text if result else ""}
        out.append(entry)
        if entry["fault"]:
            worst = max(worst, complain(result))
        elif not o.json:
            print(safe("%s: as its toggle says" % vm))
    if o.json:
        put_json(out)
    return worst


def show_capacity(tool, o):
    hosts = capacity(tool, o.apply)
    if o.json:
        put_json(hosts)
    for h in hosts:
        if not o.json:
            print(safe("%s (cluster %s): tags %s%s" % (h["name"], h["cluster"] or "-", ",".join(h["wanted"]) or "none",
                                                      "" if h["changed"] or sorted(h["tags"]) == h["wanted"] else
                                                      ", in CloudStack %s: --apply writes them" % (",".join(h["tags"]) or "none"))))
            for p in h["profiles"]:
                print(safe("  %-24s %s%s" % (p["name"], "no limit" if p["fits"] is None else p["fits"], "  (%s)" % p["why"] if p["why"] else "")))
        if h["fault"]:
            complain(Failure("host %s: %s; its tags stay" % (h["name"], h["fault"])))
    return REFUSED if any(h["fault"] for h in hosts) else 0


def show_usage(o, place):
    if o.action == "collect" and (o.start or o.to or o.csv):
        raise usage("usage collect takes none of --from, --to and --csv")
    ledger = Ledger(place.state_file("usage.db"))
    try:
        if o.action == "collect":
            return collect(ledger, o, place)
        if o.csv and o.json:
            raise usage("usage report: --csv or --json, not both")
        start = read_time(o.start, "from") if o.start else 0
        end = read_time(o.to, "to") if o.to else int(time.time()) + 3600
        if end <= start:
            raise usage("--to %s: must be after --from %s" % (o.to, o.start))
        rows = ledger.report(start, end, o.interval)
    finally:
        ledger.close()
    if o.json:
        put_json(rows)
    else:
        out = csv.DictWriter(sys.stdout, COLUMNS, lineterminator="\n") if o.csv else None
        if out:
            out.writeheader()
            out.writerows(dict(r, name=plain(r["name"]), complete="yes" if r["complete"] else "no") for r in rows)
        for r in rows if not out else []:
            print(safe("%s  %s  %s  %s  %s s GPU, %s GiB h, %d s allocated%s" % (
                r["from"], r["project"] or r["account"], r["name"], r["profile"], r["gpu-seconds"], r["memory-gib-hours"],
                r["allocated-seconds"], "" if r["complete"] else "  (not complete)")))
    return 0


def collect(ledger, o, place):
    tool = Tool(place)
    try:
        taken = Sampler(tool).take(ledger)
    finally:
        tool.close()
    for fault in taken["faults"]:
        complain(Failure(fault))
    if o.json:
        put_json(taken)
    return REFUSED if taken["faults"] else 0


def serve(tool, o):
    consumer = Consumer(tool.site, tool)
    for s in (signal.SIGTERM, signal.SIGINT):
        signal.signal(s, lambda *_: consumer.stop())
    consumer.run()
    return 0


def check(tool, o):
    found = look_at(tool)
    if o.json:
        put_json({"good": not found.faults, "faults": found.faults, "notes": found.notes, "groups": found.groups})
    else:
        for g in found.groups:
            print(safe("host %s: %s of %s left of %s in '%s'" % (g["host"], g["remaining"], g["capacity"], g["type"], g["group"])))
        for kind, texts in (("fault", found.faults), ("note", found.notes)):
            for t in texts:
                print(safe("%s: %s" % (kind, t)))
        print("faults: %d, notes: %d" % (len(found.faults), len(found.notes)))
    return REFUSED if found.faults else 0


COMMANDS = {"enable": one_vm, "disable": one_vm, "status": status, "sync": sync, "capacity": show_capacity, "serve": serve, "check": check}


def main(argv=None):
    p = parser()
    o = p.parse_args(argv)
    if not o.command:
        p.print_usage(sys.stderr)
        return USAGE
    tool = None
    try:
        place = site.Site(o.config)
        if o.command == "usage":
            return show_usage(o, place)
        tool = Tool(place)
        return COMMANDS[o.command](tool, o)
    except Late as e:
        put_json(e.view) if o.json else put_view(e.view)
        return complain(e)
    except Failure as e:
        return complain(e)
    except BrokenPipeError:
        return REFUSED
    finally:
        if tool:
            tool.close()
