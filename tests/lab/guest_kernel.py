# SPDX-License-Identifier: MIT
"""Another kernel for the lab's guests: LAB_GUEST_KERNEL=5.10 (or 6.1, 6.12, newest) in the environment.

    BUILD/lab/kernels/SUITE/root    the suite's kernel, its modules and headers, and its compiler, which pvgpu.ko is built with

dom0 keeps the kernel of the machine's own release. A suite that cannot be had ends the lab with status 77: skipped.
"""
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "module"))
import matrix  # noqa: E402
import suite  # noqa: E402

CHOSEN = os.environ.get("LAB_GUEST_KERNEL", "")
SKIPPED = 77
# MiB in addition to a guest's memory: newer kernels are larger than that of the images.
MEMORY = 48 if CHOSEN else 0
PACKAGES = ["linux-headers-amd64", "linux-image-amd64"]


def refuse(text, status=1):
    print(f"lab: no kernel {CHOSEN} for guests: {text}", flush=True)
    sys.exit(status)


class Kernel:
    """The chosen kernel, unpacked, with pvgpu.ko among its modules."""

    def __init__(self, build):
        if CHOSEN not in matrix.SUITES:
            refuse(f"there are {', '.join(matrix.SUITES)}")
        self.build = pathlib.Path(build).resolve()
        self.suite = suite.Suite(self.build / "lab/kernels", matrix.SUITES[CHOSEN], PACKAGES)
        self.root = self.suite.root

    def make(self):
        self.suite.folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            self.suite.fetch()
            self.release = self.suite.release()
        except suite.Missing as e:
            refuse(e, SKIPPED)
        self.module()

    def module(self):
        """Build pvgpu.ko with the suite's own compiler, as dkms would in such a guest."""
        installed = self.build / "lab/kernels/installed"
        done = subprocess.run(["make", "--no-print-directory", "install-module-source", f"B={self.build}",
                               f"DESTDIR={installed}", "PREFIX=/usr"], cwd=HERE.parent.parent, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600)
        if done.returncode:
            refuse(done.stdout)
        tree = next((installed / "usr/src").glob("pvgpu-*"))
        place, said, status = matrix.build(self.suite, tree, "lab", "CONFIG_DEBUG_INFO_BTF_MODULES=")
        if status:
            refuse(f"pvgpu.ko does not build:\n{said}")
        to = self.root / "usr/lib/modules" / self.release / "extra/pvgpu.ko"
        to.parent.mkdir(exist_ok=True)
        subprocess.run(["strip", "--strip-debug", "-o", to, place / "pvgpu.ko"], check=True, timeout=60)
