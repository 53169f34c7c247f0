# SPDX-License-Identifier: MIT
"""Reads pvgpu.schema and checks it; the language is described in ../README.md.

parse_file() gives a Schema. An error raises DescriptionError.
"""
import os
import re
import sys
from dataclasses import dataclass, field

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "libpvgpu", "tools"))

from lang import Block, DescriptionError, Line, Reader, U32_MAX, U64_MAX  # noqa: E402
import statistics_read  # noqa: E402
import values  # noqa: E402

KEYS_MAX = 24     # of one vGPU, over all trees
BACKEND_MAX = 8   # of one vGPU in the backend domain's quota, its directory included
REFS_MAX = 8
TEXT_MAX = 127
MESSAGE_MAX = 1900
FIELDS_MAX = 40
NAMES_MAX = 32    # of an enumeration or a flag set
DOMID_MAX = 0x7FEF
ID_MAX = 65535
STATES = "state"  # the enumeration that machines and `needed` speak of

DOMAINS = ("toolstack", "frontend", "backend")
WAYS = ("attach", "connect", "refuse", "detach", "lost", "reconnect", "resume", "crash")
NUMBERS = {"u32": U32_MAX, "u64": U64_MAX, "size": U64_MAX}
FIELD_TYPES = ("u32", "u64", "size", "bool", "share", "enum")
SHARE_ALL = 1000000  # parts per million
TYPES = ("u32", "u64", "size", "bool", "domid", "range", "uuid", "text", "refs", "path", "enum", "flags", "record", "message")
PARTS = re.compile(r"<[a-z]+>")

VALUE_NAME = "[A-Za-z][A-Za-z0-9-]*"
WORD_NAME = "[a-z0-9]+(-[a-z0-9]+)*"


class SchemaLine(Line):
    NAME_MAX = 31

    def ascii(self, what):
        """A text that may be empty, as xenstore takes it."""
        text = self.quoted(what)
        if not re.fullmatch("[ -~]*", text):
            self.fail("%s must be printable ASCII" % what)
        return text


def permissions(owner, readers):
    """As xenstore-chmod takes them, commas for spaces."""
    of = {"toolstack": "0", "backend": "<be>", "frontend": "<fe>"}
    return ",".join(["n" + of[owner]] + ["r" + of[d] for d in readers])


@dataclass
class Value:  # of an enumeration or a flag set
    where: tuple
    name: str
    number: int
    since: int
    doc: str


@dataclass
class Names:  # an enumeration or a flag set
    where: tuple
    name: str
    doc: str
    flags: bool = False
    as_number: bool = False  # an enumeration written as its number
    values: dict = field(default_factory=dict)


@dataclass
class Tree:
    where: tuple
    name: str
    path: str
    doc: str = None
    owner: str = None
    readers: list = field(default_factory=list)

    @property
    def per_vgpu(self):
        return "<fe>" in self.path

    def others(self, owner):
        """Who reads what belongs to owner here."""
        return [d for d in ("backend", "frontend") if d != owner and d in self.readers + [self.owner]]


@dataclass
class Field:  # of a record
    where: tuple
    name: str
    type: str
    lo: int
    hi: int
    default: str
    since: int
    doc: str
    of: object = None  # Names of enum
    live: bool = False  # an order to a vGPU that exists, no property of one to come
    zero: bool = False  # 0 is allowed, too, below lo


@dataclass
class Key:
    where: tuple
    tree: Tree
    name: str
    since: int
    doc: str = None
    type: str = None
    lo: int = None  # of the number, the text's length, the list's length
    hi: int = None
    of: object = None  # Names of enum and flags, Tree of path
    fields: list = field(default_factory=list)
    writers: list = field(default_factory=list)
    owner: str = None
    needed: list = None  # None: no; []: always; else states' names
    default: str = None
    example: str = None
    kernel: bool = False
    zero: bool = False  # 0 is allowed, too, below lo

    @property
    def full(self):
        return "%s/%s" % (self.tree.name, self.name)

    def readers(self):
        return self.tree.others(self.owner)

    def perms(self):
        return permissions(self.owner, self.readers())


@dataclass
class Move:
    where: tuple
    sources: list
    target: str
    when: list  # None: any
    way: str
    doc: str


@dataclass
class Schema:
    version: int = None
    names: dict = field(default_factory=dict)
    trees: dict = field(default_factory=dict)
    keys: dict = field(default_factory=dict)  # by full name
    machines: dict = field(default_factory=dict)  # tree's name: list of Move
    statistics: dict = None  # scope: statistics_read.Scope

    def of_tree(self, name):
        return [k for k in self.keys.values() if k.tree.name == name]


class SchemaReader(Reader):
    LINE = SchemaLine
    STATEMENTS = ("version", "enum", "flags", "tree", "key", "machine")

    def __init__(self):
        super().__init__()
        self.schema = Schema()

    # ---- version, enumerations, flags

    def start_version(self, line):
        if self.schema.version is not None:
            line.fail("'version' is given twice")
        self.schema.version = line.number("version")
        if not 1 <= self.schema.version <= 65535:
            line.fail("version %d is not between 1 and 65535" % self.schema.version)

    def start_enum(self, line):
        name = line.name("an enumeration")
        kind = line.take("'numbers' or 'words'")
        if kind not in ("numbers", "words"):
            line.fail("'numbers' or 'words' expected, not '%s'" % kind)
        return self.start_names(line, name, "enumeration", as_number=kind == "numbers")

    def start_flags(self, line):
        return self.start_names(line, line.name("a flag set"), "flag set", flags=True)

    def start_names(self, line, name, what, **kind):
        if name in self.schema.names:
            line.fail("'%s' is already taken" % name)
        names = Names(line.where, name, line.text("documentation"), **kind)
        self.schema.names[name] = names
        return Block("%s '%s'" % (what, name), line.where, names, self.in_names, self.end_names)

    def in_names(self, names, word, line):
        if word != ("flag" if names.flags else "value"):
            line.fail("unknown statement '%s'" % word)
        name = line.name("a value", VALUE_NAME if names.as_number else None if names.flags else WORD_NAME)
        line.expect("=")
        number = line.number("number")
        most = 63 if names.flags else NAMES_MAX - 1
        if not 0 <= number <= most:
            line.fail("number %d is not between 0 and %d" % (number, most))
        since = line.options(("since",)).get("since", 1)
        for other in names.values.values():
            if other.number == number or other.name.lower() == name.lower():
                line.fail("'%s' = %d clashes with line %d" % (name, number, other.where[1]))
        names.values[name] = Value(line.where, name, number, since, line.text("documentation"))
        if len(names.values) > NAMES_MAX:
            line.fail("more than %d values" % NAMES_MAX)

    def end_names(self, names, line):
        if not names.values:
            line.fail("'%s' has no value" % names.name)

    # ---- trees

    def start_tree(self, line):
        name = line.name("a tree")
        line.expect("=")
        path = line.text("path")
        if name in self.schema.trees:
            line.fail("tree '%s' is already taken" % name)
        parts = PARTS.findall(path)
        if not re.fullmatch(r"(/([a-z]+-)?([a-z]+|<[a-z]+>))+", path) or set(parts) - {"<fe>", "<be>", "<id>"}:
            line.fail("'%s' is not a path of names, <fe>, <be> and <id>" % path)
        if len(parts) != len(set(parts)):
            line.fail("'%s' has the same part twice" % path)
        tree = self.schema.trees[name] = Tree(line.where, name, path)
        return Block("tree '%s'" % name, line.where, tree, self.in_tree, self.end_tree)

    def in_tree(self, tree, word, line):
        self.once(word, line)
        if word == "doc":
            tree.doc = line.text("documentation")
        elif word == "owner":
            tree.owner = self.domain(line)
        elif word == "reader":
            tree.readers = self.domains(line)
        else:
            line.fail("unknown statement '%s' in tree '%s'" % (word, tree.name))

    def end_tree(self, tree, line):
        for name, value in (("doc", tree.doc), ("owner", tree.owner)):
            if not value:
                line.fail("tree '%s' has no %s" % (tree.name, name))

    @staticmethod
    def domain(line):
        word = line.take("domain")
        if word not in DOMAINS:
            line.fail("%s expected, not '%s'" % (" or ".join(DOMAINS), word))
        return word

    def domains(self, line):
        found = [self.domain(line)]
        while line.more():
            found.append(self.domain(line))
        if len(found) != len(set(found)):
            line.fail("a domain is named twice")
        return found

    # ---- keys

    def start_key(self, line):
        tree = line.take("tree")
        if tree not in self.schema.trees:
            line.fail("unknown tree '%s'" % tree)
        name = line.name("a key")
        line.expect("since")
        key = Key(line.where, self.schema.trees[tree], name, line.number("since"))
        if key.full in self.schema.keys:
            line.fail("key '%s' is already taken (line %d)" % (key.full, self.schema.keys[key.full].where[1]))
        self.schema.keys[key.full] = key
        self.limits(key, line)
        return Block("key '%s'" % key.full, line.where, key, self.in_key, self.end_key)

    def limits(self, key, line):
        if key.tree.per_vgpu:
            count = sum(k.tree.per_vgpu for k in self.schema.keys.values())
            if count > KEYS_MAX:
                line.fail("key '%s' is the %dth of a vGPU; %d are allowed" % (key.full, count, KEYS_MAX))

    def in_key(self, key, word, line):
        if word == "field":
            key.fields.append(self.key_field(key, line))
            return
        if word == "fields":
            self.key_statistics(key, line)
            return
        self.once(word, line)
        if word == "doc":
            key.doc = line.text("documentation")
        elif word == "type":
            self.key_type(key, line)
        elif word == "writer":
            key.writers = self.domains(line)
        elif word == "owner":
            key.owner = self.domain(line)
        elif word == "needed":
            states = line.take("states")
            key.needed = [] if states == "always" else self.states(states, line)
        elif word == "default":
            key.default = line.ascii("default")
        elif word == "example":
            key.example = line.ascii("example")
        elif word == "kernel":
            key.kernel = True
        else:
            line.fail("unknown statement '%s' in key '%s'" % (word, key.full))

    def key_type(self, key, line):
        kind = key.type = line.take("type")
        if kind not in TYPES:
            line.fail("unknown type '%s'" % kind)
        if kind in ("enum", "flags"):
            name = line.take("name")
            key.of = self.schema.names.get(name)
            if not key.of or key.of.flags != (kind == "flags"):
                line.fail("unknown %s '%s'" % ("flag set" if kind == "flags" else "enumeration", name))
        if kind == "path":
            name = line.take("tree")
            key.of = self.schema.trees.get(name)
            if not key.of:
                line.fail("unknown tree '%s'" % name)
        allowed = {"enum": ("min",), "refs": ("max",), "range": ("max",), "message": ("max",)}.get(kind, ("min", "max", "or") if kind == "size" else ("min", "max") if kind in NUMBERS or kind == "text" else ())
        options = line.options(allowed)
        if kind in ("text", "refs", "range", "message") and "max" not in options:
            line.fail("'%s' needs 'max'" % kind)
        low, high = {"refs": (1, REFS_MAX), "text": (0, TEXT_MAX), "message": (0, MESSAGE_MAX), "range": (1, 65535), "bool": (0, 1), "domid": (0, DOMID_MAX),
                     "enum": (0, max(v.number for v in key.of.values.values()) if kind == "enum" else 0)}.get(
                         kind, (0, NUMBERS.get(kind, 0)))
        key.lo, key.hi = self.bounds(options, low, high, line)
        key.zero = self.or_zero(options, line)

    @staticmethod
    def bounds(options, low, high, line):
        lo, hi = options.get("min", low), options.get("max", high)
        for word, value in (("min", lo), ("max", hi)):
            if not low <= value <= high:
                line.fail("%s %d is not between %d and %d" % (word, value, low, high))
        if lo > hi:
            line.fail("min %d is above max %d" % (lo, hi))
        return lo, hi

    @staticmethod
    def or_zero(options, line):
        if options.get("or", 0):
            line.fail("'or 0' expected, not 'or %d'" % options["or"])
        return "or" in options

    def key_field(self, key, line):
        if key.type != "record":
            line.fail("'field' in a key that is no record")
        name = line.name("a field")
        kind = line.take("type")
        if kind not in FIELD_TYPES:
            line.fail("a field's type is %s, not '%s'" % (", ".join(FIELD_TYPES), kind))
        if name in [f.name for f in key.fields]:
            line.fail("field '%s' is already there" % name)
        of = self.field_names(line) if kind == "enum" else None
        options = line.options(("since", "min", "max", *(("or",) if kind == "size" else ())) if kind in NUMBERS else ("since",), words=("default", "only"))
        most = {"bool": 1, "share": SHARE_ALL, "enum": max(v.number for v in of.values.values()) if of else 0, **NUMBERS}[kind]
        lo, hi = self.bounds(options, 0, most, line)
        for word in ("default", "since"):
            if word not in options:
                line.fail("field '%s' has no '%s'" % (name, word))
        if options.get("only", "live") != "live":
            line.fail("'only live' expected, not 'only %s'" % options["only"])
        f = Field(line.where, name, kind, lo, hi, options["default"], options["since"], line.text("documentation"), of,
                  "only" in options, self.or_zero(options, line))
        problem = values.problem(f, f.default)
        if problem:
            line.fail("default '%s' %s" % (f.default, problem))
        if len(key.fields) == FIELDS_MAX:
            line.fail("more than %d fields" % FIELDS_MAX)
        return f

    def key_statistics(self, key, line):
        """fields FILE: those that a description of statistics gives to this record."""
        if key.type != "record" or key.fields or self.schema.statistics:
            line.fail("'fields' in a key that is no record, has fields, or is not the first")
        path = os.path.join(os.path.dirname(line.where[0]), line.take("file"))
        if not os.path.exists(path):
            line.fail("there is no file '%s'" % path)
        self.schema.statistics = statistics_read.parse_file(path)
        for name, kind, since, doc, where in statistics_read.fields(self.schema.statistics):
            if len(key.fields) == FIELDS_MAX:
                line.fail("more than %d fields" % FIELDS_MAX)
            key.fields.append(Field(where, name, kind, 0, NUMBERS[kind], "0", since, doc))

    def field_names(self, line):
        name = line.take("name")
        names = self.schema.names.get(name)
        if not names or names.flags or names.as_number:
            line.fail("unknown enumeration of words '%s'" % name)
        return names

    def states(self, word, line):
        known = self.schema.names.get(STATES)
        found = word.split("|")
        for name in found:
            if not known or name not in known.values:
                line.fail("unknown state '%s'" % name)
        if len(found) != len(set(found)):
            line.fail("a state is named twice")
        return found

    def end_key(self, key, line):
        for name, value in (("doc", key.doc), ("type", key.type), ("writer", key.writers), ("example", key.example)):
            if not value:
                line.fail("key '%s' has no %s" % (key.full, name))
        if key.type == "record" and not key.fields:
            line.fail("record '%s' has no field" % key.full)
        if key.type in ("record", "message") and key.kernel:
            self.first["kernel"].fail("a %s cannot be read in the kernel" % key.type)
        key.owner = key.owner or key.tree.owner
        if key.owner not in key.writers and key.owner == "toolstack":
            self.first["owner"].fail("'%s' belongs to the toolstack, which does not write it" % key.full)
        if key.owner == "toolstack" and key.writers != ["toolstack"]:
            self.first["writer"].fail("only the toolstack can write what belongs to it")
        if key.default is not None and key.needed is not None:
            self.first["needed"].fail("'needed' excludes 'default'")
        for word, text in (("default", key.default), ("example", key.example)):
            problem = text is not None and values.problem(key, text)
            if problem:
                self.first[word].fail("%s '%s' %s" % (word, text, problem))
        if key.owner == "backend" and key.tree.per_vgpu:
            count = 1 + sum(k.owner == "backend" and k.tree.per_vgpu for k in self.schema.keys.values())
            if count > BACKEND_MAX:
                raise DescriptionError(key.where, "key '%s' is the backend's %dth node of a vGPU (its directory is one); %d are allowed" %
                               (key.full, count, BACKEND_MAX))

    # ---- machines

    def start_machine(self, line):
        name = line.take("tree")
        if name not in self.schema.trees:
            line.fail("unknown tree '%s'" % name)
        if name in self.schema.machines:
            line.fail("'%s' has two machines" % name)
        if STATES not in self.schema.names:
            line.fail("there is no enumeration '%s'" % STATES)
        moves = self.schema.machines[name] = []
        return Block("machine '%s'" % name, line.where, moves, self.in_machine, self.end_machine)

    def in_machine(self, moves, word, line):
        if word != "move":
            line.fail("unknown statement '%s' in a machine" % word)
        source = line.take("state")
        line.expect("->")
        target = self.states(line.take("state"), line)
        if len(target) != 1:
            line.fail("a move leads to one state")
        states = list(self.schema.names[STATES].values)
        sources = [s for s in states if s != target[0]] if source == "*" else self.states(source, line)
        when = self.states(line.take("states"), line) if line.take_if("when") else None
        line.expect("way")
        way = line.take("way")
        if way not in WAYS:
            line.fail("unknown way '%s'; there are %s" % (way, ", ".join(WAYS)))
        if target[0] in sources:
            line.fail("a move from '%s' to itself" % target[0])
        for m in moves:
            if m.way == way and m.target == target[0] and set(m.sources) & set(sources):
                line.fail("this move is already there (line %d)" % m.where[1])
        moves.append(Move(line.where, sources, target[0], when, way, line.text("reason")))

    def end_machine(self, moves, line):
        if not moves:
            line.fail("a machine without moves")

    # ---- what can be known only at the end

    def finish(self, where):
        s = self.schema
        if s.version is None:
            raise DescriptionError(where, "'version' is missing")
        if not s.keys:
            raise DescriptionError(where, "there is no key")
        things = list(s.keys.values()) + [f for k in s.keys.values() for f in k.fields]
        things += [v for n in s.names.values() for v in n.values.values()]
        for thing in things:
            if not 1 <= thing.since <= s.version:
                raise DescriptionError(thing.where, "since %d is not between 1 and version %d" % (thing.since, s.version))
        for key in s.keys.values():
            state = s.keys.get(key.tree.name + "/" + STATES)
            if key.needed and not (state and state.type == "enum" and state.of.name == STATES):
                raise DescriptionError(key.where, "'%s' is needed in some states, and tree '%s' has none" % (key.full, key.tree.name))
        return s


def parse_file(path):
    reader = SchemaReader()
    return reader.finish(reader.read(path))
