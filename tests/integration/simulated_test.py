# SPDX-License-Identifier: MIT
"""pvgpud without a GPU: it reports that, and serves a simulated one with --simulated."""
import contextlib
import json
import os
import subprocess
import tempfile
import unittest

from pvgpu_env import PvgpuEnv, build_dir, program, wait_for


def pvgpuctl(run_dir, *words):
    return subprocess.run([program("pvgpuctl"), "--run-dir", run_dir, *words], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=240)


class NoGpu(unittest.TestCase):
    def test_list_says_why(self):
        with PvgpuEnv(libcuda="/nowhere/libcuda.so.1") as env:
            wait_for("the reason", lambda: env.read("/pool/default/failure"))
            out = pvgpuctl(env.run_dir, "list").stdout
            self.assertRegex(out, r"vgpu0 .* no GPU: .*/nowhere/libcuda\.so\.1")
            self.assertNotIn("open\n", out)

    def test_every_view_says_so(self):
        """A GPU whose workers cannot start is not "ok" anywhere, and the next start makes it so again."""
        with PvgpuEnv(libcuda="/nowhere/libcuda.so.1") as env:
            wait_for("the reason", lambda: env.read("/pool/default/failure"))
            why = r"no worker starts: .*/nowhere/libcuda\.so\.1"
            self.assertRegex(pvgpuctl(env.run_dir, "pools").stdout, f"default .* {why}")
            self.assertRegex(pvgpuctl(env.run_dir, "top", "--interval", "0.1").stdout, f"(?m)MiB left, no worker starts\n  {why}")
            self.assertRegex(pvgpuctl(env.run_dir, "stats").stdout, f"(?s)GPU default: .*{why}.* healthy  +0 .* state  +5 ")
            doctor = pvgpuctl(env.run_dir, "doctor")
            self.assertRegex(doctor.stdout, f"BAD   GPU default: {why}")
            self.assertNotIn("GPU default: ok", doctor.stdout)
            # It was not taken out of use: there is no test to wait for.
            r = pvgpuctl(env.run_dir, "gpu", "admit", "default", "--timeout", "240")
            self.assertEqual(r.returncode, 1)
            self.assertRegex(r.stderr, f"GPU default is not drained, there is nothing to admit: {why}")
            # A drained one is tested, and the test needs a worker.
            self.assertEqual(pvgpuctl(env.run_dir, "gpu", "drain", "default").returncode, 0)
            r = pvgpuctl(env.run_dir, "gpu", "admit", "default", "--timeout", "240")
            self.assertEqual(r.returncode, 1, r.stderr)
            self.assertRegex(r.stderr, r"GPU default: unhealthy: canary kernel: .*/nowhere/libcuda\.so\.1")
            env.write("/pool/default/health", "ok")  # or it would be unhealthy at the next start, too

    def test_a_gpu(self):
        with PvgpuEnv() as env:
            env.wait_spare()
            self.assertEqual(env.read("/pool/default/failure"), "")
            self.assertRegex(pvgpuctl(env.run_dir, "list").stdout, r"vgpu0 .* open\n")


class Simulated(unittest.TestCase):
    def test_two_commands(self):
        """The two commands of README."""
        with tempfile.TemporaryDirectory() as d:
            run, env = os.path.join(d, "run"), dict(os.environ)
            gpu = os.path.join(d, "gpu")
            with open(os.path.join(d, "log"), "w+") as log:
                daemon = subprocess.Popen([program("pvgpud"), "--simulated", "--run-dir", run, "--vgpu", "try:memory=1G",
                                           "--set", f"env=SIMCUDA_GPU={gpu}"],
                                          stdin=subprocess.DEVNULL, stderr=log, env=env)
                try:
                    sock = os.path.join(run, "try.sock")
                    wait_for("its socket", lambda: os.path.exists(sock))
                    r = subprocess.run([os.path.join(build_dir(), "programs", "vecadd")], stdout=subprocess.PIPE, text=True,
                                       env={**env, "PVGPU_SOCKET": sock, "LD_LIBRARY_PATH": os.path.join(build_dir(), "lib")},
                                       timeout=120)
                    self.assertEqual(r.returncode, 0)
                    self.assertIn("vecadd: ", r.stdout)
                    self.assertIn("open", pvgpuctl(run, "list").stdout)
                finally:
                    daemon.terminate()
                    daemon.wait(240)
                log.seek(0)
                self.assertIn("the GPU is a simulated one: ", log.read())
                self.assertEqual(daemon.returncode, 0)


class Several(unittest.TestCase):
    def test_each_has_a_gpu(self):
        """Two pvgpuds on a machine have a simulated GPU each: neither finds the other's workers on its own."""
        with tempfile.TemporaryDirectory() as d, contextlib.ExitStack() as stack:
            runs = [os.path.join(d, name) for name in ("one", "two")]
            for run in runs:
                p = subprocess.Popen([program("pvgpud"), "--simulated", "--run-dir", run, "--vgpu", "try:memory=64M", "--set", "health_period_ms=20"],
                                     stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                stack.callback(p.wait, 240)
                stack.callback(p.terminate)
            for run in runs:
                wait_for("its socket", lambda run=run: os.path.exists(os.path.join(run, "try.sock")))
            env = {**os.environ, "LD_LIBRARY_PATH": os.path.join(build_dir(), "lib")}
            busy = [subprocess.Popen([os.path.join(build_dir(), "programs", "occupy"), "1000000", "1000"], env={**env, "PVGPU_SOCKET": os.path.join(run, "try.sock")},
                                     stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for run in runs]
            for p in busy:
                stack.callback(p.wait, 240)
                stack.callback(p.kill)

            def told(run, what):
                gpu, = json.loads(pvgpuctl(run, "stats", "--json").stdout)["gpus"]
                return gpu[what]

            for run in runs:
                wait_for("its program at work", lambda run=run: told(run, "gpu-time") > 200000 and told(run, "uuid"))
            self.assertEqual([told(run, "unknown-processes") for run in runs], [0, 0])
            uuids = [told(run, "uuid") for run in runs]
            self.assertNotEqual(*uuids)


class Mistakes(unittest.TestCase):
    """What an operator gets wrong is named, with the way out, and nothing is changed."""

    def wrong(self, env, status, says, *words):
        r = pvgpuctl(env.run_dir, *words)
        self.assertEqual(r.returncode, status, (words, r.stdout, r.stderr))
        self.assertIn(says, r.stderr, words)
        self.assertNotRegex(r.stderr, "/vgpu/|/pool/", words)
        return r

    def test_names(self):
        with PvgpuEnv({"one": "memory=64M", "two": "memory=64M"}) as env:
            env.wait_spare()
            out = pvgpuctl(env.run_dir, "list", "one").stdout
            self.assertIn("one ", out)
            self.assertNotIn("two ", out)
            self.assertEqual([v["name"] for v in json.loads(pvgpuctl(env.run_dir, "list", "two", "--json").stdout)["vgpus"]], ["two"])
            vgpu = "nosuch: no such vGPU; pvgpuctl list shows them"
            for words in (("list", "nosuch"), ("list", "nosuch", "--json"), ("show", "nosuch"), ("stats", "nosuch"), ("sessions", "nosuch"),
                          ("set", "nosuch", "weight=5"), ("set", "nosuch", "memory=64M"), ("set", "nosuch", "drain=1"), ("pardon", "nosuch"),
                          ("kill", "nosuch", "1")):
                self.wrong(env, 3, vgpu, *words)
            for action in ("drain", "admit", "reset"):
                self.wrong(env, 3, "nosuch: no such GPU; pvgpuctl pools shows them", "gpu", action, "nosuch")
            self.wrong(env, 3, "vGPU one has no session 99; pvgpuctl sessions shows them", "kill", "one", "99")
            self.wrong(env, 3, "one: profile 'nosuch': ", "set", "one", "--profile", "nosuch", "--site-dir", "xen-pvgpu-back/toolstack")
            for words in (("read", "/nosuch"), ("tree", "/daemon/nosuch"), ("wait", "/vgpu/one/nosuch", "1")):
                self.assertEqual(pvgpuctl(env.run_dir, *words).returncode, 3, words)

    def test_settings(self):
        with PvgpuEnv({"one": "memory=64M"}) as env:
            env.wait_spare()
            before = env.ask(op="tree", path="/vgpu/one")["tree"]
            self.wrong(env, 2, "one: wieght: no such setting; did you mean weight?", "set", "one", "max-sessions=3", "wieght=5")
            self.wrong(env, 2, "one: sessions: no such setting; there are ", "set", "one", "sessions=5")
            self.wrong(env, 2, "one: model: only a VM's vGPU has it", "set", "one", "model=x")
            self.wrong(env, 2, "memory = 8: must be a size from 1M to 1024T, such as 512M or 4G, or 0; did you mean 8G?", "set", "one", "memory=8")
            self.wrong(env, 2, "rate-bytes = 100: must be 0, or bytes or a number with K, M, G or T, 1M to 1024T; did you mean 100G?",
                       "set", "one", "rate-bytes=100")
            self.wrong(env, 2, "min-share 60% is above max-share 50%", "set", "one", "max-share=50%", "min-share=60%")
            self.wrong(env, 2, "pardon 'much': must be a number, or +N", "set", "one", "pardon=much")
            self.wrong(env, 2, "--all is for the vGPUs of VMs", "set", "one", "weight=5", "--all")
            after = env.ask(op="tree", path="/vgpu/one")["tree"]
            self.assertEqual({k: v for k, v in before.items() if k in ("memory", "weight", "max-sessions", "max-share", "min-share", "rate-bytes")},
                             {k: v for k, v in after.items() if k in ("memory", "weight", "max-sessions", "max-share", "min-share", "rate-bytes")})
            # In any order, since they take effect together.
            for pairs in (("min-share=10%", "max-share=20%"), ("min-share=30%", "max-share=50%"), ("max-share=9%", "min-share=3%")):
                r = pvgpuctl(env.run_dir, "set", "one", "weight=7", *pairs, "memory=65M")
                self.assertEqual((r.returncode, r.stderr), (0, ""), pairs)
            self.assertEqual([env.read("/vgpu/one/" + k) for k in ("min-share", "max-share", "weight", "memory")], ["3%", "9%", "7", str(65 << 20)])

    def test_a_gpu_in_use_is_not_admitted(self):
        with PvgpuEnv() as env:
            env.wait_spare()
            ran = env.read("/pool/default/canaries")
            r = pvgpuctl(env.run_dir, "gpu", "admit", "default", "--timeout", "240")
            self.assertEqual((r.returncode, env.read("/pool/default/canaries")), (0, ran), r.stderr)
            self.assertIn("is in use already", r.stdout)

    def test_the_configuration(self):
        """pvgpud --check foresees what does not go together; of two sections of one name it would take parts of both."""
        for text, says in (("[vgpu a]\nmemory = 8\n", ":2: memory = 8: must be a size from 1M to 1024T, such as 512M or 4G, or 0; did you mean 8G?"),
                           ("[vgpu a]\nwieght = 5\n", ":2: wieght: no such key in [vgpu a]: did you mean weight?"),
                           ("[vgpu a]\nmin_share = 60%\nmax_share = 50%\n", "vgpu a: min-share 60% is above max-share 50%"),
                           ("[vgpu a]\nmin_share = 60%\n[vgpu b]\nmin_share = 60%\n", "pool default: its vGPUs and groups are guaranteed 120%"),
                           ("[vgpu a]\n[vgpu b]\n[vgpu a]\nweight = 5\n", ":3: [vgpu a] is there already")):
            with tempfile.NamedTemporaryFile("w", suffix=".conf") as f:
                f.write(text)
                f.flush()
                r = subprocess.run([program("pvgpud"), "--config", f.name, "--check"], capture_output=True, text=True, timeout=240)
                self.assertEqual(r.returncode, 2, text)
                self.assertIn(says, r.stderr)


class Profiles(unittest.TestCase):
    """Profiles and tenants at the local link's door: pvgpuctl set."""
    TENANT = "9c1b7a52-3f60-4f8e-8d55-0a2f6c1e7b90"

    def test_set(self):
        with PvgpuEnv() as env, tempfile.TemporaryDirectory() as site:
            env.wait_spare()
            with open(os.path.join(site, "profiles.conf"), "w") as f:
                f.write("[profile small]\nmemory = 128M\nweight = 50\n[profile large]\nmemory = 256M\nmax-share = 50%\n[profile bad]\nx = 1\n")
            r = pvgpuctl(env.run_dir, "set", "vgpu0", "--profile", "small", "--tenant", self.TENANT, "--site-dir", site)
            self.assertEqual((r.returncode, r.stderr), (0, ""))
            now = {k: env.read("/vgpu/vgpu0/" + k) for k in ("memory", "weight", "max-share", "pool")}
            self.assertEqual(now, {"memory": str(128 << 20), "weight": "50", "max-share": "100%", "pool": "default/" + self.TENANT})
            r = env.run([os.path.join(build_dir(), "programs", "vecadd")])
            self.assertEqual(r.returncode, 0, r.stderr)
            # All of it is replaced, but for what stands beside it.
            r = pvgpuctl(env.run_dir, "set", "vgpu0", "--profile", "large", "queue-depth=7", "--site-dir", site)
            self.assertEqual((r.returncode, r.stderr), (0, ""))
            now = {k: env.read("/vgpu/vgpu0/" + k) for k in ("memory", "weight", "max-share", "queue-depth", "pool")}
            self.assertEqual(now, {"memory": str(256 << 20), "weight": "100", "max-share": "50%", "queue-depth": "7",
                                   "pool": "default/" + self.TENANT})
            r = pvgpuctl(env.run_dir, "set", "vgpu0", "--profile", "bad", "--site-dir", site)
            self.assertEqual(r.returncode, 1)
            self.assertIn("profile 'bad' cannot be used: ", r.stderr)
            r = pvgpuctl(env.run_dir, "set", "vgpu0")
            self.assertEqual(r.returncode, 2)


if __name__ == "__main__":
    unittest.main()
