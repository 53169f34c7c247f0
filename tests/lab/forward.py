# SPDX-License-Identifier: MIT
"""Programs beside the emulated machine that stand for one in dom0 or in a guest: what they are given is run there. For Python programs of ours, since
the machine's images have no Python."""
import json
import pathlib
import shlex
import socketserver
import sys
import threading

from channel import LabError

SCRIPT = """#!{python} -IS
import json, socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect({path!r})
f = s.makefile("rw")
f.write(json.dumps([sys.argv[1:], sys.stdin.read()]) + "\\n")
f.flush()
a = json.loads(f.readline())
sys.stdout.write(a["out"])
sys.stderr.write(a["err"])
sys.exit(a["status"])
"""


class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        words, text = json.loads(self.rfile.readline())
        try:
            command = " ".join([*self.server.before, shlex.join(words)])
            r = self.server.place.run(command, check=False, limit=self.server.limit, text=text)
            answer = {"status": r.status, "out": r.out, "err": r.err}
        except LabError as e:
            answer = {"status": 70, "out": "", "err": f"{e}\n"}
        try:
            self.wfile.write(json.dumps(answer).encode() + b"\n")
        except BrokenPipeError:
            pass  # the program that asked has ended


class Forward(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """The program `path`: its arguments follow the words `before`, in the domain whose agent is `place`."""
    daemon_threads = True

    def __init__(self, path, place, *before, limit=600):
        self.place, self.before, self.limit = place, before, limit
        super().__init__(f"{path}.socket", Handler)
        pathlib.Path(path).write_text(SCRIPT.format(python=sys.executable, path=self.server_address))
        pathlib.Path(path).chmod(0o755)
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
