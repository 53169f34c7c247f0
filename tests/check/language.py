#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Look for phrases of tests/check/phrases.txt in what is tracked; prints FILE:LINE, the phrase and what to write instead.
An argument names another folder in place of the repository; all its files count then."""
import pathlib
import re
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
PHRASES = pathlib.Path("tests/check/phrases.txt")
SCOPES = {"all": [""], "users": ["README.md", "CHANGELOG.md", "docs/"]}
SKIP = re.compile(r"^(tests/fuzz/corpus/|tests/check/(phrases\.txt|language_test\.py)$|.*\.(svg|ptx|json)$)")


def is_below(path, prefix):
    return not prefix or path == prefix or path.startswith(prefix.rstrip("/") + "/")


def phrases(text):
    """[(path prefixes, pattern, what to write instead)]; a line that is none raises ValueError."""
    scopes, found = dict(SCOPES), []
    for n, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, defines, prefixes = line.partition(" := ")
        if defines:
            scopes[name.strip()] = prefixes.split()
            continue
        scope, _, rest = line.partition("|")
        pattern, _, instead = rest.strip().rpartition(" | ")
        prefixes = [p for s in scope.split() for p in (scopes.get(s) or ([s] if "/" in s else []))]
        if not prefixes or not pattern:
            raise ValueError(f"phrases.txt:{n}: neither NAME := PREFIX... nor SCOPE... | PATTERN | INSTEAD")
        found.append((prefixes, re.compile(pattern.strip(), re.IGNORECASE), instead.strip()))
    return found


def faults(path, text, rules):
    rules = [r for r in rules if any(is_below(path, p) for p in r[0])]
    for n, line in enumerate(text.splitlines(), 1):
        for _, pattern, instead in rules:
            m = pattern.search(line)
            if m:
                yield f"{path}:{n}: \"{m[0].strip()}\": write instead: {instead}"


def names_of(top):
    if top != TOP:
        return sorted(str(p.relative_to(top)) for p in top.rglob("*"))
    return subprocess.run(["git", "ls-files"], cwd=TOP, check=True, capture_output=True, text=True).stdout.split("\n")


def main():
    top = pathlib.Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else TOP
    rules = phrases((top / PHRASES).read_text(encoding="utf-8"))
    found = []
    for name in filter(None, names_of(top)):
        if SKIP.match(name) or not (top / name).is_file():
            continue
        try:
            found += faults(name, (top / name).read_text(encoding="utf-8"), rules)
        except UnicodeDecodeError:
            continue
    print("".join(f"{f}\n" for f in found), end="")
    print(f"{0 if found else 1} passed, {1 if found else 0} failed")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
