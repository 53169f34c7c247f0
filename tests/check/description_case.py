# SPDX-License-Identifier: MIT
"""Tests that both generators have: bad descriptions fail at their line, and a lock refuses what a release has frozen.

A test module names GENERATOR (a program), SUFFIX (of a description's file), and for the lock SMALL (a description)."""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import cases


class Scratch(unittest.TestCase):
    """A folder for one test."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="description-test-")
        self.addCleanup(shutil.rmtree, self.folder)

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "w", encoding="utf-8") as stream:
            stream.write(text)
        return self.path(name)


class Generator(Scratch):
    GENERATOR = SUFFIX = None

    def generator(self, *args):
        return subprocess.run([sys.executable, self.GENERATOR, *args], capture_output=True, text=True, timeout=60, check=False)


class Bad(Generator):
    """Every case of the file BAD says in its first line at which line it must fail, and how; there are LEAST of them or more."""
    BAD, LEAST = None, 1

    def place(self, path, line):
        return f"{path}:{line}: "

    def test_bad(self):
        bad = cases.read(self.BAD)
        self.assertGreaterEqual(len(bad), self.LEAST)
        for name, text in bad.items():
            with self.subTest(name):
                path = self.write(name + self.SUFFIX, text)
                m = re.match(r"# expect: (\d+): (.*)\n", text)
                self.assertTrue(m, "no expectation")
                done = self.generator("--no-lock", path)
                self.assertEqual((done.returncode, done.stdout), (1, ""), done.stderr)
                self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
                self.assertTrue(done.stderr.startswith(self.place(path, m[1]) + m[2]), done.stderr)

    def test_missing_file(self):
        path = "/nonexistent/a" + self.SUFFIX
        done = self.generator("--no-lock", path)
        self.assertEqual((done.returncode, done.stderr), (1, f"{path}:0: No such file or directory\n"))


class Locked(Generator):
    """A copy of the description SMALL, and its lock."""
    SMALL = None

    def setUp(self):
        super().setUp()
        with open(self.SMALL, encoding="utf-8") as stream:
            self.text = stream.read()
        self.lock = self.path("the.lock")
        self.ok(self.text, "--relock")

    def run_with(self, text, *args):
        return self.generator("--lock", self.lock, *args, self.write("a" + self.SUFFIX, text))

    def ok(self, text, *args):
        done = self.run_with(text, *args)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def refused(self, text, message, *args, at):
        """Refused with the message at a line, by its number or by the text that it begins with; the lock stays as it is."""
        with open(self.lock, encoding="utf-8") as stream:
            before = stream.read()
        done = self.run_with(text, *args)
        self.assertEqual(done.returncode, 1, message)
        self.assertIn(message, done.stderr)
        where = at if isinstance(at, int) else text.split(at)[0].count("\n") + 1
        self.assertRegex(done.stderr, rf"\A[^:]+:{where}: ")
        with open(self.lock, encoding="utf-8") as stream:
            self.assertEqual(stream.read(), before)

    def changed(self, old, new, times=1):
        self.assertIn(old, self.text)
        return self.text.replace(old, new, times)
