# SPDX-License-Identifier: MIT
"""CloudStack's VMs: which one is meant, what its toggle says, whose it is.

The toggle is a line of the VM's extra configuration, which CloudStack writes into VM.other_config of the VM that it makes at each start:

    other_config:pvgpu=PROFILE[ count:N][ tenant:NAME]     or     other_config:pvgpu=off
"""
import re
import time
import urllib.parse

from .failure import Failure, NOT_THERE, TIMED_OUT, not_there, timed_out, usage

KEY = "other_config:pvgpu"
NO_VM = "no VM"  # code of a Failure
UNSETTLED = "unsettled"  # likewise: look again later
UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z")
PROFILE = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.-]{0,30}\Z")
TENANT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,38}\Z")
DETAIL = re.compile(r"extraconfig-(\d+)\Z")
# What CloudStack takes in a line: UserVmManagerImpl.isValidKeyValuePair.
LINE = re.compile(r"[\w\-\s.:]*=[\w\-\s.'\":]*\Z", re.ASCII)
MOST = 16  # vGPUs of a VM

RUNNING, STOPPED, GONE = ("Running",), ("Stopped", "Shutdown"), ("Destroyed", "Expunging", "Error")


class Toggle:
    """profile "" is off."""

    def __init__(self, profile="", count=1, tenant=""):
        self.profile, self.count, self.tenant = profile, count if profile else 0, tenant if profile else ""

    def kind(self):
        return self.profile, self.count

    def of(self, tenant):
        """The same for another owner; "" leaves the one that it has."""
        return Toggle(self.profile, self.count, tenant or self.tenant)

    def __str__(self):
        return " ".join([self.profile or "off"] + ["count:%d" % self.count] * (self.count > 1) + ["tenant:" + self.tenant] * bool(self.tenant))


OFF = Toggle()


def read_toggle(value):
    """None: the value is none that a toggle can have. pvgpu-attachd reads the same, see docs/operators/xe.md."""
    words = value.split()
    if words == ["off"]:
        return OFF
    if not words or words[0] == "off" or not PROFILE.match(words[0]):
        return None
    count, tenant = 1, ""
    for word in words[1:]:
        key, _, rest = word.partition(":")
        if key == "count" and re.match(r"[1-9]\d?\Z", rest) and int(rest) <= MOST:
            count = int(rest)
        elif key == "tenant" and TENANT.match(rest):
            tenant = rest
        else:
            return None
    return Toggle(words[0], count, tenant)


class Vm:
    """One answer of listVirtualMachines."""

    def __init__(self, record):
        self.record = record
        self.id, self.state = record["id"], record.get("state", "")
        self.name = record.get("displayname") or record.get("name") or self.id
        self.instance = record.get("instancename", "")
        self.details = record.get("details") or {}

    def __str__(self):
        return "%s (%s)" % (self.name, self.instance) if self.instance else self.name

    def native(self):
        """The VGPU type that its offering gives it by xapi's own VGPU objects; "" without one. The fields are those of 4.21 and later, and older ones."""
        r = self.record
        return r.get("vgpuprofilename") or r.get("vgpu") or ("a GPU" if r.get("vgpuprofileid") else "")

    def lines(self):
        """Its extra configuration: the lines in their order; a Failure where they cannot be written again as they are."""
        numbered = sorted((int(m.group(1)), v) for m, v in ((DETAIL.match(k), v) for k, v in self.details.items()) if m)
        if [n for n, _ in numbered] != list(range(1, len(numbered) + 1)):
            raise Failure("VM %s: its details are extraconfig-%s, not -1 to -%d, so CloudStack would leave one beside the new ones: "
                          "number them with updateVirtualMachine details" % (self, ", -".join(str(n) for n, _ in numbered), len(numbered)))
        return [v for _, v in numbered]

    def value(self):
        """The toggle's text, None without one."""
        found = [v.partition("=")[2].strip() for k, v in self.details.items() if DETAIL.match(k) and v.partition("=")[0].strip() == KEY]
        if len(found) > 1:
            raise Failure("VM %s has %d lines %s: leave one (updateVirtualMachine details)" % (self, len(found), KEY))
        return found[0] if found else None

    def toggle(self):
        """None: no toggle."""
        value = self.value()
        if value is None:
            return None
        toggle = read_toggle(value)
        if toggle is None:
            raise Failure("VM %s: %s=%s is neither `off` nor `PROFILE[ count:N][ tenant:NAME]`: enable or disable it" % (self, KEY, value))
        return toggle


class Vms:
    def __init__(self, site, api):
        self.site, self.api = site, api
        self.owners, self.stops, self.offerings = {}, {}, {}
        self.patient = True  # may wait for a VM to settle
        self.profiles = set  # a function: names of the profiles that hosts know

    # ---- finding

    def get(self, vm_id):
        """Every call asks anew."""
        found = self.api.list("listVirtualMachines", "virtualmachine", id=vm_id, listall="true")
        if not found:
            raise Failure("VM %s: CloudStack has none with this id" % vm_id, NOT_THERE, NO_VM)
        return self.served(Vm(found[0]))

    def served(self, vm):
        kind = vm.record.get("hypervisor", "")
        if kind != "XenServer":
            raise Failure("VM %s: is on %s; pvgpu serves VMs of XenServer clusters (XCP-ng)" % (vm, kind or "no hypervisor that is told"))
        if not vm.instance:
            raise Failure("VM %s: CloudStack does not tell its instance name: the key of %s must be of an account of type Admin (root)"
                          % (vm, self.api.keys))
        return vm

    def find(self, word):
        """By id, instance name or name; a name must be the only one."""
        if UUID.match(word):
            return self.get(word.lower())
        if not word or word.startswith("-"):
            raise usage("VM '%s': give an id, an instance name such as i-2-100-VM, or a name" % word)
        found = [v for v in self.every(keyword=word) if word in (v.instance, v.name, v.record.get("name"))]
        exact = [v for v in found if v.instance == word] or found
        if not exact:
            raise not_there("VM '%s': CloudStack shows none of this name to the key of %s" % (word, self.api.keys))
        if len(exact) > 1:
            raise usage("VM '%s': there are %d of this name: %s; give the id" % (word, len(exact), ", ".join(sorted(v.id for v in exact))))
        return self.served(exact[0])

    def every(self, **more):
        """All VMs, those of projects too."""
        if self.site.cloudstack["zone"]:
            more["zoneid"] = self.site.cloudstack["zone"]
        found = {}
        for project in ({}, {"projectid": -1}):
            for record in self.api.list("listVirtualMachines", "virtualmachine", listall="true", **dict(more, **project)):
                found.setdefault(record["id"], Vm(record))
        return [found[k] for k in sorted(found)]

    def settled(self, vm):
        """The VM when it neither starts, stops nor moves. Its job is waited for, but not by a service: that looks again later."""
        until, wait = time.monotonic() + self.api.job_timeout, self.api.first_wait
        while vm.state not in RUNNING + STOPPED + GONE or vm.record.get("jobstatus") == 0:
            if not self.patient:
                raise Failure("VM %s is %s" % (vm, vm.state), TIMED_OUT, UNSETTLED)
            if vm.record.get("jobid") and vm.record.get("jobstatus") == 0:
                try:
                    self.api.job("VM %s" % vm, vm.record["jobid"])
                except Failure as e:
                    if not e.code:
                        raise
            elif time.monotonic() > until:
                raise timed_out("VM %s is %s for more than %d s: try again when it is Running or Stopped" % (vm, vm.state, self.api.job_timeout))
            else:
                time.sleep(wait)
                wait = min(2 * wait, 5)
            vm = self.get(vm.id)
        return vm

    # ---- writing

    def write(self, vm, toggle):
        """Write the toggle's line beside the VM's other lines. CloudStack writes line by line and may stop at one that it refuses: after
        an error the state is read, and what was written is taken back."""
        before = vm.value()
        if before == str(toggle):
            return
        lines = [line for line in vm.lines() if line.partition("=")[0].strip() != KEY]
        at = next((n for n, line in enumerate(vm.lines()) if line.partition("=")[0].strip() == KEY), len(lines))
        for line in lines:
            if not LINE.match(line) or "\n" in line:
                raise Failure("VM %s: its line %r cannot be written again by CloudStack: put it in order first (updateVirtualMachine)" % (vm, line))
        try:
            self.put(vm, lines[:at] + ["%s=%s" % (KEY, toggle)] + lines[at:])
        except Failure as e:
            now = self.get(vm.id).value()
            if now == str(toggle) and e.code == "timeout":
                return
            if now != before:
                self.restore(vm, lines, at, before)
            raise Failure(self.explained(e.text), e.status, e.code)

    def put(self, vm, lines):
        self.api.call("updateVirtualMachine", id=vm.id, extraconfig=urllib.parse.quote("\n".join(lines), safe=""))

    def restore(self, vm, lines, at, before):
        try:
            self.put(vm, lines[:at] + ["%s=%s" % (KEY, self.line_for(vm, before))] + lines[at:])
        except Failure:
            pass  # the line may be written all the same; the first failure is the one to tell

    def line_for(self, vm, before):
        """What is written to take a toggle back; before: what it was, None where there was none. CloudStack takes no line away, and `off` counts more than
        the VM's offering: so what the offering says is written, if it says anything."""
        if before is not None:
            return before
        offered = self.offered(vm)
        return offered.of(self.owner(vm)) if offered else OFF

    def explained(self, said):
        if "enable.additional.vm.configuration" in said or "not enabled for this account" in said:
            return said + "; set enable.additional.vm.configuration = true for the VM's account"
        if "not on the list of allowed keys" in said:
            return said + "; add %s to allow.additional.vm.configuration.list.xenserver" % KEY
        return said

    # ---- owners, offerings, settings

    def owner(self, vm):
        """The tenant: id of the project or the account; "" where the site wants none."""
        if self.site.toggle["tenant"] == "none":
            return ""
        if vm.record.get("projectid"):
            return vm.record["projectid"]
        who = vm.record.get("account", ""), vm.record.get("domainid", "")
        if who not in self.owners:
            found = [a for a in self.api.list("listAccounts", "account", name=who[0], domainid=who[1], listall="true") if a.get("name") == who[0]]
            if len(found) != 1:
                raise not_there("VM %s: CloudStack does not show its account %s to the key of %s; tenant = none in %s does without"
                                % (vm, who[0] or "?", self.api.keys, self.site.path))
            self.owners[who] = found[0]["id"]
        return self.owners[who]

    def offered(self, vm):
        """The toggle that the VM's service offering asks for by its host tag; None: none does."""
        offering, start = vm.record.get("serviceofferingid", ""), self.site.tags["prefix"]
        if not self.site.toggle["follow-offerings"] or not offering:
            return None
        if offering not in self.offerings:
            # An offering that is withdrawn still is that of its VMs.
            found = self.api.list("listServiceOfferings", "serviceoffering", id=offering, state="all") or [{}]
            tags = [t.strip() for t in (found[0].get("hosttags") or "").split(",")]
            self.offerings[offering] = [t for t in tags if t.startswith(start) and t != start]
        tags = self.offerings[offering]
        if len(tags) > 1:
            raise Failure("VM %s: its offering %s has the host tags %s: one of them can say which vGPU"
                          % (vm, vm.record.get("serviceofferingname", offering), ", ".join(tags)))
        return Toggle(self.profile_of(tags[0])) if tags else None

    def profile_of(self, tag):
        """A profile whose name begins with the prefix is its own tag."""
        rest = tag[len(self.site.tags["prefix"]):]
        return rest if tag not in self.profiles() and rest in self.profiles() else tag

    def detaches_on_stop(self, vm):
        """gpu.detach.on.stop of the VM's domain; a CloudStack without it (before 4.21) keeps."""
        said = self.site.toggle["detach-on-stop"]
        if said != "cloudstack":
            return said == "yes"
        domain = vm.record.get("domainid", "")
        if domain not in self.stops:
            scope = {"domainid": domain} if domain else {}
            self.stops[domain] = (self.api.setting("gpu.detach.on.stop", **scope) or "false").lower() == "true"
        return self.stops[domain]
