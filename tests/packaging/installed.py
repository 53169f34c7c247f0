#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Install the packages that `make deb` has made into clean Debian systems, look at what is there, use it, remove it; unpack the RPM of
`make rpm` into an empty tree laid out like dom0 of XCP-ng. Usage: installed.py B [TEST...]; needs root for the first part.

A suite older than the one that the packages were built on is skipped: their libraries are newer than it.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import unittest

import chroot
import names
from dom0_test import Unit

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path("build")
SUITES = ("bookworm", "trixie")
# For dkms, two kernels' headers; and what looks at the result.
BASE = ("dkms", "linux-headers-amd64", "linux-headers-cloud-amd64", "gcc", "libc6-dev", "systemd", "man-db", "kmod", "python3", "file")
PROGRAM = r"""
#include <cuda.h>
#include <stdio.h>
int main(void) { int n = 0, v = 0; cuDriverGetVersion(&v); printf("%d %d\n", cuInit(0), v); return cuDeviceGetCount(&n) == 0; }
"""
THEIRS = "usr/lib/x86_64-linux-gnu/libcuda.so.1"
# Units that the site enables and starts: for the one it makes a group, for the other a configuration.
BY_THE_SITE = ("pvgpu-exporter.service", "pvgpu-cloudstack.service")
# Lists of packages that .ci/install-packages and the lab read.
LISTS = (".ci/packages", "tests/lab/host-packages", "tests/lab/packages", "tests/clients/host-packages", "tests/xl/packages",
         "xen-pvgpu-back/packaging/packages")
VERSION = re.search(r"^VERSION := (\S+)$", (ROOT / "Makefile").read_text(), re.M)[1]


def own_suite():
    return re.search(r"^VERSION_CODENAME=(\S+)", pathlib.Path("/etc/os-release").read_text(), re.M)[1]


class Debian(unittest.TestCase):
    """Tests leave the system as they found it; after one that failed it is unpacked anew."""
    suite = system = None
    clean = False

    @classmethod
    def setUpClass(cls):
        if os.geteuid() != 0:
            raise unittest.SkipTest("debootstrap and chroot need root")
        if own_suite() in SUITES and SUITES.index(own_suite()) > SUITES.index(cls.suite):
            raise unittest.SkipTest(f"the packages were built on {own_suite()}")
        cls.system = chroot.Chroot(BUILD / "packaging", cls.suite, BASE)
        try:
            cls.system.bootstrap()
        except chroot.Missing as e:
            raise unittest.SkipTest(str(e)) from e
        cls.addClassCleanup(cls.system.remove)

    def setUp(self):
        if not self.clean:
            self.system.unpack()
            # NVIDIA's library, as far as the linker is concerned.
            (self.system.root / "root/a.c").write_text("int nvidia;\n")
            self.system.run(f"gcc -shared -Wl,-soname,libcuda.so.1 -o /{THEIRS} /root/a.c && ldconfig")
            for deb in (BUILD / "deb").glob("*.deb"):
                shutil.copy(deb, self.system.root / "tmp")
        type(self).clean = False
        self.before = self.system.files()
        self.kernels = sorted(p.name for p in self.system.root.glob("usr/lib/modules/*") if (p / "build").is_symlink())
        self.assertEqual(len(self.kernels), 2)

    def install(self, *packages):
        return self.system.apt("install", *(f"/tmp/{p}_{VERSION}_a*.deb" for p in packages), limit=1800)

    def owned(self, package):
        return [f for f in self.system.run(f"dpkg -L {package}").split() if (self.system.root / f[1:]).is_file()]

    def look(self, *packages):
        """What holds for every package."""
        run = self.system.run
        for package in packages:
            for f in self.owned(package):
                if (self.system.root / f[1:]).read_bytes()[:4] == b"\x7fELF":
                    self.assertNotIn("not found", run(f"ldd {f}"), f)
                if "/man/man" in f:
                    self.assertEqual(run(f"man --warnings -l {f} >/dev/null"), "", f)
                    self.assertIn(f, run(f"man -w {f.rsplit('.', 2)[1]} {pathlib.Path(f).name.rsplit('.', 2)[0]}"))
                if f.endswith(".service"):
                    name = pathlib.Path(f).name
                    said = run(f"systemd-analyze verify --man=no {f}", good=(0, 1))
                    self.assertEqual([line for line in said.splitlines() if name in line], [])
                    wanted = (self.system.root / "etc/systemd/system/multi-user.target.wants" / name).is_symlink()
                    self.assertEqual(wanted, name not in BY_THE_SITE, name)
        self.assertEqual(run("dpkg --audit"), "")

    def purge(self, *packages):
        self.system.apt("purge", *packages)
        # What another package only suggests goes, too: systemd of Debian 13 suggests libraries that pvgpu-exporter's server of HTTP brings.
        self.system.apt("-o APT::AutoRemove::SuggestsImportant=false -o APT::AutoRemove::RecommendsImportant=false", "autoremove", "--purge")
        after = self.system.files()
        # depmod's own files of each kernel are written anew; deb-systemd-helper leaves the folder of its state.
        differ = {f for f in {*self.before, *after} if self.before.get(f) != after.get(f)}
        # A user stays, as Debian wants it: its number must not become another's.
        self.assertEqual({f for f in differ if not re.search(r"lib/modules/[^/]+/modules\.|^var/lib/systemd($|/)|^etc/g?(passwd|group|shadow)-?$", f)}, set())
        type(self).clean = True

    def loader_takes(self):
        path = re.search(r"libcuda\.so\.1 .*=> (\S+)", self.system.run("ldconfig -p"))[1]
        return "/usr" * path.startswith("/lib/") + path

    def test_guest(self):
        run = self.system.run
        self.assertEqual(self.loader_takes(), f"/{THEIRS}")
        theirs = chroot.Chroot.kind(self.system.root / THEIRS)
        self.install("pvgpu-guest", "libpvgpu-dev")
        self.look("pvgpu-guest", "libpvgpu-dev")
        for kernel in self.kernels:  # as the installation of a kernel does
            run(f"dkms autoinstall -k {kernel}", limit=900)
            module = run(f"modinfo -k {kernel} pvgpu")
            self.assertRegex(module, r"alias: +xen:pvgpu")
            self.assertRegex(module, rf"vermagic: +{re.escape(kernel)} ")
        # Debian's CUDA programs depend on these.
        self.assertIn("0 newly installed", run("apt-get -s satisfy 'libcuda1 (>= 525) | libcuda.so.1 (>= 525)'"))
        self.assertEqual(self.loader_takes(), "/usr/lib/pvgpu/libcuda.so.1")
        self.assertEqual(chroot.Chroot.kind(self.system.root / THEIRS), theirs)
        (self.system.root / "tmp/p.c").write_text(PROGRAM)
        said = run("gcc -I/usr/include/pvgpu -o /tmp/p /tmp/p.c -L/usr/lib/pvgpu -lcuda && /tmp/p")
        self.assertRegex(said, r"^100 13000\s*$|^\d+ \d+\s")  # no device here, and our version
        # No file of NVIDIA's packages is in the way of this link, nor it in theirs.
        self.assertEqual(run("readlink -f /usr/local/bin/nvidia-smi; ls /usr/bin/nvidia-smi 2>/dev/null || echo none").split(), ["/usr/bin/pvgpu-smi", "none"])
        self.purge("pvgpu-guest", "libpvgpu-dev")
        self.assertNotIn("nvidia-smi", run("ls /usr/local/bin"))
        self.assertEqual(self.loader_takes(), f"/{THEIRS}")

    def test_backend_and_dom0(self):
        run = self.system.run
        self.install("pvgpu-back", "pvgpu-tools")
        self.look("pvgpu-back", "pvgpu-tools")
        for program in "pvgpud", "pvgpuctl", "pvgpu-attachd":
            self.assertIn(VERSION, run(f"{program} --version"))
        self.assertEqual(self.loader_takes(), f"/{THEIRS}")
        said = run("pvgpud --simulated --check --vgpu try:memory=1G")
        self.assertNotIn("error", said)
        self.assertIn("pvgpu-8g", run("pvgpuctl profiles"))
        call = "<methodCall><methodName>capacity</methodName><params><param><value>s</value></param><param><value><struct/></value>" \
               "</param></params></methodCall>"
        self.assertIn("PVGPU_NOT_THERE", run(f"/usr/libexec/pvgpu/xapi/pvgpu '{call}'", good=(0, 1)))  # no xenstore: pvgpuctl was run
        # What the tools write goes, too.
        (self.system.root / "etc/pvgpu/vms.d").mkdir(exist_ok=True)
        (self.system.root / "etc/pvgpu/vms.d/web1.conf").write_text("[vm]\n")
        self.purge("pvgpu-back", "pvgpu-tools")

    def test_cloudstack(self):
        run = self.system.run
        self.install("pvgpu-cloudstack")
        self.look("pvgpu-cloudstack")
        self.assertIn("nologin", run("getent passwd pvgpu-cloudstack"))
        # As docs/operators/cloudstack.md has it.
        run("install -d /etc/pvgpu && install -o pvgpu-cloudstack -m 600 /dev/null /etc/pvgpu/cloudstack.keys"
            " && install -m 644 /usr/libexec/pvgpu/cloudstack/cloudstack.conf /etc/pvgpu/")
        said = run("runuser -u pvgpu-cloudstack -- pvgpu-cloudstack check 2>&1", good=(2,))
        self.assertIn("/etc/pvgpu/cloudstack.keys (CloudStack's keys): has no `api-key = ...`", said)
        self.assertIn("run pvgpu-cloudstack as that user", run("pvgpu-cloudstack check 2>&1", good=(2,)))
        run("rm -r /etc/pvgpu")
        self.purge("pvgpu-cloudstack")

    def test_lists_name_packages_of_this_suite(self):
        """Each line of a list, one at least: another name would end `make check` before it begins."""
        known = set(re.findall(r"^Package: (\S+)", self.system.run("apt-cache dumpavail"), re.M))
        for name in LISTS:
            lines = [line.split("#")[0].split() for line in (ROOT / name).read_text().splitlines()]
            self.assertEqual([" ".join(words) for words in lines if words and not known & set(words)], [], name)
        type(self).clean = True

    def test_a_guest_is_no_backend(self):
        with self.assertRaisesRegex(AssertionError, "(?i)conflict"):
            self.install("pvgpu-back", "pvgpu-guest")
        type(self).clean = True


class Bookworm(Debian):
    suite = "bookworm"


class Trixie(Debian):
    suite = "trixie"


class Rpm(unittest.TestCase):
    FOLDERS = ("etc/xapi.d/plugins", "usr/bin", "usr/sbin", "usr/libexec", "usr/lib/systemd/system", "usr/share/man/man8", "var/log")

    @classmethod
    def setUpClass(cls):
        cls.rpms = {p.name.rsplit("-", 2)[0]: p for p in (BUILD / "rpm/RPMS").glob("*/*.rpm")}
        cls.tree = BUILD / "packaging/xcp-ng"
        shutil.rmtree(cls.tree, ignore_errors=True)
        for f in cls.FOLDERS:
            (cls.tree / f).mkdir(parents=True)
        # What is there already must stay.
        (cls.tree / "etc/xapi.d/plugins/vmops").write_text("other\n")
        for rpm in cls.rpms.values():
            data = subprocess.run(["rpm2cpio", rpm], check=True, stdout=subprocess.PIPE).stdout
            subprocess.run(["cpio", "-idm", "--quiet", "--no-absolute-filenames"], input=data, cwd=cls.tree, check=True)

    def test_packages(self):
        """xenopsd's program comes with a package of its own, which says where it goes when it is installed, and takes it back."""
        def ask(package, what):
            return subprocess.run(["rpm", "-qp", what, self.rpms[package]], capture_output=True, text=True, check=True).stdout
        self.assertEqual(set(self.rpms), {"pvgpu-tools", "pvgpu-xapi"})
        own = {f for f in ask("pvgpu-xapi", "--list").split() if "license" not in f}
        self.assertEqual({pathlib.Path(f).name for f in own}, {"pvgpu-vgpu", "pvgpu-vgpu-starter.service", "pvgpu-vgpu.8.gz"})
        self.assertFalse(own & set(ask("pvgpu-tools", "--list").split()))
        for words in "pvgpu-vgpu --install", "pvgpu-vgpu --uninstall", "enable pvgpu-vgpu-starter.service":
            self.assertIn(words, ask("pvgpu-xapi", "--scripts"))
        self.assertNotIn("--force", ask("pvgpu-xapi", "--scripts"))

    def test_files(self):
        for f in ("usr/bin/pvgpuctl", "usr/sbin/pvgpu-attachd", "etc/xapi.d/plugins/pvgpu", "usr/lib/systemd/system/pvgpu-attachd.service",
                  "usr/libexec/pvgpu/xapi/answers.schema.json", "etc/pvgpu/profiles.conf", "etc/pvgpu/tenants.conf"):
            self.assertTrue((self.tree / f).is_file(), f)
        self.assertEqual((self.tree / "etc/xapi.d/plugins/vmops").read_text(), "other\n")
        for page in "pvgpuctl", "pvgpu-attachd":
            self.assertTrue(list(self.tree.glob(f"usr/share/man/man8/{page}.8*")), page)

    def test_names(self):
        for f in "usr/bin/pvgpuctl", "usr/sbin/pvgpu-attachd":
            self.assertEqual(names.missing(self.tree / f), [], f)

    def test_units(self):
        units = sorted((self.tree / "usr/lib/systemd/system").iterdir())
        self.assertEqual([u.name for u in units], ["pvgpu-attachd.service", "pvgpu-rrdd.service", "pvgpu-vgpu-starter.service", "pvgpu-xapi.service"])
        for unit in units:
            text = unit.read_text()
            self.assertEqual(list(Unit().faults(text)), [], unit.name)
            self.assertTrue((self.tree / re.search(r"^ExecStart=/(\S+)", text, re.M)[1]).is_file(), unit.name)

    def test_hooks_and_programs(self):
        for hook in "vm-pre-start", "vm-pre-migrate":
            link = self.tree / "etc/xapi.d" / hook / "50-pvgpu"
            self.assertTrue(os.access(link, os.X_OK), link)
            self.assertEqual(link.resolve(), (self.tree / "usr/libexec/pvgpu/xapi/pvgpu-hook").resolve())
        for program in "pvgpu-hook", "pvgpu-xapi", "pvgpu-rrdd", "pvgpu-xapi-types":
            text = (self.tree / "usr/libexec/pvgpu/xapi" / program).read_text()
            self.assertEqual(text.splitlines()[0], "#!/usr/bin/python3", program)
            self.assertNotIn("/usr/local", text, program)

    def test_plugin(self):
        plugin = self.tree / "etc/xapi.d/plugins/pvgpu"
        self.assertEqual(plugin.read_text().splitlines()[0], "#!/usr/bin/python3")
        self.assertIn('"/usr/bin/pvgpuctl"', plugin.read_text())
        self.assertTrue(os.access(plugin, os.X_OK))
        said = subprocess.run([self.tree / "usr/bin/pvgpuctl", "profiles", "--site-dir", self.tree / "etc/pvgpu"], capture_output=True,
                              text=True, check=True).stdout
        self.assertIn("pvgpu-8g", said)

    def test_requires(self):
        said = subprocess.run(["rpm", "-qp", "--requires", self.rpms["pvgpu-tools"]], capture_output=True, text=True, check=True).stdout
        self.assertNotRegex(said, r"libev\.so|libinih")
        for library in "libxenstore.so.4", "libjansson.so.4", "libseccomp.so.2":
            self.assertIn(library, said)


def load_tests(loader, tests, pattern):
    return unittest.TestSuite(loader.loadTestsFromTestCase(c) for c in (Rpm, Bookworm, Trixie))


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    BUILD = pathlib.Path(sys.argv.pop(1)).resolve()
    unittest.main(verbosity=2)
