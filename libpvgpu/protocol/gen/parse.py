# SPDX-License-Identifier: MIT
"""Reads the *.api descriptions and checks them; the language is described in ../README.md.

parse_files() gives an Api whose commands already know their wire layout. An error raises DescriptionError.
"""
import os
import sys
from dataclasses import dataclass, field

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools"))

from lang import Block, DescriptionError, Line, Reader, U32_MAX, U64_MAX  # noqa: E402

HDR_SIZE = 16
OP_BITS = 10  # of a command's number; above them: the library's
OP_MAX = 65535
HANDLE_TYPE_MAX = 255

SCALARS = {  # name: (C type, bytes, lowest, highest)
    "u32": ("uint32_t", 4, 0, U32_MAX),
    "u64": ("uint64_t", 8, 0, U64_MAX),
    "i32": ("int32_t", 4, -(1 << 31), (1 << 31) - 1),
    "i64": ("int64_t", 8, -(1 << 63), (1 << 63) - 1),
    "f32": ("float", 4, None, None),
    "f64": ("double", 8, None, None),
}
LANES = ("now", "gpu", "side")
GATED = ("kernel", "copy", "memset")
TARGETS = ("ctx", "stream", "event")  # handle types

C_WORDS = set("""auto break case char const continue default do double else enum extern float for goto if inline int long
register restrict return short signed sizeof static struct switch typedef union unsigned void volatile while""".split())
# Names that generated code uses beside the description's own.
OWN_WORDS = set("""hdr rec rep rep_len len at err n p r o s m w d in out cap seq result session mark unused pe part zeros put
take give""".split())

CONST_NAME = "[A-Z][A-Z0-9_]*"


class ApiLine(Line):
    WORD = r"(?:-?0x[0-9a-fA-F]+|-?[0-9]+[KMGT]?)(?![A-Za-z0-9_])|[A-Za-z_][A-Za-z0-9_@]*"
    NAME = "[a-z][a-z0-9_]*"


@dataclass
class Const:
    where: tuple
    name: str
    value: int
    doc: str


@dataclass
class Handle:
    where: tuple
    name: str
    number: int
    doc: str


@dataclass
class Member:  # a field of a struct
    where: tuple
    name: str
    ctype: str
    size: int
    count: int  # 0: not an array
    offset: int = 0


@dataclass
class Struct:
    where: tuple
    name: str
    members: list = field(default_factory=list)
    size: int = 0


@dataclass
class Field:
    where: tuple
    way: str  # in, new, out
    name: str
    kind: str  # of SCALARS, handle bytes string arena
    lo: int = None
    hi: int = None
    bits: int = None
    optional: bool = False
    mode: str = None  # of an arena range
    types: list = field(default_factory=list)  # Handle

    @property
    def scalar(self):
        return self.kind in SCALARS

    @property
    def variable(self):
        return self.kind in ("bytes", "string")

    def limits(self):
        """Lowest and highest value (of a length, for bytes, string and arena)."""
        low, high = SCALARS[self.kind][2:] if self.scalar else (0, None)
        return (low if self.lo is None else self.lo, high if self.hi is None else self.hi)

    def part_max(self):
        """Longest variable part in bytes, padding included."""
        return part_size(self, self.hi) if self.variable else 0

    def part_min(self):
        return part_size(self, self.lo or 0) if self.variable else 0


@dataclass
class Slot:  # one member of the fixed part
    name: str
    ctype: str
    size: int
    offset: int
    field: Field  # None: padding


@dataclass
class Layout:
    slots: list
    fixed: int  # header and fixed part
    smallest: int
    largest: int


@dataclass
class Command:
    where: tuple
    name: str
    op: int
    since: int
    awaited: bool
    mark: bool
    lane: str
    gate: str = None  # of GATED
    target: dict = field(default_factory=dict)  # one of TARGETS: parameter's name
    frees: bool = False
    doc: str = None
    fields: list = field(default_factory=list)
    request: Layout = None
    reply: Layout = None

    @property
    def ins(self):
        return [f for f in self.fields if f.way != "out"]

    @property
    def outs(self):
        return [f for f in self.fields if f.way == "out"]


@dataclass
class Api:
    consts: dict = field(default_factory=dict)
    handles: dict = field(default_factory=dict)
    structs: dict = field(default_factory=dict)
    commands: dict = field(default_factory=dict)
    # Of the second layer, calls.py.
    libraries: dict = field(default_factory=dict)
    objects: dict = field(default_factory=dict)
    records: dict = field(default_factory=dict)
    calls: dict = field(default_factory=dict)

    def const(self, name, default):
        return self.consts[name].value if name in self.consts else default

    def lent_by(self, call):
        """The object to whose work the call lends memory, or None."""
        thing = self.objects.get(call.object.handle.name) if call.object else None
        return thing if thing and thing.lends == call.name else None

    def sets_stream(self, call):
        """Does the call set the stream of an object's work?"""
        return bool(call.sets) and self.objects[call.object.handle.name].states[call.sets].kind == "stream"

    def by_op(self):
        return sorted(self.commands.values(), key=lambda c: c.op)


def pad8(n):
    return (n + 7) & ~7


def part_size(f, length):
    # A string's padding is at least one byte, so that it is terminated where it lies.
    return pad8(length + 1) if f.kind == "string" else pad8(length)


class ApiReader(Reader):
    LINE = ApiLine
    STATEMENTS = ("const", "handle", "struct", "command")

    def __init__(self):
        super().__init__()
        self.api = Api()
        self.ops = {}
        self.handle_numbers = {}

    def unclosed(self, block, last):
        raise DescriptionError(last, "'end' of %s (line %d) is missing" % (block.what, block.where[1]))

    def fresh(self, table, name, what, line):
        if name in table:
            line.fail("%s '%s' is already defined at %s:%d" % ((what, name) + table[name].where))

    def start_const(self, line):
        name = line.name("a constant", CONST_NAME)
        line.expect("=")
        value = line.number("value")
        doc = line.text("documentation")
        self.fresh(self.api.consts, name, "constant", line)
        if value < 0:
            line.fail("constant '%s' is negative" % name)
        if name in ("CMD_MAX", "REP_MAX") and (value % 8 or not HDR_SIZE <= value <= 1 << 24):
            line.fail("%s must be a multiple of 8 between %d and 16M" % (name, HDR_SIZE))
        self.api.consts[name] = Const(line.where, name, value, doc)

    def start_handle(self, line):
        name = line.name("a handle type")
        line.expect("=")
        number = line.number("number")
        doc = line.text("documentation")
        self.fresh(self.api.handles, name, "handle type", line)
        if not 1 <= number <= HANDLE_TYPE_MAX:
            line.fail("handle type number %d is not between 1 and %d" % (number, HANDLE_TYPE_MAX))
        if number in self.handle_numbers:
            line.fail("handle type number %d is already '%s'" % (number, self.handle_numbers[number]))
        self.handle_numbers[number] = name
        self.api.handles[name] = Handle(line.where, name, number, doc)

    # ---- struct

    def start_struct(self, line):
        name = line.name("a structure")
        self.fresh(self.api.structs, name, "structure", line)
        struct = self.api.structs[name] = Struct(line.where, name)
        return Block("struct '%s'" % name, line.where, struct, self.in_struct, self.end_struct)

    def in_struct(self, block, word, line):
        if word != "field":
            line.fail("'field' or 'end' expected in structure '%s', not '%s'" % (block.name, word))
        name = line.name("a field")
        if name in C_WORDS:
            line.fail("'%s' is a reserved name" % name)
        kind = line.take("type")
        if kind not in SCALARS and kind != "u8":
            line.fail("unknown type '%s'" % kind)
        ctype, size = SCALARS[kind][:2] if kind in SCALARS else ("uint8_t", 1)
        count = 0
        if line.take_if("count"):
            count = line.number("count")
            if not 1 <= count <= 65536:
                line.fail("count %d is not between 1 and 65536" % count)
        elif kind == "u8":
            line.fail("u8 needs a count")
        if any(m.name == name for m in block.members):
            line.fail("field '%s' is already defined" % name)
        if block.size % size:
            line.fail("field '%s' is at offset %d, not aligned to %d: add a field before it" % (name, block.size, size))
        block.members.append(Member(line.where, name, ctype, size, count, block.size))
        block.size += size * max(count, 1)

    def end_struct(self, block, line):
        if not block.members:
            line.fail("structure '%s' has no field" % block.name)
        align = max(m.size for m in block.members)
        if block.size % align:
            line.fail("size %d of structure '%s' is not a multiple of %d: add a field" % (block.size, block.name, align))

    # ---- command

    def start_command(self, line):
        name = line.name("a command")
        line.expect("=")
        op = line.number("number")
        line.expect("since")
        since = line.number("since-version")
        way = line.take("'oneway' or 'awaited'")
        if way not in ("oneway", "awaited"):
            line.fail("'oneway' or 'awaited' expected, not '%s'" % way)
        mark = line.take_if("mark")
        line.expect("lane")
        lane = line.take("lane")
        self.fresh(self.api.commands, name, "command", line)
        if not 1 <= op <= OP_MAX:
            line.fail("command number %d is not between 1 and %d" % (op, OP_MAX))
        if op in self.ops:
            line.fail("number %d is already the command '%s'" % (op, self.ops[op]))
        if lane not in LANES:
            line.fail("unknown lane '%s'" % lane)
        if mark and way == "awaited":
            line.fail("'mark' is for one-way commands")
        if since < 1:
            line.fail("since-version %d is not positive" % since)
        self.ops[op] = name
        command = self.api.commands[name] = Command(line.where, name, op, since, way == "awaited", mark, lane)
        return Block("command '%s'" % name, line.where, command, self.in_command, self.end_command)

    def in_command(self, block, word, line):
        if word == "doc":
            if block.doc:
                line.fail("command '%s' has two docs" % block.name)
            block.doc = line.text("documentation")
            return
        if word in ("gate", "target", "frees"):
            return getattr(self, word)(block, line)
        if word not in ("in", "new", "out"):
            line.fail("unknown statement '%s' in command '%s'" % (word, block.name))
        if word == "out" and not block.awaited:
            line.fail("'out' in the one-way command '%s'" % block.name)
        if word != "out" and block.outs:
            line.fail("'%s' after 'out' in command '%s'" % (word, block.name))
        if word == "out" and line.peek() and len(line.words) > 1 and line.words[1] in ("handle", "string", "arena"):
            line.fail("'out' cannot be %s" % line.words[1])
        f = self.field(word, line)
        for other in block.fields:
            if (other.way == "out") == (word == "out") and derived(other) & derived(f):
                line.fail("'%s' is already taken by '%s' (line %d)" %
                          (sorted(derived(other) & derived(f))[0], other.name, other.where[1]))
        block.fields.append(f)

    def gate(self, block, line):
        if block.gate or block.lane != "gpu":
            line.fail("'gate' %s" % ("is given twice" if block.gate else "is for commands of lane gpu"))
        block.gate = line.take("gate's class")
        if block.gate not in GATED:
            line.fail("unknown gate's class '%s'" % block.gate)

    def target(self, block, line):
        if block.target or block.lane != "gpu":
            line.fail("'target' %s" % ("is given twice" if block.target else "is for commands of lane gpu"))
        while line.more():
            name = line.name("a parameter")
            found = [f for f in block.ins if f.name == name and f.way == "in" and f.kind == "handle"]
            kind = found[0].types[0].name if found and len(found[0].types) == 1 else None
            if kind not in TARGETS:
                line.fail("'%s' is no parameter before this line of type handle %s" % (name, " or ".join(TARGETS)))
            if kind in block.target:
                line.fail("two targets of type %s" % kind)
            block.target[kind] = name
        if "ctx" not in block.target:
            line.fail("'target' needs a context")

    def frees(self, block, line):
        if block.frees or block.lane != "side":
            line.fail("'frees' %s" % ("is given twice" if block.frees else "is for commands of lane side"))
        block.frees = True

    def good_name(self, name, line):
        if name in C_WORDS or name in OWN_WORDS or name.startswith("zero"):
            line.fail("'%s' is a reserved name" % name)

    def field(self, way, line):
        name = line.name("a parameter")
        self.good_name(name, line)
        kind = line.take("type")
        f = Field(line.where, way, name, kind)
        if way == "new" and kind != "handle":
            line.fail("'new' needs a handle type, not '%s'" % kind)
        if kind == "handle":
            self.handle_field(f, line)
        elif kind == "arena":
            f.mode = line.take("'read' or 'write'")
            if f.mode not in ("read", "write"):
                line.fail("'read' or 'write' expected, not '%s'" % f.mode)
            self.options(f, line, ("max", "optional"), ("max",))
        elif f.variable:
            self.options(f, line, ("max", "min"), ("max",))
        elif f.scalar:
            allowed = {"f32": (), "f64": (), "i32": ("min", "max"), "i64": ("min", "max")}.get(kind, ("min", "max", "bits"))
            self.options(f, line, allowed if way == "in" else ())
        else:
            line.fail("unknown type '%s'" % kind)
        return f

    def handle_field(self, f, line):
        while True:
            name = line.take("handle type")
            if name not in self.api.handles:
                line.fail("unknown handle type '%s'" % name)
            if self.api.handles[name] in f.types:
                line.fail("handle type '%s' is named twice" % name)
            f.types.append(self.api.handles[name])
            if len(f.types) == 2 or not line.take_if("or"):
                break
        if f.way == "new" and len(f.types) > 1:
            line.fail("'new' creates a handle of one type")
        f.optional = f.way == "in" and line.take_if("optional")

    def options(self, f, line, allowed, needed=()):
        found = line.options([w for w in allowed if w != "optional"], flags=[w for w in allowed if w == "optional"])
        line.done()
        for word in needed:
            if word not in found:
                line.fail("'%s' needs '%s'" % (f.kind, word))
        f.lo, f.hi, f.bits = (found.get(word) for word in ("min", "max", "bits"))
        f.optional = "optional" in found
        self.check_range(f, line)

    def check_range(self, f, line):
        low, high = SCALARS[f.kind][2:] if f.scalar else (0, U32_MAX)
        if f.kind == "arena":
            low, high = 1, self.api.const("CHUNK_MAX", U64_MAX)
        elif f.variable:
            low, high = 0, 1 << 24
        for word, value in (("min", f.lo), ("max", f.hi), ("bits", f.bits)):
            if value is not None and not low <= value <= high:
                line.fail("%s %d is not between %d and %d" % (word, value, low, high))
        if f.variable and f.hi == 0:
            line.fail("max 0 leaves no byte")
        if f.lo is not None and f.hi is not None and f.lo > f.hi:
            line.fail("min %d is above max %d" % (f.lo, f.hi))
        if f.bits is not None and (f.lo is not None or f.hi is not None):
            line.fail("'bits' excludes 'min' and 'max'")

    def end_command(self, block, line):
        if not block.doc:
            line.fail("command '%s' has no doc" % block.name)
        if block.gate and "stream" not in block.target:
            line.fail("'gate' in command '%s' needs a target with a stream" % block.name)
        block.request = layout(block.ins)
        block.reply = layout(block.outs) if block.awaited else None

    # ---- what can be known only at the end

    def finish(self):
        api = self.api
        version = api.const("PROTOCOL_VERSION", None)
        for c in api.commands.values():
            if version is None:
                raise DescriptionError(c.where, "constant PROTOCOL_VERSION is missing")
            if c.since > version:
                raise DescriptionError(c.where, "since %d is above PROTOCOL_VERSION %d" % (c.since, version))
            for lay, name, fields in ((c.request, "CMD_MAX", c.ins), (c.reply, "REP_MAX", c.outs)):
                most = api.const(name, None)
                if lay and most is None:
                    raise DescriptionError(c.where, "constant %s is missing" % name)
                if lay and lay.largest > most:
                    worst = max(fields, key=lambda f: f.part_max())
                    raise DescriptionError(worst.where, "the largest %s of '%s' is %d bytes, above %s %d" % (
                        "record" if name == "CMD_MAX" else "reply", c.name, lay.largest, name, most))
        if not api.commands:
            raise DescriptionError(("description", 0), "there is no command")
        return api


def derived(f):
    """Every C name that a parameter gives rise to."""
    names = {f.name}
    if f.kind in ("bytes", "string", "arena"):
        names |= {f.name + "_len", f.name + "_cap"}
    if f.kind == "handle":
        names |= {f.name + "_h", f.name + "_type"}
    return names


def layout(fields):
    """In the order of the description; a u64 that would lie askew gets padding before it."""
    slots, at, pads = [], HDR_SIZE, 0

    def pad(to):
        nonlocal at, pads
        if at % to:
            slots.append(Slot("zero%d" % pads, "uint32_t", 4, at, None))
            at, pads = at + 4, pads + 1

    def add(name, ctype, size, f):
        nonlocal at
        pad(size)
        slots.append(Slot(name, ctype, size, at, f))
        at += size

    for f in fields:
        if f.scalar:
            add(f.name, SCALARS[f.kind][0], SCALARS[f.kind][1], f)
        elif f.kind == "handle":
            add(f.name, "uint64_t", 8, f)
        elif f.kind == "arena":
            add(f.name, "uint64_t", 8, f)
            add(f.name + "_len", "uint64_t", 8, f)
        else:
            add(f.name + "_len", "uint32_t", 4, f)
    pad(8)
    return Layout(slots, at, at + sum(f.part_min() for f in fields), at + sum(f.part_max() for f in fields))


def parse_files(paths, reader):
    for path in sorted(paths, key=os.path.basename):
        reader.read(path)
    return reader.finish()
