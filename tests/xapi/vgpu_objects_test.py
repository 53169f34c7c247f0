#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""VMs with VGPU objects of xapi's: the types that pvgpu-xapi-types makes, pvgpu-xapi, the hook and pvgpu-vgpu as they are, on the double of xapi.

PVGPU_BUILD: the build folder with pvgpuctl and pvgpu-vgpu.
"""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

from double import Pool
from gpu_host import BUILD, GPU, H100, Files, add_device
from host import PATIENCE_S, PROFILES, PROGRAMS, Programs
from xapi import ApiError

UUID = "9c1b7a52-3f60-4f8e-8d55-0a2f6c1e7b90"
# xenopsd looks for this path in the process's command line.
WRAPPER = '#!/bin/bash\nexec -a "$0" %s/bin/pvgpu-vgpu "$@" --site-dir=%s\n'


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="objects-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.pool = Pool(self.folder)
        self.addCleanup(self.pool.close)
        self.xcp = self.pool.hosts[0]
        self.host = Programs(self.xcp)
        self.addCleanup(self.host.close)
        self.files = Files(self.xcp.folder)
        self.files.profiles(PROFILES)
        add_device(self.files.pci, GPU, H100)
        self.files.write("--memory", "8G")
        vgpu = pathlib.Path(self.xcp.vgpu)
        vgpu.write_text(WRAPPER % (BUILD, self.host.folder / "pvgpu"))
        vgpu.chmod(0o755)
        self.addCleanup(self.end_all)
        self.pool.update_gpus(self.xcp)
        self.xcp.env["PVGPU_HOOK_FILE_S"] = str(PATIENCE_S)

    def end_all(self):
        for c in self.xcp.service.machine.children:
            c.kill()
            c.wait()

    def driver(self, name):
        link = self.files.pci / GPU / "driver"
        link.unlink()
        link.symlink_to("../../../bus/pci/drivers/" + name)

    def vm(self, other_config=None, profile="pvgpu-2g", uuid=UUID):
        vm = self.pool.add_vm("web1", other_config, uuid, VCPUs_max="2")
        self.pool.add_vgpu(vm, profile)
        return vm

    def refused(self, text, vm):
        with self.assertRaises(ApiError) as e:
            self.pool.start(vm)
        self.assertEqual(e.exception.code, "XAPI_HOOK_FAILED", e.exception)
        self.assertIn(text, e.exception.params[2])
        self.assertEqual((self.xcp.service.starts, self.xcp.service.bound), ([], []))


class Objects(Case):
    def test_a_life(self):
        """The VM has its vGPU before it runs, and it goes with its domain; pvgpu-attachd leaves it alone."""
        vm = self.vm()
        self.host.start()
        for _ in range(2):
            self.pool.start(vm)
            self.assertEqual(self.host.expect(UUID, "pvgpu-2g"), [self.pool.object("vgpu", self.pool.vms[vm]["VGPUs"][0])["uuid"]])
            self.pool.ends(vm)
            self.host.expect_nothing()
        self.pool.start(vm)
        self.pool.reboot(vm)
        self.host.expect(UUID, "pvgpu-2g")

    def test_the_file_is_what_xenopsd_says(self):
        """It is there before there is a domain, and gone with it."""
        self.host.start("pvgpu-xapi")
        vm, seen, make = self.vm(), [], self.xcp.make_domain
        file = self.host.xapi_dir / (UUID + ".vgpu")
        self.xcp.make_domain = lambda vm: seen.append(file.read_text()) or make(vm)
        self.assertFalse(file.exists())
        self.pool.start(vm)
        words = [w for w in self.xcp.service.starts[0][1:] if not w.startswith(("--domain=", "--suspend="))]
        self.assertEqual([line for line in seen[0].splitlines() if line.startswith("-")], words)
        self.assertEqual(words[0], "--vcpus=2")
        self.pool.ends(vm)
        self.host.until(lambda: not file.exists(), "the VM has no place on a GPU, and no file")
        self.assertEqual(sorted(p.name for p in self.host.xapi_dir.iterdir()), ["synced"])

    def test_extra_arguments_add_no_argument(self):
        """A user of xapi writes them; pvgpu-vgpu's starter takes each line for one."""
        self.host.start("pvgpu-xapi")
        vm = self.vm()
        self.pool.vgpu_set_extra_args(self.pool.vms[vm]["VGPUs"][0], "a\n--site-dir=/tmp")
        self.pool.place(vm, self.xcp)
        file = self.host.xapi_dir / (UUID + ".vgpu")
        self.host.until(file.exists, "the VM has a file")
        self.assertEqual([line.partition("=")[0] for line in file.read_text().splitlines()[1:]], ["--vcpus", "--device", "--noconsole"])

    def test_a_driver_domains_gpu(self):
        """Without pvgpu-xapi the GPU would be taken from the driver domain, so the VM does not start; with the starter it stays there."""
        self.driver("pciback")
        self.xcp.env["PVGPU_HOOK_FILE_S"] = "0"
        vm = self.vm()
        self.refused("GPU %s has the driver pciback, from which xenopsd would take it, unless pvgpu-vgpu-starter" % GPU, vm)
        self.xcp.env["PVGPU_HOOK_FILE_S"] = str(PATIENCE_S)
        self.host.start("pvgpu-xapi")
        log = open(self.host.folder / "starter.log", "a")
        self.addCleanup(log.close)
        starter = subprocess.Popen([str(BUILD / "bin" / "pvgpu-vgpu"), "--starter", "--xapi-dir=%s" % self.host.xapi_dir, "--program=" + self.xcp.vgpu],
                                   env={**os.environ, **self.host.env}, stderr=log)
        self.host.processes["starter"] = starter
        make = self.xcp.make_domain

        def slow(vm):
            """xenopsd needs a moment between the domain and its devices."""
            domid = make(vm)
            self.host.until(lambda: self.host.store.get("/local/domain/%d/vgpu/state" % domid), "the starter has seen the domain")
            return domid
        self.xcp.make_domain = slow
        self.pool.start(vm)
        self.assertEqual((self.xcp.service.starts, self.xcp.service.bound, len(self.xcp.service.found)), ([], [], 1))
        self.host.expect(UUID, "pvgpu-2g")
        self.pool.ends(vm)
        self.host.expect_nothing()

    def test_pvgpu_xapi_does_not_run(self):
        """Where dom0 has the GPU that is no reason to refuse."""
        self.xcp.env["PVGPU_HOOK_FILE_S"] = "0"
        self.pool.start(self.vm())
        self.host.expect(UUID, "pvgpu-2g")

    def test_both_ways_at_once(self):
        self.host.start()
        vm = self.vm({"pvgpu": "pvgpu-2g"})
        self.refused("pvgpu: other_config:pvgpu=pvgpu-2g: the VM has VGPU objects of xapi's, too (pvgpu-2g): keep one of both", vm)
        self.host.until(lambda: "the VM has VGPU objects of xapi's, too" in self.host.log("pvgpu-xapi"), "pvgpu-xapi says so, too")
        done = subprocess.run([sys.executable, str(PROGRAMS / "pvgpu-xapi"), "--check", "--json", "--socket", self.xcp.socket, "--config", self.xcp.whitelist,
                               "--pci-devices", self.xcp.pci_devices], env={**os.environ, **self.host.env}, capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, len(json.loads(done.stdout)["faults"])), (1, 1), done.stdout)
        self.assertIn("the VM has VGPU objects of xapi's, too (pvgpu-2g)", done.stdout)
        # CloudStack cannot take a line away: off says nothing beside a VGPU object.
        self.pool.vm_set_other_config(vm, {"pvgpu": "off"})
        self.pool.start(vm)
        self.host.expect(UUID, "pvgpu-2g")
        self.assertFalse((self.host.xapi_dir / (UUID + ".conf")).exists())
        # Of a VM that runs the key changes nothing.
        self.pool.vm_set_other_config(vm, {"pvgpu": "pvgpu-2g count:2"})
        other = self.pool.add_vm("web2", {"pvgpu": "pvgpu-2g"})
        self.pool.start(other)
        self.host.expect(self.pool.vms[other]["uuid"], "pvgpu-2g")
        self.assertEqual(len(self.host.vgpus(UUID)), 1)

    def test_no_room(self):
        """Other VMs have vGPUs by other_config, of which xapi knows nothing."""
        self.host.start()
        vm = self.pool.add_vm("by-key", {"pvgpu": "pvgpu-4g"})
        self.pool.start(vm)
        self.host.expect(self.pool.vms[vm]["uuid"], "pvgpu-4g")
        self.refused("profile pvgpu-4g: 1 wanted, 0 fit on this host", self.vm(profile="pvgpu-4g"))

    def test_a_profile_that_is_gone(self):
        self.host.start()
        vm = self.vm()
        (self.host.folder / "pvgpu" / "profiles.conf").write_text("[profile other]\nmemory = 1G\n")
        self.refused("this host has no profile pvgpu-2g; it has other", vm)

    def test_types_of_others(self):
        """NVIDIA's own, and a GPU that is passed through: neither is pvgpu's."""
        self.host.start("pvgpu-xapi")
        text = pathlib.Path(self.xcp.whitelist).read_text()
        pathlib.Path(self.xcp.whitelist).write_text(text.replace("made by pvgpuctl xapi types", "from NVIDIA"))
        self.xcp.stop_xapi()
        self.pool.sessions.clear()
        with self.pool.changed:
            self.pool.changed.notify_all()
        self.xcp.start()
        self.host.until(lambda: self.pool.sessions, "pvgpu-xapi is back")
        self.pool.start(self.vm({"pvgpu": "pvgpu-2g"}))
        self.assertEqual([p.name for p in self.host.xapi_dir.glob("*.vgpu")], [])

    def test_killed(self):
        self.host.start("pvgpu-xapi")
        vm = self.vm()
        self.pool.start(vm)
        file = self.host.xapi_dir / (UUID + ".vgpu")
        made = file.stat().st_ino
        self.host.end("pvgpu-xapi", how=signal.SIGKILL)
        (self.host.xapi_dir / "5f2c9a34-0b1e-4c6d-9a57-2d8e1f3b4c60.vgpu").write_text("--vcpus=1\n")
        self.host.start("pvgpu-xapi")
        self.host.until(lambda: [p.name for p in self.host.xapi_dir.glob("*.vgpu")] == [file.name], "the files are true")
        self.assertEqual(file.stat().st_ino, made)


if __name__ == "__main__":
    unittest.main()
