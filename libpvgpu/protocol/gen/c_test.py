# SPDX-License-Identifier: MIT
"""pvgpu_wire_test.h and .c: the description as tables, and thunks that let one test or fuzzer drive every command."""
from c_wire import BANNER
from parse import SCALARS

HEAD = """#ifndef PVGPU_WIRE_TEST_H
#define PVGPU_WIRE_TEST_H

#include <stdint.h>
#include "pvgpu_decode.h"
#include "pvgpu_stubs.h"

enum wt_kind { WT_U32, WT_U64, WT_I32, WT_I64, WT_F32, WT_F64, WT_HANDLE, WT_NEW, WT_BYTES, WT_STRING, WT_ARENA };

struct wt_field {
	const char *name;
	enum wt_kind kind;
	int optional;
	uint32_t type, type2; /* of a handle; type2 0: only one */
	uint32_t offset; /* of the value in the record, 0 for bytes */
	uint32_t len_offset; /* of the length of bytes or of an arena range */
	uint64_t min, max; /* of the value, or of the length; an i32 is sign-extended */
	uint64_t bits; /* 0: any */
};

/* One value: i32 sign-extended, f32 and f64 as their bits in u; a range's address in u; bytes in p and len. */
struct wt_value {
	uint64_t u;
	uint64_t len;
	const void *p;
	void *object; /* decoded: what a handle stands for */
	uint32_t type; /* decoded: of a handle that may be of two types */
	void *to; /* outputs of call: where bytes go, and room there */
	uint32_t cap;
};

#define WT_FIELDS_MAX %d

struct wt_cmd {
	const char *name;
	uint32_t op, since;
	int awaited, mark;
	uint32_t fixed, reply_fixed;
	uint32_t n_in, n_out, n_pads, n_reply_pads;
	const struct wt_field *in, *out;
	const uint32_t *pads, *reply_pads; /* offsets of four bytes that must be zero */
	int (*call)(struct pvgpu_session *s, struct pvgpu_mark *m, const struct wt_value *in, struct wt_value *out);
	int (*decode)(const struct pvgpu_decode *d, const void *rec, uint32_t len, struct wt_value *in);
	uint32_t (*encode_reply)(void *buf, uint32_t cap, uint32_t seq, int32_t result, const struct wt_value *out);
};

extern const struct wt_cmd wt_cmds[];
extern const unsigned wt_cmd_count;

/* Provided by the program: stands for every handler. */
int wt_handle(struct worker *w, const struct wt_cmd *c, const struct wt_value *in, struct wt_value *out);

#endif
"""

BODY = """#include <stddef.h>
#include <string.h>
#include "pvgpu_wire_test.h"

static inline float to_float(uint64_t u)
{
	uint32_t word = (uint32_t)u;
	float f;

	memcpy(&f, &word, sizeof(f));
	return f;
}

static inline uint64_t from_float(float f)
{
	uint32_t word;

	memcpy(&word, &f, sizeof(word));
	return word;
}

static inline double to_double(uint64_t u)
{
	double f;

	memcpy(&f, &u, sizeof(f));
	return f;
}

static inline uint64_t from_double(double f)
{
	uint64_t u;

	memcpy(&u, &f, sizeof(u));
	return u;
}

/* Not every description needs all of them. */
void wt_unused(void);
void wt_unused(void)
{
	(void)to_float;
	(void)from_float;
	(void)to_double;
	(void)from_double;
}
"""


def kind(f):
    return "WT_NEW" if f.way == "new" else "WT_" + f.kind.upper()


def c64(value):
    return "0x%xull" % (value & ((1 << 64) - 1))


def fields(name, group, layout):
    at = {s.name: s.offset for s in layout.slots if s.field}
    lines = ["static const struct wt_field %s[] = {" % name]
    for f in group:
        low, high = f.limits()
        types = [t.number for t in f.types] + [0, 0]
        lines.append("\t{\"%s\", %s, %d, %d, %d, %d, %d, %s, %s, %s}," % (
            f.name, kind(f), f.optional, types[0], types[1], 0 if f.variable else at[f.name], at.get(f.name + "_len", 0)
            if f.variable or f.kind == "arena" else 0, c64(low or 0), c64(high or 0), c64(f.bits or 0)))
    if not group:
        lines.append("\t{NULL, WT_U32, 0, 0, 0, 0, 0, 0, 0, 0},")
    return lines + ["};"]


def pads(name, layout):
    offsets = [str(s.offset) for s in layout.slots if not s.field]
    return ["static const uint32_t %s[] = {%s};" % (name, ", ".join(offsets or ["0"]))], len(offsets)


def to_c(f, i, v):
    """Expression of a C value from a wt_value."""
    if f.kind == "f64":
        return "to_double(%s[%d].u)" % (v, i)
    if f.kind == "f32":
        return "to_float(%s[%d].u)" % (v, i)
    if f.scalar:
        return "(%s)%s[%d].u" % (SCALARS[f.kind][0], v, i)
    return "%s[%d].u" % (v, i)


def from_c(f, expression):
    if f.kind in ("f32", "f64"):
        return "from_%s(%s)" % (SCALARS[f.kind][0], expression)
    return "(uint64_t)%s" % expression if f.kind not in ("i32", "i64") else "(uint64_t)(int64_t)%s" % expression


def call(c):
    lines = ["static int call_%s(struct pvgpu_session *s, struct pvgpu_mark *m, const struct wt_value *in, struct wt_value *out)"
             % c.name, "{"]
    args = []
    for i, f in enumerate(c.ins):
        if f.kind == "bytes":
            args += ["in[%d].p" % i, "(uint32_t)in[%d].len" % i]
        elif f.kind == "string":
            args.append("in[%d].p" % i)
        elif f.kind == "arena":
            args += ["in[%d].u" % i, "in[%d].len" % i]
        else:
            args.append(to_c(f, i, "in"))
    scalars = [(i, f) for i, f in enumerate(c.outs) if f.scalar]
    for i, f in scalars:
        lines.append("\t%s out%d = 0;" % (SCALARS[f.kind][0], i))
    for i, f in enumerate(c.outs):
        if f.scalar:
            args.append("&out%d" % i)
        else:
            lines.append("\tuint32_t out%d_len = 0;" % i)
            args += ["out[%d].to" % i, "out[%d].cap" % i, "&out%d_len" % i]
    if c.mark:
        lines += ["\tif (m)", "\t\treturn pvgpu_do_%s_mark(%s);" % (c.name, ", ".join(["s", "m"] + args))]
    made = "pvgpu_do_%s(%s);" % (c.name, ", ".join(["s"] + args))
    if not c.outs:
        return lines + ["\treturn %s" % made, "}", ""]
    lines += ["\tint result = %s" % made, ""]
    for i, f in enumerate(c.outs):
        lines.append("\tout[%d].%s;" % (i, "u = " + from_c(f, "out%d" % i) if f.scalar else "len = out%d_len" % i))
    return lines + ["\treturn result;", "}", ""]


def flatten(c):
    lines = ["static void flat_%s(const struct pvgpu_in_%s *in, struct wt_value *v)" % (c.name, c.name), "{"]
    if c.ins:
        lines.append("\tmemset(v, 0, %d * sizeof(*v));" % len(c.ins))
    for i, f in enumerate(c.ins):
        if f.variable:
            lines += ["\tv[%d].p = in->%s;" % (i, f.name), "\tv[%d].len = in->%s_len;" % (i, f.name)]
        elif f.kind == "handle":
            lines.append("\tv[%d].u = in->%s_h;" % (i, f.name))
            if f.way == "in":
                lines.append("\tv[%d].object = in->%s;" % (i, f.name))
            if len(f.types) > 1:
                lines.append("\tv[%d].type = in->%s_type;" % (i, f.name))
        else:
            lines.append("\tv[%d].u = %s;" % (i, from_c(f, "in->" + f.name)))
            if f.kind == "arena":
                lines.append("\tv[%d].len = in->%s_len;" % (i, f.name))
    return lines + ["}", ""]


def fill(c):
    lines = ["static void fill_%s(const struct wt_value *v, struct pvgpu_out_%s *out)" % (c.name, c.name), "{",
             "\tmemset(out, 0, sizeof(*out));"]
    for i, f in enumerate(c.outs):
        if f.scalar:
            lines.append("\tout->%s = %s;" % (f.name, to_c(f, i, "v")))
        else:
            lines += ["\tout->%s = v[%d].p;" % (f.name, i), "\tout->%s_len = (uint32_t)v[%d].len;" % (f.name, i)]
    return lines + ["}", ""]


def thunks(c, index):
    n = c.name
    lines = call(c) + flatten(c)
    lines += ["static int decode_%s(const struct pvgpu_decode *d, const void *rec, uint32_t len, struct wt_value *v)" % n, "{",
              "\tstruct pvgpu_in_%s in;" % n, "\tint result = pvgpu_decode_%s(d, rec, len, &in);" % n, "",
              "\tif (result != -EPROTO)", "\t\tflat_%s(&in, v);" % n, "\treturn result;", "}", ""]
    if c.awaited:
        lines += fill(c)
        lines += ["static uint32_t encode_%s(void *buf, uint32_t cap, uint32_t seq, int32_t result, const struct wt_value *v)" % n,
                  "{", "\tstruct pvgpu_out_%s out;" % n, "", "\tfill_%s(v, &out);" % n,
                  "\treturn pvgpu_encode_%s_reply(buf, cap, seq, result, &out);" % n, "}", ""]
    lines += ["int handle_%s(struct worker *w, const struct pvgpu_in_%s *in, struct pvgpu_out_%s *out)" % (n, n, n), "{",
              "\tstruct wt_value iv[WT_FIELDS_MAX], ov[WT_FIELDS_MAX];", "\tint result;", "",
              "\tmemset(iv, 0, sizeof(iv));", "\tmemset(ov, 0, sizeof(ov));", "\tflat_%s(in, iv);" % n,
              "\tresult = wt_handle(w, &wt_cmds[%d], iv, ov);" % index]
    lines += ["\tfill_%s(ov, out);" % n] if c.awaited else []
    return lines + ["\treturn result;", "}", ""]


def test_h(api):
    return BANNER + HEAD % max([1] + [len(g) for c in api.commands.values() for g in (c.ins, c.outs)])


def test_c(api):
    lines = [BANNER + BODY.replace("#include <stddef.h>", "#include <errno.h>\n#include <stddef.h>")]
    rows = []
    for i, c in enumerate(api.by_op()):
        n = c.name
        lines += fields("in_" + n, c.ins, c.request)
        text, n_pads = pads("pads_" + n, c.request)
        lines += text
        n_reply_pads = 0
        if c.awaited:
            lines += fields("out_" + n, c.outs, c.reply)
            text, n_reply_pads = pads("reply_pads_" + n, c.reply)
            lines += text
        lines += thunks(c, i)
        names = ("out_%s" % n, "reply_pads_%s" % n, "encode_%s" % n) if c.awaited else ("NULL",) * 3
        rows.append("\t{\"%s\", %d, %d, %d, %d, %d, %d, %d, %d, %d, %d, in_%s, %s, pads_%s, %s, call_%s, decode_%s, %s}," % (
            n, c.op, c.since, c.awaited, c.mark, c.request.fixed, c.reply.fixed if c.awaited else 0, len(c.ins), len(c.outs),
            n_pads, n_reply_pads, n, names[0], n, names[1], n, n, names[2]))
    lines += ["const struct wt_cmd wt_cmds[] = {"] + rows + ["};", "",
                                                            "const unsigned wt_cmd_count = sizeof(wt_cmds) / sizeof(wt_cmds[0]);"]
    return "\n".join(lines) + "\n"
