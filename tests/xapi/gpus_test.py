#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""VMs with VGPU objects on the double of xapi: places on GPUs, and what xenopsd does with its program `vgpu`, which is fake_vgpu.py here.

PVGPU_BUILD: the build folder with pvgpuctl.
"""
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import threading
import unittest

from double import Pool
from gpu_host import GPU, H100, Files, add_device
from gpus import NULL
from host import PATIENCE_S
from vgpu_service import TIMEOUTS
from xapi import ApiError

FAKE = pathlib.Path(__file__).with_name("fake_vgpu.py")
UUID = "9c1b7a52-3f60-4f8e-8d55-0a2f6c1e7b90"
SHORT_S = 0.3


class Case(unittest.TestCase):
    hosts = ("host1",)

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="gpus-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.pool = Pool(self.folder, self.hosts)
        self.addCleanup(self.pool.close)
        self.addCleanup(self.end_all)
        for h in self.pool.hosts:
            self.equip(h)
        self.host = self.pool.hosts[0]

    made = None  # the files, which each host has

    def equip(self, host):
        files = Files(host.folder)
        add_device(files.pci, GPU, H100)
        if Case.made is None:
            files.write()
            Case.made = files.config.read_bytes(), files.ids.read_bytes()
        files.config.write_bytes(Case.made[0])
        files.ids.write_bytes(Case.made[1])
        pathlib.Path(host.vgpu).symlink_to(FAKE)
        host.env.update(XENSTORED_PATH=host.xenstore.path)
        self.pool.update_gpus(host)

    def end_all(self):
        for h in self.pool.hosts:
            for c in h.service.machine.children:
                c.kill()
                c.wait()

    def vm(self, name="web1", profile="pvgpu-8g", **more):
        vm = self.pool.add_vm(name, **more)
        self.pool.add_vgpu(vm, profile)
        return vm

    def vgpu(self, vm):
        return self.pool.object("vgpu", self.pool.vms[vm]["VGPUs"][0])

    def remaining(self, profile="pvgpu-8g"):
        pgpu, = self.pool.host_get_PGPUs(self.host.ref)
        return int(self.pool.pgpu_get_remaining_capacity(pgpu, self.pool.type_named(profile)))

    def refused(self, code, call, *args):
        with self.assertRaises(ApiError) as e:
            call(*args)
        self.assertEqual(e.exception.code, code, e.exception)
        return e.exception.params


class Lives(Case):
    def test_start_and_end(self):
        vm = self.vm(uuid=UUID, VCPUs_max="4")
        self.pool.start(vm)
        v, domid = self.vgpu(vm), int(self.pool.vms[vm]["domid"])
        self.assertEqual(self.host.service.starts, [[self.host.vgpu, "--domain=%d" % domid, "--vcpus=4", "--suspend=/var/lib/xen/demu-save.%d" % domid,
                                                     "--device=%s,pvgpu-8g,0000:00:0b.0,%s" % (GPU, v["uuid"]), "--noconsole"]])
        self.assertEqual(self.host.xenstore.get("/local/domain/%d/vgpu/state" % domid), "running")
        pgpu, = self.pool.host_get_PGPUs(self.host.ref)
        self.assertEqual((v["resident_on"], v["scheduled_to_be_resident_on"], v["currently_attached"]), (pgpu, NULL, True))
        self.assertEqual((self.remaining(), self.remaining("pvgpu-1g"), self.host.service.bound), (9, 0, []))
        self.refused("OPERATION_NOT_ALLOWED", self.pool.vgpu_destroy, self.pool.vms[vm]["VGPUs"][0])
        pid = self.host.service.pid(domid)
        self.pool.reboot(vm)
        again = int(self.pool.vms[vm]["domid"])
        self.assertNotEqual((again, self.host.service.pid(again)), (domid, pid))
        self.assertEqual(len(self.host.service.starts), 2)
        self.pool.ends(vm)  # shut down, or crashed
        self.assertEqual(self.host.service.machine.command_line(pid), [])
        self.assertEqual((self.vgpu(vm)["resident_on"], self.remaining()), (NULL, 10))
        self.assertEqual([p for p in self.host.xenstore.paths("/local/domain") if "vgpu" in p], [])
        self.pool.vgpu_destroy(self.pool.vms[vm]["VGPUs"][0])
        self.pool.start(vm)
        self.assertEqual(len(self.host.service.starts), 2)

    def test_extra_arguments(self):
        vm = self.vm()
        self.pool.vgpu_set_extra_args(self.pool.vms[vm]["VGPUs"][0], "memory=4G")
        self.pool.start(vm)
        self.assertTrue(self.host.service.starts[0][4].endswith(self.vgpu(vm)["uuid"] + ",memory=4G"))

    def failed(self, mode, code, text, *short):
        """short: the time-outs that the helper is to let pass."""
        self.host.env["FAKE_VGPU"] = mode
        self.host.service.timeouts = {**TIMEOUTS, **dict.fromkeys(short, SHORT_S)}
        vm = self.vm(mode)
        params = self.refused(code, self.pool.start, vm)
        self.assertIn(text, params[-1])
        self.assertEqual((self.pool.vms[vm]["power_state"], self.vgpu(vm)["scheduled_to_be_resident_on"], self.remaining()), ("Halted", NULL, 10))
        self.assertEqual([p for p in self.host.xenstore.paths("/local/domain") if "vgpu" in p], [])

    def test_helpers_that_fail(self):
        self.failed("error", "FAILED_TO_START_EMULATOR", "Daemon vgpu returned error: 42")
        self.failed("no-code", "INTERNAL_ERROR", "Enoent")
        self.failed("silent", "FAILED_TO_START_EMULATOR", "emulator failed to start for domain 3", "ready")
        self.failed("exit", "FAILED_TO_START_EMULATOR", "emulator failed to start for domain 4", "ready")
        self.failed("stuck", "INTERNAL_ERROR", "Watch.Timeout", "running")

    def test_one_that_takes_no_sigterm(self):
        self.host.env["FAKE_VGPU"] = "deaf"
        self.host.service.timeouts["kill"] = SHORT_S
        vm = self.vm()
        self.pool.start(vm)
        pid = self.host.service.pid(int(self.pool.vms[vm]["domid"]))
        self.pool.ends(vm)
        self.assertTrue(self.host.service.until(lambda: None if self.host.service.machine.command_line(pid) else True, PATIENCE_S))

    def test_a_helper_that_was_started_before(self):
        """As pvgpu-attachd starts it when the domain is there: xenopsd finds it, and leaves the GPU to its driver."""
        (pathlib.Path(self.host.pci_devices) / GPU / "driver").unlink()
        (pathlib.Path(self.host.pci_devices) / GPU / "driver").symlink_to("../../../bus/pci/drivers/pciback")
        vm = self.vm()
        self.pool.start(vm)
        self.assertEqual((self.host.service.bound, self.host.service.found), ([(GPU, "pciback")], []))  # the driver domain has lost it
        self.pool.ends(vm)
        self.host.service.bound.clear()
        started = []

        def early(path):
            if path == "@introduceDomain":
                domid = self.host.next_domid - 1
                started.append(subprocess.Popen([self.host.vgpu, "--domain=%d" % domid], env={**os.environ, **self.host.env}))
                pathname = "/local/domain/%d/vgpu/state" % domid
                self.assertIsNotNone(self.host.service.until(lambda: self.host.xenstore.get(pathname), PATIENCE_S))
        make = self.host.make_domain

        def make_and_tell(vm):
            domid = make(vm)
            early("@introduceDomain")
            return domid
        self.host.make_domain = make_and_tell
        self.pool.start(vm)
        self.assertEqual((self.host.service.bound, self.host.service.found), ([], [int(self.pool.vms[vm]["domid"])]))
        self.pool.ends(vm)
        self.assertEqual(started[0].wait(PATIENCE_S), -signal.SIGTERM)


class Places(Case):
    hosts = ("host1", "host2")

    def test_one_kind_at_a_time(self):
        self.pool.start(self.vm("a"), self.host)
        kind = self.pool.type_named("pvgpu-1g")
        b = self.vm("b", "pvgpu-1g")
        params = self.refused("VM_REQUIRES_VGPU", self.pool.start, b, self.host)
        self.assertEqual(params, (b, self.vgpu(b)["GPU_group"], kind))
        self.pool.start(b)  # xapi chooses the host
        self.assertEqual(self.pool.vms[b]["resident_on"], self.pool.hosts[1].ref)

    def test_two_starts_race_for_the_last_place(self):
        vms, said, gate = [self.vm("web%d" % n, "pvgpu-40g") for n in range(2)], [], threading.Barrier(2)

        def start(vm):
            gate.wait()
            try:
                self.pool.start(vm, self.host)
                said.append("started")
            except ApiError as e:
                said.append(e.code)
        threads = [threading.Thread(target=start, args=(vm,)) for vm in vms]
        for t in threads:
            t.start()
        for t in threads:
            t.join(PATIENCE_S)
        self.assertEqual(sorted(said), ["VM_REQUIRES_VGPU", "started"])
        self.assertEqual(len(self.host.service.starts), 1)

    def test_full(self):
        for n in range(6):
            self.pool.start(self.vm("web%d" % n, "pvgpu-1g"))
        self.assertEqual([len(h.service.starts) for h in self.pool.hosts], [3, 3])
        self.refused("NO_HOSTS_AVAILABLE", self.pool.start, self.vm("late", "pvgpu-1g"))

    def test_what_cannot_have_one(self):
        for kind in ("pv", "pvh"):
            self.refused("FEATURE_REQUIRES_HVM", self.pool.start, self.vm(kind, domain_type=kind), self.host)
        vm = self.vm()
        self.refused("VGPU_TYPE_NOT_COMPATIBLE", self.pool.add_vgpu, vm, "pvgpu-8g")
        self.pool.start(vm)
        other = self.pool.add_vm("running")
        self.pool.start(other)
        self.refused("VM_BAD_POWER_STATE", self.pool.add_vgpu, other, "pvgpu-8g")

    def test_no_migration_without_gpumon(self):
        vm = self.vm()
        self.pool.start(vm)
        self.assertEqual(self.refused("VM_HAS_VGPU", self.pool.migrate, vm, self.pool.hosts[1]), (vm,))
        self.refused("VM_HAS_VGPU", self.pool.suspend, vm)

    def test_calls(self):
        vm = self.vm()
        call = self.pool.call
        session = call(self.host, True, "session.login_with_password", ["root", "", "1.0", "test"])
        v, = call(self.host, True, "VM.get_VGPUs", [session, vm])
        record = call(self.host, True, "VGPU.get_record", [session, v])
        kind = call(self.host, True, "VGPU_type.get_record", [session, record["type"]])
        self.assertEqual((kind["model_name"], kind["VGPUs"], "internal_config" in kind, "size" in kind), ("pvgpu-8g", [v], False, False))
        self.assertRegex(kind["identifier"], "^0001:nvidia,2330,,2330,[0-9a-f]{4}$")
        pgpus = call(self.host, True, "PGPU.get_all_records", [session])
        self.assertEqual({p["supported_VGPU_max_capacities"][record["type"]] for p in pgpus.values()}, {"10"})
        self.assertEqual(call(self.host, True, "GPU_group.get_remaining_capacity", [session, record["GPU_group"], record["type"]]), "20")
        self.assertEqual(call(self.host, True, "PGPU.get_PCI", [session, list(pgpus)[0]]), list(pgpus.values())[0]["PCI"])
        batch = call(self.host, True, "event.from", [session, ["vm", "vgpu"], "", 0.0])
        self.assertEqual([e["snapshot"]["uuid"] for e in batch["events"] if e["class"] == "vgpu"], [record["uuid"]])
        with self.assertRaises(ApiError):
            call(self.host, True, "VGPU_type.create", [session])
        call(self.host, True, "VGPU.destroy", [session, v])
        batch = call(self.host, True, "event.from", [session, ["vgpu"], batch["token"], 0.0])
        self.assertEqual([(e["class"], e["operation"]) for e in batch["events"]], [("vgpu", "del")])


if __name__ == "__main__":
    unittest.main()
