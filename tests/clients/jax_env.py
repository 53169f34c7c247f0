# SPDX-License-Identifier: MIT
"""JAX's wheels with what they need to run on the simulated GPU, and what jax_run.py says there."""
import dataclasses
import os
import pathlib
import re
import unittest

import libdevice
import wheels

VERSION = "0.10.2"
WHEELS = f"jax=={VERSION}", f"jax-cuda13-plugin=={VERSION}", f"jax-cuda13-pjrt=={VERSION}", "nvidia-cuda-runtime==13.0.96", "nvidia-cuda-cupti==13.0.85", "nvidia-cufft==12.0.0.61", "nvidia-cusparse==12.6.3.3"
LIBCLC = "/usr/lib/clc/nvptx64--.bc"
FLAGS = "--xla_gpu_autotune_level=0 --xla_gpu_enable_triton_gemm=false --xla_gpu_enable_libnvptxcompiler=false --xla_gpu_enable_libnvjitlink=false"

FORWARDED = {"libcuda.so.1", "libcudart.so.13", "libcupti.so.13", "libcudnn.so.9", "libcublasLt.so.13"}   # that XLA loads
AWAITED = 4    # calls of a step in steady state


def make(folder):
    """The folder's venv with the wheels, and what XLA takes from a CUDA toolkit; returns its Python. A test is skipped where that cannot be had."""
    if not os.path.exists(LIBCLC):
        raise unittest.SkipTest(f"needs {LIBCLC} (Debian: libclc-14, libclc-19)")
    python = wheels.pip(folder, "install", *WHEELS)
    libdevice.make(LIBCLC, pathlib.Path(folder) / "cuda")
    return python


def on_gpu(folder):
    """The environment of a program that has JAX run on the simulated GPU."""
    return {"JAX_PLATFORMS": "cuda", "XLA_PYTHON_CLIENT_PREALLOCATE": "false", "XLA_FLAGS": FLAGS, "CUDA_ROOT": f"{folder}/cuda"}


@dataclasses.dataclass
class Said:
    losses: list       # one for each step
    awaited: float     # calls of a step that waited for an answer; None without pvgpu
    control: float     # what loops and branches have made
    libraries: list    # paths of the CUDA libraries that were loaded


def said(output):
    """What jax_run.py has printed."""
    awaited = re.search(r"^awaited (.*)$", output, re.M)
    lines = re.sub(r"^(?:awaited|control) .*\n", "", output, flags=re.M).split()
    return Said(losses=[float(v) for v in lines if not v.startswith("/")], awaited=awaited and float(awaited[1]),
                control=float(re.search(r"^control (.*)$", output, re.M)[1]), libraries=[v for v in lines if v.startswith("/")])


def wrong(got, cpu, lib, place=None):
    """What is wrong with a run by pvgpu; "" if nothing is. cpu: what the CPU has said; lib: the folder of pvgpu's libraries; place: where the run had it."""
    if len(got.losses) != len(cpu.losses) or not all(abs(a - b) < 0.01 * abs(b) for a, b in zip(got.losses, cpu.losses)):
        return f"the losses are {got.losses}, on the CPU {cpu.losses}"
    if not got.losses[-1] < got.losses[0] / 2:
        return f"the losses do not fall: {got.losses}"
    if not abs(got.control - cpu.control) <= 0.001 * abs(cpu.control):
        return f"loops and branches have made {got.control}, on the CPU {cpu.control}"
    if missing := FORWARDED - {pathlib.Path(p).name for p in got.libraries}:
        return f"not loaded: {', '.join(sorted(missing))}"
    ours = {p.name for p in lib.iterdir()}
    if foreign := [p for p in got.libraries if pathlib.Path(p).name in ours and not p.startswith(f"{place or lib}/")]:
        return f"not pvgpu's: {', '.join(foreign)}"
    return "" if got.awaited is not None and got.awaited <= AWAITED else f"{got.awaited} awaited calls a step, {AWAITED} are allowed"
