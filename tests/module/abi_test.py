#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Does linux-pvgpu-front/abi/pvgpu describe all that pvgpu.ko shows in sysfs, and nothing else?"""
import pathlib
import re
import sys

FRONT = pathlib.Path(__file__).resolve().parent.parent.parent / "linux-pvgpu-front"
VGPU = "/sys/bus/xen/devices/pvgpu-ID/"
PARAMETERS = "/sys/module/pvgpu/parameters/"


def shown():
    """The paths that the sources make."""
    sysfs, main, trace = ((FRONT / name).read_text() for name in ("sysfs.c", "main.c", "pvgpu_trace.h"))
    found = {VGPU + name for name in re.findall(r"^static DEVICE_ATTR_R[OW]\((\w+)\)", sysfs, re.M)}
    found |= {f"{VGPU}statistics/{name}" for name in re.findall(r"^STATISTIC\((\w+)\)", sysfs, re.M)}
    found |= {PARAMETERS + name for name in re.findall(r"^module_param\w*\((\w+)", main, re.M)}
    events = re.findall(r"^(?:TRACE_EVENT\(|DEFINE_EVENT\(\w+, )(\w+)", trace, re.M)
    return found, set(events)


def main():
    text = (FRONT / "abi/pvgpu").read_text()
    paths, events = shown()
    described = set(re.findall(r"^What:\t+(/sys/(?:bus|module)\S+)", text, re.M))
    wrong = [f"{p} is not described" for p in sorted(paths - described)]
    wrong += [f"{p} is described and does not exist" for p in sorted(described - paths)]
    wrong += [f"the tracepoint {e} is not described" for e in sorted(events) if not re.search(rf"\b{e}\b", text)]
    if not paths or not events:
        wrong.append("the sources show nothing: this test does not find it any more")
    print("".join(f"linux-pvgpu-front/abi/pvgpu: {w}\n" for w in wrong) + f"{len(paths) + len(events)} names, {len(wrong)} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
