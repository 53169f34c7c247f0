# SPDX-License-Identifier: MIT
"""PyTorch's own kernels, without NVIDIA's mathematical libraries: each part prints a digest of its results, which are the
same bytes on the same GPU. A part that fails does not keep others from running."""
import hashlib
import sys
import time
import traceback

from client import absent, say_time

try:
    import torch
    import torch.nn.functional as F
except ImportError as e:
    absent(f"PyTorch cannot be imported: {e}")

DEV = "cuda"
MIB = 1 << 20


def digest(*tensors):
    h = hashlib.sha256()
    for t in tensors:
        h.update(t.detach().reshape(-1).contiguous().cpu().view(torch.uint8).numpy().tobytes())
    return h.hexdigest()[:16]


def numbers(*shape, dtype=torch.float32):
    """The same on each run, made by the processor."""
    generator = torch.Generator().manual_seed(7)
    return torch.randn(*shape, generator=generator).to(dtype).to(DEV)


def copies():
    x = torch.arange(3 * MIB, dtype=torch.int32)
    there = x.to(DEV)
    pinned = x.pin_memory()
    again = pinned.to(DEV, non_blocking=True)
    back = torch.empty_like(x).pin_memory()
    back.copy_(again + there, non_blocking=True)
    torch.cuda.synchronize()
    assert torch.equal(back, 2 * x) and torch.equal(there.cpu(), x)
    return digest(there, again)


def pointwise():
    x = numbers(1000, 1003)
    y = torch.sin(x) * torch.exp(-x * x) + torch.sqrt(x.abs()) - torch.tanh(x) / (1 + x * x)
    assert torch.allclose(y.cpu(), (lambda c: torch.sin(c) * torch.exp(-c * c) + torch.sqrt(c.abs()) - torch.tanh(c) / (1 + c * c))(x.cpu()),
                          atol=1e-5)
    return digest(y, F.gelu(x), F.silu(x.to(torch.bfloat16)), x.to(torch.float16) * 3)


def reductions():
    x = numbers(517, 4099)
    assert torch.allclose(x.sum(1).cpu(), x.cpu().sum(1), atol=1e-2)
    return digest(x.sum(1), x.mean(0), x.max(1).values, x.argmax(1), x.var(1), F.softmax(x, 1), F.layer_norm(x, (4099,)), x.norm())


def scans_and_sorts():
    x = numbers(100003)
    values, order = x.sort()
    assert torch.equal(values.cpu(), x.cpu().sort().values)
    ints = (x * 50).to(torch.int64)
    return digest(values, order, ints.cumsum(0), ints.unique(), x.topk(100).values, torch.bincount(ints.abs()))


def indices():
    table, at = numbers(5000, 64), torch.arange(0, 20000, 7, device=DEV) % 5000
    sums = torch.zeros(5000, dtype=torch.int64, device=DEV).index_add_(0, at, at)
    return digest(F.embedding(at, table), table[at], sums, table.t().contiguous(), torch.where(table > 0, table, 0), table.nonzero())


def random():
    torch.cuda.manual_seed(11)
    return digest(torch.randn(100000, device=DEV), torch.rand(1000, device=DEV), torch.randperm(5000, device=DEV),
                  F.dropout(torch.ones(10000, device=DEV), 0.3))


def gradients():
    """Logistic regression without a matrix product."""
    x, w = numbers(4096, 32), torch.zeros(32, device=DEV, requires_grad=True)
    y = (x[:, 0] - x[:, 1] > 0).float()
    optimizer = torch.optim.Adam([w], lr=0.05)
    for _ in range(60):
        optimizer.zero_grad()
        loss = F.binary_cross_entropy_with_logits((x * w).sum(1), y)
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.25, loss.item()
    return f"{loss.item():.4f}"


def streams():
    side, event = torch.cuda.Stream(), torch.cuda.Event(enable_timing=True)
    begin = torch.cuda.Event(enable_timing=True)
    x = numbers(MIB)
    begin.record()
    y = x * 2
    event.record()
    with torch.cuda.stream(side):
        side.wait_event(event)
        z = y + 1
    torch.cuda.current_stream().wait_stream(side)
    total = (z - y).sum()
    torch.cuda.synchronize()
    assert total.item() == MIB and begin.elapsed_time(event) >= 0
    return digest(z)


def graphs():
    x, out = numbers(MIB), torch.zeros(MIB, device=DEV)
    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        out.copy_(torch.relu(x) + 1)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out.copy_(torch.relu(x) + 1)
    x.neg_()
    for _ in range(3):
        graph.replay()
    torch.cuda.synchronize()
    assert torch.equal(out, torch.relu(x) + 1)
    return digest(out)


def attention():
    """A kernel of FlashAttention, and one for memory's sake."""
    q, k, v = (numbers(2, 8, 512, 64, dtype=torch.bfloat16) * s for s in (1, 0.5, 2))
    from torch.nn.attention import SDPBackend, sdpa_kernel
    found = []
    for backend in (SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION):
        with sdpa_kernel(backend):
            found.append(F.scaled_dot_product_attention(q, k, v, is_causal=True))
    assert torch.allclose(found[0].float(), found[1].float(), atol=0.1)
    return digest(*found)


def allocator():
    kept = [torch.full((n * 1000,), n, device=DEV) for n in range(1, 300)]
    del kept[::2]
    torch.cuda.empty_cache()
    more = [torch.full((n * 3000,), n, device=DEV) for n in range(1, 100)]
    assert all(int(t[-1]) == t.numel() // 3000 for t in more) and all(int(t[-1]) == t.numel() // 1000 for t in kept)
    free, total = torch.cuda.mem_get_info()
    assert 0 < free < total and torch.cuda.memory_reserved() >= torch.cuda.memory_allocated()
    return "right"


def kernel_of_triton():
    import use_torch_triton
    return digest(use_torch_triton.double_plus_one(numbers(100003)))


def errors():
    """What goes wrong is said, and the session goes on."""
    try:
        torch.empty(1 << 50, device=DEV)
        raise AssertionError("a petabyte was allocated")
    except torch.OutOfMemoryError:
        pass
    return digest(torch.ones(3, device=DEV) + 1)


def speeds():
    small, large = torch.ones(1000, device=DEV), torch.ones(64 * MIB, device=DEV)

    def run(name, count, call):
        for _ in range(3):
            call()
        torch.cuda.synchronize()
        begin = time.perf_counter()
        for _ in range(count):
            call()
        posted = time.perf_counter() - begin
        torch.cuda.synchronize()
        say_time(name, (time.perf_counter() - begin) / count)
        say_time(name + "_posted", posted / count)
    run("small_add", 20000, lambda: small.add_(1))
    run("large_add", 200, lambda: large.add_(1))
    run("item", 2000, lambda: small[0].item())
    run("empty", 20000, lambda: torch.empty(1000, device=DEV))
    run("softmax", 2000, lambda: F.softmax(small, 0))
    host = torch.ones(16 * MIB, dtype=torch.uint8)
    pinned = host.pin_memory()
    run("pageable_16mib_h2d", 20, lambda: host.to(DEV))
    run("pinned_16mib_h2d", 20, lambda: pinned.to(DEV, non_blocking=True))
    return "told"


PARTS = (copies, pointwise, reductions, scans_and_sorts, indices, random, gradients, streams, graphs, attention, allocator,
         kernel_of_triton, errors, speeds)


def main():
    if torch.version.cuda is None:
        absent("this PyTorch is built without CUDA")
    begin = time.perf_counter()
    torch.cuda.init()  # says why it cannot
    torch.zeros(1, device=DEV)
    torch.cuda.synchronize()
    say_time("init", time.perf_counter() - begin)
    failed = []
    for part in PARTS:
        begin = time.perf_counter()
        try:
            print(f"{part.__name__}: {part()}", flush=True)
        except Exception:  # pylint: disable=broad-except
            traceback.print_exc()
            failed.append(part.__name__)
            print(f"{part.__name__}: failed", flush=True)
        say_time(f"part_{part.__name__}", time.perf_counter() - begin)
    if failed:
        sys.exit(f"client: failed: {' '.join(failed)}")


main()
