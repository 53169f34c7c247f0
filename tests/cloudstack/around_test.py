#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Around pvgpu-cloudstack's toggle: host tags, webhooks, check, configuration and secrets, TLS."""
import ast
import fcntl
import http.client
import http.server
import os
import signal
import socket
import ssl
import subprocess
import threading
import unittest

from cloudstack import ApiError, Cloud, serve
from world import ALICE, PATIENCE, TOP, World
from pvgpu_cloudstack import webhook

T2 = "other_config:pvgpu=pvgpu-2g tenant:" + ALICE
GIB = 1 << 30


class Tags(World):
    def tags(self, name="xcp1"):
        return next(h["hosttags"] for h in self.cloud.hosts.values() if h["name"] == name)

    def test_come_and_go(self):
        self.hosts[0].update(hosttags="ssd,pvgpu-stale", explicithosttags="ssd,pvgpu-stale")
        self.vm()
        h, = self.ask("capacity")
        self.assertEqual((h["wanted"], h["tags"], h["changed"], self.tags()), (["pvgpu-2g", "pvgpu-4g"], ["pvgpu-stale"], False, "ssd,pvgpu-stale"))
        self.assertEqual([(p["name"], p["fits"]) for p in h["profiles"]], [("big", 0), ("pvgpu-2g", 4), ("pvgpu-4g", 2)])
        self.ask("capacity", "--apply")
        self.assertEqual(self.tags(), "pvgpu-2g,pvgpu-4g,ssd")
        self.ask("enable", "web1", "--profile", "pvgpu-2g", "--count", 3)
        self.ask("capacity", "--apply")
        self.assertEqual(self.tags(), "pvgpu-2g,ssd")
        self.ask("enable", "web1", "--profile", "pvgpu-4g", "--count", 2)
        h, = self.ask("capacity", "--apply")
        self.assertEqual(self.tags(), "ssd")
        self.assertIn("0 of 8192 MiB are not promised yet", h["profiles"][1]["why"])
        self.ask("disable", "web1")
        self.ask("capacity", "--apply")
        n = len(self.cloud.calls)
        self.ask("capacity", "--apply")
        self.assertEqual(self.tags(), "pvgpu-2g,pvgpu-4g,ssd")
        self.assertNotIn("updateHost", [c for c, _ in self.cloud.calls[n:]])

    def test_most_room_and_keep_free(self):
        self.vm()
        for n, gib in ((2, 16), (3, 16)):
            self.hosts.append(self.cloud.add_host("xcp%d" % n, "10.0.0.%d" % n))
            self.pool.add_host("xcp%d" % n, "10.0.0.%d" % n, gib)
        conf = self.write_conf("most.conf", tags={"most-room": "1"})
        self.ask("enable", "web1", "--profile", "pvgpu-2g")
        self.ask("capacity", "--apply", conf=conf)
        self.assertEqual([self.tags("xcp%d" % n) for n in (1, 2, 3)], ["", "pvgpu-2g,pvgpu-4g", ""])
        self.ask("capacity", "--apply", conf=self.write_conf("keep.conf", tags={"keep-free": "3", "prefix": "gpu-"}))
        self.assertEqual([self.tags("xcp%d" % n) for n in (1, 2, 3)], ["", "gpu-pvgpu-2g,gpu-pvgpu-4g,pvgpu-2g,pvgpu-4g", "gpu-pvgpu-2g,gpu-pvgpu-4g"])

    def test_hosts_that_cannot_be_asked_keep_their_tags(self):
        self.hosts[0].update(hosttags="pvgpu-2g", explicithosttags="pvgpu-2g")
        self.pool.named("xcp1").down = True
        self.refused(1, "host xcp1: pool p1: host.call_plugin: HOST_OFFLINE", "capacity", "--apply")
        self.pool.named("xcp1").down = False
        self.hosts[0]["istagarule"] = True
        self.refused(1, "its tags are a rule", "capacity", "--apply")
        self.hosts[0].update(istagarule=False, ipaddress="10.9.9.9", name="elsewhere")
        self.refused(1, "has a host with the address 10.9.9.9", "capacity", "--apply")
        self.assertEqual(self.hosts[0]["hosttags"], "pvgpu-2g")
        self.hosts[0].update(ipaddress="10.0.0.1", name="xcp1")
        self.cloud.refuse["updateHost"] = [ApiError(530, "Failed to update host")]
        self.refused(1, "Failed to update host", "capacity", "--apply")

    def test_implicit_tags_are_not_written(self):
        self.hosts[0].update(hosttags="a,agent", explicithosttags="a", implicithosttags="agent")
        self.ask("capacity", "--apply")
        self.assertEqual(self.hosts[0]["explicithosttags"], "a,pvgpu-2g,pvgpu-4g")


class Webhook(World):
    def setUp(self):
        super().setUp()
        self.conf["webhook"] = {"listen": "127.0.0.1:0", "secret": self.secret("hook", "hook secret\n"), "every": "0"}
        self.write_conf()
        self.children = []

    def serve(self):
        child = self.start("serve")
        self.addCleanup(self.end, child)
        self.until(lambda: "listening on 127.0.0.1:" in child.err.read_text() or child.out.read_text())
        self.url = "http://127.0.0.1:%s/pvgpu" % child.err.read_text().split("127.0.0.1:")[1].split()[0]
        return child

    def end(self, child):
        if child.status is None:
            child.kill(signal.SIGTERM)
            self.assertEqual(child.wait().status, 0, child.err.read_text())

    def event(self, name, status, v, **more):
        return self.cloud.deliver(self.url, "hook secret", name, status, v["id"], **more)

    def test_events(self):
        v = self.vm(running=False, details={"extraconfig-1": T2})
        self.ask("usage", "collect", schema="collect")
        child = self.serve()
        self.cloud.start(v, self.hosts[0], polls=0)
        self.assertEqual(self.event("VM.START", "Completed", v)[0], 200)
        self.until(lambda: self.live(v) == [("pvgpu-2g", ALICE)])
        self.until(lambda: "pvgpu-2g,pvgpu-4g" in [h["hosttags"] for h in self.cloud.hosts.values()])
        for _ in range(3):  # CloudStack delivers again what it thinks is lost
            self.assertEqual(self.event("VM.START", "Completed", v)[0], 200)
        # The counters are read when the VM is about to stop.
        vm = self.pool.of("i-2-100-VM")
        self.pool.host_of(vm).use(int(vm["domid"]), 0, 42_000_000)
        self.event("VM.STOP", "Started", v)
        self.until(lambda: any(r["gpu-seconds"] == "42.000000" for r in self.ask("usage", "report", schema="report")))
        self.cloud.stop(v)
        self.event("VM.STOP", "Completed", v)
        del self.cloud.vms[v["id"]]
        self.event("VM.EXPUNGE", "Completed", v)
        self.until(lambda: "CloudStack has none with this id" in child.err.read_text())
        self.assertNotIn("Traceback", child.err.read_text())

    def test_what_is_not_taken(self):
        v = self.vm(details={"extraconfig-1": T2})
        child = self.serve()
        self.until(lambda: "updateHost" in [c for c, _ in list(self.cloud.calls)])  # the first round
        n = len(self.cloud.calls)
        for status, more in ((401, {"signature": ""}), (401, {"signature": "bm8="}), (401, {"signature": "\u00e9".encode().decode("latin-1")}),
                             (400, {"body": b"no json"}), (200, {"body": b'{ "CloudStack": "works!" }'}), (200, {"body": b"[1]"}),
                             (200, {"body": b'{"event":"VM.START","status":"Completed","entity":"VirtualMachine","entityuuid":"../x"}'})):
            self.assertEqual(self.event("VM.START", "Completed", v, **more)[0], status, more)
        self.assertEqual(self.event("VOLUME.CREATE", "Completed", v)[0], 200)
        self.assertEqual(self.event("VM.START", "Scheduled", v)[0], 200)
        link = http.client.HTTPConnection("127.0.0.1", int(self.url.split(":")[2].split("/")[0]), timeout=60)
        link.putrequest("POST", "/pvgpu")
        link.putheader("Content-Length", str(1 + (1 << 20)))
        link.endheaders()
        self.assertEqual(link.getresponse().status, 413)
        link.close()
        self.end(child)
        self.assertEqual([c for c, p in self.cloud.calls[n:] if p.get("id") == v["id"]], [])

    def test_rounds_repair_what_no_event_told(self):
        v = self.vm()
        self.conf["webhook"]["every"] = "1"
        self.write_conf()
        child = self.serve()
        v["details"]["extraconfig-1"] = T2
        self.until(lambda: self.live(v) == [("pvgpu-2g", ALICE)])
        self.cloud.refuse["listVirtualMachines"] = [ApiError(530, "out of order")] * 2
        self.until(lambda: "out of order" in child.err.read_text())
        v["details"]["extraconfig-1"] = "other_config:pvgpu=off"
        self.until(lambda: self.live(v) == [])

    def test_a_vm_in_motion_holds_up_no_other(self):
        stuck = [self.vm("web%d" % n, "i-2-20%d-VM" % n, details={"extraconfig-1": T2}) for n in range(2)]
        v = self.vm(running=False, details={"extraconfig-1": T2})
        self.serve()
        for s in stuck:
            s["state"] = "Stopping"
            self.event("VM.STOP", "Completed", s)
        for s in stuck:
            self.until(lambda: any(p.get("id") == s["id"] for _, p in list(self.cloud.calls)))
        lock = os.open(self.folder / "state" / "locks", os.O_RDWR | os.O_CREAT)
        self.addCleanup(os.close, lock)
        other = self.vm("web9", "i-2-209-VM", details={"extraconfig-1": T2})
        fcntl.lockf(lock, fcntl.LOCK_EX, 1, 1 + int(other["id"].replace("-", "")[:12], 16))  # a tool waits for it
        self.event("VM.START", "Completed", other)
        self.cloud.start(v, self.hosts[0], polls=0)
        self.event("VM.START", "Completed", v)
        self.until(lambda: self.live(v) == [("pvgpu-2g", ALICE)])
        stuck[0]["state"] = "Running"  # and no event says so
        self.until(lambda: self.live(stuck[0]) == [("pvgpu-2g", ALICE)])
        fcntl.lockf(lock, fcntl.LOCK_UN, 1, 1 + int(other["id"].replace("-", "")[:12], 16))
        self.until(lambda: self.live(other) == [("pvgpu-2g", ALICE)])

    def test_slow_clients_shut_out_nobody(self):
        v = self.vm(details={"extraconfig-1": T2})
        child = self.serve()
        port, slow, going = int(self.url.split(":")[2].split("/")[0]), [], threading.Event()
        for _ in range(40):
            s = socket.create_connection(("127.0.0.1", port))
            s.sendall(b"POST /pvgpu HTTP/1.1\r\nX: ")
            slow.append(s)
            self.addCleanup(s.close)

        def drip():
            while not going.wait(0.5):
                for s in slow:
                    try:
                        s.sendall(b"x")
                    except OSError:
                        pass
        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        self.addCleanup(going.set)
        self.assertEqual(self.event("VM.START", "Completed", v)[0], 200)
        self.until(lambda: self.live(v) == [("pvgpu-2g", ALICE)])

        def ended():
            for s in slow:
                s.setblocking(False)
                try:
                    if s.recv(1):
                        return False
                except BlockingIOError:
                    return False
                except OSError:
                    pass
            return True
        self.until(ended, "each has a time for its whole request")
        slow[:] = [socket.create_connection(("127.0.0.1", port)) for _ in range(40)]
        child.kill(signal.SIGTERM)
        self.assertEqual(child.wait().status, 0)
        for s in slow:
            s.close()

    def test_refusals(self):
        self.refused(2, "[webhook]: secret is missing", "serve", conf=self.write_conf("a.conf", webhook={"secret": None}))
        self.refused(2, "(the webhook's secret): is empty", "serve", conf=self.write_conf("b.conf", webhook={"secret": self.secret("empty", "\n")}))
        self.refused(2, "needs certificate and key", "serve", conf=self.write_conf("c.conf", webhook={"listen": "0.0.0.0:0"}))


class Check(World):
    def test_check(self):
        found = self.ask("check", status=0)
        self.assertEqual(found["faults"], [])
        self.assertIn("vm.strict.host.tags lacks pvgpu-2g: ", " ".join(found["notes"]))
        self.cloud.settings.update({"allow.additional.vm.configuration.list.xenserver": "", "enable.additional.vm.configuration": "false",
                                    "vm.strict.host.tags": "pvgpu-2g, pvgpu-4g,pvgpu-big"})
        del self.cloud.settings["gpu.detach.on.stop"]
        (self.pool.named("xcp1").folder / "tenants.conf").write_text("[tenant a]\nvgpus = lots\n")
        found = self.ask("check", status=1)
        self.assertIn("lacks other_config:pvgpu: no toggle can be written", found["faults"][0])
        self.assertIn("xcp1: ", found["faults"][1])
        self.assertEqual(len(found["faults"]), 2)
        self.assertIn("must be for each account", found["notes"][0])
        self.assertIn("has no gpu.detach.on.stop", found["notes"][1])
        self.assertEqual(len(found["notes"]), 2)


class Groups(World):
    """Offerings with a GPU by xapi's own VGPU types."""
    GROUP = "Group of NVIDIA Corporation GH100 [H100 SXM5 80GB] GPUs"

    def setUp(self):
        super().setUp()
        host = self.pool.named("xcp1")
        types = [self.pool.add_object("vgpu_type", model_name=n, vendor_name="NVIDIA Corporation", identifier="", size=1, internal_config={},
                                      compatible_types_on_pgpu=[]) for n in ("passthrough", "pvgpu-2g", "pvgpu-4g")]
        group = self.pool.add_object("gpu_group", name_label=self.GROUP, supported_VGPU_types=types, enabled_VGPU_types=types)
        self.pool.add_object("pgpu", host=host.ref, GPU_group=group, supported_VGPU_types=types, enabled_VGPU_types=types)

    def tell(self, host, **capacities):
        """As GetGPUStatsCommand and updateGPUDetails write it, and HostJoinDaoImpl shows it."""
        host["gpugroup"] = [{"gpugroupname": self.GROUP, "vgpu": [{"vgputype": "passthrough", "remainingcapacity": 1, "maxcapacity": 1}] + [
            {"vgputype": n.replace("_", "-"), "videoram": 2 * GIB, "maxvgpuperpgpu": m, "remainingcapacity": left, "maxcapacity": m}
            for n, (left, m) in capacities.items()]}]

    def test_what_hosts_report(self):
        found = self.ask("check", status=1)
        self.assertEqual(found["groups"], [])
        self.assertEqual([f for f in found["faults"] if "reconnectHost" in f],
                         ["host xcp1: xapi has the VGPU type %s in '%s', and CloudStack does not know it: reconnectHost tells it" % (t, self.GROUP)
                          for t in ("pvgpu-2g", "pvgpu-4g")])
        self.tell(self.hosts[0], pvgpu_2g=(3, 4), pvgpu_4g=(0, 2))
        self.hosts.append(self.cloud.add_host("xcp2", "10.0.0.2"))
        self.pool.add_host("xcp2", "10.0.0.2")
        found = self.ask("check")
        self.assertEqual([(g["host"], g["group"], g["type"], g["remaining"], g["capacity"]) for g in found["groups"]],
                         [("xcp1", self.GROUP, "pvgpu-2g", 3, 4), ("xcp1", self.GROUP, "pvgpu-4g", 0, 2)])
        self.assertIn("host xcp2 has no VGPU types of pvgpu's", " ".join(found["notes"]))
        self.assertIn("host xcp1: 3 of 4 left of pvgpu-2g in '%s'\n" % self.GROUP, self.run_tool("check").out)
        self.tell(self.hosts[1], pvgpu_2g=(4, 4))
        found = self.ask("check", status=1)
        self.assertEqual(len(found["faults"]), 0 + 1)
        self.assertIn("host xcp2: CloudStack takes it for one with the VGPU type pvgpu-2g in '%s', which xapi does not have" % self.GROUP, found["faults"][0])

    def test_offerings(self):
        self.tell(self.hosts[0], pvgpu_2g=(3, 4), pvgpu_4g=(2, 2))
        self.cloud.offerings.update(
            new={"id": "new", "name": "GPU-2G", "vgpuprofileid": "p1", "vgpuprofilename": "pvgpu-2g", "gpucardname": "H100", "gpucount": 1},
            old={"id": "old", "name": "GPU-4G", "serviceofferingdetails": {"pciDevice": self.GROUP, "vgpuType": "pvgpu-4g"}, "state": "Inactive"})
        found = self.ask("check")
        self.assertEqual([n for n in found["notes"] if n.startswith("offering")], [])
        self.cloud.offerings["old"]["serviceofferingdetails"]["pciDevice"] = "Group of GPUs"
        self.cloud.offerings["new"].update(vgpuprofilename="pvgpu-9g", hosttags="ssd, pvgpu-2g")
        found = self.ask("check", status=1)
        self.assertEqual([n for n in found["notes"] if n.startswith("offering")],
                         ["offering GPU-2G: no host reports the VGPU type pvgpu-9g", "offering GPU-4G: no host reports the VGPU type pvgpu-4g in 'Group of GPUs'"])
        self.assertEqual(found["faults"], ["offering GPU-2G has the VGPU type pvgpu-9g and the host tag pvgpu-2g: one of both says which vGPU a VM gets"])


class Configuration(World):
    def test_faults(self):
        for sections, text in (
                ({"cloudstack": {"url": "http://cs.example.org/client/api"}}, "url = http://cs.example.org/client/api: must be https://HOST"),
                ({"cloudstack": {"url": "https://me:secret@cs.example.org/"}}, "must not have a user or a password"),
                ({"cloudstack": {"url": None}}, "[cloudstack]: url is missing"),
                ({"cloudstack": {"timeout": "soon"}}, "timeout = soon: must be a number from 1 to 3600"),
                ({"cloudstack": {"verify": "no"}}, "verify: not known; there are ca, job-timeout, "),
                ({"cloudstack": {"keys": "/none"}}, "/none (CloudStack's keys): No such file"),
                ({"cloudstack": {"keys": str(self.folder)}}, "Is a directory"),
                ({"cloudstack": {"keys": self.secret("k1", "api-key = x\nsecret-key = y\n", 0o640)}}, "mode 0640 lets other users read it: chmod 600 "),
                ({"cloudstack": {"keys": self.secret("k2", "api-key = x\n")}}, "has no `secret-key = ...`"),
                ({"cloudstack": {"keys": self.secret("k3", "api-key = x\na~secret*key/+\n")}}, "k3:2 (CloudStack's keys): is neither"),
                ({"cloudstack": {"ca": "/none", "url": "https://127.0.0.1/"}}, "ca = /none: "),
                ({"cloudstacks": {}}, "[cloudstacks]: there are [cloudstack], [pool NAME]"),
                ({"pool": {"url": "https://x"}}, "[pool]: there are "),
                ({"toggle": {"tenant": "me"}}, "tenant = me: must be account or none"),
                ({"tags": {"prefix": "a b"}}, "prefix = a b: must be 1 to 40 letters"),
                ({"webhook": {"listen": "8095"}}, "listen = 8095: must be ADDRESS:PORT")):
            with self.subTest(sections=sections):
                self.refused(2, text, "status", "web1", conf=self.write_conf("bad.conf", **sections))
        self.refused(2, "none.conf: No such file or directory; --config names another", "status", "web1", conf="none.conf")
        (self.folder / "odd.conf").write_text("x = y\n")
        self.refused(2, "odd.conf: ", "status", "web1", conf="odd.conf")
        del self.conf["pool p1"]
        self.refused(2, "there is no [pool NAME]", "status", "web1", conf=self.write_conf("nopool.conf"))

    @unittest.skipUnless(os.geteuid() == 0, "root alone gives files away")
    def test_a_secret_of_another_user(self):
        keys = self.conf["cloudstack"]["keys"]
        os.chown(keys, 12345, -1)
        self.refused(2, "keys (CloudStack's keys): belongs to user 12345: run pvgpu-cloudstack as that user, or chown it", "status", "web1")

    def test_not_a_cloudstack(self):
        self.refused(3, "Connection refused", "status", "web1", conf=self.write_conf("a.conf", cloudstack={"url": "http://127.0.0.1:9/client/api"}))
        self.refused(3, "HTTP status 501 and no JSON", "status", "web1",
                     conf=self.write_conf("b.conf", cloudstack={"url": self.html()}))

    def html(self):
        server = serve(type("Nothing", (http.server.BaseHTTPRequestHandler,), {"log_message": lambda *_: None}))
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return "http://127.0.0.1:%d/client/api" % server.server_address[1]


class Tls(World):
    """Both connections verify chain and name; there is no switch that would not."""

    def certificate(self, name, san):
        key, cert = self.folder / (name + ".key"), self.folder / (name + ".pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=x",
                        "-addext", "subjectAltName=" + san, "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(str(cert), str(key))
        return str(cert), context

    def test_chain_and_name(self):
        good, context = self.certificate("good", "IP:127.0.0.1")
        named, other = self.certificate("named", "DNS:xcp1.example.org")
        cloud, pool_url = Cloud(context), "https://127.0.0.1:%d" % self.pool.serve(other)
        self.addCleanup(cloud.close)
        cloud.vms, cloud.accounts = self.cloud.vms, self.cloud.accounts
        v = self.vm()

        def conf(name, cs_ca, pool_ca, tls_name):
            return self.write_conf(name, cloudstack={"url": cloud.url, "ca": cs_ca},
                                   pool_p1={"url": pool_url, "ca": pool_ca, "tls-name": tls_name})
        self.refused(3, "TLS: ", "status", "web1", conf=conf("a.conf", None, named, "xcp1.example.org"))
        self.refused(3, "TLS: ", "status", "web1", conf=conf("b.conf", named, named, "xcp1.example.org"))
        self.refused(3, "ca names the authority, tls-name the certificate's name", "status", "web1", conf=conf("c.conf", good, named, None))
        self.refused(3, "pool p1: ", "status", "web1", conf=conf("d.conf", good, good, "xcp1.example.org"))
        self.assertEqual((cloud.calls[-1][0], self.pool.calls), ("listVirtualMachines", []))
        self.ask("enable", "web1", "--profile", "pvgpu-2g", conf=conf("e.conf", good, named, "xcp1.example.org"))
        self.assertEqual(self.live(v), [("pvgpu-2g", ALICE)])


    def test_webhooks(self):
        cert, _ = self.certificate("hook", "IP:127.0.0.1")
        self.conf["webhook"] = {"listen": "127.0.0.1:0", "secret": self.secret("hook", "hook secret\n"), "every": "0", "certificate": cert,
                                "key": cert.replace(".pem", ".key")}
        self.write_conf()
        child = self.start("serve")
        self.until(lambda: "listening on " in child.err.read_text())
        port = int(child.err.read_text().split("127.0.0.1:")[1].split()[0])
        body = b'{ "CloudStack": "works!" }'
        idle = socket.create_connection(("127.0.0.1", port))  # begins no handshake, and holds up no other
        for _ in range(2):
            link = http.client.HTTPSConnection("127.0.0.1", port, context=ssl.create_default_context(cafile=cert), timeout=PATIENCE)
            link.request("POST", "/", body, {"X-CS-Signature": webhook.signature("hook secret", body)})
            self.assertEqual(link.getresponse().status, 200)
            link.close()
        idle.close()
        child.kill(signal.SIGTERM)
        self.assertEqual(child.wait().status, 0)


class Old(unittest.TestCase):
    """The management hosts that are oldest have Python 3.6."""

    def test_syntax(self):
        folder = TOP / "xen-pvgpu-back" / "cloudstack"
        for path in [folder / "pvgpu-cloudstack", *sorted((folder / "pvgpu_cloudstack").glob("*.py"))]:
            tree = ast.parse(path.read_text(), str(path), feature_version=(3, 6))
            names = {n.names[0].name.split(".")[0] for n in ast.walk(tree) if isinstance(n, ast.Import)}
            self.assertLessEqual(names, {"argparse", "base64", "calendar", "configparser", "contextlib", "csv", "fcntl", "hashlib", "hmac", "http", "ipaddress",
                                         "json", "os", "re", "signal", "socket", "socketserver", "sqlite3", "ssl", "stat", "sys", "threading", "time",
                                         "urllib", "xmlrpc"}, path)


if __name__ == "__main__":
    unittest.main(warnings="ignore")
