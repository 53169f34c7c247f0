# SPDX-License-Identifier: MIT
"""PyTorch's matrix product, which is cuBLAS's."""
from client import absent, check

try:
    import torch
except ImportError as e:
    absent(f"PyTorch cannot be imported: {e}")


def main():
    if torch.version.cuda is None:
        absent("this PyTorch is built without CUDA")
    torch.cuda.init()
    m = (torch.arange(4096, device="cuda") % 7).reshape(64, 64).to(torch.float64)
    want = (torch.arange(4096) % 7).reshape(64, 64)
    check("product", (m @ m).to(torch.int64).flatten().tolist(), (want @ want).flatten().tolist())


main()
