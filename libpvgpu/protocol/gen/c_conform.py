# SPDX-License-Identifier: MIT
"""pvgpu_conform_LIBRARY.h: each call with right and with wrong arguments, for tests/programs/conform.c.

The same program runs on the far end's library and through pvgpu; what it prints must be the same.
"""
from c_stubs import wrap
from c_wire import BANNER
from parse import SCALARS


def number(p):
    if p.typical is not None:
        return p.typical
    low, high = p.limits() if SCALARS[p.kind][2] is not None else (1, 1)
    return p.bits & -p.bits if p.bits else min(max(1, low), high) if p.hi is None else low


def wrong(p, call):
    """Values at the edges and beyond them: the library itself says what each gives."""
    if p.kind not in ("u32", "i32", "i64"):
        return []
    if any(q.count == p.name for q in call.of("numbers")):
        return [-1] if p.kind != "u32" else []  # as many as there are, or none
    values = [v for v in (p.lo, p.hi) if v is not None]
    values += [p.hi + 1] if p.hi is not None else []
    values += [p.lo - 1] if p.lo is not None and p.kind != "u32" else []
    values += [-1] if p.kind != "u32" else []
    return sorted(set(v for v in values if v != number(p)))


def value(p, index, call):
    """The declaration of an argument; what the call is given."""
    n = p.name
    if p.role == "numbers":
        kind = p.ctype if p.kind else "float"
        one = "(%s)%d" % (kind, number(p) if p.typical is not None or SCALARS[p.kind][2] is not None else 2) if p.kind else "2"
        return "%s %s_is[4] = {%s, %s, %s, %s}; const %s *%s = %s_is;" % (kind, n, one, one, one, one, p.ctype, n, n), n
    if p.role in ("object", "drop"):
        return "%s %s = (%s)with->%s;" % (p.ctype, n, p.ctype, p.handle.name), n
    if p.role == "in" and not p.kind:
        return "%s %s = NULL;" % (p.ctype, n), n
    if p.role == "in":
        return "%s %s = (%s)%d;" % (p.ctype, n, p.ctype, number(p)), n
    if p.role == "out":
        return "%s %s_is = 0, *%s = &%s_is;" % (p.ctype, n, n, n), n
    if p.role == "result":
        return "%s %s_is = 0, *%s = &%s_is;" % (p.ctype, n, n, n), n
    if p.role == "scalar":
        kind = "float" if p.ctype == "void" else p.ctype
        return "const %s %s_is = 2, *%s = &%s_is;" % (kind, n, n, n), n
    address = "with->memory + %d" % (index << 12)
    if p.ctype == "CUdeviceptr":
        return "CUdeviceptr %s = %s;" % (n, address), n
    return "%s *%s = (%s *)(uintptr_t)(%s);" % (p.ctype, n, p.ctype, address), n


def can(call):
    return not call.by_hand and not call.of("new", "drop", "array", "stream")


def conform(call):
    lines = ["static void conform_%s(const struct conform *with)" % call.wire_name, "{"]
    made = [value(p, i, call) for i, p in enumerate(call.params)]
    lines += ["\t" + text for text, _ in made]
    text = wrap("CALL(%s)(" % call.name, [name for _, name in made]) + ")"
    lines += ["", "\tconform_begin(with);"]
    tables = [i for i, p in enumerate(call.params) if p.role == "memory" and p.ctype == "uint64_t"]
    lines += ["\tconform_addresses(with, %d, %d);" % (i, n) for n, i in enumerate(tables)]
    lines += ["\tconform_status(with, \"%s\", (int)%s);" % (call.name, text)]
    lines += ["\tconform_number(\"%s\", (double)%s_is);" % (p.name, p.name) for p in call.of("out", "result") if p.kind and not call.own]
    # Addresses are others each time: they are not there when what lies in the memory is shown.
    lines += ["\tconform_no_addresses(with, %d);" % i for i in tables] + ["\tconform_memory(with);"]
    lines += ["\tconform_addresses(with, %d, %d);" % (i, n) for n, i in enumerate(tables)]
    for p in call.params:
        tries = wrong(p, call) if p.role == "in" and p.kind else ["NULL"] if p.role in ("out", "result", "scalar", "object") else []
        for v in tries:
            shown = v if v != "NULL" else "0"
            lines += ["\t%s = %s;" % (p.name, v if v == "NULL" else "(%s)%s" % (p.ctype, v)),
                      "\tconform_status(with, \"%s, %s %s\", (int)%s);" % (call.name, p.name, shown, text)]
        if tries:
            lines.append("\t%s;" % {"in": "%s = (%s)%d" % (p.name, p.ctype, number(p) if p.kind else 0),
                                    "object": "%s = (%s)with->%s" % (p.name, p.ctype, p.handle.name if p.handle else "")}.get(
                p.role, "%s = &%s_is" % (p.name, p.name)))
    for p in call.of("numbers"):
        for v in wrong(p, call):
            lines += ["\t%s_is[0] = (%s)%s;" % (p.name, p.ctype, v), "\tconform_status(with, \"%s, %s[0] %s\", (int)%s);" % (call.name, p.name, v, text),
                      "\t%s_is[0] = %s_is[1];" % (p.name, p.name)]
        lines += ["\t%s = NULL;" % p.name, "\tconform_status(with, \"%s, %s 0\", (int)%s);" % (call.name, p.name, text), "\t%s = %s_is;" % (p.name, p.name)]
    if call.sets:
        lines.append("\tconform_status(with, \"%s again\", (int)%s);" % (call.name, text))
    return lines + ["}", ""]


def conform_h(api, library):
    calls = [c for c in api.calls.values() if c.library is library and can(c)]
    lines = [BANNER]
    for c in calls:
        lines += conform(c)
    lines += ["static void conform_%s_all(const struct conform *with)" % library.name, "{"]
    return "\n".join(lines + ["\tconform_%s(with);" % c.wire_name for c in calls] + ["}"]) + "\n"
