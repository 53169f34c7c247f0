#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""pvgpuctl check, with the documentation's own example as the good tree. PVGPU_BUILD names the build folder."""
import json
import os
import re
import subprocess
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PVGPUCTL = os.path.join(ROOT, os.environ.get("PVGPU_BUILD", "build"), "bin", "pvgpuctl")
FRONTEND, BACKEND = "/local/domain/3/device/pvgpu/0", "/local/domain/0/backend/pvgpu/3/0"


def example():
    with open(os.path.join(ROOT, "docs", "xenstore.md"), encoding="utf-8") as stream:
        return re.search(r"^```\n(/local/.*?)^```", stream.read(), re.M | re.S)[1]


def nested(dump):
    """The same tree as objects inside objects."""
    root = {}
    for line in dump.splitlines():
        path, value = re.fullmatch(r'(\S+) = "(.*)"', line).groups()
        at = root
        *folders, name = path.strip("/").split("/")
        for folder in folders:
            at = at.setdefault(folder, {})
        at[name] = value
    return root


class Check(unittest.TestCase):
    def check(self, text, file="-"):
        data = text if isinstance(text, bytes) else text.encode()
        return subprocess.run([PVGPUCTL, "check", file], input=data, capture_output=True, timeout=30, check=False)

    def good(self, text, said):
        done = self.check(text)
        self.assertEqual((done.returncode, done.stderr), (0, b""), done.stdout)
        self.assertIn(said, done.stdout.decode())

    def wrong(self, text, said):
        done = self.check(text)
        self.assertEqual((done.returncode, done.stderr), (1, b""), done.stdout)
        self.assertIn(said, done.stdout.decode())

    def unread(self, text, said):
        done = self.check(text)
        self.assertEqual((done.returncode, done.stdout), (2, b""))
        self.assertIn(said, done.stderr.decode())

    def test_example(self):
        self.good(example(), "1 vGPU, 40 keys: 0 errors, 0 warnings")

    def test_json(self):
        self.good(json.dumps(nested(example())), "1 vGPU, 40 keys: 0 errors, 0 warnings")
        flat = dict(re.findall(r'^(\S+) = "(.*)"$', example(), re.M))
        self.good(json.dumps(flat), "1 vGPU, 40 keys: 0 errors")
        flat[FRONTEND + "/state"] = "4\0"
        self.wrong(json.dumps(flat), FRONTEND + "/state: error: frontend/state '4?': must be 1 (Initialising)")

    def test_file(self):
        with tempfile.NamedTemporaryFile("w", encoding="utf-8") as file:
            file.write(example())
            file.flush()
            self.assertEqual(self.check("", file.name).returncode, 0)
        done = self.check("", "/nonexistent")
        self.assertEqual((done.returncode, done.stderr), (2, b"pvgpuctl: /nonexistent: No such file or directory\n"))

    def test_wrong(self):
        text = example()
        self.wrong(text.replace('event-channel = "15"', 'event-channel = "0"'),
                   FRONTEND + "/event-channel: error: frontend/event-channel '0': must be a number from 1 to 131071")
        self.wrong(text.replace('"1-3"', '"3-1"'), BACKEND + "/protocol-version: error: ")
        self.wrong(re.sub("(?m)^.*/online .*\n", "", text), BACKEND + ": error: online is missing")
        self.wrong(text.replace('%s/frontend-id = "3"' % BACKEND, '%s/frontend-id = "4"' % BACKEND), "does not fit the paths")

    def test_hostile(self):
        """Nothing of a guest's text reaches the terminal as it is."""
        done = self.check(json.dumps({FRONTEND + "/\x1b[2J": "x", FRONTEND + "/state": "\x1b]0;x\x07\n"}))
        self.assertEqual(done.returncode, 1)
        self.assertTrue(all(c == 10 or 32 <= c < 127 for c in done.stdout), done.stdout)

    def test_no_dump(self):
        self.unread("", "there is no key of pvgpu in it")
        self.unread("hello\n", "stdin:1: not the output of xenstore-ls -f")
        self.unread('/a = "b"\n', "there is no key of pvgpu in it")
        self.unread("/a = \"b\"\n/b = \"\0\"\n", "stdin:2: a NUL character")
        self.unread("{", "stdin:1: ")
        self.unread("{}", "there is no key in it")
        self.unread('{"a": 1}', "must be objects and strings only")
        self.unread('{"a": {"b": ["c"]}}', "must be objects and strings only")
        self.unread('{"a": "b", "a": "c"}', "stdin:1: duplicate")
        self.unread('{"%s": "x"}' % ("a" * 5000), "paths below 4 KiB")


if __name__ == "__main__":
    unittest.main()
