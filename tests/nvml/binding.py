# SPDX-License-Identifier: MIT
"""The calls of a libnvidia-ml.so.1 for tests, by ctypes; and as a program: what the vGPU's answers are, in JSON.

Usage: binding.py LIBRARY [--rates]; the rates take a second."""
import ctypes
import json
import sys

NOT_SUPPORTED = 3
NOT_AVAILABLE = 2 ** 64 - 1
u32, u64, text = ctypes.c_uint, ctypes.c_ulonglong, ctypes.c_char


class Process(ctypes.Structure):
    _fields_ = [("pid", u32), ("memory", u64), ("gi", u32), ("ci", u32)]


class Memory(ctypes.Structure):
    _fields_ = [("total", u64), ("free", u64), ("used", u64)]


class Memory2(ctypes.Structure):
    _fields_ = [("version", u32), ("total", u64), ("reserved", u64), ("free", u64), ("used", u64)]


class Pci(ctypes.Structure):
    _fields_ = [("legacy", text * 16), ("domain", u32), ("bus", u32), ("device", u32), ("chip", u32), ("board", u32), ("id", text * 32)]


class Rates(ctypes.Structure):
    _fields_ = [("gpu", u32), ("memory", u32)]


class Error(Exception):
    def __init__(self, name, result):
        super().__init__(f"{name}: {result}")
        self.result = result


class Library:
    def __init__(self, path):
        self.lib = ctypes.CDLL(path)
        self.device = ctypes.c_void_p()

    def call(self, name, *words):
        result = getattr(self.lib, name)(*words)
        if result:
            raise Error(name, result)

    def open(self):
        self.call("nvmlInit_v2")
        self.call("nvmlDeviceGetHandleByIndex_v2", 0, ctypes.byref(self.device))
        return self

    def ask(self, name, out):
        self.call(name, self.device, ctypes.byref(out))
        return out

    def number(self, name, kind=u32):
        return self.ask(name, kind()).value

    def string(self, name, size=96):
        room = ctypes.create_string_buffer(size)
        self.call(name, self.device, room, size)
        return room.value.decode()

    def processes(self, name="nvmlDeviceGetComputeRunningProcesses_v3"):
        """pid -> bytes"""
        room, count = (Process * 256)(), u32(256)
        self.call(name, self.device, ctypes.byref(count), room)
        return {p.pid: p.memory for p in room[:count.value]}


def fields(s):
    return {n: getattr(s, n) for n, _ in s._fields_}


def answers(path, rates):
    lib = Library(path).open()
    major, minor, cuda = u32(), u32(), ctypes.c_int()
    lib.call("nvmlDeviceGetCudaComputeCapability", lib.device, ctypes.byref(major), ctypes.byref(minor))
    lib.call("nvmlSystemGetCudaDriverVersion_v2", ctypes.byref(cuda))
    pci = lib.ask("nvmlDeviceGetPciInfo_v3", Pci())
    found = {"name": lib.string("nvmlDeviceGetName"), "uuid": lib.string("nvmlDeviceGetUUID"), "capability": [major.value, minor.value],
             "cuda": cuda.value, "pci": pci.id.decode(), "memory": fields(lib.ask("nvmlDeviceGetMemoryInfo", Memory())),
             "memory2": fields(lib.ask("nvmlDeviceGetMemoryInfo_v2", Memory2(version=0x02000028))),
             "processes": lib.processes()}
    if rates:
        found["rates"] = fields(lib.ask("nvmlDeviceGetUtilizationRates", Rates()))
    lib.call("nvmlShutdown")
    return found


if __name__ == "__main__":
    json.dump(answers(sys.argv[1], "--rates" in sys.argv), sys.stdout)
