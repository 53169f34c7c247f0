# SPDX-License-Identifier: MIT
"""What xenopsd does with the program `vgpu` for a domain: starts it, waits for what it says in xenstore, and ends it.

Rules from ocaml/xenopsd of xen-api, read at e2ee48d6: xc/service.ml (modules DaemonMgmt and Vgpu), xc/device.ml (Dm.start_vgpu, wait_for_vgpu_state, __start;
PCI.bind), lib/xenops_utils.ml (really_kill), lib/xenopsd.ml (vgpu_ready_timeout). The time-outs are xenopsd's, and shorter where a test says so.
"""
import os
import signal
import subprocess
import time

from xapi import ApiError

TIMEOUTS = {"ready": 30, "initialising": 60, "running": 3600, "kill": 10}
LOOK_S = 0.02


class Machine:
    """Where the program runs; tests/lab has a dom0 of real Xen in its place."""

    def __init__(self, store, env, log):
        """log: xenopsd has what the program says in syslog."""
        self.store, self.env, self.log, self.children = store, env, log, []

    def read(self, path):
        return self.store.get(path)

    def remove(self, path):
        self.store.remove(path)

    def spawn(self, words):
        """Its number. Its environment is xenopsd's."""
        with open(self.log, "a") as log:
            child = subprocess.Popen(words, env={"PATH": "/usr/bin:/bin", **self.env}, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        self.children.append(child)
        return child.pid

    def reap(self):
        self.children = [c for c in self.children if c.poll() is None]

    def command_line(self, pid):
        self.reap()
        try:
            with open("/proc/%d/cmdline" % pid, "rb") as f:
                return f.read().decode(errors="replace").split("\0")
        except OSError:
            return []

    def signal(self, pid, how):
        try:
            os.kill(pid, how)
        except ProcessLookupError:
            pass


class Failed(Exception):
    """Ioemu_failed of the emulator vgpu."""


class VgpuService:
    """program: the configured path of `vgpu` (xenopsd.conf). starts: the words of each start; bound: what PCI.bind has taken from another driver, as
    (address, that driver)."""

    def __init__(self, machine, program, driver_of, timeouts=()):
        self.machine, self.program, self.driver_of = machine, program, driver_of
        self.timeouts = {**TIMEOUTS, **dict(timeouts)}
        self.starts, self.bound, self.found = [], [], []

    # ---- is it there: DaemonMgmt.pid, is_cmdline_valid, is_running

    def pid(self, domid):
        said = self.machine.read("/local/domain/%d/vgpu-pid" % domid)
        if not said or not said.isdigit():
            return None
        line = self.machine.command_line(int(said))
        return int(said) if self.program in line and "--domain=%d" % domid in line else None

    # ---- start_vgpu

    def words(self, domid, vcpus, devices, resume=False):
        """Vgpu.vgpu_args_of_nvidia"""
        return [self.program, "--domain=%d" % domid, "--vcpus=%s" % vcpus, "--suspend=/var/lib/xen/demu-save.%d" % domid] + \
            ["--device=" + text for _, text, _ in devices] + ["--noconsole"] * all(c == "Compute" for _, _, c in devices) + ["--resume"] * resume

    def bind(self, devices):
        """PCI.bind ... Nvidia: a GPU that another driver has, such as pciback for a driver domain, is taken from it."""
        for address, _, _ in devices:
            driver = self.driver_of(address)
            if driver != "nvidia":
                self.bound.append((address, driver))

    def until(self, what, limit):
        """What it returns as soon as that is not None; None after the time."""
        end = time.monotonic() + limit
        while True:
            found = what()
            if found is not None or time.monotonic() >= end:
                return found
            time.sleep(LOOK_S)

    def start(self, domid, vcpus, devices):
        state = "/local/domain/%d/vgpu/state" % domid
        if self.pid(domid) is not None:
            self.found.append(domid)
        else:
            self.bind(devices)
            words = self.words(domid, vcpus, devices)
            self.starts.append(words)
            self.machine.spawn(words)
            if self.until(lambda: self.machine.read(state), self.timeouts["ready"]) is None:
                raise Failed("Device.Dm.start_vgpu: emulator failed to start for domain %d" % domid)
        self.wait_for(domid, ("running", "resuming", "initialising"), self.timeouts["initialising"])

    def wait_for(self, domid, states, limit):
        """wait_for_vgpu_state"""
        base = "/local/domain/%d/vgpu/" % domid

        def look():
            said = self.machine.read(base + "state")
            return said if said in states + ("error",) else None
        found = self.until(look, limit)
        if found == "error":
            code = self.machine.read(base + "error-code")
            if code is None:
                raise ApiError("INTERNAL_ERROR", "xenopsd internal error: Xs_protocol.Enoent(\"read\")")
            raise Failed("Daemon vgpu returned error: " + code)
        if found is None:
            raise ApiError("INTERNAL_ERROR", "xenopsd internal error: Watch.Timeout(%g)" % limit)

    def wait_until_running(self, domid):
        """After QEMU has started."""
        self.wait_for(domid, ("running",), self.timeouts["running"])

    # ---- stop

    def stop(self, domid):
        pid = self.pid(domid)
        if pid is None:
            return
        for how in (signal.SIGTERM, signal.SIGKILL):
            self.machine.signal(pid, how)
            if self.until(lambda: None if self.machine.command_line(pid) else True, self.timeouts["kill"]):
                break
        if self.machine.read("/local/domain/%d/vgpu-pid" % domid) is not None:
            self.machine.remove("/local/domain/%d/vgpu-pid" % domid)
