#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes everything that follows from the wire's description (../README.md).

    wire.py --out DIR FILE.api...     C sources, headers and the fuzzers' seeds
    wire.py --check-docs | --docs     is docs/protocol.md current; write it
    wire.py --relock | --release      take over what changed in the unreleased version (wire_lock.py); freeze the version

Every error is one line "file:line: message" and exit status 1.
"""
import glob
import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import c_attack  # noqa: E402
import c_conform  # noqa: E402
import c_decode  # noqa: E402
import c_stubs  # noqa: E402
import c_test  # noqa: E402
import c_wire  # noqa: E402
import docs  # noqa: E402
import calls  # noqa: E402
import c_guest  # noqa: E402
import c_valid  # noqa: E402
import c_vary  # noqa: E402
import c_worker  # noqa: E402
import seeds  # noqa: E402
import wire_lock  # noqa: E402
import library_exports  # noqa: E402
import generator  # noqa: E402
from generator import write  # noqa: E402

OUTPUTS = {
    "pvgpu_wire.h": c_wire.wire_h,
    "pvgpu_stubs.h": c_stubs.stubs_h,
    "pvgpu_stubs.c": c_stubs.stubs_c,
    "pvgpu_decode.h": c_decode.decode_h,
    "pvgpu_decode.c": c_decode.decode_c,
    "pvgpu_wire_test.h": c_test.test_h,
    "pvgpu_wire_test.c": c_test.test_c,
}
# Where calls of libraries are described, and for each library.
OF_CALLS = {
    "pvgpu_far.h": c_worker.far_h,
    "pvgpu_handlers.c": c_worker.handlers_c,
}
OF_LIBRARY = {
    "pvgpu_valid_%s.h": c_valid.valid_h,
    "pvgpu_calls_%s.h": c_guest.object_h,
    "pvgpu_calls_%s.c": c_guest.calls_c,
    "pvgpu_%s.h": c_guest.prototypes_h,
    "pvgpu_conform_%s.h": c_conform.conform_h,
}
# For each library but the driver, whose symbols are in exports.api.
OF_OTHERS = {
    "%s_public.h": c_guest.public_h,
    "%s_public.c": c_guest.public_c,
    "%s_refused.c": library_exports.refused_c,
    "pvgpu_attack_%s.h": c_attack.attack_h,
    "pvgpu_vary_%s.h": c_vary.vary_h,
}


def arguments():
    folder = os.path.dirname(HERE)
    root = os.path.dirname(os.path.dirname(folder))
    p = generator.arguments("Generator of the wire protocol.", os.path.join(root, "docs", "protocol.md"),
                            os.path.join(folder, "numbers.lock"))
    p.add_argument("files", nargs="*", help="descriptions; by default all of libpvgpu/protocol")
    args = p.parse_args()
    args.files = args.files or glob.glob(os.path.join(folder, "[0-9]*.api"))
    return args


def work(args):
    api = calls.parse_files(args.files)
    generator.keep_lock(args, wire_lock.facts(api), api.const("PROTOCOL_VERSION", 0), **wire_lock.LOCK)
    if args.out:
        for name, make in {**OUTPUTS, **(OF_CALLS if api.libraries else {})}.items():
            write(os.path.join(args.out, name), make(api))
        for library in api.libraries.values():
            for name, make in OF_LIBRARY.items():
                write(os.path.join(args.out, name % library.name), make(api, library))
            for soname in library.sonames:
                write(os.path.join(args.out, soname + ".map"), library_exports.symbols_map(api, library, soname))
            for name, make in OF_OTHERS.items() if library.number else ():
                write(os.path.join(args.out, name % library.name), make(api, library))
        seeds.write(os.path.join(args.out, "corpus", "decode"), seeds.records(api))
        seeds.write(os.path.join(args.out, "corpus", "reply"), seeds.replies(api))
    texts = {args.docs_file: docs.protocol_md(api)}
    folder = os.path.dirname(args.docs_file)
    texts.update({os.path.join(folder, library.name + "-symbols.md"): library_exports.symbols_md(api, library)
                  for library in api.libraries.values() if library_exports.listed(library)})
    for path, text in texts.items():
        if args.docs:
            write(path, text)
        if args.check_docs:
            generator.check_current(path, text)


if __name__ == "__main__":
    sys.exit(generator.status(work, arguments()))
