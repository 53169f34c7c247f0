#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Does each row of the engine's table of instructions, with each word of each of its places, stand in a test that checks values?

isa_values.py PROGRAM...: runs these unit tests, which note what kernels used that ended well (PTX_ISA_USED, ptx_case.c), and prints what is missing."""
import os
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
import isa_docs  # noqa: E402

TYPES = set("""pred u8 s8 u16 s16 u32 s32 u64 s64 b8 b16 b32 b64 f16 f16x2 bf16 bf16x2 f32 f64 tf32
            e4m3x2 e5m2x2 e4m3 e5m2 b1 u2 s2 u4 s4""".split())
# Performance hints without an effect that a value could show; parsed and decoded in ptx_isa_test.
HINTS = set("""L1::evict_normal L1::evict_unchanged L1::evict_first L1::evict_last L1::no_allocate L2::64B L2::128B L2::256B
               L2::evict_normal L2::evict_first L2::evict_last L2::evict_unchanged L2::cache_hint
               ca cg cs lu cv wb wt""".split())
# The program ends, or stops where the test is of its fault: simcuda_fault_test, ptx_memory_test.
FAULTS = {"trap", "brkpt"}


def places(mods, sets):
    """[(words, optional)], one for each place of a form"""
    out = []
    for word in mods.split():
        optional, word = word.endswith("?"), word.rstrip("?")
        out.append(((sets[word[1:]] if word.startswith("$") else word).split("|"), optional))
    return out


def assigned(form, words):
    """The place of each word, as isa.c finds it."""
    filled, type_from, out = set(), 0, []
    for word in words:
        n = type_from if word in TYPES else 0
        while n in filled or word not in form[n][0]:
            n += 1
        filled.add(n)
        out.append((n, word))
        if word in TYPES:
            type_from = n + 1
    return out


def run(programs):
    """{(form number, modifiers)} of all statements in kernels that ended well"""
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/used"
        for program in programs:
            subprocess.run([program], env={**os.environ, "PTX_ISA_USED": path}, check=True, stdout=subprocess.DEVNULL)
        return {tuple(line.rstrip("\n").split(" ")) for line in open(path, encoding="utf-8")}


def missing(forms, sets, used):
    out = []
    seen = {n: set() for n in range(len(forms))}
    for number, mods in used:
        form = places(forms[int(number)][1], sets)
        seen[int(number)].update(assigned(form, mods.split(".")[1:]) or [(None, None)])
    for n, (name, mods) in enumerate(forms):
        if name in FAULTS:
            continue
        wanted = {(i, w) for i, (words, _) in enumerate(places(mods, sets)) for w in words if w not in HINTS} or {(None, None)}
        if not seen[n]:
            out.append(f"{name} {mods}")
        else:
            out += [f"{name} {mods}: .{w} in place {i + 1}" for i, w in sorted(wanted - seen[n])]
    return out


def main(programs):
    sets, forms, _ = isa_docs.read(f"{isa_docs.TOP}/{isa_docs.TABLE}")
    out = missing(forms, sets, run(programs))
    for line in out:
        print(f"no test has a value of {line}")
    return 1 if out else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
