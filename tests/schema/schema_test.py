#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The generator of the xenstore keys: golden outputs, bad descriptions, the lock, and its opinion of values against the C's.

    schema_test.py            run the tests
    schema_test.py --update   write golden/out anew (then look at the difference)
"""
import json
import os
import random
import shutil
import subprocess
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
SCHEMA = os.path.join(ROOT, "xenstore-schema", "gen", "schema.py")
OURS = os.path.join(ROOT, "xenstore-schema", "pvgpu.schema")
SMALL = os.path.join(HERE, "golden", "small.schema")
GOLDEN = os.path.join(HERE, "golden", "out")
CFLAGS = ["-std=c11", "-D_GNU_SOURCE", "-O1", "-Wall", "-Wextra", "-Werror", "-Wshadow", "-Wstrict-prototypes",
          "-Wmissing-prototypes", "-Wno-unused-parameter", "-I" + ROOT]

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(SCHEMA))
sys.path.insert(0, os.path.join(ROOT, "tests", "check"))
import description_case  # noqa: E402
import describe  # noqa: E402
import forked  # noqa: E402
import values  # noqa: E402


def run(command, **more):
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **more)


def schema(*args):
    return forked.run(SCHEMA, *args)


def generate(folder):
    made = schema("--no-lock", "--out", folder, "--docs", "--docs-file", os.path.join(folder, "xenstore.md"), SMALL)
    if made.returncode:
        raise AssertionError(made.stderr)


def tree(folder):
    found = {}
    for name in os.listdir(folder):
        with open(os.path.join(folder, name), encoding="utf-8") as stream:
            found[name] = stream.read()
    return found


class Golden(description_case.Scratch):
    def test_outputs(self):
        self.maxDiff = None
        generate(self.folder)
        new, old = tree(self.folder), tree(GOLDEN)
        self.assertEqual(sorted(new), sorted(old))
        for name in new:
            self.assertEqual(new[name], old[name], name + ": schema_test.py --update writes it")

    def test_compiles(self):
        for cc in filter(shutil.which, ("gcc", "clang")):
            done = run([cc, *CFLAGS, "-I" + GOLDEN, "-c", "-o", "/dev/null", os.path.join(GOLDEN, "pvgpu_keys.c")])
            self.assertEqual(done.returncode, 0, done.stderr)

    def test_kernel(self):
        """What the module compiles, with no header but the few of the kernel's that it names, and nothing that a kernel lacks."""
        self.write("linux/types.h", "typedef unsigned char uint8_t, u8; typedef unsigned short uint16_t; typedef unsigned uint32_t, u32;\n"
                   "typedef unsigned long long uint64_t, u64; typedef unsigned long size_t; typedef _Bool bool;\n"
                   "enum { false, true };\n#define NULL ((void *)0)\n")
        self.write("linux/errno.h", "#define ENOENT 2\n#define EINVAL 22\n#define ENOSPC 28\n")
        self.write("linux/string.h", "size_t strlen(const char *); int memcmp(const void *, const void *, size_t);\n")
        self.write("linux/math64.h", "static inline u64 div_u64_rem(u64 n, u32 d, u32 *r) { *r = n % d; return n / d; }\n")
        schema("--no-lock", "--out", self.folder)
        for source in (os.path.join(ROOT, "xenstore-schema", "values.c"), self.path("pvgpu_keys.c"), os.path.join(GOLDEN, "pvgpu_keys.c")):
            out = self.path("k.o")
            # gnu89 is what kernels before 5.18 are compiled as.
            done = run(["gcc", "-std=gnu89", "-O2", "-ffreestanding", "-nostdinc", "-fno-stack-protector", "-mcmodel=kernel", "-fno-pic", "-mno-sse",
                        "-D__KERNEL__", "-Wall", "-Wextra", "-Werror", "-Wdeclaration-after-statement", "-Wno-unused-parameter", "-Wvla",
                        "-Wframe-larger-than=1024", "-I" + self.folder, "-I" + os.path.dirname(source), "-I" + ROOT, "-c", "-o", out, source])
            self.assertEqual(done.returncode, 0, done.stderr)
            needs = set(run(["nm", "-u", "-P", out]).stdout.split()) - {"U", ""}
            self.assertLessEqual({n for n in needs if not n.startswith("pvgpu_")}, {"strlen", "memcmp", "memcpy", "memset"})

    def test_repeatable(self):
        generate(self.path("a"))
        generate(self.path("b"))
        self.assertEqual(tree(self.path("a")), tree(self.path("b")))

    def test_by_hand(self):
        """A few things written down from the description, so that the golden files cannot be wrong unnoticed."""
        out = tree(GOLDEN)
        keys = {k["tree"] + "/" + k["name"]: k for k in json.loads(out["pvgpu_keys.json"])["keys"]}
        self.assertEqual(len(keys), 16)
        self.assertEqual(keys["frontend/wire"]["path"], "/local/domain/<fe>/device/lamp/<id>/wire")
        self.assertEqual(keys["frontend/wire"]["readers"], ["backend"])
        self.assertEqual(keys["frontend/wire"]["needed"], ["Connected"])
        self.assertEqual((keys["backend/watts"]["owner"], keys["backend/watts"]["readers"]), ("toolstack", ["backend", "frontend"]))
        self.assertEqual(keys["backend/watts"]["allowed"], "a number from 5 to 60")
        self.assertEqual([keys[k]["perms"] for k in ("frontend/wire", "backend/watts", "host/lamps")],
                         ["n<fe>,r<be>", "n0,r<be>,r<fe>", "n<be>"])
        self.assertIn("PVGPU_TRICKS_BLINK_FAST (1ull << 5)", out["pvgpu_keys.h"])
        self.assertIn("int pvgpu_frontend_wire_parse(const char *text, size_t len, struct pvgpu_refs *out, char *err);", out["pvgpu_keys.h"])
        self.assertIn("| `wire` | 1 to 2 grant references separated by commas, none 0 and none twice | needed in Connected | frontend "
                      "| `n<fe>,r<be>` | 1 |", out["xenstore.md"])
        self.assertIn("[*] --> Initialising: attach", out["xenstore.md"])


class Bad(description_case.Bad):
    GENERATOR, SUFFIX, BAD, LEAST = SCHEMA, ".schema", os.path.join(HERE, "bad.txt"), 103


class Locked(description_case.Locked):
    """What may change, by a copy of the small description."""
    GENERATOR, SUFFIX, SMALL = SCHEMA, ".schema", SMALL

    def lock_line(self, start):
        with open(self.lock, encoding="utf-8") as stream:
            return [i for i, line in enumerate(stream, 1) if line.startswith(start)][0]

    CHANGES = [
        ("type u32 min 5 max 60", "type u32 min 5 max 61", "key 'backend/watts' differs from its lock: u32 min=5 max=60", "key backend watts"),
        ("type u32 min 5 max 60", "type u64 min 5 max 60", "key 'backend/watts' differs", "key backend watts"),
        ('default "40"', 'default "41"', "key 'backend/watts' differs", "key backend watts"),
        ("key backend watts", "key backend watt", "key 'backend/watt' is not in the lock", "key backend watt "),
        ("flag dim = 0", "flag dim = 1", "value 'tricks/dim' differs from its lock: 0", "flag dim"),
        ("value Connected = 4", "value Linked = 4", "unknown state 'Connected'", "    needed Connected"),
        ("value calm = 0", "value calm = 1", "value 'mood/calm' differs", "value calm"),
        ("field total u64 min 1", "field total u64 min 0", "field 'backend/bill/total' differs", "field total"),
        ("data/lamp\"", "data/lamps\"", "tree 'host' differs from its lock: /local/domain/<be>/data/lamp", "tree host"),
        ("max 100\n    writer backend", "max 100\n    writer toolstack backend", "key 'backend/versions' differs", "key backend versions"),
    ]

    def test_same(self):
        self.ok(self.text)
        self.ok(self.changed('"Power."', '"Electrical power."'))
        self.ok(self.changed('example "60"', 'example "59"'))

    def test_every_kind_of_change(self):
        for old, new, what, at in self.CHANGES:
            with self.subTest(new):
                self.refused(self.changed(old, new), what, at=at)

    def test_relock(self):
        text = self.changed("type u32 min 5 max 60", "type u32 min 5 max 61")
        self.ok(text, "--relock")
        self.ok(text)
        self.refused(self.text, "key 'backend/watts' differs", at="key backend watts")

    def test_removed(self):
        less = self.text[:self.text.index("key host lamps")] + self.text[self.text.index("machine frontend"):]
        self.refused(less, "key 'host/lamps' is locked but not described; while", at=self.lock_line("key host/lamps"))
        self.ok(less, "--relock")

    def test_released(self):
        self.ok(self.text, "--release")
        for old, new, what, at in self.CHANGES:
            with self.subTest(new):
                self.refused(self.changed(old, new), what, "--relock", at=at)
        less = self.text[:self.text.index("key host lamps")] + self.text[self.text.index("machine frontend"):]
        self.refused(less, "locked but not described; version 1 is released", "--relock", at=self.lock_line("key host/lamps"))

    def test_added_after_a_release(self):
        self.ok(self.text, "--release")
        bell = 'key host bells since %d\n doc "Bells."\n type bool\n writer backend\n example "1"\nend\n'
        self.refused(self.text + bell % 2, "key 'host/bells' is not in the lock; version 2 is released", "--relock", at="key host bells")
        third = self.changed("version 2", "version 3") + bell % 3
        self.refused(third, "is not in the lock; while", at="key host bells")
        self.ok(third, "--relock")
        self.ok(third.replace('type bool\n writer backend\n example "1"\nend\n', 'type u32\n writer backend\n example "1"\nend\n'), "--relock")

    def test_broken_lock(self):
        for text in ("released 0\nx\n", "released x\n", "key a/b 1\n", "key a/b x y\n", "key a/b 1 y\nkey a/b 1 y\n", "lamp a 1 y\n"):
            self.write("the.lock", text)
            done = self.run_with(self.text)
            self.assertEqual(done.returncode, 1)
            self.assertRegex(done.stderr, r"the\.lock:[12]: cannot read '")


class Docs(description_case.Scratch):
    def test_check(self):
        where = ("--no-lock", "--docs-file", self.path("x.md"))
        self.assertEqual(schema(*where, "--check-docs", SMALL).returncode, 1)
        self.assertEqual(schema(*where, "--docs", SMALL).returncode, 0)
        self.assertEqual(schema(*where, "--check-docs", SMALL).returncode, 0)
        with open(self.path("x.md"), "a", encoding="utf-8") as stream:
            stream.write("more\n")
        done = schema(*where, "--check-docs", SMALL)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"x\.md:\d+: not current")

    def test_the_repositorys(self):
        done = schema("--check-docs")
        self.assertEqual((done.returncode, done.stderr), (0, ""))


class Arrows(unittest.TestCase):
    """A generator uses the tools that all share, and nothing of another generator."""
    PARTS = {"xenstore-schema/gen": "schema", "libpvgpu/protocol/gen": "wire, exports", "libpvgpu/tools": "generator"}

    def test_modules(self):
        show = "import sys; sys.path.insert(0, sys.argv[1]); import %s\nfor m in sys.modules.values(): print(getattr(m, '__file__', ''))"
        for folder, modules in self.PARTS.items():
            done = run([sys.executable, "-c", show % modules, os.path.join(ROOT, folder)])
            ours = {os.path.realpath(p) for p in done.stdout.split() if p.startswith(ROOT + "/")}
            used = {os.path.relpath(os.path.dirname(p), ROOT) for p in ours}
            self.assertEqual(used, {folder, "libpvgpu/tools"}, done.stderr)


class Opinions(description_case.Scratch):
    """gen/values.py and values.c were written apart: they must take the same texts."""

    PIECES = ("0", "1", "7", "9", "40", "60", "61", "64", "100", "65535", "65536", "32751", "32752", "4294967295", "4294967296", "18446744073709551615",
              "18446744073709551616", "K", "M", "G", "T", "-", ",", ",,", "=", " ", "/", "+", "x", "a-b", "weight=", "weight=5", "drain=1", "zero-copy",
              "debug", "info", "Connected", "/local/domain/", "/device/pvgpu/", "/backend/pvgpu/", "0123abCD-", "-1a2B", "\t", "\x7f", "Z")

    def texts(self, key, rng):
        yield from ("", key.example, key.example.upper(), key.example[:-1], key.example + "0")
        for n in (key.lo, key.hi, key.lo - 1, key.hi + 1):
            yield str(n)
        for _ in range(150):
            yield "".join(rng.choice(self.PIECES) for _ in range(rng.randint(1, 5)))
        for _ in range(150):  # the example with one piece put in
            at, end = rng.randint(0, len(key.example)), rng.randint(0, 2)
            yield key.example[:at] + rng.choice(self.PIECES) + key.example[at + end:]

    def test_same(self):
        schema("--no-lock", "--out", self.folder)
        sources = [os.path.join(ROOT, "xenstore-schema", n) for n in ("values.c", "records.c")]
        done = run(["gcc", *CFLAGS, "-fsanitize=address,undefined", "-fno-sanitize-recover", "-I" + self.folder, "-o", self.path("oracle"),
                    os.path.join(HERE, "oracle.c"), self.path("pvgpu_keys.c"), *sources])
        self.assertEqual(done.returncode, 0, done.stderr)
        keys = list(describe.parse_file(OURS).keys.values())
        rng = random.Random(1)
        cases = [(i, t) for i, key in enumerate(keys) for t in self.texts(key, rng)]
        done = run([self.path("oracle")], input="".join("%d %s\n" % case for case in cases))
        self.assertEqual(done.returncode, 0, done.stderr)
        answers = done.stdout.split()
        self.assertEqual(len(answers), len(cases))
        for (i, text), answer in zip(cases, answers):
            self.assertEqual(values.valid(keys[i], text), answer == "1", (keys[i].full, text))
        self.assertGreater(answers.count("1"), 300)


if __name__ == "__main__":
    if sys.argv[1:] == ["--update"]:
        shutil.rmtree(GOLDEN, ignore_errors=True)
        generate(GOLDEN)
        sys.exit(0)
    unittest.main()
