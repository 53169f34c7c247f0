# SPDX-License-Identifier: MIT
"""A double of xapi: a pool of hosts, its database, XML-RPC over each host's local socket and over HTTPS, events, hooks and plugins.

Shapes and rules are those of xen-api (github.com/xapi-project/xen-api, read at e2ee48d6; the files named are below ocaml/):
- xapi/api_server.ml, idl/datamodel.ml (whitelist): a call on a member's local socket is forwarded to the master, but for the login, which makes its
  session in the master's database; over the network a member answers HOST_IS_SLAVE.
- xapi/xapi_session.ml: a call by the local socket is root's, with any password; others are authenticated.
- xapi/xapi_event.ml, xapi-types/event_types.ml: event.from answers {events, valid_ref_counts, token}; an empty token asks for everything;
  it waits for the timeout and then answers with no event; classes are in lower case; del has no snapshot.
- xenopsd/lib/xenops_hooks.ml, xenops_server.ml: hooks below /etc/xapi.d, their arguments, 1 is logged, another status ends the operation with
  XAPI_HOOK_FAILED [script, reason, stdout, status]; vm-pre-start comes before there is a domain, vm-pre-migrate runs on the source alone.
- xapi/xapi_plugins.ml: see xapi.py. GPUs and their VGPUs: see gpus.py; the program that xenopsd starts for them: vgpu_service.py.
- xapi/message_forwarding.ml: a VM's places are taken under the master's lock, before its host does anything, and given back when that fails.
Each host has a xenstored (xenstored.py) in which domains come and go as xenopsd makes them. tests/cloudstack/pool.py has hosts whose xenstore is a file,
and tests/lab/xcpng.py hosts that are real Xen.
"""
import http.server
import os
import socket
import socketserver
import ssl
import subprocess
import threading
import time
import uuid as uuids
import xmlrpc.client as rpc

from gpus import CLASSES, Gpus
from vgpu_service import Failed, Machine, VgpuService
from xapi import ApiError, Host as PluginHost
from xenstored import Xenstored

VM_FIELDS = {"name_description": "", "tags": [], "is_a_template": False, "is_a_snapshot": False, "is_control_domain": False, "order": "0",
             "platform": {}, "xenstore_data": {}, "HVM_boot_params": {}, "allowed_operations": [], "domain_type": "hvm", "VGPUs": [], "VCPUs_max": "1"}


def ref():
    return "OpaqueRef:" + str(uuids.uuid4())


class Xenopsd:
    """VMs, as xenopsd starts and ends them: VM_create_device_model comes before the domain runs, VM_destroy_device_model before it goes. Of a host with
    pool, service, make_domain(vm) and end_domain(vm, domid)."""

    def begin(self, reference, vm):
        devices = self.pool.devices_of(reference)
        domid = self.make_domain(vm)
        if devices:
            try:
                self.service.start(domid, vm["VCPUs_max"], devices)
                self.service.wait_until_running(domid)
            except (Failed, ApiError) as e:
                self.service.stop(domid)
                self.end_domain(vm, domid)
                raise ApiError("FAILED_TO_START_EMULATOR", reference, "vgpu", str(e)) if isinstance(e, Failed) else e
            self.pool.plugged(reference)
        self.unpause_domain(vm, domid)
        return domid

    def end(self, vm, domid):
        if vm["VGPUs"]:
            self.service.stop(domid)
        self.end_domain(vm, domid)

    def unpause_domain(self, vm, domid):
        """Until then nothing of it runs."""


class Host(Xenopsd):
    def __init__(self, pool, folder, name):
        self.pool, self.folder, self.name, self.ref, self.uuid = pool, str(folder), name, ref(), str(uuids.uuid4())
        for part in ("hooks/vm-pre-start", "hooks/vm-pre-migrate", "plugins"):
            os.makedirs(os.path.join(self.folder, part), exist_ok=True)
        self.socket = os.path.join(self.folder, "xapi")
        self.env, self.next_domid, self.server, self.enabled = {}, 1, None, True
        # Files that xapi reads when it starts, and the program of xenopsd.conf.
        self.pci_devices, self.whitelist, self.pci_ids, self.vgpu = (os.path.join(self.folder, n) for n in ("pci", "vgpuConfig.xml", "pci.ids", "vgpu"))
        self.xenstore = self.open_xenstore()
        self.service = self.make_service()

    def open_xenstore(self):
        return Xenstored(os.path.join(self.folder, "xenstored"))

    def make_service(self):
        return VgpuService(Machine(self.xenstore, self.env, os.path.join(self.folder, "vgpu.log")), self.vgpu, self.driver_of)

    def driver_of(self, address):
        """Of a PCI device, in this host's dom0."""
        try:
            return os.path.basename(os.readlink(os.path.join(self.pci_devices, address, "driver")))
        except OSError:
            return ""

    def record(self):
        return {"uuid": self.uuid, "name_label": self.name, "hostname": self.name, "address": "127.0.0.1", "enabled": self.enabled, "other_config": {},
                "tags": [], "resident_VMs": [r for r, v in self.pool.vms.items() if v["resident_on"] == self.ref]}

    def start(self):
        """xapi, with what it looks at first."""
        self.pool.update_gpus(self)
        self.server = listen_local(self)

    def stop_xapi(self):
        self.server.shutdown()
        self.server.server_close()
        os.unlink(self.socket)

    def close(self):
        if os.path.exists(self.socket):
            self.stop_xapi()
        if self.xenstore:
            self.xenstore.close()

    def hooks(self, name, uuid, reason, domid=None):
        folder = os.path.join(self.folder, "hooks", name)
        for script in sorted(os.listdir(folder)):
            words = [os.path.join(folder, script), "-vmuuid", uuid, "-reason", reason] + (["-vmdomid", str(domid)] if domid else [])
            done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False, stdin=subprocess.DEVNULL,
                                  env={"PATH": "/usr/bin:/bin", **self.env})
            if done.returncode not in (0, 1):
                raise ApiError("XAPI_HOOK_FAILED", "%s/%s" % (name, script), reason, done.stdout, str(done.returncode))

    def call_plugin(self, plugin, fn, args):
        return PluginHost(os.path.join(self.folder, "plugins"), self.env).call_plugin(plugin, fn, args)

    # Domains, as xenopsd makes and removes them.
    def make_domain(self, vm):
        domid, store, base = self.next_domid, self.xenstore, "/local/domain/%d" % self.next_domid
        self.next_domid += 1
        store.write("/vm/%s/uuid" % vm["uuid"], vm["uuid"])
        store.write("/vm/%s/name" % vm["uuid"], vm["name_label"])
        store.write(base)
        store.chmod(base, ["n0", "r%d" % domid])
        store.write(base + "/vm", "/vm/" + vm["uuid"])
        store.write(base + "/name", vm["name_label"])
        store.write(base + "/device")
        store.write("/vm/%s/domains/%d" % (vm["uuid"], domid), base)
        store.fire("@introduceDomain")
        return domid

    def end_domain(self, vm, domid):
        # Domain.destroy of xenopsd removes the backends of domain 0, of any kind; xenstored has told of the end before.
        store = self.xenstore
        store.fire("@releaseDomain")
        store.remove("/local/domain/%d" % domid)
        store.remove("/vm/%s/domains/%d" % (vm["uuid"], domid))
        store.remove("/local/domain/0/backend/pvgpu/%d" % domid)
        if not store.paths("/vm/%s/domains/" % vm["uuid"])[1:]:
            store.remove("/vm/" + vm["uuid"])


class Pool(Gpus):
    """The first host is the master. Use it as a context. refuse[method or function of the plugin] = [(code, parameter...), ...]: failures to order, one
    a call. gate(when, name): true where the caller has been ended."""

    def __init__(self, folder, names=("host1",), user="root", password="secret", gate=lambda *_: False):
        self.folder, self.user, self.password, self.ref, self.uuid = str(folder), user, password, ref(), str(uuids.uuid4())
        self.changed, self.generation, self.log = threading.Condition(threading.RLock()), 1, {}
        self.vms, self.sessions, self.servers, self.calls, self.refuse, self.gate = {}, set(), [], [], {}, gate
        self.hosts = []
        self.init_gpus()
        for name in names:
            os.makedirs(os.path.join(self.folder, name))
            self.add(Host(self, os.path.join(self.folder, name), name))

    def add(self, host):
        self.hosts.append(host)
        self.add_vm("Control domain on host: " + host.name, is_control_domain=True, power_state="Running", resident_on=host.ref, domid="0")
        host.start()
        return host

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        for server in self.servers:
            server.shutdown()
            server.server_close()
        with self.changed:
            self.sessions.clear()
            self.changed.notify_all()
        for h in self.hosts:
            h.close()

    def host(self, reference):
        for h in self.hosts:
            if h.ref == reference:
                return h
        raise ApiError("HANDLE_INVALID", "host", reference)

    def named(self, name):
        return next(h for h in self.hosts if h.name == name)

    def called(self, method):
        return sum(m == method for m, _ in self.calls)

    def vm(self, reference):
        if reference not in self.vms:
            raise ApiError("HANDLE_INVALID", "VM", reference)
        return self.vms[reference]

    # ---- the database

    def touch(self, reference, op="mod", kind="vm"):
        """log: when an object was made, and last changed or removed."""
        with self.changed:
            self.generation += 1
            made = self.generation if op == "add" else self.log[reference][0]
            self.log[reference] = (made, self.generation, op == "del", kind)
            self.changed.notify_all()

    def add_vm(self, name, other_config=None, uuid=None, **more):
        reference = ref()
        with self.changed:
            self.vms[reference] = {**VM_FIELDS, "uuid": uuid or str(uuids.uuid4()), "name_label": name, "other_config": dict(other_config or {}),
                                   "power_state": "Halted", "resident_on": "OpaqueRef:NULL", "domid": "-1", **more}
            self.touch(reference, "add")
        return reference

    def events(self, since, classes):
        out = []
        for reference, (made, last, gone, kind) in sorted(self.log.items(), key=lambda i: i[1][1]):
            if last <= since or (gone and made > since) or not {kind, "*"} & classes:
                continue
            event = {"id": str(last), "timestamp": "0.0", "class": kind, "ref": reference,
                     "operation": "del" if gone else "add" if made > since else "mod"}
            if not gone:
                event["snapshot"] = dict(self.vms[reference]) if kind == "vm" else self.public(kind, reference)
            out.append(event)
        return out

    def event_from(self, session, classes, token, timeout):
        try:
            since = int(token.split(",")[0]) if token else 0
        except ValueError:
            raise ApiError("EVENT_FROM_TOKEN_PARSE_FAILURE", token) from None
        end = time.monotonic() + timeout
        with self.changed:
            while True:
                if session not in self.sessions:
                    raise ApiError("SESSION_INVALID", session)
                found = self.events(since, {c.lower() for c in classes})
                if found or time.monotonic() >= end:
                    return {"events": found, "valid_ref_counts": {"vm": len(self.vms), "host": len(self.hosts), "pool": 1},
                            "token": "%020d,%020d" % (self.generation, 0)}
                self.changed.wait(end - time.monotonic())

    # ---- lives of VMs

    def demand(self, reference, *states):
        vm = self.vm(reference)
        if vm["power_state"] not in states:
            raise ApiError("VM_BAD_POWER_STATE", reference, "/".join(states).lower(), vm["power_state"].lower())
        return vm

    def begins(self, reference, host):
        vm = self.vms[reference]
        vm.update(power_state="Running", resident_on=host.ref, domid=str(host.begin(reference, vm)))
        self.touch(reference)

    def ends(self, reference, state="Halted"):
        """Also by a crash of its own."""
        vm = self.vms[reference]
        self.host(vm["resident_on"]).end(vm, int(vm["domid"]))
        vm.update(power_state=state, resident_on="OpaqueRef:NULL", domid="-1")
        self.unplace(reference, also_resident=True)
        self.touch(reference)

    def start(self, reference, host=None):
        vm = self.demand(reference, "Halted")
        with self.changed:
            host = host or self.choose_host(reference)
            self.place(reference, host)
        try:
            host.hooks("vm-pre-start", vm["uuid"], "none")
            self.begins(reference, host)
        finally:
            self.unplace(reference)

    def reboot(self, reference):
        """xenopsd makes the domain anew; the VGPUs keep their places."""
        vm = self.demand(reference, "Running")
        host = self.host(vm["resident_on"])
        host.end(vm, int(vm["domid"]))
        try:
            self.begins(reference, host)
        except ApiError:
            vm.update(power_state="Halted", resident_on="OpaqueRef:NULL", domid="-1")
            self.unplace(reference, also_resident=True)
            raise

    def suspend(self, reference):
        self.demand(reference, "Running")
        self.demand_movable(reference)
        self.ends(reference, "Suspended")

    def resume(self, reference, host=None):
        self.demand(reference, "Suspended")
        self.begins(reference, host or self.hosts[0])

    def migrate(self, reference, to):
        vm = self.demand(reference, "Running")
        self.demand_movable(reference)
        source, domid = self.host(vm["resident_on"]), int(vm["domid"])
        source.hooks("vm-pre-migrate", vm["uuid"], "source", domid)
        there = to.make_domain(vm)  # it receives memory while the source still runs
        source.end_domain(vm, domid)
        vm.update(resident_on=to.ref, domid=str(there))
        self.touch(reference)

    # ---- as CloudStack does: another VM for each start

    def create(self, name, host, other_config):
        reference = self.add_vm(name, other_config)
        try:
            self.start(reference, self.named(host))
        except ApiError:
            self.vm_destroy(reference)
            raise

    def destroy(self, name):
        for reference, vm in list(self.vms.items()):
            if vm["name_label"] == name and vm["power_state"] == "Running":
                self.ends(reference)
                self.vm_destroy(reference)

    def of(self, name):
        return next(v for v in self.vms.values() if v["name_label"] == name and v["power_state"] == "Running")

    def host_of(self, vm):
        return self.host(vm["resident_on"])

    # ---- calls

    def ordered(self, name):
        with self.changed:
            if self.refuse.get(name):
                raise ApiError(*self.refuse[name].pop(0))

    def call(self, host, local, method, params):
        """host: on which it arrives; local: by its local socket."""
        self.calls.append((method, params))
        self.ordered(method)
        if host is not self.hosts[0] and not local:
            raise ApiError("HOST_IS_SLAVE", "127.0.0.1")
        if method == "session.login_with_password":
            if not local and tuple(params[:2]) != (self.user, self.password):
                raise ApiError("SESSION_AUTHENTICATION_FAILED", params[0], "Authentication failure")
            session = ref()
            self.sessions.add(session)
            return session
        session, params = params[0], params[1:]
        if session not in self.sessions:
            raise ApiError("SESSION_INVALID", session)
        if method == "session.logout":
            self.sessions.discard(session)
            return ""
        if method == "event.from":
            return self.event_from(session, *params)
        kind, _, name = method.partition(".")
        handler = getattr(self, "%s_%s" % (kind.lower(), name), None)
        try:
            answer = handler(*params) if handler else self.object_call(kind.lower(), name, params) if kind.lower() in CLASSES else None
            if answer is None and not handler:
                raise ApiError("MESSAGE_METHOD_UNKNOWN", method)
            return answer
        except TypeError as e:
            raise ApiError("MESSAGE_PARAMETER_COUNT_MISMATCH", method, str(e)) from None

    def vm_get_all(self):
        return list(self.vms)

    def vm_get_all_records(self):
        return {r: dict(v) for r, v in self.vms.items()}

    def vm_get_record(self, reference):
        return dict(self.vm(reference))

    def vm_get_by_uuid(self, uuid):
        for r, v in self.vms.items():
            if v["uuid"] == uuid:
                return r
        raise ApiError("UUID_INVALID", "VM", uuid)

    def vm_get_by_name_label(self, name):
        return [r for r, v in self.vms.items() if v["name_label"] == name]

    def vm_get_uuid(self, reference):
        return self.vm(reference)["uuid"]

    def vm_get_other_config(self, reference):
        return self.vm(reference)["other_config"]

    def vm_get_tags(self, reference):
        return self.vm(reference)["tags"]

    def vm_get_resident_on(self, reference):
        return self.vm(reference)["resident_on"]

    def vm_get_VGPUs(self, reference):
        return self.vm(reference)["VGPUs"]

    def vm_get_power_state(self, reference):
        return self.vm(reference)["power_state"]

    def vm_set_other_config(self, reference, value):
        self.vm(reference)["other_config"] = dict(value)
        self.touch(reference)

    def vm_add_to_other_config(self, reference, key, value):
        config = self.vm(reference)["other_config"]
        if key in config:
            raise ApiError("MAP_DUPLICATE_KEY", "VM", "other_config", reference, key, value)
        config[key] = value
        self.touch(reference)

    def vm_remove_from_other_config(self, reference, key):
        self.vm(reference)["other_config"].pop(key, None)
        self.touch(reference)

    def vm_add_tags(self, reference, tag):
        vm = self.vm(reference)
        vm["tags"] = vm["tags"] + [tag]
        self.touch(reference)

    def vm_start(self, reference, _paused, _force):
        self.start(reference)

    def vm_start_on(self, reference, host, _paused, _force):
        self.start(reference, self.host(host))

    def vm_hard_shutdown(self, reference):
        self.demand(reference, "Running")
        self.ends(reference)

    vm_clean_shutdown = vm_hard_shutdown

    def vm_hard_reboot(self, reference):
        self.reboot(reference)

    vm_clean_reboot = vm_hard_reboot

    def vm_suspend(self, reference):
        self.suspend(reference)

    def vm_resume_on(self, reference, host, _paused, _force):
        self.resume(reference, self.host(host))

    def vm_pool_migrate(self, reference, host, _options):
        self.migrate(reference, self.host(host))

    def vm_destroy(self, reference):
        self.demand(reference, "Halted")
        with self.changed:
            del self.vms[reference]
            self.touch(reference, "del")

    def host_get_all(self):
        return [h.ref for h in self.hosts]

    def host_get_all_records(self):
        return {h.ref: h.record() for h in self.hosts}

    def host_get_record(self, reference):
        return self.host(reference).record()

    def host_get_uuid(self, reference):
        return self.host(reference).uuid

    def host_get_name_label(self, reference):
        return self.host(reference).name

    def host_get_by_uuid(self, uuid):
        for h in self.hosts:
            if h.uuid == uuid:
                return h.ref
        raise ApiError("UUID_INVALID", "host", uuid)

    def host_disable(self, reference):
        self.host(reference).enabled = False

    def host_call_plugin(self, reference, plugin, fn, args):
        self.ordered(fn)
        return self.host(reference).call_plugin(plugin, fn, args)

    def pool_get_all(self):
        return [self.ref]

    def pool_get_all_records(self):
        return {self.ref: {"uuid": self.uuid, "name_label": "pool", "master": self.hosts[0].ref, "other_config": {}}}

    def pool_get_master(self, _reference):
        return self.hosts[0].ref

    # ---- over the network

    def listen(self, certificate, key, host=None):
        """HTTPS. The port; host: which one answers there (default the master)."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        return self.serve(context, host)

    def serve(self, context=None, host=None, address=("127.0.0.1", 0)):
        server = Threaded(address, handler(host or self.hosts[0], False))
        if context:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        self.servers.append(server)
        return server.server_address[1]


# ---- servers

class Threaded(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass  # a client that is killed


class LocalServer(Threaded):
    address_family = socket.AF_UNIX

    def server_bind(self):
        self.socket.bind(self.server_address)
        self.server_name, self.server_port = "localhost", 0


def handler(host, local):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = not local

        def do_POST(self):
            params, method = rpc.loads(self.rfile.read(int(self.headers["Content-Length"])))
            name = method if method != "host.call_plugin" else "plugin %s" % params[3]
            if host.pool.gate("before", name):
                return
            try:
                answer = {"Status": "Success", "Value": host.pool.call(host, local, method, list(params))}
                if answer["Value"] is None:
                    answer["Value"] = ""
            except ApiError as e:
                answer = {"Status": "Failure", "ErrorDescription": [e.code] + [str(p) for p in e.params]}
            if host.pool.gate("after", name):
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

        def address_string(self):
            return "local"

        def log_message(self, *_):
            pass
    return Handler


def listen_local(host):
    server = LocalServer(host.socket, handler(host, True))
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    return server
