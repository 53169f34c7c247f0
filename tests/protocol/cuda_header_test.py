#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares our cuda.h and exports.api with an SDK's cuda.h, cudaTypedefs.h and libcuda stub.

Sizes, offsets, constants, macro names and prototypes of our header must be those of the SDK of the
same CUDA version. Skips, saying so, where no such SDK is installed."""
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

TREE = pathlib.Path(__file__).resolve().parents[2]
OURS = TREE / "libpvgpu" / "cuda" / "include"
CC = os.environ.get("CC", "cc").split()
sys.path.insert(0, str(TREE / "libpvgpu" / "protocol" / "gen"))
sys.dont_write_bytecode = True
import exports  # noqa: E402


def find_sdk():
    """The include folder of an SDK with our CUDA_VERSION, and why there is none."""
    version = re.search(r"#define\s+CUDA_VERSION\s+(\d+)", (OURS / "cuda.h").read_text())[1]
    places = [os.environ.get("CUDA_HOME", "") + "/include", "/usr/local/cuda/include", "/usr/include"]
    why = "no cuda.h in " + ", ".join(p for p in places if p != "/include")
    for place in places:
        header = pathlib.Path(place) / "cuda.h"
        if not header.is_file():
            continue
        found = re.search(r"#define\s+CUDA_VERSION\s+(\d+)", header.read_text(errors="replace"))
        if found and found[1] == version:
            return pathlib.Path(place), ""
        why = f"{header} is of version {found[1] if found else '?'}, ours of {version}"
    return None, why


SDK, WHY_NOT = find_sdk()


def compile_c(text, *flags):
    """Compile, return the program's output (or "" with -fsyntax-only)."""
    with tempfile.TemporaryDirectory() as folder:
        source, program = pathlib.Path(folder) / "t.c", pathlib.Path(folder) / "t"
        source.write_text(text)
        done = subprocess.run([*CC, "-std=gnu11", "-w", *flags, str(source), "-o", str(program)],
                              capture_output=True, text=True, timeout=120)
        if done.returncode:
            raise AssertionError(done.stderr)
        if "-fsyntax-only" in flags:
            return ""
        return subprocess.run([str(program)], capture_output=True, text=True, timeout=60, check=True).stdout


def preprocessed():
    done = subprocess.run([*CC, "-E", "-P", "-D__CUDA_API_VERSION_INTERNAL", f"-I{OURS}", "-"],
                          input="#include <cuda.h>\n#include <cudaProfiler.h>\n", capture_output=True, text=True,
                          check=True, timeout=60)
    return re.sub(r"\s+", " ", done.stdout)


def balanced(text, at):
    """The end of the {...} that starts at text[at]."""
    depth = 0
    for i in range(at, len(text)):
        depth += {"{": 1, "}": -1}.get(text[i], 0)
        if not depth:
            return i
    raise AssertionError("unbalanced braces in our header")


def fields(body, prefix=""):
    """Paths of all members of a structure's body; for a nested one, its own path, if it has a name, and its members'."""
    at = 0
    while body[at:].strip():
        end, brace = body.index(";", at), body.find("{", at)
        if 0 <= brace < end:
            close = balanced(body, brace)
            end = body.index(";", close)
            name = body[close + 1:end].strip()
            if name:
                yield prefix + name
            yield from fields(body[brace + 1:close], f"{prefix}{name}." if name else prefix)
        else:
            first, *more = body[at:end].split(",")
            for declarator in [re.sub(r"\[.*", "", first).split()[-1], *more]:
                yield prefix + re.sub(r"\[.*", "", declarator).strip(" *")
        at = end + 1


class Header:
    """What our header declares."""

    def __init__(self):
        text = preprocessed()
        self.constants, self.members = [], []
        for body in re.findall(r"enum (?:CU|cuda)\w+ \{([^}]*)\}", text):
            self.constants += re.findall(r"\b([A-Z]\w*) =", body)
        for match in re.finditer(r"typedef (?:struct|union) CU\w+ \{", text):
            close = balanced(text, match.end() - 1)
            name = re.match(r"\} (\w+);", text[close:])[1]
            self.members += [(name, path) for path in fields(text[match.end():close])]
        self.types = [name for pattern in (r"\} (\w+);", r"typedef [\w ]+?\*?(\w+);", r"typedef \w+\s?\( ?\*(\w+)\)")
                      for name in re.findall(pattern, text) if name.startswith(("CU", "cuuint"))]
        self.functions = re.findall(r"CUresult (cu\w+) ?\(([^;]*)\);", text)
        headers = "".join(p.read_text() for p in sorted(OURS.glob("*.h")))
        self.macros = re.findall(r"#define[ \t]+((?:CU|CUDA)_[A-Z]\w*)[ \t]+\S", headers)
        self.names = re.findall(r"#define[ \t]+(cu\w+)[ \t]", headers)


@unittest.skipUnless(SDK, f"nothing to compare with: {WHY_NOT}")
class AgainstTheSdk(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.header = Header()

    def both(self, text, *flags):
        ours, theirs = (compile_c(text, f"-I{where}", *flags).splitlines() for where in (OURS, SDK))
        self.assertEqual(ours, theirs)
        return ours

    def test_the_comparison_sees_the_header(self):
        h = self.header
        self.assertGreater(len(h.constants), 500)
        self.assertGreater(len(h.members), 150)
        self.assertGreater(len(h.types), 80)
        self.assertGreater(len(h.functions), 250)
        self.assertIn(("CUlaunchAttributeValue", "programmaticEvent.flags"), h.members)
        self.assertIn("CU_DEVICE_ATTRIBUTE_WARP_SIZE", h.constants)

    def test_constants(self):
        rows = "".join(f'\tprintf("{n} %lld\\n", (long long){n});\n' for n in self.header.constants + self.header.macros)
        self.both(f"#include <stdio.h>\n#include <cuda.h>\n#include <cudaProfiler.h>\nint main(void)\n{{\n{rows}}}\n")

    def test_sizes_and_offsets(self):
        rows = "".join(f'\tprintf("{t} %zu %zu\\n", sizeof({t}), _Alignof({t}));\n' for t in self.header.types)
        rows += "".join(f'\tprintf("{t}.{m} %zu %zu\\n", offsetof({t}, {m}), sizeof((({t} *)0)->{m}));\n'
                        for t, m in self.header.members)
        self.both("#include <stdio.h>\n#include <stddef.h>\n#include <cuda.h>\n#include <cudaProfiler.h>\n"
                  f"int main(void)\n{{\n{rows}}}\n")

    def test_prototypes(self):
        """The SDK's declarations, then ours: a difference is a conflict for the compiler."""
        again = "".join(f"CUresult {name}({params});\n" for name, params in self.header.functions
                        if not name.startswith("cuGetProcAddress_v2_"))
        compile_c("#define __CUDA_API_VERSION_INTERNAL 1\n#include <cuda.h>\n#include <cudaProfiler.h>\n" + again,
                  f"-I{SDK}", "-fsyntax-only")

    def test_a_wrong_prototype_is_noticed(self):
        with self.assertRaises(AssertionError):
            compile_c("#include <cuda.h>\nCUresult cuInit(int flags);\n", f"-I{SDK}", "-fsyntax-only")

    def test_names_mean_the_same_symbols(self):
        rows = "".join(f'\tputs("{n} " SHOW({n}));\n' for n in self.header.names)
        text = ("#include <stdio.h>\n#include <cuda.h>\n#define SHOW_(x) #x\n#define SHOW(x) SHOW_(x)\n"
                f"int main(void)\n{{\n{rows}}}\n")
        legacy = self.both(text, "-Wl,--unresolved-symbols=ignore-all")
        thread = self.both(text, "-DCUDA_API_PER_THREAD_DEFAULT_STREAM", "-Wl,--unresolved-symbols=ignore-all")
        self.assertIn("cuMemcpyHtoD cuMemcpyHtoD_v2", legacy)
        self.assertIn("cuMemcpyHtoD cuMemcpyHtoD_v2_ptds", thread)

    def test_symbols(self):
        stubs = [p for p in (SDK.parent / "lib64/stubs/libcuda.so",
                             SDK.parent / "targets/x86_64-linux/lib/stubs/libcuda.so",
                             pathlib.Path("/usr/lib/x86_64-linux-gnu/stubs/libcuda.so")) if p.exists()]
        if not stubs:
            self.skipTest("the SDK has no stub of libcuda")
        listing = subprocess.run(["nm", "-D", "--defined-only", str(stubs[0])], capture_output=True, text=True,
                                 check=True, timeout=60).stdout
        theirs = set(re.findall(r" [TW] (cu\w+)", listing))
        symbols = exports.parse(exports.API, exports.read_results())
        ours = {s.name for s in symbols}
        # the driver exports these, the stub does not
        theirs |= {s.name for s in symbols if s.section == "OpenGL, EGL, VDPAU"}
        self.assertEqual(sorted(ours - theirs), [], "in exports.api only")
        self.assertEqual(sorted(theirs - ours), [], "in the stub only")
        declared = {name for name, _ in self.header.functions}
        self.assertEqual(sorted(declared - ours), [], "declared in our cuda.h, but no symbol")

    def test_versions(self):
        typedefs = SDK / "cudaTypedefs.h"
        if not typedefs.exists():
            self.skipTest("the SDK has no cudaTypedefs.h")
        text = "".join((SDK / f"cuda{part}Typedefs.h").read_text() for part in ("", "Profiler", "GL", "EGL", "VDPAU"))
        theirs = set(re.findall(r"\bPFN_(cu(?!WGL)\w+_v\d+(?:_ptds|_ptsz)?)\b", text))  # cuWGL is of Windows
        ours = {f"{s.base}_v{s.since}" + (f"_{s.mark}" if s.mark else "")
                for s in exports.parse(exports.API, exports.read_results())}
        self.assertEqual(sorted(ours ^ theirs), [])


if __name__ == "__main__":
    unittest.main()
