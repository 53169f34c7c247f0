# SPDX-License-Identifier: MIT
"""A host of XCP-ng for tests: a host of the double of xapi with pvgpu's own programs, as they are built, and what plays the GPU and the guests."""
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import threading

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("PVGPU_BUILD", TOP / "build")).resolve()
PROGRAMS = TOP / "xen-pvgpu-back" / "xapi"
PATIENCE_S = 120
GIB = 1 << 30
PROFILES = "[profile pvgpu-2g]\nmemory = 2G\n[profile pvgpu-4g]\nmemory = 4G\nper-gpu = 1\n[profile far]\nbackend = gpu\nmemory = 1G\n"
KEY = re.compile(r"^/local/domain/(\d+)/(?:backend/pvgpu/(\d+)/(\d+)|device/pvgpu/(\d+))/(?:state|online)$")
INITIALISING, INITWAIT, INITIALISED, CONNECTED, CLOSING, CLOSED = "123456"


class Programs:
    """pvgpu on one host of the double."""

    def __init__(self, host, python=sys.executable):
        self.host, self.python, self.store = host, python, host.xenstore
        self.folder = pathlib.Path(host.folder)
        self.xapi_dir, self.processes, self.busy, self.grace = self.folder / "xapi.d", {}, 0, 0
        (self.folder / "pvgpu").mkdir()
        (self.folder / "pvgpu" / "profiles.conf").write_text(PROFILES)
        ctl = self.folder / "pvgpuctl"
        ctl.write_text('#!/bin/sh\ncase $1 in attach|set|capacity|profiles|tenants) set -- "$@" --site-dir %s/pvgpu;; esac\n'
                       'exec %s/bin/pvgpuctl "$@"\n' % (self.folder, BUILD))
        ctl.chmod(0o755)
        self.env = {"XENSTORED_PATH": self.store.path, "PVGPUCTL": str(ctl), "PVGPU_XAPI_SOCKET": host.socket, "PVGPU_HOOK_ROOM_S": "0",
                    "PVGPU_XAPI_DIR": str(self.xapi_dir), "PVGPU_VGPU_CONFIG": host.whitelist, "PVGPU_PCI_DEVICES": host.pci_devices}
        host.env.update(self.env)
        self.changed = threading.Event()
        self.publish(8 * GIB)
        self.store.listen(self.play)
        for hook in ("vm-pre-start", "vm-pre-migrate"):
            self.install_hook(hook)
        shutil.copy(PROGRAMS / "pvgpu", self.folder / "plugins")

    def install_hook(self, hook):
        """As make install does; for another Python with a program before it that names this one."""
        script = self.folder / "hooks" / hook / "50-pvgpu"
        if self.python == sys.executable:
            script.symlink_to(PROGRAMS / "pvgpu-hook")
            return
        (self.folder / hook).mkdir()
        (self.folder / hook / "hook").symlink_to(PROGRAMS / "pvgpu-hook")
        script.write_text('#!/bin/sh\nexec %s %s/%s/hook "$@"\n' % (self.python, self.folder, hook))
        script.chmod(0o755)

    def publish(self, memory, domid=0):
        """As pvgpud does in that domain."""
        base = "/local/domain/%s/data/pvgpu/" % domid
        self.store.write("/local/domain/0/name", "Domain-0")
        for name, value in (("version", "0.1.0"), ("gpu-memory-free", memory), ("gpu-0/name", "default"), ("gpu-0/model", "pvgpu simulated GPU"),
                            ("gpu-0/room", "memory=%d memory-free=%d" % (memory, memory))):
            self.store.write(base + name, str(value))

    # ---- pvgpud and the guests

    def play(self, path):
        found = KEY.match(path)
        if found:
            first, fe, number, device = found.groups()
            self.step(fe or first, number if device is None else device)
        self.changed.set()

    def step(self, fe, number):
        front = "/local/domain/%s/device/pvgpu/%s/" % (fe, number)
        front, back = front + "state", (self.store.get(front + "backend") or "/none") + "/"
        f, b, online = self.store.get(front), self.store.get(back + "state"), self.store.get(back + "online")
        if f is None or b is None:
            return
        if online == "0" and b not in (CLOSING, CLOSED):
            self.store.write(back + "state", CLOSING)
        elif b == CLOSING and f == CONNECTED:
            self.store.write(front, CLOSED)
        elif b == CLOSING:
            self.store.write(back + "state", CLOSED)
        elif b == INITIALISING:
            self.store.write(back + "state", INITWAIT)
        elif b == INITWAIT and f == INITIALISING:
            self.store.write(front, INITIALISED)
        elif b == INITWAIT and f == INITIALISED:
            if self.busy:
                self.store.write(back + "statistics", "sessions=%d" % self.busy)
            self.store.write(back + "state", CONNECTED)
        elif b == CONNECTED and f == INITIALISED:
            self.store.write(front, CONNECTED)

    # ---- programs

    def start(self, *names):
        for name in names or ("pvgpu-xapi", "pvgpu-attachd"):
            if name == "pvgpu-xapi":
                words = [self.python, str(PROGRAMS / name), "--socket", self.host.socket, "--dir", str(self.xapi_dir),
                         "--grace", str(self.grace), "--config", self.host.whitelist, "--pci-devices", self.host.pci_devices]
            else:
                words = [str(BUILD / "bin" / name), "--config-dir", str(self.folder / "pvgpu" / "vms.d"), "--site-dir", str(self.folder / "pvgpu"),
                         "--xl-dir", str(self.folder / "none"), "--xapi-dir", str(self.xapi_dir)]
                self.xapi_dir.mkdir(exist_ok=True)
            with open(self.folder / (name + ".log"), "a") as log:
                self.processes[name] = subprocess.Popen(words, env={**os.environ, **self.env}, stdin=subprocess.DEVNULL, stderr=log)
        if not names or "pvgpu-xapi" in names:
            self.until(lambda: (self.xapi_dir / "synced").exists(), "pvgpu-xapi has heard of all VMs")

    def end(self, *names, how=signal.SIGTERM):
        for name in names or tuple(self.processes):
            process = self.processes.pop(name)
            process.send_signal(how)
            process.wait(PATIENCE_S)

    def close(self):
        self.end(how=signal.SIGKILL)

    def log(self, name):
        return (self.folder / (name + ".log")).read_text()

    # ---- what a test waits for

    def until(self, condition, what):
        """Woken by each change of xenstore; files are looked at from time to time."""
        for _ in range(PATIENCE_S * 50):
            self.changed.clear()
            if condition():
                return
            self.changed.wait(0.02)
        raise AssertionError("%s: not so:\n%s\n%s" % (what, "\n".join("%s = %s" % (p, self.store.get(p)) for p in self.store.paths("/local/domain")),
                                                      "\n".join(self.log(p.stem) for p in self.folder.glob("*.log"))))

    def vgpus(self, uuid):
        """The connected vGPUs of a VM that runs here: their profiles and uuids, by number."""
        out = {}
        for path in self.store.paths("/local/domain"):
            found = re.match(r"^/local/domain/\d+/backend/pvgpu/(\d+)/(\d+)/state$", path)
            if not found or self.store.get("/local/domain/%s/vm" % found[1]) != "/vm/" + uuid:
                continue
            back = path[:-len("state")]
            if self.store.get(path) == CONNECTED and self.store.get("/local/domain/%s/device/pvgpu/%s/state" % found.groups()) == CONNECTED:
                out[int(found[2])] = (self.store.get(back + "profile"), self.store.get(back + "uuid"))
        return out

    def expect(self, uuid, *profiles):
        self.until(lambda: sorted(p for p, _ in self.vgpus(uuid).values()) == sorted(profiles),
                   "VM %s has vGPUs of %s" % (uuid, ", ".join(profiles) or "none"))
        return [u for _, u in self.vgpus(uuid).values()]

    def expect_nothing(self):
        self.until(lambda: not [p for p in self.store.paths("/local/domain") if "/pvgpu/" in p and "/data/pvgpu" not in p], "no vGPU is left")
