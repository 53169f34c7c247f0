#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Check who includes what: the table "Who may include what" of docs/developing.md.

Each rule is (folders, patterns of what may be included, why). System headers are free except Xen's and CUDA's.
"""
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]', re.M)
XEN = re.compile(r"^(xen[a-z]*\.h|xen/|xenstore(?!-schema/))")
CUDA = re.compile(r"^(.*/)?(cuda\w*|pvgpu_cuda\w*)\.h$")

XEN_OK = ("libpvgpu/link/xen", "xen-pvgpu-back/link/", "xen-pvgpu-back/worker/link_xen", "xen-pvgpu-back/daemon/xenbus", "xen-pvgpu-back/ctl/",
          "linux-pvgpu-front/", "tests/lab/", "tests/unit/fake_xenstore", "tests/unit/xenbus_", "tests/unit/admission_")
CUDA_OK = ("libpvgpu/cuda/", "libpvgpu/cudart/", "libpvgpu/nvml/", "xen-pvgpu-back/worker/", "tests/")
# Parts that may include only files below these prefixes (relative to the root or to the file).
CLOSED = {
    "libpvgpu/ring/": ("libpvgpu/ring/",),
    "libpvgpu/image/": ("libpvgpu/image/",),
    "xen-pvgpu-back/sched/": ("xen-pvgpu-back/sched/",),
    "xenstore-schema/": ("xenstore-schema/",),
    "tests/simcuda/ptx/": ("tests/simcuda/ptx/",),
}
# Parts that must not include anything below these.
FORBIDDEN = {
    "libpvgpu/": ("xen-pvgpu-back/", "tests/"),
    "xen-pvgpu-back/daemon/": ("xen-pvgpu-back/worker/", "libpvgpu/cuda/", "tests/"),
    "xen-pvgpu-back/worker/": ("libpvgpu/cuda/internal", "tests/"),
    "xen-pvgpu-back/ctl/": ("xen-pvgpu-back/worker/", "tests/"),
    "xen-pvgpu-back/health/": ("xen-pvgpu-back/worker/", "libpvgpu/cuda/", "tests/"),
    "tests/simcuda/": ("xen-pvgpu-back/", "libpvgpu/link/"),
}


def sources():
    for top in ("libpvgpu", "xen-pvgpu-back", "linux-pvgpu-front", "xenstore-schema", "tests"):
        for base, _, files in os.walk(os.path.join(ROOT, top)):
            for f in files:
                if f.endswith((".c", ".h")):
                    yield os.path.relpath(os.path.join(base, f), ROOT)


def resolve(path, name):
    """Where an include points, relative to the root; None for system and generated headers."""
    for base in (os.path.dirname(path), "", "libpvgpu", "libpvgpu/cuda/include"):
        p = os.path.normpath(os.path.join(base, name))
        if os.path.exists(os.path.join(ROOT, p)):
            return p
    return None


def faults(path):
    with open(os.path.join(ROOT, path), encoding="utf-8", errors="replace") as f:
        text = f.read()
    for m in INCLUDE.finditer(text):
        name, line = m[2], text.count("\n", 0, m.start()) + 1
        target = resolve(path, name)
        where = f"{path}:{line}: includes {name}"
        if XEN.match(name) and not path.startswith(XEN_OK):
            yield f"{where}: Xen headers belong to the xen link and pvgpud's xenbus part"
        if CUDA.match(name) and not path.startswith(CUDA_OK):
            yield f"{where}: CUDA headers belong to the guest's libraries and the worker"
        if target is None:
            continue
        for part, allowed in CLOSED.items():
            if path.startswith(part) and not target.startswith(allowed):
                yield f"{where}: {part} may include only itself"
        for part, banned in FORBIDDEN.items():
            if path.startswith(part) and target.startswith(banned):
                yield f"{where}: {part} must not know {target}"


def main():
    found = [f for p in sources() for f in faults(p)]
    for f in found:
        print(f)
    print(f"{0 if found else 1} passed, {1 if found else 0} failed")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
