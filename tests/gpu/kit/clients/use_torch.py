# SPDX-License-Identifier: MIT
"""PyTorch, which works by way of NVIDIA's runtime."""
from client import absent, check

try:
    import torch
except ImportError as e:
    absent(f"PyTorch cannot be imported: {e}")


def main():
    if torch.version.cuda is None:
        absent("this PyTorch is built without CUDA")
    torch.cuda.init()  # says why it cannot
    a = torch.arange(4096, device="cuda")
    check("add", (a + 3 * a).tolist(), [4 * i for i in range(4096)])
    m = (a % 7).reshape(64, 64).to(torch.float64)
    want = (torch.arange(4096) % 7).reshape(64, 64)
    check("product", (m @ m).to(torch.int64).flatten().tolist(), (want @ want).flatten().tolist())
    torch.cuda.synchronize()


main()
