# SPDX-License-Identifier: MIT
"""pvgpu_far.h: which functions of the far end's libraries are called; pvgpu_handlers.c: the default handler of each call."""
import re

from c_decode import proto_handler
from c_stubs import wrap
from c_valid import has_values, header
from c_wire import BANNER
from calls import sums
from parse import SCALARS

FAR_HEAD = """#ifndef PVGPU_FAR_CALLS_H
#define PVGPU_FAR_CALLS_H

#include <cuda.h>
"""
PARTS = ["#include \"xen-pvgpu-back/worker/%s.h\"" % part for part in (
    "far", "gpu/calls", "gpu/context", "gpu/estimate", "gpu/objects", "gpu/side", "gpu/state", "gpu/stream", "worker")]


def forwarded(api, library):
    return [c for c in api.calls.values() if c.library is library and c.op is not None and "worker" not in c.own]


def far_h(api):
    lines = [BANNER + FAR_HEAD]
    libraries = [lib for lib in api.libraries.values() if lib.number]
    lines += ["#include \"%s\"" % header(lib) for lib in libraries]
    driver = [c for lib in api.libraries.values() if not lib.number for c in forwarded(api, lib)]
    for name, some in (("NEEDED", [c for c in driver if c.needed]), ("OPTIONAL", [c for c in driver if not c.needed])):
        lines += ["", "/* Of the driver: calls with a block in the description. */",
                  "#define FAR_CALLS_%s(X) %s" % (name, " ".join("X(%s)" % c.name for c in some))]
    for lib in libraries:
        names = {n: None for n in [name for c in forwarded(api, lib) for name in c.names] + lib.far}
        for thing in api.objects.values():
            if thing.library is lib:
                names.update({n: None for n in (thing.destroy, thing.stream, thing.mode) if n})
        lines += ["", "#define FAR_CALLS_%s(X) \\" % lib.name.upper(), " \\\n".join("\tX(%s, %s)" % (lib.name, n) for n in names)]
    lines += ["", "#define FAR_LIBRARIES(L) %s" % " ".join("L(%s, FAR_CALLS_%s)" % (
        lib.name, lib.name.upper()) for lib in libraries), "",
              "#define FAR_LIBRARY_MEMBER(library, name) __typeof__(name) *name;", "struct far_libraries {"]
    for lib in libraries:
        lines += ["\tstruct {", "\t\tvoid *dl; /* NULL: not offered here */", "\t\tFAR_CALLS_%s(FAR_LIBRARY_MEMBER)" % lib.name.upper(),
                  "\t} %s;" % lib.name]
    if not libraries:
        lines.append("\tint none;")
    return "\n".join(lines + ["};", "", "#endif"]) + "\n"


def far_of(lib, name):
    return "far->lib.%s.%s" % (lib.name, name) if lib.number else "far->%s" % name


class Handler:
    def __init__(self, api, call):
        self.api, self.call, self.lib = api, call, call.library
        self.locals = ["struct gpu *g = worker_gpu(w);", "const struct far *far = g->far;"]
        self.lines = []

    def step(self, expression):
        self.lines += ["\tif (!r)", "\t\tr = %s;" % expression]

    def thing(self, p):
        return self.api.objects.get(p.handle.name)

    def far_object(self, p):
        return "(%s)call_far(in->%s)" % (p.ctype, p.name)

    def enter(self):
        """r is 0 when the objects can be used and their context is current on this thread."""
        call = self.call
        first = call.object
        if call.in_stream:
            self.locals += ["struct stream *s;", "int r;"]
            self.lines.append("\ts = stream_of(in->ctx, in->stream, &r);")
        elif call.current or call.of("new"):
            self.locals.append("int r = call_context(in->ctx);")
        elif first:
            self.locals.append("int r = call_object(in->%s);" % first.name)
        else:
            self.locals.append("int r = 0;")
        for p in call.of("object", "drop"):
            if call.in_stream or call.current or p is not first:
                self.step("call_object_in(in->%s, in->ctx)" % p.name if call.in_stream or call.current else "call_object(in->%s)" % p.name)
        if not call.needed:
            there = far_of(self.lib, call.name)
            if call.wide:
                there = "(in->wide ? !!%s : !!%s)" % (there + "_64", there)
            self.step("%s ? 0 : CUDA_ERROR_NOT_SUPPORTED" % there)

    def check(self):
        call = self.call
        if has_values(call):
            fields = [".%s = in->%s" % (p.name, p.name) for p in call.values()] or [".none = 0"]
            self.locals.append(wrap("%sstruct args_%s a = {" % ("" if call.of("numbers") else "const ", call.wire_name), fields) + "};")
            self.numbers()
            self.step("%s(valid_%s(&a))" % (self.status(), call.wire_name))
        for p in call.of("memory"):
            self.step("call_memory(g, in->%s, bytes_%s_%s(&a), %d)" % (p.name, call.wire_name, p.name, p.optional))
        for p in call.of("result"):
            self.step("call_memory(g, in->%s, bytes_%s_%s(&a), 0)" % (p.name, call.wire_name, p.name))
        for p in call.of("scalar"):
            self.step("call_scalar(g, in->mode, in->%s, bytes_%s_%s(&a))" % (p.name, call.wire_name, p.name))
        for p in call.of("array"):
            self.array(p)

    def numbers(self):
        """A copy of theirs that nobody else writes, read before anything is checked."""
        call = self.call
        if not call.of("numbers"):
            return
        self.locals += ["const char *pk = NULL;", "uint64_t pk_at[%d] = {0};" % len(call.of("numbers"))]
        self.step("call_numbers(g, in->packed, in->packed_len, in->large, in->large_len, packed_%s(&a, pk_at), &pk)" % call.wire_name)
        self.lines.append("\tif (!r) {")
        self.lines += ["\t\ta.%s = (const void *)(pk + pk_at[%d]);" % (p.name, i) for i, p in enumerate(call.of("numbers"))]
        self.lines.append("\t}")

    def array(self, p):
        kind = "pvgpu_" + p.record.name
        self.locals += ["struct %s %s_wire;" % (kind, p.name), "%s %s[%d];" % (p.ctype, p.name, p.hi)]
        self.step("in->%s_len == (uint64_t)a.%s * sizeof(%s_wire) ? 0 : CUDA_ERROR_INVALID_VALUE" % (p.name, p.count, p.name))
        name = "%s_wire" % p.name
        self.lines += ["\tfor (uint32_t i = 0; !r && i < in->%s_len / sizeof(%s); i++) {" % (p.name, name)]
        self.lines += ["\t\tvoid *%s_object = NULL;" % part.name for part in p.record.parts if part.role == "object"]
        self.lines += ["", "\t\tmemcpy(&%s, (const char *)in->%s + i * sizeof(%s), sizeof(%s));" % (name, p.name, name, name),
                       "\t\tmemset(&%s[i], 0, sizeof(%s[i]));" % (p.name, p.name),
                       "\t\tr = %s(valid_%s(&%s));" % (self.status(), p.record.name, name)]
        for part in p.record.parts:
            at = "%s[i].%s" % (p.name, part.name)
            if part.role == "object":
                far = "call_far(%s_object)" % part.name
                self.lines += ["\t\tif (!r)", "\t\t\tr = call_lookup(g, PVGPU_H_%s, %s.%s, &%s_object);" % (
                    part.handle.name.upper(), name, part.name, part.name), "\t\tif (!r)", "\t\t\t%s = %s;" % (at, far)]
                continue
            if part.role == "memory":
                self.lines += ["\t\tif (!r)", "\t\t\tr = call_memory(g, %s.%s, bytes_%s_%s(&%s), 0);" % (
                    name, part.name, p.record.name, part.name, name)]
            self.lines.append("\t\t%s = (__typeof__(%s))%s.%s;" % (at, at, name, part.name))
        self.lines.append("\t}")

    def status(self):
        """Wraps a status of the library's: what the handler returns."""
        if not self.lib.number:
            return ""
        return "call_status" if self.call.awaited else "call_deferred"

    def arguments(self, wide=False):
        words = []
        for p in self.call.arguments:
            if p.role in ("object", "drop"):
                words.append(self.far_object(p))
            elif p.role == "stream":
                words.append("s->far")
            elif p.role == "in":
                words.append("(%s)in->%s" % ("int64_t" if p.dim and wide else p.ctype, p.name))
            elif p.role == "info":  # what it says the guest knows: the validator's answer
                self.locals += [] if wide else ["int %s = 0;" % p.name]
                words.append("&" + p.name)
            elif p.role == "out":
                self.locals.append("%s %s = 0;" % (p.ctype, p.name))
                words.append("&%s" % p.name)
            elif p.role == "scalar":
                words.append("call_number(in->mode, &in->%s)" % p.name)
            elif p.role == "array":
                words.append(p.name)
            elif p.role == "numbers":
                words.append("(const void *)a.%s" % p.name)
            elif p.role == "memory" and p.ctype == "CUdeviceptr":
                words.append("in->%s" % p.name)
            else:
                words.append("(void *)(uintptr_t)in->%s" % p.name)
        return words

    def far_call(self):
        far = far_of(self.lib, self.call.name)
        text = wrap("%s(" % far, self.arguments()) + ")"
        if self.call.wide:
            text = "(in->wide ? %s : %s)" % (wrap("%s_64(" % far, self.arguments(wide=True)) + ")", text)
        if not self.lib.number:
            return "(int)" + text
        # The status of a one-way call is the next synchronising call's CUresult.
        return "%s((int)%s)" % (self.status(), text)

    def bind(self):
        """The object's stream and where its numbers lie: set when they differ from the last call's."""
        p = self.call.object
        thing = self.thing(p) if p else None
        if not thing or not self.call.in_stream:
            return
        if thing.stream:
            self.step("%s(stream_of_%s(far, in->%s, s))" % (self.status(), p.handle.name, p.name))
        always = self.call.host or self.call.of("result")
        if thing.mode and (self.call.mode or always):
            self.step("%s(mode_of_%s(far, in->%s, %s))" % (self.status(), p.handle.name, p.name, "1" if always else "in->mode"))

    def simple(self):
        self.enter()
        self.check()
        again = self.api.sets_stream(self.call)  # though it may be the same stream
        if again:
            self.lines += ["\tif (!r)", "\t\t((struct lib_object *)in->%s)->stream_set = false;" % self.call.object.name]
        self.bind()
        if not again:
            self.step(self.far_call())
        self.lines += ["\tout->%s = (%s)%s;" % (p.name, SCALARS[p.kind][0], p.name) for p in self.call.of("out")]
        ctx = self.context()
        self.lines.append("\treturn %s;" % ("ctx_result(%s, r)" % ctx if ctx else "r"))

    def cost(self, word):
        if any(p.name == word for p in self.call.params):
            return "(uint32_t)in->%s" % word
        added = re.fullmatch(r"sum\((\w+)\)", word)
        return "(uint32_t)%s(&a)" % sums(self.call)[added[1]] if added else word

    def context(self):
        if self.call.in_stream:
            return None
        return "in->ctx" if self.call.current else None

    def work(self):
        self.enter()
        self.check()
        self.bind()
        cost = [self.cost(w) for w in self.call.cost]
        shape = ", ".join(cost + ["0"] * (7 - len(cost)))
        self.locals.append("struct work k;")
        text = self.far_call()
        self.lines += ["\tif (r)", "\t\treturn r;", "\twork_call(&k, s, PVGPU_OP_%s, (const uint32_t[WORK_SHAPE]){%s});" % (
            self.call.wire.upper(), shape), "\tr = %s;" % text, "\tif (r)", "\t\twork_abort(&k, s);", "\telse", "\t\twork_commit(&k, s);",
                       "\treturn ctx_result(s->o.ctx, r);"]

    def whole(self):
        if self.call.works:
            self.work()
        else:
            self.simple()
        return self.text()

    def text(self):
        """Without the locals that nothing uses."""
        lines, head = "\n".join(self.lines + self.locals[2:]), self.locals[2:]
        if "far->" in lines:
            head = [self.locals[1] if "(g," in lines else "const struct far *far = worker_gpu(w)->far;"] + head
        if "(g," in lines:
            head = [self.locals[0]] + head
        return ["{"] + ["\t" + line for line in head] + [""] + self.lines + ["}", ""]


def side(api, call):
    """In the side lane: what may block inside CUDA."""
    c = call.command
    n = c.name
    refs = [f.name for f in c.ins if f.kind == "handle" and f.way == "in"]
    lines = ["struct job_%s {" % n, "\tstruct job job;", "\tstruct pvgpu_in_%s in;" % n, "\tvoid *made;", "\tuint64_t rec[];", "};", ""]
    made = call.of("new")
    gone = call.of("drop")
    proto = proto_handler(c).replace("int handle_", "static int do_", 1)
    if made:
        proto = proto.replace("\t\tstruct pvgpu_out_%s *out)" % n, "\t\tstruct lib_object *made)")
        lines += [proto] + make_body(api, call)
    elif gone:
        lines += [proto] + drop_body(api, call)
    else:
        lines += [proto] + Handler(api, call).whole()
    lines += ["static void run_%s(struct gpu *g, struct job *job)" % n, "{", "\tstruct job_%s *j = (struct job_%s *)job;" % (n, n),
              "\tstruct pvgpu_out_%s out = {0};" % n]
    lines += ["\tconst int r = do_%s(g->w, &j->in, %s);" % (n, "j->made" if made else "&out"), ""]
    if call.awaited:
        lines += ["\tworker_reply_%s(g->w, j->in.hdr->seq, r, &out);" % n]
    else:
        lines += ["\tif (r)", "\t\tworker_deferred(g->w, %s, r);" % ("j->in.ctx" if "ctx" in refs else "NULL")]
    lines += ["\tobj_unref(j->in.%s);" % r for r in refs]
    lines += ["\tobj_unref(j->made);"] if made else []
    lines += ["\tfree(j);", "}", "", proto_handler(c), "{", "\tstruct gpu *g = worker_gpu(w);",
              "\tstruct job_%s *j = calloc(1, sizeof(*j) + in->hdr->len);" % n]
    if made:
        lines += ["\tint err;"]
    lines += ["", "\tif (!j)", "\t\treturn CUDA_ERROR_OUT_OF_MEMORY;", "\tj->in = *in;", "\tmemcpy(j->rec, in->hdr, in->hdr->len);",
              "\tj->in.hdr = (const struct pvgpu_cmd_hdr *)j->rec;", "\tj->job.run = run_%s;" % n]
    for f in c.ins:
        if f.variable:
            lines.append("\tj->in.%s = (const char *)j->rec + ((const char *)in->%s - (const char *)in->hdr);" % (f.name, f.name))
    if made:
        # Libraries load their code with their first object.
        lines += ["\tj->job.where = SIDE_LOADS;"]
        lines += ["\tj->made = call_new(g, PVGPU_H_%s, in->%s_h, in->ctx, &err);" % (made[0].handle.name.upper(), made[0].name),
                  "\tif (!j->made) {", "\t\tfree(j);", "\t\treturn err;", "\t}"]
    if gone:
        # Questions that have the object may be under way in the lane for loads.
        lines += ["\tj->job.where = SIDE_BEHIND;"]
        # The table's reference becomes the job's.
        lines += ["\tobj_remove(g, in->%s);" % gone[0].name]
        refs = [r for r in refs if r != gone[0].name]
    lines += ["\tobj_ref(in->%s);" % r for r in refs]
    lines += ["\tside_after_work(g, ((struct obj *)in->%s)->ctx, &j->job);" % gone[0].name if gone else "\tside_push(g, &j->job);",
              "\treturn PVGPU_PENDING;", "}", ""]
    return lines


def make_body(api, call):
    h = Handler(api, call)
    p = call.of("new")[0]
    thing = api.objects[p.handle.name]
    h.enter()
    h.locals.append("%s object = NULL;" % thing.ctype)
    h.step("call_charge(g, made, %d)" % thing.charge)
    words = ["&object" if q is p else "(%s)in->%s" % (q.ctype, q.name) for q in call.params]
    h.step("call_status_of(%d, (int)%s(%s))" % (call.library.number, far_of(call.library, call.name), ", ".join(words)))
    h.lines += ["\tcall_made(g, made, object, r);", "\treturn ctx_result(in->ctx, r);"]
    return h.text()


def drop_body(api, call):
    p = call.of("drop")[0]
    return ["{", "\tcall_retire(worker_gpu(w), in->%s);" % p.name, "\treturn obj_error(in->%s);" % p.name, "}", ""]


def settings(api):
    """An object's settings at the far end, told when they differ from those that were told last: a status of the library's."""
    lines = []
    for thing in api.objects.values():
        o = "(%s)call_far(o)" % thing.ctype
        for what, call, param, value in (("stream", thing.stream, "const struct stream *s", "s->far"), ("mode", thing.mode, "uint32_t mode", "mode")):
            if call:
                lines += ["static int %s_of_%s(const struct far *far, struct lib_object *o, %s)" % (what, thing.handle.name, param), "{",
                          "\tint r;", "", "\tif (%so->%s == %s)" % ("o->stream_set && " if what == "stream" else "", what, value), "\t\treturn 0;",
                          "\tr = (int)%s(%s, %s);" % (far_of(thing.library, call), o, value), "\tif (!r) {", "\t\to->%s = %s;" % (what, value)]
                lines += ["\t\to->stream_set = true;"] if what == "stream" else []
                lines += ["\t}", "\treturn r;", "}", ""]
    return lines


def handlers_c(api):
    lines = [BANNER, "#include <stdlib.h>", "#include <string.h>", "", "#include \"pvgpu_decode.h\"", *PARTS]
    lines += ["#include \"pvgpu_valid_%s.h\"" % lib.name for lib in api.libraries.values() if forwarded(api, lib)]
    lines += ["", *settings(api)]
    for lib in api.libraries.values():
        for call in forwarded(api, lib):
            text = side(api, call) if call.lane == "side" else [proto_handler(call.command)] + Handler(api, call).whole()
            line = "\n".join(text)
            if lib.number:
                line = line.replace("call_status(", "call_status_of(%d, " % lib.number)
                line = line.replace("call_deferred(", "call_deferred_of(%s, " % lib.invalid)
            lines.append(line)
    lines += destroy(api)
    return "\n".join(lines).rstrip() + "\n"


def destroy(api):
    lines = ["/* An object's end, by its destroy call or with its context. */",
             "int call_destroy(const struct far *far, uint32_t type, void *object)", "{", "\tswitch (type) {"]
    for thing in api.objects.values():
        lines += ["\tcase PVGPU_H_%s:" % thing.handle.name.upper(), "\t\treturn (int)%s((%s)object);" % (
            far_of(thing.library, thing.destroy), thing.ctype)]
    kinds = " || ".join("type == PVGPU_H_%s" % thing.handle.name.upper() for thing in api.objects.values())
    return lines + ["\tdefault:", "\t\treturn 0;", "\t}", "}", "", "bool call_gives(uint32_t type)", "{", "\treturn %s;" % (kinds or "false"), "}"]
