#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares our cuda_runtime_api.h with an SDK's: sizes and offsets of structures, numbers of errors and flags.

The SDK's version says which of our two layouts it is compared with. Skips, saying so, where no SDK is installed. The sizes that are
known without one are checked always. Usage: header_test.py"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

TREE = pathlib.Path(__file__).resolve().parents[2]
OURS = TREE / "libpvgpu" / "cudart" / "include"
CC = os.environ.get("CC", "cc").split()
SIZES = {"cudaPitchedPtr": 32, "cudaExtent": 24, "cudaMemcpy3DParms": 160, "cudaMemcpy3DPeerParms": 168, "cudaFuncAttributes": 144,
         "cudaLaunchConfig_st": 56, "cudaLaunchAttribute_st": 72, "cudaMemPoolProps": 88, "cudaKernelNodeParams": 56,
         "cudaMemsetParams": 40, "cudaHostNodeParams": 16, "cudaTextureDesc": 72, "cudaChannelFormatDesc": 20}
# CUDA 13 made these longer at their ends.
GREW = {"cudaPointerAttributes": 24, "cudaResourceDesc": 64}
PROPERTIES = {12: 1032, 13: 1008}


def find_sdk():
    for place in (os.environ.get("CUDA_HOME", "") + "/include", "/usr/local/cuda/include", "/usr/include"):
        header = pathlib.Path(place) / "cuda_runtime_api.h"
        found = header.is_file() and re.search(r"#define\s+CUDART_VERSION\s+(\d+)", header.read_text(errors="replace"))
        if found and int(found[1]) // 1000 in PROPERTIES:
            return pathlib.Path(place), int(found[1]) // 1000
    return None, 0


def output_of(lines, folder, major):
    """What a C program prints that includes the header of this folder."""
    with tempfile.TemporaryDirectory() as work:
        source, program = pathlib.Path(work) / "t.c", pathlib.Path(work) / "t"
        source.write_text("#include <stdio.h>\n#include <cuda_runtime_api.h>\nint main(void)\n{\n" + "".join(lines) + "\treturn 0;\n}\n")
        subprocess.run([*CC, "-std=gnu11", "-w", f"-I{folder}", f"-DPVGPU_CUDART={major}", str(source), "-o", str(program)], check=True,
                       timeout=120)
        return subprocess.run([str(program)], capture_output=True, text=True, timeout=60, check=True).stdout.splitlines()


def members():
    """(structure, member) of all structures of ours."""
    found = []
    for header in ("cuda_runtime_types.h", "cuda_runtime_prop.h"):
        text = re.sub(r"/\*.*?\*/", "", (OURS / header).read_text(), flags=re.S)
        for name, body in re.findall(r"struct (\w+) \{\n(.*?)\n\}", text, re.S):
            if name == "dim3" or "union" in body:
                continue
            for declared in re.findall(r"^\t(?:enum |const |struct |unsigned )*\w+\W+(\w.*?);", body, re.M):
                for part in declared.split(","):
                    m = re.match(r"\W*(\w+)", part)
                    if m and m[1] not in ("reserved", "pad"):
                        found.append(("cudaDeviceProp" if name == "PVGPU_PROP" else name, m[1]))
    return found


def size_lines(names):
    return [f'\tprintf("{n} %zu\\n", sizeof(struct {n}));\n' for n in names]


class Sizes(unittest.TestCase):
    def test_beside_the_driver_s(self):
        """The headers of both libraries, in either order, in C and C++."""
        for order in (("cuda.h", "cuda_runtime.h"), ("cuda_runtime.h", "cuda.h")):
            for language in ("c", "c++"):
                text = "".join(f"#include <{name}>\n" for name in order) + "CUuuid a;\ncudaUUID_t *b = &a;\n"
                run = subprocess.run([*CC, "-x", language, "-fsyntax-only", f"-I{OURS}", f"-I{TREE / 'libpvgpu' / 'cuda' / 'include'}", "-"],
                                     input=text, capture_output=True, text=True, timeout=120, check=False)
                self.assertEqual((run.returncode, run.stderr), (0, ""), f"{order} in {language}")

    def test_sizes(self):
        for major, properties in PROPERTIES.items():
            known = {**SIZES, **GREW, "cudaDeviceProp": properties}
            self.assertEqual(output_of(size_lines(known), OURS, major), [f"{n} {v}" for n, v in known.items()])

    def test_lists_find_members(self):
        found = members()
        self.assertGreater(len([m for s, m in found if s == "cudaDeviceProp"]), 90)
        self.assertIn(("cudaFuncAttributes", "requiredClusterDepth"), found)


SDK, MAJOR = find_sdk()


@unittest.skipUnless(SDK, "no cuda_runtime_api.h of CUDA 12 or 13")
class Against(unittest.TestCase):
    def both(self, lines):
        self.assertEqual(output_of(lines, OURS, MAJOR), output_of(lines, SDK, MAJOR))

    def test_sizes(self):
        self.both(size_lines([*SIZES, "cudaDeviceProp"]))

    def test_offsets(self):
        theirs = (SDK / "driver_types.h").read_text(errors="replace")
        self.both([f'\tprintf("{s}.{m} %zu\\n", __builtin_offsetof(struct {s}, {m}));\n' for s, m in members() if re.search(rf"\b{m}\b", theirs)])

    def test_errors(self):
        names = re.findall(r"E\((cuda\w+), \d+", (OURS / "cuda_runtime_error.h").read_text())
        theirs = (SDK / "driver_types.h").read_text(errors="replace")
        self.both([f'\tprintf("{n} %d\\n", (int){n});\n' for n in names if re.search(rf"\b{n}\b", theirs)])


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    unittest.main()
