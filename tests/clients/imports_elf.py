# SPDX-License-Identifier: MIT
"""What a shared object wants of others and offers to them: its dynamic symbols, by section headers. 64-bit little-endian ELF."""
import re
import struct
from collections import namedtuple

SHT_DYNSYM, SHT_DYNAMIC, SHT_VERSYM, SHT_VERNEED, SHT_VERDEF, SHT_NOBITS = 11, 6, 0x6FFFFFFF, 0x6FFFFFFE, 0x6FFFFFFD, 8
DT_NEEDED = 1
Section = namedtuple("Section", "name kind start size link entry")
# wanted: {(symbol, soname or None, version node or None)}; offered: {(symbol, node or None)}; needed: [soname]
Facts = namedtuple("Facts", "needed wanted offered")


def text_at(data, start):
    return bytes(data[start:data.find(b"\0", start)]).decode()


def sections_of(data):
    if bytes(data[:6]) != b"\x7fELF\x02\x01":
        raise ValueError("no 64-bit little-endian ELF file")
    table, = struct.unpack_from("<Q", data, 40)
    size, count, names = struct.unpack_from("<HHH", data, 58)
    raw = []
    for i in range(count):
        name, kind, _flags, _addr, start, length, link, _info, _align, entry = struct.unpack_from("<IIQQQQIIQQ", data, table + i * size)
        raw.append((name, kind, start, length, link, entry))
    return [Section(text_at(data, raw[names][2] + r[0]), *r[1:]) for r in raw]


def versions_of(data, sections):
    """A version's index to (the soname that it is wanted from, None where it is the object's own; the version node)."""
    found = {}
    for s in sections:
        strings, at = sections[s.link].start, s.start
        while s.kind == SHT_VERNEED:
            _version, count, file, aux, following = struct.unpack_from("<HHIII", data, at)
            each = at + aux
            for _ in range(count):
                _hash, _flags, other, name, step = struct.unpack_from("<IHHII", data, each)
                found[other & 0x7FFF] = text_at(data, strings + file), text_at(data, strings + name)
                each += step
            at += following
            if not following:
                break
        while s.kind == SHT_VERDEF:
            _version, _flags, index, _count, _hash, aux, following = struct.unpack_from("<HHHHIII", data, at)
            found.setdefault(index & 0x7FFF, (None, text_at(data, strings + struct.unpack_from("<I", data, at + aux)[0])))
            at += following
            if not following:
                break
    return {index: names for index, names in found.items() if index > 1}


def read(data):
    sections = sections_of(data)
    versions, index_of = versions_of(data, sections), None
    needed, wanted, offered = [], set(), set()
    for s in sections:
        if s.kind == SHT_VERSYM:
            index_of = s.start
    for s in sections:
        if s.kind == SHT_DYNAMIC:
            for tag, value in struct.iter_unpack("<QQ", data[s.start:s.start + s.size]):
                if tag == DT_NEEDED:
                    needed.append(text_at(data, sections[s.link].start + value))
        if s.kind == SHT_DYNSYM:
            strings = sections[s.link].start
            for i in range(1, s.size // 24):
                name, info, _other, section, _value, _size = struct.unpack_from("<IBBHQQ", data, s.start + 24 * i)
                version = struct.unpack_from("<H", data, index_of + 2 * i)[0] & 0x7FFF if index_of else 0
                soname, node = versions.get(version, (None, None))
                if section:
                    offered.add((text_at(data, strings + name), node))
                elif info >> 4 in (1, 2):
                    wanted.add((text_at(data, strings + name), soname, node))
    return Facts(needed, wanted, offered)


def strings(data, pattern):
    """Strings of the data sections that match as a whole: names for dlsym. GPU code, by far the largest part, is left out."""
    found = set()
    for s in sections_of(data):
        if s.kind != SHT_NOBITS and s.name.startswith((".rodata", ".data", ".lrodata", ".ldata")):
            for m in re.finditer(rb"(?<=\0)(?:" + pattern + rb")(?=\0)", data[s.start:s.start + s.size]):
                found.add(m[0].decode())
    return found
