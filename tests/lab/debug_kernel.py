#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A guest's kernel that finds faults of pvgpu.ko: Debian's sources with KASAN, lockdep and kmemleak (debug.config).

    BUILD/lab/debug/bookworm/root    the build tools and, in usr/src/linux, the sources, built
    BUILD/lab/debug/vmlinux          the kernel
    BUILD/lab/debug/modules          pvgpu.ko for it, with modprobe's tables

Made once, and again with --refresh. With LAB_KERNEL=debug in the environment the lab's guests use it.
"""
import argparse
import os
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "module"))
import suite  # noqa: E402

CHOSEN = os.environ.get("LAB_KERNEL") == "debug"
# MiB that its checks need in a guest, in addition to the guest's memory.
MEMORY = 320
# kmemleak's reports about pvgpu.ko; an object must be some seconds old to be reported.
LEAKS = ("cd /sys/kernel/debug && { [ -e kmemleak ] || mount -t debugfs debugfs .; } && cd /sys/kernel/debug && "
         "echo scan >kmemleak && echo scan >kmemleak && cat kmemleak")
SUITE, SOURCE = "bookworm", "linux-source-6.1"
PACKAGES = ["bc", "bison", "diffutils", "flex", "gcc", "gzip", "libc6-dev", "libelf-dev", "m4", "perl", "tar", "xz-utils",
            SOURCE]
# Code that runs before KASAN's shadow exists must not be instrumented; upstream does not support KASAN in a PVH guest.
EARLY = {"arch/x86/platform/pvh": "KASAN_SANITIZE", "arch/x86/xen": "KASAN_SANITIZE",
         "drivers/xen": "KASAN_SANITIZE_features.o", "lib": "KASAN_SANITIZE_string.o"}
UNPACK = " && ".join([f"mkdir -p linux && tar -xf {SOURCE}.tar.xz -C linux --strip-components=1",
                      *(f"echo '{name} := n' >>linux/{folder}/Makefile" for folder, name in EARLY.items())])
CONFIGURE = "make tinyconfig && grep -v '^#' ../debug.config >>.config && make olddefconfig"
WANTED = ("CONFIG_KASAN=y", "CONFIG_PROVE_LOCKING=y", "CONFIG_DEBUG_KMEMLEAK=y", "CONFIG_XEN_PVH=y")


class Kernel:
    def __init__(self, build):
        self.folder = pathlib.Path(build).resolve() / "lab/debug"
        self.suite = suite.Suite(self.folder, SUITE, PACKAGES)
        self.source = self.suite.root / "usr/src/linux"
        self.image = self.folder / "vmlinux"
        self.modules = self.folder / "modules"

    def step(self, what, command, limit):
        print(f"lab: {what}", flush=True)
        done = self.suite.run(f"set -e; cd /usr/src; {command}", limit)
        if done.returncode:
            sys.exit(f"lab: {what} failed:\n{done.stdout[-4000:]}")

    def make(self, refresh=False):
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            self.suite.fetch(refresh)
        except suite.Missing as e:
            sys.exit(f"lab: no debug kernel: {e}")
        if not (self.source / "Makefile").is_file():
            self.step("unpacking the kernel's sources", UNPACK, 600)
        kept = self.suite.root / "usr/src/debug.config"
        if not kept.is_file() or kept.read_bytes() != (HERE / "debug.config").read_bytes():
            self.image.unlink(missing_ok=True)
            shutil.copyfile(HERE / "debug.config", kept)
            self.step("configuring the debug kernel", f"cd linux; {CONFIGURE}", 300)
            config = (self.source / ".config").read_text().splitlines()
            if missing := [w for w in WANTED if w not in config]:
                sys.exit(f"lab: the debug kernel has no {', '.join(missing)}")
        if not self.image.is_file():
            self.step("building the debug kernel", f"cd linux; make -j{os.cpu_count() or 1} vmlinux modules_prepare", 7200)
            subprocess.run(["strip", "--strip-debug", "-o", self.image, self.source / "vmlinux"], check=True, timeout=300)

    def release(self):
        return (self.source / "include/config/kernel.release").read_text().strip()


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--build", default="build", help="the build folder (default %(default)s)")
    ap.add_argument("--refresh", action="store_true", help="download and build anew")
    args = ap.parse_args()
    kernel = Kernel(args.build)
    kernel.make(args.refresh)
    print(f"lab: {kernel.image}: {kernel.release()}")


if __name__ == "__main__":
    main()
