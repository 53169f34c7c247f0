#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The xe plugin as xapi calls it, over pvgpuctl with a xenstore that is a file. Every answer is checked against answers.schema.json.

PVGPU_BUILD: the build folder with tests/pvgpuctl-fake. PYTHON2: a Python 2.7 to run the plugin with, too (default: python2.7 or python2, if
there is one that works; without one the plugin's syntax is held to what both versions have).
"""
import ast
import json
import os
import pathlib
import resource
import shutil
import subprocess
import sys
import tempfile
import unittest

from xapi import ApiError, Host, faults

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("PVGPU_BUILD", TOP / "build")).resolve()
PLUGINS = TOP / "xen-pvgpu-back" / "xapi"
SCHEMA = json.loads((PLUGINS / "answers.schema.json").read_text())
WEB1, WEB2 = "9c1b7a52-3f60-4f8e-8d55-0a2f6c1e7b90", "0a8d5e0c-3a51-4f4e-b1d4-6f3a9f6f7a11"
TENANT = "5f2c9a34-0b1e-4c6d-9a57-2d8e1f3b4c60"
GIB = 1 << 30
MODULES = {"json", "os", "re", "subprocess", "sys", "syslog", "uuid", "xmlrpc.client", "xmlrpclib"}


def python2():
    for name in (os.environ.get("PYTHON2"), "python2.7", "python2"):
        path = name and shutil.which(name)
        if path and subprocess.run([path, "-c", "import json, xmlrpclib"], capture_output=True).returncode == 0:
            return path
    return None


def xenstore():
    """What a host's xenstore has, with one GPU and two VMs."""
    nodes = {"/local/domain/0/name": "Domain-0", "/local/domain/0/data/pvgpu/version": "0.1.0",
             "/local/domain/0/data/pvgpu/gpu-memory-free": str(8 * GIB),
             "/local/domain/0/data/pvgpu/gpu-0/name": "default", "/local/domain/0/data/pvgpu/gpu-0/model": "pvgpu simulated GPU",
             "/local/domain/0/data/pvgpu/gpu-0/room": "memory=%d memory-free=%d" % (8 * GIB, 8 * GIB)}
    for domid, name, uuid in ((1, "i-2-100-VM", WEB1), (2, "i-2-101-VM", WEB2)):
        base = "/local/domain/%d" % domid
        nodes.update({base + "/name": name, base + "/vm": "/vm/" + uuid, "/vm/%s/name" % uuid: name, base + "/device": ""})
    return "".join('%s = "%s"   (n0,r0)\n' % pair for pair in nodes.items())


class Plugin(unittest.TestCase):
    python = sys.executable

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="xapi-test."))
        self.addCleanup(shutil.rmtree, self.folder)
        self.store = self.folder / "xenstore"
        self.store.write_text(xenstore())
        (self.folder / "profiles.conf").write_text("[profile pvgpu-2g]\nmemory = 2G\nweight = 50\n"
                                                   "[profile pvgpu-4g]\nmemory = 4G\nper-gpu = 1\n")
        (self.folder / "tenants.conf").write_text("[tenant %s]\nvgpus = 1\nweight = 300\n" % TENANT)
        ctl = self.folder / "pvgpuctl"
        ctl.write_text('#!/bin/sh\ncase $1 in attach|set|capacity|profiles|tenants) set -- "$@" --site-dir %s;; esac\n'
                       'exec %s/tests/pvgpuctl-fake "$@"\n' % (self.folder, BUILD))
        ctl.chmod(0o755)
        self.host = Host(str(PLUGINS), {"PVGPUCTL": str(ctl), "PVGPU_FAKE_XENSTORE": str(self.store)}, self.python)

    def call(self, fn, **args):
        answer = json.loads(self.host.call_plugin("pvgpu", fn, {k.replace("_", "-"): v for k, v in args.items()}))
        self.assertEqual(faults(answer, SCHEMA["properties"][fn], SCHEMA), [])
        return answer

    def refused(self, code, text, fn, **args):
        with self.assertRaises(ApiError) as e:
            self.call(fn, **args)
        self.assertEqual(e.exception.code, code)
        self.assertEqual(len(e.exception.params), 1)
        self.assertIn(text, e.exception.params[0])

    def test_life(self):
        self.assertEqual(self.call("list"), [])
        v = self.call("attach", vm_uuid=WEB1.upper(), profile="pvgpu-4g", tenant=TENANT, weight=70)
        self.assertTrue(v["connected"])
        self.assertEqual((v["memory"], v["profile"], v["tenant"], v["policy"]["weight"]), (4 * GIB, "pvgpu-4g", TENANT, 70))
        self.assertEqual(len(self.call("list", vm_uuid=WEB1)), 1)
        shown = self.call("show", vm_name="i-2-100-VM")
        self.assertEqual(shown[0]["keys"]["backend"]["group-policy"], "weight=300")
        changed = self.call("set", vm_uuid=WEB1, profile="pvgpu-2g", max_share="50%", drain=1)
        self.assertEqual((changed[0]["memory"], changed[0]["policy"]["max-share"], changed[0]["policy"]["drain"]), (2 * GIB, "50%", "1"))
        self.assertEqual(self.call("stats")[0]["vm-uuid"], WEB1)
        used = self.call("usage")
        self.assertEqual([(t["name"], t["vgpus"], t["memory"]) for t in used["tenants"]], [(TENANT, 1, 2 * GIB)])
        self.assertEqual(self.call("detach", vm_uuid=WEB1)["detached"], ["vGPU 0 of i-2-100-VM: detached"])
        self.assertEqual(self.call("list"), [])

    def test_discover_is_cloudstacks(self):
        self.call("attach", vm_uuid=WEB1, profile="pvgpu-4g")
        gpu, = self.call("discover")["gpus"]
        self.assertEqual((gpu["device"], gpu["video_ram"], gpu["full_passthrough"]["enabled"]), ("pvgpu simulated GPU", 8192, 0))
        self.assertEqual([(i["profile_name"], i["used_by_vm"], i["max_instances"]) for i in gpu["vgpu_instances"]],
                         [("pvgpu-4g", "i-2-100-VM", 1), ("pvgpu-2g", None, 4)])
        again, = self.call("discover")["gpus"]
        self.assertEqual(gpu, again)

    def test_capacity_and_check(self):
        b, = self.call("capacity")["backends"]
        self.assertEqual([(p["name"], p["fits"], p["limit"]) for p in b["profiles"]], [("pvgpu-2g", 4, "memory"), ("pvgpu-4g", 1, "per-gpu")])
        b, = self.call("capacity", tenant=TENANT)["backends"]
        self.assertEqual([(p["fits"], p["limit"]) for p in b["profiles"]], [(1, "vgpus"), (1, "per-gpu")])
        self.assertEqual(self.call("check"), {"good": True, "faults": [], "version": "0.1.0"})
        (self.folder / "profiles.conf").write_text("[profile a]\nmemory = lots\n")
        self.store.write_text(self.store.read_text().replace(" memory-free", " healthy=0 memory-free"))
        said = self.call("check")
        self.assertFalse(said["good"])
        self.assertIn("profiles.conf:2: memory 'lots': must be ", said["faults"][0])
        self.assertEqual(said["faults"][1:], ["Domain-0: GPU default takes no new sessions"])

    def test_check_of_vgpu_types(self):
        """Where pvgpu has made them; the files are looked at by pvgpuctl."""
        config, ctl = self.folder / "vgpuConfig.xml", self.folder / "ctl"
        ctl.write_text("#!/bin/sh\n[ $1 = xapi ] || exec %s \"$@\"\necho '{\"format\": 1, \"faults\": [\"'$*'\"]}'\nexit 1\n" % self.host.env["PVGPUCTL"])
        ctl.chmod(0o755)
        self.host.env.update(PVGPUCTL=str(ctl), PVGPU_VGPU_CONFIG=str(config))
        for text, faults_ in (("<!-- made by pvgpuctl xapi types -->", ["xapi types --config=%s --json" % config]), ("<!-- NVIDIA's -->", [])):
            config.write_text(text)
            self.assertEqual(self.call("check")["faults"], faults_)

    def test_drain(self):
        self.assertEqual(self.call("drain", timeout=0), {"clear": True, "vms": [], "backends": []})
        self.call("attach", vm_uuid=WEB1, profile="pvgpu-2g")
        said = self.call("drain", timeout=0)
        self.assertEqual((said["clear"], [(v["uuid"], v["by-hand"]) for v in said["vms"]]), (False, [(WEB1, 1)]))
        self.assertEqual(self.call("list")[0]["policy"]["drain"], "1")
        self.call("drain", undo="yes")
        self.assertEqual(self.call("list")[0]["policy"]["drain"], "0")
        self.call("drain", dry_run="yes")
        self.assertEqual(self.call("list")[0]["policy"]["drain"], "0")
        self.call("drain", end_after=0, timeout=0)
        self.assertEqual(self.call("list")[0]["policy"]["drain"], "1")
        self.call("drain", undo="yes")

    def test_no_program_takes_abbreviations(self):
        for name in ("pvgpuctl", "pvgpud", "pvgpu-worker", "pvgpu-attachd", "pvgpu-health", "pvgpu-exporter"):
            whole, short = (subprocess.run([str(BUILD / "bin" / name), word], capture_output=True, text=True, timeout=60)
                            for word in ("--version", "--versio"))
            self.assertEqual(whole.returncode, 0, name)
            self.assertNotEqual(short.returncode, 0, name)
            self.assertIn("unrecognized option '--versio'", short.stderr)

    def test_refusals(self):
        for code, text, fn, args in (
                ("PVGPU_NOT_THERE", "VM '5f2c9a34-0b1e-4c6d-9a57-2d8e1f3b4c60': no domain here", "attach", {"vm_uuid": TENANT}),
                ("PVGPU_NOT_THERE", "profile 'pvgpu-9g': ", "attach", {"vm_uuid": WEB1, "profile": "pvgpu-9g"}),
                ("PVGPU_NOT_THERE", "has no vGPU", "detach", {"vm_uuid": WEB1}),
                ("PVGPU_REFUSED", "9216 MiB wanted, but only 8192 MiB", "attach", {"vm_uuid": WEB1, "memory": "9G"}),
                ("PVGPU_WRONG_USE", "attach needs args:vm-uuid or args:vm-name", "attach", {}),
                ("PVGPU_WRONG_USE", "args:vm-uuid=web1: is not well-formed", "attach", {"vm_uuid": "web1"}),
                ("PVGPU_WRONG_USE", "args:vm-name=--help: is not well-formed", "show", {"vm_name": "--help"}),
                ("PVGPU_WRONG_USE", "not both", "show", {"vm_name": "a", "vm_uuid": WEB1}),
                ("PVGPU_WRONG_USE", "--memory 'lots': ", "attach", {"vm_uuid": WEB1, "memory": "lots"}),
                ("PVGPU_WRONG_USE", "attach does not know args:speed; it takes ", "attach", {"vm_uuid": WEB1, "speed": "4"}),
                ("PVGPU_WRONG_USE", "attach does not know args:config-dir", "attach", {"vm_uuid": WEB1, "config_dir": "/tmp"}),
                ("PVGPU_WRONG_USE", "attach does not know args:config-d", "attach", {"vm_uuid": WEB1, "config_d": "/tmp"}),
                ("PVGPU_WRONG_USE", "attach does not know args:weigh", "attach", {"vm_uuid": WEB1, "weigh": "100"}),
                ("PVGPU_WRONG_USE", "set does not know args:site-d", "set", {"vm_uuid": WEB1, "site_d": "/tmp"}),
                ("PVGPU_WRONG_USE", "attach does not know args:backend-", "attach", {"vm_uuid": WEB1, "backend_": "1"}),
                ("PVGPU_WRONG_USE", "args:weight=1?2: is not well-formed", "set", {"vm_uuid": WEB1, "weight": "1\n2"}),
                ("PVGPU_WRONG_USE", "args:weight=12?: is not well-formed", "set", {"vm_uuid": WEB1, "weight": "12\n"}),
                ("PVGPU_WRONG_USE", "list does not know args:memory; it takes vm-uuid, vm-name", "list", {"memory": "1"}),
                ("PVGPU_WRONG_USE", "args:force=perhaps: must be yes or no", "detach", {"vm_uuid": WEB1, "force": "perhaps"}),
                ("UNKNOWN_XENAPI_PLUGIN_FUNCTION", "dance; there are attach, capacity, check", "dance", {})):
            with self.subTest(fn=fn, args=args):
                self.refused(code, text, fn, **args)
        self.call("attach", vm_uuid=WEB1, profile="pvgpu-4g", tenant=TENANT)
        self.refused("PVGPU_REFUSED", "it has 1 of at most 1 vGPU of this profile", "attach", vm_uuid=WEB2, profile="pvgpu-4g")
        self.refused("PVGPU_REFUSED", "has 1 of at most 1 vGPU", "attach", vm_uuid=WEB2, profile="pvgpu-2g", tenant=TENANT)

    def test_a_vm_that_does_not_answer(self):
        self.assertFalse(self.call("attach", vm_uuid=WEB2, no_wait="yes")["connected"])
        self.host.env["PVGPU_FAKE_ASLEEP"] = "1"
        self.refused("PVGPU_TIMED_OUT", "is not connected after 0 s", "attach", vm_uuid=WEB1, timeout=0)

    def test_characters(self):
        self.refused("PVGPU_WRONG_USE", "is not well-formed", "attach", vm_uuid="\u00e4<&>")
        self.refused("PVGPU_NOT_THERE", "VM 'V?M'", "attach", vm_name="V\u00e4M")

    def test_no_pvgpuctl(self):
        self.host.env["PVGPUCTL"] = str(self.folder / "none")
        self.refused("PVGPU_NOT_INSTALLED", "install pvgpu's tools", "list")
        broken = self.folder / "broken"
        broken.write_text("#!/bin/sh\necho nonsense\nexit 0\n")
        broken.chmod(0o755)
        self.host.env["PVGPUCTL"] = str(broken)
        self.refused("PVGPU_INTERNAL", "answered no JSON", "list")
        broken.write_text("#!/bin/sh\nkill -9 $$\n")
        self.refused("PVGPU_INTERNAL", "ended with status -9", "list")

    def test_price(self):
        """Of the way by the plugin, beyond pvgpuctl's own, in processor time: a busy machine does not change it much."""
        ctl = [self.host.env["PVGPUCTL"], "list", "--json"]
        times = []
        for call in (lambda: self.call("list"), lambda: subprocess.run(ctl, env={**os.environ, **self.host.env}, check=True, stdout=subprocess.DEVNULL)):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            for _ in range(5):
                call()
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            times.append((after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / 5)
        self.assertLess(times[0] - times[1], 1)

    def test_not_by_xapi(self):
        done = subprocess.run([self.python, str(PLUGINS / "pvgpu")], capture_output=True, text=True)
        self.assertEqual(done.returncode, 2)
        self.assertIn("xe host-call-plugin plugin=pvgpu", done.stderr)


PYTHON2 = python2()


@unittest.skipUnless(PYTHON2, "no Python 2 here: only its syntax is checked")
class PluginByPython2(Plugin):
    python = PYTHON2


class Double(unittest.TestCase):
    """The double refuses what xapi refuses."""

    def failure(self, script, plugin="p"):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "p"
            path.write_text("#!/bin/sh\n" + script)
            path.chmod(0o755)
            with self.assertRaises(ApiError) as e:
                Host(folder).call_plugin(plugin, "f", {})
            return e.exception.code, e.exception.params[0]

    def test_failures(self):
        self.assertEqual(self.failure("exit 0", "q"), ("XENAPI_MISSING_PLUGIN", "q"))
        self.assertEqual(self.failure("exit 3"), ("XENAPI_PLUGIN_FAILURE", "non-zero exit"))
        self.assertEqual(self.failure("kill -9 $$"), ("XENAPI_PLUGIN_FAILURE", "signal"))
        self.assertEqual(self.failure("echo no"), ("XENAPI_PLUGIN_FAILURE", "failed to parse plugin output"))
        value = "<struct><member><name>Status</name><value>Success</value></member><member><name>Value</name><value><int>1</int></value>" \
                "</member></struct>"
        answer = "<methodResponse><params><param><value>%s</value></param></params></methodResponse>" % value
        self.assertEqual(self.failure("echo '%s'" % answer), ("XENAPI_PLUGIN_FAILURE", "unexpected XMLRPC result"))

    def test_schema_faults_are_seen(self):
        vgpus = SCHEMA["properties"]["list"]
        self.assertEqual(faults({}, vgpus, SCHEMA), ["answer is {}, not array"])
        self.assertIn("answer[0] lacks uuid", faults([{"id": 0}], vgpus, SCHEMA))
        self.assertIn("answer[0].id is -1, below 0", faults([{"id": -1}], vgpus, SCHEMA))
        self.assertIn("answer[0] has more, which nobody promised", faults([{"more": 1}], vgpus, SCHEMA))


class Syntax(unittest.TestCase):
    """Python 2.7 cannot read what it does not know; this sees it where there is no Python 2."""
    TOO_NEW = tuple(getattr(ast, n) for n in ("JoinedStr", "AsyncFunctionDef", "Await", "AnnAssign", "NamedExpr", "Nonlocal", "YieldFrom",
                                              "Starred", "MatMult", "Match", "TryStar") if hasattr(ast, n))

    @classmethod
    def faults(cls, text):
        found = []
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, cls.TOO_NEW):
                found.append(type(node).__name__)
            if isinstance(node, ast.FunctionDef) and (node.returns or node.args.kwonlyargs or any(a.annotation for a in node.args.args)):
                found.append("annotation or keyword-only argument")
            if isinstance(node, ast.Raise) and node.cause:
                found.append("raise from")
            if isinstance(node, ast.ClassDef) and node.keywords:
                found.append("metaclass")
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("print", "super"):
                found.append(node.func.id)
            if isinstance(node, ast.Import):
                found += ["import " + n.name for n in node.names if n.name not in MODULES]
            if isinstance(node, ast.ImportFrom):
                found.append("from " + node.module)
        return found

    def test_plugin(self):
        self.assertEqual(self.faults((PLUGINS / "pvgpu").read_text()), [])

    def test_what_is_too_new_is_seen(self):
        for text in ("f'{1}'", "def f(*, a): 0", "def f(a: int): 0", "raise A from b", "print(1)", "import jsonschema", "from x import y",
                     "a = [*b]", "class A(metaclass=B): 0", "def f():\n def g():\n  nonlocal a"):
            self.assertTrue(self.faults(text), text)


if __name__ == "__main__":
    unittest.main()
