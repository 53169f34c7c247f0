#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A phrase of each scope, planted in a small tree, is found where it counts and nowhere else."""
import pathlib
import subprocess
import sys
import tempfile
import unittest

PROGRAM = pathlib.Path(__file__).with_name("language.py")
PHRASES = """
# SCOPE | PATTERN | INSTEAD
part := src/part src/other.c
all | bad everywhere | good
users | bad for users | good
src/one | bad in one | good
part src/one | bad in two | good
"""
FILES = {
    "README.md": "All is well.\n",
    "docs/man/a.8": "All is well.\n",
    "src/one/a.c": "/* All is well. */\n",
    "src/one.c": "/* bad in one: another file than the folder's; bad for users */\n",
    "src/part/deep/b.c": "/* All is well. */\n",
    "src/other.c": "/* All is well. */\n",
    "tests/fuzz/corpus/x": "bad everywhere\n",
}


class Language(unittest.TestCase):
    def run_on(self, phrases=PHRASES, **files):
        files = {path.replace("__", "/").replace("_md", ".md").replace("_c", ".c"): text for path, text in files.items()}
        with tempfile.TemporaryDirectory() as root:
            for path, text in {**FILES, **files, "tests/check/phrases.txt": phrases}.items():
                file = pathlib.Path(root, path)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, encoding="utf-8")
            r = subprocess.run([sys.executable, PROGRAM, root], capture_output=True, text=True, check=False)
        return r.returncode, r.stdout, r.stderr

    def fails(self, place, **files):
        rc, out, err = self.run_on(**files)
        self.assertEqual((rc, err), (1, ""), out)
        lines = out.strip().split("\n")
        self.assertEqual(len(lines), 2, out)
        self.assertTrue(lines[0].startswith(place), out)
        self.assertIn("write instead: good", lines[0])
        self.assertEqual(lines[1], "0 passed, 1 failed")

    def test_well(self):
        self.assertEqual(self.run_on(), (0, "1 passed, 0 failed\n", ""))

    def test_all(self):
        self.fails("src/other.c:2: \"bad everywhere\"", src__other_c="\nbad everywhere\n")

    def test_users(self):
        self.fails("README.md:1: \"Bad for users\"", README_md="Bad for users.\n")
        self.fails("docs/b.md:1:", docs__b_md="bad for users\n")

    def test_a_folder(self):
        self.fails("src/one/a.c:1:", src__one__a_c="/* bad in one */\n")

    def test_a_named_scope(self):
        self.fails("src/part/deep/b.c:1:", src__part__deep__b_c="/* bad in two */\n")
        self.fails("src/other.c:1:", src__other_c="/* bad in two */\n")

    def test_two_scopes(self):
        self.fails("src/one/a.c:1:", src__one__a_c="/* bad in two */\n")

    def test_outside(self):
        self.assertEqual(self.run_on(src__part__deep__b_c="bad in one, bad for users\n")[0], 0)

    def test_no_phrase(self):
        for line in ("all | no instead", "nowhere | a | b", "| a | b"):
            rc, _, err = self.run_on(PHRASES + line + "\n")
            self.assertNotEqual(rc, 0, line)
            self.assertIn("phrases.txt:8", err)


if __name__ == "__main__":
    unittest.main()
