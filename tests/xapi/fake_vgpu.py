#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Stands for the program `vgpu` that xenopsd starts: with xenopsd's arguments, it keeps the keys of its domain as FAKE_VGPU says.

run: initialising, then running, until SIGTERM. error: state error, error-code 42. no-code: error alone. silent: says nothing. exit: ends at once. stuck: stays
initialising. deaf: as run, and takes no SIGTERM.
"""
import os
import signal
import socket
import struct
import sys

WRITE, RM = 11, 13
HEADER = struct.Struct("=IIII")


class Store:
    def __init__(self):
        self.link = socket.socket(socket.AF_UNIX)
        self.link.connect(os.environ["XENSTORED_PATH"])

    def ask(self, kind, body):
        self.link.sendall(HEADER.pack(kind, 1, 0, len(body)) + body)
        left = HEADER.unpack(self.link.recv(HEADER.size, socket.MSG_WAITALL))[3]
        self.link.recv(left, socket.MSG_WAITALL)

    def write(self, path, value):
        self.ask(WRITE, path.encode() + b"\0" + value.encode())


def main():
    mode, store = os.environ.get("FAKE_VGPU", "run"), Store()
    domid = next(w.split("=")[1] for w in sys.argv if w.startswith("--domain="))
    base = "/local/domain/%s/" % domid
    if mode == "exit":
        return 1
    store.write(base + "vgpu-pid", str(os.getpid()))
    if mode == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if mode == "error":
        store.write(base + "vgpu/error-code", "42")
    states = {"run": ("initialising", "running"), "deaf": ("initialising", "running"), "stuck": ("initialising",), "error": ("error",), "no-code": ("error",)}
    for state in states.get(mode, ()):
        store.write(base + "vgpu/state", state)
    while True:
        signal.pause()


if __name__ == "__main__":
    sys.exit(main())
