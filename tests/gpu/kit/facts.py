# SPDX-License-Identifier: MIT
"""What is here: driver, machine, NVML, clients of CUDA; and what of pvgpu must be set otherwise because of it."""
import ctypes
import glob
import os
import re

import host
from nvml import Nvml, NvmlError
from stage import Absent, Failed, Item, Stage

STAGE = Stage("facts", "driver, sandbox, limits, NVML, HMM, clients of CUDA; what pvgpu needs set otherwise here", limit_s=50)

PACKAGES = ["torch", "triton", "numba", "numba-cuda", "jax", "jaxlib", "jax-cuda12-plugin", "jax-cuda13-plugin", "cupy",
            "cupy-cuda12x", "cupy-cuda13x", "cuda-python", "cuda-bindings", "nvidia-ml-py", "pynvml", "numpy",
            "nvidia-cuda-nvrtc", "nvidia-cuda-nvrtc-cu12", "nvidia-cuda-runtime", "nvidia-cuda-runtime-cu12",
            "nvidia-nvjitlink", "nvidia-nvjitlink-cu12", "nvidia-cublas", "nvidia-cublas-cu12"]
COMPUTE_MODES = ["default", "exclusive thread", "prohibited", "exclusive process"]
PAGEABLE_MEMORY_ACCESS = 88
ECC_ENABLED = 32
PIDFD_SEND_SIGNAL, PIDFD_OPEN = 424, 434
COMPAT = "tests/gpu-compat.so"


def items(_):
    for function, limit in ((driver, 10), (overrides, 20), (gpu, 15), (clients, 10), (machine, 30)):
        yield Item(function.__name__, function, limit)


def driver(ctx):
    """Files of the driver, its kernel module, and how it is set."""
    files = {}
    for pattern in ("libcuda.so.*", "libnvidia-*.so.*", "libcudadebugger.so.*"):
        for path in sorted(glob.glob(os.path.join(ctx.driver, pattern))):
            if not os.path.islink(path):
                files[os.path.basename(path)] = os.path.getsize(path)
    version = host.text_of("/proc/driver/nvidia/version") or ""
    module = re.search(r"NVRM version: (.*)", version)
    values = {"folder": ctx.driver, "version": host.driver_version(ctx.driver), "files": files,
              "kernel_module": module[1] if module else "not told",
              "kernel_module_open": "Open Kernel Module" in version if module else "not told"}
    for name in ("uvm_disable_hmm", "uvm_ats_mode"):
        values[name] = host.text_of(f"/sys/module/nvidia_uvm/parameters/{name}") or "not told"
    params = host.text_of("/proc/driver/nvidia/params")
    if params:
        values["params"] = dict(line.split(": ", 1) for line in params.splitlines() if ": " in line)
    values["devices"] = {os.path.relpath(p, "/dev"): oct(os.stat(p).st_mode & 0o777)
                         for p in sorted(glob.glob("/dev/nvidia*") + glob.glob("/dev/nvidia-caps/*")) if not os.path.isdir(p)}
    return values


def gpu(ctx):
    """How the GPU is set and how it does, as NVML says."""
    if not ctx.nvml:
        raise Absent("there is no libnvidia-ml.so.1 beside libcuda")
    seen = Nvml(ctx.nvml)

    def numbers(name, *before, n=1):
        out = [ctypes.c_uint() for _ in range(n)]
        try:
            seen.call(name, seen.device, *before, *map(ctypes.byref, out))
        except NvmlError:
            return None
        return out[0].value if n == 1 else [o.value for o in out]
    mode = numbers("nvmlDeviceGetComputeMode")
    values = {}
    try:
        values.update({f"memory_{k}_bytes": v for k, v in seen.memory().items()})
    except NvmlError as e:
        values["memory_why"] = str(e)
    values.update(compute_mode=COMPUTE_MODES[mode] if mode is not None and mode < len(COMPUTE_MODES) else mode,
                  persistence_mode=numbers("nvmlDeviceGetPersistenceMode"), mig_current_pending=numbers("nvmlDeviceGetMigMode", n=2),
                  ecc_current_pending=numbers("nvmlDeviceGetEccMode", n=2), power_mw=numbers("nvmlDeviceGetPowerUsage"),
                  temperature_c=numbers("nvmlDeviceGetTemperature", ctypes.c_uint(0)),
                  sm_clock_mhz=numbers("nvmlDeviceGetClockInfo", ctypes.c_uint(1)),
                  memory_clock_mhz=numbers("nvmlDeviceGetClockInfo", ctypes.c_uint(2)),
                  pcie_generation=numbers("nvmlDeviceGetCurrPcieLinkGeneration"), pcie_width=numbers("nvmlDeviceGetCurrPcieLinkWidth"))
    return {k: v for k, v in values.items() if v is not None}


def clients(_):
    """Which users of CUDA are installed; nothing of them is imported."""
    from importlib import metadata
    values = {}
    for name in PACKAGES:
        try:
            values[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            pass
    libraries = []
    for pattern in ("/usr/local/cuda*/lib64/lib*.so.1[0-9]", "/usr/lib/x86_64-linux-gnu/libcud*.so.1[0-9]",
                    "/usr/lib/x86_64-linux-gnu/libnvrtc.so.1[0-9]"):
        libraries += [os.path.basename(p) for p in glob.glob(pattern)]
    values["toolkit_libraries"] = sorted(set(libraries))
    if len(values) == 1 and not libraries:
        raise Absent("no client of CUDA is installed for this Python")
    return values


def machine(ctx):
    """The probe's first step."""
    return take_step(ctx, ctx.probe("machine")[-1])


def take_step(ctx, line):
    """What a line of gpu-probe says: values are returned, verdicts said; an exception where the step did not end well."""
    values = dict(line.get("values") or {})
    if line.get("failed_calls"):
        values["failed_calls"] = line["failed_calls"]
    for name, seen in (line.get("assumptions") or {}).items():
        ctx.verdict(name, seen["verdict"], seen.get("detail", ""))
    ctx.keep(**values)
    status = line["status"]
    if status != "ok":
        how = [f"signal {line['signal']}" if line.get("signal") else "", f"exit status {line['exit']}" if line.get("exit") else "",
               f"in {line['last_call']}" if line.get("last_call") else "", line.get("why", "")]
        raise Failed(f"gpu-probe {line['step']}: {', '.join([status, *filter(None, how)])}",
                     status if status in ("crashed", "timeout") else "failed")
    return values


def overrides(ctx):
    """What NVML and libcuda say of a context of this process, asked directly; and what pvgpu cannot do here as a user has it.
    What is known is kept at once: whatever becomes of the next question, the stages behind this one need the answer."""
    preload, settings = "", {"test_judge_observes": "1"}
    why = {"test_judge_observes": "what NVML says of processes could not be found out; what workers use is logged, never judged"}
    if not pidfds():
        preload = COMPAT
        why["LD_PRELOAD"] = f"this kernel has no pidfds, which pvgpud cannot be without: it runs with {COMPAT}"
    ctx.keep(settings=settings, daemon_preload=preload, why=why)
    lib, device = ctypes.CDLL(ctx.libcuda), ctypes.c_int()
    hmm = attribute(lib, device, PAGEABLE_MEMORY_ACCESS)
    if hmm:
        settings["test_allow_hmm"] = "1"
        why["test_allow_hmm"] = f"device attribute 88 is {hmm}: kernels reach all memory of their process (HMM); " \
            "pvgpu would not serve here: workers are started all the same"
    ecc = attribute(lib, device, ECC_ENABLED)
    if not ecc:
        settings["allow_no_ecc"] = "1"
        why["allow_no_ecc"] = "device attribute 32 is 0: the memory has no error correction; pvgpu would not serve here as it is"
    ctx.keep(settings=settings, why=why, pageable_memory_access=hmm, ecc=ecc)
    context = ctypes.c_void_p()
    code = lib.cuDevicePrimaryCtxRetain(ctypes.byref(context), device)
    if code:
        raise Failed(f"cuDevicePrimaryCtxRetain gives {code}")
    named = nvml_names_this(ctx)
    lib.cuDevicePrimaryCtxRelease_v2(device)
    if named:
        del settings["test_judge_observes"], why["test_judge_observes"]
    elif named is False:
        why["test_judge_observes"] = "NVML does not name this process by its process id: ids here are a sandbox's own; " \
            "what workers use is logged, never judged"
    return {"nvml_sees_process_ids": bool(named), "settings": settings, "why": why}


def attribute(lib, device, which):
    value = ctypes.c_int()
    for name, code in (("cuInit", lib.cuInit(0)), ("cuDeviceGet", lib.cuDeviceGet(ctypes.byref(device), 0)),
                       ("cuDeviceGetAttribute", lib.cuDeviceGetAttribute(ctypes.byref(value), which, device))):
        if code:
            raise Failed(f"{name} gives {code}")
    return value.value


def nvml_names_this(ctx):
    """Whether NVML knows this process, which has a context, by its process id; None where it says nothing."""
    if not ctx.nvml:
        return None
    try:
        processes = Nvml(ctx.nvml).processes()
    except (NvmlError, OSError) as e:
        ctx.keep(nvml_why=str(e))
        return None
    ctx.keep(nvml_processes=len(processes))
    return os.getpid() in processes


def pidfds():
    """Whether the kernel has what pvgpud knows processes by: tried with this one."""
    libc = ctypes.CDLL(None, use_errno=True)
    fd = libc.syscall(ctypes.c_long(PIDFD_OPEN), ctypes.c_long(os.getpid()), ctypes.c_long(0))
    if fd < 0:
        return False
    works = libc.syscall(ctypes.c_long(PIDFD_SEND_SIGNAL), ctypes.c_long(fd), ctypes.c_long(0), ctypes.c_long(0), ctypes.c_long(0)) == 0
    os.close(fd)
    return works
