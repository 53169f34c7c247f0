# SPDX-License-Identifier: MIT
"""Numba: a sum of vectors, a reduction in shared memory with an atomic addition, and its own reduction."""
from client import Driver, absent, check

try:
    import numpy as np
    from numba import cuda, int64
except ImportError as e:
    absent(f"numba.cuda cannot be imported: {e}")

N = 100000
THREADS = 256


@cuda.jit
def add(a, b, c):
    i = cuda.grid(1)
    if i < c.size:
        c[i] = a[i] + b[i]


@cuda.jit
def total(a, result):
    part = cuda.shared.array(THREADS, int64)
    i = cuda.grid(1)
    t = cuda.threadIdx.x
    part[t] = a[i] if i < a.size else 0
    cuda.syncthreads()
    half = THREADS // 2
    while half > 0:
        if t < half:
            part[t] += part[t + half]
        cuda.syncthreads()
        half //= 2
    if t == 0:
        cuda.atomic.add(result, 0, part[0])


@cuda.reduce
def reduction(a, b):
    return a + b


def main():
    Driver().for_compilers()
    blocks = (N + THREADS - 1) // THREADS
    a = np.arange(N, dtype=np.int64)
    stream = cuda.stream()
    da, db = cuda.to_device(a, stream=stream), cuda.to_device(3 * a, stream=stream)
    dc = cuda.device_array_like(da, stream=stream)
    add[blocks, THREADS, stream](da, db, dc)
    c = dc.copy_to_host(stream=stream)
    stream.synchronize()
    check("add", c.tolist(), (4 * a).tolist())
    result = cuda.to_device(np.zeros(1, dtype=np.int64))
    total[blocks, THREADS](dc, result)
    check("total", result.copy_to_host().tolist(), [int((4 * a).sum())])
    check("reduce", [int(reduction(dc))], [int((4 * a).sum())])


main()
