#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes everything that follows from the description of xenstore's keys (../README.md).

    schema.py --out DIR [FILE]    C sources and header, table of the keys as JSON
    schema.py --check-docs | --docs
                                  is docs/xenstore.md current; write it
    schema.py --relock | --release
                                  take over what changed in the unreleased version (keys_lock.py); freeze the version

Every error is one line "file:line: message" and exit status 1.
"""
import argparse
import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import describe  # noqa: E402
import keys_c  # noqa: E402
import keys_doc  # noqa: E402
import keys_lock  # noqa: E402
from describe import ApiError  # noqa: E402

OUTPUTS = {"pvgpu_keys.h": keys_c.keys_h, "pvgpu_keys.c": keys_c.keys_c, "pvgpu_keys.json": keys_c.keys_json}


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
        raise ApiError((path, line), "not current: run make relock")


def arguments():
    folder = os.path.dirname(HERE)
    p = argparse.ArgumentParser(description="Generator of the xenstore keys.")
    p.add_argument("file", nargs="?", default=os.path.join(folder, "pvgpu.schema"), help="description")
    p.add_argument("--out", help="folder for generated files")
    p.add_argument("--lock", default=os.path.join(folder, "keys.lock"), help="lock file")
    p.add_argument("--no-lock", action="store_true", help="do not look at a lock (tests)")
    p.add_argument("--relock", action="store_true", help="write changes of the unreleased version to the lock")
    p.add_argument("--release", action="store_true", help="freeze the current version in the lock")
    p.add_argument("--docs", action="store_true", help="write the documentation")
    p.add_argument("--check-docs", action="store_true", help="fail unless the documentation is current")
    p.add_argument("--docs-file", default=os.path.join(os.path.dirname(folder), "docs", "xenstore.md"))
    return p.parse_args()


def work(args):
    schema = describe.parse_file(args.file)
    if not args.no_lock:
        lock = keys_lock.check(schema, keys_lock.read(args.lock), args.lock, args.relock)
        if args.release:
            lock.released = schema.version
        if args.relock or args.release:
            write(args.lock, lock.text())
    if args.out:
        for name, make in OUTPUTS.items():
            write(os.path.join(args.out, name), make(schema))
    if args.docs:
        write(args.docs_file, keys_doc.xenstore_md(schema))
    if args.check_docs:
        check_docs(args.docs_file, keys_doc.xenstore_md(schema))


def main():
    try:
        work(arguments())
    except ApiError as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print("%s:0: %s" % (error.filename, error.strerror), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
