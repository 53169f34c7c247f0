# SPDX-License-Identifier: MIT
"""docs/protocol.md: every number, structure and command, with its layout."""
from parse import SCALARS

INTRO = """<!-- SPDX-License-Identifier: MIT -->
<!-- Made by libpvgpu/protocol/gen/wire.py --docs; do not edit. -->
# The wire protocol, version %d

The records that a guest process and its worker exchange over the session's two byte streams. `libpvgpu/protocol/README.md` explains how
they travel, handles and marks, and how this page is described and generated. All numbers are little-endian; records and
their variable parts are multiples of 8 bytes long; padding and bytes named zero must be zero.

## Headers
| offset | command | reply |
|---:|---|---|
| 0 | u32 len: of the whole record | u32 len |
| 4 | u16 op | u16 kind: 1 reply, 2 mark, 3 callback |
| 6 | u16 flags: 1 asks for a mark | u16 flags: 1 device output waits |
| 8 | u32 seq | u32 seq of the command, 0 for a callback |
| 12 | u32 zero | i32 result: a CUresult |

A callback has, behind its header, u64 id (16), u32 status (24) and u32 zero (28).
"""


def amount(n):
    for unit, size in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if n >= size and n % size == 0:
            return "%d %s" % (n // size, unit)
    return str(n)


def rule(f, what):
    if f.way == "out" and not f.variable:
        return ""
    if f.kind == "handle":
        names = " or ".join(t.name for t in f.types)
        return ("new " if f.way == "new" else "") + names + (", or 0" if f.optional else "")
    if f.kind == "arena":
        if what == "len":
            return "up to %s" % amount(f.hi) + ("; 0 when left out" if f.optional else ", at least 1")
        return "arena range, %s" % {"read": "read by the worker", "write": "written by the worker"}[f.mode]
    words = []
    if f.lo is not None:
        words.append("at least %d" % f.lo)
    if f.hi is not None:
        words.append("at most %s" % amount(f.hi))
    if f.bits is not None:
        words.append("bits 0x%x" % f.bits)
    return ", ".join(words)


def table(layout, fields):
    lines = ["| offset | type | name | |", "|---:|---|---|---|"]
    names = {ctype: kind for kind, (ctype, _, _, _) in SCALARS.items()}
    for s in layout.slots:
        text = rule(s.field, "len" if s.name.endswith("_len") and s.name != s.field.name else "") if s.field else ""
        lines.append("| %d | %s | %s | %s |" % (s.offset, names[s.ctype], s.name if s.field else "zero", text))
    for f in fields:
        if f.variable:
            text = "%s_len bytes" % f.name + (", at least one zero after them" if f.kind == "string" else "")
            lines.append("| … | %s | %s | %s |" % (f.kind, f.name, text))
    return lines


def command(c):
    way = "awaited" if c.awaited else "one-way, may ask for a mark" if c.mark else "one-way"
    lines = ["### %d %s" % (c.op, c.name), "%s Since version %d; %s; lane %s; %s." % (
        c.doc, c.since, way, c.lane, sizes(c.request))]
    if c.request.slots:
        lines += [""] + table(c.request, c.ins)
    if c.outs:
        lines += ["", "Reply, %s:" % sizes(c.reply), ""] + table(c.reply, c.outs)
    return lines + [""]


def sizes(layout):
    if layout.smallest == layout.largest:
        return "%d bytes" % layout.smallest
    return "%d to %d bytes" % (layout.smallest, layout.largest)


def protocol_md(api):
    lines = [INTRO % api.const("PROTOCOL_VERSION", 0)]
    lines += ["## Constants", "| name | value | |", "|---|---:|---|"]
    lines += ["| PVGPU_%s | %d | %s |" % (c.name, c.value, c.doc) for c in api.consts.values()]
    if api.handles:
        lines += ["", "## Handle types", "| number | name | |", "|---:|---|---|"]
        lines += ["| %d | %s | %s |" % (h.number, h.name, h.doc) for h in api.handles.values()]
    if api.structs:
        lines += ["", "## Structures inside bytes", ""]
    for s in api.structs.values():
        lines += ["### %s (%d bytes)" % (s.name, s.size), "| offset | type | name |", "|---:|---|---|"]
        for m in s.members:
            kind = {"uint8_t": "u8"}.get(m.ctype) or [k for k, v in SCALARS.items() if v[0] == m.ctype][0]
            lines.append("| %d | %s%s | %s |" % (m.offset, kind, "[%d]" % m.count if m.count else "", m.name))
        lines.append("")
    lines += ["## Commands", ""]
    for c in api.by_op():
        lines += command(c)
    return "\n".join(lines).rstrip() + "\n"
