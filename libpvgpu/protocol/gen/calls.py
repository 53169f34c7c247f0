# SPDX-License-Identifier: MIT
"""The second layer: calls of a library, one block each; docs/calls.md describes the language.

A forwarded call becomes a command of the wire with the same generated halves as any other, so that this file is what knows of
both: Reader reads blocks and lowers them, and parse_files() gives an Api with libraries, objects, records and calls.
"""
import re

import parse
from lang import Block, DescriptionError
from model import Call, Library, Object, Param, Part, Record, State, snake
from parse import Command, Field, SCALARS

OPS_PER_LIBRARY = 1 << parse.OP_BITS
LIBRARY_MAX = 63
FIRST_HANDLE = 16  # below: the driver's
# A type of the description: its scalar on the wire and in C.
TYPES = {
    "u32": ("u32", "unsigned int"), "i32": ("i32", "int"), "u64": ("u64", "uint64_t"), "i64": ("i64", "int64_t"),
    "f32": ("f32", "float"), "f64": ("f64", "double"), "size": ("u64", "size_t"), "address": ("u64", "CUdeviceptr"),
}
# Of what lies behind pointers only.
ELEMENTS = {"c32": ("c32", "cuComplex"), "c64": ("c64", "cuDoubleComplex"), "f16": ("f16", "uint16_t"), "bf16": ("bf16", "uint16_t")}
# Of families: the element's type; and the real type that goes with it.
LETTERS = {"S": "f32", "D": "f64", "C": "c32", "Z": "c64", "H": "f16", "s": "f32", "d": "f64", "c": "c32", "z": "c64",
           "Sc": "c32", "Dz": "c64", "Cs": "c32", "Zd": "c64", "HSH": "f16", "HSS": "f16", "TST": "bf16", "TSS": "bf16"}
REAL = {"f32": "f32", "f64": "f64", "c32": "f32", "c64": "f64", "f16": "f32", "bf16": "f32"}
BYTES = {"f32": 4, "f64": 8, "u32": 4, "i32": 4, "u64": 8, "i64": 8, "c32": 8, "c64": 16, "f16": 2, "bf16": 2}
SCALAR_WORDS = 5  # of 8 bytes: a number by pointer is no more
OWN_WORDS = parse.OWN_WORDS - {"m", "n"} | {"a", "c", "h", "t", "g", "pk", "pk_at", "pk_bytes", "far", "per_thread", "packed", "large", "wide"}  # locals of generated functions
FUNCTIONS = ("span", "matrix", "batch", "triangle")  # that expressions have, see c_valid.py
ARRAY_MAX = 256
PACKED_MAX = 2 << 20  # bytes of all numbers of a call: a piece of the arena, as the guest has them for copies


class CallReader(parse.ApiReader):
    STATEMENTS = parse.ApiReader.STATEMENTS + ("library", "object", "record", "call", "pair")
    C_NAME = r"[A-Za-z_][A-Za-z0-9_]*"

    # ---- library

    def start_library(self, line):
        name = line.name("a library")
        line.expect("=")
        number = line.number("number")
        doc = line.text("documentation")
        self.fresh(self.api.libraries, name, "library", line)
        if not 0 <= number <= LIBRARY_MAX:
            line.fail("library number %d is not between 0 and %d" % (number, LIBRARY_MAX))
        for other in self.api.libraries.values():
            if other.number == number:
                line.fail("library number %d is already '%s'" % (number, other.name))
        library = self.api.libraries[name] = Library(line.where, name, number, doc)
        return Block("library '%s'" % name, line.where, library, self.in_library, lambda block, end: None)

    def in_library(self, block, word, line):
        if word == "far":
            while line.more():
                block.far.append(line.name("a call", self.C_NAME))
            return
        self.once(word, line)
        if word == "status":
            block.status = line.name("a C type", self.C_NAME)
        elif word == "invalid":
            block.invalid = line.name("a status", self.C_NAME)
        elif word == "header":
            block.header = line.quoted("a header")
        elif word == "soname":
            while line.more():
                block.sonames.append(line.quoted("a soname"))
        else:
            line.fail("unknown statement '%s' in library '%s'" % (word, block.name))

    def library_of(self, name, line):
        """By the prefix of a call's name; of two the longer one."""
        for library in sorted(self.api.libraries.values(), key=lambda lib: -len(lib.name) if lib.number else 0):
            prefix = "cu" if library.number == 0 else library.name
            if name.lower().startswith(prefix) and (library.number or name[2:3].isupper()):
                return library
        line.fail("'%s' is a call of no library that is described above" % name)

    # ---- object

    def start_object(self, line):
        name = line.name("a handle type")
        if name not in self.api.handles:
            line.fail("unknown handle type '%s'" % name)
        line.expect("of")
        library = line.name("a library")
        if library not in self.api.libraries:
            line.fail("unknown library '%s'" % library)
        line.expect("type")
        thing = Object(line.where, self.api.handles[name], self.api.libraries[library], line.name("a C type", self.C_NAME))
        self.fresh(self.api.objects, name, "object", line)
        self.api.objects[name] = thing
        return Block("object '%s'" % name, line.where, thing, self.in_object, self.end_object)

    def in_object(self, block, word, line):
        if word == "state":
            name = line.name("a state", self.C_NAME)
            if name in block.states:
                line.fail("state '%s' is already defined" % name)
            kind = line.take("type")
            if kind in ("stream", "mode"):
                block.states[name] = State(line.where, name, kind, {"stream": "CUstream", "mode": None}[kind])
                if kind == "mode":
                    block.states[name].ctype = line.name("a C type", self.C_NAME)
                return
            kind, ctype = self.number_type(kind, line)
            found = line.options(("min", "max", "initial"))
            block.states[name] = State(line.where, name, kind, ctype, found.get("min"), found.get("max"), found.get("initial"))
            return
        self.once(word, line)
        if word == "charge":
            block.charge = line.number("bytes")
        elif word in ("destroy", "stream", "mode", "lends"):
            setattr(block, word, line.name("a call", self.C_NAME))
        else:
            line.fail("unknown statement '%s' in object '%s'" % (word, block.handle.name))

    def end_object(self, block, line):
        if block.handle.number < FIRST_HANDLE:
            line.fail("handle type '%s' is a library's: its number is at least %d" % (block.handle.name, FIRST_HANDLE))
        if not block.destroy:
            line.fail("object '%s' has no 'destroy'" % block.handle.name)
        if block.lends and not block.stream:
            line.fail("object '%s' lends memory to the work of a stream: it needs 'stream'" % block.handle.name)

    # ---- record

    def start_record(self, line):
        name = line.name("a record")
        line.expect("of")
        record = Record(line.where, name, line.name("a C type", self.C_NAME))
        self.fresh(self.api.records, name, "record", line)
        self.fresh(self.api.structs, name, "structure", line)
        self.api.records[name] = record
        return Block("record '%s'" % name, line.where, record, self.in_record, self.end_record)

    def in_record(self, block, word, line):
        if word not in ("in", "object", "memory"):
            line.fail("'in', 'object', 'memory' or 'end' expected in record '%s', not '%s'" % (block.name, word))
        part = Part(line.where, line.name("a field", self.C_NAME), word, "u64")
        if word == "in":
            part.kind, part.ctype = self.number_type(line.take("type"), line)
            found = line.options(("min", "max"))
            part.lo, part.hi = found.get("min"), found.get("max")
        elif word == "object":
            part.handle = self.handle_type(line)
        else:
            line.expect("bytes")
            part.bytes = line.quoted("an expression")
        block.parts.append(part)

    def end_record(self, block, line):
        struct = parse.Struct(block.where, block.name)
        if not block.parts:
            line.fail("record '%s' has no field" % block.name)
        pads = 0

        def add(name, ctype, size):
            struct.members.append(parse.Member(block.where, name, ctype, size, 0, struct.size))
            struct.size += size

        for part in block.parts:
            ctype, size = SCALARS[part.kind][:2]
            if struct.size % size:
                add("zero%d" % pads, "uint32_t", 4)
                pads += 1
            add(part.name, ctype, size)
        if struct.size % 8:
            add("zero%d" % pads, "uint32_t", 4)
        self.api.structs[block.name] = struct

    # ---- pair: a setter and a getter, shadowed in the guest

    def start_pair(self, line):
        names = [line.name("a setter", self.C_NAME), line.name("a getter", self.C_NAME)]
        library = self.library_of(names[0], line)
        op = since = None
        if line.take_if("="):
            op, since = self.number_of(library, line)
        pair = {"names": names, "library": library, "op": op, "since": since, "doc": None, "object": None, "state": None}
        return Block("pair '%s'" % names[0], line.where, pair, self.in_pair, self.end_pair)

    def in_pair(self, block, word, line):
        self.once(word, line)
        if word == "doc":
            block["doc"] = line.text("documentation")
        elif word == "object":
            block["object"] = line.name("a parameter"), line.name("a handle type")
        elif word == "state":
            block["state"] = line.name("a state", self.C_NAME)
        else:
            line.fail("unknown statement '%s' in a pair" % word)

    def end_pair(self, block, line):
        for word in ("doc", "object", "state"):
            if not block[word]:
                line.fail("pair '%s' has no '%s'" % (block["names"][0], word))
        name, kind = block["object"]
        thing = self.api.objects.get(kind)
        if not thing or block["state"] not in thing.states:
            line.fail("object '%s' has no state '%s'" % (kind, block["state"]))
        state = thing.states[block["state"]]
        where = line.where
        if state.kind in ("stream", "mode") and block["op"] is not None and not (state.kind == "stream" and thing.lends):
            line.fail("a %s travels with each call: the pair has no number" % state.kind)
        if state.kind == "stream" and thing.lends and block["op"] is None:
            line.fail("object '%s' lends memory until its stream is set again: the pair needs a number" % kind)
        for getter, called in enumerate(block["names"]):
            call = Call(where, called, block["library"], block["doc"], None if getter else block["op"], block["since"] or 1,
                        lane="gpu")
            call.params.append(Param(where, "object", name, ctype=thing.ctype, handle=thing.handle))
            kind = {"stream": None, "mode": "u32"}.get(state.kind, state.kind)
            call.params.append(Param(where, "out" if getter else "in", state.name, kind, state.ctype, state.lo, state.hi))
            if state.kind == "mode":
                call.params[-1].hi = 1
            call.sets, call.gets = (None, state.name) if getter else (state.name, None)
            self.keep(call, line)

    # ---- call

    def start_call(self, line):
        family = line.name("a call", "[A-Za-z_][A-Za-z0-9_@]*")
        library = self.library_of(family.replace("@", "S"), line)
        op, since = None, 1
        if line.take_if("="):
            op, since = self.number_of(library, line)
        letters = [(None, op, since)]
        if line.take_if("each"):
            letters = self.letters(op, since, line)
            while line.take_if("and"):
                op, since = self.number_of(library, line)
                line.expect("each")
                letters += self.letters(op, since, line)
        if ("@" in family) != (letters[:1] != [(None, op, since)]):
            line.fail("a family has '@' in its name and 'each' with letters: %s" % " ".join(LETTERS))
        head = {"awaited": False, "lane": "now", "needed": False, "wire": None}
        if op is not None:
            way = line.take("'oneway' or 'awaited'")
            if way not in ("oneway", "awaited"):
                line.fail("'oneway' or 'awaited' expected, not '%s'" % way)
            head["awaited"] = way == "awaited"
            line.expect("lane")
            head["lane"] = line.take("lane")
            if head["lane"] not in parse.LANES:
                line.fail("unknown lane '%s'" % head["lane"])
            head["needed"] = line.take_if("needed")
            if line.take_if("as"):
                head["wire"] = line.name("a command")
        block = {"family": family, "library": library, "letters": letters, "head": head, "lines": []}
        return Block("call '%s'" % family, line.where, block, self.note_line, self.end_call)

    @staticmethod
    def letters(op, since, line):
        """Those that follow, each with its call's number and since-version."""
        letters = []
        while line.peek() in LETTERS:
            letters.append((line.take("letter"), op + len(letters) if op is not None else None, since))
        if not letters:
            line.fail("'each' needs letters: %s" % " ".join(LETTERS))
        return letters

    def number_of(self, library, line):
        number = line.number("number")
        if not 1 <= number < OPS_PER_LIBRARY:
            line.fail("call number %d is not between 1 and %d" % (number, OPS_PER_LIBRARY - 1))
        since = 1
        if line.take_if("since"):
            since = line.number("since-version")
        return library.number * OPS_PER_LIBRARY + number, since

    @staticmethod
    def note_line(block, word, line):
        """A family's block is read once for each letter."""
        block["lines"].append((word, list(line.words), line.where))
        line.words = []

    def end_call(self, block, end):
        for letter, op, since in block["letters"]:
            name = block["family"].replace("@", letter or "")
            head = dict(block["head"])
            if head["wire"] and letter:
                end.fail("a family's commands are named after its calls")
            call = Call(end.where, name, block["library"], None, op, since, **head)
            element = LETTERS.get(letter)
            for word, words, where in block["lines"]:
                line = self.LINE(where, "")
                line.words = list(words)
                if letter:
                    line.words = [{"T": element, "R": REAL[element]}.get(w, w) for w in words]
                    line.words = [w.replace("sizeof(T)", str(BYTES[element])).replace("@", letter) for w in line.words]
                self.in_call(call, word, line)
                line.done()
            self.keep(call, end)

    def in_call(self, call, word, line):
        if word == "doc":
            if call.doc:
                line.fail("call '%s' has two docs" % call.name)
            call.doc = line.text("documentation")
        elif word in ("current", "frees", "moded", "host"):
            setattr(call, word, True)
        elif word == "own":
            side = line.take("'guest' or 'worker'")
            if side not in ("guest", "worker"):
                line.fail("'guest' or 'worker' expected, not '%s'" % side)
            call.own.add(side)
        elif word == "returns":
            call.returns = line.quoted("a C type")
        elif word == "form":
            call.form = line.take("ptds or ptsz")
            if call.form not in ("ptds", "ptsz"):
                line.fail("'ptds' or 'ptsz' expected, not '%s'" % call.form)
        elif word == "check":
            each = line.name("a parameter", self.C_NAME) if line.take_if("each") else None
            expression = line.quoted("an expression")
            line.expect("else")
            status = line.name("a status", self.C_NAME)
            call.checks.append((expression, status, each, line.name("a parameter", self.C_NAME) if line.take_if("at") else None))
        elif word == "cost":
            call.cost = []
            while line.more():
                call.cost.append(line.take("expression").strip('"'))
            if len(call.cost) > 7:
                line.fail("a cost has up to 7 numbers")
        else:
            self.param(call, word, line)

    ROLES = ("object", "new", "drop", "in", "out", "scalar", "result", "memory", "array", "numbers", "stream", "info")

    def param(self, call, role, line):
        if role not in self.ROLES:
            line.fail("unknown statement '%s' in call '%s'" % (role, call.name))
        p = Param(line.where, role, line.name("a parameter", self.C_NAME))
        if p.name in parse.C_WORDS or p.name in OWN_WORDS:
            line.fail("'%s' is a reserved name" % p.name)
        if any(o.name == p.name for o in call.params):
            line.fail("parameter '%s' is already defined" % p.name)
        getattr(self, "role_" + role, self.role_object)(p, call, line)
        call.params.append(p)

    def handle_type(self, line):
        name = line.name("a handle type")
        if name not in self.api.handles:
            line.fail("unknown handle type '%s'" % name)
        return self.api.handles[name]

    def role_object(self, p, call, line):
        p.handle = self.handle_type(line)
        p.ctype = self.api.objects[p.handle.name].ctype if p.handle.name in self.api.objects else "CU" + p.handle.name
        if p.role in ("new", "drop") and p.handle.name not in self.api.objects:
            line.fail("'%s' needs an 'object' block for handle type '%s'" % (p.role, p.handle.name))

    def role_stream(self, p, call, line):
        p.ctype = "CUstream"

    def role_info(self, p, call, line):
        p.ctype = "int"

    def number_type(self, word, line, p=None):
        """p: a parameter that may be a dimension."""
        if word == "dim" and p:
            p.dim = True
            return "i64", "int"
        if word == "enum":
            ctype = line.name("a C type", self.C_NAME)
            return "i32" if line.take_if("signed") else "u32", ctype
        if word not in TYPES:
            line.fail("unknown type '%s'" % word)
        return TYPES[word]

    def role_in(self, p, call, line):
        p.kind, p.ctype = self.number_type(line.take("type"), line, p)
        found = line.options(("min", "max", "bits", "typical"))
        p.lo, p.hi, p.bits, p.typical = (found.get(w) for w in ("min", "max", "bits", "typical"))
        if line.take_if("as"):
            p.ctype = line.quoted("a C type")

    def role_out(self, p, call, line):
        p.kind, p.ctype = self.number_type(line.take("type"), line)
        p.optional = line.take_if("optional")
        if not call.awaited and call.op is not None:
            line.fail("'out' in the one-way call '%s'" % call.name)

    def element(self, p, line, must=True):
        """TYPE, or void: the type behind a pointer; its bytes."""
        word = line.take("type")
        if word == "void":
            p.ctype = "void"
            return None
        p.kind, p.ctype = ELEMENTS[word] if word in ELEMENTS else self.number_type(word, line, p if p.role == "result" else None)
        return BYTES[p.kind]

    def role_scalar(self, p, call, line):
        size = self.element(p, line)
        if size is None:
            line.expect("bytes")
            p.bytes = line.quoted("an expression")
        found = line.options(("typical", "count", "most"))
        p.typical, p.many = found.get("typical"), found.get("count", 1)
        p.bytes = p.bytes or str(p.many * size)
        p.words = max(2, (found.get("most", p.many * (size or 0)) + 7) // 8)
        if p.words > SCALAR_WORDS:
            line.fail("a number by pointer has up to %d bytes" % (8 * SCALAR_WORDS))

    def role_result(self, p, call, line):
        size = self.element(p, line)
        if size is None:
            line.expect("bytes")
        p.bytes = line.quoted("an expression") if size is None else "wide ? 8 : 4" if p.dim else str(size)
        p.write = True

    def role_memory(self, p, call, line):
        mode = line.take("'read' or 'write'")
        if mode not in ("read", "write"):
            line.fail("'read' or 'write' expected, not '%s'" % mode)
        p.write = mode == "write"
        size = self.element(p, line)
        if line.take_if("count"):
            if size is None:
                line.fail("'count' needs a type")
            p.bytes = "%d * (%s)" % (size, line.quoted("an expression"))
        else:
            line.expect("bytes")
            p.bytes = line.quoted("an expression")
        p.optional = line.take_if("optional")

    def role_array(self, p, call, line):
        name = line.name("a record")
        if name not in self.api.records:
            line.fail("unknown record '%s'" % name)
        p.record = self.api.records[name]
        p.ctype = p.record.ctype
        line.expect("count")
        p.count = line.name("a parameter", self.C_NAME)
        p.hi = line.options(("max",)).get("max")
        if not p.hi or p.hi > ARRAY_MAX:
            line.fail("an array needs 'max', up to %d" % ARRAY_MAX)

    def role_numbers(self, p, call, line):
        if line.take_if("void"):
            p.ctype = "void"
            line.expect("bytes")
            p.bytes = line.quoted("an expression")
            found = line.options(("most",))
        else:
            p.kind, p.ctype = self.number_type(line.take("type"), line)
            line.expect("count")
            p.count = line.name("a parameter", self.C_NAME)
            found = line.options(("most", "min", "max", "typical"))
        p.lo, p.hi, p.most, p.typical = (found.get(w) for w in ("min", "max", "most", "typical"))
        if not p.most:
            line.fail("'numbers' needs 'most'")

    # ---- a whole call

    def keep(self, call, line):
        if not call.doc:
            line.fail("call '%s' has no doc" % call.name)
        self.fresh(self.api.calls, call.name, "call", line)
        self.api.calls[call.name] = call
        counts = {p.count for p in call.of("array", "numbers") if p.count} | {each for _, _, each, _ in call.checks if each}
        for name in counts - {p.name for p in call.of("in")}:
            line.fail("'%s' is no number of call '%s'" % (name, call.name))
        if call.wide and not call.by_hand:
            call.params.append(Param(line.where, "in", "wide", "u32", "unsigned int", hi=1, form=True))
        if call.op is None:
            return
        if call.host and not (call.object and call.works):
            line.fail("'host' needs an object and 'cost'")
        if call.works and (call.lane != "gpu" or not (call.object or call.of("stream"))):
            line.fail("'cost' is for lane gpu and a call with a stream or an object")
        if call.of("scalar", "result") and not (call.object and call.works):
            line.fail("numbers by pointer need an object and 'cost'")
        if call.of("numbers") and (call.awaited or call.lane != "gpu"):
            line.fail("'numbers' are for one-way calls of lane gpu")
        if sum((p.size * p.most + 7) // 8 * 8 for p in call.of("numbers")) > PACKED_MAX:
            line.fail("the numbers of call '%s' may be more than %d bytes" % (call.name, PACKED_MAX))
        if call.moded and not (call.object and call.works):
            line.fail("'moded' needs an object and 'cost'")
        call.wire = call.wire or snake(call.name)
        call.command = self.lower(call, line)

    WORDS = ("", "_high", "_2", "_3", "_4")  # of a scalar's fields

    def lower(self, call, line):
        """The command that carries the call."""
        c = Command(call.where, call.wire, call.op, call.since, call.awaited, False, call.lane, doc=call.doc, frees=call.frees)
        self.fresh(self.api.commands, c.name, "command", line)
        if c.op in self.ops:
            line.fail("number %d is already the command '%s'" % (c.op, self.ops[c.op]))
        if c.since < 1:
            line.fail("since-version %d is not positive" % c.since)
        self.ops[c.op] = c.name

        def add(way, name, kind, **more):
            c.fields.append(Field(call.where, way, name, kind, **more))

        handles = self.api.handles
        # Work, and what must keep its place among work, names its context and stream.
        if call.in_stream or call.current or call.of("new"):
            add("in", "ctx", "handle", types=[handles["ctx"]])
        if call.in_stream:
            add("in", "stream", "handle", types=[handles["stream"]], optional=True)
            c.target = {"ctx": "ctx", "stream": "stream"}
            c.gate = "kernel" if call.works else None
        if call.mode:
            add("in", "mode", "u32", hi=1)
        for p in call.params:
            if p.role in ("object", "drop"):
                add("in", p.name, "handle", types=[p.handle])
            elif p.role == "in" and p.kind:
                add("in", p.name, p.kind, lo=p.lo, hi=p.hi, bits=p.bits)
            elif p.role == "scalar":
                for i in range(p.words):
                    add("in", p.name + self.WORDS[i], "u64")
            elif p.role in ("memory", "result"):
                add("in", p.name, "u64")
            elif p.role == "array":
                add("in", p.name, "bytes", hi=p.hi * self.api.structs[p.record.name].size)
        if call.of("numbers"):
            # Of all of them one after the other: inside the record, or many in the arena, which the guest has again when the mark comes.
            add("in", "packed", "bytes", hi=self.api.const("INLINE_MAX", 4096))
            add("in", "large", "arena", mode="read", hi=PACKED_MAX, optional=True)
            c.mark = True
        for p in call.of("new"):
            add("new", p.name, "handle", types=[p.handle])
        for p in call.of("out"):
            add("out", p.name, p.kind)
        c.request = parse.layout(c.ins)
        c.reply = parse.layout(c.outs) if c.awaited else None
        self.api.commands[c.name] = c
        return c


def parse_files(paths):
    return parse.parse_files(paths, CallReader())


def expression(text, names, arrays=None, where=None, element=None):
    """A C expression over parameters, in numbers so wide that no product of them wraps round. arrays: of numbers, with the name of the
    function that adds them up; element: the index of which one is meant."""
    def added(m):
        if m[1] not in (arrays or {}):
            raise DescriptionError(where, "sum(%s): no such numbers" % m[1])
        return "SUM%d_" % list(arrays).index(m[1])

    def replace(m):
        if m[0] in FUNCTIONS:
            return "pvgpu_" + m[0]
        if m[0] in (arrays or {}):
            if element is None:
                raise DescriptionError(where, "'%s' are many numbers: 'sum(%s)', or 'check each'" % (m[0], m[0]))
            return "W(a->%s[%s])" % (m[0], element)
        if re.fullmatch(r"SUM\d+_", m[0]):
            return "%s(a)" % list(arrays.values())[int(m[0][3:-1])]
        return "W(a->%s)" % m[0] if m[0] in names else m[0]
    if re.search(r"[;{}\"'=](?!=)", re.sub(r"[=!<>]=", "", text)):
        raise DescriptionError(where, "'%s' is no expression" % text)
    text = re.sub(r"\bsum\((\w+)\)", added, text)
    return re.sub(r"\b[A-Za-z_][A-Za-z0-9_]*\b", replace, text)


def sums(call):
    """The functions that add up numbers of a call."""
    return {p.name: "sum_%s_%s" % (call.wire_name, p.name) for p in call.of("numbers") if p.kind}
