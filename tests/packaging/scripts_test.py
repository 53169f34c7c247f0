#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The scripts that dpkg runs when Debian's packages come and go, in a folder in place of /, with few programs in PATH: ours, a few of the system's, and
stand-ins that write down how they are called."""
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = ROOT / os.environ.get("PVGPU_BUILD", "build") / "bin"
PACKAGING = ROOT / "xen-pvgpu-back/packaging"
UNITS = ROOT / "xen-pvgpu-back/systemd"
TOOLS = ("sh", "cat", "cp", "dirname", "grep", "ln", "ls", "mv", "readlink", "rm")
STAND_INS = ("deb-systemd-invoke", "modprobe", "systemctl", "update-alternatives")


class Scripts(unittest.TestCase):
    package = None

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="pvgpu-")
        self.addCleanup(folder.cleanup)
        self.top = pathlib.Path(folder.name)
        self.log, self.link = self.top / "log", self.top / "usr/local/bin/nvidia-smi"
        for f in "etc/systemd/system.conf.d", "tools", "usr/bin", "usr/local/bin", "sys/bus/xen/devices":
            (self.top / f).mkdir(parents=True)
        for tool in TOOLS:
            (self.top / "tools" / tool).symlink_to(shutil.which(tool))
        (self.top / "usr/bin/pvgpu-run").symlink_to(BIN / "pvgpu-run")
        self.program("usr/bin/pvgpu-smi", "")
        for name in STAND_INS:
            self.program(f"tools/{name}", f'echo "{name} $*" >>{self.log}')

    def program(self, path, does):
        (self.top / path).write_text(f"#!/bin/sh\n{does}\n")
        (self.top / path).chmod(0o755)

    def script(self, name, *words):
        """Its calls of the stand-ins."""
        self.log.write_text("")
        text = re.sub(r"(?<!\w)/(run|sys|usr)/", rf"{self.top}/\1/", (PACKAGING / "debian" / f"{self.package}.{name}").read_text())
        env = {"PATH": f"{self.top}/usr/local/bin:{self.top}/usr/bin:{self.top}/tools", "PVGPU_ETC": str(self.top / "etc")}
        done = subprocess.run(["/bin/sh", "-c", text, name, *words], capture_output=True, text=True, env=env, timeout=60, check=False)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
        return self.log.read_text().splitlines()


class Guest(Scripts):
    package = "pvgpu-guest"

    def test_the_default_for_all_programs_ends_with_the_package(self):
        """Else each program would complain of a library that is not there."""
        environment, unit = self.top / "etc/environment", self.top / "etc/systemd/system.conf.d/pvgpu.conf"
        library = "LD_AUDIT=/usr/lib/pvgpu/$LIB/pvgpu-audit.so\n"
        environment.write_text("LANG=C.UTF-8\n" + library)
        unit.write_text("[Manager]\nDefaultEnvironment=" + library)
        (self.top / "run/systemd/system").mkdir(parents=True)
        self.script("prerm", "upgrade", "0.1.1")
        self.assertEqual((environment.read_text(), unit.exists()), ("LANG=C.UTF-8\n" + library, True))
        self.assertIn("systemctl daemon-reexec", self.script("prerm", "remove"))
        self.assertEqual((environment.read_text(), unit.exists()), ("LANG=C.UTF-8\n", False))
        self.assertNotIn("systemctl daemon-reexec", self.script("prerm", "remove"))  # it is off

    def test_nvidia_smi(self):
        """No alternative: Debian's nvidia-alternative has one with the same path."""
        calls = self.script("postinst", "configure", "")
        self.assertEqual([c for c in calls if "--install" in c], [])
        self.assertEqual(os.readlink(self.link), str(self.top / "usr/bin/pvgpu-smi"))
        self.script("postinst", "configure", "0.1.0")
        self.script("prerm", "upgrade", "0.1.1")
        self.assertTrue(self.link.is_symlink())
        self.script("prerm", "remove")
        self.assertFalse(self.link.is_symlink())
        self.script("prerm", "remove")

    def test_an_nvidia_smi_of_others_stays(self):
        self.program("usr/bin/nvidia-smi", "")
        self.script("postinst", "configure", "")
        self.assertFalse(self.link.is_symlink())
        (self.top / "usr/bin/nvidia-smi").unlink()
        for target in self.top / "usr/bin/pvgpu-run", self.top / "nothing":
            self.link.symlink_to(target)
            self.script("postinst", "configure", "")
            self.script("prerm", "remove")
            self.assertEqual(os.readlink(self.link), str(target))
            self.link.unlink()

    def test_a_machine_without_usr_local(self):
        shutil.rmtree(self.top / "usr/local")
        self.script("postinst", "configure", "")
        self.script("prerm", "remove")
        self.assertFalse((self.top / "usr/local").exists())

    def test_the_module_is_loaded_where_there_is_a_vgpu(self):
        """The kernel tells udev of a vGPU once: before the package was there."""
        def loads(*words):
            return [c for c in self.script("postinst", *words) if c.startswith("modprobe")]
        (self.top / "sys/bus/xen/devices/vif-0").mkdir()
        self.assertEqual(loads("configure", ""), [])
        (self.top / "sys/bus/xen/devices/pvgpu-0").mkdir()
        self.assertEqual(loads("configure", ""), ["modprobe -q -b pvgpu"])
        self.assertEqual(loads("abort-upgrade", "0.1.0"), [])
        # DKMS has built none, for lack of headers.
        self.program("tools/modprobe", "exit 1")
        self.script("postinst", "configure", "")

    def test_the_module_is_built_first(self):
        text = (PACKAGING / "debian/pvgpu-guest.postinst").read_text()
        self.assertLess(text.index("#DEBHELPER#"), text.index("modprobe"))


class Back(Scripts):
    package = "pvgpu-back"

    def test_the_exporter_is_stopped(self):
        """debhelper stops what it starts, and the exporter is started by the site."""
        self.assertEqual(self.script("prerm", "remove"), [])  # no systemd runs
        (self.top / "run/systemd/system").mkdir(parents=True)
        self.assertEqual(self.script("prerm", "upgrade", "0.1.1"), [])
        self.assertEqual(self.script("prerm", "remove"), ["deb-systemd-invoke stop pvgpu-exporter.service"])


@unittest.skipUnless(shutil.which("dh_installsystemd"), "debhelper is not installed")
class Units(unittest.TestCase):
    """What debhelper puts into the scripts of the packages for their units."""

    def test_the_exporter_waits_for_its_site(self):
        """It is neither enabled nor started, since the site makes its group first; an upgrade restarts it where it runs."""
        with tempfile.TemporaryDirectory(prefix="pvgpu-") as folder:
            tree = pathlib.Path(folder)
            shutil.copytree(PACKAGING / "debian", tree / "debian")
            for package, units in ("pvgpu-back", ["pvgpud", "pvgpu-exporter"]), ("pvgpu-tools", ["pvgpu-attachd"]), ("pvgpu-cloudstack", ["pvgpu-cloudstack"]):
                for lib in "lib", "usr/lib":
                    (tree / "debian" / package / lib / "systemd/system").mkdir(parents=True)
                    for unit in units:
                        shutil.copy(UNITS / f"{unit}.service.in", tree / "debian" / package / lib / f"systemd/system/{unit}.service")
            subprocess.run(["make", "-s", "-f", "debian/rules", "override_dh_installsystemd"], cwd=tree, check=True, stdout=subprocess.DEVNULL)

            def lines(script):
                """Those that name the exporter, of what debhelper has made."""
                found = [*(tree / "debian").glob(f"pvgpu-back.{script}.debhelper"), *(tree / "debian/.debhelper/generated/pvgpu-back").glob(f"{script}*")]
                return [line.strip() for p in found for line in p.read_text().splitlines() if "pvgpu-exporter.service" in line]
            words = {" ".join(re.findall(r"deb-systemd-(?:helper|invoke) (?:--\S+ )*(\S+)", line)) for line in lines("postinst")}
            self.assertEqual(words, {"debian-installed", "unmask", "was-enabled", "enable", "update-state", "try-restart"})
            self.assertTrue(any("purge" in line for line in lines("postrm")))


if __name__ == "__main__":
    unittest.main()
