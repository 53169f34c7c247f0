#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""pvgpu-cloudstack is killed before and after each of its requests, and toggles of several processes meet: sync, or the last of them, leaves both
parts equal."""
import signal
import unittest

from world import ALICE, World

T2, T4 = "pvgpu-2g tenant:" + ALICE, "pvgpu-4g tenant:" + ALICE
CHANGES = {"updateVirtualMachine", "VM.add_to_other_config", "VM.remove_from_other_config", "plugin attach", "plugin detach", "plugin set"}
NEVER = 10 ** 6


class Kill(World):
    def each_step(self, prepare, *words, reads=False):
        """The tool with these words, killed at each of its requests that changes something, before and after it is done, and with reads after
        each other one, too; prepare makes the state that it begins with. Returns the toggles left: [(request, done, toggle)]."""
        prepare()
        done, names = self.killed(NEVER, "after", *words)
        self.assertEqual(done.status, 0, done.err)
        left = []
        for at, name in enumerate(names, 1):
            for when in ("before", "after") if name in CHANGES else ("after",) if reads else ():
                v = prepare()
                done, seen = self.killed(at, when, *words)
                self.assertEqual((done.status, seen[-1]), (-signal.SIGKILL, name))
                self.repaired(v, at, when, name)
                left.append((name, when == "after", self.toggle(v)))
        return left

    def killed(self, at, when, *words):
        """How it ended, and its requests."""
        self.killer.aim(at, when)
        child = self.start(*words)
        self.killer.child = child
        self.killer.set.set()
        done, names = child.wait(), self.killer.names
        self.killer.aim(0, "")
        return done, names

    def repaired(self, v, *where):
        done = self.run_tool("sync", v["id"])
        self.assertEqual(done.status, 0, (where, done.err))
        profile = (self.toggle(v) or "off").split()[0]
        self.assertEqual(self.live(v), [] if profile == "off" else [(profile, ALICE)], where)
        if self.toggle(v):
            self.assertEqual(self.other_config(v), self.toggle(v), where)

    def again(self, toggle):
        """The VM, stopped, started and made equal to a toggle."""
        def prepare():
            if not hasattr(self, "v"):
                self.v = self.vm()
            self.cloud.stop(self.v)
            self.v["details"] = {} if toggle is None else {"extraconfig-1": "other_config:pvgpu=" + toggle}
            self.cloud.start(self.v, self.hosts[0], polls=0)
            if toggle and toggle != "off":
                host = self.pool.named("xcp1")
                host.call_plugin("pvgpu", "attach", {"vm-uuid": self.pool.of("i-2-100-VM")["uuid"], "profile": toggle.split()[0], "tenant": ALICE, "id": 0})
            return self.v
        return prepare

    def test_enable(self):
        left = self.each_step(self.again(None), "enable", "web1", "--profile", "pvgpu-2g", reads=True)
        self.assertEqual([done for name, done, _ in left if name == "plugin attach"], [False, True])
        seen = [toggle for _, _, toggle in left]
        self.assertEqual(seen, sorted(seen, key=lambda t: t is not None))  # neither, from a step on both
        self.assertEqual((seen[0], seen[-1]), (None, T2))

    def test_disable(self):
        left = self.each_step(self.again(T2), "disable", "web1")
        self.assertEqual([done for name, done, _ in left if name == "plugin detach"], [False, True])
        seen = [toggle for _, _, toggle in left]
        self.assertEqual(seen, sorted(seen, key=lambda t: t == "off"))
        self.assertEqual((seen[0], seen[-1]), (T2, "off"))

    def test_change(self):
        left = self.each_step(self.again(T2), "enable", "web1", "--profile", "pvgpu-4g")
        self.assertEqual([done for name, done, _ in left if name == "plugin set"], [False, True])
        self.assertEqual({toggle for _, _, toggle in left}, {T2, T4})

    def test_sync_itself(self):
        def prepare():
            v = self.again(None)()
            v["details"]["extraconfig-1"] = "other_config:pvgpu=" + T2
            return v
        left = self.each_step(prepare, "sync", "web1")
        self.assertEqual({toggle for _, _, toggle in left}, {T2})

    def test_the_way_back(self):
        """Killed while it takes an enable back that found no room."""
        def run(at):
            v = self.again(None)()
            self.pool.refuse["attach"] = [("PVGPU_REFUSED", "no room")]
            out = (v,) + self.killed(at, "after", "enable", "web1", "--profile", "pvgpu-2g")
            self.pool.refuse.clear()
            return out
        v, done, names = run(NEVER)
        self.assertEqual((done.status, self.toggle(v), self.other_config(v), self.live(v)), (1, "off", None, []), done.err)
        for at in range(1 + names.index("plugin attach"), len(names)):
            v, done, _ = run(at)
            self.assertEqual(done.status, -signal.SIGKILL)
            self.repaired(v, at, names[at - 1])


class Meeting(World):
    def meet(self, confs):
        v = self.vm()
        children = [self.start(*words, conf=conf) for conf in confs for words in
                    (("enable", "web1", "--profile", "pvgpu-2g"), ("disable", "web1"), ("enable", "web1", "--profile", "pvgpu-4g"), ("sync", "web1"))]
        ends = [c.wait() for c in children]
        for done in ends:
            self.assertIn(done.status, (0, 1, 3), done.err)
            if done.status:
                # Another was first: seen between two looks, or by the attach, set or detach itself.
                self.assertRegex(done.err, " has no vGPU" if done.status == 3 else " at the same time| already has a vGPU ")
        profile = self.toggle(v).split()[0]
        self.assertIn(self.toggle(v), ("off", T2, T4))
        self.assertEqual(self.other_config(v), self.toggle(v))
        self.assertEqual(self.live(v), [] if profile == "off" else [(profile, ALICE)], [d.err for d in ends])
        return ends

    def test_on_one_machine(self):
        for done in self.meet(["cloudstack.conf"] * 2):
            self.assertEqual(done.status, 0, done.err)

    def test_on_several_machines(self):
        """Each has its own locks."""
        self.meet([self.write_conf("m%d.conf" % n, state={"dir": str(self.folder / ("state%d" % n))}) for n in range(3)])

    def test_a_toggle_that_changes_at_each_look(self):
        """As with as many machines, each of which toggles between two of a sync's requests: the sync follows until the last of them."""
        v, plain, left = self.vm(), self.pool.vm_add_to_other_config, [T2, T4] * 6

        def toggled(reference, key, value):
            if left:
                v["details"]["extraconfig-1"] = "other_config:pvgpu=" + left.pop(0)
            return plain(reference, key, value)
        self.pool.vm_add_to_other_config = toggled
        v["details"]["extraconfig-1"] = "other_config:pvgpu=" + T4
        self.ask("sync", "web1")
        self.assertEqual((left, self.toggle(v), self.other_config(v), self.live(v)), ([], T4, T4, [("pvgpu-4g", ALICE)]))

    def test_vms_do_not_wait_for_each_other(self):
        v, w = self.vm(), self.vm("web2", "i-2-101-VM", running=False)
        w.update(state="Starting")  # for ever
        waiting = self.start("enable", "web2", "--profile", "pvgpu-2g")
        try:
            self.until(lambda: any(p.get("id") == w["id"] for c, p in list(self.cloud.calls)))
            self.ask("enable", "web1", "--profile", "pvgpu-2g")
            self.assertEqual(self.live(v), [("pvgpu-2g", ALICE)])
        finally:
            w.update(state="Stopped")
        self.assertEqual(waiting.wait().status, 0)


if __name__ == "__main__":
    unittest.main(warnings="ignore")
