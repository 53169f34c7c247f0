# SPDX-License-Identifier: MIT
"""A double of xcp-rrdd: its calls, and a reader of plugin protocol v2 of its own.

From the protocol's description, doc/content/xcp-rrdd/design/plugin-protocol-v2.md of github.com/xapi-project/xen-api (read at e2ee48d6), the
calls as in ocaml/xapi-idl/lib_test/test_data/rrd/requests, and what the real reader does (ocaml/xcp-rrdd/lib/transport): it maps the file, as
long as it is then, when a plugin registers, and keeps the metadata while its checksum stays.
"""
import http.server
import json
import math
import mmap
import os
import socket
import socketserver
import struct
import threading
import xmlrpc.client as rpc


class Bad(Exception):
    pass


def crc32(data):
    """Bit by bit, as in the standard: the plugin's comes from a library."""
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0xedb88320 if crc & 1 else 0)
    return crc ^ 0xffffffff


class Reader:
    def __init__(self, path):
        with open(path, "rb") as f:
            self.map = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)
        self.data_crc = self.metadata_crc = None
        self.sources = []

    def take(self, form, at):
        size = struct.calcsize(form)
        if at + size > len(self.map):
            raise Bad("the mapping ends at %d" % len(self.map))
        return struct.unpack(form, self.map[at:at + size])

    def read(self):
        """{(owner, name): (value, source)}; None: nothing new."""
        if self.map[:11] != b"DATASOURCES":
            raise Bad("header %r" % self.map[:11])
        data_crc, metadata_crc, n = self.take(">III", 11)
        if data_crc == self.data_crc:
            return None
        values = 31
        end = values + 8 * n
        if crc32(self.map[23:end]) != data_crc:
            raise Bad("the data's checksum")
        if metadata_crc != self.metadata_crc:
            length, = self.take(">I", end)
            text = self.map[end + 4:end + 4 + length]
            if len(text) != length or crc32(text) != metadata_crc:
                raise Bad("the metadata's checksum")
            self.sources = json.loads(text.decode(), object_pairs_hook=list)
            self.metadata_crc = metadata_crc
        self.data_crc = data_crc
        (word, sources), = self.sources
        if word != "datasources" or len(sources) != n:
            raise Bad("%d sources described, %d values" % (len(sources), n))
        out = {}
        for i, (name, pairs) in enumerate(sources):
            source = dict(pairs)
            value, = self.take({"int64": ">q", "float": ">d"}[source["value_type"]], values + 8 * i)
            owner = source["owner"].split(" ")
            if owner[0] not in ("host", "vm", "sr") or (owner[0] == "host") != (len(owner) == 1) or source["type"] not in ("gauge", "derive", "absolute") \
                    or source["default"] not in ("true", "false") or math.isnan(float(source["min"])) or math.isnan(float(source["max"])):
                raise Bad("%s: %s" % (name, source))
            if (source["owner"], name) in out:
                raise Bad("%s of %s is there twice" % (name, source["owner"]))
            out[source["owner"], name] = (value, source)
        return out


class Rrdd(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads, address_family = True, socket.AF_UNIX

    def __init__(self, path, metrics):
        self.metrics, self.readers, self.next, self.calls = str(metrics), {}, 0.8, []
        self.called = threading.Condition()
        super().__init__(str(path), Handler)
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def server_bind(self):
        self.socket.bind(self.server_address)
        self.server_name, self.server_port = "localhost", 0

    def answer(self, method, params):
        self.calls.append((method, params))
        path = os.path.join(self.metrics, params["uid"])
        if method == "Plugin.get_path":
            return path
        if method == "Plugin.Local.register":
            if (params["info"], params["protocol"]) != ("Five_Seconds", "V2"):
                raise ValueError(params)
            if params["uid"] not in self.readers:
                self.readers[params["uid"]] = Reader(path)
            return self.next
        if method == "Plugin.Local.deregister":
            self.readers.pop(params["uid"], None)
            return ""
        raise ValueError(method)


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        (params,), method = rpc.loads(self.rfile.read(int(self.headers["Content-Length"])))
        try:
            answer = {"Status": "Success", "Value": self.server.answer(method, params)}
        except (ValueError, OSError) as e:
            answer = {"Status": "Failure", "ErrorDescription": ["Internal_error", str(e)]}
        body = rpc.dumps((answer,), methodresponse=True).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        with self.server.called:
            self.server.called.notify_all()

    def address_string(self):
        return "local"

    def log_message(self, *_):
        pass
