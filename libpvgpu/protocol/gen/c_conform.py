# SPDX-License-Identifier: MIT
"""pvgpu_conform_LIBRARY.h: each call with right and with wrong arguments, for tests/programs/conform.c.

The same program runs on the far end's library and through pvgpu; what it prints must be the same.
"""
from c_stubs import wrap
from c_wire import BANNER
from parse import SCALARS


def number(p):
    if p.typical is not None or p.kind not in SCALARS:
        return p.typical or 0
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


def scalar(p):
    """A number by pointer, of whichever type; a modified rotation's begins with its form."""
    if p.ctype == "void":
        return "float", "2, 2, 2, 2, 2, 2, 2, 2, 2, 2", "[10]"
    if p.many > 1:
        return p.ctype, "-1, 2, 3, 4, 5", "[%d]" % p.many
    return p.ctype, {"c32": "2, 1", "c64": "2, 1", "f16": "0x4000"}.get(p.kind, "2"), "[1]"


def value(p, index, call):
    """The declaration of an argument; what the call is given. index: of device memory."""
    n = p.name
    if p.form:
        return "", None
    if p.role == "numbers":
        kind = p.ctype if p.kind else "float"
        one = "(%s)%d" % (kind, number(p) if p.typical is not None or SCALARS[p.kind][2] is not None else 2) if p.kind else "2"
        many = 4 if p.kind else 16  # as whichever type they are read: four of the largest
        return "%s %s_is[%d] = {%s, %s, %s, %s}; const %s *%s = %s_is;" % (kind, n, many, one, one, one, one, p.ctype, n, n), n
    if p.role in ("object", "drop"):
        return "%s %s = (%s)with->%s;" % (p.ctype, n, p.ctype, p.handle.name), n
    if p.role == "in" and not p.kind:
        return "%s %s = NULL;" % (p.ctype, n), n
    if p.role == "in":
        kind = "int64_t" if p.dim else p.ctype
        return "%s %s = (%s)%d;" % (kind, n, kind, number(p)), n
    if p.role in ("out", "info"):
        return "%s %s_is = 0, *%s = &%s_is;" % (p.ctype, n, n, n), n
    if p.role == "result":
        return "uint64_t %s_is[2] = {0}; void *%s = %s_is;" % (n, n, n), n
    if p.role == "scalar":
        kind, text, many = scalar(p)
        open_, close = ("{", "}") if kind.startswith("cu") else ("", "")
        return "const %s %s_is%s = {%s%s%s}, *%s = %s_is;" % (kind, n, many, open_, text, close, n, n), n
    if call.host:  # in host memory, as whichever type they are read
        return "float %s_is[12] = {3, 2, 1, 4, 5}; void *%s = %s_is;" % (n, n, n), n
    address = "with->memory + %d" % (index << 12)
    if p.ctype == "CUdeviceptr":
        return "CUdeviceptr %s = %s;" % (n, address), n
    return "%s *%s = (%s *)(uintptr_t)(%s);" % (p.ctype, n, p.ctype, address), n


def can(call):
    return not call.by_hand and not call.of("new", "drop", "array", "stream")


def restored(p):
    """The statement that makes an argument right again."""
    return {"in": "%s = (%s)%d" % (p.name, "int64_t" if p.dim else p.ctype, number(p) if p.kind else 0),
            "object": "%s = (%s)with->%s" % (p.name, p.ctype, p.handle.name if p.handle else ""),
            "result": "%s = %s_is" % (p.name, p.name), "scalar": "%s = %s_is" % (p.name, p.name)}.get(p.role, "%s = &%s_is" % (p.name, p.name))


def on_device(call, text, tables):
    """The same with the numbers by pointer in device memory."""
    numbers = call.of("scalar", "result") + (call.of("memory") if call.host else [])
    if not numbers or not call.object:
        return []
    lines = ["\tconform_begin(with);", "\tconform_mode(with, 1);"]
    lines += ["\tconform_addresses(with, %d, %d);" % (i, n) for n, i in enumerate(tables)]
    lines += ["\t%s = conform_number_at(with, %d, %s_is, sizeof(%s_is));" % (p.name, i, p.name, p.name) for i, p in enumerate(numbers)]
    lines += ["\tconform_status(with, \"%s, numbers on the device\", (int)%s);" % (call.name, text)]
    lines += ["\tconform_no_addresses(with, %d);" % i for i in tables] + ["\tconform_memory(with);", "\tconform_mode(with, 0);"]
    lines += ["\t%s = %s_is;" % (p.name, p.name) for p in numbers]
    return lines + ["\tconform_addresses(with, %d, %d);" % (i, n) for n, i in enumerate(tables)]


def conform(call, lent):
    """lent: the object that the call lends memory to, which it gives back, or None."""
    lines = ["static void conform_%s(const struct conform *with)" % call.wire_name, "{"]
    places = {}
    for p in call.of("memory"):
        places[p.name] = len(places)
    made = [value(p, places.get(p.name, 0), call) for p in call.params]
    lines += ["\t" + text for text, _ in made if text]
    texts = [(name, wrap("CALL(%s)(" % name, [n for _, n in made if n]) + ")") for name in call.names]
    text = texts[0][1]
    tables = [places[p.name] for p in call.of("memory") if p.ctype == "uint64_t"]
    lines += [""]
    for name, its in texts:
        lines += ["\tconform_begin(with);"]
        lines += ["\tconform_addresses(with, %d, %d);" % (i, n) for n, i in enumerate(tables)]
        lines += ["\tconform_status(with, \"%s\", (int)%s);" % (name, its)]
        lines += ["\tconform_number(\"%s\", (double)%s_is);" % (p.name, p.name) for p in call.of("out", "info") if (p.kind or p.role == "info") and not call.own]
        lines += ["\tconform_words(\"%s\", %s_is);" % (p.name, p.name) for p in call.of("result")]
        lines += ["\tconform_words(\"%s\", (const uint64_t *)(const void *)%s_is);" % (p.name, p.name) for p in call.of("memory") if call.host]
        # Addresses are others each time: they are not there when what lies in the memory is shown.
        lines += ["\tconform_no_addresses(with, %d);" % i for i in tables] + ["\tconform_memory(with);"]
        lines += ["\tconform_addresses(with, %d, %d);" % (i, n) for n, i in enumerate(tables)]
    lines += on_device(call, text, tables)
    for p in call.arguments:
        tries = wrong(p, call) if p.role == "in" and p.kind else ["NULL"] if p.role in ("out", "result", "scalar", "object", "info") else []
        for v in tries:
            shown = v if v != "NULL" else "0"
            lines += ["\t%s = %s;" % (p.name, v if v == "NULL" else "(%s)%s" % (p.ctype, v)),
                      "\tconform_status(with, \"%s, %s %s\", (int)%s);" % (call.name, p.name, shown, text)]
            lines += ["\tconform_number(\"%s\", (double)%s_is);" % (q.name, q.name) for q in call.of("info") if q is not p]
        if tries:
            lines.append("\t%s;" % restored(p))
    for p in call.of("numbers"):
        for v in wrong(p, call):
            lines += ["\t%s_is[0] = (%s)%s;" % (p.name, p.ctype, v), "\tconform_status(with, \"%s, %s[0] %s\", (int)%s);" % (call.name, p.name, v, text),
                      "\t%s_is[0] = %s_is[1];" % (p.name, p.name)]
        lines += ["\t%s = NULL;" % p.name, "\tconform_status(with, \"%s, %s 0\", (int)%s);" % (call.name, p.name, text), "\t%s = %s_is;" % (p.name, p.name)]
    if call.sets:
        lines.append("\tconform_status(with, \"%s again\", (int)%s);" % (call.name, text))
    if lent:
        lines.append("\tconform_status(with, \"%s, given back\", (int)CALL(%s)(%s, NULL));" % (call.name, lent.stream, call.object.name))
    return lines + ["}", ""]


def conform_h(api, library):
    calls = [c for c in api.calls.values() if c.library is library and can(c)]
    lines = [BANNER]
    for c in calls:
        lines += conform(c, api.lent_by(c))
    lines += ["static void conform_%s_all(const struct conform *with)" % library.name, "{"]
    return "\n".join(lines + ["\tconform_%s(with);" % c.wire_name for c in calls] + ["}"]) + "\n"
