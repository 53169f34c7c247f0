# SPDX-License-Identifier: MIT
"""The driver's library by itself: gpu-probe, a step an item; and what libcuda asks of the system before and after our seal."""
import json
import os

from facts import take_step
from stage import Failed, Item, Stage

STAGE = Stage("probe", "what pvgpu takes for granted about libcuda, a step an item; files and system calls of libcuda in a worker",
              limit_s=160)
STEPS = {"init": 30, "window": 60, "register": 40, "context": 40, "images": 40, "params": 30, "rate": 40, "semantics": 30}
TRACED = ["vecadd", "copies", "streams"]


QUICK_S = 20


def items(ctx):
    for name, limit in STEPS.items():
        yield Item(name, lambda ctx, step=name: take_step(ctx, ctx.probe(step)[-1]), QUICK_S if ctx.quick else limit,
                   needs=["tests/gpu-probe"])
    yield Item("record", record, 30, needs=["tests/gpu-probe"])
    yield Item("trace", trace, 60, needs=["tests/gpu-trace"])


def record(ctx):
    """The driver as a file: symbols, attributes, texts of errors, granularities."""
    path = os.path.join(ctx.scratch, "driver.json")
    values = take_step(ctx, ctx.probe("--record", path, "record")[-1])
    with open(path, encoding="utf-8") as f:
        ctx.leave("driver.json", f.read())
    return values


def trace(ctx):
    """Workers under the tracer, while a few programs run."""
    folder = os.path.join(ctx.scratch, "traces")
    os.mkdir(folder)
    script = os.path.join(ctx.scratch, "worker")
    with open(script, "w", encoding="utf-8") as f:
        f.write(f'#!/bin/sh\nexec {ctx.path("tests/gpu-trace")} --out {folder}/$$.json -- {ctx.path("bin/pvgpu-worker")} "$@"\n')
    os.chmod(script, 0o755)
    failed = []
    # A worker may have no process beside it in its cgroup.
    with ctx.pvgpu(worker=script, settings={"spare_workers": 0, "cgroup": "off"}) as env:
        for name in TRACED[:1] if ctx.quick else TRACED:
            done = env.run([ctx.path(f"programs/{name}")], timeout=max(1.0, ctx.remaining() - 5))
            if done.returncode:
                failed.append(name)
    traces = []
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), encoding="utf-8") as f:
            traces.append(json.load(f))
    ctx.keep(traces=traces)
    if failed:
        raise Failed(f"programs fail under the tracer: {' '.join(failed)}")
    if not traces:
        raise Failed("gpu-trace left nothing")
