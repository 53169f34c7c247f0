# SPDX-License-Identifier: MIT
"""pvgpu_valid_LIBRARY.h: the numbers of each call and the one validator of them, for guest and worker."""
from c_stubs import bounds
from c_wire import BANNER
from calls import expression, sums
from parse import SCALARS

HEAD = """#ifndef PVGPU_VALID_%(NAME)s_H
#define PVGPU_VALID_%(NAME)s_H

#include <stdint.h>
#include "pvgpu_wire.h"
#include "%(header)s"

/*
 * valid_X() is 0, or the status that the call answers. bytes_X_P() is how much memory there must be behind parameter P; packed_X()
 * how many bytes the numbers of a call are, and where those of each parameter begin: UINT64_MAX, they are too many. Sums and products
 * are taken in 128 bits, and none wraps round: what a function gives is 2^64 at most.
 */
#ifndef PVGPU_WIDE
#define PVGPU_WIDE
#define W(x) ((__int128)(x))

static inline uint64_t pvgpu_extent(__int128 n)
{
	return n < 0 ? 0 : n > UINT64_MAX ? UINT64_MAX : (uint64_t)n;
}

/* More than any memory is 2^64, so that what is made of it still fits: a type's size times it, or as many again. */
static inline __int128 pvgpu_most(__int128 n)
{
	return n > W(1) << 64 ? W(1) << 64 : n;
}

/* Elements from the first to the last: of n, inc apart; of a matrix by columns, ld apart; of count matrices, stride apart; of a triangle. */
static inline __int128 pvgpu_span(__int128 n, __int128 inc)
{
	return n > 0 ? pvgpu_most((n - 1) * (inc < 0 ? -inc : inc) + 1) : 0;
}

static inline __int128 pvgpu_matrix(__int128 rows, __int128 columns, __int128 ld)
{
	return rows > 0 && columns > 0 ? pvgpu_most((columns - 1) * ld + rows) : 0;
}

static inline __int128 pvgpu_batch(__int128 one, __int128 stride, __int128 count)
{
	return one && count > 0 ? pvgpu_most((count - 1) * stride + one) : 0;
}

static inline __int128 pvgpu_triangle(__int128 n)
{
	return n > 0 ? pvgpu_most(n * (n + 1) / 2) : 0;
}
#endif
"""


def header(library):
    """The driver's header is ours; a library's prototypes are generated."""
    return "pvgpu_%s.h" % library.name if library.number else library.header


def structure(call):
    lines = ["struct args_%s {" % call.wire_name]
    lines += ["\t%s %s;" % (SCALARS[p.kind][0], p.name) for p in call.values()]
    lines += ["\tconst %s *%s;" % (element(p), p.name) for p in call.of("numbers")]
    return lines + ["};", ""]


def element(p):
    """The type of one of these numbers."""
    return SCALARS[p.kind][0] if p.kind else "void"


def count_of(call, p):
    """How many of them there are, as an expression."""
    return "W(a->%s)" % p.count if p.count else "(%s)" % expression(p.bytes, {q.name for q in call.values()}, sums(call), where=p.where)


def added(call):
    """Sums of numbers that the call's expressions have."""
    text = " ".join([p.bytes for p in call.params if p.bytes] + [c[0] for c in call.checks] + (call.cost or []))
    lines = []
    for p in call.of("numbers"):
        if "sum(%s)" % p.name in text:
            lines += ["static inline __int128 %s(const struct args_%s *a)" % (sums(call)[p.name], call.wire_name), "{", "\t__int128 sum = 0;", "",
                      "\tfor (int64_t i = 0; i < %s; i++)" % count_of(call, p), "\t\tsum += a->%s[i];" % p.name, "\treturn sum;", "}", ""]
    return lines


def packed(call):
    """Where the numbers lie that travel together."""
    numbers = call.of("numbers")
    if not numbers:
        return []
    lines = ["static inline uint64_t packed_%s(const struct args_%s *a, uint64_t at[%d])" % (call.wire_name, call.wire_name, len(numbers)), "{",
             "\tuint64_t bytes = 0;", ""]
    for i, p in enumerate(numbers):
        lines += ["\tif (bytes_%s_%s(a) > %d)" % (call.wire_name, p.name, p.size * p.most), "\t\treturn UINT64_MAX;", "\tat[%d] = bytes;" % i,
                  "\tbytes += (bytes_%s_%s(a) + 7) / 8 * 8;" % (call.wire_name, p.name)]
    return lines + ["\treturn bytes;", "}", ""]


def validator(call):
    names = {p.name for p in call.values()}
    lines = ["static inline int valid_%s(const struct args_%s *a)" % (call.wire_name, call.wire_name), "{"]
    for p in call.values():
        for test in bounds("a->" + p.name, p):
            lines += ["\tif (%s)" % test, "\t\treturn %s;" % call.library.invalid]
    narrow = ["a->%s != (int32_t)a->%s" % (p.name, p.name) for p in call.of("in") if p.dim]
    if narrow:
        lines += ["\tif (!a->wide && (%s))" % " || ".join(narrow), "\t\treturn %s;" % call.library.invalid]
    for p in call.of("numbers"):
        tests = bounds("a->%s[i]" % p.name, p) if p.kind else []
        if tests:
            lines += ["\tfor (int64_t i = 0; i < %s; i++)" % count_of(call, p), "\t\tif (%s)" % " || ".join(tests), "\t\t\treturn %s;" % call.library.invalid]
    for text, status, each, _ in call.checks:
        test = "if (!(%s))" % expression(text, names, sums(call), where=call.where, element="i" if each else None)
        lines += (["\tfor (int64_t i = 0; i < W(a->%s); i++)" % each, "\t\t" + test, "\t\t\treturn %s;" % status] if each else
                  ["\t" + test, "\t\treturn %s;" % status])
    return lines + ["\treturn 0;", "}", ""]


def info(call):
    """Which parameter the validator refuses, as LAPACK counts and says it: -1 is the one behind the handle. 0: none, or none alone."""
    if not call.of("info"):
        return []
    places = {p.name: i for i, p in enumerate(call.arguments)}
    lines = ["static inline int info_%s(const struct args_%s *a)" % (call.wire_name, call.wire_name), "{"]
    for p in call.values():
        for test in bounds("a->" + p.name, p):
            lines += ["\tif (%s)" % test, "\t\treturn -%d;" % places[p.name]]
    for text, _, _, at in call.checks:
        if at:
            lines += ["\tif (!(%s))" % expression(text, {p.name for p in call.values()}, where=call.where), "\t\treturn -%d;" % places[at]]
    return lines + ["\treturn 0;", "}", ""]


def extents(call):
    names = {p.name for p in call.values()}
    lines = []
    for p in call.of("memory", "scalar", "result"):
        lines += ["static inline uint64_t bytes_%s_%s(const struct args_%s *a)" % (call.wire_name, p.name, call.wire_name), "{",
                  "\treturn pvgpu_extent(%s);" % expression(p.bytes, names, sums(call), where=p.where), "}", ""]
    for p in call.of("numbers"):
        lines += ["static inline uint64_t bytes_%s_%s(const struct args_%s *a)" % (call.wire_name, p.name, call.wire_name), "{",
                  "\treturn pvgpu_extent(%d * %s);" % (p.size, count_of(call, p)), "}", ""]
    return lines


def record(r, library):
    """The same for one element of an array."""
    names = {p.name for p in r.parts}
    lines = ["static inline int valid_%s(const struct pvgpu_%s *a)" % (r.name, r.name), "{"]
    for p in r.parts:
        for test in bounds("a->" + p.name, p) if p.role == "in" else []:
            lines += ["\tif (%s)" % test, "\t\treturn %s;" % library.invalid]
    lines += ["\treturn 0;", "}", ""]
    for p in r.parts:
        if p.role == "memory":
            lines += ["static inline uint64_t bytes_%s_%s(const struct pvgpu_%s *a)" % (r.name, p.name, r.name), "{",
                      "\treturn pvgpu_extent(%s);" % expression(p.bytes, names, where=p.where), "}", ""]
    return lines


def has_values(call):
    return bool(call.values() or call.of("memory", "scalar", "result", "numbers"))


def valid_h(api, library):
    lines = [BANNER + HEAD % {"NAME": library.name.upper(), "header": header(library)}]
    mine = [c for c in api.calls.values() if c.library is library and not c.by_hand]
    for r in {id(p.record): p.record for c in mine for p in c.of("array")}.values():
        lines += record(r, library)
    for call in mine:
        if not has_values(call):
            continue
        lines += (structure(call) if call.values() else ["struct args_%s {" % call.wire_name, "\tint none;", "};", ""])
        lines += added(call) + validator(call) + info(call) + extents(call) + packed(call)
    return "\n".join(lines + ["#endif"]) + "\n"
