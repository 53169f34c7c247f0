# SPDX-License-Identifier: MIT
"""cpio archives (newc), as the kernel unpacks them, whose bytes depend on names and contents only."""
import stat

DIR, FILE, LINK, CHAR = stat.S_IFDIR, stat.S_IFREG, stat.S_IFLNK, stat.S_IFCHR


class Archive:
    """The files of an archive; all belong to root and are from 1970."""

    def __init__(self):
        self.entries = {}

    def add(self, path, data=b"", mode=FILE | 0o644, device=(0, 0)):
        path = path.strip("/")
        parent = path.rpartition("/")[0]
        if parent and parent not in self.entries:
            self.folder(parent)
        self.entries[path] = (mode, data, device)

    def folder(self, path, mode=0o755):
        self.add(path, mode=DIR | mode)

    def file(self, path, data, mode=0o644):
        self.add(path, data.encode() if isinstance(data, str) else data, FILE | mode)

    def link(self, path, target):
        self.add(path, target.encode(), LINK | 0o777)

    def char(self, path, major, minor, mode=0o600):
        self.add(path, mode=CHAR | mode, device=(major, minor))

    def __contains__(self, path):
        return path.strip("/") in self.entries

    def bytes(self):
        """The archive; several of them one after the other make one tree."""
        out = bytearray()
        for number, (path, (mode, data, device)) in enumerate(sorted(self.entries.items()), 1):
            record(out, number, path, mode, data, device)
        record(out, 0, "TRAILER!!!", 0, b"", (0, 0))
        out += bytes(-len(out) % 512)
        return bytes(out)


def record(out, number, path, mode, data, device):
    name = path.encode() + b"\0"
    links = 2 if stat.S_ISDIR(mode) else 1
    fields = (number, mode, 0, 0, links, 0, len(data), 0, 0, *device, len(name), 0)
    out += b"070701" + b"".join(b"%08X" % f for f in fields) + name
    out += bytes(-len(out) % 4)
    out += data
    out += bytes(-len(out) % 4)
