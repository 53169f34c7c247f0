#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What programs call of the stand-in for cuBLAS, and the prototypes of what is written by hand behind it: from the descriptions.

  front.py --out DIR    simcublas_front.c and simcublas_run.h
"""
import glob
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TREE = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
sys.dont_write_bytecode = True
sys.path[:0] = [os.path.join(TREE, "libpvgpu", *p) for p in (("protocol", "gen"), ("tools",))]

import calls  # noqa: E402
import c_guest  # noqa: E402
import generator  # noqa: E402
from c_stubs import wrap  # noqa: E402
from parse import SCALARS  # noqa: E402

BANNER = "/* SPDX-License-Identifier: MIT */\n/* Made by tests/simlibs/cublas/front.py from *.api; do not edit. */\n"


def works(call):
    return call.op is not None and call.works and not call.of("numbers")


def tables(call):
    return [p for p in call.of("memory") if p.ctype == "uint64_t"]


def run_param(p):
    """Of the function by hand: numbers of 64 bits, and addresses."""
    if p.role == "in":
        return "%s %s" % ("int64_t" if p.dim else p.ctype, p.name)
    if p.role == "result":
        return "%s *%s" % ("int64_t" if p.dim else p.ctype, p.name)
    return "%s%s *%s" % ("" if p.role == "memory" and p.write else "const ", p.ctype, p.name)


def run_prototype(call):
    params = [run_param(p) for p in call.arguments if p.role not in ("object", "info")]
    return wrap("%s run_%s(" % ("bool" if tables(call) else "void", call.name), params + (["uint64_t *bad"] if tables(call) else [])) + ")"


def structure(call):
    lines = ["struct job_%s {" % call.name, "\tstruct job job;", "\tstruct args_%s a;" % call.wire_name]
    for p in call.of("memory", "result", "scalar"):
        lines.append("\t%svoid *%s;" % ("" if p.role == "result" or p.write else "const ", p.name))
    lines += ["\tuint64_t %s_words[%d];" % (p.name, p.words) for p in call.of("scalar")]
    return lines + ["};", ""]


def execute(call):
    w = call.wire_name
    lines = ["static bool exec_%s(struct job *j, uint64_t *bad)" % call.name, "{", "\tstruct job_%s *k = (struct job_%s *)j;" % (call.name, call.name)]
    lines += ["\tint64_t %s_wide = 0;" % p.name for p in call.of("result") if p.dim]
    body = []
    for p in call.of("memory", "result"):
        optional = "k->%s && " % p.name if p.optional else ""
        body += ["\tif (%s!sim_reach(k->%s, bytes_%s_%s(&k->a), %s, bad))" % (optional, p.name, w, p.name, "true" if p.write else "false"),
                 "\t\treturn false;"]
    for p in call.of("scalar"):
        body += ["\tif (j->device && !sim_reach(k->%s, bytes_%s_%s(&k->a), false, bad))" % (p.name, w, p.name), "\t\treturn false;"]
    words = []
    for p in call.arguments:
        if p.role == "in":
            words.append("(%s)k->a.%s" % ("int64_t" if p.dim else p.ctype, p.name))
        elif p.role == "scalar":
            words.append("j->device ? k->%s : k->%s_words" % (p.name, p.name))
        elif p.role == "result" and p.dim:
            words.append("&%s_wide" % p.name)
        elif p.role not in ("object", "info"):
            words.append("k->%s" % p.name)
    text = wrap("run_%s(" % call.name, words + (["bad"] if tables(call) else [])) + ");"
    if tables(call):
        return lines + [""] + body + ["\treturn " + text, "}", ""]
    body.append("\t" + text)
    for p in call.of("result"):
        if p.dim:
            body += ["\tif (k->a.wide)", "\t\t*(int64_t *)k->%s = %s_wide;" % (p.name, p.name), "\telse", "\t\t*(int *)k->%s = (int)%s_wide;" % (p.name, p.name)]
    return lines + [""] + body + ["\treturn true;", "}", ""]


def enter(call):
    w = call.wire_name
    first = call.object.name
    params = [c_guest.declaration(p, None) for p in call.arguments] + (["bool wide"] if call.wide else [])
    lines = ["static " + wrap("cublasStatus_t do_%s(" % call.name, params) + ")", "{"]
    fields = [".%s = (%s)%s" % (p.name, SCALARS[p.kind][0], p.name) for p in call.values()]
    lines += ["\t" + wrap("const struct args_%s a = {" % w, fields or [".none = 0"]) + "};", "\tconst cublasStatus_t status = sim_asked(\"%s\");" % call.name,
              "\tstruct job_%s *job;" % call.name, "\tint r;", "", "\tif (!%s)" % first, "\t\treturn CUBLAS_STATUS_NOT_INITIALIZED;", "\tif (status)",
              "\t\treturn status;"]
    for p in call.of("scalar", "result", "info"):
        lines += ["\tif (!%s)" % p.name, "\t\treturn CUBLAS_STATUS_INVALID_VALUE;"]
    lines += ["\tr = valid_%s(&a);" % w] + ["\t*%s = info_%s(&a);" % (p.name, w) for p in call.of("info")] + ["\tif (r)", "\t\treturn (cublasStatus_t)r;"]
    if call.host:
        lines += ["\tif (!%s->mode)" % first, "\t\treturn %s_host(%s);" % (call.name, ", ".join(p.name for p in call.arguments))]
    lines += ["\tjob = sim_job(%s, sizeof(*job), exec_%s);" % (first, call.name), "\tif (!job)", "\t\treturn CUBLAS_STATUS_ALLOC_FAILED;", "\tjob->a = a;"]
    for p in call.of("memory", "scalar"):
        lines.append("\tjob->%s = (void *)(uintptr_t)%s;" % (p.name, p.name))
    for p in call.of("scalar"):
        lines += ["\tif (!%s->mode)" % first, "\t\tmemcpy(job->%s_words, %s, bytes_%s_%s(&a));" % (p.name, p.name, w, p.name)]
    for p in call.of("result"):
        lines.append("\tjob->%s = %s->mode ? %s : (void *)(uintptr_t)%s->workspace;" % (p.name, first, p.name, first))
    if not call.of("result"):
        return lines + ["\treturn sim_launch(job);", "}", ""]
    p = call.of("result")[0]
    return lines + ["\treturn sim_answer(job, %s, bytes_%s_%s(&a));" % (p.name, w, p.name), "}", ""]


def forms(call):
    lines = []
    for i, text in enumerate(c_guest.prototypes(call)):
        words = [p.name for p in call.arguments] + (["true" if i else "false"] if call.wide else [])
        lines += ["PUBLIC " + text, "{", "\treturn do_%s(%s);" % (call.name, ", ".join(words)), "}", ""]
    return lines


def work(args):
    api = calls.parse_files(args.files)
    served = [c for c in api.calls.values() if c.library.name == "cublas" and works(c)]
    head = [BANNER, "#ifndef PVGPU_SIMCUBLAS_RUN_H", "#define PVGPU_SIMCUBLAS_RUN_H", "", "#include \"tests/simlibs/cublas/sim.h\"", ""]
    head += ["%s;" % run_prototype(c) for c in served] + ["%s;" % c_guest.prototype(c, c.name + "_host") for c in served if c.host] + ["", "#endif"]
    lines = [BANNER, "#include \"simcublas_run.h\"", ""]
    for c in served:
        lines += structure(c) + execute(c) + enter(c) + forms(c)
    generator.write(os.path.join(args.out, "simcublas_run.h"), "\n".join(head) + "\n")
    generator.write(os.path.join(args.out, "simcublas_front.c"), "\n".join(lines).rstrip() + "\n")


def main():
    p = generator.arguments(__doc__, "")
    args = p.parse_args()
    args.files = sorted(glob.glob(os.path.join(TREE, "libpvgpu", "protocol", "[0-9]*.api")))
    return generator.status(work, args)


if __name__ == "__main__":
    sys.exit(main())
