#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""libcublasLt.so.12 and .13 export what symbols.api says, with the version node of their name. Usage: symbols_test.py BUILD"""
import pathlib
import subprocess
import sys

TREE = pathlib.Path(__file__).resolve().parents[3]
sys.dont_write_bytecode = True
sys.path.append(str(TREE / "libpvgpu" / "cublaslt" / "gen"))

import lt_symbols  # noqa: E402


def exported(path):
    """name -> version node, of functions"""
    lines = subprocess.run(["nm", "--defined-only", "-D", path], check=True, capture_output=True, text=True).stdout.splitlines()
    return dict(line.split()[2].split("@@") for line in lines if line.split()[1] == "T")


def main(build):
    bad, (symbols, _) = [], lt_symbols.parse(lt_symbols.API)
    for major in lt_symbols.MAJORS:
        library = f"{build}/lib/libcublasLt.so.{major}"
        have, want = exported(library), {s.name for s in lt_symbols.of(symbols, major)}
        bad += [f"{library}: {n} has the version node '{v}'" for n, v in have.items() if v != f"libcublasLt.so.{major}"]
        bad += [f"{library}: {n} of symbols.api is not there" for n in want - set(have)]
        bad += [f"{library}: {n} is not in symbols.api" for n in set(have) - want]
    print("\n".join(bad) or "every symbol and version node is there")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
