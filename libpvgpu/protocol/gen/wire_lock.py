# SPDX-License-Identifier: MIT
"""What numbers.lock has of the wire; libpvgpu/tools/lock.py says what that means.

    const NAME 1 VALUE          all but PROTOCOL_VERSION
    handle NAME 1 NUMBER
    struct NAME 1 HASH
    command NAME SINCE NUMBER LANE oneway|mark|awaited HASH

A hash is over everything in the description but documentation.
"""
import hashlib

from lock import Fact, Kind

LOCK = {
    "header": "The wire contract's numbers and shapes; written by wire.py --relock, explained in gen/wire_lock.py.",
    "tool": "wire.py",
    "kinds": {
        "const": Kind("constant", grows=True),
        "handle": Kind("handle type", ("number",), grows=True),
        "struct": Kind("structure", ("shape",), grows=True),
        "command": Kind("command", ("number", "lane", "kind", "shape"), reserves=True),
    },
}


def digest(words):
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:16]


def command_shape(c):
    words = []
    for f in c.fields:
        words.append(" ".join(str(w) for w in (
            f.way, f.name, f.kind, f.lo, f.hi, f.bits, f.optional, f.mode, [t.number for t in f.types])))
    way = "awaited" if c.awaited else "mark" if c.mark else "oneway"
    return "%d %s %s %s" % (c.op, c.lane, way, digest(words))


def struct_shape(s):
    return digest("%s %s %d %d" % (m.name, m.ctype, m.count, m.offset) for m in s.members)


def facts(api):
    found = [Fact("const", c.name, 1, str(c.value), c.where) for c in api.consts.values() if c.name != "PROTOCOL_VERSION"]
    found += [Fact("handle", h.name, 1, str(h.number), h.where) for h in api.handles.values()]
    found += [Fact("struct", s.name, 1, struct_shape(s), s.where) for s in api.structs.values()]
    return found + [Fact("command", c.name, c.since, command_shape(c), c.where) for c in api.by_op()]
