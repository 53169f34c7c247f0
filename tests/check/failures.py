# SPDX-License-Identifier: MIT
"""The failed tests that a command's output tells of, each with what it says about itself.

Known are lines "FAIL NAME ..." with what follows up to the next test (our runners and the lab), blocks of unittest, cases of libcheck
and of the fuzzers, and lines of make.
"""
import re

OURS = re.compile(r"^FAIL[: ]+(\S+?):?(?: |$)")
UNITTEST = re.compile(r"^(?:ERROR|FAIL): (\S+)(?: \(([\w.]+)\))?")
CASE = re.compile(r"^[^\s:]+:\d+:[FE]:([^:]*):([^:]*):")
FUZZER = re.compile(r"^(\S+) .*FAILED \(")
MAKE = re.compile(r"^make(?:\[\d+\])?: \*\*\* (?:\[(?:[^\]:]+:\d+: )?([^\]]+)\] Error|No rule)")
ERROR = re.compile(r"^(\S+?:\d+(?::\d+)?): (?:fatal )?error: ")
STOPPED = re.compile(r"^check: stopped after")
NEXT = re.compile(r"^(?:ok  +\S|\$ |Ran \d+ tests? in|\d+ passed, \d+ failed|make(?:\[\d+\])?: |\[\d+/\d+\] )")
RULE = re.compile(r"^(?:=|-){60,}$")
BLOCK = 60              # lines that are shown of one test


class Failure:
    def __init__(self, name, lines=()):
        self.name, self.lines = name, list(lines)

    def text(self, most=BLOCK):
        """Its lines: where there are more, the first, and more of the last, where the reason is."""
        lines = [line for line in self.lines if line.strip() and not RULE.match(line)]
        if len(lines) <= most:
            return lines
        first = most // 3
        return lines[:first] + [f"... {len(lines) - most} lines"] + lines[len(lines) - most + first:]


def begins(line, before):
    """The name of the failed test that this line begins, or None."""
    if RULE.match(before) and (m := UNITTEST.match(line)):
        return f"{m[2].rpartition('.')[2]}.{m[1]}" if m[2] and not m[2].endswith("." + m[1]) else m[2] or m[1]
    if m := OURS.match(line) or FUZZER.match(line) or ERROR.match(line):
        return m[1]
    if STOPPED.match(line):
        return "stopped"
    return None


def find(text):
    """[Failure], in the order in which they are told of; of make's own complaints only where there is nothing else."""
    found, made, now, before = [], [], None, ""
    for line in text.splitlines():
        if name := begins(line, before):
            now = Failure(name, [line])
            found.append(now)
        elif m := MAKE.match(line):
            made.append(Failure(m[1] or "make", [line]))
            now = None
        elif NEXT.match(line):
            now = None
        elif now:
            now.lines.append(line)
        before = line
    return found or made


def brief(failure, most=6):
    """A few lines about it: the cases of libcheck that failed, else the end of what it says."""
    cases = [line for line in failure.lines if CASE.match(line)]
    if cases:
        return cases[:most]
    lines = failure.text()
    return lines if len(lines) <= most else lines[:1] + ["..."] + lines[2 - most:]
