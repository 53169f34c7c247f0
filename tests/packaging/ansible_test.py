#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The Ansible role of xen-pvgpu-back/packaging/ansible. Usage: ansible_test.py [B]

Without an argument: the role's syntax, and its configuration in a folder, by ansible-playbook on this machine. With the build folder also changes and
faults of it and, for root, the whole role in a clean Debian system, in the packages of `make deb`, as a backend with dom0's tools and as a guest; services are
not started there. Each is run twice: the second time nothing changes.
"""
import json
import os
import pathlib
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import chroot

ROOT = pathlib.Path(__file__).resolve().parents[2]
ROLE = ROOT / "xen-pvgpu-back/packaging/ansible"
BIN = ROOT / os.environ.get("PVGPU_BUILD", "build") / "bin"
PLAY = "- {hosts: all, gather_facts: %s, roles: [pvgpu]}\n"
INVENTORY = "localhost ansible_connection=local ansible_python_interpreter=/usr/bin/python3\n"
VALUES = {
    "pvgpu_parts": ["back", "tools"], "pvgpu_services": False,
    "pvgpu_conf": {"daemon": {"xen": False, "env": ["A=1", "B=2"]}, "pool default": {"device": 0, "policy": "fair"},
                   "vgpu tenant1": {"memory": "4G", "max_share": "50%", "mode": "0660"}},
    "pvgpu_profiles": {"default": {"max-sessions": 64}, "profile small": {"memory": "2G", "weight": 50}},
    "pvgpu_tenants": {"tenant research": {"vgpus": 4, "memory": "16G"}},
    "pvgpu_vms": {"web1": {"vm": {"uuid": "9c1b7a52-3f60-4f8e-8d55-0a2f6c1e7b90"}, "vgpu 0": {"profile": "small", "tenant": "research"}}},
    "pvgpu_vms_absent": ["web2"],
}
CONF = """
[daemon]
xen = off
env = A=1
env = B=2

[pool default]
device = 0
policy = fair

[vgpu tenant1]
memory = 4G
max_share = 50%
mode = 0660
"""


def recap(said):
    """What Ansible has counted: ok, changed, failed and others."""
    return {k: int(v) for k, v in re.findall(r"(\w+)=(\d+)", said.partition("PLAY RECAP")[2])}


@unittest.skipUnless(shutil.which("ansible-playbook"), "ansible-core is not installed")
class Base(unittest.TestCase):
    """The role's configuration in a folder. A run takes three seconds of a processor."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="pvgpu-")
        self.addCleanup(folder.cleanup)
        self.top = pathlib.Path(folder.name)
        self.etc = self.top / "etc"
        (self.top / "play.yml").write_text(PLAY % "false")
        (self.top / "hosts").write_text(INVENTORY)
        self.env = {**os.environ, "ANSIBLE_ROLES_PATH": str(ROLE / "roles"), "ANSIBLE_LOCAL_TEMP": str(self.top / "local"), "ANSIBLE_REMOTE_TEMP": str(self.top / "remote"),
                    "ANSIBLE_NOCOLOR": "1", "ANSIBLE_DEPRECATION_WARNINGS": "0", "LC_ALL": "C.UTF-8"}
        self.values = {**VALUES, "pvgpu_etc": str(self.etc), "pvgpu_pvgpud": str(BIN / "pvgpud"), "pvgpu_owner": pwd.getpwuid(os.geteuid()).pw_name}

    def ansible(self, *words, **values):
        return subprocess.run(["ansible-playbook", "-i", self.top / "hosts", "-e", json.dumps({**self.values, **values}), "--tags", "pvgpu_config", *words,
                               self.top / "play.yml"], capture_output=True, text=True, env=self.env, timeout=300, check=False)

    def good(self, *words, **values):
        done = self.ansible(*words, **values)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return recap(done.stdout)


class Configuration(Base):
    def test_twice(self):
        self.assertEqual(self.good()["changed"], 6)  # two folders and four files
        # What it says is as pvgpu's own programs want it.
        self.assertEqual((self.etc / "pvgpud.conf").read_text().partition("\n")[2], CONF)
        said = subprocess.run([BIN / "pvgpuctl", "profiles", "--site-dir", self.etc, "--json"], capture_output=True, text=True, check=True).stdout
        self.assertEqual([p["name"] for p in json.loads(said)["profiles"]], ["small"])
        self.assertIn("[vgpu 0]\nprofile = small\ntenant = research\n", (self.etc / "vms.d/web1.conf").read_text())
        self.assertEqual(self.good()["changed"], 0)

    def test_check_of_a_new_machine(self):
        """All of the role says what would change where nothing of ours is there: no program, no unit, no folder."""
        for part in "back", "tools":
            (self.top / f"pvgpu-{part}_0.1.0_amd64.deb").write_text("")
        for parts in ["back"], ["tools"]:
            done = self.ansible("--check", "--diff", "--tags", "all", pvgpu_debs=str(self.top), pvgpu_version="0.1.0", pvgpu_services=True, pvgpu_parts=parts,
                                pvgpu_pvgpud="/nonexistent", pvgpu_cdi="/etc/cdi/pvgpu.json", pvgpu_exporter="--listen 127.0.0.1:9835")
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertIn("(item=tools)", done.stdout)  # pvgpuctl writes the containers' specification
            self.assertGreater(recap(done.stdout)["changed"], 1)
        self.assertFalse(self.etc.exists())

    def test_example(self):
        done = subprocess.run(["ansible-playbook", "-i", ROLE / "inventory.yml", "--syntax-check", ROLE / "site.yml"], capture_output=True, text=True, env=self.env,
                              timeout=300, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)


class Changes(Base):
    def test_changes_and_faults(self):
        self.good()
        before = (self.etc / "pvgpud.conf").read_text()
        # pvgpud's own check refuses what it would not start with; the file that was there stays.
        done = self.ansible(pvgpu_conf={"vgpu tenant1": {"wieght": 5}})
        self.assertNotEqual(done.returncode, 0)
        self.assertRegex(done.stdout, "wieght")
        self.assertEqual((self.etc / "pvgpud.conf").read_text(), before)
        (self.etc / "vms.d/web2.conf").write_text("[vm]\n")
        said = self.good("--check", pvgpu_tenants={"tenant research": {"vgpus": 5}})
        self.assertEqual((said["changed"], (self.etc / "vms.d/web2.conf").exists()), (2, True))
        done = self.ansible(pvgpu_parts=["back", "guest"])
        self.assertIn("not both back and guest", done.stdout)


class System(unittest.TestCase):
    """A clean Debian system, with ansible-core in it."""
    folder = None

    @classmethod
    def setUpClass(cls):
        if os.geteuid() != 0:
            raise unittest.SkipTest("debootstrap and chroot need root")
        cls.system = chroot.Chroot(cls.folder / "ansible", "bookworm", ("ansible-core", "python3-apt", "dkms", "systemd", "procps"))
        try:
            cls.system.bootstrap()
        except chroot.Missing as e:
            raise unittest.SkipTest(str(e)) from e
        cls.addClassCleanup(cls.system.remove)

    def setUp(self):
        self.system.unpack()
        top = self.system.root / "root"
        shutil.copytree(ROLE / "roles", top / "roles")
        (top / "debs").mkdir()
        for deb in (self.folder / "deb").glob("*.deb"):
            shutil.copy(deb, top / "debs")
        (top / "play.yml").write_text(PLAY % "true")
        (top / "hosts").write_text(INVENTORY)

    def ansible(self, **values):
        (self.system.root / "root/values.json").write_text(json.dumps({**VALUES, "pvgpu_debs": "/root/debs", **values}))
        return recap(self.system.run("cd /root && ansible-playbook -i hosts -e @values.json play.yml", limit=1800))

    def test_backend_and_dom0(self):
        self.assertGreater(self.ansible(pvgpu_exporter="--listen 127.0.0.1:9835")["changed"], 8)
        self.assertIn("research", self.system.run("cat /etc/pvgpu/tenants.conf"))
        self.assertIn("small", self.system.run("pvgpuctl profiles"))
        self.system.run("pvgpud --check && getent group pvgpu-statistics && grep 9835 /etc/default/pvgpu-exporter")
        self.assertEqual(self.ansible(pvgpu_exporter="--listen 127.0.0.1:9835")["changed"], 0)

    def test_guest(self):
        # The kernel's package, for which DKMS builds the module, is a part of the guest.
        self.assertGreater(self.ansible(pvgpu_parts=["guest"])["changed"], 1)
        self.assertIn("/usr/lib/pvgpu/libcuda.so.1", self.system.run("ldconfig -p"))
        self.assertRegex(self.system.run("dkms status"), "pvgpu/.*installed")
        self.assertEqual(self.ansible(pvgpu_parts=["guest"])["changed"], 0)


def load_tests(loader, tests, pattern):
    return unittest.TestSuite(loader.loadTestsFromTestCase(c) for c in ((Changes, System) if System.folder else (Configuration,)))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        System.folder = pathlib.Path(sys.argv.pop(1)).resolve()
    unittest.main(verbosity=2)
