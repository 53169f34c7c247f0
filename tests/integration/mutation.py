#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Do the test programs detect errors of the GPU? One fault at a time is switched on in simcuda.

Every fault must make at least one program fail, and every program must fail under at least one fault;
a program that only prints another output has not detected it. The usual run tries the pairs listed here,
--full tries every program under every fault and prints the whole matrix."""
import argparse
import concurrent.futures
import os
import pathlib
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import programs  # noqa: E402

# Fault -> programs that must notice it.
FAULTS = {
    "mutate:add": ["vecadd", "scan", "nbody", "math"],
    "mutate:sub": ["nbody", "math"],
    "mutate:mul": ["matmul", "globals", "link"],
    "mutate:fma": ["math", "decoder"],
    "mutate:store": ["vecadd", "perthread", "hang", "occupy", "clusters"],
    "mutate:shared": ["matmul", "launch"],
    "fail:cuTensorMapEncodeTiled:2:1": ["tensors"],
    "fail:cuStreamBatchMemOp_v2:1:1": ["memops"],
    "fail:cuGraphAddBatchMemOpNode:1:1": ["graphmemops"],
    "fail:cuCoredumpSetAttributeGlobal:1:1": ["answers"],
    "mutate:bar": ["matmul", "scan", "histogram"],
    "mutate:atom": ["histogram", "streams"],
    "mutate:shfl": ["reduce"],
    "mutate:cmp": ["reduce", "vecadd", "printf"],
    "mutate:copy-tail": ["copies", "pending", "pinned", "params", "fatbin", "fork", "threads", "contexts", "library",
                         "churn", "crowd", "pinned_many", "cublas", "cublaslt", "trainstep", "arrays", "batches", "pools", "vmm", "sharing", "oldlaunch",
                         "graphmem", "forms", "present", "managed", "captures", "graphany", "graphevents", "graphcalls", "graphattrs",
                         "graphpages"],
    "mutate:filter": ["textures"],
    "mutate:surface-row": ["textures"],
    "mutate:levels": ["mipmaps"],
    "mutate:memset": ["memsets", "meminfo", "meanwhile", "release", "graphs", "graphattrs"],
    "mutate:event-zero": ["streams"],
    "mutate:event-negative": ["streams"],
    "mutate:wait-event": ["streams", "graphs", "green"],
    "mutate:callback": ["callbacks", "plenty", "graphs", "graphcalls", "hostnodes", "userobjects"],
    "mutate:printf": ["printf"],
    "mutate:global-init": ["globals", "variables"],
    "hang-copy:1": ["copies"],
    "ecc:1": ["vecadd", "assert"],
    "lost:1": ["vecadd"],
    "fail:cuDeviceGetAttribute:3:1": ["device"],
    "fail:cuDeviceGetUuid:1:1": ["procaddr"],
    "fail:cuLinkAddFile_v2:1:1": ["settings"],
    "fail:cuMemcpyDtoH_v2:1:1": ["errors", "conform"],
    "fail:cuMemAlloc_v2:1:2": ["meminfo", "refusals", "names"],
    "fail:cuMemFreeHost:3:201": ["release"],
    "fail:cuMemFreeAsync:3:1": ["pools"],
    "fail:cuGraphLaunch:2:1": ["graphs"],
    "fail:cuStreamEndCapture:1:1": ["graphs"],
    "fail:cuGraphKernelNodeSetAttribute:1:1": ["graphattrs"],
    "fail:cuGraphNodeSetEnabled:1:2": ["graphattrs"],
    "fail:cuGraphChildGraphNodeGetGraph:1:1": ["graphattrs"],
    "fail:cuGraphConditionalHandleCreate:1:1": ["conditions"],
    "fail:cuEventQuery:1:1": ["calls"],
    "fail:cuEventElapsedTime_v2:2:1": ["streams"],
    "fail:cuMemcpyHtoDAsync_v2:1:1": ["beside"],
}
LIMIT = 20  # seconds; a program that hangs counts as failed


def run_pair(build, fault, name):
    with tempfile.TemporaryDirectory(prefix="pvgpu-mutation-") as folder:
        env = programs.direct_env(build / "simcuda", {"SIMCUDA_GPU": f"{folder}/gpu", "SIMCUDA_FAULT": fault or ""})
        return programs.run([build / "programs" / name], env, LIMIT)


def describe(result):
    if result.status is None:
        return "hangs"
    if result.status == 0:
        return "-"
    return f"exit {result.status}" if result.status > 0 else f"signal {-result.status}"


def print_matrix(table, faults, names):
    width = max(len(f) for f in faults)
    print("\n" + " " * width + "  " + " ".join(f"{n[:8]:>8}" for n in names))
    for fault in faults:
        cells = [f"{table.get((fault, n), ''):>8}" for n in names]
        print(f"{fault:<{width}}  " + " ".join(cells))


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    args.add_argument("--build", default="build", type=pathlib.Path)
    args.add_argument("--full", action="store_true", help="every program under every fault")
    args.add_argument("--jobs", type=int, default=min(4, os.cpu_count() or 1))
    args = args.parse_args()
    build = args.build.resolve()
    names = programs.names(build)
    if not names:
        print(f"no programs in {build}/programs", file=sys.stderr)
        return 1
    pairs = [(f, n) for f, wanted in FAULTS.items() for n in (names if args.full else wanted)]
    pairs = [(None, n) for n in names] + pairs
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        results = dict(zip(pairs, pool.map(lambda p: run_pair(build, *p), pairs)))
    table = {pair: describe(result) for pair, result in results.items()}
    bad = [f"{n} fails without any fault: {table[None, n]}" for n in names if table[None, n] != "-"]
    for fault, wanted in FAULTS.items():
        missed = [n for n in wanted if table[fault, n] == "-"]
        noticed = [n for n in names if table.get((fault, n), "-") != "-"]
        if missed:
            bad.append(f"{fault} is not noticed by {' '.join(missed)}")
        print(f"{'ok  ' if noticed and not missed else 'FAIL'} {fault}: noticed by {' '.join(noticed) or 'no program'}")
    blind = [n for n in names if all(table.get((f, n), "-") == "-" for f in FAULTS)]
    bad += [f"{n} notices no fault" for n in blind]
    print_matrix(table, list(FAULTS), names)
    print("\n" + "".join(f"FAIL {line}\n" for line in bad)
          + f"{len(FAULTS)} faults, {len(names)} programs, {len(pairs)} runs: "
          + ("every fault is noticed, every program notices one" if not bad else f"{len(bad)} problems"))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
