# SPDX-License-Identifier: MIT
"""pvgpu-acceptance on the simulated GPU: all right on a sound pvgpud, which it leaves as it was; what is broken is named.
PVGPU_BUILD: the build folder; PVGPU_ACCEPTANCE=all: with all test programs."""
import json
import os
import signal
import subprocess
import sys
import tempfile
import unittest

from exporter_test import Exporter
from pvgpu_env import LIMIT, ROOT, PvgpuEnv, program, wait_for
from watchdog_test import set_lost

ACCEPTANCE = os.path.join(ROOT, "xen-pvgpu-back", "acceptance", "pvgpu-acceptance")
FEW = ["vecadd", "matmul", "streams", "pinned", "memsets", "events", "printf", "graphs"]
PARTS = {"machine", "pvgpud", "GPU default", "vGPU", "refusals", "answers", "settings", "programs", "statistics", "limits", "sessions",
         "exporter"}


class Acceptance(unittest.TestCase):
    def words(self, env, *more):
        few = [] if os.environ.get("PVGPU_ACCEPTANCE") == "all" else [w for n in FEW for w in ("--only", n)]
        return [sys.executable, ACCEPTANCE, "--vgpu", "vgpu0", "--run-dir", env.run_dir, "--rehearsal", "--pvgpuctl", program("pvgpuctl", env.build),
                "--programs", os.path.join(env.build, "programs"), "--libraries", os.path.join(env.build, "lib"), *few, *more]

    def run_it(self, env, *more):
        r = subprocess.run(self.words(env, *more), capture_output=True, text=True, timeout=1800, check=False)
        return r.returncode, r.stdout, r.stderr

    def test_sound(self):
        """At least a hundred checks over every part; a second vGPU and its sessions are not touched."""
        with PvgpuEnv({"vgpu0": "memory=512M,weight=120", "other": "memory=512M"}) as env:
            other = env.popen([os.path.join(env.build, "programs", "occupy"), "1000000", "1000"], name="other",
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            wait_for("the other session", lambda: env.sessions("other"))
            before = env.tree()["vgpu"]["vgpu0"]
            with Exporter(env) as e:
                status, out, err = self.run_it(env, "--json", "--exporter", e.url)
            self.assertEqual(err, "")
            report = json.loads(out)
            wrong = [c for c in report["checks"] if c["verdict"] == "WRONG"]
            self.assertEqual((status, wrong, report["residue"]), (0, [], []))
            self.assertEqual(report["right"], sum(c["verdict"] == "ok" for c in report["checks"]))
            self.assertGreaterEqual(report["right"], 100)
            self.assertEqual(PARTS - {c["part"] for c in report["checks"] if c["verdict"] == "ok"}, set())
            self.assertTrue(all(c["finding"] for c in report["checks"] if c["verdict"] == "skip"), "skipped without a reason")
            self.assertIn(("the test kernel of each GPU", "ok"), {(c["name"], c["verdict"]) for c in report["checks"]})
            self.assertIn("CloudStack", {c["part"] for c in report["checks"] if c["verdict"] == "skip"})
            after = env.tree()["vgpu"]["vgpu0"]
            self.assertEqual({k: before[k] for k in ("weight", "priority", "max-share", "drain", "rate-commands", "memory")},
                             {k: after[k] for k in ("weight", "priority", "max-share", "drain", "rate-commands", "memory")})
            self.assertIsNone(other.poll())
            other.kill()
            other.wait()

    def test_broken(self):
        """A program with wrong results, and one that uses the vGPU already."""
        with PvgpuEnv() as env:
            folder = os.path.join(env.dir, "programs")
            os.mkdir(folder)
            for name in "vecadd", "occupy":
                os.symlink(os.path.join(env.build, "programs", name), os.path.join(folder, name))
            with open(os.path.join(folder, "wrong"), "w", encoding="utf-8") as f:
                f.write("#!/bin/sh\necho 3 of 4 values are wrong >&2\nexit 1\n")
            os.chmod(os.path.join(folder, "wrong"), 0o755)
            status, out, err = self.run_it(env, "--programs", folder, "--only", "wrong")
            self.assertEqual((status, err), (1, ""))
            self.assertEqual([line for line in out.splitlines() if line.startswith("WRONG")],
                             ["WRONG programs: wrong: status 1: 3 of 4 values are wrong"])
            self.assertRegex(out.splitlines()[-1], r"^\d+ right, 1 wrong, \d+ skipped, in \d+ s; nothing is left behind$")
            busy = env.popen([os.path.join(env.build, "programs", "occupy"), "1000000", "1000"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            wait_for("its session", env.sessions)
            status, out, _ = self.run_it(env)
            self.assertEqual(status, 1)
            self.assertIn("WRONG vGPU: vgpu0: programs use it", out)
            self.assertIsNone(busy.poll())
            busy.kill()
            busy.wait()

    def test_interrupted(self):
        """A report all the same, and settings are put back."""
        with PvgpuEnv() as env:
            p = subprocess.Popen(self.words(env), stdout=subprocess.PIPE, text=True)
            for line in p.stdout:
                if line.startswith("ok    settings: min-share"):
                    break
            p.send_signal(signal.SIGTERM)
            rest = p.communicate(timeout=10 * LIMIT)[0]
            self.assertEqual(p.returncode, 1)
            self.assertIn("WRONG all: interrupted", rest)
            self.assertTrue(rest.endswith("nothing is left behind\n"), rest)
            self.assertEqual(env.read("/vgpu/vgpu0/max-share"), "100%")

    def test_whose_pvgpud(self):
        """In dom0 the domain that serves the VM's vGPU is asked, also where it is not named."""
        with tempfile.TemporaryDirectory(prefix="pvgpu-") as folder:
            stand = os.path.join(folder, "pvgpuctl")
            with open(stand, "w", encoding="utf-8") as f:
                f.write(f'#!/bin/sh\necho "$*" >>{folder}/asked\n[ "$1" = show ] && echo \'{{"format": 1, "vgpus": [{{"uuid": "1234abcd", "backend": {{"domid": 7}}}}]}}\'\n')
            os.chmod(stand, 0o755)
            for more, wanted in (([], "--backend 7"), (["--backend", "gpu"], "--backend gpu")):
                r = subprocess.run([sys.executable, ACCEPTANCE, "--vm", "web1", "--pvgpuctl", stand, *more], capture_output=True, text=True, timeout=10 * LIMIT,
                                   check=False)
                self.assertEqual((r.returncode, r.stderr), (1, ""))
                with open(f"{folder}/asked", encoding="utf-8") as f:
                    asked = f.read().splitlines()
                os.unlink(f"{folder}/asked")
                self.assertIn(f"doctor --test --json --timeout 120 {wanted}", asked)
                self.assertIn(f"pools --json {wanted}", asked)

    def test_the_site(self):
        """XCP-ng's pool and CloudStack, where they are configured: each host has the plugin, and what `pvgpu-cloudstack check` says is shown."""
        with tempfile.TemporaryDirectory(prefix="pvgpu-") as folder:
            for name, text in (("xe", '[ "$1" = host-list ] && echo one,two && exit\n[ "$2" = host-uuid=one ] && echo [] && exit\necho no such plugin >&2; exit 1\n'),
                               ("pvgpu-cloudstack", f'[ "$*" = "--config {folder}/conf check" ] || exit 2\n[ ! -e {folder}/bad ] || {{ echo fault: no tag; exit 1; }}\n')):
                with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
                    f.write("#!/bin/sh\n" + text)
                os.chmod(os.path.join(folder, name), 0o755)
            with open(f"{folder}/conf", "w", encoding="utf-8"):
                pass
            for cloudstack in ("ok    CloudStack: pvgpu-cloudstack check", "WRONG CloudStack: pvgpu-cloudstack check: fault: no tag"):
                r = subprocess.run([sys.executable, ACCEPTANCE, "--vgpu", "a", "--run-dir", "/nonexistent", "--pvgpuctl", program("pvgpuctl"), "--cloudstack",
                                    f"{folder}/conf"], env={"PATH": f"{folder}:/usr/bin:/bin"}, capture_output=True, text=True, timeout=10 * LIMIT, check=False)
                self.assertEqual((r.returncode, r.stderr), (1, ""))
                lines = r.stdout.splitlines()
                for line in ("ok    XCP-ng: xapi answers", "ok    XCP-ng: plugin pvgpu on one: []", "WRONG XCP-ng: plugin pvgpu on two: no such plugin", cloudstack):
                    self.assertIn(line, lines)
                with open(f"{folder}/bad", "w", encoding="utf-8"):
                    pass

    def test_a_gpu_that_fails_its_test(self):
        with PvgpuEnv(settings={"canary_every_s": 0, "canary_pause_ms": 10}) as env:
            env.wait_spare()
            set_lost(env, 2)  # SIMGPU_BROKEN of simgpu.h
            status, out, _ = self.run_it(env, "--vgpu", "none")  # the GPU's checks alone
            self.assertEqual(status, 1)
            self.assertRegex(out, "(?m)^WRONG machine: GPU default: the test kernel: wrong: cuCtxSynchronize gives CUresult 46$")
            set_lost(env, 0)
            env.write("/pool/default/health", "ok")
            wait_for("the GPU to be well", lambda: env.read("/pool/default/health") == "ok")

    def test_use(self):
        for words, says in (([], "--vgpu NAME without Xen, --vm VM in dom0"), (["--vgpu", "a", "--limit", "0"], "must be more than 0"),
                            (["--vgpu", "a", "--vm", "b"], "say what to try it with")):
            r = subprocess.run([sys.executable, ACCEPTANCE, *words], capture_output=True, text=True, timeout=LIMIT, check=False)
            self.assertEqual(r.returncode, 2)
            self.assertIn(says, r.stderr)
        r = subprocess.run([sys.executable, ACCEPTANCE, "--vgpu", "a", "--run-dir", "/nonexistent", "--pvgpuctl", program("pvgpuctl")], capture_output=True, text=True,
                           timeout=10 * LIMIT, check=False)
        self.assertEqual(r.returncode, 1)
        self.assertIn("is pvgpud running there?", r.stdout)


if __name__ == "__main__":
    unittest.main()
