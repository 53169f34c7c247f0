#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Make the targets of the arguments, silently but for a line every few seconds that says how many of the files are made.

    progress.py WHAT MAKE [ARGUMENT...]      WHAT names the work in these lines

Heartbeat is the same for the programs of this folder: a terminal and a pipe get the same few lines.
"""
import os
import re
import subprocess
import sys
import threading
import time

SILENT = 8.0  # seconds at most between two lines, so that even a busy machine prints one every ten


class Heartbeat:
    """While it is entered, prints what describe() returns whenever nothing has been told for a while. begun: since when a reader waits."""

    def __init__(self, describe, begun=None, out=None, silent=SILENT):
        self.describe, self.out, self.silent = describe, out or sys.stdout, silent
        self.begun = time.monotonic() if begun is None else begun
        self.lock, self.ended = threading.Lock(), threading.Event()
        self.spoken = time.monotonic()
        self.thread = threading.Thread(target=self.beat, daemon=True)

    def tell(self, text):
        with self.lock:
            self.spoken = time.monotonic()
            print(text, file=self.out, flush=True)

    def beat(self):
        while not self.ended.wait(max(0.01, self.spoken + self.silent - time.monotonic())):
            if time.monotonic() - self.spoken >= self.silent:
                self.tell(f"      ... {time.monotonic() - self.begun:.0f} s: {self.describe()}")

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()


def outputs(commands):
    """The files that the commands of a dry run make."""
    return set(re.findall(r" -o (\S+)", commands))


def made(files, since):
    """How many of the files have been made since then."""
    def new(path):
        try:
            return os.stat(path).st_mtime >= since
        except OSError:
            return False
    return sum(map(new, files))


def main():
    what, command = sys.argv[1], sys.argv[2:]
    files = outputs(subprocess.run([*command, "-n"], stdin=subprocess.DEVNULL, capture_output=True, text=True).stdout)
    since = int(time.time())
    with Heartbeat(lambda: f"{what}: {made(files, since)} of {len(files)} files"):
        return subprocess.run(command).returncode


if __name__ == "__main__":
    sys.exit(main())
