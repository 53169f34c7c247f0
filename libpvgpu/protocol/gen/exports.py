#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Turns exports.api, the list of libcuda's symbols, into what the library is built from.

  exports.py --out DIR    libcuda.map, cuda_public.h and .c, cuda_refused.c, cuda_procaddr.h, cuda_procaddr.c, cuda_stub.c
  exports.py --docs       docs/cuda-symbols.md
  exports.py --check-docs fails when docs/cuda-symbols.md is not what --docs would write
"""
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
TREE = HERE.parents[2]
sys.dont_write_bytecode = True
sys.path += [str(HERE), str(TREE / "libpvgpu" / "tools")]

import calls  # noqa: E402
import generator  # noqa: E402
import public  # noqa: E402
from lang import DescriptionError, Reader  # noqa: E402

API = HERE.parent / "exports.api"
RESULTS = TREE / "libpvgpu" / "cuda" / "include" / "pvgpu_cuda_result.h"
FIRST_VERSION, LAST_VERSION = 2000, 13000
STUB_LIBRARY = "CUDA_ERROR_STUB_LIBRARY"

NAME = re.compile(r"(cu[A-Z]\w*?)(?:_v(\d+))?(?:_(ptds|ptsz))?$")


class Symbol:
    """One exported symbol. mark is "", "ptds" or "ptsz"; result is None unless the call is refused."""

    def __init__(self, where, name, base, since, mark, disposition, result, remark, section):
        self.where, self.name, self.base, self.since, self.mark = where, name, base, since, mark
        self.disposition, self.result, self.remark, self.section = disposition, result, remark, section


def read_results(path=RESULTS):
    """CUresult names and numbers, from our header."""
    found = re.findall(r"\b(CUDA_(?:SUCCESS|ERROR_\w+))\s*=\s*(\d+)", path.read_text())
    return {name: int(number) for name, number in found}


class ExportsReader(Reader):
    STATEMENTS = ("section", "symbol", "private", "undeclared")

    def __init__(self, results):
        super().__init__()
        self.results, self.symbols, self.section = results, [], ""
        self.private, self.undeclared = [], []

    def start_section(self, line):
        self.section = line.text("a section's title")

    def start_private(self, line):
        self.private.append(line.name("a symbol", "pvgpu[A-Za-z]+"))
        line.text("what it is for")

    def result(self, line):
        result = "CUDA_ERROR_" + line.take("the refusal's CUresult")
        if result not in self.results:
            line.fail(f"unknown CUresult {result}")
        return result

    def start_undeclared(self, line):
        name, result = line.name("a symbol", NAME.pattern[:-1]), self.result(line)
        self.undeclared.append(Symbol(line.where, name, None, None, "", "refuse", result, line.text("what it is"), None))

    def start_symbol(self, line):
        name = line.take("the symbol's name")
        match = NAME.match(name)
        if not match:
            line.fail(f"'{name}' is no driver API symbol")
        line.expect("base")
        base = line.take("the base name")
        line.expect("since")
        since = line.take("the version")
        if not since.isdigit() or not FIRST_VERSION <= int(since) <= LAST_VERSION or int(since) % 10:
            line.fail(f"bad version '{since}': CUDA 12.8 is 12080; {FIRST_VERSION} to {LAST_VERSION}")
        mark = line.take("mark") if line.peek() in ("ptds", "ptsz") else ""
        if match[1] != base or (match[3] or "") != mark:
            line.fail(f"'{name}' is not {base} with an optional _v<n>" + (f" and _{mark}" if mark else ""))
        disposition, result = line.take("the disposition"), None
        if disposition == "refuse":
            result = self.result(line)
        elif disposition not in ("forward", "local"):
            line.fail(f"unknown disposition '{disposition}': forward, local or refuse RESULT")
        remark = line.text("the remark") if (line.peek() or "").startswith('"') else None
        if disposition == "refuse" and not remark:
            line.fail(f"{name} is refused without a rule")
        self.symbols.append(Symbol(line.where, name, base, int(since), mark, disposition, result, remark, self.section))


def check(symbols):
    """What one line cannot show: uniqueness, order of revisions, per-thread forms beside a plain one."""
    seen, keys, plain = {}, {}, {}
    for s in symbols:
        if s.name in seen:
            raise DescriptionError(s.where, f"{s.name} again; first in line {seen[s.name].where[1]}")
        key = (s.base, s.since, bool(s.mark))
        if key in keys:
            raise DescriptionError(s.where, f"{s.name} and {keys[key].name} both claim {s.base} since {s.since}")
        seen[s.name] = keys[key] = s
        if not s.mark:
            plain.setdefault(s.base, []).append(s)
    for s in symbols:
        stem = s.name[: -len(s.mark) - 1] if s.mark else s.name
        if s.mark and stem not in seen:
            raise DescriptionError(s.where, f"{s.name} without {stem}")
        if s.mark and s.since < seen[stem].since:
            raise DescriptionError(s.where, f"{s.name} is older than {stem}")
        if s.mark and s.disposition != seen[stem].disposition:
            raise DescriptionError(s.where, f"{s.name} is {s.disposition}, {stem} is {seen[stem].disposition}")
    for revisions in plain.values():
        number = lambda s: int(NAME.match(s.name)[2] or 1)
        for older, newer in zip(sorted(revisions, key=number), sorted(revisions, key=number)[1:]):
            if newer.since <= older.since:
                raise DescriptionError(newer.where, f"{newer.name} is not newer than {older.name}")


def read(path, results):
    reader = ExportsReader(results)
    reader.read(path)
    if not reader.symbols:
        raise DescriptionError((path, 1), "no symbol at all")
    check(reader.symbols)
    return reader


def parse(path, results):
    return read(path, results).symbols


def c_head(text):
    return f"/* SPDX-License-Identifier: MIT */\n/* Generated by exports.py from exports.api. {text} */\n"


def make_map(symbols, private):
    names = "".join(f"\t\t{name};\n" for name in sorted([s.name for s in symbols] + private))
    return f"/* Generated by exports.py from exports.api. */\n{{\n\tglobal:\n{names}\tlocal:\n\t\t*;\n}};\n"


def make_bodies(symbols, result_of, what, results, include=""):
    """Definitions that only return a number. Arguments are ignored, so the prototype does not matter."""
    out = [c_head(what), include, "\n#pragma GCC visibility push(default)\n\n"]
    for s in sorted(symbols, key=lambda s: s.name):
        result = result_of(s)
        out.append(f"int {s.name}(void);\nint {s.name}(void)\n{{\n"
                   f"\treturn {results[result]}; /* {result} */\n}}\n\n")
    out.append("#pragma GCC visibility pop\n")
    return "".join(out)


def procaddr_rows(symbols):
    """(base, since, plain symbol, per-thread symbol or None) by base and version; newest answers last."""
    by_base = {}
    for s in symbols:
        by_base.setdefault(s.base, []).append(s)
    rows = []
    for base in sorted(by_base):
        group = by_base[base]
        for version in sorted({s.since for s in group}):
            newest = lambda pt: max((s for s in group if s.since <= version and bool(s.mark) == pt),
                                    key=lambda s: s.since, default=None)
            plain, thread = newest(False), newest(True)
            rows.append((base, version, plain, thread))
    return rows


def make_procaddr_h():
    return c_head("What cuGetProcAddress gives.") + """#ifndef PVGPU_CUDA_PROCADDR_H
#define PVGPU_CUDA_PROCADDR_H

#include <stdbool.h>
#include <stddef.h>

typedef void (*pvgpu_proc)(void);

/* One revision of a call: from this CUDA version on, fn, or thread_fn for programs whose default
 * stream is the thread's own (NULL: fn, too). Sorted by name, then version. */
struct pvgpu_procaddr {
\tconst char *name;
\tint version;
\tpvgpu_proc fn;
\tpvgpu_proc thread_fn;
};

extern const struct pvgpu_procaddr pvgpu_procaddrs[];
extern const size_t pvgpu_procaddr_count;

enum pvgpu_procaddr_status {
\tPVGPU_PROCADDR_FOUND,
\tPVGPU_PROCADDR_NO_NAME,
\tPVGPU_PROCADDR_TOO_OLD, /* known, but only from a newer version on */
};

/* The revision of name that a program built for this CUDA version expects; NULL when there is none. */
pvgpu_proc pvgpu_procaddr_find(const char *name, int version, bool per_thread,
\t\t\t       enum pvgpu_procaddr_status *status);

#endif
"""


def make_procaddr_c(symbols):
    out = [c_head("What cuGetProcAddress gives."), """#include <string.h>

#include "cuda_procaddr.h"

/* Only addresses are taken here, so one shape of declaration serves for all. */
"""]
    out += [f"void {s.name}(void);\n" for s in sorted(symbols, key=lambda s: s.name)]
    out.append("\nconst struct pvgpu_procaddr pvgpu_procaddrs[] = {\n")
    for base, version, plain, thread in procaddr_rows(symbols):
        out.append(f'\t{{ "{base}", {version}, {plain.name}, {thread.name if thread else "NULL"} }},\n')
    out.append("""};

const size_t pvgpu_procaddr_count = sizeof(pvgpu_procaddrs) / sizeof(pvgpu_procaddrs[0]);

pvgpu_proc pvgpu_procaddr_find(const char *name, int version, bool per_thread,
\t\t\t       enum pvgpu_procaddr_status *status)
{
\tconst struct pvgpu_procaddr *best = NULL;
\tsize_t low = 0, high = pvgpu_procaddr_count;

\twhile (low < high) {
\t\tsize_t middle = low + (high - low) / 2;

\t\tif (strcmp(pvgpu_procaddrs[middle].name, name) < 0)
\t\t\tlow = middle + 1;
\t\telse
\t\t\thigh = middle;
\t}
\tif (low == pvgpu_procaddr_count || strcmp(pvgpu_procaddrs[low].name, name)) {
\t\t*status = PVGPU_PROCADDR_NO_NAME;
\t\treturn NULL;
\t}
\tfor (; low < pvgpu_procaddr_count && !strcmp(pvgpu_procaddrs[low].name, name); low++)
\t\tif (pvgpu_procaddrs[low].version <= version)
\t\t\tbest = &pvgpu_procaddrs[low];
\t*status = best ? PVGPU_PROCADDR_FOUND : PVGPU_PROCADDR_TOO_OLD;
\tif (!best)
\t\treturn NULL;
\treturn per_thread && best->thread_fn ? best->thread_fn : best->fn;
}
""")
    return "".join(out)


def make_docs(symbols, undeclared):
    count = {d: sum(s.disposition == d for s in symbols) for d in ("forward", "local", "refuse")}
    out = [f"""# Symbols of libcuda.so.1

<!-- Generated by libpvgpu/protocol/gen/exports.py --docs from exports.api; edit that. -->

pvgpu's libcuda.so.1 exports the {len(symbols)} symbols of the driver of CUDA 13.0 (all that its headers name, those for OpenGL, EGL and VDPAU too): {count['forward']} work through the
backend, {count['local']} are answered in the guest, {count['refuse']} are refused with the CUresult given here, each by the rule that its line gives, so that they answer as a GPU without that feature does. *since* is the CUDA version
from which `cuGetProcAddress` gives the symbol for the name in *asked as*; *(thread)* marks the form for programs whose
default stream is the thread's own.
"""]
    section = None
    for s in symbols:
        if s.section != section:
            section = s.section
            out.append(f"\n## {section}\n\n| symbol | asked as | since | what happens |\n|---|---|---|---|\n")
        what = s.disposition if not s.result else f"refused: {s.result}"
        what += f" ({s.remark})" if s.remark else ""
        since = f"{s.since // 1000}.{s.since % 1000 // 10}"
        out.append(f"| `{s.name}` | `{s.base}`{' (thread)' if s.mark else ''} | {since} | {what} |\n")
    out.append("\n## Declared nowhere\n\nThe driver exports these, too; no header names them, and `cuGetProcAddress` does not know them. Of its symbols `cudbg*`, which\n"
               "are the debugger's, there are none here.\n\n| symbol | what happens |\n|---|---|\n")
    out += [f"| `{s.name}` | refused: {s.result} ({s.remark}) |\n" for s in undeclared]
    return "".join(out)


def forward(symbols, described):
    """A call with a block in the wire's description is forwarded, whatever was said of it before."""
    for s in symbols:
        call = described.get(s.name[:-len(s.mark) - 1] if s.mark else s.name)
        if not call or (s.mark and call.form != s.mark):
            continue
        if s.disposition == "local":
            raise DescriptionError(s.where, f"{s.name} is local, and has a block at {call.where[0]}:{call.where[1]}")
        s.disposition, s.result = "forward", None


def work(args):
    results = read_results()
    described = read(args.api, results)
    symbols, undeclared = described.symbols, described.undeclared
    forward(symbols, calls.parse_files(args.calls).calls)
    if args.out:
        out = pathlib.Path(args.out)
        out.mkdir(parents=True, exist_ok=True)
        refused = [s for s in symbols if s.disposition == "refuse"]
        generator.write_if_changed(out / "libcuda.map", make_map(symbols, described.private + [s.name for s in undeclared]))
        generator.write_if_changed(out / "cuda_refused.c", make_bodies(
            refused + undeclared, lambda s: s.result, "Calls that are refused.", results, '#include "cuda_public.h"\n'))
        names, headers = [s.name for s in symbols], public.Headers(sorted(RESULTS.parent.glob("*.h")))
        generator.write_if_changed(out / "cuda_public.h", public.header(names, "PVGPU_CUDA_PUBLIC_H"))
        generator.write_if_changed(out / "cuda_public.c", public.source(public.of_headers(names, headers, {s.name for s in refused})))
        generator.write_if_changed(out / "cuda_stub.c", make_bodies(
            symbols, lambda s: STUB_LIBRARY, "A library to link test programs with.", results))
        generator.write_if_changed(out / "cuda_procaddr.h", make_procaddr_h())
        generator.write_if_changed(out / "cuda_procaddr.c", make_procaddr_c(symbols))
    if args.docs:
        generator.write(args.docs_file, make_docs(symbols, undeclared))
    if args.check_docs:
        generator.check_current(args.docs_file, make_docs(symbols, undeclared), "make docs-symbols")


def main(argv=None):
    args = generator.arguments(__doc__, str(TREE / "docs" / "cuda-symbols.md"))
    args.add_argument("--api", default=API, help="the description")
    args.add_argument("--calls", nargs="*", default=[str(p) for p in HERE.parent.glob("[0-9]*.api")], help="the wire's, with calls")
    return generator.status(work, args.parse_args(argv))


if __name__ == "__main__":
    sys.exit(main())
