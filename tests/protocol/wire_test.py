#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The wire's generator: golden outputs, bad descriptions, the lock.

    wire_test.py            run the tests
    wire_test.py --update   write golden/ anew (then look at the difference)
"""
import glob
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
WIRE = os.path.join(ROOT, "libpvgpu", "protocol", "gen", "wire.py")
SMALL = os.path.join(HERE, "golden", "small.api")
GOLDEN = os.path.join(HERE, "golden", "out")
CFLAGS = ["-std=c11", "-D_GNU_SOURCE", "-O1", "-Wall", "-Wextra", "-Werror", "-Wshadow", "-Wstrict-prototypes",
          "-Wmissing-prototypes", "-Wno-unused-parameter", "-I" + os.path.join(ROOT, "libpvgpu"), "-c", "-o", "/dev/null"]


def wire(*args):
    return subprocess.run([sys.executable, WIRE, *args], capture_output=True, text=True, timeout=60, check=False)


def generate(folder):
    run = wire("--no-lock", "--out", folder, "--docs", "--docs-file", os.path.join(folder, "protocol.md"), SMALL)
    if run.returncode:
        raise AssertionError(run.stderr)


def tree(folder):
    found = {}
    for base, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(base, name)
            with open(path, "rb") as stream:
                found[os.path.relpath(path, folder)] = stream.read()
    return found


class Scratch(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="wire-test-")
        self.addCleanup(shutil.rmtree, self.folder)

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as stream:
            stream.write(text)
        return self.path(name)


class Golden(Scratch):
    def test_outputs(self):
        self.maxDiff = None
        generate(self.folder)
        new, old = tree(self.folder), tree(GOLDEN)
        self.assertEqual(sorted(new), sorted(old))
        for name, data in sorted(new.items()):
            if name.endswith(".bin"):
                self.assertEqual(data, old[name], name)
            else:
                self.assertEqual(data.decode(), old[name].decode(), name + ": wire_test.py --update writes it")

    def test_compiles(self):
        for cc in filter(shutil.which, ("gcc", "clang")):
            for name in glob.glob(os.path.join(GOLDEN, "*.c")):
                run = subprocess.run([cc, *CFLAGS, "-I" + GOLDEN, name], capture_output=True, text=True, timeout=60, check=False)
                self.assertEqual(run.returncode, 0, run.stderr)

    def test_kernel_header(self):
        # The wire header alone, as in the kernel: no hosted header but the kernel's types.
        os.makedirs(self.path("linux"))
        self.write("linux/types.h", "typedef unsigned char uint8_t; typedef unsigned short uint16_t; typedef unsigned uint32_t;\n"
                   "typedef int int32_t; typedef unsigned long long uint64_t;\n")
        source = self.write("k.c", "#include <pvgpu_wire.h>\n")
        run = subprocess.run(["gcc", "-std=gnu11", "-ffreestanding", "-nostdinc", "-D__KERNEL__", "-Wall", "-Werror",
                              "-I" + self.folder, "-I" + GOLDEN, "-c", "-o", "/dev/null", source],
                             capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(run.returncode, 0, run.stderr)

    def test_repeatable(self):
        generate(self.path("a"))
        generate(self.path("b"))
        self.assertEqual(tree(self.path("a")), tree(self.path("b")))

    def test_seed_by_hand(self):
        # Written down byte by byte from the description, so that layout code cannot agree with itself only.
        with open(os.path.join(GOLDEN, "corpus", "decode", "room_open-typical.bin"), "rb") as stream:
            seed = stream.read()
        want = struct.pack("<IHHII", 120, 3, 0, 7, 0)
        want += struct.pack("<QII", 2 << 56 | 1 << 48 | 1 << 32 | 1, 6, 0)     # door, name_len, padding
        want += struct.pack("<QQ", 0x7E0000001000, 102)                        # plan
        want += struct.pack("<IIif", 8, 5, 8, 7.5)                             # note_len, kind, depth, scale
        want += struct.pack("<QQ", 1, 1 << 56 | 1 << 48 | 1 << 32 | 9)         # flags, room
        want += bytes(range(17, 23)) + bytes(2)                                # name, terminated
        want += bytes(range(49, 57))                                           # note
        want = struct.pack("<I", len(want)) + want[4:]
        self.assertEqual(seed.hex(), want.hex())


class Bad(unittest.TestCase):
    """Every file of bad/ says in its first line at which line it must fail, and how."""

    def test_bad(self):
        files = sorted(glob.glob(os.path.join(HERE, "bad", "*.api")))
        self.assertGreater(len(files), 80)
        for path in files:
            with self.subTest(os.path.basename(path)):
                with open(path, encoding="utf-8") as stream:
                    m = re.match(r"# expect: (\d+): (.*)\n", stream.readline())
                self.assertTrue(m, "no expectation")
                run = wire("--no-lock", path)
                self.assertEqual(run.returncode, 1, run.stderr)
                self.assertEqual(run.stdout, "")
                self.assertEqual(run.stderr.count("\n"), 1, run.stderr)
                where = "%s:%s: " % ("description" if m[1] == "0" else path, m[1])
                self.assertTrue(run.stderr.startswith(where + m[2]), run.stderr)

    def test_missing_file(self):
        run = wire("--no-lock", "/nonexistent/a.api")
        self.assertEqual((run.returncode, run.stderr), (1, "/nonexistent/a.api:0: No such file or directory\n"))


class Locked(Scratch):
    """What may change, by a copy of the small description."""

    def setUp(self):
        super().setUp()
        with open(SMALL, encoding="utf-8") as stream:
            self.text = stream.read()
        self.lock = self.path("numbers.lock")
        self.ok(self.text, "--relock")

    def run_with(self, text, *args):
        return wire("--lock", self.lock, *args, self.write("a.api", text))

    def ok(self, text, *args):
        run = self.run_with(text, *args)
        self.assertEqual((run.returncode, run.stderr), (0, ""))

    def refused(self, text, message, *args, at=None):
        with open(self.lock, encoding="utf-8") as stream:
            before = stream.read()
        run = self.run_with(text, *args)
        self.assertEqual(run.returncode, 1, message)
        self.assertIn(message, run.stderr)
        where = text.split(self.line_of(message, text))[0].count("\n") + 1 if at is None else at
        self.assertRegex(run.stderr, r"\A[^:]+:%s: " % where)
        with open(self.lock, encoding="utf-8") as stream:
            self.assertEqual(stream.read(), before)

    @staticmethod
    def line_of(message, text):
        name = re.search(r"'(\w+)'", message)[1]
        return re.search(r"^(command|const|handle|struct) %s\b" % name, text, re.M)[0]

    def changed(self, old, new):
        self.assertIn(old, self.text)
        return self.text.replace(old, new)

    def test_same(self):
        self.ok(self.text)
        self.ok(self.text.replace('"Paint it."', '"Paint the room."'))

    def test_every_kind_of_change(self):
        changes = [
            ("colour u32 bits 0xffffff", "colour u32 bits 0xfffffff", "shape"), ("colour u32", "color u32", "shape"),
            ("canvas arena write max 1M", "canvas arena read max 1M", "shape"),
            ("room   handle room optional", "room   handle room", "shape"),
            ("since 2 oneway mark lane gpu", "since 2 oneway lane gpu", "kind"),
            ("since 2 oneway mark lane gpu", "since 2 oneway mark lane side", "lane"),
            ("since 2 oneway mark lane gpu", "since 1 oneway mark lane gpu", "since"),
        ]
        for old, new, what in changes:
            with self.subTest(new):
                self.refused(self.changed(old, new), "command 'room_paint' differs from its lock (%s)" % what)

    def test_renumbered(self):
        self.refused(self.changed("room_paint = 4", "room_paint = 5"), "command 'room_paint' is locked as number 4")

    def test_renamed(self):
        self.refused(self.changed("command room_paint", "command room_draw"), "number 4 is locked as 'room_paint'",
                     at=self.text.split("command room_paint")[0].count("\n") + 1)

    def test_added(self):
        more = self.text + 'command bell = 9 since 2 oneway lane now\n    doc "Ring."\nend\n'
        self.refused(more, "command 'bell' = 9 is not in the lock")
        self.ok(more, "--relock")
        self.ok(more)

    def test_removed_number_stays_reserved(self):
        less = self.text[:self.text.index("command knock")]
        self.refused(less, "command 'knock' = 2 is locked but not described", at=11)
        self.ok(less, "--relock")
        self.ok(less)
        with open(self.lock, encoding="utf-8") as stream:
            self.assertIn("\n2 knock reserved\n", stream.read())
        again = less + 'command bell = 2 since 2 oneway lane now\n    doc "Ring."\nend\n'
        for args in ((), ("--relock",)):
            run = self.run_with(again, *args)
            self.assertIn("number 2 is reserved: it was 'knock'", run.stderr)

    def test_released(self):
        self.ok(self.changed("PROTOCOL_VERSION = 2", "PROTOCOL_VERSION = 2"), "--release")
        paint = self.changed("colour u32", "color u32")
        self.refused(paint, "command 'room_paint' differs from its lock (shape); version 2 is released", "--relock")
        less = self.text[:self.text.index("command knock")]
        self.refused(less, "command 'knock' = 2 is locked but not described; version 1 is released", "--relock", at=11)
        self.refused(self.changed("= 1 \"A room\"", "= 3 \"A room\""), "handle type 'room' differs from its lock", "--relock")
        self.refused(self.changed("field lumen u64", "field lumens u64"), "structure 'lamp' differs from its lock", "--relock")
        self.refused(self.changed("REP_MAX = 0x1000", "REP_MAX = 8K"), "constant 'REP_MAX' differs from its lock", "--relock")
        bell = 'command bell = 9 since %d oneway lane now\n    doc "Ring."\nend\n'
        self.refused(self.text + bell % 2, "command 'bell' = 9 is not in the lock; version 2 is released", "--relock")
        third = self.changed("PROTOCOL_VERSION = 2", "PROTOCOL_VERSION = 3") + bell % 3
        self.ok(third, "--relock")
        self.ok(third.replace("lane now\n    doc \"Ring", "lane gpu\n    doc \"Ring"), "--relock")

    def test_change_of_an_unreleased_version(self):
        self.ok(self.changed("colour u32", "color u32"), "--relock")
        self.ok(self.changed("colour u32", "color u32"))

    def test_broken_lock(self):
        self.write("numbers.lock", "released 0\n7 x\n")
        run = self.run_with(self.text)
        self.assertEqual((run.returncode, run.stderr), (1, "%s:2: cannot read '7 x'\n" % self.lock))


class Docs(Scratch):
    def test_check(self):
        where = ("--no-lock", "--docs-file", self.path("p.md"))
        self.assertEqual(wire(*where, "--check-docs", SMALL).returncode, 1)
        self.assertEqual(wire(*where, "--docs", SMALL).returncode, 0)
        self.assertEqual(wire(*where, "--check-docs", SMALL).returncode, 0)
        with open(self.path("p.md"), "a", encoding="utf-8") as stream:
            stream.write("more\n")
        run = wire(*where, "--check-docs", SMALL)
        self.assertEqual(run.returncode, 1)
        self.assertRegex(run.stderr, r"p\.md:\d+: not current")

    def test_the_repositorys(self):
        run = wire("--check-docs")
        self.assertEqual((run.returncode, run.stderr), (0, ""))


class Recorded(unittest.TestCase):
    def test_complete(self):
        """Every record has its line and every line its record; decode_test decodes them."""
        for folder in glob.glob(os.path.join(HERE, "recorded", "v*")):
            with open(os.path.join(folder, "expected.txt"), encoding="utf-8") as stream:
                named = sorted(line.split(":")[0] for line in stream)
            self.assertEqual(named, sorted(os.path.basename(p) for p in glob.glob(os.path.join(folder, "*.bin"))))
            self.assertGreater(len(named), 100)


if __name__ == "__main__":
    if sys.argv[1:] == ["--update"]:
        shutil.rmtree(GOLDEN, ignore_errors=True)
        generate(GOLDEN)
        sys.exit(0)
    unittest.main()
