#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""pvgpu-xapi, pvgpu-attachd and the hooks as they are, on the hosts of a pool that are doubles: double.py says of what.

PVGPU_BUILD: the build folder with pvgpu-attachd and pvgpuctl. PYTHON2: as in plugin_test.py.
"""
import json
import os
import pathlib
import re
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import unittest
import xmlrpc.client as rpc

import plugin_test
from double import Pool
from host import PATIENCE_S, PROGRAMS, Programs
from xapi import ApiError

UUID = "9c1b7a52-3f60-4f8e-8d55-0a2f6c1e7b90"
CYCLES = int(os.environ.get("PVGPU_CYCLES", "10"))


class Case(unittest.TestCase):
    hosts = ("host1",)
    python = sys.executable

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="xcpng-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.pool = Pool(self.folder, self.hosts)
        self.addCleanup(self.pool.close)
        self.on = [Programs(h, self.python) for h in self.pool.hosts]
        for p in self.on:
            self.addCleanup(p.close)
        self.before = [h.xenstore.paths() for h in self.pool.hosts]

    def residue(self):
        """What the hosts' xenstores have more than at the beginning, but for the folders above all vGPUs: xenopsd empties them, and leaves them."""
        stay = {"/local/domain/0/backend", "/local/domain/0/backend/pvgpu"}
        return [sorted(set(h.xenstore.paths()) - set(before) - stay) for h, before in zip(self.pool.hosts, self.before)]

    def set(self, vm, value):
        config = dict(self.pool.vms[vm]["other_config"])
        config.pop("pvgpu", None)
        self.pool.vm_set_other_config(vm, config if value is None else {**config, "pvgpu": value})

    def refused(self, text, call, *args):
        with self.assertRaises(ApiError) as e:
            call(*args)
        self.assertEqual(e.exception.code, "XAPI_HOOK_FAILED")
        self.assertIn(text, e.exception.params[2])
        return e.exception.params


class OneHost(Case):
    def setUp(self):
        super().setUp()
        self.host = self.on[0]

    def test_toggle(self):
        vm = self.pool.add_vm("web1", uuid=UUID)
        self.host.start()
        self.pool.start(vm)
        self.host.expect(UUID)
        self.set(vm, "pvgpu-2g")
        uuid, = self.host.expect(UUID, "pvgpu-2g")
        self.set(vm, "pvgpu-2g count:3")
        self.assertIn(uuid, self.host.expect(UUID, "pvgpu-2g", "pvgpu-2g", "pvgpu-2g"))
        self.set(vm, "pvgpu-2g count:1")
        self.assertEqual(self.host.expect(UUID, "pvgpu-2g"), [uuid])
        self.set(vm, "pvgpu-4g")  # it counts from the next start
        self.host.until(lambda: "pvgpuctl set changes it now" in self.host.log("pvgpu-attachd"), "the log says when it counts")
        self.assertEqual(self.host.expect(UUID, "pvgpu-2g"), [uuid])
        self.set(vm, "off")
        self.host.expect_nothing()
        self.set(vm, "pvgpu-2g")
        self.assertEqual(self.host.expect(UUID, "pvgpu-2g"), [uuid])
        self.set(vm, None)
        self.host.expect_nothing()
        self.pool.ends(vm)
        self.assertEqual(self.residue(), [[]])

    def test_a_key_that_is_changed_by_removing_and_adding(self):
        """As xe does: no vGPU goes in between."""
        self.host.grace = 600
        vm = self.pool.add_vm("web1", {"pvgpu": "pvgpu-2g"}, UUID)
        self.host.start()
        self.pool.start(vm)
        self.host.expect(UUID, "pvgpu-2g")
        for n in (2, 3):
            asked = self.pool.called("event.from")
            self.pool.vm_remove_from_other_config(vm, "pvgpu")
            self.host.until(lambda a=asked: self.pool.called("event.from") > a, "pvgpu-xapi has heard of it")
            self.pool.vm_add_to_other_config(vm, "pvgpu", "pvgpu-2g count:%d" % n)
            self.host.expect(UUID, *["pvgpu-2g"] * n)
        self.assertNotIn("detaching", self.host.log("pvgpu-attachd"))
        self.assertNotIn("any more", self.host.log("pvgpu-xapi"))

    def test_lives(self):
        """Start, reboot, suspend and resume: the same vGPU each time."""
        vm = self.pool.add_vm("web1", {"pvgpu": "pvgpu-2g"}, UUID)
        self.host.start()
        self.pool.start(vm)
        uuid = self.host.expect(UUID, "pvgpu-2g")
        self.pool.reboot(vm)
        self.assertEqual(self.host.expect(UUID, "pvgpu-2g"), uuid)
        self.pool.suspend(vm)
        self.host.expect_nothing()
        self.pool.resume(vm)
        self.assertEqual(self.host.expect(UUID, "pvgpu-2g"), uuid)
        self.pool.ends(vm)
        self.host.expect_nothing()

    def test_cloudstack_makes_the_vm_anew(self):
        self.host.start()
        for n in range(CYCLES):
            vm = self.pool.add_vm("i-2-100-VM", {"pvgpu": "pvgpu-4g"})
            uuid = self.pool.vms[vm]["uuid"]
            self.pool.start(vm)
            self.host.expect(uuid, "pvgpu-4g")
            self.pool.vm_hard_shutdown(vm)
            self.pool.vm_destroy(vm)
            self.host.until(lambda u=uuid: not (self.host.xapi_dir / (u + ".conf")).exists(), "cycle %d: the file is gone" % n)
        self.host.expect_nothing()
        self.assertEqual(self.residue(), [[]])
        self.assertEqual(sorted(p.name for p in self.host.xapi_dir.iterdir()), ["synced"])

    def test_tenants(self):
        (self.host.folder / "pvgpu" / "tenants.conf").write_text("[tenant alice]\nvgpus = 1\n[tenant bob]\n")
        self.host.start()
        vm = self.pool.add_vm("web1", {"pvgpu": "pvgpu-2g tenant:bob"}, UUID, tags=["pvgpu-tenant:alice"])
        self.pool.start(vm)
        self.host.expect(UUID, "pvgpu-2g")
        domid = self.pool.vms[vm]["domid"]
        self.assertEqual(self.host.store.get("/local/domain/0/backend/pvgpu/%s/0/pool" % domid), "/alice")
        other = self.pool.add_vm("web2", {"pvgpu": "pvgpu-2g tenant:alice"})
        self.refused("has 1 of at most 1 vGPU", self.pool.start, other)

    def test_xapi_is_away(self):
        vm = self.pool.add_vm("web1", {"pvgpu": "pvgpu-2g"}, UUID)
        gone = self.pool.add_vm("web2", {"pvgpu": "off"})
        self.host.start()
        self.pool.start(vm)
        self.host.expect(UUID, "pvgpu-2g")
        self.pool.hosts[0].stop_xapi()
        self.pool.sessions.clear()
        with self.pool.changed:
            self.pool.changed.notify_all()
        # The toolstack is restarted; meanwhile values change and VMs go.
        self.set(vm, "off")
        self.pool.vm_destroy(gone)
        self.assertTrue(self.host.vgpus(UUID))
        self.pool.hosts[0].start()
        self.host.expect_nothing()
        self.host.until(lambda: len(list(self.host.xapi_dir.glob("*.conf"))) == 1, "the VM that is gone has no file")

    def test_values_without_a_meaning(self):
        self.host.start()
        vm = self.pool.add_vm("web1", {"pvgpu": "pvgpu-2g"}, UUID)
        self.pool.start(vm)
        self.host.expect(UUID, "pvgpu-2g")
        for value, text in (("", "is empty"), ("off count:1", "off: is no profile's name"), ("a/b", "a/b: is no profile's name"),
                            ("pvgpu-2g count:0", "must be count:1 to count:16"), ("pvgpu-2g count:17", "must be count:1"),
                            ("pvgpu-2g speed:3", "there are count:N and tenant:NAME"), ("pvgpu-2g tenant:-x", "a tenant's name is")):
            self.set(vm, value)
            self.host.until(lambda t=text: t in self.host.log("pvgpu-xapi"), "the log says '%s'" % text)
        # It runs on as it was; but it would not start.
        self.assertTrue(self.host.vgpus(UUID))
        self.pool.ends(vm)
        self.refused("pvgpu: other_config:pvgpu=pvgpu-2g tenant:-x: tenant:-x: a tenant's name is", self.pool.start, vm)
        once = subprocess.run([sys.executable, str(PROGRAMS / "pvgpu-xapi"), "--once", "--socket", self.pool.hosts[0].socket, "--dir",
                               str(self.host.xapi_dir)], capture_output=True, text=True, check=False)
        self.assertEqual(once.returncode, 1, once.stderr)

    def test_a_start_that_cannot_be_served(self):
        self.host.start()
        vm = self.pool.add_vm("web1", {"pvgpu": "pvgpu-9g"}, UUID)
        params = self.refused("this host has no profile pvgpu-9g; it has pvgpu-2g, pvgpu-4g, far", self.pool.start, vm)
        self.assertEqual((params[0], params[3]), ("vm-pre-start/50-pvgpu", "3"))
        self.set(vm, "pvgpu-4g count:2")
        self.refused("profile pvgpu-4g: 2 wanted, 1 fit on this host", self.pool.start, vm)
        self.set(vm, "pvgpu-2g")
        self.pool.start(vm)
        self.host.expect(UUID, "pvgpu-2g")

    def test_a_start_just_after_a_stop(self):
        """The hook waits for the room that a VM leaves which has just ended."""
        self.host.start()
        old, new = [self.pool.add_vm("i-2-100-VM", {"pvgpu": "pvgpu-4g"}) for _ in range(2)]
        self.pool.start(old)
        self.host.expect(self.pool.vms[old]["uuid"], "pvgpu-4g")
        self.pool.hosts[0].env["PVGPU_HOOK_ROOM_S"] = "600"
        asked = len(self.pool.calls)
        start = threading.Thread(target=self.pool.start, args=(new,))
        start.start()
        self.host.until(lambda: "VM.get_tags" in [m for m, _ in self.pool.calls[asked:]], "the hook has looked at the VM")
        self.pool.ends(old)
        start.join(PATIENCE_S)
        self.assertFalse(start.is_alive())
        self.host.expect(self.pool.vms[new]["uuid"], "pvgpu-4g")

    def test_a_start_never_waits(self):
        """No driver domain, no pvgpud, no xapi, no pvgpuctl: the VM starts, and has its vGPU as soon as that is served."""
        vm = self.pool.add_vm("web1", {"pvgpu": "far"}, UUID)
        self.host.start()
        self.pool.start(vm)
        self.host.until(lambda: "no domain here has that name" in self.host.log("pvgpu-attachd"), "pvgpu-attachd waits for the backend")
        self.pool.ends(vm)
        self.set(vm, "pvgpu-2g")
        self.host.store.remove("/local/domain/0/data/pvgpu")
        self.pool.start(vm)
        self.host.expect(UUID)
        self.host.publish(8 << 30)
        self.host.expect(UUID, "pvgpu-2g")
        for name in ("PVGPUCTL", "PVGPU_XAPI_SOCKET"):
            self.pool.ends(vm)
            self.pool.hosts[0].env[name] = "/nonexistent"
            self.pool.start(vm)
            self.host.expect(UUID, "pvgpu-2g")

    def test_a_driver_domain_is_restarted(self):
        """Its users have started before it, live through its restart, and leave nothing there, which xenopsd does not clean."""
        gpu, vm = self.pool.add_vm("gpu"), self.pool.add_vm("web1", {"pvgpu": "far"}, UUID)
        self.host.start()
        self.pool.start(vm)
        uuids = []
        for _ in range(3):
            self.pool.start(gpu)
            self.host.expect(UUID)
            self.host.publish(8 << 30, self.pool.vms[gpu]["domid"])
            uuids.append(self.host.expect(UUID, "far"))
            self.assertTrue(self.host.store.paths("/local/domain/%s/backend/pvgpu" % self.pool.vms[gpu]["domid"]))
            self.pool.ends(gpu)
        self.assertEqual(uuids, [uuids[0]] * 3)
        self.pool.start(gpu)
        self.host.publish(8 << 30, self.pool.vms[gpu]["domid"])
        self.host.expect(UUID, "far")
        self.pool.ends(vm)
        self.host.expect_nothing()
        self.pool.ends(gpu)
        self.assertEqual(self.residue(), [[]])

    def test_programs_in_use_do_not_migrate(self):
        self.host.busy = 2
        self.host.start()
        vm = self.pool.add_vm("web1", {"pvgpu": "pvgpu-2g"}, UUID)
        self.pool.start(vm)
        self.host.expect(UUID, "pvgpu-2g")
        params = self.refused("programs use its vGPUs and would fail", self.pool.migrate, vm, self.pool.hosts[0])
        self.assertEqual(params[0], "vm-pre-migrate/50-pvgpu")
        self.assertIn("2 of vGPU 0", params[2])
        self.pool.vms[vm]["other_config"]["pvgpu-migrate"] = "yes"
        self.pool.migrate(vm, self.pool.hosts[0])  # within the host
        self.host.expect(UUID, "pvgpu-2g")

    def test_killed_between_steps(self):
        """pvgpu-attachd killed at each of its requests to xenstore: the next one makes it good."""
        vm = self.pool.add_vm("web1", {"pvgpu": "pvgpu-2g"}, UUID)
        self.host.start("pvgpu-xapi")
        self.pool.start(vm)
        asked = []
        for steps in range(3, 60, 4):
            value = "pvgpu-2g" if len(asked) % 2 == 0 else "off"
            self.set(vm, value)
            self.host.until(lambda v=value: ("profile" in (self.host.xapi_dir / (UUID + ".conf")).read_text()) == (v != "off"), "the file says " + value)
            self.host.store.hang_up_after(steps)
            self.host.start("pvgpu-attachd")
            self.host.until(lambda: self.host.store.hung_up() or self.settled(value), "killed, or done")
            asked.append(self.host.store.hung_up())
            self.host.end("pvgpu-attachd", how=signal.SIGKILL)
            self.host.store.hang_up_after(0)
            self.host.start("pvgpu-attachd")
            self.host.expect(UUID, *(() if value == "off" else (value,)))
            self.host.end("pvgpu-attachd", how=signal.SIGKILL)
        self.assertTrue(asked[0])
        self.host.start("pvgpu-attachd")
        self.pool.ends(vm)
        self.host.expect_nothing()
        self.assertEqual(self.residue(), [[]])

    def test_pvgpuctl_is_killed(self):
        """At each of its requests to xenstore: the same words again make it good."""
        vm = self.pool.add_vm("web1", uuid=UUID)
        self.pool.start(vm)
        store, ctl = self.host.store, self.host.env["PVGPUCTL"]

        def run(*words):
            return subprocess.run([ctl, *words], env={**os.environ, **self.host.env}, capture_output=True, text=True, timeout=PATIENCE_S, check=False)

        def each_step(words, undo, already, *profiles):
            for steps in range(1, 200):
                store.hang_up_after(steps)
                run(*words)
                cut = store.hung_up()
                store.hang_up_after(0)
                done = run(*words)
                self.assertTrue(done.returncode == 0 or already in done.stderr, (steps, done.stderr))
                self.host.expect(UUID, *profiles)
                if not profiles:
                    self.host.expect_nothing()
                undone = run(*undo)
                self.assertEqual((undone.returncode, undone.stderr), (0, ""), steps)
                if not cut:
                    return steps
            raise AssertionError("it never ends")

        attach, detach = ("attach", "web1", "--id", "0", "--profile", "pvgpu-2g"), ("detach", "web1", "--id", "0")
        self.assertGreater(each_step(attach, detach, "already has a vGPU 0", "pvgpu-2g"), 10)
        self.assertEqual(run(*attach).returncode, 0)
        self.assertGreater(each_step(detach, attach, "has no vGPU"), 5)
        self.assertEqual(run(*detach).returncode, 0)
        self.pool.ends(vm)
        self.assertEqual(self.residue(), [[]])

    def settled(self, value):
        return bool(self.host.vgpus(UUID)) == (value != "off") and (value != "off" or not self.host.store.get("/local/domain/0/backend/pvgpu"))

    def test_pvgpu_xapi_is_killed(self):
        """With half a file, with a stale file, and while values change: the next one makes the files true, and touches no other."""
        vm = self.pool.add_vm("web1", {"pvgpu": "pvgpu-2g"}, UUID)
        self.host.start()
        self.pool.start(vm)
        self.host.expect(UUID, "pvgpu-2g")
        file = self.host.xapi_dir / (UUID + ".conf")
        made = file.stat().st_ino
        self.host.end("pvgpu-xapi", how=signal.SIGKILL)
        (self.host.xapi_dir / "..half.conf").write_text("[vm")
        (self.host.xapi_dir / "5f2c9a34-0b1e-4c6d-9a57-2d8e1f3b4c60.conf").write_text("[vm]\n")
        self.host.start("pvgpu-xapi")
        self.host.until(lambda: sorted(p.name for p in self.host.xapi_dir.iterdir()) == sorted([file.name, "synced"]), "the files are true")
        self.assertEqual(file.stat().st_ino, made)
        self.host.end("pvgpu-xapi", how=signal.SIGKILL)
        self.set(vm, "off")
        self.host.start("pvgpu-xapi")
        self.host.expect_nothing()

    def test_only_what_changed_is_read_again(self):
        """With 100 domains a look at all is 400 requests to xenstore. tests/unit/ctl/attachd_test.c counts with 500."""
        for n in range(100):
            self.pool.begins(self.pool.add_vm("vm%d" % n), self.pool.hosts[0])
        self.host.publish(64 << 30)
        self.host.start()
        counts = []
        for n in range(5):
            vm = self.pool.add_vm("web%d" % n, {"pvgpu": "pvgpu-2g"})
            self.host.store.count()
            self.pool.begins(vm, self.pool.hosts[0])
            self.host.expect(self.pool.vms[vm]["uuid"], "pvgpu-2g")
            counts.append(self.host.store.count())
        # The look at all after a minute may be among them.
        self.assertLess(min(counts), 200)

    def test_concurrent_toggles(self):
        vms = [self.pool.add_vm("web%d" % n) for n in range(6)]
        self.host.publish(64 << 30)
        self.host.start()
        for vm in vms:
            self.pool.start(vm)
        for n in range(5):
            for i, vm in enumerate(vms):
                self.set(vm, ("off", "pvgpu-2g", "pvgpu-2g count:2")[(n + i) % 3])
        for i, vm in enumerate(vms):
            self.host.expect(self.pool.vms[vm]["uuid"], *["pvgpu-2g"] * ((4 + i) % 3))
        for vm in vms:
            self.pool.ends(vm)
        self.host.expect_nothing()
        self.assertEqual(self.residue(), [[]])

    def test_check(self):
        def ask(*more):
            done = subprocess.run([sys.executable, str(PROGRAMS / "pvgpu-xapi"), "--check", "--socket", self.pool.hosts[0].socket] + list(more),
                                  env={**os.environ, **self.host.env}, capture_output=True, text=True, check=False)
            return done.returncode, done.stdout + done.stderr

        self.assertEqual(ask(), (0, ""))
        vm = self.pool.add_vm("web1", {"pvgpu": "far", "auto_poweron": "true"}, UUID)
        self.pool.add_vm("web2", {"pvgpu": "pvgpu-9g"})
        self.pool.add_vm("web3", {"pvgpu": "a/b"})
        self.pool.add_vm("web4", {"pvgpu": "off"})
        self.pool.add_vm("web5", {"pvgpu": "pvgpu-2g"})
        status, out = ask("--json")
        said = json.loads(out)
        self.assertEqual((status, said["good"], len(said["faults"])), (1, False, 3))
        for text in ("backend gpu: the pool has no such VM", "(web2): this host has no profile pvgpu-9g", "a/b: is no profile's name"):
            self.assertIn(text, out)
        self.pool.add_vm("gpu")
        out = ask()[1]
        self.assertIn("VM gpu: serves vGPUs and has no platform:max_maptrack_frames", out)
        self.assertIn("VM web1: starts with its host (auto_poweron), and gpu, which serves it, does not", out)
        for r, v in list(self.pool.vms.items()):
            if r != vm and v["name_label"] in ("gpu", "web2", "web3"):
                self.pool.vm_destroy(r)
        self.pool.add_vm("gpu", {"auto_poweron": "true"}, platform={"max_maptrack_frames": "1024"})
        self.assertEqual(ask(), (0, ""))
        self.host.env["PVGPUCTL"] = "/nonexistent"
        self.assertEqual(ask()[0], 1)

    def test_the_plugin_by_xapi(self):
        vm = self.pool.add_vm("web1", uuid=UUID)
        self.pool.start(vm)
        call = self.pool.host_call_plugin
        made = json.loads(call(self.pool.hosts[0].ref, "pvgpu", "attach", {"vm-uuid": UUID, "profile": "pvgpu-2g"}))
        self.assertTrue(made["connected"])
        call(self.pool.hosts[0].ref, "pvgpu", "detach", {"vm-uuid": UUID})
        self.pool.ends(vm)
        self.assertEqual(self.residue(), [[]])


class TwoHosts(Case):
    hosts = ("host1", "host2")

    def test_migration(self):
        for p in self.on:
            p.start()
        vm = self.pool.add_vm("web1", {"pvgpu": "pvgpu-2g"}, UUID)
        self.pool.start(vm)
        uuid = self.on[0].expect(UUID, "pvgpu-2g")
        for to in (1, 0, 1):
            self.pool.migrate(vm, self.pool.hosts[to])
            self.assertEqual(self.on[to].expect(UUID, "pvgpu-2g"), uuid)
            self.on[1 - to].expect_nothing()
        # A value that is set on the master reaches the member.
        self.set(vm, "off")
        self.on[1].expect_nothing()
        self.pool.ends(vm)
        self.assertEqual(self.residue(), [[], []])

    def test_a_host_crashes(self):
        for p in self.on:
            p.start()
        vm = self.pool.add_vm("web1", {"pvgpu": "pvgpu-2g"}, UUID)
        self.pool.start(vm, self.pool.hosts[1])
        self.on[1].expect(UUID, "pvgpu-2g")
        self.on[1].end(how=signal.SIGKILL)
        self.pool.vms[vm].update(power_state="Halted", resident_on="OpaqueRef:NULL", domid="-1")
        self.pool.touch(vm)
        self.pool.start(vm, self.pool.hosts[0])
        self.on[0].expect(UUID, "pvgpu-2g")


@unittest.skipUnless(shutil.which("openssl"), "no openssl to make a certificate with")
class Network(Case):
    """The double over HTTPS, as other programs of ours use it."""
    hosts = ("host1", "host2")

    def setUp(self):
        super().setUp()
        key, cert = self.folder + "/key", self.folder + "/cert"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=localhost",
                        "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
        self.trusted = ssl.create_default_context(cafile=cert)
        self.ports = [self.pool.listen(cert, key, h) for h in self.pool.hosts]

    def call(self, port, method, *params):
        with rpc.ServerProxy("https://127.0.0.1:%d/" % port, context=self.trusted) as server:
            answer = getattr(server, method)(*params)
        if answer["Status"] == "Failure":
            raise ApiError(*answer["ErrorDescription"])
        return answer["Value"]

    def fails(self, code, *words):
        with self.assertRaises(ApiError) as e:
            self.call(*words)
        self.assertEqual(e.exception.code, code)

    def test_calls(self):
        master, member = self.ports
        self.fails("HOST_IS_SLAVE", member, "session.login_with_password", "root", "secret", "1.0", "test")
        self.fails("SESSION_AUTHENTICATION_FAILED", master, "session.login_with_password", "root", "wrong", "1.0", "test")
        self.fails("SESSION_INVALID", master, "VM.get_all", "OpaqueRef:NULL")
        session = self.call(master, "session.login_with_password", "root", "secret", "1.0", "test")
        self.fails("MESSAGE_METHOD_UNKNOWN", master, "VM.dance", session)
        self.fails("MESSAGE_PARAMETER_COUNT_MISMATCH", master, "VM.get_record", session)
        self.fails("HANDLE_INVALID", master, "VM.get_record", session, "OpaqueRef:NULL")
        self.fails("EVENT_FROM_TOKEN_PARSE_FAILURE", master, "event.from", session, ["vm"], "x", 0.0)
        batch = self.call(master, "event.from", session, ["vm"], "", 30.0)
        self.assertEqual([e["operation"] for e in batch["events"]], ["add", "add"])  # the hosts' control domains
        vm = self.pool.add_vm("web1", uuid=UUID)
        again = self.call(master, "event.from", session, ["vm"], batch["token"], 30.0)
        self.assertEqual([(e["operation"], e["class"], e["snapshot"]["name_label"]) for e in again["events"]], [("add", "vm", "web1")])
        self.pool.vm_destroy(vm)
        last = self.call(master, "event.from", session, ["vm"], again["token"], 30.0)
        self.assertEqual([(e["operation"], "snapshot" in e) for e in last["events"]], [("del", False)])
        self.assertEqual(self.call(master, "event.from", session, ["vm"], last["token"], 0.0)["events"], [])
        self.assertEqual(len(json.loads(self.call(master, "host.call_plugin", session, self.pool.hosts[1].ref, "pvgpu", "list", {}))), 0)
        self.fails("XENAPI_MISSING_PLUGIN", master, "host.call_plugin", session, self.pool.hosts[1].ref, "none", "list", {})
        self.call(master, "session.logout", session)
        self.fails("SESSION_INVALID", master, "VM.get_all", session)
        with self.assertRaises(ssl.SSLError):
            self.trusted = ssl.create_default_context()
            self.call(master, "VM.get_all", session)


@unittest.skipUnless(plugin_test.PYTHON2, "no Python 2 here: only its syntax is checked")
class ByPython2(OneHost):
    """The same with Python 2.7, but for tests that are mostly about pvgpu-attachd."""
    python = plugin_test.PYTHON2
    test_killed_between_steps = test_concurrent_toggles = test_a_start_never_waits = None


class Syntax(unittest.TestCase):
    MODULES = {"getopt", "json", "os", "re", "signal", "socket", "struct", "subprocess", "sys", "time", "zlib", "http.client", "httplib", "xmlrpc.client",
               "xmlrpclib", "pvgpu_xapi", "pvgpu_types", "xml.parsers.expat"}

    def test_programs(self):
        for path in sorted(PROGRAMS.iterdir()):
            if path.name != "pvgpu" and path.is_file() and (path.suffix == ".py" or path.read_text().startswith("#!/usr/bin/env python")):
                found = [f for f in plugin_test.Syntax.faults(path.read_text()) if f.replace("import ", "") not in self.MODULES]
                self.assertEqual(found, [], path.name)

    @unittest.skipUnless(shutil.which("systemd-analyze"), "systemd-analyze is missing")
    def test_units(self):
        with tempfile.TemporaryDirectory(prefix="xcpng-") as folder:
            for source in PROGRAMS.glob("*.service.in"):
                path = pathlib.Path(folder, source.stem)
                path.write_text(re.sub(r"@PREFIX@/[a-z/-]+", "/bin/true", source.read_text()))
                done = subprocess.run(["systemd-analyze", "verify", "--man=no", str(path)], capture_output=True, text=True, check=False)
                self.assertEqual([line for line in (done.stdout + done.stderr).splitlines() if path.name in line], [])

    def test_usage(self):
        for words, status, text in ((["--help"], 0, "Exit status"), (["--version"], 0, "pvgpu-xapi 0.1.0"), (["--speed"], 2, "try --help"), (["--grace", "soon"], 2, "must be a number of seconds"), (["x"], 2, "options only"),
                                    (["--once", "--socket", "/nonexistent", "--dir", tempfile.gettempdir() + "/pvgpu-none"], 1, "/nonexistent: ")):
            done = subprocess.run([sys.executable, str(PROGRAMS / "pvgpu-xapi")] + words, capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, status, done.stderr)
            self.assertIn(text, done.stdout + done.stderr)
        shutil.rmtree(pathlib.Path(tempfile.gettempdir(), "pvgpu-none"), ignore_errors=True)


if __name__ == "__main__":
    unittest.main()
