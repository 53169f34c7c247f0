# SPDX-License-Identifier: MIT
"""pvgpu_attack_LIBRARY.h: the records of a library's calls as tables, for tests/hostile/attacks_cublas.c.

Of each field it is said what it is, and of all memory that a call names how large it must be: by the functions that the worker
has, and once more in floating point, where no sum or product wraps round.
"""
import re

from c_conform import number
from c_stubs import wrap
from c_wire import BANNER
from calls import expression, sums
from parse import SCALARS

HEAD = """#ifndef PVGPU_ATTACK_%(NAME)s_H
#define PVGPU_ATTACK_%(NAME)s_H

#include <math.h>
#include <stdbool.h>
#include <string.h>
#include "pvgpu_valid_%(name)s.h"

enum attack_role { ATTACK_NUMBER, ATTACK_ENUM, ATTACK_MEMORY, ATTACK_TABLE, ATTACK_NUMBERS };

struct attack_field {
	const char *name;
	enum attack_role role;
	uint16_t offset; /* in the record; of numbers: which of the arrays */
	uint8_t size;    /* of one; of a table in device memory: of an address */
	bool optional;   /* nothing need lie behind 0 */
	int64_t lo, hi, typical;
};

#define ATTACK_ROLES %(roles)d
#define ATTACK_ARRAYS %(arrays)d

/* Of the memory that a record names, in the order of its fields: the bytes that must be there, and what they are in truth. */
struct attack_reach {
	int refused; /* the validator's status */
	uint64_t packed, at[ATTACK_ARRAYS], end[ATTACK_ARRAYS]; /* of numbers: bytes of all, and where each array lies */
	uint64_t bytes[ATTACK_ROLES];
	long double truth[ATTACK_ROLES];
};

struct attack_call {
	const char *name;
	uint32_t op, len;
	uint16_t ctx, handle, mode, wide, packed_len, large; /* offsets; 0: it has none */
	const struct attack_field *field;
	unsigned int fields;
	/* packed NULL: only of numbers. */
	void (*reach)(const void *record, const char *packed, struct attack_reach *r);
};

#define R(x) ((long double)(x))

static inline long double truth_span(long double n, long double inc)
{
	return n > 0 ? (n - 1) * fabsl(inc) + 1 : 0;
}

/* With a negative distance memory before the first element is used, as much as one likes. */
static inline long double truth_matrix(long double rows, long double columns, long double ld)
{
	if (rows <= 0 || columns <= 0)
		return 0;
	return columns > 1 && ld < 0 ? INFINITY : (columns - 1) * ld + rows;
}

static inline long double truth_batch(long double one, long double stride, long double count)
{
	if (one <= 0 || count <= 0)
		return 0;
	return count > 1 && stride < 0 ? INFINITY : (count - 1) * stride + one;
}

static inline long double truth_triangle(long double n)
{
	return n > 0 ? n * (n + 1) / 2 : 0;
}
"""


def can(call):
    return call.in_stream and call.object and call.of("memory", "result", "scalar", "numbers") and not call.of("new", "drop", "array")


def roles(call):
    """Of addresses, in the record's order."""
    return [p for p in call.params if p.role in ("memory", "result", "scalar")]


def truth(call, p):
    """The same expression in floating point. A type's size and a sum of numbers do not wrap round."""
    text = expression(p.bytes, {q.name for q in call.values()}, sums(call), where=p.where)
    parts = re.split(r"(\b(?:%s_|sum_)\w+\((?:[^()]|\([^()]*\))*\))" % call.library.name, text)
    return "".join("R(%s)" % part if i % 2 else part.replace("W(", "R(").replace("pvgpu_", "truth_") for i, part in enumerate(parts))


def reach(call):
    w = call.wire_name
    numbers = call.of("numbers")
    lines = ["static void attack_%s(const void *record, const char *packed, struct attack_reach *r)" % w, "{",
             "\tconst struct pvgpu_wire_%s *c = record;" % w]
    fields = [".%s = c->%s" % (p.name, p.name) for p in call.values()] or [".none = 0"]
    lines += ["\t" + wrap("struct args_%s args = {" % w, fields) + "}, *a = &args;", "", "\tmemset(r, 0, sizeof(*r));"]
    if not call.values():
        lines.append("\t(void)c;")
    if numbers:
        lines.append("\tr->packed = packed_%s(a, r->at);" % w)
        lines += ["\tr->end[%d] = r->at[%d] + bytes_%s_%s(a);" % (i, i, w, p.name) for i, p in enumerate(numbers)]
        lines += ["\tif (!packed)", "\t\treturn;"]
        lines += ["\targs.%s = (const void *)(packed + r->at[%d]);" % (p.name, i) for i, p in enumerate(numbers)]
    lines.append("\tr->refused = valid_%s(a);" % w)
    for i, p in enumerate(roles(call)):
        lines += ["\tr->bytes[%d] = bytes_%s_%s(a);" % (i, w, p.name), "\tr->truth[%d] = %s;" % (i, truth(call, p))]
    return lines + ["}", ""]


def edge(value):
    """A bound in 64 signed bits."""
    value = max(-(1 << 63), min(value, (1 << 63) - 1))
    return "INT64_MIN" if value == -(1 << 63) else "INT64_C(%d)" % value


def field(call, p, index):
    at = "offsetof(struct pvgpu_wire_%s, %s)" % (call.wire_name, p.name)
    size, low, high, typical = 8, 0, 0, 0
    if p.role in ("in", "numbers"):
        role = "NUMBERS" if p.role == "numbers" else "ENUM" if p.kind == "u32" or p.form or p.ctype.startswith("cu") else "NUMBER"
        size = p.size
        if p.kind and SCALARS[p.kind][2] is not None:
            (low, high), typical = p.limits(), number(p)
        if p.role == "numbers":
            at = index
    else:
        role = "TABLE" if p.role == "memory" and p.ctype == "uint64_t" else "MEMORY"
    return "\t{\"%s\", ATTACK_%s, %s, %d, %s, %s, %s, %d}," % (
        p.name, role, at, size, "true" if p.optional else "false", edge(low), edge(high), typical)


def fields(call):
    """The bound of a field of the record is the wire's; of a number of many it is the validator's."""
    lines = ["static const struct attack_field attack_%s_fields[] = {" % call.wire_name]
    arrays = 0
    for p in call.params:
        if p.form or p.role not in ("in", "memory", "result", "scalar", "numbers") or (p.role == "in" and not p.kind):
            continue
        lines.append(field(call, p, arrays))
        arrays += p.role == "numbers"
    return lines + ["};", ""]


def row(call):
    def at(name, there):
        return "offsetof(struct pvgpu_wire_%s, %s)" % (call.wire_name, name) if there else "0"
    w = call.wire_name
    numbers = call.of("numbers")
    return "\t" + wrap("{", ["\"%s\"" % call.name, "PVGPU_OP_%s" % w.upper(), "sizeof(struct pvgpu_wire_%s)" % w, at("ctx", True),
                             at(call.object.name, True), at("mode", call.mode), at("wide", call.wide), at("packed_len", numbers),
                             at("large", numbers), "attack_%s_fields" % w,
                             "sizeof(attack_%s_fields) / sizeof(attack_%s_fields[0])" % (w, w), "attack_%s" % w]) + "},"


def attack_h(api, library):
    calls = [c for c in api.calls.values() if c.library is library and can(c)]
    lines = [BANNER + HEAD % {"NAME": library.name.upper(), "name": library.name,
                              "roles": max([1] + [len(roles(c)) for c in calls]),
                              "arrays": max([1] + [len(c.of("numbers")) for c in calls])}]
    for c in calls:
        lines += reach(c) + fields(c)
    lines += ["static const struct attack_call attack_%s_calls[] = {" % library.name] + [row(c) for c in calls] + ["};", "", "#endif"]
    return "\n".join(lines) + "\n"
