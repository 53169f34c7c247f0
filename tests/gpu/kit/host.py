# SPDX-License-Identifier: MIT
"""The host as Python alone sees it: where the driver is, what sandbox this is, which GPU. Nothing here starts CUDA."""
import ctypes
import os
import re
import subprocess

PLACES = ["/usr/lib/x86_64-linux-gnu", "/usr/local/nvidia/lib64", "/usr/lib64", "/usr/local/nvidia/lib",
          "/usr/lib/x86_64-linux-gnu/nvidia/current", "/usr/lib/nvidia", "/usr/lib/wsl/lib", "/usr/lib", "/lib64",
          "/opt/nvidia/lib64", "/usr/local/cuda/compat"]
SIMULATED = b"pvgpu simulated GPU"
CACHE = "/etc/ld.so.cache"


def text_of(path, most=1 << 16):
    """A small file's text; None where it cannot be read."""
    try:
        with open(path, "rb") as f:
            return f.read(most).decode(errors="replace").strip()
    except OSError:
        return None


def cached_folders():
    """Folders of libcuda.so.1 that the dynamic linker's cache knows."""
    try:
        with open(CACHE, "rb") as f:
            found = re.findall(rb"(/[\x21-\x7e]+)/libcuda\.so\.1\0", f.read())
    except OSError:
        return []
    return [f.decode() for f in found if b"i386" not in f and b"lib32" not in f]


def driver_folder(kit, asked=None):
    """The folder of NVIDIA's libcuda.so.1, None where there is none; and how it was found."""
    if asked:
        return (os.path.abspath(asked), "--driver") if os.path.exists(os.path.join(asked, "libcuda.so.1")) else (None, "")
    given = [p for p in os.environ.get("LD_LIBRARY_PATH", "").split(":") if p]
    for how, places in (("LD_LIBRARY_PATH", given), (f"the cache {CACHE}", cached_folders()), ("a usual place", PLACES)):
        for place in places:
            path = os.path.join(place, "libcuda.so.1")
            # pvgpu's own one, of this kit or another, is no driver.
            if os.path.exists(path) and not os.path.samefile(path, os.path.join(kit, "lib", "libcuda.so.1")):
                return os.path.abspath(place), how
    return None, ""


def simulated(libcuda):
    with open(libcuda, "rb") as f:
        return SIMULATED in f.read()


def driver_version(folder):
    """By the name of the file that the library is; of the simulated GPU its size, which changes with it."""
    path = os.path.realpath(os.path.join(folder, "libcuda.so.1"))
    named = re.search(r"\.so\.(\d+\.\d[\d.]*)$", path)
    if named:
        return named[1]
    if simulated(path):
        return "simulated"
    module = re.search(r"Kernel Module.*?\s(\d+\.\d[\d.]*)\s", text_of("/proc/driver/nvidia/version") or "")
    return module[1] if module else f"of {os.path.getsize(path)} bytes"


def kernel_log():
    """What syslog(2) gives: gVisor tells there who it is."""
    buffer = ctypes.create_string_buffer(1 << 16)
    n = ctypes.CDLL(None, use_errno=True).klogctl(3, buffer, len(buffer))
    return buffer.raw[:n].decode(errors="replace") if n > 0 else ""


def runtime():
    """("gVisor" or "none", how it was told)"""
    release = os.uname()
    if "gVisor" in kernel_log() or "gvisor" in (text_of("/proc/version") or "").lower():
        return "gVisor", "it says so in its log"
    # It poses as this kernel.
    if release.release.startswith("4.4.0") and release.version.startswith("#1 SMP Sun Jan 10 15:06:54 PST 2016"):
        return "gVisor", f"the kernel's version {release.release} {release.version}"
    return "none", f"Linux {release.release}, and no sign of gVisor in kernel log and version"


def nvml_names(path):
    """(driver version, GPU) as NVML knows them; run where it may hang."""
    lib = ctypes.CDLL(path)
    if lib.nvmlInit_v2():
        return None, None
    texts = []
    handle = ctypes.c_void_p()
    for call in (lambda b: lib.nvmlSystemGetDriverVersion(b, len(b)),
                 lambda b: lib.nvmlDeviceGetHandleByIndex_v2(0, ctypes.byref(handle)) or
                 lib.nvmlDeviceGetName(handle, b, len(b))):
        buffer = ctypes.create_string_buffer(128)
        texts.append(None if call(buffer) else buffer.value.decode(errors="replace"))
    lib.nvmlShutdown()
    return texts[0], texts[1]


def processor():
    found = re.search(r"^model name\s*:\s*(.*)$", text_of("/proc/cpuinfo") or "", re.M)
    return found[1] if found else "unknown"


def memory_gib():
    found = re.search(r"^MemTotal:\s*(\d+) kB", text_of("/proc/meminfo") or "", re.M)
    return round(int(found[1]) / 2**20) if found else 0


def identity(folder, nvml):
    """The machine in words, for results."""
    driver, gpu = driver_version(folder), None
    if nvml:
        told = nvml_names(nvml)
        driver, gpu = (driver if driver == "simulated" else told[0] or driver), told[1]
    name, how = runtime()
    uname = os.uname()
    return {"gpu": gpu or "unknown", "driver": driver, "runtime": name, "runtime_told_by": how, "kernel": uname.release,
            "processor": processor(), "cpus": len(os.sched_getaffinity(0)), "memory_gib": memory_gib(),
            "system": system_name()}


def system_name():
    found = re.search(r'^PRETTY_NAME="?([^"\n]*)', text_of("/etc/os-release") or "", re.M)
    return found[1] if found else "unknown"


def can_run(path):
    """Whether a program of the kit can be started here: why not, or None."""
    try:
        subprocess.run([path, "--help"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                       timeout=20, check=False)
        return None
    except (OSError, subprocess.SubprocessError) as e:
        return str(e)
