#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes everything that follows from the wire's description (../README.md).

    wire.py --out DIR FILE.api...     C sources, headers and the fuzzers' seeds
    wire.py --check-docs | --docs     is docs/protocol.md current; write it
    wire.py --relock | --release      take over what changed in the unreleased version (lock.py); freeze the version

Every error is one line "file:line: message" and exit status 1.
"""
import argparse
import glob
import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import c_decode  # noqa: E402
import c_stubs  # noqa: E402
import c_test  # noqa: E402
import c_wire  # noqa: E402
import docs  # noqa: E402
import lock as locks  # noqa: E402
import parse  # noqa: E402
import seeds  # noqa: E402

OUTPUTS = {
    "pvgpu_wire.h": c_wire.wire_h,
    "pvgpu_stubs.h": c_stubs.stubs_h,
    "pvgpu_stubs.c": c_stubs.stubs_c,
    "pvgpu_decode.h": c_decode.decode_h,
    "pvgpu_decode.c": c_decode.decode_c,
    "pvgpu_wire_test.h": c_test.test_h,
    "pvgpu_wire_test.c": c_test.test_c,
}


def write(path, text):
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with open(path, "w", encoding="utf-8") as stream:
        stream.write(text)


def check_docs(path, text):
    try:
        with open(path, encoding="utf-8") as stream:
            old = stream.read()
    except FileNotFoundError:
        old = ""
    if old != text:
        line = next((i for i, (a, b) in enumerate(zip(old.split("\n"), text.split("\n")), 1) if a != b), 1)
        raise parse.ApiError((path, line), "not current: run make relock")


def arguments():
    folder = os.path.dirname(HERE)
    root = os.path.dirname(os.path.dirname(folder))
    p = argparse.ArgumentParser(description="Generator of the wire protocol.")
    p.add_argument("files", nargs="*", help="descriptions; by default all of libpvgpu/protocol")
    p.add_argument("--out", help="folder for generated C and the corpus")
    p.add_argument("--lock", default=os.path.join(folder, "numbers.lock"), help="lock file")
    p.add_argument("--no-lock", action="store_true", help="do not look at a lock (tests)")
    p.add_argument("--relock", action="store_true", help="write changes of the unreleased version to the lock")
    p.add_argument("--release", action="store_true", help="freeze the current version in the lock")
    p.add_argument("--docs", action="store_true", help="write the documentation")
    p.add_argument("--check-docs", action="store_true", help="fail unless the documentation is current")
    p.add_argument("--docs-file", default=os.path.join(root, "docs", "protocol.md"))
    args = p.parse_args()
    args.files = args.files or glob.glob(os.path.join(folder, "[0-9]*.api"))
    return args


def work(args):
    api = parse.parse_files(args.files)
    if not args.no_lock:
        lock = locks.check(api, locks.read(args.lock), args.lock, args.relock)
        if args.release:
            lock.released = api.const("PROTOCOL_VERSION", 0)
        if args.relock or args.release:
            write(args.lock, lock.text())
    if args.out:
        for name, make in OUTPUTS.items():
            write(os.path.join(args.out, name), make(api))
        seeds.write(os.path.join(args.out, "corpus", "decode"), seeds.records(api))
        seeds.write(os.path.join(args.out, "corpus", "reply"), seeds.replies(api))
    if args.docs:
        write(args.docs_file, docs.protocol_md(api))
    if args.check_docs:
        check_docs(args.docs_file, docs.protocol_md(api))


def main():
    try:
        work(arguments())
    except parse.ApiError as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print("%s:0: %s" % (error.filename, error.strerror), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
