# SPDX-License-Identifier: MIT
"""Tables of test cases, for tests that would otherwise have a file for each.

A case is a line "==== NAME" and the text below it, up to the next such line; lines before the first case are comments.
"""
SEPARATOR = "==== "


def read(path):
    """name -> text, in the table's order; no name twice."""
    found, name = {}, None
    with open(path, encoding="utf-8", newline="") as stream:
        for line in stream:
            if line.startswith(SEPARATOR):
                name = line[len(SEPARATOR):].strip()
                if name in found:
                    raise ValueError("%s: two cases are named '%s'" % (path, name))
                found[name] = ""
            elif name is not None:
                found[name] += line
    return found
