#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every symbol of ours that a shared object of the wheels in imports.txt is linked with is in our library of that name, with that version.
Other missing symbols are printed, with the objects that want them. Usage: imports_test.py BUILD [IMPORTS]"""
import collections
import pathlib
import re
import sys

import imports_elf

HERE = pathlib.Path(__file__).resolve().parent
# The part of a library that is still to come: printed only.
COMING = ()


def records(path):
    """(wheel, object, library as imports.txt names it, symbols) of each line; tables of names have none."""
    wheel = shared = None
    for number, line in enumerate(path.read_text().splitlines(), 1):
        word, _, rest = line.partition(" ")
        if word == "wheel":
            wheel = rest
        elif word == "object":
            shared = rest
        else:
            library, colon, symbols = line.partition(": ")
            if not colon or not shared:
                sys.exit(f"{path}:{number}: no wheel, object or library with its symbols")
            yield wheel, shared, library, () if re.fullmatch(r"\d+ symbols", symbols) else symbols.split()


def ours(build):
    """soname: {(symbol, node)}, for each library of ours."""
    return {p.name: imports_elf.read(p.read_bytes()).offered for p in pathlib.Path(build, "lib").glob("lib*.so.*") if not p.is_symlink()}


def candidates(have, library):
    """Our libraries that may be meant, and the version node that is wanted: "" for any."""
    name, at, node = library.removesuffix(" by name").partition("@")
    return [soname for soname in have if soname == name or soname.split(".so")[0] == name], node if at else ""


def main(build, path=HERE / "imports.txt"):
    have, missing, others, seen = ours(build), collections.defaultdict(set), collections.defaultdict(set), collections.Counter()
    for wheel, shared, library, symbols in records(pathlib.Path(path)):
        sonames, node = candidates(have, library)
        if not sonames:
            others[library.removesuffix(" by name").split("@")[0]].update(symbols)
            continue
        for symbol in symbols:
            seen[library] += 1
            if not any((symbol, node) in have[s] if node else symbol in {n for n, _ in have[s]} for s in sonames):
                missing[library, symbol].add(f"{wheel}: {shared}")
    bad, coming = False, collections.defaultdict(list)
    for (library, symbol), objects in sorted(missing.items()):
        if library.endswith(" by name") or library.split(".so")[0].split("@")[0] in COMING:
            coming[library].append(symbol)
        else:
            bad = True
            print(f"MISSING: {library}: {symbol}, wanted by {', '.join(sorted(objects))}")
    for library, symbols in coming.items():
        print(f"not there: {library}: {len(symbols)} symbols: {' '.join(symbols)}")
    print("no library of ours: " + ", ".join(f"{library} ({len(others[library])} symbols)" for library in sorted(others)))
    linked = {library for library in seen if not library.endswith(" by name")}
    print(f"{sum(seen[x] for x in linked)} references to {len(linked)} libraries: {'some are missing' if bad else 'all that must be there are'}")
    return 1 if bad or not linked else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
