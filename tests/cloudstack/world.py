# SPDX-License-Identifier: MIT
"""A cloud, a pool and the tool between them. The tool runs as a process of its own (a fork, so that a hundred runs take seconds), and can be
killed at any of its requests."""
import contextlib
import io
import json
import os
import pathlib
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
import unittest

sys.dont_write_bytecode = True
TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("PVGPU_BUILD", TOP / "build")).resolve()
sys.path[:0] = [str(TOP / "tests" / "xapi"), str(TOP / "xen-pvgpu-back" / "cloudstack")]

import xapi  # noqa: E402  the checker of JSON schemas
from cloudstack import Cloud  # noqa: E402
from pool import Pool  # noqa: E402
from pvgpu_cloudstack import cli  # noqa: E402
from pvgpu_cloudstack.api import Api  # noqa: E402

SCHEMA = json.loads((TOP / "xen-pvgpu-back" / "cloudstack" / "answers.schema.json").read_text())
PATIENCE = 120  # seconds for what takes a moment, on a machine that does much else
ALICE, PROJECT = "5f2c9a34-0b1e-4c6d-9a57-2d8e1f3b4c60", "7d0e41c2-93b5-4f1a-8c6e-1b2a3c4d5e6f"


class Done:
    def __init__(self, status, out, err):
        self.status, self.out, self.err = status, out, err

    def json(self):
        return json.loads(self.out)


class Child:
    """The tool, in a process of its own."""

    def __init__(self, world, words):
        self.out, self.err = (world.folder / ("%s-%d" % (n, world.number())) for n in ("out", "err"))
        self.out.touch()
        self.err.touch()
        self.pid = os.fork()
        if not self.pid:
            self.run(words)
        self.status = None

    def run(self, words):
        status = 70
        # A server's thread may be starting pvgpuctl: its answer ends when nobody has the pipe's other end any more. The numbers stay in use: the
        # interpreter closes the parent's sockets at some time, and a socket of the tool's must not have such a number then.
        null = os.open(os.devnull, os.O_RDWR)
        for fd in map(int, os.listdir("/proc/self/fd")):
            if fd > 2 and fd != null:
                with contextlib.suppress(OSError):
                    os.dup2(null, fd)
        try:
            sys.stdout = io.TextIOWrapper(open(str(self.out), "wb", 0), "utf-8", write_through=True)
            sys.stderr = io.TextIOWrapper(open(str(self.err), "wb", 0), "utf-8", write_through=True)
            status = cli.main(words)
        except SystemExit as e:
            status = e.code
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)

    def wait(self):
        if self.status is None:
            status = os.waitpid(self.pid, 0)[1]
            self.status = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
        return Done(self.status, self.out.read_text(), self.err.read_text())

    def ended(self):
        if self.status is None:
            with open("/proc/%d/stat" % self.pid) as f:
                return f.read().rpartition(")")[2].split()[0] == "Z"
        return True

    def kill(self, sig=signal.SIGKILL):
        if self.status is None:
            os.kill(self.pid, sig)


class Killer:
    """Ends a child at its nth request, before or after it is done."""

    def __init__(self):
        self.child, self.set, self.lock = None, threading.Event(), threading.Lock()
        self.at, self.when, self.names, self.hit = 0, "", [], ""

    def aim(self, at, when):
        with self.lock:
            self.at, self.when, self.names, self.hit = at, when, [], ""
        self.set.clear()

    def gate(self, when, name):
        with self.lock:
            if not self.at or self.hit:
                return bool(self.hit)
            self.names += [name] * (when == "before")
            if (len(self.names), when) != (self.at, self.when):
                return False
            self.hit = name
        self.set.wait(PATIENCE)
        self.child.kill()
        return True


class World(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="cloudstack-test."))
        self.addCleanup(shutil.rmtree, str(self.folder))
        self.killer, self.n, Api.first_wait = Killer(), 0, 0.01
        self.pool = Pool(self.folder, BUILD, gate=self.killer.gate)
        self.cloud = Cloud(gate=self.killer.gate)
        self.cloud.pool = self.pool
        self.addCleanup(self.pool.close)
        self.addCleanup(self.cloud.close)
        self.cloud.accounts["a1"] = {"id": ALICE, "name": "alice", "domainid": "d1"}
        self.cloud.offerings["o1"] = {"id": "o1", "name": "small"}
        self.hosts = [self.cloud.add_host("xcp1", "10.0.0.1")]
        self.pool.add_host("xcp1", "10.0.0.1")
        self.conf = {"cloudstack": {"url": self.cloud.url, "keys": self.secret("keys", "api-key = the-api-key\nsecret-key = a~secret*key/+\n")},
                     "pool p1": {"url": self.pool.url, "login": self.secret("login", "user = operator\npassword = a password & <more>\n")},
                     "state": {"dir": str(self.folder / "state")}, "toggle": {"wait": "5"}}
        self.write_conf()

    def number(self):
        self.n += 1
        return self.n

    def secret(self, name, text, mode=0o600):
        path = self.folder / name
        path.write_text(text)
        path.chmod(mode)
        return str(path)

    def write_conf(self, name="cloudstack.conf", **sections):
        """sections: section=dict of keys to change; a value of None takes a key away. Returns the path."""
        conf = {s: dict(keys) for s, keys in self.conf.items()}
        for s, keys in sections.items():
            conf.setdefault(s.replace("_", " "), {}).update(keys)
        path = self.folder / name
        path.write_text("".join("[%s]\n%s\n" % (s, "".join("%s = %s\n" % (k, v) for k, v in keys.items() if v is not None))
                                for s, keys in conf.items()))
        return str(path)

    # ---- the tool

    def start(self, *words, conf="cloudstack.conf"):
        return Child(self, ["--config", str(self.folder / conf)] + [str(w) for w in words])

    def run_tool(self, *words, conf="cloudstack.conf"):
        return self.start(*words, conf=conf).wait()

    def ask(self, command, *words, status=0, schema=None, conf="cloudstack.conf"):
        """Its JSON, checked."""
        done = self.run_tool(command, "--json", *words, conf=conf)
        self.assertEqual((done.status, "Traceback" in done.err), (status, False), done.err + done.out)
        answer = done.json()
        name = schema or ("view" if command in ("enable", "disable", "status", "sync") else command)
        self.assertEqual(xapi.faults(answer, SCHEMA["properties"][name], SCHEMA), [])
        return answer

    def refused(self, status, text, *words, conf="cloudstack.conf"):
        done = self.run_tool(*words, conf=conf)
        self.assertEqual((done.status, "Traceback" in done.err), (status, False), done.err)
        self.assertIn(text, done.err)
        for secret in ("a~secret*key", "a password &"):
            self.assertNotIn(secret, done.err + done.out)
        return done.err

    # ---- the world

    def vm(self, name="web1", instance="i-2-100-VM", running=True, host=0, **more):
        v = self.cloud.add_vm(name, instance, **more)
        if running:
            self.cloud.start(v, self.hosts[host], polls=0)
        return v

    def toggle(self, v):
        found = [x for x in v["details"].values() if x.startswith("other_config:pvgpu=")]
        self.assertLessEqual(len(found), 1)
        return found[0].split("=", 1)[1] if found else None

    def live(self, v):
        """[(profile, tenant)] of what its domain has, as the plugin says."""
        vm = self.pool.of(v["instancename"])
        found = json.loads(self.pool.host_of(vm).call_plugin("pvgpu", "list", {"vm-uuid": vm["uuid"]}))
        return [(g["profile"], g["tenant"]) for g in found if g["online"]]

    def other_config(self, v):
        return self.pool.of(v["instancename"])["other_config"].get("pvgpu")

    def until(self, what, say="it has not happened"):
        end = time.monotonic() + PATIENCE
        while not what():
            self.assertLess(time.monotonic(), end, say)
            time.sleep(0.01)
