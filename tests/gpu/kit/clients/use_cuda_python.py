# SPDX-License-Identifier: MIT
"""cuda-python's bindings of the driver API: a kernel that was written by hand."""
import ctypes
import sys

from client import ADD_PTX, COUNT, SUMS, absent, check

try:
    from cuda.bindings import driver
except ImportError:
    try:
        from cuda import cuda as driver
    except ImportError as e:
        absent(f"cuda-python cannot be imported: {e}")


def do(answer):
    """The first of what a call returns is its result."""
    result, *values = answer
    if result != driver.CUresult.CUDA_SUCCESS:
        sys.exit(f"client: {result!r}")
    return values[0] if len(values) == 1 else values


def main():
    do(driver.cuInit(0))
    device = do(driver.cuDeviceGet(0))
    context = do(driver.cuDevicePrimaryCtxRetain(device))
    do(driver.cuCtxSetCurrent(context))
    image = ctypes.create_string_buffer(ADD_PTX)
    module = do(driver.cuModuleLoadData(ctypes.addressof(image)))
    function = do(driver.cuModuleGetFunction(module, b"add"))
    stream = do(driver.cuStreamCreate(0))
    a = (ctypes.c_int32 * COUNT)(*range(COUNT))
    b = (ctypes.c_int32 * COUNT)(*(3 * i for i in range(COUNT)))
    c = (ctypes.c_int32 * COUNT)()
    size = ctypes.sizeof(a)
    at = [do(driver.cuMemAlloc(size)) for _ in range(3)]
    for pointer, array in zip(at, (a, b)):
        do(driver.cuMemcpyHtoDAsync(pointer, ctypes.addressof(array), size, stream))
    begin, end = do(driver.cuEventCreate(0)), do(driver.cuEventCreate(0))
    do(driver.cuEventRecord(begin, stream))
    values = (*(int(p) for p in at), COUNT)
    kinds = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint32)
    do(driver.cuLaunchKernel(function, (COUNT + 255) // 256, 1, 1, 256, 1, 1, 0, stream, (values, kinds), 0))
    do(driver.cuEventRecord(end, stream))
    do(driver.cuMemcpyDtoHAsync(ctypes.addressof(c), at[2], size, stream))
    do(driver.cuStreamSynchronize(stream))
    check("sums", c, SUMS)
    print("time passes:", do(driver.cuEventElapsedTime(begin, end)) >= 0)
    for pointer in at:
        do(driver.cuMemFree(pointer))
    do(driver.cuModuleUnload(module))
    do(driver.cuDevicePrimaryCtxRelease(device))


main()
