# SPDX-License-Identifier: MIT
"""pvgpu_wire.h: constants, numbers and structures of the wire. Guest, worker and kernel module include it."""
from parse import pad8

BANNER = "/* SPDX-License-Identifier: MIT */\n/* Made by libpvgpu/protocol/gen/wire.py from *.api; do not edit. */\n"

HEAD = """#ifndef PVGPU_WIRE_H
#define PVGPU_WIRE_H

#ifdef __KERNEL__
#include <linux/types.h>
#else
#include <stdint.h>
#endif

/* Flag of a command: answer with a mark when it has been executed. */
#define PVGPU_CMD_MARK 0x1
/* Flag of a reply: device output waits to be pulled. */
#define PVGPU_REP_OUTPUT 0x1

/* A command's number: the library's, then this many bits of its own. */
#define PVGPU_OP_BITS 10

/* A status of a library other than the driver, as a result on the wire; results of the driver and of the worker are CUresults. */
#define PVGPU_STATUS(library, status) ((status) ? (library) << 16 | (status) : 0)

/* A variable part or a whole record of n bytes takes that many on the wire. */
#define PVGPU_PAD8(n) (((n) + 7u) & ~7u)

enum pvgpu_rep_kind {
	PVGPU_REP_REPLY = 1, /* answers an awaited command */
	PVGPU_REP_MARK = 2, /* a command posted with PVGPU_CMD_MARK has been executed */
	PVGPU_REP_CALLBACK = 3, /* run a host function */
};

struct pvgpu_cmd_hdr {
	uint32_t len; /* of the whole record, a multiple of 8 */
	uint16_t op; /* enum pvgpu_op */
	uint16_t flags;
	uint32_t seq; /* the guest's count of commands */
	uint32_t zero;
};

struct pvgpu_rep_hdr {
	uint32_t len;
	uint16_t kind; /* enum pvgpu_rep_kind */
	uint16_t flags;
	uint32_t seq; /* of the command answered; 0 for a callback */
	int32_t result; /* a CUresult */
};

struct pvgpu_wire_mark {
	struct pvgpu_rep_hdr hdr;
};

struct pvgpu_wire_callback {
	struct pvgpu_rep_hdr hdr;
	uint64_t id; /* as in host_func */
	uint32_t status; /* a CUresult, for cuStreamAddCallback */
	uint32_t zero;
};

_Static_assert(sizeof(struct pvgpu_cmd_hdr) == 16, "command header");
_Static_assert(sizeof(struct pvgpu_rep_hdr) == 16, "reply header");
_Static_assert(sizeof(struct pvgpu_wire_mark) == 16, "mark");
_Static_assert(sizeof(struct pvgpu_wire_callback) == 32, "callback");

/* A handle: type (bits 63-56), vGPU index (55-48), generation (47-32), index (31-0). */
#define PVGPU_HANDLE(type, vgpu, gen, index)                                                      \\
	((uint64_t)(type) << 56 | (uint64_t)(vgpu) << 48 | (uint64_t)(gen) << 32 | (uint32_t)(index))
#define PVGPU_HANDLE_TYPE(h)  ((uint32_t)((uint64_t)(h) >> 56))
#define PVGPU_HANDLE_VGPU(h)  ((uint32_t)((uint64_t)(h) >> 48 & 0xff))
#define PVGPU_HANDLE_GEN(h)   ((uint32_t)((uint64_t)(h) >> 32 & 0xffff))
#define PVGPU_HANDLE_INDEX(h) ((uint32_t)(h))
"""


def number(value):
    return "%d" % value if value < 1 << 31 else "0x%xull" % value


def check(struct, size, offsets):
    lines = ["_Static_assert(sizeof(struct %s) == %d, \"size\");" % (struct, size)]
    lines += ["_Static_assert(__builtin_offsetof(struct %s, %s) == %d, \"offset\");" % (struct, name, at)
              for name, at in offsets]
    return lines


def structure(s):
    lines = ["struct pvgpu_%s {" % s.name]
    lines += ["\t%s %s%s;" % (m.ctype, m.name, "[%d]" % m.count if m.count else "") for m in s.members]
    lines += ["};"] + check("pvgpu_" + s.name, s.size, [(m.name, m.offset) for m in s.members]) + [""]
    return lines


def record(name, header, layout, fields):
    lines = ["struct %s {" % name, "\tstruct %s hdr;" % header]
    lines += ["\t%s %s;" % (s.ctype, s.name) for s in layout.slots]
    tail = ["%s (%s)" % (f.name, "%d..%d" % (pad8(f.part_min()), f.part_max())) for f in fields if f.variable]
    if tail:
        lines.append("\t/* then: %s */" % ", ".join(tail))
    lines += ["};"] + check(name, layout.fixed, [(s.name, s.offset) for s in layout.slots]) + [""]
    return lines


def wire_h(api):
    lines = [BANNER + HEAD]
    for c in api.consts.values():
        lines += ["/* %s */" % c.doc, "#define PVGPU_%s %s" % (c.name, number(c.value))]
    lines += ["", "enum pvgpu_handle_type {"]
    lines += ["\tPVGPU_H_%s = %d, /* %s */" % (h.name.upper(), h.number, h.doc) for h in api.handles.values()]
    lines += ["\tPVGPU_H_END = %d," % (max([h.number for h in api.handles.values()] or [0]) + 1)]
    lines += ["};", ""]
    lines += ["enum pvgpu_op {"]
    lines += ["\tPVGPU_OP_%s = %d," % (c.name.upper(), c.op) for c in api.by_op()]
    lines += ["};", ""]
    for s in api.structs.values():
        lines += structure(s)
    for c in api.by_op():
        lines.append("/* %d %s: %s */" % (c.op, c.name, c.doc))
        lines += record("pvgpu_wire_" + c.name, "pvgpu_cmd_hdr", c.request, c.ins)
        if c.awaited:
            lines += record("pvgpu_wire_%s_reply" % c.name, "pvgpu_rep_hdr", c.reply, c.outs)
    lines += ["#endif"]
    return "\n".join(lines) + "\n"
