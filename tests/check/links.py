#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Does each link of a page lead to a file of this repository, and to a heading of it? Usage: links.py [FOLDER]; addresses of other places are not asked."""
import pathlib
import re
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
SKIPPED = re.compile(r"/golden/|^tests/fuzz/corpus/")
LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")
CODE = re.compile(r"^```.*?^```", re.M | re.S)


def anchors(text):
    """Those of a page: GitHub's names of its headings, and its own."""
    found = set(re.findall(r'<a id="([^"]+)"', text))
    for heading in re.findall(r"^#+ (.*)$", CODE.sub("", text), re.M):
        name = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").strip().lower()
        name = re.sub(r"[^\w\- ]", "", name).replace(" ", "-")
        found.add(name)
    return found


def faults(top, name):
    """The links of a page that lead nowhere."""
    text = (top / name).read_text(encoding="utf-8")
    for n, line in enumerate(CODE.sub(lambda m: "\n" * m[0].count("\n"), text).split("\n"), 1):
        for link in LINK.findall(re.sub(r"`[^`]*`", "", line)):
            if re.match(r"[a-z]+:", link):
                continue
            path, _, anchor = link.partition("#")
            page = (top / name).parent / path if path else top / name
            if not page.exists():
                yield f"{name}:{n}: {link}: there is no such file"
            elif anchor and page.suffix == ".md" and anchor not in anchors(page.read_text(encoding="utf-8")):
                yield f"{name}:{n}: {link}: that page has no such heading"


def main():
    top = pathlib.Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else TOP
    names = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"], cwd=top, check=True, capture_output=True, text=True).stdout.split("\n")
    names = [n for n in names if n and not SKIPPED.search(n) and (top / n).exists()]
    found = [f for n in names for f in faults(top, n)]
    print("".join(f"{f}\n" for f in found), end="")
    print(f"{len(names) - len({f.split(':')[0] for f in found})} passed, {len({f.split(':')[0] for f in found})} failed")
    return 1 if found or not names else 0


if __name__ == "__main__":
    sys.exit(main())
