# SPDX-License-Identifier: MIT
"""Trains a small network by torch.compile on the device that is named and prints the losses, one a line; then the libraries of CUDA that are loaded, a path
a line. On a GPU every kernel is Triton's, matrix products, too: those that PyTorch has as machine code are for real GPUs only. So initial values are made on
the CPU, and the optimizer is compiled."""
import re
import sys

import torch
import torch._dynamo.testing

# The data with which candidates are timed is made on the CPU, too. The compiler takes this function when it is imported.
made = torch._dynamo.testing.rand_strided
torch._dynamo.testing.rand_strided = lambda *words, device="cpu", **rest: made(*words, device="cpu", **rest).to(device)
import torch._inductor.config as inductor  # noqa: E402

WIDTH, HIDDEN, BATCH, STEPS = 32, 64, 32, 8


class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.up, self.down = torch.nn.Linear(WIDTH, HIDDEN), torch.nn.Linear(HIDDEN, WIDTH)
        self.norm = torch.nn.LayerNorm(WIDTH)

    def forward(self, x):
        return x + self.down(torch.nn.functional.gelu(self.up(self.norm(x))))


def main(device):
    inductor.max_autotune = True
    inductor.max_autotune_gemm_backends = "TRITON"
    inductor.test_configs.max_mm_configs = 2  # of candidates for a product
    inductor.joint_graph_constant_folding = False  # it computes constants by PyTorch's own kernels
    torch._inductor.utils.is_big_gpu = lambda index=0: True  # Triton's products are for GPUs of 68 multiprocessors
    compiled = torch.compile if device != "cpu" else lambda function: function
    torch.manual_seed(7)
    network = Network()
    x, y = torch.randn(BATCH, WIDTH), torch.randn(BATCH, WIDTH)
    network, x, y = network.to(device), x.to(device), y.to(device)
    rest = [p for p in network.parameters()]
    moments = [(torch.zeros(p.shape).to(device), torch.zeros(p.shape).to(device)) for p in rest]

    @compiled
    def loss_of(x, y):
        return ((network(x) - y) ** 2).mean()

    @compiled
    def change(parameters, gradients, moments, count):
        """Adam."""
        with torch.no_grad():
            for p, g, (m, v) in zip(parameters, gradients, moments):
                m.mul_(0.9).add_(g, alpha=0.1)
                v.mul_(0.99).add_(g * g, alpha=0.01)
                p.sub_(0.01 * (m / (1 - 0.9 ** count)) / (torch.sqrt(v / (1 - 0.99 ** count)) + 1e-8))

    for count in range(1, STEPS + 1):
        value = loss_of(x, y)
        gradients = torch.autograd.grad(value, rest, grad_outputs=torch.ones(()).to(device))
        change(rest, gradients, moments, torch.tensor(float(count)).to(device))
        print(f"{value.item():.6f}", flush=True)
    with open("/proc/self/maps", encoding="utf-8") as maps:
        print(*sorted(set(re.findall(r"/\S*/lib(?:cu|nvidia|nccl)\S*", maps.read()))), sep="\n")


if __name__ == "__main__":
    main(sys.argv[1])
