#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""links.py finds links that lead nowhere, and no others."""
import pathlib
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import links  # noqa: E402


class Links(unittest.TestCase):
    def of(self, text, other="# One, `two` & [three](x.md)\n<a id=\"own\"></a>\n```\n# no heading\n```\n"):
        with tempfile.TemporaryDirectory() as d:
            top = pathlib.Path(d)
            (top / "a.md").write_text(text)
            (top / "docs").mkdir()
            (top / "docs/b.md").write_text(other)
            return [f.split(": ", 1)[1] for f in links.faults(top, "a.md")]

    def test_good(self):
        self.assertEqual(self.of("# Top\n[b](docs/b.md) [o](docs/b.md#own) [h](docs/b.md#one-two--three) [t](#top) [w](https://example.org/x) [d](docs)\n"), [])
        self.assertEqual(self.of("`[b](none.md)`\n```\n[b](none.md)\n```\n"), [])

    def test_bad(self):
        self.assertEqual(self.of("[b](docs/c.md)\n![p](p.svg)\n"), ["docs/c.md: there is no such file", "p.svg: there is no such file"])
        self.assertEqual(self.of("[b](docs/b.md#no-heading) [t](#top)\n"), ["docs/b.md#no-heading: that page has no such heading", "#top: that page has no such heading"])


if __name__ == "__main__":
    unittest.main()
