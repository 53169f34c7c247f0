# SPDX-License-Identifier: MIT
"""Last, and only with --risky: what can wedge a GPU that must not be reset."""
from compare import FAULTY, program
from facts import take_step
from stage import Item, Stage

STAGE = Stage("risky", "faults, endless kernels, SIGKILL: how long until others run; time-slice control from inside a process",
              limit_s=120)


def items(_):
    for name, limit in (("faults", 110), ("timeslice", 40)):
        yield Item(name, lambda ctx, step=name: take_step(ctx, ctx.probe("--risky", step)[-1]), limit, needs=["tests/gpu-probe"])
    for name in FAULTY:
        yield program(name)
