# SPDX-License-Identifier: MIT
"""pvgpu_stubs.h and .c: one function a command for the guest, on top of link/session.h.

A stub refuses what the description refuses, so that an application's wrong argument is an error of that call and not the end
of its session. Bytes go to the ring straight from the caller's memory.
"""
from c_wire import BANNER, number
from parse import SCALARS, U32_MAX, U64_MAX, pad8

HEAD = """#ifndef PVGPU_STUBS_H
#define PVGPU_STUBS_H

#include <stdint.h>
#include "pvgpu_wire.h"

struct pvgpu_session;
struct pvgpu_mark;

/*
 * Every function returns a CUresult: 1 (invalid value) or 400 (invalid handle) for what the description
 * refuses, 801 (not supported) for a command that is newer than the session's version, the session's
 * error when it is dead. Awaited ones return the far end's result; numbers come back
 * only with result 0, bytes (logs, say) with every result, and an output that is not wanted may be NULL.
 */
"""

BODY = """#include <stddef.h>
#include <string.h>
#include "link/session.h"
#include "pvgpu_stubs.h"

enum { INVALID_VALUE = 1, INVALID_HANDLE = 400, NOT_SUPPORTED = 801 };

static const uint64_t zeros;

static inline struct pvgpu_piece *put(struct pvgpu_piece *p, const void *base, uint32_t len, uint32_t pad)
{
	if (len)
		*p++ = (struct pvgpu_piece){base, len};
	if (pad)
		*p++ = (struct pvgpu_piece){&zeros, pad};
	return p;
}

static inline struct pvgpu_piece *put_bytes(struct pvgpu_piece *p, const void *base, uint32_t len)
{
	return put(p, base, len, -len & 7);
}
%s
/* Bytes of a reply: at is where they begin; false when they are not all there. */
static inline int take(const void *rep, uint32_t rep_len, uint32_t *at, uint32_t len, uint32_t max,
		       const void **base)
{
	if (len > max || PVGPU_PAD8(len) > rep_len - *at)
		return 0;
	*base = (const char *)rep + *at;
	*at += PVGPU_PAD8(len);
	return 1;
}

static inline void give(void *to, uint32_t cap, uint32_t *to_len, const void *from, uint32_t len)
{
	if (!to)
		cap = 0;
	if (len > cap)
		len = cap;
	if (len)
		memcpy(to, from, len);
	if (to_len)
		*to_len = len;
}

static inline int head_ok(const struct pvgpu_rep_hdr *hdr, uint32_t rep_len, uint32_t fixed)
{
	return rep_len >= fixed && hdr->len == rep_len;
}
"""

STRING = """
/* At least one byte of padding: a string is terminated where it lies. */
static inline struct pvgpu_piece *put_string(struct pvgpu_piece *p, const char *base, uint32_t len)
{
	return put(p, base, len, 8 - (len & 7));
}
"""


def out_name(c, f):
    """A parameter's name in C: an output may be named as an input is."""
    return f.name + "_out" if any(i.name == f.name for i in c.ins) else f.name


def params(c, outs=True):
    words = []
    for f in c.ins:
        if f.scalar:
            words.append("%s %s" % (SCALARS[f.kind][0], f.name))
        elif f.kind == "handle":
            words.append("uint64_t %s" % f.name)
        elif f.kind == "bytes":
            words += ["const void *%s" % f.name, "uint32_t %s_len" % f.name]
        elif f.kind == "string":
            words.append("const char *%s" % f.name)
        else:
            words += ["uint64_t %s" % f.name, "uint64_t %s_len" % f.name]
    for f in c.outs if outs else ():
        name = out_name(c, f)
        if f.scalar:
            words.append("%s *%s" % (SCALARS[f.kind][0], name))
        else:
            words += ["void *%s" % name, "uint32_t %s_cap" % name, "uint32_t *%s_len" % name]
    return words


def prototype(c, mark=False):
    head = "int pvgpu_do_%s%s(" % (c.name, "_mark" if mark else "")
    first = ["struct pvgpu_session *s"] + (["struct pvgpu_mark *m"] if mark else [])
    return wrap(head, first + params(c)) + ")"


def wrap(head, words):
    """Break an argument list at 100 columns."""
    lines, line = [], head
    for i, word in enumerate(words):
        piece = word + ("," if i + 1 < len(words) else "")
        if len(line) + len(piece) > 96:
            lines.append(line.rstrip())
            line = "\t\t"
        line += piece + " "
    return "\n".join(lines + [line.rstrip()])


def bounds(name, f):
    """C conditions under which the value is refused."""
    tests = []
    if f.kind in ("u32", "i32", "u64", "i64"):
        low, high = f.limits()
        kind_low, kind_high = SCALARS[f.kind][2:]
        if low > kind_low:
            tests.append("%s < %s" % (name, c_int(f, low)))
        if high < kind_high:
            tests.append("%s > %s" % (name, c_int(f, high)))
        if f.bits is not None:
            tests.append("%s & ~%s" % (name, "(uint64_t)0x%x" % f.bits if f.kind == "u64" else "0x%xu" % f.bits))
    return tests


def c_int(f, value):
    if f.kind in ("i32", "i64"):
        bits = SCALARS[f.kind][1] * 8
        return "INT%d_C(%d)" % (bits, value) if value > -(1 << bits - 1) else "INT%d_MIN" % bits
    return number(value) if value >= 1 << 31 else "%d%s" % (value, "u")


def checks(c):
    lines = []

    def refuse(tests, result):
        for test in tests:
            lines.extend(["\tif (%s)" % test, "\t\treturn %s;" % result])

    if c.since > 1:
        refuse(["pvgpu_session_info(s)->version < %du" % c.since], "NOT_SUPPORTED")
    for f in c.ins:
        if f.scalar:
            refuse(bounds(f.name, f), "INVALID_VALUE")
        elif f.kind == "handle":
            wrong = " && ".join("PVGPU_HANDLE_TYPE(%s) != PVGPU_H_%s" % (f.name, t.name.upper()) for t in f.types)
            refuse(["%s && %s" % (f.name, wrong) if f.optional else wrong], "INVALID_HANDLE")
        elif f.kind == "bytes":
            if f.lo:
                refuse(["%s_len < %du" % (f.name, f.lo)], "INVALID_VALUE")
            refuse(["%s_len > %du || (%s_len && !%s)" % (f.name, f.hi, f.name, f.name)], "INVALID_VALUE")
        elif f.kind == "string":
            lines += ["\tconst uint32_t %s_len = %s ? (uint32_t)strnlen(%s, %d) : %d;" % (
                f.name, f.name, f.name, f.hi + 1, f.hi + 1)]
            refuse((["%s_len < %du" % (f.name, f.lo)] if f.lo else []) + ["%s_len > %du" % (f.name, f.hi)], "INVALID_VALUE")
        else:
            over = "%s_len > %s" % (f.name, number(f.hi)) if f.hi < U64_MAX else ""
            some = "!%s != !%s_len" % (f.name, f.name) if f.optional else "!%s || !%s_len" % (f.name, f.name)
            refuse([some] + ([over] if over else []), "INVALID_VALUE")
    return lines


def build(c):
    """Statements that make rec and the pieces p[0..pe)."""
    parts = [f for f in c.ins if f.variable]
    length = ["sizeof(rec)"]
    for f in parts:
        length.append("PVGPU_PAD8(%s_len%s)" % (f.name, " + 1u" if f.kind == "string" else ""))
    lines = ["\tconst struct pvgpu_wire_%s rec = {" % c.name, "\t\t.hdr = {"]
    lines += ["\t\t\t.len = (uint32_t)(%s)," % " + ".join(length), "\t\t\t.op = PVGPU_OP_%s," % c.name.upper(), "\t\t},"]
    lines += ["\t\t.%s = %s," % (s.name, s.name) for s in c.request.slots if s.field]
    lines += ["\t};", "\tstruct pvgpu_piece p[%d] = {{&rec, sizeof(rec)}};" % (1 + 2 * len(parts))]
    if parts:
        lines.append("\tstruct pvgpu_piece *pe = p + 1;")
        lines.append("")
        lines += ["\tpe = put_%s(pe, %s, %s_len);" % (f.kind, f.name, f.name) for f in parts]
    return lines, "(unsigned)(pe - p)" if parts else "1"


def spaced(lines):
    return lines + [""] if lines else []


def post(c):
    made, count = build(c)
    lines = []
    if c.mark:
        words = ["struct pvgpu_session *s", "struct pvgpu_mark *m"] + params(c)
        lines += [wrap("static inline int send_%s(" % c.name, words) + ")", "{"]
        lines += spaced(checks(c)) + made + [""]
        lines += ["\treturn m ? pvgpu_post_mark(s, m, p, %s) : pvgpu_post(s, p, %s);" % (count, count), "}", ""]
        given = [a for f in c.ins for a in ([f.name] if f.scalar or f.kind in ("handle", "string") else
                                            [f.name, f.name + "_len"])]
        for mark in (False, True):
            call = wrap("\treturn send_%s(" % c.name, ["s", "m" if mark else "NULL"] + given) + ");"
            lines += [prototype(c, mark), "{", call, "}", ""]
        return lines
    lines += [prototype(c), "{"] + spaced(checks(c)) + made + [""]
    return lines + ["\treturn pvgpu_post(s, p, %s);" % count, "}", ""]


def call(c):
    made, count = build(c)
    reply = "struct pvgpu_wire_%s_reply" % c.name
    parts = [f for f in c.outs if f.variable]
    scalars = [f for f in c.outs if f.scalar]
    tail = c.reply.largest - c.reply.fixed
    lines = [prototype(c), "{"]
    # Before anything can fail: a caller may look at the length whatever the result.
    for f in parts:
        name = out_name(c, f)
        lines += ["\tif (%s_len)" % name, "\t\t*%s_len = 0;" % name]
    lines += spaced(checks(c)) + made
    if tail:
        lines += ["\tstruct {", "\t\t%s o;" % reply, "\t\tuint64_t tail[%d];" % (tail // 8), "\t} rep;"]
        ref = "rep.o."
    else:
        lines += ["\t%s rep;" % reply]
        ref = "rep."
    lines += ["\tconst void *part[%d];" % len(parts)] if parts else []
    lines += ["\tuint32_t at = sizeof(%s);" % reply, "\tuint32_t rep_len = 0;", ""]
    lines += ["\tconst int result = pvgpu_call(s, p, %s, &rep, sizeof(rep), &rep_len);" % count, ""]
    lines += ["\tif (result && !rep_len) /* the session is dead: there is no reply */", "\t\treturn result;"]
    wrong = ["result < 0", "rep_len > sizeof(rep)", "!head_ok(&%shdr, rep_len, at)" % ref]
    for i, f in enumerate(parts):
        wrong.append("!take(&rep, rep_len, &at, %s%s_len, %d, &part[%d])" % (ref, f.name, f.hi, i))
    wrong.append("at != rep_len")
    lines += [wrap_or("\tif (", wrong) + ")", "\t\treturn pvgpu_broken(s, \"%s\");" % c.name]
    for i, f in enumerate(parts):
        name = out_name(c, f)
        lines.append("\tgive(%s, %s_cap, %s_len, part[%d], %s%s_len);" % (name, name, name, i, ref, f.name))
    if scalars:
        lines += ["\tif (result)", "\t\treturn result;"]
        for f in scalars:
            lines += ["\tif (%s)" % out_name(c, f), "\t\t*%s = %s%s;" % (out_name(c, f), ref, f.name)]
        return lines + ["\treturn 0;", "}", ""]
    return lines + ["\treturn result;", "}", ""]


def wrap_or(head, tests):
    return head + (" ||\n\t    ").join(tests)


def stubs_h(api):
    lines = [BANNER + HEAD]
    for c in api.by_op():
        lines += ["/* %d: %s */" % (c.op, c.doc), prototype(c) + ";"]
        if c.mark:
            lines.append(prototype(c, True) + ";")
    return "\n".join(lines + ["", "#endif"]) + "\n"


def stubs_c(api):
    strings = any(f.kind == "string" for c in api.commands.values() for f in c.ins)
    lines = [BANNER + BODY % (STRING if strings else "")]
    for c in api.by_op():
        lines += call(c) if c.awaited else post(c)
    return "\n".join(lines).rstrip() + "\n"
