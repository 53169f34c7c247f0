# SPDX-License-Identifier: MIT
"""What the generators' programs share: their options, files written, documentation compared, errors."""
import argparse
import os
import sys

from lang import DescriptionError
from lock import Lock


def arguments(about, docs, lock=None):
    """docs: the documentation's file, lock: the lock's, unless options name others."""
    p = argparse.ArgumentParser(description=about, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("--out", help="folder for generated files")
    p.add_argument("--docs", action="store_true", help="write the documentation")
    p.add_argument("--check-docs", action="store_true", help="fail unless the documentation is current")
    p.add_argument("--docs-file", default=docs)
    if lock:
        p.add_argument("--lock", default=lock, help="lock file")
        p.add_argument("--no-lock", action="store_true", help="do not look at a lock (tests)")
        p.add_argument("--relock", action="store_true", help="write changes of the unreleased version to the lock")
        p.add_argument("--release", action="store_true", help="freeze the current version in the lock")
    return p


def write(path, text):
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with open(path, "w", encoding="utf-8") as stream:
        stream.write(text)


def write_if_changed(path, text):
    """Leave unchanged files alone, so that nothing is rebuilt for them."""
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def check_current(path, text, how="make relock"):
    try:
        with open(path, encoding="utf-8") as stream:
            old = stream.read()
    except FileNotFoundError:
        old = ""
    if old != text:
        line = next((i for i, (a, b) in enumerate(zip(old.split("\n"), text.split("\n")), 1) if a != b), 1)
        raise DescriptionError((path, line), "not current: run " + how)


def keep_lock(args, facts, version, **kind_of_lock):
    """Compare with the lock, and write it if that was asked for. kind_of_lock: as Lock takes it."""
    if args.no_lock:
        return
    lock = Lock(args.lock, **kind_of_lock)
    lock.read()
    lock.update(facts, args.relock)
    if args.release:
        lock.released = version
    if args.relock or args.release:
        write(args.lock, lock.text())


def status(work, *args):
    """Exit status of a program that does this work; an error is one line on stderr."""
    try:
        work(*args)
    except DescriptionError as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print("%s:0: %s" % (error.filename, error.strerror), file=sys.stderr)
        return 1
    return 0
