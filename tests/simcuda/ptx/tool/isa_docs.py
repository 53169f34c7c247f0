#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""docs/simcuda-ptx.md from the engine's table of instructions; --check: is it current?"""
import os
import re
import sys

TOP = os.path.dirname(os.path.abspath(__file__)) + "/../../../.."
TABLE = "tests/simcuda/ptx/isa.def"
DOC = "docs/simcuda-ptx.md"

HEAD = f"""# Instructions of the simulated GPU

<!-- Made from {TABLE} by `make simcuda-docs`. -->
The PTX manual's instructions up to ISA version 8.5, the newest that Debian's clang and GCC emit. The parser holds every statement against
the same table: an instruction, a type or a modifier that is not in it is refused with its name and line, in the log of the module's loading, too. A directive
that the parser does not know is refused in the same way.

Modifiers stand in the manual's order; `a|b` is one of them, `?` none or one. Where several lines have the same instruction, each is a
form of its own.

"""


def read(path):
    sets, forms, refused = {}, [], []
    for line in open(path, encoding="utf-8"):
        if m := re.fullmatch(r'SET\("(\S+)", "(.*)"\)\n', line):
            sets[m[1]] = m[2]
        elif m := re.fullmatch(r'FORM\("(\S+)", "(.*)"\)\n', line):
            forms.append((m[1], m[2]))
        elif m := re.fullmatch(r'REFUSED\("(\S+)"\)\n', line):
            refused.append(m[1])
        elif re.match(r"\w+\(", line) and not line.startswith("FORM(instruction"):
            raise SystemExit(f"{path}: what is this? {line}")
    return sets, forms, refused


def spelled(mods, sets):
    words = []
    for word in mods.split():
        m = re.fullmatch(r"\$(\w+)(\??)", word)
        words.append(sets[m[1]] + m[2] if m else word)
    return " ".join(f"`{w}`".replace("|", "\\|") for w in words)


def document():
    sets, forms, refused = read(f"{TOP}/{TABLE}")
    out = HEAD + "## Done\n| instruction | types and modifiers |\n|---|---|\n"
    for name, mods in forms:
        out += f"| `{name}` | {spelled(mods, sets)} |\n"
    out += "\n## Refused\nThese are in the manual and not here: "
    return out + ", ".join(f"`{name}`" for name in refused) + ".\n"


def main():
    text = document()
    if sys.argv[1:] == ["--check"]:
        try:
            current = open(f"{TOP}/{DOC}", encoding="utf-8").read()
        except FileNotFoundError:
            current = ""
        if current != text:
            raise SystemExit(f"{DOC} is not current: make simcuda-docs")
        return
    with open(f"{TOP}/{DOC}", "w", encoding="utf-8") as f:
        f.write(text)


if __name__ == "__main__":
    main()
