#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Do all pages say the same of how long `make demo` and `make check` take?"""
import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
# What takes so long -> its words in a line that says so, with a number or a range in place of N, and the files that have such a line.
PLACES = {
    "make check": ("make check.*? N minutes on two cores", "README.md Makefile CONTRIBUTING.md docs/testing.md tests/check/run.py"),
    "make demo": ("make demo.*? N minutes on two cores", "README.md docs/testing.md tests/demo/build.mk"),
    "make demo, the first time": (" N minutes the first time", "README.md docs/testing.md tests/demo/build.mk"),
}


def said(words, text):
    """The numbers of minutes in a text."""
    return set(re.findall(words.replace("N", r"(\d+(?: to \d+)?)"), text))


def main():
    failed = 0
    for what, (words, files) in PLACES.items():
        found = {name: said(words, (TOP / name).read_text(encoding="utf-8")) for name in files.split()}
        if len(set.union(*found.values())) != 1 or not all(found.values()):
            failed += 1
            print(f"{what}: minutes said are " + ", ".join(f"{' and '.join(sorted(n)) or 'none'} in {name}" for name, n in found.items()))
    print(f"{len(PLACES) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
