# SPDX-License-Identifier: MIT
"""The rows of tests/gpu/assumptions.def."""
import pathlib
import re
from dataclasses import dataclass

HERE = pathlib.Path(__file__).resolve().parent
FILE = HERE.parent / "assumptions.def"
TEXTS = r'((?:"(?:[^"\\]|\\.)*"\s*)+)'
ROW = re.compile(rf"^ASSUME\(\s*(\w+)\s*,\s*(\w+)\s*,\s*{TEXTS},\s*{TEXTS}\)", re.M)


@dataclass
class Assumption:
    id: str
    step: str          # of gpu-probe, or the stage of the kit that looks at it
    statement: str
    code: list         # (file, function)


def joined(texts):
    return "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', texts)).replace('\\"', '"')


def rows(path=FILE):
    found = []
    for name, step, statement, code in ROW.findall(path.read_text(encoding="utf-8")):
        places = [tuple(part.strip().partition(":")[::2]) for part in joined(code).split(",")]
        found.append(Assumption(name, step, joined(statement), places))
    return found


def problems(tree, path=FILE):
    """What is wrong with the rows: an id twice, code that is not there."""
    found, seen = [], set()
    for row in rows(path):
        if row.id in seen:
            found.append(f"{row.id} is there twice")
        seen.add(row.id)
        for file, function in row.code:
            source = tree / file
            if not source.is_file():
                found.append(f"{row.id}: there is no {file}")
            elif not re.search(rf"\b{re.escape(function)}\b", source.read_text(encoding="utf-8")):
                found.append(f"{row.id}: {file} has no {function}")
    written = len(re.findall(r"^ASSUME\(", path.read_text(encoding="utf-8"), re.M))
    if written != len(rows(path)):
        found.append(f"{written} rows are written, {len(rows(path))} can be read")
    return found
