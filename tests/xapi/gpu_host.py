# SPDX-License-Identifier: MIT
"""For tests: the GPUs of a host of the double, the files that pvgpu-xapi-types makes for it, and the program itself."""
import json
import os
import pathlib
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("PVGPU_BUILD", TOP / "build")).resolve()
TYPES = TOP / "xen-pvgpu-back" / "xapi" / "pvgpu-xapi-types"
H100, H100_PCIE = 0x2330, 0x2331
GPU = "0000:c1:00.0"
GROUP = "Group of NVIDIA Corporation GH100 [H100 SXM5 80GB] GPUs"
PCI_IDS = """# A part of it.
10dd  Enhanced Video Solutions
\t2330  none of NVIDIA's
10de  NVIDIA Corporation
\t22bc  AD104 Audio
\t2330  GH100 [H100 SXM5 80GB]
\t\t10de 16c0  H100 HBM3 64GB
\t\t10de 16c1  H100 SXM5 80GB
\t2331  GH100 [H100 PCIe]
10df  Emulex Corporation
\t0720  caf\u00e9

C 03  Display controller
\t00  VGA compatible controller
"""
PROFILES = "[profile pvgpu-8g]\nmemory = 8G\n[profile pvgpu-40g]\nmemory = 40G\nper-gpu = 1\n[profile pvgpu-1g]\nmemory = 1G\nper-gpu = 3\n"
RUN = {"env": None, "capture_output": True, "text": True, "timeout": 120, "check": False}


def add_device(folder, address, device, kind=0x030200, vendor=0x10de, subsystem=0x16c1, driver="nvidia"):
    place = pathlib.Path(folder) / address
    place.mkdir(parents=True)
    for name, value in (("vendor", vendor), ("device", device), ("subsystem_device", subsystem)):
        (place / name).write_text("0x%04x\n" % value)
    (place / "class").write_text("0x%06x\n" % kind)
    if driver:
        (place / "driver").symlink_to("../../../bus/pci/drivers/" + driver)
    return place


class Files:
    """In a folder: pci, pci.ids, vgpuConfig.xml and a site."""

    def __init__(self, folder, python=sys.executable):
        self.folder, self.python = pathlib.Path(folder), python
        self.pci, self.ids, self.config = self.folder / "pci", self.folder / "pci.ids", self.folder / "vgpuConfig.xml"
        self.ids.write_text(PCI_IDS, encoding="utf-8")
        (self.folder / "site").mkdir()
        self.profiles(PROFILES)
        self.pci.mkdir()
        self.env = {**os.environ, "PVGPUCTL": str(BUILD / "bin" / "pvgpuctl")}

    def profiles(self, text):
        (self.folder / "site" / "profiles.conf").write_text(text)

    def words(self, *more):
        return ["--config", str(self.config), "--pci-ids", str(self.ids), "--pci-devices", str(self.pci), "--site-dir", str(self.folder / "site"), *more]

    def run(self, *more):
        return subprocess.run([self.python, str(TYPES), *self.words(*more)], **dict(RUN, env=self.env))

    def ask(self, *more):
        """(exit status, answer)"""
        done = self.run("--json", *more)
        if not done.stdout:
            raise AssertionError(done.stderr)
        return done.returncode, json.loads(done.stdout)

    def write(self, *more):
        status, said = self.ask("--write", "--memory", "80G", *more)
        if status:
            raise AssertionError(said)
        return said
