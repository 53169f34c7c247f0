# SPDX-License-Identifier: MIT
"""NVRTC by ctypes: a kernel compiled to PTX and to machine code, each loaded by the driver API."""
import ctypes
import glob
import os
import sys

from client import SUMS, Driver, absent, check

SOURCE = b"""
extern "C" __global__ void add(const int *a, const int *b, int *c, unsigned n)
{
	unsigned i = blockIdx.x * blockDim.x + threadIdx.x;

	if (i < n)
		c[i] = a[i] + b[i];
}
"""


def library():
    """By name, then beside Python packages and in the toolkit's usual places."""
    names = [f"libnvrtc.so.{n}" for n in ("13", "12", "11.2")] + ["libnvrtc.so"]
    folders = [os.path.join(p, "nvidia", "*", "lib") for p in sys.path if p.endswith("-packages")]
    folders += [os.path.join(p, "torch", "lib") for p in sys.path if p.endswith("-packages")]
    folders += ["/usr/local/cuda*/lib64", "/usr/local/cuda*/targets/x86_64-linux/lib", "/opt/*/lib", "/usr/lib/x86_64-linux-gnu"]
    for path in names + [p for f in folders for n in ("libnvrtc.so.1[0-9]*", "libnvrtc-*.so.1[0-9]*") for p in sorted(glob.glob(f"{f}/{n}"))]:
        try:
            return ctypes.CDLL(path)
        except OSError:
            continue
    return absent("no libnvrtc.so was found")


class Compiler:
    def __init__(self):
        self.so = library()
        self.so.nvrtcGetErrorString.restype = ctypes.c_char_p

    def call(self, name, *args):
        result = getattr(self.so, name)(*args)
        if result:
            sys.exit(f"client: {name}: {self.so.nvrtcGetErrorString(result).decode()}")

    def compile(self, arch, what):
        """what: PTX or CUBIN."""
        program, size = ctypes.c_void_p(), ctypes.c_size_t()
        self.call("nvrtcCreateProgram", ctypes.byref(program), SOURCE, b"add.cu", 0, None, None)
        options = (ctypes.c_char_p * 1)(f"--gpu-architecture={arch}".encode())
        self.call("nvrtcCompileProgram", program, 1, options)
        self.call(f"nvrtcGet{what}Size", program, ctypes.byref(size))
        image = ctypes.create_string_buffer(size.value)
        self.call(f"nvrtcGet{what}", program, image)
        self.call("nvrtcDestroyProgram", ctypes.byref(program))
        return image


def main():
    compiler = Compiler()
    driver = Driver()
    driver.for_compilers()
    major, minor = driver.capability()
    for what, kind in (("PTX", "compute"), ("CUBIN", "sm")):
        image = compiler.compile(f"{kind}_{major}{minor}", what)
        check(what, driver.add(driver.load(image, "add"), ctypes.c_int32, 256), SUMS)


main()
