#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""How fast the simulated GPU's engine is: millions of warp instructions a second of a matrix product, of attention and of a reduction.

The fastest of many short runs, by the processor's time. With --before in turns with another build of ptxrun: since other work slows some of them,
the ratio is the median of each two that followed each other."""
import argparse
import pathlib
import statistics
import subprocess

TREE = pathlib.Path(__file__).resolve().parents[2]
KERNELS = TREE / "tests" / "kernels"
LOADS = {
    "matrix product": ("matmul.ptx", "matmul", "8,8", "16,16", ["buf:65536"] * 3 + ["i:128"]),
    "attention": ("decoder.ptx", "attend", "64", "32", ["buf:16384", "buf:1048576", "buf:1048576", "buf:16384", "i:64", "i:64"]),
    "reduction": ("reduce.ptx", "sum", "16", "256", ["buf:1048576", "buf:64", "i:262144"]),
}


def rate(program, load, runs):
    file, kernel, grid, block, args = LOADS[load]
    return float(subprocess.run([program, "-r", str(runs), "-k", kernel, "-g", grid, "-b", block, KERNELS / file, *args],
                                check=True, capture_output=True, text=True).stdout)


def main():
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("--build", default="build", help="build folder")
    args.add_argument("--before", help="another ptxrun to compare with")
    args.add_argument("--rounds", type=int, default=8)
    args.add_argument("--runs", type=int, default=25, help="of a round")
    args = args.parse_args()
    programs = {"engine": f"{args.build}/tests/ptxrun"}
    if args.before:
        programs["before"] = args.before
    for load in LOADS:
        rates = [{name: rate(program, load, args.runs) for name, program in programs.items()} for _ in range(args.rounds)]
        best = {name: max(r[name] for r in rates) for name in programs}
        text = f"{load:16}{best['engine']:8.1f} million warp instructions/s"
        if args.before:
            ratio = statistics.median(r["engine"] / r["before"] for r in rates)
            text += f", before {best['before']:.1f}: {ratio:.2f} times"
        print(text)


if __name__ == "__main__":
    main()
