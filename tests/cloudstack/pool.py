# SPDX-License-Identifier: MIT
"""A double of a pool's master as pvgpu-cloudstack sees it: XenAPI over XML-RPC (xen-api's datamodel: session, host, VM), and the plugin `pvgpu` of
each host, run over a xenstore that is a file. The plugin is the product's own, loaded once and called with the text that xapi would give it
(tests/xapi/xapi.py says by which rules; plugin_test.py runs it as a program)."""
import http.server
import importlib.machinery
import importlib.util
import pathlib
import re
import sys
import threading
import uuid
import xmlrpc.client as rpc

from cloudstack import serve

TOP = pathlib.Path(__file__).resolve().parents[2]
PLUGIN = TOP / "xen-pvgpu-back" / "xapi" / "pvgpu"
GIB = 1 << 30


class ApiError(Exception):
    def __init__(self, *description):
        super().__init__(*description)
        self.description = [str(d) for d in description]


def load_plugin(name):
    """A module of its own for each host; PVGPUCTL is a name in it."""
    sys.dont_write_bytecode = True
    loader = importlib.machinery.SourceFileLoader("plugin_of_" + name, str(PLUGIN))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


class Host:
    def __init__(self, folder, name, address, build, gib):
        self.folder, self.name, self.address, self.ref, self.uuid = folder, name, address, "OpaqueRef:" + name, str(uuid.uuid4())
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

    def lines(self):
        return self.store.read_text().splitlines(True)

    def balance(self):
        """Writes what is still free, as pvgpud does when a vGPU comes or goes."""
        lines = [x for x in self.lines() if not re.match(r"/local/domain/0/data/pvgpu/(gpu-memory-free|gpu-0/room) ", x)]
        used = sum(int(m.group(1)) for m in (re.match(r'/local/domain/0/backend/pvgpu/\d+/\d+/memory = "(\d+)"', x) for x in lines) if m)
        free = max(0, self.memory - used)
        self.store.write_text("".join(lines) + '/local/domain/0/data/pvgpu/gpu-memory-free = "%d"   (n0,r0)\n'
                              '/local/domain/0/data/pvgpu/gpu-0/room = "memory=%d memory-free=%d"   (n0,r0)\n' % (free, self.memory, free))

    def boot(self, instance, vm_uuid):
        with self.lock:
            domid, self.next = self.next, self.next % 9 + 1  # of the domains that pvgpuctl-fake knows
            base = "/local/domain/%d" % domid
            nodes = {base + "/name": instance, base + "/vm": "/vm/" + vm_uuid, "/vm/%s/name" % vm_uuid: instance, base + "/device": ""}
            self.store.write_text("".join(self.lines()) + "".join('%s = "%s"   (n0,r0)\n' % n for n in nodes.items()))
            return domid

    def halt(self, domid):
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

    def call_plugin(self, fn, args):
        if self.down:
            raise ApiError("HOST_OFFLINE", self.ref)
        with self.lock:
            out = self.plugin.answer(rpc.dumps(("OpaqueRef:session", {str(k): str(v) for k, v in args.items()}), fn))
            self.balance()
        if out["Status"] == "Failure":
            raise ApiError(*out["ErrorDescription"])
        return out["Value"]


class Pool:
    """gate(when, method): true where the caller has been ended."""

    def __init__(self, folder, build, context=None, gate=lambda *_: None):
        self.folder, self.build, self.gate = folder, build, gate
        self.hosts, self.vms, self.sessions, self.calls, self.refuse = {}, {}, set(), [], {}
        self.user, self.password, self.master = "operator", "a password & <more>", None
        self.lock = threading.RLock()
        self.attachd = None       # called with the VM when its other_config has changed, as pvgpu-attachd learns it
        self.server = serve(type("PoolHandler", (Handler,), {"pool": self}), context)
        self.url = "%s://127.0.0.1:%d" % ("https" if context else "http", self.server.server_address[1])

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def add_host(self, name, address, gib=8):
        self.hosts[name] = Host(self.folder / name, name, address, self.build, gib)
        return self.hosts[name]

    def create(self, instance, host, other_config):
        """As CloudStack does at each start: a VM with another uuid."""
        h, new = self.hosts[host], str(uuid.uuid4())
        ref = "OpaqueRef:" + new
        self.vms[ref] = {"uuid": new, "name_label": instance, "power_state": "Running", "is_a_template": False, "is_a_snapshot": False,
                         "resident_on": h.ref, "other_config": dict(other_config), "domid": str(h.boot(instance, new))}
        return self.vms[ref]

    def destroy(self, instance):
        for ref, v in list(self.vms.items()):
            if v["name_label"] == instance and v["power_state"] == "Running":
                self.host_of(v).halt(int(v["domid"]))
                del self.vms[ref]

    def host_of(self, vm):
        return next(h for h in self.hosts.values() if h.ref == vm["resident_on"])

    def of(self, instance):
        return next(v for v in self.vms.values() if v["name_label"] == instance and v["power_state"] == "Running")

    # ---- XenAPI

    def dispatch(self, method, params):
        with self.lock:
            self.calls.append((method, params))
            order = self.refuse.get(method)
            if order:
                raise ApiError(*order.pop(0))
            if method == "session.login_with_password":
                return self.login(*params)
            session, rest = params[0], params[1:]
            if session not in self.sessions:
                raise ApiError("SESSION_INVALID", session)
        if method == "host.call_plugin":  # beside others
            return self.call_plugin(*rest)
        with self.lock:
            call = getattr(self, method.replace(".", "_"), None)
            if not call:
                raise ApiError("MESSAGE_METHOD_UNKNOWN", method)
            return call(session, *rest) if method == "session.logout" else call(*rest)

    def login(self, user, password, version, originator):
        if self.master:
            raise ApiError("HOST_IS_SLAVE", self.master)
        if (user, password) != (self.user, self.password):
            raise ApiError("SESSION_AUTHENTICATION_FAILED", user, "Authentication failure")
        session = "OpaqueRef:session-%s" % uuid.uuid4()
        self.sessions.add(session)
        return session

    def session_logout(self, session):
        self.sessions.discard(session)
        return ""

    def host_get_all_records(self):
        return {h.ref: {"uuid": h.uuid, "name_label": h.name, "hostname": h.name, "address": h.address} for h in self.hosts.values()}

    def host_get_name_label(self, ref):
        return next(h.name for h in self.hosts.values() if h.ref == ref)

    def call_plugin(self, ref, plugin, fn, args):
        host = next((h for h in self.hosts.values() if h.ref == ref), None)
        if not host:
            raise ApiError("HANDLE_INVALID", "host", ref)
        if plugin != "pvgpu":
            raise ApiError("XENAPI_MISSING_PLUGIN", plugin)
        with self.lock:
            order = self.refuse.get(fn)
            if order:
                raise ApiError(*order.pop(0))
        return host.call_plugin(fn, args)

    def record(self, ref):
        if ref not in self.vms:
            raise ApiError("HANDLE_INVALID", "VM", ref)
        return self.vms[ref]

    def VM_get_by_name_label(self, name):
        return [ref for ref, v in self.vms.items() if v["name_label"] == name]

    def VM_get_record(self, ref):
        return self.record(ref)

    def VM_get_other_config(self, ref):
        return self.record(ref)["other_config"]

    def VM_add_to_other_config(self, ref, key, value):
        if key in self.record(ref)["other_config"]:
            raise ApiError("MAP_DUPLICATE_KEY", "VM", "other_config", ref, key)
        self.record(ref)["other_config"][key] = value
        if self.attachd:
            self.attachd(self.record(ref))
        return ""

    def VM_remove_from_other_config(self, ref, key):
        self.record(ref)["other_config"].pop(key, None)
        return ""


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self):
        params, method = rpc.loads(self.rfile.read(int(self.headers["Content-Length"])))
        name = method if method != "host.call_plugin" else "plugin %s" % params[3]
        if self.pool.gate("before", name):
            return
        try:
            answer = {"Status": "Success", "Value": self.pool.dispatch(method, params)}
        except ApiError as e:
            answer = {"Status": "Failure", "ErrorDescription": e.description}
        if self.pool.gate("after", name):
            return
        out = rpc.dumps((answer,), methodresponse=True).encode()
        try:
            self.send_response(200)
            self.send_header("Content-Type", "text/xml")
            self.send_header("Content-Length", str(len(out)))
            self.end_headers()
            self.wfile.write(out)
        except OSError:
            self.close_connection = True

    def log_message(self, format, *args):
        pass
