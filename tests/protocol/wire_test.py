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
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
WIRE = os.path.join(ROOT, "libpvgpu", "protocol", "gen", "wire.py")
SMALL = os.path.join(HERE, "golden", "small.api")
GOLDEN = os.path.join(HERE, "golden", "out")
CFLAGS = ["-std=c11", "-D_GNU_SOURCE", "-O1", "-Wall", "-Wextra", "-Werror", "-Wshadow", "-Wstrict-prototypes",
          "-Wmissing-prototypes", "-Wno-unused-parameter", "-I" + os.path.join(ROOT, "libpvgpu"), "-c", "-o", "/dev/null"]

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(ROOT, "tests", "check"))
import description_case  # noqa: E402
import forked  # noqa: E402


def wire(*args):
    return forked.run(WIRE, *args)


def generate(folder):
    run = wire("--no-lock", "--out", folder, "--docs", "--docs-file", os.path.join(folder, "protocol.md"), SMALL)
    if run.returncode:
        raise AssertionError(run.stderr)


SEEDS = "corpus.txt"  # stands for the generated corpus: a line "NAME HEX" for each seed


def tree(folder):
    """name -> content; seeds are folded into SEEDS."""
    found, seeds = {}, []
    for base, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(base, name)
            with open(path, "rb") as stream:
                data = stream.read()
            if name.endswith(".bin"):
                seeds.append("%s %s\n" % (os.path.relpath(path, os.path.join(folder, "corpus")), data.hex()))
            else:
                found[os.path.relpath(path, folder)] = data
    if seeds:
        found[SEEDS] = "".join(sorted(seeds)).encode()
    return found


class Golden(description_case.Scratch):
    def test_outputs(self):
        self.maxDiff = None
        generate(self.folder)
        new, old = tree(self.folder), tree(GOLDEN)
        self.assertEqual(sorted(new), sorted(old))
        for name, data in sorted(new.items()):
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
        seed = re.search(r"^decode/room_open-typical\.bin (.*)$", tree(GOLDEN)[SEEDS].decode(), re.M)[1]
        want = struct.pack("<IHHII", 120, 3, 0, 7, 0)
        want += struct.pack("<QII", 2 << 56 | 1 << 48 | 1 << 32 | 1, 6, 0)     # door, name_len, padding
        want += struct.pack("<QQ", 0x7E0000001000, 102)                        # plan
        want += struct.pack("<IIif", 8, 5, 8, 7.5)                             # note_len, kind, depth, scale
        want += struct.pack("<QQ", 1, 1 << 56 | 1 << 48 | 1 << 32 | 9)         # flags, room
        want += bytes(range(17, 23)) + bytes(2)                                # name, terminated
        want += bytes(range(49, 57))                                           # note
        want = struct.pack("<I", len(want)) + want[4:]
        self.assertEqual(seed, want.hex())


class Bad(description_case.Bad):
    GENERATOR, SUFFIX, BAD, LEAST = WIRE, ".api", os.path.join(HERE, "bad.txt"), 91

    def place(self, path, line):
        return super().place("description" if line == "0" else path, line)


class Locked(description_case.Locked):
    """What may change, by a copy of the small description."""
    GENERATOR, SUFFIX, SMALL = WIRE, ".api", SMALL

    def refused(self, text, message, *args, at=None):
        super().refused(text, message, *args, at=self.line_of(message, text) if at is None else at)

    @staticmethod
    def line_of(message, text):
        name = re.search(r"'(\w+)'", message)[1]
        return re.search(r"^(command|const|handle|struct) %s\b" % name, text, re.M)[0]

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

    def test_renumbered_number_stays_reserved(self):
        moved = self.changed("room_paint = 4", "room_paint = 5")
        self.ok(moved, "--relock")
        self.ok(moved)
        bell = moved + 'command bell = 4 since 2 oneway lane now\n    doc "Ring."\nend\n'
        self.refused(bell, "number 4 is reserved: it was 'room_paint'", "--relock", at=moved.count("\n") + 1)

    def test_two_change_numbers(self):
        swapped = self.changed("command knock = 2", "command knock = 4").replace("command room_paint = 4", "command room_paint = 2")
        self.refused(swapped, "number 2 is locked as 'knock'", at=swapped.split("command room_paint")[0].count("\n") + 1)
        self.ok(swapped, "--relock")
        self.ok(swapped)

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
            self.assertIn("\nreserved command/2 1 knock\n", stream.read())
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
        self.refused(self.changed("= 1 \"A room\"", "= 3 \"A room\""), "handle type 'room' is locked as number 1; version 1", "--relock")
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
        for line in ("7 x", "const X 1", "handle x 1 y", "command x 1 7 now oneway", "handle x 1 1\nhandle y 1 1"):
            self.write("the.lock", "released 0\n%s\n" % line)
            run = self.run_with(self.text)
            bad = line.split("\n")
            self.assertEqual((run.returncode, run.stderr), (1, "%s:%d: cannot read '%s'\n" % (self.lock, len(bad) + 1, bad[-1])))


class Docs(description_case.Scratch):
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
        """Every line has a name of its own, a whole record and what it says; decode_test decodes them."""
        tables = glob.glob(os.path.join(HERE, "recorded", "v*.txt"))
        self.assertTrue(tables)
        for path in tables:
            with open(path, encoding="utf-8") as stream:
                lines = [line.split(" ", 2) for line in stream]
            self.assertGreater(len(lines), 100)
            self.assertEqual(len({name for name, _, _ in lines}), len(lines))
            for name, record, text in lines:
                self.assertEqual(int.from_bytes(bytes.fromhex(record)[:4], "little"), len(record) // 2, name)
                self.assertEqual(name.rsplit("-", 1)[0], text.split()[0])


if __name__ == "__main__":
    if sys.argv[1:] == ["--update"]:
        shutil.rmtree(GOLDEN, ignore_errors=True)
        generate(GOLDEN)
        made = tree(GOLDEN)
        shutil.rmtree(os.path.join(GOLDEN, "corpus"))
        with open(os.path.join(GOLDEN, SEEDS), "wb") as stream:
            stream.write(made[SEEDS])
        sys.exit(0)
    unittest.main()
