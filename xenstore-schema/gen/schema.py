#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes everything that follows from the description of xenstore's keys (../README.md).

    schema.py --out DIR [FILE]    C sources and header, table of the keys as JSON
    schema.py --check-docs | --docs
                                  are docs/xenstore.md and the made parts of the man pages current; write them
    schema.py --relock | --release
                                  take over what changed in the unreleased version (keys_lock.py); freeze the version

Every error is one line "file:line: message" and exit status 1.
"""
import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import describe  # noqa: E402
import keys_c  # noqa: E402
import keys_doc  # noqa: E402
import keys_lock  # noqa: E402
import policy_man  # noqa: E402
import statistics_c  # noqa: E402
import statistics_doc  # noqa: E402
import generator  # noqa: E402
from generator import check_current, write  # noqa: E402

STATISTICS = {"pvgpu_statistics.h": statistics_c.statistics_h, "pvgpu_statistics.c": statistics_c.statistics_c}
OUTPUTS = {"pvgpu_keys.h": keys_c.keys_h, "pvgpu_keys.c": keys_c.keys_c, "pvgpu_keys.json": keys_c.keys_json}


def documents(schema, docs_file):
    """{path: text} of what is documented: the page, and the man pages beside it that have made parts."""
    found = {docs_file: keys_doc.xenstore_md(schema)}
    if schema.statistics:
        for name, make in statistics_doc.PAGES.items():
            found[os.path.join(os.path.dirname(docs_file), name)] = make(schema.statistics)
    for name in policy_man.PAGES:
        path = os.path.join(os.path.dirname(docs_file), "man", name)
        if os.path.exists(path) and "backend/policy" in schema.keys:
            with open(path, encoding="utf-8") as stream:
                found[path] = policy_man.page(schema, stream.read(), path)
    return found


def arguments():
    folder = os.path.dirname(HERE)
    p = generator.arguments("Generator of the xenstore keys.", os.path.join(os.path.dirname(folder), "docs", "xenstore.md"),
                            os.path.join(folder, "keys.lock"))
    p.add_argument("file", nargs="?", default=os.path.join(folder, "pvgpu.schema"), help="description")
    return p.parse_args()


def work(args):
    schema = describe.parse_file(args.file)
    generator.keep_lock(args, keys_lock.facts(schema), schema.version, **keys_lock.LOCK)
    if args.out:
        for name, make in OUTPUTS.items():
            write(os.path.join(args.out, name), make(schema))
        for name, make in STATISTICS.items() if schema.statistics else ():
            write(os.path.join(args.out, name), make(schema.statistics))
    if args.docs or args.check_docs:
        for path, text in documents(schema, args.docs_file).items():
            (write if args.docs else check_current)(path, text)


if __name__ == "__main__":
    sys.exit(generator.status(work, arguments()))
