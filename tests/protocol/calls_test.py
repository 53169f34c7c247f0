#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The layer of calls: what comes from one block, that it compiles, and that bad blocks are refused at their line."""
import os
import re
import subprocess
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
WIRE = os.path.join(ROOT, "libpvgpu", "protocol", "gen", "wire.py")
EXPORTS = os.path.join(ROOT, "libpvgpu", "protocol", "gen", "exports.py")
EXAMPLE = os.path.join(HERE, "calls", "example.api")
DIFF = os.path.join(HERE, "calls", "more.diff")
TYPES = """#ifndef EXAMPLE_TYPES_H
#define EXAMPLE_TYPES_H
#include <cuda.h>
#include <stdint.h>
typedef struct tool *exampleTool;
enum { EXAMPLE_INVALID = 7, EXAMPLE_HEAVY = 15 };
typedef struct { unsigned int kind; CUevent event; uint64_t at; unsigned int count; } exampleStep;
#endif
"""

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(ROOT, "tests", "check"))
import description_case  # noqa: E402
import forked  # noqa: E402


class Calls(description_case.Scratch):
    def generate(self, text, folder):
        path = self.write("example.api", text)
        run = forked.run(WIRE, "--no-lock", "--out", self.path(folder), "--docs", "--docs-file", self.path(folder + "/protocol.md"), path)
        self.assertEqual((run.returncode, run.stderr), (0, ""))
        found = {}
        for name in os.listdir(self.path(folder)):
            if os.path.isfile(self.path(folder + "/" + name)):
                with open(self.path(folder + "/" + name), encoding="utf-8") as stream:
                    found[name] = stream.read()
        return found

    def example(self):
        with open(EXAMPLE, encoding="utf-8") as stream:
            return stream.read()

    def changed(self):
        """The example with the diff: one block more."""
        self.write("example.api", self.example())
        with open(DIFF, encoding="utf-8") as stream:
            subprocess.run(["patch", "-s", "example.api"], cwd=self.folder, stdin=stream, check=True)
        with open(self.path("example.api"), encoding="utf-8") as stream:
            return stream.read()

    def test_one_block_is_all(self):
        before, after = self.generate(self.example(), "before"), self.generate(self.changed(), "after")
        for name, what in (("pvgpu_calls_example.c", "PUBLIC int exampleWeight("), ("pvgpu_example.h", "int exampleWeight("),
                           ("pvgpu_wire.h", "struct pvgpu_wire_example_weight {"), ("pvgpu_stubs.c", "int pvgpu_do_example_weight("),
                           ("pvgpu_decode.c", "int pvgpu_decode_example_weight("), ("pvgpu_handlers.c", "int handle_example_weight("),
                           ("pvgpu_valid_example.h", "if (!(W(a->unit) != 1))\n\t\treturn EXAMPLE_HEAVY;"), ("pvgpu_far.h", "X(example, exampleWeight)"),
                           ("pvgpu_conform_example.h", "conform_example_weight("), ("example_public.c", "{\"exampleWeight\", "), ("libexample.so.1.map", "exampleWeight;"),
                           ("protocol.md", "64521 example_weight")):
            self.assertNotIn(what, before[name], name)
            self.assertIn(what, after[name], name)
        for variant in ("min", "typical", "max"):
            self.assertTrue(os.path.exists(self.path("after/corpus/decode/example_weight-%s.bin" % variant)))

    def test_both_sides_have_the_same_validator(self):
        made = self.generate(self.changed(), "made")
        for name in ("pvgpu_calls_example.c", "pvgpu_handlers.c"):
            for call in ("example_weight", "example_ssum", "example_steps", "step", "example_shapes"):
                self.assertIn("valid_%s(" % call, made[name])

    def test_numbers_travel_together(self):
        made = self.generate(self.example(), "made")
        record = made["pvgpu_wire.h"].split("struct pvgpu_wire_example_shapes {")[1].split("};")[0]
        for name in ("packed_len", "large", "large_len", "mode"):
            self.assertRegex(record, r"\b%s;" % name)
        valid = made["pvgpu_valid_example.h"]
        for what in ("if (a->width[i] < INT32_C(0) || a->width[i] > INT32_C(8))", "for (int64_t i = 0; i < W(a->count); i++)\n\t\tif (!(W(a->width[i]) >= W(a->kinds[i])))",
                     "if (bytes_example_shapes_notes(a) > 16384)\n\t\treturn UINT64_MAX;", "pvgpu_extent(8 * (sum_example_shapes_width(a)))"):
            self.assertIn(what, valid)
        # The worker looks at a copy that the guest cannot change, and only then at the numbers.
        handler = made["pvgpu_handlers.c"].split("int handle_example_shapes(")[1]
        self.assertLess(handler.index("call_numbers("), handler.index("valid_example_shapes("))
        self.assertLess(handler.index("valid_example_shapes("), handler.index("far->lib.example.exampleShapes("))
        for name in ("min", "typical", "max"):
            self.assertTrue(os.path.exists(self.path("made/corpus/decode/example_shapes-%s.bin" % name)))

    def test_memory_is_lent_until_the_stream_is_set(self):
        made = self.generate(self.example(), "made")
        calls = made["pvgpu_calls_example.c"]
        for name, what in (("exampleSetStream", "h->lent.over = h->lent.told;"), ("exampleSetRoom", "if (api_lent(&h->lent, &t, room, a.bytes))\n\t\treturn example_status(0);"),
                           ("exampleSsum", "r = lent_to_tool(h, &t);"), ("exampleShapes", "r = lent_to_tool(h, &t);")):
            self.assertIn(what, calls.split("PUBLIC int %s(" % name)[1].split("\n}\n")[0])
        # What is told again is only that the stream is set, which takes the memory back.
        handler = made["pvgpu_handlers.c"].split("int handle_example_set_stream(")[1].split("\n}\n")[0]
        self.assertLess(handler.index("->stream_set = false"), handler.index("stream_of_tool("))

    def test_compiles(self):
        """Guest and worker, of a description of every role. What the tree's own headers need besides comes from the tree's."""
        base = os.path.join(ROOT, "libpvgpu", "protocol")
        text = re.sub(r"(?s).*?(?=library example)", "", self.changed(), count=1)
        text = re.sub(r"handle (ctx|stream|event) .*\n", "", text)
        self.write("example_types.h", TYPES)
        example = self.write("70-example.api", text)
        tree = [os.path.join(base, n) for n in os.listdir(base) if re.match(r"\d.*\.api$", n)]
        run = forked.run(WIRE, "--no-lock", "--out", self.path("gen"), *tree, example)
        self.assertEqual((run.returncode, run.stderr), (0, ""))
        run = forked.run(EXPORTS, "--out", self.path("gen"))
        self.assertEqual((run.returncode, run.stderr), (0, ""))
        flags = ["-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-Wshadow", "-Wstrict-prototypes", "-Wmissing-prototypes",
                 "-Wno-unused-parameter", "-fsyntax-only"] + ["-I" + os.path.join(ROOT, p) for p in ("", "libpvgpu", "libpvgpu/cuda/include")]
        for name in ("pvgpu_calls_example.c", "example_public.c", "pvgpu_handlers.c"):
            run = subprocess.run(["gcc", *flags, "-I" + self.path("gen"), "-I" + self.folder, self.path("gen/" + name)],
                                 capture_output=True, text=True, timeout=120, check=False)
            self.assertEqual(run.returncode, 0, run.stderr)

    def test_refused(self):
        good = self.example()
        for old, new, at, message in (
                ("memory x read T", "memory x keep T", "memory x keep", "'read' or 'write' expected, not 'keep'"),
                ("array  steps step count count", "array  steps leap count count", "array  steps", "unknown record 'leap'"),
                ("each S D oneway", "each oneway", "call example@sum", "'each' needs letters: S D C Z H"),
                ("count count most 4096 min 0", "count count min 0", "numbers width", "'numbers' needs 'most'"),
                ("count count most 4096 min 0", "count counts most 4096 min 0", "end # of exampleShapes", "'counts' is no number of call 'exampleShapes'"),
                ("bytes \"4 * count\" most 16384", "bytes \"4 * count\" most 4194304", "end # of exampleShapes", "the numbers of call 'exampleShapes' may be more than 2097152 bytes"),
                ("exampleShapes = 20 oneway lane gpu", "exampleShapes = 20 awaited lane gpu", "end # of exampleShapes", "'numbers' are for one-way calls of lane gpu"),
                ("sum(width)\"\n    check each count", "width\"\n    check each count", "memory places", "'width' are many numbers: 'sum(width)', or 'check each'"),
                ("sum(width)\"\n    check each count", "sum(depth)\"\n    check each count", "memory places", "sum(depth): no such numbers"),
                ("    state   depth i32", "    state   depth i33", "state   depth", "unknown type 'i33'"),
                ("    charge  1M\n", "    charge  1M\n    load 3\n", "    load 3", "unknown statement 'load' in object 'tool'"),
                ("    stream  exampleSetStream\n", "", "end # of the object", "object 'tool' lends memory to the work of a stream: it needs 'stream'"),
                ("exampleGetStream = 21", "exampleGetStream", "end # of the streams", "object 'tool' lends memory until its stream is set again: the pair needs a number"),
                ("exampleGetMode\n", "exampleGetMode = 23\n", "end # of the modes", "a mode travels with each call: the pair has no number"),
                ("call exampleSteps = 4", "call exampleSteps = 1024", "call exampleSteps", "call number 1024 is not between 1 and 1023"),
                ("call exampleSteps", "call otherSteps", "call otherSteps", "'otherSteps' is a call of no library that is described above"),
                ("in     count u32 max 8\n", "in     rec u32 max 8\n", "in     rec", "'rec' is a reserved name")):
            text = good.replace(old, new, 1)
            self.assertNotEqual(text, good)
            line = next(i for i, t in enumerate(text.split("\n"), 1) if at in t)
            path = self.write("bad.api", text)
            run = forked.run(WIRE, "--no-lock", "--out", self.path("bad"), path)
            self.assertEqual(run.returncode, 1)
            self.assertTrue(run.stderr.startswith("%s:%d: %s" % (path, line, message)), run.stderr)


if __name__ == "__main__":
    unittest.main()
