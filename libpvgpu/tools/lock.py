# SPDX-License-Identifier: MIT
"""Lock files: what a description may not change any more.

    released N               highest version that has been released, 0 for none
    KIND NAME SINCE SHAPE    a shape is everything that the other end relies on
    reserved KIND/NUMBER SINCE NAME    the number of something that is gone; it is never used again

Without --relock every difference is refused. --relock takes over what differs where nothing released is touched: what was there
in a version up to `released` is never changed, renamed or taken away, and nothing new claims to have been. --release sets
`released` to the description's version.
"""
from dataclasses import dataclass

from lang import DescriptionError


@dataclass
class Kind:
    title: str            # in messages
    parts: tuple = ()     # the words of a shape, for messages; if the first is "number", no two of the kind have the same
    grows: bool = False   # without versions of its own (since is 1): a new one may come at any time
    reserves: bool = False  # the number of one that is gone stays reserved

    @property
    def numbered(self):
        return self.parts[:1] == ("number",)


@dataclass
class Fact:
    """One line of the lock, as the description wants it."""
    kind: str
    name: str
    since: int
    shape: str
    where: tuple


class Lock:
    def __init__(self, path, kinds, header, tool):
        """kinds: {word: Kind}; header: a comment; tool: who relocks."""
        self.path, self.kinds, self.header, self.tool = path, kinds, header, tool
        self.released = 0
        self.entries = {}  # (kind, name): (since, shape)
        self.lines = {}    # (kind, name): where it stands in the file
        self.holders = {}  # (kind, number): name

    def text(self):
        lines = ["# " + self.header, "released %d" % self.released]
        lines += ["%s %s %d %s" % (*entry, *word) for entry, word in self.entries.items()]
        return "\n".join(lines) + "\n"

    def read(self):
        try:
            with open(self.path, encoding="utf-8") as stream:
                lines = stream.read().splitlines()
        except FileNotFoundError:
            return
        for number, line in enumerate(lines, 1):
            words = line.split("#")[0].split(None, 3)
            try:
                if words[:1] == ["released"]:
                    self.released = int(words[1])
                elif words:
                    self.read_entry(words[0], words[1], int(words[2]), words[3])
                    self.lines[words[0], words[1]] = number
            except (ValueError, IndexError):
                raise DescriptionError((self.path, number), "cannot read '%s'" % line) from None

    def read_entry(self, kind, name, since, shape):
        of = self.kinds.get(kind)
        if not of and kind != "reserved" or (kind, name) in self.entries:
            raise ValueError
        if of and of.parts and len(shape.split()) != len(of.parts):
            raise ValueError
        if of and of.numbered and self.holders.setdefault((kind, int(shape.split()[0])), name) != name:
            raise ValueError
        self.entries[kind, name] = (since, shape)

    def update(self, facts, relock):
        """Becomes what the facts say; DescriptionError for a difference that is not allowed."""
        for fact in facts:
            self.compare(fact, relock)
        wanted = {(f.kind, f.name): (f.since, f.shape) for f in facts}
        reserved = {entry: word for entry, word in self.entries.items() if entry[0] == "reserved"}
        numbers = {(f.kind, f.shape.split()[0]) for f in facts}
        for (kind, name), (since, shape) in self.entries.items():
            if kind == "reserved":
                continue
            if (kind, name) not in wanted:
                self.refuse(since, self.called(kind, name, shape) + " is locked but not described",
                            (self.path, self.lines[kind, name]), relock)
            number = shape.split()[0]
            if self.kinds[kind].reserves and (kind, number) not in numbers:
                reserved["reserved", "%s/%s" % (kind, number)] = (since, name)
        self.entries = {**wanted, **reserved}

    def compare(self, fact, relock):
        kind, old = self.kinds[fact.kind], self.entries.get((fact.kind, fact.name))
        number = fact.shape.split()[0]
        holder = self.holders.get((fact.kind, int(number)), fact.name) if kind.numbered else fact.name
        gone = self.entries.get(("reserved", "%s/%s" % (fact.kind, number)))
        if gone:
            raise DescriptionError(fact.where, "%s number %s is reserved: it was '%s'" % (kind.title, number, gone[1]))
        if old == (fact.since, fact.shape):
            return
        if holder != fact.name:
            old = self.entries[fact.kind, holder]
            message = "%s number %s is locked as '%s'" % (kind.title, number, holder)
        elif old:
            message = "%s '%s' %s" % (kind.title, fact.name, differs(kind, old, fact))
        else:
            message = self.called(fact.kind, fact.name, fact.shape) + " is not in the lock"
        self.refuse(min(old[0], fact.since) if old else fact.since, message, fact.where, relock, kind.grows and not old)

    def called(self, kind, name, shape):
        number = " = " + shape.split()[0] if self.kinds[kind].numbered else ""
        return "%s '%s'%s" % (self.kinds[kind].title, name, number)

    def refuse(self, since, message, where, relock, grown=False):
        if since <= self.released and not grown:
            raise DescriptionError(where, "%s; version %d is released" % (message, since))
        if not relock:
            how = "%s --relock adds it" if grown else "while its version is not released, %s --relock takes it over"
            raise DescriptionError(where, message + "; " + how % self.tool)


def differs(kind, old, fact):
    if not kind.parts:
        return "differs from its lock: " + old[1]
    before, now = [[str(since), *shape.split()] for since, shape in (old, (fact.since, fact.shape))]
    names = [n for n, a, b in zip(("since", *kind.parts), before, now) if a != b]
    return "is locked as number " + before[1] if "number" in names else "differs from its lock (%s)" % ", ".join(names)
