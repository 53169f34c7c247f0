#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Which of some programs start threads: thread sanitizer has nothing to find in the others.

usage: threads.py PROGRAM...; prints those that do. A script starts none."""
import subprocess
import sys

STARTS = {"pthread_create", "thrd_create"}


def starts_threads(program):
    """Does the program itself import a function that starts one? Libraries that it loads are tested by others."""
    listed = subprocess.run(["nm", "-D", "--undefined-only", "-j", program], capture_output=True, text=True, check=False).stdout
    return not STARTS.isdisjoint(name.partition("@")[0] for name in listed.split())


if __name__ == "__main__":
    print(" ".join(p for p in sys.argv[1:] if starts_threads(p)))
