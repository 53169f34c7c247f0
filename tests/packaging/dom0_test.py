#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The tools as an old dom0 builds them ($PVGPU_BUILD/dom0, `make dom0`): the names that they ask its libraries for, the parts of
other libraries that are built in, their units."""
import os
import pathlib
import random
import re
import shutil
import subprocess
import tempfile
import unittest

import names

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("PVGPU_BUILD", "build"))
DOM0 = ROOT / "xen-pvgpu-back/packaging/dom0"
PROGRAMS = ("pvgpuctl", "pvgpu-attachd")


def built(name):
    found = sorted(BUILD.glob(f"dom0/pvgpu-tools-*/build/{name}"))
    assert len(found) == 1, f"{name}: {found}; make dom0 builds it"
    return found[0]


class Names(unittest.TestCase):
    def test_list_is_that_of_the_c_library(self):
        self.assertEqual(names.glibc_list().read_text(), names.as_text(names.glibc_names()))

    def test_list_ends_with_its_version(self):
        listed = names.read(names.glibc_list())
        for name in "secure_getenv", "clock_gettime":  # 2.17
            self.assertIn(name, listed)
        for name in "reallocarray", "getrandom", "memfd_create", "statx":  # 2.26, 2.25, 2.27, 2.28
            self.assertNotIn(name, listed)

    def test_old_dom0_has_what_the_tools_ask_for(self):
        for name in PROGRAMS:
            with self.subTest(name):
                self.assertEqual(names.missing(built(name)), [])

    def test_newer_names_are_found(self):
        with tempfile.TemporaryDirectory(prefix="pvgpu-") as folder:
            source, program = f"{folder}/a.c", f"{folder}/a"
            pathlib.Path(source).write_text("#define _GNU_SOURCE\n#include <jansson.h>\n#include <stdlib.h>\n"
                                            "int main(void) { return reallocarray(NULL, 1, 1) && json_sprintf(\"a\"); }\n")
            subprocess.run(["cc", "-o", program, source, "-ljansson", "-Wl,--no-as-needed", "-linih"], check=True)
            self.assertEqual(names.missing(program), ["json_sprintf", "reallocarray", "libinih.so.1"])

    def test_no_newer_c_than_gnu99(self):
        """gcc 4.8 has _Static_assert and structs without a name in gnu99, too; nothing else of C11 is used."""
        folder = built(PROGRAMS[0]).parents[1]
        sources = sorted(p.relative_to(folder) for p in folder.rglob("*.c"))
        flags = ["-std=gnu99", "-Wc99-c11-compat", "-fsyntax-only", "-D_GNU_SOURCE", "-I.", "-Igen", "-Ilibpvgpu",
                 f"-I{DOM0.relative_to(ROOT)}/include", "-include", f"{DOM0.relative_to(ROOT)}/compat.h"]
        said = subprocess.run(["gcc", *flags, *sources], cwd=folder, capture_output=True, text=True, check=False)
        newer = [line for line in said.stderr.splitlines() if re.search(r"(warning|error):", line)
                 and not re.search(r"_Static_assert|unnamed struct|static_assert", line)]
        self.assertEqual(newer, [])
        for p in sources:
            for word in "__builtin_mul_overflow", "__builtin_add_overflow", "__auto_type", "__has_include", "_Generic":
                self.assertNotIn(word, (folder / p).read_text(), p)  # gcc 5 and 4.9


class BuiltIn(unittest.TestCase):
    """ini.c reads what inih reads."""
    PIECES = ["[", "]", "a", "name", "refused", " ", "\t", ";", "#", "=", ":", "vgpu 0", "\"", "=1", "= x", "x" * 60, "y" * 120,
              "\xef\xbb\xbf", "\xe9", "  "]

    def test_same_as_inih(self):
        for seed in range(150):
            r = random.Random(seed)
            lines = ["".join(r.choice(self.PIECES) for _ in range(r.randint(0, 7))) for _ in range(r.randint(1, 30))]
            text = r.choice(["\n", "\r\n"]).join(lines).encode("latin-1")
            ours, theirs = (subprocess.run([BUILD / "tests" / p], input=text, capture_output=True, check=True).stdout
                            for p in ("ini-ours", "ini-theirs"))
            self.assertEqual(ours, theirs, f"seed {seed}")


class Unit(unittest.TestCase):
    def known(self):
        sections, values = {}, {}
        for line in (DOM0 / "systemd-219").read_text().splitlines():
            head, *words = line.split()
            if head.startswith("["):
                sections[head] = set(words)
            elif head.endswith("="):
                values[head[:-1]] = set(words)
        return sections, values

    def faults(self, text):
        sections, values = self.known()
        section = None
        for line in text.splitlines():
            if line.startswith("["):
                section = line
            elif line and not line.startswith("#"):
                name, _, value = line.partition("=")
                if name not in sections[section]:
                    yield f"{section} {name}"
                elif value not in values.get(name, {value}):
                    yield f"{section} {line}"

    def test_old_systemd_knows_all(self):
        for path in DOM0.glob("*.service.in"):
            self.assertEqual(list(self.faults(path.read_text())), [], path.name)

    def test_the_ones_for_newer_are_found(self):
        found = list(self.faults((ROOT / "xen-pvgpu-back/systemd/pvgpu-attachd.service.in").read_text()))
        for fault in "[Service] Type=exec", "[Unit] StartLimitIntervalSec", "[Service] ProtectSystem=strict":
            self.assertIn(fault, found)

    def test_same_services_as_elsewhere(self):
        """Each unit of the tools has one for an old systemd, with the same command and the same conditions."""
        for path in DOM0.glob("*.service.in"):
            old, new = path.read_text(), (ROOT / "xen-pvgpu-back/systemd" / path.name).read_text()
            for name in "Description", "Documentation", "ConditionPathExists", "ExecStart", "ExecReload", "WatchdogSec", "WantedBy":
                self.assertEqual(re.findall(f"^{name}=.*", old, re.M), re.findall(f"^{name}=.*", new, re.M), f"{path.name} {name}")

    @unittest.skipUnless(shutil.which("systemd-analyze"), "systemd-analyze is missing")
    def test_newer_systemd_accepts_it(self):
        with tempfile.TemporaryDirectory(prefix="pvgpu-") as folder:
            for path in DOM0.glob("*.service.in"):
                unit = pathlib.Path(folder) / path.stem
                unit.write_text(re.sub(r"@PREFIX@/sbin/[a-z-]+", "/bin/true", path.read_text()))
                said = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True, check=False)
                self.assertEqual([line for line in said.stderr.splitlines() if unit.name in line], [])


if __name__ == "__main__":
    unittest.main()
