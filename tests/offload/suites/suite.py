# SPDX-License-Identifier: MIT
"""What the runs of other projects' test suites have in common: their source from Debian, the committed list of outcomes, the verdict."""
import argparse
import pathlib
import re
import subprocess

UNSTEADY = "unsteady"  # in a list: what the test does is a matter of luck, for a reason that stands beside it


def fetch(folder, package):
    """The archive of that Debian source package, in the folder, which keeps it."""
    folder.mkdir(parents=True, exist_ok=True)
    release = re.search(r"VERSION_CODENAME=(\w+)", pathlib.Path("/etc/os-release").read_text())[1]
    (folder / "list").write_text(f"deb-src http://deb.debian.org/debian {release} main\n")
    (folder / "lists" / "partial").mkdir(parents=True, exist_ok=True)
    options = ["-q", "-o", f"Dir::Etc::sourcelist={folder}/list", "-o", "Dir::Etc::sourceparts=-",
               "-o", f"Dir::State::lists={folder}/lists"]
    subprocess.run(["apt-get", *options, "update"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["apt-get", *options, "source", "--download-only", package], check=True, cwd=folder, stdout=subprocess.DEVNULL)
    return next(p for p in folder.glob(f"{package}_*.orig.tar.*") if p.suffix != ".asc")


def read_expected(path):
    """{test: outcome}; what follows # says why."""
    rows = [line.split("#")[0].split() for line in path.read_text().splitlines()] if path.exists() else []
    return {row[0]: row[1] for row in rows if row}


def write_expected(path, title, results):
    """Of tests that were not run, and reasons, what stands there is kept."""
    old = read_expected(path)
    merged = {**old, **{name: direct for name, (direct, _) in results.items() if old.get(name) != UNSTEADY}}
    why = {line.split()[0]: " #" + line.split("#", 1)[1] for line in (path.read_text().splitlines() if path.exists() else [])
           if "#" in line and line[0] != "#"}
    path.write_text(f"# {title}\n" + "".join(f"{name} {merged[name]}{why.get(name, '')}\n" for name in sorted(merged)))


def judge(results, expected):
    """Names and reasons of tests that are wrong. results: {test: (directly, through pvgpu)}"""
    wrong = []
    for name, (direct, through) in results.items():
        if expected.get(name) == UNSTEADY:
            continue
        if direct != through:
            wrong.append((name, f"{direct} directly, {through} through pvgpu"))
        elif name in expected and direct != expected[name]:
            wrong.append((name, f"{direct}, not {expected[name]}"))
    return wrong


def parse_args(doc, source):
    args = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawTextHelpFormatter)
    args.add_argument("--build", default="build", type=pathlib.Path, help="build folder")
    args.add_argument("--source", type=pathlib.Path, help=source)
    args.add_argument("--fetch", action="store_true", help="get the source into the build folder where it is not there yet")
    args.add_argument("--jobs", type=int, default=2, help="tests at a time")
    args.add_argument("--update", action="store_true", help="write the list of expected outcomes")
    args.add_argument("tests", nargs="*", help="only those whose names match, as target-3*")
    return args.parse_args()


def report(results, expected):
    """The status to end with."""
    wrong = judge(results, expected)
    for name, why in sorted(wrong):
        print(f"FAIL {name}: {why}")
    passed = sum(way == ("pass", "pass") for way in results.values())
    print(f"{len(results)} tests, {passed} pass both ways; {len(wrong)} not as expected")
    return 1 if wrong else 0
