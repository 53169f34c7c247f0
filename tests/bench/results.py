#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Write docs/results/RELEASE.md from the runs in docs/results/RELEASE/*.json; --check compares only; --add records a run.

A run is one JSON file: {"order", "title", "command", "date", "machine", "how" (a page of docs/), "rows", "tables", "notes"}.
`rows` are measurements {"name", "value", "unit", "ratio", "target", "reference"}, stages {"stage", "passed", "failed",
"skipped", "seconds", "cpu_s"}, fuzzers {"fuzzer", "executions", "edges"}, loads {"load", "fair", "strict", "total", "jain", "apart", "shares"}
scenes {"scene", "span", "wanted", "apart", "wait", "answer", "jain", "overlap", "median", "used", "late", "verdict", "why"}
or strategies {"strategy", "due", "predicted", "measured", "charged", "used", "span", "wanted", "verdict"}: what bench,
bench-lab, sim, check, fuzz, loops.py, sweep.py and strategies.py write.
`tables` are {"title", "columns", "rows"}. A date is that of the commit that ran; a machine is described in words.
"""
import argparse
import json
import pathlib
import platform
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
RELEASE = "0.1"
KINDS = {  # the key that a row has -> columns: heading, key, is a number
    "name": [("name", "name", False), ("value", "value", True), ("unit", "unit", False), ("ratio", "ratio", True),
             ("target", "target", False), ("reference", "reference", False)],
    "stage": [("stage", "stage", False), ("passed", "passed", True), ("failed", "failed", True), ("skipped", "skipped", True),
              ("seconds", "seconds", True), ("CPU seconds", "cpu_s", True)],
    "load": [("load", "load", False), ("least of due", "fair", True), ("without waits", "strict", True), ("total of native", "total", True),
             ("Jain", "jain", True), ("simulator, points apart", "apart", True), ("got (due), % of the GPU's time", "shares", False)],
    "scene": [("scene", "scene", False), ("span, s", "span", True), ("uncut", "wanted", True), ("apart, points", "apart", True),
              ("wait of bound", "wait", True), ("answer of bound", "answer", True), ("Jain", "jain", True), ("overlap of native", "overlap", True),
              ("median, ms", "median", True), ("GPU in use, of native", "used", True), ("late, ms", "late", True), ("verdict", "verdict", False), ("why", "why", False)],
    "strategy": [("due, %", "due", True), ("predicted gain, points", "predicted", True), ("measured", "measured", True),
                 ("charged", "charged", True), ("GPU in use", "used", True), ("span, s", "span", True), ("uncut", "wanted", True), ("verdict", "verdict", False),
                 ("strategy", "strategy", False)],
    "fuzzer": [("fuzzer", "fuzzer", False), ("executions", "executions", True), ("edges", "edges", True)],
}
NEEDED = {"order": int, "title": str, "command": str, "date": str, "machine": str}
OPTIONAL = {"how": str, "rows": list, "tables": list, "notes": list}


class Fault(Exception):
    """What is wrong with a run."""


def checked(run, name):
    for key, kind in NEEDED.items():
        if not isinstance(run.get(key), kind):
            raise Fault(f"{name}: \"{key}\" is missing or no {kind.__name__}")
    for key, value in run.items():
        if key not in NEEDED and not isinstance(value, OPTIONAL.get(key, ())):
            raise Fault(f"{name}: \"{key}\" is unknown or of a wrong type")
    if not run.get("rows") and not run.get("tables") and not run.get("notes"):
        raise Fault(f"{name}: neither rows nor tables nor notes")
    for t in run.get("tables", []):
        if any(len(r) != len(t["columns"]) for r in t["rows"]):
            raise Fault(f"{name}: a row of the table \"{t.get('title', '')}\" has not one cell for each column")
    kind_of(run, name)
    return run


def kind_of(run, name):
    for key, columns in KINDS.items():
        if run.get("rows") and all(key in r for r in run["rows"]):
            known = {c[1] for c in columns}
            for r in run["rows"]:
                if set(r) - known:
                    raise Fault(f"{name}: a row has what the page does not show: {', '.join(sorted(set(r) - known))}")
            return columns
    if run.get("rows"):
        raise Fault(f"{name}: its rows have neither of {', '.join(KINDS)}")
    return None


def cell(value):
    if value is None:
        return ""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return f"{value:,}"
    return str(value).replace("|", "\\|")


def table(columns, numbers, rows):
    used = [i for i in range(len(columns)) if any(r[i] not in (None, "") for r in rows)]
    out = ["| " + " | ".join(columns[i] for i in used) + " |",
           "|" + "|".join("---:" if numbers[i] else "---" for i in used) + "|"]
    return out + ["| " + " | ".join(cell(r[i]) for i in used) + " |" for r in rows]


def section(name, run):
    out = [f"<a id=\"{name}\"></a>", f"## {run['title']}", f"`{run['command']}`, {run['date']}. {run['machine']}."]
    if "how" in run:
        out[-1] += f" How to read it: [{run['how']}](../{run['how']})."
    if run.get("rows"):
        columns = kind_of(run, name)
        rows = [[r.get(key) for _, key, _ in columns] for r in run["rows"]]
        out += ["", *table([c[0] for c in columns], [c[2] for c in columns], rows)]
    for t in run.get("tables", []):
        out += ["", f"{t['title']}:", ""] if t.get("title") else [""]
        numbers = [all(isinstance(r[i], (int, float)) for r in t["rows"]) for i in range(len(t["columns"]))]
        out += table(t["columns"], numbers, t["rows"])
    for note in run.get("notes", []):
        out += ["", note]
    return out + [""]


def runs_of(folder):
    """{name: run}, in the order of the page."""
    runs = {}
    for path in folder.glob("*.json"):
        try:
            runs[path.stem] = checked(json.loads(path.read_text(encoding="utf-8")), path.name)
        except json.JSONDecodeError as e:
            raise Fault(f"{path.name}: no JSON: {e}") from e
    return dict(sorted(runs.items(), key=lambda item: (item[1]["order"], item[0])))


def page(release, folder):
    out = [f"<!-- Made by `make results` from docs/results/{release}/; do not edit. -->",
           f"# Results of release {release}", "",
           "Each run has its date and its machine. The simulated GPU computes on the CPU: read its figures against each other, not as a GPU's.", ""]
    runs = runs_of(folder)
    out += ["| run | date |", "|---|---|"] + [f"| [{r['title']}](#{name}) | {r['date']} |" for name, r in runs.items()] + [""]
    for name, run in runs.items():
        out += section(name, run)
    return "\n".join(out).rstrip() + "\n"


def rounded(value):
    """Five digits that count: more are noise."""
    if not isinstance(value, float):
        return value
    value = float(f"{value:.5g}")
    return int(value) if value.is_integer() else value


def spread(details):
    """Of a simulation: latencies by load, and how busy GPUs were."""
    if not isinstance(details, dict):
        return ""
    loads = [x for x in details.get("loads", []) if "p99_ms" in x]
    parts = [f"p99 of {x['load']} {cell(rounded(x['p99_ms']))} ms" for x in loads if len(loads) > 1]
    if "least_busy_gpu" in details:
        parts.append(f"GPUs {details['least_busy_gpu'] * 100:.0f} to {details['most_busy_gpu'] * 100:.0f} % busy")
    return "; ".join(parts)


def taken(measured):
    """The rows of what a program wrote."""
    rows = measured.get("rows") if isinstance(measured, dict) else measured
    if not isinstance(rows, list) or not rows or not all(isinstance(r, dict) for r in rows):
        raise Fault("no list of rows, nor an object with one")
    out = []
    for r in rows:
        row = {k: rounded(v) for k, v in r.items() if k not in ("details", "ok")}
        if not row.get("reference") and spread(r.get("details", {})):
            row["reference"] = spread(r["details"])
        out.append(row)
    return out


def machine_words(text):
    """A machine without its name, to stand in the page."""
    if not text or platform.node() and platform.node().lower() in text.lower():
        raise Fault("--machine: describe the machine in words, not by its name: \"2 cores, simulated GPU\"")
    return text.strip().rstrip(".")


def add(folder, args):
    path = folder / f"{args.add[0]}.json"
    run = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"order": 1 + max(
        (r["order"] for r in runs_of(folder).values()), default=0)}
    for key in ("tables", "notes"):  # they spoke of the run before
        run.pop(key, None)
    if args.note:
        run["notes"] = args.note
    with open(args.add[1], encoding="utf-8") as f:
        run["rows"] = taken(json.load(f))
    run["date"] = args.date or subprocess.run(["git", "log", "-1", "--format=%cs"], cwd=TOP, check=True, capture_output=True,
                                              text=True).stdout.strip()
    run["machine"] = machine_words(args.machine)
    for key in ("title", "command", "how"):
        if getattr(args, key):
            run[key] = getattr(args, key)
    checked(run, path.name)
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(run, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--release", default=RELEASE)
    ap.add_argument("--results", default=TOP / "docs" / "results", type=pathlib.Path, help="the folder (default %(default)s)")
    ap.add_argument("--check", action="store_true", help="fail where the page is not what the runs give")
    ap.add_argument("--add", nargs=2, metavar=("RUN", "FILE"), help="record what a program wrote to FILE as the run RUN")
    ap.add_argument("--machine", default="", help="with --add: what it ran on, in words")
    ap.add_argument("--date", help="with --add: of the commit that ran (default: of the current one)")
    ap.add_argument("--title", help="with --add, for a new run")
    ap.add_argument("--command", help="with --add, for a new run")
    ap.add_argument("--how", help="with --add: the page of docs/ that explains the figures")
    ap.add_argument("--note", action="append", help="with --add: a paragraph below the table")
    args = ap.parse_args()
    folder, written = args.results / args.release, args.results / f"{args.release}.md"
    try:
        if args.add:
            add(folder, args)
        made = page(args.release, folder)
    except (Fault, OSError) as e:
        print(f"results: {e}")
        return 1
    if not args.check:
        written.write_text(made, encoding="utf-8")
        return 0
    same = written.exists() and written.read_text(encoding="utf-8") == made
    if not same:
        print(f"{written} is not what the runs in {folder} give: make results")
    print(f"{int(same)} passed, {int(not same)} failed")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
