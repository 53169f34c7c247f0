# SPDX-License-Identifier: MIT
"""Wheels of PyPI, read by HTTP range requests: which there are, and the shared objects within, one at a time."""
import html
import mmap
import re
import struct
import tempfile
import urllib.parse
import urllib.request
import zlib

INDEX = "https://pypi.org/simple/{}/"
LIMIT = 300


def opened(url, first=None, last=None):
    request = urllib.request.Request(url)
    if first is not None:
        request.add_header("Range", f"bytes={first}-{last}")
    return urllib.request.urlopen(request, timeout=LIMIT)


def find(project, version, tags="x86_64"):
    """The address of the wheel of this version for the newest Python; of the newest version without one."""
    base = INDEX.format(project)
    page = opened(base).read().decode()
    stem = re.sub(r"[-.]", "[-_.]", project)
    found = []
    for address in re.findall(r'href="([^"#]*\.whl)', page):
        m = re.match(rf"(?i){stem}-([0-9.]+(?:post\d+)?)-(\S*)\.whl$", urllib.parse.unquote(address.rsplit("/", 1)[1]))
        if m and "manylinux" in m[2] and tags in m[2] and (not version or m[1] == version) and not re.match(r"cp\d+-cp\d+t", m[2]):
            python = re.match(r"cp(\d)(\d+)", m[2])
            key = [int(n) for n in re.findall(r"\d+", m[1])]
            found.append((key, python is not None and int(python[2]) or 0, m[1], urllib.parse.urljoin(base, html.unescape(address))))
    if not found:
        raise LookupError(f"{base} has no wheel {version or ''} for {tags}")
    return max(found)[2:]


def members(url):
    """(name, first byte of its local header, compressed size, method, size) of each file in the wheel."""
    with opened(url, 0, 0) as answer:
        total = int(answer.headers["content-range"].rsplit("/", 1)[1])
    tail = opened(url, max(0, total - 70000), total - 1).read()
    at = tail.rindex(b"PK\5\6")
    size, start = struct.unpack_from("<II", tail, at + 12)
    directory, at = opened(url, start, start + size - 1).read(), 0
    while directory[at:at + 4] == b"PK\1\2":
        method, = struct.unpack_from("<H", directory, at + 10)
        packed, plain, name, extra, comment = struct.unpack_from("<IIHHH", directory, at + 20)
        header, = struct.unpack_from("<I", directory, at + 42)
        yield directory[at + 46:at + 46 + name].decode(), header, packed, method, plain
        at += 46 + name + extra + comment


def unpacked(url, member):
    """A file of the wheel, as a mapping of a temporary file."""
    _name, header, packed, method, _plain = member
    name, extra = struct.unpack("<HH", opened(url, header + 26, header + 29).read())
    first = header + 30 + name + extra
    inflate = zlib.decompressobj(-15) if method else None
    with tempfile.TemporaryFile() as file:
        with opened(url, first, first + packed - 1) as answer:
            while chunk := answer.read(1 << 20):
                file.write(inflate.decompress(chunk) if inflate else chunk)
        file.flush()
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def shared_objects(url, pattern=r".*\.so(\.\d+)*$"):
    for member in members(url):
        if re.match(pattern, member[0]) and member[4] > 4096:
            yield member[0], unpacked(url, member)
