# SPDX-License-Identifier: MIT
"""Reads pvgpu.statistics, the description of every statistic; the language is described in ../README.md.

parse_file() gives {scope: Scope}. An error raises DescriptionError.
"""
import os
import re
import sys
from dataclasses import dataclass, field

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "libpvgpu", "tools"))

from lang import Block, DescriptionError, Line, Reader  # noqa: E402

SCOPES = ("vgpu", "gpu", "daemon")
BY = ("pvgpud", "driver", "worker")
KINDS = ("counter", "gauge")
# Of each unit: what a metric's name ends with, and the factor that makes it a base unit.
UNITS = {"count": ("", 1), "bytes": ("_bytes", 1), "us": ("_seconds", 1e-6), "seconds": ("_seconds", 1), "ppm": ("_ratio", 1e-6), "bool": ("", 1),
         "celsius": ("_celsius", 1), "mw": ("_watts", 1e-3), "mhz": ("_hertz", 1e6)}
FIELD_TYPES = ("u32", "u64", "size")
# Of a histogram, in the key: microseconds.
PARTS = (("avg", "average"), ("p50", "median"), ("p95", "95th percentile"), ("p99", "99th percentile"))
KEY_MAX = 2048  # bytes of the key `statistics`, all numbers at their longest
METRIC = "[a-z][a-z0-9]*(_[a-z0-9]+)*"


@dataclass
class Statistic:
    where: tuple
    scope: str
    name: str
    since: int
    histogram: bool
    doc: str = None
    kind: str = None
    unit: str = None
    by: str = None
    metric: str = None
    field: str = None   # type of the key's field; of a histogram: "u64"; None: in no key
    column: str = None
    seldom: bool = False  # the column is shown when one is not 0

    @property
    def full_metric(self):
        return "pvgpu_%s_%s" % (self.scope, self.metric)


@dataclass
class Scope:
    values: list = field(default_factory=list)
    histograms: list = field(default_factory=list)

    def all(self):
        return self.values + self.histograms


class StatisticsReader(Reader):
    STATEMENTS = ("statistic", "histogram")

    def __init__(self):
        super().__init__()
        self.scopes = {s: Scope() for s in SCOPES}

    def start_statistic(self, line, histogram=False):
        scope = line.take("scope")
        if scope not in SCOPES:
            line.fail("%s expected, not '%s'" % (" or ".join(SCOPES), scope))
        if histogram and scope != "vgpu":
            line.fail("only a vGPU has histograms")
        name = line.name("a statistic")
        line.expect("since")
        s = Statistic(line.where, scope, name, line.number("since"), histogram)
        if name in [o.name for o in self.scopes[scope].all()]:
            line.fail("'%s' of %s is already there" % (name, scope))
        (self.scopes[scope].histograms if histogram else self.scopes[scope].values).append(s)
        return Block("statistic '%s'" % name, line.where, s, self.inside, self.end)

    def start_histogram(self, line):
        return self.start_statistic(line, histogram=True)

    def inside(self, s, word, line):
        self.once(word, line)
        if word == "doc":
            s.doc = line.text("documentation")
        elif word == "kind" and not s.histogram:
            s.kind, s.unit = self.one_of(line, "kind", KINDS), self.one_of(line, "unit", UNITS)
        elif word == "by":
            s.by = self.one_of(line, "'by'", BY)
        elif word == "metric":
            s.metric = line.name("a metric", METRIC)
        elif word == "field" and s.scope == "vgpu":
            s.field = "u64" if s.histogram else self.one_of(line, "type", FIELD_TYPES)
        elif word == "column":
            s.column = line.text("column")
            s.seldom = line.take_if("seldom")
        else:
            line.fail("unknown statement '%s' in statistic '%s'" % (word, s.name))

    @staticmethod
    def one_of(line, what, words):
        word = line.take(what)
        if word not in words:
            line.fail("%s expected, not '%s'" % (", ".join(words), word))
        return word

    def end(self, s, line):
        if s.histogram:
            s.kind, s.unit = "histogram", "us"
        for name, value in (("doc", s.doc), ("kind", s.kind), ("by", s.by), ("metric", s.metric)):
            if not value:
                line.fail("statistic '%s' has no %s" % (s.name, name))
        wanted = UNITS[s.unit][0] + ("_total" if s.kind == "counter" else "")
        if not s.metric.endswith(wanted) or (s.kind != "counter" and s.metric.endswith("_total")):
            line.fail("metric '%s' of a %s of %s must end with '%s'" % (s.metric, s.kind, s.unit, wanted))
        if s.full_metric in [o.full_metric for o in self.scopes[s.scope].all() if o is not s]:
            line.fail("metric '%s' is already there" % s.full_metric)


def fields(scopes):
    """(name, type, since, doc, where) of each field of the key `statistics`, in order."""
    found = []
    for s in scopes["vgpu"].values:
        if s.field:
            found.append((s.name, s.field, s.since, s.doc + (", in microseconds" if s.unit == "us" else ""), s.where))
    for s in scopes["vgpu"].histograms:
        for part, what in PARTS if s.field else ():
            found.append(("%s-%s" % (s.name, part), "u64", s.since, "%s of %s, in microseconds" % (what, s.doc), s.where))
    return found


def parse_file(path):
    reader = StatisticsReader()
    end = reader.read(path)
    for scope, s in reader.scopes.items():
        if not s.values:
            raise DescriptionError(end, "there is no statistic of %s" % scope)
    longest = sum(len(f[0]) + 2 + (10 if f[1] == "u32" else 20) for f in fields(reader.scopes))
    if longest > KEY_MAX:
        raise DescriptionError(end, "the key 'statistics' could have %d bytes; %d are allowed" % (longest, KEY_MAX))
    return reader.scopes


def ident(name):
    return re.sub("-", "_", name)
