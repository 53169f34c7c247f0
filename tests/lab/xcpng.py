# SPDX-License-Identifier: MIT
"""Hosts of XCP-ng in the lab, each an emulated machine. The double of xapi (tests/xapi/double.py), pvgpu-xapi, the hook and the xe plugin run beside the emulated machine, since
its dom0 has no Python; pvgpuctl, pvgpu-attachd and pvgpud run in dom0, and the VMs are domains of real Xen."""
import json
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading

import vgpu
from channel import LabError
from forward import Forward

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path += [str(TOP / "tests/xapi"), str(TOP / "tests/cloudstack")]
import double  # noqa: E402
import vgpu_service  # noqa: E402

PROGRAMS = TOP / "xen-pvgpu-back/xapi"
SITE, XAPI_DIR = "/etc/pvgpu", "/run/pvgpu-xapi"
LIMIT = 600  # seconds for a call of pvgpuctl in dom0
LOOK_S = 0.1

# The two ends of a migration to another machine; see Boot.link.
PORT = """for p in /sys/class/virtio-ports/*; do [ "$(cat $p/name)" = link ] && exec 3<>/dev/${p##*/}; done"""
SEND = f"#!/bin/sh\n{PORT}\ncat <&3 &\ncat >&3\nkill $!\n"
# The xl that stays to watch the domain must not keep the port.
RECEIVE = f"{PORT}; exec xl migrate-receive <&3 >&3 3<&-"


VGPU = "/usr/lib64/xen/bin/vgpu"  # where xenopsd looks
VGPU_LOG = "/var/log/vgpu.log"


class Dom0:
    """Where xenopsd's program vgpu runs: vgpu_service.Machine of real Xen."""

    def __init__(self, lab):
        self.lab = lab

    def read(self, path):
        return self.lab.store.read(path)

    def remove(self, path):
        self.lab.dom0.run(f"xenstore-rm {path}")

    def spawn(self, words):
        return int(self.lab.dom0.run(f"{shlex.join(words)} >>{VGPU_LOG} 2>&1 </dev/null & echo $!").out)

    def command_line(self, pid):
        return self.lab.dom0.run(f"tr '\\0' '\\n' </proc/{pid}/cmdline", check=False, quiet=True).out.splitlines()

    def signal(self, pid, how):
        self.lab.dom0.run(f"kill -{int(how)} {pid}", check=False)


class VgpuService(vgpu_service.VgpuService):
    """Its times are the emulated machine's."""

    def until(self, what, limit):
        def look():
            found = what()
            return None if found is None else (found,)
        try:
            return self.machine.lab.wait("the program vgpu", look, limit)[0]
        except LabError:
            return None


class Host(double.Host):
    """VMs are guests of the lab with pvgpu's programs."""
    kind = "pvh"

    def __init__(self, pool, lab, name):
        self.lab, self.guests, self.process = lab, {}, None
        super().__init__(pool, os.path.join(pool.folder, name), name)
        ctl = os.path.join(self.folder, "pvgpuctl")
        self.forward = Forward(ctl, lab.dom0, vgpu.CTL, limit=LIMIT)
        self.said, self.over = pathlib.Path(self.folder) / "xapi.d", threading.Event()
        self.env.update(PVGPUCTL=ctl, PVGPU_XAPI_SOCKET=self.socket, PVGPU_XAPI_DIR=str(self.said), PVGPU_VGPU_CONFIG=self.whitelist,
                        PVGPU_PCI_DEVICES=self.pci_devices, PVGPU_HOOK_FILE_S=str(LIMIT))
        for hook in ("vm-pre-start", "vm-pre-migrate"):
            (pathlib.Path(self.folder) / "hooks" / hook / "50-pvgpu").symlink_to(PROGRAMS / "pvgpu-hook")
        shutil.copy(PROGRAMS / "pvgpu", os.path.join(self.folder, "plugins"))

    def open_xenstore(self):
        return None  # it is Xen's

    def make_service(self):
        return VgpuService(Dom0(self.lab), VGPU, self.driver_of)

    def make_domain(self, vm):
        g = self.lab.create(vm["name_label"], self.kind, payload=True, config=f'uuid = "{vm["uuid"]}"', paused=bool(vm["VGPUs"]))
        self.guests[vm["uuid"]] = g
        return g.domid

    def unpause_domain(self, vm, domid):
        g = self.guests[vm["uuid"]]
        if g.paused:
            g.start_running()

    def end_domain(self, vm, domid):
        self.guests.pop(vm["uuid"]).destroy()

    def move_domain(self, vm, to):
        """To another machine, as xenopsd does: live. Its number there."""
        g, there = self.guests[vm["uuid"]], to.lab
        self.lab.dom0.put_file("/run/send", SEND.encode())
        receive = there.dom0.start(RECEIVE)
        g.disconnect()
        self.lab.dom0.run(f"chmod +x /run/send && xl migrate -s '' {g.name} /run/send && rm /run/send", limit=LIMIT)
        assert receive.wait(LIMIT).status == 0, bytes(receive.err)
        to.guests[vm["uuid"]] = self.guests.pop(vm["uuid"])
        there.guests[g.name] = self.lab.guests.pop(g.name)
        g.machine, g.channel.clock = there, there.clock
        g.moved(None)
        return g.domid

    # ---- what follows xapi

    def follow(self, profiles):
        """pvgpu-xapi here, pvgpu-attachd in dom0."""
        dom0 = self.lab.dom0
        dom0.run(f"mkdir -p {SITE}/vms.d {XAPI_DIR}")
        dom0.put_file(f"{SITE}/profiles.conf", profiles)
        self.process = subprocess.Popen([sys.executable, PROGRAMS / "pvgpu-xapi", "--socket", self.socket, "--dir", self.said,
                                         "--config", self.whitelist, "--pci-devices", self.pci_devices],
                                        env={**os.environ, **self.env}, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.mirror = threading.Thread(target=self.copy_files, daemon=True)
        self.mirror.start()
        self.lab.wait("pvgpu-xapi to hear of all VMs", lambda: dom0.run(f"test -e {XAPI_DIR}/synced", check=False, quiet=True).status == 0)
        self.attachd = dom0.start(f"echo pid $$; exec {vgpu.TOP}/bin/pvgpu-attachd --config-dir {SITE}/vms.d --site-dir {SITE} "
                                  f"--xl-dir {SITE} --xapi-dir {XAPI_DIR}")
        self.attachd_pid = self.attachd.wait_output(r"^pid (\d+)$")[1]

    def copy_files(self):
        """What pvgpu-xapi keeps, to dom0: each file is replaced as a whole."""
        there = {}
        while not self.over.wait(LOOK_S):
            here = {p.name: p.read_bytes() for p in self.said.glob("[!.]*") if p.is_file()} if self.said.is_dir() else {}
            for name in here.keys() - there.keys() | {n for n in here.keys() & there.keys() if here[n] != there[n]}:
                self.lab.dom0.put_file("/run/new", here[name])
                self.lab.dom0.run(f"mv /run/new {XAPI_DIR}/{name}", quiet=True)
            for name in there.keys() - here.keys():
                self.lab.dom0.run(f"rm {XAPI_DIR}/{name}", quiet=True)
            there = here

    def stop(self):
        self.over.set()
        self.mirror.join()
        self.process.terminate()
        said = self.process.communicate()[1].decode(errors="replace")
        self.lab.log.save("pvgpu-xapi", said)
        assert self.process.returncode == 0, said
        self.lab.dom0.run(f"kill {self.attachd_pid}")
        assert self.attachd.wait().status == 0
        self.lab.log.save("attachd", self.attachd.err.decode(errors="replace"))
        self.lab.dom0.run(f"rm -r {SITE} {XAPI_DIR}")

    def lose_power(self):
        self.over.set()
        self.mirror.join()
        self.lab.kill()

    def close(self):
        if self.process and self.process.poll() is None:
            self.over.set()
            self.process.kill()
            self.process.wait()
        self.forward.shutdown()
        self.forward.server_close()
        super().close()


class Pool(double.Pool):
    def __init__(self, lab, user, password, *more):
        """more: the machines that are its other hosts."""
        super().__init__(tempfile.mkdtemp(prefix="lab-xcpng."), (), user, password)
        for n, m in enumerate((lab, *more), 1):
            os.makedirs(os.path.join(self.folder, f"xcp{n}"))
            self.add(Host(self, m, f"xcp{n}"))
        self.only = self.hosts[0]

    def migrate(self, reference, to):
        vm = self.demand(reference, "Running")
        source = self.host(vm["resident_on"])
        source.hooks("vm-pre-migrate", vm["uuid"], "source", int(vm["domid"]))
        vm.update(domid=str(source.move_domain(vm, to)), resident_on=to.ref)
        self.touch(reference)

    def close(self):
        super().close()
        shutil.rmtree(self.folder)
