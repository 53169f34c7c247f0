#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""libcudart.so.12 and .13 export what symbols.api says and what programs import, with the version node of their name; the static
archives have the same functions. Usage: symbols_test.py BUILD"""
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
API = HERE.parents[1] / "libpvgpu" / "cudart" / "symbols.api"


def words(path):
    return {line for line in path.read_text().splitlines() if line and not line.startswith("#")}


def nm(path, *options):
    return subprocess.run(["nm", "--defined-only", *options, path], check=True, capture_output=True, text=True).stdout


def exported(path):
    """name -> version node"""
    found = {}
    for line in nm(path, "-D").splitlines():
        kind, name = line.split()[1:3]
        if kind == "T":
            name, _, node = name.partition("@@")
            found[name] = node
        elif kind != "A":
            sys.exit(f"{path} exports {name}, which is no function")
    return found


def described(major):
    return {m[1] for m in re.finditer(r"^symbol (\w+) since (\d+)\.\d", API.read_text(), re.M) if int(m[2]) <= major}


def main(build):
    bad = []
    for major in 12, 13:
        library = f"{build}/lib/libcudart.so.{major}"
        have = exported(library)
        bad += [f"{library}: {n} has the version node '{v}'" for n, v in have.items() if v != f"libcudart.so.{major}"]
        bad += [f"{library}: {n} of symbols.api is not there" for n in described(major) - set(have)]
        bad += [f"{library}: {n} is not in symbols.api" for n in set(have) - described(major)]
        for wanted in f"exports{major}.txt", "imports.txt":
            bad += [f"{library}: {n} of {wanted} is not there" for n in words(HERE / wanted) - set(have)]
        archive = f"{build}/cudart/{major}/libcudart_static.a"
        static = {line.split()[2] for line in nm(archive).splitlines() if len(line.split()) == 3 and line.split()[1] == "T"}
        bad += [f"{archive}: {n} is not there" for n in set(have) - static]
        # What a program has of its own must not clash with a helper of the archive's.
        bad += [f"{archive}: {n} is no name of ours" for n in static - set(have) if not n.startswith("rt_")]
    print("\n".join(bad) or "every symbol and version node is there")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
