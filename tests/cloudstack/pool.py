# SPDX-License-Identifier: MIT
"""A pool as pvgpu-cloudstack sees it: the double of xapi (tests/xapi/double.py) with hosts whose xenstore is a file, and on which domains only have
names. The plugin `pvgpu` is the product's own, loaded once for each host and called with the text that xapi would give it (plugin_test.py runs it as a
program)."""
import importlib.machinery
import importlib.util
import pathlib
import re
import sys
import threading
import uuid
import xmlrpc.client as rpc

import double
from xapi import ApiError

TOP = pathlib.Path(__file__).resolve().parents[2]
PLUGIN = TOP / "xen-pvgpu-back" / "xapi" / "pvgpu"
GIB = 1 << 30


def load_plugin(name):
    """A module of its own for each host; PVGPUCTL is a name in it."""
    sys.dont_write_bytecode = True
    loader = importlib.machinery.SourceFileLoader("plugin_of_" + name, str(PLUGIN))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


class Host(double.Xenopsd):
    def __init__(self, pool, folder, name, address, build, gib):
        self.pool, self.folder, self.name, self.address, self.ref, self.uuid = pool, folder, name, address, "OpaqueRef:" + name, str(uuid.uuid4())
        self.store, self.lock, self.next, self.down = folder / "xenstore", threading.Lock(), 1, False
        folder.mkdir()
        self.memory = gib * GIB
        nodes = {"/local/domain/0/name": "Domain-0", "/local/domain/0/data/pvgpu/version": "0.1.0",
                 "/local/domain/0/data/pvgpu/gpu-0/name": "default", "/local/domain/0/data/pvgpu/gpu-0/model": "pvgpu simulated GPU"}
        self.store.write_text("".join('%s = "%s"   (n0,r0)\n' % n for n in nodes.items()))
        self.balance()
        (folder / "profiles.conf").write_text("[profile pvgpu-2g]\nmemory = 2G\nweight = 50\n[profile pvgpu-4g]\nmemory = 4G\n"
                                              "[profile big]\nmemory = 64G\n")
        (folder / "tenants.conf").write_text("")
        ctl = folder / "pvgpuctl"
        self.asleep = folder / "asleep"
        ctl.write_text('#!/bin/sh\ncase $1 in attach|set|capacity|profiles|tenants) set -- "$@" --site-dir %s;; esac\nexport PVGPU_FAKE_XENSTORE=%s\n'
                       '[ ! -e %s ] || export PVGPU_FAKE_ASLEEP=1\nexec %s/tests/pvgpuctl-fake "$@"\n' % (folder, self.store, self.asleep, build))
        ctl.chmod(0o755)
        self.plugin = load_plugin(name)
        self.plugin.PVGPUCTL = str(ctl)

    def record(self):
        return {"uuid": self.uuid, "name_label": self.name, "hostname": self.name, "address": self.address}

    def start(self):
        pass

    close = start

    def hooks(self, name, uuid, reason, domid=None):
        pass

    def lines(self):
        return self.store.read_text().splitlines(True)

    def balance(self):
        """Writes what is still free, as pvgpud does when a vGPU comes or goes."""
        lines = [x for x in self.lines() if not re.match(r"/local/domain/0/data/pvgpu/(gpu-memory-free|gpu-0/room) ", x)]
        used = sum(int(m.group(1)) for m in (re.match(r'/local/domain/0/backend/pvgpu/\d+/\d+/memory = "(\d+)"', x) for x in lines) if m)
        free = max(0, self.memory - used)
        self.store.write_text("".join(lines) + '/local/domain/0/data/pvgpu/gpu-memory-free = "%d"   (n0,r0)\n'
                              '/local/domain/0/data/pvgpu/gpu-0/room = "memory=%d memory-free=%d"   (n0,r0)\n' % (free, self.memory, free))

    def make_domain(self, vm):
        instance, vm_uuid = vm["name_label"], vm["uuid"]
        with self.lock:
            domid, self.next = self.next, self.next % 9 + 1  # of the domains that pvgpuctl-fake knows
            base = "/local/domain/%d" % domid
            nodes = {base + "/name": instance, base + "/vm": "/vm/" + vm_uuid, "/vm/%s/name" % vm_uuid: instance, base + "/device": ""}
            self.store.write_text("".join(self.lines()) + "".join('%s = "%s"   (n0,r0)\n' % n for n in nodes.items()))
            return domid

    def end_domain(self, vm, domid):
        """The domain ends, and pvgpu-attachd removes what is left of its vGPUs."""
        gone = ("/local/domain/%d/" % domid, "/local/domain/%d " % domid, "/local/domain/0/backend/pvgpu/%d/" % domid,
                "/local/domain/0/backend/pvgpu/%d " % domid)
        with self.lock:
            self.store.write_text("".join(x for x in self.lines() if not x.startswith(gone)))
            self.balance()

    def use(self, domid, vgpu, us):
        """The vGPU's counter of GPU time, as pvgpud writes it."""
        key = "/local/domain/0/backend/pvgpu/%d/%d/statistics" % (domid, vgpu)
        with self.lock:
            lines = [x for x in self.lines() if not x.startswith(key + " ")]
            self.store.write_text("".join(lines) + '%s = "gpu-time=%d"   (n0,r%d)\n' % (key, us, domid))

    def call_plugin(self, plugin, fn, args):
        if self.down:
            raise ApiError("HOST_OFFLINE", self.ref)
        if plugin != "pvgpu":
            raise ApiError("XENAPI_MISSING_PLUGIN", plugin)
        with self.lock:
            out = self.plugin.answer(rpc.dumps(("OpaqueRef:session", {str(k): str(v) for k, v in args.items()}), fn))
            self.balance()
        if out["Status"] == "Failure":
            raise ApiError(*out["ErrorDescription"])
        return out["Value"]


class Pool(double.Pool):
    def __init__(self, folder, build, context=None, gate=lambda *_: False):
        super().__init__(folder, (), "operator", "a password & <more>", gate)
        self.build, self.context, self.url = build, context, None
        self.attachd = None       # called with the VM when its other_config has changed, as pvgpu-attachd learns it

    def add_host(self, name, address, gib=8):
        host = self.add(Host(self, pathlib.Path(self.folder) / name, name, address, self.build, gib))
        if not self.url:
            self.url = "%s://127.0.0.1:%d" % ("https" if self.context else "http", self.serve(self.context))
        return host

    def vm_add_to_other_config(self, reference, key, value):
        super().vm_add_to_other_config(reference, key, value)
        if self.attachd:
            self.attachd(self.vm(reference))
