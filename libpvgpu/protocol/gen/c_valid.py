# SPDX-License-Identifier: MIT
"""pvgpu_valid_LIBRARY.h: the numbers of each call and the one validator of them, for guest and worker."""
from c_stubs import bounds
from c_wire import BANNER
from calls import expression
from parse import SCALARS

HEAD = """#ifndef PVGPU_VALID_%(NAME)s_H
#define PVGPU_VALID_%(NAME)s_H

#include <stdint.h>
#include "pvgpu_wire.h"
#include "%(header)s"

/*
 * valid_X() is 0, or the status that the call answers. bytes_X_P() is how much memory there must be behind parameter P. Sums and
 * products are taken in 128 bits: none wraps round.
 */
#ifndef PVGPU_WIDE
#define PVGPU_WIDE
#define W(x) ((__int128)(x))

static inline uint64_t pvgpu_extent(__int128 n)
{
	return n < 0 ? 0 : n > UINT64_MAX ? UINT64_MAX : (uint64_t)n;
}

/* Elements from the first to the last: of n, inc apart; of a matrix by columns, ld apart; of count matrices, stride apart. */
static inline __int128 pvgpu_span(__int128 n, __int128 inc)
{
	return n > 0 ? (n - 1) * (inc < 0 ? -inc : inc) + 1 : 0;
}

static inline __int128 pvgpu_matrix(__int128 rows, __int128 columns, __int128 ld)
{
	return rows > 0 && columns > 0 ? (columns - 1) * ld + rows : 0;
}

static inline __int128 pvgpu_batch(__int128 one, __int128 stride, __int128 count)
{
	return one && count > 0 ? (count - 1) * stride + one : 0;
}
#endif
"""


def header(library):
    """The driver's header is ours; a library's prototypes are generated."""
    return "pvgpu_%s.h" % library.name if library.number else library.header


def structure(call):
    lines = ["struct args_%s {" % call.wire_name]
    lines += ["\t%s %s;" % (SCALARS[p.kind][0], p.name) for p in call.values()]
    return lines + ["};", ""]


def validator(call):
    names = {p.name for p in call.values()}
    lines = ["static inline int valid_%s(const struct args_%s *a)" % (call.wire_name, call.wire_name), "{"]
    for p in call.values():
        for test in bounds("a->" + p.name, p):
            lines += ["\tif (%s)" % test, "\t\treturn %s;" % call.library.invalid]
    for text, status in call.checks:
        lines += ["\tif (!(%s))" % expression(text, names, where=call.where), "\t\treturn %s;" % status]
    return lines + ["\treturn 0;", "}", ""]


def extents(call):
    names = {p.name for p in call.values()}
    lines = []
    for p in call.of("memory", "scalar", "result"):
        lines += ["static inline uint64_t bytes_%s_%s(const struct args_%s *a)" % (call.wire_name, p.name, call.wire_name), "{",
                  "\treturn pvgpu_extent(%s);" % expression(p.bytes, names, where=p.where), "}", ""]
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
    return bool(call.values() or call.of("memory", "scalar", "result"))


def valid_h(api, library):
    lines = [BANNER + HEAD % {"NAME": library.name.upper(), "header": header(library)}]
    mine = [c for c in api.calls.values() if c.library is library and not c.by_hand]
    for r in {id(p.record): p.record for c in mine for p in c.of("array")}.values():
        lines += record(r, library)
    for call in mine:
        if not has_values(call):
            continue
        lines += (structure(call) if call.values() else ["struct args_%s {" % call.wire_name, "\tint none;", "};", ""])
        lines += validator(call) + extents(call)
    return "\n".join(lines + ["#endif"]) + "\n"
