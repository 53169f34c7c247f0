# SPDX-License-Identifier: MIT
"""pvgpu_calls_LIBRARY.c and .h: a library's public functions in the guest, and what its objects keep there."""
from c_stubs import wrap
from c_valid import has_values, header
from c_wire import BANNER
from parse import SCALARS
import library_exports
import public

INVALID_HANDLE, NO_MEMORY, NOT_SUPPORTED = "CUDA_ERROR_INVALID_HANDLE", "CUDA_ERROR_OUT_OF_MEMORY", "CUDA_ERROR_NOT_SUPPORTED"


def declaration(p, wide=False):
    """wide: of the form with numbers of 64 bits; None: of the function that both forms call."""
    star = {"new": "*", "out": "*", "result": "*", "scalar": "const *", "array": "const *", "numbers": "const *", "info": "*"}.get(p.role, "")
    if p.dim:
        return "%s %s%s" % ("void" if wide is None and p.role == "result" else "int" if wide is False else "int64_t", star, p.name)
    if p.role == "memory" and p.ctype != "CUdeviceptr":
        star = "*" if p.write else "const *"
    if star.startswith("const"):
        return "const %s *%s" % (p.ctype, p.name)
    return "%s %s%s" % (p.ctype, star, p.name)


def prototype(call, name=None, wide=False):
    returns = call.returns or call.library.status
    return wrap("%s%s%s(" % (returns, "" if returns.endswith("*") else " ", name or call.name),
                [declaration(p, wide) for p in call.arguments] or ["void"]) + ")"


def prototypes(call):
    """Of each of its symbols."""
    return [prototype(call, name, wide) for name, wide in zip(call.names, (False, True))]


def prototypes_h(api, library):
    """For programs and for the far end's table: a library whose header is not ours."""
    lines = [BANNER, "#ifndef PVGPU_%s_CALLS_H" % library.name.upper(), "#define PVGPU_%s_CALLS_H" % library.name.upper(), ""]
    if library.number:
        lines += ["#include \"%s\"" % library.header, ""]
        lines += ["%s;" % text for c in api.calls.values() if c.library is library for text in prototypes(c)]
    return "\n".join(lines + ["", "#endif"]) + "\n"


def public_h(api, library):
    return public.header(list(library_exports.read(api, library)), "PVGPU_%s_PUBLIC_H" % library.name.upper())


def public_c(api, library):
    refused = {name: ([], False) for name in library_exports.refused(api, library)}
    return public.source({**public.of_blocks(mine(api.calls, library)), **refused})


def object_h(api, library):
    upper = library.name.upper()
    lines = [BANNER, "#ifndef PVGPU_CALLS_%s_H" % upper, "#define PVGPU_CALLS_%s_H" % upper, "", "#include \"%s\"" % include(library),
             "#include \"%s\"" % header(library), ""]
    if library.number:
        lines[-1:] = ["#include \"%s_public.h\"" % library.name, ""]
        lines += ["/* By hand: the library's status of a result on the wire. */", "%s %s_status(int result);" % (
            library.status, library.name), "/* Before the first object. */", "void %s_objects(void);" % library.name]
        lines += ["/* By hand: with the numbers in host memory. */"] + ["%s;" % prototype(c, c.name + "_host") for c in mine(api.calls, library) if c.host] + [""]
    for thing in mine(api.objects, library):
        lines += ["struct %s_object {" % thing.handle.name, "\tstruct object o;"]
        for s in thing.states.values():
            lines.append("\t%s %s;" % ("CUstream" if s.kind == "stream" else "uint32_t" if s.kind == "mode" else SCALARS[s.kind][0], s.name))
        lines += ["\tstruct lent lent;"] if thing.lends else []
        lines += ["\tstruct scratch scratch;", "};", ""] if library.number else ["};", ""]
    return "\n".join(lines + ["#endif"]) + "\n"


def include(library):
    return "client/client.h" if library.number else "cuda/core/api.h"


def mine(things, library):
    return [t for t in things.values() if t.library is library]


class Body:
    """One function's statements: locals, then statements."""

    def __init__(self, api, call):
        self.api, self.call = api, call
        self.locals, self.lines = [], []
        self.ctx = None  # expression of the context whose errors are kept

    def fail(self, result):
        return "%s_status(%s)" % (self.call.library.name, result) if self.call.library.number else "(CUresult)(%s)" % result

    def leave_if(self, condition, result):
        self.lines += ["\tif (%s)" % condition, "\t\treturn %s;" % result]

    def enter(self):
        """Who calls, on what: r is 0, or why not."""
        call = self.call
        first = call.object if call.library.number else None
        steps = []
        if first:
            self.locals.append("struct %s_object *h = NULL;" % first.handle.name)
            steps.append("api_find(PVGPU_H_%s, %s, (void **)&h)" % (first.handle.name.upper(), first.name))
            self.ctx = "h->o.ctx"
            if call.in_stream and not self.api.sets_stream(call):
                self.locals.append("struct target t = {0};")
                steps.append("api_object_stream(&h->o, h->%s, &t)" % self.stream_state(first))
                self.ctx = "t.ctx"
        if call.current or call.of("new"):
            self.locals.append("struct ctx *c = NULL;")
            steps.append("api_current(&c)")
            self.ctx = "c"
        for p in call.of("stream"):
            self.locals.append("struct target t = {0};")
            steps.append("api_stream(%s, per_thread, &t)" % p.name)
            self.ctx = "t.ctx"
        for p in call.of("object", "drop"):
            if p is first:
                continue
            self.locals.append("struct object *%s_object = NULL;" % p.name)
            steps.append("api_find(PVGPU_H_%s, %s, (void **)&%s_object)" % (p.handle.name.upper(), p.name, p.name))
            self.ctx = self.ctx or "%s_object->ctx" % p.name
        if not steps:
            steps.append("api_enter()")
        self.locals.append("int r = %s;" % steps[0])
        for step in steps[1:]:
            self.lines += ["\tif (!r)", "\t\tr = %s;" % step]
        self.leave_if("r", self.fail("r"))

    def stream_state(self, p):
        thing = self.api.objects[p.handle.name]
        return next(s.name for s in thing.states.values() if s.kind == "stream")

    def mode_state(self, p):
        thing = self.api.objects[p.handle.name]
        return next(s.name for s in thing.states.values() if s.kind == "mode")

    def check(self):
        call = self.call
        for p in call.of("new", "out", "result", "scalar", "info"):
            if not p.optional:
                self.leave_if("!%s" % p.name, call.library.invalid)
        for p in call.of("array"):
            self.leave_if("%s && !%s" % (p.count, p.name), call.library.invalid)
        for p in call.of("numbers"):
            self.leave_if("%s!%s" % ("%s > 0 && " % p.count if p.count else "", p.name), call.library.invalid)
        if call.values():
            fields = ", ".join([".%s = (%s)%s" % (p.name, SCALARS[p.kind][0], p.name) for p in call.values()] +
                               [".%s = (const void *)%s" % (p.name, p.name) for p in call.of("numbers")])
            self.locals.append(wrap("const struct args_%s a = {" % call.wire_name, fields.split(", ")) + "};")
        elif has_values(call):
            self.locals.append("const struct args_%s a = {0};" % call.wire_name)
        if call.of("numbers"):
            self.locals += ["uint64_t pk_at[%d] = {0};" % len(call.of("numbers")), "const uint64_t pk_bytes = packed_%s(&a, pk_at);" % call.wire_name,
                            "struct numbers pk;"]
            self.leave_if("pk_bytes == UINT64_MAX", self.fail(NOT_SUPPORTED))
        if has_values(call):
            self.lines.append("\tr = valid_%s(&a);" % call.wire_name)
            self.lines += ["\t*%s = info_%s(&a);" % (p.name, call.wire_name) for p in call.of("info")]
            self.leave_if("r", "(%s)r" % call.library.status)

    def pack(self):
        """Numbers go into the record, or into the arena."""
        call = self.call
        numbers = call.of("numbers")
        self.lines.append("\tr = api_pack(&pk, pk_bytes);")
        self.leave_if("r", self.fail("r"))
        for i, p in enumerate(numbers):
            self.lines.append("\tapi_packs(&pk, pk_at[%d], a.%s, bytes_%s_%s(&a));" % (i, p.name, call.wire_name, p.name))

    def arrays(self):
        for p in self.call.of("array"):
            name = "%s_wire" % p.name
            self.locals.append("struct pvgpu_%s %s[%d];" % (p.record.name, name, p.hi))
            self.leave_if("%s > %du" % (p.count, p.hi), self.call.library.invalid)
            self.lines += ["\tmemset(%s, 0, sizeof(%s));" % (name, name),
                           "\tfor (unsigned int i = 0; i < (unsigned int)%s; i++) {" % p.count]
            for part in p.record.parts:
                if part.role == "object":
                    self.lines += ["\t\tstruct object *%s = NULL;" % part.name]
            for part in p.record.parts:
                if part.role == "object":
                    self.lines += ["", "\t\tr = api_find(PVGPU_H_%s, %s[i].%s, (void **)&%s);" % (
                        part.handle.name.upper(), p.name, part.name, part.name), "\t\tif (r)", "\t\t\treturn %s;" % self.fail("r"),
                        "\t\t%s[i].%s = %s->wire;" % (name, part.name, part.name)]
                else:
                    self.lines.append("\t\t%s[i].%s = (%s)%s[i].%s;" % (name, part.name, SCALARS[part.kind][0], p.name, part.name))
            self.lines += ["\t\tr = valid_%s(&%s[i]);" % (p.record.name, name), "\t\tif (r)", "\t\t\treturn (%s)r;" % self.call.library.status,
                           "\t}"]

    def arguments(self):
        """What the stub is given, in the command's order."""
        call, words = self.call, ["api_session()"]
        params = {p.name: p for p in call.params}
        for f in call.command.ins:
            p = params.get(f.name)
            if f.name == "ctx" and not p:
                words.append("t.ctx->o.wire" if call.in_stream else "c->o.wire")
            elif f.name == "stream" and (not p or p.role == "stream"):
                words.append("t.stream")
            elif f.name == "mode" and not p:
                words.append("mode_now")
            elif f.name == "packed" and not p:
                words += ["pk.record", "pk.record_len"]
            elif f.name == "large" and not p:
                words += ["pk.large", "pk.large_len"]
            elif not p:  # a further word of a scalar
                name, _, word = f.name.rpartition("_")
                words.append("%s_v[%d]" % (name, 1 if word == "high" else int(word)))
            elif p.role == "scalar":
                words.append("%s_v[0]" % p.name)
            elif p.role in ("object", "drop"):
                words.append("h->o.wire" if p is call.object and call.library.number else "%s_object->wire" % p.name)
            elif p.role == "new":
                words.append("h->o.wire")
            elif p.role == "result":
                words.append("%s_at" % p.name)
            elif p.role == "array":
                words += ["%s_wire" % p.name, "(uint32_t)(%s * sizeof(%s_wire[0]))" % (p.count, p.name)]
            elif p.role == "memory":
                words.append(p.name if p.ctype == "CUdeviceptr" else "(uint64_t)(uintptr_t)%s" % p.name)
            else:
                words.append("a.%s" % p.name)
        for p in call.of("out"):
            self.locals.append("%s %s_out = 0;" % (SCALARS[p.kind][0], p.name))
            words.append("&%s_out" % p.name)
        return words

    def numbers(self):
        """Numbers by pointer: by value where they are the host's, else their address; results come through a scratch place of this call's own.
        Another thread may change the mode meanwhile, so it is read once."""
        sends_mode = any(f.name == "mode" for f in self.call.command.ins) and not any(p.name == "mode" for p in self.call.params)
        if self.call.host or sends_mode or self.call.of("scalar", "result"):
            self.locals.append("uint32_t mode_now;")
            self.lines.append("\tmode_now = h->%s;" % self.mode_state(self.call.object))
        # With another way out behind it, a place would not be given back.
        assert not self.call.of("result") or len(self.call.of("result", "numbers")) == 1, self.call.name
        if self.call.host:
            self.leave_if("!mode_now", "%s_host(%s)" % (self.call.name, ", ".join(p.name for p in self.call.arguments)))
        for p in self.call.of("scalar"):
            self.locals.append("uint64_t %s_v[%d] = {0};" % (p.name, p.words))
            self.lines.append("\tapi_scalar(mode_now, %s, bytes_%s_%s(&a), %s_v, sizeof(%s_v));" % (
                p.name, self.call.wire_name, p.name, p.name, p.name))
        for p in self.call.of("result"):
            self.locals.append("uint64_t %s_at = (uint64_t)(uintptr_t)%s;" % (p.name, p.name))
            self.lines += ["\tif (!mode_now)", "\t\tr = api_scratch(&h->o, &h->scratch, &%s_at);" % p.name]
            self.leave_if("r", self.fail("r"))

    def send(self):
        words = self.arguments()
        text = wrap("\tr = pvgpu_do_%s(" % self.call.wire, words) + ");"
        if self.call.of("numbers"):
            marked = wrap("\t\tr = pvgpu_do_%s_mark(" % self.call.wire, words[:1] + ["&pk.slot->mark"] + words[1:]) + ");"
            self.lines += ["\tif (pk.slot)", marked, "\telse", "\t" + text, "\tapi_packed(&pk, !r);"]
        else:
            self.lines.append(text)
        if self.ctx:
            self.lines.append("\tr = api_result(%s, r);" % self.ctx)

    def lend(self):
        """Memory for the stream's work is told when it changes."""
        call = self.call
        thing = self.api.objects.get(call.object.handle.name) if call.object else None
        if self.api.lent_by(call):
            self.leave_if("api_lent(&h->lent, &t, %s, a.%s)" % (call.of("memory")[0].name, call.values()[0].name), self.fail("0"))
        elif call.works and thing and thing.lends:
            self.lines.append("\tr = lent_to_%s(h, &t);" % thing.handle.name)
            self.leave_if("r", self.fail("r"))

    def finish(self):
        call = self.call
        for p in call.of("result"):
            self.lines += ["\tif (!r && !mode_now)",
                           "\t\tr = api_fetch(&t, %s_at, %s, (uint32_t)bytes_%s_%s(&a));" % (p.name, p.name, call.wire_name, p.name),
                           "\tif (!mode_now)", "\t\tapi_scratch_give(&h->scratch, %s_at);" % p.name]
        outs = ["\t\t%s*%s = (%s)%s_out;" % ("", p.name, p.ctype, p.name) for p in call.of("out")]
        if outs:
            self.leave_if("r", self.fail("r"))
            for p in call.of("out"):
                self.lines += (["\tif (%s)" % p.name, "\t\t*%s = (%s)%s_out;" % (p.name, p.ctype, p.name)] if p.optional else
                               ["\t*%s = (%s)%s_out;" % (p.name, p.ctype, p.name)])
        self.lines.append("\treturn %s;" % self.fail("r"))

    # ---- the kinds of functions

    def make(self):
        p = self.call.of("new")[0]
        self.locals.append("struct %s_object *h;" % p.handle.name)
        self.lines.append("\th = api_new(PVGPU_H_%s);" % p.handle.name.upper())
        self.leave_if("!h", self.fail(NO_MEMORY))
        self.lines.append("\th->o.ctx = c;")
        self.lines += ["\th->%s = %d;" % (s.name, s.initial) for s in self.api.objects[p.handle.name].states.values() if s.initial]
        self.send()
        self.lines += ["\tif (r) {", "\t\tapi_free(&h->o);", "\t\treturn %s;" % self.fail("r"), "\t}", "\tapi_publish(&h->o);",
                       "\t*%s = object_handle(&h->o);" % p.name, "\treturn %s;" % self.fail("0")]

    def drop(self):
        p = self.call.of("drop")[0]
        own = "h->o" if self.call.library.number else "(*%s_object)" % p.name
        self.leave_if("!api_retire(&%s)" % own, self.fail(INVALID_HANDLE))
        if self.call.library.number:
            self.lines += ["\tif (h->scratch.memory)", "\t\tpvgpu_do_mem_free(api_session(), h->o.ctx->o.wire, h->scratch.memory);"]
        self.send()
        self.lines += ["\tapi_free(&%s);" % own, "\treturn %s;" % self.fail("r")]

    def setter(self):
        call, name = self.call, self.call.sets
        value = call.params[1]
        state = self.api.objects[call.object.handle.name].states[name]
        if state.kind == "stream":
            self.locals.append("struct target t;")
            self.lines.append("\tr = api_stream(%s, false, &t);" % value.name)
            self.leave_if("r", self.fail("r"))
            self.lines.append("\th->%s = %s;" % (name, value.name))
            self.lines += ["\th->lent.over = h->lent.told;"] if call.op is not None else []
        elif state.kind == "mode":
            self.lines.append("\th->%s = a.%s;" % (name, value.name))
        else:
            self.leave_if("h->%s == a.%s" % (name, value.name), self.fail("0"))
            if call.op is not None:
                self.send()
                self.leave_if("r", self.fail("r"))
            self.lines.append("\th->%s = a.%s;" % (name, value.name))
        self.lines.append("\treturn %s;" % self.fail("0"))

    def getter(self):
        value = self.call.params[1]
        self.lines += ["\t*%s = (%s)h->%s;" % (value.name, value.ctype, self.call.gets), "\treturn %s;" % self.fail("0")]

    def whole(self):
        call = self.call
        self.enter()
        self.check()
        self.arrays()
        if call.sets:
            self.setter()
        elif call.gets:
            self.getter()
        elif call.of("new"):
            self.make()
        elif call.of("drop"):
            self.drop()
        else:
            self.numbers()
            self.lend()
            if call.of("numbers"):
                self.pack()
            self.send()
            self.finish()
        return self


def lent(api, thing):
    """For calls of an object that work: a stream that was set again takes back what was lent to its work."""
    name = thing.handle.name
    wire = next(c.wire for c in api.calls.values() if api.sets_stream(c) and c.object.handle is thing.handle)
    return ["static int lent_to_%s(struct %s_object *h, const struct target *t)" % (name, name), "{", "\tif (!h->lent.over)", "\t\treturn 0;",
            "\th->lent = (struct lent){0};",
            "\treturn api_result(t->ctx, pvgpu_do_%s(api_session(), t->ctx->o.wire, t->stream, h->o.wire));" % wire, "}", ""]


def function(api, call):
    body = Body(api, call).whole()
    text = ["{"] + ["\t" + line for line in body.locals] + [""] + body.lines + ["}", ""]
    if call.wide:
        lines = ["static " + wrap("%s do_%s(" % (call.library.status, call.name), [declaration(p, None) for p in call.arguments] + ["bool wide"]) + ")"]
        lines += text
        for i, text in enumerate(prototypes(call)):
            lines += ["PUBLIC " + text, "{", "\treturn do_%s(%s);" % (call.name, ", ".join([p.name for p in call.arguments] + ["false" if not i else "true"])), "}", ""]
        return lines
    if not call.form:
        per = [] if "per_thread" not in "\n".join(text) else ["\tconst bool per_thread = false;"]
        return ["PUBLIC " + prototype(call), "{"] + per + text[1:]
    inner = [p.name for p in call.params]
    lines = ["static " + wrap("%s do_%s(" % (call.library.status, call.name), [declaration(p) for p in call.params] + ["bool per_thread"]) + ")"]
    lines += text
    for suffix, value in (("", "false"), ("_" + call.form, "true")):
        lines += ["PUBLIC " + prototype(call, call.name + suffix), "{", "\treturn do_%s(%s);" % (call.name, ", ".join(inner + [value])), "}", ""]
    return lines


def calls_c(api, library):
    lines = [BANNER, "#include <string.h>", "", "#include \"pvgpu_calls_%s.h\"" % library.name,
             "#include \"pvgpu_valid_%s.h\"" % library.name, ""]
    if library.number:
        lines += ["void %s_objects(void)" % library.name, "{"]
        lines += ["\tapi_object_size(PVGPU_H_%s, sizeof(struct %s_object));" % (t.handle.name.upper(), t.handle.name)
                  for t in mine(api.objects, library)]
        lines += ["}", ""]
    for thing in mine(api.objects, library):
        lines += lent(api, thing) if thing.lends else []
    for call in api.calls.values():
        if call.library is library and not call.by_hand and "guest" not in call.own:
            lines += function(api, call)
    return "\n".join(lines).rstrip() + "\n"
