# SPDX-License-Identifier: MIT
"""What must not leave a host in results and logs: its name, serial numbers, UUIDs, paths outside system directories."""
import re
import socket

SYSTEM = ("usr", "lib", "lib64", "etc", "dev", "proc", "sys", "run", "opt", "bin", "sbin")
UUID = re.compile(r"\b(?:(?:GPU|MIG)-)?[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", re.I)
SERIAL = re.compile(r"(serial(?:[ _-]?(?:number|no))?\W{1,3})(\w{6,})", re.I)
# Only what begins like a path: after a blank, a quote, a bracket or a sign that comes before values.
PATH = re.compile(r"(?<![^\s\"'=:,;(\[{<|`])/([\w.+@-]+)((?:/[\w.+@%~-]+)*)/?")
HARMLESS = {"localhost", "host", "guest", "debian", "ubuntu", "linux", "worker", "server", "test"}


class Mask:
    def __init__(self, known=()):
        """known: (folder, what stands in its place), the longest first."""
        self.known = sorted(known, key=lambda k: -len(k[0]))
        name = socket.gethostname().split(".")[0]
        # A name that is a common word would be found everywhere, and says nothing.
        self.host = None if len(name) < 4 or name.lower() in HARMLESS else re.compile(rf"\b{re.escape(name)}\b")

    def text(self, text):
        for folder, word in self.known:
            text = text.replace(folder, word)
        text = SERIAL.sub(r"\1<serial>", UUID.sub("<uuid>", text))
        if self.host:
            text = self.host.sub("<host>", text)
        return PATH.sub(self._path, text)

    @staticmethod
    def _path(m):
        if m[1] in SYSTEM or not m[2]:
            return m[0]
        return "<path>/" + m[2].rpartition("/")[2]

    def value(self, value):
        """The same of all texts in a JSON value; keys stay."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {k: self.value(v) for k, v in value.items()}
        if isinstance(value, list):
            return [self.value(v) for v in value]
        return value
