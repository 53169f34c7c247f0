#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A violation of each of include_rules.py's rules, planted in a small tree, is found; the tree without it is well."""
import os
import subprocess
import sys
import tempfile
import unittest

PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "include_rules.py")
ROWS = {
    "libpvgpu/ring": "nothing of ours",
    "libpvgpu/link": "`ring`, `libpvgpu/protocol`",
    "xen-pvgpu-back/daemon": "`libpvgpu/link`, `xenstore-schema`, `Xen`",
    "xenstore-schema": "nothing",
    "tests/gpu/...": "`libpvgpu/...`",
}
FILES = {
    "libpvgpu/ring/ring.h": "#include <stdint.h>\n",
    "libpvgpu/link/link.h": '#include "ring/ring.h"\n#include "pvgpu_wire.h"\n',
    "libpvgpu/link/link.c": '#include "link.h"\n',
    "xen-pvgpu-back/daemon/main.c": '#include <xenstore.h>\n#include "link/link.h"\n#include "xenstore-schema/keys.h"\n',
    "xenstore-schema/keys.h": '#include "pvgpu_keys.h"\n',
    "tests/gpu/probe/probe.c": '#include "tests/gpu/gpu.h"\n#include "link/link.h"\n#include "pvgpu_wire.h"\n',
    "tests/gpu/gpu.h": "",
    "tests/gpu/golden/out.c": '#include "not-there.h"\n',
}


class IncludeRules(unittest.TestCase):
    def run_on(self, rows, files, heading="## Who may include what"):
        with tempfile.TemporaryDirectory() as root:
            text = f"# Developing\n\n{heading}\nWords.\n\n| folder | may include |\n|---|---|\n"
            text += "".join(f"| {', '.join(f'`{x}`' for x in f.split(', ') if x)} | {m} |\n" for f, m in rows)
            text += "\n| another | table |\n|---|---|\n| `of/no/interest` | `at/all` |\n"
            for path, content in {**files, "docs/developing.md": text}.items():
                os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
                with open(os.path.join(root, path), "w", encoding="utf-8") as f:
                    f.write(content)
            r = subprocess.run([sys.executable, PROGRAM, root], capture_output=True, text=True, check=False)
            self.assertEqual(r.stderr, "")
            return r.returncode, r.stdout

    def fails(self, *words, rows=None, more=(), **files):
        """A tree with these rows in place of its own, more of them, and these files besides: one line, which has all words."""
        files = {path.replace("__", "/").replace("_h", ".h").replace("_c", ".c"): text for path, text in files.items()}
        rc, out = self.run_on([*{**ROWS, **(rows or {})}.items(), *more], {**FILES, **files})
        self.assertEqual(rc, 1, out)
        lines = out.strip().split("\n")
        self.assertEqual(len(lines), 2, out)
        for w in words:
            self.assertIn(w, lines[0])
        self.assertIn("0 passed, 1 failed", lines[1])

    def test_well(self):
        rc, out = self.run_on(ROWS.items(), FILES)
        self.assertEqual((rc, out), (0, "1 passed, 0 failed (11 includes)\n"))

    def test_not_allowed(self):
        self.fails("libpvgpu/ring/up.h:2: includes link/link.h", "libpvgpu/ring may not include libpvgpu/link",
                   libpvgpu__ring__up_h='\n#include "link/link.h"\n')

    def test_not_allowed_by_a_relative_path(self):
        self.fails("libpvgpu/ring may not include libpvgpu/link", libpvgpu__ring__up_h='#include "../link/link.h"\n')

    def test_xen_headers(self):
        self.fails("libpvgpu/link may not include Xen", libpvgpu__link__xen_c="#include <xen/gntdev.h>\n")

    def test_generated_headers(self):
        self.fails("libpvgpu/ring may not include libpvgpu/protocol", libpvgpu__ring__wire_c='#include "pvgpu_decode.h"\n')
        self.fails("libpvgpu/ring may not include xenstore-schema", libpvgpu__ring__wire_c='#include "pvgpu_keys.h"\n')

    def test_whole_trees(self):
        self.fails("tests/gpu/... may not include xenstore-schema",
                   tests__gpu__probe__two_c='#include "xenstore-schema/keys.h"\n')
        self.fails("xen-pvgpu-back/daemon may not include tests/gpu",
                   **{"xen-pvgpu-back__daemon__test_c": '#include "tests/gpu/gpu.h"\n'})

    def test_no_such_header(self):
        self.fails("includes old.h: there is no such header", libpvgpu__link__two_c='#include "old.h"\n')

    def test_folder_without_row(self):
        self.fails("libpvgpu/new", "has no row", libpvgpu__new__new_c="")
        self.fails("libpvgpu/protocol", "has no row", libpvgpu__protocol__new_c="")
        self.fails("libpvgpu/ring/below", "has no row", libpvgpu__ring__below__new_c="")

    def test_both_ways(self):
        self.fails("both ways", "libpvgpu/link", "libpvgpu/ring", rows={"libpvgpu/ring": "`libpvgpu/link`"})
        self.fails("both ways", "libpvgpu/link", "tests/gpu/...",
                   rows={"libpvgpu/link": "`libpvgpu/ring`, `libpvgpu/protocol`, `tests/gpu/probe`"})

    def test_circle(self):
        self.fails("in a circle", "libpvgpu/ring -> xen-pvgpu-back/daemon",
                   rows={"libpvgpu/ring": "`xen-pvgpu-back/daemon`"})

    def test_table(self):
        self.fails("there is no folder libpvgpu/gone", more=[("libpvgpu/gone", "nothing")])
        self.fails("libpvgpu/ring has two rows", more=[("libpvgpu/ring", "nothing of ours")])
        self.fails("may include libpvgpu/gone, which has no row", rows={"libpvgpu/ring": "`libpvgpu/gone`"})
        self.fails("may include gone/..., which has no row", rows={"libpvgpu/ring": "`gone/...`"})

    def test_row_without_a_folder(self):
        rc, out = self.run_on([*ROWS.items(), ("", "nothing")], FILES)
        self.assertEqual((rc, out.count("\n")), (1, 2), out)
        self.assertRegex(out, r"developing\.md:\d+: a row without a folder\n0 passed, 1 failed")

    def test_no_table(self):
        rc, out = self.run_on(ROWS.items(), FILES, heading="## Something else")
        self.assertEqual(rc, 1)
        self.assertIn('no heading "## Who may include what"', out)


if __name__ == "__main__":
    unittest.main()
