#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The description of statistics: bad ones are refused at their line, and what is described is measured, shown and documented."""
import json
import pathlib
import re
import sys
import tempfile
import unittest

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.dont_write_bytecode = True
sys.path.insert(0, str(TOP / "xenstore-schema" / "gen"))

import statistics_c  # noqa: E402
import statistics_read  # noqa: E402
from lang import DescriptionError  # noqa: E402

DESCRIPTION = TOP / "xenstore-schema" / "pvgpu.statistics"
GOOD = """statistic vgpu a since 1
 doc "D"
 kind counter us
 by pvgpud
 metric a_seconds_total
 field u64
end
statistic gpu a since 1
 doc "D"
 kind gauge count
 by pvgpud
 metric a
end
statistic daemon a since 1
 doc "D"
 kind gauge count
 by pvgpud
 metric a
end
"""
# What to write for what, the line, the message.
BAD = (
    ("statistic vgpu a", "statistic host a", 1, "vgpu or gpu or daemon expected, not 'host'"),
    ('doc "D"', "", 7, "statistic 'a' has no doc"),
    ("by pvgpud", "by rumour", 4, "pvgpud, driver, worker expected, not 'rumour'"),
    ("kind counter us", "kind counter miles", 3, "count, bytes, us, seconds, ppm, bool, celsius, mw, mhz expected, not 'miles'"),
    ("kind counter us", "kind gauge us", 7, "metric 'a_seconds_total' of a gauge of us must end with '_seconds'"),
    ("metric a_seconds_total", "metric a_total", 7, "metric 'a_total' of a counter of us must end with '_seconds_total'"),
    ("metric a_seconds_total", "metric A", 5, "'A' is not a good name for a metric"),
    ("field u64", "field text", 6, "u32, u64, size expected, not 'text'"),
    ("field u64", "field u64\n field u64", 7, "'field' is given twice"),
    ("field u64", "colour red", 6, "unknown statement 'colour' in statistic 'a'"),
    ("statistic gpu a", "histogram gpu a", 8, "only a vGPU has histograms"),
    ("statistic gpu a", "statistic vgpu a", 8, "'a' of vgpu is already there"),
    ("statistic daemon a since 1\n doc", "statistic daemon a\n doc", 14, "'since' is missing"),
)


def parse(text):
    with tempfile.NamedTemporaryFile("w", suffix=".statistics") as f:
        f.write(text)
        f.flush()
        return f.name, statistics_read.parse_file(f.name)


class Description(unittest.TestCase):
    def test_good(self):
        scopes = parse(GOOD)[1]
        self.assertEqual([f[:2] for f in statistics_read.fields(scopes)], [("a", "u64")])

    def test_bad(self):
        for old, new, line, message in BAD:
            with self.subTest(new), self.assertRaises(DescriptionError) as e:
                parse(GOOD.replace(old, new, 1))
            self.assertRegex(str(e.exception), f":{line}: {re.escape(message)}")

    def test_missing_scope(self):
        with self.assertRaisesRegex(DescriptionError, "there is no statistic of daemon"):
            parse(GOOD[:GOOD.index("statistic daemon")])

    def test_key_too_long(self):
        block = GOOD[:GOOD.index("statistic gpu")]
        many = "".join(block.replace(" a ", f" {'a' * 50}{i} ", 1).replace(" a_s", f" a{i}_s") for i in range(30))
        with self.assertRaisesRegex(DescriptionError, "the key 'statistics' could have [0-9]+ bytes; 2048 are allowed"):
            parse(many + GOOD)


class Whole(unittest.TestCase):
    """Of the description that is there."""

    def setUp(self):
        self.scopes = statistics_read.parse_file(str(DESCRIPTION))

    def test_each_is_measured(self):
        """pvgpud sets each value, once at least; one that nothing sets would be 0 for ever."""
        code = "".join((TOP / "xen-pvgpu-back" / "daemon" / f).read_text() for f in ("guard/statistics.c", "admin/snapshot.c"))
        for scope, s in self.scopes.items():
            names = [statistics_c.const(scope, v.name) for v in s.values] + [statistics_c.const(scope, "hist", h.name) for h in s.histograms]
            for name in names:
                self.assertRegex(code, r"\[%s\]( =| \+=|\+\+)" % name)

    def test_what_outlives_pvgpud(self):
        """What is in the usage file goes on with the next pvgpud; of all else that a vGPU adds up the text says that it does not."""
        code = (TOP / "xen-pvgpu-back" / "daemon" / "guard" / "statistics.c").read_text()
        held = {name: of == "s." for name, of in re.findall(r"\[(PVGPU_VGPU_\w+)\] = (s\.|v->)", code)}
        for s in self.scopes["vgpu"].all():
            if s.kind != "gauge" or s.name in ("longest-wait", "memory-peak"):
                name = statistics_c.const("vgpu", *(["hist"] if s.histogram else []), s.name)
                self.assertEqual("since pvgpud started" in s.doc, not held.get(name, False), s.name)

    def test_each_is_compared(self):
        """Each has a test that knows its value from elsewhere, or bounds it; a metric's test counts."""
        tests = "".join((TOP / "tests" / "integration" / (f + "_test.py")).read_text() for f in ("statistics", "exporter", "cheat", "watchdog", "share", "parking", "oversubscribe"))
        named = {s.name for scope in self.scopes.values() for s in scope.all() if re.search('["/]%s"|%s' % (s.name, s.metric), tests)}
        # An average that the scheduler alone has: there its clock is the test's.
        self.assertIn("schedule_handover_ns", (TOP / "tests/unit/daemon/schedule_clock_test.c").read_text())
        self.assertEqual({s.name for scope in self.scopes.values() for s in scope.all()} - named, {"handover-time"})

    def test_bills_are_measured(self):
        """What pvgpu-cloudstack bills is measured by pvgpud."""
        by = {s.name: s.by for s in self.scopes["vgpu"].all()}
        usage = (TOP / "xen-pvgpu-back" / "cloudstack" / "pvgpu_cloudstack" / "usage.py").read_text()
        used = set(re.findall(r'"statistics"\]\.get\("([a-z-]+)"', usage))
        self.assertTrue(used)
        self.assertEqual({by[name] for name in used}, {"pvgpud"})

    def test_schema_of_json(self):
        schema = json.loads((TOP / "docs" / "statistics.schema.json").read_text())
        vgpu = schema["properties"]["vgpus"]["items"]["properties"]
        self.assertTrue({s.name for s in self.scopes["vgpu"].all()} <= vgpu.keys())

    def test_hidden_of_confidential_pools(self):
        """The schema of the JSON allows null for each value that pvgpu-exporter hides."""
        code = (TOP / "xen-pvgpu-back" / "statistics" / "confidential.c").read_text()
        schema = json.loads((TOP / "docs" / "statistics.schema.json").read_text())["properties"]
        for scope, of, told in ("gpu", schema["gpus"]["items"], r"case (PVGPU_GPU_\w+):"), ("daemon", schema["daemon"], None):
            for s in self.scopes[scope].all():
                name = statistics_c.const(scope, s.name)
                hidden = name not in re.findall(told, code) if told else f"[{name}]" in code
                self.assertEqual("null" in of["properties"][s.name]["type"], hidden or s.by == "driver", name)

    def test_columns_fit(self):
        """A line of pvgpuctl top has 80 characters, and at least 20 of them are the vGPU's name, 15 with all columns that are seldom there."""
        columns = [s for s in self.scopes["vgpu"].all() if s.column]
        for most, shown in ((60, [s for s in columns if not s.seldom]), (65, columns)):
            self.assertLessEqual(sum(max(7, len(s.column) + 1) for s in shown), most)


if __name__ == "__main__":
    unittest.main()
