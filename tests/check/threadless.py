#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The unit tests of a build folder that never start a thread: thread sanitizer has nothing to find in them.

usage: threadless.py [BUILD]; prints their names, none where nothing is built. Scripts are among them."""
import pathlib
import subprocess
import sys

STARTS = {"pthread_create", "thrd_create"}


def starts_threads(program):
    """Does the program itself import a function that starts one? Libraries that it loads are tested by others."""
    listed = subprocess.run(["nm", "-D", "--undefined-only", "-j", program], capture_output=True, text=True, check=False).stdout
    return not STARTS.isdisjoint(name.partition("@")[0] for name in listed.split())


def main():
    unit = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "build", "unit")
    print(" ".join(p.name for p in sorted(unit.glob("*_test")) if not starts_threads(p)))


if __name__ == "__main__":
    main()
