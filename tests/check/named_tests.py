#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Does every test exist that docs/security.md names beside its claims?

    named_tests.py [FILE]

`X_test` must be a file of that name below tests/. Names behind it, and `test_y` or `Class.test_y` of their own, must be a
test, a class or an attack there: words with '_' or a capital letter first, up to one that has neither.
"""
import itertools
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FILE = re.compile(r"`(\w+_test)(?:\.py|\.c)?`([^`|\n]*)")
ALONE = re.compile(r"`(?:([A-Z]\w*)\.)?(test_\w+)`")
NAME = re.compile(r"[A-Z][a-z]\w+|[a-z]\w*_\w+")
SAYS = re.compile(r"START_TEST\((\w+)\)|^\s*(?:def|class) (\w+)|^\t(?:ROW\(|\{)\"(\w+)\"", re.M)


def sources():
    """name of a test's file, without its end -> all that it may be asked for"""
    found = {}
    for folder, _, files in os.walk(os.path.join(ROOT, "tests")):
        for name in files:
            stem, end = os.path.splitext(name)
            if end in (".c", ".py") and (stem.endswith("_test") or stem.startswith("attacks_")):
                with open(os.path.join(folder, name), encoding="utf-8") as stream:
                    key = "hostile_test" if stem.startswith("attacks_") else stem
                    found.setdefault(key, set()).update(n for m in SAYS.findall(stream.read()) for n in m if n)
    return found


def missing(text, found):
    """What the text names and does not exist."""
    every = set().union(*found.values())
    for number, line in enumerate(text.split("\n"), 1):
        for name, behind in FILE.findall(line):
            if name not in found:
                yield number, name
                continue
            for word in itertools.takewhile(NAME.fullmatch, behind.replace(",", " ").replace(";", " ;").split()):
                if word not in found[name]:
                    yield number, f"{name} {word}"
        for group, name in ALONE.findall(line):
            for word in (group, name):
                if word and word not in every:
                    yield number, word


def main():
    path = sys.argv[1] if len(sys.argv) > 1 else os.path.join(ROOT, "docs", "security.md")
    with open(path, encoding="utf-8") as stream:
        text = stream.read()
    bad = list(missing(text, sources()))
    for number, name in bad:
        print(f"{os.path.relpath(path, ROOT)}:{number}: there is no test '{name}'")
    named = len(FILE.findall(text)) + len(ALONE.findall(text))
    if named < 20:
        bad.append(None)
        print(f"{path}: only {named} tests are named")
    print(f"{named - len(bad)} passed, {len(bad)} failed")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
