# SPDX-License-Identifier: MIT
"""keys.lock: what may not change any more.

    released N              highest schema version that has been released, 0 for none
    KIND NAME SINCE SHAPE   KIND: tree, key, field (of a record), value (of an enumeration or flag set)

A shape is everything that the other end relies on: type, range, default, number. Without --relock every difference is refused.
--relock takes over what differs where nothing released is touched: a released key, field or value is never renamed, retyped or
taken away, so that what an old guest or toolstack writes keeps its meaning. `schema.py --release` sets `released` to the version.
"""
from describe import ApiError

HEADER = "# The keys' names and shapes; written by schema.py --relock, explained in gen/keys_lock.py.\n"
KINDS = ("tree", "key", "field", "value")


class Lock:
    def __init__(self):
        self.released = 0
        self.entries = {}  # (kind, name): (since, shape)
        self.lines = {}    # (kind, name): where it stands in the file

    def text(self):
        lines = ["released %d" % self.released]
        lines += ["%s %s %d %s" % (kind, name, since, shape) for (kind, name), (since, shape) in self.entries.items()]
        return HEADER + "\n".join(lines) + "\n"


def read(path):
    lock = Lock()
    try:
        with open(path, encoding="utf-8") as stream:
            lines = stream.read().splitlines()
    except FileNotFoundError:
        return lock
    for number, line in enumerate(lines, 1):
        words = line.split("#")[0].split(None, 3)
        if not words:
            continue
        entry = tuple(words[:2])
        try:
            if words[0] == "released":
                lock.released = int(words[1])
                continue
            if words[0] not in KINDS or entry in lock.entries:
                raise ValueError
            lock.entries[entry] = (int(words[2]), words[3])
            lock.lines[entry] = number
        except (ValueError, IndexError):
            raise ApiError((path, number), "cannot read '%s'" % line) from None
    return lock


def shape(thing):
    words = [thing.type, "min=%d" % thing.lo, "max=%d" % thing.hi]
    if thing.default is not None:
        words.append("default=%s" % (thing.default or "''"))
    if getattr(thing, "of", None):
        words.append("of=%s" % thing.of.name)
    if hasattr(thing, "owner"):
        words.append("owner=%s writer=%s" % (thing.owner, ",".join(thing.writers)))
    return " ".join(words)


def wanted(schema):
    """(kind, name): ((since, shape), where)"""
    found = {}
    for n in schema.names.values():
        for v in n.values.values():
            found["value", "%s/%s" % (n.name, v.name)] = (v.since, str(v.number)), v.where
    for t in schema.trees.values():
        found["tree", t.name] = (1, t.path), t.where
    for k in schema.keys.values():
        found["key", k.full] = (k.since, shape(k)), k.where
        for f in k.fields:
            found["field", "%s/%s" % (k.full, f.name)] = (f.since, shape(f)), f.where
    return found


def check(schema, lock, path, relock):
    """The lock as it should be; ApiError for a difference that is not allowed."""
    new = wanted(schema)
    for entry, (word, where) in new.items():
        old = lock.entries.get(entry)
        if old == word:
            continue
        message = "%s '%s' %s" % (*entry, "differs from its lock: %s" % old[1] if old else "is not in the lock")
        since = min(old[0], word[0]) if old else word[0]
        refuse(lock, since, message, where, relock, new=not old and entry[0] == "tree")
    for entry, old in lock.entries.items():
        if entry not in new:
            refuse(lock, old[0], "%s '%s' is locked but not described" % entry, (path, lock.lines[entry]), relock)
    result = Lock()
    result.released = lock.released
    result.entries = {entry: word for entry, (word, _) in new.items()}
    return result


def refuse(lock, since, message, where, relock, new=False):
    if since <= lock.released and not new:
        raise ApiError(where, message + "; version %d is released" % since)
    if not relock:
        raise ApiError(where, message + "; while its version is not released, schema.py --relock takes it over")
