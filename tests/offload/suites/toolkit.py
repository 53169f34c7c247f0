#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Stands in for the assembler and the device linker that clang calls for an NVIDIA GPU, where there is neither: as `ptxas` it puts a PTX text into an
ELF file as the simulated GPU's cuLinkComplete gives out (tests/simcuda/driver/linked.c), as `nvlink` it puts the texts of several into one. The simulated
GPU links them when it loads the image; a fault in a text is found there, not here. `toolkit.py FOLDER` makes a folder for clang's --cuda-path."""
import pathlib
import re
import struct
import subprocess
import sys

NAMES = b"\0.shstrtab\0.simcuda.ptx\0.nv.global\0"
HEAD, SECTION = struct.Struct("<16sHHIQQQIHHHHHH"), struct.Struct("<IIQQQQIIQQ")
IDENT = b"\x7fELF\2\1\1".ljust(16, b"\0")
ET_EXEC, EM_CUDA, PROGBITS, STRTAB, NOBITS = 2, 190, 1, 3, 8


def write_elf(path, sm, texts):
    """texts: as they stand in the section, each with its head."""
    names = HEAD.size + 4 * SECTION.size
    sections = (bytes(SECTION.size), SECTION.pack(1, STRTAB, 0, 0, names, len(NAMES), 0, 0, 0, 0),
                SECTION.pack(11, PROGBITS, 0, 0, names + len(NAMES), len(texts), 0, 0, 0, 0), SECTION.pack(24, NOBITS, 0, 0, 0, 0, 0, 0, 0, 0))
    head = HEAD.pack(IDENT, ET_EXEC, EM_CUDA, 1, 0, 0, HEAD.size, sm, HEAD.size, 0, 0, SECTION.size, 4, 1)
    pathlib.Path(path).write_bytes(head + b"".join(sections) + NAMES + texts)


def read_elf(path):
    data = pathlib.Path(path).read_bytes()
    _, _, _, _, offset, size, *_ = SECTION.unpack_from(data, HEAD.size + 2 * SECTION.size)
    return data[offset:offset + size]


def parse(words):
    """(output, SM, inputs)"""
    out, sm, inputs, rest = None, 0, [], iter(words)
    for word in rest:
        if word in ("--output-file", "-o"):
            out = next(rest)
        elif word in ("--gpu-name", "-arch"):
            sm = int(re.fullmatch(r"sm_(\d+)a?", next(rest))[1])
        elif not word.startswith("-"):
            inputs.append(word)
    return out, sm, inputs


def ptxas(words):
    out, sm, inputs = parse(words)
    name, text = pathlib.Path(inputs[0]).name.encode() + b"\0", pathlib.Path(inputs[0]).read_bytes().rstrip(b"\0") + b"\0"
    write_elf(out, sm, struct.pack("<II", len(name), len(text)) + name + text)


def nvlink(words):
    out, sm, inputs = parse(words)
    write_elf(out, sm, b"".join(map(read_elf, inputs)))


def make(folder, clang):
    """A --cuda-path: the two tools, a version for clang, and a library of the device's functions with what clang's headers call and the tests use."""
    folder = pathlib.Path(folder)
    for part in ("bin", "include", "lib64", "nvvm/libdevice"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    (folder / "include/cuda.h").write_text("#define CUDA_VERSION 11050\n")
    for tool in ("ptxas", "nvlink"):
        (folder / "bin" / tool).write_text(f"#!/bin/sh\nexec {sys.executable} {pathlib.Path(__file__).resolve()} {tool} \"$@\"\n")
        (folder / "bin" / tool).chmod(0o755)
    subprocess.run([clang, "-O2", "-c", "-emit-llvm", "--target=nvptx64-nvidia-cuda", "-ffreestanding", "-nogpulib", "-o", folder / "nvvm/libdevice/libdevice.10.bc",
                    pathlib.Path(__file__).with_name("libdevice.c")], check=True)


if __name__ == "__main__":
    if sys.argv[1] in ("ptxas", "nvlink"):
        {"ptxas": ptxas, "nvlink": nvlink}[sys.argv[1]](sys.argv[2:])
    else:
        make(*sys.argv[1:])
