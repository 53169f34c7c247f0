# SPDX-License-Identifier: MIT
"""What a program shows on a terminal, as an SVG: run() starts it in a pseudo-terminal, Screen keeps its cells, svg() draws them.

Screen knows the few control sequences that our programs use, and raises Unknown at any other.
"""
import os
import pty
import re
import select
import struct
import fcntl
import subprocess
import termios
import time
from xml.sax.saxutils import escape

CELL, LINE, EDGE = 8.4, 19, 14  # pixels: a cell's width, a line's height, the frame
BAR = 30                        # height of the bar with the title
SEQUENCE = re.compile(r"\x1b\[([\d;]*)([A-Za-z])")


class Unknown(ValueError):
    """A control sequence that Screen does not know."""


class Screen:
    def __init__(self, columns, lines):
        self.columns, self.lines = columns, lines
        self.rows, self.y, self.x = [[]], 0, 0

    def write(self, text):
        at = 0
        while at < len(text):
            if text[at] == "\x1b":
                m = SEQUENCE.match(text, at)
                if not m or m[0] not in ("\x1b[H", "\x1b[J"):
                    raise Unknown(repr(text[at:at + 8]))
                self.rows = [[]] if m[0] == "\x1b[J" else self.rows
                self.y = self.x = 0
                at = m.end()
                continue
            self.put(text[at])
            at += 1

    def put(self, c):
        if c == "\r":
            self.x = 0
        elif c == "\n" or self.x == self.columns:
            self.y, self.x = self.y + 1, 0
            while len(self.rows) <= self.y:
                self.rows.append([])
        if c in "\r\n":
            return
        row = self.rows[self.y]
        row += [" "] * (self.x + 1 - len(row))
        row[self.x] = c
        self.x += 1

    def text(self):
        """Its last lines, as many as it has."""
        rows = ["".join(r).rstrip() for r in self.rows]
        while rows and not rows[-1]:
            rows.pop()
        return rows[-self.lines:]


def run(command, columns, lines, limit, **how):
    """The screen when the command has ended; what it prints is kept whole."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    screen, end, rest = Screen(columns, lines), time.monotonic() + limit, b""
    with subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, **how) as p:
        os.close(slave)
        while True:
            if not select.select([master], [], [], max(0, end - time.monotonic()))[0]:
                p.kill()
                raise TimeoutError(f"{command[0]} has not ended in {limit} s")
            try:
                data = os.read(master, 65536)
            except OSError:  # the other end is closed
                data = b""
            if not data:
                break
            rest += data
            cut = rest.rfind(b"\n") + 1
            screen.write(rest[:cut].decode())
            rest = rest[cut:]
    os.close(master)
    screen.write(rest.decode())
    if p.returncode:
        raise RuntimeError(f"{command[0]} ended with {p.returncode}:\n" + "\n".join(screen.text()))
    return screen


def kept(text):
    """With no-break spaces where several follow each other: browsers draw one of them otherwise, whatever xml:space says."""
    return re.sub(" {2,}", lambda spaces: "\N{NO-BREAK SPACE}" * len(spaces[0]), text)


def svg(lines, title, columns=None):
    """A picture of lines of text. Lines that begin with '$ ' are commands, and bold."""
    columns = columns or max(len(line) for line in lines)
    width, height = round(columns * CELL + 2 * EDGE), BAR + len(lines) * LINE + 2 * EDGE
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">',
           "<!-- SPDX-License-Identifier: MIT. Made by `make pictures` from a real run. -->", f"<title>{escape(title)}</title>",
           f'<rect width="{width}" height="{height}" rx="8" fill="#1b1f27"/>',
           f'<text x="{width / 2:g}" y="20" text-anchor="middle" font-family="sans-serif" font-size="13" fill="#9aa4b2">{escape(title)}</text>',
           '<g font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="14" fill="#d8dee9">']
    for n, line in enumerate(lines):
        if not line.strip():
            continue
        lead = len(line) - len(line.lstrip())
        bold = ' font-weight="bold" fill="#ffffff"' if line.lstrip().startswith("$ ") or re.match(r"\[\d+/\d+\]", line) else ""
        # The length keeps columns in line whatever font there is.
        out.append(f'<text x="{EDGE + lead * CELL:g}" y="{BAR + EDGE + (n + 1) * LINE - 5}" textLength="{(len(line) - lead) * CELL:g}" '
                   f'lengthAdjust="spacingAndGlyphs"{bold}>{escape(kept(line.strip()))}</text>')
    return "\n".join([*out, "</g>", "</svg>"]) + "\n"
