# SPDX-License-Identifier: MIT
"""Records and replies as the wire has them, made without any of the generated C: seeds for the fuzzers and a second opinion for the tests.

The values of a variant (min, typical, max) are the same as in tests/unit/guest/decode_test.c, see value(); those files compare them
byte by byte with what the C makes.
"""
import os
import struct
from parse import HDR_SIZE, part_size

VARIANTS = ("min", "typical", "max")
ARENA_BASE, ARENA_SIZE = 0x7E0000000000, 1 << 32
SEQ = 7


def number(f, variant, index):
    low, high = f.limits()
    if f.bits is not None:
        return {"min": 0, "typical": f.bits & -f.bits, "max": f.bits}[variant]
    typical = min(max(low, 3 + index), high)
    return {"min": low, "typical": typical, "max": high}[variant]


def length(f, variant, index):
    low = f.lo or 0
    return {"min": low, "typical": min(max(low, 5 + index), f.hi), "max": f.hi}[variant]


def content(f, n, index):
    return bytes(1 + (index * 16 + i) % 251 for i in range(n))


def value(f, variant, index):
    """A number, or (address, length), or bytes."""
    if f.variable:
        return content(f, length(f, variant, index), index)
    if f.kind == "handle":
        if f.optional and variant == "min":
            return 0
        kind = f.types[-1 if variant == "max" else 0]
        return kind.number << 56 | {"min": 0, "typical": 1, "max": 0xFF}[variant] << 48 | (
            {"min": 0, "typical": 1, "max": 0xFFFF}[variant] << 32) | {"min": 0, "typical": 1 + index, "max": 0xFFFF}[variant]
    if f.kind == "arena":
        if variant == "min":
            return (0, 0) if f.optional else (ARENA_BASE, 1)
        if variant == "typical":
            return ARENA_BASE + 4096, min(100 + index, f.hi)
        size = min(f.hi, ARENA_SIZE)
        return ARENA_BASE + ARENA_SIZE - size, size
    if f.kind in ("f32", "f64"):
        return {"min": 0.0, "typical": 1.5 + index, "max": -2.0 ** 100}[variant]
    return number(f, variant, index)


def body(layout, fields, variant):
    """Fixed part without the header, and the variable parts."""
    values = {id(f): value(f, variant, i) for i, f in enumerate(fields)}
    fixed, parts = b"", b""
    for s in layout.slots:
        f = s.field
        v = values[id(f)] if f else 0
        if f and f.variable:
            v = len(v)
        elif f and f.kind == "arena":
            v = v[s.name != f.name]
        fixed += struct.pack({"uint32_t": "<I", "int32_t": "<i", "uint64_t": "<Q", "int64_t": "<q", "float": "<f", "double": "<d"}[s.ctype], v)
    for f in fields:
        if f.variable:
            parts += values[id(f)].ljust(part_size(f, len(values[id(f)])), b"\0")
    assert HDR_SIZE + len(fixed) == layout.fixed
    return fixed + parts


def record(c, variant):
    data = body(c.request, c.ins, variant)
    return struct.pack("<IHHII", HDR_SIZE + len(data), c.op, 0, SEQ, 0) + data


def reply(c, variant):
    data = body(c.reply, c.outs, variant)
    return struct.pack("<IHHIi", HDR_SIZE + len(data), 1, 0, SEQ, 0) + data


def records(api):
    """file name: bytes"""
    return {"%s-%s.bin" % (c.name, v): record(c, v) for c in api.by_op() for v in VARIANTS}


def replies(api):
    """As tests/fuzz/fuzz_reply.c takes them: index of the command, room for bytes, result, reply."""
    return {"%s-%s.bin" % (c.name, v): struct.pack("<HBB", i, 255, 0) + reply(c, v)
            for i, c in enumerate(api.by_op()) if c.awaited for v in VARIANTS}


def write(folder, files):
    os.makedirs(folder, exist_ok=True)
    for name in os.listdir(folder):
        if name.endswith(".bin") and name not in files:
            os.unlink(os.path.join(folder, name))
    for name, data in files.items():
        with open(os.path.join(folder, name), "wb") as stream:
            stream.write(data)
