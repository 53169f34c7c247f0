# SPDX-License-Identifier: MIT
"""Each symbol of libcuda that is refused answers what docs/cuda-symbols.md says, whatever it is given, and leaves everything as it was: context,
memory, and the device's last error. Texture references are refused by the simulated GPU itself in the same way."""
import json
import subprocess
import sys
import unittest

import programs
from pvgpu_env import PvgpuEnv

sys.path[:0] = [str(programs.TREE / "libpvgpu" / "protocol" / "gen"), str(programs.TREE / "libpvgpu" / "tools")]
import calls  # noqa: E402
import exports  # noqa: E402

CALLER = """
import ctypes, json, sys
cuda = ctypes.CDLL("libcuda.so.1")
def must(r):
    assert r == 0, r
ctx, at, free, total = ctypes.c_void_p(), ctypes.c_uint64(), ctypes.c_size_t(), ctypes.c_size_t()
must(cuda.cuInit(0))
must(cuda.cuCtxCreate_v2(ctypes.byref(ctx), 0, 0))
must(cuda.cuMemAlloc_v2(ctypes.byref(at), ctypes.c_size_t(4096)))
must(cuda.cuMemGetInfo_v2(ctypes.byref(free), ctypes.byref(total)))
left, results = free.value, {}
for name in json.load(sys.stdin):
    results[name] = [getattr(cuda, name)(*[ctypes.c_uint64(value)] * 10) for value in (0, 1)]
now = ctypes.c_void_p()
must(cuda.cuCtxSynchronize())
must(cuda.cuCtxGetCurrent(ctypes.byref(now)))
assert now.value == ctx.value
must(cuda.cuMemGetInfo_v2(ctypes.byref(free), ctypes.byref(total)))
assert free.value == left, (free.value, left)
must(cuda.cuMemsetD8_v2(at, ctypes.c_ubyte(1), ctypes.c_size_t(4096)))
must(cuda.cuMemFree_v2(at))
must(cuda.cuCtxDestroy_v2(ctx))
json.dump(results, sys.stdout)
"""


def refused():
    """name -> result"""
    results = exports.read_results()
    symbols = exports.parse(exports.API, results)
    exports.forward(symbols, calls.parse_files([str(p) for p in exports.HERE.parent.glob("[0-9]*.api")]).calls)
    return {s.name: results[s.result] for s in symbols if s.disposition == "refuse"}


class Refused(unittest.TestCase):
    def results(self, pvgpu, names, direct=False):
        run = subprocess.run([sys.executable, "-c", CALLER], input=json.dumps(sorted(names)), env=pvgpu.guest_env(direct=direct),
                             capture_output=True, text=True, timeout=300, check=False)
        self.assertEqual(run.returncode, 0, run.stderr)
        return json.loads(run.stdout)

    def test_all(self):
        wanted = refused()
        textures = [n for n in wanted if "TexRef" in n]
        self.assertGreater(len(wanted), 100)
        self.assertGreater(len(textures), 30)
        with PvgpuEnv() as pvgpu:
            self.assertEqual(self.results(pvgpu, wanted), {name: [r, r] for name, r in wanted.items()})
            self.assertEqual(self.results(pvgpu, textures, direct=True), {name: [wanted[name]] * 2 for name in textures})


if __name__ == "__main__":
    unittest.main()
