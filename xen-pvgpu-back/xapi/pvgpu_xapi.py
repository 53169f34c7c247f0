# SPDX-License-Identifier: MIT
"""What pvgpu's programs for xapi share: calls over xapi's local socket, and the meaning of VM.other_config:pvgpu. For Python 2.7 and 3; needs
nothing beside them.

xapi trusts each process that can open its local socket, which is root's, and on a pool's member forwards the calls to the master.
"""
import re
import socket
import subprocess
import sys

try:
    import http.client as http
    import xmlrpc.client as rpc
except ImportError:
    import httplib as http
    import xmlrpclib as rpc

SOCKET = "/var/lib/xcp/xapi"
KEY = "pvgpu"
TENANT_TAG = "pvgpu-tenant:"
OFF = "off"
BOTH = "the VM has VGPU objects of xapi's, too (%s): keep one of both, by `xe vgpu-destroy` or `xe vm-param-remove param-name=other-config param-key=pvgpu`"
MOST = 16  # vGPUs of one VM
NAME = re.compile("^[A-Za-z0-9_.][A-Za-z0-9_.-]{0,30}\\Z")
TENANT = re.compile("^[A-Za-z0-9_][A-Za-z0-9_-]{0,38}\\Z")
COUNT = re.compile("^[1-9][0-9]?\\Z")


def one_line(text):
    """Of printable ASCII: names and values are what others wrote."""
    if not isinstance(text, type(u"")):
        text = text.decode("utf-8", "replace")
    return str(re.sub("[\\x00-\\x1f\\x7f]", "?", text).encode("ascii", "replace").decode("ascii"))


class Wrong(Exception):
    """A value that has no meaning. Its text says what would have one."""


class Wanted(object):
    """What a VM is to have: nothing (profile None), or count vGPUs of a profile."""

    def __init__(self, profile=None, count=0, tenant=""):
        self.profile, self.count, self.tenant = profile, count, tenant


def wanted(value, tags=()):
    """Of "PROFILE[ count:N][ tenant:NAME]" or "off"; a tag of the VM names the tenant, too, and counts more."""
    words = one_line(value).split()
    if not words:
        raise Wrong("is empty: it must be a profile, PROFILE count:N, or off")
    if words == [OFF]:
        return Wanted()
    if not NAME.match(words[0]) or words[0] == OFF:
        raise Wrong("%s: is no profile's name; it must be a profile, PROFILE count:N, or off" % words[0])
    out = Wanted(words[0], 1)
    for word in words[1:]:
        name, _, text = word.partition(":")
        if name == "count" and COUNT.match(text) and int(text) <= MOST:
            out.count = int(text)
        elif name == "count":
            raise Wrong("%s: must be count:1 to count:%d" % (word, MOST))
        elif name == "tenant" and TENANT.match(text):
            out.tenant = text
        elif name == "tenant":
            raise Wrong("%s: a tenant's name is 1 to 39 letters, digits, '-' or '_'" % word)
        else:
            raise Wrong("%s: there are count:N and tenant:NAME after the profile, nothing else" % word)
    for tag in sorted(tags):
        if tag.startswith(TENANT_TAG):
            out.tenant = one_line(tag)[len(TENANT_TAG):]
            if not TENANT.match(out.tenant):
                raise Wrong("tag %s: a tenant's name is 1 to 39 letters, digits, '-' or '_'" % one_line(tag))
    return out


def of_record(record):
    """Of a VM's record: None where the key is not there."""
    value = record["other_config"].get(KEY)
    return None if value is None else wanted(value, record.get("tags", ()))


# ---- xapi

class Failure(Exception):
    """xapi's answer: a code and its parameters."""

    def __init__(self, description):
        Exception.__init__(self, ": ".join(description))
        self.code = description[0] if description else ""


class Unreachable(Exception):
    """There is no answer of xapi."""


class LocalConnection(http.HTTPConnection):
    def __init__(self, path, timeout):
        http.HTTPConnection.__init__(self, "localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def request(path, method, params, timeout):
    """One call of a daemon of XCP-ng over its local socket: the value of its answer."""
    connection = LocalConnection(path, timeout)
    try:
        connection.request("POST", "/", rpc.dumps(tuple(params), method).encode("utf-8"), {"Content-Type": "text/xml"})
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise Unreachable("%s: HTTP status %d" % (path, answer.status))
        (value,), _ = rpc.loads(body)
    except (EnvironmentError, socket.error, http.HTTPException) as e:
        raise Unreachable("%s: %s" % (path, e))
    except rpc.Fault as e:
        raise Failure([str(e.faultCode), one_line(e.faultString)])
    except Unreachable:
        raise
    except Exception as e:  # what a parser of XML says of what is none
        raise Unreachable("%s: no XML-RPC: %s" % (path, e))
    finally:
        connection.close()
    if not isinstance(value, dict) or value.get("Status") not in ("Success", "Failure"):
        raise Unreachable("%s: an answer without a status" % path)
    if value["Status"] == "Failure":
        raise Failure([one_line(d) for d in value.get("ErrorDescription", [])])
    return value.get("Value", "")


class Session(object):
    def __init__(self, path, originator, timeout=30):
        self.path, self.timeout = path, timeout
        self.ref = request(path, "session.login_with_password", ("root", "", "1.0", originator), timeout)

    def call(self, method, *params, **more):
        return request(self.path, method, (self.ref,) + params, more.get("timeout", self.timeout))

    def close(self):
        try:
            self.call("session.logout", timeout=5)
        except (Failure, Unreachable):
            pass


# ---- this host

def run(words):
    """A program's exit status, standard output and standard error."""
    child = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, err = child.communicate()
    return child.returncode, out.decode("utf-8", "replace"), err.decode("utf-8", "replace")


def items(answer, key):
    """Of an answer of pvgpuctl's; none where there is no answer."""
    return answer[key] if answer else []


def log(program, text):
    sys.stderr.write("%s: %s\n" % (program, one_line(text)))
    sys.stderr.flush()
