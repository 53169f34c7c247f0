#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Puts PTX texts into one fat binary: fatbin.py OUT SM PTX... (what a compiler's host side includes)."""
import pathlib
import struct
import sys


def entry(ptx, sm):
    text = ptx + b"\0"
    text += b"\0" * (-len(text) % 8)
    # kind PTX, 80 bytes of header; flags: 64-bit, Linux; options, without which NVIDIA's driver crashes: an empty text
    options = struct.pack("<IIQ", 72, 0, 0)
    return struct.pack("<HHIQIIHHIIIQQQ", 1, 0x101, 80, len(text), 0, 64, 4, 6, sm, 0, 0, 0x11, 0, 0) + options + text


def main(out, sm, *files):
    body = b"".join(entry(pathlib.Path(f).read_bytes(), int(sm)) for f in files)
    pathlib.Path(out).write_bytes(struct.pack("<IHHQ", 0xBA55ED50, 1, 16, len(body)) + body)


if __name__ == "__main__":
    main(*sys.argv[1:])
