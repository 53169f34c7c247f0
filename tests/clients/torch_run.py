# SPDX-License-Identifier: MIT
"""What PyTorch does with a GPU without a kernel of its own; inside the chroot of torch_test.py. Prints a line for each part that is right."""
import ctypes
import sys

import torch

MIB = 1 << 20
BACKEND = sys.argv[1]  # of PyTorch's allocator: native, expandable or async
cudart = ctypes.CDLL("libcudart.so.12")
dev = torch.device("cuda:0")
TYPES = [torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.float16, torch.bfloat16, torch.float32, torch.float64,
         torch.complex64, torch.complex128, torch.bool, torch.float8_e4m3fn, torch.float8_e5m2, torch.uint16, torch.uint32, torch.uint64]


def bytes_of(tensor):
    return tensor.contiguous().view(torch.uint8)


def random(n, dtype=torch.uint8):
    size = torch.empty(0, dtype=dtype).element_size()
    raw = torch.randint(0, 2 if dtype == torch.bool else 256, (n * size,), dtype=torch.uint8)
    return raw.view(dtype)


def same(a, b):
    assert torch.equal(bytes_of(a), bytes_of(b)), "other bytes"


def call(result):
    assert result == 0, f"cudart gives {result}"


def device():
    assert torch.cuda.is_available() and torch.cuda.device_count() == 1
    p = torch.cuda.get_device_properties(0)
    assert (p.name, p.major, p.minor) == ("pvgpu simulated GPU", 8, 6), p
    assert p.total_memory == 1 << 30 and p.multi_processor_count == 16 and p.warp_size == 32, p
    assert torch.cuda.get_device_capability() == (8, 6)
    free, total = torch.cuda.mem_get_info()
    assert total == 1 << 30 and 0 < free <= total, (free, total)


def copies():
    for dtype in TYPES:
        for n in 1, 1000, 300001:
            x = random(n, dtype)
            there = x.to(dev)
            assert there.is_cuda and there.dtype == dtype
            same(there.cpu(), x)
            same(there.clone().cpu(), x)
    x = random(64 * 4096).view(64, 4096)
    same(x.to(dev)[3:60].cpu(), x[3:60])


def pinned():
    x, back = random(9 * MIB).pin_memory(), torch.zeros(9 * MIB, dtype=torch.uint8).pin_memory()
    assert x.is_pinned() and not torch.zeros(4).is_pinned()
    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        there = x.to(dev, non_blocking=True)
        back.copy_(there, non_blocking=True)
    side.synchronize()
    same(back, x)


def streams():
    a, b = torch.cuda.Stream(), torch.cuda.Stream(priority=-1)
    begin, done = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    x = random(MIB).pin_memory()
    with torch.cuda.stream(a):
        begin.record()
        there = x.to(dev, non_blocking=True)
        done.record()
    with torch.cuda.stream(b):
        done.wait()
        twice = there.clone()
        there.record_stream(b)
    b.synchronize()
    assert a.query() and done.query() and begin.elapsed_time(done) >= 0
    same(twice.cpu(), x)
    torch.cuda.synchronize()


def statistics():
    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated()
    held = [torch.empty(size, dtype=torch.uint8, device=dev) for size in (1, 600, MIB, 3 * MIB, 40 * MIB)]
    used = torch.cuda.memory_allocated() - before
    assert 44 * MIB <= used <= 48 * MIB, used
    assert torch.cuda.memory_reserved() >= torch.cuda.memory_allocated()
    assert torch.cuda.max_memory_allocated() >= torch.cuda.memory_allocated()
    del held
    assert torch.cuda.memory_allocated() == before
    # Memory that is free is used again, in other sizes too.
    for i in range(300):
        torch.empty((i * 7919 % 900 + 1) * 4096, dtype=torch.uint8, device=dev)
    torch.cuda.synchronize()
    torch.cuda.empty_cache()
    assert torch.cuda.memory_reserved() < 64 * MIB, torch.cuda.memory_reserved()


def out_of_memory():
    held = []
    try:
        for _ in range(100):
            held.append(torch.empty(100 * MIB, dtype=torch.uint8, device=dev))
        raise SystemExit("more memory than there is")
    except torch.OutOfMemoryError as e:
        # PyTorch 2.6 writes the device's number as a character, 0, at which this text ends.
        assert str(e).startswith("Allocation on device") if BACKEND == "async" else "out of memory" in str(e), e
    assert 8 <= len(held) <= 10, len(held)
    held.clear()
    torch.cuda.empty_cache()
    torch.empty(700 * MIB, dtype=torch.uint8, device=dev)
    torch.cuda.empty_cache()


def capture():
    """PyTorch's own graphs launch a kernel: here its stream is captured by the runtime library that it uses."""
    a, b = random(MIB).to(dev), torch.empty(MIB, dtype=torch.uint8, device=dev)
    other = random(MIB).to(dev)
    stream = torch.cuda.Stream()
    handle, graph, ready = ctypes.c_void_p(stream.cuda_stream), ctypes.c_void_p(), ctypes.c_void_p()
    torch.cuda.synchronize()
    with torch.cuda.stream(stream):
        call(cudart.cudaStreamBeginCapture(handle, 2))
        b.copy_(a)
        assert torch.cuda.is_current_stream_capturing()
        call(cudart.cudaStreamEndCapture(handle, ctypes.byref(graph)))
    assert not torch.cuda.is_current_stream_capturing()
    call(cudart.cudaGraphInstantiateWithFlags(ctypes.byref(ready), graph, ctypes.c_ulonglong(0)))
    for source in a, other:
        a.copy_(source)
        torch.cuda.synchronize()
        call(cudart.cudaGraphLaunch(ready, handle))
        stream.synchronize()
        same(b.cpu(), source.cpu())
    call(cudart.cudaGraphExecDestroy(ready))
    call(cudart.cudaGraphDestroy(graph))


def kernel():
    """Machine code is not for the simulated GPU: PyTorch says so, and goes on."""
    try:
        torch.ones(4, device=dev)
        torch.cuda.synchronize()
        raise SystemExit("a kernel has run")
    except RuntimeError as e:
        assert "no kernel image is available for execution on the device" in str(e), e
    same(random(100).to(dev).cpu()[:0], torch.empty(0, dtype=torch.uint8))


PARTS = [device, copies, pinned, streams, statistics, out_of_memory, capture, kernel]
torch.manual_seed(1)
for part in PARTS:
    if part is capture and BACKEND == "async":
        continue  # a copy's memory comes from the pool, whose use in a capture PyTorch leaves to its own graphs
    part()
    print(f"ok {part.__name__}", flush=True)
