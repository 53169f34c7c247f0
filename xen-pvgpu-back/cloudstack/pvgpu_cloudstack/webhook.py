# SPDX-License-Identifier: MIT
"""The consumer of CloudStack's webhooks: an event about a VM makes it equal to its toggle, and all else true a little later.

An event says only which VM to look at; what is done follows from CloudStack's state. So an event that comes twice, late or not at all does
no harm: a round over all VMs follows every [webhook] every seconds."""
import base64
import hashlib
import hmac
import http.server
import json
import socket
import socketserver
import ssl
import sys
import threading
import time

from .failure import Failure, usage
from .site import on_loopback, secret_text
from .tags import capacity
from .toggle import Late
from .usage import Ledger, Sampler
from .vms import NO_VM, UNSETTLED, UUID

MOST = 1 << 20   # bytes of an event
PLACES = 32      # connections at a time,
PLACES_OF_ONE = 24  # of one address
REQUEST = 10     # seconds for a handshake and a request
TRIES, AGAIN, LONGEST = 6, 1.0, 60.0
LOOK, LONGEST_LOOK = 0.5, 10.0  # at a VM that starts, stops or moves: an event says when it has done so, if none is lost
WAIT = 2         # seconds for a guest: the other VMs wait, too
VM_ENTITIES = ("VirtualMachine", "com.cloud.vm.VirtualMachine")
ENDING = ("VM.STOP", "VM.REBOOT", "VM.DESTROY", "VM.EXPUNGE")


def log(text):
    sys.stderr.write("pvgpu-cloudstack: %s\n" % "".join(c if c.isprintable() else "?" for c in text))
    sys.stderr.flush()


def signature(secret, body):
    """X-CS-Signature."""
    return base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()


def tasks(event):
    """What an event asks for: "sample" and "tags", and the ids of VMs."""
    kind, status = str(event.get("event", "")), str(event.get("status", ""))
    if not kind.startswith("VM."):
        return []
    vm = event.get("entityuuid") if event.get("entity") in VM_ENTITIES else event.get("VirtualMachine")
    if not isinstance(vm, str) or not UUID.match(vm):
        return []
    if status in ("Scheduled", "Started"):
        return ["sample"] if kind in ENDING else []  # the counters of a domain end with it
    return [vm.lower(), "tags", "sample"] if status == "Completed" else []


class Work:
    """Tasks by name, each once, in the order of their time; failed ones come again a few times."""

    def __init__(self, do):
        self.do, self.due, self.tries, self.waits, self.waiting, self.stopped = do, {}, {}, {}, threading.Condition(), False
        self.done = 0  # tasks that ended, well or not

    def add(self, *names):
        with self.waiting:
            for name in names:
                self.due[name] = min(self.due.get(name, time.monotonic()), time.monotonic())
            self.waiting.notify_all()

    def stop(self):
        with self.waiting:
            self.stopped = True
            self.waiting.notify_all()

    def next(self):
        with self.waiting:
            while not self.stopped:
                name = min(self.due, key=self.due.get, default=None)
                left = None if name is None else self.due[name] - time.monotonic()
                if left is not None and left <= 0:
                    del self.due[name]
                    return name
                self.waiting.wait(left)
        return None

    def run(self):
        while True:
            name = self.next()
            if name is None:
                return
            try:
                self.do(name)
                self.tries.pop(name, None)
                self.waits.pop(name, None)
            except Failure as e:
                if e.code == UNSETTLED:
                    self.later(name)
                else:
                    self.failed(name, e)
            except Exception as e:  # one VM's surprise must not end the service of all others
                self.failed(name, Failure("%s: %s" % (type(e).__name__, e)))
            with self.waiting:
                self.done += 1
                self.waiting.notify_all()

    def later(self, name):
        """What has to wait for a VM does so here, and holds up no other one."""
        n = self.waits[name] = self.waits.get(name, 0) + 1
        with self.waiting:
            self.due.setdefault(name, time.monotonic() + min(LONGEST_LOOK, LOOK * 2 ** min(n, 16)))

    def failed(self, name, e):
        n = self.tries[name] = self.tries.get(name, 0) + 1
        gives_up = n >= TRIES or e.code == NO_VM
        log("%s: %s%s" % (name, e.text, "" if not gives_up else "; the next round looks again"))
        if gives_up:
            del self.tries[name]
            self.waits.pop(name, None)
            return
        with self.waiting:
            self.due.setdefault(name, time.monotonic() + min(LONGEST, AGAIN * 2 ** n))


class Consumer:
    def __init__(self, site, tool):
        self.site, self.tool, self.work = site, tool, Work(self.do)
        tool.vms.patient = False
        hook = site.webhook
        if not hook["secret"]:
            raise usage("%s: secret is missing: a file with the secret key of CloudStack's webhook" % hook.where)
        self.secret = secret_text(hook["secret"], "the webhook's secret").strip()
        if not self.secret:
            raise usage("%s (the webhook's secret): is empty" % hook["secret"])
        self.server = self.listen(hook)

    def listen(self, hook):
        if not on_loopback(hook["listen"][0]) and not hook["certificate"]:
            raise usage("%s: listen = %s:%d is not this machine's loopback: it needs certificate and key, or a proxy with TLS before it"
                        % ((hook.where,) + tuple(hook["listen"])))
        try:
            server = Server(tuple(hook["listen"]), self)
        except OSError as e:
            raise usage("%s: listen = %s:%d: %s" % ((hook.where,) + tuple(hook["listen"]) + (e.strerror,)))
        if hook["certificate"]:
            secret_text(hook["key"] or hook["certificate"], "the webhook's key")
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            try:
                context.load_cert_chain(hook["certificate"], hook["key"] or None)
            except (OSError, ssl.SSLError) as e:
                raise usage("%s: certificate = %s: %s" % (hook.where, hook["certificate"], e))
            server.context = context
        return server

    def take(self, body, said):
        """HTTP status and a word for an event."""
        if not hmac.compare_digest(said.encode("utf-8", "replace"), signature(self.secret, body).encode()):
            return 401, "the signature is not that of this secret"
        try:
            event = json.loads(body.decode())
        except ValueError:
            return 400, "the event is no JSON"
        self.work.add(*tasks(event) if isinstance(event, dict) else [])
        return 200, "taken"

    def do(self, name):
        self.tool.fresh()
        if name == "round":
            with self.work.waiting:
                if self.site.webhook["every"]:
                    self.work.due.setdefault("round", time.monotonic() + self.site.webhook["every"])
            for vm, result in self.tool.sync_all(wait=WAIT):
                if result and result.code == UNSETTLED:
                    self.work.later(vm.id)
                elif result:
                    log("VM %s: %s" % (vm, result.text))
            self.work.add("tags", "sample")
        elif name == "tags":
            for h in capacity(self.tool, True):
                if h["changed"]:
                    log("host %s: tags %s" % (h["name"], ",".join(h["wanted"]) or "none"))
                if h["fault"]:
                    log("host %s: %s" % (h["name"], h["fault"]))
        elif name == "sample":
            self.sample()
        else:
            try:
                view = self.tool.sync(name, wait=WAIT)
            except Late as e:
                log(e.text)
                view = e.view
            log("VM %s (%s) is %s: toggle %s, %d vGPUs" % (view["name"], view["instance"], view["state"], view["toggle"], len(view["vgpus"])))

    def sample(self):
        ledger = Ledger(self.site.state_file("usage.db"))
        try:
            for fault in Sampler(self.tool).take(ledger)["faults"]:
                log("sample: %s" % fault)
        finally:
            ledger.close()

    def run(self):
        """Until stop()."""
        self.work.add("round")
        worker = threading.Thread(target=self.work.run, daemon=True)
        worker.start()
        log("listening on %s:%d" % self.server.server_address[:2])
        self.server.serve_forever(poll_interval=0.1)
        self.server.server_close()
        self.work.stop()
        worker.join(30)

    def stop(self):
        threading.Thread(target=self.server.shutdown, daemon=True).start()


class Place:
    """A connection. since: when its handshake or its request began."""

    def __init__(self, request, address):
        self.request, self.address, self.since = request, address, time.monotonic()

    def cut(self):
        """Its thread finds that it has ended."""
        try:
            socket.socket.shutdown(self.request, socket.SHUT_RDWR)
        except OSError:
            pass


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """Nothing that a client does or leaves undone holds up the thread that accepts: where there are too many connections the oldest one of the
    address with the most of them is cut, and so is each whose request has not come within its time."""
    daemon_threads, allow_reuse_address, request_queue_size, context = True, True, 64, None
    block_on_close = False

    def __init__(self, where, consumer):
        self.consumer, self.places, self.guard = consumer, [], threading.Lock()
        self.address_family = socket.AF_INET6 if ":" in where[0] else socket.AF_INET
        super().__init__(where, Handler)

    def crowded(self, address):
        """The place that a new connection from this address takes; None: there is room. Guarded."""
        count = {}
        for p in self.places:
            count[p.address] = count.get(p.address, 0) + 1
        if len(self.places) >= PLACES:
            most = max(count, key=count.get)
        elif count.get(address, 0) >= PLACES_OF_ONE:
            most = address
        else:
            return None
        return min((p for p in self.places if p.address == most), key=lambda p: p.since)

    def process_request(self, request, client_address):
        place = Place(request, client_address[0])
        with self.guard:
            victim = self.crowded(place.address)
            if victim:
                self.places.remove(victim)
                victim.cut()
            self.places.append(place)
        super().process_request(request, client_address)

    def place_of(self, request):
        with self.guard:
            return next((p for p in self.places if p.request is request), None)

    def service_actions(self):
        """In the thread that accepts, ten times a second."""
        now = time.monotonic()
        with self.guard:
            for p in self.places:
                if now - p.since > REQUEST:
                    p.cut()

    def shutdown_request(self, request):
        with self.guard:
            self.places = [p for p in self.places if p.request is not request]
        super().shutdown_request(request)

    def handle_error(self, request, client_address):
        log("%s: %s" % (client_address[0], sys.exc_info()[1]))


class Handler(http.server.BaseHTTPRequestHandler):
    timeout = REQUEST  # of a read
    server_version, sys_version, protocol_version = "pvgpu-cloudstack", "", "HTTP/1.1"

    def setup(self):
        # The handshake is this thread's, so that a client that begins one and stops holds up no other.
        self.place = self.server.place_of(self.request)
        if not self.place:
            raise ConnectionAbortedError("too many connections")
        if self.server.context:
            self.request.settimeout(self.timeout)
            self.request = self.server.context.wrap_socket(self.request, server_side=True, do_handshake_on_connect=False)
            self.place.request = self.request
            self.request.do_handshake()
        super().setup()

    def finish(self):
        super().finish()
        if self.server.context:
            self.server.shutdown_request(self.request)  # the server closes what it accepted, which is not this any more

    def do_POST(self):
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > MOST:
            self.close_connection = True
            self.say(413 if length.isdigit() else 411, "an event has at most %d bytes, and says how many" % MOST)
            return
        self.say(*self.server.consumer.take(self.rfile.read(int(length)), self.headers.get("X-CS-Signature", "")))

    def say(self, status, text):
        out = (text + "\n").encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(out)))
        self.end_headers()
        self.wfile.write(out)
        self.place.since = time.monotonic()  # the next request's time begins
        if status != 200:
            log("webhook from %s: %d %s" % (self.client_address[0], status, text))

    def log_message(self, format, *args):
        pass
