#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Write docs/gpu.md: from docs/gpu-results.json, a results.json of the kit, where that is committed; else what the kit would
look at. --results FILE makes a file that source first."""
import argparse
import difflib
import json
import pathlib
import re
import sys

import assumptions
import results

TREE = assumptions.HERE.parents[2]
SOURCE = TREE / "docs" / "gpu-results.json"
PAGE = TREE / "docs" / "gpu.md"
NUMBERS = ("seconds", "value", "natively", "through pvgpu", "ratio")
UNITS = [("_ns", 1e9), ("_us", 1e6), ("_ms", 1e3), ("_s", 1.0)]
RUN = """## How to measure
On a machine that builds pvgpu:

```sh
make gpu-kit                    # build/gpu-kit: at most 40 MiB, relocatable
```
On the host with the GPU (x86-64, root, driver 580 or newer, Python 3.9 or newer; nothing is installed, no network is used):

```sh
gpu-kit/run OUT                 # at most 20 minutes; OUT/results.json and OUT/logs.tar.gz are whole at any moment
gpu-kit/run OUT2 --done OUT     # what was not reached before; results of both in OUT2
gpu-kit/run OUT3 --done OUT2 --risky   # last, what can wedge a GPU
```
And back here `make gpu-report RESULTS=OUT3/results.json`, which makes this page. More is in
[tests/gpu/README.md](../tests/gpu/README.md).
"""


def cell(text):
    return " ".join(str(text).split()).replace("|", "\\|")


def table(heads, rows):
    lines = ["| " + " | ".join(heads) + " |", "|" + "|".join("---:" if h in NUMBERS else "---" for h in heads) + "|"]
    return "\n".join(lines + ["| " + " | ".join(cell(c) for c in row) + " |" for row in rows]) + "\n"


def code_of(row):
    return ", ".join(f"`{file}`: {function}" for file, function in row.code)


def duration(seconds):
    for unit, scale in (("s", 1), ("ms", 1e3), ("µs", 1e6)):
        if abs(seconds) * scale >= 1 or unit == "µs":
            return f"{seconds * scale:.3g} {unit}" if abs(seconds * scale) < 1000 else f"{seconds * scale:,.0f} {unit}"
    return ""


def size(count):
    for unit, scale in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if abs(count) >= scale:
            return f"{count / scale:.4g} {unit}"
    return f"{count:g} B"


def number(key, value):
    """A value with the unit that its key ends with."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    for ending, scale in UNITS:
        if key.endswith(ending) and not key.endswith("_per_s"):
            return duration(value / scale)
    if key.endswith(("_bytes", "_bytes_each")):
        return size(value)
    if key.endswith("_gbps"):
        return f"{value:.4g} GB/s"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def flat(values, prefix=""):
    """(key, text) of all values; long lists and lists of tables are counted."""
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            yield from flat(value, name + ".") if len(value) <= 40 else [(name, f"{len(value)} entries")]
        elif isinstance(value, list):
            plain = all(not isinstance(v, (dict, list)) for v in value)
            yield name, ", ".join(number(key, v) for v in value) if plain and len(value) <= 16 else f"{len(value)} entries"
        elif value is not None:
            yield name, number(key, value)


PAIR = re.compile(r"^(.*?)native_(.+)$")
COUNTED = re.compile(r"^(.*\D)_?\d+$")
AT = re.compile(r"^at_(\d+)_(.+)$")
MANY = 20        # keys that differ by a number only are counted, not listed


def ratio_of(values, prefix, name):
    """The ratio that belongs to a pair of figures, with its least and its largest."""
    base = prefix + name.rpartition("_")[0] + ("_bandwidth" if name.endswith("_gbps") else "")
    found = [values.pop(f"{base}_ratio{what}", None) for what in ("", "_min", "_max")]
    if found[0] is None:
        return ""
    return f"{found[0]:.3g}" + (f" ({found[1]:.3g} to {found[2]:.3g})" if None not in found else "")


def pairs(values):
    """Rows of what was measured natively and through pvgpu; they are taken out of the values."""
    rows = []
    for key in list(values):
        m = PAIR.match(key)
        other = m and f"{m[1]}pvgpu_{m[2]}"
        if m and other in values:
            native, ours = values.pop(key), values.pop(other)
            rows.append((m[1] + m[2], number(key, native), number(key, ours), ratio_of(values, m[1], m[2])))
    return rows


def steps(values):
    """A table of the figures at_N_...: a row for each N; they are taken out of the values."""
    found = {}
    for key in list(values):
        if m := AT.match(key):
            found.setdefault(int(m[1]), {})[m[2]] = number(key, values.pop(key))
    names = list(dict.fromkeys(name for row in found.values() for name in row))
    return ["", *names], [[n, *(row.get(name, "") for name in names)] for n, row in sorted(found.items())]


def counted(rows):
    """Without the many that differ by a number only."""
    kinds = {}
    for key, _ in rows:
        kind = COUNTED.match(key)
        kinds[kind and kind[1]] = kinds.get(kind and kind[1], 0) + 1
    told = set()
    for key, text in rows:
        kind = COUNTED.match(key)
        if kind and kinds[kind[1]] > MANY:
            if kind[1] not in told:
                told.add(kind[1])
                yield f"{kind[1]}_...", f"{kinds[kind[1]]} values"
        else:
            yield key, text


def heading(text):
    return "# pvgpu on a real GPU\n\nGenerated by `make gpu-report`; do not edit.\n\n" + text + "\n"


def unmeasured():
    known = assumptions.rows()
    return heading("**Nothing was measured yet**: pvgpu has met the simulated GPU only. This page lists what it takes for granted about "
                   "NVIDIA's\n`libcuda.so.1`, with the code that relies on it, and how to find out.\n") + \
        RUN + "\n## What pvgpu takes for granted\n" + \
        table(["id", "looked at by", "statement", "code that relies on it"],
              [(f"`{r.id}`", r.step, r.statement, code_of(r)) for r in known])


class Report:
    def __init__(self, data):
        self.data = data
        self.machines = data["machines"]

    def items(self, machine):
        for name, stage in self.data["stages"].items():
            for item in stage["items"]:
                if item["machine"] == machine:
                    yield name, item

    def machine(self, n):
        m = self.machines[n]
        text = (f"{m['gpu']}, driver {m['driver']}; {m['cpus']} processors ({m['processor']}), "
                f"{m['memory_gib']} GiB of memory; {m['system']}, kernel {m['kernel']}; sandbox runtime: {m['runtime']} "
                f"({m['runtime_told_by']}).\n")
        for key, why in m.get("overrides", {}).items():
            text += f"\n- **Not as a user has it**: `{key}`: {why}.\n"
        return text

    def verdict_table(self, n):
        seen = results.verdicts(self.data, n)
        rows = []
        for row in assumptions.rows():
            verdict = seen.pop(row.id, {"verdict": "not seen"})
            shown = f"**{verdict['verdict']}**" if verdict["verdict"] == "does not hold" else verdict["verdict"]
            rows.append((f"`{row.id}`", row.statement, shown, verdict.get("detail", ""), code_of(row)))
        rows += [(f"`{name}`", "", v["verdict"], v.get("detail", ""), "") for name, v in seen.items()]
        hold, fail, unseen = (sum(v == r[2].strip("*") for r in rows) for v in ("holds", "does not hold", "not seen"))
        return f"{hold} hold, {fail} do not, {unseen} were not seen.\n\n" + \
            table(["id", "statement", "verdict", "detail", "code that relies on it"], rows)

    def failures(self, n):
        rows = [(f"{stage}/{i['name']}", i["status"], i.get("why", "")) for stage, i in self.items(n) if i["status"] in results.BAD]
        calls = [(f"{stage}/{i['name']}", f"`{c['call']}`", f"{c.get('name', '')} ({c['result']})", c.get("times", 1))
                 for stage, i in self.items(n) for c in i["values"].get("failed_calls", [])]
        return (table(["item", "status", "why"], rows) if rows else "Nothing.\n") + \
            ("\nCalls that did not succeed:\n\n" + table(["item", "call", "result", "times"], calls) if calls else "")

    def stage(self, name, n):
        items = [i for stage, i in self.items(n) if stage == name]
        if not items:
            return ""
        text = f"### {name}\n{self.data['stages'][name].get('what', '')}\n\n"
        text += table(["item", "status", "seconds", "why"], [(i["name"], i["status"], i.get("seconds", 0), i.get("why", "")) for i in items])
        left = {i["name"]: {k: v for k, v in i["values"].items() if k != "failed_calls"} for i in items}
        both = [(item, *row) for item, values in left.items() for row in pairs(values)]
        if both:
            text += "\n" + table(["item", "figure", "natively", "through pvgpu", "ratio"], both)
        for item, values in left.items():
            heads, rows = steps(values)
            if rows:
                text += f"\n{item}:\n\n" + table(heads, rows)
        rest = [(item, *row) for item, values in left.items() for row in counted(list(flat(values)))]
        return text + ("\n" + table(["item", "figure", "value"], rest) if rest else "") + "\n"

    def text(self):
        parts = [heading(f"Measured by kit {self.data['kit']}" + (", with --quick: a rehearsal" if self.data.get("quick") else "") + ".")]
        for n in range(len(self.machines)):
            parts += [f"\n## Machine {n + 1}\n", self.machine(n), "\n### What pvgpu takes for granted\n", self.verdict_table(n),
                      "\n### What failed\n", self.failures(n), "\n"]
            parts += [self.stage(name, n) for name in self.data["stages"]]
        return re.sub(r"\n{3,}", "\n\n", "".join(parts) + RUN)


def page():
    return Report(results.read(SOURCE)).text() if SOURCE.exists() else unmeasured()


def check():
    found = assumptions.problems(TREE)
    old = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    if old != page():
        found.append("docs/gpu.md is not what its source gives: make gpu-report\n"
                     + "".join(list(difflib.unified_diff(old.splitlines(True), page().splitlines(True), "docs/gpu.md", "generated"))[:20]))
    for text in found:
        print(f"gpu-report: {text}")
    return 1 if found else 0


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("--results", help="a results.json, or its folder, that becomes docs/gpu-results.json")
    ap.add_argument("--check", action="store_true", help="only say whether docs/gpu.md is current, and the rows' code is there")
    args = ap.parse_args()
    if args.check:
        return check()
    try:
        if args.results:
            SOURCE.write_text(json.dumps(results.read(args.results), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        PAGE.write_text(page(), encoding="utf-8")
    except results.BadResults as e:
        sys.exit(f"gpu-report: {e}")
    print(f"gpu-report: docs/gpu.md, from {'docs/gpu-results.json' if SOURCE.exists() else 'assumptions.def'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
