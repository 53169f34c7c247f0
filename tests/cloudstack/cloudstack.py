# SPDX-License-Identifier: MIT
"""A double of CloudStack's API, as far as pvgpu-cloudstack uses it, that is as strict as CloudStack is.

Where its shapes and rules come from (apache/cloudstack, 4.20 to 4.22, and its documentation):
- signature, expiry, refusal of GET: server ApiServer.verifyRequest (HMAC-SHA1 over sorted, lower-cased parameters, each value as
  java.net.URLEncoder writes it with %20; signatureVersion 3; expires at most 15 minutes ahead where enforce.post.requests.and.timestamps is on)
- answers: {"<command>response": {...}}; lists {"count": N, "<entity>": [...]}, empty ones {}; errors with uuidList, errorcode, cserrorcode and
  errortext and that HTTP status: ApiErrorCode, ApiServer.getSerializedApiError; asynchronous commands {"jobid": UUID} and AsyncJobResponse
- VMs, hosts: UserVmResponse (instancename for root only), HostResponse (hosttags, explicithosttags, istagarule)
- extraconfig: UserVmManagerImpl.updateVirtualMachine, addExtraConfig, persistExtraConfigXenServer (the value is decoded once more; line by line,
  so that a refused line leaves those before it written), isValidKeyValuePair, isValidXenOrVmwareConfiguration; only callers of type Admin
- its use at a VM's start: xenserver ExtraConfigurationUtility
- page sizes: BaseListCmd; projectid=-1: AccountManagerImpl.buildACLSearchParameters
- events: ActionEventUtils.publishOnEventBus; their delivery: mom.webhook.WebhookDeliveryThread
"""
import base64
import hashlib
import hmac
import http.client
import http.server
import json
import pathlib
import re
import socketserver
import sys
import threading
import time
import urllib.parse
import uuid

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "xapi"))
import xapi  # noqa: E402

JAVA_SAFE = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-*_")


def java_encoded(text):
    return "".join(c if c in JAVA_SAFE else "".join("%%%02X" % b for b in c.encode()) for c in text)


class ApiError(Exception):
    def __init__(self, code, text):
        super().__init__(text)
        self.code, self.text = code, text


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads, request_queue_size = True, 64


def serve(handler, context=None):
    server = Server(("127.0.0.1", 0), handler)
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    return server


class Cloud:
    """Its state, and faults to order: refuse[command] = [ApiError, ...], one a call; silent: commands that are done and never answered."""

    def __init__(self, context=None, gate=lambda *_: None):
        self.lock, self.gate = threading.RLock(), gate
        self.keys = {"the-api-key": "a~secret*key/+"}
        self.rules = None         # the role's APIs; None: all
        self.admin = True         # the account's type is Admin
        self.vms, self.hosts, self.accounts, self.offerings, self.jobs = {}, {}, {}, {}, {}
        self.settings = {"enable.additional.vm.configuration": "true", "allow.additional.vm.configuration.list.xenserver": "other_config:pvgpu, PV-args",
                         "vm.strict.host.tags": "", "gpu.detach.on.stop": "false"}
        self.domain_settings = {}  # (name, domain id): value
        self.most_page, self.refuse, self.silent, self.calls = 500, {}, {}, []
        self.pool = None          # of the VMs' domains
        self.numbers, self.never = {}, threading.Event()
        self.server = serve(type("CloudHandler", (Handler,), {"cloud": self}), context)
        self.url = "%s://127.0.0.1:%d/client/api" % ("https" if context else "http", self.server.server_address[1])

    def close(self):
        self.never.set()
        self.server.shutdown()
        self.server.server_close()

    # ---- what tests put in

    def add_host(self, name, address, tags="", **more):
        h = {"id": str(uuid.uuid4()), "name": name, "ipaddress": address, "type": "Routing", "hypervisor": "XenServer", "state": "Up",
             "resourcestate": "Enabled", "clustername": "c1", "zoneid": "z1", "hosttags": tags, "explicithosttags": tags, "implicithosttags": "",
             "istagarule": False}
        h.update(more)
        self.hosts[h["id"]] = h
        return h

    def add_vm(self, name, instance, state="Stopped", account="alice", details=None, **more):
        v = {"id": str(uuid.uuid4()), "name": name, "displayname": name, "instancename": instance, "state": state, "account": account,
             "domainid": "d1", "domain": "ROOT", "zoneid": "z1", "hypervisor": "XenServer", "serviceofferingid": "o1", "serviceofferingname": "small",
             "details": dict(details or {})}
        v.update(more)
        self.vms[v["id"]] = v
        return v

    # ---- requests

    def verify(self, method, params):
        said = {k.lower(): v for k, v in params.items()}
        line = "&".join("%s=%s" % (k, java_encoded(params[k])) for k in sorted(params) if k.lower() != "signature").lower()
        secret = self.keys.get(said.get("apikey"), None)
        try:
            left = time.mktime(time.strptime(said.get("expires", "")[:19], "%Y-%m-%dT%H:%M:%S")) - time.mktime(time.gmtime())
        except ValueError:
            left = -1
        good = secret is not None and method == "POST" and said.get("signatureversion") == "3" and 0 <= left <= 900
        made = base64.b64encode(hmac.new((secret or "").encode(), line.encode(), hashlib.sha1).digest()).decode()
        if not good or not hmac.compare_digest(made, said.get("signature", "")):
            raise ApiError(401, "unable to verify user credentials and/or request signature")
        if self.rules is not None and said.get("command") not in self.rules:
            raise ApiError(401, "The given command '%s' either does not exist, is not available for user." % said.get("command"))

    def request(self, method, params):
        """(HTTP status, body)"""
        command = params.get("command", "")
        try:
            self.verify(method, params)
            with self.lock:
                self.calls.append((command, params))
                order = self.refuse.get(command)
                if order:
                    raise order.pop(0)
                call = getattr(self, command, None)
                if not call or command.startswith("_"):
                    raise ApiError(432, "The given command '%s' either does not exist, is not available for user." % command)
                answer = call(params)
            status = 200
        except ApiError as e:
            status, answer = e.code, {"uuidList": [], "errorcode": e.code, "cserrorcode": 4350, "errortext": e.text}
        return status, json.dumps({command.lower() + "response": answer}).encode()

    def page(self, p, entity, found):
        size = int(p.get("pagesize", self.most_page))
        if size > self.most_page:
            raise ApiError(431, "Page size can't exceed max allowed page size value: %d" % self.most_page)
        start = (int(p.get("page", 1)) - 1) * size
        return {"count": len(found), entity: found[start:start + size]} if found[start:start + size] else {}

    # ---- commands

    def listVirtualMachines(self, p):
        found = []
        for v in self.vms.values():
            if "id" in p and v["id"] != p["id"]:
                continue
            if "id" not in p and bool(v.get("projectid")) != (p.get("projectid") == "-1"):
                continue
            if "keyword" in p and not any(p["keyword"] in v.get(k, "") for k in ("name", "displayname", "instancename")):
                continue
            if p.get("zoneid", v["zoneid"]) == v["zoneid"]:
                found.append({k: x for k, x in v.items() if self.admin or k != "instancename"})
        return self.page(p, "virtualmachine", found)

    def updateVirtualMachine(self, p):
        v = self.vms.get(p.get("id"))
        if not v:
            raise ApiError(431, "Unable to execute API command updatevirtualmachine due to invalid value. Invalid parameter id value=%s due to "
                           "incorrect long value format, or entity does not exist" % p.get("id"))
        if "extraconfig" in p:
            if not self.admin:
                raise ApiError(531, "Parameter extraconfig is not allowed for this account")
            if self.settings["enable.additional.vm.configuration"] != "true":
                raise ApiError(431, "attempted setting extraconfig but enable.additional.vm.configuration is disabled")
            self.extra_config(v, urllib.parse.unquote_plus(p["extraconfig"]))
        return {"virtualmachine": v}

    def extra_config(self, v, text):
        if not re.match(r"(?:[\w\-\s.:]*=[\w\-\s.'\":]*(?:\s+|$))+$", text, re.ASCII):
            raise ApiError(530, "Failed to update VM, due to The passed extra config string '%s' contains an invalid key/value pair pattern: " % text)
        allowed = [k.strip().lower() for k in self.settings["allow.additional.vm.configuration.list.xenserver"].split(",")]
        for n, line in enumerate(re.split(r"\r?\n+", text), 1):
            if line.split("=")[0].lower() not in allowed:
                raise ApiError(530, "Failed to update VM, due to Extra config %s is not on the list of allowed keys for XenServer hypervisor hosts.: "
                               % line)
            v["details"]["extraconfig-%d" % n] = line

    def queryAsyncJobResult(self, p):
        job = self.jobs.get(p.get("jobid"))
        if not job:
            raise ApiError(431, "Unable to find a job by id %s" % p.get("jobid"))
        if job["left"] > 0:
            job["left"] -= 1
        elif job["jobstatus"] == 0:
            job["end"](job)
        return {k: x for k, x in job.items() if k not in ("left", "end")}

    def new_job(self, cmd, vm, polls, end):
        """It ends when it was asked for so many times."""
        job = {"jobid": str(uuid.uuid4()), "cmd": "org.apache.cloudstack.api.command.admin.vm." + cmd, "jobstatus": 0, "jobprocstatus": 0,
               "jobresultcode": 0, "jobinstancetype": "VirtualMachine", "jobinstanceid": vm["id"], "left": polls, "end": end}
        vm["jobid"], vm["jobstatus"] = job["jobid"], 0
        self.jobs[job["jobid"]] = job
        return job

    def start(self, vm, host, polls=2, error=""):
        """startVirtualMachine, as the user interface calls it: a new xapi VM, with the lines of that moment."""
        lines = [x for k, x in sorted(vm["details"].items()) if k.startswith("extraconfig-")]

        def end(job):
            vm.pop("jobid"), vm.pop("jobstatus")
            said = dict(x.split(":", 1)[1].split("=", 1) for x in lines if x.startswith("other_config:"))
            reason = error
            try:
                if not error:
                    self.pool.create(vm["instancename"], host["name"], said)
            except xapi.ApiError as e:
                reason = "Unable to start a VM due to %s" % e
            job["jobstatus"] = 2 if reason else 1
            if reason:
                job.update(jobresultcode=530, jobresult={"errorcode": 530, "errortext": reason})
                vm["state"] = "Stopped"
                return
            vm["state"], vm["hostid"], vm["hostname"] = "Running", host["id"], host["name"]
        with self.lock:
            vm["state"] = "Starting"
            job = self.new_job("StartVMCmdByAdmin", vm, polls, end)
            if not polls:
                end(job)
        return job

    def stop(self, vm):
        with self.lock:
            self.pool.destroy(vm["instancename"])
            vm["state"] = "Stopped"
            vm.pop("hostid", None)

    def listHosts(self, p):
        found = [h for h in self.hosts.values() if p.get("type", h["type"]) == h["type"] and p.get("hypervisor", h["hypervisor"]) == h["hypervisor"]]
        return self.page(p, "host", found)

    def updateHost(self, p):
        h = self.hosts.get(p.get("id"))
        if not h:
            raise ApiError(431, "Invalid parameter id value=%s" % p.get("id"))
        h["hosttags"] = h["explicithosttags"] = ",".join(sorted(set(t for t in p["hosttags"].split(",") if t)))
        if h["implicithosttags"]:
            h["hosttags"] = ",".join(filter(None, [h["hosttags"], h["implicithosttags"]]))
        return {"host": h}

    def listAccounts(self, p):
        return self.page(p, "account", [a for a in self.accounts.values() if a["name"] == p.get("name") and a["domainid"] == p.get("domainid")])

    def listServiceOfferings(self, p):
        """ListServiceOfferingsCmd.getState: those that are Active, unless another state or `all` is asked for (4.19 and later)."""
        state = p.get("state", "Active").lower()
        if state not in ("all", "active", "inactive"):
            raise ApiError(431, "Invalid state value: " + p["state"])
        return self.page(p, "serviceoffering", [o for o in self.offerings.values() if p.get("id", o["id"]) == o["id"] and
                                                state in ("all", o.get("state", "Active").lower())])

    def listConfigurations(self, p):
        found = []
        for name, value in self.settings.items():
            if p.get("name", "") in name:
                found.append({"category": "Advanced", "name": name, "value": self.domain_settings.get((name, p.get("domainid")), value)})
        return {"count": len(found), "configuration": found} if found else {}

    # ---- webhooks

    def deliver(self, url, secret, event, status, vm, body=None, signature=None):
        """One attempt of WebhookDeliveryThread: (HTTP status, body of the answer)."""
        payload = json.dumps({"event": event, "status": status, "entity": "VirtualMachine", "entityuuid": vm, "VirtualMachine": vm,
                              "account": str(uuid.uuid4()), "user": str(uuid.uuid4()), "description": "of VM",
                              "eventDateTime": time.strftime("%Y-%m-%d %H:%M:%S +0000", time.gmtime())}).encode() if body is None else body
        made = base64.b64encode(hmac.new(secret.encode(), payload, hashlib.sha256).digest()).decode() if signature is None else signature
        u = urllib.parse.urlsplit(url)
        link = http.client.HTTPConnection(u.hostname, u.port, timeout=10)
        link.request("POST", u.path or "/", payload, {"Content-Type": "application/json; charset=UTF-8", "X-CS-Event-ID": str(uuid.uuid4()),
                                                      "X-CS-Event": event, "User-Agent": "CS-Hookshot/x", "X-CS-Signature": made})
        answer = link.getresponse()
        out = answer.status, answer.read()
        link.close()
        return out


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        params = {k: v[0] for k, v in urllib.parse.parse_qs(body, keep_blank_values=True, strict_parsing=True).items()}
        self.answer("POST", params)

    def do_GET(self):
        self.answer("GET", {k: v[0] for k, v in urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query, keep_blank_values=True).items()})

    def answer(self, method, params):
        command = params.get("command", "")
        if self.cloud.gate("before", command):
            return
        status, out = self.cloud.request(method, params)
        if self.cloud.gate("after", command):
            return
        if self.cloud.silent.get(command, 0) > 0:
            self.cloud.silent[command] -= 1
            self.cloud.never.wait(60)
            self.close_connection = True
            return
        try:
            self.send_response(status)
            self.send_header("Content-Type", "application/json; charset=utf-8")
            self.send_header("Content-Length", str(len(out)))
            self.end_headers()
            self.wfile.write(out)
        except OSError:
            self.close_connection = True

    def log_message(self, format, *args):
        pass
