# SPDX-License-Identifier: MIT
"""What the clients share: how one says what it has found, and the driver API by ctypes.

A client prints what is the same on every run and every device. It ends with 0 when its results are right, with ABSENT when
this host lacks what it is about, and else with another status. On standard error it prints the libcuda that it has used,
so that its caller can check that it was the right one."""
import atexit
import ctypes
import sys

ABSENT = 77
SIMULATED = "pvgpu simulated GPU"
COUNT = 1000

# c[i] = a[i] + b[i], written by hand.
ADD_PTX = b"""
.version 6.0
.target sm_70
.address_size 64
.visible .entry add(.param .u64 a, .param .u64 b, .param .u64 c, .param .u32 n)
{
	.reg .pred %p<2>;
	.reg .b32 %r<9>;
	.reg .b64 %rd<8>;
	ld.param.u64 %rd1, [a];
	ld.param.u64 %rd2, [b];
	ld.param.u64 %rd3, [c];
	ld.param.u32 %r1, [n];
	mov.u32 %r2, %ctaid.x;
	mov.u32 %r3, %ntid.x;
	mov.u32 %r4, %tid.x;
	mad.lo.s32 %r5, %r2, %r3, %r4;
	setp.ge.u32 %p1, %r5, %r1;
	@%p1 bra DONE;
	mul.wide.u32 %rd4, %r5, 4;
	add.s64 %rd5, %rd1, %rd4;
	add.s64 %rd6, %rd2, %rd4;
	add.s64 %rd7, %rd3, %rd4;
	ld.global.u32 %r6, [%rd5];
	ld.global.u32 %r7, [%rd6];
	add.s32 %r8, %r6, %r7;
	st.global.u32 [%rd7], %r8;
DONE:
	ret;
}
"""


def absent(why):
    print(f"client: absent: {why}", file=sys.stderr)
    sys.exit(ABSENT)


def say_library():
    with open("/proc/self/maps", encoding="utf-8", errors="replace") as f:
        for path in sorted({line.split()[-1] for line in f if "libcuda.so" in line}):
            print(f"client: libcuda: {path}", file=sys.stderr)


atexit.register(say_library)


def say_time(name, seconds):
    """Seconds that something took on this side, for its caller to compare."""
    print(f"client: time: {name} {seconds:.9f}", file=sys.stderr)


def check(name, got, want):
    """Results as lists of numbers."""
    got, want = list(got), list(want)
    if got != want:
        wrong = next(i for i, (g, w) in enumerate(zip(got, want)) if g != w) if len(got) == len(want) else len(got)
        sys.exit(f"client: {name} is wrong at {wrong} of {len(want)}")
    print(f"{name}: {len(got)} values, sum {sum(got)}")


class DriverError(Exception):
    pass


class Driver:
    """Device 0's primary context, by way of the driver API alone."""

    def __init__(self):
        try:
            self.so = ctypes.CDLL("libcuda.so.1")
        except OSError as e:
            absent(str(e))
        self.call("cuInit", 0)
        self.device, self.context = ctypes.c_int(), ctypes.c_void_p()
        self.call("cuDeviceGet", ctypes.byref(self.device), 0)
        self.call("cuDevicePrimaryCtxRetain", ctypes.byref(self.context), self.device)
        self.call("cuCtxSetCurrent", self.context)

    def call(self, name, *args):
        result = getattr(self.so, name)(*args)
        if result:
            text = ctypes.c_char_p()
            self.so.cuGetErrorName(result, ctypes.byref(text))
            raise DriverError(f"{name}: {(text.value or b'an unknown result').decode()} ({result})")

    def attribute(self, number):
        value = ctypes.c_int()
        self.call("cuDeviceGetAttribute", ctypes.byref(value), number, self.device)
        return value.value

    def capability(self):
        return self.attribute(75), self.attribute(76)

    def for_compilers(self):
        """What NVIDIA's compilers have made is for NVIDIA's GPUs alone."""
        name = ctypes.create_string_buffer(128)
        self.call("cuDeviceGetName", name, 128, self.device)
        if name.value.decode() == SIMULATED:
            absent("this is the simulated GPU")

    def load(self, image, name):
        """A function of an image, by cuModuleLoadDataEx with a log that is told when it fails."""
        log = ctypes.create_string_buffer(8192)
        options = (ctypes.c_int * 2)(5, 6)  # error log and its size
        values = (ctypes.c_void_p * 2)(ctypes.cast(log, ctypes.c_void_p), len(log))
        module, function = ctypes.c_void_p(), ctypes.c_void_p()
        try:
            self.call("cuModuleLoadDataEx", ctypes.byref(module), image, 2, options, values)
        except DriverError:
            print(log.value.decode(errors="replace"), file=sys.stderr)
            raise
        self.call("cuModuleGetFunction", ctypes.byref(function), module, name.encode())
        return function

    def upload(self, array):
        address = ctypes.c_uint64()
        self.call("cuMemAlloc_v2", ctypes.byref(address), ctypes.c_size_t(ctypes.sizeof(array)))
        self.call("cuMemcpyHtoD_v2", address, array, ctypes.c_size_t(ctypes.sizeof(array)))
        return address

    def download(self, array, address):
        self.call("cuMemcpyDtoH_v2", array, address, ctypes.c_size_t(ctypes.sizeof(array)))
        return array

    def launch(self, function, grid, block, shared, args):
        pointers = (ctypes.c_void_p * len(args))(*(ctypes.addressof(a) for a in args))
        self.call("cuLaunchKernel", function, grid, 1, 1, block, 1, 1, shared, None, pointers, None)
        self.call("cuCtxSynchronize")

    def add(self, function, kind, block, shared=0, more=()):
        """Launch something that adds COUNT numbers, with arguments (a, b, c, n) and whatever its compiler wants behind them."""
        a = (kind * COUNT)(*range(COUNT))
        b = (kind * COUNT)(*(3 * i for i in range(COUNT)))
        c = (kind * COUNT)()
        pa, pb, pc = self.upload(a), self.upload(b), self.upload(c)
        self.launch(function, (COUNT + 255) // 256, block, shared, [pa, pb, pc, ctypes.c_uint32(COUNT), *more])
        return self.download(c, pc)


SUMS = [4 * i for i in range(COUNT)]
