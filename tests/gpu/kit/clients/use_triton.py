# SPDX-License-Identifier: MIT
"""Triton's compiler, and what it makes launched by the driver API: PTX for the driver to compile, and machine code. Its own
launcher wants PyTorch, so NVIDIA's runtime."""
import ctypes
import re

from client import SUMS, Driver, absent, check

try:
    import triton
    import triton.language as tl
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource
except ImportError as e:
    absent(f"Triton 3 cannot be imported: {e}")

WARPS = 4


@triton.jit
def add(a, b, c, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    there = at < n
    tl.store(c + at, tl.load(a + at, mask=there) + tl.load(b + at, mask=there), mask=there)


def source():
    """Its arguments have changed from release to release."""
    types = {"a": "*i32", "b": "*i32", "c": "*i32", "n": "i32"}
    try:
        return ASTSource(fn=add, signature={**types, "BLOCK": "constexpr"}, constexprs={"BLOCK": 256})
    except TypeError:
        return ASTSource(fn=add, signature=types, constants={"BLOCK": 256})


def behind(ptx):
    """Arguments that the compiler has added: scratch memory, of which these kernels have none."""
    entry = re.search(r"\.entry\s+\w+\s*\((.*?)\)", ptx, re.S)[1]
    kinds = re.findall(r"\.param\s+(?:\.align\s+\d+\s+)?\.(\w+)", entry)
    return [ctypes.c_uint64(0) for _ in kinds[4:]]


def main():
    driver = Driver()
    driver.for_compilers()
    major, minor = driver.capability()
    made = triton.compile(source(), target=GPUTarget("cuda", 10 * major + minor, 32), options={"num_warps": WARPS})
    more = behind(made.asm["ptx"])
    name = made.metadata.name
    for what in ("ptx", "cubin"):
        image = made.asm[what]
        function = driver.load(image.encode() + b"\0" if isinstance(image, str) else image, name)
        check(what, driver.add(function, ctypes.c_int32, 32 * WARPS, made.metadata.shared, more), SUMS)


main()
