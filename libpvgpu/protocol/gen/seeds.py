# SPDX-License-Identifier: MIT
"""Records as the wire has them, made without any of the generated C: seeds for the fuzzers and a second opinion for the tests.

The values of a variant (min, typical, max) are the same as in tests/unit/decode_test.c, see value().
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
    if f.kind == "f32":
        return {"min": 0.0, "typical": 1.5 + index, "max": -2.0 ** 100}[variant]
    return number(f, variant, index)


def record(c, variant):
    values = {id(f): value(f, variant, i) for i, f in enumerate(c.ins)}
    body, tail = b"", b""
    for s in c.request.slots:
        f = s.field
        v = values[id(f)] if f else 0
        if f and f.variable:
            v = len(v)
        elif f and f.kind == "arena":
            v = v[s.name != f.name]
        body += struct.pack({"uint32_t": "<I", "int32_t": "<i", "uint64_t": "<Q", "float": "<f"}[s.ctype], v)
    for f in c.ins:
        if f.variable:
            data = values[id(f)]
            tail += data.ljust(part_size(f, len(data)), b"\0")
    assert HDR_SIZE + len(body) == c.request.fixed
    return struct.pack("<IHHII", HDR_SIZE + len(body) + len(tail), c.op, 0, SEQ, 0) + body + tail


def corpus(api):
    """file name: bytes"""
    return {"%s-%s.bin" % (c.name, v): record(c, v) for c in api.by_op() for v in VARIANTS}


def write(api, folder):
    os.makedirs(folder, exist_ok=True)
    files = corpus(api)
    for name in os.listdir(folder):
        if name.endswith(".bin") and name not in files:
            os.unlink(os.path.join(folder, name))
    for name, data in files.items():
        with open(os.path.join(folder, name), "wb") as stream:
            stream.write(data)
