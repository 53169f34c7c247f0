# SPDX-License-Identifier: MIT
"""torch.compile: pointwise work and matrix products as kernels of Triton, replayed as a graph; a small network is trained."""
import sys
import time

from client import absent, say_time

try:
    import torch
    import torch._inductor.config as inductor
except ImportError as e:
    absent(f"PyTorch cannot be imported: {e}")

# Without cuBLAS, also for what the compiler tries out.
inductor.max_autotune_gemm = True
inductor.max_autotune_gemm_backends = "TRITON"
inductor.compile_threads = 1
inductor.joint_graph_constant_folding = False


def main():
    if torch.version.cuda is None:
        absent("this PyTorch is built without CUDA")
    torch.cuda.init()
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(256, 128, generator=generator).to("cuda")
    a, b = torch.randn(128, 256, generator=generator).to("cuda"), torch.randn(256, 64, generator=generator).to("cuda")

    @torch.compile
    def fused(t):
        return torch.sin(t) * 2 + torch.relu(t).sum(1, keepdim=True)

    @torch.compile
    def network(t):
        return torch.relu(t @ a) @ b
    begin = time.perf_counter()
    got = fused(x)
    print("fused:", torch.allclose(got.cpu(), torch.sin(x.cpu()) * 2 + torch.relu(x.cpu()).sum(1, keepdim=True), atol=1e-3))
    say_time("compile_fused", time.perf_counter() - begin)
    begin = time.perf_counter()
    got = network(x)
    want = torch.relu(x.cpu().double() @ a.cpu().double()) @ b.cpu().double()
    error = float((got.cpu().double() - want).norm() / want.norm())
    print("network:", error < 2e-3)
    say_time("compile_network", time.perf_counter() - begin)
    torch.cuda.synchronize()
    begin = time.perf_counter()
    for _ in range(1000):
        network(x)
    torch.cuda.synchronize()
    say_time("network", (time.perf_counter() - begin) / 1000)
    if error >= 2e-3:
        sys.exit(f"client: the network's error is {error}")


main()
