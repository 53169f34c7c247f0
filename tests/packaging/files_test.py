#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the packages would have: `make install-back`, -tools, -guest and -dev into empty folders, and the descriptions beside them."""
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = os.environ.get("PVGPU_BUILD", "build")
PACKAGING = ROOT / "xen-pvgpu-back/packaging"
PARTS = {"pvgpu-back": "back", "pvgpu-tools": "tools", "pvgpu-cloudstack": "cloudstack", "pvgpu-guest": "guest", "libpvgpu-dev": "dev"}
VERSION = re.search(r"^VERSION := (\S+)$", (ROOT / "Makefile").read_text(), re.M)[1]
UNITS = "usr/lib/systemd/system"
# Where NVIDIA's packages have libraries, and headers that another package has.
THEIRS = ("usr/lib/x86_64-linux-gnu/", "usr/lib64/", "lib/", "usr/local/", "usr/include/cuda")


def make(*words):
    env = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "DESTDIR")}
    subprocess.run(["make", "--no-print-directory", "-C", ROOT, f"B={BUILD}", "PREFIX=/usr", "SYSCONFDIR=/etc", *words], check=True,
                   env=env, stdout=subprocess.DEVNULL)


class Files(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="pvgpu-")
        cls.addClassCleanup(folder.cleanup)
        cls.top = pathlib.Path(folder.name)
        cls.files = {}
        # An operator's umask makes no package's files private.
        mask = os.umask(0o077)
        try:
            make("install-dev", "PREFIX=/opt/other", f"DESTDIR={cls.top}/other")  # which the next ones must not have
            for package, part in PARTS.items():
                make(f"install-{part}", f"DESTDIR={cls.top / package}")
                cls.files[package] = cls.listed(package)
            make("install", f"DESTDIR={cls.top}/all")
        finally:
            os.umask(mask)

    @classmethod
    def listed(cls, package):
        top = cls.top / package
        return {str(p.relative_to(top)) for p in top.rglob("*") if not p.is_dir() or p.is_symlink()}

    def test_each_file_is_in_one_package(self):
        together = [f for files in self.files.values() for f in files]
        self.assertEqual(sorted(together), sorted(self.listed("all")))

    def test_programs(self):
        self.assertLessEqual({"usr/sbin/pvgpud", "usr/libexec/pvgpu/pvgpu-worker", "usr/libexec/pvgpu/pvgpu-health", "usr/libexec/pvgpu/pvgpu-gpu-reset",
                              f"{UNITS}/pvgpud.service"}, self.files["pvgpu-back"])
        self.assertLessEqual({"usr/bin/pvgpuctl", "usr/bin/pvgpu-acceptance", "usr/sbin/pvgpu-attachd", "usr/libexec/pvgpu/xapi/pvgpu",
                              f"{UNITS}/pvgpu-attachd.service", "etc/pvgpu/profiles.conf"}, self.files["pvgpu-tools"])

    def test_every_program_has_its_man_page(self):
        pages = {p.name.rsplit(".", 1)[0] for p in (ROOT / "docs/man").iterdir()}
        for package, files in self.files.items():
            own = {pathlib.Path(f).name.rsplit(".", 1)[0] for f in files if "/man/man" in f}
            for f in files:
                if re.match(r"usr/s?bin/", f):
                    self.assertIn(pathlib.Path(f).name, own, package)
            pages -= own
        self.assertEqual(pages, set(), "man pages in no package")

    def test_units_start_programs_of_their_package(self):
        for package, files in self.files.items():
            for f in files:
                if f.endswith(".service"):
                    text = (self.top / package / f).read_text()
                    self.assertIn(re.search(r"^ExecStart=/(\S+)", text, re.M)[1], files)
                    self.assertNotRegex(text, "@[A-Z]+@")

    def test_users_of_units_come_with_their_package(self):
        for package, files in self.files.items():
            made = [line.split()[1] for f in files if "/sysusers.d/" in f for line in (self.top / package / f).read_text().splitlines() if line.startswith("u ")]
            for f in files:
                if f.endswith(".service"):
                    for user in re.findall(r"^User=(\S+)", (self.top / package / f).read_text(), re.M):
                        self.assertIn(user, made, f)

    def test_guest(self):
        files = self.files["pvgpu-guest"]
        libraries = {f for f in files if ".so" in f}
        self.assertLessEqual({f"usr/lib/pvgpu/{n}" for n in ("libcuda.so.1", "libcudart.so.12", "libcudart.so.13", "libcublas.so.12", "libcublas.so.13", "libcublasLt.so.12",
                                                              "libcublasLt.so.13", "libnvidia-ml.so.1", "libnccl.so.2", "libcupti.so.12", "libcupti.so.13", "libcudnn.so.9")}, libraries)
        audit = {f for f in libraries if f.endswith("/pvgpu-audit.so")}
        self.assertEqual(len(audit), 6)
        for f in audit:
            at = self.top / "pvgpu-guest" / f
            with open(at, "rb") as opened:
                kind = opened.read(5)[4]
            self.assertEqual(kind, 1 if f.endswith(("/lib/pvgpu-audit.so", "/lib32/pvgpu-audit.so", "/lib/i386-linux-gnu/pvgpu-audit.so")) else 2, f)
        self.assertEqual({str(pathlib.Path(f).parent) for f in libraries - audit}, {"usr/lib/pvgpu"})
        # Programs that are not linked with the library load it by this name.
        self.assertEqual(os.readlink(self.top / "pvgpu-guest/usr/lib/pvgpu/libcuda.so"), "libcuda.so.1")
        self.assertLessEqual({"usr/bin/pvgpu-run", "usr/bin/pvgpu-smi"}, set(files))
        rules = (self.top / "pvgpu-guest/usr/lib/udev/rules.d/60-pvgpu.rules").read_text()
        for name in "nvidia%n", "nvidiactl":
            self.assertRegex(rules, rf'(?m)^SUBSYSTEM=="misc", KERNEL=="pvgpu.*", TEST!="/sys/module/nvidia", SYMLINK\+="{name}"$')
        source = f"usr/src/pvgpu-{VERSION}"
        self.assertLessEqual({f"{source}/{n}" for n in ("dkms.conf", "Kbuild", "main.c", "pvgpu_keys.c", "include/pvgpu_keys.h")}, files)
        conf = (self.top / "pvgpu-guest" / source / "dkms.conf").read_text()
        self.assertIn(f'PACKAGE_VERSION="{VERSION}"', conf)

    def test_nothing_where_others_have_files(self):
        for package, files in self.files.items():
            for f in files:
                self.assertFalse(f.startswith(THEIRS), f"{package}: {f}")

    def test_dev(self):
        files = self.files["libpvgpu-dev"]
        self.assertLessEqual({"usr/include/pvgpu/cuda.h", "usr/include/pvgpu/cuda_runtime.h", "usr/lib/pkgconfig/pvgpu.pc",
                              "usr/lib/pvgpu/cuda12/libcudart_static.a", "usr/lib/pvgpu/cuda13/libcudart_static.a"}, files)
        self.assertIn("prefix=/usr\n", (self.top / "libpvgpu-dev/usr/lib/pkgconfig/pvgpu.pc").read_text())

    def test_modes(self):
        for package, files in self.files.items():
            for f in files:
                path = self.top / package / f
                if not path.is_symlink():
                    with open(path, "rb") as opened:
                        runs = opened.read(2) == b"#!" or re.match(r"usr/(s?bin|libexec/pvgpu/(xapi/)?pvgpu-|lib/pvgpu/simcuda/simcuda-reset)", f)
                    self.assertEqual(oct(path.stat().st_mode & 0o7777), oct(0o755 if runs else 0o644), f"{package}: {f}")

    def test_no_text_names_the_build(self):
        for package, files in self.files.items():
            for f in files:
                data = b"" if os.path.islink(self.top / package / f) else (self.top / package / f).read_bytes()
                if b"\0" not in data:
                    for word in str(ROOT), "/usr/local", str(self.top):
                        self.assertNotIn(word.encode(), data if "/man/" not in f and "/src/" not in f else b"", f"{package}: {f}")


class Descriptions(unittest.TestCase):
    def test_versions(self):
        changelog = (PACKAGING / "debian/changelog").read_text()
        self.assertEqual(re.match(r"pvgpu \((\S+)\)", changelog)[1], VERSION)

    def test_packages_are_the_parts(self):
        control = (PACKAGING / "debian/control").read_text()
        self.assertEqual(set(re.findall(r"^Package: (\S+)$", control, re.M)), set(PARTS))

    def test_what_is_built_with_is_listed_once(self):
        """Libraries that Debian's packages are built with are those of .ci/packages."""
        control = (PACKAGING / "debian/control").read_text()
        depends = re.search(r"^Build-Depends: (.*?)^\S", control, re.M | re.S)[1]
        listed = (ROOT / ".ci/packages").read_text().split()
        for name in re.findall(r"[a-z0-9-]+-dev", depends):
            self.assertIn(name, listed)


if __name__ == "__main__":
    unittest.main()
