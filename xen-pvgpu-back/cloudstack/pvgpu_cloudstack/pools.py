# SPDX-License-Identifier: MIT
"""XCP-ng's pools by XenAPI: where a VM runs, and the plugin `pvgpu` of that host (docs/operators/xe.md)."""
import http.client
import json
import socket
import ssl
import urllib.parse
import xmlrpc.client as rpc

from .failure import Failure, NOT_THERE, REFUSED, TIMED_OUT, USAGE, not_there
from .site import secret_pair, url as permitted_url
from .tls import Transport

STATUS = {"PVGPU_REFUSED": REFUSED, "PVGPU_WRONG_USE": USAGE, "PVGPU_NOT_THERE": NOT_THERE, "PVGPU_TIMED_OUT": TIMED_OUT,
          "PVGPU_NOT_INSTALLED": NOT_THERE, "XENAPI_MISSING_PLUGIN": NOT_THERE}
ADVICE = {
    "XENAPI_MISSING_PLUGIN": "install pvgpu's tools on this host: docs/operators/xe.md",
    "RBAC_PERMISSION_DENIED": "plugins need a user of role pool-admin",
    "SESSION_AUTHENTICATION_FAILED": "see the login file",
}
ANOTHER_SESSION = ("SESSION_INVALID", "HOST_IS_SLAVE")  # xapi's answers that a new login may mend
NAME, KEY = "pvgpu-cloudstack", "pvgpu"


class Pool:
    def __init__(self, name, section):
        self.name, self.section, self.urls = name, section, list(section["url"])
        self.user, self.password = secret_pair(section["login"], "login of pool %s" % name, "user", "password")
        self.server = self.session = None

    # ---- one call

    def connect(self):
        """A session with the pool's master. A slave names it; a host that does not answer is followed by the next."""
        last = None
        tried = set()
        queue = list(self.urls)
        while queue:
            url = queue.pop(0)
            if url in tried:
                continue
            tried.add(url)
            try:
                return self.login(url)
            except Failure as e:
                if e.code != "HOST_IS_SLAVE":
                    last = e
                    if e.code:  # it answers, and does not want us
                        raise
                    continue
                master = e.params[0] if e.params else ""
                queue.insert(0, self.of_master(url, master))
        raise last or not_there("%s: url names no host" % self.section.where)

    def of_master(self, url, master):
        """The URL of the pool's master, which one of its slaves names. What holds for URLs of the configuration holds for it."""
        u = urllib.parse.urlsplit(url)
        at = u._replace(netloc="%s%s" % (master if ":" not in master else "[%s]" % master, ":%d" % u.port if u.port else "")).geturl()
        try:
            return permitted_url(at)
        except ValueError as e:
            raise Failure("pool %s: %s names the pool's master %s: its URL %s %s; name the master in url of %s"
                          % (self.name, u.netloc, master, at, e, self.section.where), NOT_THERE)

    def login(self, url):
        u = urllib.parse.urlsplit(url)
        context = self.section.context() if u.scheme == "https" else None
        transport = Transport(u, context, self.section["timeout"], self.section["tls-name"])
        server = rpc.ServerProxy("%s://%s/" % (u.scheme, u.netloc), transport=transport, allow_none=False)
        self.at = u.netloc
        session = self.raw(server, "session.login_with_password", self.user, self.password, "1.0", NAME)
        self.server, self.session, self.transport = server, session, transport

    def raw(self, server, method, *params):
        try:
            answer = getattr(server, method)(*params)
        except (socket.timeout, TimeoutError):
            raise Failure("pool %s: %s did not answer %s within %d s" % (self.name, self.at, method, self.section["timeout"]), TIMED_OUT)
        except ssl.SSLError as e:
            raise Failure("pool %s: %s: TLS: %s; %s: ca names the authority, tls-name the certificate's name"
                          % (self.name, self.at, getattr(e, "verify_message", "") or e.reason or e, self.section.where), NOT_THERE)
        except (OSError, http.client.HTTPException) as e:
            raise not_there("pool %s: %s: %s" % (self.name, self.at, getattr(e, "strerror", None) or e or type(e).__name__)) from e
        except (rpc.Error, ValueError, SyntaxError) as e:
            raise Failure("pool %s: %s answered %s with no XenAPI: %s" % (self.name, self.at, method, type(e).__name__), NOT_THERE)
        if not isinstance(answer, dict) or answer.get("Status") not in ("Success", "Failure"):
            raise Failure("pool %s: %s answered %s with no XenAPI" % (self.name, self.at, method), NOT_THERE)
        if answer["Status"] == "Success":
            return answer["Value"]
        said = [str(p) for p in answer.get("ErrorDescription", [])] or ["UNKNOWN"]
        e = Failure(self.sentence(method, said), STATUS.get(said[0], REFUSED), said[0])
        e.params = said[1:]
        raise e

    def sentence(self, method, said):
        if said[0].startswith("PVGPU_"):
            return said[1] if len(said) > 1 else said[0]
        shown = "its parameters" if said[0].startswith("SESSION_AUTH") else ", ".join(" ".join(p.split())[:200] for p in said[1:])
        advice = ADVICE.get(said[0], "")
        return "pool %s: %s: %s%s%s" % (self.name, method, said[0], ": " + shown if shown else "", "; " + advice if advice else "")

    def call(self, method, *params, wait=0):
        """wait: seconds that this call may take beyond the pool's timeout."""
        if not self.server:
            self.connect()
        try:
            return self.once(method, params, wait)
        except Failure as e:
            # A connection that is refused has sent nothing, and these answers come before anything is done. After other failures the call may be done.
            if not isinstance(e.__cause__, ConnectionRefusedError) and e.code not in ANOTHER_SESSION:
                raise
        self.connect()
        return self.once(method, params, wait)

    def once(self, method, params, wait):
        transport = self.transport
        transport.patience(self.section["timeout"] + wait)
        try:
            return self.raw(self.server, method, self.session, *params)
        except Failure as e:
            if not e.code or e.code in ANOTHER_SESSION:  # xapi has not answered, or another host is the master: the next call looks for it
                self.leave()
            raise
        finally:
            transport.patience(self.section["timeout"])

    def leave(self):
        self.server("close")()
        self.server = None

    def close(self):
        if self.server:
            try:
                self.raw(self.server, "session.logout", self.session)
            except Failure:
                pass
            self.leave()

    # ---- hosts and VMs

    def hosts(self):
        """{ref: record}"""
        return self.call("host.get_all_records")

    def running(self, instance):
        """The one domain of this name-label: (ref, record), None without one. Templates and snapshots may have its name."""
        found = []
        for ref in self.call("VM.get_by_name_label", instance):
            record = self.call("VM.get_record", ref)
            if record["power_state"] == "Running" and not record["is_a_template"] and not record.get("is_a_snapshot"):
                found.append((ref, record))
        if len(found) > 1:
            raise Failure("pool %s has %d running VMs with the name-label %s: CloudStack has one" % (self.name, len(found), instance))
        return found[0] if found else None

    def plugin(self, host, fn, **args):
        out = self.call("host.call_plugin", host, KEY, fn, {k.replace("_", "-"): str(v) for k, v in args.items()},
                        wait=16 * args.get("timeout", 0))  # detach of all waits for each
        try:
            return json.loads(out)
        except ValueError:
            raise Failure("pool %s: the plugin's %s answered no JSON" % (self.name, fn))


class Pools:
    def __init__(self, site):
        self.all = [Pool(n, s) for n, s in sorted(site.pools.items())]

    def running(self, vm):
        """(pool, ref, record) of a VM that CloudStack says is running; a pool that does not answer is an error only if no other has it."""
        failed = None
        for pool in self.all:
            try:
                found = pool.running(vm.instance)
            except Failure as e:
                failed = e
                continue
            if found:
                return (pool,) + found
        if failed:
            raise failed
        raise not_there("VM %s: CloudStack says that it is Running, and no pool (%s) has a running VM of that name-label"
                        % (vm, ", ".join(p.name for p in self.all)))

    def close(self):
        for pool in self.all:
            pool.close()
