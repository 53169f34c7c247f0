# SPDX-License-Identifier: MIT
"""What keys.lock has of the keys; libpvgpu/tools/lock.py says what that means.

    KIND NAME SINCE SHAPE   KIND: tree, key, field (of a record), value (of an enumeration or flag set)

A shape is everything that the other end relies on: type, range, default, number. So a value that an old guest or toolstack writes keeps
its meaning.
"""
from lock import Fact, Kind

LOCK = {
    "header": "The keys' names and shapes; written by schema.py --relock, explained in gen/keys_lock.py.",
    "tool": "schema.py",
    "kinds": {"tree": Kind("tree", grows=True), **{kind: Kind(kind) for kind in ("key", "field", "value")}},
}


def shape(thing):
    words = [thing.type, "min=%d" % thing.lo, "max=%d" % thing.hi] + ["or=0"] * thing.zero
    if thing.default is not None:
        words.append("default=%s" % (thing.default or "''"))
    if getattr(thing, "of", None):
        words.append("of=%s" % thing.of.name)
    if hasattr(thing, "owner"):
        words.append("owner=%s writer=%s" % (thing.owner, ",".join(thing.writers)))
    return " ".join(words)


def facts(schema):
    found = []
    for n in schema.names.values():
        found += [Fact("value", "%s/%s" % (n.name, v.name), v.since, str(v.number), v.where) for v in n.values.values()]
    found += [Fact("tree", t.name, 1, t.path, t.where) for t in schema.trees.values()]
    for k in schema.keys.values():
        found.append(Fact("key", k.full, k.since, shape(k), k.where))
        found += [Fact("field", "%s/%s" % (k.full, f.name), f.since, shape(f), f.where) for f in k.fields]
    return found
