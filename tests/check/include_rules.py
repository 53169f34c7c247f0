#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Check who includes what, against the table "Who may include what" of docs/developing.md.

A row has folders and the folders that they may include, those beside them by their last name. `X/...` is X with all
folders below it, as one. Headers of other places stand for folders, see OUTSIDE. A folder may include its own headers and the system's.
Fails on a folder that no row has, an include that its row does not allow, a header that is not there, two folders that
may include each other, and a longer circle. Usage: include_rules.py [ROOT].
"""
import os
import re
import sys

HERE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TABLE = "docs/developing.md"
HEADING = "## Who may include what"
TOPS = ("libpvgpu", "linux-pvgpu-front", "tests", "xen-pvgpu-back", "xenstore-schema")
SKIPPED = ("golden",)  # what generators are to write: not compiled
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(["<])([^">]+)[">]', re.M)
SEARCHED = ("", "libpvgpu", "libpvgpu/cuda/include", "libpvgpu/cudart/include")  # as the compiler does, after the file's own folder
# Headers that are not in the tree, and what they count as. None: of the folder that includes them.
OUTSIDE = (
    (re.compile(r"(xen[a-z]*\.h|xen/.*|xenstore\.h)$"), "Xen"),
    (re.compile(r"(pvgpu_(wire|stubs|decode|wire_test|far|cublas|cublaslt|valid_\w+|calls_\w+|conform_\w+|vary_\w+|attack_\w+)|cuda_\w+)\.h$"), "libpvgpu/protocol"),
    (re.compile(r"pvgpu_(keys|statistics)\.h$"), "xenstore-schema"),
    (re.compile(r"(pvgpu_(probed|version)|trace_calls|audit_names|simcublas_run)\.h$"), None),
)
NAMES = {"Xen", "libpvgpu/protocol"}  # of OUTSIDE, without C files of their own


class Table:
    """Folder -> the folders that it may include, of the first table below the heading."""

    def __init__(self, root):
        self.may, self.faults = {}, []
        path = os.path.join(root, TABLE)
        with open(path, encoding="utf-8") as f:
            text = f.read()
        if HEADING not in text:
            self.faults.append(f"{TABLE}: no heading \"{HEADING}\"")
            return
        first = text[:text.index(HEADING)].count("\n") + 1
        rows = []
        for number, line in enumerate(text.split("\n")[first:], first + 1):
            if line.startswith("|"):
                rows.append((number, line))
            elif rows:
                break
        for number, line in rows[2:]:
            cells = line.strip().strip("|").split("|")
            folders, allowed = (re.findall(r"`([^`]+)`", c) for c in (cells + [""])[:2])
            if not folders:
                self.faults.append(f"{TABLE}:{number}: a row without a folder")
            for folder in folders:
                if folder in self.may:
                    self.faults.append(f"{TABLE}:{number}: {folder} has two rows")
                self.may[folder] = (allowed, number)
                if not os.path.isdir(os.path.join(root, folder.removesuffix("/..."))):
                    self.faults.append(f"{TABLE}:{number}: there is no folder {folder}")
        self.arrows = {folder: self.reached(folder) for folder in self.may}
        self.faults += self.circles()

    def row(self, folder):
        """The row of a folder, or of the nearest one above it that has all below it; None."""
        if folder in self.may or folder in NAMES:
            return folder
        while folder:
            if folder + "/..." in self.may:
                return folder + "/..."
            folder = os.path.dirname(folder)
        return None

    def reached(self, folder):
        """The rows that a folder may include."""
        reached = set()
        allowed, number = self.may[folder]
        for a in allowed:
            beside = os.path.join(os.path.dirname(folder), a)
            a = beside if beside in self.may or beside in NAMES else a
            if a.endswith("/..."):
                rows = {r for r in {*self.may, *NAMES} if (r.removesuffix("/...") + "/").startswith(a[:-3])}
            else:
                rows = {self.row(a)} - {None}
            if not rows:
                self.faults.append(f"{TABLE}:{number}: {folder} may include {a}, which has no row")
            reached |= rows
        return reached - {folder}

    def circles(self):
        """Folders that may include each other, or come back to themselves over others."""
        done, path = set(), []

        def visit(folder):
            if folder in path:
                circle = path[path.index(folder):] + [folder]
                what = "both ways" if len(circle) == 3 else "in a circle"
                yield f"{TABLE}:{self.may[folder][1]}: {what}: {' -> '.join(circle)}"
            elif folder not in done and folder in self.arrows:
                path.append(folder)
                for to in sorted(self.arrows[folder]):
                    yield from visit(to)
                path.pop()
                done.add(folder)

        for folder in sorted(self.may):
            yield from visit(folder)


def sources(root):
    for top in TOPS:
        for base, folders, files in os.walk(os.path.join(root, top)):
            folders[:] = sorted(f for f in folders if f not in SKIPPED)
            for f in sorted(files):
                if f.endswith((".c", ".h")):
                    yield os.path.relpath(os.path.join(base, f), root)


def target(root, path, name, quoted):
    """The folder that an include points into, "" where that is free; None: there is no such header."""
    own = os.path.dirname(path)
    for base in (own,) * quoted + SEARCHED:
        p = os.path.normpath(os.path.join(base, name))
        if os.path.isfile(os.path.join(root, p)):
            return os.path.dirname(p)
    for pattern, folder in OUTSIDE:
        if pattern.match(name):
            return folder or own
    return None if quoted else ""


def check(root):
    """What is wrong, a line each; and how many includes were looked at."""
    table, faults, seen, unknown = Table(root), [], 0, set()
    for path in () if table.faults else sources(root):
        row = table.row(os.path.dirname(path))
        if row not in table.arrows:
            unknown.add(os.path.dirname(path))
            continue
        with open(os.path.join(root, path), encoding="utf-8", errors="replace") as f:
            text = f.read()
        for m in INCLUDE.finditer(text):
            where = f"{path}:{text.count(chr(10), 0, m.start()) + 1}: includes {m[2]}"
            to = target(root, path, m[2], m[1] == '"')
            seen += 1
            if to is None:
                faults.append(f"{where}: there is no such header")
            elif to and table.row(to) != row and table.row(to) not in table.arrows[row]:
                faults.append(f"{where}: {row} may not include {to}; see {TABLE}, \"{HEADING[3:]}\"")
    faults += [f"{f}: {TABLE}, \"{HEADING[3:]}\", has no row for this folder" for f in sorted(unknown)]
    return table.faults + faults, seen


def main():
    faults, seen = check(sys.argv[1] if len(sys.argv) > 1 else HERE)
    for f in faults:
        print(f)
    print(f"{0 if faults else 1} passed, {1 if faults else 0} failed ({seen} includes)")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
