# SPDX-License-Identifier: MIT
"""A host of XCP-ng in the lab. The double of xapi (tests/xapi/double.py), pvgpu-xapi, the hook and the xe plugin run beside the emulated machine, since
its dom0 has no Python; pvgpuctl, pvgpu-attachd and pvgpud run in dom0, and the VMs are domains of real Xen."""
import json
import os
import pathlib
import shlex
import shutil
import socketserver
import subprocess
import sys
import tempfile
import threading

import vgpu
from channel import LabError

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path += [str(TOP / "tests/xapi"), str(TOP / "tests/cloudstack")]
import double  # noqa: E402

PROGRAMS = TOP / "xen-pvgpu-back/xapi"
SITE, XAPI_DIR = "/etc/pvgpu", "/run/pvgpu-xapi"
LIMIT = 600  # seconds for a call of pvgpuctl in dom0
LOOK_S = 0.1

# What the plugin and the hook run in place of pvgpuctl: the words go to the server below, and its answer comes back.
FORWARD = """#!{python} -IS
import json, socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect({path!r})
f = s.makefile("rw")
f.write(json.dumps(sys.argv[1:]) + "\\n")
f.flush()
a = json.loads(f.readline())
sys.stdout.write(a["out"])
sys.stderr.write(a["err"])
sys.exit(a["status"])
"""


class Forward(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True

    def __init__(self, path, lab):
        self.lab = lab
        super().__init__(path, ForwardHandler)
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()


class ForwardHandler(socketserver.StreamRequestHandler):
    def handle(self):
        words = json.loads(self.rfile.readline())
        try:
            r = self.server.lab.dom0.run(f"{vgpu.CTL} {shlex.join(words)}", check=False, limit=LIMIT)
            answer = {"status": r.status, "out": r.out, "err": r.err}
        except LabError as e:
            answer = {"status": 70, "out": "", "err": f"{e}\n"}
        self.wfile.write(json.dumps(answer).encode() + b"\n")


class Host(double.Host):
    """VMs are guests of the lab, PVH, with pvgpu's programs."""

    def __init__(self, pool, lab, name):
        self.lab, self.guests, self.process = lab, {}, None
        super().__init__(pool, os.path.join(pool.folder, name), name)
        self.forward = Forward(os.path.join(self.folder, "ctl"), lab)
        ctl = pathlib.Path(self.folder) / "pvgpuctl"
        ctl.write_text(FORWARD.format(python=sys.executable, path=self.forward.server_address))
        ctl.chmod(0o755)
        self.env.update(PVGPUCTL=str(ctl), PVGPU_XAPI_SOCKET=self.socket)
        for hook in ("vm-pre-start", "vm-pre-migrate"):
            (pathlib.Path(self.folder) / "hooks" / hook / "50-pvgpu").symlink_to(PROGRAMS / "pvgpu-hook")
        shutil.copy(PROGRAMS / "pvgpu", os.path.join(self.folder, "plugins"))
        self.said, self.over = pathlib.Path(self.folder) / "xapi.d", threading.Event()

    def open_xenstore(self):
        return None  # it is Xen's

    def make_domain(self, vm):
        g = self.lab.create(vm["name_label"], "pvh", payload=True, config=f'uuid = "{vm["uuid"]}"')
        self.guests[vm["uuid"]] = g
        return g.domid

    def end_domain(self, vm, domid):
        self.guests.pop(vm["uuid"]).destroy()

    # ---- what follows xapi

    def follow(self, profiles):
        """pvgpu-xapi here, pvgpu-attachd in dom0."""
        dom0 = self.lab.dom0
        dom0.run(f"mkdir -p {SITE}/vms.d {XAPI_DIR}")
        dom0.put_file(f"{SITE}/profiles.conf", profiles)
        self.process = subprocess.Popen([sys.executable, PROGRAMS / "pvgpu-xapi", "--socket", self.socket, "--dir", self.said],
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

    def close(self):
        if self.process and self.process.poll() is None:
            self.over.set()
            self.process.kill()
            self.process.wait()
        self.forward.shutdown()
        self.forward.server_close()
        super().close()


class Pool(double.Pool):
    def __init__(self, lab, user, password):
        super().__init__(tempfile.mkdtemp(prefix="lab-xcpng."), (), user, password)
        os.makedirs(os.path.join(self.folder, "xcp1"))
        self.only = self.add(Host(self, lab, "xcp1"))

    def close(self):
        super().close()
        shutil.rmtree(self.folder)
