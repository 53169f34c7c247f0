#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""xl of Xen 4.17 with our patches, where there is no Xen: it reads configurations, and attaches, lists and detaches vGPUs of a domain that is made up,
with pvgpuctl as it is built and the xenstored of tests/xapi."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("PVGPU_BUILD", TOP / "build")).resolve()
sys.path.append(str(TOP / "tests/xapi"))
import double  # noqa: E402
import host  # noqa: E402

XL = BUILD / "xl/bookworm"
UUID = "01020304-0506-0708-090a-0b0c0d0e0f10"
VGPU = "9c1b7a52-3f60-4f8e-8d55-0a2f6c1e7b90"
CONFIG = f"""name = "web1"
type = "pvh"
kernel = "/boot/vmlinux"
memory = 64
pvgpu = [ "profile=pvgpu-2g,tenant=t1,backend=gpu", "memory=64M, weight=300,id=4", "uuid={VGPU}" ]
"""
# Of libxl's files, those below /var/lib are the test's own.
RUN = 'mount --bind "$1" /var/lib && shift && exec "$@"'


@unittest.skipUnless((XL / "out/xl").is_file(), "Xen 4.17's source cannot be had here")
class Xl(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="xl-test."))
        self.addCleanup(shutil.rmtree, self.folder)
        (self.folder / "pool").mkdir()
        self.pool = double.Pool(self.folder / "pool")
        self.addCleanup(self.pool.close)
        self.host = self.pool.hosts[0]
        self.programs, self.store = host.Programs(self.host), self.host.xenstore
        shim = self.folder / "hypercalls.so"
        subprocess.run(["gcc", "-shared", "-fPIC", "-Wall", "-I", XL / "source/tools/include", "-D__XEN_TOOLS__", "-o", shim,
                        TOP / "tests/xl/hypercalls.c"], check=True)
        (self.folder / "bin").mkdir()
        (self.folder / "bin/pvgpuctl").symlink_to(self.programs.env["PVGPUCTL"])
        self.env = {**os.environ, "PATH": f"{self.folder}/bin:{os.environ['PATH']}", "XENSTORED_PATH": self.store.path, "SHIM": str(shim)}
        self.lib = self.folder / "lib"
        (self.lib / "xen").mkdir(parents=True)

    def xl(self, *words):
        me = ["unshare", "--mount"] + ([] if os.geteuid() == 0 else ["--map-root-user"])
        program = ["env", f"LD_LIBRARY_PATH={XL}/out", f"LD_PRELOAD={self.env['SHIM']}", XL / "out/xl"]
        return subprocess.run([*me, "sh", "-c", RUN, "sh", self.lib, *program, *words], env=self.env, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=120)

    def good(self, *words):
        done = self.xl(*words)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def refused(self, text, *words):
        done = self.xl(*words)
        self.assertEqual((done.returncode, text in done.stderr), (1, True), (done.returncode, done.stderr))

    # ---- configurations

    def test_configuration(self):
        (self.folder / "web1.cfg").write_text(CONFIG)
        config = str(self.folder / "web1.cfg")
        out = self.good("create", "-n", config)
        made = json.loads(out[out.index("{"):])["pvgpus"]
        self.assertEqual(made, [{"backend_domname": "gpu", "devid": 0, "profile": "pvgpu-2g", "tenant": "t1"},
                                {"devid": 4, "settings": {"memory": "64M", "weight": "300"}}, {"devid": 5, "uuid": VGPU}])
        for line, why in (("['weight']", "not KEY=VALUE"), ("['--force=1']", "not KEY=VALUE"), ("['id=x']", "Invalid id 'x'"),
                          ("['id=-1']", "Invalid id '-1'"), ("['uuid=x']", "Invalid uuid 'x'"), ("['id=1', 'id=1']", "two vGPUs have the id 1")):
            self.refused(why, "create", "-n", config, f"pvgpu={line}")

    # ---- a domain

    def domain(self):
        self.host.next_domid = 3
        self.host.make_domain({"uuid": UUID, "name_label": "web1"})
        self.store.write("/local/domain/0/domid", "0")
        self.store.write("/libxl/3/device")
        (self.lib / f"xen/userdata-d.3.{UUID}.libxl-json").write_text(
            json.dumps({"c_info": {"type": "pvh", "name": "web1", "uuid": UUID}, "b_info": {"type.pvh": {}}}))

    def listed(self):
        """{number: (state, state of the backend, MiB, profile)}"""
        rows = [line.split() for line in self.good("pvgpu-list", "web1").splitlines()[1:]]
        return {int(r[0]): (r[2], r[3], int(r[4]), r[5]) for r in rows}

    def key(self, number, name):
        return self.store.get(f"/local/domain/0/backend/pvgpu/3/{number}/{name}")

    def test_attach_list_detach(self):
        self.domain()
        self.good("pvgpu-attach", "web1", "profile=pvgpu-2g")
        self.good("pvgpu-attach", "web1", "memory=64M,weight=7", "id=4")
        self.programs.until(lambda: all(self.key(n, "state") == host.CONNECTED for n in (0, 4)), "both are connected")
        self.assertEqual(self.listed(), {0: ("4", "4", 2048, "pvgpu-2g"), 4: ("4", "4", 64, "-")})
        self.assertEqual(self.key(4, "policy"), "weight=7")
        kept = json.loads((self.lib / f"xen/userdata-d.3.{UUID}.libxl-json").read_text().rstrip("\0"))["pvgpus"]
        self.assertEqual([(p["devid"], p["uuid"]) for p in kept], [(n, self.key(n, "uuid")) for n in (0, 4)])
        self.good("pvgpu-detach", "web1", "4")
        self.assertEqual(sorted(self.listed()), [0])
        self.assertIsNone(self.key(4, "state"))
        self.assertIsNone(self.store.get("/local/domain/3/device/pvgpu/4/state"))

    def test_refusals_leave_nothing(self):
        self.domain()
        self.good("pvgpu-attach", "web1", "profile=pvgpu-4g")
        before = [p for p in self.store.paths("/") if "pvgpu/" in p]
        self.refused("fits on no GPU", "pvgpu-attach", "web1", "profile=pvgpu-4g")
        self.refused("must be a number from 1 to 10000", "pvgpu-attach", "web1", "weight=0")
        self.refused("vGPU 0 already exists", "pvgpu-attach", "web1", "memory=64M", "id=0")
        self.refused("MiB wanted", "pvgpu-attach", "web1", "memory=64G")
        self.refused("has attached no vGPU 7", "pvgpu-detach", "web1", "7")
        self.assertEqual([p for p in self.store.paths("/") if "pvgpu/" in p], before)

    def test_a_driver_domain(self):
        """Nobody there removes a vGPU's nodes: xl does."""
        self.domain()
        self.host.next_domid = 5
        self.host.make_domain({"uuid": VGPU, "name_label": "gpu"})
        self.programs.publish(8 * host.GIB, 5)
        self.good("pvgpu-attach", "web1", "profile=pvgpu-2g,backend=5")
        self.assertEqual(self.store.get("/local/domain/5/backend/pvgpu/3/0/profile"), "pvgpu-2g")
        self.assertEqual(sorted(self.listed()), [0])
        self.good("pvgpu-detach", "web1", "0")
        self.assertEqual([p for p in self.store.paths("/local/domain/5/backend/") + self.store.paths("/local/domain/3/device/") if "pvgpu/" in p], [])

    def test_numbers_of_other_tools(self):
        self.domain()
        subprocess.run([self.folder / "bin/pvgpuctl", "attach", "3", "--id", "0", "--memory", "1G", "--no-wait"], env=self.env, check=True,
                       stdout=subprocess.DEVNULL)
        uuid = self.key(0, "uuid")
        self.refused("already has a vGPU 0", "pvgpu-attach", "web1", "memory=64M,id=0")
        self.assertEqual(self.key(0, "uuid"), uuid)
        self.good("pvgpu-attach", "web1", "memory=64M")
        self.assertEqual(sorted(self.listed()), [1])


if __name__ == "__main__":
    unittest.main()
