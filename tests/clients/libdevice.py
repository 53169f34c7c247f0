#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes what XLA, Triton and Taichi take from a CUDA toolkit, of open parts: libdevice of libclc (its functions by libdevice's names), and scripts in place of
ptxas, nvlink and fatbinary that hand PTX through, which is what the simulated GPU runs. Usage: libdevice.py LIBCLC FOLDER"""
import pathlib
import subprocess
import sys

ONE = "acos acosh asin asinh atan atanh cbrt ceil cos cosh erf erfc exp exp2 exp10 expm1 fabs floor log log10 log1p log2 rint round rsqrt sin sinh " \
      "sqrt tan tanh trunc".split()
TWO = "atan2 copysign fdim fmax fmin fmod hypot nextafter pow remainder".split()
FAST = "sin cos tan exp exp10 log log2 log10".split()  # of float, as exact as the others here
PTXAS = r"""#!/bin/sh
in='' out=''
while [ $# -gt 0 ]; do
	case $1 in
	--version) echo "Cuda compilation tools, release 13.0, V13.0.88"; exit ;;
	-o) out=$2; shift ;;
	-*) ;;
	*) in=$1 ;;
	esac
	shift
done
{ cat "$in"; printf '\0'; } >"$out"
"""


def functions():
    yield "#pragma OPENCL EXTENSION cl_khr_fp64 : enable\n"
    for kind, end, test in ("float", "f", "f"), ("double", "", "d"):
        for name in ONE:
            yield f"{kind} __nv_{name}{end}({kind} x) {{ return {name}(x); }}\n"
        for name in TWO:
            yield f"{kind} __nv_{name}{end}({kind} x, {kind} y) {{ return {name}(x, y); }}\n"
        yield f"{kind} __nv_powi{end}({kind} x, int n) {{ return pown(x, n); }}\n"
        yield f"{kind} __nv_ldexp{end}({kind} x, int n) {{ return ldexp(x, n); }}\n"
        yield f"{kind} __nv_fma{end}({kind} x, {kind} y, {kind} z) {{ return fma(x, y, z); }}\n"
        for name in "isnan", "isinf":
            yield f"int __nv_{name}{test}({kind} x) {{ return {name}(x); }}\n"
    for name in FAST:
        yield f"float __nv_fast_{name}f(float x) {{ return {name}(x); }}\n"
    yield "float __nv_fast_powf(float x, float y) { return pow(x, y); }\n"
    for kind, end in ("int", ""), ("long", "ll"):
        yield f"{kind} __nv_{end}abs({kind} x) {{ return x < 0 ? -x : x; }}\n"
        yield f"int __nv_clz{end}({kind} x) {{ return clz(x); }}\n"
        yield f"int __nv_popc{end}({kind} x) {{ return popcount(x); }}\n"


def make(libclc, folder):
    folder = pathlib.Path(folder)
    (folder / "nvvm/libdevice").mkdir(parents=True, exist_ok=True)
    (folder / "bin").mkdir(exist_ok=True)
    subprocess.run(["clang", "-x", "cl", "-cl-std=CL2.0", "-target", "nvptx64--", "-Xclang", "-finclude-default-header", "-Xclang", "-mlink-builtin-bitcode",
                    "-Xclang", str(libclc), "-O2", "-emit-llvm", "-c", "-", "-o", str(folder / "nvvm/libdevice/libdevice.10.bc")],
                   input="".join(functions()), text=True, check=True)
    for name in "ptxas", "nvlink", "fatbinary":
        (folder / "bin" / name).write_text(PTXAS)
        (folder / "bin" / name).chmod(0o755)


if __name__ == "__main__":
    make(*sys.argv[1:])
