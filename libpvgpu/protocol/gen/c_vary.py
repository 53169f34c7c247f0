# SPDX-License-Identifier: MIT
"""pvgpu_vary_LIBRARY.h: each call with arguments that vary, for tests/programs/conform.c: odd sizes, distances and signs, all operations, types that go
together and types that do not, numbers by pointer here or on the device, and either width of its numbers.

The run on the far end's library and that through pvgpu draw the same numbers.
"""
import c_conform
from c_conform import number, value
from c_stubs import wrap
from c_wire import BANNER


def can(call):
    """Has the call an argument that varies? c_conform makes the others, which have one form."""
    return call.works and call.object and not call.host and call.of("memory")


def drawn(p):
    """An expression for one number."""
    if p.ctype == "cudaDataType_t":
        return "conform_type(r, type)"
    if p.ctype == "cublasComputeType_t":
        return "conform_compute(r, type)"
    if p.name.startswith("ld"):
        return "conform_below(r, 8) + 4"
    if p.name.startswith("inc"):
        return "conform_below(r, 7) - 3"
    if p.name.startswith("stride"):
        return "conform_below(r, 64)"
    if "atch" in p.name or "group" in p.name:
        return "conform_below(r, 4)"
    if p.kind in ("u32", "i32", "i64") and p.lo in (None, 0):
        return "conform_below(r, %d)" % (9 if p.hi is None else p.hi + 1)
    return str(number(p))


def declaration(p, index, call):
    if p.role == "in" and p.kind and not p.form:
        kind = "int64_t" if p.dim else p.ctype
        return "%s %s = (%s)(%s);" % (kind, p.name, kind, drawn(p)), p.name
    if p.role == "numbers" and p.kind and p.kind[0] in "ui":
        numbers = ", ".join(["(%s)(%s)" % (p.ctype, drawn(p))] * 4)
        return "%s %s_is[4] = {%s}; const %s *%s = %s_is;" % (p.ctype, p.name, numbers, p.ctype, p.name, p.name), p.name
    return value(p, index, call)


def vary(call):
    places = {p.name: i for i, p in enumerate(call.of("memory"))}
    made = [declaration(p, places.get(p.name, 0), call) for p in call.params]
    words = [n for _, n in made if n]
    tables = [i for i, p in enumerate(call.of("memory")) if p.ctype == "uint64_t"]
    pointed = call.of("scalar", "result")
    lines = ["static void vary_%s(const struct conform *with, struct random *r)" % call.wire_name, "{"]
    lines += ["\tconst int type = conform_any_type(r);"]
    lines += ["\t" + text for text, _ in made if text]
    lines += ["\tconst int device = %s;" % ("conform_below(r, 2)" if pointed else "0"), "\tint status;", "", "\t(void)type;", "\tconform_begin(with);"]
    lines += ["\tconform_addresses(with, %d, %d);" % (i, n) for n, i in enumerate(tables)]
    if pointed:
        lines += ["\tif (device) {", "\t\tconform_mode(with, 1);"]
        lines += ["\t\t%s = conform_number_at(with, %d, %s_is, sizeof(%s_is));" % (p.name, i, p.name, p.name) for i, p in enumerate(pointed)]
        lines.append("\t}")
    calls = [wrap("CALL(%s)(" % name, words) + ")" for name in call.names]
    if call.wide:
        lines += ["\tif (conform_below(r, 2))", "\t\tstatus = (int)%s;" % calls[1], "\telse", "\t\tstatus = (int)%s;" % calls[0]]
    else:
        lines.append("\tstatus = (int)%s;" % calls[0])
    lines.append("\tconform_status(with, \"%s, varied\", status);" % call.name)
    lines += ["\tif (!device)", *["\t\tconform_words(\"%s\", %s_is);" % (p.name, p.name) for p in call.of("result")]] if call.of("result") else []
    lines += ["\tconform_number(\"%s\", (double)%s_is);" % (p.name, p.name) for p in call.of("info")]
    lines += ["\tconform_no_addresses(with, %d);" % i for i in tables]
    lines += ["\tconform_memory(with);", "\tif (device)", "\t\tconform_mode(with, 0);"]
    return lines + ["}", ""]


def vary_h(api, library):
    calls = [c for c in api.calls.values() if c.library is library and c_conform.can(c) and can(c)]
    lines = [BANNER]
    for c in calls:
        lines += vary(c)
    lines += ["static void vary_%s_all(const struct conform *with, struct random *r)" % library.name, "{"]
    return "\n".join(lines + ["\tvary_%s(with, r);" % c.wire_name for c in calls] + ["}"]) + "\n"
