#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Debian's own xl, of Xen 4.17 and of the newest one, passes over the line `pvgpu` of a configuration, as pvgpu-attachd's reading of it supposes. xl runs in
its suite with hypercalls made up and the xenstored of tests/xapi. PVGPU_BUILD: the build folder. (The lab's vgpu-xl starts such a domain on real Xen 4.17.)"""
import json
import os
import pathlib
import subprocess
import sys
import unittest

sys.dont_write_bytecode = True
TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("PVGPU_BUILD", TOP / "build")).resolve()
sys.path += [str(TOP / "tests/xapi"), str(TOP / "tests/module")]
import suite  # noqa: E402
import xenstored  # noqa: E402

CONFIG = """name = "web1"
type = "pvh"
kernel = "/boot/vmlinux"
memory = 64
pvgpu = [ "profile=pvgpu-2g,backend=gpu", "memory=64M,weight=300,id=4" ]
"""


class Unpatched(unittest.TestCase):
    def passes_over(self, name, version):
        try:
            s = suite.Suite(BUILD / "xl-debian", name, (f"xen-utils-{version}",))
            s.fetch()
        except suite.Missing as e:
            self.skipTest(f"{name}: {e}")
        tmp = s.root / "tmp"
        subprocess.run(["gcc", "-shared", "-fPIC", "-Wall", "-D__XEN_TOOLS__", "-o", tmp / "hypercalls.so", TOP / "tests/xl/hypercalls.c"], check=True)
        (tmp / "web1.cfg").write_text(CONFIG)
        (tmp / "xenstored").unlink(missing_ok=True)
        store = xenstored.Xenstored(str(tmp / "xenstored"))
        self.addCleanup(store.close)
        store.write("/local/domain/0/domid", "0")
        r = s.run(f"LD_PRELOAD=/tmp/hypercalls.so XENSTORED_PATH=/tmp/xenstored /usr/lib/xen-{version}/bin/xl create -n /tmp/web1.cfg")
        self.assertEqual(r.returncode, 0, r.stdout)
        self.assertEqual(json.loads(r.stdout[r.stdout.index("{"):])["c_info"]["name"], "web1", r.stdout)
        self.assertNotIn("pvgpu", r.stdout)

    def test_4_17(self):
        self.passes_over("bookworm", "4.17")

    def test_4_20(self):
        self.passes_over("trixie", "4.20")


if __name__ == "__main__":
    unittest.main()
