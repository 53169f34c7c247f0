#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Builds the programs of tests/clients/halide. halide_build.py FOLDER: aot, compiled ahead of time for any x86-64, with the libraries that only
Halide's programs need inside; nothing where there is no Halide."""
import glob
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent / "halide"
HEADERS = sorted(glob.glob("/usr/include/halide*") + glob.glob("/usr/include/Halide.h"))
LIMIT = 600


def library():
    """The name to link with: Debian's has the version in it."""
    found = sorted(glob.glob("/usr/lib/*/libHalide*.so"))
    return "-l" + pathlib.Path(found[-1]).name[3:-3] if found else None


def compile_program(to, *sources, link=()):
    subprocess.run(["g++", "-std=c++17", "-O1", "-w", f"-I{HEADERS[0]}" if HEADERS[0] != "/usr/include/Halide.h" else "-I/usr/include",
                    f"-I{to.parent}", f"-I{HERE}", "-o", str(to), *map(str, sources), *map(str, link), "-ldl", "-lpthread"],
                   check=True, timeout=LIMIT)


def ahead_of_time(folder, target=(), link=()):
    """The program with all pipelines, in the folder. target: the CPU's, if not this one."""
    compile_program(folder / "make", HERE / "aot_make.cpp", link=[library()])
    subprocess.run([folder / "make", folder, *target], check=True, timeout=LIMIT)
    archives = sorted(folder.glob("*.a"))
    assert len(archives) == 10, archives
    compile_program(folder / "aot", HERE / "aot.cpp", link=[*link, *archives, folder / "runtime.o"])


if __name__ == "__main__":
    if HEADERS and library():
        pathlib.Path(sys.argv[1]).mkdir(parents=True, exist_ok=True)
        ahead_of_time(pathlib.Path(sys.argv[1]), ["x86-64-linux"], ["-static-libstdc++", "-static-libgcc"])
