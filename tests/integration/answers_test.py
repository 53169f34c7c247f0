# SPDX-License-Identifier: MIT
"""What pvgpuctl prints with --json is as docs/pvgpuctl.schema.json says: each subcommand that has the option, of pvgpud's own answers and of those over
a xenstore that is a file. A new subcommand with --json needs a schema there and a command here. PVGPU_BUILD: the build folder."""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

from pvgpu_env import LIMIT, ROOT, PvgpuEnv, program, wait_for

sys.path.insert(0, os.path.join(ROOT, "tests", "xapi"))
from plugin_test import xenstore  # noqa: E402
from xapi import faults, read_schema  # noqa: E402

SCHEMA = read_schema(pathlib.Path(ROOT, "docs", "pvgpuctl.schema.json"))
GIB = 1 << 30


def promised():
    """The answers that there are, from the rows of cli.def."""
    text = pathlib.Path(ROOT, "xen-pvgpu-back", "ctl", "core", "cli.def").read_text()
    return {name for _, name, row in re.findall(r'^(XEN_|LOCAL_)?COMMAND\("([^"]+)"(.*?)\)$', text, re.M | re.S) if "FOR_JSON" in row}


class Answers(unittest.TestCase):
    def setUp(self):
        self.asked = set()
        folder = tempfile.TemporaryDirectory(prefix="pvgpu-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        (self.folder / "profiles.conf").write_text("[profile small]\nmemory = 2G\nweight = 50\n[profile large]\nmemory = 4G\nper-gpu = 1\n")
        (self.folder / "tenants.conf").write_text("[tenant alice]\nvgpus = 3\nweight = 300\n")
        self.store = self.folder / "xenstore"
        self.store.write_text(xenstore())

    def ask(self, ctl, name, *words, status=(0,), env=None, lines=False):
        """The answer of a subcommand; name: its schema. lines: it prints one a line."""
        done = subprocess.run([ctl, *words, "--json"], capture_output=True, text=True, timeout=LIMIT, check=False, env=dict(os.environ, **(env or {})))
        self.assertIn(done.returncode, status, (words, done.stderr))
        answers = [json.loads(line) for line in done.stdout.splitlines()] if lines else [json.loads(done.stdout)]
        self.assertTrue(answers, words)
        for a in answers:
            self.assertEqual(faults(a, SCHEMA["properties"][name], SCHEMA), [], words)
        self.asked.add(name)
        return answers if lines else answers[0]

    def of_pvgpud(self, env):
        def ask(name, *words, **how):
            return self.ask(program("pvgpuctl", env.build), name, *words, "--run-dir", env.run_dir, **how)

        web1, web2 = ask("list", "list")["vgpus"]
        self.assertEqual([(v["name"], v["memory"], v["statistics"]["sessions"], v["vm"]) for v in (web1, web2)],
                         [("web1", 64 << 20, 1, None), ("web2", 64 << 20, 0, None)])
        shown, = ask("show", "show", "web1")["vgpus"]
        self.assertEqual((shown["keys"]["pvgpud"]["sessions"], [s["vgpu"] for s in shown["sessions"]]), ("1", ["web1"]))
        self.assertEqual(len(ask("stats", "stats")["gpus"]), 1)
        self.assertEqual([v["name"] for v in ask("stats", "stats", "web1")["vgpus"]], ["web1"])
        session, = ask("sessions", "sessions")["sessions"]
        self.assertEqual((session["vgpu"], session["state"], session["guest-session"]), ("web1", "running", None))
        self.assertEqual([(g["name"], g["sessions"]) for g in ask("pools", "pools")["gpus"]], [("default", 1)])
        self.assertEqual(set(ask("tree", "tree")["tree"]), {"daemon", "pool", "group", "vgpu"})
        self.assertEqual(ask("tree", "tree", "/vgpu/web1/sessions")["tree"], "1")
        self.assertEqual([d["name"] for d in ask("cdi", "cdi", "--libraries", os.path.join(env.build, "lib"))["devices"]], ["web1", "web2"])
        self.assertTrue(ask("events", "events", lines=True))
        self.assertFalse(ask("gpu", "gpu", "reset", "default", "--timeout", "0.1", status=(4,))["done"])
        self.assertTrue(ask("gpu", "gpu", "admit", "default", "--timeout", str(LIMIT))["done"])
        self.assertIn("isolation", [f["what"] for f in ask("doctor", "doctor", status=(0, 1))["findings"]])

    def over_xenstore(self):
        fake = os.path.join(os.environ.get("PVGPU_BUILD") or os.path.join(ROOT, "build"), "tests", "pvgpuctl-fake")
        site, vms = ["--site-dir", str(self.folder)], ["--config-dir", str(self.folder)]

        def ask(name, *words, **how):
            return self.ask(fake, name, *words, env={"PVGPU_FAKE_XENSTORE": str(self.store), **how.pop("env", {})}, **how)

        self.assertEqual([p["name"] for p in ask("profiles", "profiles", *site)["profiles"]], ["small", "large"])
        self.assertTrue(ask("attach", "attach", "i-2-100-VM", "--profile", "small", "--tenant", "alice", *site)["vgpus"][0]["connected"])
        late = ask("attach", "attach", "i-2-101-VM", "--memory", "1G", "--timeout", "0.1", status=(4,), env={"PVGPU_FAKE_ASLEEP": "1"})
        self.assertTrue(late["vgpus"][0]["reason"])
        self.assertEqual(len(ask("list", "list")["vgpus"]), 2)
        self.assertEqual(ask("show", "show", "i-2-100-VM")["vgpus"][0]["keys"]["backend"]["profile"], "small")
        self.assertEqual(ask("stats", "stats")["vgpus"][0]["launches"], 0)
        self.assertEqual([p["fits"] for p in ask("capacity", "capacity", "--tenant", "alice", *site)["backends"][0]["profiles"]], [2, 1])
        tenant, = ask("tenants", "tenants", *site)["tenants"]
        self.assertEqual((tenant["vgpus"], tenant["memory"]), (1, 2 * GIB))
        (self.folder / "profiles.conf").write_text("[profile small]\nmemory = 1G\nweight = 70\n")
        changed = ask("refresh", "refresh", *site, *vms)["changes"][0]["changes"]
        self.assertEqual(changed["memory"], {"from": str(2 * GIB), "to": str(GIB)})
        self.assertFalse(ask("drain-host", "drain-host", "--timeout", "0", *vms, "--xapi-dir", str(self.folder), status=(1,))["clear"])
        ask("sizing", "sizing", "--load", "web:duty=10%", "--p99", "50ms", "--simulate", "1s")
        said = ask("xapi", "xapi", "types", "--pci-devices", str(self.folder), "--pci-ids", str(self.folder / "pci.ids"), "--config", str(self.folder / "none"),
                   status=(1,), env={"PVGPU_XAPI_TYPES": os.path.join(ROOT, "xen-pvgpu-back", "xapi", "pvgpu-xapi-types")})
        self.assertFalse(said["good"])

    def test_each(self):
        self.over_xenstore()
        with PvgpuEnv({"web1": "64M", "web2": "64M"}) as env:
            busy = env.popen([os.path.join(env.build, "programs", "occupy"), "1000000", "1000"], name="web1", stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL)
            wait_for("a session", lambda: [s for s in env.sessions("web1").values() if s["state"] == "running"])
            self.of_pvgpud(env)
            busy.kill()
            busy.wait()
        self.assertEqual(self.asked, set(SCHEMA["properties"]))
        self.assertEqual(self.asked, promised())
        # Each answer is an object, and says its format. That of cdi has a form of others', with their version: container engines refuse any other key.
        for name, schema in SCHEMA["properties"].items():
            if "$ref" not in schema and name != "cdi":
                self.assertEqual((schema["type"], schema["properties"]["format"]), ("object", {"$ref": "#/definitions/format"}), name)
                self.assertIn("format", schema["required"], name)

    def test_an_answer_that_nobody_gets(self):
        """The disk that it is written to is full: a reader of the file must not take it for the whole."""
        with open("/dev/full", "w") as full:
            done = subprocess.run([program("pvgpuctl"), "profiles", "--json", "--site-dir", str(self.folder)], stdout=full, stderr=subprocess.PIPE,
                                  text=True, timeout=LIMIT)
        self.assertEqual(done.returncode, 1)
        self.assertIn("standard output: No space left", done.stderr)

    def test_faults_are_seen(self):
        """Also in a schema beside this one, and of what it allows by a schema."""
        for name, answer, fault in (("stats", {"vgpus": [{"name": 1}]}, "answer.vgpus[0].name is 1, not string"), ("stats", {"format": 0}, "answer.format is 0, not one of [1]"),
                                    ("stats", {"daemon": {}}, "answer.daemon lacks uptime"), ("list", {"vgpus": []}, "answer lacks format"),
                                    ("list", {"vgpus": [{"policy": {"drain": "2"}}]}, "answer.vgpus[0].policy.drain is '2', not one of ['0', '1', 'now']"),
                                    ("tree", {"tree": {"a": {"b": 1}}}, "answer.tree.a.b is 1, not object or string"),
                                    ("sizing", {"busy": -0.5}, "answer.busy is -0.5, below 0"),
                                    ("events", {"more": ""}, "answer has more, which nobody promised")):
            self.assertIn(fault, faults(answer, SCHEMA["properties"][name], SCHEMA))
        self.assertEqual(faults([1], {"type": "array", "minItems": 2}, {}), ["answer has 1 items"])


if __name__ == "__main__":
    unittest.main()
