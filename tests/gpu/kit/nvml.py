# SPDX-License-Identifier: MIT
"""What NVML says of the GPU and of who is on it, through ctypes: names, numbers and layouts are its ABI's since 510."""
import ctypes
import os

NOT_FOUND, INSUFFICIENT_SIZE = 6, 7
UNKNOWN = (1 << 64) - 1


class NvmlError(Exception):
    """`code` is NVML's, -1 where the library lacks the call."""

    def __init__(self, call, code):
        super().__init__(f"{call}: NVML error {code}" if code >= 0 else f"{call} is not in this library")
        self.call, self.code = call, code


class Process(ctypes.Structure):
    _fields_ = [("pid", ctypes.c_uint), ("memory", ctypes.c_ulonglong), ("gi", ctypes.c_uint), ("ci", ctypes.c_uint)]


class Sample(ctypes.Structure):
    _fields_ = [("pid", ctypes.c_uint), ("at_us", ctypes.c_ulonglong), ("sm", ctypes.c_uint), ("memory", ctypes.c_uint),
                ("encoder", ctypes.c_uint), ("decoder", ctypes.c_uint)]


class Memory(ctypes.Structure):
    _fields_ = [("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong)]


class Nvml:
    """Device 0, which is the one that the kit uses: it has the host to itself."""

    def __init__(self, library, env=None):
        """env: settings of the simulated GPU, which its library looks for in the environment."""
        os.environ.update({k: v for k, v in (env or {}).items() if k.startswith("SIMCUDA_")})
        self.so = ctypes.CDLL(library)
        self.call("nvmlInit_v2")
        self.device = ctypes.c_void_p()
        self.call("nvmlDeviceGetHandleByIndex_v2", ctypes.c_uint(0), ctypes.byref(self.device))

    def call(self, name, *args, allow=()):
        try:
            function = getattr(self.so, name)
        except AttributeError:
            raise NvmlError(name, -1) from None
        code = function(*args)
        if code != 0 and code not in allow:
            raise NvmlError(name, code)
        return code

    def listed(self, name, kind, *behind):
        """What a call lists that wants the count first; more may have come in between."""
        count = ctypes.c_uint(64)
        while True:
            rows = (kind * max(1, count.value))()
            args = (rows, ctypes.byref(count)) if kind is Sample else (ctypes.byref(count), rows)
            if self.call(name, self.device, *args, *behind, allow=(INSUFFICIENT_SIZE,)) == 0:
                return list(rows[:count.value])
            if count.value <= len(rows):
                count.value = 2 * len(rows)

    def memory(self):
        """Bytes: total, free, used."""
        m = Memory()
        self.call("nvmlDeviceGetMemoryInfo", self.device, ctypes.byref(m))
        return {"total": m.total, "free": m.free, "used": m.used}

    def processes(self):
        """pid -> bytes, None where it does not know how many."""
        rows = self.listed("nvmlDeviceGetComputeRunningProcesses_v3", Process)
        return {r.pid: None if r.memory == UNKNOWN else r.memory for r in rows}

    def samples(self, since_us=0):
        """Use by process in sampling periods that ended later: (pid, microseconds of the real clock, percent of the SMs'
        time)."""
        try:
            rows = self.listed("nvmlDeviceGetProcessUtilization", Sample, ctypes.c_ulonglong(since_us))
        except NvmlError as e:
            if e.code == NOT_FOUND:  # no process used it
                return []
            raise
        return [(r.pid, r.at_us, r.sm) for r in rows]

    def close(self):
        self.call("nvmlShutdown")
