# SPDX-License-Identifier: MIT
"""The fields of `policy` in the man pages: as options of pvgpuctl, keys of pvgpud.conf, keys of pvgpud's tree.

A man page has lines MADE KIND and END; what stands between them is made here.
"""
import re
from lang import DescriptionError
import values

MADE = '.\\" policy fields, made by xenstore-schema/gen/schema.py --docs:'
END = '.\\" end of policy fields'
PAGES = ("pvgpuctl.8", "pvgpud.conf.5")
ARGS = {"size": "SIZE", "share": "P%", "enum": "WORD"}


def sentence(f):
    text = f.doc[0].upper() + f.doc[1:]
    return "%s.\nA value is %s (default %s)." % (text, values.allowed(f), f.default)


def options(fields):
    for f in fields:
        yield ".It Fl -%s Ar %s\n%s" % (f.name, ARGS.get(f.type, "N"), sentence(f))


def conf(fields):
    for f in fields:
        yield ".It Cm %s\n%s" % (f.name.replace("-", "_"), sentence(f))


def tree(fields):
    yield ".It Pa %s Pq w" % " , ".join("/vgpu/NAME/" * (i == 0) + f.name for i, f in enumerate(fields))


KINDS = {"options": options, "conf": conf, "tree": tree}


def page(schema, text, where):
    """The man page's text with its made parts as they should be."""
    fields = [f for f in schema.keys["backend/policy"].fields if not f.live]

    def part(m):
        if m[1] not in KINDS:
            raise DescriptionError((where, text.count("\n", 0, m.start()) + 1), "no such part: %s" % m[1])
        return "%s %s\n%s\n%s\n" % (MADE, m[1], "\n".join(KINDS[m[1]](fields)), END)
    return re.sub("^%s (.*)\n(?:.*\n)*?%s\n" % (re.escape(MADE), re.escape(END)), part, text, flags=re.M)
