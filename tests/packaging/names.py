#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The functions and variables that the libraries of an old dom0 have, as lists in xen-pvgpu-back/packaging/dom0/names, and which
of those that a program asks for are not among them.

    names.py PROGRAM...    what is missing; exit status 1 if anything is
    names.py --write       make glibc's list anew from this machine's C library

A C library keeps each name that it ever had, with the version that it came in; so a newer one tells what an older one had.
"""
import argparse
import functools
import pathlib
import re
import subprocess
import sys
import textwrap

LISTS = pathlib.Path(__file__).resolve().parents[2] / "xen-pvgpu-back/packaging/dom0/names"
GLIBC = (2, 17)
LIBRARIES = ("libc.so.6", "libm.so.6", "libpthread.so.0", "libdl.so.2", "librt.so.1", "ld-linux-x86-64.so.2")
# Libraries that a program may need; those of glibc beside them.
NEEDED = {"libxenstore.so.4", "libjansson.so.4", "libseccomp.so.2", *LIBRARIES}
# Compiled into programs by an old glibc's headers and its libc_nonshared.a, and functions of a newer one since.
INLINE = {"stat", "lstat", "fstat", "fstatat", "mknod", "mknodat"}
HEAD = """# SPDX-License-Identifier: MIT
# The names of glibc {version} for x86-64: libc, libm, libpthread, libdl, librt and the dynamic linker. Made by
# tests/packaging/names.py --write.
"""


def nm(path, *options):
    """(name, version or None) of each dynamic symbol, weak undefined ones left out."""
    out = subprocess.run(["nm", "-D", "--with-symbol-versions", *options, path], check=True, capture_output=True, text=True).stdout
    for line in out.splitlines():
        kind, symbol = line.split()[-2:]
        if kind not in "wv":
            name, _, version = symbol.partition("@")
            yield name, version.lstrip("@") or None


def glibc_names():
    """The names that this machine's C library had in version GLIBC already."""
    names = set()
    for library in LIBRARIES:
        for name, version in nm(pathlib.Path("/lib/x86_64-linux-gnu") / library, "--defined-only"):
            m = re.fullmatch(r"GLIBC_([\d.]+)", version or "")
            if m and tuple(int(n) for n in m[1].split(".")) <= GLIBC and name != version:
                names.add(name)
    return names


@functools.cache
def read(path):
    """The words of a list."""
    return {w for line in path.read_text().splitlines() if not line.startswith("#") for w in line.split()}


def glibc_list():
    return LISTS / f"glibc-{GLIBC[0]}.{GLIBC[1]}"


def as_text(names):
    head = HEAD.format(version=".".join(map(str, GLIBC)))
    return head + "\n".join(textwrap.wrap(" ".join(sorted(names)), 130, break_long_words=False, break_on_hyphens=False)) + "\n"


def old_name(name):
    """What a build with old headers asks for instead: the functions of ISO C23 have names of their own since 2.38."""
    return re.sub(r"^__isoc23_", "", name)


def missing(program):
    """What the libraries of the old dom0 lack of what a program asks for: names, and libraries."""
    known = set().union(INLINE, *(read(p) for p in LISTS.iterdir()))
    names = {name for name, _ in nm(program, "--undefined-only") if old_name(name) not in known}
    dynamic = subprocess.run(["readelf", "-d", program], check=True, capture_output=True, text=True).stdout
    return sorted(names) + sorted(set(re.findall(r"\(NEEDED\).*\[(.+)\]", dynamic)) - NEEDED)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--write", action="store_true")
    ap.add_argument("program", nargs="*")
    args = ap.parse_args()
    if args.write:
        glibc_list().write_text(as_text(glibc_names()))
    faults = [f"{p}: an old dom0 has no {name}" for p in args.program for name in missing(p)]
    print("\n".join(faults), end="\n" if faults else "")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
