# SPDX-License-Identifier: MIT
"""enable, disable, status, sync.

A toggle has two parts: the *lasting* one is the line in CloudStack's extra configuration, and the *live* one is the vGPUs of the domain that
runs now, with other_config:pvgpu of its xapi VM, which pvgpu-attachd reads. The lasting part comes first and is the authority: a tool that ends
between two steps leaves a live part that sync makes equal to it. A live part that fails takes the lasting one back."""
import contextlib
import fcntl
import os

from .api import Api
from .failure import Failure, REFUSED, TIMED_OUT, not_there
from .pools import KEY, Pools
from .vms import GONE, OFF, RUNNING, STOPPED, UNSETTLED, Toggle, Vms, read_toggle

# Looks at a VM that others change at the same time. Only another's change leads to one more look, and giving up may leave the live part of an older toggle.
ROUNDS = 64


class Live:
    """The domain of a running VM."""

    def __init__(self, pools, vm):
        self.vm = vm
        self.pool, self.ref, self.record = pools.running(vm)
        self.host, self.uuid = self.record["resident_on"], self.record["uuid"]
        self.late = ""

    def vgpus(self):
        found = self.pool.plugin(self.host, "list", vm_uuid=self.uuid)
        return sorted(found, key=lambda v: v["id"])

    def other_config(self, toggle):
        """What pvgpu-attachd reads; None takes it away."""
        now = self.record["other_config"].pop(KEY, None)
        for rounds in range(ROUNDS):
            if now == toggle:
                break
            if now is not None:
                self.pool.call("VM.remove_from_other_config", self.ref, KEY)
            try:
                if toggle is not None:
                    self.pool.call("VM.add_to_other_config", self.ref, KEY, toggle)
                now = toggle
            except Failure as e:
                if e.code != "MAP_DUPLICATE_KEY" or rounds == ROUNDS - 1:
                    raise
                now = self.pool.call("VM.get_other_config", self.ref).get(KEY)
        if toggle is not None:
            self.record["other_config"][KEY] = toggle

    def apply(self, want, wait, force=False):
        """Make the vGPUs those of the toggle. pvgpu-attachd may do the same at the same time, so each failure is followed by a look."""
        self.other_config(str(want))
        for rounds in range(ROUNDS):
            have = self.vgpus()
            todo = steps(have, want)
            if not todo:
                return
            try:
                for fn, args in todo:
                    if fn == "set" and "profile" in args:
                        self.check_growth(next(v for v in have if v["id"] == args["id"]), want.profile)
                    self.step(fn, args, wait, force)
            except Failure:
                if rounds == ROUNDS - 1 or steps(self.vgpus(), want) == todo:
                    raise
        left = steps(self.vgpus(), want)
        if left and not self.late:
            raise Failure("VM %s: another changes its vGPUs at the same time; sync it again" % self.vm)

    def check_growth(self, vgpu, profile):
        """An attach is refused by the host where memory is short; for a vGPU that exists it is to be asked."""
        for b in self.pool.plugin(self.host, "capacity")["backends"]:
            size = next((p["memory"] for p in b["profiles"] if p["name"] == profile), 0)
            pool = vgpu["pool"].split("/")[0]
            free = max([g["memory-free"] for g in b["gpus"] if pool in ("", g["name"])] or [0])
            if b["domid"] == vgpu["backend"]["domid"] and size - vgpu["memory"] > free:
                raise Failure("profile '%s': vGPU %d of VM %s has %d MiB, %d more are wanted, but only %d MiB are free on its GPU"
                              % (profile, vgpu["id"], self.vm, vgpu["memory"] >> 20, (size - vgpu["memory"]) >> 20, free >> 20))

    def step(self, fn, args, wait, force):
        args = dict(args)
        if fn != "set":
            args["timeout"] = wait
        if fn == "detach" and force:
            args["force"] = "yes"
        try:
            self.pool.plugin(self.host, fn, vm_uuid=self.uuid, **args)
        except Failure as e:
            if e.code != "PVGPU_TIMED_OUT":
                raise
            self.late = self.late or e.text


def steps(have, want):
    """[(function of the plugin, arguments)] that make the vGPUs of a VM those of the toggle. One that is being detached counts no more."""
    online = [v for v in have if v["online"]]
    if not want.profile:
        return [("detach", {"all": "yes"})] if online else []
    out = [("detach", {"id": v["id"]}) for v in online[want.count:]]
    for v in online[:want.count]:
        change = {}
        if v["profile"] != want.profile:
            change["profile"] = want.profile
        if want.tenant and v["tenant"] != want.tenant:
            change["tenant"] = want.tenant
        if change:
            out.append(("set", dict(change, id=v["id"])))
    taken = {v["id"] for v in have}
    free = (n for n in range(len(have) + want.count) if n not in taken)
    for _ in range(want.count - len(online)):
        args = {"profile": want.profile, "id": next(free)}
        if want.tenant:
            args["tenant"] = want.tenant
        out.append(("attach", args))
    return out


def saying(todo):
    """What is not as the toggle says, in words."""
    words = {"attach": "a vGPU is missing", "detach": "a vGPU is too many", "set": "a vGPU has another profile or tenant"}
    return ", ".join(sorted({words[fn] for fn, _ in todo}))


class Tool:
    def __init__(self, site):
        self.site, self.api = site, Api(site.cloudstack)
        self.vms, self.pools = Vms(site, self.api), Pools(site)
        self.vms.profiles = self.profiles
        self.known = None

    def fresh(self):
        """Forget what may have changed: for a process that stays."""
        self.known = None
        self.vms.owners, self.vms.stops, self.vms.offerings = {}, {}, {}

    def close(self):
        self.pools.close()
        self.api.close()

    @contextlib.contextmanager
    def lock(self, number):
        """One at a time for a VM on this machine; between machines the look after each change decides."""
        fd = os.open(self.site.state_file("locks"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self.take_lock(fd, number)
            yield
        finally:
            os.close(fd)

    def take_lock(self, fd, number):
        try:
            fcntl.lockf(fd, fcntl.LOCK_EX | (fcntl.LOCK_NB if number and not self.vms.patient else 0), 1, number)
        except BlockingIOError:
            raise Failure("another pvgpu-cloudstack is at work on the VM", TIMED_OUT, UNSETTLED)

    def locked(self, vm):
        return self.lock(1 + int(vm.id.replace("-", "")[:12], 16))

    # ---- what is wanted

    def profiles(self):
        """Names of the profiles that hosts know: of each pool the first host that answers is asked."""
        if self.known is None:
            known, failed = set(), None
            for pool in self.pools.all:
                try:
                    known |= self.profiles_of(pool)
                except Failure as e:
                    failed = e
            if failed and not known:
                raise failed
            self.known = known
        return self.known

    def profiles_of(self, pool):
        failed = not_there("pool %s has no host" % pool.name)
        for host in sorted(pool.hosts()):
            try:
                return {p["name"] for b in pool.plugin(host, "capacity")["backends"] for p in b["profiles"]}
            except Failure as e:
                failed = e
        raise failed

    def check_profile(self, want):
        if want.profile and want.profile not in self.profiles():
            raise not_there("profile '%s': no host knows it; there are %s" % (want.profile, ", ".join(sorted(self.profiles())) or "none"))

    def wanted(self, vm, profile, count):
        """What enable is to write."""
        if vm.native():
            raise both(vm, "no toggle is written")
        owner, offered = self.vms.owner(vm), self.vms.offered(vm)
        if offered:
            if profile and (profile, count) != offered.kind():
                raise Failure("VM %s: its offering %s has the profile %s: change the offering, or set follow-offerings = no in %s"
                              % (vm, vm.record.get("serviceofferingname", ""), offered.profile, self.site.path))
            return offered.of(owner)
        profile = profile or self.site.toggle["profile"]
        want = read_toggle(str(Toggle(profile, count))) if profile else None
        if want is None or not want.profile:
            raise Failure("VM %s: which profile? Give --profile NAME, or profile in [toggle] of %s"
                          % (vm, self.site.path) if not profile else "profile '%s' with --count %d: is none" % (profile, count), 2)
        return want.of(owner)

    # ---- enable and disable

    def enable(self, word, profile="", count=1, **how):
        return self.change(word, lambda vm: self.wanted(vm, profile, count), **how)

    def disable(self, word, **how):
        return self.change(word, lambda vm: OFF, **how)

    def change(self, word, wanted, next_start=False, wait=None, force=False):
        vm = self.vms.find(word)
        with self.locked(vm):
            vm = self.vms.settled(self.vms.get(vm.id))
            want = wanted(vm)
            if vm.state in GONE:
                if want.profile:
                    raise Failure("VM %s is %s: it cannot get a vGPU" % (vm, vm.state))
                return self.view(vm, None)
            if want.profile and (next_start or vm.state not in RUNNING):
                self.check_profile(want)
            before = vm.value()
            self.vms.write(vm, want)
            # A VM that was started meanwhile may have been made without the line.
            now = self.vms.settled(self.vms.get(vm.id))
            live = None
            if now.state in RUNNING and not next_start and not now.native():
                live = self.try_live(now, want, before, wait, force)
            return self.ended(now, want, live)

    def try_live(self, vm, want, before, wait, force):
        was = None
        try:
            live = Live(self.pools, vm)
            was = live, live.vgpus(), live.record["other_config"].get(KEY)
            live.apply(want, self.waits(wait), force)
            return live
        except Failure as e:
            if before == str(want):
                raise
            raise self.taken_back(e, vm, want, before, was)

    def waits(self, wait):
        return self.site.toggle["wait"] if wait is None else wait

    def taken_back(self, failure, vm, want, before, was):
        """Both or neither: the failure, after everything is as it was before, but for a line where there was none."""
        try:
            now = self.vms.get(vm.id)
            if now.value() != str(want):
                self.sync_vm(now)
                return Failure("%s; meanwhile another set the toggle of VM %s to %s, which holds" % (failure.text, vm, now.value()),
                               failure.status, failure.code)
            if was:
                self.live_back(*was)
            old = self.vms.line_for(now, before)
            self.vms.write(now, old)
            if before is not None:
                said = "nothing is changed: the toggle of VM %s is %s" % (vm, old)
            elif str(old) != str(OFF):
                said = "VM %s, which had no toggle, has that of its offering: %s" % (vm, old)
            else:
                said = "VM %s, which had no toggle, has the toggle off: CloudStack cannot take a line away" % vm
            return Failure("%s; %s" % (failure.text, said), failure.status, failure.code)
        except Failure as e:
            return Failure("%s; taking the toggle %s back failed: %s; `pvgpu-cloudstack sync %s` makes both parts equal"
                           % (failure.text, want, e.text, vm.id), failure.status, failure.code)

    def live_back(self, live, had, config):
        live.other_config(config)  # first, or pvgpu-attachd would attach again
        for v in live.vgpus():
            old = next((h for h in had if h["uuid"] == v["uuid"]), None)
            if old is None:
                live.step("detach", {"id": v["id"]}, self.waits(None), False)
            elif (old["profile"], old["tenant"]) != (v["profile"], v["tenant"]) and old["profile"]:
                live.step("set", {"id": v["id"], "profile": old["profile"], **({"tenant": old["tenant"]} if old["tenant"] else {})}, 0, False)

    def ended(self, vm, want, live):
        """The last look: another may have toggled meanwhile, elsewhere; then the live part follows what is written now."""
        now = self.vms.get(vm.id)
        if now.value() != str(want):
            said = now.value()
            view = self.sync_vm(now)
            raise Failure("VM %s: another set its toggle to %s at the same time; that holds, and it has %d vGPUs"
                          % (now, said, len(view["vgpus"])), REFUSED)
        view = self.view(now, live)
        if live and live.late:
            raise Late("VM %s: the toggle is %s and acts, but the guest lags: %s" % (now, want, live.late), view)
        return view

    # ---- status and sync

    def view(self, vm, live=None):
        """The state of both parts; answers.schema.json has its form."""
        toggle = vm.toggle()
        out = {"vm": vm.id, "name": vm.name, "instance": vm.instance, "state": vm.state, "toggle": None if toggle is None else str(toggle),
               "pool": None, "host": None, "vgpus": [], "agrees": True, "why": ""}
        if vm.state not in RUNNING:
            return out
        live = live or Live(self.pools, vm)
        have = live.vgpus()
        todo = steps(have, toggle) if toggle is not None and not vm.native() else []
        out.update(pool=live.pool.name, host=live.pool.call("host.get_name_label", live.host), why=saying(todo), agrees=not todo,
                   vgpus=[{k: v[k] for k in ("id", "uuid", "profile", "tenant", "memory", "online", "connected")} for v in have])
        return out

    def status(self, word):
        return self.view(self.vms.find(word))

    def sync(self, word, **how):
        vm = self.vms.find(word)
        with self.locked(vm):
            return self.sync_vm(self.vms.get(vm.id), **how)

    def sync_vm(self, vm, wait=None):
        """Make the live part what the lasting one says."""
        for _ in range(ROUNDS):
            vm = self.vms.settled(vm)
            if vm.state in GONE:
                return self.view(vm)
            want = self.wish(vm)
            if want is not None and str(want) != vm.value():
                if vm.toggle() is None or vm.toggle().kind() != want.kind():
                    self.check_profile(want)
                self.vms.write(vm, want)
            if want is None or vm.state not in RUNNING:
                return self.view(self.vms.get(vm.id) if want else vm)
            live = Live(self.pools, vm)
            live.apply(want, self.waits(wait))
            now = self.vms.get(vm.id)
            if now.value() == str(want) and now.state == vm.state:
                view = self.view(now, live)
                if live.late:
                    raise Late("VM %s: the toggle is %s and acts, but the guest lags: %s" % (now, want, live.late), view)
                return view
            vm = now
        raise Failure("VM %s: its toggle changes again and again; sync it later" % vm)

    def wish(self, vm):
        """The toggle that the VM should have: its own with the owner of now; where the site follows offerings, theirs, unless it is off. None: it has none, or
        `off` beside a VGPU of its offering's, where it says nothing."""
        toggle, offered = vm.toggle(), self.vms.offered(vm)
        if vm.native():
            if offered or toggle and toggle.profile:
                raise both(vm, "its hosts refuse to start it")
            return None
        if toggle is not None and not toggle.profile:
            return toggle
        want = offered or toggle
        if want is None:
            return None
        return want.of(self.vms.owner(vm) or (toggle.tenant if toggle else ""))

    def glance(self):
        """{instance name: its vGPUs} of all hosts, one question each; None where a host does not answer."""
        out = {}
        try:
            for pool in self.pools.all:
                for host in sorted(pool.hosts()):
                    for v in pool.plugin(host, "list"):
                        out.setdefault(v["vm"]["name"], []).append(v)
        except Failure:
            return None
        return out

    def steady(self, vm, seen):
        """Nothing of the VM is in motion, and both parts are as they should be."""
        want = self.wish(vm)
        if want is None and vm.native():
            return True
        if seen is None or str(want) != vm.value() or vm.record.get("jobstatus") == 0:
            return False
        have = sorted(seen.get(vm.instance, []), key=lambda v: v["id"])
        return vm.state in STOPPED or vm.state in RUNNING and not steps(have, want)

    def sync_all(self, **how):
        """[(VM, Failure or None)] of each VM with a toggle or such an offering."""
        out, seen = [], self.glance()
        for vm in self.vms.every():
            if vm.record.get("hypervisor") != "XenServer" or vm.state in GONE:
                continue
            try:
                if vm.toggle() is None and self.vms.offered(vm) is None:
                    continue
                if not self.steady(vm, seen):
                    with self.locked(vm):
                        self.sync_vm(self.vms.get(vm.id), **how)
                out.append((vm, None))
            except Failure as e:
                out.append((vm, e))
        return out


def both(vm, what):
    """A VGPU object of xapi's and a toggle give the VM a vGPU each."""
    return Failure("VM %s: its offering %s gives it the VGPU %s of xapi's own: with a toggle or a host tag of a profile beside that %s; disable it, or choose "
                   "another offering" % (vm, vm.record.get("serviceofferingname", ""), vm.native(), what))


class Late(Failure):
    """The toggle is done; the guest has not taken the vGPU up, or not let it go."""

    def __init__(self, text, view):
        super().__init__(text, TIMED_OUT, "PVGPU_TIMED_OUT")
        self.view = view
