# SPDX-License-Identifier: MIT
"""The site's configuration, pvgpu-cloudstack.conf(5), and the files with its secrets."""
import configparser
import ipaddress
import os
import re
import ssl
import stat
import urllib.parse

from .failure import usage

DEFAULT = "/etc/pvgpu/cloudstack.conf"


# ---- values

def on_loopback(host):
    """Does the name or address stay on this machine?"""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def text(value):
    return value


def number(least, most):
    def read(value):
        n = int(value) if re.match(r"\d{1,9}\Z", value) else -1
        if not least <= n <= most:
            raise ValueError("must be a number from %d to %d" % (least, most))
        return n
    return read


def yes(value):
    words = {"yes": True, "true": True, "on": True, "1": True, "no": False, "false": False, "off": False, "0": False}
    if value.lower() not in words:
        raise ValueError("must be yes or no")
    return words[value.lower()]


def one_of(*words):
    def read(value):
        if value not in words:
            raise ValueError("must be %s" % " or ".join(words))
        return value
    return read


def url(value):
    u = urllib.parse.urlsplit(value)
    if u.username or u.password:
        raise ValueError("must not have a user or a password: they belong into a file")
    if u.scheme != "https" and not (u.scheme == "http" and on_loopback(u.hostname)):
        raise ValueError("must be https://HOST..., or http:// on this machine's loopback")
    if not u.hostname:
        raise ValueError("names no host")
    return value


def urls(value):
    return [url(u.strip()) for u in value.split(",") if u.strip()]


def address(value):
    host, _, port = value.rpartition(":")
    if not host or not re.match(r"\d{1,5}\Z", port) or int(port) > 65535:
        raise ValueError("must be ADDRESS:PORT")
    return host.strip("[]"), int(port)


def prefix(value):
    if not re.match(r"[A-Za-z0-9_-]{1,40}\Z", value):
        raise ValueError("must be 1 to 40 letters, digits, '-' or '_'")
    return value


# Section: key, how its value is read, default (None: it must be there).
KEYS = {
    "cloudstack": {
        "url": (url, None), "keys": (text, None), "ca": (text, ""), "tls-name": (text, ""), "timeout": (number(1, 3600), 30),
        "job-timeout": (number(1, 86400), 600), "zone": (text, "")},
    "pool": {
        "url": (urls, None), "login": (text, None), "ca": (text, ""), "tls-name": (text, ""), "timeout": (number(1, 3600), 60)},
    "toggle": {
        "profile": (text, ""), "follow-offerings": (yes, False), "tenant": (one_of("account", "none"), "account"),
        "detach-on-stop": (one_of("cloudstack", "yes", "no"), "cloudstack"), "wait": (number(0, 3600), 30)},
    "tags": {
        "prefix": (prefix, "pvgpu-"), "most-room": (number(0, 100000), 0), "keep-free": (number(0, 100000), 0)},
    "state": {
        "dir": (text, "/var/lib/pvgpu-cloudstack")},
    "webhook": {
        "listen": (address, ("127.0.0.1", 8095)), "secret": (text, ""), "certificate": (text, ""), "key": (text, ""),
        "every": (number(0, 86400), 300)},
}


class Section(dict):
    """Values by key; where: what a message names."""

    def __init__(self, where, values):
        super().__init__(values)
        self.where = where

    def context(self):
        """TLS that verifies: chain and name, against the section's authority or the system's."""
        try:
            return ssl.create_default_context(cafile=self["ca"] or None)
        except (OSError, ssl.SSLError) as e:
            raise usage("%s: ca = %s: %s" % (self.where, self["ca"], e))


def read_section(path, name, given):
    kind = name.split()[0] if name.strip() else name
    known = KEYS.get(kind)
    if known is None or (kind == "pool") != (len(name.split()) == 2):
        raise usage("%s: [%s]: there are [cloudstack], [pool NAME], [toggle], [tags], [state] and [webhook]" % (path, name))
    where, values = "%s: [%s]" % (path, name), {}
    for key in given:
        if key not in known:
            raise usage("%s: %s: not known; there are %s" % (where, key, ", ".join(sorted(known))))
    for key, (read, default) in known.items():
        if key not in given:
            if default is None:
                raise usage("%s: %s is missing" % (where, key))
            values[key] = default
            continue
        try:
            values[key] = read(given[key].strip())
        except ValueError as e:
            raise usage("%s: %s = %s: %s" % (where, key, given[key], e))
    return Section(where, values)


class Site:
    def __init__(self, path=DEFAULT):
        ini = configparser.ConfigParser(interpolation=None, default_section="\0", delimiters=("=",), inline_comment_prefixes=(";",))
        try:
            with open(path, encoding="utf-8") as f:
                ini.read_file(f, path)
        except OSError as e:
            raise usage("%s: %s; --config names another file" % (path, e.strerror))
        except (configparser.Error, UnicodeDecodeError) as e:
            raise usage("%s: %s" % (path, " ".join(str(e).split())))
        self.path, self.pools = path, {}
        for name in ini.sections():
            section = read_section(path, name, dict(ini[name]))
            if name.startswith("pool"):
                self.pools[name.split()[1]] = section
            else:
                setattr(self, name, section)
        for name in KEYS:
            if name != "pool" and not hasattr(self, name):
                setattr(self, name, read_section(path, name, {}))
        if not self.pools:
            raise usage("%s: there is no [pool NAME]: name the XCP-ng pools of CloudStack's XenServer clusters" % path)

    def state_file(self, name):
        folder = self.state["dir"]
        try:
            os.makedirs(folder, mode=0o700, exist_ok=True)
        except OSError as e:
            raise usage("%s: dir = %s: %s" % (self.state.where, folder, e.strerror))
        return os.path.join(folder, name)


# ---- secrets

def secret_text(path, what):
    """A file that only its owner can read: looked at after it is open, so that it cannot be another by then."""
    try:
        with open(path, encoding="utf-8") as f:
            s = os.fstat(f.fileno())
            if not stat.S_ISREG(s.st_mode):
                raise usage("%s (%s): is not a file" % (path, what))
            if s.st_uid not in (os.geteuid(), 0):
                raise usage("%s (%s): belongs to user %d: run pvgpu-cloudstack as that user, or chown it" % (path, what, s.st_uid))
            if s.st_mode & 0o077:
                raise usage("%s (%s): mode %04o lets other users read it: chmod 600 %s" % (path, what, s.st_mode & 0o7777, path))
            return f.read()
    except OSError as e:
        raise usage("%s (%s): %s" % (path, what, e.strerror))
    except UnicodeDecodeError:
        raise usage("%s (%s): is not text" % (path, what))


def secret_pair(path, what, first, second):
    """Lines `first = ...` and `second = ...`. A message never shows a line: it may hold the secret."""
    found = {}
    for n, line in enumerate(secret_text(path, what).splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        key, eq, value = line.partition("=")
        if not eq or key.strip() not in (first, second) or not value.strip():
            raise usage("%s:%d (%s): is neither `%s = ...` nor `%s = ...`" % (path, n, what, first, second))
        found[key.strip()] = value.strip()
    for key in (first, second):
        if key not in found:
            raise usage("%s (%s): has no `%s = ...`" % (path, what, key))
    return found[first], found[second]
