#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes BUILD/lab/jax.img, the disk that a guest of the lab runs JAX from: an ext4 file system with this machine's Python, JAX's wheels and the libraries that
they need, all by the paths that they have here, to be used as a root. What else its programs need is mounted: /dev, /proc, /sys, /tmp, /opt/pvgpu with
pvgpu's libraries, and /opt/bin with a busybox. Usage: jax_image.py BUILD"""
import os
import pathlib
import shutil
import subprocess
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path += [str(HERE), str(HERE.parent / "lab")]
import foreign  # noqa: E402
import images  # noqa: E402
import jax_env  # noqa: E402

MOUNTED = ["dev", "proc", "sys", "tmp", "opt/pvgpu", "opt/bin"]
FOLDERS = ["usr/bin", "usr/lib", "usr/lib64"]
LINKS = {"bin": "usr/bin", "lib": "usr/lib", "lib64": "usr/lib64", "usr/bin/sh": "/opt/bin/busybox", "usr/bin/busybox": "/opt/bin/busybox"}
# Of the standard library, what only its makers run, and what needs a display.
LEFT_OUT = shutil.ignore_patterns("test", "tests", "idlelib", "tkinter", "_tkinter*", "turtledemo", "ensurepip", "lib2to3", "dist-packages", "*.a")
LOADED_LATER = ["libgcc_s.so.1"]


class Root:
    """The file system while it is made, in a folder."""

    def __init__(self, folder):
        shutil.rmtree(folder, ignore_errors=True)
        self.folder = folder
        for name in MOUNTED + FOLDERS:
            (folder / name).mkdir(parents=True)
        for name, target in LINKS.items():
            (folder / name).symlink_to(target)

    def place(self, path):
        return self.folder / str(path).lstrip("/")

    def take(self, path):
        """A file, or a folder with all in it, and what links lead to; links stay links."""
        path = pathlib.Path(path)
        to = self.place(path)
        if path.is_dir() and not path.is_symlink():
            shutil.copytree(path, to, symlinks=True, ignore=LEFT_OUT, copy_function=same_file, dirs_exist_ok=True)
            return
        if not os.path.lexists(to):
            to.parent.mkdir(parents=True, exist_ok=True)
            same_file(path, to)
        if path.is_symlink():
            self.take(path.parent / path.readlink())

    def take_libraries(self):
        """The host's libraries that programs and libraries here name and that are not here."""
        here = {p.name for p in self.folder.rglob("*.so*")}
        look = [p for p in self.folder.rglob("*") if p.is_file() and not p.is_symlink() and is_elf(p)]
        while look:
            libraries, interpreters = images.needed_libraries(look.pop())
            names = {*libraries, *LOADED_LATER} - here
            here |= names
            for path in [foreign.HOST_LIBRARIES / n for n in sorted(names)] + [pathlib.Path("/", n) for n in interpreters if not self.place(n).exists()]:
                if path.exists():
                    self.take(path.parent.resolve() / path.name)
                    look.append(path.resolve())

    def write(self, image):
        size = int(subprocess.run(["du", "-sk", self.folder], capture_output=True, text=True, check=True).stdout.split()[0])
        image.unlink(missing_ok=True)
        # The journal and checksums would only cost the emulated machine time.
        subprocess.run(["mke2fs", "-q", "-t", "ext4", "-O", "^has_journal,^metadata_csum", "-m", "0", "-E", "root_owner=0:0", "-d", self.folder, image, f"{size * 5 // 4 + 65536}k"],
                       check=True, env={**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"})


def same_file(source, to):
    """The same file by another name where that can be, for a copy of a gigabyte takes a while."""
    try:
        os.link(source, to, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, to, follow_symlinks=False)


def is_elf(path):
    with path.open("rb") as f:
        return f.read(4) == b"\x7fELF"


def main(build):
    lab = pathlib.Path(build).resolve() / "lab"
    lab.mkdir(parents=True, exist_ok=True)
    made = lab.parent / "jax"
    try:
        python = jax_env.make(made)
    except unittest.SkipTest as e:
        print(f"jax_image: skipped: {e}", file=sys.stderr)
        return
    stdlib = subprocess.run([python, "-c", "import sysconfig; print(sysconfig.get_path('stdlib'))"], capture_output=True, text=True, check=True).stdout.strip()
    root = Root(lab / "jax.root")
    for path in [made / "venv", made / "cuda", python, stdlib, HERE / "jax_run.py", "/usr/bin/getconf"]:
        root.take(path)
    root.take_libraries()
    root.write(lab / "jax.img")
    shutil.rmtree(root.folder)


if __name__ == "__main__":
    main(*sys.argv[1:])
