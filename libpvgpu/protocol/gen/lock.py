# SPDX-License-Identifier: MIT
"""numbers.lock: what may not change any more.

    released N                                        highest protocol version that has been released, 0 for none
    const NAME VALUE                                  all but PROTOCOL_VERSION
    handle NUMBER NAME
    struct NAME SHAPE
    NUMBER NAME SINCE LANE oneway|mark|awaited SHAPE  a command
    NUMBER NAME reserved                              a command that is gone; its number is never used again

A shape is a hash over everything in the description but documentation. Without --relock every difference is refused. --relock
takes over what differs in commands whose since-version is above `released` (and new ones of such a version), and in constants,
handle types and structures while nothing is released; new ones of those are always taken over. `wire.py --release` sets
`released` to PROTOCOL_VERSION.
"""
import hashlib
from parse import ApiError

HEADER = "# The wire contract's numbers and shapes; written by wire.py --relock, explained in gen/lock.py.\n"


def digest(words):
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:16]


def command_shape(c):
    words = []
    for f in c.fields:
        words.append(" ".join(str(w) for w in (
            f.way, f.name, f.kind, f.lo, f.hi, f.bits, f.optional, f.mode, [t.number for t in f.types])))
    return digest(words)


def struct_shape(s):
    return digest("%s %s %d %d" % (m.name, m.ctype, m.count, m.offset) for m in s.members)


def command_way(c):
    return "awaited" if c.awaited else "mark" if c.mark else "oneway"


class Lock:
    def __init__(self):
        self.released = 0
        self.consts, self.handles, self.structs = {}, {}, {}  # name: word
        self.commands = {}  # number: list of words after the number
        self.lines = {}  # a line's first two words: where it stands in the file

    def text(self):
        lines = ["released %d" % self.released]
        lines += ["const %s %s" % item for item in self.consts.items()]
        lines += ["handle %s %s" % (n, name) for name, n in self.handles.items()]
        lines += ["struct %s %s" % item for item in self.structs.items()]
        lines += ["%d %s" % (op, " ".join(words)) for op, words in sorted(self.commands.items())]
        return HEADER + "\n".join(lines) + "\n"


def read(path):
    lock = Lock()
    try:
        with open(path, encoding="utf-8") as stream:
            lines = stream.read().splitlines()
    except FileNotFoundError:
        return lock
    for number, line in enumerate(lines, 1):
        words = line.split("#")[0].split()
        try:
            read_line(lock, words)
            lock.lines[" ".join(words[:2])] = number
        except (ValueError, IndexError):
            raise ApiError((path, number), "cannot read '%s'" % line) from None
    return lock


def read_line(lock, words):
    if not words:
        return
    if words[0] == "released":
        lock.released = int(words[1])
    elif words[0] == "handle":
        lock.handles[words[2]] = words[1]
    elif words[0] in ("const", "struct"):
        getattr(lock, words[0] + "s")[words[1]] = words[2]
    else:
        op = int(words[0])
        if op in lock.commands or len(words) != (3 if words[2] == "reserved" else 6):
            raise ValueError
        lock.commands[op] = words[1:]


def wanted(api, released):
    lock = Lock()
    lock.released = released
    lock.consts = {c.name: str(c.value) for c in api.consts.values() if c.name != "PROTOCOL_VERSION"}
    lock.handles = {h.name: str(h.number) for h in api.handles.values()}
    lock.structs = {s.name: struct_shape(s) for s in api.structs.values()}
    lock.commands = {c.op: [c.name, str(c.since), c.lane, command_way(c), command_shape(c)] for c in api.commands.values()}
    return lock


def check(api, lock, path, relock):
    """The lock as it should be; ApiError for a difference that is not allowed."""
    new = wanted(api, lock.released)
    hint = "" if relock else "; while its version is not released, wire.py --relock takes it over"
    for table, what in (("consts", "constant"), ("handles", "handle type"), ("structs", "structure")):
        check_names(lock, getattr(lock, table), getattr(new, table), getattr(api, table), what, path, relock)
    taken = {words[0]: op for op, words in lock.commands.items() if words[1] != "reserved"}
    for c in api.by_op():
        old = lock.commands.get(c.op)
        if old and old[1] == "reserved":
            raise ApiError(c.where, "number %d is reserved: it was '%s'" % (c.op, old[0]))
        if old == new.commands[c.op]:
            continue
        if old and old[0] != c.name:
            message, since = "number %d is locked as '%s'" % (c.op, old[0]), int(old[1])
        elif old:
            message, since = "command '%s' differs from its lock (%s)" % (c.name, differs(old, new.commands[c.op])), int(old[1])
        elif c.name in taken:
            at = taken[c.name]
            message, since = "command '%s' is locked as number %d" % (c.name, at), int(lock.commands[at][1])
        else:
            message, since = "command '%s' = %d is not in the lock" % (c.name, c.op), c.since
        if not relock or min(since, c.since) <= lock.released:
            raise ApiError(c.where, message + (hint if min(since, c.since) > lock.released else
                                               "; version %d is released" % min(since, c.since)))
    for op, old in lock.commands.items():
        if old[1] == "reserved" or (op in new.commands and new.commands[op][0] == old[0]):
            new.commands.setdefault(op, old)
            continue
        if not relock or int(old[1]) <= lock.released:
            raise ApiError((path, lock.lines["%d %s" % (op, old[0])]), "command '%s' = %d is locked but not described%s" % (
                old[0], op, "; version %s is released" % old[1] if int(old[1]) <= lock.released else hint))
        # A number that another command has taken over before any release needs no reservation.
        new.commands.setdefault(op, [old[0], "reserved"])
    return new


def differs(old, new):
    names = ("name", "since", "lane", "kind", "shape")
    return ", ".join(n for n, a, b in zip(names, old, new) if a != b)


def check_names(lock, old, new, described, what, path, relock):
    free = relock and not lock.released
    for name, word in new.items():
        if name not in old and not relock:
            raise ApiError(described[name].where, "%s '%s' is not in the lock; wire.py --relock adds it" % (what, name))
        if name in old and old[name] != word and not free:
            raise ApiError(described[name].where, "%s '%s' differs from its lock" % (what, name))
        number_taken = what == "handle type" and [n for n, w in old.items() if w == word and n != name]
        if number_taken and not free:
            raise ApiError(described[name].where, "handle type number %s is locked as '%s'" % (word, number_taken[0]))
    for name in old:
        if name not in new and not free:
            key = {"constant": "const " + name, "handle type": "handle " + old[name], "structure": "struct " + name}[what]
            raise ApiError((path, lock.lines[key]), "%s '%s' is locked but not described" % (what, name))
