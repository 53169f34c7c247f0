# SPDX-License-Identifier: MIT
"""pvgpud as a service of systemd, in a guest that boots it (service=True), or in such a dom0."""
import re

from channel import LabError
import vgpu

PREFIX = "/usr/local"
CONFIG = "/etc/pvgpu/pvgpud.conf"
UNIT = "pvgpud.service"
# systemd's tools take seconds in the emulator, and much longer where it has little of a processor.
SLOW = 300


class Service(vgpu.Pvgpud):
    """pvgpud of the installed unit, with what differs in the lab as its configuration and as a drop-in. A setting that is None
    is left at its default."""

    def __init__(self, lab, place, drop_in="", **settings):
        libraries = f"{PREFIX}/lib/pvgpu/simcuda"
        super().__init__(lab, place, libcuda=f"{libraries}/libcuda.so.1", libnvml=f"{libraries}/libnvidia-ml.so.1",
                         health=f"{PREFIX}/libexec/pvgpu/pvgpu-health", **settings)
        place = self.place
        keys = [f"env = {k}={v}" for k, v in self.env.items()] + [f"{k} = {v}" for k, v in self.settings.items() if v is not None]
        place.run(f"mkdir -p {CONFIG.rpartition('/')[0]} /etc/systemd/system/{UNIT}.d")
        place.put_file(CONFIG, "\n".join(["[daemon]", *keys, ""]).encode())
        place.put_file(f"/etc/systemd/system/{UNIT}.d/lab.conf", drop_in.encode())
        place.run("systemctl daemon-reload", limit=SLOW)

    def systemctl(self, words, limit=SLOW):
        return self.place.run(f"systemctl {words} {UNIT}", limit=limit)

    def show(self, *names):
        """Properties of the unit."""
        out = self.place.run(f"systemctl show -p {','.join(names)} {UNIT}", limit=SLOW, quiet=True).out
        found = dict(line.split("=", 1) for line in out.splitlines())
        return [found[n] for n in names]

    def start(self):
        self.systemctl("start")
        if self not in self.lab.keepers:
            self.lab.keepers.append(self)
        self.lab.wait("pvgpud to be ready", self.ready, SLOW)
        return self

    def ready(self):
        state, pid = self.show("ActiveState", "MainPID")
        if state == "failed":
            raise LabError(f"{UNIT} has failed: {self.log()[-1000:]}")
        self.pid = int(pid)
        return state == "active" and self.pid and self.keys_are_there()

    def next(self, pid, limit=2 * SLOW):
        """Wait for the pvgpud after the one with this pid."""
        self.lab.wait("the next pvgpud", lambda: self.ready() and self.pid != pid, limit)
        return self.pid

    def stop(self):
        self.systemctl("stop")
        self.pid = None

    def restart(self):
        pid = self.pid
        self.systemctl("restart")
        self.next(pid)
        return self

    def kill(self):
        """Kill it, like a crash; systemd starts the next."""
        pid = self.pid
        self.place.run(f"kill -9 {pid}")
        return self.next(pid)

    def log(self):
        return self.place.run(f"journalctl -q --no-pager -o cat -u {UNIT}", limit=SLOW, quiet=True, check=False).out


def failed_units(place):
    out = place.run("systemctl --failed --no-legend --plain", limit=SLOW, quiet=True).out
    return re.findall(r"^(\S+)", out, re.M)
