#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The fuzzers' corpora: tests/fuzz/corpus/FUZZER.txt, a line "NAME BASE64" for each input, sorted by name.

    corpus.py add FUZZER FILE...       keep these inputs, e.g. what a fuzzer broke at (BUILD/fuzz/crashes)
    corpus.py unpack FOLDER [FUZZER...]  write them as FOLDER/FUZZER/NAME, as tests/fuzz/run.py does
"""
import base64
import binascii
import os
import shutil
import sys

CORPUS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus")


def table(fuzzer):
    return os.path.join(CORPUS, fuzzer + ".txt")


def read(fuzzer):
    """name -> bytes; nothing where the fuzzer has no table."""
    found = {}
    if not os.path.exists(table(fuzzer)):
        return found
    with open(table(fuzzer), encoding="ascii") as stream:
        for number, line in enumerate(stream, 1):
            name, _, text = line.rstrip("\n").partition(" ")
            where = "%s:%d: " % (table(fuzzer), number)
            if not name or "/" in name or name in found:
                raise ValueError(where + "'%s' is no name, or there twice" % name)
            try:
                found[name] = base64.b64decode(text, validate=True)
            except binascii.Error as e:
                raise ValueError("%s'%s': %s" % (where, name, e)) from None
    return found


def write(fuzzer, inputs):
    with open(table(fuzzer), "w", encoding="ascii") as stream:
        for name, data in sorted(inputs.items()):
            stream.write("%s %s\n" % (name, base64.b64encode(data).decode()))


def add(fuzzer, paths):
    """A file's own name is the input's, without the fuzzer's before it: ring-crash-12ab becomes crash-12ab."""
    inputs = read(fuzzer)
    for path in paths:
        with open(path, "rb") as stream:
            data = stream.read()
        name = os.path.basename(path).removeprefix(fuzzer + "-").replace(" ", "_")
        if inputs.setdefault(name, data) != data:
            raise ValueError("%s has another input named '%s'" % (table(fuzzer), name))
    write(fuzzer, inputs)


def unpack(folder, fuzzer):
    """The folder with just these inputs, or None where there are none."""
    inputs, to = read(fuzzer), os.path.join(folder, fuzzer)
    shutil.rmtree(to, ignore_errors=True)
    if not inputs:
        return None
    os.makedirs(to)
    for name, data in inputs.items():
        with open(os.path.join(to, name), "wb") as stream:
            stream.write(data)
    return to


def main():
    words = sys.argv[1:]
    try:
        if len(words) > 2 and words[0] == "add":
            add(words[1], words[2:])
        elif len(words) > 1 and words[0] == "unpack":
            for fuzzer in words[2:] or sorted(f[:-4] for f in os.listdir(CORPUS)):
                unpack(words[1], fuzzer)
        else:
            sys.exit(__doc__.strip())
    except (OSError, ValueError) as e:
        sys.exit("corpus.py: %s" % e)


if __name__ == "__main__":
    main()
