# SPDX-License-Identifier: MIT
"""pvgpu_decode.h and .c: what the worker makes of a record, the dispatch table and the replies."""
from c_stubs import bounds
from c_wire import BANNER, number
from parse import OP_BITS, SCALARS, TARGETS, U64_MAX

HEAD = """#ifndef PVGPU_DECODE_H
#define PVGPU_DECODE_H

#include <stdint.h>
#include "pvgpu_wire.h"

#define PVGPU_PENDING (-1) /* a handler's result: the reply or mark follows later */
#define PVGPU_FATAL   (-2) /* a handler's or run's result: end the session */

struct worker;

/* The limits that a session's records are checked against. */
struct pvgpu_decode {
	uint64_t arena_base, arena_size;
	/* The object behind a handle, NULL if there is none (any more). */
	void *(*lookup)(void *tables, uint32_t type, uint64_t handle);
	void *tables;
};

enum pvgpu_lane {
	PVGPU_LANE_NOW, /* answered by the decoding thread */
	PVGPU_LANE_GPU, /* GPU work, in order; may be parked */
	PVGPU_LANE_SIDE, /* may block; in order among themselves */
};

/* As what a command passes the gate. */
enum pvgpu_gated {
	PVGPU_GATED_NOT, /* it does not occupy the GPU */
	PVGPU_GATED_KERNEL,
	PVGPU_GATED_COPY,
	PVGPU_GATED_MEMSET,
};

#define PVGPU_DESC_AWAITED 0x1
#define PVGPU_DESC_MARK    0x2 /* may be posted with PVGPU_CMD_MARK */
#define PVGPU_DESC_FREES   0x4 /* gives device memory back */
#define PVGPU_DESC_CARRIES 0x8 /* a copy whose bytes travel in its record or reply */

struct pvgpu_cmd_desc {
	const char *name;
	uint16_t op;
	uint16_t since;
	uint8_t lane; /* enum pvgpu_lane */
	uint8_t flags; /* PVGPU_DESC_* */
	uint8_t gated; /* enum pvgpu_gated */
	/* Offsets in the record: handles of what a command of lane gpu works on; 0: none. */
	uint16_t ctx, stream, event;
	uint32_t min_len, max_len; /* of the record */
	/* Decodes, calls the handler, answers: 0, PVGPU_PENDING or PVGPU_FATAL. */
	int (*run)(struct worker *w, const struct pvgpu_decode *d, const void *rec, uint32_t len);
};

extern const struct pvgpu_cmd_desc pvgpu_cmds[];
extern const unsigned pvgpu_cmd_count;

/* NULL if there is no such command. */
const struct pvgpu_cmd_desc *pvgpu_cmd_find(uint32_t op);

/*
 * Provided by the worker. worker_send() puts a whole record on the reply stream. worker_deferred() notes the
 * result of a one-way command that went wrong; ctx_obj is its context, NULL if it has none. worker_mark()
 * sends a mark.
 */
void worker_send(struct worker *w, const void *rec, uint32_t len);
void worker_deferred(struct worker *w, void *ctx_obj, int result);
void worker_mark(struct worker *w, uint32_t seq, int32_t result);

/*
 * For every command: pvgpu_decode_X() returns 0, -EPROTO (malformed: end the session) or -ENOENT (a handle is
 * unknown or stale; the others are resolved). rec is 8-byte aligned private memory, and what `in` points to
 * lies in it: strings are terminated there. Objects are in->x, handles in->x_h, a new handle in->x_h.
 * handle_X() is written by hand and returns a CUresult, PVGPU_PENDING or PVGPU_FATAL. For awaited commands
 * pvgpu_encode_X_reply() makes the reply (its length, or 0 if cap is too small; bytes are cut at their maximum;
 * out NULL is all zero) and worker_reply_X() sends it.
 */
"""

BODY = """#include <errno.h>
#include <string.h>
#include "pvgpu_decode.h"

enum { INVALID_HANDLE = 400 };

static inline int head_ok(const struct pvgpu_cmd_hdr *hdr, uint32_t len, uint32_t fixed, uint32_t op, uint32_t flags)
{
	return len >= fixed && hdr->len == len && !(len & 7) && hdr->op == op && !(hdr->flags & ~flags) && !hdr->zero;
}

/* The variable part of n bytes at *at, followed by zeros up to total. */
static inline const void *take(const void *rec, uint32_t len, uint32_t *at, uint32_t n, uint32_t total)
{
	const uint8_t *part = (const uint8_t *)rec + *at;

	if (total > len - *at)
		return NULL;
	for (uint32_t i = n; i < total; i++) {
		if (part[i])
			return NULL;
	}
	*at += total;
	return part;
}

static inline const void *take_bytes(const void *rec, uint32_t len, uint32_t *at, uint32_t n, uint32_t min,
				     uint32_t max)
{
	return n < min || n > max ? NULL : take(rec, len, at, n, PVGPU_PAD8(n));
}
%(string)s%(arena)s%(handle)s%(reply)s"""

STRING = """
static inline const char *take_string(const void *rec, uint32_t len, uint32_t *at, uint32_t n, uint32_t min,
				      uint32_t max)
{
	const char *part = n < min || n > max ? NULL : take(rec, len, at, n, PVGPU_PAD8(n + 1));

	return part && !memchr(part, 0, n) ? part : NULL;
}
"""

ARENA = """
static inline int arena_ok(const struct pvgpu_decode *d, uint64_t addr, uint64_t len, uint64_t max, int optional)
{
	if (optional && !addr && !len)
		return 1;
	return len && len <= max && addr >= d->arena_base && addr - d->arena_base <= d->arena_size &&
	       len <= d->arena_size - (addr - d->arena_base);
}
"""

HANDLE = """
static inline int handle_ok(uint64_t handle, uint32_t type)
{
	return PVGPU_HANDLE_TYPE(handle) == type && PVGPU_HANDLE_INDEX(handle) < %s;
}
"""

RESOLVE = """
/* The first handle that is not known makes the error; 0 is an optional one that was left out. */
static inline void *resolve(const struct pvgpu_decode *d, uint64_t handle, int *err)
{
	void *object = handle ? d->lookup(d->tables, PVGPU_HANDLE_TYPE(handle), handle) : NULL;

	if (handle && !object)
		*err = -ENOENT;
	return object;
}
"""

REPLY = """
static inline void reply_head(struct pvgpu_rep_hdr *hdr, uint32_t len, uint32_t seq, int32_t result)
{
	hdr->len = len;
	hdr->kind = PVGPU_REP_REPLY;
	hdr->seq = seq;
	hdr->result = result;
}
"""

REPLY_BYTES = """
static inline uint32_t cut(const void *base, uint32_t len, uint32_t max)
{
	return !base ? 0 : len > max ? max : len;
}

/* The reply's memory is zero already, so the padding is. */
static inline uint32_t put(void *buf, uint32_t at, const void *base, uint32_t len)
{
	if (len)
		memcpy((uint8_t *)buf + at, base, len);
	return at + PVGPU_PAD8(len);
}
"""

FIND = """
const unsigned pvgpu_cmd_count = sizeof(pvgpu_cmds) / sizeof(pvgpu_cmds[0]);

/* By library and number: index into pvgpu_cmds plus one. */
%s

static const struct {
	const uint16_t *op;
	uint32_t count;
} by_library[] = {
%s
};

const struct pvgpu_cmd_desc *pvgpu_cmd_find(uint32_t op)
{
	const uint32_t library = op >> PVGPU_OP_BITS, i = op & ((1u << PVGPU_OP_BITS) - 1);

	if (library >= sizeof(by_library) / sizeof(by_library[0]) || i >= by_library[library].count ||
	    !by_library[library].op[i])
		return NULL;
	return &pvgpu_cmds[by_library[library].op[i] - 1];
}
"""


def in_struct(c):
    lines = ["struct pvgpu_in_%s {" % c.name, "\tconst struct pvgpu_cmd_hdr *hdr;"]
    for f in c.ins:
        if f.scalar:
            lines.append("\t%s %s;" % (SCALARS[f.kind][0], f.name))
        elif f.way == "new":
            lines.append("\tuint64_t %s_h;" % f.name)
        elif f.kind == "handle":
            lines += ["\tvoid *%s;" % f.name, "\tuint64_t %s_h;" % f.name]
            if len(f.types) > 1:
                lines.append("\tuint32_t %s_type; /* enum pvgpu_handle_type */" % f.name)
        elif f.kind == "bytes":
            lines += ["\tconst void *%s;" % f.name, "\tuint32_t %s_len;" % f.name]
        elif f.kind == "string":
            lines += ["\tconst char *%s;" % f.name, "\tuint32_t %s_len;" % f.name]
        else:
            lines.append("\tuint64_t %s, %s_len; /* arena, %s */" % (f.name, f.name, f.mode))
    return lines + ["};", ""]


def out_struct(c):
    lines = ["struct pvgpu_out_%s {" % c.name]
    for f in c.outs:
        if f.scalar:
            lines.append("\t%s %s;" % (SCALARS[f.kind][0], f.name))
        else:
            lines += ["\tconst void *%s;" % f.name, "\tuint32_t %s_len; /* up to %d */" % (f.name, f.hi)]
    if not c.outs:
        lines.append("\tuint32_t unused;")
    return lines + ["};", ""]


def proto_decode(c):
    return ("int pvgpu_decode_%s(const struct pvgpu_decode *d, const void *rec, uint32_t len,\n"
            "\t\tstruct pvgpu_in_%s *in)" % (c.name, c.name))


def proto_encode(c):
    return ("uint32_t pvgpu_encode_%s_reply(void *buf, uint32_t cap, uint32_t seq, int32_t result,\n"
            "\t\tconst struct pvgpu_out_%s *out)" % (c.name, c.name))


def proto_handler(c):
    return ("int handle_%s(struct worker *w, const struct pvgpu_in_%s *in,\n"
            "\t\tstruct pvgpu_out_%s *out)" % (c.name, c.name, c.name))


def proto_reply(c):
    return ("void worker_reply_%s(struct worker *w, uint32_t seq, int32_t result,\n"
            "\t\tconst struct pvgpu_out_%s *out)" % (c.name, c.name))


def decode_h(api):
    lines = [BANNER + HEAD]
    for c in api.by_op():
        lines.append("/* %d: %s */" % (c.op, c.doc))
        lines += in_struct(c) + out_struct(c)
        lines.append(proto_decode(c) + ";")
        lines.append(proto_handler(c) + ";")
        if c.awaited:
            lines += [proto_encode(c) + ";", proto_reply(c) + ";"]
        lines.append("")
    return "\n".join(lines + ["#endif"]) + "\n"


def refusals(c):
    """Conditions under which a record is malformed, besides its header."""
    tests = []
    for s in c.request.slots:
        f = s.field
        if not f:
            tests.append("r->%s" % s.name)
        elif f.scalar:
            tests += bounds("r->" + f.name, f)
        elif f.kind == "arena" and s.name == f.name:
            most = number(f.hi) if f.hi < U64_MAX else "UINT64_MAX"
            tests.append("!arena_ok(d, r->%s, r->%s_len, %s, %d)" % (f.name, f.name, most, f.optional))
        elif f.kind == "handle":
            wrong = " && ".join("!handle_ok(r->%s, PVGPU_H_%s)" % (f.name, t.name.upper()) for t in f.types)
            tests.append("r->%s && %s" % (f.name, wrong) if f.optional else wrong)
    return tests


def decode(c):
    lines = [proto_decode(c), "{"]
    parts = [f for f in c.ins if f.variable]
    lookups = [f for f in c.ins if f.kind == "handle" and f.way == "in"]
    lines.append("\tconst struct pvgpu_wire_%s *r = rec;" % c.name)
    lines.append("\tuint32_t at = sizeof(*r);")
    if lookups:
        lines.append("\tint err = 0;")
    lines += ["", "\tmemset(in, 0, sizeof(*in));",
              "\tif (!head_ok(rec, len, at, PVGPU_OP_%s, %s))" % (c.name.upper(), "PVGPU_CMD_MARK" if c.mark else "0"),
              "\t\treturn -EPROTO;"]
    for test in refusals(c):
        lines += ["\tif (%s)" % test, "\t\treturn -EPROTO;"]
    for f in parts:
        lines += ["\tin->%s = take_%s(rec, len, &at, r->%s_len, %d, %d);" % (f.name, f.kind, f.name, f.lo or 0, f.hi),
                  "\tif (!in->%s)" % f.name, "\t\treturn -EPROTO;"]
    lines += ["\tif (at != len)", "\t\treturn -EPROTO;", "\tin->hdr = &r->hdr;"]
    for f in c.ins:
        if f.kind == "handle":
            lines.append("\tin->%s_h = r->%s;" % (f.name, f.name))
            if len(f.types) > 1:
                lines.append("\tin->%s_type = PVGPU_HANDLE_TYPE(r->%s);" % (f.name, f.name))
        elif f.variable:
            lines.append("\tin->%s_len = r->%s_len;" % (f.name, f.name))
        else:
            lines.append("\tin->%s = r->%s;" % (f.name, f.name))
            if f.kind == "arena":
                lines.append("\tin->%s_len = r->%s_len;" % (f.name, f.name))
    lines += ["\tin->%s = resolve(d, r->%s, &err);" % (f.name, f.name) for f in lookups]
    return lines + ["\treturn %s;" % ("err" if lookups else "0"), "}", ""]


def encode(c):
    parts = [f for f in c.outs if f.variable]
    scalars = [f for f in c.outs if f.scalar]
    lines = [proto_encode(c), "{", "\tstruct pvgpu_wire_%s_reply *o = buf;" % c.name]
    lines += ["\tconst uint32_t %s_len = out ? cut(out->%s, out->%s_len, %d) : 0;" % (f.name, f.name, f.name, f.hi)
              for f in parts]
    length = ["(uint32_t)sizeof(*o)"] + ["PVGPU_PAD8(%s_len)" % f.name for f in parts]
    lines += ["\tconst uint32_t len = %s;" % " + ".join(length)]
    if parts:
        lines.append("\tuint32_t at = sizeof(*o);")
    lines += ["", "\tif (cap < len)", "\t\treturn 0;", "\tmemset(o, 0, len);", "\treply_head(&o->hdr, len, seq, result);"]
    if scalars:
        lines.append("\tif (out) {")
        lines += ["\t\to->%s = out->%s;" % (f.name, f.name) for f in scalars] + ["\t}"]
    for f in parts:
        lines += ["\to->%s_len = %s_len;" % (f.name, f.name), "\tif (%s_len)" % f.name,
                  "\t\tat = put(buf, at, out->%s, %s_len);" % (f.name, f.name)]
    return lines + ["\treturn len;", "}", ""]


def reply(c):
    lines = [proto_reply(c), "{", "\t_Alignas(8) uint8_t buf[%d];" % c.reply.largest,
             "\tconst uint32_t len = pvgpu_encode_%s_reply(buf, sizeof(buf), seq, result, out);" % c.name, "",
             "\tworker_send(w, buf, len);", "}", ""]
    return lines


def run(c):
    name = c.name
    lines = ["static int run_%s(struct worker *w, const struct pvgpu_decode *d, const void *rec, uint32_t len)" % name, "{",
             "\tstruct pvgpu_in_%s in;" % name, "\tstruct pvgpu_out_%s out;" % name,
             "\tint result = pvgpu_decode_%s(d, rec, len, &in);" % name, "",
             "\tif (result == -EPROTO)", "\t\treturn PVGPU_FATAL;"]
    lines += ["\tmemset(&out, 0, sizeof(out));",
              "\tresult = result ? INVALID_HANDLE : handle_%s(w, &in, &out);" % name]
    lines += ["\tif (result < 0)", "\t\treturn result == PVGPU_PENDING ? PVGPU_PENDING : PVGPU_FATAL;"]
    if c.awaited:
        lines.append("\tworker_reply_%s(w, in.hdr->seq, result, &out);" % name)
    else:
        ctx = any(f.name == "ctx" and f.kind == "handle" and f.way == "in" for f in c.ins)
        lines += ["\tif (result)", "\t\tworker_deferred(w, %s, result);" % ("in.ctx" if ctx else "NULL")]
        if c.mark:
            lines += ["\tif (in.hdr->flags & PVGPU_CMD_MARK)", "\t\tworker_mark(w, in.hdr->seq, result);"]
    return lines + ["\treturn 0;", "}", ""]


def table(api):
    lines = ["const struct pvgpu_cmd_desc pvgpu_cmds[] = {"]
    for c in api.by_op():
        carries = c.gate == "copy" and any(f.kind == "bytes" and f.name == "data" for f in c.fields)
        flags = [w for w, on in (("PVGPU_DESC_AWAITED", c.awaited), ("PVGPU_DESC_MARK", c.mark),
                                 ("PVGPU_DESC_FREES", c.frees), ("PVGPU_DESC_CARRIES", carries)) if on]
        at = {s.name: s.offset for s in c.request.slots}
        lines.append("\t{\"%s\", PVGPU_OP_%s, %d, PVGPU_LANE_%s, %s, PVGPU_GATED_%s, %s, %d, %d, run_%s}," % (
            c.name, c.name.upper(), c.since, c.lane.upper(), " | ".join(flags) or "0", (c.gate or "not").upper(),
            ", ".join("%d" % at.get(c.target.get(t), 0) for t in TARGETS), c.request.smallest, c.request.largest, c.name))
    found = {}
    for i, c in enumerate(api.by_op()):
        found.setdefault(c.op >> OP_BITS, []).append("\t[PVGPU_OP_%s - %d] = %d," % (
            c.name.upper(), c.op >> OP_BITS << OP_BITS, i + 1))
    tables = "\n".join("static const uint16_t ops_%d[] = {\n%s\n};" % (n, "\n".join(rows)) for n, rows in found.items())
    index = "\n".join("\t[%d] = {ops_%d, sizeof(ops_%d) / sizeof(ops_%d[0])}," % (n, n, n, n) for n in found)
    return lines + ["};", FIND % (tables, index)]


def decode_c(api):
    commands = api.by_op()
    ins = [f for c in commands for f in c.ins]
    outs = [f for c in commands for f in c.outs]
    handle = HANDLE % ("PVGPU_HANDLES_MAX" if "HANDLES_MAX" in api.consts else "65536")
    lines = [BANNER + BODY % {
        "string": STRING if any(f.kind == "string" for f in ins) else "",
        "arena": ARENA if any(f.kind == "arena" for f in ins) else "",
        "handle": handle + RESOLVE if any(f.kind == "handle" for f in ins) else "",
        "reply": REPLY + (REPLY_BYTES if any(f.variable for f in outs) else "")}]
    for c in commands:
        lines += decode(c)
        if c.awaited:
            lines += encode(c) + reply(c)
        lines += run(c)
    return "\n".join(lines + table(api)).rstrip() + "\n"
